//! What the pools' jobs reveal about the chain: DPMP reports it, and moves no work without proof. A month of normal
//! mining raises nothing.

use std::ops::Range;
use std::time::{Duration, Instant};

use dpmp::coin::Chain;
use dpmp::config::Config;
use dpmp::core::insight::chain::{ChainWatch, Finding, Glimpse, Mismatch, Scene, Sights};
use dpmp::core::outage::Flaw;
use dpmp::core::snapshot::Snapshot;
use dpmp::random::Random;
use dpmp::sim::chain::Blocks;
use dpmp::sim::miner::options::{MinerOptions, Pace};
use dpmp::sim::pool::options::PoolOptions;
use dpmp::stratum::job::BlockHash;
use dpmp::units::PoolSlot::{A, B};
use dpmp::units::{Now, PerPool, PoolConn, PoolSlot};

use crate::world::{UNIX_START, World, config};

const DAY: f64 = 86_400.0;
const MONTH: f64 = 30.0 * DAY;

/// The chain of both pools, unless a test says otherwise.
const SAME: Blocks = Blocks::Of(7);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn coins(coins: [&str; 2]) -> Config {
    let mut config = config([50.0, 50.0], 10.0);
    for (slot, coin) in PoolSlot::ALL.into_iter().zip(coins) {
        config.pools[slot].as_mut().unwrap().chain = coin.to_owned();
    }
    config
}

/// A miner at two pools of one chain, each on its first block.
fn started(config: Config, change: impl FnOnce(&mut [PoolOptions; 2])) -> World {
    started_at(0.1, config, change)
}

/// The same with this many shares per second.
fn started_at(shares: f64, config: Config, change: impl FnOnce(&mut [PoolOptions; 2])) -> World {
    let mut pools = [1, 2].map(|seed| PoolOptions {
        seed,
        blocks: SAME,
        ..PoolOptions::default()
    });
    change(&mut pools);
    let mut world = World::new(config, pools, 1);
    let options = MinerOptions {
        user: "wallet.rig".to_owned(),
        pace: Pace::Shares(shares),
        ..MinerOptions::default()
    };
    world.add_miner(options, seconds(1));
    world.run(seconds(70), |_| ());
    assert_eq!(findings(&mut world), []);
    world
}

fn new_block(world: &mut World, slot: PoolSlot) {
    world.pool(slot, |pool, now, out| pool.new_block(now, out));
}

fn change(world: &mut World, slot: PoolSlot, change: impl FnOnce(&mut PoolOptions)) {
    world.pool(slot, |pool, now, out| pool.change(change, now, out));
}

fn snapshot(world: &mut World) -> Snapshot {
    let now = world.clock();
    world.core.snapshot(now)
}

fn findings(world: &mut World) -> Vec<Finding> {
    let found = snapshot(world).findings;
    found.into_iter().map(|found| found.finding).collect()
}

/// Both pools get their part of the next two minutes.
#[track_caller]
fn nothing_is_moved(world: &mut World) {
    let worked = |world: &mut World| snapshot(world).pools.map(|_, pool| pool.seconds);
    let before = worked(world);
    world.run(seconds(120), |_| ());
    let after = worked(world);
    for (slot, after) in after.iter() {
        let time = after - before[slot];
        assert!((50.0..70.0).contains(&time), "{slot}: {time} s of 120");
    }
    for (slot, pool) in snapshot(world).pools.iter() {
        assert_eq!(pool.flaw(), None, "{slot}");
    }
}

#[test]
fn a_pool_that_falls_behind_on_a_proven_chain_is_set_aside() {
    let mut world = started(coins(["BTC", "BTC"]), |_| ());
    new_block(&mut world, A);
    world.run(seconds(95), |_| ());
    assert_eq!(snapshot(&mut world).pools[B].flaw(), Some(Flaw::Behind));
    new_block(&mut world, B);
    world.run(seconds(2), |_| ());
    nothing_is_moved(&mut world);
    assert_eq!(findings(&mut world), []);
}

