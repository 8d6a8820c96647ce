//! The market of a scenario: the agents of the HYPE preset around a given price, and the sweeps.

use hypermm_core::error::Result;
use hypermm_core::instrument::Instrument;
use hypermm_core::types::{BPS, Lots, Price, Side, TimestampNs, seconds_between};

use super::incidents::feb19::HALF_SPREAD_BPS;
use super::path::BridgedPath;
use super::sweeps::Sweep;
use super::{Reach, Scenario};
use crate::market::agents::Background;
use crate::market::agents::flow::{AggressorEvent, Flow};
use crate::market::agents::latent::FairPrice;
use crate::market::agents::synthetic::SyntheticMarket;
use crate::market::parameters::MarketParameters;
use crate::venue::matching::exchange::Exchange;
use crate::venue::matching::order::{AccountId, Action, AssetId, NewOrder, TimeInForce, VenueEvent};
use crate::venue::matching::rules::AccountKind;

const ASSET: AssetId = AssetId(0);

impl FairPrice for BridgedPath {
    fn advance(&mut self, to_ns: TimestampNs) -> f64 {
        self.price(to_ns)
    }
}

/// A scenario's market.
pub struct ScenarioMarket {
    instrument: Instrument,
    others: SyntheticMarket,
    sweeper: Option<AccountId>,
    /// Sweeps to come, the next one last.
    sweeps: Vec<Sweep>,
    flow: Flow,
    events: Vec<AggressorEvent>,
    start_ns: TimestampNs,
    now_ns: TimestampNs,
    reach: Reach,
}

impl ScenarioMarket {
    pub(super) fn new(scenario: &Scenario, seed: u64, reach: Reach) -> Result<Self> {
        let instrument = scenario.instrument()?;
        let path = scenario.path(seed);
        // The flow is ours to size: it takes from us what the listed trades took, whatever stands ahead.
        let without_flow = MarketParameters { event_rate_per_s: 0.0, ..scenario.market };
        let others =
            SyntheticMarket::around(Box::new(path), &without_flow, seed, scenario.start_ns, ASSET, &instrument)?;
        let mut sweeps = scenario.plan.draw(seed, scenario.duration_s);
        sweeps.reverse();
        Ok(Self {
            instrument,
            others,
            sweeper: None,
            sweeps,
            flow: Flow::new(&scenario.market, seed),
            events: Vec::new(),
            start_ns: scenario.start_ns,
            now_ns: scenario.start_ns,
            reach,
        })
    }

    /// What others than accounts under the rules have resting down to a price.
    fn depth_of_others(exchange: &Exchange, side: Side, limit: Price) -> i64 {
        let within = |price: Price| match side {
            Side::Buy => price >= limit,
            Side::Sell => price <= limit,
        };
        let traders = (0..exchange.account_count() as u32)
            .map(AccountId)
            .filter(|id| exchange.account(*id).is_some_and(|account| !account.is_background));
        let ours: i64 = traders
            .flat_map(|id| exchange.open_orders(id))
            .filter(|order| order.order.side == side && within(order.order.price))
            .map(|order| order.remaining.0)
            .sum();
        exchange.depth_to(ASSET, side, limit).0 - ours
    }

    /// A trade that goes `reach_bps` from the fair price at most and takes `contracts` beyond what others have there.
    fn trade(&self, aggressor: Side, reach_bps: f64, contracts: f64, exchange: &Exchange) -> Option<Action> {
        let limit = self.others.fair_price() * (1.0 + aggressor.sign() * reach_bps / BPS);
        // To the price grid from the inside: a trade never goes farther than it reaches.
        let limit = self.instrument.round_price(limit, aggressor).ok()?;
        let price = self.instrument.price_from_f64("price", limit).ok()?;
        let ahead = Self::depth_of_others(exchange, aggressor.opposite(), price);
        let size = Lots(self.instrument.floor_lots(contracts).0 + ahead);
        Some(Action::Place(NewOrder {
            asset: ASSET,
            side: aggressor,
            price,
            size,
            time_in_force: TimeInForce::ImmediateOrCancel,
            reduce_only: false,
            client_order_id: None,
        }))
    }
}

impl Background for ScenarioMarket {
    fn open(&mut self, time_ns: TimestampNs, exchange: &mut Exchange) -> Result<()> {
        self.sweeper = Some(exchange.open_account(AccountKind::Background)?);
        self.others.open(time_ns, exchange)
    }

    fn act(&mut self, time_ns: TimestampNs, exchange: &Exchange, actions: &mut Vec<(AccountId, Action)>) {
        self.others.act(time_ns, exchange, actions);
        let elapsed_s = seconds_between(self.start_ns, time_ns);
        let Some(account) = self.sweeper else { return };
        while let Some(sweep) = self.sweeps.last().copied().filter(|sweep| sweep.time_s <= elapsed_s) {
            self.sweeps.pop();
            let (reach_bps, contracts) = (self.reach.depth * HALF_SPREAD_BPS, self.reach.size * sweep.size);
            actions.extend(self.trade(sweep.aggressor, reach_bps, contracts, exchange).map(|action| (account, action)));
        }
        self.events.clear();
        let events = &mut self.events;
        self.flow.advance(seconds_between(self.now_ns, time_ns), |event| events.push(event));
        self.now_ns = time_ns;
        for event in &self.events {
            actions
                .extend(self.trade(event.side, event.reach_bps, event.size, exchange).map(|action| (account, action)));
        }
    }

    fn on_event(&mut self, event: &VenueEvent) {
        self.others.on_event(event);
    }

    fn fair_price(&self) -> f64 {
        self.others.fair_price()
    }

    fn funding_rate(&self) -> f64 {
        self.others.funding_rate()
    }

    fn predicted_funding_rate(&self) -> f64 {
        self.others.predicted_funding_rate()
    }
}
