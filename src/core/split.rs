//! How the work is split between the pools.

pub mod schedule;
