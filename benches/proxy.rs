//! The program end to end: how much later a notify and a share arrive than on a direct connection to the pool, what a
//! share costs in processor time, what a miner costs in memory and threads, and how soon all have work after a block.
//!
//! `cargo bench --bench proxy`, or with other numbers of miners `cargo bench --bench proxy -- 1 50`; figures and how
//! to read them are in `docs/performance.md`. With `DPMP_PROGRAM` another build than this one is measured. Pools and
//! miners are those of `src/sim`: they hash and judge for real. They run in this process, on a thread each, and share
//! the machine with the proxy.
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

use std::collections::HashMap;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use dpmp::units::{PerPool, PoolSlot};

use crate::miners::Miners;
use crate::pools::Pools;
use crate::process::{Proxy, Usage};

/// How many miners there are if the command line does not say. More than about 2,700 need wider bounds of the kernel.
const FARMS: [usize; 4] = [1, 10, 100, 1000];

/// Shares a second while shares are measured, of all miners together and at most of one, and for how long.
const SHARE_RATE: u32 = 200;
const SHARE_RATE_OF_ONE: u32 = 50;
const SHARE_TIME: Duration = Duration::from_secs(15);

/// How many single notifies are measured at least, and the pause between two.
const NOTIFIES: usize = 400;
const NOTIFY_PAUSE: Duration = Duration::from_millis(4);

/// How many new blocks are measured.
const BLOCKS: usize = 9;

/// How long anything may take that has to happen.
const PATIENCE: Duration = Duration::from_secs(120);

/// What was measured with so many miners on one way to the pools; times in milliseconds, sorted. A notify's is from the
/// pool's write to the miner's read, a share's from the miner's write to the answer, a block's from its beginning until
/// the last miner has work on it.
struct Figures {
    notify: Vec<f64>,
    share: Vec<f64>,
    block: Vec<f64>,
    refused: Vec<String>,
}

/// What the proxy took for it: before the first miner came, at the end, and of processor time for a share.
struct Cost {
    empty: Usage,
    full: Usage,
    share_us: f64,
}

fn main() {
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let (latency_us, cpu_us) = hop();
    println!(
        "one message from a thread to a sleeping one: {latency_us:.0} µs, {cpu_us:.0} µs of CPU\n"
    );
    let asked: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|arg| arg.parse().ok())
        .collect();
    let farms = if asked.is_empty() {
        FARMS.to_vec()
    } else {
        asked
    };
    println!(
        "| miners | notify direct | notify proxied | share direct | share proxied | block direct | block proxied |"
    );
    println!("|{}", " --- |".repeat(7));
    let mut costs = Vec::new();
    for miners in farms {
        let direct = {
            let pools = Pools::start().unwrap();
            let farm = connect(miners, pools.addresses[PoolSlot::A]);
            measure(&pools, &farm, || Duration::ZERO).0
        };
        let (proxied, cost) = through_the_proxy(miners);
        println!(
            "| {miners} | {} | {} | {} | {} | {} | {} |",
            two(&direct.notify),
            two(&proxied.notify),
            two(&direct.share),
            two(&proxied.share),
            two(&direct.block),
            two(&proxied.block),
        );
        assert_eq!([direct.refused, proxied.refused].concat(), [""; 0]);
        costs.push((miners, cost));
    }
    println!(
        "\nTimes in milliseconds: median / 99th percentile; of blocks the median and the longest of {BLOCKS}.\n"
    );
    println!("| miners | CPU a share | memory | memory a miner | threads |");
    println!("|{}", " --- |".repeat(5));
    for (miners, cost) in costs {
        let Cost {
            empty,
            full,
            share_us,
        } = cost;
        println!(
            "| {miners} | {share_us:.0} µs | {:.1} MiB | {:.0} KiB | {} |",
            full.memory_kib as f64 / 1024.0,
            full.memory_kib.saturating_sub(empty.memory_kib) as f64 / miners as f64,
            full.threads,
        );
    }
}

/// What this machine takes to hand a message to a thread that sleeps, and to have that go to sleep again: the proxy does
/// it four times a share. Latency and processor time in microseconds.
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

