//! Every fact is counted, all series exist from the start, and the docs list all metrics.

use std::collections::{BTreeMap, BTreeSet};

use super::gauges::MAX_WORKERS;
use super::*;
use crate::core::fact::ShareOutcome;
use crate::core::insight::InsightView;
use crate::core::insight::payee::{Payee, Payment, PayoutKind};
use crate::core::miner::view::{MinerView, sample_miner};
use crate::core::outage::Health;
use crate::core::stats::tally::BestShare;
use crate::observe::samples::{ADDRESS, samples, share};
use crate::stratum::reject::{Reject, RejectClass, RejectReason};
use crate::trouble::{CATALOGUE, Level};
use crate::units::{PerPool, PoolSlot};

const DOCS: &str = include_str!("../../../docs/metrics.md");

/// The value of every series by its name and labels.
fn values(metrics: &Metrics, snapshot: &Snapshot) -> BTreeMap<String, f64> {
    let text = metrics.render(snapshot).unwrap();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        })
        .collect()
}

fn counted(facts: &[Fact]) -> BTreeMap<String, f64> {
    let metrics = Metrics::new().unwrap();
    let before = values(&metrics, &Snapshot::default());
    for fact in facts {
        metrics.record(fact);
    }
    let mut after = values(&metrics, &Snapshot::default());
    assert!(
        after.keys().eq(before.keys()),
        "a series was not there from the start"
    );
    after.retain(|series, value| before[series] != *value && !series.starts_with("process_"));
    after
}

fn check(fact: Fact, expected: &[(&str, f64)]) {
    let expected: BTreeMap<_, _> = expected
        .iter()
        .map(|(series, value)| ((*series).to_owned(), *value))
        .collect();
    let mut found = counted(std::slice::from_ref(&fact));
    found.retain(|series, _| !series.contains("_bucket{"));
    assert_eq!(found, expected, "{fact:?}");
}

#[test]
fn shares_are_counted_by_outcome() {
    let submitted = ("dpmp_shares_submitted_total", 1.0);
    let latency = ("dpmp_share_latency_seconds_sum{pool=\"A\"}", 0.04825);
    let answers = ("dpmp_share_latency_seconds_count{pool=\"A\"}", 1.0);
    check(
        share(ShareOutcome::Accepted),
        &[
            submitted,
            latency,
            answers,
            ("dpmp_shares_accepted_total{pool=\"A\"}", 1.0),
            ("dpmp_accepted_difficulty_sum{pool=\"A\"}", 4096.0),
        ],
    );
    check(
        share(ShareOutcome::RejectedByPool(Reject {
            code: 22,
            message: "again?".into(),
        })),
        &[
            submitted,
            latency,
            answers,
            ("dpmp_shares_rejected_total{pool=\"A\"}", 1.0),
            (
                "dpmp_pool_rejects_total{class=\"duplicate\",pool=\"A\"}",
                1.0,
            ),
        ],
    );
    check(
        share(ShareOutcome::BelowPool),
        &[submitted, ("dpmp_shares_below_pool_total{pool=\"A\"}", 1.0)],
    );
    check(
        share(ShareOutcome::Lost(RejectReason::NoAnswer)),
        &[submitted, ("dpmp_shares_lost_total{pool=\"A\"}", 1.0)],
    );
    for reason in RejectReason::ALL {
        let refused = format!("dpmp_shares_refused_total{{reason=\"{}\"}}", reason.name());
        check(
            share(ShareOutcome::RefusedHere(reason)),
            &[submitted, (&refused, 1.0)],
        );
    }
}

