//! Everything that can change the core's state, as plain data.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::config::Config;
use crate::core::steering::{Override, TimetableNow};
use crate::stratum::codec::DecodeError;
use crate::stratum::message::{FromMiner, FromPool};
use crate::units::{MinerId, PoolConn, PoolSlot};

/// Why a dial came to nothing, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialError {
    /// Nobody could be reached at the address, or the name has none.
    Unreachable(String),
    /// Somebody was reached, but no encrypted connection could be made.
    Unencrypted(String),
    /// The certificate is not trusted. Only the owner, or the pool's, can change that.
    Certificate(String),
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) | Self::Unencrypted(why) | Self::Certificate(why) => {
                f.write_str(why)
            }
        }
    }
}

impl From<&str> for DialError {
    fn from(why: &str) -> Self {
        Self::Unreachable(why.to_owned())
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A miner connected. The first event of its id.
    MinerOpened {
        /// Its new id.
        miner: MinerId,
        /// Where it comes from.
        peer: SocketAddr,
    },
    /// A miner sent a line.
    MinerSent {
        /// Who.
        miner: MinerId,
        /// What.
        message: FromMiner,
    },
    /// A miner sent a line that is no message.
    MinerMalformed {
        /// Who.
        miner: MinerId,
        /// What was wrong.
        error: DecodeError,
    },
    /// A miner's connection ended. The last event of its id.
    MinerClosed {
        /// Who.
        miner: MinerId,
        /// Why, in words.
        reason: CloseReason,
    },
    /// A dialled pool connection stands. The first event of the connection.
    PoolOpened {
        /// Which.
        conn: PoolConn,
    },
    /// A dial came to nothing. The only event of the connection.
    PoolDialFailed {
        /// Which.
        conn: PoolConn,
        /// Why.
        error: DialError,
    },
    /// A pool sent a line.
    PoolSent {
        /// On which connection.
        conn: PoolConn,
        /// What.
        message: FromPool,
    },
    /// A pool sent a line that is no message.
    PoolMalformed {
        /// On which connection.
        conn: PoolConn,
        /// What was wrong.
        error: DecodeError,
    },
    /// A pool connection ended. The last event of the connection.
    PoolClosed {
        /// Which.
        conn: PoolConn,
        /// Why, in words.
        reason: CloseReason,
    },
    /// The owner changed the configuration, in this way; it was validated before.
    ConfigChanged(Arc<Config>, Source),
    /// The owner has seen that a pool's earnings go elsewhere.
    PayoutSeen {
        /// Which pool.
        slot: PoolSlot,
        /// When the change was, as the [snapshot](crate::core::snapshot::PoolView) has it.
        changed: u64,
    },
    /// The owner has seen that a block was found.
    BlockSeen {
        /// For which pool.
        slot: PoolSlot,
        /// When, in milliseconds since 1970.
        found: u64,
    },
    /// The owner has seen that a worker is missing.
    MissingSeen {
        /// Its name.
        worker: String,
    },
    /// The owner wants a temporary change.
    Override(Override),
    /// The owner ends the temporary change for these workers.
    OverrideEnded(Vec<String>),
    /// What the timetable says has changed, or the clock that it goes by was set.
    Timetable(TimetableNow),
    /// A program has put prices, by coin in upper case, from 0 to [`HIGHEST`](crate::core::balance::prices::HIGHEST).
    /// Coins that are not named keep theirs; 0 takes away what was put before.
    PricesSet(BTreeMap<String, f64>),
    /// The process is to stop.
    ShutdownRequested(Stop),
}

/// Where a change of the configuration came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Somebody wrote the file.
    File,
    /// A page in a browser at this address.
    Page(IpAddr),
    /// Another program at this address, through the API.
    Api(IpAddr),
    /// Another program at this address, with the token of this name.
    Program(Arc<str>, IpAddr),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => f.write_str("the configuration file"),
            Self::Page(from) => write!(f, "a browser at {from}"),
            Self::Api(from) => write!(f, "a program at {from}"),
            Self::Program(name, from) => write!(f, "the program {name} at {from}"),
        }
    }
}

impl Source {
    /// What it is called in the log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Page(_) => "page",
            Self::Api(_) | Self::Program(..) => "api",
        }
    }

    /// Whose address it is, if it came over the network.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::File => None,
            Self::Page(from) | Self::Api(from) | Self::Program(_, from) => Some(*from),
        }
    }
}

/// How the miners are let go at a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// One after the other, over `listen.drain_seconds`.
    Drained,
    /// All of them now.
    AtOnce,
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The peer closed it.
    ByPeer,
    /// We closed it.
    ByUs,
    /// The socket failed; the system's words.
    Failed(String),
    /// The peer broke a bound; which.
    Misbehaved(String),
    /// The peer speaks another protocol; which.
    OtherProtocol(String),
    /// The peer did not read what it was sent.
    NotReading,
    /// A pool that was spoken to without TLS ended it before it said anything; how.
    Unheard(Box<Self>),
}

impl CloseReason {
    /// What the reason means on a pool's connection. Ports that are only for TLS end one without TLS before they say
    /// anything, and an owner who forgot to set it should be told.
    #[must_use]
    pub fn of_pool(self, heard: bool, encrypted: bool) -> Self {
        let theirs = matches!(self, Self::ByPeer | Self::Failed(_));
        if theirs && !heard && !encrypted {
            Self::Unheard(Box::new(self))
        } else {
            self
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByPeer => f.write_str("closed by the peer"),
            Self::ByUs => f.write_str("closed by the proxy"),
            Self::Failed(error) => write!(f, "connection failed: {error}"),
            Self::Misbehaved(what) | Self::OtherProtocol(what) => write!(f, "peer sent {what}"),
            Self::NotReading => f.write_str("peer does not read"),
            Self::Unheard(how) => write!(
                f,
                "{how}, before it sent anything; if its port only accepts TLS, set tls"
            ),
        }
    }
}
