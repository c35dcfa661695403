//! Every share gets exactly one answer, and the right one.

use std::time::Duration;

use dpmp::sim::chain::hash::{merkle_root, sha256d};
use dpmp::sim::chain::judge::{Rules, Verdict};
use dpmp::sim::chain::tag_of;
use dpmp::sim::miner::work::{Share, Work};
use dpmp::sim::pool::SimPool;
use dpmp::sim::pool::options::{PoolOptions, RejectForm};
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::http::Http;
use crate::support::proxy::{Proxy, Setup, check};
use crate::support::{SOON, pool, wait_until};

/// Turns a good share into a bad one.
type Change = fn(&mut Share);

/// The proxy with only pool A in use, so that a miner never switches.
fn only_a(change: impl FnOnce(&mut PoolOptions)) -> (SimPool, SimPool, Proxy) {
    let a = pool("A", |options| {
        options.job_interval = None;
        // About one hash in 43 is a share.
        options.difficulty = 1e-8;
        change(options);
    });
    let b = pool("B", |_| ());
    let proxy = Setup::new(&a, &b).set("scheduler.poolB_weight", 0).start();
    (a, b, proxy)
}

#[track_caller]
fn assert_refused(answer: &Value, code: i64) {
    assert_eq!(answer["error"][0], code, "{answer}");
    assert!(answer["error"][1].is_string(), "{answer}");
    assert!(answer["error"][2].is_null(), "{answer}");
    assert_ne!(answer["result"], true, "{answer}");
}

#[track_caller]
fn assert_accepted(answer: &Value) {
    assert_eq!(answer["result"], true, "{answer}");
    assert_eq!(answer["error"], Value::Null, "{answer}");
}

#[test]
fn dpmp_itself_says_what_is_wrong_with_a_share() {
    let (a, _b, proxy) = only_a(|_| ());
    let (mut client, mut work) = Client::working(proxy.address());
    let good = client.find(&mut work);
    assert_accepted(&client.submit(&good));
    assert_refused(&client.submit(&good), 22);

    let cases: [(i64, Change); 6] = [
        (21, |share| share.job_id = "ffff".into()),
        (21, |share| share.job_id = "not-hex".into()),
        (20, |share| share.version_bits = Some(0x8000_0001)),
        (20, |share| share.ntime -= 1),
        (20, |share| share.ntime += 7200),
        (20, |share| share.e2.push(0)),
    ];
    for (number, (code, change)) in cases.into_iter().enumerate() {
        let mut share = client.find(&mut work);
        change(&mut share);
        let answer = client.submit(&share);
        assert_eq!(answer["error"][0], code, "case {number}: {answer}");
    }
    let difficulty = client.difficulty;
    let low = client.find_where(&mut work, |found| found < difficulty / 2.0);
    assert_refused(&client.submit(&low), 23);

    for params in [
        json!([]),
        json!(["wallet.worker"]),
        json!(["wallet.worker", "1", "zz", "00000000", "00000000"]),
        json!(["wallet.worker", "1", "0000", 7, "00000000"]),
        json!({"job": 1}),
    ] {
        assert_refused(&client.ask("mining.submit", &params), 20);
    }
    let old = client.find(&mut work);
    a.new_block();
    let mut fresh = client.job_where("after the block", |work| work.notify.clean);
    assert_refused(&client.submit(&old), 21);
    let share = client.find(&mut fresh);
    assert_accepted(&client.submit(&share));

    // Of all these, the pool saw only the two good ones.
    assert_eq!(a.ledger().accepted(), 2, "{}", a.ledger().summary());
    assert_eq!(a.ledger().refused(), 0, "{}", a.ledger().summary());
    assert_eq!(a.ledger().violations(), []);
}

/// The pool always gets DPMP's name for the worker, so the name in the miner's share does not matter.
#[test]
fn the_name_in_a_submit_is_ignored() {
    let (a, _b, proxy) = only_a(|options| options.one_worker = true);
    let (mut client, mut work) = Client::working(proxy.address());
    let second = client.ask("mining.authorize", &json!(["wallet.second", "x"]));
    assert_accepted(&second);
    let names = [
        json!("wallet.worker"),
        json!("wallet.second"),
        json!("WALLET.Worker"),
        json!("other.wallet"),
        json!(""),
        json!("x".repeat(2000)),
        json!(null),
        json!(7),
        json!({"name": "worker"}),
    ];
    for name in &names {
        let mut params = client.find(&mut work).params("");
        params[0] = name.clone();
        let answer = client.ask("mining.submit", &Value::from(params));
        assert_eq!(answer["result"], true, "{name}: {answer}");
    }
    let accepted = usize::try_from(a.ledger().accepted()).unwrap();
    assert_eq!(accepted, names.len(), "{}", a.ledger().summary());
    assert_eq!(a.ledger().violations(), []);

    // Only a connection that never authorized is rejected.
    let mut stranger = Client::connect(proxy.address());
    stranger.configure();
    stranger.subscribe();
    assert_refused(&stranger.submit(&client.find(&mut work)), 24);
}

