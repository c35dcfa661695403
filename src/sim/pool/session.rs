//! One client's conversation with a simulated pool.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::sim::chain::judge::{Claim, Judgement, Terms, Verdict};
use crate::sim::pool::ledger::{JobRecord, PoolViolation, ShareRecord};
use crate::sim::pool::options::{
    AuthorizeRule, ConfigureHabit, ConfigureOrder, FirstJob, Refusal, SecondName, Vardiff,
};
use crate::sim::pool::output::PoolOutput;
use crate::sim::pool::shared::Shared;
use crate::sim::pool::wire;

/// The longest line that ckpool accepts, in bytes (compat Q29); longer ones are recorded.
const USUAL_LINE: usize = 1024;

/// How many methods of a connection are recorded, and how many of its request ids.
const METHODS_KEPT: usize = 64;
const IDS_KEPT: usize = 100_000;

/// The context of a session in one turn.
pub(super) struct Turn<'a> {
    pub(super) shared: &'a mut Shared,
    pub(super) now: Instant,
    pub(super) out: &'a mut Vec<PoolOutput>,
}

impl Turn<'_> {
    fn violation(&self, violation: PoolViolation, text: &str) {
        self.shared.ledger.violation(violation, text);
    }
}

/// One client's conversation.
#[derive(Debug, Default)]
pub(super) struct Session {
    id: u64,
    subscription: Option<Subscription>,
    /// The version bits that the client can roll.
    asked_mask: Option<u32>,
    /// The version bits that were agreed on.
    mask: Option<u32>,
    workers: Vec<String>,
    /// The last difficulty sent to the client; 1 if none.
    difficulty: f64,
    /// This connection's own difficulty, from a suggestion or random changes.
    own_difficulty: Option<f64>,
    /// Whether it gets jobs.
    works: bool,
    /// Ids of its requests.
    ids: HashSet<u64>,
    /// When the last request of the handshake is answered, and in which batch it came.
    unanswered: Option<(Instant, u64)>,
    /// When the answers of the handshake have been written.
    settled: Option<Instant>,
    /// When the answer to the request at hand is written.
    answer_due: Option<Instant>,
    /// When it was authorized, or last sent a share.
    busy_at: Option<Instant>,
    /// Since when its shares are counted for its difficulty, and how many there were.
    counted: Option<(Instant, f64)>,
}

#[derive(Debug)]
struct Subscription {
    slot: u32,
    e1: Vec<u8>,
    e2_size: usize,
}

impl Session {
    pub(super) fn new(id: u64) -> Self {
        Self {
            id,
            difficulty: 1.0,
            ..Self::default()
        }
    }

    pub(super) fn line(&mut self, turn: &mut Turn<'_>, line: &[u8], batch: u64) {
        let text = String::from_utf8_lossy(line);
        if line.len() > USUAL_LINE {
            turn.violation(PoolViolation::LongLine, &text);
        }
        if line.len() > turn.shared.options.longest_line {
            return self.close(turn);
        }
        let Ok(Value::Object(message)) = serde_json::from_slice(line) else {
            return turn.violation(PoolViolation::NotJson, &text);
        };
        let Some(method) = message.get("method").and_then(Value::as_str) else {
            return turn.shared.ledger.reply(text.into_owned());
        };
        let id = message.get("id").cloned().unwrap_or(Value::Null);
        self.check_id(turn, &id, &text);
        // Further names may come several at a time.
        let handshake = self.workers.is_empty()
            && matches!(
                method,
                "mining.configure" | "mining.subscribe" | "mining.authorize"
            );
        let pipelined = self
            .unanswered
            .is_some_and(|(until, former)| turn.now < until || former == batch);
        if pipelined {
            turn.violation(PoolViolation::Pipelined, &text);
        }
        let none = Vec::new();
        let params = message.get("params").and_then(Value::as_array);
        let request = Request {
            id,
            params: params.unwrap_or(&none),
            text: &text,
        };
        self.request(turn, method, &request);
        let answered = self.answer_due.take().unwrap_or(turn.now);
        if handshake {
            self.unanswered = Some((answered, batch));
            self.settled = Some(answered);
        }
    }

