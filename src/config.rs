//! The owner's settings: one JSON file, read into a [`Config`] that can only hold allowed values.
//!
//! There are two stages. `keys` is the table of all keys: path, meaning, default and range. `raw` turns text into JSON
//! and looks up values; `build` makes the [`Config`] from them. All mistakes are found in one pass. Outside this
//! module, nothing reads raw JSON or checks a setting again.
//!
//! The sample, the reference in `docs/configuration.md` and the list of [changes] in a new configuration come from the
//! same table. Applying a configuration to the running program is *not* done here.

mod address;
mod backup;
mod build;
mod change;
mod fault;
mod file;
mod fingerprint;
mod keys;
mod kind;
pub mod known_pools;
pub mod merge;
mod network;
pub mod notify;
mod python;
mod raw;
pub mod saved_pools;
mod start;
pub mod steering;
mod tables;
mod title;
mod user_name;

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use serde_json::Value;

use crate::units::{Difficulty, PerPool, PoolSlot, named};

pub use self::address::{is_link_local, leads_nowhere, why_nowhere};
pub use self::backup::Backup;
pub use self::change::{Change, changes, may_replace};
pub use self::fault::{ConfigErrors, Fault};
pub use self::file::{imported, load_or_create, locate, sample, save, text};
pub use self::fingerprint::Fingerprint;
pub use self::keys::{KeyInfo, key_infos};
pub use self::kind::{Form, FormKind};
use self::notify::Notify;
pub(crate) use self::raw::LARGEST_FILE;
use self::saved_pools::SavedPool;
pub use self::start::parse_for_start;
use self::steering::{Balance, Group, Timetable, WorkerSettings};
pub use self::user_name::UserName;

/// All settings. [`Default`] is the meaning of an empty file: all defaults and no pool. The default and the range of
/// each setting are only in the table of keys, [`key_infos`].
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where and how miners are served.
    pub listen: Listen,
    /// The Prometheus endpoint.
    pub metrics: Endpoint,
    /// The web pages.
    pub gui: Gui,
    /// The pools. `None`: not set up yet, which means without a host or a wallet, or with the sample's.
    pub pools: PerPool<Option<PoolConfig>>,
    /// Saved pools, by name.
    pub saved_pools: BTreeMap<String, SavedPool>,
    /// How work is split between the pools.
    pub scheduler: Scheduling,
    /// Settings of individual workers, by name.
    pub workers: BTreeMap<String, WorkerSettings>,
    /// Groups of workers with the same setting.
    pub groups: Vec<Group>,
    /// What to do at which time of the week.
    pub timetable: Timetable,
    /// Whether the split follows the earnings.
    pub balance: Balance,
    /// Limits of the share difficulty for miners while they work for a pool.
    pub downstream_diff: PerPool<DifficultyLimits>,
    /// Where messages about troubles are sent.
    pub notify: Notify,
    /// What is logged, and where.
    pub logging: Logging,
}

impl Config {
    /// Whether mining can begin: every pool with a weight above zero is set up.
    pub fn is_set_up(&self) -> bool {
        let weights = &self.scheduler.weights;
        weights.iter().any(|(_, weight)| *weight > 0.0)
            && self
                .pools
                .iter()
                .all(|(slot, pool)| pool.is_some() || weights[slot] <= 0.0)
    }

    /// A pool's part of the work, from 0.0 to 1.0, even if it is not set up. Both add up to 1.
    pub fn share(&self, slot: PoolSlot) -> f64 {
        let weights = &self.scheduler.weights;
        let sum = weights[slot] + weights[slot.other()];
        if sum > 0.0 { weights[slot] / sum } else { 0.0 }
    }

    /// Whether a worker works for the other pool while its own is down.
    pub fn may_stand_in(&self, worker: &str) -> bool {
        let own = self.workers.get(worker).and_then(|it| it.failover);
        own.unwrap_or(self.scheduler.failover)
    }

    /// A pool that is set up and has a weight above zero, so that DPMP connects to it.
    pub fn pool_in_use(&self, slot: PoolSlot) -> Option<&PoolConfig> {
        self.pools[slot]
            .as_ref()
            .filter(|_| self.scheduler.weights[slot] > 0.0)
    }
}

