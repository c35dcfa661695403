//! The table of all keys. The defaults, the sample, the reference and the list of changes are made from it.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::Value;

use super::address::{PoolHost, Wallet};
use super::backup::{Backup, Backups};
use super::fingerprint::CertificateHash;
use super::kind::choice::{Extranonce2Size, Flag, LogLevel};
use super::kind::number::{Bound, Port, Seconds, SecondsOrNever, Weight, Whole};
use super::kind::text::{Names, PasswordHash, Secret, Text};
use super::kind::{Form, Kind};
use super::network::{ListenAddress, Networks};
use super::user_name::UserNameForm;
use super::{Config, Level, Mode, PoolConfig};
use crate::units::{Difficulty, PoolSlot};

/// What an owner can be told about a key.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyInfo {
    /// Where it stands, such as `scheduler.poolA_weight`.
    pub path: &'static str,
    /// What it is for, with its unit.
    pub meaning: &'static str,
    /// What may be written.
    pub allowed: String,
    /// What a missing value means.
    pub default: Value,
    /// Whether a change waits for a restart. All others apply at once.
    pub needs_restart: bool,
    /// Whether the value must not be shown.
    pub is_secret: bool,
    /// How it is asked for in a form.
    pub form: Form,
}

/// Every key, in the order of the sample.
pub fn key_infos() -> impl Iterator<Item = KeyInfo> {
    all().into_iter().map(|key| key.info())
}

/// A key whose values are of one kind.
pub(super) struct Key<K> {
    /// Where it stands.
    pub(super) path: &'static str,
    pub(super) kind: K,
    meaning: &'static str,
    applies: Applies,
    /// What it is set to, as text that differs if the setting does.
    shown: fn(&Config) -> String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Applies {
    AtOnce,
    AfterRestart,
}

impl<K> Key<K> {
    const fn live(
        path: &'static str,
        kind: K,
        shown: fn(&Config) -> String,
        meaning: &'static str,
    ) -> Self {
        Self {
            path,
            kind,
            meaning,
            applies: Applies::AtOnce,
            shown,
        }
    }

    const fn fixed(
        path: &'static str,
        kind: K,
        shown: fn(&Config) -> String,
        meaning: &'static str,
    ) -> Self {
        Self {
            path,
            kind,
            meaning,
            applies: Applies::AfterRestart,
            shown,
        }
    }
}

/// A key of any kind.
pub(super) trait AnyKey {
    fn info(&self) -> KeyInfo;

    /// Whether a value that is neither missing nor null may be written; otherwise what is allowed instead.
    fn check(&self, value: &Value) -> Result<(), String>;

    /// What it is set to, even if it is a secret: to be compared.
    fn setting(&self, config: &Config) -> String;
}

impl<K: Kind> AnyKey for Key<K> {
    fn info(&self) -> KeyInfo {
        KeyInfo {
            path: self.path,
            meaning: self.meaning,
            allowed: self.kind.allowed(),
            default: self.kind.default_json(),
            needs_restart: self.applies == Applies::AfterRestart,
            is_secret: is_secret(self.path),
            form: self.kind.form(),
        }
    }

    fn check(&self, value: &Value) -> Result<(), String> {
        self.kind.read(value).map(|_| ())
    }

    fn setting(&self, config: &Config) -> String {
        (self.shown)(config)
    }
}

/// The keys of `listen`.
pub(super) mod listen {
    use super::*;

