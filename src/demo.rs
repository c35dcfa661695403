//! `dpmp demo`: all parts at work in one process, for people without a miner.
//!
//! The pools and miners are the simulators of the tests: they use Stratum over real sockets, hash for real and check
//! each share independently.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use crossbeam_channel::{RecvTimeoutError, bounded};
use serde_json::json;

use crate::config::Config;
use crate::core::snapshot::Snapshot;
use crate::proxy::Proxy;
use crate::sim::miner::SimMiner;
use crate::sim::miner::options::{Handshake, Ids, MinerOptions, Pace};
use crate::sim::pool::SimPool;
use crate::sim::pool::options::{ConfigureOrder, PoolOptions, RejectForm};
use crate::system::clock::clock;
use crate::units::PoolSlot;

/// How often a status line appears.
const STATUS_EVERY: Duration = Duration::from_secs(3);

/// The weights of the two pools.
const WEIGHTS: (u32, u32) = (70, 30);

/// The length of the smaller pool's turns, in seconds; short, so that the switches can be watched.
const TURN: u32 = 3;

/// Runs until Ctrl-C, or for `seconds`.
///
/// # Errors
/// If something cannot be started.
pub fn run(seconds: Option<u64>) -> anyhow::Result<ExitCode> {
    let pools = [
        SimPool::start(ckpool_like()).context("failed to start simulated pool A")?,
        SimPool::start(public_pool_like()).context("failed to start simulated pool B")?,
    ];
    let folder = Folder::new()?;
    let config = folder.0.join("config.json");
    let usual = Config::default();
    let ports = Ports {
        miners: free_port(usual.listen.port)?,
        metrics: free_port(usual.metrics.port)?,
        pages: free_port(usual.gui.port)?,
    };
    write_config(&config, &pools, &ports)?;
    let proxy = Proxy::start(&config, false)?;
    let (stop, stopped) = bounded::<()>(1);
    ctrlc::set_handler(move || {
        let _ = stop.try_send(());
    })
    .context("failed to set up the handling of Ctrl-C")?;
    proxy.stop_on_panic();

    introduce(&proxy, &pools, &config)?;
    let address = SocketAddr::new(
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        proxy.miners_address().port(),
    );
    let miners = miners(address)
        .into_iter()
        .map(SimMiner::start)
        .collect::<io::Result<Vec<_>>>()
        .context("failed to start the simulated miners")?;
    let began = clock();
    let end = seconds.and_then(|seconds| began.checked_add(Duration::from_secs(seconds)));
    loop {
        let wait = end.map_or(STATUS_EVERY, |end| {
            STATUS_EVERY.min(end.saturating_duration_since(clock()))
        });
        match stopped.recv_timeout(wait) {
            Err(RecvTimeoutError::Timeout) => (),
            Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
        }
        status(&proxy.published().get(), began)?;
        if end.is_some_and(|end| end <= clock()) {
            break;
        }
    }
    finish(proxy, miners, pools)
}

/// Like ckpool: configures between subscribe and authorize, eight bytes of extranonce2.
fn ckpool_like() -> PoolOptions {
    PoolOptions {
        seed: 1,
        tag: "A".into(),
        e2_size: 8,
        difficulty: 4e-5,
        configure_order: ConfigureOrder::AfterSubscribe,
        reject_form: RejectForm::RejectReason,
        job_interval: Some(Duration::from_secs(15)),
        block_interval: Some(Duration::from_secs(90)),
        ..PoolOptions::default()
    }
}

/// Like public-pool: four bytes of extranonce2 and a fractional difficulty that changes.
fn public_pool_like() -> PoolOptions {
    PoolOptions {
        seed: 2,
        tag: "B".into(),
        e2_size: 4,
        difficulty: 2.5e-5,
        wander: Some((1.5e-5, 6e-5)),
        mask: Some(0x00ff_e000),
        witness: false,
        job_interval: Some(Duration::from_secs(20)),
        block_interval: Some(Duration::from_secs(120)),
        ..PoolOptions::default()
    }
}

/// Miners of different speeds and habits.
fn miners(address: SocketAddr) -> Vec<MinerOptions> {
    let base = MinerOptions {
        address,
        ..MinerOptions::default()
    };
    vec![
        MinerOptions {
            user: "demo.bitaxe".into(),
            user_agent: "bitaxe/sim".into(),
            handshake: Handshake::Axeos,
            ignores_seen_jobs: true,
            pace: Pace::Hashes(120_000.0),
            ..base.clone()
        },
        MinerOptions {
            user: "demo.nerdqaxe".into(),
            user_agent: "NerdQAxe/sim".into(),
            handshake: Handshake::Axeos,
            hangs_up_on_set_extranonce: true,
            pace: Pace::Hashes(240_000.0),
            ..base.clone()
        },
        MinerOptions {
            user: "demo.avalon".into(),
            user_agent: "cgminer/sim".into(),
            handshake: Handshake::Cgminer,
            pace: Pace::Hashes(80_000.0),
            ..base.clone()
        },
        MinerOptions {
            user: "demo.cpu".into(),
            user_agent: "cpuminer/sim".into(),
            handshake: Handshake::Cpuminer,
            ids: Ids::SubmitsAreFour,
            rolling: None,
            pace: Pace::Hashes(40_000.0),
            ..base
        },
    ]
}

/// The ports of the demo's proxy.
struct Ports {
    miners: u16,
    metrics: u16,
    pages: u16,
}

