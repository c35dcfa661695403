//! Simulated pools and miners that hash for real, for `dpmp demo`, the tests and the benchmarks.
//!
//! ```text
//! chain         jobs from a seed, and a judge of shares         pure
//! pool::model   a pool's protocol: lines in, lines out          pure, time is an argument
//! pool          the same behind a listening socket              threads
//! miner::model  a miner's protocol and its hashing              pure, time is an argument
//! miner         the same over a socket                          threads
//! world         the proxy's core among such peers               pure, time is its own
//! ```
//!
//! The simulators judge the proxy, so they share no protocol code with it: JSON is taken apart with
//! `serde_json::Value` and hashes are computed in [`chain::hash`]. From [`crate::stratum`] they take
//! only plain data. They print nothing, never panic and stop when they are dropped.

pub mod chain;

pub mod miner;
pub mod peer;
pub mod pool;
pub mod world;

#[cfg(test)]
mod tests;
