//! Version bits when the job's version has bits inside the mask: every style of miner with every form of pool, alone
//! and between two pools of different forms (compat Q57).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dpmp::core::fact::Fact;
use dpmp::core::memory::Memory;
use dpmp::sim::chain::judge::{Verdict, VersionBits};
use dpmp::sim::miner::options::{Handshake, MinerOptions, Pace, RollingStyle};
use dpmp::sim::pool::options::PoolOptions;
use dpmp::units::{PoolSlot, VersionForm};

use crate::world::{World, config};

const POOLS: [VersionBits; 3] = [VersionBits::Replace, VersionBits::Xor, VersionBits::Or];

const STYLES: [RollingStyle; 4] = [
    RollingStyle::Replace,
    RollingStyle::Delta,
    RollingStyle::Add,
    RollingStyle::Never,
];

/// One bit inside the mask, and nine bits.
const VERSIONS: [u32; 2] = [0x2000_4202, 0x32ef_0000];

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn pool(form: VersionBits, version: u32) -> PoolOptions {
    let mut options = PoolOptions {
        seed: u64::from(version) + form as u64,
        version,
        // One header in 1,074 is a share, and one share in 15 a block. Another form rarely meets the target by chance.
        difficulty: 2.5e-7,
        nbits: 0x1f03_ffff,
        ..PoolOptions::default()
    };
    options.rules.version_bits = form;
    options
}

fn miner(style: RollingStyle) -> MinerOptions {
    MinerOptions {
        rolling_style: style,
        pace: Pace::Shares(0.5),
        ..MinerOptions::default()
    }
}

/// Whether a pool of this form can rebuild the header that such a miner hashes.
fn fits(style: RollingStyle, form: VersionBits) -> bool {
    !(style == RollingStyle::Replace && form == VersionBits::Or)
}

/// No block was lost on the way, and none was counted twice.
fn check_blocks(world: &World, what: &str) {
    let mut found = BTreeSet::new();
    let mut results = 0;
    for fact in &world.facts {
        match fact {
            Fact::BlockFound { hash, .. } => assert!(found.insert(hash.0), "{what}: told twice"),
            Fact::ShareResult(share) => results += usize::from(share.block),
            _ => (),
        }
    }
    let mut taken = BTreeSet::new();
    for slot in PoolSlot::ALL {
        for share in world.sites[slot].model.ledger().shares() {
            if share.judgement.is_block && share.judgement.verdict == Verdict::Accepted {
                let mut hash = share.judgement.hash.unwrap();
                hash.reverse();
                taken.insert(hash);
            }
        }
    }
    assert!(found.len() > 2, "{what}: {} blocks", found.len());
    let missing = found.difference(&taken).count();
    assert_eq!(missing, 0, "{what}: blocks that no pool took");
    assert_eq!(results, found.len(), "{what}: a block counts once");
}

#[test]
fn every_style_of_miner_works_with_every_form_of_pool() {
    for version in VERSIONS {
        for form in POOLS {
            for style in STYLES {
                let what = format!("{style:?} at {form:?}, {version:08x}");
                let pools = [pool(form, version), pool(form, version)];
                let mut world = World::new(config([100.0, 0.0], 10.0), pools, 1);
                world.keep_facts = true;
                world.add_miner(miner(style), seconds(2));
                world.run(seconds(300), |_| ());
                let site = world.sites[PoolSlot::A].model.ledger();
                let ledger = world.rigs[0].model.ledger();
                assert!(ledger.submitted() > 120, "{what}: {}", ledger.submitted());
                if fits(style, form) {
                    // The cost of learning: at most three rejects, and one block in the other form for each.
                    let lost = ledger.rejected();
                    assert!(lost <= 4, "{what}: {lost} lost, {}", site.summary());
                    check_blocks(&world, &what);
                } else {
                    // Directly at the pool, all of these would be rejected. DPMP blocks all but a few.
                    let rejects = site.refused();
                    let told = world
                        .facts
                        .iter()
                        .any(|fact| matches!(fact, Fact::VersionForm { form: None, .. }));
                    let blocked =
                        world.core.snapshot(world.clock()).pools[PoolSlot::A].form_blocked;
                    if version == VERSIONS[1] {
                        assert!(told && blocked.is_some_and(|it| it.shares > 50), "{what}");
                        let blocks = 2 * site.blocks() + 2 * ledger.submitted() / 15;
                        assert!(rejects <= 20 + blocks, "{what}: {}", site.summary());
                    } else {
                        // The half that happens to have the job's bit is accepted, and the other half blocked.
                        assert!(site.accepted() > 40, "{what}: {}", site.summary());
                    }
                }
            }
        }
    }
}

