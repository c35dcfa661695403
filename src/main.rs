//! dpmp.
fn main() {}
