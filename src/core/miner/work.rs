//! Which pool the miner works for, and the jobs that it is sent.

use std::sync::Arc;
use std::time::Instant;

use super::{Idle, Life, Miner};
use crate::core::action::Action;
use crate::core::fact::{Fact, SwitchCause};
use crate::core::miner::context::Context;
use crate::core::miner::vardiff::{Change, least};
use crate::core::pool::Pool;
use crate::core::pool::both;
use crate::core::pool::connection::Connection;
use crate::core::split::schedule::Rules;
use crate::core::stats::totals::Totals;
use crate::core::steering::AimSource;
use crate::core::work::handed_out::HandedOut;
use crate::core::work::jobs::{HeldJobs, NTIME_ROOM, SentJob};
use crate::stratum::job::network_difficulty;
use crate::stratum::message::{ToMiner, Work};
use crate::units::{Difficulty, LineId, PerPool, PoolConn, PoolSlot, VersionMask};

/// The highest difficulty for a miner without work: the largest that fits into a signed 32-bit field in firmware. 200
/// TH/s find such a share in half a day.
const PARKED_DIFFICULTY: f64 = 2_147_483_647.0;

impl Miner {
    /// Moves the miner to the pool that the schedule wants.
    pub(super) fn follow_schedule(&mut self, cx: &mut Context<'_>) {
        if !self.session.takes_jobs() {
            return;
        }
        let now = cx.now.at;
        self.account(now, &cx.rules, cx.totals);
        let has_work = PerPool::from_fn(|slot| self.may_work_for(slot) && self.has_work(slot, cx));
        let available = both::choice(cx.pools, self.id, has_work);
        let available = self.without_own(available, cx);
        let before = self.schedule.on();
        match self.schedule.choose(now, &cx.rules, available) {
            Some(slot) if before == Some(slot) => self.break_silence(slot, cx),
            Some(slot) => {
                let cause = match before {
                    None => SwitchCause::Start,
                    Some(left) if available[left] => SwitchCause::Schedule,
                    Some(left)
                        if self.place.is_some() && !self.stood_in && !self.may_work_for(left) =>
                    {
                        SwitchCause::Fleet
                    }
                    Some(left) if !self.may_work_for(left) => match self.aim.source {
                        AimSource::Usual if !self.stood_in => SwitchCause::Config,
                        AimSource::Usual
                        | AimSource::Worker
                        | AimSource::Group
                        | AimSource::Override
                        | AimSource::Timetable
                        | AimSource::Balance => SwitchCause::Steering,
                    },
                    Some(_) => SwitchCause::Failover,
                };
                self.switch_to(slot, cause, cx);
            }
            None if before.is_some() => {
                self.schedule.set_turn(None, now);
                self.idle = Some(Idle::since(now));
                cx.report(Fact::MinerIdle {
                    miner: self.id,
                    together: false,
                });
                self.park(cx);
            }
            None => self.park(cx),
        }
    }

    /// Accounts for the time since the last call, under the rules that applied then.
    pub fn account(&mut self, now: Instant, rules: &Rules, totals: &mut Totals) {
        if let Some((slot, seconds)) = self.schedule.advance(now, rules) {
            totals.pools[slot].seconds += seconds;
        }
    }

    /// Some miners give up on a server that sends nothing new, so they get their job again as fresh work.
    fn break_silence(&mut self, slot: PoolSlot, cx: &mut Context<'_>) {
        if self.is_silent_for_long(cx.now.at) {
            self.send_work(slot, cx);
        }
    }

    /// Keeps a miner from sending shares while no pool has work: it gets its last job again, at a difficulty that only
    /// a block meets. No pool could credit its shares, and rejecting them makes some software exit: cpuminer-opt does
    /// so when more than half are rejected (compat Q68).
    fn park(&mut self, cx: &mut Context<'_>) {
        let now = cx.now.at;
        let silent = self.is_silent_for_long(now);
        if !silent && self.idle.is_some_and(|idle| idle.parked) {
            return;
        }
        if silent {
            // Even if there is nothing to send, the next check is due only after the next silence.
            self.last_work = Some(now);
        }
        // The shares of a connection that was only replaced still count.
        let last = self.sent.last();
        let last = last.filter(|sent| !holds(cx.pools, sent)).cloned();
        let Some((last, extranonce)) = last.zip(self.session.extranonce) else {
            return;
        };
        let own = last.job.notify.ntime;
        let before = cx
            .handed_out
            .last_ntime(&last.job, &extranonce)
            .unwrap_or(own);
        let ntime = before.saturating_add(1);
        if ntime.saturating_sub(own) > NTIME_ROOM || last.job.padding(&extranonce).is_none() {
            return;
        }
        cx.note_work(&last.job, &extranonce, ntime);
        let network = network_difficulty(last.job.notify.nbits).min(PARKED_DIFFICULTY);
        let parked = Difficulty::new(network).unwrap_or(Difficulty::ONE);
        let told = self.told_difficulty.map_or(parked, |now| now.max(parked));
        let job = SentJob {
            id: self.sent.next_id(),
            extranonce,
            told: told.for_miner(),
            lowest_told: told.for_miner(),
            ..last
        };
        self.send(job, ntime, true, cx);
        if let Some(idle) = &mut self.idle {
            idle.parked = true;
        }
    }

