//! The loopback venue: requests in, blocks, events out.

use std::collections::{BTreeMap, VecDeque};

use hypermm_core::accounting::ledger::Micros;
use hypermm_core::error::{Result, invalid_input, time_order};
use hypermm_core::types::{Side, TimestampNs};

use super::coin::{Coin, CoinSettings};
use super::event::{Best, ItemResult, LoopbackEvent, RequestAnswer, Settlement, scrambled};
use super::history::OrderHistory;
use super::notices::listener;
use crate::venue::block_clock::{Block, BlockClockSettings};
use crate::venue::blocks::{BlockSettings, BlockVenue};
use crate::venue::connections::RequestId;
use crate::venue::fees::FeeRates;
use crate::venue::latency::LatencyModel;
use crate::venue::matching::exchange::{BookLevel, Exchange};
use crate::venue::matching::order::{
    AccountId, Action, ActionClass, Answer, AssetId, ClientOrderId, OrderId, Refusal, VenueEvent,
};
use crate::venue::matching::rules::{AccountKind, VenueRules};

/// What a loopback venue is like.
#[derive(Clone, Debug, PartialEq)]
pub struct LoopbackSettings {
    /// Seed of block times and of all markets.
    pub seed: u64,
    /// Time of block 0, ns.
    pub start_ns: TimestampNs,
    /// From sending a request to the mempool, ns.
    pub order_latency_ns: i64,
    /// From the block to its answers, ns.
    pub answer_latency_ns: i64,
    /// How long the mempool holds batches that can take, ns.
    pub taking_hold_ns: i64,
    /// How long it holds cancels that are not fast, ns.
    pub slow_cancel_hold_ns: i64,
    /// Rules over all contracts.
    pub rules: VenueRules,
    /// Number of the first order.
    pub first_order_id: OrderId,
}

impl Default for LoopbackSettings {
    /// No network: what a request waits for is its block and what the mempool holds it back.
    fn default() -> Self {
        Self {
            seed: 0,
            start_ns: 0,
            order_latency_ns: 0,
            answer_latency_ns: 0,
            taking_hold_ns: 300_000_000,
            slow_cancel_hold_ns: 300_000_000,
            rules: VenueRules::default(),
            first_order_id: 560_000_000_000,
        }
    }
}

/// What an account asks for in one go.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Whose.
    pub account: AccountId,
    /// Its items, at least one.
    pub actions: Vec<Action>,
    /// Cancels that the mempool does not hold back.
    pub is_fast: bool,
    /// A block after this time refuses it, ns.
    pub expires_after_ns: Option<TimestampNs>,
}

/// A request on its way.
#[derive(Debug)]
struct Sent {
    request: u64,
    account: AccountId,
    /// Contract and name of each item.
    items: Vec<(AssetId, Option<ClientOrderId>)>,
    /// It sets something: there are no results, only a refusal.
    is_setting: bool,
    results: Vec<ItemResult>,
}

/// A request that the venue does not look at.
#[derive(Debug)]
struct Unread {
    due_ns: TimestampNs,
    expires_after_ns: TimestampNs,
    answer: RequestAnswer,
}

/// What a trader has besides what the exchange knows.
#[derive(Debug, Default)]
pub(super) struct Trader {
    pub(super) orders: OrderHistory,
    /// Of each contract: funding paid in all, since the position was opened, since its last fill, micros.
    pub(super) funding: Vec<[Micros; 3]>,
}

/// The venue.
#[derive(Debug)]
pub struct LoopbackVenue {
    pub(super) blocks: BlockVenue,
    pub(super) coins: Vec<Coin>,
    /// By account.
    pub(super) traders: BTreeMap<AccountId, Trader>,
    settings: LoopbackSettings,
    last_block_ns: TimestampNs,
    last_request: u64,
    sent: BTreeMap<RequestId, Sent>,
    unread: VecDeque<Unread>,
    /// Answers to those whose block has come, by time.
    refused: VecDeque<RequestAnswer>,
    actions: Vec<(AccountId, Action)>,
    /// What the exchange told since it was last listened to.
    pub(super) told: Vec<VenueEvent>,
}

