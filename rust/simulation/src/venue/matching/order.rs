//! Orders, actions and answers of the matching venue, with the venue's statuses and texts.
//!
//! The rules are Hyperliquid's: an action is answered at once, a batch is a row of independent actions, a modify is a
//! cancel and a new order with a new id. Statuses and texts are those of its order-status answers.

use hypermm_core::accounting::ledger::Micros;
use hypermm_core::types::{Lots, Price, Side, TimestampNs};

/// An account at the venue: a row number, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub u32);

/// A contract at the venue: a row number, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AssetId(pub u32);

/// The venue's name of an order: one counter over all assets, in order of execution, from 1.
pub type OrderId = u64;

/// A name the account gave its order, 128 bits.
pub type ClientOrderId = u128;

/// How long an order lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeInForce {
    /// Rests or is refused: never takes.
    PostOnly,
    /// Post-only, and refused whatever the book: a fault on demand. All else is as of [`Self::PostOnly`].
    PostOnlyRefused,
    /// Takes what it can; the rest dies.
    ImmediateOrCancel,
    /// Takes what it can; the rest rests under the same id.
    GoodTilCanceled,
}

/// A limit order as sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// Contract.
    pub asset: AssetId,
    /// Side.
    pub side: Side,
    /// Limit price, units of the instrument.
    pub price: Price,
    /// Size, lots.
    pub size: Lots,
    /// How long it lives.
    pub time_in_force: TimeInForce,
    /// Only ever brings the position nearer to zero.
    pub reduce_only: bool,
    /// The account's own name for it.
    pub client_order_id: Option<ClientOrderId>,
}

/// Which order is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderReference {
    /// By the venue's name.
    Order(OrderId),
    /// By the account's name.
    Client(ClientOrderId),
}

/// One thing an account asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A new order.
    Place(NewOrder),
    /// The end of an order.
    Cancel {
        /// Contract.
        asset: AssetId,
        /// Which.
        order: OrderReference,
    },
    /// Cancel and new order in one; the new one has a new id.
    Modify {
        /// Which.
        order: OrderReference,
        /// What takes its place.
        replacement: NewOrder,
        /// Places the new order even where the old one was already gone.
        always_place: bool,
    },
    /// Cancels everything of the account at this time; `None` takes the switch back.
    ScheduleCancel {
        /// At least 5 s ahead.
        time_ns: Option<TimestampNs>,
    },
    /// Sets leverage and margin mode.
    UpdateLeverage {
        /// Contract.
        asset: AssetId,
        /// Cross or isolated.
        is_cross: bool,
        /// 1 to the contract's maximum.
        leverage: u32,
    },
    /// Moves margin in or out of an isolated position.
    UpdateIsolatedMargin {
        /// Contract.
        asset: AssetId,
        /// + adds.
        amount: Micros,
    },
    /// Nothing: it counts as a request.
    Noop,
}

impl Action {
    /// The class that decides its turn within a block.
    #[must_use]
    pub const fn class(&self) -> ActionClass {
        match self {
            Self::Place(order) | Self::Modify { replacement: order, .. } => match order.time_in_force {
                TimeInForce::PostOnly | TimeInForce::PostOnlyRefused => ActionClass::PostOnly,
                TimeInForce::ImmediateOrCancel | TimeInForce::GoodTilCanceled => ActionClass::Taking,
            },
            Self::Cancel { .. } => ActionClass::Cancel,
            Self::ScheduleCancel { .. }
            | Self::UpdateLeverage { .. }
            | Self::UpdateIsolatedMargin { .. }
            | Self::Noop => ActionClass::PostOnly,
        }
    }
}

/// Turn within a block: the first executes first; within a class, in order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ActionClass {
    /// Nothing in it can take.
    PostOnly,
    /// Cancels.
    Cancel,
    /// At least one order in it can take.
    Taking,
}

/// What the venue answers to one action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// On the book, nothing filled.
    Resting {
        /// Its name.
        order_id: OrderId,
    },
    /// Some or all of it traded at once.
    Filled {
        /// Its name.
        order_id: OrderId,
        /// What traded; the rest of a good-til-canceled order rests.
        size: Lots,
        /// Σ price·size of it, micros.
        notional: Micros,
    },
    /// A cancel worked.
    Canceled,
    /// Done, nothing to say.
    Done,
    /// Refused; the name is that used up, where one was.
    Refused {
        /// Why.
        reason: Refusal,
        /// The name used up.
        order_id: Option<OrderId>,
    },
}

