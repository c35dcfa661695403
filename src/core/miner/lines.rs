//! The miner's lines to the two pools: joined when it authorizes, left when it goes.

use std::time::{Duration, Instant};

use super::{Life, Miner, Trial};
use crate::core::fact::{Eviction, Fact, ShareOutcome};
use crate::core::miner::context::Context;
use crate::core::miner::session::Authorization;
use crate::core::outage::{Loss, Step};
use crate::core::pool::Pool;
use crate::core::pool::connection::Connection;
use crate::core::stats::meter::Meter;
use crate::core::work::handed_out::HandedOut;
use crate::stratum::reject::RejectReason;
use crate::units::{LineId, MinerExtranonce, PerPool, PoolSlot, later};

/// A miner that asks again for authorization gets its pools dialled again after this long at the latest.
const RETRY_SOON: Duration = Duration::from_secs(2);

/// How many lines that it has left a miner still expects answers from.
const MOST_FORMER: usize = 4;

impl Miner {
    /// Joins the lines to the pools that it needs, has them dialled if nobody did, and leaves the others.
    pub(super) fn join_pools(&mut self, cx: &mut Context<'_>) {
        if matches!(self.session.authorization, Authorization::None) {
            return;
        }
        for slot in PoolSlot::ALL {
            let needed = self.needs_line(slot, cx);
            if !needed {
                self.part(slot, cx);
            } else if self.lines[slot].is_none() {
                if let Some(line) = self.join(slot, cx) {
                    self.trials[slot] = Trial::Pending;
                    cx.pools[slot].dial_idle(line);
                }
            } else if self
                .connection(&cx.pools[slot])
                .is_some_and(Connection::is_ready)
            {
                self.trials[slot] = Trial::Pending;
            }
        }
    }

    /// Leaves the line to a pool. Answers to its shares may still come there.
    pub(super) fn part(&mut self, slot: PoolSlot, cx: &mut Context<'_>) {
        let Some(line) = self.lines[slot].take() else {
            return;
        };
        let (pool, mut moment) = cx.pool(slot);
        pool.part(line, self.id, &mut moment);
        self.former.retain(|former| *former != (slot, line));
        if self.former.len() == MOST_FORMER {
            self.former.remove(0);
        }
        self.former.push((slot, line));
    }

    /// Joins a line: that of its group where the pool is shared, else one of its own.
    fn join(&mut self, slot: PoolSlot, cx: &mut Context<'_>) -> Option<LineId> {
        let shares = cx.is_shared(slot);
        if shares && self.session.extranonce.is_none() {
            // Its group follows from its extranonces.
            return None;
        }
        let lines = self
            .group
            .filter(|_| shares)
            .and_then(|it| cx.groups.lines(it));
        let pool = &mut cx.pools[slot];
        let line = pool.join(self.id, lines.map(|lines| &mut lines[slot]));
        self.lines[slot] = Some(line);
        Some(line)
    }