#[test]
fn facts_create_no_new_series() {
    let counted = counted(&samples());
    let get = |series: &str| counted.get(series).copied().unwrap_or(0.0);
    assert_eq!(
        get("dpmp_switches_total{cause=\"schedule\",pool=\"A\"}"),
        1.0
    );
    assert_eq!(get("dpmp_job_delay_seconds_count"), 1.0);
    assert_eq!(get("dpmp_blocks_found_total{pool=\"A\"}"), 1.0);
    assert_eq!(get("dpmp_shares_unanswered_total"), 1.0);
    assert_eq!(get("dpmp_shares_submitted_total"), 6.0);
    assert_eq!(
        get("dpmp_miners_turned_away_total{reason=\"other_protocol\"}"),
        1.0
    );
    assert_eq!(get("dpmp_limits_reached_total{limit=\"max_miners\"}"), 1.0);
    assert_eq!(get("dpmp_malformed_messages_total{side=\"upstream\"}"), 1.0);
    assert_eq!(get("dpmp_config_reloads_total{result=\"applied\"}"), 2.0);
    assert_eq!(get("dpmp_config_reloads_total{result=\"refused\"}"), 1.0);
}

#[test]
fn lines_and_turns_are_counted() {
    let metrics = Metrics::new().unwrap();
    metrics.line_read(Side::Downstream);
    metrics.line_read(Side::Upstream);
    metrics.lines_written(Side::Upstream, 1);
    metrics.lines_dropped(1);
    metrics.turn(Duration::from_millis(3), Some(Duration::from_secs(2)));
    let values = values(&metrics, &Snapshot::default());
    assert_eq!(values["dpmp_messages_rx_total{side=\"downstream\"}"], 1.0);
    assert_eq!(values["dpmp_messages_rx_total{side=\"upstream\"}"], 1.0);
    assert_eq!(values["dpmp_messages_tx_total{side=\"downstream\"}"], 0.0);
    assert_eq!(values["dpmp_messages_tx_total{side=\"upstream\"}"], 1.0);
    assert_eq!(values["dpmp_log_lines_dropped_total"], 1.0);
    assert_eq!(values["dpmp_scheduler_turn_seconds_sum"], 0.003);
    assert_eq!(values["dpmp_scheduler_lag_seconds_sum"], 2.0);
}

fn miner(seconds: [f64; 2]) -> MinerView {
    let [a, b] = seconds;
    MinerView {
        difficulty: Some(a),
        error_seconds: 1.5,
        seconds: PerPool::from_fn(|slot| if slot == PoolSlot::A { a } else { b }),
        ..sample_miner(1, "a name")
    }
}

#[test]
fn gauges_show_the_state() {
    let metrics = Metrics::new().unwrap();
    let mut snapshot = Snapshot {
        uptime_seconds: 77,
        ..Snapshot::default()
    };
    let pool = &mut snapshot.pools[PoolSlot::A];
    pool.health = Health::Up;
    pool.connections = 2;
    pool.active_miners = 2;
    pool.target_share = 0.7;
    pool.hashrate = Some(1e12);
    pool.totals.seconds = 30.0;
    pool.totals.shares.best = Some(BestShare {
        difficulty: 5e6,
        when: 1.into(),
        pool: PoolSlot::A,
    });
    pool.network_difficulty = Some(9e13);
    pool.insight = Some(InsightView {
        height: Some(871_234),
        block_since: None,
        coinbase: None,
        payee: Payee::Known(Payment {
            kind: PayoutKind::Mine,
            share: 0.98,
            other: 0.02,
            coin: None,
        }),
    });
    snapshot.pools[PoolSlot::B].health = Health::Down;
    snapshot.pools[PoolSlot::B].totals.seconds = 10.0;
    let show = |snapshot: &Snapshot| values(&metrics, snapshot);
    let remembered = show(&snapshot);
    assert_eq!(remembered["dpmp_scheduler_share{pool=\"A\"}"], 0.75);
    snapshot.miners = vec![
        miner([100.0, 100.0]),
        miner([0.0, 0.0]),
        miner([300.0, 100.0]),
    ];
    let values = show(&snapshot);
    let expected = [
        ("dpmp_downstream_connections", 3.0),
        ("dpmp_downstream_difficulty", 400.0 / 3.0),
        ("dpmp_scheduler_error_seconds", 4.5),
        ("dpmp_uptime_seconds", 77.0),
        ("dpmp_upstream_connections{pool=\"A\"}", 2.0),
        ("dpmp_active_pool{pool=\"A\"}", 1.0),
        ("dpmp_active_pool{pool=\"B\"}", 0.0),
        ("dpmp_active_miners{pool=\"A\"}", 2.0),
        ("dpmp_target_share{pool=\"A\"}", 0.7),
        ("dpmp_scheduler_share{pool=\"A\"}", 0.625),
        ("dpmp_scheduler_share{pool=\"B\"}", 0.375),
        ("dpmp_scheduler_time_sum{pool=\"A\"}", 30.0),
        ("dpmp_hashrate_hashes_per_second{pool=\"A\"}", 1e12),
        ("dpmp_best_share_difficulty{pool=\"A\"}", 5e6),
        ("dpmp_network_difficulty{pool=\"A\"}", 9e13),
        ("dpmp_block_height{pool=\"A\"}", 871_234.0),
        ("dpmp_payout_share{pool=\"A\"}", 0.98),
        ("dpmp_payout_share{pool=\"B\"}", 0.0),
        ("dpmp_pool_up{pool=\"A\"}", 1.0),
        ("dpmp_pool_up{pool=\"B\"}", 0.0),
        ("dpmp_pool_down{pool=\"A\"}", 0.0),
        ("dpmp_pool_down{pool=\"B\"}", 1.0),
    ];
    for (series, value) in expected {
        assert!(
            (values[series] - value).abs() < 1e-9,
            "{series}: {}",
            values[series]
        );
    }
    assert!(!metrics.render(&snapshot).unwrap().contains("a name"));
}

