//! Arguments: one conversion each, and a refusal that names the argument.

use std::borrow::Cow;
use std::convert::Infallible;
use std::ops::Deref;

use hypermm_core::types::{Identifier, Side};
use numpy::{PyArray1, PyArrayMethods, PyReadonlyArray1, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use crate::error::{busy, invalid_input};
use crate::types::side;

/// A number as float64: Python and NumPy floats and integers, not bools, not text.
#[inline]
pub(crate) fn number(field: &str, value: &Bound<'_, PyAny>) -> PyResult<f64> {
    if let Ok(float) = value.cast_exact::<PyFloat>() {
        return Ok(float.value());
    }
    other_number(field, value)
}

#[cold]
fn other_number(field: &str, value: &Bound<'_, PyAny>) -> PyResult<f64> {
    let refuse = || invalid_input(field, value, "a number", "");
    if is_flag_or_text(value) {
        return Err(refuse());
    }
    value.extract::<f64>().map_err(|_| refuse())
}

fn is_flag_or_text(value: &Bound<'_, PyAny>) -> bool {
    value.is_instance_of::<PyBool>()
        || value.is_instance_of::<PyString>()
        || value.is_instance_of::<PyBytes>()
        || value.get_type().name().is_ok_and(|name| name == "bool")
}

/// A number, or `None` for no news.
#[inline]
pub(crate) fn optional_number(field: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<f64>> {
    value.map(|given| number(field, given)).transpose()
}

/// Nanoseconds: Python and NumPy integers, neither bools nor floats.
#[inline]
pub(crate) fn time_ns(field: &str, value: &Bound<'_, PyAny>) -> PyResult<i64> {
    const EXPECTED: &str = "an integer of nanoseconds, 0 to 2^63 − 1";
    let time = integer(field, value, EXPECTED, "int(seconds * 1e9) from seconds")?;
    if time < 0 { Err(invalid_input(field, value, EXPECTED, "")) } else { Ok(time) }
}

/// Nanoseconds, or `None`.
#[inline]
pub(crate) fn optional_time_ns(field: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<i64>> {
    value.map(|given| time_ns(field, given)).transpose()
}

/// An integer of 64 bits: Python and NumPy integers, neither bools nor floats.
#[inline]
pub(crate) fn integer(field: &str, value: &Bound<'_, PyAny>, expected: &str, hint: &str) -> PyResult<i64> {
    if let Ok(exact) = value.cast_exact::<PyInt>()
        && let Ok(whole) = exact.extract::<i64>()
    {
        return Ok(whole);
    }
    other_integer(field, value, expected, hint)
}

#[cold]
fn other_integer(field: &str, value: &Bound<'_, PyAny>, expected: &str, hint: &str) -> PyResult<i64> {
    let refuse = || invalid_input(field, value, expected, hint);
    if is_flag_or_text(value) || value.is_instance_of::<PyFloat>() {
        return Err(refuse());
    }
    value.extract::<i64>().map_err(|_| refuse())
}

/// A seed: an integer from 0 to 2^63 − 1.
pub(crate) fn seed_of(field: &str, value: &Bound<'_, PyAny>) -> PyResult<u64> {
    const EXPECTED: &str = "an integer from 0 to 2^63 − 1";
    let whole = integer(field, value, EXPECTED, "")?;
    u64::try_from(whole).map_err(|_| invalid_input(field, value, EXPECTED, ""))
}

/// An integer from 0 to 2^32 − 1.
pub(crate) fn count(field: &str, value: &Bound<'_, PyAny>) -> PyResult<u32> {
    let whole = integer(field, value, "an integer of 0 or more", "")?;
    u32::try_from(whole).map_err(|_| invalid_input(field, value, "an integer of 0 or more", ""))
}

/// Text.
pub(crate) fn text(field: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    match value.cast::<PyString>() {
        Ok(string) => string.extract().map_err(|_| invalid_input(field, value, "valid Unicode text", "")),
        Err(_) => Err(invalid_input(field, value, "text", "")),
    }
}

/// An argument that may be left out but not be `None`.
pub(crate) struct Given<'py>(pub(crate) Option<Bound<'py, PyAny>>);

impl<'py> FromPyObject<'_, 'py> for Given<'py> {
    type Error = Infallible;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> Result<Self, Infallible> {
        Ok(Self(Some(object.to_owned())))
    }
}

impl Given<'_> {
    /// The text given, or `otherwise` when left out.
    #[inline]
    pub(crate) fn text_or(&self, field: &str, otherwise: &'static str) -> PyResult<Cow<'static, str>> {
        match &self.0 {
            None => Ok(Cow::Borrowed(otherwise)),
            Some(given) => text(field, given).map(Cow::Owned),
        }
    }
}

/// A flag: `bool`, NumPy's too.
pub(crate) fn flag(field: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
    value.extract::<bool>().map_err(|_| invalid_input(field, value, "True or False", ""))
}

/// An order or fill id: an integer from 0 to 2^64 − 1, or text that is not empty.
#[inline]
pub(crate) fn identifier(field: &str, value: &Bound<'_, PyAny>) -> PyResult<Identifier> {
    const EXPECTED: &str = "an integer from 0 to 2^64 − 1, or text that is not empty";
    let refuse = || invalid_input(field, value, EXPECTED, "");
    if let Ok(string) = value.cast::<PyString>() {
        let text: String = string.extract().map_err(|_| refuse())?;
        return if text.is_empty() { Err(refuse()) } else { Ok(Identifier::Text(text.into_boxed_str())) };
    }
    if is_flag_or_text(value) || value.is_instance_of::<PyFloat>() {
        return Err(refuse());
    }
    value.extract::<u64>().map(Identifier::Number).map_err(|_| refuse())
}

/// The id as Python gave it.
pub(crate) fn identifier_object(py: Python<'_>, id: &Identifier) -> Py<PyAny> {
    match id {
        Identifier::Number(number) => PyInt::new(py, *number).into_any().unbind(),
        Identifier::Text(text) => PyString::new(py, text).into_any().unbind(),
    }
}

/// A column of numbers: NumPy memory of contiguous float64 as it is, anything else converted once.
pub(crate) enum Column<'py, T: numpy::Element> {
    Borrowed(PyReadonlyArray1<'py, T>),
    Owned(Vec<T>),
}

impl<T: numpy::Element> Deref for Column<'_, T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        match self {
            // `borrowed` admits contiguous arrays only, so the empty slice is never taken.
            Self::Borrowed(array) => array.as_slice().unwrap_or_default(),
            Self::Owned(values) => values,
        }
    }
}

