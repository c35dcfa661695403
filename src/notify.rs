//! Messages to the owner about troubles, sent to services that the owner chooses.
//!
//! A thread checks the troubles every two seconds, decides what to send and when (`plan`), and keeps waiting messages
//! (`outbox`). Each request (`send`) has its own thread. Waiting messages are saved in `notify.json`.
//!
//! - Nothing is sent unless the owner has added a target.
//! - A target has at most one request under way. A target that hangs delays no other target and no check.
//! - Mining never waits for this: the thread only reads what is published.

pub mod journal;
pub mod outbox;
pub mod plan;
pub mod send;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use crossbeam_channel::{Receiver, Sender as Channel, bounded, select};
use serde::{Deserialize, Serialize};

use crate::config::notify::{MOST_TARGETS, Target, TargetKind};
use crate::config::{self, Config};
use crate::core::fact::Fact;
use crate::observe::Observer;
use crate::shell::inbox::Live;
use crate::system::clock::{clock, now};
use crate::system::files::{self, Backup, set_aside, write_atomic};
use crate::system::thread::{SERVICE_STACK, spawn};
use crate::timetable::zone::Zone;
use crate::trouble::Level;
use crate::units::{Now, PerPool, PoolSlot, later};

use self::journal::{Done, Fate, Journal};
use self::outbox::Outbox;
use self::plan::{Change, Event, Message, Plan, Scene};
use self::send::{Outcome, Sender};

/// How often the alerts are checked.
const EVERY: Duration = Duration::from_secs(2);

/// How often a heartbeat is sent.
const BEAT: Duration = Duration::from_secs(60);

/// What checking the alerts needs.
pub struct Parts {
    /// The file with the waiting messages.
    pub file: PathBuf,
    /// The configuration in force.
    pub live: Live,
    /// Receives a fact for each message sent.
    pub observer: Arc<Observer>,
    /// Where the pages read the messages.
    pub journal: Arc<Journal>,
    /// Returns the current scene.
    pub look: Box<dyn Fn(Now) -> Scene + Send>,
}

/// The file that belongs to a configuration file.
pub fn path(config: &Path) -> PathBuf {
    config.with_file_name("notify.json")
}

/// What is kept across a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Kept {
    plan: Plan,
    outbox: Outbox,
    #[serde(default)]
    done: Done,
}

impl Kept {
    fn show(&self, journal: &Journal) {
        journal.set(
            self.done
                .iter()
                .cloned()
                .chain(self.outbox.waiting())
                .collect(),
        );
    }
}

/// Starts the thread, which ends when the returned sender is dropped. Requests under way end with the process.
///
/// # Errors
/// If there is no room for the thread.
pub fn start(parts: Parts) -> io::Result<(Channel<()>, JoinHandle<()>)> {
    let (stop, stopped) = bounded(0);
    let (finished, results) = bounded(MOST_TARGETS);
    let notifier = Notifier::new(parts, finished);
    let thread = spawn("notify", SERVICE_STACK, move || {
        notifier.run(&stopped, &results)
    })?;
    Ok((stop, thread))
}

/// A request that has ended.
struct Finished {
    name: String,
    target: Target,
    /// `None`: a heartbeat.
    message: Option<Message>,
    outcome: Outcome,
}

struct Notifier {
    parts: Parts,
    kept: Kept,
    /// The content of the file.
    written: Kept,
    sender: Arc<Sender>,
    finished: Channel<Finished>,
    /// Targets that have a request under way.
    busy: BTreeSet<String>,
    /// Which pools have worked since the start.
    pool_worked: PerPool<bool>,
    miner_seen: bool,
    /// When each heartbeat was last sent.
    beats: BTreeMap<String, Instant>,
    in_trouble: bool,
}

