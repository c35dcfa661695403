//! Which part of the coinbase a miner gets: the sizes of its extranonces, by software and by pool.

use serde::{Deserialize, Serialize};

/// The smallest extranonce2 of a usable pool, in bytes. With less, work would repeat within minutes (compat Q35).
pub const SMALLEST_E2: u8 = 2;

/// The smallest extranonce2 of a pool with room for an extranonce1 for each miner, in bytes.
pub const SMALLEST_SHARED: u8 = 3;

/// The size that is assumed for a pool that was never reached, in bytes. No common pool has less, so its first answer
/// seldom forces a miner to subscribe again.
pub const ASSUMED_E2: u8 = 4;

/// The longest extranonce1 for a miner, in bytes.
pub const LONGEST_E1: u8 = 4;

/// The longest extranonce2 for a miner, in bytes. cgminer and its derivatives support no more (compat Q74).
pub const LONGEST_E2: u8 = 8;

/// From this size on, there is room for each miner's extranonce1, regardless of its software, in bytes.
pub const ROOMY_E2: u8 = 5;

/// What a miner's software needs, beyond what Stratum says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// Unknown: any size, but an empty extranonce1 only if there is no other way.
    Unknown,
    /// It was tested with an empty extranonce1 (compat Q66).
    EmptyE1,
    /// NerdMiner: 2, 4 or 8 bytes of extranonce2, and never an empty extranonce1 (compat Q70).
    NerdMiner,
    /// It always sends 4 bytes, or refuses a server that offers less (compat Q71, Q72, Q73).
    FourBytes,
}

impl Firmware {
    /// What is known about a software, by its name.
    pub fn of(user_agent: Option<&str>) -> Self {
        let name = user_agent.unwrap_or_default().trim().to_ascii_lowercase();
        let is_one_of = |names: &[&str]| names.iter().any(|known| name.starts_with(known));
        if is_one_of(&["nerdminer", "han_solominer"]) {
            Self::NerdMiner
        } else if is_one_of(&["leafminer", "nicehash", "miningrigrentals", "mrr"])
            || is_old_axeos(&name)
        {
            Self::FourBytes
        } else if is_one_of(&["cpuminer", "minerd", "cgminer", "bfgminer"]) {
            Self::EmptyE1
        } else {
            Self::Unknown
        }
    }
}

/// AxeOS before 2.5 (`bitaxe/BM1366/v2.4.1`) writes 4 bytes even if it should write fewer.
fn is_old_axeos(name: &str) -> bool {
    let Some((_, version)) = name.strip_prefix("bitaxe").and_then(|rest| {
        rest.rsplit_once(['/', ' '])
            .filter(|(_, last)| last.starts_with('v'))
    }) else {
        return false;
    };
    let mut numbers = version
        .trim_start_matches('v')
        .split(|letter: char| !letter.is_ascii_digit())
        .map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return false;
    };
    (major, minor) < (2, 5)
}

/// The extranonce bytes that all pools leave for the miners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// The smallest extranonce2 of all addresses that were ever reached, including backups, in bytes. So nothing has to
    /// change when a backup is used.
    pub smallest: u8,
    /// Whether each connection to each of them has a different extranonce1. Only then can miners have an empty one.
    pub e1_differs: bool,
}

impl Room {
    /// Whether it matters that each connection has a different extranonce1, because a miner may get an empty one.
    pub fn may_do_without_e1(&self, wanted: Option<u8>) -> bool {
        self.smallest < ROOMY_E2 || wanted == Some(self.smallest)
    }
}

