//! Settings that are tables: workers, groups, the timetable, and prices.
//!
//! - An entry is read as a whole. An unknown key in it is a mistake; otherwise a mistyped key would silently have no
//!   effect.
//! - Each mistake names its place, such as `timetable.entries.2.form`, and the entries that it makes unusable, so that
//!   only these are left out when DPMP starts.

pub(super) mod targets;

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Value, json};

use super::fault::quote;
use super::kind::choice::Flag;
use super::kind::number::Number;
use super::kind::{Form, FormKind, Kind, Wrong, one_line};
use super::raw::join;
use super::steering::{Group, LONGEST_WORKER, TimetableEntry, Turns, Work, WorkerSettings};
use super::{ApiToken, Hidden, LONGEST_TOKEN_NAME, MOST_TOKENS, May};
use crate::timetable::zone::Zone;
use crate::units::PoolSlot;

/// A table.
pub(super) struct Table<T> {
    /// Its description.
    allowed: &'static str,
    /// Whether its entries are an ordered list, without names.
    is_list: bool,
    /// The maximum number of entries.
    most: usize,
    read: fn(&mut Reading<'_>) -> T,
}

impl<T: Default> Table<T> {
    fn read_noting(&self, value: &Value) -> (T, Vec<Wrong>) {
        let mut reading = Reading::default();
        let mut meaning = T::default();
        let entries: Option<Vec<_>> = match value {
            Value::Object(map) if !self.is_list => Some(
                map.iter()
                    .map(|(name, value)| (name.clone(), value))
                    .collect(),
            ),
            Value::Array(items) if self.is_list => {
                let numbers = (0..items.len()).map(|number| number.to_string());
                Some(numbers.zip(items).collect())
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_)
            | Value::Array(_) => None,
        };
        match entries {
            None => reading.wrong.push(Wrong {
                place: String::new(),
                found: quote(value),
                allowed: self.allowed(),
                entries: 0..usize::MAX,
            }),
            Some(entries) => {
                if entries.len() > self.most {
                    reading.wrong.push(Wrong {
                        place: String::new(),
                        found: format!("{} entries", entries.len()),
                        allowed: format!("at most {}", self.most),
                        entries: self.most..usize::MAX,
                    });
                }
                reading.entries = entries;
                reading.entries.truncate(self.most);
                meaning = (self.read)(&mut reading);
            }
        }
        (meaning, reading.wrong)
    }
}

impl<T: Default> Kind for Table<T> {
    type Meaning = T;

    fn read(&self, value: &Value) -> Result<T, String> {
        let (meaning, wrong) = self.read_noting(value);
        match wrong.into_iter().next() {
            None => Ok(meaning),
            Some(wrong) => Err(wrong.allowed),
        }
    }

    fn wrong(&self, value: &Value) -> Vec<Wrong> {
        self.read_noting(value).1
    }

    fn allowed(&self) -> String {
        let form = if self.is_list { "a list" } else { "an object" };
        format!("{form} of at most {} {}", self.most, self.allowed)
    }

    fn default(&self) -> T {
        T::default()
    }

    fn default_json(&self) -> Value {
        if self.is_list { json!([]) } else { json!({}) }
    }

