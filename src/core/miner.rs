//! One miner from its connection to its end: its side of the handshake, and why it is disconnected. Its lines to the
//! pools, its work and its shares are in the folder `miner`.

pub mod context;
mod fleet;
mod follow;
pub mod former;
mod lines;
mod place;
pub mod rhythm;
pub mod roster;
pub mod session;
mod shares;
pub mod silence;
mod stand_in;
pub mod vardiff;
pub mod view;
mod work;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::core::action::Action;
use crate::core::event::CloseReason;
use crate::core::fact::{Eviction, Fact, ShareOutcome, ShareResult};
use crate::core::miner::context::{Context, SilentWorkers};
use crate::core::miner::rhythm::Rhythm;
use crate::core::miner::roster::Roster;
use crate::core::miner::session::{Authorization, Session, worker_of};
use crate::core::miner::vardiff::Vardiff;
use crate::core::outage::Health;
use crate::core::pool::connection::Connection;
use crate::core::pool::groups::GroupId;
use crate::core::pool::verdict::LastAnswers;
use crate::core::split::fleet::Place;
use crate::core::split::schedule::{Rules, Schedule};
use crate::core::stats::meter::{HourMeter, Meter};
use crate::core::stats::recent::RecentShares;
use crate::core::stats::tally::{ByReason, PoolWords, Tally};
use crate::core::steering::{Aim, AimSource};
use crate::core::work::jobs::{SeenShares, SentJobs, Serial};
use crate::stratum::codec::DecodeError;
use crate::stratum::message::{Configure, FromMiner, MinerCall, Reply, RequestId, ToMiner};
use crate::stratum::reject::{Reject, RejectReason};
use crate::units::{
    Allowance, Difficulty, LineId, LinkId, MinerId, Now, PerPool, PoolConn, PoolSlot, Rate,
    VersionMask, When, later,
};

/// How many lines that are not messages a miner may send before it is disconnected. Good lines in between do not reset
/// the count; otherwise a ping after each bad line would be enough.
const USELESS: Rate = Rate {
    burst: 50.0,
    per_second: 1.0,
};

/// Without a job for this long, some miners give up on a pool (compat Q65: the first ones after 90 s).
const LONGEST_SILENCE: Duration = Duration::from_secs(60);

/// How long a miner that may be paused has to name its worker before it gets an answer. AxeOS and NerdQAxe do so with
/// their first requests. Others need answers first, which do not lure them from their fallback pool (compat Q83).
const NAME: Duration = Duration::from_secs(2);

/// How long a miner that is being disconnected may wait for the answers to its shares.
const LEAVE: Duration = Duration::from_secs(2);

/// How much it counts that a pool closed the connection, possibly because of the miner's share.
pub const HANGUP: u8 = 4;

/// From so many strikes on, a member gets its own connection.
pub const MOST_STRIKES: u8 = 8;

/// A miner's connection and everything that belongs to it.
#[derive(Debug)]
pub struct Miner {
    pub(super) id: MinerId,
    pub(super) peer: SocketAddr,
    pub(super) opened: Now,
    pub(super) session: Session,
    /// Its line to each pool, once it has asked to be authorized.
    pub(super) lines: PerPool<Option<LineId>>,
    /// Its own name on a shared connection to each pool, once the pool was told it.
    introduced: PerPool<Option<(PoolConn, Arc<str>)>>,
    /// The line to each pool that it moves to as soon as that has work.
    next_lines: PerPool<Option<LineId>>,
    /// Whether it has its own connections although others share theirs, because most of its shares were rejected, or
    /// because of its strikes.
    pub(super) apart: PerPool<bool>,
    /// How suspicious it is, since a pool last accepted one of its shares: a share without an answer counts 1, one with
    /// which the pool closed the connection counts [`HANGUP`].
    pub(super) strikes: PerPool<u8>,
    /// Its difficulty on shared connections.
    vardiff: Vardiff,
    /// Shared lines that it left for another group's, on which answers to its shares may still arrive.
    former: Vec<(PoolSlot, LineId)>,
    /// The group with which it shares connections, if any.
    group: Option<GroupId>,
    /// The state of the current attempt to authorize at each pool.
    pub(super) trials: PerPool<Trial>,
    /// What the owner wants the miner to do.
    pub(super) meant: Aim,
    /// What the fleet needs it for, if it belongs to the fleet.
    pub(super) place: Option<Place>,
    /// What it should do: what the owner wants, or within that what the fleet needs.
    pub(super) aim: Aim,
    /// Its time at the other pool, while its own is down.
    stand_in: Option<stand_in::StandIn>,
    /// Whether its turn is on a pool that is not its own.
    stood_in: bool,
    /// When its state was last updated.
    looked_at: Instant,
    pub(super) schedule: Schedule,
    /// Each pool's answers to its last shares.
    pub(super) last_answers: PerPool<LastAnswers>,
    sent: SentJobs,
    /// The newest job from each pool that it was sent.
    newest: PerPool<Option<(PoolConn, Serial)>>,
    /// Its shares, to find duplicates.
    seen: PerPool<SeenShares>,
    /// The difficulty that the miner was sent last.
    pub(super) told_difficulty: Option<Difficulty>,
    told_mask: Option<VersionMask>,
    /// Whether the next job must come with a new extranonce.
    owes_extranonce: bool,
    /// The extranonce2 size of the last shares if it is not the given one, and the number of these shares.
    other_size: Option<(u8, u32)>,
    /// How quickly it follows switches.
    follow: follow::Follow,
    last_work: Option<Instant>,
    /// Since when no pool has work for it.
    idle: Option<Idle>,
    /// Submits that are allowed immediately.
    tokens: f64,
    tokens_at: Instant,
    limited: bool,
    useless: Allowance,
    /// Why it gets no answer, if so.
    hold: Option<Hold>,
    /// How long it stays connected at least, if it connected while no pool had work.
    patience: Option<Instant>,
    /// Whether it was reported to the log; a paused miner is not.
    is_announced: bool,
    pub(super) life: Life,
    pub(super) stats: MinerStats,
}

