//! Laws of waiting in a recorded queue, on small markets written by hand.

use hypermm_core::instrument::Instrument;
use hypermm_core::state::queue::CancelModel;
use hypermm_core::types::{Lots, OrderStatus, Price, Side};
use hypermm_simulation::market::session::Session;
use hypermm_simulation::venue::fill_models::QueueFills;
use hypermm_simulation::venue::gateway::{Notice, OrderGateway, Placement};
use hypermm_simulation::venue::latency::Latency;
use hypermm_simulation::venue::recorded::RecordedVenue;
use proptest::prelude::*;

const T0: i64 = 1_757_000_000_000_000_000;
const MS: i64 = 1_000_000;
const LATENCY: Latency = Latency { to_venue_ns: 10 * MS, acknowledge_ns: 10 * MS };

fn eth() -> Instrument {
    Instrument::new("ETH", 4, 25, 10.0, 3600.0).unwrap()
}

/// Streams on one clock; prices in tenths, sizes in lots of 1e-4.
#[derive(Default)]
struct Market {
    session: Session,
}

impl Market {
    /// Two levels a side: best bid `bid` and the next tenth below it, the ask side mirrored.
    fn book(&mut self, at_ms: i64, bids: [(i64, i64); 2], asks: [(i64, i64); 2]) -> &mut Self {
        let session = &mut self.session;
        session.depth = 2;
        session.book_time_ns.push(T0 + at_ms * MS);
        session.book_exchange_time_ns.push(T0 + at_ms * MS);
        for (price, size) in bids {
            session.bid_prices.push(price as f64 / 10.0);
            session.bid_sizes.push(size as f64 / 1e4);
        }
        for (price, size) in asks {
            session.ask_prices.push(price as f64 / 10.0);
            session.ask_sizes.push(size as f64 / 1e4);
        }
        self
    }

    fn best(&mut self, at_ms: i64, bid: (i64, i64), ask: (i64, i64)) -> &mut Self {
        let session = &mut self.session;
        session.best_time_ns.push(T0 + at_ms * MS);
        session.best_exchange_time_ns.push(T0 + at_ms * MS);
        session.best_bid_price.push(bid.0 as f64 / 10.0);
        session.best_bid_size.push(bid.1 as f64 / 1e4);
        session.best_ask_price.push(ask.0 as f64 / 10.0);
        session.best_ask_size.push(ask.1 as f64 / 1e4);
        self
    }

    /// A print; `aggressor` +1 bought.
    fn print(&mut self, at_ms: i64, price: i64, size: i64, aggressor: i8) -> &mut Self {
        let session = &mut self.session;
        session.trade_time_ns.push(T0 + at_ms * MS);
        session.trade_exchange_time_ns.push(T0 + at_ms * MS);
        session.trade_price.push(price as f64 / 10.0);
        session.trade_size.push(size as f64 / 1e4);
        session.trade_aggressor.push(aggressor);
        session.trade_id.push(session.trade_id.len() as u64 + 1);
        self
    }

    /// Places orders (sent in ms, side, tenths, lots) and answers what filled: (ms, order, lots, print).
    fn fills(&self, model: CancelModel, orders: &[(i64, Side, i64, i64)]) -> Vec<(i64, u64, i64, u64)> {
        let model = QueueFills::new(model, 1e4).unwrap();
        let mut venue = RecordedVenue::new(self.session.columns(), &eth(), model, LATENCY);
        for (sent_ms, side, tenths, lots) in orders {
            venue.advance(T0 + sent_ms * MS);
            let placement =
                Placement { side: *side, price: Price(tenths * 10), size: Lots(*lots), level: 0, mid: 4269.0 };
            venue.place(T0 + sent_ms * MS, &placement);
        }
        venue.advance(i64::MAX);
        let mut fills = Vec::new();
        while let Some((time_ns, notice)) = venue.next_notice(i64::MAX) {
            match notice {
                Notice::Fill(fill) => {
                    assert_eq!(time_ns, fill.exchange_time_ns + 10 * MS);
                    let order = venue.order(fill.slot).id;
                    fills.push(((fill.exchange_time_ns - T0) / MS, order, fill.size.0, fill.trade_id));
                }
                Notice::Status(_, status) => assert_eq!(status, OrderStatus::Open, "no order here is refused"),
                Notice::Funding { .. } => panic!("a recording pays no funding here"),
            }
        }
        fills
    }
}

const BIDS: [(i64, i64); 2] = [(42_690, 500), (42_689, 900)];
const ASKS: [(i64, i64); 2] = [(42_691, 400), (42_692, 800)];
const RISK_AVERSE: CancelModel = CancelModel::RiskAverse;

/// Kills: an order filled before those ahead, by more than is left of a print, or not at all by what goes through.
#[test]
fn an_order_fills_with_what_prints_leave_after_those_ahead() {
    let mut market = Market::default();
    market.book(0, BIDS, ASKS);
    // 500 ahead: 300, then 250 of which 50 are ours, a buyer at our price who takes none, then all that goes through.
    market.print(100, 42_690, 300, -1).print(110, 42_690, 250, -1).print(120, 42_690, 999, 1);
    market.print(130, 42_690, 20, -1).print(140, 42_689, 700, -1);
    let fills = market.fills(RISK_AVERSE, &[(0, Side::Buy, 42_690, 100)]);
    assert_eq!(fills, vec![(110, 1, 50, 2), (130, 1, 20, 4), (140, 1, 30, 5)]);
}

