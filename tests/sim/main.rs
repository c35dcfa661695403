//! tests.
fn main() {}
