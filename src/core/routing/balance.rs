//! Passes earnings from the pools' jobs to the balance, and the resulting split to the miners.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::core::action::Action;
use crate::core::fact::Fact;
use crate::core::{Core, Due};
use crate::units::{Now, PoolSlot, later};

/// How long after a job its value is calculated, so that jobs are passed on immediately.
const AFTER_JOB: Duration = Duration::from_secs(10);

/// The shortest time between checks whether the split may move.
const SOON: Duration = Duration::from_secs(1);

impl Core {
    /// Handles a pool's latest job: its reward, if that could be read, and its compact target.
    pub(in crate::core) fn price_job(
        &mut self,
        slot: PoolSlot,
        reward: Option<u64>,
        nbits: u32,
        now: Now,
    ) {
        if self.steering.timetable.clock_is_wrong {
            return;
        }
        let pools = &self.wanted.pools;
        let [chain, other] = [slot, slot.other()].map(|slot| Some(&pools[slot].as_ref()?.chain));
        // Two pools of the same coin need no balance.
        if let Some(chain) = chain.filter(|_| chain != other) {
            self.balancer.hear(slot, chain, (reward, nbits), now);
            self.agenda
                .no_later(Due::Balance, Some(later(now.at, AFTER_JOB)));
        }
    }

    /// Handles prices from a program.
    pub(in crate::core) fn on_prices_set(
        &mut self,
        prices: &BTreeMap<String, f64>,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        self.balancer.put_prices(prices, &self.wanted, now);
        out.push(Action::SaveState);
        self.balance_split(now, out);
    }

    /// Lets the miners follow the earnings.
    pub(in crate::core) fn balance_split(&mut self, now: Now, out: &mut Vec<Action>) {
        if self.follow_earnings(now, out) {
            self.steering_changed(now, out);
        }
    }

    /// Follows the earnings. Returns whether that changes what workers should do.
    pub(in crate::core) fn follow_earnings(&mut self, now: Now, out: &mut Vec<Action>) -> bool {
        let clock_is_wrong = self.steering.timetable.clock_is_wrong;
        if let Some(moved) = self.balancer.follow(&self.wanted, clock_is_wrong, now) {
            out.push(Action::Report(Fact::BalanceMoved { moved }));
        }
        let next = self.balancer.next_step(&self.wanted, clock_is_wrong, now);
        let wait = next.map(|at| Duration::from_millis(at.saturating_sub(now.unix_ms)));
        let due = wait.map(|wait| later(now.at, wait.max(SOON)));
        self.agenda.set(Due::Balance, due);
        let work = self.balancer.work(&self.wanted);
        std::mem::replace(&mut self.steering.balance, work) != work
    }
}
