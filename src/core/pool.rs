//! One of the two pools: what DPMP knows about it, its health, its lines and their connections.
//!
//! A [line](mod@line) gets its members one connection after another; a [connection] is what is established at the
//! moment. The pool owns both, with dials, pauses and verdicts. A miner only knows its line.
//!
//! These end a connection, and decide what happens to its line and to waiting shares:
//!
//! - [`fail`](Pool::fail) and [`bury`](Pool::bury): it was lost. The line pauses; the shares are answered as lost.
//! - [`renew`](Pool::renew), [`sent_away`](Pool::sent_away): a new connection replaces it. It is kept for its shares.
//! - [`dismiss`](Pool::dismiss): the pool is not needed. The line rests; the connection is kept for its shares.
//! - [`leave`](Pool::leave), [`part`](Pool::part): a member leaves. With the last one the line ends, once no share
//!   waits.
//! - [`rest`](Pool::rest), [`remove_line`](Pool::remove_line): no miner works on it. It is closed.

pub mod addresses;
pub mod blocks;
pub mod both;
pub mod connection;
pub mod dialer;
pub mod extras;
pub mod facts;
pub mod groups;
pub mod line;
pub mod look;
pub mod moment;
pub mod shares;
pub mod verdict;
pub mod version_form;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::PoolConfig;
use crate::core::action::DialTarget;
use crate::core::fact::{Fact, ShareOutcome};
use crate::core::id_map::IdMap;
use crate::core::insight::Insight;
use crate::core::outage::{ConnectionState, Flaw, Health, Outage};
use crate::core::outage::{Loss, Step};
use crate::core::pool::addresses::Addresses;
use crate::core::pool::blocks::HeldBlocks;
use crate::core::pool::connection::{Connection, Identity, Talk, WaitingShare};
use crate::core::pool::dialer::{AttemptEnd, Dial, Dialer};
use crate::core::pool::facts::{NameHabit, PoolFacts};
use crate::core::pool::line::{Line, Look, MOST_RETIRED, Purpose};
use crate::core::pool::look::{AddressLook, NamesLook, Survey};
use crate::core::pool::moment::Moment;
use crate::core::pool::verdict::Answers;
use crate::core::pool::verdict::news::{LeftBlock, News};
use crate::core::pool::version_form::Forms;
use crate::core::stats::meter::Meter;
use crate::random::Random;
use crate::stratum::job::Notify;
use crate::stratum::reject::RejectReason;
use crate::units::{LineId, MinerId, Now, PoolConn, PoolSlot, When, later};

/// After this many failed looks at a pool that was never reached, miners stop waiting for it. One failure may only mean
/// that the pool has just started (compat Q8).
const ENOUGH_LOOKS: u32 = 2;

/// The longest wait for a pool that does not even refuse, because miners give up soon.
const LONGEST_SEARCH: Duration = Duration::from_secs(5);

/// How long a pool that has authorized miners may take to send the first job.
const PATIENCE_FOR_JOB: Duration = Duration::from_secs(30);

/// How long a replaced connection still accepts shares for its jobs. Their answers may take as long as any others.
const RETIREMENT: Duration = Duration::from_secs(5);

/// How many lines without members may wait for answers at a time.
pub const MOST_DESERTED: usize = 64;

/// The weight of a new answer in the average latency.
const LATENCY_WEIGHT: f64 = 1.0 / 16.0;

/// The results of shares sent to a pool in the last minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Lately<T> {
    /// It accepted them.
    pub accepted: T,
    /// It rejected them.
    pub rejected: T,
    /// It did not answer, for whatever reason.
    pub lost: T,
}

impl Lately<Meter> {
    fn new(now: Instant) -> Self {
        Self {
            accepted: Meter::new(now),
            rejected: Meter::new(now),
            lost: Meter::new(now),
        }
    }

    /// How many there were in the last ten minutes.
    pub fn counts(&self, now: Instant) -> Lately<f64> {
        let count = |meter: &Meter| meter.sum(Duration::from_secs(600), now);
        Lately {
            accepted: count(&self.accepted),
            rejected: count(&self.rejected),
            lost: count(&self.lost),
        }
    }
}

