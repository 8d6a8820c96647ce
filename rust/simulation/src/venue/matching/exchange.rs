//! The exchange: contracts, accounts, one action at a time, and what can be read of it.

use hypermm_core::accounting::ledger::{Ledger, Mark, Micros, micros_from_quote};
use hypermm_core::error::{Result, invalid_input};
use hypermm_core::types::{Lots, Price, Side, TimestampNs};

use super::account::{Account, AccountView, PositionView};
use super::book::{Book, NONE, Orders, Slot};
use super::margin::{MarginTable, value_of};
use super::order::{AccountId, Action, Answer, AssetId, ClientOrderId, NewOrder, OrderId, Refusal, VenueEvent};
use super::rules::{AccountKind, AssetSettings, MICROS_PER_USD, VenueRules, max_order_value_usd};

/// A contract with its book and reference prices.
#[derive(Clone, Debug)]
pub(super) struct Asset {
    pub(super) settings: AssetSettings,
    pub(super) book: Book,
    pub(super) margin: MarginTable,
    pub(super) min_notional: Micros,
    pub(super) max_order_value: Micros,
    pub(super) oracle: Option<Mark>,
    pub(super) mark: Option<Mark>,
    pub(super) last_trade: Option<Price>,
    /// Sum of long positions.
    pub(super) open_interest: i64,
}

impl Asset {
    fn new(settings: AssetSettings) -> Result<Self> {
        settings.fee_scale.check()?;
        if settings.clearinghouse > MAX_CLEARINGHOUSE {
            return Err(invalid_input("clearinghouse", settings.clearinghouse, "0 to 255", ""));
        }
        let leverage = settings.instrument.max_leverage();
        Ok(Self {
            book: Book::new(),
            margin: MarginTable::new(leverage, &settings.margin_tiers)?,
            min_notional: micros_from_quote("min_notional", settings.instrument.min_notional())?,
            max_order_value: Micros::from(max_order_value_usd(leverage)) * MICROS_PER_USD,
            oracle: None,
            mark: None,
            last_trade: None,
            open_interest: 0,
            settings,
        })
    }

    /// The mark; before there is one, the last trade; before that, the price at hand.
    #[inline]
    pub(super) fn mark_or(&self, price: Price) -> Mark {
        self.mark.unwrap_or_else(|| Mark(self.last_trade.unwrap_or(price).0.saturating_mul(2)))
    }
}

/// Best price of a side with what rests there; `None` when the side is empty.
pub type BestQuote = Option<(Price, Lots)>;

/// One price of a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookLevel {
    /// Price.
    pub price: Price,
    /// What rests there.
    pub size: Lots,
    /// How many orders.
    pub orders: u32,
}

/// A resting order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderView {
    /// Its name.
    pub id: OrderId,
    /// Whose it is.
    pub account: AccountId,
    /// As sent.
    pub order: NewOrder,
    /// What is left of it.
    pub remaining: Lots,
    /// When it was accepted, ns.
    pub placed_ns: TimestampNs,
}

/// A venue of several contracts: books, accounts, margin. A pure state machine; time comes in with each call.
///
/// Positions sum to zero over all accounts, and so does all money: cash − deposits + fees + funding.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub(super) rules: VenueRules,
    pub(super) assets: Vec<Asset>,
    pub(super) accounts: Vec<Account>,
    pub(super) orders: Orders,
    pub(super) last_order_id: OrderId,
    pub(super) last_trade_id: u64,
}

impl Exchange {
    /// An exchange without orders; its only account is the [`super::rules::BACKSTOP`].
    ///
    /// # Errors
    /// No asset, or settings out of range.
    pub fn new(assets: Vec<AssetSettings>, rules: VenueRules) -> Result<Self> {
        rules.check()?;
        if assets.is_empty() {
            return Err(invalid_input("assets", "[]", "at least one contract", ""));
        }
        let mut exchange = Self {
            rules,
            assets: assets.into_iter().map(Asset::new).collect::<Result<_>>()?,
            accounts: Vec::new(),
            orders: Orders::default(),
            last_order_id: 0,
            last_trade_id: 0,
        };
        exchange.open_account(AccountKind::Background)?;
        Ok(exchange)
    }

