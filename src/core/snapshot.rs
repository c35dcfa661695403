//! Pictures of the state for readers outside the scheduler: immutable, complete, cheap to share.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::Core;
use crate::core::departed::Departed;
use crate::core::event::Now;
use crate::core::ledger::{BestShare, Ledger, PoolTotals};
use crate::core::miner::Miner;
use crate::core::payout::Payout;
use crate::core::pool::Health;
use crate::core::pool_facts::PoolFacts;
use crate::core::recent::RecentShares;
use crate::core::schedule::Rules;
use crate::stratum::job::network_difficulty;
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
    /// Where each pool's earnings go, and whether the owner has seen it.
    pub payouts: PerPool<Payout>,
}

/// The state at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// When, in milliseconds since 1970.
    pub unix_ms: u64,
    /// When the program started, in milliseconds since 1970.
    pub started_ms: u64,
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
    /// Miners that left.
    pub left: Departed,
    /// Shares that were refused here, by reason.
    pub refused: BTreeMap<String, u64>,
}

/// A pool at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PoolView {
    /// Its name, empty if it is not configured.
    pub name: String,
    /// Host and port.
    pub address: String,
    /// Which of its addresses that is; 0: the first one, n: the n-th backup.
    pub backup: usize,
    /// The coin.
    pub chain: String,
    /// The part of the work that it is to get, from 0 to 1.
    pub target_share: f64,
    /// `unknown`, `up` or `down`.
    pub health: &'static str,
    /// Since when, in milliseconds since 1970.
    pub health_since: u64,
    /// Why it is down.
    pub trouble: Option<String>,
    /// Its words, if it refused to authorize the last worker that asked.
    pub refusal: Option<String>,
    /// Miners whose worker it refuses.
    pub refused_miners: usize,
    /// When its earnings began to go where the owner has not seen them go yet, in milliseconds since 1970.
    pub payout_changed: Option<u64>,
    /// Connections that are authorized.
    pub connections: usize,
    /// Miners that work for it now.
    pub active_miners: usize,
    /// The size of its extranonce2, in bytes, if known.
    pub e2_size: Option<u8>,
    /// The version bits that it lets miners roll, in hex.
    pub version_mask: String,
    /// How long it takes to answer a share, in seconds, if it has answered any.
    pub latency: Option<f64>,
    /// When it last sent a job, in milliseconds since 1970.
    pub job_at: Option<u64>,
    /// The difficulties that it asks of its connections, if it has named any.
    pub difficulty: Option<Spread>,
    /// The network's difficulty, as its last job has it.
    pub network_difficulty: Option<f64>,
    /// Hashes a second over five minutes, if there is anything to go by.
    pub hashrate: Option<f64>,
    /// Seconds of work for it since the start, all miners together.
    pub seconds: f64,
    /// What became of its shares.
    pub totals: PoolTotals,
}

/// How far some values reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The smallest.
    pub min: f64,
    /// The one in the middle.
    pub middle: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_unstable_by(f64::total_cmp);
        Some(Self {
            min: *values.first()?,
            middle: *values.get(values.len() / 2)?,
            max: *values.last()?,
        })
    }
}

/// A miner at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct MinerView {
    /// Its id.
    pub id: u64,
    /// Its address.
    pub peer: SocketAddr,
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
    /// The state of its pool connections: `idle`, `waiting`, `refused` (and waiting), `connecting`, `handshake` or
    /// `ready`.
    pub connections: PerPool<&'static str>,
    /// Shares that each pool accepted.
    pub accepted: PerPool<u64>,
    /// Shares that were refused, by us or a pool.
    pub rejected: u64,
    /// The same by reason, in the words of the metrics' labels.
    pub rejected_by: Arc<BTreeMap<&'static str, u64>>,
    /// Shares that no pool answered.
    pub lost: u64,
    /// Hashes a second over five minutes for each pool.
    pub hashrate: PerPool<Option<f64>>,
    /// Shares a minute over five minutes, whatever became of them.
    pub shares_per_minute: Option<f64>,
    /// The sum of the difficulties that each pool credited.
    pub difficulty_sum: PerPool<f64>,
    /// What its worker was asked for in all, on all its connections and over restarts: a sum of difficulties by pool.
    /// `None` before the worker has shown work.
    pub worker_work: Option<PerPool<f64>>,
    /// Its last shares.
    pub recent: RecentShares,
    /// Its best share on this connection.
    pub best: Option<BestShare>,
    /// When it last sent a share, in milliseconds since 1970.
    pub last_share: Option<u64>,
}

impl MinerView {
    /// Whether this is the same worker on the same host, so that it is most likely the same machine.
    pub fn is_same_rig(&self, other: &Self) -> bool {
        self.worker == other.worker && self.peer.ip() == other.peer.ip()
    }
}

