//! The table of all keys. The defaults, the sample, the reference and the list of changes come from it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::Value;

use super::address::{PoolHost, Wallet};
use super::backup::{Backup, Backups};
use super::fingerprint::CertificateHash;
use super::kind::choice::{Extranonce2Size, Flag, LogLevel, Word};
use super::kind::number::{Bound, Number, Port, Seconds, SecondsOrNever, Weight, Whole};
use super::kind::text::{Names, PasswordHash, Secret, Text};
use super::kind::{Form, Kind, Wrong};
use super::network::{ListenAddress, Networks};
use super::notify::Target;
use super::saved_pools::{self, SavedPools};
use super::steering::{Group, TimetableEntry, WorkerSettings};
use super::tables::{self, Table, TimeZone};
use super::title::title;
use super::user_name::UserNameForm;
use super::{ApiToken, Config, Connections, Level, PayoutRule};
use crate::units::{Difficulty, PoolSlot};

/// Information about a key for the owner.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyInfo {
    /// Its path, such as `scheduler.poolA_weight`.
    pub path: &'static str,
    /// Its title on the pages.
    pub title: String,
    /// Its meaning, with the unit.
    pub meaning: &'static str,
    /// The allowed values.
    pub allowed: String,
    /// The default.
    pub default: Value,
    /// Whether a change needs a restart. All others apply immediately.
    pub needs_restart: bool,
    /// Whether the value must not be shown.
    pub is_secret: bool,
    /// Its field in a form.
    pub form: Form,
}

/// Every key, in the order of the sample.
pub fn key_infos() -> impl Iterator<Item = KeyInfo> {
    all().into_iter().map(|key| key.info())
}

/// A key whose values are of one kind.
pub(super) struct Key<K> {
    /// Its path.
    pub(super) path: &'static str,
    pub(super) kind: K,
    meaning: &'static str,
    needs_restart: bool,
    /// Its value as text, for comparing settings.
    shown: fn(&Config) -> String,
}

const AT_ONCE: bool = false;
const AFTER_RESTART: bool = true;

/// A key of any kind.
pub(super) trait AnyKey {
    fn info(&self) -> KeyInfo;

    /// Whether a value that is neither missing nor null may be written; otherwise what is allowed instead.
    fn check(&self, value: &Value) -> Result<(), String>;

    /// All mistakes in a value that is neither missing nor null.
    fn wrong(&self, value: &Value) -> Vec<Wrong>;

    /// Its value as text, even if it is a secret, for comparing. For a table, one line for each entry.
    fn setting(&self, config: &Config) -> String;
}

impl<K: Kind> AnyKey for Key<K> {
    fn info(&self) -> KeyInfo {
        KeyInfo {
            path: self.path,
            title: title(self.path),
            meaning: self.meaning,
            allowed: self.kind.allowed(),
            default: self.kind.default_json(),
            needs_restart: self.needs_restart,
            is_secret: is_secret(self.path),
            form: self.kind.form(),
        }
    }

    fn check(&self, value: &Value) -> Result<(), String> {
        self.kind.read(value).map(|_| ())
    }

    fn wrong(&self, value: &Value) -> Vec<Wrong> {
        let mut wrong = self.kind.wrong(value);
        if is_secret(self.path) {
            for wrong in &mut wrong {
                wrong.found = "something else (not shown)".to_owned();
            }
        }
        wrong
    }

    fn setting(&self, config: &Config) -> String {
        (self.shown)(config)
    }
}

