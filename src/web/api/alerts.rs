//! What needs the owner's eye, as sentences with what to do; and `POST /api/v1/alerts/seen`.
//!
//! Alerts follow from the state: nothing has to be switched off when it is over. Few are events, which stay until they
//! are seen; that is remembered here, for changed payouts by the core.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Moment;
use crate::config::Trust;
use crate::core::pool::health::{Health, Outage};
use crate::core::pool::verdict::Flaw;
use crate::core::snapshot::PoolView;
use crate::core::stats::totals::BlockFate;
use crate::history::Window;
use crate::observe::notices::{Notice, Trouble};
use crate::observe::wallet::shorten;
use crate::shell::inbox::{Context, Input};
use crate::stratum::reject::RejectReason;
use crate::units::{PerPool, PoolSlot};
use crate::web::attempts::WrongTries;
use crate::web::error::{Answer, ApiError, Code};
use crate::web::json;

/// How long a found block is shown, in milliseconds.
const BLOCK_SHOWN: u64 = 7 * 24 * 3600 * 1000;

/// From how many refused shares on in ten minutes it is not chance.
const MANY_REFUSED: f64 = 20.0;

/// From which part of refused shares on something is wrong.
const PART_REFUSED: f64 = 0.05;

/// How long a pool may take miners and give them no job, in milliseconds, before it is an alert.
const PATIENCE_FOR_JOB: u64 = 30_000;

/// From how many shares without an answer on in ten minutes it is not chance.
const MANY_LOST: f64 = 3.0;

/// From which part of them on it is worth an alert.
const PART_LOST: f64 = 0.02;

/// From how many wrong passwords on in an hour it is not the owner who mistypes.
const MANY_WRONG: usize = 20;

/// For how long miners that were turned away are shown, in milliseconds: they try again within minutes.
const TURNED_AWAY_SHOWN: u64 = 10 * 60 * 1000;

/// How many dismissed alerts are remembered.
const MOST_SEEN: usize = 100;

/// One alert.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alert {
    /// Its name, which differs for another occasion of an event.
    pub id: String,
    /// How grave it is.
    pub level: Level,
    /// What is the matter, in a few words.
    pub title: String,
    /// More about it.
    pub text: String,
    /// What to do.
    pub action: String,
    /// Since when, in milliseconds since 1970, if that is known.
    pub at_ms: Option<u64>,
    /// Whether it can be dismissed.
    pub dismissable: bool,
}

/// How grave an alert is, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Money is being lost, or may be.
    Error,
    /// Something is not as it should be.
    Warning,
    /// Something to be glad of.
    Good,
    /// Something to know.
    Info,
}

/// What alerts follow from.
pub struct Grounds<'a> {
    /// State, configuration and time.
    pub moment: &'a Moment<'a>,
    /// What went wrong lately.
    pub notices: BTreeMap<Trouble, Notice>,
    /// The last ten minutes.
    pub lately: Window,
    /// Shares that were refused here in the last ten minutes, by reason.
    pub refused_by: BTreeMap<RejectReason, u64>,
    /// Whether the pages ask for a password.
    pub password_set: bool,
    /// Wrong passwords of the last hour.
    pub wrong_passwords: Option<WrongTries>,
}

/// What was dismissed, until the program ends.
#[derive(Debug, Default)]
pub struct Dismissals {
    ids: Mutex<BTreeSet<String>>,
    version: AtomicU64,
}

impl Dismissals {
    /// A number that changes with each dismissal.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Relaxed)
    }

    fn contains(&self, id: &str) -> bool {
        self.ids.lock().contains(id)
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

/// All alerts that were not dismissed, the gravest first.
pub fn alerts(grounds: &Grounds<'_>, seen: &Dismissals) -> Vec<Alert> {
    let mut alerts = all(grounds);
    alerts.retain(|alert| !(alert.dismissable && seen.contains(&alert.id)));
    alerts.sort_by_key(|alert| alert.level);
    alerts
}

/// The body of `POST /api/v1/alerts/seen`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DismissBody {
    id: String,
}

/// Dismisses an alert. One that has another occasion meanwhile stays.
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
        return Err(ApiError::not_found("There is no such alert (any more)."));
    }
    for (slot, pool) in grounds.moment.snapshot.pools.iter() {
        let changed = pool.payout_changed.filter(|at| payout_id(slot, *at) == id);
        if let Some(changed) = changed {
            // The core remembers it over restarts.
            let sent = context.inbox.try_send(Input::PayoutSeen(slot, changed));
            sent.map_err(|_| ApiError::new(Code::Unavailable, "DPMP is too busy, or stopping."))?;
        }
    }
    for (trouble, notice) in &grounds.notices {
        if trouble_id(*trouble, notice) == id {
            context.observer.notices.forget(*trouble);
        }
    }
    seen.insert(id);
    Ok(json::respond(&json!({"ok": true})))
}

fn all(grounds: &Grounds<'_>) -> Vec<Alert> {
    let mut alerts = Vec::new();
    for slot in PoolSlot::ALL {
        alerts.extend(not_set_up(grounds, slot));
        alerts.extend(payout_changed(grounds, slot));
        alerts.extend(pool_trouble(grounds, slot));
        alerts.extend(on_backup(grounds, slot));
        alerts.extend(mask_missing(grounds, slot));
        alerts.extend(form_blocked(grounds, slot));
        alerts.extend(unpaid(grounds, slot));
        alerts.extend(any_certificate(grounds, slot));
        alerts.extend(rejects(grounds, slot));
        alerts.extend(left_behind(grounds, slot));
        alerts.extend(no_job(grounds, slot));
        alerts.extend(shares_lost(grounds, slot));
        alerts.extend(block_found(grounds, slot));
    }
    alerts.extend(refusals(grounds));
    alerts.extend(too_many_miners(grounds, Trouble::MinersPerAddress));
    alerts.extend(too_many_miners(grounds, Trouble::Miners));
    alerts.extend(no_miner(grounds));
    alerts.extend(no_password(grounds));
    alerts.extend(wrong_passwords(grounds));
    let notices = grounds.notices.iter();
    alerts.extend(notices.filter_map(|(trouble, notice)| of_notice(*trouble, notice)));
    alerts
}

