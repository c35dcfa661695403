//! Fleets in virtual time whose miners find shares at random: the bound, the switches, and the assignment.

#![expect(
    clippy::disallowed_methods,
    clippy::as_conversions,
    reason = "any instant will do as a start; small numbers"
)]

use super::*;
use crate::core::split::schedule::{Rules, Schedule};
use crate::random::Random;

/// How often the fleet is updated, in seconds.
const TICK: u64 = 30;

/// Minutes over which hashrates are estimated.
const WINDOW: usize = 60;

/// A simulated miner: what it really does, and what DPMP sees.
struct Rig {
    id: MinerId,
    /// Hashes per second.
    hashrate: f64,
    /// Shares per second on average.
    pace: f64,
    own: Option<f64>,
    may_take_turns: bool,
    since: Instant,
    known: bool,
    /// Shares in each of the last minutes.
    minutes: VecDeque<f64>,
    schedule: Schedule,
    switches: u64,
    /// Seconds on each pool at the last update.
    before: PerPool<f64>,
}

/// A fleet in virtual time.
struct World {
    start: Instant,
    now: Instant,
    random: Random,
    rigs: Vec<Rig>,
    fleet: Option<Fleet>,
    rules: FleetRules,
    min_switch: Duration,
    up: PerPool<bool>,
    joined: u64,
    switches_gone: u64,
    /// At each update: seconds, the error in expected and in true work, all expected and all true work.
    books: Vec<[f64; 5]>,
    /// Each miner's last assignment, and when it was moved.
    homes: BTreeMap<MinerId, (PoolSlot, Option<Instant>)>,
    /// How often a miner was assigned to the other pool.
    moves: u32,
}

fn share(a: f64) -> FleetRules {
    FleetRules {
        share_a: a,
        slice: 10.0,
        most_takers: Some(4),
        assign: Duration::from_secs(600),
        catch_up: 600.0,
        both: true,
        frozen: false,
    }
}

/// The number of events of a Poisson process.
fn poisson(random: &mut Random, mean: f64) -> f64 {
    let (mut count, mut left) = (0.0, mean);
    loop {
        left += random.unit().max(1e-12).ln();
        if left < 0.0 {
            return count;
        }
        count += 1.0;
    }
}

impl World {
    fn new(rules: FleetRules, fleet: bool, seed: u64) -> Self {
        let start = Instant::now();
        Self {
            start,
            now: start,
            random: Random::new(seed),
            rigs: Vec::new(),
            fleet: fleet.then(Fleet::default),
            rules,
            min_switch: Duration::from_secs(1),
            up: PerPool::from_fn(|_| true),
            joined: 0,
            switches_gone: 0,
            books: Vec::new(),
            homes: BTreeMap::new(),
            moves: 0,
        }
    }

    fn fleet(&self) -> &Fleet {
        self.fleet.as_ref().unwrap()
    }

    /// The fleet's error, in seconds of the whole fleet.
    fn error(&self) -> f64 {
        self.fleet().error / self.fleet().hashrates.0
    }

    /// Adds a miner with this many shares an hour.
    fn join(&mut self, hashrate: f64, shares: f64) -> usize {
        self.joined += 1;
        self.rigs.push(Rig {
            id: MinerId(self.joined),
            hashrate,
            pace: shares / 3600.0,
            own: None,
            may_take_turns: true,
            since: self.now,
            known: false,
            minutes: VecDeque::from([0.0]),
            schedule: Schedule::new(self.joined - 1, self.now),
            switches: 0,
            before: PerPool::default(),
        });
        self.rigs.len() - 1
    }

    fn leave(&mut self, index: usize) {
        let rig = self.rigs.remove(index);
        self.switches_gone += rig.switches;
    }

    fn switches(&self) -> u64 {
        self.switches_gone + self.rigs.iter().map(|it| it.switches).sum::<u64>()
    }

    fn run(&mut self, hours: f64) {
        let until = self.now + Duration::from_secs_f64(hours * 3600.0);
        while self.now < until {
            self.look();
            self.work(self.now + Duration::from_secs(TICK));
        }
    }

