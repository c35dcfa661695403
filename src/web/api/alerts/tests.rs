//! Tests of the alerts.

use std::sync::Arc;

use super::shares::{FORM_BLOCKED_SHOWN, reason_in_words};
use super::*;
use crate::config::steering::Work;
use crate::config::{Config, Connections, parse};
use crate::core::insight::chain::{Finding, Found, Mismatch};
use crate::core::insight::payee::{Payment, PayoutKind};
use crate::core::insight::watch::{Expected, WrongPayout};
use crate::core::miner::roster::MissingWorker;
use crate::core::miner::view::{Condition, sample_miner};
use crate::core::outage::{Flaw, Health, Outage};
use crate::core::pool::version_form::BlockedShares;
use crate::core::snapshot::{Snapshot, UnpaidWork};
use crate::core::stats::totals::{Block, BlockFate};
use crate::core::steering::{ALL_WORKERS, Override};
use crate::stratum::reject::RejectReason;
use crate::system::clock::now;
use crate::units::VersionMask;

/// Two pools that are up, a miner, a password.
struct World {
    snapshot: Snapshot,
    config: Config,
    lately: Window,
    notices: BTreeMap<Trouble, Notice>,
    password_set: bool,
    wrong_passwords: usize,
    refused_by: BTreeMap<String, u64>,
}

impl World {
    fn new() -> Self {
        let text =
            r#"{"pools": {"A": {"host": "a", "wallet": "x"}, "B": {"host": "b", "wallet": "y"}}}"#;
        let mut snapshot = Snapshot {
            unix_ms: 1,
            set_up: true,
            miners: vec![sample_miner(1, "one")],
            ..Snapshot::default()
        };
        for pool in snapshot.pools.values_mut() {
            pool.in_use = true;
            pool.health = Health::Up;
            pool.e2_size = Some(8);
            pool.version_mask = VersionMask::BIP320;
        }
        Self {
            snapshot,
            config: parse(text).unwrap().config,
            lately: Window::default(),
            notices: BTreeMap::new(),
            password_set: true,
            wrong_passwords: 0,
            refused_by: BTreeMap::new(),
        }
    }

    fn notice(&mut self, trouble: Trouble, text: &str, unix_ms: u64) {
        let text = text.to_owned();
        self.notices.insert(trouble, Notice { unix_ms, text });
    }

    fn alerts(self) -> Vec<Alert> {
        let (snapshot, config) = (Arc::new(self.snapshot), Arc::new(self.config));
        let moment = Moment {
            snapshot: &snapshot,
            config: &config,
            now: now(),
        };
        let grounds = Grounds {
            moment: &moment,
            notices: self.notices,
            lately: self.lately,
            refused_by: self.refused_by,
            password_set: self.password_set,
            wrong_passwords: Some(WrongTries {
                count: self.wrong_passwords,
                from: std::net::Ipv4Addr::LOCALHOST.into(),
                last: moment.now.at,
            }),
        };
        let mut alerts = alerts(&grounds, &Dismissals::default());
        for alert in &mut alerts {
            let kind = alert
                .kind()
                .expect("docs/troubles.md and the catalogue have it");
            assert_eq!(kind.level, alert.level, "{}", alert.id);
            assert!(
                !alert.title.is_empty() && !alert.text.is_empty() && alert.action.ends_with('.')
            );
            // The time of an event is not what the tests are about.
            let parts = alert.id.split(':');
            let names = parts.filter(|part| part.parse::<u64>().is_err());
            alert.id = names.collect::<Vec<_>>().join(":");
        }
        alerts
    }
}

#[track_caller]
fn expect(change: impl FnOnce(&mut World), ids: &[&str]) {
    let mut world = World::new();
    change(&mut world);
    let alerts = world.alerts();
    let found: Vec<_> = alerts.iter().map(|alert| alert.id.as_str()).collect();
    assert_eq!(found, ids);
}

