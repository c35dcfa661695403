//! Which miners share connections to the pools, and which extranonce1 belongs to which miner.
//!
//! A miner's extranonces together form a number. Each miner has a separate range of these numbers: those that begin
//! with its extranonce1. A group is a set of miners that share connections, with extranonces of the same sizes. Within
//! a group no two ranges overlap, so one pool connection can serve all of them. The ranges of miners with their own
//! connections do not overlap, either, because some pools reuse an extranonce1.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use crate::core::work::extranonce::{LONGEST_E1, LONGEST_E2};
use crate::units::{Extranonce1, LineId, MinerExtranonce, MinerId, PerPool};

/// How many freed extranonce1 of a group are remembered.
const MOST_FREED: usize = 512;

/// A group of miners that share connections. Its number is never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupId(u64);

/// The sizes of a miner's own extranonce1 and extranonce2, in bytes.
pub type Sizes = (u8, u8);

/// How a returning machine is recognized: by address and software. It has no other name when it subscribes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its address.
    pub address: IpAddr,
    /// Its software.
    pub software: Option<String>,
}

/// All groups and extranonces.
#[derive(Debug, Default)]
pub struct Groups {
    /// All miners. Two groups have ranges in common only if there are no others left: some pools give all connections
    /// the same extranonce1 (compat Q44).
    all: Allocator,
    groups: BTreeMap<GroupId, Group>,
    last: u64,
}

#[derive(Debug)]
struct Group {
    sizes: Sizes,
    extranonces: Allocator,
    members: BTreeMap<MinerId, Machine>,
    /// The first unused number.
    next: u128,
    /// Freed numbers, longest free first, and the machines that had them.
    freed: VecDeque<(u128, Machine)>,
    /// The line to each shared pool.
    lines: PerPool<Option<LineId>>,
}

impl Groups {
    /// Gives a miner a separate extranonce1, replacing its current one, and a group if `most` miners may share a
    /// connection. The miner joins the fullest group with room.
    pub fn take(
        &mut self,
        miner: MinerId,
        machine: &Machine,
        sizes: Sizes,
        most: Option<usize>,
    ) -> (MinerExtranonce, Option<GroupId>) {
        self.free(miner);
        let Some(most) = most_of(sizes, most) else {
            self.forget_empty();
            return (self.all.take(miner, sizes, u128::from(miner.0)), None);
        };
        let with_room = self
            .groups
            .iter()
            .filter(|(_, group)| group.sizes == sizes && group.members.len() < most);
        let fullest = with_room.max_by_key(|(_, group)| group.members.len());
        let id = fullest.map(|(id, _)| *id);
        let id = id.unwrap_or_else(|| self.next_id());
        let group = self.groups.entry(id).or_insert_with(|| Group::new(sizes));
        let wanted = group.wanted(machine);
        let number = self.all.first_free(sizes, wanted);
        let extranonce = group.join(miner, machine, number.unwrap_or(wanted));
        self.all.insert(miner, extranonce);
        self.forget_empty();
        (extranonce, Some(id))
    }

    /// Finds another place for a miner that keeps its extranonce1: its own group if that is not too large, otherwise
    /// the first one in which its range is free.
    pub fn keep(
        &mut self,
        miner: MinerId,
        machine: &Machine,
        extranonce: MinerExtranonce,
        most: Option<usize>,
    ) -> Option<GroupId> {
        let e1_size = u8::try_from(extranonce.e1.len()).unwrap_or(u8::MAX);
        let sizes = (e1_size, extranonce.e2_size);
        let Some(most) = most_of(sizes, most) else {
            if self.groups.values().any(|it| it.has(miner)) {
                self.leave(miner);
                self.all.insert(miner, extranonce);
            }
            return None;
        };
        let is_of = |group: &Group| group.has(miner) && group.members.len() <= most;
        if let Some((id, _)) = self.groups.iter().find(|(_, group)| is_of(group)) {
            return Some(*id);
        }
        self.leave(miner);
        let suits = |group: &Group| {
            let same = group.sizes == sizes && group.members.len() < most;
            same && group.extranonces.is_free(extranonce)
        };
        let found = self.groups.iter().find(|(_, group)| suits(group));
        let id = found.map(|(id, _)| *id);
        let id = id.unwrap_or_else(|| self.next_id());
        let group = self.groups.entry(id).or_insert_with(|| Group::new(sizes));
        group.extranonces.insert(miner, extranonce);
        group.members.insert(miner, machine.clone());
        self.all.insert(miner, extranonce);
        Some(id)
    }