#[test]
fn a_fork_is_reported_and_nothing_is_moved() {
    let mut world = started(coins(["BTC", "BTC"]), |_| ());
    change(&mut world, B, |options| options.blocks = Blocks::Of(8));
    for block in 1..=3 {
        assert_eq!(findings(&mut world), [], "{block}");
        for slot in PoolSlot::ALL {
            new_block(&mut world, slot);
        }
        nothing_is_moved(&mut world);
    }
    assert_eq!(findings(&mut world), [Finding::Forked { height: 900_001 }]);
    change(&mut world, B, |options| options.blocks = SAME);
    for slot in PoolSlot::ALL {
        new_block(&mut world, slot);
    }
    world.run(seconds(5), |_| ());
    assert_eq!(findings(&mut world), []);
}

#[test]
fn fast_blocks_without_proof_are_reported_and_nothing_is_moved() {
    let wrong = Finding::WrongChain(B, Mismatch::Work);
    for (coin, told) in [
        ("BTC", Some(wrong)),
        ("DGB", None),
        ("LTC", None),
        ("SIGNET", None),
    ] {
        let mut world = started(coins([coin, coin]), |_| ());
        change(&mut world, B, |options| options.blocks = Blocks::Invented);
        for _ in 0..20 {
            new_block(&mut world, B);
            world.run(seconds(15), |_| ());
        }
        nothing_is_moved(&mut world);
        let found = findings(&mut world);
        assert_eq!(found.contains(&wrong), told.is_some(), "{coin}: {found:?}");
        let left = snapshot(&mut world).pools[A].left_since;
        assert!(left.is_some(), "{coin}: it is told");
    }
}

#[test]
fn a_replay_of_old_blocks_is_reported_for_the_pool_that_replays() {
    let mut world = started(coins(["BTC", "BTC"]), |_| ());
    for height in 899_000..899_030 {
        world.pool(B, |pool, now, out| pool.go_to(height, now, out));
        world.run(seconds(10), |_| ());
    }
    nothing_is_moved(&mut world);
    let blocks = 900_000 - 899_029;
    assert_eq!(findings(&mut world), [Finding::Lower { slot: B, blocks }]);
    assert_eq!(snapshot(&mut world).pools[A].left_since, None);
}

#[test]
fn two_coins_side_by_side_are_normal_but_a_witness_commitment_is_not() {
    let mut world = started(coins(["BTC", "BCH"]), |[_, b]| {
        (b.blocks, b.witness) = (Blocks::Of(9), false);
    });
    for minute in 0..30 {
        if minute % 7 == 0 {
            new_block(&mut world, A);
        }
        if minute % 11 == 0 {
            new_block(&mut world, B);
        }
        world.run(seconds(60), |_| ());
        assert_eq!(findings(&mut world), []);
    }
    change(&mut world, B, |options| options.witness = true);
    world.run(seconds(40), |_| ());
    let wrong = Finding::WrongChain(B, Mismatch::Witness);
    assert_eq!(findings(&mut world), [wrong]);
    nothing_is_moved(&mut world);
}

#[test]
fn a_bitcoin_pool_without_commitments_is_reported_after_ten_jobs() {
    let mut world = started(coins(["BTC", "BCH"]), |[a, b]| {
        // Each height but the first starts with an empty job, which needs no commitment.
        (a.witness, a.blocks) = (false, Blocks::Of(9));
        b.witness = false;
    });
    world.run(seconds(150), |_| ());
    assert_eq!(findings(&mut world), []);
    world.run(seconds(240), |_| ());
    assert_eq!(findings(&mut world), [Finding::NoWitness(A)]);
    nothing_is_moved(&mut world);
}

#[test]
fn pools_under_two_coin_names_on_one_chain_are_reported() {
    let mut settings = coins(["BTC", "BTC"]);
    let mut world = started(settings.clone(), |[_, b]| b.witness = false);
    settings.pools[B].as_mut().unwrap().chain = "BCH".to_owned();
    world.configure(settings);
    world.run(seconds(5), |_| ());
    assert_eq!(findings(&mut world), [Finding::OneChain]);
    nothing_is_moved(&mut world);
}

#[test]
fn one_block_with_two_targets_is_reported() {
    let mut world = started(coins(["BTC", "BTC"]), |_| ());
    change(&mut world, B, |options| options.nbits += 1);
    world.run(seconds(40), |_| ());
    assert_eq!(findings(&mut world), [Finding::TargetsDiffer]);
    nothing_is_moved(&mut world);
}