    /// The connection to a pool that stands.
    pub(super) fn connection<'a>(&self, pool: &'a Pool) -> Option<&'a Connection> {
        pool.standing(self.lines[pool.slot()]?)
    }

    /// Whether the pool has refused the miner's worker and not accepted it since.
    pub fn is_refused(&self, pool: &Pool) -> bool {
        matches!(self.trials[pool.slot()], Trial::Refused(_))
            && !self.connection(pool).is_some_and(Connection::is_ready)
    }

    /// How many shares a second it would find at a pool, by what it found lately.
    pub fn expected_shares(&self, pool: &Pool, now: Instant) -> f64 {
        let window = Duration::from_secs(600);
        let rate = |meter: &Meter| meter.per_second(window, now).unwrap_or(0.0);
        let credited: f64 = self.stats.work.iter().map(|(_, meter)| rate(meter)).sum();
        let told = self.told_difficulty.map_or(0.0, |told| told.get());
        let work = credited.max(rate(&self.stats.shares) * told);
        let asked = self.connection(pool).and_then(Connection::difficulty);
        work / asked.map_or(1.0, |asked| asked.get())
    }

    /// Whether it could work for a pool now.
    pub fn can_work_for(&self, pool: &Pool, handed_out: &HandedOut, now: Instant) -> bool {
        self.life == Life::Here
            && self.session.takes_jobs()
            && self.has_fresh_work(pool, handed_out, now)
    }

    /// A pool's extranonces are known or have changed: is there still room for the miner's?
    pub fn on_extranonces(&mut self, slot: PoolSlot, e2_size: u8, cx: &mut Context<'_>) {
        let fits = |own: MinerExtranonce| own.size() <= usize::from(e2_size);
        if self.session.extranonce.is_none_or(fits) || self.life != Life::Here {
            return;
        }
        let new = self.renew_extranonce(Eviction::ExtranonceChanged, cx);
        cx.report(Fact::ExtranonceChanged {
            miner: self.id,
            slot,
            extranonce: new,
        });
    }

    /// Its connection to a pool was lost.
    pub fn on_pool_lost(&mut self, slot: PoolSlot, loss: &Loss) {
        self.trials[slot] = match loss {
            Loss::Refused(Step::Authorize, reject) => Trial::Refused(reject.clone()),
            Loss::Refused(..)
            | Loss::Closed(_)
            | Loss::DialFailed(_)
            | Loss::NoAnswerTo(_)
            | Loss::BadSubscription(_)
            | Loss::BadMessage(_)
            | Loss::ExtranonceTooSmall(_)
            | Loss::Stalled
            | Loss::Unanswered => Trial::Unreachable,
        };
    }

    /// Dials soon where an attempt has failed.
    pub(super) fn hurry_pools(&mut self, cx: &mut Context<'_>) {
        let soon = later(cx.now.at, RETRY_SOON);
        for slot in PoolSlot::ALL {
            let lines = &mut cx.pools[slot].lines;
            if let Some(line) = self.lines[slot].and_then(|line| lines.get_mut(&line)) {
                line.hurry(soon);
            }
        }
    }

    /// Has a new connection where the present one leaves shares unanswered.
    pub fn renew_unanswered(&self, slot: PoolSlot, cx: &mut Context<'_>) {
        if let Some(line) = self.lines[slot] {
            let (pool, mut moment) = cx.pool(slot);
            pool.renew_unanswered(line, &mut moment);
        }
    }

    /// A miner that asks for version rolling after its pools were dialled gets them dialled again.
    pub(super) fn renew_without_rolling(&mut self, cx: &mut Context<'_>) {
        for slot in PoolSlot::ALL {
            let (pool, mut moment) = cx.pool(slot);
            let missing = self
                .connection(pool)
                .is_some_and(|it| !it.asked_for_rolling());
            let grants = !pool.facts.mask.is_none();
            if let (true, true, Some(line)) = (missing, grants, self.lines[slot]) {
                pool.renew(line, &mut moment);
            }
        }
    }

    /// Lets go of its lines; how many of its shares were still waiting on them.
    pub(super) fn leave_pools(&mut self, cx: &mut Context<'_>) -> usize {
        let mut unanswered = 0;
        for (slot, line) in self.all_lines() {
            let (pool, mut moment) = cx.pool(slot);
            unanswered += pool.leave(line, self.id, &mut moment);
        }
        self.lines = PerPool::default();
        self.former.clear();
        unanswered
    }

    /// The lines on which its shares may wait.
    pub fn all_lines(&self) -> impl Iterator<Item = (PoolSlot, LineId)> + use<> {
        let lines = self.lines;
        let present = PoolSlot::ALL
            .into_iter()
            .filter_map(move |slot| Some((slot, lines[slot]?)));
        present.chain(self.former.clone())
    }

    /// Answers its shares that no pool has answered; their time is over.
    pub(super) fn give_shares_up(&mut self, reason: RejectReason, cx: &mut Context<'_>) {
        for (slot, line) in self.all_lines() {
            let pool = &mut cx.pools[slot];
            let mut shares = Vec::new();
            for conn in pool.connections_of(line) {
                if let Some(connection) = pool.connections.get_mut(&conn) {
                    shares.extend(connection.take_pending_of(self.id));
                }
            }
            for share in shares {
                let (pool, mut moment) = cx.pool(slot);
                let outcome = ShareOutcome::Lost(reason);
                pool.share_ended(&share, &outcome, &mut moment);
                self.on_settled(slot, share, outcome, cx);
            }
        }
    }

    /// How many of its shares wait for a pool's answer.
    pub(super) fn waiting_shares(&self, cx: &Context<'_>) -> usize {
        let on_line = |(slot, line): (PoolSlot, LineId)| {
            let pool = &cx.pools[slot];
            let connections = pool.connections_of(line);
            let connections = connections.filter_map(|conn| pool.connections.get(&conn));
            connections
                .map(|it| it.pending_of(self.id).count())
                .sum::<usize>()
        };
        self.all_lines().map(on_line).sum()
    }
}
