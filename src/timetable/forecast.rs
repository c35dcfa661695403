//! What workers will do, as far as clock and calendar decide it: the timetable and the ends of temporary changes.
//!
//! Pools and the balance cannot be predicted; the forecast assumes that the balance stays as it is.

use crate::config::Config;
use crate::config::steering::Work;
use crate::core::steering::{AimSource, Steering, TimetableNow};
use crate::timetable::LocalTimetable;

/// The maximum number of moments to look at; nobody has more entries than this in a week.
const MOST_MOMENTS: usize = 5000;

/// The steering from some time on.
#[derive(Clone, Debug)]
pub struct Forecast {
    /// When something changes, in milliseconds since 1970, and the steering from then on. The first is now.
    moments: Vec<(u64, Steering)>,
    /// How far it reaches, in milliseconds since 1970.
    end_ms: u64,
}

/// A period in which a worker does the same thing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Its beginning, in milliseconds since 1970.
    pub from_ms: u64,
    /// Its end.
    pub to_ms: u64,
    /// What the worker does.
    pub work: Work,
    /// Why.
    pub source: AimSource,
    /// The timetable entry that causes it, counted from 0.
    pub entry: Option<usize>,
}

impl Forecast {
    /// From a time in milliseconds since 1970, for a number of milliseconds. `steering`: the present state besides the
    /// configuration. Of its timetable, only whether the clock is right is used; if it is not, nothing is forecast.
    pub fn new(config: &Config, steering: &Steering, from_ms: u64, length_ms: u64) -> Self {
        let end_ms = from_ms.saturating_add(length_ms);
        let mut now = steering.clone();
        let mut moments = Vec::new();
        let timetable = LocalTimetable::new(&config.timetable);
        let mut at = from_ms;
        while at < end_ms && moments.len() < MOST_MOMENTS {
            if now.timetable.clock_is_wrong {
                now.timetable = TimetableNow {
                    clock_is_wrong: true,
                    ..TimetableNow::default()
                };
            } else {
                now.timetable = timetable.at(at);
            }
            now.end_overdue(at);
            moments.push((at, now.clone()));
            let next_end = now.next_end(at).and_then(|wait| at.checked_add(wait));
            let next = [now.timetable.until_ms, next_end]
                .into_iter()
                .flatten()
                .min();
            at = next.map_or(end_ms, |next| next.max(at + 1));
        }
        Self { moments, end_ms }
    }

    /// The state of the timetable at the beginning.
    pub fn timetable(&self) -> TimetableNow {
        let first = self.moments.first();
        first.map(|(_, first)| first.timetable).unwrap_or_default()
    }

    /// What a worker does, in order and without gaps. `worker`: its name; empty: workers without settings of their own.
    pub fn spans(&self, worker: &str, config: &Config) -> impl Iterator<Item = Span> {
        let mut words = self
            .moments
            .first()
            .map(|(_, first)| first.words(worker, config));
        let ends = self.moments.iter().skip(1).map(|(at, _)| *at);
        let ends = ends.chain([self.end_ms]);
        let each = self.moments.iter().zip(ends);
        let mut each = each.filter_map(move |((from_ms, steering), to_ms)| {
            let words = words.as_mut()?;
            let entry = steering.timetable.entry;
            words.temporary = steering.temporary(worker).map(|it| it.work);
            words.timetable = entry.map(|(_, work)| work);
            let aim = words.aim();
            let says_so = |_: &(usize, Work)| aim.source == AimSource::Timetable;
            Some(Span {
                from_ms: *from_ms,
                to_ms,
                work: aim.work,
                source: aim.source,
                entry: entry.filter(says_so).map(|(entry, _)| entry),
            })
        });
        let mut last = None;
        std::iter::from_fn(move || {
            let mut span: Span = last.take().or_else(|| each.next())?;
            for next in each.by_ref() {
                let is_same = Span {
                    from_ms: span.from_ms,
                    to_ms: span.to_ms,
                    ..next
                } == span;
                if !is_same {
                    last = Some(next);
                    break;
                }
                span.to_ms = next.to_ms;
            }
            Some(span)
        })
    }