impl Default for Config {
    fn default() -> Self {
        build::build(&Value::Null).config
    }
}

/// Where and how miners are served: `listen`.
#[derive(Clone, Debug, PartialEq)]
pub struct Listen {
    /// The address to listen on; `0.0.0.0`: all of IPv4, `::`: IPv6 and IPv4. Needs a restart.
    pub host: IpAddr,
    /// The TCP port. Needs a restart.
    pub port: u16,
    /// How many miners may be connected; 0: no limit.
    pub max_miners: u32,
    /// How many of them from one IP address; 0: no limit.
    pub max_miners_per_address: u32,
    /// How long a miner may take to authorize. Key: `authorize_seconds`.
    pub authorize: Duration,
    /// How many submits per second one connection may send; 0: no limit.
    pub submits_per_second: u32,
    /// The longest line that a miner may send, in bytes. Key: `max_line_kib`.
    pub max_line_bytes: usize,
    /// The longest line that a pool may send, in bytes. Key: `pool_max_line_kib`.
    pub pool_max_line_bytes: usize,
    /// The size of the miners' extranonce2, in bytes; `None` (`"auto"`): by software and pools.
    pub extranonce2_size: Option<u8>,
    /// Load balancers, whose connections begin with a PROXY header that contains the miner's address.
    pub proxy_protocol_from: Vec<IpNet>,
    /// The TCP port for encrypted connections from miners. It is open if there is a certificate. Needs a restart.
    pub tls_port: u16,
    /// The file with the certificate (PEM) for them; empty: none. Needs a restart.
    pub tls_certificate: PathBuf,
    /// The file with its key; empty: it is in the same file. Needs a restart.
    pub tls_key: PathBuf,
    /// How long it takes to disconnect the miners when DPMP stops; 0: all immediately. Key: `drain_seconds`.
    pub drain: Duration,
}

impl Listen {
    /// Whether miners can use TLS.
    pub fn has_certificate(&self) -> bool {
        !is_empty(&self.tls_certificate)
    }

    /// The files of the certificate and its key, if miners can use TLS. Relative paths start at the config file's
    /// folder.
    pub fn certificate_beside(&self, config_file: &Path) -> Option<(PathBuf, PathBuf)> {
        let certificate = Some(&self.tls_certificate).filter(|file| !is_empty(file))?;
        let key = Some(&self.tls_key).filter(|file| !is_empty(file));
        let key = key.unwrap_or(certificate);
        Some((beside(config_file, certificate), beside(config_file, key)))
    }
}

/// A path in the config file: a relative one starts at that file's folder.
fn beside(config_file: &Path, path: &Path) -> PathBuf {
    config_file.parent().unwrap_or(Path::new("")).join(path)
}

fn is_empty(path: &Path) -> bool {
    path.as_os_str().is_empty()
}

/// A plain HTTP service: `metrics`. All of it needs a restart.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Whether it is served.
    pub enabled: bool,
    /// The address to listen on.
    pub host: IpAddr,
    /// The TCP port.
    pub port: u16,
}

/// The web pages: `gui`.
#[derive(Clone, Debug, PartialEq)]
pub struct Gui {
    /// Whether they are served. Needs a restart.
    pub enabled: bool,
    /// The address to listen on. Needs a restart.
    pub host: IpAddr,
    /// The TCP port. Needs a restart.
    pub port: u16,
    /// Host names, in lower case, under which browsers may open them, in addition to IP addresses and the names that
    /// are always allowed.
    pub allowed_hosts: Vec<String>,
    /// The password as an argon2id hash in PHC form; `None`: no password is required.
    pub password_hash: Option<Hidden>,
    /// Tokens of programs that may use the API, by the programs' names.
    pub tokens: BTreeMap<String, ApiToken>,
    /// The address under which the owner opens the pages, for links in messages; empty: none.
    pub public_url: String,
}

/// A program's token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiToken {
    /// The token's SHA-256, 64 hex digits in lower case.
    pub hash: Hidden,
    /// What it allows.
    pub may: May,
}

