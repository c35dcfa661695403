//! Snapshots of the state for readers outside the scheduler: immutable, complete, and cheap to share.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{DifficultyLimits, Mode};
use crate::core::Core;
use crate::core::balance::BalanceView;
use crate::core::insight::InsightView;
use crate::core::insight::chain::Found;
use crate::core::insight::watch::WrongPayout;
use crate::core::memory::Memory;
use crate::core::miner::Miner;
use crate::core::miner::former::FormerMiners;
use crate::core::miner::roster::MissingWorker;
use crate::core::miner::view::MinerView;
use crate::core::outage::{ConnectionState, Flaw, Health, Outage};
use crate::core::past_splits::{Course, PastSplit};
use crate::core::pool::Lately;
use crate::core::pool::Pool;
use crate::core::pool::both;
use crate::core::pool::version_form::BlockedShares;
use crate::core::split::fleet::FleetView;
use crate::core::stats::totals::{FormerPool, PoolTotals, RankedShare};
use crate::core::steering::{ALL_WORKERS, ClockMark, Steering};
use crate::core::work::extranonce::SMALLEST_SHARED;
use crate::stratum::job::network_difficulty;
use crate::units::{Difficulty, Now, PerPool, PoolSlot, VersionMask, When};

/// The state at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// The time, in milliseconds since 1970.
    pub unix_ms: u64,
    /// When DPMP started, in milliseconds since 1970.
    pub started_ms: u64,
    /// How long DPMP has run, in seconds.
    pub uptime_seconds: u64,
    /// Whether the pools are configured.
    pub set_up: bool,
    /// Whether DPMP is stopping.
    pub stopping: bool,
    /// The pools.
    pub pools: PerPool<PoolView>,
    /// The connected miners, oldest first.
    pub miners: Vec<MinerView>,
    /// Miners that left.
    pub left: FormerMiners,
    /// Workers that are missing, or have fewer connections than usual.
    pub missing: Vec<MissingWorker>,
    /// Shares that DPMP blocked, by reason.
    pub refused: BTreeMap<String, u64>,
    /// The owner's changes apart from the configuration.
    pub steering: Steering,
    /// The pools' latest time, from an earlier run if no job has come yet.
    pub clock: ClockMark,
    /// Paused workers, among those with settings and those that were connected recently.
    pub paused_workers: usize,
    /// What a hash earns at the pools, and the resulting shift.
    pub balance: BalanceView,
    /// In mode `fleet`: which miners take turns, and which pool the others stay on.
    pub fleet: Option<FleetView>,
    /// Earlier usual splits, newest first.
    pub past_splits: Vec<PastSplit>,
    /// Changes of the split in force, newest first.
    pub courses: Vec<Course>,
    /// Problems with the chain, as shown by the pools' jobs.
    pub findings: Vec<Found>,
    /// The best shares of all, best first.
    pub best_shares: Vec<RankedShare>,
}

