//! Laws of the gap between paper and live: feeds without our orders, messages that travel alike, chances of a fill.

use hypermm_core::config::EngineConfig;
use hypermm_core::engine::QuoteEngine;
use hypermm_core::error::{Error, Result};
use hypermm_core::event::{AccountEvent, Context, MarketEvent};
use hypermm_core::instrument::Instrument;
use hypermm_core::pricing::decision::Decision;
use hypermm_core::state::queue::CancelModel;
use hypermm_core::types::{Lots, OrderStatus, Price, QuoteStatus, Side, TimestampNs};
use hypermm_simulation::backtest::gap::{GapSettings, PaperArm, PublicFeed, run_gap, run_gaps};
use hypermm_simulation::backtest::output::BacktestOutput;
use hypermm_simulation::backtest::replay::{BacktestSettings, run_timed};
use hypermm_simulation::backtest::sessions::{run_session, session_settings};
use hypermm_simulation::backtest::silent::Silent;
use hypermm_simulation::backtest::strategy::Strategy;
use hypermm_simulation::market::preset::MarketPreset;
use hypermm_simulation::market::session::Session;
use hypermm_simulation::venue::block_clock::Block;
use hypermm_simulation::venue::feed::{FeedMessage, FeedSettings};
use hypermm_simulation::venue::fill_models::{FillCalibration, FillSettings, QueueFills};
use hypermm_simulation::venue::gateway::{Notice, OrderGateway, Placement, VenueOrder};
use hypermm_simulation::venue::latency::{Latency, LatencyLaw};
use hypermm_simulation::venue::matching::order::{AccountId, Action, AssetId, TimeInForce};
use hypermm_simulation::venue::recorded::RecordedVenue;
use proptest::prelude::*;
use proptest::strategy::Strategy as _;

use crate::venue_feed::{exchange, feed, order};

const T0: i64 = 1_757_000_000_000_000_000;
const MS: i64 = 1_000_000;
const ASSET: AssetId = AssetId(0);

fn config() -> EngineConfig {
    EngineConfig { max_position: 100.0, maker_fee_bps: 1.44, ..EngineConfig::default() }
}

fn calibrated(cancel_exponent: f64, touch_probability: f64, alone_probability: f64) -> FillSettings {
    FillSettings::Calibrated(FillCalibration { cancel_exponent, touch_probability, alone_probability })
}

fn arm(feed: PublicFeed, fill_model: FillSettings) -> PaperArm {
    PaperArm { feed, fill_model, latency: None }
}

fn settings(arms: Vec<PaperArm>) -> GapSettings {
    let preset = MarketPreset::named("hype").unwrap();
    GapSettings { preset, config: config(), duration_s: 600.0, cycle_ns: 250_000_000, arms }
}

/// Kills: rows that depend on the other arms, the other seeds or the thread, two arms of one model that differ.
#[test]
fn rows_depend_on_seed_and_arm_alone() {
    let pair = |feed| [arm(feed, calibrated(1.0, 0.3, 0.5)), arm(feed, FillSettings::PESSIMISTIC)];
    let feeds = [PublicFeed::OursLeftOut, PublicFeed::Published, PublicFeed::WithoutUs];
    let all: Vec<_> = feeds.into_iter().flat_map(pair).collect();
    let together = run_gaps(&settings(all.clone()), 4..6).unwrap();
    assert_eq!(together, run_gaps(&settings(all.clone()), 4..6).unwrap());
    assert_eq!(together.len(), 2 * 7);
    for (number, one) in all.into_iter().enumerate() {
        // Alone, twice, from one seed.
        let rows = run_gap(&settings(vec![one.clone(), one]), 5).unwrap();
        let expected = together[7 + number + 1];
        assert_eq!(rows[0], together[7], "live does not depend on paper");
        for row in &rows[1..] {
            assert_eq!(as_arm(row, expected.arm), expected);
        }
    }
    let fills: Vec<_> = together.iter().map(|row| row.fills).collect();
    println!("fills by seed and arm: {fills:?}");
    assert!(fills.iter().all(|fills| *fills > 0));
}

