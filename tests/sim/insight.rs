//! Which payees the core sees in the pools' jobs, and when they get less than they should.

use std::sync::Arc;
use std::time::Duration;

use dpmp::coin::Coin;
use dpmp::coin::address::Wallet;
use dpmp::config::{Config, PayoutRule};
use dpmp::core::event::Event;
use dpmp::core::insight::InsightView;
use dpmp::core::insight::payee::{Obstacle, Payee, Payment, PayoutKind};
use dpmp::core::memory::Memory;
use dpmp::core::snapshot::PoolView;
use dpmp::sim::miner::options::{MinerOptions, Pace};
use dpmp::sim::pool::options::PoolOptions;
use dpmp::units::PoolSlot;
use dpmp::units::PoolSlot::{A, B};

use crate::world::{World, config};

/// One key in the address forms of two coins.
const AS_BTC: &str = "1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggu";
const AS_BCH: &str = "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a";

fn mine() -> Vec<u8> {
    match Wallet::read(AS_BTC) {
        Wallet::Address(address) => address.script,
        other => panic!("{other:?}"),
    }
}

fn other(number: u16) -> Vec<u8> {
    let [high, low] = number.to_be_bytes();
    [&[0, 20, high, low][..], &[7; 18]].concat()
}

/// Amounts and scripts. Empty: everything goes to an address of the pool, a new one in each job.
type Outputs = Vec<(u64, Vec<u8>)>;

const POOL_ITSELF: Outputs = Vec::new();

/// This many thousandths for the owner, the rest for the pool.
fn thousandths(part: u64) -> Outputs {
    let fee = (312_500 * (1000 - part), other(1));
    vec![fee, (312_500 * part, mine())]
}

fn one_key(payout: PayoutRule) -> Config {
    let mut config = config([50.0, 50.0], 10.0);
    for (slot, wallet, chain) in [(A, AS_BTC, "BTC"), (B, AS_BCH, "BCH")] {
        let pool = config.pools[slot].as_mut().unwrap();
        pool.wallet = wallet.into();
        pool.chain = chain.into();
        pool.payout = payout;
    }
    config
}

/// Two miners that work for two pools with these payouts.
fn started(config: &Config, pays: [Outputs; 2], memory: Memory) -> World {
    let pools = pays.map(|pays| PoolOptions {
        seed: 3,
        pays,
        ..PoolOptions::default()
    });
    at_pools(config, pools, memory)
}

fn at_pools(config: &Config, pools: [PoolOptions; 2], memory: Memory) -> World {
    let mut world = World::remembering(Arc::new(config.clone()), pools, memory, 1);
    for (at, worker) in ["first", "second"].into_iter().enumerate() {
        let options = MinerOptions {
            user: format!("x.{worker}"),
            pace: Pace::Shares(0.1),
            ..MinerOptions::default()
        };
        world.add_miner(options, Duration::from_secs(1 + at as u64));
    }
    world.run(Duration::from_secs(125), |_| ());
    world
}

fn with_a(pays: Outputs, payout: PayoutRule) -> World {
    started(&one_key(payout), [pays, POOL_ITSELF], Memory::default())
}

fn pay(world: &mut World, slot: PoolSlot, pays: Outputs) {
    world.pool(slot, |pool, now, out| {
        pool.change(|options| options.pays = pays, now, out);
    });
}

fn new_block(world: &mut World, slot: PoolSlot) {
    world.pool(slot, |pool, now, out| pool.new_block(now, out));
}

/// This many blocks of a pool, each with an empty job first.
fn blocks(world: &mut World, slot: PoolSlot, count: u32) {
    for _ in 0..count {
        new_block(world, slot);
        world.run(Duration::from_secs(65), |_| ());
    }
}

fn view(world: &mut World, slot: PoolSlot) -> PoolView {
    let now = world.clock();
    world.core.snapshot(now).pools[slot].clone()
}

fn insight(world: &mut World, slot: PoolSlot) -> InsightView {
    view(world, slot).insight.unwrap()
}

#[track_caller]
fn payment(world: &mut World, slot: PoolSlot) -> Payment {
    match insight(world, slot).payee {
        Payee::Known(payment) => payment,
        Payee::CannotTell(why) => panic!("{why:?}"),
    }
}

fn is_wrong(world: &mut World, slot: PoolSlot) -> bool {
    view(world, slot).payout_wrong.is_some()
}

