//! A core with miners at work on both pools, without sockets: the pools answer whatever is asked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dpmp::core::Core;
use dpmp::core::action::Action;
use dpmp::core::event::Event;
use dpmp::core::snapshot::Memory;
use dpmp::sim::chain::{JobFactory, JobIds, Network};
use dpmp::stratum::codec::decode_miner;
use dpmp::stratum::job::Notify;
use dpmp::stratum::message::{
    Extranonces, FromMiner, FromPool, MinerCall, Outcome, PoolCall, Submit, ToMiner, ToPool,
};
use dpmp::units::{
    Difficulty, Extranonce1, Extranonce2, JobId, MinerId, Now, PerPool, PoolConn, PoolSlot,
};

/// Every hash is a share: the lowest difficulty that a hash can have is 2⁻³².
const DIFFICULTY: f64 = 1e-10;

/// The merkle branches of a full block.
const BRANCHES: usize = 12;

/// A core, and what its surroundings remember.
pub(crate) struct Farm {
    core: Core,
    now: Now,
    out: Vec<Action>,
    miners: Vec<Rig>,
    factories: PerPool<JobFactory>,
    nonce: u32,
    /// When the pools last had a new job.
    heard: Instant,
}

/// A miner and its connections.
struct Rig {
    id: MinerId,
    conns: PerPool<Option<PoolConn>>,
    job: Option<(JobId, u32)>,
    e2_size: usize,
}

