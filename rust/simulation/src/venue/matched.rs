//! Our account at the matching venue, as a quote cycle sees it.
//!
//! A cycle sends the first level of the side that reduces the position, then its cancels, then the other placements, each as
//! one batch: a position is not without a way out while the ladder moves, and no more than that is there twice. Orders are named by us, so that a cancel needs no
//! acknowledgement of what it cancels. What the venue does in our name, as a liquidation does, is adopted as an order.

use hypermm_core::error::Result;
use hypermm_core::instrument::Instrument;
use hypermm_core::orders::reconcile::StandingOrder;
use hypermm_core::outcomes::prediction::Prediction;
use hypermm_core::types::{Lots, OrderStatus, TimestampNs};

use super::blocks::BlockVenue;
use super::connections::{ReceivedAnswer, ReceivedNotice, RequestId};
use super::gateway::{Notice, OrderGateway, OrderSlots, Placement, RequestCounts, VenueFill, VenueOrder};
use super::matching::order::{
    AccountId, Action, Answer, AssetId, ClientOrderId, NewOrder, OrderReference, OrderState, Refusal, TimeInForce,
    Trade, TradeLeg, VenueEvent,
};

const SLOT_BITS: u32 = 32;

/// A batch whose answers are not all heard.
#[derive(Debug, Default)]
struct Sent {
    request: Option<RequestId>,
    is_cancel: bool,
    /// Slot and order of each action.
    orders: Vec<(usize, u64)>,
    heard: usize,
}

/// The matching venue, with our account in one of its contracts.
#[derive(Debug)]
pub struct MatchedVenue {
    /// The venue.
    pub blocks: BlockVenue,
    account: AccountId,
    asset: AssetId,
    instrument: Instrument,
    orders: OrderSlots<()>,
    cancels: Sent,
    placements: Sent,
    /// The first level of the side that reduces the position.
    reducing: Sent,
    actions: Vec<Action>,
    sent: Vec<Sent>,
    free: Vec<Sent>,
    /// The last thing the venue could not take: a bug of ours, told at the end of the run.
    failure: Option<hypermm_core::error::Error>,
}

impl MatchedVenue {
    /// Our `account` trades `asset` at the venue; it hears of its orders from now on.
    #[must_use]
    pub fn new(mut blocks: BlockVenue, account: AccountId, asset: AssetId, instrument: Instrument) -> Self {
        blocks.connect(account);
        Self {
            blocks,
            account,
            asset,
            instrument,
            orders: OrderSlots::default(),
            cancels: Sent { is_cancel: true, ..Sent::default() },
            placements: Sent::default(),
            reducing: Sent::default(),
            actions: Vec::with_capacity(64),
            sent: Vec::with_capacity(16),
            free: Vec::with_capacity(16),
            failure: None,
        }
    }

    /// Whose orders these are.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// What stands at the venue or is on its way there or may still fill by what we know, by side, lots.
    #[must_use]
    pub fn exposed(&self) -> [Lots; 2] {
        let mut lots = [0, 0];
        for order in self.orders.live() {
            lots[order.side.index()] += order.known_remaining.0;
        }
        lots.map(Lots)
    }

    /// The first failure of a run, if there was one.
    ///
    /// # Errors
    /// What the venue refused to take from us as a message.
    pub fn check(&mut self) -> Result<()> {
        self.failure.take().map_or(Ok(()), Err)
    }

    fn name(&self, slot: usize) -> ClientOrderId {
        ClientOrderId::from(self.orders.order(slot).id) << SLOT_BITS | slot as ClientOrderId
    }

    /// The slot of a name, while the order in it is still that one.
    fn slot(&self, name: Option<ClientOrderId>) -> Option<usize> {
        let name = name?;
        let slot = (name & ((1 << SLOT_BITS) - 1)) as usize;
        (ClientOrderId::from(self.orders.order(slot).id) == name >> SLOT_BITS).then_some(slot)
    }

    /// Sends the batch in `actions`.
    fn send(&mut self, now_ns: TimestampNs, mut batch: Sent) -> Sent {
        match self.blocks.submit(now_ns, self.account, &self.actions, None) {
            Ok(request) => batch.request = Some(request),
            Err(error) => {
                self.failure.get_or_insert(error);
            }
        }
        let next = self.free.pop().unwrap_or_default();
        let is_cancel = batch.is_cancel;
        self.sent.push(batch);
        Sent { is_cancel, ..next }
    }

    /// Sends a batch of placements, if there are any; gives the batch to fill next.
    fn send_placements(&mut self, now_ns: TimestampNs, batch: Sent) -> Sent {
        if batch.orders.is_empty() {
            return batch;
        }
        self.actions.clear();
        for (slot, _) in &batch.orders {
            let order = self.orders.order(*slot);
            self.actions.push(Action::Place(NewOrder {
                asset: self.asset,
                side: order.side,
                price: order.price,
                size: order.known_remaining,
                time_in_force: TimeInForce::PostOnly,
                reduce_only: false,
                client_order_id: Some(self.name(*slot)),
            }));
        }
        self.send(now_ns, batch)
    }

