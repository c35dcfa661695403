//! The world around one [`Core`] in virtual time: a clock, a network, pools and miners, and the loop that feeds the
//! core and carries out its actions. The peers are models, which mine for real, or are [scripted](script) by a test.
//!
//! `Promises` watches every run: the world panics if the core breaks one. Here, the name of a pool connection is only a
//! key.

mod promises;
pub mod script;

use std::collections::{BTreeMap, HashSet};
use std::mem;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::core::Core;
use crate::core::action::{Action, DialTarget};
use crate::core::event::{CloseReason, Event, Source, Stop};
use crate::core::fact::Fact;
use crate::core::memory::Memory;
use crate::random::Random;
use crate::sim::miner::ledger::Ending;
use crate::sim::miner::model::MinerModel;
use crate::sim::miner::options::MinerOptions;
use crate::sim::miner::output::MinerOutput;
use crate::sim::peer::{MinerPeer, PoolPeer};
use crate::sim::pool::model::PoolModel;
use crate::sim::pool::options::PoolOptions;
use crate::sim::pool::output::PoolOutput;
use crate::sim::world::promises::Promises;
use crate::stratum::codec::{Encode, decode_miner, decode_pool};
use crate::stratum::message::{PoolCall, ToMiner, ToPool};
use crate::units::{LinkId, MinerId, Now, PerPool, PoolConn, PoolSlot};

/// When the virtual world begins, in seconds since 1970.
pub const UNIX_START: u32 = 1_790_000_000;

/// The pools' hosts; any other host leads to the pool that is dialed.
pub const HOSTS: PerPool<&str> = PerPool::new("127.0.0.1", "127.0.0.2");

/// How many steps without time passing count as an endless loop.
const MOST_SPINS: u64 = 100_000;

/// And so many more for each miner, because many may act at the same time.
const SPINS_PER_MINER: u64 = 100;

/// After this many steps, the world checks whether anything is overdue.
const LOOK_EVERY: u64 = 64;

/// How long messages take, in microseconds; random within a range.
#[derive(Clone, Debug)]
pub struct Network {
    /// A line between a miner and the proxy. Constant, so that the miner's times show what the core intended.
    pub miner: u64,
    /// A line between the proxy and a pool.
    pub pool: Range<u64>,
    /// The attempt to connect to a pool.
    pub dial: Range<u64>,
}

impl Network {
    /// Miners at home and pools somewhere on the internet.
    pub const HOME: Self = Self {
        miner: 1000,
        pool: 200..40_200,
        dial: 500..80_500,
    };
    /// Everything arrives immediately.
    pub const NONE: Self = Self {
        miner: 0,
        pool: 0..0,
        dial: 0..0,
    };
}

/// A future event.
#[derive(Debug)]
enum Scheduled {
    /// To the core.
    Core(Event),
    /// A message reaches a miner.
    ToMiner(usize, MinerId, ToMiner),
    /// The proxy's closing of the connection reaches a miner.
    MinerCut(usize, MinerId),
    /// A message reaches a pool, on the connection that has this number there.
    ToPool(PoolSlot, u64, ToPool),
    /// The proxy's closing of the connection reaches a pool.
    PoolCut(PoolSlot, u64),
    /// A miner works.
    MinerTurn(usize),
    /// A pool has something to do.
    PoolTick(PoolSlot),
    /// A miner (re)connects.
    Connect(usize),
}

/// A miner and its present connection.
#[derive(Debug)]
pub struct Rig<M> {
    /// The miner.
    pub model: M,
    /// Its connection, while it has one.
    pub id: Option<MinerId>,
    /// The time between two turns of work.
    pub pause: Duration,
    /// Whether it comes back after the end of a connection.
    pub wants_in: bool,
    /// The address it comes from; by default all have the same.
    pub address: IpAddr,
}

/// A pool and how it can be reached.
#[derive(Debug)]
pub struct Site<P> {
    /// The pool.
    pub model: P,
    /// Whether it accepts connections.
    pub up: bool,
    /// While it is down: whether a dial fails only after a while.
    pub swallows: bool,
    /// Whether dials are left without an answer, until [`World::answer_dials`].
    pub holds: bool,
    /// How often it was dialed.
    pub dials: u64,
    /// Connected, but nothing gets through in either direction.
    pub frozen: bool,
    /// How much longer than usual messages from and to it take.
    pub far: Duration,
    held: Vec<PoolConn>,
    by_number: BTreeMap<u64, PoolConn>,
    batch: u64,
    tick: Option<Instant>,
}

