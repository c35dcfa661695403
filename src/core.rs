//! The core: a state machine that owns all routing state and makes all decisions.
//!
//! It uses no sockets, clocks, threads or logs. [`Core::handle`] takes an [`Event`] and the time, and returns
//! [`Action`]s to carry out. So a day of mining with a hundred miners runs in a test within moments, with the same
//! result every time.

pub mod action;
pub mod event;
pub mod fact;
pub mod outage;

pub mod balance;
pub mod insight;
pub mod miner;
pub mod pool;
pub mod split;
pub mod stats;
pub mod steering;
pub mod work;

pub mod memory;
pub mod past_splits;
pub mod payout;
pub mod snapshot;

mod id_map;
mod routing;
mod timers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::core::action::Action;
use crate::core::balance::Balancer;
use crate::core::event::{Event, Source, Stop};
use crate::core::fact::{Eviction, Fact};
use crate::core::id_map::IdMap;
use crate::core::insight::chain::ChainWatch;
use crate::core::insight::watch::PayoutWatch;
use crate::core::memory::Memory;
use crate::core::miner::Miner;
use crate::core::miner::context::Context;
use crate::core::miner::former::FormerMiners;
use crate::core::miner::roster::Roster;
use crate::core::miner::silence::Silence;
use crate::core::miner::vardiff::KnownDifficulties;
use crate::core::past_splits::{Courses, PastSplits};
use crate::core::payout::Payout;
use crate::core::pool::Pool;
use crate::core::pool::dialer::Dial;
use crate::core::pool::facts::{ConfigureHabit, PoolFacts};
use crate::core::pool::groups::Groups;
use crate::core::pool::line::{Line, Look, Purpose};
use crate::core::pool::moment::Moment;
use crate::core::pool::verdict::Answers;
use crate::core::split::fleet::Fleet;
use crate::core::stats::totals::{PoolId, Totals};
use crate::core::steering::{ClockMark, Steering};
use crate::core::timers::Agenda;
use crate::core::work::extranonce::SizeHabits;
use crate::core::work::handed_out::HandedOut;
use crate::random::Random;
use crate::units::{LineId, MinerId, Now, PerPool, PoolSlot, later};

/// The maximum time for a stop.
const STOP_PATIENCE: Duration = Duration::from_secs(3);

/// The maximum number of pool addresses with remembered facts.
const MOST_FACTS: usize = 64;

/// All routing state. One thread owns it.
#[derive(Debug)]
pub struct Core {
    /// The owner's settings.
    wanted: Arc<Config>,
    /// The same, with each pool's settings for the address in use.
    config: Arc<Config>,
    miners: IdMap<MinerId, Box<Miner>>,
    pools: PerPool<Pool>,
    /// Which work was handed out, for both pools together: a pool may also be the other one's backup.
    handed_out: HandedOut,
    /// Which miners share connections, and which extranonce1 belongs to which miner.
    groups: Groups,
    /// Whether a miner was seen that needs all the extranonce2 bytes.
    all_room_needed: bool,
    /// Extranonce2 sizes that miners use regardless of what DPMP offers.
    size_habits: SizeHabits,
    /// Each worker's difficulty on shared connections.
    difficulties: KnownDifficulties,
    /// What is known about every pool that was ever reached, by address.
    known: BTreeMap<String, PoolFacts>,
    totals: Totals,
    /// Where the earnings go, and whether the owner has confirmed it.
    payouts: PerPool<Payout>,
    /// Whether the pools' jobs pay what they should.
    watches: PerPool<PayoutWatch>,
    past_splits: PastSplits,
    courses: Courses,
    departed: FormerMiners,
    /// The workers that are usually connected.
    roster: Roster,
    silence: Silence,
    /// The owner's changes apart from the configuration.
    steering: Steering,
    /// The pools' latest time.
    clock: ClockMark,
    /// How far the split follows the earnings.
    balancer: Balancer,
    /// What the pools' jobs say about the chain.
    chain_watch: ChainWatch,
    /// In mode `fleet`: which miners take turns, and which pool the others stay on.
    fleet: Fleet,
    /// Whether a pool may be needed by any worker.
    meant: PerPool<bool>,
    /// Seconds of work for each pool before this start.
    seconds_before: PerPool<f64>,
    agenda: Agenda<Due>,
    random: Random,
    /// How many miners have connected so far.
    admitted: u64,
    started: Now,
    stopping: Option<StopPhase>,
    /// When each miner is disconnected during a stop, with the next one at the end.
    parting: Vec<(Instant, MinerId)>,
}

