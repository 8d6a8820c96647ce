//! What can be asked of a loopback venue between two blocks.

use hypermm_core::accounting::ledger::{Mark, Micros};
use hypermm_core::error::{Result, invalid_input};
use hypermm_core::types::{Lots, Price, Side};

use super::coin::Impact;
use super::event::OrderRecord;
use super::venue::{LoopbackVenue, best_levels};
use crate::venue::matching::exchange::BookLevel;
use crate::venue::matching::order::{AccountId, AssetId, OrderReference, OrderState};
use crate::venue::matching::{AccountView, PositionView};

/// What a contract stands at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CoinContext {
    /// Mark.
    pub mark: Mark,
    /// Oracle.
    pub oracle: Mark,
    /// Middle of best bid and ask.
    pub mid: Option<Mark>,
    /// Impact prices and premium.
    pub impact: Option<Impact>,
    /// What the present hour would pay, fraction, + = longs pay.
    pub funding_rate: f64,
    /// Sum of long positions.
    pub open_interest: Lots,
    /// Mark of a day ago, or of the start.
    pub previous_day: Mark,
    /// Traded in a day, micros.
    pub day_notional: Micros,
    /// Traded in a day.
    pub day_size: Lots,
}

/// A trader in one contract.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeldPosition {
    /// Contract.
    pub asset: AssetId,
    /// As the exchange shows it.
    pub view: PositionView,
    /// Mark at which it is liquidated, price units; `None` where no positive price does it.
    pub liquidation_price: Option<f64>,
    /// Funding paid in all, since the position was opened, since its last fill, micros.
    pub funding: [Micros; 3],
}

/// Money of a trader in a clearinghouse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeldAccount {
    /// As the exchange shows it.
    pub view: AccountView,
    /// Value of all positions at the mark, micros.
    pub value: Micros,
    /// Value of cross positions, micros.
    pub cross_value: Micros,
    /// Value of all positions, with signs, micros.
    pub signed_value: Micros,
    /// Value of cross positions, with signs, micros.
    pub cross_signed_value: Micros,
    /// Margin behind all positions, micros.
    pub margin_used: Micros,
}

/// How prices of a book are rounded outward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aggregation {
    /// Significant figures, 2 to 5.
    pub significant_figures: u32,
    /// The last figure is a multiple of it: 1, 2 or 5.
    pub mantissa: u32,
}

impl Aggregation {
    /// As the venue takes them: 2 to 5 figures, a mantissa only with 5.
    ///
    /// # Errors
    /// [`hypermm_core::error::Error::InvalidInput`].
    pub fn new(significant_figures: u32, mantissa: Option<u32>) -> Result<Self> {
        if !(2..=5).contains(&significant_figures) {
            return Err(invalid_input("significant_figures", significant_figures, "2 to 5", ""));
        }
        match mantissa {
            None => Ok(Self { significant_figures, mantissa: 1 }),
            Some(step @ (1 | 2 | 5)) if significant_figures == 5 => Ok(Self { significant_figures, mantissa: step }),
            Some(other) => Err(invalid_input("mantissa", other, "1, 2 or 5, with 5 significant figures", "")),
        }
    }

    /// The nearest price of the bucket, not better.
    fn round(&self, price: Price, side: Side) -> Price {
        let digits = price.0.max(1).ilog10() + 1;
        let power = 10_i64.pow(digits.saturating_sub(self.significant_figures));
        let step = power * i64::from(self.mantissa);
        let down = price.0 - price.0.rem_euclid(step);
        Price(if side == Side::Buy || down == price.0 { down } else { down + step })
    }
}

impl LoopbackVenue {
    fn coin_of(&self, asset: AssetId) -> Result<&super::coin::Coin> {
        self.coins
            .get(asset.0 as usize)
            .ok_or_else(|| invalid_input("asset", asset.0, format!("below {}", self.coins.len()), ""))
    }

    /// The first `count` levels of a side, best first.
    ///
    /// # Errors
    /// An unknown contract.
    pub fn levels(
        &self,
        asset: AssetId,
        side: Side,
        count: usize,
        aggregation: Option<Aggregation>,
    ) -> Result<Vec<BookLevel>> {
        self.coin_of(asset)?;
        let mut levels = Vec::new();
        let Some(aggregation) = aggregation else {
            self.exchange().levels(asset, side, &mut levels, count);
            return Ok(levels);
        };
        self.exchange().levels(asset, side, &mut levels, usize::MAX);
        let mut buckets: Vec<BookLevel> = Vec::with_capacity(count);
        for level in levels {
            let price = aggregation.round(level.price, side);
            if let Some(bucket) = buckets.last_mut().filter(|bucket| bucket.price == price) {
                bucket.size.0 += level.size.0;
                bucket.orders += level.orders;
            } else if buckets.len() < count {
                buckets.push(BookLevel { price, ..level });
            } else {
                break;
            }
        }
        Ok(buckets)
    }

    /// Best bid and ask.
    ///
    /// # Errors
    /// An unknown contract.
    pub fn best(&self, asset: AssetId) -> Result<[Option<BookLevel>; 2]> {
        self.coin_of(asset)?;
        Ok(best_levels(self.exchange(), asset))
    }

