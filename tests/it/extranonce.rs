//! Firmware that needs certain extranonce sizes mines at pools that leave four bytes, and nothing is rejected.

use dpmp::sim::miner::options::{Extranonce2Use, MinerOptions, Refusals};
use dpmp::sim::pool::options::ExtranonceReuse;

use crate::support::proxy::Setup;
use crate::support::{SOON, miner, pool, wait_until};

fn nerdminer(options: &mut MinerOptions) {
    options.user_agent = "NerdMinerV2".into();
    options.rolling = None;
    options.e2_size = Extranonce2Use::TwoFourEight;
    options.refuses.empty_e1 = true;
}

fn leafminer(options: &mut MinerOptions) {
    options.user_agent = "LeafMiner/0.3.1".into();
    options.rolling = None;
    options.e2_size = Extranonce2Use::Always(4);
}

fn hired(options: &mut MinerOptions) {
    options.user_agent = "NiceHash/1.0.0".into();
    options.refuses = Refusals {
        empty_e1: false,
        e2_below: 4,
    };
}

#[test]
fn firmware_that_needs_certain_sizes_mines_at_pools_with_four_bytes() {
    let [a, b] = ["A", "B"].map(|tag| {
        pool(tag, |options| {
            options.e2_size = 4;
            options.e1_reuse = ExtranonceReuse::Slots;
        })
    });
    let proxy = Setup::new(&a, &b).start();
    let miners = [nerdminer, leafminer, hired].map(|kind| miner(proxy.address(), kind));
    for (miner, who) in miners.iter().zip(["NerdMiner", "LeafMiner", "hired"]) {
        wait_until(SOON * 2, "shares for both pools", || {
            let submits = miner.ledger().submits();
            let of = |tag| {
                submits
                    .iter()
                    .filter(|it| it.tag.as_deref() == Some(tag))
                    .count()
            };
            of("A") > 10 && of("B") > 10
        });
        let ledger = miner.ledger();
        assert_eq!(ledger.violations(), [], "{who}");
        assert_eq!(ledger.connections(), 1, "{who}");
        assert_eq!(ledger.rejected(), 0, "{who}: {:?}", ledger.rejections());
    }
    for pool in [&a, &b] {
        assert_eq!(pool.ledger().refused(), 0, "{}", pool.ledger().summary());
    }
}

/// A size that a miner always sends is still known after a restart.
#[test]
fn a_size_a_miner_insists_on_is_remembered_across_a_restart() {
    let [a, b] = ["A", "B"].map(|tag| pool(tag, |options| options.e2_size = 4));
    let odd = |options: &mut MinerOptions| {
        options.user_agent = "oddminer/1".into();
        options.e2_size = Extranonce2Use::Always(2);
    };
    let mut proxy = Setup::new(&a, &b).start();
    let first = miner(proxy.address(), odd);
    wait_until(SOON * 2, "the size that it sends", || {
        first.ledger().accepted() > 5
    });
    assert_eq!(first.ledger().connections(), 2);
    assert!(first.ledger().rejected() >= 3);
    drop(first);
    proxy.restart();
    let second = miner(proxy.address(), odd);
    wait_until(SOON * 2, "accepted shares", || {
        second.ledger().accepted() > 5
    });
    assert_eq!(second.ledger().rejected(), 0);
    assert_eq!(second.ledger().connections(), 1);
}
