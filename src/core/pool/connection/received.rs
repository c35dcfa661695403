//! What a pool's messages do to a connection: the handshake one step at a time, jobs with their conditions, answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::core::action::Action;
use crate::core::outage::{Loss, Step};
use crate::core::pool::extras::Extra;
use crate::core::pool::facts::{ConfigureHabit, PoolFacts};
use crate::stratum::job::{Notify, PoolJob};
use crate::stratum::message::{Extranonces, FromPool, Outcome, ToPool};
use crate::stratum::reject::Reject;
use crate::units::{Difficulty, MinerId, VersionMask, later};

use super::{
    Connection, HeldAnswer, MOST_UNUSABLE_JOBS, RollingState, Stage, TWO_ANSWERS, Talk,
    WaitingShare,
};

/// What a pool's message means for the members.
#[derive(Debug)]
pub enum PoolNews {
    /// Nothing.
    Nothing,
    /// The extranonces are known now, or have changed.
    Subscribed(Extranonces),
    /// The connection is authorized.
    Ready,
    /// There is a new job.
    Job,
    /// The newest job has new conditions and must be sent again.
    JobChanged,
    /// A share was answered.
    Answered(WaitingShare, Outcome),
    /// A share was answered after it was given up: its miner, and when it was sent.
    AnsweredLate(Option<MinerId>, Instant),
    /// The pool asks for a reconnect after a pause.
    Reconnect {
        /// The host, if the pool names one.
        host: Option<String>,
        /// The port, if the pool names one.
        port: Option<u16>,
        /// How long to wait.
        wait: Duration,
    },
    /// A text for people.
    Message(String),
    /// An unusable line, and why.
    Useless(String),
    /// The connection cannot continue.
    Lost(Loss),
}

impl Connection {
    /// Handles a message from the pool.
    pub fn on_message(&mut self, message: FromPool, talk: &mut Talk<'_>) -> PoolNews {
        self.heard = talk.now;
        self.asked = None;
        self.settle_extras(talk.facts, talk.now);
        match message {
            FromPool::Response { id, outcome } => self.on_response(id, outcome, talk),
            FromPool::Notify(notify) => {
                self.unusable_jobs = 0;
                self.on_notify(notify, talk)
            }
            FromPool::SetDifficulty(difficulty) => self.on_difficulty(difficulty),
            FromPool::SetExtranonce(extranonces) => {
                // This only applies to later jobs; earlier ones keep their extranonces.
                self.extranonces = Some(extranonces);
                talk.facts.e2_size = Some(extranonces.e2_size);
                PoolNews::Subscribed(extranonces)
            }
            FromPool::SetVersionMask(mask) => self.on_mask(mask),
            FromPool::Reconnect {
                host,
                port,
                wait_seconds,
            } => PoolNews::Reconnect {
                host,
                port,
                wait: Duration::from_secs(wait_seconds.into()),
            },
            FromPool::ShowMessage(text) => PoolNews::Message(text),
            FromPool::GetVersion(_) if !self.offer(Extra::Version, talk.facts, talk.now) => {
                PoolNews::Nothing
            }
            FromPool::GetVersion(id) => {
                self.answers_request(&id);
                let message = ToPool::Version {
                    id,
                    user_agent: self.identity.user_agent.clone(),
                };
                talk.out.push(Action::SendPool {
                    conn: self.conn,
                    message,
                });
                PoolNews::Nothing
            }
            FromPool::Ping(_) if !self.offer(Extra::Pong, talk.facts, talk.now) => {
                PoolNews::Nothing
            }
            FromPool::Ping(id) => {
                self.answers_request(&id);
                talk.out.push(Action::SendPool {
                    conn: self.conn,
                    message: ToPool::Pong { id },
                });
                PoolNews::Nothing
            }
            // The pool may have changed them, and then every share would be for a different coinbase.
            FromPool::Invalid {
                method: method @ "mining.set_extranonce",
                problem,
            } => PoolNews::Lost(Loss::BadMessage(format!("{method}: {problem}"))),
            // The pool's current work is unknown, and the last usable job is getting old.
            FromPool::Invalid {
                method: method @ "mining.notify",
                problem,
            } if self.unusable_jobs == MOST_UNUSABLE_JOBS => {
                let why = format!("it sends unusable jobs: {method}: {problem}");
                PoolNews::Lost(Loss::BadMessage(why))
            }
            FromPool::Invalid { method, problem } => {
                if method == "mining.notify" {
                    self.unusable_jobs += 1;
                }
                PoolNews::Useless(format!("{method}: {problem}"))
            }
            FromPool::Unknown { method } => PoolNews::Useless(format!("unknown method {method:?}")),
        }
    }