#[test]
fn a_repeated_job_gets_a_time_no_share_has_used() {
    let tag = |work: &Work| tag_of(&work.notify.coinb2);
    let pools = ["A", "B"].map(|name| {
        pool(name, |options| {
            options.job_interval = None;
            options.difficulty = 1e-8;
        })
    });
    let proxy = Setup::new(&pools[0], &pools[1])
        .set("scheduler.slice_seconds", 1)
        .start();
    let (mut client, mut work) = Client::working(proxy.address());
    // The miner changes the time in its headers, once by a little and once by a lot.
    for ahead in [40, 4000] {
        let own = work.notify.ntime;
        let pool = tag(&work);
        let mut moved = work.clone();
        moved.notify.ntime = own + ahead;
        let share = client.find(&mut moved);
        assert_accepted(&client.submit(&share));
        client.job_where("from the other pool", |work| tag(work) != pool);
        work = client.job_where("from the same pool", |work| tag(work) == pool);
        let again = work.notify.ntime;
        assert!(again > own, "{again} {own}");
        // DPMP does not follow a very large change: it would soon reach the pool's own limit.
        assert_eq!(again > own + ahead, ahead == 40, "{again} {own}");
    }
    assert_eq!(pools[0].ledger().refused() + pools[1].ledger().refused(), 0);
}

#[test]
fn version_bits_are_forwarded_or_filled_in() {
    let (a, _b, proxy) = only_a(|options| options.version = 0x2000_2000);
    let (mut client, mut work) = Client::working(proxy.address());
    assert_eq!(client.mask, Some(0x1fff_e000));
    for _ in 0..5 {
        let share = client.find(&mut work);
        assert_accepted(&client.submit(&share));
    }
    // Five parameters: the job's own version bits.
    let mut plain = Work::new(work.notify.clone(), work.e1.clone(), work.e2_size, None);
    plain.first_e2 = 77;
    let share = client.find(&mut plain);
    assert_eq!(share.version_bits, None);
    assert_accepted(&client.submit(&share));
    assert_eq!(a.ledger().violations(), []);
}

#[test]
fn a_block_is_forwarded_even_with_other_faults() {
    let (a, _b, proxy) = only_a(|options| {
        // Every second hash is a block.
        options.nbits = 0x207f_ffff;
        options.difficulty = 1e6;
    });
    let (mut client, mut work) = Client::working(proxy.address());
    let is_block = |difficulty: f64| difficulty > 5e-10;
    let below = client.find_where(&mut work, is_block);
    let no_block = client.find_where(&mut work, |difficulty| difficulty < 2.4e-10);
    let stale = client.find_where(&mut work, is_block);
    let stale_no_block = client.find_where(&mut work, |difficulty| difficulty < 2.4e-10);

    let answer = client.submit(&below);
    assert_refused(&answer, 23);
    assert_eq!(answer["error"][1], "Above target", "the pool's own words");
    assert_eq!(client.submit(&no_block)["error"][0], 23);
    a.new_block();
    client.job_where("after the block", |work| work.notify.clean);
    assert_refused(&client.submit(&stale), 21);
    assert_refused(&client.submit(&stale_no_block), 21);

    let shares = a.ledger().shares();
    let verdicts: Vec<Verdict> = shares.iter().map(|share| share.judgement.verdict).collect();
    assert_eq!(verdicts, [Verdict::LowDifficulty, Verdict::Stale]);
    assert!(shares.iter().all(|share| share.judgement.is_block));
}

#[test]
fn a_late_share_reaches_the_pool_that_owns_its_job() {
    let a = pool("A", |options| options.job_interval = None);
    let b = pool("B", |options| options.job_interval = None);
    let proxy = Setup::new(&a, &b).start();
    let (mut client, mut first) = Client::working(proxy.address());
    for round in 1..=4_u64 {
        let of_a = tag_of(&first.notify.coinb2).as_deref() == Some("A");
        let (owner, next) = if of_a { (&a, "B") } else { (&b, "A") };
        let (before, difficulty) = (owner.ledger().accepted(), client.difficulty);
        let mut second = client.job_of(next);
        assert!(!second.notify.clean, "round {round}");
        let late = client.find_where(&mut first, |found| found >= difficulty);
        assert_accepted(&client.submit(&late));
        assert_eq!(owner.ledger().accepted(), before + 1, "round {round}");
        let present = client.find(&mut second);
        assert_accepted(&client.submit(&present));
        first = second;
    }
    assert_eq!(a.ledger().refused() + b.ledger().refused(), 0);
}

