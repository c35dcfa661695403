//! What the fuzz targets do with an input, and how inputs are changed. This folder is part of two programs:
//! `cargo test` (`tests/fuzz/main.rs`) and cargo-fuzz (`fuzz/`). See `docs/fuzzing.md`.

pub mod api;
pub mod config;
pub mod core;
pub mod from_miner;
pub mod from_pool;
pub mod line;
pub mod mutate;
pub mod proxy_header;

use dpmp::stratum::codec::Encode;
use serde_json::Value;

/// The lines that a message is written as. Each must be one JSON object.
pub fn written(message: &impl Encode) -> Vec<Value> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    let text = String::from_utf8(bytes).expect("we write UTF-8");
    assert!(text.ends_with('\n'), "{text:?} has no end");
    text.lines().map(object).collect()
}

/// A line of ours, which must be a JSON object.
pub fn object(line: &str) -> Value {
    let value: Value = serde_json::from_str(line).unwrap_or_else(|error| {
        panic!("we wrote what is no JSON: {error}: {line:?}");
    });
    assert!(value.is_object(), "we wrote no object: {line:?}");
    value
}
