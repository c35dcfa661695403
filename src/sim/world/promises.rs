//! What the core promises to everybody in every run, checked from its events and actions alone: it panics where a
//! promise is broken.
//!
//! - One answer to each request of a miner, and none to what was not asked; no submit is left when it is sent away.
//! - No work before the answers to subscribe and authorize, none twice, none under a job id that was used before.
//! - Nothing is sent to who is gone or was not announced; a name is dialled once.
//! - The miners whose shares go out on one connection have ranges of its extranonce2 that do not overlap.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, Instant};

use crate::core::action::Action;
use crate::core::event::Event;
use crate::stratum::message::{FromMiner, MinerCall, PoolCall, Reply, ToMiner, ToPool, Work};
use crate::units::{Extranonce1, LinkId, MinerExtranonce, MinerId, PoolConn, PoolSlot};

/// What the core was told and what it has done.
#[derive(Debug, Default)]
pub struct Promises {
    miners: BTreeMap<MinerId, Miner>,
    conns: BTreeMap<PoolConn, Conn>,
    dialled: BTreeSet<PoolConn>,
    /// All work that was handed out: what it is made of, whose it is and its time.
    work: HashSet<(u64, u64, Extranonce1, u32)>,
    /// Whose share is at hand.
    submitter: Option<MinerId>,
    /// Whether a line that is no message is at hand, which may be answered without an id.
    malformed: bool,
}

#[derive(Debug, Default)]
struct Miner {
    /// Requests without an answer so far, by id.
    owed: BTreeMap<String, Owed>,
    /// The ids of what it authorized with.
    authorizing: BTreeSet<String>,
    authorized: bool,
    extranonce: Option<MinerExtranonce>,
    last_job: u64,
    sent_away: bool,
}

#[derive(Debug, Default)]
struct Owed {
    /// When the submits came.
    submits: Vec<Instant>,
    others: usize,
}

#[derive(Debug)]
enum Conn {
    Dialling,
    /// With the range of each miner whose shares went out on it: the bytes with which its extranonce2 begins.
    Open(BTreeMap<MinerId, Vec<u8>>),
    /// The core has ended it.
    Ended,
}

impl Promises {
    /// The core is about to be told of something.
    pub fn before(&mut self, event: &Event, now: Instant) {
        self.submitter = None;
        self.malformed = false;
        match event {
            Event::MinerOpened { miner, .. } => {
                self.miners.insert(*miner, Miner::default());
            }
            Event::MinerSent { miner, message } => {
                if let (FromMiner::Request { id, call }, Some(it)) =
                    (message, self.miners.get_mut(miner))
                {
                    it.asks(id.as_json(), call, now);
                    self.submitter = matches!(call, MinerCall::Submit(_)).then_some(*miner);
                }
            }
            Event::MinerMalformed { .. } => self.malformed = true,
            Event::MinerClosed { miner, .. } => {
                self.miners.remove(miner);
                for conn in self.conns.values_mut() {
                    if let Conn::Open(members) = conn {
                        members.remove(miner);
                    }
                }
            }
            Event::PoolOpened { conn } => {
                self.conns.insert(*conn, Conn::Open(BTreeMap::new()));
            }
            Event::PoolDialFailed { conn, .. } | Event::PoolClosed { conn, .. } => {
                self.conns.remove(conn);
            }
            Event::PoolSent { .. }
            | Event::PoolMalformed { .. }
            | Event::ConfigChanged(_)
            | Event::PayoutSeen { .. }
            | Event::ShutdownRequested(_) => (),
        }
    }

    /// The core wants something done.
    pub fn after(&mut self, action: &Action) {
        match action {
            Action::SendMiner { miner, message } => {
                let Some(it) = self.miners.get_mut(miner).filter(|it| !it.sent_away) else {
                    panic!("{message:?} to {miner}, which is gone");
                };
                match message {
                    ToMiner::Reply { id, .. } if self.malformed && id.as_json() == "null" => {
                        self.malformed = false;
                    }
                    ToMiner::Reply { id, reply } => it.answered(id.as_json(), reply),
                    ToMiner::Work(work) => {
                        it.work(work);
                        let key = work.pool_job.template;
                        let e1 = work.extranonce.e1;
                        let work = (key.place, key.template, e1, work.ntime);
                        assert!(self.work.insert(work), "{miner} is given work again");
                    }
                }
            }
            Action::SendPool { conn, message } => {
                let Some(Conn::Open(members)) = self.conns.get_mut(conn) else {
                    panic!("{message:?} to {conn}, which does not stand");
                };
                if let ToPool::Request {
                    call: PoolCall::Submit(submit),
                    ..
                } = message
                {
                    let miner = self
                        .submitter
                        .and_then(|id| Some((id, self.miners.get(&id)?)));
                    let Some((id, it)) = miner else { return };
                    let Some(extranonce) = it.extranonce else {
                        return;
                    };
                    let e2 = submit.e2.as_slice();
                    let own = e2.len().saturating_sub(extranonce.e2_size.into());
                    let range = e2[..own].to_vec();
                    for (other, taken) in members.iter().filter(|(other, _)| **other != id) {
                        let apart = !range.starts_with(taken) && !taken.starts_with(&range);
                        assert!(apart, "{id} and {other} share a range on {conn}");
                    }
                    members.insert(id, range);
                }
            }
            Action::Dial { conn, .. } => {
                assert!(self.dialled.insert(*conn), "{conn} is dialled again");
                self.conns.insert(*conn, Conn::Dialling);
            }
            Action::Close { link } | Action::Abort { link } => self.ended(*link),
            Action::KeepBlock(_)
            | Action::KeepAnswer { .. }
            | Action::StopListening
            | Action::Report(_) => (),
        }
    }

