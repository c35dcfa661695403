//! The miner's lines to the two pools. It joins them when it authorizes and leaves them when it disconnects.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Life, Miner, Trial};
use crate::core::fact::{Eviction, Fact, ShareOutcome};
use crate::core::miner::context::Context;
use crate::core::miner::session::Authorization;
use crate::core::outage::{Loss, Step};
use crate::core::pool::Pool;
use crate::core::pool::connection::Connection;
use crate::core::pool::verdict::LastAnswers;
use crate::core::stats::meter::Meter;
use crate::core::work::handed_out::HandedOut;
use crate::stratum::reject::RejectReason;
use crate::units::{LineId, MinerExtranonce, MinerId, PerPool, PoolSlot, later};

/// If a miner asks for authorization again, its pools are dialed again after this time at the latest.
const RETRY_SOON: Duration = Duration::from_secs(2);

impl Miner {
    /// Joins the lines to the pools that it needs, dials them if necessary, and leaves the others.
    pub(super) fn join_pools(&mut self, cx: &mut Context<'_>) {
        if matches!(self.session.authorization, Authorization::None) {
            return;
        }
        for slot in PoolSlot::ALL {
            let needed = self.needs_line(slot, cx);
            if !needed {
                self.part(slot, cx);
                continue;
            }
            self.change_line(slot, cx);
            if self.lines[slot].is_none() {
                let line = self.join(slot, cx);
                self.lines[slot] = Some(line);
                self.trials[slot] = Trial::Pending;
                cx.pools[slot].dial_idle(line);
            } else if self
                .connection(&cx.pools[slot])
                .is_some_and(Connection::is_ready)
            {
                self.trials[slot] = Trial::Pending;
            }
        }
    }

    /// Moves between its own line and its group's if a setting requires it. The miner works on the old one until the
    /// new one has work.
    fn change_line(&mut self, slot: PoolSlot, cx: &mut Context<'_>) {
        let Some(line) = self.lines[slot] else {
            return;
        };
        if self.is_right(line, slot, cx) {
            self.stay(slot, cx);
            return;
        }
        let next = match self.next_lines[slot] {
            Some(next) if self.is_right(next, slot, cx) => next,
            Some(_) | None => {
                self.stay(slot, cx);
                let next = self.join(slot, cx);
                self.next_lines[slot] = Some(next);
                cx.pools[slot].dial_idle(next);
                next
            }
        };
        let pool = &cx.pools[slot];
        let has_work = |line| pool.standing(line).is_some_and(|it| it.has_work(cx.now.at));
        if has_work(next) || !has_work(line) {
            self.next_lines[slot] = None;
            self.part(slot, cx);
            self.lines[slot] = Some(next);
            if self.schedule.on() == Some(slot) && self.session.takes_jobs() {
                self.send_work(slot, cx);
            }
        }
    }

    /// Whether a line is the one that it should have: its group's, or its own.
    fn is_right(&self, line: LineId, slot: PoolSlot, cx: &mut Context<'_>) -> bool {
        let group = self.group.filter(|_| self.shares(slot, cx));
        match group.and_then(|group| cx.groups.lines(group)) {
            Some(lines) => lines[slot] == Some(line),
            None => !cx.pools[slot].is_shared(line),
        }
    }

    /// Counts against the miner at a pool.
    pub fn strike(&mut self, slot: PoolSlot, weight: u8) {
        self.strikes[slot] = self.strikes[slot].saturating_add(weight);
    }

    /// Another pool takes the slot, or the same one under other settings: what it did to the miner is forgotten.
    pub fn forgive(&mut self, slot: PoolSlot) {
        self.last_answers[slot] = LastAnswers::default();
        self.strikes[slot] = 0;
        self.apart[slot] = false;
    }

    /// Cancels a move to another line.
    fn stay(&mut self, slot: PoolSlot, cx: &mut Context<'_>) {
        if let Some(next) = self.next_lines[slot].take() {
            let (pool, mut moment) = cx.pool(slot);
            pool.part(next, self.id, &mut moment);
        }
    }

    /// Whether it should share connections to a pool.
    pub(super) fn shares(&self, slot: PoolSlot, cx: &Context<'_>) -> bool {
        cx.is_shared(slot) && self.group.is_some() && !self.apart[slot]
    }

    /// Whether it works on a shared connection to a pool.
    pub(super) fn is_member(&self, pool: &Pool) -> bool {
        self.lines[pool.slot()].is_some_and(|line| pool.is_shared(line))
    }

    /// Leaves the line to a pool. Answers to its shares may still arrive there.
    pub(super) fn part(&mut self, slot: PoolSlot, cx: &mut Context<'_>) {
        self.stay(slot, cx);
        let Some(line) = self.lines[slot].take() else {
            return;
        };
        let (pool, mut moment) = cx.pool(slot);
        pool.part(line, self.id, &mut moment);
        self.former.retain(|former| *former != (slot, line));
        self.former.push((slot, line));
        // As many as shares wait: each waits for a limited time.
        let id = self.id;
        self.former
            .retain(|(slot, line)| waiting_on(&cx.pools[*slot], *line, id) > 0);
    }

    /// Joins a line: its group's if the pool is shared, otherwise its own.
    fn join(&mut self, slot: PoolSlot, cx: &mut Context<'_>) -> LineId {
        let shares = self.shares(slot, cx);
        let group = self.group.filter(|_| shares);
        let lines = group.and_then(|it| cx.groups.lines(it));
        cx.pools[slot].join(self.id, lines.map(|lines| &mut lines[slot]))
    }

