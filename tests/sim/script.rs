//! One miner and two pools whose lines are written in the test, for tests in which each line matters.

use std::sync::Arc;
use std::time::Duration;

use dpmp::config::Config;
use dpmp::core::memory::Memory;
use dpmp::core::snapshot::Snapshot;
use dpmp::sim::chain::hash::{Header, is_block, merkle_root};
use dpmp::sim::world::script::{ScriptMiner, ScriptPool};
use dpmp::sim::world::{Network, Site, World};
use dpmp::units::{PerPool, PoolConn, PoolSlot};
use serde_json::{Value, json};

use crate::world::UNIX_START;

/// A share as a pool received it.
#[derive(Clone, Debug)]
pub(crate) struct Forwarded {
    pub(crate) conn: PoolConn,
    pub(crate) request: u64,
    pub(crate) params: Vec<Value>,
}

pub(crate) struct Script {
    world: World<ScriptPool, ScriptMiner>,
}

/// A job whose every hash is a share. Its coinbase identifies the pool.
pub(crate) fn job(slot: PoolSlot, name: &str, clean: bool) -> Value {
    job_at(slot, name, clean, "1702a1b2")
}

/// The same with another network target.
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
    pub(crate) fn new(config: Config, change: impl FnOnce(&mut PerPool<Site<ScriptPool>>)) -> Self {
        let pool = |slot, _| ScriptPool::new(job(slot, "first", true));
        let (config, memory) = (Arc::new(config), Memory::default());
        let mut world = World::with(config, memory, pool, Network::NONE, 1);
        change(&mut world.sites);
        world.add(ScriptMiner::default());
        let mut script = Self { world };
        script.run(Duration::ZERO);
        script
    }

    /// The miner connects.
    pub(crate) fn open(&mut self) {
        self.world.connect(0);
    }

    /// The miner connects and subscribes, with requests 1 to 3.
    pub(crate) fn connect(&mut self, rolling: bool) {
        self.open();
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

    /// The miner sends a share for a job it got.
    pub(crate) fn submit(&mut self, request: u64, job: &Value, nonce: u32, bits: Option<u32>) {
        let (_, e2_size) = self.miner().extranonce;
        let (e2, nonce) = ("07".repeat(e2_size), format!("{nonce:08x}"));
        let mut params = json!(["w.rig", job[0], e2, job[7], nonce]);
        if let Some(bits) = bits {
            let list = params.as_array_mut().unwrap();
            list.push(format!("{bits:08x}").into());
        }
        self.say(request, "mining.submit", params);
    }

    /// A nonce with which the miner's hash is a block under one version but not under the other.
    pub(crate) fn block(&self, job: &Value, version: u32, not: u32) -> u32 {
        let bytes = |value: &Value| hex::decode(value.as_str().unwrap()).unwrap();
        let (e1, e2_size) = &self.miner().extranonce;
        let e1_e2 = [hex::decode(e1).unwrap(), vec![7; *e2_size]];
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

    fn miner(&self) -> &ScriptMiner {
        &self.world.rigs[0].model
    }

    /// The parameters of each job that the miner got.
    pub(crate) fn jobs(&self) -> &[Value] {
        &self.miner().jobs
    }

    /// Each mask that the miner got without asking for it.
    pub(crate) fn masks(&self) -> &[Value] {
        &self.miner().masks
    }

    /// The miner's answers.
    #[track_caller]
    pub(crate) fn answer(&self, request: u64) -> &Value {
        let answers = self.miner().answers.get(&request.to_string());
        match answers.map(Vec::as_slice).unwrap_or_default() {
            [one] => one,
            other => panic!("{} answers to {request}: {other:?}", other.len()),
        }
    }

    pub(crate) fn is_answered(&self, request: u64) -> bool {
        self.miner().answers.contains_key(&request.to_string())
    }

    /// The miner's latest connection to a pool.
    pub(crate) fn conn(&self, slot: PoolSlot) -> PoolConn {
        let pool = &self.world.sites[slot].model;
        let mut standing = self.world.standing(slot);
        standing.rfind(|conn| pool.has_worker(*conn)).unwrap()
    }

    pub(crate) fn pool(&mut self, slot: PoolSlot) -> &mut ScriptPool {
        &mut self.world.sites[slot].model
    }

    /// The shares that a pool received.
    pub(crate) fn forwarded(&self, slot: PoolSlot) -> Vec<Forwarded> {
        let heard = self.world.sites[slot].model.heard.iter();
        let shares = heard.filter(|(_, line)| line["method"] == "mining.submit");
        let share = |(conn, line): &(PoolConn, Value)| Forwarded {
            conn: *conn,
            request: line["id"].as_u64().unwrap(),
            params: line["params"].as_array().unwrap().clone(),
        };
        shares.map(share).collect()
    }

    /// A pool sends a line.
    pub(crate) fn pool_says(&mut self, conn: PoolConn, line: &Value) {
        self.world.pool_says(conn, &line.to_string());
        self.run(Duration::ZERO);
    }

    pub(crate) fn notify(&mut self, conn: PoolConn, job: &Value) {
        self.pool_says(
            conn,
            &json!({"id": null, "method": "mining.notify", "params": job}),
        );
    }

    /// Continues until the miner works for this pool, and returns its job.
    pub(crate) fn work_for(&mut self, slot: PoolSlot) -> Value {
        let coinb1 = &job(slot, "", true)[2];
        let starts = coinb1.as_str().unwrap().to_owned();
        for _ in 0..2000 {
            if let Some(job) = self.jobs().last() {
                if job[2].as_str().unwrap().starts_with(&starts) {
                    return job.clone();
                }
            }
            self.run(Duration::from_millis(100));
        }
        panic!("no work for {slot}");
    }

    pub(crate) fn use_config(&mut self, config: Config) {
        self.world.configure(config);
        self.run(Duration::ZERO);
    }

    pub(crate) fn snapshot(&mut self) -> Snapshot {
        let now = self.world.clock();
        self.world.core.snapshot(now)
    }

    pub(crate) fn run(&mut self, time: Duration) {
        self.world.run(time, |_| ());
        let was_let_in = !self.miner().answers.is_empty();
        let is_gone = was_let_in && self.world.rigs[0].id.is_none();
        assert!(!is_gone, "the miner is disconnected");
    }

    pub(crate) fn say(&mut self, request: u64, method: &str, params: Value) {
        let line = json!({"id": request, "method": method, "params": params}).to_string();
        self.world.miner_says(0, &line);
        self.run(Duration::ZERO);
    }
}

pub(crate) fn u32_of(value: &Value) -> u32 {
    u32::from_str_radix(value.as_str().unwrap(), 16).unwrap()
}
