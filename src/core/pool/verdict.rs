//! Whether a pool is worth working for, judged by its answers: a pool works if it answers shares, not if it only
//! authorizes. Pure bookkeeping; `core/routing/verdicts.rs` acts on it.
//!
//! A pool that answers no shares, or rejects most of them, is set aside: miners work for the other pool if that has
//! work. Now and then one miner tests it with a few shares, until it works again.

pub mod news;
mod record;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::core::outage::Flaw;
use crate::units::{MinerId, Now, later};

use record::Record;

/// This many unanswered shares in a row are no coincidence.
const ENOUGH_UNANSWERED: usize = 3;

/// A pool is not judged by shares that are rarer than this on average, because testing it again would cost too much.
const SELDOM: Duration = Duration::from_secs(600);

/// After this many connections in a row that answered no shares, the next one will not, either.
const ENOUGH_IN_VAIN: u32 = 2;

/// The number of answers by which a member of a pool is judged, and at least the pool itself.
const LAST_ANSWERS: u32 = 20;

/// How long most shares must be rejected before a pool is set aside for members without answers.
const HEARING: Duration = Duration::from_secs(60);

/// How many miners are remembered that have tested a pool.
const MOST_TRIED: usize = 64;

/// The maximum number of shares in a trial.
const TRIAL_SHARES: u32 = 3;

/// How many of them must be answered if the pool left most unanswered, or accepted if it rejected most.
const TRIAL_MAJORITY: u32 = 2;

/// The shortest and the longest pause before a trial.
const PAUSES: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(1800)];

/// A pause lasts at least this many times as long as the last trial took.
const PAUSE_PER_COST: u32 = 20;

/// How long a trial waits for a connection with work.
const TRIAL_CONNECTS: Duration = Duration::from_secs(60);

/// How long a trial waits for a share.
const TRIAL_FINDS: Duration = Duration::from_secs(1200);

/// After being good for this long, a pool starts with short pauses again.
const PROVEN: Duration = Duration::from_secs(1800);

/// Unanswered shares in a row, in the order in which they were sent.
#[derive(Clone, Debug, Default)]
pub struct Silence {
    /// When the latest answered share was sent.
    answered: Option<Instant>,
    /// When the unanswered shares after it were sent; the last three.
    unanswered: VecDeque<Instant>,
}

impl Silence {
    /// A share that was sent then was answered: unanswered ones before it are single losses.
    pub fn answered(&mut self, sent: Instant) {
        self.answered = self.answered.max(Some(sent));
        self.unanswered.retain(|other| *other > sent);
    }

    /// A share that was sent then was given up.
    pub fn unanswered(&mut self, sent: Instant) {
        if self.answered.is_some_and(|answered| answered >= sent) {
            return;
        }
        if self.unanswered.len() == ENOUGH_UNANSWERED {
            self.unanswered.pop_front();
        }
        self.unanswered.push_back(sent);
    }

    /// The pool answers again: earlier shares no longer count.
    pub fn settle(&mut self, now: Instant) {
        self.answered = Some(now);
        self.unanswered.clear();
    }

    /// Whether any share was ever answered.
    pub fn has_answered(&self) -> bool {
        self.answered.is_some()
    }

    /// Whether a share that was sent after that time was answered.
    pub fn has_answered_since(&self, sent: Instant) -> bool {
        self.answered.is_some_and(|answered| answered > sent)
    }

    /// Since when no share has been answered, if any was given up.
    pub fn since(&self) -> Option<Instant> {
        self.unanswered.front().copied()
    }

    /// Whether there are too many in a row.
    pub fn is_long(&self) -> bool {
        self.unanswered.len() == ENOUGH_UNANSWERED
    }

    fn is_seldom(&self) -> bool {
        let ends = self.unanswered.front().zip(self.unanswered.back());
        ends.is_some_and(|(first, last)| {
            last.saturating_duration_since(*first) > SELDOM * (TRIAL_SHARES - 1)
        })
    }
}

/// A pool's answers to a member's last shares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastAnswers {
    /// One bit per answer, newest lowest; 1: rejected.
    rejected: u32,
    count: u32,
}

