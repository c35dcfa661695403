//! The real program for hours, with hundreds of miners, while everything that can go wrong does.
//!
//! ```text
//! cargo test --test soak -- --minutes 120 --miners 300      [--seed N] [--round SECONDS]
//! ```
//!
//! A plain `cargo test` does not run it. A run consists of rounds, of an hour each if there is time. In a round, faults
//! are dealt from a deck ([`chaos`], [`guests`]) in an order given by the seed. Then all faults end, and everything has
//! to be as before the first one: no more threads or descriptors, one answer per share, a whole state file with totals
//! no lower than before, the split on target, and no panic. Memory is compared with the same process after its first
//! whole round, and may have grown by [`MOST_GROWTH`]. Every fourth round, starting with the first, the process is also
//! killed with SIGKILL; its totals may then lack the last 30 s. Each round is one line on standard output; the exit
//! code is 0 if nothing was violated.
//!
//! It can do everything as root (a full disk needs a small `tmpfs`, a vanishing miner its own network), with
//! `libfaketime` and `iproute2` installed. Otherwise it reports what it leaves out. Pools do not vanish; they are
//! silent, slow, or reset.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::as_conversions,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail loudly, prints what it measures, and runs in real time"
)]

mod chaos;
mod disk;
mod guests;
mod proxy;
mod slow;
mod vanish;
mod world;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use clap::Parser;

use chaos::{Deck, end_all};
use proxy::Size;
use world::{Shares, World, comes_true};

/// How much the resident memory may differ between the ends of two rounds, in bytes for the whole and for each miner.
/// The allocator keeps what a storm has needed, in an arena for each of a few threads, and the event log and the
/// history fill up slowly.
const MOST_GROWTH: (u64, u64) = (24 << 20, 32 << 10);

/// The longest scheduler round, in milliseconds, that may be explained by a busy machine.
const SLOWEST_TURN: f64 = 3000.0;

/// The minimum number of faults in a round.
const FAULTS_A_ROUND: u32 = 30;

/// The longest pause between two faults, and the longest fault.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
const LONGEST_FAULT: Duration = Duration::from_secs(40);

/// Runs DPMP between simulated pools and miners that misbehave.
#[derive(Debug, Parser)]
struct Options {
    /// The duration of the run, in minutes.
    #[arg(long, default_value_t = 0)]
    minutes: u64,
    /// Seconds to add to the minutes.
    #[arg(long, default_value_t = 0)]
    seconds: u64,
    /// The number of well-behaved miners.
    #[arg(long, default_value_t = 200)]
    miners: u32,
    /// The seed that decides the order of faults; the time of day if left out.
    #[arg(long)]
    seed: Option<u64>,
    /// How long the faults of a round last, in seconds. Default: a third of the whole run, at most an hour.
    #[arg(long)]
    round: Option<u64>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let whole = Duration::from_secs(options.minutes * 60 + options.seconds);
    if whole.is_zero() {
        println!("soak: nothing to do; give a duration, for example --minutes 120 --miners 300");
        return ExitCode::SUCCESS;
    }
    let round = options.round.map(Duration::from_secs);
    let round = round.unwrap_or((whole / 3).min(Duration::from_secs(3600)));
    let random = SystemTime::UNIX_EPOCH
        .elapsed()
        .map_or(1, |time| time.as_secs());
    let seed = options.seed.unwrap_or(random);
    println!(
        "soak: {} miners, {whole:?} in rounds of {round:?}, seed {seed}",
        options.miners
    );
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = Arc::clone(&stop);
    ctrlc::set_handler(move || stopping.store(true, Ordering::SeqCst)).unwrap();

    let longest = LONGEST_FAULT.min(round / 4);
    let mut soak = Soak {
        world: World::start(seed, options.miners, longest),
        deck: Deck::new(seed),
        first: None,
        grown_from: None,
        shares: None,
        stop,
    };
    soak.print_what_is_skipped();
    let end = Instant::now() + whole;
    soak.quiet_round();
    for number in 1.. {
        soak.round(number, round);
        if Instant::now() >= end || soak.stop.load(Ordering::SeqCst) {
            break;
        }
    }
    soak.verdict(seed)
}

/// A soak run.
struct Soak {
    world: World,
    deck: Deck,
    /// The process's size before the first fault.
    first: Option<Size>,
    /// The resident bytes of this process after its first round.
    grown_from: Option<u64>,
    /// The counts at the end of the last round; none after a SIGKILL.
    shares: Option<Shares>,
    stop: Arc<AtomicBool>,
}

impl Soak {
    fn print_what_is_skipped(&self) {
        if !self.world.proxy.disk.can_be_full() {
            println!("skipped: full disks (only root can mount a small disk)");
        }
        if !self.world.miners_can_vanish {
            println!("skipped: miners that vanish (only root can create networks, with iproute2)");
        }
        if !self.world.proxy.has_clock() {
            println!("skipped: clock jumps (libfaketime is not installed)");
        }
    }

    /// A round without faults, to compare the others with.
    fn quiet_round(&mut self) {
        self.world.reunite();
        let share = self.world.split(Duration::from_secs(6));
        self.shares = Some(self.world.settle_accounts(None));
        self.world.reunite();
        let size = self.world.proxy.size();
        self.first = Some(size);
        println!("before: {}; split {:.1} %", in_words(size), share * 100.0);
    }

