//! The miner's connections to the two pools: keeping them, losing them, replacing them.

use std::time::Duration;

use super::{Miner, Retiring, Trial};
use crate::config::PoolConfig;
use crate::core::action::Action;
use crate::core::event::{CloseReason, DialError};
use crate::core::fact::{Fact, TurnedAway};
use crate::core::miner::session::Authorization;
use crate::core::pool::connection::open::received::Heard;
use crate::core::pool::connection::open::{Open, Step};
use crate::core::pool::connection::{Loss, Talk};
use crate::core::pool::dialer::Ended;
use crate::core::turn::Turn;
use crate::core::work::extranonce::SMALLEST_E2;
use crate::stratum::message::{Extranonces, FromPool, Outcome};
use crate::stratum::reject::RejectReason;
use crate::units::{LinkId, PoolConn, PoolSlot, later};

/// How long a replaced connection still takes the shares of its jobs. Their answers may take as long as any.
const RETIREMENT: Duration = Duration::from_secs(5);

/// How many replaced connections are kept at a time.
const MOST_RETIRING: usize = 4;

/// The longest wait before a reconnect that a pool may ask for.
const LONGEST_RECONNECT_WAIT: Duration = Duration::from_secs(60);

/// A miner that asks again for authorization gets its pools dialled again after this long at the latest.
const RETRY_SOON: Duration = Duration::from_secs(2);

impl Miner {
    /// Asks for the connections that are wanted and missing, and lets go of those that are not wanted.
    pub(super) fn keep_connections(&mut self, turn: &mut Turn<'_>) {
        let asked = !matches!(self.session.authorization, Authorization::None);
        for slot in PoolSlot::ALL {
            let upstream = &mut self.upstreams[slot];
            if turn.config.pool_in_use(slot).is_none() {
                if let Some(open) = upstream.drop_connection() {
                    self.retire(open, turn);
                }
            } else if asked && upstream.is_idle() && !self.closing {
                self.dial(slot, turn);
            }
        }
    }

    /// Goes to the pool's gate, or stands by while nobody has work there.
    fn dial(&mut self, slot: PoolSlot, turn: &mut Turn<'_>) {
        let dialer = &mut turn.pools[slot].dialer;
        if dialer.is_open() {
            dialer.queue(self.upstreams[slot].want());
        } else {
            self.upstreams[slot].stand_by();
        }
    }

    /// Whether the pool may be tried with this miner while nobody has work there.
    pub fn may_attempt(&self, slot: PoolSlot) -> bool {
        !self.closing && self.upstreams[slot].may_attempt()
    }

    /// Wants its connection now: it is the one that tries, or others have work. Its name.
    pub fn want(&mut self, slot: PoolSlot) -> PoolConn {
        self.upstreams[slot].want()
    }

    /// Whether it only waits until others have work.
    pub fn stands_by(&self, slot: PoolSlot) -> bool {
        !self.closing && self.upstreams[slot].stands_by()
    }

    /// Dials soon where an attempt has failed.
    pub(super) fn hurry_pools(&mut self, turn: &Turn<'_>) {
        let soon = later(turn.now.at, RETRY_SOON);
        for upstream in self.upstreams.values_mut() {
            upstream.hurry(soon);
        }
    }

    /// A connection that waits at the gate stands by, since nobody has work any more.
    pub fn step_back(&mut self, conn: PoolConn) -> bool {
        self.upstreams[conn.slot].step_back(conn)
    }

    /// Whether a connection that waits at the gate may be dialled now; if so it counts as being dialled.
    pub fn start_dial(&mut self, conn: PoolConn) -> bool {
        !self.closing && self.upstreams[conn.slot].start_dial(conn)
    }

    /// A dialled connection stands.
    pub fn on_pool_opened(&mut self, conn: PoolConn, turn: &mut Turn<'_>) {
        let identity = turn
            .config
            .pool_in_use(conn.slot)
            .map(|pool| self.session.identity(pool));
        let begun = identity.is_some_and(|identity| {
            let (mut talk, _) = turn.pools[conn.slot].talk(turn.templates, turn.now, turn.out);
            self.upstreams[conn.slot].opened(conn, identity, &mut talk)
        });
        if !begun {
            turn.out.push(Action::Abort {
                link: LinkId::Pool(conn),
            });
        }
    }

