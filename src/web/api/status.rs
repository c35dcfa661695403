//! `GET /api/v1/status`: everything that Home shows, and `/healthz`.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use super::alerts::Alert;
use super::measured::Verdict;
use super::{Moment, part, pool_page, sum};
use crate::coin::Coin;
use crate::config::PoolConfig;
use crate::core::insight::InsightView;
use crate::core::insight::payee::{self, Payee};
use crate::core::miner::view::MinerView;
use crate::core::snapshot::{PoolView, Snapshot};
use crate::core::stats::tally::ByReason;
use crate::history::{History, Window};
use crate::observe::wallet::shorten;
use crate::system::net::own_addresses;
use crate::units::{PerPool, PoolSlot};
use crate::web::error::Answer;
use crate::web::metrics::health;
use crate::web::pages::{Call, Pages};
use crate::web::plain::without_codes;

/// The windows over which the split is measured: minutes and label.
const WINDOWS: [(u64, &str); 3] = [(10, "10 min"), (60, "1 hour"), (1440, "24 hours")];

/// The answer.
#[derive(Debug, Serialize)]
pub struct Status {
    version: &'static str,
    now_ms: u64,
    started_ms: u64,
    uptime_seconds: u64,
    set_up: bool,
    stopping: bool,
    healthy: bool,
    health_problem: Option<&'static str>,
    miners_connected: usize,
    miners_working: usize,
    listen: Listen,
    hashrate: Option<f64>,
    pools: PerPool<Pool>,
    refused_here: ByReason,
    split: Split,
    alerts: Vec<Alert>,
}

#[derive(Debug, Serialize)]
struct Listen {
    host: String,
    port: u16,
    addresses: Vec<IpAddr>,
}

#[derive(Debug, Serialize)]
struct Pool {
    configured: bool,
    in_use: bool,
    name: String,
    chain: String,
    address: String,
    backup: usize,
    wallet_short: String,
    page: Option<String>,
    state: &'static str,
    state_since_ms: u64,
    state_reason: Option<String>,
    weight: f64,
    target_share: f64,
    connections_ready: usize,
    miners_connected: usize,
    several_names: Option<bool>,
    miners_active: usize,
    share_latency_ms: Option<f64>,
    difficulty: Option<f64>,
    difficulty_min: Option<f64>,
    difficulty_max: Option<f64>,
    job_age_seconds: Option<f64>,
    network_difficulty: Option<f64>,
    insight: Option<Insight>,
    version_mask: Option<String>,
    extranonce2_size: Option<u8>,
    hashrate: Option<f64>,
    accepted: u64,
    rejected: u64,
    rejected_by: ByReason,
    lost: u64,
    blocks: u64,
    best_share: Option<BestShare>,
    former: Vec<Former>,
}

/// A pool that was in the slot before.
#[derive(Debug, Serialize)]
struct Former {
    name: String,
    until_ms: u64,
}

/// Information from a pool's jobs.
#[derive(Debug, Serialize)]
struct Insight {
    height: Option<u32>,
    block_since_ms: Option<u64>,
    understood: bool,
    tag: Option<String>,
    reward: Option<u64>,
    outputs: Option<usize>,
    payout: Payout,
}

/// Who they pay.
#[derive(Debug, Serialize)]
struct Payout {
    kind: &'static str,
    why: Option<&'static str>,
    share: Option<f64>,
    coin: Option<&'static str>,
    text: String,
}

/// The best share of a pool. Older versions did not remember its worker.
#[derive(Debug, Serialize)]
struct BestShare {
    difficulty: f64,
    at_ms: u64,
    worker: Option<String>,
}

#[derive(Debug, Serialize)]
struct Split {
    target: PerPool<f64>,
    /// The part of the work that should go to A now, by each miner's aim and hashrate.
    meant_share_a: Option<f64>,
    time: Time,
    measured: SplitSummary,
    windows: Vec<SplitWindow>,
}