named! {
    /// What a program may do. Each level includes the previous one.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub enum May {
        /// Read the state.
        View = "view",
        /// Change the split, temporary changes and prices.
        Steer = "steer",
    }
}

/// How many tokens there may be.
pub const MOST_TOKENS: usize = 32;

/// The longest name of a token, in characters.
pub const LONGEST_TOKEN_NAME: usize = 64;

/// A secret text.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(not shown)")
    }
}

impl Deref for Hidden {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// A pool that is set up: `pools.A` or `pools.B`.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolConfig {
    /// Its name in logs and on pages; never empty.
    pub name: String,
    /// Its host name in lower case, or its IP address without brackets.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
    /// Whether and how the connection is encrypted.
    pub tls: Tls,
    /// Other addresses, tried in order while this one fails.
    pub backups: Vec<Backup>,
    /// The account that the pool credits; never empty.
    pub wallet: String,
    /// The format of the user name that the pool sees.
    pub user_name: UserName,
    /// The coin, in upper case. It is shown, and the balance uses it.
    pub chain: String,
    /// The password that the pool gets; `None`: the miner's own.
    pub password: Option<Hidden>,
    /// A pool that sends nothing for this long is down. Key: `stall_seconds`.
    pub stall: Duration,
    /// A pool has this long to answer a share. Key: `answer_seconds`.
    pub answer: Duration,
    /// If a pool sends no new job for this long, although it used to, miners work for the other pool. Key:
    /// `job_seconds`.
    pub job: Duration,
    /// Whether each miner has its own connection. Key: `connections`.
    pub connections: Connections,
    /// The maximum number of miners on a shared connection. Key: `miners_per_connection`.
    pub miners_per_connection: usize,
    /// What the pool keeps of the earnings, in percent. Key: `fee_percent`.
    pub fee_percent: f64,
    /// Who its blocks should pay. Key: `payout`.
    pub payout: PayoutRule,
    /// The minimum share of the reward for the owner if its blocks should pay the owner, in percent. Key:
    /// `payout_min_percent`.
    pub payout_min: f64,
}

impl PoolConfig {
    /// The maximum number of miners on a connection; `None`: each has its own.
    pub fn most_members(&self) -> Option<usize> {
        match self.connections {
            Connections::Own => None,
            Connections::Shared => Some(self.miners_per_connection),
        }
    }

    /// `host:port`, an IPv6 address in brackets.
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The number of addresses: the first one and its backups.
    pub fn addresses(&self) -> usize {
        1 + self.backups.len()
    }

    /// The pool's settings at one of its addresses; 0, or a number that is too large, means the first one.
    pub fn at(&self, site: usize) -> Self {
        let backup = site
            .checked_sub(1)
            .and_then(|index| self.backups.get(index));
        let Some(backup) = backup else {
            return self.clone();
        };
        Self {
            host: backup.host.clone(),
            port: backup.port,
            tls: Tls {
                enabled: backup.tls,
                // Both apply to the certificate of the first address.
                fingerprint: None,
                insecure: false,
            },
            wallet: backup.wallet.clone().unwrap_or_else(|| self.wallet.clone()),
            ..self.clone()
        }
    }
}

/// Whether connections to a pool are encrypted, and which certificate is accepted: `tls`, `tls_fingerprint`,
/// `tls_insecure`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Whether they are encrypted. Also set by a host that begins with `stratum+ssl://`.
    pub enabled: bool,
    /// The only certificate that is accepted; `None`: any from a known authority.
    pub fingerprint: Option<Fingerprint>,
    /// Whether any certificate is accepted if there is no fingerprint.
    pub insecure: bool,
}

impl Tls {
    /// Which certificate is accepted; `None` if connections are not encrypted.
    pub fn trust(&self) -> Option<Trust> {
        self.enabled
            .then_some(match (self.fingerprint, self.insecure) {
                (Some(fingerprint), _) => Trust::Pinned(fingerprint),
                (None, false) => Trust::Authorities,
                (None, true) => Trust::Anyone,
            })
    }
}

/// Which certificate is accepted from a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// One for its name from a known authority.
    Authorities,
    /// Only this one, regardless of its name and dates.
    Pinned(Fingerprint),
    /// Any.
    Anyone,
}