/// The results of a miner on this connection.
#[derive(Clone, Debug)]
pub struct MinerStats {
    /// All its shares.
    pub all: Tally<Arc<ByReason>>,
    /// Those for each pool's jobs.
    pub by_pool: PerPool<Tally<u64>>,
    /// Its work, by pool.
    pub work: PerPool<Meter>,
    /// All its shares, regardless of their result.
    pub shares: Meter,
    /// Its work over an hour, and the sum of the squares, which shows how far luck may have changed it.
    pub hour: [HourMeter; 2],
    /// The last ones.
    pub recent: RecentShares,
    /// Pools' messages about rejected shares.
    pub said: Arc<PoolWords>,
    /// When it last sent a share.
    pub last_share: Option<When>,
    /// The rhythm of its shares.
    pub rhythm: Rhythm,
}

impl MinerStats {
    fn add(&mut self, share: &ShareResult, now: Now) {
        self.all.add(share, now);
        if let Some(slot) = share.slot {
            if !share.former {
                self.by_pool[slot].add(share, now);
            }
            self.work[slot].add(share.work(), now.at);
            let [work, squares] = &mut self.hour;
            work.add(share.work(), now.at);
            squares.add(share.work() * share.work(), now.at);
        }
        self.shares.add(1.0, now.at);
        if let (ShareOutcome::RejectedByPool(reject), false) = (&share.outcome, share.former) {
            let reason = share.outcome.reason().unwrap_or_default();
            let message = reject.message.clone().into_owned();
            Arc::make_mut(&mut self.said).insert(reason, message);
        }
        self.recent.push(share, now);
    }
}

/// Another pool takes the slot: what was done for the one before is not its.
impl MinerStats {
    pub(in crate::core) fn forget_pool(&mut self, slot: PoolSlot) {
        self.by_pool[slot] = Tally::default();
        self.said = Arc::default();
    }
}

/// The stages of a miner's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// It is being served.
    Here,
    /// It will be disconnected once its shares are answered, at `deadline` at the latest.
    Leaving {
        until: Instant,
        /// The answer to shares that are still waiting then.
        reason: RejectReason,
    },
    /// Its connection is closed; only the final event is missing.
    Gone {
        /// How many of its shares were still waiting.
        unanswered: usize,
    },
}

/// Why a miner gets no answer, and until when.
#[derive(Clone, Copy, Debug)]
enum Hold {
    /// There may be no work for it: it must name its worker first.
    Name(Instant),
    /// There is no work for it.
    Silence(Instant),
}

impl Hold {
    fn until(self) -> Instant {
        match self {
            Self::Name(until) | Self::Silence(until) => until,
        }
    }
}

/// A time without work.
#[derive(Clone, Copy, Debug)]
struct Idle {
    since: Instant,
    /// Whether its last job keeps it from sending shares in the meantime.
    parked: bool,
}

