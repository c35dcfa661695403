//! The fields of each fact, and how their values are written.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ::log::Level;
use serde_json::{Map, Value, json};

use crate::config::Change;
use crate::config::steering::Work;
use crate::core::balance::Move;
use crate::core::event::Source;
use crate::core::fact::{Fact, ShareResult};
use crate::core::steering::Override;
use crate::observe::time::rfc3339;
use crate::observe::wallet::{shorten_addresses, shorten_setting, shorten_user};
use crate::stratum::job::BlockHash;
use crate::stratum::reject::Reject;
use crate::units::{
    Difficulty, Extranonce1, JobId, MinerExtranonce, MinerId, PerPool, PoolConn, PoolSlot,
    VersionForm, VersionMask,
};

use super::name::Name;

/// The maximum length of a peer's text in a line, in characters.
pub(super) const LONGEST_TEXT: usize = 500;

/// How many workers are named in a line at most.
const MOST_NAMES: usize = 20;

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

/// Adds the fields of each fact in this order: `field as "key" = value`. By default, the key is the field's name and
/// the value is the field's value.
macro_rules! add_fields {
    ($line:ident, $fact:ident, $($name:ident {
        $($field:ident $(as $key:literal)? $(= $value:expr)?),* $(,)?
    })*) => {
        match $fact {
            Fact::ShareResult(share) => share.add_to($line, "share"),
            $(Fact::$name { $($field),* } => {
                $(add_fields!(@value $field $(= $value)?)
                    .add_to($line, add_fields!(@key $field $(as $key)?));)*
            })*
        }
    };
    (@value $field:ident) => { $field };
    (@value $field:ident = $value:expr) => { $value };
    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident as $key:literal) => { $key };
}

/// A line that is being built.
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
        add_fields! { self, fact,
            MinerConnected { miner, peer }
            MinerAuthorized { miner, peer, worker, user_agent, extranonce, version_rolling }
            MinerRefused { miner, worker, reject = Some(reject) }
            MinerTurnedAway { miner, peer, reason = (reason.label(), reason.text()) }
            MinerDisconnected {
                miner, peer, worker, reason = reason.to_string(), connected, accepted, rejected, unanswered,
            }
            MinerMessageBad { miner, problem }
            LimitReached { miner, peer, limit = limit.name() }
            ExtranonceChanged { miner, slot, extranonce }
            MinerLags { miner }
            ExtranonceSizeLearnt { miner, worker, user_agent, told, sent, extranonce }
            PoolLearnt { slot, e2_size as "extranonce2_size", mask as "version_mask" }
            PoolDialing { conn, miner }
            PoolReady {
                conn, miner, user = self.user(user), e1 as "extranonce1", e2_size as "extranonce2_size", took,
            }
            PoolLost { conn, miner, reason = reason.to_string(), unanswered }
            PoolUp { slot }
            PoolDown { slot, reason = reason.to_string() }
            PoolNoJob { slot, seconds }
            PoolFailover { slot, backup, address, why as "reason" = why.text() }
            PoolMessageBad { conn, miner, problem }
            PoolMessage { conn, miner, text }
            PoolReconnect { conn, miner, wait }
            PoolRedirectRefused { conn, miner, host = Verbatim(host) }
            VersionForm { slot, form = form.map_or("none", VersionForm::name) }
            JobReceived { conn, miner, pool_job = Verbatim(pool_job), clean }
            JobShared { conn, pool_job = Verbatim(pool_job), clean, members, sent }
            JobForwarded {
                miner, slot, job, pool_job = Verbatim(pool_job), difficulty = difficulty.get(), clean, delay,
            }
            PoolSwitched {
                miner, from = from.map(PoolSlot::name), to = to.name(), cause = cause.name(),
                error as "error_seconds" = rounded(*error), together,
            }
            MembersSwitched { slot, members, to, idle }
            SharesLost { slot, members, miners, shares }
            WorkerPaused { worker, source = source.name() }
            WorkerResumed { worker }
            OverrideSet { change }
            OverrideEnded { change, in_time }
            TimetableChanged { entry }
            BalanceMoved { moved }
            MinerIdle { miner, together }
            KeptBlock { slot, worker, hash, outcome as "answer" = outcome.answer() }
            BlockFound { miner, worker, slot, hash, difficulty, forwarded }
            ConfigApplied { changes = changes.as_slice(), source }
            LoggedIn { from as "address" }
            LoginRefused { from as "address" }
            TokenMade { name, may = may.name(), from as "address" }
            TokenRevoked { name, from as "address" }
            TokenRefused { from as "address" }
            ConfigRefused { problem }
            ConfigUsable {}
            ConfigWarning { text }
            Started {
                version, listen = Verbatim(listen), listen_tls = listen_tls.as_deref(), metrics = metrics.as_deref(),
                gui = gui.as_deref(), config = Verbatim(config),
            }
            TroubleBegan { id as "trouble", title, grave }
            TroubleOver { id as "trouble", title, lasted }
            MessageSent { target, kind }
            MessageFailed { target, kind, problem, given_up }
            Stopping {}
            Stopped { uptime }
            StateProblem { problem }
            AcceptFailed { error as "problem" }
            SlowTurn { event as "input", took }
            Panicked { thread = Verbatim(thread), problem }
            LogDropped { lines }
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

    pub(super) fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.map.insert(key.to_owned(), value.into());
    }

    /// Text that a peer chose, or that may quote a peer.
    pub(super) fn text(&mut self, key: &str, text: &str) {
        if self.show_wallets {
            self.put(key, cut(text));
        } else {
            self.put(key, cut(&shorten_addresses(text)));
        }
    }

    fn user(&self, user: &str) -> Value {
        if self.show_wallets {
            cut(user).into()
        } else {
            cut(&shorten_user(user)).into()
        }
    }
}