    /// The id of a new group.
    fn next_id(&mut self) -> GroupId {
        self.last += 1;
        GroupId(self.last)
    }

    /// A miner has left.
    pub fn leave(&mut self, miner: MinerId) {
        self.free(miner);
        self.forget_empty();
    }

    fn free(&mut self, miner: MinerId) {
        self.all.leave(miner);
        for group in self.groups.values_mut() {
            group.leave(miner);
        }
    }

    fn forget_empty(&mut self) {
        self.groups.retain(|_, group| !group.members.is_empty());
    }

    /// A group's line to each pool, for its next member.
    pub fn lines(&mut self, group: GroupId) -> Option<&mut PerPool<Option<LineId>>> {
        self.groups.get_mut(&group).map(|group| &mut group.lines)
    }
}

/// The maximum number of miners with extranonces of these sizes on a connection, if they can share one.
pub fn most_of((e1_size, _): Sizes, most: Option<usize>) -> Option<usize> {
    // Without an extranonce1, the members' work would be the same.
    let most = most.filter(|_| e1_size > 0)?;
    Some(most.min(1 << (8 * u32::from(e1_size.min(3)))))
}

impl Group {
    fn new(sizes: Sizes) -> Self {
        Self {
            sizes,
            extranonces: Allocator::default(),
            members: BTreeMap::new(),
            next: 0,
            freed: VecDeque::new(),
            lines: PerPool::default(),
        }
    }

    fn has(&self, miner: MinerId) -> bool {
        self.members.contains_key(&miner)
    }

    /// The number for the next member: a returning machine gets its number back, others get the one that has been free
    /// the longest.
    fn wanted(&mut self, machine: &Machine) -> u128 {
        let count = numbers(self.sizes.0);
        let before = self.freed.iter().position(|(_, whose)| whose == machine);
        let number = match before {
            Some(index) => self.freed.remove(index).map(|(number, _)| number),
            None if self.next < count => None,
            None => self.freed.pop_front().map(|(number, _)| number),
        };
        number.unwrap_or(self.next)
    }

    /// Adds a miner with this number, or the next one that is free in the group.
    fn join(&mut self, miner: MinerId, machine: &Machine, number: u128) -> MinerExtranonce {
        self.next = self.next.max(number + 1);
        self.members.insert(miner, machine.clone());
        self.extranonces.take(miner, self.sizes, number)
    }

    fn leave(&mut self, miner: MinerId) {
        let number = self.extranonces.leave(miner);
        if let Some((number, machine)) = number.zip(self.members.remove(&miner)) {
            if self.freed.len() == MOST_FREED {
                self.freed.pop_front();
            }
            self.freed.push_back((number, machine));
        }
    }
}

/// The extranonce1 of each miner.
#[derive(Clone, Debug, Default)]
struct Allocator {
    /// Ranges by their first number: the last number, and the miner.
    taken: BTreeMap<u128, (u128, MinerId)>,
    /// The first number of each miner's range, and its length.
    by_miner: BTreeMap<MinerId, (u128, u128)>,
}

impl Allocator {
    /// Gives a miner an unused extranonce1 of `e1_size` bytes, replacing its current one: `wanted`, or the next free
    /// one. If all are taken, it gets one that another miner has. Then the pool decides whether their work differs.
    fn take(&mut self, miner: MinerId, sizes: Sizes, wanted: u128) -> MinerExtranonce {
        self.leave(miner);
        let number = self.first_free(sizes, wanted);
        let (e1_size, e2_size) = sizes;
        let own = number.unwrap_or(wanted % numbers(e1_size));
        let extranonce = extranonce(own, e1_size.min(LONGEST_E1), e2_size);
        if number.is_some() {
            self.insert(miner, extranonce);
        }
        extranonce
    }

