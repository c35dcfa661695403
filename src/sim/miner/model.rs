//! A miner without a socket: lines and time in, lines out.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::random::Random;
use crate::sim::chain::tag_of;
use crate::sim::miner::answer::{is_usual_answer, share_answer};
use crate::sim::miner::handshake::{self, Call};
use crate::sim::miner::ledger::{
    Ending, JobRecord, LineRecord, MinerLedger, MinerViolation, SubmitRecord,
};
use crate::sim::miner::options::{Counter, DifficultyUse, Ids, MinerOptions, Pace};
use crate::sim::miner::output::MinerOutput;
use crate::sim::miner::work::{self, Share, Work};
use crate::sim::peer::MinerPeer;

/// How many headers are tried for one share at [`Pace::Shares`] before the miner gives up.
const MOST_TRIES: u32 = 50_000;

/// And at [`Pace::Work`], where the first one is a share.
const FEW_TRIES: u32 = 4;

/// Above this difficulty, a simulated miner does not even try.
const HOPELESS: f64 = 1e6;

/// The longest and shortest time between two turns of work.
const LONGEST_TURN: Duration = Duration::from_millis(100);
const SHORTEST_TURN: Duration = Duration::from_millis(2);

/// A miner's state.
#[derive(Debug)]
pub struct MinerModel {
    options: MinerOptions,
    ledger: MinerLedger,
    conversation: Option<Conversation>,
    last_turn: Instant,
    /// Hashes or shares that are due by now but were not tried yet.
    credit: f64,
    /// At which credit the next share is found, if that is left to luck.
    luck: Option<f64>,
    random: Random,
    paused: bool,
}

/// One connection.
#[derive(Debug, Default)]
struct Conversation {
    number: u32,
    half_closed: bool,
    /// The remaining steps of the handshake; each is one write.
    plan: VecDeque<Vec<Call>>,
    next_id: u64,
    /// Requests of the handshake without an answer.
    waiting: Vec<(Value, Call)>,
    subscription: Option<(Vec<u8>, usize)>,
    authorized: bool,
    mask: Option<u32>,
    /// The difficulty for the next job.
    difficulty: f64,
    current: Option<Job>,
    /// The job that waits for the end of the current scan, and the latest time of that end.
    next: Option<(Job, Instant)>,
    /// The previous job, while it is still worked on.
    former: Option<(Job, Instant)>,
    /// Which of two jobs is next.
    late_turn: bool,
    /// Shares without an answer: the id and the number in the ledger.
    pending: VecDeque<(Value, u64)>,
    seen_jobs: HashSet<String>,
    /// Ids of injected requests.
    injected: Vec<Value>,
    /// Whether a job must come next.
    job_expected: bool,
}

#[derive(Debug)]
struct Job {
    work: Work,
    difficulty: f64,
    received: Instant,
    /// When its current scan began.
    scanned: Instant,
    tag: Option<String>,
}

impl MinerModel {
    /// A miner that is not connected yet.
    pub fn new(options: MinerOptions, now: Instant) -> Self {
        let name = options.user.bytes();
        let seed = name.fold(0, |sum: u64, byte| sum.wrapping_mul(31) + u64::from(byte));
        Self {
            options,
            ledger: MinerLedger::default(),
            conversation: None,
            last_turn: now,
            credit: 0.0,
            luck: None,
            random: Random::new(seed),
            paused: false,
        }
    }

    /// The records.
    pub fn ledger(&self) -> &MinerLedger {
        &self.ledger
    }

    /// The habits.
    pub fn options(&self) -> &MinerOptions {
        &self.options
    }

    /// Stops or resumes work; a paused miner goes on listening.
    pub fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Sends a line unchanged. If it is a request, its answer goes to the [replies](MinerLedger::replies).
    pub fn inject(&mut self, line: &str, out: &mut Vec<MinerOutput>) {
        if let Some(conversation) = &mut self.conversation {
            let id = serde_json::from_str::<Value>(line)
                .ok()
                .and_then(|message| message.get("id").cloned());
            conversation.injected.extend(id);
            out.push(MinerOutput::Write(format!("{line}\n")));
        }
    }

