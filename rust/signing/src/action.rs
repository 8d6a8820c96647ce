//! The venue's actions, each field in the place the venue hashes it at.
//!
//! Fields are declared in the canonical order (`type` first), and both encodings follow the declaration; flags that
//! are false and options that are absent are left out, as the venue leaves them out. Only actions named here can be
//! signed: an action that moves money to another account cannot even be expressed.

pub mod decimal;
pub mod identity;
mod reading;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{Error, Result};
use decimal::Decimal;
use identity::{Address, Cloid};

/// How long an order may live and whether it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeInForce {
    /// Post only: refused if it would cross.
    Alo,
    /// Fill at once, cancel the rest.
    Ioc,
    /// Rest until canceled.
    Gtc,
    /// The web page's market order: behaves as `Ioc`.
    FrontendMarket,
}

/// Whether a trigger takes profit or stops a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TriggerKind {
    /// Take profit.
    Tp,
    /// Stop loss.
    Sl,
}

/// A plain limit order, or one that waits for a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum OrderKind {
    /// A limit order.
    Limit {
        /// How long it may live.
        #[serde(rename = "tif")]
        time_in_force: TimeInForce,
    },
    /// Placed when the mark price reaches `trigger_price`.
    Trigger {
        /// As a market order, else as a limit order.
        #[serde(rename = "isMarket")]
        is_market: bool,
        /// Mark price that places it.
        #[serde(rename = "triggerPx")]
        trigger_price: Decimal,
        /// Take profit or stop loss.
        #[serde(rename = "tpsl")]
        kind: TriggerKind,
    },
}

/// One order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Asset number.
    #[serde(rename = "a")]
    pub asset: u32,
    /// Buys, else sells.
    #[serde(rename = "b")]
    pub is_buy: bool,
    /// Limit price, quote currency.
    #[serde(rename = "p")]
    pub price: Decimal,
    /// Size, contracts.
    #[serde(rename = "s")]
    pub size: Decimal,
    /// Only reduces the position.
    #[serde(rename = "r")]
    pub reduce_only: bool,
    /// Limit or trigger.
    #[serde(rename = "t")]
    pub kind: OrderKind,
    /// Client order id.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub cloid: Option<Cloid>,
}

/// How the orders of one action belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Grouping {
    /// By name.
    Named(GroupingName),
    /// Not at all, with a fee for priority.
    Priority(Priority),
}

/// Groupings that have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GroupingName {
    /// Orders stand alone.
    #[serde(rename = "na")]
    None,
    /// Take profit and stop loss of an order.
    #[serde(rename = "normalTpsl")]
    OrderTpsl,
    /// Take profit and stop loss of the position.
    #[serde(rename = "positionTpsl")]
    PositionTpsl,
}

/// A fee for priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Priority {
    /// Fee rate, 1e-8 of notional.
    #[serde(rename = "p")]
    pub fee_rate: u32,
}

/// Who built the front end, and what it earns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Builder {
    /// Who is paid.
    #[serde(rename = "b")]
    pub address: Address,
    /// Fee, tenths of a basis point.
    #[serde(rename = "f")]
    pub fee: u32,
}

/// A cancel by the venue's order id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// Asset number.
    #[serde(rename = "a")]
    pub asset: u32,
    /// The venue's order id.
    #[serde(rename = "o")]
    pub order_id: u64,
}

/// A cancel by client order id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancelByCloid {
    /// Asset number.
    pub asset: u32,
    /// Client order id.
    pub cloid: Cloid,
}

/// The order a modify replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Target {
    /// The venue's order id.
    OrderId(u64),
    /// Client order id.
    Cloid(Cloid),
}

/// One replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Modify {
    /// Which order.
    #[serde(rename = "oid")]
    pub target: Target,
    /// What replaces it.
    pub order: Order,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// Places orders, each on its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlaceOrders {
    /// At most 200.
    pub orders: Vec<Order>,
    /// How they belong together.
    pub grouping: Grouping,
    /// Fee for a front end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builder: Option<Builder>,
}

/// Cancels several orders, each on its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cancels<Target> {
    /// At most 200.
    pub cancels: Vec<Target>,
    /// Ahead of others in the block; not for triggers.
    #[serde(rename = "f", default, skip_serializing_if = "is_false")]
    pub fast: bool,
}

/// Cancels one order and places another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModifyOrder {
    /// Which order.
    #[serde(rename = "oid")]
    pub target: Target,
    /// What replaces it.
    pub order: Order,
    /// Places the new one even when the cancel failed.
    #[serde(rename = "a", default, skip_serializing_if = "is_false")]
    pub always_place: bool,
}