impl LoopbackVenue {
    /// A venue before its first block, without accounts.
    ///
    /// # Errors
    /// Settings out of range; a market or contract that is refused.
    pub fn new(coins: &[CoinSettings], settings: LoopbackSettings) -> Result<Self> {
        let assets = coins.iter().map(|coin| coin.asset.clone()).collect();
        let mut exchange = Exchange::new(assets, settings.rules)?;
        exchange.number_orders_from(settings.first_order_id);
        let mut running = Vec::with_capacity(coins.len());
        for (row, coin) in coins.iter().enumerate() {
            // Two markets of one preset are not the same market.
            let seed = if row == 0 { settings.seed } else { scrambled(settings.seed.wrapping_add(row as u64)) };
            running.push(Coin::open(coin, AssetId(row as u32), seed, settings.start_ns, &mut exchange)?);
        }
        let clock = BlockClockSettings { start_ns: settings.start_ns, ..BlockClockSettings::default() };
        let latency = LatencyModel::constant(settings.order_latency_ns, settings.answer_latency_ns, 0);
        let blocks = BlockSettings {
            clock,
            latency,
            cancel_hold_ns: settings.slow_cancel_hold_ns,
            taking_hold_ns: settings.taking_hold_ns,
        };
        Ok(Self {
            blocks: BlockVenue::new(exchange, blocks, settings.seed)?,
            coins: running,
            traders: BTreeMap::new(),
            last_block_ns: settings.start_ns,
            settings,
            last_request: 0,
            sent: BTreeMap::new(),
            unread: VecDeque::new(),
            refused: VecDeque::new(),
            actions: Vec::with_capacity(256),
            told: Vec::with_capacity(64),
        })
    }

    /// The exchange.
    #[must_use]
    pub const fn exchange(&self) -> &Exchange {
        self.blocks.exchange()
    }

    /// The block to come.
    #[must_use]
    pub const fn next_block(&self) -> Block {
        self.blocks.next_block()
    }

    /// A new account with money by clearinghouse, micros, and what it has traded before.
    ///
    /// # Errors
    /// Amounts or rates out of range, or an unknown clearinghouse; there is no account then.
    pub fn open_account(&mut self, deposits: &[(u32, Micros)], fees: FeeRates, volume: Micros) -> Result<AccountId> {
        for (clearinghouse, amount) in deposits {
            if *amount < 0 {
                return Err(invalid_input("deposit", amount.to_string(), "0 micros or more", "1 USD is 1000000"));
            }
            let is_known = self.exchange().clearinghouses() > *clearinghouse;
            if !is_known {
                return Err(invalid_input("clearinghouse", *clearinghouse, "one of the venue's", ""));
            }
        }
        let opened = self.blocks.act(
            |exchange, _, _| -> Result<AccountId> {
                let account = exchange.open_account(AccountKind::Trader { deposit: 0, fees })?;
                exchange.credit_volume(account, volume);
                deposits
                    .iter()
                    .try_for_each(|(clearinghouse, amount)| exchange.deposit(account, *clearinghouse, *amount))?;
                Ok(account)
            },
            &mut |_| {},
        )?;
        let funding = vec![[0; 3]; self.coins.len()];
        self.traders.insert(opened, Trader { orders: OrderHistory::default(), funding });
        Ok(opened)
    }

    /// Refuses an account that was not opened here.
    ///
    /// # Errors
    /// [`hypermm_core::error::Error::InvalidInput`].
    pub fn require_trader(&self, account: AccountId) -> Result<()> {
        if self.traders.contains_key(&account) {
            return Ok(());
        }
        Err(invalid_input("account", account.0, "an account opened at this venue", "see open_account"))
    }

