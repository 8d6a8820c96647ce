//! The public tape, joined into aggressor events: all prints of one venue timestamp and one side.

use serde::{Deserialize, Serialize};

use crate::types::{Side, TimestampNs};

/// The aggressor event under way or just ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AggressorEvent {
    /// Venue timestamp, or receive time where that is unknown.
    pub key_ns: TimestampNs,
    /// Receive time of its first print.
    pub first_ns: TimestampNs,
    /// Receive time of its last print.
    pub last_ns: TimestampNs,
    /// Side of the aggressor.
    pub side: Side,
    /// Mid price before it.
    pub mid_before: Option<f64>,
    /// Furthest price reached, units.
    pub worst_units: i64,
    /// Furthest price reached.
    pub worst_price: f64,
    /// Contracts.
    pub size: f64,
}

/// What a print did to the tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TapeChange {
    /// It began a new aggressor event.
    Begun,
    /// It joined the event under way.
    Joined,
}

/// Last aggressor event of each aggressor side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tape {
    last: [Option<AggressorEvent>; 2],
}

impl Tape {
    /// Adds one checked print.
    #[allow(clippy::too_many_arguments, reason = "a print has this many facts")]
    pub fn apply(
        &mut self,
        now_ns: TimestampNs,
        key_ns: TimestampNs,
        side: Side,
        units: i64,
        price: f64,
        size: f64,
        mid: Option<f64>,
    ) -> TapeChange {
        let slot = &mut self.last[side.index()];
        if let Some(event) = slot
            && event.key_ns == key_ns
        {
            let further = match side {
                Side::Buy => units > event.worst_units,
                Side::Sell => units < event.worst_units,
            };
            if further {
                event.worst_units = units;
                event.worst_price = price;
            }
            event.size += size;
            event.last_ns = now_ns;
            return TapeChange::Joined;
        }
        *slot = Some(AggressorEvent {
            key_ns,
            first_ns: now_ns,
            last_ns: now_ns,
            side,
            mid_before: mid,
            worst_units: units,
            worst_price: price,
            size,
        });
        TapeChange::Begun
    }

    /// The last event whose aggressor took `side`.
    #[must_use]
    pub fn last(&self, side: Side) -> Option<&AggressorEvent> {
        self.last[side.index()].as_ref()
    }
}
