//! Which password attempt is checked next. The right password is always accepted, so no one is locked out. Only the
//! number of wrong attempts is limited.
//!
//! - **Passwords are checked one at a time**, which limits the memory and processor time that a flood can use.
//! - **Wrong attempts delay further ones** from the same address, by a quarter of a second up to two, and all addresses
//!   together by an eighth of that. An attempt waits for its turn; it is not refused.
//! - **A browser that is or was logged in** is recognized by a cookie that cannot be made without the password. It
//!   waits for no stranger, only for its own wrong attempts.
//! - **Among strangers**, browsers with the fewest wrong attempts go first. So a person who opened the login page does
//!   not wait for a program that only posts.
//!
//! Memory is bounded by limits on waiting attempts, remembered wrong ones, and remembered browsers.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::system::clock::clock;

/// How long wrong attempts are remembered.
const MEMORY: Duration = Duration::from_secs(3600);

/// How many wrong attempts cause no delay, because everyone mistypes.
const FREE: usize = 5;

/// The delay of the next attempt for each further wrong one, and its limits.
const PACE: Duration = Duration::from_micros(2500);
const SHORTEST_PACE: Duration = Duration::from_millis(250);
const LONGEST_PACE: Duration = Duration::from_secs(2);

/// All strangers together may try this many times as often as one address.
const ALL_OF_THEM: u32 = 8;

/// How many wrong attempts are remembered for each; more cause no longer delay.
const MOST_WRONG: usize = 1000;

/// For how many addresses and browsers wrong attempts are remembered.
const MOST_TALLIES: usize = 1000;

/// How many attempts may wait: from all strangers, from one address, and from a known browser.
const MOST_WAITING: usize = 192;
const MOST_WAITING_OF_ONE: usize = 96;
const MOST_WAITING_OF_KNOWN: usize = 4;

/// How long an attempt may wait.
const PATIENCE: Duration = Duration::from_secs(45);

/// The digest of a cookie's value.
pub(super) type Mark = [u8; 32];

/// The source of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) from: IpAddr,
    pub(super) browser: Browser,
}

/// What is known about the browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Browser {
    /// It has given the right password before.
    Known(Mark),
    /// It has opened the pages.
    Visitor(Mark),
    /// Nothing.
    Unknown,
}

/// Wrong passwords of the last hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongTries {
    /// Their number; not all are counted if there are very many.
    pub count: usize,
    /// Where the last one came from.
    pub from: IpAddr,
    /// When it arrived.
    pub last: Instant,
}

/// Waiting attempts, and recent wrong ones.
#[derive(Default)]
pub(super) struct Attempts {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// A password is being checked.
    busy: bool,
    next: u64,
    waiting: Vec<Entry>,
    wrong: BTreeMap<Key, Tries>,
    last_from: Option<IpAddr>,
}

#[derive(Clone, Copy)]
struct Entry {
    ticket: u64,
    caller: Caller,
}

/// Groups whose wrong attempts are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Strangers,
    Address(IpAddr),
    Visitor(Mark),
    Known(Mark),
}

/// The times of wrong attempts, oldest first.
type Tries = VecDeque<Instant>;

/// Permits one attempt; the next one is allowed when this is dropped.
pub(super) struct Permit<'a> {
    attempts: &'a Attempts,
    caller: Caller,
}