    /// What an answer says that no notice does: the venue did not look at the action at all.
    fn hear_answer(&mut self, received: &ReceivedAnswer) -> Option<Notice> {
        let place = self.sent.iter().position(|sent| sent.request == Some(received.request))?;
        let sent = &mut self.sent[place];
        let (slot, id) = *sent.orders.get(received.index)?;
        let is_cancel = sent.is_cancel;
        sent.heard += 1;
        if sent.heard == sent.orders.len() {
            let mut done = self.sent.swap_remove(place);
            done.orders.clear();
            self.free.push(Sent { request: None, heard: 0, ..done });
        }
        match received.answer {
            Answer::Refused { reason: Refusal::MissingOrder, .. } if is_cancel => None,
            Answer::Refused { order_id: None, .. } if self.orders.order(slot).id == id => {
                if is_cancel {
                    // A fill may have ended it before the refusal was heard.
                    if self.orders.order(slot).status.is_dead() {
                        return None;
                    }
                    self.orders.cancel_refused(slot);
                    return Some(Notice::Status(slot, OrderStatus::Open));
                }
                self.orders.count_rejected();
                Some(Notice::Status(slot, OrderStatus::Rejected))
            }
            _ => None,
        }
    }

    fn understand(&mut self, received: &ReceivedNotice) -> Option<Notice> {
        match received.event {
            VenueEvent::Order(change) if change.account == self.account => {
                let status = match change.state {
                    OrderState::Open => OrderStatus::Open,
                    // Its trades say so.
                    OrderState::Filled => return None,
                    OrderState::Rejected(_) => OrderStatus::Rejected,
                    OrderState::Canceled
                    | OrderState::SelfTradeCanceled
                    | OrderState::ReduceOnlyCanceled
                    | OrderState::MarginCanceled
                    | OrderState::LiquidatedCanceled
                    | OrderState::ScheduledCancel
                    | OrderState::DelistedCanceled
                    | OrderState::ImmediateCanceled => OrderStatus::Canceled,
                };
                let slot = self.slot(change.order.client_order_id)?;
                if status == OrderStatus::Rejected {
                    self.orders.count_rejected();
                }
                Some(Notice::Status(slot, status))
            }
            VenueEvent::Trade(trade) if trade.asset == self.asset => {
                let ours: &TradeLeg = if trade.maker.account == self.account {
                    &trade.maker
                } else if trade.taker.account == self.account {
                    &trade.taker
                } else {
                    return None;
                };
                let slot = match self.slot(ours.client_order_id) {
                    Some(slot) => slot,
                    None => self.adopt(received.time_ns, &trade),
                };
                Some(Notice::Fill(VenueFill {
                    slot,
                    exchange_time_ns: trade.time_ns,
                    trade_id: trade.trade_id,
                    size: trade.size,
                    fee: Some(ours.fee),
                }))
            }
            VenueEvent::Funding(payment) if payment.account == self.account && payment.asset == self.asset => {
                // Per contract at the oracle the payment was made at.
                let contracts = self.instrument.lots_to_f64(payment.position);
                let per_contract = payment.paid as f64 * 1e-6 / contracts;
                Some(Notice::Funding { paid: payment.paid, per_contract })
            }
            _ => None,
        }
    }

    fn adopt(&mut self, now_ns: TimestampNs, trade: &Trade) -> usize {
        let side = if trade.taker.account == self.account { trade.aggressor } else { trade.aggressor.opposite() };
        let price = self.instrument.price_to_f64(trade.price);
        let placement = Placement { side, price: trade.price, size: trade.size, level: 0, mid: price };
        self.orders.adopt(now_ns, &placement, ())
    }
}

impl OrderGateway for MatchedVenue {
    const SETTLES_FUNDING: bool = true;

    fn place(&mut self, now_ns: TimestampNs, placement: &Placement) -> usize {
        let slot = self.orders.open(now_ns, placement, ());
        let batch = if self.orders.leads_out(placement) { &mut self.reducing } else { &mut self.placements };
        batch.orders.push((slot, self.orders.order(slot).id));
        slot
    }

    fn cancel(&mut self, now_ns: TimestampNs, slot: usize) {
        self.orders.cancel(now_ns, slot);
        self.cancels.orders.push((slot, self.orders.order(slot).id));
    }

    fn flush(&mut self, now_ns: TimestampNs) {
        let reducing = std::mem::take(&mut self.reducing);
        self.reducing = self.send_placements(now_ns, reducing);
        if !self.cancels.orders.is_empty() {
            let batch = std::mem::take(&mut self.cancels);
            self.actions.clear();
            for (slot, _) in &batch.orders {
                let order = OrderReference::Client(self.name(*slot));
                self.actions.push(Action::Cancel { asset: self.asset, order });
            }
            self.cancels = self.send(now_ns, batch);
        }
        let placements = std::mem::take(&mut self.placements);
        self.placements = self.send_placements(now_ns, placements);
    }

    #[inline]
    fn order(&self, slot: usize) -> &VenueOrder {
        self.orders.order(slot)
    }

    fn write_standing(&self, standing: &mut Vec<StandingOrder>) {
        self.orders.write_standing(standing);
    }

    fn note_prediction(&mut self, slot: usize, prediction: Prediction) {
        self.orders.note_prediction(slot, prediction);
    }

    #[inline]
    fn next_notice(&mut self, until_ns: TimestampNs) -> Option<(TimestampNs, Notice)> {
        loop {
            let notice_ns = self.blocks.next_notice_ns().unwrap_or(TimestampNs::MAX);
            let answer_ns = self.blocks.next_answer_ns().unwrap_or(TimestampNs::MAX);
            let (time_ns, notice) = if answer_ns < notice_ns {
                let received = self.blocks.next_answer(until_ns)?;
                (received.time_ns, self.hear_answer(&received))
            } else {
                let received = self.blocks.next_notice(until_ns)?;
                (received.time_ns, self.understand(&received))
            };
            if let Some(notice) = notice {
                self.orders.hear(&notice);
                return Some((time_ns, notice));
            }
        }
    }

    fn position(&self) -> Lots {
        let position = self.blocks.exchange().position(self.account, self.asset);
        position.map_or(Lots(0), |position| position.size)
    }

    fn counts(&self) -> RequestCounts {
        self.orders.counts()
    }
}
