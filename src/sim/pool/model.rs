//! A pool without sockets: lines and time in, lines out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::sim::chain::judge::{Judge, Terms};
use crate::sim::chain::{JobFactory, Network, Space, Template};
use crate::sim::pool::ledger::{JobRecord, PoolLedger};
use crate::sim::pool::options::{ExtranonceReuse, PoolOptions};
use crate::sim::pool::session::{Session, Turn};
use crate::sim::pool::wire;
use crate::sim::rng::Rng;

/// A pool's state. Whoever drives it carries out its [outputs](PoolOutput) in their order.
#[derive(Debug)]
pub struct PoolModel {
    shared: Shared,
    sessions: BTreeMap<u64, Session>,
    last_connection: u64,
    last_job: Instant,
    last_block: Instant,
}

/// What a pool does.
#[derive(Clone, Debug)]
pub enum PoolOutput {
    /// Write a line.
    Write {
        /// To which connection.
        connection: u64,
        /// The line with its end.
        line: String,
        /// Not before this moment.
        due: Instant,
        /// The job that is in the line, to be [recorded](PoolLedger::job_written) once it is
        /// written; its time of writing is filled in then.
        job: Option<JobRecord>,
    },
    /// Close a connection.
    Close {
        /// Which one.
        connection: u64,
    },
}

/// What all connections of a pool have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: PoolOptions,
    pub(super) ledger: PoolLedger,
    pub(super) judge: Judge,
    pub(super) rng: Rng,
    factory: JobFactory,
    template: Template,
    /// The beginning, and its time in seconds since 1970.
    start: (Instant, u32),
    /// Extranonce1 numbers in use.
    slots: BTreeSet<u32>,
    last_slot: u32,
    /// The first bytes of every extranonce1.
    prefix: [u8; 16],
}

impl PoolModel {
    /// A pool that starts now; `unix` are the seconds since 1970.
    pub fn new(options: PoolOptions, now: Instant, unix: u32) -> Self {
        let mut rng = Rng::new(options.seed);
        let mut factory = JobFactory::new(rng.next_u64(), &options.tag);
        let template = factory.next_job(network(&options, unix), options.job_ids);
        Self {
            shared: Shared {
                ledger: PoolLedger::default(),
                judge: Judge::default(),
                prefix: rng.bytes(),
                rng,
                factory,
                template,
                start: (now, unix),
                slots: BTreeSet::new(),
                last_slot: 0,
                options,
            },
            sessions: BTreeMap::new(),
            last_connection: 0,
            last_job: now,
            last_block: now,
        }
    }

    /// The records.
    pub fn ledger(&self) -> &PoolLedger {
        &self.shared.ledger
    }

    /// The habits.
    pub fn options(&self) -> &PoolOptions {
        &self.shared.options
    }

    /// A client connected; the connection's number.
    pub fn open(&mut self, now: Instant) -> u64 {
        self.last_connection += 1;
        let id = self.last_connection;
        self.shared.ledger.connection_opened(id, now);
        self.sessions.insert(id, Session::new(id));
        id
    }

    /// A client sent a line. Lines that were read from the socket together have the same `batch`
    /// number, by which pipelined requests are known.
    pub fn line(
        &mut self,
        connection: u64,
        line: &[u8],
        batch: u64,
        now: Instant,
        out: &mut Vec<PoolOutput>,
    ) {
        if let Some(session) = self.sessions.get_mut(&connection) {
            let shared = &mut self.shared;
            session.line(&mut Turn { shared, now, out }, line, batch);
        }
    }

    /// A connection ended.
    pub fn closed(&mut self, connection: u64, now: Instant) {
        if let Some(session) = self.sessions.remove(&connection) {
            session.end(&mut self.shared);
            self.shared.judge.forget(connection);
            self.shared.ledger.connection_closed(connection, now);
        }
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Instant, out: &mut Vec<PoolOutput>) {
        if self.next_block().is_some_and(|due| due <= now) {
            self.new_block(now, out);
        }
        if self.next_job().is_some_and(|due| due <= now) {
            self.new_job(now, out);
        }
    }

    /// When [`tick`](Self::tick) has something to do.
    pub fn next_tick(&self) -> Option<Instant> {
        self.next_block().into_iter().chain(self.next_job()).min()
    }

    /// Gives all clients a new job.
    pub fn new_job(&mut self, now: Instant, out: &mut Vec<PoolOutput>) {
        self.last_job = now;
        self.shared.next_template(now);
        self.hand_out(false, now, out);
    }

    /// Somebody found a block: gives all clients a job with `clean_jobs` upon it.
    pub fn new_block(&mut self, now: Instant, out: &mut Vec<PoolOutput>) {
        self.last_block = now;
        self.last_job = now;
        self.shared.factory.new_block();
        self.shared.judge.new_block();
        self.shared.next_template(now);
        self.hand_out(true, now, out);
    }

