//! One client's connection to one pool, whether it stands or not: dialled, lost, made again after a
//! pause. What happens while it stands is in [`open`].

pub mod open;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::PoolConfig;
use crate::core::action::Action;
use crate::core::event::DialError;
use crate::core::pool::connection::open::received::Heard;
use crate::core::pool::connection::open::{Open, Step};
use crate::core::pool::dialer::Ended;
use crate::core::pool::facts::{ConfigureHabit, PoolFacts};
use crate::core::pool::health::Stage;
use crate::core::work::handed_out::Templates;
use crate::random::Random;
use crate::stratum::job::Notify;
use crate::stratum::message::FromPool;
use crate::stratum::reject::Reject;
use crate::units::{Client, Difficulty, LinkId, PoolConn, PoolSlot, later};

/// The longest pause between two attempts.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(60);

/// The pause after a refused authorization or an unusable extranonce: only the owner can mend it.
const REFUSED_BACK_OFF: Duration = Duration::from_secs(60);

/// After so many failed attempts in a row a pool may have become another one.
const ENOUGH_FAILURES: u32 = 5;

/// As whom the client speaks to the pool.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// The pool's host and port.
    pub address: Arc<str>,
    /// The miner's software, or ours.
    pub user_agent: String,
    /// The wallet and the worker's name.
    pub user: Arc<str>,
    /// The configured password, or the miner's.
    pub password: String,
    /// Whether version rolling is to be negotiated.
    pub version_rolling: bool,
    /// What the miner suggested.
    pub suggested: Option<Difficulty>,
}

/// What the handshake needs to know of its surroundings, and where it leaves its messages.
#[derive(Debug)]
pub struct Talk<'a> {
    /// What is known of the pool; what is learnt is added.
    pub facts: &'a mut PoolFacts,
    /// The pool's latest job as another connection was told it.
    pub latest: &'a mut Option<Arc<Notify>>,
    /// Which work was handed out.
    pub templates: &'a Templates,
    /// The time.
    pub now: Instant,
    /// For messages to the pool.
    pub out: &'a mut Vec<Action>,
}

/// The connection of one client to one pool, whether it stands or not.
#[derive(Debug)]
pub struct Upstream {
    client: Client,
    slot: PoolSlot,
    /// Of the connection that stands or is dialled, or was last.
    generation: u32,
    state: State,
    /// Attempts that failed since a connection proved good.
    failures: u32,
}

#[derive(Debug)]
enum State {
    /// Not wanted.
    Idle,
    /// To be dialled again at this time; not even earlier when the pool is back if that is `firm`.
    Waiting { until: Instant, firm: bool },
    /// To be dialled when others have work again, or to find out whether they would.
    StandBy,
    /// Waits for its turn at the pool's gate.
    Queued,
    /// The shell dials.
    Dialing,
    /// The socket stands.
    Open(Box<Open>),
}

/// Why a connection is given up.
#[derive(Clone, Debug, PartialEq)]
pub enum Loss {
    /// It ended; how.
    Closed(String),
    /// It could not be made; why.
    DialFailed(DialError),
    /// A step of the handshake was not answered.
    NoAnswerTo(Step),
    /// The pool answered a step with a refusal.
    Refused(Step, Reject),
    /// The pool's answer to subscribe makes no sense.
    BadSubscription(String),
    /// It said something that cannot be read and cannot be passed over.
    BadMessage(String),
    /// The pool's extranonce2 is smaller than [`SMALLEST_E2`](crate::core::work::extranonce::SMALLEST_E2); its size.
    ExtranonceTooSmall(u8),
    /// Nothing was heard for `stall_seconds`.
    Stalled,
    /// A share was not answered for `answer_seconds`.
    Unanswered,
}

impl Loss {
    /// Whether only the owner, or the pool's, can mend it. It is of this worker: others may have more luck.
    fn is_firm(&self) -> bool {
        matches!(
            self,
            Self::Refused(Step::Authorize, _)
                | Self::ExtranonceTooSmall(_)
                | Self::DialFailed(DialError::Certificate(_))
        )
    }

