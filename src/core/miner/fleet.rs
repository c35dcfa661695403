//! The miner as a member of a fleet.

use std::time::{Duration, Instant};

use super::{Life, Miner};
use crate::core::split::fleet::{Member, Place};

/// The time over which its hashrate is measured.
const WINDOW: Duration = Duration::from_secs(3600);

/// After this many shares, and this time, its hashrate is known.
const ENOUGH_SHARES: u64 = 30;
const ENOUGH_TIME: Duration = Duration::from_secs(600);

impl Miner {
    /// Whether it counts: it is mining, or would be if there were work.
    pub fn is_in_fleet(&self) -> bool {
        self.life == Life::Here && self.session.takes_jobs() && self.is_shown()
    }

    /// What the fleet needs it for now.
    pub fn place(&self) -> Option<Place> {
        self.place
    }

    /// Its data for the fleet. `own_share_a`: the part of its work that should go to A, if it has its own setting.
    pub fn member(&self, own_share_a: Option<f64>, may_take_turns: bool, now: Instant) -> Member {
        let [work, squares] = &self.stats.hour;
        let hashrate = work.hashrate(WINDOW, now).unwrap_or(0.0);
        let sum = work.sum(WINDOW, now);
        // The variance of a sum of independent shares is about the sum of their squares.
        let part = if sum > 0.0 {
            squares.sum(WINDOW, now).sqrt() / sum
        } else {
            0.0
        };
        let age = now.saturating_duration_since(self.opened.at);
        Member {
            id: self.id,
            hashrate,
            waver: hashrate * part,
            known: self.stats.all.accepted >= ENOUGH_SHARES && age >= ENOUGH_TIME,
            may_take_turns,
            lags: self.follow.lags(),
            own_share_a,
            seconds: self.schedule.time_on(),
            turn_error: self.schedule.error(),
        }
    }
}