#[test]
fn each_trouble_has_an_alert_and_there_is_none_without_trouble() {
    use PoolSlot::{A, B};
    expect(|_| (), &[]);
    expect(|it| it.password_set = false, &["no_password"]);
    expect(|it| it.wrong_passwords = 5, &[]);
    expect(|it| it.wrong_passwords = 20, &["wrong_passwords"]);
    expect(|it| it.snapshot.miners.clear(), &["no_miner"]);
    let paused = |it: &mut World| {
        it.snapshot.miners.clear();
        it.snapshot.steering.set(Override {
            work: Work::Pause,
            workers: vec![ALL_WORKERS.to_owned()],
            until_ms: None,
            set_ms: 0,
            by: String::new(),
        });
    };
    expect(paused, &[]);
    expect(
        |it| it.snapshot.pools[A].health = Health::Down,
        &["pool_down:A"],
    );
    // It is not needed.
    let off = |it: &mut World| {
        it.snapshot.pools[A].health = Health::Down;
        it.snapshot.pools[A].in_use = false;
    };
    expect(off, &[]);
    let refused = |it: &mut World| {
        it.snapshot.pools[B].health = Health::Down;
        it.snapshot.pools[B].refusal = Some("no such user".into());
    };
    expect(refused, &["wrong_wallet:B"]);
    expect(
        |it| it.snapshot.pools[B].refused_miners = 2,
        &["miners_refused:B"],
    );
    for flaw in [Flaw::Mute, Flaw::Rejecting, Flaw::Behind, Flaw::WithoutNews] {
        let flawed = |it: &mut World| {
            it.snapshot.pools[B].health = Health::Down;
            it.snapshot.pools[B].outage = Some(Outage::Flaw(flaw));
        };
        expect(flawed, &[&format!("pool_{}:B", flaw.name())]);
    }
    let left = |it: &mut World, for_ms: u64| {
        it.snapshot.pools[A].left_since = Some(now().unix_ms - for_ms);
    };
    expect(|it| left(it, 31_000), &["pool_old_block:A"]);
    expect(|it| left(it, 10_000), &[]);
    let jobless = |it: &mut World, for_ms: u64| {
        it.snapshot.pools[A].jobless_since = Some(now().unix_ms - for_ms);
    };
    expect(|it| jobless(it, 31_000), &["pool_no_job:A"]);
    expect(|it| jobless(it, 10_000), &[]);
    let lost = |it: &mut World, answered: f64, lost: f64| {
        it.snapshot.pools[B].lately.accepted = answered;
        it.snapshot.pools[B].lately.lost = lost;
    };
    expect(|it| lost(it, 100.0, 3.0), &["shares_lost:B"]);
    expect(|it| lost(it, 0.0, 3.0), &["shares_lost:B"]);
    expect(|it| lost(it, 10.0, 2.0), &[]);
    expect(|it| lost(it, 1000.0, 9.0), &[]);
    expect(|it| it.config.pools[A] = None, &["not_set_up:A"]);
    let wrong_setting = |it: &mut World| {
        it.config.pools[A] = None;
        it.notice(Trouble::PoolSetting(A), "pools.A.wallet: found 5.", 1);
    };
    expect(wrong_setting, &["pool_setting:A"]);
    let left_out = "pools.A.backups: found 5.";
    expect(
        |it| it.notice(Trouble::Start, left_out, 1),
        &["start_trouble"],
    );
    expect(|it| it.snapshot.pools[A].backup = 1, &["on_backup:A"]);
    expect(
        |it| it.snapshot.pools[A].payout_changed = Some(7),
        &["payout_changed:A"],
    );
    let pays = |share| {
        move |it: &mut World| {
            it.snapshot.pools[A].payout_wrong = Some(WrongPayout {
                since: 7,
                payment: Payment {
                    kind: PayoutKind::Pool,
                    share,
                    other: 1.0 - share,
                    coin: None,
                },
                expected: Expected::AtLeast(0.9),
            });
        }
    };
    expect(pays(0.0), &["coinbase_pays_other:A"]);
    let mut world = World::new();
    pays(0.25)(&mut world);
    assert_eq!(
        world.alerts()[0].text,
        "A block found now would pay your address 25.0%. Your minimum is 90.0%."
    );
    expect(
        |it| it.snapshot.pools[B].version_mask = VersionMask::NONE,
        &["mask_missing:B"],
    );
    expect(
        |it| it.snapshot.pools[A].cannot_share = Some(2),
        &["cannot_share:A"],
    );
    let many = |it: &mut World| {
        it.snapshot.pools[B].connected_miners = 301;
    };
    expect(many, &["many_connections:B"]);
    let shared = |it: &mut World| {
        many(it);
        if let Some(pool) = &mut it.config.pools[B] {
            pool.connections = Connections::Shared;
        }
    };
    expect(shared, &[]);
    let raised = |it: &mut World| {
        it.snapshot.pools[B].raised = Some(UnpaidWork {
            miners: 2,
            asked: 1024.0,
            told: 8192.0,
            unpaid: 0.875,
        });
    };
    expect(raised, &["unpaid_work:B"]);
    let form_blocked = |it: &mut World, age_ms: u64| {
        it.snapshot.unix_ms = now().unix_ms;
        it.snapshot.pools[A].form_blocked = Some(BlockedShares {
            shares: 3,
            since_ms: 1,
            last_ms: now().unix_ms - age_ms,
        });
    };
    expect(|it| form_blocked(it, 1000), &["version_form:A"]);
    expect(|it| form_blocked(it, FORM_BLOCKED_SHOWN), &[]);
    let any_certificate = |it: &mut World| {
        let tls = &mut it.config.pools[B].as_mut().unwrap().tls;
        (tls.enabled, tls.insecure) = (true, true);
    };
    expect(any_certificate, &["any_certificate:B"]);
    let neither = |it: &mut World| {
        for pool in it.snapshot.pools.values_mut() {
            pool.version_mask = VersionMask::NONE;
        }
    };
    expect(neither, &[]);
    let block = |it: &mut World, age_ms: u64, fate: BlockFate| {
        it.snapshot.pools[A].totals.last_block = Some(Block {
            worker: "lucky".into(),
            when: (now().unix_ms - age_ms).into(),
            fate,
            seen: age_ms == 0,
        });
    };
    for (fate, id) in [
        (BlockFate::Accepted, "block_found:A"),
        (BlockFate::Unknown, "block_found:A"),
        (
            BlockFate::Rejected("Job not found".into()),
            "block_rejected:A",
        ),
        (BlockFate::Undelivered, "block_undelivered:A"),
    ] {
        expect(|it| block(it, 1000, fate), &[id]);
    }
    expect(
        |it| block(it, 1 << 40, BlockFate::Accepted),
        &["block_found:A"],
    );
    expect(|it| block(it, 0, BlockFate::Accepted), &[]);
    expect(
        |it| {
            it.snapshot.miners.clear();
            it.snapshot
                .pools
                .values_mut()
                .for_each(|pool| pool.health = Health::Down);
        },
        &["nothing_mined"],
    );
    expect(
        |it| it.notice(Trouble::State, "disk full", 1),
        &["state_trouble"],
    );
}