    /// Sends the newest job on a line, if the miner works on that.
    pub fn on_job(&mut self, slot: PoolSlot, line: LineId, cx: &mut Context<'_>) {
        let works = self.schedule.on() == Some(slot) && self.lines[slot] == Some(line);
        if works && self.session.takes_jobs() && self.life == Life::Here {
            self.send_work(slot, cx);
        }
    }

    /// Whether a pool has work that could be sent to the miner now.
    pub(super) fn has_work(&self, slot: PoolSlot, cx: &Context<'_>) -> bool {
        let (handed_out, now) = (&*cx.handed_out, cx.now.at);
        self.has_fresh_work(&cx.pools[slot], handed_out, now)
    }

    /// Whether a pool has work that the miner has not had yet.
    pub(super) fn has_fresh_work(&self, pool: &Pool, handed_out: &HandedOut, now: Instant) -> bool {
        let connection = self.connection(pool).filter(|it| it.has_work(now));
        connection.is_some_and(|connection| {
            let before = self.last_handed_out(connection, handed_out);
            before.is_some_and(|before| connection.jobs.fresh_ntime(before, now).is_some())
        })
    }

    /// The header time up to which a connection's newest job was handed out in the miner's place, if it was; `None` if
    /// no job fits.
    fn last_handed_out(
        &self,
        connection: &Connection,
        handed_out: &HandedOut,
    ) -> Option<Option<u32>> {
        let (job, extranonce) = connection.jobs.latest().zip(self.session.extranonce)?;
        job.padding(&extranonce)?;
        Some(handed_out.last_ntime(job, &extranonce))
    }

    /// Lets a member's difficulty follow its shares.
    pub(super) fn follow_shares(&mut self, cx: &mut Context<'_>) {
        let now = cx.now.at;
        let slot = self.schedule.on();
        let slot = slot.filter(|slot| self.life == Life::Here && self.is_member(&cx.pools[*slot]));
        self.vardiff.works(slot.is_some(), now);
        let (Some(slot), Some(told)) = (slot, self.told_difficulty) else {
            return;
        };
        let connection = self.connection(&cx.pools[slot]);
        let Some(job) = connection.and_then(|it| it.jobs.latest()) else {
            return;
        };
        let (software, suggested) = (self.session.user_agent.as_deref(), self.session.suggested);
        let least = least(job.difficulty, software, suggested);
        let change = self.vardiff.look(told, least, now);
        // Within the configured limits there may be no other difficulty.
        let would = cx.config.downstream_diff[slot].hold(self.vardiff.of(job.difficulty));
        if change == Change::Now && would.for_miner() != told {
            self.send_work(slot, cx);
        }
    }

    /// Sets the difficulty from what is known about the miner.
    pub(super) fn begin_vardiff(&mut self, cx: &Context<'_>) {
        let suggested = self.session.suggested.map(|suggested| suggested.get());
        let known = cx.difficulties.get(self.session.worker());
        self.vardiff.begin(known.or(suggested));
    }

    /// Its difficulty, if it is worth remembering.
    pub(in crate::core) fn suits(&self) -> Option<f64> {
        self.vardiff.suits()
    }

    fn switch_to(&mut self, slot: PoolSlot, cause: SwitchCause, cx: &mut Context<'_>) {
        let from = self.schedule.on();
        self.schedule.set_turn(Some(slot), cx.now.at);
        self.stood_in = self.stands_in_at() == Some(slot);
        cx.pools[slot].answers.turn_began(self.id, cx.now.at);
        self.idle = None;
        self.send_work(slot, cx);
        cx.report(Fact::PoolSwitched {
            miner: self.id,
            from,
            to: slot,
            cause,
            error: self.schedule.error(),
            together: false,
        });
    }