    /// Finds a share now, whatever its pace; for code that paces many miners together.
    pub fn find_one(&mut self, now: Instant, out: &mut Vec<MinerOutput>) {
        if let Some(conversation) = &mut self.conversation {
            let mut turn = Turn {
                options: &self.options,
                ledger: &self.ledger,
                now,
                out,
            };
            conversation.mine(&mut turn, MOST_TRIES);
        }
    }

    /// When [`turn`](MinerPeer::turn) has something to do.
    pub fn next_turn(&self) -> Instant {
        let pause = match self.options.pace {
            Pace::Shares(rate) if rate > 0.0 => Duration::try_from_secs_f64(1.0 / rate).ok(),
            Pace::Hashes(_) | Pace::Work(_) => Some(LONGEST_TURN / 5),
            Pace::Shares(_) | Pace::Idle => None,
        };
        let pause = pause.unwrap_or(LONGEST_TURN);
        self.last_turn + pause.clamp(SHORTEST_TURN, LONGEST_TURN)
    }
}

impl MinerPeer for MinerModel {
    fn connected(&mut self, now: Instant, out: &mut Vec<MinerOutput>) {
        let number = self.ledger.connected();
        self.credit = 0.0;
        self.last_turn = now;
        let mut conversation = Conversation::new(number, handshake::plan(&self.options));
        conversation.next_step(&self.options, out);
        self.conversation = Some(conversation);
    }

    fn line(&mut self, line: &[u8], now: Instant, out: &mut Vec<MinerOutput>) {
        let Some(conversation) = &mut self.conversation else {
            return;
        };
        let text = String::from_utf8_lossy(line).into_owned();
        let record = LineRecord {
            connection: conversation.number,
            at: now,
            text,
        };
        self.ledger.line(record.clone());
        let Ok(Value::Object(message)) = serde_json::from_slice(line) else {
            return self.ledger.violation(MinerViolation::NotJson(record.text));
        };
        let mut turn = Turn {
            options: &self.options,
            ledger: &self.ledger,
            now,
            out,
        };
        match message.get("method").and_then(Value::as_str) {
            Some(method) => conversation.notification(&mut turn, method, &message),
            None => conversation.answer(&mut turn, record, &message),
        }
    }

    fn closed(&mut self, now: Instant, ending: Ending) {
        if self.conversation.take().is_some() {
            self.ledger.ended(now, ending);
        }
    }

    fn turn(&mut self, now: Instant, out: &mut Vec<MinerOutput>) {
        let passed = now.saturating_duration_since(self.last_turn);
        self.last_turn = now;
        let Some(conversation) = &mut self.conversation else {
            return;
        };
        let mut turn = Turn {
            options: &self.options,
            ledger: &self.ledger,
            now,
            out,
        };
        conversation.half_close(&mut turn);
        if self.paused || conversation.half_closed || !conversation.authorized {
            return;
        }
        conversation.drop_former(now);
        conversation.end_scan(now, false);
        match self.options.pace {
            Pace::Idle => (),
            Pace::Shares(rate) => {
                // A burst of shares does not make up for lost time.
                self.credit = (self.credit + rate * passed.as_secs_f64()).min(2.0);
                while self.credit >= 1.0 {
                    self.credit -= 1.0;
                    conversation.mine(&mut turn, MOST_TRIES);
                }
            }
            Pace::Work(rate) => {
                let Some(job) = &conversation.current else {
                    return;
                };
                let passed = passed.min(now.saturating_duration_since(job.received));
                let shares = rate / job.difficulty;
                self.credit = (self.credit + shares * passed.as_secs_f64()).min(shares.max(10.0));
                let mut luck = || -self.random.unit().max(1e-9).ln();
                let mut next = self.luck.unwrap_or_else(&mut luck);
                while self.credit >= next {
                    self.credit -= next;
                    next = luck();
                    conversation.mine(&mut turn, FEW_TRIES);
                }
                self.luck = Some(next);
            }
            Pace::Hashes(rate) => {
                self.credit = (self.credit + rate * passed.as_secs_f64()).min(rate);
                const BATCH: u32 = 16;
                while self.credit >= f64::from(BATCH) {
                    self.credit -= f64::from(BATCH);
                    conversation.mine(&mut turn, BATCH);
                }
            }
        }
    }

