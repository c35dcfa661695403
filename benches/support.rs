//! What the benchmarks of the core work on.

pub(crate) mod farm;
