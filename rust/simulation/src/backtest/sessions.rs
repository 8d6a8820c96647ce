//! A session in a market of a preset, at the matching venue.

use hypermm_core::config::EngineConfig;
use hypermm_core::error::{Result, invalid_input};
use hypermm_core::types::{BPS, NS_PER_S};

use super::matched::{MatchedOutput, MatchedSettings, run_matched};
use super::strategy::Strategy;
use crate::market::agents::synthetic::SyntheticMarket;
use crate::market::preset::MarketPreset;
use crate::market::session::START_NS;
use crate::venue::fees::FeeRates;
use crate::venue::matching::order::AssetId;

const MAX_DURATION_S: f64 = 2_592_000.0;
/// Money of the account unless said otherwise, USD.
pub const DEPOSIT_USD: f64 = 10_000.0;
/// Leverage unless said otherwise, where the contract grants it.
pub const LEVERAGE: u32 = 10;

/// Settings of a session: the preset's contract and fees, this length in seconds, the published feed kept.
///
/// # Errors
/// [`hypermm_core::error::Error::InvalidInput`] for a length outside 1 s to 30 days.
pub fn session_settings(preset: &MarketPreset, seed: u64, duration_s: f64) -> Result<MatchedSettings> {
    if !(1.0..=MAX_DURATION_S).contains(&duration_s) {
        let expected = format!("1 to {MAX_DURATION_S} s");
        return Err(invalid_input("duration_s", duration_s, expected, "half an hour is 1800"));
    }
    let leverage = LEVERAGE.min(preset.max_leverage);
    let mut settings = MatchedSettings::new(&preset.instrument()?, START_NS, DEPOSIT_USD, leverage);
    settings.seed = seed;
    settings.duration_ns = (duration_s * NS_PER_S) as i64;
    settings.fees =
        FeeRates { taker: preset.taker_fee_bps / BPS, maker: preset.maker_fee_bps / BPS, referral_discount: 0.0 };
    settings.feed.keeps_session = true;
    Ok(settings)
}

/// Runs a strategy in the market of a preset; the market's draws have the seed of the settings.
///
/// # Errors
/// As [`run_matched`].
pub fn run_session<S: Strategy>(
    preset: &MarketPreset,
    config: &EngineConfig,
    settings: &MatchedSettings,
    strategy: &mut S,
    progress: &mut dyn FnMut(f64),
) -> std::result::Result<MatchedOutput, S::Error> {
    let instrument = preset.instrument()?;
    let start_ns = settings.blocks.clock.start_ns;
    let mut market = SyntheticMarket::new(&preset.parameters, settings.seed, start_ns, AssetId(0), &instrument)?;
    run_matched(&mut market, &instrument, config, settings, strategy, progress)
}
