//! How miners reach their own fallback pool when DPMP has no work for them, and how they come back.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use dpmp::config::steering::Work;
use dpmp::core::event::Event;
use dpmp::core::steering::Override;
use dpmp::sim::miner::fallback::{FallbackMiner, Firmware};
use dpmp::sim::miner::options::{MinerOptions, Pace};
use dpmp::sim::pool::model::PoolModel;
use dpmp::sim::pool::options::PoolOptions;
use dpmp::units::PoolSlot;

use crate::world::config;

type World = dpmp::sim::world::World<PoolModel, FallbackMiner>;

/// The longest way to a fallback pool and back that the firmware itself allows, in seconds.
const fn limits(firmware: Firmware) -> (u64, u64) {
    match firmware {
        // Three closed connections; it checks the first pool every minute.
        Firmware::Axeos => (4, 66),
        Firmware::AxeosNew => (6, 66),
        // A timer of 30 s, checked every 10 s; 10 s between connections.
        Firmware::Nerdqaxe => (42, 12),
        // The first failed connection; 5 s between connections, then a test of 120 s, checked every 5 s.
        Firmware::Cgminer => (3, 134),
    }
}

/// How often a miner may connect in any minute.
const MOST_IN_A_MINUTE: usize = 4;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn minutes(minutes: u64) -> Duration {
    seconds(60 * minutes)
}

/// Working miners `m0`, `m1` … with these firmwares, all at one address or each at its own.
fn world(miners: &[Firmware], one_address: bool) -> World {
    let pool = |seed| PoolOptions {
        seed,
        ..PoolOptions::default()
    };
    let mut world = World::new(config([50.0, 50.0], 10.0), [pool(1), pool(2)], 1);
    for firmware in miners {
        add(&mut world, *firmware, one_address);
    }
    world.run(minutes(3), |_| ());
    world
}

fn add(world: &mut World, firmware: Firmware, one_address: bool) {
    let number = world.rigs.len();
    let options = MinerOptions {
        user: format!("wallet.m{number}"),
        pace: Pace::Shares(2.0),
        ..MinerOptions::default()
    };
    let miner = FallbackMiner::new(firmware, options, world.now);
    let index = world.add_working(miner, Duration::from_millis(250));
    if !one_address {
        let last = u8::try_from(number).unwrap() + 1;
        world.rigs[index].address = IpAddr::from(Ipv4Addr::new(10, 0, 0, last));
    }
}

fn pause(world: &mut World, workers: &[&str]) {
    let set_ms = world.clock().unix_ms;
    world.tell(Event::Override(Override {
        work: Work::Pause,
        workers: workers.iter().map(|it| (*it).to_owned()).collect(),
        until_ms: None,
        set_ms,
        by: "test".to_owned(),
    }));
}

fn resume(world: &mut World, workers: &[&str]) {
    let workers = workers.iter().map(|it| (*it).to_owned()).collect();
    world.tell(Event::OverrideEnded(workers));
}

fn miner(world: &World, index: usize) -> &FallbackMiner {
    &world.rigs[index].model
}

/// How long it takes until a condition holds, within a limit.
fn until(world: &mut World, limit: Duration, what: &str, so: impl Fn(&World) -> bool) -> Duration {
    let begin = world.now;
    while !so(world) {
        world.run(Duration::from_millis(100), |_| ());
        let passed = world.now - begin;
        assert!(passed <= limit, "not after {passed:?}: {what}");
    }
    world.now - begin
}

/// How a miner experienced a time without work here.
#[derive(Debug, Default)]
struct Measured {
    /// The time until it reached its fallback pool.
    away: Duration,
    /// Its largest number of connections in a minute.
    most: usize,
    /// The time from the end of the pause to its first share here.
    back: Duration,
    /// How many lines it got while it was away.
    lines: u32,
}

