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
        /// Nobody needed it so far.
        #[default]
        Unknown = "unknown",
        /// At least one connection is authorized.
        Up = "up",
        /// It is needed and no connection is authorized.
        Down = "down",
    }
}

named! {
    /// What is wrong with a pool that can be reached and gives work.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Flaw {
        /// It leaves all or most shares without an answer.
        Mute = "mute",
        /// It rejects most shares, stale ones aside.
        Rejecting = "rejecting",
        /// Its jobs stand on a block that the other pool has left.
        Behind = "behind",
        /// It gives no new job, though it used to.
        WithoutNews = "without_news",
    }
}

impl Flaw {
    /// Whether what is done for the pool earns nothing, so that nothing is missed at it.
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
    /// Its connection was lost or could not be made.
    Lost(Loss),
    /// It can be reached and is not worth working for.
    Flaw(Flaw),
    /// It has authorized miners and given none a job for a while.
    NoJob,
    /// It has authorized miners and given none a job yet.
    NoWork,
    /// Nobody has tried it.
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
    /// How far a connection to a pool has got.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum ConnectionState {
        /// None is wanted.
        Idle = "idle",
        /// It will be made after a pause, or when others have work.
        Waiting = "waiting",
        /// The same, because the pool refused to authorize the worker.
        Refused = "refused",
        /// It is being made.
        Connecting = "connecting",
        /// The handshake has begun.
        Handshake = "handshake",
        /// It is authorized.
        Ready = "ready",
    }
}

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
    /// The pool's extranonce2 is smaller than 2; its size.
    ExtranonceTooSmall(u8),
    /// Nothing was heard for too long, see `stall_seconds`.
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
