//! The fleet as a whole: which miners take turns, and which pool the others stay on.

use std::time::Duration;

use crate::config::Mode;
use crate::config::steering::Turns;
use crate::core::action::Action;
use crate::core::split::fleet::{Fleet, FleetRules, Member};
use crate::core::{Core, Due};
use crate::units::{MinerId, Now, PoolSlot, later};

/// How often the fleet is updated.
const EVERY: Duration = Duration::from_secs(30);

impl Core {
    /// Applies the fleet's needs to the miners.
    pub(in crate::core) fn look_at_fleet(&mut self, now: Now, out: &mut Vec<Action>) {
        self.plan_fleet(now);
        let miners = self.miners.values();
        let changed = miners.filter(|it| it.place() != self.fleet.place(it.id));
        for id in changed.map(|it| it.id).collect::<Vec<MinerId>>() {
            self.with_miner(id, now, out, |miner, cx| miner.look_at_aim(cx));
        }
    }

    /// Accounts for the fleet's work and finds its members' places.
    pub(in crate::core) fn plan_fleet(&mut self, now: Now) {
        let scheduler = &self.wanted.scheduler;
        match scheduler.mode {
            Mode::Fleet => (),
            Mode::Ratio => {
                self.fleet = Fleet::default();
                self.agenda.set(Due::Fleet, None);
                return;
            }
        }
        self.agenda.set(Due::Fleet, Some(later(now.at, EVERY)));
        let frozen = self.is_frozen();
        let common = self.steering.common(&self.wanted);
        let mut members: Vec<Member> = Vec::new();
        for miner in self.miners.values_mut().filter(|it| it.is_in_fleet()) {
            let worker = miner.session.worker();
            let aim = self.steering.aim(worker, &self.wanted);
            if aim.pauses() {
                continue;
            }
            let settings = self.wanted.workers.get(worker);
            let may_take_turns = settings.is_none_or(|it| it.turns != Turns::Never);
            let rules = miner.rules(&self.config, frozen);
            miner.account(now.at, &rules, &mut self.totals);
            let own = (aim != common).then(|| aim.share(PoolSlot::A));
            members.push(miner.member(own, may_take_turns, now.at));
        }
        let works = |slot: PoolSlot| self.config.pools[slot].is_some() && !self.pools[slot].fails();
        // While all work for one pool, the places are kept for later.
        let splits = PoolSlot::ALL.into_iter().all(|slot| common.means(slot));
        let most = usize::try_from(scheduler.max_slicers).unwrap_or(usize::MAX);
        let rules = FleetRules {
            share_a: common.share(PoolSlot::A),
            slice: scheduler.slice.max(scheduler.min_switch).as_secs_f64(),
            most_takers: (most > 0).then_some(most),
            assign: scheduler.assign,
            catch_up: scheduler.catch_up.as_secs_f64(),
            both: splits && PoolSlot::ALL.into_iter().all(works),
            frozen: frozen || !splits,
        };
        self.fleet.update(now.at, &members, &rules);
    }
}
