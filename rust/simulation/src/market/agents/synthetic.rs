//! The whole market of one contract: all agents under one clock, each with an account of its own.

use hypermm_core::error::Result;
use hypermm_core::instrument::Instrument;
use hypermm_core::types::{Lots, Price, Side, TimestampNs, seconds_between};

use crate::market::agents::Background;
use crate::market::agents::arbitrage::Arbitrage;
use crate::market::agents::flow::Flow;
use crate::market::agents::funding::Funding;
use crate::market::agents::grid::Grid;
use crate::market::agents::informed::Informed;
use crate::market::agents::latent::{Conditions, DriftingPrice, FairPrice};
use crate::market::agents::liquidations::Liquidations;
use crate::market::agents::liquidity::{Liquidity, QuotingView};
use crate::market::parameters::MarketParameters;
use crate::venue::matching::exchange::Exchange;
use crate::venue::matching::order::{AccountId, Action, AssetId, NewOrder, TimeInForce, VenueEvent};
use crate::venue::matching::rules::AccountKind;

/// How far a forced order goes beyond the touch, bps.
const MARKET_REACH_BPS: f64 = 50.0;

/// More than ever rests in a book.
const EVERYTHING: Lots = Lots(1_000_000_000_000);

/// Accounts of the agents: orders of one never meet its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    /// Passive liquidity.
    pub makers: Option<AccountId>,
    /// Self-exciting flow.
    pub takers: Option<AccountId>,
    /// Informed takers.
    pub informed: Option<AccountId>,
    /// Arbitrage.
    pub arbitrage: Option<AccountId>,
    /// Cascades.
    pub liquidated: Option<AccountId>,
}

/// How much aggressive flow of late bought, −1 to 1. It counts what was drawn, not what traded.
#[derive(Clone, Copy, Debug)]
struct FlowMemory {
    decay_per_s: f64,
    signed: f64,
    total: f64,
}

impl FlowMemory {
    fn fade(&mut self, elapsed_s: f64) {
        let keep = libm::exp(-self.decay_per_s * elapsed_s);
        self.signed *= keep;
        self.total *= keep;
    }

    fn add(&mut self, side: Side) {
        self.signed += side.sign();
        self.total += 1.0;
    }

    /// One event of no side in the balance: a single trade is no trend.
    fn value(&self) -> f64 {
        self.signed / (self.total + 1.0)
    }
}

/// The synthetic market.
pub struct SyntheticMarket {
    asset: AssetId,
    grid: Grid,
    tilts: [f64; 3],
    path: Box<dyn FairPrice>,
    liquidity: Liquidity,
    flow: Flow,
    informed: Informed,
    arbitrage: Arbitrage,
    liquidations: Liquidations,
    liquidation_impact_bps: f64,
    funding: Funding,
    memory: FlowMemory,
    accounts: Accounts,
    fair_price: f64,
    now_ns: TimestampNs,
}

impl SyntheticMarket {
    /// The market of `asset` from `start_ns`, with its own drifting price.
    ///
    /// # Errors
    /// [`hypermm_core::error::Error::InvalidInput`] for parameters that are refused.
    pub fn new(
        parameters: &MarketParameters,
        seed: u64,
        start_ns: TimestampNs,
        asset: AssetId,
        instrument: &Instrument,
    ) -> Result<Self> {
        parameters.validate()?;
        let path = Box::new(DriftingPrice::new(parameters, seed, start_ns));
        Self::around(path, parameters, seed, start_ns, asset, instrument)
    }

    /// The same agents around another price.
    ///
    /// # Errors
    /// [`hypermm_core::error::Error::InvalidInput`] for parameters that are refused.
    pub fn around(
        mut path: Box<dyn FairPrice>,
        parameters: &MarketParameters,
        seed: u64,
        start_ns: TimestampNs,
        asset: AssetId,
        instrument: &Instrument,
    ) -> Result<Self> {
        parameters.validate()?;
        let grid = Grid::new(instrument.clone());
        let fair_price = path.advance(start_ns);
        let around = MarketParameters { start_price: fair_price, ..*parameters };
        Ok(Self {
            asset,
            liquidity: Liquidity::new(&around, seed, asset, grid.clone()),
            grid,
            tilts: [parameters.tilt_pressure, parameters.tilt_drift, parameters.tilt_flow],
            path,
            flow: Flow::new(parameters, seed),
            informed: Informed::new(parameters, seed),
            arbitrage: Arbitrage::new(parameters),
            liquidations: Liquidations::new(parameters, seed),
            liquidation_impact_bps: parameters.liquidation_impact_bps,
            funding: Funding::new(parameters, seed, start_ns),
            memory: FlowMemory { decay_per_s: 1.0 / parameters.flow_memory_s, signed: 0.0, total: 0.0 },
            accounts: Accounts::default(),
            fair_price,
            now_ns: start_ns,
        })
    }

    /// The agents' accounts, once opened.
    #[must_use]
    pub const fn accounts(&self) -> Accounts {
        self.accounts
    }

    /// What the agents know of the latent price now.
    #[must_use]
    pub fn conditions(&self) -> Conditions {
        self.path.conditions()
    }

