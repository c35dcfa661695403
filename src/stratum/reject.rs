//! Why a share or a request is refused, and the code and text that say so on the wire.

use std::borrow::Cow;
use std::fmt;

use crate::units::named;

/// A refusal as it goes to a miner: `[code, "message", null]`, whatever form a pool gave it (compat Q21, Q56).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The Stratum error code.
    pub code: i64,
    /// The text, as the pool said it or as [`RejectReason`] has it.
    pub message: Cow<'static, str>,
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", self.message, self.code)
    }
}

named! {
    /// Why this proxy itself refuses something.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub enum RejectReason {
        /// The request lacks a parameter or has one of the wrong form.
        Malformed = "malformed",
        /// The method is none that this proxy knows.
        UnknownMethod = "unknown_method",
        /// The miner has not subscribed yet.
        NotSubscribed = "not_subscribed",
        /// The worker was not authorized on this connection.
        Unauthorized = "unauthorized",
        /// The job was never sent on this connection, or so long ago that it is forgotten.
        UnknownJob = "unknown_job",
        /// The job's pool has replaced it, or the connection it came from is gone.
        Stale = "stale",
        /// The same work was submitted before.
        Duplicate = "duplicate",
        /// Version bits outside the mask in force for the job.
        VersionBits = "version_bits",
        /// The pool takes such version bits in no form (compat Q57).
        VersionForm = "version_form",
        /// The ntime is before the job's or too far after it.
        Ntime = "ntime",
        /// The extranonce2 has not the announced size.
        ExtranonceSize = "extranonce_size",
        /// The hash does not meet the lowest difficulty in force for the job.
        LowDifficulty = "low_difficulty",
        /// More submits a second than `listen.submits_per_second`, or more of anything than can wait.
        TooMany = "too_many",
        /// The pool's connection was lost while the share waited for its answer.
        PoolLost = "pool_lost",
        /// The pool did not answer within `pools.X.answer_seconds`.
        NoAnswer = "no_answer",
        /// The proxy is about to stop.
        Stopping = "stopping",
    }
}

impl RejectReason {
    /// The Stratum error code: 20 other, 21 job not found, 22 duplicate, 23 low difficulty,
    /// 24 unauthorized, 25 not subscribed.
    pub fn code(self) -> i64 {
        match self {
            Self::Malformed
            | Self::UnknownMethod
            | Self::VersionBits
            | Self::VersionForm
            | Self::Ntime
            | Self::ExtranonceSize
            | Self::TooMany
            | Self::PoolLost
            | Self::NoAnswer
            | Self::Stopping => 20,
            Self::UnknownJob | Self::Stale => 21,
            Self::Duplicate => 22,
            Self::LowDifficulty => 23,
            Self::Unauthorized => 24,
            Self::NotSubscribed => 25,
        }
    }

    /// The text that the miner gets.
    pub fn message(self) -> &'static str {
        match self {
            Self::Malformed => "Malformed request",
            Self::UnknownMethod => "Unknown method",
            Self::NotSubscribed => "Not subscribed",
            Self::Unauthorized => "Unauthorized worker",
            Self::UnknownJob => "Job not found",
            Self::Stale => "Stale share",
            Self::Duplicate => "Duplicate share",
            Self::VersionBits => "Version bits outside the mask",
            Self::VersionForm => "The pool rejects these version bits",
            Self::Ntime => "Ntime out of range",
            Self::ExtranonceSize => "Invalid size of extranonce2",
            Self::LowDifficulty => "Low difficulty share",
            Self::TooMany => "Too many requests",
            Self::PoolLost => "Pool connection lost",
            Self::NoAnswer => "No answer from the pool",
            Self::Stopping => "Proxy is stopping",
        }
    }
}

impl From<RejectReason> for Reject {
    fn from(reason: RejectReason) -> Self {
        Self {
            code: reason.code(),
            message: Cow::Borrowed(reason.message()),
        }
    }
}

named! {
    /// What a pool's refusal comes down to: the metric label under which it is counted.
    /// Pools word the same thing in many ways, and a label must not have unbounded values.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub enum RejectClass {
        /// The pool does not know the job or has replaced it.
        Stale = "stale",
        /// The pool has seen the share before.
        Duplicate = "duplicate",
        /// The hash is not good enough for the pool.
        LowDifficulty = "low_difficulty",
        /// The pool does not know the worker.
        Unauthorized = "unauthorized",
        /// Anything else.
        Other = "other",
    }
}

impl RejectClass {
    /// Sorts a pool's refusal by its code, or by its words where the code says nothing.
    pub fn of(reject: &Reject) -> Self {
        match reject.code {
            21 => return Self::Stale,
            22 => return Self::Duplicate,
            23 => return Self::LowDifficulty,
            24 | 25 => return Self::Unauthorized,
            _ => {}
        }
        let text = reject.message.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if says(&["stale", "job not found", "unknown job", "invalid job"]) {
            Self::Stale
        } else if says(&["duplicate"]) {
            Self::Duplicate
        } else if says(&[
            "low diff",
            "difficulty too low",
            "above target",
            "high-hash",
            "h-not-zero",
        ]) {
            Self::LowDifficulty
        } else if says(&["unauthorized", "not authorized", "worker mismatch"]) {
            Self::Unauthorized
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pools_refusal_is_sorted_by_code_then_by_words() {
        let class = |code, message: &'static str| {
            RejectClass::of(&Reject {
                code,
                message: message.into(),
            })
        };
        assert_eq!(class(21, "whatever"), RejectClass::Stale);
        assert_eq!(class(20, "Above target"), RejectClass::LowDifficulty);
        assert_eq!(class(-1, "Duplicate share"), RejectClass::Duplicate);
        assert_eq!(class(20, "Worker mismatch"), RejectClass::Unauthorized);
        assert_eq!(class(20, "?"), RejectClass::Other);
    }
}
