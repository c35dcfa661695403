//! Lines to messages and messages to lines. Pure functions that accept deviations as far as docs/compatibility.md shows
//! that real software needs it.

mod decode;
mod encode;
mod miner;
mod pool;
mod recover;

use std::borrow::Cow;

pub use decode::DecodeError;
pub use encode::Encode;

use crate::stratum::message::{FromMiner, FromPool};

/// Reads a line from a miner.
///
/// # Errors
/// If the line is not a JSON object with a usable id, nor a request that can be recognized all the same.
pub fn decode_miner(line: &[u8]) -> Result<FromMiner, DecodeError> {
    let read = with_envelope(line, miner::decode);
    if let Err(DecodeError::NotJson(problem)) = &read {
        if let Some(request) = recover::request(&decode::readable(line), problem) {
            return Ok(request);
        }
    }
    read
}

/// Reads a line from a pool.
///
/// # Errors
/// If the line is not a JSON object with a usable id, or not JSON at all.
pub fn decode_pool(line: &[u8]) -> Result<FromPool, DecodeError> {
    with_envelope(line, pool::decode)
}

fn with_envelope<T>(
    line: &[u8],
    decode: impl Fn(&decode::Envelope<'_>) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    let text = decode::readable(line);
    match decode::Envelope::parse(&text) {
        Ok(envelope) => decode(&envelope),
        Err(DecodeError::NotJson(problem)) if matches!(text, Cow::Owned(_)) => {
            let text = decode::without_double_bytes(line);
            let envelope =
                decode::Envelope::parse(&text).map_err(|_| DecodeError::NotJson(problem))?;
            decode(&envelope)
        }
        Err(error) => Err(error),
    }
}
