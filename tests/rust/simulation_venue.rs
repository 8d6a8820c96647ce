//! Laws of the venue over a recording, on small markets written by hand. Every print that may fill does.

use hypermm_core::instrument::Instrument;
use hypermm_core::state::queue::QueuePosition;
use hypermm_core::types::{Lots, OrderStatus, Price, Side};
use hypermm_simulation::market::recording::RecordingColumns;
use hypermm_simulation::venue::fill_models::{FillModel, Touch};
use hypermm_simulation::venue::gateway::{Notice, OrderGateway, Placement};
use hypermm_simulation::venue::latency::Latency;
use hypermm_simulation::venue::recorded::RecordedVenue;

const T0: i64 = 1_757_000_000_000_000_000;
const MS: i64 = 1_000_000;

#[derive(Debug)]
struct Always;

impl FillModel for Always {
    fn take(&mut self, touch: &Touch, left: Lots, _queue: &mut QueuePosition) -> Lots {
        assert!(touch.age_ns >= 0);
        if touch.beyond().is_some() { left.min(touch.order_remaining) } else { Lots(0) }
    }
}

/// One print: received and venue time in ms after T0, price units, lots, aggressor.
type Print = (i64, i64, i64, i64, i8);

#[derive(Default)]
struct Market {
    receive: Vec<i64>,
    exchange: Vec<i64>,
    price: Vec<f64>,
    size: Vec<f64>,
    aggressor: Vec<i8>,
    id: Vec<u64>,
    best_receive: Vec<i64>,
    best_exchange: Vec<i64>,
    best: [Vec<f64>; 4],
}

impl Market {
    fn new(prints: &[Print], bests: &[(i64, i64, f64, f64)]) -> Self {
        let mut market = Self::default();
        for (row, (receive, exchange, price, size, aggressor)) in prints.iter().enumerate() {
            market.receive.push(T0 + receive * MS);
            market.exchange.push(T0 + exchange * MS);
            market.price.push(*price as f64 / 100.0);
            market.size.push(*size as f64 / 1e4);
            market.aggressor.push(*aggressor);
            market.id.push(row as u64);
        }
        for (receive, exchange, bid, ask) in bests {
            market.best_receive.push(T0 + receive * MS);
            market.best_exchange.push(T0 + exchange * MS);
            for (column, value) in market.best.iter_mut().zip([*bid, 1.0, *ask, 1.0]) {
                column.push(value);
            }
        }
        market
    }

    fn columns(&self) -> RecordingColumns<'_> {
        RecordingColumns {
            best_time_ns: &self.best_receive,
            best_exchange_time_ns: &self.best_exchange,
            best_bid_price: &self.best[0],
            best_bid_size: &self.best[1],
            best_ask_price: &self.best[2],
            best_ask_size: &self.best[3],
            trade_time_ns: &self.receive,
            trade_exchange_time_ns: &self.exchange,
            trade_price: &self.price,
            trade_size: &self.size,
            trade_aggressor: &self.aggressor,
            trade_id: &self.id,
            ..RecordingColumns::default()
        }
    }

    fn venue(&self) -> RecordedVenue<'_, Always> {
        let instrument = Instrument::new("ETH", 4, 25, 10.0, 3600.0).unwrap();
        RecordedVenue::new(self.columns(), &instrument, Always, Latency::default())
    }
}

fn place(venue: &mut RecordedVenue<'_, Always>, at_ms: i64, side: Side, price: i64, size: i64) -> usize {
    let placement = Placement { side, price: Price(price), size: Lots(size), level: 0, mid: 4270.0 };
    venue.place(T0 + at_ms * MS, &placement)
}

/// What was heard, as (ms after T0, what).
fn hear_all(venue: &mut RecordedVenue<'_, Always>, until_ms: i64) -> Vec<(i64, String)> {
    venue.advance(T0 + until_ms * MS);
    let mut heard = Vec::new();
    while let Some((time_ns, notice)) = venue.next_notice(i64::MAX) {
        let text = match notice {
            Notice::Status(slot, status) => format!("{} {status:?}", venue.order(slot).id),
            Notice::Fill(fill) => format!("{} fill {} by {}", venue.order(fill.slot).id, fill.size.0, fill.trade_id),
            Notice::Funding { .. } => "funding".to_owned(),
        };
        heard.push(((time_ns - T0) / MS, text));
    }
    heard
}

fn heard(rows: &[(i64, &str)]) -> Vec<(i64, String)> {
    rows.iter().map(|(time, text)| (*time, (*text).to_owned())).collect()
}

/// Kills: matching by receive time, an order live before it arrives, a fill told before the print was received.
#[test]
fn a_print_meets_the_orders_resting_at_its_venue_time_and_is_told_when_received() {
    // Sent at 100, resting from 130. The print of venue time 129 is received long after, and must not fill.
    let market = Market::new(&[(500, 129, 426_900, 50, -1), (501, 130, 426_900, 50, -1)], &[]);
    let mut venue = market.venue();
    place(&mut venue, 100, Side::Buy, 426_900, 100);
    assert_eq!(hear_all(&mut venue, 600), heard(&[(160, "1 Open"), (501, "1 fill 50 by 1")]));
    // A print received sooner than an answer could come back is told with the answer.
    let fast = Market::new(&[(141, 140, 426_900, 50, -1)], &[]);
    let mut venue = fast.venue();
    place(&mut venue, 100, Side::Buy, 426_900, 50);
    assert_eq!(hear_all(&mut venue, 600), heard(&[(160, "1 Open"), (170, "1 fill 50 by 0")]));
}