    /// A new account.
    ///
    /// # Errors
    /// A negative deposit, or fee rates out of range.
    pub fn open_account(&mut self, kind: AccountKind) -> Result<AccountId> {
        if let AccountKind::Trader { deposit, .. } = kind
            && !(0..=MAX_DEPOSIT).contains(&deposit)
        {
            return Err(invalid_input("deposit", deposit.to_string(), "0 to 1e24 micros", "1 USD is 1000000"));
        }
        let settings: Vec<AssetSettings> = self.assets.iter().map(|asset| asset.settings.clone()).collect();
        self.accounts.push(Account::new(kind, &settings, &self.rules)?);
        Ok(AccountId((self.accounts.len() - 1) as u32))
    }

    /// Adds money to an account (negative: takes some away) in a clearinghouse, micros, as a transfer does.
    ///
    /// # Errors
    /// An unknown account or clearinghouse, or an amount beyond 1e24.
    pub fn deposit(&mut self, account: AccountId, clearinghouse: u32, amount: Micros) -> Result<()> {
        if amount.abs() > MAX_DEPOSIT {
            return Err(invalid_input("deposit", amount.to_string(), "within 1e24 micros", "1 USD is 1000000"));
        }
        let account = self.accounts.get_mut(account.0 as usize);
        match account.and_then(|account| account.cash.get_mut(clearinghouse as usize)) {
            Some(cash) => {
                *cash += amount;
                Ok(())
            }
            None => Err(invalid_input("clearinghouse", clearinghouse, "an account's clearinghouse", "")),
        }
    }

    /// Volume an account has traded before, micros: it counts for limits. An unknown account is left alone.
    pub fn credit_volume(&mut self, account: AccountId, volume: Micros) {
        if let Some(account) = self.accounts.get_mut(account.0 as usize) {
            account.volume += volume.clamp(0, MAX_DEPOSIT);
        }
    }

    /// Orders to come are numbered from `first` on, if no later number was given yet.
    pub fn number_orders_from(&mut self, first: OrderId) {
        self.last_order_id = self.last_order_id.max(first.saturating_sub(1));
    }

    /// Carries out one action at once; what happens goes to `sink` in order.
    pub fn execute(
        &mut self,
        now_ns: TimestampNs,
        account: AccountId,
        action: &Action,
        sink: &mut impl FnMut(&VenueEvent),
    ) -> Answer {
        if let Err(reason) = self.count_requests(now_ns, account, 1, matches!(action, Action::Cancel { .. })) {
            return refused(reason);
        }
        self.execute_counted(now_ns, account, action, sink)
    }

    /// Carries out an action of a batch that was counted as a whole ([`Self::count_requests`]); otherwise as
    /// [`Self::execute`].
    pub fn execute_counted(
        &mut self,
        now_ns: TimestampNs,
        account: AccountId,
        action: &Action,
        sink: &mut impl FnMut(&VenueEvent),
    ) -> Answer {
        if account.0 as usize >= self.accounts.len() {
            return refused(Refusal::UnknownAccount);
        }
        match *action {
            Action::Place(ref order) => self.place(now_ns, account, order, true, sink),
            Action::Cancel { asset, order } => self.cancel(now_ns, account, asset, order, sink),
            Action::Modify { order, ref replacement, always_place } => {
                self.modify(now_ns, account, order, replacement, always_place, sink)
            }
            Action::ScheduleCancel { time_ns } => self.schedule_cancel(now_ns, account, time_ns),
            Action::UpdateLeverage { asset, is_cross, leverage } => {
                self.update_leverage(account, asset, is_cross, leverage)
            }
            Action::UpdateIsolatedMargin { asset, amount } => self.update_isolated_margin(account, asset, amount),
            Action::Noop => Answer::Done,
        }
    }

    /// How many clearinghouses there are.
    #[must_use]
    pub fn clearinghouses(&self) -> u32 {
        self.assets.iter().map(|asset| asset.settings.clearinghouse + 1).max().unwrap_or(1)
    }