/// The pool as it is seen, if it is to get work.
fn in_use<'a>(grounds: &'a Grounds<'_>, slot: PoolSlot) -> Option<&'a PoolView> {
    grounds.moment.config.pool_in_use(slot)?;
    Some(&grounds.moment.snapshot.pools[slot])
}

fn not_set_up(grounds: &Grounds<'_>, slot: PoolSlot) -> Option<Alert> {
    let config = grounds.moment.config;
    let is_missing = config.pools[slot].is_none() && config.scheduler.weights[slot] > 0.0;
    if !is_missing {
        return None;
    }
    if let Some(wrong) = grounds.notices.get(&Trouble::PoolSetting(slot)) {
        return Some(Alert {
            id: format!("pool_setting:{slot}"),
            level: Level::Error,
            title: format!("Pool {slot} is not used, because a setting of it is wrong"),
            text: format!(
                "{} No miner is served while a pool with a weight above 0 cannot be used.",
                wrong.text
            ),
            action: format!(
                "Correct it on the page Config, or set the weight of pool {slot} to 0."
            ),
            at_ms: Some(wrong.unix_ms),
            dismissable: false,
        });
    }
    Some(Alert {
        id: format!("not_set_up:{slot}"),
        level: Level::Error,
        title: format!("Pool {slot} is not set up"),
        text: "As long as a pool that is to get work has no address or wallet, no miner is served."
            .into(),
        action: format!(
            "Enter the pool's address and your wallet, or set the weight of pool {slot} to 0."
        ),
        at_ms: None,
        dismissable: false,
    })
}

fn payout_changed(grounds: &Grounds<'_>, slot: PoolSlot) -> Option<Alert> {
    let at = grounds.moment.snapshot.pools[slot].payout_changed?;
    Some(Alert {
        id: payout_id(slot, at),
        level: Level::Warning,
        title: format!(
            "The payout address, the address or the encryption of pool {slot} has changed"
        ),
        text: "What your miners earn there may go elsewhere now, or did for a while.".into(),
        action: "If that was you, dismiss this. If not, correct it now and set a password.".into(),
        at_ms: Some(at),
        dismissable: true,
    })
}

fn payout_id(slot: PoolSlot, at: u64) -> String {
    format!("payout_changed:{slot}:{at}")
}

/// A refused wallet is told instead of "down": it is the cause.
fn pool_trouble(grounds: &Grounds<'_>, slot: PoolSlot) -> Option<Alert> {
    let pool = in_use(grounds, slot)?;
    let is_up = pool.health == Health::Up;
    if let Some(words) = pool.refusal.as_ref().filter(|_| !is_up) {
        return Some(Alert {
            id: format!("wrong_wallet:{slot}"),
            level: Level::Error,
            title: format!("Pool {slot} does not accept your wallet"),
            text: format!("It refused to authorize the last miner that asked. It says: {words}"),
            action: format!(
                "Check the wallet of pool {slot}: it has to be an address or account of this pool's coin."
            ),
            at_ms: Some(pool.health_since),
            dismissable: false,
        });
    }
    if let Some(flaw) = pool.flaw() {
        return Some(of_flaw(grounds, slot, pool, flaw));
    }
    if pool.health == Health::Down && no_job(grounds, slot).is_none() {
        let reason = pool
            .outage
            .as_ref()
            .map_or_else(|| "it cannot be used".to_owned(), Outage::to_string);
        let (consequence, action) = if works(grounds, slot.other()) {
            (
                "Your miners work for the other pool.",
                "You don't need to do anything if the pool comes back. If it doesn't, test its address on the page Config.",
            )
        } else {
            (
                "Nothing is being mined, because no other pool can be used.",
                "Check your Internet connection, then test the pool's address on the page Config. Miners with a fallback \
                 pool use that until a pool is back.",
            )
        };
        return Some(Alert {
            id: format!("pool_down:{slot}"),
            level: Level::Error,
            title: format!("Pool {slot} is down"),
            text: format!("Reason: {reason}. {consequence}"),
            action: action.into(),
            at_ms: Some(pool.health_since),
            dismissable: false,
        });
    }
    (pool.refused_miners > 0).then(|| Alert {
        id: format!("miners_refused:{slot}"),
        level: Level::Warning,
        title: format!("Pool {slot} refuses {}", counted(pool.refused_miners, "miner")),
        text: "It accepts others under the same wallet, so it is the worker's name that it does not like.".into(),
        action: "See which miners it refuses. Some pools want each worker to be created in the account first.".into(),
        at_ms: None,
        dismissable: false,
    })
}

/// Whether miners can work for a pool.
fn works(grounds: &Grounds<'_>, slot: PoolSlot) -> bool {
    in_use(grounds, slot).is_some_and(|pool| pool.health == Health::Up && pool.flaw().is_none())
}

