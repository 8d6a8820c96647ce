//! A flow of actions as a venue sees it, for the bench and for the tests of allocations and memory.

use hypermm_core::instrument::Instrument;
use hypermm_core::types::{Lots, Price, Side};
use hypermm_simulation::venue::fees::FeeRates;
use hypermm_simulation::venue::matching::exchange::Exchange;
use hypermm_simulation::venue::matching::order::{
    AccountId, Action, Answer, AssetId, NewOrder, OrderId, OrderReference, TimeInForce, VenueEvent,
};
use hypermm_simulation::venue::matching::rules::{AccountKind, AssetSettings, VenueRules};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const ETH: AssetId = AssetId(0);
const TICK: i64 = 10;
/// Accounts of the flow; every fifth is a trader under all rules.
const ACCOUNTS: u32 = 20;

/// Orders come and go about a wandering price: a place of the flow is empty and gets an order, or holds one that is
/// canceled or modified; now and then somebody takes.
pub(crate) struct Flow {
    pub(crate) exchange: Exchange,
    pub(crate) events: u64,
    random: ChaCha8Rng,
    places: Vec<Option<(AccountId, OrderId)>>,
    middle: i64,
    now_ns: i64,
}

impl Flow {
    /// A venue in which about half of `places` orders rest once it has run for a while.
    pub(crate) fn new(places: usize) -> Self {
        let instrument = Instrument::new("ETH", 4, 25, 10.0, 3600.0).unwrap();
        let rules = VenueRules { initial_requests: u64::MAX / 4, ..VenueRules::default() };
        let mut exchange = Exchange::new(vec![AssetSettings::new(instrument)], rules).unwrap();
        for row in 0..ACCOUNTS {
            let trader = AccountKind::Trader { deposit: 1_000_000_000_000_000_000_000, fees: FeeRates::default() };
            exchange.open_account(if row % 5 == 0 { trader } else { AccountKind::Background }).unwrap();
        }
        let random = ChaCha8Rng::seed_from_u64(7);
        Self { exchange, events: 0, random, places: vec![None; places], middle: 400_000, now_ns: 0 }
    }

    /// One action.
    pub(crate) fn step(&mut self) -> Answer {
        let draw = self.random.next_u64();
        let part = |from: u32, below: u64| (draw >> from) % below;
        let place = (part(40, 1 << 24) % self.places.len() as u64) as usize;
        let account = AccountId(1 + part(0, u64::from(ACCOUNTS)) as u32);
        let side = if part(5, 2) == 0 { Side::Buy } else { Side::Sell };
        self.now_ns += 1_000;
        if part(6, 64) == 0 {
            self.middle = (self.middle + TICK * (part(12, 3) as i64 - 1)).clamp(390_000, 410_000);
        }
        let kind = part(14, 100);
        let outward = if side == Side::Buy { -TICK } else { TICK };
        // Nearer the middle is likelier: the smaller of two draws.
        let distance = 1 + part(20, 100).min(part(27, 100)) as i64;
        let order = NewOrder {
            asset: ETH,
            side,
            price: Price(self.middle + outward * distance),
            size: Lots(100 + part(33, 1_000) as i64),
            time_in_force: if kind < 80 { TimeInForce::PostOnly } else { TimeInForce::GoodTilCanceled },
            reduce_only: false,
            client_order_id: (kind % 4 == 0).then_some(u128::from(draw)),
        };
        if kind < 8 {
            let price = Price(self.middle - 5 * outward);
            let taking = NewOrder { price, time_in_force: TimeInForce::ImmediateOrCancel, ..order };
            return self.execute(account, &Action::Place(taking));
        }
        match self.places[place].take() {
            None => {
                let answer = self.execute(account, &Action::Place(order));
                self.places[place] = resting(&answer).map(|id| (account, id));
                answer
            }
            Some((owner, id)) if kind < 80 => {
                self.execute(owner, &Action::Cancel { asset: ETH, order: OrderReference::Order(id) })
            }
            Some((owner, id)) => {
                let side = self.exchange.order(id).map_or(side, |view| view.order.side);
                let price = Price(self.middle + distance * if side == Side::Buy { -TICK } else { TICK });
                let replacement = NewOrder { side, price, ..order };
                let order = OrderReference::Order(id);
                let answer = self.execute(owner, &Action::Modify { order, replacement, always_place: false });
                self.places[place] = resting(&answer).map(|id| (owner, id));
                answer
            }
        }
    }

    fn execute(&mut self, account: AccountId, action: &Action) -> Answer {
        let events = &mut self.events;
        let mut sink = |_: &VenueEvent| *events += 1;
        self.exchange.execute(self.now_ns, account, action, &mut sink)
    }
}

fn resting(answer: &Answer) -> Option<OrderId> {
    if let Answer::Resting { order_id } = answer { Some(*order_id) } else { None }
}
