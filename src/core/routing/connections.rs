//! Handles events on pool connections for the members: a job goes to each of them, an answer to the one that asked, and
//! after a loss they work elsewhere.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::config::PoolConfig;
use crate::core::action::Action;
use crate::core::event::{CloseReason, DialError};
use crate::core::fact::{Fact, ShareOutcome};
use crate::core::miner::context::Context;
use crate::core::miner::session::OWN_USER_AGENT;
use crate::core::miner::{HANGUP, MOST_STRIKES, Miner};
use crate::core::outage::Loss;
use crate::core::pool::connection::received::PoolNews;
use crate::core::pool::connection::{Identity, WaitingShare};
use crate::core::pool::dialer::{AttemptEnd, Dial};
use crate::core::pool::facts::E1s;
use crate::core::pool::line::{Line, Look, Purpose};
use crate::core::pool::moment::Moment;
use crate::core::pool::patience;
use crate::core::pool::shares::judged;
use crate::core::work::extranonce::SMALLEST_E2;
use crate::core::work::jobs::HeldJobs;
use crate::core::{Core, Due};
use crate::stratum::message::{Extranonces, FromPool};
use crate::stratum::reject::RejectReason;
use crate::units::{LineId, LinkId, MinerId, Now, PerPool, PoolConn, PoolSlot};

/// The longest wait before a reconnect that a pool may ask for.
const LONGEST_RECONNECT_WAIT: Duration = Duration::from_secs(60);

impl Core {
    /// A dialed connection is established.
    pub(in crate::core) fn on_pool_opened(
        &mut self,
        conn: PoolConn,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let slot = conn.slot;
        let line = self.pools[slot].dialer.dial_ended(conn);
        let identity = line.and_then(|line| Some((line, self.identity(slot, line)?)));
        let mut moment = Moment::new(now, &mut self.random, out);
        let begun = identity.is_some_and(|(line, identity)| {
            self.pools[slot].begin(Dial { conn, line }, identity, &mut moment)
        });
        if begun {
            line.inspect(|line| self.note_line(slot, *line, now));
        } else {
            moment.abort(conn);
        }
    }

    /// A dial failed.
    pub(in crate::core) fn on_dial_failed(
        &mut self,
        conn: PoolConn,
        error: DialError,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let pool = &mut self.pools[conn.slot];
        let line = pool.dialer.dial_ended(conn);
        let is_wanted = |line: &LineId| pool.lines.get(line).is_some_and(|it| it.is_dialing(conn));
        if let Some(line) = line.filter(is_wanted) {
            self.lose(conn.slot, line, &Loss::DialFailed(error), now, out);
        }
    }

    /// A pool sent a message.
    pub(in crate::core) fn on_pool_message(
        &mut self,
        conn: PoolConn,
        message: FromPool,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let slot = conn.slot;
        let pool = &mut self.pools[slot];
        let Some(connection) = pool.connections.get(&conn) else {
            return;
        };
        let (line, is_retired) = (connection.line, connection.is_retired());
        let Some(purpose) = pool.lines.get(&line).map(|line| line.purpose) else {
            return;
        };
        let (before, had) = (pool.facts, pool.latest.clone());
        let mut moment = Moment::new(now, &mut self.random, out);
        let works = purpose == Purpose::Mining && !is_retired;
        let heard = pool.talk(conn, &mut moment, |it, talk| {
            let heard = it.on_message(message, talk);
            (heard, works && it.begins_to_work())
        });
        let (heard, begins) = heard.unwrap_or((PoolNews::Nothing, false));
        // The first job may have arrived before the answer to subscribe.
        let has_job = matches!(heard, PoolNews::Job | PoolNews::Subscribed(_));
        match purpose {
            _ if is_retired => self.on_retired_heard(conn, heard, now, out),
            Purpose::Mining => {
                pool.tell_learnt(before, &mut moment);
                pool.note_job(conn, had.as_ref(), matches!(heard, PoolNews::Job), now);
                let opens = begins && pool.work_begun(now);
                if opens {
                    // The outage may have ended the last look at its names.
                    pool.names_next = None;
                }
                if has_job {
                    self.note_insight(conn, now);
                }
                self.on_heard(conn, line, heard, now, out);
                if opens {
                    self.let_others_follow(slot, now, out);
                }
            }
            Purpose::Look(look) => self.on_look_heard(look, slot, line, heard, now, out),
        }
        self.note_line(slot, line, now);
    }

