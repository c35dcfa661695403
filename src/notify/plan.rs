//! Which messages a trouble causes and when, as a function of the troubles and of time.
//!
//! - The beginning is reported immediately or after two minutes, as the catalog says; the end only if the beginning
//!   was.
//! - What has not worked since DPMP started is reported after ten minutes at the earliest.
//! - A trouble that only follows from another one neither begins nor ends.
//! - Three changes within an hour make one message, "Comes and goes". If the trouble then lasts, it is reported like
//!   any other, and as usual after an hour without changes.
//! - A trouble that begins and ends while DPMP starts does not count as a change.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::trouble::{self, Alert, Level, Push};
use crate::units::{PerPool, PoolSlot};

/// How long most problems must last, or be over, before a message is sent, in milliseconds.
const SETTLES_MS: u64 = 120_000;

/// How long an intermittent problem must last before a message says that it stays, in milliseconds.
const STAYS_MS: u64 = 600_000;

/// How long after a start no messages are sent about things that have not worked yet, in milliseconds.
const GRACE_MS: u64 = 600_000;

/// The period over which changes are counted, in milliseconds.
const HOUR_MS: u64 = 3_600_000;

/// This many changes within an hour make a problem intermittent.
const MANY_CHANGES: usize = 3;

/// The alert for a missing worker.
const MISSING: &str = "miner_missing";

/// If an alert that lasted this long ends, the worker has not come back; it was forgotten after a week.
const FORGOTTEN_MS: u64 = 6 * 24 * HOUR_MS;

/// How many problems are tracked.
const MOST: usize = 1000;

/// The situation at one moment.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// The time in milliseconds since 1970.
    pub now_ms: u64,
    /// How long the program has been running, in milliseconds.
    pub uptime_ms: u64,
    /// The alerts that are shown.
    pub alerts: Vec<Alert>,
    /// The ids of alerts that only follow from others.
    pub hidden: BTreeSet<String>,
    /// Whether each pool has worked since the start.
    pub pool_worked: PerPool<bool>,
    /// Whether a miner has been connected since the start.
    pub miner_seen: bool,
    /// Whether anything is being mined.
    pub mining: bool,
}

impl Scene {
    /// Whether the cause of this alert may just be slow to start.
    fn is_starting(&self, id: &str) -> bool {
        let worked = match (trouble::name(id), trouble::pool(id)) {
            // Miners come back one by one.
            (MISSING | "miner_hangs", _) => false,
            (_, Some(slot)) => self.pool_worked[slot],
            ("nothing_mined", None) => PoolSlot::ALL.into_iter().any(|slot| self.pool_worked[slot]),
            ("no_miner", None) => self.miner_seen,
            (_, None) => true,
        };
        !worked && self.uptime_ms < GRACE_MS
    }
}

/// What a message says about a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It began.
    Began,
    /// It is over.
    Over,
    /// It began and ended several times.
    ComesAndGoes,
    /// Several messages that waited until the end of quiet hours.
    Summary,
    /// Only a test.
    Test,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// What it says.
    pub event: Event,
    /// The trouble's id.
    pub id: String,
    /// How serious it is.
    pub level: Level,
    /// In a few words.
    pub title: String,
    /// More about it.
    pub text: String,
    /// When it happened, in milliseconds since 1970.
    pub at_ms: u64,
}

impl Message {
    /// Whether the other message is the same one, perhaps with another text.
    pub fn is_same(&self, other: &Self) -> bool {
        self.id == other.id && self.event == other.event && self.at_ms == other.at_ms
    }
}

/// What has been reported so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    cases: BTreeMap<String, Case>,
}

/// A problem that exists, or existed within the last hour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Case {
    level: Level,
    title: String,
    /// When it began.
    since_ms: u64,
    /// When it ended; `None`: not yet.
    ended_ms: Option<u64>,
    /// Whether the owner was notified that it began.
    told: bool,
    /// Whether the owner was notified that it comes and goes.
    restless: bool,
    /// When it began and ended within the last hour.
    changes: Vec<u64>,
    /// Whether it may just have been slow to start.
    #[serde(default)]
    at_start: bool,
}