    /// The connection ended: releases what it held.
    pub(super) fn end(self, shared: &mut Shared) {
        if let Some(subscription) = self.subscription {
            shared.free_slot(subscription.slot);
        }
    }

    /// Sends the current job, preceded by its difficulty if that is new.
    pub(super) fn next_job(&mut self, turn: &mut Turn<'_>, clean: bool) {
        let Some(subscription) = &self.subscription else {
            return;
        };
        if !self.works || turn.shared.options.silent {
            return;
        }
        let (e1, e2_size) = (subscription.e1.clone(), subscription.e2_size);
        if let Some((low, high)) = turn.shared.options.wander {
            if self.own_difficulty.is_none() || turn.shared.rng.below(2) == 0 {
                self.own_difficulty = Some(turn.shared.rng.log_between(low, high));
            }
        }
        self.announce_changes(turn);
        let terms = Terms {
            e1,
            e2_size,
            difficulty: self.difficulty,
            mask: self.mask,
        };
        let whose = (self.id, self.workers.first().map(String::as_str));
        let (line, record) = turn.shared.give_job(whose, terms, clean, turn.now);
        self.push(turn, line, Some(record));
    }

    /// Announces a changed difficulty or mask for the client's next job.
    pub(super) fn announce_changes(&mut self, turn: &mut Turn<'_>) {
        let offered = turn.shared.options.mask.unwrap_or(0);
        let mask = self.asked_mask.map(|asked| asked & offered);
        if self.mask.is_some() && mask != self.mask {
            self.mask = mask;
            self.push_mask(turn);
        }
        let difficulty = self
            .own_difficulty
            .unwrap_or(turn.shared.options.difficulty);
        if self.works && difficulty != self.difficulty {
            self.difficulty = difficulty;
            let line = wire::set_difficulty(&turn.shared.options, difficulty);
            self.push(turn, line, None);
        }
    }

    /// Chooses a new extranonce1 for later jobs.
    pub(super) fn set_extranonce(&mut self, turn: &mut Turn<'_>) {
        let Some(former) = &self.subscription else {
            return;
        };
        turn.shared.free_slot(former.slot);
        let (slot, e1) = turn.shared.take_slot();
        let e2_size = turn.shared.options.e2_size;
        let params = json!([hex::encode(&e1), e2_size]).to_string();
        self.subscription = Some(Subscription { slot, e1, e2_size });
        let line = wire::push(&turn.shared.options, "mining.set_extranonce", &params);
        self.push(turn, line, None);
    }

    /// Sends a text unchanged.
    pub(super) fn say(&mut self, turn: &mut Turn<'_>, text: String) {
        self.push(turn, text, None);
    }

    fn check_id(&mut self, turn: &Turn<'_>, id: &Value, text: &str) {
        let violation = match id {
            Value::Null => PoolViolation::NullId,
            Value::String(_) => PoolViolation::TextId,
            Value::Number(number) => match number.as_u64() {
                Some(number) => {
                    if self.ids.len() == IDS_KEPT {
                        self.ids.clear();
                    }
                    if self.ids.insert(number) {
                        return;
                    }
                    PoolViolation::RepeatedId
                }
                None => PoolViolation::OddId,
            },
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => PoolViolation::OddId,
        };
        turn.violation(violation, text);
    }

    fn request(&mut self, turn: &mut Turn<'_>, method: &str, request: &Request<'_>) {
        if method != "mining.submit" {
            turn.shared.ledger.change_connection(self.id, |connection| {
                if connection.methods.len() < METHODS_KEPT {
                    connection.methods.push(method.to_owned());
                }
            });
        }
        if turn.shared.options.hangs_up_on.contains(&method) {
            return self.close(turn);
        }
        if matches!(method, "mining.authorize" | "mining.submit") {
            self.busy_at = Some(turn.now);
        }
        match method {
            "mining.configure" => self.configure(turn, request),
            "mining.subscribe" => self.subscribe(turn, request),
            "mining.authorize" => self.authorize(turn, request),
            "mining.suggest_difficulty" => self.suggest_difficulty(turn, request),
            "mining.extranonce.subscribe" => {
                self.answer(turn, request, &Value::Bool(true));
            }
            "mining.submit" => self.submit(turn, request),
            _ => {
                let violation = PoolViolation::UnknownMethod;
                turn.violation(violation, request.text);
                self.refuse(turn, request, &Value::Null, (20, "Unknown method"));
            }
        }
    }

