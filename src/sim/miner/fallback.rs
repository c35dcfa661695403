//! A miner with its own fallback pool: how its firmware gets there when this server looks dead, and how it returns.
//!
//! The fallback pool is not simulated. It always works, so only the times are recorded at which the miner left and
//! returned. A [`MinerModel`] handles the conversation with this server and the hashing.
//!
//! Each [`Firmware`] does what its source code says (compat Q69, Q81 to Q83). Invisible times within the firmware, such
//! as the phase of a timer, start with the miner.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::sim::miner::ledger::Ending;
use crate::sim::miner::model::MinerModel;
use crate::sim::miner::options::{Handshake, MinerOptions};
use crate::sim::miner::output::MinerOutput;
use crate::sim::peer::MinerPeer;

/// After this many failures in a row, AxeOS changes the pool.
const AXEOS_ATTEMPTS: u32 = 3;

/// How long AxeOS waits for an answer when it checks its first pool.
const AXEOS_PROBE: Duration = Duration::from_secs(5);

/// How often AxeOS checks its first pool.
const AXEOS_HEARTBEAT: Duration = Duration::from_secs(60);

/// How long NerdQAxe waits before each new connection, and how often it checks which pool to use.
const NERDQAXE_PAUSE: Duration = Duration::from_secs(10);

/// How long NerdQAxe's first pool must be down before the other may be used.
const NERDQAXE_TIMER: Duration = Duration::from_secs(30);

/// How long cgminer waits for an answer of the handshake.
const CGMINER_ANSWER: Duration = Duration::from_secs(60);

/// How long cgminer waits for a line after that.
const CGMINER_SILENCE: Duration = Duration::from_secs(90);

/// How long cgminer waits before it tries a failed pool again, and how often it checks its pools.
const CGMINER_PAUSE: Duration = Duration::from_secs(5);

/// How long a better pool must work before cgminer changes to it.
const CGMINER_STABLE: Duration = Duration::from_secs(120);

/// The firmware whose habits are simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// Older AxeOS, with a separate task that checks the first pool.
    Axeos,
    /// AxeOS since its pool code was rewritten.
    AxeosNew,
    /// NerdQAxe and its relatives in failover mode.
    Nerdqaxe,
    /// cgminer with its default strategy, and its derivatives.
    Cgminer,
}

impl Firmware {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Axeos, Self::AxeosNew, Self::Nerdqaxe, Self::Cgminer];

    /// How it begins a conversation.
    pub fn handshake(self) -> Handshake {
        match self {
            Self::Axeos | Self::AxeosNew | Self::Nerdqaxe => Handshake::Axeos,
            Self::Cgminer => Handshake::Cgminer,
        }
    }

    fn is_axeos(self) -> bool {
        matches!(self, Self::Axeos | Self::AxeosNew)
    }
}

/// A connection to this server.
#[derive(Debug)]
struct Link {
    /// Whether it is only a check.
    probes: bool,
    /// When it was made or last received anything.
    heard: Instant,
    subscribed: Option<Instant>,
    authorized: bool,
    has_work: bool,
}

/// A miner with a fallback pool.
#[derive(Debug)]
pub struct FallbackMiner {
    model: MinerModel,
    firmware: Firmware,
    user: String,
    started: Instant,
    link: Option<Link>,
    /// About the last connection: whether it was only a check, and whether it had worked.
    was: (bool, bool),
    failures: u32,
    /// NerdQAxe: since when its first pool has been down.
    gone: Option<Instant>,
    moves: Vec<(Instant, bool)>,
    dials: Vec<Instant>,
    lines: u32,
}

impl FallbackMiner {
    /// A miner that is not connected yet. It begins conversations as its firmware does.
    pub fn new(firmware: Firmware, options: MinerOptions, now: Instant) -> Self {
        let user = options.user.clone();
        let handshake = firmware.handshake();
        Self {
            model: MinerModel::new(
                MinerOptions {
                    handshake,
                    ..options
                },
                now,
            ),
            firmware,
            user,
            started: now,
            link: None,
            was: (false, false),
            failures: 0,
            gone: None,
            moves: Vec::new(),
            dials: Vec::new(),
            lines: 0,
        }
    }

    /// The firmware that it simulates.
    pub fn firmware(&self) -> Firmware {
        self.firmware
    }

    /// The miner as this server sees it.
    pub fn model(&self) -> &MinerModel {
        &self.model
    }

    /// Whether it works at its fallback pool.
    pub fn is_away(&self) -> bool {
        self.moves.last().is_some_and(|(_, away)| *away)
    }

    /// When it changed pools, and whether it was to its fallback pool.
    pub fn moves(&self) -> &[(Instant, bool)] {
        &self.moves
    }

    /// When it connected to this server, for whatever reason.
    pub fn dials(&self) -> &[Instant] {
        &self.dials
    }

    /// How many lines this server has sent.
    pub fn lines(&self) -> u32 {
        self.lines
    }

    fn go(&mut self, away: bool, now: Instant) {
        if self.is_away() != away {
            self.moves.push((now, away));
        }
    }

    /// The next time, from `at` on, that a periodic timer of the firmware fires.
    fn tick(&self, every: Duration, at: Instant) -> Instant {
        let passed = at.saturating_duration_since(self.started).as_nanos();
        let every = every.as_nanos();
        let behind = (every - passed % every) % every;
        at + Duration::from_nanos(u64::try_from(behind).unwrap_or(u64::MAX))
    }

