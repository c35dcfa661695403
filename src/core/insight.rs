//! What a pool's jobs say: the block, the tag, the reward, [who it pays](payee), and whether the pool works on the
//! right [chain]. No other service is needed.
//!
//! - DPMP reads the jobs of one connection to each pool while it lasts. A pool that pays each miner directly gives each
//!   connection a different coinbase.
//! - A job goes to the miners first. It is read a second later, once for all readers.
//! - If a coinbase cannot be read, only this information is missing.

pub mod chain;
pub mod payee;
pub mod watch;

use std::time::Instant;

use crate::core::insight::chain::Sights;
use crate::core::insight::payee::{Payee, Payment};
use crate::stratum::coinbase::Coinbase;
use crate::stratum::job::{BlockHash, Notify};
use crate::units::{Now, PoolConn, When};

/// The longest tag that is kept, in characters.
const LONGEST_TAG: usize = 40;

/// Information from one pool's jobs.
#[derive(Clone, Debug, Default)]
pub struct Insight {
    /// The connection whose jobs are read.
    pub conn: Option<PoolConn>,
    block: Option<SeenBlock>,
    /// Information from the latest job.
    job: Option<InsightView>,
    /// Information from the jobs about the chain.
    pub sights: Sights,
}

/// The previous block, as named in the jobs.
#[derive(Clone, Copy, Debug)]
struct SeenBlock {
    hash: BlockHash,
    /// When it was first named; `None`: before DPMP read the jobs.
    since: Option<Now>,
    /// When the last job arrived.
    heard: Instant,
    /// How many jobs on it arrived.
    jobs: u32,
}

/// The state at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct InsightView {
    /// The height of the block that the pool works on, if known.
    pub height: Option<u32>,
    /// Since when the pool has worked on it, in milliseconds since 1970; `None`: since before DPMP read its jobs.
    pub block_since: Option<u64>,
    /// Information from its coinbase; `None`: it cannot be read.
    pub coinbase: Option<CoinbaseView>,
    /// Who the block pays.
    pub payee: Payee,
}

/// Information from a coinbase.
#[derive(Clone, Debug, PartialEq)]
pub struct CoinbaseView {
    /// The tag by which the pool can be recognized.
    pub tag: Option<String>,
    /// The sum of all outputs, in the coin's smallest units.
    pub reward: u64,
    /// The number of outputs.
    pub outputs: usize,
}

impl Insight {
    /// Records a job on the connection that is read, which was opened at `opened`.
    pub fn job_came(&mut self, job: &Notify, opened: Instant, now: Now) {
        let hash = job.previous();
        let (since, jobs) = match &self.block {
            Some(block) if block.hash == hash => (block.since, block.jobs),
            Some(block) if opened <= block.heard => (Some(now), 0),
            Some(_) | None => (None, 0),
        };
        self.block = Some(SeenBlock {
            hash,
            since,
            heard: now.at,
            jobs: jobs.saturating_add(1),
        });
    }

    /// Who the latest job pays, and on which block it builds. `None`: unknown, or it is the empty job with which many
    /// pools begin a block.
    pub fn payment(&self, job: &Notify) -> Option<(Payment, BlockHash)> {
        let block = self.block?;
        if job.branches.is_empty() && block.jobs < 2 {
            return None;
        }
        match self.job.as_ref()?.payee {
            Payee::Known(payment) => Some((payment, block.hash)),
            Payee::CannotTell(_) => None,
        }
    }

    /// Records the latest job, with its coinbase if that could be read. `wallet` and `chain` are the pool's.
    pub fn hear(&mut self, job: &Notify, coinbase: Option<&Coinbase>, wallet: &str, chain: &str) {
        self.job = Some(InsightView {
            height: job.height(),
            block_since: None,
            coinbase: coinbase.map(|coinbase| CoinbaseView {
                tag: coinbase
                    .tag()
                    .map(|tag| tag.chars().take(LONGEST_TAG).collect()),
                reward: coinbase.reward(),
                outputs: coinbase.outputs().len(),
            }),
            payee: Payee::of(coinbase, wallet, chain),
        });
    }

    /// The current state.
    pub fn view(&self, now: Now) -> Option<InsightView> {
        let since = self.block.and_then(|block| block.since);
        Some(InsightView {
            block_since: since.map(|since| When::from(since).unix_ms(now)),
            ..self.job.clone()?
        })
    }
}

#[cfg(test)]
mod tests;
