//! The workers that are usually connected: with how many connections, at what hashrate, and the rhythm of a worker that
//! is briefly gone. This shows which workers are missing or slow, even after a restart.
//!
//! - If a worker had a number of connections for an hour and now has fewer, some are missing. Interruptions of less
//!   than ten minutes do not count.
//! - While DPMP has no work for a worker, its absence does not count.
//! - A worker is forgotten after seven days without it, or when the owner dismisses its absence.
//! - A worker's usual hashrate is a median that is updated step by step. After a drop to half, the lower value becomes
//!   usual within three and a half days, as with the median of seven days.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::core::miner::rhythm::Rhythm;
use crate::units::{Now, When};

/// How often the connected workers are recorded.
const EVERY: Duration = Duration::from_secs(10);

/// How long a number of connections must last to become usual.
const USUAL: Duration = Duration::from_secs(3600);

/// A shorter absence does not interrupt that.
const GAP: Duration = Duration::from_secs(600);

/// After how long a missing worker is forgotten, in milliseconds.
const FORGOTTEN_MS: u64 = 7 * 86_400 * 1000;

/// How many workers are remembered. Their names are chosen by miners.
const MOST: usize = 16_384;

/// A hashrate is measured over at least this many seconds of work,
const WINDOW: f64 = 3600.0;

/// and at least this many expected shares. By chance, less than half of them arrive only once in 200,000 times.
const SHARES: f64 = 60.0;

/// After this many such windows, the usual hashrate is known.
const KNOWN: u32 = 24;

/// The usual hashrate changes by at most a factor of two in this many seconds of work.
const DOUBLES: f64 = 84.0 * 3600.0;

/// All workers that were connected recently.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Roster {
    workers: BTreeMap<String, Regular>,
    #[serde(skip)]
    looked_at: Option<Instant>,
}

/// A worker's current state, over all its connections.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// The number of connections.
    pub connections: u32,
    /// How many of them have work.
    pub working: u32,
    /// The highest difficulty of a connection.
    pub difficulty: f64,
    /// Its work so far, in units of difficulty.
    pub work: f64,
}

/// What is known about a worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Regular {
    /// The number of connections that it had for an hour or more.
    connections: u32,
    /// The current number of connections.
    #[serde(skip)]
    here: u32,
    /// Since when it has had fewer.
    short_since: Option<When>,
    /// Since when it has had more.
    #[serde(skip)]
    more: Option<More>,
    pace: Pace,
    parked: Option<Parked>,
}

/// More connections than usual.
#[derive(Clone, Copy, Debug, PartialEq)]
struct More {
    fewest: u32,
    since: Instant,
    seen: Instant,
}

/// A worker's hashrate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Pace {
    /// Its usual work per second, in units of difficulty.
    usual: f64,
    /// The number of windows on which that is based.
    windows: u32,
    /// Since when it has been slow.
    slow_since: Option<When>,
    /// The current window.
    #[serde(skip)]
    window: Option<Window>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Window {
    began: Now,
    /// Seconds with work, and the work done in them.
    seconds: f64,
    done: f64,
    /// All work up to that moment.
    work: f64,
    at: Instant,
}

/// The rhythm of a connection that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Parked {
    rhythm: Rhythm,
    address: IpAddr,
    software: Option<String>,
}

/// A worker that has fewer connections than usual.
#[derive(Clone, Debug, PartialEq)]
pub struct MissingWorker {
    /// Its name.
    pub worker: String,
    /// The number of connections.
    pub here: u32,
    /// The usual number of connections.
    pub usual: u32,
    /// Since when it has had fewer.
    pub since: When,
}

impl Roster {
    /// Whether the connected workers should be recorded now.
    pub fn is_due(&self, now: Instant) -> bool {
        let passed = |at| now.saturating_duration_since(at) >= EVERY;
        self.looked_at.is_none_or(passed)
    }

    /// Records the connected workers. `is_let_go`: whether there is no work for a worker.
    pub fn look(
        &mut self,
        seen: &BTreeMap<&str, Seen>,
        is_let_go: impl Fn(&str) -> bool,
        now: Now,
    ) {
        self.looked_at = Some(now.at);
        for worker in seen.keys() {
            if self.workers.len() < MOST && !self.workers.contains_key(*worker) {
                self.workers
                    .insert((*worker).to_owned(), Regular::default());
            }
        }
        self.workers.retain(|name, worker| {
            let seen = seen.get(name.as_str()).copied().unwrap_or_default();
            worker.look(seen, now);
            if is_let_go(name) {
                worker.short_since = None;
            }
            let forgotten = worker.is_gone_since(FORGOTTEN_MS, now);
            if forgotten {
                worker.expect(seen.connections);
            }
            worker.connections > 0 || worker.more.is_some()
        });
    }

