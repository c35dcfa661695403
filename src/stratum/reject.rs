//! Reasons to block a share or refuse a request, with their codes and texts.

use std::borrow::Cow;
use std::fmt;

use crate::units::named;

/// An error as sent to a miner: `[code, "message", null]`, in whatever form the pool sent it (compat Q21, Q56).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The Stratum error code.
    pub code: i64,
    /// The text, from the pool or from [`RejectReason`].
    pub message: Cow<'static, str>,
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", self.message, self.code)
    }
}

named! {
    /// Why DPMP itself refuses something.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub enum RejectReason {
        /// A parameter is missing or has the wrong form.
        Malformed = "malformed",
        /// DPMP does not know the method.
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
        /// The pool accepts such version bits in no form (compat Q57).
        VersionForm = "version_form",
        /// The ntime is earlier than the job's or too much later.
        Ntime = "ntime",
        /// The extranonce2 does not have the announced size.
        ExtranonceSize = "extranonce_size",
        /// The hash does not meet the lowest difficulty in force for the job.
        LowDifficulty = "low_difficulty",
        /// More submits per second than `listen.submits_per_second`, or more messages than can wait.
        TooMany = "too_many",
        /// The pool's connection was lost while the share waited for its answer.
        PoolLost = "pool_lost",
        /// The pool did not answer within `pools.X.answer_seconds`.
        NoAnswer = "no_answer",
        /// DPMP is about to stop.
        Stopping = "stopping",
    }
}

impl RejectReason {
    /// The one with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// The text that the miner gets.
    pub fn message(self) -> &'static str {
        self.code_and_message().1
    }

    /// The Stratum error code (20 other, 21 job not found, 22 duplicate, 23 low difficulty, 24 unauthorized, 25 not
    /// subscribed) and the text.
    fn code_and_message(self) -> (i64, &'static str) {
        match self {
            Self::Malformed => (20, "Malformed request"),
            Self::UnknownMethod => (20, "Unknown method"),
            Self::NotSubscribed => (25, "Not subscribed"),
            Self::Unauthorized => (24, "Unauthorized worker"),
            Self::UnknownJob => (21, "Job not found"),
            Self::Stale => (21, "Stale share"),
            Self::Duplicate => (22, "Duplicate share"),
            Self::VersionBits => (20, "Version bits outside the mask"),
            Self::VersionForm => (20, "The pool rejects these version bits"),
            Self::Ntime => (20, "Ntime out of range"),
            Self::ExtranonceSize => (20, "Invalid size of extranonce2"),
            Self::LowDifficulty => (23, "Low difficulty share"),
            Self::TooMany => (20, "Too many requests"),
            Self::PoolLost => (20, "Pool connection lost"),
            Self::NoAnswer => (20, "No answer from the pool"),
            Self::Stopping => (20, "Proxy is stopping"),
        }
    }
}

impl From<RejectReason> for Reject {
    fn from(reason: RejectReason) -> Self {
        let (code, message) = reason.code_and_message();
        let message = Cow::Borrowed(message);
        Self { code, message }
    }
}

named! {
    /// The kind of a pool's rejection: the metric label under which it is counted. Pools word the same thing in many
    /// ways, and a label must not have unlimited values.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub enum RejectClass {
        /// The pool does not know the job or has replaced it.
        Stale = "stale",
        /// The pool has already seen the share.
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
    /// Classifies a pool's rejection by its code, or by its text if the code says nothing.
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
        let names_work = says(&["job", "work"]) && !says(&["worker", "network"]);
        let is_gone = says(&["not found", "unknown", "expired", "no such", "too old"]);
        if says(&["stale", "job not found", "unknown job", "invalid job"]) || names_work && is_gone
        {
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
    fn rejections_are_sorted_by_code_and_then_by_text() {
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
        for gone in [
            "Job 'bf7f' not found",
            "unknown-work",
            "Job expired",
            "No such job",
            "Work is too old",
            "Invalid job id",
            "stale-prevblk",
        ] {
            assert_eq!(class(-2, gone), RejectClass::Stale, "{gone}");
        }
        for other in ["unknown worker", "Invalid nonce", "invalid worker"] {
            assert_ne!(class(-2, other), RejectClass::Stale, "{other}");
        }
    }
}
