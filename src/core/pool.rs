//! What is known of a pool as a whole: facts that outlive connections, the gate for dials, its health.
//! One connection's life is in [`connection`].

pub mod addresses;
pub mod blocks;
pub mod connection;
pub mod dialer;
pub mod extras;
pub mod facts;
pub mod health;
pub mod probe;
mod scout;
pub mod survey;
pub mod verdict;
pub mod version_form;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::PoolConfig;
use crate::core::action::{Action, DialTarget};
use crate::core::pool::addresses::Sites;
use crate::core::pool::blocks::HeldBlocks;
use crate::core::pool::connection::open::Step;
use crate::core::pool::connection::{Loss, Talk, Upstream};
use crate::core::pool::dialer::Dialer;
use crate::core::pool::facts::PoolFacts;
use crate::core::pool::health::{Health, Outage};
use crate::core::pool::survey::Survey;
use crate::core::pool::verdict::news::{Left, News};
use crate::core::pool::verdict::{Answers, Flaw};
use crate::core::pool::version_form::Forms;
use crate::core::stats::meter::Meter;
use crate::core::work::handed_out::Templates;
use crate::random::Random;
use crate::stratum::job::Notify;
use crate::units::{Client, Now, PoolSlot, When};

/// After so many failed looks at a pool that was never reached nobody waits for it. One failure may
/// be a pool that has just started (compat Q8).
const ENOUGH_PROBES: u32 = 2;

/// Nobody waits longer for a pool that does not even refuse: miners give up soon.
const LONGEST_SEARCH: Duration = Duration::from_secs(5);

/// How long a pool that has authorized miners may take to give the first job.
const PATIENCE_FOR_JOB: Duration = Duration::from_secs(30);

/// How much a new answer weighs in the average of the latency.
const LATENCY_WEIGHT: f64 = 1.0 / 16.0;

/// One of the two pools.
#[derive(Debug)]
pub struct Pool {
    /// What is known of it.
    pub facts: PoolFacts,
    /// How well the forms of version bits work at its address.
    pub forms: Forms,
    /// Block candidates that wait for it to come back.
    pub blocks: HeldBlocks,
    /// How often a look at it has failed since its address was set.
    pub probe_failures: u32,
    /// Since when it is looked for, as long as nothing is known of it.
    pub sought: Option<Instant>,
    /// Its latest job as it was told to some connection.
    pub latest: Option<Arc<Notify>>,
    /// When it last sent a job on any connection.
    pub job_at: Option<When>,
    /// How long it takes to answer a share, in seconds: a moving average.
    pub latency: Option<f64>,
    /// Its words when it last refused to authorize a worker; `None` once it has accepted one.
    pub refusal: Option<String>,
    /// The proxy's own short connections to it.
    pub probe: Upstream,
    /// Which of its addresses is in use.
    pub sites: Sites,
    /// Shares that it answered in the last minutes.
    pub answered: Meter,
    /// Shares that were sent to it and got no answer, for whatever reason.
    pub lost: Meter,
    /// How it answers shares.
    pub answers: Answers,
    /// Its jobs as they came.
    pub news: News,
    /// Since when the other pool has left the block that its jobs stand on.
    pub left: Option<Left>,
    /// What it was said to be set aside for.
    pub told_flaw: Option<Flaw>,
    /// The proxy's own looks at all its addresses.
    pub survey: Survey,
    /// Since when it is down.
    down_at: Option<Instant>,
    /// How many connections are authorized.
    ready: usize,
    /// How many of them have got as far as work.
    working: usize,
    /// Since when some are authorized and none has got as far.
    jobless_since: Option<Now>,
    /// The one of these times that the log has told of.
    told_jobless: Option<Instant>,
    /// Its state in words, and since when.
    pub health: Health,
    /// Since when.
    pub health_since: When,
    /// Why it is down.
    pub trouble: Option<Loss>,
    /// When it is dialled.
    pub dialer: Dialer,
}

