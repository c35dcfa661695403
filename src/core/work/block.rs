//! A share that may be a block, with everything that is worth keeping.

use std::sync::Arc;

use crate::stratum::job::{BlockHash, PoolJob};
use crate::stratum::message::PoolSubmit;
use crate::units::PoolSlot;

/// A share that meets the network's target.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The block's hash.
    pub hash: BlockHash,
    /// The pool whose job it was.
    pub slot: PoolSlot,
    /// The pool's name in the settings.
    pub pool: String,
    /// The coin.
    pub chain: String,
    /// That pool's host and port.
    pub address: Arc<str>,
    /// The worker that found it.
    pub worker: String,
    /// When it was found, in milliseconds since 1970.
    pub unix_ms: u64,
    /// The header that was hashed.
    pub header: [u8; 80],
    /// The coinbase, as it was hashed.
    pub coinbase: Vec<u8>,
    /// The pool's job, with the merkle branches.
    pub job: Arc<PoolJob>,
    /// The message to the pool.
    pub submit: PoolSubmit,
    /// The same in the other form of version bits, if it is unknown which one the pool accepts.
    pub second: Option<PoolSubmit>,
}
