//! `LoopbackVenue`: the venue of the exchange on loopback.

use hypermm_core::accounting::ledger::{Micros, micros_from_quote};
use hypermm_core::types::{BPS, Side};
use hypermm_simulation::venue::fees::FeeRates;
use hypermm_simulation::venue::loopback::history::KEPT_ORDERS;
use hypermm_simulation::venue::loopback::venue::{LoopbackSettings, LoopbackVenue, Request};
use hypermm_simulation::venue::loopback::view::Aggregation;
use hypermm_simulation::venue::matching::order::Action;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use super::coin::{Label, PyLoopbackCoin};
use super::request::{account_of, asset_of, items, order_of, pair, reference_of};
use super::tell::{self, Labels};
use super::values::{Level, PyVenueAccount, PyVenueContext, PyVenueOrder, PyVenuePosition, PyVenueRequests};
use crate::access::{WORTH_DETACHING, lock, over_rows, read};
use crate::error::{guard, invalid_input};
use crate::input::{count, flag, integer, number, optional_time_ns, seed_of, text, time_ns};

/// Blocks to catch up on from this time on are worth letting the interpreter go.
const WORTH_DETACHING_NS: i64 = 500_000_000;
const MAX_DEPTH: u32 = 10_000;
type Book = (Vec<Level>, Vec<Level>);

/// A venue of several contracts with a background market, stepped by the caller's clock; no I/O, no clock.
#[pyclass(name = "LoopbackVenue", module = "hypermm._core")]
pub(crate) struct PyLoopbackVenue {
    venue: LoopbackVenue,
    labels: Labels,
    coins: Py<PyTuple>,
}