    /// Applies a pool's message to the members.
    fn on_heard(
        &mut self,
        conn: PoolConn,
        line: LineId,
        heard: PoolNews,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let slot = conn.slot;
        match heard {
            PoolNews::Nothing => (),
            PoolNews::Subscribed(extranonces) => {
                self.on_extranonces(conn, line, extranonces, now, out)
            }
            PoolNews::Ready => self.on_ready(conn, line, now, out),
            PoolNews::Job => {
                let is_clean = self.tell_job(conn, line, out);
                let start = out.len();
                self.with_members(slot, line, now, out, |it, cx| {
                    if is_clean && it.lines[slot] == Some(line) {
                        it.age_shares(slot);
                    }
                    it.on_job(slot, line, cx);
                });
                let told = out.get(start..).unwrap_or_default();
                let shared = self.job_shared(conn, line, told);
                out.extend(shared.map(Action::Report));
            }
            PoolNews::JobChanged => {
                self.with_members(slot, line, now, out, |it, cx| it.on_job(slot, line, cx));
            }
            PoolNews::Answered(share, outcome) => {
                let connection = self.pools[slot].connections.get_mut(&conn);
                let rises = connection.is_some_and(|it| it.learn_rise(&share, &outcome));
                self.settle_share(slot, share, outcome.into(), now, out);
                if rises {
                    self.with_members(slot, line, now, out, |it, cx| it.on_job(slot, line, cx));
                }
            }
            PoolNews::AnsweredLate(miner, sent) => {
                let answers = &mut self.pools[slot].answers;
                miner.inspect(|miner| answers.answered_late(*miner, sent, now.at));
            }
            PoolNews::Reconnect { host, port, wait } => {
                self.on_reconnect(conn, line, (host, port), wait, now, out)
            }
            PoolNews::Message(text) => {
                let miner = self.pools[slot].whose(line);
                out.push(Action::Report(Fact::PoolMessage { conn, miner, text }));
            }
            PoolNews::Useless(problem) => self.on_useless(conn, problem, now, out),
            PoolNews::Lost(loss) => self.lose(slot, line, &loss, now, out),
        }
    }

    /// A pool sent an unusable line. If it continues, the connection is given up even if other lines are good, because
    /// each costs the scheduler time that all miners wait for.
    pub(in crate::core) fn on_useless(
        &mut self,
        conn: PoolConn,
        problem: String,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let pool = &mut self.pools[conn.slot];
        let connection = pool.connections.get_mut(&conn);
        let line = connection.as_ref().map(|it| it.line);
        let borne = connection.is_none_or(|it| it.is_retired() || it.may_be_useless(now.at));
        let miner = line.and_then(|line| pool.whose(line));
        out.push(Action::Report(Fact::PoolMessageBad {
            conn,
            miner,
            problem,
        }));
        if let (false, Some(line)) = (borne, line) {
            let why = "it sent too many unusable lines".to_owned();
            self.lose(conn.slot, line, &Loss::BadMessage(why), now, out);
        }
    }

    /// Only answers count on a replaced connection.
    fn on_retired_heard(
        &mut self,
        conn: PoolConn,
        heard: PoolNews,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        if let PoolNews::Answered(share, outcome) = heard {
            self.settle_share(conn.slot, share, outcome.into(), now, out);
        }
        self.tend_retired(conn, now, out);
    }

    /// A pool connection ended.
    pub(in crate::core) fn on_pool_closed(
        &mut self,
        conn: PoolConn,
        reason: CloseReason,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let pool = &mut self.pools[conn.slot];
        let Some(connection) = pool.connections.get(&conn) else {
            return;
        };
        if connection.is_retired() {
            pool.end_retired(conn, RejectReason::PoolLost);
        } else {
            let line = connection.line;
            self.lose(conn.slot, line, &Loss::Closed(reason), now, out);
        }
    }

