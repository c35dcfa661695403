//! Block candidates that wait for their pool to come back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::core::work::block::Candidate;
use crate::stratum::job::BlockHash;
use crate::stratum::message::Extranonces;

/// How many blocks may wait for one pool.
const MOST_HELD: usize = 16;

/// After this time, another block has surely replaced it.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Candidates that could not be sent to their pool, or were not answered by it.
#[derive(Clone, Debug, Default)]
pub struct HeldBlocks {
    held: Vec<(Instant, Arc<Candidate>)>,
    /// Whether anything has changed since connections were last searched for a suitable one.
    stirred: bool,
}

impl HeldBlocks {
    /// A connection may now be suitable for waiting blocks.
    pub fn stir(&mut self) {
        self.stirred = true;
    }

    /// Whether connections must be searched for one that is suitable for waiting blocks.
    pub fn take_stirred(&mut self) -> bool {
        std::mem::take(&mut self.stirred) && !self.held.is_empty()
    }

    /// Whether this block is already waiting.
    pub fn contains(&self, hash: &BlockHash) -> bool {
        self.held.iter().any(|(_, held)| held.hash == *hash)
    }

    /// Keeps a block until its pool is back.
    pub fn hold(&mut self, candidate: Arc<Candidate>, now: Instant) {
        if self.contains(&candidate.hash) {
            return;
        }
        if self.held.len() == MOST_HELD {
            self.held.remove(0);
        }
        self.held.push((now, candidate));
        self.stir();
    }

    /// Takes the blocks that a new connection to `address` can send. With a different extranonce, the pool would
    /// rebuild a different coinbase and get a different hash.
    pub fn take_for(
        &mut self,
        address: &str,
        extranonces: Extranonces,
        now: Instant,
    ) -> Vec<Arc<Candidate>> {
        self.held
            .retain(|(since, _)| now.saturating_duration_since(*since) < LONGEST_WAIT);
        let fits = |held: &Candidate| {
            *held.address == *address
                && held.job.e1 == extranonces.e1
                && held.job.e2_size == extranonces.e2_size
        };
        let (taken, left) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|(_, held)| fits(held));
        self.held = left;
        let taken: Vec<(Instant, Arc<Candidate>)> = taken;
        taken.into_iter().map(|(_, held)| held).collect()
    }
}
