//! Alerts about shares: rejected, blocked, unpaid or lost; and blocks.

use super::{Alert, Grounds, Level, counted, in_use};
use crate::core::outage::Health;
use crate::core::stats::totals::BlockFate;
use crate::stratum::reject::RejectReason;
use crate::units::{PerPool, PoolSlot};

/// This many blocked or rejected shares in ten minutes are no coincidence.
const MANY_REFUSED: f64 = 20.0;

/// This many rejected shares in ten minutes, with none accepted, are no coincidence.
const MANY_OF_ALL: f64 = 5.0;

/// Above this part of blocked or rejected shares, something is wrong.
const PART_REFUSED: f64 = 0.05;

/// This many unanswered shares in ten minutes are no coincidence.
const MANY_LOST: f64 = 3.0;

/// Above this part of them, there is an alert.
const PART_LOST: f64 = 0.02;

/// How long shares blocked for their version bits are reported, in milliseconds.
pub(super) const FORM_BLOCKED_SHOWN: u64 = 3600 * 1000;

pub(super) fn rejects(grounds: &Grounds<'_>, slot: PoolSlot) -> Option<Alert> {
    let name = grounds.pool_name(slot);
    let lately = in_use(grounds, slot)?.lately;
    let (accepted, rejected) = (lately.accepted, lately.rejected);
    spike(accepted, rejected).then(|| Alert {
        id: format!("reject_spike:{slot}"),
        level: Level::Warning,
        title: format!("{name} rejects many shares"),
        text: format!("It rejected {rejected:.0} of {:.0} shares in the last 10 minutes.", accepted + rejected),
        action: "See the reasons next to the pool. Stale shares mean a slow network. Others point to a miner or the pool.".into(),
        at_ms: None,
        dismissable: false,
    })
}

/// It can be reached but has accepted nothing: too few shares for a verdict, but no income.
pub(super) fn rejects_all(grounds: &Grounds<'_>, slot: PoolSlot) -> Option<Alert> {
    let name = grounds.pool_name(slot);
    let lately = in_use(grounds, slot)?.lately;
    let (accepted, rejected) = (lately.accepted, lately.rejected);
    (rejected >= MANY_OF_ALL && accepted == 0.0).then(|| Alert {
        id: format!("pool_rejects_all:{slot}"),
        level: Level::Error,
        title: format!("{name} rejects every share"),
        text: format!("It rejected all {rejected:.0} shares from the last 10 minutes, so you earn nothing there."),
        action: "See the reasons next to the pool, and check its settings on the Config page.".into(),
        at_ms: None,
        dismissable: false,
    })
}

pub(super) fn refusals(grounds: &Grounds<'_>) -> Option<Alert> {
    let sum = |values: PerPool<f64>| values[PoolSlot::A] + values[PoolSlot::B];
    let others = sum(grounds.lately.accepted) + sum(grounds.lately.rejected);
    let refused = grounds.lately.refused;
    let (main, count) = grounds
        .refused_by
        .iter()
        .filter_map(|(name, count)| Some((RejectReason::named(name)?, *count)))
        .max_by_key(|(_, count)| *count)
        .map_or((None, 0), |(reason, count)| (Some(reason), count));
    let for_pool = matches!(main, Some(RejectReason::PoolLost | RejectReason::NoAnswer));
    let pool_failed = PoolSlot::ALL
        .into_iter()
        .any(|slot| in_use(grounds, slot).is_some_and(|pool| pool.health == Health::Down));
    // Then the pool already has a notice.
    if for_pool && pool_failed {
        return None;
    }
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

pub(super) fn reason_in_words(reason: RejectReason) -> &'static str {
    match reason {
        RejectReason::Malformed => "the share was incomplete or malformed",
        RejectReason::UnknownMethod => "DPMP does not know the request",
        RejectReason::NotSubscribed => "the miner had not subscribed",
        RejectReason::Unauthorized => "the worker was not authorized",
        RejectReason::UnknownJob => "the job is unknown on this connection",
        RejectReason::Stale => "the share was stale",
        RejectReason::Duplicate => "the miner sent the same share twice",
        RejectReason::VersionBits => "it had version bits that the pool does not allow",
        RejectReason::VersionForm => "the pool does not accept such version bits in any form",
        RejectReason::Ntime => "its time was out of range",
        RejectReason::ExtranonceSize => "its extranonce2 had the wrong size",
        RejectReason::LowDifficulty => "its difficulty was too low",
        RejectReason::TooMany => "the miner sent too many at a time",
        RejectReason::PoolLost => "the connection to the pool was lost",
        RejectReason::NoAnswer => "the pool did not answer",
        RejectReason::Stopping => "DPMP was stopping",
    }
}

/// What to do, by the most frequent reason.
fn advice(reason: Option<RejectReason>) -> &'static str {
    match reason {
        Some(RejectReason::TooMany) => {
            "This is DPMP's own limit. Raise listen.submits_per_second on the Config page. If the pool's difficulty is \
             far too low for the miner, suggest a higher one in the miner's settings."
        }
        Some(RejectReason::PoolLost | RejectReason::NoAnswer) => {
            "The Logs page shows which pool it is, and why. The miners are not the cause."
        }
        Some(RejectReason::Stopping) => "You don't need to do anything.",
        Some(RejectReason::Stale | RejectReason::UnknownJob) => {
            "See on the Miners page whether one miner or all of them send stale shares. If all do, check the pools \
             and the network."
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
        | None => "The Miners page shows which miner sends them. Update or restart that miner.",
    }
}