    /// It has checked its first pool: does it accept the answer?
    fn finds(&self, line: &[u8], message: &Value) -> bool {
        match self.firmware {
            Firmware::Axeos => String::from_utf8_lossy(line).contains("mining.notify"),
            Firmware::AxeosNew => message.get("result").is_some() && message["error"].is_null(),
            Firmware::Nerdqaxe | Firmware::Cgminer => false,
        }
    }
}

impl MinerPeer for FallbackMiner {
    fn connected(&mut self, now: Instant, out: &mut Vec<MinerOutput>) {
        self.dials.push(now);
        let probes = self.is_away() && self.firmware.is_axeos();
        self.link = Some(Link {
            probes,
            heard: now,
            subscribed: None,
            authorized: false,
            has_work: false,
        });
        if probes {
            let subscribe = json!({"id": 1, "method": "mining.subscribe", "params": ["bitaxe"]});
            let params = [self.user.as_str(), "x"];
            let authorize = json!({"id": 2, "method": "mining.authorize", "params": params});
            out.push(MinerOutput::Write(format!("{subscribe}\n{authorize}\n")));
        } else {
            self.model.connected(now, out);
        }
    }

    fn line(&mut self, line: &[u8], now: Instant, out: &mut Vec<MinerOutput>) {
        self.lines += 1;
        let Ok(message) = serde_json::from_slice::<Value>(line) else {
            return;
        };
        let Some(link) = &mut self.link else { return };
        if link.probes {
            if self.finds(line, &message) {
                self.failures = 0;
                self.go(false, now);
            }
            return out.push(MinerOutput::HangUp);
        }
        link.heard = now;
        link.has_work |= message["method"] == "mining.notify";
        if message["result"].is_array() {
            link.subscribed.get_or_insert(now);
        }
        let is_verdict = message["result"].is_boolean() || message["error"].is_array();
        link.authorized |= message["result"] == true;
        match self.firmware {
            // Whatever the answer is, except for those to subscribe and configure.
            Firmware::Axeos if is_verdict => self.failures = 0,
            Firmware::Nerdqaxe => {
                self.gone = None;
                self.go(false, now);
            }
            Firmware::Axeos | Firmware::AxeosNew | Firmware::Cgminer => (),
        }
        self.model.line(line, now, out);
    }

    fn closed(&mut self, now: Instant, ending: Ending) {
        let Some(link) = self.link.take() else { return };
        self.was = (link.probes, link.authorized);
        if link.probes {
            return;
        }
        self.model.closed(now, ending);
        match self.firmware {
            Firmware::AxeosNew if link.has_work => self.failures = 0,
            Firmware::Axeos | Firmware::AxeosNew => {
                self.failures += 1;
                if self.failures >= AXEOS_ATTEMPTS {
                    self.failures = 0;
                    self.go(true, now);
                }
            }
            Firmware::Nerdqaxe => {
                self.gone.get_or_insert(now);
            }
            Firmware::Cgminer if link.authorized => (),
            Firmware::Cgminer => self.go(true, now),
        }
    }

    fn redials_after(&mut self, now: Instant, _ending: Ending) -> Option<Duration> {
        let (probed, worked) = self.was;
        let first_probe = |every| self.tick(every, now) - now;
        Some(match (self.firmware, self.is_away()) {
            (Firmware::Axeos | Firmware::AxeosNew, true) if probed => AXEOS_HEARTBEAT,
            (Firmware::Axeos, true) => first_probe(Duration::from_secs(10)),
            (Firmware::AxeosNew, true) => first_probe(AXEOS_HEARTBEAT),
            (Firmware::Axeos, false) => Duration::from_secs(1),
            (Firmware::AxeosNew, false) if self.failures == 0 => Duration::ZERO,
            (Firmware::AxeosNew, false) => Duration::from_secs(2),
            (Firmware::Nerdqaxe, _) => NERDQAXE_PAUSE,
            (Firmware::Cgminer, _) if worked => Duration::ZERO,
            (Firmware::Cgminer, _) => CGMINER_PAUSE,
        })
    }

    fn turn(&mut self, now: Instant, out: &mut Vec<MinerOutput>) {
        let link = self.link.as_ref();
        let silent = link.map(|link| now.saturating_duration_since(link.heard));
        let patience = match (self.firmware, link) {
            (Firmware::Axeos | Firmware::AxeosNew, Some(Link { probes: true, .. })) => {
                Some(AXEOS_PROBE)
            }
            (Firmware::Cgminer, Some(link)) if link.authorized => Some(CGMINER_SILENCE),
            (Firmware::Cgminer, Some(_)) => Some(CGMINER_ANSWER),
            (Firmware::Axeos | Firmware::AxeosNew | Firmware::Nerdqaxe | Firmware::Cgminer, _) => {
                None
            }
        };
        if silent >= patience && patience.is_some() {
            return out.push(MinerOutput::HangUp);
        }
        let stable = link.and_then(|link| link.subscribed);
        let change = match self.firmware {
            Firmware::Axeos | Firmware::AxeosNew => None,
            Firmware::Nerdqaxe => self.gone.map(|gone| {
                let allowed = gone + NERDQAXE_TIMER;
                (self.tick(NERDQAXE_PAUSE, allowed), true)
            }),
            Firmware::Cgminer => stable.map(|since| {
                let proven = since + CGMINER_STABLE;
                (self.tick(CGMINER_PAUSE, proven), false)
            }),
        };
        if let Some((_, away)) = change.filter(|(at, _)| *at <= now) {
            self.go(away, now);
        }
        if !self.is_away() {
            self.model.turn(now, out);
        }
    }

    fn violation(&self) -> Option<String> {
        self.model.violation()
    }

    fn mined(&self, most: usize) -> Vec<[u8; 32]> {
        self.model.mined(most)
    }
}
