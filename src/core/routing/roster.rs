//! Tells the roster which workers are connected.

use std::collections::BTreeMap;

use crate::core::Core;
use crate::core::miner::roster::Seen;
use crate::core::pool::both;
use crate::units::{Now, PoolSlot};

impl Core {
    /// Compares the connected workers with the usual ones, if it is time.
    pub(in crate::core) fn look_at_roster(&mut self, now: Now) {
        // When DPMP stops, all miners leave.
        if self.stopping.is_some() || !self.roster.is_due(now.at) {
            return;
        }
        let mut seen: BTreeMap<&str, Seen> = BTreeMap::new();
        let miners = self.miners.values().filter(|it| it.is_shown());
        for miner in miners.filter(|it| it.session.is_authorized()) {
            let worker = seen.entry(miner.session.worker()).or_default();
            worker.connections += 1;
            if let Some(difficulty) = miner.works_at() {
                worker.working += 1;
                worker.difficulty = worker.difficulty.max(difficulty.get());
            }
        }
        for (worker, seen) in &mut seen {
            let totals = self.totals.workers.get(*worker);
            seen.work = totals.map_or(0.0, |it| it.work[PoolSlot::A] + it.work[PoolSlot::B]);
        }
        let all_gone = both::are_gone(&self.pools, &self.config, now) || !self.config.is_set_up();
        let is_let_go = |worker: &str| {
            let aim = self.steering.aim(worker, &self.wanted);
            let may_stand_in = self.wanted.may_stand_in(worker);
            all_gone || both::is_silent(aim, may_stand_in, &self.pools, &self.config, now)
        };
        self.roster.look(&seen, is_let_go, now);
    }
}
