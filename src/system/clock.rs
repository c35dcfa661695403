//! The only place where clocks are read; all other code gets the time as an argument.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::units::Now;

/// The time for measuring and waiting.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn clock() -> Instant {
    Instant::now()
}

/// The time on both clocks.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn now() -> Now {
    let unix = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Now {
        at: clock(),
        unix_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX),
    }
}
