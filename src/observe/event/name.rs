//! The names of events, and their levels.

use std::fmt;

use ::log::Level;

use crate::config::Change;
use crate::core::fact::{Eviction, Fact};

macro_rules! events {
    ($($name:ident $text:literal $level:ident,)*) => {
        /// The name of an event, used to find and filter lines.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "each is documented in docs/events.md, which a test compares")]
        pub enum Name {
            $($name,)*
            /// A library's message, which is not one of our facts.
            LibraryMessage,
        }

        impl Name {
            /// All of them, in the order of the docs.
            pub const ALL: &'static [Self] = &[$(Self::$name,)* Self::LibraryMessage];

            /// As written in a line and in `logging.allow` and `logging.deny`.
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                    Self::LibraryMessage => "library_message",
                }
            }

            /// The bit for this name in a set of names.
            pub(in crate::observe) fn bit(self) -> u64 {
                let place = Self::ALL.iter().position(|name| *name == self);
                place.map_or(0, |place| 1 << place)
            }
        }

        /// The name of a fact.
        pub fn name(fact: &Fact) -> Name {
            match fact { $(Fact::$name { .. } => Name::$name,)* }
        }

        fn usual_level(fact: &Fact) -> Level {
            match fact { $(Fact::$name { .. } => Level::$level,)* }
        }
    };
}

// The name, how it is written, and its usual level. Error: the owner has to act. Warn: the owner should know. Info:
// what happens. Debug: why it happens.
events! {
    Started "started" Info,
    Stopping "stopping" Info,
    Stopped "stopped" Info,
    MinerConnected "miner_connected" Info,
    MinerAuthorized "miner_authorized" Info,
    MinerRefused "miner_refused" Warn,
    MinerTurnedAway "miner_turned_away" Warn,
    WorkerPaused "worker_paused" Info,
    WorkerResumed "worker_resumed" Info,
    OverrideSet "override_set" Info,
    OverrideEnded "override_ended" Info,
    TimetableChanged "timetable_changed" Info,
    BalanceMoved "balance_moved" Info,
    MinerDisconnected "miner_disconnected" Info,
    MinerIdle "miner_idle" Warn,
    MinerMessageBad "miner_message_bad" Warn,
    LimitReached "limit_reached" Warn,
    ExtranonceChanged "extranonce_changed" Warn,
    ExtranonceSizeLearnt "extranonce_size_learnt" Warn,
    MinerLags "miner_lags" Info,
    PoolLearnt "pool_learnt" Debug,
    PoolDialing "pool_dialing" Debug,
    PoolReady "pool_ready" Info,
    PoolLost "pool_lost" Warn,
    PoolUp "pool_up" Info,
    PoolDown "pool_down" Warn,
    PoolNoJob "pool_no_job" Warn,
    PoolFailover "pool_failover" Warn,
    PoolMessage "pool_message" Info,
    PoolMessageBad "pool_message_bad" Warn,
    PoolReconnect "pool_reconnect" Info,
    PoolRedirectRefused "pool_redirect_refused" Warn,
    VersionForm "version_form" Info,
    JobReceived "job_received" Debug,
    JobShared "job_shared" Info,
    JobForwarded "job_forwarded" Debug,
    PoolSwitched "pool_switched" Info,
    MembersSwitched "members_switched" Info,
    SharesLost "shares_lost" Warn,
    ShareResult "share_result" Info,
    BlockFound "block_found" Warn,
    KeptBlock "kept_block" Warn,
    ConfigApplied "config_applied" Info,
    ConfigRefused "config_refused" Error,
    ConfigUsable "config_usable" Info,
    ConfigWarning "config_warning" Warn,
    LoggedIn "login" Info,
    LoginRefused "login_refused" Warn,
    TokenMade "token_made" Warn,
    TokenRevoked "token_revoked" Info,
    TokenRefused "token_refused" Warn,
    StateProblem "state_problem" Error,
    AcceptFailed "accept_failed" Error,
    TroubleBegan "trouble_began" Warn,
    TroubleOver "trouble_over" Info,
    MessageSent "message_sent" Info,
    MessageFailed "message_failed" Warn,
    SlowTurn "slow_turn" Warn,
    Panicked "panicked" Error,
    LogDropped "log_dropped" Warn,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// How important a fact is.
pub fn level(fact: &Fact) -> Level {
    let stops = |reason: &Eviction| *reason == Eviction::Stopping;
    if matches!(fact, Fact::MinerTurnedAway { reason, .. } if stops(reason)) {
        Level::Info
    } else if matches!(
        fact,
        Fact::PoolSwitched { together: true, .. } | Fact::MinerIdle { together: true, .. }
    ) || matches!(fact, Fact::ShareResult(share) if share.together)
    {
        Level::Debug
    } else if matches!(fact, Fact::VersionForm { form: None, .. })
        || matches!(fact, Fact::ShareResult(share) if !share.outcome.is_good())
        // This decides where the money goes: an owner who did not change it must see that somebody did.
        || matches!(fact, Fact::ConfigApplied { changes, .. } if changes.iter().any(Change::moves_money))
    {
        Level::Warn
    } else {
        usual_level(fact)
    }
}
