//! Pools that die, hang and come back.

use std::time::{Duration, Instant};

use dpmp::sim::miner::SimMiner;
use dpmp::sim::miner::ledger::MinerLedger;
use dpmp::sim::pool::options::ExtranonceReuse;

use crate::support::client::Client;
use crate::support::proxy::{Proxy, Setup};
use crate::support::{AT_ONCE, SOON, miner, pool, tag, wait_until};

fn farm(proxy: &Proxy, size: usize) -> Vec<SimMiner> {
    let start = |number| {
        miner(proxy.address(), |options| {
            options.user = format!("x.rig{number}");
            options.hangs_up_on_set_extranonce = true;
        })
    };
    let miners: Vec<SimMiner> = (0..size).map(start).collect();
    wait_until(SOON, "work from both pools", || {
        miners.iter().all(|miner| {
            let jobs = miner.ledger().jobs();
            let from = |name| jobs.iter().any(|job| job.tag.as_deref() == Some(name));
            from("A") && from("B")
        })
    });
    miners
}

/// When a miner first got work from a pool after this time.
fn first_job_after(ledger: &MinerLedger, moment: Instant, pool: &str) -> Option<Instant> {
    let jobs = ledger.jobs().into_iter();
    jobs.filter(|job| job.tag.as_deref() == Some(pool))
        .map(|job| job.at)
        .find(|at| *at > moment)
}

#[test]
fn miners_of_a_dead_pool_continue_at_the_other_and_return() {
    let a = pool("A", |_| ());
    let b = pool("B", |_| ());
    let proxy = Setup::new(&a, &b).start();
    let miners = farm(&proxy, 4);
    wait_until(SOON, "two miners on A", || {
        let on_a = |miner: &&SimMiner| tag(miner).as_deref() == Some("A");
        miners.iter().filter(on_a).count() >= 2
    });

    let on_a: Vec<bool> = miners
        .iter()
        .map(|miner| tag(miner).as_deref() == Some("A"))
        .collect();
    let died = Instant::now();
    a.go_down();
    wait_until(SOON, "all miners on B", || {
        miners
            .iter()
            .all(|miner| tag(miner).as_deref() == Some("B"))
    });
    for (miner, _) in miners.iter().zip(on_a).filter(|(_, on_a)| *on_a) {
        let moved = first_job_after(&miner.ledger(), died, "B").unwrap() - died;
        println!("new work {} ms after the pool died", moved.as_millis());
        assert!(moved < AT_ONCE, "{moved:?}");
    }

    a.come_back().unwrap();
    let back = Instant::now();
    wait_until(SOON, "work from A again", || {
        let returned = |miner: &SimMiner| first_job_after(&miner.ledger(), back, "A").is_some();
        miners.iter().all(returned)
    });
    println!(
        "all back {} ms after it came back",
        back.elapsed().as_millis()
    );
    for miner in &miners {
        let ledger = miner.ledger();
        assert_eq!(ledger.connections(), 1, "no miner may notice");
        assert_eq!(ledger.violations(), []);
        assert_eq!(ledger.set_extranonces(), 0);
        for refused in ledger.rejections() {
            // Shares on their way when the pool died, or found before the new job arrived.
            let code = refused.answer.as_ref().and_then(|answer| answer.code);
            assert!(matches!(code, Some(20 | 21)), "{refused:?}");
            assert!(refused.at < died + AT_ONCE, "{refused:?}");
        }
    }
    assert_eq!(b.ledger().refused(), 0, "{}", b.ledger().summary());
    assert_eq!(a.ledger().refused(), 0, "{}", a.ledger().summary());
}

#[test]
fn a_pool_that_falls_silent_is_detected() {
    let a = pool("A", |_| ());
    let b = pool("B", |_| ());
    let proxy = Setup::new(&a, &b).set("pools.A.stall_seconds", 5).start();
    let miners = farm(&proxy, 2);
    a.change(|options| options.silent = true);
    let fell_silent = Instant::now();
    // Until DPMP notices, miners still take turns at A. Afterwards they stay away.
    wait_until(SOON, "DPMP to notice A", || {
        proxy.logged("pool_down", "\"pool\":\"A\"")
    });
    let found = fell_silent.elapsed();
    println!("found out after {} ms", found.as_millis());
    assert!(found > Duration::from_secs(3), "{found:?}");
    assert!(found < AT_ONCE, "{found:?}");
    wait_until(SOON, "all miners on B", || {
        miners
            .iter()
            .all(|miner| tag(miner).as_deref() == Some("B"))
    });

    a.change(|options| options.silent = false);
    let speaks = Instant::now();
    wait_until(SOON * 2, "work from A again", || {
        let returned = |miner: &SimMiner| first_job_after(&miner.ledger(), speaks, "A").is_some();
        miners.iter().all(returned)
    });
    for miner in &miners {
        assert_eq!(miner.ledger().connections(), 1);
        assert_eq!(miner.ledger().violations(), []);
    }
}