    /// Lets the miners work until then, each following its schedule.
    fn work(&mut self, until: Instant) {
        let ratio = self.rules.share_a;
        let minute = (until - self.start).as_secs() % 60 == 0;
        for rig in &mut self.rigs {
            let place = self.fleet.as_ref().and_then(|fleet| fleet.place(rig.id));
            let (share_a, slice) = match (place, rig.own) {
                (Some(Place::Stay(PoolSlot::A)), _) => (1.0, self.rules.slice),
                (Some(Place::Stay(PoolSlot::B)), _) => (0.0, self.rules.slice),
                (Some(Place::Turns { share_a, slice }), _) => (share_a, slice),
                (None, own) => (own.unwrap_or(ratio), self.rules.slice),
            };
            let rules = Rules {
                shares: PerPool::new(share_a, 1.0 - share_a),
                slice,
                min_switch: self.min_switch,
                catch_up: self.rules.catch_up,
                frozen: share_a <= 0.0 || share_a >= 1.0,
            };
            let only = [PoolSlot::A, PoolSlot::B]
                .into_iter()
                .find(|slot| rules.shares[slot.other()] <= 0.0);
            let mut now = self.now;
            while now < until {
                rig.schedule.advance(now, &rules);
                let available = match only.filter(|only| self.up[*only]) {
                    Some(only) => PerPool::from_fn(|slot| slot == only),
                    None => self.up,
                };
                let slot = rig.schedule.choose(now, &rules, available);
                if slot != rig.schedule.on() {
                    rig.switches += u64::from(rig.schedule.on().is_some());
                    rig.schedule.set_turn(slot, now);
                }
                now = rig
                    .schedule
                    .next_deadline(&rules)
                    .unwrap_or(until)
                    .max(now + Duration::from_millis(1))
                    .min(until);
            }
            rig.schedule.advance(until, &rules);
            let tick = Duration::from_secs(TICK).as_secs_f64();
            *rig.minutes.back_mut().unwrap() += poisson(&mut self.random, rig.pace * tick);
            if minute {
                rig.minutes.push_back(0.0);
                if rig.minutes.len() > WINDOW {
                    rig.minutes.pop_front();
                }
            }
        }
        self.now = until;
    }

    /// The estimate of a miner's hashrate.
    fn estimate(rig: &mut Rig, now: Instant) -> (f64, f64) {
        let shares: f64 = rig.minutes.iter().sum();
        let age = (now - rig.since).as_secs_f64();
        rig.known |= shares >= 30.0 && age >= 600.0;
        let seconds = age.min(WINDOW as f64 * 60.0 - 30.0).max(60.0);
        let hashrate = shares / seconds * rig.hashrate / rig.pace;
        (hashrate, hashrate / shares.max(1.0).sqrt())
    }

    /// Records the errors and updates the fleet.
    fn look(&mut self) {
        let mut members = Vec::new();
        let at = (self.now - self.start).as_secs_f64();
        let mut book = self.books.last().copied().unwrap_or_default();
        book[0] = at;
        for rig in &mut self.rigs {
            let (hashrate, waver) = Self::estimate(rig, self.now);
            let seconds = rig.schedule.time_on();
            let on = seconds.map(|slot, seconds| seconds - rig.before[slot]);
            rig.before = seconds;
            let both = on[PoolSlot::A] + on[PoolSlot::B];
            let error = on[PoolSlot::A] - both * self.rules.share_a;
            book[1] += hashrate * error;
            book[2] += rig.hashrate * error;
            book[3] += hashrate * both;
            book[4] += rig.hashrate * both;
            members.push(Member {
                id: rig.id,
                hashrate,
                waver,
                known: rig.known,
                may_take_turns: rig.may_take_turns,
                lags: false,
                own_share_a: rig.own,
                seconds,
                turn_error: rig.schedule.error(),
            });
        }
        self.books.push(book);
        self.rules.both = self.up[PoolSlot::A] && self.up[PoolSlot::B];
        let Some(fleet) = &mut self.fleet else {
            return;
        };
        fleet.update(self.now, &members, &self.rules);
        for (id, slot) in fleet.view().assigned {
            let (home, moved) = self.homes.entry(id).or_insert((slot, None));
            if std::mem::replace(home, slot) != slot {
                let before = moved.replace(self.now);
                let pause = before.map(|before| self.now - before);
                assert!(
                    pause.is_none_or(|pause| pause >= self.rules.assign),
                    "{pause:?}"
                );
                self.moves += 1;
            }
        }
    }

