//! Messages that were sent or that wait, for the pages.

use std::collections::VecDeque;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::notify::plan::Message;
use crate::units::named;

/// How many messages are remembered after they were sent or abandoned.
const MOST: usize = 100;

named! {
    /// The result of a message.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Fate {
        /// The service has accepted it.
        Sent = "sent",
        /// It was abandoned.
        Failed = "failed",
        /// It is waiting to be sent.
        Waits = "waits",
    }
}

/// A message to one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When it was sent or abandoned, or, if it is waiting, when the event happened, in milliseconds since 1970.
    pub at_ms: u64,
    /// The target's name.
    pub target: String,
    /// The alert's id.
    pub id: String,
    /// The message's title.
    pub title: String,
    /// Its result.
    pub fate: Fate,
    /// Why the last attempt failed, without secrets.
    pub problem: Option<String>,
}

impl Record {
    pub(super) fn new(
        target: &str,
        message: &Message,
        fate: Fate,
        problem: Option<String>,
    ) -> Self {
        Self {
            at_ms: message.at_ms,
            target: target.to_owned(),
            id: message.id.clone(),
            title: message.title.clone(),
            fate,
            problem,
        }
    }
}

/// Messages that were sent or abandoned, newest last. It is kept across restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Done(VecDeque<Record>);

impl Done {
    pub(super) fn add(&mut self, record: Record) {
        self.0.push_back(record);
        if self.0.len() > MOST {
            self.0.pop_front();
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.0.iter()
    }
}

/// What the pages show.
#[derive(Debug, Default)]
pub struct Journal(Mutex<Vec<Record>>);

impl Journal {
    /// Waiting messages, followed by the others, newest first.
    pub fn records(&self) -> Vec<Record> {
        self.0.lock().clone()
    }

    pub(super) fn set(&self, mut records: Vec<Record>) {
        records.sort_by_key(|it| std::cmp::Reverse((it.fate == Fate::Waits, it.at_ms)));
        records.truncate(MOST);
        *self.0.lock() = records;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(at_ms: u64, fate: Fate) -> Record {
        Record {
            at_ms,
            target: "phone".to_owned(),
            id: "no_miner".to_owned(),
            title: at_ms.to_string(),
            fate,
            problem: None,
        }
    }

    #[test]
    fn the_newest_entries_are_kept_and_waiting_ones_come_first() {
        let mut done = Done::default();
        for at in 0..150 {
            done.add(record(at, Fate::Sent));
        }
        assert_eq!(done.iter().count(), MOST);
        let journal = Journal::default();
        journal.set(
            done.iter()
                .cloned()
                .chain([record(3, Fate::Waits)])
                .collect(),
        );
        let records = journal.records();
        assert_eq!(records.len(), MOST);
        assert_eq!((records[0].at_ms, records[0].fate), (3, Fate::Waits));
        assert_eq!((records[1].at_ms, records[99].at_ms), (149, 51));
    }
}
