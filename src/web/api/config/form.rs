//! The sections of the settings form, in their order, and which settings come first.

use serde_json::{Value, json};

/// A section: its path, its title and a sentence about it, in the order of the form.
const SECTIONS: [(&str, &str, &str); 14] = [
    ("pools.A", "Pool A", ""),
    ("pools.B", "Pool B", ""),
    ("saved_pools", "Saved pools", ""),
    (
        "scheduler",
        "Split",
        "70 and 30 give the same split as 7 and 3.",
    ),
    (
        "workers",
        "Workers",
        "What individual miners do, by worker name.",
    ),
    (
        "groups",
        "Groups",
        "What miners with matching worker names do.",
    ),
    (
        "timetable",
        "Timetable",
        "What all other miners do at certain times of the week.",
    ),
    (
        "balance",
        "Balance",
        "Shifts the split toward the pool where a hash earns more.",
    ),
    (
        "downstream_diff",
        "Share difficulty",
        "Pools set the difficulty themselves. Leave this empty unless you know that you need it.",
    ),
    (
        "listen",
        "Miners",
        "Where miners connect, and limits that protect DPMP from mistakes and strangers.",
    ),
    ("logging", "Log", "What DPMP logs, and where."),
    ("gui", "Web pages", "The password has its own section."),
    ("metrics", "Metrics", "Metrics for Prometheus."),
    ("notify", "Notifications", ""),
];

/// Settings that most owners change; the pools' settings without the slot.
const EVERYDAY: [&str; 12] = [
    "name",
    "host",
    "port",
    "tls",
    "backups",
    "wallet",
    "user_name",
    "chain",
    "password",
    "scheduler.mode",
    "scheduler.poolA_weight",
    "scheduler.poolB_weight",
];

/// Settings with a place outside the form.
const ELSEWHERE: [&str; 4] = [
    "gui.password_hash",
    "gui.tokens",
    "notify.targets",
    "saved_pools",
];

/// The sections for a client.
pub(super) fn sections() -> Value {
    let section = |(path, title, note)| json!({"path": path, "title": title, "note": note});
    SECTIONS.into_iter().map(section).collect()
}

/// The path of the section that shows a key; empty if there is none.
pub(super) fn section_of(path: &str) -> &'static str {
    let is_its = |section: &&str| {
        let rest = path.strip_prefix(section);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let mut paths = SECTIONS.iter().map(|(path, ..)| *path);
    paths.find(is_its).unwrap_or_default()
}

/// Whether most owners change it; `None`: it has a place outside the form.
pub(super) fn is_everyday(path: &str) -> Option<bool> {
    let everyday =
        EVERYDAY.contains(&path) || of_pool(path).is_some_and(|it| EVERYDAY.contains(&it));
    (!ELSEWHERE.contains(&path)).then_some(everyday)
}

/// A short explanation for the set-up.
pub(super) fn hint(path: &str) -> Option<&'static str> {
    Some(match of_pool(path)? {
        "host" => {
            "Such as stratum.pool.com. You can paste it with stratum+tcp:// or stratum+ssl:// in front."
        }
        "port" => "The number after the colon.",
        "wallet" => "Your payout address, or the name of your account there.",
        "tls" => "Turn this on if the port is for encrypted connections.",
        "tls_fingerprint" => "Only for a pool with a self-signed certificate.",
        "name" => "What you call it.",
        "chain" => "Such as BTC.",
        "user_name" => "How the pool names your miners. Most pools want {wallet}.{worker}.",
        "password" => "Most pools need none.",
        _ => return None,
    })
}

/// The name of a pool's setting without its slot.
fn of_pool(path: &str) -> Option<&str> {
    let (_slot, name) = path.strip_prefix("pools.")?.split_once('.')?;
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::key_infos;

    #[test]
    fn every_key_named_in_the_form_exists() {
        let is_key =
            |name: &str| key_infos().any(|key| key.path == name || of_pool(key.path) == Some(name));
        for name in EVERYDAY {
            assert!(is_key(name), "{name}");
        }
        for name in ELSEWHERE {
            assert!(is_key(name), "{name}");
        }
        for key in key_infos() {
            assert_ne!(section_of(key.path), "", "{}", key.path);
        }
    }

    #[test]
    fn every_key_has_a_place_in_the_form() {
        assert_eq!(section_of("pools.A.tls"), "pools.A");
        assert_eq!(section_of("workers"), "workers");
        assert_eq!(is_everyday("pools.A.host"), Some(true));
        assert_eq!(is_everyday("listen.host"), Some(false));
        assert_eq!(is_everyday("gui.tokens"), None);
    }
}
