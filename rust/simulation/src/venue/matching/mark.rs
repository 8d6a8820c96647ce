//! The mark price of a venue on its own.
//!
//! The median of (1) oracle + 150 s average of (mid − oracle), (2) the median of best bid, best ask and last trade, and,
//! as there are no other venues here for a third, (3) a 30 s average of (2). Averages are those of the venue:
//! num = num·e^{−t/T} + sample·t, den = den·e^{−t/T} + t.

use hypermm_core::accounting::ledger::Mark;
use hypermm_core::online::decayed::fade;
use hypermm_core::types::{Price, TimestampNs, seconds_between};

const BASIS_S: f64 = 150.0;
const LOCAL_S: f64 = 30.0;
/// Weight of the first sample: the usual time between two.
const FIRST_S: f64 = 3.0;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Average {
    weighted: f64,
    weight: f64,
}

impl Average {
    fn update(&mut self, sample: f64, elapsed_s: f64, time_constant_s: f64) {
        let kept = fade(elapsed_s, time_constant_s);
        self.weighted = self.weighted * kept + sample * elapsed_s;
        self.weight = self.weight * kept + elapsed_s;
    }

    fn value(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.weighted / self.weight)
    }
}

/// Running mark price of one contract, updated with each oracle price, about every 3 s.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MarkPrice {
    basis: Average,
    local: Average,
    last_ns: Option<TimestampNs>,
}

impl MarkPrice {
    /// The mark at a new oracle price, from the best bid, best ask and last trade of this moment.
    pub fn update(
        &mut self,
        now_ns: TimestampNs,
        oracle: Mark,
        bid: Option<Price>,
        ask: Option<Price>,
        last_trade: Option<Price>,
    ) -> Mark {
        let elapsed_s = self.last_ns.map_or(FIRST_S, |last| seconds_between(last, now_ns).max(0.0));
        self.last_ns = Some(now_ns);
        // All in half units, in which a mid is whole.
        let oracle = oracle.0 as f64;
        let doubled = |price: Option<Price>| price.map(|price| 2.0 * price.0 as f64);
        if let (Some(bid), Some(ask)) = (bid, ask) {
            self.basis.update((bid.0 + ask.0) as f64 - oracle, elapsed_s, BASIS_S);
        }
        let local = median([doubled(bid), doubled(ask), doubled(last_trade)]);
        if let Some(local) = local {
            self.local.update(local, elapsed_s, LOCAL_S);
        }
        let basis = self.basis.value().map_or(oracle, |basis| oracle + basis);
        let mark = median([Some(basis), local, self.local.value()]).unwrap_or(oracle);
        Mark((mark.round() as i64).max(1))
    }
}

/// The middle of what there is; of two, their mean.
fn median(mut samples: [Option<f64>; 3]) -> Option<f64> {
    // `None` sorts first.
    samples.sort_by(|left, right| left.partial_cmp(right).unwrap_or(std::cmp::Ordering::Equal));
    match samples {
        [Some(_), middle, Some(_)] => middle,
        [None, Some(low), Some(high)] => Some(0.5 * (low + high)),
        [_, _, only] => only,
    }
}