impl Attempts {
    /// Waits until this caller's password may be checked.
    ///
    /// # Errors
    /// If too many wait already, or it took too long: in how many seconds to try again.
    pub(super) fn wait(&self, caller: Caller) -> Result<Permit<'_>, u64> {
        let caller = Caller {
            from: household(caller.from),
            ..caller
        };
        let until = clock() + PATIENCE;
        let mut state = self.state.lock();
        let Some(ticket) = state.queue(caller) else {
            return Err(LONGEST_PACE.as_secs());
        };
        loop {
            let now = clock();
            let wake = match state.next(now) {
                _ if now >= until => {
                    state.leave(ticket);
                    return Err(LONGEST_PACE.as_secs());
                }
                Ok(next) if next == ticket => {
                    state.leave(ticket);
                    state.busy = true;
                    return Ok(Permit {
                        attempts: self,
                        caller,
                    });
                }
                // Its own thread notices when it wakes up.
                Ok(_) => until,
                Err(due) => due.unwrap_or(until).min(until),
            };
            self.changed.wait_until(&mut state, wake);
        }
    }

    /// The wrong passwords of the last hour, if any.
    pub(super) fn wrong_lately(&self) -> Option<WrongTries> {
        let now = clock();
        let mut state = self.state.lock();
        let from = state.last_from?;
        let (count, last) = state.wrong_of(Key::Strangers, now);
        Some(WrongTries {
            count,
            from,
            last: last?,
        })
    }
}

impl Permit<'_> {
    /// The password was wrong.
    pub(super) fn was_wrong(&self) {
        self.attempts.state.lock().count_wrong(self.caller, clock());
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.attempts.state.lock().busy = false;
        self.attempts.changed.notify_all();
    }
}

impl State {
    /// Queues an attempt; `None` if there are too many.
    fn queue(&mut self, caller: Caller) -> Option<u64> {
        let is_known = |caller: &Caller| matches!(caller.browser, Browser::Known(_));
        let alike = |other: &&Entry| match caller.browser {
            Browser::Known(_) => other.caller.browser == caller.browser,
            Browser::Visitor(_) | Browser::Unknown => {
                !is_known(&other.caller) && other.caller.from == caller.from
            }
        };
        let alike = self.waiting.iter().filter(alike).count();
        let full = if is_known(&caller) {
            alike >= MOST_WAITING_OF_KNOWN
        } else {
            let strangers = self.waiting.iter().filter(|it| !is_known(&it.caller));
            alike >= MOST_WAITING_OF_ONE || strangers.count() >= MOST_WAITING
        };
        if full {
            return None;
        }
        let ticket = self.next;
        self.next += 1;
        self.waiting.push(Entry { ticket, caller });
        Some(ticket)
    }

    fn leave(&mut self, ticket: u64) {
        self.waiting.retain(|waiting| waiting.ticket != ticket);
    }

    /// The attempt that may be checked now; if there is none, when the next one may.
    fn next(&mut self, now: Instant) -> Result<u64, Option<Instant>> {
        if self.busy {
            return Err(None);
        }
        let waiting = std::mem::take(&mut self.waiting);
        let mut best: Option<((bool, usize, u64), u64)> = None;
        let mut soonest: Option<Instant> = None;
        for Entry { ticket, caller } in &waiting {
            let due = self.due(*caller, now);
            if due > now {
                soonest = Some(soonest.map_or(due, |soonest| soonest.min(due)));
                continue;
            }
            let (stranger, key) = match caller.browser {
                Browser::Known(mark) => (false, Key::Known(mark)),
                Browser::Visitor(mark) => (true, Key::Visitor(mark)),
                Browser::Unknown => (true, Key::Address(caller.from)),
            };
            let rank = (stranger, self.wrong_of(key, now).0, *ticket);
            if best.is_none_or(|(best, _)| rank < best) {
                best = Some((rank, *ticket));
            }
        }
        self.waiting = waiting;
        best.map(|(_, ticket)| ticket).ok_or(soonest)
    }

    /// When a caller's password may be checked.
    fn due(&mut self, caller: Caller, now: Instant) -> Instant {
        let mut after = |key, divisor| {
            let (count, last) = self.wrong_of(key, now);
            last.map_or(now, |last| last + pace(count) / divisor)
        };
        match caller.browser {
            Browser::Known(mark) => after(Key::Known(mark), 1),
            Browser::Visitor(_) | Browser::Unknown => {
                after(Key::Address(caller.from), 1).max(after(Key::Strangers, ALL_OF_THEM))
            }
        }
    }

