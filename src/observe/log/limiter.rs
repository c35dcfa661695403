//! Keeps events that miners or pools can cause from flooding the log.
//!
//! Each source has an [`Allowance`] of lines for each kind of event, and so do all sources together. Events beyond it
//! are counted. Once a minute, the newest of them is written with the count of the events that it represents. So only
//! details are lost, not events. Memory is bounded: if there are too many sources, further ones are counted together.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::core::fact::{Eviction, Fact, ShareOutcome};
use crate::observe::event::{self, Name};
use crate::stratum::reject::RejectClass;
use crate::units::{Allowance, MinerId, Now, PoolConn, PoolSlot, Rate};

/// How often events that were not written are summed up.
const SUM_UP: Duration = Duration::from_secs(60);

/// How many sources and kinds are tracked separately.
const MOST_WATCHED: usize = 4096;

/// How many lines a kind of event may have.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// From one source.
    each: Rate,
    /// From all sources together.
    all: Rate,
}

/// A whole farm may come back at the same time, but then it does not go on like that.
const ALL: Rate = a_minute(2500.0, 60.0);

/// For events that a peer can repeat as often as it likes: one line immediately, then one a minute.
const ONE: Pace = Pace {
    each: a_minute(1.0, 1.0),
    all: ALL,
};

/// For events that come in small numbers when something is wrong.
const FEW: Pace = Pace {
    each: a_minute(20.0, 1.0),
    all: ALL,
};

/// For events that all miners behind one address may cause at the same time.
const CROWD: Pace = Pace {
    each: a_minute(300.0, 6.0),
    all: ALL,
};

/// For events that every miner causes all the time.
const STREAM: Pace = Pace {
    each: a_minute(300.0, 120.0),
    all: a_minute(100_000.0, 60_000.0),
};

const fn a_minute(burst: f64, per_minute: f64) -> Rate {
    Rate {
        burst,
        per_second: per_minute / 60.0,
    }
}

/// The source of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    /// A miner's connection.
    Miner(MinerId),
    /// A miner's successive connections to a pool, or those that belong to no single miner.
    Connection(Option<MinerId>, PoolSlot),
    /// Any peer from an address.
    Address(IpAddr),
    /// A pool as a whole.
    Pool(PoolSlot),
    /// The program itself.
    Program,
    /// All that are not tracked separately.
    Others,
}

/// Similar events: the name, and what distinguishes events with the same name.
type Kind = (Name, &'static str);

/// A fact that is about to be written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    pub(super) fact: Fact,
    /// When it happened, in milliseconds since 1970.
    pub(super) unix_ms: u64,
    /// How many events it represents.
    pub(super) count: u64,
}

/// Decides about each line. All handles share it.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    state: Mutex<State>,
    library: Mutex<Library>,
}

/// All messages of libraries.
#[derive(Debug, Default)]
struct Library {
    allowance: Option<Allowance>,
    /// Since the last line.
    held: u64,
}

#[derive(Debug, Default)]
struct State {
    watched: BTreeMap<(Source, Kind), Limited>,
    kinds: BTreeMap<Kind, Allowance>,
}

#[derive(Debug)]
struct Limited {
    pace: Pace,
    allowance: Allowance,
    held: Option<HeldLine>,
}

/// What was not written yet.
#[derive(Debug)]
struct HeldLine {
    line: Line,
    since: Instant,
}

impl Limiter {
    /// Whether a fact is written now, and how many events it then represents. `None`: it is counted for later.
    pub(super) fn admit(&self, fact: &Fact, now: Now) -> Option<u64> {
        let Some((source, what, pace)) = limit(fact) else {
            return Some(1);
        };
        let kind = (event::name(fact), what);
        let mut state = self.state.lock();
        let source = state.place(source, kind);
        let watched = state.watch(source, kind, pace, now.at);
        let within_own = watched.allowance.take(watched.pace.each, now.at);
        if within_own && state.within_all(kind, pace, now.at) {
            let held = state.watch(source, kind, pace, now.at).held.take();
            return Some(held.map_or(0, |held| held.line.count) + 1);
        }
        let line = Line {
            fact: fact.clone(),
            unix_ms: now.unix_ms,
            count: 1,
        };
        // Many sources with one line each are a flood, too, and are summed up in one.
        let source = if within_own { Source::Others } else { source };
        state.hold(source, kind, line, now.at);
        None
    }

