//! A core with working miners on both pools, without sockets. The pools answer everything. What is timed is the core's
//! handling of an event, not the world around it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dpmp::core::action::Action;
use dpmp::core::event::Event;
use dpmp::core::memory::Memory;
use dpmp::core::snapshot::Snapshot;
use dpmp::sim::chain::{Blocks, JobFactory, JobIds, Network as Chain};
use dpmp::sim::miner::ledger::Ending;
use dpmp::sim::miner::output::MinerOutput;
use dpmp::sim::peer::MinerPeer;
use dpmp::sim::world::script::ScriptPool;
use dpmp::sim::world::{Network, World};
use dpmp::stratum::codec::decode_miner;
use dpmp::stratum::job::Notify;
use dpmp::stratum::message::{FromPool, Outcome, ToPool};
use dpmp::units::{Now, PerPool, PoolSlot};
use serde_json::{Value, json};

/// Every hash is a share: the lowest difficulty that a hash can have is 2⁻³².
const DIFFICULTY: f64 = 1e-10;

/// The number of merkle branches in a full block.
const BRANCHES: usize = 12;

/// A core among its peers.
pub(crate) struct Farm {
    world: World<ScriptPool, Rig>,
    out: Vec<Action>,
    factories: PerPool<JobFactory>,
    nonce: u32,
    /// When the pools last sent a new job, and the time of day then, which does not change in between.
    heard: Instant,
    unix_ms: u64,
}

/// A miner that keeps only its last job, so that the core's own data lies together in memory as in the program.
#[derive(Default)]
struct Rig {
    job: String,
    ntime: String,
    e2_size: usize,
}

impl Farm {
    /// This many miners, each with work.
    pub(crate) fn new(miners: usize) -> Self {
        Self::with(miners, "own")
    }

    /// This many miners, with their own or shared connections.
    pub(crate) fn with(miners: usize, connections: &str) -> Self {
        let pool = |host: &str| json!({"host": host, "wallet": "w", "connections": connections});
        let text = json!({"pools": {"A": pool("a.test"), "B": pool("b.test")}}).to_string();
        let config = Arc::new(dpmp::config::parse(&text).unwrap().config);
        let pool = |_, _| {
            let mut pool = ScriptPool::new(Value::Null);
            pool.difficulty = DIFFICULTY;
            pool.e1 = |_| "01020304".into();
            pool
        };
        let world = World::with(config, Memory::default(), pool, Network::NONE, 1);
        let mut farm = Self {
            heard: world.now,
            unix_ms: 0,
            world,
            out: Vec::new(),
            factories: PerPool::new(
                JobFactory::new(1, "A", Blocks::Own),
                JobFactory::new(2, "B", Blocks::Own),
            ),
            nonce: 0,
        };
        farm.new_jobs();
        for _ in 0..miners {
            farm.connect();
        }
        farm.new_jobs();
        farm
    }

    /// A job of a pool, as it arrives on each of its connections.
    pub(crate) fn notifies(&mut self, slot: PoolSlot, clean: bool) -> Vec<Event> {
        let notify = self.notify(slot, clean);
        let conns = self.world.standing(slot);
        conns
            .map(|conn| Event::PoolSent {
                conn,
                message: FromPool::Notify(Arc::new(notify.clone())),
            })
            .collect()
    }

    /// A new share from one of the miners in turn.
    pub(crate) fn share(&mut self) -> Event {
        self.nonce += 1;
        let turn = usize::try_from(self.nonce).unwrap() % self.world.rigs.len();
        let rig = &self.world.rigs[turn];
        let Rig {
            job,
            ntime,
            e2_size,
        } = &rig.model;
        let (e2, nonce) = ("00".repeat(*e2_size), format!("{:08x}", self.nonce));
        let params = json!(["w.rig", job, e2, ntime, nonce, "00002000"]);
        let line = json!({"id": 4, "method": "mining.submit", "params": params});
        Event::MinerSent {
            miner: rig.id.unwrap(),
            message: decode_miner(line.to_string().as_bytes()).unwrap(),
        }
    }

    /// Gives the core an event, and returns how many messages resulted.
    pub(crate) fn handle(&mut self, event: Event) -> usize {
        let now = self.now();
        self.world.core.handle(event, now, &mut self.out);
        self.count_messages()
    }

    /// Takes a picture of the state, as for the pages.
    pub(crate) fn snapshot(&mut self) -> Snapshot {
        let now = self.now();
        self.world.core.snapshot(now)
    }

    fn now(&self) -> Now {
        Now {
            at: self.world.now,
            unix_ms: self.unix_ms,
        }
    }

    /// The number of messages the core wants to send; they are dropped.
    fn count_messages(&mut self) -> usize {
        self.out.drain(..).filter(is_message).count()
    }