/// How work is split between the pools: `scheduler`.
#[derive(Clone, Debug, PartialEq)]
pub struct Scheduling {
    /// The mode.
    pub mode: Mode,
    /// The pools' weights; 0: only work while the other pool is down. They are never both 0. Only their proportion
    /// counts: see [`Config::share`].
    pub weights: PerPool<f64>,
    /// The shorter pool's turn, never below `min_switch`. Key: `slice_seconds`.
    pub slice: Duration,
    /// The shortest turn of all. Key: `min_switch_seconds`.
    pub min_switch: Duration,
    /// How much missed time a pool gets back after an outage. Key: `catch_up_seconds`.
    pub catch_up: Duration,
    /// Whether miners must drop their current work at every switch.
    pub clean_on_switch: bool,
    /// A miner without work is disconnected after this long; `None`: never. Key: `no_work_seconds`, 0 for never.
    pub no_work: Option<Duration>,
    /// Whether workers work for the other pool while their own is down.
    pub failover: bool,
    /// The maximum number of miners that take turns in [`Mode::Fleet`]; 0: all.
    pub max_slicers: u32,
    /// The shortest time between two moves of a miner in [`Mode::Fleet`]. Key: `assign_seconds`.
    pub assign: Duration,
}

named! {
    /// Who a pool's blocks should pay.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum PayoutRule {
        /// The same as at first.
        Auto = "auto",
        /// The owner's address.
        Mine = "mine",
        /// Anyone.
        Pool = "pool",
    }
}

named! {
    /// How miners connect to a pool.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Connections {
        /// Each miner has its own connection.
        Own = "own",
        /// Many miners share one.
        Shared = "shared",
    }
}

named! {
    /// The mode in which work is split.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Mode {
        /// Each miner splits its own time by the weights.
        Ratio = "ratio",
        /// The split applies to the fleet as a whole, with as few switches as possible.
        Fleet = "fleet",
    }
}

/// Bounds of the share difficulty for miners at one pool: `downstream_diff`, where `poolA_min` overrides `default_min`.
/// `min` is never above `max`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DifficultyLimits {
    /// Never lower than this; `None`: the pool's own.
    pub min: Option<Difficulty>,
    /// Never higher than this; `None`: the pool's own.
    pub max: Option<Difficulty>,
}

impl DifficultyLimits {
    /// The pool's difficulty, limited to the bounds.
    pub fn hold(&self, difficulty: Difficulty) -> Difficulty {
        let raised = self.min.map_or(difficulty, |min| difficulty.max(min));
        self.max.map_or(raised, |max| raised.min(max))
    }

    /// The part of a miner's work, from 0 to 1, that a pool with this difficulty does not pay: it credits each share
    /// with its own difficulty, and never gets shares below the minimum.
    pub fn unpaid(&self, pool: Difficulty) -> f64 {
        let told = self.hold(pool).for_miner();
        (1.0 - pool.get() / told.get()).max(0.0)
    }
}

/// What is logged, and where: `logging`.
#[derive(Clone, Debug, PartialEq)]
pub struct Logging {
    /// The lowest level that is logged.
    pub level: Level,
    /// Only events with these names are logged; all if empty.
    pub allow: Vec<String>,
    /// Events with these names are not logged.
    pub deny: Vec<String>,
    /// The lowest level that is written to standard output. See [`stdout`](Self::stdout).
    pub stdout: Level,
    /// The log files' folder as written in the file; `None`: no files. See
    /// [`directory_beside`](Self::directory_beside). Needs a restart.
    pub directory: Option<PathBuf>,
    /// The size at which a new log file is started, in MB. Needs a restart.
    pub max_file_mb: u32,
    /// How many full log files are kept. Needs a restart.
    pub keep_files: u32,
    /// Whether logs contain full payout addresses.
    pub show_wallets: bool,
}

impl Logging {
    /// The lowest level that is written to standard output. The environment variable `DPMP_LOG_STDOUT` overrides the
    /// configuration, because the person who starts a container knows whether its output is kept.
    pub fn stdout(&self) -> Level {
        let wanted = env::var("DPMP_LOG_STDOUT").unwrap_or_default();
        let wanted = Level::ALL.into_iter().find(|level| level.name() == wanted);
        wanted.unwrap_or(self.stdout)
    }