    /// Handles a line's deadline: dials again, gives up a silent pool, ends replaced connections.
    pub(in crate::core) fn on_line_deadline(
        &mut self,
        slot: PoolSlot,
        line: LineId,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let config = Arc::clone(&self.config);
        let Some(purpose) = self.pools[slot].lines.get(&line).map(|it| it.purpose) else {
            return;
        };
        match (config.pools[slot].as_ref(), purpose) {
            (Some(limits), _) => self.tend_line(slot, line, purpose, limits, now, out),
            (None, Purpose::Mining) => (),
            (None, Purpose::Look(look)) => self.close_look(look, slot, now, out),
        }
        for conn in self.pools[slot].retired_of(line) {
            self.tend_retired(conn, now, out);
        }
        self.note_line(slot, line, now);
    }

    /// Handles the deadline of a replaced connection.
    fn tend_retired(&mut self, conn: PoolConn, now: Now, out: &mut Vec<Action>) {
        let patience = patience(self.config.pools[conn.slot].as_ref());
        let pool = &mut self.pools[conn.slot];
        let Some(connection) = pool.connections.get_mut(&conn) else {
            return;
        };
        let accepted = connection.held_answer(now.at);
        pool.orphans
            .extend(accepted.map(|share| (share, ShareOutcome::Accepted)));
        let overdue = connection.take_overdue(patience, now.at).into_iter();
        let lost = overdue.map(|share| (share, ShareOutcome::Lost(RejectReason::NoAnswer)));
        pool.orphans.extend(lost);
        let over = connection.ends(now.at);
        self.settle_orphans(now, out);
        if over {
            self.pools[conn.slot].end_retired(conn, RejectReason::NoAnswer);
            let link = LinkId::Pool(conn);
            out.push(Action::Close { link });
        }
    }

    fn tend_line(
        &mut self,
        slot: PoolSlot,
        line: LineId,
        purpose: Purpose,
        limits: &PoolConfig,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let held = self.pools[slot].standing_mut(line);
        if let Some(share) = held.and_then(|it| it.held_answer(now.at)) {
            self.settle_share(slot, share, ShareOutcome::Accepted, now, out);
        }
        self.give_up_overdue_shares(slot, line, limits, now, out);
        let pool = &mut self.pools[slot];
        let conn = pool.standing(line).map(|it| it.conn);
        let mut moment = Moment::new(now, &mut self.random, out);
        let overdue =
            conn.and_then(|conn| pool.talk(conn, &mut moment, |it, talk| it.overdue(limits, talk)));
        let pause_over = |it: &Line| it.pause_over(now.at);
        let pause_over = pool.lines.get(&line).is_some_and(pause_over);
        match (overdue.flatten(), purpose) {
            (Some(loss), _) => self.lose(slot, line, &loss, now, out),
            (None, Purpose::Mining) if pause_over => pool.dial(line),
            // Its first job may have waited for a difficulty until now.
            (None, Purpose::Mining) => self.with_members(slot, line, now, out, |_, _| ()),
            (None, Purpose::Look(look)) if pause_over => {
                self.look_again(look, slot, line, now, out);
            }
            (None, Purpose::Look(look)) => self.judge_look(look, slot, now, out),
        }
        if let Purpose::Look(_) = purpose {
            self.release_waiting(now, out);
        }
    }

    /// Answers the shares that the pool has not answered in time. A connection that leaves one after another unanswered
    /// is replaced, unless the pool does so on all connections: then the answers may still arrive.
    fn give_up_overdue_shares(
        &mut self,
        slot: PoolSlot,
        line: LineId,
        limits: &PoolConfig,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let pool = &mut self.pools[slot];
        let Some(connection) = pool.standing_mut(line) else {
            return;
        };
        let overdue = connection.take_overdue(limits.answer, now.at);
        if overdue.is_empty() {
            return;
        }
        let dead = connection.unanswered_since();
        let dead = dead.map(|since| !connection.has_spoken_since(since));
        let alive = overdue
            .iter()
            .map(|share| connection.has_spoken_since(share.sent));
        let alive: Vec<bool> = alive.collect();
        for (share, alive) in overdue.into_iter().zip(alive) {
            if alive {
                let answers = &mut self.pools[slot].answers;
                answers.unanswered(share.sent, limits.answer, now);
            }
            let orphans = &mut self.pools[slot].orphans;
            orphans.push_back((share, ShareOutcome::Lost(RejectReason::NoAnswer)));
        }
        self.settle_orphans(now, out);
        if dead.is_some_and(|dead| dead || !self.pools[slot].answers.is_mute()) {
            self.lose(slot, line, &Loss::Unanswered, now, out);
        }
    }