/// The earliest arrival of the next message to the core and from it on a connection, because TCP keeps the order.
type Order = [Instant; 2];

/// The core, its peers, and the messages between them.
#[derive(Debug)]
pub struct World<P, M> {
    /// The present moment.
    pub now: Instant,
    start: Instant,
    /// The core.
    pub core: Core,
    /// The miners, in the order in which they were added.
    pub rigs: Vec<Rig<M>>,
    /// The pools.
    pub sites: PerPool<Site<P>>,
    /// Random numbers for the network and everything else in this world.
    pub rng: Random,
    /// The facts that the core reported while `keep_facts` was set.
    pub facts: Vec<Fact>,
    /// Whether [`facts`](Self::facts) are kept.
    pub keep_facts: bool,
    /// How many events there were.
    pub steps: u64,
    network: Network,
    queue: BTreeMap<(Instant, u64), Scheduled>,
    sequence: u64,
    last_miner: u64,
    /// The open connections.
    miners: BTreeMap<MinerId, (usize, Order)>,
    pools: BTreeMap<PoolConn, (PoolSlot, u64, Order)>,
    /// What the core has promised so far.
    pub promises: Promises,
    /// The hashes of all shares that miners sent.
    mined: HashSet<[u8; 32]>,
    actions: Vec<Action>,
}

