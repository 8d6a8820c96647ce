//! The enumerations: ordinary Python `enum.Enum` classes, so that `is`, iteration, `match` and pickling work.

use hypermm_core::types::{OrderStatus, QuoteStatus, Side};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use crate::error::{broken, invalid_input};

const SIDES: [(&str, Side); 2] = [("BUY", Side::Buy), ("SELL", Side::Sell)];

const ORDER_STATUSES: [(&str, OrderStatus); 7] = [
    ("PENDING", OrderStatus::Pending),
    ("OPEN", OrderStatus::Open),
    ("CANCEL_PENDING", OrderStatus::CancelPending),
    ("CANCELED", OrderStatus::Canceled),
    ("REJECTED", OrderStatus::Rejected),
    ("FILLED", OrderStatus::Filled),
    ("UNKNOWN", OrderStatus::Unknown),
];

const QUOTE_STATUSES: [(&str, QuoteStatus); 5] = [
    ("QUOTING", QuoteStatus::Quoting),
    ("NO_BOOK", QuoteStatus::NoBook),
    ("ONE_SIDED", QuoteStatus::OneSided),
    ("CROSSED", QuoteStatus::Crossed),
    ("STALE", QuoteStatus::Stale),
];

struct Enumeration {
    class: Py<PyAny>,
    members: Vec<Py<PyAny>>,
}

impl Enumeration {
    fn new<T>(
        py: Python<'_>,
        name: &str,
        doc: &str,
        table: &[(&'static str, T)],
        value: impl Fn(&'static str, &T) -> Py<PyAny>,
    ) -> PyResult<Self> {
        let names = PyDict::new(py);
        for (member, meaning) in table {
            names.set_item(member, value(member, meaning))?;
        }
        let keywords = PyDict::new(py);
        keywords.set_item("module", "hypermm._core")?;
        let class = py.import("enum")?.getattr("Enum")?.call((name, names), Some(&keywords))?;
        class.setattr("__doc__", doc)?;
        let members =
            table.iter().map(|(member, _)| Ok(class.getattr(*member)?.unbind())).collect::<PyResult<Vec<_>>>()?;
        Ok(Self { class: class.unbind(), members })
    }

    #[inline]
    fn position(&self, value: &Bound<'_, PyAny>) -> Option<usize> {
        self.members.iter().position(|member| member.is(value))
    }
}

struct Enumerations {
    side: Enumeration,
    order_status: Enumeration,
    quote_status: Enumeration,
}

static ENUMERATIONS: PyOnceLock<Enumerations> = PyOnceLock::new();

fn enumerations(py: Python<'_>) -> PyResult<&Enumerations> {
    ENUMERATIONS.get(py).ok_or_else(|| broken("enumerations are missing"))
}

fn lower(py: Python<'_>, name: &str) -> Py<PyAny> {
    pyo3::types::PyString::new(py, &name.to_lowercase()).into_any().unbind()
}

/// Adds `Side`, `OrderStatus` and `QuoteStatus` to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let built = ENUMERATIONS.get_or_try_init(py, || -> PyResult<Enumerations> {
        Ok(Enumerations {
            side: Enumeration::new(
                py,
                "Side",
                "Direction of an order, a fill or an aggressor; the value is its sign.",
                &SIDES,
                |_, side| {
                    (side.sign() as i64)
                        .into_pyobject(py)
                        .map_or_else(|never| match never {}, |it| it.into_any().unbind())
                },
            )?,
            order_status: Enumeration::new(
                py,
                "OrderStatus",
                "Where an order of ours stands; CANCELED, REJECTED and FILLED are dead, all others count as live.",
                &ORDER_STATUSES,
                |name, _| lower(py, name),
            )?,
            quote_status: Enumeration::new(
                py,
                "QuoteStatus",
                "What a quote could do with the book it had; only QUOTING comes with levels.",
                &QUOTE_STATUSES,
                |name, _| lower(py, name),
            )?,
        })
    })?;
    module.add("Side", built.side.class.bind(py))?;
    module.add("OrderStatus", built.order_status.class.bind(py))?;
    module.add("QuoteStatus", built.quote_status.class.bind(py))
}

/// A `Side` member; nothing else is taken for one.
#[inline]
pub(crate) fn side(field: &str, value: &Bound<'_, PyAny>) -> PyResult<Side> {
    match enumerations(value.py())?.side.position(value) {
        Some(index) => Ok(SIDES[index].1),
        None => Err(invalid_input(field, value, "Side.BUY or Side.SELL", "")),
    }
}

/// An `OrderStatus` member.
#[inline]
pub(crate) fn order_status(field: &str, value: &Bound<'_, PyAny>) -> PyResult<OrderStatus> {
    match enumerations(value.py())?.order_status.position(value) {
        Some(index) => Ok(ORDER_STATUSES[index].1),
        None => Err(invalid_input(field, value, "a member of OrderStatus", "")),
    }
}

fn member<T: PartialEq>(py: Python<'_>, of: &Enumeration, table: &[(&str, T)], value: &T) -> PyResult<Py<PyAny>> {
    table
        .iter()
        .position(|(_, meaning)| meaning == value)
        .and_then(|index| of.members.get(index))
        .map(|found| found.clone_ref(py))
        .ok_or_else(|| broken("an enumeration lacks a member"))
}

/// The Python member of a side.
#[inline]
pub(crate) fn side_member(py: Python<'_>, side: Side) -> PyResult<Py<PyAny>> {
    member(py, &enumerations(py)?.side, &SIDES, &side)
}

/// The Python member of an order status.
#[inline]
pub(crate) fn order_status_member(py: Python<'_>, status: OrderStatus) -> PyResult<Py<PyAny>> {
    member(py, &enumerations(py)?.order_status, &ORDER_STATUSES, &status)
}

/// The Python member of a quote status.
#[inline]
pub(crate) fn quote_status_member(py: Python<'_>, status: QuoteStatus) -> PyResult<Py<PyAny>> {
    member(py, &enumerations(py)?.quote_status, &QUOTE_STATUSES, &status)
}