    fn count_wrong(&mut self, caller: Caller, now: Instant) {
        self.last_from = Some(caller.from);
        let keys = match caller.browser {
            Browser::Known(mark) => [Some(Key::Known(mark)), None],
            Browser::Visitor(mark) => [Some(Key::Visitor(mark)), Some(Key::Address(caller.from))],
            Browser::Unknown => [Some(Key::Address(caller.from)), None],
        };
        for key in keys.into_iter().flatten().chain([Key::Strangers]) {
            let wrong = self.tries(key, now);
            if wrong.len() >= MOST_WRONG {
                wrong.pop_front();
            }
            wrong.push_back(now);
        }
    }

    /// The number of recent wrong attempts, and the time of the last one.
    fn wrong_of(&mut self, key: Key, now: Instant) -> (usize, Option<Instant>) {
        let Some(tries) = self.wrong.get_mut(&key) else {
            return (0, None);
        };
        let old = |at: &Instant| now.saturating_duration_since(*at) >= MEMORY;
        while tries.front().is_some_and(old) {
            tries.pop_front();
        }
        (tries.len(), tries.back().copied())
    }

    fn tries(&mut self, key: Key, now: Instant) -> &mut Tries {
        if !self.wrong.contains_key(&key) && self.wrong.len() >= MOST_TALLIES {
            let is_old = |tries: &Tries| {
                let last = tries.back();
                last.is_none_or(|last| now.saturating_duration_since(*last) >= MEMORY)
            };
            self.wrong.retain(|_, tries| !is_old(tries));
            // Those with one wrong attempt, if necessary: many addresses are slowed down together.
            if self.wrong.len() >= MOST_TALLIES {
                let fewest = self.wrong.iter().filter(|(key, _)| **key != Key::Strangers);
                let fewest = fewest.min_by_key(|(_, tries)| tries.len());
                if let Some(key) = fewest.map(|(key, _)| *key) {
                    self.wrong.remove(&key);
                }
            }
        }
        self.wrong.entry(key).or_default()
    }
}

/// How long after this many wrong attempts the next one is allowed.
fn pace(wrong: usize) -> Duration {
    if wrong < FREE {
        return Duration::ZERO;
    }
    let wrong = u32::try_from(wrong).unwrap_or(u32::MAX);
    PACE.saturating_mul(wrong)
        .clamp(SHORTEST_PACE, LONGEST_PACE)
}