/// The stages of a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StopPhase {
    /// Miners are being disconnected, until this time at the latest.
    Until(Instant),
    /// Some miners did not disconnect in time.
    Over,
}

/// What a deadline belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Due {
    /// Miners stop waiting until a pool is known.
    Sought(PoolSlot),
    /// Another address of the pool may be due.
    Addresses(PoolSlot),
    /// A verdict about the pool may be due.
    Verdict(PoolSlot),
    /// The pool may be dialed again.
    Dialer(PoolSlot),
    /// The time of a temporary change is over.
    Override,
    /// A job is due to be read.
    Insight(PoolSlot),
    /// The earnings may have changed, or the next step of the split is allowed.
    Balance,
    /// The fleet's assignment is due.
    Fleet,
    /// Miners stop waiting for the survey of all addresses.
    Survey(PoolSlot),
    Line(PoolSlot, LineId),
    Miner(MinerId),
}

impl Core {
    /// Creates a core with the memory of earlier runs. `seed` determines all jitter.
    pub fn new(
        config: Arc<Config>,
        memory: Memory,
        seed: u64,
        now: Now,
        out: &mut Vec<Action>,
    ) -> Self {
        let known = memory.pools;
        let unix = u32::try_from(now.unix_ms / 1000).unwrap_or(u32::MAX);
        let pools = PerPool::from_fn(|slot| Pool::new(slot, facts_of(&known, &config, slot), now));
        let balance = memory.balance.work(&config);
        let mut core = Self {
            wanted: Arc::clone(&config),
            config,
            miners: IdMap::default(),
            pools,
            handed_out: HandedOut::remembering(memory.handed_out, unix),
            groups: Groups::default(),
            all_room_needed: false,
            size_habits: memory.size_habits,
            difficulties: memory.difficulties,
            known,
            seconds_before: memory.totals.pools.map(|_, pool| pool.seconds),
            totals: memory.totals,
            payouts: memory.payouts,
            watches: memory.watches,
            past_splits: memory.past_splits,
            courses: memory.courses,
            departed: FormerMiners::default(),
            roster: memory.roster,
            silence: Silence::default(),
            steering: Steering {
                overrides: memory.overrides,
                balance,
                ..Steering::default()
            },
            clock: memory.clock,
            balancer: memory.balance,
            chain_watch: ChainWatch::default(),
            fleet: Fleet::default(),
            meant: PerPool::default(),
            agenda: Agenda::default(),
            random: Random::new(seed),
            admitted: 0,
            started: now,
            stopping: None,
            parting: Vec::new(),
        };
        core.totals.set_pools(ids(&core.wanted), now.unix_ms);
        core.look_at_payouts(now);
        core.follow_payouts();
        // Changed since the last run.
        core.look_at_split(Source::File, now, out);
        core.renew_aims(now, out);
        core
    }

    /// Handles one event. Call [`handle_deadline`](Self::handle_deadline) first if one is due.
    pub fn handle(&mut self, event: Event, now: Now, out: &mut Vec<Action>) {
        match event {
            Event::MinerOpened { miner, peer } => self.on_miner_opened(miner, peer, now, out),
            Event::MinerSent { miner, message } => {
                self.with_miner(miner, now, out, |it, cx| it.on_message(message, cx));
            }
            Event::MinerMalformed { miner, error } => {
                self.with_miner(miner, now, out, |it, cx| it.on_malformed(&error, cx));
            }
            Event::MinerClosed { miner, reason } => {
                self.with_miner(miner, now, out, |it, cx| it.on_closed(&reason, cx));
                self.let_go(miner, now);
                self.agenda.set(Due::Miner(miner), None);
                self.look_for_lost_pools(now, out);
            }
            Event::PoolOpened { conn } => self.on_pool_opened(conn, now, out),
            Event::PoolDialFailed { conn, error } => self.on_dial_failed(conn, error, now, out),
            Event::PoolSent { conn, message } => self.on_pool_message(conn, message, now, out),
            Event::PoolMalformed { conn, error } => {
                self.on_useless(conn, error.to_string(), now, out);
            }
            Event::PoolClosed { conn, reason } => self.on_pool_closed(conn, reason, now, out),
            Event::ConfigChanged(config, by) => self.on_config_changed(config, by, now, out),
            Event::PayoutSeen { slot, changed } => {
                self.payouts[slot].seen(changed);
                self.watches[slot].accept(changed);
                out.push(Action::SaveState);
            }
            Event::BlockSeen { slot, found } => self.totals.block_seen(slot, found, now),
            Event::MissingSeen { worker } => {
                self.roster.dismiss(&worker);
                out.push(Action::SaveState);
            }
            Event::Override(change) => self.on_override(change, now, out),
            Event::OverrideEnded(workers) => self.on_override_ended(&workers, now, out),
            Event::Timetable(timetable) => self.on_timetable(timetable, now, out),
            Event::PricesSet(prices) => self.on_prices_set(&prices, now, out),
            Event::ShutdownRequested(how) => self.on_shutdown(how, now, out),
        }
        self.wrap_up(now, out);
    }

