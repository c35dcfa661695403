//! What each worker should do now, from all of the owner's settings: whether it mines, and for which pool.
//!
//! - A worker is paused if a temporary change, its own setting, its group's or the timetable says so. A temporary
//!   change to mine overrides only the timetable's pause.
//! - The first of these that says something else decides which pool it works for: its own setting, its group's, a
//!   temporary change, the timetable, the balance, the usual split.
//! - What depends on the clock comes in as data: the current timetable entry, and whether the clock can be trusted.

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::config::steering::Work;
use crate::units::{PoolSlot, named};

/// All workers, where names of workers are listed.
pub const ALL_WORKERS: &str = "*";

/// A temporary change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Override {
    /// The work.
    pub work: Work,
    /// The workers; only [`ALL_WORKERS`]: all of them. Never empty, sorted.
    pub workers: Vec<String>,
    /// When it ends, in milliseconds since 1970; `None`: when the owner ends it.
    pub until_ms: Option<u64>,
    /// When it was made, in milliseconds since 1970.
    pub set_ms: u64,
    /// Who made it.
    pub by: String,
}

impl Override {
    /// Whether it is for all workers.
    pub fn is_for_all(&self) -> bool {
        self.workers.iter().any(|name| name == ALL_WORKERS)
    }
}

named! {
    /// Which of the owner's settings decides.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum AimSource {
        /// The worker's own setting.
        Worker = "worker",
        /// Its group's.
        Group = "group",
        /// A temporary change.
        Override = "override",
        /// The timetable.
        Timetable = "timetable",
        /// The balance.
        Balance = "balance",
        /// The usual split.
        Usual = "usual",
    }
}

/// What a worker should do now, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Aim {
    /// The work.
    pub work: Work,
    /// The setting that says so.
    pub source: AimSource,
}

impl Aim {
    /// The part of the work for a pool, from 0 to 1; 0 while it pauses.
    pub fn share(&self, slot: PoolSlot) -> f64 {
        self.work.shares().map_or(0.0, |shares| shares[slot])
    }

    /// Whether it should work for a pool.
    pub fn means(&self, slot: PoolSlot) -> bool {
        self.share(slot) > 0.0
    }

    /// The only pool that it should work for, if there is just one.
    pub fn only(&self) -> Option<PoolSlot> {
        let mut meant = PoolSlot::ALL.into_iter().filter(|slot| self.means(*slot));
        meant.next().filter(|_| meant.next().is_none())
    }

    /// Whether it is paused.
    pub fn pauses(&self) -> bool {
        self.work == Work::Pause
    }
}

/// All settings that apply to one worker at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Words {
    /// Its own setting.
    pub worker: Option<Work>,
    /// Its group's.
    pub group: Option<Work>,
    /// The temporary change that applies to it.
    pub temporary: Option<Work>,
    /// The current timetable entry.
    pub timetable: Option<Work>,
    /// The usual split as shifted by the balance.
    pub balance: Option<Work>,
    /// The usual split.
    pub usual: Work,
}

impl Words {
    /// The resulting aim.
    pub fn aim(&self) -> Aim {
        // A temporary change to mine overrides the timetable's pause.
        let timetable_pauses = self.timetable.filter(|_| self.temporary.is_none());
        let pauses = [
            (self.worker, AimSource::Worker),
            (self.group, AimSource::Group),
            (self.temporary, AimSource::Override),
            (timetable_pauses, AimSource::Timetable),
        ];
        let splits = [
            (self.worker, AimSource::Worker),
            (self.group, AimSource::Group),
            (self.temporary, AimSource::Override),
            (self.timetable, AimSource::Timetable),
            (self.balance, AimSource::Balance),
        ];
        let pause = pauses
            .into_iter()
            .find(|(work, _)| *work == Some(Work::Pause));
        let split = || {
            let splits = splits
                .into_iter()
                .filter_map(|(work, source)| Some((work?, source)));
            let mut splits = splits.filter(|(work, _)| *work != Work::Pause);
            splits.next().unwrap_or((self.usual, AimSource::Usual))
        };
        let (work, source) = match pause {
            Some((_, source)) => (Work::Pause, source),
            None => split(),
        };
        Aim { work, source }
    }
}

/// The owner's changes apart from the configuration, and what depends on the clock.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Steering {
    /// The temporary changes, one for each set of workers.
    pub overrides: Vec<Override>,
    /// What the timetable says.
    pub timetable: TimetableNow,
    /// The usual split as shifted by the balance, if it is.
    pub balance: Option<Work>,
}

