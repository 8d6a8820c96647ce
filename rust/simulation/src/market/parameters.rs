//! Parameters of the synthetic market, defined once: this table makes the struct, its checks and its rows by name, so
//! that presets, scenarios and fits speak of the same numbers.

use hypermm_core::error::{Result, invalid_input, shortest};

/// One row of the parameter table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// Key.
    pub name: &'static str,
    /// Unit; "1" for a pure number.
    pub unit: &'static str,
    /// Smallest legal value.
    pub low: f64,
    /// Largest legal value.
    pub high: f64,
    /// What it is.
    pub text: &'static str,
}

macro_rules! market_parameters {
    ($( $name:ident, $unit:literal, $low:expr => $high:expr, $text:literal; )*) => {
        /// Every number the synthetic market is made of. Read [`MarketParameters::TABLE`] for units and ranges.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct MarketParameters {
            $( #[doc = $text] #[doc = concat!("\n\nUnit: ", $unit, ".")] pub $name: f64, )*
        }

        impl MarketParameters {
            /// The rows, in declaration order.
            pub const TABLE: &'static [Parameter] = &[
                $( Parameter { name: stringify!($name), unit: $unit, low: $low, high: $high, text: $text }, )*
            ];

            /// Value of the parameter called `name`; `None` for an unknown name.
            #[must_use]
            pub fn get(&self, name: &str) -> Option<f64> {
                match name {
                    $( stringify!($name) => Some(self.$name), )*
                    _ => None,
                }
            }

            fn slot(&mut self, name: &str) -> Option<&mut f64> {
                match name {
                    $( stringify!($name) => Some(&mut self.$name), )*
                    _ => None,
                }
            }
        }
    };
}

market_parameters! {
    start_price, "quote currency", 1e-6 => 1e9, "First fair price";
    volatility_bps, "bps/√s", 1e-3 => 1e3, "σ of the fair price at 10 s: diffusion, drift, jumps and regimes together";
    stickiness_bps, "bps", 0.0 => 100.0, "How far the efficient price leaves the fair price before the fair price follows at once";
    follow_share, "1", 0.0 => 1.0, "How much of the stickiness it then closes; what is left makes the next move likely to go the same way";
    drift_reversion_per_s, "1/s", 1e-5 => 10.0, "κ of the latent drift";
    drift_deviation_bps_per_s, "bps/s", 0.0 => 100.0, "Stationary deviation √P∞ of the latent drift";
    jump_rate_per_hour, "1/h", 0.0 => 3600.0, "Jumps of the efficient price";
    jump_deviation_bps, "bps", 0.0 => 1e3, "Deviation of a jump";
    quiet_dwell_s, "s", 1.0 => 1e7, "Mean stay in the quiet regime";
    normal_dwell_s, "s", 1.0 => 1e7, "Mean stay in the normal regime";
    volatile_dwell_s, "s", 1.0 => 1e7, "Mean stay in the volatile regime";
    cascade_dwell_s, "s", 1.0 => 1e7, "Mean stay in the cascade regime";
    quiet_volatility, "1", 1e-3 => 100.0, "Diffusion of the quiet regime over that of the normal one";
    volatile_volatility, "1", 1e-3 => 100.0, "Diffusion of the volatile regime over that of the normal one";
    cascade_volatility, "1", 1e-3 => 100.0, "Diffusion of the cascade regime over that of the normal one";
    quiet_activity, "1", 1e-3 => 100.0, "Speed of aggressive flow in the quiet regime over that in the normal one";
    volatile_activity, "1", 1e-3 => 100.0, "Speed of aggressive flow in the volatile regime over that in the normal one";
    cascade_activity, "1", 1e-3 => 100.0, "Speed of aggressive flow in the cascade regime over that in the normal one";
    half_spread_bps, "bps", 1e-3 => 100.0, "Least distance of passive quotes from the fair price, before rounding away from it";
    touch_orders, "1", 1.0 => 100.0, "Orders of a side that stand at its best price";
    near_levels, "1", 1.0 => 1000.0, "Prices of a side spaced near the touch";
    level_orders, "1", 1.0 => 100.0, "Orders at each of them";
    touch_presence, "1", 0.01 => 1.0, "Share of near and touch orders that stand, at the fair price; deep in the book all do";
    near_spacing_ticks, "ticks", 1.0 => 1e4, "Their spacing, whole price increments";
    far_levels, "1", 0.0 => 1000.0, "Orders of a side spaced wider, from the touch out";
    far_spacing_bps, "bps", 1e-3 => 1e3, "Their spacing";
    touch_size, "contracts", 1e-9 => 1e12, "Median size of an order at the touch";
    level_size, "contracts", 1e-9 => 1e12, "Median size of an order extrapolated to the fair price";
    size_growth_per_bps, "1/bps", 0.0 => 100.0, "Linear growth of the median size with distance from the fair price";
    far_size, "1", 1e-6 => 1e6, "Median size of an order spaced wider over that of one spaced near";
    size_deviation, "1", 0.0 => 4.0, "Deviation of the logarithm of an order's size, deep in the book";
    touch_size_deviation, "1", 0.0 => 4.0, "The same at the fair price";
    thinness_bps, "bps", 1e-3 => 1e3, "Distance over which the one becomes the other; presence and thinning fade over it too";
    lifetime_s, "s", 1e-2 => 1e6, "Mean life of an order at or near the touch";
    far_lifetime_s, "s", 1e-2 => 1e6, "Mean life of an order spaced wider";
    replenish_s, "s", 1e-3 => 1e6, "Mean time until a filled order is replaced";
    reaction_s, "s", 1e-4 => 1e3, "Mean time until a maker moves a quote the fair price has left";
    thinning, "1", 0.0 => 20.0, "Log size that quotes at the fair price lack when the efficient price is about to run through them";
    tilt_pressure, "1", -20.0 => 20.0, "Log size of new bids over asks by where the efficient price stands in its band, −1 to 1";
    tilt_drift, "1", -5.0 => 5.0, "Log size of new bids over asks by the latent drift in deviations";
    tilt_flow, "1", -5.0 => 5.0, "Log size of new bids over asks by past aggressive flow, −1 to 1";
    flow_memory_s, "s", 1e-2 => 1e5, "Memory of past aggressive flow";
    event_rate_per_s, "1/s", 0.0 => 1e4, "Self-exciting aggressor events of both sides in the normal regime";
    self_excitation, "1", 0.0 => 0.99, "Events an event begets on its own side";
    cross_excitation, "1", 0.0 => 0.99, "Events an event begets on the other side";
    excitation_decay_per_s, "1/s", 1e-4 => 1e4, "Decay of excitation";
    depth_decay_per_bps, "1/bps", 1e-3 => 100.0, "k of an event's reach beyond the touch";
    event_size, "contracts", 1e-9 => 1e12, "Median size of an aggressor event";
    event_size_deviation, "1", 0.0 => 5.0, "Deviation of its logarithm";
    sweep_share, "1", 0.0 => 1.0, "Share of events that take everything within their reach";
    informed_rate_per_s, "1/s", 0.0 => 1e4, "Informed takers at a signal of one";
    informed_size, "contracts", 1e-9 => 1e12, "Median size of an informed taker";
    informed_sweep_share, "1", 0.0 => 1.0, "Share of informed takers that take everything within their reach";
    informed_by_drift, "1", 0.0 => 10.0, "Weight of the latent drift, in deviations, in the signal";
    informed_by_pressure, "1", 0.0 => 10.0, "Weight of where the efficient price stands in its band, −1 to 1";
    arbitrage_margin_bps, "bps", 0.0 => 100.0, "How far beyond the fair price a quote must stand to be hit";
    arbitrage_reaction_s, "s", 0.0 => 10.0, "How long the fair price must have been there";
    liquidation_trigger_bps, "bps", 1e-3 => 1e4, "Move against its own mean of the liquidation window that starts a cascade";
    liquidation_window_s, "s", 1e-1 => 1e5, "Memory of that mean";
    liquidation_size, "contracts", 1e-9 => 1e12, "Size of the first order of a cascade";
    liquidation_decay, "1", 0.0 => 0.99, "Size of each order over the one before";
    liquidation_orders, "1", 0.0 => 1000.0, "Mean number of orders in a cascade";
    liquidation_interval_s, "s", 1e-3 => 1e4, "Mean time between them";
    liquidation_impact_bps, "bps", 0.0 => 100.0, "How far each pushes the efficient price";
    premium_mean, "1 per 8 h", -0.1 => 0.1, "Mean premium of the contract over its oracle";
    premium_deviation, "1 per 8 h", 0.0 => 0.1, "Stationary deviation of the premium";
    premium_reversion_per_hour, "1/h", 1e-4 => 3600.0, "Mean reversion of the premium";
}