/// A pool at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PoolView {
    /// Its name, empty if it is not configured.
    pub name: String,
    /// Host and port.
    pub address: String,
    /// The number of this address; 0: the first one, n: the n-th backup.
    pub backup: usize,
    /// The coin.
    pub chain: String,
    /// Whether a worker needs it, as its own pool or instead of the other one.
    pub in_use: bool,
    /// How much miners should work for it now, in hashes per second by their hashrates, or in seconds per second while
    /// these are unknown.
    pub meant: f64,
    /// Its part of the work by the usual split, from 0 to 1.
    pub target_share: f64,
    /// Whether it can be used; a pool that is up but not worth working for counts as down.
    pub health: Health,
    /// Since when, in milliseconds since 1970.
    pub health_since: u64,
    /// How long it has been down since the start, in seconds.
    pub down: f64,
    /// Why it is down.
    pub outage: Option<Outage>,
    /// Since when connections have been authorized without a job, in milliseconds since 1970.
    pub jobless_since: Option<u64>,
    /// Since when the other pool has moved on from the block of its jobs, in milliseconds since 1970.
    pub left_since: Option<u64>,
    /// The results of the shares sent to it in the last ten minutes.
    pub lately: Lately<f64>,
    /// Its message, if it refused to authorize the last worker.
    pub refusal: Option<String>,
    /// Miners whose worker it refuses.
    pub refused_miners: usize,
    /// Since when its earnings have gone somewhere that the owner has not confirmed, in milliseconds since 1970.
    pub payout_changed: Option<u64>,
    /// Since when its jobs pay the owner less than they should, and what they pay.
    pub payout_wrong: Option<WrongPayout>,
    /// Connections that are authorized.
    pub connections: usize,
    /// Miners on these.
    pub connected_miners: usize,
    /// The smallest extranonce2 of all addresses, in bytes, if it is too small for shared connections that are
    /// configured.
    pub cannot_share: Option<u8>,
    /// Whether it takes several names on one connection, if that is known and its connections are shared.
    pub several_names: Option<bool>,
    /// Miners that work for it now.
    pub active_miners: usize,
    /// The size of its extranonce2, in bytes, if known.
    pub e2_size: Option<u8>,
    /// The version bits that miners may roll.
    pub version_mask: VersionMask,
    /// Shares that DPMP blocked because of the form of their version bits, if there are any.
    pub form_blocked: Option<BlockedShares>,
    /// How long it takes to answer a share, in seconds, if it has answered any.
    pub latency: Option<f64>,
    /// When it last sent a job, in milliseconds since 1970.
    pub job_at: Option<u64>,
    /// The time in that job's header, in seconds since 1970.
    pub job_ntime: Option<u32>,
    /// The difficulties on its connections, if it has named any.
    pub difficulty: Option<Spread>,
    /// Miners that get a higher difficulty than the pool asks for, if there are any.
    pub raised: Option<UnpaidWork>,
    /// Information from its jobs, while it is connected.
    pub insight: Option<InsightView>,
    /// The network's difficulty, from its last job.
    pub network_difficulty: Option<f64>,
    /// Hashes per second over five minutes, if known.
    pub hashrate: Option<f64>,
    /// Seconds of work for it since the start, all miners together.
    pub seconds: f64,
    /// The results of its shares.
    pub totals: PoolTotals,
    /// The same of all pools that were in its slot since the start.
    pub run: PoolTotals,
    /// Pools that were in its slot before, the latest first.
    pub former: Vec<FormerPool>,
}

impl PoolView {
    /// Its flaw, if it can be reached but is not worth working for.
    pub fn flaw(&self) -> Option<Flaw> {
        match self.outage {
            Some(Outage::Flaw(flaw)) => Some(flaw),
            Some(Outage::Lost(_) | Outage::NoJob | Outage::NoWork | Outage::Unknown) | None => None,
        }
    }
}

/// Miners to which `downstream_diff` gives a higher difficulty than their pool asks for. They don't send the shares in
/// between, so these are not paid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnpaidWork {
    /// How many miners.
    pub miners: usize,
    /// The difficulty that the pool asks of the median miner.
    pub asked: f64,
    /// The difficulty that this miner gets.
    pub told: f64,
    /// The part of its work that is not paid, from 0 to 1.
    pub unpaid: f64,
}

impl UnpaidWork {
    fn of(limits: &DifficultyLimits, asked: impl Iterator<Item = Difficulty>) -> Option<Self> {
        let mut asked: Vec<_> = asked.filter(|asked| limits.unpaid(*asked) > 0.0).collect();
        asked.sort_unstable_by(|a, b| a.get().total_cmp(&b.get()));
        let middle = *asked.get(asked.len() / 2)?;
        Some(Self {
            miners: asked.len(),
            asked: middle.get(),
            told: limits.hold(middle).for_miner().get(),
            unpaid: limits.unpaid(middle),
        })
    }
}

/// The range of some values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The smallest.
    pub min: f64,
    /// The median.
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