    /// A dial came to nothing.
    pub fn on_dial_failed(&mut self, conn: PoolConn, error: DialError, turn: &mut Turn<'_>) {
        if self.upstreams[conn.slot].is_dialing(conn) {
            self.lose(conn.slot, &Loss::DialFailed(error), turn);
        }
    }

    /// A pool sent a line.
    pub fn on_pool_message(&mut self, conn: PoolConn, message: FromPool, turn: &mut Turn<'_>) {
        let slot = conn.slot;
        // A replaced connection first: until the next one is dialled it has the name of the present one.
        if let Some(index) = self.retiring.iter().position(|old| old.open.conn == conn) {
            self.on_retired_message(index, message, turn);
            return;
        }
        let before = turn.pools[slot].facts;
        let (mut talk, _) = turn.pools[slot].talk(turn.templates, turn.now, turn.out);
        let had = talk.latest.clone();
        let heard = self.upstreams[slot].heard(conn, message, &mut talk);
        turn.tell_learnt(slot, before);
        let open = self.upstreams[slot].open_mut();
        let opened = open.as_ref().map_or(turn.now.at, |open| open.opened());
        turn.note_job(slot, had.as_ref(), matches!(heard, Heard::Job), opened);
        let open = self.upstreams[slot].open_mut();
        if open.is_some_and(Open::begins_to_work) && turn.pools[slot].work_begun(turn.now) {
            turn.opened = Some(slot);
        }
        match heard {
            Heard::Nothing => (),
            Heard::Subscribed(extranonces) => self.on_extranonces(conn, extranonces, turn),
            Heard::Ready => self.on_ready(conn, turn),
            Heard::Job => {
                self.tell_job(conn, turn);
                self.on_job(slot, turn);
            }
            Heard::JobChanged => self.on_job(slot, turn),
            Heard::Answered(share, outcome) => self.on_answer(slot, share, outcome, turn),
            Heard::AnsweredLate(sent) => {
                let answers = &mut turn.pools[slot].answers;
                answers.answered_late(self.id, sent, turn.now.at);
            }
            Heard::Reconnect { host, port, wait } => {
                self.on_reconnect(conn, host, port, wait, turn)
            }
            Heard::Message(text) => turn.report(Fact::PoolMessage { conn, text }),
            Heard::Useless(problem) => self.on_useless(conn, problem, turn),
            Heard::Lost(loss) => self.lose(slot, &loss, turn),
        }
    }

    /// Takes in a line of a pool that was no use. A pool that goes on like that is given up, however good its other
    /// lines are: each costs the scheduler time that all miners wait for.
    pub fn on_useless(&mut self, conn: PoolConn, problem: String, turn: &mut Turn<'_>) {
        turn.report(Fact::PoolMessageBad { conn, problem });
        let open = self.upstreams[conn.slot].open_mut();
        let Some(open) = open.filter(|open| open.conn == conn) else {
            return;
        };
        if !open.may_be_useless(turn.now.at) {
            let why = "it sent too many lines that cannot be used".to_owned();
            self.lose(conn.slot, &Loss::BadMessage(why), turn);
        }
    }

    /// A replaced connection is heard for its answers only; the pool may be another one by now.
    fn on_retired_message(&mut self, index: usize, message: FromPool, turn: &mut Turn<'_>) {
        let Some(old) = self.retiring.get_mut(index) else {
            return;
        };
        let slot = old.open.conn.slot;
        let pool = &turn.pools[slot];
        let (mut facts, mut latest) = (pool.facts, pool.latest.clone());
        let mut talk = Talk {
            facts: &mut facts,
            latest: &mut latest,
            templates: turn.templates,
            now: turn.now.at,
            out: turn.out,
        };
        let heard = old.open.on_message(message, &mut talk);
        let over = old.takes_no_more && old.open.pending().next().is_none();
        if let Heard::Answered(share, outcome) = heard {
            self.on_answer(slot, share, outcome, turn);
        }
        if over {
            let old = self.retiring.swap_remove(index);
            turn.close_pool(old.open.conn);
        }
    }