    fn configure(&mut self, turn: &mut Turn<'_>, request: &Request<'_>) {
        if turn.shared.options.silent {
            // Rolling that was never negotiated was not granted.
            return;
        }
        let subscribed = self.subscription.is_some();
        let authorized = !self.workers.is_empty();
        match turn.shared.options.configure_order {
            ConfigureOrder::Any => (),
            ConfigureOrder::BeforeSubscribe if subscribed => {
                let text = "ConfigurationOutOfOrder";
                turn.violation(PoolViolation::WrongOrder, request.text);
                return self.refuse(turn, request, &Value::Null, (21, text));
            }
            ConfigureOrder::BeforeSubscribe => (),
            ConfigureOrder::AfterSubscribe if !subscribed => return self.close(turn),
            ConfigureOrder::AfterSubscribe if authorized => return,
            ConfigureOrder::AfterSubscribe => (),
        }
        match turn.shared.options.configure {
            ConfigureHabit::Answer => (),
            ConfigureHabit::Error => {
                return self.refuse(turn, request, &Value::Null, (-3, "Method not found"));
            }
            ConfigureHabit::Ignore => return,
            ConfigureHabit::HangUp => return self.close(turn),
        }
        let asked = request
            .params
            .get(1)
            .and_then(|options| options.get("version-rolling.mask"))
            .and_then(Value::as_str)
            .and_then(|mask| u32::from_str_radix(mask, 16).ok())
            .unwrap_or(u32::MAX);
        if request.params.len() < 2 {
            turn.violation(PoolViolation::BadParameters, request.text);
        }
        let granted = turn.shared.options.mask.map(|offered| offered & asked);
        let result = if let Some(granted) = granted {
            self.asked_mask = Some(asked);
            self.mask = Some(granted);
            turn.shared.judge.grant(self.id, granted);
            let mask = format!("{granted:08x}");
            json!({"version-rolling": true, "version-rolling.mask": mask})
        } else {
            json!({"version-rolling": false})
        };
        self.answer(turn, request, &result);
        if turn.shared.options.pushes_mask && granted.is_some_and(|mask| mask != 0) {
            self.push_mask(turn);
        }
    }

    fn subscribe(&mut self, turn: &mut Turn<'_>, request: &Request<'_>) {
        if turn.shared.options.initialising > 0 {
            turn.shared.options.initialising -= 1;
            return self.answer(turn, request, &json!("Initialising"));
        }
        let user_agent = request.text(0).unwrap_or_default().to_owned();
        turn.shared
            .ledger
            .change_connection(self.id, |connection| connection.user_agent = user_agent);
        if let Some(former) = self.subscription.take() {
            turn.shared.free_slot(former.slot);
        }
        let (slot, e1) = turn.shared.take_slot();
        let e2_size = turn.shared.options.e2_size;
        let result = wire::subscription(turn.shared.options.subscription, &e1, e2_size);
        self.subscription = Some(Subscription { slot, e1, e2_size });
        let first_job = turn.shared.options.first_job;
        if first_job == FirstJob::BeforeSubscribeAnswer {
            self.start_work(turn);
        }
        self.answer(turn, request, &result);
        if first_job == FirstJob::AfterSubscribe {
            self.start_work(turn);
        }
    }

    fn authorize(&mut self, turn: &mut Turn<'_>, request: &Request<'_>) {
        let (Some(user), Some(password)) = (request.text(0), request.text(1)) else {
            turn.violation(PoolViolation::BadParameters, request.text);
            return self.refuse(turn, request, &Value::Bool(false), (20, "Malformed"));
        };
        if turn.shared.options.one_worker && !self.workers.is_empty() {
            return;
        }
        let is_second = !self.workers.is_empty() && !self.workers.iter().any(|it| it == user);
        let second_name = turn.shared.options.second_name;
        match second_name {
            SecondName::Taken | SecondName::Refused => (),
            SecondName::Replaces => self.workers.clear(),
            SecondName::HangUp if is_second => return self.close(turn),
            SecondName::HangUp => (),
        }
        let accepted = match &turn.shared.options.authorize {
            _ if is_second && second_name == SecondName::Refused => false,
            AuthorizeRule::Everyone => true,
            AuthorizeRule::Prefix(prefix) => user.starts_with(prefix.as_str()),
            AuthorizeRule::NoOne => false,
            AuthorizeRule::NoAnswer => return,
        };
        if !accepted {
            let text = "Unauthorized worker";
            return self.refuse(turn, request, &Value::Bool(false), (24, text));
        }
        turn.shared.ledger.change_connection(self.id, |connection| {
            if connection.worker.is_none() {
                connection.worker = Some(user.to_owned());
                connection.password = password.to_owned();
            }
        });
        self.workers.push(user.to_owned());
        self.answer(turn, request, &Value::Bool(true));
        if turn.shared.options.first_job != FirstJob::Never {
            self.start_work(turn);
        }
    }

