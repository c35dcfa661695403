//! How a [`Fact`] looks in the log: its name, its level and its fields.
//!
//! The names and fields are documented in `docs/events.md`; a test compares both.

use std::fmt;
use std::time::Duration;

use ::log::Level;
use serde_json::{Map, Value, json};

use crate::core::fact::{Fact, ShareOutcome, ShareResult, SwitchCause, TurnedAway};
use crate::observe::time::rfc3339;
use crate::observe::wallet::{shorten_addresses, shorten_change, shorten_user};
use crate::stratum::reject::{Reject, RejectClass};
use crate::units::{Client, Difficulty, MinerExtranonce, MinerId, PoolConn, PoolSlot};

/// The longest text of a peer in a line, in characters.
const LONGEST_TEXT: usize = 500;

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
            pub(super) fn bit(self) -> u64 {
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
    PoolLearnt "pool_learnt",
    PoolDialing "pool_dialing",
    PoolReady "pool_ready",
    PoolLost "pool_lost",
    PoolUp "pool_up",
    PoolDown "pool_down",
    PoolFailover "pool_failover",
    PoolMessage "pool_message",
    PoolMessageBad "pool_message_bad",
    PoolReconnect "pool_reconnect",
    PoolRedirectRefused "pool_redirect_refused",
    JobReceived "job_received",
    JobForwarded "job_forwarded",
    PoolSwitched "pool_switched",
    ShareResult "share_result",
    BlockFound "block_found",
    ConfigApplied "config_applied",
    ConfigRefused "config_refused",
    ConfigWarning "config_warning",
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
        Fact::PoolLearnt { .. } => Name::PoolLearnt,
        Fact::PoolDialing { .. } => Name::PoolDialing,
        Fact::PoolReady { .. } => Name::PoolReady,
        Fact::PoolLost { .. } => Name::PoolLost,
        Fact::PoolUp { .. } => Name::PoolUp,
        Fact::PoolDown { .. } => Name::PoolDown,
        Fact::PoolFailover { .. } => Name::PoolFailover,
        Fact::PoolMessageBad { .. } => Name::PoolMessageBad,
        Fact::PoolMessage { .. } => Name::PoolMessage,
        Fact::PoolReconnect { .. } => Name::PoolReconnect,
        Fact::PoolRedirectRefused { .. } => Name::PoolRedirectRefused,
        Fact::JobReceived { .. } => Name::JobReceived,
        Fact::JobForwarded { .. } => Name::JobForwarded,
        Fact::PoolSwitched { .. } => Name::PoolSwitched,
        Fact::MinerIdle { .. } => Name::MinerIdle,
        Fact::ShareResult(_) => Name::ShareResult,
        Fact::BlockFound { .. } => Name::BlockFound,
        Fact::ConfigApplied { .. } => Name::ConfigApplied,
        Fact::ConfigRefused { .. } => Name::ConfigRefused,
        Fact::ConfigWarning { .. } => Name::ConfigWarning,
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
        | Fact::PoolLost { .. }
        | Fact::PoolDown { .. }
        | Fact::PoolFailover { .. }
        | Fact::PoolMessageBad { .. }
        | Fact::PoolRedirectRefused { .. }
        | Fact::BlockFound { .. }
        | Fact::ConfigWarning { .. }
        | Fact::SlowTurn { .. }
        | Fact::LogDropped { .. } => Level::Warn,
        Fact::MinerTurnedAway { reason, .. } => match reason {
            TurnedAway::Stopping => Level::Info,
            TurnedAway::NotSetUp
            | TurnedAway::NotAuthorized
            | TurnedAway::NoWork
            | TurnedAway::ExtranonceChanged
            | TurnedAway::TooMuchRubbish
            | TurnedAway::OtherProtocol(_)
            | TurnedAway::TlsFailed(_) => Level::Warn,
        },
        // Where the money goes: whoever did not change it has to see that somebody did.
        Fact::ConfigApplied { payout: true, .. } => Level::Warn,
        Fact::ConfigApplied { payout: false, .. } => Level::Info,
        Fact::ShareResult(share) => match share.outcome {
            ShareOutcome::Accepted | ShareOutcome::BelowPool => Level::Info,
            ShareOutcome::RejectedByPool(_)
            | ShareOutcome::RefusedHere(_)
            | ShareOutcome::Lost(_) => Level::Warn,
        },
        Fact::MinerConnected { .. }
        | Fact::MinerAuthorized { .. }
        | Fact::MinerDisconnected { .. }
        | Fact::PoolReady { .. }
        | Fact::PoolUp { .. }
        | Fact::PoolMessage { .. }
        | Fact::PoolReconnect { .. }
        | Fact::PoolSwitched { .. }
        | Fact::Started { .. }
        | Fact::Stopping
        | Fact::Stopped { .. } => Level::Info,
        Fact::PoolLearnt { .. }
        | Fact::PoolDialing { .. }
        | Fact::JobReceived { .. }
        | Fact::JobForwarded { .. } => Level::Debug,
    }
}

