//! What a quote cycle needs of any venue: our orders as we know them, and the way to place and cancel them.
//!
//! Orders live in slots that are reused; after the first minutes nothing allocates.

use hypermm_core::accounting::ledger::Micros;
use hypermm_core::orders::reconcile::StandingOrder;
use hypermm_core::outcomes::prediction::{Prediction, PredictionTrail};
use hypermm_core::types::{Lots, OrderStatus, Price, Side, TimestampNs};

/// One of our orders, as we know it.
#[derive(Clone, Copy, Debug)]
pub struct VenueOrder {
    /// Counted from 1.
    pub id: u64,
    /// Side.
    pub side: Side,
    /// Limit price.
    pub price: Price,
    /// Level of the ladder it was placed for, 0 = nearest to the mid.
    pub level: u8,
    /// When we sent it.
    pub sent_ns: TimestampNs,
    /// When we sent its cancel.
    pub cancel_sent_ns: Option<TimestampNs>,
    /// Mid when we sent it.
    pub mid_at_placement: f64,
    /// What our quote cycles expected of it.
    pub predictions: PredictionTrail,
    /// As we know it.
    pub status: OrderStatus,
    /// What we know is left.
    pub known_remaining: Lots,
}

/// An order to send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    /// Side.
    pub side: Side,
    /// Limit price.
    pub price: Price,
    /// Lots.
    pub size: Lots,
    /// Level of the ladder.
    pub level: u8,
    /// Mid now.
    pub mid: f64,
}

/// A fill as the venue states it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VenueFill {
    /// Slot of the order.
    pub slot: usize,
    /// Venue time of what filled the order.
    pub exchange_time_ns: TimestampNs,
    /// The print; 0 where the other side of the book came to stand at or through the order's price.
    pub trade_id: u64,
    /// Lots.
    pub size: Lots,
    /// Fee the venue charged, micros; `None` leaves it to the account's own rate.
    pub fee: Option<Micros>,
}

/// What we hear from the venue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Notice {
    /// An order's new status.
    Status(usize, OrderStatus),
    /// A fill.
    Fill(VenueFill),
    /// A funding payment, where the venue settles our account itself.
    Funding {
        /// What we paid, micros, negative = received.
        paid: Micros,
        /// What one long contract paid, quote currency.
        per_contract: f64,
    },
}

/// Requests sent and refused so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestCounts {
    /// Orders sent.
    pub placed: u64,
    /// Cancels sent.
    pub canceled: u64,
    /// Orders the venue refused.
    pub rejected: u64,
}

/// Places and cancels our orders and says what became of them.
pub trait OrderGateway {
    /// Whether the venue settles our funding itself; else the account does by the contexts it sees.
    const SETTLES_FUNDING: bool = false;

    /// Sends a post-only order; answers its slot.
    fn place(&mut self, now_ns: TimestampNs, placement: &Placement) -> usize;

    /// Sends a cancel.
    fn cancel(&mut self, now_ns: TimestampNs, slot: usize);

    /// Ends a quote cycle: what was sent since the last is one message.
    fn flush(&mut self, _now_ns: TimestampNs) {}

    /// The order in a slot handed out by a notice or a placement.
    fn order(&self, slot: usize) -> &VenueOrder;

    /// Writes our orders not known to be dead into `standing`, oldest first.
    fn write_standing(&self, standing: &mut Vec<StandingOrder>);

    /// Notes what a quote cycle expects of an order.
    fn note_prediction(&mut self, slot: usize, prediction: Prediction);

    /// The next thing we hear by `until_ns`, with the time we hear it; our knowledge of the order is brought up to
    /// date. The slot of an order that ended stays readable until the next placement.
    fn next_notice(&mut self, until_ns: TimestampNs) -> Option<(TimestampNs, Notice)>;

    /// Position the venue has given us since the start, whether we have heard of it or not.
    fn position(&self) -> Lots;

    /// Requests so far.
    fn counts(&self) -> RequestCounts;
}

/// Our orders in slots, each with what its venue keeps beside it.
#[derive(Clone, Debug)]
pub struct OrderSlots<T> {
    slots: Vec<(VenueOrder, T)>,
    free: Vec<usize>,
    /// Slots of orders not known to be dead, oldest first.
    live: Vec<usize>,
    next_id: u64,
    counts: RequestCounts,
    /// By the fills we have heard of, lots.
    known_position: i64,
}

impl<T> Default for OrderSlots<T> {
    fn default() -> Self {
        Self {
            slots: Vec::with_capacity(128),
            free: Vec::with_capacity(128),
            live: Vec::with_capacity(128),
            next_id: 1,
            counts: RequestCounts::default(),
            known_position: 0,
        }
    }
}