impl<P: PoolPeer, M: MinerPeer> World<P, M> {
    /// A core with this memory and two pools, but no miners yet.
    #[expect(
        clippy::disallowed_methods,
        reason = "any moment will do as the start of virtual time"
    )]
    pub fn with(
        config: Arc<Config>,
        memory: Memory,
        mut pool: impl FnMut(PoolSlot, Instant) -> P,
        network: Network,
        seed: u64,
    ) -> Self {
        // Some room for calculating backward.
        let start = Instant::now() + Duration::from_secs(1000);
        let mut actions = Vec::new();
        let now = Now {
            at: start,
            unix_ms: u64::from(UNIX_START) * 1000,
        };
        let core = Core::new(config, memory, seed, now, &mut actions);
        let mut world = Self {
            now: start,
            start,
            core,
            rigs: Vec::new(),
            sites: PerPool::from_fn(|slot| Site {
                model: pool(slot, start),
                up: true,
                swallows: false,
                holds: false,
                dials: 0,
                frozen: false,
                far: Duration::ZERO,
                held: Vec::new(),
                by_number: BTreeMap::new(),
                batch: 0,
                tick: None,
            }),
            rng: Random::new(seed ^ 0x5eed),
            facts: Vec::new(),
            keep_facts: false,
            steps: 0,
            network,
            queue: BTreeMap::new(),
            sequence: 0,
            last_miner: 0,
            miners: BTreeMap::new(),
            pools: BTreeMap::new(),
            promises: Promises::default(),
            mined: HashSet::new(),
            actions,
        };
        world.perform();
        for slot in PoolSlot::ALL {
            world.plan_tick(slot);
        }
        world
    }

    /// Adds a miner that is not connected yet; returns its place among the rigs.
    pub fn add(&mut self, model: M) -> usize {
        self.rigs.push(Rig {
            model,
            id: None,
            pause: Duration::ZERO,
            wants_in: false,
            address: Ipv4Addr::new(10, 0, 0, 1).into(),
        });
        self.rigs.len() - 1
    }

    /// How much time has passed.
    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// The present time as passed to the core.
    pub fn clock(&self) -> Now {
        let passed = self.elapsed();
        let seconds = u64::from(UNIX_START) + passed.as_secs();
        Now {
            at: self.now,
            unix_ms: seconds * 1000 + u64::from(passed.subsec_millis()),
        }
    }

    /// Runs for a time, calling `check` after every step.
    pub fn run(&mut self, time: Duration, mut check: impl FnMut(&mut Self)) {
        let until = self.now + time;
        let most = MOST_SPINS + SPINS_PER_MINER * u64::try_from(self.rigs.len()).unwrap_or(0);
        let mut spins = 0;
        loop {
            let coming = self.queue.first_key_value().map(|((at, _), _)| *at);
            let deadline = self.core.next_deadline();
            let next = [coming, deadline].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= until) else {
                self.now = until;
                return;
            };
            spins = if next > self.now { 0 } else { spins + 1 };
            let at = self.elapsed();
            assert!(spins < most, "the core is busy with nothing at {at:?}");
            self.now = self.now.max(next);
            self.steps += 1;
            if deadline.is_some_and(|deadline| deadline <= self.now) {
                let now = self.clock();
                self.core.handle_deadline(now, &mut self.actions);
                self.perform();
            } else if let Some((_, coming)) = self.queue.pop_first() {
                self.happen(coming);
            }
            if self.steps % LOOK_EVERY == 0 {
                self.look();
            }
            check(self);
        }
    }

    /// Every submit is answered in time, even if its pool does not answer.
    fn look(&self) {
        let pools = self.core.config().pools.iter();
        let answer = pools
            .filter_map(|(_, pool)| Some(pool.as_ref()?.answer))
            .max();
        let patience = answer.unwrap_or_default() + Duration::from_secs(2);
        let overdue = self.promises.overdue(self.now, patience);
        assert_eq!(overdue, 0, "no answer in time after {:?}", self.elapsed());
    }

    fn plan(&mut self, after: Duration, coming: Scheduled) {
        self.plan_at(self.now + after, coming);
    }

    fn plan_at(&mut self, at: Instant, coming: Scheduled) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), coming);
    }

    fn draw(&mut self, range: Range<u64>) -> Duration {
        let random = self.rng.below(range.end - range.start);
        Duration::from_micros(range.start + random)
    }

    /// Delivers over a link: in order, after its latency.
    fn deliver(&mut self, link: LinkId, outward: bool, coming: Scheduled) {
        let (latency, order) = match link {
            LinkId::Miner(miner) => {
                let link = self.miners.get_mut(&miner);
                let latency = Duration::from_micros(self.network.miner);
                (latency, link.map(|(_, order)| order))
            }
            LinkId::Pool(conn) => {
                let latency = self.draw(self.network.pool.clone());
                match self.pools.get_mut(&conn) {
                    Some((slot, _, order)) => (latency + self.sites[*slot].far, Some(order)),
                    None => return,
                }
            }
        };
        let Some(order) = order else { return };
        let earliest = &mut order[usize::from(outward)];
        *earliest = (self.now + latency).max(*earliest);
        let at = *earliest;
        self.plan_at(at, coming);
    }

    fn handle(&mut self, event: Event) {
        if self.promises.before(&event, self.now) {
            let now = self.clock();
            self.core.handle(event, now, &mut self.actions);
            self.perform();
        }
    }

    fn perform(&mut self) {
        for action in mem::take(&mut self.actions) {
            if !self.promises.after(&action) {
                continue;
            }
            match action {
                Action::SendMiner { miner, message } => {
                    if let Some((index, _)) = self.miners.get(&miner) {
                        let coming = Scheduled::ToMiner(*index, miner, message);
                        self.deliver(LinkId::Miner(miner), true, coming);
                    }
                }
                Action::SendPool { conn, message } => {
                    if let Some((slot, number, _)) = self.pools.get(&conn) {
                        let coming = Scheduled::ToPool(*slot, *number, message);
                        self.deliver(LinkId::Pool(conn), true, coming);
                    }
                }
                Action::Dial { conn, target, .. } => self.dial(conn, &target),
                Action::Close { link } | Action::Abort { link } => self.close(link),
                Action::SaveState
                | Action::StopListening
                | Action::KeepBlock(_)
                | Action::KeepAnswer { .. } => (),
                Action::Report(fact) => self.facts.extend(self.keep_facts.then_some(fact)),
            }
        }
    }

    fn dial(&mut self, conn: PoolConn, target: &DialTarget) {
        let other = conn.slot.other();
        // A backup may lead from one pool to the other.
        let slot = if target.host == HOSTS[other] {
            other
        } else {
            conn.slot
        };
        self.sites[slot].dials += 1;
        if self.sites[slot].holds {
            self.sites[slot].held.push(conn);
        } else {
            self.answer_dial(slot, conn);
        }
    }

    /// Answers the dials that a pool was holding.
    pub fn answer_dials(&mut self, slot: PoolSlot) {
        for conn in mem::take(&mut self.sites[slot].held) {
            self.answer_dial(slot, conn);
        }
    }

    fn answer_dial(&mut self, slot: PoolSlot, conn: PoolConn) {
        let mut latency = self.draw(self.network.dial.clone());
        let site = &mut self.sites[slot];
        if !site.up {
            if site.swallows {
                latency += Duration::from_secs(4);
            }
            let error = "refused".into();
            return self.plan(
                latency,
                Scheduled::Core(Event::PoolDialFailed { conn, error }),
            );
        }
        let number = site.model.open(self.now);
        site.model.named(number, conn);
        site.by_number.insert(number, conn);
        self.pools.insert(conn, (slot, number, [self.now; 2]));
        let coming = Scheduled::Core(Event::PoolOpened { conn });
        self.deliver(LinkId::Pool(conn), false, coming);
    }

    /// The core ends a connection.
    fn close(&mut self, link: LinkId) {
        let reason = CloseReason::ByUs;
        match link {
            LinkId::Miner(miner) => {
                if let Some((index, _)) = self.miners.get(&miner) {
                    self.deliver(link, true, Scheduled::MinerCut(*index, miner));
                    self.end_miner(miner, reason);
                }
            }
            LinkId::Pool(conn) => {
                if let Some((slot, number, _)) = self.pools.get(&conn) {
                    self.deliver(link, true, Scheduled::PoolCut(*slot, *number));
                    self.end_pool(conn, reason);
                }
            }
        }
    }

    /// A miner's connection was ended; the core receives that as an event.
    fn end_miner(&mut self, miner: MinerId, reason: CloseReason) {
        let coming = Scheduled::Core(Event::MinerClosed { miner, reason });
        self.deliver(LinkId::Miner(miner), false, coming);
        self.miners.remove(&miner);
    }

    fn end_pool(&mut self, conn: PoolConn, reason: CloseReason) {
        let coming = Scheduled::Core(Event::PoolClosed { conn, reason });
        self.deliver(LinkId::Pool(conn), false, coming);
        self.pools.remove(&conn);
    }

    fn happen(&mut self, coming: Scheduled) {
        match coming {
            Scheduled::Core(event) => self.handle(event),
            Scheduled::ToMiner(index, miner, message) => {
                if self.rigs[index].id != Some(miner) {
                    return;
                }
                let mut out = Vec::new();
                for line in lines(&message) {
                    let model = &mut self.rigs[index].model;
                    model.line(line.as_bytes(), self.now, &mut out);
                    let violation = model.violation();
                    assert_eq!(violation, None, "miner {index} after {:?}", self.elapsed());
                }
                self.miner_did(index, out);
            }
            Scheduled::MinerCut(index, miner) => {
                let rig = &mut self.rigs[index];
                if rig.id == Some(miner) {
                    rig.id = None;
                    self.ended(index, Ending::ByServer);
                }
            }
            Scheduled::ToPool(slot, number, message) => self.pool_hears(slot, number, &message),
            Scheduled::PoolCut(slot, number) => self.forget(slot, number),
            Scheduled::MinerTurn(index) => {
                let mut out = Vec::new();
                let rig = &mut self.rigs[index];
                rig.model.turn(self.now, &mut out);
                let pause = rig.pause;
                self.miner_did(index, out);
                self.plan(pause, Scheduled::MinerTurn(index));
            }
            Scheduled::PoolTick(slot) => {
                let site = &mut self.sites[slot];
                if site.tick.is_some_and(|tick| tick <= self.now) {
                    site.tick = None;
                    self.pool(slot, PoolPeer::tick);
                }
            }
            Scheduled::Connect(index) => {
                if self.rigs[index].wants_in {
                    self.connect(index);
                }
            }
        }
    }

    fn pool_hears(&mut self, slot: PoolSlot, number: u64, message: &ToPool) {
        let site = &mut self.sites[slot];
        if site.frozen || !site.by_number.contains_key(&number) {
            return;
        }
        let mut out = Vec::new();
        site.batch += 1;
        for line in lines(message) {
            let line = line.as_bytes();
            site.model
                .line(number, line, site.batch, self.now, &mut out);
        }
        let at = self.now - self.start;
        assert_eq!(site.model.violation(), None, "pool {slot} after {at:?}");
        let is_share = matches!(
            message,
            ToPool::Request {
                call: PoolCall::Submit(_),
                ..
            }
        );
        if let Some(hash) = site.model.rebuilt().filter(|_| is_share) {
            let known = self.mined.contains(&hash);
            assert!(
                known,
                "no miner hashed what pool {slot} rebuilt after {at:?}"
            );
        }
        self.pool_did(slot, out);
    }

    fn plan_tick(&mut self, slot: PoolSlot) {
        if let Some(next) = self.sites[slot].model.next_tick() {
            let next = next.max(self.now);
            self.sites[slot].tick = Some(next);
            self.plan_at(next, Scheduled::PoolTick(slot));
        }
    }

    /// A miner connects, unless it is connected.
    pub fn connect(&mut self, index: usize) {
        if self.rigs[index].id.is_some() {
            return;
        }
        self.last_miner += 1;
        let miner = MinerId(self.last_miner);
        self.rigs[index].id = Some(miner);
        self.miners.insert(miner, (index, [self.now; 2]));
        let peer = SocketAddr::new(self.rigs[index].address, 40_000);
        let coming = Scheduled::Core(Event::MinerOpened { miner, peer });
        self.deliver(LinkId::Miner(miner), false, coming);
        let mut out = Vec::new();
        self.rigs[index].model.connected(self.now, &mut out);
        self.miner_did(index, out);
    }

    /// A miner vanishes.
    pub fn hang_up(&mut self, index: usize) {
        let Some(miner) = self.rigs[index].id.take() else {
            return;
        };
        self.rigs[index].model.closed(self.now, Ending::ByMiner);
        self.end_miner(miner, CloseReason::ByPeer);
    }

    /// A miner's connection has ended; it reconnects when it wants to.
    fn ended(&mut self, index: usize, ending: Ending) {
        let model = &mut self.rigs[index].model;
        model.closed(self.now, ending);
        if let Some(pause) = model.redials_after(self.now, ending) {
            self.plan(pause, Scheduled::Connect(index));
        }
    }

    /// A miner sends a line.
    pub fn miner_says(&mut self, index: usize, line: &str) {
        let Some(miner) = self.rigs[index].id else {
            return;
        };
        let event = match decode_miner(line.as_bytes()) {
            Ok(message) => Event::MinerSent { miner, message },
            Err(error) => Event::MinerMalformed { miner, error },
        };
        self.deliver(LinkId::Miner(miner), false, Scheduled::Core(event));
    }

    fn miner_did(&mut self, index: usize, out: Vec<MinerOutput>) {
        self.mined.extend(self.rigs[index].model.mined(out.len()));
        for output in out {
            match output {
                MinerOutput::Write(text) => {
                    for line in text.lines() {
                        self.miner_says(index, line);
                    }
                }
                MinerOutput::HangUp => {
                    if let Some(miner) = self.rigs[index].id.take() {
                        self.end_miner(miner, CloseReason::ByPeer);
                        self.ended(index, Ending::ByMiner);
                    }
                    return;
                }
                MinerOutput::CloseSending | MinerOutput::StopReading => (),
            }
        }
    }

    /// Does something to a pool and carries out its actions; the latency of its answers comes from the network.
    pub fn pool(
        &mut self,
        slot: PoolSlot,
        act: impl FnOnce(&mut P, Instant, &mut Vec<PoolOutput>),
    ) {
        let mut out = Vec::new();
        act(&mut self.sites[slot].model, self.now, &mut out);
        self.pool_did(slot, out);
        self.plan_tick(slot);
    }

    /// A pool sends lines on a connection.
    pub fn pool_says(&mut self, conn: PoolConn, text: &str) {
        for line in text.lines() {
            let event = match decode_pool(line.as_bytes()) {
                Ok(message) => Event::PoolSent { conn, message },
                Err(error) => Event::PoolMalformed { conn, error },
            };
            self.deliver(LinkId::Pool(conn), false, Scheduled::Core(event));
        }
    }

    fn pool_did(&mut self, slot: PoolSlot, out: Vec<PoolOutput>) {
        for output in out {
            match output {
                PoolOutput::Write {
                    connection,
                    line,
                    job,
                    ..
                } => {
                    let Some(conn) = self.sites[slot].by_number.get(&connection).copied() else {
                        continue;
                    };
                    if let Some(job) = job {
                        self.sites[slot].model.job_written(job);
                    }
                    if !self.sites[slot].frozen {
                        self.pool_says(conn, &line);
                    }
                }
                PoolOutput::Close { connection } => {
                    if let Some(conn) = self.sites[slot].by_number.get(&connection).copied() {
                        self.cut(conn);
                    }
                }
            }
        }
    }

    /// A pool closes a connection.
    pub fn cut(&mut self, conn: PoolConn) {
        let sites = self.sites.iter();
        let link = sites.flat_map(|(slot, site)| {
            let mut numbers = site.by_number.iter();
            let found = numbers.find(|(_, of)| **of == conn);
            found.map(|(number, _)| (slot, *number))
        });
        if let Some((slot, number)) = link.last() {
            self.end_pool(conn, CloseReason::ByPeer);
            self.forget(slot, number);
        }
    }

    /// A pool has seen a connection's end.
    fn forget(&mut self, slot: PoolSlot, number: u64) {
        let site = &mut self.sites[slot];
        if site.by_number.remove(&number).is_some() {
            site.model.closed(number, self.now);
        }
    }

    /// A pool goes down: every connection is closed, none is accepted.
    pub fn take_down(&mut self, slot: PoolSlot) {
        self.sites[slot].up = false;
        self.kill_connections(slot);
    }

    /// A frozen pool answers again. What was lost meanwhile broke its connections: TCP delivers all or nothing.
    pub fn thaw(&mut self, slot: PoolSlot) {
        if mem::take(&mut self.sites[slot].frozen) {
            self.kill_connections(slot);
        }
    }

    /// A pool closes all its connections.
    pub fn kill_connections(&mut self, slot: PoolSlot) {
        let mut conns: Vec<_> = self.sites[slot].by_number.values().copied().collect();
        conns.sort_unstable();
        for conn in conns {
            self.cut(conn);
        }
    }

    /// The connections that stand at a pool, the oldest first.
    pub fn standing(&self, slot: PoolSlot) -> impl DoubleEndedIterator<Item = PoolConn> {
        self.sites[slot].by_number.values().copied()
    }

    /// The owner changes the configuration.
    pub fn configure(&mut self, config: Config) {
        self.handle(Event::ConfigChanged(Arc::new(config), Source::File));
    }

    /// Something else that happens from outside.
    pub fn tell(&mut self, event: Event) {
        self.handle(event);
    }

    /// The proxy is asked to stop.
    pub fn shut_down(&mut self) {
        self.handle(Event::ShutdownRequested(Stop::Drained));
    }

    /// How many miners the proxy serves.
    pub fn connected(&self) -> usize {
        self.miners.len()
    }

    /// How many connections stand, to see that they do not grow in number.
    pub fn links(&self) -> usize {
        self.miners.len() + self.pools.len()
    }
}