    /// A share on its way to the pool, and the answer on its way back.
    pub(crate) fn round_trip(&mut self, share: Event) {
        let now = self.now();
        self.world.core.handle(share, now, &mut self.out);
        let request = self.out.drain(..).find_map(|action| match action {
            Action::SendPool {
                conn,
                message: ToPool::Request { id, .. },
            } => Some((conn, id)),
            _ => None,
        });
        let (conn, id) = request.expect("the share is good");
        let message = FromPool::Response {
            id,
            outcome: Outcome::True,
        };
        assert_eq!(self.handle(Event::PoolSent { conn, message }), 1);
    }

    /// Lets time pass until a miner's turn ends, and makes it switch.
    pub(crate) fn switch(&mut self) {
        loop {
            let next = self.world.core.next_deadline();
            self.world.now = self.world.now.max(next.expect("somebody will switch"));
            let now = self.now();
            self.world.core.handle_deadline(now, &mut self.out);
            if self.count_messages() > 0 {
                return;
            }
        }
    }

    /// Lets all miners send something before they count as gone.
    pub(crate) fn hear_from_all(&mut self) {
        if self.world.now.duration_since(self.heard) < Duration::from_secs(20) {
            return;
        }
        self.new_jobs();
        for index in 0..self.world.rigs.len() {
            self.say(index, "mining.ping", &json!([]));
        }
    }

    fn new_jobs(&mut self) {
        self.heard = self.world.now;
        self.unix_ms = self.world.clock().unix_ms;
        for slot in PoolSlot::ALL {
            let job = json_of(&self.notify(slot, false));
            let line = json!({"id": null, "method": "mining.notify", "params": job}).to_string();
            for conn in self.world.standing(slot).collect::<Vec<_>>() {
                self.world.pool_says(conn, &line);
            }
            self.world.sites[slot].model.job = job;
        }
        self.pass(Duration::ZERO);
    }

    fn notify(&mut self, slot: PoolSlot, clean: bool) -> Notify {
        let chain = Chain {
            version: 0x2000_0000,
            nbits: 0x1702_3a04,
            ntime: u32::try_from(self.world.clock().unix_ms / 1000).unwrap(),
            witness: true,
        };
        let template = self.factories[slot].next_job(chain, JobIds::Counter);
        let mut notify = template.notify(Default::default(), clean);
        notify.branches = vec![[7; 32]; BRANCHES];
        notify
    }

    fn connect(&mut self) {
        let index = self.world.add(Rig::default());
        self.world.connect(index);
        let rolling = json!([["version-rolling"], {"version-rolling.mask": "1fffe000"}]);
        self.say(index, "mining.configure", &rolling);
        self.say(index, "mining.subscribe", &json!(["bitaxe/BM1370/v2.9.0"]));
        self.say(index, "mining.authorize", &json!(["wallet.worker", "x"]));
        // Not all of them switch at the same moment.
        self.pass(Duration::from_millis(10));
    }

    fn say(&mut self, index: usize, method: &str, params: &Value) {
        let line = json!({"id": 1, "method": method, "params": params}).to_string();
        self.world.miner_says(index, &line);
        self.pass(Duration::ZERO);
    }

    fn pass(&mut self, time: Duration) {
        self.world.run(time, |_| ());
        let sites = self.world.sites.values_mut();
        sites.for_each(|site| site.model.heard.clear());
    }
}

impl MinerPeer for Rig {
    fn connected(&mut self, _: Instant, _: &mut Vec<MinerOutput>) {}

    fn line(&mut self, line: &[u8], _: Instant, _: &mut Vec<MinerOutput>) {
        let line: Value = serde_json::from_slice(line).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        if line["method"] == "mining.notify" {
            self.job = text(&line["params"][0]);
            self.ntime = text(&line["params"][7]);
        } else if let Some(size) = line["result"][2].as_u64() {
            self.e2_size = size.try_into().unwrap();
        }
    }

    fn closed(&mut self, _: Instant, _: Ending) {}
}

/// The parameters of `mining.notify`.
fn json_of(notify: &Notify) -> Value {
    let branches: Vec<String> = notify.branches.iter().map(hex::encode).collect();
    json!([
        notify.job_id,
        hex::encode(notify.prevhash),
        hex::encode(&notify.coinb1),
        hex::encode(&notify.coinb2),
        branches,
        format!("{:08x}", notify.version),
        format!("{:08x}", notify.nbits),
        format!("{:08x}", notify.ntime),
        notify.clean
    ])
}

fn is_message(action: &Action) -> bool {
    matches!(action, Action::SendMiner { .. } | Action::SendPool { .. })
}