/// A pool that can be reached and is no good.
fn of_flaw(grounds: &Grounds<'_>, slot: PoolSlot, pool: &PoolView, flaw: Flaw) -> Alert {
    let title = match flaw {
        Flaw::Mute => format!("Pool {slot} does not answer shares"),
        Flaw::Rejecting => format!("Pool {slot} rejects most shares"),
        Flaw::Behind => format!("Pool {slot} works on an old block"),
        Flaw::WithoutNews => format!("Pool {slot} gives no new job"),
    };
    let other_works = works(grounds, slot.other());
    let text = if other_works && !flaw.earns_nothing() {
        "Your miners work for the other pool until this one sends a new job. Work on an old job cannot find a block."
    } else if other_works {
        "Your miners work for the other pool. DPMP tries this one with a few shares now and then, and goes back to it \
         as soon as it is well."
    } else {
        "Your miners still work for it, because no other pool can be used."
    };
    Alert {
        id: format!("pool_{}:{slot}", flaw.label()),
        level: Level::Error,
        title,
        text: text.into(),
        action: "If it lasts, look at the pool's own page, or set up another pool or a backup."
            .into(),
        at_ms: Some(pool.health_since),
        dismissable: false,
    }
}

/// The other pool has gone on to a newer block.
fn left_behind(grounds: &Grounds<'_>, slot: PoolSlot) -> Option<Alert> {
    let pool =
        in_use(grounds, slot).filter(|pool| pool.flaw().is_none() && pool.health == Health::Up)?;
    let since = pool.left_since?;
    let age = grounds.moment.now.unix_ms.saturating_sub(since);
    (age >= PATIENCE_FOR_JOB).then(|| Alert {
        id: format!("pool_old_block:{slot}"),
        level: Level::Warning,
        title: format!("Pool {slot} gives no new job"),
        text: format!(
            "Its jobs are for an old block: pool {} has gone on to a newer one.",
            slot.other()
        ),
        action: "Usually the pool's node hangs. If it lasts, look at the pool's own page.".into(),
        at_ms: Some(since),
        dismissable: false,
    })
}

/// It takes miners and gives them nothing to do.
fn no_job(grounds: &Grounds<'_>, slot: PoolSlot) -> Option<Alert> {
    let pool = in_use(grounds, slot)?;
    let since = pool.jobless_since?;
    let age = grounds.moment.now.unix_ms.saturating_sub(since);
    (age >= PATIENCE_FOR_JOB).then(|| Alert {
        id: format!("pool_no_job:{slot}"),
        level: Level::Error,
        title: format!("Pool {slot} gives no job"),
        text: "It accepts your miners but sends them no work. They work for the other pool if that is up.".into(),
        action: "Usually the pool's node is down or still starting. If it lasts, look at the pool's own page.".into(),
        at_ms: Some(since),
        dismissable: false,
    })
}

/// Shares that were sent and never answered.
fn shares_lost(grounds: &Grounds<'_>, slot: PoolSlot) -> Option<Alert> {
    let pool = in_use(grounds, slot)?;
    let [answered, lost] = pool.answered_and_lost;
    (lost >= MANY_LOST && lost > PART_LOST * (answered + lost)).then(|| Alert {
        id: format!("shares_lost:{slot}"),
        level: Level::Warning,
        title: format!("Shares for pool {slot} got no answer"),
        text: format!(
            "{lost:.0} of {:.0} shares were never answered in the last 10 minutes. The pool may not pay for them.",
            answered + lost
        ),
        action: "If it goes on, see the log: `pool_lost` says why a connection ended. If the connection holds, ask the \
                 pool why it leaves shares unanswered."
            .into(),
        at_ms: None,
        dismissable: false,
    })
}

fn on_backup(grounds: &Grounds<'_>, slot: PoolSlot) -> Option<Alert> {
    let pool = in_use(grounds, slot).filter(|pool| pool.backup > 0)?;
    let config = grounds.moment.config.pools[slot].as_ref()?;
    let why = grounds.notices.get(&Trouble::Backup(slot));
    let reason = why.map_or(String::new(), |why| {
        format!(" The first address, {}: {}.", config.address(), why.text)
    });
    let (usual, now) = (&config.wallet, &config.at(pool.backup).wallet);
    let payout = if usual == now {
        String::new()
    } else {
        format!(
            " It pays another address: {} instead of {}.",
            shorten(now),
            shorten(usual)
        )
    };
    Some(Alert {
        id: format!("on_backup:{slot}"),
        level: Level::Warning,
        title: format!("Pool {slot} is on its backup"),
        text: format!("The work goes to {}.{payout}{reason}", pool.address),
        action: "DPMP returns to the first address once it has worked for five minutes. If that takes long, test the address on the page Config."
            .into(),
        at_ms: why.map(|why| why.unix_ms),
        dismissable: false,
    })
}

/// With one pool that lets miners roll the version and one that does not, miners lose time or shares at the latter.
fn mask_missing(grounds: &Grounds<'_>, slot: PoolSlot) -> Option<Alert> {
    let has_mask = |slot| {
        let pool = in_use(grounds, slot)?;
        pool.e2_size?;
        Some(!pool.version_mask.is_none())
    };
    let is_missing = has_mask(slot) == Some(false) && has_mask(slot.other()) == Some(true);
    is_missing.then(|| Alert {
        id: format!("mask_missing:{slot}"),
        level: Level::Warning,
        title: format!("Pool {slot} does not allow version rolling"),
        text: format!("Pool {} does. Miners that roll the version all the same have shares refused at pool {slot}.", slot.other()),
        action: "If shares are refused for their version bits, use two pools that both allow it.".into(),
        at_ms: None,
        dismissable: true,
    })
}