    fn form(&self) -> Form {
        Form::text(FormKind::Table, self.most)
    }
}

/// `workers`
pub(super) const WORKERS: Table<BTreeMap<String, WorkerSettings>> = Table {
    allowed: "workers, such as {\"bitaxe-1\": {\"name\": \"Garage left\", \"work\": \"A\"}}",
    is_list: false,
    most: 10_000,
    read: workers,
};

/// `gui.tokens`
pub(super) const TOKENS: Table<BTreeMap<String, ApiToken>> = Table {
    allowed: "tokens, as the web pages write them",
    is_list: false,
    most: MOST_TOKENS,
    read: tokens,
};

/// `groups`
pub(super) const GROUPS: Table<Vec<Group>> = Table {
    allowed: "groups, such as [{\"name\": \"Garage\", \"match\": [\"garage-*\"], \"work\": \"B\"}]",
    is_list: true,
    most: 100,
    read: groups,
};

/// `timetable.entries`
pub(super) const TIMETABLE: Table<Vec<TimetableEntry>> = Table {
    allowed: "entries, such as [{\"days\": [\"mon\", \"tue\"], \"from\": \"22:00\", \"to\": \"06:00\", \"work\": \"B\"}]",
    is_list: true,
    most: 100,
    read: timetable,
};

/// `balance.prices`
pub(super) const PRICES: Table<BTreeMap<String, f64>> = Table {
    allowed: "prices, such as {\"BTC\": 100000, \"BCH\": 500}",
    is_list: false,
    most: 16,
    read: prices,
};

/// The maximum number of patterns in a group.
const MOST_PATTERNS: usize = 100;
/// The longest name that is only shown, in characters.
const LONGEST_NAME: usize = 64;
/// The longest symbol of a coin, in characters: as that of a pool's `chain`.
const LONGEST_COIN: usize = 16;

/// The days of the week as they are written.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// What can be set for a worker.
const WORKER_KEYS: [&str; 4] = ["name", "work", "turns", "failover"];

fn workers(reading: &mut Reading<'_>) -> BTreeMap<String, WorkerSettings> {
    reading.each(|number, name, value, reading| {
        let place = join("", name);
        if let Err(allowed) = worker_name(name) {
            reading.note(number, place, quote(&json!(name)), allowed);
            return None;
        }
        // Counts as missing.
        if value.is_null() {
            return Some((name.to_owned(), WorkerSettings::default()));
        }
        let mut entry = reading.entry(number, place, value, &WORKER_KEYS);
        let settings = WorkerSettings {
            name: entry.get("name", display_name).unwrap_or_default(),
            work: entry.get("work", work),
            turns: entry.get("turns", turns).unwrap_or_default(),
            failover: entry.get("failover", |value| Flag(true).read(value)),
        };
        entry.is_right().then(|| (name.to_owned(), settings))
    })
}

fn tokens(reading: &mut Reading<'_>) -> BTreeMap<String, ApiToken> {
    reading.each(|number, name, value, reading| {
        let place = join("", name);
        let fits = one_line(name, LONGEST_TOKEN_NAME).is_some_and(|name| !name.is_empty());
        if !fits {
            let allowed = format!("a name on one line of 1 to {LONGEST_TOKEN_NAME} characters");
            reading.note(number, place, quote(&json!(name)), allowed);
            return None;
        }
        let mut entry = reading.entry(number, place, value, &["hash", "may"]);
        let hash = entry.need("hash", |value| {
            let hash = value.as_str().map(|text| text.trim().to_ascii_lowercase());
            let hash = hash.filter(|text| {
                text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
            });
            hash.ok_or_else(|| "the SHA-256 of a token, 64 hex digits".to_owned())
        });
        let may = entry.need("may", |value| {
            let may = May::ALL
                .into_iter()
                .find(|may| value.as_str() == Some(may.name()));
            may.ok_or_else(|| {
                May::ALL
                    .map(|may| format!("\"{}\"", may.name()))
                    .join(" or ")
            })
        });
        let right = entry.is_right();
        let hash = Hidden(hash.filter(|_| right)?);
        Some((name.to_owned(), ApiToken { hash, may: may? }))
    })
}

fn groups(reading: &mut Reading<'_>) -> Vec<Group> {
    let mut names: Vec<(String, usize)> = Vec::new();
    reading.each(|number, place, value, reading| {
        let mut entry = reading.entry(number, place.to_owned(), value, &["name", "match", "work"]);
        let name = entry.need("name", |value| {
            let name = display_name(value).ok().filter(|name| !name.is_empty());
            let name =
                name.ok_or_else(|| format!("one line of text, 1 to {LONGEST_NAME} characters"))?;
            match names.iter().find(|(taken, _)| *taken == name) {
                Some((_, first)) => Err(format!("another name than that of entry {first}")),
                None => Ok(name),
            }
        });
        let patterns = entry.need("match", |value| {
            let items = value.as_array();
            let items = items.filter(|items| (1..=MOST_PATTERNS).contains(&items.len()));
            let items = items.ok_or_else(|| {
                format!("a list of 1 to {MOST_PATTERNS} patterns, such as [\"garage-*\"]")
            })?;
            items.iter().map(pattern).collect::<Result<Vec<_>, _>>()
        });
        let work = entry.get("work", work);
        let right = entry.is_right();
        let name = name?;
        names.push((name.clone(), number));
        let patterns = patterns.filter(|_| right)?;
        Some(Group {
            name,
            patterns,
            work,
        })
    })
}

fn timetable(reading: &mut Reading<'_>) -> Vec<TimetableEntry> {
    reading.each(|number, place, value, reading| {
        let mut entry = reading.entry(
            number,
            place.to_owned(),
            value,
            &["days", "from", "to", "work"],
        );
        let days = entry.need("days", days);
        let from = entry.need("from", |value| time(value, false));
        let to = entry.need("to", |value| time(value, true));
        let work = entry.need("work", work);
        let right = entry.is_right();
        Some(TimetableEntry {
            days: days.filter(|_| right)?,
            from: from?,
            to: to?,
            work: work?,
        })
    })
}

fn prices(reading: &mut Reading<'_>) -> BTreeMap<String, f64> {
    let mut coins: Vec<String> = Vec::new();
    reading.each(|number, name, value, reading| {
        let place = join("", name);
        let coin = name.trim().to_uppercase();
        let known = coins.contains(&coin);
        coins.push(coin.clone());
        let is_coin = (1..=LONGEST_COIN).contains(&coin.len())
            && coin.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let allowed = match PRICE.read(value) {
            _ if !is_coin => "a coin, such as \"BTC\"".to_owned(),
            _ if known => format!("one price for {coin}"),
            Err(allowed) => allowed,
            Ok(price) => return Some((coin, price)),
        };
        let found = if is_coin && !known {
            quote(value)
        } else {
            quote(&json!(name))
        };
        reading.note(number, place, found, allowed);
        None
    })
}

/// The allowed prices.
const PRICE: Number = Number {
    default: 0,
    min: 0.0,
    max: 1_000_000_000,
};

fn worker_name(name: &str) -> Result<(), String> {
    if name == "*" {
        return Err("the name of one worker; use groups for several".to_owned());
    }
    let fits = one_line(name, LONGEST_WORKER).is_some_and(|name| !name.is_empty());
    (fits && name.len() <= LONGEST_WORKER)
        .then_some(())
        .ok_or_else(|| format!("a worker's name on one line of 1 to {LONGEST_WORKER} bytes"))
}

fn display_name(value: &Value) -> Result<String, String> {
    let name = value.as_str().and_then(|name| one_line(name, LONGEST_NAME));
    name.map(|name| name.trim().to_owned())
        .ok_or_else(|| format!("one line of text, at most {LONGEST_NAME} characters"))
}

fn work(value: &Value) -> Result<Work, String> {
    Work::read(value).map_err(str::to_owned)
}

fn turns(value: &Value) -> Result<Turns, String> {
    let known = |turns: &Turns| value.as_str() == Some(turns.name());
    let names = Turns::ALL.map(|turns| format!("\"{}\"", turns.name()));
    let turns = Turns::ALL.into_iter().find(known);
    turns.ok_or_else(|| names.join(" or "))
}

fn pattern(value: &Value) -> Result<glob::Pattern, String> {
    let text = value
        .as_str()
        .and_then(|text| one_line(text, LONGEST_WORKER));
    let text = text.filter(|text| !text.is_empty()).ok_or_else(|| {
        format!(
            "patterns on one line of 1 to {LONGEST_WORKER} characters, such as \"garage-*\"; {} is not one",
            quote(value)
        )
    })?;
    glob::Pattern::new(text).map_err(|error| {
        format!(
            "patterns such as \"garage-*\" or \"rig-[0-9]\"; {} is not one: {} at character {}",
            quote(value),
            error.msg,
            error.pos + 1
        )
    })
}

fn days(value: &Value) -> Result<[bool; 7], String> {
    let read = || {
        let mut days = [false; 7];
        for name in value.as_array()? {
            let name = name.as_str()?;
            days[DAYS.iter().position(|day| *day == name)?] = true;
        }
        days.contains(&true).then_some(days)
    };
    read().ok_or_else(|| {
        let names = DAYS.map(|day| format!("\"{day}\""));
        format!("a list of one or more of the days {}", names.join(", "))
    })
}

/// A time of the day in minutes after midnight.
fn time(value: &Value, is_end: bool) -> Result<u16, String> {
    let read = || {
        let (hours, minutes) = value.as_str()?.split_once(':')?;
        let number = |text: &str, most: u16| {
            let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u16>()
                .ok()
                .filter(|number| digits && *number <= most)
        };
        match (hours, minutes) {
            // The same moment as the beginning of the next day.
            ("24", "00") if is_end => Some(0),
            _ => Some(number(hours, 23)? * 60 + number(minutes, 59)?),
        }
    };
    let latest = if is_end { "24:00" } else { "23:59" };
    read().ok_or_else(|| format!("a time from \"00:00\" to \"{latest}\""))
}

/// A table while it is read.
#[derive(Default)]
struct Reading<'a> {
    /// Name or number, and the value.
    entries: Vec<(String, &'a Value)>,
    wrong: Vec<Wrong>,
}

impl<'a> Reading<'a> {
    /// Collects what `read` makes of each entry.
    fn each<T, C: FromIterator<T>>(
        &mut self,
        mut read: impl FnMut(usize, &str, &'a Value, &mut Self) -> Option<T>,
    ) -> C {
        let entries = std::mem::take(&mut self.entries);
        let numbered = entries.iter().enumerate();
        numbered
            .filter_map(|(number, (name, value))| read(number, name, value, self))
            .collect()
    }

    fn note(&mut self, number: usize, place: String, found: String, allowed: String) {
        self.wrong.push(Wrong {
            place,
            found,
            allowed,
            entries: number..number + 1,
        });
    }

    /// An entry with only these keys.
    fn entry<'r>(
        &'r mut self,
        number: usize,
        place: String,
        value: &'a Value,
        known: &[&str],
    ) -> Entry<'r, 'a> {
        let before = self.wrong.len();
        let (names, last) = known.split_at(known.len() - 1);
        let known_names = format!("{} and {}", names.join(", "), last.concat());
        let mut map = None;
        match value {
            Value::Object(found) => {
                map = Some(found);
                for (key, value) in found {
                    if !known.contains(&key.as_str()) {
                        let allowed = format!("only the keys {known_names}");
                        self.note(number, join(&place, key), quote(value), allowed);
                    }
                }
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => {
                let allowed = format!("an object with the keys {known_names}");
                self.note(number, place.clone(), quote(value), allowed);
            }
        }
        Entry {
            map,
            place,
            number,
            before,
            reading: self,
        }
    }
}

/// An entry while it is read.
struct Entry<'r, 'a> {
    /// Its keys; `None`: it is not an object.
    map: Option<&'a Map<String, Value>>,
    place: String,
    number: usize,
    /// The number of faults before it.
    before: usize,
    reading: &'r mut Reading<'a>,
}

impl Entry<'_, '_> {
    /// The value of a key, if there is a valid one.
    fn get<T>(&mut self, key: &str, read: impl FnOnce(&Value) -> Result<T, String>) -> Option<T> {
        let value = self.map?.get(key).filter(|value| !value.is_null())?;
        match read(value) {
            Ok(meaning) => Some(meaning),
            Err(allowed) => {
                let place = join(&self.place, key);
                self.reading.note(self.number, place, quote(value), allowed);
                None
            }
        }
    }