    /// Workers with fewer connections than usual.
    pub fn missing(&self) -> Vec<MissingWorker> {
        let missing = self.workers.iter().filter_map(|(name, worker)| {
            Some(MissingWorker {
                worker: name.clone(),
                here: worker.here,
                usual: worker.connections,
                since: worker.short_since?,
            })
        });
        missing.collect()
    }

    /// Since when a worker has been slow.
    pub fn slow_since(&self, worker: &str) -> Option<When> {
        self.workers.get(worker)?.pace.slow_since
    }

    /// The owner dismissed a missing worker: its current number of connections becomes the usual one.
    pub fn dismiss(&mut self, worker: &str) {
        if let Some(known) = self.workers.get_mut(worker) {
            known.expect(known.here);
        }
    }

    /// Keeps the rhythm of a connection that ends, if it is its worker's only one.
    pub fn park(&mut self, worker: &str, rhythm: Rhythm, address: IpAddr, software: Option<&str>) {
        let known = self.workers.get_mut(worker);
        if let Some(known) = known.filter(|known| known.connections == 1) {
            known.parked = Some(Parked {
                rhythm,
                address,
                software: software.map(str::to_owned),
            });
        }
    }

    /// Returns the rhythm if it is most likely the same machine.
    pub fn resume(
        &mut self,
        worker: &str,
        address: IpAddr,
        software: Option<&str>,
    ) -> Option<Rhythm> {
        let parked = self.workers.get_mut(worker)?.parked.take()?;
        let is_same = parked.address == address && parked.software.as_deref() == software;
        is_same.then_some(parked.rhythm)
    }

    /// Converts all times to the current wall clock, for saving.
    pub fn correct(&mut self, now: Now) {
        for worker in self.workers.values_mut() {
            for time in [&mut worker.short_since, &mut worker.pace.slow_since] {
                *time = time.map(|time| time.corrected(now));
            }
        }
    }
}

impl Regular {
    fn look(&mut self, seen: Seen, now: Now) {
        self.here = seen.connections;
        if seen.connections < self.connections {
            self.short_since.get_or_insert(now.into());
        } else {
            self.short_since = None;
        }
        self.count(seen.connections, now.at);
        self.pace.look(seen, self.connections, now);
    }

    /// Whether it has become usual to have more.
    fn count(&mut self, connections: u32, now: Instant) {
        if connections <= self.connections {
            let is_over = |more: More| now.saturating_duration_since(more.seen) >= GAP;
            if self.more.is_some_and(is_over) {
                self.more = None;
            }
            return;
        }
        let more = self.more.get_or_insert(More {
            fewest: connections,
            since: now,
            seen: now,
        });
        more.fewest = more.fewest.min(connections);
        more.seen = now;
        if now.saturating_duration_since(more.since) >= USUAL {
            let fewest = more.fewest;
            self.expect(fewest);
        }
    }

    /// Sets the usual number of connections.
    fn expect(&mut self, connections: u32) {
        self.connections = connections;
        self.short_since = None;
        self.more = None;
        // Other connections may do a different amount of work.
        self.pace = Pace::default();
    }

    fn is_gone_since(&self, ms: u64, now: Now) -> bool {
        let since = self.short_since.map(|since| since.unix_ms(now));
        since.is_some_and(|since| now.unix_ms.saturating_sub(since) >= ms)
    }
}

impl Pace {
    fn look(&mut self, seen: Seen, connections: u32, now: Now) {
        if connections == 0 || seen.connections != connections || seen.working != connections {
            // With a different number of connections, their work cannot be compared.
            if seen.connections != connections {
                self.window = None;
            } else if let Some(window) = &mut self.window {
                (window.at, window.work) = (now.at, seen.work);
            }
            return;
        }
        let window = self.window.get_or_insert(Window {
            began: now,
            seconds: 0.0,
            done: 0.0,
            work: seen.work,
            at: now.at,
        });
        window.seconds += now.at.saturating_duration_since(window.at).as_secs_f64();
        window.done += (seen.work - window.work).max(0.0);
        (window.at, window.work) = (now.at, seen.work);
        let usual = if self.windows == 0 {
            window.done / window.seconds
        } else {
            self.usual
        };
        let expected = usual * window.seconds / seen.difficulty;
        let is_enough = window.seconds >= WINDOW && expected >= SHARES;
        if !is_enough {
            return;
        }
        let Window {
            began,
            seconds,
            done,
            ..
        } = *window;
        self.window = None;
        self.add(done / seconds, seconds, began.into());
    }

