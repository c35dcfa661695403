//! Messages that wait for each target: their order, pauses and quiet hours. No socket and no clock.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::config::notify::{Target, TargetKind};
use crate::notify::journal::{Fate, Record};
use crate::notify::plan::{Event, Message, in_words};
use crate::notify::send::Outcome;
use crate::trouble::{self, Level};

/// How many messages can wait for one target.
const MOST_WAITING: usize = 50;

/// The delays before a message is tried again, in milliseconds; then every [`LATER_MS`].
const RETRIES_MS: [u64; 3] = [5_000, 25_000, 125_000];

/// The time between later attempts to deliver a message, in milliseconds.
const LATER_MS: u64 = 600_000;

/// When a message is abandoned, in milliseconds.
const LONGEST_MS: u64 = 24 * 3_600_000;

/// A message that is at least this old says how old it is, in milliseconds.
const OLD_MS: u64 = 300_000;

/// How many lines a summary has at most.
const MOST_LINES: usize = 20;

/// All waiting messages, by the target's name. It is kept across restarts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outbox(BTreeMap<String, Waiting>);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Waiting {
    queue: VecDeque<Message>,
    /// Messages for the summary at the end of quiet hours.
    held: Vec<Message>,
    /// How often the first message was tried.
    tries: usize,
    /// Why the last attempt failed.
    #[serde(default)]
    problem: Option<String>,
    /// Nothing is sent before this time, in milliseconds since 1970.
    not_before_ms: u64,
}

/// Whether a target wants a message.
fn is_wanted(target: &Target, message: &Message) -> bool {
    let grave = message.level == Level::Good || message.level <= target.level;
    let name = trouble::name(&message.id);
    target.enabled
        && target.kind != TargetKind::Heartbeat
        && grave
        && !target.except.iter().any(|it| it == name)
}

impl Outbox {
    /// Adds a message for a target; `second`: the local time of day.
    pub fn add(&mut self, name: &str, target: &Target, message: &Message, second: i64) {
        if !is_wanted(target, message) {
            return;
        }
        let waiting = self.0.entry(name.to_owned()).or_default();
        let is_quiet = target
            .quiet
            .is_some_and(|quiet| quiet.contains(second) && message.level > quiet.level);
        if is_quiet {
            waiting.held.push(message.clone());
            if waiting.held.len() > MOST_WAITING {
                waiting.held.remove(0);
            }
        } else {
            waiting.push(message.clone());
        }
    }

    /// Forgets targets that were removed or switched off, and ends quiet hours.
    pub fn look(&mut self, targets: &BTreeMap<String, Target>, now_ms: u64, second: i64) {
        let is_on = |name: &String| targets.get(name).is_some_and(|target| target.enabled);
        self.0.retain(|name, _| is_on(name));
        for (name, waiting) in &mut self.0 {
            let quiet = targets.get(name).and_then(|target| target.quiet);
            if !quiet.is_some_and(|quiet| quiet.contains(second)) {
                let held = std::mem::take(&mut waiting.held);
                if let Some(message) = summary(held, now_ms) {
                    waiting.push(message);
                }
            }
        }
    }

    /// The next message for a target, if it is due.
    pub fn due(&self, name: &str, now_ms: u64) -> Option<Message> {
        let waiting = self.0.get(name).filter(|it| it.not_before_ms <= now_ms)?;
        let mut message = waiting.queue.front()?.clone();
        let age = now_ms.saturating_sub(message.at_ms);
        // An ongoing problem is reported two minutes late on purpose.
        if age >= OLD_MS && message.event != Event::Summary {
            message
                .text
                .push_str(&format!(" This was {} ago.", in_words(age)));
        }
        Some(message)
    }

