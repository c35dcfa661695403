//! Deadlines: one per miner and pool, earliest first. They are data: there is no sleeping thread, no tick, nothing to
//! cancel.
//!
//! Each entry is derived from its owner's state after every change. So an outdated entry can only be too early, never
//! too late.

use std::collections::BTreeSet;
use std::hash::Hash;
use std::time::Instant;

use crate::core::id_map::IdMap;

/// At most one deadline for each key.
#[derive(Debug)]
pub(super) struct Agenda<K> {
    by_key: IdMap<K, Instant>,
    by_time: BTreeSet<(Instant, K)>,
}

impl<K> Default for Agenda<K> {
    fn default() -> Self {
        Self {
            by_key: IdMap::default(),
            by_time: BTreeSet::new(),
        }
    }
}

impl<K: Copy + Ord + Hash> Agenda<K> {
    /// Sets, moves or removes the deadline of a key.
    pub(super) fn set(&mut self, key: K, deadline: Option<Instant>) {
        let before = match deadline {
            Some(deadline) => self.by_key.insert(key, deadline),
            None => self.by_key.remove(&key),
        };
        if before == deadline {
            return;
        }
        if let Some(before) = before {
            self.by_time.remove(&(before, key));
        }
        if let Some(deadline) = deadline {
            self.by_time.insert((deadline, key));
        }
    }

    /// Makes a key due no later than this, perhaps earlier. Handling a key too early does no harm, and so the many
    /// deadlines that move with each event cost nothing.
    pub(super) fn no_later(&mut self, key: K, deadline: Option<Instant>) {
        let before = self.by_key.get(&key).copied();
        if deadline.is_some_and(|deadline| before.is_none_or(|before| deadline < before)) {
            self.set(key, deadline);
        }
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(deadline, _)| *deadline)
    }

    /// Removes one key whose deadline has passed, and returns it.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<K> {
        let (deadline, key) = *self.by_time.first()?;
        if deadline > now {
            return None;
        }
        self.set(key, None);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn keys_come_out_in_order_of_their_latest_deadlines() {
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut agenda = Agenda::default();
        agenda.set('a', Some(at(5)));
        agenda.set('b', Some(at(3)));
        agenda.set('a', Some(at(1)));
        agenda.set('c', Some(at(2)));
        agenda.set('c', None);
        assert_eq!(agenda.next(), Some(at(1)));
        assert_eq!(agenda.take_due(at(0)), None);
        assert_eq!(agenda.take_due(at(9)), Some('a'));
        assert_eq!(agenda.take_due(at(9)), Some('b'));
        assert_eq!(agenda.take_due(at(9)), None);
        assert_eq!(agenda.next(), None);
    }
}
