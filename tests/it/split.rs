//! The work is split as the owner asked, and neither miners nor pools notice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dpmp::sim::chain::judge::{Verdict, VersionBits};
use dpmp::sim::miner::SimMiner;
use dpmp::sim::miner::options::{Counter, Handshake, Ids};
use dpmp::sim::pool::SimPool;
use dpmp::sim::pool::options::{
    ConfigureOrder, DifficultyForm, ExtranonceReuse, PoolOptions, RejectForm, SubscriptionForm,
};

use crate::support::proxy::Setup;
use crate::support::{SOON, miner, pool, settle, wait_until};

/// How much later than the proxy's clock a miner may see a switch, in seconds.
const DELAY: f64 = 0.2;

/// How long each split is observed.
const WATCH: Duration = Duration::from_secs(6);

#[test]
fn a_50_50_split_holds_with_extranonce2_of_8_and_4_bytes() {
    split(
        [50.0, 50.0],
        |a| {
            a.e1_size = 1;
            a.e2_size = 8;
            a.wander = Some((1e-10, 1e-7));
        },
        |b| {
            b.e1_size = 12;
            b.e2_size = 4;
            b.mask = Some(0x0000_e000);
            b.difficulty_form = DifficultyForm::Long;
            b.wander = Some((1e-9, 1e-8));
        },
    );
}

#[test]
fn a_70_30_split_holds_with_extranonce2_of_8_and_2_bytes() {
    split(
        [70.0, 30.0],
        |a| {
            a.e1_size = 4;
            a.e2_size = 8;
            a.configure_order = ConfigureOrder::BeforeSubscribe;
            a.pushes_mask = true;
            a.rules.version_bits = VersionBits::Xor;
        },
        |b| {
            b.e1_size = 4;
            b.e2_size = 2;
            b.mask = None;
            b.wander = Some((1e-10, 1e-7));
            b.clean_after_difficulty = true;
            b.subscription = SubscriptionForm::NotifyOnly;
        },
    );
}

#[test]
fn a_50_50_split_holds_with_extranonce2_of_3_and_12_bytes() {
    split(
        [1.0, 1.0],
        |a| {
            a.e1_size = 8;
            a.e2_size = 3;
            a.configure_order = ConfigureOrder::AfterSubscribe;
            a.one_worker = true;
            a.reject_form = RejectForm::RejectReason;
            a.e1_reuse = ExtranonceReuse::Slots;
            // The miners return to it more than once between two of its jobs.
            a.job_interval = Some(Duration::from_secs(5));
        },
        |b| {
            b.e1_size = 0;
            b.e2_size = 12;
            b.rules.version_bits = VersionBits::Or;
            b.wander = Some((1e-10, 1e-8));
            b.jsonrpc = true;
            b.extra_fields = vec![serde_json::Value::Null, 3.into()];
        },
    );
}

fn split(
    weights: [f64; 2],
    habits_of_a: impl FnOnce(&mut PoolOptions),
    habits_of_b: impl FnOnce(&mut PoolOptions),
) {
    let pools = [pool("A", habits_of_a), pool("B", habits_of_b)];
    let proxy = Setup::new(&pools[0], &pools[1])
        .set("scheduler.poolA_weight", weights[0])
        .set("scheduler.poolB_weight", weights[1])
        .start();
    let miners = four_miners(proxy.address());
    let started = Instant::now();
    let lag = Lag::watch();
    wait_until(SOON, "work for both pools", || {
        let busy = |miner: &SimMiner| miner.ledger().accepted() >= 40;
        started.elapsed() >= WATCH && miners.iter().all(busy)
    });
    let watched_until = Instant::now();
    let delay = DELAY + 3.0 * lag.longest();
    settle(&miners);

    for (number, miner) in miners.iter().enumerate() {
        check_miner(number, miner, &pools);
        check_error(number, miner, weights, watched_until, delay);
    }
    for pool in &pools {
        let ledger = pool.ledger();
        assert_eq!(ledger.violations(), []);
        assert_eq!(ledger.refused(), 0, "{}", ledger.summary());
        assert!(ledger.accepted() > 0);
    }
    let accepted: u64 = miners.iter().map(|miner| miner.ledger().accepted()).sum();
    let credited: u64 = pools.iter().map(|pool| pool.ledger().accepted()).sum();
    assert_eq!(accepted, credited);
    for (pool, name) in pools.iter().zip(["A", "B"]) {
        let metric = format!("dpmp_shares_accepted_total{{pool=\"{name}\"}}");
        let credited = pool.ledger().accepted().to_string();
        wait_until(SOON, "the same count in the metrics", || {
            proxy.metric(&metric).unwrap_or_default().to_string() == credited
        });
    }
}

