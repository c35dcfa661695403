//! Log events as sentences, for the Logs page.
//!
//! - A sentence is made from a log line, which an earlier version may have written. Missing fields are left out.
//! - Pools have the names that they had then.
//! - The page adds the end of a temporary change, because it knows the reader's time zone.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::core::steering::AimSource;
use crate::notify::plan::in_words;
use crate::observe::event::Name;
use crate::trouble;
use crate::units::{PerPool, PoolSlot};
use crate::web::api::PoolNames;
use crate::web::api::widgets::scaled;
use crate::web::plain::without_codes;

/// The longest sentence, in characters. The whole text is in the event's fields.
const LONGEST: usize = 300;

/// How many workers a sentence names.
const MOST_NAMES: usize = 3;

/// A line of the log as a sentence.
pub(in crate::web::api) fn sentence(line: &str, names: &PoolNames) -> String {
    let fields: Map<String, Value> = serde_json::from_str(line).unwrap_or_default();
    let time = fields.get("ts").and_then(Value::as_str);
    let names = names.at(time.unwrap_or_default());
    let line = Line { fields, names };
    let event = line.text("event");
    let text = match Name::ALL.iter().find(|name| name.text() == event) {
        Some(name) => line.told(*name),
        None => spaced(event),
    };
    let text = match line.number("count") {
        Some(count) if count > 1.0 => format!("{text} ({count} times)"),
        Some(_) | None => text,
    };
    let text = without_codes(&text);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}

struct Line {
    fields: Map<String, Value>,
    /// What the pools were called.
    names: PerPool<String>,
}

