//! The notices on Home: what needs the owner's attention, and what to do; and `POST /api/v1/alerts/seen`.
//!
//! Alerts follow from the state, so nothing has to be withdrawn. A few are events, which stay until they are dismissed.
//! That is remembered here, and for changed payouts in the core.

mod chain;
mod pools;
mod program;
mod shares;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;

use self::program::{MISSING, SLOW};
use super::{Moment, pool_names};
use crate::core::snapshot::PoolView;
use crate::history::Window;
use crate::observe::notices::{Notice, Trouble};
use crate::shell::inbox::{Context, Input};
use crate::trouble;
pub use crate::trouble::{Alert, Level};
use crate::units::PoolSlot;
use crate::web::attempts::WrongTries;
use crate::web::error::{Answer, ApiError, Code};
use crate::web::json;
use crate::web::plain::without_codes;

/// How many dismissed alerts are remembered.
const MOST_SEEN: usize = 100;

/// How long a dismissed missing worker is remembered at least. Until then it is not shown, even with an older snapshot,
/// and it is not mistaken for one that came back.
const SETTLES: Duration = Duration::from_secs(30);

/// The input from which alerts follow.
pub struct Grounds<'a> {
    /// State, configuration and time.
    pub moment: &'a Moment<'a>,
    /// Recent problems.
    pub notices: BTreeMap<Trouble, Notice>,
    /// The last ten minutes.
    pub lately: Window,
    /// Shares that DPMP blocked in the last ten minutes, by reason.
    pub refused_by: BTreeMap<String, u64>,
    /// Whether the pages ask for a password.
    pub password_set: bool,
    /// Wrong passwords in the last hour.
    pub wrong_passwords: Option<WrongTries>,
}

impl Grounds<'_> {
    /// A pool's name.
    fn pool_name(&self, slot: PoolSlot) -> String {
        pool_names(self.moment.config)[slot].clone()
    }
}

/// Dismissed alerts, until DPMP stops.
#[derive(Debug, Default)]
pub struct Dismissals {
    ids: Mutex<BTreeSet<String>>,
    /// Those that are forgotten when they end, with the time when they were dismissed.
    for_now: Mutex<BTreeMap<String, Instant>>,
    version: AtomicU64,
}

impl Dismissals {
    /// A number that changes with each dismissal.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Relaxed)
    }

    fn contains(&self, id: &str) -> bool {
        self.ids.lock().contains(id) || self.for_now.lock().contains_key(id)
    }

    /// A worker that is no longer missing or slow may be so again.
    fn forget_over(&self, alerts: &[Alert], now: Instant) {
        self.for_now.lock().retain(|id, dismissed| {
            let lasts = alerts.iter().any(|alert| alert.id == *id);
            lasts || now.saturating_duration_since(*dismissed) < SETTLES
        });
    }

    fn insert_for_now(&self, id: String, now: Instant) {
        self.for_now.lock().insert(id, now);
        self.version.fetch_add(1, Ordering::Relaxed);
    }

    fn insert(&self, id: String) {
        let mut ids = self.ids.lock();
        if ids.len() >= MOST_SEEN {
            ids.pop_first();
        }
        ids.insert(id);
        drop(ids);
        self.version.fetch_add(1, Ordering::Relaxed);
    }
}

/// All alerts that were not dismissed, most serious first.
pub fn alerts(grounds: &Grounds<'_>, seen: &Dismissals) -> Vec<Alert> {
    shown_and_hidden(grounds, seen).0
}

/// The same, and the ids of those that are left out: dismissed ones, and those that only follow from another one.
pub fn shown_and_hidden(
    grounds: &Grounds<'_>,
    seen: &Dismissals,
) -> (Vec<Alert>, BTreeSet<String>) {
    let mut alerts = all(grounds);
    for alert in &mut alerts {
        alert.text = without_codes(&alert.text).into_owned();
    }
    seen.forget_over(&alerts, grounds.moment.now.at);
    let mut hidden = trouble::one_notice_a_cause(&mut alerts);
    hidden.extend(seen.for_now.lock().keys().cloned());
    alerts.retain(|alert| {
        let is_seen = alert.dismissable && seen.contains(&alert.id);
        if is_seen {
            hidden.insert(alert.id.clone());
        }
        !is_seen
    });
    alerts.sort_by_key(|alert| alert.level);
    (alerts, hidden)
}

/// The body of `POST /api/v1/alerts/seen`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DismissBody {
    id: String,
}

