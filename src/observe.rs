//! Everything that can be seen from outside: log lines and metrics, both made from the same [`Fact`]s.
//!
//! [`event`] gives every fact its name, level and fields, [`log`] writes them, [`tail`] keeps the newest lines,
//! [`metrics`] counts them, [`notices`] keeps recent problems, and [`latest`] holds the newest snapshot. Nothing is
//! decided here, and HTTP is served in [`web`](crate::web).

pub mod event;
pub mod latest;
pub mod log;
pub mod metrics;
pub mod notices;
pub mod tail;
pub mod wallet;

pub(crate) mod time;

#[cfg(test)]
pub(crate) mod samples;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::core::fact::Fact;
use crate::observe::log::LogHandle;
use crate::observe::metrics::Metrics;
use crate::observe::notices::{Notice, Notices, Trouble};
use crate::system::clock;
use crate::units::Now;

/// Passes every fact to the log, the metrics and the notices. It never waits and does no I/O.
#[derive(Clone, Debug)]
pub struct Observer {
    /// The log.
    pub log: LogHandle,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Recent problems.
    pub notices: Arc<Notices>,
}

impl Observer {
    /// Counts a fact and logs it, unless there are too many of its kind. `now`: when it happened.
    pub fn observe(&self, fact: &Fact, now: Now) {
        self.metrics.record(fact);
        self.notices.note(fact, now.unix_ms);
        if !self.log.tell(fact, now) {
            self.metrics.lines_dropped(1);
        }
    }

    /// Recent and ongoing problems.
    pub fn troubles(&self) -> BTreeMap<Trouble, Notice> {
        self.metrics.lines_dropped(self.log.take_unprinted());
        if let Some(lines) = self.log.new_loss() {
            let now = clock::now().unix_ms;
            self.notices.note(&Fact::LogDropped { lines }, now);
        }
        let mut troubles = self.notices.all();
        let log_files = self.log.file_problem();
        troubles.extend(log_files.map(|notice| (Trouble::LogFiles, notice)));
        troubles
    }
}
