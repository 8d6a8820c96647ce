//! The extension module `hypermm._core`: conversions and exports, one file per layer of the core.

mod access;
mod backtest;
mod bench;
mod calibration;
mod config;
mod decision;
mod engine;
mod error;
mod estimators;
mod event;
mod features;
mod gap;
mod input;
mod instrument;
mod loopback;
mod open_order;
mod preset;
mod pricing;
mod progress;
mod recording;
mod result;
mod scenario;
mod session;
mod signing;
mod state;
mod strategy;
mod sweep;
mod types;

use pyo3::prelude::*;

#[pymodule]
#[pyo3(name = "_core")]
fn core_module(module: &Bound<'_, PyModule>) -> PyResult<()> {
    types::register(module)?;
    module.add_class::<instrument::PyInstrument>()?;
    module.add_class::<calibration::PyCalibratedFeature>()?;
    module.add_class::<calibration::PyCalibration>()?;
    config::register(module)?;
    module.add_class::<decision::PyLevel>()?;
    module.add_class::<decision::PyQuoteSide>()?;
    module.add_class::<decision::PyDecision>()?;
    module.add_class::<open_order::PyOpenOrder>()?;
    module.add_class::<engine::PyQuoteEngine>()?;
    module.add_class::<estimators::drift::PyDriftFilter>()?;
    module.add_class::<estimators::flow::PyDirectionalFlow>()?;
    module.add_class::<estimators::depth_decay::PyDepthDecay>()?;
    module.add_class::<estimators::funding::PyFundingForecast>()?;
    pricing::register(module)?;
    module.add_class::<event::PyEvent>()?;
    module.add_class::<result::PyBacktestResult>()?;
    module.add_function(wrap_pyfunction!(backtest::backtest, module)?)?;
    module.add_function(wrap_pyfunction!(backtest::fill_calibration, module)?)?;
    module.add_class::<preset::PyMarketPreset>()?;
    module.add_function(wrap_pyfunction!(preset::synthetic_market, module)?)?;
    module.add_function(wrap_pyfunction!(session::matching_session, module)?)?;
    loopback::register(module)?;
    module.add_function(wrap_pyfunction!(scenario::run_scenario, module)?)?;
    module.add_function(wrap_pyfunction!(sweep::run_sweep, module)?)?;
    module.add_function(wrap_pyfunction!(gap::paper_gap, module)?)?;
    module.add_class::<features::PyFeature>()?;
    module.add_class::<features::PyFeatureMatrix>()?;
    module.add_function(wrap_pyfunction!(features::feature_table, module)?)?;
    module.add_function(wrap_pyfunction!(features::feature_matrix, module)?)?;
    module.add_function(wrap_pyfunction!(recording::synthetic_session, module)?)?;
    signing::register(module)?;
    module.add_class::<bench::PyEmpty>()?;
    module.add_function(wrap_pyfunction!(bench::_quote_in_rust, module)?)?;
    module.add_function(wrap_pyfunction!(error::_panic, module)?)
}
