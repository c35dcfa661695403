//! What a miner can use while it handles an event: the time, the settings, the pools and the totals.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::config::Config;
use crate::core::action::Action;
use crate::core::fact::Fact;
use crate::core::miner::roster::Roster;
use crate::core::miner::silence::Silence;
use crate::core::miner::vardiff::KnownDifficulties;
use crate::core::outage::Health;
use crate::core::pool::Pool;
use crate::core::pool::both;
use crate::core::pool::facts::PoolFacts;
use crate::core::pool::groups::Groups;
use crate::core::pool::moment::Moment;
use crate::core::pool::version_form::{SendPlan, Ways};
use crate::core::split::fleet::Place;
use crate::core::split::schedule::Rules;
use crate::core::stats::totals::Totals;
use crate::core::steering::{Aim, Steering};
use crate::core::work::extranonce::{Room, SizeHabits};
use crate::core::work::handed_out::HandedOut;
use crate::random::Random;
use crate::stratum::job::PoolJob;
use crate::units::{MinerExtranonce, Now, PerPool, PoolSlot};

/// What a miner can use while it handles an event.
pub struct Context<'a> {
    pub(in crate::core) now: Now,
    pub(in crate::core) config: &'a Config,
    /// The owner's settings, with the pools at their first addresses.
    pub(in crate::core) wanted: &'a Config,
    pub(in crate::core) known: &'a BTreeMap<String, PoolFacts>,
    /// What the fleet needs the miner for, if it belongs to the fleet.
    pub(in crate::core) place: Option<Place>,
    /// The rules for the miner's turns.
    pub(in crate::core) rules: Rules,
    /// Whether the current time counts for no miner's schedule.
    pub(in crate::core) frozen: bool,
    /// The owner's changes apart from the configuration.
    pub(in crate::core) steering: &'a Steering,
    pub(in crate::core) silence: &'a mut Silence,
    pub(in crate::core) roster: &'a mut Roster,
    pub(in crate::core) pools: &'a mut PerPool<Pool>,
    pub(in crate::core) handed_out: &'a mut HandedOut,
    pub(in crate::core) groups: &'a mut Groups,
    pub(in crate::core) size_habits: &'a mut SizeHabits,
    /// Each worker's difficulty when it was last connected.
    pub(in crate::core) difficulties: &'a KnownDifficulties,
    pub(in crate::core) totals: &'a mut Totals,
    pub(in crate::core) random: &'a mut Random,
    pub(in crate::core) out: &'a mut Vec<Action>,
    /// A miner connected for which no pool is available: tests whether one is back.
    pub(in crate::core) seeks_pools: bool,
    /// The miner needs all the extranonce2 bytes: finds out whether it can have an empty extranonce1.
    pub(in crate::core) needs_all_room: bool,
}

/// Whether there is no work for all, some or none of the workers that were seen at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) enum SilentWorkers {
    None,
    Some,
    All,
}

impl SilentWorkers {
    pub(in crate::core) fn is_empty(self) -> bool {
        self == Self::None
    }
}