#[test]
fn one_key_may_be_paid_in_two_coins() {
    let pays = [thousandths(980), thousandths(990)];
    let mut world = started(&one_key(PayoutRule::Auto), pays, Memory::default());
    for (slot, share, other, coin) in [(A, 0.98, 0.02, Coin::Btc), (B, 0.99, 0.01, Coin::Bch)] {
        let expected = Payment {
            kind: PayoutKind::Mine,
            share,
            other,
            coin: Some(coin),
        };
        assert_eq!(payment(&mut world, slot), expected);
        let seen = insight(&mut world, slot);
        assert_eq!((seen.height, seen.block_since), (Some(900_000), None));
        let coinbase = seen.coinbase.unwrap();
        assert_eq!((coinbase.reward, coinbase.outputs), (312_500_000, 3));
        assert_eq!(coinbase.tag, Some(format!("/sim:{slot}/")));
    }
    let before = world.clock().unix_ms;
    new_block(&mut world, A);
    world.run(Duration::from_secs(3), |_| ());
    let seen = insight(&mut world, A);
    assert_eq!(seen.height, Some(900_001));
    assert!(seen.block_since.unwrap().abs_diff(before) < 1000);
    blocks(&mut world, A, 3);
    assert!(!is_wrong(&mut world, A) && !is_wrong(&mut world, B));
}

#[test]
fn a_pool_that_pays_less_is_wrong_from_the_second_block_on() {
    for less in [thousandths(969), thousandths(0), POOL_ITSELF] {
        let mut world = with_a(thousandths(980), PayoutRule::Auto);
        blocks(&mut world, A, 2);
        pay(&mut world, A, thousandths(975));
        blocks(&mut world, A, 3);
        assert!(!is_wrong(&mut world, A), "within a point");
        pay(&mut world, A, less);
        blocks(&mut world, A, 1);
        assert!(!is_wrong(&mut world, A), "one block");
        blocks(&mut world, A, 1);
        assert!(is_wrong(&mut world, A));
        assert!(!is_wrong(&mut world, B));
        pay(&mut world, A, thousandths(980));
        blocks(&mut world, A, 2);
        assert!(is_wrong(&mut world, A));
        blocks(&mut world, A, 1);
        assert!(!is_wrong(&mut world, A), "over");
    }
}

#[test]
fn a_dismissed_payout_becomes_usual() {
    let mut world = with_a(thousandths(980), PayoutRule::Auto);
    blocks(&mut world, A, 2);
    pay(&mut world, A, thousandths(900));
    blocks(&mut world, A, 2);
    let changed = view(&mut world, A).payout_wrong.unwrap().since;
    world.tell(Event::PayoutSeen { slot: A, changed });
    for (part, wrong) in [(900, false), (895, false), (880, true)] {
        pay(&mut world, A, thousandths(part));
        blocks(&mut world, A, 3);
        assert_eq!(is_wrong(&mut world, A), wrong, "{part}");
    }
}

#[test]
fn the_usual_payout_survives_a_restart() {
    let mut world = with_a(thousandths(980), PayoutRule::Auto);
    blocks(&mut world, A, 2);
    let text = serde_json::to_string(&world.core.memory()).unwrap();
    let memory = serde_json::from_str(&text).unwrap();
    let config = one_key(PayoutRule::Auto);
    let mut world = started(&config, [POOL_ITSELF, POOL_ITSELF], memory);
    blocks(&mut world, A, 1);
    assert!(is_wrong(&mut world, A));
    assert!(!is_wrong(&mut world, B));
    // With another wallet it is unknown.
    let mut moved = config;
    moved.pools[A].as_mut().unwrap().wallet = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4".into();
    world.configure(moved);
    world.run(Duration::from_secs(65), |_| ());
    blocks(&mut world, A, 3);
    assert!(!is_wrong(&mut world, A));
}

#[test]
fn another_payee_from_the_start_is_wrong_only_if_the_owner_set_one() {
    for (payout, wrong) in [
        (PayoutRule::Auto, false),
        (PayoutRule::Mine, true),
        (PayoutRule::Pool, false),
    ] {
        for pays in [POOL_ITSELF, thousandths(899)] {
            let mut world = with_a(pays, payout);
            blocks(&mut world, A, 3);
            assert_eq!(is_wrong(&mut world, A), wrong, "{payout:?}");
        }
    }
    let mut world = with_a(thousandths(901), PayoutRule::Mine);
    blocks(&mut world, A, 3);
    assert!(!is_wrong(&mut world, A));
}