/// The result of an attempt to authorize the worker at a pool.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Trial {
    #[default]
    Pending,
    Unreachable,
    Refused(Reject),
}

impl Idle {
    fn since(since: Instant) -> Self {
        Self {
            since,
            parked: false,
        }
    }
}

impl Miner {
    /// A miner that has just connected. `index` counts the miners, for their places in the cycle.
    pub fn new(id: MinerId, peer: SocketAddr, index: u64, aim: Aim, now: Now) -> Self {
        Self {
            id,
            peer,
            opened: now,
            session: Session::default(),
            lines: PerPool::default(),
            next_lines: PerPool::default(),
            introduced: PerPool::default(),
            apart: PerPool::default(),
            strikes: PerPool::default(),
            vardiff: Vardiff::default(),
            former: Vec::new(),
            group: None,
            trials: PerPool::default(),
            meant: aim,
            place: None,
            aim,
            stand_in: None,
            stood_in: false,
            looked_at: now.at,
            schedule: Schedule::new(index, now.at),
            last_answers: PerPool::default(),
            sent: SentJobs::default(),
            newest: PerPool::default(),
            seen: PerPool::default(),
            told_difficulty: None,
            told_mask: None,
            owes_extranonce: false,
            other_size: None,
            follow: follow::Follow::default(),
            last_work: None,
            idle: None,
            // As many as the limit allows; the first submit reduces the number to that.
            tokens: f64::INFINITY,
            tokens_at: now.at,
            limited: false,
            useless: Allowance::full(USELESS, now.at),
            hold: None,
            patience: None,
            is_announced: false,
            life: Life::Here,
            stats: MinerStats {
                all: Tally::default(),
                by_pool: PerPool::default(),
                work: PerPool::from_fn(|_| Meter::new(now.at)),
                shares: Meter::new(now.at),
                hour: [HourMeter::new(now.at), HourMeter::new(now.at)],
                recent: RecentShares::default(),
                said: Arc::default(),
                last_share: None,
                rhythm: Rhythm::default(),
            },
        }
    }

    fn is_gone(&self) -> bool {
        matches!(self.life, Life::Gone { .. })
    }

    /// Handles a message from the miner.
    pub fn on_message(&mut self, message: FromMiner, cx: &mut Context<'_>) {
        if self.is_gone() {
            return;
        }
        match message {
            FromMiner::Request { id, call } => {
                if let MinerCall::Authorize { user, .. } = &call {
                    self.on_name(user, cx);
                }
                if self.must_wait(&call, cx) {
                    cx.seek_pools();
                    self.postpone(id, call, cx);
                } else {
                    self.on_call(id, call, cx);
                }
            }
            FromMiner::NoAnswer => (),
        }
    }

    /// The answers to subscribe and configure depend on what is known about the pools. Requests after one that waits
    /// are answered after it, but a share of a miner that has work never waits.
    fn must_wait(&self, call: &MinerCall, cx: &Context<'_>) -> bool {
        if self.hold.is_some() {
            return true;
        }
        match call {
            MinerCall::Submit(_) | MinerCall::UnreadableSubmit { .. } => {
                self.session.has_postponed() && self.session.extranonce.is_none()
            }
            MinerCall::Configure(_) => self.session.has_postponed() || !cx.pools_known(),
            MinerCall::Subscribe { .. } if self.session.extranonce.is_none() => {
                self.session.has_postponed() || !cx.pools_known()
            }
            MinerCall::Subscribe { .. }
            | MinerCall::Authorize { .. }
            | MinerCall::SubscribeExtranonce
            | MinerCall::SuggestDifficulty(_)
            | MinerCall::Ping
            | MinerCall::Invalid { .. }
            | MinerCall::Unknown { .. } => self.session.has_postponed(),
        }
    }

    /// Handles the requests that waited until the pools are known.
    pub fn on_pools_known(&mut self, cx: &mut Context<'_>) {
        while let Some((id, call)) = self.session.next_postponed() {
            self.on_call(id, call, cx);
        }
    }

    /// Whether requests wait until the pools are known.
    pub fn waits_for_pools(&self) -> bool {
        self.session.has_postponed() && self.hold.is_none()
    }

    /// There is work for it after all.
    fn release(&mut self, cx: &mut Context<'_>) {
        self.announce(cx);
        self.go_on(cx);
    }

    /// Answers its requests.
    fn go_on(&mut self, cx: &mut Context<'_>) {
        self.hold = None;
        if cx.pools_known() {
            self.on_pools_known(cx);
        } else {
            cx.seek_pools();
        }
    }