impl Context<'_> {
    /// What a worker should do.
    pub(in crate::core) fn aim(&self, worker: &str) -> Aim {
        self.steering.aim(worker, self.wanted)
    }

    /// Whether a worker may work for the other pool while its own is down.
    pub(in crate::core) fn may_stand_in(&self, worker: &str) -> bool {
        self.wanted.may_stand_in(worker)
    }

    /// Whether a worker gets no answer: it is paused, or the only pool that it may work for is down.
    pub(in crate::core) fn is_silent(&self, worker: &str) -> bool {
        let (aim, may_stand_in) = (self.aim(worker), self.may_stand_in(worker));
        both::is_silent(aim, may_stand_in, self.pools, self.config, self.now)
    }

    /// Whether there is no work for all, some or none of the workers that were seen at an address. A miner at an
    /// unknown address may be a paused one.
    pub(in crate::core) fn silent_workers(&self, address: IpAddr) -> SilentWorkers {
        let mut seen = self.silence.seen(address, self.now.at).peekable();
        if seen.peek().is_none() {
            // After a restart no worker is known, nor is one that was only disconnected for a day.
            if self.steering.may_pause(self.wanted) {
                return SilentWorkers::Some;
            }
            return SilentWorkers::None;
        }
        let (silent, others): (Vec<_>, Vec<_>) = seen.partition(|it| self.is_silent(it));
        match (silent.is_empty(), others.is_empty()) {
            (true, _) => SilentWorkers::None,
            (false, true) => SilentWorkers::All,
            (false, false) => SilentWorkers::Some,
        }
    }

    /// Reports once that a worker is paused.
    pub(in crate::core) fn tell_pause(&mut self, worker: &Arc<str>) {
        let aim = self.aim(worker);
        if aim.pauses() && self.silence.begins(worker) {
            self.report(Fact::WorkerPaused {
                worker: worker.to_string(),
                source: aim.source,
            });
        }
    }

    pub(in crate::core) fn report(&mut self, fact: Fact) {
        self.out.push(Action::Report(fact));
    }

    /// A pool, with what is needed to change it.
    pub(in crate::core) fn pool(&mut self, slot: PoolSlot) -> (&mut Pool, Moment<'_>) {
        let moment = Moment::new(self.now, self.random, self.out);
        (&mut self.pools[slot], moment)
    }

    /// Whether miners share their connections to a pool.
    pub(in crate::core) fn is_shared(&self, slot: PoolSlot) -> bool {
        self.config.pools[slot]
            .as_ref()
            .is_some_and(|pool| pool.most_members().is_some())
    }

    /// The maximum number of miners on a connection; `None` if each has its own at both pools.
    pub(in crate::core) fn most_members(&self) -> Option<usize> {
        most_members(self.config)
    }

    pub(in crate::core) fn pools_known(&self) -> bool {
        both::are_known(self.pools, self.config, self.now)
    }

    /// Whether all pools have been down long enough to disconnect the miners.
    pub(in crate::core) fn pools_gone(&self) -> bool {
        both::are_gone(self.pools, self.config, self.now)
    }

    /// A miner has waited for work as long as it may. A pool counts as down from the loss of its last connection. Some
    /// miners have waited for longer by then, and must not be answered when they reconnect.
    pub(in crate::core) fn give_pools_up(&mut self) {
        let mut pools = self.pools.iter();
        if pools.all(|(_, pool)| !pool.in_use || pool.health == Health::Down) {
            drop(pools);
            let patience = self.config.scheduler.no_work.unwrap_or_default();
            for slot in PoolSlot::ALL {
                self.pools[slot].give_up(patience, self.now.at);
            }
        }
    }

    /// A miner waits for its answer; if the reason is that no pool works, the pools are tested.
    pub(in crate::core) fn seek_pools(&mut self) {
        self.seeks_pools |= self.pools_gone();
    }

    /// The bytes that all pools leave for the miner's own extranonces.
    pub(in crate::core) fn room(&self) -> Room {
        both::room(self.wanted, self.pools, self.known)
    }

    /// Records that a job's work was handed out or tried, with a header time, in a miner's place.
    pub(in crate::core) fn note_work(
        &mut self,
        job: &PoolJob,
        place: &MinerExtranonce,
        ntime: u32,
    ) {
        self.handed_out.note(job, place, ntime, self.now.at);
    }

    /// How to send a share whose version bits can be written in two forms.
    pub(in crate::core) fn plan_version_form(
        &mut self,
        slot: PoolSlot,
        ways: &Ways,
        block: bool,
    ) -> SendPlan {
        let pool = &mut self.pools[slot];
        let answer = self.config.pools[slot].as_ref().map(|pool| pool.answer);
        let (answer, now) = (answer.unwrap_or_default(), self.now.at);
        pool.forms.plan(ways, &pool.facts.forms, block, answer, now)
    }
}

/// The maximum number of miners on a connection: the smaller limit of the shared pools.
pub(in crate::core) fn most_members(config: &Config) -> Option<usize> {
    let pools = config.pools.iter();
    pools
        .filter_map(|(_, pool)| pool.as_ref()?.most_members())
        .min()
}