fn write_config(path: &Path, pools: &[SimPool; 2], ports: &Ports) -> anyhow::Result<()> {
    let pool = |pool: &SimPool, name: &str, chain: &str, wallet: &str| {
        json!({
            "name": name, "host": "127.0.0.1", "port": pool.port(), "wallet": wallet, "chain": chain,
        })
    };
    let [a, b] = pools;
    let config = json!({
        "listen": {"host": "127.0.0.1", "port": ports.miners},
        "metrics": {"host": "127.0.0.1", "port": ports.metrics},
        "gui": {"host": "127.0.0.1", "port": ports.pages},
        "pools": {
            "A": pool(a, "Simulated A", "BTC", "walletA"),
            "B": pool(b, "Simulated B", "BCH", "walletB"),
        },
        "scheduler": {
            "poolA_weight": WEIGHTS.0, "poolB_weight": WEIGHTS.1, "slice_seconds": TURN,
        },
    });
    std::fs::write(path, config.to_string()).context("failed to write the demo's configuration")
}

/// The usual port if it is free, otherwise any. The configuration cannot say "any", because miners need to know the
/// port.
fn free_port(usual: u16) -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, usual))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .context("failed to find a free port")?;
    Ok(listener
        .local_addr()
        .context("failed to read the port")?
        .port())
}

fn introduce(proxy: &Proxy, pools: &[SimPool; 2], config: &Path) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "DPMP demo: nothing is really mined, and nothing leaves this computer."
    )?;
    for (slot, pool) in PoolSlot::ALL.into_iter().zip(pools) {
        writeln!(out, "  pool {slot}     simulated, on {}", pool.address())?;
    }
    writeln!(
        out,
        "  miners     4 simulated ones, at {}",
        proxy.miners_address()
    )?;
    if let Some(pages) = proxy.pages_address() {
        writeln!(out, "  pages      http://{pages}/")?;
    }
    if let Some(metrics) = proxy.metrics_address() {
        writeln!(out, "  metrics    http://{metrics}/metrics")?;
    }
    if let Some(folder) = config.parent() {
        writeln!(out, "  log        {}", folder.join("logs").display())?;
    }
    writeln!(
        out,
        "  work       {} % to A, {} % to B, in turns of at least {TURN} s. Ctrl-C ends it.\n",
        WEIGHTS.0, WEIGHTS.1
    )
}

/// One line: the time, the hashrate, the split and the results of the shares.
fn status(snapshot: &Snapshot, began: Instant) -> io::Result<()> {
    let seconds = began.elapsed().as_secs();
    let total: f64 = snapshot
        .pools
        .iter()
        .map(|(_, pool)| pool.totals.seconds)
        .sum();
    let part = |slot| {
        let seconds = snapshot.pools[slot].totals.seconds;
        if total > 0.0 {
            100.0 * seconds / total
        } else {
            0.0
        }
    };
    let sum = |f: &dyn Fn(&crate::core::snapshot::PoolView) -> u64| -> u64 {
        snapshot.pools.iter().map(|(_, pool)| f(pool)).sum()
    };
    let hashrate: f64 = snapshot
        .pools
        .iter()
        .filter_map(|(_, pool)| pool.hashrate)
        .sum();
    let accepted = |slot: PoolSlot| snapshot.pools[slot].totals.shares.accepted;
    let rejected = sum(&|pool| pool.totals.shares.rejected.values().sum());
    let refused: u64 = snapshot.refused.values().sum();
    writeln!(
        io::stdout(),
        "{seconds:>4} s  {} miners  {:>6.0} kH/s  time A {:>5.1} % B {:>5.1} % (target {} : {})  \
         accepted A {} B {}  rejected {rejected}  refused here {refused}  lost {}",
        snapshot.miners.len(),
        hashrate / 1000.0,
        part(PoolSlot::A),
        part(PoolSlot::B),
        WEIGHTS.0,
        WEIGHTS.1,
        accepted(PoolSlot::A),
        accepted(PoolSlot::B),
        sum(&|pool| pool.totals.shares.lost),
    )
}

fn finish(proxy: Proxy, miners: Vec<SimMiner>, pools: [SimPool; 2]) -> anyhow::Result<ExitCode> {
    let published = proxy.published();
    proxy.stopper()();
    proxy.wait()?;
    let ledgers: Vec<_> = miners.iter().map(SimMiner::ledger).collect();
    for miner in miners {
        miner.stop();
    }
    let snapshot = published.get();
    let mut out = io::stdout().lock();
    writeln!(out, "\nWhat the simulators themselves have counted:")?;
    for (slot, pool) in PoolSlot::ALL.into_iter().zip(&pools) {
        let ledger = pool.ledger();
        writeln!(
            out,
            "  pool {slot}: {} (the proxy counted {} accepted)",
            ledger.summary(),
            snapshot.pools[slot].totals.shares.accepted
        )?;
    }
    let answered: u64 = ledgers
        .iter()
        .map(|ledger| ledger.accepted() + ledger.rejected())
        .sum();
    let sent: u64 = ledgers
        .iter()
        .map(crate::sim::miner::ledger::MinerLedger::submitted)
        .sum();
    writeln!(out, "  miners: {sent} shares sent, {answered} answered")?;
    for pool in pools {
        pool.stop();
    }
    Ok(ExitCode::SUCCESS)
}

/// A folder just for the demo, deleted when it ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("dpmp-demo-{}", std::process::id()));
        std::fs::create_dir_all(&path)
            .with_context(|| format!("failed to create the folder {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
