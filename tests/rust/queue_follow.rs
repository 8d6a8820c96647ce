//! The short way of following best prices equals the long way through the whole book.

use hypermm_core::instrument::Instrument;
use hypermm_core::state::book::{Book, SnapshotLevels};
use hypermm_core::state::own_orders::{OrderWord, OwnOrders};
use hypermm_core::state::queue::{CancelModel, QueuePosition};
use hypermm_core::types::{Identifier, Lots, OrderStatus, Price, Side};
use proptest::prelude::*;

proptest! {
    /// Kills: a queue that does not shrink to the best size, or is not emptied when the book falls back behind it.
    #[test]
    fn following_the_best_equals_following_the_whole_book(
        steps in prop::collection::vec((-6_i64..6, 1_i64..300, 0_i64..30, any::<bool>()), 1..40),
    ) {
        let cancels = CancelModel::default();
        let instrument = Instrument::new("ETH", 4, 25, 10.0, 3600.0).unwrap();
        let (mut book, mut short, mut long) = (Book::default(), OwnOrders::default(), OwnOrders::default());
        for (now, (shift, size, place, whole)) in steps.into_iter().enumerate() {
            let now = now as i64;
            let (bid, ask) = (42_690 + shift, 42_691 + shift);
            let price = |units: i64| units as f64 / 10.0;
            if whole || now == 0 {
                let bids: Vec<f64> = (0..20).map(|level| price(bid - level)).collect();
                let asks: Vec<f64> = (0..20).map(|level| price(ask + level)).collect();
                let sizes: Vec<f64> = (0..20).map(|level| ((size * (level + 3)) % 97 + 1) as f64).collect();
                let levels = SnapshotLevels { bid_prices: &bids, bid_sizes: &sizes, ask_prices: &asks, ask_sizes: &sizes };
                book.apply_snapshot(now, &Book::check_snapshot(&instrument, levels).unwrap());
                short.follow_book(&book, cancels);
                long.follow_book(&book, cancels);
            } else {
                let level = |side, units| Book::check_best(&instrument, side, Some((price(units), size as f64))).unwrap();
                book.apply_best(now, level(Side::Buy, bid), level(Side::Sell, ask));
                short.follow_best(&book, cancels);
                long.follow_book(&book, cancels);
            }
            for (side, units) in [(Side::Buy, bid - place), (Side::Sell, ask + place)] {
                let order = Price(units * 10);
                let shown = book.side(side).displayed_at(side, order);
                let queue = shown.map_or_else(QueuePosition::unseen, QueuePosition::behind);
                let word = OrderWord { status: OrderStatus::Open, side, price: order, remaining: Lots(500), original: None };
                let name = Identifier::Number(now as u64 * 2 + u64::from(side == Side::Sell));
                for orders in [&mut short, &mut long] {
                    orders.apply(now, &name, &word, || (0.0, queue));
                }
            }
            prop_assert_eq!((short.live().len(), long.live().len()), (2 * (now as usize + 1), 2 * (now as usize + 1)));
            for (left, right) in short.live().iter().zip(long.live()) {
                prop_assert_eq!(left.queue.ahead(), right.queue.ahead(), "{:?} at {} after step {}", left.side, left.price.0, now);
            }
        }
    }
}