impl Line {
    fn told(&self, name: Name) -> String {
        let (who, pool, of_miner) = (self.who(), self.pool("pool"), self.of_miner());
        let miner = format!("Miner {}", self.shown("miner"));
        let text = |key| self.text(key);
        match name {
            Name::Started => format!(
                "DPMP {} started. Miners connect to {}",
                text("version"),
                text("listen")
            ),
            Name::Stopping => "DPMP is stopping".into(),
            Name::Stopped => format!("DPMP stopped after {}", self.time("uptime_ms")),
            Name::MinerConnected => format!("{miner} connected from {}", text("peer")),
            Name::MinerAuthorized => match text("user_agent") {
                "" => format!("{who} started to work"),
                software => format!("{who} started to work with {software}"),
            },
            Name::MinerRefused => format!("{who}: rejected by every pool{}", self.why("message")),
            Name::MinerTurnedAway => format!("DPMP disconnected {of_miner}{}", self.why("text")),
            Name::WorkerPaused => format!("{who} is paused: {}", source(text("source"))),
            Name::WorkerResumed => format!("{who} may mine again"),
            Name::OverrideSet => format!("Temporary change for {}", self.order()),
            Name::OverrideEnded => format!("A temporary change ended for {}", self.order()),
            Name::TimetableChanged => match self.work() {
                Some(work) => format!("The timetable now says: {work}"),
                None => "No timetable entry applies now".into(),
            },
            Name::BalanceMoved => format!(
                "Balance moved {}'s part of the split from {}% to {}%{}",
                self.names[PoolSlot::A],
                self.shown("from"),
                self.shown("to"),
                self.why("problem")
            ),
            Name::MinerDisconnected => format!(
                "{who} left after {}{}",
                self.time("connected_ms"),
                self.why("reason")
            ),
            Name::MinerIdle => format!("No pool has work for {of_miner}"),
            Name::MinerMessageBad => {
                format!("{miner} sent an unusable message{}", self.why("problem"))
            }
            Name::LimitReached => {
                let peer = text("peer");
                let whom = if self.has("miner") { &of_miner } else { peer };
                format!("The limit \"{}\" stopped {whom}", spaced(text("limit")))
            }
            Name::ExtranonceChanged => format!("{miner} got a new extranonce"),
            Name::ExtranonceSizeLearnt => format!(
                "{who} uses an extranonce2 of {} bytes, not {}. DPMP now accepts that",
                self.shown("sent"),
                self.shown("told")
            ),
            Name::MinerLags => format!("{miner} is slow to switch. DPMP now sends it clean jobs"),
            Name::PoolLearnt => match text("version_mask") {
                "00000000" => format!("{pool} does not let miners roll version bits"),
                mask => format!("{pool} lets miners roll the version bits {mask}"),
            },
            Name::PoolDialing => format!("Connecting to {pool}{}", self.for_miner()),
            Name::PoolReady => format!("{pool} is ready{}, as {}", self.for_miner(), text("user")),
            Name::PoolLost => format!(
                "A connection to {pool} ended{}{}",
                self.for_miner(),
                self.why("reason")
            ),
            Name::PoolUp => format!("{pool} works"),
            Name::PoolDown => format!("{pool} is down{}", self.why("reason")),
            Name::PoolNoJob => format!(
                "{pool} has sent no job for {} seconds",
                self.shown("seconds")
            ),
            Name::PoolFailover => {
                let address = match self.number("backup") {
                    None | Some(0.0) => "first address".to_owned(),
                    Some(backup) => format!("backup {backup}"),
                };
                format!(
                    "DPMP uses the {address} of {pool}, {}{}",
                    text("address"),
                    self.why("reason")
                )
            }
            Name::PoolMessage => format!("{pool} says: {}", text("text")),
            Name::PoolMessageBad => {
                format!("{pool} sent an unusable message{}", self.why("problem"))
            }
            Name::PoolReconnect => format!("{pool} asked for a new connection{}", self.for_miner()),
            Name::PoolRedirectRefused => format!(
                "{pool} asked to send {of_miner} to {}. DPMP never does that",
                text("host")
            ),
            Name::VersionForm => match text("form") {
                "none" => format!("{pool} rejects shares with every form of version bits"),
                form => format!("{pool} accepts version bits as {form}"),
            },
            Name::JobReceived => format!("New job from {pool}{}", self.for_miner()),
            Name::JobShared => format!(
                "{} of {} miners on a shared connection got a job from {pool}",
                self.shown("sent"),
                self.shown("members")
            ),
            Name::MembersSwitched => format!(
                "Miners on a shared connection to {pool} switched: {} to {}, {} to {}, {} without work",
                self.shown("to_a"),
                self.names[PoolSlot::A],
                self.shown("to_b"),
                self.names[PoolSlot::B],
                self.shown("idle")
            ),
            Name::SharesLost => format!(
                "A shared connection to {pool} was lost, and with it {} shares of {} miners",
                self.shown("shares"),
                self.shown("miners")
            ),
            Name::JobForwarded => format!(
                "{miner} got a job from {pool}, difficulty {}",
                self.difficulty("difficulty")
            ),
            Name::PoolSwitched => format!(
                "{miner} now works for {}: {}",
                self.pool("to"),
                cause(text("cause"))
            ),
            Name::ShareResult => self.share(&who, &pool),
            Name::BlockFound => format!("{who} found a block for {pool}: {}", text("hash")),
            Name::KeptBlock => format!(
                "{who}: DPMP sent the block {} to {pool} when the pool was back: {}",
                text("hash"),
                text("answer")
            ),
            Name::ConfigApplied => {
                format!("The configuration changed: {}", self.list("changes", "; "))
            }
            Name::ConfigRefused => {
                format!("The configuration file is unusable{}", self.why("problem"))
            }
            Name::ConfigUsable => "The configuration file is usable again".into(),
            Name::ConfigWarning => format!("About the configuration: {}", text("text")),
            Name::LoggedIn => format!("Someone logged in from {}", text("address")),
            Name::LoginRefused => {
                format!("Someone entered a wrong password from {}", text("address"))
            }
            Name::TokenMade => format!("{} got a new token", text("name")),
            Name::TokenRevoked => format!("The token of {} was revoked", text("name")),
            Name::TokenRefused => {
                format!("A program sent an unknown token from {}", text("address"))
            }
            Name::StateProblem => format!("A state file has a problem{}", self.why("problem")),
            Name::AcceptFailed => format!("Miners cannot connect{}", self.why("problem")),
            Name::TroubleBegan => text("title").to_owned(),
            Name::TroubleOver => format!("Over: {}", self.trouble()),
            Name::MessageSent => format!("A message was sent to {}", text("target")),
            Name::MessageFailed => format!(
                "A message to {} failed{}",
                text("target"),
                self.why("problem")
            ),
            Name::SlowTurn => format!(
                "The machine is too busy: one turn took {}",
                self.milliseconds("took_ms")
            ),
            Name::Panicked => format!("An error in DPMP. Report it{}", self.why("problem")),
            Name::LogDropped => format!("{} lines are missing here", self.shown("lines")),
            Name::LibraryMessage => format!("{}: {}", text("library"), text("text")),
        }
    }

