//! Looks at a pool's addresses: short test connections on which no miner works. A look takes one connection, or two
//! simultaneous ones if it has to find out whether they get different extranonce1.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::core::action::DialTarget;
use crate::core::pool::facts::PoolFacts;
use crate::stratum::job::Notify;
use crate::units::LineId;

/// How long miners wait for the survey before they get their extranonces.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many looks are remembered. Beyond that, old ones may be repeated.
const MOST_LOOKS: usize = 256;

/// A look at one address that is under way.
#[derive(Debug)]
pub struct AddressLook {
    /// Host and port.
    pub address: String,
    /// The address that its connections dial.
    pub target: Arc<DialTarget>,
    /// The lines of its connections.
    pub lines: Vec<LineId>,
    /// What is known about the address.
    pub facts: PoolFacts,
    /// Its latest job.
    pub latest: Option<Arc<Notify>>,
}

/// A look that is under way at whether a pool takes several names.
#[derive(Debug)]
pub struct NamesLook {
    /// Its line.
    pub line: LineId,
    /// The second name, which is some miner's.
    pub name: Arc<str>,
}

/// The looks at all of a pool's addresses, including backups, one after another.
#[derive(Debug, Default)]
pub struct Survey {
    /// The look that is under way.
    pub look: Option<AddressLook>,
    /// When the current round of looks began.
    since: Option<Instant>,
    /// The addresses that were tested since the start, and whether with two connections.
    looked: BTreeSet<(String, bool)>,
}

impl Survey {
    /// Whether miners that subscribe now should wait for the answer.
    pub fn holds_up(&self, now: Instant) -> bool {
        self.patience_ends().is_some_and(|until| now < until)
    }

    /// How long they wait.
    pub fn patience_ends(&self) -> Option<Instant> {
        self.look.as_ref()?;
        self.since?.checked_add(PATIENCE)
    }

    /// Whether an address was tested in this way.
    pub fn has_looked(&self, address: &str, pair: bool) -> bool {
        self.looked.contains(&(address.to_owned(), pair))
    }

    /// Starts a look.
    pub fn begin(&mut self, look: AddressLook, now: Instant) {
        self.since.get_or_insert(now);
        if self.looked.len() >= MOST_LOOKS {
            self.looked.clear();
        }
        self.looked
            .insert((look.address.clone(), look.lines.len() > 1));
        self.look = Some(look);
    }

    /// The round is over.
    pub fn rest(&mut self) {
        self.since = None;
    }
}
