//! After the process stood still (a paused container, a machine that was busy elsewhere) every deadline seems to have
//! passed, though the peers have talked all the time: what they said waits in the sockets. So it is read first.

use std::time::{Duration, Instant};

/// A deadline that is looked at this late means that the process stood still.
const LATE: Duration = Duration::from_secs(1);

/// Everything has been read when nothing comes for this long.
const QUIET: Duration = Duration::from_millis(250);

/// Reading takes no longer than this: deadlines have to be kept.
const LONGEST: Duration = Duration::from_secs(3);

/// Whether the process has just stood still.
#[derive(Debug, Default)]
pub struct Standstill(Option<Reading>);

#[derive(Clone, Copy, Debug)]
struct Reading {
    /// When something came last.
    heard: Instant,
    until: Instant,
}

impl Standstill {
    /// Whether what was due at `due` may be judged now; `heard`: something has just come.
    pub fn may_judge(&mut self, due: Instant, heard: bool, now: Instant) -> bool {
        if due > now {
            return false;
        }
        let late = now.saturating_duration_since(due) >= LATE;
        let reading = match &mut self.0 {
            None if !late => return true,
            None => self.0.insert(Reading {
                heard: now,
                until: now.checked_add(LONGEST).unwrap_or(now),
            }),
            Some(reading) => reading,
        };
        if heard {
            reading.heard = now;
        }
        let over = Self::over(*reading) <= now;
        if over {
            self.0 = None;
        }
        over
    }

    /// When to ask again, if the process has just stood still.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.0.map(Self::over)
    }

    fn over(reading: Reading) -> Instant {
        let quiet = reading.heard.checked_add(QUIET).unwrap_or(reading.until);
        quiet.min(reading.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::clock::clock;

    #[test]
    fn what_waits_is_read_before_anything_is_judged() {
        let start = clock();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut it = Standstill::default();
        assert!(!it.may_judge(at(10), false, at(0)), "not due");
        assert!(it.may_judge(at(10), false, at(900)));
        // It stood still for 40 s.
        assert!(!it.may_judge(at(1000), true, at(41_000)));
        assert!(!it.may_judge(at(1000), true, at(41_200)));
        assert!(!it.may_judge(at(1000), false, at(41_400)));
        assert_eq!(it.next_deadline(), Some(at(41_450)));
        assert!(it.may_judge(at(1000), false, at(41_450)));
        assert_eq!(it.next_deadline(), None);
        // Peers that never stop talking do not keep it from judging.
        assert!(!it.may_judge(at(42_000), true, at(50_000)));
        let asked = (0..100).map(|step| 50_000 + step * 100);
        let judged = asked.filter(|now| it.may_judge(at(42_000), true, at(*now)));
        assert_eq!(judged.take(1).collect::<Vec<_>>(), [53_000]);
    }
}
