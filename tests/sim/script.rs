//! One miner and two pools whose lines stand in the test: for stories in which each line counts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dpmp::config::Config;
use dpmp::core::Core;
use dpmp::core::action::Action;
use dpmp::core::event::{CloseReason, Event};
use dpmp::core::snapshot::{Memory, Snapshot};
use dpmp::sim::chain::hash::{Header, is_block, merkle_root};
use dpmp::stratum::codec::{Encode, decode_miner, decode_pool};
use dpmp::units::{Client, LinkId, MinerId, Now, PerPool, PoolConn, PoolSlot};
use serde_json::{Value, json};

use crate::world::UNIX_START;

const MINER: MinerId = MinerId(1);

/// How a pool answers what it is asked.
pub(crate) struct Habits {
    /// The version bits that it grants; `None`: it refuses `mining.configure`.
    pub(crate) mask: Option<u32>,
    /// The only user name that it takes, if not any.
    pub(crate) only_user: Option<&'static str>,
    /// Whether it answers shares by itself.
    pub(crate) answers: bool,
    /// What its extranonce1 is for the n-th connection.
    pub(crate) e1: fn(u32) -> String,
    /// The parameters of the job that it sends to a new connection.
    pub(crate) job: Value,
}

/// A share as it reached a pool.
#[derive(Clone, Debug)]
pub(crate) struct Forwarded {
    pub(crate) conn: PoolConn,
    pub(crate) request: u64,
    pub(crate) params: Vec<Value>,
}

pub(crate) struct Script {
    core: Core,
    start: Instant,
    now: Instant,
    waiting: VecDeque<Event>,
    pub(crate) pools: PerPool<Habits>,
    open: BTreeSet<PoolConn>,
    connections: u32,
    pub(crate) forwarded: Vec<Forwarded>,
    /// Everything that pools were sent.
    pub(crate) heard: Vec<(PoolConn, Value)>,
    /// The parameters of each job that the miner was sent.
    pub(crate) jobs: Vec<Value>,
    /// Each mask that it was told without having asked just then.
    pub(crate) masks: Vec<Value>,
    answers: BTreeMap<u64, Vec<Value>>,
    /// What the miner was told of its place in the coinbase.
    e1: String,
    e2_size: usize,
}

/// A job whose every hash is a share; its coinbase tells the pool.
pub(crate) fn job(slot: PoolSlot, name: &str, clean: bool) -> Value {
    job_at(slot, name, clean, "1702a1b2")
}

/// The same under another network target.
pub(crate) fn job_at(slot: PoolSlot, name: &str, clean: bool, nbits: &str) -> Value {
    let coinb1 = if slot == PoolSlot::A { "01aa" } else { "01bb" };
    let (prevhash, ntime) = ("ab".repeat(32), format!("{UNIX_START:08x}"));
    json!([
        name,
        prevhash,
        coinb1,
        "ff",
        [],
        "20000000",
        nbits,
        ntime,
        clean
    ])
}

impl Script {
    pub(crate) fn new(config: Config, change: impl FnOnce(&mut PerPool<Habits>)) -> Self {
        let start = Instant::now() + Duration::from_secs(1000);
        let now = Now {
            at: start,
            unix_ms: u64::from(UNIX_START) * 1000,
        };
        let mut actions = Vec::new();
        let core = Core::new(Arc::new(config), Memory::default(), 1, now, &mut actions);
        let mut pools = PerPool::from_fn(|slot| Habits {
            mask: Some(0x1fff_e000),
            only_user: None,
            answers: true,
            e1: |number| format!("{number:08x}"),
            job: job(slot, "first", true),
        });
        change(&mut pools);
        let mut script = Self {
            core,
            start,
            now: start,
            waiting: VecDeque::new(),
            pools,
            open: BTreeSet::new(),
            connections: 0,
            forwarded: Vec::new(),
            heard: Vec::new(),
            jobs: Vec::new(),
            masks: Vec::new(),
            answers: BTreeMap::new(),
            e1: String::new(),
            e2_size: 0,
        };
        script.perform(actions);
        script.settle();
        script
    }

    /// The miner connects and subscribes; with requests 1 to 3.
    pub(crate) fn connect(&mut self, rolling: bool) {
        let peer = SocketAddr::from(([10, 0, 0, 1], 4000));
        self.happens(Event::MinerOpened { miner: MINER, peer });
        if rolling {
            self.configure(1);
        }
        self.say(2, "mining.subscribe", json!(["simulated"]));
    }