/// Several modifies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModifyOrders {
    /// At most 200.
    pub modifies: Vec<Modify>,
    /// Places new ones even when their cancel failed.
    #[serde(rename = "a", default, skip_serializing_if = "is_false")]
    pub always_place: bool,
}

/// Cancels everything at a time, unless called again; without a time, removes that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleCancel {
    /// When, ms.
    #[serde(rename = "time", default, skip_serializing_if = "Option::is_none")]
    pub time_ms: Option<u64>,
}

/// Sets leverage and margin mode of an asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateLeverage {
    /// Asset number.
    pub asset: u32,
    /// Cross, else isolated.
    pub is_cross: bool,
    /// A whole number of 1 or more.
    pub leverage: u32,
}

/// Adds to or takes from an isolated position's margin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateIsolatedMargin {
    /// Asset number.
    pub asset: u32,
    /// Has no effect at the venue.
    pub is_buy: bool,
    /// Amount, 1e-6 USD; negative takes.
    #[serde(rename = "ntli")]
    pub amount_micro_usd: i64,
}

/// Adds margin to an isolated position until it has a leverage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopUpIsolatedOnlyMargin {
    /// Asset number.
    pub asset: u32,
    /// Leverage to reach.
    pub leverage: Decimal,
}

/// Uses up its nonce, nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noop {}

/// Buys requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReserveRequestWeight {
    /// How many.
    pub weight: u64,
    /// For whom; absent for ourselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<Address>,
}

macro_rules! actions {
    ($( $(#[$meta:meta])* $variant:ident($body:ty) = $name:literal, )*) => {
        /// An L1 action.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize)]
        #[serde(tag = "type")]
        pub enum Action {
            $( $(#[$meta])* #[serde(rename = $name)] $variant($body), )*
        }

        impl Action {
            /// The action called `kind`, of the fields that `rest` has.
            pub(crate) fn of_kind<'de, D: Deserializer<'de>>(kind: &str, rest: D) -> std::result::Result<Self, D::Error> {
                match kind {
                    $( $name => Deserialize::deserialize(rest).map(Self::$variant), )*
                    _ => Err(D::Error::unknown_variant(kind, &[$($name),*])),
                }
            }
        }
    };
}

actions! {
    /// Places orders.
    Order(PlaceOrders) = "order",
    /// Cancels by the venue's order ids.
    Cancel(Cancels<Cancel>) = "cancel",
    /// Cancels by client order ids.
    CancelByCloid(Cancels<CancelByCloid>) = "cancelByCloid",
    /// Replaces one order.
    Modify(ModifyOrder) = "modify",
    /// Replaces orders.
    BatchModify(ModifyOrders) = "batchModify",
    /// The dead man's switch.
    ScheduleCancel(ScheduleCancel) = "scheduleCancel",
    /// Leverage and margin mode.
    UpdateLeverage(UpdateLeverage) = "updateLeverage",
    /// Margin of an isolated position, by amount.
    UpdateIsolatedMargin(UpdateIsolatedMargin) = "updateIsolatedMargin",
    /// Margin of an isolated position, by leverage.
    TopUpIsolatedOnlyMargin(TopUpIsolatedOnlyMargin) = "topUpIsolatedOnlyMargin",
    /// Nothing.
    Noop(Noop) = "noop",
    /// Requests bought.
    ReserveRequestWeight(ReserveRequestWeight) = "reserveRequestWeight",
}

impl Action {
    /// Reads an action from the venue's JSON. Keys may come in any order and numbers padded; what is hashed does not
    /// depend on either.
    ///
    /// # Errors
    ///
    /// Not JSON, an unknown action or field, a field missing, doubled, of the wrong type or out of range.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        reading::read(json).map_err(|error| {
            Error::input("action", &String::from_utf8_lossy(json), format!("an action of the venue ({error})"))
        })
    }

    /// The action as JSON in canonical form.
    ///
    /// # Errors
    ///
    /// None in practice: writing to memory does not fail.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|error| unwritten(&error))
    }

    /// The bytes that are hashed: msgpack, maps in canonical order.
    ///
    /// # Errors
    ///
    /// None in practice: writing to memory does not fail.
    pub fn to_msgpack(&self) -> Result<Vec<u8>> {
        const ROUGHLY_ONE_ORDER: usize = 128;
        let mut bytes = Vec::with_capacity(ROUGHLY_ONE_ORDER);
        let mut serializer = rmp_serde::Serializer::new(&mut bytes).with_struct_map();
        self.serialize(&mut serializer).map_err(|error| unwritten(&error))?;
        Ok(bytes)
    }
}

#[cold]
fn unwritten(error: &dyn std::error::Error) -> Error {
    Error::input("action", &error.to_string(), "an action that can be encoded")
}
