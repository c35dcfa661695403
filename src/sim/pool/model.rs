//! A pool without sockets: lines and time in, lines out.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::sim::peer::PoolPeer;
use crate::sim::pool::ledger::{JobRecord, PoolLedger};
use crate::sim::pool::options::PoolOptions;
use crate::sim::pool::output::PoolOutput;
use crate::sim::pool::session::{Session, Turn};
use crate::sim::pool::shared::Shared;
use crate::sim::pool::wire;
use crate::units::VersionMask;

/// A pool's state.
#[derive(Debug)]
pub struct PoolModel {
    shared: Shared,
    sessions: BTreeMap<u64, Session>,
    last_connection: u64,
    last_job: Instant,
    last_block: Instant,
}

impl PoolModel {
    /// A pool that starts now; `unix` are the seconds since 1970.
    pub fn new(options: PoolOptions, now: Instant, unix: u32) -> Self {
        Self {
            shared: Shared::new(options, now, unix),
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

    /// Gives all clients a new job.
    pub fn new_job(&mut self, now: Instant, out: &mut Vec<PoolOutput>) {
        self.last_job = now;
        self.shared.next_template(now);
        self.hand_out(false, now, out);
    }

    /// A block was found: gives all clients a job with `clean_jobs` on it.
    pub fn new_block(&mut self, now: Instant, out: &mut Vec<PoolOutput>) {
        self.last_block = now;
        self.last_job = now;
        self.shared.new_block(now);
        self.hand_out(true, now, out);
    }

    /// Goes to any other height and gives all clients a job with `clean_jobs` for it.
    pub fn go_to(&mut self, height: u32, now: Instant, out: &mut Vec<PoolOutput>) {
        self.last_block = now;
        self.last_job = now;
        self.shared.go_to(height, now);
        self.hand_out(true, now, out);
    }

    /// Changes habits. A new difficulty or mask is announced immediately and applies from the next job on.
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
        self.for_all(now, out, |session, turn| session.announce_changes(turn));
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
        self.for_all(now, out, |session, turn| session.set_extranonce(turn));
    }

    /// Sends `client.reconnect` with these parameters to all clients.
    pub fn reconnect(&mut self, params: &str, now: Instant, out: &mut Vec<PoolOutput>) {
        let line = wire::push(&self.shared.options, "client.reconnect", params);
        self.say(&line, now, out);
    }

    /// Sends any text to all clients.
    pub fn say(&mut self, text: &str, now: Instant, out: &mut Vec<PoolOutput>) {
        self.for_all(now, out, |session, turn| session.say(turn, text.to_owned()));
    }

    fn for_all(
        &mut self,
        now: Instant,
        out: &mut Vec<PoolOutput>,
        mut act: impl FnMut(&mut Session, &mut Turn<'_>),
    ) {
        let shared = &mut self.shared;
        let mut turn = Turn { shared, now, out };
        for session in self.sessions.values_mut() {
            act(session, &mut turn);
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
        self.for_all(now, out, |session, turn| session.next_job(turn, clean));
    }
}

impl PoolPeer for PoolModel {
    fn open(&mut self, now: Instant) -> u64 {
        self.last_connection += 1;
        let id = self.last_connection;
        self.shared.ledger.connection_opened(id, now);
        self.sessions.insert(id, Session::new(id));
        id
    }

    fn line(
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

    fn closed(&mut self, connection: u64, now: Instant) {
        if let Some(session) = self.sessions.remove(&connection) {
            session.end(&mut self.shared);
            self.shared.judge.forget(connection);
            self.shared.ledger.connection_closed(connection, now);
        }
    }

    fn tick(&mut self, now: Instant, out: &mut Vec<PoolOutput>) {
        if self.next_block().is_some_and(|due| due <= now) {
            self.new_block(now, out);
        }
        if self.next_job().is_some_and(|due| due <= now) {
            self.new_job(now, out);
        }
        let idle = self.shared.options.idle;
        let shared = &mut self.shared;
        let mut turn = Turn { shared, now, out };
        for session in self.sessions.values_mut() {
            let vardiff = turn.shared.options.vardiff;
            let due = session.retarget_at(vardiff).filter(|due| *due <= now);
            if let Some(vardiff) = vardiff.filter(|_| due.is_some()) {
                session.retarget(vardiff, &mut turn);
            }
            if session.idle_until(idle).is_some_and(|until| until <= now) {
                session.close(&mut turn);
            }
        }
    }

    fn next_tick(&self) -> Option<Instant> {
        let idle = self.shared.options.idle;
        let idle = self.sessions.values().filter_map(|it| it.idle_until(idle));
        let vardiff = self.shared.options.vardiff;
        let retargets = self.sessions.values();
        let retargets = retargets.filter_map(|it| it.retarget_at(vardiff));
        let jobs = self.next_block().into_iter().chain(self.next_job());
        jobs.chain(idle).chain(retargets).min()
    }

    fn job_written(&mut self, job: JobRecord) {
        self.shared.ledger.job_written(job);
    }

    fn violation(&self) -> Option<String> {
        let violations = self.shared.ledger.violations();
        violations.first().map(|violation| format!("{violation:?}"))
    }

    /// If the job's version has bits that may be rolled, miners mean different headers (compat Q57).
    fn rebuilt(&self) -> Option<[u8; 32]> {
        let plain = self.shared.options.version & VersionMask::BIP320.0 == 0;
        self.shared.ledger.last_hash().filter(|_| plain)
    }
}
