//! What an account sets: the dead-man switch, leverage and margin mode, isolated margin.

use hypermm_core::accounting::ledger::Micros;
use hypermm_core::types::TimestampNs;

use super::book::NONE;
use super::exchange::{Exchange, refused};
use super::margin::value_of;
use super::order::{AccountId, Answer, AssetId, OrderState, Refusal, ScheduleCancelRefusal, VenueEvent};

const DAY_NS: TimestampNs = 86_400_000_000_000;

impl Exchange {
    pub(super) fn schedule_cancel(
        &mut self,
        now_ns: TimestampNs,
        account: AccountId,
        time_ns: Option<TimestampNs>,
    ) -> Answer {
        let rules = self.rules;
        let account = &mut self.accounts[account.0 as usize];
        if let Some(time_ns) = time_ns {
            let required = rules.schedule_cancel_volume;
            let fired = if account.scheduled_day == now_ns.div_euclid(DAY_NS) { account.scheduled_fired } else { 0 };
            let reason = if !account.is_background && account.volume < required {
                Some(ScheduleCancelRefusal::Volume { required, traded: account.volume })
            } else if time_ns < now_ns.saturating_add(rules.schedule_cancel_notice_ns) {
                Some(ScheduleCancelRefusal::TooSoon)
            } else if fired >= rules.schedule_cancels_per_day {
                Some(ScheduleCancelRefusal::TooOften)
            } else {
                None
            };
            if let Some(reason) = reason {
                return refused(Refusal::ScheduleCancel(reason));
            }
        }
        account.scheduled_cancel_ns = time_ns;
        Answer::Done
    }

    /// Cancels everything of the accounts whose dead-man switch is due.
    pub fn fire_due_cancels(&mut self, now_ns: TimestampNs, sink: &mut impl FnMut(&VenueEvent)) {
        for index in 0..self.accounts.len() {
            let account = &mut self.accounts[index];
            if account.scheduled_cancel_ns.is_none_or(|due| due > now_ns) {
                continue;
            }
            account.scheduled_cancel_ns = None;
            let day = now_ns.div_euclid(DAY_NS);
            account.scheduled_fired = if account.scheduled_day == day { account.scheduled_fired + 1 } else { 1 };
            account.scheduled_day = day;
            for asset in 0..self.assets.len() {
                self.remove_all(now_ns, AccountId(index as u32), asset, OrderState::ScheduledCancel, sink);
            }
        }
    }

    /// When the next dead-man switch is due.
    #[must_use]
    pub fn next_due_cancel(&self) -> Option<TimestampNs> {
        self.accounts.iter().filter_map(|account| account.scheduled_cancel_ns).min()
    }

    /// Takes all orders of an account in one contract off the book, oldest first.
    pub(super) fn remove_all(
        &mut self,
        now_ns: TimestampNs,
        account: AccountId,
        asset: usize,
        state: OrderState,
        sink: &mut impl FnMut(&VenueEvent),
    ) {
        loop {
            let slot = self.accounts[account.0 as usize].positions[asset].queue.head;
            if slot == NONE {
                return;
            }
            self.remove(now_ns, slot, state, sink);
        }
    }

    pub(super) fn update_leverage(
        &mut self,
        account: AccountId,
        asset: AssetId,
        is_cross: bool,
        leverage: u32,
    ) -> Answer {
        match self.checked_leverage(account, asset, is_cross, leverage) {
            Err(reason) => refused(reason),
            Ok(moved) => {
                let owner = &mut self.accounts[account.0 as usize];
                let position = &mut owner.positions[asset.0 as usize];
                owner.cash[position.clearinghouse] -= moved;
                position.isolated += moved;
                position.is_cross = is_cross;
                position.leverage = leverage;
                Answer::Done
            }
        }
    }

    /// What must be moved into an isolated position for this leverage.
    fn checked_leverage(
        &self,
        account: AccountId,
        asset: AssetId,
        is_cross: bool,
        leverage: u32,
    ) -> std::result::Result<Micros, Refusal> {
        let index = asset.0 as usize;
        let contract = self.asset(asset).ok_or(Refusal::UnknownAsset)?;
        if leverage == 0 || leverage > contract.settings.instrument.max_leverage() {
            return Err(Refusal::InvalidLeverage);
        }
        if is_cross && contract.settings.isolated_only {
            return Err(Refusal::CrossNotAllowed);
        }
        let owner = &self.accounts[account.0 as usize];
        let position = &owner.positions[index];
        if position.size() == 0 {
            return Ok(0);
        }
        if is_cross != position.is_cross {
            return Err(Refusal::LeverageTypeWithPosition);
        }
        if leverage >= position.leverage || owner.is_background {
            return Ok(0);
        }
        let needed =
            value_of(position.size(), contract.mark_or(hypermm_core::types::Price(0))) / Micros::from(leverage);
        if is_cross {
            let others = self.cross_margin(owner, position.clearinghouse, Some(index));
            return if others.initial + needed <= others.equity { Ok(0) } else { Err(Refusal::LeverageMargin) };
        }
        let missing = (needed - Self::isolated_equity(owner, contract, index)).max(0);
        if missing <= self.cross_margin(owner, position.clearinghouse, None).available().max(0) {
            Ok(missing)
        } else {
            Err(Refusal::LeverageMargin)
        }
    }

    /// Margin may go out of an isolated position as long as initial margin and a tenth of its value stay in.
    pub(super) fn update_isolated_margin(&mut self, account: AccountId, asset: AssetId, amount: Micros) -> Answer {
        let index = asset.0 as usize;
        let Some(contract) = self.asset(asset) else { return refused(Refusal::UnknownAsset) };
        let owner = &self.accounts[account.0 as usize];
        let position = &owner.positions[index];
        if position.is_cross || position.size() == 0 {
            return refused(Refusal::NotIsolated);
        }
        let value = value_of(position.size(), contract.mark_or(hypermm_core::types::Price(0)));
        let stays = (value / Micros::from(position.leverage)).max(value / 10);
        let most = self.cross_margin(owner, position.clearinghouse, None).available().max(0);
        let least = if contract.settings.keeps_isolated_margin {
            0
        } else {
            (stays - Self::isolated_equity(owner, contract, index)).min(0)
        };
        if !owner.is_background && !(least..=most).contains(&amount) {
            return refused(Refusal::Margin);
        }
        let owner = &mut self.accounts[account.0 as usize];
        let position = &mut owner.positions[index];
        owner.cash[position.clearinghouse] -= amount;
        position.isolated += amount;
        Answer::Done
    }
}
