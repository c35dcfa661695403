//! Tells the scheduler what the timetable says: at the start, and whenever that changes or the clock is set.
//!
//! Once a second it checks the configuration in force, the clock, and the time in the pools' jobs. While the clock
//! cannot be trusted, nothing is decided.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use crate::config::Config;
use crate::core::snapshot::Snapshot;
use crate::core::steering::TimetableNow;
use crate::observe::latest::LatestSnapshot;
use crate::shell::inbox::{Context, Input};
use crate::system::clock::now;
use crate::system::thread::{SERVICE_STACK, spawn};
use crate::timetable::LocalTimetable;
use crate::timetable::clock_check::ClockProblem;
use crate::units::Now;

/// How often it checks.
const EVERY: Duration = Duration::from_secs(1);

/// How many milliseconds the wall clock must deviate from the other one to count as set.
const JUMP_MS: u64 = 2000;

/// How long an answer is kept, in milliseconds. The system's time zone may change, too.
const KEPT_MS: u64 = 60_000;

/// Starts the thread, which ends when the returned sender is dropped. The first message is in the inbox before this
/// returns, so that no miner is served without it.
///
/// # Errors
/// If there is no room for the thread.
pub fn start(
    context: &Context,
    published: Arc<LatestSnapshot>,
) -> io::Result<(Sender<()>, JoinHandle<()>)> {
    let (live, inbox) = (context.live.clone(), context.inbox.clone());
    let mut teller = Teller::default();
    let mut look = move || {
        let news = teller.look(&live.get(), &published.get(), now());
        news.is_none_or(|news| inbox.send(Input::Timetable(news)).is_ok())
    };
    look();
    let (stop, stopped) = bounded::<()>(0);
    let thread = spawn("timetable", SERVICE_STACK, move || {
        while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) && look() {}
    })?;
    Ok((stop, thread))
}

/// What was sent.
#[derive(Default)]
struct Teller {
    told: Option<Told>,
}

struct Told {
    what: TimetableNow,
    /// The configuration for it.
    config: Arc<Config>,
    /// When it was calculated, in milliseconds since 1970.
    worked_out_ms: u64,
    /// Both clocks when it was sent.
    told_at: Now,
}

impl Teller {
    /// The news, if there is any.
    fn look(
        &mut self,
        config: &Arc<Config>,
        snapshot: &Snapshot,
        now: Now,
    ) -> Option<TimetableNow> {
        let wrong = ClockProblem::find(now.unix_ms, snapshot).is_some();
        let told = self.told.as_ref();
        if told.is_some_and(|told| told.holds(config, wrong, now)) {
            return None;
        }
        let what = if wrong {
            TimetableNow {
                clock_is_wrong: true,
                ..TimetableNow::default()
            }
        } else {
            LocalTimetable::new(&config.timetable).at(now.unix_ms)
        };
        let same = told.filter(|told| told.what == what && !told.clock_was_set(now));
        let told_at = same.map_or(now, |told| told.told_at);
        let is_news = same.is_none();
        self.told = Some(Told {
            what,
            config: Arc::clone(config),
            worked_out_ms: now.unix_ms,
            told_at,
        });
        is_news.then_some(what)
    }
}

impl Told {
    /// Whether nothing can have changed.
    fn holds(&self, config: &Arc<Config>, clock_is_wrong: bool, now: Now) -> bool {
        Arc::ptr_eq(&self.config, config)
            && self.what.clock_is_wrong == clock_is_wrong
            && !self.clock_was_set(now)
            && now.unix_ms.abs_diff(self.worked_out_ms) < KEPT_MS
            && self.what.until_ms.is_none_or(|until| now.unix_ms < until)
    }