/// Dismisses an alert. If there has been another event in the meantime, it stays.
///
/// # Errors
/// If there is no such alert that can be dismissed, or the proxy is stopping.
pub fn dismiss(
    body: DismissBody,
    grounds: &Grounds<'_>,
    seen: &Dismissals,
    context: &Context,
) -> Answer {
    let DismissBody { id } = body;
    let alerts = all(grounds);
    let exists = alerts
        .iter()
        .any(|alert| alert.id == id && alert.dismissable);
    if !exists {
        return Err(ApiError::not_found(
            "This alert does not exist, or no longer.",
        ));
    }
    for (slot, pool) in grounds.moment.snapshot.pools.iter() {
        let changed = pool
            .payout_changed
            .filter(|at| pools::payout_id(slot, *at) == id);
        let wrong = pool.payout_wrong.map(|wrong| wrong.since);
        let wrong = wrong.filter(|since| pools::pays_other_id(slot, *since) == id);
        let block = shares::block_found(grounds, slot).filter(|alert| alert.id == id);
        if let Some(found) = block.and_then(|alert| alert.at_ms) {
            let sent = context.inbox.try_send(Input::BlockSeen(slot, found));
            sent.map_err(|_| ApiError::new(Code::Unavailable, "DPMP is too busy, or stopping."))?;
        }
        if let Some(changed) = changed.or(wrong) {
            // The core remembers it across restarts.
            let sent = context.inbox.try_send(Input::PayoutSeen(slot, changed));
            sent.map_err(|_| ApiError::new(Code::Unavailable, "DPMP is too busy, or stopping."))?;
        }
    }
    let (name, worker) = id.split_once(':').unwrap_or((&id, ""));
    if name == MISSING {
        // The core remembers it across restarts.
        let sent = context
            .inbox
            .try_send(Input::MissingSeen(worker.to_owned()));
        sent.map_err(|_| ApiError::new(Code::Unavailable, "DPMP is too busy, or stopping."))?;
    }
    if [MISSING, SLOW].contains(&name) {
        seen.insert_for_now(id, grounds.moment.now.at);
        return Ok(json::respond(&json!({"ok": true})));
    }
    for (trouble, notice) in &grounds.notices {
        let alert = program::of_notice(grounds, *trouble, notice);
        if alert.is_some_and(|alert| alert.id == id) {
            context.observer.notices.forget(*trouble);
        }
    }
    seen.insert(id);
    Ok(json::respond(&json!({"ok": true})))
}

fn all(grounds: &Grounds<'_>) -> Vec<Alert> {
    let mut alerts = Vec::new();
    alerts.extend(pools::nothing_mined(grounds));
    for slot in PoolSlot::ALL {
        alerts.extend(pools::not_set_up(grounds, slot));
        alerts.extend(pools::payout_changed(grounds, slot));
        alerts.extend(pools::pays_other(grounds, slot));
        alerts.extend(pools::pool_trouble(grounds, slot));
        alerts.extend(pools::on_backup(grounds, slot));
        alerts.extend(pools::mask_missing(grounds, slot));
        alerts.extend(pools::cannot_share(grounds, slot));
        alerts.extend(pools::many_connections(grounds, slot));
        alerts.extend(shares::form_blocked(grounds, slot));
        alerts.extend(shares::unpaid(grounds, slot));
        alerts.extend(pools::any_certificate(grounds, slot));
        alerts.extend(shares::rejects_all(grounds, slot));
        alerts.extend(shares::rejects(grounds, slot));
        alerts.extend(chain::left_behind(grounds, slot));
        alerts.extend(pools::no_job(grounds, slot));
        alerts.extend(shares::shares_lost(grounds, slot));
        alerts.extend(shares::block_found(grounds, slot));
    }
    alerts.extend(chain::of_findings(grounds));
    alerts.extend(shares::refusals(grounds));
    alerts.extend(program::too_many_miners(grounds, Trouble::MinersPerAddress));
    alerts.extend(program::too_many_miners(grounds, Trouble::Miners));
    alerts.extend(program::no_miner(grounds));
    alerts.extend(program::missing(grounds));
    alerts.extend(program::hanging(grounds));
    alerts.extend(program::slow(grounds));
    alerts.extend(program::no_password(grounds));
    alerts.extend(program::wrong_passwords(grounds));
    let notices = grounds.notices.iter();
    alerts.extend(
        notices.filter_map(|(trouble, notice)| program::of_notice(grounds, *trouble, notice)),
    );
    alerts
}

/// The pool's view, if it is in use.
fn in_use<'a>(grounds: &'a Grounds<'_>, slot: PoolSlot) -> Option<&'a PoolView> {
    let pool = &grounds.moment.snapshot.pools[slot];
    (pool.in_use && grounds.moment.config.pools[slot].is_some()).then_some(pool)
}

fn counted(count: usize, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{plural}")
}

#[cfg(test)]
mod tests;