/// A problem began or ended; the log gets every one.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It began.
    Began(Alert),
    /// It ended.
    Over {
        /// The trouble's id.
        id: String,
        /// The notice's title when it was last shown.
        title: String,
        /// How long it lasted, in milliseconds.
        lasted: u64,
    },
}

/// The result of a check.
#[derive(Debug, Default)]
pub struct News {
    /// Messages for the owner.
    pub messages: Vec<Message>,
    /// Changes for the log.
    pub changes: Vec<Change>,
}

impl Plan {
    /// Compares the present situation with the last one.
    pub fn look(&mut self, scene: &Scene) -> News {
        let mut news = News::default();
        let now = scene.now_ms;
        for alert in &scene.alerts {
            self.see(alert, scene, &mut news);
        }
        let there: BTreeSet<&str> = scene.alerts.iter().map(|alert| alert.id.as_str()).collect();
        for (id, case) in &mut self.cases {
            if there.contains(id.as_str()) {
                continue;
            }
            if scene.hidden.contains(id) {
                if case.ended_ms.is_none() && is_dismissed(id, &there) {
                    (case.ended_ms, case.told) = (Some(now), false);
                    news.changes.push(case.over(id, now));
                }
                continue;
            }
            // After a start, it takes a while until a problem is found again.
            if case.ended_ms.is_none() && !scene.is_starting(id) {
                case.ended_ms = Some(now);
                if !case.at_start {
                    case.changes.push(now);
                }
                news.changes.push(case.over(id, now));
            }
            news.messages.extend(case.end(id, now));
        }
        for (id, case) in &mut self.cases {
            case.changes.retain(|at| now.saturating_sub(*at) < HOUR_MS);
            if case.changes.len() >= MANY_CHANGES && !case.restless && !is_event(id) {
                case.restless = true;
                case.told = true;
                news.messages.push(Message {
                    event: Event::ComesAndGoes,
                    id: id.clone(),
                    level: case.level,
                    title: format!("Comes and goes: {}", case.title),
                    text: "It came back within an hour. You get the next message when it is over, or if it lasts."
                        .to_owned(),
                    at_ms: now,
                });
            }
        }
        self.cases
            .retain(|_, case| case.ended_ms.is_none() || case.told || !case.changes.is_empty());
        news
    }

    fn see(&mut self, alert: &Alert, scene: &Scene, news: &mut News) {
        let now = scene.now_ms;
        let push = alert.kind().map_or(Push::Later, |kind| kind.push);
        if self.cases.len() >= MOST && !self.cases.contains_key(&alert.id) {
            return;
        }
        let case = self.cases.entry(alert.id.clone()).or_insert_with(|| Case {
            level: alert.level,
            title: String::new(),
            since_ms: now,
            ended_ms: Some(now),
            told: false,
            restless: false,
            changes: Vec::new(),
            at_start: false,
        });
        if case.ended_ms.take().is_some() {
            if !case.told || case.restless {
                case.since_ms = now;
            }
            case.at_start = scene.is_starting(&alert.id);
            if !case.at_start {
                case.changes.push(now);
            }
            news.changes.push(Change::Began(alert.clone()));
        }
        case.level = alert.level;
        case.title.clone_from(&alert.title);
        case.rest(now);
        let wait = match push {
            Push::AtOnce => 0,
            Push::Later => SETTLES_MS,
            Push::Never => return,
        };
        let wait = if case.restless { STAYS_MS } else { wait };
        let is_due = now.saturating_sub(case.since_ms) >= wait && !scene.is_starting(&alert.id);
        let is_told = case.told || case.changes.len() >= MANY_CHANGES;
        if !is_due || (is_told && !case.restless) {
            return;
        }
        if case.restless {
            case.restless = false;
            case.changes.clear();
        }
        case.told = true;
        news.messages.push(Message {
            event: Event::Began,
            id: alert.id.clone(),
            level: alert.level,
            title: alert.title.clone(),
            text: format!("{} {}", alert.text, alert.action),
            at_ms: case.since_ms,
        });
    }
}

