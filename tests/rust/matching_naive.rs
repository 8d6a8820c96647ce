//! The venue's rules once more, over a `Vec` of orders that is searched from end to end: the oracle of
//! `matching_oracle`. It shares no code and no type with the venue; texts and statuses are those of the wire.

use std::collections::BTreeMap;

pub(crate) const SECOND: i64 = 1_000_000_000;
pub(crate) const USD: i128 = 1_000_000;

/// An order as on the wire, its price in increments from the middle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire {
    pub(crate) asset: usize,
    pub(crate) buy: bool,
    pub(crate) ticks: i64,
    pub(crate) off_grid: bool,
    pub(crate) size: i64,
    pub(crate) tif: &'static str,
    pub(crate) reduce_only: bool,
    pub(crate) cloid: Option<u128>,
}

/// Middle price, increment and lots worth about 10 USD of each asset, in units.
pub(crate) const MIDDLE: [i64; 2] = [400_000, 30_000];
pub(crate) const TICK: [i64; 2] = [10, 1];
pub(crate) const TEN_USD: [i64; 2] = [25, 334];
pub(crate) const MIN_NOTIONAL: i128 = 10 * USD;
pub(crate) const DEPOSITS: [i128; 5] = [0, 0, 1_000_000 * USD, 5 * USD, 40 * USD];
/// (taker, maker) in parts of 1e12, per account and asset. Account 2: first tier; 3: rebate, staked; 4: referral.
/// Asset 1 has a deployer's scale of 1 and growth: fees 2 × 0.1, rebates 0.1.
pub(crate) const RATES: [[(i128, i128); 2]; 5] = [
    [(0, 0), (0, 0)],
    [(0, 0), (0, 0)],
    [(450_000_000, 150_000_000), (90_000_000, 30_000_000)],
    [(360_000_000, -20_000_000), (72_000_000, -2_000_000)],
    [(384_000_000, 115_200_000), (76_800_000, 23_040_000)],
];
pub(crate) const CAP_ASSET_1: i128 = 60 * USD;

