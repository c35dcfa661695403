//! Applies the owner's settings to the miners: temporary changes, the timetable, and which pools are needed.

use std::time::Duration;

use crate::core::action::Action;
use crate::core::fact::Fact;
use crate::core::pool::line::Look;
use crate::core::steering::{Override, TimetableNow};
use crate::core::{Core, Due};
use crate::units::{Now, PerPool, PoolSlot, later};

impl Core {
    /// Handles a temporary change.
    pub(in crate::core) fn on_override(
        &mut self,
        change: Override,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        if let Some(old) = self.steering.end(&change.workers) {
            report_end(old, false, out);
        }
        if self.steering.set(change.clone()) {
            out.push(Action::Report(Fact::OverrideSet { change }));
        }
        self.steering_changed(now, out);
    }

    /// The owner ends a temporary change.
    pub(in crate::core) fn on_override_ended(
        &mut self,
        workers: &[String],
        now: Now,
        out: &mut Vec<Action>,
    ) {
        if let Some(old) = self.steering.end(workers) {
            report_end(old, false, out);
            self.steering_changed(now, out);
        }
    }

    /// Handles a change of the timetable.
    pub(in crate::core) fn on_timetable(
        &mut self,
        timetable: TimetableNow,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let before = std::mem::replace(&mut self.steering.timetable, timetable);
        if before.entry != timetable.entry {
            let entry = timetable.entry;
            out.push(Action::Report(Fact::TimetableChanged { entry }));
        }
        self.end_overrides(now, out);
        self.steering_changed(now, out);
    }

    /// Ends the temporary changes whose time is over.
    pub(in crate::core) fn end_overrides(&mut self, now: Now, out: &mut Vec<Action>) {
        let over = self.steering.end_overdue(now.unix_ms);
        let any = !over.is_empty();
        for change in over {
            report_end(change, true, out);
        }
        if any {
            self.steering_changed(now, out);
        } else {
            self.note_next_end(now);
        }
    }

    /// Saves the changes and applies them to the miners.
    pub(in crate::core) fn steering_changed(&mut self, now: Now, out: &mut Vec<Action>) {
        out.push(Action::SaveState);
        self.note_next_end(now);
        self.renew_aims(now, out);
    }

    fn note_next_end(&mut self, now: Now) {
        let next = self.steering.next_end(now.unix_ms);
        let due = next.map(|ms| later(now.at, Duration::from_millis(ms)));
        self.agenda.set(Due::Override, due);
    }

    /// Updates every miner's aim from the owner's settings.
    pub(in crate::core) fn renew_aims(&mut self, now: Now, out: &mut Vec<Action>) {
        self.meant = PerPool::from_fn(|slot| self.steering.may_mean(slot, &self.wanted));
        let common = self.steering.common(&self.wanted);
        self.courses.follow(common.work, now.unix_ms);
        self.renew_use(now, out);
        let (steering, config) = (&self.steering, &self.wanted);
        let over = self
            .silence
            .ended(|worker| steering.aim(worker, config).pauses());
        for worker in over {
            let worker = worker.to_string();
            out.push(Action::Report(Fact::WorkerResumed { worker }));
        }
        self.plan_fleet(now);
        for id in self.miner_ids() {
            self.with_miner(id, now, out, |miner, cx| miner.look_at_aim(cx));
        }
    }

    /// Records which pools are needed: those that workers should work for, and the other one while such a pool fails.
    pub(in crate::core) fn renew_use(&mut self, now: Now, out: &mut Vec<Action>) {
        for slot in PoolSlot::ALL {
            let other = slot.other();
            let stands_in = self.meant[other]
                && self.config.scheduler.failover
                && (self.pools[other].fails() || self.config.pools[other].is_none());
            let is_set_up = self.config.pools[slot].is_some();
            let needed = is_set_up && (self.meant[slot] || stands_in);
            let was = std::mem::replace(&mut self.pools[slot].in_use, needed);
            if needed && !was {
                self.look_for(slot, now, out);
            } else if was && !needed {
                self.close_look(Look::Reach, slot, now, out);
                self.close_look(Look::Survey, slot, now, out);
                self.close_look(Look::Names, slot, now, out);
            }
        }
    }
}

fn report_end(change: Override, in_time: bool, out: &mut Vec<Action>) {
    out.push(Action::Report(Fact::OverrideEnded { change, in_time }));
}
