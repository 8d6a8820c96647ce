//! The engine: events in, ladders out. `quote` is pure; every learned number lives in the state the snapshot holds.

mod account;
mod market;
mod quoting;
pub mod shared;
mod snapshot;

use serde::{Deserialize, Serialize};

use crate::config::{EngineConfig, MAX_LEVELS};
use crate::error::{Result, invalid_config, invalid_input, time_order};
use crate::estimators::market_model::MarketModel;
use crate::features::{FEATURES, FeatureValue, Tier};
use crate::instrument::{Instrument, MAX_UNITS};
use crate::online::second_grid::GRID_GAP_NS;
use crate::pricing::prepared::Memo;
use crate::pricing::readings::readings;
use crate::state::book::Book;
use crate::state::context::ContextState;
use crate::state::inventory::Inventory;
use crate::state::mids::MidHistory;
use crate::state::own_orders::{OwnOrder, OwnOrders};
use crate::state::quota::Quota;
use crate::state::tape::Tape;
use crate::types::{COARSER_HINT, EARLIEST_DATE_NS, Lots, SECOND_NS, TimestampNs};

/// One instrument's quoting model with all it has learned.
///
/// ```
/// use hypermm_core::config::EngineConfig;
/// use hypermm_core::engine::QuoteEngine;
/// use hypermm_core::instrument::Instrument;
/// use hypermm_core::pricing::decision::Decision;
/// use hypermm_core::types::QuoteStatus;
///
/// let instrument = Instrument::new("ETH", 4, 25, 10.0, 3600.0)?;
/// let mut engine = QuoteEngine::new(instrument, EngineConfig::default())?;
/// engine.on_best(0, Some((4268.9, 10.1)), Some((4269.0, 8.2)))?;
///
/// let mut decision = Decision::default();
/// engine.quote(0, &mut decision)?;
/// assert_eq!(decision.status, QuoteStatus::Quoting);
/// assert!(decision.bids.prices[0] < 4268.9 && decision.asks.prices[0] > 4269.0);
/// # Ok::<(), hypermm_core::error::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuoteEngine {
    instrument: Instrument,
    config: EngineConfig,
    now_ns: Option<TimestampNs>,
    next_second_ns: TimestampNs,
    // Apart, so that engines can be lent a book in place of their own.
    book: Box<Book>,
    tape: Tape,
    context: ContextState,
    inventory: Inventory,
    own_orders: OwnOrders,
    quota: Quota,
    model: MarketModel,
    last_mid: Option<f64>,
    mids: MidHistory,
    mid_is_fresh: bool,
    clip: Option<f64>,
    taught_ns: TimestampNs,
    #[serde(skip)]
    memo: Memo,
}

impl QuoteEngine {
    /// An engine that has seen nothing.
    ///
    /// # Errors
    /// [`crate::error::Error::InvalidConfig`] for a config field out of range, or a calibration of another instrument.
    pub fn new(instrument: Instrument, config: EngineConfig) -> Result<Self> {
        check_config(&instrument, &config)?;
        let model = MarketModel::new(&config, instrument.funding_interval_s())?;
        Ok(Self {
            instrument,
            config,
            now_ns: None,
            next_second_ns: 0,
            book: Box::default(),
            tape: Tape::default(),
            context: ContextState::default(),
            inventory: Inventory::default(),
            own_orders: OwnOrders::default(),
            quota: Quota::default(),
            model,
            last_mid: None,
            mids: MidHistory::default(),
            mid_is_fresh: false,
            clip: None,
            taught_ns: 0,
            memo: Memo::default(),
        })
    }

    /// Takes over new settings between quotes, keeping all that was learned.
    ///
    /// # Errors
    /// [`crate::error::Error::InvalidConfig`] for a field out of range, or a calibration of another instrument.
    pub fn update_config(&mut self, config: EngineConfig) -> Result<()> {
        check_config(&self.instrument, &config)?;
        // The same settings again change nothing, not even what is refreshed once a second.
        if config == self.config {
            return Ok(());
        }
        let resize = config.max_position != self.config.max_position || config.clip != self.config.clip;
        self.model.update_config(&self.config, &config, self.instrument.funding_interval_s())?;
        self.config = config;
        self.memo.forget();
        if resize {
            self.clip = None;
            self.fix_clip();
        }
        Ok(())
    }

    /// Signed position, contracts, + = long.
    #[must_use]
    pub fn position(&self) -> f64 {
        self.instrument.lots_to_f64(self.inventory.position())
    }

    /// Signed position, lots.
    #[must_use]
    pub fn position_lots(&self) -> Lots {
        self.inventory.position()
    }

    /// Mean entry price, where known.
    #[must_use]
    pub fn entry_price(&self) -> Option<f64> {
        self.inventory.entry_price()
    }

    /// Time of the last event.
    #[must_use]
    pub fn now_ns(&self) -> Option<TimestampNs> {
        self.now_ns
    }

    /// Mid of a book that is neither one-sided nor crossed.
    #[must_use]
    pub fn mid_price(&self) -> Option<f64> {
        self.book.mid()
    }

    /// The instrument.
    #[must_use]
    pub fn instrument(&self) -> &Instrument {
        &self.instrument
    }

    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// Size of one order, contracts; known from the first two-sided book on.
    #[must_use]
    pub fn clip(&self) -> Option<f64> {
        self.clip
    }

    /// Fills of ours that news of orders implies and no fill has told yet, bought and sold: they count against the cap.
    #[must_use]
    pub fn untold_fills(&self) -> [Lots; 2] {
        self.own_orders.untold()
    }