    pub(in crate::config) const HOST: Key<ListenAddress> = Key::fixed(
        "listen.host",
        ListenAddress(Ipv4Addr::UNSPECIFIED),
        |c| c.listen.host.to_string(),
        "Address on which miners are served.",
    );
    pub(in crate::config) const PORT: Key<Port> = Key::fixed(
        "listen.port",
        Port(3351),
        |c| c.listen.port.to_string(),
        "TCP port on which miners are served.",
    );
    pub(in crate::config) const MAX_MINERS: Key<Whole> = Key::live(
        "listen.max_miners",
        COUNT,
        |c| c.listen.max_miners.to_string(),
        "Most miners connected at a time; 0: no limit.",
    );
    pub(in crate::config) const MAX_MINERS_PER_ADDRESS: Key<Whole> = Key::live(
        "listen.max_miners_per_address",
        Whole {
            default: 256,
            ..COUNT
        },
        |c| c.listen.max_miners_per_address.to_string(),
        "Most miners connected at a time from one IP address; 0: no limit.",
    );
    pub(in crate::config) const AUTHORIZE: Key<Seconds> = Key::live(
        "listen.authorize_seconds",
        Seconds {
            default: 30,
            min: 1.0,
            max: 600,
        },
        |c| seconds(c.listen.authorize),
        "Seconds in which a new connection must authorize before it is closed.",
    );
    pub(in crate::config) const SUBMITS_PER_SECOND: Key<Whole> = Key::live(
        "listen.submits_per_second",
        Whole {
            default: 100,
            ..COUNT
        },
        |c| c.listen.submits_per_second.to_string(),
        "Most shares taken from one connection in a second; 0: no limit.",
    );
    pub(in crate::config) const MAX_LINE: Key<Whole> = Key::live(
        "listen.max_line_kib",
        Whole {
            default: 16,
            min: 1,
            max: 1024,
        },
        |c| (c.listen.max_line_bytes / 1024).to_string(),
        "Longest line that a miner may send, in KiB (1024 bytes); a longer one ends its connection. \
         For new connections.",
    );
    pub(in crate::config) const POOL_MAX_LINE: Key<Whole> = Key::live(
        "listen.pool_max_line_kib",
        Whole {
            default: 1024,
            min: 16,
            max: 16_384,
        },
        |c| (c.listen.pool_max_line_bytes / 1024).to_string(),
        "Longest line that a pool may send, in KiB; a longer one ends the connection to it. \
         For new connections.",
    );
    pub(in crate::config) const EXTRANONCE2_SIZE: Key<Extranonce2Size> = Key::live(
        "listen.extranonce2_size",
        Extranonce2Size,
        |c| {
            c.listen
                .extranonce2_size
                .map_or("auto".to_owned(), |size| size.to_string())
        },
        "Size of the miners' extranonce2, in bytes. \"auto\" picks what each miner's software needs. A size that \
         leaves no room for an extranonce1 is used only where the pools give every connection its own. \
         For new connections.",
    );
    pub(in crate::config) const PROXY_PROTOCOL_FROM: Key<Networks> = Key::live(
        "listen.proxy_protocol_from",
        Networks { most: 100 },
        |c| format!("{:?}", c.listen.proxy_protocol_from),
        "Load balancers. A connection from one of them must begin with a PROXY header (version 1 or 2), \
         whose address counts as the miner's.",
    );
    pub(in crate::config) const DRAIN: Key<Seconds> = Key::live(
        "listen.drain_seconds",
        Seconds {
            default: 0,
            min: 0.0,
            max: 3600,
        },
        |c| seconds(c.listen.drain),
        "Seconds over which the miners are let go one after the other at a stop, so that they do not all go to \
         another instance at the same moment; 0: at once.",
    );

    pub(in crate::config) const TLS_PORT: Key<Port> = Key::fixed(
        "listen.tls_port",
        Port(3352),
        |c| c.listen.tls_port.to_string(),
        "TCP port on which miners are served that encrypt (TLS 1.2 or 1.3); open if there is a certificate.",
    );
    pub(in crate::config) const TLS_CERTIFICATE: Key<Text> = Key::fixed(
        "listen.tls_certificate",
        FILE,
        |c| c.listen.tls_certificate.display().to_string(),
        "File with the certificate that they are shown, and those between it and its authority (PEM); relative to the \
         folder of this file. It is read anew when it changes.",
    );
    pub(in crate::config) const TLS_KEY: Key<Text> = Key::fixed(
        "listen.tls_key",
        FILE,
        |c| c.listen.tls_key.display().to_string(),
        "File with the certificate's private key (PEM); if empty, it is in the certificate's file.",
    );

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
}

/// The keys of `metrics`.
pub(super) mod metrics {
    use super::*;

