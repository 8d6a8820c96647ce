//! The one place where Rust errors, refusals of arguments and panics become Python exceptions.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use hypermm_core::error::{Detail, Error};
use hypermm_signing::error::{Error as SigningError, Kind as SigningKind, redacted};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};

/// Kinds of exception; the names are those of `hypermm.exceptions`.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    InvalidInput,
    InvalidConfig,
    TimeOrder,
    Snapshot,
    EngineBusy,
    SigningKey,
    Nonce,
    Internal,
}

const KINDS: usize = 8;
const NAMES: [&str; KINDS] = [
    "InvalidInputError",
    "InvalidConfigError",
    "TimeOrderError",
    "SnapshotError",
    "EngineBusyError",
    "SigningKeyError",
    "NonceError",
    "InternalError",
];
static CLASSES: PyOnceLock<[Py<PyType>; KINDS]> = PyOnceLock::new();

fn classes(py: Python<'_>) -> PyResult<&[Py<PyType>; KINDS]> {
    CLASSES.get_or_try_init(py, || {
        let module = py.import("hypermm.exceptions")?;
        let class = |index: usize| -> PyResult<Py<PyType>> {
            Ok(module.getattr(NAMES[index])?.cast_into::<PyType>()?.unbind())
        };
        Ok([class(0)?, class(1)?, class(2)?, class(3)?, class(4)?, class(5)?, class(6)?, class(7)?])
    })
}

/// The Python exception of `kind` with every attribute set.
#[cold]
pub(crate) fn raise(kind: Kind, detail: &Detail) -> PyErr {
    Python::attach(|py| {
        let build = || -> PyResult<PyErr> {
            let keywords = PyDict::new(py);
            keywords.set_item("field", detail.field.as_ref())?;
            keywords.set_item("value", detail.value.as_str())?;
            keywords.set_item("expected", detail.expected.as_ref())?;
            keywords.set_item("hint", detail.hint.as_ref())?;
            let class = classes(py)?[kind as usize].bind(py);
            Ok(PyErr::from_value(class.call((detail.to_string(),), Some(&keywords))?))
        };
        build().unwrap_or_else(|failure| failure)
    })
}

/// The one match over the core's errors.
#[cold]
pub(crate) fn from_core(error: &Error) -> PyErr {
    let kind = match error {
        Error::InvalidInput(_) => Kind::InvalidInput,
        Error::InvalidConfig(_) => Kind::InvalidConfig,
        Error::TimeOrder(_) => Kind::TimeOrder,
        Error::Snapshot(_) => Kind::Snapshot,
        Error::Conservation(_) => Kind::Internal,
        // `Error` is non-exhaustive: a variant without an arm here is a bug of this file.
        _ => Kind::Internal,
    };
    raise(kind, error.detail())
}

/// The one match over the signing crate's errors.
#[cold]
pub(crate) fn from_signing(error: SigningError) -> PyErr {
    let kind = match error.kind {
        SigningKind::Input => Kind::InvalidInput,
        SigningKind::Key => Kind::SigningKey,
        SigningKind::Nonce => Kind::Nonce,
        // Non-exhaustive too.
        _ => Kind::Internal,
    };
    raise(kind, &Detail { field: error.field, value: error.value, expected: error.expected, hint: error.hint })
}

/// A refused argument that never reached the core.
#[cold]
pub(crate) fn invalid_input(field: &str, value: &Bound<'_, PyAny>, expected: &str, hint: &str) -> PyErr {
    refused(Kind::InvalidInput, field, value, expected, hint)
}

/// A refusal of `kind` that shows the value as Python would, shortened.
#[cold]
pub(crate) fn refused(kind: Kind, field: &str, value: &Bound<'_, PyAny>, expected: &str, hint: &str) -> PyErr {
    let detail = Detail {
        field: field.to_owned().into(),
        value: shown(value),
        expected: expected.to_owned().into(),
        hint: hint.to_owned().into(),
    };
    raise(kind, &detail)
}

/// `repr(value)` on one line of at most 80 characters, unless it looks like a key.
#[cold]
pub(crate) fn shown(value: &Bound<'_, PyAny>) -> String {
    let text = value.repr().map_or_else(|_| "(no repr)".to_owned(), |text| text.to_string_lossy().into_owned());
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = redacted(&line).to_owned();
    if line.chars().count() <= 80 { line } else { line.chars().take(77).chain("...".chars()).collect() }
}

/// The second of two calls at once: it does not wait.
#[cold]
pub(crate) fn busy(class: &'static str) -> PyErr {
    let detail = Detail {
        field: class.into(),
        value: "in use by another call".into(),
        expected: "one call at a time".into(),
        hint: "calls never wait; call again, or give each thread its own object".into(),
    };
    raise(Kind::EngineBusy, &detail)
}

/// Runs core code: its errors become exceptions of the tree, and so does a panic.
#[inline]
pub(crate) fn guard<T>(call: impl FnOnce() -> Result<T, Error>) -> PyResult<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(from_core(&error)),
        Err(payload) => Err(panicked(payload.as_ref())),
    }
}

#[cold]
fn panicked(payload: &(dyn Any + Send)) -> PyErr {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned());
    let detail = Detail {
        field: "hypermm".into(),
        value: text,
        expected: "no internal failure".into(),
        hint: "this is a bug: cancel orders, restore a snapshot and report it".into(),
    };
    raise(Kind::Internal, &detail)
}

/// Panics on purpose inside the guard, so that the tests can see what becomes of a panic.
#[pyfunction]
#[expect(clippy::panic, reason = "the one panic that is meant")]
pub(crate) fn _panic(message: String) -> PyResult<()> {
    guard(|| -> Result<(), Error> { std::panic::panic_any(message) })
}

/// Refuses to go on when the package is broken.
#[cold]
pub(crate) fn broken(what: &str) -> PyErr {
    PyRuntimeError::new_err(format!("hypermm is not installed correctly: {what}"))
}