/// Creates the keys of a section. Each has: when a change applies, the name, the kind, the value, and the meaning.
macro_rules! section {
    ($(#[$about:meta])* $section:ident $path:literal {
        $($applies:ident $key:ident $name:literal: $type:ty = $kind:expr, $shown:expr, $meaning:literal;)*
    }) => {
        $(#[$about])*
        pub(super) mod $section {
            use super::*;

            $(pub(in crate::config) const $key: Key<$type> =
                Key {
                    path: concat!($path, ".", $name),
                    kind: $kind,
                    meaning: $meaning,
                    needs_restart: $applies,
                    shown: $shown,
                };)*

            pub(super) const ALL: &[&dyn AnyKey] = &[$(&$key),*];
        }
    };
}

section! {
    /// The keys of `listen`.
    listen "listen" {
        AFTER_RESTART HOST "host": ListenAddress = ListenAddress(Ipv4Addr::UNSPECIFIED), |c| c.listen.host.to_string(),
            "Address on which DPMP listens for miners.";
        AFTER_RESTART PORT "port": Port = Port(3351), |c| c.listen.port.to_string(),
            "TCP port for miners.";
        AT_ONCE MAX_MINERS "max_miners": Whole = COUNT, |c| c.listen.max_miners.to_string(),
            "Maximum number of connected miners; 0: no limit.";
        AT_ONCE MAX_MINERS_PER_ADDRESS "max_miners_per_address": Whole = Whole { default: 256, ..COUNT },
            |c| c.listen.max_miners_per_address.to_string(),
            "Maximum number of miners connected from one IP address; 0: no limit.";
        AT_ONCE AUTHORIZE "authorize_seconds": Seconds = Seconds { default: 30, min: 1.0, max: 600 },
            |c| seconds(c.listen.authorize),
            "Seconds within which a new connection must authorize a worker; otherwise DPMP closes it.";
        AT_ONCE SUBMITS_PER_SECOND "submits_per_second": Whole = Whole { default: 100, ..COUNT },
            |c| c.listen.submits_per_second.to_string(),
            "Maximum number of shares per second on one connection, on average over a minute; 0: no limit.";
        AT_ONCE MAX_LINE "max_line_kib": Whole = Whole { default: 16, min: 1, max: 1024 },
            |c| (c.listen.max_line_bytes / 1024).to_string(),
            "Longest line that a miner may send, in KiB (1024 bytes). A longer one ends its connection. Changes apply \
             to new connections.";
        AT_ONCE POOL_MAX_LINE "pool_max_line_kib": Whole = Whole { default: 1024, min: 16, max: 16_384 },
            |c| (c.listen.pool_max_line_bytes / 1024).to_string(),
            "Longest line that a pool may send, in KiB. A longer one ends the connection. Changes apply to new \
             connections.";
        AT_ONCE EXTRANONCE2_SIZE "extranonce2_size": Extranonce2Size = Extranonce2Size,
            |c| c.listen.extranonce2_size.map_or("auto".to_owned(), |size| size.to_string()),
            "Size of the miners' extranonce2, in bytes. \"auto\" picks what each miner's software needs. A size that \
             leaves no bytes for the miner's own extranonce1 is only used if each pool gives every connection a \
             different one. Changes apply to new connections.";
        AT_ONCE PROXY_PROTOCOL_FROM "proxy_protocol_from": Networks = Networks { most: 100 },
            |c| format!("{:?}", c.listen.proxy_protocol_from),
            "Addresses of load balancers. A connection from one of them must begin with a PROXY header (version 1 or \
             2), which contains the miner's address.";
        AT_ONCE DRAIN "drain_seconds": Seconds = Seconds { default: 0, min: 0.0, max: 3600 },
            |c| seconds(c.listen.drain),
            "When DPMP stops, it disconnects miners gradually over this many seconds, so they don't all reconnect \
             elsewhere at the same time; 0: all immediately.";
        AFTER_RESTART TLS_PORT "tls_port": Port = Port(3352), |c| c.listen.tls_port.to_string(),
            "TCP port for encrypted connections from miners (TLS 1.2 or 1.3). It is only open if there is a \
             certificate.";
        AFTER_RESTART TLS_CERTIFICATE "tls_certificate": Text = FILE,
            |c| c.listen.tls_certificate.display().to_string(),
            "File with the certificate for `tls_port` and any intermediate certificates (PEM), relative to the folder \
             of `config.json`. DPMP reads it again when it changes.";
        AFTER_RESTART TLS_KEY "tls_key": Text = FILE, |c| c.listen.tls_key.display().to_string(),
            "File with the certificate's private key (PEM). Leave empty if the key is in the certificate's file.";
    }
}

section! {
    /// The keys of `metrics`.
    metrics "metrics" {
        AFTER_RESTART ENABLED "enabled": Flag = Flag(true), |c| c.metrics.enabled.to_string(),
            "Whether DPMP serves metrics for Prometheus at `/metrics`.";
        AFTER_RESTART HOST "host": ListenAddress = ListenAddress(Ipv4Addr::UNSPECIFIED), |c| c.metrics.host.to_string(),
            "Address on which DPMP serves metrics.";
        AFTER_RESTART PORT "port": Port = Port(9210), |c| c.metrics.port.to_string(),
            "TCP port for metrics.";
    }
}

section! {
    /// The keys of `gui`.
    gui "gui" {
        AFTER_RESTART ENABLED "enabled": Flag = Flag(true), |c| c.gui.enabled.to_string(),
            "Whether DPMP serves the web pages.";
        AFTER_RESTART HOST "host": ListenAddress = ListenAddress(Ipv4Addr::UNSPECIFIED), |c| c.gui.host.to_string(),
            "Address on which DPMP serves the web pages.";
        AFTER_RESTART PORT "port": Port = Port(8855), |c| c.gui.port.to_string(),
            "TCP port for the web pages.";
        AT_ONCE ALLOWED_HOSTS "allowed_hosts": Names = Names { most: 100, longest: 253 },
            |c| names(&c.gui.allowed_hosts),
            "Additional host names under which browsers may open the web pages, such as `dpmp.my-lan`.";
        AT_ONCE PASSWORD_HASH "password_hash": PasswordHash = PasswordHash,
            |c| c.gui.password_hash.as_deref().unwrap_or_default().to_owned(),
            "Hash of the password for the web pages. The web pages set it. If empty, there is no password.";
        AT_ONCE TOKENS "tokens": Table<BTreeMap<String, ApiToken>> = tables::TOKENS,
            |c| tables::tokens_compared(&c.gui.tokens),
            "Programs that may use the API, by name. For each, `hash` is the hash of its token, and `may` is what it \
             may do. The web pages manage this list.";
        AT_ONCE PUBLIC_URL "public_url": Text = Text { default: "", choices: &[], longest: 1024 },
            |c| c.gui.public_url.clone(),
            "Address at which your phone reaches the web pages, for links in messages. Leave empty for no links.";
    }
}

/// Creates the keys of the pools, as in a section. Two kinds mean one for each pool.
macro_rules! pool_keys {
    (@A $kind:expr $(, $other:expr)?) => { $kind };
    (@B $kind:expr) => { $kind };
    (@B $_:expr, $kind:expr) => { $kind };
    ($($key:ident $name:literal: $type:ty = [$($kind:expr),*], $shown:expr, $meaning:literal;)*) => {
        /// The keys of one pool.
        pub(super) struct PoolKeys {
            $(pub(super) $key: Key<$type>,)*
        }

        impl PoolKeys {
            fn all(&self) -> impl Iterator<Item = &dyn AnyKey> {
                let all: [&dyn AnyKey; [$($name),*].len()] = [$(&self.$key),*];
                all.into_iter()
            }
        }

        const POOL_A: PoolKeys = PoolKeys {
            $($key: Key {
                path: concat!("pools.A.", $name),
                kind: pool_keys!(@A $($kind),*),
                meaning: $meaning,
                needs_restart: AT_ONCE,
                shown: |c| c.pools[PoolSlot::A].as_ref().map_or(String::new(), $shown),
            },)*
        };

        const POOL_B: PoolKeys = PoolKeys {
            $($key: Key {
                path: concat!("pools.B.", $name),
                kind: pool_keys!(@B $($kind),*),
                meaning: $meaning,
                needs_restart: AT_ONCE,
                shown: |c| c.pools[PoolSlot::B].as_ref().map_or(String::new(), $shown),
            },)*
        };

        /// The keys of a pool.
        pub(super) fn pool(slot: PoolSlot) -> &'static PoolKeys {
            match slot {
                PoolSlot::A => &POOL_A,
                PoolSlot::B => &POOL_B,
            }
        }
    };
}

