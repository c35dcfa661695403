//! What the core guarantees in every run, checked from its events and actions alone. It panics if a guarantee is
//! broken.
//!
//! - Each request of a miner gets one answer, and nothing is answered that was not asked. No submit is open when a
//!   miner is disconnected.
//! - A miner gets no work before the answers to subscribe and authorize, no work twice, and no job id twice.
//! - Nothing is sent to a closed or unannounced connection, and no name is dialed twice.
//! - The miners whose shares go out on one connection have ranges of its extranonce2 that do not overlap.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, Instant};

use crate::core::action::Action;
use crate::core::event::Event;
use crate::stratum::job::WorkKey;
use crate::stratum::message::{
    Extranonces, FromMiner, FromPool, MinerCall, Outcome, PoolCall, Reply, ToMiner, ToPool, Work,
};
use crate::units::{Extranonce1, JobId, LinkId, MinerExtranonce, MinerId, PoolConn, PoolSlot};

/// How many jobs of a miner are remembered: more than the core keeps.
const JOBS_KEPT: usize = 100;

/// What the core was told and what it has done.
#[derive(Debug, Default)]
pub struct Promises {
    miners: BTreeMap<MinerId, Miner>,
    conns: BTreeMap<PoolConn, Conn>,
    dialled: BTreeSet<PoolConn>,
    /// All work that was handed out: what it is made of, whose it is and its time.
    work: HashSet<(u64, u64, Extranonce1, u32)>,
    /// The same, but only where in the coinbase, together with the larger ranges in which it is.
    ranges: HashSet<(u64, u64, u32)>,
    /// Whose share is at hand, and of which of its places.
    submitter: Option<(MinerId, usize)>,
    /// How many places were given so far, or given up.
    moves: u64,
    /// Whether a line that is no message is at hand, which may be answered without an id.
    malformed: bool,
}

#[derive(Debug, Default)]
struct Miner {
    /// Requests without an answer so far, by id.
    owed: BTreeMap<String, Debt>,
    /// The ids of what it authorized with.
    authorizing: BTreeSet<String>,
    authorized: bool,
    extranonce: Option<MinerExtranonce>,
    /// Where it has worked, the present place last.
    places: Vec<Place>,
    /// The place of each job that it was sent.
    jobs: BTreeMap<JobId, usize>,
    last_job: u64,
    sent_away: bool,
}

#[derive(Debug, Default)]
struct Debt {
    /// When the submits came.
    submits: Vec<Instant>,
    others: usize,
}

#[derive(Debug)]
enum Conn {
    Dialling,
    Open(Standing),
    /// The core has ended it.
    Ended,
}

/// A miner's place in the coinbase, from its first work there until it was given up.
#[derive(Clone, Copy, Debug)]
struct Place {
    extranonce: MinerExtranonce,
    since: u64,
    until: Option<u64>,
}

impl Place {
    /// Whether one was given up before the other was given: then their work differs in its time only.
    fn meets(&self, other: &Self) -> bool {
        let before = |one: &Self, next: &Self| one.until.is_some_and(|until| until < next.since);
        !before(self, other) && !before(other, self)
    }
}

/// What both extranonces in the coinbase together begin with, and how many bytes they are together: with another
/// length it is another coinbase.
#[derive(Debug, PartialEq)]
struct Range {
    length: usize,
    begin: Vec<u8>,
}

/// What is known of a connection that stands.
#[derive(Debug, Default)]
struct Standing {
    /// The pool's extranonce1, by the size of the extranonce2 that it leaves.
    e1s: BTreeMap<usize, Extranonce1>,
    /// The ranges of each miner whose shares went out on it, by the number of its place.
    ranges: BTreeMap<(MinerId, usize), Range>,
}

impl Standing {
    fn told(&mut self, extranonces: &Extranonces) {
        let size = usize::from(extranonces.e2_size);
        if self.e1s.insert(size, extranonces.e1) != Some(extranonces.e1) {
            // Shares of earlier jobs cannot be told from others of this size.
            let length = extranonces.e1.len() + size;
            self.ranges.retain(|_, range| range.length != length);
        }
    }
}

