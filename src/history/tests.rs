//! Days of history in virtual time.

use std::time::Instant;

use super::*;
use crate::core::miner::view::sample_miner;
use crate::core::outage::Health;

/// The beginning of a minute and of a quarter hour.
const START: u64 = 1_800_000_000_000;

/// A world in which work is done evenly.
struct World {
    start: Instant,
    snapshot: Snapshot,
    history: History,
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
    fn new() -> Self {
        let mut snapshot = Snapshot {
            unix_ms: START,
            ..Snapshot::default()
        };
        snapshot.miners = vec![sample_miner(1, "one"), sample_miner(2, "two")];
        Self {
            start: Instant::now(),
            snapshot,
            history: History::default(),
        }
    }

    fn at(&self, seconds: u64) -> Now {
        Now {
            at: self.start + Duration::from_secs(seconds),
            unix_ms: START + seconds * 1000,
        }
    }

    /// Shares of difficulty 2, `count` for A and one for B; all by the first worker.
    fn work(&mut self, count: u32) {
        let count = f64::from(count);
        let mut worker = self.snapshot.miners[0].worker_work.unwrap_or_default();
        for (slot, count) in [(PoolSlot::A, count), (PoolSlot::B, 1.0)] {
            self.snapshot.pools[slot].totals.seconds += 10.0 * count;
            let totals = &mut self.snapshot.pools[slot].run;
            totals.work += 2.0 * count;
            totals.work_squares += 4.0 * count;
            *totals.shares.rejected.entry("stale".into()).or_default() += 1;
            worker[slot] += 2.0 * count;
            self.snapshot.pools[slot].meant = count;
        }
        self.snapshot.miners[0].worker_work = Some(worker);
    }

    fn look(&self, seconds: u64) {
        self.history.look(&self.snapshot, self.at(seconds));
    }

    fn series(&self, range: Range, worker: Option<&str>, seconds: u64) -> Series {
        let unix_ms = self.at(seconds).unix_ms;
        self.history.series(range, worker, unix_ms).unwrap()
    }

    /// Looks at the beginning of each minute, with work in between.
    fn minutes(&mut self, from: u64, count: u64) {
        self.look(from * 60);
        for minute in from..from + count {
            self.work(3);
            self.look((minute + 1) * 60);
        }
    }
}

/// The hashrate for this work in this time.
fn rate(work: f64, seconds: f64) -> Option<f64> {
    Some(work * HASHES_PER_DIFFICULTY / seconds)
}

#[test]
fn each_minute_has_the_work_done_in_it() {
    let mut world = World::new();
    world.minutes(0, 5);
    let series = world.series(Range::Hour, None, 5 * 60 + 10);
    assert_eq!(series.step_seconds, 60);
    assert_eq!(series.start_ms, START + 5 * 60_000 - 3_600_000);
    let of_a = &series.hashrate[PoolSlot::A];
    assert_eq!(of_a.len(), 60);
    assert_eq!(
        of_a[54..],
        [
            None,
            rate(6.0, 60.0),
            rate(6.0, 60.0),
            rate(6.0, 60.0),
            rate(6.0, 60.0),
            rate(6.0, 60.0)
        ]
    );
    assert_eq!(series.hashrate[PoolSlot::B][59], rate(2.0, 60.0));
    assert_eq!(series.time_share_a[59], Some(0.75));
    let meant = series.meant_share_a[59].unwrap();
    assert!((meant - 0.75).abs() < 1e-6, "{meant}");
    assert_eq!(series.meant_share_a[54], None);
    assert_eq!(series.shares.unwrap().rejected[PoolSlot::B][59], Some(1.0));

    let week = world.series(Range::Week, None, 5 * 60 + 10);
    assert_eq!(
        (week.step_seconds, week.hashrate[PoolSlot::A].len()),
        (900, 672)
    );
    assert_eq!(week.hashrate[PoolSlot::A][671], rate(30.0, 300.0));
    assert_eq!(week.hashrate[PoolSlot::A][670], None);
}

#[test]
fn part_of_a_minute_counts_in_proportion() {
    let mut world = World::new();
    world.look(45);
    world.work(3);
    world.look(60);
    let series = world.series(Range::Hour, None, 61);
    assert_eq!(series.hashrate[PoolSlot::A][59], rate(6.0, 15.0));
}

