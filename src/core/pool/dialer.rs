//! When a pool is dialed, and how many dials are under way.
//!
//! While no connection to the pool has work, one line tries and the others wait. Attempts start after 1, 2, 4 and then
//! every 5 s, minus up to a fifth, each by another line. So a pool that is down sees one attempt every 4 to 5 s, not a
//! whole farm's, and the first miner works again within seconds of its return. Attempts that reach the pool but get no
//! work slow down to one every 30 s. As soon as one connection has work, the others follow through the gate.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::core::event::DialError;
use crate::core::outage::{Loss, Step};
use crate::random::Random;
use crate::units::{LineId, PoolConn, later};

/// The maximum number of dials to one pool at a time.
const MOST_DIALS: usize = 16;

/// The maximum number of attempts at a time while no miner has work.
const MOST_ATTEMPTS: usize = 2;

/// The first pause between two attempts; each is twice as long as the previous one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause while the pool cannot be reached.
const UNREACHABLE_PAUSE: Duration = Duration::from_secs(5);

/// The longest pause while it can be reached but sends no work.
const USELESS_PAUSE: Duration = Duration::from_secs(30);

/// After this long, an attempt without result no longer keeps others from trying.
const ATTEMPT: Duration = Duration::from_secs(15);

/// A pool that sent work for this long was good, so earlier failures no longer count.
const PROVEN: Duration = Duration::from_secs(30);

/// How often lines whose own attempts failed may try early when others have work again.
const HURRY_EVERY: Duration = Duration::from_secs(60);

/// How an attempt to get work from the pool ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    /// The pool could not be reached.
    Unreachable,
    /// It was reached but sent no work.
    Useless,
    /// It works, but refused this worker.
    Refused,
    /// It works, but this attempt got no work. The next one may.
    Again,
}

impl AttemptEnd {
    /// What a loss means for the lines that wait for the pool.
    pub fn of(loss: &Loss) -> Self {
        match loss {
            Loss::DialFailed(DialError::Unreachable(_) | DialError::NoRoom(_)) => Self::Unreachable,
            Loss::Refused(Step::Authorize, _) => Self::Refused,
            Loss::DialFailed(DialError::Unencrypted(_) | DialError::Certificate(_))
            | Loss::Closed(_)
            | Loss::NoAnswerTo(_)
            | Loss::Refused(..)
            | Loss::BadSubscription(_)
            | Loss::BadMessage(_)
            | Loss::ExtranonceTooSmall(_)
            | Loss::Stalled
            | Loss::Unanswered => Self::Useless,
        }
    }
}

/// A new connection, and its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dial {
    /// Its name.
    pub conn: PoolConn,
    /// Its line.
    pub line: LineId,
}

/// The dials to one pool.
#[derive(Debug)]
pub struct Dialer {
    /// Connections that wait at the gate.
    queue: VecDeque<Dial>,
    /// Dials under way, and their lines.
    dialing: BTreeMap<PoolConn, LineId>,
    /// Whether some connection has work: then the gate is open.
    open: bool,
    /// Since when.
    opened: Instant,
    /// Whether a line waits for a connection.
    wanted: bool,
    /// Whether a miner connected in vain, so that DPMP itself must look.
    sought: bool,
    /// Attempts under way, the latest last.
    attempts: Vec<Attempt>,
    /// The number of attempts since the pool last had work for a while; the loss counts as one.
    in_a_row: u32,
    /// Whether the pool could be reached the last time.
    reached: bool,
    /// When the next attempt may start.
    next: Instant,
    /// The line that tried last.
    last: Option<LineId>,
    hurried: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    conn: PoolConn,
    started: Instant,
    /// The part of the pause that applies after it.
    part: f64,
}

impl Dialer {
    /// Creates a dialer without dials.
    pub fn new(now: Instant) -> Self {
        Self {
            queue: VecDeque::new(),
            dialing: BTreeMap::new(),
            open: false,
            opened: now,
            wanted: false,
            sought: false,
            attempts: Vec::new(),
            in_a_row: 0,
            reached: false,
            next: now,
            last: None,
            hurried: None,
        }
    }

    /// Whether a connection may go to the gate because another one has work.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// A line waits for a connection.
    pub fn call(&mut self) {
        self.wanted = true;
    }

    /// A miner connected that needs the pool and must not wait: DPMP itself looks next.
    pub fn seek(&mut self) {
        self.wanted = true;
        self.sought = true;
    }

    /// Whether DPMP itself should look next.
    pub fn is_sought(&self) -> bool {
        self.sought
    }

    /// No line waits for a connection.
    pub fn dismiss(&mut self) {
        self.wanted = false;
    }

    /// Whether a line waits for a connection while none has work.
    pub fn is_wanted(&self) -> bool {
        self.wanted && !self.open
    }

    /// Whether an attempt may start now.
    pub fn may_attempt(&mut self, now: Instant) -> bool {
        self.forget_slow(now);
        self.is_wanted() && self.attempts.len() < MOST_ATTEMPTS && self.next <= now
    }