    fn violation(&self) -> Option<String> {
        let violations = self.ledger.violations();
        violations.first().map(|violation| format!("{violation:?}"))
    }

    fn mined(&self, most: usize) -> Vec<[u8; 32]> {
        self.ledger.last_hashes(most)
    }
}

/// The context of a conversation in one turn.
struct Turn<'a> {
    options: &'a MinerOptions,
    ledger: &'a MinerLedger,
    now: Instant,
    out: &'a mut Vec<MinerOutput>,
}

impl Turn<'_> {
    fn hang_up(&mut self) {
        self.out.push(MinerOutput::HangUp);
    }
}

impl Conversation {
    fn new(number: u32, plan: VecDeque<Vec<Call>>) -> Self {
        Self {
            number,
            plan,
            next_id: 1,
            difficulty: 1.0,
            ..Self::default()
        }
    }

    /// Sends the next step of the handshake.
    fn next_step(&mut self, options: &MinerOptions, out: &mut Vec<MinerOutput>) {
        let Some(step) = self.plan.pop_front() else {
            return;
        };
        let mut lines = String::new();
        for call in step {
            let id = self.take_id(options);
            lines.push_str(&handshake::request(options, call, &id));
            self.waiting.push((id, call));
        }
        out.push(MinerOutput::Write(lines));
    }

    fn take_id(&mut self, options: &MinerOptions) -> Value {
        let id = self.next_id;
        self.next_id += 1;
        match options.ids {
            Ids::Counted | Ids::SubmitsAreFour => id.into(),
            Ids::Text => format!("r{id}").into(),
        }
    }

    fn notification(&mut self, turn: &mut Turn<'_>, method: &str, message: &Map<String, Value>) {
        self.check_order(turn, method);
        let empty = Vec::new();
        let params = message.get("params").and_then(Value::as_array);
        let params = params.unwrap_or(&empty);
        let understood = match method {
            "mining.notify" => self.job(turn, params),
            "mining.set_difficulty" => self.set_difficulty(params),
            "mining.set_version_mask" => self.set_version_mask(turn, params),
            "mining.set_extranonce" => self.set_extranonce(turn, params),
            "client.reconnect" => {
                turn.hang_up();
                Some(())
            }
            "mining.ping" | "client.get_version" => {
                let id = message.get("id").cloned().unwrap_or(Value::Null);
                let reply = format!("{{\"id\":{id},\"result\":\"pong\",\"error\":null}}\n");
                turn.out.push(MinerOutput::Write(reply));
                Some(())
            }
            _ => Some(()),
        };
        if understood.is_none() {
            let text = Value::Object(message.clone()).to_string();
            let violation = MinerViolation::OddNotification(text);
            turn.ledger.violation(violation);
        }
    }

    fn check_order(&mut self, turn: &Turn<'_>, method: &str) {
        let sets = matches!(
            method,
            "mining.set_difficulty" | "mining.set_version_mask" | "mining.set_extranonce"
        );
        let expected = std::mem::replace(&mut self.job_expected, sets);
        let method = method.to_owned();
        let authorizing = self
            .waiting
            .iter()
            .any(|(_, call)| *call == Call::Authorize);
        turn.ledger.violation(if self.subscription.is_none() {
            MinerViolation::BeforeSubscribeAnswer(method)
        } else if authorizing {
            MinerViolation::BeforeAuthorizeAnswer(method)
        } else if expected && !sets && method != "mining.notify" {
            MinerViolation::NotFollowedByJob(method)
        } else {
            return;
        });
    }

