//! A session in a market of a preset, at the matching venue: a strategy among the others, or the others by themselves.

use hypermm_core::config::EngineConfig;
use hypermm_core::error::{Result, invalid_input};
use hypermm_core::types::{BPS, NS_PER_S};

use super::matched::{MatchedOutput, MatchedSettings, run_matched};
use super::strategy::Strategy;
use crate::market::agents::synthetic::SyntheticMarket;
use crate::market::preset::MarketPreset;
use crate::market::session::START_NS;
use crate::venue::feed::BookFeed;
use crate::venue::fees::FeeRates;
use crate::venue::matching::order::AssetId;

const MAX_DURATION_S: f64 = 2_592_000.0;
/// Money of the account unless said otherwise, USD.
pub const DEPOSIT_USD: f64 = 10_000.0;
/// Leverage unless said otherwise, where the contract grants it.
pub const LEVERAGE: u32 = 10;
/// Books of a market by itself: as deep as the venue shows them and as often as the recordings have them.
const RECORDED_BOOKS: BookFeed = BookFeed { depth: 20, interval_ns: 500_000_000 };
/// Nobody quotes: the cycle only asks whether to go on.
const IDLE_CYCLE_NS: i64 = 10_000_000_000;

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

/// Settings of a session that is only recorded, with a strategy that is silent: the venue publishes 20 levels with
/// every push, best prices, trades and contexts, as the recordings have them.
///
/// # Errors
/// [`hypermm_core::error::Error::InvalidInput`] for a preset that is refused or a length outside 1 s to 30 days.
pub fn recording_settings(preset: &MarketPreset, seed: u64, duration_s: f64) -> Result<MatchedSettings> {
    preset.validate()?;
    let mut settings = session_settings(preset, seed, duration_s)?;
    settings.feed.books = RECORDED_BOOKS;
    settings.cycle_ns = IDLE_CYCLE_NS;
    settings.equity_sample_ns = IDLE_CYCLE_NS;
    Ok(settings)
}
