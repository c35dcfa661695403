//! An established connection to a pool: its state, what DPMP requests and sends, and what is overdue. It serves the
//! members of its [line](crate::core::pool::line); each waiting share knows its miner.

pub mod names;
pub mod received;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::PoolConfig;
use crate::core::action::Action;
use crate::core::outage::{Loss, Step};
use crate::core::pool::blocks::HeldBlocks;
use crate::core::pool::extras::{Extra, SUSPICIOUS};
use crate::core::pool::facts::{ConfigureHabit, PoolFacts};
use crate::core::pool::verdict::Silence;
use crate::core::pool::version_form::Kind;
use crate::core::work::block::Candidate;
use crate::core::work::jobs::HeldJobs;
use crate::stratum::job::{Notify, PoolJob};
use crate::stratum::message::{Extranonces, Outcome, PoolCall, PoolSubmit, RequestId, ToPool};
use crate::stratum::reject::{Reject, RejectClass};
use crate::units::{
    Allowance, Difficulty, Extranonce1, JobId, LineId, MinerId, PoolConn, Rate, VersionForm,
    VersionMask, later,
};

use names::Names;

/// How long a pool may take to answer subscribe or authorize.
const STEP_PATIENCE: Duration = Duration::from_secs(10);

/// How long a pool may take to answer `mining.configure`. Some never do (compat Q55).
const CONFIGURE_PATIENCE: Duration = Duration::from_secs(5);

/// A miner's repeated suggestion is passed on if the pool was sent nothing for this long. Some miners keep their
/// connection alive with it (compat Q78).
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// How long an answer to a share is held back if it may be the answer to something else.
const TWO_ANSWERS: Duration = Duration::from_secs(2);

/// A connection that lasted this long was good, so the next pause is short again.
const PROVEN: Duration = Duration::from_secs(30);

/// After this many failed attempts in a row, the pool may be a different one.
const ENOUGH_FAILURES: u32 = 5;

/// A pool that owes no answer may be silent for this many times `stall_seconds`. Some only send a job every two
/// minutes.
const IDLE_STALLS: u32 = 3;

/// How many shares may wait for an answer on one connection. Blocks are allowed beyond that.
const MOST_PENDING: usize = 4096;

/// How many shares that were given up are remembered, because their answers may still arrive.
const MOST_GIVEN_UP: usize = 256;

/// This many unusable jobs in a row are tolerated.
const MOST_UNUSABLE_JOBS: u8 = 2;

/// How many unusable lines a pool may send. Some pools send a proprietary message with each job, but not more than
/// that.
const USELESS: Rate = Rate {
    burst: 200.0,
    per_second: 2.0,
};

/// The names with which a line's members connect to the pool.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// The pool's host and port.
    pub address: Arc<str>,
    /// The name of the miner's software, or DPMP's.
    pub user_agent: String,
    /// The user name: payout address and worker's name.
    pub user: Arc<str>,
    /// Whether that name gets authorized. A look at a pool may end before.
    pub has_worker: bool,
    /// The configured password, or the miner's.
    pub password: String,
    /// Whether to negotiate version rolling.
    pub version_rolling: bool,
    /// The difficulty that the miner suggested.
    pub suggested: Option<Difficulty>,
}

/// What a conversation needs from its environment, and where its messages go.
#[derive(Debug)]
pub struct Talk<'a> {
    /// What is known about the pool, to be updated.
    pub facts: &'a mut PoolFacts,
    /// The pool's latest job on another connection.
    pub latest: &'a mut Option<Arc<Notify>>,
    /// The time.
    pub now: Instant,
    /// For messages to the pool.
    pub out: &'a mut Vec<Action>,
}