    /// How many library messages the line written now represents; `None`: it is counted for the next one.
    pub(super) fn admit_library(&self, now: Instant) -> Option<u64> {
        let mut library = self.library.lock();
        let Library { allowance, held } = &mut *library;
        *held += 1;
        allowance
            .get_or_insert_with(|| Allowance::full(FEW.each, now))
            .take(FEW.each, now)
            .then(|| std::mem::take(held))
    }

    /// The sums whose minute is over, oldest first.
    pub(super) fn due(&self, now: Instant) -> Vec<Line> {
        self.take(now, |held| {
            now.saturating_duration_since(held.since) >= SUM_UP
        })
    }

    /// Everything that is still waiting, at the end.
    pub(super) fn rest(&self, now: Instant) -> Vec<Line> {
        self.take(now, |_| true)
    }

    fn take(&self, now: Instant, is_due: impl Fn(&HeldLine) -> bool) -> Vec<Line> {
        let mut state = self.state.lock();
        let mut taken = Vec::new();
        for ((source, kind), watched) in &mut state.watched {
            if let Some(held) = watched.held.take_if(|held| is_due(held)) {
                watched.allowance.take(watched.pace.each, now);
                taken.push((*source, *kind, watched.pace, held.line));
            }
        }
        let mut lines = Vec::new();
        for (source, kind, pace, line) in taken {
            if source == Source::Others || state.within_all(kind, pace, now) {
                lines.push(line);
            } else {
                state.hold(Source::Others, kind, line, now);
            }
        }
        state.watched.retain(|_, watched| {
            watched.held.is_some() || !watched.allowance.is_full(watched.pace.each, now)
        });
        lines.sort_by_key(|line| line.unix_ms);
        lines
    }
}

impl State {
    /// The source under which an event is counted: its own if there is room.
    fn place(&self, source: Source, kind: Kind) -> Source {
        let full = self.watched.len() >= MOST_WATCHED;
        if full && !self.watched.contains_key(&(source, kind)) {
            return Source::Others;
        }
        source
    }

    fn watch(&mut self, source: Source, kind: Kind, pace: Pace, now: Instant) -> &mut Limited {
        let pace = if source == Source::Others { ONE } else { pace };
        self.watched
            .entry((source, kind))
            .or_insert_with(|| Limited {
                pace,
                allowance: Allowance::full(pace.each, now),
                held: None,
            })
    }

    /// The number of kinds is fixed by the program.
    fn within_all(&mut self, kind: Kind, pace: Pace, now: Instant) -> bool {
        self.kinds
            .entry(kind)
            .or_insert_with(|| Allowance::full(pace.all, now))
            .take(pace.all, now)
    }

    /// Counts an event, or several, for later.
    fn hold(&mut self, source: Source, kind: Kind, line: Line, now: Instant) {
        let held = &mut self.watch(source, kind, ONE, now).held;
        let since = held.as_ref().map_or(now, |held| held.since);
        let count = held.as_ref().map_or(0, |held| held.line.count) + line.count;
        *held = Some(HeldLine {
            line: Line { count, ..line },
            since,
        });
    }
}

