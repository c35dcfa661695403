//! The fuzz targets without a fuzzer: every input in `fuzz/seeds` and `fuzz/regressions`, then about a second of inputs
//! derived from them, the same in every run. `docs/fuzzing.md` explains longer runs.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::as_conversions,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "tests fail by panicking and run in real time; the targets are public in cargo-fuzz's program"
)]

mod targets;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dpmp::random::Random;

/// How long to derive inputs for each target, unless `DPMP_FUZZ_SECONDS` is set.
const USUAL_TIME: Duration = Duration::from_millis(1000);

/// The random seed, unless `DPMP_FUZZ_SEED` is set.
const USUAL_SEED: u64 = 1;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is {text:?}, not a whole number")),
    )
}

/// The files of one target, sorted by name.
fn inputs(kind: &str, target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz")
        .join(kind)
        .join(target);
    let mut found: Vec<_> = fs::read_dir(&folder)
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default();
    found.sort();
    found
        .into_iter()
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

/// Runs a target, and reports the input if it fails.
fn attempt(run: fn(&[u8]), input: &[u8], origin: &str) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(input))) {
        println!("failed on {origin}:\n{}", String::from_utf8_lossy(input));
        let path = std::env::temp_dir().join("dpmp-fuzz-failure");
        if fs::write(&path, input).is_ok() {
            println!("the input is in {}", path.display());
        }
        resume_unwind(panic);
    }
}

fn check(target: &str, run: fn(&[u8])) {
    let seeds = inputs("seeds", target);
    assert!(!seeds.is_empty(), "there are no seeds for {target}");
    let known = [inputs("regressions", target), seeds].concat();
    for (path, input) in &known {
        attempt(run, input, &path.display().to_string());
    }
    let time = number("DPMP_FUZZ_SECONDS").map_or(USUAL_TIME, Duration::from_secs);
    let first = number("DPMP_FUZZ_SEED").unwrap_or(USUAL_SEED);
    let (begin, mut count) = (Instant::now(), 0);
    while begin.elapsed() < time {
        let seed = first.wrapping_add(count);
        let mut rng = Random::new(seed);
        let mut pick = || &known[rng.below(known.len() as u64) as usize].1;
        let (one, other) = (pick(), pick());
        let input = targets::mutate::mutate(one, other, &mut rng);
        attempt(run, &input, &format!("DPMP_FUZZ_SEED={seed}"));
        count += 1;
    }
    println!(
        "{target}: {} fixed inputs, {count} derived ones",
        known.len()
    );
}

#[test]
fn lines_are_split_correctly() {
    check("line", targets::line::run);
}

#[test]
fn messages_from_miners_are_understood_or_refused() {
    check("from_miner", targets::from_miner::run);
}

#[test]
fn messages_from_pools_are_understood_or_refused() {
    check("from_pool", targets::from_pool::run);
}

#[test]
fn a_coinbase_is_read_whole_or_not_at_all() {
    check("coinbase", targets::coinbase::run);
}

#[test]
fn an_address_survives_reading_and_writing() {
    check("address", targets::address::run);
}

#[test]
fn the_core_keeps_its_promises_whatever_happens() {
    check("core", targets::core::run);
}

#[test]
fn a_configuration_is_valid_or_refused() {
    check("config", targets::config::run);
}

#[test]
fn the_api_always_leaves_a_valid_configuration() {
    check("api", targets::api::run);
}

#[test]
fn a_proxy_header_is_read_to_its_end_and_no_further() {
    check("proxy_header", targets::proxy_header::run);
}