impl Steering {
    /// The maximum number of temporary changes.
    pub const MOST_OVERRIDES: usize = 100;

    /// All settings that apply to a worker.
    pub fn words(&self, worker: &str, config: &Config) -> Words {
        let own = config.workers.get(worker).and_then(|it| it.work);
        let group = config.groups.iter().find(|group| group.has(worker));
        Words {
            worker: own,
            group: group.and_then(|group| group.work),
            temporary: self.temporary(worker).map(|it| it.work),
            timetable: self.timetable_of(config),
            balance: self.balance,
            usual: Work::Split(config.scheduler.weights),
        }
    }

    /// What a worker should do.
    pub fn aim(&self, worker: &str, config: &Config) -> Aim {
        self.words(worker, config).aim()
    }

    /// What workers without their own settings should do.
    pub fn common(&self, config: &Config) -> Aim {
        let words = Words {
            worker: None,
            group: None,
            ..self.words("", config)
        };
        words.aim()
    }

    /// Whether a worker with this aim works for the fleet's split: it has no settings of its own and works for both
    /// pools.
    pub fn is_of_fleet(&self, aim: Aim, config: &Config) -> bool {
        PoolSlot::ALL.into_iter().all(|slot| aim.means(slot)) && aim == self.common(config)
    }

    fn timetable_of(&self, config: &Config) -> Option<Work> {
        let entry = self.timetable.entry.filter(|_| config.timetable.enabled);
        entry.map(|(_, work)| work)
    }

    /// The temporary change that applies to a worker. One that names the worker takes precedence over one for all;
    /// among several, the last one counts.
    pub fn temporary(&self, worker: &str) -> Option<&Override> {
        let names = |it: &&Override| it.workers.iter().any(|name| name == worker);
        let named = self
            .overrides
            .iter()
            .filter(names)
            .max_by_key(|it| it.set_ms);
        named.or_else(|| self.overrides.iter().find(|it| it.is_for_all()))
    }

    /// When the last temporary change was made that one for these workers would replace or override, in milliseconds
    /// since 1970; 0: there is none.
    pub fn last_change(&self, workers: &[String]) -> u64 {
        let overlaps = |it: &&Override| it.workers.iter().any(|name| workers.contains(name));
        let changes = self.overrides.iter().filter(overlaps);
        changes.map(|it| it.set_ms).max().unwrap_or(0)
    }

    /// Adds a temporary change, or replaces one for the same workers. `false` if there are too many.
    pub fn set(&mut self, new: Override) -> bool {
        self.overrides.retain(|it| it.workers != new.workers);
        let has_room = self.overrides.len() < Self::MOST_OVERRIDES;
        if has_room {
            self.overrides.push(new);
        }
        has_room
    }

    /// Ends the temporary change for these workers.
    pub fn end(&mut self, workers: &[String]) -> Option<Override> {
        let index = self.overrides.iter().position(|it| it.workers == workers)?;
        Some(self.overrides.remove(index))
    }

    /// Ends the temporary changes whose time is over. While the clock is wrong, none end.
    pub fn end_overdue(&mut self, unix_ms: u64) -> Vec<Override> {
        if self.timetable.clock_is_wrong {
            return Vec::new();
        }
        let is_over = |it: &Override| it.until_ms.is_some_and(|until| until <= unix_ms);
        let all = std::mem::take(&mut self.overrides).into_iter();
        let (over, kept) = all.partition(is_over);
        self.overrides = kept;
        over
    }

    /// In how many milliseconds the next temporary change ends.
    pub fn next_end(&self, unix_ms: u64) -> Option<u64> {
        let ends = self.overrides.iter().filter_map(|it| it.until_ms);
        let next = ends.min().filter(|_| !self.timetable.clock_is_wrong)?;
        Some(next.saturating_sub(unix_ms))
    }

    /// Whether a worker may need a pool, by all settings together.
    pub fn may_mean(&self, slot: PoolSlot, config: &Config) -> bool {
        let means = |work: Work| work.shares().is_some_and(|shares| shares[slot] > 0.0);
        self.all_words(config).any(means)
    }

    /// Whether some worker may pause.
    pub fn may_pause(&self, config: &Config) -> bool {
        self.all_words(config).any(|work| work == Work::Pause)
    }

    /// All settings, for all workers and for individual ones.
    fn all_words(&self, config: &Config) -> impl Iterator<Item = Work> {
        let temporary = self.overrides.iter().map(|it| Some(it.work));
        let own = config.workers.values().map(|it| it.work);
        let groups = config.groups.iter().map(|it| it.work);
        let general = [
            Some(Work::Split(config.scheduler.weights)),
            self.timetable_of(config),
            self.balance,
        ];
        let all = general
            .into_iter()
            .chain(temporary)
            .chain(own)
            .chain(groups);
        all.flatten()
    }
}