#[test]
fn findings_about_the_chain_raise_alerts() {
    use PoolSlot::{A, B};
    let found = |it: &mut World, findings: &[Finding]| {
        let since = now();
        let found = findings.iter().map(|finding| Found {
            finding: *finding,
            since,
        });
        it.snapshot.findings = found.collect();
    };
    let clock = |slot, minutes, is_certain| Finding::Clock {
        slot,
        minutes,
        is_certain,
    };
    let lower = Finding::Lower { slot: A, blocks: 2 };
    let wrong = Finding::WrongChain(B, Mismatch::Work);
    for (findings, ids) in [
        (
            &[Finding::Forked { height: 900_000 }][..],
            &["pools_forked"][..],
        ),
        (&[Finding::OneChain], &["one_chain"]),
        (&[Finding::TargetsDiffer], &["targets_differ"]),
        (&[wrong], &["wrong_chain:B"]),
        (
            &[Finding::WrongChain(B, Mismatch::Witness)],
            &["wrong_chain:B"],
        ),
        (&[Finding::NoWitness(A)], &["no_witness:A"]),
        (
            &[Finding::NoBlock(A), Finding::NoBlock(B)],
            &["no_new_block:A", "no_new_block:B"],
        ),
        (&[Finding::NoBlock(A), lower], &["pool_old_block:A"]),
        (&[clock(B, -15, true)], &["pool_clock:B"]),
        (
            &[clock(A, 15, false), clock(B, -15, false)],
            &["pool_clock:A"],
        ),
    ] {
        expect(|it| found(it, findings), ids);
    }
    let left = |it: &mut World| it.snapshot.pools[A].left_since = Some(now().unix_ms - 31_000);
    let behind = |it: &mut World| {
        left(it);
        found(it, &[lower]);
    };
    expect(behind, &["pool_old_block:A"]);
    // A block of another chain puts no pool behind.
    let invented = |it: &mut World| {
        left(it);
        found(it, &[wrong]);
    };
    expect(invented, &["wrong_chain:B"]);
    // Where both are on it, one may be behind the other.
    let both = |it: &mut World| {
        left(it);
        found(it, &[Finding::WrongChain(A, Mismatch::Work), wrong]);
    };
    expect(
        both,
        &["wrong_chain:A", "wrong_chain:B", "pool_old_block:A"],
    );
    let off = |it: &mut World| {
        it.snapshot.pools[B].in_use = false;
        found(it, &[wrong, Finding::OneChain]);
    };
    expect(off, &[]);
}

