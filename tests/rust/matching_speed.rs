//! What the matching venue costs: no allocation per action, and memory that does not grow with what happened.

use std::collections::BTreeMap;
use std::time::Instant;

use hypermm_simulation::venue::matching::order::Answer;

use crate::matching_flow::Flow;

/// Resident memory of the process, bytes; pages are 4 KiB on the machines this is run on.
fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// Processor time of the process, s: what counts on a machine that others use too. The kernel counts in 1/100 s.
fn processor_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    ticks as f64 / 100.0
}

fn kind(answer: &Answer) -> &'static str {
    match answer {
        Answer::Resting { .. } => "resting",
        Answer::Filled { .. } => "filled",
        Answer::Canceled => "canceled",
        Answer::Done => "done",
        Answer::Refused { .. } => "refused",
    }
}

/// Kills: a table of all ids ever; a level or a node allocated per price.
#[test]
fn actions_do_not_allocate_after_warm_up() {
    let mut flow = Flow::new(2_000);
    for _ in 0..400_000 {
        flow.step();
    }
    let mut answers = BTreeMap::new();
    for _ in 0..10_000 {
        *answers.entry(kind(&flow.step())).or_insert(0_u64) += 1;
    }
    println!("10000 actions over {} resting orders: {answers:?}", flow.exchange.resting_orders());
    assert!(["resting", "filled", "canceled", "refused"].iter().all(|kind| answers[kind] > 100));
    let measured = allocation_counter::measure(|| {
        for _ in 0..200_000 {
            flow.step();
        }
    });
    println!("allocations in 200000 actions: {}", measured.count_total);
    assert_eq!(measured.count_total, 0);
}

/// Memory after 10⁸ events is that after 10⁷.
#[test]
#[ignore = "a minute: make verify"]
fn memory_is_flat_over_a_hundred_million_events() {
    let mut flow = Flow::new(2_000);
    let (mut actions, mut resident) = (0_u64, Vec::new());
    let (start, processor_before) = (Instant::now(), processor_s());
    for goal in (1..=10).map(|tenth| tenth * 10_000_000) {
        while flow.events < goal {
            flow.step();
            actions += 1;
        }
        resident.push(resident_bytes());
    }
    let rate = actions as f64 / start.elapsed().as_secs_f64();
    let of_processor = actions as f64 / (processor_s() - processor_before);
    println!(
        "{} events of {actions} actions, {:.2} M actions/s, {:.2} M per second of processor time",
        flow.events,
        rate / 1e6,
        of_processor / 1e6
    );
    println!("resident kB after each 10^7 events: {:?}", resident.iter().map(|bytes| bytes / 1024).collect::<Vec<_>>());
    println!("{} orders rest", flow.exchange.resting_orders());
    let grown = resident.iter().max().unwrap() - resident[0];
    assert!(grown <= 256 * 1024, "memory grew by {grown} bytes");
}
