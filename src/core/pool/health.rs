//! How a pool and the connections to it are, for those who tell people.

use std::fmt;

use crate::core::pool::loss::Loss;
use crate::core::pool::verdict::Flaw;
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
            Self::Flaw(flaw) => f.write_str(flaw.text()),
            Self::NoJob => f.write_str("it gives no job"),
            Self::NoWork => f.write_str("it gives no work"),
            Self::Unknown => f.write_str("it could not be used"),
        }
    }
}

named! {
    /// How far a connection to a pool has got.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Stage {
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

impl Stage {
    /// The name in the API.
    pub fn label(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Waiting => "waiting",
            Self::Refused => "refused",
            Self::Connecting => "connecting",
            Self::Handshake => "handshake",
            Self::Ready => "ready",
        }
    }
}