impl Farm {
    /// So many miners, each with work.
    pub(crate) fn new(miners: usize) -> Self {
        let text = r#"{"pools": {"A": {"host": "a.test", "port": 1, "wallet": "wa"},
            "B": {"host": "b.test", "port": 1, "wallet": "wb"}}}"#;
        let config = dpmp::config::parse(text).unwrap().config;
        let now = Now {
            at: Instant::now(),
            unix_ms: 1_700_000_000_000,
        };
        let mut out = Vec::new();
        let core = Core::new(Arc::new(config), Memory::default(), 1, now, &mut out);
        let mut farm = Self {
            core,
            now,
            out,
            miners: Vec::new(),
            factories: PerPool::new(JobFactory::new(1, "A"), JobFactory::new(2, "B")),
            nonce: 0,
            heard: now.at,
        };
        farm.settle();
        for number in 0..miners {
            farm.connect(number);
            // Not all switch in the same moment.
            farm.pass(Duration::from_millis(10));
        }
        farm.new_jobs();
        farm
    }

    /// A job of a pool, as it is read from each of its connections.
    pub(crate) fn notifies(&mut self, slot: PoolSlot, clean: bool) -> Vec<Event> {
        let notify = self.notify(slot, clean);
        let conns = self.miners.iter().filter_map(|rig| rig.conns[slot]);
        conns
            .map(|conn| Event::PoolSent {
                conn,
                message: FromPool::Notify(Box::new(notify.clone())),
            })
            .collect()
    }

    /// A share of one of the miners, taking turns, that no pool had yet.
    pub(crate) fn share(&mut self) -> Event {
        self.nonce += 1;
        let turn = usize::try_from(self.nonce).unwrap() % self.miners.len();
        let rig = &self.miners[turn];
        let (job, ntime) = rig.job.unwrap();
        Event::MinerSent {
            miner: rig.id,
            message: FromMiner::Request {
                id: request_id(),
                call: MinerCall::Submit(Submit {
                    job: Some(job),
                    e2: Extranonce2::new(&vec![0; rig.e2_size]).unwrap(),
                    ntime,
                    nonce: self.nonce,
                    version_bits: Some(0x2000),
                }),
            },
        }
    }

    /// The core takes in an event; returns how many messages came of it.
    pub(crate) fn handle(&mut self, event: Event) -> usize {
        self.core.handle(event, self.now, &mut self.out);
        self.count_messages()
    }

    /// How many messages the core wants sent, which nobody sends.
    fn count_messages(&mut self) -> usize {
        self.out.drain(..).filter(is_message).count()
    }

    /// A share on its way there and its answer on its way back.
    pub(crate) fn round_trip(&mut self, share: Event) {
        self.core.handle(share, self.now, &mut self.out);
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

    /// Lets time pass until a miner switches, and has it switch.
    pub(crate) fn switch(&mut self) {
        loop {
            let next = self.core.next_deadline().expect("somebody will switch");
            self.now.at = self.now.at.max(next);
            self.core.handle_deadline(self.now, &mut self.out);
            if self.count_messages() > 0 {
                return;
            }
        }
    }

    /// Lets everybody be heard before they count as gone.
    pub(crate) fn hear_from_all(&mut self) {
        if self.now.at.duration_since(self.heard) < Duration::from_secs(20) {
            return;
        }
        self.new_jobs();
        for at in 0..self.miners.len() {
            let message = decode_miner(br#"{"id":5,"method":"mining.ping"}"#).unwrap();
            let miner = self.miners[at].id;
            self.say(Event::MinerSent { miner, message });
        }
    }

    fn new_jobs(&mut self) {
        self.heard = self.now.at;
        for slot in PoolSlot::ALL {
            for event in self.notifies(slot, false) {
                self.core.handle(event, self.now, &mut self.out);
            }
        }
        self.settle();
    }

    fn notify(&mut self, slot: PoolSlot, clean: bool) -> Notify {
        let network = Network {
            version: 0x2000_0000,
            nbits: 0x1702_3a04,
            ntime: u32::try_from(self.now.unix_ms / 1000).unwrap(),
        };
        let template = self.factories[slot].next_job(network, JobIds::Counter);
        let mut notify = template.notify(Default::default(), clean);
        notify.branches = vec![[7; 32]; BRANCHES];
        notify
    }

    fn connect(&mut self, number: usize) {
        let id = MinerId(u64::try_from(number).unwrap() + 1);
        self.miners.push(Rig {
            id,
            conns: PerPool::new(None, None),
            job: None,
            e2_size: 0,
        });
        let peer = SocketAddr::from(([10, 0, 0, 1], 4000));
        self.say(Event::MinerOpened { miner: id, peer });
        for line in [
            r#"{"id":1,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"1fffe000"}]}"#,
            r#"{"id":2,"method":"mining.subscribe","params":["bitaxe/BM1370/v2.9.0"]}"#,
            r#"{"id":3,"method":"mining.authorize","params":["wallet.worker","x"]}"#,
        ] {
            let message = decode_miner(line.as_bytes()).unwrap();
            self.say(Event::MinerSent { miner: id, message });
        }
    }

    fn say(&mut self, event: Event) {
        self.core.handle(event, self.now, &mut self.out);
        self.settle();
    }

    fn pass(&mut self, time: Duration) {
        self.now.at += time;
        while self
            .core
            .next_deadline()
            .is_some_and(|due| due <= self.now.at)
        {
            self.core.handle_deadline(self.now, &mut self.out);
            self.settle();
        }
    }

    /// Does what the core wants until it wants nothing more.
    fn settle(&mut self) {
        while !self.out.is_empty() {
            for action in std::mem::take(&mut self.out) {
                match action {
                    Action::Dial { conn, .. } => {
                        if let Some(rig) = self.rig(conn) {
                            rig.conns[conn.slot] = Some(conn);
                        }
                        self.core
                            .handle(Event::PoolOpened { conn }, self.now, &mut self.out);
                    }
                    Action::SendPool {
                        conn,
                        message: ToPool::Request { id, call },
                    } => self.answer(conn, id, &call),
                    Action::SendMiner { miner, message } => self.hear(miner, &message),
                    _ => (),
                }
            }
        }
    }

    fn rig(&mut self, conn: PoolConn) -> Option<&mut Rig> {
        let miners = self.miners.iter_mut();
        let dpmp::units::Client::Miner(id) = conn.client else {
            return None;
        };
        miners.rev().find(|rig| rig.id == id)
    }

    fn answer(&mut self, conn: PoolConn, id: u64, call: &PoolCall) {
        let outcome = match call {
            PoolCall::Configure(mask) => Outcome::Configured(Some(*mask)),
            PoolCall::Subscribe { .. } => Outcome::Subscribed(Extranonces {
                e1: Extranonce1::new(&[1, 2, 3, 4]).unwrap(),
                e2_size: 8,
            }),
            _ => Outcome::True,
        };
        let mut messages = vec![FromPool::Response { id, outcome }];
        if matches!(call, PoolCall::Authorize { .. }) {
            messages.push(FromPool::SetDifficulty(
                Difficulty::new(DIFFICULTY).unwrap(),
            ));
            let notify = self.notify(conn.slot, true);
            messages.push(FromPool::Notify(Box::new(notify)));
        }
        for message in messages {
            let event = Event::PoolSent { conn, message };
            self.core.handle(event, self.now, &mut self.out);
        }
    }

    fn hear(&mut self, miner: MinerId, message: &ToMiner) {
        let Some(rig) = self.miners.iter_mut().rev().find(|rig| rig.id == miner) else {
            return;
        };
        match message {
            ToMiner::Work(work) => {
                rig.job = Some((work.job, work.ntime));
                rig.e2_size = usize::from(work.extranonce.e2_size);
            }
            ToMiner::Reply { .. } => (),
        }
    }
}

fn is_message(action: &Action) -> bool {
    matches!(action, Action::SendMiner { .. } | Action::SendPool { .. })
}

fn request_id() -> dpmp::stratum::message::RequestId {
    let line = br#"{"id":4,"method":"mining.ping"}"#;
    match decode_miner(line) {
        Ok(FromMiner::Request { id, .. }) => id,
        other => panic!("{other:?}"),
    }
}