impl LastAnswers {
    /// Records an answer.
    pub fn push(&mut self, accepted: bool) {
        let mask = (1 << LAST_ANSWERS) - 1;
        self.rejected = ((self.rejected << 1) | u32::from(!accepted)) & mask;
        self.count = (self.count + 1).min(LAST_ANSWERS);
    }

    /// Whether there are enough answers and most are rejects.
    pub fn are_bad(self) -> bool {
        self.count == LAST_ANSWERS && self.rejected.count_ones() * 2 > self.count
    }

    /// Whether nearly all are accepted.
    pub fn are_good(self) -> bool {
        self.count > 0 && self.rejected.count_ones() * 5 <= self.count
    }
}

/// The verdict of all members of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Consensus {
    /// At least one member has nearly all shares accepted: the others cause their own rejects.
    Good,
    /// Some have no answers yet.
    Unfinished,
    /// All have rejects.
    Bad,
}

fn hear(members: impl Iterator<Item = LastAnswers>) -> Consensus {
    // Without members, nothing is certain.
    let mut consensus = Consensus::Unfinished;
    let mut unheard = false;
    for answers in members {
        if answers.are_good() {
            return Consensus::Good;
        }
        unheard |= answers.count == 0;
        consensus = Consensus::Bad;
    }
    if unheard {
        Consensus::Unfinished
    } else {
        consensus
    }
}

/// How a pool answers shares, and whether it was set aside because of that.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    silence: Silence,
    /// How many shares it answers.
    record: Record,
    /// When the last shares were answered, to see whether they are frequent enough for a verdict.
    recent: VecDeque<Instant>,
    /// Connections in a row that answered no shares, and when the last one ended.
    in_vain: u32,
    in_vain_at: Option<Instant>,
    doubt: Option<Doubt>,
    /// Failed trials since the pool was last good for long.
    failed: u32,
    /// When it was last found good again.
    cleared: Option<Instant>,
    /// The pool's last answers, for all miners.
    last: LastAnswers,
    /// Since when most of these have been rejects.
    suspect_since: Option<Instant>,
    /// Whether that happened since the last check.
    suspect: bool,
}

/// A pool that was set aside.
#[derive(Clone, Debug)]
struct Doubt {
    flaw: Flaw,
    /// Whether a single answer ends it: the pool has answered nothing, and not for the second time in a short period.
    one_is_enough: bool,
    since: Now,
    next_trial: Instant,
    trial: Option<Trial>,
    /// Miners that tested it in vain. A miner may be the cause itself, so a different one is next.
    tried: VecDeque<MinerId>,
}

/// A miner that tests a pool that was set aside.
#[derive(Clone, Debug)]
struct Trial {
    miner: MinerId,
    chosen: Instant,
    /// When it began to work for the pool.
    began: Option<Instant>,
    first_share: Option<Instant>,
    /// When it had sent enough shares.
    done: Option<Instant>,
    shares: u32,
    answered: u32,
    accepted: u32,
    rejected: u32,
}

impl Answers {
    /// Why the pool was set aside, and since when.
    pub fn flaw(&self) -> Option<(Flaw, Now)> {
        self.doubt.as_ref().map(|doubt| (doubt.flaw, doubt.since))
    }

    /// Whether it is set aside because it answers no shares.
    pub fn is_mute(&self) -> bool {
        self.flaw().is_some_and(|(flaw, _)| flaw == Flaw::Mute)
    }

    /// Whether this miner should work for the pool in order to test it.
    pub fn tries(&self, miner: MinerId) -> bool {
        self.trial()
            .is_some_and(|trial| trial.miner == miner && trial.done.is_none())
    }

    /// A share was sent to the pool.
    pub fn sent(&mut self, miner: MinerId, now: Instant) {
        if let Some(trial) = self.trial_mut().filter(|trial| trial.miner == miner) {
            trial.began.get_or_insert(now);
            trial.first_share.get_or_insert(now);
            trial.shares += 1;
            if trial.shares >= TRIAL_SHARES {
                trial.done.get_or_insert(now);
            }
        }
    }

