//! What the exchange tells, as traders and everybody see it.

use std::collections::BTreeMap;

use hypermm_core::types::{Lots, Side};

use super::coin::Coin;
use super::event::{Fill, Liquidation, LiquidationMethod, LiquidationOfFill, LoopbackEvent, shown_trade_id};
use super::venue::{LoopbackVenue, Trader};
use crate::venue::matching::order::{AccountId, AssetId, Trade, TradeLeg, VenueEvent};
use crate::venue::matching::rules::BACKSTOP;

impl LoopbackVenue {
    /// Makes of what the exchange told what traders and everybody see.
    pub(super) fn tell(&mut self, events: &mut Vec<LoopbackEvent>) {
        let mut told = std::mem::take(&mut self.told);
        for event in told.drain(..) {
            match event {
                VenueEvent::Trade(trade) => self.tell_trade(&trade, events),
                VenueEvent::Order(change) => {
                    if let Some(trader) = self.traders.get_mut(&change.account) {
                        events.push(LoopbackEvent::Order(trader.orders.change(&change)));
                    }
                }
                VenueEvent::Funding(payment) => {
                    if let Some(trader) = self.traders.get_mut(&payment.account) {
                        trader.funding[payment.asset.0 as usize].iter_mut().for_each(|sum| *sum += payment.paid);
                        events.push(LoopbackEvent::Funding(payment));
                    }
                }
                VenueEvent::Liquidation { time_ns, account, asset, clearinghouse, value, equity } => {
                    let liquidation = Liquidation { account, time_ns, asset, clearinghouse, value, equity };
                    events.push(LoopbackEvent::Liquidation(liquidation));
                }
                VenueEvent::Backstop { time_ns, account, asset, position, price, realized } => {
                    let mark = self.coins[asset.0 as usize].marked;
                    let fill = Fill {
                        account,
                        asset,
                        time_ns,
                        price,
                        size: Lots(position.0.abs()),
                        side: if position.0 > 0 { Side::Sell } else { Side::Buy },
                        position_before: position,
                        realized,
                        fee: 0,
                        order_id: 0,
                        client_order_id: None,
                        crossed: true,
                        trade_id: shown_trade_id(time_ns as u64, u64::from(account.0)),
                        taker_order_id: 0,
                        is_cross: self.is_cross(account, asset),
                        liquidation: Some(LiquidationOfFill { account, mark, method: LiquidationMethod::Backstop }),
                    };
                    self.tell_fill(fill, events);
                }
            }
        }
        self.told = told;
    }

    fn tell_trade(&mut self, trade: &Trade, events: &mut Vec<LoopbackEvent>) {
        let coin = &mut self.coins[trade.asset.0 as usize];
        coin.count(trade);
        let liquidation = trade.is_liquidation.then_some(LiquidationOfFill {
            account: trade.taker.account,
            mark: coin.marked,
            method: LiquidationMethod::Market,
        });
        let (buyer, seller) = buyer_and_seller(trade);
        let trade_id = shown_trade_id(buyer.order_id, seller.order_id);
        events.push(LoopbackEvent::Trade(Trade { trade_id, ..*trade }));
        for (leg, side, crossed) in
            [(&trade.taker, trade.aggressor, true), (&trade.maker, trade.aggressor.opposite(), false)]
        {
            if let Some(trader) = self.traders.get_mut(&leg.account) {
                trader.orders.fill(trade.time_ns, leg.order_id, leg.remaining);
                let fill = Fill {
                    account: leg.account,
                    asset: trade.asset,
                    time_ns: trade.time_ns,
                    price: trade.price,
                    size: trade.size,
                    side,
                    position_before: leg.position_before,
                    realized: leg.realized,
                    fee: leg.fee,
                    order_id: leg.order_id,
                    client_order_id: leg.client_order_id,
                    crossed,
                    trade_id,
                    taker_order_id: trade.taker.order_id,
                    is_cross: self.is_cross(leg.account, trade.asset),
                    liquidation,
                };
                self.tell_fill(fill, events);
            }
        }
    }

    fn tell_fill(&mut self, fill: Fill, events: &mut Vec<LoopbackEvent>) {
        if let Some(trader) = self.traders.get_mut(&fill.account) {
            let sums = &mut trader.funding[fill.asset.0 as usize];
            let before = fill.position_before.0;
            let after = before + if fill.side == Side::Buy { fill.size.0 } else { -fill.size.0 };
            if before.signum() != after.signum() {
                sums[1] = 0;
            }
            sums[2] = 0;
            events.push(LoopbackEvent::Fill(fill));
        }
    }

    fn is_cross(&self, account: AccountId, asset: AssetId) -> bool {
        self.exchange().position(account, asset).is_none_or(|position| position.is_cross)
    }
}

/// Where the exchange's events go: markets learn of theirs, what traders or everybody may see is kept.
pub(super) fn listener<'a>(
    coins: &'a mut [Coin],
    traders: &'a BTreeMap<AccountId, Trader>,
    told: &'a mut Vec<VenueEvent>,
) -> impl FnMut(&VenueEvent) + 'a {
    move |event| {
        for coin in coins.iter_mut() {
            coin.market.on_event(event);
        }
        let is_seen = match event {
            VenueEvent::Trade(_) => true,
            VenueEvent::Order(change) => traders.contains_key(&change.account),
            VenueEvent::Funding(payment) => traders.contains_key(&payment.account),
            VenueEvent::Liquidation { account, .. } | VenueEvent::Backstop { account, .. } => *account != BACKSTOP,
        };
        if is_seen {
            told.push(*event);
        }
    }
}

fn buyer_and_seller(trade: &Trade) -> (&TradeLeg, &TradeLeg) {
    match trade.aggressor {
        Side::Buy => (&trade.taker, &trade.maker),
        Side::Sell => (&trade.maker, &trade.taker),
    }
}
