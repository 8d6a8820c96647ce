//! Joins the tape with our own fills into evidence on reach, MODEL.md section 2: an event whose last taking was our own order is
//! right-censored there.

use serde::{Deserialize, Serialize};

use super::depth_decay::{DepthDecay, Evidence};
use crate::state::tape::AggressorEvent;
use crate::types::{BPS, Side, TimestampNs};

// Prints and our own fill of one event come on two streams; they belong together within this.
const SAME_EVENT_NS: i64 = 1_000_000_000;

/// Reach of an aggressor event: distance of its worst print from the mid before it, bps; `None` without that mid.
#[must_use]
pub fn reach_bps(event: &AggressorEvent) -> Option<f64> {
    let mid = event.mid_before?;
    let distance = match event.side {
        Side::Buy => event.worst_price - mid,
        Side::Sell => mid - event.worst_price,
    };
    Some(distance / mid * BPS)
}

/// Whether a fill of ours told at `time_ns` can be the work of this event.
#[must_use]
pub fn belongs_to(event: &AggressorEvent, time_ns: TimestampNs) -> bool {
    time_ns - event.last_ns <= SAME_EVENT_NS && event.first_ns - time_ns <= SAME_EVENT_NS
}

/// Keeps the evidence of the event under way on one side revisable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReachTracker {
    under_way: Evidence,
    threshold_bps: f64,
    own_fill: Option<(TimestampNs, i64)>,
    // Where an order of ours cut the event under way off: later fills elsewhere do not undo that, prints beyond it do.
    censored_units: Option<i64>,
}

impl ReachTracker {
    /// A print began (`begun`) or joined the event.
    pub fn on_print(&mut self, decay: &mut DepthDecay, event: &AggressorEvent, begun: bool, threshold_bps: f64) {
        if begun {
            self.under_way = Evidence::default();
            self.threshold_bps = threshold_bps;
            self.censored_units = None;
        }
        self.revise(decay, event);
    }

    /// An order of ours on this side traded at `units`.
    pub fn on_own_fill(
        &mut self,
        decay: &mut DepthDecay,
        now_ns: TimestampNs,
        units: i64,
        event: Option<&AggressorEvent>,
    ) {
        self.own_fill = Some((now_ns, units));
        if let Some(event) = event {
            self.revise(decay, event);
        }
    }

    fn revise(&mut self, decay: &mut DepthDecay, event: &AggressorEvent) {
        let Some(reach) = reach_bps(event) else { return };
        let took_ours_last =
            self.own_fill.is_some_and(|(time_ns, units)| units == event.worst_units && belongs_to(event, time_ns));
        if took_ours_last {
            self.censored_units = Some(event.worst_units);
        }
        let censored = self.censored_units == Some(event.worst_units);
        let evidence = Evidence::of(reach, self.threshold_bps, censored);
        if evidence != self.under_way {
            let now_ns = event.last_ns.max(self.own_fill.map_or(event.last_ns, |(time_ns, _)| time_ns));
            decay.revise(now_ns, self.under_way, evidence);
            self.under_way = evidence;
        }
    }
}