impl Promises {
    /// The core is about to be told of something; whether it may be: after a connection's end nothing comes from it.
    pub fn before(&mut self, event: &Event, now: Instant) -> bool {
        self.submitter = None;
        self.malformed = false;
        match event {
            Event::MinerOpened { miner, .. } => {
                self.miners.insert(*miner, Miner::default());
            }
            Event::MinerSent { miner, message } => {
                let Some(it) = self.miners.get_mut(miner) else {
                    return false;
                };
                if let FromMiner::Request { id, call } = message {
                    it.asks(id.as_json(), call, now);
                    if let MinerCall::Submit(submit) = call {
                        let place = submit.job.and_then(|job| it.jobs.get(&job));
                        self.submitter = place.map(|place| (*miner, *place));
                    }
                }
            }
            Event::MinerMalformed { miner, .. } => {
                self.malformed = self.miners.contains_key(miner);
                return self.malformed;
            }
            Event::MinerClosed { miner, .. } => {
                self.miners.remove(miner);
                self.conns.values_mut().for_each(|conn| conn.forget(*miner));
            }
            Event::PoolOpened { conn } => {
                self.conns.insert(*conn, Conn::Open(Standing::default()));
            }
            Event::PoolDialFailed { conn, .. } | Event::PoolClosed { conn, .. } => {
                self.conns.remove(conn);
            }
            Event::PoolSent { conn, message } => {
                if let (
                    Some(Conn::Open(standing)),
                    FromPool::SetExtranonce(extranonces)
                    | FromPool::Response {
                        outcome: Outcome::Subscribed(extranonces),
                        ..
                    },
                ) = (self.conns.get_mut(conn), message)
                {
                    standing.told(extranonces);
                }
                return self.conns.contains_key(conn);
            }
            Event::PoolMalformed { conn, .. } => return self.conns.contains_key(conn),
            Event::ConfigChanged(..)
            | Event::PayoutSeen { .. }
            | Event::BlockSeen { .. }
            | Event::MissingSeen { .. }
            | Event::Override(_)
            | Event::OverrideEnded(_)
            | Event::Timetable(_)
            | Event::PricesSet(_)
            | Event::ShutdownRequested(_) => (),
        }
        true
    }