    /// When [`may_attempt`](Self::may_attempt) may become true.
    pub fn next_deadline(&self) -> Option<Instant> {
        if !self.is_wanted() {
            return None;
        }
        let slow = self.attempts.first().and_then(over);
        if self.attempts.len() < MOST_ATTEMPTS {
            Some(self.next)
        } else {
            slow.map(|slow| slow.max(self.next))
        }
    }

    /// The line that tried last, so that a different one tries next.
    pub fn last(&self) -> Option<LineId> {
        self.last
    }

    /// An attempt starts; `look`: DPMP's own, not a miner's.
    pub fn attempt(&mut self, dial: Dial, look: bool, now: Instant, random: &mut Random) {
        self.in_a_row = self.in_a_row.saturating_add(1);
        if look {
            self.sought = false;
        } else {
            self.last = Some(dial.line);
        }
        let attempt = Attempt {
            conn: dial.conn,
            started: now,
            part: 0.8 + 0.2 * random.unit(),
        };
        self.attempts.push(attempt);
        self.next = later(now, self.pause().mul_f64(attempt.part));
        // Lines that are still queued at the gate from the time when others had work do not have to go first.
        self.queue.push_front(dial);
    }

    /// An attempt ended without work. Other connections change nothing.
    pub fn ended(&mut self, conn: PoolConn, how: AttemptEnd, now: Instant) {
        let Some(index) = self.attempts.iter().position(|it| it.conn == conn) else {
            return;
        };
        let attempt = self.attempts.remove(index);
        match how {
            AttemptEnd::Unreachable | AttemptEnd::Useless => {
                self.reached = how == AttemptEnd::Useless;
                if index == self.attempts.len() {
                    self.next = later(attempt.started, self.pause().mul_f64(attempt.part));
                }
            }
            AttemptEnd::Refused => self.next = now,
            AttemptEnd::Again => {
                self.in_a_row = self.in_a_row.saturating_sub(1);
                self.next = now;
            }
        }
    }

    /// DPMP's own look succeeded: waiting lines may try now.
    pub fn answered(&mut self, conn: PoolConn, now: Instant) {
        self.attempts.retain(|it| it.conn != conn);
        self.in_a_row = 0;
        self.next = now;
    }

    /// A connection has work, the first one.
    pub fn opens(&mut self, now: Instant) {
        self.open = true;
        self.opened = now;
        self.wanted = false;
        self.sought = false;
        self.attempts.clear();
    }

    /// No connection has work any more; `failed`: DPMP did not end the last one on purpose.
    pub fn closes(&mut self, failed: bool, now: Instant, random: &mut Random) {
        self.open = false;
        let proven = now.saturating_duration_since(self.opened) >= PROVEN;
        if proven || !failed {
            self.in_a_row = 0;
            self.reached = false;
        } else {
            self.reached = true;
        }
        self.next = now;
        if failed {
            self.in_a_row = self.in_a_row.saturating_add(1);
            self.next = later(now, self.pause().mul_f64(0.8 + 0.2 * random.unit()));
        }
    }

    /// The pool's settings changed, or it is a different one: waiting lines try immediately.
    pub fn restart(&mut self, now: Instant) {
        self.in_a_row = 0;
        self.reached = false;
        self.attempts.clear();
        self.next = now;
    }

    /// Whether lines whose own attempts failed may try early now that others have work. Not too often, because that
    /// does not help a pool that accepts connections and closes them.
    pub fn may_hurry(&mut self, now: Instant) -> bool {
        let lately = |last| now.saturating_duration_since(last) < HURRY_EVERY;
        let may = !self.hurried.is_some_and(lately);
        if may {
            self.hurried = Some(now);
        }
        may
    }

    /// Puts a connection into the queue for the gate.
    pub fn queue(&mut self, dial: Dial) {
        self.queue.push_back(dial);
    }

    /// The next connection that may be dialed. The caller confirms with [`dial_started`](Self::dial_started).
    pub fn next_dial(&mut self) -> Option<Dial> {
        if self.dialing.len() >= MOST_DIALS {
            return None;
        }
        self.queue.pop_front()
    }

    /// Whether a connection from the queue must wait after all, because all work has ended since it was queued.
    pub fn is_late(&self, conn: PoolConn) -> bool {
        !self.open && !self.attempts.iter().any(|it| it.conn == conn)
    }

    /// Takes a place in the gate.
    pub fn dial_started(&mut self, dial: Dial) {
        self.dialing.insert(dial.conn, dial.line);
    }

    /// Releases the place in the gate, and returns its line.
    pub fn dial_ended(&mut self, conn: PoolConn) -> Option<LineId> {
        self.dialing.remove(&conn)
    }

    fn forget_slow(&mut self, now: Instant) {
        let before = self.attempts.len();
        self.attempts
            .retain(|it| over(it).is_none_or(|over| over > now));
        self.reached |= self.attempts.len() < before;
    }

    /// The time from the start of one attempt to the start of the next.
    fn pause(&self) -> Duration {
        let longest = if self.reached {
            USELESS_PAUSE
        } else {
            UNREACHABLE_PAUSE
        };
        let doubled = self.in_a_row.saturating_sub(1).min(5);
        (FIRST_PAUSE * 2u32.pow(doubled)).min(longest)
    }
}

fn over(attempt: &Attempt) -> Option<Instant> {
    attempt.started.checked_add(ATTEMPT)
}