#[test]
fn series_have_the_names_of_the_pools() {
    let metrics = Metrics::new().unwrap();
    let mut snapshot = Snapshot::default();
    snapshot.pools[PoolSlot::A].name = "Solo".into();
    snapshot.pools[PoolSlot::A].chain = "BTC".into();
    let infos = |snapshot: &Snapshot| {
        let mut values = values(&metrics, snapshot);
        values.retain(|series, _| series.starts_with("dpmp_pool_info"));
        values.into_keys().collect::<Vec<_>>()
    };
    let b = "dpmp_pool_info{chain=\"\",name=\"B\",pool=\"B\"}";
    let a = "dpmp_pool_info{chain=\"BTC\",name=\"Solo\",pool=\"A\"}";
    assert_eq!(infos(&snapshot), [b, a]);
    // The former name is gone.
    snapshot.pools[PoolSlot::A].name = "Other".into();
    let a = "dpmp_pool_info{chain=\"BTC\",name=\"Other\",pool=\"A\"}";
    assert_eq!(infos(&snapshot), [b, a]);
}

#[test]
fn troubles_are_counted_by_kind() {
    let alert = |id: &str| Alert {
        id: id.into(),
        level: Level::Error,
        title: String::new(),
        text: String::new(),
        action: String::new(),
        at_ms: None,
        dismissable: false,
    };
    let metrics = Metrics::new().unwrap();
    let there = |metrics: &Metrics| {
        let mut values = values(metrics, &Snapshot::default());
        values.retain(|series, _| series.starts_with("dpmp_troubles"));
        assert_eq!(values.len(), CATALOGUE.len());
        values.retain(|_, count| *count > 0.0);
        values
    };
    metrics.troubles(&[
        alert("pool_down:A"),
        alert("pool_down:B"),
        alert("redirect_B:7"),
    ]);
    let series =
        |trouble, level| format!("dpmp_troubles{{level=\"{level}\",trouble=\"{trouble}\"}}");
    let expected = [
        (series("pool_down", "error"), 2.0),
        (series("redirect", "warning"), 1.0),
    ];
    assert_eq!(there(&metrics), BTreeMap::from(expected));
    metrics.troubles(&[]);
    assert_eq!(there(&metrics), BTreeMap::new());
}

fn worker(id: u64, name: &str, accepted: u64, hashrate: f64) -> MinerView {
    MinerView {
        accepted: PerPool::new(accepted, 0),
        hashrate: PerPool::new(Some(hashrate), None),
        ..sample_miner(id, name)
    }
}

