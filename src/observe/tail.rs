//! The newest lines of the log, in memory, for whoever wants to watch it live.
//!
//! The log's thread adds lines; readers take what is newer than what they have and wait for more if there is none.
//! Neither holds the other up: the lock is held to move a line or to copy references.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::system::clock::clock;

/// How many lines are remembered.
pub const MOST_LINES: usize = 2000;

/// How much of them, in bytes.
const MOST_BYTES: usize = 1024 * 1024;

/// How long lines are gathered for a reader that waits. A hundred open pages ask four times a second each at most, and
/// not for each of hundreds of shares.
pub const GATHER: Duration = Duration::from_millis(250);

/// The newest lines. Each has a number, counted up from 0 at the start of the program.
#[derive(Debug, Default)]
pub struct Tail {
    state: Mutex<State>,
    news: Condvar,
    end: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Arc<str>>,
    bytes: usize,
    /// The number of the next line.
    next: u64,
    closed: bool,
}

/// A part of the tail.
#[derive(Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// The number of its first line.
    pub first: u64,
    /// The lines, the oldest first, without line ends.
    pub lines: Vec<Arc<str>>,
    /// The number that the line after the last one of these has or will have.
    pub next: u64,
    /// How many lines came between what was asked for and the first of these and are not remembered any more.
    pub missed: u64,
}

impl Tail {
    /// Adds a line.
    pub fn push(&self, line: &str) {
        let mut state = self.state.lock();
        state.bytes += line.len();
        state.lines.push_back(line.into());
        state.next += 1;
        while state.lines.len() > MOST_LINES || state.bytes > MOST_BYTES {
            let Some(oldest) = state.lines.pop_front() else {
                break;
            };
            state.bytes -= oldest.len();
        }
        drop(state);
        self.news.notify_all();
    }

    /// The newest lines, at most so many.
    pub fn newest(&self, limit: usize) -> Excerpt {
        let state = self.state.lock();
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        state.excerpt(state.next.saturating_sub(limit).max(state.first()), limit)
    }

    /// The lines from this number on, the oldest first and at most so many. If there is none yet it waits for one, but
    /// not beyond `until`, nor on when the tail is closed; if it may wait it also waits for [`GATHER`], so that a reader
    /// does not come for every line by itself. A number that is still far off is one of an earlier run of the program
    /// and means all that is remembered.
    pub fn from(&self, number: u64, limit: usize, until: Instant) -> Excerpt {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        let mut state = self.state.lock();
        if number > state.next {
            return state.excerpt(state.first(), limit);
        }
        let nothing_new = |state: &mut State| state.next <= number && !state.closed;
        self.news.wait_while_until(&mut state, nothing_new, until);
        if state.next < number.saturating_add(limit) {
            let gathered = until.min(clock() + GATHER);
            // Not woken by every line.
            let open = |state: &mut State| !state.closed;
            self.end.wait_while_until(&mut state, open, gathered);
        }
        let mut excerpt = state.excerpt(number.max(state.first()), limit);
        excerpt.missed = excerpt.first - number;
        excerpt
    }

    /// Nobody waits any more from here on.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.news.notify_all();
        self.end.notify_all();
    }
}

impl State {
    /// The number of the oldest line.
    fn first(&self) -> u64 {
        self.next - u64::try_from(self.lines.len()).unwrap_or(0)
    }

    /// From a number on that is remembered or the next one.
    fn excerpt(&self, first: u64, limit: u64) -> Excerpt {
        let skipped = usize::try_from(first - self.first()).unwrap_or(usize::MAX);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let lines: Vec<_> = self
            .lines
            .iter()
            .skip(skipped)
            .take(limit)
            .cloned()
            .collect();
        let next = first + u64::try_from(lines.len()).unwrap_or(0);
        Excerpt {
            first,
            lines,
            next,
            missed: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::thread::{SERVICE_STACK, spawn};

    fn numbered(from: u64, to: u64) -> Vec<Arc<str>> {
        (from..to)
            .map(|number| format!("line {number}").into())
            .collect()
    }

    fn filled(lines: u64) -> Tail {
        let tail = Tail::default();
        for line in numbered(0, lines) {
            tail.push(&line);
        }
        tail
    }

    #[test]
    fn a_reader_gets_every_line_once() {
        let tail = filled(10);
        let newest = tail.newest(3);
        assert_eq!((newest.first, newest.next), (7, 10));
        assert_eq!(newest.lines, numbered(7, 10));
        let now = clock();
        assert_eq!(tail.from(10, 100, now).lines, numbered(0, 0));
        tail.push("line 10");
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
    fn what_is_forgotten_is_counted() {
        let lines = u64::try_from(MOST_LINES).unwrap();
        let tail = filled(lines + 50);
        let excerpt = tail.from(20, 1, clock());
        assert_eq!(excerpt.lines, numbered(50, 51));
        assert_eq!((excerpt.first, excerpt.missed), (50, 30));
        // Of another run of the program.
        let excerpt = tail.from(1_000_000, 2, clock());
        assert_eq!((excerpt.lines, excerpt.missed), (numbered(50, 52), 0));
    }

    #[test]
    fn memory_is_bounded() {
        let tail = Tail::default();
        for _ in 0..100 {
            tail.push(&"x".repeat(100_000));
        }
        let state = tail.state.lock();
        assert_eq!(state.lines.len(), 10);
        assert_eq!(state.bytes, 1_000_000);
    }

    #[test]
    fn a_reader_waits_for_news_and_no_longer_than_it_wants() {
        let tail = Arc::new(filled(1));
        let long = clock() + Duration::from_secs(60);
        let wait = |from| {
            let tail = Arc::clone(&tail);
            spawn("reader", SERVICE_STACK, move || tail.from(from, 10, long)).unwrap()
        };
        let reader = wait(1);
        std::thread::sleep(Duration::from_millis(20));
        tail.push("line 1");
        tail.push("line 2");
        assert_eq!(reader.join().unwrap().lines, numbered(1, 3), "gathered");
        let soon = clock() + Duration::from_millis(20);
        assert_eq!(tail.from(3, 10, soon).lines, numbered(0, 0));
        let reader = wait(3);
        tail.close();
        assert_eq!(reader.join().unwrap().lines, numbered(0, 0));
        assert!(clock() < long);
    }
}
