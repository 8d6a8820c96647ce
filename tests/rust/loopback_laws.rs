//! Laws of the loopback venue: nothing is lost, nothing is told twice, books add up, steps make no difference.

use std::collections::BTreeMap;

use hypermm_core::accounting::ledger::Micros;
use hypermm_core::instrument::Instrument;
use hypermm_core::types::{Lots, Price, Side};
use hypermm_simulation::market::preset::MarketPreset;
use hypermm_simulation::market::session::{Session, SessionSettings};
use hypermm_simulation::venue::fees::FeeRates;
use hypermm_simulation::venue::funding::FundingTerms;
use hypermm_simulation::venue::loopback::coin::{CoinMarket, CoinSettings};
use hypermm_simulation::venue::loopback::event::LoopbackEvent;
use hypermm_simulation::venue::loopback::history::KEPT_ORDERS;
use hypermm_simulation::venue::loopback::venue::{LoopbackSettings, LoopbackVenue, Request};
use hypermm_simulation::venue::matching::order::{
    AccountId, Action, AssetId, NewOrder, OrderReference, OrderState, TimeInForce,
};
use hypermm_simulation::venue::matching::rules::AssetSettings;
use proptest::prelude::*;

const S: i64 = 1_000_000_000;
/// Half a minute before a full hour.
const START_NS: i64 = 1_763_740_800 * S - 30 * S;
const USD: Micros = 1_000_000;
const DEPOSITS: [(u32, Micros); 2] = [(0, 50_000 * USD), (1, 20_000 * USD)];
const ACCOUNTS: usize = 2;

fn preset(name: &str) -> (CoinMarket, Instrument) {
    let preset = MarketPreset::named(name).unwrap();
    let instrument = preset.instrument().unwrap();
    (CoinMarket::Preset(preset), instrument)
}

fn coin((market, instrument): (CoinMarket, Instrument), clearinghouse: u32) -> CoinSettings {
    let asset = AssetSettings { clearinghouse, ..AssetSettings::new(instrument) };
    CoinSettings { asset, funding: FundingTerms::native(6_000.0), market }
}

/// Agents, a recording, and agents again on a dex of their own.
fn coins() -> Vec<CoinSettings> {
    let instrument = Instrument::new("SOL", 4, 25, 10.0, 3600.0).unwrap();
    let settings = SessionSettings { seed: 4, duration_s: 20.0, ..SessionSettings::default() };
    let session = Session::generate(&instrument, &settings).unwrap();
    vec![
        coin(preset("eth"), 0),
        coin((CoinMarket::Recording(session), instrument), 0),
        CoinSettings { funding: FundingTerms::builder(6_000.0, 0.5), ..coin(preset("hype"), 1) },
    ]
}

fn venue(settings: LoopbackSettings) -> (LoopbackVenue, [AccountId; ACCOUNTS]) {
    let mut venue = LoopbackVenue::new(&coins(), settings).unwrap();
    let accounts = std::array::from_fn(|_| venue.open_account(&DEPOSITS, FeeRates::default(), 0).unwrap());
    (venue, accounts)
}

fn settings(seed: u64) -> LoopbackSettings {
    LoopbackSettings { seed, start_ns: START_NS, answer_latency_ns: 83_000_000, ..LoopbackSettings::default() }
}

/// What an account does next, in numbers that a venue turns into a request.
#[derive(Clone, Debug)]
struct Wish {
    after_ns: i64,
    account: usize,
    asset: u32,
    kind: u8,
    side: Side,
    /// Increments from the best price of the side, + = away from the market.
    away: i64,
    usd: i64,
    count: usize,
}

fn wishes() -> impl Strategy<Value = Vec<Wish>> {
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let wish = (0..900_000_000_i64, 0..ACCOUNTS, 0..3_u32, 0..9_u8, side, -4..5_i64, 5..3_000_i64, 1..4_usize);
    prop::collection::vec(wish, 1..40).prop_map(|rows| {
        rows.into_iter()
            .map(|(after_ns, account, asset, kind, side, away, usd, count)| Wish {
                after_ns,
                account,
                asset,
                kind,
                side,
                away,
                usd,
                count,
            })
            .collect()
    })
}