/// A minimum difficulty above the pool's own costs income.
fn unpaid(grounds: &Grounds<'_>, slot: PoolSlot) -> Option<Alert> {
    let raised = in_use(grounds, slot)?.raised?;
    Some(Alert {
        id: format!("unpaid_work:{slot}"),
        level: Level::Error,
        title: format!(
            "Pool {slot} does not pay {:.0}% of {} work",
            (100.0 * raised.unpaid).clamp(1.0, 99.0),
            if raised.miners == 1 {
                "a miner's"
            } else {
                "your miners'"
            }
        ),
        text: format!(
            "The pool asks for difficulty {} and pays for that. downstream_diff gives {} a minimum of {}, so the shares in \
             between are never sent.",
            raised.asked,
            counted(raised.miners, "miner"),
            raised.told
        ),
        action: format!(
            "Open the page Config and clear the minimum difficulty: downstream_diff.pool{slot}_min, or default_min if that \
             is empty."
        ),
        at_ms: None,
        dismissable: true,
    })
}

/// For how long shares that were blocked for their version bits are spoken of, in milliseconds.
const FORM_BLOCKED_SHOWN: u64 = 3600 * 1000;

/// A pool that takes a miner's version bits in no form.
fn form_blocked(grounds: &Grounds<'_>, slot: PoolSlot) -> Option<Alert> {
    let blocked = in_use(grounds, slot)?.form_blocked?;
    let quiet = grounds
        .moment
        .snapshot
        .unix_ms
        .saturating_sub(blocked.last_ms);
    (quiet < FORM_BLOCKED_SHOWN).then(|| Alert {
        id: format!("version_form:{slot}"),
        level: Level::Warning,
        title: format!("Pool {slot} rejects the version bits of some shares"),
        text: format!(
            "Its jobs already set bits that your miners may roll, and it rejected both ways of writing them. DPMP has \
             blocked {} since, and tries one share a minute.",
            counted(usize::try_from(blocked.shares).unwrap_or(usize::MAX), "share")
        ),
        action: "Look on the page Miners for the miners whose shares are blocked as version_form. Tell the pool or the \
                 firmware's authors, or have these miners work for the other pool."
            .into(),
        at_ms: Some(blocked.since_ms),
        dismissable: true,
    })
}

fn any_certificate(grounds: &Grounds<'_>, slot: PoolSlot) -> Option<Alert> {
    let pool = grounds.moment.config.pool_in_use(slot)?;
    (pool.tls.trust() == Some(Trust::Anyone)).then(|| Alert {
        id: format!("any_certificate:{slot}"),
        level: Level::Warning,
        title: format!("Nobody checks who pool {slot} is"),
        text: "Any certificate is taken of it. Whoever is between here and the pool can pretend to be the pool and take \
               your work."
            .into(),
        action: format!(
            "Set pools.{slot}.tls_insecure to false. If the pool made its certificate itself, enter its fingerprint."
        ),
        at_ms: None,
        dismissable: true,
    })
}

fn rejects(grounds: &Grounds<'_>, slot: PoolSlot) -> Option<Alert> {
    in_use(grounds, slot)?;
    let (accepted, rejected) = (grounds.lately.accepted[slot], grounds.lately.rejected[slot]);
    spike(accepted, rejected).then(|| Alert {
        id: format!("reject_spike:{slot}"),
        level: Level::Warning,
        title: format!("Pool {slot} rejects many shares"),
        text: format!("In the last ten minutes it was {rejected:.0} of {:.0}.", accepted + rejected),
        action: "See the reasons beside the pool. Stale shares mean a slow network; others a miner or a pool at fault.".into(),
        at_ms: None,
        dismissable: false,
    })
}

fn refusals(grounds: &Grounds<'_>) -> Option<Alert> {
    let sum = |values: PerPool<f64>| values[PoolSlot::A] + values[PoolSlot::B];
    let others = sum(grounds.lately.accepted) + sum(grounds.lately.rejected);
    let refused = grounds.lately.refused;
    let (main, count) = grounds
        .refused_by
        .iter()
        .max_by_key(|(_, count)| **count)
        .map_or((None, 0), |(reason, count)| (Some(*reason), *count));
    spike(others, refused).then(|| Alert {
        id: "refuse_spike".into(),
        level: Level::Warning,
        title: "DPMP blocks many shares".into(),
        text: format!(
            "DPMP blocked {refused:.0} of {:.0} shares in the last 10 minutes.{}",
            others + refused,
            main.map_or(String::new(), |reason| format!(
                " The most frequent reason: {} ({count}).",
                reason_in_words(reason)
            ))
        ),
        action: advice(main).into(),
        at_ms: None,
        dismissable: false,
    })
}

fn reason_in_words(reason: RejectReason) -> &'static str {
    match reason {
        RejectReason::Malformed => "the share was incomplete or malformed",
        RejectReason::UnknownMethod => "the request is none that DPMP knows",
        RejectReason::NotSubscribed => "the miner had not subscribed",
        RejectReason::Unauthorized => "the worker was not authorized",
        RejectReason::UnknownJob => "the job is not known on this connection",
        RejectReason::Stale => "the share was stale",
        RejectReason::Duplicate => "the same share came before",
        RejectReason::VersionBits => "it had version bits that the pool does not allow",
        RejectReason::VersionForm => "the pool accepts such version bits in no form",
        RejectReason::Ntime => "its time was out of range",
        RejectReason::ExtranonceSize => "its extranonce2 had the wrong size",
        RejectReason::LowDifficulty => "its difficulty was too low",
        RejectReason::TooMany => "more than DPMP accepts from one miner at a time",
        RejectReason::PoolLost => "the connection to the pool was lost",
        RejectReason::NoAnswer => "the pool did not answer",
        RejectReason::Stopping => "DPMP was stopping",
    }
}