/// The split to show: by time, or by work if the two differ by more than chance.
#[derive(Debug, PartialEq, Serialize)]
struct SplitSummary {
    share_a: Option<f64>,
    by: &'static str,
    /// Its time span, in seconds; `None`: since the start.
    seconds: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Time {
    now: Option<f64>,
}

#[derive(Debug, Serialize)]
struct SplitWindow {
    seconds: u64,
    label: &'static str,
    known_seconds: f64,
    share_a: Option<f64>,
    expected_error: Option<f64>,
    shares: f64,
    time_share_a: Option<f64>,
    meant_share_a: Option<f64>,
    verdict: Verdict,
}

/// Creates the answer. `miners`: where miners connect.
pub fn status(
    moment: &Moment<'_>,
    history: &History,
    miners: SocketAddr,
    alerts: Vec<Alert>,
) -> Status {
    let snapshot = &**moment.snapshot;
    let problem = health(snapshot).err();
    let now_ms = moment.now.unix_ms;
    let windows = WINDOWS.map(|(minutes, label)| {
        let window = history.window(minutes, snapshot, moment.now);
        measured(minutes, label, &window, moment)
    });
    Status {
        version: env!("CARGO_PKG_VERSION"),
        now_ms,
        started_ms: snapshot.started_ms,
        uptime_seconds: snapshot.uptime_seconds,
        set_up: snapshot.set_up,
        stopping: snapshot.stopping,
        healthy: problem.is_none(),
        health_problem: problem,
        miners_connected: snapshot.miners.len(),
        miners_working: working(snapshot),
        listen: Listen {
            host: miners.ip().to_string(),
            port: miners.port(),
            addresses: own_addresses(),
        },
        hashrate: hashrate(snapshot),
        pools: PerPool::from_fn(|slot| pool(slot, moment)),
        refused_here: snapshot.refused.clone(),
        split: Split {
            target: PerPool::from_fn(|slot| moment.config.share(slot)),
            meant_share_a: meant_share_a(snapshot),
            measured: shown(&windows, time_share_a(snapshot)),
            time: Time {
                now: time_share_a(snapshot),
            },
            windows: windows.into(),
        },
        alerts,
    }
}

/// `GET /healthz`: for programs that restart containers.
pub(in crate::web) fn healthz(pages: &Pages, _: &Call<'_>) -> Answer {
    let answer = crate::web::metrics::healthz(&pages.published.get(), &pages.instance);
    Ok(answer.with_unique_header("Cache-Control", "no-store"))
}

/// Miners that have work now.
pub(super) fn working(snapshot: &Snapshot) -> usize {
    let works = |miner: &&MinerView| miner.pool.is_some();
    snapshot.miners.iter().filter(works).count()
}

/// Hashes per second over five minutes, both pools together; zero without miners.
pub(super) fn hashrate(snapshot: &Snapshot) -> Option<f64> {
    sum(PoolSlot::ALL
        .into_iter()
        .map(|slot| hashrate_of(snapshot, slot)))
}

fn hashrate_of(snapshot: &Snapshot, slot: PoolSlot) -> Option<f64> {
    if snapshot.unix_ms > 0 && snapshot.miners.is_empty() {
        Some(0.0)
    } else {
        snapshot.pools[slot].hashrate
    }
}

/// A's share of the miners' time since the start; unknown if A or B was a different pool for some of it.
pub(super) fn time_share_a(snapshot: &Snapshot) -> Option<f64> {
    if snapshot
        .pools
        .iter()
        .any(|(_, pool)| !pool.former.is_empty())
    {
        return None;
    }
    let (a, b) = (
        snapshot.pools[PoolSlot::A].seconds,
        snapshot.pools[PoolSlot::B].seconds,
    );
    part(a, a + b)
}

fn meant_share_a(snapshot: &Snapshot) -> Option<f64> {
    let (a, b) = (
        snapshot.pools[PoolSlot::A].meant,
        snapshot.pools[PoolSlot::B].meant,
    );
    part(a, a + b)
}

/// By work over the longest window in which it differs from the time by more than three standard deviations and more
/// than a point.
fn shown(windows: &[SplitWindow], time: Option<f64>) -> SplitSummary {
    let differs = |window: &&SplitWindow| match (
        window.share_a,
        window.time_share_a,
        window.expected_error,
    ) {
        (Some(work), Some(time), Some(error)) => (work - time).abs() > (3.0 * error).max(0.01),
        _ => false,
    };
    match windows.iter().rev().find(differs) {
        Some(window) => SplitSummary {
            share_a: window.share_a,
            by: "work",
            seconds: Some(window.seconds),
        },
        None => SplitSummary {
            share_a: time,
            by: "time",
            seconds: None,
        },
    }
}

fn measured(
    minutes: u64,
    label: &'static str,
    window: &Window,
    moment: &Moment<'_>,
) -> SplitWindow {
    SplitWindow {
        seconds: minutes * 60,
        label,
        known_seconds: window.known_seconds,
        share_a: window.share_a,
        expected_error: window.expected_error,
        shares: window.accepted[PoolSlot::A] + window.accepted[PoolSlot::B],
        time_share_a: window.time_share_a,
        meant_share_a: window.meant_share_a,
        verdict: Verdict::of(window, minutes, moment),
    }
}

fn pool(slot: PoolSlot, moment: &Moment<'_>) -> Pool {
    let snapshot = &**moment.snapshot;
    let view = &snapshot.pools[slot];
    let config = moment.config.pools[slot].as_ref();
    let weight = moment.config.scheduler.weights[slot];
    let state = if config.is_none() {
        "not_set_up"
    } else if !view.in_use {
        "off"
    } else {
        view.health.name()
    };
    let is_tried = !matches!(state, "not_set_up" | "off");
    Pool {
        configured: config.is_some(),
        in_use: config.is_some() && view.in_use,
        name: config.map_or_else(|| format!("Pool {slot}"), |pool| pool.name.clone()),
        chain: config.map(|pool| pool.chain.clone()).unwrap_or_default(),
        address: config
            .map(|pool| pool.at(view.backup).address())
            .unwrap_or_default(),
        backup: view.backup,
        wallet_short: config
            .map(|pool| shorten(&pool.at(view.backup).wallet))
            .unwrap_or_default(),
        page: config.and_then(|pool| pool_page::site(&pool.at(view.backup))),
        state,
        state_since_ms: view.health_since,
        state_reason: view
            .outage
            .as_ref()
            .filter(|_| is_tried)
            .map(|outage| without_codes(&outage.to_string()).into_owned()),
        weight,
        target_share: moment.config.share(slot),
        connections_ready: view.connections,
        miners_connected: view.connected_miners,
        several_names: view.several_names,
        miners_active: view.active_miners,
        share_latency_ms: view.latency.map(|seconds| seconds * 1000.0),
        difficulty: view.difficulty.map(|spread| spread.middle),
        difficulty_min: view.difficulty.map(|spread| spread.min),
        difficulty_max: view.difficulty.map(|spread| spread.max),
        job_age_seconds: job_age(view, moment.now.unix_ms),
        network_difficulty: view.network_difficulty,
        insight: view.insight.as_ref().map(|it| {
            let config = config.map(|pool| pool.at(view.backup));
            insight(it, config.as_ref())
        }),
        // Both are learnt together.
        version_mask: view.e2_size.map(|_| view.version_mask.to_string()),
        extranonce2_size: view.e2_size,
        hashrate: hashrate_of(snapshot, slot),
        accepted: view.totals.shares.accepted,
        rejected: view.totals.shares.rejected.values().sum(),
        rejected_by: view.totals.shares.rejected.clone(),
        lost: view.totals.shares.lost,
        blocks: view.totals.blocks,
        best_share: view.totals.shares.best.map(|best| BestShare {
            difficulty: best.difficulty,
            at_ms: best.when.unix_ms(moment.now),
            worker: view.totals.best_worker.clone(),
        }),
        former: {
            let former = view.former.iter().map(|it| Former {
                name: it.id.name.clone(),
                until_ms: it.until_ms,
            });
            former.collect()
        },
    }
}

fn insight(view: &InsightView, config: Option<&PoolConfig>) -> Insight {
    let coinbase = view.coinbase.as_ref();
    let (kind, why, payment) = match &view.payee {
        Payee::Known(payment) => (payment.kind.name(), None, Some(payment)),
        Payee::CannotTell(why) => ("unknown", Some(why.name()), None),
    };
    let (wallet, chain) = config.map_or(("", ""), |pool| (&pool.wallet, &pool.chain));
    Insight {
        height: view.height,
        block_since_ms: view.block_since,
        understood: coinbase.is_some(),
        tag: coinbase.and_then(|it| it.tag.clone()),
        reward: coinbase.map(|it| it.reward),
        outputs: coinbase.map(|it| it.outputs),
        payout: Payout {
            kind,
            why,
            share: view.payee.share(),
            coin: payment.and_then(|it| it.coin).map(Coin::name),
            text: payee::sentences(&view.payee, wallet, chain),
        },
    }
}

/// The age of the current job, in seconds. A pool without a connection has none.
fn job_age(view: &PoolView, now_ms: u64) -> Option<f64> {
    let at = view.job_at.filter(|_| view.connections > 0)?;
    let age = u32::try_from(now_ms.saturating_sub(at)).unwrap_or(u32::MAX);
    Some(f64::from(age) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_split_is_shown_by_work_if_it_differs_from_time_beyond_chance() {
        let window = |seconds, work: f64, error: f64| SplitWindow {
            seconds,
            label: "",
            known_seconds: 600.0,
            share_a: Some(work),
            expected_error: Some(error),
            shares: 100.0,
            time_share_a: Some(0.5),
            meant_share_a: Some(0.5),
            verdict: Verdict::default(),
        };
        let by_time = shown(&[window(600, 0.62, 0.05)], Some(0.5));
        assert_eq!((by_time.by, by_time.share_a), ("time", Some(0.5)));
        let unlike = [
            window(600, 0.62, 0.05),
            window(3600, 0.81, 0.02),
            window(86400, 0.51, 0.02),
        ];
        let by_work = shown(&unlike, Some(0.5));
        let expected = ("work", Some(0.81), Some(3600));
        assert_eq!((by_work.by, by_work.share_a, by_work.seconds), expected);
        assert_eq!(shown(&[], None).by, "time");
    }
}