    /// Answers a share that was sent to a pool.
    fn settle_share(
        &mut self,
        slot: PoolSlot,
        share: WaitingShare,
        outcome: ShareOutcome,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let mut moment = Moment::new(now, &mut self.random, out);
        self.pools[slot].share_ended(&share, &outcome, &mut moment);
        match share.asker.as_ref().map(|asker| asker.miner) {
            None => self.totals.block_answered(slot, &outcome),
            Some(miner) if self.miners.contains_key(&miner) => {
                let bad = judged(&share, &outcome) == Some(false)
                    || outcome == ShareOutcome::Lost(RejectReason::NoAnswer);
                self.with_miner(miner, now, out, |it, cx| {
                    it.on_settled(slot, share, outcome, cx);
                });
                if bad {
                    self.look_at_member(slot, miner, now, out);
                }
            }
            // The miner has left, but the share counts for its worker.
            Some(miner) => {
                let result = share.result(miner, slot, outcome, now.at);
                self.totals.add(&result, now);
                out.push(Action::Report(Fact::ShareResult(Box::new(result))));
            }
        }
    }

    /// If most of a member's shares are rejected or unanswered, or the pool closes the connection because of them, while
    /// another's are accepted, the member is the cause. So it gets its own connection there.
    fn look_at_member(&mut self, slot: PoolSlot, id: MinerId, now: Now, out: &mut Vec<Action>) {
        let pool = &self.pools[slot];
        let Some(miner) = self.miners.get(&id) else {
            return;
        };
        let line = miner.lines[slot].and_then(|line| pool.lines.get(&line));
        let Some(line) = line.filter(|line| line.is_shared) else {
            return;
        };
        let good = |id: &MinerId| {
            let member = self.miners.get(id);
            member.is_some_and(|it| it.last_answers[slot].are_good() && it.strikes[slot] == 0)
        };
        let suspicious = miner.strikes[slot] >= MOST_STRIKES && !pool.answers.is_mute();
        let is_bad = miner.last_answers[slot].are_bad() || suspicious;
        if is_bad && line.members.iter().any(good) {
            self.with_miner(id, now, out, |it, _| it.apart[slot] = true);
        }
    }

    /// Answers the shares on connections that were given up.
    pub(in crate::core) fn settle_orphans(&mut self, now: Now, out: &mut Vec<Action>) {
        for slot in PoolSlot::ALL {
            // One by one, because a miner that is leaving stays until its last share is answered.
            while let Some((share, outcome)) = self.pools[slot].orphans.pop_front() {
                self.settle_share(slot, share, outcome, now, out);
            }
        }
    }

    fn on_ready(&mut self, conn: PoolConn, line: LineId, now: Now, out: &mut Vec<Action>) {
        let pool = &mut self.pools[conn.slot];
        let Some(connection) = pool.connections.get(&conn) else {
            return;
        };
        let extranonces = connection.extranonces();
        out.push(Action::Report(Fact::PoolReady {
            conn,
            miner: pool.whose(line),
            user: connection.user().to_string(),
            e1: extranonces.map(|it| it.e1).unwrap_or_default(),
            e2_size: extranonces.map_or(0, |it| it.e2_size),
            took: connection.age(now.at),
        }));
        let mut moment = Moment::new(now, &mut self.random, out);
        let came_up = pool.tell_ready(&mut moment);
        self.with_members(conn.slot, line, now, out, |_, _| ());
        if came_up {
            self.release_waiting(now, out);
        }
    }

    /// The pool's extranonces are known or have changed: checks whether the members' still fit.
    fn on_extranonces(
        &mut self,
        conn: PoolConn,
        line: LineId,
        extranonces: Extranonces,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let (slot, e2_size) = (conn.slot, extranonces.e2_size);
        if e2_size < SMALLEST_E2 {
            self.lose(slot, line, &Loss::ExtranonceTooSmall(e2_size), now, out);
            return;
        }
        self.look_for_repeated_e1(conn, extranonces);
        self.pools[slot].blocks.stir();
        self.with_members(slot, line, now, out, |it, cx| {
            it.on_extranonces(slot, e2_size, cx);
        });
    }

