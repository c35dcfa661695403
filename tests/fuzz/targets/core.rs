//! The core between miners and pools, in virtual time. The input is a script of what happens, a line for each event:
//!
//! ```text
//! miner                     a miner connects: m1, then m2 …
//! m1 {"id":1,…}             it sends this line
//! m1 share 0                it sends a share of the job that it was sent last (1: of the one before …)
//! m1 share 0 1fffe000       the same with version bits
//! m1 leave                  it closes its connection
//! A {"method":…}            pool A sends this line on its newest connection
//! A:1 {"method":…}          the same on the one that is held for m1; A:p for the proxy's own
//! A close, A:1 close        it closes all its connections, or that one
//! A up, A down, A hang      from now on it accepts connections, refuses them, does not answer
//! A plain, A mute           it answers everything with yes and sends a job, or says nothing of its own
//! wait 1500                 so many milliseconds pass
//! weights 30 70             the owner changes the configuration
//! wallet A text, host A text
//! stop                      the proxy is asked to stop
//! ```
//!
//! A line that says none of this is skipped.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use dpmp::config::{self, Config};
use dpmp::core::Core;
use dpmp::core::action::Action;
use dpmp::core::event::{CloseReason, Event, Stop};
use dpmp::core::snapshot::Memory;
use dpmp::history::History;
use dpmp::observe::event;
use dpmp::observe::metrics::Metrics;
use dpmp::stratum::codec::{decode_miner, decode_pool};
use dpmp::stratum::message::{FromMiner, MinerCall, PoolCall, Reply, ToMiner, ToPool, Work};
use dpmp::units::{Client, LinkId, MinerExtranonce, MinerId, Now, PerPool, PoolConn, PoolSlot};
use dpmp::web::api::{Moment, miners, status};
use serde_json::{Value, json};

use super::{check_object, written};

/// The longest script, in lines.
const MOST_LINES: usize = 300;

/// How many miners connect in one script.
const MOST_MINERS: u64 = 5;

/// How long a script may wait in all.
const LONGEST_WAIT: Duration = Duration::from_secs(900);

/// After this time everything is answered or given up, under the configuration below.
const ALL_OVER: Duration = Duration::from_secs(60);

/// How many dials to one pool may be under way.
const MOST_DIALS: usize = 16;

/// How many connections a miner may hold at most: two, and four that were replaced.
const MOST_OF_ONE: usize = 6;

/// When the script begins, in milliseconds since 1970.
const START: u64 = 1_790_000_000_000;

static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics::new().expect("metrics"));

pub fn run(data: &[u8]) {
    let mut world = World::new();
    for line in String::from_utf8_lossy(data).lines().take(MOST_LINES) {
        world.step(line);
        world.look();
    }
    world.finish();
}

struct World {
    core: Core,
    history: History,
    start: Instant,
    now: Instant,
    waited: Duration,
    actions: Vec<Action>,
    coming: VecDeque<Event>,
    settings: Settings,
    miners: BTreeMap<MinerId, Miner>,
    last_miner: u64,
    conns: BTreeMap<PoolConn, Conn>,
    /// Every name that a connection ever had.
    names: BTreeSet<PoolConn>,
    pools: PerPool<Pool>,
    stopped: bool,
}

/// What the script can change in the configuration.
struct Settings {
    weights: [f64; 2],
    wallets: PerPool<String>,
    hosts: PerPool<String>,
}

