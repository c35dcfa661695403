//! Why a pool connection is given up, and what that says about the pool.

use std::fmt;

use crate::core::event::{CloseReason, DialError};
use crate::core::pool::dialer::Ended;
use crate::core::pool::facts::ConfigureHabit;
use crate::stratum::reject::Reject;

/// Why a connection is given up.
#[derive(Clone, Debug, PartialEq)]
pub enum Loss {
    /// It ended; how.
    Closed(CloseReason),
    /// It could not be made; why.
    DialFailed(DialError),
    /// A step of the handshake was not answered.
    NoAnswerTo(Step),
    /// The pool answered a step with a refusal.
    Refused(Step, Reject),
    /// The pool's answer to subscribe makes no sense.
    BadSubscription(String),
    /// It said something that cannot be read and cannot be passed over.
    BadMessage(String),
    /// The pool's extranonce2 is smaller than [`SMALLEST_E2`](crate::core::work::extranonce::SMALLEST_E2); its size.
    ExtranonceTooSmall(u8),
    /// Nothing was heard for `stall_seconds`.
    Stalled,
    /// A share was not answered for `answer_seconds`.
    Unanswered,
}

impl Loss {
    /// Whether only the owner, or the pool's, can mend it. It is of this worker: others may have more luck.
    pub fn is_firm(&self) -> bool {
        matches!(
            self,
            Self::Refused(Step::Authorize, _)
                | Self::ExtranonceTooSmall(_)
                | Self::DialFailed(DialError::Certificate(_))
        )
    }

    /// What it says about the pool to those who wait for it.
    pub fn ended(&self) -> Ended {
        match self {
            Self::DialFailed(DialError::Unreachable(_)) => Ended::Unreachable,
            Self::Refused(Step::Authorize, _) => Ended::Refused,
            Self::DialFailed(DialError::Unencrypted(_) | DialError::Certificate(_))
            | Self::Closed(_)
            | Self::NoAnswerTo(_)
            | Self::Refused(..)
            | Self::BadSubscription(_)
            | Self::BadMessage(_)
            | Self::ExtranonceTooSmall(_)
            | Self::Stalled
            | Self::Unanswered => Ended::Useless,
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(how) => how.fmt(f),
            Self::DialFailed(why) => write!(f, "could not connect: {why}"),
            Self::NoAnswerTo(step) => write!(f, "no answer to {step}"),
            Self::Refused(step, reject) => write!(f, "{step} refused: {reject}"),
            Self::BadSubscription(what) => write!(f, "unusable answer to mining.subscribe: {what}"),
            Self::BadMessage(what) => f.write_str(what),
            Self::ExtranonceTooSmall(size) => write!(
                f,
                "the pool leaves {size} bytes of extranonce2, at least 2 are needed"
            ),
            Self::Stalled => f.write_str("silent for too long"),
            Self::Unanswered => f.write_str("a share was not answered in time"),
        }
    }
}

/// A step of the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// `mining.configure` before subscribe.
    Configure,
    /// `mining.subscribe`.
    Subscribe,
    /// `mining.configure` after subscribe.
    ConfigureLate,
    /// `mining.authorize`.
    Authorize,
}

impl Step {
    /// In which order this asks to configure, if it does.
    pub fn order(self) -> Option<ConfigureHabit> {
        match self {
            Self::Configure => Some(ConfigureHabit::First),
            Self::ConfigureLate => Some(ConfigureHabit::AfterSubscribe),
            Self::Subscribe | Self::Authorize => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configure | Self::ConfigureLate => "mining.configure",
            Self::Subscribe => "mining.subscribe",
            Self::Authorize => "mining.authorize",
        })
    }
}