/// What to do, by the reason that most shares were blocked for.
fn advice(reason: Option<RejectReason>) -> &'static str {
    match reason {
        Some(RejectReason::TooMany) => {
            "This is DPMP's own limit. Raise listen.submits_per_second on the page Config. If the pool's difficulty is \
             far too low for the miner, suggest a higher one in the miner's settings."
        }
        Some(RejectReason::PoolLost | RejectReason::NoAnswer) => {
            "See which pool it is and why on the page Logs. The miners are not at fault."
        }
        Some(RejectReason::Stopping) => "Nothing has to be done.",
        Some(RejectReason::Stale | RejectReason::UnknownJob) => {
            "See on the page Miners whether one miner or all of them send stale shares. If it is all, check the pools and \
             the network."
        }
        Some(RejectReason::VersionForm) => {
            "Use a pool that allows version rolling, or turn it off in the miner."
        }
        Some(
            RejectReason::Malformed
            | RejectReason::UnknownMethod
            | RejectReason::NotSubscribed
            | RejectReason::Unauthorized
            | RejectReason::Duplicate
            | RejectReason::VersionBits
            | RejectReason::Ntime
            | RejectReason::ExtranonceSize
            | RejectReason::LowDifficulty,
        )
        | None => {
            "See on the page Miners which miner sends them, and update or restart that miner."
        }
    }
}

/// Miners that are turned away at the door, as long as they come back.
fn too_many_miners(grounds: &Grounds<'_>, trouble: Trouble) -> Option<Alert> {
    let notice = grounds.notices.get(&trouble)?;
    let age = grounds.moment.now.unix_ms.saturating_sub(notice.unix_ms);
    let listen = &grounds.moment.config.listen;
    let per_address = trouble == Trouble::MinersPerAddress;
    (age < TURNED_AWAY_SHOWN).then(|| Alert {
        id: if per_address { "miners_per_address" } else { "max_miners" }.into(),
        level: Level::Warning,
        title: "Miners are turned away".into(),
        text: if per_address {
            format!(
                "In the last 10 minutes more than {} miners wanted to connect from the address {}.",
                listen.max_miners_per_address, notice.text
            )
        } else {
            format!("In the last 10 minutes more than {} miners wanted to connect.", listen.max_miners)
        },
        action: if per_address {
            "If they are yours, raise listen.max_miners_per_address: behind a router or a container's network all miners \
             have one address."
        } else {
            "If they are yours, raise listen.max_miners."
        }
        .into(),
        at_ms: Some(notice.unix_ms),
        dismissable: false,
    })
}

fn spike(good: f64, bad: f64) -> bool {
    bad >= MANY_REFUSED && bad > PART_REFUSED * (good + bad)
}

fn block_found(grounds: &Grounds<'_>, slot: PoolSlot) -> Option<Alert> {
    let block = grounds.moment.snapshot.pools[slot]
        .totals
        .last_block
        .as_ref()?;
    let at_ms = block.when.unix_ms(grounds.moment.now);
    let age = grounds.moment.now.unix_ms.saturating_sub(at_ms);
    if age >= BLOCK_SHOWN {
        return None;
    }
    let found = format!("{} found a block for pool {slot}", block.worker);
    let (kind, level, title, text, action) = match &block.fate {
        BlockFate::Accepted => (
            "found",
            Level::Good,
            format!("A block for pool {slot}!"),
            format!("{found}, and the pool accepted it."),
            "See on the pool's page whether the network accepted it, too.",
        ),
        BlockFate::Unknown => (
            "found",
            Level::Good,
            format!("A block for pool {slot}!"),
            format!("{found}."),
            "See on the pool's page whether the network accepted it.",
        ),
        BlockFate::Rejected(reason) => (
            "rejected",
            Level::Warning,
            format!("Pool {slot} rejected a block"),
            format!("{found}, and the pool rejected it: {reason}."),
            "Look on the pool's page whether the block counts all the same. If not, the file in the folder \"blocks\" shows the \
             pool's support what was found.",
        ),
        BlockFate::Undelivered => (
            "undelivered",
            Level::Warning,
            format!("A block did not reach pool {slot}"),
            format!("{found} while the pool was away or did not answer."),
            "DPMP sends it if the pool comes back within an hour and can still use it. It is also kept as a file in the \
             folder \"blocks\".",
        ),
    };
    Some(Alert {
        id: format!("block_{kind}:{slot}:{at_ms}"),
        level,
        title,
        text,
        action: action.into(),
        at_ms: Some(at_ms),
        dismissable: true,
    })
}

fn no_miner(grounds: &Grounds<'_>) -> Option<Alert> {
    let snapshot = grounds.moment.snapshot;
    // Miners that were let go because no pool can be used are not missing.
    let mut used = PoolSlot::ALL
        .into_iter()
        .filter_map(|slot| in_use(grounds, slot));
    if used.all(|pool| pool.health == Health::Down) {
        return None;
    }
    (snapshot.unix_ms > 0 && snapshot.set_up && snapshot.miners.is_empty()).then(|| Alert {
        id: "no_miner".into(),
        level: Level::Warning,
        title: "No miner is connected".into(),
        text: "DPMP is ready and waits for miners.".into(),
        action: "Enter DPMP's address and port as the pool in your miners.".into(),
        at_ms: None,
        dismissable: false,
    })
}

fn no_password(grounds: &Grounds<'_>) -> Option<Alert> {
    (!grounds.password_set).then(|| Alert {
        id: "no_password".into(),
        level: Level::Warning,
        title: "These pages have no password".into(),
        text: "Anyone on your network can redirect your earnings.".into(),
        action: "Set a password on the page Config.".into(),
        at_ms: None,
        dismissable: true,
    })
}