    /// Faults, then the comparison.
    fn round(&mut self, number: u64, length: Duration) {
        let began = Instant::now();
        let end = began + length;
        let pause = LONGEST_PAUSE.min(length / FAULTS_A_ROUND);
        let kills = number % 4 == 1;
        let mut kill_at = kills.then(|| began + length.mul_f64(0.3 + 0.6 * self.world.rng.unit()));
        let faults = |world: &World| world.faults.values().sum::<u64>();
        let (faults_before, answered) = (faults(&self.world), self.world.answered());
        while Instant::now() < end && !self.stop.load(Ordering::SeqCst) {
            self.deck.deal(&mut self.world);
            std::thread::sleep(pause);
            self.world.end_due();
            self.world.watch();
            if kill_at.is_some_and(|at| at <= Instant::now()) {
                kill_at = None;
                self.world.kill();
                *self.world.faults.entry("SIGKILL").or_default() += 1;
                self.shares = None;
                self.grown_from = None;
            }
        }
        end_all(&mut self.world);
        self.world.reunite();
        self.world.drill_full_disk();
        if length > Duration::from_secs(100) {
            self.world.drill_read_only();
        }
        self.world.forget();
        let quiet = (length / 10).clamp(Duration::from_secs(6), Duration::from_secs(60));
        let share = self.world.split(quiet);
        self.shares = Some(self.world.settle_accounts(self.shares));
        let size = self.compare(!kills);
        let saved = self.world.check_state();
        let said = self.world.proxy.said.lock();
        println!(
            "round {number}: {} s, {} faults; {} shares answered, {saved} saved; {}; split {:.1} %; slow rounds {}, the \
             longest {:.0} ms; {} violations",
            began.elapsed().as_secs(),
            faults(&self.world) - faults_before,
            self.world.answered() - answered,
            in_words(size),
            share * 100.0,
            said.events.get("slow_turn").unwrap_or(&0),
            said.slowest_ms,
            self.world.violations.lock().len(),
        );
    }

    /// Compares the process's size with its first size; memory only for a process that has lived through whole rounds.
    fn compare(&mut self, lived: bool) -> Size {
        let proxy = &self.world.proxy;
        let mut size = proxy.size();
        let Some(first) = self.first else {
            return size;
        };
        // The last clients may not have been disconnected yet.
        let fits = comes_true(|| {
            size = proxy.size();
            size.threads <= first.threads && size.descriptors <= first.descriptors
        });
        if !fits {
            let (now, then) = (in_words(size), in_words(first));
            self.world
                .violation(format!("something is left over: {now}; before: {then}"));
        }
        if !lived {
            return size;
        }
        let miners = self.world.miners.len() as u64;
        let allowed = MOST_GROWTH.0 + MOST_GROWTH.1 * miners;
        let from = *self.grown_from.get_or_insert(size.resident);
        if size.resident > from + allowed {
            let text = format!(
                "memory has grown from {} by more than {}",
                mb(from),
                mb(allowed)
            );
            self.world.violation(format!("{text}: {}", in_words(size)));
        }
        size
    }

    fn verdict(self, seed: u64) -> ExitCode {
        let Self { world, .. } = self;
        let World {
            miners,
            proxy,
            faults,
            violations,
            pools,
            ..
        } = world;
        let submitted: u64 = miners.iter().map(|miner| miner.ledger().submitted()).sum();
        let (accepted, rejected) = miners.iter().fold((0, 0), |(accepted, rejected), miner| {
            let ledger = miner.ledger();
            (accepted + ledger.accepted(), rejected + ledger.rejected())
        });
        drop(miners);
        let said = Arc::clone(&proxy.said);
        let mut violations = std::mem::take(&mut *violations.lock());
        violations.extend(proxy.stop().err());
        let said = said.lock();
        violations.extend(said.alarms.iter().cloned());
        if said.slowest_ms > SLOWEST_TURN {
            violations.push(format!(
                "a turn of the scheduler took {:.0} ms",
                said.slowest_ms
            ));
        }
        drop(pools);
        println!(
            "shares: {submitted} sent, {accepted} accepted, {rejected} rejected; the rest was in flight when a connection ended"
        );
        for (name, count) in &faults {
            println!("  {count:>5}  {name}");
        }
        let mut lines: Vec<&String> = said.errors.iter().collect();
        lines.dedup();
        println!(
            "standard error: {} lines, for example {:?}",
            said.errors.len(),
            lines.iter().take(5).collect::<Vec<_>>()
        );
        violations.dedup();
        if violations.is_empty() {
            println!("verdict: nothing violated (seed {seed})");
            return ExitCode::SUCCESS;
        }
        for text in &violations {
            println!("VIOLATED: {text}");
        }
        println!("verdict: {} violations, seed {seed}", violations.len());
        ExitCode::FAILURE
    }
}

fn in_words(size: Size) -> String {
    let Size {
        threads,
        descriptors,
        resident,
    } = size;
    format!(
        "threads {threads}, descriptors {descriptors}, memory {}",
        mb(resident)
    )
}

fn mb(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