/// What the timetable says now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TimetableNow {
    /// The current entry's index, from 0, and its work.
    pub entry: Option<(usize, Work)>,
    /// When this changes next, in milliseconds since 1970, up to 8 days ahead.
    pub until_ms: Option<u64>,
    /// The work after that.
    pub next: Option<Work>,
    /// Whether the clock cannot be trusted: then the timetable and the ends of temporary changes wait.
    pub clock_is_wrong: bool,
}

/// The pools' latest time. After a start, the clock can only be compared with this until the first job arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClockMark {
    /// The pools' time, in milliseconds since 1970; 0: unknown.
    pub pools_ms: u64,
    /// What the clock showed then, in milliseconds since 1970, if it was wrong.
    pub wrong_ms: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::PerPool;

    fn split(a: f64, b: f64) -> Work {
        Work::Split(PerPool::from_fn(|slot| match slot {
            PoolSlot::A => a,
            PoolSlot::B => b,
        }))
    }

    /// Every pair of settings and the result, calculated in a different way than in the code.
    #[test]
    fn the_first_setting_counts_and_so_does_any_pause() {
        let said = [
            None,
            Some(split(100.0, 0.0)),
            Some(split(20.0, 80.0)),
            Some(Work::Pause),
        ];
        let mut seen = 0;
        for worker in said {
            for group in said {
                for temporary in said {
                    for timetable in said {
                        for balance in [None, Some(split(52.0, 48.0))] {
                            let words = Words {
                                worker,
                                group,
                                temporary,
                                timetable,
                                balance,
                                usual: split(50.0, 50.0),
                            };
                            let aim = words.aim();
                            let lifted = temporary.is_some() && temporary != Some(Work::Pause);
                            let pauses = [worker, group, temporary].contains(&Some(Work::Pause))
                                || timetable == Some(Work::Pause) && !lifted;
                            assert_eq!(aim.pauses(), pauses, "{words:?}");
                            if !pauses {
                                let order = [worker, group, temporary, timetable, balance];
                                let mut order = order.into_iter().flatten();
                                let first = order.find(|work| *work != Work::Pause);
                                assert_eq!(aim.work, first.unwrap_or(words.usual), "{words:?}");
                            }
                            seen += 1;
                        }
                    }
                }
            }
        }
        assert_eq!(seen, 512);
    }

    fn change(workers: &[&str], work: Work, set_ms: u64, until_ms: Option<u64>) -> Override {
        Override {
            work,
            workers: workers.iter().map(|it| (*it).to_owned()).collect(),
            until_ms,
            set_ms,
            by: String::new(),
        }
    }

    #[test]
    fn a_change_for_named_workers_overrides_one_for_all() {
        let mut steering = Steering::default();
        steering.set(change(&["*"], Work::only(PoolSlot::A), 1, None));
        steering.set(change(&["b"], Work::Pause, 2, Some(50)));
        steering.set(change(&["b", "c"], Work::only(PoolSlot::B), 3, Some(60)));
        let at = |steering: &Steering, worker| steering.temporary(worker).map(|it| it.set_ms);
        assert_eq!(at(&steering, "a"), Some(1));
        assert_eq!(at(&steering, "b"), Some(3));
        steering.set(change(&["*"], Work::Pause, 4, Some(40)));
        assert_eq!(steering.overrides.len(), 3, "one for each set of workers");
        assert_eq!(at(&steering, "b"), Some(3));
        assert_eq!(steering.next_end(30), Some(10));
        let ended: Vec<_> = steering
            .end_overdue(50)
            .iter()
            .map(|it| it.set_ms)
            .collect();
        assert_eq!(ended, [2, 4]);
        assert!(steering.end(&["c".to_owned()]).is_none());
        assert!(steering.end(&["b".to_owned(), "c".to_owned()]).is_some());
        assert_eq!(at(&steering, "b"), None);
    }

    #[test]
    fn nothing_ends_while_the_clock_is_wrong() {
        let mut steering = Steering::default();
        steering.set(change(&["*"], Work::Pause, 4, Some(40)));
        steering.timetable.clock_is_wrong = true;
        assert_eq!(steering.next_end(50), None);
        assert!(steering.end_overdue(50).is_empty());
        steering.timetable.clock_is_wrong = false;
        assert_eq!(steering.end_overdue(50).len(), 1);
    }
}