#[derive(Default)]
struct Miner {
    /// Requests without an answer so far, by id: submits, and others.
    owed: BTreeMap<String, (usize, usize)>,
    /// The ids of what it authorized with.
    authorizing: BTreeSet<String>,
    authorized: bool,
    extranonce: Option<MinerExtranonce>,
    user: String,
    /// The last jobs, the newest first.
    jobs: VecDeque<Work>,
    last_job: u64,
    shares: u32,
    /// The proxy has closed the connection.
    closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Conn {
    Dialling,
    Open,
    /// One side has closed it; the core is about to be told.
    Ending,
}

struct Pool {
    dials: Dials,
    plain: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Dials {
    Up,
    Down,
    Hang,
}

impl Settings {
    /// `None` if it cannot be.
    fn config(&self) -> Option<Config> {
        let pool = |slot| {
            json!({
                "host": self.hosts[slot], "wallet": self.wallets[slot], "stall_seconds": 20, "answer_seconds": 10,
            })
        };
        let text = json!({
            "listen": {"authorize_seconds": 20},
            "pools": {"A": pool(PoolSlot::A), "B": pool(PoolSlot::B)},
            "scheduler": {"poolA_weight": self.weights[0], "poolB_weight": self.weights[1], "no_work_seconds": 15},
        });
        Some(config::parse(&text.to_string()).ok()?.config)
    }
}

impl World {
    fn new() -> Self {
        let settings = Settings {
            weights: [50.0, 50.0],
            wallets: PerPool::new("walletA".into(), "walletB".into()),
            hosts: PerPool::new("a.test".into(), "b.test".into()),
        };
        let config = settings.config().expect("the first configuration is good");
        // Some room for whatever is reckoned back.
        let start = Instant::now() + Duration::from_secs(1000);
        let now = Now {
            at: start,
            unix_ms: START,
        };
        let mut actions = Vec::new();
        let core = Core::new(Arc::new(config), Memory::default(), 7, now, &mut actions);
        let mut world = Self {
            core,
            history: History::default(),
            start,
            now: start,
            waited: Duration::ZERO,
            actions,
            coming: VecDeque::new(),
            settings,
            miners: BTreeMap::new(),
            last_miner: 0,
            conns: BTreeMap::new(),
            names: BTreeSet::new(),
            pools: PerPool::from_fn(|_| Pool {
                dials: Dials::Up,
                plain: true,
            }),
            stopped: false,
        };
        world.perform(false);
        world.settle();
        world
    }

    fn stamp(&self) -> Now {
        let elapsed = u64::try_from((self.now - self.start).as_millis()).expect("it is short");
        Now {
            at: self.now,
            unix_ms: START + elapsed,
        }
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
            "wallet" | "host" => {
                let Some((slot, text)) = rest
                    .split_once(' ')
                    .and_then(|(name, text)| Some((slot(name)?, text)))
                else {
                    return;
                };
                self.change(|settings| match word {
                    "wallet" => settings.wallets[slot] = text.to_owned(),
                    _ => settings.hosts[slot] = text.to_owned(),
                });
            }
            "stop" => {
                self.stopped = true;
                self.happen(Event::ShutdownRequested(Stop::Drained));
            }
            _ => {
                let (name, whom) = word.split_once(':').unwrap_or((word, ""));
                if let Some(slot) = slot(name) {
                    self.pool_does(slot, whom, rest);
                } else if let Some(number) = word
                    .strip_prefix('m')
                    .and_then(|number| number.parse().ok())
                {
                    self.miner_does(MinerId(number), rest);
                }
            }
        }
    }

    fn connect(&mut self) {
        if self.last_miner == MOST_MINERS {
            return;
        }
        self.last_miner += 1;
        let miner = MinerId(self.last_miner);
        self.miners.insert(miner, Miner::default());
        let peer = SocketAddr::from(([10, 0, 0, 7], 50_000));
        self.happen(Event::MinerOpened { miner, peer });
    }

    fn change(&mut self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings);
        if let Some(config) = self.settings.config() {
            self.happen(Event::ConfigChanged(Arc::new(config)));
        }
    }

    fn miner_does(&mut self, id: MinerId, what: &str) {
        if self.miners.get(&id).is_none_or(|miner| miner.closed) {
            return;
        }
        if what == "leave" {
            self.miner_leaves(id);
        } else if let Some(which) = what.strip_prefix("share ") {
            if let Some(line) = self.share(id, which) {
                self.miner_says(id, &line);
            }
        } else {
            self.miner_says(id, what);
        }
    }

    fn miner_leaves(&mut self, miner: MinerId) {
        self.happen(Event::MinerClosed {
            miner,
            reason: CloseReason::ByPeer,
        });
    }

    fn miner_says(&mut self, miner: MinerId, line: &str) {
        let event = match decode_miner(line.as_bytes()) {
            Ok(message) => {
                if let (FromMiner::Request { id, call }, Some(it)) =
                    (&message, self.miners.get_mut(&miner))
                {
                    it.asks(id.as_json(), call);
                }
                Event::MinerSent { miner, message }
            }
            Err(error) => Event::MinerMalformed { miner, error },
        };
        self.happen(event);
    }

    /// The line with a share that is good, if the job is still: `which` is how many jobs back, and version bits.
    fn share(&mut self, id: MinerId, which: &str) -> Option<String> {
        let miner = self.miners.get_mut(&id)?;
        let (back, bits) = which.split_once(' ').unwrap_or((which, ""));
        let work = miner.jobs.get(back.parse::<usize>().ok()?)?;
        miner.shares += 1;
        let e2 = "00".repeat(work.extranonce.e2_size.into());
        let mut params = vec![
            Value::from(miner.user.as_str()),
            work.job.to_string().into(),
            e2.into(),
            format!("{:08x}", work.ntime).into(),
            format!("{:08x}", miner.shares).into(),
        ];
        params.extend((!bits.is_empty()).then(|| bits.into()));
        let id = 1000 + miner.shares;
        Some(json!({"id": id, "method": "mining.submit", "params": params}).to_string())
    }