    /// The miner has just connected. `refusal`: why DPMP serves no miners.
    pub fn on_opened(&mut self, refusal: Option<Eviction>, cx: &mut Context<'_>) {
        let address = self.peer.ip();
        let silent = cx.silent_workers(address);
        if silent.is_empty() || refusal.is_some() {
            self.announce(cx);
        }
        if let Some(reason) = refusal {
            self.turn_away(reason, cx);
            cx.seek_pools();
            return;
        }
        if cx.pools_gone() {
            if cx.silence.hangs_up(address, cx.now.at) {
                self.announce(cx);
                self.turn_away(Eviction::NoWork, cx);
                cx.seek_pools();
                return;
            }
            self.patience = Some(cx.silence.hold_until(address, cx.now.at));
        }
        match silent {
            SilentWorkers::None => (),
            SilentWorkers::Some => self.hold = Some(Hold::Name(later(cx.now.at, NAME))),
            SilentWorkers::All => self.keep_silent(cx),
        }
    }

    /// The miner names its worker.
    fn on_name(&mut self, user: &str, cx: &mut Context<'_>) {
        if self.session.has_user() {
            return;
        }
        let worker: Arc<str> = worker_of(user).into();
        cx.silence.saw(self.peer.ip(), &worker, cx.now.at);
        if cx.is_silent(&worker) {
            cx.tell_pause(&worker);
            if !matches!(self.hold, Some(Hold::Silence(_))) {
                self.keep_silent(cx);
            }
            return;
        }
        self.release(cx);
    }

    /// There is no work for it: stops answering.
    fn keep_silent(&mut self, cx: &mut Context<'_>) {
        let (address, now) = (self.peer.ip(), cx.now.at);
        if cx.silence.hangs_up(address, now) {
            self.vanish(cx);
        } else {
            self.hold = Some(Hold::Silence(cx.silence.hold_until(address, now)));
        }
    }

    /// Checks again whether there is work for a miner that is kept waiting.
    fn look_at_hold(&mut self, cx: &mut Context<'_>) {
        let Some(hold) = self.hold else { return };
        let named = self.session.postponed_user().map(worker_of);
        let silent = match (named, cx.silent_workers(self.peer.ip())) {
            (Some(worker), _) => cx.is_silent(&worker),
            (None, SilentWorkers::All) => true,
            (None, SilentWorkers::Some) => matches!(hold, Hold::Name(_)),
            (None, SilentWorkers::None) => false,
        };
        if !silent {
            self.release(cx);
        }
    }

    /// Sets a new aim.
    fn set_aim(&mut self, meant: Aim, place: Option<Place>, cx: &mut Context<'_>) {
        self.account(cx.now.at, &cx.rules, cx.totals);
        (self.meant, self.place) = (meant, place);
        let work = place.map_or(meant.work, Place::work);
        self.aim = Aim { work, ..meant };
        cx.rules = self.rules(cx.config, cx.frozen);
    }

    /// Updates its aim from the owner's settings.
    pub fn look_at_aim(&mut self, cx: &mut Context<'_>) {
        self.look_at_hold(cx);
        let meant = cx.aim(self.session.worker());
        let is_of_fleet = cx.place.is_some() && cx.steering.is_of_fleet(meant, cx.wanted);
        let place = cx.place.filter(|_| is_of_fleet);
        if (meant, place) != (self.meant, self.place) {
            self.set_aim(meant, place, cx);
        }
        if self.session.has_user() && self.life == Life::Here && meant.pauses() {
            cx.tell_pause(&self.session.worker_name());
            self.vanish(cx);
        }
    }

    /// Disconnects it without an answer once its shares are answered, as if this server were down.
    fn vanish(&mut self, cx: &mut Context<'_>) {
        self.hold = None;
        if self.life == Life::Here {
            self.life = Life::Leaving {
                until: later(cx.now.at, LEAVE),
                reason: RejectReason::PoolLost,
            };
            self.session.forget_postponed();
            self.note_leaving(cx);
        }
    }

    /// Notes that a miner that worked here now looks for another pool.
    fn note_leaving(&self, cx: &mut Context<'_>) {
        if self.session.is_authorized() {
            cx.silence.left(self.peer.ip(), cx.now.at);
        }
    }

    /// Reports it to the log.
    fn announce(&mut self, cx: &mut Context<'_>) {
        if !std::mem::replace(&mut self.is_announced, true) {
            let (miner, peer) = (self.id, self.peer);
            cx.report(Fact::MinerConnected { miner, peer });
        }
    }