    /// What it says about the pool to those who wait for it.
    pub fn ended(&self) -> Ended {
        match self {
            Self::DialFailed(DialError::Unreachable(_)) => Ended::Unreachable,
            Self::Refused(Step::Authorize, _) => Ended::Refused,
            Self::DialFailed(DialError::Unencrypted(_) | DialError::Certificate(_))
            | Self::Closed(_)
            | Self::NoAnswerTo(_)
            | Self::Refused(..)
            | Self::BadSubscription(_)
            | Self::BadMessage(_)
            | Self::ExtranonceTooSmall(_)
            | Self::Stalled
            | Self::Unanswered => Ended::Useless,
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(how) => f.write_str(how),
            Self::DialFailed(why) => write!(f, "could not connect: {why}"),
            Self::NoAnswerTo(step) => write!(f, "no answer to {step}"),
            Self::Refused(step, reject) => write!(f, "{step} refused: {reject}"),
            Self::BadSubscription(what) => write!(f, "unusable answer to mining.subscribe: {what}"),
            Self::BadMessage(what) => f.write_str(what),
            Self::ExtranonceTooSmall(size) => write!(
                f,
                "the pool leaves {size} bytes of extranonce2, at least 2 are needed"
            ),
            Self::Stalled => f.write_str("silent for too long"),
            Self::Unanswered => f.write_str("a share was not answered in time"),
        }
    }
}

impl Upstream {
    /// No connection yet, and none wanted.
    pub fn new(client: Client, slot: PoolSlot) -> Self {
        Self {
            client,
            slot,
            generation: 0,
            state: State::Idle,
            failures: 0,
        }
    }

    /// The name of the present connection.
    pub fn conn(&self) -> PoolConn {
        PoolConn {
            client: self.client,
            slot: self.slot,
            generation: self.generation,
        }
    }

    /// The standing connection.
    pub fn open(&self) -> Option<&Open> {
        match &self.state {
            State::Open(open) => Some(open),
            State::Idle
            | State::Waiting { .. }
            | State::StandBy
            | State::Queued
            | State::Dialing => None,
        }
    }

    /// The standing connection, to be changed.
    pub fn open_mut(&mut self) -> Option<&mut Open> {
        match &mut self.state {
            State::Open(open) => Some(open),
            State::Idle
            | State::Waiting { .. }
            | State::StandBy
            | State::Queued
            | State::Dialing => None,
        }
    }

    /// Whether nothing was done yet to get a connection.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// Whether the connection is authorized.
    pub fn is_ready(&self) -> bool {
        self.open().is_some_and(Open::is_ready)
    }

    /// How far it is. `refused`: whether the pool refused to authorize the worker.
    pub fn stage(&self, refused: bool) -> Stage {
        match &self.state {
            State::Idle => Stage::Idle,
            State::Waiting { .. } | State::StandBy if refused => Stage::Refused,
            State::Waiting { .. } | State::StandBy => Stage::Waiting,
            State::Queued | State::Dialing => Stage::Connecting,
            State::Open(open) if open.is_ready() => Stage::Ready,
            State::Open(_) => Stage::Handshake,
        }
    }

    /// Asks for a connection; the caller queues the returned name at the pool's gate.
    #[must_use]
    pub fn want(&mut self) -> PoolConn {
        self.generation += 1;
        self.state = State::Queued;
        self.conn()
    }

    /// Whether this connection waits at the gate; if so it counts as being dialled from now on.
    pub fn start_dial(&mut self, conn: PoolConn) -> bool {
        let starts = conn == self.conn() && matches!(self.state, State::Queued);
        if starts {
            self.state = State::Dialing;
        }
        starts
    }

    /// Whether this connection is being dialled.
    pub fn is_dialing(&self, conn: PoolConn) -> bool {
        conn == self.conn() && matches!(self.state, State::Dialing)
    }

    /// The dialled socket stands: begins the handshake. `false` if it is not wanted any more.
    pub fn opened(&mut self, conn: PoolConn, identity: Identity, talk: &mut Talk<'_>) -> bool {
        if !self.is_dialing(conn) {
            return false;
        }
        let mut open = Box::new(Open::new(conn, identity, talk.now));
        let order = talk.facts.order(talk.now);
        if open.identity.version_rolling && order == ConfigureHabit::First {
            open.ask(Step::Configure, talk);
        } else {
            open.ask(Step::Subscribe, talk);
        }
        self.state = State::Open(open);
        true
    }

    /// Takes in a line of the pool.
    pub fn heard(&mut self, conn: PoolConn, message: FromPool, talk: &mut Talk<'_>) -> Heard {
        match &mut self.state {
            State::Open(open) if open.conn == conn => {
                open.heard = talk.now;
                open.on_message(message, talk)
            }
            State::Open(_)
            | State::Idle
            | State::Waiting { .. }
            | State::StandBy
            | State::Queued
            | State::Dialing => Heard::Nothing,
        }
    }

    /// What is overdue on the connection.
    pub fn overdue(&mut self, limits: &PoolConfig, talk: &mut Talk<'_>) -> Option<Loss> {
        self.open_mut()?.overdue(limits, talk)
    }

    /// Whether the pause is over.
    pub fn pause_over(&self, now: Instant) -> bool {
        matches!(self.state, State::Waiting { until, .. } if until <= now)
    }

