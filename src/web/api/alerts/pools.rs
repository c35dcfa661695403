//! Alerts about a pool: whether it is set up and works, its encryption, and what it pays to.

use std::collections::BTreeSet;

use super::{Alert, Grounds, Level, counted, in_use};
use crate::coin::remark::wallet_problem;
use crate::config::Trust;
use crate::core::insight::payee::{PayoutKind, Percent};
use crate::core::insight::watch::Expected;
use crate::core::outage::{Flaw, Health, Outage};
use crate::core::snapshot::PoolView;
use crate::observe::notices::Trouble;
use crate::observe::wallet::shorten;
use crate::units::PoolSlot;
use crate::web::api::{Moment, waits_for};

/// How long a pool may accept miners without sending a job before there is an alert, in milliseconds.
const PATIENCE_FOR_JOB: u64 = 30_000;

/// With more miners than this, shared connections are suggested.
const MANY_MINERS: usize = 300;

pub(super) fn not_set_up(grounds: &Grounds<'_>, slot: PoolSlot) -> Option<Alert> {
    let name = grounds.pool_name(slot);
    let config = grounds.moment.config;
    let is_missing = config.pools[slot].is_none() && config.scheduler.weights[slot] > 0.0;
    if !is_missing {
        return None;
    }
    if let Some(wrong) = grounds.notices.get(&Trouble::PoolSetting(slot)) {
        return Some(Alert {
            id: format!("pool_setting:{slot}"),
            level: Level::Error,
            title: format!("{name} is not used, because one of its settings is wrong"),
            text: format!(
                "{} DPMP serves no miner while a pool with a weight above 0 cannot be used.",
                wrong.text
            ),
            action: format!(
                "Correct the setting on the Config page, or set the weight of {name} to 0."
            ),
            at_ms: Some(wrong.unix_ms),
            dismissable: false,
        });
    }
    Some(Alert {
        id: format!("not_set_up:{slot}"),
        level: Level::Error,
        title: format!("{name} is not set up"),
        text: "DPMP serves no miner while a pool with a weight above 0 has no address or no payout address."
            .into(),
        action: format!(
            "Enter the pool's address and your payout address on the Config page, or set the weight of {name} to 0."
        ),
        at_ms: None,
        dismissable: false,
    })
}

pub(super) fn payout_changed(grounds: &Grounds<'_>, slot: PoolSlot) -> Option<Alert> {
    let name = grounds.pool_name(slot);
    let at = grounds.moment.snapshot.pools[slot].payout_changed?;
    Some(Alert {
        id: payout_id(slot, at),
        level: Level::Warning,
        title: format!("The payout address, the address or the encryption of {name} has changed"),
        text: "Your earnings at this pool may now go elsewhere, or did for a while.".into(),
        action: "If you made the change, dismiss this notice. If not, correct it now and set a password.".into(),
        at_ms: Some(at),
        dismissable: true,
    })
}

pub(super) fn payout_id(slot: PoolSlot, at: u64) -> String {
    format!("payout_changed:{slot}:{at}")
}

/// Its jobs pay the owner less than they should. A mistake in the address comes first.
pub(super) fn pays_other(grounds: &Grounds<'_>, slot: PoolSlot) -> Option<Alert> {
    let name = grounds.pool_name(slot);
    let pool = in_use(grounds, slot)?;
    let wrong = pool.payout_wrong?;
    let config = grounds.moment.config.pools[slot].as_ref()?;
    let config = config.at(pool.backup);
    let share = wrong.payment.share;
    let title = if share < 0.001 {
        format!("{name} does not pay your address")
    } else {
        format!("{name} pays you less than it should")
    };
    let paid = format!(
        "A block found now would pay your address {}",
        Percent(share)
    );
    let paid = match wrong.expected {
        Expected::Usual(usual) if usual.kind == PayoutKind::Mine => {
            format!("{paid}, not {} as before.", Percent(usual.share))
        }
        Expected::Usual(_) => {
            format!(
                "{paid}. The reward used to be split among several addresses. Now nearly all of it goes to one."
            )
        }
        Expected::AtLeast(least) => format!("{paid}. Your minimum is {}.", Percent(least)),
    };
    let problem = wallet_problem(&config.wallet, &config.chain);
    let problem = problem.map_or(String::new(), |problem| format!("{problem} "));
    let right = match wrong.expected {
        Expected::Usual(_) => "If this is what you want, dismiss this notice.",
        Expected::AtLeast(_) => "If this is what you want, lower the minimum on the Config page.",
    };
    Some(Alert {
        id: pays_other_id(slot, wrong.since),
        level: Level::Error,
        title,
        text: format!("{problem}{paid}"),
        action: format!(
            "Check the payout address. If it is right, contact the pool or choose another one. {right}"
        ),
        at_ms: Some(wrong.since),
        dismissable: true,
    })
}