/// The source of a fact, what distinguishes it from others with its name, and how many lines it may have. `None`: all
/// are written, because nobody outside can cause many of them.
fn limit(fact: &Fact) -> Option<(Source, &'static str, Pace)> {
    let miner = |id: &MinerId| Source::Miner(*id);
    let pool = |conn: &PoolConn, miner: &Option<MinerId>| Source::Connection(*miner, conn.slot);
    Some(match fact {
        Fact::MinerConnected { peer, .. }
        | Fact::MinerAuthorized { peer, .. }
        | Fact::MinerDisconnected { peer, .. } => (Source::Address(peer.ip()), "", CROWD),
        Fact::MinerTurnedAway { peer, reason, .. } => {
            let (what, pace) = match reason {
                Eviction::NoWork
                | Eviction::ExtranonceChanged
                | Eviction::ExtranonceSize
                | Eviction::Stopping => (reason.label(), CROWD),
                // The owner's setting is at fault, not the peer; other protocols from the same peer must not hide that.
                Eviction::OtherProtocol(what) if what.starts_with("no PROXY header") => {
                    ("no_proxy_header", ONE)
                }
                Eviction::TlsFailed(fault) => (fault.kind, ONE),
                Eviction::NotSetUp
                | Eviction::NotAuthorized
                | Eviction::TooMuchRubbish
                | Eviction::OtherProtocol(_) => (reason.label(), ONE),
            };
            (Source::Address(peer.ip()), what, pace)
        }
        Fact::LimitReached {
            miner: Some(id),
            limit,
            ..
        } => (miner(id), limit.name(), ONE),
        Fact::LimitReached {
            miner: None,
            peer,
            limit,
        } => (Source::Address(peer.ip()), limit.name(), ONE),
        Fact::MinerRefused { miner: id, .. } | Fact::MinerMessageBad { miner: id, .. } => {
            (miner(id), "", ONE)
        }
        Fact::ExtranonceChanged { miner: id, .. }
        | Fact::ExtranonceSizeLearnt { miner: id, .. }
        | Fact::MinerLags { miner: id }
        | Fact::MinerIdle { miner: id, .. } => (miner(id), "", FEW),
        Fact::PoolMessageBad { conn, miner, .. }
        | Fact::PoolMessage { conn, miner, .. }
        | Fact::PoolReconnect { conn, miner, .. }
        | Fact::PoolRedirectRefused { conn, miner, .. } => {
            (pool(conn, miner), conn.slot.name(), ONE)
        }
        Fact::PoolDialing { conn, miner }
        | Fact::PoolReady { conn, miner, .. }
        | Fact::PoolLost { conn, miner, .. } => (pool(conn, miner), conn.slot.name(), FEW),
        Fact::PoolLearnt { slot, .. }
        | Fact::PoolUp { slot }
        | Fact::PoolDown { slot, .. }
        | Fact::PoolNoJob { slot, .. }
        | Fact::PoolFailover { slot, .. }
        | Fact::VersionForm { slot, .. }
        | Fact::KeptBlock { slot, .. }
        | Fact::BlockFound { slot, .. } => (Source::Pool(*slot), slot.name(), FEW),
        Fact::JobReceived { conn, miner, .. } => (pool(conn, miner), "", STREAM),
        Fact::JobShared { conn, .. } => (pool(conn, &None), "", STREAM),
        Fact::MembersSwitched { slot, .. } | Fact::SharesLost { slot, .. } => {
            (Source::Pool(*slot), slot.name(), STREAM)
        }
        Fact::JobForwarded { miner: id, .. } | Fact::PoolSwitched { miner: id, .. } => {
            (miner(id), "", STREAM)
        }
        Fact::ShareResult(share) => {
            let source = Source::Miner(share.miner);
            match &share.outcome {
                // Each is work done by a miner, and the owner's earnings.
                ShareOutcome::Accepted | ShareOutcome::BelowPool => return None,
                ShareOutcome::RefusedHere(reason) => (source, reason.name(), ONE),
                ShareOutcome::RejectedByPool(reject) => {
                    (source, RejectClass::of(reject).name(), FEW)
                }
                ShareOutcome::Lost(_) => (source, "lost", FEW),
            }
        }
        Fact::AcceptFailed { .. } => (Source::Program, "", ONE),
        Fact::StateProblem { .. } | Fact::SlowTurn { .. } => (Source::Program, "", FEW),
        Fact::LoginRefused { from } | Fact::TokenRefused { from } => {
            (Source::Address(*from), "", ONE)
        }
        Fact::LoggedIn { from }
        | Fact::TokenMade { from, .. }
        | Fact::TokenRevoked { from, .. } => (Source::Address(*from), "", FEW),
        // Workers' names come from outside.
        Fact::TroubleBegan { .. }
        | Fact::TroubleOver { .. }
        | Fact::MessageSent { .. }
        | Fact::MessageFailed { .. } => (Source::Program, "", CROWD),
        Fact::WorkerPaused { .. } | Fact::WorkerResumed { .. } => (Source::Program, "", CROWD),
        Fact::OverrideSet { .. }
        | Fact::OverrideEnded { .. }
        | Fact::TimetableChanged { .. }
        | Fact::BalanceMoved { .. }
        | Fact::ConfigApplied { .. }
        | Fact::ConfigRefused { .. }
        | Fact::ConfigUsable
        | Fact::ConfigWarning { .. }
        | Fact::Started { .. }
        | Fact::Stopping
        | Fact::Stopped { .. }
        | Fact::Panicked { .. }
        | Fact::LogDropped { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;
    use crate::core::fact::Limit;
    use crate::stratum::reject::RejectReason;
    use crate::system::clock;

    fn useless(miner: u64) -> Fact {
        Fact::MinerMessageBad {
            miner: MinerId(miner),
            problem: "not JSON".into(),
        }
    }

    fn later(now: Now, seconds: u64) -> Now {
        Now {
            at: now.at + Duration::from_secs(seconds),
            unix_ms: now.unix_ms + 1000 * seconds,
        }
    }

    /// The number of log lines and of events for these facts.
    fn written(limiter: &Limiter, facts: impl IntoIterator<Item = Fact>, now: Now) -> (u64, u64) {
        let counts = facts
            .into_iter()
            .filter_map(|fact| limiter.admit(&fact, now));
        counts.fold((0, 0), |(lines, events), count| (lines + 1, events + count))
    }

    fn summed_up(lines: &[Line]) -> Vec<u64> {
        lines.iter().map(|line| line.count).collect()
    }

    #[test]
    fn a_flood_gives_one_line_at_first_and_one_per_minute_with_a_count() {
        let limiter = Limiter::default();
        let now = clock::now();
        assert_eq!(written(&limiter, (0..500).map(|_| useless(1)), now), (1, 1));
        assert_eq!(limiter.due(later(now, 59).at), []);
        let minute = later(now, 60);
        assert_eq!(summed_up(&limiter.due(minute.at)), [499]);
        // It continues: this minute's line was already written.
        assert_eq!(limiter.admit(&useless(1), minute), None);
        assert_eq!(summed_up(&limiter.due(later(now, 120).at)), [1]);
        // After a quiet time it counts as new.
        assert_eq!(limiter.admit(&useless(1), later(now, 300)), Some(1));
        assert_eq!(limiter.rest(later(now, 300).at), []);
    }

    #[test]
    fn kinds_and_sources_are_limited_independently() {
        let limiter = Limiter::default();
        let now = clock::now();
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let limit = |limit| Fact::LimitReached {
            miner: None,
            peer,
            limit,
        };
        let turned_away = |what: &str| Fact::MinerTurnedAway {
            miner: MinerId(1),
            peer,
            reason: Eviction::OtherProtocol(what.to_owned()),
        };
        let refused = |reason| crate::observe::samples::share(ShareOutcome::RefusedHere(reason));
        for fact in [
            useless(1),
            useless(2),
            turned_away("an HTTP request"),
            turned_away("no PROXY header, though its address is in listen.proxy_protocol_from"),
            limit(Limit::Miners),
            limit(Limit::MinersPerAddress),
            refused(RejectReason::Duplicate),
            refused(RejectReason::TooMany),
        ] {
            assert_eq!(limiter.admit(&fact, now), Some(1), "{fact:?}");
            assert_eq!(limiter.admit(&fact, now), None, "{fact:?}");
        }
        let all = limiter.rest(now.at);
        assert_eq!(summed_up(&all), [1; 8]);
    }

    #[test]
    fn lines_and_memory_stay_bounded_and_all_is_counted_for_many_sources() {
        let limiter = Limiter::default();
        let start = clock::now();
        let (mut lines, mut events, mut told) = (0, 0, 0);
        for second in 0..600 {
            let now = later(start, second);
            let from = 1000 * second;
            let new = (from..from + 1000).flat_map(|id| [useless(id), useless(id)]);
            told += 2000;
            let (more, of) = written(&limiter, new, now);
            let due = limiter.due(now.at);
            lines += more + u64::try_from(due.len()).unwrap();
            events += of + summed_up(&due).iter().sum::<u64>();
            assert!(limiter.state.lock().watched.len() <= MOST_WATCHED + 1);
        }
        // The first lines, then as many as are allowed in total, and the summaries.
        assert!(lines <= 2500 + 600 + 20, "{lines}");
        let rest = limiter.rest(later(start, 600).at);
        assert_eq!(events + summed_up(&rest).iter().sum::<u64>(), told);
    }

    #[test]
    fn log_lines_of_libraries_are_limited_too() {
        let limiter = Limiter::default();
        let now = clock::now();
        let lines = (0..100).filter(|_| limiter.admit_library(now.at).is_some());
        assert_eq!(lines.count(), 20);
        assert_eq!(limiter.admit_library(later(now, 60).at), Some(81));
    }

    #[test]
    fn a_returning_farm_is_logged_miner_by_miner() {
        let limiter = Limiter::default();
        let now = clock::now();
        let connected = (1..=2000).map(|id: u32| Fact::MinerConnected {
            miner: MinerId(id.into()),
            peer: SocketAddr::from((Ipv4Addr::from_bits(0x0a00_0000 + id / 200), 1)),
        });
        assert_eq!(written(&limiter, connected, now), (2000, 2000));
    }
}