/// The line of a fact, without a line end. `unix_ms`: when it happened, in milliseconds since 1970.
pub fn line(fact: &Fact, unix_ms: u64, show_wallets: bool) -> String {
    let mut fields = Fields::new(name(fact), level(fact), unix_ms, show_wallets);
    fields.add_fact(fact);
    fields.into_line()
}

/// The line of what a library says. It is not one of our facts, but it must not spoil the log's form either.
pub(super) fn library_line(level: Level, target: &str, text: &str, unix_ms: u64) -> String {
    let mut fields = Fields::new(Name::LibraryMessage, level, unix_ms, false);
    fields.put("library", target);
    fields.text("text", text);
    fields.into_line()
}

/// A level in lower case.
fn level_text(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

/// A line in the making.
struct Fields {
    map: Map<String, Value>,
    show_wallets: bool,
}

impl Fields {
    fn new(name: Name, level: Level, unix_ms: u64, show_wallets: bool) -> Self {
        let mut fields = Self {
            map: Map::new(),
            show_wallets,
        };
        fields.put("ts", rfc3339(unix_ms));
        fields.put("level", level_text(level));
        fields.put("event", name.text());
        fields
    }

    fn into_line(self) -> String {
        Value::Object(self.map).to_string()
    }

    fn add_fact(&mut self, fact: &Fact) {
        match fact {
            Fact::MinerConnected { miner, peer } => {
                self.miner(*miner);
                self.put("peer", peer.to_string());
            }
            Fact::MinerAuthorized {
                miner,
                peer,
                worker,
                user_agent,
                extranonce,
                version_rolling,
            } => {
                self.miner(*miner);
                self.put("peer", peer.to_string());
                self.text("worker", worker);
                self.text_if("user_agent", user_agent.as_deref());
                self.extranonce(extranonce.as_ref());
                self.put(
                    "version_rolling",
                    version_rolling.map(|mask| mask.to_string()),
                );
            }
            Fact::MinerRefused {
                miner,
                worker,
                reject,
            } => {
                self.miner(*miner);
                self.text("worker", worker);
                self.reject(Some(reject));
            }
            Fact::MinerTurnedAway {
                miner,
                peer,
                reason,
            } => {
                self.miner(*miner);
                self.put("peer", peer.to_string());
                self.put("reason", reason.label());
                self.text("text", &reason.text());
            }
            Fact::MinerDisconnected {
                miner,
                peer,
                worker,
                reason,
                connected,
                accepted,
                rejected,
                unanswered,
            } => {
                self.miner(*miner);
                self.put("peer", peer.to_string());
                self.text_if("worker", worker.as_deref());
                self.text("reason", reason);
                self.put("connected_ms", milliseconds(*connected));
                self.put("accepted", *accepted);
                self.put("rejected", *rejected);
                self.put("unanswered", *unanswered);
            }
            Fact::MinerMessageBad { miner, problem } => {
                self.miner(*miner);
                self.text("problem", problem);
            }
            Fact::LimitReached { miner, peer, limit } => {
                self.put("miner", miner.map(|miner| miner.0));
                self.put("peer", peer.to_string());
                self.put("limit", limit.label());
            }
            Fact::ExtranonceChanged {
                miner,
                slot,
                extranonce,
            } => {
                self.miner(*miner);
                self.pool(*slot);
                self.extranonce(extranonce.as_ref());
            }
            Fact::PoolLearnt {
                slot,
                e2_size,
                mask,
            } => {
                self.pool(*slot);
                self.put("extranonce2_size", *e2_size);
                self.put("version_mask", mask.to_string());
            }
            Fact::PoolDialing { conn } => self.conn(*conn),
            Fact::PoolReady {
                conn,
                user,
                e1,
                e2_size,
                took,
            } => {
                self.conn(*conn);
                if self.show_wallets {
                    self.put("user", cut(user));
                } else {
                    self.put("user", cut(&shorten_user(user)));
                }
                self.put("extranonce1", e1.to_string());
                self.put("extranonce2_size", *e2_size);
                self.put("took_ms", milliseconds(*took));
            }
            Fact::PoolLost {
                conn,
                reason,
                unanswered,
            } => {
                self.conn(*conn);
                self.text("reason", reason);
                self.put("unanswered", *unanswered);
            }
            Fact::PoolUp { slot } => self.pool(*slot),
            Fact::PoolDown { slot, reason } => {
                self.pool(*slot);
                self.text("reason", reason);
            }
            Fact::PoolFailover {
                slot,
                backup,
                address,
                why,
            } => {
                self.pool(*slot);
                self.put("backup", *backup);
                self.text("address", address);
                self.text("reason", &why.text());
            }
            Fact::PoolMessageBad { conn, problem } => {
                self.conn(*conn);
                self.text("problem", problem);
            }
            Fact::PoolMessage { conn, text } => {
                self.conn(*conn);
                self.text("text", text);
            }
            Fact::PoolReconnect { conn, wait } => {
                self.conn(*conn);
                self.put("wait_ms", milliseconds(*wait));
            }
            Fact::PoolRedirectRefused { conn, host } => {
                self.conn(*conn);
                self.put("host", cut(host));
            }
            Fact::JobReceived {
                conn,
                pool_job,
                clean,
            } => {
                self.conn(*conn);
                self.put("pool_job", cut(pool_job));
                self.put("clean", *clean);
            }
            Fact::JobForwarded {
                miner,
                slot,
                job,
                pool_job,
                difficulty,
                clean,
                delay,
            } => {
                self.miner(*miner);
                self.pool(*slot);
                self.put("job", job.to_string());
                self.put("pool_job", cut(pool_job));
                self.put("difficulty", difficulty.get());
                self.put("clean", *clean);
                self.put("delay_ms", delay.map(milliseconds));
            }
            Fact::PoolSwitched {
                miner,
                from,
                to,
                cause,
                error,
            } => {
                self.miner(*miner);
                self.put("from", from.map(PoolSlot::name));
                self.put("to", to.name());
                self.put("cause", cause_label(*cause));
                self.put("error_seconds", rounded(*error));
            }
            Fact::MinerIdle { miner } => self.miner(*miner),
            Fact::ShareResult(share) => self.share(share),
            Fact::BlockFound {
                miner,
                worker,
                slot,
                hash,
                difficulty,
                forwarded,
            } => {
                self.miner(*miner);
                self.text("worker", worker);
                self.pool(*slot);
                self.put("hash", hash.to_string());
                self.put("difficulty", *difficulty);
                self.put("forwarded", *forwarded);
            }
            Fact::ConfigApplied { changes, payout } => {
                let sentences: Vec<_> = changes
                    .iter()
                    .map(|change| {
                        if self.show_wallets {
                            cut(change)
                        } else {
                            cut(&shorten_change(change))
                        }
                    })
                    .collect();
                self.put("changes", sentences);
                self.put("payout", *payout);
            }
            Fact::ConfigRefused { problem } => self.text("problem", problem),
            Fact::ConfigWarning { text } => self.text("text", text),
            Fact::Started {
                version,
                listen,
                listen_tls,
                metrics,
                gui,
                config,
            } => {
                self.put("version", *version);
                self.put("listen", listen.as_str());
                self.put("listen_tls", listen_tls.as_deref());
                self.put("metrics", metrics.as_deref());
                self.put("gui", gui.as_deref());
                self.put("config", config.as_str());
            }
            Fact::Stopping => (),
            Fact::Stopped { uptime } => self.put("uptime_ms", milliseconds(*uptime)),
            Fact::StateProblem { problem } => self.text("problem", problem),
            Fact::AcceptFailed { error } => self.text("problem", error),
            Fact::SlowTurn { event, took } => {
                self.put("input", *event);
                self.put("took_ms", milliseconds(*took));
            }
            Fact::Panicked { thread, problem } => {
                self.put("thread", thread.as_str());
                self.text("problem", problem);
            }
            Fact::LogDropped { lines } => self.put("lines", *lines),
        }
    }

    fn share(&mut self, share: &ShareResult) {
        let (outcome, reason, reject) = match &share.outcome {
            ShareOutcome::Accepted => ("accepted", None, None),
            ShareOutcome::BelowPool => ("below_pool", None, None),
            ShareOutcome::RejectedByPool(reject) => {
                let class = RejectClass::of(reject).label();
                ("rejected", Some(class), Some(reject))
            }
            ShareOutcome::RefusedHere(reason) => ("refused", Some(reason.label()), None),
            ShareOutcome::Lost(reason) => ("lost", Some(reason.label()), None),
        };
        self.miner(share.miner);
        self.text("worker", &share.worker);
        self.put("pool", share.slot.map(PoolSlot::name));
        self.put("job", share.job.map(|job| job.to_string()));
        self.put("outcome", outcome);
        self.put("reason", reason);
        self.reject(reject);
        self.put("difficulty", share.credit.map(Difficulty::get));
        self.put("true_difficulty", share.true_difficulty);
        self.put("latency_ms", share.latency.map(milliseconds));
        self.put("block", share.block);
    }

    fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.map.insert(key.to_owned(), value.into());
    }

    /// Words that a peer chose, or that may quote some of it.
    fn text(&mut self, key: &str, text: &str) {
        if self.show_wallets {
            self.put(key, cut(text));
        } else {
            self.put(key, cut(&shorten_addresses(text)));
        }
    }

    fn text_if(&mut self, key: &str, text: Option<&str>) {
        match text {
            Some(text) => self.text(key, text),
            None => self.put(key, Value::Null),
        }
    }

    fn miner(&mut self, miner: MinerId) {
        self.put("miner", miner.0);
    }

    fn pool(&mut self, slot: PoolSlot) {
        self.put("pool", slot.name());
    }

    fn conn(&mut self, conn: PoolConn) {
        self.pool(conn.slot);
        self.put(
            "miner",
            match conn.client {
                Client::Miner(miner) => Some(miner.0),
                Client::Probe | Client::Scout => None,
            },
        );
        self.put("connection", conn.generation);
    }

    fn extranonce(&mut self, extranonce: Option<&MinerExtranonce>) {
        self.put("extranonce1", extranonce.map(|own| own.e1.to_string()));
        self.put("extranonce2_size", extranonce.map(|own| own.e2_size));
    }

    fn reject(&mut self, reject: Option<&Reject>) {
        self.put("code", reject.map(|reject| reject.code));
        self.text_if("message", reject.map(|reject| reject.message.as_ref()));
    }
}