    pub(in crate::config) const ENABLED: Key<Flag> = Key::fixed(
        "metrics.enabled",
        Flag(true),
        |c| c.metrics.enabled.to_string(),
        "Whether metrics are served to Prometheus, at `/metrics`.",
    );
    pub(in crate::config) const HOST: Key<ListenAddress> = Key::fixed(
        "metrics.host",
        ListenAddress(Ipv4Addr::UNSPECIFIED),
        |c| c.metrics.host.to_string(),
        "Address on which metrics are served.",
    );
    pub(in crate::config) const PORT: Key<Port> = Key::fixed(
        "metrics.port",
        Port(9210),
        |c| c.metrics.port.to_string(),
        "TCP port on which metrics are served.",
    );
}

/// The keys of `gui`.
pub(super) mod gui {
    use super::*;

    pub(in crate::config) const ENABLED: Key<Flag> = Key::fixed(
        "gui.enabled",
        Flag(true),
        |c| c.gui.enabled.to_string(),
        "Whether the web pages are served.",
    );
    pub(in crate::config) const HOST: Key<ListenAddress> = Key::fixed(
        "gui.host",
        ListenAddress(Ipv4Addr::UNSPECIFIED),
        |c| c.gui.host.to_string(),
        "Address on which the web pages are served.",
    );
    pub(in crate::config) const PORT: Key<Port> = Key::fixed(
        "gui.port",
        Port(8855),
        |c| c.gui.port.to_string(),
        "TCP port on which the web pages are served.",
    );
    pub(in crate::config) const ALLOWED_HOSTS: Key<Names> = Key::live(
        "gui.allowed_hosts",
        Names {
            most: 100,
            longest: 253,
        },
        |c| names(&c.gui.allowed_hosts),
        "Further host names under which browsers may open the web pages, such as `dpmp.my-lan`.",
    );
    pub(in crate::config) const PASSWORD_HASH: Key<PasswordHash> = Key::live(
        "gui.password_hash",
        PasswordHash,
        |c| c.gui.password_hash.clone().unwrap_or_default(),
        "What the password of the web pages is checked against; the pages write it. If empty, none is asked for.",
    );
}

/// The keys of one pool.
pub(super) struct PoolKeys {
    pub(super) name: Key<Text>,
    pub(super) host: Key<PoolHost>,
    pub(super) port: Key<Port>,
    pub(super) tls: Key<Flag>,
    pub(super) tls_fingerprint: Key<CertificateHash>,
    pub(super) tls_insecure: Key<Flag>,
    pub(super) backups: Key<Backups>,
    pub(super) wallet: Key<Wallet>,
    pub(super) chain: Key<Text>,
    pub(super) user_name: Key<UserNameForm>,
    pub(super) password: Key<Secret>,
    pub(super) stall: Key<Seconds>,
    pub(super) answer: Key<Seconds>,
    pub(super) job: Key<Seconds>,
}

impl PoolKeys {
    fn all(&self) -> [&dyn AnyKey; 14] {
        [
            &self.name,
            &self.host,
            &self.port,
            &self.tls,
            &self.tls_fingerprint,
            &self.tls_insecure,
            &self.backups,
            &self.wallet,
            &self.user_name,
            &self.chain,
            &self.password,
            &self.stall,
            &self.answer,
            &self.job,
        ]
    }
}

macro_rules! pool_keys {
    ($slot:expr, $section:literal, $name:literal, $host:literal) => {
        PoolKeys {
            name: Key::live(
                concat!($section, ".name"),
                Text {
                    default: $name,
                    choices: &[],
                    longest: 64,
                },
                |c| of_pool(c, $slot, |pool| pool.name.clone()),
                "What the pool is called in logs and on the web pages.",
            ),
            host: Key::live(
                concat!($section, ".host"),
                PoolHost { default: $host },
                |c| of_pool(c, $slot, |pool| pool.host.clone()),
                "The pool's host name or IP address; `stratum+tcp://` or `stratum+ssl://` in front and `:port` behind \
                 are understood. The default stands for none.",
            ),
            port: Key::live(
                concat!($section, ".port"),
                Port(3333),
                |c| of_pool(c, $slot, |pool| pool.port.to_string()),
                "The pool's TCP port.",
            ),
            tls: Key::live(
                concat!($section, ".tls"),
                Flag(false),
                |c| of_pool(c, $slot, |pool| pool.tls.enabled.to_string()),
                "Whether connections to the pool are encrypted (TLS 1.2 or 1.3); `stratum+ssl://` in front of the \
                 host says the same. Pools have another port for it.",
            ),
            tls_fingerprint: Key::live(
                concat!($section, ".tls_fingerprint"),
                CertificateHash,
                |c| {
                    of_pool(c, $slot, |pool| {
                        pool.tls
                            .fingerprint
                            .map_or(String::new(), |fingerprint| fingerprint.to_string())
                    })
                },
                "SHA-256 fingerprint of the one certificate that the pool may show, for pools that made their own. \
                 If empty, a known authority must vouch for it.",
            ),
            tls_insecure: Key::live(
                concat!($section, ".tls_insecure"),
                Flag(false),
                |c| of_pool(c, $slot, |pool| pool.tls.insecure.to_string()),
                "Whether any certificate is taken. Then whoever is between can pretend to be the pool.",
            ),
            backups: Key::live(
                concat!($section, ".backups"),
                Backups,
                |c| of_pool(c, $slot, |pool| backups(&pool.backups)),
                "Other addresses, tried in their order while the one above cannot be used or rejects most shares; \
                 when it answers again for a while it is used again.",
            ),
            wallet: Key::live(
                concat!($section, ".wallet"),
                Wallet {
                    default: "YOUR_BTC_WALLET_ADDRESS",
                    longest: Wallet::LONGEST,
                },
                |c| of_pool(c, $slot, |pool| pool.wallet.clone()),
                "The wallet or account to which the pool credits the work. \
                 The default stands for none.",
            ),
            user_name: Key::live(
                concat!($section, ".user_name"),
                UserNameForm,
                |c| of_pool(c, $slot, |pool| pool.user_name.to_string()),
                "The user name that the pool sees: `{wallet}` is the wallet above, `{worker}` the miner's worker, \
                 `{user}` the whole user name of the miner.",
            ),
            chain: Key::live(
                concat!($section, ".chain"),
                Text {
                    default: "BTC",
                    choices: &[],
                    longest: 16,
                },
                |c| of_pool(c, $slot, |pool| pool.chain.clone()),
                "The coin that the pool mines, such as `BTC` or `BCH`; only shown.",
            ),
            password: Key::live(
                concat!($section, ".password"),
                Secret { longest: 256 },
                |c| of_pool(c, $slot, |pool| pool.password.clone().unwrap_or_default()),
                "The password that the pool is given; if empty, each miner's own.",
            ),
            stall: Key::live(
                concat!($section, ".stall_seconds"),
                Seconds {
                    default: 120,
                    min: 5.0,
                    max: 3600,
                },
                |c| of_pool(c, $slot, |pool| seconds(pool.stall)),
                "Seconds without any message after which a connection to the pool counts as dead.",
            ),
            answer: Key::live(
                concat!($section, ".answer_seconds"),
                Seconds {
                    default: 30,
                    min: 1.0,
                    max: 600,
                },
                |c| of_pool(c, $slot, |pool| seconds(pool.answer)),
                "Seconds after which a share without an answer is lost. After three in a row the pool counts as down.",
            ),
            job: Key::live(
                concat!($section, ".job_seconds"),
                Seconds {
                    default: 900,
                    min: 5.0,
                    max: 86_400,
                },
                |c| of_pool(c, $slot, |pool| seconds(pool.job)),
                "Seconds without a new job after which miners work for the other pool. It applies only to pools that \
                 usually send new jobs more often.",
            ),
        }
    };
}

const POOL_A: PoolKeys = pool_keys!(PoolSlot::A, "pools.A", "Pool A", "pool-a.example.com");
const POOL_B: PoolKeys = pool_keys!(PoolSlot::B, "pools.B", "Pool B", "pool-b.example.com");

/// The keys of a pool.
pub(super) fn pool(slot: PoolSlot) -> &'static PoolKeys {
    match slot {
        PoolSlot::A => &POOL_A,
        PoolSlot::B => &POOL_B,
    }
}

