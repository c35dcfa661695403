//! A miner's state for readers outside the core.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::core::miner::Miner;
use crate::core::miner::roster::Roster;
use crate::core::outage::ConnectionState;
use crate::core::pool::Pool;
use crate::core::split::schedule::Rules;
use crate::core::stats::recent::RecentShares;
use crate::core::stats::tally::{BestShare, ByReason, PoolWords};
use crate::core::stats::totals::Totals;
use crate::core::steering::Aim;
use crate::units::{Now, PerPool, PoolSlot, When, named};

/// How much of the work a meter cannot tell apart.
const BUCKET: Duration = Duration::from_secs(15);

/// The time over which rates are measured.
const WINDOW: Duration = Duration::from_secs(300);

named! {
    /// Whether a miner works as it usually does.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Condition {
        /// It does, or too little is known.
        Ok = "ok",
        /// It has work but sends no shares.
        Hangs = "hangs",
        /// It does less than half of its usual work.
        Slow = "slow",
    }
}

/// A miner at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct MinerView {
    /// Its id.
    pub id: u64,
    /// Its address.
    pub peer: SocketAddr,
    /// Its worker; empty before it sent a name.
    pub worker: String,
    /// Whether its user name has a part for the worker. If not, the whole name is the worker.
    pub names_worker: bool,
    /// Its software.
    pub user_agent: Option<String>,
    /// The pool that it works for.
    pub pool: Option<PoolSlot>,
    /// What it should do, and why.
    pub aim: Aim,
    /// Whether it works for the other pool because its own is down.
    pub stands_in: bool,
    /// When it connected.
    pub connected_since: When,
    /// The difficulty that it was sent last.
    pub difficulty: Option<f64>,
    /// Its cumulative error, in seconds; above zero, A is ahead.
    pub error_seconds: f64,
    /// Seconds of work for each pool.
    pub seconds: PerPool<f64>,
    /// The states of its pool connections.
    pub connections: PerPool<ConnectionState>,
    /// Shares that each pool accepted.
    pub accepted: PerPool<u64>,
    /// Shares that DPMP blocked or a pool rejected.
    pub rejected: u64,
    /// The same by reason, with the metrics' labels.
    pub rejected_by: Arc<ByReason>,
    /// Pools' last messages about rejected shares, for each reason.
    pub said: Arc<PoolWords>,
    /// Shares that no pool answered.
    pub lost: u64,
    /// Hashes per second over five minutes for each pool.
    pub hashrate: PerPool<Option<f64>>,
    /// Shares per minute over five minutes, regardless of their result.
    pub shares_per_minute: Option<f64>,
    /// The sum of the difficulties that each pool credited.
    pub difficulty_sum: PerPool<f64>,
    /// The work of its worker on all connections and across restarts, as a sum of required difficulties by pool. `None`
    /// before the worker's first share.
    pub worker_work: Option<PerPool<f64>>,
    /// Its last shares.
    pub recent: RecentShares,
    /// Its best share on this connection.
    pub best: Option<BestShare>,
    /// The difficulty of its worker's best share, on all its connections and across restarts.
    pub worker_best: Option<f64>,
    /// When it last sent a share.
    pub last_share: Option<When>,
    /// Whether it works as usual.
    pub condition: Condition,
    /// Since when it does not.
    pub condition_since: Option<When>,
}

impl MinerView {
    /// Whether this is the same worker on the same host, so that it is most likely the same machine.
    pub fn is_same_rig(&self, other: &Self) -> bool {
        self.worker == other.worker && self.peer.ip() == other.peer.ip()
    }
}

impl Miner {
    /// The miner's view.
    pub fn view(
        &self,
        now: Now,
        rules: &Rules,
        pools: &PerPool<Pool>,
        totals: &Totals,
        roster: &Roster,
    ) -> MinerView {
        let worker = totals.workers.get(self.session.worker());
        let mut schedule = self.schedule.clone();
        schedule.advance(now.at, rules);
        // Perhaps on another connection, or before a restart.
        let last_share = self.stats.last_share;
        let last_share = last_share.or_else(|| Some(worker?.last_share));
        let last_share = last_share.unwrap_or(self.opened.into());
        let slow_since = roster.slow_since(self.session.worker());
        let (condition, condition_since) = if self.hangs(now.at) {
            (Condition::Hangs, Some(last_share))
        } else if slow_since.is_some() {
            (Condition::Slow, slow_since)
        } else {
            (Condition::Ok, None)
        };
        let (all, by_pool) = (&self.stats.all, &self.stats.by_pool);
        MinerView {
            id: self.id.0,
            peer: self.peer,
            worker: self.session.worker().to_owned(),
            names_worker: self.session.names_worker(),
            user_agent: self.session.user_agent.clone(),
            pool: schedule.on(),
            aim: self.meant,
            stands_in: self
                .stands_in_at()
                .filter(|_| self.place.is_none())
                .is_some_and(|slot| schedule.on() == Some(slot)),
            connected_since: self.opened.into(),
            difficulty: self.told_difficulty.map(|told| told.get()),
            error_seconds: schedule.error(),
            seconds: schedule.time_on(),
            connections: PerPool::from_fn(|slot| {
                let pool = &pools[slot];
                pool.stage(self.lines[slot], self.is_refused(pool))
            }),
            accepted: by_pool.map(|_, tally| tally.accepted),
            rejected: all.rejected.values().sum(),
            rejected_by: Arc::clone(&all.rejected),
            said: Arc::clone(&self.stats.said),
            lost: all.lost,
            hashrate: self.stats.work.map(|slot, meter| {
                // What was done for the pool that had the slot before is not its. A meter's window may reach back by a
                // bucket more.
                let since = now.at.saturating_duration_since(pools[slot].since);
                meter.hashrate(WINDOW.min(since.saturating_sub(BUCKET)), now.at)
            }),
            shares_per_minute: self
                .stats
                .shares
                .per_second(WINDOW, now.at)
                .map(|rate| rate * 60.0),
            difficulty_sum: by_pool.map(|_, tally| tally.difficulty_sum),
            worker_work: worker.map(|worker| worker.work),
            recent: self.stats.recent.clone(),
            best: all.best,
            worker_best: worker.and_then(|worker| worker.best_ever()),
            last_share: self.stats.last_share,
            condition,
            condition_since,
        }
    }
}

/// A miner that works for A and has done nothing yet.
#[cfg(test)]
pub(crate) fn sample_miner(id: u64, worker: &str) -> MinerView {
    use crate::config::steering::Work;
    use crate::core::steering::AimSource;

    MinerView {
        id,
        peer: SocketAddr::from(([192, 168, 1, 20], 50_000)),
        worker: worker.to_owned(),
        names_worker: true,
        user_agent: Some("bitaxe/BM1370".to_owned()),
        pool: Some(PoolSlot::A),
        aim: Aim {
            work: Work::Split(PerPool::new(50.0, 50.0)),
            source: AimSource::Usual,
        },
        stands_in: false,
        connected_since: 1000.into(),
        difficulty: None,
        error_seconds: 0.0,
        seconds: PerPool::default(),
        connections: PerPool::from_fn(|_| ConnectionState::Ready),
        accepted: PerPool::default(),
        rejected: 0,
        rejected_by: Arc::default(),
        said: Arc::default(),
        lost: 0,
        hashrate: PerPool::default(),
        shares_per_minute: None,
        difficulty_sum: PerPool::default(),
        worker_work: None,
        recent: RecentShares::default(),
        best: None,
        worker_best: None,
        last_share: None,
        condition: Condition::Ok,
        condition_since: None,
    }
}