    fn pool_does(&mut self, slot: PoolSlot, whom: &str, what: &str) {
        match what {
            "up" => self.dials(slot, Dials::Up),
            "down" => self.dials(slot, Dials::Down),
            "hang" => self.dials(slot, Dials::Hang),
            "plain" | "mute" => self.pools[slot].plain = what == "plain",
            "close" => {
                for conn in self.chosen(slot, whom) {
                    self.ends(conn, CloseReason::ByPeer);
                }
                self.settle();
            }
            line => {
                if let Some(conn) = self.chosen(slot, whom).pop() {
                    self.pool_says(conn, line);
                    self.settle();
                }
            }
        }
    }

    /// The open connections that a line of the script means, the newest last.
    fn chosen(&self, slot: PoolSlot, whom: &str) -> Vec<PoolConn> {
        let is_meant = |client: Client| match (client, whom) {
            (_, "") => true,
            (Client::Probe, whom) => whom == "p",
            (Client::Scout, whom) => whom == "s",
            (Client::Survey(_), whom) => whom == "y",
            (Client::Miner(MinerId(id)), whom) => whom.parse() == Ok(id),
        };
        let open = self.conns.iter().filter(|(_, state)| **state == Conn::Open);
        open.map(|(conn, _)| *conn)
            .filter(|conn| conn.slot == slot && is_meant(conn.client))
            .collect()
    }

    fn dials(&mut self, slot: PoolSlot, dials: Dials) {
        self.pools[slot].dials = dials;
        let waiting: Vec<_> = self
            .conns
            .iter()
            .filter(|(_, state)| **state == Conn::Dialling)
            .collect();
        let waiting: Vec<_> = waiting
            .into_iter()
            .map(|(conn, _)| *conn)
            .filter(|conn| conn.slot == slot)
            .collect();
        for conn in waiting {
            self.dialled(conn);
        }
        self.settle();
    }

    /// What becomes of a dial, if anything does.
    fn dialled(&mut self, conn: PoolConn) {
        match self.pools[conn.slot].dials {
            Dials::Up => self.coming.push_back(Event::PoolOpened { conn }),
            Dials::Down => self.coming.push_back(Event::PoolDialFailed {
                conn,
                error: "refused".into(),
            }),
            Dials::Hang => (),
        }
    }

    fn pool_says(&mut self, conn: PoolConn, line: &str) {
        self.coming.push_back(match decode_pool(line.as_bytes()) {
            Ok(message) => Event::PoolSent { conn, message },
            Err(error) => Event::PoolMalformed { conn, error },
        });
    }

    fn ends(&mut self, conn: PoolConn, reason: CloseReason) {
        if let Some(state) = self
            .conns
            .get_mut(&conn)
            .filter(|state| **state == Conn::Open)
        {
            *state = Conn::Ending;
            self.coming.push_back(Event::PoolClosed { conn, reason });
        }
    }

    /// Something happens, with all that follows at once.
    fn happen(&mut self, event: Event) {
        self.coming.push_back(event);
        self.settle();
    }

    fn settle(&mut self) {
        let mut turns = 0;
        while let Some(event) = self.coming.pop_front() {
            turns += 1;
            assert!(turns < 20_000, "it never comes to rest");
            self.deliver(event);
        }
    }

    fn deliver(&mut self, event: Event) {
        let mut malformed = false;
        match &event {
            Event::PoolOpened { conn } => {
                // A dial that was decided twice is opened once.
                if self.conns.get(conn) != Some(&Conn::Dialling) {
                    return;
                }
                self.conns.insert(*conn, Conn::Open);
            }
            Event::PoolDialFailed { conn, .. } => {
                if self.conns.remove(conn) != Some(Conn::Dialling) {
                    return;
                }
            }
            Event::PoolSent { conn, .. } | Event::PoolMalformed { conn, .. } => {
                if !self.conns.contains_key(conn) {
                    return;
                }
            }
            Event::PoolClosed { conn, .. } => {
                self.conns.remove(conn);
            }
            Event::MinerClosed { miner, .. } => {
                self.miners.remove(miner);
            }
            Event::MinerMalformed { .. } => malformed = true,
            Event::MinerOpened { .. }
            | Event::MinerSent { .. }
            | Event::ConfigChanged(_)
            | Event::PayoutSeen { .. }
            | Event::ShutdownRequested(_) => (),
        }
        self.core.handle(event, self.stamp(), &mut self.actions);
        self.perform(malformed);
    }

