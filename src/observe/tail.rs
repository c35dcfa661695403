//! The newest log lines in memory, for live views.
//!
//! The log's thread adds lines. Readers take the lines that are newer than what they have, or wait for more. Neither
//! delays the other: the lock is only held to move a line or to copy references.
//!
//! The last few lines of each kind of event stay when newer ones of other kinds push them out. So no flood hides a
//! configuration change, a block or a pool that went down.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::Level;
use parking_lot::{Condvar, Mutex};

use crate::observe::event::Name;
use crate::system::clock::clock;

/// How many lines of any kind are remembered.
pub const MOST_LINES: usize = 2000;

/// How many older lines of each kind are remembered.
const MOST_OF_KIND: usize = 20;

/// An answer with this many lines has room for one of each kind, because there are fewer kinds.
const ROOM_FOR_KINDS: usize = 50;

/// The maximum size of all lines, in bytes.
const MOST_BYTES: usize = 1024 * 1024;

/// How long lines are collected for a waiting reader. Each open page asks at most four times a second instead of once
/// for each share.
pub const GATHER: Duration = Duration::from_millis(250);

/// A line's event and level; one event can have several levels.
pub type Kind = (Name, Level);

/// The newest lines. Each has a number, counted up from 0 at the start of the program.
#[derive(Debug, Default)]
pub struct Tail {
    state: Mutex<State>,
    news: Condvar,
    end: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Entry>,
    bytes: usize,
    /// Older lines: the last ones of each kind.
    kept: BTreeMap<Kind, VecDeque<Entry>>,
    /// The number of the next line.
    next: u64,
    closed: bool,
}

#[derive(Clone, Debug)]
struct Entry {
    number: u64,
    kind: Kind,
    text: Arc<str>,
}

/// A part of the tail.
#[derive(Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// The lines with their numbers, oldest first, without line ends.
    pub lines: Vec<(u64, Arc<str>)>,
    /// The number that the line after the last one of these has or will have.
    pub next: u64,
    /// How many of the requested lines are no longer remembered.
    pub missed: u64,
}

impl Tail {
    /// Adds a line.
    pub fn push(&self, kind: Kind, line: &str) {
        let mut state = self.state.lock();
        state.bytes += line.len();
        let number = state.next;
        let text = line.into();
        state.lines.push_back(Entry { number, kind, text });
        state.next += 1;
        while state.lines.len() > MOST_LINES || state.bytes > MOST_BYTES {
            let Some(oldest) = state.lines.pop_front() else {
                break;
            };
            state.bytes -= oldest.text.len();
            let kept = state.kept.entry(oldest.kind).or_default();
            kept.push_back(oldest);
            if kept.len() > MOST_OF_KIND {
                kept.pop_front();
            }
        }
        drop(state);
        self.news.notify_all();
    }

    /// The newest lines, up to `limit`, including the last ones of each kind.
    pub fn newest(&self, limit: usize) -> Excerpt {
        let state = self.state.lock();
        let all = state.from(0);
        let of_each = (limit / ROOM_FOR_KINDS).min(MOST_OF_KIND);
        let mut seen = BTreeMap::<Kind, usize>::new();
        let last_of_kind: Vec<_> = all
            .iter()
            .rev()
            .map(|entry| {
                let seen = seen.entry(entry.kind).or_default();
                *seen += 1;
                *seen <= of_each
            })
            .collect();
        let mut others = limit.saturating_sub(last_of_kind.iter().filter(|last| **last).count());
        let mut lines: Vec<_> = all
            .into_iter()
            .rev()
            .zip(last_of_kind)
            .filter(|(_, last)| {
                let other = !last && others > 0;
                others -= usize::from(other);
                *last || other
            })
            .map(|(entry, _)| (entry.number, Arc::clone(&entry.text)))
            .take(limit)
            .collect();
        lines.reverse();
        Excerpt {
            lines,
            next: state.next,
            missed: 0,
        }
    }

    /// The lines from this number on, the oldest first and at most so many. If there is none yet it waits for one, but
    /// not beyond `until`, nor on when the tail is closed; if it may wait it also waits for [`GATHER`], so that a reader
    /// does not come for every line by itself. A number that is still far off is one of an earlier run of the program
    /// and means all that is remembered.
    pub fn from(&self, number: u64, limit: usize, until: Instant) -> Excerpt {
        let mut state = self.state.lock();
        if number > state.next {
            let mut excerpt = state.excerpt(0, limit);
            excerpt.missed = 0;
            return excerpt;
        }
        let nothing_new = |state: &mut State| state.next <= number && !state.closed;
        self.news.wait_while_until(&mut state, nothing_new, until);
        let enough = number.saturating_add(u64::try_from(limit).unwrap_or(u64::MAX));
        if state.next < enough {
            let gathered = until.min(clock() + GATHER);
            // It is not woken by every line.
            let open = |state: &mut State| !state.closed;
            self.end.wait_while_until(&mut state, open, gathered);
        }
        state.excerpt(number, limit)
    }

    /// From now on, nobody waits.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.news.notify_all();
        self.end.notify_all();
    }
}