    /// Has pools that take several names on a shared connection told its own.
    pub(super) fn introduce(&mut self, cx: &mut Context<'_>) {
        for slot in PoolSlot::ALL {
            let pool = &cx.pools[slot];
            let takes = pool.facts.names.takes_several() == Some(true) && self.is_member(pool);
            let connection = self.connection(pool).filter(|it| takes && it.is_ready());
            let Some(conn) = connection.map(|it| it.conn) else {
                continue;
            };
            let known = self.introduced[slot].as_ref();
            let known = known.is_some_and(|(introduced, _)| *introduced == conn);
            let Some(config) = cx.config.pools[slot].as_ref().filter(|_| !known) else {
                continue;
            };
            let name: Arc<str> = self.session.user_at(config).into();
            let (pool, mut moment) = cx.pool(slot);
            pool.talk(conn, &mut moment, |it, talk| it.introduce(&name, talk));
            self.introduced[slot] = Some((conn, name));
        }
    }

    /// Its own name, if the pool takes shares under it on this connection.
    pub(super) fn name_on(&self, connection: &Connection) -> Option<&Arc<str>> {
        let (conn, name) = self.introduced[connection.conn.slot].as_ref()?;
        (*conn == connection.conn && connection.knows(name)).then_some(name)
    }

    /// The established connection to a pool.
    pub(super) fn connection<'a>(&self, pool: &'a Pool) -> Option<&'a Connection> {
        pool.standing(self.lines[pool.slot()]?)
    }

    /// Whether the pool has refused the miner's worker and not accepted it since.
    pub fn is_refused(&self, pool: &Pool) -> bool {
        matches!(self.trials[pool.slot()], Trial::Refused(_))
            && !self.connection(pool).is_some_and(Connection::is_ready)
    }

    /// How many shares per second it would find at a pool, estimated from its recent shares.
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

    /// A pool's extranonces are known or have changed: checks whether the miner's still fit.
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

    /// Dials pools soon whose last attempt failed.
    pub(super) fn hurry_pools(&mut self, cx: &mut Context<'_>) {
        let soon = later(cx.now.at, RETRY_SOON);
        for slot in PoolSlot::ALL {
            let lines = &mut cx.pools[slot].lines;
            // A group's user name does not change with its members.
            let line = self.lines[slot].and_then(|line| lines.get_mut(&line));
            if let Some(line) = line.filter(|line| !line.is_shared) {
                line.hurry(soon);
            }
        }
    }

    /// Opens a new connection if the current one does not answer shares.
    pub fn renew_unanswered(&self, slot: PoolSlot, cx: &mut Context<'_>) {
        if let Some(line) = self.lines[slot] {
            let (pool, mut moment) = cx.pool(slot);
            pool.renew_unanswered(line, &mut moment);
        }
    }

    /// If a miner asks for version rolling after its pools were dialed, they are dialed again.
    pub(super) fn renew_without_rolling(&mut self, cx: &mut Context<'_>) {
        for slot in PoolSlot::ALL {
            let (pool, mut moment) = cx.pool(slot);
            let missing = self
                .connection(pool)
                .is_some_and(|it| !it.asked_for_rolling());
            let grants = !pool.facts.mask.is_none();
            let own = self.lines[slot].filter(|line| !pool.is_shared(*line));
            if let (true, true, Some(line)) = (missing, grants, own) {
                pool.renew(line, &mut moment);
            }
        }
    }

    /// Leaves its lines. Returns how many of its shares were still waiting on them.
    pub(super) fn leave_pools(&mut self, cx: &mut Context<'_>) -> usize {
        let mut unanswered = 0;
        for (slot, line) in self.all_lines() {
            let (pool, mut moment) = cx.pool(slot);
            unanswered += pool.leave(line, self.id, &mut moment);
        }
        self.lines = PerPool::default();
        self.next_lines = PerPool::default();
        self.former.clear();
        unanswered
    }

    /// The lines on which shares of the miner may wait.
    pub fn all_lines(&self) -> impl Iterator<Item = (PoolSlot, LineId)> + use<> {
        let present = [self.lines, self.next_lines];
        let present = present.into_iter().flat_map(|lines| {
            let of = move |slot: PoolSlot| Some((slot, lines[slot]?));
            PoolSlot::ALL.into_iter().filter_map(of)
        });
        present.chain(self.former.clone())
    }

    /// Answers its shares that no pool has answered in time.
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

    /// Answers its shares that wait for a pool. They stay with the pool, and count once it has answered.
    pub(super) fn excuse_waiting_shares(&self, reason: RejectReason, cx: &mut Context<'_>) {
        let mut waiting = Vec::new();
        for (slot, line) in self.all_lines() {
            let pool = &cx.pools[slot];
            let connections = pool.established_on(line);
            let shares = connections.flat_map(|it| it.pending_of(self.id));
            waiting.extend(shares.filter_map(|share| Some(share.asker.as_ref()?.id.clone())));
        }
        for id in waiting {
            self.reply(id, ShareOutcome::Lost(reason).reply(), cx);
        }
    }

    /// How many of its shares wait for a pool's answer.
    pub(super) fn waiting_shares(&self, cx: &Context<'_>) -> usize {
        let lines = self.all_lines();
        lines
            .map(|(slot, line)| waiting_on(&cx.pools[slot], line, self.id))
            .sum()
    }
}

/// How many of a miner's shares wait for an answer on a line.
fn waiting_on(pool: &Pool, line: LineId, miner: MinerId) -> usize {
    let connections = pool.established_on(line);
    connections.map(|it| it.pending_of(miner).count()).sum()
}