    fn share(&self, who: &str, pool: &str) -> String {
        let reason = match self.text("reason") {
            "" => "no reason given".to_owned(),
            reason => spaced(reason),
        };
        let told = match self.text("outcome") {
            "accepted" => {
                let took = match self.milliseconds("latency_ms") {
                    took if took.is_empty() => took,
                    took => format!(" after {took}"),
                };
                let difficulty = self.difficulty("difficulty");
                format!("share of {difficulty} accepted by {pool}{took}")
            }
            "below_pool" => format!("share below the difficulty of {pool}, not forwarded"),
            "rejected" => format!("share rejected by {pool}, {reason}{}", self.why("message")),
            "refused" => format!("share blocked by DPMP, {reason}"),
            "lost" => format!("no answer from {pool} to a share, {reason}"),
            other => format!("share {}", spaced(other)),
        };
        let is_block = self.fields.get("block") == Some(&Value::Bool(true));
        let block = if is_block { "A block! " } else { "" };
        format!("{block}{who}: {told}")
    }

    /// What the notice said. Lines of earlier versions only have the trouble's name.
    fn trouble(&self) -> String {
        let id = self.text("trouble");
        match (self.text("title"), trouble::pool(id)) {
            ("", Some(slot)) => format!("{} ({})", spaced(trouble::name(id)), self.names[slot]),
            ("", None) => spaced(trouble::name(id)),
            (title, _) => title.to_owned(),
        }
    }

    fn has(&self, key: &str) -> bool {
        self.fields.get(key).is_some_and(|value| !value.is_null())
    }

    fn text(&self, key: &str) -> &str {
        self.fields
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    fn number(&self, key: &str) -> Option<f64> {
        self.fields.get(key)?.as_f64()
    }

    /// A text, or a number as it is.
    fn shown(&self, key: &str) -> String {
        match self.fields.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(_) | None => String::new(),
        }
    }