    /// Sends a request; its number.
    ///
    /// # Errors
    /// An unknown account or contract, no item, or a time before the last block.
    pub fn submit(&mut self, now_ns: TimestampNs, request: &Request) -> Result<u64> {
        self.require_trader(request.account)?;
        let assets = self.coins.len() as u32;
        let items: Vec<_> = request.actions.iter().map(item_of).collect();
        if let Some((asset, _)) = items.iter().find(|(asset, _)| asset.0 >= assets) {
            return Err(invalid_input("asset", asset.0, format!("below {assets}"), ""));
        }
        let hold_ns = request.is_fast.then_some(0);
        let number = self.last_request + 1;
        let is_setting = request.actions.iter().any(is_setting);
        match request.actions.iter().find_map(|action| unreadable(action).map(|reason| (action, reason))) {
            Some((action, reason)) => {
                self.require_time(now_ns)?;
                let class = request.actions.iter().map(Action::class).max().unwrap_or(ActionClass::PostOnly);
                let held_ns = if class == ActionClass::Taking { self.settings.taking_hold_ns } else { 0 };
                let due_ns = now_ns.saturating_add(self.settings.order_latency_ns).saturating_add(held_ns);
                let (asset, client_order_id) = item_of(action);
                let answer = Answer::Refused { reason, order_id: None };
                let answer = RequestAnswer {
                    request: number,
                    account: request.account,
                    time_ns: 0,
                    asset: Some(asset),
                    refusal: None,
                    results: vec![ItemResult { asset, client_order_id, answer }],
                };
                let place = self.unread.partition_point(|other| other.due_ns <= due_ns);
                let expires_after_ns = request.expires_after_ns.unwrap_or(TimestampNs::MAX);
                self.unread.insert(place, Unread { due_ns, expires_after_ns, answer });
            }
            None => {
                let expires_ns = request.expires_after_ns;
                let id = self.blocks.submit_held(now_ns, request.account, &request.actions, expires_ns, hold_ns)?;
                let results = Vec::with_capacity(items.len());
                let account = request.account;
                self.sent.insert(id, Sent { request: number, account, items, is_setting, results });
            }
        }
        self.last_request = number;
        Ok(number)
    }

    fn require_time(&self, now_ns: TimestampNs) -> Result<()> {
        if now_ns >= self.last_block_ns {
            return Ok(());
        }
        let expected = format!("at least {}, the time of the last block", self.last_block_ns);
        Err(time_order("now_ns", now_ns, expected, "run blocks only up to the time of what is sent next"))
    }

    /// Runs all blocks up to and including `until_ns`; what happens goes to `events` in order.
    ///
    /// # Errors
    /// A market that leaves the venue's range of prices.
    pub fn advance(&mut self, until_ns: TimestampNs, events: &mut Vec<LoopbackEvent>) -> Result<()> {
        loop {
            let block_ns = self.blocks.next_block().time_ns;
            self.answer_until(until_ns.min(block_ns - 1), events);
            if block_ns > until_ns {
                return Ok(());
            }
            self.run_block(events)?;
        }
    }

    fn run_block(&mut self, events: &mut Vec<LoopbackEvent>) -> Result<()> {
        let time_ns = self.blocks.next_block().time_ns;
        self.actions.clear();
        for coin in &mut self.coins {
            coin.market.act(time_ns, self.blocks.exchange(), &mut self.actions);
        }
        let block = self.blocks.run_block(&self.actions, &mut listener(&mut self.coins, &self.traders, &mut self.told));
        self.last_block_ns = time_ns;
        self.tell(events);
        for row in 0..self.coins.len() {
            let coin = &mut self.coins[row];
            let asset = coin.asset;
            if let Some((oracle, mark)) = coin.new_reference(time_ns, self.blocks.exchange())? {
                let mut sink = listener(&mut self.coins, &self.traders, &mut self.told);
                self.blocks.set_reference(block, asset, oracle, mark, &mut sink)?;
                drop(sink);
                self.tell(events);
            }
            let coin = &mut self.coins[row];
            coin.sample(time_ns, self.blocks.exchange());
            if let Some((rate, premium)) = coin.settle(time_ns) {
                let mut sink = listener(&mut self.coins, &self.traders, &mut self.told);
                self.blocks.settle_funding(block, asset, rate, &mut sink)?;
                drop(sink);
                events.push(LoopbackEvent::Settlement(Settlement { asset, time_ns, rate, premium }));
                self.tell(events);
            }
            self.coins[row].end_block(time_ns);
        }
        // Whoever listens here hears of everything at once.
        while self.blocks.next_notice(TimestampNs::MAX).is_some() {}
        while let Some(unread) = self.unread.front()
            && unread.due_ns <= time_ns
            && let Some(Unread { mut answer, expires_after_ns, .. }) = self.unread.pop_front()
        {
            if time_ns > expires_after_ns {
                answer.refusal = Some(Refusal::Expired);
                answer.results.clear();
            }
            answer.time_ns = time_ns + self.settings.answer_latency_ns;
            self.refused.push_back(answer);
        }
        self.answer_until(time_ns, events);
        for coin in &mut self.coins {
            let exchange = self.blocks.exchange();
            let best = exchange.best(coin.asset);
            if best != coin.best {
                coin.best = best;
                let [bid, ask] = best_levels(exchange, coin.asset);
                events.push(LoopbackEvent::Best(Best { asset: coin.asset, time_ns, bid, ask }));
            }
        }
        events.push(LoopbackEvent::Block(block));
        Ok(())
    }