    /// How many accounts there are, the backstop included.
    #[must_use]
    pub fn account_count(&self) -> usize {
        self.accounts.len()
    }

    /// Settings of a contract.
    #[must_use]
    pub fn settings(&self, asset: AssetId) -> Option<&AssetSettings> {
        self.asset(asset).map(|asset| &asset.settings)
    }

    /// Rules of the venue.
    #[must_use]
    pub fn rules(&self) -> &VenueRules {
        &self.rules
    }

    /// Best bid and best ask, each with what rests there.
    #[must_use]
    pub fn best(&self, asset: AssetId) -> (BestQuote, BestQuote) {
        let best = |side| {
            let (price, level) = self.asset(asset)?.book.side(side).best()?;
            Some((price, Lots(level.size)))
        };
        (best(Side::Buy), best(Side::Sell))
    }

    /// The first `count` levels of a side, best first, in place of what `out` held.
    pub fn levels(&self, asset: AssetId, side: Side, out: &mut Vec<BookLevel>, count: usize) {
        out.clear();
        let Some(asset) = self.asset(asset) else { return };
        out.extend(asset.book.side(side).best_first().take(count).map(|(price, level)| BookLevel {
            price,
            size: Lots(level.size),
            orders: level.orders,
        }));
    }

    /// Everything that rests at this price or better.
    #[must_use]
    pub fn depth_to(&self, asset: AssetId, side: Side, price: Price) -> Lots {
        Lots(self.asset(asset).map_or(0, |asset| asset.book.side(side).depth_to(price)))
    }

    /// Average price at which a market order of this notional would sell into the bids (`Side::Buy`) or buy from the
    /// asks, price units; `None` where the book does not hold that much.
    #[must_use]
    pub fn impact_price(&self, asset: AssetId, side: Side, notional: Micros) -> Option<f64> {
        let (mut left, mut size) = (notional as f64, 0.0);
        for (price, level) in self.asset(asset)?.book.side(side).best_first() {
            let price = price.0 as f64;
            let worth = price * level.size as f64;
            if worth >= left {
                return Some(notional as f64 / (size + left / price));
            }
            left -= worth;
            size += level.size as f64;
        }
        None
    }

    /// Price of the last trade.
    #[must_use]
    pub fn last_trade(&self, asset: AssetId) -> Option<Price> {
        self.asset(asset)?.last_trade
    }

    /// Oracle and mark last set.
    #[must_use]
    pub fn reference(&self, asset: AssetId) -> Option<(Mark, Mark)> {
        let asset = self.asset(asset)?;
        Some((asset.oracle?, asset.mark?))
    }

    /// Sum of all long positions.
    #[must_use]
    pub fn open_interest(&self, asset: AssetId) -> Lots {
        Lots(self.asset(asset).map_or(0, |asset| asset.open_interest))
    }

    /// A resting order.
    #[must_use]
    pub fn order(&self, id: OrderId) -> Option<OrderView> {
        self.orders.find(id).map(|slot| self.view(slot))
    }

    /// The newest resting order the account gave this name.
    #[must_use]
    pub fn order_of_client(&self, account: AccountId, name: ClientOrderId) -> Option<OrderView> {
        self.orders.find_client(account, name).map(|slot| self.view(slot))
    }

    /// What stands before a resting order in its queue. Walks the queue.
    #[must_use]
    pub fn queue_ahead(&self, id: OrderId) -> Option<Lots> {
        let slot = self.orders.find(id)?;
        let asset = self.asset(self.orders[slot].order.asset)?;
        Some(asset.book.queue_ahead(&self.orders, slot))
    }

    /// How many orders rest, of all accounts.
    #[must_use]
    pub fn resting_orders(&self) -> usize {
        self.orders.len()
    }