    /// A pool connection ended.
    pub fn on_pool_closed(&mut self, conn: PoolConn, reason: &CloseReason, turn: &mut Turn<'_>) {
        if self.upstreams[conn.slot]
            .open()
            .is_some_and(|open| open.conn == conn)
        {
            self.lose(conn.slot, &Loss::Closed(reason.to_string()), turn);
        } else if let Some(index) = self.retiring.iter().position(|old| old.open.conn == conn) {
            let old = self.retiring.swap_remove(index);
            self.bury(old.open, RejectReason::PoolLost, turn);
        }
    }

    /// Does what is due at the pools: dial again, give up a silent pool, end what is retired.
    pub(super) fn tend_pools(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now.at;
        for slot in PoolSlot::ALL {
            let Some(limits) = turn.config.pool_in_use(slot) else {
                continue;
            };
            let open = self.upstreams[slot].open_mut();
            if let Some(share) = open.and_then(|open| open.held_answer(now)) {
                self.on_answer(slot, share, Outcome::True, turn);
            }
            self.give_up_overdue_shares(slot, limits, turn);
            let (mut talk, _) = turn.pools[slot].talk(turn.templates, turn.now, turn.out);
            if let Some(loss) = self.upstreams[slot].overdue(limits, &mut talk) {
                self.lose(slot, &loss, turn);
            } else if self.upstreams[slot].pause_over(now) && !self.closing {
                self.dial(slot, turn);
            }
        }
        while let Some(index) = self.retiring.iter().position(|old| old.until <= now) {
            let mut old = self.retiring.swap_remove(index);
            let limits = turn.config.pools[old.open.conn.slot].as_ref();
            let patience = limits.map_or(RETIREMENT, |pool| pool.answer);
            match old.open.answer_due(patience) {
                // The pool may have taken the shares, and the answers are on the way.
                Some(due) if due > now => {
                    old.open.end_work();
                    let (until, takes_no_more) = (due, true);
                    self.retiring.push(Retiring {
                        until,
                        takes_no_more,
                        ..old
                    });
                }
                Some(_) | None => {
                    turn.close_pool(old.open.conn);
                    self.bury(old.open, RejectReason::NoAnswer, turn);
                }
            }
        }
    }

    /// Answers the shares that the pool has not answered in time. A connection that leaves one after the other without
    /// an answer is made anew, unless its pool does so on all of them: then the answers may still come.
    fn give_up_overdue_shares(&mut self, slot: PoolSlot, limits: &PoolConfig, turn: &mut Turn<'_>) {
        let Some(open) = self.upstreams[slot].open_mut() else {
            return;
        };
        let overdue = open.take_overdue(limits, turn.now.at);
        if overdue.is_empty() {
            return;
        }
        let (dead, mut alive) = (open.unanswered_since(), Vec::new());
        let dead = dead.map(|since| !open.has_spoken_since(since));
        alive.extend(
            overdue
                .iter()
                .map(|share| open.has_spoken_since(share.sent)),
        );
        for (share, alive) in overdue.into_iter().zip(alive) {
            if alive {
                turn.pools[slot]
                    .answers
                    .unanswered(share.sent, limits.answer, turn.now);
            }
            self.on_share_lost(slot, share, RejectReason::NoAnswer, turn);
        }
        if dead.is_some_and(|dead| dead || !turn.pools[slot].answers.is_mute()) {
            self.lose(slot, &Loss::Unanswered, turn);
        }
    }

    /// Notes the shares without an answer on a connection that is given up because it does not answer shares. Those
    /// after the last answer may still have been answered.
    fn note_passed_over(&self, slot: PoolSlot, open: &Open, loss: &Loss, turn: &mut Turn<'_>) {
        let patience = turn.config.pool_in_use(slot).map(|pool| pool.answer);
        let Some(patience) = patience.filter(|_| *loss == Loss::Unanswered) else {
            return;
        };
        let pending = open.pending().map(|share| share.sent);
        for sent in pending.filter(|sent| open.has_answered_since(*sent)) {
            let answers = &mut turn.pools[slot].answers;
            answers.unanswered(sent, patience, turn.now);
        }
    }

    /// A new connection where the present one leaves shares unanswered.
    pub fn renew_unanswered(&mut self, slot: PoolSlot, turn: &mut Turn<'_>) {
        let open = self.upstreams[slot].open();
        if open.is_some_and(|open| open.unanswered_since().is_some()) {
            self.renew(slot, turn);
        }
    }

