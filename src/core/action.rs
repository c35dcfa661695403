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
        /// The miner that gets it.
        miner: MinerId,
        /// The message.
        message: ToMiner,
    },
    /// Write a message to a pool.
    SendPool {
        /// The connection.
        conn: PoolConn,
        /// The message.
        message: ToPool,
    },
    /// Connect to a pool. Exactly one of `PoolOpened` and `PoolDialFailed` follows.
    Dial {
        /// The name of the new connection.
        conn: PoolConn,
        /// The address to connect to.
        target: Arc<DialTarget>,
        /// Whether it is for one miner, and not DPMP's own or shared.
        own: bool,
    },
    /// End a connection after everything that waits has been written.
    Close {
        /// The connection.
        link: LinkId,
    },
    /// End a connection immediately.
    Abort {
        /// The connection.
        link: LinkId,
    },
    /// Save a block candidate.
    KeepBlock(Arc<Candidate>),
    /// Save the result of a block candidate.
    KeepAnswer {
        /// The block's hash.
        hash: BlockHash,
        /// The result of its share.
        outcome: ShareOutcome,
    },
    /// Save the state file without waiting for the usual time, and publish a new snapshot.
    SaveState,
    /// Accept no more miners.
    StopListening,
    /// Report a fact to the owner.
    Report(Fact),
}

/// The address of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialTarget {
    /// A name or an address.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// Which certificate is accepted, if the connection is encrypted.
    pub tls: Option<Trust>,
}