/// The keys of `scheduler`.
pub(super) mod scheduler {
    use super::*;

    pub(in crate::config) const MODE: Key<Text> = Key::live(
        "scheduler.mode",
        Text {
            default: "ratio",
            choices: &["ratio"],
            longest: 64,
        },
        |c| match c.scheduler.mode {
            Mode::Ratio => "ratio".to_owned(),
            Mode::Fleet => "fleet".to_owned(),
        },
        "How work is split. There is one way, `ratio`: mining time in the ratio of the weights; \
         any other word is taken for it, with a warning.",
    );
    pub(in crate::config) const WEIGHT_A: Key<Weight> = Key::live(
        "scheduler.poolA_weight",
        Weight(50),
        |c| c.scheduler.weights[PoolSlot::A].to_string(),
        "Weight of pool A. The work splits in the ratio of the weights; 0: the pool is not connected to. \
         One of them must be above 0.",
    );
    pub(in crate::config) const WEIGHT_B: Key<Weight> = Key::live(
        "scheduler.poolB_weight",
        Weight(50),
        |c| c.scheduler.weights[PoolSlot::B].to_string(),
        "Weight of pool B.",
    );
    pub(in crate::config) const SLICE: Key<Seconds> = Key::live(
        "scheduler.slice_seconds",
        Seconds {
            default: 10,
            min: 1.0,
            max: 3600,
        },
        |c| seconds(c.scheduler.slice),
        "Seconds of a miner's turn on the pool with the smaller weight; the other's is longer by the ratio. \
         Raised to `min_switch_seconds` if it is below.",
    );
    pub(in crate::config) const MIN_SWITCH: Key<Seconds> = Key::live(
        "scheduler.min_switch_seconds",
        Seconds {
            default: 1,
            min: 0.1,
            max: 3600,
        },
        |c| seconds(c.scheduler.min_switch),
        "Fewest seconds between two switches of a miner.",
    );
    pub(in crate::config) const CATCH_UP: Key<Seconds> = Key::live(
        "scheduler.catch_up_seconds",
        Seconds {
            default: 600,
            min: 0.0,
            max: 86_400,
        },
        |c| seconds(c.scheduler.catch_up),
        "Most seconds of mining time that a pool gets back after it was down; 0: none.",
    );
    pub(in crate::config) const CLEAN_ON_SWITCH: Key<Flag> = Key::live(
        "scheduler.clean_on_switch",
        Flag(false),
        |c| c.scheduler.clean_on_switch.to_string(),
        "Whether a miner is told at every switch to drop the work that it has in hand.",
    );
    pub(in crate::config) const NO_WORK: Key<SecondsOrNever> = Key::live(
        "scheduler.no_work_seconds",
        SecondsOrNever(Seconds {
            default: 60,
            min: 1.0,
            max: 86_400,
        }),
        |c| c.scheduler.no_work.map_or("0".to_owned(), seconds),
        "Seconds without work from any pool after which a miner's connection is closed, \
         so that it goes to its own fallback pool; 0: never.",
    );
}