    /// Orders not known to be dead.
    #[must_use]
    pub fn open_orders(&self) -> &[OwnOrder] {
        self.own_orders.live()
    }

    /// The book as last heard.
    #[must_use]
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// The contract's context as last heard.
    #[must_use]
    pub fn context(&self) -> &ContextState {
        &self.context
    }

    /// Everything learned.
    #[must_use]
    pub fn model(&self) -> &MarketModel {
        &self.model
    }

    /// Every feature as of `time_ns`, in the order of [`FEATURES`]; `None` where none runs: without a calibrated one, and not watched.
    #[must_use]
    pub fn features(&self, time_ns: TimestampNs) -> Option<[FeatureValue; FEATURES.len()]> {
        let pipeline = self.model.features()?;
        let mut readings = [FeatureValue::default(); FEATURES.len()];
        for tier in [Tier::Hot, Tier::Warm, Tier::Cold] {
            pipeline.read(tier, time_ns, &self.book, &mut readings);
        }
        Some(readings)
    }

    /// Everything learned so far under its name, as of the last event; priors before the first. See [`crate::pricing::readings`].
    #[must_use]
    pub fn readings(&self) -> Vec<(&'static str, f64)> {
        let now_ns = self.now_ns.unwrap_or(0);
        readings(&self.model, &self.config, self.instrument.funding_interval_s(), now_ns)
    }

    fn check_time(&self, time_ns: TimestampNs) -> Result<()> {
        check_time_after(self.now_ns, time_ns)
    }

    /// Lets every whole second up to `time_ns` pass with the state as it stood.
    #[inline]
    fn advance(&mut self, time_ns: TimestampNs) {
        self.model.advance_features(time_ns, &self.book);
        match self.now_ns {
            None => {
                self.model.start(time_ns);
                self.taught(time_ns);
                self.next_second_ns = time_ns.saturating_add(SECOND_NS);
            }
            Some(_) if time_ns < self.next_second_ns => {}
            Some(_) => self.pass_seconds(time_ns),
        }
        self.now_ns = Some(time_ns);
    }

    fn pass_seconds(&mut self, time_ns: TimestampNs) {
        self.own_orders.forget_untold(time_ns);
        if time_ns - self.next_second_ns > GRID_GAP_NS {
            self.forget_mid();
            self.next_second_ns = time_ns;
        }
        // The last representable second is never passed, so that the grid ends with time itself.
        while self.next_second_ns <= time_ns && self.next_second_ns < TimestampNs::MAX {
            let silent = self.book.updated_ns().is_some_and(|heard| self.next_second_ns - heard > GRID_GAP_NS);
            if silent && self.last_mid.is_some() {
                self.forget_mid();
            }
            let half_spread_bps = if silent { None } else { self.book.half_spread_bps() };
            if self.model.on_second(self.next_second_ns, self.last_mid, half_spread_bps, self.mid_is_fresh) {
                self.mid_is_fresh = false;
            }
            self.taught(self.next_second_ns);
            self.next_second_ns = self.next_second_ns.saturating_add(SECOND_NS);
        }
    }

    /// After a long silence the mid is unknown until the book speaks: the old one would teach that nothing moves, and then
    /// put the whole jump into one second.
    fn forget_mid(&mut self) {
        self.model.forget_grid();
        self.last_mid = None;
        self.mids = MidHistory::default();
        self.mid_is_fresh = false;
    }

    /// The model learned something at `time_ns`: what pricing had prepared is old.
    fn taught(&mut self, time_ns: TimestampNs) {
        self.taught_ns = time_ns;
        self.memo.forget();
    }

    fn after_book(&mut self, time_ns: TimestampNs, exchange_time_ns: Option<TimestampNs>) {
        self.model.on_book(time_ns, &self.book);
        if let Some(mid) = self.book.mid() {
            self.last_mid = Some(mid);
            self.mids.hear(time_ns, exchange_time_ns, mid);
            self.mid_is_fresh = true;
            if self.clip.is_none() {
                self.fix_clip();
            }
        }
    }

    /// Clip = q_max/22 but at least 1.1 × the venue's minimum, at most q_max; taken once.
    fn fix_clip(&mut self) {
        let mid = self.last_mid.or(self.book.mid());
        self.clip = self.config.clip.or_else(|| Some(self.config.clip_at(&self.instrument, mid?)));
    }
}

/// Checks the settings, and that a ladder as wide as the cap can be counted in lots.
fn check_config(instrument: &Instrument, config: &EngineConfig) -> Result<()> {
    config.validate()?;
    if let Some(calibration) = &config.calibration {
        calibration.check_instrument(instrument)?;
    }
    let most = (MAX_UNITS / MAX_LEVELS as f64).floor() / instrument.size_scale();
    if config.max_position > most {
        return Err(invalid_config(
            "max_position",
            config.max_position,
            format!("at most {most} contracts of {}", instrument.coin()),
            "larger sizes cannot be counted in lots exactly",
        ));
    }
    Ok(())
}

#[inline]
fn check_time_after(last: Option<TimestampNs>, time_ns: TimestampNs) -> Result<()> {
    match last {
        Some(last) if time_ns < last => Err(time_order(
            "time_ns",
            time_ns,
            format!("{last} or later"),
            "events enter in the order the receiver's clock gave them",
        )),
        Some(_) => Ok(()),
        None if time_ns < 0 => Err(invalid_input("time_ns", time_ns, "nanoseconds ≥ 0", "")),
        None if (1_000_000_000..EARLIEST_DATE_NS).contains(&time_ns) => {
            Err(invalid_input("time_ns", time_ns, "nanoseconds since 1970, or a small count from 0", COARSER_HINT))
        }
        None => Ok(()),
    }
}
