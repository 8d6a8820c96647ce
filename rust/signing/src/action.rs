//! The venue's actions, each field in the place the venue hashes it at.
//!
//! Fields are declared in the canonical order (`type` first), and both encodings follow the declaration; flags that
//! are false and options that are absent are left out, as the venue leaves them out. Only actions named here can be
//! signed: an action that moves money to another account cannot even be expressed.

pub mod decimal;
pub mod identity;

use serde::{Deserialize, Serialize};

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

impl TimeInForce {
    /// The kind the venue calls `name`.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "Alo" => Ok(Self::Alo),
            "Ioc" => Ok(Self::Ioc),
            "Gtc" => Ok(Self::Gtc),
            "FrontendMarket" => Ok(Self::FrontendMarket),
            _ => Err(Error::input("time_in_force", name, "Alo, Ioc, Gtc or FrontendMarket")),
        }
    }
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

/// An L1 action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", deny_unknown_fields)]
pub enum Action {
    /// Places orders, each on its own.
    Order {
        /// At most 200.
        orders: Vec<Order>,
        /// How they belong together.
        grouping: Grouping,
        /// Fee for a front end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        builder: Option<Builder>,
    },
    /// Cancels by the venue's order ids.
    Cancel {
        /// At most 200.
        cancels: Vec<Cancel>,
        /// Ahead of others in the block; not for triggers.
        #[serde(rename = "f", default, skip_serializing_if = "is_false")]
        fast: bool,
    },
    /// Cancels by client order ids.
    CancelByCloid {
        /// At most 200.
        cancels: Vec<CancelByCloid>,
        /// Ahead of others in the block; not for triggers.
        #[serde(rename = "f", default, skip_serializing_if = "is_false")]
        fast: bool,
    },
    /// Cancels one order and places another.
    Modify {
        /// Which order.
        #[serde(rename = "oid")]
        target: Target,
        /// What replaces it.
        order: Order,
        /// Places the new one even when the cancel failed.
        #[serde(rename = "a", default, skip_serializing_if = "is_false")]
        always_place: bool,
    },
    /// Several modifies.
    BatchModify {
        /// At most 200.
        modifies: Vec<Modify>,
        /// Places new ones even when their cancel failed.
        #[serde(rename = "a", default, skip_serializing_if = "is_false")]
        always_place: bool,
    },
    /// Cancels everything at a time, unless called again; without a time, removes that.
    ScheduleCancel {
        /// When, ms.
        #[serde(rename = "time", default, skip_serializing_if = "Option::is_none")]
        time_ms: Option<u64>,
    },
    /// Sets leverage and margin mode of an asset.
    #[serde(rename_all = "camelCase")]
    UpdateLeverage {
        /// Asset number.
        asset: u32,
        /// Cross, else isolated.
        is_cross: bool,
        /// A whole number of 1 or more.
        leverage: u32,
    },
    /// Adds to or takes from an isolated position's margin.
    #[serde(rename_all = "camelCase")]
    UpdateIsolatedMargin {
        /// Asset number.
        asset: u32,
        /// Has no effect at the venue.
        is_buy: bool,
        /// Amount, 1e-6 USD; negative takes.
        #[serde(rename = "ntli")]
        amount_micro_usd: i64,
    },
    /// Adds margin to an isolated position until it has a leverage.
    TopUpIsolatedOnlyMargin {
        /// Asset number.
        asset: u32,
        /// Leverage to reach.
        leverage: Decimal,
    },
    /// Uses up its nonce, nothing else.
    Noop {},
    /// Buys requests.
    ReserveRequestWeight {
        /// How many.
        weight: u64,
        /// For whom; absent for ourselves.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        destination: Option<Address>,
    },
}

impl Action {
    /// Reads an action from the venue's JSON. Keys may come in any order and numbers padded; what is hashed does not
    /// depend on either.
    ///
    /// # Errors
    ///
    /// Not JSON, an unknown action or field, a field missing, doubled, of the wrong type or out of range.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        serde_json::from_slice(json).map_err(|error| {
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