    /// Sends the newest job from a pool as fresh work.
    pub(super) fn send_work(&mut self, slot: PoolSlot, cx: &mut Context<'_>) {
        let Some(extranonce) = self.session.extranonce else {
            return;
        };
        let left = self.sent.last();
        let left = left.map(|sent| (sent.conn, continues(cx.pools, sent)));
        let Some(connection) = self.connection(&cx.pools[slot]) else {
            return;
        };
        let (conn, address) = (connection.conn, connection.address());
        let before = self.last_handed_out(connection, cx.handed_out);
        let fresh = before.and_then(|before| connection.jobs.fresh(before, cx.now.at));
        let Some(fresh) = fresh else {
            return;
        };
        let before = self.newest[slot].replace((conn, fresh.serial));
        // A later delay is not the pool's.
        let delay = (before != self.newest[slot]).then_some(fresh.age);

        let job = fresh.job;
        cx.note_work(&job, &extranonce, fresh.ntime);
        let asked = if self.is_member(&cx.pools[slot]) {
            self.vardiff.of(job.difficulty)
        } else {
            job.difficulty
        };
        let told = cx.config.downstream_diff[slot].hold(asked).for_miner();
        let mask = match self.session.rolling {
            Some(wanted) => job.mask.intersect(wanted),
            None => VersionMask::NONE,
        };
        // Work left at a pool that was set aside is worth nothing.
        let in_vain =
            left.is_some_and(|(left, _)| left.slot != slot && cx.pools[left.slot].is_set_aside());
        let clean = self.owes_extranonce
            || in_vain
            || must_drop(
                left,
                conn,
                cx.config.scheduler.clean_on_switch || self.follow.lags(),
            );
        let sent = SentJob {
            id: self.sent.next_id(),
            conn,
            address,
            serial: fresh.serial,
            job,
            extranonce,
            mask,
            told,
            lowest_told: told,
        };
        if left.is_some_and(|(left, _)| left.slot != slot) {
            self.follow.switched(sent.id, clean, cx.now.at);
        }
        cx.report(Fact::JobForwarded {
            miner: self.id,
            slot,
            job: sent.id,
            pool_job: sent.job.notify.job_id.clone(),
            difficulty: told,
            clean,
            delay,
        });
        self.send(sent, fresh.ntime, clean, cx);
    }

    /// Sends a job, together with what changes for the miner.
    fn send(&mut self, sent: SentJob, ntime: u32, clean: bool, cx: &mut Context<'_>) {
        let (told, mask) = (sent.told, sent.mask);
        let work = Work {
            set_extranonce: std::mem::take(&mut self.owes_extranonce),
            difficulty: (self.told_difficulty != Some(told)).then_some(told),
            // Only miners that asked know what to do with it (compat Q13, Q59).
            mask: (self.session.was_configured
                && self.session.rolling.is_some()
                && self.told_mask != Some(mask))
            .then_some(mask),
            job: sent.id,
            pool_job: Arc::clone(&sent.job),
            extranonce: sent.extranonce,
            ntime,
            clean,
        };
        if work.difficulty.is_some() {
            self.sent.told(told);
        }
        self.sent.push(sent);
        self.told_difficulty = Some(told);
        self.told_mask = Some(mask);
        self.last_work = Some(cx.now.at);
        let message = ToMiner::Work(Box::new(work));
        cx.out.push(Action::SendMiner {
            miner: self.id,
            message,
        });
    }
}

/// Whether the pool may still accept shares of a job.
pub(super) fn holds(pools: &PerPool<Pool>, sent: &SentJob) -> bool {
    held(pools, sent).is_some_and(|jobs| jobs.holds(sent.serial))
}

/// Whether the pool lets miners continue with a job.
fn continues(pools: &PerPool<Pool>, sent: &SentJob) -> bool {
    held(pools, sent).is_some_and(|jobs| jobs.continues(sent.serial))
}

fn held<'a>(pools: &'a PerPool<Pool>, sent: &SentJob) -> Option<&'a HeldJobs> {
    let connection = pools[sent.conn.slot].connections.get(&sent.conn);
    Some(&connection.filter(|it| it.is_ready())?.jobs)
}

/// The clean flag: set if the job that the miner leaves is stale (or there is none), or if switches must be clean.
/// Otherwise a miner finishes what is in its pipeline, and these shares still count at their pool.
fn must_drop(left: Option<(PoolConn, bool)>, next: PoolConn, clean_on_switch: bool) -> bool {
    match left {
        None | Some((_, false)) => true,
        Some((conn, true)) => clean_on_switch && conn.slot != next.slot,
    }
}
