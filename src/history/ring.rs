//! A ring of equal time steps that starts small and grows up to a fixed size.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// The content of a step.
pub(super) trait Slot: Copy {
    /// The value of an unknown step.
    const UNKNOWN: Self;

    /// Joins two parts of the same step.
    fn add(&mut self, other: Self);
}

/// How a ring divides time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scale {
    /// The length of a step, in milliseconds.
    pub(super) step_ms: u64,
    /// How many steps are kept.
    pub(super) steps: usize,
}

impl Scale {
    /// The number of the step that contains a time, counted from 1970. `unix_ms`: milliseconds since 1970.
    pub(super) fn number(self, unix_ms: u64) -> u64 {
        unix_ms / self.step_ms
    }
}

/// The latest steps, without gaps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ring<T> {
    /// The number of the oldest step.
    first: u64,
    slots: VecDeque<T>,
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self {
            first: 0,
            slots: VecDeque::new(),
        }
    }
}

impl<T: Slot> Ring<T> {
    /// Adds to a step; steps between it and the last one are unknown. If the wall clock was set back, later steps are
    /// forgotten, because they have not happened yet.
    pub(super) fn add(&mut self, number: u64, value: T, scale: Scale) {
        let far = u64::try_from(scale.steps).unwrap_or(u64::MAX);
        if number < self.first || number.saturating_sub(self.end()) >= far {
            self.slots.clear();
        }
        if self.slots.is_empty() {
            self.first = number;
        }
        while self.end() > number.saturating_add(1) {
            self.slots.pop_back();
        }
        while self.end() <= number {
            self.slots.push_back(T::UNKNOWN);
        }
        if let Some(last) = self.slots.back_mut() {
            last.add(value);
        }
        self.keep(scale.steps);
    }

    /// Forgets the oldest steps beyond this number.
    pub(super) fn keep(&mut self, steps: usize) {
        while self.slots.len() > steps {
            self.slots.pop_front();
            self.first = self.first.saturating_add(1);
        }
    }

    /// A step; unknown if it is not kept.
    pub(super) fn get(&self, number: u64) -> T {
        let index = number.checked_sub(self.first);
        let index = index.and_then(|index| usize::try_from(index).ok());
        index
            .and_then(|index| self.slots.get(index).copied())
            .unwrap_or(T::UNKNOWN)
    }

    /// The number of the oldest step.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The number after the newest step.
    pub(super) fn end(&self) -> u64 {
        let length = u64::try_from(self.slots.len()).unwrap_or(u64::MAX);
        self.first.saturating_add(length)
    }

    /// Whether the ring is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Slot for i32 {
        const UNKNOWN: Self = -1;

        fn add(&mut self, other: Self) {
            *self = (*self).max(0) + other;
        }
    }

    const SCALE: Scale = Scale {
        step_ms: 1000,
        steps: 5,
    };

    fn held(ring: &Ring<i32>) -> (u64, Vec<i32>) {
        (ring.first, ring.slots.iter().copied().collect())
    }

    #[test]
    fn gaps_are_unknown_and_the_oldest_entry_is_dropped() {
        let mut ring = Ring::default();
        assert_eq!(ring.get(100), -1);
        ring.add(100, 1, SCALE);
        ring.add(100, 2, SCALE);
        assert_eq!(held(&ring), (100, vec![3]));
        ring.add(103, 4, SCALE);
        assert_eq!(held(&ring), (100, vec![3, -1, -1, 4]));
        ring.add(105, 5, SCALE);
        assert_eq!(held(&ring), (101, vec![-1, -1, 4, -1, 5]));
        assert_eq!((ring.get(103), ring.get(100), ring.get(106)), (4, -1, -1));
        ring.add(1_000_000_000_000, 6, SCALE);
        assert_eq!(held(&ring), (1_000_000_000_000, vec![6]));
    }

    #[test]
    fn setting_the_clock_back_leaves_no_future_entries() {
        let mut ring = Ring::default();
        for number in 100..104 {
            ring.add(number, 1, SCALE);
        }
        ring.add(101, 1, SCALE);
        assert_eq!(held(&ring), (100, vec![1, 2]));
        ring.add(50, 7, SCALE);
        assert_eq!(held(&ring), (50, vec![7]));
    }

    #[test]
    fn any_file_contents_are_handled() {
        let text = r#"{"first": 18446744073709551615, "slots": [1, 2, 3, 4, 5, 6, 7]}"#;
        let mut ring: Ring<i32> = serde_json::from_str(text).unwrap();
        assert_eq!(ring.get(u64::MAX), 1);
        ring.add(9, 1, SCALE);
        assert_eq!(held(&ring), (9, vec![1]));
    }
}