fn as_arm(row: &hypermm_simulation::backtest::gap::GapRow, arm: u32) -> hypermm_simulation::backtest::gap::GapRow {
    hypermm_simulation::backtest::gap::GapRow { arm, ..*row }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Oracle: the feed of an exchange in which the account placed nothing. Kills: a level that keeps our size, a level of
    /// ours alone that stays, a book cut short by our levels, a best price behind ours that is not shown.
    #[test]
    fn a_feed_without_us_is_that_of_a_book_we_are_not_in(
        orders in prop::collection::vec((1_u32..3, prop::bool::ANY, 1_i64..12, 1_i64..50), 0..40)
    ) {
        let (mut whole, mut others) = (exchange(1, 2), exchange(1, 2));
        for (account, is_bid, ticks, size) in orders {
            let (side, price) = if is_bid { (Side::Buy, 30_000 - ticks * 10) } else { (Side::Sell, 30_000 + ticks * 10) };
            let place = Action::Place(order(ASSET, side, price, size, TimeInForce::PostOnly, None));
            whole.execute(0, AccountId(account), &place, &mut |_| {});
            if account == 2 {
                others.execute(0, AccountId(2), &place, &mut |_| {});
            }
        }
        let settings = FeedSettings::new(LatencyLaw::Constant(0));
        let told = |exchange: &_, left_out: bool| {
            let mut feed = feed(ASSET, settings.clone(), 1);
            if left_out {
                feed = feed.without(AccountId(1));
            }
            feed.after_block(Block { number: 0, time_ns: 0 }, exchange, &Context::default());
            let mut messages = Vec::new();
            while let Some(event) = feed.next(i64::MAX) {
                messages.push(match event.message {
                    FeedMessage::Book { bids, asks } => format!("{bids:?} {asks:?}"),
                    FeedMessage::Best { bid, ask } => format!("{bid:?} {ask:?}"),
                    FeedMessage::Trade(_) | FeedMessage::Context(_) => String::new(),
                });
            }
            messages
        };
        prop_assert_eq!(told(&whole, true), told(&others, false));
    }
}

/// Quotes two per cent from the mid, somewhere else every few cycles, and notes what it hears of its orders.
#[derive(Default)]
struct Distant {
    instrument: Option<Instrument>,
    mid: f64,
    cycles: i64,
    heard: Vec<(TimestampNs, u64, OrderStatus)>,
}

impl Strategy for Distant {
    type Error = Error;

    fn on_event(&mut self, _: TimestampNs, event: &MarketEvent<'_>) -> Result<()> {
        if let MarketEvent::Best { bid: Some((bid, _)), ask: Some((ask, _)), .. } = event {
            self.mid = 0.5 * (bid + ask);
        }
        Ok(())
    }

    fn on_account(&mut self, _: TimestampNs, _: &AccountEvent) -> Result<()> {
        Ok(())
    }

    fn on_order(&mut self, time_ns: TimestampNs, order: &VenueOrder, _: &Instrument) -> Result<()> {
        self.heard.push((time_ns, order.id, order.status));
        Ok(())
    }

    fn quote(&mut self, _: TimestampNs, decision: &mut Decision) -> Result<()> {
        self.cycles += 1;
        let Some(instrument) = self.instrument.as_ref().filter(|_| self.mid > 0.0) else { return Ok(()) };
        decision.status = QuoteStatus::Quoting;
        decision.mid_price = self.mid;
        let shift = 0.02 + 0.0004 * (self.cycles / 3 % 5) as f64;
        for (side, quotes) in [(Side::Buy, &mut decision.bids), (Side::Sell, &mut decision.asks)] {
            let price = instrument.round_price(self.mid * (1.0 - side.sign() * shift), side)?;
            quotes.len = 1;
            quotes.price_units[0] = instrument.price_from_f64("price", price)?;
            quotes.lots[0] = Lots(100);
            // It expects nothing.
            for expected in [&mut quotes.expected_edge_bps, &mut quotes.expected_pnl_bps, &mut quotes.fill_probability]
            {
                expected[0] = f64::NAN;
            }
        }
        Ok(())
    }
}