    /// If two connections got the same extranonce1, later miners must have their own.
    fn look_for_repeated_e1(&mut self, conn: PoolConn, extranonces: Extranonces) {
        let pool = &mut self.pools[conn.slot];
        if pool.facts.e1s != E1s::Differ {
            return;
        }
        let e1 = Some(extranonces.e1);
        let mines = |line: &LineId| {
            let line = pool.lines.get(line);
            line.is_some_and(|line| line.purpose == Purpose::Mining)
        };
        let others = &pool.connections;
        if others.any(|it| it.conn != conn && it.works_with(e1) && mines(&it.line)) {
            pool.facts.e1s = E1s::Repeat;
        }
    }

    /// A pool may ask for a reconnect, but not to another host, because that is a way to steal hashrate.
    fn on_reconnect(
        &mut self,
        conn: PoolConn,
        line: LineId,
        (host, port): (Option<String>, Option<u16>),
        wait: Duration,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let Some(config) = self.config.pools[conn.slot].as_ref() else {
            return;
        };
        let pool = &mut self.pools[conn.slot];
        let miner = pool.whose(line);
        let mut moment = Moment::new(now, &mut self.random, out);
        let same_host = host
            .as_ref()
            .is_none_or(|host| host.eq_ignore_ascii_case(&config.host));
        if !same_host || port.is_some_and(|port| port != config.port) {
            let host = host.unwrap_or_else(|| config.host.clone());
            let host = format!("{host}:{}", port.unwrap_or(config.port));
            return moment.report(Fact::PoolRedirectRefused { conn, miner, host });
        }
        let wait = wait.min(LONGEST_RECONNECT_WAIT);
        moment.report(Fact::PoolReconnect { conn, miner, wait });
        pool.sent_away(line, wait, &mut moment);
        self.with_members(conn.slot, line, now, out, |_, _| ());
    }

    /// Reports a connection's newest job, and returns whether it makes all others stale.
    fn tell_job(&self, conn: PoolConn, line: LineId, out: &mut Vec<Action>) -> bool {
        let pool = &self.pools[conn.slot];
        let jobs = pool.connections.get(&conn).map(|it| &it.jobs);
        if let Some(job) = jobs.and_then(HeldJobs::latest) {
            out.push(Action::Report(Fact::JobReceived {
                conn,
                miner: pool.whose(line),
                pool_job: job.notify.job_id.clone(),
                clean: job.notify.clean,
            }));
        }
        jobs.is_some_and(HeldJobs::are_new)
    }

    /// Reports that a shared connection's newest job went out to its members, according to the actions in `told`.
    fn job_shared(&self, conn: PoolConn, line: LineId, told: &[Action]) -> Option<Fact> {
        let pool = &self.pools[conn.slot];
        let state = pool.lines.get(&line).filter(|line| line.is_shared)?;
        let job = pool.connections.get(&conn)?.jobs.latest()?;
        let sent = told.iter().filter(|action| {
            matches!(action, Action::Report(Fact::JobForwarded { slot, .. }) if *slot == conn.slot)
        });
        let sent = sent.count();
        (sent > 0).then(|| Fact::JobShared {
            conn,
            pool_job: job.notify.job_id.clone(),
            clean: job.notify.clean,
            members: state.members.len(),
            sent,
        })
    }