/// The keys of `downstream_diff`.
pub(super) mod diff {
    use super::*;

    pub(in crate::config) const DEFAULT_MIN: Key<Bound> = Key::live(
        "downstream_diff.default_min",
        Bound,
        merged,
        "Lowest share difficulty that miners are given, for a pool without one of its own.",
    );
    pub(in crate::config) const DEFAULT_MAX: Key<Bound> = Key::live(
        "downstream_diff.default_max",
        Bound,
        merged,
        "Highest share difficulty that miners are given, for a pool without one of its own.",
    );
    pub(in crate::config) const MIN_A: Key<Bound> = Key::live(
        "downstream_diff.poolA_min",
        Bound,
        |c| bound(c.downstream_diff[PoolSlot::A].min),
        "Lowest share difficulty that miners are given while they work for pool A.",
    );
    pub(in crate::config) const MAX_A: Key<Bound> = Key::live(
        "downstream_diff.poolA_max",
        Bound,
        |c| bound(c.downstream_diff[PoolSlot::A].max),
        "Highest share difficulty that miners are given while they work for pool A. \
         What meets it but not the pool's own difficulty is not forwarded.",
    );
    pub(in crate::config) const MIN_B: Key<Bound> = Key::live(
        "downstream_diff.poolB_min",
        Bound,
        |c| bound(c.downstream_diff[PoolSlot::B].min),
        "Lowest share difficulty that miners are given while they work for pool B.",
    );
    pub(in crate::config) const MAX_B: Key<Bound> = Key::live(
        "downstream_diff.poolB_max",
        Bound,
        |c| bound(c.downstream_diff[PoolSlot::B].max),
        "Highest share difficulty that miners are given while they work for pool B. \
         What meets it but not the pool's own difficulty is not forwarded.",
    );