impl Case {
    fn over(&self, id: &str, now: u64) -> Change {
        Change::Over {
            id: id.to_owned(),
            title: self.title.clone(),
            lasted: now.saturating_sub(self.since_ms),
        }
    }

    /// It came and went, but has not for an hour.
    fn rest(&mut self, now: u64) {
        let moved = self
            .changes
            .iter()
            .any(|at| now.saturating_sub(*at) < HOUR_MS);
        self.restless &= moved;
    }

    /// The message that it is over, once that is certain.
    fn end(&mut self, id: &str, now: u64) -> Option<Message> {
        self.rest(now);
        let ended = self.ended_ms?;
        let push = trouble::kind(id).map_or(Push::Later, |kind| kind.push);
        let wait = match push {
            Push::AtOnce | Push::Never => 0,
            Push::Later => SETTLES_MS,
        };
        if !self.told || self.restless || now.saturating_sub(ended) < wait {
            return None;
        }
        self.told = false;
        let lasted = ended.saturating_sub(self.since_ms);
        let is_forgotten = trouble::name(id) == MISSING && lasted >= FORGOTTEN_MS;
        // A dismissed alert needs no message.
        (!is_event(id) && !is_forgotten).then(|| Message {
            event: Event::Over,
            id: id.to_owned(),
            level: self.level,
            title: format!("Over: {}", self.title),
            text: format!("It lasted {}.", in_words(lasted)),
            at_ms: ended,
        })
    }
}

/// Whether a worker is no longer missed although it has not come back: its alert is hidden, but not because of another
/// one.
fn is_dismissed(id: &str, there: &BTreeSet<&str>) -> bool {
    let kind = trouble::kind(id).filter(|kind| kind.name == MISSING);
    let is_cause = |other: &&str| kind.is_some_and(|it| it.follows.contains(&trouble::name(other)));
    kind.is_some() && !there.iter().any(is_cause)
}

/// Whether an alert is a one-time event, with the time in its id.
fn is_event(id: &str) -> bool {
    id.rsplit(':')
        .next()
        .is_some_and(|part| part.len() >= 10 && part.parse::<u64>().is_ok())
}