    /// Changes habits. A new difficulty or mask is announced at once, and holds from the next job on.
    pub fn change(
        &mut self,
        change: impl FnOnce(&mut PoolOptions),
        now: Instant,
        out: &mut Vec<PoolOutput>,
    ) {
        let former = (self.shared.options.difficulty, self.shared.options.mask);
        change(&mut self.shared.options);
        let options = &self.shared.options;
        let clean = options.clean_after_difficulty && former.0 != options.difficulty;
        if former == (options.difficulty, options.mask) {
            return;
        }
        let shared = &mut self.shared;
        let mut turn = Turn { shared, now, out };
        for session in self.sessions.values_mut() {
            session.announce_changes(&mut turn);
        }
        if clean {
            self.shared.next_template(now);
            self.hand_out(true, now, out);
        }
    }

    /// Gives all subscribed clients a new extranonce1 of this size for later jobs, by `mining.set_extranonce`.
    pub fn set_extranonce(
        &mut self,
        e1_size: usize,
        e2_size: usize,
        now: Instant,
        out: &mut Vec<PoolOutput>,
    ) {
        self.shared.options.e1_size = e1_size;
        self.shared.options.e2_size = e2_size;
        let shared = &mut self.shared;
        let mut turn = Turn { shared, now, out };
        for session in self.sessions.values_mut() {
            session.set_extranonce(&mut turn);
        }
    }

    /// Sends `client.reconnect` with these parameters to all clients.
    pub fn reconnect(&mut self, params: &str, now: Instant, out: &mut Vec<PoolOutput>) {
        let line = wire::push(&self.shared.options, "client.reconnect", params);
        self.say(&line, now, out);
    }

    /// Sends any text to all clients.
    pub fn say(&mut self, text: &str, now: Instant, out: &mut Vec<PoolOutput>) {
        let shared = &mut self.shared;
        let mut turn = Turn { shared, now, out };
        for session in self.sessions.values_mut() {
            session.say(&mut turn, text.to_owned());
        }
    }

    fn next_job(&self) -> Option<Instant> {
        let interval = self.shared.options.job_interval?;
        Some(self.last_job + interval)
    }

    fn next_block(&self) -> Option<Instant> {
        let interval = self.shared.options.block_interval?;
        Some(self.last_block + interval)
    }

    fn hand_out(&mut self, clean: bool, now: Instant, out: &mut Vec<PoolOutput>) {
        let shared = &mut self.shared;
        let mut turn = Turn { shared, now, out };
        for session in self.sessions.values_mut() {
            session.next_job(&mut turn, clean);
        }
    }
}

impl Shared {
    /// Chooses an extranonce1 for a connection: its number, and its bytes.
    pub(super) fn take_slot(&mut self) -> (u32, Vec<u8>) {
        let slot = match self.options.e1_reuse {
            ExtranonceReuse::Never => self.last_slot.wrapping_add(1),
            ExtranonceReuse::Slots => (1..=u32::MAX)
                .find(|slot| !self.slots.contains(slot))
                .unwrap_or(0),
        };
        self.last_slot = slot;
        self.slots.insert(slot);
        let number = slot.to_be_bytes();
        let size = self.options.e1_size.min(self.prefix.len());
        let fixed = size.saturating_sub(number.len());
        let e1 = [
            &self.prefix[..fixed],
            &number[number.len() - (size - fixed)..],
        ];
        (slot, e1.concat())
    }

    pub(super) fn free_slot(&mut self, slot: u32) {
        self.slots.remove(&slot);
    }

    /// Makes the present job out to a connection.
    pub(super) fn give_job(
        &mut self,
        connection: u64,
        terms: Terms,
        clean: bool,
        now: Instant,
    ) -> (String, JobRecord) {
        let salted = terms.e1.is_empty();
        let space = Space {
            e1_size: terms.e1.len(),
            e2_size: terms.e2_size,
            salt: salted.then(|| u32::try_from(connection).unwrap_or(0)),
        };
        let notify = self.template.notify(space, clean);
        let line = wire::notify(&self.options, &notify);
        let record = JobRecord {
            connection,
            job_id: notify.job_id.clone(),
            difficulty: terms.difficulty,
            clean,
            written: now,
        };
        self.judge.add_job(connection, notify, terms, now);
        (line, record)
    }

    pub(super) fn next_template(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.start.0).as_secs();
        let unix = self.start.1 + u32::try_from(passed).unwrap_or(0);
        let network = network(&self.options, unix);
        self.template = self.factory.next_job(network, self.options.job_ids);
    }
}

fn network(options: &PoolOptions, unix: u32) -> Network {
    Network {
        version: options.version,
        nbits: options.nbits,
        ntime: unix,
    }
}
