//! What was achieved: counts, rates and totals.

pub mod meter;
pub mod recent;
pub mod tally;
pub mod totals;
