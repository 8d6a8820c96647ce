//! Laws of the matching venue's book: price, then time; what rests, what takes, what dies.

use hypermm_core::instrument::Instrument;
use hypermm_core::types::{Lots, Price, Side};
use hypermm_simulation::venue::matching::exchange::{BookLevel, Exchange};
use hypermm_simulation::venue::matching::order::{
    AccountId, Action, Answer, AssetId, NewOrder, OrderReference, OrderState, Refusal, TimeInForce, Trade, VenueEvent,
};
use hypermm_simulation::venue::matching::rules::{AccountKind, AssetSettings, VenueRules};

pub(crate) const ETH: AssetId = AssetId(0);

/// ETH: 4 size decimals, so that 4000.0 is 400 000 units and 1.0 is 10 000 lots.
pub(crate) fn instrument() -> Instrument {
    Instrument::new("ETH", 4, 25, 10.0, 3600.0).unwrap()
}

/// A venue with background accounts 1 to `accounts`, and what happens in it.
pub(crate) struct Floor {
    pub(crate) exchange: Exchange,
    pub(crate) events: Vec<VenueEvent>,
    pub(crate) now_ns: i64,
}

impl Floor {
    pub(crate) fn new(accounts: usize) -> Self {
        Self::with_rules(accounts, VenueRules::default())
    }

    pub(crate) fn with_rules(accounts: usize, rules: VenueRules) -> Self {
        let mut exchange = Exchange::new(vec![AssetSettings::new(instrument())], rules).unwrap();
        for expected in 1..=accounts {
            assert_eq!(exchange.open_account(AccountKind::Background).unwrap(), AccountId(expected as u32));
        }
        Self { exchange, events: Vec::new(), now_ns: 0 }
    }

    pub(crate) fn act(&mut self, account: u32, action: &Action) -> Answer {
        self.now_ns += 1;
        self.events.clear();
        let events = &mut self.events;
        self.exchange.execute(self.now_ns, AccountId(account), action, &mut |event| events.push(*event))
    }

    pub(crate) fn place(&mut self, account: u32, order: NewOrder) -> Answer {
        self.act(account, &Action::Place(order))
    }

    /// Places an order that must rest untouched.
    pub(crate) fn rest(&mut self, account: u32, order: NewOrder) -> u64 {
        match self.place(account, order) {
            Answer::Resting { order_id } => order_id,
            answer => panic!("{order:?} does not rest: {answer:?}"),
        }
    }

    pub(crate) fn cancel(&mut self, account: u32, order_id: u64) -> Answer {
        self.act(account, &Action::Cancel { asset: ETH, order: OrderReference::Order(order_id) })
    }

    pub(crate) fn trades(&self) -> Vec<Trade> {
        self.events
            .iter()
            .filter_map(|event| if let VenueEvent::Trade(trade) = event { Some(*trade) } else { None })
            .collect()
    }

