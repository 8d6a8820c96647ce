//! The part of pricing that changes only when the market teaches something: computed once per print or whole second, not per quote.

use std::sync::OnceLock;

use super::costs::toxic_adverse_selection;
use super::reservation::{drift_horizon, flow_shift, half_spread};
use super::risk::{glft_power, horizon, validity};
use crate::config::EngineConfig;
use crate::estimators::drift::{displacement_variance, expected_time};
use crate::estimators::estimates::Estimates;
use crate::online::lanes::exp;

/// Horizon of the cash edge reported with each level, seconds.
pub const EDGE_HORIZON_S: f64 = 10.0;

/// Estimates and everything that follows from them and the settings alone.
#[derive(Clone, Copy, Debug)]
pub struct Prepared {
    /// The estimates as of the last print or whole second.
    pub estimates: Estimates,
    /// (1/γ₀)ln(1 + γ₀/k) of bid, ask.
    pub half_spread: [f64; 2],
    /// The same at the mean k.
    pub mean_half_spread: f64,
    /// τ, seconds.
    pub horizon_s: f64,
    /// τ_D, seconds.
    pub drift_horizon_s: f64,
    /// T(τ), seconds.
    pub horizon_time_s: f64,
    /// v(τ) at P = 0, bps².
    pub base_variance: f64,
    /// a of the closed form's validity.
    pub validity: f64,
    /// s_a.
    pub validity_factor: f64,
    /// F, bps.
    pub flow: f64,
    /// AS_b, AS_a, bps.
    pub adverse_selection: [f64; 2],
    /// T(10 s), seconds.
    pub edge_time_s: f64,
    /// 1/(1 − e^{−I/τ}).
    pub settlement_scale: f64,
}

impl Prepared {
    /// Sections 3 to 5 and 9 as far as they do not depend on position, drift or book.
    #[must_use]
    pub fn new(config: &EngineConfig, estimates: Estimates, funding_interval_s: f64) -> Self {
        let gamma = config.risk_aversion;
        let [bid_decay, ask_decay] = estimates.depth_decays;
        let mean_decay = 0.5 * (bid_decay + ask_decay);
        let intensity = (estimates.intensities[0] * estimates.intensities[1]).sqrt();
        let mean_half_spread = half_spread(gamma, mean_decay);
        let power = glft_power(mean_decay, gamma, mean_half_spread);
        let volatility = estimates.volatility;
        let tau = horizon(volatility, mean_decay, intensity, gamma, power, config.horizon_min_s, config.horizon_max_s);
        let (validity, validity_factor) = validity(volatility, mean_decay, intensity, gamma, power);
        let kappa = estimates.mean_reversion_per_s;
        let base_variance =
            displacement_variance(kappa, estimates.stationary_variance, 0.0, estimates.effective_volatility, tau);
        let flow = flow_shift(
            estimates.arrival_rates,
            estimates.depth_decays,
            mean_half_spread,
            tau,
            config.flow_shift_memory_s,
        );
        Self {
            estimates,
            half_spread: estimates.depth_decays.map(|decay| half_spread(gamma, decay)),
            mean_half_spread,
            horizon_s: tau,
            drift_horizon_s: drift_horizon(tau, validity),
            horizon_time_s: expected_time(kappa, tau),
            base_variance,
            validity,
            validity_factor,
            flow,
            adverse_selection: [0, 1].map(|side| {
                let foreseen = toxic_adverse_selection(config, &estimates, side);
                foreseen + estimates.learned_adverse_selection_bps[side]
            }),
            edge_time_s: expected_time(kappa, EDGE_HORIZON_S),
            settlement_scale: 1.0 / (1.0 - exp(-funding_interval_s / tau)),
        }
    }
}

/// Remembers a value until the state it follows from changes. It is no part of the state: two engines are equal whatever they remember.
#[derive(Debug, Default)]
pub struct Memo(OnceLock<Prepared>);

impl Memo {
    /// The remembered value, made now if there is none.
    #[inline]
    pub fn get_or_make(&self, make: impl FnOnce() -> Prepared) -> &Prepared {
        self.0.get_or_init(make)
    }

    /// Forgets.
    #[inline]
    pub fn forget(&mut self) {
        self.0.take();
    }
}

impl Clone for Memo {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Memo {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