/// Both venues draw the same blocks and delays. Kills: another stream or number of a delay, a block too early or too late,
/// batches in another order, news that is not heard with its block.
#[test]
fn news_of_our_orders_comes_at_the_same_times_as_live() {
    let preset = MarketPreset::named("hype").unwrap();
    let instrument = preset.instrument().unwrap();
    let mut matched = session_settings(&preset, 3, 120.0).unwrap();
    matched.feed.leaves_out_ours = true;
    let strategy = || Distant { instrument: Some(instrument.clone()), ..Distant::default() };
    let (mut live, mut paper) = (strategy(), strategy());
    let session = run_session(&preset, &config(), &matched, &mut live, &mut |_| {}).unwrap().session;
    let settings = BacktestSettings { seed: 3, fill_model: FillSettings::PESSIMISTIC, ..BacktestSettings::default() };
    let blocks = Some(&matched.blocks);
    run_timed(&session.columns(), &instrument, &config(), &settings, blocks, &mut paper, &mut |_| {}).unwrap();
    let end_ns = matched.blocks.clock.start_ns + matched.duration_ns - 5_000 * MS;
    for heard in [&mut live.heard, &mut paper.heard] {
        heard.retain(|(time_ns, ..)| *time_ns < end_ns);
        // What is heard at one time is heard in no order.
        heard.sort_by_key(|(time_ns, id, status)| (*time_ns, *id, *status as u8));
    }
    println!("{} changes of orders", live.heard.len());
    assert!(live.heard.len() > 500 && live.heard.iter().any(|row| row.2 == OrderStatus::Canceled));
    let differs = live.heard.iter().zip(&paper.heard).position(|(live, paper)| live != paper);
    assert_eq!(differs.map(|row| (live.heard[row], paper.heard[row])), None);
    assert_eq!(live.heard.len(), paper.heard.len());
}

fn play(session: &Session, fill_model: FillSettings) -> BacktestOutput {
    let instrument = MarketPreset::named("hype").unwrap().instrument().unwrap();
    let mut engine = QuoteEngine::new(instrument.clone(), config()).unwrap();
    let settings = BacktestSettings { fill_model, ..BacktestSettings::default() };
    run_timed(&session.columns(), &instrument, &config(), &settings, None, &mut engine, &mut |_| {}).unwrap()
}

/// Kills: a chance of nothing that fills, a chance that changes the queue it is added to.
#[test]
fn without_chances_the_calibrated_model_is_the_power_queue() {
    let preset = MarketPreset::named("hype").unwrap();
    let matched = session_settings(&preset, 8, 600.0).unwrap();
    let mut engine = QuoteEngine::new(preset.instrument().unwrap(), config()).unwrap();
    let session = run_session(&preset, &config(), &matched, &mut engine, &mut |_| {}).unwrap().session;
    let queue = play(&session, FillSettings::Queue(CancelModel::Power(2.0)));
    assert!(queue.fills.len() > 5);
    assert_eq!(queue, play(&session, calibrated(2.0, 0.0, 0.0)));
    assert_ne!(queue.fills, play(&session, calibrated(2.0, 1.0, 0.0)).fills);
    assert_ne!(queue.fills, play(&session, calibrated(2.0, 0.0, 1.0)).fills);
}

/// A market of best prices and prints at one time of both clocks: prices in tenths, sizes in lots of 1e-4.
#[derive(Clone, Copy, Debug)]
enum Row {
    Best(i64, i64),
    Print(i64, i64),
}

fn market(rows: &[Row]) -> Session {
    let mut session = Session { depth: 1, ..Session::default() };
    for (place, row) in rows.iter().enumerate() {
        let time_ns = T0 + 100 * MS * place as i64;
        match *row {
            Row::Best(bid, size) => {
                session.best_time_ns.push(time_ns);
                session.best_exchange_time_ns.push(time_ns);
                session.best_bid_price.push(bid as f64 / 10.0);
                session.best_bid_size.push(size as f64 / 1e4);
                session.best_ask_price.push(4_300.0);
                session.best_ask_size.push(1.0);
            }
            Row::Print(price, size) => {
                session.trade_time_ns.push(time_ns);
                session.trade_exchange_time_ns.push(time_ns);
                session.trade_price.push(price as f64 / 10.0);
                session.trade_size.push(size as f64 / 1e4);
                session.trade_aggressor.push(-1);
                session.trade_id.push(place as u64 + 1);
            }
        }
    }
    session
}

