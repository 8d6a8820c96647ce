//! `BacktestResult`: columns of a run and its numbers.

use hypermm_core::accounting::ledger::half_micros_to_quote;
use hypermm_core::instrument::Instrument;
use hypermm_core::outcomes::breakdown::{Breakdown, Cell, Group};
use hypermm_core::outcomes::markout::{HORIZON_COUNT, HORIZONS_NS};
use hypermm_core::types::Lots;
use hypermm_simulation::backtest::matched::Watch;
use hypermm_simulation::backtest::output::{BacktestOutput, DecisionColumns, EquityColumns, FillColumns, Summary};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

use crate::decision::frozen_array;
use crate::recording::frozen_rows;

/// What the matching venue saw, in lots of a contract.
pub(crate) struct Watched<'a> {
    pub(crate) watch: &'a Watch,
    pub(crate) instrument: &'a Instrument,
}

/// Columns of a run and its numbers; frozen, comparable to the bit, picklable. Arrays are read-only.
#[pyclass(frozen, name = "BacktestResult", module = "hypermm._core")]
pub(crate) struct PyBacktestResult {
    fills: Py<PyDict>,
    decisions: Py<PyDict>,
    equity: Py<PyDict>,
    summary: Py<PyDict>,
    wall_s: f64,
}

impl PyBacktestResult {
    pub(crate) fn new(
        py: Python<'_>,
        output: &BacktestOutput,
        watch: Option<&Watched<'_>>,
        wall_s: f64,
    ) -> PyResult<Self> {
        let summary = summary(py, &output.summary)?;
        if let Some(watched) = watch {
            summary.set_item("watch", watch_fields(py, watched)?)?;
        }
        Ok(Self {
            fills: fill_columns(py, &output.fills)?.unbind(),
            decisions: match &output.decisions {
                Some(decisions) => decision_columns(py, decisions)?.unbind(),
                None => PyDict::new(py).unbind(),
            },
            equity: equity_columns(py, &output.equity)?.unbind(),
            summary: summary.unbind(),
            wall_s,
        })
    }
}

fn view<'py>(py: Python<'py>, columns: &Py<PyDict>) -> PyResult<Bound<'py, PyAny>> {
    py.import("types")?.getattr("MappingProxyType")?.call1((columns.bind(py),))
}

/// Same names, same bits: NaN equals NaN.
fn same(py: Python<'_>, left: &Py<PyDict>, right: &Py<PyDict>) -> PyResult<bool> {
    let (left, right) = (left.bind(py), right.bind(py));
    if left.len() != right.len() {
        return Ok(false);
    }
    for (name, column) in left.iter() {
        let Some(other) = right.get_item(&name)? else { return Ok(false) };
        let equal = column.call_method0("tobytes")?.eq(other.call_method0("tobytes")?)?;
        if !equal {
            return Ok(false);
        }
    }
    Ok(true)
}