    pub(crate) fn configure(&mut self, request: u64) {
        let params = json!([["version-rolling"], {"version-rolling.mask": "1fffe000"}]);
        self.say(request, "mining.configure", params);
    }

    pub(crate) fn authorize(&mut self, request: u64, user: &str) {
        self.say(request, "mining.authorize", json!([user, "x"]));
        self.run(Duration::from_millis(1500));
    }

    /// The miner sends a share of a job that it was sent.
    pub(crate) fn submit(&mut self, request: u64, job: &Value, nonce: u32, bits: Option<u32>) {
        let (e2, nonce) = ("07".repeat(self.e2_size), format!("{nonce:08x}"));
        let mut params = json!(["w.rig", job[0], e2, job[7], nonce]);
        if let Some(bits) = bits {
            let list = params.as_array_mut().unwrap();
            list.push(format!("{bits:08x}").into());
        }
        self.say(request, "mining.submit", params);
    }

    /// A nonce with which the miner's hash is a block under one version and none under the other.
    pub(crate) fn block(&self, job: &Value, version: u32, not: u32) -> u32 {
        let bytes = |value: &Value| hex::decode(value.as_str().unwrap()).unwrap();
        let e1_e2 = [hex::decode(&self.e1).unwrap(), vec![7; self.e2_size]];
        let coinbase = [bytes(&job[2]), e1_e2.concat(), bytes(&job[3])].concat();
        let nbits = u32_of(&job[6]);
        let meets = |version, nonce| {
            let header = Header {
                version,
                prevhash: bytes(&job[1]).try_into().unwrap(),
                root: merkle_root(&coinbase, &[]),
                ntime: u32_of(&job[7]),
                nbits,
                nonce,
            };
            is_block(&header.hash(), nbits)
        };
        let nonces = 0..10_000;
        let mut found = nonces.filter(|nonce| meets(version, *nonce) && !meets(not, *nonce));
        found.next().unwrap()
    }

    /// What the miner was answered.
    #[track_caller]
    pub(crate) fn answer(&self, request: u64) -> &Value {
        let answers = self.answers.get(&request).map(Vec::as_slice);
        match answers.unwrap_or_default() {
            [one] => one,
            other => panic!("{} answers to {request}: {other:?}", other.len()),
        }
    }

    pub(crate) fn is_answered(&self, request: u64) -> bool {
        self.answers.contains_key(&request)
    }

    /// The latest connection of the miner to a pool.
    pub(crate) fn conn(&self, slot: PoolSlot) -> PoolConn {
        let of_miner = |conn: &&PoolConn| conn.slot == slot && conn.client == Client::Miner(MINER);
        *self.open.iter().rfind(of_miner).unwrap()
    }

    /// A pool says something.
    pub(crate) fn pool_says(&mut self, conn: PoolConn, line: &Value) {
        let message = decode_pool(line.to_string().as_bytes()).unwrap();
        self.happens(Event::PoolSent { conn, message });
    }

    pub(crate) fn notify(&mut self, conn: PoolConn, job: &Value) {
        self.pool_says(
            conn,
            &json!({"id": null, "method": "mining.notify", "params": job}),
        );
    }

    /// Goes on until the miner works for the pool; its job.
    pub(crate) fn work_for(&mut self, slot: PoolSlot) -> Value {
        let coinb1 = &job(slot, "", true)[2];
        let starts = coinb1.as_str().unwrap().to_owned();
        for _ in 0..2000 {
            if let Some(job) = self.jobs.last() {
                if job[2].as_str().unwrap().starts_with(&starts) {
                    return job.clone();
                }
            }
            self.run(Duration::from_millis(100));
        }
        panic!("no work for {slot}");
    }

    pub(crate) fn use_config(&mut self, config: Config) {
        self.happens(Event::ConfigChanged(Arc::new(config)));
    }