    fn suggest_difficulty(&mut self, turn: &mut Turn<'_>, request: &Request<'_>) {
        if self.workers.is_empty() {
            turn.violation(PoolViolation::EarlySuggestion, request.text);
        }
        let difficulty = request.params.first().and_then(Value::as_f64);
        self.answer(turn, request, &Value::Bool(true));
        if turn.shared.options.honours_suggestion {
            self.own_difficulty = difficulty.filter(|difficulty| *difficulty > 0.0);
            self.announce_changes(turn);
        }
    }

    fn submit(&mut self, turn: &mut Turn<'_>, request: &Request<'_>) {
        let judgement = self.judge(turn, request);
        turn.shared.ledger.share(ShareRecord {
            connection: self.id,
            worker: request.text(0).unwrap_or_default().to_owned(),
            job_id: request.text(1).unwrap_or_default().to_owned(),
            at: turn.now,
            judgement,
        });
        let part = turn.shared.options.answered_part;
        let passes_over = part < 1.0 && turn.shared.rng.unit() >= part;
        if !turn.shared.options.answers_shares || passes_over {
            return;
        }
        if judgement.verdict == Verdict::Accepted {
            if let Some((_, shares)) = &mut self.counted {
                *shares += 1.0;
            }
            return self.answer(turn, request, &Value::Bool(true));
        }
        let refusal = turn.shared.options.refusal;
        if matches!(refusal, Refusal::Answer | Refusal::AnswerAndHangUp) {
            let line = wire::share_refusal(&turn.shared.options, &request.id, judgement.verdict);
            self.respond(turn, line);
        }
        if matches!(refusal, Refusal::HangUp | Refusal::AnswerAndHangUp) {
            self.close(turn);
        }
    }

    fn judge(&self, turn: &mut Turn<'_>, request: &Request<'_>) -> Judgement {
        let violation = |violation| turn.violation(violation, request.text);
        if self.workers.is_empty() {
            violation(PoolViolation::SubmitBeforeAuthorize);
        }
        if self.subscription.is_none() {
            return Judgement::without_hash(Verdict::NotSubscribed);
        }
        let Some(claim) = request.claim() else {
            violation(PoolViolation::BadParameters);
            return Judgement::without_hash(Verdict::Malformed);
        };
        match (self.mask, claim.version_bits) {
            (None, Some(_)) => violation(PoolViolation::UnwantedVersionBits),
            (Some(_), None) => violation(PoolViolation::MissingVersionBits),
            (None, None) | (Some(_), Some(_)) => (),
        }
        let worker = request.text(0).unwrap_or_default();
        if !self.workers.iter().any(|known| known == worker) {
            return Judgement::without_hash(if turn.shared.options.one_worker {
                Verdict::WorkerMismatch
            } else {
                Verdict::Unauthorized
            });
        }
        let rules = turn.shared.options.rules;
        let mut judgement = turn.shared.judge.judge(self.id, &claim, rules, turn.now);
        if judgement.verdict == Verdict::ExtranonceSize {
            turn.violation(PoolViolation::ExtranonceSize, request.text);
        }
        let options = &turn.shared.options;
        let outgrown = options.judges_by_newest && judgement.difficulty < self.difficulty;
        if judgement.verdict == Verdict::Accepted && outgrown {
            judgement.verdict = Verdict::LowDifficulty;
        }
        let concerned = |end: &String| worker.ends_with(end.as_str());
        let begins = |start: &Vec<u8>| claim.e2.starts_with(start);
        let refused = options.refuse_only.as_ref().is_none_or(concerned)
            && options.refuse_e2.as_ref().is_none_or(begins);
        if let Some(verdict) = options.refuse_all.filter(|_| refused) {
            judgement.verdict = verdict;
        }
        judgement
    }