/// One of the two pools.
#[derive(Debug)]
pub struct Pool {
    slot: PoolSlot,
    /// The lines to the pool.
    pub lines: IdMap<LineId, Line>,
    /// The established connections, including replaced ones.
    pub connections: IdMap<PoolConn, Box<Connection>>,
    /// Lines without members that still wait for answers.
    deserted: BTreeSet<LineId>,
    last_line: u64,
    last_connection: u64,
    /// Shares on connections that were given up, with the answers that they should get.
    pub orphans: VecDeque<(WaitingShare, ShareOutcome)>,
    /// DPMP's own line to the address in use, to see whether it can be reached.
    pub reach: LineId,
    /// The look at the first address while a backup is in use.
    pub return_look: Option<AddressLook>,
    /// The look at whether it takes several names.
    pub names_look: Option<NamesLook>,
    /// When that may be tried next.
    pub names_next: Option<Instant>,
    /// What the members were last told about it.
    pub told_names: NameHabit,
    /// What is known about the pool.
    pub facts: PoolFacts,
    /// Which forms of version bits work at its address.
    pub forms: Forms,
    /// Block candidates that wait for it to come back.
    pub blocks: HeldBlocks,
    /// How many looks have failed since its address was set.
    pub failed_looks: u32,
    /// Since when DPMP has tried to reach it, while nothing is known about it.
    pub sought: Option<Instant>,
    /// Its latest job on any connection.
    pub latest: Option<Arc<Notify>>,
    /// When it last sent a job on any connection.
    pub job_at: Option<When>,
    /// How long it takes to answer a share, in seconds, as a moving average.
    pub latency: Option<f64>,
    /// Its message when it last refused to authorize a worker; `None` once it has accepted one.
    pub refusal: Option<String>,
    /// Which of its addresses is in use.
    pub addresses: Addresses,
    /// Since when it is in its slot.
    pub since: Instant,
    /// The results of the shares sent to it in the last minutes.
    pub lately: Lately<Meter>,
    /// How it answers shares.
    pub answers: Answers,
    /// When its jobs arrived.
    pub news: News,
    /// Information from its jobs.
    pub insight: Insight,
    /// Since when the other pool has moved on from the block of its jobs.
    pub left: Option<LeftBlock>,
    /// The flaw that was reported when it was set aside.
    pub told_flaw: Option<Flaw>,
    /// DPMP's own looks at all its addresses.
    pub survey: Survey,
    /// Since when it has been down.
    down_at: Option<Instant>,
    /// How many connections are authorized.
    ready: usize,
    /// How many of them have work.
    working: usize,
    /// Since when connections have been authorized but none has work.
    jobless_since: Option<Now>,
    /// The time of the last such report to the log.
    told_jobless: Option<Instant>,
    /// Its state.
    pub health: Health,
    /// Since when it has been in this state.
    pub health_since: When,
    /// How long it was down, as far as that was noted, and when that was, if it is down.
    noted_down: (Duration, Option<Instant>),
    /// Why it is down.
    pub trouble: Option<Loss>,
    /// When it is dialed.
    pub dialer: Dialer,
    /// Whether a worker needs it, as its own pool or instead of the other one.
    pub in_use: bool,
}

impl Pool {
    /// Creates a pool with remembered `facts`.
    pub fn new(slot: PoolSlot, facts: PoolFacts, now: Now) -> Self {
        let reach = LineId(1);
        let mut lines = IdMap::default();
        lines.insert(reach, Line::new(Purpose::Look(Look::Reach)));
        Self {
            slot,
            lines,
            connections: IdMap::default(),
            deserted: BTreeSet::new(),
            last_line: reach.0,
            last_connection: 0,
            orphans: VecDeque::new(),
            reach,
            return_look: None,
            names_look: None,
            names_next: None,
            told_names: NameHabit::Unknown,
            facts,
            forms: Forms::default(),
            blocks: HeldBlocks::default(),
            failed_looks: 0,
            sought: None,
            latest: None,
            job_at: None,
            latency: None,
            refusal: None,
            addresses: Addresses::new(now.at),
            since: now.at,
            lately: Lately::new(now.at),
            answers: Answers::default(),
            news: News::default(),
            insight: Insight::default(),
            left: None,
            told_flaw: None,
            survey: Survey::default(),
            down_at: None,
            ready: 0,
            working: 0,
            jobless_since: None,
            told_jobless: None,
            health: Health::Unknown,
            health_since: now.into(),
            noted_down: (Duration::ZERO, None),
            trouble: None,
            dialer: Dialer::new(now.at),
            in_use: false,
        }
    }

    /// Creates a line without members.
    pub fn add_line(&mut self, purpose: Purpose) -> LineId {
        self.last_line += 1;
        let id = LineId(self.last_line);
        self.lines.insert(id, Line::new(purpose));
        id
    }

    /// The lines with members. A line without members only waits for answers.
    pub fn mining_lines(&self) -> Vec<LineId> {
        let lines = self.lines.iter();
        let lines = lines.filter(|(_, line)| !line.members.is_empty());
        lines.map(|(id, _)| id).collect()
    }

    /// The line that tries next while no miner has work, a different one each time.
    pub fn next_to_attempt(&self) -> Option<LineId> {
        let last = self.dialer.last().unwrap_or(LineId(0));
        let may = |line: &Line| line.purpose == Purpose::Mining && line.may_attempt();
        let able = self.lines.iter().filter(|(_, line)| may(line));
        able.map(|(id, _)| id).min_by_key(|id| (*id <= last, *id))
    }