/// The existing series of workers' hashrates.
fn workers(metrics: &Metrics, snapshot: &Snapshot) -> BTreeMap<String, f64> {
    let mut values = values(metrics, snapshot);
    values.retain(|series, _| series.starts_with("dpmp_worker_hashrate"));
    values
}

#[test]
fn connected_workers_have_their_hashrate() {
    let metrics = Metrics::new().unwrap();
    let mut snapshot = Snapshot {
        miners: vec![
            worker(1, "rig \"1\"", 1, 5.0),
            worker(2, "invented", 0, 7.0),
            worker(3, "rig \"1\"", 1, 6.0),
            worker(4, ADDRESS, 1, 1.0),
        ],
        ..Snapshot::default()
    };
    let series = |worker: &str, pool: &str| {
        format!("dpmp_worker_hashrate_hashes_per_second{{pool=\"{pool}\",worker=\"{worker}\"}}")
    };
    let rig = r#"rig \"1\""#;
    let expected = [
        (series("bc1q…5mdq", "A"), 1.0),
        (series("bc1q…5mdq", "B"), 0.0),
        (series(rig, "A"), 11.0),
        (series(rig, "B"), 0.0),
    ];
    assert_eq!(workers(&metrics, &snapshot), BTreeMap::from(expected));
    // A worker that left has no series.
    snapshot.miners.clear();
    assert_eq!(workers(&metrics, &snapshot), BTreeMap::new());
}

#[test]
fn the_number_of_worker_series_is_bounded() {
    let metrics = Metrics::new().unwrap();
    let mut snapshot = Snapshot::default();
    for id in (0..).take(3 * MAX_WORKERS) {
        snapshot.miners.push(worker(id, &format!("w{id}"), 1, 1.0));
    }
    // Another connection of a worker that has a series still counts.
    snapshot.miners.push(worker(9999, "w0", 1, 1.0));
    let workers = workers(&metrics, &snapshot);
    assert_eq!(workers.len(), 2 * MAX_WORKERS);
    assert_eq!(
        workers["dpmp_worker_hashrate_hashes_per_second{pool=\"A\",worker=\"w0\"}"],
        2.0
    );
}

#[test]
fn the_process_is_measured_where_the_system_allows_it() {
    let metrics = Metrics::new().unwrap();
    let values = values(&metrics, &Snapshot::default());
    if cfg!(target_os = "linux") {
        assert!(values["process_resident_memory_bytes"] > 1e6);
        assert!(values["process_open_fds"] >= 3.0);
        assert!(values["process_max_fds"] >= values["process_open_fds"]);
        assert!(values["process_threads"] >= 1.0);
        assert!(values["process_start_time_seconds"] > 1.6e9);
        assert!(values["process_cpu_seconds_total"] >= 0.0);
    }
}

/// The names and types in the docs, as in "- `name` (counter by `pool`): ".
fn documented() -> BTreeSet<(String, String)> {
    let items = DOCS.lines().filter_map(|line| line.strip_prefix("- `"));
    items
        .filter_map(|item| {
            let (name, rest) = item.split_once("` (")?;
            let kind = rest.split([' ', ')']).next()?;
            Some((name.to_owned(), kind.to_owned()))
        })
        .collect()
}

#[test]
fn the_docs_list_every_metric_and_no_other() {
    let metrics = Metrics::new().unwrap();
    let snapshot = Snapshot {
        miners: vec![worker(1, "rig1", 1, 1.0)],
        ..Snapshot::default()
    };
    let text = metrics.render(&snapshot).unwrap();
    let mut found: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect();
    let mut documented = documented();
    if !cfg!(target_os = "linux") {
        found.retain(|(name, _)| !name.starts_with("process_"));
        documented.retain(|(name, _)| !name.starts_with("process_"));
    }
    assert_eq!(documented, found);
}

#[test]
fn the_docs_list_every_value_of_a_label() {
    let reasons = RejectReason::ALL.iter().map(|reason| reason.name());
    let classes = RejectClass::ALL.iter().map(|class| class.name());
    for value in reasons.chain(classes) {
        assert!(DOCS.contains(&format!("`{value}`")), "{value}");
    }
}
