//! After the process was suspended (a paused container, a busy machine), every deadline seems to have passed, although
//! the peers kept sending. Their messages wait in the sockets, so they are read first.

use std::time::{Duration, Instant};

use crate::units::later;

/// If a deadline is this late, the process was suspended.
const LATE: Duration = Duration::from_secs(1);

/// Everything has been read when nothing arrives for this long.
const QUIET: Duration = Duration::from_millis(250);

/// Reading takes no longer than this, because deadlines must be kept.
const LONGEST: Duration = Duration::from_secs(3);

/// Whether the process was just suspended.
#[derive(Debug, Default)]
pub struct Standstill(Option<Reading>);

#[derive(Clone, Copy, Debug)]
struct Reading {
    /// When something last arrived.
    heard: Instant,
    until: Instant,
}

impl Standstill {
    /// Whether the first deadline, at `due`, may be handled now; `heard`: something has just arrived. Call it in every
    /// turn: input may move the deadlines, but the reading must end at some time.
    pub fn may_judge(&mut self, due: Option<Instant>, heard: bool, now: Instant) -> bool {
        let due = due.filter(|due| *due <= now);
        if let Some(reading) = &mut self.0 {
            if heard {
                reading.heard = now;
            }
            if Self::over(*reading) > now {
                return false;
            }
            self.0 = None;
        } else if due.is_some_and(|due| now.saturating_duration_since(due) >= LATE) {
            self.0 = Some(Reading {
                heard: now,
                until: later(now, LONGEST),
            });
            return false;
        }
        due.is_some()
    }

    /// When to ask again, if the process was just suspended.
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

    fn at(milliseconds: u64, start: Instant) -> Instant {
        start + Duration::from_millis(milliseconds)
    }

    #[test]
    fn queued_input_is_read_before_anything_is_judged() {
        let start = clock();
        let mut it = Standstill::default();
        let mut may_judge = |due, heard, now| {
            let may = it.may_judge(Some(at(due, start)), heard, at(now, start));
            (may, it.next_deadline())
        };
        assert_eq!(may_judge(10, false, 0), (false, None), "not due");
        assert_eq!(may_judge(10, false, 900), (true, None));
        // It was suspended for 40 s.
        assert!(!may_judge(1000, true, 41_000).0);
        assert!(!may_judge(1000, true, 41_200).0);
        let again = Some(at(41_450, start));
        assert_eq!(may_judge(1000, false, 41_400), (false, again));
        assert_eq!(may_judge(1000, false, 41_450), (true, None));
        // Peers that never stop sending do not prevent this.
        assert!(!may_judge(42_000, true, 50_000).0);
        let asked = (0..100).map(|step| 50_000 + step * 100);
        let judged = asked.filter(|now| may_judge(42_000, true, *now).0);
        assert_eq!(judged.take(1).collect::<Vec<_>>(), [53_000]);
    }

    /// Input moves the deadlines, or ends their connections.
    #[test]
    fn reading_ends_even_if_no_deadline_is_left() {
        let start = clock();
        for due in [None, Some(at(90_000, start))] {
            let mut it = Standstill::default();
            assert!(!it.may_judge(Some(start), true, at(40_000, start)));
            assert!(!it.may_judge(due, true, at(40_100, start)));
            assert_eq!(it.next_deadline(), Some(at(40_350, start)));
            assert!(!it.may_judge(due, false, at(40_350, start)));
            assert_eq!(it.next_deadline(), None, "no deadline remains in the past");
        }
    }
}
