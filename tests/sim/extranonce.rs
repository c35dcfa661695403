//! Miners that need certain extranonce sizes, at pools that leave little room: the sizes fit their software, and no
//! share is lost because of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dpmp::core::fact::Fact;
use dpmp::sim::miner::options::{Extranonce2Use, MinerOptions, Pace, Refusals};
use dpmp::sim::pool::options::{ExtranonceReuse, PoolOptions};
use dpmp::units::PoolSlot::{A, B};
use dpmp::units::{MinerExtranonce, PoolSlot};

use crate::world::{HOSTS, World, config};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn pools(sizes: [usize; 2], reuse: ExtranonceReuse) -> [PoolOptions; 2] {
    [1, 2].map(|seed| PoolOptions {
        seed,
        e2_size: sizes[usize::try_from(seed - 1).unwrap()],
        e1_reuse: reuse,
        ..PoolOptions::default()
    })
}

fn plain() -> MinerOptions {
    MinerOptions {
        pace: Pace::Shares(0.5),
        ..MinerOptions::default()
    }
}

fn nerdminer() -> MinerOptions {
    MinerOptions {
        user_agent: "NerdMinerV2".into(),
        user: "w.nerd".into(),
        rolling: None,
        e2_size: Extranonce2Use::TwoFourEight,
        refuses: Refusals {
            empty_e1: true,
            e2_below: 0,
        },
        ..plain()
    }
}

fn leafminer() -> MinerOptions {
    MinerOptions {
        user_agent: "LeafMiner/0.3.1".into(),
        user: "w.leaf".into(),
        rolling: None,
        e2_size: Extranonce2Use::Always(4),
        ..plain()
    }
}

fn hired() -> MinerOptions {
    MinerOptions {
        user_agent: "NiceHash/1.0.0".into(),
        user: "w.hired".into(),
        refuses: Refusals {
            empty_e1: false,
            e2_below: 4,
        },
        ..plain()
    }
}

/// Runs miners for some minutes and checks that each kept its only connection and lost nothing.
fn all_is_well(world: &mut World, minutes: u64) {
    world.run(seconds(60 * minutes), |_| ());
    for rig in &world.rigs {
        let ledger = rig.model.ledger();
        let who = &rig.model.options().user;
        assert_eq!(ledger.connections(), 1, "{who}");
        assert_eq!(ledger.rejected(), 0, "{who}: {:?}", ledger.rejections());
        assert!(ledger.accepted() >= 20 * minutes, "{who}");
    }
    for slot in PoolSlot::ALL {
        let ledger = world.sites[slot].model.ledger();
        assert_eq!(ledger.refused(), 0, "{}", ledger.summary());
    }
}

/// The extranonces the miners got, in the order they were authorized.
fn told(world: &World) -> Vec<MinerExtranonce> {
    let told = world.facts.iter().filter_map(|fact| match fact {
        Fact::MinerAuthorized { extranonce, .. } => *extranonce,
        _ => None,
    });
    told.collect()
}

#[test]
fn software_that_wants_certain_sizes_gets_them_where_room_is_scarce() {
    for n in 4..=8 {
        for sizes in [[n, n], [8, n], [n, 8]] {
            let mut world = World::new(
                config([50.0, 50.0], 10.0),
                pools(sizes, ExtranonceReuse::Slots),
                1,
            );
            for options in [nerdminer(), leafminer(), hired(), plain(), nerdminer()] {
                world.add_miner(options, seconds(2));
            }
            all_is_well(&mut world, 5);
        }
    }
}

#[test]
fn nerdminer_works_where_three_bytes_are_left() {
    let mut world = World::new(
        config([50.0, 50.0], 10.0),
        pools([3, 8], ExtranonceReuse::Never),
        1,
    );
    world.add_miner(nerdminer(), seconds(2));
    world.add_miner(plain(), seconds(2));
    all_is_well(&mut world, 5);
}