pub(super) fn pays_other_id(slot: PoolSlot, since: u64) -> String {
    format!("coinbase_pays_other:{slot}:{since}")
}

/// A refused payout address is reported instead of "down", because it is the cause.
pub(super) fn pool_trouble(grounds: &Grounds<'_>, slot: PoolSlot) -> Option<Alert> {
    let name = grounds.pool_name(slot);
    let pool = in_use(grounds, slot)?;
    let is_up = pool.health == Health::Up;
    if let Some(words) = pool.refusal.as_ref().filter(|_| !is_up) {
        return Some(Alert {
            id: format!("wrong_wallet:{slot}"),
            level: Level::Error,
            title: format!("{name} does not accept your payout address"),
            text: format!("It refused to authorize a miner and said: {words}"),
            action: format!(
                "Check the payout address of {name}: it must be an address for this pool's coin, or an account at the pool."
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
        let waiting = waiting(grounds, slot);
        let other_name = grounds.pool_name(slot.other());
        let (consequence, action) = match (waiting, other(grounds, slot)) {
            (Some(waiting), Other::Works | Other::Untried | Other::LastResort | Other::Useless) => {
                (
                    waiting,
                    "You don't need to do anything if the pool comes back. To have them work for the other pool until \
                     then, allow it on the Miners page.",
                )
            }
            (None, Other::Works) => (
                format!("Your miners work for {other_name}."),
                "You don't need to do anything if the pool comes back. If it doesn't, test its address on the Config page.",
            ),
            (None, Other::Untried) => (
                format!("Miners that connect now work for {other_name}."),
                "You don't need to do anything if the pool comes back. If it doesn't, test its address on the Config page.",
            ),
            (None, Other::LastResort) => (
                format!("Your miners work for {other_name}, which also has a problem."),
                "Test this pool's address on the Config page, or set up a backup.",
            ),
            (None, Other::Useless) => (
                format!("{other_name} cannot be used either."),
                "Check your Internet connection, then test the pool's address on the Config page.",
            ),
        };
        return Some(Alert {
            id: format!("pool_down:{slot}"),
            level: Level::Error,
            title: format!("{name} is down"),
            text: format!("Reason: {reason}. {consequence}"),
            action: action.into(),
            at_ms: Some(pool.health_since),
            dismissable: false,
        });
    }
    (pool.refused_miners > 0).then(|| Alert {
        id: format!("miners_refused:{slot}"),
        level: Level::Warning,
        title: format!("{name} refuses {}", counted(pool.refused_miners, "miner")),
        text: "It accepts others with the same payout address, so the worker's name must be the reason.".into(),
        action: "The Miners page shows which ones it refuses. Some pools only accept workers that you created in your account first.".into(),
        at_ms: None,
        dismissable: false,
    })
}

/// The workers that wait for the pool because they may not work for the other one, and what the others do.
fn waiting(grounds: &Grounds<'_>, slot: PoolSlot) -> Option<String> {
    let name = grounds.pool_name(slot);
    /// How many workers are named.
    const MOST: usize = 3;
    let Moment {
        snapshot, config, ..
    } = grounds.moment;
    let here = snapshot.miners.iter();
    let left = snapshot.left.iter().map(|left| &left.miner);
    let workers: BTreeSet<_> = here.chain(left).map(|it| it.worker.as_str()).collect();
    let waits = |worker: &&str| {
        let work = snapshot.steering.aim(worker, config).work;
        !worker.is_empty() && waits_for(worker, work, grounds.moment) == Some(slot)
    };
    let waiting: Vec<_> = workers.into_iter().filter(waits).collect();
    let (count, named) = (waiting.len(), waiting.iter().take(MOST));
    let mut names = named.copied().collect::<Vec<_>>().join(", ");
    if count > MOST {
        names.push_str(", …");
    }
    let wait = if count == 1 { "waits" } else { "wait" };
    let others = snapshot.miners.iter();
    let others = others.filter(|miner| miner.pool == Some(slot.other()));
    let others = if others.count() > 0 {
        "The other miners work for the other pool."
    } else {
        "Nothing is being mined."
    };
    (count > 0).then(|| {
        format!(
            "{} {wait} for {name} because failover is off: {names}. {others}",
            counted(count, "worker")
        )
    })
}

/// The state of the other pool while this one is down.
enum Other {
    Works,
    /// Without miners, there is no connection to it.
    Untried,
    /// It has a flaw, but miners work for it because there is nothing better.
    LastResort,
    Useless,
}

fn other(grounds: &Grounds<'_>, slot: PoolSlot) -> Other {
    match in_use(grounds, slot.other()) {
        Some(pool) if pool.health == Health::Up => Other::Works,
        Some(pool) if pool.flaw().is_some() => Other::LastResort,
        Some(pool) if pool.health == Health::Unknown => Other::Untried,
        Some(_) | None => Other::Useless,
    }
}

/// Why no miner can work for a pool; `None`: some can, or may be about to.
fn unusable(pool: &PoolView) -> Option<String> {
    if pool.health != Health::Down || pool.flaw().is_some() {
        return None;
    }
    Some(match (&pool.refusal, &pool.outage) {
        (Some(words), _) => format!("it does not accept your payout address and says: {words}"),
        (None, Some(outage)) => outage.to_string(),
        (None, None) => "it cannot be used".to_owned(),
    })
}

/// No pool can be used: one notice for both.
pub(super) fn nothing_mined(grounds: &Grounds<'_>) -> Option<Alert> {
    let used = || {
        let slots = PoolSlot::ALL.into_iter();
        slots.filter_map(|slot| Some((slot, in_use(grounds, slot)?)))
    };
    let reasons: Option<Vec<_>> = used()
        .map(|(slot, pool)| Some(format!("{}: {}.", grounds.pool_name(slot), unusable(pool)?)))
        .collect();
    let reasons = reasons.filter(|reasons| !reasons.is_empty())?;
    let refused = used().any(|(_, pool)| pool.refusal.is_some());
    // The other pool may work, but not for these workers.
    let waiting = used().find_map(|(slot, _)| {
        let other = slot.other();
        let is_set_up = grounds.moment.config.pools[other].is_some();
        waiting(grounds, slot).filter(|_| is_set_up && in_use(grounds, other).is_none())
    });
    let what = waiting.unwrap_or_else(|| "No pool can be used.".to_owned());
    Some(Alert {
        id: "nothing_mined".into(),
        level: Level::Error,
        title: "Nothing is being mined".into(),
        text: format!("{what} {}", reasons.join(" ")),
        action: if refused {
            "Check the payout address on the Config page. Miners with a fallback pool use that until a pool accepts them."
        } else {
            "Check your Internet connection, then test the pools' addresses on the Config page. Miners with a fallback \
             pool use that until a pool is back."
        }
        .into(),
        at_ms: used().map(|(_, pool)| pool.health_since).max(),
        dismissable: false,
    })
}

/// A pool that can be reached but is not worth working for.
fn of_flaw(grounds: &Grounds<'_>, slot: PoolSlot, pool: &PoolView, flaw: Flaw) -> Alert {
    let name = grounds.pool_name(slot);
    let title = match flaw {
        Flaw::Mute => format!("{name} does not answer shares"),
        Flaw::Rejecting => format!("{name} rejects most shares"),
        Flaw::Behind => format!("{name} works on an old block"),
        Flaw::WithoutNews => format!("{name} sends no new job"),
    };
    let other_works = matches!(other(grounds, slot), Other::Works);
    let other_name = grounds.pool_name(slot.other());
    let text = if other_works && !flaw.earns_nothing() {
        format!(
            "Your miners work for {other_name} until {name} sends a new job. An old job cannot lead to a block."
        )
    } else if other_works {
        format!(
            "Your miners work for {other_name}. DPMP tests {name} with a few shares now and then, and returns to it \
             as soon as it works."
        )
    } else {
        "Your miners still work for it, because no other pool can be used.".into()
    };
    Alert {
        id: format!("pool_{}:{slot}", flaw.name()),
        level: Level::Error,
        title,
        text,
        action: "If it continues, look at the pool's own page, or set up a backup or another pool."
            .into(),
        at_ms: Some(pool.health_since),
        dismissable: false,
    }
}

/// It accepts miners but sends them no work.
pub(super) fn no_job(grounds: &Grounds<'_>, slot: PoolSlot) -> Option<Alert> {
    let name = grounds.pool_name(slot);
    let pool = in_use(grounds, slot)?;
    let since = pool.jobless_since?;
    let age = grounds.moment.now.unix_ms.saturating_sub(since);
    (age >= PATIENCE_FOR_JOB).then(|| Alert {
        id: format!("pool_no_job:{slot}"),
        level: Level::Error,
        title: format!("{name} sends no job"),
        text: "It accepts your miners but sends them no work. They work for the other pool if it is up.".into(),
        action: "Usually the pool's node is down or still starting. If it continues, look at the pool's own page.".into(),
        at_ms: Some(since),
        dismissable: false,
    })
}

pub(super) fn on_backup(grounds: &Grounds<'_>, slot: PoolSlot) -> Option<Alert> {
    let name = grounds.pool_name(slot);
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
        title: format!("{name} is on its backup"),
        text: format!("The work goes to {}.{payout}{reason}", pool.address),
        action: "DPMP returns to the first address once it has worked for five minutes. If that takes long, test it on the Config page."
            .into(),
        at_ms: why.map(|why| why.unix_ms),
        dismissable: false,
    })
}

/// If one pool allows version rolling and the other does not, miners lose time or shares at the latter.
pub(super) fn mask_missing(grounds: &Grounds<'_>, slot: PoolSlot) -> Option<Alert> {
    let name = grounds.pool_name(slot);
    let has_mask = |slot| {
        let pool = in_use(grounds, slot)?;
        pool.e2_size?;
        Some(!pool.version_mask.is_none())
    };
    let is_missing = has_mask(slot) == Some(false) && has_mask(slot.other()) == Some(true);
    is_missing.then(|| Alert {
        id: format!("mask_missing:{slot}"),
        level: Level::Warning,
        title: format!("{name} does not allow version rolling"),
        text: format!(
            "{} does. If a miner rolls the version anyway, DPMP blocks its shares for {name}.",
            grounds.pool_name(slot.other())
        ),
        action:
            "If shares are blocked for this reason, use two pools that both allow version rolling."
                .into(),
        at_ms: None,
        dismissable: true,
    })
}

pub(super) fn cannot_share(grounds: &Grounds<'_>, slot: PoolSlot) -> Option<Alert> {
    let name = grounds.pool_name(slot);
    let bytes = in_use(grounds, slot)?.cannot_share?;
    Some(Alert {
        id: format!("cannot_share:{slot}"),
        level: Level::Warning,
        title: format!("Miners cannot share connections to {name}"),
        text: format!(
            "The smallest extranonce2 of your pools and their backups has {bytes} bytes, but sharing needs 3. So each \
             miner uses its own connection."
        ),
        action: "Use pools and backups with 3 bytes or more, or set connections to own.".into(),
        at_ms: None,
        dismissable: true,
    })
}

pub(super) fn many_connections(grounds: &Grounds<'_>, slot: PoolSlot) -> Option<Alert> {
    let name = grounds.pool_name(slot);
    let pool = in_use(grounds, slot)?;
    let config = grounds.moment.config.pools[slot].as_ref()?;
    let is_many = config.most_members().is_none() && pool.connected_miners > MANY_MINERS;
    is_many.then(|| Alert {
        id: format!("many_connections:{slot}"),
        level: Level::Info,
        title: format!("{} connections to {name}", pool.connections),
        text: format!(
            "Each of {} miners has its own. {} shared connections would be enough.",
            pool.connected_miners,
            pool.connected_miners.div_ceil(config.miners_per_connection)
        ),
        action: format!(
            "Set pools.{slot}.connections to shared, unless you need each worker on the pool's page."
        ),
        at_ms: None,
        dismissable: true,
    })
}

pub(super) fn any_certificate(grounds: &Grounds<'_>, slot: PoolSlot) -> Option<Alert> {
    let name = grounds.pool_name(slot);
    in_use(grounds, slot)?;
    let pool = grounds.moment.config.pools[slot].as_ref()?;
    (pool.tls.trust() == Some(Trust::Anyone)).then(|| Alert {
        id: format!("any_certificate:{slot}"),
        level: Level::Warning,
        title: format!("{name}'s certificate is not checked"),
        text: "DPMP accepts any certificate. Anyone between DPMP and the pool can pretend to be the pool and take \
               your work."
            .into(),
        action: format!(
            "Set pools.{slot}.tls_insecure to false. If the pool has a self-signed certificate, enter its fingerprint."
        ),
        at_ms: None,
        dismissable: true,
    })
}