    /// Handles all deadlines that have passed.
    pub fn handle_deadline(&mut self, now: Now, out: &mut Vec<Action>) {
        // Each once: otherwise one that is immediately due again would keep all others waiting.
        let due: Vec<Due> = std::iter::from_fn(|| self.agenda.take_due(now.at)).collect();
        for who in due {
            match who {
                Due::Miner(id) => self.with_miner(id, now, out, Miner::on_deadline),
                Due::Line(slot, line) => self.on_line_deadline(slot, line, now, out),
                Due::Override => self.end_overrides(now, out),
                Due::Insight(slot) => self.look_into_job(slot, now, out),
                Due::Balance => self.balance_split(now, out),
                Due::Fleet => self.look_at_fleet(now, out),
                Due::Sought(_) | Due::Survey(_) => self.release_waiting(now, out),
                // Handled below, as after every event.
                Due::Verdict(_) | Due::Addresses(_) | Due::Dialer(_) => (),
            }
        }
        while let Some((_, id)) = self
            .parting
            .last()
            .filter(|(due, _)| *due <= now.at)
            .copied()
        {
            self.parting.pop();
            self.with_miner(id, now, out, |it, cx| it.turn_away(Eviction::Stopping, cx));
        }
        if matches!(self.stopping, Some(StopPhase::Until(deadline)) if deadline <= now.at) {
            self.stopping = Some(StopPhase::Over);
        }
        self.wrap_up(now, out);
    }

    /// The steps that follow every event.
    fn wrap_up(&mut self, now: Now, out: &mut Vec<Action>) {
        self.settle_orphans(now, out);
        self.renew_use(now, out);
        self.look_at_verdicts(now, out);
        self.look_at_addresses(now, out);
        self.look_at_names(now, out);
        for slot in PoolSlot::ALL {
            let mut moment = Moment::new(now, &mut self.random, out);
            for line in self.pools[slot].send_held_blocks(&mut moment) {
                self.note_line(slot, line, now);
            }
        }
        self.settle_orphans(now, out);
        self.pump_dials(now, out);
    }

    /// When [`handle_deadline`](Self::handle_deadline) must be called.
    pub fn next_deadline(&self) -> Option<Instant> {
        let stop = match self.stopping {
            Some(StopPhase::Until(deadline)) => Some(deadline),
            Some(StopPhase::Over) | None => None,
        };
        let parting = self.parting.last().map(|(due, _)| *due);
        [self.agenda.next(), stop, parting]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether DPMP is stopping and all miners are gone or had enough time.
    pub fn is_finished(&self) -> bool {
        match self.stopping {
            None => false,
            Some(StopPhase::Until(_)) => self.miners.is_empty(),
            Some(StopPhase::Over) => true,
        }
    }

    /// A miner's address.
    pub fn peer(&self, miner: MinerId) -> Option<std::net::SocketAddr> {
        self.miners.get(&miner).map(|miner| miner.peer)
    }

    /// The configuration in force.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    fn on_miner_opened(
        &mut self,
        id: MinerId,
        peer: std::net::SocketAddr,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let aim = self.steering.aim("", &self.wanted);
        let index = self.admitted;
        self.admitted += 1;
        self.miners
            .insert(id, Box::new(Miner::new(id, peer, index, aim, now)));
        let refusal = if self.stopping.is_some() {
            Some(Eviction::Stopping)
        } else if !self.config.is_set_up() {
            Some(Eviction::NotSetUp)
        } else {
            None
        };
        self.with_miner(id, now, out, |miner, cx| miner.on_opened(refusal, cx));
    }

