//! From JSON to a [`Config`], with all mistakes in it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::address::{leads_nowhere, why_nowhere};
use super::fault::{Fault, quote};
use super::keys::{
    self, AnyKey, Key, PoolKeys, balance, diff, gui, listen, logging, metrics, scheduler, timetable,
};
use super::kind::Kind;
use super::notify::{Notify, WEB_ADDRESS, is_web_address};
use super::raw::{join, lookup};
use super::steering::{Balance, Timetable};
use super::{
    Config, DifficultyLimits, Endpoint, Gui, Hidden, Listen, Logging, Mode, PayoutRule, PoolConfig,
    Scheduling, Tls, Trust,
};
use crate::coin::address::Wallet;
use crate::coin::remark::wallet_problem;
use crate::units::{Difficulty, PerPool, PoolSlot};

/// How many unknown keys are named in the warning.
const MOST_UNKNOWN: usize = 5;

/// The result of reading some JSON.
pub(super) struct BuildResult {
    /// Correct if there are no faults. Wrong values have their defaults.
    pub(super) config: Config,
    pub(super) faults: Vec<Fault>,
    pub(super) warnings: Vec<String>,
}

/// Builds a configuration from a JSON object. Null counts as an empty object.
pub(super) fn build(root: &Value) -> BuildResult {
    let mut reader = Reader {
        root,
        faults: Vec::new(),
        warnings: Vec::new(),
    };
    reader.check_sections();
    reader.warn_of_unknown_keys();
    let config = Config {
        listen: reader.listen(),
        metrics: reader.metrics(),
        gui: reader.gui(),
        pools: PerPool::from_fn(|slot| reader.pool(slot)),
        saved_pools: reader.get(&keys::SAVED_POOLS),
        scheduler: reader.scheduler(),
        workers: reader.get(&keys::WORKERS),
        groups: reader.get(&keys::GROUPS),
        timetable: reader.timetable(),
        balance: reader.balance(),
        downstream_diff: reader.downstream_diff(),
        notify: reader.notify(),
        logging: reader.logging(),
    };
    reader.check_ports(&config);
    reader.check_loops(&config);
    reader.warn_of_twins(&config);
    BuildResult {
        config,
        faults: reader.faults,
        warnings: reader.warnings,
    }
}

/// Reads the JSON and collects faults and warnings.
struct Reader<'a> {
    root: &'a Value,
    faults: Vec<Fault>,
    warnings: Vec<String>,
}