impl Pool {
    /// A pool of which `facts` are remembered.
    pub fn new(slot: PoolSlot, facts: PoolFacts, now: Now) -> Self {
        Self {
            facts,
            forms: Forms::default(),
            blocks: HeldBlocks::default(),
            probe_failures: 0,
            sought: None,
            latest: None,
            job_at: None,
            latency: None,
            refusal: None,
            probe: Upstream::new(Client::Probe, slot),
            sites: Sites::new(slot, now.at),
            answered: Meter::new(now.at),
            lost: Meter::new(now.at),
            answers: Answers::default(),
            news: News::default(),
            left: None,
            told_flaw: None,
            survey: Survey::new(slot),
            down_at: None,
            ready: 0,
            working: 0,
            jobless_since: None,
            told_jobless: None,
            health: Health::Unknown,
            health_since: now.into(),
            trouble: None,
            dialer: Dialer::new(now.at),
        }
    }

    /// What a conversation with this pool needs, and the probe, which may be the one that talks.
    pub fn talk<'a>(
        &'a mut self,
        templates: &'a Templates,
        now: Now,
        out: &'a mut Vec<Action>,
    ) -> (Talk<'a>, &'a mut Upstream) {
        let talk = Talk {
            facts: &mut self.facts,
            latest: &mut self.latest,
            templates,
            now: now.at,
            out,
        };
        (talk, &mut self.probe)
    }

    /// Whether a miner need not wait for this pool before it is told its extranonce: it is known, or
    /// was looked for in vain.
    pub fn is_known(&self, now: Instant) -> bool {
        self.facts.e2_size.is_some()
            || self.probe_failures >= ENOUGH_PROBES
            || self.given_up().is_some_and(|until| until <= now)
    }

    /// Until when miners wait for something to be known of it.
    pub fn given_up(&self) -> Option<Instant> {
        let sought = self.sought.filter(|_| self.facts.e2_size.is_none())?;
        sought.checked_add(LONGEST_SEARCH)
    }

    /// Another pool stands behind the name from now on.
    pub fn forget_address(&mut self) {
        self.forms = Forms::default();
        self.probe_failures = 0;
        self.sought = None;
        self.latest = None;
        self.job_at = None;
        self.latency = None;
        self.refusal = None;
        self.answers = Answers::default();
        self.news = News::default();
    }

    /// Notes how long it took to answer a share.
    pub fn answered_after(&mut self, latency: Duration) {
        let latency = latency.as_secs_f64();
        let before = self.latency.unwrap_or(latency);
        self.latency = Some(before + (latency - before) * LATENCY_WEIGHT);
    }

    /// Notes that a connection became authorized; whether the pool is up only now.
    pub fn connection_ready(&mut self, now: Now) -> bool {
        self.ready += 1;
        if self.working == 0 {
            self.jobless_since.get_or_insert(now);
        }
        self.refusal = None;
        self.set_health(Health::Up, now)
    }

    /// Notes that an authorized connection ended, by the pool's fault if there is one; whether the pool is down only
    /// now.
    pub fn connection_ended(&mut self, fault: Option<&Loss>, now: Now) -> bool {
        self.ready = self.ready.saturating_sub(1);
        if self.ready == 0 {
            self.jobless_since = None;
        } else if self.working == 0 {
            self.jobless_since.get_or_insert(now);
        }
        if self.ready > 0 {
            return false;
        }
        match fault {
            Some(loss) => self.went_down(loss, now),
            None => {
                self.set_health(Health::Unknown, now);
                false
            }
        }
    }

    /// Notes that an attempt to reach it failed; whether the pool is down only now.
    pub fn attempt_failed(&mut self, loss: &Loss, now: Now) -> bool {
        if let Loss::Refused(Step::Authorize, reject) = loss {
            self.refusal = Some(reject.message.to_string());
        }
        self.ready == 0 && self.went_down(loss, now)
    }

    /// Notes that a probe got through: whatever was wrong is not any more.
    pub fn reached(&mut self, now: Now) {
        if self.health == Health::Down {
            self.set_health(Health::Unknown, now);
        }
    }

    /// Notes that an authorized connection has its first job; whether no other has one.
    pub fn work_begun(&mut self, now: Now) -> bool {
        self.working += 1;
        self.jobless_since = None;
        let first = self.working == 1;
        if first {
            self.dialer.opens(now.at);
        }
        first
    }

    /// Notes that a connection that had work ended; `failed`: not because we let go of it.
    pub fn work_ended(&mut self, failed: bool, now: Now, random: &mut Random) {
        self.working = self.working.saturating_sub(1);
        if self.working == 0 {
            self.dialer.closes(failed, now.at, random);
        }
    }

    /// Whether a connection has got as far as work.
    pub fn has_work(&self) -> bool {
        self.working > 0
    }

    /// Whether miners can work for it: `None` if nobody has tried since it was last reached.
    pub fn is_useful(&self) -> Option<bool> {
        match self.health {
            Health::Up => Some(self.working > 0 && !self.is_set_aside()),
            Health::Down => Some(false),
            Health::Unknown => None,
        }
    }

    /// Since when miners are authorized and have no job of it.
    pub fn jobless_since(&self) -> Option<Now> {
        self.jobless_since.filter(|_| self.ready > 0)
    }

    /// Since when, if that is too long.
    pub fn gives_no_job(&self, now: Instant) -> Option<Now> {
        let due = |since: &Now| now.saturating_duration_since(since.at) >= PATIENCE_FOR_JOB;
        self.jobless_since().filter(due)
    }

    /// How long it has given no job, if that is too long and was not told yet.
    pub fn take_no_job(&mut self, now: Instant) -> Option<Duration> {
        let since = self.gives_no_job(now)?.at;
        let told = self.told_jobless.replace(since);
        (told != Some(since)).then(|| now.saturating_duration_since(since))
    }

    /// When it will have given no job for too long.
    pub fn next_job_due(&self) -> Option<Instant> {
        let since = self.jobless_since().map(|since| since.at);
        let since = since.filter(|since| self.told_jobless != Some(*since))?;
        since.checked_add(PATIENCE_FOR_JOB)
    }

    /// What makes it no good though it can be reached and gives work, and since when.
    pub fn flaw(&self) -> Option<(Flaw, Now)> {
        self.answers.flaw().or(self.news.flaw())
    }

    /// Whether what is done for it earns nothing, so that nothing is missed at it.
    pub fn earns_nothing(&self) -> bool {
        self.flaw().is_some_and(|(flaw, _)| flaw.earns_nothing())
    }

    /// Whether miners are to work for the other pool.
    pub fn is_set_aside(&self) -> bool {
        self.flaw().is_some()
    }

    /// Whether it has been down for so long; one that only refuses a worker may take the next one.
    pub fn is_down_for(&self, time: Duration, now: Instant) -> bool {
        let since = self.down_at.filter(|_| self.refusal.is_none());
        since.is_some_and(|since| now.saturating_duration_since(since) >= time)
    }

    /// Why it is of no use.
    pub fn why_useless(&self) -> Outage {
        match (self.health, self.flaw(), &self.trouble) {
            (Health::Up, Some((flaw, _)), _) => Outage::Flaw(flaw),
            (Health::Up, None, _) => Outage::NoWork,
            (Health::Unknown | Health::Down, _, Some(loss)) => Outage::Lost(loss.clone()),
            (Health::Unknown | Health::Down, _, None) => Outage::Unknown,
        }
    }

    /// How many connections are authorized.
    pub fn ready(&self) -> usize {
        self.ready
    }

    fn went_down(&mut self, loss: &Loss, now: Now) -> bool {
        let changed = self.set_health(Health::Down, now);
        self.trouble = Some(loss.clone());
        changed
    }

    fn set_health(&mut self, health: Health, now: Now) -> bool {
        let changed = self.health != health;
        if changed {
            self.health = health;
            self.health_since = now.into();
            self.down_at = (health == Health::Down).then_some(now.at);
            self.trouble = None;
        }
        changed
    }
}

/// Where a pool is to be dialled.
pub fn target(config: &PoolConfig) -> Arc<DialTarget> {
    Arc::new(DialTarget {
        host: config.host.clone(),
        port: config.port,
        tls: config.tls.trust(),
    })
}