/// Why the venue refused an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The price is not on the grid.
    Tick,
    /// The size is not positive.
    ZeroSize,
    /// The size is larger than any the venue can count.
    InvalidSize,
    /// The price is not positive.
    InvalidPrice,
    /// Below the minimum notional, and it does not close the whole position.
    MinimumNotional,
    /// The account's margin does not carry it.
    Margin,
    /// A reduce-only order with no position to reduce.
    ReduceOnly,
    /// A post-only order that would have matched; best bid and ask at that moment.
    PostOnlyWouldMatch {
        /// Best bid.
        bid: Option<Price>,
        /// Best ask.
        ask: Option<Price>,
    },
    /// An immediate-or-cancel order that met nothing.
    NoImmediateMatch,
    /// Open interest is capped.
    OpenInterestCap,
    /// The position would be larger than its margin tier allows at the leverage set.
    MaxPosition,
    /// Farther than allowed from the reference price.
    PriceTooFar,
    /// Above the largest notional of an order.
    ValueTooLarge,
    /// Too many open orders.
    TooManyOpenOrders,
    /// No such order: never placed, canceled or filled.
    MissingOrder,
    /// A modify into something that may not be placed; the original rests on.
    InvalidModify,
    /// A modify of an order that is gone.
    ModifyGone,
    /// The address has used up its requests.
    TooManyRequests {
        /// Sent so far.
        used: u64,
        /// Allowed so far.
        cap: u64,
        /// Cumulative volume traded.
        volume: Micros,
    },
    /// The block came after the time the account had set for the request.
    Expired,
    /// The dead-man switch wants more volume first, or more notice, or has fired too often.
    ScheduleCancel(ScheduleCancelRefusal),
    /// No such contract, or trading in it is over.
    UnknownAsset,
    /// No such account.
    UnknownAccount,
    /// Leverage out of range.
    InvalidLeverage,
    /// The margin mode cannot be changed while a position is open.
    LeverageTypeWithPosition,
    /// Not enough margin to lower the leverage.
    LeverageMargin,
    /// The contract allows no cross margin.
    CrossNotAllowed,
    /// The position is not isolated.
    NotIsolated,
}

/// Why the dead-man switch was not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScheduleCancelRefusal {
    /// Less than this traded in a lifetime, micros.
    Volume {
        /// Needed.
        required: Micros,
        /// Traded.
        traded: Micros,
    },
    /// Less than 5 s ahead.
    TooSoon,
    /// Fired too often today.
    TooOften,
}

/// Where an order stands at the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderState {
    /// Resting, or just accepted.
    Open,
    /// Wholly traded.
    Filled,
    /// Canceled by its account, or the old leg of a modify.
    Canceled,
    /// It would have traded with its own account.
    SelfTradeCanceled,
    /// Reduce-only, and there is nothing left to reduce.
    ReduceOnlyCanceled,
    /// Its margin was gone when it was to trade.
    MarginCanceled,
    /// The account was liquidated.
    LiquidatedCanceled,
    /// The dead-man switch fired.
    ScheduledCancel,
    /// Trading in the contract ended.
    DelistedCanceled,
    /// The rest of an immediate-or-cancel order.
    ImmediateCanceled,
    /// Refused.
    Rejected(Refusal),
}

/// One trade, with both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade {
    /// Block time, ns.
    pub time_ns: TimestampNs,
    /// Contract.
    pub asset: AssetId,
    /// The venue's name of the trade, from 1.
    pub trade_id: u64,
    /// Price of the resting order.
    pub price: Price,
    /// Lots.
    pub size: Lots,
    /// Side of the taker.
    pub aggressor: Side,
    /// The two sides.
    pub maker: TradeLeg,
    /// The taker.
    pub taker: TradeLeg,
    /// The taker was being liquidated.
    pub is_liquidation: bool,
}

/// One side of a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TradeLeg {
    /// Account.
    pub account: AccountId,
    /// Its order.
    pub order_id: OrderId,
    /// The account's own name for it.
    pub client_order_id: Option<ClientOrderId>,
    /// What is left of the order after this trade.
    pub remaining: Lots,
    /// Fee paid, micros, negative = rebate.
    pub fee: Micros,
    /// Position before the trade.
    pub position_before: Lots,
    /// Profit of the part that closed, before fees, micros.
    pub realized: Micros,
}

/// A change of an order: accepted, made smaller by the venue, or dead, by a trade too. A trade that leaves something of
/// the order is told by [`Trade`] alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderChange {
    /// Block time, ns.
    pub time_ns: TimestampNs,
    /// Account.
    pub account: AccountId,
    /// Its name; 0 where none was used up.
    pub order_id: OrderId,
    /// The order as sent.
    pub order: NewOrder,
    /// What is left of it.
    pub remaining: Lots,
    /// Where it stands.
    pub state: OrderState,
}

/// A funding payment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FundingPayment {
    /// Settlement, ns.
    pub time_ns: TimestampNs,
    /// Account.
    pub account: AccountId,
    /// Contract.
    pub asset: AssetId,
    /// Position it was paid on.
    pub position: Lots,
    /// Rate, fraction per interval.
    pub rate: f64,
    /// What was paid, micros, negative = received.
    pub paid: Micros,
}

/// Everything that happens at the venue, in order.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "most are trades and changes of orders, which are of one size")]
pub enum VenueEvent {
    /// A trade.
    Trade(Trade),
    /// A change of an order.
    Order(OrderChange),
    /// A funding payment.
    Funding(FundingPayment),
    /// An account went into liquidation.
    Liquidation {
        /// Time, ns.
        time_ns: TimestampNs,
        /// Account.
        account: AccountId,
        /// Contract; `None` is all cross positions of the clearinghouse.
        asset: Option<AssetId>,
        /// Clearinghouse.
        clearinghouse: u32,
        /// Value of the positions concerned at the mark, micros.
        value: Micros,
        /// Margin left behind them, micros.
        equity: Micros,
    },
    /// The backstop took a position over with its margin, off the book.
    Backstop {
        /// Time, ns.
        time_ns: TimestampNs,
        /// Account that lost it.
        account: AccountId,
        /// Contract.
        asset: AssetId,
        /// The position it had, + = long.
        position: Lots,
        /// Price it went over at: the mark, down to a whole unit.
        price: Price,
        /// Profit of the account from it, before the rest of its margin went too.
        realized: Micros,
    },
}