#[test]
fn the_value_of_a_hash_is_kept_per_quarter_hour() {
    let mut world = World::new();
    world.minutes(0, 5);
    assert!(world.history.0.lock().rings.values.is_empty());
    world.snapshot.balance.values = PerPool::new(Some(0.5), None);
    world.minutes(5, 15);
    world.snapshot.balance.values = PerPool::new(None, Some(0.25));
    world.minutes(20, 5);
    let values = |range, worker| world.series(range, worker, 25 * 60).value;
    let week = values(Range::Week, None).unwrap();
    assert_eq!(week[PoolSlot::A][669..], [None, Some(0.5), Some(0.5)]);
    assert_eq!(week[PoolSlot::B][669..], [None, None, Some(0.25)]);
    let hour = values(Range::Hour, None).unwrap();
    assert_eq!(hour[PoolSlot::A].len(), 60);
    assert_eq!(
        (hour[PoolSlot::A][34], hour[PoolSlot::A][35]),
        (None, Some(0.5))
    );
    assert_eq!(
        (hour[PoolSlot::B][49], hour[PoolSlot::B][50]),
        (None, Some(0.25))
    );
    assert_eq!(values(Range::Week, Some("one")), None);
}

#[test]
fn the_time_while_dpmp_did_not_run_is_unknown() {
    let mut world = World::new();
    world.minutes(0, 2);
    // A restart: the rings come from the file, the totals do not.
    let rings = world.history.0.lock().rings.clone();
    world.history = History(Mutex::new(Recorder {
        rings,
        ..Recorder::default()
    }));
    world.minutes(4, 1);
    let series = world.series(Range::Hour, None, 5 * 60);
    let known: Vec<_> = series.hashrate[PoolSlot::A][55..]
        .iter()
        .map(Option::is_some)
        .collect();
    assert_eq!(known, [true, true, false, false, true]);
}

/// A board without a clock: it starts in 1970, gets the time, falls two weeks behind for a while, and is then years
/// ahead.
#[test]
fn a_clock_jump_loses_no_history() {
    let mut world = World::new();
    world.minutes(0, 5);
    let rings = world.history.0.lock().rings.clone();
    world.history = History(Mutex::new(Recorder {
        rings,
        ..Recorder::default()
    }));
    let wrong = |world: &mut World, minutes: std::ops::Range<u64>, unix_ms: u64| {
        for minute in minutes {
            world.work(3);
            let at = world.at(minute * 60).at;
            let unix_ms = unix_ms + minute * 60_000;
            world.history.look(&world.snapshot, Now { at, unix_ms });
        }
    };
    let known = |world: &World, minute: u64| {
        let series = world.series(Range::Hour, None, minute * 60);
        let of_a = &series.hashrate[PoolSlot::A];
        of_a.iter()
            .filter(|value| **value == rate(6.0, 60.0))
            .count()
    };
    wrong(&mut world, 6..10, 60_000);
    let window = world.history.window(3, &world.snapshot, world.at(9 * 60));
    assert_eq!(
        window.share_a,
        Some(0.75),
        "what is not settled counts, too"
    );
    world.work(3);
    world.look(10 * 60);
    // The first look after the start has nothing to compare with.
    assert_eq!(known(&world, 10), 9);
    wrong(&mut world, 11..20, START - 14 * 24 * 3_600_000);
    world.work(3);
    world.look(20 * 60);
    assert_eq!(known(&world, 20), 19);
    wrong(&mut world, 21..30, 2 * START);
    world.work(3);
    world.look(30 * 60);
    assert_eq!(known(&world, 30), 29);
    // A clock that stays that way is right.
    wrong(&mut world, 31..100, START - 14 * 24 * 3_600_000);
    let ring_end = world.history.0.lock().rings.pools.minutes.end();
    assert!(ring_end < MINUTES.number(START), "{ring_end}");
}

#[test]
fn each_worker_has_its_own_history() {
    let mut world = World::new();
    world.minutes(0, 5);
    let series = world.series(Range::Hour, Some("one"), 5 * 60);
    assert_eq!(series.hashrate[PoolSlot::A][59], rate(6.0, 60.0));
    assert_eq!(series.time_share_a[59], None);
    assert_eq!(series.shares, None);
    let idle = world.series(Range::Hour, Some("two"), 5 * 60);
    assert_eq!(idle.hashrate[PoolSlot::B][59], Some(0.0));
    assert_eq!(
        world.history.series(Range::Hour, Some("three"), START),
        None
    );

    // Ten minutes say something about an hour, and an hour about a day.
    assert_eq!(
        world.history.averages(world.at(300).unix_ms)["one"],
        Averages::default()
    );
    world.minutes(5, 60);
    let averages = world.history.averages(world.at(65 * 60).unix_ms);
    assert_eq!(averages["one"].hour, rate(8.0, 60.0));
    assert_eq!(averages["one"].day, rate(8.0, 60.0));

    // While it is away, it hashes nothing, but that is not shown as a measurement.
    world.snapshot.miners.remove(0);
    for minute in 66..=95 {
        world.look(minute * 60);
    }
    let series = world.series(Range::Hour, Some("one"), 95 * 60);
    assert_eq!(series.hashrate[PoolSlot::A][59], None);
    let averages = world.history.averages(world.at(95 * 60).unix_ms);
    assert_eq!(averages["one"].hour, rate(4.0, 60.0));
}

