//! Order actions per second through the matching venue: places, cancels, modifies and takes over a living book.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, unreachable_pub)]

mod matching_flow;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use matching_flow::Flow;

const BATCH: u64 = 1_000;

fn actions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("matching");
    group.throughput(Throughput::Elements(BATCH));
    for places in [400, 4_000] {
        let mut flow = Flow::new(places);
        for _ in 0..200_000 {
            flow.step();
        }
        println!("matching: {} orders rest", flow.exchange.resting_orders());
        group.bench_function(format!("actions_{places}_places"), |bencher| {
            bencher.iter(|| {
                for _ in 0..BATCH {
                    black_box(flow.step());
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, actions);
criterion_main!(benches);
