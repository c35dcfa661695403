//! What went wrong lately besides mining, for the pages: the log has it among thousands of other lines.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::core::fact::Fact;
use crate::units::PoolSlot;

/// A kind of trouble that an owner has to know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// What is remembered could not be read or written.
    State,
    /// Log lines were dropped.
    Log,
    /// Log files cannot be written.
    LogFiles,
    /// Miners could not be accepted.
    Accept,
    /// The configuration file was changed to something unusable.
    Config,
    /// A pool wanted to send miners elsewhere.
    Redirect(PoolSlot),
}

/// The last time that it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// When, in milliseconds since 1970.
    pub unix_ms: u64,
    /// What, in the words of the log.
    pub text: String,
}

/// The last trouble of each kind, until it is over or was seen.
#[derive(Debug, Default)]
pub struct Notices(Mutex<BTreeMap<Trouble, Notice>>);

impl Notices {
    /// Takes note of a fact, if it is trouble, or the end of it.
    pub fn note(&self, fact: &Fact, unix_ms: u64) {
        if matches!(fact, Fact::ConfigApplied { .. } | Fact::ConfigUsable) {
            self.forget(Trouble::Config);
        }
        let Some((trouble, text)) = trouble(fact) else {
            return;
        };
        self.0.lock().insert(trouble, Notice { unix_ms, text });
    }

    /// All of them.
    pub fn all(&self) -> BTreeMap<Trouble, Notice> {
        self.0.lock().clone()
    }

    /// Somebody has seen it.
    pub fn forget(&self, trouble: Trouble) {
        self.0.lock().remove(&trouble);
    }
}

fn trouble(fact: &Fact) -> Option<(Trouble, String)> {
    if let Fact::StateProblem { problem } = fact {
        Some((Trouble::State, problem.clone()))
    } else if let Fact::LogDropped { lines } = fact {
        Some((Trouble::Log, format!("{lines} lines were lost")))
    } else if let Fact::AcceptFailed { error } = fact {
        Some((Trouble::Accept, error.clone()))
    } else if let Fact::ConfigRefused { problem } = fact {
        Some((Trouble::Config, problem.clone()))
    } else if let Fact::PoolRedirectRefused { conn, host } = fact {
        let trouble = Trouble::Redirect(conn.slot);
        Some((trouble, format!("to {host}")))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::fact::Source;

    #[test]
    fn trouble_stays_until_it_is_over_or_seen() {
        let notices = Notices::default();
        notices.note(&Fact::Stopping, 1);
        assert!(notices.all().is_empty());
        let problem = "not JSON".to_owned();
        notices.note(&Fact::ConfigRefused { problem }, 2);
        notices.note(&Fact::LogDropped { lines: 3 }, 3);
        notices.note(&Fact::LogDropped { lines: 4 }, 4);
        let all = notices.all();
        assert_eq!(all[&Trouble::Config].text, "not JSON");
        assert_eq!(all[&Trouble::Log].unix_ms, 4);
        let applied = Fact::ConfigApplied {
            changes: vec![],
            payout: false,
            source: Source::File,
        };
        notices.note(&applied, 5);
        assert!(!notices.all().contains_key(&Trouble::Config));
        notices.forget(Trouble::Log);
        assert!(notices.all().is_empty());
    }
}