/// Kills: an order dead at the moment its cancel is sent, or alive after the cancel has arrived.
#[test]
fn an_order_fills_until_its_cancel_arrives_and_the_end_is_told_after_the_fill() {
    let market = Market::new(&[(500, 1_029, 426_900, 30, -1), (501, 1_030, 426_900, 30, -1)], &[]);
    let mut venue = market.venue();
    let slot = place(&mut venue, 100, Side::Buy, 426_900, 100);
    venue.advance(T0 + 1_000 * MS);
    venue.cancel(T0 + 1_000 * MS, slot);
    // Only the print before 1030 fills; it is told at 1059, the cancel at 1060.
    let rows = [(160, "1 Open"), (1_059, "1 fill 30 by 0"), (1_060, "1 Canceled")];
    assert_eq!(hear_all(&mut venue, 2_000), heard(&rows));
    // Received late, the fill still comes before the end of its order.
    let late = Market::new(&[(1_500, 1_029, 426_900, 30, -1)], &[]);
    let mut venue = late.venue();
    let slot = place(&mut venue, 100, Side::Buy, 426_900, 100);
    venue.advance(T0 + 1_000 * MS);
    venue.cancel(T0 + 1_000 * MS, slot);
    let rows = [(160, "1 Open"), (1_500, "1 fill 30 by 0"), (1_500, "1 Canceled")];
    assert_eq!(hear_all(&mut venue, 2_000), heard(&rows));
}

/// Kills: a late cancel that meets the next order in a reused slot.
#[test]
fn a_cancel_that_comes_too_late_is_answered_by_the_fill_and_hurts_no_other_order() {
    let market = Market::new(&[(1_001, 1_000, 426_900, 100, -1), (3_000, 2_999, 426_900, 100, -1)], &[]);
    let mut venue = market.venue();
    let slot = place(&mut venue, 100, Side::Buy, 426_900, 100);
    venue.advance(T0 + 999 * MS);
    // Arrives at 1029, after the fill at 1000.
    venue.cancel(T0 + 999 * MS, slot);
    venue.advance(T0 + 1_030 * MS);
    let mut told = Vec::new();
    while let Some((_, notice)) = venue.next_notice(T0 + 1_030 * MS) {
        told.push(notice);
    }
    assert_eq!(told.len(), 2);
    assert_eq!(venue.order(slot).status, OrderStatus::Filled);
    let again = place(&mut venue, 1_031, Side::Buy, 426_900, 100);
    assert_eq!(again, slot);
    assert_eq!(hear_all(&mut venue, 4_000), heard(&[(1_091, "2 Open"), (3_029, "2 fill 100 by 1")]));
    assert_eq!(venue.position(), Lots(200));
}

/// Kills: a print that fills more than its size, worse prices or younger orders served first.
#[test]
fn a_print_is_shared_out_best_price_first_and_never_beyond_its_size() {
    let market = Market::new(&[(900, 800, 426_800, 120, -1)], &[]);
    let mut venue = market.venue();
    for (at, price) in [(100, 426_800), (200, 426_900), (300, 426_900), (400, 426_700)] {
        place(&mut venue, at, Side::Buy, price, 50);
    }
    let fills: Vec<_> = hear_all(&mut venue, 2_000).into_iter().filter(|(_, text)| text.contains("fill")).collect();
    assert_eq!(fills, heard(&[(900, "2 fill 50 by 0"), (900, "3 fill 50 by 0"), (900, "1 fill 20 by 0")]));
    let mirrored = Market::new(&[(900, 800, 427_200, 120, 1)], &[]);
    let mut venue = mirrored.venue();
    for (at, price) in [(100, 427_200), (200, 427_100), (300, 427_100), (400, 427_300)] {
        place(&mut venue, at, Side::Sell, price, 50);
    }
    let fills: Vec<_> = hear_all(&mut venue, 2_000).into_iter().filter(|(_, text)| text.contains("fill")).collect();
    assert_eq!(fills, heard(&[(900, "2 fill 50 by 0"), (900, "3 fill 50 by 0"), (900, "1 fill 20 by 0")]));
    assert_eq!(venue.position(), Lots(-120));
}

/// Kills: the post-only check on what we had received instead of what the venue had, or at sending instead of arrival.
#[test]
fn an_order_that_would_take_at_its_arrival_is_rejected() {
    // The offer falls to 4269.0 at venue time 120 (received 500): an order sent at 100 arrives at 130 and meets it.
    let bests = [(400, 0, 4268.0, 4270.0), (500, 120, 4268.0, 4269.0), (600, 200, 4268.0, 4270.0)];
    let market = Market::new(&[], &bests);
    let mut venue = market.venue();
    place(&mut venue, 80, Side::Buy, 426_900, 10);
    place(&mut venue, 100, Side::Buy, 426_900, 10);
    place(&mut venue, 100, Side::Sell, 426_800, 10);
    place(&mut venue, 100, Side::Sell, 426_810, 10);
    place(&mut venue, 180, Side::Buy, 426_900, 10);
    let rows = [(140, "1 Open"), (160, "2 Rejected"), (160, "3 Rejected"), (160, "4 Open"), (240, "5 Open")];
    assert_eq!(hear_all(&mut venue, 2_000), heard(&rows));
    assert_eq!((venue.counts().placed, venue.counts().rejected), (5, 2));
}

/// Kills: prints matched in receive order when the venue's order differs.
#[test]
fn prints_are_matched_in_venue_order_whatever_order_they_were_received_in() {
    let market = Market::new(&[(900, 850, 426_900, 60, -1), (910, 840, 426_900, 60, -1)], &[]);
    let mut venue = market.venue();
    place(&mut venue, 100, Side::Buy, 426_900, 100);
    let rows = [(160, "1 Open"), (910, "1 fill 60 by 1"), (910, "1 fill 40 by 0")];
    assert_eq!(hear_all(&mut venue, 2_000), heard(&rows));
}
