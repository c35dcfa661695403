//! Imports settings of the Python version (`config_v2.json`). Nothing in such a file may keep DPMP from starting: an
//! unusable value is replaced with its default, and the owner gets a warning.
//!
//! What the settings mean there was taken from its version 3.0.7: it never reads `min_switch_seconds`, its log has
//! different events and levels, and the weights set with its page's slider are in a separate file.

use std::collections::BTreeSet;

use serde_json::{Map, Number, Value, json};

use super::build::{build, sections};
use super::fault::quote;
use super::keys::{self, KeyInfo, diff, gui, key_infos, listen, logging, metrics, scheduler};
use super::kind::Kind;
use super::raw::{LARGEST_FILE, join, lookup};
use super::steering::Turns;
use super::{Level, sample, tables, text};
use crate::units::PoolSlot;

#[cfg(test)]
mod tests;

/// Keys that only the Python version has.
const ONLY_PYTHON: [&str; 17] = [
    "listen_host",
    "listen_port",
    "metrics_enabled",
    "metrics_host",
    "metrics_port",
    "logging.json",
    "pools.A.idle_disconnect",
    "pools.B.idle_disconnect",
    "scheduler.assigner_interval_seconds",
    "scheduler.auto_balance",
    "scheduler.auto_balance_max_deviation",
    "scheduler.convergence_tolerance",
    "scheduler.force_reconnect_on_en2_mismatch",
    "scheduler.oracle_poll_seconds",
    "scheduler.oracle_url",
    "scheduler.pool_failover_seconds",
    EXCLUSIONS,
];

/// Workers that its scheduler did not let take turns.
const EXCLUSIONS: &str = "scheduler.sr_recruit_exclusions";

/// How many unusable worker names are reported one by one.
const MOST_NOTES: usize = 20;

/// Keys that the Python version has, too. A file with any other of our keys was written by or for this DPMP.
const SHARED: [&str; 27] = [
    "downstream_diff.default_max",
    "downstream_diff.default_min",
    "downstream_diff.poolA_max",
    "downstream_diff.poolA_min",
    "downstream_diff.poolB_max",
    "downstream_diff.poolB_min",
    "listen.host",
    "listen.port",
    "logging.allow",
    "logging.deny",
    "logging.level",
    "metrics.enabled",
    "metrics.host",
    "metrics.port",
    "pools.A.chain",
    "pools.A.host",
    "pools.A.name",
    "pools.A.port",
    "pools.A.wallet",
    "pools.B.chain",
    "pools.B.host",
    "pools.B.name",
    "pools.B.port",
    "pools.B.wallet",
    "scheduler.max_slicers",
    "scheduler.mode",
    "scheduler.slice_seconds",
];

/// And keys of the scheduler that mean something else there, or nothing.
const SHARED_SCHEDULER: [&str; 3] = [
    "scheduler.min_switch_seconds",
    "scheduler.poolA_weight",
    "scheduler.poolB_weight",
];

/// Levels that only the Python version has.
const PYTHON_LEVELS: [&str; 4] = ["normal", "full", "none", "quiet"];

/// Keys that older files have outside of their section.
const MOVED: [(&str, &str); 5] = [
    ("listen_host", listen::HOST.path),
    ("listen_port", listen::PORT.path),
    ("metrics_enabled", metrics::ENABLED.path),
    ("metrics_host", metrics::HOST.path),
    ("metrics_port", metrics::PORT.path),
];

/// What the Python version keeps in other files and its environment.
#[derive(Clone, Debug, Default)]
pub(super) struct SideFiles {
    /// `weights_override.json`: the position of its page's slider, or what its oracle calculated.
    pub(super) weights: Option<Value>,
    /// `oracle_mode.json`: whether the oracle or the slider is in control.
    pub(super) oracle: Option<Value>,
    /// `manual_mode.json`: whether each miner has a fixed pool.
    pub(super) manual: Option<Value>,
    /// `pinned_assignments.json`: that pool, by worker; A if it is missing.
    pub(super) pinned: Option<Value>,
    /// `miner_paused.json`: workers that do not mine.
    pub(super) paused: Option<Value>,
    /// `DPMP_LOG_LEVEL`, which overrides `logging.level`.
    pub(super) log_level: Option<String>,
}