    /// Forgets a miner's connection. One that never named a worker was not a miner.
    fn let_go(&mut self, id: MinerId, now: Now) {
        let Some(miner) = self.miners.remove(&id) else {
            return;
        };
        self.groups.leave(id);
        if miner.session.has_user() {
            let frozen = self.is_frozen();
            let rules = miner.rules(&self.config, frozen);
            let view = miner.view(now, &rules, &self.pools, &self.totals, &self.roster);
            miner.park_rhythm(&mut self.roster);
            if let Some(suits) = miner.suits() {
                self.difficulties.note(miner.session.worker(), suits);
            }
            self.departed.push(view, now.into());
        }
    }

    fn look_at_split(&mut self, by: Source, now: Now, out: &mut Vec<Action>) {
        let weights = self.wanted.scheduler.weights;
        if self.past_splits.update(weights, by, now.unix_ms) {
            out.push(Action::SaveState);
        }
    }

    /// Watches the jobs of the addresses in use, according to the owner's settings.
    fn follow_payouts(&mut self) {
        for (slot, pool) in self.config.pools.iter() {
            if let Some(pool) = pool {
                let elsewhere = self.watches[slot.other()].usual_of(pool);
                self.watches[slot].follow(pool, elsewhere);
            }
        }
    }

    fn look_at_payouts(&mut self, now: Now) {
        let pools = &self.wanted.pools;
        let mut new = PerPool::from_fn(|slot| pools[slot].as_ref().map(Payout::place));
        // Pools that swap places take with them what is known of them.
        if Payout::are_swapped(&self.payouts, &new) {
            let [a, b] = PoolSlot::ALL.map(|slot| self.payouts[slot].clone());
            self.payouts = PerPool::new(b, a);
        }
        for slot in PoolSlot::ALL {
            let pool = self.wanted.pools[slot].as_ref();
            self.payouts[slot].update_to(new[slot].take(), pool, now.unix_ms);
        }
    }