    /// When something has to be looked at.
    pub fn next_deadline(&self, limits: &PoolConfig, now: Instant) -> Option<Instant> {
        match &self.state {
            State::Idle | State::StandBy | State::Queued | State::Dialing => None,
            State::Waiting { until, .. } => Some(*until),
            State::Open(open) => open.next_deadline(limits, now),
        }
    }

    /// Gives the connection up after a failure and pauses; what stood is returned, so that its
    /// shares can be answered.
    pub fn fail(&mut self, loss: &Loss, now: Instant, random: &mut Random) -> Option<Box<Open>> {
        let open = self.take_open();
        let proven = open.as_ref().is_some_and(|open| open.is_proven(now));
        self.failures = if proven {
            0
        } else {
            self.failures.saturating_add(1)
        };
        let pause = if loss.is_firm() {
            REFUSED_BACK_OFF
        } else {
            self.back_off()
        };
        // A fifth more or less, so that a farm does not come back all at the same moment.
        self.wait(
            pause.mul_f64(0.8 + 0.4 * random.unit()),
            loss.is_firm(),
            now,
        );
        open
    }

    /// The pool closed the connection. Whether that was its answer to `mining.configure` (compat Q52): then it is asked
    /// once more, at once, as the facts now say.
    pub fn hung_up_on_configure(&mut self, facts: &mut PoolFacts, now: Instant) -> bool {
        let Some(order) = self.open().and_then(Open::is_configuring) else {
            return false;
        };
        // What a pool has granted it does not hang up on, unless it has become another one.
        if facts.granted && self.failures < ENOUGH_FAILURES {
            return false;
        }
        facts.hung_up_on_configure(order, now);
        self.reset(Duration::ZERO, now);
        true
    }

    /// The pool closed the connection, which may be its answer to something that it could do without.
    pub fn suspect_extras(&self, facts: &mut PoolFacts, now: Instant) {
        if let Some(open) = self.open() {
            open.suspect_extras(self.failures, facts, now);
        }
    }

    /// The pool wants the connection to be made anew after a pause; what stood is returned. One that wants it again and
    /// again is a failing one.
    pub fn sent_away(&mut self, pause: Duration, now: Instant) -> Option<Box<Open>> {
        let open = self.take_open();
        let proven = open.as_ref().is_some_and(|open| open.is_proven(now));
        let least = if proven || self.failures == 0 {
            Duration::ZERO
        } else {
            self.back_off()
        };
        self.failures = if proven {
            0
        } else {
            self.failures.saturating_add(1)
        };
        let pause = pause.max(least);
        self.wait(pause, !pause.is_zero(), now);
        open
    }

    /// Lets the connection be made anew after a pause; what stood is returned.
    pub fn reset(&mut self, pause: Duration, now: Instant) -> Option<Box<Open>> {
        let open = self.take_open();
        self.failures = 0;
        self.wait(pause, false, now);
        open
    }

    /// Wants no connection any more; what stood is returned.
    pub fn drop_connection(&mut self) -> Option<Box<Open>> {
        let open = self.take_open();
        self.state = State::Idle;
        self.failures = 0;
        open
    }

    /// Wants no connection any more and closes what stands, on which nobody waits for anything.
    pub fn close(&mut self, out: &mut Vec<Action>) {
        if let Some(open) = self.drop_connection() {
            out.push(Action::Close {
                link: LinkId::Pool(open.conn),
            });
        }
    }

    /// Shortens the pause: the miner asks again, perhaps with another name.
    pub fn hurry(&mut self, soon: Instant) {
        if let State::Waiting { until, firm } = &mut self.state {
            *until = soon.min(*until);
            *firm = false;
        }
    }

    /// Waits until others have work, or it is its turn to try.
    pub fn stand_by(&mut self) {
        self.state = State::StandBy;
    }

    /// Whether it waits until others have work.
    pub fn stands_by(&self) -> bool {
        matches!(self.state, State::StandBy)
    }

    /// Whether this connection waits at the gate; if so it stands by from now on.
    pub fn step_back(&mut self, conn: PoolConn) -> bool {
        let steps_back = conn == self.conn() && matches!(self.state, State::Queued);
        if steps_back {
            self.stand_by();
        }
        steps_back
    }

    /// Whether it may be the one that tries while nobody has work.
    pub fn may_attempt(&self) -> bool {
        matches!(
            self.state,
            State::StandBy | State::Waiting { firm: false, .. }
        )
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

    fn take_open(&mut self) -> Option<Box<Open>> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Open(open) => Some(open),
            State::Idle
            | State::Waiting { .. }
            | State::StandBy
            | State::Queued
            | State::Dialing => None,
        }
    }
}