    fn start_work(&mut self, turn: &mut Turn<'_>) {
        if self.subscription.is_some() && !self.works {
            self.works = true;
            self.counted = Some((turn.now, 0.0));
            self.next_job(turn, true);
        }
    }

    fn push_mask(&mut self, turn: &mut Turn<'_>) {
        let params = format!("[\"{:08x}\"]", self.mask.unwrap_or(0));
        let line = wire::push(&turn.shared.options, "mining.set_version_mask", &params);
        self.push(turn, line, None);
    }

    fn answer(&mut self, turn: &mut Turn<'_>, request: &Request<'_>, result: &Value) {
        let line = wire::answer(&turn.shared.options, &request.id, result);
        self.respond(turn, line);
    }

    fn refuse(
        &mut self,
        turn: &mut Turn<'_>,
        request: &Request<'_>,
        result: &Value,
        error: (i64, &str),
    ) {
        let line = wire::refusal(&turn.shared.options, &request.id, result, error);
        self.respond(turn, line);
    }

    /// Sends an answer when its time has come.
    fn respond(&mut self, turn: &mut Turn<'_>, line: String) {
        let due = turn.now + turn.shared.options.answer_latency;
        self.answer_due = Some(due);
        self.write(turn, line, None, due);
    }

    /// Sends a notification without overtaking the answers of the handshake.
    fn push(&mut self, turn: &mut Turn<'_>, line: String, job: Option<JobRecord>) {
        let settled = self.answer_due.into_iter().chain(self.settled).max();
        let due = settled.map_or(turn.now, |settled| settled.max(turn.now));
        self.write(turn, line, job, due);
    }

    fn write(&self, turn: &mut Turn<'_>, line: String, job: Option<JobRecord>, due: Instant) {
        if !turn.shared.options.silent {
            turn.out.push(PoolOutput::Write {
                connection: self.id,
                line,
                due,
                job,
            });
        }
    }

    /// When its difficulty may next follow its shares.
    pub(super) fn retarget_at(&self, vardiff: Option<Vardiff>) -> Option<Instant> {
        self.counted?.0.checked_add(vardiff?.every)
    }

    /// Adjusts the difficulty to the shares since the last time.
    pub(super) fn retarget(&mut self, vardiff: Vardiff, turn: &mut Turn<'_>) {
        let Some((_, shares)) = self.counted.replace((turn.now, 0.0)) else {
            return;
        };
        let factor = shares / vardiff.shares;
        if (0.5..=2.0).contains(&factor) {
            return;
        }
        self.own_difficulty = Some(self.difficulty * factor.clamp(0.25, 4.0));
        turn.shared.ledger.retargeted();
        self.announce_changes(turn);
    }

    /// When it is dropped because it was idle.
    pub(super) fn idle_until(&self, idle: Option<Duration>) -> Option<Instant> {
        self.busy_at?.checked_add(idle?)
    }

    pub(super) fn close(&self, turn: &mut Turn<'_>) {
        turn.out.push(PoolOutput::Close {
            connection: self.id,
        });
    }
}

/// A request of a client.
struct Request<'a> {
    id: Value,
    params: &'a [Value],
    /// The whole line.
    text: &'a str,
}

impl Request<'_> {
    fn text(&self, index: usize) -> Option<&str> {
        self.params.get(index).and_then(Value::as_str)
    }

    /// The parameters of `mining.submit`.
    fn claim(&self) -> Option<Claim> {
        let word = |index| match self.text(index) {
            Some(text) if text.len() == 8 => u32::from_str_radix(text, 16).ok(),
            Some(_) | None => None,
        };
        Some(Claim {
            job_id: self.text(1)?.to_owned(),
            e2: hex::decode(self.text(2)?).ok()?,
            ntime: word(3)?,
            nonce: word(4)?,
            version_bits: match self.params.get(5) {
                None => None,
                Some(_) => Some(word(5)?),
            },
        })
    }
}