/// An established connection.
#[derive(Debug)]
pub struct Connection {
    /// Its name.
    pub conn: PoolConn,
    /// The line that it serves.
    pub line: LineId,
    stage: Stage,
    /// When the pool last sent anything.
    pub(super) heard: Instant,
    /// When the first share since then was sent.
    asked: Option<Instant>,
    opened: Instant,
    last_request: u64,
    /// Whether `mining.configure` was sent, and whether version rolling was granted.
    rolling: RollingState,
    mask: VersionMask,
    extranonces: Option<Extranonces>,
    difficulty: Option<Difficulty>,
    /// A job that arrived before the answer to subscribe (compat Q6).
    early: Option<Arc<Notify>>,
    /// The jobs for which the pool accepts shares.
    pub jobs: HeldJobs,
    pending: BTreeMap<u64, WaitingShare>,
    /// Whose share the last answer rejected, if it did.
    rejected: Option<MinerId>,
    /// Blocks that were sent in a second form: its request, and the request of the first form.
    seconds: BTreeMap<u64, u64>,
    /// The last shares that DPMP answered instead of the pool, by request: their miner, and when they were sent.
    given_up: BTreeMap<u64, (Option<MinerId>, Instant)>,
    /// How the pool answers on this connection.
    silence: Silence,
    sent_shares: bool,
    pub(super) identity: Identity,
    /// What else the pool calls the members.
    names: Names,
    /// The request of the last suggested difficulty.
    suggestion: Option<u64>,
    /// When anything was last sent to the pool.
    said: Instant,
    /// Optional messages that were sent or left out within the last seconds.
    extras: Vec<Offer>,
    /// Numbers of requests from the pool that equal the number of one of our requests. An answer with this number may
    /// be meant for either (compat Q79).
    ambiguous: BTreeSet<u64>,
    /// The answer to such a share, held until it is clear whether a second one arrives.
    held: Option<HeldAnswer>,
    /// Whether its pool counts it as having work.
    works: bool,
    /// If it was replaced: until when it accepts shares.
    retired: Option<Instant>,
    /// Whether another pool has taken its slot.
    former: bool,
    useless: Allowance,
    /// The number of unusable jobs in a row.
    unusable_jobs: u8,
    /// Whether a new difficulty also applies to the jobs before it.
    judges_by_newest: bool,
}

/// An optional message to a pool.
#[derive(Clone, Copy, Debug)]
struct Offer {
    extra: Extra,
    at: Instant,
    /// Whether it was sent, or left out.
    sent: bool,
}

/// An answer that may be meant for a share or for something else.
#[derive(Debug)]
struct HeldAnswer {
    request: u64,
    until: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RollingState {
    /// Version rolling was not asked for on this connection.
    NotAsked,
    /// Requested, but not granted.
    Refused,
    Granted,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// A step of the handshake waits for its answer.
    Asking {
        step: Step,
        request: u64,
        deadline: Instant,
    },
    Ready {
        since: Instant,
    },
}

/// A share that was sent to the pool but is not answered yet.
#[derive(Clone, Debug, PartialEq)]
pub struct WaitingShare {
    /// Who gets the answer; `None` for a block that was kept while the pool was down.
    pub asker: Option<Asker>,
    /// The worker that found it. The share counts for it even after its miner has left.
    pub worker: Arc<str>,
    /// The miner's name of the job.
    pub job: JobId,
    /// The difficulty that the pool credits for it.
    pub difficulty: Difficulty,
    /// The work that it represents: [`SentJob::work`](crate::core::work::jobs::SentJob::work).
    pub work: f64,
    /// The difficulty that the hash reached.
    pub true_difficulty: f64,
    /// The block candidate, if it meets the network's target.
    pub block: Option<Arc<Candidate>>,
    /// When it was forwarded.
    pub sent: Instant,
    /// How its version bits are written, and what its header did with the job's bits, if that matters.
    pub form: Option<(Kind, VersionForm)>,
    /// How many answers will arrive: two if it was sent in both forms.
    pub answers_due: u8,
    /// The name of its member, if it was sent under that and not under the first one.
    pub name: Option<Arc<str>>,
    /// Whether its connection was replaced in the meantime, so that its result says nothing about the pool's current
    /// address.
    pub outlived: bool,
    /// Whether another pool has taken the slot since.
    pub former: bool,
    /// Whether the pool has named a higher difficulty since it sent the job, and the hash does not reach that. Some
    /// pools judge every share by the newest one (compat Q84).
    pub outgrown: bool,
}

impl WaitingShare {
    /// Whether a miner waits for its answer.
    pub fn is_of(&self, miner: MinerId) -> bool {
        self.asker.as_ref().is_some_and(|it| it.miner == miner)
    }

