//! Laws of the replay: causality, determinism, conservation, and every figure against a second computation.

use std::sync::OnceLock;

use hypermm_core::config::EngineConfig;
use hypermm_core::engine::QuoteEngine;
use hypermm_core::error::Error;
use hypermm_core::event::{AccountEvent, MarketEvent};
use hypermm_core::instrument::Instrument;
use hypermm_core::outcomes::markout::{DEFAULT_HORIZON, HORIZON_COUNT, HORIZONS_NS};
use hypermm_core::pricing::decision::Decision;
use hypermm_core::types::{OrderStatus, QuoteStatus, Side};
use hypermm_simulation::backtest::output::BacktestOutput;
use hypermm_simulation::backtest::replay::{BacktestSettings, RecordingColumns, run, run_with};
use hypermm_simulation::backtest::strategy::Strategy;
use hypermm_simulation::market::session::{Session, SessionSettings};
use hypermm_simulation::venue::fill_models::FillSettings;

const LATENCY_NS: i64 = 30_000_000;

fn eth() -> Instrument {
    Instrument::new("ETH", 4, 25, 10.0, 3600.0).unwrap()
}

/// A session that crosses a funding settlement, with a rate that shows.
fn session() -> &'static Session {
    static SESSION: OnceLock<Session> = OnceLock::new();
    SESSION.get_or_init(|| {
        let settings = SessionSettings { duration_s: 1_500.0, funding_rate: 0.001, ..SessionSettings::default() };
        Session::generate(&eth(), &settings).unwrap()
    })
}

fn settings() -> BacktestSettings {
    BacktestSettings { fill_model: FillSettings::OPTIMISTIC, log_decisions: true, ..BacktestSettings::default() }
}

fn play(columns: &RecordingColumns<'_>, settings: &BacktestSettings) -> BacktestOutput {
    run(columns, &eth(), &EngineConfig::default(), settings, &mut |_| {}).unwrap()
}

fn output() -> &'static BacktestOutput {
    static OUTPUT: OnceLock<BacktestOutput> = OnceLock::new();
    OUTPUT.get_or_init(|| play(&session().columns(), &settings()))
}

/// Bits of a run that a difference anywhere would change; Debug prints NaN alike.
fn bits(output: &BacktestOutput) -> String {
    format!("{output:?}")
}

#[test]
fn a_session_is_traded_on_both_sides_within_the_cap_and_the_books_are_conserved() {
    let summary = &output().summary;
    println!(
        "synthetic session: {} fills ({} bought), pnl {:.2} USD, edge {:.2} bps, {} orders in {} cycles",
        summary.fills,
        summary.buy_fills,
        summary.pnl_usd,
        summary.edge_bps.unwrap(),
        summary.orders_placed,
        summary.quote_cycles
    );
    assert!(summary.buy_fills > 20 && summary.sell_fills > 20);
    assert!(summary.two_sided_share > 0.9);
    // Both are exact; what is left is the rounding of one division.
    assert!((summary.split.total() as f64 / 2e6 - summary.pnl_usd).abs() < 1e-12 * summary.volume_usd);
    assert!(summary.max_abs_position <= EngineConfig::default().max_position);
    assert_eq!(summary.events, session().columns().len() as u64);
}

#[test]
fn two_runs_with_one_seed_are_identical_and_another_seed_is_another_run() {
    assert!(bits(&play(&session().columns(), &settings())) == bits(output()), "two runs of one seed differ");
    let other = play(&session().columns(), &BacktestSettings { seed: 1, ..settings() });
    assert!(other.fills != output().fills, "the seed has no effect");
}