#[test]
fn a_satoshi_does_not_count_as_a_payment() {
    let dust = vec![(312_499_999, other(1)), (1, mine())];
    let mut world = with_a(thousandths(1000), PayoutRule::Auto);
    blocks(&mut world, A, 2);
    pay(&mut world, A, dust);
    blocks(&mut world, A, 2);
    let paid = payment(&mut world, A);
    assert_eq!((paid.kind, paid.share), (PayoutKind::Pool, 0.0));
    assert!(is_wrong(&mut world, A));
}

#[test]
fn shared_payout_pools_may_pay_any_address() {
    let among = |count: u16, to_me: u64| {
        let mut outputs: Vec<_> = (1..count).map(|at| (500_000, other(at))).collect();
        outputs.push((to_me, mine()));
        outputs
    };
    // B uses a new address in each job.
    let mut world = with_a(among(600, 500_000), PayoutRule::Auto);
    let coinbase = insight(&mut world, A).coinbase.unwrap();
    // The miners' outputs, and the witness commitment.
    assert_eq!(coinbase.outputs, 601);
    assert_eq!(payment(&mut world, A).kind, PayoutKind::Shared);
    for (count, to_me) in [(500, 9_000_000), (300, 0), (600, 100_000_000), (20, 1)] {
        pay(&mut world, A, among(count, to_me));
        blocks(&mut world, A, 2);
        blocks(&mut world, B, 2);
        assert_eq!(payment(&mut world, A).kind, PayoutKind::Shared);
        assert_eq!(payment(&mut world, B).kind, PayoutKind::Pool);
        assert!(!is_wrong(&mut world, A) && !is_wrong(&mut world, B));
    }
}

#[test]
fn empty_jobs_at_the_start_of_a_block_are_not_judged() {
    let mut world = with_a(thousandths(1000), PayoutRule::Mine);
    for _ in 0..4 {
        pay(&mut world, A, POOL_ITSELF);
        // Blocks in quick succession.
        for _ in 0..3 {
            new_block(&mut world, A);
            world.run(Duration::from_secs(5), |_| ());
            assert_eq!(payment(&mut world, A).kind, PayoutKind::Pool);
            assert!(!is_wrong(&mut world, A));
        }
        pay(&mut world, A, thousandths(1000));
        world.run(Duration::from_secs(60), |_| ());
        assert_eq!(payment(&mut world, A).kind, PayoutKind::Mine);
    }
    assert!(!is_wrong(&mut world, A));
}

#[test]
fn an_unreadable_coinbase_is_still_mined() {
    let odd = PoolOptions {
        odd_coinbase: true,
        ..PoolOptions::default()
    };
    let config = one_key(PayoutRule::Mine);
    let mut world = at_pools(&config, [odd, PoolOptions::default()], Memory::default());
    blocks(&mut world, A, 3);
    let seen = insight(&mut world, A);
    assert_eq!(seen.coinbase, None);
    assert_eq!(seen.payee, Payee::CannotTell(Obstacle::Coinbase));
    let pool = view(&mut world, A);
    assert_eq!(pool.payout_wrong, None);
    let shares = &pool.totals.shares;
    assert!(shares.accepted > 10, "{shares:?}");
    assert!(shares.rejected.is_empty(), "{shares:?}");
}

#[test]
fn one_connection_is_watched_until_its_miner_leaves() {
    fn by_worker(user: &str) -> Outputs {
        thousandths(if user.ends_with("first") { 980 } else { 0 })
    }
    let solo = PoolOptions {
        pays_user: Some(by_worker),
        ..PoolOptions::default()
    };
    let config = one_key(PayoutRule::Auto);
    let mut world = at_pools(&config, [solo, PoolOptions::default()], Memory::default());
    blocks(&mut world, A, 1);
    let paid = payment(&mut world, A);
    assert_eq!((paid.kind, paid.share), (PayoutKind::Mine, 0.98));
    world.hang_up(0);
    world.run(Duration::from_secs(65), |_| ());
    assert_eq!(world.connected(), 1);
    assert_eq!(payment(&mut world, A).kind, PayoutKind::Pool);
}