    /// What a contract stands at.
    ///
    /// # Errors
    /// An unknown contract.
    pub fn context(&self, asset: AssetId) -> Result<CoinContext> {
        let coin = self.coin_of(asset)?;
        let (previous_day, day_notional, day_size) = coin.day();
        Ok(CoinContext {
            mark: coin.marked,
            oracle: coin.oracle,
            mid: coin.mid(self.exchange()),
            impact: coin.impact(self.exchange()),
            funding_rate: coin.funding_rate(),
            open_interest: self.exchange().open_interest(asset),
            previous_day,
            day_notional,
            day_size,
        })
    }

    /// Open orders of a trader, newest first.
    ///
    /// # Errors
    /// An unknown account.
    pub fn open_orders(&self, account: AccountId) -> Result<Vec<OrderRecord>> {
        self.require_trader(account)?;
        let open = self.exchange().open_orders(account).map(|order| OrderRecord {
            account,
            id: order.id,
            order: order.order,
            remaining: order.remaining,
            placed_ns: order.placed_ns,
            state: OrderState::Open,
            state_ns: order.placed_ns,
        });
        let mut open: Vec<_> = open.collect();
        open.sort_unstable_by_key(|order| std::cmp::Reverse(order.id));
        Ok(open)
    }

    /// An order of a trader, if it is still known.
    ///
    /// # Errors
    /// An unknown account.
    pub fn order_status(&self, account: AccountId, order: OrderReference) -> Result<Option<OrderRecord>> {
        self.require_trader(account)?;
        Ok(self.traders.get(&account).and_then(|trader| trader.orders.find(order)).copied())
    }

    /// The newest orders of a trader, newest first.
    ///
    /// # Errors
    /// An unknown account.
    pub fn order_history(&self, account: AccountId, count: usize) -> Result<Vec<OrderRecord>> {
        self.require_trader(account)?;
        let orders = self.traders.get(&account).into_iter().flat_map(|trader| trader.orders.newest_first());
        Ok(orders.take(count).copied().collect())
    }

    /// A trader in one contract.
    ///
    /// # Errors
    /// An unknown account or contract.
    pub fn position(&self, account: AccountId, asset: AssetId) -> Result<HeldPosition> {
        self.require_trader(account)?;
        let coin = self.coin_of(asset)?;
        let missing = || invalid_input("account", account.0, "an account opened at this venue", "");
        let view = self.exchange().position(account, asset).ok_or_else(missing)?;
        let funding = self.traders.get(&account).and_then(|trader| trader.funding.get(asset.0 as usize));
        let clearinghouse = self.exchange().settings(asset).map_or(0, |settings| settings.clearinghouse);
        let money = self.exchange().account_in(account, clearinghouse).ok_or_else(missing)?;
        let available = if view.is_cross {
            money.cross_value - money.cross_maintenance_margin
        } else {
            view.margin_used - view.maintenance_margin
        };
        Ok(HeldPosition {
            asset,
            view,
            liquidation_price: liquidation_price(&view, coin.marked, available),
            funding: funding.copied().unwrap_or_default(),
        })
    }

    /// What a trader holds in a clearinghouse.
    ///
    /// # Errors
    /// An unknown account.
    pub fn positions(&self, account: AccountId, clearinghouse: u32) -> Result<Vec<HeldPosition>> {
        self.require_trader(account)?;
        let here = self.coins.iter().map(|coin| coin.asset).filter(|asset| {
            self.exchange().settings(*asset).is_some_and(|settings| settings.clearinghouse == clearinghouse)
        });
        let held = here.map(|asset| self.position(account, asset));
        held.filter(|position| !position.as_ref().is_ok_and(|position| position.view.size.0 == 0)).collect()
    }

    /// Money of a trader in a clearinghouse.
    ///
    /// # Errors
    /// An unknown account.
    pub fn account(&self, account: AccountId, clearinghouse: u32) -> Result<HeldAccount> {
        self.require_trader(account)?;
        let missing = || invalid_input("account", account.0, "an account opened at this venue", "");
        let view = self.exchange().account_in(account, clearinghouse).ok_or_else(missing)?;
        let mut held = HeldAccount {
            view,
            value: 0,
            cross_value: 0,
            signed_value: 0,
            cross_signed_value: 0,
            margin_used: view.cross_initial_margin,
        };
        for coin in &self.coins {
            let settings = self.exchange().settings(coin.asset);
            if settings.is_none_or(|settings| settings.clearinghouse != clearinghouse) {
                continue;
            }
            let Some(position) = self.exchange().position(account, coin.asset) else { continue };
            let signed = position.value * Micros::from(position.size.0.signum());
            held.value += position.value;
            held.signed_value += signed;
            if position.is_cross {
                held.cross_value += position.value;
                held.cross_signed_value += signed;
            } else {
                held.margin_used += position.margin_used;
            }
        }
        Ok(held)
    }
}

/// mark − side·available/size/(1 − l·side), l = 1/(2·largest leverage), price units (protocol sheet, section 9).
fn liquidation_price(view: &PositionView, mark: Mark, available: Micros) -> Option<f64> {
    let size = view.size.0;
    if size == 0 {
        return None;
    }
    let side = size.signum() as f64;
    let maintenance = 0.5 / f64::from(view.max_leverage);
    let distance = available as f64 / size.abs() as f64 / (1.0 - maintenance * side);
    Some(mark.0 as f64 / 2.0 - side * distance).filter(|price| *price > 0.0)
}
