//! What a caller asks of a loopback venue, from Python values to the venue's own.

use hypermm_core::types::{Lots, Price};
use hypermm_simulation::venue::matching::order::{
    AccountId, AssetId, ClientOrderId, NewOrder, OrderReference, TimeInForce,
};
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use super::coin::Label;
use super::decimal::{Units, units};
use crate::error::invalid_input;
use crate::input::{flag, text};
use crate::types::side;

const ORDER: &str = "(coin, side, price, size, time in force, reduce only, client order id or None)";
const CLIENT_ORDER_ID: &str = "\"0x\" and 32 hex digits";
const DECIMAL: &str = "plain decimal text";

/// An account's number.
pub(super) fn account_of(given: &Bound<'_, PyAny>) -> PyResult<AccountId> {
    crate::input::count("account", given).map(AccountId)
}

/// The contract of this symbol.
pub(super) fn asset_of(labels: &[Label], given: &Bound<'_, PyAny>) -> PyResult<AssetId> {
    let found = given.cast::<PyString>().ok().and_then(|coin| {
        let coin = coin.to_cow().ok()?;
        labels.iter().position(|label| label.coin == coin)
    });
    found.map(|row| AssetId(row as u32)).ok_or_else(|| invalid_input("coin", given, "a coin of the venue", ""))
}

/// A name an account gave.
fn client_order_id_of(given: &Bound<'_, PyAny>) -> PyResult<ClientOrderId> {
    let refuse = || invalid_input("client_order_id", given, CLIENT_ORDER_ID, "");
    let name = text("client_order_id", given)?;
    let digits = name.strip_prefix("0x").filter(|digits| digits.len() == 32).ok_or_else(refuse)?;
    if !digits.bytes().all(|letter| letter.is_ascii_hexdigit()) {
        return Err(refuse());
    }
    ClientOrderId::from_str_radix(digits, 16).map_err(|_| refuse())
}

/// An order by the venue's number or the account's name.
pub(super) fn reference_of(given: &Bound<'_, PyAny>) -> PyResult<OrderReference> {
    if given.is_instance_of::<PyString>() {
        return client_order_id_of(given).map(OrderReference::Client);
    }
    let number = crate::input::identifier("order", given)?;
    match number {
        hypermm_core::types::Identifier::Number(number) => Ok(OrderReference::Order(number)),
        hypermm_core::types::Identifier::Text(_) => Err(invalid_input("order", given, "a number or a name", "")),
    }
}

/// A new order. What is a number but not an order is left for the venue to refuse: a price between two units is 0, a
/// size between two lots more than can be counted.
pub(super) fn order_of(labels: &[Label], given: &Bound<'_, PyAny>) -> PyResult<NewOrder> {
    let refuse = || invalid_input("order", given, ORDER, "");
    let fields = given.cast::<PyTuple>().map_err(|_| refuse())?;
    if fields.len() != 7 {
        return Err(refuse());
    }
    let asset = asset_of(labels, &fields.get_item(0)?)?;
    let label = &labels[asset.0 as usize];
    let count = |field: &str, place: usize, digits: u32| {
        let value = fields.get_item(place)?;
        units(&text(field, &value)?, digits).ok_or_else(|| invalid_input(field, &value, DECIMAL, ""))
    };
    let price = match count("price", 2, label.price_digits())? {
        Units::Whole(price) => price,
        Units::Finer | Units::TooMany => 0,
    };
    let size = match count("size", 3, label.instrument.size_decimals())? {
        Units::Whole(size) => size,
        Units::Finer | Units::TooMany => i64::MAX,
    };
    let name = fields.get_item(6)?;
    Ok(NewOrder {
        asset,
        side: side("side", &fields.get_item(1)?)?,
        price: Price(price),
        size: Lots(size),
        time_in_force: time_in_force_of(&fields.get_item(4)?)?,
        reduce_only: flag("reduce_only", &fields.get_item(5)?)?,
        client_order_id: if name.is_none() { None } else { Some(client_order_id_of(&name)?) },
    })
}

const TIMES_IN_FORCE: [(&str, TimeInForce); 4] = [
    ("post_only", TimeInForce::PostOnly),
    ("post_only_refused", TimeInForce::PostOnlyRefused),
    ("good_till_canceled", TimeInForce::GoodTilCanceled),
    ("immediate_or_cancel", TimeInForce::ImmediateOrCancel),
];

const TIME_IN_FORCE: &str = "\"post_only\", \"post_only_refused\", \"good_till_canceled\" or \"immediate_or_cancel\"";

fn time_in_force_of(given: &Bound<'_, PyAny>) -> PyResult<TimeInForce> {
    let name = text("time_in_force", given)?;
    let found = TIMES_IN_FORCE.iter().find(|(known, _)| *known == name);
    found.map(|(_, meaning)| *meaning).ok_or_else(|| invalid_input("time_in_force", given, TIME_IN_FORCE, ""))
}

/// Name of a time in force.
pub(super) fn time_in_force_name(meaning: TimeInForce) -> &'static str {
    TIMES_IN_FORCE.iter().find(|(_, known)| *known == meaning).map_or("", |(name, _)| name)
}

/// The items of a batch, at least one.
pub(super) fn items<'py, T>(
    field: &str,
    given: &Bound<'py, PyAny>,
    read: impl Fn(&Bound<'py, PyAny>) -> PyResult<T>,
) -> PyResult<Vec<T>> {
    let refuse = || invalid_input(field, given, "a sequence with at least one item", "");
    if given.is_instance_of::<PyString>() {
        return Err(refuse());
    }
    let read: Vec<T> = given.try_iter().map_err(|_| refuse())?.map(|item| read(&item?)).collect::<PyResult<_>>()?;
    if read.is_empty() { Err(refuse()) } else { Ok(read) }
}

/// The two fields of an item.
pub(super) fn pair<'py>(field: &str, given: &Bound<'py, PyAny>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    match given.cast::<PyTuple>() {
        Ok(both) if both.len() == 2 => Ok((both.get_item(0)?, both.get_item(1)?)),
        _ => Err(invalid_input(field, given, "a pair", "")),
    }
}
