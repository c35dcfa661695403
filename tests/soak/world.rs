//! The proxy between its pools and miners, and what has to hold whenever there is no fault.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use dpmp::random::Random;
use dpmp::sim::miner::SimMiner;
use dpmp::sim::miner::options::{Counter, DifficultyUse, Handshake, Ids, MinerOptions, Pace};
use dpmp::sim::pool::SimPool;
use dpmp::sim::pool::ledger::PoolViolation;
use dpmp::sim::pool::options::PoolOptions;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::chaos::{End, restore_config};
use super::disk::Disk;
use super::proxy::{PATIENCE, Ports, Proxy};
use super::slow::Slow;
use super::vanish;

/// Shares per second of all miners together, and the most per miner.
const RATE: f64 = 60.0;
const MOST_OF_ONE: f64 = 2.0;

/// The pools' weights, and the smaller pool's turn in seconds.
pub(crate) const WEIGHTS: [u32; 2] = [60, 40];
pub(crate) const SLICE: u32 = 1;

/// How long miners and pools may take until all are together again. Pool connections are opened again after at most a
/// minute.
const REUNION: Duration = Duration::from_secs(180);

/// How long a pool that kept losing or rejecting shares may be set aside before it is tried again.
const PROBATION: Duration = Duration::from_secs(31 * 60);

/// How long the proxy keeps replaced pool connections, with a margin.
const RETIRING: Duration = Duration::from_secs(7);

/// Totals this old are on the disk, since the state is written every 30 s.
const SAVED_WITHIN: Duration = Duration::from_secs(45);

/// Everything that takes part.
pub(crate) struct World {
    pub(crate) rng: Random,
    pub(crate) proxy: Proxy,
    pub(crate) pools: [Pool; 2],
    pub(crate) miners: Vec<SimMiner>,
    pub(crate) guests: Vec<JoinHandle<()>>,
    pub(crate) stop_guests: Arc<AtomicBool>,
    /// What ends each lasting fault, when, and the pool's number.
    pub(crate) ends: Vec<(Instant, End, usize)>,
    /// The number of faults of each kind.
    pub(crate) faults: BTreeMap<&'static str, u64>,
    /// Whether miners can have their own networks.
    pub(crate) miners_can_vanish: bool,
    pub(crate) violations: Arc<Mutex<Vec<String>>>,
    /// The longest duration of a fault.
    longest: Duration,
    /// Samples of the accepted shares by the proxy's own count.
    samples: VecDeque<(Instant, u64)>,
    /// The time of the last disk fault.
    disk_trouble: Option<Instant>,
    /// The totals last found in the state file.
    saved: u64,
}

/// A simulated pool.
pub(crate) struct Pool {
    pub(crate) sim: SimPool,
    /// Its options while it has no fault.
    pub(crate) first: PoolOptions,
    /// The pool behind the slow line, which replaces the other for a while.
    pub(crate) behind: SimPool,
    pub(crate) slow: Option<Slow>,
    /// Whether it has a lasting fault.
    pub(crate) busy: bool,
}

/// Three counts of shares: accepted by the pools, known to the proxy as accepted, and given up by the proxy.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shares {
    taken: u64,
    accepted: u64,
    given_up: u64,
}

/// The configuration the proxy is started with, with all long delays shortened.
pub(crate) fn config(ports: Ports) -> Value {
    let pool = |number: usize| {
        json!({
            "name": format!("Pool {number}"), "host": "127.0.0.1", "port": ports.pools[number],
            "wallet": "wallet", "stall_seconds": 10, "answer_seconds": 4,
        })
    };
    json!({
        "listen": {
            "host": "0.0.0.0", "port": ports.miners, "max_miners_per_address": 0, "authorize_seconds": 5,
        },
        "metrics": {"host": "127.0.0.1", "port": ports.metrics},
        "gui": {"host": "127.0.0.1", "port": ports.pages},
        "pools": {"A": pool(0), "B": pool(1)},
        "scheduler": {
            "poolA_weight": WEIGHTS[0], "poolB_weight": WEIGHTS[1], "slice_seconds": SLICE,
            "min_switch_seconds": 0.2, "catch_up_seconds": 0, "no_work_seconds": 20,
        },
        "logging": {"directory": "logs", "max_file_mb": 1, "keep_files": 2},
    })
}

