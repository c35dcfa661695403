//! Many miners on one connection, over real sockets.

use std::collections::BTreeSet;
use std::time::Duration;

use dpmp::sim::miner::options::Pace;
use dpmp::sim::pool::SimPool;
use dpmp::sim::pool::options::SecondName;

use crate::support::proxy::Setup;
use crate::support::{SOON, http_get, miner, pool, wait_until};

/// The worker names on the shares a pool received.
fn names(pool: &SimPool) -> BTreeSet<String> {
    let shares = pool.ledger().shares().into_iter();
    shares.map(|share| share.worker).collect()
}

#[test]
fn a_pool_sees_each_worker_if_it_accepts_several_names_and_else_one() {
    let a = pool("A", |_| ());
    let b = pool("B", |options| options.second_name = SecondName::Refused);
    let proxy = Setup::new(&a, &b)
        .set("pools.A.connections", "shared")
        .set("pools.B.connections", "shared")
        .start();
    let miners: Vec<_> = (0..6)
        .map(|number| {
            miner(proxy.address(), |options| {
                options.user = format!("x.rig{number}");
                options.pace = Pace::Shares(2.0);
            })
        })
        .collect();
    // The test connection has to survive for half a minute.
    wait_until(
        SOON + Duration::from_secs(30),
        "a share of each worker",
        || {
            let names = names(&a);
            (0..6).all(|number| {
                names
                    .iter()
                    .any(|name| name.ends_with(&format!(".rig{number}")))
            })
        },
    );
    assert_eq!(names(&b).len(), 1, "{:?}", names(&b));
    for pool in [&a, &b] {
        let ledger = pool.ledger();
        assert_eq!(ledger.refused(), 0, "{}", ledger.summary());
        assert_eq!(ledger.violations(), []);
        assert_eq!(ledger.connections_open(), 1);
    }
    let (_, status) = http_get(proxy.pages_address(), "/api/v1/status").unwrap();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["pools"]["A"]["several_names"], true, "{status}");
    assert_eq!(status["pools"]["B"]["several_names"], false, "{status}");
    for miner in &miners {
        let ledger = miner.ledger();
        assert_eq!((ledger.connections(), ledger.rejected()), (1, 0));
        assert_eq!(ledger.violations(), []);
    }
}