pool_keys! {
    name "name": Text =
        [Text { default: "Pool A", longest: 64, ..FILE }, Text { default: "Pool B", longest: 64, ..FILE }],
        |pool| pool.name.clone(),
        "The pool's name in logs and on the web pages.";
    host "host": PoolHost = [PoolHost { default: "pool-a.example.com" }, PoolHost { default: "pool-b.example.com" }],
        |pool| pool.host.clone(),
        "The pool's host name or IP address, optionally with `stratum+tcp://` or `stratum+ssl://` before it and \
         `:port` after it. The default means that the pool is not set up.";
    port "port": Port = [Port(3333)], |pool| pool.port.to_string(),
        "The pool's TCP port.";
    tls "tls": Flag = [Flag(false)], |pool| pool.tls.enabled.to_string(),
        "Whether connections to the pool are encrypted (TLS 1.2 or 1.3). `stratum+ssl://` before the host turns this \
         on, too. Pools use a different port for this.";
    tls_fingerprint "tls_fingerprint": CertificateHash = [CertificateHash],
        |pool| pool.tls.fingerprint.map_or(String::new(), |fingerprint| fingerprint.to_string()),
        "SHA-256 fingerprint of the only certificate that DPMP accepts from the pool, for pools with a self-signed \
         one. If empty, the certificate must come from a known authority.";
    tls_insecure "tls_insecure": Flag = [Flag(false)], |pool| pool.tls.insecure.to_string(),
        "Whether DPMP accepts any certificate. If so, anyone between DPMP and the pool can pretend to be the pool.";
    backups "backups": Backups = [Backups], |pool| backups(&pool.backups),
        "Other addresses. DPMP tries them in order while the first address cannot be used or rejects most shares, and \
         returns to the first once that has worked for a while.";
    wallet "wallet": Wallet = [Wallet { default: "YOUR_BTC_WALLET_ADDRESS", longest: Wallet::LONGEST }],
        |pool| pool.wallet.clone(),
        "The payout address or account to which the pool credits the work. The default means that the pool is not set \
         up.";
    user_name "user_name": UserNameForm = [UserNameForm], |pool| pool.user_name.to_string(),
        "The user name that the pool sees: `{wallet}` is the payout address above, `{worker}` the worker's name, \
         `{user}` the whole user name that the miner sends.";
    chain "chain": Text = [Text { default: "BTC", longest: 16, ..FILE }], |pool| pool.chain.clone(),
        "The coin that the pool mines, such as `BTC` or `BCH`. Balance needs it.";
    password "password": Secret = [Secret { longest: 256 }],
        |pool| pool.password.as_deref().unwrap_or_default().to_owned(),
        "The password that DPMP sends to the pool. If empty, DPMP sends each miner's own.";
    stall "stall_seconds": Seconds = [Seconds { default: 120, min: 5.0, max: 3600 }], |pool| seconds(pool.stall),
        "Seconds of silence after which a connection to the pool counts as dead; three times as long while no share is \
         waiting for an answer. DPMP always waits `answer_seconds` for the answer to a share, or \
         `stall_seconds` if that is shorter.";
    answer "answer_seconds": Seconds = [Seconds { default: 30, min: 1.0, max: 600 }], |pool| seconds(pool.answer),
        "Seconds that the pool has to answer a share. After three unanswered shares in a row, the pool counts as \
         down.";
    job "job_seconds": Seconds = [Seconds { default: 900, min: 5.0, max: 86_400 }], |pool| seconds(pool.job),
        "Seconds without a new job after which miners work for the other pool. This only applies to pools that \
         usually send new jobs more often.";
    fee_percent "fee_percent": Number = [Number { default: 0, min: 0.0, max: 100 }], |pool| pool.fee_percent.to_string(),
        "Percentage of the earnings that the pool keeps. Balance takes it into account.";
    connections "connections": Word<Connections> =
        [Word { all: &Connections::ALL, name: Connections::name, default: Connections::Own }],
        |pool| pool.connections.name().to_owned(),
        "How miners connect to the pool. `own`: each miner has its own connection. `shared`: many miners share \
         one.";
    miners_per_connection "miners_per_connection": Whole = [Whole { default: 250, min: 2, max: 65_536 }],
        |pool| pool.miners_per_connection.to_string(),
        "If `connections` is `shared`: maximum number of miners on one connection. If connections to both pools are \
         shared, the smaller number applies.";
    payout "payout": Word<PayoutRule> =
        [Word { all: &PayoutRule::ALL, name: PayoutRule::name, default: PayoutRule::Auto }], |pool| pool.payout.name().to_owned(),
        "Who the pool's blocks should pay. `auto`: DPMP learns from the first jobs what you usually get, and warns \
         when you get less than that. `mine`: your address, as with solo pools. `pool`: anyone, without a warning.";
    payout_min_percent "payout_min_percent": Number = [Number { default: 90, min: 0.0, max: 100 }],
        |pool| pool.payout_min.to_string(),
        "If `payout` is `mine`: warn when your address gets less than this percentage of the reward.";
}