impl World {
    /// Starts everything.
    pub(crate) fn start(seed: u64, miners: u32, longest: Duration) -> Self {
        let mut rng = Random::new(seed);
        let ports = Ports::choose();
        let pools = [("A", 0), ("B", 1)].map(|(tag, number)| {
            let first = PoolOptions {
                port: ports.pools[number],
                seed: rng.next_u64(),
                tag: tag.into(),
                job_interval: Some(Duration::from_secs(3)),
                block_interval: Some(Duration::from_secs(60)),
                ..PoolOptions::default()
            };
            let behind = PoolOptions {
                port: 0,
                seed: rng.next_u64(),
                ..first.clone()
            };
            Pool {
                sim: SimPool::start(first.clone()).unwrap(),
                first,
                behind: SimPool::start(behind).unwrap(),
                slow: None,
                busy: false,
            }
        });
        let proxy = Proxy::start(Disk::new(), ports, &config(ports));
        let rate = (RATE / f64::from(miners)).min(MOST_OF_ONE);
        let start = |number| SimMiner::start(miner(&proxy, number, rate)).unwrap();
        let miners = (0..miners).map(start).collect();
        Self {
            rng,
            proxy,
            pools,
            miners,
            guests: Vec::new(),
            stop_guests: Arc::default(),
            ends: Vec::new(),
            faults: BTreeMap::new(),
            miners_can_vanish: vanish::is_possible(),
            violations: Arc::default(),
            longest,
            samples: VecDeque::new(),
            disk_trouble: None,
            saved: 0,
        }
    }

    /// Records a violation.
    pub(crate) fn violation(&self, text: impl Into<String>) {
        let text = text.into();
        println!("violated: {text}");
        self.violations.lock().push(text);
    }

    /// The duration of a fault.
    pub(crate) fn a_while(&mut self) -> Duration {
        self.longest.mul_f64(0.1 + 0.9 * self.rng.unit())
    }

    /// Ends a fault after a while.
    pub(crate) fn end_later(&mut self, end: End, pool: usize) {
        let at = Instant::now() + self.a_while();
        self.ends.push((at, end, pool));
    }

    /// Ends faults that are due.
    pub(crate) fn end_due(&mut self) {
        let now = Instant::now();
        let (due, later) = std::mem::take(&mut self.ends)
            .into_iter()
            .partition(|(at, ..)| *at <= now);
        self.ends = later;
        let due: Vec<(Instant, End, usize)> = due;
        for (_, end, pool) in due {
            end(self, pool);
        }
    }

    pub(crate) fn disk_troubled(&mut self) {
        self.disk_trouble = Some(Instant::now());
    }

    /// Checks that the proxy is running, and samples its totals.
    pub(crate) fn watch(&mut self) {
        if let Some(end) = self.proxy.has_ended() {
            self.violation(end);
            self.proxy.start_again();
        }
        let status = self.proxy.status().unwrap_or_default();
        self.samples.push_back((Instant::now(), accepted(&status)));
        if self.samples.len() > 1000 {
            self.samples.pop_front();
        }
        self.forget();
    }

    /// Clears the simulated miners' records, which would fill the memory.
    pub(crate) fn forget(&self) {
        for miner in &self.miners {
            miner.ledger().forget();
        }
    }