    /// The largest error over any 24 hours (or since `from`, in hours), in expected work as a part of all work in that
    /// time, and in true work in seconds of the whole fleet.
    fn worst(&self, from: f64) -> (f64, f64) {
        let mut worst = (0.0f64, 0.0f64);
        let mut first = 0;
        for book in self.books.iter().filter(|book| book[0] >= from * 3600.0) {
            while self.books[first][0] < book[0] - 86_400.0 {
                first += 1;
            }
            let grown = |at: usize| book[at] - self.books[first][at];
            worst.0 = worst.0.max(grown(1).abs() / grown(3));
            worst.1 = worst.1.max(grown(2).abs() / grown(4) * grown(0));
        }
        worst
    }
}

/// Hashrates of this many miners; some have up to a thousand times as much as others.
fn sizes(count: u64) -> Vec<f64> {
    let mut random = Random::new(7 + count);
    (0..count).map(|_| random.log_between(1e12, 1e15)).collect()
}

/// A fleet whose miners find this many shares an hour each.
fn fleet_of(sizes: &[f64], shares: f64, rules: FleetRules, seed: u64) -> World {
    let mut world = World::new(rules, true, seed);
    for size in sizes {
        world.join(*size, shares);
    }
    world
}

/// The table in docs/performance.md: cargo test --release --lib fleet -- --nocapture
#[test]
fn the_bound_holds_with_few_switches() {
    println!(
        "| miners | split | switches an hour, ratio | fleet | moves a day | error | true error |"
    );
    for count in [1, 2, 7, 60, 500] {
        for a in [0.5, 0.7, 0.95, 0.99] {
            let mut ratio = World::new(share(a), false, count);
            for size in sizes(count) {
                ratio.join(size, 300.0);
            }
            ratio.run(1.0);
            let ratio = ratio.switches() as f64;

            let mut world = fleet_of(&sizes(count), 300.0, share(a), count * 100);
            world.run(2.0);
            let (switches, moves) = (world.switches(), world.moves);
            world.run(24.0);
            let rate = (world.switches() - switches) as f64 / 24.0;
            let moves = world.moves - moves;
            let (part, true_seconds) = world.worst(2.0);
            println!(
                "| {count} | {:.0}:{:.0} | {ratio:.0} | {rate:.1} | {moves} | {:.3} % | {true_seconds:.0} s |",
                100.0 * a,
                100.0 - 100.0 * a,
                100.0 * part,
            );
            // Allowed are 1%, plus the turns.
            assert!(part < 0.005, "{count}, {a}: {part}");
            assert!(rate <= ratio + 1.0, "{count}, {a}: {rate} of {ratio}");
            assert!(count < 60 || rate < 10.0, "{count}, {a}: {rate}");
            assert!(moves < 50, "{count}, {a}: {moves} moves");
        }
    }
}

#[test]
fn any_fleet_stays_within_the_bound() {
    let mut random = Random::new(99);
    fn any<T: Copy>(random: &mut Random, of: &[T]) -> T {
        of[random.below(of.len() as u64) as usize]
    }
    for seed in 0..80 {
        let count = any(&mut random, &[1, 2, 3, 5, 9, 20, 50]);
        let spread = any(&mut random, &[1.0, 3.0, 30.0, 1000.0]);
        let rules = FleetRules {
            slice: any(&mut random, &[1.0, 10.0, 60.0, 600.0]),
            most_takers: any(&mut random, &[None, Some(1), Some(2), Some(4)]),
            catch_up: any(&mut random, &[0.0, 600.0, 3600.0]),
            ..share(any(&mut random, &[0.5, 0.3, 0.62, 0.05, 0.97, 0.995]))
        };
        let sizes: Vec<_> = (0..count)
            .map(|_| random.log_between(1e12, 1e12 * spread))
            .collect();
        let shares = any(&mut random, &[40.0, 100.0, 400.0]);
        let mut world = fleet_of(&sizes, shares, rules, seed);
        world.run(3.0);
        let switches = world.switches();
        world.run(24.0);
        let (part, _) = world.worst(3.0);
        // All turns together are off by at most a slice of the fleet's work, which matters most over a short time.
        let most = 0.005 + rules.slice / (3.0 * 3600.0);
        assert!(part < most, "{seed}: {part} of {most}");
        let smaller = rules.share_a.min(1.0 - rules.share_a);
        let ratio = f64::from(count) * 7200.0 * smaller / rules.slice;
        let rate = (world.switches() - switches) as f64 / 24.0;
        assert!(rate < 1.1 * ratio + 3.0, "{seed}: {rate} of {ratio}");
    }
}