    /// Handles the result of sending a message. Returns its record if it is finished.
    pub fn settle(
        &mut self,
        name: &str,
        message: &Message,
        outcome: &Outcome,
        now_ms: u64,
    ) -> Option<Record> {
        let waiting = self.0.get_mut(name)?;
        // The target may have been removed and added again in the meantime.
        let first = waiting.queue.front().filter(|it| it.is_same(message))?;
        let is_old = now_ms.saturating_sub(first.at_ms) > LONGEST_MS;
        let (fate, problem, pause) = match outcome {
            Outcome::Sent(_) => (Fate::Sent, None, 0),
            Outcome::Refused(problem) => (Fate::Failed, Some(&problem.text), 0),
            Outcome::Retry(problem, asked) => {
                let own = RETRIES_MS.get(waiting.tries).copied().unwrap_or(LATER_MS);
                let asked = asked.map_or(0, |pause| {
                    u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)
                });
                let fate = if is_old { Fate::Failed } else { Fate::Waits };
                (fate, Some(&problem.text), own.max(asked))
            }
        };
        waiting.tries += 1;
        waiting.problem = problem.cloned();
        waiting.not_before_ms = now_ms.saturating_add(pause);
        if fate == Fate::Waits {
            return None;
        }
        let done = waiting.queue.pop_front()?;
        waiting.tries = 0;
        let problem = waiting.problem.take();
        Some(Record {
            at_ms: now_ms,
            ..Record::new(name, &done, fate, problem)
        })
    }

    /// All waiting messages.
    pub fn waiting(&self) -> impl Iterator<Item = Record> {
        self.0.iter().flat_map(|(name, waiting)| {
            let all = waiting.queue.iter().chain(&waiting.held).enumerate();
            all.map(|(place, message)| {
                let problem = waiting.problem.clone().filter(|_| place == 0);
                Record::new(name, message, Fate::Waits, problem)
            })
        })
    }

    /// After a restart, the clock may have changed, so pauses are limited to their longest possible length.
    pub fn wake(&mut self, now_ms: u64) {
        for waiting in self.0.values_mut() {
            waiting.not_before_ms = waiting.not_before_ms.min(now_ms);
        }
    }
}

impl Waiting {
    fn push(&mut self, message: Message) {
        if self.queue.len() >= MOST_WAITING {
            // Not the first one: it may be on its way.
            self.queue.remove(1);
        }
        self.queue.push_back(message);
    }
}