/// The sizes of a miner's own extranonce1 and extranonce2, in bytes.
///
/// `wanted` is an extranonce2 size that the owner has set, or that the miner was seen to use; it is used if it fits. A
/// miner only gets an empty extranonce1 if each connection to a pool has a different one.
pub fn sizes(room: Room, firmware: Firmware, wanted: Option<u8>) -> (u8, u8) {
    let Room {
        smallest,
        e1_differs,
    } = room;
    if let Some((e1, e2)) = wanted
        .and_then(|size| Some((smallest.checked_sub(size)?.min(LONGEST_E1), size)))
        .filter(|(e1, _)| *e1 > 0 || e1_differs)
    {
        return (e1, e2);
    }
    match (smallest, firmware) {
        (8.., _) => (4, 4),
        (7, _) => (3, 4),
        (6, _) => (2, 4),
        (5, _) => (1, 4),
        (4, Firmware::FourBytes) if e1_differs => (0, 4),
        (4, Firmware::NerdMiner) => (2, 2),
        (4, _) => (1, 3),
        (3, Firmware::EmptyE1) if e1_differs => (0, 3),
        (3, _) => (1, 2),
        (0..=2, _) => (0, 2),
    }
}

/// How many sizes that miners were seen to use are remembered.
const MOST_HABITS: usize = 256;

/// The longest software name that is remembered, in characters.
const LONGEST_AGENT: usize = 80;

/// A miner does not have to subscribe again more often than this, in milliseconds, even if its sizes vary.
const LEARN_EVERY_MS: u64 = 600_000;

/// Sizes of extranonce2 that miners use regardless of what DPMP offers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SizeHabits {
    /// Latest last.
    habits: Vec<SizeHabit>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct SizeHabit {
    agent: String,
    worker: String,
    /// In bytes.
    size: u8,
    /// In milliseconds since 1970.
    learnt_ms: u64,
}

impl SizeHabits {
    /// The size that a miner with this software was seen to use. Its worker is still unknown at that time.
    pub fn size(&self, user_agent: Option<&str>) -> Option<u8> {
        let agent = agent_name(user_agent);
        let habit = self.habits.iter().rfind(|habit| habit.agent == agent)?;
        Some(habit.size).filter(|size| (1..=LONGEST_E2).contains(size))
    }

    /// Records a size that a worker used; `false` if a different one was recorded a moment ago.
    pub fn learn(&mut self, user_agent: Option<&str>, worker: &str, size: u8, now_ms: u64) -> bool {
        let agent = agent_name(user_agent);
        let known = self
            .habits
            .iter()
            .position(|habit| habit.agent == agent && habit.worker == worker);
        if let Some(known) = known {
            let lately = |habit: &SizeHabit| now_ms.abs_diff(habit.learnt_ms) < LEARN_EVERY_MS;
            if self.habits.get(known).is_some_and(lately) {
                return false;
            }
            self.habits.remove(known);
        }
        if self.habits.len() >= MOST_HABITS {
            self.habits.remove(0);
        }
        self.habits.push(SizeHabit {
            agent,
            worker: worker.to_owned(),
            size,
            learnt_ms: now_ms,
        });
        true
    }
}

