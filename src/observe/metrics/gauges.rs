//! Metrics that are read from the published state on each request.

use std::collections::BTreeMap;

use prometheus::{Gauge, GaugeVec, Result};

use super::make::{Make, figures};
use crate::core::miner::view::{Condition, MinerView};
use crate::core::outage::Health;
use crate::core::snapshot::Snapshot;
use crate::observe::wallet::shorten_addresses;
use crate::trouble::{self, Alert, CATALOGUE};
use crate::units::{PerPool, PoolSlot};

/// The maximum number of workers with their own series: miners choose names, and each new one costs Prometheus memory.
pub(super) const MAX_WORKERS: usize = 100;

figures! {
    /// Gauges for the state.
    State {
        miners: Gauge = gauge("dpmp_downstream_connections", "Connected miners");
        difficulty: Gauge = gauge(
            "dpmp_downstream_difficulty", "Mean share difficulty of the connected miners");
        error: Gauge = gauge(
            "dpmp_scheduler_error_seconds",
            "Mining time by which pool A is ahead, over all connected miners; below 0, B is");
        fleet_error: Gauge = gauge(
            "dpmp_fleet_error_seconds",
            "Mode fleet: hashrate x time by which pool A was ahead in the last 24 hours, in seconds of the whole fleet");
        turn_takers: Gauge = gauge("dpmp_fleet_turn_takers", "Mode fleet: miners that take turns");
        paused: Gauge = gauge("dpmp_workers_paused", "Paused workers");
        standing_in: Gauge = gauge(
            "dpmp_miners_standing_in", "Miners that work for the other pool while their own is down");
        hanging: Gauge = gauge("dpmp_miners_hanging", "Connected miners that have work but send no shares");
        temporary: Gauge = gauge("dpmp_temporary_changes", "Temporary changes in force");
        clock: Gauge = gauge(
            "dpmp_clock_plausible", "1 if the computer's clock is plausible; at 0, the timetable and the ends of temporary changes wait");
        uptime: Gauge = gauge("dpmp_uptime_seconds", "Seconds since DPMP started");
        info: GaugeVec = gauges(
            "dpmp_pool_info", "Always 1; the labels are a pool's name and its coin",
            &["pool", "name", "chain"]);
        troubles: GaugeVec = gauges(
            "dpmp_troubles", "Troubles of a kind that Home shows now", &["trouble", "level"]);
        connections: PerPool<Gauge> = gauges_by_pool(
            "dpmp_upstream_connections", "Authorized connections to a pool");
        active: PerPool<Gauge> = gauges_by_pool("dpmp_active_pool", "1 if at least one miner works for the pool now");
        active_miners: PerPool<Gauge> = gauges_by_pool("dpmp_active_miners", "Miners that work for the pool now");
        target_share: PerPool<Gauge> = gauges_by_pool(
            "dpmp_target_share", "A pool's configured share of the work, from 0 to 1");
        balance_shift: Gauge = gauge(
            "dpmp_balance_shift_points", "Percentage points that balance adds to pool A's share; below 0, B gets more");
        share: PerPool<Gauge> = gauges_by_pool(
            "dpmp_scheduler_share",
            "A pool's share of mining time, from 0 to 1, as the mean over connected miners");
        seconds: PerPool<Gauge> = gauges_by_pool(
            "dpmp_scheduler_time_sum", "Seconds that miners worked for a pool, across restarts");
        hashrate: PerPool<Gauge> = gauges_by_pool(
            "dpmp_hashrate_hashes_per_second", "Hashrate for a pool over 5 minutes, estimated from shares");
        worker_hashrate: GaugeVec = gauges(
            "dpmp_worker_hashrate_hashes_per_second",
            "Hashrate of a connected worker for a pool over 5 minutes, estimated from shares", &["worker", "pool"]);
        best: PerPool<Gauge> = gauges_by_pool(
            "dpmp_best_share_difficulty", "Difficulty of the best share for a pool, across restarts");
        chance: PerPool<Gauge> = gauges_by_pool(
            "dpmp_chance_per_day", "Chance of a block at a pool in a day, from 0 to 1");
        network: PerPool<Gauge> = gauges_by_pool(
            "dpmp_network_difficulty", "Network difficulty in a pool's last job");
        height: PerPool<Gauge> = gauges_by_pool(
            "dpmp_block_height", "Height of the block that a pool works on");
        payout: PerPool<Gauge> = gauges_by_pool(
            "dpmp_payout_share", "Share of the reward that a pool's jobs pay to your payout address, from 0 to 1");
        up: PerPool<Gauge> = gauges_by_pool(
            "dpmp_pool_up", "1 if the pool has an authorized, usable connection");
        down: PerPool<Gauge> = gauges_by_pool("dpmp_pool_down", "1 if the pool is needed and unusable");
        backup: PerPool<Gauge> = gauges_by_pool(
            "dpmp_pool_backup", "The pool's address in use; 0: the first one, n: the n-th backup");
    }
}

impl State {
    /// Records the chance of a block in a day for each pool; unknown is 0.
    pub(super) fn show_chances(&self, chances: &PerPool<Option<f64>>) {
        for (slot, chance) in chances.iter() {
            self.chance[slot].set(chance.unwrap_or(0.0));
        }
    }