    fn ended(&mut self, link: LinkId) {
        match link {
            LinkId::Miner(id) => {
                let Some(miner) = self.miners.get_mut(&id).filter(|it| !it.sent_away) else {
                    panic!("{id} is sent away and was gone");
                };
                miner.sent_away = true;
                let mut owed = miner.owed.values();
                let all_answered = owed.all(|owed| owed.submits.is_empty());
                assert!(all_answered, "{id} is sent away without {:?}", miner.owed);
            }
            LinkId::Pool(conn) => {
                if let Some(state @ Conn::Open(_)) = self.conns.get_mut(&conn) {
                    *state = Conn::Ended;
                }
            }
        }
    }

    /// The requests that are not answered, of each miner that waits for any.
    pub fn owed(&self) -> Vec<(MinerId, String)> {
        let of_miner = |(id, miner): (&MinerId, &'_ Miner)| {
            let id = *id;
            miner
                .owed
                .keys()
                .map(move |request| (id, request.clone()))
                .collect::<Vec<_>>()
        };
        self.miners.iter().flat_map(of_miner).collect()
    }

    /// How many submits the core has had for so long without an answer.
    pub fn overdue(&self, now: Instant, patience: Duration) -> usize {
        let owed = self.miners.values().flat_map(|miner| miner.owed.values());
        let submits = owed.flat_map(|owed| &owed.submits);
        submits.filter(|came| **came + patience < now).count()
    }

    /// How many dials to a pool are under way.
    pub fn dialling(&self, slot: PoolSlot) -> usize {
        let is_dial = |(conn, state): &(&PoolConn, &Conn)| {
            conn.slot == slot && matches!(state, Conn::Dialling)
        };
        self.conns.iter().filter(is_dial).count()
    }
}

impl Miner {
    fn asks(&mut self, id: &str, call: &MinerCall, now: Instant) {
        let owed = self.owed.entry(id.to_owned()).or_default();
        match call {
            MinerCall::Submit(_) | MinerCall::UnreadableSubmit { .. } => owed.submits.push(now),
            MinerCall::Authorize { .. } => {
                owed.others += 1;
                self.authorizing.insert(id.to_owned());
            }
            MinerCall::Configure(_)
            | MinerCall::Subscribe { .. }
            | MinerCall::SubscribeExtranonce
            | MinerCall::SuggestDifficulty(_)
            | MinerCall::Ping
            | MinerCall::Invalid { .. }
            | MinerCall::Unknown { .. } => owed.others += 1,
        }
    }

    fn answered(&mut self, id: &str, reply: &Reply) {
        let Some(owed) = self.owed.get_mut(id) else {
            panic!("{reply:?} answers {id}, which nobody asked");
        };
        // Of two questions under one id it may be either; the count is what matters.
        if owed.submits.is_empty() {
            owed.others -= 1;
        } else {
            owed.submits.remove(0);
        }
        if owed.submits.is_empty() && owed.others == 0 {
            self.owed.remove(id);
        }
        match reply {
            Reply::True if self.authorizing.contains(id) => self.authorized = true,
            Reply::Subscribed(extranonce) => self.extranonce = Some(*extranonce),
            Reply::True
            | Reply::Pong
            | Reply::Configured { .. }
            | Reply::Rejected(_)
            | Reply::Refused(_) => (),
        }
    }

    fn work(&mut self, work: &Work) {
        assert!(self.authorized, "work before the answer to authorize");
        let told = work.set_extranonce || self.extranonce == Some(work.extranonce);
        assert!(told, "work with an extranonce that the miner was not told");
        self.extranonce = Some(work.extranonce);
        assert!(work.job.0 > self.last_job, "a job's id is used again");
        self.last_job = work.job.0;
    }
}