    /// Whether it has been silent for longer than luck can explain, although it had work.
    pub fn hangs(&self, now: Instant) -> bool {
        self.stats.rhythm.hangs(now)
    }

    /// Keeps the rhythm of its shares for its next connection.
    pub fn park_rhythm(&self, roster: &mut Roster) {
        let software = self.session.user_agent.as_deref();
        let (worker, address) = (self.session.worker(), self.peer.ip());
        if self.session.is_authorized() {
            roster.park(worker, self.stats.rhythm, address, software);
        }
    }

    /// Its current difficulty, if it has work.
    pub fn works_at(&self) -> Option<Difficulty> {
        let works = self.life == Life::Here && self.schedule.on().is_some();
        self.told_difficulty.filter(|_| works)
    }

    /// Whether it is shown: not if it is kept waiting, or connected in vain.
    pub fn is_shown(&self) -> bool {
        self.is_announced && self.hold.is_none()
    }

    /// The rules for its turns. `frozen`: whether the current time counts for no miner's schedule.
    pub fn rules(&self, config: &Config, frozen: bool) -> Rules {
        let shares = self.aim.work.shares();
        let shares = shares.unwrap_or_else(|| PerPool::from_fn(|slot| config.share(slot)));
        let mut rules = Rules::of(config, shares);
        // Time under a temporary change is not made up for later.
        let passing = self.aim.source == AimSource::Override && !self.schedule.had_both();
        rules.frozen |= frozen || passing;
        if let Some(Place::Turns { slice, .. }) = self.place {
            rules.slice = rules.slice.max(slice);
        }
        rules
    }

    /// Handles a line that is not a message.
    pub fn on_malformed(&mut self, error: &DecodeError, cx: &mut Context<'_>) {
        if self.is_gone() {
            return;
        }
        let problem = error.to_string();
        if error.is_fatal() {
            self.turn_away(Eviction::OtherProtocol(problem), cx);
            return;
        }
        cx.report(Fact::MinerMessageBad {
            miner: self.id,
            problem,
        });
        if self.useless.take(USELESS, cx.now.at) {
            self.reply(
                RequestId::null(),
                Reply::Rejected(RejectReason::Malformed.into()),
                cx,
            );
        } else {
            self.turn_away(Eviction::TooMuchRubbish, cx);
        }
    }

    /// The connection has ended: releases everything.
    pub fn on_closed(&mut self, reason: &CloseReason, cx: &mut Context<'_>) {
        let earlier = match self.life {
            Life::Gone { unanswered } => unanswered,
            Life::Here | Life::Leaving { .. } => 0,
        };
        self.account(cx.now.at, &cx.rules, cx.totals);
        self.schedule.set_turn(None, cx.now.at);
        let unanswered = earlier + self.leave_pools(cx);
        self.life = Life::Gone { unanswered };
        if !self.is_announced {
            return;
        }
        cx.report(Fact::MinerDisconnected {
            miner: self.id,
            peer: self.peer,
            worker: self
                .session
                .has_user()
                .then(|| self.session.worker().to_owned()),
            reason: reason.clone(),
            connected: cx.now.at.saturating_duration_since(self.opened.at),
            accepted: self.stats.all.accepted,
            rejected: self.stats.all.rejected.values().sum(),
            unanswered,
        });
    }

    /// Handles its deadline.
    pub fn on_deadline(&mut self, cx: &mut Context<'_>) {
        let now = cx.now.at;
        if self.life != Life::Here {
            return;
        }
        if let Some(hold) = self.hold {
            match hold {
                Hold::Silence(until) if until <= now => self.vanish(cx),
                Hold::Name(until) if until <= now => self.go_on(cx),
                Hold::Silence(_) | Hold::Name(_) => (),
            }
        } else if self
            .authorize_deadline(cx.config)
            .is_some_and(|due| due <= now)
        {
            let waits = self.waits_for_pools() && cx.pools_gone();
            let reason = if waits {
                Eviction::NoWork
            } else {
                Eviction::NotAuthorized
            };
            self.turn_away(reason, cx);
        } else if self
            .no_work_deadline(cx.config)
            .is_some_and(|due| due <= now)
        {
            cx.give_pools_up();
            self.turn_away(Eviction::NoWork, cx);
        }
    }