#[test]
fn one_cause_gives_one_alert() {
    use PoolSlot::{A, B};
    let both_down = |it: &mut World| {
        for pool in it.snapshot.pools.values_mut() {
            pool.health = Health::Down;
        }
    };
    // The consequences of both pools being down: unanswered shares, backups in use, miners at their fallback pools.
    let with_consequences = |it: &mut World| {
        both_down(it);
        it.snapshot.miners.clear();
        it.lately.refused = 100.0;
        it.refused_by = [("pool_lost".into(), 100)].into();
        for slot in PoolSlot::ALL {
            let pool = &mut it.snapshot.pools[slot];
            pool.backup = 1;
            pool.lately.accepted = 10.0;
            pool.lately.rejected = 90.0;
            pool.lately.lost = 10.0;
        }
    };
    expect(with_consequences, &["nothing_mined"]);
    let one_in_use = |it: &mut World| {
        both_down(it);
        it.snapshot.pools[B].in_use = false;
    };
    expect(one_in_use, &["nothing_mined"]);
    let refused = |it: &mut World| {
        both_down(it);
        it.snapshot.pools[A].refusal = Some("no such user".into());
    };
    let alert = only(refused);
    assert!(
        alert.text.contains("no such user") && alert.action.contains("payout address"),
        "{alert:?}"
    );
    let rejecting = |it: &mut World| {
        it.snapshot.pools[A].health = Health::Down;
        it.snapshot.pools[A].outage = Some(Outage::Flaw(Flaw::Rejecting));
        it.snapshot.pools[A].lately.rejected = 100.0;
    };
    expect(rejecting, &["pool_rejecting:A"]);
    // Miners work for the last pool although it rejects, so something is being mined.
    let last_resort = |it: &mut World| {
        rejecting(it);
        it.snapshot.pools[B].health = Health::Down;
    };
    let mut world = World::new();
    last_resort(&mut world);
    let alerts = world.alerts();
    let about = |id: &str| alerts.iter().find(|alert| alert.id == id).unwrap();
    assert_eq!(alerts.len(), 2);
    assert!(about("pool_rejecting:A").text.contains("still work for it"));
    assert!(
        about("pool_down:B")
            .text
            .contains("Your miners work for Pool A, which also")
    );
}

