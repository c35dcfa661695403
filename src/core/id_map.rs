//! A map by ids, for lookups on every event. It finds values by hash but iterates in the order of the ids, so that the
//! same events lead to the same actions.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash};

use crate::stratum::job::StableHasher;

/// Values by id. Ids are consecutive numbers, so a simple hash is enough.
#[derive(Debug)]
pub struct IdMap<K, V>(HashMap<K, V, BuildHasherDefault<StableHasher>>);

impl<K, V> Default for IdMap<K, V> {
    fn default() -> Self {
        Self(HashMap::default())
    }
}

impl<K: Copy + Ord + Hash, V> IdMap<K, V> {
    /// The number of values.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the map is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is a value with this id.
    pub fn contains_key(&self, id: &K) -> bool {
        self.0.contains_key(id)
    }

    /// The value with this id.
    pub fn get(&self, id: &K) -> Option<&V> {
        self.0.get(id)
    }

    /// The value with this id, mutable.
    pub fn get_mut(&mut self, id: &K) -> Option<&mut V> {
        self.0.get_mut(id)
    }

    /// Adds a value, and returns the id's previous value.
    pub fn insert(&mut self, id: K, value: V) -> Option<V> {
        self.0.insert(id, value)
    }

    /// Removes a value.
    pub fn remove(&mut self, id: &K) -> Option<V> {
        self.0.remove(id)
    }

    /// Whether any value meets the condition. Does not sort.
    pub fn any(&self, is: impl FnMut(&V) -> bool) -> bool {
        self.0.values().any(is)
    }

    /// All ids and values. Sorts the ids first.
    pub fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        let mut all: Vec<_> = self.0.iter().map(|(id, value)| (*id, value)).collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all.into_iter()
    }

    /// All values in the order of their ids, mutable.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        let mut all: Vec<_> = self.0.iter_mut().collect();
        all.sort_unstable_by_key(|(id, _)| **id);
        all.into_iter().map(|(_, value)| value)
    }

    /// All values, in the order of their ids.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_in_order_of_their_ids() {
        let mut map = IdMap::default();
        for id in [3_u64, 1, 1000, 2, 70_000] {
            map.insert(id, id + 1);
        }
        map.remove(&2);
        map.values_mut().for_each(|value| *value += 1);
        let all: Vec<_> = map.iter().map(|(id, value)| (id, *value)).collect();
        assert_eq!(all, [(1, 3), (3, 5), (1000, 1002), (70_000, 70_002)]);
        assert!(map.any(|value| *value == 5) && !map.any(|value| *value == 4));
    }
}