/// With an empty extranonce1, two miners with the same pool extranonce1 would do the same work.
#[test]
fn every_miner_gets_an_extranonce1_at_pools_that_give_all_the_same() {
    for reuse in [[true, true], [true, false], [false, true]] {
        let [mut a, mut b] = pools([4, 8], ExtranonceReuse::Never);
        for (pool, same) in [&mut a, &mut b].into_iter().zip(reuse) {
            if same {
                pool.e1_reuse = ExtranonceReuse::Always;
            }
        }
        let mut world = World::new(config([50.0, 50.0], 10.0), [a, b], 1);
        world.keep_facts = true;
        for _ in 0..4 {
            world.add_miner(
                MinerOptions {
                    user_agent: "NiceHash/1.0.0".into(),
                    ..plain()
                },
                seconds(2),
            );
        }
        all_is_well(&mut world, 5);
        let e1s: BTreeSet<_> = told(&world)
            .iter()
            .map(|told| told.e1.to_string())
            .collect();
        assert_eq!(e1s.len(), 4, "each miner has its own");
        assert!(!e1s.contains(""));
    }
}

#[test]
fn a_repeated_extranonce1_withdraws_the_empty_one_for_later_miners() {
    let mut world = World::new(
        config([50.0, 50.0], 10.0),
        pools([4, 4], ExtranonceReuse::Never),
        1,
    );
    world.keep_facts = true;
    let [lenient, later] = [(), ()].map(|()| MinerOptions {
        user_agent: "NiceHash/1.0.0".into(),
        ..plain()
    });
    world.add_miner(lenient.clone(), seconds(2));
    world.run(seconds(30), |_| ());
    world.pool(B, |pool, now, out| {
        pool.change(
            |options| options.e1_reuse = ExtranonceReuse::Always,
            now,
            out,
        );
    });
    // DPMP notices at the second connection that gets the same extranonce1.
    world.add_miner(plain(), seconds(2));
    world.add_miner(plain(), seconds(2));
    world.run(seconds(30), |_| ());
    world.add_miner(later, seconds(2));
    world.run(seconds(60), |_| ());
    let sizes: Vec<_> = told(&world)
        .iter()
        .map(|told| (told.e1.len(), told.e2_size))
        .collect();
    assert_eq!(sizes, [(0, 4), (1, 3), (1, 3), (1, 3)]);
}

#[test]
fn a_miner_gets_the_size_it_sends_after_three_shares_and_on_return() {
    for (n, sends, subscribes) in [
        (8, 3, false),
        (8, 3, true),
        (8, 8, false),
        (4, 4, false),
        (4, 2, true),
        (3, 3, false),
    ] {
        let mut world = World::new(
            config([50.0, 50.0], 10.0),
            pools([n, 8], ExtranonceReuse::Never),
            1,
        );
        world.keep_facts = true;
        world.add_miner(
            MinerOptions {
                user_agent: "oddminer/7".into(),
                e2_size: Extranonce2Use::Always(sends),
                extranonce_subscribe: subscribes,
                ..plain()
            },
            seconds(2),
        );
        world.run(seconds(120), |_| ());
        let case = format!("{n} bytes, sends {sends}");
        let ledger = world.rigs[0].model.ledger();
        assert_eq!(
            ledger.connections(),
            if subscribes { 1 } else { 2 },
            "{case}"
        );
        let refused = ledger.rejected();
        // Some shares were in flight before it got the size. For all eight bytes, DPMP has to test the pools first.
        let most = if n == 8 && sends == 8 { 7 } else { 4 };
        assert!((3..=most).contains(&refused), "{case}: {refused}");
        assert!(ledger.accepted() > 40, "{case}");
        let learnt = world.facts.iter().filter_map(|fact| match fact {
            Fact::ExtranonceSizeLearnt { sent, .. } => Some(usize::from(*sent)),
            _ => None,
        });
        assert_eq!(learnt.collect::<Vec<_>>(), [sends], "{case}");

        world.hang_up(0);
        world.connect(0);
        world.run(seconds(60), |_| ());
        let ledger = world.rigs[0].model.ledger();
        assert_eq!(ledger.rejected(), refused, "{case}: it is remembered");
        let memory = serde_json::to_string(&world.core.memory()).unwrap();
        assert!(memory.contains("oddminer/7"), "{memory}");
    }
}