    /// A line's connection has failed: its shares are answered, and it is dialed again after a pause.
    pub(in crate::core) fn lose(
        &mut self,
        slot: PoolSlot,
        line: LineId,
        loss: &Loss,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let pool = &mut self.pools[slot];
        let Some(state) = pool.lines.get(&line) else {
            return;
        };
        let Some(conn) = state.conn() else {
            return;
        };
        let (purpose, failures) = (state.purpose, state.failures());
        let mut moment = Moment::new(now, &mut self.random, out);
        let closed = matches!(loss, Loss::Closed(_));
        let asked_wrongly = closed
            && pool
                .talk(conn, &mut moment, |it, talk| {
                    it.hung_up_on_configure(failures, talk.facts, talk.now)
                })
                .unwrap_or(false);
        if asked_wrongly {
            pool.dialer.ended(conn, AttemptEnd::Again, now.at);
            pool.connections.remove(&conn);
            if let Some(line) = pool.lines.get_mut(&line) {
                line.reset(Duration::ZERO, now.at);
            }
            self.note_line(slot, line, now);
            return;
        }
        match purpose {
            Purpose::Mining => self.lose_work(slot, line, conn, loss, now, out),
            Purpose::Look(look) => self.lose_look(look, slot, line, loss, now, out),
        }
        self.note_line(slot, line, now);
    }

    fn lose_work(
        &mut self,
        slot: PoolSlot,
        line: LineId,
        conn: PoolConn,
        loss: &Loss,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let patience = self.config.pools[slot].as_ref().map(|pool| pool.answer);
        let pool = &mut self.pools[slot];
        let connection = pool.connections.get(&conn);
        let closed = connection.filter(|_| matches!(loss, Loss::Closed(_)));
        let suspects = closed.map(|it| it.suspects()).unwrap_or_default();
        let mut moment = Moment::new(now, &mut self.random, out);
        pool.fail(line, conn, loss, &mut moment);
        if let Some(connection) = pool.connections.get(&conn) {
            if let Some(opened) = connection.was_in_vain() {
                pool.answers.ended_in_vain(opened, now);
            }
            // On a connection that is given up because it does not answer, the pool may still have accepted shares
            // after the last answer.
            if let Some(patience) = patience.filter(|_| *loss == Loss::Unanswered) {
                let pending = connection.pending().map(|share| share.sent);
                for sent in pending.filter(|sent| connection.has_answered_since(*sent)) {
                    pool.answers.unanswered(sent, patience, now);
                }
            }
            if !matches!(loss, Loss::Closed(_)) {
                moment.abort(conn);
            }
        }
        let reason = if *loss == Loss::Unanswered {
            RejectReason::NoAnswer
        } else {
            RejectReason::PoolLost
        };
        pool.bury(conn, reason);
        let start = out.len();
        self.settle_orphans(now, out);
        self.with_each_member(slot, line, now, out, |it, _| it.on_pool_lost(slot, loss));
        self.sum_up(slot, line, start, out);
        self.blame(slot, &suspects, now, out);
    }

    /// A pool has closed a connection: that counts against the miners whose shares may be the reason. At most one of
    /// them gets its own connection, the most suspicious one.
    fn blame(
        &mut self,
        slot: PoolSlot,
        suspects: &BTreeSet<MinerId>,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let mut worst = None;
        for id in suspects {
            if let Some(miner) = self.miners.get_mut(id) {
                miner.strike(slot, HANGUP);
                worst = worst.max(Some((miner.strikes[slot], *id)));
            }
        }
        if let Some((_, worst)) = worst {
            self.look_at_member(slot, worst, now, out);
        }
    }

    /// The names with which a line's members connect to its pool.
    fn identity(&self, slot: PoolSlot, line: LineId) -> Option<Identity> {
        let pool = &self.pools[slot];
        let line = pool.lines.get(&line)?;
        let of = |miner: &MinerId| self.miners.get(miner).map(|miner| &miner.session);
        match line.purpose {
            Purpose::Mining => {
                let config = self.config.pools[slot].as_ref()?;
                if line.is_shared {
                    return Some(shared_identity(config));
                }
                let session = line.members.first().and_then(of)?;
                Some(session.identity(config))
            }
            // As one of the miners, so that a pool that refuses them does not count as good. Without a miner, as DPMP
            // itself, which only gets as far as the subscription.
            Purpose::Look(Look::Return) => {
                let config = self.wanted.pools[slot].as_ref()?;
                if config.most_members().is_some() {
                    return Some(shared_identity(config));
                }
                let mut sessions = self.miners.values().map(|miner| &miner.session);
                let session = sessions.find(|session| session.is_authorized());
                Some(session.map_or_else(own_identity, |session| Identity {
                    // It ends before there could be shares.
                    suggested: None,
                    ..session.identity(config)
                }))
            }
            Purpose::Look(Look::Names) => Some(shared_identity(self.config.pools[slot].as_ref()?)),
            Purpose::Look(Look::Reach | Look::Survey) => Some(own_identity()),
        }
    }

