//! Connections of accounts to the matching venue: answers and notices on their way back.
//!
//! Each connection is first in, first out: nothing overtakes on it.

use std::collections::VecDeque;

use hypermm_core::types::TimestampNs;

use super::block_clock::Block;
use super::latency::{LatencyDraws, LatencyModel, LatencyStream};
use super::matching::order::{AccountId, Answer, VenueEvent};

/// Name of a request, counted from 1 over all accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// The answer to one action of a request, as the account hears it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReceivedAnswer {
    /// When it is heard, ns.
    pub time_ns: TimestampNs,
    /// Whose request.
    pub account: AccountId,
    /// Which request.
    pub request: RequestId,
    /// Which action of it, from 0.
    pub index: usize,
    /// What the venue says.
    pub answer: Answer,
}

/// A change of an order, a trade, a funding payment or a liquidation, as the account hears of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReceivedNotice {
    /// When it is heard, ns.
    pub time_ns: TimestampNs,
    /// Who hears it: one of the event's accounts.
    pub account: AccountId,
    /// What happened.
    pub event: VenueEvent,
}

/// An account's way to the venue and back.
#[derive(Debug)]
struct Connection {
    account: AccountId,
    sent: u64,
    last_arrival_ns: TimestampNs,
    last_answer_ns: TimestampNs,
    answers: VecDeque<ReceivedAnswer>,
    /// Block of the latest notice, and when that block's notices are heard.
    noticed: Option<(u64, TimestampNs)>,
    notices: VecDeque<ReceivedNotice>,
}

/// The connections, found by the place in which they were made.
#[derive(Debug)]
pub(super) struct Connections {
    latency: LatencyModel,
    draws: LatencyDraws,
    all: Vec<Connection>,
}

impl Connections {
    pub(super) fn new(latency: LatencyModel, seed: u64) -> Self {
        Self { latency, draws: LatencyDraws::new(seed), all: Vec::new() }
    }

    /// Place of the account's connection, made if need be.
    pub(super) fn connect(&mut self, account: AccountId) -> usize {
        let found = self.all.iter().position(|connection| connection.account == account);
        found.unwrap_or_else(|| {
            self.all.push(Connection {
                account,
                sent: 0,
                last_arrival_ns: TimestampNs::MIN,
                last_answer_ns: TimestampNs::MIN,
                answers: VecDeque::with_capacity(64),
                noticed: None,
                notices: VecDeque::with_capacity(64),
            });
            self.all.len() - 1
        })
    }

    pub(super) fn account(&self, place: usize) -> AccountId {
        self.all[place].account
    }

    /// Number of a request sent now, and when it reaches the mempool.
    pub(super) fn send(&mut self, place: usize, now_ns: TimestampNs) -> (u64, TimestampNs) {
        let connection = &mut self.all[place];
        let number = connection.sent;
        let stream = LatencyStream::Order(connection.account.0);
        let delay_ns = self.latency.order.delay_ns(&mut self.draws, stream, number);
        connection.sent += 1;
        connection.last_arrival_ns = connection.last_arrival_ns.max(now_ns.saturating_add(delay_ns));
        (number, connection.last_arrival_ns)
    }

    /// When the answers to request `number` are heard, which `block` gives.
    pub(super) fn answer_ns(&mut self, place: usize, number: u64, block: Block) -> TimestampNs {
        let connection = &mut self.all[place];
        let stream = LatencyStream::Answer(connection.account.0);
        let delay_ns = self.latency.acknowledge.delay_ns(&mut self.draws, stream, number);
        connection.last_answer_ns = connection.last_answer_ns.max(block.time_ns + delay_ns);
        connection.last_answer_ns
    }

    pub(super) fn answer(&mut self, place: usize, answer: ReceivedAnswer) {
        self.all[place].answers.push_back(answer);
    }

    /// Sends an event of `block` to the accounts it concerns; all of one block are heard at one time.
    fn notify(&mut self, block: Block, event: &VenueEvent) {
        for connection in self.all.iter_mut().filter(|connection| concerns(event, connection.account)) {
            let time_ns = match connection.noticed {
                Some((number, time_ns)) if number == block.number => time_ns,
                earlier => {
                    let stream = LatencyStream::Notice(connection.account.0);
                    let delay_ns = self.latency.feed.delay_ns(&mut self.draws, stream, block.number);
                    earlier.map_or(TimestampNs::MIN, |(_, last_ns)| last_ns).max(block.time_ns + delay_ns)
                }
            };
            connection.noticed = Some((block.number, time_ns));
            connection.notices.push_back(ReceivedNotice { time_ns, account: connection.account, event: *event });
        }
    }

    /// Where the events of `block` go: to those they concern, and to `sink`.
    pub(super) fn notifying<'a>(
        &'a mut self,
        block: Block,
        sink: &'a mut impl FnMut(&VenueEvent),
    ) -> impl FnMut(&VenueEvent) + 'a {
        move |event| {
            self.notify(block, event);
            sink(event);
        }
    }

    /// When the next answer is heard, and on which connection; at one time the first made.
    pub(super) fn next_answer(&self) -> Option<(TimestampNs, usize)> {
        self.earliest(|connection| connection.answers.front().map(|answer| answer.time_ns))
    }

    pub(super) fn take_answer(&mut self, place: usize) -> Option<ReceivedAnswer> {
        self.all[place].answers.pop_front()
    }

    /// When the next notice is heard, and on which connection; at one time the first made.
    pub(super) fn next_notice(&self) -> Option<(TimestampNs, usize)> {
        self.earliest(|connection| connection.notices.front().map(|notice| notice.time_ns))
    }

    pub(super) fn take_notice(&mut self, place: usize) -> Option<ReceivedNotice> {
        self.all[place].notices.pop_front()
    }

    fn earliest(&self, time_ns: impl Fn(&Connection) -> Option<TimestampNs>) -> Option<(TimestampNs, usize)> {
        let times = self.all.iter().enumerate();
        times.filter_map(|(place, connection)| time_ns(connection).map(|time_ns| (time_ns, place))).min()
    }
}

fn concerns(event: &VenueEvent, account: AccountId) -> bool {
    match event {
        VenueEvent::Trade(trade) => trade.maker.account == account || trade.taker.account == account,
        VenueEvent::Order(change) => change.account == account,
        VenueEvent::Funding(payment) => payment.account == account,
        VenueEvent::Liquidation { account: named, .. } | VenueEvent::Backstop { account: named, .. } => {
            *named == account
        }
    }
}