    /// (order id, state, remaining lots) of each change of an order.
    pub(crate) fn changes(&self) -> Vec<(u64, OrderState, i64)> {
        self.events
            .iter()
            .filter_map(|event| match event {
                VenueEvent::Order(change) => Some((change.order_id, change.state, change.remaining.0)),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn position(&self, account: u32) -> i64 {
        self.exchange.ledger(AccountId(account), ETH).unwrap().position().0
    }
}

pub(crate) fn order(side: Side, price: i64, size: i64, time_in_force: TimeInForce) -> NewOrder {
    NewOrder {
        asset: ETH,
        side,
        price: Price(price),
        size: Lots(size),
        time_in_force,
        reduce_only: false,
        client_order_id: None,
    }
}

pub(crate) fn bid(price: i64, size: i64) -> NewOrder {
    order(Side::Buy, price, size, TimeInForce::GoodTilCanceled)
}

pub(crate) fn ask(price: i64, size: i64) -> NewOrder {
    order(Side::Sell, price, size, TimeInForce::GoodTilCanceled)
}

pub(crate) fn buy_now(price: i64, size: i64) -> NewOrder {
    order(Side::Buy, price, size, TimeInForce::ImmediateOrCancel)
}

pub(crate) fn sell_now(price: i64, size: i64) -> NewOrder {
    order(Side::Sell, price, size, TimeInForce::ImmediateOrCancel)
}

/// Kills: LIFO in a level; a taker that walks levels worst first; a trade at the taker's price.
#[test]
fn better_prices_trade_first_then_older_orders_at_the_resting_price() {
    let mut floor = Floor::new(4);
    let second = floor.rest(1, ask(400_100, 1_000));
    let third = floor.rest(2, ask(400_100, 2_000));
    let first = floor.rest(3, ask(400_000, 500));
    assert_eq!(floor.exchange.queue_ahead(third), Some(Lots(1_000)));
    let answer = floor.place(4, buy_now(400_200, 2_000));
    let fills: Vec<_> =
        floor.trades().iter().map(|trade| (trade.maker.order_id, trade.price.0, trade.size.0)).collect();
    println!("fills in order (order, price, size): {fills:?}");
    assert_eq!(fills, [(first, 400_000, 500), (second, 400_100, 1_000), (third, 400_100, 500)]);
    let notional = 400_000 * 500 + 400_100 * 1_500;
    assert!(matches!(answer, Answer::Filled { size: Lots(2_000), notional: total, .. } if total == notional));
    assert_eq!(floor.exchange.order(third).unwrap().remaining, Lots(1_500));
    assert_eq!(floor.exchange.queue_ahead(third), Some(Lots(0)));
}

/// Kills: a partial fill that sends the order to the back of its queue.
#[test]
fn a_partly_filled_order_keeps_its_place() {
    let mut floor = Floor::new(3);
    let old = floor.rest(1, bid(400_000, 2_000));
    let young = floor.rest(2, bid(400_000, 2_000));
    floor.place(3, sell_now(400_000, 500));
    floor.place(3, sell_now(400_000, 500));
    assert_eq!(floor.exchange.order(old).unwrap().remaining, Lots(1_000));
    assert_eq!(floor.exchange.order(young).unwrap().remaining, Lots(2_000));
}

/// Kills: no self-trade prevention; one that cancels the taker; one that prints or books the meeting.
#[test]
fn meeting_ones_own_order_cancels_the_resting_one_and_goes_on() {
    let mut floor = Floor::new(2);
    let own = floor.rest(1, ask(400_000, 1_000));
    let other = floor.rest(2, ask(400_000, 1_000));
    let answer = floor.place(1, buy_now(400_000, 700));
    assert_eq!(floor.changes()[0], (own, OrderState::SelfTradeCanceled, 1_000));
    assert_eq!(floor.trades().iter().map(|trade| trade.maker.order_id).collect::<Vec<_>>(), [other]);
    assert!(matches!(answer, Answer::Filled { size: Lots(700), .. }));
    assert_eq!((floor.position(1), floor.position(2)), (700, -700));
    assert_eq!(floor.exchange.ledger(AccountId(1), ETH).unwrap().fees(), 0);
}

/// Kills: a post-only order that takes, and one that quotes another book than that at its execution.
#[test]
fn post_only_rests_or_is_refused_with_the_book_of_that_moment() {
    let mut floor = Floor::new(2);
    floor.rest(1, bid(399_900, 1_000));
    floor.rest(1, ask(400_000, 1_000));
    let refused = floor.place(2, order(Side::Buy, 400_000, 1_000, TimeInForce::PostOnly));
    let reason = Refusal::PostOnlyWouldMatch { bid: Some(Price(399_900)), ask: Some(Price(400_000)) };
    assert_eq!(refused, Answer::Refused { reason, order_id: Some(3) });
    assert_eq!(floor.changes(), [(3, OrderState::Rejected(reason), 1_000)]);
    assert_eq!(reason.text(&instrument()), "Post only order would have immediately matched, bbo was 3999@4000.");
    assert_eq!(reason.status(), "badAloPxRejected");
    assert_eq!(floor.rest(2, order(Side::Buy, 399_910, 1_000, TimeInForce::PostOnly)), 4);
    assert!(floor.trades().is_empty());
}

/// Kills: an immediate order whose rest rests; one that meets nothing and is called filled.
#[test]
fn immediate_orders_never_rest() {
    let mut floor = Floor::new(2);
    let nothing = floor.place(2, buy_now(400_000, 1_000));
    assert_eq!(nothing, Answer::Refused { reason: Refusal::NoImmediateMatch, order_id: Some(1) });
    floor.rest(1, ask(400_000, 300));
    let some = floor.place(2, buy_now(400_000, 1_000));
    assert_eq!(some, Answer::Filled { order_id: 3, size: Lots(300), notional: 300 * 400_000 });
    assert_eq!(floor.changes().last(), Some(&(3, OrderState::ImmediateCanceled, 700)));
    assert_eq!(floor.exchange.resting_orders(), 0);
}

/// Kills: a good-til-canceled order whose rest is lost, or rests under a new name, or crosses.
#[test]
fn what_a_good_til_canceled_order_could_not_take_rests_under_its_name() {
    let mut floor = Floor::new(2);
    floor.rest(1, ask(400_000, 300));
    floor.rest(1, ask(400_200, 300));
    let answer = floor.place(2, bid(400_100, 1_000));
    assert_eq!(answer, Answer::Filled { order_id: 3, size: Lots(300), notional: 300 * 400_000 });
    assert_eq!(floor.changes(), [(3, OrderState::Open, 1_000), (1, OrderState::Filled, 0)]);
    assert_eq!(floor.exchange.order(3).unwrap().remaining, Lots(700));
    assert_eq!(floor.exchange.best(ETH), (Some((Price(400_100), Lots(700))), Some((Price(400_200), Lots(300)))));
}

/// Kills: a level that does not add up its orders, or stays when empty; depth that counts worse prices.
#[test]
fn levels_and_depth_add_up_what_rests() {
    let mut floor = Floor::new(2);
    let first = floor.rest(1, bid(399_900, 300));
    floor.rest(2, bid(399_900, 400));
    floor.rest(1, bid(400_000, 500));
    floor.rest(1, bid(399_000, 700));
    let mut levels = Vec::new();
    floor.exchange.levels(ETH, Side::Buy, &mut levels, 2);
    let level = |price, size, orders| BookLevel { price: Price(price), size: Lots(size), orders };
    assert_eq!(levels, [level(400_000, 500, 1), level(399_900, 700, 2)]);
    assert_eq!(floor.exchange.depth_to(ETH, Side::Buy, Price(399_900)), Lots(1_200));
    assert_eq!(floor.cancel(1, first), Answer::Canceled);
    assert_eq!(floor.cancel(1, first), Answer::Refused { reason: Refusal::MissingOrder, order_id: None });
    floor.exchange.levels(ETH, Side::Buy, &mut levels, 9);
    assert_eq!(levels, [level(400_000, 500, 1), level(399_900, 400, 1), level(399_000, 700, 1)]);
}

/// Kills: a cancel of another account's order, or in another contract.
#[test]
fn only_its_account_cancels_an_order() {
    let mut floor = Floor::new(2);
    let resting = floor.rest(1, bid(400_000, 300));
    let missing = Answer::Refused { reason: Refusal::MissingOrder, order_id: None };
    assert_eq!(floor.cancel(2, resting), missing);
    let elsewhere = Action::Cancel { asset: AssetId(1), order: OrderReference::Order(resting) };
    assert_eq!(floor.act(1, &elsewhere), missing);
    assert_eq!(floor.cancel(1, resting), Answer::Canceled);
    assert_eq!(floor.changes(), [(resting, OrderState::Canceled, 300)]);
}