    fn on_response(&mut self, id: u64, outcome: Outcome, talk: &mut Talk<'_>) -> PoolNews {
        let stage = self.stage;
        match stage {
            Stage::Asking { step, request, .. } if request == id => {
                // No pool answers these steps like that. It is a reply to our answer to the pool's own request.
                let another = step != Step::Authorize && outcome == Outcome::True;
                if another && self.ambiguous.remove(&id) {
                    return PoolNews::Nothing;
                }
                self.on_step(step, outcome, talk)
            }
            Stage::Asking { .. } | Stage::Ready { .. }
                if self.may_be_another(id, &outcome, talk) =>
            {
                PoolNews::Nothing
            }
            Stage::Asking { .. } | Stage::Ready { .. } if self.on_name(id, &outcome, talk) => {
                PoolNews::Nothing
            }
            Stage::Asking { .. } | Stage::Ready { .. } => match self.settle(id, &outcome) {
                Some(share) => {
                    self.silence.answered(share.sent);
                    self.learn_names(&share, &outcome, talk);
                    PoolNews::Answered(share, outcome)
                }
                None => {
                    if self.suggestion == Some(id) {
                        talk.facts.hangs_up_on.of(Extra::Suggestion).outlived();
                    }
                    if let Some((miner, sent)) = self.given_up.remove(&id) {
                        self.silence.settle(talk.now);
                        return PoolNews::AnsweredLate(miner, sent);
                    }
                    // Anything else is the answer to a suggestion, or too late to matter.
                    if let Outcome::Configured(Some(mask)) = outcome {
                        self.on_late_grant(mask, talk.facts)
                    } else {
                        PoolNews::Nothing
                    }
                }
            },
        }
    }

    /// Whether this may be a reply to our answer under the pool's own number, and not to the share with the same
    /// number. A second answer shows which. Pools only acknowledge our answers; they never refuse them.
    fn may_be_another(&mut self, id: u64, outcome: &Outcome, talk: &Talk<'_>) -> bool {
        let ambiguous = self.ambiguous.remove(&id) && self.waits_for(id);
        let hold = ambiguous && *outcome == Outcome::True && self.held.is_none();
        if hold {
            let until = later(talk.now, TWO_ANSWERS);
            self.held = Some(HeldAnswer { request: id, until });
        } else {
            self.held.take_if(|held| held.request == id);
        }
        hold
    }

    fn on_step(&mut self, step: Step, outcome: Outcome, talk: &mut Talk<'_>) -> PoolNews {
        match (step, outcome) {
            (Step::ConfigureLate, Outcome::Rejected(reject))
                if talk.facts.refused_late_configure(talk.now) =>
            {
                PoolNews::Lost(Loss::Refused(step, reject))
            }
            (Step::Configure | Step::ConfigureLate, outcome) => {
                // A refusal in any form just means no version rolling.
                let granted = if let Outcome::Configured(mask) = outcome {
                    mask
                } else {
                    None
                };
                self.on_configured(granted, talk.facts);
                if let Some(order) = ConfigureHabit::of(step) {
                    talk.facts.answered(order, granted.is_some());
                }
                let next = if step == Step::Configure {
                    Step::Subscribe
                } else {
                    Step::Authorize
                };
                self.ask(next, talk);
                PoolNews::Nothing
            }
            (Step::Subscribe, Outcome::Subscribed(extranonces)) => {
                talk.facts.e2_size = Some(extranonces.e2_size);
                self.extranonces = Some(extranonces);
                if let Some(early) = self.early.take() {
                    self.on_notify(early, talk);
                }
                let late = self.identity.version_rolling
                    && self.rolling == RollingState::NotAsked
                    && talk.facts.configure == ConfigureHabit::AfterSubscribe;
                self.ask(
                    if late {
                        Step::ConfigureLate
                    } else {
                        Step::Authorize
                    },
                    talk,
                );
                PoolNews::Subscribed(extranonces)
            }
            (Step::Authorize, Outcome::True) => {
                self.stage = Stage::Ready { since: talk.now };
                if let Some(difficulty) = self.identity.suggested {
                    self.suggest(difficulty, talk);
                }
                PoolNews::Ready
            }
            (Step::Subscribe | Step::Authorize, Outcome::Rejected(reject)) => {
                PoolNews::Lost(Loss::Refused(step, reject))
            }
            (Step::Subscribe, other) => PoolNews::Lost(Loss::BadSubscription(format!("{other:?}"))),
            (Step::Authorize, other) => {
                let message = format!("unexpected answer {other:?}").into();
                PoolNews::Lost(Loss::Refused(step, Reject { code: 20, message }))
            }
        }
    }

