//! The whole program: the delay it adds to notifies and shares, compared with a direct connection. Also processor time
//! per share, memory and threads per miner, and how soon all miners have work after a block.
//!
//! `cargo bench --bench proxy`, or with other numbers of miners `cargo bench --bench proxy -- 1 50`;
//! `docs/performance.md` has results and explains them. With the argument `shared`, miners share pool connections;
//! with `restart`, it measures how soon fast miners settle after a start.
//! `DPMP_PROGRAM` names another build to measure. Pools and miners come from `src/sim`: they hash and judge for real.
//! They run in this process, each on its own thread, and share the machine with the proxy.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::as_conversions,
    reason = "a benchmark that cannot go on says so and ends"
)]

#[path = "support/hub.rs"]
mod hub;
#[path = "support/miners.rs"]
mod miners;
#[path = "support/pools.rs"]
mod pools;
#[path = "support/process.rs"]
mod process;

use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use dpmp::sim::miner::ledger::MinerLedger;
use dpmp::sim::miner::options::Pace;
use dpmp::units::{PerPool, PoolSlot};

use crate::miners::Miners;
use crate::pools::Pools;
use crate::process::{Proxy, Usage};

/// The number of miners if the command line does not give one. More than about 4,800 need higher kernel limits.
const FARMS: [usize; 4] = [1, 10, 100, 1000];

/// The pools' difficulty: a few hashes per share.
const EASY: f64 = 1e-9;

/// The most open files this process allows itself, for both ends of each direct connection. More than about 9,900
/// miners need over 20,000, which is the limit of some machines.
const OPEN_FILES: u64 = 65_536;

/// Files needed for everything else.
const SPARE_FILES: u64 = 200;

/// For measuring shares: shares per second of all miners together, the most per miner, and for how long.
const SHARE_RATES: [u32; 2] = [250, 500];
const SHARE_RATE_OF_ONE: u32 = 50;
const SHARE_TIME: Duration = Duration::from_secs(15);

/// The minimum number of single notifies to measure, and the pause between them.
const NOTIFIES: usize = 400;
const NOTIFY_PAUSE: Duration = Duration::from_millis(4);

/// How many new blocks are measured.
const BLOCKS: usize = 9;

/// For a restart: the pools' difficulty, and the one that suits the miners, so low that each hash is a share. The
/// miners suggest a thousandth of it.
const FAR_DIFFICULTY: f64 = 1e-3;
const RIGHT_DIFFICULTY: f64 = 1e-10;

/// The usual time between a miner's shares on a shared connection, in seconds.
const INTERVAL: f64 = 8.6;

/// How long the miners are watched, and how often the pools send a new job.
const WATCH: Duration = Duration::from_secs(60);
const JOB_EVERY: Duration = Duration::from_secs(15);

/// The time limit for anything that has to happen.
const PATIENCE: Duration = Duration::from_secs(120);

/// Results for one number of miners and one way to the pools; times in milliseconds, sorted. A notify's time is from
/// the pool's write to the miner's read, a share's from the miner's write to the answer. A block's time ends when the
/// last miner of the pool has work on it.
struct Figures {
    notify: Vec<f64>,
    /// At the lowest rate.
    share: Vec<f64>,
    /// For one pool, and for both pools at the same time.
    block: [Vec<f64>; 2],
    /// Processor time per share at each rate, in microseconds.
    share_us: Vec<f64>,
    refused: Vec<String>,
}

/// What the proxy used: before the first miner connected, and at the end.
struct Cost {
    empty: Usage,
    full: Usage,
    share_us: Vec<f64>,
}

