//! What a miner may use while an event is handled: the time, the settings, the pools and the totals.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::config::Config;
use crate::core::action::Action;
use crate::core::fact::{Fact, ShareOutcome};
use crate::core::pool::Pool;
use crate::core::pool::connection::Loss;
use crate::core::pool::connection::open::{Open, PendingShare};
use crate::core::pool::facts::PoolFacts;
use crate::core::pool::health::Outage;
use crate::core::pool::version_form::{Change, Kind, Sending, Ways};
use crate::core::split::schedule::Rules;
use crate::core::stats::totals::Totals;
use crate::core::work::extranonce::{Room, Seats, SizeHabits};
use crate::core::work::handed_out::Templates;
use crate::core::{pools_gone, pools_known};
use crate::random::Random;
use crate::stratum::job::{Notify, PoolJob};
use crate::stratum::reject::RejectClass;
use crate::units::{LinkId, Now, PerPool, PoolConn, PoolSlot, VersionForm};

/// What one miner may use while an event is handled.
pub struct Turn<'a> {
    pub(in crate::core) now: Now,
    pub(in crate::core) config: &'a Config,
    /// What the owner wants, with the pools at their first addresses.
    pub(in crate::core) wanted: &'a Config,
    pub(in crate::core) known: &'a BTreeMap<String, PoolFacts>,
    pub(in crate::core) rules: Rules,
    pub(in crate::core) pools: &'a mut PerPool<Pool>,
    pub(in crate::core) templates: &'a mut Templates,
    pub(in crate::core) seats: &'a mut Seats,
    pub(in crate::core) size_habits: &'a mut SizeHabits,
    pub(in crate::core) totals: &'a mut Totals,
    pub(in crate::core) random: &'a mut Random,
    pub(in crate::core) out: &'a mut Vec<Action>,
    /// A pool that has just come up: miners that wait for their answer may get it.
    pub(in crate::core) came_up: bool,
    /// A pool for which nobody could work a moment ago: others that wait for it may follow.
    pub(in crate::core) opened: Option<PoolSlot>,
    /// A miner came that no pool can be found for: is one of them back?
    pub(in crate::core) seeks_pools: bool,
    /// A pool has just told its extranonce1 to this connection.
    pub(in crate::core) subscribed: Option<PoolConn>,
    /// The miner needs all the room that the pools leave: can it do without an extranonce1 of its own?
    pub(in crate::core) needs_all_room: bool,
}