/// A duration in words; rounded to minutes if it is an hour or more.
pub fn in_words(ms: u64) -> String {
    let seconds = ms / 1000;
    let counted =
        |count: u64, unit: &str| format!("{count} {unit}{}", if count == 1 { "" } else { "s" });
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60) {
        (0, 0, 0) => counted(seconds, "second"),
        (0, 0, minutes) => counted(minutes, "minute"),
        (0, hours, 0) => counted(hours, "hour"),
        (0, hours, minutes) => format!("{} {}", counted(hours, "hour"), counted(minutes, "minute")),
        (days, 0, _) => counted(days, "day"),
        (days, hours, _) => format!("{} {}", counted(days, "day"), counted(hours, "hour")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    /// A plan with simulated time that passes second by second.
    struct Rig {
        plan: Plan,
        scene: Scene,
        told: Vec<(u64, Event, String)>,
    }

    impl Rig {
        /// An hour after a start with two pools that work.
        fn new() -> Self {
            Self::started(60 * MINUTE, true)
        }

        fn started(uptime_ms: u64, worked: bool) -> Self {
            let scene = Scene {
                now_ms: 1_800_000_000_000,
                uptime_ms,
                pool_worked: PerPool::new(worked, worked),
                miner_seen: worked,
                ..Scene::default()
            };
            Self {
                plan: Plan::default(),
                scene,
                told: Vec::new(),
            }
        }

        fn pass(&mut self, ms: u64) -> &mut Self {
            for _ in 0..ms / 1000 {
                self.scene.now_ms += 1000;
                self.scene.uptime_ms += 1000;
                for message in self.plan.look(&self.scene).messages {
                    let minute = (self.scene.now_ms - 1_800_000_000_000) / MINUTE;
                    self.told.push((minute, message.event, message.id));
                }
            }
            self
        }

        fn begin(&mut self, id: &str) -> &mut Self {
            let level = trouble::kind(id).unwrap().level;
            let alert = Alert {
                id: id.to_owned(),
                level,
                title: "t".to_owned(),
                text: "x".to_owned(),
                action: "a".to_owned(),
                at_ms: None,
                dismissable: false,
            };
            self.scene.alerts.push(alert);
            self
        }

        fn end(&mut self, id: &str) -> &mut Self {
            self.scene.alerts.retain(|alert| alert.id != id);
            self
        }

        #[track_caller]
        fn expect(&self, told: &[(u64, Event, &str)]) {
            let found: Vec<_> = self
                .told
                .iter()
                .map(|(at, event, id)| (*at, *event, id.as_str()))
                .collect();
            assert_eq!(found, told);
        }
    }

    use Event::{Began, ComesAndGoes, Over};

    #[test]
    fn a_pool_outage_is_sent_after_two_minutes_and_so_is_its_end() {
        let mut rig = Rig::new();
        rig.begin("pool_down:A")
            .pass(5 * MINUTE)
            .end("pool_down:A")
            .pass(10 * MINUTE);
        rig.expect(&[(2, Began, "pool_down:A"), (7, Over, "pool_down:A")]);
    }

    #[test]
    fn a_problem_that_comes_and_goes_and_then_stays_is_sent() {
        for id in ["pool_down:A", "nothing_mined"] {
            let mut rig = Rig::new();
            rig.begin(id).pass(10_000).end(id).pass(10_000).begin(id);
            rig.told.clear();
            rig.pass(60 * MINUTE).end(id).pass(10 * MINUTE);
            let over = if id == "nothing_mined" { 60 } else { 62 };
            rig.expect(&[(0, ComesAndGoes, id), (10, Began, id), (over, Over, id)]);
        }
    }

    #[test]
    fn a_restart_is_not_a_change() {
        let mut rig = Rig::started(0, false);
        for _ in 0..4 {
            rig.scene.uptime_ms = 0;
            rig.scene.miner_seen = false;
            rig.begin("no_miner").pass(5000);
            rig.scene.miner_seen = true;
            rig.end("no_miner").pass(2 * MINUTE);
        }
        rig.expect(&[]);
        rig.begin("no_miner").pass(3 * MINUTE);
        rig.expect(&[(10, Began, "no_miner")]);
    }

    #[test]
    fn a_short_problem_is_not_sent() {
        let mut rig = Rig::new();
        rig.begin("pool_down:A")
            .pass(MINUTE)
            .end("pool_down:A")
            .pass(10 * MINUTE);
        rig.expect(&[]);
    }

    #[test]
    fn nothing_mined_is_sent_immediately_and_hides_its_consequences() {
        let mut rig = Rig::new();
        rig.begin("pool_down:A").pass(3 * MINUTE);
        // The other alert follows: A's is hidden, which is not its end.
        rig.end("pool_down:A").begin("nothing_mined");
        rig.scene.hidden = ["pool_down:A".to_owned(), "pool_down:B".to_owned()].into();
        rig.pass(10 * MINUTE);
        rig.scene.hidden.clear();
        rig.end("nothing_mined")
            .begin("pool_down:A")
            .pass(5 * MINUTE);
        rig.end("pool_down:A").pass(5 * MINUTE);
        rig.expect(&[
            (2, Began, "pool_down:A"),
            (3, Began, "nothing_mined"),
            (13, Over, "nothing_mined"),
            (20, Over, "pool_down:A"),
        ]);
    }

    #[test]
    fn a_flapping_problem_makes_three_messages() {
        let mut rig = Rig::new();
        for _ in 0..20 {
            rig.begin("pool_down:B")
                .pass(3 * MINUTE)
                .end("pool_down:B")
                .pass(MINUTE);
        }
        rig.pass(3 * 60 * MINUTE);
        let events: Vec<_> = rig.told.iter().map(|(_, event, _)| *event).collect();
        assert_eq!(events, [Began, ComesAndGoes, Over]);
        // Afterwards, it is reported as usual.
        rig.begin("pool_down:B").pass(3 * MINUTE);
        assert_eq!(rig.told.last().unwrap().1, Began);
    }

    #[test]
    fn things_that_have_not_worked_since_a_start_get_ten_minutes() {
        let mut rig = Rig::started(0, false);
        rig.begin("pool_down:A")
            .begin("nothing_mined")
            .begin("wrong_passwords")
            .pass(9 * MINUTE);
        rig.expect(&[(0, Began, "wrong_passwords")]);
        rig.pass(2 * MINUTE);
        assert_eq!(rig.told.len(), 3);
        // A pool that worked is reported as usual.
        let mut rig = Rig::started(0, false);
        rig.scene.pool_worked = PerPool::new(true, false);
        rig.begin("pool_down:A").pass(3 * MINUTE);
        rig.expect(&[(2, Began, "pool_down:A")]);
    }

    #[test]
    fn a_restart_sends_no_all_clear_before_the_pool_works() {
        let mut rig = Rig::new();
        rig.begin("pool_down:A").pass(3 * MINUTE);
        let kept = serde_json::to_string(&rig.plan).unwrap();
        let mut next = Rig::started(0, false);
        next.scene.now_ms = rig.scene.now_ms;
        next.plan = serde_json::from_str(&kept).unwrap();
        next.pass(30_000).begin("pool_down:A").pass(20 * MINUTE);
        next.expect(&[]);
        next.end("pool_down:A").pass(3 * MINUTE);
        assert_eq!(next.told.len(), 1);
        assert_eq!(next.told[0].1, Over);
    }

    #[test]
    fn a_hung_miner_is_sent_and_so_is_its_next_share() {
        let mut rig = Rig::new();
        rig.begin("miner_hangs:attic")
            .pass(7 * MINUTE)
            .end("miner_hangs:attic")
            .pass(5 * MINUTE);
        rig.begin("miner_slow:attic").pass(60 * MINUTE);
        let id = "miner_hangs:attic";
        rig.expect(&[(2, Began, id), (9, Over, id)]);
        // A restart neither ends it nor reports it again.
        rig.begin(id).pass(3 * MINUTE);
        let mut next = Rig::started(0, false);
        next.scene.now_ms = rig.scene.now_ms;
        next.plan = rig.plan.clone();
        next.pass(3 * MINUTE).begin(id).pass(60 * MINUTE);
        next.expect(&[]);
    }

    #[test]
    fn a_dismissed_missing_worker_is_not_announced_as_back() {
        let id = "miner_missing:attic";
        let mut rig = Rig::new();
        rig.begin(id).pass(MINUTE).end(id);
        // Others hide it for a while, which is not a dismissal.
        rig.begin("no_miner").scene.hidden = [id.to_owned()].into();
        rig.pass(MINUTE).end("no_miner").scene.hidden.clear();
        rig.begin(id).pass(MINUTE).end(id).pass(70 * MINUTE);
        rig.expect(&[(0, Began, id), (3, Over, id)]);
        rig.told.clear();
        rig.begin(id).pass(120 * MINUTE).end(id);
        rig.scene.hidden = [id.to_owned()].into();
        rig.pass(30_000).scene.hidden.clear();
        rig.pass(60 * MINUTE);
        rig.expect(&[(73, Began, id)]);
    }

    #[test]
    fn an_event_is_sent_once_and_has_no_end() {
        let mut rig = Rig::new();
        rig.begin("block_found:A:1800000000000").pass(MINUTE);
        rig.end("block_found:A:1800000000000").pass(3 * MINUTE);
        rig.begin("no_password").pass(10 * MINUTE);
        rig.expect(&[(0, Began, "block_found:A:1800000000000")]);
    }

    #[test]
    fn times_are_written_in_words() {
        assert_eq!(in_words(1000), "1 second");
        assert_eq!(in_words(90 * MINUTE), "1 hour 30 minutes");
        assert_eq!(in_words(49 * 60 * MINUTE), "2 days 1 hour");
    }
}