#[test]
fn a_wrong_time_in_jobs_is_reported_after_ten_minutes() {
    let mut world = started(coins(["BTC", "BTC"]), |_| ());
    change(&mut world, B, |options| options.clock_off = 1500);
    world.run(seconds(560), |_| ());
    assert_eq!(findings(&mut world), []);
    world.run(seconds(80), |_| ());
    let found = findings(&mut world);
    let [
        Finding::Clock {
            slot: B,
            minutes: 24 | 25,
            is_certain: true,
        },
    ] = found[..]
    else {
        panic!("{found:?}");
    };
    nothing_is_moved(&mut world);
    change(&mut world, B, |options| options.clock_off = 0);
    // An earlier time in a job is new only on a new block.
    for slot in PoolSlot::ALL {
        new_block(&mut world, slot);
    }
    world.run(seconds(40), |_| ());
    assert_eq!(findings(&mut world), []);
}

#[test]
fn hours_without_a_block_are_reported() {
    let mut world = started(coins(["BTC", "TBTC"]), |[_, b]| b.blocks = Blocks::Of(9));
    world.run(seconds(3 * 3600 - 120), |_| ());
    assert_eq!(findings(&mut world), []);
    world.run(seconds(120), |_| ());
    assert_eq!(findings(&mut world), [Finding::NoBlock(A)]);
    nothing_is_moved(&mut world);
}

/// A job that arrives at this time, in seconds, on a connection to a pool.
struct Arrival {
    at: f64,
    conn: PoolConn,
    job: Glimpse,
}

/// A block of one of several chains, with enough work for any target. `tip` selects one of its height.
fn block(chain: u64, height: u32, tip: u8) -> BlockHash {
    let mut hash = [0; 32];
    let random: [u8; 8] = Random::new((chain << 32) | u64::from(height)).bytes();
    hash[20..28].copy_from_slice(&random);
    hash[31] = tip;
    BlockHash(hash)
}

/// The times when blocks are found, in seconds.
fn blocks(rng: &mut Random) -> Vec<f64> {
    let mut times = vec![0.0];
    while let Some(last) = times.last().filter(|last| **last < MONTH) {
        times.push(last - 600.0 * (1.0 - rng.unit()).ln());
    }
    times
}

/// A pool's jobs on a chain. It receives each block up to 20 seconds late, starts with an empty job, and sometimes
/// works on the other of two tips until the next block. Its connection is renewed every day.
fn jobs(slot: PoolSlot, chain: u64, blocks: &[f64], rng: &mut Random) -> Vec<Arrival> {
    let mut all = Vec::new();
    let (mut number, mut reconnect, mut heard) = (1, DAY * rng.unit(), 0.0f64);
    for (height, span) in (900_000..).zip(blocks.windows(2)) {
        let tip = u8::from(slot == B && rng.unit() < 0.01);
        // Blocks in quick succession arrive in order.
        let first = span[0].max(heard) + 20.0 * rng.unit();
        let mut at = first;
        heard = first;
        let mut ntime = 0;
        while at < span[1] {
            // A makes a job every half minute. B's jobs have the time of their block, even on a new connection.
            if slot == A || ntime == 0 {
                ntime = UNIX_START + (at + 50.0 * rng.unit()) as u32 - 40;
            }
            let is_empty = at == first;
            all.push(Arrival {
                at,
                conn: PoolConn { slot, number },
                job: Glimpse {
                    previous: block(chain, height, tip),
                    height: Some(height + 1),
                    nbits: 0x1702_3a04 + height / 2016 % 5,
                    ntime,
                    commits: Some(chain == 1 && !(is_empty && rng.unit() < 0.5)),
                    is_empty,
                },
            });
            at += if slot == A { 30.0 } else { MONTH };
            if at > reconnect && reconnect < span[1] {
                at = reconnect.max(first + 1.0);
                (number, reconnect) = (number + 1, at + DAY);
            }
        }
    }
    all
}

#[test]
fn a_month_of_normal_mining_raises_nothing() {
    for seed in 1..=10 {
        for coins in [["BTC", "BTC"], ["BTC", "BCH"]] {
            let mut rng = Random::new(seed);
            let found = blocks(&mut rng);
            let mut all = jobs(A, 1, &found, &mut rng);
            if coins[0] == coins[1] {
                all.extend(jobs(B, 1, &found, &mut rng));
            } else {
                let found = blocks(&mut rng);
                all.extend(jobs(B, 2, &found, &mut rng));
            }
            all.sort_by(|a, b| a.at.total_cmp(&b.at));
            // B is away for several hours.
            let away = MONTH * rng.unit();
            let away = away..away + 10.0 * 3600.0 * rng.unit();
            ordinary(&all, away, coins, seed);
        }
    }
}

