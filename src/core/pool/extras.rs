//! Optional messages to a pool: a suggested difficulty, the answer to its ping, DPMP's version.
//!
//! Some pools close the connection on such a message (compat Q77). If a pool does so right after one, twice in a row,
//! DPMP no longer sends it. The pool may have been down or restarting instead. So the suspicion is dropped if the pool
//! also closes a connection without the message, and DPMP tries the message again after a while.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::units::later;

/// A pool that closes a connection this soon after a message may have done so because of it.
pub const SUSPICIOUS: Duration = Duration::from_secs(5);

/// This many connections may be lost to a message before it is left out.
const ENOUGH: u8 = 2;

/// After this many failed attempts in a row, the pool may be a different one, so what it tolerated before does not
/// count.
const ENOUGH_FAILURES: u32 = 5;

/// After this long, one connection tries again with the message.
const REST: Duration = Duration::from_secs(3600);

/// An optional message to a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    /// `mining.suggest_difficulty`.
    Suggestion,
    /// The answer to `mining.ping`.
    Pong,
    /// The answer to `client.get_version`.
    Version,
}

impl Extra {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Suggestion, Self::Pong, Self::Version];
}

/// Which optional messages make a pool close the connection. The state file only has the result, not what it is based
/// on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tolerances {
    suggestion: Tolerance,
    pong: Tolerance,
    version: Tolerance,
}

impl Tolerances {
    /// What is known about one message.
    pub fn of(&mut self, extra: Extra) -> &mut Tolerance {
        match extra {
            Extra::Suggestion => &mut self.suggestion,
            Extra::Pong => &mut self.pong,
            Extra::Version => &mut self.version,
        }
    }
}

/// Whether a pool tolerates one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "bool", into = "bool")]
pub struct Tolerance {
    hangs_up: bool,
    /// How often in a row a connection was closed right after it.
    suspicions: u8,
    /// When that happened last.
    suspected: Option<Instant>,
    /// Whether a connection has survived it.
    proven: bool,
    /// When it is tried again.
    retry: Option<Instant>,
}

impl From<bool> for Tolerance {
    fn from(hangs_up: bool) -> Self {
        Self {
            hangs_up,
            ..Self::default()
        }
    }
}

impl From<Tolerance> for bool {
    fn from(tolerance: Tolerance) -> Self {
        tolerance.hangs_up
    }
}

impl Tolerance {
    /// Whether to send the message now. One connection at a time tries a message that is usually left out.
    pub fn allows(&mut self, now: Instant) -> bool {
        if !self.hangs_up {
            return true;
        }
        let next = later(now, REST);
        let due = *self.retry.get_or_insert(next) <= now;
        if due {
            self.retry = Some(next);
        }
        due
    }

    /// A connection has survived the message, or the pool has answered it.
    pub fn outlived(&mut self) {
        *self = Self {
            proven: true,
            ..Self::default()
        };
    }

    /// The pool closed a connection right after the message was sent at `sent`, after `failures` failed attempts in a
    /// row.
    pub fn hung_up(&mut self, sent: Instant, failures: u32, now: Instant) {
        let trusted = self.proven && failures < ENOUGH_FAILURES;
        // An outage ends many connections at the same time, which counts as one suspicion.
        let same_event = self.suspected.is_some_and(|suspected| sent < suspected);
        if trusted || same_event || self.hangs_up {
            return;
        }
        self.proven = false;
        self.suspected = Some(now);
        self.suspicions += 1;
        if self.suspicions >= ENOUGH {
            self.hangs_up = true;
            self.suspicions = 0;
            self.retry = Some(later(now, REST));
        }
    }

    /// The pool closed a connection just as quickly without the message.
    pub fn hung_up_without(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
mod tests {
    use super::*;

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn a_message_is_skipped_after_two_failures_and_retried_on_one_connection() {
        let start = Instant::now();
        let mut it = Tolerance::default();
        for second in [0, 10] {
            assert!(it.allows(after(start, second)));
            it.hung_up(after(start, second), 1, after(start, second + 1));
        }
        assert!(!it.allows(after(start, 20)));
        assert!(!it.allows(after(start, 3600)));
        assert!(it.allows(after(start, 3700)));
        assert!(!it.allows(after(start, 3700)), "one is enough");
        it.hung_up(after(start, 3700), 1, after(start, 3701));
        assert!(!it.allows(after(start, 3702)));
        assert!(it.allows(after(start, 7400)));
        it.outlived();
        assert!(it.allows(after(start, 7401)));
        let kept: Tolerance = serde_json::from_str("true").unwrap();
        assert!(!kept.clone().allows(after(start, 0)));
        assert_eq!(serde_json::to_string(&kept).unwrap(), "true");
    }

    #[test]
    fn an_outage_is_not_blamed_on_a_message() {
        let start = Instant::now();
        // It ends many connections at the same time.
        let mut it = Tolerance::default();
        for sent in 0..4 {
            it.hung_up(after(start, sent), 1, after(start, 4));
        }
        assert!(it.allows(after(start, 5)));
        // It closes connections without the message, too.
        it.hung_up(after(start, 5), 1, after(start, 6));
        assert!(!it.allows(after(start, 7)));
        it.hung_up_without();
        assert!(it.allows(after(start, 8)));
        // The pool has tolerated it before.
        it.outlived();
        for second in 10..14 {
            it.hung_up(after(start, second), 2, after(start, second));
        }
        assert!(it.allows(after(start, 20)));
    }
}