fn wrong_passwords(grounds: &Grounds<'_>) -> Option<Alert> {
    let tries = grounds
        .wrong_passwords
        .filter(|it| it.count >= MANY_WRONG)?;
    let now = grounds.moment.now;
    let ago = now.at.saturating_duration_since(tries.last).as_millis();
    Some(Alert {
        id: "wrong_passwords".into(),
        level: Level::Warning,
        title: "Many wrong passwords for these pages".into(),
        text: format!(
            "{} wrong passwords were entered in the last hour, the last one from {}.",
            tries.count, tries.from
        ),
        action: "Find the device with this address. If your password is short or also used elsewhere, change it.".into(),
        at_ms: Some(now.unix_ms.saturating_sub(u64::try_from(ago).unwrap_or(u64::MAX))),
        dismissable: false,
    })
}

fn of_notice(trouble: Trouble, notice: &Notice) -> Option<Alert> {
    let (level, title, action) = match trouble {
        Trouble::State => (
            Level::Warning,
            "The totals or the charts could not be read or saved".to_owned(),
            "See whether the disk is full or broken. Mining goes on.",
        ),
        Trouble::Log => (
            Level::Info,
            "Log lines were lost".to_owned(),
            "The disk did not keep up. A quieter log level helps. Mining goes on.",
        ),
        Trouble::LogFiles => (
            Level::Warning,
            "Log files cannot be written".to_owned(),
            "See whether the disk is full or the folder may be written. Mining goes on.",
        ),
        Trouble::Accept => (
            Level::Error,
            "Miners could not be let in".to_owned(),
            "Usually the system allows too few files or threads: raise what is named, or use several instances.",
        ),
        Trouble::Config => (
            Level::Warning,
            "The configuration file was changed to something unusable".to_owned(),
            "Correct the file. The settings before stay in force until then, but not over a restart.",
        ),
        Trouble::Start => (
            Level::Warning,
            "DPMP started without something it could not use".to_owned(),
            "Correct what is named. The page Config has the settings.",
        ),
        Trouble::Redirect(slot) => (
            Level::Warning,
            format!("Pool {slot} wanted to send your miners elsewhere"),
            "It was not done, as this is how hashrate is stolen. If it goes on, ask the pool or change it.",
        ),
        // Told with what is true now.
        Trouble::MinersPerAddress
        | Trouble::Miners
        | Trouble::Backup(_)
        | Trouble::PoolSetting(_) => return None,
    };
    Some(Alert {
        id: trouble_id(trouble, notice),
        level,
        title,
        text: notice.text.clone(),
        action: action.to_owned(),
        at_ms: Some(notice.unix_ms),
        dismissable: true,
    })
}

fn trouble_id(trouble: Trouble, notice: &Notice) -> String {
    let name = match trouble {
        Trouble::State => "state_trouble".into(),
        Trouble::Log => "log_trouble".into(),
        Trouble::LogFiles => "log_files".into(),
        Trouble::Accept => "accept_trouble".into(),
        Trouble::Config => "config_refused".into(),
        Trouble::Start => "start_trouble".into(),
        Trouble::PoolSetting(slot) => format!("pool_setting_{slot}"),
        Trouble::Redirect(slot) => format!("redirect_{slot}"),
        Trouble::MinersPerAddress => "miners_per_address".into(),
        Trouble::Miners => "max_miners".into(),
        Trouble::Backup(slot) => format!("backup_{slot}"),
    };
    format!("{name}:{}", notice.unix_ms)
}