    fn job(&mut self, turn: &mut Turn<'_>, params: &[Value]) -> Option<()> {
        let notify = work::read_notify(params)?;
        let (e1, e2_size) = self.subscription.clone()?;
        let tag = tag_of(&notify.coinb2);
        turn.ledger.job(JobRecord {
            connection: self.number,
            at: turn.now,
            id: notify.job_id.clone(),
            tag: tag.clone(),
            clean: notify.clean,
            difficulty: self.difficulty,
            mask: self.mask,
            ntime: notify.ntime,
        });
        if !self.seen_jobs.insert(notify.job_id.clone()) {
            let violation = MinerViolation::RepeatedJobId(notify.job_id.clone());
            turn.ledger.violation(violation);
            if turn.options.ignores_seen_jobs && !notify.clean {
                return Some(());
            }
        }
        let clean = notify.clean;
        let e2_size = turn.options.e2_size.size(e2_size);
        let mut work = Work::new(notify, e1, e2_size, self.mask);
        work.style = turn.options.rolling_style;
        if let (Counter::Continues, Some(job)) = (turn.options.counter, &self.current) {
            work.first_e2 = job.work.next_e2();
        }
        let job = Job {
            work,
            difficulty: self.difficulty,
            received: turn.now,
            scanned: turn.now,
            tag,
        };
        if let (Some(scan), Some(current), false) = (turn.options.scan, &self.current, clean) {
            let until = match &self.next {
                Some((_, until)) => *until,
                None => current.scanned + scan,
            };
            self.next = Some((job, until));
            self.end_scan(turn.now, false);
            return Some(());
        }
        self.next = None;
        let former = self.current.replace(job);
        self.former = match former {
            Some(former) if !clean => Some((former, turn.now + turn.options.late)),
            Some(_) | None => None,
        };
        if turn.options.stops_reading {
            turn.out.push(MinerOutput::StopReading);
        }
        Some(())
    }

    fn set_difficulty(&mut self, params: &[Value]) -> Option<()> {
        let difficulty = params.first()?.as_f64()?;
        self.difficulty = difficulty;
        Some(())
    }

    fn set_version_mask(&mut self, turn: &Turn<'_>, params: &[Value]) -> Option<()> {
        let mask = u32::from_str_radix(params.first()?.as_str()?, 16).ok()?;
        if let (Some(able), false) = (turn.options.rolling, turn.options.ignores_set_version_mask) {
            self.mask = Some(mask & able);
        }
        Some(())
    }

    fn set_extranonce(&mut self, turn: &mut Turn<'_>, params: &[Value]) -> Option<()> {
        turn.ledger.set_extranonce();
        if turn.options.hangs_up_on_set_extranonce {
            turn.hang_up();
            return Some(());
        }
        // A miner that did not subscribe to it continues with the old one (compat Q62).
        if turn.options.extranonce_subscribe {
            self.subscription = Some((
                hex::decode(params.first()?.as_str()?).ok()?,
                usize::try_from(params.get(1)?.as_u64()?).ok()?,
            ));
        }
        Some(())
    }

    fn answer(&mut self, turn: &mut Turn<'_>, line: LineRecord, message: &Map<String, Value>) {
        let text = &line.text;
        if std::mem::take(&mut self.job_expected) {
            let violation = MinerViolation::NotFollowedByJob(text.clone());
            turn.ledger.violation(violation);
        }
        if !is_usual_answer(message) {
            turn.ledger
                .violation(MinerViolation::OddAnswer(text.clone()));
        }
        let id = message.get("id").cloned().unwrap_or(Value::Null);
        let injected = self.injected.iter().position(|known| *known == id);
        let asked = self.waiting.iter().position(|(known, _)| *known == id);
        let submitted = self.pending.iter().position(|(known, _)| *known == id);
        if let Some(index) = injected {
            self.injected.remove(index);
            turn.ledger.reply(line);
        } else if let Some(index) = asked {
            turn.ledger.reply(line);
            let (_, call) = self.waiting.remove(index);
            self.handshake_answer(turn, call, message);
        } else if let Some((_, number)) = submitted.and_then(|index| self.pending.remove(index)) {
            turn.ledger.answer(number, share_answer(message, turn.now));
        } else {
            turn.ledger
                .violation(MinerViolation::UnknownAnswer(line.text));
        }
    }