/// Fills of one bid of 100 lots at 4,269.0, there from the start: place of the row, lots, print.
fn fills(session: &Session, calibration: FillCalibration, seed: u64) -> Vec<(i64, i64, u64)> {
    let eth = Instrument::new("ETH", 4, 25, 10.0, 3600.0).unwrap();
    let model = QueueFills::calibrated(calibration, 1e4, seed).unwrap();
    let latency = Latency { to_venue_ns: 0, acknowledge_ns: 0 };
    let mut venue = RecordedVenue::new(session.columns(), &eth, model, latency);
    let bid = Placement { side: Side::Buy, price: Price(426_900), size: Lots(100), level: 0, mid: 4269.0 };
    venue.place(T0, &bid);
    venue.advance(i64::MAX);
    let mut fills = Vec::new();
    while let Some((_, notice)) = venue.next_notice(i64::MAX) {
        if let Notice::Fill(fill) = notice {
            fills.push(((fill.exchange_time_ns - T0) / (100 * MS), fill.size.0, fill.trade_id));
        }
    }
    fills
}

const SURE: FillCalibration = FillCalibration { cancel_exponent: 1.0, touch_probability: 0.0, alone_probability: 1.0 };

/// Kills: an order taken while others stand with it or before it, twice where nothing has changed, not whole, or at
/// another time than that of the book that shows it.
#[test]
fn an_order_left_alone_in_front_is_taken_as_often_as_the_chance_says() {
    let rows = [Row::Best(42_690, 500), Row::Best(42_691, 9), Row::Best(42_690, 3), Row::Best(42_689, 700)];
    assert_eq!(fills(&market(&rows), SURE, 0), vec![(3, 100, 0)]);
    assert_eq!(fills(&market(&rows[..3]), SURE, 0), vec![]);
    let chance = FillCalibration { alone_probability: 0.3, ..SURE };
    let taken = |rows: &[Row]| (0..4_000).filter(|seed| !fills(&market(rows), chance, *seed).is_empty()).count();
    let once = taken(&rows);
    // The same best again is no new step back; a further one is, and coming back makes the next one count anew.
    let (same, further) = (Row::Best(42_689, 20), [Row::Best(42_688, 20), Row::Best(42_690, 5), Row::Best(42_689, 1)]);
    let still = [rows[0], rows[3], same, same];
    let again: Vec<Row> = still.iter().chain(&further).copied().collect();
    println!("taken of 4,000: {once} by one step, {} by three", taken(&again));
    let near = |count: usize, chance: f64| (count as f64 - 4_000.0 * chance).abs() < 4.0 * 4_000_f64.sqrt() * 0.5;
    assert!(near(once, 0.3) && near(taken(&still), 0.3) && near(taken(&again), 1.0 - 0.7_f64.powi(3)));
}

fn rows() -> impl proptest::strategy::Strategy<Value = Vec<Row>> {
    let row = prop_oneof![
        3 => (42_687_i64..42_693, 1_i64..900).prop_map(|(bid, size)| Row::Best(bid, size)),
        2 => (42_688_i64..42_692, 1_i64..300).prop_map(|(price, size)| Row::Print(price, size)),
    ];
    prop::collection::vec(row, 1..40)
}

fn filled_by(fills: &[(i64, i64, u64)], row: i64) -> i64 {
    fills.iter().filter(|(place, ..)| *place <= row).map(|(_, lots, _)| lots).sum()
}

