//! The scheduler's only inbox: the inputs that can arrive in it, and the data that its senders share.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::RwLock;

use crate::config::Config;
use crate::core::event::{CloseReason, DialError, Source, Stop};
use crate::core::fact::Fact;
use crate::core::steering::{Override, TimetableNow};
use crate::observe::Observer;
use crate::shell::jobs::LatestJobs;
use crate::shell::link::Link;
use crate::shell::names::Names;
use crate::shell::tls::pool::Tls;
use crate::stratum::codec::DecodeError;
use crate::stratum::message::{FromMiner, FromPool};
use crate::units::{MinerId, PoolConn, PoolSlot};

/// How many inputs may wait for the scheduler. If it is full, readers pause, and so do their peers.
const INBOX: usize = 4096;

/// The configuration in force, for threads that read it now and then, and the next one.
#[derive(Clone, Debug)]
pub struct Live(Arc<RwLock<Configs>>);

#[derive(Debug)]
struct Configs {
    in_force: Arc<Config>,
    wanted: Arc<Config>,
    /// Its source.
    by: Source,
}

impl Live {
    /// Starts with this configuration.
    pub fn new(config: Arc<Config>) -> Self {
        Self(Arc::new(RwLock::new(Configs {
            in_force: Arc::clone(&config),
            wanted: config,
            by: Source::File,
        })))
    }

    /// The configuration in force.
    pub fn get(&self) -> Arc<Config> {
        Arc::clone(&self.0.read().in_force)
    }

    /// The newest configuration, even if the scheduler has not applied it yet.
    pub fn wanted(&self) -> Arc<Config> {
        Arc::clone(&self.0.read().wanted)
    }

    /// Sets the newest configuration. It waits for [`Input::Config`].
    pub fn want(&self, config: Arc<Config>, by: Source) {
        let mut configs = self.0.write();
        (configs.wanted, configs.by) = (config, by);
    }

    /// Puts the newest configuration into force. Returns it with its source, unless it already was in force. For the
    /// scheduler.
    pub fn put_into_force(&self) -> Option<(Arc<Config>, Source)> {
        let mut configs = self.0.write();
        if Arc::ptr_eq(&configs.in_force, &configs.wanted) {
            return None;
        }
        configs.in_force = Arc::clone(&configs.wanted);
        Some((Arc::clone(&configs.wanted), configs.by.clone()))
    }
}

/// What all connection threads share.
#[derive(Clone)]
pub struct Context {
    /// The scheduler's inbox.
    pub inbox: Sender<Input>,
    /// The configuration in force.
    pub live: Live,
    /// Metrics and log.
    pub observer: Arc<Observer>,
    /// For looking up where pools are.
    pub names: Names,
    /// For encrypted connections to pools.
    pub tls: Tls,
    /// The pools' latest jobs.
    pub jobs: Arc<LatestJobs>,
}