    /// The log files' folder. A relative path starts at the config file's folder.
    pub fn directory_beside(&self, config_file: &Path) -> Option<PathBuf> {
        let directory = self.directory.as_ref()?;
        Some(beside(config_file, directory))
    }
}

named! {
    /// Log levels.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Level {
        /// Nothing is logged.
        Off = "off",
        /// The owner has to act.
        Error = "error",
        /// The owner should know.
        Warn = "warn",
        /// Normal events.
        Info = "info",
        /// Reasons.
        Debug = "debug",
        /// Every message.
        Trace = "trace",
    }
}

impl From<Level> for log::LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Off => Self::Off,
            Level::Error => Self::Error,
            Level::Warn => Self::Warn,
            Level::Info => Self::Info,
            Level::Debug => Self::Debug,
            Level::Trace => Self::Trace,
        }
    }
}

/// A configuration that was read without mistakes.
#[derive(Clone, PartialEq)]
pub struct LoadedConfig {
    /// Its meaning.
    pub config: Config,
    /// Warnings about it, one sentence each.
    pub warnings: Vec<String>,
    /// The warnings about parts of the configuration, or of an old one, that cannot be used. Only when DPMP starts.
    pub troubles: Vec<StartTrouble>,
    /// The JSON of the file, in its order and with unknown keys, so that a change of one value can be saved without
    /// losing anything. It contains passwords.
    pub raw: Value,
}

/// Something that could not be used when DPMP started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartTrouble {
    /// The pool that is not used because of it, if any.
    pub pool: Option<PoolSlot>,
    /// The key and its mistake.
    pub text: String,
}

impl fmt::Debug for LoadedConfig {
    /// Without the raw JSON, because it contains passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedConfig")
            .field("config", &self.config)
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}

/// Reads a configuration. Missing or null values get their defaults.
///
/// # Errors
/// Every value that is not allowed, or where the text stops being JSON.
pub fn parse(text: &str) -> Result<LoadedConfig, ConfigErrors> {
    of_json(raw::read(text)?)
}

/// The same for a file, which an earlier version may have written: characters that change the direction of text are left
/// out, with a warning for each place.
///
/// # Errors
/// As for [`parse`].
pub fn parse_file(text: &str) -> Result<LoadedConfig, ConfigErrors> {
    let (raw, mut warnings) = raw::read_file(text)?;
    let mut loaded = of_json(raw)?;
    warnings.append(&mut loaded.warnings);
    Ok(LoadedConfig { warnings, ..loaded })
}

fn of_json(raw: Value) -> Result<LoadedConfig, ConfigErrors> {
    let built = build::build(&raw);
    if built.faults.is_empty() {
        Ok(LoadedConfig {
            config: built.config,
            warnings: built.warnings,
            troubles: Vec::new(),
            raw,
        })
    } else {
        Err(ConfigErrors::new(built.faults))
    }
}

/// Parses a configuration's JSON without checking it, for code that edits part of it. The result may contain passwords.
///
/// # Errors
/// Where the text stops being one JSON object, and keys that stand twice.
pub fn read_json(text: &str) -> Result<Value, ConfigErrors> {
    raw::read(text)
}

/// The same for a file, with warnings as from [`parse_file`].
///
/// # Errors
/// As for [`read_json`].
pub fn read_file(text: &str) -> Result<(Value, Vec<String>), ConfigErrors> {
    raw::read_file(text)
}

/// The value at a path such as `pools.A.wallet`, unless it is null or missing.
pub fn lookup<'a>(json: &'a Value, path: &str) -> Option<&'a Value> {
    raw::lookup(json, path)
}

/// Sets a value, such as `scheduler.poolA_weight`, and creates its sections. If there is something other than a
/// section, nothing is done; such a configuration is not valid anyway.
pub fn set(json: &mut Value, path: &str, value: Value) {
    raw::set(json, path, value);
}

#[cfg(test)]
mod tests;