    /// Which of the two pools it is.
    pub fn slot(&self) -> PoolSlot {
        self.slot
    }

    /// Adds a miner to its group's line, or gives it its own.
    pub fn join(&mut self, miner: MinerId, of_group: Option<&mut Option<LineId>>) -> LineId {
        let known = of_group.as_deref().copied().flatten();
        let known = known.filter(|line| self.lines.contains_key(line));
        let id = known.unwrap_or_else(|| self.add_line(Purpose::Mining));
        if let Some(line) = self.lines.get_mut(&id) {
            line.members.insert(miner);
            line.is_shared = of_group.is_some();
        }
        self.deserted.remove(&id);
        if let Some(of_group) = of_group {
            *of_group = Some(id);
        }
        id
    }

    /// Asks for a connection at the pool's gate.
    pub fn queue(&mut self, line: LineId) {
        if let Some(dial) = self.want(line) {
            self.dialer.queue(dial);
        }
    }

    /// Marks a line as needing a connection, and returns its name for the gate.
    pub fn want(&mut self, line: LineId) -> Option<Dial> {
        let state = self.lines.get_mut(&line)?;
        self.last_connection += 1;
        let (slot, number) = (self.slot, self.last_connection);
        let conn = PoolConn { slot, number };
        state.queue(conn);
        Some(Dial { conn, line })
    }

    /// Queues at the pool's gate, or waits while no miner has work there.
    pub fn dial(&mut self, line: LineId) {
        if self.dialer.is_open() {
            self.queue(line);
        } else if let Some(line) = self.lines.get_mut(&line) {
            line.stand_by();
        }
    }

    /// Dials a line that was not dialed yet.
    pub fn dial_idle(&mut self, line: LineId) {
        if self.lines.get(&line).is_some_and(Line::is_idle) {
            self.dial(line);
        }
    }

    /// A line's established connection.
    pub fn standing(&self, line: LineId) -> Option<&Connection> {
        let conn = self.lines.get(&line)?.standing()?;
        self.connections.get(&conn).map(|it| &**it)
    }

    /// A line's established connection, mutable.
    pub fn standing_mut(&mut self, line: LineId) -> Option<&mut Connection> {
        let conn = self.lines.get(&line)?.standing()?;
        self.connections.get_mut(&conn).map(|it| &mut **it)
    }

    /// Whether a line has an authorized connection.
    pub fn is_ready(&self, line: LineId) -> bool {
        self.standing(line).is_some_and(|it| it.is_ready())
    }

    /// The state of a line's connection. `refused`: whether the pool refused to authorize the worker.
    pub fn stage(&self, line: Option<LineId>, refused: bool) -> ConnectionState {
        let Some((id, line)) = line.and_then(|id| Some((id, self.lines.get(&id)?))) else {
            return ConnectionState::Idle;
        };
        if line.is_idle() {
            return ConnectionState::Idle;
        }
        if line.waits() {
            return if refused {
                ConnectionState::Refused
            } else {
                ConnectionState::Waiting
            };
        }
        match self.standing(id) {
            None => ConnectionState::Connecting,
            Some(connection) if connection.is_ready() => ConnectionState::Ready,
            Some(_) => ConnectionState::Handshake,
        }
    }

    /// The line's miner, unless it is shared.
    pub fn whose(&self, line: LineId) -> Option<MinerId> {
        let line = self.lines.get(&line)?;
        line.members.first().filter(|_| !line.is_shared).copied()
    }

    /// Whether a line is a group's.
    pub fn is_shared(&self, line: LineId) -> bool {
        self.lines.get(&line).is_some_and(|line| line.is_shared)
    }

    /// The members of a line, starting with a different one each time.
    pub fn members_in_turn(&mut self, line: LineId) -> Vec<MinerId> {
        let Some(line) = self.lines.get_mut(&line) else {
            return Vec::new();
        };
        let mut members: Vec<_> = line.members.iter().copied().collect();
        if !members.is_empty() {
            let first = line.rounds % members.len();
            members.rotate_left(first);
            line.rounds = line.rounds.wrapping_add(1);
        }
        members
    }

    /// A line's connections that were replaced.
    pub fn retired_of(&self, line: LineId) -> Vec<PoolConn> {
        let line = self.lines.get(&line);
        line.map(|line| line.retired.clone()).unwrap_or_default()
    }

    /// The connections on which a line's members have jobs, including replaced ones.
    pub fn connections_of(&self, line: LineId) -> impl Iterator<Item = PoolConn> + use<> {
        let standing = self.lines.get(&line).and_then(Line::standing);
        standing.into_iter().chain(self.retired_of(line))
    }

    /// The same, as far as they are established.
    pub fn established_on(&self, line: LineId) -> impl Iterator<Item = &Connection> {
        let connections = self.connections_of(line);
        connections.filter_map(|conn| Some(&**self.connections.get(&conn)?))
    }

