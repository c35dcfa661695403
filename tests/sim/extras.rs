//! Optional messages: left out if the pool hangs up on them, and repeated if that keeps a connection open.

use std::time::Duration;

use dpmp::sim::miner::options::{Handshake, MinerOptions, Pace};
use dpmp::sim::pool::options::PoolOptions;
use dpmp::units::PoolSlot;
use serde_json::json;

use crate::script::Script;
use crate::world::{World, config};

const SUGGEST: &str = "mining.suggest_difficulty";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn world(miners: usize, hangs_up_on: &'static [&'static str]) -> World {
    let pool = |seed| PoolOptions {
        seed,
        ..PoolOptions::default()
    };
    let a = PoolOptions {
        hangs_up_on,
        ..pool(1)
    };
    let mut world = World::new(config([50.0, 50.0], 10.0), [a, pool(2)], 7);
    for _ in 0..miners {
        let options = MinerOptions {
            handshake: Handshake::Axeos,
            suggest: Some(1000.0),
            pace: Pace::Shares(0.5),
            ..MinerOptions::default()
        };
        world.add_miner(options, seconds(2));
    }
    world
}

fn opened(world: &World) -> u64 {
    world.sites[PoolSlot::A].model.ledger().connections_opened()
}

/// compat Q77 (Miningcore, MiningRigRentals).
#[test]
fn a_pool_that_hangs_up_on_suggestions_is_mined_without_them() {
    for miners in [1, 30] {
        let mut world = world(miners, &[SUGGEST]);
        world.run(seconds(60), |_| ());
        let accepted = world.sites[PoolSlot::A].model.ledger().accepted();
        let miners = u64::try_from(miners).unwrap();
        let fair = 60 * miners / 4;
        assert!(accepted * 2 > fair, "{accepted} of {fair}");
        let lost = opened(&world) - miners;
        // Including a test of the pool, and the connections already being opened.
        assert!(lost <= 2 * miners + 1, "{lost}");
        let kept = serde_json::to_value(world.core.memory()).unwrap();
        let facts = &kept["pools"]["127.0.0.1:3333"]["hangs_up_on"];
        assert_eq!(facts["suggestion"], true, "it survives a restart");
        // Later connections do not have to find out again.
        let before = opened(&world);
        world.kill_connections(PoolSlot::A);
        world.run(seconds(60), |_| ());
        assert_eq!(opened(&world) - before, miners);
    }
}

#[test]
fn an_outage_is_not_blamed_on_suggestions() {
    for miners in [1, 30] {
        let mut world = world(miners, &[]);
        world.run(seconds(60), |_| ());
        for _ in 0..5 {
            world.run(seconds(3), |_| ());
            world.kill_connections(PoolSlot::A);
        }
        world.run(seconds(120), |_| ());
        let kept = serde_json::to_value(world.core.memory()).unwrap();
        assert_eq!(
            kept["pools"]["127.0.0.1:3333"]["hangs_up_on"]["suggestion"],
            false
        );
        // Nor are pools that accept and then close connections.
        let mut world = self::world(miners, &["mining.authorize"]);
        world.run(seconds(60), |_| ());
        world.pool(PoolSlot::A, |pool, now, out| {
            pool.change(|options| options.hangs_up_on = &[], now, out);
        });
        world.run(seconds(120), |_| ());
        let kept = serde_json::to_value(world.core.memory()).unwrap();
        assert_eq!(
            kept["pools"]["127.0.0.1:3333"]["hangs_up_on"]["suggestion"],
            false
        );
    }
}

fn heard(script: &mut Script, slot: PoolSlot, method: &str) -> usize {
    let lines = script.pool(slot).heard.iter();
    lines.filter(|(_, line)| line["method"] == method).count()
}

/// compat Q78: NerdMiner's keep-alive, and pools that get a message from a miner only every few hours.
#[test]
fn a_repeated_suggestion_keeps_both_connections_open() {
    let mut script = Script::new(config([50.0, 50.0], 60.0), |_| ());
    script.connect(false);
    script.authorize(3, "w.nerd");
    for number in 0..60 {
        script.say(100 + number, SUGGEST, json!([0.00015]));
        script.run(seconds(30));
    }
    for slot in PoolSlot::ALL {
        let sent = heard(&mut script, slot, SUGGEST);
        assert!((58..=60).contains(&sent), "{slot}: {sent}");
    }
    // A flood is not forwarded.
    for number in 0..600 {
        script.say(1000 + number, SUGGEST, json!([0.00015]));
        script.run(Duration::from_millis(100));
    }
    for slot in PoolSlot::ALL {
        let sent = heard(&mut script, slot, SUGGEST);
        assert!((68..=73).contains(&sent), "{slot}: {sent}");
    }
}

/// compat Q79: a pool's own request uses the id of a pending share.
#[test]
fn a_pools_reply_to_our_answer_is_not_taken_for_a_share_answer() {
    let ack = |id: u64| json!({"id": id, "result": true, "error": null});
    let refusal = |id: u64| json!({"id": id, "result": null, "error": [23, "low", null]});
    for method in ["mining.ping", "client.get_version"] {
        for verdict in [None, Some(true), Some(false)] {
            let mut script = Script::new(config([100.0, 0.0], 10.0), |pools| {
                pools[PoolSlot::A].model.answers = false;
            });
            script.connect(false);
            script.authorize(3, "w.rig");
            let job = script.work_for(PoolSlot::A);
            script.submit(4, &job, 1, None);
            let share = script.forwarded(PoolSlot::A).pop().unwrap();
            let id = share.request;
            script.pool_says(
                share.conn,
                &json!({"id": id, "method": method, "params": []}),
            );
            script.pool_says(share.conn, &ack(id));
            match verdict {
                Some(true) => script.pool_says(share.conn, &ack(id)),
                Some(false) => script.pool_says(share.conn, &refusal(id)),
                // The pool does not reply to our answer, so this is the answer to the share.
                None => (),
            }
            script.run(seconds(5));
            let accepted = script.answer(4)["result"] == true;
            assert_eq!(accepted, verdict != Some(false), "{method}");
            // The next one is normal again.
            script.submit(5, &job, 2, None);
            let share = script.forwarded(PoolSlot::A).pop().unwrap();
            script.pool_says(share.conn, &refusal(share.request));
            assert_eq!(script.answer(5)["error"][0], 23);
        }
    }
}
