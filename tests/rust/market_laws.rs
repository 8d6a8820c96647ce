//! Laws of the synthetic market: one seed is one market, and what we do in it changes nothing anybody draws.

use std::collections::BTreeMap;

use hypermm_core::types::{Lots, Price, Side};
use hypermm_simulation::market::agents::Background;
use hypermm_simulation::market::preset::MarketPreset;
use hypermm_simulation::venue::matching::order::{AccountId, Action, NewOrder, TimeInForce, VenueEvent};
use hypermm_simulation::venue::matching::rules::AccountKind;

use crate::market_loop::{ASSET, Session};

/// Everything that happened, in order.
fn history(name: &str, seed: u64, seconds: f64) -> Vec<VenueEvent> {
    let mut session = Session::of(name, seed);
    let mut history = Vec::new();
    for _ in 0..Session::blocks_in(seconds) {
        session.block(&[], |event| history.push(*event));
    }
    history
}

/// Kills: a draw from the process, the clock or an unordered map; a seed that is not used.
#[test]
fn one_seed_is_one_market() {
    for preset in MarketPreset::ALL {
        assert!(history(preset.name, 7, 120.0) == history(preset.name, 7, 120.0), "two runs of one seed differ");
        assert!(history(preset.name, 7, 120.0) != history(preset.name, 8, 120.0), "two seeds give one market");
    }
}

/// What a run sent that carries draws: takers' and informed sides, and each maker order's size by its name.
#[derive(Default)]
struct Sent {
    fair_prices: Vec<u64>,
    funding: Vec<u64>,
    taken: Vec<(usize, AccountId, Side)>,
    /// Sizes of takers who did not take all within reach are draws; which those are, the book decides.
    sizes: Vec<i64>,
}

/// Runs a market; `trades` has a stranger quote at the touch and take large amounts all the time.
fn sent(name: &str, trades: bool) -> (Sent, BTreeMap<u128, usize>, u64) {
    let mut session = Session::of(name, 11);
    let stranger = session.exchange.open_account(AccountKind::Background).unwrap();
    let accounts = session.market.accounts();
    let (mut sent, mut names, mut ours) = (Sent::default(), BTreeMap::new(), 0);
    for block in 0..Session::blocks_in(600.0) {
        let mut mine: Vec<(AccountId, Action)> = Vec::new();
        let (bid, ask) = session.best();
        if trades && block % 3 == 0 {
            for (side, price) in [(Side::Buy, bid), (Side::Sell, ask)] {
                if let Some(price) = price {
                    mine.push((stranger, place(side, price, 5_000, TimeInForce::PostOnly)));
                }
            }
        }
        if trades && block % 50 == 0 {
            let side = if block % 100 == 0 { Side::Buy } else { Side::Sell };
            let price = if side == Side::Buy { ask } else { bid };
            if let Some(price) = price {
                mine.push((stranger, place(side, price, 1_000_000, TimeInForce::ImmediateOrCancel)));
            }
        }
        session.block(&mine, |event| {
            if let VenueEvent::Trade(trade) = event {
                ours += u64::from(trade.maker.account == stranger || trade.taker.account == stranger);
            }
        });
        sent.fair_prices.push(session.market.fair_price().to_bits());
        sent.funding.push(session.market.predicted_funding_rate().to_bits());
        for (account, action) in &session.actions {
            if let Action::Place(order) = action
                && [accounts.takers, accounts.informed, accounts.liquidated].contains(&Some(*account))
            {
                sent.taken.push((block, *account, order.side));
                sent.sizes.push(order.size.0);
            }
            if let Action::Place(order) | Action::Modify { replacement: order, .. } = action
                && Some(*account) == accounts.makers
            {
                names.insert(order.client_order_id.unwrap(), block);
            }
        }
    }
    (sent, names, ours)
}

fn place(side: Side, price: Price, lots: i64, time_in_force: TimeInForce) -> Action {
    let size = Lots(lots);
    Action::Place(NewOrder {
        asset: ASSET,
        side,
        price,
        size,
        time_in_force,
        reduce_only: false,
        client_order_id: None,
    })
}

/// Kills: a price, flow, informed or cascade draw that is taken when an order fills, or that depends on the book.
#[test]
fn what_we_trade_changes_nothing_that_is_drawn() {
    for preset in MarketPreset::ALL {
        let (alone, alone_names, none) = sent(preset.name, false);
        let (disturbed, names, ours) = sent(preset.name, true);
        println!("{}: {} trades of the stranger, {} takers drawn", preset.name, ours, alone.taken.len());
        assert!(none == 0 && ours > 100, "the stranger did not trade");
        assert!(names != alone_names, "the stranger did not disturb the makers");
        assert!(alone.taken.len() > 200);
        assert!(alone.fair_prices == disturbed.fair_prices && alone.funding == disturbed.funding);
        assert!(alone.taken == disturbed.taken);
        let same = alone.sizes.iter().zip(&disturbed.sizes).filter(|(left, right)| left == right).count();
        println!("{} of {} sizes do not depend on the book", same, alone.sizes.len());
        assert!(same as f64 > 0.6 * alone.sizes.len() as f64);
    }
}
