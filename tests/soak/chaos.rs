//! The faults. Each one is a function; most start something that ends by itself a while later.

use std::fs;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use dpmp::random::Random;
use dpmp::sim::chain::JobIds;
use dpmp::sim::chain::judge::Verdict;
use dpmp::sim::pool::options::{
    AuthorizeRule, ConfigureHabit, ConfigureOrder, DifficultyForm, ExtranonceReuse, FirstJob,
    PoolOptions, RejectForm, SubscriptionForm,
};

use super::guests::{ACTS, Act, Guest};
use super::slow::Slow;
use super::vanish::vanish;
use super::world::{World, config};

/// A fault; returns whether it was possible.
type Fault = fn(&mut World) -> bool;

/// All faults except the guests' acts and SIGKILL.
const FAULTS: [(&str, Fault); 26] = [
    ("pool dies", pool_dies),
    ("pool accepts no connections", pool_closes_door),
    ("pool stalls", pool_stalls),
    ("pool slows down to bytes per second", pool_slows_down),
    ("pool closes its connections", pool_hangs_up),
    ("pool sends rubbish", pool_rubbish),
    ("pool sends a megabyte line", pool_megabyte),
    ("pool floods with jobs", pool_floods),
    ("pool has a new block", pool_block),
    ("pool changes difficulty", pool_difficulty),
    ("pool keeps changing difficulties", pool_wander),
    ("pool changes extranonce sizes", pool_extranonce),
    ("pool changes version mask", pool_mask),
    ("pool changes its behavior", pool_habits),
    ("pool asks for a reconnect", pool_reconnect),
    ("pool rejects shares", pool_refuses),
    ("pool ignores shares", pool_swallows),
    ("pool answers late", pool_late),
    ("pool authorizes no one", pool_locks_out),
    ("miners disconnect", miners_hang_up),
    ("miner vanishes", miner_vanishes),
    ("disk is full", disk_full),
    ("state folder is read-only", folder_read_only),
    ("clock jumps", clock_jumps),
    ("weights change", weights_change),
    ("config file is invalid", config_rubbish),
];

/// Ends a fault or restores something, with the pool's number if it concerns one.
pub(crate) type End = fn(&mut World, usize);

/// All faults, dealt like cards: each comes once before any comes again.
pub(crate) struct Deck {
    rng: Random,
    left: Vec<usize>,
}

impl Deck {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rng: Random::new(seed),
            left: Vec::new(),
        }
    }

    /// Starts the next possible fault.
    pub(crate) fn deal(&mut self, world: &mut World) {
        if self.left.is_empty() {
            self.left = (0..FAULTS.len() + ACTS.len()).collect();
        }
        let index = usize::try_from(self.rng.below(self.left.len() as u64)).unwrap();
        let card = self.left.swap_remove(index);
        let (name, done) = match FAULTS.get(card) {
            Some((name, fault)) => (*name, fault(world)),
            None => (
                ACTS[card - FAULTS.len()].0,
                guest(world, ACTS[card - FAULTS.len()].1),
            ),
        };
        if done {
            *world.faults.entry(name).or_default() += 1;
        }
    }
}

/// A guest connects.
fn guest(world: &mut World, act: Act) -> bool {
    world.guests.retain(|guest| !guest.is_finished());
    let mut guest = Guest {
        miners: world.proxy.miners_address(),
        web: [world.proxy.ports.metrics, world.proxy.ports.pages].map(super::proxy::local),
        until: Instant::now() + world.a_while(),
        stop: world.stop_guests.clone(),
        rng: Random::new(world.rng.next_u64()),
        complaints: world.violations.clone(),
    };
    world.stop_guests.store(false, Ordering::SeqCst);
    let run = move || {
        // A guest has to expect being cut off.
        let _ = act(&mut guest);
    };
    world.guests.push(std::thread::spawn(run));
    true
}

/// A pool without a lasting fault.
fn idle_pool(world: &mut World) -> Option<usize> {
    let pool = usize::from(world.rng.below(2) == 1);
    (!world.pools[pool].busy).then_some(pool)
}

/// Starts a lasting fault of a pool.
fn lasting(world: &mut World, begin: fn(&mut World, usize), end: End) -> bool {
    let Some(pool) = idle_pool(world) else {
        return false;
    };
    world.pools[pool].busy = true;
    begin(world, pool);
    world.end_later(end, pool);
    true
}

fn pool_dies(world: &mut World) -> bool {
    lasting(
        world,
        |world, pool| world.pools[pool].sim.go_down(),
        come_back,
    )
}

fn pool_closes_door(world: &mut World) -> bool {
    let begin = |world: &mut World, pool: usize| world.pools[pool].sim.stop_listening();
    lasting(world, begin, come_back)
}

