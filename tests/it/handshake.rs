//! How conversations with miners and pools begin.

use std::time::Duration;

use dpmp::sim::miner::SimMiner;
use dpmp::sim::miner::options::Pace;
use dpmp::sim::pool::SimPool;
use dpmp::sim::pool::options::{
    AuthorizeRule, ConfigureHabit, ConfigureOrder, FirstJob, PoolOptions, SubscriptionForm,
};
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::proxy::{Proxy, Setup};
use crate::support::{AT_ONCE, SOON, STYLES, miner, pool, wait_until};

/// Starts the proxy between two pools, and waits until a miner has good shares at both.
#[track_caller]
fn check_pools(
    what: &str,
    habits_of_a: impl FnOnce(&mut PoolOptions),
    habits_of_b: impl FnOnce(&mut PoolOptions),
) {
    let pools = [pool("A", habits_of_a), pool("B", habits_of_b)];
    let proxy = Setup::new(&pools[0], &pools[1]).start();
    let miners = [miner(proxy.address(), |_| ())];
    check_shares(what, &pools, &miners);
    drop(proxy);
}

#[track_caller]
fn check_shares(what: &str, pools: &[SimPool; 2], miners: &[SimMiner]) {
    wait_until(
        SOON * 2,
        &format!("{what}: good shares at both pools"),
        || {
            let served = |pool: &SimPool| pool.ledger().accepted() >= 5;
            pools.iter().all(served) && miners.iter().all(|miner| miner.ledger().accepted() > 0)
        },
    );
    for pool in pools {
        let ledger = pool.ledger();
        assert_eq!(ledger.violations(), [], "{what}");
        assert_eq!(ledger.refused(), 0, "{what}: {}", ledger.summary());
    }
    for miner in miners {
        let ledger = miner.ledger();
        assert_eq!(ledger.violations(), [], "{what}");
        assert_eq!(ledger.rejected(), 0, "{what}: {:?}", ledger.rejections());
        assert_eq!(ledger.connections(), 1, "{what}");
    }
}

fn usual() -> (SimPool, SimPool, Proxy) {
    let a = pool("A", |_| ());
    let b = pool("B", |_| ());
    let proxy = Setup::new(&a, &b).start();
    (a, b, proxy)
}

#[test]
fn every_style_of_miner_works_between_braiins_and_ckpool() {
    let pools = [
        pool("A", |braiins| {
            braiins.configure_order = ConfigureOrder::BeforeSubscribe;
            braiins.pushes_mask = true;
            braiins.answer_latency = Duration::from_millis(30);
        }),
        pool("B", |ckpool| {
            ckpool.configure_order = ConfigureOrder::AfterSubscribe;
            ckpool.one_worker = true;
            ckpool.initialising = 1;
            ckpool.longest_line = 1024;
            ckpool.answer_latency = Duration::from_millis(30);
        }),
    ];
    let proxy = Setup::new(&pools[0], &pools[1]).start();
    let miners = STYLES.map(|(style, ids)| {
        miner(proxy.address(), |options| {
            options.user = format!("x.{style:?}");
            options.handshake = style;
            options.ids = ids;
            options.suggest = Some(512.0);
            options.extranonce_subscribe = true;
        })
    });
    check_shares("all styles", &pools, &miners);
}

#[test]
fn miners_work_at_pools_that_refuse_configure() {
    check_pools(
        "false and an error",
        |a| a.mask = None,
        |b| b.configure = ConfigureHabit::Error,
    );
}

#[test]
fn miners_work_at_pools_that_hang_up_on_or_ignore_configure() {
    check_pools(
        "hang-up and silence",
        |a| a.configure = ConfigureHabit::HangUp,
        |b| b.configure = ConfigureHabit::Ignore,
    );
}

#[test]
fn miners_work_at_pools_that_send_work_too_early() {
    check_pools(
        "early work",
        |a| a.first_job = FirstJob::AfterSubscribe,
        |b| b.first_job = FirstJob::BeforeSubscribeAnswer,
    );
}

#[test]
fn miners_work_at_pools_that_answer_subscribe_oddly() {
    check_pools(
        "odd subscriptions",
        |a| {
            a.subscription = SubscriptionForm::Flat;
            a.initialising = 2;
        },
        |b| b.subscription = SubscriptionForm::FloatSize,
    );
    check_pools(
        "no subscriptions",
        |a| a.subscription = SubscriptionForm::Null,
        |b| b.subscription = SubscriptionForm::Bare,
    );
}

#[test]
fn dpmp_waits_for_a_pool_that_is_still_starting() {
    // Its extranonce2 is so small that a miner served without this pool would have to start over.
    check_pools(
        "Initialising",
        |a| {
            a.initialising = 1;
            a.e2_size = 3;
        },
        |b| b.e2_size = 8,
    );
}

#[test]
fn a_worker_that_no_pool_accepts_is_refused() {
    let refuse = |options: &mut PoolOptions| {
        options.authorize = AuthorizeRule::Prefix("wallet?".into());
    };
    let (a, b) = (pool("A", refuse), pool("B", refuse));
    let proxy = Setup::new(&a, &b).start();
    let mut client = Client::connect(proxy.address());
    client.subscribe();
    let answer = client.authorize();
    assert_eq!(answer["result"], false, "{answer}");
    assert_eq!(answer["error"][0], 24, "{answer}");
}