#[test]
fn workers_are_bounded_and_do_not_displace_each_other() {
    let mut rings = Rings::default();
    let step = WorkerStep([1.0, 1.0]);
    for number in 0..300 {
        rings.add_worker(&format!("rig{number}"), START, step);
    }
    assert_eq!(rings.workers.len(), MOST_WORKERS);
    assert!(rings.workers.contains_key("rig0"));
    // Later, the one that has been silent longest is replaced.
    for number in 1..256 {
        rings.add_worker(&format!("rig{number}"), START + 3_600_000, step);
    }
    rings.add_worker("new", START + 3_600_000, step);
    assert_eq!(rings.workers.len(), MOST_WORKERS);
    assert!(rings.workers.contains_key("new"));
    assert!(!rings.workers.contains_key("rig0"));
}

#[test]
fn a_window_has_the_split_and_how_much_of_it_is_luck() {
    let mut world = World::new();
    let empty = world.history.window(10, &world.snapshot, world.at(0));
    assert_eq!(empty, Window::default());
    world.minutes(0, 20);
    // Work since the last look counts, too.
    world.work(3);
    let window = world
        .history
        .window(10, &world.snapshot, world.at(20 * 60 + 30));
    assert_eq!(window.known_seconds, 630.0);
    assert_eq!(window.share_a, Some(0.75));
    assert_eq!(window.time_share_a, Some(0.75));
    assert_eq!(window.rejected[PoolSlot::A], 11.0);
    // 33 and 11 shares of difficulty 2: the error is that of 44 coin tosses.
    let throws = (0.75f64 * 0.25 / 44.0).sqrt();
    assert!((window.expected_error.unwrap() - throws).abs() < 1e-9);

    // The previous pool did this, not the present one.
    let former = serde_json::json!({
        "account": "", "name": "", "slot": "A", "until_ms": START + (15 * 60 + 10) * 1000
    });
    world.snapshot.pools[PoolSlot::B].former = vec![serde_json::from_value(former).unwrap()];
    let window = world
        .history
        .window(10, &world.snapshot, world.at(20 * 60 + 30));
    assert_eq!(window.known_seconds, 270.0);
}

#[test]
fn work_for_the_pool_before_a_swap_counts_nowhere() {
    let mut world = World::new();
    // Each look is a little late, as in practice.
    let late = |world: &World, seconds: u64| {
        let at = world.at(seconds);
        Now {
            unix_ms: at.unix_ms + 4,
            ..at
        }
    };
    for minute in 0..=10 {
        world
            .history
            .look(&world.snapshot, late(&world, minute * 60));
        world.work(3);
    }
    // In the middle of minute 10.
    let former = serde_json::json!({
        "account": "", "name": "", "slot": "A", "until_ms": START + (10 * 60 + 30) * 1000
    });
    world.snapshot.pools[PoolSlot::A].former = vec![serde_json::from_value(former).unwrap()];
    let window = |world: &World, seconds| {
        let at = late(world, seconds);
        world.history.window(1440, &world.snapshot, at)
    };
    assert_eq!(window(&world, 10 * 60 + 59), Window::default());
    let at = late(&world, 10 * 60 + 59);
    let reasons = world.history.refused_by(10, &world.snapshot, at);
    assert_eq!(reasons, ByReason::new());
    world.history.look(&world.snapshot, late(&world, 11 * 60));
    assert_eq!(window(&world, 11 * 60).work, PerPool::new(0.0, 0.0));
    world.work(1);
    let after = window(&world, 12 * 60 - 1);
    assert_eq!(after.work, PerPool::new(2.0, 2.0));
    assert_eq!(after.known_seconds, 59.0);
}