#[test]
fn a_share_for_the_other_pools_old_block_is_stale() {
    let a = pool("A", |options| options.job_interval = None);
    let b = pool("B", |options| options.job_interval = None);
    let proxy = Setup::new(&a, &b).start();
    let (mut client, _) = Client::working(proxy.address());
    let mut of_a = client.job_of("A");
    let late = client.find(&mut of_a);
    client.job_of("B");
    a.new_block();
    // The proxy knows about the block once it sends work on it.
    let before = of_a.notify.prevhash;
    client.job_where("the new block", |work| {
        tag_of(&work.notify.coinb2).as_deref() == Some("A") && work.notify.prevhash != before
    });
    client.job_of("B");
    assert_refused(&client.submit(&late), 21);
    assert_eq!(a.ledger().refused(), 0);
}

#[test]
fn every_form_of_a_pools_rejection_becomes_a_list() {
    // If a form has no room for a code, the code is 20.
    let forms = [
        (RejectForm::Array, 21, "Stale"),
        (RejectForm::Object, 21, "Stale"),
        (RejectForm::Text, 20, "Stale"),
        (RejectForm::RejectReason, 20, "Stale"),
        (RejectForm::Bare, 20, ""),
    ];
    let (a, _b, proxy) = only_a(|options| options.refuse_all = Some(Verdict::Stale));
    let (mut client, mut work) = Client::working(proxy.address());
    for (form, code, text) in forms {
        a.change(|options| options.reject_form = form);
        let share = client.find(&mut work);
        let answer = client.submit(&share);
        assert_refused(&answer, code);
        let said = answer["error"][1].as_str().unwrap();
        assert!(said.contains(text), "{form:?}: {answer}");
    }
}

#[test]
fn a_new_difficulty_is_sent_with_the_next_job_and_applies_from_it() {
    let (a, _b, proxy) = only_a(|options| {
        options.rules = Rules {
            stale_grace: Duration::from_secs(60),
            ..Rules::default()
        }
    });
    let (mut client, mut first) = Client::working(proxy.address());
    let easy = client.difficulty;
    assert_eq!(easy, 1e-8);
    a.change(|options| options.difficulty = 1e-7);
    let share = client.find(&mut first);
    assert_accepted(&client.submit(&share));
    assert_eq!(client.difficulty, easy, "not before the next job");
    a.new_job();
    let mut second = client.job();
    assert_eq!(client.difficulty, 1e-7);
    let old = client.find_where(&mut first, |found| found >= easy && found < 1e-7);
    assert_accepted(&client.submit(&old));
    let low = client.find_where(&mut second, |found| found < 9e-8);
    assert_refused(&client.submit(&low), 23);
    let good = client.find(&mut second);
    assert_accepted(&client.submit(&good));
    assert_eq!(a.ledger().refused(), 0, "{}", a.ledger().summary());
}

#[test]
fn a_share_below_the_pools_difficulty_is_accepted_but_not_forwarded() {
    let a = pool("A", |options| {
        options.job_interval = None;
        options.difficulty = 1e-6;
    });
    let b = pool("B", |_| ());
    let proxy = Setup::new(&a, &b)
        .set("scheduler.poolB_weight", 0)
        .set("downstream_diff", json!({"poolA_max": 1e-8}))
        .start();
    let (mut client, mut work) = Client::working(proxy.address());
    assert_eq!(client.difficulty, 1e-8);
    let low = client.find_where(&mut work, |found| (1e-8..9e-7).contains(&found));
    assert_accepted(&client.submit(&low));
    assert_refused(&client.submit(&low), 22);
    let high = client.find_where(&mut work, |found| found > 1e-6);
    assert_accepted(&client.submit(&high));
    assert_eq!(a.ledger().accepted(), 1);
    assert_eq!(a.ledger().refused(), 0, "{}", a.ledger().summary());
}

/// A pool credits its own difficulty, so a higher one here costs income. The warning gives the number.
#[test]
fn a_minimum_above_the_pools_difficulty_is_reported() {
    let pools = ["A", "B"].map(|name| pool(name, |options| options.difficulty = 1e-9));
    let proxy = Setup::new(&pools[0], &pools[1])
        .set("downstream_diff", json!({"poolB_min": 1e-8}))
        .start();
    let _miner = crate::support::miner(proxy.address(), |_| ());
    let pages = Http::new(proxy.pages_address());
    wait_until(SOON, "an alert", || {
        let status = pages.get("/api/v1/status").json();
        let alerts = status["alerts"].as_array().unwrap().clone();
        let alert = alerts.iter().find(|alert| alert["id"] == "unpaid_work:B");
        alert.is_some_and(|alert| alert["title"].to_string().contains("90%"))
            && !alerts.iter().any(|alert| alert["id"] == "unpaid_work:A")
    });
    let (_, text) = check(&proxy.file("config.json"));
    assert_eq!(text.matches("would not be paid").count(), 1, "{text}");
    assert!(text.contains("90% of the work"), "{text}");
}

