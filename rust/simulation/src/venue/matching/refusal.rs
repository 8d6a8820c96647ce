//! Statuses and texts of refusals, as the venue words them. The suffix ` asset=N` is the wire's business.

use hypermm_core::accounting::ledger::Micros;
use hypermm_core::instrument::Instrument;
use hypermm_core::types::Price;

use super::order::{OrderState, Refusal, ScheduleCancelRefusal};
use super::rules::{MICROS_PER_USD, max_order_value_usd};

impl Refusal {
    /// Name of the order status that goes with it; `rejected` where the venue has no name of its own.
    #[must_use]
    pub const fn status(&self) -> &'static str {
        match self {
            Self::Tick => "tickRejected",
            Self::MinimumNotional => "minTradeNtlRejected",
            Self::Margin => "perpMarginRejected",
            Self::ReduceOnly => "reduceOnlyRejected",
            Self::PostOnlyWouldMatch { .. } => "badAloPxRejected",
            Self::NoImmediateMatch => "iocCancelRejected",
            Self::OpenInterestCap => "positionIncreaseAtOpenInterestCapRejected",
            Self::MaxPosition => "perpMaxPositionRejected",
            Self::TooManyOpenOrders => "tooManyOpenOrdersRejected",
            _ => "rejected",
        }
    }

    /// An order refused for this used up a name of the venue's: all that got past the first look at the numbers.
    #[must_use]
    pub const fn uses_up_name(&self) -> bool {
        matches!(
            self,
            Self::Tick
                | Self::MinimumNotional
                | Self::Margin
                | Self::ReduceOnly
                | Self::PostOnlyWouldMatch { .. }
                | Self::NoImmediateMatch
                | Self::OpenInterestCap
                | Self::MaxPosition
                | Self::TooManyOpenOrders
        )
    }

    /// The whole action is refused, not one order of it.
    #[must_use]
    pub const fn is_of_whole_action(&self) -> bool {
        matches!(
            self,
            Self::TooManyRequests { .. }
                | Self::ScheduleCancel(_)
                | Self::UnknownAccount
                | Self::Expired
                | Self::InvalidLeverage
                | Self::LeverageTypeWithPosition
                | Self::LeverageMargin
                | Self::CrossNotAllowed
                | Self::NotIsolated
        )
    }

    /// What the venue says, without suffix.
    #[must_use]
    pub fn text(&self, instrument: &Instrument) -> String {
        match self {
            Self::Tick => "Price must be divisible by tick size.".into(),
            Self::ZeroSize => "Order has zero size.".into(),
            Self::InvalidPrice => "Order has invalid price.".into(),
            Self::InvalidSize => "Order has invalid size.".into(),
            Self::MinimumNotional => format!("Order must have minimum value of ${}.", instrument.min_notional()),
            Self::Margin => "Insufficient margin to place order.".into(),
            Self::ReduceOnly => "Reduce only order would increase position.".into(),
            Self::PostOnlyWouldMatch { bid, ask } => format!(
                "Post only order would have immediately matched, bbo was {}@{}.",
                decimal_or_nothing(*bid, instrument),
                decimal_or_nothing(*ask, instrument)
            ),
            Self::NoImmediateMatch => "Order could not immediately match against any resting orders.".into(),
            Self::OpenInterestCap => "Cannot increase position when open interest is at cap.".into(),
            Self::MaxPosition => "Order would exceed maximum position size for current leverage.".into(),
            Self::PriceTooFar => "Order price cannot be more than 95% away from the reference price".into(),
            Self::ValueTooLarge => {
                format!("Order value too large. Max is ${}.", max_order_value_usd(instrument.max_leverage()))
            }
            Self::TooManyOpenOrders => "Too many open orders".into(),
            Self::MissingOrder => "Order was never placed, already canceled, or filled.".into(),
            Self::InvalidModify => "Attempted to modify to invalid new order".into(),
            Self::ModifyGone => "Cannot modify canceled or filled order".into(),
            Self::TooManyRequests { used, cap, volume } => format!(
                "Too many cumulative requests sent ({used} > {cap}) for cumulative volume traded ${}. \
                 Place taker orders to free up 1 request per USDC traded.",
                dollars(*volume)
            ),
            Self::ScheduleCancel(reason) => reason.text(),
            Self::Expired => "Action already expired".into(),
            Self::UnknownAsset => "Trading is halted.".into(),
            Self::UnknownAccount => "Must deposit before performing actions.".into(),
            Self::InvalidLeverage => "Invalid leverage value".into(),
            Self::LeverageTypeWithPosition => "Cannot switch leverage type with open position.".into(),
            Self::LeverageMargin => {
                "Cross/Isolated position does not have sufficient margin available to decrease leverage.".into()
            }
            Self::CrossNotAllowed => "Cross margin is not allowed for this asset.".into(),
            Self::NotIsolated => "Position does not use isolated margin.".into(),
        }
    }
}

impl ScheduleCancelRefusal {
    fn text(&self) -> String {
        match self {
            Self::Volume { required, traded } => format!(
                "Cannot set scheduled cancel time until enough volume traded. Required: ${}. Traded: ${}.",
                required / MICROS_PER_USD,
                dollars(*traded)
            ),
            Self::TooSoon => "Scheduled cancel time too early, must be at least 5 seconds from now.".into(),
            Self::TooOften => "Too many scheduled cancels triggered for the day. Limit is 10.".into(),
        }
    }
}

impl OrderState {
    /// Name of the state on the wire.
    #[must_use]
    pub const fn status(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Filled => "filled",
            Self::Canceled | Self::ImmediateCanceled => "canceled",
            Self::SelfTradeCanceled => "selfTradeCanceled",
            Self::ReduceOnlyCanceled => "reduceOnlyCanceled",
            Self::MarginCanceled => "marginCanceled",
            Self::LiquidatedCanceled => "liquidatedCanceled",
            Self::ScheduledCancel => "scheduledCancel",
            Self::DelistedCanceled => "delistedCanceled",
            Self::Rejected(reason) => reason.status(),
        }
    }
}

/// Dollars with cents, cut off.
fn dollars(amount: Micros) -> String {
    format!("{}.{:02}", amount / MICROS_PER_USD, amount % MICROS_PER_USD / 10_000)
}

fn decimal_or_nothing(price: Option<Price>, instrument: &Instrument) -> String {
    price.map_or_else(String::new, |price| decimal(price, instrument))
}

/// A price in plain digits without trailing zeros, exact.
fn decimal(price: Price, instrument: &Instrument) -> String {
    let scale = instrument.price_scale() as i64;
    let (whole, fraction) = (price.0 / scale, price.0 % scale);
    if fraction == 0 {
        return whole.to_string();
    }
    let digits = scale.ilog10() as usize;
    format!("{whole}.{fraction:0digits$}").trim_end_matches('0').to_owned()
}