fn through_the_proxy(count: usize) -> (Figures, Cost) {
    let pools = Pools::start().unwrap();
    let proxy = Proxy::start(&pools.addresses).unwrap();
    let empty = proxy.usage().unwrap();
    let miners = connect(count, proxy.address);
    wait_until("both pools to serve every miner", || {
        pools
            .ledgers
            .iter()
            .all(|(_, ledger)| ledger.connections_open() >= count as u64)
    });
    let (figures, cpu) = measure(&pools, &miners, || proxy.cpu().unwrap());
    let full = proxy.usage().unwrap();
    let cost = Cost {
        empty,
        full,
        share_us: cpu.as_secs_f64() * 1e6 / figures.share.len() as f64,
    };
    (figures, cost)
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

/// Measures everything; and how far `cpu` went on while shares were sent.
fn measure(pools: &Pools, miners: &Miners, cpu: impl Fn() -> Duration) -> (Figures, Duration) {
    let count = miners.ledgers.len();
    // First, so that the miners have come to rest on their pools when single jobs are timed.
    let before = cpu();
    send_shares(miners, SHARE_TIME);
    let spent = cpu() - before;
    let mut share = Vec::new();
    for submit in miners.ledgers.iter().flat_map(|ledger| ledger.submits()) {
        share.extend(
            submit
                .answer
                .map(|answer| milliseconds(answer.at - submit.at)),
        );
    }
    let mut notify = Vec::new();
    for round in 0..NOTIFIES.div_ceil(count) {
        // The first ones find cold caches and sleeping buffers.
        let times = hand_out(miners, pools, |pools| pools.new_job(NOTIFY_PAUSE));
        if round > 0 || count > 1 {
            notify.extend(times);
        }
    }
    let mut block = Vec::new();
    for _ in 0..BLOCKS {
        let begin = Instant::now();
        hand_out(miners, pools, Pools::new_block);
        let last = miners.ledgers.iter().filter_map(|ledger| ledger.last_job());
        let last = last.map(|job| job.at).max().unwrap();
        block.push(milliseconds(last.duration_since(begin)));
    }
    for times in [&mut notify, &mut share, &mut block] {
        times.sort_by(f64::total_cmp);
    }
    let figures = Figures {
        notify,
        share,
        block,
        refused: miners
            .ledgers
            .iter()
            .flat_map(|ledger| ledger.rejections())
            .filter_map(|share| Some(share.answer?.text))
            .collect(),
    };
    (figures, spent)
}

/// Has the pools send jobs; the times from the pool's write to each miner's read, in milliseconds.
fn hand_out(miners: &Miners, pools: &Pools, act: impl FnOnce(&Pools)) -> Vec<f64> {
    let before: Vec<u64> = miners
        .ledgers
        .iter()
        .map(|ledger| ledger.jobs_received())
        .collect();
    let to_be_written = pools
        .ledgers
        .map(|_, ledger| ledger.jobs_written() + ledger.connections_open());
    let begin = Instant::now();
    act(pools);
    wait_until("the pools to have written all", || {
        let mut ledgers = pools.ledgers.iter();
        ledgers.all(|(slot, ledger)| ledger.jobs_written() >= to_be_written[slot])
    });
    wait_until("every miner to have the new job", || {
        let ledgers = miners.ledgers.iter().zip(&before);
        ledgers
            .into_iter()
            .all(|(ledger, before)| ledger.jobs_received() > *before)
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
    for (number, ledger) in miners.ledgers.iter().enumerate() {
        let job = ledger.last_job().unwrap();
        let slot = PoolSlot::ALL
            .into_iter()
            .find(|slot| Some(slot.name()) == job.tag.as_deref());
        let written = written[slot.unwrap()].get(&format!("wallet.m{number}"));
        times.push(milliseconds(job.at.duration_since(*written.unwrap())));
    }
    times
}

fn send_shares(miners: &Miners, time: Duration) {
    let count = u32::try_from(miners.ledgers.len()).unwrap();
    miners.set_rate(SHARE_RATE.min(SHARE_RATE_OF_ONE * count));
    std::thread::sleep(time);
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
