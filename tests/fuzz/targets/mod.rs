//! How the fuzz targets use an input, and how inputs are changed. This folder is part of two programs: `cargo test`
//! (`tests/fuzz/main.rs`) and cargo-fuzz (`fuzz/`). See `docs/fuzzing.md`.

pub mod address;
pub mod api;
pub mod coinbase;
pub mod config;
pub mod core;
pub mod from_miner;
pub mod from_pool;
pub mod line;
pub mod mutate;
pub mod proxy_header;

use dpmp::stratum::codec::Encode;
use serde::de::IgnoredAny;

/// The lines of a message. Each must be one JSON object.
pub fn written(message: &impl Encode) -> Vec<String> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    let text = String::from_utf8(bytes).expect("we write UTF-8");
    assert!(text.ends_with('\n'), "{text:?} has no end");
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    for line in &lines {
        check_object(line);
    }
    lines
}

/// One of our lines must be a JSON object. (A peer's id is not checked: it is returned as it came.)
pub fn check_object(line: &str) {
    if let Err(error) = serde_json::from_str::<IgnoredAny>(line) {
        panic!("we wrote invalid JSON: {error}: {line:?}");
    }
    assert!(
        line.starts_with('{'),
        "we wrote something other than an object: {line:?}"
    );
}