/// Settings converted from a file of the Python version.
pub(super) struct ConvertedConfig {
    /// A complete, valid configuration.
    pub(super) raw: Value,
    /// Notes for the owner, one sentence each.
    pub(super) notes: Vec<String>,
}

/// Whether this can be a file of the Python version: it has no key that only this DPMP has.
pub(super) fn may_be_python(raw: &Value) -> bool {
    let shared: BTreeSet<&str> = SHARED.into_iter().chain(SHARED_SCHEDULER).collect();
    keys::all()
        .iter()
        .map(|key| key.info().path)
        .filter(|path| !shared.contains(path))
        .all(|path| lookup(raw, path).is_none())
        && lookup(raw, "gui").is_none()
}

/// Whether it has a key that only the Python version has, or one of its page's levels.
pub(super) fn has_python_key(raw: &Value) -> bool {
    let level = lookup(raw, logging::LEVEL.path).and_then(Value::as_str);
    let level = level.map(|level| level.trim().to_lowercase());
    ONLY_PYTHON.iter().any(|path| lookup(raw, path).is_some())
        || level.is_some_and(|level| PYTHON_LEVELS.contains(&level.as_str()))
}

/// Converts the Python version's settings, whatever they contain.
pub(super) fn convert(old: &Value, beside: &SideFiles) -> ConvertedConfig {
    let new: Value = serde_json::from_str(&sample()).unwrap_or_default();
    let mut conversion = Conversion {
        old: old.clone(),
        new,
        notes: Vec::new(),
    };
    conversion.move_old_keys();
    conversion.check_sections();
    conversion.copy_keys();
    conversion.logging(beside.log_level.as_deref());
    for slot in PoolSlot::ALL {
        conversion.pool(slot);
    }
    conversion.scheduler(beside);
    conversion.workers(beside);
    conversion.other_keys();
    conversion.mend();
    // Only for bounds that are kept.
    conversion.downstream_diff();
    ConvertedConfig {
        raw: conversion.new,
        notes: conversion.notes,
    }
}

struct Conversion {
    old: Value,
    new: Value,
    notes: Vec<String>,
}

impl Conversion {
    fn old(&self, path: &str) -> Option<&Value> {
        lookup(&self.old, path)
    }

    fn set(&mut self, path: &str, value: Value) {
        // Each section of the sample is an object.
        *path
            .split('.')
            .fold(&mut self.new, |place, step| &mut place[step]) = value;
    }

