//! Everything learned so far under its name, for dashboards, logs and tests; nothing here is used in pricing.

use crate::config::EngineConfig;
use crate::estimators::market_model::MarketModel;
use crate::features::flow::FLOW_WINDOWS_S;
use crate::pricing::prepared::Prepared;
use crate::types::TimestampNs;

/// Names and values of every estimate as of `now_ns`, units in the names or below; what was never heard is left out.
///
/// Drift in bps/s, variances in (bps/s)², volatilities in bps/√s, rates and intensities in 1/s, decays in 1/bps. `flow_imbalance_*` is
/// + when sells dominate, `trend_*` are bullish positive.
#[must_use]
pub fn readings(
    model: &MarketModel,
    config: &EngineConfig,
    funding_interval_s: f64,
    now_ns: TimestampNs,
) -> Vec<(&'static str, f64)> {
    let prepared = Prepared::new(config, model.estimates(now_ns), funding_interval_s);
    let estimates = &prepared.estimates;
    let (drift, variance) = model.drift().at(now_ns);
    let trend = model.trend();
    let mut readings = vec![
        ("drift_bps_per_s", drift),
        ("drift_variance", variance),
        ("drift_stationary_variance", estimates.stationary_variance),
        ("drift_scale", model.drift_scale()),
        ("volatility", estimates.volatility),
        ("effective_volatility", estimates.effective_volatility),
        ("volatility_ratio", model.volatility_ratio()),
        ("excess_kurtosis", estimates.excess_kurtosis),
        ("bid_arrival_rate", estimates.arrival_rates[0]),
        ("ask_arrival_rate", estimates.arrival_rates[1]),
        ("bid_toxicity", estimates.toxicities[0]),
        ("ask_toxicity", estimates.toxicities[1]),
        ("bid_learned_adverse_selection_bps", estimates.learned_adverse_selection_bps[0]),
        ("ask_learned_adverse_selection_bps", estimates.learned_adverse_selection_bps[1]),
        ("bid_depth_decay", estimates.depth_decays[0]),
        ("ask_depth_decay", estimates.depth_decays[1]),
        ("bid_intensity", estimates.intensities[0]),
        ("ask_intensity", estimates.intensities[1]),
        ("reach_threshold_bps", model.reach_threshold_bps()),
        ("horizon_s", prepared.horizon_s),
        ("validity", prepared.validity),
        ("validity_factor", prepared.validity_factor),
        ("trend_10s_bps", trend.returns_bps[0]),
        ("trend_60s_bps", trend.returns_bps[1]),
        ("trend_300s_bps", trend.returns_bps[2]),
        ("trend_agreement", trend.agreement),
        ("trend_continuation", trend.continuation),
        ("trend_score", trend.score),
        ("funding_forecast_bps", model.funding().forecast_bps(now_ns)),
        ("log_risk_aversion_shift", estimates.log_risk_aversion_shift),
    ];
    const FLOW_NAMES: [&str; FLOW_WINDOWS_S.len()] =
        ["flow_imbalance_5s", "flow_imbalance_30s", "flow_imbalance_120s", "flow_imbalance_300s"];
    for (window, name) in FLOW_NAMES.into_iter().enumerate() {
        readings.push((name, model.flow().reading(window, now_ns).imbalance()));
    }
    const REGIME_NAMES: [&str; 4] = ["regime_quiet", "regime_normal", "regime_volatile", "regime_cascade"];
    readings.extend(REGIME_NAMES.into_iter().zip(estimates.regime_probabilities));
    let sizes = ["bid_mean_event_size", "ask_mean_event_size"].into_iter().zip(estimates.mean_event_sizes);
    readings.extend(sizes.filter_map(|(name, size)| size.map(|size| (name, size))));
    readings.extend(model.funding().z_score(now_ns).map(|score| ("funding_z_score", score)));
    readings
}
