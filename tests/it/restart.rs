//! After a restart, clean or not, DPMP hands out no work twice.

use std::time::Duration;

use dpmp::sim::chain::judge::Verdict;
use dpmp::sim::pool::SimPool;
use dpmp::sim::pool::options::{ExtranonceReuse, PoolOptions};

use crate::support::proxy::{Proxy, Setup};
use crate::support::{miner, pool, wait_until};

/// A pool that gives each client its old extranonce1 again and always has the same job.
fn steady(tag: &str, e1_size: usize) -> SimPool {
    pool(tag, |options: &mut PoolOptions| {
        options.e1_size = e1_size;
        options.e1_reuse = ExtranonceReuse::Slots;
        options.job_interval = None;
    })
}

/// Two miners that start each job from its beginning keep working through restarts.
fn restarts(how: impl Fn(&mut Proxy)) {
    let pools = [steady("A", 4), steady("B", 0)];
    let mut proxy = Setup::new(&pools[0], &pools[1]).start();
    let miners = ["one", "two"].map(|name| {
        miner(proxy.address(), |options| {
            options.user = format!("wallet.{name}");
            options.reconnect = Some(Duration::from_millis(50));
        })
    });
    for round in 1..=3 {
        let before = [0, 1].map(|index: usize| pools[index].ledger().accepted());
        let patience = Duration::from_secs(60);
        wait_until(patience, "shares for both pools", || {
            let accepted = |index: usize| pools[index].ledger().accepted() - before[index];
            accepted(0) >= 40 && accepted(1) >= 40
        });
        for pool in &pools {
            let ledger = pool.ledger();
            let duplicates = ledger.count(Verdict::Duplicate);
            assert_eq!(duplicates, 0, "round {round}: {}", ledger.summary());
            assert_eq!(ledger.count(Verdict::Ntime), 0, "{}", ledger.summary());
        }
        // It must be working before the final stop.
        if round < 3 {
            how(&mut proxy);
        }
    }
    drop(miners);
}

#[test]
fn a_clean_restart_repeats_no_work() {
    restarts(Proxy::restart);
}

/// DPMP was killed before it ever wrote its state, except for the note at the start.
#[test]
fn a_crash_repeats_no_work() {
    restarts(Proxy::crash);
}

/// The owner deleted the file to start counting from zero.
#[test]
fn a_restart_without_the_state_file_repeats_no_work() {
    restarts(|proxy| {
        proxy.stop();
        std::fs::remove_file(proxy.file("state.json")).unwrap();
        proxy.start_again();
    });
}
