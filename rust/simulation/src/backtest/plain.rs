//! The plain ladder every result is held against: symmetric around the mid, one width, one clip a level.
//!
//! It quotes mid·(1 ∓ 1e-4·(δ + d_i)) with δ = (1/γ₀)·ln(1 + γ₀/k) + fee at the prior k and the engine's own spacing d_i:
//! the engine without drift, flow, inventory curve and learning. The cap is kept by the reconcile, as for any strategy.

use hypermm_core::config::EngineConfig;
use hypermm_core::error::{Error, Result};
use hypermm_core::event::{AccountEvent, MarketEvent};
use hypermm_core::instrument::Instrument;
use hypermm_core::pricing::decision::{Decision, QuoteSide};
use hypermm_core::types::{BPS, Lots, Price, QuoteStatus, Side, TimestampNs};

use super::strategy::Strategy;

/// A symmetric ladder with no opinion.
#[derive(Clone, Debug)]
pub struct PlainLadder {
    instrument: Instrument,
    half_spread_bps: f64,
    spacing_bps: Vec<f64>,
    config: EngineConfig,
    clip: Option<f64>,
    best: [Option<f64>; 2],
}

impl PlainLadder {
    /// The ladder of the same base width, spacing and clip as an engine of this configuration.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] for a configuration out of range.
    pub fn like(instrument: &Instrument, config: &EngineConfig) -> Result<Self> {
        config.validate()?;
        let (gamma, growth) = (config.risk_aversion, config.level_growth);
        let depth = |level: u32| {
            let steps =
                if growth == 1.0 { f64::from(level) } else { (growth.powi(level as i32) - 1.0) / (growth - 1.0) };
            config.level_spacing_bps * steps
        };
        Ok(Self {
            instrument: instrument.clone(),
            half_spread_bps: (gamma / config.depth_decay).ln_1p() / gamma + config.maker_fee_bps,
            spacing_bps: (0..config.levels).map(depth).collect(),
            config: config.clone(),
            clip: None,
            best: [None, None],
        })
    }

    /// Distance of the first level from the mid, bps.
    #[must_use]
    pub fn half_spread_bps(&self) -> f64 {
        self.half_spread_bps
    }

    fn write_side(&self, side: Side, mid: f64, clip: Lots, opposite: f64, quotes: &mut QuoteSide) -> Result<()> {
        quotes.len = 0;
        for spacing_bps in &self.spacing_bps {
            let wanted = mid * (1.0 - side.sign() * (self.half_spread_bps + spacing_bps) / BPS);
            let units = self.instrument.round_units(wanted * self.instrument.price_scale(), side);
            let units = Price(units as i64);
            let price = self.instrument.price_to_f64(units);
            let takes = match side {
                Side::Buy => price >= opposite,
                Side::Sell => price <= opposite,
            };
            let merged = quotes.len > 0 && quotes.price_units[quotes.len - 1] == units;
            if takes || merged {
                continue;
            }
            let level = quotes.len;
            quotes.price_units[level] = units;
            quotes.lots[level] = clip;
            quotes.prices[level] = price;
            quotes.sizes[level] = self.instrument.lots_to_f64(clip);
            quotes.depth_bps[level] = self.half_spread_bps + spacing_bps;
            // It expects nothing that could be held against its fills.
            quotes.expected_edge_bps[level] = f64::NAN;
            quotes.expected_pnl_bps[level] = f64::NAN;
            quotes.fill_probability[level] = f64::NAN;
            quotes.len += 1;
        }
        Ok(())
    }
}

impl Strategy for PlainLadder {
    type Error = Error;

    fn on_event(&mut self, _time_ns: TimestampNs, event: &MarketEvent<'_>) -> Result<()> {
        match event {
            MarketEvent::Book { bid_prices, ask_prices, .. } => {
                self.best = [bid_prices.first().copied(), ask_prices.first().copied()];
            }
            MarketEvent::Best { bid, ask, .. } => self.best = [bid.map(|level| level.0), ask.map(|level| level.0)],
            _ => {}
        }
        Ok(())
    }

    fn on_account(&mut self, _time_ns: TimestampNs, _event: &AccountEvent) -> Result<()> {
        Ok(())
    }

    fn quote(&mut self, time_ns: TimestampNs, decision: &mut Decision) -> Result<()> {
        decision.time_ns = time_ns;
        let (bid, ask) = match self.best {
            [Some(bid), Some(ask)] if bid < ask => (bid, ask),
            _ => {
                decision.status = QuoteStatus::OneSided;
                (decision.bids.len, decision.asks.len) = (0, 0);
                return Ok(());
            }
        };
        let mid = 0.5 * (bid + ask);
        decision.status = QuoteStatus::Quoting;
        decision.mid_price = mid;
        decision.reservation_price = mid;
        let clip = *self.clip.get_or_insert_with(|| self.config.clip_at(&self.instrument, mid));
        let clip = self.instrument.floor_lots(clip);
        self.write_side(Side::Buy, mid, clip, ask, &mut decision.bids)?;
        self.write_side(Side::Sell, mid, clip, bid, &mut decision.asks)
    }

    fn clip(&self) -> Option<f64> {
        self.clip
    }
}
