//! The simulators against each other, without the proxy: each must notice what the other does wrong.

use std::time::{Duration, Instant};

use dpmp::sim::chain::judge::{Rules, Verdict, VersionBits};
use dpmp::sim::miner::SimMiner;
use dpmp::sim::miner::ledger::{Ending, MinerLedger, MinerViolation};
use dpmp::sim::miner::options::{Handshake, Ids, MinerOptions, Pace};
use dpmp::sim::pool::SimPool;
use dpmp::sim::pool::ledger::PoolViolation;
use dpmp::sim::pool::options::{
    ConfigureHabit, ExtranonceReuse, PoolOptions, RejectForm, SubscriptionForm,
};

use crate::support::{SOON, STYLES, wait_until};

fn pool(change: impl FnOnce(&mut PoolOptions)) -> SimPool {
    let mut options = PoolOptions::default();
    change(&mut options);
    SimPool::start(options).unwrap()
}

fn miner(pool: &SimPool, change: impl FnOnce(&mut MinerOptions)) -> SimMiner {
    let mut options = MinerOptions {
        address: pool.address(),
        pace: Pace::Shares(200.0),
        ..MinerOptions::default()
    };
    change(&mut options);
    SimMiner::start(options).unwrap()
}

fn wait_for_answers(ledger: &MinerLedger, count: u64) {
    wait_until(SOON, "answers to shares", || {
        ledger.accepted() + ledger.rejected() >= count
    });
}

#[test]
fn all_good_shares_are_accepted_by_every_kind_of_pool() {
    let habits: [fn(&mut PoolOptions); 6] = [
        |_| (),
        |pool| {
            pool.e1_size = 0;
            pool.e2_size = 3;
            pool.mask = None;
            pool.subscription = SubscriptionForm::Bare;
        },
        |pool| {
            pool.e1_size = 16;
            pool.e2_size = 12;
            pool.rules.version_bits = VersionBits::Xor;
            pool.wander = Some((1e-10, 1e-7));
            pool.subscription = SubscriptionForm::Null;
        },
        |pool| {
            pool.mask = Some(0x0000_e000);
            pool.rules.version_bits = VersionBits::Or;
            pool.jsonrpc = true;
            pool.extra_fields = vec![7.into(), "x".into()];
        },
        |pool| {
            pool.configure = ConfigureHabit::Error;
            pool.answer_latency = Duration::from_millis(20);
        },
        |pool| {
            pool.e1_reuse = ExtranonceReuse::Slots;
            pool.clean_after_difficulty = true;
        },
    ];
    for (number, habit) in habits.iter().enumerate() {
        let pool = pool(|options| {
            options.job_interval = Some(Duration::from_millis(40));
            habit(options);
        });
        let miners = [1, 2].map(|_| miner(&pool, |_| ()));
        for miner in &miners {
            wait_for_answers(&miner.ledger(), 40);
            miner.pause(true);
        }
        wait_until(SOON, "the last answers", || {
            let unanswered =
                |miner: &SimMiner| miner.ledger().unanswered(Instant::now(), Duration::ZERO);
            miners.iter().map(unanswered).sum::<usize>() == 0
        });
        let ledger = pool.ledger();
        assert_eq!(ledger.refused(), 0, "habit {number}: {}", ledger.summary());
        assert_eq!(ledger.violations(), [], "habit {number}");
        for miner in &miners {
            let seen = miner.ledger();
            assert_eq!(seen.violations(), [], "habit {number}");
            assert_eq!(seen.rejected(), 0);
            assert!(seen.jobs_received() > 1);
        }
        let shares: u64 = miners.iter().map(|miner| miner.ledger().accepted()).sum();
        assert_eq!(ledger.accepted(), shares);
    }
}

#[test]
fn handshakes_of_all_styles_get_work() {
    for (style, ids) in STYLES {
        let pool = pool(|_| ());
        let miner = miner(&pool, |options| {
            options.handshake = style;
            options.ids = ids;
            options.suggest = Some(100.0);
            options.extranonce_subscribe = true;
        });
        wait_for_answers(&miner.ledger(), 5);
        assert_eq!(miner.ledger().authorized(), Some(true));
        let violations = pool.ledger().violations();
        let saw = |wanted| violations.iter().any(|(kind, _)| *kind == wanted);
        // Each kind of violation is noticed only where it happens.
        let pipelines = matches!(style, Handshake::Axeos | Handshake::ConfigureLast);
        assert_eq!(saw(PoolViolation::Pipelined), pipelines, "{style:?}");
        assert_eq!(saw(PoolViolation::TextId), ids == Ids::Text);
        assert_eq!(saw(PoolViolation::RepeatedId), ids == Ids::SubmitsAreFour);
    }
}

