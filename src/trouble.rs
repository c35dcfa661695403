//! The catalog of troubles: their names and levels, when they begin and end, and what they mean.
//!
//! Home's notices, messages to the owner, log events and `docs/troubles.md` share it. The texts about a specific case
//! are written where it is found (`web/api/alerts`).
//!
//! - One cause makes one notice: a trouble that only follows from another one is left out while that one lasts.
//! - To add a trouble, add an entry here and a row to the docs. Tests compare both with what is found.

mod catalogue;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use self::catalogue::CATALOGUE;

use crate::units::PoolSlot;

/// A current problem, as text for the owner.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alert {
    /// Its name and, after colons, what distinguishes it from other alerts of the same kind: the pool, the worker, the
    /// time of an event.
    pub id: String,
    /// How serious it is.
    pub level: Level,
    /// What is wrong, in a few words.
    pub title: String,
    /// More about it.
    pub text: String,
    /// What to do.
    pub action: String,
    /// When it began, in milliseconds since 1970, if that is known.
    pub at_ms: Option<u64>,
    /// Whether it can be dismissed.
    pub dismissable: bool,
}

impl Alert {
    /// Its entry in the catalog.
    pub fn kind(&self) -> Option<&'static Kind> {
        kind(&self.id)
    }
}

/// How serious an alert is, most serious first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Money is being lost, or may be.
    Error,
    /// Something is wrong.
    Warning,
    /// Good news.
    Good,
    /// Information.
    Info,
}

impl Level {
    /// All levels, most serious first.
    pub const ALL: [Self; 4] = [Self::Error, Self::Warning, Self::Good, Self::Info];

    /// As it is written in the API and the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Good => "good",
            Self::Info => "info",
        }
    }
}

/// When a message about an alert is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Push {
    /// As soon as it is found.
    AtOnce,
    /// Once it has lasted for two minutes.
    Later,
    /// Never: it is for the pages only.
    Never,
}

/// A kind of alert.
#[derive(Debug)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// How serious it is.
    pub level: Level,
    /// When a message is sent.
    pub push: Push,
    /// Alerts that it follows from. It is left out while one of them lasts at the same pool, or everywhere.
    pub follows: &'static [&'static str],
    /// When it begins.
    pub begins: &'static str,
    /// When it is over.
    pub over: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// What to do.
    pub action: &'static str,
}

/// The name of an alert's kind, from its id.
pub fn name(id: &str) -> &str {
    let name = id.split(':').next().unwrap_or(id);
    // In these, the pool is part of the first word.
    name.strip_suffix("_A")
        .or_else(|| name.strip_suffix("_B"))
        .unwrap_or(name)
}

/// The catalog's entry for the alert with this id.
pub fn kind(id: &str) -> Option<&'static Kind> {
    let name = name(id);
    CATALOGUE.iter().find(|kind| kind.name == name)
}

/// The pool that an id is about.
pub fn pool(id: &str) -> Option<PoolSlot> {
    let part = id.split(':').nth(1)?;
    PoolSlot::ALL
        .into_iter()
        .find(|slot| slot.to_string() == part)
}

/// Removes alerts that only follow from another one, and returns their ids.
pub fn one_notice_a_cause(alerts: &mut Vec<Alert>) -> BTreeSet<String> {
    let mut hidden = BTreeSet::new();
    let there: Vec<String> = alerts.iter().map(|alert| alert.id.clone()).collect();
    alerts.retain(|alert| {
        let Some(kind) = alert.kind() else {
            return true;
        };
        let is_cause = |other: &String| {
            let same_place = pool(other).is_none() || pool(other) == pool(&alert.id);
            kind.follows.contains(&name(other)) && same_place
        };
        let stays = !there.iter().any(is_cause);
        if !stays {
            hidden.insert(alert.id.clone());
        }
        stays
    });
    hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCS: &str = include_str!("../docs/troubles.md");

    /// The docs' section about a kind.
    fn documented(kind: &Kind) -> String {
        let level = match kind.level {
            Level::Error => "Error",
            Level::Warning => "Warning",
            Level::Info => "Info",
            Level::Good => "Good",
        };
        let message = match kind.push {
            Push::AtOnce => " Immediate message.",
            Push::Later => "",
            Push::Never => " No message.",
        };
        format!(
            "### `{}`\n\n{level}.{message} {}\n\n- Begins {}\n- Ends {}\n- {}\n",
            kind.name, kind.meaning, kind.begins, kind.over, kind.action
        )
    }

    #[test]
    fn the_docs_list_every_trouble() {
        let parts: Vec<_> = CATALOGUE.iter().map(documented).collect();
        let expected = parts.join("\n");
        let (_, found) = DOCS.split_once("## All problems\n\n").unwrap();
        assert!(
            found == expected,
            "docs/troubles.md must end with:\n{expected}"
        );
    }

    #[test]
    fn trouble_names_differ_and_their_causes_exist() {
        let names: BTreeSet<_> = CATALOGUE.iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), CATALOGUE.len());
        for kind in CATALOGUE {
            assert!(
                kind.follows.iter().all(|cause| names.contains(cause)),
                "{}",
                kind.name
            );
            assert!(!kind.follows.contains(&kind.name));
        }
    }

    #[test]
    fn the_name_is_the_part_before_the_case() {
        assert_eq!(name("pool_down:A"), "pool_down");
        assert_eq!(name("redirect_B:17"), "redirect");
        assert_eq!(name("no_miner"), "no_miner");
    }
}