/// A value that appears in a line under the name of a fact's field or under its own names.
trait Field {
    fn add_to(&self, line: &mut Fields, key: &'static str);
}

/// How values of each type are written.
macro_rules! field_types {
    ($($line:ident $key:ident: $($type:ty),+ => |$value:pat_param| $add:expr;)*) => {
        $($(impl Field for $type {
            fn add_to(&self, $line: &mut Fields, $key: &'static str) {
                let $value = self;
                $add;
            }
        })+)*
    };
}

/// Text that is cut but contains no payout addresses.
struct Verbatim<'a>(&'a str);

field_types! {
    line key: bool, u8, u64, usize, f64, &str, Option<&str> => |value| line.put(key, *value);
    line key: Value => |value| line.put(key, value.clone());
    line key: SocketAddr, IpAddr, JobId, BlockHash, VersionMask, Extranonce1 =>
        |value| line.put(key, value.to_string());
    line key: Option<VersionMask> => |mask| line.put(key, mask.map(|mask| mask.to_string()));
    line key: String => |text| line.text(key, text);
    line key: Option<String> => |text| match text {
        Some(text) => line.text(key, text),
        None => line.put(key, Value::Null),
    };
    line key: Verbatim<'_> => |text| line.put(key, cut(text.0));
    line key: Duration => |time| line.put(&format!("{key}_ms"), milliseconds(*time));
    line key: Option<Duration> => |time| line.put(&format!("{key}_ms"), time.map(milliseconds));
    line _key: MinerId => |miner| line.put("miner", miner.0);
    line _key: Option<MinerId> => |miner| line.put("miner", miner.map(|miner| miner.0));
    line _key: PoolSlot => |slot| line.put("pool", slot.name());
    line _key: PerPool<usize> => |to| {
        line.put("to_a", to[PoolSlot::A]);
        line.put("to_b", to[PoolSlot::B]);
    };
    line _key: PoolConn => |conn| {
        line.put("pool", conn.slot.name());
        line.put("connection", conn.number);
    };
    line _key: Option<MinerExtranonce> => |extranonce| {
        line.put("extranonce1", extranonce.as_ref().map(|own| own.e1.to_string()));
        line.put("extranonce2_size", extranonce.as_ref().map(|own| own.e2_size));
    };
    line _key: Option<&Reject> => |reject| {
        line.put("code", reject.map(|reject| reject.code));
        reject.map(|reject| reject.message.to_string()).add_to(line, "message");
    };
    // A reason as a keyword and as a sentence.
    line key: (&'static str, String) => |(name, text)| {
        line.put(key, *name);
        line.text("text", text);
    };
    line _key: Override => |change| {
        line.put("work", change.work);
        let workers = change.workers.iter().take(MOST_NAMES);
        line.put("workers", workers.map(|it| cut(it)).collect::<Vec<_>>());
        line.put("until_ms", change.until_ms);
        line.text("by", &change.by);
    };
    line _key: Option<(usize, Work)> => |entry| {
        line.put("entry", entry.map(|(index, _)| index));
        line.put("work", entry.map(|(_, work)| Value::from(work)));
    };
    line _key: Move => |moved| {
        line.put("from", rounded(moved.from));
        line.put("to", rounded(moved.to));
        line.put("value_a", moved.values[PoolSlot::A]);
        line.put("value_b", moved.values[PoolSlot::B]);
        line.put("problem", moved.problem.as_ref().map(ToString::to_string));
    };
    line key: &[Change] => |changes| {
        let sentences: Vec<_> = changes.iter().map(|change| line.change(change)).collect();
        line.put(key, sentences);
        line.put("payout", changes.iter().any(Change::moves_money));
    };
    line _key: Box<ShareResult> => |share| {
        share.miner.add_to(line, "miner");
        line.text("worker", &share.worker);
        line.put("pool", share.slot.map(PoolSlot::name));
        line.put("job", share.job.map(|job| job.to_string()));
        line.put("outcome", share.outcome.name());
        line.put("reason", share.outcome.reason());
        share.outcome.reject().add_to(line, "reject");
        line.put("difficulty", share.credit.map(Difficulty::get));
        line.put("true_difficulty", share.true_difficulty);
        share.latency.add_to(line, "latency");
        line.put("block", share.block);
    };
    line key: Source => |source| {
        line.put(key, source.name());
        line.put("address", source.address().map(|from| from.to_string()));
    };
}

/// A peer's text, cut to the maximum length.
fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Milliseconds with microseconds as the fraction; a whole number if it is a minute or more.
fn milliseconds(duration: Duration) -> Value {
    if duration >= Duration::from_secs(60) {
        return json!(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
    }
    rounded(duration.as_secs_f64() * 1000.0)
}

/// Three decimal places are enough.
fn rounded(value: f64) -> Value {
    json!((value * 1000.0).round() / 1000.0)
}