fn ordinary(all: &[Arrival], away: Range<f64>, coins: [&str; 2], seed: u64) {
    let start = Instant::now();
    let [a, b] = coins.map(Chain::of_name);
    let mut sights = PerPool::<Sights>::default();
    let mut watch = ChainWatch::default();
    let mut missed = None;
    let mut comes_back = false;
    for (arrival, next) in all.iter().zip(&all[1..]) {
        let slot = arrival.conn.slot;
        let is_away = away.contains(&arrival.at);
        let conn = |slot, number| PoolConn { slot, number };
        let number = arrival.conn.number + if comes_back { 1000 } else { 0 };
        // Just after the job, and just before the next one.
        for at in [arrival.at, next.at - 0.001] {
            let now = Now {
                at: start + Duration::from_secs_f64(at),
                unix_ms: u64::from(UNIX_START) * 1000 + (at * 1000.0) as u64,
            };
            // The first job on the new connection is the missed one.
            if let Some(job) = missed.take_if(|_| !is_away) {
                sights[B].hear(conn(B, 1000), &job, now);
            }
            if at == arrival.at && slot == B && is_away {
                (missed, comes_back) = (Some(arrival.job), true);
            } else if at == arrival.at {
                sights[slot].hear(conn(slot, number), &arrival.job, now);
            }
            let scene = Scene {
                sights: PerPool::from_fn(|slot| &sights[slot]),
                chains: PerPool::new(a, b),
                heard: PerPool::new(true, !is_away),
                clock_is_right: true,
            };
            let found = watch.look(&scene, now);
            assert!(
                found.is_empty(),
                "{coins:?}, seed {seed}, {at} s: {found:?}"
            );
        }
    }
}

#[test]
fn a_month_with_the_whole_core_raises_nothing() {
    let mut settings = coins(["BTC", "BTC"]);
    settings.scheduler.slice = seconds(120);
    settings.pools[B].as_mut().unwrap().stall = seconds(36_000);
    let mut world = started_at(0.01, settings, |[a, b]| {
        a.job_interval = Some(seconds(60));
        b.job_interval = None;
    });
    let mut heard = Vec::new();
    let mut ordinary = |world: &mut World, is_away: bool| {
        let now = world.clock();
        let snapshot = world.core.snapshot(now);
        assert!(snapshot.findings.is_empty(), "{:?}", snapshot.findings);
        for (slot, pool) in snapshot
            .pools
            .iter()
            .filter(|(slot, _)| !is_away || *slot == A)
        {
            assert_eq!(pool.flaw(), None, "{slot}");
            let left = pool.left_since.unwrap_or(now.unix_ms);
            assert!(now.unix_ms - left < 30_000, "{slot} is behind");
        }
        let are_heard = snapshot.pools.iter().all(|(_, pool)| pool.connections > 0);
        heard.push(are_heard);
    };
    let mut rng = Random::new(1);
    let end = world.now + Duration::from_secs_f64(MONTH);
    let away = world.now + seconds(86_400 * 10);
    let away = away..away + seconds(4 * 3600);
    while world.now < end {
        let mut rest = -600.0 * (1.0 - rng.unit()).ln();
        while rest > 0.0 {
            world.run(Duration::from_secs_f64(rest.min(60.0)), |_| ());
            rest -= 60.0;
            let is_away = away.contains(&world.now);
            if is_away == world.sites[B].up {
                if is_away {
                    world.take_down(B);
                } else {
                    world.sites[B].up = true;
                    world.run(seconds(120), |_| ());
                }
            }
            ordinary(&mut world, is_away);
        }
        // Sometimes B works on the other of two tips.
        let tip = if rng.unit() < 0.01 { Blocks::Own } else { SAME };
        change(&mut world, B, |options| options.blocks = tip);
        let [first, second] = if rng.unit() < 0.5 { [A, B] } else { [B, A] };
        new_block(&mut world, first);
        world.run(Duration::from_secs_f64(20.0 * rng.unit()), |_| ());
        let is_away = away.contains(&world.now);
        ordinary(&mut world, is_away);
        new_block(&mut world, second);
    }
    let part = heard.iter().filter(|it| **it).count() as f64 / heard.len() as f64;
    assert!(part > 0.9, "{part}");
}