/// `saved_pools`
pub(super) const SAVED_POOLS: Key<SavedPools> = Key {
    path: saved_pools::PATH,
    kind: SavedPools { check: check_pool },
    meaning: "Pools to choose from, by name, each with the settings of a pool. DPMP does not mine for a saved pool \
              until you choose it for A or B.",
    needs_restart: AT_ONCE,
    shown: |c| saved_pools::compared(&c.saved_pools),
};

/// Whether a setting of a pool may have this value; otherwise what is allowed instead.
fn check_pool(name: &str, value: &Value) -> Result<(), String> {
    let is_it = |key: &&dyn AnyKey| key.info().path.strip_prefix("pools.A.") == Some(name);
    let key = POOL_A.all().filter(|_| name != "name").find(is_it);
    key.map_or_else(
        || Err("only the settings of a pool, such as host, port and wallet".to_owned()),
        |key| key.check(value),
    )
}

section! {
    /// The keys of `scheduler`.
    scheduler "scheduler" {
        AT_ONCE MODE "mode": Text = Text { default: "ratio", choices: &["ratio", "fleet"], longest: 64 },
            |c| c.scheduler.mode.name().to_owned(),
            "How work is split. `ratio`: each miner splits its own time by the weights. `fleet`: the split applies to \
             all miners together, with as few switches as possible. Any other word means `ratio`, with a warning.";
        AT_ONCE WEIGHT_A "poolA_weight": Weight = Weight(50), |c| c.scheduler.weights[PoolSlot::A].to_string(),
            "Weight of pool A. The work is split by the weights; with 0, the pool only gets work \
             while pool B is down. At least one weight \
             must be above 0.";
        AT_ONCE WEIGHT_B "poolB_weight": Weight = Weight(50), |c| c.scheduler.weights[PoolSlot::B].to_string(),
            "Weight of pool B.";
        AT_ONCE SLICE "slice_seconds": Seconds = Seconds { default: 10, min: 1.0, max: 3600 },
            |c| seconds(c.scheduler.slice),
            "Length of a miner's turn on the pool with the smaller weight, in seconds. The weights determine how much \
             longer the other turn is. If this is below `min_switch_seconds`, that applies instead.";
        AT_ONCE MIN_SWITCH "min_switch_seconds": Seconds = Seconds { default: 1, min: 0.1, max: 3600 },
            |c| seconds(c.scheduler.min_switch),
            "Shortest time between two switches of a miner, in seconds.";
        AT_ONCE CATCH_UP "catch_up_seconds": Seconds = Seconds { default: 600, min: 0.0, max: 86_400 },
            |c| seconds(c.scheduler.catch_up),
            "Maximum number of seconds of missed mining time that a pool gets back after an outage; 0: none.";
        AT_ONCE CLEAN_ON_SWITCH "clean_on_switch": Flag = Flag(false), |c| c.scheduler.clean_on_switch.to_string(),
            "Whether miners drop old work at every switch.";
        AT_ONCE NO_WORK "no_work_seconds": SecondsOrNever =
            SecondsOrNever(Seconds { default: 60, min: 1.0, max: 86_400 }),
            |c| c.scheduler.no_work.map_or("0".to_owned(), seconds),
            "Seconds without work from any pool after which DPMP closes a miner's connection, so it goes to its own \
             fallback pool; 0: never.";
        AT_ONCE FAILOVER "failover": Flag = Flag(true), |c| c.scheduler.failover.to_string(),
            "Whether miners work for the other pool while their own is down. A worker can have its own setting.";
        AT_ONCE MAX_SLICERS "max_slicers": Whole = Whole { default: 4, ..COUNT },
            |c| c.scheduler.max_slicers.to_string(),
            "In `fleet` mode: maximum number of miners that take turns; the others stay on one pool. 0: no limit.";
        AT_ONCE ASSIGN "assign_seconds": Seconds = Seconds { default: 600, min: 10.0, max: 86_400 },
            |c| seconds(c.scheduler.assign),
            "In `fleet` mode: minimum time, in seconds, that a miner without turns stays on its pool.";
    }
}