/// The first part of a recording by receive time.
fn cut<'a>(columns: &RecordingColumns<'a>, until_ns: i64) -> RecordingColumns<'a> {
    let books = columns.book_time_ns.partition_point(|time| *time <= until_ns);
    let bests = columns.best_time_ns.partition_point(|time| *time <= until_ns);
    let trades = columns.trade_time_ns.partition_point(|time| *time <= until_ns);
    let contexts = columns.context.time_ns.partition_point(|time| *time <= until_ns);
    let mut part = *columns;
    part.book_time_ns = &columns.book_time_ns[..books];
    part.book_exchange_time_ns = &columns.book_exchange_time_ns[..books];
    for (column, whole) in [
        (&mut part.bid_prices, columns.bid_prices),
        (&mut part.bid_sizes, columns.bid_sizes),
        (&mut part.ask_prices, columns.ask_prices),
        (&mut part.ask_sizes, columns.ask_sizes),
    ] {
        *column = &whole[..books * columns.depth];
    }
    part.best_time_ns = &columns.best_time_ns[..bests];
    part.best_exchange_time_ns = &columns.best_exchange_time_ns[..bests];
    for (column, whole) in [
        (&mut part.best_bid_price, columns.best_bid_price),
        (&mut part.best_bid_size, columns.best_bid_size),
        (&mut part.best_ask_price, columns.best_ask_price),
        (&mut part.best_ask_size, columns.best_ask_size),
    ] {
        *column = &whole[..bests];
    }
    part.trade_time_ns = &columns.trade_time_ns[..trades];
    part.trade_exchange_time_ns = &columns.trade_exchange_time_ns[..trades];
    part.trade_price = &columns.trade_price[..trades];
    part.trade_size = &columns.trade_size[..trades];
    part.trade_aggressor = &columns.trade_aggressor[..trades];
    part.trade_id = &columns.trade_id[..trades];
    let context = &mut part.context;
    context.time_ns = &columns.context.time_ns[..contexts];
    context.next_settlement_ns = &columns.context.next_settlement_ns[..contexts];
    for (column, whole) in [
        (&mut context.mark_price, columns.context.mark_price),
        (&mut context.oracle_price, columns.context.oracle_price),
        (&mut context.funding_rate, columns.context.funding_rate),
        (&mut context.predicted_funding, columns.context.predicted_funding),
        (&mut context.open_interest, columns.context.open_interest),
    ] {
        *column = &whole[..contexts];
    }
    part
}

/// Kills: any look into the future. What comes after T changes no decision before T less the longest latency: an
/// order filled by a print not yet received already withholds the answer to its cancel, as a venue would.
#[test]
fn the_future_of_a_recording_changes_no_earlier_decision() {
    let columns = session().columns();
    let (start_ns, end_ns) = columns.span_ns().unwrap();
    let whole = output().decisions.as_ref().unwrap();
    for share in [0.21, 0.5, 0.77] {
        let until_ns = start_ns + ((end_ns - start_ns) as f64 * share) as i64;
        let part = play(&cut(&columns, until_ns), &settings());
        let decisions = part.decisions.unwrap();
        let safe = decisions.time_ns.partition_point(|time| *time <= until_ns - 1_000_000_000);
        assert!(safe > 100 && decisions.time_ns[..safe] == whole.time_ns[..safe]);
        let cells = safe * whole.levels;
        let same = |left: &[f64], right: &[f64]| left.iter().zip(right).all(|(a, b)| a.to_bits() == b.to_bits());
        assert!(same(&decisions.bid_prices[..cells], &whole.bid_prices[..cells]));
        assert!(same(&decisions.ask_sizes[..cells], &whole.ask_sizes[..cells]));
        assert!(same(&decisions.position[..safe], &whole.position[..safe]));
    }
}