fn main() {
    // Raises the hard limit where that is allowed.
    if rlimit::Resource::NOFILE
        .set(OPEN_FILES, OPEN_FILES)
        .is_err()
    {
        rlimit::increase_nofile_limit(u64::MAX).unwrap();
    }
    let (latency_us, cpu_us) = hop();
    println!(
        "one message from a thread to a sleeping one: {latency_us:.0} µs, {cpu_us:.0} µs of CPU\n"
    );
    let asked: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|arg| arg.parse().ok())
        .collect();
    let shared = std::env::args().any(|arg| arg == "shared");
    let farms = if asked.is_empty() {
        FARMS.to_vec()
    } else {
        asked
    };
    if std::env::args().any(|arg| arg == "restart") {
        return farms.into_iter().for_each(restart);
    }
    println!(
        "| miners | notify direct | notify proxied | share direct | share proxied | block direct | block proxied | two blocks proxied |"
    );
    println!("|{}", " --- |".repeat(8));
    let files = rlimit::Resource::NOFILE.get_soft().unwrap();
    let mut costs = Vec::new();
    for miners in farms {
        let needed = 2 * miners as u64 + SPARE_FILES;
        assert!(
            files >= needed,
            "{miners} miners need {needed} open files, and {files} are allowed: ulimit -n"
        );
        let direct = {
            let pools = Pools::start(EASY).unwrap();
            let farm = connect(miners, pools.addresses[PoolSlot::A]);
            measure(&pools, &farm, &[PoolSlot::A], || Duration::ZERO)
        };
        let (proxied, cost) = through_the_proxy(miners, shared);
        println!(
            "| {miners} | {} | {} | {} | {} | {} | {} | {} |",
            two(&direct.notify),
            two(&proxied.notify),
            two(&direct.share),
            two(&proxied.share),
            two(&direct.block[0]),
            two(&proxied.block[0]),
            two(&proxied.block[1]),
        );
        assert_eq!([direct.refused, proxied.refused].concat(), [""; 0]);
        costs.push((miners, cost));
    }
    println!(
        "\nTimes in milliseconds: median / 99th percentile; of blocks the median and the longest of {BLOCKS}.\n"
    );
    let [low, high] = SHARE_RATES;
    println!(
        "| miners | CPU per share, {low}/s | CPU per share, {high}/s | memory | memory per miner | threads | threads per miner |"
    );
    println!("|{}", " --- |".repeat(7));
    for (miners, cost) in costs {
        let Cost {
            empty,
            full,
            share_us,
        } = cost;
        println!(
            "| {miners} | {:.0} µs | {:.0} µs | {:.1} MiB | {:.0} KiB | {} | {:.1} |",
            share_us[0],
            share_us[1],
            full.memory_kib as f64 / 1024.0,
            full.memory_kib.saturating_sub(empty.memory_kib) as f64 / miners as f64,
            full.threads,
            full.threads.saturating_sub(empty.threads) as f64 / miners as f64,
        );
    }
}

/// What it costs this machine to hand a message to a sleeping thread that then sleeps again; the proxy does it twice
/// per share. Latency and processor time in microseconds.
fn hop() -> (f64, f64) {
    const THREADS: u32 = 20;
    const MESSAGES: u32 = 400;
    let (first, mut inbox) = mpsc::channel::<Instant>();
    for _ in 0..THREADS {
        let (sender, receiver) = mpsc::channel();
        let before = std::mem::replace(&mut inbox, receiver);
        std::thread::spawn(move || {
            for message in before {
                let _ = sender.send(message);
            }
        });
    }
    let cpu = process::cpu("self").unwrap();
    let mut times = Vec::new();
    for _ in 0..MESSAGES {
        first.send(Instant::now()).unwrap();
        let sent = inbox.recv().unwrap();
        times.push(sent.elapsed().as_secs_f64() * 1e6 / f64::from(THREADS + 1));
        std::thread::sleep(Duration::from_millis(5));
    }
    let cpu = process::cpu("self").unwrap() - cpu;
    times.sort_by(f64::total_cmp);
    let hops = MESSAGES * (THREADS + 1);
    (
        percentile(&times, 0.5),
        cpu.as_secs_f64() * 1e6 / f64::from(hops),
    )
}

fn through_the_proxy(count: usize, shared: bool) -> (Figures, Cost) {
    let pools = Pools::start(EASY).unwrap();
    let connections = if shared { "shared" } else { "own" };
    let proxy = Proxy::start(&pools.addresses, connections).unwrap();
    let least = if shared { count.div_ceil(250) } else { count };
    let empty = proxy.usage().unwrap();
    let miners = connect(count, proxy.address);
    wait_until("both pools to serve every miner", || {
        pools
            .ledgers
            .iter()
            .all(|(_, ledger)| ledger.connections_open() >= least as u64)
    });
    let figures = measure(&pools, &miners, &PoolSlot::ALL, || proxy.cpu().unwrap());
    let full = proxy.usage().unwrap();
    let share_us = figures.share_us.clone();
    (
        figures,
        Cost {
            empty,
            full,
            share_us,
        },
    )
}