impl Notifier {
    fn new(parts: Parts, finished: Channel<Finished>) -> Self {
        let text = files::read_text(&parts.file, files::LARGEST_OWN);
        let mut kept = match text.as_deref().map(serde_json::from_str::<Kept>) {
            Ok(Ok(kept)) => kept,
            Ok(Err(_)) => {
                let moved = set_aside(&parts.file);
                let problem = format!("{} cannot be read; {moved}", parts.file.display());
                parts
                    .observer
                    .observe(&Fact::StateProblem { problem }, now());
                Kept::default()
            }
            Err(_) => Kept::default(),
        };
        kept.outbox.wake(now().unix_ms);
        kept.show(&parts.journal);
        Self {
            written: kept.clone(),
            kept,
            sender: Arc::default(),
            finished,
            busy: BTreeSet::new(),
            pool_worked: PerPool::default(),
            miner_seen: false,
            beats: BTreeMap::new(),
            in_trouble: false,
            parts,
        }
    }

    fn run(mut self, stopped: &Receiver<()>, results: &Receiver<Finished>) {
        let mut next = later(clock(), EVERY);
        loop {
            if clock() >= next {
                self.turn();
                next = later(clock(), EVERY);
            }
            select! {
                recv(stopped) -> _ => return,
                recv(results) -> finished => finished.into_iter().for_each(|it| self.settle(&it)),
                default(next.saturating_duration_since(clock())) => (),
            }
        }
    }

    /// One check, and at most one request to each target.
    fn turn(&mut self) {
        let config = self.parts.live.get();
        let mut scene = (self.parts.look)(now());
        for slot in PoolSlot::ALL {
            self.pool_worked[slot] |= scene.pool_worked[slot];
        }
        scene.pool_worked = self.pool_worked;
        self.miner_seen |= scene.miner_seen;
        scene.miner_seen = self.miner_seen;
        self.parts.observer.metrics.troubles(&scene.alerts);
        self.note(&scene, &config);
        self.save();
        let targets = &config.notify.targets;
        for (name, target) in targets {
            let message = self.kept.outbox.due(name, now().unix_ms);
            if message.is_some() || scene.mining && self.is_beat_due(name, target) {
                self.send(name, target, message, &config.gui.public_url);
            }
        }
        self.beats.retain(|name, _| targets.contains_key(name));
    }

    /// Sends a message or a heartbeat, unless another request to this target is under way.
    fn send(&mut self, name: &str, target: &Target, message: Option<Message>, link: &str) {
        if self.busy.len() >= MOST_TARGETS || self.busy.contains(name) {
            return;
        }
        let (sender, finished) = (Arc::clone(&self.sender), self.finished.clone());
        let (request, link) = ((name.to_owned(), target.clone()), link.to_owned());
        let started = spawn("notify-send", SERVICE_STACK, move || {
            let (name, target) = request;
            let outcome = match &message {
                Some(message) => sender.send(&target, message, &link),
                None => sender.beat(&target),
            };
            // During a stop, nobody receives this any more.
            let _ = finished.send(Finished {
                name,
                target,
                message,
                outcome,
            });
        });
        // If the thread cannot be started, the next check tries again.
        if started.is_ok() {
            self.busy.insert(name.to_owned());
            if target.kind == TargetKind::Heartbeat {
                self.beats.insert(name.to_owned(), clock());
            }
        }
    }

    fn settle(&mut self, finished: &Finished) {
        let Finished {
            name,
            target,
            message,
            outcome,
        } = finished;
        self.busy.remove(name);
        let outbox = &mut self.kept.outbox;
        let record = message
            .as_ref()
            .and_then(|message| outbox.settle(name, message, outcome, now().unix_ms));
        let given_up = record.as_ref().is_some_and(|it| it.fate == Fate::Failed);
        record.into_iter().for_each(|it| self.kept.done.add(it));
        tell(&self.parts.observer, name, target, outcome, given_up);
        self.save();
    }

    fn is_beat_due(&self, name: &str, target: &Target) -> bool {
        let last = self.beats.get(name);
        let is_due = last.is_none_or(|last| clock().saturating_duration_since(*last) >= BEAT);
        target.enabled && target.kind == TargetKind::Heartbeat && is_due
    }

