//! What each worker is to do now, of all that the owner has said: whether it mines, and for whom.
//!
//! - A worker pauses if a temporary change, its own setting, its group's or the timetable says so. A temporary change
//!   to mine lifts the timetable's pause only.
//! - Whom it works for is said by the first of these that says anything else: its own setting, its group's, a temporary
//!   change, the timetable, the balance, the usual split.
//! - What the clock decides comes in as data: which entry of the timetable is in force, and whether the clock is to be
//!   believed.

use serde::{Deserialize, Serialize};

use crate::config::steering::Work;
use crate::units::named;

/// All workers, where names of workers are listed.
pub const ALL_WORKERS: &str = "*";

/// A temporary change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Override {
    /// What is to be done.
    pub work: Work,
    /// By which workers; [`ALL_WORKERS`] alone: by all. Never empty, sorted.
    pub workers: Vec<String>,
    /// Until when, in milliseconds since 1970; `None`: until the owner changes it.
    pub until_ms: Option<u64>,
    /// Since when, in milliseconds since 1970.
    pub set_ms: u64,
    /// Who wanted it.
    pub by: String,
}

named! {
    /// Which of the owner's words decides.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Source {
        /// The worker's own setting.
        Worker = "worker",
        /// Its group's.
        Group = "group",
        /// A temporary change.
        Override = "override",
        /// The timetable.
        Timetable = "timetable",
        /// What a hash earns.
        Balance = "balance",
        /// The usual split.
        Usual = "usual",
    }
}

/// What a worker is to do now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Aim {
    /// What.
    pub work: Work,
    /// Why.
    pub source: Source,
    /// Until when it is known to be so, in milliseconds since 1970; `None`: until something is changed.
    pub until_ms: Option<u64>,
}

/// What the timetable says now, as it comes in.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TimetableNow {
    /// The entry in force, counted from 0, and what it says.
    pub entry: Option<(usize, Work)>,
    /// When the answer changes next, in milliseconds since 1970, up to 8 days ahead.
    pub until_ms: Option<u64>,
    /// What it will be then.
    pub next: Option<Work>,
    /// Whether the clock is not to be believed: then the timetable and the ends of temporary changes wait.
    pub clock_is_wrong: bool,
}