    /// Kills the proxy with SIGKILL, checks the files on disk, and starts it again.
    pub(crate) fn kill(&mut self) {
        self.proxy.kill();
        let now = Instant::now();
        let is_old = |(at, _): &&(Instant, u64)| now.duration_since(*at) > SAVED_WITHIN;
        let known = self
            .samples
            .iter()
            .rev()
            .find(is_old)
            .map_or(0, |(_, total)| *total);
        let disk_was_well = self
            .disk_trouble
            .is_none_or(|at| now.duration_since(at) > SAVED_WITHIN);
        let saved = self.check_state();
        if disk_was_well && saved < known {
            self.violation(format!(
                "after SIGKILL the state has {saved} accepted shares; {SAVED_WITHIN:?} before there were {known}"
            ));
        }
        self.samples.clear();
        // DPMP does not start with a configuration it cannot read; the owner has to correct the file.
        let config = fs::read_to_string(self.proxy.disk.folder().join("config.json"));
        if !config.is_ok_and(|text| dpmp::config::parse(&text).is_ok()) {
            self.proxy.disk.make_room();
            self.proxy.disk.set_writable(true);
            restore_config(self, 0);
        }
        self.proxy.start_again();
        let first = accepted(&self.proxy.status().unwrap_or_default());
        if first < saved {
            self.violation(format!(
                "it started with {first} accepted shares, but {saved} were saved"
            ));
        }
    }

    /// Reads the state file: it is whole, and its totals are not lower. Returns the number of accepted shares.
    pub(crate) fn check_state(&mut self) -> u64 {
        let folder = self.proxy.disk.folder();
        for name in ["state.json", "history.json"] {
            let Ok(text) = fs::read_to_string(folder.join(name)) else {
                continue;
            };
            match serde_json::from_str::<Value>(&text) {
                Ok(state) if name == "state.json" => {
                    let pools = &state["ledger"]["pools"];
                    let of = |pool: &str| pools[pool]["accepted"].as_u64();
                    let saved = of("A").zip(of("B")).map_or(0, |(a, b)| a + b);
                    if saved < self.saved {
                        let before = self.saved;
                        self.violation(format!(
                            "the state has {saved} accepted shares, but had {before} before"
                        ));
                    }
                    self.saved = saved;
                }
                Ok(_) => (),
                Err(error) => self.violation(format!("{name} is broken: {error}")),
            }
            if folder.join(format!("{name}.unreadable")).exists() {
                self.violation(format!("{name} was set aside"));
            }
        }
        self.saved
    }

