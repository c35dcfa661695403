//! The core alone: the cost of an event in time and allocations, without threads, sockets or parsing.
//!
//! `cargo bench --bench core`; `docs/performance.md` has results and explains them.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "a benchmark that cannot go on says so and ends"
)]

#[path = "support/farm.rs"]
mod farm;

use std::cell::RefCell;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};
use dpmp::units::PoolSlot;

use crate::farm::Farm;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

/// The number of miners.
const FARMS: [usize; 5] = [1, 10, 100, 1000, 4000];

fn main() {
    divan::main();
}

/// A share from a miner through the core to its pool, and the pool's answer back.
#[divan::bench(args = FARMS)]
fn share_and_answer(bencher: Bencher<'_, '_>, miners: usize) {
    let farm = RefCell::new(Farm::new(miners));
    bencher
        .counter(ItemsCount::new(1_usize))
        .with_inputs(|| farm.borrow_mut().share())
        .bench_local_values(|share| farm.borrow_mut().round_trip(share));
}

/// A new block on one pool: each of its connections sends a job, and each miner working there gets one.
#[divan::bench(args = FARMS)]
fn new_block_to_all(bencher: Bencher<'_, '_>, miners: usize) {
    let farm = RefCell::new(Farm::new(miners));
    bencher
        .counter(ItemsCount::new(miners))
        .with_inputs(|| farm.borrow_mut().notifies(PoolSlot::A, true))
        .bench_local_values(|events| {
            let mut farm = farm.borrow_mut();
            events
                .into_iter()
                .map(|event| farm.handle(event))
                .sum::<usize>()
        });
}

/// One miner's switch from one pool to the other when its turn is over.
#[divan::bench(args = FARMS, sample_size = 4)]
fn switch(bencher: Bencher<'_, '_>, miners: usize) {
    let farm = RefCell::new(Farm::new(miners));
    bencher
        .counter(ItemsCount::new(1_usize))
        .with_inputs(|| farm.borrow_mut().hear_from_all())
        .bench_local_values(|()| farm.borrow_mut().switch());
}

/// The state for the pages, with shared connections. DPMP spends 1% of its time on this.
#[divan::bench(args = [1000, 10_000], sample_count = 20)]
fn snapshot(bencher: Bencher<'_, '_>, miners: usize) {
    let mut farm = Farm::with(miners, "shared");
    bencher.bench_local(|| farm.snapshot());
}
