//! What a simulated pool has seen, for tests.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::sim::chain::judge::{Judgement, Verdict};
use crate::sim::{keep, ledger};

/// How many records of a kind are kept; counts continue.
const RECORDS_KEPT: usize = 50_000;

ledger! {
    /// A pool's records. Clones share them.
    PoolLedger
    lists {
        /// Every connection, oldest first.
        connections: ConnectionRecord,
        /// Every share, oldest first.
        shares: ShareRecord,
        /// Every job that was written, oldest first.
        jobs: JobRecord,
        /// The clients' violations, with the line or what was wrong with it.
        violations: (PoolViolation, String),
        /// The clients' messages that were not requests: their answers to the pool.
        replies: String,
    }
    values {
        /// How many connections there were.
        connections_opened: u64,
        /// How many shares were blocks, including rejected ones.
        blocks: u64,
        /// The sum of the difficulties of accepted shares.
        work: f64,
        /// How many jobs were written.
        jobs_written: u64,
        /// How often a connection's difficulty followed its shares.
        retargets: u64,
    }
    more {
        connections_closed: u64,
        verdicts: BTreeMap<Verdict, u64>,
    }
}

/// A client's connection.
#[derive(Clone, Debug)]
pub struct ConnectionRecord {
    /// Counted up from 1 in each pool.
    pub id: u64,
    /// When it was accepted.
    pub opened: Instant,
    /// When it ended, if it did.
    pub closed: Option<Instant>,
    /// The software that the client named.
    pub user_agent: String,
    /// The worker that was authorized first.
    pub worker: Option<String>,
    /// The password that it gave.
    pub password: String,
    /// The methods of its requests, in their order, submits left out.
    pub methods: Vec<String>,
}

/// A share and its result.
#[derive(Clone, Debug)]
pub struct ShareRecord {
    /// The connection it came on.
    pub connection: u64,
    /// The worker as submitted.
    pub worker: String,
    /// The job as submitted.
    pub job_id: String,
    /// When it came.
    pub at: Instant,
    /// The verdict on it.
    pub judgement: Judgement,
}

/// A job that was written to a connection.
#[derive(Clone, Debug)]
pub struct JobRecord {
    /// The connection it went to.
    pub connection: u64,
    /// The pool's name for it.
    pub job_id: String,
    /// The difficulty that holds for it.
    pub difficulty: f64,
    /// Whether earlier jobs are stale.
    pub clean: bool,
    /// When it was written.
    pub written: Instant,
}

/// Something that a client must not do to a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PoolViolation {
    /// A request before the answer to an earlier one of the handshake (compat Q3).
    Pipelined,
    /// The id is null or missing (compat Q53).
    NullId,
    /// The id is text.
    TextId,
    /// The id is not null, text or a whole number from 0 on.
    OddId,
    /// The id was used before on the connection.
    RepeatedId,
    /// A submit before the worker was authorized.
    SubmitBeforeAuthorize,
    /// `mining.suggest_difficulty` before the worker was authorized (compat Q5).
    EarlySuggestion,
    /// A sixth parameter although version rolling was not negotiated (compat Q13).
    UnwantedVersionBits,
    /// No sixth parameter although version rolling was negotiated (compat Q53).
    MissingVersionBits,
    /// The extranonce2 has another size than announced.
    ExtranonceSize,
    /// A line of more than 1024 bytes (compat Q29).
    LongLine,
    /// A line that is not a JSON object.
    NotJson,
    /// Parameters are missing or of the wrong form.
    BadParameters,
    /// A method that pools do not know.
    UnknownMethod,
    /// A method at a time when the pool does not accept it.
    WrongOrder,
}

impl PoolLedger {
    /// How many connections are open.
    pub fn connections_open(&self) -> u64 {
        let records = self.records.lock();
        records
            .connections_opened
            .saturating_sub(records.connections_closed)
    }

    /// The hash of the last share.
    pub fn last_hash(&self) -> Option<[u8; 32]> {
        self.records.lock().shares.back()?.judgement.hash
    }

    /// How many shares got this verdict.
    pub fn count(&self, verdict: Verdict) -> u64 {
        let records = self.records.lock();
        records.verdicts.get(&verdict).copied().unwrap_or(0)
    }

    /// How many shares were accepted.
    pub fn accepted(&self) -> u64 {
        self.count(Verdict::Accepted)
    }

    /// How many shares were rejected.
    pub fn refused(&self) -> u64 {
        let records = self.records.lock();
        let refused =
            |(verdict, count): (&Verdict, &u64)| (*verdict != Verdict::Accepted).then_some(*count);
        records.verdicts.iter().filter_map(refused).sum()
    }

    /// How many shares there were for each verdict, such as `Accepted 12, Stale 1`.
    pub fn summary(&self) -> String {
        let records = self.records.lock();
        let each = |(verdict, count): (&Verdict, &u64)| format!("{verdict:?} {count}");
        let parts: Vec<String> = records.verdicts.iter().map(each).collect();
        parts.join(", ")
    }

    /// Records that a job has been written to its connection.
    pub fn job_written(&self, job: JobRecord) {
        let mut records = self.records.lock();
        records.jobs_written += 1;
        keep(RECORDS_KEPT, &mut records.jobs, job);
    }

    pub(super) fn retargeted(&self) {
        self.records.lock().retargets += 1;
    }

    pub(super) fn connection_opened(&self, id: u64, now: Instant) {
        let mut records = self.records.lock();
        records.connections_opened += 1;
        let record = ConnectionRecord {
            id,
            opened: now,
            closed: None,
            user_agent: String::new(),
            worker: None,
            password: String::new(),
            methods: Vec::new(),
        };
        keep(RECORDS_KEPT, &mut records.connections, record);
    }

    pub(super) fn connection_closed(&self, id: u64, now: Instant) {
        self.records.lock().connections_closed += 1;
        self.change_connection(id, |connection| connection.closed = Some(now));
    }

    pub(super) fn change_connection(&self, id: u64, change: impl FnOnce(&mut ConnectionRecord)) {
        let mut records = self.records.lock();
        // Recent ones are needed most often.
        if let Some(connection) = records.connections.iter_mut().rev().find(|c| c.id == id) {
            change(connection);
        }
    }

    pub(super) fn reply(&self, line: String) {
        keep(RECORDS_KEPT, &mut self.records.lock().replies, line);
    }

    pub(super) fn share(&self, share: ShareRecord) {
        let mut records = self.records.lock();
        *records.verdicts.entry(share.judgement.verdict).or_default() += 1;
        records.blocks += u64::from(share.judgement.is_block);
        if share.judgement.verdict == Verdict::Accepted {
            records.work += share.judgement.job_difficulty.unwrap_or(0.0);
        }
        keep(RECORDS_KEPT, &mut records.shares, share);
    }

    pub(super) fn violation(&self, violation: PoolViolation, what: impl fmt::Display) {
        let what: String = what.to_string().chars().take(300).collect();
        keep(
            RECORDS_KEPT,
            &mut self.records.lock().violations,
            (violation, what),
        );
    }
}

impl ConnectionRecord {
    /// How long it lasted, or has lasted until `now`.
    pub fn age(&self, now: Instant) -> Duration {
        self.closed
            .unwrap_or(now)
            .saturating_duration_since(self.opened)
    }
}
