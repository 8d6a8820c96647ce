//! What pricing reads of everything learned.

/// Estimates at one moment; pairs are (bid, ask).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimates {
    /// b_b, b_a: adverse move of our fills beyond what is foreseen, bps.
    pub learned_adverse_selection_bps: [f64; 2],
    /// P∞, (bps/s)².
    pub stationary_variance: f64,
    /// κ_μ, 1/s.
    pub mean_reversion_per_s: f64,
    /// σ, bps/√s.
    pub volatility: f64,
    /// σ_eff, bps/√s.
    pub effective_volatility: f64,
    /// Excess kurtosis of 1 s returns.
    pub excess_kurtosis: f64,
    /// Λ_b, Λ_a, 1/s.
    pub arrival_rates: [f64; 2],
    /// Toxicity against bids, against asks.
    pub toxicities: [f64; 2],
    /// k_b, k_a, 1/bps.
    pub depth_decays: [f64; 2],
    /// A_b, A_a, 1/s.
    pub intensities: [f64; 2],
    /// z̄_b, z̄_a, contracts; `None` before the first event of that side.
    pub mean_event_sizes: [Option<f64>; 2],
    /// Posterior of quiet, normal, volatile, cascade; 0 until regimes are learned.
    pub regime_probabilities: [f64; 4],
    /// ln γ₀ − ln γ_base of the log-additive risk aversion; 0 until its coefficients are learned.
    pub log_risk_aversion_shift: f64,
}