    fn reset(&mut self, path: &str) {
        let is_in = |info: &KeyInfo| {
            let rest = path.strip_prefix(info.path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        if let Some(key) = key_infos().find(is_in) {
            self.set(key.path, key.default);
        }
    }

    fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    fn note_default(&mut self, path: &str, found: &str, allowed: &str) {
        let pool_is_gone = path.starts_with("pools.")
            && [".host", ".port", ".wallet"]
                .iter()
                .any(|key| path.ends_with(key));
        let now = if pool_is_gone {
            "set up the pool on the web pages".to_owned()
        } else {
            let now = lookup(&self.new, path).map_or("null".to_owned(), quote);
            format!("it is {now} now")
        };
        self.note(format!(
            "{path}: {found} cannot be used. Allowed: {allowed}; {now}"
        ));
    }

    /// Its oldest files have a few keys outside of their sections, which count if the section does not have them.
    fn move_old_keys(&mut self) {
        for (from, to) in MOVED {
            if self.old(to).is_some() {
                continue;
            }
            let Some(value) = self.old(from).cloned() else {
                continue;
            };
            let Some((section, key)) = to.split_once('.') else {
                continue;
            };
            let Some(root) = self.old.as_object_mut() else {
                return;
            };
            let section = root
                .entry(section)
                .or_insert_with(|| Value::Object(Map::new()));
            if let Some(section) = section.as_object_mut() {
                section.insert(key.to_owned(), value);
            }
        }
    }

    fn check_sections(&mut self) {
        let wrong: Vec<_> = sections()
            .filter_map(|path| {
                let found = self.old(path).filter(|section| !section.is_object())?;
                Some(format!(
                    "{path}: {} is no section, {{ … }}; its settings have their defaults",
                    quote(found)
                ))
            })
            .collect();
        self.notes.extend(wrong);
    }

    /// Copies what can be used as it is, or means the same in another form.
    fn copy_keys(&mut self) {
        const ELSEWHERE: [&str; 6] = [
            logging::LEVEL.path,
            logging::ALLOW.path,
            logging::DENY.path,
            scheduler::MIN_SWITCH.path,
            scheduler::WEIGHT_A.path,
            scheduler::WEIGHT_B.path,
        ];
        for key in keys::all() {
            let path = key.info().path;
            let Some(found) = self.old(path).filter(|_| !ELSEWHERE.contains(&path)) else {
                continue;
            };
            match forms(found).find(|form| key.check(form).is_ok()) {
                Some(value) => self.set(path, value),
                None => {
                    let found = if keys::is_secret(path) {
                        "what stands there".to_owned()
                    } else {
                        quote(found)
                    };
                    self.note_default(path, &found, &key.info().allowed);
                }
            }
        }
    }

    /// Its levels have different names. Its events are different, so a list of them would only hide ours.
    fn logging(&mut self, environment: Option<&str>) {
        let path = logging::LEVEL.path;
        let written = self.old(path).cloned();
        let found = environment
            .map(|level| ("the environment variable DPMP_LOG_LEVEL", json!(level)))
            .or_else(|| written.map(|level| (path, level)));
        if let Some((from, found)) = found {
            let word = found.as_str().unwrap_or_default().trim().to_lowercase();
            let level = match word.as_str() {
                "normal" | "" => Some(Level::Info),
                "full" => Some(Level::Debug),
                "none" | "quiet" => Some(Level::Off),
                _ => logging::LEVEL.kind.read(&found).ok(),
            };
            if level.is_none() || environment.is_some() {
                let level = level.unwrap_or(logging::LEVEL.kind.default()).name();
                self.note(format!(
                    "{path} is \"{level}\" now: {from} says {}",
                    quote(&found)
                ));
            }
            let level = level.unwrap_or(logging::LEVEL.kind.default());
            self.set(path, json!(level.name()));
        }
        let lists: Vec<_> = [logging::ALLOW.path, logging::DENY.path]
            .into_iter()
            .filter(|path| self.old(path).is_some_and(|list| !is_nothing(list)))
            .collect();
        if !lists.is_empty() {
            self.note(format!(
                "{} of the Python version: not imported, because the events have other names here",
                lists.join(" and ")
            ));
        }
    }

    /// A pool is only used if everything that determines where the work goes is understood: a guess could send work to
    /// a stranger.
    fn pool(&mut self, slot: PoolSlot) {
        let keys = keys::pool(slot);
        if self
            .old(keys.chain.path)
            .and_then(Value::as_str)
            .is_some_and(|chain| chain.trim().eq_ignore_ascii_case("none"))
        {
            self.set(keys.chain.path, json!(""));
        }
        let understood = |found: Option<&Value>, check: &dyn Fn(&Value) -> bool| {
            found.is_none_or(|found| forms(found).any(|form| check(&form)))
        };
        if !understood(self.old(keys.port.path), &|form| {
            keys.port.kind.read(form).is_ok()
        }) {
            self.reset(keys.host.path);
        }
        // A host may include its port; the sample's must not contradict it.
        let place = lookup(&self.new, keys.host.path).map(|host| keys.host.kind.read(host));
        if let (Some(Ok(Some(place))), None) = (place, self.old(keys.port.path)) {
            if let Some(port) = place.port {
                self.set(keys.port.path, json!(port));
            }
        }
    }

    fn scheduler(&mut self, beside: &SideFiles) {
        if self.old(scheduler::MIN_SWITCH.path).is_some() {
            self.note(format!(
                "{}: not imported, because the Python version no longer obeyed it; a switch costs nothing here",
                scheduler::MIN_SWITCH.path
            ));
        }
        let [a, b] = [scheduler::WEIGHT_A.path, scheduler::WEIGHT_B.path];
        let mut weights = [a, b].map(|path| match self.old(path) {
            None => Some(json!(50)),
            Some(found) => forms(found).find(|form| scheduler::WEIGHT_A.kind.read(form).is_ok()),
        });
        if weights.iter().flatten().all(is_zero) || weights.contains(&None) {
            let found = [a, b].map(|path| self.old(path).map_or("nothing".to_owned(), quote));
            self.note(format!(
                "{a} and {b}: {} and {} cannot be used. Allowed: {}, not both 0; the split is 50:50 now",
                found[0],
                found[1],
                scheduler::WEIGHT_A.kind.allowed()
            ));
            weights = [Some(json!(50)), Some(json!(50))];
        } else if let Some(slider) = self.slider(beside, &weights) {
            weights = slider.map(Some);
        }
        for (path, weight) in [a, b].into_iter().zip(weights) {
            self.set(path, weight.unwrap_or(json!(50)));
        }
    }

    /// Workers that take no turns, have a fixed pool, or are paused.
    fn workers(&mut self, beside: &SideFiles) {
        let mut table = lookup(&self.new, keys::WORKERS.path).cloned();
        let mut give = |worker: &str, key: &str, value: &str| {
            table.get_or_insert(json!({}))[worker][key] = value.into();
        };
        let excluded = self.old(EXCLUSIONS).map(names_in).unwrap_or_default();
        for worker in &excluded {
            give(worker, "turns", Turns::Never.name());
        }
        if !excluded.is_empty() {
            self.note(format!(
                "{EXCLUSIONS}: {} now \"turns\": \"never\" in workers, which counts if scheduler.mode is \"fleet\"",
                has_or_have(excluded.len())
            ));
        }
        let manual = beside.manual.as_ref();
        if manual.is_some_and(|file| truth(file.get("manual_active"))) {
            let pinned = beside.pinned.as_ref().and_then(Value::as_object);
            let to_b = |(_, pool): &(&String, &Value)| pool.as_str() == Some("B");
            let to_b: Vec<_> = pinned.into_iter().flatten().filter(to_b).collect();
            for (worker, _) in &to_b {
                give(worker, "work", "B");
            }
            let all_others = json!({"name": "All others", "match": ["*"], "work": "A"});
            self.set(keys::GROUPS.path, json!([all_others]));
            self.note(format!(
                "manual_mode.json: each miner had a fixed pool. {} \"work\": \"B\" in workers now, and all others work \
                 for A by the group \"All others\". Remove that group and those settings to split the work again",
                has_or_have(to_b.len())
            ));
        }
        let paused = beside.paused.as_ref().and_then(|file| file.get("paused"));
        let paused = paused.map(names_in).unwrap_or_default();
        for worker in &paused {
            give(worker, "work", "pause");
        }
        if !paused.is_empty() {
            self.note(format!(
                "miner_paused.json: {} \"work\": \"pause\" in workers now",
                has_or_have(paused.len())
            ));
        }
        let Some(table) = table else { return };
        let wrong = keys::WORKERS.kind.wrong(&table);
        let left_out: Vec<_> = wrong.iter().map(|wrong| wrong.entries.clone()).collect();
        self.set(keys::WORKERS.path, tables::without(&table, &left_out));
        for wrong in wrong.into_iter().take(MOST_NOTES) {
            self.note(format!("{}. It is left out", wrong.at(keys::WORKERS.path)));
        }
        if text(&self.new).len() > LARGEST_FILE {
            self.reset(keys::WORKERS.path);
            self.note("workers: not imported, because there are too many");
        }
    }

    /// The slider's position, unless the oracle was in control, whose weights are only temporary.
    fn slider(&mut self, beside: &SideFiles, weights: &[Option<Value>; 2]) -> Option<[Value; 2]> {
        let written = truth(self.old("scheduler.auto_balance"));
        let oracle = match &beside.oracle {
            Some(file) if file.is_object() => {
                file.get("oracle_active").is_none_or(|it| truth(Some(it)))
            }
            Some(_) | None => written,
        };
        if oracle {
            self.note(
                "scheduler.auto_balance: DPMP does not shift the split by block times; it stays as the weights say",
            );
            return None;
        }
        // If one of the weights is 0, its page has no slider.
        if weights.iter().flatten().any(is_zero) {
            return None;
        }
        let file = beside.weights.as_ref()?;
        let [a, b] = ["poolA_weight", "poolB_weight"].map(|key| {
            let form =
                forms(file.get(key)?).find(|form| scheduler::WEIGHT_A.kind.read(form).is_ok())?;
            Some(form)
        });
        let (Some(a), Some(b)) = (a, b) else {
            return self.no_slider(file);
        };
        if is_zero(&a) && is_zero(&b) {
            return self.no_slider(file);
        }
        self.note(format!(
            "weights_override.json: the split is {a}:{b}, as the slider of the Python version had it"
        ));
        Some([a, b])
    }

    fn no_slider(&mut self, file: &Value) -> Option<[Value; 2]> {
        let found = ["poolA_weight", "poolB_weight"]
            .map(|key| file.get(key).map_or("nothing".to_owned(), quote));
        self.note(format!(
            "weights_override.json: not imported, because {} and {} cannot be used. Allowed: {}, not both 0",
            found[0],
            found[1],
            scheduler::WEIGHT_A.kind.allowed()
        ));
        None
    }

    /// A bound above the pool's own difficulty costs money.
    fn downstream_diff(&mut self) {
        for path in [diff::DEFAULT_MIN.path, diff::MIN_A.path, diff::MIN_B.path] {
            let min = lookup(&self.new, path).and_then(Value::as_f64);
            if let Some(min) = min.filter(|min| *min > 1.0) {
                self.note(format!(
                    "{path}: miners get a difficulty of at least {min}. If the pool asks for less, it never sees the \
                     shares in between and does not pay for them; set it to null unless you need it"
                ));
            }
        }
    }

    /// Unknown keys stay; those of the Python version mean nothing here.
    fn other_keys(&mut self) {
        let unused: Vec<_> = ONLY_PYTHON
            .into_iter()
            .filter(|path| *path != EXCLUSIONS)
            .filter(|path| self.old(path).is_some())
            .filter(|path| MOVED.iter().all(|(from, _)| from != path))
            .collect();
        if !unused.is_empty() {
            self.note(format!(
                "not used by this DPMP and not imported: {}",
                unused.join(", ")
            ));
        }
        let known: BTreeSet<&str> = keys::all().iter().map(|key| key.info().path).collect();
        let sections: BTreeSet<&str> = sections().collect();
        let before = self.new.clone();
        keep_unknown(&self.old, &mut self.new, "", &known, &sections);
        if text(&self.new).len() > LARGEST_FILE {
            self.new = before;
            self.note("unknown keys: not imported, because there are too many");
        }
    }

    /// Resolves contradictions: each round sets a wrong value to its default.
    fn mend(&mut self) {
        /// Each round corrects at least one key.
        const ROUNDS: usize = 100;
        for _ in 0..ROUNDS {
            let Some(fault) = build(&self.new).faults.into_iter().next() else {
                return;
            };
            let path = fault.path.as_str();
            let pool = PoolSlot::ALL
                .into_iter()
                .map(keys::pool)
                .find(|keys| path == keys.host.path);
            if let Some(keys) = pool {
                self.reset(keys.host.path);
            } else if [listen::TLS_PORT.path, metrics::PORT.path, gui::PORT.path].contains(&path) {
                let port = self.free_port(path);
                self.set(path, json!(port));
            } else {
                self.reset(path);
            }
            self.note_default(path, &fault.found, &fault.allowed);
        }
        self.new = serde_json::from_str(&sample()).unwrap_or_default();
    }

    /// The first free port, starting with the default.
    fn free_port(&self, path: &str) -> u16 {
        let usual = match path {
            path if path == metrics::PORT.path => metrics::PORT.kind.default(),
            path if path == gui::PORT.path => gui::PORT.kind.default(),
            _ => listen::TLS_PORT.kind.default(),
        };
        let taken: BTreeSet<u16> = [&listen::PORT, &listen::TLS_PORT, &metrics::PORT, &gui::PORT]
            .into_iter()
            .filter(|key| key.path != path)
            .filter_map(|key| key.kind.read(lookup(&self.new, key.path)?).ok())
            .collect();
        (usual..=u16::MAX)
            .find(|port| !taken.contains(port))
            .unwrap_or(usual)
    }
}

/// A value, and what else it can mean: Python accepts a number in quotes, and 0 or 1 for false or true.
fn forms(value: &Value) -> impl Iterator<Item = Value> + use<> {
    let text = value.as_str().map(str::trim);
    let number = text
        .and_then(|text| text.parse::<f64>().ok())
        .or_else(|| value.as_f64())
        .filter(|number| number.is_finite());
    let flag = match (text.map(str::to_lowercase).as_deref(), number) {
        (Some("true"), _) => Some(true),
        (Some("false"), _) => Some(false),
        (_, Some(number)) if number == 0.0 || number == 1.0 => Some(number == 1.0),
        (Some(_) | None, _) => None,
    };
    [
        Some(value.clone()),
        text.and_then(|text| text.parse::<u64>().ok())
            .map(Value::from),
        number.and_then(Number::from_f64).map(Value::Number),
        flag.map(Value::Bool),
        // A list written as one text.
        text.map(|text| {
            let items = text.split(',').map(str::trim);
            items
                .filter(|item| !item.is_empty())
                .collect::<Vec<_>>()
                .into()
        }),
        // An account or a name with digits only.
        value.is_number().then(|| value.to_string().into()),
    ]
    .into_iter()
    .flatten()
}

/// The names in a list, which may be written as one text.
fn names_in(list: &Value) -> Vec<String> {
    let lists = || forms(list).filter_map(|form| form.as_array().cloned());
    let names = lists().next().unwrap_or_default();
    let names = names.iter().filter_map(Value::as_str).map(str::trim);
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

fn has_or_have(workers: usize) -> String {
    match workers {
        0 => "No worker has".to_owned(),
        1 => "1 worker has".to_owned(),
        more => format!("{more} workers have"),
    }
}

/// What counts as true in Python.
fn truth(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Bool(flag)) => *flag,
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(items)) => !items.is_empty(),
        Some(Value::Null) | None => false,
    }
}

fn is_zero(weight: &Value) -> bool {
    weight.as_f64() == Some(0.0)
}

fn is_nothing(value: &Value) -> bool {
    !truth(Some(value))
}

fn keep_unknown(
    old: &Value,
    new: &mut Value,
    path: &str,
    known: &BTreeSet<&str>,
    sections: &BTreeSet<&str>,
) {
    let (Some(old), Some(new)) = (old.as_object(), new.as_object_mut()) else {
        return;
    };
    for (key, value) in old {
        let path = join(path, key);
        if sections.contains(path.as_str()) {
            if let Some(new) = new.get_mut(key) {
                keep_unknown(value, new, &path, known, sections);
            }
        } else if !known.contains(path.as_str()) && !ONLY_PYTHON.contains(&path.as_str()) {
            new.insert(key.clone(), value.clone());
        }
    }
}