    /// Whether the wall clock has deviated from the other one since then, even if bit by bit.
    fn clock_was_set(&self, now: Now) -> bool {
        let passed = now
            .at
            .saturating_duration_since(self.told_at.at)
            .as_millis();
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);
        let expected = self.told_at.unix_ms.saturating_add(passed);
        now.unix_ms.abs_diff(expected) > JUMP_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::steering::{Timetable, TimetableEntry, Work};
    use crate::core::snapshot::PoolView;
    use crate::core::steering::ClockMark;
    use crate::system::clock::clock;
    use crate::timetable::clock_check::MADE_MS;
    use crate::units::PoolSlot;

    const HOUR: u64 = 3_600_000;

    /// A Monday at 12:00 in UTC.
    const NOON: u64 = MADE_MS - MADE_MS % 86_400_000 + 7 * 86_400_000 + 12 * HOUR;

    /// The thread's state with clocks that the test moves.
    struct Rig {
        teller: Teller,
        config: Arc<Config>,
        snapshot: Snapshot,
        now: Now,
    }

    impl Rig {
        /// Only B from 13:00 to 14:00, in UTC.
        fn new(unix_ms: u64) -> Self {
            let entry = TimetableEntry {
                days: [true; 7],
                from: 13 * 60,
                to: 14 * 60,
                work: Work::only(PoolSlot::B),
            };
            let timetable = Timetable {
                enabled: true,
                time_zone: "UTC".to_owned(),
                entries: vec![entry],
            };
            let config = Config {
                timetable,
                ..Config::default()
            };
            let now = Now {
                at: clock(),
                unix_ms,
            };
            Self {
                teller: Teller::default(),
                config: Arc::new(config),
                snapshot: Snapshot::default(),
                now,
            }
        }

        /// Time passes.
        fn pass(&mut self, ms: u64) -> &mut Self {
            self.now.at += Duration::from_millis(ms);
            self.set(self.now.unix_ms + ms)
        }

        /// The wall clock is set.
        fn set(&mut self, unix_ms: u64) -> &mut Self {
            self.now.unix_ms = unix_ms;
            self
        }

        /// A pool's job arrives, with this time in its header.
        fn job(&mut self, slot: PoolSlot, ntime_ms: u64) {
            self.snapshot.pools[slot] = PoolView {
                job_at: Some(self.now.unix_ms),
                job_ntime: Some(u32::try_from(ntime_ms / 1000).unwrap()),
                ..PoolView::default()
            };
        }

        fn look(&mut self) -> Option<TimetableNow> {
            self.teller.look(&self.config, &self.snapshot, self.now)
        }

        /// The current entry, if there is news.
        fn entry(&mut self) -> Option<Option<usize>> {
            let told = self.look()?;
            assert!(!told.clock_is_wrong);
            Some(told.entry.map(|(entry, _)| entry))
        }
    }

    #[test]
    fn the_first_answer_is_sent_and_then_every_change() {
        let mut rig = Rig::new(NOON);
        let first = rig.look().unwrap();
        assert_eq!(first.entry, None);
        assert_eq!(first.until_ms, Some(NOON + HOUR));
        assert_eq!(first.next, Some(Work::only(PoolSlot::B)));
        let mut told = Vec::new();
        for second in 1..=3 * 3600 {
            if let Some(entry) = rig.pass(1000).entry() {
                told.push((second, entry));
            }
        }
        assert_eq!(told, [(3600, Some(0)), (7200, None)]);
    }

    #[test]
    fn a_set_clock_is_reported_even_if_the_answer_stays_the_same() {
        let mut rig = Rig::new(NOON);
        assert!(rig.look().is_some());
        assert!(rig.pass(1000).look().is_none());
        rig.set(NOON + 4000);
        assert!(rig.look().is_some(), "3 s ahead");
        assert!(rig.pass(1000).look().is_none());
        rig.set(NOON + HOUR + 1);
        assert_eq!(rig.entry(), Some(Some(0)));
        rig.set(NOON);
        assert_eq!(rig.entry(), Some(None));
    }

