//! The splits as they were before: the usual one, so that the owner can go back to it, and the one in force, so that
//! charts and figures of the past are not taken for the present split's.

use serde::{Deserialize, Serialize};

use crate::config::steering::Work;
use crate::units::PerPool;

/// How many splits are remembered.
const MOST: usize = 10;

/// How many changes of the split in force are remembered.
const MOST_COURSES: usize = 32;

/// A split in force for a shorter time, in milliseconds, does not count. At a start the timetable comes a moment later.
const BRIEF: u64 = 5000;

/// The work of all workers without own settings, from some time on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Course {
    /// The work.
    pub work: Work,
    /// Since when, in milliseconds since 1970.
    pub from_ms: u64,
}

/// The changes of the split in force, the newest first. The last one was in force first, so it is no change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Courses(Vec<Course>);

impl Courses {
    /// Notes the work that is in force now.
    pub fn follow(&mut self, work: Work, unix_ms: u64) {
        let is_brief = |it: &Course| unix_ms.saturating_sub(it.from_ms) < BRIEF;
        if self
            .0
            .first()
            .is_some_and(|it| it.work != work && is_brief(it))
        {
            self.0.remove(0);
        }
        if self.0.first().is_none_or(|it| it.work != work) {
            let from_ms = unix_ms;
            self.0.insert(0, Course { work, from_ms });
            self.0.truncate(MOST_COURSES);
        }
    }

    /// The changes, newest first.
    pub fn changes(&self) -> &[Course] {
        self.0.split_last().map_or(&[], |(_, changes)| changes)
    }
}

/// A usual split that is no longer in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastSplit {
    /// The weights.
    pub weights: PerPool<f64>,
    /// When it was replaced, in milliseconds since 1970.
    pub replaced_ms: u64,
    /// Who replaced it, as text.
    pub by: String,
}

/// The latest usual splits. They are kept across restarts, and changes while DPMP was stopped are noticed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PastSplits {
    /// The weights in force.
    present: Option<PerPool<f64>>,
    /// The earlier ones, newest first.
    past: Vec<PastSplit>,
}

impl PastSplits {
    /// Records the configured weights, at the start and after each change. Returns whether they have changed.
    pub fn update(&mut self, weights: PerPool<f64>, by: impl ToString, unix_ms: u64) -> bool {
        let before = self.present.replace(weights);
        let Some(before) = before.filter(|before| *before != weights) else {
            return false;
        };
        let replaced = PastSplit {
            weights: before,
            replaced_ms: unix_ms,
            by: by.to_string(),
        };
        self.past.insert(0, replaced);
        self.past.truncate(MOST);
        true
    }

    /// The splits before the current one, newest first.
    pub fn past(&self) -> &[PastSplit] {
        &self.past
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_the_active_split_are_remembered() {
        let split = |a| Work::Split(PerPool::new(a, 30.0));
        let mut courses = Courses::default();
        courses.follow(split(70.0), 0);
        assert_eq!(courses.changes(), [], "there was none before");
        courses.follow(split(70.0), 10_000);
        courses.follow(Work::Pause, 20_000);
        courses.follow(split(70.0), 40_000);
        // At a start, the timetable arrives a moment later.
        courses.follow(split(1.0), 60_000);
        courses.follow(split(70.0), 60_500);
        let at: Vec<_> = courses.changes().iter().map(|it| it.from_ms).collect();
        assert_eq!(at, [40_000, 20_000]);
    }

    #[test]
    fn only_the_latest_splits_are_kept_and_an_unchanged_one_is_not_new() {
        let weights = |a| PerPool::new(a, 30.0);
        let mut splits = PastSplits::default();
        assert!(
            !splits.update(weights(0.0), "nobody", 0),
            "there was none before"
        );
        assert!(!splits.update(weights(0.0), "nobody", 1));
        for (time, weight) in (1..=12_u32).enumerate() {
            assert!(splits.update(
                weights(f64::from(weight)),
                "me",
                u64::try_from(time).unwrap()
            ));
        }
        let past: Vec<_> = splits.past().iter().map(|it| it.weights).collect();
        let expected: Vec<_> = (2..=11).rev().map(|it| weights(f64::from(it))).collect();
        assert_eq!(past, expected);
        assert_eq!(splits.past()[0].by, "me");
        // As after a restart.
        let text = serde_json::to_string(&splits).unwrap();
        let mut again: PastSplits = serde_json::from_str(&text).unwrap();
        assert_eq!(again, splits);
        assert!(again.update(weights(5.0), "somebody", 99));
    }
}
