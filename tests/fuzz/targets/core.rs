//! The core between miners and pools, in virtual time. The input is a script with one event per line:
//!
//! ```text
//! miner                     a miner connects: m1, then m2 …
//! m1 {"id":1,…}             it sends this line
//! m1 share 0                it sends a share for its latest job (1: for the one before …)
//! m1 share 0 1fffe000       the same with version bits
//! m1 leave                  it closes its connection
//! A {"method":…}            pool A sends this line on its newest connection
//! A:1 {"method":…}          the same on its oldest open connection (2: on the one after …)
//! A close, A:1 close        it closes all its connections, or the oldest
//! A up, A down, A hang      from now on it accepts connections, refuses them, or does not answer
//! A plain, A mute           it answers yes to everything and sends a job, or sends nothing
//! wait 1500                 this many milliseconds pass
//! weights 30 70             the owner changes the configuration
//! wallet A text, host A text
//! override pause 5000       all workers pause for this many milliseconds (0: until the next; A, B: work for that pool)
//! worker A, timetable A     the same as the worker's own setting, or in the timetable; `none`: removes it
//! prices 100000 500         a program sends the prices of A's and B's coins
//! failover off              no miner works for the other pool while its own is down
//! stop                      the proxy is asked to stop
//! ```
//!
//! Any other line is skipped.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use dpmp::config::steering::{Work, WorkerSettings};
use dpmp::config::{self, Config};
use dpmp::core::event::Event;
use dpmp::core::memory::Memory;
use dpmp::core::pool::MOST_DESERTED;
use dpmp::core::steering::{ALL_WORKERS, Override, TimetableNow};
use dpmp::history::History;
use dpmp::observe::event;
use dpmp::observe::metrics::Metrics;
use dpmp::sim::world::script::{ScriptMiner, ScriptPool};
use dpmp::sim::world::{Network, UNIX_START, World};
use dpmp::units::{PerPool, PoolConn, PoolSlot};
use dpmp::web::api::{Moment, miners, status};
use serde_json::{Value, json};

use super::check_object;

/// The longest script, in lines.
const MOST_LINES: usize = 300;

/// The most miners that connect in one script.
const MOST_MINERS: usize = 5;

/// The longest total wait in a script.
const LONGEST_WAIT: Duration = Duration::from_secs(900);

/// After this time everything is answered or given up, with the configuration below.
const ALL_OVER: Duration = Duration::from_secs(60);

/// The most simultaneous dials to one pool.
const MOST_DIALS: usize = 16;

/// The most connections a miner may hold: one at each pool, and four that were replaced.
const MOST_OF_ONE: usize = 10;

static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics::new().expect("metrics"));

pub fn run(data: &[u8]) {
    let mut story = Story::new();
    for line in String::from_utf8_lossy(data).lines().take(MOST_LINES) {
        story.step(line);
        story.look();
    }
    story.finish();
}

struct Story {
    world: World<ScriptPool, ScriptMiner>,
    history: History,
    waited: Duration,
    settings: Settings,
    /// How many shares were sent.
    shares: u32,
    stopped: bool,
}

/// The parts of the configuration that the script can change.
struct Settings {
    weights: [f64; 2],
    wallets: PerPool<String>,
    hosts: PerPool<String>,
    /// The work assigned to the worker `rig`.
    worker: Option<Work>,
    failover: bool,
}

impl Settings {
    /// `None` if the value is not allowed.
    fn config(&self) -> Option<Config> {
        let pool = |slot| {
            json!({
                "host": self.hosts[slot], "wallet": self.wallets[slot], "stall_seconds": 20, "answer_seconds": 10,
                "chain": slot.name(),
            })
        };
        let text = json!({
            "listen": {"authorize_seconds": 20},
            "pools": {"A": pool(PoolSlot::A), "B": pool(PoolSlot::B)},
            "scheduler": {"poolA_weight": self.weights[0], "poolB_weight": self.weights[1], "no_work_seconds": 15},
            "balance": {"enabled": true, "full_at_percent": 1, "prices": {"A": 1}},
        });
        let mut config = config::parse(&text.to_string()).ok()?.config;
        config.scheduler.failover = self.failover;
        config.timetable.enabled = true;
        let settings = WorkerSettings {
            work: self.worker,
            ..WorkerSettings::default()
        };
        config.workers.insert("rig".to_owned(), settings);
        Some(config)
    }
}

/// Remembered state: both pools were watched for an hour, so the balance lacks only prices.
fn memory() -> Memory {
    const HALF_HOUR: u64 = 1800;
    let present = u64::from(UNIX_START) / HALF_HOUR;
    let of = |slot: PoolSlot| {
        let spans = [2, 1].map(|ago| (present - ago, 0.001, HALF_HOUR * 1000));
        json!({"chain": slot.name(), "spans": spans})
    };
    let earnings = json!({"A": of(PoolSlot::A), "B": of(PoolSlot::B)});
    let memory = json!({"balance": {"earnings": earnings}});
    serde_json::from_value(memory).expect("it is as it was written")
}