#[test]
fn one_accepting_pool_is_enough() {
    for rule in [AuthorizeRule::NoOne, AuthorizeRule::NoAnswer] {
        let a = pool("A", |options| options.authorize = rule);
        let b = pool("B", |_| ());
        let proxy = Setup::new(&a, &b).start();
        let (mut client, mut work) = Client::working(proxy.address());
        let share = client.find(&mut work);
        let answer = client.submit(&share);
        assert_eq!(answer["result"], true, "{answer}");
        assert_eq!(b.ledger().accepted(), 1);
    }
}

#[test]
fn pools_see_their_own_wallet_and_the_miners_worker_name() {
    let a = pool("A", |_| ());
    let b = pool("B", |_| ());
    let proxy = Setup::new(&a, &b)
        .set("pools.B.password", "secret")
        .set("pools.B.user_name", "{wallet}_{worker}")
        .start();
    let miners = [("bc1q.rig.1", "rig.1"), ("plain", "plain")].map(|(user, worker)| {
        let miner = miner(proxy.address(), |options| {
            options.user = user.into();
            options.password = "d=512".into();
            options.user_agent = format!("soft/{worker}");
        });
        (miner, worker)
    });
    wait_until(SOON, "shares at both", || {
        a.ledger().accepted() > 10 && b.ledger().accepted() > 10
    });
    for (miner, worker) in &miners {
        assert_eq!(miner.ledger().rejected(), 0);
        for (pool, account, password) in [(&a, "walletA.", "d=512"), (&b, "walletB_", "secret")] {
            let user = format!("{account}{worker}");
            let connections = pool.ledger().connections();
            let own = connections
                .iter()
                .find(|connection| connection.worker.as_deref() == Some(&user));
            let own = own.unwrap_or_else(|| panic!("no {user} in {connections:?}"));
            assert_eq!(own.user_agent, format!("soft/{worker}"));
            assert_eq!(own.password, password);
        }
    }
}

#[test]
fn a_miner_may_send_requests_in_any_order_and_with_any_id() {
    let (_a, _b, proxy) = usual();
    let mut client = Client::connect(proxy.address());
    let lines = [
        r#"{"id":"xnsub","method":"mining.extranonce.subscribe","params":[]}"#,
        r#"{"id":null,"method":"mining.suggest_difficulty","params":[1000]}"#,
        r#"{"id":7.5,"method":"mining.ping","params":[]}"#,
        r#"{"id":-3,"method":"mining.multi_version","params":[1]}"#,
        r#"{"id":1,"method":"mining.subscribe","params":[]}"#,
        r#"{"id":2,"method":"mining.submit","params":["wallet.worker","1","00000000","00000000","00000000"]}"#,
        r#"{"id":3,"method":"mining.submit","params":[]}"#,
        r#"{"method":"pong","id":9}"#,
        r#"{"id":4,"method":"mining.configure","params":[["version-rolling","minimum-difficulty"],{"version-rolling.mask":"1fffe000","minimum-difficulty.value":1}]}"#,
    ];
    for line in lines {
        client.send(line);
    }
    let answer = |client: &mut Client, id: Value| {
        let answer = client.answer_to(&id);
        let keys = ["id", "result", "error"];
        assert!(keys.iter().all(|key| answer.get(key).is_some()), "{answer}");
        answer
    };
    assert_eq!(answer(&mut client, json!("xnsub"))["result"], true);
    assert_eq!(answer(&mut client, Value::Null)["result"], true);
    assert_eq!(answer(&mut client, json!(7.5))["result"], "pong");
    assert_eq!(answer(&mut client, json!(-3))["error"][0], 20);
    let subscribed = answer(&mut client, json!(1));
    assert_eq!(answer(&mut client, json!(2))["error"][0], 24);
    assert_eq!(answer(&mut client, json!(3))["error"][0], 20);
    let configured = answer(&mut client, json!(4));
    assert_eq!(configured["result"]["version-rolling.mask"], "1fffe000");
    assert_eq!(configured["result"]["minimum-difficulty"], false);
    let again = client.subscribe();
    assert_eq!(
        again["result"][1], subscribed["result"][1],
        "the extranonce does not change"
    );
    assert_eq!(client.authorize()["result"], true);
    client.job();
}

#[test]
fn miners_that_do_not_authorize_open_no_pool_connection() {
    let a = pool("A", |_| ());
    let b = pool("B", |_| ());
    let proxy = Setup::new(&a, &b)
        .set("listen.authorize_seconds", 1)
        .start();
    let opened = || a.ledger().connections_opened() + b.ledger().connections_opened();
    let mut clients: Vec<Client> = (0..5).map(|_| Client::connect(proxy.address())).collect();
    clients[0].subscribe();
    clients[1].configure();
    let before = opened();
    for client in &mut clients {
        assert!(client.is_closed_within(AT_ONCE));
    }
    assert_eq!(opened(), before);
    let idle = miner(proxy.address(), |options| options.pace = Pace::Idle);
    wait_until(SOON, "both pools to be dialed", || opened() == before + 2);
    wait_until(SOON, "work", || idle.ledger().jobs_received() > 0);
}
