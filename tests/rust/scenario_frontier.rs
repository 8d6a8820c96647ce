//! The incidents: what a plain ladder and the engine come to in them.

use hypermm_simulation::backtest::scenarios::{Quoter, ScenarioRow, default_config, run_seeds};
use hypermm_simulation::market::scenario::{Reach, Scenario};

fn sorted(rows: &[ScenarioRow], column: impl Fn(&ScenarioRow) -> f64) -> Vec<f64> {
    let mut values: Vec<f64> = rows.iter().map(column).collect();
    values.sort_by(f64::total_cmp);
    values
}

fn quantile(values: &[f64], share: f64) -> f64 {
    values[((values.len() - 1) as f64 * share).round() as usize]
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
#[ignore = "explores"]
fn explore() {
    let seeds = 10_000..10_020;
    for name in ["feb19", "calm"] {
        let scenario = Scenario::named(name).unwrap();
        for quoter in [Quoter::Plain, Quoter::Engine] {
            for depth in [1.0, 2.0] {
                let reach = Reach { depth, size: 1.0 };
                let begun = std::time::Instant::now();
                let rows =
                    run_seeds(&scenario, reach, quoter, &default_config(&scenario, quoter), seeds.clone()).unwrap();
                let long = sorted(&rows, |row| row.max_long);
                let last = sorted(&rows, |row| row.final_position);
                let pnl = sorted(&rows, |row| row.pnl_usd);
                println!(
                    "{name} {quoter:?} depth {depth}: final {:.2}, long median {:.2} 95% {:.2}, pnl {:+.3}, fills {:.0}, \
                     volume {:.0}, depth {:.2}, edge {:.2}, two-sided {:.2}, reducing {:.3}, {:.1} ms a seed",
                    quantile(&last, 0.5),
                    quantile(&long, 0.5),
                    quantile(&long, 0.95),
                    mean(&pnl),
                    mean(&sorted(&rows, |row| row.fills as f64)),
                    mean(&sorted(&rows, |row| row.volume_usd)),
                    mean(&sorted(&rows, |row| row.depth_bps)),
                    mean(&sorted(&rows, |row| row.edge_bps)),
                    mean(&sorted(&rows, |row| row.two_sided_share)),
                    mean(&sorted(&rows, |row| row.reducing_share)),
                    begun.elapsed().as_secs_f64() * 1e3 / rows.len() as f64,
                );
            }
        }
    }
}
