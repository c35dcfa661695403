//! A proxy core, two pools and some miners on one virtual clock, joined by a network with latency.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dpmp::config::Config;
use dpmp::core::Core;
use dpmp::core::action::Action;
use dpmp::core::event::{CloseReason, Event, Stop};
use dpmp::core::fact::Fact;
use dpmp::core::snapshot::Memory;
use dpmp::random::Random;
use dpmp::sim::miner::ledger::Ending;
use dpmp::sim::miner::model::{MinerModel, MinerOutput};
use dpmp::sim::miner::options::MinerOptions;
use dpmp::sim::pool::model::PoolModel;
use dpmp::sim::pool::options::PoolOptions;
use dpmp::sim::pool::output::PoolOutput;
use dpmp::stratum::codec::{Encode, decode_miner, decode_pool};
use dpmp::units::{LinkId, MinerId, Now, PerPool, PoolConn, PoolSlot};

/// When the virtual world begins, in seconds since 1970.
pub(crate) const UNIX_START: u32 = 1_790_000_000;

/// Where the pools are.
pub(crate) const HOSTS: PerPool<&str> = PerPool::new("127.0.0.1", "127.0.0.2");

/// Something that will happen.
#[derive(Debug)]
enum Coming {
    /// To the core.
    Core(Event),
    /// Lines that reach a miner.
    ToMiner(usize, MinerId, Vec<u8>),
    /// The proxy's close reaches a miner.
    MinerCut(usize, MinerId),
    /// Bytes that reach a pool.
    ToPool(PoolConn, Vec<u8>),
    /// The proxy's close reaches a pool.
    PoolCut(PoolConn),
    /// A miner works.
    MinerTurn(usize),
    /// A pool has something to do.
    PoolTick(PoolSlot),
    /// A miner (re)connects.
    Connect(usize),
}

/// A miner and its present connection.
pub(crate) struct Rig {
    pub(crate) model: MinerModel,
    pub(crate) id: Option<MinerId>,
    /// Seconds between two turns of work.
    pub(crate) pause: Duration,
    pub(crate) wants_in: bool,
}

/// A pool and who is connected to it.
pub(crate) struct Site {
    pub(crate) model: PoolModel,
    pub(crate) up: bool,
    /// Whether, while it is down, what is sent to it is swallowed instead of refused.
    pub(crate) swallows: bool,
    /// How often it was dialled.
    pub(crate) dials: u64,
    /// Connected, but nothing gets through in either direction.
    pub(crate) frozen: bool,
    /// How much longer its messages are under way than usual, and those to it.
    pub(crate) far: Duration,
    by_conn: BTreeMap<PoolConn, u64>,
    by_number: BTreeMap<u64, PoolConn>,
    batch: u64,
    tick: Option<Instant>,
}

pub(crate) struct World {
    pub(crate) now: Instant,
    start: Instant,
    pub(crate) core: Core,
    pub(crate) rigs: Vec<Rig>,
    pub(crate) sites: PerPool<Site>,
    pub(crate) rng: Random,
    queue: BTreeMap<(Instant, u64), Coming>,
    sequence: u64,
    last_miner: u64,
    /// Links that the proxy has not closed.
    miners: BTreeMap<MinerId, usize>,
    open: BTreeSet<PoolConn>,
    /// Connections that were dialled to the other pool's address, since that is a backup.
    elsewhere: BTreeSet<PoolConn>,
    /// What the core told, for the test to look at.
    pub(crate) facts: Vec<Fact>,
    pub(crate) keep_facts: bool,
    actions: Vec<Action>,
    pub(crate) steps: u64,
    /// When the next message in each direction of a link may arrive: TCP keeps the order.
    order: BTreeMap<(LinkId, bool), Instant>,
}

impl World {
    pub(crate) fn new(config: Config, pools: [PoolOptions; 2], seed: u64) -> Self {
        Self::remembering(Arc::new(config), pools, Memory::default(), seed)
    }

    /// The same after a restart.
    pub(crate) fn remembering(
        config: Arc<Config>,
        pools: [PoolOptions; 2],
        memory: Memory,
        seed: u64,
    ) -> Self {
        let start = Instant::now() + Duration::from_secs(1000);
        let mut actions = Vec::new();
        let now = Now {
            at: start,
            unix_ms: u64::from(UNIX_START) * 1000,
        };
        let core = Core::new(config, memory, seed, now, &mut actions);
        let mut pools = pools.into_iter();
        let sites = PerPool::from_fn(|slot| {
            let options = PoolOptions {
                tag: slot.name().into(),
                ..pools.next().unwrap()
            };
            Site {
                model: PoolModel::new(options, start, UNIX_START),
                up: true,
                swallows: false,
                dials: 0,
                frozen: false,
                far: Duration::ZERO,
                by_conn: BTreeMap::new(),
                by_number: BTreeMap::new(),
                batch: 0,
                tick: None,
            }
        });
        let mut world = Self {
            now: start,
            start,
            core,
            rigs: Vec::new(),
            sites,
            rng: Random::new(seed ^ 0x5eed),
            queue: BTreeMap::new(),
            sequence: 0,
            last_miner: 0,
            miners: BTreeMap::new(),
            open: BTreeSet::new(),
            elsewhere: BTreeSet::new(),
            facts: Vec::new(),
            keep_facts: false,
            actions,
            steps: 0,
            order: BTreeMap::new(),
        };
        world.perform();
        for slot in PoolSlot::ALL {
            world.plan_tick(slot);
        }
        world
    }