fn agent_name(user_agent: Option<&str>) -> String {
    let name = user_agent.unwrap_or_default();
    name.chars().take(LONGEST_AGENT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Firmware; 4] = [
        Firmware::Unknown,
        Firmware::EmptyE1,
        Firmware::NerdMiner,
        Firmware::FourBytes,
    ];

    fn room(smallest: u8, e1_differs: bool) -> Room {
        Room {
            smallest,
            e1_differs,
        }
    }

    #[test]
    fn extranonce_sizes_match_the_docs() {
        // By the smallest extranonce2 from 2 to 9: unknown, empty extranonce1 tested, NerdMiner, always four bytes.
        let differing = [
            [(0, 2), (0, 2), (0, 2), (0, 2)],
            [(1, 2), (0, 3), (1, 2), (1, 2)],
            [(1, 3), (1, 3), (2, 2), (0, 4)],
            [(1, 4); 4],
            [(2, 4); 4],
            [(3, 4); 4],
            [(4, 4); 4],
            [(4, 4); 4],
        ];
        for (smallest, row) in (2..).zip(differing) {
            for (firmware, expected) in ALL.into_iter().zip(row) {
                let found = sizes(room(smallest, true), firmware, None);
                assert_eq!(found, expected, "{smallest} bytes, {firmware:?}");
                // An empty extranonce1 is only for pools with different extranonce1, if there is a choice.
                let (e1, e2) = sizes(room(smallest, false), firmware, None);
                assert!(e1 > 0 || smallest == 2, "{smallest} bytes, {firmware:?}");
                assert!(e1 + e2 <= smallest && e2 >= 2);
            }
        }
    }

    #[test]
    fn a_wanted_size_is_given_where_it_fits() {
        let given = |smallest, size| sizes(room(smallest, true), Firmware::Unknown, Some(size));
        assert_eq!(given(8, 2), (4, 2));
        assert_eq!(given(8, 8), (0, 8));
        assert_eq!(given(12, 8), (4, 8));
        assert_eq!(given(7, 8), (3, 4));
        assert_eq!(given(4, 4), (0, 4));
        assert_eq!(given(4, 2), (2, 2));
        assert_eq!(given(3, 4), (1, 2));
        assert_eq!(given(2, 1), (1, 1));
        let shared = |smallest, size| sizes(room(smallest, false), Firmware::Unknown, Some(size));
        assert_eq!(shared(4, 4), (1, 3));
        assert_eq!(shared(8, 8), (4, 4));
        assert_eq!(shared(8, 3), (4, 3));
    }

    #[test]
    fn software_is_recognized_by_its_name() {
        for (agent, firmware) in [
            ("NerdMinerV2", Firmware::NerdMiner),
            ("HAN_SOLOminer", Firmware::NerdMiner),
            ("LeafMiner/0.3.1", Firmware::FourBytes),
            ("NiceHash/1.0.0", Firmware::FourBytes),
            ("MiningRigRentals/1.0", Firmware::FourBytes),
            ("bitaxe/BM1366/v2.4.1", Firmware::FourBytes),
            ("bitaxe/BM1397/v1.0", Firmware::FourBytes),
            ("bitaxe v2.2", Firmware::FourBytes),
            ("bitaxe/BM1370/v2.5.0", Firmware::Unknown),
            ("bitaxe/BM1370/v2.12.2-rc1", Firmware::Unknown),
            ("bitaxe/BM1370/vX", Firmware::Unknown),
            ("bitaxe", Firmware::Unknown),
            ("bitaxe/v", Firmware::Unknown),
            ("cgminer/4.11.1", Firmware::EmptyE1),
            ("cpuminer/2.5.1", Firmware::EmptyE1),
            ("NerdQAxe++/v1.0.30", Firmware::Unknown),
            ("", Firmware::Unknown),
        ] {
            assert_eq!(Firmware::of(Some(agent)), firmware, "{agent}");
        }
        assert_eq!(Firmware::of(None), Firmware::Unknown);
    }

    #[test]
    fn habits_are_remembered_by_software_and_worker_within_bounds() {
        let mut habits = SizeHabits::default();
        assert!(habits.learn(Some("odd/1"), "rig", 4, 1_000_000));
        assert!(
            !habits.learn(Some("odd/1"), "rig", 2, 1_500_000),
            "too soon"
        );
        assert_eq!(habits.size(Some("odd/1")), Some(4));
        assert_eq!(habits.size(Some("odd/2")), None);
        assert!(habits.learn(Some("odd/1"), "rig", 2, 1_600_000));
        assert_eq!(habits.size(Some("odd/1")), Some(2));
        for number in 0..1000 {
            habits.learn(None, &format!("rig{number}"), 3, 1);
        }
        assert_eq!(habits.habits.len(), MOST_HABITS);
        assert_eq!(habits.size(None), Some(3));
        assert_eq!(habits.size(Some("odd/1")), None);
    }
}