impl Core {
    /// The snapshot to publish.
    pub fn snapshot(&mut self, now: Now) -> Snapshot {
        self.departed.forget_old(now.at);
        self.note_clock(now);
        self.look_at_roster(now);
        let frozen = self.is_frozen();
        let shown = self.miners.values().filter(|miner| miner.is_shown());
        let view = |miner: &Miner| {
            let rules = miner.rules(&self.config, frozen);
            miner.view(now, &rules, &self.pools, &self.totals, &self.roster)
        };
        let miners: Vec<_> = shown.map(|miner| view(miner)).collect();
        let clock_is_wrong = self.steering.timetable.clock_is_wrong;
        let mut pools = PerPool::from_fn(|slot| self.pool_view(slot, &miners, now));
        for slot in PoolSlot::ALL {
            let is_down = pools[slot].health == Health::Down;
            pools[slot].down = self.pools[slot].note_down(is_down, now.at);
        }
        Snapshot {
            unix_ms: now.unix_ms,
            started_ms: When::from(self.started).unix_ms(now),
            uptime_seconds: now.at.saturating_duration_since(self.started.at).as_secs(),
            set_up: self.config.is_set_up(),
            stopping: self.stopping.is_some(),
            pools,
            refused: self.totals.refused.clone(),
            left: self.departed.clone(),
            missing: self.roster.missing(),
            steering: self.steering.clone(),
            clock: self.clock,
            paused_workers: self.paused_workers(),
            balance: self.balancer.view(&self.wanted, clock_is_wrong, now),
            fleet: match self.wanted.scheduler.mode {
                Mode::Fleet => Some(self.fleet.view()),
                Mode::Ratio => None,
            },
            past_splits: self.past_splits.past().to_vec(),
            courses: self.courses.changes().to_vec(),
            findings: self.chain_findings(now),
            best_shares: self.totals.best.clone(),
            miners,
        }
    }

    fn paused_workers(&self) -> usize {
        if !self.steering.may_pause(&self.wanted) {
            return 0;
        }
        let set_up = self.wanted.workers.keys().map(String::as_str);
        let overrides = self.steering.overrides.iter();
        let named = overrides.flat_map(|it| &it.workers).map(String::as_str);
        let left = self.departed.iter();
        let left = left.map(|left| left.miner.worker.as_str());
        let all = set_up.chain(named).chain(left).chain(self.silence.told());
        let pauses = |worker: &&str| {
            let is_name = !worker.is_empty() && *worker != ALL_WORKERS;
            is_name && self.steering.aim(worker, &self.wanted).pauses()
        };
        all.filter(pauses).collect::<BTreeSet<_>>().len()
    }

    /// Records the pools' time. If two differ, the earlier one counts.
    fn note_clock(&mut self, now: Now) {
        let time = |pool: &Pool| {
            let passed = pool.job_at?.age(now.at)?.as_secs();
            Some(u64::from(pool.latest.as_ref()?.ntime).saturating_add(passed))
        };
        let times = self.pools.iter().filter_map(|(_, pool)| time(pool));
        if let Some(time) = times.min() {
            let wrong = self.steering.timetable.clock_is_wrong;
            self.clock = ClockMark {
                pools_ms: time.saturating_mul(1000),
                wrong_ms: wrong.then_some(now.unix_ms),
            };
        }
    }

    /// The memory to keep across a restart.
    pub fn memory(&self) -> Memory {
        let mut pools = self.known.clone();
        for (slot, pool) in self.pools.iter() {
            if let Some(config) = self.config.pools[slot].as_ref() {
                if pool.facts.e2_size.is_some() {
                    pools.insert(config.address(), pool.facts);
                }
            }
        }
        let mut roster = self.roster.clone();
        let mut difficulties = self.difficulties.clone();
        for miner in self.miners.values() {
            miner.park_rhythm(&mut roster);
            if let Some(suits) = miner.suits() {
                difficulties.note(miner.session.worker(), suits);
            }
        }
        Memory {
            pools,
            size_habits: self.size_habits.clone(),
            difficulties,
            totals: self.totals.clone(),
            payouts: self.payouts.clone(),
            watches: self.watches.clone(),
            past_splits: self.past_splits.clone(),
            courses: self.courses.clone(),
            overrides: self.steering.overrides.clone(),
            clock: self.clock,
            balance: self.balancer.clone(),
            roster,
            handed_out: self.handed_out.kept(self.is_finished()),
        }
    }

