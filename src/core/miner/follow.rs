//! Whether the miner follows a switch immediately. Some software first finishes its scan, until it has found a share or
//! a minute is over, unless the new job asks for clean work (compat Q76). It would split its shares instead of its
//! time, and the pool with the higher difficulty would get too much. Such a miner gets clean jobs when it switches.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::units::JobId;

/// A share this long after its pool's turn was not just in an ASIC's pipeline, where work stays for a few seconds, nor
/// delayed by the network.
const LATE: Duration = Duration::from_secs(5);

/// If this many of the last [`RECENT_TURNS`] turns ended with such a share, it is no coincidence.
const SURE: usize = 3;

/// How many turns are considered.
const RECENT_TURNS: usize = 40;

/// What is known about how a miner follows switches.
#[derive(Clone, Debug, Default)]
pub(super) struct Follow {
    /// The last switches to another pool, oldest first.
    switches: VecDeque<Switch>,
    lags: bool,
}

#[derive(Clone, Copy, Debug)]
struct Switch {
    /// The first job of the turn that began with it.
    job: JobId,
    at: Instant,
    /// Whether a late share of the previous turn arrived.
    late: bool,
}

impl Follow {
    /// Whether the miner needs clean jobs when it switches.
    pub(super) fn lags(&self) -> bool {
        self.lags
    }

    /// Recognizes it by its software.
    pub(super) fn subscribed(&mut self, user_agent: Option<&str>) {
        self.lags |= is_known_to_lag(user_agent.unwrap_or_default());
    }

    /// Records that a job from the other pool was sent, and whether it was clean.
    pub(super) fn switched(&mut self, job: JobId, clean: bool, now: Instant) {
        // A clean job does not show whether it follows.
        if clean {
            self.switches.clear();
            return;
        }
        if self.switches.len() == RECENT_TURNS {
            self.switches.pop_front();
        }
        self.switches.push_back(Switch {
            job,
            at: now,
            late: false,
        });
    }

    /// Records a share of this job. Returns whether it shows for the first time that the miner lags.
    pub(super) fn shared(&mut self, job: JobId, now: Instant) -> bool {
        // The switch that ended the job's turn.
        let ended = self.switches.iter_mut().find(|switch| job < switch.job);
        let Some(switch) = ended else {
            return false;
        };
        switch.late |= now.saturating_duration_since(switch.at) >= LATE;
        let late = self.switches.iter().filter(|switch| switch.late).count();
        late >= SURE && !std::mem::replace(&mut self.lags, true)
    }
}

/// pooler's minerd and its derivatives call `restart_threads` only for clean jobs. cpuminer-opt follows every job.
fn is_known_to_lag(user_agent: &str) -> bool {
    let name = user_agent.trim().to_ascii_lowercase();
    ["cpuminer/", "cpuminer-multi", "ccminer"]
        .iter()
        .any(|known| name.starts_with(known))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
mod tests {
    use super::*;

    /// Turns of 10 s; in each, a share of the previous turn arrives this many seconds after its end.
    fn lags_after(turns: u64, late: impl Fn(u64) -> f64) -> bool {
        let start = Instant::now();
        let mut follow = Follow::default();
        for turn in 1..=turns {
            let began = start + Duration::from_secs(10 * turn);
            follow.switched(JobId(2 * turn), false, began);
            let lag = Duration::from_secs_f64(late(turn));
            follow.shared(JobId(2 * turn - 1), began + lag);
        }
        follow.lags()
    }

    #[test]
    fn a_miner_that_keeps_working_on_the_previous_turn_is_detected() {
        assert!(lags_after(3, |_| 6.0));
        assert!(!lags_after(2, |_| 6.0), "twice may be chance");
        // Only after turns on one of the pools, whose shares take longer.
        assert!(lags_after(6, |turn| if turn % 2 == 0 { 8.0 } else { 0.2 }));
    }

    #[test]
    fn pipelining_latency_and_network_stalls_are_not_mistaken_for_it() {
        assert!(!lags_after(10_000, |_| 4.0));
        assert!(!lags_after(10_000, |turn| if turn % 30 == 0 {
            9.0
        } else {
            1.0
        }));
    }

    #[test]
    fn known_software_is_recognized_without_proof() {
        for (agent, lags) in [
            ("cpuminer/2.5.1", true),
            ("cpuminer-multi/1.3.7", true),
            ("ccminer/2.3.1", true),
            ("cpuminer-opt-23.5-x64L", false),
            ("NerdMinerV2", false),
            ("cgminer/4.11.1", false),
            ("", false),
        ] {
            let mut follow = Follow::default();
            follow.subscribed(Some(agent));
            assert_eq!(follow.lags(), lags, "{agent}");
        }
    }
}
