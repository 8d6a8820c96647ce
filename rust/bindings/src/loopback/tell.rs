//! What a loopback venue tells, from its own numbers to objects of text.

use hypermm_core::accounting::ledger::Micros;
use hypermm_simulation::venue::loopback::coin::Impact;
use hypermm_simulation::venue::loopback::event::{
    Fill, ItemResult, LiquidationMethod, LoopbackEvent, OrderRecord, RequestAnswer, transaction,
};
use hypermm_simulation::venue::loopback::view::{CoinContext, HeldAccount, HeldPosition};
use hypermm_simulation::venue::matching::AccountView;
use hypermm_simulation::venue::matching::exchange::BookLevel;
use hypermm_simulation::venue::matching::order::{Answer, AssetId, ClientOrderId, Trade};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::coin::Label;
use super::decimal::{decimal, rounded};
use super::request::time_in_force_name;
use super::values::{
    Level, PyVenueAccount, PyVenueAnswer, PyVenueBest, PyVenueBlock, PyVenueContext, PyVenueFill, PyVenueFunding,
    PyVenueLiquidation, PyVenueOrder, PyVenuePosition, PyVenueRequests, PyVenueResult, PyVenueSettlement, PyVenueTrade,
};
use crate::types::side_member;

const MICRO_DIGITS: u32 = 6;
const RATE_DIGITS: u32 = 10;

/// The contracts' labels, and the names of the clearinghouses.
pub(super) struct Labels {
    pub(super) coins: Vec<Label>,
    pub(super) dexes: Vec<String>,
}

pub(super) fn usd(amount: Micros) -> String {
    decimal(amount, MICRO_DIGITS)
}

fn name(client_order_id: Option<ClientOrderId>) -> Option<String> {
    client_order_id.map(|name| format!("0x{name:032x}"))
}

impl Labels {
    fn of(&self, asset: AssetId) -> &Label {
        &self.coins[asset.0 as usize]
    }

    pub(super) fn level(&self, asset: AssetId, level: &BookLevel) -> Level {
        let label = self.of(asset);
        (label.price(level.price), label.lots(level.size), level.orders)
    }

    pub(super) fn event(&self, py: Python<'_>, event: &LoopbackEvent) -> PyResult<Py<PyAny>> {
        Ok(match event {
            LoopbackEvent::Answer(answer) => self.answer(py, answer)?.into_any(),
            LoopbackEvent::Trade(trade) => self.trade(py, trade)?.into_any(),
            LoopbackEvent::Fill(fill) => self.fill(py, fill)?.into_any(),
            LoopbackEvent::Order(order) => self.order(py, order)?.into_any(),
            LoopbackEvent::Funding(payment) => {
                let label = self.of(payment.asset);
                let told = PyVenueFunding {
                    account: payment.account.0,
                    coin: label.coin.clone(),
                    time_ns: payment.time_ns,
                    amount: usd(-payment.paid),
                    position: label.lots(payment.position),
                    rate: rounded(payment.rate, RATE_DIGITS),
                };
                Py::new(py, told)?.into_any()
            }
            LoopbackEvent::Settlement(settlement) => {
                let told = PyVenueSettlement {
                    coin: self.of(settlement.asset).coin.clone(),
                    time_ns: settlement.time_ns,
                    rate: rounded(settlement.rate, RATE_DIGITS),
                    premium: rounded(settlement.premium, RATE_DIGITS),
                };
                Py::new(py, told)?.into_any()
            }
            LoopbackEvent::Liquidation(liquidation) => {
                let told = PyVenueLiquidation {
                    account: liquidation.account.0,
                    time_ns: liquidation.time_ns,
                    coin: liquidation.asset.map(|asset| self.of(asset).coin.clone()),
                    dex: self.dexes[liquidation.clearinghouse as usize].clone(),
                    notional: usd(liquidation.value),
                    account_value: usd(liquidation.equity),
                };
                Py::new(py, told)?.into_any()
            }
            LoopbackEvent::Best(best) => {
                let told = PyVenueBest {
                    coin: self.of(best.asset).coin.clone(),
                    time_ns: best.time_ns,
                    bid: best.bid.map(|level| self.level(best.asset, &level)),
                    ask: best.ask.map(|level| self.level(best.asset, &level)),
                };
                Py::new(py, told)?.into_any()
            }
            LoopbackEvent::Block(block) => {
                Py::new(py, PyVenueBlock { height: block.number, time_ns: block.time_ns })?.into_any()
            }
        })
    }