fn spike(good: f64, bad: f64) -> bool {
    bad >= MANY_REFUSED && bad > PART_REFUSED * (good + bad)
}

/// Shares that were sent and never answered.
pub(super) fn shares_lost(grounds: &Grounds<'_>, slot: PoolSlot) -> Option<Alert> {
    let name = grounds.pool_name(slot);
    let pool = in_use(grounds, slot)?;
    let (answered, lost) = (
        pool.lately.accepted + pool.lately.rejected,
        pool.lately.lost,
    );
    (lost >= MANY_LOST && lost > PART_LOST * (answered + lost)).then(|| Alert {
        id: format!("shares_lost:{slot}"),
        level: Level::Warning,
        title: format!("{name} did not answer some shares"),
        text: format!(
            "It did not answer {lost:.0} of {:.0} shares in the last 10 minutes, and may not pay for them.",
            answered + lost
        ),
        action: "If it continues, see the log: `pool_lost` says why a connection ended. If connections last, ask the \
                 pool why it does not answer."
            .into(),
        at_ms: None,
        dismissable: false,
    })
}

/// A minimum difficulty above the pool's own costs income.
pub(super) fn unpaid(grounds: &Grounds<'_>, slot: PoolSlot) -> Option<Alert> {
    let name = grounds.pool_name(slot);
    let raised = in_use(grounds, slot)?.raised?;
    Some(Alert {
        id: format!("unpaid_work:{slot}"),
        level: Level::Error,
        title: format!(
            "{name} does not pay {:.0}% of {} work",
            (100.0 * raised.unpaid).clamp(1.0, 99.0),
            if raised.miners == 1 {
                "a miner's"
            } else {
                "your miners'"
            }
        ),
        text: format!(
            "The pool pays for shares from difficulty {} up. downstream_diff gives {} a minimum of {}, so shares in \
             between are never sent.",
            raised.asked,
            counted(raised.miners, "miner"),
            raised.told
        ),
        action: format!(
            "Clear the minimum difficulty on the Config page: downstream_diff.pool{slot}_min, or default_min if that \
             is empty."
        ),
        at_ms: None,
        dismissable: true,
    })
}

/// A pool that rejects a miner's version bits in any form.
pub(super) fn form_blocked(grounds: &Grounds<'_>, slot: PoolSlot) -> Option<Alert> {
    let name = grounds.pool_name(slot);
    let blocked = in_use(grounds, slot)?.form_blocked?;
    let quiet = grounds
        .moment
        .snapshot
        .unix_ms
        .saturating_sub(blocked.last_ms);
    (quiet < FORM_BLOCKED_SHOWN).then(|| Alert {
        id: format!("version_form:{slot}"),
        level: Level::Warning,
        title: format!("{name} rejects the version bits of some shares"),
        text: format!(
            "Its jobs already set bits that your miners may roll, and it rejects both ways of writing them. DPMP has \
             blocked {} since then, and tests one share a minute.",
            counted(usize::try_from(blocked.shares).unwrap_or(usize::MAX), "share")
        ),
        action: "On the Miners page, find the miners whose shares are blocked as version_form. Have them work for the \
                 other pool, and tell the pool or the firmware's authors."
            .into(),
        at_ms: Some(blocked.since_ms),
        dismissable: true,
    })
}

pub(super) fn block_found(grounds: &Grounds<'_>, slot: PoolSlot) -> Option<Alert> {
    let name = grounds.pool_name(slot);
    let block = grounds.moment.snapshot.pools[slot]
        .totals
        .last_block
        .as_ref()
        .filter(|block| !block.seen)?;
    let at_ms = block.when.unix_ms(grounds.moment.now);
    let found = format!("{} found a block for {name}", block.worker);
    let (kind, level, title, text, action) = match &block.fate {
        BlockFate::Accepted => (
            "found",
            Level::Good,
            format!("A block for {name}!"),
            format!("{found}, and the pool accepted it."),
            "Check on the pool's page whether the network accepted it, too.",
        ),
        BlockFate::Unknown => (
            "found",
            Level::Good,
            format!("A block for {name}!"),
            format!("{found}."),
            "Check on the pool's page whether the network accepted it.",
        ),
        BlockFate::Rejected(reason) => (
            "rejected",
            Level::Warning,
            format!("{name} rejected a block"),
            format!("{found}, and the pool rejected it: {reason}."),
            "Check the pool's page: the block may still count. If not, send its file from Records to the pool's support.",
        ),
        BlockFate::Undelivered => (
            "undelivered",
            Level::Warning,
            format!("A block did not reach {name}"),
            format!("{found} while the pool was down or did not answer."),
            "DPMP sends it if the pool comes back within an hour and can still use it. Keep its file from Records.",
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
