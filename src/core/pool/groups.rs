//! Who shares connections to the pools, and which extranonce1 is whose.
//!
//! A miner's extranonces together are a number, and it has a range of these to itself: those that begin with its
//! extranonce1. A group is what shares: miners with extranonces of the same sizes. Within a group no two ranges overlap,
//! so that one pool connection can serve them all. Miners with connections of their own are apart as well, for pools that
//! give an extranonce1 out again.

use std::collections::BTreeMap;

use crate::core::work::extranonce::{LONGEST_E1, LONGEST_E2};
use crate::units::{Extranonce1, LineId, MinerExtranonce, MinerId, PerPool};

/// A group of miners that share connections. Its number is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupId(u64);

/// The sizes of a miner's own extranonce1 and extranonce2, in bytes.
type Sizes = (u8, u8);

/// Where all miners are.
#[derive(Debug, Default)]
pub struct Groups {
    /// Those with connections of their own.
    alone: Allocator,
    groups: BTreeMap<GroupId, Group>,
    last: u64,
}

#[derive(Debug)]
struct Group {
    sizes: Sizes,
    extranonces: Allocator,
    /// The line to each pool that is shared.
    lines: PerPool<Option<LineId>>,
}

impl Groups {
    /// Gives a miner an extranonce1 of its own, instead of the one it may have; and a group if `most` miners may share
    /// a connection. It joins the fullest one that has room.
    pub fn take(
        &mut self,
        miner: MinerId,
        sizes: Sizes,
        most: Option<usize>,
    ) -> (MinerExtranonce, Option<GroupId>) {
        self.leave(miner);
        let (e1_size, _) = sizes;
        // Without an extranonce1 nothing tells the members apart.
        let Some(most) = most.filter(|_| e1_size > 0) else {
            return (self.alone.take(miner, sizes), None);
        };
        let most = most.min(1 << (8 * u32::from(e1_size.min(3))));
        let with_room = self
            .groups
            .iter()
            .filter(|(_, group)| group.sizes == sizes && group.extranonces.by_miner.len() < most);
        let fullest = with_room.max_by_key(|(_, group)| group.extranonces.by_miner.len());
        let id = fullest.map_or(GroupId(self.last + 1), |(id, _)| *id);
        self.last = self.last.max(id.0);
        let group = self.groups.entry(id).or_insert_with(|| Group {
            sizes,
            extranonces: Allocator::default(),
            lines: PerPool::default(),
        });
        (group.extranonces.take(miner, sizes), Some(id))
    }

    /// A miner has left.
    pub fn leave(&mut self, miner: MinerId) {
        self.alone.leave(miner);
        for group in self.groups.values_mut() {
            group.extranonces.leave(miner);
        }
        self.groups
            .retain(|_, group| !group.extranonces.by_miner.is_empty());
    }

    /// A group's line to each pool, to be used by its next member.
    pub fn lines(&mut self, group: GroupId) -> Option<&mut PerPool<Option<LineId>>> {
        self.groups.get_mut(&group).map(|group| &mut group.lines)
    }
}

/// Which extranonce1 is whose.
#[derive(Clone, Debug, Default)]
struct Allocator {
    /// By the first number of the range: the last one, and whose it is.
    taken: BTreeMap<u128, (u128, MinerId)>,
    by_miner: BTreeMap<MinerId, u128>,
}

impl Allocator {
    /// Gives a miner an extranonce1 of `e1_size` bytes that no other has, instead of the one it may have. If all are
    /// taken it gets one that another has: then it depends on the pool whether their work differs.
    fn take(&mut self, miner: MinerId, (e1_size, e2_size): Sizes) -> MinerExtranonce {
        self.leave(miner);
        let e1_size = e1_size.min(LONGEST_E1);
        let each = 1u128 << (8 * u32::from(e2_size.min(LONGEST_E2)));
        let count = 1u128 << (8 * u32::from(e1_size));
        // A miner that comes back gets another one than it had, as long as there are enough.
        let own = u128::from(miner.0) % count;
        let mut own_number = own;
        let mut left = count;
        // Without an extranonce1 there is nothing to choose.
        while e1_size > 0 && left > 0 {
            let first = own_number * each;
            let Some(last_taken) = self.last_in_the_way(first, first + each - 1) else {
                self.taken.insert(first, (first + each - 1, miner));
                self.by_miner.insert(miner, first);
                return extranonce(own_number, e1_size, e2_size);
            };
            let next = last_taken / each + 1;
            left = left.saturating_sub(next - own_number);
            own_number = if next < count { next } else { 0 };
        }
        extranonce(own, e1_size, e2_size)
    }

    /// A miner has left.
    fn leave(&mut self, miner: MinerId) {
        if let Some(first) = self.by_miner.remove(&miner) {
            self.taken.remove(&first);
        }
    }

    /// The last number of a range that has something in common with this one.
    fn last_in_the_way(&self, first: u128, last: u128) -> Option<u128> {
        let (_, (taken_last, _)) = self.taken.range(..=last).next_back()?;
        (*taken_last >= first).then_some(*taken_last)
    }
}

fn extranonce(own_number: u128, e1_size: u8, e2_size: u8) -> MinerExtranonce {
    let number = own_number.to_be_bytes();
    let own = number
        .len()
        .checked_sub(usize::from(e1_size))
        .and_then(|start| number.get(start..));
    let e1 = own.and_then(Extranonce1::new).unwrap_or_default();
    MinerExtranonce { e1, e2_size }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers that a miner's extranonces together can be.
    fn range(extranonce: &MinerExtranonce) -> (u128, u128) {
        let e1 = extranonce.e1.as_slice().iter();
        let own_number = e1.fold(0, |sum, byte| sum << 8 | u128::from(*byte));
        let each = 1 << (8 * u32::from(extranonce.e2_size));
        (own_number * each, own_number * each + each - 1)
    }

    #[test]
    fn no_two_miners_have_a_number_in_common() {
        let mut extranonces = Allocator::default();
        let mut held: BTreeMap<MinerId, (u128, u128)> = BTreeMap::new();
        for number in 1..=600u64 {
            let id = MinerId(number * 97);
            let sizes = if number % 3 == 0 { (2, 2) } else { (1, 3) };
            let given = range(&extranonces.take(id, sizes));
            let free = held
                .values()
                .all(|other| given.1 < other.0 || other.1 < given.0);
            assert!(free, "{number}");
            held.insert(id, given);
            // At most 150 at a time: the first ones leave.
            if held.len() > 150 {
                let (first, _) = held.pop_first().unwrap();
                extranonces.leave(first);
            }
        }
        assert_eq!(extranonces.taken.len(), held.len());
    }

    #[test]
    fn all_of_256_seats_are_given_before_one_is_given_twice() {
        let mut extranonces = Allocator::default();
        let mut e1s: Vec<_> = (0..256)
            .map(|index| extranonces.take(MinerId(index * 256 + 7), (1, 3)).e1)
            .collect();
        e1s.sort_unstable();
        e1s.dedup();
        assert_eq!(e1s.len(), 256);
        // The next one shares, and does not keep its number from anybody when it leaves.
        assert_eq!(extranonces.take(MinerId(9), (1, 3)).e1.to_string(), "09");
        extranonces.leave(MinerId(9));
        extranonces.leave(MinerId(7));
        assert_eq!(extranonces.take(MinerId(3), (1, 3)).e1.to_string(), "07");
        assert_eq!(extranonces.take(MinerId(3), (0, 4)).size(), 4);
        assert_eq!(extranonces.taken.len(), 255);
    }
}
