//! Why a pool cannot be used, or why a connection to it was lost, and the states of pools and connections. The core
//! passes these types to log, API and metrics.

use std::fmt;

use crate::core::event::{CloseReason, DialError};
use crate::stratum::reject::Reject;
use crate::units::named;

named! {
    /// A pool's state.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub enum Health {
        /// It has not been needed so far.
        #[default]
        Unknown = "unknown",
        /// At least one connection is authorized.
        Up = "up",
        /// It is needed, but no connection is authorized.
        Down = "down",
    }
}

named! {
    /// What is wrong with a pool that can be reached and sends work.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Flaw {
        /// It does not answer all or most shares.
        Mute = "mute",
        /// It rejects most shares, not counting stale ones.
        Rejecting = "rejecting",
        /// Its jobs build on a block that the other pool has moved on from.
        Behind = "behind",
        /// It sends no new job, although it used to.
        WithoutNews = "without_news",
    }
}

impl Flaw {
    /// Whether work for the pool earns nothing, so that the pool misses nothing.
    pub fn earns_nothing(self) -> bool {
        match self {
            Self::Mute | Self::Rejecting => true,
            Self::Behind | Self::WithoutNews => false,
        }
    }
}

/// Why a pool cannot be used.
#[derive(Clone, Debug, PartialEq)]
pub enum Outage {
    /// Its connection was lost or failed.
    Lost(Loss),
    /// It can be reached, but is not worth working for.
    Flaw(Flaw),
    /// It has authorized miners, but has sent no job for a while.
    NoJob,
    /// It has authorized miners, but has not sent a job yet.
    NoWork,
    /// It has not been tried.
    Unknown,
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(loss) => loss.fmt(f),
            Self::Flaw(Flaw::Mute) => f.write_str("it does not answer shares"),
            Self::Flaw(Flaw::Rejecting) => f.write_str("it rejects most shares"),
            Self::Flaw(Flaw::Behind) => f.write_str("its jobs are for an old block"),
            Self::Flaw(Flaw::WithoutNews) => f.write_str("it sends no new job"),
            Self::NoJob => f.write_str("it sends no job"),
            Self::NoWork => f.write_str("it sends no work"),
            Self::Unknown => f.write_str("it could not be used"),
        }
    }
}

named! {
    /// The state of a connection to a pool.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum ConnectionState {
        /// It is not needed.
        Idle = "idle",
        /// It will be dialed after a pause, or when others have work.
        Waiting = "waiting",
        /// The same, because the pool refused to authorize the worker.
        Refused = "refused",
        /// It is being dialed.
        Connecting = "connecting",
        /// The handshake has begun.
        Handshake = "handshake",
        /// It is authorized.
        Ready = "ready",
    }
}

/// Why a connection was given up.
#[derive(Clone, Debug, PartialEq)]
pub enum Loss {
    /// It ended in this way.
    Closed(CloseReason),
    /// It could not be established.
    DialFailed(DialError),
    /// A step of the handshake was not answered.
    NoAnswerTo(Step),
    /// The pool refused a step.
    Refused(Step, Reject),
    /// The pool's answer to subscribe makes no sense.
    BadSubscription(String),
    /// It sent something unusable that cannot be ignored.
    BadMessage(String),
    /// The pool's extranonce2 has less than 2 bytes: this many.
    ExtranonceTooSmall(u8),
    /// The pool was silent for too long, see `stall_seconds`.
    Stalled,
    /// A share was not answered for `answer_seconds`.
    Unanswered,
}

impl Loss {
    /// Whether only the owner or the pool's operator can fix it. It may only concern this worker, so others may still
    /// succeed.
    pub fn is_firm(&self) -> bool {
        matches!(
            self,
            Self::Refused(Step::Authorize, _)
                | Self::ExtranonceTooSmall(_)
                | Self::DialFailed(DialError::Certificate(_))
        )
    }
}

impl Loss {
    /// Why the system had no room for it, if that is the reason.
    pub fn lacks_room(&self) -> Option<&str> {
        match self {
            Self::DialFailed(DialError::NoRoom(why)) => Some(why),
            Self::DialFailed(_)
            | Self::Closed(_)
            | Self::NoAnswerTo(_)
            | Self::Refused(..)
            | Self::BadSubscription(_)
            | Self::BadMessage(_)
            | Self::ExtranonceTooSmall(_)
            | Self::Stalled
            | Self::Unanswered => None,
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
                "the pool's extranonce2 is too small: its size is {size}, at least 2 bytes are needed"
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

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configure | Self::ConfigureLate => "mining.configure",
            Self::Subscribe => "mining.subscribe",
            Self::Authorize => "mining.authorize",
        })
    }
}