impl Core {
    /// What is to be shown.
    pub fn snapshot(&mut self, now: Now) -> Snapshot {
        self.departed.forget_old(now.unix_ms);
        let rules = Rules::of(&self.config);
        let miners: Vec<_> = self
            .miners
            .values()
            .map(|miner| miner.view(now, &rules, &self.ledger))
            .collect();
        Snapshot {
            unix_ms: now.unix_ms,
            started_ms: self.started.unix_ms,
            uptime_seconds: now.at.saturating_duration_since(self.started.at).as_secs(),
            set_up: self.config.is_set_up(),
            stopping: self.stopping.is_some(),
            pools: PerPool::from_fn(|slot| self.pool_view(slot, &miners)),
            refused: self.ledger.refused.clone(),
            left: self.departed.clone(),
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
            payouts: self.payouts.clone(),
        }
    }

    fn pool_view(&self, slot: PoolSlot, miners: &[MinerView]) -> PoolView {
        let pool = &self.pools[slot];
        let config = self.config.pools[slot].as_ref();
        let mut totals = self.ledger.pools[slot].clone();
        // The time since each miner was last looked at is not in the totals yet.
        totals.seconds += self
            .miners
            .values()
            .zip(miners)
            .map(|(miner, view)| view.seconds[slot] - miner.schedule.time_on()[slot])
            .sum::<f64>();
        let opens = || {
            self.miners
                .values()
                .filter_map(|miner| miner.upstreams[slot].open())
        };
        PoolView {
            name: config.map(|config| config.name.clone()).unwrap_or_default(),
            address: config.map(|config| config.address()).unwrap_or_default(),
            backup: pool.sites.at(),
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
            trouble: pool.trouble.clone(),
            refusal: pool.refusal.clone(),
            refused_miners: self
                .miners
                .values()
                .filter(|miner| miner.is_refused(slot))
                .count(),
            payout_changed: self.payouts[slot].changed(),
            connections: pool.ready(),
            active_miners: miners
                .iter()
                .filter(|miner| miner.pool == Some(slot))
                .count(),
            e2_size: pool.facts.e2_size,
            version_mask: pool.facts.mask.to_string(),
            latency: pool.latency,
            job_at: pool.job_at,
            difficulty: Spread::of(opens().filter_map(|open| Some(open.difficulty()?.get()))),
            network_difficulty: pool
                .latest
                .as_ref()
                .map(|job| network_difficulty(job.nbits))
                .filter(|difficulty| difficulty.is_finite()),
            hashrate: miners
                .iter()
                .filter_map(|miner| miner.hashrate[slot])
                .reduce(|a, b| a + b),
            seconds: totals.seconds - self.seconds_before[slot],
            totals,
        }
    }
}

impl Miner {
    /// What is to be shown of the miner.
    pub fn view(&self, now: Now, rules: &Rules, ledger: &Ledger) -> MinerView {
        let mut schedule = self.schedule.clone();
        schedule.advance(now.at, rules);
        MinerView {
            id: self.id.0,
            peer: self.peer,
            worker: self.session.worker().to_owned(),
            user_agent: self.session.user_agent.clone(),
            pool: schedule.on(),
            connected_since: self.opened.unix_ms,
            difficulty: self.told_difficulty.map(|told| told.get()),
            error_seconds: schedule.error(),
            seconds: schedule.time_on(),
            connections: self
                .upstreams
                .map(|slot, upstream| match upstream.state_name() {
                    "waiting" if self.is_refused(slot) => "refused",
                    name => name,
                }),
            accepted: self.stats.accepted,
            rejected: self.stats.rejected,
            rejected_by: Arc::clone(&self.stats.rejected_by),
            lost: self.stats.lost,
            hashrate: self
                .stats
                .work
                .map(|_, meter| meter.hashrate(WINDOW, now.at)),
            shares_per_minute: self
                .stats
                .shares
                .per_second(WINDOW, now.at)
                .map(|rate| rate * 60.0),
            difficulty_sum: self.stats.difficulty_sum,
            worker_work: ledger
                .workers
                .get(self.session.worker())
                .map(|worker| worker.work),
            recent: self.stats.recent.clone(),
            best: self.stats.best,
            last_share: self.stats.last_share,
        }
    }
}

/// A miner that works for A and has done nothing yet.
#[cfg(test)]
pub(crate) fn sample_miner(id: u64, worker: &str) -> MinerView {
    MinerView {
        id,
        peer: SocketAddr::from(([192, 168, 1, 20], 50_000)),
        worker: worker.to_owned(),
        user_agent: Some("bitaxe/BM1370".to_owned()),
        pool: Some(PoolSlot::A),
        connected_since: 1000,
        difficulty: None,
        error_seconds: 0.0,
        seconds: PerPool::default(),
        connections: PerPool::from_fn(|_| "ready"),
        accepted: PerPool::default(),
        rejected: 0,
        rejected_by: Arc::default(),
        lost: 0,
        hashrate: PerPool::default(),
        shares_per_minute: None,
        difficulty_sum: PerPool::default(),
        worker_work: None,
        recent: RecentShares::default(),
        best: None,
        last_share: None,
    }
}
