//! Laws of the replay and its venue.

use hypermm_core::config::EngineConfig;
use hypermm_core::instrument::Instrument;
use hypermm_simulation::backtest::output::BacktestOutput;
use hypermm_simulation::backtest::replay::{BacktestSettings, run};
use hypermm_simulation::market::session::{Session, SessionSettings};

fn eth() -> Instrument {
    Instrument::new("ETH", 4, 25, 10.0, 3600.0).unwrap()
}

fn engine_run(session: &Session, settings: &BacktestSettings) -> BacktestOutput {
    run(&session.columns(), &eth(), &EngineConfig::default(), settings, &mut |_| {}).unwrap()
}

#[test]
fn a_synthetic_session_is_traded_on_both_sides_and_the_books_are_conserved() {
    let session = Session::generate(&eth(), &SessionSettings::default()).unwrap();
    let output = engine_run(&session, &BacktestSettings::default());
    assert_eq!(output.summary.conservation, Ok(()));
}
