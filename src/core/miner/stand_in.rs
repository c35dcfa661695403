//! Which pools the miner may work for, and when it needs its connections to them.
//!
//! - If its own pool is down, the miner works for the other one, unless the owner forbids it. It returns once its own
//!   pool has had work for a while.
//! - Pools drop workers that are idle for about ten minutes. So a miner has no connection to a pool that it will not
//!   need within a few minutes. DPMP dials the pool shortly before the miner's turn, or when the other pool fails.

use std::time::{Duration, Instant};

use super::{Miner, Trial};
use crate::core::miner::context::Context;
use crate::core::pool::connection::Connection;
use crate::units::{PerPool, PoolSlot, later};

/// How long its own pool must have had work before the miner goes back.
const PROVEN: Duration = Duration::from_secs(30);

/// A connection that is not needed within this time is closed.
const IDLE: Duration = Duration::from_secs(300);

/// How long before its turn a pool is dialed.
const AHEAD: Duration = Duration::from_secs(15);

/// How long after a turn its late shares may still arrive.
const AFTER_TURN: Duration = Duration::from_secs(30);

/// A time at the other pool.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StandIn {
    /// Since when its own pool has had work for it again.
    well: Option<Instant>,
    /// Whether its own pool works, and the miner only has to connect to it.
    connects: bool,
}

impl Miner {
    /// The pool for which it works instead of its own.
    pub fn stands_in_at(&self) -> Option<PoolSlot> {
        self.stand_in.and(self.aim.only()).map(PoolSlot::other)
    }

    /// Whether it may work for a pool now.
    pub(super) fn may_work_for(&self, slot: PoolSlot) -> bool {
        self.aim.means(slot) || self.stands_in_at() == Some(slot)
    }

    /// Starts or ends its time at the other pool.
    pub(super) fn look_at_own_pool(&mut self, cx: &mut Context<'_>) {
        // A miner that is here only for the fleet may also work for the other pool.
        let may = self.place.is_some() || cx.may_stand_in(self.session.worker());
        let own = self.aim.only();
        let own = own.filter(|own| may && cx.config.pools[own.other()].is_some());
        let Some(own) = own else {
            self.stand_in = None;
            return;
        };
        let fails = self.is_failing(own, cx);
        let well = !fails && self.has_work(own, cx);
        let connects = !fails && self.schedule.on() == Some(own.other());
        self.stand_in = match self.stand_in {
            None if well => None,
            None => (fails || connects).then_some(StandIn {
                well: None,
                connects,
            }),
            Some(time) if !well => Some(StandIn {
                well: None,
                connects: time.connects && connects,
            }),
            Some(time) if time.connects => None,
            Some(time) => {
                let since = time.well.unwrap_or(cx.now.at);
                let proven = later(since, PROVEN) <= cx.now.at;
                (!proven).then_some(StandIn {
                    well: Some(since),
                    connects: false,
                })
            }
        };
    }

    /// Whether a pool is unusable for the miner: for all miners, or only for this one.
    fn is_failing(&self, slot: PoolSlot, cx: &Context<'_>) -> bool {
        let pool = &cx.pools[slot];
        let ready = self.connection(pool).is_some_and(Connection::is_ready);
        cx.config.pools[slot].is_none()
            || pool.fails()
            || !ready && self.trials[slot] != Trial::Pending
    }

    /// The pools with work that it may work for. While it stands in, its own pool is not one of them, unless it is the
    /// miner that tests that pool.
    pub(super) fn without_own(&self, has_work: PerPool<bool>, cx: &Context<'_>) -> PerPool<bool> {
        match self.stands_in_at() {
            Some(other) if has_work[other] && !cx.pools[other.other()].answers.tries(self.id) => {
                PerPool::from_fn(|slot| slot == other)
            }
            Some(_) | None => has_work,
        }
    }

    /// Whether it needs a connection to a pool.
    pub(super) fn needs_line(&self, slot: PoolSlot, cx: &Context<'_>) -> bool {
        if cx.config.pools[slot].is_none() {
            return false;
        }
        if !self.may_work_for(slot) {
            let is_late = self.late_until().is_some_and(|until| cx.now.at < until);
            return self.has_left(slot) && is_late;
        }
        if self.aim.only().is_some() || self.is_failing(slot.other(), cx) {
            return true;
        }
        let now = cx.now.at;
        let Some(due) = self.schedule.next_turn_on(slot, &cx.rules) else {
            return true;
        };
        let left = due.saturating_duration_since(now);
        if self.lines[slot].is_some() {
            left <= IDLE || self.late_until().is_some_and(|until| now < until)
        } else {
            left <= AHEAD
        }
    }

    /// Whether it still has a connection to a pool that it left for the other one.
    fn has_left(&self, slot: PoolSlot) -> bool {
        self.lines[slot].is_some() && self.schedule.on() == Some(slot.other())
    }

    /// Until when late shares of its previous turn may arrive.
    fn late_until(&self) -> Option<Instant> {
        self.schedule.turn_began()?.checked_add(AFTER_TURN)
    }

    /// The next deadline from all this.
    pub(super) fn lines_deadline(
        &self,
        rules: &crate::core::split::schedule::Rules,
    ) -> Option<Instant> {
        if let Some(StandIn {
            well: Some(since), ..
        }) = self.stand_in
        {
            return since.checked_add(PROVEN);
        }
        let idle = self.schedule.on()?.other();
        if self.has_left(idle) && !self.may_work_for(idle) {
            return self.late_until();
        }
        if self.aim.only().is_some() || !self.aim.means(idle) {
            return None;
        }
        let due = self.schedule.next_turn_on(idle, rules)?;
        if self.lines[idle].is_some() {
            // After that it is closed, unless it is needed soon.
            let until = self.late_until()?;
            let asks = self.looked_at < until && due.saturating_duration_since(until) > IDLE;
            asks.then_some(until)
        } else {
            due.checked_sub(AHEAD).filter(|dial| *dial > self.looked_at)
        }
    }
}