    /// The keys of a pool's lowest and highest difficulty.
    pub(in crate::config) fn of(slot: PoolSlot) -> (&'static Key<Bound>, &'static Key<Bound>) {
        match slot {
            PoolSlot::A => (&MIN_A, &MAX_A),
            PoolSlot::B => (&MIN_B, &MAX_B),
        }
    }

    /// A default is not seen by itself: it is part of what each pool has.
    fn merged(_: &Config) -> String {
        String::new()
    }
}

/// The keys of `logging`.
pub(super) mod logging {
    use super::*;

    pub(in crate::config) const LEVEL: Key<LogLevel> = Key::live(
        "logging.level",
        LogLevel(Level::Info),
        |c| c.logging.level.name().to_owned(),
        "Least importance that is logged, in capitals or not.",
    );
    pub(in crate::config) const ALLOW: Key<Names> = Key::live(
        "logging.allow",
        EVENTS,
        |c| names(&c.logging.allow),
        "Names of the only events that are logged; all if empty.",
    );
    pub(in crate::config) const DENY: Key<Names> = Key::live(
        "logging.deny",
        EVENTS,
        |c| names(&c.logging.deny),
        "Names of events that are not logged.",
    );
    pub(in crate::config) const STDOUT: Key<LogLevel> = Key::live(
        "logging.stdout",
        LogLevel(Level::Trace),
        |c| c.logging.stdout.name().to_owned(),
        "Least importance that is also written to standard output; \"off\" for log files only.",
    );
    pub(in crate::config) const DIRECTORY: Key<Text> = Key::fixed(
        "logging.directory",
        Text {
            default: "logs",
            choices: &[],
            longest: 4096,
        },
        |c| {
            c.logging
                .directory
                .as_ref()
                .map_or(String::new(), |path| path.display().to_string())
        },
        "Folder of the log files, absolute or beside the config file; if empty, there are none.",
    );
    pub(in crate::config) const MAX_FILE: Key<Whole> = Key::fixed(
        "logging.max_file_mb",
        Whole {
            default: 50,
            min: 1,
            max: 10_000,
        },
        |c| c.logging.max_file_mb.to_string(),
        "Size at which a new log file is begun, in MB (1 000 000 bytes).",
    );
    pub(in crate::config) const KEEP_FILES: Key<Whole> = Key::fixed(
        "logging.keep_files",
        Whole {
            default: 3,
            min: 0,
            max: 100,
        },
        |c| c.logging.keep_files.to_string(),
        "How many full log files are kept besides the present one.",
    );
    pub(in crate::config) const SHOW_WALLETS: Key<Flag> = Key::live(
        "logging.show_wallets",
        Flag(false),
        |c| c.logging.show_wallets.to_string(),
        "Whether wallets are written out in logs instead of shortened.",
    );