/// Parameters that count orders or price increments.
const WHOLE: [&str; 5] = ["touch_orders", "near_levels", "level_orders", "near_spacing_ticks", "far_levels"];
/// A process that begets more than this many events each has no mean rate to speak of.
const MAX_BRANCHING: f64 = 0.99;

/// Passive quotes reach at most this far from the fair price.
const MAX_WINDOW_BPS: f64 = 5_000.0;

impl MarketParameters {
    /// The same parameters with some replaced, checked together.
    ///
    /// # Errors
    /// [`hypermm_core::error::Error::InvalidInput`] for an unknown name or an illegal value.
    pub fn with(mut self, changes: &[(&str, f64)]) -> Result<Self> {
        for (name, value) in changes {
            let Some(slot) = self.slot(name) else {
                let names: Vec<_> = Self::TABLE.iter().map(|row| row.name).collect();
                return Err(invalid_input("parameter", *name, format!("one of {}", names.join(", ")), ""));
            };
            *slot = *value;
        }
        self.validate()?;
        Ok(self)
    }

    /// Checks every parameter and what they say together.
    ///
    /// # Errors
    /// [`hypermm_core::error::Error::InvalidInput`] naming the one that is out of range.
    pub fn validate(&self) -> Result<()> {
        for row in Self::TABLE {
            let value = self.get(row.name).unwrap_or(f64::NAN);
            if !(value >= row.low && value <= row.high) {
                let expected = format!("{} to {} {}", shortest(row.low), shortest(row.high), row.unit);
                return Err(invalid_input(row.name, value, expected, ""));
            }
            if WHOLE.contains(&row.name) && value.fract() != 0.0 {
                return Err(invalid_input(row.name, value, "a whole number", ""));
            }
        }
        let branching = self.self_excitation + self.cross_excitation;
        if branching > MAX_BRANCHING {
            let expected = format!("at most {MAX_BRANCHING} together with cross_excitation");
            return Err(invalid_input(
                "self_excitation",
                self.self_excitation,
                expected,
                "else every event begets more than one",
            ));
        }
        if self.far_levels * self.far_spacing_bps > MAX_WINDOW_BPS {
            let expected = format!("far_levels times far_spacing_bps at most {MAX_WINDOW_BPS} bps");
            return Err(invalid_input("far_levels", self.far_levels, expected, "bids end above a price of 0"));
        }
        if self.diffusion_bps().is_none() {
            return Err(invalid_input(
                "volatility_bps",
                self.volatility_bps,
                "more variance at 10 s than drift and jumps alone have",
                "raise it, or lower drift_deviation_bps_per_s, jump_rate_per_hour or jump_deviation_bps",
            ));
        }
        Ok(())
    }
}
