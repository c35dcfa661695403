//! Backup addresses of a pool: when they take over, and what the owner sees. Returning to the first address takes five
//! minutes and is tested in simulated time.

use std::time::Duration;

use dpmp::sim::chain::judge::Verdict;
use dpmp::sim::miner::SimMiner;
use dpmp::sim::pool::SimPool;
use dpmp::sim::pool::options::{AuthorizeRule, PoolOptions};
use serde_json::json;

use crate::support::http::Http;
use crate::support::proxy::{self, Proxy, Setup};
use crate::support::{SOON, miner, pool, settle, wait_until};

/// DPMP leaves a useless address after 20 s.
const PATIENCE: Duration = Duration::from_secs(40);

/// Two pools; A has a backup with its own wallet.
struct Scene {
    a: SimPool,
    b: SimPool,
    spare: SimPool,
    proxy: Proxy,
    miners: Vec<SimMiner>,
}

impl Scene {
    fn new(first: impl FnOnce(&mut PoolOptions)) -> Self {
        let (a, b) = (pool("A", first), pool("B", |_| ()));
        let spare = pool("spare", |_| ());
        let backup = format!("otherwallet@127.0.0.1:{}", spare.port());
        let proxy = Setup::new(&a, &b)
            .set("pools.A.backups", json!([backup]))
            .start();
        let miners = (0..3).map(|_| miner(proxy.address(), |_| ())).collect();
        Self {
            a,
            b,
            spare,
            proxy,
            miners,
        }
    }

    #[track_caller]
    fn wait_until_the_backup_has_the_work(&self, why: &str) {
        wait_until(PATIENCE, "shares for the backup", || {
            self.spare.ledger().accepted() > 20
        });
        assert!(
            self.proxy.logged("pool_failover", "\"backup\":1"),
            "{}",
            self.proxy.log()
        );
        assert!(
            self.proxy.logged("pool_failover", why),
            "{}",
            self.proxy.log()
        );
        wait_until(SOON, "the metric", || self.on_backup() == Some(1.0));
        let http = Http::new(self.proxy.pages_address());
        // The status is up to a second old, and may still say that the pool is down.
        wait_until(SOON, "the alert", || {
            let status = http.get("/api/v1/status").json();
            let mut alerts = status["alerts"].as_array().unwrap().iter();
            status["pools"]["A"]["backup"] == 1 && alerts.any(|alert| alert["id"] == "on_backup:A")
        });
    }

    fn on_backup(&self) -> Option<f64> {
        self.proxy.metric("dpmp_pool_backup{pool=\"A\"}")
    }

    /// No miner noticed anything, and no pool got a name or share meant for another.
    #[track_caller]
    fn check(self) {
        settle(&self.miners);
        for miner in &self.miners {
            assert_eq!(miner.ledger().connections(), 1);
            assert_eq!(miner.ledger().violations(), []);
        }
        for (pool, wallet) in [
            (&self.a, "walletA"),
            (&self.b, "walletB"),
            (&self.spare, "otherwallet"),
        ] {
            let ledger = pool.ledger();
            assert_eq!(ledger.violations(), []);
            for connection in ledger.connections() {
                let worker = connection.worker.unwrap_or_else(|| wallet.into());
                assert!(worker.starts_with(wallet), "{worker} at {wallet}'s pool");
            }
        }
        assert_eq!(self.b.ledger().refused(), 0);
        assert_eq!(self.spare.ledger().refused(), 0);
    }
}

#[test]
fn a_dead_pool_is_replaced_by_its_backup_until_the_owner_removes_it() {
    let mut scene = Scene::new(|_| ());
    wait_until(SOON, "shares for both", || {
        scene.a.ledger().accepted() > 10 && scene.b.ledger().accepted() > 10
    });
    assert_eq!(scene.on_backup(), Some(0.0));
    // A test connection may have examined it, without a worker name.
    let looks = scene.spare.ledger().connections();
    assert!(looks.len() <= 1 && looks.iter().all(|look| look.worker.is_none()));
    scene.a.go_down();
    scene.wait_until_the_backup_has_the_work("refused");

    scene.a.come_back().unwrap();
    scene.proxy.rewrite_config(|config| {
        config["pools"]["A"]["backups"] = json!([]);
    });
    let before = scene.a.ledger().accepted();
    wait_until(PATIENCE, "shares for the first address again", || {
        scene.a.ledger().accepted() > before + 10
    });
    wait_until(SOON, "the backup to be left", || {
        scene.spare.ledger().connections_open() == 0
    });
    wait_until(SOON, "the metric", || scene.on_backup() == Some(0.0));
    scene.check();
}

#[test]
fn a_pool_that_rejects_the_wallet_is_replaced() {
    let scene = Scene::new(|options| options.authorize = AuthorizeRule::NoOne);
    scene.wait_until_the_backup_has_the_work("refused");
    assert_eq!(scene.a.ledger().accepted(), 0);
    scene.check();
}

#[test]
fn a_pool_that_rejects_most_shares_is_replaced() {
    let scene = Scene::new(|options| options.refuse_all = Some(Verdict::LowDifficulty));
    scene.wait_until_the_backup_has_the_work("it rejected ");
    scene.check();
}

#[test]
fn a_pool_that_hangs_is_replaced() {
    let scene = Scene::new(|options| options.silent = true);
    scene.wait_until_the_backup_has_the_work("");
    scene.check();
}

#[test]
fn check_tries_the_backups_too() {
    let (a, b) = (pool("checkA", |_| ()), pool("checkB", |_| ()));
    let spare = pool("checkspare", |_| ());
    let run = || {
        let backup = format!("otherwallet@127.0.0.1:{}", spare.port());
        let config = Setup::new(&a, &b)
            .set("pools.A.backups", json!([backup.clone()]))
            .config;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, config.to_string()).unwrap();
        let (good, text) = proxy::check(&path);
        let named = format!("backup 1: stratum+tcp://{backup}");
        assert!(text.contains(&named), "{text}");
        good
    };
    assert!(run());
    spare.go_down();
    assert!(!run());
}
