//! Rows of scenarios as Rust makes them, for the test in Python that wants the same.

use hypermm_simulation::backtest::quoter::Quoter;
use hypermm_simulation::backtest::scenarios::{default_config, run_seeds};
use hypermm_simulation::market::scenario::Scenario;

/// Prints a few rows of every scenario; `tests/python/test_scenario.py` reads them.
#[test]
#[ignore = "prints for another test"]
fn rows_for_python() {
    for scenario in Scenario::ALL {
        for (name, quoter) in [("engine", Quoter::Engine), ("plain", Quoter::Plain)] {
            let config = default_config(scenario, quoter).unwrap();
            for row in run_seeds(scenario, scenario.reach, quoter, &config, 10_000..10_003).unwrap() {
                println!(
                    "ROW {} {name} {} {} {} {} {}",
                    scenario.name, row.seed, row.fills, row.max_long, row.pnl_usd, row.edge_bps
                );
            }
        }
    }
}
