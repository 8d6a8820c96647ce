//! The strategies that have a name.

use hypermm_core::config::EngineConfig;
use hypermm_core::engine::QuoteEngine;
use hypermm_core::error::{Error, Result, invalid_input};
use hypermm_core::event::{AccountEvent, MarketEvent};
use hypermm_core::instrument::Instrument;
use hypermm_core::pricing::decision::Decision;
use hypermm_core::types::TimestampNs;

use super::plain::PlainLadder;
use super::silent::Silent;
use super::strategy::Strategy;
use crate::venue::gateway::VenueOrder;

/// Who quotes in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quoter {
    /// The engine.
    Engine,
    /// The plain ladder of the engine's base width, spacing and clip.
    Plain,
    /// Nobody.
    Silent,
}

impl Quoter {
    /// "engine", "plain" or "silent".
    ///
    /// # Errors
    /// [`hypermm_core::error::Error::InvalidInput`] for another name.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "engine" => Ok(Self::Engine),
            "plain" => Ok(Self::Plain),
            "silent" => Ok(Self::Silent),
            _ => Err(invalid_input("strategy", name, "engine, plain or silent", "")),
        }
    }

    /// The strategy itself, that has seen nothing.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] for a configuration out of range.
    pub fn strategy(self, instrument: &Instrument, config: &EngineConfig) -> Result<NamedStrategy> {
        Ok(match self {
            Self::Engine => NamedStrategy::Engine(Box::new(QuoteEngine::new(instrument.clone(), config.clone())?)),
            Self::Plain => NamedStrategy::Plain(Box::new(PlainLadder::like(instrument, config)?)),
            Self::Silent => NamedStrategy::Silent(Silent),
        })
    }
}

/// A strategy of ours, one of [`Quoter`].
#[derive(Clone, Debug)]
pub enum NamedStrategy {
    /// The engine.
    Engine(Box<QuoteEngine>),
    /// The plain ladder.
    Plain(Box<PlainLadder>),
    /// Nobody.
    Silent(Silent),
}

macro_rules! each {
    ($named:expr, $method:ident ( $($argument:expr),* )) => {
        match $named {
            NamedStrategy::Engine(engine) => <QuoteEngine as Strategy>::$method(engine, $($argument),*),
            NamedStrategy::Plain(ladder) => <PlainLadder as Strategy>::$method(ladder, $($argument),*),
            NamedStrategy::Silent(silent) => silent.$method($($argument),*),
        }
    };
}

impl Strategy for NamedStrategy {
    type Error = Error;

    #[inline]
    fn on_event(&mut self, time_ns: TimestampNs, event: &MarketEvent<'_>) -> Result<()> {
        each!(self, on_event(time_ns, event))
    }

    #[inline]
    fn on_account(&mut self, time_ns: TimestampNs, event: &AccountEvent) -> Result<()> {
        each!(self, on_account(time_ns, event))
    }

    #[inline]
    fn on_order(&mut self, time_ns: TimestampNs, order: &VenueOrder, instrument: &Instrument) -> Result<()> {
        each!(self, on_order(time_ns, order, instrument))
    }

    #[inline]
    fn quote(&mut self, time_ns: TimestampNs, decision: &mut Decision) -> Result<()> {
        each!(self, quote(time_ns, decision))
    }

    fn clip(&self) -> Option<f64> {
        each!(self, clip())
    }

    fn locate(error: Error, stream: &'static str, row: usize) -> Error {
        QuoteEngine::locate(error, stream, row)
    }
}