    pub(crate) fn add_miner(&mut self, options: MinerOptions, pause: Duration) -> usize {
        let index = self.rigs.len();
        let model = MinerModel::new(options, self.now);
        self.rigs.push(Rig {
            model,
            id: None,
            pause,
            wants_in: true,
        });
        self.plan(Duration::from_millis(1), Coming::Connect(index));
        self.plan(pause, Coming::MinerTurn(index));
        index
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    pub(crate) fn unix_ms(&self) -> u64 {
        u64::from(UNIX_START) * 1000 + u64::try_from(self.elapsed().as_millis()).unwrap()
    }

    pub(crate) fn clock(&self) -> Now {
        self.stamp()
    }

    fn stamp(&self) -> Now {
        Now {
            at: self.now,
            unix_ms: self.unix_ms(),
        }
    }

    /// Runs for a time, calling `check` after every step.
    pub(crate) fn run(&mut self, time: Duration, mut check: impl FnMut(&mut Self)) {
        let until = self.now + time;
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
            assert!(
                spins < 10_000,
                "the core is busy with nothing at {:?}",
                self.elapsed()
            );
            self.now = self.now.max(next);
            self.steps += 1;
            if deadline.is_some_and(|deadline| deadline <= self.now) {
                let stamp = self.stamp();
                self.core.handle_deadline(stamp, &mut self.actions);
                self.perform();
            } else if let Some((_, coming)) = self.queue.pop_first() {
                self.happen(coming);
            }
            check(self);
        }
    }

    fn plan(&mut self, after: Duration, coming: Coming) {
        self.plan_at(self.now + after, coming);
    }

