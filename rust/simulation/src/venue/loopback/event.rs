//! What happens at a loopback venue, in exact units.

use hypermm_core::accounting::ledger::{Mark, Micros};
use hypermm_core::types::{Lots, Price, Side, TimestampNs};

use crate::venue::block_clock::Block;
use crate::venue::matching::exchange::BookLevel;
use crate::venue::matching::order::{
    AccountId, Answer, AssetId, ClientOrderId, FundingPayment, NewOrder, OrderId, OrderState, Refusal, Trade,
};

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "most are trades and changes of orders, which are of one size")]
pub enum LoopbackEvent {
    /// The answer to a request.
    Answer(RequestAnswer),
    /// A trade of whoever.
    Trade(Trade),
    /// One side of a trade of a trader's.
    Fill(Fill),
    /// A change of a trader's order.
    Order(OrderRecord),
    /// A trader's funding payment.
    Funding(FundingPayment),
    /// An hour's funding of a contract.
    Settlement(Settlement),
    /// A trader went into liquidation.
    Liquidation(Liquidation),
    /// A block changed best bid or ask.
    Best(Best),
    /// The end of a block.
    Block(Block),
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestAnswer {
    /// Which, counted from 1 over all accounts.
    pub request: u64,
    /// Whose.
    pub account: AccountId,
    /// When it leaves for the account, ns.
    pub time_ns: TimestampNs,
    /// Contract of the first item, where it has one.
    pub asset: Option<AssetId>,
    /// Why the whole action was refused; then there are no results.
    pub refusal: Option<Refusal>,
    /// One for each item, or one for all of an order action that could not be read as orders.
    pub results: Vec<ItemResult>,
}

/// What became of one item of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemResult {
    /// Contract.
    pub asset: AssetId,
    /// The account's own name for the order.
    pub client_order_id: Option<ClientOrderId>,
    /// What the venue says.
    pub answer: Answer,
}

/// How a position was liquidated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiquidationMethod {
    /// By an order on the book.
    Market,
    /// Taken over by the backstop.
    Backstop,
}

/// The liquidation a fill belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiquidationOfFill {
    /// Who was liquidated.
    pub account: AccountId,
    /// Mark at that time.
    pub mark: Mark,
    /// How.
    pub method: LiquidationMethod,
}

/// One side of a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Whose.
    pub account: AccountId,
    /// Contract.
    pub asset: AssetId,
    /// Block time, ns.
    pub time_ns: TimestampNs,
    /// Price.
    pub price: Price,
    /// Lots.
    pub size: Lots,
    /// What the account did.
    pub side: Side,
    /// Position before it.
    pub position_before: Lots,
    /// Profit of the part that closed, before fees, micros.
    pub realized: Micros,
    /// Fee, micros, negative = rebate.
    pub fee: Micros,
    /// The order; 0 where the backstop took over.
    pub order_id: OrderId,
    /// The account's own name for it.
    pub client_order_id: Option<ClientOrderId>,
    /// It was the taker.
    pub crossed: bool,
    /// Number of the trade as shown.
    pub trade_id: u64,
    /// The taker's order, which names the transaction; 0 where the backstop took over.
    pub taker_order_id: OrderId,
    /// Its position was backed by all money.
    pub is_cross: bool,
    /// The liquidation it belongs to.
    pub liquidation: Option<LiquidationOfFill>,
}

impl Fill {
    /// The venue's words for what it did to the position.
    #[must_use]
    pub fn direction(&self) -> &'static str {
        let before = self.position_before.0;
        let after = before + if self.side == Side::Buy { self.size.0 } else { -self.size.0 };
        let is_backstop = self.liquidation.is_some_and(|liquidation| liquidation.method == LiquidationMethod::Backstop);
        match (before.signum(), after.signum()) {
            (1, _) if is_backstop && self.is_cross => "Liquidated Cross Long",
            (1, _) if is_backstop => "Liquidated Isolated Long",
            (-1, _) if is_backstop && self.is_cross => "Liquidated Cross Short",
            (-1, _) if is_backstop => "Liquidated Isolated Short",
            (1, -1) => "Long > Short",
            (-1, 1) => "Short > Long",
            (1, _) if self.side == Side::Sell => "Close Long",
            (-1, _) if self.side == Side::Buy => "Close Short",
            _ if self.side == Side::Buy => "Open Long",
            _ => "Open Short",
        }
    }
}

/// The number a trade shows: 50 bits made of buyer's and seller's order. The same orders may meet only once a block.
#[must_use]
pub fn shown_trade_id(buyer: OrderId, seller: OrderId) -> u64 {
    scrambled(scrambled(buyer) ^ seller) >> 14
}

/// Name of the transaction of a taker's order; all zero for none.
#[must_use]
pub fn transaction(taker_order_id: OrderId) -> [u64; 4] {
    if taker_order_id == 0 {
        return [0; 4];
    }
    let mut word = taker_order_id;
    std::array::from_fn(|_| {
        word = scrambled(word);
        word
    })
}

/// SplitMix64: a bijection whose values look drawn.
pub(super) const fn scrambled(value: u64) -> u64 {
    let mut word = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

/// An order as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderRecord {
    /// Whose.
    pub account: AccountId,
    /// Its name.
    pub id: OrderId,
    /// As sent.
    pub order: NewOrder,
    /// What is left of it.
    pub remaining: Lots,
    /// When it was placed, ns.
    pub placed_ns: TimestampNs,
    /// Where it stands.
    pub state: OrderState,
    /// Since when, ns.
    pub state_ns: TimestampNs,
}

/// An hour's funding of a contract.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settlement {
    /// Contract.
    pub asset: AssetId,
    /// Block time, ns.
    pub time_ns: TimestampNs,
    /// Rate charged, fraction, + = longs pay.
    pub rate: f64,
    /// Average premium of the hour, per 8 h.
    pub premium: f64,
}

/// A trader in liquidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Liquidation {
    /// Whose.
    pub account: AccountId,
    /// Block time, ns.
    pub time_ns: TimestampNs,
    /// The isolated position; `None`: all cross positions of the clearinghouse.
    pub asset: Option<AssetId>,
    /// Clearinghouse.
    pub clearinghouse: u32,
    /// Value of the positions at the mark, micros.
    pub value: Micros,
    /// Margin left behind them, micros.
    pub equity: Micros,
}

/// Best prices after a block that changed them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Best {
    /// Contract.
    pub asset: AssetId,
    /// Block time, ns.
    pub time_ns: TimestampNs,
    /// Best bid.
    pub bid: Option<BookLevel>,
    /// Best ask.
    pub ask: Option<BookLevel>,
}