    /// Updates everything after a change: the connections, the answer to authorize, and the pool that the miner works
    /// for.
    pub fn settle(&mut self, cx: &mut Context<'_>) {
        self.looked_at = cx.now.at;
        match self.life {
            Life::Here => {
                self.look_at_own_pool(cx);
                self.join_pools(cx);
                self.answer_authorize(cx);
                self.follow_schedule(cx);
                // Its turn, and therefore the connections that it needs, may have changed.
                self.join_pools(cx);
                self.introduce(cx);
                self.follow_shares(cx);
            }
            Life::Leaving { until, reason } => self.leave(until, reason, cx),
            Life::Gone { .. } => (),
        }
        self.stats.rhythm.works_at(self.works_at(), cx.now.at);
    }

    /// The miner's next deadline.
    pub fn next_deadline(&self, config: &Config, rules: &Rules) -> Option<Instant> {
        match self.life {
            Life::Gone { .. } => None,
            Life::Leaving { until, .. } => Some(until),
            Life::Here if self.hold.is_some() => self.hold.map(Hold::until),
            Life::Here => [
                self.authorize_deadline(config),
                self.no_work_deadline(config),
                self.silence_deadline(),
                self.schedule.next_deadline(rules),
                self.lines_deadline(rules),
                self.told_difficulty
                    .and_then(|told| self.vardiff.next_deadline(told)),
            ]
            .into_iter()
            .flatten()
            .min(),
        }
    }

    /// Disconnects the miner once its shares are answered and everything that waits has been written.
    pub fn turn_away(&mut self, reason: Eviction, cx: &mut Context<'_>) {
        let told = if matches!(reason, Eviction::Stopping) {
            RejectReason::Stopping
        } else {
            RejectReason::PoolLost
        };
        match &mut self.life {
            Life::Here => (),
            // Nobody will be there to hear the pools' answers.
            Life::Leaving { reason, .. } if told == RejectReason::Stopping => {
                return *reason = told;
            }
            Life::Leaving { .. } | Life::Gone { .. } => return,
        }
        self.life = Life::Leaving {
            until: later(cx.now.at, LEAVE),
            reason: told,
        };
        if matches!(reason, Eviction::NoWork) {
            self.note_leaving(cx);
        }
        cx.report(Fact::MinerTurnedAway {
            miner: self.id,
            peer: self.peer,
            reason,
        });
    }

    /// Closes the connection of a miner that is being disconnected when there is nothing left to wait for.
    fn leave(&mut self, deadline: Instant, reason: RejectReason, cx: &mut Context<'_>) {
        // Shares on a connection that was just lost are about to be answered.
        let mut orphans = cx.pools.iter().flat_map(|(_, pool)| &pool.orphans);
        if orphans.any(|(share, _)| share.is_of(self.id)) {
            return;
        }
        drop(orphans);
        if self.waiting_shares(cx) > 0 && cx.now.at < deadline {
            return;
        }
        if reason == RejectReason::Stopping {
            // Nobody will be there to hear the pools' answers.
            self.give_shares_up(reason, cx);
        } else {
            self.excuse_waiting_shares(reason, cx);
        }
        self.refuse_postponed_shares(cx);
        let unanswered = self.leave_pools(cx);
        self.life = Life::Gone { unanswered };
        cx.out.push(Action::Close {
            link: LinkId::Miner(self.id),
        });
    }

    /// Blocks shares that waited in vain for the answer to subscribe.
    fn refuse_postponed_shares(&mut self, cx: &mut Context<'_>) {
        while let Some((id, call)) = self.session.next_postponed() {
            if let MinerCall::Submit(_) | MinerCall::UnreadableSubmit { .. } = call {
                self.on_call(id, call, cx);
            }
        }
    }

    fn authorize_deadline(&self, config: &Config) -> Option<Instant> {
        if self.session.is_authorized() {
            return None;
        }
        let due = self.opened.at.checked_add(config.listen.authorize)?;
        Some(self.patience.map_or(due, |patience| patience.max(due)))
    }

    fn no_work_deadline(&self, config: &Config) -> Option<Instant> {
        self.idle?.since.checked_add(config.scheduler.no_work?)
    }

    /// When the miner must get a job again to stay connected, new or not.
    fn silence_deadline(&self) -> Option<Instant> {
        self.last_work?.checked_add(LONGEST_SILENCE)
    }

    fn is_silent_for_long(&self, now: Instant) -> bool {
        self.silence_deadline().is_some_and(|due| due <= now)
    }

    fn postpone(&mut self, id: RequestId, call: MinerCall, cx: &mut Context<'_>) {
        let refused = id.clone();
        if !self.session.postpone(id, call) {
            self.reply(refused, Reply::Rejected(RejectReason::TooMany.into()), cx);
        }
    }