    fn answer(&self, py: Python<'_>, answer: &RequestAnswer) -> PyResult<Py<PyVenueAnswer>> {
        let results = answer.results.iter().map(|result| self.result(py, result)).collect::<PyResult<Vec<_>>>()?;
        let label = self.of(answer.asset.unwrap_or(AssetId(0)));
        Py::new(
            py,
            PyVenueAnswer {
                request_id: answer.request,
                account: answer.account.0,
                time_ns: answer.time_ns,
                refusal: answer.refusal.map(|reason| label.refusal(&reason)),
                results: PyTuple::new(py, results)?.unbind(),
            },
        )
    }

    fn result(&self, py: Python<'_>, result: &ItemResult) -> PyResult<Py<PyVenueResult>> {
        let label = self.of(result.asset);
        let mut told = PyVenueResult {
            kind: "done",
            order_id: None,
            client_order_id: name(result.client_order_id),
            size: None,
            average_price: None,
            text: None,
        };
        match result.answer {
            Answer::Resting { order_id } => {
                told.kind = "resting";
                told.order_id = Some(order_id);
            }
            Answer::Filled { order_id, size, notional } => {
                told.kind = "filled";
                told.order_id = Some(order_id);
                told.size = Some(label.lots(size));
                told.average_price = Some(label.average(notional, size));
            }
            Answer::Canceled | Answer::Done => {}
            Answer::Refused { reason, order_id } => {
                told.kind = "refused";
                told.order_id = order_id;
                told.text = Some(label.refusal(&reason));
            }
        }
        Py::new(py, told)
    }

    fn trade(&self, py: Python<'_>, trade: &Trade) -> PyResult<Py<PyVenueTrade>> {
        let label = self.of(trade.asset);
        let (buyer, seller) = if trade.aggressor == hypermm_core::types::Side::Buy {
            (trade.taker, trade.maker)
        } else {
            (trade.maker, trade.taker)
        };
        Py::new(
            py,
            PyVenueTrade {
                time_ns: trade.time_ns,
                coin: label.coin.clone(),
                price: label.price(trade.price),
                size: label.lots(trade.size),
                aggressor: side_member(py, trade.aggressor)?,
                buyer: buyer.account.0,
                seller: seller.account.0,
                trade_id: trade.trade_id,
                transaction: hash(trade.taker.order_id),
            },
        )
    }

    fn fill(&self, py: Python<'_>, fill: &Fill) -> PyResult<Py<PyVenueFill>> {
        let label = self.of(fill.asset);
        let liquidation = fill.liquidation.map(|liquidation| {
            let method = match liquidation.method {
                LiquidationMethod::Market => "market",
                LiquidationMethod::Backstop => "backstop",
            };
            (liquidation.account.0, label.mark(liquidation.mark), method)
        });
        Py::new(
            py,
            PyVenueFill {
                account: fill.account.0,
                coin: label.coin.clone(),
                price: label.price(fill.price),
                size: label.lots(fill.size),
                side: side_member(py, fill.side)?,
                time_ns: fill.time_ns,
                start_position: label.lots(fill.position_before),
                direction: fill.direction(),
                closed_pnl: usd(fill.realized),
                transaction: hash(fill.taker_order_id),
                order_id: fill.order_id,
                client_order_id: name(fill.client_order_id),
                crossed: fill.crossed,
                fee: usd(fill.fee),
                trade_id: fill.trade_id,
                liquidation,
            },
        )
    }