    pub(crate) fn snapshot(&mut self) -> Snapshot {
        let now = self.stamp();
        self.core.snapshot(now)
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(next) = self.core.next_deadline().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            let (now, mut actions) = (self.stamp(), Vec::new());
            self.core.handle_deadline(now, &mut actions);
            self.perform(actions);
            self.settle();
        }
        self.now = until;
    }

    pub(crate) fn say(&mut self, request: u64, method: &str, params: Value) {
        let line = json!({"id": request, "method": method, "params": params}).to_string();
        let message = decode_miner(line.as_bytes()).unwrap();
        let miner = MINER;
        self.happens(Event::MinerSent { miner, message });
    }

    fn happens(&mut self, event: Event) {
        self.waiting.push_back(event);
        self.settle();
    }

    fn stamp(&self) -> Now {
        let passed = u64::try_from((self.now - self.start).as_millis()).unwrap();
        Now {
            at: self.now,
            unix_ms: u64::from(UNIX_START) * 1000 + passed,
        }
    }

    fn settle(&mut self) {
        while let Some(event) = self.waiting.pop_front() {
            let (now, mut actions) = (self.stamp(), Vec::new());
            self.core.handle(event, now, &mut actions);
            self.perform(actions);
        }
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::SendMiner { message, .. } => {
                    lines(&message)
                        .iter()
                        .for_each(|line| self.miner_hears(line));
                }
                Action::SendPool { conn, message } => {
                    for line in lines(&message) {
                        self.pool_hears(conn, &line);
                    }
                }
                Action::Dial { conn, .. } => {
                    self.open.insert(conn);
                    self.waiting.push_back(Event::PoolOpened { conn });
                }
                Action::Close {
                    link: LinkId::Pool(conn),
                }
                | Action::Abort {
                    link: LinkId::Pool(conn),
                } => {
                    if self.open.remove(&conn) {
                        let reason = CloseReason::ByUs;
                        self.waiting.push_back(Event::PoolClosed { conn, reason });
                    }
                }
                Action::Close { .. } | Action::Abort { .. } => panic!("the miner is sent away"),
                Action::StopListening
                | Action::Report(_)
                | Action::KeepBlock(_)
                | Action::KeepAnswer { .. } => (),
            }
        }
    }

    fn miner_hears(&mut self, line: &Value) {
        let params = &line["params"];
        match line["method"].as_str() {
            Some("mining.notify") => self.jobs.push(params.clone()),
            Some("mining.set_version_mask") => self.masks.push(params[0].clone()),
            Some(_) => (),
            None => {
                if let Some([_, e1, e2_size]) = line["result"].as_array().map(Vec::as_slice) {
                    self.e1 = e1.as_str().unwrap().to_owned();
                    self.e2_size = usize::try_from(e2_size.as_u64().unwrap()).unwrap();
                }
                let request = line["id"].as_u64().unwrap();
                self.answers.entry(request).or_default().push(line.clone());
            }
        }
    }

    fn pool_hears(&mut self, conn: PoolConn, line: &Value) {
        self.heard.push((conn, line.clone()));
        let Some(id) = line["id"].as_u64().filter(|_| self.open.contains(&conn)) else {
            return;
        };
        let Some(params) = line["params"].as_array() else {
            return;
        };
        let habits = &self.pools[conn.slot];
        let good = |result: Value| json!({"id": id, "result": result, "error": null});
        let bad = |text: &str| json!({"id": id, "result": null, "error": [20, text, null]});
        let mut said = Vec::new();
        match line["method"].as_str().unwrap() {
            "mining.configure" => said.push(match habits.mask {
                Some(mask) => {
                    let mask = format!("{mask:08x}");
                    good(json!({"version-rolling": true, "version-rolling.mask": mask}))
                }
                None => bad("no"),
            }),
            "mining.subscribe" => {
                self.connections += 1;
                said.push(good(json!([[], (habits.e1)(self.connections), 8])));
            }
            "mining.authorize" => match habits.only_user {
                Some(user) if params[0] != user => said.push(bad("unknown worker")),
                _ => {
                    said.push(good(true.into()));
                    said.push(json!({"method": "mining.set_difficulty", "params": [1e-12]}));
                    said.push(json!({"method": "mining.notify", "params": habits.job}));
                }
            },
            "mining.submit" => {
                self.forwarded.push(Forwarded {
                    conn,
                    request: id,
                    params: params.clone(),
                });
                if habits.answers {
                    said.push(good(true.into()));
                }
            }
            _ => said.push(good(true.into())),
        }
        for line in said {
            let message = decode_pool(line.to_string().as_bytes()).unwrap();
            self.waiting.push_back(Event::PoolSent { conn, message });
        }
    }
}

fn lines(message: &impl Encode) -> Vec<Value> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

pub(crate) fn u32_of(value: &Value) -> u32 {
    u32::from_str_radix(value.as_str().unwrap(), 16).unwrap()
}