    fn on_call(&mut self, id: RequestId, call: MinerCall, cx: &mut Context<'_>) {
        match call {
            MinerCall::Submit(submit) => self.on_submit(id, &submit, cx),
            MinerCall::UnreadableSubmit { problem } => self.on_unreadable_submit(id, problem, cx),
            MinerCall::Configure(asked) => self.on_configure(id, asked, cx),
            MinerCall::Subscribe { user_agent } => self.on_subscribe(id, user_agent, cx),
            MinerCall::Authorize { user, password } => self.on_authorize(id, user, password, cx),
            MinerCall::SubscribeExtranonce => {
                self.session.takes_extranonce = true;
                self.reply(id, Reply::True, cx);
            }
            MinerCall::SuggestDifficulty(difficulty) => self.on_suggest(id, difficulty, cx),
            MinerCall::Ping => self.reply(id, Reply::Pong, cx),
            MinerCall::Invalid { method, problem } => {
                let problem = format!("{method}: {problem}");
                let message = format!("{}: {problem}", RejectReason::Malformed.message()).into();
                cx.report(Fact::MinerMessageBad {
                    miner: self.id,
                    problem,
                });
                let code = Reject::from(RejectReason::Malformed).code;
                self.reply(id, Reply::Rejected(Reject { code, message }), cx);
            }
            MinerCall::Unknown { method } => {
                let problem = format!("unknown method {method:?}");
                cx.report(Fact::MinerMessageBad {
                    miner: self.id,
                    problem,
                });
                self.reply(id, Reply::Rejected(RejectReason::UnknownMethod.into()), cx);
            }
        }
    }

    fn on_configure(&mut self, id: RequestId, asked: Configure, cx: &mut Context<'_>) {
        let mut granted = VersionMask::NONE;
        let may_roll = asked.version_rolling.is_some();
        if let Some(wanted) = asked.version_rolling {
            granted = self.offered_mask(wanted, cx);
            self.session.was_configured = true;
            // The bits that a pool grants may change later; those that the miner can roll do not.
            self.session.rolling = (!wanted.is_none()).then_some(wanted);
            // Some miners ignore a plain refusal (compat Q11), so the first job comes with the mask, even if it is
            // zero.
            self.told_mask = (!granted.is_none()).then_some(granted);
        }
        self.session.takes_extranonce |= asked.subscribe_extranonce;
        self.reply(
            id,
            Reply::Configured {
                asked,
                mask: granted,
            },
            cx,
        );
        if self.session.rolling.is_some() {
            self.renew_without_rolling(cx);
        }
        if let (true, Some(slot)) = (may_roll, self.schedule.on()) {
            // It may roll immediately, so it needs a job that allows it, or that says which bits.
            self.send_work(slot, cx);
        }
    }

    /// The first mask for the miner: the bits that both pools allow, so that a miner that ignores later masks works
    /// with both. If they have none in common, the bits of one pool, because some software never connects if the mask
    /// is zero (compat Q64).
    fn offered_mask(&self, wanted: VersionMask, cx: &Context<'_>) -> VersionMask {
        let masks = PoolSlot::ALL.into_iter().filter_map(|slot| {
            cx.config.pools[slot]
                .as_ref()
                .filter(|_| cx.pools[slot].in_use)?;
            Some(cx.pools[slot].facts.mask.intersect(wanted))
        });
        let common = masks
            .clone()
            .reduce(VersionMask::intersect)
            .unwrap_or_default();
        if common.is_none() {
            masks
                .max_by_key(|mask| mask.0.count_ones())
                .unwrap_or_default()
        } else {
            common
        }
    }

    fn on_subscribe(&mut self, id: RequestId, user_agent: Option<String>, cx: &mut Context<'_>) {
        self.session.user_agent = user_agent.or(self.session.user_agent.take());
        self.follow.subscribed(self.session.user_agent.as_deref());
        let extranonce = match self.session.extranonce {
            Some(extranonce) => extranonce,
            None => self.new_extranonce(cx),
        };
        self.session.extranonce = Some(extranonce);
        self.reply(id, Reply::Subscribed(extranonce), cx);
        if let Some(slot) = self.schedule.on() {
            // A second subscribe: the miner may have forgotten everything.
            self.told_difficulty = None;
            self.send_work(slot, cx);
        }
    }