/// What arrives in the scheduler's inbox.
#[derive(Debug)]
pub enum Input {
    /// A miner connected.
    MinerOpened {
        /// The miner's id.
        miner: MinerId,
        /// The miner's address and port.
        peer: SocketAddr,
        /// For writing to it.
        link: Link,
    },
    /// A miner's line.
    MinerLine {
        /// The miner.
        miner: MinerId,
        /// The message.
        line: Result<FromMiner, DecodeError>,
        /// When it was read.
        received: Instant,
    },
    /// A miner's last event.
    MinerClosed {
        /// The miner.
        miner: MinerId,
        /// The reason.
        reason: CloseReason,
    },
    /// A dialed connection is established.
    PoolOpened {
        /// The connection.
        conn: PoolConn,
        /// For writing to it.
        link: Link,
    },
    /// A dial failed.
    PoolDialFailed {
        /// The connection.
        conn: PoolConn,
        /// The reason.
        error: DialError,
    },
    /// A pool's line.
    PoolLine {
        /// The connection.
        conn: PoolConn,
        /// The message.
        line: Result<FromPool, DecodeError>,
        /// When it was read.
        received: Instant,
    },
    /// A pool connection's last event.
    PoolClosed {
        /// The connection.
        conn: PoolConn,
        /// The reason.
        reason: CloseReason,
    },
    /// The owner changed the configuration; the newest one is in [`Live`]. (It is not in here, so that the order of two
    /// changes makes no difference.)
    Config {
        /// Where to answer once it is in force. There must be room for the answer.
        done: Sender<()>,
    },
    /// The owner dismissed the notice that a pool's earnings go elsewhere since this time (milliseconds since 1970).
    PayoutSeen(PoolSlot, u64),
    /// The owner dismissed the notice of a pool's block that was found at this time (milliseconds since 1970).
    BlockSeen(PoolSlot, u64),
    /// The owner dismissed the notice that this worker is missing.
    MissingSeen(String),
    /// The owner wants a temporary change.
    Override {
        /// Which.
        change: Override,
        /// Where to answer once it is in force and published. There must be room for the answer.
        done: Sender<()>,
    },
    /// The owner ends the temporary change for these workers.
    OverrideEnded {
        /// The workers, sorted.
        workers: Vec<String>,
        /// Where to answer once that is published. There must be room for the answer.
        done: Sender<()>,
    },
    /// A program sent prices of coins.
    PricesSet {
        /// By coin in upper case; coins that are left out keep their prices.
        prices: BTreeMap<String, f64>,
        /// Where to answer once they count and are published. There must be room for the answer.
        done: Sender<()>,
    },
    /// The timetable says something new, or its clock was set.
    Timetable(TimetableNow),
    /// A fact from another thread.
    Report(Fact),
    /// The process should stop.
    Stop(Stop),
}

impl Input {
    /// Its name, for the log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::MinerOpened { .. } => "miner_opened",
            Self::MinerLine { .. } => "miner_line",
            Self::MinerClosed { .. } => "miner_closed",
            Self::PoolOpened { .. } => "pool_opened",
            Self::PoolDialFailed { .. } => "pool_dial_failed",
            Self::PoolLine { .. } => "pool_line",
            Self::PoolClosed { .. } => "pool_closed",
            Self::Config { .. } => "config",
            Self::PayoutSeen(..) => "payout_seen",
            Self::BlockSeen(..) => "block_seen",
            Self::MissingSeen(_) => "missing_seen",
            Self::Override { .. } => "override",
            Self::OverrideEnded { .. } => "override_ended",
            Self::PricesSet { .. } => "prices_set",
            Self::Timetable(_) => "timetable",
            Self::Report(_) => "report",
            Self::Stop(_) => "stop",
        }
    }

    /// When it was read from a socket, if it was.
    pub fn received(&self) -> Option<Instant> {
        match self {
            Self::MinerLine { received, .. } | Self::PoolLine { received, .. } => Some(*received),
            Self::MinerOpened { .. }
            | Self::MinerClosed { .. }
            | Self::PoolOpened { .. }
            | Self::PoolDialFailed { .. }
            | Self::PoolClosed { .. }
            | Self::Config { .. }
            | Self::PayoutSeen(..)
            | Self::BlockSeen(..)
            | Self::MissingSeen(_)
            | Self::Override { .. }
            | Self::OverrideEnded { .. }
            | Self::PricesSet { .. }
            | Self::Timetable(_)
            | Self::Report(_)
            | Self::Stop(_) => None,
        }
    }
}

/// Makes the scheduler's inbox.
pub fn inbox() -> (Sender<Input>, Receiver<Input>) {
    bounded(INBOX)
}

#[cfg(test)]
impl Context {
    /// What threads share in a test, with the receiving end of the inbox. Nothing is logged.
    pub(crate) fn for_tests(config: Arc<Config>) -> (Self, Receiver<Input>) {
        let folder = tempfile::tempdir().unwrap();
        let mut logging = config.logging.clone();
        logging.directory = None;
        let place = folder.path().join("config.json");
        let (log, _) = crate::observe::log::start(&logging, &place, false).unwrap();
        let (inbox, inputs) = inbox();
        let observer = Observer {
            log,
            metrics: Arc::new(crate::observe::metrics::Metrics::new().unwrap()),
            notices: Arc::default(),
        };
        let context = Self {
            inbox,
            live: Live::new(config),
            observer: Arc::new(observer),
            names: Names::default(),
            tls: Tls::default(),
            jobs: Arc::default(),
        };
        (context, inputs)
    }
}
