//! Earlier usual splits, so that the owner can go back to one.

use serde::{Deserialize, Serialize};

use crate::units::PerPool;

/// How many splits are remembered.
const MOST: usize = 10;

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
    fn the_last_ones_are_remembered_and_what_stays_the_same_is_not_news() {
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