impl<M: MinerPeer> World<PoolModel, M> {
    /// A core that knows nothing yet between two pools.
    pub fn new(config: Config, pools: [PoolOptions; 2], seed: u64) -> Self {
        Self::remembering(Arc::new(config), pools, Memory::default(), seed)
    }

    /// The same after a restart.
    pub fn remembering(
        config: Arc<Config>,
        pools: [PoolOptions; 2],
        memory: Memory,
        seed: u64,
    ) -> Self {
        let mut pools = pools.into_iter();
        let pool = |slot: PoolSlot, now| {
            let options = PoolOptions {
                tag: slot.name().into(),
                ..pools.next().unwrap_or_default()
            };
            PoolModel::new(options, now, UNIX_START)
        };
        Self::with(config, memory, pool, Network::HOME, seed)
    }

    /// Adds a miner that connects now and works after each pause; its place among the rigs.
    pub fn add_working(&mut self, model: M, pause: Duration) -> usize {
        let index = self.add(model);
        self.rigs[index].pause = pause;
        self.rigs[index].wants_in = true;
        self.plan(Duration::from_millis(1), Scheduled::Connect(index));
        self.plan(pause, Scheduled::MinerTurn(index));
        index
    }
}

impl World<PoolModel, MinerModel> {
    /// The same for one with these habits.
    pub fn add_miner(&mut self, options: MinerOptions, pause: Duration) -> usize {
        self.add_working(MinerModel::new(options, self.now), pause)
    }
}

/// The lines that a message is written as.
fn lines(message: &impl Encode) -> Vec<String> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.ends_with('\n'), "{text:?} has no end");
    text.lines().map(str::to_owned).collect()
}