    fn on_configured(&mut self, granted: Option<VersionMask>, facts: &mut PoolFacts) {
        let mask = granted.unwrap_or_default();
        self.mask = mask;
        // Even if no bit is granted, the pool expects the sixth parameter of a share (compat Q53).
        self.rolling = granted.map_or(RollingState::Refused, |_| RollingState::Granted);
        // Some pools send a job before the request.
        self.jobs.change(|job| job.with_mask(mask));
        facts.mask = mask;
    }

    /// The pool granted version rolling after DPMP had stopped waiting. For the pool it is granted anyway.
    fn on_late_grant(&mut self, mask: VersionMask, facts: &mut PoolFacts) -> PoolNews {
        if self.rolling == RollingState::NotAsked {
            return PoolNews::Nothing;
        }
        facts.mask = mask;
        self.rolling = RollingState::Granted;
        self.on_mask(mask)
    }

    fn on_notify(&mut self, notify: Arc<Notify>, talk: &mut Talk<'_>) -> PoolNews {
        let Some(extranonces) = self.extranonces else {
            self.early = Some(notify);
            return PoolNews::Nothing;
        };
        let difficulty = self.difficulty.unwrap_or(Difficulty::ONE);
        // Most pools send the same job to all connections, so a farm only needs it in memory once.
        let notify = match talk.latest {
            Some(latest) if Arc::ptr_eq(latest, &notify) || **latest == *notify => {
                Arc::clone(latest)
            }
            Some(_) | None => Arc::clone(talk.latest.insert(notify)),
        };
        let (e1, e2_size) = (extranonces.e1, extranonces.e2_size);
        let job = PoolJob::new(notify, e1, e2_size, difficulty, self.mask);
        self.jobs.push(job, talk.now);
        PoolNews::Job
    }

    fn on_difficulty(&mut self, difficulty: Difficulty) -> PoolNews {
        let first = self.difficulty.replace(difficulty).is_none();
        if first && !self.jobs.is_empty() {
            // A pool's first difficulty also applies to earlier jobs, because there was no other.
            self.jobs.change(|job| job.with_difficulty(difficulty));
            return PoolNews::JobChanged;
        }
        if self.judges_by_newest && self.raise_jobs() {
            return PoolNews::JobChanged;
        }
        PoolNews::Nothing
    }

    fn on_mask(&mut self, mask: VersionMask) -> PoolNews {
        // Without a request, as from Braiins (compat Q2), it means nothing. Some pools grant version rolling only with
        // it.
        if self.rolling == RollingState::NotAsked || self.mask == mask {
            return PoolNews::Nothing;
        }
        self.rolling = RollingState::Granted;
        self.mask = mask;
        // Pools differ in whether it applies immediately or from the next job on. So current jobs that are sent again
        // use the intersection of both masks.
        let narrower = |job: &PoolJob| job.mask.intersect(mask) != job.mask;
        let resend = self.jobs.latest().is_some_and(|job| narrower(job));
        self.jobs
            .change(|job| job.with_mask(job.mask.intersect(mask)));
        if resend {
            PoolNews::JobChanged
        } else {
            PoolNews::Nothing
        }
    }
}
