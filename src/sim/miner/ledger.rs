//! What a simulated miner has seen, for tests.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::sim::{keep, ledger};

/// How many records of a kind are kept; counts continue.
const RECORDS_KEPT: usize = 20_000;

ledger! {
    /// A miner's records. Clones share them.
    MinerLedger
    lists {
        /// Every line, oldest first.
        lines: LineRecord,
        /// Every job, oldest first.
        jobs: JobRecord,
        /// Every share, oldest first.
        submits: SubmitRecord,
        /// The server's violations.
        violations: MinerViolation,
        /// The ends of connections, oldest first.
        endings: (Instant, Ending),
        /// The answers to everything but submits, injected lines included.
        replies: LineRecord,
    }
    values {
        /// How many jobs came.
        jobs_received: u64,
        /// How many shares were submitted.
        submitted: u64,
        /// How many shares were accepted.
        accepted: u64,
        /// How many shares were rejected.
        rejected: u64,
        /// How many `mining.set_extranonce` came.
        set_extranonces: u64,
        /// How many connections were made.
        connections: u32,
        /// The answer to the latest authorize.
        authorized: Option<bool>,
    }
    more {
        /// How many submits are no longer in `submits`.
        submits_dropped: u64,
    }
}

/// A line that the server sent.
#[derive(Clone, Debug)]
pub struct LineRecord {
    /// The connection it came on, counted up from 1.
    pub connection: u32,
    /// When it came.
    pub at: Instant,
    /// The line without its end.
    pub text: String,
}

/// A job that the server sent.
#[derive(Clone, Debug)]
pub struct JobRecord {
    /// The connection it came on.
    pub connection: u32,
    /// When it came.
    pub at: Instant,
    /// The server's name for it.
    pub id: String,
    /// The tag of the simulated pool that made it.
    pub tag: Option<String>,
    /// Whether earlier jobs are void.
    pub clean: bool,
    /// The difficulty that was in force when it came.
    pub difficulty: f64,
    /// The version bits that were in force, if that was negotiated.
    pub mask: Option<u32>,
    /// The header's time.
    pub ntime: u32,
}

/// A share that was submitted.
#[derive(Clone, Debug)]
pub struct SubmitRecord {
    /// The connection it went over.
    pub connection: u32,
    /// When it was handed to the socket.
    pub at: Instant,
    /// The server's name for the job.
    pub job_id: String,
    /// The tag of the simulated pool that made the job.
    pub tag: Option<String>,
    /// Whether the job was no longer the latest one.
    pub late: bool,
    /// The header's hash, least significant byte first.
    pub hash: [u8; 32],
    /// The answer, if it came. If all ids are the same, answers are matched in order.
    pub answer: Option<AnswerRecord>,
}

/// The answer to a share.
#[derive(Clone, Debug)]
pub struct AnswerRecord {
    /// When it came.
    pub at: Instant,
    /// Whether the share was accepted.
    pub accepted: bool,
    /// The error's code.
    pub code: Option<i64>,
    /// The error's text.
    pub text: String,
}

/// Something that a server must not do to a miner (compat Q59).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MinerViolation {
    /// A method came before the subscription was answered.
    BeforeSubscribeAnswer(String),
    /// A method came between authorize and its answer.
    BeforeAuthorizeAnswer(String),
    /// Something other than a job came after a difficulty, a mask or an extranonce.
    NotFollowedByJob(String),
    /// An answer to a request that was not made or was already answered.
    UnknownAnswer(String),
    /// A job id that was used on the connection before.
    RepeatedJobId(String),
    /// A line that is not a JSON object.
    NotJson(String),
    /// An answer without `id`, `result` or `error`, or with an error that is not `[code, text, null]`.
    OddAnswer(String),
    /// A job or a setting that cannot be read.
    OddNotification(String),
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The server closed it.
    ByServer,
    /// The miner closed it.
    ByMiner,
}

impl MinerLedger {
    /// The latest job.
    pub fn last_job(&self) -> Option<JobRecord> {
        self.records.lock().jobs.back().cloned()
    }