fn borrowed<'py, T: numpy::Element>(value: &Bound<'py, PyAny>) -> PyResult<Option<Column<'py, T>>> {
    match value.cast::<PyArray1<T>>() {
        Ok(array) if array.is_c_contiguous() => match array.try_readonly() {
            Ok(view) if view.as_slice().is_ok() => Ok(Some(Column::Borrowed(view))),
            Ok(_) => Ok(None),
            Err(_) => Err(busy("array")),
        },
        _ => Ok(None),
    }
}

/// Floats, one dimension.
#[inline]
pub(crate) fn floats<'py>(field: &str, value: &Bound<'py, PyAny>) -> PyResult<Column<'py, f64>> {
    if let Some(column) = borrowed(value)? {
        return Ok(column);
    }
    if let Ok(list) = value.cast_exact::<PyList>() {
        return each(field, list.len(), list.iter());
    }
    if let Ok(tuple) = value.cast_exact::<PyTuple>() {
        return each(field, tuple.len(), tuple.iter());
    }
    converted(field, value, "fiu", "float64", "a one-dimensional array or sequence of numbers")
}

fn each<'py>(field: &str, length: usize, items: impl Iterator<Item = Bound<'py, PyAny>>) -> PyResult<Column<'py, f64>> {
    let mut values = Vec::with_capacity(length);
    for item in items {
        values.push(match item.cast_exact::<PyFloat>() {
            Ok(float) => float.value(),
            Err(_) => other_number(&format!("{field}[{}]", values.len()), &item)?,
        });
    }
    Ok(Column::Owned(values))
}

