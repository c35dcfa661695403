//! `GET /api/v1/miners`, one miner with its last shares, and the table as CSV.

mod hints;
mod rejects;

use std::collections::BTreeMap;

use rouille::Response;
use serde::Serialize;

use self::hints::Hint;
use self::rejects::Reject;
use super::{Moment, part, sum};
use crate::config::steering::Work;
use crate::core::miner::view::{Condition, MinerView};
use crate::core::snapshot::Snapshot;
use crate::core::stats::recent::RecentShare;
use crate::core::stats::tally::ByReason;
use crate::history::{Averages, History};
use crate::units::{Now, PerPool, PoolSlot, When};
use crate::web::error::{Answer, ApiError};
use crate::web::json;

/// All miners.
#[derive(Debug, Serialize)]
pub struct Miners<'a> {
    now_ms: u64,
    miners: Vec<Miner<'a>>,
    left: Vec<Miner<'a>>,
    hints: Vec<Hint>,
    /// What each reason for a reject means that any of them has.
    reasons: BTreeMap<&'a str, &'static str>,
}

#[derive(Debug, Serialize)]
struct Miner<'a> {
    id: u64,
    worker: &'a str,
    address: String,
    software: Option<&'a str>,
    connected_ms: u64,
    left_ms: Option<u64>,
    pool: Option<PoolSlot>,
    work: Work,
    source: &'static str,
    stands_in: bool,
    connections: PerPool<&'static str>,
    hashrate_5m: Option<f64>,
    hashrate_1h: Option<f64>,
    hashrate_24h: Option<f64>,
    share_a: Option<f64>,
    time_share_a: Option<f64>,
    error_seconds: f64,
    shares_per_minute: Option<f64>,
    difficulty: Option<f64>,
    accepted: PerPool<u64>,
    rejected: u64,
    rejected_by: &'a ByReason,
    lost: u64,
    best_share: Option<BestShare>,
    best_share_ever: Option<f64>,
    last_share_ms: Option<u64>,
    condition: &'static str,
    condition_since_ms: Option<u64>,
}

#[derive(Debug, Serialize)]
struct BestShare {
    difficulty: f64,
    at_ms: u64,
    pool: PoolSlot,
}

#[derive(Debug, Serialize)]
struct Detail<'a> {
    miner: Miner<'a>,
    rejects: Vec<Reject<'a>>,
    recent: Vec<Share>,
}

#[derive(Debug, Serialize)]
struct Share {
    at_ms: u64,
    pool: Option<PoolSlot>,
    outcome: &'static str,
    reason: Option<&'static str>,
    difficulty: Option<f64>,
    true_difficulty: Option<f64>,
    latency_ms: Option<f64>,
    block: bool,
}

/// `GET /api/v1/miners`.
pub fn miners<'a>(moment: &Moment<'a>, history: &History) -> Miners<'a> {
    let now_ms = moment.now.unix_ms;
    let averages = history.averages(now_ms);
    let of = |view: &MinerView| averages.get(&view.worker).copied().unwrap_or_default();
    let snapshot = &**moment.snapshot;
    Miners {
        now_ms,
        miners: snapshot
            .miners
            .iter()
            .map(|view| miner(view, None, of(view), moment))
            .collect(),
        left: missing(snapshot)
            .map(|(view, left)| miner(view, Some(left), of(view), moment))
            .collect(),
        hints: hints::hints(&snapshot.miners),
        reasons: snapshot
            .miners
            .iter()
            .chain(missing(snapshot).map(|(view, _)| view))
            .flat_map(|view| view.rejected_by.iter())
            .map(|(reason, _)| (reason.as_str(), rejects::meaning(reason)))
            .collect(),
    }
}

