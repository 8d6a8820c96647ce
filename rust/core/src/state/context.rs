//! Mark, oracle and open interest as last heard.

use serde::{Deserialize, Serialize};

use crate::error::{Result, invalid_input, require_finite, require_positive};
use crate::event::Context;
use crate::types::{COARSER_HINT, is_coarser_than};

/// Contract context; `None` = never heard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ContextState {
    /// Mark price.
    pub mark_price: Option<f64>,
    /// Oracle price.
    pub oracle_price: Option<f64>,
    /// Open interest, contracts.
    pub open_interest: Option<f64>,
}

impl ContextState {
    /// Checks a context event.
    ///
    /// # Errors
    /// Prices that are not positive, rates that are not finite or above 100 % an interval, a settlement before `now_ns`.
    pub fn check(now_ns: i64, context: &Context) -> Result<()> {
        if let Some(price) = context.mark_price {
            require_positive("mark_price", price)?;
        }
        if let Some(price) = context.oracle_price {
            require_positive("oracle_price", price)?;
        }
        for (field, rate) in [("funding_rate", context.funding_rate), ("predicted_funding", context.predicted_funding)]
        {
            if let Some(rate) = rate {
                require_finite(field, rate)?;
                if rate.abs() > 1.0 {
                    return Err(invalid_input(
                        field,
                        rate,
                        "a fraction per funding interval, |rate| ≤ 1",
                        "1 bp is 0.0001",
                    ));
                }
            }
        }
        if let Some(interest) = context.open_interest
            && !(interest >= 0.0 && interest.is_finite())
        {
            return Err(invalid_input("open_interest", interest, "a finite number ≥ 0", ""));
        }
        if let Some(settlement) = context.next_settlement_ns
            && settlement <= now_ns
        {
            let hint = if is_coarser_than(settlement, now_ns) {
                COARSER_HINT
            } else {
                "the venue may publish the settlement already past: add the interval"
            };
            let expected = format!("a time after the event's, {now_ns}");
            return Err(invalid_input("next_settlement_ns", settlement, expected, hint));
        }
        Ok(())
    }

    /// Takes over the news of a checked event.
    pub fn apply(&mut self, context: &Context) {
        self.mark_price = context.mark_price.or(self.mark_price);
        self.oracle_price = context.oracle_price.or(self.oracle_price);
        self.open_interest = context.open_interest.or(self.open_interest);
    }
}