    /// Whether the pool rejected it only because of a difficulty that it named later.
    pub fn is_outgrown(&self, reject: &Reject) -> bool {
        self.outgrown && RejectClass::of(reject) == RejectClass::LowDifficulty
    }
}

/// Who waits for the answer to a share.
#[derive(Clone, Debug, PartialEq)]
pub struct Asker {
    /// The miner.
    pub miner: MinerId,
    /// Its request.
    pub id: RequestId,
}

impl Connection {
    /// A new connection: the handshake begins.
    pub fn begin(conn: PoolConn, line: LineId, identity: Identity, talk: &mut Talk<'_>) -> Self {
        let mut connection = Self::new(conn, line, identity, talk.now);
        let order = talk.facts.order(talk.now);
        if connection.identity.version_rolling && order == ConfigureHabit::First {
            connection.ask(Step::Configure, talk);
        } else {
            connection.ask(Step::Subscribe, talk);
        }
        connection
    }

    fn new(conn: PoolConn, line: LineId, identity: Identity, now: Instant) -> Self {
        Self {
            conn,
            line,
            stage: Stage::Ready { since: now },
            heard: now,
            asked: None,
            opened: now,
            last_request: 0,
            rolling: RollingState::NotAsked,
            mask: VersionMask::NONE,
            extranonces: None,
            difficulty: None,
            early: None,
            jobs: HeldJobs::default(),
            pending: BTreeMap::new(),
            rejected: None,
            seconds: BTreeMap::new(),
            given_up: BTreeMap::new(),
            silence: Silence::default(),
            sent_shares: false,
            identity,
            names: Names::default(),
            suggestion: None,
            said: now,
            extras: Vec::new(),
            ambiguous: BTreeSet::new(),
            held: None,
            works: false,
            retired: None,
            former: false,
            useless: Allowance::full(USELESS, now),
            unusable_jobs: 0,
            judges_by_newest: false,
        }
    }

    /// Whether one more unusable line is still tolerated.
    pub fn may_be_useless(&mut self, now: Instant) -> bool {
        self.useless.take(USELESS, now)
    }

    /// Whether it got work, which means an authorized worker and a job, since the last call.
    pub fn begins_to_work(&mut self) -> bool {
        let begins = !self.works && self.is_ready() && self.jobs.latest().is_some();
        self.works |= begins;
        begins
    }

    /// Whether it has ever had work.
    pub fn has_worked(&self) -> bool {
        self.works
    }