    pub(super) fn order(&self, py: Python<'_>, order: &OrderRecord) -> PyResult<Py<PyVenueOrder>> {
        let label = self.of(order.order.asset);
        Py::new(
            py,
            PyVenueOrder {
                account: order.account.0,
                coin: label.coin.clone(),
                side: side_member(py, order.order.side)?,
                price: label.price(order.order.price),
                size: label.lots(order.remaining),
                original_size: label.lots(order.order.size),
                order_id: order.id,
                client_order_id: name(order.order.client_order_id),
                time_in_force: time_in_force_name(order.order.time_in_force),
                reduce_only: order.order.reduce_only,
                placed_ns: order.placed_ns,
                status: order.state.status(),
                status_ns: order.state_ns,
            },
        )
    }

    pub(super) fn context(&self, asset: AssetId, context: &CoinContext) -> PyVenueContext {
        let label = self.of(asset);
        let day_size = context.day_size;
        PyVenueContext {
            mark_price: label.mark(context.mark),
            oracle_price: label.mark(context.oracle),
            mid_price: context.mid.map(|mid| label.mark(mid)),
            impact_prices: context.impact.map(|Impact { bid, ask, .. }| (label.price_f64(bid), label.price_f64(ask))),
            premium: context.impact.map(|impact| rounded(impact.premium, RATE_DIGITS)),
            funding_rate: rounded(context.funding_rate, RATE_DIGITS),
            open_interest: label.lots(context.open_interest),
            previous_day_price: label.mark(context.previous_day),
            day_notional_volume: usd(context.day_notional),
            day_base_volume: label.lots(day_size),
        }
    }

    pub(super) fn position(&self, position: &HeldPosition) -> PyVenuePosition {
        let label = self.of(position.asset);
        let view = &position.view;
        let lots = view.size.0.unsigned_abs() as f64;
        let equity = view.entry.unwrap_or(0.0) * lots / f64::from(view.leverage);
        let [all_time, since_open, since_change] = position.funding;
        PyVenuePosition {
            coin: label.coin.clone(),
            size: label.lots(view.size),
            leverage: view.leverage,
            is_cross: view.is_cross,
            raw_usd: usd(view.isolated_cash),
            entry_price: view.entry.map(|entry| label.price_f64(entry)),
            value: usd(view.value),
            unrealized_pnl: usd(view.unrealized),
            return_on_equity: rounded(if equity > 0.0 { view.unrealized as f64 / equity } else { 0.0 }, RATE_DIGITS),
            liquidation_price: position.liquidation_price.map(|price| label.price_f64(price)),
            margin_used: usd(view.margin_used),
            max_leverage: view.max_leverage,
            funding_all_time: usd(all_time),
            funding_since_open: usd(since_open),
            funding_since_change: usd(since_change),
        }
    }
}

pub(super) fn account(held: &HeldAccount) -> PyVenueAccount {
    let view = &held.view;
    PyVenueAccount {
        account_value: usd(view.account_value),
        notional: usd(held.value),
        raw_usd: usd(view.account_value - held.signed_value),
        margin_used: usd(held.margin_used),
        cross_account_value: usd(view.cross_value),
        cross_notional: usd(held.cross_value),
        cross_raw_usd: usd(view.cross_value - held.cross_signed_value),
        cross_margin_used: usd(view.cross_initial_margin),
        cross_maintenance_margin: usd(view.cross_maintenance_margin),
        withdrawable: usd(view.withdrawable),
    }
}

pub(super) fn requests(view: &AccountView) -> PyVenueRequests {
    PyVenueRequests {
        volume: usd(view.volume),
        used: view.requests_used,
        cap: view.requests_cap,
        open_orders: view.open_orders,
        open_orders_cap: view.open_orders_cap,
        scheduled_cancel_ns: view.scheduled_cancel_ns,
    }
}

fn hash(taker_order_id: u64) -> String {
    let words = transaction(taker_order_id);
    format!("0x{:016x}{:016x}{:016x}{:016x}", words[0], words[1], words[2], words[3])
}