    fn advance(&mut self, time: Duration) {
        let until = self.now + time;
        let mut spins = 0;
        while let Some(due) = self.core.next_deadline().filter(|due| *due <= until) {
            spins = if due > self.now { 0 } else { spins + 1 };
            assert!(spins < 1000, "the core is busy with nothing");
            self.now = self.now.max(due);
            self.core.handle_deadline(self.stamp(), &mut self.actions);
            self.perform(false);
            self.settle();
        }
        self.now = until;
    }

    /// Carries out what the core wants. `malformed`: it was just told of a line that is no message, which it may
    /// answer without an id.
    fn perform(&mut self, mut malformed: bool) {
        for action in std::mem::take(&mut self.actions) {
            match action {
                Action::SendMiner { miner, message } => {
                    written(&message);
                    let miner = self
                        .miners
                        .get_mut(&miner)
                        .expect("a message to a miner that is gone");
                    assert!(!miner.closed, "a message behind the end of a connection");
                    match message {
                        ToMiner::Reply { id, .. } if malformed && id.as_json() == "null" => {
                            malformed = false
                        }
                        ToMiner::Reply { id, reply } => miner.answered(id.as_json(), &reply),
                        ToMiner::Work(work) => miner.work(*work),
                    }
                }
                Action::SendPool { conn, message } => {
                    written(&message);
                    match self.conns.get(&conn) {
                        Some(Conn::Open) => self.pool_hears(conn, &message),
                        Some(Conn::Ending) => (),
                        other => panic!("{message:?} to {conn}, which is {other:?}"),
                    }
                }
                Action::Dial { conn, .. } => {
                    assert!(self.names.insert(conn), "{conn} is dialled again");
                    self.conns.insert(conn, Conn::Dialling);
                    self.dialled(conn);
                }
                Action::Close { link } | Action::Abort { link } => match link {
                    LinkId::Miner(miner) => {
                        let it = self
                            .miners
                            .get_mut(&miner)
                            .expect("the end of a miner that is gone");
                        assert!(!it.closed, "a connection is closed twice");
                        it.closed = true;
                        let unanswered = it.owed.values().any(|(submits, _)| *submits > 0);
                        assert!(
                            !unanswered,
                            "{miner} is sent away without an answer: {:?}",
                            it.owed
                        );
                        let reason = CloseReason::ByUs;
                        self.coming.push_back(Event::MinerClosed { miner, reason });
                    }
                    LinkId::Pool(conn) => self.ends(conn, CloseReason::ByUs),
                },
                Action::StopListening | Action::KeepBlock(_) | Action::KeepAnswer { .. } => (),
                Action::Report(fact) => {
                    METRICS.record(&fact);
                    let line = event::line(&fact, self.stamp().unix_ms, 1, false);
                    assert!(
                        !line.trim_end().contains(['\n', '\r', '\u{1b}']),
                        "{line:?}"
                    );
                    check_object(&line);
                }
            }
        }
    }

    /// What a plain pool answers.
    fn pool_hears(&mut self, conn: PoolConn, message: &ToPool) {
        let ToPool::Request { id, call } = message else {
            return;
        };
        if !self.pools[conn.slot].plain {
            return;
        }
        let result = match call {
            PoolCall::Configure(_) => {
                json!({"version-rolling": true, "version-rolling.mask": "1fffe000"})
            }
            PoolCall::Subscribe { .. } => {
                let (e1, size) = match conn.slot {
                    PoolSlot::A => (0xaa00_0000, 4),
                    PoolSlot::B => (0xbb00_0000, 8),
                };
                json!([
                    [["mining.notify", "1"]],
                    format!("{:08x}", e1 + conn.generation),
                    size
                ])
            }
            PoolCall::Authorize { .. } | PoolCall::SuggestDifficulty(_) | PoolCall::Submit(_) => {
                json!(true)
            }
        };
        let is_authorized = matches!(call, PoolCall::Authorize { .. });
        let mut lines = vec![json!({"id": id, "result": result, "error": null})];
        if is_authorized {
            // Every hash is good enough.
            lines.push(json!({"id": null, "method": "mining.set_difficulty", "params": [1e-10]}));
            let job = json!([
                "j",
                "11".repeat(32),
                "01",
                "02",
                [],
                "20000000",
                "1a00ffff",
                "6ab00000",
                true
            ]);
            lines.push(json!({"id": null, "method": "mining.notify", "params": job}));
        }
        for line in lines {
            self.pool_says(conn, &line.to_string());
        }
    }