    /// Records the alerts that are shown now.
    pub(super) fn show_troubles(&self, alerts: &[Alert]) {
        for kind in CATALOGUE {
            let count = alerts
                .iter()
                .filter(|alert| trouble::name(&alert.id) == kind.name)
                .count();
            self.troubles
                .with_label_values(&[kind.name, kind.level.name()])
                .set(number(count));
        }
    }

    /// Sets the gauges from the current state.
    pub(super) fn show(&self, snapshot: &Snapshot) {
        let miners = &snapshot.miners;
        self.miners.set(number(miners.len()));
        self.difficulty
            .set(mean(miners.iter().filter_map(|miner| miner.difficulty)));
        self.error
            .set(miners.iter().map(|miner| miner.error_seconds).sum());
        let fleet = snapshot.fleet.as_ref();
        self.fleet_error
            .set(fleet.and_then(|it| it.error_seconds).unwrap_or(0.0));
        self.turn_takers
            .set(number(fleet.map_or(0, |it| it.turn_takers.len())));
        self.paused.set(number(snapshot.paused_workers));
        let standing_in = miners.iter().filter(|miner| miner.stands_in);
        self.standing_in.set(number(standing_in.count()));
        let hanging = miners
            .iter()
            .filter(|miner| miner.condition == Condition::Hangs);
        self.hanging.set(number(hanging.count()));
        self.temporary
            .set(number(snapshot.steering.overrides.len()));
        let clock_is_wrong = snapshot.steering.timetable.clock_is_wrong;
        self.clock.set(truth(!clock_is_wrong));
        let uptime = u32::try_from(snapshot.uptime_seconds).unwrap_or(u32::MAX);
        self.uptime.set(f64::from(uptime));
        self.balance_shift
            .set(snapshot.balance.shift.unwrap_or(0.0));
        self.info.reset();
        for (slot, pool) in snapshot.pools.iter() {
            let name = match shorten_addresses(&pool.name) {
                name if name.is_empty() => slot.name().into(),
                name => name,
            };
            self.info
                .with_label_values(&[slot.name(), &name, &pool.chain])
                .set(1.0);
            let best = pool.totals.shares.best.map_or(0.0, |best| best.difficulty);
            self.connections[slot].set(number(pool.connections));
            self.active[slot].set(truth(pool.active_miners > 0));
            self.active_miners[slot].set(number(pool.active_miners));
            self.target_share[slot].set(pool.target_share);
            self.share[slot].set(share(snapshot, slot));
            self.seconds[slot].set(pool.totals.seconds);
            self.hashrate[slot].set(pool.hashrate.unwrap_or(0.0));
            self.best[slot].set(best);
            let insight = pool.insight.as_ref();
            let height = insight.and_then(|it| it.height).unwrap_or(0);
            let paid = insight.and_then(|it| it.payee.share()).unwrap_or(0.0);
            self.network[slot].set(pool.network_difficulty.unwrap_or(0.0));
            self.height[slot].set(f64::from(height));
            self.payout[slot].set(paid);
            self.up[slot].set(truth(pool.health == Health::Up));
            self.down[slot].set(truth(pool.health == Health::Down));
            self.backup[slot].set(number(pool.backup));
        }
        self.worker_hashrate.reset();
        for (worker, hashrate) in worker_hashrates(miners) {
            for (slot, hashrate) in hashrate.iter() {
                self.worker_hashrate
                    .with_label_values(&[worker.as_str(), slot.name()])
                    .set(*hashrate);
            }
        }
    }
}

/// The hashrates of the first [`MAX_WORKERS`] workers, each on all its connections together. A name without a share
/// accepted by a pool does not count, so that nobody can fill the table with made-up names.
fn worker_hashrates(miners: &[MinerView]) -> BTreeMap<String, PerPool<f64>> {
    let mut workers = BTreeMap::<String, PerPool<f64>>::new();
    for miner in miners {
        if miner.accepted.iter().all(|(_, accepted)| *accepted == 0) {
            continue;
        }
        let name = shorten_addresses(&miner.worker).into_owned();
        if workers.len() == MAX_WORKERS && !workers.contains_key(&name) {
            continue;
        }
        let worker = workers.entry(name).or_default();
        for (slot, hashrate) in miner.hashrate.iter() {
            worker[slot] += hashrate.unwrap_or(0.0);
        }
    }
    workers
}

/// A pool's part of the mining time: the mean over the connected miners, because each miner is split by itself. Without
/// miners, it is the part of all the remembered time.
fn share(snapshot: &Snapshot, slot: PoolSlot) -> f64 {
    let part = |of: f64, other: f64| (of + other > 0.0).then(|| of / (of + other));
    let of_miner = |miner: &MinerView| part(miner.seconds[slot], miner.seconds[slot.other()]);
    let parts: Vec<_> = snapshot.miners.iter().filter_map(of_miner).collect();
    if parts.is_empty() {
        let seconds = |slot: PoolSlot| snapshot.pools[slot].totals.seconds;
        part(seconds(slot), seconds(slot.other())).unwrap_or(0.0)
    } else {
        mean(parts.into_iter())
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

fn truth(yes: bool) -> f64 {
    if yes { 1.0 } else { 0.0 }
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