    /// Adds its work per second over this many seconds.
    fn add(&mut self, rate: f64, seconds: f64, began: When) {
        if self.windows < KNOWN {
            self.windows += 1;
            self.usual += (rate - self.usual) / f64::from(self.windows);
            return;
        }
        if rate < self.usual / 2.0 {
            self.slow_since.get_or_insert(began);
        } else {
            self.slow_since = None;
        }
        let step = (seconds / DOUBLES).exp2();
        self.usual = rate.clamp(self.usual / step, self.usual * step);
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
mod tests {
    use super::*;

    const MINUTE: u64 = 60;
    const HOUR: u64 = 3600;

    /// A roster of one worker `w`, in simulated time.
    struct Rig {
        roster: Roster,
        start: Instant,
        second: u64,
        seen: Seen,
        let_go: bool,
    }

    impl Rig {
        fn new() -> Self {
            Self {
                roster: Roster::default(),
                start: Instant::now(),
                second: 0,
                seen: Seen::default(),
                let_go: false,
            }
        }

        fn now(&self) -> Now {
            Now {
                at: self.start + Duration::from_secs(self.second),
                unix_ms: 1_800_000_000_000 + self.second * 1000,
            }
        }

        fn missing(&self) -> Option<(u32, u32)> {
            let missing = self.roster.missing();
            missing.first().map(|it| (it.here, it.usual))
        }

        fn all(&self) -> BTreeMap<&'static str, Seen> {
            let here = self.seen.connections > 0;
            here.then_some(("w", self.seen)).into_iter().collect()
        }

        /// This many seconds with this many connections, each doing `rate` per second.
        fn pass(&mut self, seconds: u64, connections: u32, rate: f64) -> &mut Self {
            let end = self.second + seconds;
            self.seen = Seen {
                connections,
                working: connections,
                difficulty: 1.0,
                work: self.seen.work,
            };
            loop {
                if self.roster.is_due(self.now().at) {
                    let (all, let_go, now) = (self.all(), self.let_go, self.now());
                    self.roster.look(&all, |_| let_go, now);
                }
                if self.second >= end {
                    return self;
                }
                self.second += 10;
                self.seen.work += 10.0 * rate * f64::from(connections);
            }
        }

        fn is_slow(&self) -> bool {
            self.roster.slow_since("w").is_some()
        }

        /// As after a restart.
        fn restart(&mut self) {
            self.roster.correct(self.now());
            let text = serde_json::to_string(&self.roster).unwrap();
            self.roster = serde_json::from_str(&text).unwrap();
        }
    }

    #[test]
    fn a_worker_seen_for_an_hour_is_missing_until_it_is_back() {
        let mut rig = Rig::new();
        rig.pass(HOUR - MINUTE, 1, 1.0).pass(20 * MINUTE, 0, 0.0);
        assert_eq!(rig.missing(), None);
        assert!(rig.roster.workers.is_empty());
        // It may come and go in that hour.
        for _ in 0..4 {
            rig.pass(15 * MINUTE, 1, 1.0).pass(5 * MINUTE, 0, 0.0);
        }
        assert_eq!(rig.missing(), Some((0, 1)));
        let since = rig.roster.missing()[0].since.unix_ms(rig.now());
        assert_eq!(rig.now().unix_ms - since, 290_000);
        rig.restart();
        rig.pass(MINUTE, 0, 0.0);
        assert_eq!(since, rig.roster.missing()[0].since.unix_ms(rig.now()));
        rig.pass(MINUTE, 1, 1.0);
        assert_eq!(rig.missing(), None);
    }

    #[test]
    fn one_of_two_connections_can_be_missing() {
        let mut rig = Rig::new();
        rig.pass(2 * HOUR, 1, 1.0).pass(HOUR - MINUTE, 2, 1.0);
        rig.pass(11 * MINUTE, 1, 1.0);
        assert_eq!(rig.missing(), None, "not for an hour");
        rig.pass(HOUR + MINUTE, 2, 1.0).pass(MINUTE, 1, 1.0);
        assert_eq!(rig.missing(), Some((1, 2)));
        rig.pass(MINUTE, 2, 1.0);
        assert_eq!(rig.missing(), None);
    }

    #[test]
    fn dismissed_and_long_gone_workers_are_forgotten_for_good() {
        let mut rig = Rig::new();
        rig.pass(2 * HOUR, 2, 1.0).pass(HOUR / 2, 1, 1.0);
        rig.roster.dismiss("w");
        rig.restart();
        rig.pass(MINUTE, 1, 1.0);
        assert_eq!(rig.missing(), None);
        rig.pass(MINUTE, 0, 0.0);
        assert_eq!(rig.missing(), Some((0, 1)));
        rig.pass(6 * 24 * HOUR, 0, 0.0);
        assert_eq!(rig.missing(), Some((0, 1)));
        rig.pass(24 * HOUR, 0, 0.0);
        assert_eq!(rig.missing(), None);
        assert!(rig.roster.workers.is_empty());
    }

    #[test]
    fn a_worker_dpmp_disconnected_is_missing_only_after_a_while() {
        let mut rig = Rig::new();
        rig.pass(2 * HOUR, 1, 1.0);
        rig.let_go = true;
        rig.pass(8 * 24 * HOUR, 0, 0.0);
        assert_eq!(rig.missing(), None);
        rig.let_go = false;
        rig.pass(MINUTE, 0, 0.0);
        let missing = rig.roster.missing();
        let since = missing[0].since.unix_ms(rig.now());
        assert!(rig.now().unix_ms - since <= 60_000);
    }

    #[test]
    fn half_the_usual_rate_is_slow_until_it_becomes_usual() {
        let mut rig = Rig::new();
        rig.pass(30 * HOUR, 1, 1.0).pass(3 * HOUR, 1, 0.6);
        assert!(!rig.is_slow());
        rig.pass(2 * HOUR, 1, 0.4);
        assert!(rig.is_slow());
        rig.restart();
        assert!(rig.is_slow());
        rig.pass(2 * HOUR + MINUTE, 1, 1.0);
        assert!(!rig.is_slow());
        rig.pass(24 * HOUR, 1, 0.3);
        assert!(rig.is_slow());
        rig.pass(4 * 24 * HOUR, 1, 0.3);
        assert!(!rig.is_slow(), "this is usual by now");
    }

    #[test]
    fn an_hour_without_work_or_with_too_few_shares_proves_nothing() {
        let mut rig = Rig::new();
        rig.pass(30 * HOUR, 1, 1.0);
        for _ in 0..180 {
            // No pool has work for most of the time.
            rig.pass(50, 1, 1.0);
            rig.seen.working = 0;
            for _ in 0..6 {
                rig.second += 10;
                let (all, now) = (rig.all(), rig.now());
                rig.roster.look(&all, |_| false, now);
            }
        }
        assert!(!rig.is_slow());
        // At a difficulty at which a share comes every two minutes, an hour is too short.
        rig.seen.difficulty = 120.0;
        let pass = |rig: &mut Rig, seconds: u64| {
            for _ in 0..seconds / 10 {
                rig.second += 10;
                rig.seen.work += 4.0;
                let (all, now) = (rig.all(), rig.now());
                rig.roster.look(&all, |_| false, now);
            }
        };
        rig.seen.working = 1;
        rig.roster.workers.get_mut("w").unwrap().pace.window = None;
        pass(&mut rig, HOUR + 60);
        assert!(!rig.is_slow());
        pass(&mut rig, HOUR);
        assert!(rig.is_slow());
    }

    #[test]
    fn a_rhythm_continues_only_on_the_same_machine() {
        let mut rig = Rig::new();
        rig.pass(2 * HOUR, 1, 1.0);
        let home = IpAddr::from([10, 0, 0, 1]);
        let mut rhythm = Rhythm::default();
        rhythm.heard(true, rig.now().at);
        rig.roster.park("w", rhythm, home, Some("bitaxe"));
        rig.restart();
        let back = |software| rig.roster.clone().resume("w", home, Some(software));
        assert_eq!(back("bitaxe"), Some(rhythm));
        assert_eq!(back("nerd"), None);
        assert_eq!(rig.roster.resume("v", home, None), None);
    }

    #[test]
    fn a_flood_of_names_does_not_use_more_memory() {
        let mut roster = Roster::default();
        let names: Vec<_> = (0..2 * MOST).map(|number| number.to_string()).collect();
        let seen = names.iter().map(|name| {
            (
                name.as_str(),
                Seen {
                    connections: 1,
                    ..Seen::default()
                },
            )
        });
        let now = Rig::new().now();
        roster.look(&seen.collect(), |_| false, now);
        assert_eq!(roster.workers.len(), MOST);
    }
}