/// `workers`
pub(super) const WORKERS: Key<Table<BTreeMap<String, WorkerSettings>>> = Key {
    path: "workers",
    kind: tables::WORKERS,
    meaning: "Settings for individual workers, under the worker's exact name: `name` for the pages, `work`, `turns`, \
              `failover`.",
    needs_restart: AT_ONCE,
    shown: |c| tables::workers_shown(&c.workers),
};

/// `groups`
pub(super) const GROUPS: Key<Table<Vec<Group>>> = Key {
    path: "groups",
    kind: tables::GROUPS,
    meaning: "Groups of workers with the same setting: `name`, `match` (patterns of workers' names) and `work`. The \
              first group that matches a worker applies.",
    needs_restart: AT_ONCE,
    shown: |c| tables::groups_shown(&c.groups),
};

section! {
    /// The keys of `timetable`.
    timetable "timetable" {
        AT_ONCE ENABLED "enabled": Flag = Flag(false), |c| c.timetable.enabled.to_string(),
            "Whether the timetable is used.";
        AT_ONCE TIME_ZONE "time_zone": TimeZone = TimeZone, |c| c.timetable.time_zone.clone(),
            "Time zone of the timetable; if empty, the system's.";
        AT_ONCE ENTRIES "entries": Table<Vec<TimetableEntry>> = tables::TIMETABLE,
            |c| tables::timetable_shown(&c.timetable.entries),
            "What to do at certain times of the week: entries with `days`, `from`, `to` and `work`. The first entry \
             that covers the current time applies.";
    }
}

