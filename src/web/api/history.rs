//! `GET /api/v1/history`: the data of the charts.

use rouille::Request;
use serde_json::json;

use crate::core::snapshot::Snapshot;
use crate::history::{History, Range};
use crate::web::error::{Answer, ApiError};
use crate::web::json;

/// The default range.
const USUAL: Range = Range::Day;

/// Answers with a chart for all miners, or for the requested worker.
///
/// # Errors
/// If there is no such range, or no such worker.
pub fn history(request: &Request, history: &History, snapshot: &Snapshot, now_ms: u64) -> Answer {
    let range = match request.get_param("range") {
        None => USUAL,
        Some(name) => find(&name)?,
    };
    let worker = request.get_param("worker");
    let series = history
        .series(range, worker.as_deref(), now_ms)
        .or_else(|| {
            // A worker that has just connected has no history yet, which is not an error.
            let all = history.series(range, None, now_ms)?;
            let name = worker.as_deref()?;
            let is_here = snapshot.miners.iter().any(|miner| miner.worker == name);
            is_here.then(|| all.unknown())
        })
        .ok_or_else(|| ApiError::not_found("There is no history for this worker."))?;
    let shares = series.shares.as_ref();
    Ok(json::respond(&json!({
        "range": range.name(),
        "step_seconds": series.step_seconds,
        "start_ms": series.start_ms,
        "hashrate": series.hashrate,
        "time_share_a": series.time_share_a,
        "meant_share_a": series.meant_share_a,
        "accepted": shares.map(|it| &it.accepted),
        "rejected": shares.map(|it| &it.rejected),
        "refused": shares.map(|it| &it.refused),
        "down": series.down,
        "courses": shares.map(|_| &snapshot.courses),
        "value": series.value,
    })))
}

fn find(name: &str) -> Result<Range, ApiError> {
    let mut ranges = Range::ALL.into_iter();
    ranges
        .find(|range| range.name() == name)
        .ok_or_else(|| ApiError::invalid_value("range", "The range must be 1h, 24h, 7d or 30d."))
}