    /// The core wants something done; whether there is anything to do: a connection that was not opened yet cannot be
    /// ended.
    pub fn after(&mut self, action: &Action) -> bool {
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
                        self.moves += 1;
                        it.work(work, self.moves);
                        let key = work.pool_job.work_of(&work.extranonce);
                        let (e1, ntime) = (work.extranonce.e1, work.ntime);
                        let of = |key: WorkKey| (key.place, key.template, ntime);
                        let around = work.pool_job.work_around(&work.extranonce);
                        let around: Vec<_> = around.collect();
                        let mut others = around.iter().copied().chain([key.inside()]);
                        let is_given = others.any(|other| self.ranges.contains(&of(other)));
                        assert!(!is_given, "{miner} is given part of another's work");
                        let markers = around.into_iter().map(WorkKey::inside);
                        self.ranges.extend(markers.chain([key]).map(of));
                        let work = (key.place, key.template, e1, ntime);
                        assert!(self.work.insert(work), "{miner} is given work again");
                    }
                }
            }
            Action::SendPool { conn, message } => {
                let Some(Conn::Open(standing)) = self.conns.get_mut(conn) else {
                    panic!("{message:?} to {conn}, which does not stand");
                };
                if let (
                    ToPool::Request {
                        call: PoolCall::Submit(submit),
                        ..
                    },
                    Some((id, number)),
                ) = (message, self.submitter)
                {
                    let place = |id: &MinerId, number: usize| {
                        self.miners.get(id)?.places.get(number).copied()
                    };
                    let e2 = submit.e2.as_slice();
                    let e1 = standing.e1s.get(&e2.len());
                    if let Some((own, e1)) = place(&id, number).zip(e1) {
                        let before = e2.len().saturating_sub(own.extranonce.e2_size.into());
                        let range = Range {
                            length: e1.len() + e2.len(),
                            begin: [e1.as_slice(), &e2[..before]].concat(),
                        };
                        for ((other, theirs), taken) in &standing.ranges {
                            let meets = place(other, *theirs).is_some_and(|it| it.meets(&own));
                            if *other != id && meets && taken.length == range.length {
                                let apart = !range.begin.starts_with(&taken.begin)
                                    && !taken.begin.starts_with(&range.begin);
                                assert!(apart, "{id} and {other} share a range on {conn}");
                            }
                        }
                        standing.ranges.insert((id, number), range);
                    }
                }
            }
            Action::Dial { conn, .. } => {
                assert!(self.dialled.insert(*conn), "{conn} is dialled again");
                self.conns.insert(*conn, Conn::Dialling);
            }
            Action::Close { link } | Action::Abort { link } => return self.ended(*link),
            Action::KeepBlock(_)
            | Action::KeepAnswer { .. }
            | Action::SaveState
            | Action::StopListening
            | Action::Report(_) => (),
        }
        true
    }

    fn ended(&mut self, link: LinkId) -> bool {
        match link {
            LinkId::Miner(id) => {
                let Some(miner) = self.miners.get_mut(&id).filter(|it| !it.sent_away) else {
                    panic!("{id} is sent away and was gone");
                };
                miner.sent_away = true;
                let mut owed = miner.owed.values();
                let all_answered = owed.all(|owed| owed.submits.is_empty());
                assert!(all_answered, "{id} is sent away without {:?}", miner.owed);
                true
            }
            LinkId::Pool(conn) => {
                let state = self.conns.get_mut(&conn);
                let Some(state @ Conn::Open(_)) = state else {
                    return false;
                };
                *state = Conn::Ended;
                true
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

impl Conn {
    /// A miner is gone.
    fn forget(&mut self, miner: MinerId) {
        if let Self::Open(standing) = self {
            standing.ranges.retain(|(other, _), _| *other != miner);
        }
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

    /// It is sent a job; `moves` counts the places that were given or given up.
    fn work(&mut self, work: &Work, moves: u64) {
        assert!(self.authorized, "work before the answer to authorize");
        let told = work.set_extranonce || self.extranonce == Some(work.extranonce);
        assert!(told, "work with an extranonce that the miner was not told");
        self.extranonce = Some(work.extranonce);
        let present = self.places.last_mut();
        if present.as_ref().map(|it| it.extranonce) != Some(work.extranonce) {
            if let Some(place) = present {
                place.until = Some(moves);
            }
            self.places.push(Place {
                extranonce: work.extranonce,
                since: moves,
                until: None,
            });
        }
        self.jobs.insert(work.job, self.places.len() - 1);
        if self.jobs.len() > JOBS_KEPT {
            self.jobs.pop_first();
        }
        assert!(work.job.0 > self.last_job, "a job's id is used again");
        self.last_job = work.job.0;
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::core::event::CloseReason;
    use crate::sim::chain::{Blocks, JobFactory, JobIds, Network as Chain, Space};
    use crate::sim::world::script::{ScriptMiner, ScriptPool};
    use crate::sim::world::{Network, World};
    use crate::stratum::codec::decode_miner;
    use crate::stratum::job::PoolJob;
    use crate::stratum::message::PoolSubmit;
    use crate::units::{Difficulty, Extranonce2, JobId, VersionMask};

    const SUBMIT: &str = r#"{"id":9,"method":"mining.submit","params":["w","1","0000","0","0"]}"#;

    /// A run in which everything is fine so far: two miners are working, on the same connection as far as anyone knows.
    fn kept() -> (Promises, PoolConn, Instant) {
        let text = r#"{"pools": {"A": {"host": "a.test", "port": 1, "wallet": "w"}}, "scheduler": {"poolB_weight": 0}}"#;
        let config = Arc::new(crate::config::parse(text).unwrap().config);
        let prevhash = "11".repeat(32);
        let job = json!([
            "j",
            prevhash,
            "01",
            "02",
            [],
            "20000000",
            "1702a1b2",
            "6ab00000",
            true
        ]);
        let pool = |_, _| ScriptPool::new(job.clone());
        let mut world = World::with(config, Default::default(), pool, Network::NONE, 1);
        for (index, user) in ["w.one", "w.two"].into_iter().enumerate() {
            world.add(ScriptMiner::default());
            world.connect(index);
            world.miner_says(index, r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
            let authorize =
                format!(r#"{{"id":2,"method":"mining.authorize","params":["{user}","x"]}}"#);
            world.miner_says(index, &authorize);
            world.run(Duration::from_secs(2), |_| ());
        }
        assert_eq!(world.promises.owed(), []);
        let conn = world.standing(PoolSlot::A).last().unwrap();
        (world.promises, conn, world.now)
    }

    fn says(promises: &mut Promises, miner: u64, line: &str, now: Instant) {
        let message = decode_miner(line.as_bytes()).unwrap();
        let miner = MinerId(miner);
        assert!(promises.before(&Event::MinerSent { miner, message }, now));
    }

    fn answer(request: &str) -> Action {
        let line = format!(r#"{{"id":{request},"method":"mining.ping"}}"#);
        let FromMiner::Request { id, .. } = decode_miner(line.as_bytes()).unwrap() else {
            panic!("no request");
        };
        Action::SendMiner {
            miner: MinerId(1),
            message: ToMiner::Reply {
                id,
                reply: Reply::True,
            },
        }
    }

    fn work(promises: &Promises, job: u64, ntime: u32) -> Action {
        let network = Chain {
            version: 0x2000_0000,
            nbits: 0x1702_3a04,
            ntime,
            witness: true,
        };
        let template = JobFactory::new(1, "A", Blocks::Own).next_job(network, JobIds::Counter);
        let notify = Arc::new(template.notify(Space::default(), true));
        let e1 = Extranonce1::new(&[7; 4]).unwrap();
        let pool_job = PoolJob::new(notify, e1, 8, Difficulty::ONE, VersionMask::NONE);
        Action::SendMiner {
            miner: MinerId(1),
            message: ToMiner::Work(Box::new(Work {
                set_extranonce: false,
                difficulty: None,
                mask: None,
                job: JobId(job),
                pool_job: Arc::new(pool_job),
                extranonce: promises.miners[&MinerId(1)].extranonce.unwrap(),
                ntime,
                clean: true,
            })),
        }
    }

    fn share(conn: PoolConn) -> Action {
        let submit = PoolSubmit {
            user: "w.x".into(),
            job_id: "1".into(),
            e2: Extranonce2::new(&[0, 0, 0, 1, 0, 0, 0, 0]).unwrap(),
            ntime: 0,
            nonce: 0,
            version_bits: None,
        };
        let call = PoolCall::Submit(Box::new(submit));
        let message = ToPool::Request { id: 50, call };
        Action::SendPool { conn, message }
    }

    /// Whether the fault is noticed exactly when the core ends with the last of these actions.
    fn is_noticed(steps: impl FnOnce(&mut Promises, PoolConn, Instant) -> Action) -> bool {
        let (mut promises, conn, now) = kept();
        let wrong = steps(&mut promises, conn, now);
        catch_unwind(AssertUnwindSafe(|| promises.after(&wrong))).is_err()
    }

    #[test]
    fn every_broken_promise_is_detected() {
        let miner = LinkId::Miner(MinerId(1));
        assert!(is_noticed(|promises, _, now| {
            says(promises, 1, SUBMIT, now);
            assert!(promises.after(&answer("9")));
            answer("9")
        }));
        assert!(is_noticed(|promises, _, now| {
            says(promises, 1, SUBMIT, now);
            assert_eq!(
                promises.overdue(now + Duration::from_secs(9), Duration::from_secs(8)),
                1
            );
            Action::Close { link: miner }
        }));
        assert!(is_noticed(|promises, _, now| {
            let (miner, reason) = (MinerId(1), CloseReason::ByPeer);
            promises.before(&Event::MinerClosed { miner, reason }, now);
            work(&kept().0, 100, 5)
        }));
        assert!(is_noticed(|promises, _, _| {
            promises.after(&Action::Close { link: miner });
            work(promises, 100, 5)
        }));
        assert!(is_noticed(|promises, _, _| {
            promises.after(&work(promises, 100, 5));
            work(promises, 101, 5)
        }));
        assert!(is_noticed(|promises, _, _| {
            promises.after(&work(promises, 100, 5));
            work(promises, 100, 6)
        }));
        assert!(is_noticed(|promises, _, _| {
            promises.miners.get_mut(&MinerId(1)).unwrap().authorized = false;
            work(promises, 100, 5)
        }));
        assert!(is_noticed(|promises, conn, now| {
            let places = promises.miners[&MinerId(1)].places.clone();
            promises.miners.get_mut(&MinerId(2)).unwrap().places = places;
            says(promises, 1, SUBMIT, now);
            promises.after(&share(conn));
            says(promises, 2, SUBMIT, now);
            share(conn)
        }));
        assert!(is_noticed(|promises, conn, _| {
            let link = LinkId::Pool(conn);
            assert!(promises.after(&Action::Abort { link }));
            share(conn)
        }));
        // Even if the first one has another seat by now, which it left after the other came, but not if the other had it
        // only at that time.
        for is_later in [false, true] {
            let noticed = is_noticed(|promises, conn, now| {
                let places = promises.miners[&MinerId(1)].places.clone();
                promises.miners.get_mut(&MinerId(2)).unwrap().places = places;
                says(promises, 1, SUBMIT, now);
                promises.after(&share(conn));
                promises.moves += 1;
                let first = promises.miners.get_mut(&MinerId(1)).unwrap();
                first.places[0].until = Some(promises.moves);
                let second = promises.miners.get_mut(&MinerId(2)).unwrap();
                second.places[0].since += u64::from(is_later) * (promises.moves + 1);
                says(promises, 2, SUBMIT, now);
                share(conn)
            });
            assert_eq!(noticed, !is_later);
        }
        // Correct behavior raises nothing.
        assert!(!is_noticed(|promises, _, now| {
            says(promises, 1, SUBMIT, now);
            answer("9")
        }));
        assert!(!is_noticed(|promises, _, _| work(promises, 100, 5)));
        assert!(!is_noticed(|promises, conn, now| {
            says(promises, 1, SUBMIT, now);
            share(conn)
        }));
    }
}