/// A pool that answers yes to everything, and accepts every hash.
fn pool(slot: PoolSlot) -> ScriptPool {
    let prevhash = "11".repeat(32);
    let job = json!([
        "j",
        prevhash,
        "01",
        "02",
        [],
        "20000000",
        "1a00ffff",
        "6ab00000",
        true
    ]);
    let mut pool = ScriptPool::new(job);
    pool.difficulty = 1e-10;
    // Every two connections get the same one.
    pool.e1 = match slot {
        PoolSlot::A => |number| format!("aa{:06x}", number / 2),
        PoolSlot::B => |number| format!("bb{:06x}", number / 2),
    };
    pool.e2_size = if slot == PoolSlot::A { 4 } else { 8 };
    pool
}

impl Story {
    fn new() -> Self {
        let settings = Settings {
            weights: [50.0, 50.0],
            wallets: PerPool::new("walletA".into(), "walletB".into()),
            hosts: PerPool::new("a.test".into(), "b.test".into()),
            worker: None,
            failover: true,
        };
        let config = Arc::new(settings.config().expect("the first configuration is good"));
        let mut world = World::with(config, memory(), |slot, _| pool(slot), Network::NONE, 7);
        world.keep_facts = true;
        let mut story = Self {
            world,
            history: History::default(),
            waited: Duration::ZERO,
            settings,
            shares: 0,
            stopped: false,
        };
        story.advance(Duration::ZERO);
        story
    }