fn request(venue: &LoopbackVenue, account: AccountId, wish: &Wish) -> Request {
    let asset = AssetId(wish.asset);
    let instrument = &venue.exchange().settings(asset).unwrap().instrument;
    let [bid, ask] = venue.best(asset).unwrap();
    let best = if wish.side == Side::Buy { bid } else { ask };
    let touch = best.map_or(Price(1_000), |level| level.price);
    let step = instrument.decade(touch.0 as f64).increment as i64;
    let price = touch.0 - wish.away * step * wish.side.sign() as i64;
    let order = NewOrder {
        asset,
        side: wish.side,
        price: Price(price),
        size: Lots((i128::from(wish.usd) * USD / i128::from(price.max(1))) as i64),
        time_in_force: match wish.kind {
            0 | 1 => TimeInForce::PostOnly,
            2 => TimeInForce::ImmediateOrCancel,
            _ => TimeInForce::GoodTilCanceled,
        },
        reduce_only: wish.kind == 3,
        client_order_id: (wish.kind == 1).then_some(7),
    };
    let open = venue.open_orders(account).unwrap();
    let named = open.first().map_or(OrderReference::Client(7), |order| OrderReference::Order(order.id));
    let actions = match wish.kind {
        0..=4 => vec![Action::Place(order); wish.count],
        5 => vec![Action::Cancel { asset, order: OrderReference::Client(7) }],
        6 => open
            .iter()
            .map(|open| Action::Cancel { asset: open.order.asset, order: OrderReference::Order(open.id) })
            .collect(),
        7 => vec![Action::Modify { order: named, replacement: order, always_place: wish.away > 2 }],
        _ => vec![Action::UpdateLeverage { asset, is_cross: true, leverage: 2 + wish.count as u32 }],
    };
    let actions = if actions.is_empty() { vec![Action::Noop] } else { actions };
    Request { account, actions, is_fast: wish.away > 0, expires_after_ns: None }
}

/// Plays the wishes; between two of them the venue is stepped by `step_ns`, or in one go.
fn play(
    seed: u64,
    wishes: &[Wish],
    step_ns: Option<i64>,
) -> (LoopbackVenue, [AccountId; ACCOUNTS], Vec<LoopbackEvent>) {
    let (mut venue, accounts) = venue(settings(seed));
    let mut events = Vec::new();
    let mut now_ns = START_NS;
    let mut advance = |venue: &mut LoopbackVenue, from_ns: i64, until_ns: i64| {
        let mut at_ns = from_ns;
        while let Some(step_ns) = step_ns
            && at_ns < until_ns
        {
            venue.advance(at_ns, &mut events).unwrap();
            at_ns += step_ns;
        }
        venue.advance(until_ns, &mut events).unwrap();
    };
    for wish in wishes {
        advance(&mut venue, now_ns, now_ns + wish.after_ns);
        now_ns += wish.after_ns;
        let account = accounts[wish.account];
        let wanted = request(&venue, account, wish);
        venue.submit(now_ns, &wanted).unwrap();
    }
    advance(&mut venue, now_ns, START_NS + 60 * S);
    (venue, accounts, events)
}

/// What an account has by what it was told alone.
#[derive(Default)]
struct Books {
    cash: [Micros; 2],
    position: [i64; 3],
    open: BTreeMap<u64, i64>,
}

impl Books {
    fn hear(&mut self, event: &LoopbackEvent) {
        match event {
            LoopbackEvent::Fill(fill) => {
                let house = usize::from(fill.asset.0 == 2);
                let place = fill.asset.0 as usize;
                let signed = if fill.side == Side::Buy { fill.size.0 } else { -fill.size.0 };
                assert_eq!(fill.position_before.0, self.position[place], "a fill was not told");
                self.position[place] += signed;
                self.cash[house] -= Micros::from(signed) * Micros::from(fill.price.0) + fill.fee;
                if let Some(left) = self.open.get_mut(&fill.order_id) {
                    *left -= fill.size.0;
                }
            }
            LoopbackEvent::Funding(payment) => {
                self.cash[usize::from(payment.asset.0 == 2)] -= payment.paid;
                assert_eq!(payment.position.0, self.position[payment.asset.0 as usize]);
            }
            LoopbackEvent::Order(order) => {
                if order.state == OrderState::Open {
                    self.open.insert(order.id, order.remaining.0);
                } else {
                    self.open.remove(&order.id);
                }
            }
            _ => {}
        }
    }
}