    fn best(&self, exchange: &Exchange) -> [Option<Price>; 2] {
        let (bid, ask) = exchange.best(self.asset);
        [bid.map(|(price, _)| price), ask.map(|(price, _)| price)]
    }

    fn quote(
        &mut self,
        previous_ns: TimestampNs,
        time_ns: TimestampNs,
        best: [Option<Price>; 2],
        send: impl FnMut(Action),
    ) {
        let conditions = self.path.conditions();
        let [by_pressure, by_drift, by_flow] = self.tilts;
        let tilt = by_pressure * conditions.pressure + by_drift * conditions.drift + by_flow * self.memory.value();
        let view = QuotingView {
            time_ns,
            previous_ns,
            fair_price: self.fair_price,
            tilt,
            pressure: conditions.pressure,
            best,
        };
        self.liquidity.act(&view, send);
    }
}

impl Background for SyntheticMarket {
    fn open(&mut self, time_ns: TimestampNs, exchange: &mut Exchange) -> Result<()> {
        let mut open = || exchange.open_account(AccountKind::Background).map(Some);
        self.accounts =
            Accounts { makers: open()?, takers: open()?, informed: open()?, arbitrage: open()?, liquidated: open()? };
        self.now_ns = time_ns;
        self.fair_price = self.path.advance(time_ns);
        let mut first = Vec::new();
        self.quote(time_ns, time_ns, [None; 2], |action| first.push(action));
        if let Some(makers) = self.accounts.makers {
            for action in &first {
                exchange.execute(time_ns, makers, action, &mut |_| {});
            }
        }
        Ok(())
    }

    fn act(&mut self, time_ns: TimestampNs, exchange: &Exchange, actions: &mut Vec<(AccountId, Action)>) {
        let Accounts {
            makers: Some(makers),
            takers: Some(takers),
            informed: Some(informed),
            arbitrage: Some(arbitrage),
            liquidated: Some(liquidated),
        } = self.accounts
        else {
            return;
        };
        let previous_ns = std::mem::replace(&mut self.now_ns, time_ns);
        let elapsed_s = seconds_between(previous_ns, time_ns).max(0.0);
        self.fair_price = self.path.advance(time_ns);
        self.funding.advance(time_ns);
        let conditions = self.path.conditions();
        let best = self.best(exchange);
        self.memory.fade(elapsed_s);
        self.quote(previous_ns, time_ns, best, |action| actions.push((makers, action)));
        let (asset, grid) = (self.asset, &self.grid);
        let taker = |side: Side, price: Price, size: Lots| {
            Action::Place(NewOrder {
                asset,
                side,
                price,
                size,
                time_in_force: TimeInForce::ImmediateOrCancel,
                reduce_only: false,
                client_order_id: None,
            })
        };
        // The best price a taker of this side meets, and its limit.
        let reach = |side: Side, reach_bps: f64| {
            best[side.opposite().index()].map(|touch| (touch, grid.limit(touch, side, reach_bps)))
        };
        let wanted = |contracts: f64, is_sweep: bool, side: Side, touch: Price, limit: Price| {
            let lots = grid.lots(contracts, touch);
            if is_sweep { lots.max(exchange.depth_to(asset, side.opposite(), limit)) } else { lots }
        };
        self.arbitrage.advance(time_ns, self.fair_price, grid, best, |side, limit| {
            actions.push((arbitrage, taker(side, limit, EVERYTHING)));
        });
        let memory = &mut self.memory;
        self.flow.advance(elapsed_s * conditions.activity, |event| {
            memory.add(event.side);
            if let Some((touch, limit)) = reach(event.side, event.reach_bps) {
                let size = wanted(event.size, event.is_sweep, event.side, touch, limit);
                actions.push((takers, taker(event.side, limit, size)));
            }
        });
        self.informed.advance(elapsed_s, &conditions, |event| {
            memory.add(event.side);
            if let Some((touch, limit)) = reach(event.side, event.reach_bps) {
                let size = wanted(event.size, event.is_sweep, event.side, touch, limit);
                actions.push((informed, taker(event.side, limit, size)));
            }
        });
        let mut pushed_bps = 0.0;
        self.liquidations.advance(time_ns, self.fair_price, &conditions, |order| {
            pushed_bps += order.side.sign() * self.liquidation_impact_bps;
            if let Some((touch, limit)) = reach(order.side, MARKET_REACH_BPS) {
                actions.push((liquidated, taker(order.side, limit, grid.lots(order.size, touch))));
            }
        });
        self.path.push(pushed_bps);
    }

    fn on_event(&mut self, event: &VenueEvent) {
        match event {
            VenueEvent::Trade(trade)
                if trade.asset == self.asset && Some(trade.maker.account) == self.accounts.makers =>
            {
                self.liquidity.on_fill(trade.time_ns, &trade.maker);
            }
            VenueEvent::Order(change)
                if change.order.asset == self.asset && Some(change.account) == self.accounts.makers =>
            {
                self.liquidity.on_order(change);
            }
            _ => {}
        }
    }

    fn fair_price(&self) -> f64 {
        self.fair_price
    }

    fn funding_rate(&self) -> f64 {
        self.funding.settled_rate()
    }

    fn predicted_funding_rate(&self) -> f64 {
        self.funding.predicted_rate()
    }
}
