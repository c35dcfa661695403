//! Lines to messages and messages to lines. Pure, and forgiving in what it reads as far as
//! `QUIRKS` show that real software needs it.

mod decode;
mod encode;
mod miner;
mod pool;

pub use decode::DecodeError;
pub use encode::Encode;

use crate::stratum::message::{FromMiner, FromPool};

/// Reads a line from a miner.
///
/// # Errors
/// If the line is not a JSON object with a usable id, or not JSON at all.
pub fn decode_miner(line: &[u8]) -> Result<FromMiner, DecodeError> {
    miner::decode(&decode::Envelope::parse(line)?)
}

/// Reads a line from a pool.
///
/// # Errors
/// If the line is not a JSON object with a usable id, or not JSON at all.
pub fn decode_pool(line: &[u8]) -> Result<FromPool, DecodeError> {
    pool::decode(&decode::Envelope::parse(line)?)
}