#[test]
fn a_worker_gone_for_a_while_is_missing() {
    let gone = |it: &mut World, worker: &str, [here, usual]: [u32; 2], minutes: u64| {
        it.snapshot.missing.push(MissingWorker {
            worker: worker.to_owned(),
            here,
            usual,
            since: (now().unix_ms - minutes * 60_000).into(),
        });
    };
    expect(|it| gone(it, "two", [0, 1], 11), &["miner_missing:two"]);
    expect(|it| gone(it, "two", [0, 1], 9), &[]);
    let mut world = World::new();
    gone(&mut world, "one", [1, 2], 11);
    let alerts = world.alerts();
    assert_eq!(alerts[0].title, "one has 1 of 2 connections");
    let never = |it: &mut World| {
        it.config.notify.miner_missing = None;
        gone(it, "two", [0, 1], 11);
    };
    expect(never, &[]);
    let all_gone = |it: &mut World| {
        it.snapshot.miners.clear();
        gone(it, "one", [0, 1], 11);
        gone(it, "two", [0, 1], 11);
    };
    expect(all_gone, &["no_miner"]);
    let turned_away = |it: &mut World| {
        gone(it, "two", [0, 1], 11);
        it.notice(Trouble::Miners, "", now().unix_ms);
    };
    expect(turned_away, &["max_miners"]);
}

#[test]
fn a_dismissed_worker_can_be_reported_missing_again() {
    let seen = Dismissals::default();
    let alert = |id: &str| Alert {
        id: id.to_owned(),
        level: Level::Warning,
        title: String::new(),
        text: String::new(),
        action: String::new(),
        at_ms: None,
        dismissable: true,
    };
    let (id, start) = ("miner_missing:one", now().at);
    seen.insert_for_now(id.to_owned(), start);
    let later = |seconds| start + Duration::from_secs(seconds);
    seen.forget_over(&[alert(id)], later(100));
    assert!(seen.contains(id));
    seen.forget_over(&[], later(20));
    assert!(seen.contains(id));
    seen.forget_over(&[], later(100));
    assert!(!seen.contains(id));
}

#[test]
fn a_worker_with_a_hung_connection_has_one_alert() {
    let hang = |it: &mut World, id: u64, worker: &str, since: u64| {
        let mut miner = sample_miner(id, worker);
        miner.condition = Condition::Hangs;
        miner.condition_since = Some(since.into());
        it.snapshot.miners.push(miner);
    };
    let mut world = World::new();
    hang(&mut world, 2, "two", 9000);
    hang(&mut world, 3, "two", 7000);
    hang(&mut world, 4, "three", 8000);
    let alerts = world.alerts();
    let found: Vec<_> = alerts
        .iter()
        .map(|alert| (alert.id.as_str(), alert.at_ms))
        .collect();
    assert_eq!(
        found,
        [
            ("miner_hangs:three", Some(8000)),
            ("miner_hangs:two", Some(7000))
        ]
    );
    let slow = |it: &mut World| it.snapshot.miners[0].condition = Condition::Slow;
    expect(slow, &["miner_slow:one"]);
    let nothing_mined = |it: &mut World| {
        hang(it, 2, "two", 9000);
        for pool in it.snapshot.pools.values_mut() {
            pool.health = Health::Down;
        }
    };
    expect(nothing_mined, &["nothing_mined"]);
}

#[test]
fn a_spike_needs_many_rejections_and_a_large_share() {
    use PoolSlot::A;
    let with = |good: f64, bad: f64| {
        move |it: &mut World| {
            it.snapshot.pools[A].lately.accepted = good;
            it.snapshot.pools[A].lately.rejected = bad;
        }
    };
    expect(with(0.0, 4.0), &[]);
    expect(with(0.0, 5.0), &["pool_rejects_all:A"]);
    expect(with(0.0, 20.0), &["pool_rejects_all:A"]);
    expect(with(1.0, 19.0), &[]);
    expect(with(1.0, 20.0), &["reject_spike:A"]);
    expect(with(379.0, 20.0), &["reject_spike:A"]);
    expect(with(380.0, 20.0), &[]);
    expect(|it| it.lately.refused = 30.0, &["refuse_spike"]);
}

#[test]
fn the_most_severe_alert_comes_first() {
    let several = |it: &mut World| {
        it.password_set = false;
        it.snapshot.pools[PoolSlot::B].health = Health::Down;
        it.notice(Trouble::Log, "5 lines", 1);
    };
    expect(several, &["pool_down:B", "no_password", "log_trouble"]);
}