/// How late this machine wakes a thread. On a busy one, a switch is that much later, since it passes through three
/// threads.
struct Lag {
    longest: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Lag {
    fn watch() -> Self {
        const NAP: Duration = Duration::from_millis(10);
        let (longest, stop) = (Arc::default(), Arc::default());
        let watch = Self {
            longest: Arc::clone(&longest),
            stop: Arc::clone(&stop),
        };
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let began = Instant::now();
                std::thread::sleep(NAP);
                let late = began.elapsed().saturating_sub(NAP);
                let late = u64::try_from(late.as_micros()).unwrap();
                longest.fetch_max(late, Ordering::Relaxed);
            }
        });
        watch
    }

    /// The longest delay so far, in seconds.
    fn longest(&self) -> f64 {
        Duration::from_micros(self.longest.load(Ordering::Relaxed)).as_secs_f64()
    }
}

impl Drop for Lag {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Miners of four very different kinds.
fn four_miners(address: std::net::SocketAddr) -> [SimMiner; 4] {
    [
        miner(address, |options| {
            options.user = "x.cgminer".into();
            options.late = Duration::from_millis(400);
        }),
        miner(address, |options| {
            options.user = "x.axeos".into();
            options.handshake = Handshake::Axeos;
            options.suggest = Some(1000.0);
            options.ignores_seen_jobs = true;
            options.hangs_up_on_set_extranonce = true;
            options.rolls_ntime = true;
        }),
        miner(address, |options| {
            options.user = "x.cpuminer".into();
            options.handshake = Handshake::Cpuminer;
            options.ids = Ids::SubmitsAreFour;
            options.rolling = None;
            options.hangs_up_on_set_extranonce = true;
        }),
        miner(address, |options| {
            options.user = "x.old-axeos".into();
            options.handshake = Handshake::SubscribeFirst;
            options.ids = Ids::Text;
            options.extranonce_subscribe = true;
            options.counter = Counter::Continues;
        }),
    ]
}

/// No share was rejected, each reached the pool its job came from, and the conversation followed the rules.
fn check_miner(number: usize, miner: &SimMiner, pools: &[SimPool; 2]) {
    let ledger = miner.ledger();
    assert_eq!(ledger.violations(), [], "miner {number}");
    assert_eq!(
        ledger.rejected(),
        0,
        "miner {number}: {:?}",
        ledger.rejections()
    );
    assert_eq!(ledger.set_extranonces(), 0, "miner {number}");
    assert_eq!(ledger.connections(), 1, "miner {number}");
    let accepted = |pool: &SimPool| {
        let shares = pool.ledger().shares().into_iter();
        let good = shares.filter(|share| share.judgement.verdict == Verdict::Accepted);
        good.filter_map(|share| share.judgement.hash)
            .collect::<Vec<_>>()
    };
    let accepted = BTreeMap::from([("A", accepted(&pools[0])), ("B", accepted(&pools[1]))]);
    let mut per_pool = BTreeMap::from([("A", 0), ("B", 0)]);
    let mut late = 0;
    for submit in ledger.submits() {
        let tag = submit.tag.unwrap();
        assert!(
            accepted[tag.as_str()].contains(&submit.hash),
            "miner {number}: a share of {tag} went elsewhere"
        );
        *per_pool.get_mut(tag.as_str()).unwrap() += 1;
        late += u32::from(submit.late);
    }
    assert!(per_pool.values().all(|shares| *shares > 5), "{per_pool:?}");
    assert!(late > 0, "miner {number} sent no late share");
}

/// At every moment, the time on pool A is within h, plus a delay, of what it should be.
fn check_error(number: usize, miner: &SimMiner, weights: [f64; 2], until: Instant, delay: f64) {
    let share_of_a = weights[0] / (weights[0] + weights[1]);
    let bound = share_of_a.max(1.0 - share_of_a) / 2.0;
    let mut error: f64 = 0.0;
    let mut worst: f64 = 0.0;
    for (job, time) in miner.ledger().job_times(until) {
        let on_a = if job.tag.as_deref() == Some("A") {
            1.0
        } else {
            0.0
        };
        error += (on_a - share_of_a) * time.as_secs_f64();
        worst = worst.max(error.abs());
    }
    println!("miner {number}: worst error {worst:.3} s of {bound:.3} s");
    assert!(
        worst <= bound + delay,
        "miner {number}: {worst:.3} s, allowed are {bound:.3} s plus a delay of {delay:.3} s"
    );
}