    fn on_authorize(
        &mut self,
        id: RequestId,
        user: String,
        password: String,
        cx: &mut Context<'_>,
    ) {
        if !self.session.add_user(user, password) {
            self.reply(id, Reply::Refused(RejectReason::TooMany.into()), cx);
            return;
        }
        match &mut self.session.authorization {
            Authorization::Accepted => self.reply(id, Reply::True, cx),
            Authorization::Asked(ids) if ids.len() < 16 => ids.push(id),
            Authorization::Asked(_) => {
                self.reply(id, Reply::Refused(RejectReason::TooMany.into()), cx);
            }
            Authorization::None => {
                self.session.authorization = Authorization::Asked(vec![id]);
                self.trials = PerPool::default();
                self.choose_group(cx);
                self.set_aim(cx.aim(self.session.worker()), None, cx);
                self.hurry_pools(cx);
            }
        }
    }

    /// Answers `mining.authorize` once one pool has accepted the worker, or all reachable pools have refused it.
    fn answer_authorize(&mut self, cx: &mut Context<'_>) {
        if !matches!(self.session.authorization, Authorization::Asked(_)) {
            return;
        }
        let ready = |slot: PoolSlot| {
            let connection = self.connection(&cx.pools[slot]);
            connection.is_some_and(Connection::is_ready)
        };
        let accepted = PoolSlot::ALL.into_iter().any(ready);
        let Authorization::Asked(ids) = &mut self.session.authorization else {
            return;
        };
        if accepted {
            let ids = std::mem::take(ids);
            self.session.authorization = Authorization::Accepted;
            for id in ids {
                self.reply(id, Reply::True, cx);
            }
            self.idle = Some(Idle::since(cx.now.at));
            self.begin_vardiff(cx);
            let software = self.session.user_agent.as_deref();
            let rhythm = cx
                .roster
                .resume(self.session.worker(), self.peer.ip(), software);
            self.stats.rhythm = rhythm.unwrap_or_default();
            self.announce(cx);
            cx.report(Fact::MinerAuthorized {
                miner: self.id,
                peer: self.peer,
                worker: self.session.worker().to_owned(),
                user_agent: self.session.user_agent.clone(),
                extranonce: self.session.extranonce,
                version_rolling: self.session.rolling,
            });
            return;
        }
        let mut trials = PoolSlot::ALL
            .into_iter()
            .filter(|slot| self.lines[*slot].is_some())
            .map(|slot| match &self.trials[slot] {
                // Others have tried in vain.
                Trial::Pending if cx.pools[slot].health == Health::Down => &Trial::Unreachable,
                trial @ (Trial::Pending | Trial::Unreachable | Trial::Refused(_)) => trial,
            });
        if trials.clone().any(|trial| *trial == Trial::Pending) {
            return;
        }
        let refusal = trials.find_map(|trial| match trial {
            Trial::Refused(reject) => Some(reject.clone()),
            Trial::Pending | Trial::Unreachable => None,
        });
        let Some(reject) = refusal else { return };
        let ids = std::mem::take(ids);
        self.session.authorization = Authorization::None;
        self.session.forget_users();
        for id in ids {
            self.reply(id, Reply::Refused(reject.clone()), cx);
        }
        let worker = self.session.worker().to_owned();
        cx.report(Fact::MinerRefused {
            miner: self.id,
            worker,
            reject,
        });
    }

    fn on_suggest(&mut self, id: RequestId, difficulty: Difficulty, cx: &mut Context<'_>) {
        self.session.suggested = Some(difficulty);
        let is_news = self.session.is_authorized() && self.vardiff.begin(Some(difficulty.get()));
        // It may have its first job already.
        let slot = self.schedule.on().filter(|_| is_news);
        if let Some(slot) = slot.filter(|slot| self.is_member(&cx.pools[*slot])) {
            self.send_work(slot, cx);
        }
        for slot in PoolSlot::ALL {
            let (pool, mut moment) = cx.pool(slot);
            // One member's suggestion does not apply to the others.
            let own = self.lines[slot].filter(|line| pool.whose(*line) == Some(self.id));
            if let Some(conn) = own.and_then(|line| pool.standing(line)).map(|it| it.conn) {
                pool.talk(conn, &mut moment, |it, talk| it.suggest(difficulty, talk));
            }
        }
        self.reply(id, Reply::True, cx);
    }

    fn reply(&self, id: RequestId, reply: Reply, cx: &mut Context<'_>) {
        if self.is_gone() {
            return;
        }
        let message = ToMiner::Reply { id, reply };
        cx.out.push(Action::SendMiner {
            miner: self.id,
            message,
        });
    }
}