#[pymethods]
impl PyBacktestResult {
    /// Fills in the order we heard of them: column name → array.
    #[getter]
    fn fills<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        view(py, &self.fills)
    }

    /// Every quote cycle: column name → array; empty when decisions were not logged.
    #[getter]
    fn decisions<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        view(py, &self.decisions)
    }

    /// The account each second: column name → array.
    #[getter]
    fn equity<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        view(py, &self.equity)
    }

    /// Seconds the run took, without reading files.
    #[getter]
    fn wall_s(&self) -> f64 {
        self.wall_s
    }

    /// The run in numbers.
    fn summary<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let numbers = self.summary.bind(py).copy()?;
        let events: f64 = numbers.get_item("events")?.map_or(Ok(0.0), |events| events.extract())?;
        numbers.set_item("events_per_s", if self.wall_s > 0.0 { events / self.wall_s } else { 0.0 })?;
        numbers.set_item("wall_s", self.wall_s)?;
        Ok(numbers)
    }

    /// Equal when all columns and numbers are, to the bit; how long the run took does not count.
    fn __eq__(&self, py: Python<'_>, other: &Self) -> PyResult<bool> {
        Ok(same(py, &self.fills, &other.fills)?
            && same(py, &self.decisions, &other.decisions)?
            && same(py, &self.equity, &other.equity)?
            && self.summary.bind(py).eq(other.summary.bind(py))?)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let number = |name: &str| -> PyResult<String> {
            Ok(self.summary.bind(py).get_item(name)?.map_or_else(|| "?".to_owned(), |value| value.to_string()))
        };
        Ok(format!(
            "<BacktestResult {} events, {} fills, PnL {} USD, final position {}>",
            number("events")?,
            number("fills")?,
            number("pnl_usd")?,
            number("final_position")?
        ))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let wall_s = self.wall_s.into_pyobject(py)?;
        let parts = (self.fills.bind(py), self.decisions.bind(py), self.equity.bind(py), self.summary.bind(py), wall_s);
        Ok((py.get_type::<Self>().getattr("_from_parts")?, parts.into_pyobject(py)?))
    }

    #[classmethod]
    fn _from_parts(
        _class: &Bound<'_, PyType>,
        fills: Bound<'_, PyDict>,
        decisions: Bound<'_, PyDict>,
        equity: Bound<'_, PyDict>,
        summary: Bound<'_, PyDict>,
        wall_s: f64,
    ) -> PyResult<Self> {
        for columns in [&fills, &decisions, &equity] {
            for column in columns.values() {
                column.call_method1("setflags", (false,))?;
            }
        }
        Ok(Self {
            fills: fills.unbind(),
            decisions: decisions.unbind(),
            equity: equity.unbind(),
            summary: summary.unbind(),
            wall_s,
        })
    }
}

fn fill_columns<'py>(py: Python<'py>, fills: &FillColumns) -> PyResult<Bound<'py, PyDict>> {
    let columns = PyDict::new(py);
    columns.set_item("time_ns", frozen_array(py, &fills.time_ns))?;
    columns.set_item("exchange_time_ns", frozen_array(py, &fills.exchange_time_ns))?;
    columns.set_item("placed_ns", frozen_array(py, &fills.placed_ns))?;
    columns.set_item("side", frozen_array(py, &fills.side))?;
    columns.set_item("price", frozen_array(py, &fills.price))?;
    columns.set_item("size", frozen_array(py, &fills.size))?;
    columns.set_item("order_id", frozen_array(py, &fills.order_id))?;
    columns.set_item("trade_id", frozen_array(py, &fills.trade_id))?;
    columns.set_item("fee_usd", frozen_array(py, &fills.fee_usd))?;
    columns.set_item("mid_at_placement", frozen_array(py, &fills.mid_at_placement))?;
    columns.set_item("mid_at_fill", frozen_array(py, &fills.mid_at_fill))?;
    columns.set_item("depth_bps", frozen_array(py, &fills.depth_bps))?;
    columns.set_item("level", frozen_array(py, &fills.level))?;
    columns.set_item("age_s", frozen_array(py, &fills.age_s))?;
    columns.set_item("regime", frozen_array(py, &fills.regime))?;
    columns.set_item("is_cancel_race", frozen_array(py, &fills.is_cancel_race))?;
    columns.set_item("position", frozen_array(py, &fills.position))?;
    columns.set_item("expected_edge_bps", frozen_array(py, &fills.expected_edge_bps))?;
    columns.set_item("fill_probability", frozen_array(py, &fills.fill_probability))?;
    columns.set_item("adverse_selection_bps", frozen_rows(py, &fills.adverse_selection_bps, HORIZON_COUNT)?)?;
    columns.set_item("edge_bps", frozen_rows(py, &fills.edge_bps, HORIZON_COUNT)?)?;
    columns.set_item("markout_bps", frozen_rows(py, &fills.markout_bps, HORIZON_COUNT)?)?;
    columns.set_item("adverse", frozen_array(py, &fills.adverse))?;
    Ok(columns)
}