    /// The connection is established, and the handshake begins. `false` if it is no longer needed.
    pub fn begin(
        &mut self,
        Dial { conn, line }: Dial,
        identity: Identity,
        moment: &mut Moment<'_>,
    ) -> bool {
        let wanted = self.lines.get_mut(&line).is_some_and(|it| it.stands(conn));
        if wanted {
            let purpose = self.lines.get(&line).map(|line| line.purpose);
            let (return_look, survey) = (&mut self.return_look, &mut self.survey);
            let own = Place {
                facts: &mut self.facts,
                latest: &mut self.latest,
            };
            let mut talk = place(purpose, own, return_look, survey).talk(moment);
            let connection = Connection::begin(conn, line, identity, &mut talk);
            self.connections.insert(conn, Box::new(connection));
        }
        wanted
    }

    /// Lets a connection act. Nothing is learned from a replaced one, because it may lead to a different pool.
    pub fn talk<T>(
        &mut self,
        conn: PoolConn,
        moment: &mut Moment<'_>,
        act: impl FnOnce(&mut Connection, &mut Talk<'_>) -> T,
    ) -> Option<T> {
        let connection = self.connections.get_mut(&conn)?;
        if connection.is_retired() {
            let (mut facts, mut latest) = (self.facts, self.latest.clone());
            let place = Place {
                facts: &mut facts,
                latest: &mut latest,
            };
            return Some(act(connection, &mut place.talk(moment)));
        }
        let purpose = self.lines.get(&connection.line).map(|line| line.purpose);
        let own = Place {
            facts: &mut self.facts,
            latest: &mut self.latest,
        };
        let place = place(purpose, own, &mut self.return_look, &mut self.survey);
        Some(act(connection, &mut place.talk(moment)))
    }

    /// The address that a line dials; `config` is the pool at the address in use.
    pub fn target_of(&self, line: LineId, config: Option<&PoolConfig>) -> Option<Arc<DialTarget>> {
        let look = match self.lines.get(&line)?.purpose {
            Purpose::Look(Look::Return) => &self.return_look,
            Purpose::Look(Look::Survey) => &self.survey.look,
            Purpose::Look(Look::Reach | Look::Names) | Purpose::Mining => {
                return config.map(target);
            }
        };
        look.as_ref().map(|look| Arc::clone(&look.target))
    }

    /// Ends a connection that is no longer needed.
    fn release(&mut self, conn: PoolConn, moment: &mut Moment<'_>) {
        let Some(mut connection) = self.connections.remove(&conn) else {
            return;
        };
        if !connection.is_retired() {
            self.let_go(&connection, moment);
        }
        moment.close(conn);
        self.orphan(&mut connection, RejectReason::PoolLost);
    }

    /// A good connection is no longer needed.
    fn let_go(&mut self, connection: &Connection, moment: &mut Moment<'_>) {
        let line = self.lines.get(&connection.line);
        if !connection.is_ready() || line.is_none_or(|line| line.purpose != Purpose::Mining) {
            return;
        }
        if connection.has_worked() {
            self.work_ended(false, moment.now, moment.random);
        }
        self.connection_ended(None, moment.now);
    }

    /// Closes a line's connection; the line needs none for now.
    pub fn rest(&mut self, line: LineId, moment: &mut Moment<'_>) {
        let standing = self.lines.get(&line).and_then(Line::standing);
        self.idle(line, moment);
        if let Some(conn) = standing {
            self.release(conn, moment);
        }
    }

    /// Closes all connections of a line and forgets it.
    pub fn remove_line(&mut self, line: LineId, moment: &mut Moment<'_>) {
        self.rest(line, moment);
        let removed = self.lines.remove(&line);
        self.deserted.remove(&line);
        for conn in removed.map(|line| line.retired).unwrap_or_default() {
            self.release(conn, moment);
        }
    }

    /// A miner has left. A line without members is closed. Returns how many of the miner's shares wait for an answer.
    pub fn leave(&mut self, line: LineId, miner: MinerId, moment: &mut Moment<'_>) -> usize {
        let Some(state) = self.lines.get_mut(&line) else {
            return 0;
        };
        state.members.remove(&miner);
        let is_empty = state.members.is_empty();
        let connections = self.established_on(line);
        let waiting = |it: &Connection| (it.pending_of(miner).count(), it.pending().count());
        let (own, all) = connections
            .map(waiting)
            .fold((0, 0), |(own, all), (more, of)| (own + more, all + of));
        if is_empty && (all == 0 || self.deserted.len() >= MOST_DESERTED) {
            self.remove_line(line, moment);
        } else if is_empty {
            // No more shares are sent on it; those that were sent count for their workers.
            self.deserted.insert(line);
            let standing = self.lines.get(&line).and_then(Line::standing);
            self.idle(line, moment);
            self.retire(line, standing, Duration::ZERO, moment);
            self.forget_empty(line);
        }
        own
    }

    /// A miner now works on another line. Answers to its shares may still arrive on this one.
    pub fn part(&mut self, line: LineId, miner: MinerId, moment: &mut Moment<'_>) {
        let Some(state) = self.lines.get_mut(&line) else {
            return;
        };
        state.members.remove(&miner);
        if state.members.is_empty() {
            self.dismiss(line, moment);
            self.forget_empty(line);
        }
    }

    /// Forgets a line without members and without waiting shares.
    fn forget_empty(&mut self, line: LineId) {
        let is_over = |line: &Line| {
            let empty = line.members.is_empty() && line.retired.is_empty() && line.is_idle();
            empty && line.purpose == Purpose::Mining
        };
        if self.lines.get(&line).is_some_and(is_over) {
            self.lines.remove(&line);
            self.deserted.remove(&line);
        }
    }

    /// Replaces the current connection with a new one, and keeps the old one for the shares of its jobs.
    pub fn renew(&mut self, line: LineId, moment: &mut Moment<'_>) {
        let Some(state) = self.lines.get_mut(&line).filter(|line| !line.is_idle()) else {
            return;
        };
        let standing = state.standing();
        state.reset(Duration::ZERO, moment.now.at);
        self.retire(line, standing, RETIREMENT, moment);
    }

    /// The pool is no longer needed: an established connection is kept for the shares of its jobs.
    pub fn dismiss(&mut self, line: LineId, moment: &mut Moment<'_>) {
        let standing = self.lines.get(&line).and_then(Line::standing);
        self.idle(line, moment);
        self.retire(line, standing, RETIREMENT, moment);
    }

    /// The line needs no connection any more.
    fn idle(&mut self, line: LineId, moment: &mut Moment<'_>) {
        if let Some(state) = self.lines.get_mut(&line) {
            if let Some(conn) = state.conn() {
                self.dialer.ended(conn, AttemptEnd::Again, moment.now.at);
            }
            state.rest();
        }
    }

    /// The pool asks for a reconnect of a line after a pause.
    pub fn sent_away(&mut self, line: LineId, pause: Duration, moment: &mut Moment<'_>) {
        let now = moment.now.at;
        let proven = self.standing(line).is_some_and(|it| it.is_proven(now));
        let Some(state) = self.lines.get_mut(&line) else {
            return;
        };
        let standing = state.standing();
        state.sent_away(pause, proven, now);
        self.retire(line, standing, RETIREMENT, moment);
    }

    /// Keeps a replaced connection for the shares of its jobs.
    fn retire(
        &mut self,
        line: LineId,
        conn: Option<PoolConn>,
        takes_shares: Duration,
        moment: &mut Moment<'_>,
    ) {
        let Some(mut connection) = conn.and_then(|conn| self.connections.remove(&conn)) else {
            return;
        };
        let conn = connection.conn;
        if !connection.is_ready() {
            moment.close(conn);
            return;
        }
        self.let_go(&connection, moment);
        connection.retire(later(moment.now.at, takes_shares));
        self.connections.insert(conn, connection);
        let Some(state) = self.lines.get_mut(&line) else {
            return;
        };
        state.retired.push(conn);
        if state.retired.len() > MOST_RETIRED {
            // One without waiting shares, or the oldest.
            let idle = |conn: &PoolConn| {
                let connection = self.connections.get(conn);
                connection.is_none_or(|it| it.pending().next().is_none())
            };
            let older = state.retired.iter().take(MOST_RETIRED);
            let index = older.clone().position(idle).unwrap_or(0);
            let old = state.retired.remove(index);
            self.bury(old, RejectReason::PoolLost);
            moment.close(old);
        }
    }

    /// Ends a replaced connection: shares that still wait on it get no answer from the pool.
    pub fn end_retired(&mut self, conn: PoolConn, reason: RejectReason) {
        let line = self.connections.get(&conn).map(|it| it.line);
        self.bury(conn, reason);
        if let Some(line) = line {
            if let Some(state) = self.lines.get_mut(&line) {
                state.retired.retain(|other| *other != conn);
            }
            self.forget_empty(line);
        }
    }

    /// Forgets a connection that has ended; its shares must be answered.
    pub fn bury(&mut self, conn: PoolConn, reason: RejectReason) {
        if let Some(mut connection) = self.connections.remove(&conn) {
            self.orphan(&mut connection, reason);
        }
    }

    fn orphan(&mut self, connection: &mut Connection, reason: RejectReason) {
        let accepted = connection.take_held();
        self.orphans
            .extend(accepted.map(|share| (share, ShareOutcome::Accepted)));
        let lost = connection.take_pending().into_iter();
        let lost = lost.map(|share| (share, ShareOutcome::Lost(reason)));
        self.orphans.extend(lost);
    }

    /// A line's connection broke or failed.
    pub fn fail(&mut self, line: LineId, conn: PoolConn, loss: &Loss, moment: &mut Moment<'_>) {
        let now = moment.now.at;
        self.dialer.ended(conn, AttemptEnd::of(loss), now);
        let failures = self.lines.get(&line).map_or(0, Line::failures);
        if matches!(loss, Loss::Closed(_)) {
            self.talk(conn, moment, |it, talk| {
                it.suspect_extras(failures, talk.facts, now);
                it.suspect_names(talk);
            });
        }
        let connection = self.connections.get(&conn);
        let proven = connection.is_some_and(|it| it.is_proven(now));
        let unanswered = connection.map_or(0, |it| it.pending().count());
        if let Some(line) = self.lines.get_mut(&line) {
            line.fail(loss, proven, now, moment.random);
        }
        moment.report(Fact::PoolLost {
            conn,
            miner: self.whose(line),
            reason: loss.clone(),
            unanswered,
        });
        self.tell_failed(conn, loss, moment);
    }

    /// Reports what a connection found out about the pool.
    pub fn tell_learnt(&self, before: PoolFacts, moment: &mut Moment<'_>) {
        let facts = self.facts;
        let news = (facts.e2_size, facts.mask) != (before.e2_size, before.mask);
        if let Some(e2_size) = facts.e2_size.filter(|_| news) {
            moment.report(Fact::PoolLearnt {
                slot: self.slot,
                e2_size,
                mask: facts.mask,
            });
        }
    }

    /// Records when a pool sent a job: one that is new for all connections, or only for one.
    pub fn note_job(
        &mut self,
        conn: PoolConn,
        before: Option<&Arc<Notify>>,
        is_job: bool,
        now: Now,
    ) {
        if is_job || before.map(Arc::as_ptr) != self.latest.as_ref().map(Arc::as_ptr) {
            if let Some(job) = &self.latest {
                let opened = self.connections.get(&conn).map_or(now.at, |it| it.opened());
                self.news.hear(job, opened, now);
            }
            self.job_at = Some(now.into());
        }
    }

    /// Sends block candidates that could not be sent before, or were not answered, on suitable connections. Returns the
    /// lines on which some were sent.
    pub fn send_held_blocks(&mut self, moment: &mut Moment<'_>) -> Vec<LineId> {
        let mut lines = Vec::new();
        if !self.blocks.take_stirred() {
            return lines;
        }
        for connection in self.connections.values_mut() {
            let mining = self.lines.get(&connection.line);
            let mining = mining.is_some_and(|line| line.purpose == Purpose::Mining);
            if mining && connection.is_ready() && !connection.is_retired() {
                connection.submit_held(&mut self.blocks, moment.now.at, moment.out);
                lines.push(connection.line);
            }
        }
        lines
    }

    /// Opens a new connection if the current one does not answer shares.
    pub fn renew_unanswered(&mut self, line: LineId, moment: &mut Moment<'_>) {
        let standing = self.standing(line);
        if standing.is_some_and(|it| it.unanswered_since().is_some()) {
            self.renew(line, moment);
        }
    }

    /// A line's next deadline.
    pub fn line_deadline(
        &self,
        line: &Line,
        limits: Option<&PoolConfig>,
        now: Instant,
    ) -> Option<Instant> {
        let pause = line.next_deadline();
        let patience = patience(limits);
        let of = |conn: &PoolConn| self.connections.get(conn);
        let standing = line.standing().as_ref().and_then(of).zip(limits);
        let standing = standing.and_then(|(it, limits)| it.next_deadline(limits, now));
        let retired = line.retired.iter().filter_map(of);
        let due = retired
            .filter_map(|it| it.retired_deadline(patience, now))
            .chain(standing);
        due.chain(pause).min()
    }

    /// Whether a miner can get its extranonce without waiting for this pool: it is known, or could not be reached.
    pub fn is_known(&self, now: Instant) -> bool {
        self.facts.e2_size.is_some()
            || self.failed_looks >= ENOUGH_LOOKS
            || self.given_up().is_some_and(|until| until <= now)
    }

    /// How long miners wait until it is known.
    pub fn given_up(&self) -> Option<Instant> {
        let sought = self.sought.filter(|_| self.facts.e2_size.is_none())?;
        sought.checked_add(LONGEST_SEARCH)
    }

    /// Forgets what belongs to the address, because the pool now has a different one.
    pub fn forget_address(&mut self) {
        self.forms = Forms::default();
        self.failed_looks = 0;
        self.names_next = None;
        self.sought = None;
        self.latest = None;
        self.job_at = None;
        self.latency = None;
        self.refusal = None;
        self.answers = Answers::default();
        self.news = News::default();
        self.insight = Insight::default();
    }

    /// Another pool takes the slot, with these facts still to be found out.
    pub fn give_slot(&mut self, now: Now) {
        self.since = now.at;
        self.lately = Lately::new(now.at);
        self.reached(now);
        for connection in self.connections.values_mut() {
            connection.be_former();
        }
    }

    /// Records how long it took to answer a share.
    pub fn answered_after(&mut self, latency: Duration) {
        let latency = latency.as_secs_f64();
        let before = self.latency.unwrap_or(latency);
        self.latency = Some(before + (latency - before) * LATENCY_WEIGHT);
    }

    /// Records that a connection was authorized, and reports it if this means that the pool is up.
    pub fn tell_ready(&mut self, moment: &mut Moment<'_>) -> bool {
        self.blocks.stir();
        let came_up = self.connection_ready(moment.now);
        if came_up && !self.is_set_aside() {
            moment.report(Fact::PoolUp { slot: self.slot });
        }
        came_up
    }

    /// Records that a connection broke or failed, and reports it if this means that the pool is down.
    fn tell_failed(&mut self, conn: PoolConn, loss: &Loss, moment: &mut Moment<'_>) {
        let connection = self.connections.get(&conn);
        let (worked, ready) =
            connection.map_or((false, false), |it| (it.has_worked(), it.is_ready()));
        if worked {
            self.work_ended(true, moment.now, moment.random);
        }
        let down = if ready {
            self.connection_ended(Some(loss), moment.now)
        } else {
            self.attempt_failed(loss, moment.now)
        };
        if down && !self.is_set_aside() {
            moment.report(Fact::PoolDown {
                slot: self.slot,
                reason: Outage::Lost(loss.clone()),
            });
        }
    }

    /// Records that a connection was authorized. Returns whether this means that the pool is up.
    fn connection_ready(&mut self, now: Now) -> bool {
        self.ready += 1;
        if self.working == 0 {
            self.jobless_since.get_or_insert(now);
        }
        self.refusal = None;
        self.set_health(Health::Up, now)
    }

    /// Records that an authorized connection ended, through the pool's fault if there is one. Returns whether this
    /// means that the pool is down.
    fn connection_ended(&mut self, fault: Option<&Loss>, now: Now) -> bool {
        self.ready = self.ready.saturating_sub(1);
        if self.ready == 0 {
            self.jobless_since = None;
        } else if self.working == 0 {
            self.jobless_since.get_or_insert(now);
        }
        if self.ready > 0 {
            return false;
        }
        match fault {
            Some(loss) => self.went_down(loss, now),
            None => {
                self.set_health(Health::Unknown, now);
                false
            }
        }
    }

    /// Records that an attempt to reach it failed. Returns whether this means that the pool is down.
    fn attempt_failed(&mut self, loss: &Loss, now: Now) -> bool {
        if let Loss::Refused(Step::Authorize, reject) = loss {
            self.refusal = Some(reject.message.to_string());
        }
        self.ready == 0 && self.went_down(loss, now)
    }

    /// Records that a look succeeded: earlier failures no longer count.
    pub fn reached(&mut self, now: Now) {
        if self.health == Health::Down {
            self.set_health(Health::Unknown, now);
        }
    }

    /// Records that an authorized connection has its first job. Returns whether it is the only one with a job.
    pub fn work_begun(&mut self, now: Now) -> bool {
        self.working += 1;
        self.jobless_since = None;
        let first = self.working == 1;
        if first {
            self.dialer.opens(now.at);
        }
        first
    }

    /// Records that a connection with work ended; `failed`: DPMP did not end it on purpose.
    fn work_ended(&mut self, failed: bool, now: Now, random: &mut Random) {
        self.working = self.working.saturating_sub(1);
        if self.working == 0 {
            self.dialer.closes(failed, now.at, random);
        }
    }

    /// Whether any connection has work.
    pub fn has_work(&self) -> bool {
        self.working > 0
    }

    /// Whether miners can work for it; `None` if none has tried since it was last reached.
    pub fn is_useful(&self) -> Option<bool> {
        match self.health {
            Health::Up => Some(self.working > 0 && !self.is_set_aside()),
            Health::Down => Some(false),
            Health::Unknown => None,
        }
    }

    /// Since when miners have been authorized without a job.
    pub fn jobless_since(&self) -> Option<Now> {
        self.jobless_since.filter(|_| self.ready > 0)
    }

    /// The same, if it has lasted too long.
    pub fn gives_no_job(&self, now: Instant) -> Option<Now> {
        let due = |since: &Now| now.saturating_duration_since(since.at) >= PATIENCE_FOR_JOB;
        self.jobless_since().filter(due)
    }

    /// How long it has sent no job, if that is too long and was not reported yet.
    pub fn take_no_job(&mut self, now: Instant) -> Option<Duration> {
        let since = self.gives_no_job(now)?.at;
        let told = self.told_jobless.replace(since);
        (told != Some(since)).then(|| now.saturating_duration_since(since))
    }

    /// When it will have sent no job for too long.
    pub fn next_job_due(&self) -> Option<Instant> {
        let since = self.jobless_since().map(|since| since.at);
        let since = since.filter(|since| self.told_jobless != Some(*since))?;
        since.checked_add(PATIENCE_FOR_JOB)
    }

    /// Its flaw, if it can be reached and sends work but is not worth working for, and since when.
    pub fn flaw(&self) -> Option<(Flaw, Now)> {
        self.answers.flaw().or(self.news.flaw())
    }

    /// Whether work for it earns nothing, so that the pool misses nothing.
    pub fn earns_nothing(&self) -> bool {
        self.flaw().is_some_and(|(flaw, _)| flaw.earns_nothing())
    }

    /// Whether miners should work for the other pool.
    pub fn is_set_aside(&self) -> bool {
        self.flaw().is_some()
    }

    /// Whether its miners should rather work for the other pool.
    pub fn fails(&self) -> bool {
        self.health == Health::Down || self.is_set_aside()
    }

    /// Whether it has been down for this long. A pool that only refuses one worker may accept the next.
    pub fn is_down_for(&self, time: Duration, now: Instant) -> bool {
        let since = self.down_at.filter(|_| self.refusal.is_none());
        since.is_some_and(|since| now.saturating_duration_since(since) >= time)
    }

    /// Treats it as having been down for this long, if it is down.
    pub fn give_up(&mut self, time: Duration, now: Instant) {
        let since = now.checked_sub(time);
        self.down_at = self
            .down_at
            .map(|at| since.map_or(at, |since| at.min(since)));
    }

    /// Why it cannot be used.
    pub fn why_useless(&self) -> Outage {
        match (self.health, self.flaw(), &self.trouble) {
            (Health::Up, Some((flaw, _)), _) => Outage::Flaw(flaw),
            (Health::Up, None, _) => Outage::NoWork,
            (Health::Unknown | Health::Down, _, Some(loss)) => Outage::Lost(loss.clone()),
            (Health::Unknown | Health::Down, _, None) => Outage::Unknown,
        }
    }

    /// Notes whether it is down; how long it has been in all, in seconds.
    pub fn note_down(&mut self, is_down: bool, now: Instant) -> f64 {
        let (all, noted) = &mut self.noted_down;
        if let Some(since) = std::mem::replace(noted, is_down.then_some(now)) {
            *all += now.saturating_duration_since(since);
        }
        all.as_secs_f64()
    }

    /// How many connections are authorized.
    pub fn ready(&self) -> usize {
        self.ready
    }

    fn went_down(&mut self, loss: &Loss, now: Now) -> bool {
        let changed = self.set_health(Health::Down, now);
        self.trouble = Some(loss.clone());
        changed
    }

    fn set_health(&mut self, health: Health, now: Now) -> bool {
        let changed = self.health != health;
        if changed {
            self.health = health;
            self.health_since = now.into();
            self.down_at = (health == Health::Down).then_some(now.at);
            self.trouble = None;
        }
        changed
    }
}

/// What is known about the address that a line leads to. `own`: about the one in use.
fn place<'a>(
    purpose: Option<Purpose>,
    own: Place<'a>,
    return_look: &'a mut Option<AddressLook>,
    survey: &'a mut Survey,
) -> Place<'a> {
    let look = match purpose {
        Some(Purpose::Look(Look::Return)) => return_look.as_mut(),
        Some(Purpose::Look(Look::Survey)) => survey.look.as_mut(),
        Some(Purpose::Look(Look::Reach | Look::Names) | Purpose::Mining) | None => None,
    };
    match look {
        Some(look) => Place {
            facts: &mut look.facts,
            latest: &mut look.latest,
        },
        None => own,
    }
}

/// What is known about one address.
struct Place<'a> {
    facts: &'a mut PoolFacts,
    latest: &'a mut Option<Arc<Notify>>,
}

impl<'a> Place<'a> {
    fn talk<'b>(self, moment: &'b mut Moment<'_>) -> Talk<'b>
    where
        'a: 'b,
    {
        Talk {
            facts: self.facts,
            latest: self.latest,
            now: moment.now.at,
            out: moment.out,
        }
    }
}

/// How long a share may wait for a pool's answer, even if the pool was removed.
pub fn patience(limits: Option<&PoolConfig>) -> Duration {
    limits.map_or(RETIREMENT, |pool| pool.answer)
}

/// The address at which a pool is dialed.
pub fn target(config: &PoolConfig) -> Arc<DialTarget> {
    Arc::new(DialTarget {
        host: config.host.clone(),
        port: config.port,
        tls: config.tls.trust(),
    })
}