#[test]
fn shares_left_unanswered_by_a_lost_pool_get_an_answer() {
    let a = pool("A", |options| options.answers_shares = false);
    let b = pool("B", |_| ());
    let proxy = Setup::new(&a, &b).set("scheduler.poolB_weight", 0).start();
    let miner = miner(proxy.address(), |_| ());
    let ledger = miner.ledger();
    wait_until(SOON, "shares at the pool", || a.ledger().accepted() >= 5);
    assert_eq!(ledger.accepted() + ledger.rejected(), 0);
    let connections = b.ledger().connections_opened();
    assert_eq!(connections, 0, "weight 0 is not connected");
    miner.pause(true);
    a.kill_connections();
    wait_until(SOON, "answers", || {
        ledger.unanswered(Instant::now(), Duration::ZERO) == 0
    });
    assert!(ledger.rejected() >= 5);
    for refused in ledger.rejections() {
        let answer = refused.answer.unwrap();
        assert_eq!(answer.code, Some(20), "{}", answer.text);
    }
    assert_eq!(ledger.violations(), []);

    a.change(|options| options.answers_shares = true);
    miner.pause(false);
    wait_until(SOON, "work after the reconnect", || ledger.accepted() > 0);
    assert_eq!(ledger.connections(), 1);
    assert_eq!(a.ledger().refused(), 0, "{}", a.ledger().summary());
}

#[test]
fn a_pool_that_leaves_a_share_unanswered_is_down() {
    let a = pool("A", |_| ());
    let b = pool("B", |_| ());
    let proxy = Setup::new(&a, &b).set("pools.A.answer_seconds", 1).start();
    let miners = farm(&proxy, 1);
    let ledger = miners[0].ledger();
    a.change(|options| options.answers_shares = false);
    wait_until(SOON, "a share that was given up", || ledger.rejected() > 0);
    for refused in ledger.rejections() {
        let answer = refused.answer.unwrap();
        assert_eq!(answer.code, Some(20), "{}", answer.text);
        assert_eq!(refused.tag.as_deref(), Some("A"));
        let waited = answer.at.saturating_duration_since(refused.at);
        assert!(waited < AT_ONCE, "{waited:?}");
    }
    let accepted = ledger.accepted();
    wait_until(SOON, "shares at B", || ledger.accepted() > accepted + 5);
    assert_eq!(ledger.connections(), 1);
}

#[test]
fn a_reconnect_to_another_host_is_refused_and_to_the_same_followed() {
    let a = pool("A", |_| ());
    let b = pool("B", |_| ());
    let thief = pool("T", |_| ());
    let proxy = Setup::new(&a, &b).start();
    let miners = farm(&proxy, 1);
    let ledger = miners[0].ledger();
    a.reconnect(&format!("[\"127.0.0.1\",{},0]", thief.port()));
    a.reconnect("[\"pool.example.com\",3333,0]");
    let asked = Instant::now();
    wait_until(SOON, "both pools to continue", || {
        let again = |name| first_job_after(&ledger, asked, name).is_some();
        again("A") && again("B")
    });
    let opened = a.ledger().connections_opened();
    a.reconnect("[]");
    wait_until(SOON, "a new connection", || {
        a.ledger().connections_opened() > opened
    });
    let asked = Instant::now();
    wait_until(SOON, "work from A", || {
        first_job_after(&ledger, asked, "A").is_some()
    });
    assert_eq!(thief.ledger().connections_opened(), 0);
    assert_eq!(ledger.connections(), 1);
    assert_eq!(a.ledger().refused() + b.ledger().refused(), 0);
}

#[test]
fn a_returning_pool_gets_work_within_seconds() {
    let a = pool("A", |_| ());
    let b = pool("B", |_| ());
    let proxy = Setup::new(&a, &b).start();
    let miners = farm(&proxy, 6);
    let opened = a.ledger().connections_opened();
    a.go_down();
    // One of the miners keeps trying.
    wait_until(SOON, "six attempts", || {
        let log = proxy.log();
        let failed = |line: &&str| line.contains("pool_lost") && line.contains("refused");
        log.lines().filter(failed).count() >= 6
    });
    a.come_back().unwrap();
    let back = Instant::now();
    let first = || {
        let firsts = miners.iter();
        firsts
            .filter_map(|miner| first_job_after(&miner.ledger(), back, "A"))
            .min()
    };
    wait_until(SOON, "work from A", || first().is_some());
    let took = first().unwrap() - back;
    println!(
        "the first has work {} ms after the pool's return",
        took.as_millis()
    );
    // 6 s, plus what a busy machine may add.
    assert!(took < Duration::from_secs(9), "{took:?}");
    wait_until(SOON, "work from A for all", || {
        let returned = |miner: &SimMiner| first_job_after(&miner.ledger(), back, "A").is_some();
        miners.iter().all(returned)
    });
    assert_eq!(a.ledger().connections_opened() - opened, 6);
}