    /// Lets a miner act, applies the consequences and records its next deadline.
    fn with_miner(
        &mut self,
        id: MinerId,
        now: Now,
        out: &mut Vec<Action>,
        act: impl FnOnce(&mut Miner, &mut Context<'_>),
    ) {
        let frozen = self.is_frozen();
        let Some(miner) = self.miners.get_mut(&id) else {
            return;
        };
        let mut cx = Context {
            now,
            config: &self.config,
            rules: miner.rules(&self.config, frozen),
            frozen,
            place: self.fleet.place(id),
            steering: &self.steering,
            silence: &mut self.silence,
            roster: &mut self.roster,
            wanted: &self.wanted,
            known: &self.known,
            pools: &mut self.pools,
            handed_out: &mut self.handed_out,
            groups: &mut self.groups,
            size_habits: &mut self.size_habits,
            difficulties: &self.difficulties,
            totals: &mut self.totals,
            random: &mut self.random,
            out,
            seeks_pools: false,
            needs_all_room: false,
        };
        let before = miner.lines;
        act(miner, &mut cx);
        miner.settle(&mut cx);
        let rules = cx.rules;
        let (seeks_pools, needs_all_room) = (cx.seeks_pools, cx.needs_all_room);
        let due = miner.next_deadline(&self.config, &rules);
        let (lines, after) = (miner.all_lines(), miner.lines);
        self.agenda.no_later(Due::Miner(id), due);
        let left = before.map(|slot, line| line.filter(|line| after[slot] != Some(*line)));
        let left = left
            .iter()
            .filter_map(|(slot, line)| Some((slot, (*line)?)));
        for (slot, line) in lines.chain(left.collect::<Vec<_>>()) {
            self.note_line(slot, line, now);
        }
        if needs_all_room && !std::mem::replace(&mut self.all_room_needed, true) {
            self.survey_pools(now);
        }
        if seeks_pools {
            self.seek_pools(now, out);
        }
    }

    /// A line has work, so the others need not wait any longer.
    fn let_others_follow(&mut self, slot: PoolSlot, now: Now, out: &mut Vec<Action>) {
        let pool = &mut self.pools[slot];
        let hurry = pool.dialer.may_hurry(now.at);
        let follows = |line: &Line| {
            let waits = line.stands_by() || hurry && line.may_attempt();
            waits && line.purpose == Purpose::Mining
        };
        let lines = pool.lines.iter().filter(|(_, line)| follows(line));
        for line in lines.map(|(id, _)| id).collect::<Vec<_>>() {
            pool.queue(line);
        }
        if pool.lines.get(&pool.reach).is_some_and(Line::stands_by) {
            // Its result is known now.
            self.close_look(Look::Reach, slot, now, out);
        }
    }

    /// Whether the current time counts for no miner's schedule.
    fn is_frozen(&self) -> bool {
        self.pools.iter().any(|(_, pool)| pool.earns_nothing())
    }

    fn miner_ids(&self) -> Vec<MinerId> {
        self.miners.iter().map(|(id, _)| id).collect()
    }

    /// Dials as many waiting lines as each pool's gate allows.
    fn pump_dials(&mut self, now: Now, out: &mut Vec<Action>) {
        for slot in PoolSlot::ALL {
            self.attempt(slot, now);
            while let Some(dial) = self.pools[slot].dialer.next_dial() {
                if !self.starts(slot, dial) {
                    continue;
                }
                let pool = &mut self.pools[slot];
                let config = self.config.pools[slot].as_ref();
                if let Some(target) = pool.target_of(dial.line, config) {
                    let (conn, miner) = (dial.conn, pool.whose(dial.line));
                    pool.dialer.dial_started(dial);
                    out.push(Action::Report(Fact::PoolDialing { conn, miner }));
                    let own = miner.is_some();
                    out.push(Action::Dial { conn, target, own });
                }
            }
            let deadline = self.pools[slot].dialer.next_deadline();
            self.agenda.set(Due::Dialer(slot), deadline);
        }
    }

    /// Whether a connection from the gate's queue is still wanted; if so it counts as being dialed. Members stand by if
    /// all work has ended meanwhile.
    fn starts(&mut self, slot: PoolSlot, Dial { conn, line }: Dial) -> bool {
        let pool = &mut self.pools[slot];
        let Some(line) = pool.lines.get_mut(&line) else {
            return false;
        };
        if line.purpose == Purpose::Mining && pool.dialer.is_late(conn) {
            if line.step_back(conn) {
                pool.dialer.call();
            }
            return false;
        }
        line.start_dial(conn)
    }

    /// While no miner has work, one of the waiting lines tries when its time has come, a different one each time.
    fn attempt(&mut self, slot: PoolSlot, now: Now) {
        if self.stopping.is_some() {
            self.pools[slot].dialer.dismiss();
        }
        while self.pools[slot].dialer.may_attempt(now.at) {
            let pool = &mut self.pools[slot];
            let looks = pool.lines.get(&pool.reach).is_some_and(Line::may_attempt)
                && (pool.dialer.is_sought() || self.miners.any(|it| it.waits_for_pools()));
            let next = if looks {
                Some(pool.reach)
            } else {
                pool.next_to_attempt()
            };
            let Some(dial) = next.and_then(|line| pool.want(line)) else {
                pool.dialer.dismiss();
                return;
            };
            pool.dialer.attempt(dial, looks, now.at, &mut self.random);
        }
    }

    fn on_config_changed(
        &mut self,
        config: Arc<Config>,
        by: Source,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let old = std::mem::replace(&mut self.wanted, config);
        self.forget_changed_addresses(&old, now, out);
        // The aims follow below.
        self.follow_earnings(now, out);
        self.apply(self.config_in_use(), now, out);
        self.look_at_payouts(now);
        self.look_at_split(by, now, out);
    }

    /// Applies another configuration: the owner's changes, or a pool's other address.
    fn apply(&mut self, config: Arc<Config>, now: Now, out: &mut Vec<Action>) {
        // Work until now counts under the previous weights.
        let frozen = self.is_frozen();
        for miner in self.miners.values_mut() {
            let rules = miner.rules(&self.config, frozen);
            miner.account(now.at, &rules, &mut self.totals);
        }
        let changed = self.totals.set_pools(ids(&self.wanted), now.unix_ms);
        for slot in PoolSlot::ALL.into_iter().filter(|slot| changed[*slot]) {
            self.pools[slot].give_slot(now);
            for miner in self.miners.values_mut() {
                miner.stats.forget_pool(slot);
            }
            out.push(Action::SaveState);
        }
        let old = std::mem::replace(&mut self.config, Arc::clone(&config));
        let mut renewed = PerPool::from_fn(|_| false);
        for slot in PoolSlot::ALL {
            self.remember(&old, slot);
            let (before, after) = (old.pools[slot].as_ref(), config.pools[slot].as_ref());
            let moved = before.map(pool::target) != after.map(pool::target);
            if moved {
                self.pools[slot].facts = facts_of(&self.known, &config, slot);
                self.pools[slot].forget_address();
                self.close_look(Look::Reach, slot, now, out);
                self.close_look(Look::Names, slot, now, out);
                self.look_for(slot, now, out);
            }
            renewed[slot] = match (before, after) {
                (Some(before), Some(after)) => {
                    moved
                        || before.wallet != after.wallet
                        || before.user_name != after.user_name
                        || before.password != after.password
                }
                (None, _) | (_, None) => false,
            };
        }
        self.follow_payouts();
        for slot in PoolSlot::ALL.into_iter().filter(|slot| renewed[*slot]) {
            self.pools[slot].refusal = None;
            self.pools[slot].answers = Answers::default();
            self.pools[slot].dialer.restart(now.at);
        }
        for slot in PoolSlot::ALL {
            if config.pools[slot].is_none() {
                self.close_look(Look::Survey, slot, now, out);
            }
            for line in self.pools[slot].mining_lines() {
                let mut moment = Moment::new(now, &mut self.random, out);
                if config.pools[slot].is_none() {
                    self.pools[slot].dismiss(line, &mut moment);
                } else if !renewed[slot] {
                    self.pools[slot].dial_idle(line);
                } else {
                    self.pools[slot].renew(line, &mut moment);
                }
                self.note_line(slot, line, now);
            }
        }
        let regroups = sharing(&old) != sharing(&config);
        for id in self.miner_ids() {
            self.with_miner(id, now, out, |miner, cx| {
                if regroups {
                    miner.regroup(cx);
                }
                for slot in PoolSlot::ALL.into_iter().filter(|slot| renewed[*slot]) {
                    miner.forgive(slot);
                }
            });
        }
        self.renew_aims(now, out);
        self.release_waiting(now, out);
    }

    fn on_shutdown(&mut self, how: Stop, now: Now, out: &mut Vec<Action>) {
        if self.stopping.is_some() {
            return;
        }
        let drain = match how {
            Stop::Drained => self.config.listen.drain,
            Stop::AtOnce => Duration::ZERO,
        };
        self.stopping = Some(StopPhase::Until(later(now.at, drain + STOP_PATIENCE)));
        out.push(Action::Report(Fact::Stopping));
        out.push(Action::StopListening);
        for slot in PoolSlot::ALL {
            for look in [Look::Reach, Look::Return, Look::Survey, Look::Names] {
                self.close_look(look, slot, now, out);
            }
        }
        // Evenly, so that other instances are not flooded; without a drain time, all of them now.
        let ids = self.miner_ids();
        let each = drain / u32::try_from(ids.len()).unwrap_or(u32::MAX).max(1);
        let mut due = drain;
        self.parting = ids
            .into_iter()
            .map(|id| {
                due = due.saturating_sub(each);
                (later(now.at, due), id)
            })
            .collect();
        self.handle_deadline(now, out);
    }
}

fn ids(config: &Config) -> PerPool<Option<PoolId>> {
    PerPool::from_fn(|slot| config.pools[slot].as_ref().map(PoolId::of))
}

/// The maximum number of miners on a connection to each pool.
fn sharing(config: &Config) -> PerPool<Option<usize>> {
    PerPool::from_fn(|slot| config.pools[slot].as_ref()?.most_members())
}

fn facts_of(known: &BTreeMap<String, PoolFacts>, config: &Config, slot: PoolSlot) -> PoolFacts {
    let address = config.pools[slot].as_ref().map(|pool| pool.address());
    address.map_or_else(PoolFacts::default, |address| {
        facts_of_address(known, &address)
    })
}

fn facts_of_address(known: &BTreeMap<String, PoolFacts>, address: &str) -> PoolFacts {
    let mut facts = known.get(address).copied().unwrap_or_default();
    if facts.configure == ConfigureHabit::Never {
        // Pools change, so each start and each change of the address gives it another chance.
        facts.configure = ConfigureHabit::First;
    }
    facts
}