/// One message for all that waited.
fn summary(mut held: Vec<Message>, now_ms: u64) -> Option<Message> {
    if held.len() < 2 {
        return held.pop();
    }
    let level = held.iter().map(|message| message.level).min()?;
    let more = held.len().saturating_sub(MOST_LINES);
    let mut lines: Vec<String> = held
        .iter()
        .take(MOST_LINES)
        .map(|message| {
            let age = in_words(now_ms.saturating_sub(message.at_ms));
            format!("{} ({age} ago)", message.title)
        })
        .collect();
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    Some(Message {
        event: Event::Summary,
        id: "summary".to_owned(),
        level,
        title: format!("{} messages during your quiet hours", held.len()),
        text: lines.join("\n"),
        at_ms: now_ms,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::notify::QuietHours;
    use crate::notify::send::{Problem, sample};

    const START: u64 = 1_800_000_000_000;
    const HOUR: i64 = 3600;

    fn message(id: &str, level: Level, at_ms: u64) -> Message {
        Message {
            event: Event::Began,
            id: id.to_owned(),
            level,
            title: id.to_owned(),
            text: "x".to_owned(),
            at_ms,
        }
    }

    fn targets(change: impl FnOnce(&mut Target)) -> BTreeMap<String, Target> {
        let mut target = sample(TargetKind::Ntfy, "http://x/y");
        change(&mut target);
        [("phone".to_owned(), target)].into()
    }

    fn retry(pause: Option<u64>) -> Outcome {
        let problem = Problem {
            status: Some(500),
            text: "HTTP 500".to_owned(),
        };
        Outcome::Retry(problem, pause.map(Duration::from_secs))
    }

    /// Handles the message that is due; returns its result.
    fn settle(outbox: &mut Outbox, name: &str, outcome: &Outcome, now_ms: u64) -> Fate {
        let message = outbox.0[name].queue[0].clone();
        let record = outbox.settle(name, &message, outcome, now_ms);
        record.map_or(Fate::Waits, |record| record.fate)
    }

    #[test]
    fn only_severe_enough_messages_without_an_exception_are_sent() {
        let targets = targets(|it| {
            it.level = Level::Error;
            it.except = vec!["pool_down".to_owned()];
        });
        let mut outbox = Outbox::default();
        for (id, level) in [
            ("pool_down:A", Level::Error),
            ("no_miner", Level::Warning),
            ("pool_mute:A", Level::Error),
            ("block_found:A:1", Level::Good),
        ] {
            outbox.add("phone", &targets["phone"], &message(id, level, START), 0);
        }
        let sent: Vec<_> = std::iter::from_fn(|| {
            let message = outbox.due("phone", START)?;
            let record = outbox.settle("phone", &message, &Outcome::Sent(200), START);
            assert_eq!(record.unwrap().fate, Fate::Sent);
            Some(message.id)
        })
        .collect();
        assert_eq!(sent, ["pool_mute:A", "block_found:A:1"]);
    }

    #[test]
    fn sending_is_retried_after_5_25_and_125_seconds_and_then_rarely() {
        let targets = targets(|_| ());
        let mut outbox = Outbox::default();
        outbox.add(
            "phone",
            &targets["phone"],
            &message("no_miner", Level::Warning, START),
            0,
        );
        let mut now = START;
        let mut tried = Vec::new();
        for _ in 0..6 {
            while outbox.due("phone", now).is_none() {
                now += 1000;
            }
            tried.push((now - START) / 1000);
            assert_eq!(settle(&mut outbox, "phone", &retry(None), now), Fate::Waits);
        }
        let waits: Vec<_> = outbox.waiting().collect();
        assert_eq!(waits[0].problem.as_deref(), Some("HTTP 500"));
        assert_eq!(tried, [0, 5, 30, 155, 755, 1355]);
        // Late, with its time.
        now += LATER_MS;
        assert!(
            outbox
                .due("phone", now)
                .unwrap()
                .text
                .contains("This was 32 minutes ago.")
        );
        let end = START + LONGEST_MS + 1;
        assert_eq!(
            settle(&mut outbox, "phone", &retry(None), end),
            Fate::Failed
        );
        assert!(outbox.due("phone", u64::MAX).is_none());
    }

    #[test]
    fn a_service_can_ask_for_a_longer_pause_and_delays_no_other() {
        let mut targets = targets(|_| ());
        targets.insert("other".to_owned(), sample(TargetKind::Ntfy, "http://x/z"));
        let mut outbox = Outbox::default();
        for (name, target) in &targets {
            outbox.add(name, target, &message("no_miner", Level::Warning, START), 0);
        }
        settle(&mut outbox, "other", &retry(Some(60)), START);
        assert!(outbox.due("other", START).is_none());
        assert!(outbox.due("phone", START).is_some());
        settle(&mut outbox, "phone", &Outcome::Sent(200), START);
        assert!(outbox.due("phone", START).is_none());
        assert!(outbox.due("other", START + 59_999).is_none());
        assert!(outbox.due("other", START + 60_000).is_some());
    }

    #[test]
    fn quiet_hours_across_midnight_end_with_a_summary() {
        let targets = targets(|it| {
            it.quiet = Some(QuietHours {
                from: 23 * 60,
                to: 7 * 60,
                level: Level::Error,
            });
        });
        let phone = &targets["phone"];
        let mut outbox = Outbox::default();
        outbox.add(
            "phone",
            phone,
            &message("no_miner", Level::Warning, START),
            23 * HOUR + 1,
        );
        outbox.add(
            "phone",
            phone,
            &message("on_backup:A", Level::Warning, START),
            HOUR,
        );
        outbox.add(
            "phone",
            phone,
            &message("nothing_mined", Level::Error, START),
            2 * HOUR,
        );
        outbox.look(&targets, START, 2 * HOUR);
        assert_eq!(outbox.due("phone", START).unwrap().id, "nothing_mined");
        settle(&mut outbox, "phone", &Outcome::Sent(200), START);
        outbox.look(&targets, START, 7 * HOUR - 1);
        assert!(outbox.due("phone", START).is_none());
        let kept: Outbox = serde_json::from_str(&serde_json::to_string(&outbox).unwrap()).unwrap();
        assert_eq!(kept, outbox);
        outbox.look(&targets, START + 7_200_000, 7 * HOUR);
        let summary = outbox.due("phone", START + 7_200_000).unwrap();
        assert_eq!(summary.event, Event::Summary);
        assert!(
            summary.text.contains("on_backup:A (2 hours ago)") && summary.text.contains("no_miner")
        );
        // A single one needs no summary.
        settle(&mut outbox, "phone", &Outcome::Sent(200), START);
        outbox.add(
            "phone",
            phone,
            &message("no_miner", Level::Warning, START),
            HOUR,
        );
        outbox.look(&targets, START, 8 * HOUR);
        assert_eq!(outbox.due("phone", START).unwrap().id, "no_miner");
    }

    #[test]
    fn waiting_messages_are_bounded_and_removed_with_their_target() {
        let targets = targets(|_| ());
        let mut outbox = Outbox::default();
        for number in 0..200 {
            let id = format!("no_miner:{number}");
            outbox.add(
                "phone",
                &targets["phone"],
                &message(&id, Level::Warning, START),
                0,
            );
        }
        assert_eq!(outbox.0["phone"].queue.len(), MOST_WAITING);
        assert_eq!(outbox.due("phone", START).unwrap().id, "no_miner:0");
        let mut off = targets.clone();
        off.get_mut("phone").unwrap().enabled = false;
        for left in [off, BTreeMap::new()] {
            let mut outbox = outbox.clone();
            outbox.look(&left, START, 0);
            assert!(outbox.due("phone", START).is_none());
        }
    }
}