    /// Whether the connection is authorized.
    pub fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Ready { .. })
    }

    /// Whether version rolling was asked for on this connection.
    pub fn asked_for_rolling(&self) -> bool {
        self.rolling != RollingState::NotAsked
    }

    /// The extranonces that the pool sent last.
    pub fn extranonces(&self) -> Option<Extranonces> {
        self.extranonces
    }

    /// The difficulty that the pool sent last.
    pub fn difficulty(&self) -> Option<Difficulty> {
        self.difficulty
    }

    /// When the connection was established.
    pub fn opened(&self) -> Instant {
        self.opened
    }

    /// Whether it is for work and not only a look.
    pub fn has_worker(&self) -> bool {
        self.identity.has_worker
    }

    /// How long ago the connection was established.
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.opened)
    }

    /// Whether miners can be sent its newest job now.
    pub fn has_work(&self, now: Instant) -> bool {
        self.is_ready()
            && (self.difficulty.is_some() || self.jobs.patience().is_some_and(|until| until <= now))
            && !self.jobs.is_empty()
    }

    /// The shares that wait for an answer.
    pub fn pending(&self) -> impl ExactSizeIterator<Item = &WaitingShare> {
        self.pending.values()
    }

    /// The miners whose shares may have made the pool close the connection: shares that wait for an answer, or one that
    /// was rejected just before.
    pub fn suspects(&self) -> BTreeSet<MinerId> {
        let askers = self.pending().filter_map(|share| share.asker.as_ref());
        askers.map(|it| it.miner).chain(self.rejected).collect()
    }

    /// The shares of one miner that wait for an answer.
    pub fn pending_of(&self, miner: MinerId) -> impl Iterator<Item = &WaitingShare> {
        let is_its = move |share: &&WaitingShare| share.is_of(miner);
        self.pending.values().filter(is_its)
    }

    /// Takes the shares that wait for an answer.
    pub fn take_pending(&mut self) -> Vec<WaitingShare> {
        self.seconds.clear();
        std::mem::take(&mut self.pending).into_values().collect()
    }

    /// Takes the shares of one miner that wait for an answer.
    pub fn take_pending_of(&mut self, miner: MinerId) -> Vec<WaitingShare> {
        let its = self.pending.iter().filter(|(_, share)| share.is_of(miner));
        let requests: Vec<u64> = its.map(|(request, _)| *request).collect();
        self.seconds.retain(|_, of| !requests.contains(of));
        let taken = requests
            .iter()
            .filter_map(|request| self.pending.remove(request));
        taken.collect()
    }

    /// Whether another share, or even a block, can wait for an answer.
    pub fn has_room(&self, block: bool) -> bool {
        let most = if block {
            2 * MOST_PENDING
        } else {
            MOST_PENDING
        };
        self.is_ready() && self.pending.len() < most
    }

    /// Another connection replaces it. It stays open for the shares of its jobs.
    pub fn retire(&mut self, until: Instant) {
        self.retired = Some(until);
        for share in self.pending.values_mut() {
            share.outlived = true;
        }
    }

    /// Another pool takes its slot.
    pub fn be_former(&mut self) {
        self.former = true;
        for share in self.pending.values_mut() {
            share.former = true;
        }
    }

    /// Whether another pool has taken its slot.
    pub fn is_former(&self) -> bool {
        self.former
    }

    /// Whether it was replaced.
    pub fn is_retired(&self) -> bool {
        self.retired.is_some()
    }

    /// Ends the time of a replaced connection if that is due, and returns whether it has ended. From then on, the
    /// connection accepts no shares and only waits for answers to the ones that were sent.
    pub fn ends(&mut self, now: Instant) -> bool {
        let over = self.retired.is_some_and(|until| until <= now);
        if over {
            self.jobs.clear();
        }
        over && self.pending.is_empty()
    }

    /// The pool closed it: returns whether that was its answer to `mining.configure` (compat Q52), so that DPMP asks
    /// again according to the updated facts. `failures`: failed attempts in a row.
    pub fn hung_up_on_configure(&self, failures: u32, facts: &mut PoolFacts, now: Instant) -> bool {
        let Some(order) = self.is_configuring() else {
            return false;
        };
        // Configure cannot be why a pool closes that granted it before, unless a different pool has that address now.
        if facts.granted && failures < ENOUGH_FAILURES {
            return false;
        }
        facts.hung_up_on_configure(order, now);
        true
    }

    /// The name that was authorized.
    pub fn user(&self) -> Arc<str> {
        Arc::clone(&self.identity.user)
    }

    /// The host and port that were dialed.
    pub fn address(&self) -> Arc<str> {
        Arc::clone(&self.identity.address)
    }

    /// The version bits for a share of a job whose header has this version, if the form does not matter (see
    /// [`Ways`](crate::core::pool::version_form::Ways)): the bits under the job's mask; none if version rolling was not
    /// granted. A block with other rolled bits includes all of them: a pool that does not check them can rebuild the
    /// header, and otherwise it makes no difference.
    pub fn version_bits(&self, version: u32, job: &PoolJob) -> Option<u32> {
        let mask = job.mask.0;
        let beyond = (version ^ job.notify.version) & !mask;
        (self.rolling == RollingState::Granted || beyond != 0).then_some(version & (mask | beyond))
    }

    /// Forwards a share, which then waits for its answer. If it goes out in two forms, there is a second request.
    pub fn submit(
        &mut self,
        submit: PoolSubmit,
        second: Option<PoolSubmit>,
        share: WaitingShare,
        out: &mut Vec<Action>,
    ) {
        self.said = share.sent;
        self.asked.get_or_insert(share.sent);
        let request = self.request(PoolCall::Submit(Box::new(submit)), out);
        self.sent_shares = true;
        let share = WaitingShare {
            outlived: self.retired.is_some(),
            former: self.former,
            answers_due: 1 + u8::from(second.is_some()),
            ..share
        };
        self.pending.insert(request, share);
        if let Some(second) = second {
            let again = self.request(PoolCall::Submit(Box::new(second)), out);
            self.seconds.insert(again, request);
        }
    }

    /// Sends the block candidates that waited for such a connection.
    pub fn submit_held(&mut self, blocks: &mut HeldBlocks, now: Instant, out: &mut Vec<Action>) {
        let Some(extranonces) = self.extranonces else {
            return;
        };
        for candidate in blocks.take_for(&self.address(), extranonces, now) {
            let user = self.user();
            let with_user = |submit: &PoolSubmit| PoolSubmit {
                user: Arc::clone(&user),
                ..submit.clone()
            };
            let (first, second) = (&candidate.submit, candidate.second.as_ref());
            let (first, second) = (with_user(first), second.map(with_user));
            let share = WaitingShare {
                asker: None,
                worker: Arc::from(candidate.worker.as_str()),
                job: JobId(0),
                difficulty: candidate.job.difficulty,
                work: candidate.job.difficulty.get(),
                true_difficulty: candidate.hash.difficulty(),
                block: Some(candidate),
                sent: now,
                form: None,
                answers_due: 1,
                name: None,
                outlived: false,
                former: false,
                outgrown: false,
            };
            self.submit(first, second, share, out);
        }
    }

    /// Whether the pool has given it this extranonce1.
    pub fn works_with(&self, e1: Option<Extranonce1>) -> bool {
        self.extranonces.map(|it| it.e1) == e1 && self.retired.is_none()
    }

    /// The share that a pool's answer settles. A share in two forms is settled by the first `true`, otherwise by the
    /// second answer.
    fn settle(&mut self, request: u64, outcome: &Outcome) -> Option<WaitingShare> {
        let first = self.seconds.get(&request).copied().unwrap_or(request);
        let share = self.pending.get_mut(&first)?;
        share.answers_due = share.answers_due.saturating_sub(1);
        if *outcome != Outcome::True && share.answers_due > 0 {
            return None;
        }
        self.seconds.retain(|_, of| *of != first);
        let mut share = self.pending.remove(&first)?;
        let asker = share.asker.as_ref().filter(|_| *outcome != Outcome::True);
        self.rejected = asker.map(|it| it.miner);
        if request != first {
            share.form = share.form.map(|(kind, form)| (kind, form.other()));
        }
        share.outgrown = self.difficulty.is_some_and(|newest| {
            newest > share.difficulty && share.true_difficulty < newest.get()
        });
        Some(share)
    }

    /// Whether the pool judges shares by the newest difficulty, even those of earlier jobs: it rejected one that meets
    /// its job's. Then the current job must be sent again with it, now and after each later rise (compat Q84). A pool
    /// that credits earlier jobs with their own difficulty would pay less until the next job, so a rise alone changes
    /// nothing.
    pub fn learn_rise(&mut self, share: &WaitingShare, outcome: &Outcome) -> bool {
        if !matches!(outcome, Outcome::Rejected(reject) if share.is_outgrown(reject)) {
            return false;
        }
        self.judges_by_newest = true;
        self.raise_jobs()
    }

    /// Applies the newest difficulty to jobs with a lower one. Returns whether the newest job is one of them.
    fn raise_jobs(&mut self) -> bool {
        let Some(newest) = self.difficulty else {
            return false;
        };
        let is_behind = self
            .jobs
            .latest()
            .is_some_and(|job| job.difficulty < newest);
        if is_behind {
            self.jobs
                .change(|job| job.with_difficulty(job.difficulty.max(newest)));
        }
        is_behind
    }

    /// Passes on the miner's suggestion: once (compat Q58), and again if that keeps a quiet connection alive.
    pub fn suggest(&mut self, difficulty: Difficulty, talk: &mut Talk<'_>) {
        self.identity.suggested = Some(difficulty);
        let quiet = talk.now.saturating_duration_since(self.said) >= KEEP_ALIVE;
        let due = self.suggestion.is_none() || quiet;
        if due && self.is_ready() && self.offer(Extra::Suggestion, talk.facts, talk.now) {
            self.suggestion = Some(self.request(PoolCall::SuggestDifficulty(difficulty), talk.out));
        }
    }

    /// Whether to send the pool an optional message.
    pub(super) fn offer(&mut self, extra: Extra, facts: &mut PoolFacts, now: Instant) -> bool {
        let sent = facts.hangs_up_on.of(extra).allows(now);
        if sent {
            self.said = now;
        }
        self.extras.retain(|offered| offered.extra != extra);
        self.extras.push(Offer {
            extra,
            at: now,
            sent,
        });
        sent
    }

    /// Records which optional messages the connection has survived.
    pub(super) fn settle_extras(&mut self, facts: &mut PoolFacts, now: Instant) {
        self.extras.retain(|offered| {
            let outlived = now.saturating_duration_since(offered.at) >= SUSPICIOUS;
            if outlived && offered.sent {
                facts.hangs_up_on.of(offered.extra).outlived();
            }
            !outlived
        });
    }

    /// The pool closed the connection: suspects the optional messages that were just sent, and no longer those that
    /// were not. `failures`: failed attempts in a row.
    pub fn suspect_extras(&self, failures: u32, facts: &mut PoolFacts, now: Instant) {
        let late = |it: &&Offer| now.saturating_duration_since(it.at) < SUSPICIOUS;
        for offered in self.extras.iter().filter(late) {
            let tolerance = facts.hangs_up_on.of(offered.extra);
            if offered.sent {
                tolerance.hung_up(offered.at, failures, now);
            } else {
                tolerance.hung_up_without();
            }
        }
    }

    /// Records that a request from the pool is answered. Its number may be the same as a waiting share's.
    pub(super) fn answers_request(&mut self, id: &RequestId) {
        let Some(number) = id.as_counter() else {
            return;
        };
        let asking = matches!(self.stage, Stage::Asking { request, .. } if request == number);
        if asking || self.waits_for(number) {
            self.ambiguous.insert(number);
        }
    }

    /// Whether a share waits for the answer to this request.
    fn waits_for(&self, request: u64) -> bool {
        self.pending.contains_key(&request) || self.seconds.contains_key(&request)
    }

    /// A share whose answer was held back long enough: the pool has accepted it.
    pub fn held_answer(&mut self, now: Instant) -> Option<WaitingShare> {
        self.held.as_ref().filter(|held| held.until <= now)?;
        self.take_held()
    }

    /// A share whose answer is held back, because nothing else can arrive any more.
    pub fn take_held(&mut self) -> Option<WaitingShare> {
        let held = self.held.take()?;
        let share = self.settle(held.request, &Outcome::True)?;
        self.silence.answered(share.sent);
        Some(share)
    }

    /// What is overdue: a step of the handshake, an answer, or any message.
    pub fn overdue(&mut self, limits: &PoolConfig, talk: &mut Talk<'_>) -> Option<Loss> {
        let now = talk.now;
        match self.stage {
            Stage::Asking { step, deadline, .. } if deadline <= now => match step {
                // Some pools never answer it: continue without version rolling (compat Q55).
                Step::Configure => {
                    self.rolling = RollingState::Refused;
                    self.ask(Step::Subscribe, talk);
                    None
                }
                Step::ConfigureLate => {
                    self.rolling = RollingState::Refused;
                    self.ask(Step::Authorize, talk);
                    None
                }
                Step::Subscribe | Step::Authorize => Some(Loss::NoAnswerTo(step)),
            },
            Stage::Ready { .. } if self.stall_deadline(limits).is_some_and(|due| due <= now) => {
                Some(Loss::Stalled)
            }
            Stage::Ready { .. } => {
                self.give_up_names(talk);
                None
            }
            Stage::Asking { .. } => None,
        }
    }

    /// The next deadline.
    pub fn next_deadline(&self, limits: &PoolConfig, now: Instant) -> Option<Instant> {
        match self.stage {
            Stage::Asking { deadline, .. } => Some(deadline),
            Stage::Ready { .. } => {
                let patience = if self.difficulty.is_none() {
                    self.jobs.patience()
                } else {
                    None
                };
                let held = self.held.as_ref().map(|held| held.until);
                [
                    held,
                    self.name_due(now),
                    self.answer_due(limits.answer),
                    self.stall_deadline(limits),
                    patience.filter(|until| *until > now),
                ]
                .into_iter()
                .flatten()
                .min()
            }
        }
    }

    /// The next deadline of a replaced connection. `patience`: how long a share may wait for its answer.
    pub fn retired_deadline(&self, patience: Duration, now: Instant) -> Option<Instant> {
        let until = self.retired?;
        let until = Some(until).filter(|until| *until > now || self.pending.is_empty());
        let held = self.held.as_ref().map(|held| held.until);
        let due = [until, held, self.answer_due(patience)];
        due.into_iter().flatten().min()
    }

    /// Takes the shares that have waited for too long. Their answers may still arrive.
    pub fn take_overdue(&mut self, patience: Duration, now: Instant) -> Vec<WaitingShare> {
        let mut overdue = Vec::new();
        while self.answer_due(patience).is_some_and(|due| due <= now) {
            let Some((request, share)) = self.pending.pop_first() else {
                break;
            };
            self.seconds.retain(|_, of| *of != request);
            self.silence.unanswered(share.sent);
            if self.given_up.len() == MOST_GIVEN_UP {
                self.given_up.pop_first();
            }
            let miner = share.asker.as_ref().map(|it| it.miner);
            self.given_up.insert(request, (miner, share.sent));
            overdue.push(share);
        }
        overdue
    }

    /// Whether the pool has sent anything since then.
    pub fn has_spoken_since(&self, then: Instant) -> bool {
        self.heard > then
    }

    /// Since when it has not answered shares, if it leaves one after another unanswered.
    pub fn unanswered_since(&self) -> Option<Instant> {
        self.silence.since().filter(|_| self.silence.is_long())
    }

    /// Whether it has answered a share sent after that time.
    pub fn has_answered_since(&self, sent: Instant) -> bool {
        self.silence.has_answered_since(sent)
    }

    /// When it was opened, if shares were sent and none were answered.
    pub fn was_in_vain(&self) -> Option<Instant> {
        (self.sent_shares && !self.silence.has_answered()).then_some(self.opened)
    }

    /// When the first waiting share will have waited that long.
    fn answer_due(&self, patience: Duration) -> Option<Instant> {
        self.pending
            .values()
            .next()
            .and_then(|share| share.sent.checked_add(patience))
    }

    /// When the pool will have been silent for too long. A share that was sent in the meantime first gets its time to
    /// be answered.
    fn stall_deadline(&self, limits: &PoolConfig) -> Option<Instant> {
        let Some(asked) = self.asked else {
            return self.heard.checked_add(limits.stall * IDLE_STALLS);
        };
        let silent = self.heard.checked_add(limits.stall);
        silent.max(asked.checked_add(limits.stall.min(limits.answer)))
    }

    /// Whether it was authorized for so long that it is good.
    pub fn is_proven(&self, now: Instant) -> bool {
        matches!(self.stage, Stage::Ready { since } if now.saturating_duration_since(since) >= PROVEN)
    }

    /// The order in which `mining.configure` was sent, if its answer is missing.
    fn is_configuring(&self) -> Option<ConfigureHabit> {
        match self.stage {
            Stage::Asking { step, .. } => ConfigureHabit::of(step),
            Stage::Ready { .. } => None,
        }
    }

    fn request(&mut self, call: PoolCall, out: &mut Vec<Action>) -> u64 {
        self.last_request += 1;
        let id = self.last_request;
        out.push(Action::SendPool {
            conn: self.conn,
            message: ToPool::Request { id, call },
        });
        id
    }

    /// Starts a step of the handshake.
    pub(super) fn ask(&mut self, step: Step, talk: &mut Talk<'_>) {
        if step == Step::Authorize && !self.identity.has_worker {
            // A look has found out what it needs, and has no worker to authorize.
            self.stage = Stage::Ready { since: talk.now };
            return;
        }
        let identity = &self.identity;
        let (call, patience) = match step {
            Step::Configure | Step::ConfigureLate => {
                self.rolling = RollingState::Refused;
                (PoolCall::Configure(VersionMask::BIP320), CONFIGURE_PATIENCE)
            }
            Step::Subscribe => {
                let user_agent = identity.user_agent.clone();
                (PoolCall::Subscribe { user_agent }, STEP_PATIENCE)
            }
            Step::Authorize => {
                let call = PoolCall::Authorize {
                    user: identity.user.to_string(),
                    password: identity.password.clone(),
                };
                (call, STEP_PATIENCE)
            }
        };
        self.said = talk.now;
        let request = self.request(call, talk.out);
        let deadline = later(talk.now, patience);
        self.stage = Stage::Asking {
            step,
            request,
            deadline,
        };
    }
}