/// `GET /api/v1/miners/{id}`.
///
/// # Errors
/// If there is no such miner, also among those that left.
pub fn one(moment: &Moment<'_>, history: &History, id: &str) -> Answer {
    let snapshot = &**moment.snapshot;
    let id: Option<u64> = id.parse().ok();
    let connected = snapshot.miners.iter().map(|view| (view, None));
    let left = snapshot.left.iter();
    let left = left.map(|left| (&left.miner, Some(left.when)));
    let (view, left) = connected
        .chain(left)
        .find(|(view, _)| Some(view.id) == id)
        .ok_or_else(|| ApiError::not_found("This miner does not exist, or has left."))?;
    let averages = history.average(&view.worker, moment.now.unix_ms);
    Ok(json::respond(&Detail {
        miner: miner(view, left, averages, moment),
        rejects: rejects::rejects(view),
        recent: view
            .recent
            .newest_first()
            .map(|recent| share(recent, moment.now))
            .collect(),
    }))
}

/// `GET /api/v1/miners.csv`: all miners, including those that left.
pub fn csv(moment: &Moment<'_>, history: &History) -> Response {
    let Miners { miners, left, .. } = miners(moment, history);
    let mut text = String::new();
    let names = COLUMNS.map(|(name, _)| name.to_owned());
    push_row(&mut text, &names);
    for miner in miners.iter().chain(&left) {
        push_row(&mut text, &COLUMNS.map(|(_, value)| value(miner)));
    }
    Response::from_data("text/csv; charset=utf-8", text)
        .with_unique_header("Cache-Control", "no-store")
        .with_unique_header(
            "Content-Disposition",
            "attachment; filename=\"dpmp-miners.csv\"",
        )
}

/// Miners that left and have not come back.
fn missing(snapshot: &Snapshot) -> impl Iterator<Item = (&MinerView, When)> {
    let rigs: std::collections::BTreeSet<_> = snapshot
        .miners
        .iter()
        .map(|miner| (&miner.worker, miner.peer.ip()))
        .collect();
    snapshot
        .left
        .iter()
        .filter(move |left| !rigs.contains(&(&left.miner.worker, left.miner.peer.ip())))
        .map(|left| (&left.miner, left.when))
}

fn miner<'a>(
    view: &'a MinerView,
    left: Option<When>,
    averages: Averages,
    moment: &Moment<'_>,
) -> Miner<'a> {
    let now = moment.now;
    // A miner that left may have been paused.
    let aim = match left {
        Some(_) => moment.snapshot.steering.aim(&view.worker, moment.config),
        None => view.aim,
    };
    let part_of_a = |values: PerPool<f64>| {
        let (a, b) = (values[PoolSlot::A], values[PoolSlot::B]);
        part(a, a + b)
    };
    // A miner that left has no pool, and its five minutes are over.
    let is_here = left.is_none();
    Miner {
        id: view.id,
        worker: &view.worker,
        address: view.peer.to_string(),
        software: view.user_agent.as_deref(),
        connected_ms: view.connected_since.unix_ms(now),
        left_ms: left.map(|left| left.unix_ms(now)),
        pool: view.pool.filter(|_| is_here),
        work: aim.work,
        source: aim.source.name(),
        stands_in: view.stands_in && is_here,
        connections: view.connections.map(|_, stage| stage.name()),
        hashrate_5m: sum(view.hashrate.iter().map(|(_, rate)| *rate)).filter(|_| is_here),
        hashrate_1h: averages.hour,
        hashrate_24h: averages.day,
        share_a: part_of_a(view.difficulty_sum),
        time_share_a: part_of_a(view.seconds),
        error_seconds: view.error_seconds,
        shares_per_minute: view.shares_per_minute.filter(|_| is_here),
        difficulty: view.difficulty,
        accepted: view.accepted,
        rejected: view.rejected,
        rejected_by: &view.rejected_by,
        lost: view.lost,
        best_share: view.best.map(|best| BestShare {
            difficulty: best.difficulty,
            at_ms: best.when.unix_ms(now),
            pool: best.pool,
        }),
        best_share_ever: view.worker_best,
        last_share_ms: view.last_share.map(|last| last.unix_ms(now)),
        condition: if is_here {
            view.condition
        } else {
            Condition::Ok
        }
        .name(),
        condition_since_ms: view
            .condition_since
            .filter(|_| is_here)
            .map(|since| since.unix_ms(now)),
    }
}