#[derive(Clone, Debug)]
pub(crate) struct Booked {
    pub(crate) oid: u64,
    pub(crate) user: usize,
    pub(crate) asset: usize,
    pub(crate) buy: bool,
    pub(crate) px: i64,
    pub(crate) sz: i64,
    pub(crate) reduce_only: bool,
    pub(crate) cloid: Option<u128>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fill {
    pub(crate) asset: usize,
    pub(crate) px: i64,
    pub(crate) sz: i64,
    pub(crate) taker_buys: bool,
    pub(crate) maker: (usize, u64),
    pub(crate) taker: (usize, u64),
    pub(crate) maker_fee: i128,
    pub(crate) taker_fee: i128,
    pub(crate) maker_start: i64,
    pub(crate) taker_start: i64,
    pub(crate) left: (i64, i64),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    Resting(u64),
    Filled(u64, i64, i128),
    Fine,
    Error(&'static str, Option<u64>),
}

#[derive(Default)]
pub(crate) struct Oracle {
    pub(crate) now: i64,
    /// In the order in which they came to rest.
    pub(crate) book: Vec<Booked>,
    pub(crate) fills: Vec<Fill>,
    pub(crate) funding: Vec<(usize, usize, i128)>,
    /// (oid, status, what was left) of every order that was opened, changed by the venue, or died.
    pub(crate) statuses: Vec<(u64, &'static str, i64)>,
    pub(crate) oid: u64,
    pub(crate) half_marks: [i64; 2],
    pub(crate) leverage: BTreeMap<(usize, usize), i128>,
    pub(crate) sent: [i128; 5],
    pub(crate) last_sent: [Option<i64>; 5],
    pub(crate) switch: [Option<i64>; 5],
    pub(crate) fired: Vec<(usize, i64)>,
}

pub(crate) const NUMBERS: [&str; 3] =
    ["Order has invalid price.", "Order has zero size.", "Order price cannot be more than 95% away"];

impl Oracle {
    pub(crate) fn position(&self, user: usize, asset: usize) -> i64 {
        self.fills
            .iter()
            .filter(|fill| fill.asset == asset)
            .map(|fill| {
                let taker = if fill.taker_buys { fill.sz } else { -fill.sz };
                i64::from(fill.taker.0 == user) * taker - i64::from(fill.maker.0 == user) * taker
            })
            .sum()
    }

    pub(crate) fn cash(&self, user: usize) -> i128 {
        let mut cash = DEPOSITS[user];
        for fill in &self.fills {
            let cost = i128::from(fill.px) * i128::from(fill.sz) * if fill.taker_buys { 1 } else { -1 };
            if fill.taker.0 == user {
                cash -= cost + fill.taker_fee;
            }
            if fill.maker.0 == user {
                cash += cost - fill.maker_fee;
            }
        }
        cash - self.funding.iter().filter(|paid| paid.0 == user).map(|paid| paid.2).sum::<i128>()
    }

    pub(crate) fn volume(&self, user: usize) -> i128 {
        let of = |fill: &Fill| i128::from(fill.px) * i128::from(fill.sz) / if fill.asset == 1 { 10 } else { 1 };
        self.fills.iter().filter(|fill| fill.maker.0 == user || fill.taker.0 == user).map(of).sum()
    }

    pub(crate) fn leverage(&self, user: usize, asset: usize) -> i128 {
        self.leverage.get(&(user, asset)).copied().unwrap_or([20, 10][asset])
    }

    /// Account value less the initial margin of all positions, had `asset` this position and had `lost` been lost.
    pub(crate) fn headroom(&self, user: usize, asset: usize, position: i64, lost: i128) -> i128 {
        let mut doubled = 2 * self.cash(user);
        let mut needed = 0;
        for at in 0..2 {
            let held = self.position(user, at);
            doubled += i128::from(held) * i128::from(self.half_marks[at]);
            let size = if at == asset { position } else { held };
            let value = i128::from(size.abs()) * i128::from(self.half_marks[at]) / 2;
            needed += value / self.leverage(user, at);
        }
        doubled.div_euclid(2) - lost - needed
    }

    pub(crate) fn opens(&self, user: usize, asset: usize, buy: bool, sz: i64) -> bool {
        let held = self.position(user, asset);
        let after = held + if buy { sz } else { -sz };
        after.abs() > held.abs() || held.signum() * after.signum() < 0
    }

    pub(crate) fn can_reduce(&self, user: usize, asset: usize, buy: bool) -> i64 {
        let held = self.position(user, asset);
        if buy { (-held).max(0) } else { held.max(0) }
    }

    pub(crate) fn die(&mut self, index: usize, status: &'static str) {
        let gone = self.book.remove(index);
        self.statuses.push((gone.oid, status, gone.sz));
    }

    pub(crate) fn opposite_best(&self, asset: usize, buy: bool) -> Option<usize> {
        let mut best: Option<usize> = None;
        for (index, order) in self.book.iter().enumerate() {
            if order.asset == asset && order.buy != buy {
                let better = best
                    .is_none_or(|best| if buy { order.px < self.book[best].px } else { order.px > self.book[best].px });
                if better {
                    best = Some(index);
                }
            }
        }
        best
    }

    pub(crate) fn crossing(&self, asset: usize, buy: bool, px: i64) -> Option<usize> {
        self.opposite_best(asset, buy)
            .filter(|best| if buy { px >= self.book[*best].px } else { px <= self.book[*best].px })
    }

    /// Refusals by the order's own numbers; otherwise the size it is accepted with.
    pub(crate) fn numbers(&self, user: usize, wire: &Wire) -> Result<(i64, i64), &'static str> {
        let px = MIDDLE[wire.asset] + wire.ticks * TICK[wire.asset] + i64::from(wire.off_grid) * TICK[wire.asset] / 2;
        if px <= 0 {
            return Err(NUMBERS[0]);
        }
        if wire.size <= 0 {
            return Err(NUMBERS[1]);
        }
        if 100 * (2 * px - self.half_marks[wire.asset]).abs() > 95 * self.half_marks[wire.asset] {
            return Err(NUMBERS[2]);
        }
        if px % TICK[wire.asset] != 0 {
            return Err("Price must be divisible by tick size.");
        }
        let can = self.can_reduce(user, wire.asset, wire.buy);
        Ok((px, if wire.reduce_only { wire.size.min(can) } else { wire.size }))
    }

    pub(crate) fn too_small(&self, user: usize, wire: &Wire, px: i64, sz: i64) -> bool {
        let closes_all = sz > 0 && sz == self.can_reduce(user, wire.asset, wire.buy);
        i128::from(px) * i128::from(sz) < MIN_NOTIONAL && !closes_all
    }

    pub(crate) fn accept(&self, user: usize, wire: &Wire) -> Result<(i64, i64), &'static str> {
        let (px, sz) = self.numbers(user, wire)?;
        let open = self.book.iter().filter(|order| order.user == user).count() as i128;
        if user > 1 && open >= 5 {
            let limit = (5 + self.volume(user) / (100 * USD)).min(8);
            if wire.reduce_only || (wire.tif != "Ioc" && open >= limit) {
                return Err("Too many open orders");
            }
        }
        if wire.reduce_only && sz == 0 {
            return Err("Reduce only order would increase position.");
        }
        if self.too_small(user, wire, px, sz) {
            return Err("Order must have minimum value of $10.");
        }
        let after = self.position(user, wire.asset) + if wire.buy { sz } else { -sz };
        if user > 1 && self.opens(user, wire.asset, wire.buy, sz) && self.headroom(user, wire.asset, after, 0) < 0 {
            return Err("Insufficient margin to place order.");
        }
        let interest: i64 = (0..5).map(|user| self.position(user, 1).max(0)).sum();
        let capped = i128::from(interest) * i128::from(self.half_marks[1]) >= 2 * CAP_ASSET_1;
        if wire.asset == 1 && capped && sz > self.can_reduce(user, 1, wire.buy) {
            return Err("Cannot increase position when open interest is at cap.");
        }
        if wire.tif == "Alo" && self.crossing(wire.asset, wire.buy, px).is_some() {
            return Err("Post only order would have immediately matched, bbo was ");
        }
        Ok((px, sz))
    }

    pub(crate) fn refuse(&mut self, wire: &Wire, text: &'static str, takes_oid: bool) -> Reply {
        if !takes_oid || NUMBERS.contains(&text) {
            return Reply::Error(text, None);
        }
        self.oid += 1;
        let status = match text {
            "Price must be divisible by tick size." => "tickRejected",
            "Too many open orders" => "tooManyOpenOrdersRejected",
            "Reduce only order would increase position." => "reduceOnlyRejected",
            "Order must have minimum value of $10." => "minTradeNtlRejected",
            "Insufficient margin to place order." => "perpMarginRejected",
            "Cannot increase position when open interest is at cap." => "positionIncreaseAtOpenInterestCapRejected",
            "Order could not immediately match against any resting orders." => "iocCancelRejected",
            _ => "badAloPxRejected",
        };
        self.statuses.push((self.oid, status, wire.size));
        Reply::Error(text, Some(self.oid))
    }

    pub(crate) fn place(&mut self, user: usize, wire: &Wire, takes_oid: bool) -> Reply {
        let (px, mut left) = match self.accept(user, wire) {
            Err(text) => return self.refuse(wire, text, takes_oid),
            Ok(accepted) => accepted,
        };
        let oid = self.oid + 1;
        let (mut filled, mut notional) = (0, 0);
        while left > 0 {
            let Some(best) = self.crossing(wire.asset, wire.buy, px) else { break };
            let maker = self.book[best].clone();
            if maker.user == user {
                self.die(best, "selfTradeCanceled");
                continue;
            }
            let sz = left.min(maker.sz);
            let held = self.position(maker.user, maker.asset);
            let signed = if maker.buy { sz } else { -sz };
            let lost = i128::from(signed) * i128::from(2 * maker.px - self.half_marks[maker.asset]) / 2;
            if maker.user > 1
                && self.opens(maker.user, maker.asset, maker.buy, sz)
                && self.headroom(maker.user, maker.asset, held + signed, lost) < 0
            {
                self.die(best, "marginCanceled");
                continue;
            }
            if filled == 0 {
                self.statuses.push((oid, "open", left));
            }
            left -= sz;
            filled += sz;
            let worth = i128::from(sz) * i128::from(maker.px);
            notional += worth;
            self.book[best].sz -= sz;
            let fee = |rate: i128| worth * rate / 1_000_000_000_000;
            let fill = Fill {
                asset: wire.asset,
                px: maker.px,
                sz,
                taker_buys: wire.buy,
                maker: (maker.user, maker.oid),
                taker: (user, oid),
                maker_fee: fee(RATES[maker.user][wire.asset].1),
                taker_fee: fee(RATES[user][wire.asset].0),
                maker_start: held,
                taker_start: self.position(user, wire.asset),
                left: (maker.sz - sz, left),
            };
            self.fills.push(fill);
            if self.book[best].sz == 0 {
                self.die(best, "filled");
            }
            self.shrink_reduce_only(maker.user, wire.asset);
            self.shrink_reduce_only(user, wire.asset);
        }
        if filled == 0 && wire.tif == "Ioc" {
            let text = "Order could not immediately match against any resting orders.";
            return self.refuse(wire, text, takes_oid);
        }
        self.oid = oid;
        if left == 0 {
            self.statuses.push((oid, "filled", 0));
        } else if wire.tif == "Ioc" {
            self.statuses.push((oid, "canceled", left));
        } else {
            let Wire { asset, buy, reduce_only, cloid, .. } = *wire;
            self.book.push(Booked { oid, user, asset, buy, px, sz: left, reduce_only, cloid });
            if filled == 0 {
                self.statuses.push((oid, "open", left));
                return Reply::Resting(oid);
            }
        }
        Reply::Filled(oid, filled, notional)
    }

    pub(crate) fn shrink_reduce_only(&mut self, user: usize, asset: usize) {
        let mut index = 0;
        while index < self.book.len() {
            let order = &self.book[index];
            if order.user == user && order.asset == asset && order.reduce_only {
                let can = self.can_reduce(user, asset, order.buy);
                if can == 0 {
                    self.die(index, "reduceOnlyCanceled");
                    continue;
                }
                if self.book[index].sz > can {
                    self.book[index].sz = can;
                    self.statuses.push((self.book[index].oid, "open", can));
                }
            }
            index += 1;
        }
    }

    /// An order of the user by its name; of two with one cloid the newer.
    pub(crate) fn find(&self, user: usize, oid: Option<u64>, cloid: Option<u128>) -> Option<usize> {
        self.book.iter().rposition(|order| {
            order.user == user && if cloid.is_some() { order.cloid == cloid } else { Some(order.oid) == oid }
        })
    }

    pub(crate) fn modify(&mut self, user: usize, found: Option<usize>, wire: &Wire, always: bool) -> Reply {
        let mut wire = *wire;
        let Some(index) = found else {
            return if always {
                self.place(user, &wire, false)
            } else {
                Reply::Error("Cannot modify canceled or filled order", None)
            };
        };
        let old = &self.book[index];
        let of_a_kind = old.asset == wire.asset && old.buy == wire.buy && wire.tif != "Ioc";
        let valid = self.numbers(user, &wire).is_ok_and(|(px, sz)| sz > 0 && !self.too_small(user, &wire, px, sz));
        if !valid || !(always || of_a_kind) {
            return Reply::Error("Attempted to modify to invalid new order", None);
        }
        self.die(index, "canceled");
        if !always {
            wire.tif = "Alo";
        }
        self.place(user, &wire, false)
    }

    /// One request, unless the address has none left.
    pub(crate) fn spend(&mut self, user: usize, is_cancel: bool) -> Result<(), Reply> {
        let limit = 15 + self.volume(user) / USD;
        let limit = if is_cancel { (limit + 4).min(2 * limit) } else { limit };
        let waited = self.last_sent[user].is_none_or(|last| self.now - last >= 10 * SECOND);
        if user > 1 && self.sent[user] >= limit && !waited {
            return Err(Reply::Error("Too many cumulative requests sent (", None));
        }
        self.sent[user] += 1;
        self.last_sent[user] = Some(self.now);
        Ok(())
    }

    pub(crate) fn schedule(&mut self, user: usize, after_s: Option<i64>) -> Reply {
        let day = 86_400 * SECOND;
        if let Some(after_s) = after_s {
            if user > 1 && self.volume(user) < 60 * USD {
                return Reply::Error(
                    "Cannot set scheduled cancel time until enough volume traded. Required: $60.",
                    None,
                );
            }
            if after_s < 5 {
                return Reply::Error("Scheduled cancel time too early", None);
            }
            let today = |fired: &&(usize, i64)| fired.0 == user && fired.1 / day == self.now / day;
            if self.fired.iter().filter(today).count() >= 2 {
                return Reply::Error("Too many scheduled cancels triggered for the day.", None);
            }
        }
        self.switch[user] = after_s.map(|after_s| self.now + after_s * SECOND);
        Reply::Fine
    }

    pub(crate) fn fire(&mut self) {
        for user in 0..5 {
            if self.switch[user].is_some_and(|due| due <= self.now) {
                self.switch[user] = None;
                self.fired.push((user, self.now));
                for asset in 0..2 {
                    while let Some(index) =
                        self.book.iter().position(|order| order.user == user && order.asset == asset)
                    {
                        self.die(index, "scheduledCancel");
                    }
                }
            }
        }
    }

    pub(crate) fn set_leverage(&mut self, user: usize, asset: usize, leverage: u32) -> Reply {
        if leverage == 0 || leverage > [25, 10][asset] {
            return Reply::Error("Invalid leverage value", None);
        }
        let held = self.position(user, asset);
        let old = self.leverage(user, asset);
        self.leverage.insert((user, asset), i128::from(leverage));
        if held != 0 && i128::from(leverage) < old && user > 1 && self.headroom(user, asset, held, 0) < 0 {
            self.leverage.insert((user, asset), old);
            return Reply::Error(
                "Cross/Isolated position does not have sufficient margin available to decrease leverage.",
                None,
            );
        }
        Reply::Fine
    }
}