fn account_of(event: &LoopbackEvent) -> Option<AccountId> {
    match event {
        LoopbackEvent::Answer(answer) => Some(answer.account),
        LoopbackEvent::Fill(fill) => Some(fill.account),
        LoopbackEvent::Order(order) => Some(order.account),
        LoopbackEvent::Funding(payment) => Some(payment.account),
        LoopbackEvent::Liquidation(liquidation) => Some(liquidation.account),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(crate::engine_storm::cases(24)))]

    /// Mutants: a timer that starts at each call of `advance`; answers that wait for the next block; a market asked
    /// once a call.
    #[test]
    fn steps_make_no_difference(seed in 0..1_000_u64, wishes in wishes(), step_ns in 1_000_000..700_000_000_i64) {
        let (_, _, at_once) = play(seed, &wishes, None);
        let (_, _, in_steps) = play(seed, &wishes, Some(step_ns));
        prop_assert_eq!(at_once, in_steps);
    }

    /// Oracle: books kept from the events alone. Mutants: a fill told to one side, a fee or payment left out, an order
    /// that dies in silence, money of one clearinghouse in the other, a request answered twice or never.
    #[test]
    fn what_is_told_is_all_there_is(seed in 0..1_000_u64, wishes in wishes()) {
        let (venue, accounts, events) = play(seed, &wishes, None);
        let answered: Vec<u64> = {
            let mut all: Vec<u64> = events.iter().filter_map(|event| match event {
                LoopbackEvent::Answer(answer) => Some(answer.request),
                _ => None,
            }).collect();
            all.sort_unstable();
            all
        };
        prop_assert_eq!(answered, (1..=wishes.len() as u64).collect::<Vec<_>>());
        for account in accounts {
            let mut books = Books { cash: DEPOSITS.map(|(_, deposit)| deposit), ..Books::default() };
            events.iter().filter(|event| account_of(event) == Some(account)).for_each(|event| books.hear(event));
            for asset in 0..3 {
                let held = venue.position(account, AssetId(asset)).unwrap().view.size;
                prop_assert_eq!(held.0, books.position[asset as usize]);
            }
            for (house, cash) in books.cash.iter().enumerate() {
                prop_assert_eq!(venue.account(account, house as u32).unwrap().view.cash, *cash);
            }
            let open: BTreeMap<u64, i64> =
                venue.open_orders(account).unwrap().iter().map(|order| (order.id, order.remaining.0)).collect();
            prop_assert_eq!(&open, &books.open);
            let known = venue.order_history(account, KEPT_ORDERS).unwrap();
            let alive = known.iter().filter(|order| order.state == OrderState::Open);
            let alive: BTreeMap<u64, i64> = alive.map(|order| (order.id, order.remaining.0)).collect();
            prop_assert_eq!(&alive, &open);
        }
        let exchange = venue.exchange();
        for asset in 0..3 {
            let all = (0..exchange.account_count() as u32).map(AccountId);
            let sum: i64 = all.map(|id| exchange.position(id, AssetId(asset)).unwrap().size.0).sum();
            prop_assert_eq!(sum, 0);
        }
    }

    /// Mutants: draws taken in order of what is sent; one generator for two contracts.
    #[test]
    fn what_is_done_in_one_contract_moves_no_other(seed in 0..1_000_u64, wishes in wishes()) {
        let in_first: Vec<Wish> = wishes.into_iter().map(|wish| Wish { asset: 0, ..wish }).collect();
        let tape = |wishes: &[Wish]| {
            let (_, _, events) = play(seed, wishes, None);
            let trades = events.into_iter().filter_map(|event| match event {
                LoopbackEvent::Trade(trade) if trade.asset.0 != 0 => Some((trade.time_ns, trade.price, trade.size)),
                _ => None,
            });
            trades.collect::<Vec<_>>()
        };
        let (alone, with_us) = (tape(&in_first[..1]), tape(&in_first));
        prop_assert!(!alone.is_empty());
        prop_assert_eq!(alone, with_us);
    }
}