    /// Runs `act` on all members of a line.
    pub(in crate::core) fn with_members(
        &mut self,
        slot: PoolSlot,
        line: LineId,
        now: Now,
        out: &mut Vec<Action>,
        act: impl FnMut(&mut Miner, &mut Context<'_>),
    ) {
        let start = out.len();
        self.with_each_member(slot, line, now, out, act);
        self.sum_up(slot, line, start, out);
    }

    fn with_each_member(
        &mut self,
        slot: PoolSlot,
        line: LineId,
        now: Now,
        out: &mut Vec<Action>,
        mut act: impl FnMut(&mut Miner, &mut Context<'_>),
    ) {
        if let Some(only) = self.pools[slot].whose(line) {
            return self.with_miner(only, now, out, act);
        }
        for member in self.pools[slot].members_in_turn(line) {
            self.with_miner(member, now, out, &mut act);
        }
    }

    /// Reports once, with counts, what happens to several members of a shared connection together. The reports of each
    /// remain among the actions from `start` on, at level debug.
    fn sum_up(&self, slot: PoolSlot, line: LineId, start: usize, out: &mut Vec<Action>) {
        let line = self.pools[slot].lines.get(&line);
        let Some(line) = line.filter(|line| line.is_shared) else {
            return;
        };
        let (mut to, mut idle, mut each) = (PerPool::new(0, 0), 0, Vec::new());
        let (mut miners, mut lost) = (BTreeSet::new(), Vec::new());
        for action in out.iter_mut().skip(start) {
            if let Action::Report(Fact::PoolSwitched {
                to: pool, together, ..
            }) = action
            {
                to[*pool] += 1;
                each.push(together);
            } else if let Action::Report(Fact::MinerIdle { together, .. }) = action {
                idle += 1;
                each.push(together);
            } else if let Action::Report(Fact::ShareResult(share)) = action {
                if matches!(share.outcome, ShareOutcome::Lost(_)) {
                    miners.insert(share.miner);
                    lost.push(&mut share.together);
                }
            }
        }
        let (members, miners, shares) = (line.members.len(), miners.len(), lost.len());
        let is_switch = each.len() > 1;
        for together in each.into_iter().filter(|_| is_switch) {
            *together = true;
        }
        for together in lost.into_iter().filter(|_| shares > 1) {
            *together = true;
        }
        let lost = Fact::SharesLost {
            slot,
            members,
            miners,
            shares,
        };
        let switched = Fact::MembersSwitched {
            slot,
            members,
            to,
            idle,
        };
        let facts = [(shares > 1).then_some(lost), is_switch.then_some(switched)];
        out.extend(facts.into_iter().flatten().map(Action::Report));
    }

    /// Records a line's next deadline.
    pub(in crate::core) fn note_line(&mut self, slot: PoolSlot, line: LineId, now: Now) {
        let pool = &mut self.pools[slot];
        let Some(state) = pool.lines.get(&line) else {
            return;
        };
        let due = pool.line_deadline(state, self.config.pools[slot].as_ref(), now.at);
        if state.purpose == Purpose::Mining && state.may_attempt() {
            pool.dialer.call();
        }
        self.agenda.no_later(Due::Line(slot, line), due);
    }
}

/// The names with which DPMP itself connects.
fn own_identity() -> Identity {
    Identity {
        address: Arc::from(""),
        user_agent: OWN_USER_AGENT.to_owned(),
        user: Arc::from(""),
        has_worker: false,
        password: String::new(),
        version_rolling: true,
        suggested: None,
    }
}

/// The names with which many miners share a connection.
fn shared_identity(pool: &PoolConfig) -> Identity {
    Identity {
        address: Arc::from(pool.address()),
        user: Arc::from(pool.user_name.of_all(&pool.wallet)),
        has_worker: true,
        // Some pools refuse an empty one, and none checks its contents.
        password: pool.password.as_deref().unwrap_or("x").to_owned(),
        ..own_identity()
    }
}
