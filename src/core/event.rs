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

/// Why a dial failed, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialError {
    /// The address cannot be reached, or the name has no address.
    Unreachable(String),
    /// The address can be reached, but no encrypted connection could be established.
    Unencrypted(String),
    /// The certificate is not trusted. Only the owner or the pool's operator can fix that.
    Certificate(String),
    /// The system has no room for one more connection of a miner's own.
    NoRoom(String),
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why)
            | Self::Unencrypted(why)
            | Self::Certificate(why)
            | Self::NoRoom(why) => f.write_str(why),
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
    /// A miner connected. The first event for its id.
    MinerOpened {
        /// Its new id.
        miner: MinerId,
        /// The miner's address and port.
        peer: SocketAddr,
    },
    /// A miner sent a line.
    MinerSent {
        /// The miner.
        miner: MinerId,
        /// The message.
        message: FromMiner,
    },
    /// A miner sent a line that is not a message.
    MinerMalformed {
        /// The miner.
        miner: MinerId,
        /// What was wrong.
        error: DecodeError,
    },
    /// A miner's connection ended. The last event for its id.
    MinerClosed {
        /// The miner.
        miner: MinerId,
        /// The reason, in words.
        reason: CloseReason,
    },
    /// A pool connection was made. The first event of the connection.
    PoolOpened {
        /// The connection.
        conn: PoolConn,
    },
    /// A dial failed. The only event for its connection.
    PoolDialFailed {
        /// The connection.
        conn: PoolConn,
        /// Why.
        error: DialError,
    },
    /// A pool sent a line.
    PoolSent {
        /// The connection.
        conn: PoolConn,
        /// The message.
        message: FromPool,
    },
    /// A pool sent a line that is not a message.
    PoolMalformed {
        /// The connection.
        conn: PoolConn,
        /// What was wrong.
        error: DecodeError,
    },
    /// A pool connection ended. Its last event.
    PoolClosed {
        /// The connection.
        conn: PoolConn,
        /// The reason, in words.
        reason: CloseReason,
    },
    /// The owner changed the configuration to this one, which is already validated.
    ConfigChanged(Arc<Config>, Source),
    /// The owner dismissed the notice that a pool's earnings go elsewhere.
    PayoutSeen {
        /// The pool.
        slot: PoolSlot,
        /// The time of the change, as in the [snapshot](crate::core::snapshot::PoolView).
        changed: u64,
    },
    /// The owner dismissed the notice of a block.
    BlockSeen {
        /// The pool.
        slot: PoolSlot,
        /// The time, in milliseconds since 1970.
        found: u64,
    },
    /// The owner dismissed the notice of a missing worker.
    MissingSeen {
        /// Its name.
        worker: String,
    },
    /// The owner wants a temporary change.
    Override(Override),
    /// The owner ends the temporary change for these workers.
    OverrideEnded(Vec<String>),
    /// The timetable says something new, or its clock was set.
    Timetable(TimetableNow),
    /// A program sent prices, by coin in upper case, from 0 to [`HIGHEST`](crate::core::balance::prices::HIGHEST).
    /// Coins that it leaves out keep theirs; 0 removes a price.
    PricesSet(BTreeMap<String, f64>),
    /// The process should stop.
    ShutdownRequested(Stop),
}

/// The source of a configuration change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The file was edited.
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
    /// The source's name in the log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Page(_) => "page",
            Self::Api(_) | Self::Program(..) => "api",
        }
    }

    /// The client's address, if the change came over the network.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::File => None,
            Self::Page(from) | Self::Api(from) | Self::Program(_, from) => Some(*from),
        }
    }
}

/// How miners are disconnected when DPMP stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// One after the other, over `listen.drain_seconds`.
    Drained,
    /// All of them immediately.
    AtOnce,
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The peer closed it.
    ByPeer,
    /// DPMP closed it.
    ByUs,
    /// The socket failed, with the system's error message.
    Failed(String),
    /// The peer exceeded this limit.
    Misbehaved(String),
    /// The peer uses this other protocol.
    OtherProtocol(String),
    /// The peer did not read.
    NotReading,
    /// A pool ended an unencrypted connection, in this way, before it sent anything.
    Unheard(Box<Self>),
}

impl CloseReason {
    /// The reason for the end of a pool's connection. A port that only accepts TLS ends an unencrypted connection
    /// before it sends anything. The reason then says so, for an owner who forgot to set `tls`.
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