/// Oracle: the recording's own columns. Mutants: levels kept that are gone, sizes added up, prints before the start,
/// prints that trade more than they did.
#[test]
fn a_recording_is_shown_as_it_was_recorded() {
    let instrument = Instrument::new("ETH", 4, 25, 10.0, 3600.0).unwrap();
    let drawn = SessionSettings { seed: 9, duration_s: 60.0, ..SessionSettings::default() };
    let session = Session::generate(&instrument, &drawn).unwrap();
    let first_ns = session.book_exchange_time_ns[0].min(session.best_exchange_time_ns[0]);
    let coins = [coin((CoinMarket::Recording(session.clone()), instrument.clone()), 0)];
    let settings = LoopbackSettings { start_ns: START_NS, ..LoopbackSettings::default() };
    let mut venue = LoopbackVenue::new(&coins, settings).unwrap();
    let (mut events, mut compared, mut exact) = (Vec::new(), 0_u32, 0_u32);
    let (mut book, mut shown_ns) = (0, START_NS);
    while venue.next_block().time_ns < START_NS + 59 * S {
        let block_ns = venue.next_block().time_ns;
        venue.advance(block_ns, &mut events).unwrap();
        // The venue shows the book of the block before.
        let recorded_ns = first_ns + (shown_ns - START_NS);
        shown_ns = block_ns;
        let is_new = session.book_exchange_time_ns.get(book + 1).is_some_and(|time_ns| *time_ns <= recorded_ns);
        if !is_new {
            continue;
        }
        while session.book_exchange_time_ns.get(book + 1).is_some_and(|time_ns| *time_ns <= recorded_ns) {
            book += 1;
        }
        let quoted_since = session
            .best_exchange_time_ns
            .iter()
            .any(|time_ns| (session.book_exchange_time_ns[book]..=recorded_ns).contains(time_ns));
        let printed_since =
            events.iter().any(|event| matches!(event, LoopbackEvent::Trade(trade) if trade.time_ns == block_ns));
        if quoted_since || printed_since {
            continue;
        }
        compared += 1;
        let bids = venue.levels(AssetId(0), Side::Buy, 30, None).unwrap();
        let row = book * session.depth..(book + 1) * session.depth;
        let same = bids.len() == session.depth
            && bids.iter().zip(row).all(|(level, place)| {
                instrument.price_to_f64(level.price) == session.bid_prices[place]
                    && (instrument.lots_to_f64(level.size) - session.bid_sizes[place]).abs() < 0.01
            });
        exact += u32::from(same);
    }
    let traded: i64 =
        events.iter().map(|event| if let LoopbackEvent::Trade(trade) = event { trade.size.0 } else { 0 }).sum();
    let printed: f64 = session.trade_size.iter().sum();
    let share = instrument.lots_to_f64(Lots(traded)) / printed;
    println!("recording: {exact} of {compared} books to the lot, {share:.3} of what was printed traded");
    assert!(compared > 20 && exact * 100 >= compared * 95, "{exact} of {compared}");
    assert!((0.8..=1.1).contains(&share), "{share}");
}

/// Mutants: dead orders that are never forgotten, living ones that are.
#[test]
fn history_is_bounded_and_keeps_what_lives() {
    let settings = LoopbackSettings {
        start_ns: START_NS,
        rules: hypermm_simulation::venue::matching::rules::VenueRules { request_quota: false, ..Default::default() },
        ..LoopbackSettings::default()
    };
    let (mut venue, [account, _]) = venue(settings);
    let mut events = Vec::new();
    let mut first = None;
    for _ in 0..60 {
        let now_ns = venue.next_block().time_ns;
        let wish = Wish { after_ns: 0, account: 0, asset: 0, kind: 0, side: Side::Buy, away: 900, usd: 20, count: 40 };
        venue.submit(now_ns, &request(&venue, account, &wish)).unwrap();
        venue.advance(now_ns, &mut events).unwrap();
        first = first.or_else(|| venue.open_orders(account).unwrap().last().map(|order| order.id));
        let open = venue.open_orders(account).unwrap();
        let gone = open.iter().filter(|order| Some(order.id) != first);
        let actions: Vec<Action> =
            gone.map(|order| Action::Cancel { asset: AssetId(0), order: OrderReference::Order(order.id) }).collect();
        venue.submit(now_ns, &Request { account, actions, is_fast: true, expires_after_ns: None }).unwrap();
        venue.advance(venue.next_block().time_ns, &mut events).unwrap();
    }
    let known = venue.order_history(account, usize::MAX).unwrap();
    assert_eq!(known.len(), KEPT_ORDERS + 1);
    let oldest = known.last().unwrap();
    assert_eq!((Some(oldest.id), oldest.state), (first, OrderState::Open));
}