#[test]
fn bad_shares_are_refused_in_every_form() {
    for form in [
        RejectForm::Array,
        RejectForm::Object,
        RejectForm::Text,
        RejectForm::RejectReason,
        RejectForm::Bare,
    ] {
        let pool = pool(|options| {
            options.reject_form = form;
            options.difficulty = 1e-10;
        });
        let miner = miner(&pool, |options| options.pace = Pace::Idle);
        let ledger = miner.ledger();
        wait_until(SOON, "a job", || ledger.jobs_received() == 1);
        let line = |id: u32, job: &str, e2: &str, bits: &str| {
            let ntime = ledger.jobs()[0].ntime;
            let params =
                format!(r#"["wallet.worker","{job}","{e2}","{ntime:08x}","00000000","{bits}"]"#);
            format!(r#"{{"id":{id},"method":"mining.submit","params":{params}}}"#)
        };
        let e2 = "0000000000000000";
        for (id, share) in [
            line(100, "1", e2, "00000000"),
            line(101, "1", e2, "00000000"),
            line(102, "99", e2, "00000000"),
            line(103, "1", "00", "00000000"),
            line(104, "1", e2, "00000001"),
        ]
        .iter()
        .enumerate()
        {
            miner.inject(share);
            wait_until(SOON, "an answer", || ledger.replies().len() > id + 3);
        }
        pool.change(|options| options.difficulty = 1e12);
        pool.new_block();
        wait_until(SOON, "a harder job", || ledger.jobs_received() == 2);
        miner.inject(&line(105, "1", e2, "00000000"));
        miner.inject(&line(106, "2", e2, "00000000"));
        wait_until(SOON, "all answers", || ledger.replies().len() == 10);
        let verdicts: Vec<Verdict> = pool
            .ledger()
            .shares()
            .iter()
            .map(|share| share.judgement.verdict)
            .collect();
        assert_eq!(
            verdicts,
            [
                Verdict::Accepted,
                Verdict::Duplicate,
                Verdict::UnknownJob,
                Verdict::ExtranonceSize,
                Verdict::VersionBits,
                Verdict::Stale,
                Verdict::LowDifficulty,
            ]
        );
        let odd = ledger.violations().len();
        let expected = if form == RejectForm::Array { 0 } else { 6 };
        // An error that is only a `false` result is still an answer in the usual form.
        let bare = matches!(form, RejectForm::Bare | RejectForm::RejectReason);
        assert_eq!(odd, if bare { 0 } else { expected }, "{form:?}");
    }
}

#[test]
fn the_test_miner_notices_forbidden_server_behavior() {
    let pool = pool(|options| options.job_interval = None);
    let miner = miner(&pool, |options| {
        options.reconnect = None;
        options.hangs_up_on_set_extranonce = true;
    });
    let ledger = miner.ledger();
    wait_for_answers(&ledger, 3);
    assert_eq!(ledger.violations(), []);
    miner.pause(true);
    pool.change(|options| options.difficulty = 2e-9);
    pool.say("{\"id\":77,\"result\":true,\"error\":null}\n");
    wait_until(SOON, "violations", || ledger.violations().len() == 2);
    assert!(matches!(
        ledger.violations()[..],
        [
            MinerViolation::NotFollowedByJob(_),
            MinerViolation::UnknownAnswer(_)
        ]
    ));
    pool.set_extranonce(4, 4);
    wait_until(SOON, "the miner to disconnect", || {
        ledger
            .endings()
            .iter()
            .any(|(_, how)| *how == Ending::ByMiner)
    });
    wait_until(SOON, "the pool to notice", || {
        pool.ledger().connections_open() == 0
    });
    assert_eq!(ledger.set_extranonces(), 1);
}

#[test]
fn a_pool_comes_back_and_a_block_makes_shares_stale() {
    let pool = pool(|options| {
        options.e1_reuse = ExtranonceReuse::Slots;
        options.rules = Rules {
            stale_grace: Duration::from_secs(5),
            ..Rules::default()
        };
    });
    let miner = miner(&pool, |_| ());
    let ledger = miner.ledger();
    wait_for_answers(&ledger, 5);
    pool.new_block();
    wait_until(SOON, "the new block", || ledger.jobs_received() == 2);
    assert!(ledger.last_job().unwrap().clean);
    pool.go_down();
    wait_until(SOON, "the end", || ledger.endings().len() == 1);
    let connections = ledger.connections();
    pool.come_back().unwrap();
    wait_until(SOON, "a new connection", || {
        ledger.connections() > connections
    });
    wait_until(SOON, "its job", || {
        ledger.last_job().is_some_and(|job| job.connection > 1)
    });
    let accepted = ledger.accepted();
    pool.change(|options| options.silent = true);
    // Answers to shares it received before may still arrive.
    let unanswered = || ledger.unanswered(Instant::now(), Duration::ZERO);
    wait_until(SOON, "shares without an answer", || unanswered() > 10);
    let silent_at = ledger.accepted();
    let more = unanswered() + 10;
    wait_until(SOON, "more shares without an answer", || {
        unanswered() > more
    });
    assert_eq!(ledger.accepted(), silent_at);
    assert!(silent_at >= accepted);
}

#[test]
fn a_farm_of_two_hundred_fits_in_one_process() {
    let pool = pool(|_| ());
    let start = |number| {
        miner(&pool, |options| {
            options.user = format!("x.{number}");
            options.pace = Pace::Shares(2.0);
        })
    };
    let miners: Vec<SimMiner> = (0..200).map(start).collect();
    wait_until(SOON, "a share of each", || {
        miners.iter().all(|miner| miner.ledger().accepted() > 0)
    });
    assert_eq!(pool.ledger().connections_open(), 200);
    assert_eq!(pool.ledger().refused(), 0, "{}", pool.ledger().summary());
    drop(miners);
    wait_until(SOON, "all of them to be gone", || {
        pool.ledger().connections_open() == 0
    });
}

#[test]
fn a_miner_that_closes_its_sending_half_counts_as_gone() {
    let pool = pool(|_| ());
    let miner = miner(&pool, |options| {
        options.half_close_after = Some(3);
        options.reconnect = None;
    });
    wait_until(SOON, "the end", || miner.ledger().endings().len() == 1);
    assert!(miner.ledger().accepted() > 0);
    let ended = miner.ledger().endings()[0].1;
    assert_eq!(ended, Ending::ByServer);
    wait_until(SOON, "the pool to notice", || {
        pool.ledger().connections_open() == 0
    });
}