    /// The first free number from this one on, if there is one. Without an extranonce1, there is nothing to choose.
    fn first_free(&self, (e1_size, e2_size): Sizes, wanted: u128) -> Option<u128> {
        let each = length(e2_size);
        let count = numbers(e1_size);
        let mut number = wanted % count;
        let mut left = count;
        while e1_size > 0 && left > 0 {
            let first = number * each;
            let Some(last_taken) = self.last_in_the_way(first, first + each - 1) else {
                return Some(number);
            };
            let next = last_taken / each + 1;
            left = left.saturating_sub(next - number);
            number = if next < count { next } else { 0 };
        }
        None
    }

    /// Records a miner's extranonce1, if no other has it.
    fn insert(&mut self, miner: MinerId, extranonce: MinerExtranonce) {
        if self.is_free(extranonce) {
            let (first, each) = range(&extranonce);
            self.taken.insert(first, (first + each - 1, miner));
            self.by_miner.insert(miner, (first, each));
        }
    }

    fn is_free(&self, extranonce: MinerExtranonce) -> bool {
        let (first, each) = range(&extranonce);
        self.last_in_the_way(first, first + each - 1).is_none()
    }

    /// A miner has left. Returns its extranonce1 as a number.
    fn leave(&mut self, miner: MinerId) -> Option<u128> {
        let (first, each) = self.by_miner.remove(&miner)?;
        self.taken.remove(&first);
        Some(first / each)
    }

    /// The last number of a range that overlaps this one.
    fn last_in_the_way(&self, first: u128, last: u128) -> Option<u128> {
        let (_, (taken_last, _)) = self.taken.range(..=last).next_back()?;
        (*taken_last >= first).then_some(*taken_last)
    }
}

/// How many extranonce1 of this size there are.
fn numbers(e1_size: u8) -> u128 {
    1 << (8 * u32::from(e1_size.min(LONGEST_E1)))
}

/// How many extranonce2 of this size there are.
fn length(e2_size: u8) -> u128 {
    1 << (8 * u32::from(e2_size.min(LONGEST_E2)))
}