fn counted(count: usize, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{plural}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::{Config, parse};
    use crate::core::miner::view::sample_miner;
    use crate::core::snapshot::{BlockedShares, Snapshot, UnpaidWork};
    use crate::core::stats::totals::Block;
    use crate::system::clock::now;
    use crate::units::VersionMask;

    /// Two pools that are up, a miner, a password.
    struct World {
        snapshot: Snapshot,
        config: Config,
        lately: Window,
        notices: BTreeMap<Trouble, Notice>,
        password_set: bool,
        wrong_passwords: usize,
        refused_by: BTreeMap<RejectReason, u64>,
    }

    impl World {
        fn new() -> Self {
            let text = r#"{"pools": {"A": {"host": "a", "wallet": "x"}, "B": {"host": "b", "wallet": "y"}}}"#;
            let mut snapshot = Snapshot {
                unix_ms: 1,
                set_up: true,
                miners: vec![sample_miner(1, "one")],
                ..Snapshot::default()
            };
            for pool in snapshot.pools.values_mut() {
                pool.health = Health::Up;
                pool.e2_size = Some(8);
                pool.version_mask = VersionMask::BIP320;
            }
            Self {
                snapshot,
                config: parse(text).unwrap().config,
                lately: Window::default(),
                notices: BTreeMap::new(),
                password_set: true,
                wrong_passwords: 0,
                refused_by: BTreeMap::new(),
            }
        }

        fn alerts(self) -> Vec<Alert> {
            let (snapshot, config) = (Arc::new(self.snapshot), Arc::new(self.config));
            let moment = Moment {
                snapshot: &snapshot,
                config: &config,
                now: now(),
            };
            let grounds = Grounds {
                moment: &moment,
                notices: self.notices,
                lately: self.lately,
                refused_by: self.refused_by,
                password_set: self.password_set,
                wrong_passwords: Some(WrongTries {
                    count: self.wrong_passwords,
                    from: std::net::Ipv4Addr::LOCALHOST.into(),
                    last: moment.now.at,
                }),
            };
            let mut alerts = alerts(&grounds, &Dismissals::default());
            for alert in &mut alerts {
                assert!(
                    !alert.title.is_empty()
                        && !alert.text.is_empty()
                        && alert.action.ends_with('.')
                );
                // The time of an event is not what the tests are about.
                let parts = alert.id.split(':');
                let names = parts.filter(|part| part.parse::<u64>().is_err());
                alert.id = names.collect::<Vec<_>>().join(":");
            }
            alerts
        }
    }

    #[track_caller]
    fn expect(change: impl FnOnce(&mut World), ids: &[&str]) {
        let mut world = World::new();
        change(&mut world);
        let alerts = world.alerts();
        let found: Vec<_> = alerts.iter().map(|alert| alert.id.as_str()).collect();
        assert_eq!(found, ids);
    }

    #[test]
    fn there_is_an_alert_for_each_trouble_and_none_without() {
        use PoolSlot::{A, B};
        expect(|_| (), &[]);
        expect(|it| it.password_set = false, &["no_password"]);
        expect(|it| it.wrong_passwords = 5, &[]);
        expect(|it| it.wrong_passwords = 20, &["wrong_passwords"]);
        expect(|it| it.snapshot.miners.clear(), &["no_miner"]);
        expect(
            |it| it.snapshot.pools[A].health = Health::Down,
            &["pool_down:A"],
        );
        // Nobody needs it.
        let off = |it: &mut World| {
            it.snapshot.pools[A].health = Health::Down;
            it.config.scheduler.weights[A] = 0.0;
        };
        expect(off, &[]);
        let refused = |it: &mut World| {
            it.snapshot.pools[B].health = Health::Down;
            it.snapshot.pools[B].refusal = Some("no such user".into());
        };
        expect(refused, &["wrong_wallet:B"]);
        expect(
            |it| it.snapshot.pools[B].refused_miners = 2,
            &["miners_refused:B"],
        );
        let mute = |it: &mut World| {
            it.snapshot.pools[A].health = Health::Down;
            it.snapshot.pools[A].outage = Some(Outage::Flaw(Flaw::Mute));
        };
        expect(mute, &["pool_mute:A"]);
        let rejecting = |it: &mut World| {
            it.snapshot.pools[B].health = Health::Down;
            it.snapshot.pools[B].outage = Some(Outage::Flaw(Flaw::Rejecting));
        };
        expect(rejecting, &["pool_rejecting:B"]);
        let flawed = |it: &mut World, flaw| {
            it.snapshot.pools[B].health = Health::Down;
            it.snapshot.pools[B].outage = Some(Outage::Flaw(flaw));
        };
        expect(|it| flawed(it, Flaw::Behind), &["pool_behind:B"]);
        expect(|it| flawed(it, Flaw::WithoutNews), &["pool_without_news:B"]);
        let left = |it: &mut World, for_ms: u64| {
            it.snapshot.pools[A].left_since = Some(now().unix_ms - for_ms);
        };
        expect(|it| left(it, 31_000), &["pool_old_block:A"]);
        expect(|it| left(it, 10_000), &[]);
        let jobless = |it: &mut World, for_ms: u64| {
            it.snapshot.pools[A].jobless_since = Some(now().unix_ms - for_ms);
        };
        expect(|it| jobless(it, 31_000), &["pool_no_job:A"]);
        expect(|it| jobless(it, 10_000), &[]);
        let lost = |it: &mut World, answered: f64, lost: f64| {
            it.snapshot.pools[B].answered_and_lost = [answered, lost];
        };
        expect(|it| lost(it, 100.0, 3.0), &["shares_lost:B"]);
        expect(|it| lost(it, 0.0, 3.0), &["shares_lost:B"]);
        expect(|it| lost(it, 10.0, 2.0), &[]);
        expect(|it| lost(it, 1000.0, 9.0), &[]);
        expect(|it| it.config.pools[A] = None, &["not_set_up:A"]);
        let wrong_setting = |it: &mut World| {
            it.config.pools[A] = None;
            let text = "pools.A.wallet: found 5.".to_owned();
            let notice = Notice { unix_ms: 1, text };
            it.notices.insert(Trouble::PoolSetting(A), notice);
        };
        expect(wrong_setting, &["pool_setting:A"]);
        let left_out = |it: &mut World| {
            let text = "pools.A.backups: found 5.".to_owned();
            it.notices
                .insert(Trouble::Start, Notice { unix_ms: 1, text });
        };
        expect(left_out, &["start_trouble"]);
        expect(|it| it.snapshot.pools[A].backup = 1, &["on_backup:A"]);
        expect(
            |it| it.snapshot.pools[A].payout_changed = Some(7),
            &["payout_changed:A"],
        );
        expect(
            |it| it.snapshot.pools[B].version_mask = VersionMask::NONE,
            &["mask_missing:B"],
        );
        let raised = |it: &mut World| {
            it.snapshot.pools[B].raised = Some(UnpaidWork {
                miners: 2,
                asked: 1024.0,
                told: 8192.0,
                unpaid: 0.875,
            });
        };
        expect(raised, &["unpaid_work:B"]);
        let form_blocked = |it: &mut World, age_ms: u64| {
            it.snapshot.unix_ms = now().unix_ms;
            it.snapshot.pools[A].form_blocked = Some(BlockedShares {
                shares: 3,
                since_ms: 1,
                last_ms: now().unix_ms - age_ms,
            });
        };
        expect(|it| form_blocked(it, 1000), &["version_form:A"]);
        expect(|it| form_blocked(it, FORM_BLOCKED_SHOWN), &[]);
        let any_certificate = |it: &mut World| {
            let tls = &mut it.config.pools[B].as_mut().unwrap().tls;
            (tls.enabled, tls.insecure) = (true, true);
        };
        expect(any_certificate, &["any_certificate:B"]);
        let neither = |it: &mut World| {
            for pool in it.snapshot.pools.values_mut() {
                pool.version_mask = VersionMask::NONE;
            }
        };
        expect(neither, &[]);
        let block = |it: &mut World, age_ms: u64, fate: BlockFate| {
            it.snapshot.pools[A].totals.last_block = Some(Block {
                worker: "lucky".into(),
                when: (now().unix_ms - age_ms).into(),
                fate,
            });
        };
        expect(
            |it| block(it, 1000, BlockFate::Accepted),
            &["block_found:A"],
        );
        expect(|it| block(it, 1000, BlockFate::Unknown), &["block_found:A"]);
        let rejected = BlockFate::Rejected("Job not found".into());
        expect(
            |it| block(it, 1000, rejected.clone()),
            &["block_rejected:A"],
        );
        expect(
            |it| block(it, 1000, BlockFate::Undelivered),
            &["block_undelivered:A"],
        );
        expect(|it| block(it, BLOCK_SHOWN + 1, BlockFate::Accepted), &[]);
        expect(
            |it| {
                it.snapshot.miners.clear();
                it.snapshot
                    .pools
                    .values_mut()
                    .for_each(|pool| pool.health = Health::Down);
            },
            &["pool_down:A", "pool_down:B"],
        );
        let notice = |it: &mut World| {
            let text = "disk full".to_owned();
            it.notices
                .insert(Trouble::State, Notice { unix_ms: 1, text });
        };
        expect(notice, &["state_trouble"]);
    }

    #[test]
    fn a_spike_is_many_and_a_large_part() {
        use PoolSlot::A;
        let with = |good: f64, bad: f64| {
            move |it: &mut World| {
                it.lately.accepted[A] = good;
                it.lately.rejected[A] = bad;
            }
        };
        expect(with(0.0, 19.0), &[]);
        expect(with(0.0, 20.0), &["reject_spike:A"]);
        expect(with(379.0, 20.0), &["reject_spike:A"]);
        expect(with(380.0, 20.0), &[]);
        expect(|it| it.lately.refused = 30.0, &["refuse_spike"]);
    }

    #[test]
    fn the_gravest_comes_first() {
        let several = |it: &mut World| {
            it.password_set = false;
            it.snapshot.pools[PoolSlot::B].health = Health::Down;
            let text = "5 lines".to_owned();
            it.notices.insert(Trouble::Log, Notice { unix_ms: 1, text });
        };
        expect(several, &["pool_down:B", "no_password", "log_trouble"]);
    }

    #[track_caller]
    fn only(change: impl FnOnce(&mut World)) -> Alert {
        let mut world = World::new();
        change(&mut world);
        let mut alerts = world.alerts();
        assert_eq!(alerts.len(), 1, "{alerts:?}");
        alerts.remove(0)
    }

    #[test]
    fn blocked_shares_are_told_with_the_true_reason() {
        let because = |reason| {
            let alert = only(|it| {
                it.lately.refused = 100.0;
                it.refused_by = [(RejectReason::Duplicate, 3), (reason, 97)].into();
            });
            (alert.text, alert.action)
        };
        let (text, action) = because(RejectReason::TooMany);
        assert!(
            text.contains("100 of 100 shares") && text.contains("(97)"),
            "{text}"
        );
        assert!(action.contains("listen.submits_per_second"), "{action}");
        assert!(because(RejectReason::PoolLost).1.contains("not at fault"));
        assert!(
            because(RejectReason::LowDifficulty)
                .1
                .contains("which miner")
        );
        let sentences = RejectReason::ALL.map(reason_in_words);
        let different: BTreeSet<_> = sentences.iter().collect();
        assert_eq!(different.len(), sentences.len());
    }

    #[test]
    fn a_backup_is_told_with_its_reason_and_its_payout() {
        let on_backup = |backup: &str, why: Option<&str>| {
            only(|it| {
                let text = format!(
                    r#"{{"pools": {{"A": {{"host": "a", "wallet": "firstwallet123", "backups": [{backup:?}]}}, "B": {{"host": "b", "wallet": "y"}}}}}}"#
                );
                it.config = parse(&text).unwrap().config;
                it.snapshot.pools[PoolSlot::A].backup = 1;
                it.snapshot.pools[PoolSlot::A].address = "c:3333".into();
                let notice = why.map(|why| Notice { unix_ms: 1, text: why.into() });
                it.notices.extend(notice.map(|notice| (Trouble::Backup(PoolSlot::A), notice)));
            })
            .text
        };
        let plain = on_backup("c:3333", None);
        assert!(
            plain.contains("c:3333") && !plain.contains("pays"),
            "{plain}"
        );
        let text = on_backup("otherwallet456@c:3333", Some("it rejected 40 of 50 shares"));
        assert!(text.contains("pays another address"), "{text}");
        assert!(
            text.contains("a:3333: it rejected 40 of 50 shares"),
            "{text}"
        );
    }

    #[test]
    fn miners_that_are_turned_away_are_told_with_the_key() {
        let turned_away = |trouble, unix_ms| {
            let mut world = World::new();
            let text = "172.17.0.1".to_owned();
            world.notices.insert(trouble, Notice { unix_ms, text });
            world.alerts()
        };
        let now = now().unix_ms;
        let alerts = turned_away(Trouble::MinersPerAddress, now);
        assert!(alerts[0].text.contains("172.17.0.1") && alerts[0].text.contains("256"));
        assert!(alerts[0].action.contains("listen.max_miners_per_address"));
        assert!(
            turned_away(Trouble::Miners, now)[0]
                .action
                .contains("listen.max_miners")
        );
        assert!(turned_away(Trouble::MinersPerAddress, 1).is_empty());
    }
}