/// Sends miners away, checks that they stay away for a time, and lets them return. `grace` is the extra time allowed
/// for each way, on top of the firmware's own.
fn send_away(
    world: &mut World,
    miners: &[usize],
    time: Duration,
    grace: [Duration; 2],
    begin: impl FnOnce(&mut World),
    end: impl FnOnce(&mut World),
) -> Vec<Measured> {
    let start = world.now;
    begin(world);
    let limits = |world: &World, index: usize| {
        let (away, back) = limits(miner(world, index).firmware());
        (seconds(away) + grace[0], seconds(back) + grace[1])
    };
    let slowest = miners.iter().map(|it| limits(world, *it));
    let slowest = slowest.reduce(|one, other| (one.0.max(other.0), one.1.max(other.1)));
    let slowest = slowest.unwrap();
    until(world, slowest.0, "all are away", |world| {
        miners.iter().all(|it| miner(world, *it).is_away())
    });
    let lines = |world: &World| -> Vec<_> {
        let lines = miners.iter().map(|it| miner(world, *it).lines());
        lines.collect()
    };
    let lines_before = lines(world);
    world.run(time, |world| {
        for index in miners {
            let it = miner(world, *index);
            let at = world.now - start;
            assert!(
                it.is_away(),
                "{:?} is lured back after {at:?}",
                it.firmware()
            );
        }
    });
    let lines_after = lines(world);
    let shares = |world: &World, index: usize| miner(world, index).model().ledger().submits();
    let before: Vec<_> = miners.iter().map(|it| shares(world, *it).len()).collect();
    let ended = world.now;
    end(world);
    until(world, slowest.1, "all are back", |world| {
        let mut all = miners.iter().zip(&before);
        all.all(|(it, before)| shares(world, *it).len() > *before)
    });
    let mut measured = Vec::new();
    for (at, index) in miners.iter().enumerate() {
        let it = miner(world, *index);
        let mut moves = it.moves().iter();
        let (left, _) = moves.find(|(at, _)| *at >= start).unwrap();
        let first_share = &shares(world, *index)[before[at]];
        let dials = it.dials().iter().copied();
        let dials: Vec<_> = dials.filter(|at| (start..ended).contains(at)).collect();
        let of = Measured {
            away: *left - start,
            most: most_in_a_minute(&dials),
            back: first_share.at - ended,
            lines: lines_after[at] - lines_before[at],
        };
        println!("{:?}: {of:?}", it.firmware());
        let (away, back) = limits(world, *index);
        assert!(of.away <= away && of.back <= back, "{away:?}, {back:?}");
        measured.push(of);
    }
    measured
}

fn most_in_a_minute(dials: &[Instant]) -> usize {
    let within = |from: &Instant| {
        let same = dials.iter().filter(|at| *at >= from);
        same.take_while(|at| **at - *from < minutes(1)).count()
    };
    dials.iter().map(within).max().unwrap_or(0)
}

const NO_GRACE: [Duration; 2] = [Duration::ZERO; 2];

fn pause_first(world: &mut World) {
    pause(world, &["m0"]);
}

fn resume_first(world: &mut World) {
    resume(world, &["m0"]);
}

#[test]
fn a_paused_miner_goes_to_its_fallback_pool_and_comes_back() {
    for firmware in Firmware::ALL {
        let mut world = world(&[firmware], true);
        // The pause ends at different moments between two checks of the first pool.
        for number in 0..9 {
            let time = minutes(9) + seconds(13 * number);
            let measured = send_away(&mut world, &[0], time, NO_GRACE, pause_first, resume_first);
            assert!(measured[0].most <= MOST_IN_A_MINUTE);
            assert_eq!(measured[0].lines, 0, "it gets no line");
            world.run(minutes(2), |_| ());
        }
    }
}

/// AxeOS takes an answer to `mining.subscribe` as a sign that the pool is back; NerdQAxe takes any line.
#[test]
fn a_paused_miner_stays_away_while_another_at_its_address_works() {
    for firmware in Firmware::ALL {
        for other in [Firmware::Axeos, Firmware::Cgminer] {
            let mut world = world(&[firmware, other], true);
            let time = minutes(30);
            let measured = send_away(&mut world, &[0], time, NO_GRACE, pause_first, resume_first);
            assert!(measured[0].most <= MOST_IN_A_MINUTE);
            let neighbor = miner(&world, 1);
            assert_eq!(neighbor.dials().len(), 1, "it stays connected");
            assert!(!neighbor.is_away());
        }
    }
}