#[track_caller]
fn only(change: impl FnOnce(&mut World)) -> Alert {
    let mut world = World::new();
    change(&mut world);
    let mut alerts = world.alerts();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    alerts.remove(0)
}

#[test]
fn the_alert_for_blocked_shares_gives_the_true_reason() {
    let because = |reason: RejectReason| {
        let alert = only(|it| {
            it.lately.refused = 100.0;
            it.refused_by = [("duplicate".into(), 3), (reason.name().into(), 97)].into();
        });
        (alert.text, alert.action)
    };
    let (text, action) = because(RejectReason::TooMany);
    assert!(
        text.contains("100 of 100 shares") && text.contains("(97)"),
        "{text}"
    );
    assert!(action.contains("listen.submits_per_second"), "{action}");
    assert!(because(RejectReason::PoolLost).1.contains("not the cause"));
    assert!(
        because(RejectReason::LowDifficulty)
            .1
            .contains("which miner")
    );
    let sentences = RejectReason::ALL.map(reason_in_words);
    let different: BTreeSet<_> = sentences.iter().collect();
    assert_eq!(different.len(), sentences.len());
}

#[test]
fn the_alert_for_a_backup_gives_its_reason_and_payout() {
    let on_backup = |backup: &str, why: Option<&str>| {
        only(|it| {
            let text = format!(
                r#"{{"pools": {{"A": {{"host": "a", "wallet": "firstwallet123", "backups": [{backup:?}]}}, "B": {{"host": "b", "wallet": "y"}}}}}}"#
            );
            it.config = parse(&text).unwrap().config;
            it.snapshot.pools[PoolSlot::A].backup = 1;
            it.snapshot.pools[PoolSlot::A].address = "c:3333".into();
            if let Some(why) = why {
                it.notice(Trouble::Backup(PoolSlot::A), why, 1);
            }
        })
        .text
    };
    let plain = on_backup("c:3333", None);
    assert!(
        plain.contains("c:3333") && !plain.contains("pays"),
        "{plain}"
    );
    let text = on_backup("otherwallet456@c:3333", Some("it rejected 40 of 50 shares"));
    assert!(text.contains("pays another address"), "{text}");
    assert!(
        text.contains("a:3333: it rejected 40 of 50 shares"),
        "{text}"
    );
}

#[test]
fn the_alert_for_miners_turned_away_names_the_config_key() {
    let turned_away = |trouble, unix_ms| {
        let mut world = World::new();
        world.notice(trouble, "172.17.0.1", unix_ms);
        world.alerts()
    };
    let now = now().unix_ms;
    let alerts = turned_away(Trouble::MinersPerAddress, now);
    assert!(alerts[0].text.contains("172.17.0.1") && alerts[0].text.contains("256"));
    assert!(alerts[0].action.contains("listen.max_miners_per_address"));
    assert!(
        turned_away(Trouble::Miners, now)[0]
            .action
            .contains("listen.max_miners")
    );
    assert!(turned_away(Trouble::MinersPerAddress, 1).is_empty());
}

#[test]
fn workers_waiting_for_their_pool_are_named() {
    use crate::config::steering::WorkerSettings;
    let mut world = World::new();
    world.snapshot.pools[PoolSlot::A].health = Health::Down;
    let text = |world: World| world.alerts()[0].text.clone();
    let settings = WorkerSettings {
        work: Some(Work::only(PoolSlot::A)),
        failover: Some(false),
        ..WorkerSettings::default()
    };
    world.config.workers.insert("one".to_owned(), settings);
    world.snapshot.miners[0].pool = None;
    let said = text(world);
    assert!(
        said.contains(
            "1 worker waits for Pool A because failover is off: one. Nothing is being mined."
        ),
        "{said}"
    );
}

#[test]
fn many_start_problems_give_a_short_list() {
    let mut world = World::new();
    let text: Vec<_> = (1..=9).map(|it| format!("trouble {it}")).collect();
    world.notice(Trouble::Start, &text.join("\n"), 5);
    let alerts = world.alerts();
    assert_eq!(alerts[0].text.lines().count(), 6);
    assert!(alerts[0].text.ends_with("4 more are in the log."));
}