    fn plan_at(&mut self, at: Instant, coming: Coming) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), coming);
    }

    /// Delivers over a link: in order, after a random latency.
    fn deliver(&mut self, link: LinkId, outward: bool, coming: Coming) {
        let latency = match link {
            // Constant, so that the miner's clock shows what the core meant; at home it is short.
            LinkId::Miner(_) => Duration::from_millis(1),
            LinkId::Pool(conn) => {
                let far = self.sites[self.site_of(conn)].far;
                far + Duration::from_micros(200 + self.rng.below(40_000))
            }
        };
        let at = self.now + latency;
        let earliest = self.order.get(&(link, outward)).copied().unwrap_or(at);
        let at = at.max(earliest);
        self.order.insert((link, outward), at);
        self.plan_at(at, coming);
    }

    fn handle(&mut self, event: Event) {
        let stamp = self.stamp();
        self.core.handle(event, stamp, &mut self.actions);
        self.perform();
    }

    fn perform(&mut self) {
        for action in std::mem::take(&mut self.actions) {
            match action {
                Action::SendMiner { miner, message } => {
                    if let Some(index) = self.miners.get(&miner).copied() {
                        let mut bytes = Vec::new();
                        message.encode(&mut bytes);
                        self.deliver(
                            LinkId::Miner(miner),
                            true,
                            Coming::ToMiner(index, miner, bytes),
                        );
                    }
                }
                Action::SendPool { conn, message } => {
                    if self.open.contains(&conn) {
                        let mut bytes = Vec::new();
                        message.encode(&mut bytes);
                        self.deliver(LinkId::Pool(conn), true, Coming::ToPool(conn, bytes));
                    }
                }
                Action::Dial { conn, target } => {
                    if target.host != HOSTS[conn.slot] {
                        self.elsewhere.insert(conn);
                    }
                    self.dial(conn);
                }
                Action::Close { link } | Action::Abort { link } => self.close(link),
                Action::StopListening | Action::KeepBlock(_) | Action::KeepAnswer { .. } => (),
                Action::Report(fact) => {
                    if self.keep_facts {
                        self.facts.push(fact);
                    }
                }
            }
        }
    }

    /// The pool at a connection's other end.
    fn site_of(&self, conn: PoolConn) -> PoolSlot {
        if self.elsewhere.contains(&conn) {
            conn.slot.other()
        } else {
            conn.slot
        }
    }

    fn dial(&mut self, conn: PoolConn) {
        let slot = self.site_of(conn);
        let site = &mut self.sites[slot];
        let mut latency = Duration::from_micros(500 + self.rng.below(80_000));
        site.dials += 1;
        if !site.up {
            if site.swallows {
                latency += Duration::from_secs(4);
            }
            let event = Event::PoolDialFailed {
                conn,
                error: "refused".into(),
            };
            self.plan(latency, Coming::Core(event));
            return;
        }
        let number = site.model.open(self.now);
        site.by_conn.insert(conn, number);
        site.by_number.insert(number, conn);
        self.open.insert(conn);
        self.deliver(
            LinkId::Pool(conn),
            false,
            Coming::Core(Event::PoolOpened { conn }),
        );
    }

    fn close(&mut self, link: LinkId) {
        match link {
            LinkId::Miner(miner) => {
                if let Some(index) = self.miners.remove(&miner) {
                    self.deliver(link, true, Coming::MinerCut(index, miner));
                    let event = Event::MinerClosed {
                        miner,
                        reason: CloseReason::ByUs,
                    };
                    self.deliver(link, false, Coming::Core(event));
                }
            }
            LinkId::Pool(conn) => {
                if self.open.remove(&conn) {
                    self.deliver(link, true, Coming::PoolCut(conn));
                    let event = Event::PoolClosed {
                        conn,
                        reason: CloseReason::ByUs,
                    };
                    self.deliver(link, false, Coming::Core(event));
                }
            }
        }
    }

    fn happen(&mut self, coming: Coming) {
        match coming {
            Coming::Core(event) => self.handle(event),
            Coming::ToMiner(index, miner, bytes) => {
                let mut out = Vec::new();
                let rig = &mut self.rigs[index];
                if rig.id == Some(miner) {
                    for line in bytes
                        .split(|byte| *byte == b'\n')
                        .filter(|line| !line.is_empty())
                    {
                        rig.model.line(line, self.now, &mut out);
                    }
                    self.miner_did(index, out);
                }
            }
            Coming::MinerCut(index, miner) => {
                if self.rigs[index].id == Some(miner) {
                    self.rigs[index].id = None;
                    self.rigs[index].model.closed(self.now, Ending::ByServer);
                    self.plan(Duration::from_millis(500), Coming::Connect(index));
                }
            }
            Coming::ToPool(conn, bytes) => {
                let slot = self.site_of(conn);
                let site = &mut self.sites[slot];
                let Some(number) = site.by_conn.get(&conn).copied().filter(|_| !site.frozen) else {
                    return;
                };
                let mut out = Vec::new();
                site.batch += 1;
                for line in bytes
                    .split(|byte| *byte == b'\n')
                    .filter(|line| !line.is_empty())
                {
                    site.model
                        .line(number, line, site.batch, self.now, &mut out);
                }
                self.pool_did(slot, out);
            }
            Coming::PoolCut(conn) => self.forget(conn),
            Coming::MinerTurn(index) => {
                let mut out = Vec::new();
                self.rigs[index].model.turn(self.now, &mut out);
                self.miner_did(index, out);
                self.plan(self.rigs[index].pause, Coming::MinerTurn(index));
            }
            Coming::PoolTick(slot) => {
                let site = &mut self.sites[slot];
                if site.tick.is_some_and(|tick| tick <= self.now) {
                    site.tick = None;
                    let mut out = Vec::new();
                    site.model.tick(self.now, &mut out);
                    self.pool_did(slot, out);
                    self.plan_tick(slot);
                }
            }
            Coming::Connect(index) => self.connect(index),
        }
    }

    fn plan_tick(&mut self, slot: PoolSlot) {
        if let Some(next) = self.sites[slot].model.next_tick() {
            let next = next.max(self.now);
            self.sites[slot].tick = Some(next);
            self.plan_at(next, Coming::PoolTick(slot));
        }
    }

    pub(crate) fn connect(&mut self, index: usize) {
        let rig = &mut self.rigs[index];
        if rig.id.is_some() || !rig.wants_in {
            return;
        }
        self.last_miner += 1;
        let miner = MinerId(self.last_miner);
        rig.id = Some(miner);
        self.miners.insert(miner, index);
        let peer = SocketAddr::from(([10, 0, 0, 1], 40_000));
        self.deliver(
            LinkId::Miner(miner),
            false,
            Coming::Core(Event::MinerOpened { miner, peer }),
        );
        let mut out = Vec::new();
        self.rigs[index].model.connected(self.now, &mut out);
        self.miner_did(index, out);
    }

    /// A miner vanishes.
    pub(crate) fn hang_up(&mut self, index: usize) {
        if let Some(miner) = self.rigs[index].id.take() {
            self.rigs[index].model.closed(self.now, Ending::ByMiner);
            self.miners.remove(&miner);
            let event = Event::MinerClosed {
                miner,
                reason: CloseReason::ByPeer,
            };
            self.deliver(LinkId::Miner(miner), false, Coming::Core(event));
        }
    }

    fn miner_did(&mut self, index: usize, out: Vec<MinerOutput>) {
        for output in out {
            let Some(miner) = self.rigs[index].id else {
                return;
            };
            match output {
                MinerOutput::Write(text) => {
                    for line in text.lines() {
                        let event = match decode_miner(line.as_bytes()) {
                            Ok(message) => Event::MinerSent { miner, message },
                            Err(error) => Event::MinerMalformed { miner, error },
                        };
                        self.deliver(LinkId::Miner(miner), false, Coming::Core(event));
                    }
                }
                MinerOutput::HangUp => {
                    self.hang_up(index);
                    self.plan(Duration::from_secs(1), Coming::Connect(index));
                }
                MinerOutput::CloseSending | MinerOutput::StopReading => (),
            }
        }
    }

    /// Carries out what a pool does; the latency of its answers is left to the network.
    pub(crate) fn pool_did(&mut self, slot: PoolSlot, out: Vec<PoolOutput>) {
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
                        self.sites[slot].model.ledger().job_written(job);
                    }
                    if self.sites[slot].frozen {
                        continue;
                    }
                    for line in line.lines() {
                        let event = match decode_pool(line.as_bytes()) {
                            Ok(message) => Event::PoolSent { conn, message },
                            Err(error) => Event::PoolMalformed { conn, error },
                        };
                        self.deliver(LinkId::Pool(conn), false, Coming::Core(event));
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
    fn cut(&mut self, conn: PoolConn) {
        self.forget(conn);
        if self.open.remove(&conn) {
            let event = Event::PoolClosed {
                conn,
                reason: CloseReason::ByPeer,
            };
            self.deliver(LinkId::Pool(conn), false, Coming::Core(event));
        }
    }

    fn forget(&mut self, conn: PoolConn) {
        let slot = self.site_of(conn);
        self.elsewhere.remove(&conn);
        let site = &mut self.sites[slot];
        if let Some(number) = site.by_conn.remove(&conn) {
            site.by_number.remove(&number);
            site.model.closed(number, self.now);
        }
    }

    /// A pool goes down: every connection is closed, none is accepted.
    pub(crate) fn take_down(&mut self, slot: PoolSlot) {
        self.sites[slot].up = false;
        self.kill_connections(slot);
    }

    /// A frozen pool answers again. What was lost meanwhile broke its connections: TCP delivers all or nothing.
    pub(crate) fn thaw(&mut self, slot: PoolSlot) {
        if std::mem::take(&mut self.sites[slot].frozen) {
            self.kill_connections(slot);
        }
    }

    pub(crate) fn kill_connections(&mut self, slot: PoolSlot) {
        let conns: Vec<_> = self.sites[slot].by_conn.keys().copied().collect();
        for conn in conns {
            self.cut(conn);
        }
    }

    /// Does something to a pool's model and carries out what it does then.
    pub(crate) fn pool(
        &mut self,
        slot: PoolSlot,
        act: impl FnOnce(&mut PoolModel, Instant, &mut Vec<PoolOutput>),
    ) {
        let mut out = Vec::new();
        act(&mut self.sites[slot].model, self.now, &mut out);
        self.pool_did(slot, out);
        self.plan_tick(slot);
    }

    pub(crate) fn configure(&mut self, config: Config) {
        self.handle(Event::ConfigChanged(Arc::new(config)));
    }

    pub(crate) fn shut_down(&mut self) {
        self.handle(Event::ShutdownRequested(Stop::Drained));
    }

    /// How many miners the proxy serves.
    pub(crate) fn connected(&self) -> usize {
        self.miners.len()
    }

    /// How much the world holds, to see that it does not grow.
    pub(crate) fn links(&self) -> usize {
        self.miners.len() + self.open.len()
    }
}

/// A configuration with two usable pools.
pub(crate) fn config(weights: [f64; 2], slice: f64) -> Config {
    let text = serde_json::json!({
        "pools": {
            "A": {"name": "A", "host": HOSTS[PoolSlot::A], "port": 3333, "wallet": "walletA"},
            "B": {"name": "B", "host": HOSTS[PoolSlot::B], "port": 3333, "wallet": "walletB"},
        },
        "scheduler": {"poolA_weight": weights[0], "poolB_weight": weights[1], "slice_seconds": slice},
    });
    dpmp::config::parse(&text.to_string()).unwrap().config
}
