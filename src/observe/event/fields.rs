//! A line's fields: those of each fact, and how values are written.

use std::time::Duration;

use ::log::Level;
use serde_json::{Map, Value, json};

use crate::config::Change;
use crate::core::fact::{Fact, ShareResult};
use crate::observe::time::rfc3339;
use crate::observe::wallet::{shorten_addresses, shorten_setting, shorten_user};
use crate::stratum::reject::Reject;
use crate::units::{Difficulty, MinerExtranonce, MinerId, PoolConn, PoolSlot, VersionForm};

use super::name::Name;

/// The longest text of a peer in a line, in characters.
pub(super) const LONGEST_TEXT: usize = 500;

/// A level in lower case.
pub(super) fn level_text(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

/// A line in the making.
pub(super) struct Fields {
    map: Map<String, Value>,
    show_wallets: bool,
}

impl Fields {
    pub(super) fn new(name: Name, level: Level, unix_ms: u64, show_wallets: bool) -> Self {
        let mut fields = Self {
            map: Map::new(),
            show_wallets,
        };
        fields.put("ts", rfc3339(unix_ms));
        fields.put("level", level_text(level));
        fields.put("event", name.text());
        fields
    }

    pub(super) fn into_line(self) -> String {
        Value::Object(self.map).to_string()
    }

    pub(super) fn add_fact(&mut self, fact: &Fact) {
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
                self.text("reason", &reason.to_string());
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
                self.put("limit", limit.name());
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
            Fact::MinerLags { miner } => self.miner(*miner),
            Fact::ExtranonceSizeLearnt {
                miner,
                worker,
                user_agent,
                told,
                sent,
                extranonce,
            } => {
                self.miner(*miner);
                self.put("worker", worker.as_str());
                self.text_if("user_agent", user_agent.as_deref());
                self.put("told", *told);
                self.put("sent", *sent);
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
            Fact::PoolDialing { conn, miner } => self.conn(*conn, *miner),
            Fact::PoolReady {
                conn,
                miner,
                user,
                e1,
                e2_size,
                took,
            } => {
                self.conn(*conn, *miner);
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
                miner,
                reason,
                unanswered,
            } => {
                self.conn(*conn, *miner);
                self.text("reason", &reason.to_string());
                self.put("unanswered", *unanswered);
            }
            Fact::PoolUp { slot } => self.pool(*slot),
            Fact::PoolDown { slot, reason } => {
                self.pool(*slot);
                self.text("reason", &reason.to_string());
            }
            Fact::PoolNoJob { slot, seconds } => {
                self.pool(*slot);
                self.put("seconds", *seconds);
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
            Fact::PoolMessageBad {
                conn,
                miner,
                problem,
            } => {
                self.conn(*conn, *miner);
                self.text("problem", problem);
            }
            Fact::PoolMessage { conn, miner, text } => {
                self.conn(*conn, *miner);
                self.text("text", text);
            }
            Fact::PoolReconnect { conn, miner, wait } => {
                self.conn(*conn, *miner);
                self.put("wait_ms", milliseconds(*wait));
            }
            Fact::PoolRedirectRefused { conn, miner, host } => {
                self.conn(*conn, *miner);
                self.put("host", cut(host));
            }
            Fact::VersionForm { slot, form } => {
                self.pool(*slot);
                self.put("form", form.map_or("none", VersionForm::name));
            }
            Fact::JobReceived {
                conn,
                miner,
                pool_job,
                clean,
            } => {
                self.conn(*conn, *miner);
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
                self.put("cause", cause.name());
                self.put("error_seconds", rounded(*error));
            }
            Fact::MinerIdle { miner } => self.miner(*miner),
            Fact::ShareResult(share) => self.share(share),
            Fact::KeptBlock {
                slot,
                worker,
                hash,
                outcome,
            } => {
                self.pool(*slot);
                self.text("worker", worker);
                self.put("hash", hash.to_string());
                self.text("answer", &outcome.answer());
            }
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
            Fact::ConfigApplied { changes, source } => {
                let sentences: Vec<_> = changes.iter().map(|change| self.change(change)).collect();
                self.put("changes", sentences);
                self.put("payout", changes.iter().any(Change::moves_money));
                self.put("source", source.name());
                self.put("address", source.address().map(|from| from.to_string()));
            }
            Fact::LoggedIn { from } | Fact::LoginRefused { from } => {
                self.put("address", from.to_string());
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
            Fact::Stopping | Fact::ConfigUsable => (),
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

    /// A change of a setting as a sentence.
    fn change(&self, change: &Change) -> String {
        let [before, after] = change.shown().map(|value| {
            if self.show_wallets {
                value.into()
            } else {
                shorten_setting(change.path, value)
            }
        });
        let when = if change.needs_restart {
            " (after a restart)"
        } else {
            ""
        };
        cut(&format!("{}: {before} -> {after}{when}", change.path))
    }

    fn share(&mut self, share: &ShareResult) {
        self.miner(share.miner);
        self.text("worker", &share.worker);
        self.put("pool", share.slot.map(PoolSlot::name));
        self.put("job", share.job.map(|job| job.to_string()));
        self.put("outcome", share.outcome.name());
        self.put("reason", share.outcome.reason());
        self.reject(share.outcome.reject());
        self.put("difficulty", share.credit.map(Difficulty::get));
        self.put("true_difficulty", share.true_difficulty);
        self.put("latency_ms", share.latency.map(milliseconds));
        self.put("block", share.block);
    }

    pub(super) fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.map.insert(key.to_owned(), value.into());
    }

    /// Words that a peer chose, or that may quote some of it.
    pub(super) fn text(&mut self, key: &str, text: &str) {
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

    fn conn(&mut self, conn: PoolConn, miner: Option<MinerId>) {
        self.pool(conn.slot);
        self.put("miner", miner.map(|miner| miner.0));
        self.put("connection", conn.number);
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
