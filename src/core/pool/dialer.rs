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

/// How many dials to one pool are under way at a time.
const MOST_DIALS: usize = 16;

/// How many attempts are under way at a time while nobody has work.
const MOST_ATTEMPTS: usize = 2;

/// The first pause between two attempts; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause while the pool cannot be reached.
const UNREACHABLE_PAUSE: Duration = Duration::from_secs(5);

/// The longest pause while it can be reached and gives no work.
const USELESS_PAUSE: Duration = Duration::from_secs(30);

/// An attempt that has neither failed nor got work after this long does not keep others from trying.
const ATTEMPT: Duration = Duration::from_secs(15);

/// A pool that gave work for this long was good: what happened before does not count.
const PROVEN: Duration = Duration::from_secs(30);

/// How often those whose own attempts have failed are let in early when others have work again.
const HURRY_EVERY: Duration = Duration::from_secs(60);

/// How an attempt to get work from the pool ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    /// The pool could not be reached.
    Unreachable,
    /// It was reached and gave no work.
    Useless,
    /// It is there, and refused this worker only.
    Refused,
    /// It is there, but this attempt could not get work: the next one may.
    Again,
}

impl AttemptEnd {
    /// What a loss says about the pool to those who wait for it.
    pub fn of(loss: &Loss) -> Self {
        match loss {
            Loss::DialFailed(DialError::Unreachable(_)) => Self::Unreachable,
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

/// A connection to be, and the line that it will serve.
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
    /// Dials under way, and whose they are.
    dialing: BTreeMap<PoolConn, LineId>,
    /// Whether some connection has work: then the gate is open.
    open: bool,
    /// Since when.
    opened: Instant,
    /// Whether somebody waits for a connection.
    wanted: bool,
    /// Whether somebody came in vain: the proxy itself has to look.
    sought: bool,
    /// Attempts under way, the latest last.
    attempts: Vec<Attempt>,
    /// How many attempts have started since the pool last gave work for a while; its loss counts as one.
    in_a_row: u32,
    /// Whether the pool could be reached at last.
    reached: bool,
    /// When the next attempt may start.
    next: Instant,
    /// Who tried last.
    last: Option<LineId>,
    hurried: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    conn: PoolConn,
    started: Instant,
    /// The part of the pause after it that is kept to.
    part: f64,
}

impl Dialer {
    /// Nobody has dialed yet.
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

    /// Whether a connection may go to the gate: some other one has work.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Somebody waits for a connection.
    pub fn call(&mut self) {
        self.wanted = true;
    }

    /// Somebody came who cannot be served without the pool, and may not wait: the proxy itself looks next.
    pub fn seek(&mut self) {
        self.wanted = true;
        self.sought = true;
    }

    /// Whether the proxy itself is to look next.
    pub fn is_sought(&self) -> bool {
        self.sought
    }

    /// Nobody waits for a connection.
    pub fn dismiss(&mut self) {
        self.wanted = false;
    }

    /// Whether somebody waits for a connection while nobody has work.
    pub fn is_wanted(&self) -> bool {
        self.wanted && !self.open
    }

    /// Whether an attempt may start now.
    pub fn may_attempt(&mut self, now: Instant) -> bool {
        self.forget_slow(now);
        self.is_wanted() && self.attempts.len() < MOST_ATTEMPTS && self.next <= now
    }

    /// When [`may_attempt`](Self::may_attempt) may have become true.
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

    /// Who tried last, so that the next attempt is another one's.
    pub fn last(&self) -> Option<LineId> {
        self.last
    }

    /// An attempt starts; `look`: of the proxy itself, not of a miner.
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
        // Whoever waits at the gate since the time when others had work need not be waited for.
        self.queue.push_front(dial);
    }

    /// An attempt ended without work; a connection that was none changes nothing.
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

    /// The proxy's own look got through: those who wait may try now.
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

    /// No connection has work any more; `failed`: not because we let go of the last one.
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

    /// The owner changed something about the pool, or it is another one: what is wanted is tried at once.
    pub fn restart(&mut self, now: Instant) {
        self.in_a_row = 0;
        self.reached = false;
        self.attempts.clear();
        self.next = now;
    }

    /// Whether those whose own attempts have failed may come early, now that others have work: not again soon, since a
    /// pool that lets everybody in and closes is not helped by that.
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

    /// The next connection that may be dialed; the caller says with [`dial_started`](Self::dial_started) if it does.
    pub fn next_dial(&mut self) -> Option<Dial> {
        if self.dialing.len() >= MOST_DIALS {
            return None;
        }
        self.queue.pop_front()
    }

    /// Whether a connection from the queue has to wait all the same: since it was put there all work has ended.
    pub fn is_late(&self, conn: PoolConn) -> bool {
        !self.open && !self.attempts.iter().any(|it| it.conn == conn)
    }

    /// Takes a place in the gate.
    pub fn dial_started(&mut self, dial: Dial) {
        self.dialing.insert(dial.conn, dial.line);
    }

    /// Gives the place back; whose it was.
    pub fn dial_ended(&mut self, conn: PoolConn) -> Option<LineId> {
        self.dialing.remove(&conn)
    }

    fn forget_slow(&mut self, now: Instant) {
        let before = self.attempts.len();
        self.attempts
            .retain(|it| over(it).is_none_or(|over| over > now));
        self.reached |= self.attempts.len() < before;
    }

    /// From the start of one attempt to that of the next.
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