    /// What holds after every line of the script.
    fn look(&mut self) {
        let now = self.stamp();
        let snapshot = Arc::new(self.core.snapshot(now));
        assert_eq!(snapshot.miners.len(), self.miners.len());
        for slot in PoolSlot::ALL {
            let dialling =
                |(conn, state): &(&PoolConn, &Conn)| conn.slot == slot && **state == Conn::Dialling;
            assert!(self.conns.iter().filter(dialling).count() <= MOST_DIALS);
        }
        let of_miners = self
            .conns
            .iter()
            .filter(|(conn, state)| conn.client != Client::Probe && **state == Conn::Open);
        assert!(of_miners.count() <= MOST_OF_ONE * self.miners.len());
        self.history.look(&snapshot, now);
        let moment = Moment {
            snapshot: &snapshot,
            config: self.core.config(),
            now,
        };
        let listen = SocketAddr::from(([127, 0, 0, 1], 3351));
        let status = status::status(&moment, &self.history, listen, Vec::new());
        serde_json::to_string(&status).expect("the state can be shown");
        let miners = miners::miners(&moment, &self.history);
        serde_json::to_string(&miners).expect("the miners can be shown");
    }

    /// Everything comes to its end: what was asked is answered, what was opened is closed, what is remembered can be
    /// read again.
    fn finish(mut self) {
        for slot in PoolSlot::ALL {
            self.dials(slot, Dials::Up);
        }
        self.advance(ALL_OVER);
        for (id, miner) in &self.miners {
            assert!(miner.owed.is_empty(), "{id} is owed {:?}", miner.owed);
        }
        self.look();
        assert_eq!(self.core.is_finished(), self.stopped);
        for id in self.miners.keys().copied().collect::<Vec<_>>() {
            self.miner_leaves(id);
        }
        self.advance(ALL_OVER);
        self.look();
        let left: Vec<_> = self
            .conns
            .keys()
            .filter(|conn| conn.client != Client::Probe)
            .collect();
        assert!(left.is_empty(), "connections for nobody: {left:?}");
        assert!(self.conns.len() <= 2, "{:?}", self.conns);
        let memory = self.core.memory();
        let text = serde_json::to_string(&memory).expect("the memory can be written");
        let again: Memory = serde_json::from_str(&text).unwrap_or_else(|error| {
            panic!("the state file cannot be read any more: {error}: {text}");
        });
        let again = serde_json::to_string(&again).expect("the memory can be written");
        assert_eq!(again, text);
    }
}

impl Miner {
    fn asks(&mut self, id: &str, call: &MinerCall) {
        let (submits, others) = self.owed.entry(id.to_owned()).or_default();
        match call {
            MinerCall::Submit(_) | MinerCall::UnreadableSubmit { .. } => *submits += 1,
            MinerCall::Authorize { user, .. } => {
                *others += 1;
                self.authorizing.insert(id.to_owned());
                if self.user.is_empty() {
                    self.user.clone_from(user);
                }
            }
            MinerCall::Configure(_)
            | MinerCall::Subscribe { .. }
            | MinerCall::SubscribeExtranonce
            | MinerCall::SuggestDifficulty(_)
            | MinerCall::Ping
            | MinerCall::Invalid { .. }
            | MinerCall::Unknown { .. } => *others += 1,
        }
    }

    fn answered(&mut self, id: &str, reply: &Reply) {
        let (submits, others) = self.owed.get_mut(id).unwrap_or_else(|| {
            panic!("{reply:?} answers {id}, which nobody asked");
        });
        // Of two questions under one id it may be either; the count is what matters.
        if *submits > 0 {
            *submits -= 1;
        } else {
            *others -= 1;
        }
        if (*submits, *others) == (0, 0) {
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

    fn work(&mut self, work: Work) {
        assert!(self.authorized, "work before the answer to authorize");
        assert!(
            work.set_extranonce || self.extranonce == Some(work.extranonce),
            "an extranonce that it was not told"
        );
        self.extranonce = Some(work.extranonce);
        assert!(work.job.0 > self.last_job, "an id of a job is used again");
        self.last_job = work.job.0;
        self.jobs.push_front(work);
        self.jobs.truncate(8);
    }
}

fn slot(name: &str) -> Option<PoolSlot> {
    PoolSlot::ALL.into_iter().find(|slot| slot.name() == name)
}