    const EVENTS: Names = Names {
        most: 1000,
        longest: 100,
    };
}

/// Every key, in the order of the sample.
pub(super) fn all() -> Vec<&'static dyn AnyKey> {
    let before: [&dyn AnyKey; 22] = [
        &listen::HOST,
        &listen::PORT,
        &listen::MAX_MINERS,
        &listen::MAX_MINERS_PER_ADDRESS,
        &listen::AUTHORIZE,
        &listen::SUBMITS_PER_SECOND,
        &listen::MAX_LINE,
        &listen::POOL_MAX_LINE,
        &listen::EXTRANONCE2_SIZE,
        &listen::PROXY_PROTOCOL_FROM,
        &listen::DRAIN,
        &listen::TLS_PORT,
        &listen::TLS_CERTIFICATE,
        &listen::TLS_KEY,
        &metrics::ENABLED,
        &metrics::HOST,
        &metrics::PORT,
        &gui::ENABLED,
        &gui::HOST,
        &gui::PORT,
        &gui::ALLOWED_HOSTS,
        &gui::PASSWORD_HASH,
    ];
    let after: [&dyn AnyKey; 22] = [
        &scheduler::MODE,
        &scheduler::WEIGHT_A,
        &scheduler::WEIGHT_B,
        &scheduler::SLICE,
        &scheduler::MIN_SWITCH,
        &scheduler::CATCH_UP,
        &scheduler::CLEAN_ON_SWITCH,
        &scheduler::NO_WORK,
        &diff::DEFAULT_MIN,
        &diff::DEFAULT_MAX,
        &diff::MIN_A,
        &diff::MAX_A,
        &diff::MIN_B,
        &diff::MAX_B,
        &logging::LEVEL,
        &logging::ALLOW,
        &logging::DENY,
        &logging::STDOUT,
        &logging::DIRECTORY,
        &logging::MAX_FILE,
        &logging::KEEP_FILES,
        &logging::SHOW_WALLETS,
    ];
    let pools = POOL_A.all().into_iter().chain(POOL_B.all());
    before.into_iter().chain(pools).chain(after).collect()
}

/// Whether the value of a key must not be shown.
pub(super) fn is_secret(path: &str) -> bool {
    path.ends_with(".password") || path.ends_with(".password_hash")
}

fn of_pool(config: &Config, slot: PoolSlot, shown: fn(&PoolConfig) -> String) -> String {
    config.pools[slot].as_ref().map_or(String::new(), shown)
}

fn seconds(time: Duration) -> String {
    time.as_secs_f64().to_string()
}

fn backups(list: &[Backup]) -> String {
    let texts: Vec<_> = list.iter().map(Backup::to_string).collect();
    names(&texts)
}

/// As JSON, since a name can have any character in it.
fn names(list: &[String]) -> String {
    Value::from(list).to_string()
}

fn bound(difficulty: Option<Difficulty>) -> String {
    difficulty.map_or("null".to_owned(), |difficulty| difficulty.get().to_string())
}