    fn pool_view(&self, slot: PoolSlot, miners: &[MinerView], now: Now) -> PoolView {
        let pool = &self.pools[slot];
        // A pool that cannot even be reached has a different problem.
        let flaw = pool.flaw().filter(|_| pool.health == Health::Up);
        let no_job = pool.gives_no_job(now.at);
        let config = self.config.pools[slot].as_ref();
        let mut totals = self.totals.pools[slot].clone();
        // The time since each miner's last update is not in the totals yet.
        totals.seconds += self
            .miners
            .values()
            .filter(|miner| miner.is_shown())
            .zip(miners)
            .map(|(miner, view)| view.seconds[slot] - miner.schedule.time_on()[slot])
            .sum::<f64>();
        let difficulties = || {
            let lines = pool.lines.values().filter(|line| !line.members.is_empty());
            let standing = lines.filter_map(|line| pool.connections.get(&line.standing()?));
            standing.filter_map(|connection| connection.difficulty())
        };
        PoolView {
            name: config.map(|config| config.name.clone()).unwrap_or_default(),
            address: config.map(|config| config.address()).unwrap_or_default(),
            backup: pool.addresses.at(),
            chain: config
                .map(|config| config.chain.clone())
                .unwrap_or_default(),
            in_use: pool.in_use,
            meant: meant(slot, miners),
            target_share: self.config.share(slot),
            health: match pool.health {
                Health::Up if flaw.is_some() || no_job.is_some() => Health::Down,
                health @ (Health::Unknown | Health::Up | Health::Down) => health,
            },
            health_since: flaw
                .map(|(_, since)| since)
                .or(no_job)
                .map_or(pool.health_since, When::from)
                .unix_ms(now),
            down: 0.0,
            outage: match flaw {
                Some((flaw, _)) => Some(Outage::Flaw(flaw)),
                None if no_job.is_some() => Some(Outage::NoJob),
                None => pool.trouble.clone().map(Outage::Lost),
            },
            left_since: pool.left.map(|left| When::from(left.since).unix_ms(now)),
            jobless_since: pool
                .jobless_since()
                .map(|since| When::from(since).unix_ms(now)),
            lately: pool.lately.counts(now.at),
            refusal: pool.refusal.clone(),
            refused_miners: self
                .miners
                .values()
                .filter(|miner| miner.is_refused(pool))
                .count(),
            payout_changed: self.payouts[slot].changed(),
            payout_wrong: self.watches[slot].wrong(),
            connections: pool.ready(),
            cannot_share: config
                .filter(|config| config.most_members().is_some() && pool.facts.e2_size.is_some())
                .map(|_| both::room(&self.wanted, &self.pools, &self.known).smallest)
                .filter(|smallest| *smallest < SMALLEST_SHARED),
            connected_miners: miners
                .iter()
                .filter(|miner| miner.connections[slot] == ConnectionState::Ready)
                .count(),
            several_names: config
                .filter(|config| config.most_members().is_some())
                .and_then(|_| pool.facts.names.takes_several()),
            active_miners: miners
                .iter()
                .filter(|miner| miner.pool == Some(slot))
                .count(),
            e2_size: pool.facts.e2_size,
            version_mask: pool.facts.mask,
            form_blocked: pool.forms.blocked,
            latency: pool.latency,
            job_at: pool.job_at.map(|at| at.unix_ms(now)),
            job_ntime: pool.latest.as_ref().map(|job| job.ntime),
            difficulty: Spread::of(difficulties().map(|difficulty| difficulty.get())),
            raised: UnpaidWork::of(&self.config.downstream_diff[slot], difficulties()),
            insight: pool.insight.view(now).filter(|_| pool.ready() > 0),
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
            run: self.totals.run[slot].clone(),
            former: {
                let former = self.totals.former.iter().filter(|it| it.slot == slot);
                former.cloned().collect()
            },
        }
    }
}

/// How much miners should work for a pool.
fn meant(slot: PoolSlot, miners: &[MinerView]) -> f64 {
    let rate = |miner: &MinerView| {
        let rates = miner.hashrate.iter();
        rates.filter_map(|(_, rate)| *rate).sum::<f64>()
    };
    let known = miners.iter().any(|miner| rate(miner) > 0.0);
    let each = miners.iter().map(|miner| {
        let weight = if known { rate(miner) } else { 1.0 };
        miner.aim.share(slot) * weight
    });
    each.sum()
}