#[test]
fn reasons_for_blocked_shares_last_ten_minutes_and_survive_a_restart() {
    let mut world = World::new();
    world.look(0);
    let block = |world: &mut World, reason: &str, count| {
        let refused = &mut world.snapshot.refused;
        *refused.entry(reason.to_owned()).or_default() += count;
    };
    block(&mut world, "stale", 5);
    world.look(60);
    block(&mut world, "duplicate", 2);
    let by = |world: &World, seconds| {
        let at = world.at(seconds);
        world.history.refused_by(10, &world.snapshot, at)
    };
    let both = [("duplicate".to_owned(), 2), ("stale".to_owned(), 5)];
    assert_eq!(by(&world, 90), both.clone().into());
    world.look(120);
    assert_eq!(by(&world, 120), both.clone().into());

    let folder = tempfile::tempdir().unwrap();
    let path = path(&folder.path().join("config.json"));
    let text = file::format(&world.history.0.lock().rings).unwrap();
    file::save(&path, &text).unwrap();
    world.history = History(Mutex::new(Recorder {
        rings: file::load(&path).0,
        ..Recorder::default()
    }));
    world.look(150);
    assert_eq!(by(&world, 160), both.into());
    block(&mut world, "stale", 1);
    assert_eq!(by(&world, 11 * 60 + 30).get("stale"), Some(&1));
    for minute in 3..60 {
        block(&mut world, "stale", 1);
        world.look(minute * 60);
    }
    assert_eq!(by(&world, 59 * 60), [("stale".to_owned(), 10)].into());
    assert!(world.history.0.lock().rings.refused.len() <= 12);
}

#[test]
fn an_outage_is_recorded_with_its_duration() {
    let mut world = World::new();
    world.look(0);
    world.work(3);
    let state = |world: &mut World, seconds: u64, health, down| {
        world.snapshot.unix_ms = world.at(seconds).unix_ms;
        let a = &mut world.snapshot.pools[PoolSlot::A];
        (a.health, a.down) = (health, down);
    };
    state(&mut world, 60, Health::Down, 15.0);
    world.look(60);
    // Nothing is published in this minute.
    world.look(120);
    state(&mut world, 180, Health::Up, 90.0);
    world.look(180);
    let series = world.series(Range::Hour, None, 190);
    let down = series.down.unwrap();
    let of_a = &down[PoolSlot::A][56..];
    assert_eq!(of_a, [None, Some(0.25), Some(1.0), Some(0.25)]);
    assert_eq!(down[PoolSlot::B][57..], [Some(0.0); 3]);
    let shares = series.shares.unwrap();
    assert_eq!(shares.rejected[PoolSlot::A][57], Some(1.0));
    assert_eq!(shares.refused[57], Some(0.0));
}

#[test]
fn steps_in_older_files_can_be_read() {
    for length in [12, 14, 16] {
        let step: Step = serde_json::from_value(serde_json::json!(vec![2.0; length])).unwrap();
        assert_eq!(step.pools[PoolSlot::B].seconds, 2.0);
        let meant = if length > 12 { 2.0 } else { 0.0 };
        assert_eq!(step.pools[PoolSlot::A].meant, meant);
        let down = if length > 14 { 2.0 } else { 0.0 };
        assert_eq!(step.pools[PoolSlot::B].down, down);
    }
    let odd = serde_json::from_value::<Step>(serde_json::json!([1.0, 2.0, 3.0]));
    assert!(odd.unwrap_err().to_string().contains("12, 14 or 16"));
}

#[test]
fn a_full_history_is_small() {
    let mut rings = Rings::default();
    let step = WorkerStep([123_456.79, 98_765.43]);
    let whole = Step {
        span: 60.0,
        refused: 0.0,
        pools: PerPool::from_fn(|_| PoolStep {
            work: 123_456.79,
            work_squares: 1.234_567e12,
            accepted: 12.0,
            rejected: 0.0,
            seconds: 42.123,
            meant: 1234.567,
            down: 0.0,
        }),
    };
    for minute in 0..45_000 {
        let unix_ms = START + minute * 60_000;
        rings.pools.add(unix_ms, whole);
        rings.add_worker("rig", unix_ms, step);
        rings.add_value(
            unix_ms,
            ValueStep::of(PerPool::new(Some(0.051_234), Some(0.049_876))),
        );
    }
    let of_values = serde_json::to_vec(&rings.values).unwrap().len();
    assert!(of_values < 80_000, "{of_values}");
    let (all, of_pools) = (
        file::format(&rings).unwrap().len() - of_values,
        serde_json::to_vec(&rings.pools).unwrap().len(),
    );
    println!(
        "{of_pools} bytes for the pools, {} for a worker",
        all - of_pools
    );
    assert!(of_pools < 600_000 && all - of_pools < 120_000);
}