    #[test]
    fn a_clock_moved_in_small_steps_is_reported_too() {
        let mut rig = Rig::new(NOON);
        assert!(rig.look().is_some());
        let mut told = 0;
        for _ in 0..1000 {
            rig.pass(1000);
            rig.now.unix_ms += 5;
            told += u32::from(rig.look().is_some());
        }
        assert_eq!(told, 2, "every 2 s of 5");
    }

    #[test]
    fn a_new_configuration_applies_immediately() {
        let mut rig = Rig::new(NOON);
        assert_eq!(rig.entry(), Some(None));
        let mut config = (*rig.config).clone();
        rig.config = Arc::new(config.clone());
        assert_eq!(rig.entry(), None, "the answer is the same");
        config.timetable.entries[0].from = 12 * 60;
        rig.config = Arc::new(config.clone());
        assert_eq!(rig.entry(), Some(Some(0)));
        config.timetable.enabled = false;
        rig.config = Arc::new(config);
        assert_eq!(rig.look(), Some(TimetableNow::default()));
    }

    #[test]
    fn nothing_is_decided_while_the_clock_still_shows_1970() {
        let mut rig = Rig::new(13 * HOUR);
        let first = rig.look().unwrap();
        assert!(first.clock_is_wrong);
        assert_eq!((first.entry, first.until_ms), (None, None));
        for _ in 0..600 {
            assert_eq!(rig.pass(1000).look(), None);
        }
        rig.set(NOON + HOUR);
        assert_eq!(rig.entry(), Some(Some(0)));
    }

    #[test]
    fn nothing_is_decided_while_the_clock_is_far_from_the_pools() {
        let mut rig = Rig::new(NOON + HOUR);
        assert_eq!(rig.entry(), Some(Some(0)), "no job from a pool yet");
        rig.job(PoolSlot::A, NOON + 9 * HOUR);
        assert!(rig.look().unwrap().clock_is_wrong);
        // The other pool agrees with the clock.
        rig.job(PoolSlot::B, NOON + HOUR);
        assert_eq!(rig.entry(), Some(Some(0)));
    }

    /// After a start no miner may work, because of the timetable or a temporary change, so no job arrives.
    #[test]
    fn a_clock_wrong_before_a_start_stays_wrong_until_set_or_confirmed() {
        let ahead = ClockMark {
            pools_ms: NOON - 8 * HOUR,
            wrong_ms: Some(NOON + HOUR),
        };
        let started = || {
            let mut rig = Rig::new(NOON + HOUR);
            rig.snapshot.clock = ahead;
            assert!(rig.look().unwrap().clock_is_wrong, "as it was");
            rig
        };
        let mut set = started();
        set.set(NOON - 8 * HOUR);
        assert_eq!(set.entry(), Some(None));
        let mut confirmed = started();
        confirmed.job(PoolSlot::A, NOON + HOUR);
        assert_eq!(confirmed.entry(), Some(Some(0)));
        // Without any pool, a pause must end anyway.
        let mut alone = started();
        alone.snapshot.uptime_seconds = 3600;
        assert_eq!(alone.entry(), Some(Some(0)));
        let mut behind = Rig::new(NOON + HOUR);
        behind.snapshot.clock = ClockMark {
            pools_ms: NOON + 9 * HOUR,
            wrong_ms: None,
        };
        assert!(behind.look().unwrap().clock_is_wrong);
        behind.snapshot.uptime_seconds = 3600;
        assert!(behind.pass(1000).look().is_none(), "time does not go back");
    }

    #[test]
    fn the_first_answer_is_there_immediately_and_the_thread_ends() {
        let (context, inputs) = Context::for_tests(Arc::clone(&Rig::new(NOON).config));
        let (stop, thread) = start(&context, Arc::default()).unwrap();
        assert!(matches!(inputs.try_recv(), Ok(Input::Timetable(_))));
        drop(stop);
        thread.join().unwrap();
    }
}
