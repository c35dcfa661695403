//! Counts, rates and totals of the work done.

pub mod meter;
pub mod recent;
pub mod tally;
pub mod totals;