section! {
    /// The keys of `balance`.
    balance "balance" {
        AT_ONCE ENABLED "enabled": Flag = Flag(false), |c| c.balance.enabled.to_string(),
            "Whether the split follows what a hash earns at each pool. Only for two different coins.";
        AT_ONCE FULL_AT_PERCENT "full_at_percent": Number = Number { default: 10, min: 0.1, max: 1000 },
            |c| c.balance.full_at_percent.to_string(),
            "Difference between the pools' earnings, in percent, at which the split is shifted all the way.";
        AT_ONCE MAX_DEVIATION "max_deviation": Number = Number { default: 20, min: 0.0, max: 100 },
            |c| c.balance.max_deviation.to_string(),
            "How far the split may be shifted, in percentage points. With 20, a usual split of 50:50 stays between \
             70:30 and 30:70.";
        AT_ONCE PRICES "prices": Table<BTreeMap<String, f64>> = tables::PRICES,
            |c| tables::prices_shown(&c.balance.prices),
            "Price of each coin, all in one currency; 0: unknown.";
    }
}

section! {
    /// The keys of `downstream_diff`. A default does not count separately: it is part of each pool's value.
    diff "downstream_diff" {
        AT_ONCE DEFAULT_MIN "default_min": Bound = Bound, |_| String::new(),
            "Lowest share difficulty for miners, at pools for which no minimum is set.";
        AT_ONCE DEFAULT_MAX "default_max": Bound = Bound, |_| String::new(),
            "Highest share difficulty for miners, at pools for which no maximum is set.";
        AT_ONCE MIN_A "poolA_min": Bound = Bound, |c| bound(c.downstream_diff[PoolSlot::A].min),
            "Lowest share difficulty for miners while they work for pool A.";
        AT_ONCE MAX_A "poolA_max": Bound = Bound, |c| bound(c.downstream_diff[PoolSlot::A].max),
            "Highest share difficulty for miners while they work for pool A. Shares that meet it but not the pool's \
             own difficulty are not forwarded.";
        AT_ONCE MIN_B "poolB_min": Bound = Bound, |c| bound(c.downstream_diff[PoolSlot::B].min),
            "Lowest share difficulty for miners while they work for pool B.";
        AT_ONCE MAX_B "poolB_max": Bound = Bound, |c| bound(c.downstream_diff[PoolSlot::B].max),
            "Highest share difficulty for miners while they work for pool B. Shares that meet it but not the pool's \
             own difficulty are not forwarded.";
    }
}

section! {
    /// The keys of `notify`.
    notify "notify" {
        AT_ONCE MINER_MISSING "miner_missing_minutes": Whole = Whole { default: 10, min: 0, max: 10_080 },
            |c| c.notify.miner_missing.map_or(0, |time| time.as_secs() / 60).to_string(),
            "Minutes after which a worker that has left counts as missing; 0: never.";
        AT_ONCE TARGETS "targets": Table<BTreeMap<String, Target>> = tables::targets::TARGETS,
            |c| tables::targets::compared(&c.notify.targets),
            "Where DPMP sends messages about problems: targets by name, each with `kind`, `url`, `token` and so on. \
             It sends nothing unless you add a target.";
    }
}

