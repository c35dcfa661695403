//! DPMP finds hung and missing miners. It leaves alone those that only had bad luck, became slower or got another
//! difficulty.

use std::time::{Duration, Instant};

use dpmp::core::event::Event;
use dpmp::core::memory::Memory;
use dpmp::core::miner::rhythm::Rhythm;
use dpmp::core::miner::view::Condition;
use dpmp::core::snapshot::Snapshot;
use dpmp::random::Random;
use dpmp::sim::miner::options::{MinerOptions, Pace};
use dpmp::sim::pool::options::PoolOptions;
use dpmp::units::Difficulty;

use crate::world::{World, only_a};

/// A miner, its rhythm and its clock.
struct Life {
    rhythm: Rhythm,
    random: Random,
    now: Instant,
    /// The mean time between its shares at difficulty 1, in seconds.
    interval: f64,
    difficulty: f64,
}

impl Life {
    fn new(interval: f64, seed: u64) -> Self {
        let mut life = Self {
            rhythm: Rhythm::default(),
            random: Random::new(seed),
            now: Instant::now(),
            interval,
            difficulty: 0.0,
        };
        life.difficulty(1.0);
        life
    }

    fn difficulty(&mut self, difficulty: f64) {
        self.difficulty = difficulty;
        self.rhythm.works_at(Difficulty::new(difficulty), self.now);
    }

    /// The time until the next share.
    fn pause(&mut self) -> Duration {
        // With all available bits, so that the largest of a hundred million values is not cut off.
        let luck = (self.random.next_u64() >> 11) as f64 + 0.5;
        let luck = -(luck / (1_u64 << 53) as f64).ln();
        Duration::from_secs_f64(luck * self.interval * self.difficulty)
    }

    /// Works for a time, and returns how many silences were mistaken for a hang.
    fn work(&mut self, time: Duration) -> u32 {
        let end = self.now + time;
        let mut alarms = 0;
        loop {
            let next = self.now + self.pause();
            if next >= end {
                // A share that was due later is just as likely to come later: luck has no memory.
                self.now = end;
                return alarms;
            }
            self.now = next;
            alarms += u32::from(self.rhythm.hangs(next));
            self.rhythm.heard(true, next);
        }
    }
}

const DAY: Duration = Duration::from_secs(86_400);

/// Mean times between shares in seconds, and how many miners with each run for a hundred days.
const LIVES: [(f64, u64); 9] = [
    (5.0, 6),
    (15.0, 15),
    (40.0, 39),
    (100.0, 40),
    (300.0, 40),
    (900.0, 40),
    (2400.0, 40),
    (6000.0, 40),
    (14_400.0, 40),
];

#[test]
fn luck_half_the_hashrate_and_new_difficulties_are_not_hangs() {
    let mut days = 0;
    let mut alarms = Vec::new();
    for (interval, lives) in LIVES {
        for seed in 0..lives {
            let mut life = Life::new(interval, seed);
            let mut found = 0;
            for day in 0..100 {
                if day == 50 {
                    life.interval *= 2.0;
                }
                found += life.work(DAY / 2);
                // The pool changes the difficulty, and changes it back.
                if day % 2 == 0 {
                    let factor = [2.0, 4.0, 8.0, 16.0, 32.0, 64.0];
                    let which = usize::try_from(life.random.below(6)).unwrap();
                    life.difficulty(factor[which]);
                } else {
                    life.difficulty(1.0);
                }
                found += life.work(DAY / 2);
            }
            days += 100;
            if found > 0 {
                alarms.push((interval, seed, found));
            }
        }
    }
    assert!(days >= 30_000, "{days}");
    let sum: u32 = alarms.iter().map(|(_, _, found)| found).sum();
    assert!(
        sum <= 3,
        "{sum} false alarms in {days} days, by interval and seed: {alarms:?}"
    );
}

#[test]
fn a_hang_is_found_in_time_whatever_the_interval() {
    for (interval, _) in LIVES {
        for seed in 0..40 {
            let mut life = Life::new(interval, seed);
            let mut mean = 0.0;
            for count in 1..=200 {
                let pause = life.pause();
                life.now += pause;
                life.rhythm.heard(true, life.now);
                let count = f64::from(count.min(20));
                mean += (pause.as_secs_f64() - mean) / count;
            }
            let expected = 20.0 * ((10_000.0 * 86_400.0 / mean).ln() / 20.0).exp_m1();
            let due = (expected * mean).max(300.0);
            let after = |seconds: f64| life.now + Duration::from_secs_f64(seconds);
            let (early, late) = (after(due - 1.0), after(due + 30.0));
            assert!(!life.rhythm.hangs(early), "{interval} s, seed {seed}");
            assert!(life.rhythm.hangs(late), "{interval} s, seed {seed}");
            // A share ends the hang, and the next one is found, too.
            life.rhythm.heard(true, late);
            assert!(!life.rhythm.hangs(late), "{interval} s, seed {seed}");
            let next = late + Duration::from_secs_f64(3.0 * due);
            assert!(life.rhythm.hangs(next), "{interval} s, seed {seed}");
        }
    }
}