    /// The owner changed the pool's address or the payout: a new connection replaces the old one.
    pub fn renew(&mut self, slot: PoolSlot, turn: &mut Turn<'_>) {
        if self.upstreams[slot].is_idle() {
            return;
        }
        if let Some(open) = self.upstreams[slot].reset(Duration::ZERO, turn.now.at) {
            self.retire(open, turn);
        }
    }

    /// A miner that asks for version rolling after its pools were dialled gets them dialled again.
    pub(super) fn renew_without_rolling(&mut self, turn: &mut Turn<'_>) {
        for slot in PoolSlot::ALL {
            let missing = self.upstreams[slot]
                .open()
                .is_some_and(|open| !open.asked_for_rolling());
            let grants = !turn.pools[slot].facts.mask.is_none();
            if missing && grants {
                self.renew(slot, turn);
            }
        }
    }

    /// A standing connection by its name, also a retired one.
    pub(super) fn open(&self, conn: PoolConn) -> Option<&Open> {
        let current = self.upstreams[conn.slot]
            .open()
            .filter(|open| open.conn == conn);
        current.or_else(|| {
            self.retiring
                .iter()
                .map(|old| &*old.open)
                .find(|open| open.conn == conn)
        })
    }

    /// A standing connection by its name, to be changed.
    pub(super) fn open_mut(&mut self, conn: PoolConn) -> Option<&mut Open> {
        let current = self.upstreams[conn.slot]
            .open_mut()
            .filter(|open| open.conn == conn);
        current.or_else(|| {
            self.retiring
                .iter_mut()
                .map(|old| &mut *old.open)
                .find(|open| open.conn == conn)
        })
    }

    fn on_ready(&mut self, conn: PoolConn, turn: &mut Turn<'_>) {
        let Some(open) = self.upstreams[conn.slot].open() else {
            return;
        };
        let extranonces = open.extranonces();
        turn.report(Fact::PoolReady {
            conn,
            user: open.user().to_string(),
            e1: extranonces.map(|it| it.e1).unwrap_or_default(),
            e2_size: extranonces.map_or(0, |it| it.e2_size),
            took: open.age(turn.now.at),
        });
        turn.pool_ready(conn.slot);
    }

    /// The pool's extranonces are known or have changed: is there still room for the miner's?
    fn on_extranonces(&mut self, conn: PoolConn, extranonces: Extranonces, turn: &mut Turn<'_>) {
        if extranonces.e2_size < SMALLEST_E2 {
            self.lose(
                conn.slot,
                &Loss::ExtranonceTooSmall(extranonces.e2_size),
                turn,
            );
            return;
        }
        turn.subscribed = Some(conn);
        let Some(extranonce) = self.session.extranonce else {
            return;
        };
        if extranonce.size() <= usize::from(extranonces.e2_size) {
            return;
        }
        let new = self.renew_extranonce(TurnedAway::ExtranonceChanged, turn);
        turn.report(Fact::ExtranonceChanged {
            miner: self.id,
            slot: conn.slot,
            extranonce: new,
        });
    }

    /// A pool may ask for a reconnect, but not send us elsewhere: that is how hashrate is stolen.
    fn on_reconnect(
        &mut self,
        conn: PoolConn,
        host: Option<String>,
        port: Option<u16>,
        wait: Duration,
        turn: &mut Turn<'_>,
    ) {
        let Some(pool) = turn.config.pool_in_use(conn.slot) else {
            return;
        };
        let same_host = host
            .as_ref()
            .is_none_or(|host| host.eq_ignore_ascii_case(&pool.host));
        if !same_host || port.is_some_and(|port| port != pool.port) {
            let host = format!(
                "{}:{}",
                host.unwrap_or_else(|| pool.host.clone()),
                port.unwrap_or(pool.port)
            );
            turn.report(Fact::PoolRedirectRefused { conn, host });
            return;
        }
        let wait = wait.min(LONGEST_RECONNECT_WAIT);
        turn.report(Fact::PoolReconnect { conn, wait });
        if let Some(open) = self.upstreams[conn.slot].sent_away(wait, turn.now.at) {
            self.retire(open, turn);
        }
    }

    fn tell_job(&self, conn: PoolConn, turn: &mut Turn<'_>) {
        let latest = self.upstreams[conn.slot]
            .open()
            .and_then(|open| open.jobs.latest());
        if let Some(job) = latest {
            let (pool_job, clean) = (job.notify.job_id.clone(), job.notify.clean);
            turn.report(Fact::JobReceived {
                conn,
                pool_job,
                clean,
            });
        }
    }