#[test]
fn fluctuating_hashrates_move_hardly_any_miner() {
    for (seed, shares) in [(1, 30.0), (2, 60.0), (3, 300.0)] {
        let mut world = fleet_of(&[1e12; 60], shares, share(0.7), seed);
        world.run(3.0);
        let moves = world.moves;
        world.run(24.0);
        let moves = world.moves - moves;
        assert!(moves <= 120, "{moves} moves at {shares} shares an hour");
        let (part, _) = world.worst(3.0);
        assert!(part < 0.005, "{part}");
    }
}

#[test]
fn miners_come_and_go() {
    for (seed, count) in [(1, 7), (2, 60)] {
        for a in [0.5, 0.7, 0.95] {
            let sizes = sizes(count);
            let mut world = fleet_of(&sizes, 120.0, share(a), seed);
            world.run(1.0);
            let mut random = Random::new(seed);
            for _ in 0..48 {
                world.run(0.5);
                let gone = random.below(world.rigs.len() as u64) as usize;
                world.leave(gone);
                let size = sizes[random.below(count) as usize];
                world.join(size, 120.0);
                // A machine that gets hot, or cools down.
                let other = random.below(world.rigs.len() as u64) as usize;
                let factor = if random.below(2) == 0 { 0.5 } else { 1.5 };
                world.rigs[other].hashrate *= factor;
                world.rigs[other].pace *= factor;
            }
            let (part, _) = world.worst(2.0);
            assert!(part < 0.006, "{count}, {a}: {part}");
        }
    }
}

#[test]
fn an_outage_is_made_up_for_by_moves_within_limits() {
    for count in [1, 2, 7, 60] {
        for lost in PoolSlot::ALL {
            let mut world = fleet_of(&sizes(count), 120.0, share(0.6), count);
            world.run(3.0);
            world.up[lost] = false;
            world.run(4.0);
            world.up[lost] = true;
            let sign = if lost == PoolSlot::B { 1.0 } else { -1.0 };
            world.run(0.01);
            let owed = world.error() * sign;
            assert!((480.0..620.0).contains(&owed), "{count}: {owed} s");
            let book = world.books.last().unwrap()[1];
            world.run(12.0);
            assert!(world.error().abs() < 60.0, "{count}: {} s", world.error());
            let made_up =
                (book - world.books.last().unwrap()[1]) * sign / world.fleet().hashrates.0;
            assert!((400.0..700.0).contains(&made_up), "{count}: {made_up} s");
        }
    }
}

#[test]
fn a_shortfall_caused_by_fixed_workers_is_not_made_up_for() {
    let mut world = fleet_of(&[1e12; 10], 120.0, share(0.7), 1);
    for rig in &mut world.rigs[..6] {
        rig.own = Some(0.0);
    }
    world.run(10.0);
    let view = world.fleet().view();
    assert_eq!(view.own.len(), 6);
    // The others do what they can.
    let on_b = view
        .assigned
        .iter()
        .filter(|(_, slot)| *slot == PoolSlot::B);
    assert_eq!(on_b.count(), 0);
    for id in view.turn_takers {
        let place = world.fleet().place(id);
        assert!(
            matches!(place, Some(Place::Turns { share_a: 1.0, .. })),
            "{place:?}"
        );
    }
    assert!(
        (-601.0..-590.0).contains(&world.error()),
        "{}",
        world.error()
    );
    for rig in &mut world.rigs {
        rig.own = None;
    }
    world.run(10.0);
    assert!(world.error().abs() < 60.0);
    // Further miners with own settings are made up for immediately.
    world.rigs[0].own = Some(0.0);
    world.rigs[1].own = Some(0.5);
    let from = world.books.len() as f64 * TICK as f64 / 3600.0;
    world.books.clear();
    world.run(26.0);
    world.books.retain(|book| book[0] >= (from + 2.0) * 3600.0);
    let (part, _) = world.worst(from + 4.0);
    assert!(part < 0.003, "{part}");
}