/// The items of a list or tuple; `None` for anything else.
fn listed<T>(
    field: &str,
    value: &Bound<'_, PyAny>,
    one: impl Fn(&str, &Bound<'_, PyAny>) -> PyResult<T>,
) -> PyResult<Option<Vec<T>>> {
    if !(value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>()) {
        return Ok(None);
    }
    let items = value.try_iter()?.enumerate();
    items.map(|(index, item)| one(&format!("{field}[{index}]"), &item?)).collect::<PyResult<Vec<_>>>().map(Some)
}

/// Nanoseconds, one dimension, integers only.
pub(crate) fn times<'py>(field: &str, value: &Bound<'py, PyAny>) -> PyResult<Column<'py, i64>> {
    if let Some(column) = borrowed(value)? {
        return Ok(column);
    }
    if let Some(values) = listed(field, value, time_ns)? {
        return Ok(Column::Owned(values));
    }
    converted(field, value, "iu", "int64", "a one-dimensional array or sequence of integer nanoseconds")
}

/// Integers of another width, one dimension.
pub(crate) fn integers<'py, T: numpy::Element>(
    field: &str,
    value: &Bound<'py, PyAny>,
    target: &str,
) -> PyResult<Column<'py, T>> {
    match borrowed(value)? {
        Some(column) => Ok(column),
        None => converted(field, value, "iu", target, "a one-dimensional array of integers"),
    }
}

/// Flags, one dimension.
pub(crate) fn flags<'py>(field: &str, value: &Bound<'py, PyAny>) -> PyResult<Column<'py, bool>> {
    if let Some(column) = borrowed(value)? {
        return Ok(column);
    }
    if let Some(values) = listed(field, value, flag)? {
        return Ok(Column::Owned(values));
    }
    converted(field, value, "b", "bool", "a one-dimensional array or sequence of flags")
}

/// Sides: a sequence of `Side`, or an array of integers +1 (buy) and −1 (sell).
pub(crate) fn sides(field: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<Side>> {
    let from_sign = |index: usize, sign: i8| match sign {
        1 => Ok(Side::Buy),
        -1 => Ok(Side::Sell),
        _ => {
            let shown = PyInt::new(value.py(), sign);
            Err(invalid_input(&format!("{field}[{index}]"), shown.as_any(), "+1 (buy) or −1 (sell)", ""))
        }
    };
    if let Some(sides) = listed(field, value, side)? {
        return Ok(sides);
    }
    let signs: Column<'_, i8> = match borrowed(value)? {
        Some(column) => column,
        None => converted(field, value, "i", "int8", "a sequence of Side, or an integer array of +1 and −1")?,
    };
    signs.iter().enumerate().map(|(index, sign)| from_sign(index, *sign)).collect()
}

static AS_ARRAY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Whatever NumPy makes a one-dimensional array of, if its kind is among `kinds` and no value is changed.
#[cold]
fn converted<'py, T: numpy::Element>(
    field: &str,
    value: &Bound<'py, PyAny>,
    kinds: &str,
    target: &str,
    expected: &str,
) -> PyResult<Column<'py, T>> {
    let py = value.py();
    let refuse = |hint: &str| invalid_input(field, value, expected, hint);
    let unsuitable =
        is_flag_or_text(value) || value.is_instance_of::<PyDict>() || value.is_instance_of::<PyByteArray>();
    if unsuitable {
        return Err(refuse(""));
    }
    let as_array =
        AS_ARRAY.get_or_try_init(py, || PyResult::Ok(py.import("numpy")?.getattr("asarray")?.unbind()))?.bind(py);
    let array = as_array.call1((value,)).map_err(|_| refuse(""))?;
    let shape_is_one = array.getattr("ndim")?.extract::<usize>()? == 1;
    let dtype = array.getattr("dtype")?;
    let kind: String = dtype.getattr("kind")?.extract()?;
    if !shape_is_one {
        return Err(refuse(&format!("its shape is {}", array.getattr("shape")?)));
    }
    // An empty list has no kind of its own: NumPy calls it float64.
    let empty = array.len()? == 0;
    if !(kinds.contains(&kind) || empty) {
        return Err(refuse(&format!("its dtype is {dtype}")));
    }
    let cast = array.call_method1("astype", (target,)).map_err(|_| refuse(""))?;
    // Float columns take what float64 makes of an integer; integer columns must keep every value.
    if target.contains("int") && !empty {
        let same: bool = py.import("numpy")?.call_method1("array_equal", (&cast, &array))?.extract()?;
        if !same {
            return Err(refuse(&format!("a value does not fit {target}")));
        }
    }
    borrowed(&cast)?.ok_or_else(|| refuse(""))
}