/// The name of a cause, also in metric labels.
pub(super) fn cause_label(cause: SwitchCause) -> &'static str {
    match cause {
        SwitchCause::Start => "start",
        SwitchCause::Schedule => "schedule",
        SwitchCause::Failover => "failover",
        SwitchCause::Config => "config",
    }
}

/// A peer's text, not longer than a line can bear.
fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Milliseconds with the microseconds as fraction, a whole number from a minute on.
fn milliseconds(duration: Duration) -> Value {
    if duration >= Duration::from_secs(60) {
        return json!(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
    }
    rounded(duration.as_secs_f64() * 1000.0)
}

/// Three digits after the point are enough.
fn rounded(value: f64) -> Value {
    json!((value * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::observe::samples::{ADDRESS, samples};

    const DOCS: &str = include_str!("../../docs/events.md");

    fn parsed(fact: &Fact, show_wallets: bool) -> Map<String, Value> {
        let line = line(fact, 1_795_428_672_345, show_wallets);
        assert!(!line.contains('\n'), "{line}");
        match serde_json::from_str(&line).unwrap() {
            Value::Object(fields) => fields,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn every_fact_is_a_json_object_with_time_level_and_event() {
        for fact in samples() {
            let fields = parsed(&fact, false);
            let first: Vec<_> = fields.keys().take(3).map(String::as_str).collect();
            assert_eq!(first, ["ts", "level", "event"]);
            assert_eq!(fields["ts"], "2026-11-23T10:11:12.345Z");
            assert_eq!(fields["event"], name(&fact).text());
            assert_eq!(fields["level"], level_text(level(&fact)));
        }
    }

    #[test]
    fn there_is_a_sample_of_every_name_and_a_bit_for_each() {
        let seen: BTreeSet<_> = samples().iter().map(name).collect();
        let all: BTreeSet<_> = Name::ALL.iter().copied().collect();
        let missing: Vec<_> = all.difference(&seen).collect();
        assert_eq!(missing, [&Name::LibraryMessage]);
        let bits = Name::ALL.iter().fold(0, |bits, name| bits | name.bit());
        assert_eq!(bits.count_ones(), u32::try_from(Name::ALL.len()).unwrap());
    }

    #[test]
    fn no_sample_shows_a_wallet_unless_that_is_wanted() {
        let mut hidden = 0;
        for fact in samples() {
            assert!(!line(&fact, 0, false).contains(ADDRESS), "{fact:?}");
            assert!(!line(&fact, 0, false).contains("nakamoto"), "{fact:?}");
            hidden += usize::from(line(&fact, 0, true).contains(ADDRESS));
        }
        assert!(hidden >= 5, "{hidden}");
        assert!(!library_line(Level::Warn, "x", ADDRESS, 0).contains(ADDRESS));
    }

    #[test]
    fn what_a_peer_says_is_cut() {
        let fact = Fact::ConfigWarning {
            text: "ä ".repeat(100_000),
        };
        assert!(line(&fact, 0, true).len() < 2 * LONGEST_TEXT + 200);
    }

    /// The fields that the docs list for an event: the first words in backticks of its table's rows.
    fn documented_fields(name: Name) -> BTreeSet<&'static str> {
        let heading = format!("### `{name}`\n");
        let start = DOCS
            .find(&heading)
            .unwrap_or_else(|| panic!("{name} is not in the docs"));
        let section = &DOCS[start + heading.len()..];
        let section = section.split("\n#").next().unwrap();
        section
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
            .collect()
    }

    #[test]
    fn the_docs_list_every_event_and_no_other() {
        let documented: Vec<_> = DOCS
            .lines()
            .filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'))
            .collect();
        let all: Vec<_> = Name::ALL.iter().map(|name| name.text()).collect();
        assert_eq!(documented, all);
    }

    #[test]
    fn the_docs_list_every_field_and_no_other() {
        for fact in samples() {
            let fields = parsed(&fact, false);
            let names: BTreeSet<_> = fields.keys().skip(3).map(String::as_str).collect();
            assert_eq!(documented_fields(name(&fact)), names, "{}", name(&fact));
        }
    }

    #[test]
    fn the_docs_name_every_level() {
        for fact in samples() {
            let heading = format!("### `{}`\n", name(&fact));
            let start = DOCS.find(&heading).unwrap() + heading.len();
            let levels = DOCS[start..].trim_start().lines().next().unwrap();
            let level = level_text(level(&fact));
            assert!(
                levels.starts_with("Level:") && levels.contains(level),
                "{heading}{levels}"
            );
        }
    }

    #[test]
    fn a_share_reads_as_documented() {
        let share = samples()
            .into_iter()
            .find(|fact| name(fact) == Name::ShareResult)
            .unwrap();
        let example = line(&share, 1_795_428_672_345, false);
        assert!(DOCS.contains(&example), "{example}");
    }
}
