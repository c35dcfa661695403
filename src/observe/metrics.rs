//! Metrics for Prometheus: counters that follow the facts, and gauges that are read from the published state on each
//! request.
//!
//! All combinations of labels exist from the start with 0, so that a rate includes the first event. Peers cannot choose
//! label values, except for the names of workers, whose number is limited. The metrics are documented in
//! `docs/metrics.md`; a test compares both.

mod counters;
mod gauges;
mod make;

use std::fmt;
use std::time::Duration;

use parking_lot::Mutex;
#[cfg(target_os = "linux")]
use prometheus::process_collector::ProcessCollector;
use prometheus::{Registry, TEXT_FORMAT, TextEncoder};

use self::counters::{Miners, Pools, Program, Shares, Traffic};
use self::gauges::State;
use self::make::Make;
use crate::core::fact::Fact;
use crate::core::snapshot::Snapshot;
use crate::trouble::Alert;
use crate::units::{PerPool, named};

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = TEXT_FORMAT;

named! {
    /// The side of the proxy that a connection is on.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Side {
        /// Miners.
        Downstream = "downstream",
        /// Pools.
        Upstream = "upstream",
    }
}

/// All metrics of the process. Counting frequent events takes no lock.
pub struct Metrics {
    registry: Registry,
    traffic: Traffic,
    shares: Shares,
    miners: Miners,
    pools: Pools,
    program: Program,
    state: State,
    /// Held while the gauges are set and read, so that two simultaneous scrapes do not mix.
    scrape: Mutex<()>,
}

impl Metrics {
    /// All metrics at zero.
    ///
    /// # Errors
    /// Never, if the names below are valid and differ, which the tests see to.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        // The resources that the process uses. Only available on Linux.
        #[cfg(target_os = "linux")]
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let make = Make(&registry);
        let state = State::new(&make)?;
        state.show_troubles(&[]);
        Ok(Self {
            traffic: Traffic::new(&make)?,
            shares: Shares::new(&make)?,
            miners: Miners::new(&make)?,
            pools: Pools::new(&make)?,
            program: Program::new(&make)?,
            state,
            scrape: Mutex::new(()),
            registry,
        })
    }

    /// Counts a line that was read from a peer.
    pub fn line_read(&self, side: Side) {
        self.traffic.read.of(side).inc();
    }

    /// Counts lines that were written to a peer.
    pub fn lines_written(&self, side: Side, count: u32) {
        self.traffic.written.of(side).inc_by(count.into());
    }

    /// Counts lines that the log or standard output had no room for.
    pub fn lines_dropped(&self, count: u64) {
        self.program.log_dropped.inc_by(count);
    }

    /// Records how long the scheduler was busy with one input and, if it was read from a peer, how long it had waited.
    pub fn turn(&self, duration: Duration, lag: Option<Duration>) {
        self.program.turn.observe(duration.as_secs_f64());
        if let Some(lag) = lag {
            self.program.lag.observe(lag.as_secs_f64());
        }
    }

    /// Records the chance of a block in a day for each pool, as far as it is known.
    pub fn chances(&self, chances: &PerPool<Option<f64>>) {
        self.state.show_chances(chances);
    }

    /// Records the alerts that are shown now.
    pub fn troubles(&self, alerts: &[Alert]) {
        self.state.show_troubles(alerts);
    }

    /// Counts a fact.
    pub fn record(&self, fact: &Fact) {
        match fact {
            Fact::MinerConnected { .. } => self.miners.connected.inc(),
            Fact::MinerRefused { .. } => self.miners.refused.inc(),
            Fact::MinerTurnedAway { reason, .. } => self.miners.turned_away(reason).inc(),
            Fact::MinerDisconnected { unanswered, .. } => {
                let unanswered = u64::try_from(*unanswered).unwrap_or(u64::MAX);
                self.shares.submitted.inc_by(unanswered);
                self.shares.unanswered.inc_by(unanswered);
            }
            Fact::MinerMessageBad { .. } => self.traffic.malformed.of(Side::Downstream).inc(),
            Fact::MinerIdle { .. } => self.miners.idle.inc(),
            Fact::LimitReached { limit, .. } => self.miners.limit(*limit).inc(),
            Fact::PoolLost { conn, .. } => self.pools.losses[conn.slot].inc(),
            Fact::PoolDown { slot, .. } => self.pools.outages[*slot].inc(),
            Fact::PoolMessageBad { .. } => self.traffic.malformed.of(Side::Upstream).inc(),
            Fact::PoolRedirectRefused { conn, .. } => self.pools.redirects[conn.slot].inc(),
            Fact::JobReceived { conn, .. } => self.pools.jobs_received[conn.slot].inc(),
            Fact::JobForwarded { slot, delay, .. } => {
                self.pools.jobs_forwarded[*slot].inc();
                if let Some(delay) = delay {
                    self.pools.job_delay.observe(delay.as_secs_f64());
                }
            }
            Fact::PoolSwitched { to, cause, .. } => self.pools.switched(*to, *cause),
            Fact::ShareResult(share) => self.shares.record(share),
            Fact::BlockFound { slot, .. } => self.shares.blocks[*slot].inc(),
            Fact::ConfigApplied { .. } => self.program.config_applied.inc(),
            Fact::ConfigRefused { .. } => self.program.config_refused.inc(),
            Fact::AcceptFailed { .. } => self.program.accept_failures.inc(),
            Fact::MessageSent { kind, .. } => self.program.message(kind, true),
            Fact::MessageFailed { kind, .. } => self.program.message(kind, false),
            Fact::StateProblem { .. } => self.program.state_problems.inc(),
            // These are covered by a gauge or a histogram, or counted where they happen.
            Fact::MinerAuthorized { .. }
            | Fact::WorkerPaused { .. }
            | Fact::WorkerResumed { .. }
            | Fact::OverrideSet { .. }
            | Fact::OverrideEnded { .. }
            | Fact::TimetableChanged { .. }
            | Fact::BalanceMoved { .. }
            | Fact::ExtranonceChanged { .. }
            | Fact::ExtranonceSizeLearnt { .. }
            | Fact::MinerLags { .. }
            | Fact::PoolLearnt { .. }
            | Fact::VersionForm { .. }
            | Fact::KeptBlock { .. }
            | Fact::JobShared { .. }
            | Fact::MembersSwitched { .. }
            | Fact::SharesLost { .. }
            | Fact::PoolDialing { .. }
            | Fact::PoolReady { .. }
            | Fact::PoolUp { .. }
            | Fact::PoolNoJob { .. }
            | Fact::PoolFailover { .. }
            | Fact::PoolMessage { .. }
            | Fact::PoolReconnect { .. }
            | Fact::ConfigUsable
            | Fact::ConfigWarning { .. }
            | Fact::LoggedIn { .. }
            | Fact::LoginRefused { .. }
            | Fact::TokenMade { .. }
            | Fact::TokenRevoked { .. }
            | Fact::TokenRefused { .. }
            | Fact::Started { .. }
            | Fact::TroubleBegan { .. }
            | Fact::TroubleOver { .. }
            | Fact::Stopping
            | Fact::Stopped { .. }
            | Fact::SlowTurn { .. }
            | Fact::Panicked { .. }
            | Fact::LogDropped { .. } => (),
        }
    }

    /// Everything, in the text format of Prometheus; `snapshot` is the newest state.
    ///
    /// # Errors
    /// Never in practice: text is written into memory.
    pub fn render(&self, snapshot: &Snapshot) -> prometheus::Result<String> {
        let _scrape = self.scrape.lock();
        self.state.show(snapshot);
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