#[test]
fn a_proxy_that_was_suspended_reads_before_it_judges_silence() {
    let often = |options: &mut dpmp::sim::pool::options::PoolOptions| {
        options.job_interval = Some(Duration::from_secs(1));
    };
    let (a, b) = (pool("A", often), pool("B", often));
    let proxy = Setup::new(&a, &b)
        .set("pools.A.stall_seconds", 5)
        .set("pools.B.stall_seconds", 5)
        .set("pools.A.answer_seconds", 5)
        .set("pools.B.answer_seconds", 5)
        .start();
    let miners = farm(&proxy, 2);
    proxy.pause(Duration::from_secs(8));
    let accepted = a.ledger().accepted() + b.ledger().accepted();
    wait_until(SOON, "shares", || {
        a.ledger().accepted() + b.ledger().accepted() > accepted + 20
    });
    assert!(!proxy.logged("pool_lost", ""));
    for miner in &miners {
        assert_eq!(miner.ledger().connections(), 1);
    }
}

#[test]
fn a_pool_may_change_its_extranonce_while_miners_work() {
    let a = pool("A", |_| ());
    let b = pool("B", |_| ());
    let proxy = Setup::new(&a, &b).start();
    let miners = farm(&proxy, 2);
    for (e1_size, e2_size) in [(6, 8), (0, 9), (16, 12)] {
        a.set_extranonce(e1_size, e2_size);
        a.new_job();
        let changed = Instant::now();
        wait_until(SOON, "work under the new extranonce", || {
            let at_a = |miner: &SimMiner| first_job_after(&miner.ledger(), changed, "A").is_some();
            miners.iter().all(at_a)
        });
        let accepted = a.ledger().accepted();
        wait_until(SOON, "shares under it", || {
            a.ledger().accepted() > accepted + 3
        });
    }
    assert_eq!(a.ledger().refused(), 0, "{}", a.ledger().summary());
    assert_eq!(a.ledger().violations(), []);
    for miner in &miners {
        assert_eq!(miner.ledger().set_extranonces(), 0);
        assert_eq!(miner.ledger().connections(), 1);
        assert_eq!(
            miner.ledger().rejected(),
            0,
            "{:?}",
            miner.ledger().rejections()
        );
    }
}

#[test]
fn miners_that_ignore_a_disconnect_delay_no_other() {
    let a = pool("A", |_| ());
    let b = pool("B", |_| ());
    let proxy = Setup::new(&a, &b)
        .set("scheduler.no_work_seconds", 1)
        .start();
    // They are disconnected about when the pools are due to be dialed again, and keep their sockets open.
    let mut stubborn: Vec<Client> = (0..30)
        .map(|_| Client::working(proxy.address()).0)
        .collect();
    a.go_down();
    b.go_down();
    for client in &mut stubborn {
        assert!(client.is_closed_within(AT_ONCE));
    }
    a.come_back().unwrap();
    b.come_back().unwrap();
    // A new miner may be sent to its fallback before DPMP knows that the pools are back.
    let miner = miner(proxy.address(), |options| {
        options.reconnect = Some(Duration::from_millis(100));
    });
    wait_until(SOON, "a share of a new miner", || {
        miner.ledger().accepted() > 0
    });
}

#[test]
fn a_pool_that_repeats_work_gets_no_share_twice() {
    // As DATUM does it: a returning client gets its old extranonce1 and its old job.
    let a = pool("A", |options| {
        options.e1_reuse = ExtranonceReuse::Slots;
        options.job_interval = None;
        options.difficulty = 1e-8;
    });
    let b = pool("B", |_| ());
    let proxy = Setup::new(&a, &b).set("scheduler.poolB_weight", 0).start();
    let miner = miner(proxy.address(), |_| ());
    let ledger = miner.ledger();
    wait_until(SOON, "shares", || a.ledger().accepted() >= 10);
    let opened = a.ledger().connections_opened();
    a.kill_connections();
    wait_until(SOON, "a new connection", || {
        a.ledger().connections_opened() > opened
    });
    let accepted = a.ledger().accepted();
    wait_until(SOON, "shares", || a.ledger().accepted() >= accepted + 10);
    assert_eq!(a.ledger().refused(), 0, "{}", a.ledger().summary());
    assert_eq!(ledger.connections(), 1);
    assert_eq!(ledger.violations(), []);
}