section! {
    /// The keys of `logging`.
    logging "logging" {
        AT_ONCE LEVEL "level": LogLevel = LogLevel(Level::Info), |c| c.logging.level.name().to_owned(),
            "Lowest level that is logged; case does not matter.";
        AT_ONCE ALLOW "allow": Names = EVENTS, |c| names(&c.logging.allow),
            "Names of events to log. If empty, DPMP logs all events.";
        AT_ONCE DENY "deny": Names = EVENTS, |c| names(&c.logging.deny),
            "Names of events that are not logged.";
        AT_ONCE STDOUT "stdout": LogLevel = LogLevel(Level::Trace), |c| c.logging.stdout.name().to_owned(),
            "Lowest level that is also written to standard output; \"off\" for log files only.";
        AFTER_RESTART DIRECTORY "directory": Text = Text { default: "logs", longest: 4096, ..FILE },
            |c| c.logging.directory.as_ref().map_or(String::new(), |path| path.display().to_string()),
            "Folder of the log files, absolute, or relative to the folder of `config.json`. Leave empty for no log \
             files.";
        AFTER_RESTART MAX_FILE "max_file_mb": Whole = Whole { default: 50, min: 1, max: 10_000 },
            |c| c.logging.max_file_mb.to_string(),
            "Size at which DPMP starts a new log file, in MB (1,000,000 bytes).";
        AFTER_RESTART KEEP_FILES "keep_files": Whole = Whole { default: 3, min: 0, max: 100 },
            |c| c.logging.keep_files.to_string(),
            "Number of full log files to keep in addition to the current one.";
        AT_ONCE SHOW_WALLETS "show_wallets": Flag = Flag(false), |c| c.logging.show_wallets.to_string(),
            "Whether logs contain full payout addresses instead of shortened ones.";
    }
}

/// The name of a file, or none.
const FILE: Text = Text {
    default: "",
    choices: &[],
    longest: 1024,
};

/// A count without a limit at zero.
const COUNT: Whole = Whole {
    default: 2000,
    min: 0,
    max: 100_000,
};

const EVENTS: Names = Names {
    most: 1000,
    longest: 100,
};

/// The keys of a pool's lowest and highest difficulty.
pub(super) fn difficulties(slot: PoolSlot) -> (&'static Key<Bound>, &'static Key<Bound>) {
    match slot {
        PoolSlot::A => (&diff::MIN_A, &diff::MAX_A),
        PoolSlot::B => (&diff::MIN_B, &diff::MAX_B),
    }
}

/// Every key, in the order of the sample.
pub(super) fn all() -> Vec<&'static dyn AnyKey> {
    let before = [listen::ALL, metrics::ALL, gui::ALL].concat();
    let pools = PoolSlot::ALL.map(pool).into_iter().flat_map(PoolKeys::all);
    let saved: &[&dyn AnyKey] = &[&SAVED_POOLS];
    let tables: &[&dyn AnyKey] = &[&WORKERS, &GROUPS];
    let steering = [tables, timetable::ALL, balance::ALL].concat();
    let after = [
        saved,
        scheduler::ALL,
        &steering,
        diff::ALL,
        notify::ALL,
        logging::ALL,
    ]
    .concat();
    before.into_iter().chain(pools).chain(after).collect()
}

/// Whether the value of a key must not be shown.
pub(super) fn is_secret(path: &str) -> bool {
    path.ends_with(".password")
        || path.ends_with(".password_hash")
        || [gui::TOKENS.path, notify::TARGETS.path, saved_pools::PATH].contains(&path)
}

fn seconds(time: Duration) -> String {
    time.as_secs_f64().to_string()
}

fn backups(list: &[Backup]) -> String {
    let texts: Vec<_> = list.iter().map(Backup::to_string).collect();
    names(&texts)
}

/// As JSON, because a name can contain any character.
fn names(list: &[String]) -> String {
    Value::from(list).to_string()
}

fn bound(difficulty: Option<Difficulty>) -> String {
    difficulty.map_or("null".to_owned(), |difficulty| difficulty.get().to_string())
}
