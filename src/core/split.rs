//! How the work is split between the pools.

pub mod fleet;
pub mod schedule;