/// The first matching block in the archive.
fn archived(page: &Http, fits: impl Fn(&Value) -> bool) -> Value {
    let mut found = Value::Null;
    wait_until(SOON, "a block in the archive", || {
        found = page.get("/api/v1/blocks").json()["blocks"][0].clone();
        found.is_object() && fits(&found)
    });
    found
}

/// Each block candidate stays on disk together with the pool's answer.
#[test]
fn a_block_is_saved_in_a_file_that_can_rebuild_it() {
    let (_a, _b, mut proxy) = only_a(|options| options.nbits = 0x207f_ffff);
    let page = Http::new(proxy.pages_address()).with_token();
    assert_eq!(page.get("/api/v1/blocks").json(), json!({"blocks": []}));
    let (mut client, mut work) = Client::working(proxy.address());
    let share = client.find(&mut work);
    assert_accepted(&client.submit(&share));
    let block = archived(&page, |block| block["answer"] == "accepted");
    let mut hash = share.hash;
    hash.reverse();
    assert_eq!(block["hash"], hex::encode(hash));
    assert_eq!(
        (&block["worker"], &block["pool"]),
        (&json!("worker"), &json!("A"))
    );

    // The download is the same file, and it is enough to rebuild the header.
    let name = block["name"].as_str().unwrap();
    let answer = page.get(&format!("/api/v1/blocks/{name}"));
    let file = std::fs::read(proxy.file("blocks").join(name)).unwrap();
    assert_eq!(answer.body, file);
    assert!(answer.header("content-disposition").unwrap().contains(name));
    let kept: Value = serde_json::from_slice(&file).unwrap();
    let bytes = |field: &Value| hex::decode(field.as_str().unwrap()).unwrap();
    let header = bytes(&kept["header"]);
    let branches = kept["branches"].as_array().unwrap().iter();
    let branches: Vec<[u8; 32]> = branches.map(|it| bytes(it).try_into().unwrap()).collect();
    assert_eq!(
        header[36..68],
        merkle_root(&bytes(&kept["coinbase"]), &branches)
    );
    for (place, field) in [(68, "ntime"), (76, "nonce")] {
        let number = u32::from_str_radix(kept[field].as_str().unwrap(), 16).unwrap();
        assert_eq!(header[place..place + 4], number.to_le_bytes(), "{field}");
    }
    assert_eq!(sha256d(&[&header]), share.hash);
    assert_eq!(page.get("/api/v1/blocks/..%2Fstate.json").status, 404);

    // The banner survives a restart until it is dismissed, and then stays away.
    let banner = |page: &Http| {
        let status = page.get("/api/v1/status").json();
        let alerts = status["alerts"].as_array().unwrap();
        let ids = alerts
            .iter()
            .map(|alert| alert["id"].as_str().unwrap().to_owned());
        ids.into_iter().find(|id| id.starts_with("block_found:A:"))
    };
    drop(client);
    proxy.restart();
    let page = Http::new(proxy.pages_address()).with_token();
    wait_until(SOON, "the banner", || banner(&page).is_some());
    let id = banner(&page).unwrap();
    assert_eq!(
        page.post("/api/v1/alerts/seen", &json!({"id": id})).status,
        200
    );
    proxy.restart();
    let page = Http::new(proxy.pages_address());
    wait_until(SOON, "a state", || {
        page.get("/api/v1/status").json()["pools"]["A"]["blocks"] == 1
    });
    assert_eq!(banner(&page), None);
    assert_eq!(archived(&page, |_| true)["name"], name);
}

/// With the same simulated pools and miners as the demo.
#[test]
fn a_block_is_in_the_archive_within_a_second() {
    let a = pool("A", |options| options.nbits = 0x2000_ffff);
    let b = pool("B", |_| ());
    let proxy = Setup::new(&a, &b).start();
    let page = Http::new(proxy.pages_address());
    let rig = crate::support::miner(proxy.address(), |options| options.user = "x.rig".into());
    let found = || page.get("/api/v1/status").json()["pools"]["A"]["blocks"] != 0;
    wait_until(SOON, "a block", found);
    let since = std::time::Instant::now();
    let block = archived(&page, |_| true);
    assert!(since.elapsed() < Duration::from_secs(1));
    assert_eq!(
        (&block["worker"], &block["pool_name"]),
        (&json!("rig"), &json!("A"))
    );
    assert!(block["height"].is_u64() && block["difficulty"].is_f64());
    drop(rig);
}