    fn handshake_answer(&mut self, turn: &mut Turn<'_>, call: Call, message: &Map<String, Value>) {
        let result = message.get("result").unwrap_or(&Value::Null);
        match call {
            Call::Configure => {
                let mask = handshake::granted_mask(result);
                self.mask = turn.options.rolling.and_then(|able| Some(mask? & able));
            }
            Call::Subscribe => match handshake::subscription(result) {
                Some((e1, e2_size))
                    if e2_size < turn.options.refuses.e2_below
                        || (e1.is_empty() && turn.options.refuses.empty_e1) =>
                {
                    return turn.hang_up();
                }
                Some(subscription) => self.subscription = Some(subscription),
                None => return turn.hang_up(),
            },
            Call::Authorize => {
                self.authorized = *result == Value::Bool(true);
                turn.ledger.authorize_answered(self.authorized);
                if !self.authorized {
                    return turn.hang_up();
                }
            }
            Call::SubscribeExtranonce | Call::SuggestDifficulty => (),
        }
        if self.waiting.is_empty() {
            self.next_step(turn.options, turn.out);
        }
    }

    fn drop_former(&mut self, now: Instant) {
        if self.former.as_ref().is_some_and(|(_, until)| *until <= now) {
            self.former = None;
        }
    }

    /// A scan ends when a share is found or its time is up; then the newest job is used.
    fn end_scan(&mut self, now: Instant, found: bool) {
        if self
            .next
            .as_ref()
            .is_some_and(|(_, until)| found || *until <= now)
        {
            self.current = self.next.take().map(|(job, _)| job);
        }
        if let Some(job) = self.current.as_mut().filter(|_| found) {
            job.scanned = now;
        }
    }

    /// Tries a number of headers of the job, alternating with the previous one, and submits the shares it finds.
    fn mine(&mut self, turn: &mut Turn<'_>, tries: u32) {
        self.late_turn = !self.late_turn && self.former.is_some();
        let newest = self.difficulty;
        let late = self.late_turn;
        let job = if late {
            self.former.as_mut().map(|(job, _)| job)
        } else {
            self.current.as_mut()
        };
        let Some(job) = job else {
            return;
        };
        let difficulty = match turn.options.difficulty_use {
            DifficultyUse::NextJob => job.difficulty,
            DifficultyUse::AtOnce => newest,
        };
        if difficulty > HOPELESS {
            return;
        }
        let mut ntime = job.work.notify.ntime;
        if turn.options.rolls_ntime {
            let worked = turn.now.saturating_duration_since(job.received).as_secs();
            ntime = ntime.saturating_add(u32::try_from(worked).unwrap_or(0));
        }
        let found = job.work.search(|found| found >= difficulty, ntime, tries);
        let tag = job.tag.clone();
        if let Some(share) = found {
            self.submit(turn, &share, tag, late);
            self.end_scan(turn.now, true);
        }
    }

    fn submit(&mut self, turn: &mut Turn<'_>, share: &Share, tag: Option<String>, late: bool) {
        let id = match turn.options.ids {
            Ids::SubmitsAreFour => Value::from(4),
            Ids::Counted | Ids::Text => self.take_id(turn.options),
        };
        let params = Value::from(share.params(&turn.options.user));
        let line = format!("{{\"id\":{id},\"method\":\"mining.submit\",\"params\":{params}}}\n");
        let number = turn.ledger.submit(SubmitRecord {
            connection: self.number,
            at: turn.now,
            job_id: share.job_id.clone(),
            tag,
            late,
            hash: share.hash,
            answer: None,
        });
        self.pending.push_back((id, number));
        turn.out.push(MinerOutput::Write(line));
    }

    fn half_close(&mut self, turn: &mut Turn<'_>) {
        let accepted = turn.ledger.accepted();
        let due = turn
            .options
            .half_close_after
            .is_some_and(|after| accepted >= after);
        if due && !self.half_closed {
            self.half_closed = true;
            turn.out.push(MinerOutput::CloseSending);
        }
    }
}