    /// Waits until every miner is connected and works at both pools, and nothing else is left over.
    pub(crate) fn reunite(&self) -> bool {
        let count = Some(self.miners.len() as u64);
        let start = Instant::now();
        let mut since = None;
        let mut patience = REUNION;
        while start.elapsed() < patience {
            let status = self.proxy.status().unwrap_or_default();
            let is_down = |pool: &str| status["pools"][pool]["state"] == "down";
            if since.is_some() && (is_down("A") || is_down("B")) {
                patience = PROBATION;
                std::thread::sleep(Duration::from_secs(1));
                continue;
            }
            let ready = |pool: &str| status["pools"][pool]["connections_ready"].as_u64();
            let together = status["miners_connected"].as_u64() == count
                && ready("A") == count
                && ready("B") == count;
            if !together {
                since = None;
            } else if since.get_or_insert_with(Instant::now).elapsed() > RETIRING {
                return true;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        let status = self.proxy.status().unwrap_or_default();
        let pools = ["A", "B"].map(|pool| {
            let pool = &status["pools"][pool];
            format!(
                "{} connections, {} ({})",
                pool["connections_ready"], pool["state"], pool["state_reason"]
            )
        });
        let connected = &status["miners_connected"];
        self.violation(format!(
            "not all back within {patience:?}: {connected} miners; {pools:?}"
        ));
        false
    }

    /// Watches the split for a while without faults. Returns the part of the miners' time that went to pool A.
    pub(crate) fn split(&self, quiet: Duration) -> f64 {
        let from = Instant::now();
        std::thread::sleep(quiet);
        let now = Instant::now();
        let (mut on_a, mut all) = (0.0, 0.0);
        for miner in &self.miners {
            for (job, time) in miner.ledger().job_times(now) {
                let begin = job.at.max(from);
                let seconds = (job.at + time)
                    .saturating_duration_since(begin)
                    .as_secs_f64();
                all += seconds;
                if job.tag.as_deref() == Some("A") {
                    on_a += seconds;
                }
            }
        }
        let share = on_a / all;
        let target = f64::from(WEIGHTS[0]) / f64::from(WEIGHTS[0] + WEIGHTS[1]);
        // A miner's error is within the same bound before and after; on a busy machine switches come late.
        let bound = f64::from(SLICE) * target / 2.0;
        let allowed = 2.0 * bound / quiet.as_secs_f64() + 0.03;
        // Having measured no time at all is wrong, too.
        let fits = (share - target).abs() <= allowed;
        if !fits {
            self.violation(format!(
                "{share:.3} of the time went to A in {quiet:?}, expected {target} ± {allowed:.3}"
            ));
        }
        share
    }

    /// Pauses all miners until their shares are answered, compares the counts, and lets them continue.
    pub(crate) fn settle_accounts(&self, before: Option<Shares>) -> Shares {
        self.miners.iter().for_each(|miner| miner.pause(true));
        std::thread::sleep(Duration::from_millis(500));
        let open = || {
            self.miners
                .iter()
                .map(|miner| miner.ledger().open_submits())
                .sum::<usize>()
        };
        if !comes_true(|| open() == 0) {
            self.violation(format!("{} shares have no answer", open()));
        }
        let mut shares = self.shares();
        let fits = |shares: &Shares| {
            let before = before.unwrap_or(*shares);
            let taken = shares.taken - before.taken;
            let accepted = shares.accepted.saturating_sub(before.accepted);
            accepted <= taken && taken <= accepted + shares.given_up.saturating_sub(before.given_up)
        };
        // The proxy publishes its totals once per second.
        let fit = comes_true(|| {
            std::thread::sleep(Duration::from_millis(300));
            shares = self.shares();
            fits(&shares)
        });
        if !fit {
            self.violation(format!(
                "the counts do not match: {before:?}, then {shares:?}"
            ));
        }
        self.miners.iter().for_each(|miner| miner.pause(false));
        self.check_manners();
        shares
    }

    fn shares(&self) -> Shares {
        let status = self.proxy.status().unwrap_or_default();
        let lost = |pool: &str| status["pools"][pool]["lost"].as_u64().unwrap_or(0);
        let left = self
            .proxy
            .metric("dpmp_shares_unanswered_total")
            .unwrap_or(0.0);
        let sims = self.pools.iter().flat_map(|pool| [&pool.sim, &pool.behind]);
        Shares {
            taken: sims.map(|sim| sim.ledger().accepted()).sum(),
            accepted: accepted(&status),
            given_up: lost("A") + lost("B") + left as u64,
        }
    }

    /// Violations of the proxy that the simulators recorded.
    fn check_manners(&self) {
        for miner in &self.miners {
            if let Some(first) = miner.ledger().violations().first() {
                self.violation(format!("seen by a miner: {first:?}"));
            }
        }
        for pool in &self.pools {
            // A pool whose handshake order has just changed gets the old order once.
            let violations = pool.sim.ledger().violations();
            let mut violations = violations
                .iter()
                .filter(|(what, _)| *what != PoolViolation::WrongOrder);
            if let Some(first) = violations.next() {
                self.violation(format!("seen by a pool: {first:?}"));
            }
        }
    }

    /// A full disk is logged once, shown on the pages, and stops nothing.
    pub(crate) fn drill_full_disk(&mut self) {
        if !self.proxy.disk.can_be_full() {
            return;
        }
        let complaints = |world: &Self| {
            let said = world.proxy.said.lock();
            said.errors
                .iter()
                .filter(|line| line.contains("cannot write log lines"))
                .count()
        };
        let before = (complaints(self), self.answered());
        self.proxy.disk.fill();
        if !comes_true(|| self.has_alert("log_files")) {
            self.violation("there is no alert about the full disk");
        }
        if !comes_true(|| self.answered() > before.1 + 20) {
            self.violation("no shares while the disk is full");
        }
        if complaints(self) != before.0 + 1 {
            let times = complaints(self) - before.0;
            self.violation(format!(
                "a full disk was reported {times} times on standard error"
            ));
        }
        self.proxy.disk.make_room();
        self.disk_troubled();
        if !comes_true(|| !self.has_alert("log_files")) {
            self.violation("the alert about the full disk does not end");
        }
    }

    /// A read-only folder is logged once, shown on the pages, and stops nothing. The state is written every 30 s.
    pub(crate) fn drill_read_only(&mut self) {
        let complaints = |world: &Self| {
            let said = world.proxy.said.lock();
            said.errors
                .iter()
                .filter(|line| line.contains("state.json"))
                .count()
        };
        // A trouble that has not ended would not be logged again.
        let begin = SystemTime::now();
        if !comes_true(|| self.saved_after(begin)) {
            self.violation("the state is not saved although it could be");
        }
        let before = (complaints(self), self.answered());
        self.proxy.disk.set_writable(false);
        if !comes_true(|| complaints(self) > before.0 && self.has_alert("state_trouble")) {
            self.violation("a read-only folder is not reported");
        }
        if !comes_true(|| self.answered() > before.1 + 20) {
            self.violation("no shares while the folder is read-only");
        }
        self.proxy.disk.set_writable(true);
        self.disk_troubled();
        if complaints(self) != before.0 + 1 {
            let times = complaints(self) - before.0;
            self.violation(format!(
                "a read-only folder was reported {times} times on standard error"
            ));
        }
    }

    fn saved_after(&self, begin: SystemTime) -> bool {
        let state = fs::metadata(self.proxy.disk.folder().join("state.json"));
        state.is_ok_and(|file| file.modified().unwrap() > begin)
    }

    /// The number of shares answered to the miners.
    pub(crate) fn answered(&self) -> u64 {
        let answered = |miner: &SimMiner| miner.ledger().accepted() + miner.ledger().rejected();
        self.miners.iter().map(answered).sum()
    }

    fn has_alert(&self, name: &str) -> bool {
        let status = self.proxy.status().unwrap_or_default();
        let alerts = status["alerts"].as_array().cloned().unwrap_or_default();
        let is_it = |alert: &Value| alert["id"].as_str().is_some_and(|id| id.starts_with(name));
        alerts.iter().any(is_it)
    }
}

fn accepted(status: &Value) -> u64 {
    let of = |pool: &str| status["pools"][pool]["accepted"].as_u64().unwrap_or(0);
    of("A") + of("B")
}

/// Whether a condition comes true within [`PATIENCE`].
pub(crate) fn comes_true(mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    true
}

/// Miners of different kinds.
fn miner(proxy: &Proxy, number: u32, rate: f64) -> MinerOptions {
    use Handshake::{Axeos, Cgminer, ConfigureLast, Cpuminer, SubscribeFirst};
    let turn = |every: u32| number % every == 0;
    let index = usize::try_from(number).unwrap();
    MinerOptions {
        address: proxy.miners_address(),
        user: format!("wallet.rig{number}"),
        handshake: [Cgminer, Axeos, Cpuminer, SubscribeFirst, ConfigureLast][index % 5],
        ids: [Ids::Counted, Ids::Text, Ids::SubmitsAreFour][index % 3],
        extranonce_subscribe: turn(4),
        hangs_up_on_set_extranonce: turn(7),
        ignores_seen_jobs: turn(2),
        ignores_set_version_mask: turn(6),
        rolls_ntime: turn(3),
        counter: if turn(9) {
            Counter::Continues
        } else {
            Counter::Restarts
        },
        difficulty_use: if turn(8) {
            DifficultyUse::AtOnce
        } else {
            DifficultyUse::NextJob
        },
        pace: Pace::Shares(rate),
        reconnect: Some(Duration::from_millis(500 + u64::from(number % 10) * 100)),
        ..MinerOptions::default()
    }
}