#[test]
fn only_time_with_work_counts_and_twenty_shares_are_needed() {
    let hour = Duration::from_secs(3600);
    let second = Duration::from_secs(1);
    let mut life = Life::new(1.0, 1);
    let hear = |life: &mut Life| {
        life.now += second;
        life.rhythm.heard(true, life.now);
    };
    (0..19).for_each(|_| hear(&mut life));
    assert!(!life.rhythm.hangs(life.now + hour));
    hear(&mut life);
    assert!(life.rhythm.hangs(life.now + hour));
    // No pool has work, or the worker is paused.
    life.rhythm.works_at(None, life.now);
    life.now += hour;
    assert!(!life.rhythm.hangs(life.now));
    life.difficulty(1.0);
    assert!(!life.rhythm.hangs(life.now + 299 * second));
    assert!(life.rhythm.hangs(life.now + 301 * second));
    // At a difficulty that takes it an hour per share, ten minutes prove nothing.
    life.difficulty(3600.0);
    assert!(!life.rhythm.hangs(life.now + 10 * 60 * second));
    // A pool may set any difficulty, and the state file has to stay readable.
    let mut odd = Life::new(1.0, 1);
    odd.difficulty(f64::MIN_POSITIVE);
    odd.now += hour;
    odd.rhythm.heard(true, odd.now);
    let text = serde_json::to_string(&odd.rhythm).unwrap();
    serde_json::from_str::<Rhythm>(&text).unwrap();
    // A rejected share is still a sign of life.
    life.difficulty(1.0);
    life.now += hour;
    life.rhythm.heard(false, life.now);
    assert!(!life.rhythm.hangs(life.now + 299 * second));
}

/// A miner at A that finds a share every ten seconds, or none.
fn world(memory: Memory, works: bool) -> World {
    let options = [1, 2].map(|seed| PoolOptions {
        seed,
        difficulty: 400.0 / 4_294_967_296.0,
        ..PoolOptions::default()
    });
    let mut world = World::remembering(only_a().into(), options, memory, 7);
    let options = MinerOptions {
        pace: if works {
            Pace::Hashes(40.0)
        } else {
            Pace::Idle
        },
        ..MinerOptions::default()
    };
    world.add_miner(options, Duration::from_millis(500));
    world
}

/// Runs for a time with a snapshot every ten seconds, and returns the last one.
fn run(world: &mut World, seconds: u64) -> Snapshot {
    for _ in 0..seconds / 10 {
        world.run(Duration::from_secs(10), |_| ());
        let now = world.clock();
        world.core.snapshot(now);
    }
    let now = world.clock();
    world.core.snapshot(now)
}

#[test]
fn the_core_reports_a_hung_miner_until_its_next_share() {
    let mut world = world(Memory::default(), true);
    assert_eq!(run(&mut world, 900).miners[0].condition, Condition::Ok);
    // It stays connected and finds nothing for a while.
    let pause = std::mem::replace(&mut world.rigs[0].pause, Duration::from_secs(1000));
    assert_eq!(run(&mut world, 200).miners[0].condition, Condition::Ok);
    let hung = run(&mut world, 700).miners[0].clone();
    assert_eq!(hung.condition, Condition::Hangs);
    assert_eq!(hung.condition_since, hung.last_share);
    world.rigs[0].pause = pause;
    let alive = run(&mut world, 200).miners[0].clone();
    assert!(alive.last_share != hung.last_share);
    assert_eq!(
        (alive.condition, alive.condition_since),
        (Condition::Ok, None)
    );
}

#[test]
fn a_returned_miner_without_shares_hangs_and_an_absent_one_is_missing() {
    let mut before = world(Memory::default(), true);
    let all = run(&mut before, 4000);
    assert!(all.missing.is_empty());
    let last_share = all.miners[0].last_share.map(u64::from).unwrap();
    let memory = serde_json::to_string(&before.core.memory()).unwrap();
    let mut after = world(serde_json::from_str(&memory).unwrap(), false);
    let hung = run(&mut after, 900).miners[0].clone();
    assert_eq!(hung.condition, Condition::Hangs);
    let since = hung.condition_since.map(u64::from).unwrap();
    assert!(since.abs_diff(last_share) < 1000, "{since} {last_share}");
    // A new connection is not a share.
    after.hang_up(0);
    after.rigs[0].wants_in = true;
    after.connect(0);
    let hung = run(&mut after, 60).miners[0].clone();
    assert_eq!(hung.condition, Condition::Hangs);
    after.rigs[0].wants_in = false;
    after.hang_up(0);
    let gone = run(&mut after, 60);
    let [missing] = &gone.missing[..] else {
        panic!("{:?}", gone.missing)
    };
    assert_eq!((missing.here, missing.usual), (0, 1));
    let worker = missing.worker.clone();
    after.tell(Event::MissingSeen { worker });
    assert!(run(&mut after, 10).missing.is_empty());
}