    /// A time in milliseconds.
    fn time(&self, key: &str) -> String {
        let seconds = self.number(key).unwrap_or_default() / 1000.0;
        let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        in_words(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    fn milliseconds(&self, key: &str) -> String {
        match self.number(key) {
            None => String::new(),
            Some(ms) if ms < 10.0 => format!("{ms:.1} ms"),
            Some(ms) if ms < 1000.0 => format!("{ms:.0} ms"),
            Some(ms) => format!("{:.1} s", ms / 1000.0),
        }
    }

    fn difficulty(&self, key: &str) -> String {
        self.number(key).map_or("unknown difficulty".into(), large)
    }

    /// The reason after a colon, if there is one.
    fn why(&self, key: &str) -> String {
        match self.text(key) {
            "" => String::new(),
            text => format!(": {text}"),
        }
    }

    fn who(&self) -> String {
        match (self.text("worker"), self.has("miner")) {
            ("", true) => format!("Miner {}", self.shown("miner")),
            ("", false) => "A miner".into(),
            (worker, _) => worker.into(),
        }
    }

    fn of_miner(&self) -> String {
        if self.has("miner") {
            format!("miner {}", self.shown("miner"))
        } else {
            "a miner".into()
        }
    }

    fn for_miner(&self) -> String {
        if self.has("miner") {
            format!(" for miner {}", self.shown("miner"))
        } else {
            String::new()
        }
    }

    fn pool(&self, key: &str) -> String {
        let letter = self.text(key);
        let slot = PoolSlot::ALL.into_iter().find(|slot| slot.name() == letter);
        slot.map_or("a pool".into(), |slot| self.names[slot].clone())
    }

    fn list(&self, key: &str, between: &str) -> String {
        self.texts(key).join(between)
    }

    fn texts(&self, key: &str) -> Vec<&str> {
        let texts = self.fields.get(key).and_then(Value::as_array);
        texts
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    /// Which workers should do what.
    fn order(&self) -> String {
        let workers = self.texts("workers");
        let whom = match workers.as_slice() {
            ["*"] => "all miners".to_owned(),
            [some @ .., last] if !some.is_empty() && workers.len() <= MOST_NAMES + 1 => {
                format!("{} and {last}", some.join(", "))
            }
            all if all.len() > MOST_NAMES => {
                let (some, rest) = all.split_at(MOST_NAMES);
                format!("{} and {} more", some.join(", "), rest.len())
            }
            all => all.join(", "),
        };
        format!("{whom}: {}", self.work().unwrap_or_default())
    }

    fn work(&self) -> Option<String> {
        let weight = |slot: PoolSlot| self.fields.get("work")?.get(slot.name())?.as_f64();
        match self.fields.get("work")? {
            Value::String(text) if text == "pause" => Some("Pause".into()),
            Value::String(_) => Some(format!("All to {}", self.pool("work"))),
            Value::Object(_) => {
                let [a, b] = [weight(PoolSlot::A)?, weight(PoolSlot::B)?];
                let percent = |part| trimmed(format!("{:.1}", 100.0 * part / (a + b)));
                Some(format!("{}:{}", percent(a), percent(b)))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
        }
    }
}

fn source(name: &str) -> String {
    let known = AimSource::ALL.iter().find(|source| source.name() == name);
    match known {
        Some(AimSource::Worker) => "own setting".into(),
        Some(AimSource::Group) => "its group's setting".into(),
        Some(AimSource::Override) => "temporary change".into(),
        Some(AimSource::Timetable) => "timetable".into(),
        Some(AimSource::Balance) => "balance".into(),
        Some(AimSource::Usual) => "usual split".into(),
        None => spaced(name),
    }
}

fn cause(name: &str) -> String {
    match name {
        "start" => "it begins to work".into(),
        "schedule" => "its turn ended".into(),
        "failover" => "the other pool has no work".into(),
        "config" => "the other pool's weight is now 0".into(),
        "steering" => "its work changed, or its own pool is back".into(),
        "fleet" => "this pool needs it".into(),
        other => spaced(other),
    }
}

/// A name from the API as words.
fn spaced(name: &str) -> String {
    name.replace('_', " ")
}

/// A difficulty: 0.5, 8,192, 16.4 k.
fn large(value: f64) -> String {
    if value < 1.0 {
        return trimmed(format!("{value:.6}"));
    }
    if value < 100.0 {
        return trimmed(format!("{value:.2}"));
    }
    if value < 9999.5 {
        let text = format!("{value:.0}");
        return match text.split_at_checked(1) {
            Some((thousands, rest)) if rest.len() == 3 => format!("{thousands},{rest}"),
            Some(_) | None => text,
        };
    }
    let (text, unit) = scaled(value, &["", "k", "M", "G", "T", "P", "E"]);
    format!("{text} {unit}")
}

/// Without zeros at the end of its fraction.
fn trimmed(number: String) -> String {
    match number.split_once('.') {
        Some(_) => number
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned(),
        None => number,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::observe::event;
    use crate::observe::samples::samples;

    fn names() -> PoolNames {
        PoolNames {
            now: PerPool::from_fn(|slot| format!("Pool of {slot}")),
            former: PerPool::default(),
        }
    }

    #[test]
    fn a_pool_has_the_name_it_had_at_the_time() {
        let former =
            |hour: u32, name: &str| (format!("2026-11-30T{hour:02}:00:00.000Z"), name.into());
        let names = PoolNames {
            former: PerPool::new(vec![former(14, "Second"), former(12, "First")], vec![]),
            ..names()
        };
        let told = |hour: u32| {
            let ts = format!("2026-11-30T{hour:02}:30:00.000Z");
            sentence(
                &json!({"ts": ts, "event": "pool_up", "pool": "A"}).to_string(),
                &names,
            )
        };
        assert!(told(11).contains("First"));
        assert!(told(12).contains("Second"));
        assert!(told(14).contains("Pool of A"));
    }

    fn of(line: Value) -> String {
        sentence(&line.to_string(), &names())
    }

    #[test]
    fn every_event_has_a_complete_sentence() {
        for fact in samples() {
            let line = event::line(&fact, 0, 1, false);
            let told = sentence(&line, &names());
            let name = event::name(&fact).text();
            assert!(told.len() > 8, "{name}: {told}");
            assert!(
                !told.contains("  ") && !told.ends_with([' ', ':', ',']),
                "{name}: {told}"
            );
        }
    }

    #[test]
    fn shares_are_described_by_their_outcome() {
        let share = |more: Value| {
            let mut line =
                json!({"event": "share_result", "miner": 3, "worker": "rig1", "pool": "A"});
            line.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            of(line)
        };
        for (line, told) in [
            (
                json!({"outcome": "accepted", "difficulty": 16_400.0, "latency_ms": 48.25, "block": true}),
                "A block! rig1: share of 16.4 k accepted by Pool of A after 48 ms",
            ),
            (
                json!({"outcome": "rejected", "reason": "low_difficulty", "message": "Above target"}),
                "rig1: share rejected by Pool of A, low difficulty: Above target",
            ),
            (
                json!({"outcome": "refused", "reason": "stale", "worker": null}),
                "Miner 3: share blocked by DPMP, stale",
            ),
            (
                json!({"outcome": "lost", "reason": "pool_lost", "pool": null}),
                "rig1: no answer from a pool to a share, pool lost",
            ),
            (json!({"outcome": "new_word"}), "rig1: share new word"),
        ] {
            assert_eq!(share(line), told);
        }
    }

    #[test]
    fn temporary_changes_name_workers_and_work() {
        let change = |workers: Value, work: Value| {
            of(json!({"event": "override_set", "workers": workers, "work": work}))
        };
        assert_eq!(
            change(json!(["*"]), json!("B")),
            "Temporary change for all miners: All to Pool of B"
        );
        assert_eq!(
            change(json!(["a"]), json!("pause")),
            "Temporary change for a: Pause"
        );
        assert_eq!(
            change(json!(["a", "b"]), json!({"A": 2, "B": 1})),
            "Temporary change for a and b: 66.7:33.3"
        );
        let five = json!(["a", "b", "c", "d", "e"]);
        assert_eq!(
            change(five, json!({"A": 70, "B": 30})),
            "Temporary change for a, b, c and 2 more: 70:30"
        );
    }

    #[test]
    fn unknown_and_damaged_lines_have_a_text_too() {
        assert_eq!(of(json!({"event": "an_event_of_old"})), "an event of old");
        assert_eq!(
            of(json!({"event": "pool_lost", "pool": 5, "reason": []})),
            "A connection to a pool ended"
        );
        assert_eq!(of(json!([1])), "");
        let code = json!({"event": "pool_down", "reason": "refused (os error 111)"});
        assert_eq!(of(code), "a pool is down: refused");
        let long = of(json!({"event": "config_warning", "text": "ä".repeat(1000)}));
        assert_eq!(long.chars().count(), LONGEST + 1);
    }

    #[test]
    fn a_trouble_that_is_over_has_its_title() {
        let title = "CKPool rejects most shares";
        let id = "pool_rejecting:A";
        let line = json!({"event": "trouble_over", "trouble": id, "title": title});
        assert_eq!(of(line), "Over: CKPool rejects most shares");
        let line = json!({"event": "trouble_over", "trouble": id});
        assert_eq!(of(line), "Over: pool rejecting (Pool of A)");
        let line = json!({"event": "trouble_over", "trouble": "no_miner"});
        assert_eq!(of(line), "Over: no miner");
    }

    #[test]
    fn a_line_for_several_events_says_how_many() {
        let line = |count: u64| {
            of(json!({"event": "login_refused", "address": "10.0.0.7", "count": count}))
        };
        let once = "Someone entered a wrong password from 10.0.0.7";
        assert_eq!(line(1), once);
        assert_eq!(line(5), format!("{once} (5 times)"));
    }

    #[test]
    fn difficulties_have_three_digits() {
        let cases = [
            (0.0005, "0.0005"),
            (1.0, "1"),
            (64.25, "64.25"),
            (512.0, "512"),
            (8192.4, "8,192"),
            (16_384.0, "16.4 k"),
            (8.42e9, "8.42 G"),
        ];
        for (value, text) in cases {
            assert_eq!(large(value), text);
        }
    }
}