fn decision_columns<'py>(py: Python<'py>, decisions: &DecisionColumns) -> PyResult<Bound<'py, PyDict>> {
    let columns = PyDict::new(py);
    columns.set_item("time_ns", frozen_array(py, &decisions.time_ns))?;
    columns.set_item("status", frozen_array(py, &decisions.status))?;
    for (name, values) in [
        ("mid_price", &decisions.mid_price),
        ("reservation_price", &decisions.reservation_price),
        ("position", &decisions.position),
        ("drift_bps_per_s", &decisions.drift_bps_per_s),
        ("drift_variance", &decisions.drift_variance),
        ("target_inventory", &decisions.target_inventory),
        ("bid_cost_bps", &decisions.bid_cost_bps),
        ("ask_cost_bps", &decisions.ask_cost_bps),
    ] {
        columns.set_item(name, frozen_array(py, values))?;
    }
    for (name, values) in [
        ("bid_prices", &decisions.bid_prices),
        ("bid_sizes", &decisions.bid_sizes),
        ("ask_prices", &decisions.ask_prices),
        ("ask_sizes", &decisions.ask_sizes),
        ("bid_fill_probability", &decisions.bid_fill_probability),
        ("bid_expected_edge_bps", &decisions.bid_expected_edge_bps),
        ("bid_expected_pnl_bps", &decisions.bid_expected_pnl_bps),
        ("ask_fill_probability", &decisions.ask_fill_probability),
        ("ask_expected_edge_bps", &decisions.ask_expected_edge_bps),
        ("ask_expected_pnl_bps", &decisions.ask_expected_pnl_bps),
    ] {
        columns.set_item(name, frozen_rows(py, values, decisions.levels)?)?;
    }
    Ok(columns)
}

fn equity_columns<'py>(py: Python<'py>, equity: &EquityColumns) -> PyResult<Bound<'py, PyDict>> {
    let columns = PyDict::new(py);
    columns.set_item("time_ns", frozen_array(py, &equity.time_ns))?;
    for (name, values) in [
        ("mid_price", &equity.mid_price),
        ("position", &equity.position),
        ("profit_usd", &equity.profit_usd),
        ("realized_usd", &equity.realized_usd),
        ("unrealized_usd", &equity.unrealized_usd),
        ("spread_capture_usd", &equity.spread_capture_usd),
        ("adverse_selection_usd", &equity.adverse_selection_usd),
        ("inventory_usd", &equity.inventory_usd),
        ("fees_usd", &equity.fees_usd),
        ("funding_usd", &equity.funding_usd),
    ] {
        columns.set_item(name, frozen_array(py, values))?;
    }
    Ok(columns)
}

/// "0.5s", "1s" and so on.
fn horizon_name(horizon: usize) -> String {
    format!("{}s", HORIZONS_NS[horizon] as f64 / 1e9)
}

/// A run in numbers, by name.
pub(crate) fn summary<'py>(py: Python<'py>, run: &Summary) -> PyResult<Bound<'py, PyDict>> {
    let numbers = PyDict::new(py);
    numbers.set_item("fills", run.fills)?;
    numbers.set_item("buy_fills", run.buy_fills)?;
    numbers.set_item("sell_fills", run.sell_fills)?;
    numbers.set_item("volume_usd", run.volume_usd)?;
    numbers.set_item("pnl_usd", run.pnl_usd)?;
    numbers.set_item("fees_usd", run.fees_usd)?;
    numbers.set_item("funding_usd", run.funding_usd)?;
    numbers.set_item("realized_usd", run.realized_usd)?;
    numbers.set_item("unrealized_usd", run.unrealized_usd)?;
    numbers.set_item("spread_capture_usd", half_micros_to_quote(run.split.spread_capture))?;
    numbers.set_item("adverse_selection_usd", half_micros_to_quote(run.split.adverse_selection))?;
    numbers.set_item("inventory_usd", half_micros_to_quote(run.split.inventory))?;
    numbers.set_item("edge_bps", run.edge_bps)?;
    numbers.set_item("expected_edge_bps", run.expected_edge_bps)?;
    let (markouts, left_out) = (PyDict::new(py), PyDict::new(py));
    for horizon in 0..HORIZON_COUNT {
        markouts.set_item(horizon_name(horizon), run.markout_bps[horizon])?;
        left_out.set_item(horizon_name(horizon), run.left_out[horizon])?;
    }
    numbers.set_item("markout_bps", markouts)?;
    numbers.set_item("left_out", left_out)?;
    numbers.set_item("adverse_share", run.adverse_share)?;
    numbers.set_item("max_drawdown_usd", run.max_drawdown_usd)?;
    numbers.set_item("max_abs_position", run.max_abs_position)?;
    numbers.set_item("final_position", run.final_position)?;
    numbers.set_item("quote_cycles", run.quote_cycles)?;
    numbers.set_item("two_sided_share", run.two_sided_share)?;
    numbers.set_item("cost_bound_share", run.cost_bound_share)?;
    numbers.set_item("post_only_share", run.post_only_share)?;
    numbers.set_item("cap_share", run.cap_share)?;
    numbers.set_item("risk_aversion_too_high_share", run.risk_aversion_too_high_share)?;
    numbers.set_item("events", run.events)?;
    numbers.set_item("orders_placed", run.orders_placed)?;
    numbers.set_item("orders_canceled", run.orders_canceled)?;
    numbers.set_item("orders_rejected", run.orders_rejected)?;
    numbers.set_item("start_ns", run.span_ns.0)?;
    numbers.set_item("end_ns", run.span_ns.1)?;
    // A run whose books do not add up ends in an error instead.
    numbers.set_item("conservation", "exact")?;
    numbers.set_item("breakdown", breakdown(py, &run.breakdown)?)?;
    Ok(numbers)
}