/// Kills: fills without a print, beyond its size, at prices it did not reach, of orders not yet or no longer there.
#[test]
fn every_fill_has_its_print() {
    let (fills, session) = (&output().fills, session());
    let mut taken = vec![0.0; session.trade_id.len()];
    assert!(fills.len() > 50);
    for row in 0..fills.len() {
        let print = (fills.trade_id[row] - 1) as usize;
        taken[print] += fills.size[row];
        assert_eq!(fills.exchange_time_ns[row], session.trade_exchange_time_ns[print]);
        assert!(f64::from(fills.side[row]) * (fills.price[row] - session.trade_price[print]) >= 0.0);
        assert!(fills.exchange_time_ns[row] >= fills.placed_ns[row] + LATENCY_NS);
        let told = session.trade_time_ns[print].max(session.trade_exchange_time_ns[print] + LATENCY_NS);
        let end = session.columns().span_ns().unwrap().1;
        assert!(fills.time_ns[row] >= told.min(end));
        // Post-only: the price was on our side of the mid it was placed against.
        assert!(fills.depth_bps[row] > -5.0);
    }
    for (print, size) in taken.iter().enumerate() {
        assert!(*size <= session.trade_size[print] + 1e-9);
    }
    assert!(fills.time_ns.is_sorted());
}

/// Mids on the receive clock, from the columns: the last two-sided best of books and best prices.
fn mids() -> Vec<(i64, f64)> {
    let session = session();
    let mut rows: Vec<(i64, u8, f64)> = Vec::new();
    for (row, time) in session.book_time_ns.iter().enumerate() {
        let cell = row * session.depth;
        rows.push((*time, 0, 0.5 * (session.bid_prices[cell] + session.ask_prices[cell])));
    }
    for (row, time) in session.best_time_ns.iter().enumerate() {
        rows.push((*time, 1, 0.5 * (session.best_bid_price[row] + session.best_ask_price[row])));
    }
    rows.sort_by_key(|row| (row.0, row.1));
    rows.into_iter().map(|(time, _, mid)| (time, mid)).collect()
}

/// Kills: a markout, edge, fee, funding or profit that is not what its definition says. Everything is recomputed from
/// fill rows and the recording's mids.
#[test]
fn every_figure_of_the_summary_follows_from_fills_and_mids() {
    let (fills, summary) = (&output().fills, &output().summary);
    let mids = mids();
    let mid_at = |time: i64| mids[mids.partition_point(|(at, _)| *at <= time) - 1].1;
    let end = session().columns().span_ns().unwrap().1;
    let settlement = session().next_settlement_ns[0];
    let oracle_row = session().context_time_ns.partition_point(|time| *time < settlement) - 1;
    let oracle = session().oracle_price[oracle_row];
    let (mut cash, mut position, mut fees, mut volume, mut funding) = (0.0, 0.0_f64, 0.0, 0.0, 0.0);
    let (mut edge, mut weight, mut largest) = (0.0, 0.0, 0.0_f64);
    let mut settled = false;
    for row in 0..fills.len() {
        let (sign, price, size, time) =
            (f64::from(fills.side[row]), fills.price[row], fills.size[row], fills.time_ns[row]);
        if !settled && time > settlement {
            (funding, settled) = (position * oracle * 0.001, true);
        }
        cash -= sign * price * size;
        position += sign * size;
        largest = largest.max(position.abs());
        volume += price * size;
        // 1.5 bps, cut at six decimals.
        let fee = (price * size * 150.0 + 1e-6).floor() / 1e6;
        assert!((fills.fee_usd[row] - fee).abs() < 1.5e-6, "{} {fee}", fills.fee_usd[row]);
        fees += fills.fee_usd[row];
        let m0 = fills.mid_at_placement[row];
        assert_eq!(fills.mid_at_fill[row], mid_at(time.min(end)));
        // Several rows may share one receive time; the quote followed the first of them that was due.
        let placed = fills.placed_ns[row];
        assert!(m0 == mid_at(placed) || mids.iter().any(|(at, mid)| *at == placed && *mid == m0));
        for (horizon, horizon_ns) in HORIZONS_NS.iter().enumerate() {
            let found = fills.edge_bps[row * HORIZON_COUNT + horizon];
            if time + horizon_ns > end {
                assert!(found.is_nan());
                continue;
            }
            let later = mid_at(time + horizon_ns);
            let paid = if time < settlement && settlement <= time + horizon_ns { oracle * 0.001 } else { 0.0 };
            let expected =
                sign * (later - price) / m0 * 1e4 - fills.fee_usd[row] / size / m0 * 1e4 - sign * paid / m0 * 1e4;
            assert!((found - expected).abs() < 1e-8, "{found} {expected}");
            let markout = fills.markout_bps[row * HORIZON_COUNT + horizon];
            assert!((markout - sign * (later - mid_at(time)) / m0 * 1e4).abs() < 1e-9);
            if horizon == DEFAULT_HORIZON {
                edge += expected * size;
                weight += size;
            }
        }
    }
    let pnl = cash + position * mids.last().unwrap().1 - fees - funding;
    println!("profit {:.6} by the ledger, {pnl:.6} recomputed; funding {funding:.6}", summary.pnl_usd);
    assert!(settled && funding != 0.0);
    assert!((summary.funding_usd - funding).abs() < 2e-6);
    assert!((summary.pnl_usd - pnl).abs() < 1e-9 * volume + 2e-6);
    assert!((summary.volume_usd - volume).abs() < 1e-6);
    assert!((summary.fees_usd - fees).abs() < 1e-6);
    assert!((summary.edge_bps.unwrap() - edge / weight).abs() < 1e-8);
    assert!((summary.final_position - position).abs() < 1e-9 && (summary.max_abs_position - largest).abs() < 1e-9);
    let last = output().equity.profit_usd.last().unwrap();
    assert_eq!(*last, summary.pnl_usd);
}