/// compat Q57: AxeOS and others take turns between two different pools, one of them sometimes without version rolling.
#[test]
fn miners_of_all_styles_work_between_pools_of_different_forms() {
    for a in POOLS {
        for b in [
            Some(VersionBits::Replace),
            Some(VersionBits::Xor),
            Some(VersionBits::Or),
            None,
        ] {
            let what = format!("{a:?} and {b:?}");
            let mut other = pool(b.unwrap_or_default(), VERSIONS[1]);
            if b.is_none() {
                other.mask = None;
            }
            let pools = [pool(a, VERSIONS[0]), other];
            let mut world = World::new(config([50.0, 50.0], 10.0), pools, 2);
            world.keep_facts = true;
            for style in [RollingStyle::Delta, RollingStyle::Add, RollingStyle::Never] {
                world.add_miner(miner(style), seconds(2));
            }
            // Without version rolling it sends five parameters.
            let plain = MinerOptions {
                handshake: Handshake::Cpuminer,
                rolling: None,
                ..miner(RollingStyle::Replace)
            };
            world.add_miner(plain, seconds(2));
            world.run(seconds(240), |_| ());
            for rig in &world.rigs {
                let ledger = rig.model.ledger();
                assert!(ledger.accepted() > 80, "{what}: {}", ledger.accepted());
            }
            let lost: u64 = world
                .rigs
                .iter()
                .map(|rig| rig.model.ledger().rejected())
                .sum();
            assert!(lost <= 12, "{what}: {lost} lost");
            check_blocks(&world, &what);
        }
    }
}

/// The form is remembered per address across a restart. If another pool is at the address, DPMP learns it again.
#[test]
fn a_form_is_remembered_and_learned_again() {
    let [one, other] = [VersionBits::Xor, VersionBits::Replace];
    let pools = || [pool(one, VERSIONS[0]), pool(one, VERSIONS[0])];
    let mut world = World::new(config([100.0, 0.0], 10.0), pools(), 3);
    world.keep_facts = true;
    world.add_miner(miner(RollingStyle::Replace), seconds(2));
    world.run(seconds(60), |_| ());
    let learnt = |world: &World| {
        let forms = world.facts.iter().filter_map(|fact| match fact {
            Fact::VersionForm { form, .. } => Some(*form),
            _ => None,
        });
        forms.collect::<Vec<_>>()
    };
    assert!(
        learnt(&world).contains(&Some(VersionForm::Delta)),
        "{:?}",
        learnt(&world)
    );
    let memory = serde_json::to_string(&world.core.memory()).unwrap();
    let memory: Memory = serde_json::from_str(&memory).unwrap();

    let mut world = World::remembering(Arc::new(config([100.0, 0.0], 10.0)), pools(), memory, 4);
    world.keep_facts = true;
    world.add_miner(miner(RollingStyle::Replace), seconds(2));
    world.run(seconds(120), |_| ());
    assert_eq!(world.sites[PoolSlot::A].model.ledger().refused(), 0);
    world.pool(PoolSlot::A, |pool, now, out| {
        pool.change(|options| options.rules.version_bits = other, now, out);
    });
    world.run(seconds(120), |_| ());
    let refused = world.sites[PoolSlot::A].model.ledger().refused();
    assert!((1..=16).contains(&refused), "{refused} refused");
    assert!(
        learnt(&world).contains(&Some(VersionForm::Bits)),
        "{:?}",
        learnt(&world)
    );
}