/// The first number that a miner's extranonces can form, and how many there are.
fn range(extranonce: &MinerExtranonce) -> (u128, u128) {
    let e1 = extranonce.e1.as_slice().iter();
    let own_number = e1.fold(0, |sum, byte| sum << 8 | u128::from(*byte));
    let each = length(extranonce.e2_size);
    (own_number * each, each)
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

    #[test]
    fn no_two_miners_share_a_number() {
        let mut extranonces = Allocator::default();
        let mut held: BTreeMap<MinerId, (u128, u128)> = BTreeMap::new();
        for number in 1..=600u64 {
            let id = MinerId(number * 97);
            let sizes = if number % 3 == 0 { (2, 2) } else { (1, 3) };
            let (first, each) = range(&extranonces.take(id, sizes, number.into()));
            let given = (first, first + each - 1);
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
    fn all_256_seats_are_used_before_one_is_reused() {
        let mut extranonces = Allocator::default();
        let mut e1s: Vec<_> = (0..256)
            .map(|index| extranonces.take(MinerId(index * 256 + 7), (1, 3), 7).e1)
            .collect();
        e1s.sort_unstable();
        e1s.dedup();
        assert_eq!(e1s.len(), 256);
        // The next one shares a number, and does not free it when it leaves.
        assert_eq!(extranonces.take(MinerId(9), (1, 3), 9).e1.to_string(), "09");
        extranonces.leave(MinerId(9));
        extranonces.leave(MinerId(7));
        assert_eq!(extranonces.take(MinerId(3), (1, 3), 3).e1.to_string(), "07");
        assert_eq!(extranonces.take(MinerId(3), (0, 4), 3).size(), 4);
        assert_eq!(extranonces.taken.len(), 255);
    }

    fn machine(host: u8) -> Machine {
        Machine {
            address: [10, 0, 0, host].into(),
            software: Some("miner/1".into()),
        }
    }

    /// The last byte of the extranonce1 that a miner gets, and its group.
    fn joins(groups: &mut Groups, miner: u64, host: u8) -> (u8, Option<GroupId>) {
        let (given, group) = groups.take(MinerId(miner), &machine(host), (1, 3), Some(250));
        (given.e1.as_slice()[0], group)
    }

    #[test]
    fn a_returning_machine_gets_its_old_number_others_the_longest_free_one() {
        let mut groups = Groups::default();
        let one = GroupId(1);
        for number in 0..=255u8 {
            let expected = (number, Some(one));
            if number < 3 {
                assert_eq!(joins(&mut groups, number.into(), number), expected);
                continue;
            }
            // They come and go, until each number has been used.
            assert_eq!(joins(&mut groups, 1000, number), expected);
            groups.leave(MinerId(1000));
        }
        assert_eq!(joins(&mut groups, 2000, 77).0, 77);
        let stranger = joins(&mut groups, 2001, 1);
        assert_eq!(stranger, (3, Some(one)), "it has been free longest");
        groups.leave(MinerId(0));
        assert_eq!(joins(&mut groups, 2002, 0).0, 0);
    }

    #[test]
    fn a_full_group_is_followed_by_a_new_one() {
        let mut groups = Groups::default();
        let ids = (0..600).map(|miner| joins(&mut groups, miner, 1).1);
        let mut ids: Vec<_> = ids.collect();
        ids.dedup();
        assert_eq!(ids, [1, 2, 3].map(|id| Some(GroupId(id))));
        for group in groups.groups.values() {
            assert_eq!(group.extranonces.taken.len(), group.members.len());
        }
        groups.leave(MinerId(300));
        let (_, fullest) = joins(&mut groups, 700, 2);
        assert_eq!(fullest, Some(GroupId(2)));
    }

    #[test]
    fn groups_share_no_range_while_unused_ranges_exist() {
        let mut groups = Groups::default();
        let mut apart = Allocator::default();
        let all = [(4, 4), (4, 4), (2, 4), (4, 4)];
        for (miner, sizes) in (0..700).zip(all.into_iter().cycle()) {
            let most = (miner % 5 > 0).then_some(250);
            let (given, _) = groups.take(MinerId(miner), &machine(1), sizes, most);
            assert!(apart.is_free(given), "{miner}: {given:?}");
            apart.insert(MinerId(miner), given);
            if miner % 3 == 0 {
                groups.leave(MinerId(miner));
                apart.leave(MinerId(miner));
            }
        }
        // Of 256 numbers, the second group has to use some again.
        let mut groups = Groups::default();
        let given = (0..500).map(|miner| joins(&mut groups, miner, 1));
        let (e1s, ids): (Vec<_>, Vec<_>) = given.unzip();
        let mut first = e1s[..256].to_vec();
        first.sort_unstable();
        first.dedup();
        assert_eq!(first.len(), 256, "{ids:?}");
    }

    #[test]
    fn miners_alone_join_groups_and_keep_their_extranonces() {
        let mut groups = Groups::default();
        let all: Vec<_> = (0..600)
            .map(|id| {
                (
                    MinerId(id),
                    groups.take(MinerId(id), &machine(1), (1, 3), None).0,
                )
            })
            .collect();
        let mut found = BTreeMap::new();
        for (miner, extranonce) in &all {
            let group = groups.keep(*miner, &machine(1), *extranonce, Some(250));
            let place = (group, extranonce.e1);
            assert_eq!(found.insert(place, *miner), None, "{place:?} is free");
        }
        assert_eq!(groups.groups.len(), 3);
        for (miner, extranonce) in &all {
            assert_eq!(groups.keep(*miner, &machine(1), *extranonce, None), None);
        }
        assert!(groups.groups.is_empty());
        assert_eq!(groups.all.taken.len(), 256);
    }
}