impl State {
    /// All remembered lines from a number on, oldest first.
    fn from(&self, number: u64) -> Vec<&Entry> {
        let mut entries: Vec<_> = self.kept.values().flatten().collect();
        entries.sort_by_key(|entry| entry.number);
        entries.extend(&self.lines);
        let first = entries.partition_point(|entry| entry.number < number);
        entries.split_off(first)
    }

    fn excerpt(&self, number: u64, limit: usize) -> Excerpt {
        let mut entries = self.from(number);
        let next = entries.get(limit).map_or(self.next, |entry| entry.number);
        entries.truncate(limit);
        let next = if limit == 0 { number } else { next };
        let found = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        Excerpt {
            lines: entries
                .into_iter()
                .map(|entry| (entry.number, Arc::clone(&entry.text)))
                .collect(),
            next,
            missed: (next - number).saturating_sub(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::thread::{SERVICE_STACK, spawn};

    const USUAL: Kind = (Name::ShareResult, Level::Info);

    fn numbered(from: u64, to: u64) -> Vec<(u64, Arc<str>)> {
        (from..to)
            .map(|number| (number, format!("line {number}").into()))
            .collect()
    }

    fn filled(lines: u64) -> Tail {
        let tail = Tail::default();
        for (_, line) in numbered(0, lines) {
            tail.push(USUAL, &line);
        }
        tail
    }

    #[test]
    fn each_reader_gets_every_line_once() {
        let tail = filled(10);
        let newest = tail.newest(3);
        assert_eq!(newest.next, 10);
        assert_eq!(newest.lines, numbered(7, 10));
        let now = clock();
        assert_eq!(tail.from(10, 100, now).lines, numbered(0, 0));
        tail.push(USUAL, "line 10");
        let more = tail.from(10, 100, now);
        assert_eq!(more.lines, numbered(10, 11));
        assert_eq!((more.next, more.missed), (11, 0));
        // Page by page from the beginning.
        let first = tail.from(0, 4, now);
        assert_eq!((first.lines, first.next), (numbered(0, 4), 4));
        assert_eq!(tail.from(4, 100, now).lines, numbered(4, 11));
        assert_eq!(Tail::default().newest(5).lines, numbered(0, 0));
    }

    #[test]
    fn dropped_lines_are_counted() {
        let lines = u64::try_from(MOST_LINES).unwrap();
        let tail = filled(lines + 50);
        // Thirty are gone, except for the last ones of each kind.
        let excerpt = tail.from(20, 1, clock());
        assert_eq!(excerpt.lines, numbered(30, 31));
        assert_eq!((excerpt.next, excerpt.missed), (31, 10));
        let page = tail.from(31, 1000, clock());
        assert_eq!((page.lines.len(), page.missed), (1000, 0));
        // A position from another run of the program.
        let excerpt = tail.from(1_000_000, 2, clock());
        assert_eq!((excerpt.lines, excerpt.missed), (numbered(30, 32), 0));
    }

    #[test]
    fn a_flood_displaces_only_lines_of_its_own_kind() {
        let tail = filled(5);
        let change: Kind = (Name::ConfigApplied, Level::Warn);
        tail.push(change, "the wallet was changed");
        for _ in 0..20_000 {
            tail.push(
                (Name::ConfigApplied, Level::Info),
                "the weights were changed",
            );
            tail.push((Name::MinerMessageBad, Level::Warn), &"useless ".repeat(50));
        }
        let wallet = |excerpt: &Excerpt| {
            let mut lines = excerpt.lines.iter();
            lines.any(|(number, line)| (*number, &**line) == (5, "the wallet was changed"))
        };
        for limit in [50, 200, 1000] {
            let newest = tail.newest(limit);
            assert!(wallet(&newest), "{limit}");
            assert_eq!((newest.lines.len(), newest.next), (limit, 40_006));
            assert!(newest.lines.is_sorted_by_key(|(number, _)| *number));
        }
        assert_eq!(tail.newest(1).lines[0].0, 40_005);
        let first = tail.from(0, 10, clock());
        assert!(wallet(&first));
        assert_eq!(first.lines[..5], numbered(0, 5));
    }

    #[test]
    fn memory_is_bounded() {
        let tail = Tail::default();
        for _ in 0..100 {
            tail.push(USUAL, &"x".repeat(100_000));
        }
        let state = tail.state.lock();
        assert_eq!(state.lines.len(), 10);
        assert_eq!(state.bytes, 1_000_000);
        assert_eq!(state.kept[&USUAL].len(), MOST_OF_KIND);
    }

    #[test]
    fn a_reader_waits_for_new_lines_up_to_its_timeout() {
        let tail = Arc::new(filled(1));
        let long = clock() + Duration::from_secs(60);
        let wait = |from| {
            let tail = Arc::clone(&tail);
            spawn("reader", SERVICE_STACK, move || tail.from(from, 10, long)).unwrap()
        };
        let reader = wait(1);
        std::thread::sleep(Duration::from_millis(20));
        tail.push(USUAL, "line 1");
        tail.push(USUAL, "line 2");
        assert_eq!(reader.join().unwrap().lines, numbered(1, 3), "gathered");
        let soon = clock() + Duration::from_millis(20);
        assert_eq!(tail.from(3, 10, soon).lines, numbered(0, 0));
        let reader = wait(3);
        tail.close();
        assert_eq!(reader.join().unwrap().lines, numbered(0, 0));
        assert!(clock() < long);
    }
}