/// What the venue saw of our account, positions in contracts.
fn watch_fields<'py>(py: Python<'py>, watched: &Watched<'_>) -> PyResult<Bound<'py, PyDict>> {
    let Watched { watch, instrument } = watched;
    let fields = PyDict::new(py);
    for (name, lots) in [
        ("max_long", watch.max_long),
        ("max_short", Lots(-watch.max_short.0)),
        ("max_long_with_orders", watch.max_long_with_orders),
        ("max_short_with_orders", Lots(-watch.max_short_with_orders.0)),
    ] {
        fields.set_item(name, instrument.lots_to_f64(lots))?;
    }
    fields.set_item("holding_blocks", watch.holding_blocks)?;
    fields.set_item("reducing_blocks", watch.reducing_blocks)?;
    fields.set_item("reducing_share", watch.reducing_share())?;
    fields.set_item("reducing_wanted_share", watch.reducing_wanted_share())?;
    Ok(fields)
}

/// Kind of group → group with a fill → horizon → what became of its fills; None where no horizon is over.
fn breakdown<'py>(py: Python<'py>, breakdown: &Breakdown) -> PyResult<Bound<'py, PyDict>> {
    let kinds = PyDict::new(py);
    for group in Group::every() {
        let groups = match kinds.get_item(group.kind())? {
            Some(groups) => groups.cast_into::<PyDict>()?,
            None => PyDict::new(py),
        };
        if breakdown.cell(group, 0).is_some() {
            let horizons = PyDict::new(py);
            for horizon in 0..HORIZON_COUNT {
                let cell = breakdown.cell(group, horizon).map(|cell| cell_fields(py, &cell)).transpose()?;
                horizons.set_item(horizon_name(horizon), cell)?;
            }
            groups.set_item(group.name(), horizons)?;
        }
        kinds.set_item(group.kind(), groups)?;
    }
    Ok(kinds)
}

fn cell_fields<'py>(py: Python<'py>, cell: &Cell) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    fields.set_item("fills", cell.fills)?;
    fields.set_item("volume_usd", cell.volume)?;
    fields.set_item("depth_bps", cell.depth_bps)?;
    fields.set_item("adverse_selection_bps", cell.adverse_selection_bps)?;
    fields.set_item("edge_bps", cell.edge_bps)?;
    fields.set_item("edge_error_bps", cell.edge_error_bps)?;
    fields.set_item("markout_bps", cell.markout_bps)?;
    fields.set_item("markout_error_bps", cell.markout_error_bps)?;
    fields.set_item("adverse_share", cell.adverse_share)?;
    Ok(fields)
}
