//! Alerts about miners as a whole, the pages, and problems in the program or around it.

use super::{Alert, Grounds, Level, in_use};
use std::collections::BTreeMap;

use crate::core::miner::view::Condition;
use crate::core::outage::Health;
use crate::notify::plan::in_words;
use crate::observe::notices::{Notice, Trouble};
use crate::units::PoolSlot;

/// After this many wrong passwords in an hour, it is not just the owner mistyping.
const MANY_WRONG: usize = 20;

/// How long turned-away miners are shown, in milliseconds; they try again within minutes.
const TURNED_AWAY_SHOWN: u64 = 10 * 60 * 1000;

/// The trouble of a worker that is missing.
pub(super) const MISSING: &str = "miner_missing";

/// The trouble of a worker that is slow.
pub(super) const SLOW: &str = "miner_slow";

pub(super) fn no_miner(grounds: &Grounds<'_>) -> Option<Alert> {
    let snapshot = grounds.moment.snapshot;
    // Miners that were disconnected because no pool can be used are not missing.
    let mut used = PoolSlot::ALL
        .into_iter()
        .filter_map(|slot| in_use(grounds, slot));
    if used.all(|pool| pool.health == Health::Down) {
        return None;
    }
    // Neither are paused ones.
    let config = grounds.moment.config;
    let pauses = |worker: &str| snapshot.steering.aim(worker, config).pauses();
    let left = snapshot.left.iter();
    let mut left = left.map(|left| left.miner.worker.as_str()).peekable();
    let all_pause = left.peek().is_some() && left.all(pauses);
    if pauses("") || all_pause {
        return None;
    }
    (snapshot.unix_ms > 0 && snapshot.set_up && snapshot.miners.is_empty()).then(|| Alert {
        id: "no_miner".into(),
        level: Level::Warning,
        title: "No miner is connected".into(),
        text: "DPMP is ready and waiting for miners.".into(),
        action: if snapshot.left.iter().next().is_none() {
            "Enter DPMP's address and port as the pool in your miners."
        } else {
            "Check that your miners are on, and that they still have DPMP's address."
        }
        .into(),
        at_ms: None,
        dismissable: false,
    })
}

/// Workers that have had fewer connections than usual for `miner_missing_minutes`.
pub(super) fn missing(grounds: &Grounds<'_>) -> Vec<Alert> {
    let now = grounds.moment.now;
    let Some(patience) = grounds.moment.config.notify.miner_missing else {
        return Vec::new();
    };
    let patience = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
    let missing = grounds.moment.snapshot.missing.iter();
    let missing = missing.filter_map(|it| {
        let (worker, at_ms) = (&it.worker, it.since.unix_ms(now));
        let is_missing = now.unix_ms.saturating_sub(at_ms) >= patience;
        let (title, text) = if it.here == 0 {
            let title = format!("{worker} is missing");
            (
                title,
                format!("It has been gone for {} or more.", in_words(patience)),
            )
        } else {
            let title = format!("{worker} has {} of {} connections", it.here, it.usual);
            (title, "A miner with this worker name has left.".to_owned())
        };
        is_missing.then(|| Alert {
            id: format!("{MISSING}:{worker}"),
            level: Level::Warning,
            title,
            text,
            action: "Check its power and network. If you removed it, dismiss this notice.".into(),
            at_ms: Some(at_ms),
            dismissable: true,
        })
    });
    missing.collect()
}

/// Workers that have done less than half of their usual work.
pub(super) fn slow(grounds: &Grounds<'_>) -> Vec<Alert> {
    let alert = |(worker, at_ms): (&str, Option<u64>)| Alert {
        id: format!("{SLOW}:{worker}"),
        level: Level::Warning,
        title: format!("{worker} is slow"),
        text: "It does less than half of its usual hashrate.".into(),
        action: "Check temperature, fans and settings on the miner's own page.".into(),
        at_ms,
        dismissable: true,
    };
    let slow = in_condition(grounds, Condition::Slow);
    slow.into_iter().map(alert).collect()
}

/// Workers with a connection that has work but sends no shares.
pub(super) fn hanging(grounds: &Grounds<'_>) -> Vec<Alert> {
    let alert = |(worker, at_ms): (&str, Option<u64>)| Alert {
        id: format!("miner_hangs:{worker}"),
        level: Level::Warning,
        title: format!("{worker} hangs"),
        text:
            "It is connected and has work, but sends no shares. Bad luck does not last this long."
                .into(),
        action: "Restart the miner.".into(),
        at_ms,
        dismissable: false,
    };
    let hang = in_condition(grounds, Condition::Hangs);
    hang.into_iter().map(alert).collect()
}

/// The workers with a connection in this condition, and since when the first one has been.
fn in_condition<'a>(grounds: &Grounds<'a>, condition: Condition) -> BTreeMap<&'a str, Option<u64>> {
    let moment = grounds.moment;
    let mut found = BTreeMap::new();
    let miners = moment.snapshot.miners.iter();
    for miner in miners.filter(|miner| miner.condition == condition) {
        let at_ms = miner.condition_since.map(|at| at.unix_ms(moment.now));
        let first = found.entry(miner.worker.as_str()).or_insert(at_ms);
        *first = at_ms.into_iter().chain(*first).min();
    }
    found
}

