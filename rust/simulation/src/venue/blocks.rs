//! Time at the matching venue: blocks, what waits for them, and what comes back.
//!
//! A request sent now reaches the mempool after the order latency. The mempool holds it back by its class: post-only
//! orders and settings not at all, cancels and taking orders as set. The first block at or after arrival + hold
//! executes it. Within a block the class decides the turn (post-only, cancels, taking), within a class the time of
//! arrival + hold; a batch has the class of its last action to come, so one taking order holds back a whole batch. A
//! batch counts as many requests as it has actions; above the account's limit it is refused whole and counts nothing.
//!
//! An account is one connection: its requests never overtake each other on their way to the mempool, and neither do
//! its answers or its notices on their way back. The mempool may let a post-only order overtake a taking one.
//!
//! Background actions have no latency: they are taken to arrive one by one, evenly, since the block before. Nothing
//! that an account sends changes the time of a block or the delay of another's message. Buffers are reused; after the
//! first minutes nothing allocates.

use hypermm_core::accounting::ledger::Mark;
use hypermm_core::error::{Result, invalid_input, time_order};
use hypermm_core::types::TimestampNs;

use super::block_clock::{Block, BlockClock, BlockClockSettings};
use super::connections::{Connections, ReceivedAnswer, ReceivedNotice, RequestId};
use super::latency::LatencyModel;
use super::matching::exchange::Exchange;
use super::matching::order::{AccountId, Action, ActionClass, Answer, AssetId, Refusal, VenueEvent};

const MAX_HOLD_NS: i64 = 10_000_000_000;
/// An action that comes too late counts as so many requests (protocol sheet, 2.6).
const EXPIRED_COST: u64 = 5;

/// Time around the exchange.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockSettings {
    /// Blocks.
    pub clock: BlockClockSettings,
    /// Messages.
    pub latency: LatencyModel,
    /// How long the mempool holds cancels back, ns, 0 to 10 s.
    pub cancel_hold_ns: i64,
    /// How long it holds batches back that can take, ns, 0 to 10 s.
    pub taking_hold_ns: i64,
}

impl Default for BlockSettings {
    /// Fast cancels, which are not held back; 300 ms for taking orders, the difference of the measured medians of IOC
    /// and post-only orders (0.80 s and 0.48–0.53 s; protocol sheet, 10.3, whose slope of the priority fee says 360).
    /// Cancels without the fast flag are held back 300 ms too.
    fn default() -> Self {
        Self {
            clock: BlockClockSettings::default(),
            latency: LatencyModel::default(),
            cancel_hold_ns: 0,
            taking_hold_ns: 300_000_000,
        }
    }
}

impl BlockSettings {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`hypermm_core::error::Error::InvalidInput`] naming the setting.
    pub fn validate(&self) -> Result<()> {
        self.clock.validate()?;
        self.latency.validate()?;
        for (field, value) in [("cancel_hold_ns", self.cancel_hold_ns), ("taking_hold_ns", self.taking_hold_ns)] {
            require_hold(field, value)?;
        }
        Ok(())
    }
}

fn require_hold(field: &'static str, value: i64) -> Result<()> {
    if (0..=MAX_HOLD_NS).contains(&value) {
        return Ok(());
    }
    Err(invalid_input(field, value, "0 to 10000000000 ns", "300 ms is 300000000"))
}

#[derive(Debug)]
struct Request {
    id: RequestId,
    /// Place of its connection, and its number on it.
    connection: usize,
    number: u64,
    class: ActionClass,
    effective_ns: TimestampNs,
    expires_after_ns: TimestampNs,
    actions: Vec<Action>,
}

/// Who takes a turn: a place in the due requests or in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Background(usize),
    Request(RequestId, usize),
}

/// The exchange behind its mempool and its network.
#[derive(Debug)]
pub struct BlockVenue {
    exchange: Exchange,
    hold_ns: [i64; 3],
    clock: BlockClock,
    last_block_ns: TimestampNs,
    connections: Connections,
    next_request: u64,
    waiting: Vec<Request>,
    due: Vec<Request>,
    turns: Vec<(ActionClass, TimestampNs, Turn)>,
    /// Buffers of requests that are done.
    free: Vec<Vec<Action>>,
}