/// An engine behind the door for strategies, that also checks what it hears.
struct Wrapped {
    engine: QuoteEngine,
    last_ns: i64,
    quotes: Vec<i64>,
}

impl Strategy for Wrapped {
    type Error = Error;

    fn on_event(&mut self, time_ns: i64, event: &MarketEvent<'_>) -> Result<(), Error> {
        assert!(time_ns >= self.last_ns);
        self.last_ns = time_ns;
        self.engine.handle(time_ns, event)
    }

    fn on_account(&mut self, time_ns: i64, event: &AccountEvent) -> Result<(), Error> {
        assert!(time_ns >= self.last_ns);
        self.last_ns = time_ns;
        Strategy::on_account(&mut self.engine, time_ns, event)
    }

    fn quote(&mut self, time_ns: i64, decision: &mut Decision) -> Result<(), Error> {
        self.quotes.push(time_ns);
        self.engine.quote(time_ns, decision)
    }

    fn clip(&self) -> Option<f64> {
        self.engine.clip()
    }
}

#[test]
fn an_outside_strategy_is_judged_by_the_same_venue_and_quotes_at_most_once_a_cycle() {
    let config = EngineConfig::default();
    let engine = QuoteEngine::new(eth(), config.clone()).unwrap();
    let mut wrapped = Wrapped { engine, last_ns: 0, quotes: Vec::new() };
    let judged = run_with(&session().columns(), &eth(), &config, &settings(), &mut wrapped, &mut |_| {}).unwrap();
    assert!(bits(&judged) == bits(output()), "the door for strategies leads elsewhere");
    assert_eq!(wrapped.quotes.len() as u64, judged.summary.quote_cycles);
    assert!(wrapped.quotes.windows(2).all(|pair| pair[1] - pair[0] >= settings().cycle_ns));
    let every = BacktestSettings { cycle_ns: 0, log_decisions: false, ..settings() };
    let output = play(&session().columns(), &every);
    assert_eq!(output.summary.quote_cycles, output.summary.events);
    assert_eq!(wrapped.engine.position(), judged.summary.final_position);
}

/// One bid and one ask that never move; hears the life of each order in its order.
struct Fixed {
    asked: bool,
    statuses: Vec<OrderStatus>,
}

impl Strategy for Fixed {
    type Error = Error;

