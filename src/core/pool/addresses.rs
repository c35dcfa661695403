//! Which of a pool's addresses is in use: the first, or a backup while the first one fails.
//!
//! An address fails if for a while no connection to it is authorized although one is needed (it is unreachable or
//! silent, or it refuses the payout address), or if it rejects most shares. Then DPMP uses the next one, and after the
//! last the first one again. While a backup is in use, DPMP tests the first address now and then, and returns to it
//! once it has worked for a while. If it fails again soon, it has to work for longer.

use std::time::{Duration, Instant};

use crate::core::fact::Failover;
use crate::core::outage::Outage;

use crate::units::later;

/// How long an address may be unusable before the next one is tried. In the meantime, the miners work for the other
/// pool, and the time is made up for later.
const PATIENCE: Duration = Duration::from_secs(20);

/// If none can be used, each round through the list takes twice as long as the previous one, up to this many doublings.
const MOST_DOUBLINGS: u32 = 5;

/// How long the first address must work before it is used again.
const RECOVERY: Duration = Duration::from_secs(300);

/// The longest such time, after repeated failures.
const LONGEST_RECOVERY: Duration = Duration::from_secs(2 * 3600);

/// A return was good if it lasted this long.
const PROVEN: Duration = Duration::from_secs(3600);

/// How often the first address is tested.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// The time over which answers to shares are judged, if there are enough of them.
const WINDOW: Duration = Duration::from_secs(600);

/// With fewer answers, an address is not judged.
const ENOUGH_ANSWERS: u32 = 20;

/// The addresses of one pool, and what is known about the one in use.
#[derive(Debug)]
pub struct Addresses {
    /// 0: the first one; n: the n-th backup.
    at: usize,
    /// Since when the one in use cannot be used.
    down_since: Option<Instant>,
    answers: Answers,
    /// The number of addresses in a row that were left without having worked.
    in_vain: u32,
    /// Since when the first address has worked.
    answering: Option<Instant>,
    next_look: Instant,
    /// How long it must work next time.
    recovery: Duration,
    /// When it was last used again.
    recovered: Option<Instant>,
}

/// The results of the last shares.
#[derive(Clone, Copy, Debug)]
struct Answers {
    since: Instant,
    accepted: u32,
    rejected: u32,
}

impl Addresses {
    /// The first address is in use.
    pub fn new(now: Instant) -> Self {
        Self {
            at: 0,
            down_since: None,
            answers: Answers::none(now),
            in_vain: 0,
            answering: None,
            next_look: now,
            recovery: RECOVERY,
            recovered: None,
        }
    }

    /// Which address is in use; 0: the first one.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The pool is not needed, or has no backups: forgets since when its addresses have been good or bad.
    pub fn rest(&mut self) {
        (self.down_since, self.answering) = (None, None);
    }

    /// Records whether the address in use is currently unusable.
    pub fn note_down(&mut self, is_down: bool, now: Instant) {
        if is_down {
            self.down_since.get_or_insert(now);
        } else {
            self.down_since = None;
        }
    }

    /// Records the pool's answer to a share.
    pub fn answered(&mut self, accepted: bool, now: Instant) {
        let enough = self.answers.count() >= 2 * ENOUGH_ANSWERS;
        if enough && now.saturating_duration_since(self.answers.since) >= WINDOW {
            // Half of the past still counts, so that judging never starts from nothing. The answers to a small miner
            // count for longer.
            self.answers.accepted /= 2;
            self.answers.rejected /= 2;
            self.answers.since = now;
        }
        if accepted {
            self.answers.accepted = self.answers.accepted.saturating_add(1);
            self.in_vain = 0;
        } else {
            self.answers.rejected = self.answers.rejected.saturating_add(1);
        }
    }

    /// The next of `count` addresses, if it should change, and why. `trouble`: why the one in use cannot be used.
    pub fn next(
        &self,
        count: usize,
        trouble: impl FnOnce() -> Outage,
        now: Instant,
    ) -> Option<(usize, Failover)> {
        if count < 2 {
            return None;
        }
        let next = (self.at + 1) % count;
        let has_passed = |since: Option<Instant>, time: Duration| {
            since.is_some_and(|since| now.saturating_duration_since(since) >= time)
        };
        let Answers {
            accepted, rejected, ..
        } = self.answers;
        let answered = self.answers.count();
        if has_passed(self.down_since, self.patience(count)) {
            Some((next, Failover::Unusable(trouble())))
        } else if answered >= ENOUGH_ANSWERS && rejected > accepted {
            Some((next, Failover::Rejects { rejected, answered }))
        } else if self.at > 0 && has_passed(self.answering, self.recovery) {
            Some((0, Failover::Recovered))
        } else {
            None
        }
    }

    /// Switches to another address.
    pub fn move_to(&mut self, at: usize, why: &Failover, now: Instant) {
        if *why == Failover::Recovered {
            self.in_vain = 0;
            self.recovered = Some(now);
        } else {
            self.in_vain = self.in_vain.saturating_add(1);
        }
        if self.at == 0 {
            // Whether it failed again soon after the return.
            let soon = self
                .recovered
                .is_some_and(|recovered| now.saturating_duration_since(recovered) < PROVEN);
            self.recovery = if soon {
                (self.recovery * 2).min(LONGEST_RECOVERY)
            } else {
                RECOVERY
            };
        }
        self.at = at;
        self.down_since = None;
        self.answers = Answers::none(now);
        self.answering = None;
        self.next_look = later(now, LOOK_EVERY);
    }

    /// The address in use has a new place in the list.
    pub fn renumber(&mut self, at: usize) {
        self.at = at;
    }

    /// The owner has changed the list: everything starts over.
    pub fn reset(&mut self, now: Instant) {
        *self = Self::new(now);
    }

    /// Whether it is time to test the first address.
    pub fn wants_look(&self, now: Instant) -> bool {
        self.at > 0 && self.next_look <= now
    }

    /// Records the result of a look at the first address.
    pub fn looked(&mut self, answers: bool, now: Instant) {
        if answers {
            self.answering.get_or_insert(now);
        } else {
            self.answering = None;
        }
        self.next_look = later(now, LOOK_EVERY);
    }

    /// When [`next`](Self::next) or [`wants_look`](Self::wants_look) may change without an event. `looks`: a look is
    /// under way.
    pub fn next_deadline(&self, count: usize, looks: bool) -> Option<Instant> {
        if count < 2 {
            return None;
        }
        let after = |since: Option<Instant>, time: Duration| since?.checked_add(time);
        let given_up = after(self.down_since, self.patience(count));
        let look = (self.at > 0 && !looks).then_some(self.next_look);
        let back = after(self.answering, self.recovery).filter(|_| self.at > 0);
        [given_up, look, back].into_iter().flatten().min()
    }

    fn patience(&self, count: usize) -> Duration {
        let count = u32::try_from(count).unwrap_or(u32::MAX).max(1);
        PATIENCE * 2u32.pow((self.in_vain / count).min(MOST_DOUBLINGS))
    }
}

impl Answers {
    fn count(&self) -> u32 {
        self.accepted.saturating_add(self.rejected)
    }

    fn none(now: Instant) -> Self {
        Self {
            since: now,
            accepted: 0,
            rejected: 0,
        }
    }
}