impl BlockVenue {
    /// Nobody is connected and no block has come. Block times and delays follow from `seed`.
    ///
    /// # Errors
    /// As [`BlockSettings::validate`].
    pub fn new(exchange: Exchange, settings: BlockSettings, seed: u64) -> Result<Self> {
        settings.validate()?;
        let hold_ns = [0, settings.cancel_hold_ns, settings.taking_hold_ns];
        let clock = BlockClock::new(settings.clock, seed)?;
        Ok(Self {
            exchange,
            hold_ns,
            last_block_ns: clock.next().time_ns,
            clock,
            connections: Connections::new(settings.latency, seed),
            next_request: 1,
            waiting: Vec::with_capacity(64),
            due: Vec::with_capacity(64),
            turns: Vec::with_capacity(256),
            free: Vec::with_capacity(64),
        })
    }

    /// The exchange.
    #[must_use]
    pub const fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// From now on `account` hears of its orders, fills, funding and liquidations. Sending a request connects too.
    pub fn connect(&mut self, account: AccountId) {
        self.connections.connect(account);
    }

    /// Sends a batch. Its actions are answered one by one, all at one time. A block later than `expires_after_ns`
    /// refuses it whole.
    ///
    /// # Errors
    /// An empty batch; a time before the last block, whose turn is over.
    pub fn submit(
        &mut self,
        now_ns: TimestampNs,
        account: AccountId,
        actions: &[Action],
        expires_after_ns: Option<TimestampNs>,
    ) -> Result<RequestId> {
        self.submit_held(now_ns, account, actions, expires_after_ns, None)
    }

    /// As [`Self::submit`], held back by the mempool for `hold_ns` instead of what its class is; 0 to 10 s.
    ///
    /// # Errors
    /// As [`Self::submit`], and a hold out of range.
    pub fn submit_held(
        &mut self,
        now_ns: TimestampNs,
        account: AccountId,
        actions: &[Action],
        expires_after_ns: Option<TimestampNs>,
        hold_ns: Option<i64>,
    ) -> Result<RequestId> {
        let Some(class) = actions.iter().map(Action::class).max() else {
            return Err(invalid_input("actions", "none", "at least one action", "the venue refuses empty batches"));
        };
        if now_ns < self.last_block_ns {
            let expected = format!("at least {}, the time of the last block", self.last_block_ns);
            return Err(time_order("now_ns", now_ns, expected, "run blocks only up to the time of what is sent next"));
        }
        let hold_ns = hold_ns.unwrap_or(self.hold_ns[class as usize]);
        require_hold("hold_ns", hold_ns)?;
        let connection = self.connections.connect(account);
        let (number, arrival_ns) = self.connections.send(connection, now_ns);
        let id = RequestId(self.next_request);
        self.next_request += 1;
        let mut copy = self.free.pop().unwrap_or_default();
        copy.extend_from_slice(actions);
        self.waiting.push(Request {
            id,
            connection,
            number,
            class,
            effective_ns: arrival_ns.saturating_add(hold_ns),
            expires_after_ns: expires_after_ns.unwrap_or(TimestampNs::MAX),
            actions: copy,
        });
        Ok(id)
    }

    /// The block to come.
    #[inline]
    #[must_use]
    pub const fn next_block(&self) -> Block {
        self.clock.next()
    }

    /// What the venue does of itself in the block to come, ahead of all requests: reference prices, liquidations,
    /// funding. `act` gets the exchange, the block's time and where events go.
    pub fn act<T>(
        &mut self,
        act: impl FnOnce(&mut Exchange, TimestampNs, &mut dyn FnMut(&VenueEvent)) -> T,
        sink: &mut impl FnMut(&VenueEvent),
    ) -> T {
        let (block, connections) = (self.clock.next(), &mut self.connections);
        act(&mut self.exchange, block.time_ns, &mut connections.notifying(block, sink))
    }

    /// Runs the block to come: dead-man switches, then all that is due and what the background does in it, by turns.
    /// `sink` sees every event at once, as the venue does; who acts in the background learns the names of its orders
    /// there.
    pub fn run_block(&mut self, background: &[(AccountId, Action)], sink: &mut impl FnMut(&VenueEvent)) -> Block {
        let block = self.clock.advance();
        self.order_turns(block, background);
        let (exchange, connections) = (&mut self.exchange, &mut self.connections);
        exchange.fire_due_cancels(block.time_ns, &mut connections.notifying(block, sink));
        for (_, _, turn) in &self.turns {
            match *turn {
                Turn::Background(place) => {
                    let (account, action) = &background[place];
                    exchange.execute(block.time_ns, *account, action, &mut connections.notifying(block, sink));
                }
                Turn::Request(_, place) => carry_out(exchange, connections, block, &self.due[place], sink),
            }
        }
        for mut request in self.due.drain(..) {
            request.actions.clear();
            self.free.push(request.actions);
        }
        self.last_block_ns = block.time_ns;
        block
    }

