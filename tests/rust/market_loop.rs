//! A small session for the laws of the synthetic market: fixed blocks, agents, exchange, and what was seen of them.

use hypermm_core::types::{Price, Side, TimestampNs};
use hypermm_simulation::market::agents::Background;
use hypermm_simulation::market::agents::latent::{DriftingPrice, FairPrice};
use hypermm_simulation::market::agents::synthetic::SyntheticMarket;
use hypermm_simulation::market::parameters::MarketParameters;
use hypermm_simulation::market::preset::MarketPreset;
use hypermm_simulation::venue::matching::exchange::{BookLevel, Exchange};
use hypermm_simulation::venue::matching::order::{AccountId, Action, AssetId, Trade, VenueEvent};
use hypermm_simulation::venue::matching::rules::{AssetSettings, VenueRules};

pub(crate) const START_NS: TimestampNs = 1_757_016_000_000_000_000;
pub(crate) const BLOCK_NS: TimestampNs = 70_000_000;
pub(crate) const ASSET: AssetId = AssetId(0);

/// One market at one exchange.
pub(crate) struct Session {
    pub(crate) exchange: Exchange,
    pub(crate) market: SyntheticMarket,
    pub(crate) time_ns: TimestampNs,
    pub(crate) actions: Vec<(AccountId, Action)>,
    pub(crate) executed: u64,
}

impl Session {
    pub(crate) fn new(preset: &MarketPreset, parameters: &MarketParameters, seed: u64) -> Self {
        let path = Box::new(DriftingPrice::new(parameters, seed, START_NS));
        Self::around(preset, parameters, seed, path)
    }

    pub(crate) fn around(
        preset: &MarketPreset,
        parameters: &MarketParameters,
        seed: u64,
        path: Box<dyn FairPrice>,
    ) -> Self {
        let instrument = preset.instrument().unwrap();
        let settings = AssetSettings::new(instrument.clone());
        let mut exchange = Exchange::new(vec![settings], VenueRules::default()).unwrap();
        let mut market = SyntheticMarket::around(path, parameters, seed, START_NS, ASSET, &instrument).unwrap();
        market.open(START_NS, &mut exchange).unwrap();
        Self { exchange, market, time_ns: START_NS, actions: Vec::new(), executed: 0 }
    }

    pub(crate) fn of(name: &str, seed: u64) -> Self {
        let preset = MarketPreset::named(name).unwrap();
        Self::new(&preset, &preset.parameters, seed)
    }

    /// One block: what the agents send and `ours`, in the venue's order of classes.
    pub(crate) fn block(&mut self, ours: &[(AccountId, Action)], mut seen: impl FnMut(&VenueEvent)) {
        self.time_ns += BLOCK_NS;
        self.actions.clear();
        self.market.act(self.time_ns, &self.exchange, &mut self.actions);
        self.actions.extend_from_slice(ours);
        self.actions.sort_by_key(|(_, action)| action.class());
        let mut events = Vec::new();
        for (account, action) in &self.actions {
            self.exchange.execute(self.time_ns, *account, action, &mut |event: &VenueEvent| events.push(*event));
        }
        self.executed += self.actions.len() as u64;
        for event in &events {
            self.market.on_event(event);
            seen(event);
        }
    }

    pub(crate) fn blocks_in(seconds: f64) -> usize {
        (seconds * 1e9 / BLOCK_NS as f64) as usize
    }

    pub(crate) fn best(&self) -> (Option<Price>, Option<Price>) {
        let (bid, ask) = self.exchange.best(ASSET);
        (bid.map(|level| level.0), ask.map(|level| level.0))
    }
}

/// An aggressor event: all prints of one time and side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) time_s: f64,
    pub(crate) side: Side,
    pub(crate) size: f64,
    pub(crate) worst: f64,
    pub(crate) prints: u32,
}

/// A best bid and offer, from its time on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Touch {
    pub(crate) time_s: f64,
    pub(crate) bid: f64,
    pub(crate) ask: f64,
}

/// A row of a book: prices and sizes, best first, and its time.
#[derive(Clone, Debug, Default)]
pub(crate) struct BookRow {
    pub(crate) time_s: f64,
    pub(crate) bids: Vec<(f64, f64)>,
    pub(crate) asks: Vec<(f64, f64)>,
}

/// What the public sees of a market; the same for a recording and for a simulation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tape {
    pub(crate) events: Vec<Event>,
    pub(crate) touches: Vec<Touch>,
    pub(crate) books: Vec<BookRow>,
}

impl Tape {
    pub(crate) fn print(&mut self, time_s: f64, side: Side, price: f64, size: f64) {
        if let Some(last) = self.events.iter_mut().rev().take(2).find(|last| last.time_s == time_s && last.side == side)
        {
            last.size += size;
            last.prints += 1;
            last.worst = if side == Side::Buy { last.worst.max(price) } else { last.worst.min(price) };
        } else {
            self.events.push(Event { time_s, side, size, worst: price, prints: 1 });
        }
    }
}

/// Runs a market by itself and keeps what the public sees.
pub(crate) fn record(session: &mut Session, preset: &MarketPreset, seconds: f64, book_every: usize) -> Tape {
    let instrument = preset.instrument().unwrap();
    let mut tape = Tape::default();
    let mut levels: Vec<BookLevel> = Vec::new();
    for block in 0..Session::blocks_in(seconds) {
        let mut trades: Vec<Trade> = Vec::new();
        session.block(&[], |event| {
            if let VenueEvent::Trade(trade) = event {
                trades.push(*trade);
            }
        });
        let time_s = (session.time_ns - START_NS) as f64 / 1e9;
        for trade in trades {
            tape.print(
                time_s,
                trade.aggressor,
                instrument.price_to_f64(trade.price),
                instrument.lots_to_f64(trade.size),
            );
        }
        if let (Some(bid), Some(ask)) = session.best() {
            let (bid, ask) = (instrument.price_to_f64(bid), instrument.price_to_f64(ask));
            if tape.touches.last().is_none_or(|last| last.bid != bid || last.ask != ask) {
                tape.touches.push(Touch { time_s, bid, ask });
            }
        }
        if block % book_every == 0 {
            let mut side = |side| {
                session.exchange.levels(ASSET, side, &mut levels, 20);
                levels
                    .iter()
                    .map(|level| (instrument.price_to_f64(level.price), instrument.lots_to_f64(level.size)))
                    .collect()
            };
            let (bids, asks) = (side(Side::Buy), side(Side::Sell));
            tape.books.push(BookRow { time_s, bids, asks });
        }
    }
    tape
}
