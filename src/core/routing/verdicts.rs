//! Applies verdicts: pools are set aside and used again, and a miner is sent to test one.

use std::time::Instant;

use crate::core::action::Action;
use crate::core::fact::Fact;
use crate::core::outage::{Flaw, Health, Outage};
use crate::core::pool::verdict::LastAnswers;
use crate::core::pool::verdict::news::can_be_proven;
use crate::core::{Core, Due};
use crate::stratum::job::Notify;
use crate::units::{Now, PoolSlot};

impl Core {
    /// Applies the verdicts that follow from the pools' answers.
    pub(in crate::core) fn look_at_verdicts(&mut self, now: Now, out: &mut Vec<Action>) {
        for slot in PoolSlot::ALL {
            let Some(patience) = self.config.pools[slot].as_ref().map(|pool| pool.answer) else {
                self.agenda.set(Due::Verdict(slot), None);
                self.pools[slot].told_flaw = None;
                continue;
            };
            if self.pools[slot].answers.take_suspect() {
                let pool = &self.pools[slot];
                // Old answers to a miner that hangs say nothing about the pool now.
                let members = self.miners.values().filter(|miner| {
                    miner.can_work_for(pool, &self.handed_out, now.at) && !miner.hangs(now.at)
                });
                let said: Vec<_> = members.map(|miner| miner.last_answers[slot]).collect();
                self.pools[slot].answers.hear(said.into_iter(), now);
            }
            self.pools[slot].answers.end_overdue_trial(patience, now.at);
            self.look_at_trial(slot, now, out);
            let news = self.look_at_news(slot, now);
            let flaw = self.pools[slot].flaw().map(|(flaw, _)| flaw);
            if flaw != self.pools[slot].told_flaw {
                self.tell_verdict(slot, flaw, now, out);
            }
            if let Some(time) = self.pools[slot].take_no_job(now.at) {
                let seconds = time.as_secs();
                out.push(Action::Report(Fact::PoolNoJob { slot, seconds }));
            }
            let news = news.into_iter().chain(self.pools[slot].next_job_due());
            let trial = self.pools[slot].answers.next_deadline(patience);
            self.agenda.set(Due::Verdict(slot), news.chain(trial).min());
        }
    }

    /// Compares the jobs of both pools. Returns when the result may change.
    fn look_at_news(&mut self, slot: PoolSlot, now: Now) -> Option<Instant> {
        let config = self.config.pools[slot].as_ref()?;
        let (provable, patience) = (can_be_proven(&config.chain), config.job);
        let other = &self.pools[slot.other()].news;
        let left = self.pools[slot].news.left_by(other, provable);
        let pool = &mut self.pools[slot];
        pool.left = left;
        // Without a connection, a pool cannot send anything.
        if !pool.has_work() {
            return None;
        }
        pool.news.judge(left, patience, now);
        pool.news.next_deadline(left, patience, now.at)
    }

    /// Whether this job builds on a block that one of the pools has moved on from.
    pub(in crate::core) fn is_old(&self, slot: PoolSlot, job: &Notify, now: Now) -> bool {
        let config = self.config.pools[slot].as_ref();
        let provable = config.is_some_and(|config| can_be_proven(&config.chain));
        let mut pools = self.pools.iter();
        provable && pools.any(|(_, pool)| pool.news.has_left(job, now))
    }

    /// Chooses the miner that tests a pool.
    fn look_at_trial(&mut self, slot: PoolSlot, now: Now, out: &mut Vec<Action>) {
        let trier = self.pools[slot].answers.trier();
        if trier.is_some_and(|trier| !self.miners.contains_key(&trier)) {
            self.pools[slot].answers.trier_left(now.at);
        }
        if !self.pools[slot].answers.wants_trial(now.at) {
            return;
        }
        let pool = &self.pools[slot];
        // The miner that finds shares most quickly loses the least.
        let able = self.miners.iter();
        let able = able.filter(|(_, miner)| miner.can_work_for(pool, &self.handed_out, now.at));
        let answers = &pool.answers;
        let best = able
            .map(|(id, miner)| {
                let expected = miner.expected_shares(pool, now.at);
                (!answers.has_tried(id), expected, id)
            })
            .max_by(|(fresh, a, _), (other, b, _)| fresh.cmp(other).then(a.total_cmp(b)));
        let Some((_, _, miner)) = best else {
            self.pools[slot].answers.try_later(now.at);
            return;
        };
        self.pools[slot].answers.try_with(miner, now.at);
        self.with_miner(miner, now, out, |it, cx| it.renew_unanswered(slot, cx));
        let line = self.miners.get(&miner).and_then(|miner| miner.lines[slot]);
        if let Some(line) = line {
            self.with_members(slot, line, now, out, |_, _| ());
        }
    }

    /// Reports that a pool was set aside or is used again, and updates the miners.
    fn tell_verdict(
        &mut self,
        slot: PoolSlot,
        flaw: Option<Flaw>,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        // Work until now counts under the previous verdict.
        let before = std::mem::replace(&mut self.pools[slot].told_flaw, flaw);
        let frozen =
            before.is_some_and(Flaw::earns_nothing) || self.pools[slot.other()].earns_nothing();
        for miner in self.miners.values_mut() {
            let rules = miner.rules(&self.config, frozen);
            miner.account(now.at, &rules, &mut self.totals);
        }
        let is_up = self.pools[slot].health == Health::Up;
        match flaw {
            Some(flaw) => out.push(Action::Report(Fact::PoolDown {
                slot,
                reason: Outage::Flaw(flaw),
            })),
            None if is_up => out.push(Action::Report(Fact::PoolUp { slot })),
            None => (),
        }
        for id in self.miner_ids() {
            self.with_miner(id, now, out, |miner, cx| {
                if flaw.is_none() {
                    miner.renew_unanswered(slot, cx);
                } else {
                    miner.last_answers[slot] = LastAnswers::default();
                }
            });
        }
    }
}
