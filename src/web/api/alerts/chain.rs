//! Alerts about the chain: whether the pools' jobs are for the right one, and in time.

use super::{Alert, Grounds, Level, counted, in_use};
use crate::core::insight::chain::{Finding, Found, Mismatch};
use crate::core::outage::Health;
use crate::core::snapshot::PoolView;
use crate::units::{PoolSlot, When};

/// How long the other pool must have moved on from a block before an alert, in milliseconds.
const LEFT_SHOWN: u64 = 30_000;

pub(super) fn of_findings<'a>(grounds: &'a Grounds<'_>) -> impl Iterator<Item = Alert> + use<'a> {
    let found = grounds.moment.snapshot.findings.iter();
    found.filter_map(|found| alert(grounds, found))
}

/// The other pool has moved on to a newer block.
pub(super) fn left_behind(grounds: &Grounds<'_>, slot: PoolSlot) -> Option<Alert> {
    let since = good(grounds, slot)?.left_since?;
    let age = grounds.moment.now.unix_ms.saturating_sub(since);
    // A block of another chain proves nothing, unless both pools are on that chain.
    let is_wrong = |slot| {
        let mut found = grounds.moment.snapshot.findings.iter();
        found.any(|it| matches!(it.finding, Finding::WrongChain(it, _) if it == slot))
    };
    if age < LEFT_SHOWN || (is_wrong(slot.other()) && !is_wrong(slot)) {
        return None;
    }
    let text = format!(
        "Its jobs are for an old block: {} is already on a newer one.",
        grounds.pool_name(slot.other())
    );
    Some(old_block(grounds, slot, text, since))
}

/// The pool, if it works and nothing else is wrong with it.
fn good<'a>(grounds: &'a Grounds<'_>, slot: PoolSlot) -> Option<&'a PoolView> {
    in_use(grounds, slot).filter(|pool| pool.flaw().is_none() && pool.health == Health::Up)
}

fn old_block(grounds: &Grounds<'_>, slot: PoolSlot, text: String, since: u64) -> Alert {
    Alert {
        id: format!("pool_old_block:{slot}"),
        level: Level::Warning,
        title: format!("{} sends no new job", grounds.pool_name(slot)),
        text,
        action: "Usually the pool's node hangs. If it continues, look at the pool's own page."
            .into(),
        at_ms: Some(since),
        dismissable: false,
    }
}

fn alert(grounds: &Grounds<'_>, found: &Found) -> Option<Alert> {
    let coin = |slot: PoolSlot| grounds.moment.snapshot.pools[slot].chain.as_str();
    let slots = match found.finding.slot() {
        Some(slot) => vec![slot],
        None => PoolSlot::ALL.to_vec(),
    };
    for slot in slots {
        in_use(grounds, slot)?;
    }
    let name = |slot| grounds.pool_name(slot);
    let coin_a = coin(PoolSlot::A);
    let since = When::from(found.since).unix_ms(grounds.moment.now);
    let (name, level, title, text, action) = match found.finding {
        Finding::Forked { height } => (
            "pools_forked".to_owned(),
            Level::Error,
            "The pools are on different chains".to_owned(),
            format!("Both are set to {coin_a}, but their blocks have differed since height {height}."),
            "Look up their blocks in a block explorer, and check each pool's coin on the Config page.",
        ),
        Finding::OneChain => (
            "one_chain".to_owned(),
            Level::Warning,
            "Both pools work on the same chain".to_owned(),
            format!(
                "{} is set to {coin_a} and {} to {}, but their jobs build on the same block.",
                name(PoolSlot::A),
                name(PoolSlot::B),
                coin(PoolSlot::B)
            ),
            "Check each pool's address and coin on the Config page.",
        ),
        Finding::TargetsDiffer => (
            "targets_differ".to_owned(),
            Level::Error,
            "The pools disagree about the network difficulty".to_owned(),
            "Their jobs build on the same block with different difficulties, so one of them cannot find a valid block."
                .to_owned(),
            "Look up the difficulty in a block explorer, and contact the pool that differs.",
        ),
        Finding::WrongChain(slot, why) => (
            format!("wrong_chain:{slot}"),
            Level::Error,
            format!("{} does not work on {}", name(slot), coin(slot)),
            match why {
                Mismatch::Witness => format!(
                    "Its jobs have a SegWit commitment, and {} has no SegWit.",
                    coin(slot)
                ),
                Mismatch::Work => format!(
                    "Its jobs build on a block that took less work than {} requires.",
                    coin(slot)
                ),
            },
            "Check the pool's address and coin on the Config page.",
        ),
        Finding::NoWitness(slot) => (
            format!("no_witness:{slot}"),
            Level::Warning,
            format!("{}'s jobs are unusual for {}", name(slot), coin(slot)),
            "None of its last 10 jobs with transactions has a SegWit commitment, so none has SegWit transactions."
                .to_owned(),
            "Check the pool's coin on the Config page. If it is right, contact the pool.",
        ),
        Finding::NoBlock(slot) => (
            format!("no_new_block:{slot}"),
            Level::Warning,
            format!("{} has had no new block for 3 hours", name(slot)),
            format!("All its jobs since then build on the same block, which is rare on {}.", coin(slot)),
            "Look for newer blocks in a block explorer. If there are any, the pool's node may be stuck.",
        ),
        Finding::Lower { slot, blocks } => {
            let is_told = good(grounds, slot).is_none() || left_behind(grounds, slot).is_some();
            if is_told {
                return None;
            }
            let blocks = counted(usize::try_from(blocks).ok()?, "block");
            let text = format!("Its jobs are {blocks} behind those of {}.", name(slot.other()));
            return Some(old_block(grounds, slot, text, since));
        }
        Finding::Clock {
            slot,
            minutes,
            is_certain,
        } => {
            // One notice is enough if two clocks differ.
            if !is_certain && slot != PoolSlot::A {
                return None;
            }
            let by = minutes.unsigned_abs();
            let direction = if minutes < 0 { "behind" } else { "ahead" };
            let (title, text) = if is_certain {
                (
                    format!("{}'s clock is wrong", name(slot)),
                    format!("The time in its jobs is {by} minutes {direction}."),
                )
            } else {
                (
                    "The pools' clocks differ".to_owned(),
                    format!(
                        "The times in their jobs are {} minutes apart. DPMP cannot tell which one is right, because \
                         this computer's clock is wrong, too.",
                        2 * by
                    ),
                )
            };
            (
                format!("pool_clock:{slot}"),
                Level::Warning,
                title,
                format!("{text} The network rejects blocks whose time is too far off."),
                "If it is your own pool, correct its clock. Otherwise, if it continues, contact the pool.",
            )
        }
    };
    Some(Alert {
        id: name,
        level,
        title,
        text,
        action: action.to_owned(),
        at_ms: Some(since),
        dismissable: false,
    })
}
