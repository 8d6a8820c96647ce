//! Strategies as a run plays them: ours, and any Python object.

use std::cell::Cell;

use hypermm_core::config::MAX_LEVELS;
use hypermm_core::error::{Error, invalid_input};
use hypermm_core::event::{AccountEvent, MarketEvent};
use hypermm_core::instrument::Instrument;
use hypermm_core::pricing::decision::{Decision, QuoteSide};
use hypermm_core::types::{QuoteStatus, TimestampNs};
use hypermm_simulation::backtest::strategy::Strategy;
use hypermm_simulation::market::recording::at_row;
use hypermm_simulation::venue::gateway::VenueOrder;
use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::decision::PyDecision;
use crate::engine::PyQuoteEngine;
use crate::error::{from_core, invalid_input as refuse_argument};
use crate::event::PyEvent;
use crate::input::floats;

const STRATEGY: &str = "an object with methods on_event(event) and quote(time_ns)";
const ANSWER: &str = "a Decision, None, or an object with bids and asks";
const LADDER: &str = "an object with prices and sizes, best level first; empty ones for no quotes";

/// Why a run ended early.
pub(crate) enum Ended {
    Refused(Error),
    /// A row of a stream was refused.
    RefusedRow(Error, &'static str, usize),
    Raised(PyErr),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<PyErr> for Ended {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

/// For a market that is drawn: it has no file to name.
impl From<Ended> for PyErr {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Raised(error) => error,
            Ended::Refused(error) | Ended::RefusedRow(error, ..) => from_core(&error),
        }
    }
}

impl Ended {
    /// As an exception; a recording that was read from files says which line a refused row stood in.
    pub(crate) fn into_exception(self, recording: &Bound<'_, PyAny>) -> PyErr {
        match self {
            Self::Refused(error) => from_core(&error),
            Self::RefusedRow(error, stream, row) => match source_of(recording, stream, row, &error.detail().field) {
                Some(place) => from_core(&error.at_place(&place)),
                None => from_core(&at_row(stream, row, error)),
            },
            Self::Raised(error) => error,
        }
    }
}

/// File and line of a row, from a recording that knows them.
fn source_of(recording: &Bound<'_, PyAny>, stream: &str, row: usize, field: &str) -> Option<String> {
    let place = recording.call_method1("source_of", (stream, row, field)).ok()?.extract::<String>().ok()?;
    (!place.is_empty()).then_some(place)
}

/// A strategy of ours, stopped by what the progress function raises or by Ctrl-C.
pub(crate) struct Watched<'a, S> {
    pub(crate) inner: S,
    pub(crate) failure: &'a Cell<Option<PyErr>>,
}

impl<S: Strategy<Error = Error>> Strategy for Watched<'_, S> {
    type Error = Ended;

    #[inline]
    fn on_event(&mut self, time_ns: TimestampNs, event: &MarketEvent<'_>) -> Result<(), Ended> {
        Ok(self.inner.on_event(time_ns, event)?)
    }

    #[inline]
    fn on_account(&mut self, time_ns: TimestampNs, event: &AccountEvent) -> Result<(), Ended> {
        Ok(self.inner.on_account(time_ns, event)?)
    }

    #[inline]
    fn on_order(&mut self, time_ns: TimestampNs, order: &VenueOrder, instrument: &Instrument) -> Result<(), Ended> {
        Ok(self.inner.on_order(time_ns, order, instrument)?)
    }

    #[inline]
    fn quote(&mut self, time_ns: TimestampNs, decision: &mut Decision) -> Result<(), Ended> {
        if let Some(failure) = self.failure.take() {
            return Err(Ended::Raised(failure));
        }
        Ok(self.inner.quote(time_ns, decision)?)
    }

    fn clip(&self) -> Option<f64> {
        self.inner.clip()
    }

    fn locate(error: Ended, stream: &'static str, row: usize) -> Ended {
        match error {
            Ended::Refused(error) => Ended::RefusedRow(error, stream, row),
            other => other,
        }
    }
}

/// Any Python object with `on_event(event)` and `quote(time_ns)`.
pub(crate) struct PythonStrategy<'a, 'py> {
    pub(crate) object: Bound<'py, PyAny>,
    pub(crate) instrument: &'a Instrument,
    pub(crate) failure: &'a Cell<Option<PyErr>>,
}

impl Strategy for PythonStrategy<'_, '_> {
    type Error = Ended;

