//! The names of events, and how important each is.

use std::fmt;

use ::log::Level;

use crate::config::Change;
use crate::core::fact::{Fact, SwitchCause, TurnedAway};

macro_rules! names {
    ($($name:ident $text:literal,)*) => {
        /// The name of an event, by which lines are found and filtered.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "each is documented in docs/events.md, which a test compares")]
        pub enum Name { $($name,)* }

        impl Name {
            /// All of them, in the order of the docs.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// As it stands in a line and in `logging.allow` and `logging.deny`.
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The bit that stands for this name in a set of names.
            pub(in crate::observe) fn bit(self) -> u64 {
                let place = Self::ALL.iter().position(|name| *name == self);
                place.map_or(0, |place| 1 << place)
            }
        }
    };
}

names! {
    Started "started",
    Stopping "stopping",
    Stopped "stopped",
    MinerConnected "miner_connected",
    MinerAuthorized "miner_authorized",
    MinerRefused "miner_refused",
    MinerTurnedAway "miner_turned_away",
    MinerDisconnected "miner_disconnected",
    MinerIdle "miner_idle",
    MinerMessageBad "miner_message_bad",
    LimitReached "limit_reached",
    ExtranonceChanged "extranonce_changed",
    ExtranonceSizeLearnt "extranonce_size_learnt",
    MinerLags "miner_lags",
    PoolLearnt "pool_learnt",
    PoolDialing "pool_dialing",
    PoolReady "pool_ready",
    PoolLost "pool_lost",
    PoolUp "pool_up",
    PoolDown "pool_down",
    PoolNoJob "pool_no_job",
    PoolFailover "pool_failover",
    PoolMessage "pool_message",
    PoolMessageBad "pool_message_bad",
    PoolReconnect "pool_reconnect",
    PoolRedirectRefused "pool_redirect_refused",
    VersionForm "version_form",
    JobReceived "job_received",
    JobForwarded "job_forwarded",
    PoolSwitched "pool_switched",
    ShareResult "share_result",
    BlockFound "block_found",
    KeptBlock "kept_block",
    ConfigApplied "config_applied",
    ConfigRefused "config_refused",
    ConfigUsable "config_usable",
    ConfigWarning "config_warning",
    LoggedIn "login",
    LoginRefused "login_refused",
    StateProblem "state_problem",
    AcceptFailed "accept_failed",
    SlowTurn "slow_turn",
    Panicked "panicked",
    LogDropped "log_dropped",
    LibraryMessage "library_message",
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// The name of a fact.
pub fn name(fact: &Fact) -> Name {
    match fact {
        Fact::MinerConnected { .. } => Name::MinerConnected,
        Fact::MinerAuthorized { .. } => Name::MinerAuthorized,
        Fact::MinerRefused { .. } => Name::MinerRefused,
        Fact::MinerTurnedAway { .. } => Name::MinerTurnedAway,
        Fact::MinerDisconnected { .. } => Name::MinerDisconnected,
        Fact::MinerMessageBad { .. } => Name::MinerMessageBad,
        Fact::LimitReached { .. } => Name::LimitReached,
        Fact::ExtranonceChanged { .. } => Name::ExtranonceChanged,
        Fact::ExtranonceSizeLearnt { .. } => Name::ExtranonceSizeLearnt,
        Fact::MinerLags { .. } => Name::MinerLags,
        Fact::PoolLearnt { .. } => Name::PoolLearnt,
        Fact::PoolDialing { .. } => Name::PoolDialing,
        Fact::PoolReady { .. } => Name::PoolReady,
        Fact::PoolLost { .. } => Name::PoolLost,
        Fact::PoolUp { .. } => Name::PoolUp,
        Fact::PoolDown { .. } => Name::PoolDown,
        Fact::PoolNoJob { .. } => Name::PoolNoJob,
        Fact::PoolFailover { .. } => Name::PoolFailover,
        Fact::PoolMessageBad { .. } => Name::PoolMessageBad,
        Fact::PoolMessage { .. } => Name::PoolMessage,
        Fact::PoolReconnect { .. } => Name::PoolReconnect,
        Fact::PoolRedirectRefused { .. } => Name::PoolRedirectRefused,
        Fact::VersionForm { .. } => Name::VersionForm,
        Fact::JobReceived { .. } => Name::JobReceived,
        Fact::JobForwarded { .. } => Name::JobForwarded,
        Fact::PoolSwitched { .. } => Name::PoolSwitched,
        Fact::MinerIdle { .. } => Name::MinerIdle,
        Fact::ShareResult(_) => Name::ShareResult,
        Fact::BlockFound { .. } => Name::BlockFound,
        Fact::KeptBlock { .. } => Name::KeptBlock,
        Fact::ConfigApplied { .. } => Name::ConfigApplied,
        Fact::ConfigRefused { .. } => Name::ConfigRefused,
        Fact::ConfigUsable => Name::ConfigUsable,
        Fact::ConfigWarning { .. } => Name::ConfigWarning,
        Fact::LoggedIn { .. } => Name::LoggedIn,
        Fact::LoginRefused { .. } => Name::LoginRefused,
        Fact::Started { .. } => Name::Started,
        Fact::Stopping => Name::Stopping,
        Fact::Stopped { .. } => Name::Stopped,
        Fact::StateProblem { .. } => Name::StateProblem,
        Fact::AcceptFailed { .. } => Name::AcceptFailed,
        Fact::SlowTurn { .. } => Name::SlowTurn,
        Fact::Panicked { .. } => Name::Panicked,
        Fact::LogDropped { .. } => Name::LogDropped,
    }
}

/// How important a fact is: error, what the owner has to act on; warn, what he should know; info, what happens;
/// debug, why it happens.
pub fn level(fact: &Fact) -> Level {
    match fact {
        Fact::ConfigRefused { .. }
        | Fact::StateProblem { .. }
        | Fact::AcceptFailed { .. }
        | Fact::Panicked { .. } => Level::Error,
        Fact::MinerRefused { .. }
        | Fact::MinerMessageBad { .. }
        | Fact::MinerIdle { .. }
        | Fact::LimitReached { .. }
        | Fact::ExtranonceChanged { .. }
        | Fact::ExtranonceSizeLearnt { .. }
        | Fact::PoolLost { .. }
        | Fact::PoolDown { .. }
        | Fact::PoolNoJob { .. }
        | Fact::PoolFailover { .. }
        | Fact::PoolMessageBad { .. }
        | Fact::PoolRedirectRefused { .. }
        | Fact::VersionForm { form: None, .. }
        | Fact::BlockFound { .. }
        | Fact::KeptBlock { .. }
        | Fact::ConfigWarning { .. }
        | Fact::LoginRefused { .. }
        | Fact::SlowTurn { .. }
        | Fact::LogDropped { .. } => Level::Warn,
        Fact::MinerTurnedAway { reason, .. } => match reason {
            TurnedAway::Stopping => Level::Info,
            TurnedAway::NotSetUp
            | TurnedAway::NotAuthorized
            | TurnedAway::NoWork
            | TurnedAway::ExtranonceChanged
            | TurnedAway::ExtranonceSize
            | TurnedAway::TooMuchRubbish
            | TurnedAway::OtherProtocol(_)
            | TurnedAway::TlsFailed(_) => Level::Warn,
        },
        // Where the money goes: whoever did not change it has to see that somebody did.
        Fact::ConfigApplied { changes, .. } if changes.iter().any(Change::moves_money) => {
            Level::Warn
        }
        Fact::ConfigApplied { .. } => Level::Info,
        Fact::ShareResult(share) if share.outcome.is_good() => Level::Info,
        Fact::ShareResult(_) => Level::Warn,
        Fact::MinerConnected { .. }
        | Fact::MinerLags { .. }
        | Fact::MinerAuthorized { .. }
        | Fact::MinerDisconnected { .. }
        | Fact::PoolReady { .. }
        | Fact::PoolUp { .. }
        | Fact::PoolMessage { .. }
        | Fact::PoolReconnect { .. }
        | Fact::VersionForm { form: Some(_), .. }
        | Fact::PoolSwitched { .. }
        | Fact::LoggedIn { .. }
        | Fact::Started { .. }
        | Fact::Stopping
        | Fact::Stopped { .. }
        | Fact::ConfigUsable => Level::Info,
        Fact::PoolLearnt { .. }
        | Fact::PoolDialing { .. }
        | Fact::JobReceived { .. }
        | Fact::JobForwarded { .. } => Level::Debug,
    }
}

/// The name of a cause, also in metric labels.
pub(in crate::observe) fn cause_label(cause: SwitchCause) -> &'static str {
    match cause {
        SwitchCause::Start => "start",
        SwitchCause::Schedule => "schedule",
        SwitchCause::Failover => "failover",
        SwitchCause::Config => "config",
    }
}