/// Starts the proxy with this many miners at the right difficulty, then again, while they suggest one that is 1,000
/// times too low; then once more without what it remembers. Their shares have settled when the rate is right within a
/// factor of four.
fn restart(count: usize) {
    let pools = Pools::start(FAR_DIFFICULTY).unwrap();
    let mut proxy = Proxy::start(&pools.addresses, "shared").unwrap();
    let stages = [
        ("start, right suggestion", 1.0),
        ("restart, 1,000 times too low", 1000.0),
        ("first start, 1,000 times too low", 1000.0),
    ];
    println!(
        "| {count} miners | all have work after | shares settled after | sent until then | rejected | unanswered at the end | CPU until then | a minute |"
    );
    println!("|{}", " --- |".repeat(8));
    for (stage, (what, too_low)) in stages.into_iter().enumerate() {
        match stage {
            0 => (),
            1 => proxy.restart().unwrap(),
            _ => {
                drop(proxy);
                proxy = Proxy::start(&pools.addresses, "shared").unwrap();
            }
        }
        let begin = Instant::now();
        let cpu = || proxy.cpu().unwrap();
        let idle = cpu();
        let pace = Pace::Work(RIGHT_DIFFICULTY / INTERVAL);
        let suggest = Some(RIGHT_DIFFICULTY / too_low);
        let miners = Miners::working(count, proxy.address, pace, suggest).unwrap();
        let sum = |of: fn(&MinerLedger) -> u64| miners.ledgers.iter().map(of).sum::<u64>();
        let (mut ready, mut settled, mut next_job) = (None, None, begin + JOB_EVERY);
        let mut last = (begin, 0);
        while begin.elapsed() < WATCH {
            std::thread::sleep(Duration::from_secs(1));
            let now = Instant::now();
            if next_job <= now {
                pools.new_job(Duration::ZERO);
                next_job = now + JOB_EVERY;
            }
            let sent = sum(MinerLedger::submitted);
            let seconds = now.duration_since(last.0).as_secs_f64();
            let rate = (sent - last.1) as f64 / seconds / count as f64 * INTERVAL;
            last = (now, sent);
            let have_work = miners.ledgers.iter().all(|it| it.jobs_received() > 0);
            if have_work {
                ready.get_or_insert(begin.elapsed());
            }
            let is_right = have_work && (0.25..4.0).contains(&rate);
            settled = is_right.then(|| settled.unwrap_or((begin.elapsed(), sent, cpu() - idle)));
        }
        let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
        let never = || "never".to_owned();
        println!(
            "| {what} | {} | {} | {} | {} | {} | {} | {} |",
            ready.map_or_else(never, seconds),
            settled.map_or_else(never, |(at, ..)| seconds(at)),
            settled.map_or_else(never, |(_, sent, _)| sent.to_string()),
            sum(MinerLedger::rejected),
            miners
                .ledgers
                .iter()
                .map(MinerLedger::open_submits)
                .sum::<usize>(),
            settled.map_or_else(never, |(.., cpu)| seconds(cpu)),
            seconds(cpu() - idle),
        );
        let mut reasons = BTreeMap::<String, usize>::new();
        for record in miners.ledgers.iter().flat_map(|it| it.rejections()) {
            let text = record.answer.map(|answer| answer.text);
            *reasons.entry(text.unwrap_or_default()).or_default() += 1;
        }
        for (text, count) in reasons {
            println!("{count} rejected: {text}");
        }
        assert_eq!(miners.lost(), 0, "no miner loses its connection");
    }
}

fn connect(count: usize, address: std::net::SocketAddr) -> Miners {
    let miners = Miners::start(count, address).unwrap();
    wait_until("every miner to have work", || {
        assert_eq!(miners.lost(), 0, "no miner loses its connection");
        miners
            .ledgers
            .iter()
            .all(|ledger| ledger.jobs_received() > 0)
    });
    miners
}

/// Measures everything on the way to these pools. `cpu` is the processor time the proxy has used.
fn measure(
    pools: &Pools,
    miners: &Miners,
    both: &[PoolSlot],
    cpu: impl Fn() -> Duration,
) -> Figures {
    let count = miners.ledgers.len();
    let answered = || miners.ledgers.iter().flat_map(|ledger| ledger.submits());
    // This comes first, so that the miners have settled on their pools when single jobs are measured.
    let (mut share, mut share_us) = (Vec::new(), Vec::new());
    for rate in SHARE_RATES {
        let (before, shares) = (cpu(), answered().count());
        send_shares(miners, rate);
        let shares = answered().count() - shares;
        share_us.push((cpu() - before).as_secs_f64() * 1e6 / shares as f64);
        if rate == SHARE_RATES[0] {
            for submit in answered() {
                let answer = submit
                    .answer
                    .map(|answer| milliseconds(answer.at - submit.at));
                share.extend(answer);
            }
        }
    }
    let mut notify = Vec::new();
    for round in 0..NOTIFIES.div_ceil(count) {
        // The first ones meet cold caches and unused buffers.
        let times = hand_out(miners, pools, both, |pools| pools.new_job(NOTIFY_PAUSE));
        if round > 0 || count > 1 {
            notify.extend(times);
        }
    }
    let mut block = [&both[..1], both].map(|slots| new_blocks(miners, pools, slots));
    let [one, two] = &mut block;
    for times in [&mut notify, &mut share, one, two] {
        times.sort_by(f64::total_cmp);
    }
    Figures {
        notify,
        share,
        block,
        share_us,
        refused: miners
            .ledgers
            .iter()
            .flat_map(|ledger| ledger.rejections())
            .filter_map(|share| Some(share.answer?.text))
            .collect(),
    }
}