/// A miner whose sizes vary, or that there is no room for, is not disconnected again and again.
#[test]
fn a_miner_that_cannot_be_helped_is_left_alone() {
    for (sends, reuse, most) in [
        (5, ExtranonceReuse::Never, 1),
        (4, ExtranonceReuse::Always, 1),
    ] {
        let mut world = World::new(config([50.0, 50.0], 10.0), pools([4, 4], reuse), 1);
        world.add_miner(
            MinerOptions {
                e2_size: Extranonce2Use::Always(sends),
                ..plain()
            },
            seconds(2),
        );
        world.run(seconds(300), |_| ());
        assert_eq!(world.rigs[0].model.ledger().connections(), most);
    }
}

#[test]
fn the_owner_may_set_the_size() {
    for (n, wanted, e1, e2) in [
        (8, "2", 4, 2),
        (8, "3", 4, 3),
        (8, "8", 0, 8),
        (4, "4", 0, 4),
        (4, "8", 1, 3),
    ] {
        let mut config = config([50.0, 50.0], 10.0);
        config.listen.extranonce2_size = wanted.parse().ok();
        let mut world = World::new(config, pools([n, n], ExtranonceReuse::Never), 1);
        world.keep_facts = true;
        world.add_miner(plain(), seconds(2));
        world.add_miner(plain(), seconds(2));
        all_is_well(&mut world, 2);
        for told in told(&world) {
            assert_eq!((told.e1.len(), told.e2_size), (e1, e2), "{n}, {wanted}");
        }
    }
}

/// The size of a backup with less room counts from the start, so nothing changes when DPMP uses it.
#[test]
fn a_backup_with_a_shorter_extranonce2_changes_nothing_when_it_is_used() {
    let mut config = config([100.0, 0.0], 10.0);
    let text = format!(
        r#"{{"pools": {{"A": {{"host": "{}", "wallet": "walletA", "backups": ["{}:3333"]}}}}}}"#,
        HOSTS[A], HOSTS[B]
    );
    config.pools[A] = dpmp::config::parse(&text).unwrap().config.pools[A].clone();
    config.pools[B] = None;
    for backup in [2, 3, 4, 5] {
        let mut world = World::new(
            config.clone(),
            pools([8, backup], ExtranonceReuse::Never),
            1,
        );
        let options = [plain(), nerdminer(), leafminer()];
        let count = if backup < 4 { 1 } else { 3 };
        for options in options.into_iter().take(count) {
            world.add_miner(options, seconds(2));
        }
        world.run(seconds(120), |_| ());
        world.take_down(A);
        world.run(seconds(240), |_| ());
        for rig in &world.rigs {
            let ledger = rig.model.ledger();
            let who = &rig.model.options().user;
            assert_eq!(ledger.connections(), 1, "{who}, {backup} bytes");
            assert_eq!(ledger.set_extranonces(), 0, "{who}");
        }
        let ledger = world.sites[B].model.ledger();
        assert_eq!(ledger.refused(), 0, "{}", ledger.summary());
        assert!(ledger.accepted() > 60, "{}", ledger.summary());
    }
}

/// More miners than a one-byte extranonce1 can tell apart, at pools that give all clients the same: the first 256 get
/// one.
#[test]
fn all_256_miners_get_an_extranonce1_where_pools_give_all_the_same() {
    let mut world = World::new(
        config([50.0, 50.0], 10.0),
        pools([4, 4], ExtranonceReuse::Always),
        1,
    );
    world.keep_facts = true;
    for _ in 0..40 {
        world.add_miner(plain(), seconds(20));
    }
    world.run(seconds(30), |_| ());
    // Their numbers keep increasing, and most of them leave.
    for round in 0..8 {
        for index in 0..30 {
            world.hang_up(index);
            world.connect(index);
        }
        world.run(seconds(10 + round), |_| ());
    }
    assert!(told(&world).len() > 256, "the numbers have started over");
    let mut held = BTreeMap::new();
    for fact in &world.facts {
        match fact {
            Fact::MinerAuthorized {
                miner, extranonce, ..
            } => {
                held.insert(*miner, extranonce.unwrap().e1.to_string());
            }
            Fact::MinerDisconnected { miner, .. } => {
                held.remove(miner);
            }
            _ => (),
        }
    }
    let e1s: BTreeSet<_> = held.values().collect();
    assert_eq!((held.len(), e1s.len()), (40, 40));
}