    fn on_event(&mut self, time_ns: TimestampNs, event: &MarketEvent<'_>) -> Result<(), Ended> {
        self.object.call_method1("on_event", (PyEvent::of_market(time_ns, event),))?;
        Ok(())
    }

    fn on_account(&mut self, time_ns: TimestampNs, event: &AccountEvent) -> Result<(), Ended> {
        self.object.call_method1("on_event", (PyEvent::of_account(time_ns, event),))?;
        Ok(())
    }

    fn quote(&mut self, time_ns: TimestampNs, decision: &mut Decision) -> Result<(), Ended> {
        if let Some(failure) = self.failure.take() {
            return Err(Ended::Raised(failure));
        }
        let answer = self.object.call_method1("quote", (time_ns,))?;
        if let Ok(ours) = answer.cast::<PyDecision>() {
            decision.clone_from(&ours.get().inner);
            return Ok(());
        }
        decision.time_ns = time_ns;
        decision.status = QuoteStatus::Quoting;
        decision.bids.len = 0;
        decision.asks.len = 0;
        if answer.is_none() {
            return Ok(());
        }
        let refuse = || refuse_argument("quote()", &answer, ANSWER, "each side has prices and sizes");
        let bids = answer.getattr_opt("bids")?.ok_or_else(refuse)?;
        let asks = answer.getattr_opt("asks")?.ok_or_else(refuse)?;
        write_side(BIDS, &bids, self.instrument, &mut decision.bids)?;
        write_side(ASKS, &asks, self.instrument, &mut decision.asks)
    }

    /// A strategy may say the size of one order by an attribute `clip`.
    fn clip(&self) -> Option<f64> {
        self.object.getattr("clip").ok()?.extract().ok()
    }
}

/// A side of a user's ladder with the names of its columns.
type Named = (&'static str, [&'static str; 2]);
const BIDS: Named = ("bids", ["bids.prices", "bids.sizes"]);
const ASKS: Named = ("asks", ["asks.prices", "asks.sizes"]);

/// Reads prices and sizes of one side of a user's ladder.
fn write_side(
    (field, [price_field, size_field]): Named,
    given: &Bound<'_, PyAny>,
    instrument: &Instrument,
    side: &mut QuoteSide,
) -> Result<(), Ended> {
    let refuse = || refuse_argument(field, given, LADDER, "");
    let prices = floats(price_field, &given.getattr_opt("prices")?.ok_or_else(refuse)?)?;
    let sizes = floats(size_field, &given.getattr_opt("sizes")?.ok_or_else(refuse)?)?;
    if prices.len() != sizes.len() || prices.len() > MAX_LEVELS {
        let found = format!("{} prices, {} sizes", prices.len(), sizes.len());
        return Err(invalid_input(field, found, format!("as many of both, at most {MAX_LEVELS}"), "").into());
    }
    for (level, (price, size)) in prices.iter().zip(sizes.iter()).enumerate() {
        let at_level = |error: Error| error.at_index(level, &[]);
        side.price_units[level] = instrument.price_from_f64(price_field, *price).map_err(at_level)?;
        side.lots[level] = instrument.lots_from_f64(size_field, *size).map_err(at_level)?;
        side.prices[level] = *price;
        side.sizes[level] = *size;
        // A ladder of prices and sizes alone expects nothing that could be held against its fills.
        side.expected_edge_bps[level] = f64::NAN;
        side.expected_pnl_bps[level] = f64::NAN;
        side.fill_probability[level] = f64::NAN;
    }
    side.len = prices.len();
    Ok(())
}

/// Refuses what has not both methods; a bare engine has `quote` only.
pub(crate) fn check_strategy(object: &Bound<'_, PyAny>) -> PyResult<()> {
    let hint = if object.is_instance_of::<PyQuoteEngine>() {
        "leave strategy out to run our own engine, or wrap yours: on_event calls event.apply(engine), quote returns \
         engine.quote(time_ns)"
    } else if object.cast::<PyType>().is_ok() {
        "this is a class: give an object of it"
    } else {
        ""
    };
    for name in ["on_event", "quote"] {
        let callable = object.getattr_opt(name)?.is_some_and(|method| method.is_callable());
        if !callable || !hint.is_empty() {
            return Err(refuse_argument("strategy", object, STRATEGY, hint));
        }
    }
    Ok(())
}