proptest! {
    /// More chance never fills an order less by any time, and no queue fills it less than the risk-averse one. Kills:
    /// draws that depend on the chance or on each other, a touch that costs the order its place.
    #[test]
    fn more_chance_fills_no_less(rows in rows(), touch in 0.0..1.0, alone in 0.0..1.0, more in 0.0..1.0, seed in 0_u64..50) {
        let mut rows = rows;
        rows.insert(0, Row::Best(42_690, 400));
        let session = market(&rows);
        let numbers = |touch_probability, alone_probability| FillCalibration { cancel_exponent: 1.0, touch_probability, alone_probability };
        let little = fills(&session, numbers(touch, alone), seed);
        let upwards = |chance: f64| chance + more * (1.0 - chance);
        let others = [numbers(upwards(touch), alone), numbers(touch, upwards(alone))].map(|much| fills(&session, much, seed));
        let none = fills(&session, numbers(0.0, 0.0), seed);
        for row in 0..=rows.len() as i64 {
            for much in &others {
                prop_assert!(filled_by(much, row) >= filled_by(&little, row), "{little:?} {much:?}");
            }
            prop_assert!(filled_by(&little, row) >= filled_by(&none, row), "{none:?} {little:?}");
        }
    }
}

#[test]
fn numbers_out_of_range_are_refused_by_name() {
    let field = |model: FillSettings| model.validate().unwrap_err().detail().field.clone();
    assert_eq!(field(calibrated(0.0, 0.1, 0.1)), "cancel_exponent");
    assert_eq!(field(calibrated(1.0, 1.1, 0.1)), "touch_probability");
    assert_eq!(field(calibrated(1.0, 0.1, f64::NAN)), "alone_probability");
    for coin in ["ETH", "no such coin"] {
        FillSettings::Calibrated(FillCalibration::of(coin)).validate().unwrap();
    }
}

/// CRC-32 of a preset's contract, fees and parameters, and of the prints of ten minutes in which we do not trade: those
/// change with the code of the market's agents too.
fn market_digest(preset: &MarketPreset) -> u32 {
    let settings = session_settings(preset, 0, 600.0).unwrap();
    let session = run_session(preset, &config(), &settings, &mut Silent, &mut |_| {}).unwrap().session;
    assert!(session.trade_price.len() > 100);
    let MarketPreset { coin, size_decimals, max_leverage, maker_fee_bps, taker_fee_bps, parameters, .. } = preset;
    let market = (coin, size_decimals, max_leverage, maker_fee_bps, taker_fee_bps, parameters);
    let Session { trade_exchange_time_ns, trade_price, trade_size, trade_aggressor, .. } = &session;
    let prints = (trade_exchange_time_ns, trade_price, trade_size, trade_aggressor);
    crc32fast::hash(format!("{market:?} {prints:?}").as_bytes())
}

/// Kills: a preset refitted, or its agents changed, while the fill numbers stay those of the market it was.
#[test]
fn fill_numbers_were_fitted_in_the_presets_as_they_are() {
    let coins: Vec<_> = FillCalibration::FITTED.iter().map(|(coin, ..)| *coin).collect();
    assert_eq!(coins, MarketPreset::ALL.iter().map(|preset| preset.coin.as_ref()).collect::<Vec<_>>());
    let mut stale = Vec::new();
    for (preset, (coin, fitted_in, _)) in MarketPreset::ALL.iter().zip(FillCalibration::FITTED) {
        let digest = market_digest(preset);
        if digest != *fitted_in {
            stale.push(format!("{coin}: fitted in {fitted_in:#010x}, is {digest:#010x}"));
        }
    }
    assert!(
        stale.is_empty(),
        "{}. Refit with: hypermm gap --fit-seeds 32 --preset hype --preset eth --preset sol --preset wlfi; the same with \
         --preset btc; put numbers and digests into fill_models.rs and judge with: pytest -m verify -s tests/python/test_gap.py",
        stale.join("; ")
    );
    let (first, second) = (&MarketPreset::ALL[0], &MarketPreset::ALL[1]);
    let changed = first.parameters.with(&[("liquidation_size", first.parameters.liquidation_size * 1.001)]).unwrap();
    assert_ne!(market_digest(&MarketPreset { parameters: changed, ..first.clone() }), market_digest(first));
    assert_ne!(market_digest(first), market_digest(second));
}