/// The places of members with these hashrates, all known, after the first update.
fn places(sizes: &[f64], change: impl Fn(&mut Member), rules: &FleetRules) -> Vec<Place> {
    let start = Instant::now();
    let mut members: Vec<_> = (1..)
        .zip(sizes)
        .map(|(id, size)| Member {
            id: MinerId(id),
            hashrate: *size,
            waver: size * 0.05,
            known: true,
            may_take_turns: true,
            lags: false,
            own_share_a: None,
            seconds: PerPool::default(),
            turn_error: 0.0,
        })
        .collect();
    members.iter_mut().for_each(change);
    let mut fleet = Fleet::default();
    fleet.update(start, &members, rules);
    members
        .iter()
        .map(|it| fleet.place(it.id).unwrap())
        .collect()
}

fn takes_turns(place: &Place) -> bool {
    matches!(place, Place::Turns { .. })
}

#[test]
fn a_single_miner_splits_its_time() {
    let turns = Place::Turns {
        share_a: 0.7,
        slice: 10.0,
    };
    assert_eq!(places(&[5e12], |_| (), &share(0.7)), [turns]);
    // A miner that must not take turns stays on the pool with the larger part.
    let never = |it: &mut Member| it.may_take_turns = false;
    assert_eq!(
        places(&[5e12], never, &share(0.3)),
        [Place::Stay(PoolSlot::B)]
    );
}

#[test]
fn a_very_large_miner_among_small_ones_takes_turns() {
    let mut sizes = vec![1e12; 20];
    sizes.push(1e15);
    let places = places(&sizes, |_| (), &share(0.5));
    assert!(takes_turns(&places[20]), "{places:?}");
    assert!(places.iter().filter(|it| takes_turns(it)).count() <= 4);
}

#[test]
fn miners_that_must_not_or_cannot_follow_are_left_alone() {
    let spared = |it: &mut Member| match it.id.0 {
        1..=3 => it.may_take_turns = false,
        4..=7 => it.lags = true,
        _ => (),
    };
    let places = places(&[1e12; 9], spared, &share(0.55));
    assert!(!places[..7].iter().any(takes_turns), "{places:?}");
    assert!(places[7..].iter().any(takes_turns), "{places:?}");
}

#[test]
fn no_more_miners_take_turns_than_the_owner_allows() {
    // Two turn-takers are not enough for three of this kind.
    let sizes = [1e15, 1e15, 1e15, 1e12, 1e12, 1e12, 1e12];
    for most in 1..4 {
        let rules = FleetRules {
            most_takers: Some(most),
            ..share(0.5)
        };
        let takers = places(&sizes, |_| (), &rules)
            .iter()
            .filter(|it| takes_turns(it))
            .count();
        assert!((1..=most).contains(&takers), "{takers} of {most}");
    }
    let rules = FleetRules {
        most_takers: None,
        ..share(0.5)
    };
    let places = places(&sizes, |it| it.may_take_turns = it.id.0 != 4, &rules);
    assert_eq!(places.iter().filter(|it| takes_turns(it)).count(), 6);
    assert!(!takes_turns(&places[3]));
}

#[test]
fn a_pool_without_weight_gets_no_work() {
    for (a, slot) in [(1.0, PoolSlot::A), (0.0, PoolSlot::B)] {
        let places = places(&[1e12, 3e12, 1e13], |_| (), &share(a));
        assert_eq!(places, [Place::Stay(slot); 3]);
    }
}

#[test]
fn the_rest_of_a_fleet_stays_where_it_is() {
    let mut world = fleet_of(&[1e12; 60], 300.0, share(0.7), 1);
    world.run(3.0);
    let before: BTreeMap<_, _> = world.fleet().view().assigned.into_iter().collect();
    // A tenth of the fleet leaves, and new miners connect.
    for _ in 0..6 {
        world.leave(0);
        world.join(1e12, 300.0);
    }
    world.run(1.0);
    let after = world.fleet().view().assigned;
    let moved = after
        .iter()
        .filter(|(id, slot)| before.get(id).is_some_and(|it| it != slot));
    assert!(moved.count() <= 3);
    // New weights move as many miners as necessary.
    world.rules.share_a = 0.5;
    let moves = world.moves;
    world.run(1.0);
    assert!(
        (7..=16).contains(&(world.moves - moves)),
        "{}",
        world.moves - moves
    );
}