/// Anyone with one IPv6 address has 2^64 of them.
fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(from: &str, browser: Browser) -> Caller {
        let from = household(from.parse().unwrap());
        Caller { from, browser }
    }

    /// The order in which callers get their turns, each with a wrong attempt, and how long that took.
    fn order(state: &mut State, callers: &[Caller], mut now: Instant) -> (Vec<usize>, Duration) {
        let start = now;
        let tickets: Vec<_> = callers.iter().map(|it| state.queue(*it).unwrap()).collect();
        let mut order = Vec::new();
        while !state.waiting.is_empty() {
            match state.next(now) {
                Ok(ticket) => {
                    let index = tickets.iter().position(|it| *it == ticket).unwrap();
                    state.leave(ticket);
                    state.count_wrong(callers[index], now);
                    order.push(index);
                }
                Err(due) => now = due.unwrap(),
            }
        }
        (order, now - start)
    }

    #[test]
    fn wrong_attempts_slow_later_ones_and_lock_nobody_out() {
        let mut state = State::default();
        let one = caller("10.0.0.1", Browser::Unknown);
        let start = clock();
        assert_eq!(order(&mut state, &[one; 5], start).1, Duration::ZERO);
        let (_, took) = order(&mut state, &[one; 10], start);
        assert_eq!(took, SHORTEST_PACE * 10);
        // A day of attempts, as fast as possible.
        let mut now = start + took;
        let mut tries = 0;
        while now < start + MEMORY * 24 {
            now += order(&mut state, &[one], now)
                .1
                .max(Duration::from_millis(1));
            tries += 1;
        }
        assert!((40_000..45_000).contains(&tries), "{tries}");
        // An hour later all is forgotten.
        assert_eq!(order(&mut state, &[one; 5], now + MEMORY).1, Duration::ZERO);
    }

    #[test]
    fn a_known_browser_does_not_wait_for_strangers() {
        let mut state = State::default();
        let stranger = caller("10.0.0.1", Browser::Unknown);
        let known = caller("10.0.0.1", Browser::Known([1; 32]));
        let now = clock();
        order(&mut state, &[stranger; 50], now);
        assert_eq!(state.due(known, now), now);
        let mut all = vec![stranger; 20];
        all.push(known);
        assert_eq!(order(&mut state, &all, now + SHORTEST_PACE).0[0], 20);
        // Neither do many strangers keep it from queuing.
        for _ in 0..MOST_WAITING_OF_ONE {
            assert!(state.queue(stranger).is_some());
        }
        assert!(state.queue(stranger).is_none());
        for _ in 0..MOST_WAITING_OF_KNOWN {
            assert!(state.queue(known).is_some());
        }
        assert!(state.queue(known).is_none(), "its own number is bounded");
    }

    #[test]
    fn a_browser_that_opened_the_page_is_served_before_bare_posts() {
        let mut state = State::default();
        let program = caller("10.0.0.1", Browser::Unknown);
        let visitor = caller("10.0.0.1", Browser::Visitor([1; 32]));
        let now = clock();
        order(&mut state, &[program; 20], now);
        let mut all = vec![program; 20];
        all.push(visitor);
        let (order, _) = order(&mut state, &all, now + SHORTEST_PACE);
        assert_eq!(order[0], 20);
    }

    #[test]
    fn an_address_without_wrong_attempts_is_served_first() {
        let mut state = State::default();
        let flood = caller("10.0.0.1", Browser::Unknown);
        let other = caller("10.0.0.2", Browser::Unknown);
        let now = clock();
        order(&mut state, &[flood; 20], now);
        let mut all = vec![flood; 20];
        all.push(other);
        assert_eq!(order(&mut state, &all, now + LONGEST_PACE).0[0], 20);
    }

    #[test]
    fn many_addresses_together_are_slowed_down() {
        let mut state = State::default();
        let now = clock();
        let all: Vec<_> = (0..100)
            .map(|last| caller(&format!("10.0.1.{last}"), Browser::Unknown))
            .collect();
        let (_, took) = order(&mut state, &all, now);
        assert!(took >= SHORTEST_PACE / ALL_OF_THEM * 95, "{took:?}");
        // An IPv6 network counts as one address.
        let neighbor = |last: u32| caller(&format!("2001:db8::{last}"), Browser::Unknown);
        assert_eq!(neighbor(1), neighbor(2));
        assert_ne!(neighbor(1), caller("2001:db8:0:1::1", Browser::Unknown));
        assert_eq!(
            caller("::ffff:10.0.0.1", Browser::Unknown),
            caller("10.0.0.1", Browser::Unknown)
        );
    }

    #[test]
    fn memory_is_bounded() {
        let mut state = State::default();
        let now = clock();
        for n in 0..3000_u32 {
            let from = Ipv6Addr::from_bits(u128::from(n) << 64).into();
            let mut mark = [0; 32];
            mark[..4].copy_from_slice(&n.to_be_bytes());
            let browser = Browser::Visitor(mark);
            state.count_wrong(Caller { from, browser }, now);
        }
        assert!(state.wrong.len() <= MOST_TALLIES);
        assert_eq!(state.wrong_of(Key::Strangers, now).0, MOST_WRONG);
    }

    #[test]
    fn one_password_is_checked_at_a_time() {
        let attempts = Attempts::default();
        let me = caller("10.0.0.1", Browser::Unknown);
        let permit = attempts.wait(me).unwrap();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                let _permit = attempts.wait(me).unwrap();
                clock()
            });
            while attempts.state.lock().waiting.is_empty() {
                std::thread::yield_now();
            }
            let ended = clock();
            drop(permit);
            assert!(second.join().unwrap() >= ended);
        });
    }
}