#[pymethods]
impl PyLoopbackVenue {
    #[new]
    #[pyo3(signature = (coins, *, seed=None, start_ns=None, order_latency_ns=None, answer_latency_ns=None,
                        taking_hold_ns=None, slow_cancel_hold_ns=None, initial_requests=None,
                        schedule_cancel_volume_usd=None, first_order_id=None),
           text_signature = "(coins, *, seed=0, start_ns=0, order_latency_ns=0, answer_latency_ns=0, \
                             taking_hold_ns=300000000, slow_cancel_hold_ns=300000000, initial_requests=10000, \
                             schedule_cancel_volume_usd=1000000.0, first_order_id=560000000000)")]
    #[expect(clippy::too_many_arguments, reason = "what a venue is, by name")]
    fn new(
        coins: &Bound<'_, PyAny>,
        seed: Option<&Bound<'_, PyAny>>,
        start_ns: Option<&Bound<'_, PyAny>>,
        order_latency_ns: Option<&Bound<'_, PyAny>>,
        answer_latency_ns: Option<&Bound<'_, PyAny>>,
        taking_hold_ns: Option<&Bound<'_, PyAny>>,
        slow_cancel_hold_ns: Option<&Bound<'_, PyAny>>,
        initial_requests: Option<&Bound<'_, PyAny>>,
        schedule_cancel_volume_usd: Option<&Bound<'_, PyAny>>,
        first_order_id: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let given = items("coins", coins, |coin| match coin.cast::<PyLoopbackCoin>() {
            Ok(coin) => Ok(coin.clone()),
            Err(_) => Err(invalid_input("coins", coin, "a LoopbackCoin", "")),
        })?;
        let mut dexes = vec![String::new()];
        let mut settings = Vec::with_capacity(given.len());
        let mut labels: Vec<Label> = Vec::with_capacity(given.len());
        for coin in &given {
            let coin = coin.get();
            if labels.iter().any(|label| label.coin == coin.coin()) {
                return Err(invalid_input("coins", coins, "one coin of each symbol", ""));
            }
            let place = dexes.iter().position(|dex| *dex == coin.dex).unwrap_or_else(|| {
                dexes.push(coin.dex.clone());
                dexes.len() - 1
            });
            let mut own = coin.settings.clone();
            own.asset.clearinghouse = place as u32;
            settings.push(own);
            labels.push(Label::of(coin));
        }
        let mut venue = LoopbackSettings::default();
        if let Some(given) = seed {
            venue.seed = seed_of("seed", given)?;
        }
        for (field, given, place) in [
            ("start_ns", start_ns, &mut venue.start_ns),
            ("order_latency_ns", order_latency_ns, &mut venue.order_latency_ns),
            ("answer_latency_ns", answer_latency_ns, &mut venue.answer_latency_ns),
            ("taking_hold_ns", taking_hold_ns, &mut venue.taking_hold_ns),
            ("slow_cancel_hold_ns", slow_cancel_hold_ns, &mut venue.slow_cancel_hold_ns),
        ] {
            if let Some(given) = given {
                *place = time_ns(field, given)?;
            }
        }
        if let Some(given) = initial_requests {
            venue.rules.initial_requests = count("initial_requests", given)?.into();
        }
        if let Some(given) = schedule_cancel_volume_usd {
            venue.rules.schedule_cancel_volume = micros("schedule_cancel_volume_usd", given)?;
        }
        if let Some(given) = first_order_id {
            venue.first_order_id = seed_of("first_order_id", given)?;
        }
        let venue = guard(|| LoopbackVenue::new(&settings, venue))?;
        let coins = PyTuple::new(coins.py(), given)?.unbind();
        Ok(Self { venue, labels: Labels { coins: labels, dexes }, coins })
    }

    /// The contracts, in their order.
    #[getter]
    fn coins(slf: &Bound<'_, Self>) -> PyResult<Py<PyTuple>> {
        Ok(read(slf)?.coins.clone_ref(slf.py()))
    }

    /// Time of the block to come, ns.
    #[getter]
    fn next_block_ns(slf: &Bound<'_, Self>) -> PyResult<i64> {
        Ok(read(slf)?.venue.next_block().time_ns)
    }

    /// Blocks so far.
    #[getter]
    fn height(slf: &Bound<'_, Self>) -> PyResult<u64> {
        Ok(read(slf)?.venue.next_block().number)
    }

    #[pyo3(signature = (deposits, *, taker_fee_bps=None, maker_fee_bps=None, volume_usd=None),
           text_signature = "($self, deposits, *, taker_fee_bps=4.5, maker_fee_bps=1.5, volume_usd=0.0)")]
    fn open_account(
        slf: &Bound<'_, Self>,
        deposits: &Bound<'_, PyAny>,
        taker_fee_bps: Option<&Bound<'_, PyAny>>,
        maker_fee_bps: Option<&Bound<'_, PyAny>>,
        volume_usd: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u32> {
        let mut this = lock(slf)?;
        let by_dex = deposits
            .cast::<PyDict>()
            .map_err(|_| invalid_input("deposits", deposits, "a dict of USD by dex", "the venue's own dex is \"\""))?;
        let mut amounts = Vec::with_capacity(by_dex.len());
        for (dex, amount) in by_dex.iter() {
            amounts.push((this.clearinghouse(&dex)?, micros("deposits", &amount)?));
        }
        let mut fees = FeeRates::default();
        if let Some(given) = taker_fee_bps {
            fees.taker = number("taker_fee_bps", given)? / BPS;
        }
        if let Some(given) = maker_fee_bps {
            fees.maker = number("maker_fee_bps", given)? / BPS;
        }
        let volume = volume_usd.map_or(Ok(0), |given| micros("volume_usd", given))?;
        guard(|| this.venue.open_account(&amounts, fees, volume)).map(|account| account.0)
    }

    #[pyo3(signature = (account, time_ns, orders, *, expires_after_ns=None))]
    fn place(
        slf: &Bound<'_, Self>,
        account: &Bound<'_, PyAny>,
        time_ns: &Bound<'_, PyAny>,
        orders: &Bound<'_, PyAny>,
        expires_after_ns: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        let mut this = lock(slf)?;
        let labels = &this.labels.coins;
        let actions = items("orders", orders, |order| order_of(labels, order).map(Action::Place))?;
        this.submit(account, time_ns, actions, false, expires_after_ns)
    }

    #[pyo3(signature = (account, time_ns, cancels, *, fast=None, expires_after_ns=None),
           text_signature = "($self, account, time_ns, cancels, *, fast=False, expires_after_ns=None)")]
    fn cancel(
        slf: &Bound<'_, Self>,
        account: &Bound<'_, PyAny>,
        time_ns: &Bound<'_, PyAny>,
        cancels: &Bound<'_, PyAny>,
        fast: Option<&Bound<'_, PyAny>>,
        expires_after_ns: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        let mut this = lock(slf)?;
        let labels = &this.labels.coins;
        let actions = items("cancels", cancels, |cancel| {
            let (coin, order) = pair("cancels", cancel)?;
            Ok(Action::Cancel { asset: asset_of(labels, &coin)?, order: reference_of(&order)? })
        })?;
        let is_fast = fast.map_or(Ok(false), |given| flag("fast", given))?;
        this.submit(account, time_ns, actions, is_fast, expires_after_ns)
    }

    #[pyo3(signature = (account, time_ns, modifies, *, always_place=None, expires_after_ns=None),
           text_signature = "($self, account, time_ns, modifies, *, always_place=False, expires_after_ns=None)")]
    fn modify(
        slf: &Bound<'_, Self>,
        account: &Bound<'_, PyAny>,
        time_ns: &Bound<'_, PyAny>,
        modifies: &Bound<'_, PyAny>,
        always_place: Option<&Bound<'_, PyAny>>,
        expires_after_ns: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        let mut this = lock(slf)?;
        let always_place = always_place.map_or(Ok(false), |given| flag("always_place", given))?;
        let labels = &this.labels.coins;
        let actions = items("modifies", modifies, |modify| {
            let (order, replacement) = pair("modifies", modify)?;
            let (order, replacement) = (reference_of(&order)?, order_of(labels, &replacement)?);
            Ok(Action::Modify { order, replacement, always_place })
        })?;
        this.submit(account, time_ns, actions, false, expires_after_ns)
    }

    #[pyo3(signature = (account, time_ns, cancel_ns, *, expires_after_ns=None))]
    fn schedule_cancel(
        slf: &Bound<'_, Self>,
        account: &Bound<'_, PyAny>,
        time_ns: &Bound<'_, PyAny>,
        cancel_ns: Option<&Bound<'_, PyAny>>,
        expires_after_ns: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        let action = Action::ScheduleCancel { time_ns: optional_time_ns("cancel_ns", cancel_ns)? };
        lock(slf)?.submit(account, time_ns, vec![action], false, expires_after_ns)
    }

    #[pyo3(signature = (account, time_ns, coin, *, is_cross, leverage, expires_after_ns=None))]
    fn update_leverage(
        slf: &Bound<'_, Self>,
        account: &Bound<'_, PyAny>,
        time_ns: &Bound<'_, PyAny>,
        coin: &Bound<'_, PyAny>,
        is_cross: &Bound<'_, PyAny>,
        leverage: &Bound<'_, PyAny>,
        expires_after_ns: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        let mut this = lock(slf)?;
        let action = Action::UpdateLeverage {
            asset: asset_of(&this.labels.coins, coin)?,
            is_cross: flag("is_cross", is_cross)?,
            leverage: count("leverage", leverage)?,
        };
        this.submit(account, time_ns, vec![action], false, expires_after_ns)
    }

    #[pyo3(signature = (account, time_ns, coin, amount_micros, *, expires_after_ns=None))]
    fn update_isolated_margin(
        slf: &Bound<'_, Self>,
        account: &Bound<'_, PyAny>,
        time_ns: &Bound<'_, PyAny>,
        coin: &Bound<'_, PyAny>,
        amount_micros: &Bound<'_, PyAny>,
        expires_after_ns: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        let mut this = lock(slf)?;
        let action = Action::UpdateIsolatedMargin {
            asset: asset_of(&this.labels.coins, coin)?,
            amount: integer("amount_micros", amount_micros, "an integer of 64 bits", "1 USD is 1000000")?.into(),
        };
        this.submit(account, time_ns, vec![action], false, expires_after_ns)
    }

    #[pyo3(signature = (account, time_ns, *, expires_after_ns=None))]
    fn noop(
        slf: &Bound<'_, Self>,
        account: &Bound<'_, PyAny>,
        time_ns: &Bound<'_, PyAny>,
        expires_after_ns: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        lock(slf)?.submit(account, time_ns, vec![Action::Noop], false, expires_after_ns)
    }

    fn advance<'py>(slf: &Bound<'py, Self>, until_ns: &Bound<'_, PyAny>) -> PyResult<Bound<'py, PyList>> {
        let until_ns = time_ns("until_ns", until_ns)?;
        let mut this = lock(slf)?;
        let behind_ns = until_ns - this.venue.next_block().time_ns;
        let rows = if behind_ns > WORTH_DETACHING_NS { WORTH_DETACHING } else { 0 };
        let mut events = Vec::new();
        let venue = &mut this.venue;
        over_rows(slf.py(), rows, || venue.advance(until_ns, &mut events))?;
        let told = PyList::empty(slf.py());
        for event in &events {
            told.append(this.labels.event(slf.py(), event)?)?;
        }
        Ok(told)
    }

    #[pyo3(signature = (coin, levels=None, *, significant_figures=None, mantissa=None),
           text_signature = "($self, coin, levels=20, *, significant_figures=None, mantissa=None)")]
    fn book(
        slf: &Bound<'_, Self>,
        coin: &Bound<'_, PyAny>,
        levels: Option<&Bound<'_, PyAny>>,
        significant_figures: Option<&Bound<'_, PyAny>>,
        mantissa: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Book> {
        let this = read(slf)?;
        let asset = asset_of(&this.labels.coins, coin)?;
        let depth = levels.map_or(Ok(20), |given| count("levels", given))?.min(MAX_DEPTH) as usize;
        let mantissa = mantissa.map(|given| count("mantissa", given)).transpose()?;
        let figures = significant_figures.map(|given| count("significant_figures", given)).transpose()?;
        let side = |side: Side| {
            let aggregation = match (figures, mantissa) {
                (None, None) => None,
                (figures, mantissa) => Some(Aggregation::new(figures.unwrap_or(0), mantissa)?),
            };
            this.venue.levels(asset, side, depth, aggregation)
        };
        let [bids, asks] = [guard(|| side(Side::Buy))?, guard(|| side(Side::Sell))?]
            .map(|levels| levels.iter().map(|level| this.labels.level(asset, level)).collect());
        Ok((bids, asks))
    }

    fn best(slf: &Bound<'_, Self>, coin: &Bound<'_, PyAny>) -> PyResult<(Option<Level>, Option<Level>)> {
        let this = read(slf)?;
        let asset = asset_of(&this.labels.coins, coin)?;
        let [bid, ask] = guard(|| this.venue.best(asset))?.map(|level| level.map(|l| this.labels.level(asset, &l)));
        Ok((bid, ask))
    }

    fn context(slf: &Bound<'_, Self>, coin: &Bound<'_, PyAny>) -> PyResult<PyVenueContext> {
        let this = read(slf)?;
        let asset = asset_of(&this.labels.coins, coin)?;
        guard(|| this.venue.context(asset)).map(|context| this.labels.context(asset, &context))
    }

    fn last_trade(slf: &Bound<'_, Self>, coin: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
        let this = read(slf)?;
        let asset = asset_of(&this.labels.coins, coin)?;
        let label = &this.labels.coins[asset.0 as usize];
        Ok(this.venue.exchange().last_trade(asset).map(|price| label.price(price)))
    }

    fn open_orders(slf: &Bound<'_, Self>, account: &Bound<'_, PyAny>) -> PyResult<Vec<Py<PyVenueOrder>>> {
        let this = read(slf)?;
        let account = account_of(account)?;
        let orders = guard(|| this.venue.open_orders(account))?;
        orders.iter().map(|order| this.labels.order(slf.py(), order)).collect()
    }

    fn order_status(
        slf: &Bound<'_, Self>,
        account: &Bound<'_, PyAny>,
        order: &Bound<'_, PyAny>,
    ) -> PyResult<Option<Py<PyVenueOrder>>> {
        let this = read(slf)?;
        let (account, order) = (account_of(account)?, reference_of(order)?);
        let found = guard(|| this.venue.order_status(account, order))?;
        found.map(|order| this.labels.order(slf.py(), &order)).transpose()
    }

    fn order_history(slf: &Bound<'_, Self>, account: &Bound<'_, PyAny>) -> PyResult<Vec<Py<PyVenueOrder>>> {
        let this = read(slf)?;
        let account = account_of(account)?;
        let orders = guard(|| this.venue.order_history(account, KEPT_ORDERS))?;
        orders.iter().map(|order| this.labels.order(slf.py(), order)).collect()
    }

    fn position(
        slf: &Bound<'_, Self>,
        account: &Bound<'_, PyAny>,
        coin: &Bound<'_, PyAny>,
    ) -> PyResult<PyVenuePosition> {
        let this = read(slf)?;
        let (account, asset) = (account_of(account)?, asset_of(&this.labels.coins, coin)?);
        guard(|| this.venue.position(account, asset)).map(|position| this.labels.position(&position))
    }

    #[pyo3(signature = (account, dex=None), text_signature = "($self, account, dex='')")]
    fn positions(
        slf: &Bound<'_, Self>,
        account: &Bound<'_, PyAny>,
        dex: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Vec<PyVenuePosition>> {
        let this = read(slf)?;
        let account = account_of(account)?;
        let clearinghouse = dex.map_or(Ok(0), |dex| this.clearinghouse(dex))?;
        let held = guard(|| this.venue.positions(account, clearinghouse))?;
        Ok(held.iter().map(|position| this.labels.position(position)).collect())
    }

    #[pyo3(signature = (account, dex=None), text_signature = "($self, account, dex='')")]
    fn account(
        slf: &Bound<'_, Self>,
        account: &Bound<'_, PyAny>,
        dex: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyVenueAccount> {
        let this = read(slf)?;
        let account = account_of(account)?;
        let clearinghouse = dex.map_or(Ok(0), |dex| this.clearinghouse(dex))?;
        guard(|| this.venue.account(account, clearinghouse)).map(|held| tell::account(&held))
    }

    fn requests(slf: &Bound<'_, Self>, account: &Bound<'_, PyAny>) -> PyResult<PyVenueRequests> {
        let this = read(slf)?;
        let account = account_of(account)?;
        guard(|| this.venue.account(account, 0)).map(|held| tell::requests(&held.view))
    }
}

impl PyLoopbackVenue {
    fn clearinghouse(&self, dex: &Bound<'_, PyAny>) -> PyResult<u32> {
        let name = text("dex", dex)?;
        let place = self.labels.dexes.iter().position(|known| *known == name);
        place
            .map(|place| place as u32)
            .ok_or_else(|| invalid_input("dex", dex, "a dex of the venue", "\"\" is its own"))
    }

    fn submit(
        &mut self,
        account: &Bound<'_, PyAny>,
        now_ns: &Bound<'_, PyAny>,
        actions: Vec<Action>,
        is_fast: bool,
        expires_after_ns: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        let request = Request {
            account: account_of(account)?,
            actions,
            is_fast,
            expires_after_ns: optional_time_ns("expires_after_ns", expires_after_ns)?,
        };
        let now_ns = time_ns("time_ns", now_ns)?;
        guard(|| self.venue.submit(now_ns, &request))
    }
}

fn micros(field: &'static str, given: &Bound<'_, PyAny>) -> PyResult<Micros> {
    let amount = number(field, given)?;
    if !(0.0..=1e12).contains(&amount) {
        return Err(invalid_input(field, given, "0 to 1e12 USD", ""));
    }
    guard(|| micros_from_quote(field, amount))
}
