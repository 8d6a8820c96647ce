//! The market of a scenario: the agents of the HYPE preset around a given price, and the sweeps.

use hypermm_core::error::Result;
use hypermm_core::instrument::Instrument;
use hypermm_core::types::{BPS, Lots, Side, TimestampNs, seconds_between};

use super::incidents::feb19::HALF_SPREAD_BPS;
use super::path::BridgedPath;
use super::sweeps::Sweep;
use super::{Reach, Scenario};
use crate::market::agents::Background;
use crate::market::agents::latent::FairPrice;
use crate::market::agents::synthetic::SyntheticMarket;
use crate::market::preset::MarketPreset;
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
    start_ns: TimestampNs,
    reach: Reach,
}

impl ScenarioMarket {
    pub(super) fn new(scenario: &Scenario, seed: u64, reach: Reach) -> Result<Self> {
        let instrument = scenario.instrument()?;
        let preset = MarketPreset::named("hype")?;
        let path =
            BridgedPath::draw(seed, scenario.start_ns, scenario.duration_s, scenario.known, scenario.volatility());
        let others =
            SyntheticMarket::around(Box::new(path), &preset.parameters, seed, scenario.start_ns, ASSET, &instrument)?;
        let mut sweeps = scenario.plan.draw(seed, scenario.duration_s);
        sweeps.reverse();
        Ok(Self { instrument, others, sweeper: None, sweeps, start_ns: scenario.start_ns, reach })
    }

    /// What others than accounts under the rules have resting down to a price.
    fn depth_of_others(exchange: &Exchange, side: Side, limit: hypermm_core::types::Price) -> i64 {
        let within = |price: hypermm_core::types::Price| match side {
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

    fn sweep(&self, sweep: &Sweep, exchange: &Exchange) -> Option<Action> {
        let reach_bps = self.reach.depth * HALF_SPREAD_BPS;
        let sign = sweep.aggressor.sign();
        // To the price grid from the inside: a sweep never goes farther than it reaches.
        let limit = self.others.fair_price() * (1.0 + sign * reach_bps / BPS);
        let limit = self.instrument.round_price(limit, sweep.aggressor).ok()?;
        let price = self.instrument.price_from_f64("price", limit).ok()?;
        let ahead = Self::depth_of_others(exchange, sweep.aggressor.opposite(), price);
        let size = Lots(self.instrument.floor_lots(self.reach.size * sweep.size).0 + ahead);
        Some(Action::Place(NewOrder {
            asset: ASSET,
            side: sweep.aggressor,
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
        while let Some(sweep) = self.sweeps.last().copied().filter(|sweep| sweep.time_s <= elapsed_s) {
            self.sweeps.pop();
            if let (Some(account), Some(action)) = (self.sweeper, self.sweep(&sweep, exchange)) {
                actions.push((account, action));
            }
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