    /// Answers that are out by `until_ns`.
    fn answer_until(&mut self, until_ns: TimestampNs, events: &mut Vec<LoopbackEvent>) {
        loop {
            let heard_ns = self.blocks.next_answer_ns().unwrap_or(TimestampNs::MAX);
            if self.refused.front().is_some_and(|answer| answer.time_ns <= until_ns.min(heard_ns)) {
                events.extend(self.refused.pop_front().map(LoopbackEvent::Answer));
                continue;
            }
            let Some(heard) = self.blocks.next_answer(until_ns) else { return };
            let Some(sent) = self.sent.get_mut(&heard.request) else { continue };
            let (asset, client_order_id) = sent.items.get(heard.index).copied().unwrap_or((AssetId(0), None));
            sent.results.push(ItemResult { asset, client_order_id, answer: heard.answer });
            if sent.results.len() < sent.items.len() {
                continue;
            }
            let Some(Sent { request, account, is_setting, mut results, .. }) = self.sent.remove(&heard.request) else {
                continue;
            };
            let refusal = results.first().and_then(|result| match result.answer {
                Answer::Refused { reason, .. } if is_setting || reason.is_of_whole_action() => Some(reason),
                _ => None,
            });
            let asset = results.first().map(|result| result.asset);
            if refusal.is_some() || is_setting {
                results.clear();
            }
            let time_ns = heard.time_ns;
            events.push(LoopbackEvent::Answer(RequestAnswer { request, account, time_ns, asset, refusal, results }));
        }
    }
}

/// The first level of each side.
pub(super) fn best_levels(exchange: &Exchange, asset: AssetId) -> [Option<BookLevel>; 2] {
    let mut levels = Vec::with_capacity(1);
    [Side::Buy, Side::Sell].map(|side| {
        exchange.levels(asset, side, &mut levels, 1);
        levels.first().copied()
    })
}

/// Contract and name of an item.
fn item_of(action: &Action) -> (AssetId, Option<ClientOrderId>) {
    match *action {
        Action::Place(order) | Action::Modify { replacement: order, .. } => (order.asset, order.client_order_id),
        Action::Cancel { asset, .. }
        | Action::UpdateLeverage { asset, .. }
        | Action::UpdateIsolatedMargin { asset, .. } => (asset, None),
        Action::ScheduleCancel { .. } | Action::Noop => (AssetId(0), None),
    }
}

const fn is_setting(action: &Action) -> bool {
    !matches!(action, Action::Place(_) | Action::Modify { .. } | Action::Cancel { .. })
}

/// Why a new order is none: its whole request is refused with that, at its turn, and nothing of it is counted.
fn unreadable(action: &Action) -> Option<Refusal> {
    match action {
        Action::Place(order) if order.price.0 <= 0 => Some(Refusal::InvalidPrice),
        Action::Place(order) if order.size.0 == 0 => Some(Refusal::ZeroSize),
        Action::Place(order) if order.size.0 < 0 || order.size.0 == i64::MAX => Some(Refusal::InvalidSize),
        _ => None,
    }
}
