//! A line to a pool gets its members a connection, and the next one when that is lost. The pool's
//! [dialer](crate::core::pool::dialer) decides when it may dial; after a failure it waits. The established connection
//! is in [`connection`](crate::core::pool::connection).
//!
//! A line without members is a look: a test connection on which no miner works.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::core::outage::Loss;
use crate::random::Random;
use crate::units::{MinerId, PoolConn, later};

/// The longest pause between two attempts.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(60);

/// The pause after a refused authorization or an unusable extranonce, which only the owner can fix.
const REFUSED_BACK_OFF: Duration = Duration::from_secs(60);

/// How many replaced connections a line keeps for the shares of their jobs.
pub const MOST_RETIRED: usize = 4;

/// What a line is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Its members work on it.
    Mining,
    /// DPMP's own look at the pool.
    Look(Look),
}

/// Why DPMP looks at a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Whether the address in use can be reached, and which extranonces it gives, so that miners can be answered
    /// immediately.
    Reach,
    /// Whether the first address works again while a backup is in use.
    Return,
    /// Which extranonces an address gives that was not used yet.
    Survey,
    /// Whether the address in use takes several names on one connection.
    Names,
}

/// A line: gets its members a connection to a pool.
#[derive(Debug)]
pub struct Line {
    /// What it is for.
    pub purpose: Purpose,
    /// The miners that work on it.
    pub members: BTreeSet<MinerId>,
    /// Whether it belongs to a group and not to one miner.
    pub is_shared: bool,
    /// How many times all members were served, so that a different one is first each time.
    pub rounds: usize,
    /// Replaced connections that still serve the shares of their jobs, oldest first.
    pub retired: Vec<PoolConn>,
    state: State,
    /// Failed attempts since the last good connection.
    failures: u32,
}

#[derive(Debug)]
enum State {
    /// No connection is needed.
    Idle,
    /// Dialed again at this time. If `firm`, not earlier even if the pool is back.
    Waiting { until: Instant, firm: bool },
    /// Dialed when others have work again, or as the one that tries.
    StandBy,
    /// Queued at the pool's gate.
    Queued(PoolConn),
    /// The shell dials.
    Dialing(PoolConn),
    /// The connection is established.
    Standing(PoolConn),
}

impl Line {
    /// Creates a line that needs no connection yet.
    pub fn new(purpose: Purpose) -> Self {
        Self {
            purpose,
            members: BTreeSet::new(),
            is_shared: false,
            rounds: 0,
            retired: Vec::new(),
            state: State::Idle,
            failures: 0,
        }
    }

    /// The established connection.
    pub fn standing(&self) -> Option<PoolConn> {
        match self.state {
            State::Standing(conn) => Some(conn),
            State::Idle
            | State::Waiting { .. }
            | State::StandBy
            | State::Queued(_)
            | State::Dialing(_) => None,
        }
    }

    /// The established or future connection.
    pub fn conn(&self) -> Option<PoolConn> {
        match self.state {
            State::Queued(conn) | State::Dialing(conn) | State::Standing(conn) => Some(conn),
            State::Idle | State::Waiting { .. } | State::StandBy => None,
        }
    }

    /// Whether it has not asked for a connection yet.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// Whether it is in a pause, or waits for others.
    pub fn waits(&self) -> bool {
        matches!(self.state, State::Waiting { .. } | State::StandBy)
    }

    /// Queues at the pool's gate, for a connection with this name.
    pub fn queue(&mut self, conn: PoolConn) {
        self.state = State::Queued(conn);
    }

    /// Whether this connection is queued at the gate. If so, it now counts as being dialed.
    pub fn start_dial(&mut self, conn: PoolConn) -> bool {
        let starts = matches!(self.state, State::Queued(queued) if queued == conn);
        if starts {
            self.state = State::Dialing(conn);
        }
        starts
    }

    /// Whether this connection is being dialed.
    pub fn is_dialing(&self, conn: PoolConn) -> bool {
        matches!(self.state, State::Dialing(dialed) if dialed == conn)
    }

    /// The dialed connection is established. `false` if it is no longer needed.
    pub fn stands(&mut self, conn: PoolConn) -> bool {
        let wanted = self.is_dialing(conn);
        if wanted {
            self.state = State::Standing(conn);
        }
        wanted
    }

    /// Whether the pause is over.
    pub fn pause_over(&self, now: Instant) -> bool {
        matches!(self.state, State::Waiting { until, .. } if until <= now)
    }

    /// When the pause is over.
    pub fn next_deadline(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { until, .. } => Some(until),
            State::Idle
            | State::StandBy
            | State::Queued(_)
            | State::Dialing(_)
            | State::Standing(_) => None,
        }
    }

    /// The number of failed attempts since the last good connection.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Pauses after a failure. `proven`: whether the connection was good before.
    pub fn fail(&mut self, loss: &Loss, proven: bool, now: Instant, random: &mut Random) {
        self.count_failure(proven);
        let pause = if loss.is_firm() {
            REFUSED_BACK_OFF
        } else {
            self.back_off()
        };
        // A fifth more or less, so that a farm does not return all at the same moment.
        let pause = pause.mul_f64(0.8 + 0.4 * random.unit());
        self.wait(pause, loss.is_firm(), now);
    }

    /// The pool asks for a reconnect after a pause. A pool that does so repeatedly is failing.
    pub fn sent_away(&mut self, pause: Duration, proven: bool, now: Instant) {
        let least = if proven || self.failures == 0 {
            Duration::ZERO
        } else {
            self.back_off()
        };
        self.count_failure(proven);
        let pause = pause.max(least);
        self.wait(pause, !pause.is_zero(), now);
    }

    /// Reconnects after a pause.
    pub fn reset(&mut self, pause: Duration, now: Instant) {
        self.failures = 0;
        self.wait(pause, false, now);
    }

    /// Needs no connection any more.
    pub fn rest(&mut self) {
        self.state = State::Idle;
        self.failures = 0;
    }

    /// Shortens the pause, because a member asks again, perhaps with another name.
    pub fn hurry(&mut self, soon: Instant) {
        if let State::Waiting { until, firm } = &mut self.state {
            *until = soon.min(*until);
            *firm = false;
        }
    }

    /// Waits until others have work, or until it is its turn to try.
    pub fn stand_by(&mut self) {
        self.state = State::StandBy;
    }

    /// Whether it waits until others have work.
    pub fn stands_by(&self) -> bool {
        matches!(self.state, State::StandBy)
    }

    /// Whether this connection is queued at the gate. If so, the line now waits for others.
    pub fn step_back(&mut self, conn: PoolConn) -> bool {
        let steps_back = matches!(self.state, State::Queued(queued) if queued == conn);
        if steps_back {
            self.stand_by();
        }
        steps_back
    }

    /// Whether it may be the line that tries while no miner has work.
    pub fn may_attempt(&self) -> bool {
        matches!(
            self.state,
            State::StandBy | State::Waiting { firm: false, .. }
        )
    }

    fn count_failure(&mut self, proven: bool) {
        self.failures = if proven {
            0
        } else {
            self.failures.saturating_add(1)
        };
    }

    /// 1, 2, 4 … 60 s.
    fn back_off(&self) -> Duration {
        let doubled = self.failures.saturating_sub(1).min(6);
        (Duration::from_secs(1) * 2u32.pow(doubled)).min(LONGEST_BACK_OFF)
    }

    fn wait(&mut self, pause: Duration, firm: bool, now: Instant) {
        let until = later(now, pause);
        self.state = State::Waiting { until, firm };
    }
}
