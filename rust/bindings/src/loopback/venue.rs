//! `LoopbackVenue`.

use pyo3::exceptions::PyNotImplementedError;
use pyo3::prelude::*;

/// A venue of several contracts with a background market, stepped by the caller's clock; no I/O, no clock.
#[pyclass(name = "LoopbackVenue", module = "hypermm._core")]
pub(crate) struct PyLoopbackVenue {}

fn later() -> PyErr {
    PyNotImplementedError::new_err("the loopback venue is not there yet")
}

#[pymethods]
#[expect(unused_variables, clippy::unused_self, clippy::too_many_arguments, reason = "a skeleton")]
impl PyLoopbackVenue {
    #[new]
    #[pyo3(signature = (coins, *, seed=None, start_ns=None, order_latency_ns=None, answer_latency_ns=None,
                        taking_hold_ns=None, slow_cancel_hold_ns=None, initial_requests=None,
                        schedule_cancel_volume_usd=None, first_order_id=None),
           text_signature = "(coins, *, seed=0, start_ns=0, order_latency_ns=0, answer_latency_ns=0, \
                             taking_hold_ns=300000000, slow_cancel_hold_ns=300000000, initial_requests=10000, \
                             schedule_cancel_volume_usd=1000000.0, first_order_id=560000000000)")]
    fn new(
        coins: &Bound<'_, PyAny>,
        seed: Option<&Bound<'_, PyAny>>,
        start_ns: Option<&Bound<'_, PyAny>>,
        order_latency_ns: Option<&Bound<'_, PyAny>>,
        answer_latency_ns: Option<&Bound<'_, PyAny>>,
        taking_hold_ns: Option<&Bound<'_, PyAny>>,
        slow_cancel_hold_ns: Option<&Bound<'_, PyAny>>,
        initial_requests: Option<&Bound<'_, PyAny>>,
        schedule_cancel_volume_usd: Option<&Bound<'_, PyAny>>,
        first_order_id: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        Err(later())
    }

    #[getter]
    fn coins(&self) -> PyResult<u64> {
        Err(later())
    }

    #[getter]
    fn next_block_ns(&self) -> PyResult<i64> {
        Err(later())
    }

    #[getter]
    fn height(&self) -> PyResult<u64> {
        Err(later())
    }

    #[pyo3(signature = (deposits, *, taker_fee_bps=None, maker_fee_bps=None, volume_usd=None), text_signature = "($self, deposits, *, taker_fee_bps=4.5, maker_fee_bps=1.5, volume_usd=0.0)")]
    fn open_account(
        &self,
        deposits: &Bound<'_, PyAny>,
        taker_fee_bps: Option<&Bound<'_, PyAny>>,
        maker_fee_bps: Option<&Bound<'_, PyAny>>,
        volume_usd: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        Err(later())
    }

    #[pyo3(signature = (account, time_ns, orders, *, expires_after_ns=None), text_signature = "($self, account, time_ns, orders, *, expires_after_ns=None)")]
    fn place(
        &self,
        account: &Bound<'_, PyAny>,
        time_ns: &Bound<'_, PyAny>,
        orders: &Bound<'_, PyAny>,
        expires_after_ns: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        Err(later())
    }

    #[pyo3(signature = (account, time_ns, cancels, *, fast=None, expires_after_ns=None), text_signature = "($self, account, time_ns, cancels, *, fast=False, expires_after_ns=None)")]
    fn cancel(
        &self,
        account: &Bound<'_, PyAny>,
        time_ns: &Bound<'_, PyAny>,
        cancels: &Bound<'_, PyAny>,
        fast: Option<&Bound<'_, PyAny>>,
        expires_after_ns: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        Err(later())
    }

    #[pyo3(signature = (account, time_ns, modifies, *, always_place=None, expires_after_ns=None), text_signature = "($self, account, time_ns, modifies, *, always_place=False, expires_after_ns=None)")]
    fn modify(
        &self,
        account: &Bound<'_, PyAny>,
        time_ns: &Bound<'_, PyAny>,
        modifies: &Bound<'_, PyAny>,
        always_place: Option<&Bound<'_, PyAny>>,
        expires_after_ns: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        Err(later())
    }

    #[pyo3(signature = (account, time_ns, cancel_ns, *, expires_after_ns=None), text_signature = "($self, account, time_ns, cancel_ns, *, expires_after_ns=None)")]
    fn schedule_cancel(
        &self,
        account: &Bound<'_, PyAny>,
        time_ns: &Bound<'_, PyAny>,
        cancel_ns: &Bound<'_, PyAny>,
        expires_after_ns: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        Err(later())
    }

    #[pyo3(signature = (account, time_ns, coin, *, is_cross, leverage, expires_after_ns=None), text_signature = "($self, account, time_ns, coin, *, is_cross, leverage, expires_after_ns=None)")]
    fn update_leverage(
        &self,
        account: &Bound<'_, PyAny>,
        time_ns: &Bound<'_, PyAny>,
        coin: &Bound<'_, PyAny>,
        is_cross: &Bound<'_, PyAny>,
        leverage: &Bound<'_, PyAny>,
        expires_after_ns: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        Err(later())
    }

    #[pyo3(signature = (account, time_ns, coin, amount_micros, *, expires_after_ns=None), text_signature = "($self, account, time_ns, coin, amount_micros, *, expires_after_ns=None)")]
    fn update_isolated_margin(
        &self,
        account: &Bound<'_, PyAny>,
        time_ns: &Bound<'_, PyAny>,
        coin: &Bound<'_, PyAny>,
        amount_micros: &Bound<'_, PyAny>,
        expires_after_ns: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        Err(later())
    }

    #[pyo3(signature = (account, time_ns, *, expires_after_ns=None), text_signature = "($self, account, time_ns, *, expires_after_ns=None)")]
    fn noop(
        &self,
        account: &Bound<'_, PyAny>,
        time_ns: &Bound<'_, PyAny>,
        expires_after_ns: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        Err(later())
    }

    #[pyo3(signature = (until_ns), text_signature = "($self, until_ns)")]
    fn advance(&self, until_ns: &Bound<'_, PyAny>) -> PyResult<u64> {
        Err(later())
    }

    #[pyo3(signature = (coin, levels=None, *, significant_figures=None, mantissa=None), text_signature = "($self, coin, levels=20, *, significant_figures=None, mantissa=None)")]
    fn book(
        &self,
        coin: &Bound<'_, PyAny>,
        levels: Option<&Bound<'_, PyAny>>,
        significant_figures: Option<&Bound<'_, PyAny>>,
        mantissa: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        Err(later())
    }

    #[pyo3(signature = (coin), text_signature = "($self, coin)")]
    fn best(&self, coin: &Bound<'_, PyAny>) -> PyResult<u64> {
        Err(later())
    }

    #[pyo3(signature = (coin), text_signature = "($self, coin)")]
    fn context(&self, coin: &Bound<'_, PyAny>) -> PyResult<u64> {
        Err(later())
    }

    #[pyo3(signature = (coin), text_signature = "($self, coin)")]
    fn last_trade(&self, coin: &Bound<'_, PyAny>) -> PyResult<u64> {
        Err(later())
    }

    #[pyo3(signature = (account), text_signature = "($self, account)")]
    fn open_orders(&self, account: &Bound<'_, PyAny>) -> PyResult<u64> {
        Err(later())
    }

    #[pyo3(signature = (account, order), text_signature = "($self, account, order)")]
    fn order_status(&self, account: &Bound<'_, PyAny>, order: &Bound<'_, PyAny>) -> PyResult<u64> {
        Err(later())
    }

    #[pyo3(signature = (account), text_signature = "($self, account)")]
    fn order_history(&self, account: &Bound<'_, PyAny>) -> PyResult<u64> {
        Err(later())
    }

    #[pyo3(signature = (account, coin), text_signature = "($self, account, coin)")]
    fn position(&self, account: &Bound<'_, PyAny>, coin: &Bound<'_, PyAny>) -> PyResult<u64> {
        Err(later())
    }

    #[pyo3(signature = (account, dex=None), text_signature = "($self, account, dex='')")]
    fn positions(&self, account: &Bound<'_, PyAny>, dex: Option<&Bound<'_, PyAny>>) -> PyResult<u64> {
        Err(later())
    }

    #[pyo3(signature = (account, dex=None), text_signature = "($self, account, dex='')")]
    fn account(&self, account: &Bound<'_, PyAny>, dex: Option<&Bound<'_, PyAny>>) -> PyResult<u64> {
        Err(later())
    }

    #[pyo3(signature = (account), text_signature = "($self, account)")]
    fn requests(&self, account: &Bound<'_, PyAny>) -> PyResult<u64> {
        Err(later())
    }
}