    /// A connection has failed: its shares are answered, and it is made anew after a pause.
    fn lose(&mut self, slot: PoolSlot, loss: &Loss, turn: &mut Turn<'_>) {
        let now = turn.now.at;
        let conn = self.upstreams[slot].conn();
        let closed = matches!(loss, Loss::Closed(_));
        if closed && self.upstreams[slot].hung_up_on_configure(&mut turn.pools[slot].facts, now) {
            turn.pools[slot].dialer.ended(conn, Ended::Again, now);
            return;
        }
        turn.pools[slot].dialer.ended(conn, loss.ended(), now);
        if closed {
            self.upstreams[slot].suspect_extras(&mut turn.pools[slot].facts, now);
        }
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
        let open = self.upstreams[slot].fail(loss, now, turn.random);
        turn.report(Fact::PoolLost {
            conn,
            reason: loss.clone(),
            unanswered: open.as_ref().map_or(0, |open| open.pending().count()),
        });
        turn.pool_failed(slot, open.as_deref(), loss);
        if let Some(open) = open {
            if let Some(opened) = open.was_in_vain() {
                turn.pools[slot].answers.ended_in_vain(opened, turn.now);
            }
            self.note_passed_over(slot, &open, loss, turn);
            if !closed {
                turn.out.push(Action::Abort {
                    link: LinkId::Pool(conn),
                });
            }
            let reason = if *loss == Loss::Unanswered {
                RejectReason::NoAnswer
            } else {
                RejectReason::PoolLost
            };
            self.bury(open, reason, turn);
        }
    }

    /// Keeps a replaced connection for the shares of its jobs.
    fn retire(&mut self, mut open: Box<Open>, turn: &mut Turn<'_>) {
        if !open.is_ready() {
            turn.close_pool(open.conn);
            return;
        }
        turn.pool_let_go(&open);
        open.retire();
        if self.retiring.len() == MOST_RETIRING {
            // One on which nobody waits, or the oldest.
            let rank = |old: &Retiring| (old.open.pending().next().is_some(), old.until);
            let first = (0..MOST_RETIRING).min_by_key(|index| self.retiring.get(*index).map(rank));
            let old = self.retiring.swap_remove(first.unwrap_or(0));
            turn.close_pool(old.open.conn);
            self.bury(old.open, RejectReason::PoolLost, turn);
        }
        let until = later(turn.now.at, RETIREMENT);
        self.retiring.push(Retiring {
            open,
            until,
            takes_no_more: false,
        });
    }

    /// Lets go of every connection; how many shares were still waiting on them.
    pub(super) fn release_pools(&mut self, turn: &mut Turn<'_>) -> usize {
        let mut unanswered = 0;
        for slot in PoolSlot::ALL {
            let conn = self.upstreams[slot].conn();
            turn.pools[slot]
                .dialer
                .ended(conn, Ended::Again, turn.now.at);
            if let Some(open) = self.upstreams[slot].drop_connection() {
                unanswered += open.pending().count();
                turn.let_go(&open);
            }
        }
        for retiring in std::mem::take(&mut self.retiring) {
            unanswered += retiring.open.pending().count();
            turn.close_pool(retiring.open.conn);
        }
        unanswered
    }

    /// Answers the shares that no pool has answered; their time is over.
    pub(super) fn give_shares_up(&mut self, turn: &mut Turn<'_>) {
        for slot in PoolSlot::ALL {
            let current = self.upstreams[slot].open_mut();
            let retired = self.retiring.iter_mut().map(|old| &mut *old.open);
            let opens = current
                .into_iter()
                .chain(retired.filter(|open| open.conn.slot == slot));
            for share in opens.flat_map(Open::take_pending).collect::<Vec<_>>() {
                self.on_share_lost(slot, share, RejectReason::Stopping, turn);
            }
        }
    }

    /// Answers for a connection that cannot any more.
    fn bury(&mut self, mut open: Box<Open>, reason: RejectReason, turn: &mut Turn<'_>) {
        for share in open.take_pending() {
            self.on_share_lost(open.conn.slot, share, reason, turn);
        }
    }
}
