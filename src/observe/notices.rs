//! Recent problems other than with mining, for the pages. In the log they would be hidden among thousands of lines.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::config::StartTrouble;
use crate::core::fact::{Fact, Limit};
use crate::units::PoolSlot;

/// A kind of problem that the owner must know about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// Saved data could not be read or written.
    State,
    /// Log lines were dropped.
    Log,
    /// Log files cannot be written.
    LogFiles,
    /// Miners could not be accepted.
    Accept,
    /// Miners could not get their own connection to a pool.
    NoOwnConnection,
    /// The configuration file was changed, but cannot be used.
    Config,
    /// Something could not be used at the start, and DPMP runs without it.
    Start,
    /// A pool is not used, because one of its settings could not be used at the start.
    PoolSetting(PoolSlot),
    /// A pool wanted to send miners elsewhere.
    Redirect(PoolSlot),
    /// Miners were turned away because there were too many from one address.
    MinersPerAddress,
    /// Miners were turned away because there were too many in all.
    Miners,
    /// A pool's first address is not used.
    Backup(PoolSlot),
}

/// The last time that it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// When, in milliseconds since 1970.
    pub unix_ms: u64,
    /// What happened, in the words of the log.
    pub text: String,
}

/// The last problem of each kind, until it is over or was seen.
#[derive(Debug, Default)]
pub struct Notices {
    troubles: Mutex<BTreeMap<Trouble, Notice>>,
}

impl Notices {
    /// Notes a fact if it begins or ends a problem.
    pub fn note(&self, fact: &Fact, unix_ms: u64) {
        if matches!(fact, Fact::ConfigApplied { .. } | Fact::ConfigUsable) {
            for over in [
                Trouble::Config,
                Trouble::Start,
                Trouble::PoolSetting(PoolSlot::A),
                Trouble::PoolSetting(PoolSlot::B),
            ] {
                self.forget(over);
            }
        }
        if let Fact::PoolFailover {
            slot, backup: 0, ..
        } = fact
        {
            self.forget(Trouble::Backup(*slot));
            return;
        }
        let Some((trouble, text)) = trouble(fact) else {
            return;
        };
        self.troubles
            .lock()
            .insert(trouble, Notice { unix_ms, text });
    }

    /// Notes what could not be used at the start.
    pub fn note_start(&self, troubles: &[StartTrouble], unix_ms: u64) {
        let mut noted = self.troubles.lock();
        for StartTrouble { pool, text } in troubles {
            let trouble = pool.map_or(Trouble::Start, Trouble::PoolSetting);
            noted
                .entry(trouble)
                .and_modify(|notice| {
                    notice.text.push('\n');
                    notice.text.push_str(text);
                })
                .or_insert_with(|| Notice {
                    unix_ms,
                    text: text.clone(),
                });
        }
    }

    /// All of them.
    pub fn all(&self) -> BTreeMap<Trouble, Notice> {
        self.troubles.lock().clone()
    }

    /// The owner has seen it.
    pub fn forget(&self, trouble: Trouble) {
        self.troubles.lock().remove(&trouble);
    }
}

fn trouble(fact: &Fact) -> Option<(Trouble, String)> {
    if let Fact::StateProblem { problem } = fact {
        Some((Trouble::State, problem.clone()))
    } else if let Fact::LogDropped { lines } = fact {
        Some((Trouble::Log, format!("{lines} lines were lost")))
    } else if let Fact::AcceptFailed { error } = fact {
        Some((Trouble::Accept, error.clone()))
    } else if let Fact::PoolLost { reason, .. } = fact {
        reason
            .lacks_room()
            .map(|why| (Trouble::NoOwnConnection, why.to_owned()))
    } else if let Fact::ConfigRefused { problem } = fact {
        Some((Trouble::Config, problem.clone()))
    } else if let Fact::PoolRedirectRefused { conn, host, .. } = fact {
        let trouble = Trouble::Redirect(conn.slot);
        Some((trouble, format!("to {host}")))
    } else if let Fact::PoolFailover { slot, why, .. } = fact {
        Some((Trouble::Backup(*slot), why.text()))
    } else if let Fact::LimitReached { peer, limit, .. } = fact {
        let trouble = match limit {
            Limit::Miners => Trouble::Miners,
            Limit::MinersPerAddress => Trouble::MinersPerAddress,
            Limit::SubmitsPerSecond | Limit::OutboxFull | Limit::LineLength => return None,
        };
        Some((trouble, peer.ip().to_string()))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::event::Source;

    #[test]
    fn a_trouble_stays_until_it_is_over_or_dismissed() {
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
            source: Source::File,
        };
        notices.note(&applied, 5);
        assert!(!notices.all().contains_key(&Trouble::Config));
        notices.forget(Trouble::Log);
        assert!(notices.all().is_empty());
    }
}