fn come_back(world: &mut World, pool: usize) {
    let pool = &mut world.pools[pool];
    drop(pool.slow.take());
    pool.busy = false;
    let deadline = Instant::now() + super::proxy::PATIENCE;
    while let Err(error) = pool.sim.come_back() {
        assert!(
            Instant::now() < deadline,
            "a pool could not get its port back: {error}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn pool_slows_down(world: &mut World) -> bool {
    let begin = |world: &mut World, pool: usize| {
        let bytes = usize::try_from(1 + world.rng.below(40)).unwrap();
        let pool = &mut world.pools[pool];
        pool.sim.go_down();
        pool.slow = Some(Slow::start(pool.sim.port(), &pool.behind, bytes));
    };
    lasting(world, begin, come_back)
}

/// Changes a pool's options for a while.
fn changed(world: &mut World, change: fn(&mut PoolOptions)) -> bool {
    let Some(pool) = idle_pool(world) else {
        return false;
    };
    world.pools[pool].busy = true;
    world.pools[pool].sim.change(change);
    world.end_later(put_right, pool);
    true
}

/// Restores a pool's first options, except those for jobs.
fn put_right(world: &mut World, pool: usize) {
    let pool = &mut world.pools[pool];
    pool.busy = false;
    pool.sim.change(|options| {
        options.silent = false;
        options.refuse_all = None;
        options.answers_shares = true;
        options.answer_latency = Duration::ZERO;
        options.authorize = AuthorizeRule::Everyone;
    });
}

fn pool_stalls(world: &mut World) -> bool {
    changed(world, |options| options.silent = true)
}

fn pool_refuses(world: &mut World) -> bool {
    changed(world, |options| options.refuse_all = Some(Verdict::Stale))
}

fn pool_swallows(world: &mut World) -> bool {
    changed(world, |options| options.answers_shares = false)
}

fn pool_late(world: &mut World) -> bool {
    changed(world, |options| {
        options.answer_latency = Duration::from_secs(2)
    })
}

fn pool_locks_out(world: &mut World) -> bool {
    let done = changed(world, |options| options.authorize = AuthorizeRule::NoOne);
    for pool in world.pools.iter().filter(|pool| done && pool.busy) {
        if pool.sim.options().authorize == AuthorizeRule::NoOne {
            pool.sim.kill_connections();
        }
    }
    done
}

/// A momentary fault of a pool.
fn at_once(world: &mut World, act: fn(&mut World, usize)) -> bool {
    let pool = idle_pool(world);
    pool.into_iter().for_each(|pool| act(world, pool));
    pool.is_some()
}

fn pool_hangs_up(world: &mut World) -> bool {
    at_once(world, |world, pool| {
        world.pools[pool].sim.kill_connections()
    })
}

fn pool_rubbish(world: &mut World) -> bool {
    const RUBBISH: [&str; 7] = [
        "{ id: null, result: [], error: true }\n",
        "\n\n\u{1}\u{2}\u{fffd}\n",
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "{\"id\":null,\"method\":\"mining.notify\",\"params\":[]}\n",
        "{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[-1]}\n",
        "{\"id\":null,\"method\":\"mining.set_extranonce\",\"params\":[\"xy\",-1]}\n",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n",
    ];
    at_once(world, |world, pool| {
        for _ in 0..5 {
            let index = usize::try_from(world.rng.below(RUBBISH.len() as u64)).unwrap();
            world.pools[pool].sim.say(RUBBISH[index]);
        }
    })
}

fn pool_megabyte(world: &mut World) -> bool {
    at_once(world, |world, pool| {
        let end = if world.rng.below(2) == 0 { "" } else { "\n" };
        world.pools[pool]
            .sim
            .say(&format!("{}{end}", "x".repeat(1 << 20)));
    })
}

fn pool_floods(world: &mut World) -> bool {
    at_once(world, |world, pool| {
        (0..100).for_each(|_| world.pools[pool].sim.new_job())
    })
}

fn pool_block(world: &mut World) -> bool {
    at_once(world, |world, pool| world.pools[pool].sim.new_block())
}

fn pool_difficulty(world: &mut World) -> bool {
    at_once(world, |world, pool| {
        let difficulty = world.rng.log_between(1e-10, 1e-8);
        world.pools[pool]
            .sim
            .change(|options| options.difficulty = difficulty);
    })
}

fn pool_wander(world: &mut World) -> bool {
    at_once(world, |world, pool| {
        world.pools[pool]
            .sim
            .change(|options| options.wander = Some((1e-10, 1e-8)));
    })
}

fn pool_extranonce(world: &mut World) -> bool {
    at_once(world, |world, pool| {
        let size =
            |rng: &mut Random, from, to| usize::try_from(from + rng.below(to - from)).unwrap();
        let (e1, e2) = (size(&mut world.rng, 0, 9), size(&mut world.rng, 2, 9));
        world.pools[pool].sim.set_extranonce(e1, e2);
    })
}

fn pool_mask(world: &mut World) -> bool {
    at_once(world, |world, pool| {
        let masks = [
            Some(0x1fff_e000),
            Some(0x00ff_e000),
            Some(0x1000_0000),
            None,
        ];
        let mask = one(&mut world.rng, &masks);
        world.pools[pool].sim.change(|options| options.mask = mask);
    })
}

fn pool_habits(world: &mut World) -> bool {
    use {ConfigureHabit as C, ConfigureOrder as O, DifficultyForm as D};
    use {FirstJob as F, RejectForm as R, SubscriptionForm as S};
    at_once(world, |world, pool| {
        let rng = &mut world.rng;
        world.pools[pool].sim.change(|options| {
            options.job_ids = one(rng, &[JobIds::Counter, JobIds::Random]);
            options.e1_reuse = one(rng, &[ExtranonceReuse::Never, ExtranonceReuse::Slots]);
            options.difficulty_form = one(rng, &[D::Plain, D::Float, D::Long, D::Text]);
            options.configure = one(rng, &[C::Answer, C::Error, C::Ignore, C::HangUp]);
            options.configure_order = one(rng, &[O::Any, O::BeforeSubscribe, O::AfterSubscribe]);
            options.reject_form = one(rng, &[R::Object, R::Text, R::RejectReason, R::Bare]);
            options.subscription = one(rng, &[S::Usual, S::NotifyOnly, S::Flat, S::Null, S::Bare]);
            options.first_job = one(rng, &[F::AfterSubscribe, F::BeforeSubscribeAnswer]);
            options.initialising = u32::try_from(rng.below(3)).unwrap();
            options.jsonrpc = rng.below(2) == 0;
            options.pushes_mask = rng.below(2) == 0;
            options.clean_after_difficulty = rng.below(2) == 0;
        });
        // These show at the next handshake.
        world.pools[pool].sim.kill_connections();
    })
}

fn pool_reconnect(world: &mut World) -> bool {
    at_once(world, |world, pool| {
        let params = one(
            &mut world.rng,
            &["[]", "[\"evil.example.net\",3333,1]", "{}"],
        );
        world.pools[pool].sim.reconnect(params);
    })
}

fn miners_hang_up(world: &mut World) -> bool {
    for miner in &world.miners {
        if world.rng.below(10) == 0 {
            miner.hang_up();
        }
    }
    true
}

fn miner_vanishes(world: &mut World) -> bool {
    world.miners_can_vanish && guest(world, vanish)
}

fn disk_full(world: &mut World) -> bool {
    if !world.proxy.disk.can_be_full() {
        return false;
    }
    world.proxy.disk.fill();
    world.disk_troubled();
    world.end_later(make_room, 0);
    true
}

fn make_room(world: &mut World, _: usize) {
    world.proxy.disk.make_room();
    world.disk_troubled();
}

fn folder_read_only(world: &mut World) -> bool {
    world.proxy.disk.set_writable(false);
    world.disk_troubled();
    world.end_later(make_writable, 0);
    true
}

fn make_writable(world: &mut World, _: usize) {
    world.proxy.disk.set_writable(true);
    world.disk_troubled();
}

fn clock_jumps(world: &mut World) -> bool {
    const HOUR: i64 = 3600;
    let jumps = [
        -400 * 24 * HOUR,
        -24 * HOUR,
        -HOUR,
        -5,
        5,
        HOUR,
        24 * HOUR,
        400 * 24 * HOUR,
    ];
    world.proxy.set_clock(one(&mut world.rng, &jumps));
    world.end_later(|world, _| world.proxy.set_clock(0), 0);
    world.proxy.has_clock()
}

fn weights_change(world: &mut World) -> bool {
    let mut config = config(world.proxy.ports);
    config["scheduler"]["poolA_weight"] = world.rng.below(101).into();
    config["scheduler"]["poolB_weight"] = (1 + world.rng.below(100)).into();
    write_config(world, &config.to_string());
    world.end_later(restore_config, 0);
    true
}

fn config_rubbish(world: &mut World) -> bool {
    write_config(world, "{\"pools\": {\"A\": nonsense");
    world.end_later(restore_config, 0);
    true
}

/// Restores the first configuration.
pub(crate) fn restore_config(world: &mut World, _: usize) {
    let config = config(world.proxy.ports).to_string();
    write_config(world, &config);
}

/// Writes like an editor does. The folder may be read-only, which is part of the test.
fn write_config(world: &World, text: &str) {
    let folder = world.proxy.disk.folder();
    let new = folder.join("config.json.new");
    let _ = fs::write(&new, text).and_then(|()| fs::rename(&new, folder.join("config.json")));
}

/// Ends all faults.
pub(crate) fn end_all(world: &mut World) {
    for (_, end, pool) in std::mem::take(&mut world.ends) {
        end(world, pool);
    }
    // Files that could not be removed while the folder was read-only.
    world.proxy.disk.make_room();
    world.stop_guests.store(true, Ordering::SeqCst);
    for guest in world.guests.drain(..) {
        let _ = guest.join();
    }
    restore_config(world, 0);
    for pool in &world.pools {
        let first = pool.first.clone();
        pool.sim.set_extranonce(first.e1_size, first.e2_size);
        pool.sim.change(|options| *options = first);
        // Handshake options apply only to new connections.
        pool.sim.kill_connections();
    }
}

fn one<T: Copy>(rng: &mut Random, of: &[T]) -> T {
    of[usize::try_from(rng.below(of.len() as u64)).unwrap()]
}
