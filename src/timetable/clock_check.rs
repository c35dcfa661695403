//! Whether the wall clock can be trusted. A small computer without a battery-backed clock starts in 1970, or at the
//! time when it was last switched off, and learns the time later.
//!
//! - A time before this version was released is wrong.
//! - So is a time that is far from the pools' time: each job has a time in its header, close to the pool's own clock. A
//!   pool may be wrong, too, so if two pools are known, both have to differ.
//! - Until the first job after a start, the knowledge of the last run counts. A time before the pools' latest is wrong,
//!   and a clock that was ahead still is, if it shows no earlier time. That is not certain, because the clock may have
//!   been set while DPMP was stopped for long. So without a pool, the clock is trusted again after an hour: a pause for
//!   all miners has to end.

use std::fmt;

use crate::core::snapshot::{PoolView, Snapshot};

/// A clock that shows an earlier time is wrong: 2026-11-30, in milliseconds since 1970. It is moved forward with each
/// release.
pub const MADE_MS: u64 = 1_795_996_800_000;

/// How far the clock may be from the pools', in milliseconds. The header's time may itself be up to two hours ahead.
const TOLERANCE_MS: u64 = 2 * 3_600_000;

/// How long after the start a clock still counts as wrong because it was wrong before, in seconds.
const DOUBT_SECONDS: u64 = 3600;

/// Why the clock is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockProblem {
    /// It shows a time before this program was made.
    BeforeMade,
    /// It is too far from the pools' clocks.
    FarFromPools {
        /// How many minutes it is ahead of the pool that is closest; below 0: behind.
        ahead_minutes: i64,
    },
    /// It shows a time before a job that a pool sent in the last run.
    BeforeLastRun,
    /// It was ahead in the last run and has not been set back since.
    WasAhead,
}

impl ClockProblem {
    /// What is wrong with a clock that shows this time in milliseconds since 1970, given what is known about the pools
    /// at that moment.
    pub fn find(unix_ms: u64, snapshot: &Snapshot) -> Option<Self> {
        if unix_ms < MADE_MS {
            return Some(Self::BeforeMade);
        }
        // The time when the job came, according to the present clock, so that a job may be old.
        let ahead = |pool: &PoolView| {
            let pools_ms = u64::from(pool.job_ntime?) * 1000;
            let ours = i64::try_from(pool.job_at?).ok()?;
            ours.checked_sub_unsigned(pools_ms)
        };
        let pools = snapshot.pools.iter();
        let ahead = pools.filter_map(|(_, pool)| ahead(pool));
        let Some(ahead) = ahead.min_by_key(|it| it.unsigned_abs()) else {
            return Self::by_last_run(unix_ms, snapshot);
        };
        (ahead.unsigned_abs() > TOLERANCE_MS).then_some(Self::FarFromPools {
            ahead_minutes: ahead / 60_000,
        })
    }

    fn by_last_run(unix_ms: u64, snapshot: &Snapshot) -> Option<Self> {
        let mark = snapshot.clock;
        if unix_ms.saturating_add(TOLERANCE_MS) < mark.pools_ms {
            return Some(Self::BeforeLastRun);
        }
        let was_ahead = mark.wrong_ms.filter(|wrong| *wrong > mark.pools_ms);
        let is_ahead = was_ahead.is_some_and(|wrong| unix_ms >= wrong);
        (is_ahead && snapshot.uptime_seconds < DOUBT_SECONDS).then_some(Self::WasAhead)
    }
}

impl fmt::Display for ClockProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::BeforeMade => {
                "This computer's clock shows a date before DPMP was released".to_owned()
            }
            Self::FarFromPools { ahead_minutes } => {
                let hours = ahead_minutes.unsigned_abs() / 60;
                let side = if *ahead_minutes < 0 {
                    "behind"
                } else {
                    "ahead of"
                };
                format!("This computer's clock is {hours} hours {side} the pools' clocks")
            }
            Self::BeforeLastRun => {
                "This computer's clock shows a time before DPMP last ran".to_owned()
            }
            Self::WasAhead => {
                "This computer's clock was ahead of the pools' clocks when DPMP last ran, and no pool has sent the time \
                 since"
                    .to_owned()
            }
        };
        write!(
            f,
            "{what}. The timetable and the ends of temporary changes wait until the clock is set."
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{PerPool, PoolSlot};

    const NOW: u64 = MADE_MS + 1_000_000_000;
    const HOUR: u64 = 3_600_000;

    /// Pools whose last job came a day ago, each with this many hours between its time and the clock.
    fn pools(ahead: [Option<i64>; 2]) -> Snapshot {
        let job_at = NOW - 24 * HOUR;
        let pools = PerPool::from_fn(|slot| {
            let ahead = match slot {
                PoolSlot::A => ahead[0],
                PoolSlot::B => ahead[1],
            };
            let ntime = ahead.map(|hours| job_at / 1000 - u64::try_from(hours * 3600).unwrap_or(0));
            PoolView {
                job_at: ntime.map(|_| job_at),
                job_ntime: ntime.map(|it| u32::try_from(it).unwrap()),
                ..PoolView::default()
            }
        });
        Snapshot {
            pools,
            ..Snapshot::default()
        }
    }

    #[test]
    fn a_clock_that_starts_in_1970_is_wrong() {
        let none = Snapshot::default();
        let wrong = Some(ClockProblem::BeforeMade);
        assert_eq!(ClockProblem::find(0, &none), wrong);
        assert_eq!(ClockProblem::find(MADE_MS - 1, &none), wrong);
        assert_eq!(ClockProblem::find(MADE_MS, &none), None);
    }

    #[test]
    fn if_both_pools_send_times_both_have_to_differ() {
        let ahead = |ahead| ClockProblem::find(NOW, &pools(ahead));
        let far = |hours: i64| {
            Some(ClockProblem::FarFromPools {
                ahead_minutes: hours * 60,
            })
        };
        assert_eq!(ahead([None, None]), None);
        assert_eq!(ahead([Some(0), None]), None);
        assert_eq!(ahead([Some(2), Some(2)]), None, "two hours are all right");
        assert_eq!(ahead([Some(3), None]), far(3));
        assert_eq!(ahead([None, Some(3)]), far(3));
        assert_eq!(ahead([Some(3), Some(0)]), None);
        assert_eq!(ahead([Some(5), Some(3)]), far(3));
    }

    #[test]
    fn a_clock_may_be_behind_too() {
        let mut behind = pools([Some(0), None]);
        let ntime = u32::try_from((NOW - 14 * HOUR) / 1000).unwrap();
        behind.pools[PoolSlot::A].job_ntime = Some(ntime);
        let problem = ClockProblem::find(NOW, &behind).unwrap();
        assert_eq!(
            problem,
            ClockProblem::FarFromPools {
                ahead_minutes: -600
            }
        );
        assert!(problem.to_string().contains("10 hours behind"), "{problem}");
    }

    /// A release's date is in the changelog.
    #[test]
    fn the_built_in_date_is_not_older_than_the_latest_release() {
        let changelog = include_str!("../../CHANGELOG.md");
        let headings = changelog
            .lines()
            .filter_map(|line| line.strip_prefix("## ["));
        let dates = headings.filter_map(|heading| heading.split_once(" - "));
        for (_, date) in dates {
            let date: jiff::civil::Date = date.trim().parse().unwrap();
            let midnight = date.to_zoned_datetime(jiff::tz::TimeZone::UTC).unwrap();
            let released = u64::try_from(midnight.timestamp().as_millisecond()).unwrap();
            assert!(released <= MADE_MS, "{date}");
        }
    }
}