/// Miners that are turned away, as long as they keep trying.
pub(super) fn too_many_miners(grounds: &Grounds<'_>, trouble: Trouble) -> Option<Alert> {
    let notice = grounds.notices.get(&trouble)?;
    let age = grounds.moment.now.unix_ms.saturating_sub(notice.unix_ms);
    let listen = &grounds.moment.config.listen;
    let per_address = trouble == Trouble::MinersPerAddress;
    (age < TURNED_AWAY_SHOWN).then(|| Alert {
        id: if per_address { "miners_per_address" } else { "max_miners" }.into(),
        level: Level::Warning,
        title: "DPMP turns miners away".into(),
        text: if per_address {
            format!(
                "In the last 10 minutes, more than {} miners tried to connect from the address {}.",
                listen.max_miners_per_address, notice.text
            )
        } else {
            format!("In the last 10 minutes, more than {} miners tried to connect.", listen.max_miners)
        },
        action: if per_address {
            "If they are yours, raise listen.max_miners_per_address. Behind a router or a container's network, all \
             miners have one address."
        } else {
            "If they are yours, raise listen.max_miners."
        }
        .into(),
        at_ms: Some(notice.unix_ms),
        dismissable: false,
    })
}

pub(super) fn no_password(grounds: &Grounds<'_>) -> Option<Alert> {
    (!grounds.password_set).then(|| Alert {
        id: "no_password".into(),
        level: Level::Warning,
        title: "These pages have no password".into(),
        text: "Anyone on your network can redirect your earnings.".into(),
        action: "Set a password on the Config page.".into(),
        at_ms: None,
        dismissable: true,
    })
}

pub(super) fn wrong_passwords(grounds: &Grounds<'_>) -> Option<Alert> {
    let tries = grounds
        .wrong_passwords
        .filter(|it| it.count >= MANY_WRONG)?;
    let now = grounds.moment.now;
    let ago = now.at.saturating_duration_since(tries.last).as_millis();
    Some(Alert {
        id: "wrong_passwords".into(),
        level: Level::Warning,
        title: "Many wrong passwords were entered".into(),
        text: format!(
            "{} wrong passwords for these pages were entered in the last hour, the last one from {}.",
            tries.count, tries.from
        ),
        action: "Find the device with this address. If your password is short or also used elsewhere, change it.".into(),
        at_ms: Some(now.unix_ms.saturating_sub(u64::try_from(ago).unwrap_or(u64::MAX))),
        dismissable: false,
    })
}

/// One line for each problem, up to a limit.
fn first_lines(text: &str) -> String {
    const MOST: usize = 5;
    let more = text.lines().count().saturating_sub(MOST);
    let mut lines: Vec<_> = text.lines().take(MOST).map(str::to_owned).collect();
    if more > 0 {
        lines.push(format!("{more} more are in the log."));
    }
    lines.join("\n")
}

pub(super) fn of_notice(grounds: &Grounds<'_>, trouble: Trouble, notice: &Notice) -> Option<Alert> {
    let (name, level, title, action) = match trouble {
        Trouble::State => (
            "state_trouble".to_owned(),
            Level::Warning,
            "DPMP could not read or save the totals or the charts".to_owned(),
            "Check whether the disk is full or broken. Mining continues.",
        ),
        Trouble::Log => (
            "log_trouble".to_owned(),
            Level::Info,
            "Log lines were lost".to_owned(),
            "The disk cannot keep up. Mining continues. Set logging.level to warn.",
        ),
        Trouble::LogFiles => (
            "log_files".to_owned(),
            Level::Warning,
            "Log files cannot be written".to_owned(),
            "Check whether the disk is full, and whether DPMP may write to the folder. Mining continues.",
        ),
        Trouble::Accept => (
            "accept_trouble".to_owned(),
            Level::Error,
            "DPMP could not accept miners".to_owned(),
            "Raise the system limit that is named, or run several instances.",
        ),
        Trouble::NoOwnConnection => (
            "no_own_connection".to_owned(),
            Level::Error,
            "Some miners have no connection to a pool".to_owned(),
            "They work for the other pool if it has room. Set connections to shared, raise the system limit that is \
             named, or run several instances.",
        ),
        Trouble::Config => (
            "config_refused".to_owned(),
            Level::Warning,
            "The configuration file was changed to something unusable".to_owned(),
            "Correct the file. The previous settings stay in force, but DPMP may be unable to restart with this file.",
        ),
        Trouble::Start => (
            "start_trouble".to_owned(),
            Level::Warning,
            "DPMP started without some of the settings".to_owned(),
            "Correct these settings on the Config page.",
        ),
        Trouble::Redirect(slot) => (
            format!("redirect_{slot}"),
            Level::Warning,
            format!(
                "{} asked to move your miners to another server",
                grounds.pool_name(slot)
            ),
            "DPMP ignored it, because this is a way to steal hashrate. If it continues, contact the pool or choose another one.",
        ),
        // Reported together with the current state.
        Trouble::MinersPerAddress
        | Trouble::Miners
        | Trouble::Backup(_)
        | Trouble::PoolSetting(_) => return None,
    };
    Some(Alert {
        id: format!("{name}:{}", notice.unix_ms),
        level,
        title,
        text: first_lines(&notice.text),
        action: action.to_owned(),
        at_ms: Some(notice.unix_ms),
        dismissable: true,
    })
}