impl Reader<'_> {
    /// The value of a key, or its default if there is none or a wrong one.
    fn get<K: Kind>(&mut self, key: &Key<K>) -> K::Meaning {
        self.given(key).unwrap_or_else(|| key.kind.default())
    }

    /// The value of a key, if there is a valid one.
    fn given<K: Kind>(&mut self, key: &Key<K>) -> Option<K::Meaning> {
        let value = lookup(self.root, key.path)?;
        match key.kind.read(value) {
            Ok(meaning) => Some(meaning),
            Err(_) => {
                let wrong = key.wrong(value).into_iter();
                self.faults.extend(wrong.map(|wrong| wrong.at(key.path)));
                None
            }
        }
    }

    fn refuse<K: Kind>(&mut self, key: &Key<K>, allowed: String) {
        // None of these keys is a secret.
        self.faults.push(Fault {
            path: key.path.to_owned(),
            found: lookup(self.root, key.path).map_or("nothing".to_owned(), quote),
            allowed,
        });
    }

    fn listen(&mut self) -> Listen {
        Listen {
            host: self.get(&listen::HOST),
            port: self.get(&listen::PORT),
            max_miners: self.get(&listen::MAX_MINERS),
            max_miners_per_address: self.get(&listen::MAX_MINERS_PER_ADDRESS),
            authorize: self.get(&listen::AUTHORIZE),
            submits_per_second: self.get(&listen::SUBMITS_PER_SECOND),
            max_line_bytes: bytes(self.get(&listen::MAX_LINE)),
            pool_max_line_bytes: bytes(self.get(&listen::POOL_MAX_LINE)),
            extranonce2_size: self.get(&listen::EXTRANONCE2_SIZE),
            proxy_protocol_from: self.get(&listen::PROXY_PROTOCOL_FROM),
            drain: self.get(&listen::DRAIN),
            tls_port: self.get(&listen::TLS_PORT),
            tls_certificate: self.get(&listen::TLS_CERTIFICATE).into(),
            tls_key: self.get(&listen::TLS_KEY).into(),
        }
    }

    fn metrics(&mut self) -> Endpoint {
        Endpoint {
            enabled: self.get(&metrics::ENABLED),
            host: self.get(&metrics::HOST),
            port: self.get(&metrics::PORT),
        }
    }

    fn gui(&mut self) -> Gui {
        let names = self.get(&gui::ALLOWED_HOSTS);
        Gui {
            enabled: self.get(&gui::ENABLED),
            host: self.get(&gui::HOST),
            port: self.get(&gui::PORT),
            allowed_hosts: names.iter().map(|name| name.to_lowercase()).collect(),
            password_hash: self.get(&gui::PASSWORD_HASH).map(Hidden),
            tokens: self.get(&gui::TOKENS),
            public_url: self.public_url(),
        }
    }

    fn public_url(&mut self) -> String {
        let found = self.get(&gui::PUBLIC_URL);
        // Messages contain it as a link.
        if !found.is_empty() && !is_web_address(&found) {
            self.refuse(&gui::PUBLIC_URL, WEB_ADDRESS.to_owned());
        }
        found
    }

    fn notify(&mut self) -> Notify {
        let minutes = self.get(&keys::notify::MINER_MISSING);
        Notify {
            miner_missing: (minutes > 0).then(|| Duration::from_secs(u64::from(minutes) * 60)),
            targets: self.get(&keys::notify::TARGETS),
        }
    }

    fn pool(&mut self, slot: PoolSlot) -> Option<PoolConfig> {
        let keys = keys::pool(slot);
        // Everything is read, so that faults of a pool that is not set up are found, too.
        let name = self.get(&keys.name);
        let place = self.get(&keys.host);
        let port = self.given(&keys.port);
        let backups = self.get(&keys.backups);
        let wallet = self.get(&keys.wallet);
        let user_name = self.get(&keys.user_name);
        let chain = self.get(&keys.chain);
        let password = self.get(&keys.password);
        let stall = self.get(&keys.stall);
        let answer = self.get(&keys.answer);
        let job = self.get(&keys.job);
        let fee_percent = self.get(&keys.fee_percent);
        let connections = self.get(&keys.connections);
        let miners_per_connection = self.get(&keys.miners_per_connection);
        let miners_per_connection = usize::try_from(miners_per_connection).unwrap_or(usize::MAX);
        let payout = self.get(&keys.payout);
        let payout_min = self.get(&keys.payout_min_percent);
        let tls = Tls {
            // The sample puts `false` into each file, so it cannot mean more than a missing key.
            enabled: self.get(&keys.tls) || place.as_ref().is_some_and(|place| place.tls),
            fingerprint: self.get(&keys.tls_fingerprint),
            insecure: self.get(&keys.tls_insecure),
        };

        let place = place?;
        self.warn_of_tls(keys, tls);
        self.warn_of_host(keys.host.path, &place.host);
        let port = match (place.port, port) {
            (Some(inside), Some(own)) if inside != own => {
                let allowed = format!(
                    "the same port as in {}, which is {own}, or none",
                    keys.port.path
                );
                self.refuse(&keys.host, allowed);
                return None;
            }
            (Some(inside), _) => inside,
            (None, own) => own.unwrap_or_else(|| keys.port.kind.default()),
        };
        let pool = PoolConfig {
            name: if name.is_empty() {
                keys.name.kind.default()
            } else {
                name
            },
            host: place.host,
            port,
            tls,
            backups,
            wallet: wallet?,
            chain: chain.to_uppercase(),
            user_name,
            password: password.map(Hidden),
            stall,
            answer,
            job,
            connections,
            miners_per_connection,
            fee_percent,
            payout,
            payout_min,
        };
        self.warn_of_repeated(keys, &pool);
        if let Some(problem) = wallet_problem(&pool.wallet, &pool.chain) {
            self.warnings
                .push(format!("{}: {problem}", keys.wallet.path));
        }
        for (index, backup) in pool.backups.iter().enumerate() {
            let wallet = backup.wallet.as_deref();
            if let Some(problem) = wallet.and_then(|it| wallet_problem(it, &pool.chain)) {
                let (path, number) = (keys.backups.path, index + 1);
                self.warnings
                    .push(format!("{path}: number {number}: {problem}"));
            }
        }
        let is_account = Wallet::read(&pool.wallet) == Wallet::Account;
        if is_account && pool.payout == PayoutRule::Mine {
            self.warnings.push(format!(
                "{}: \"mine\" needs an address, and {} is an account name, so nothing is checked",
                keys.payout.path, keys.wallet.path
            ));
        }
        Some(pool)
    }

    fn warn_of_repeated(&mut self, keys: &PoolKeys, pool: &PoolConfig) {
        let addresses: Vec<_> = (0..=pool.backups.len())
            .map(|site| pool.at(site))
            .map(|site| (site.host, site.port, site.wallet))
            .collect();
        for (index, address) in addresses.iter().enumerate() {
            let earlier = addresses.iter().position(|it| it == address);
            if let Some(earlier) = earlier.filter(|earlier| *earlier < index) {
                let what = match earlier {
                    0 => "the pool itself".to_owned(),
                    earlier => format!("the same as number {earlier}"),
                };
                let path = keys.backups.path;
                self.warnings.push(format!(
                    "{path}: number {index} is {what}, so it cannot help when that fails"
                ));
            }
        }
    }

    fn warn_of_twins(&mut self, config: &Config) {
        let place = |slot| {
            let pool = config.pool_in_use(slot)?;
            Some((&pool.host, pool.port, &pool.wallet, &pool.user_name))
        };
        if place(PoolSlot::A).is_some_and(|a| place(PoolSlot::B) == Some(a)) {
            let warning =
                "pools: A and B are the same pool and account, so the split changes nothing";
            self.warnings.push(warning.to_owned());
        }
    }

    /// The other pool still works, so this does not keep DPMP from starting.
    fn warn_of_host(&mut self, path: &str, host: &str) {
        let Ok(address) = host.parse::<IpAddr>() else {
            return;
        };
        if leads_nowhere(&SocketAddr::new(address, 0)) {
            let why = why_nowhere(address);
            self.warnings.push(format!("{path}: {why}"));
        }
    }

    fn warn_of_tls(&mut self, keys: &PoolKeys, tls: Tls) {
        let (fingerprint, insecure) = (keys.tls_fingerprint.path, keys.tls_insecure.path);
        if tls.trust() == Some(Trust::Anyone) {
            self.warnings.push(format!(
                "{insecure}: DPMP accepts any certificate. Anyone between DPMP and the pool can pretend to be the \
                 pool and take the work"
            ));
        }
        if tls.fingerprint.is_some() && !tls.enabled {
            let tls = keys.tls.path;
            self.warnings.push(format!(
                "{fingerprint}: it has no effect while {tls} is false"
            ));
        }
        if tls.insecure && !tls.enabled {
            let tls = keys.tls.path;
            self.warnings
                .push(format!("{insecure}: it has no effect while {tls} is false"));
        }
        if tls.fingerprint.is_some() && tls.insecure {
            self.warnings.push(format!(
                "{insecure}: it has no effect together with {fingerprint}"
            ));
        }
    }

    fn scheduler(&mut self) -> Scheduling {
        let word = self.get(&scheduler::MODE);
        let mode = Mode::ALL
            .into_iter()
            .find(|mode| word.eq_ignore_ascii_case(mode.name()));
        if mode.is_none() {
            self.warnings.push(format!(
                "{}: {} is unknown; DPMP uses `ratio`",
                scheduler::MODE.path,
                quote(&word.into()),
            ));
        }
        let min_switch = self.get(&scheduler::MIN_SWITCH);
        let mut slice = self.get(&scheduler::SLICE);
        if slice < min_switch {
            self.warnings.push(format!(
                "{}: {} is raised to {}, which is {}",
                scheduler::SLICE.path,
                slice.as_secs_f64(),
                scheduler::MIN_SWITCH.path,
                min_switch.as_secs_f64(),
            ));
            slice = min_switch;
        }
        Scheduling {
            mode: mode.unwrap_or(Mode::Ratio),
            weights: self.weights(),
            slice,
            min_switch,
            catch_up: self.get(&scheduler::CATCH_UP),
            clean_on_switch: self.get(&scheduler::CLEAN_ON_SWITCH),
            no_work: self.get(&scheduler::NO_WORK),
            failover: self.get(&scheduler::FAILOVER),
            max_slicers: self.get(&scheduler::MAX_SLICERS),
            assign: self.get(&scheduler::ASSIGN),
        }
    }

    fn timetable(&mut self) -> Timetable {
        Timetable {
            enabled: self.get(&timetable::ENABLED),
            time_zone: self.get(&timetable::TIME_ZONE),
            entries: self.get(&timetable::ENTRIES),
        }
    }

    fn balance(&mut self) -> Balance {
        Balance {
            enabled: self.get(&balance::ENABLED),
            full_at_percent: self.get(&balance::FULL_AT_PERCENT),
            max_deviation: self.get(&balance::MAX_DEVIATION),
            prices: self.get(&balance::PRICES),
        }
    }

    fn weights(&mut self) -> PerPool<f64> {
        let weights = PerPool::from_fn(|slot| match slot {
            PoolSlot::A => self.get(&scheduler::WEIGHT_A),
            PoolSlot::B => self.get(&scheduler::WEIGHT_B),
        });
        if weights.iter().all(|(_, weight)| *weight == 0.0) {
            let allowed = format!("a weight above 0 here or in {}", scheduler::WEIGHT_B.path);
            self.refuse(&scheduler::WEIGHT_A, allowed);
        }
        weights
    }

    fn downstream_diff(&mut self) -> PerPool<DifficultyLimits> {
        let default_min = (&diff::DEFAULT_MIN, self.get(&diff::DEFAULT_MIN));
        let default_max = (&diff::DEFAULT_MAX, self.get(&diff::DEFAULT_MAX));
        let mut told = BTreeSet::new();
        PerPool::from_fn(|slot| {
            let (min_key, max_key) = keys::difficulties(slot);
            let own = |key, value: Option<Difficulty>, default| {
                value.map_or(default, |value| (key, Some(value)))
            };
            let (min_key, min) = own(min_key, self.get(min_key), default_min);
            let (max_key, max) = own(max_key, self.get(max_key), default_max);
            if let (Some(low), Some(high)) = (min, max) {
                // One warning is enough for the two defaults.
                if low > high && told.insert((min_key.path, max_key.path)) {
                    let allowed = format!("at most {}, which is {}", max_key.path, high.get());
                    self.refuse(min_key, allowed);
                }
            }
            DifficultyLimits { min, max }
        })
    }

    fn logging(&mut self) -> Logging {
        let directory = self.get(&logging::DIRECTORY);
        Logging {
            level: self.get(&logging::LEVEL),
            allow: self.get(&logging::ALLOW),
            deny: self.get(&logging::DENY),
            stdout: self.get(&logging::STDOUT),
            directory: (!directory.is_empty()).then(|| PathBuf::from(directory)),
            max_file_mb: self.get(&logging::MAX_FILE),
            keep_files: self.get(&logging::KEEP_FILES),
            show_wallets: self.get(&logging::SHOW_WALLETS),
        }
    }

    /// Two services cannot have one port.
    fn check_ports(&mut self, config: &Config) {
        let mut taken = vec![(listen::PORT.path, config.listen.host, config.listen.port)];
        let others = [
            (
                &listen::TLS_PORT,
                config.listen.has_certificate(),
                config.listen.host,
                config.listen.tls_port,
            ),
            (
                &metrics::PORT,
                config.metrics.enabled,
                config.metrics.host,
                config.metrics.port,
            ),
            (
                &gui::PORT,
                config.gui.enabled,
                config.gui.host,
                config.gui.port,
            ),
        ];
        for (key, enabled, host, port) in others {
            if !enabled {
                continue;
            }
            let meet =
                |other: IpAddr| other == host || other.is_unspecified() || host.is_unspecified();
            if let Some((first, ..)) = taken
                .iter()
                .find(|(_, other, used)| *used == port && meet(*other))
            {
                self.faults.push(Fault {
                    path: key.path.to_owned(),
                    found: port.to_string(),
                    allowed: format!("another port than that of {first}"),
                });
            }
            taken.push((key.path, host, port));
        }
    }

    /// A pool that is DPMP itself would make it connect to itself endlessly.
    fn check_loops(&mut self, config: &Config) {
        let listening = &config.listen;
        let own = |host: &str, port: u16| {
            let encrypts = listening.has_certificate() && port == listening.tls_port;
            if port != listening.port && !encrypts {
                return false;
            }
            let address = match host {
                "localhost" => Some(IpAddr::from(Ipv4Addr::LOCALHOST)),
                other => other.parse().ok(),
            };
            let Some(address) = address else { return false };
            let served = listening.host;
            let this_machine = address.is_loopback() || address.is_unspecified();
            address == served || (this_machine && (served.is_unspecified() || served.is_loopback()))
        };
        for (slot, pool) in config.pools.iter() {
            let Some(pool) = pool else { continue };
            let keys = keys::pool(slot);
            let allowed = |port: u16| format!("a pool; port {port} of this machine is DPMP itself");
            if own(&pool.host, pool.port) {
                self.refuse(&keys.host, allowed(pool.port));
            }
            let mut backups = pool.backups.iter();
            if let Some(backup) = backups.find(|backup| own(&backup.host, backup.port)) {
                self.refuse(&keys.backups, allowed(backup.port));
            }
        }
    }

    /// Records each section that is not an object. Its keys count as missing.
    fn check_sections(&mut self) {
        for path in sections() {
            let Some(value) = lookup(self.root, path) else {
                continue;
            };
            if !value.is_object() {
                self.faults.push(Fault {
                    path: path.to_owned(),
                    found: quote(value),
                    allowed: "an object, { … }".to_owned(),
                });
            }
        }
    }

    fn warn_of_unknown_keys(&mut self) {
        let known = keys::all().iter().map(|key| key.info().path).collect();
        let mut unknown = Vec::new();
        collect_unknown(self.root, "", &known, &sections().collect(), &mut unknown);
        if unknown.is_empty() {
            return;
        }
        let count = unknown.len();
        let more = count.saturating_sub(MOST_UNKNOWN);
        unknown.truncate(MOST_UNKNOWN);
        let counted = match count {
            1 => "1 unknown key".to_owned(),
            count => format!("{count} unknown keys"),
        };
        let mut warning = format!(
            "{counted} (ignored, kept in the file): {}",
            unknown.join(", ")
        );
        if more > 0 {
            warning.push_str(&format!(" and {more} more"));
        }
        self.warnings.push(warning);
    }
}

/// The paths of everything that holds keys.
pub(super) fn sections() -> impl Iterator<Item = &'static str> {
    let mut paths = Vec::new();
    for key in keys::all() {
        let path = key.info().path;
        for (end, _) in path.match_indices('.') {
            if !paths.contains(&&path[..end]) {
                paths.push(&path[..end]);
            }
        }
    }
    paths.into_iter()
}

fn collect_unknown(
    value: &Value,
    path: &str,
    known: &BTreeSet<&str>,
    sections: &BTreeSet<&str>,
    unknown: &mut Vec<String>,
) {
    let Some(object) = value.as_object() else {
        return;
    };
    for (key, value) in object {
        let path = join(path, key);
        if sections.contains(path.as_str()) {
            collect_unknown(value, &path, known, sections, unknown);
        } else if !known.contains(path.as_str()) {
            unknown.push(path);
        }
    }
}

fn bytes(kib: u32) -> usize {
    usize::try_from(kib)
        .unwrap_or(usize::MAX)
        .saturating_mul(1024)
}