impl Turn<'_> {
    pub(in crate::core) fn report(&mut self, fact: Fact) {
        self.out.push(Action::Report(fact));
    }

    pub(in crate::core) fn pools_known(&self) -> bool {
        pools_known(self.pools, self.config, self.now)
    }

    /// Whether no pool has been there for so long that miners are let go.
    pub(in crate::core) fn pools_gone(&self) -> bool {
        pools_gone(self.pools, self.config, self.now)
    }

    /// A miner waits for its answer; if that is because no pool is there, they are looked for.
    pub(in crate::core) fn seek_pools(&mut self) {
        self.seeks_pools |= self.pools_gone();
    }

    /// What all pools leave for the miner's own extranonces.
    pub(in crate::core) fn room(&self) -> Room {
        Room::of(self.wanted, self.pools, self.known)
    }

    /// Tells what a connection found out about its pool.
    pub(in crate::core) fn tell_learnt(&mut self, slot: PoolSlot, before: PoolFacts) {
        let facts = self.pools[slot].facts;
        let news = (facts.e2_size, facts.mask) != (before.e2_size, before.mask);
        if let Some(e2_size) = facts.e2_size.filter(|_| news) {
            self.report(Fact::PoolLearnt {
                slot,
                e2_size,
                mask: facts.mask,
            });
        }
    }

    /// Notes when a pool sent a job: one that is new to all, or one that a connection was told.
    pub(in crate::core) fn note_job(
        &mut self,
        slot: PoolSlot,
        before: Option<&Arc<Notify>>,
        is_job: bool,
        opened: Instant,
    ) {
        let pool = &mut self.pools[slot];
        if is_job || before.map(Arc::as_ptr) != pool.latest.as_ref().map(Arc::as_ptr) {
            if let Some(job) = &pool.latest {
                pool.news.hear(job, opened, self.now);
            }
            pool.job_at = Some(self.now.into());
        }
    }

    /// Notes that a job's work was handed out with a time in the header.
    pub(in crate::core) fn handed_out(&mut self, job: &PoolJob, ntime: u32) {
        self.templates.note(job.template, ntime, self.now.at);
    }

    /// How a share is to be sent whose version bits can be written in two forms.
    pub(in crate::core) fn plan_version_form(
        &mut self,
        slot: PoolSlot,
        ways: &Ways,
        block: bool,
    ) -> Sending {
        let pool = &mut self.pools[slot];
        let answer = self.config.pools[slot].as_ref().map(|pool| pool.answer);
        let (answer, now) = (answer.unwrap_or_default(), self.now.at);
        pool.forms.plan(ways, &pool.facts.forms, block, answer, now)
    }

    /// Learns from what became of a share that was sent in a form.
    pub(in crate::core) fn learn_version_form(
        &mut self,
        slot: PoolSlot,
        kind: Kind,
        form: VersionForm,
        outcome: &ShareOutcome,
    ) {
        let accepted = match outcome {
            ShareOutcome::Accepted => true,
            ShareOutcome::RejectedByPool(reject) => match RejectClass::of(reject) {
                RejectClass::Stale | RejectClass::Duplicate => return,
                RejectClass::LowDifficulty | RejectClass::Unauthorized | RejectClass::Other => {
                    false
                }
            },
            ShareOutcome::BelowPool | ShareOutcome::RefusedHere(_) | ShareOutcome::Lost(_) => {
                return;
            }
        };
        let Pool { forms, facts, .. } = &mut self.pools[slot];
        if let Some(change) = forms.answered(kind, form, accepted, &mut facts.forms) {
            let form = match change {
                Change::Learnt(form) => Some(form),
                Change::Hopeless => None,
            };
            self.report(Fact::VersionForm { slot, form });
        }
    }

    /// Notes what became of a block candidate; one that no answer came to waits for its pool, once.
    pub(in crate::core) fn block_ended(&mut self, share: &PendingShare, outcome: &ShareOutcome) {
        let Some(candidate) = &share.block else {
            return;
        };
        let hash = candidate.hash;
        self.out.push(Action::KeepAnswer {
            hash,
            outcome: outcome.clone(),
        });
        if share.id.is_none() {
            self.totals.block_answered(candidate.slot, outcome);
            self.report(Fact::KeptBlock {
                slot: candidate.slot,
                worker: candidate.worker.clone(),
                hash,
                outcome: outcome.clone(),
            });
        } else if matches!(outcome, ShareOutcome::Lost(_)) {
            let blocks = &mut self.pools[candidate.slot].blocks;
            blocks.hold(Arc::clone(candidate), self.now.at);
        }
    }

    pub(in crate::core) fn pool_ready(&mut self, slot: PoolSlot) {
        if self.pools[slot].connection_ready(self.now) {
            if !self.pools[slot].is_set_aside() {
                self.report(Fact::PoolUp { slot });
            }
            self.came_up = true;
        }
    }

    /// A connection failed, or could not be made.
    pub(in crate::core) fn pool_failed(
        &mut self,
        slot: PoolSlot,
        open: Option<&Open>,
        loss: &Loss,
    ) {
        if open.is_some_and(Open::has_worked) {
            self.pools[slot].work_ended(true, self.now, self.random);
        }
        let down = if open.is_some_and(Open::is_ready) {
            self.pools[slot].connection_ended(Some(loss), self.now)
        } else {
            self.pools[slot].attempt_failed(loss, self.now)
        };
        if down && !self.pools[slot].is_set_aside() {
            self.report(Fact::PoolDown {
                slot,
                reason: Outage::Lost(loss.clone()),
            });
        }
    }

    /// A good connection is not needed any more.
    pub(in crate::core) fn pool_let_go(&mut self, open: &Open) {
        let pool = &mut self.pools[open.conn.slot];
        if open.has_worked() {
            pool.work_ended(false, self.now, self.random);
        }
        pool.connection_ended(None, self.now);
    }

    pub(in crate::core) fn let_go(&mut self, open: &Open) {
        if open.is_ready() {
            self.pool_let_go(open);
        }
        self.close_pool(open.conn);
    }

    pub(in crate::core) fn close_pool(&mut self, conn: PoolConn) {
        self.out.push(Action::Close {
            link: LinkId::Pool(conn),
        });
    }
}