    /// Open orders of an account: contract by contract, oldest first.
    pub fn open_orders(&self, account: AccountId) -> impl Iterator<Item = OrderView> {
        let positions = self.accounts.get(account.0 as usize).map_or(&[][..], |account| &account.positions);
        positions.iter().flat_map(|position| {
            let first = (position.queue.head != NONE).then_some(position.queue.head);
            std::iter::successors(first, |slot| {
                let next = self.orders.next_of_account(*slot);
                (next != NONE).then_some(next)
            })
            .map(|slot| self.view(slot))
        })
    }

    /// Money and margin of an account in clearinghouse 0, and its counters.
    #[must_use]
    pub fn account(&self, id: AccountId) -> Option<AccountView> {
        self.account_in(id, 0)
    }

    /// Money and margin of an account in a clearinghouse, and its counters, which are one for all.
    #[must_use]
    pub fn account_in(&self, id: AccountId, clearinghouse: u32) -> Option<AccountView> {
        let account = self.accounts.get(id.0 as usize)?;
        let clearinghouse = clearinghouse as usize;
        let cross = self.cross_margin(account, clearinghouse, None);
        let isolated: Micros = account
            .positions
            .iter()
            .zip(&self.assets)
            .enumerate()
            .filter(|(_, (position, _))| !position.is_cross && position.clearinghouse == clearinghouse)
            .map(|(index, (_, asset))| Self::isolated_equity(account, asset, index))
            .sum();
        Some(AccountView {
            is_background: account.is_background,
            cash: account.cash.get(clearinghouse).copied().unwrap_or(0),
            cross_value: cross.equity,
            account_value: cross.equity + isolated,
            cross_initial_margin: cross.initial,
            cross_maintenance_margin: cross.maintenance,
            withdrawable: (cross.equity - cross.initial.max(cross.value / 10)).max(0),
            volume: account.volume,
            requests_used: account.requests,
            requests_cap: self.rules.request_limit(account.volume, false),
            cancels_cap: self.rules.request_limit(account.volume, true),
            open_orders: account.open_orders,
            open_orders_cap: self.rules.open_order_limit(account.volume),
            scheduled_cancel_ns: account.scheduled_cancel_ns,
            fees: account.fees,
        })
    }

    /// The books of an account in one contract.
    #[must_use]
    pub fn ledger(&self, account: AccountId, asset: AssetId) -> Option<&Ledger> {
        Some(&self.accounts.get(account.0 as usize)?.positions.get(asset.0 as usize)?.ledger)
    }

    /// A position with its margin.
    #[must_use]
    pub fn position(&self, account: AccountId, asset: AssetId) -> Option<PositionView> {
        let owner = self.accounts.get(account.0 as usize)?;
        let (index, contract) = (asset.0 as usize, self.asset(asset)?);
        let position = owner.positions.get(index)?;
        let mark = contract.mark_or(Price(0));
        let value = value_of(position.size(), mark);
        let unrealized = position.ledger.unrealized_half_micros(mark).div_euclid(2);
        Some(PositionView {
            size: position.ledger.position(),
            entry: position.ledger.entry(),
            value,
            unrealized,
            leverage: position.leverage,
            is_cross: position.is_cross,
            max_leverage: contract.margin.max_leverage(value),
            margin_used: if position.is_cross {
                value / Micros::from(position.leverage)
            } else {
                Self::isolated_equity(owner, contract, index)
            },
            maintenance_margin: contract.margin.maintenance(value),
            isolated_cash: position.isolated,
        })
    }

    #[inline]
    pub(super) fn asset(&self, asset: AssetId) -> Option<&Asset> {
        self.assets.get(asset.0 as usize)
    }

    fn view(&self, slot: Slot) -> OrderView {
        let resting = &self.orders[slot];
        OrderView {
            id: resting.id,
            account: resting.account,
            order: resting.order,
            remaining: Lots(resting.remaining),
            placed_ns: resting.placed_ns,
        }
    }
}

const MAX_CLEARINGHOUSE: u32 = 255;
/// Deposits above this could not be added up.
const MAX_DEPOSIT: Micros = 1_000_000_000_000_000_000_000_000;

pub(super) const fn refused(reason: Refusal) -> Answer {
    Answer::Refused { reason, order_id: None }
}