    /// What a worker does now, with its end if that is known, and what it does next.
    pub fn now_and_next(&self, worker: &str, config: &Config) -> Option<(Span, Option<Span>)> {
        let mut spans = self.spans(worker, config);
        let now = spans.next()?;
        // Another entry with the same effect is no change for the worker.
        let next = spans.find(|it| (it.work, it.source) != (now.work, now.source));
        Some((now, next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::steering::{Group, Timetable, TimetableEntry, WorkerSettings};
    use crate::core::steering::{ALL_WORKERS, Override};
    use crate::units::PoolSlot;

    const HOUR: u64 = 3_600_000;

    /// Monday, 30 November 2026, at 00:00 UTC.
    const MONDAY: u64 = 1_795_996_800_000;

    const A: Work = Work::Split(crate::units::PerPool::new(100.0, 0.0));
    const B: Work = Work::Split(crate::units::PerPool::new(0.0, 100.0));

    /// Only B from 22:00 to 06:00, and a pause from 06:00 to 07:00, every day.
    fn config() -> Config {
        let entry = |from: u16, to: u16, work| TimetableEntry {
            days: [true; 7],
            from: from * 60,
            to: to * 60,
            work,
        };
        Config {
            timetable: Timetable {
                enabled: true,
                time_zone: "UTC".to_owned(),
                entries: vec![entry(22, 6, B), entry(6, 7, Work::Pause)],
            },
            ..Config::default()
        }
    }

    fn change(workers: &[&str], work: Work, until_ms: Option<u64>) -> Override {
        Override {
            work,
            workers: workers.iter().map(|it| (*it).to_owned()).collect(),
            until_ms,
            set_ms: 0,
            by: String::new(),
        }
    }

    /// From Monday 20:00, each span with its hours after that, for this many hours.
    fn spans(
        worker: &str,
        config: &Config,
        steering: &Steering,
        hours: u64,
    ) -> Vec<(u64, u64, Work, AimSource, Option<usize>)> {
        let start = MONDAY + 20 * HOUR;
        let forecast = Forecast::new(config, steering, start, hours * HOUR);
        let hour = |at: u64| (at - start) / HOUR;
        let spans = forecast.spans(worker, config);
        let spans = spans.map(|it| {
            (
                hour(it.from_ms),
                hour(it.to_ms),
                it.work,
                it.source,
                it.entry,
            )
        });
        spans.collect()
    }

    #[test]
    fn the_forecast_alternates_between_timetable_and_usual_split() {
        let usual = Work::Split(config().scheduler.weights);
        let expected = [
            (0, 2, usual, AimSource::Usual, None),
            (2, 10, B, AimSource::Timetable, Some(0)),
            (10, 11, Work::Pause, AimSource::Timetable, Some(1)),
            (11, 24, usual, AimSource::Usual, None),
        ];
        assert_eq!(spans("", &config(), &Steering::default(), 24), expected);
    }

    #[test]
    fn a_temporary_change_overrides_a_timetable_pause_until_it_ends() {
        let mut steering = Steering::default();
        let end = MONDAY + 24 * HOUR + 6 * HOUR + HOUR / 2;
        steering.set(change(&[ALL_WORKERS], A, Some(end)));
        let start = MONDAY + 20 * HOUR;
        let config = config();
        let forecast = Forecast::new(&config, &steering, start, 12 * HOUR);
        let found: Vec<_> = forecast
            .spans("", &config)
            .map(|it| (it.to_ms, it.work, it.source))
            .collect();
        let usual = Work::Split(config.scheduler.weights);
        assert_eq!(
            found,
            [
                (end, A, AimSource::Override),
                (end + HOUR / 2, Work::Pause, AimSource::Timetable),
                (start + 12 * HOUR, usual, AimSource::Usual),
            ]
        );
        let (now, next) = forecast.now_and_next("", &config).unwrap();
        assert_eq!((now.source, now.to_ms), (AimSource::Override, end));
        assert_eq!(next.unwrap().source, AimSource::Timetable);
    }

    #[test]
    fn a_workers_own_setting_comes_first() {
        let mut config = config();
        let own = WorkerSettings {
            work: Some(A),
            ..WorkerSettings::default()
        };
        config.workers.insert("own".to_owned(), own);
        config.groups.push(Group {
            name: "Garage".to_owned(),
            patterns: vec![glob::Pattern::new("garage-*").unwrap()],
            work: Some(B),
        });
        let none = Steering::default();
        let whole = |work, source| vec![(0, 10, work, source, None)];
        let own = spans("own", &config, &none, 10);
        assert_eq!(own, whole(A, AimSource::Worker));
        let group = spans("garage-1", &config, &none, 10);
        assert_eq!(group, whole(B, AimSource::Group));
        // But both pause when the timetable says so.
        assert_eq!(spans("own", &config, &none, 11)[1].2, Work::Pause);
        let mut steering = Steering::default();
        steering.set(change(&["other"], Work::Pause, None));
        let other = spans("other", &config, &steering, 48);
        assert_eq!(other, [(0, 48, Work::Pause, AimSource::Override, None)]);
        assert_eq!(spans("own", &config, &steering, 10), own);
    }

    #[test]
    fn two_identical_entries_are_no_change_for_a_worker() {
        let mut config = config();
        config.timetable.entries[1].work = B;
        let start = MONDAY + 23 * HOUR;
        let forecast = Forecast::new(&config, &Steering::default(), start, 48 * HOUR);
        let (_, next) = forecast.now_and_next("", &config).unwrap();
        assert_eq!(next.unwrap().from_ms, MONDAY + 31 * HOUR);
        assert_eq!(forecast.spans("", &config).nth(1).unwrap().entry, Some(1));
    }

    #[test]
    fn a_wrong_clock_gives_no_forecast() {
        let mut steering = Steering::default();
        steering.set(change(&[ALL_WORKERS], A, Some(MONDAY)));
        steering.timetable.clock_is_wrong = true;
        let found = spans("", &config(), &steering, 48);
        assert_eq!(found, [(0, 48, A, AimSource::Override, None)]);
        assert_eq!(Work::only(PoolSlot::A), A);
    }
}