    fn step(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "miner" => self.connect(),
            "wait" => {
                let time = Duration::from_millis(rest.parse().unwrap_or(0));
                let time = time.min(LONGEST_WAIT - self.waited);
                self.waited += time;
                self.advance(time);
            }
            "weights" => {
                let mut weights = rest.split(' ').map(str::parse);
                if let (Some(Ok(a)), Some(Ok(b))) = (weights.next(), weights.next()) {
                    self.change(|settings| settings.weights = [a, b]);
                }
            }
            "prices" => {
                let prices = rest.split(' ').map(|price| price.parse().unwrap_or(0.0));
                let coins = PoolSlot::ALL.map(|slot| slot.name().to_owned());
                self.world
                    .tell(Event::PricesSet(coins.into_iter().zip(prices).collect()));
            }
            "override" => {
                let (work, time) = rest.split_once(' ').unwrap_or((rest, ""));
                let now = self.world.clock().unix_ms;
                let time: u64 = time.parse().unwrap_or(0);
                let workers = vec![ALL_WORKERS.to_owned()];
                self.world.tell(match Work::read(&work.into()) {
                    Ok(work) => Event::Override(Override {
                        work,
                        workers,
                        until_ms: (time > 0).then(|| now.saturating_add(time)),
                        set_ms: now,
                        by: String::new(),
                    }),
                    Err(_) => Event::OverrideEnded(workers),
                });
            }
            "timetable" => {
                let work = Work::read(&rest.into()).ok();
                self.world.tell(Event::Timetable(TimetableNow {
                    entry: work.map(|work| (0, work)),
                    ..TimetableNow::default()
                }));
            }
            "worker" => self.change(|settings| settings.worker = Work::read(&rest.into()).ok()),
            "failover" => self.change(|settings| settings.failover = rest != "off"),
            "wallet" | "host" => {
                let Some((slot, text)) = rest
                    .split_once(' ')
                    .and_then(|(name, text)| Some((slot(name)?, text)))
                else {
                    return;
                };
                self.change(|settings| match word {
                    // A dot in the name marks the connections of miners.
                    "wallet" => settings.wallets[slot] = text.replace('.', "-"),
                    _ => settings.hosts[slot] = text.to_owned(),
                });
            }
            "stop" => {
                self.stopped = true;
                self.world.shut_down();
            }
            _ => {
                let (name, which) = word.split_once(':').unwrap_or((word, ""));
                if let Some(slot) = slot(name) {
                    self.pool_does(slot, which, rest);
                } else if let Some(Ok(number)) = word.strip_prefix('m').map(str::parse::<usize>) {
                    self.miner_does(number.wrapping_sub(1), rest);
                }
            }
        }
        self.advance(Duration::ZERO);
    }

    fn connect(&mut self) {
        if self.world.rigs.len() < MOST_MINERS {
            let index = self.world.add(ScriptMiner::default());
            self.world.connect(index);
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings);
        if let Some(config) = self.settings.config() {
            self.world.configure(config);
        }
    }

    fn miner_does(&mut self, index: usize, what: &str) {
        if index >= self.world.rigs.len() {
            return;
        }
        if what == "leave" {
            self.world.hang_up(index);
        } else if let Some(which) = what.strip_prefix("share ") {
            if let Some(line) = self.share(index, which) {
                self.world.miner_says(index, &line);
            }
        } else {
            self.world.miner_says(index, what);
        }
    }

    /// The line with a share that is good if its job still is: `which` counts jobs back; with version bits if given.
    fn share(&mut self, index: usize, which: &str) -> Option<String> {
        let (back, bits) = which.split_once(' ').unwrap_or((which, ""));
        let miner = &self.world.rigs[index].model;
        let job = miner.jobs.iter().rev().nth(back.parse().ok()?)?;
        self.shares += 1;
        let e2 = "00".repeat(miner.extranonce.1);
        let nonce = format!("{:08x}", self.shares);
        let mut params = vec![
            "w.rig".into(),
            job[0].clone(),
            e2.into(),
            job[7].clone(),
            nonce.into(),
        ];
        params.extend((!bits.is_empty()).then(|| Value::from(bits)));
        let id = 1000 + self.shares;
        Some(json!({"id": id, "method": "mining.submit", "params": params}).to_string())
    }

    fn pool_does(&mut self, slot: PoolSlot, which: &str, what: &str) {
        let site = &mut self.world.sites[slot];
        match what {
            "up" | "down" | "hang" => {
                (site.up, site.holds) = (what == "up", what == "hang");
                if !site.holds {
                    self.world.answer_dials(slot);
                }
            }
            "plain" | "mute" => site.model.mute = what == "mute",
            "close" => {
                for conn in self.chosen(slot, which) {
                    self.world.cut(conn);
                }
            }
            line => {
                if let Some(conn) = self.chosen(slot, which).pop() {
                    self.world.pool_says(conn, line);
                }
            }
        }
    }

    /// The open connections that a script line refers to, the newest last.
    fn chosen(&self, slot: PoolSlot, which: &str) -> Vec<PoolConn> {
        let mut standing = self.world.standing(slot);
        match which.parse::<usize>() {
            Ok(number) => standing.nth(number.wrapping_sub(1)).into_iter().collect(),
            Err(_) => standing.collect(),
        }
    }

    fn advance(&mut self, time: Duration) {
        self.world.run(time, |_| ());
        let now = self.world.clock();
        for fact in std::mem::take(&mut self.world.facts) {
            METRICS.record(&fact);
            let line = event::line(&fact, now.unix_ms, 1, false);
            assert!(
                !line.trim_end().contains(['\n', '\r', '\u{1b}']),
                "{line:?}"
            );
            check_object(&line);
        }
    }

    /// What must hold after every line of the script.
    fn look(&mut self) {
        let now = self.world.clock();
        let snapshot = Arc::new(self.world.core.snapshot(now));
        // A miner held without work is not shown.
        assert!(snapshot.miners.len() <= self.world.connected());
        for slot in PoolSlot::ALL {
            assert!(self.world.promises.dialling(slot) <= MOST_DIALS);
        }
        let of_miners = self.of_miners();
        // In addition to connections that wait for answers for miners that left.
        let most = MOST_OF_ONE * self.world.connected() + 2 * MOST_DESERTED;
        assert!(of_miners.len() <= most, "{of_miners:?} for {most}");
        self.history.look(&snapshot, now);
        let moment = Moment {
            snapshot: &snapshot,
            config: self.world.core.config(),
            now,
        };
        let listen = SocketAddr::from(([127, 0, 0, 1], 3351));
        let status = status::status(&moment, &self.history, listen, Vec::new());
        serde_json::to_string(&status).expect("the state can be shown");
        let miners = miners::miners(&moment, &self.history);
        serde_json::to_string(&miners).expect("the miners can be shown");
    }

    /// The open connections on which a miner was authorized.
    fn of_miners(&self) -> Vec<PoolConn> {
        let of = |slot| {
            let pool = &self.world.sites[slot].model;
            let standing = self.world.standing(slot);
            standing.filter(|conn| pool.has_worker(*conn))
        };
        PoolSlot::ALL.into_iter().flat_map(of).collect()
    }

    /// Ends everything: requests are answered, connections are closed, and the saved state can be read again.
    fn finish(mut self) {
        for slot in PoolSlot::ALL {
            self.pool_does(slot, "", "up");
        }
        self.advance(ALL_OVER);
        assert_eq!(self.world.promises.owed(), []);
        self.look();
        assert_eq!(self.world.core.is_finished(), self.stopped);
        for index in 0..self.world.rigs.len() {
            self.world.hang_up(index);
        }
        self.advance(ALL_OVER);
        self.look();
        assert_eq!(self.of_miners(), [], "connections without a miner");
        assert!(
            self.world.links() <= 2,
            "{} connections",
            self.world.links()
        );
        let memory = self.world.core.memory();
        let text = serde_json::to_string(&memory).expect("the memory can be saved");
        let again: Memory = serde_json::from_str(&text).unwrap_or_else(|error| {
            panic!("the state file can no longer be read: {error}: {text}");
        });
        let again = serde_json::to_string(&again).expect("the memory can be saved");
        assert_eq!(again, text);
    }
}

fn slot(name: &str) -> Option<PoolSlot> {
    PoolSlot::ALL.into_iter().find(|slot| slot.name() == name)
}