    fn on_event(&mut self, _: i64, _: &MarketEvent<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn on_account(&mut self, _: i64, event: &AccountEvent) -> Result<(), Error> {
        if let AccountEvent::Order { status, side: Side::Buy, .. } = event {
            self.statuses.push(*status);
        }
        Ok(())
    }

    fn quote(&mut self, _: i64, decision: &mut Decision) -> Result<(), Error> {
        decision.status = QuoteStatus::Quoting;
        // Far from the market: never filled, wanted until it is known to rest.
        decision.bids.len = usize::from(!self.asked);
        decision.bids.price_units[0] = eth().price_from_f64("price", 4_000.0)?;
        decision.bids.lots[0] = eth().floor_lots(0.05);
        self.asked = self.statuses.contains(&OrderStatus::Open);
        Ok(())
    }
}

#[test]
fn an_order_is_told_pending_open_cancel_pending_canceled() {
    let mut fixed = Fixed { asked: false, statuses: Vec::new() };
    let columns = session().columns();
    let output = run_with(&columns, &eth(), &EngineConfig::default(), &settings(), &mut fixed, &mut |_| {}).unwrap();
    let life = [OrderStatus::Pending, OrderStatus::Open, OrderStatus::CancelPending, OrderStatus::Canceled];
    assert_eq!(fixed.statuses, life);
    assert_eq!((output.summary.fills, output.summary.pnl_usd, output.summary.edge_bps), (0, 0.0, None));
}

#[test]
fn progress_ends_at_one_and_bad_input_is_refused_with_its_place() {
    let mut shares = Vec::new();
    let (columns, config) = (session().columns(), EngineConfig::default());
    run(&columns, &eth(), &config, &settings(), &mut |share| shares.push(share)).unwrap();
    assert_eq!(shares.last(), Some(&1.0));
    let refused = |columns: &RecordingColumns<'_>, settings: &BacktestSettings| {
        let error = run(columns, &eth(), &config, settings, &mut |_| {}).unwrap_err();
        (error.detail().field.to_string(), error.detail().hint.to_string())
    };
    assert_eq!(refused(&RecordingColumns::default(), &settings()).0, "recording");
    let short = RecordingColumns { bid_sizes: &columns.bid_sizes[1..], ..columns };
    assert_eq!(refused(&short, &settings()).0, "bid_sizes");
    let mut times = session().book_time_ns.clone();
    times.swap(3, 9);
    let unsorted = RecordingColumns { book_time_ns: &times, ..columns };
    assert_eq!(refused(&unsorted, &settings()).0, "book_time_ns");
    let mut prices = session().bid_prices.clone();
    prices[40] = -1.0;
    let negative = refused(&RecordingColumns { bid_prices: &prices, ..columns }, &settings());
    assert!(negative.0 == "bid_prices" && negative.1.contains("book row 2"), "{negative:?}");
    let mut aggressors = session().trade_aggressor.clone();
    aggressors[5] = 0;
    let neither = refused(&RecordingColumns { trade_aggressor: &aggressors, ..columns }, &settings());
    assert!(neither.0 == "trade_aggressor" && neither.1.contains("trade row 5"), "{neither:?}");
    let backwards = BacktestSettings { cycle_ns: -1, ..settings() };
    assert_eq!(refused(&columns, &backwards).0, "cycle_ns");
}

/// Kills: an order list, a ladder or a notice allocated per event. Allocations of a run grow with fills and samples
/// (their columns), never with events: ten times the quotes, the same count within what columns need to double.
#[test]
fn events_and_quotes_do_not_allocate() {
    let count = |cycle_ns: i64| {
        let settings = BacktestSettings { cycle_ns, log_decisions: false, ..settings() };
        let mut cycles = 0;
        let info = allocation_counter::measure(|| cycles = play(&session().columns(), &settings).summary.quote_cycles);
        (info.count_total, cycles)
    };
    let ((slow, few), (fast, many)) = (count(2_000_000_000), count(0));
    println!(
        "allocations: {slow} with {few} quotes, {fast} with {many} quotes over {} events",
        session().columns().len()
    );
    assert!(many > 15 * few);
    assert!(fast < slow + 400, "{fast} allocations against {slow}");
}