fn share(share: &RecentShare, now: Now) -> Share {
    Share {
        at_ms: share.when.unix_ms(now),
        pool: share.pool,
        outcome: share.outcome,
        reason: share.reason,
        difficulty: share.difficulty,
        // JSON has no infinity, which would be the difficulty of a zero hash.
        true_difficulty: share.true_difficulty.filter(|value| value.is_finite()),
        latency_ms: share.latency.map(|latency| latency.as_secs_f64() * 1000.0),
        block: share.block,
    }
}

/// The contents of a column.
type Cell = fn(&Miner<'_>) -> String;

/// The columns of the table; unknown values are empty.
const COLUMNS: [(&str, Cell); 20] = [
    ("id", |miner| miner.id.to_string()),
    ("worker", |miner| text(miner.worker)),
    ("address", |miner| miner.address.clone()),
    ("software", |miner| text(miner.software.unwrap_or_default())),
    ("connected_ms", |miner| miner.connected_ms.to_string()),
    ("left_ms", |miner| number(miner.left_ms)),
    ("pool", |miner| number(miner.pool)),
    ("hashrate_5m", |miner| number(miner.hashrate_5m)),
    ("hashrate_1h", |miner| number(miner.hashrate_1h)),
    ("hashrate_24h", |miner| number(miner.hashrate_24h)),
    ("share_a", |miner| number(miner.share_a)),
    ("time_share_a", |miner| number(miner.time_share_a)),
    ("shares_per_minute", |miner| number(miner.shares_per_minute)),
    ("difficulty", |miner| number(miner.difficulty)),
    ("accepted_a", |miner| {
        miner.accepted[PoolSlot::A].to_string()
    }),
    ("accepted_b", |miner| {
        miner.accepted[PoolSlot::B].to_string()
    }),
    ("rejected", |miner| miner.rejected.to_string()),
    ("lost", |miner| miner.lost.to_string()),
    ("best_share", |miner| {
        number(miner.best_share.as_ref().map(|best| best.difficulty))
    }),
    ("last_share_ms", |miner| number(miner.last_share_ms)),
];

fn number(value: Option<impl std::fmt::Display>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// Text from a miner. A spreadsheet would run a text that begins like a formula.
fn text(said: &str) -> String {
    if said.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{said}")
    } else {
        said.to_owned()
    }
}

/// A row in the format of RFC 4180. Adds a row of CSV.
pub(super) fn push_row(out: &mut String, cells: &[String]) {
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        if cell.contains(['"', ',', '\r', '\n']) {
            out.extend(["\"", &cell.replace('"', "\"\""), "\""]);
        } else {
            out.push_str(cell);
        }
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::Config;
    use crate::core::miner::view::sample_miner;
    use crate::system::clock::now;

    fn body(response: Response) -> String {
        let (mut reader, _) = response.data.into_reader_and_size();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut reader, &mut text).unwrap();
        text
    }

    #[test]
    fn a_returned_machine_is_no_longer_missing() {
        let mut snapshot = Snapshot::default();
        snapshot.left.push(sample_miner(1, "back"), 5.into());
        snapshot.left.push(sample_miner(2, "gone"), 6.into());
        snapshot.miners.push(sample_miner(3, "back"));
        let missing: Vec<_> = missing(&snapshot)
            .map(|(view, at)| (view.id, u64::from(at)))
            .collect();
        assert_eq!(missing, [(2, 6)]);
    }

    #[test]
    fn the_csv_is_safe_with_any_worker_name() {
        let mut snapshot = Snapshot::default();
        let mut miner = sample_miner(1, "=1+1");
        miner.user_agent = Some("a \"b\",\r\nc".into());
        miner.accepted[PoolSlot::B] = 7;
        snapshot.miners.push(miner);
        let (snapshot, config) = (Arc::new(snapshot), Arc::new(Config::default()));
        let moment = Moment {
            snapshot: &snapshot,
            config: &config,
            now: now(),
        };
        let text = body(csv(&moment, &History::default()));
        let (head, row) = text.split_once("\r\n").unwrap();
        assert!(head.starts_with("id,worker,address,software,"), "{head}");
        assert_eq!(
            row,
            "1,'=1+1,192.168.1.20:50000,\"a \"\"b\"\",\r\nc\",1000,,A,,,,,,,,0,7,0,0,,\r\n"
        );
    }
}