    /// A miner started working for the pool.
    pub fn turn_began(&mut self, miner: MinerId, now: Instant) {
        if let Some(trial) = self.trial_mut().filter(|trial| trial.miner == miner) {
            trial.began.get_or_insert(now);
        }
    }

    /// The pool answered a miner's share that was sent then.
    pub fn answered(&mut self, miner: MinerId, sent: Instant, now: Instant) {
        self.record.answered(sent);
        self.heard_answer(miner, sent, now);
    }

    /// The pool answered a miner's share that was sent then, after it was given up.
    pub fn answered_late(&mut self, miner: MinerId, sent: Instant, now: Instant) {
        self.record.answered_late(sent);
        self.heard_answer(miner, sent, now);
    }

    fn heard_answer(&mut self, miner: MinerId, sent: Instant, now: Instant) {
        self.silence.answered(sent);
        self.in_vain = 0;
        if self.recent.len() == usize::try_from(LAST_ANSWERS).unwrap_or(0) {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        if let Some(trial) = self.trial_mut().filter(|trial| trial.miner == miner) {
            let is_of_trial = trial.first_share.is_some_and(|first| first <= sent)
                && trial.done.is_none_or(|done| sent <= done);
            trial.answered += u32::from(is_of_trial);
        }
        let Some(doubt) = self.doubt.as_ref().filter(|doubt| doubt.flaw == Flaw::Mute) else {
            return;
        };
        let passed = doubt
            .trial
            .as_ref()
            .is_some_and(|trial| trial.answered >= TRIAL_MAJORITY);
        if doubt.one_is_enough || passed || self.record.is_good() {
            self.clear(now);
        }
    }

    /// Whether a miner's share was accepted or rejected.
    pub fn judged(&mut self, miner: MinerId, sent: Instant, accepted: bool, now: Instant) {
        self.last.push(accepted);
        if !self.last.are_bad() {
            self.suspect_since = None;
        } else if !accepted {
            self.suspect_since.get_or_insert(now);
            self.suspect = true;
        }
        let rejecting = matches!(&self.doubt, Some(doubt) if doubt.flaw == Flaw::Rejecting);
        let trial = self.trial_mut().filter(|trial| {
            trial.miner == miner && trial.first_share.is_some_and(|first| first <= sent)
        });
        let Some(trial) = trial.filter(|_| rejecting) else {
            return;
        };
        if accepted {
            trial.accepted += 1;
        } else {
            trial.rejected += 1;
        }
        if trial.accepted >= TRIAL_MAJORITY {
            self.clear(now);
        } else if trial.rejected >= TRIAL_MAJORITY {
            self.trial_failed(now);
        }
    }

    /// A share that was sent then was given up, although the pool has sent something since. `patience`: how long a
    /// share may wait for its answer.
    pub fn unanswered(&mut self, sent: Instant, patience: Duration, now: Now) {
        self.silence.unanswered(sent);
        self.record.lost(sent);
        let is_silent = self.silence.is_long() && !self.silence.is_seldom();
        if self.record.is_bad(patience, now.at) {
            self.set_aside(Flaw::Mute, false, now);
        } else if is_silent {
            self.set_aside(Flaw::Mute, true, now);
        }
    }

    /// A connection that was opened then ended without answering any of its shares.
    pub fn ended_in_vain(&mut self, opened: Instant, now: Now) {
        // Connections of a farm that end together count once.
        if self.in_vain_at.is_some_and(|last| opened <= last) && self.in_vain > 0 {
            return;
        }
        let lately = |last| now.at.saturating_duration_since(last) <= SELDOM * ENOUGH_IN_VAIN;
        if !self.in_vain_at.is_some_and(lately) {
            self.in_vain = 0;
        }
        self.in_vain += 1;
        self.in_vain_at = Some(now.at);
        if self.in_vain >= ENOUGH_IN_VAIN {
            self.set_aside(Flaw::Mute, true, now);
        }
    }

    /// Whether most of the last answers were rejects, so that all members must be checked.
    pub fn take_suspect(&mut self) -> bool {
        std::mem::take(&mut self.suspect)
    }

    /// Checks all members, each with the pool's answers to it.
    pub fn hear(&mut self, members: impl Iterator<Item = LastAnswers>, now: Now) {
        let passed = |since: &Instant| now.at.saturating_duration_since(*since);
        let often = self
            .recent
            .front()
            .is_some_and(|first| passed(first) <= SELDOM * LAST_ANSWERS);
        let long = self
            .suspect_since
            .is_some_and(|since| passed(&since) >= HEARING);
        let bad = match hear(members) {
            Consensus::Good => false,
            Consensus::Unfinished => long,
            Consensus::Bad => true,
        };
        if bad && often {
            self.set_aside(Flaw::Rejecting, false, now);
        }
    }

    /// Whether it is time for a trial.
    pub fn wants_trial(&self, now: Instant) -> bool {
        let doubt = self.doubt.as_ref();
        doubt.is_some_and(|doubt| doubt.trial.is_none() && doubt.next_trial <= now)
    }

    /// Lets a miner test the pool.
    pub fn try_with(&mut self, miner: MinerId, now: Instant) {
        if let Some(doubt) = &mut self.doubt {
            doubt.trial = Some(Trial {
                miner,
                chosen: now,
                began: None,
                first_share: None,
                done: None,
                shares: 0,
                answered: 0,
                accepted: 0,
                rejected: 0,
            });
        }
    }

    /// No miner can test it now.
    pub fn try_later(&mut self, now: Instant) {
        if let Some(doubt) = &mut self.doubt {
            doubt.next_trial = later(now, PAUSES[0]);
        }
    }

    /// Whether another miner should test it first.
    pub fn has_tried(&self, miner: MinerId) -> bool {
        let doubt = self.doubt.as_ref();
        doubt.is_some_and(|doubt| doubt.tried.contains(&miner))
    }

    /// The miner that tests the pool.
    pub fn trier(&self) -> Option<MinerId> {
        self.trial().map(|trial| trial.miner)
    }

    /// The miner that tested it has left.
    pub fn trier_left(&mut self, now: Instant) {
        if let Some(doubt) = &mut self.doubt {
            doubt.trial = None;
            doubt.next_trial = now;
        }
    }

    /// Ends a trial without a result. `patience`: how long a share may wait for its answer.
    pub fn end_overdue_trial(&mut self, patience: Duration, now: Instant) {
        let overdue = self.trial_ends(patience);
        if overdue.is_some_and(|due| due <= now) {
            self.trial_failed(now);
        }
    }

    /// When the next trial begins or the current one ends.
    pub fn next_deadline(&self, patience: Duration) -> Option<Instant> {
        let next = self.doubt.as_ref().map(|doubt| doubt.next_trial);
        self.trial_ends(patience).or(next)
    }

    /// When the current trial ends.
    fn trial_ends(&self, patience: Duration) -> Option<Instant> {
        let doubt = self.doubt.as_ref()?;
        Some(
            doubt
                .trial
                .as_ref()?
                .deadline(doubt.one_is_enough, patience),
        )
    }

    fn trial(&self) -> Option<&Trial> {
        self.doubt.as_ref()?.trial.as_ref()
    }

    fn trial_mut(&mut self) -> Option<&mut Trial> {
        self.doubt.as_mut()?.trial.as_mut()
    }

    /// `silent`: because it has answered nothing.
    fn set_aside(&mut self, flaw: Flaw, silent: bool, now: Now) {
        if self.doubt.is_some() {
            return;
        }
        let proven = self
            .cleared
            .is_none_or(|cleared| now.at.saturating_duration_since(cleared) >= PROVEN);
        if proven {
            self.failed = 0;
        }
        self.doubt = Some(Doubt {
            flaw,
            // A pool that answers now and then is silent in between.
            one_is_enough: silent && proven,
            since: now,
            next_trial: later(now.at, self.pause(Duration::ZERO)),
            trial: None,
            tried: VecDeque::new(),
        });
        self.record.restart(now.at);
        self.failed = self.failed.saturating_add(1);
    }

    fn trial_failed(&mut self, now: Instant) {
        let cost = self.trial().map_or(Duration::ZERO, |trial| {
            let end = trial.done.unwrap_or(now);
            let began = trial.began.unwrap_or(end);
            end.saturating_duration_since(began)
        });
        let pause = self.pause(cost);
        self.failed = self.failed.saturating_add(1);
        if let Some(doubt) = &mut self.doubt {
            if let (Flaw::Rejecting, Some(trial)) = (doubt.flaw, doubt.trial.take()) {
                if doubt.tried.len() == MOST_TRIED {
                    doubt.tried.pop_front();
                }
                doubt.tried.push_back(trial.miner);
            }
            doubt.trial = None;
            doubt.next_trial = later(now, pause);
        }
    }

    /// 1, 2, 4 … 30 minutes.
    fn pause(&self, cost: Duration) -> Duration {
        let doubled = PAUSES[0] * 2u32.pow(self.failed.min(5));
        doubled.min(PAUSES[1]).max(cost * PAUSE_PER_COST)
    }

    fn clear(&mut self, now: Instant) {
        self.doubt = None;
        self.cleared = Some(now);
        // Earlier shares say nothing about later ones.
        self.silence.settle(now);
        self.record.restart(now);
        self.recent.clear();
        (self.last, self.suspect_since, self.suspect) = (LastAnswers::default(), None, false);
        self.in_vain = 0;
    }
}

impl Trial {
    fn deadline(&self, one_is_enough: bool, patience: Duration) -> Instant {
        match (one_is_enough, self.first_share, self.began) {
            (true, Some(first), _) => later(first, patience),
            // One answer says little, and the next share of a small miner may take long.
            (_, Some(_), Some(began)) => match self.done {
                Some(done) => later(done, patience),
                None => later(began, TRIAL_FINDS * TRIAL_MAJORITY),
            },
            (_, _, Some(began)) => later(began, TRIAL_FINDS),
            (_, _, None) => later(self.chosen, TRIAL_CONNECTS),
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
mod tests {
    use super::*;

    const MINER: MinerId = MinerId(1);
    const PATIENCE: Duration = Duration::from_secs(30);

    struct Clock(Instant);

    impl Clock {
        fn at(&self, seconds: u64) -> Instant {
            self.0 + Duration::from_secs(seconds)
        }

        fn now(&self, seconds: u64) -> Now {
            Now {
                at: self.at(seconds),
                unix_ms: 1000 * seconds,
            }
        }
    }

    fn clock() -> Clock {
        Clock(Instant::now())
    }

    /// Set aside at 33 s.
    fn mute(clock: &Clock) -> Answers {
        let mut answers = Answers::default();
        for sent in 1..=3 {
            answers.unanswered(clock.at(sent), PATIENCE, clock.now(sent + 30));
        }
        assert!(answers.is_mute());
        answers
    }

    #[test]
    fn only_consecutive_shares_count() {
        let clock = clock();
        let mut answers = Answers::default();
        // Every third one is answered before the others are given up.
        for sent in (0..300).step_by(3) {
            answers.answered(MINER, clock.at(sent + 2), clock.at(sent + 2));
            answers.unanswered(clock.at(sent), PATIENCE, clock.now(sent + 30));
            answers.unanswered(clock.at(sent + 1), PATIENCE, clock.now(sent + 31));
        }
        assert_eq!(answers.flaw(), None);
        // Many were lost, but what was sent before and after them was answered.
        let mut answers = Answers::default();
        for sent in (0..371).chain([400]) {
            answers.answered(MINER, clock.at(sent), clock.at(sent));
        }
        for sent in 371..400 {
            answers.unanswered(clock.at(sent), PATIENCE, clock.now(sent + 30));
        }
        assert_eq!(answers.flaw(), None);
    }

    #[test]
    fn pauses_double_and_are_longer_after_a_long_trial() {
        let clock = clock();
        let mut answers = mute(&clock);
        let mut now = 33;
        for minutes in [1, 2, 4, 8, 16, 30, 30] {
            let due = answers.next_deadline(PATIENCE).unwrap();
            assert_eq!(due, clock.at(now + 60 * minutes));
            now += 60 * minutes;
            assert!(answers.wants_trial(clock.at(now)));
            answers.try_with(MINER, clock.at(now));
            assert!(answers.tries(MINER) && !answers.tries(MinerId(2)));
            for _ in 0..3 {
                answers.sent(MINER, clock.at(now));
            }
            assert!(!answers.tries(MINER), "three shares are enough");
            now += 30;
            answers.end_overdue_trial(PATIENCE, clock.at(now));
        }
        // Its only share came after five minutes, and then it waited for the answer.
        now += 1800;
        answers.try_with(MINER, clock.at(now));
        answers.turn_began(MINER, clock.at(now));
        answers.sent(MINER, clock.at(now + 300));
        assert!(answers.tries(MINER));
        answers.end_overdue_trial(PATIENCE, clock.at(now + 330));
        let due = answers.next_deadline(PATIENCE).unwrap();
        assert_eq!(due, clock.at(now + 330 + 20 * 330));
    }

    #[test]
    fn any_answer_clears_a_mute_pool_and_earlier_shares_no_longer_count() {
        let clock = clock();
        let mut answers = mute(&clock);
        answers.answered(MINER, clock.at(1), clock.at(41));
        assert_eq!(answers.flaw(), None);
        for sent in 2..40 {
            answers.unanswered(clock.at(sent), PATIENCE, clock.now(sent + 45));
        }
        assert_eq!(answers.flaw(), None);
        // Not for long: the next pause is the second one.
        for sent in 50..53 {
            answers.unanswered(clock.at(sent), PATIENCE, clock.now(82));
        }
        assert_eq!(answers.next_deadline(PATIENCE), Some(clock.at(82 + 120)));
    }

    #[test]
    fn a_trial_ends_without_a_connection_a_share_or_its_miner() {
        let clock = clock();
        let mut answers = mute(&clock);
        answers.try_with(MINER, clock.at(93));
        assert_eq!(answers.next_deadline(PATIENCE), Some(clock.at(153)));
        answers.turn_began(MINER, clock.at(100));
        assert_eq!(answers.next_deadline(PATIENCE), Some(clock.at(1300)));
        answers.trier_left(clock.at(200));
        assert!(answers.wants_trial(clock.at(200)));
    }

    #[test]
    fn a_farms_connections_that_end_together_count_once() {
        let clock = clock();
        let mut answers = Answers::default();
        for miner in 0..40 {
            answers.ended_in_vain(clock.at(miner), clock.now(100 + miner));
        }
        assert_eq!(answers.flaw(), None);
        answers.ended_in_vain(clock.at(150), clock.now(200));
        assert!(answers.is_mute());
        // With an answer in between, they do not count.
        let mut answers = Answers::default();
        for start in [0, 100, 200, 300] {
            answers.ended_in_vain(clock.at(start), clock.now(start + 50));
            answers.answered(MINER, clock.at(start + 60), clock.at(start + 60));
        }
        assert_eq!(answers.flaw(), None);
    }

    fn said(rejected: u32, accepted: u32) -> LastAnswers {
        let mut answers = LastAnswers::default();
        for _ in 0..rejected {
            answers.push(false);
        }
        for _ in 0..accepted {
            answers.push(true);
        }
        answers
    }

    #[test]
    fn rejections_condemn_a_pool_only_if_no_miner_has_accepted_shares() {
        let heard = |members: &[LastAnswers]| {
            let clock = clock();
            let mut answers = Answers::default();
            for second in 0..20 {
                answers.answered(MINER, clock.at(second), clock.at(second));
                answers.judged(MINER, clock.at(second), second % 3 == 0, clock.at(second));
            }
            assert!(answers.take_suspect());
            answers.hear(members.iter().copied(), clock.now(20));
            let at_once = answers.flaw().is_some();
            answers.hear(members.iter().copied(), clock.now(90));
            (at_once, answers.flaw().is_some())
        };
        assert_eq!(heard(&[said(13, 7)]), (true, true));
        assert_eq!(heard(&[said(20, 0), said(0, 1)]), (false, false));
        assert_eq!(heard(&[said(20, 0), said(1, 0)]), (true, true));
        assert_eq!(heard(&[said(20, 0), said(0, 0)]), (false, true));
        assert_eq!(
            heard(&[said(12, 8), said(11, 9), said(3, 17)]),
            (false, false)
        );
    }
}