#[test]
fn paused_miners_behind_one_address_all_reach_their_fallback_pools() {
    let firmwares = Firmware::ALL.repeat(3);
    let names: Vec<_> = (0..firmwares.len()).map(|it| format!("m{it}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let all: Vec<_> = (0..firmwares.len()).collect();
    let mut world = world(&firmwares, true);
    let begin = |world: &mut World| pause(world, &names);
    let end = |world: &mut World| resume(world, &names);
    for measured in send_away(&mut world, &all, minutes(30), NO_GRACE, begin, end) {
        assert_eq!(measured.lines, 0, "it gets no line");
    }
}

/// This works even if DPMP has seen nobody at the address before, as after a restart.
#[test]
fn a_miner_that_starts_while_paused_reaches_its_fallback_pool() {
    for firmware in Firmware::ALL {
        let mut world = world(&[], true);
        pause_first(&mut world);
        world.run(minutes(1), |_| ());
        let begin = |world: &mut World| add(world, firmware, true);
        // cgminer gives its name only after two answers.
        let grace = [seconds(3), Duration::ZERO];
        let measured = send_away(&mut world, &[0], minutes(30), grace, begin, resume_first);
        assert!(measured[0].most <= MOST_IN_A_MINUTE);
    }
}

/// DPMP forgets a worker at an address after a day, and a miner that is always closed immediately cannot give its name.
#[test]
fn a_pause_longer_than_a_day_draws_no_miner_back() {
    let names = ["m0", "m1", "m2", "m3"];
    let mut world = world(&Firmware::ALL, false);
    pause(&mut world, &names);
    let away = |world: &World| world.rigs.iter().all(|rig| rig.model.is_away());
    until(&mut world, minutes(1), "all are away", away);
    for rig in &mut world.rigs {
        rig.pause = seconds(1);
    }
    world.run(minutes(60 * 26), |world| {
        assert!(away(world), "after {:?}", world.elapsed())
    });
    resume(&mut world, &names);
    until(&mut world, seconds(134), "all are back", |world| {
        world.rigs.iter().all(|rig| !rig.model.is_away())
    });
}

/// How a pool can be unreachable.
#[derive(Clone, Copy, Debug)]
enum Outage {
    Refused,
    Swallowed,
    Frozen,
}

impl Outage {
    fn begin(self, world: &mut World) {
        for slot in PoolSlot::ALL {
            world.sites[slot].swallows = matches!(self, Self::Swallowed);
            match self {
                Self::Refused | Self::Swallowed => world.take_down(slot),
                Self::Frozen => world.sites[slot].frozen = true,
            }
        }
    }

    fn end(world: &mut World) {
        for slot in PoolSlot::ALL {
            world.sites[slot].up = true;
            world.thaw(slot);
        }
    }

    /// How many seconds DPMP needs to notice that pools are down, and that they are back.
    const fn found(self) -> (u64, u64) {
        match self {
            Self::Refused | Self::Swallowed => (5, 6),
            Self::Frozen => (120, 30),
        }
    }
}

/// After `scheduler.no_work_seconds`, 60.
#[test]
fn without_any_work_miners_go_to_their_fallback_pools_and_come_back() {
    for outage in [Outage::Refused, Outage::Swallowed, Outage::Frozen] {
        for firmware in Firmware::ALL {
            for count in [1, 4] {
                println!("{outage:?}, {count} at an address");
                let mut world = world(&vec![firmware; count], true);
                let all: Vec<_> = (0..count).collect();
                let (dead, alive) = outage.found();
                let grace = [seconds(60 + dead), seconds(alive)];
                let begin = |world: &mut World| outage.begin(world);
                let time = minutes(30);
                for measured in send_away(&mut world, &all, time, grace, begin, Outage::end) {
                    assert!(count > 1 || measured.most <= MOST_IN_A_MINUTE);
                    assert_eq!(measured.lines, 0, "it gets no line");
                }
            }
        }
    }
}