/// How long it takes after a block of these pools until the last of their miners has work, in milliseconds.
fn new_blocks(miners: &Miners, pools: &Pools, slots: &[PoolSlot]) -> Vec<f64> {
    let last = || {
        let last = miners.ledgers.iter().filter_map(|ledger| ledger.last_job());
        last.map(|job| job.at).max().unwrap()
    };
    let time = |_| {
        let begin = Instant::now();
        hand_out(miners, pools, slots, |pools| {
            slots.iter().for_each(|slot| pools.new_block(*slot));
        });
        milliseconds(last().duration_since(begin))
    };
    (0..BLOCKS).map(time).collect()
}

/// The pool whose job a miner is working on.
fn works_for(ledger: &MinerLedger) -> PoolSlot {
    let tag = ledger.last_job().unwrap().tag;
    let mut slots = PoolSlot::ALL.into_iter();
    slots
        .find(|slot| Some(slot.name()) == tag.as_deref())
        .unwrap()
}

/// Makes these pools send jobs. Returns the times from the pool's write to the read of each miner working for it, in
/// milliseconds.
fn hand_out(
    miners: &Miners,
    pools: &Pools,
    slots: &[PoolSlot],
    act: impl FnOnce(&Pools),
) -> Vec<f64> {
    let theirs: Vec<_> = miners
        .ledgers
        .iter()
        .enumerate()
        .map(|(number, ledger)| (number, ledger, works_for(ledger)))
        .filter(|(.., slot)| slots.contains(slot))
        .map(|(number, ledger, slot)| (number, ledger, slot, ledger.jobs_received()))
        .collect();
    let to_be_written = pools
        .ledgers
        .map(|_, ledger| ledger.jobs_written() + ledger.connections_open());
    let begin = Instant::now();
    act(pools);
    wait_until("the pools to have written all", || {
        let written = |slot: PoolSlot| pools.ledgers[slot].jobs_written();
        slots
            .iter()
            .all(|slot| written(*slot) >= to_be_written[*slot])
    });
    wait_until("every miner to have the new job", || {
        let mut theirs = theirs.iter();
        theirs.all(|(_, ledger, _, before)| ledger.jobs_received() > *before)
    });
    let written = PerPool::from_fn(|slot| {
        let ledger = &pools.ledgers[slot];
        let workers = ledger.connections().into_iter();
        let workers = workers.filter(|connection| connection.closed.is_none());
        let workers: HashMap<u64, String> = workers
            .filter_map(|connection| Some((connection.id, connection.worker?)))
            .collect();
        let jobs = ledger
            .jobs()
            .into_iter()
            .rev()
            .take_while(|job| job.written >= begin);
        jobs.filter_map(|job| Some((workers.get(&job.connection)?.clone(), job.written)))
            .collect::<HashMap<_, _>>()
    });
    let mut times = Vec::new();
    for (number, ledger, slot, _) in theirs {
        let job = ledger.last_job().unwrap();
        // A miner whose turn has just ended got its job because of that.
        let stayed = works_for(ledger) == slot;
        let of_all = || written[slot].get("wallet");
        let written = written[slot]
            .get(&format!("wallet.m{number}"))
            .or_else(of_all)
            .filter(|_| stayed);
        times.extend(written.map(|written| milliseconds(job.at.duration_since(*written))));
    }
    times
}

fn send_shares(miners: &Miners, rate: u32) {
    let count = u32::try_from(miners.ledgers.len()).unwrap();
    miners.set_rate(rate.min(SHARE_RATE_OF_ONE * count));
    std::thread::sleep(SHARE_TIME);
    miners.set_rate(0);
    wait_until("every share to be answered", || {
        miners
            .ledgers
            .iter()
            .all(|ledger| ledger.open_submits() == 0)
    });
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn percentile(sorted: &[f64], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((last as f64 * part).round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}

fn two(sorted: &[f64]) -> String {
    format!(
        "{:.2} / {:.2}",
        percentile(sorted, 0.5),
        percentile(sorted, 0.99)
    )
}