    /// For each job, the time until the next one, `now`, or the end of its connection.
    pub fn job_times(&self, now: Instant) -> Vec<(JobRecord, Duration)> {
        let records = self.records.lock();
        let jobs = records.jobs.iter();
        let ends = jobs.clone().skip(1).map(|next| next.at).chain([now]);
        let time = |(job, end): (&JobRecord, Instant)| {
            let mut endings = records.endings.iter().map(|(at, _)| *at);
            let cut = endings.find(|at| *at > job.at && *at < end).unwrap_or(end);
            (job.clone(), cut.saturating_duration_since(job.at))
        };
        jobs.zip(ends).map(time).collect()
    }

    /// The hashes of the last shares, up to a limit.
    pub fn last_hashes(&self, most: usize) -> Vec<[u8; 32]> {
        let records = self.records.lock();
        let last = records.submits.iter().rev().take(most);
        last.map(|submit| submit.hash).collect()
    }

    /// The shares that were rejected.
    pub fn rejections(&self) -> Vec<SubmitRecord> {
        let refused = |submit: &&SubmitRecord| {
            let answer = submit.answer.as_ref();
            answer.is_some_and(|answer| !answer.accepted)
        };
        let records = self.records.lock();
        records.submits.iter().filter(refused).cloned().collect()
    }

    /// How many shares on any connection have no answer, although they were submitted at least `patience` before `now`.
    pub fn unanswered(&self, now: Instant, patience: Duration) -> usize {
        let overdue = |submit: &&SubmitRecord| {
            let age = now.saturating_duration_since(submit.at);
            submit.answer.is_none() && age >= patience
        };
        self.records.lock().submits.iter().filter(overdue).count()
    }

    /// Drops old records so that a run of several days fits into memory; counts continue.
    pub fn forget(&self) {
        let mut records = self.records.lock();
        records.lines.clear();
        records.replies.clear();
        records.endings.clear();
        let over = records.jobs.len().saturating_sub(1);
        records.jobs.drain(..over);
        let present = records.connections;
        let is_over =
            |submit: &SubmitRecord| submit.answer.is_some() || submit.connection != present;
        while records.submits.front().is_some_and(is_over) {
            records.submits.pop_front();
            records.submits_dropped += 1;
        }
    }

    /// How many shares on the current connection have no answer.
    pub fn open_submits(&self) -> usize {
        let records = self.records.lock();
        let present = records.connections;
        let is_open =
            |submit: &&SubmitRecord| submit.answer.is_none() && submit.connection == present;
        records.submits.iter().filter(is_open).count()
    }

    pub(super) fn line(&self, line: LineRecord) {
        keep(RECORDS_KEPT, &mut self.records.lock().lines, line);
    }

    pub(super) fn reply(&self, line: LineRecord) {
        keep(RECORDS_KEPT, &mut self.records.lock().replies, line);
    }

    pub(super) fn job(&self, job: JobRecord) {
        let mut records = self.records.lock();
        records.jobs_received += 1;
        keep(RECORDS_KEPT, &mut records.jobs, job);
    }

    /// Records a share; its number, by which it is [answered](Self::answer).
    pub(super) fn submit(&self, submit: SubmitRecord) -> u64 {
        let mut records = self.records.lock();
        let number = records.submitted;
        records.submitted += 1;
        if keep(RECORDS_KEPT, &mut records.submits, submit) {
            records.submits_dropped += 1;
        }
        number
    }

    pub(super) fn answer(&self, number: u64, answer: AnswerRecord) {
        let mut records = self.records.lock();
        if answer.accepted {
            records.accepted += 1;
        } else {
            records.rejected += 1;
        }
        let index = number.checked_sub(records.submits_dropped);
        let index = index.and_then(|index| usize::try_from(index).ok());
        if let Some(submit) = index.and_then(|index| records.submits.get_mut(index)) {
            submit.answer = Some(answer);
        }
    }

    pub(super) fn violation(&self, violation: MinerViolation) {
        keep(RECORDS_KEPT, &mut self.records.lock().violations, violation);
    }

    pub(super) fn set_extranonce(&self) {
        self.records.lock().set_extranonces += 1;
    }

    /// Records a connection; its number.
    pub(super) fn connected(&self) -> u32 {
        let mut records = self.records.lock();
        records.connections += 1;
        records.authorized = None;
        records.connections
    }

    pub(super) fn ended(&self, now: Instant, ending: Ending) {
        keep(
            RECORDS_KEPT,
            &mut self.records.lock().endings,
            (now, ending),
        );
    }

    pub(super) fn authorize_answered(&self, accepted: bool) {
        self.records.lock().authorized = Some(accepted);
    }
}