    /// Sets oracle and mark after `block`; whoever that liquidates hears of it.
    ///
    /// # Errors
    /// As [`Exchange::set_reference`].
    pub fn set_reference(
        &mut self,
        block: Block,
        asset: AssetId,
        oracle: Mark,
        mark: Mark,
        sink: &mut impl FnMut(&VenueEvent),
    ) -> Result<()> {
        self.exchange.set_reference(block.time_ns, asset, oracle, mark, &mut self.connections.notifying(block, sink))
    }

    /// Settles funding after `block`.
    ///
    /// # Errors
    /// As [`Exchange::settle_funding`].
    pub fn settle_funding(
        &mut self,
        block: Block,
        asset: AssetId,
        rate: f64,
        sink: &mut impl FnMut(&VenueEvent),
    ) -> Result<()> {
        self.exchange.settle_funding(block.time_ns, asset, rate, &mut self.connections.notifying(block, sink))
    }

    /// Moves the due requests out of the mempool and sorts the turns of the block.
    fn order_turns(&mut self, block: Block, background: &[(AccountId, Action)]) {
        self.turns.clear();
        let mut place = 0;
        while let Some(request) = self.waiting.get(place) {
            if request.effective_ns > block.time_ns {
                place += 1;
                continue;
            }
            self.turns.push((request.class, request.effective_ns, Turn::Request(request.id, self.due.len())));
            self.due.push(self.waiting.swap_remove(place));
        }
        let since_last_ns = block.time_ns - self.last_block_ns;
        let parts = background.len() as i64 + 1;
        self.turns.extend(background.iter().enumerate().map(|(place, (_, action))| {
            let arrival_ns = self.last_block_ns + since_last_ns / parts * (place as i64 + 1);
            (action.class(), arrival_ns, Turn::Background(place))
        }));
        self.turns.sort_unstable();
    }

    /// When the next answer is heard.
    #[must_use]
    pub fn next_answer_ns(&self) -> Option<TimestampNs> {
        self.connections.next_answer().map(|(time_ns, _)| time_ns)
    }

    /// The next answer heard by `until_ns`; at one time, that of the account that connected first.
    pub fn next_answer(&mut self, until_ns: TimestampNs) -> Option<ReceivedAnswer> {
        let (_, place) = self.connections.next_answer().filter(|(time_ns, _)| *time_ns <= until_ns)?;
        self.connections.take_answer(place)
    }

    /// When the next notice is heard.
    #[must_use]
    pub fn next_notice_ns(&self) -> Option<TimestampNs> {
        self.connections.next_notice().map(|(time_ns, _)| time_ns)
    }

    /// The next notice heard by `until_ns`; at one time, that of the account that connected first.
    pub fn next_notice(&mut self, until_ns: TimestampNs) -> Option<ReceivedNotice> {
        let (_, place) = self.connections.next_notice().filter(|(time_ns, _)| *time_ns <= until_ns)?;
        self.connections.take_notice(place)
    }
}

/// Executes a batch, unless it comes too late or is over the quota, and sends its answers.
fn carry_out(
    exchange: &mut Exchange,
    connections: &mut Connections,
    block: Block,
    request: &Request,
    sink: &mut impl FnMut(&VenueEvent),
) {
    let account = connections.account(request.connection);
    let time_ns = connections.answer_ns(request.connection, request.number, block);
    let requests = request.actions.len() as u64;
    let refusal = if block.time_ns > request.expires_after_ns {
        exchange.charge_requests(account, EXPIRED_COST * requests);
        Some(Refusal::Expired)
    } else {
        exchange.count_requests(block.time_ns, account, requests, request.class == ActionClass::Cancel).err()
    };
    for (index, action) in request.actions.iter().enumerate() {
        let answer = match refusal {
            Some(reason) => Answer::Refused { reason, order_id: None },
            None => exchange.execute_counted(block.time_ns, account, action, &mut connections.notifying(block, sink)),
        };
        let heard = ReceivedAnswer { time_ns, account, request: request.id, index, answer };
        connections.answer(request.connection, heard);
    }
}