    /// The same for a required key.
    fn need<T>(&mut self, key: &str, read: impl FnOnce(&Value) -> Result<T, String>) -> Option<T> {
        if self.map?.get(key).is_none_or(Value::is_null) {
            let allowed = read(&Value::Null).err()?;
            let place = join(&self.place, key);
            self.reading
                .note(self.number, place, "nothing".to_owned(), allowed);
            return None;
        }
        self.get(key, read)
    }

    /// Whether it has no mistakes.
    fn is_right(&self) -> bool {
        self.reading.wrong.len() == self.before
    }
}

/// The workers' settings, one per line.
pub(super) fn workers_shown(workers: &BTreeMap<String, WorkerSettings>) -> String {
    let line = |(worker, settings): (&String, &WorkerSettings)| {
        let WorkerSettings {
            name,
            work,
            turns,
            failover,
        } = settings;
        let mut parts = Vec::new();
        if !name.is_empty() {
            parts.push(format!("name {}", json!(name)));
        }
        parts.extend(work.map(|work| format!("work {}", work_shown(work))));
        if *turns != Turns::default() {
            parts.push(format!("turns {}", turns.name()));
        }
        parts.extend(failover.map(|failover| format!("failover {failover}")));
        format!("{}: {}", json!(worker), parts.join(", "))
    };
    lines(workers.iter().map(line))
}

/// The tokens, one per line, including secrets, for comparing.
pub(super) fn tokens_compared(tokens: &BTreeMap<String, ApiToken>) -> String {
    let line = |(name, token): (&String, &ApiToken)| {
        format!("{}: {} {}", json!(name), token.may.name(), &*token.hash)
    };
    lines(tokens.iter().map(line))
}

/// The groups, one per line.
pub(super) fn groups_shown(groups: &[Group]) -> String {
    lines(groups.iter().map(|group| {
        let Group {
            name,
            patterns,
            work,
        } = group;
        let patterns: Vec<_> = patterns
            .iter()
            .map(|it| json!(it.as_str()).to_string())
            .collect();
        let work = work.map_or(String::new(), |work| format!(", work {}", work_shown(work)));
        format!("{}: match {}{work}", json!(name), patterns.join(" "))
    }))
}

/// The entries of the timetable, one per line.
pub(super) fn timetable_shown(entries: &[TimetableEntry]) -> String {
    lines(entries.iter().map(|entry| {
        let TimetableEntry {
            days,
            from,
            to,
            work,
        } = *entry;
        let days = DAYS.into_iter().zip(days).filter(|(_, on)| *on);
        let days: Vec<_> = days.map(|(day, _)| day).collect();
        let time = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        format!(
            "{} {}-{}: {}",
            days.join(" "),
            time(from),
            time(to),
            work_shown(work)
        )
    }))
}

/// The prices, one per line.
pub(super) fn prices_shown(prices: &BTreeMap<String, f64>) -> String {
    lines(prices.iter().map(|(coin, price)| format!("{coin} {price}")))
}

fn work_shown(work: Work) -> String {
    if let Some(slot) = PoolSlot::ALL
        .into_iter()
        .find(|slot| work == Work::only(*slot))
    {
        return slot.to_string();
    }
    match work {
        Work::Pause => "pause".to_owned(),
        // A 0 may be written as -0.0.
        Work::Split(weights) => {
            let [a, b] = PoolSlot::ALL.map(|slot| weights[slot].abs());
            format!("{a}:{b}")
        }
    }
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}

/// A table without the entries in these ranges; null if there are no others.
pub(super) fn without(table: &Value, wrong: &[Range<usize>]) -> Value {
    let stays = |number: &usize| !wrong.iter().any(|range| range.contains(number));
    let kept: Value = match table {
        Value::Array(items) => {
            let numbered = items.iter().enumerate();
            let kept = numbered.filter(|(number, _)| stays(number));
            kept.map(|(_, item)| item.clone()).collect()
        }
        Value::Object(map) => {
            let numbered = map.iter().enumerate();
            let kept = numbered.filter(|(number, _)| stays(number));
            kept.map(|(_, (name, value))| (name.clone(), value.clone()))
                .collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Value::Null,
    };
    let is_empty = [json!([]), json!({})].contains(&kept);
    if is_empty { Value::Null } else { kept }
}

/// The workers' settings as far as they are readable: unknown keys are removed, and an entry that is still unusable
/// keeps its pause, so that no paused miner starts mining.
pub(super) fn usable_workers(table: &Value) -> Value {
    let mut table = table.clone();
    for entry in table.as_object_mut().into_iter().flat_map(Map::values_mut) {
        if let Some(entry) = entry.as_object_mut() {
            entry.retain(|key, _| WORKER_KEYS.contains(&key.as_str()));
        }
    }
    let is_wrong = WORKERS.wrong(&table);
    for (number, entry) in table
        .as_object_mut()
        .into_iter()
        .flat_map(Map::values_mut)
        .enumerate()
    {
        let wrong = is_wrong.iter().any(|it| it.entries.contains(&number));
        if wrong && entry.get("work") == Some(&json!("pause")) {
            *entry = json!({"work": "pause"});
        }
    }
    let kept = WORKERS.wrong(&table).into_iter().map(|it| it.entries);
    without(&table, &kept.collect::<Vec<_>>())
}

/// The timetable's time zone; by default the system's.
pub(super) struct TimeZone;

impl TimeZone {
    /// In characters; the longest existing name has 32.
    const LONGEST: usize = 64;
}

impl Kind for TimeZone {
    type Meaning = String;

    fn read(&self, value: &Value) -> Result<String, String> {
        let name = value.as_str().map(str::trim);
        let name = name.filter(|name| name.is_empty() || Zone::named(name).is_some());
        name.map(str::to_owned).ok_or_else(|| self.allowed())
    }

    fn allowed(&self) -> String {
        "empty, or the name of a time zone, such as \"Europe/Berlin\"".to_owned()
    }

    fn default(&self) -> String {
        String::new()
    }

    fn default_json(&self) -> Value {
        json!("")
    }

    fn form(&self) -> Form {
        Form::text(FormKind::Text, Self::LONGEST)
    }
}

#[cfg(test)]
mod tests;
