//! How a pool and a connection to it are: types that go from the core to log, API and metrics.

use std::fmt;

use crate::core::pool::loss::Loss;
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
            Self::Flaw(Flaw::WithoutNews) => f.write_str("it gives no new job"),
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