    fn note(&mut self, scene: &Scene, config: &Config) {
        let news = self.kept.plan.look(scene);
        for change in news.changes {
            let fact = match change {
                Change::Began(alert) => Fact::TroubleBegan {
                    id: alert.id,
                    title: alert.title,
                    grave: alert.level == Level::Error,
                },
                Change::Over { id, title, lasted } => Fact::TroubleOver {
                    id,
                    title,
                    lasted: Duration::from_millis(lasted),
                },
            };
            self.parts.observer.observe(&fact, now());
        }
        let zone = Zone::named(&config.timetable.time_zone).unwrap_or_else(Zone::of_the_system);
        let second = zone
            .local(i64::try_from(scene.now_ms / 1000).unwrap_or_default())
            .second;
        let targets = &config.notify.targets;
        for message in &news.messages {
            for (name, target) in targets {
                self.kept.outbox.add(name, target, message, second);
            }
        }
        self.kept.outbox.look(targets, scene.now_ms, second);
    }

    /// Writes what has changed.
    fn save(&mut self) {
        if self.kept == self.written {
            return;
        }
        self.kept.show(&self.parts.journal);
        self.written = self.kept.clone();
        let written = serde_json::to_vec(&self.kept)
            .map_err(anyhow::Error::from)
            .and_then(|text| write_atomic(&self.parts.file, &text, Backup::None));
        let was_in_trouble = std::mem::replace(&mut self.in_trouble, written.is_err());
        if let (Err(error), false) = (written, was_in_trouble) {
            let problem = format!("{error:#}");
            self.parts
                .observer
                .observe(&Fact::StateProblem { problem }, now());
        }
    }
}

/// Reports the result of a request to the log and the metrics.
pub fn tell(observer: &Observer, name: &str, target: &Target, outcome: &Outcome, given_up: bool) {
    let (target, kind) = (name.to_owned(), target.kind.name());
    let fact = match outcome {
        Outcome::Sent(_) => Fact::MessageSent { target, kind },
        Outcome::Retry(problem, _) | Outcome::Refused(problem) => Fact::MessageFailed {
            target,
            kind,
            problem: problem.text.clone(),
            given_up: given_up || matches!(outcome, Outcome::Refused(_)),
        },
    };
    observer.observe(&fact, now());
}

/// `dpmp notify --test NAME`: exit code 0 only if the target accepts a message.
///
/// # Errors
/// If the configuration cannot be used, or has no such target.
pub fn run(file: &Path, name: &str) -> anyhow::Result<ExitCode> {
    let text = files::read_text(file, config::LARGEST_FILE)
        .with_context(|| format!("failed to read {}", file.display()))?;
    let loaded = config::parse_file(&text)
        .map_err(|errors| anyhow!("{} is not valid:\n{errors}", file.display()))?;
    let config = loaded.config;
    let target = config.notify.targets.get(name);
    let target = target.with_context(|| format!("notify.targets has no entry {name:?}"))?;
    let (words, code) = match test(target, &config.gui.public_url) {
        Outcome::Sent(status) => (format!("sent (HTTP {status})"), ExitCode::SUCCESS),
        Outcome::Retry(problem, _) | Outcome::Refused(problem) => {
            (format!("FAILED: {}", problem.text), ExitCode::FAILURE)
        }
    };
    let shown = target.shown_url();
    let mut out = io::stdout();
    writeln!(out, "{name} ({}, {shown}): {words}", target.kind.name())?;
    Ok(code)
}

/// Sends a test message to a target immediately, without the thread.
pub fn test(target: &Target, link: &str) -> Outcome {
    let sender = Sender::default();
    if target.kind == TargetKind::Heartbeat {
        return sender.beat(target);
    }
    let message = Message {
        event: Event::Test,
        id: "test".to_owned(),
        level: Level::Info,
        title: "Test from DPMP".to_owned(),
        text: "Messages from DPMP arrive here.".to_owned(),
        at_ms: now().unix_ms,
    };
    sender.send(target, &message, link)
}