/// Kills: a snapshot that puts us last again, size behind us counted as ahead, cancels taken as ahead by the
/// risk-averse model or as behind by the proportional one.
#[test]
fn books_move_an_order_up_and_never_back() {
    let mut market = Market::default();
    market.book(0, BIDS, ASKS).print(100, 42_690, 300, -1);
    // 200 ahead of the 1,200 shown; then 600 are left: 100 of them ahead in proportion.
    market.best(110, (42_690, 1_200), ASKS[0]).best(120, (42_690, 600), ASKS[0]).print(130, 42_690, 150, -1);
    let order = [(0, Side::Buy, 42_690, 100)];
    assert_eq!(market.fills(RISK_AVERSE, &order), vec![]);
    assert_eq!(market.fills(CancelModel::Power(1.0), &order), vec![(130, 1, 50, 2)]);
    // A level that shows less than stood before us: what is shown is all there is.
    market.best(140, (42_690, 10), ASKS[0]).print(150, 42_690, 60, -1);
    assert_eq!(market.fills(RISK_AVERSE, &order), vec![(150, 1, 50, 3)]);
}

/// Kills: a print given to each of our orders in full, or one of ours that does not count as ahead of the next.
#[test]
fn our_own_orders_share_a_print_first_come_first_served() {
    let mut market = Market::default();
    market.book(0, BIDS, ASKS).print(100, 42_690, 580, -1).print(110, 42_690, 60, -1).print(120, 42_688, 70, -1);
    let orders = [(0, Side::Buy, 42_690, 50), (1, Side::Buy, 42_690, 60), (2, Side::Buy, 42_689, 100)];
    let fills = market.fills(RISK_AVERSE, &orders);
    // 500 others, 50, then 30 of 60; the rest of those; then all that goes through the price below.
    assert_eq!(fills, vec![(100, 1, 50, 1), (100, 2, 30, 1), (110, 2, 30, 2), (120, 3, 70, 3)]);
}

/// Kills: an order the market has left behind that stays unfilled; shown size that fills us twice.
#[test]
fn the_other_side_at_our_price_fills_us_with_what_it_shows_once() {
    let mut market = Market::default();
    market.book(0, BIDS, ASKS);
    market.best(100, (42_689, 900), (42_690, 30)).best(110, (42_689, 900), (42_690, 30));
    market.best(120, (42_689, 900), (42_690, 45)).best(130, (42_689, 900), (42_691, 45));
    market.book(140, [(42_687, 1), (42_686, 1)], [(42_689, 20), (42_690, 25)]);
    let fills = market.fills(RISK_AVERSE, &[(0, Side::Buy, 42_690, 100)]);
    assert_eq!(fills, vec![(100, 1, 30, 0), (120, 1, 15, 0), (140, 1, 45, 0)]);
    // Sells are the same picture upside down.
    let mut mirrored = Market::default();
    mirrored.book(0, BIDS, ASKS).best(100, (42_691, 30), (42_692, 900));
    assert_eq!(mirrored.fills(RISK_AVERSE, &[(0, Side::Sell, 42_691, 100)]), vec![(100, 1, 30, 0)]);
}

/// Kills: a place at a price the book does not reach taken for the first.
#[test]
fn beyond_the_deepest_level_nothing_is_known_and_we_stand_last_once_it_is_seen() {
    let mut market = Market::default();
    market.book(0, BIDS, ASKS).print(50, 42_687, 400, -1);
    market.book(100, [(42_688, 300), (42_687, 700)], ASKS).print(110, 42_687, 650, -1).print(120, 42_687, 80, -1);
    let fills = market.fills(RISK_AVERSE, &[(0, Side::Buy, 42_687, 100)]);
    assert_eq!(fills, vec![(120, 1, 30, 3)]);
}

proptest! {
    /// Kills: more filled than a print held or an order wanted, one model's fills before those of a more careful one.
    #[test]
    fn fills_are_covered_by_prints_and_careful_models_fill_less(
        rows in prop::collection::vec((0_u8..3, 0_i64..4, 1_i64..400), 5..60),
        orders in prop::collection::vec((0_i64..300, 0_i64..3, 1_i64..200), 1..5),
    ) {
        let mut market = Market::default();
        market.book(0, BIDS, ASKS);
        for (row, (what, price, size)) in rows.iter().enumerate() {
            let at_ms = 5 * (row as i64 + 1);
            match what {
                0 => market.print(at_ms, 42_690 - price, *size, -1),
                1 => market.best(at_ms, (42_690 - price.min(&1), *size), ASKS[0]),
                _ => market.book(at_ms, [(42_690, *size), (42_689, 7 * size % 397 + 1)], ASKS),
            };
        }
        let mut orders: Vec<_> = orders.iter().map(|(at, price, size)| (*at, Side::Buy, 42_690 - price, *size)).collect();
        orders.sort_by_key(|order| order.0);
        let mut filled = Vec::new();
        for model in [RISK_AVERSE, CancelModel::Power(1.0)] {
            let fills = market.fills(model, &orders);
            for (print, size) in rows.iter().filter(|row| row.0 == 0).map(|row| row.2).enumerate() {
                let given: i64 = fills.iter().filter(|fill| fill.3 == print as u64 + 1).map(|fill| fill.2).sum();
                prop_assert!(given <= size, "print {print} of {size} gave {given}");
            }
            for (place, order) in orders.iter().enumerate() {
                let got: i64 = fills.iter().filter(|fill| fill.1 == place as u64 + 1).map(|fill| fill.2).sum();
                prop_assert!(got <= order.3);
            }
            filled.push(fills.iter().map(|fill| fill.2).sum::<i64>());
        }
        prop_assert!(filled[0] <= filled[1], "risk averse {}, in proportion {}", filled[0], filled[1]);
    }
}