impl<T> OrderSlots<T> {
    /// A new order of ours, sent now.
    pub fn open(&mut self, now_ns: TimestampNs, placement: &Placement, beside: T) -> usize {
        let order = VenueOrder {
            id: self.next_id,
            side: placement.side,
            price: placement.price,
            level: placement.level,
            sent_ns: now_ns,
            cancel_sent_ns: None,
            mid_at_placement: placement.mid,
            predictions: PredictionTrail::default(),
            status: OrderStatus::Pending,
            known_remaining: placement.size,
        };
        self.next_id += 1;
        self.counts.placed += 1;
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot] = (order, beside);
                slot
            }
            None => {
                self.slots.push((order, beside));
                self.slots.len() - 1
            }
        };
        self.live.push(slot);
        slot
    }

    /// An order the venue sent in our name, as a liquidation is: it rests nowhere and only fills.
    pub fn adopt(&mut self, now_ns: TimestampNs, placement: &Placement, beside: T) -> usize {
        let slot = self.open(now_ns, placement, beside);
        self.counts.placed -= 1;
        slot
    }

    /// A cancel of ours is on its way.
    pub fn cancel(&mut self, now_ns: TimestampNs, slot: usize) {
        let order = &mut self.slots[slot].0;
        order.status = OrderStatus::CancelPending;
        order.cancel_sent_ns.get_or_insert(now_ns);
        self.counts.canceled += 1;
    }

    /// The venue did not take a cancel of ours: the order stands as before.
    pub fn cancel_refused(&mut self, slot: usize) {
        let order = &mut self.slots[slot].0;
        order.status = OrderStatus::Open;
        order.cancel_sent_ns = None;
    }

    /// The venue refused an order of ours.
    pub fn count_rejected(&mut self) {
        self.counts.rejected += 1;
    }

    /// Requests so far.
    #[must_use]
    pub fn counts(&self) -> RequestCounts {
        self.counts
    }

    /// The order in a slot.
    #[inline]
    #[must_use]
    pub fn order(&self, slot: usize) -> &VenueOrder {
        &self.slots[slot].0
    }

    /// Orders not known to be dead, oldest first.
    pub fn live(&self) -> impl Iterator<Item = &VenueOrder> {
        self.live.iter().map(|&slot| &self.slots[slot].0)
    }

    /// What the venue keeps beside the order.
    #[inline]
    #[must_use]
    pub fn beside(&self, slot: usize) -> &T {
        &self.slots[slot].1
    }

    /// What the venue keeps beside the order.
    #[inline]
    #[must_use]
    pub fn beside_mut(&mut self, slot: usize) -> &mut T {
        &mut self.slots[slot].1
    }

    /// Whether an order is the first level of the side that reduces the position we know of.
    pub(super) fn leads_out(&self, placement: &Placement) -> bool {
        placement.level == 0
            && match placement.side {
                Side::Buy => self.known_position < 0,
                Side::Sell => self.known_position > 0,
            }
    }

    /// As [`OrderGateway::write_standing`].
    pub fn write_standing(&self, standing: &mut Vec<StandingOrder>) {
        standing.clear();
        standing.extend(self.live.iter().map(|&slot| {
            let order = &self.slots[slot].0;
            StandingOrder {
                slot,
                side: order.side,
                price: order.price,
                remaining: order.known_remaining,
                status: order.status,
            }
        }));
    }

    /// As [`OrderGateway::note_prediction`].
    pub fn note_prediction(&mut self, slot: usize, prediction: Prediction) {
        if let Some((order, _)) = self.slots.get_mut(slot) {
            order.predictions.push(prediction);
        }
    }

    /// Brings what we know of an order, and of our position, up to date.
    #[inline]
    pub fn hear(&mut self, notice: &Notice) {
        let (slot, is_over) = match *notice {
            Notice::Funding { .. } => return,
            Notice::Status(slot, status) => {
                let order = &mut self.slots[slot].0;
                // An order being canceled stays so when its late acknowledgement comes.
                if !(status == OrderStatus::Open && order.status == OrderStatus::CancelPending) {
                    order.status = status;
                }
                (slot, status.is_dead())
            }
            Notice::Fill(fill) => {
                let order = &mut self.slots[fill.slot].0;
                order.known_remaining.0 -= fill.size.0;
                self.known_position += if order.side == Side::Buy { fill.size.0 } else { -fill.size.0 };
                if order.known_remaining.0 == 0 {
                    order.status = OrderStatus::Filled;
                }
                (fill.slot, order.known_remaining.0 == 0)
            }
        };
        if is_over && let Some(place) = self.live.iter().position(|live| *live == slot) {
            self.live.remove(place);
            self.free.push(slot);
        }
    }
}
