//! The core in simulated time: models of real pools and miners, real lines through the real codec, seeded faults, and a
//! check of every promise of DPMP after each step.
//!
//! One file per property. [`world`] is the clock and the network; [`script`] is a world whose lines are written in the
//! test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::as_conversions,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "tests may fail loudly and begin at any instant"
)]

mod script;
mod world;

mod backups;
mod balance;
mod blocks;
mod comeback;
mod extranonce;
mod extras;
mod fallback;
mod faults;
mod fleet;
mod follow;
mod forms;
mod insight;
mod insight_chain;
mod lines;
mod news;
mod outages;
mod quirks;
mod rhythm;
mod shared;
mod split;
mod steering;
mod verdicts;
