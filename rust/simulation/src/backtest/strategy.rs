//! Whatever quotes: the engine, or a user's own code.

use hypermm_core::engine::QuoteEngine;
use hypermm_core::error::{Error, Result};
use hypermm_core::event::{AccountEvent, MarketEvent};
use hypermm_core::instrument::Instrument;
use hypermm_core::pricing::decision::Decision;
use hypermm_core::types::{Identifier, TimestampNs};

use crate::market::recording::at_row;
use crate::venue::gateway::VenueOrder;

/// Whatever quotes: the engine, or a user's own code judged by the same venue.
pub trait Strategy {
    /// What its calls may fail with.
    type Error: From<Error>;

    /// The market moved.
    ///
    /// # Errors
    /// Ends the run.
    fn on_event(&mut self, time_ns: TimestampNs, event: &MarketEvent<'_>) -> std::result::Result<(), Self::Error>;

    /// An order of ours changed or traded.
    ///
    /// # Errors
    /// Ends the run.
    fn on_account(&mut self, time_ns: TimestampNs, event: &AccountEvent) -> std::result::Result<(), Self::Error>;

    /// An order of ours has a new status; the venue knows price and size exactly.
    ///
    /// # Errors
    /// Ends the run.
    #[inline]
    fn on_order(
        &mut self,
        time_ns: TimestampNs,
        order: &VenueOrder,
        instrument: &Instrument,
    ) -> std::result::Result<(), Self::Error> {
        let event = AccountEvent::Order {
            order_id: Identifier::Number(order.id),
            status: order.status,
            side: order.side,
            price: instrument.price_to_f64(order.price),
            remaining_size: instrument.lots_to_f64(order.known_remaining),
            original_size: None,
        };
        self.on_account(time_ns, &event)
    }

    /// Writes the wanted ladder: exact prices and lots, best level first, `len` levels a side.
    ///
    /// # Errors
    /// Ends the run.
    fn quote(&mut self, time_ns: TimestampNs, decision: &mut Decision) -> std::result::Result<(), Self::Error>;

    /// Size of one order, contracts, where the strategy has such a thing.
    fn clip(&self) -> Option<f64> {
        None
    }

    /// Says which row of the recording a refused event stood in.
    fn locate(error: Self::Error, _stream: &'static str, _row: usize) -> Self::Error {
        error
    }
}

impl Strategy for QuoteEngine {
    type Error = Error;

    #[inline]
    fn on_event(&mut self, time_ns: TimestampNs, event: &MarketEvent<'_>) -> Result<()> {
        self.handle(time_ns, event)
    }

    #[inline]
    fn on_account(&mut self, time_ns: TimestampNs, event: &AccountEvent) -> Result<()> {
        match event {
            AccountEvent::Order { order_id, status, side, price, remaining_size, original_size } => {
                self.on_order(time_ns, order_id, *status, *side, *price, *remaining_size, *original_size)
            }
            AccountEvent::Fill { side, price, size, order_id, fill_id, fee } => {
                self.on_fill(time_ns, *side, *price, *size, order_id.as_ref(), fill_id.as_ref(), *fee).map(|_| ())
            }
            AccountEvent::Position { position, entry_price } => {
                self.on_position(time_ns, *position, *entry_price).map(|_| ())
            }
            AccountEvent::Quota { requests_remaining, requests_last_day } => {
                self.on_quota(time_ns, *requests_remaining, *requests_last_day)
            }
        }
    }

    #[inline]
    fn on_order(&mut self, time_ns: TimestampNs, order: &VenueOrder, _: &Instrument) -> Result<()> {
        let id = Identifier::Number(order.id);
        self.on_exact_order(time_ns, &id, order.status, order.side, order.price, order.known_remaining)
    }

    #[inline]
    fn quote(&mut self, time_ns: TimestampNs, decision: &mut Decision) -> Result<()> {
        Self::quote(self, time_ns, decision)
    }

    fn clip(&self) -> Option<f64> {
        Self::clip(self)
    }

    fn locate(error: Error, stream: &'static str, row: usize) -> Error {
        at_row(stream, row, error)
    }
}
