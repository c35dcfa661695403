//! Pictures of the state for readers outside the scheduler: immutable, complete, cheap to share.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::Core;
use crate::core::event::Now;
use crate::core::ledger::{BestShare, Ledger, PoolTotals};
use crate::core::miner::Miner;
use crate::core::pool::Health;
use crate::core::pool_facts::PoolFacts;
use crate::core::schedule::Rules;
use crate::units::{PerPool, PoolSlot};

/// Over how long the hashrates of a snapshot are taken.
const WINDOW: Duration = Duration::from_secs(300);

/// What must outlive a restart: the content of the state file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// What is known of each pool that was ever reached, by address.
    pub pools: BTreeMap<String, PoolFacts>,
    /// The totals.
    pub ledger: Ledger,
}

/// The state at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Snapshot {
    /// When, in milliseconds since 1970.
    pub unix_ms: u64,
    /// How long the program has run, in seconds.
    pub uptime_seconds: u64,
    /// Whether the pools are configured.
    pub set_up: bool,
    /// Whether a stop was asked for.
    pub stopping: bool,
    /// The pools.
    pub pools: PerPool<PoolView>,
    /// The connected miners, oldest first.
    pub miners: Vec<MinerView>,
    /// Shares that were refused here, by reason.
    pub refused: BTreeMap<String, u64>,
}

/// A pool at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PoolView {
    /// Its name, empty if it is not configured.
    pub name: String,
    /// Host and port.
    pub address: String,
    /// The coin.
    pub chain: String,
    /// The part of the work that it is to get, from 0 to 1.
    pub target_share: f64,
    /// `unknown`, `up` or `down`.
    pub health: &'static str,
    /// Since when, in milliseconds since 1970.
    pub health_since: u64,
    /// Connections that are authorized.
    pub connections: usize,
    /// Miners that work for it now.
    pub active_miners: usize,
    /// The size of its extranonce2, in bytes, if known.
    pub e2_size: Option<u8>,
    /// The version bits that it lets miners roll, in hex.
    pub version_mask: String,
    /// Hashes a second over five minutes, if there is anything to go by.
    pub hashrate: Option<f64>,
    /// What became of its shares.
    pub totals: PoolTotals,
}

/// A miner at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MinerView {
    /// Its id.
    pub id: u64,
    /// Its address.
    pub peer: String,
    /// Its worker, empty before it said one.
    pub worker: String,
    /// Its software.
    pub user_agent: Option<String>,
    /// The pool that it works for.
    pub pool: Option<PoolSlot>,
    /// When it connected, in milliseconds since 1970.
    pub connected_since: u64,
    /// The difficulty that it was told last.
    pub difficulty: Option<f64>,
    /// Its cumulative error, in seconds: above zero, A is ahead.
    pub error_seconds: f64,
    /// Seconds of work for each pool.
    pub seconds: PerPool<f64>,
    /// The state of its pool connections: `idle`, `waiting`, `connecting`, `handshake` or `ready`.
    pub connections: PerPool<&'static str>,
    /// Shares that each pool accepted.
    pub accepted: PerPool<u64>,
    /// Shares that were refused, by us or a pool.
    pub rejected: u64,
    /// Shares that no pool answered.
    pub lost: u64,
    /// Hashes a second over five minutes for each pool.
    pub hashrate: PerPool<Option<f64>>,
    /// The sum of the difficulties that each pool credited.
    pub difficulty_sum: PerPool<f64>,
    /// Its best share on this connection.
    pub best: Option<BestShare>,
    /// When it last sent a share, in milliseconds since 1970.
    pub last_share: Option<u64>,
}

impl Core {
    /// What is to be shown.
    pub fn snapshot(&self, now: Now) -> Snapshot {
        let rules = Rules::of(&self.config);
        let miners: Vec<_> = self
            .miners
            .values()
            .map(|miner| miner.view(now, &rules))
            .collect();
        Snapshot {
            unix_ms: now.unix_ms,
            uptime_seconds: now.at.saturating_duration_since(self.started.at).as_secs(),
            set_up: self.config.is_set_up(),
            stopping: self.stopping.is_some(),
            pools: PerPool::from_fn(|slot| self.pool_view(slot, &miners)),
            refused: self.ledger.refused.clone(),
            miners,
        }
    }

    /// What is to be kept across a restart.
    pub fn memory(&self) -> Memory {
        let mut pools = self.known.clone();
        for (slot, pool) in self.pools.iter() {
            if let Some(config) = self.config.pools[slot].as_ref() {
                if pool.facts.e2_size.is_some() {
                    pools.insert(config.address(), pool.facts);
                }
            }
        }
        Memory {
            pools,
            ledger: self.ledger.clone(),
        }
    }

    fn pool_view(&self, slot: PoolSlot, miners: &[MinerView]) -> PoolView {
        let pool = &self.pools[slot];
        let config = self.config.pools[slot].as_ref();
        PoolView {
            name: config.map(|config| config.name.clone()).unwrap_or_default(),
            address: config.map(|config| config.address()).unwrap_or_default(),
            chain: config
                .map(|config| config.chain.clone())
                .unwrap_or_default(),
            target_share: self.config.share(slot),
            health: match pool.health {
                Health::Unknown => "unknown",
                Health::Up => "up",
                Health::Down => "down",
            },
            health_since: pool.health_since,
            connections: pool.ready(),
            active_miners: miners
                .iter()
                .filter(|miner| miner.pool == Some(slot))
                .count(),
            e2_size: pool.facts.e2_size,
            version_mask: pool.facts.mask.to_string(),
            hashrate: miners
                .iter()
                .filter_map(|miner| miner.hashrate[slot])
                .reduce(|a, b| a + b),
            totals: self.ledger.pools[slot].clone(),
        }
    }
}

impl Miner {
    /// What is to be shown of the miner.
    pub fn view(&self, now: Now, rules: &Rules) -> MinerView {
        let mut schedule = self.schedule.clone();
        schedule.advance(now.at, rules);
        MinerView {
            id: self.id.0,
            peer: self.peer.to_string(),
            worker: self.session.worker().to_owned(),
            user_agent: self.session.user_agent.clone(),
            pool: schedule.on(),
            connected_since: self.opened.unix_ms,
            difficulty: self.told_difficulty.map(|told| told.get()),
            error_seconds: schedule.error(),
            seconds: schedule.time_on(),
            connections: self.upstreams.map(|_, upstream| upstream.state_name()),
            accepted: self.stats.accepted,
            rejected: self.stats.rejected,
            lost: self.stats.lost,
            hashrate: self
                .stats
                .work
                .map(|_, meter| meter.hashrate(WINDOW, now.at)),
            difficulty_sum: self.stats.difficulty_sum,
            best: self.stats.best,
            last_share: self.stats.last_share,
        }
    }
}
