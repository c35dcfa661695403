//! What the shell has to do. It carries out these actions in order and decides nothing.

use std::sync::Arc;

use crate::config::Trust;
use crate::core::fact::{Fact, ShareOutcome};
use crate::core::work::block::Candidate;
use crate::stratum::job::BlockHash;
use crate::stratum::message::{ToMiner, ToPool};
use crate::units::{LinkId, MinerId, PoolConn};

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Write a message to a miner.
    SendMiner {
        /// To whom.
        miner: MinerId,
        /// What.
        message: ToMiner,
    },
    /// Write a message to a pool.
    SendPool {
        /// On which connection.
        conn: PoolConn,
        /// What.
        message: ToPool,
    },
    /// Connect to a pool. Exactly one of `PoolOpened` and `PoolDialFailed` follows.
    Dial {
        /// The name of the connection to be.
        conn: PoolConn,
        /// Where to.
        target: Arc<DialTarget>,
    },
    /// End a connection after what is owed has been written.
    Close {
        /// Which.
        link: LinkId,
    },
    /// End a connection at once.
    Abort {
        /// Which.
        link: LinkId,
    },
    /// Keep a block candidate.
    KeepBlock(Arc<Candidate>),
    /// Keep what became of it.
    KeepAnswer {
        /// Its hash.
        hash: BlockHash,
        /// How its share ended.
        outcome: ShareOutcome,
    },
    /// Keep what must outlive a restart, without waiting for the usual time, and show the state anew.
    SaveState,
    /// Accept no more miners.
    StopListening,
    /// Tell the owner.
    Report(Fact),
}

/// The address of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialTarget {
    /// A name or an address.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// Which certificate is taken, if the connection is to be encrypted.
    pub tls: Option<Trust>,
}
