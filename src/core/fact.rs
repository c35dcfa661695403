//! Everything worth reporting: the only source of log lines and metrics.
//!
//! Names, fields and levels are documented in `docs/events.md`. Durations are in milliseconds, difficulties in units of
//! difficulty 1, addresses are text.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::config::steering::Work;
use crate::config::{Change, May};
use crate::core::balance::Move;
use crate::core::event::{CloseReason, Source};
use crate::core::outage::Loss;
use crate::core::outage::Outage;
use crate::core::steering::{AimSource, Override};
use crate::stratum::job::BlockHash;
use crate::stratum::message::{Outcome, Reply};
use crate::stratum::reject::{Reject, RejectClass, RejectReason};
use crate::units::{
    Difficulty, Extranonce1, JobId, MinerExtranonce, MinerId, PerPool, PoolConn, PoolSlot,
    VersionForm, VersionMask, named,
};

/// One thing that happened and that somebody may want to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// A miner connected.
    MinerConnected {
        /// Its id.
        miner: MinerId,
        /// Its address.
        peer: SocketAddr,
    },
    /// A miner is authorized at a pool for the first time and begins to work.
    MinerAuthorized {
        /// Its id.
        miner: MinerId,
        /// Its address.
        peer: SocketAddr,
        /// The name of its worker.
        worker: String,
        /// Its software.
        user_agent: Option<String>,
        /// Its place in the coinbase.
        extranonce: Option<MinerExtranonce>,
        /// The bits that it wants to roll.
        version_rolling: Option<VersionMask>,
    },
    /// Every pool that could be reached refused the miner's worker.
    MinerRefused {
        /// Its id.
        miner: MinerId,
        /// The name of its worker.
        worker: String,
        /// The last pool's words.
        reject: Reject,
    },
    /// A miner was turned away or cut off by us.
    MinerTurnedAway {
        /// Its id.
        miner: MinerId,
        /// Its address.
        peer: SocketAddr,
        /// Why.
        reason: Eviction,
    },
    /// A worker does not mine here any more, because the owner wants it so.
    WorkerPaused {
        /// Its name.
        worker: String,
        /// Which of the owner's words says so.
        source: AimSource,
    },
    /// A worker that paused may mine again.
    WorkerResumed {
        /// Its name.
        worker: String,
    },
    /// The owner wants a temporary change.
    OverrideSet {
        /// Which.
        change: Override,
    },
    /// A temporary change is over.
    OverrideEnded {
        /// Which.
        change: Override,
        /// Whether its time was over, and not the owner ended or replaced it.
        in_time: bool,
    },
    /// Another entry of the timetable is in force, or none.
    TimetableChanged {
        /// Which, counted from 0, and what it says.
        entry: Option<(usize, Work)>,
    },
    /// The split was shifted by what a hash earns, or is not any more.
    BalanceMoved {
        /// How, and why.
        moved: Move,
    },
    /// A miner's connection ended.
    MinerDisconnected {
        /// Its id.
        miner: MinerId,
        /// Its address.
        peer: SocketAddr,
        /// The name of its worker, if it said one.
        worker: Option<String>,
        /// How it ended.
        reason: CloseReason,
        /// How long it stood.
        connected: Duration,
        /// Shares that the pools accepted.
        accepted: u64,
        /// Shares that were refused, by us or a pool.
        rejected: u64,
        /// Shares that were still waiting for a pool's answer.
        unanswered: usize,
    },
    /// A miner sent something that could not be used.
    MinerMessageBad {
        /// Its id.
        miner: MinerId,
        /// What was wrong.
        problem: String,
    },
    /// A limit of the configuration acted on a miner.
    LimitReached {
        /// The miner, or none if it was not even let in.
        miner: Option<MinerId>,
        /// Its address.
        peer: SocketAddr,
        /// Which limit.
        limit: Limit,
    },
    /// A miner's place in the coinbase no longer fits a pool and was changed.
    ExtranonceChanged {
        /// Its id.
        miner: MinerId,
        /// The pool that made it necessary.
        slot: PoolSlot,
        /// The new place, or none if the miner has to subscribe anew.
        extranonce: Option<MinerExtranonce>,
    },
    /// A miner goes on with the work of the pool before for long after a switch: its switches are clean from now on.
    MinerLags {
        /// Its id.
        miner: MinerId,
    },
    /// A miner sent shares with an extranonce2 of another size than it was told, three in a row. It is remembered for
    /// its worker and software.
    ExtranonceSizeLearnt {
        /// Its id.
        miner: MinerId,
        /// The name of its worker.
        worker: String,
        /// Its software.
        user_agent: Option<String>,
        /// The size that it was told, in bytes.
        told: u8,
        /// The size that it sent, in bytes.
        sent: u8,
        /// Its new place in the coinbase, or none if the miner has to subscribe again.
        extranonce: Option<MinerExtranonce>,
    },
    /// What a look at a pool, or a first connection, found out.
    PoolLearnt {
        /// Which pool.
        slot: PoolSlot,
        /// The size of its extranonce2, in bytes.
        e2_size: u8,
        /// The version bits that it lets miners roll.
        mask: VersionMask,
    },
    /// A connection to a pool is being made.
    PoolDialing {
        /// Its name.
        conn: PoolConn,
        /// Whose it is, if it is one miner's alone.
        miner: Option<MinerId>,
    },
    /// A miner is authorized at a pool.
    PoolReady {
        /// The connection.
        conn: PoolConn,
        /// Whose it is, if it is one miner's alone.
        miner: Option<MinerId>,
        /// As whom.
        user: String,
        /// What the pool gave it as extranonce1.
        e1: Extranonce1,
        /// The size of the pool's extranonce2, in bytes.
        e2_size: u8,
        /// From the socket's opening until the authorization.
        took: Duration,
    },
    /// A connection to a pool ended or could not be made.
    PoolLost {
        /// The connection.
        conn: PoolConn,
        /// Whose it is, if it is one miner's alone.
        miner: Option<MinerId>,
        /// Why.
        reason: Loss,
        /// Shares that were waiting for an answer.
        unanswered: usize,
    },
    /// A pool has an authorized connection again, or for the first time.
    PoolUp {
        /// Which pool.
        slot: PoolSlot,
    },
    /// A pool is needed and has no authorized connection any more.
    PoolDown {
        /// Which pool.
        slot: PoolSlot,
        /// Why.
        reason: Outage,
    },
    /// A pool has authorized miners and sent none of them a job.
    PoolNoJob {
        /// Which pool.
        slot: PoolSlot,
        /// For how many seconds.
        seconds: u64,
    },
    /// Another of a pool's addresses is used from now on.
    PoolFailover {
        /// Which pool.
        slot: PoolSlot,
        /// Which address; 0: the first one, n: the n-th backup.
        backup: usize,
        /// Host and port.
        address: String,
        /// Why.
        why: Failover,
    },
    /// A pool sent something that could not be used.
    PoolMessageBad {
        /// The connection.
        conn: PoolConn,
        /// Whose it is, if it is one miner's alone.
        miner: Option<MinerId>,
        /// What was wrong.
        problem: String,
    },
    /// A pool sent a text for people.
    PoolMessage {
        /// The connection.
        conn: PoolConn,
        /// Whose it is, if it is one miner's alone.
        miner: Option<MinerId>,
        /// The text.
        text: String,
    },
    /// A pool asked for a reconnect, which is done at its configured address.
    PoolReconnect {
        /// The connection.
        conn: PoolConn,
        /// Whose it is, if it is one miner's alone.
        miner: Option<MinerId>,
        /// After this pause.
        wait: Duration,
    },
    /// A pool asked for a reconnect to another host, which is the way to steal hashrate: not done.
    PoolRedirectRefused {
        /// The connection.
        conn: PoolConn,
        /// Whose it is, if it is one miner's alone.
        miner: Option<MinerId>,
        /// Where it wanted us to go.
        host: String,
    },
    /// It is known now in which form a pool takes version bits, where the job's version has some of its own.
    VersionForm {
        /// Which pool.
        slot: PoolSlot,
        /// The form; `None` if it takes neither.
        form: Option<VersionForm>,
    },
    /// A pool sent a job.
    JobReceived {
        /// The connection.
        conn: PoolConn,
        /// Whose it is, if it is one miner's alone.
        miner: Option<MinerId>,
        /// The pool's name for it.
        pool_job: String,
        /// Whether earlier jobs are stale.
        clean: bool,
    },
    /// A job of a shared connection went out to its members.
    JobShared {
        /// The connection.
        conn: PoolConn,
        /// The pool's name for the job.
        pool_job: String,
        /// Whether earlier jobs are stale.
        clean: bool,
        /// How many miners share the connection.
        members: usize,
        /// How many of them were sent the job, since they work for this pool now.
        sent: usize,
    },
    /// A miner was sent a job.
    JobForwarded {
        /// Its id.
        miner: MinerId,
        /// The pool behind the job.
        slot: PoolSlot,
        /// The miner's name for it.
        job: JobId,
        /// The pool's name for it.
        pool_job: String,
        /// What the miner is asked for.
        difficulty: Difficulty,
        /// Whether the miner is to drop what it works on.
        clean: bool,
        /// From the pool's notify until now, if the job is sent for the first time.
        delay: Option<Duration>,
    },
    /// A miner changed to another pool.
    PoolSwitched {
        /// Its id.
        miner: MinerId,
        /// Where it was.
        from: Option<PoolSlot>,
        /// Where it is.
        to: PoolSlot,
        /// Whether by the schedule or because a pool failed or came back.
        cause: SwitchCause,
        /// The miner's cumulative error, in seconds: above zero, A is ahead.
        error: f64,
        /// Whether it is one of many, which `MembersSwitched` counts.
        together: bool,
    },
    /// Several members of a shared connection changed pools together.
    MembersSwitched {
        /// The connection's pool.
        slot: PoolSlot,
        /// How many miners share the connection.
        members: usize,
        /// How many of them changed to each pool.
        to: PerPool<usize>,
        /// How many have no pool with work.
        idle: usize,
    },
    /// A miner has no pool with work.
    MinerIdle {
        /// Its id.
        miner: MinerId,
        /// Whether it is one of many, which `MembersSwitched` counts.
        together: bool,
    },
    /// A share got its answer.
    ShareResult(Box<ShareResult>),
    /// A hash meets the network's target: a block, if the pool agrees.
    BlockFound {
        /// The miner's id.
        miner: MinerId,
        /// Its worker.
        worker: String,
        /// The pool whose job it was.
        slot: PoolSlot,
        /// The block's hash.
        hash: BlockHash,
        /// What the hash is worth.
        difficulty: f64,
        /// Whether the pool's connection lives and the share was sent to it.
        forwarded: bool,
    },
    /// A block candidate that could not reach its pool at first was sent when the pool was back, and answered.
    KeptBlock {
        /// The pool.
        slot: PoolSlot,
        /// The worker that found it.
        worker: String,
        /// The block's hash.
        hash: BlockHash,
        /// What became of it.
        outcome: ShareOutcome,
    },
    /// The owner changed something that is in force now.
    ConfigApplied {
        /// What.
        changes: Vec<Change>,
        /// Who changed it.
        source: Source,
    },
    /// The configuration file was changed to something unusable; the old one stays in force.
    ConfigRefused {
        /// What is wrong with it.
        problem: String,
    },
    /// The configuration file can be used again, and changes nothing.
    ConfigUsable,
    /// Something about the configuration that the owner should know.
    ConfigWarning {
        /// What.
        text: String,
    },
    /// Somebody gave the pages' password.
    LoggedIn {
        /// From where.
        from: IpAddr,
    },
    /// Somebody gave a wrong password, or could not try one.
    LoginRefused {
        /// From where.
        from: IpAddr,
    },
    /// The owner has made a token for a program.
    TokenMade {
        /// The program's name.
        name: String,
        /// What it may do.
        may: May,
        /// From where it was made.
        from: IpAddr,
    },
    /// The owner has revoked a program's token.
    TokenRevoked {
        /// The program's name.
        name: String,
        /// From where.
        from: IpAddr,
    },
    /// A program sent a token that there is not.
    TokenRefused {
        /// From where.
        from: IpAddr,
    },
    /// The program runs.
    Started {
        /// Its version.
        version: &'static str,
        /// Where miners connect.
        listen: String,
        /// Where miners connect that encrypt, if anywhere.
        listen_tls: Option<String>,
        /// Where metrics are served, if at all.
        metrics: Option<String>,
        /// Where the pages are served, if at all.
        gui: Option<String>,
        /// The configuration file.
        config: String,
    },
    /// Something is wrong that the owner should know.
    TroubleBegan {
        /// Its name, and what tells it from others.
        id: String,
        /// In a few words.
        title: String,
        /// Whether money is being lost, or may be.
        grave: bool,
    },
    /// It is not any more.
    TroubleOver {
        /// Its name, and what tells it from others.
        id: String,
        /// For how long it was.
        lasted: Duration,
    },
    /// A message was sent to a target of the owner.
    MessageSent {
        /// Which.
        target: String,
        /// The service.
        kind: &'static str,
    },
    /// A message could not be sent.
    MessageFailed {
        /// To whom.
        target: String,
        /// The service.
        kind: &'static str,
        /// Why.
        problem: String,
        /// Whether it is not tried again.
        given_up: bool,
    },
    /// The program was asked to stop.
    Stopping,
    /// The program ends.
    Stopped {
        /// How long it ran.
        uptime: Duration,
    },
    /// The state file could not be read and was set aside, or could not be written.
    StateProblem {
        /// What happened.
        problem: String,
    },
    /// Miners cannot be accepted at the moment.
    AcceptFailed {
        /// The system's words.
        error: String,
    },
    /// The scheduler took unusually long for one event.
    SlowTurn {
        /// Which.
        event: &'static str,
        /// How long.
        took: Duration,
    },
    /// A thread failed, which ends the program.
    Panicked {
        /// Its name.
        thread: String,
        /// What it said, and where.
        problem: String,
    },
    /// Log lines were dropped, because the disk or terminal did not keep up.
    LogDropped {
        /// How many.
        lines: u64,
    },
}

/// The fate of one share.
#[derive(Clone, Debug, PartialEq)]
pub struct ShareResult {
    /// Who sent it.
    pub miner: MinerId,
    /// Its worker.
    pub worker: String,
    /// The pool whose job it was, if the job was known.
    pub slot: Option<PoolSlot>,
    /// The miner's name for the job, if it named one.
    pub job: Option<JobId>,
    /// What was answered.
    pub outcome: ShareOutcome,
    /// The difficulty that the miner was asked for; 0 if the share was refused here.
    pub asked: f64,
    /// What the pool credits for it, if it was forwarded.
    pub credit: Option<Difficulty>,
    /// What the hash is worth, if it could be computed.
    pub true_difficulty: Option<f64>,
    /// From the miner's line until its answer, if it was forwarded.
    pub latency: Option<Duration>,
    /// Whether the hash meets the network's target.
    pub block: bool,
    /// Whether another pool has taken the slot since the share's job came.
    pub former: bool,
}

impl ShareResult {
    /// What the miner worked for it, as a difficulty: what it was asked for if the share was good enough for that.
    pub fn work(&self) -> f64 {
        if self.outcome.is_good() {
            self.asked
        } else {
            0.0
        }
    }
}

/// How a share ended.
#[derive(Clone, Debug, PartialEq)]
pub enum ShareOutcome {
    /// The pool took it.
    Accepted,
    /// It was good enough for the miner's difficulty and not for the pool's: answered `true`, not forwarded.
    BelowPool,
    /// The pool refused it.
    RejectedByPool(Reject),
    /// We refused it; it was not forwarded.
    RefusedHere(RejectReason),
    /// It was forwarded, and no answer came.
    Lost(RejectReason),
}

impl From<Outcome> for ShareOutcome {
    /// What a pool's answer to a share says.
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::True => Self::Accepted,
            Outcome::Rejected(reject) => Self::RejectedByPool(reject),
            Outcome::Subscribed(_) | Outcome::Configured(_) | Outcome::Other(_) => {
                let message = "DPMP cannot understand the pool's answer".into();
                Self::RejectedByPool(Reject { code: 20, message })
            }
        }
    }
}

impl ShareOutcome {
    /// What its miner is told.
    pub fn reply(&self) -> Reply {
        match self {
            Self::Accepted | Self::BelowPool => Reply::True,
            Self::RejectedByPool(reject) => Reply::Rejected(reject.clone()),
            Self::RefusedHere(reason) | Self::Lost(reason) => Reply::Rejected((*reason).into()),
        }
    }

    /// The name in events and in the API.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::BelowPool => "below_pool",
            Self::RejectedByPool(_) => "rejected",
            Self::RefusedHere(_) => "refused",
            Self::Lost(_) => "lost",
        }
    }

    /// Why it was not accepted, as a label of few values.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Accepted | Self::BelowPool => None,
            Self::RejectedByPool(reject) => Some(RejectClass::of(reject).name()),
            Self::RefusedHere(reason) | Self::Lost(reason) => Some(reason.name()),
        }
    }

    /// The answer to a block candidate, in words.
    pub fn answer(&self) -> String {
        match self {
            Self::Accepted | Self::BelowPool => "accepted".to_owned(),
            Self::RejectedByPool(reject) => format!("rejected: {reject}"),
            Self::RefusedHere(reason) | Self::Lost(reason) => {
                format!("no answer: {}", reason.message())
            }
        }
    }

    /// Whether it was good enough for what the miner was asked for.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Accepted | Self::BelowPool)
    }

    /// The pool's own words, if it rejected the share.
    pub fn reject(&self) -> Option<&Reject> {
        match self {
            Self::RejectedByPool(reject) => Some(reject),
            Self::Accepted | Self::BelowPool | Self::RefusedHere(_) | Self::Lost(_) => None,
        }
    }
}

named! {
    /// Why a miner changed to another pool.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum SwitchCause {
        /// It begins.
        Start = "start",
        /// Its turn was over.
        Schedule = "schedule",
        /// The pool that it worked for has no work for it any more.
        Failover = "failover",
        /// The owner gave the pool that it worked for a weight of zero, or took it away.
        Config = "config",
        /// What the worker is to do has changed otherwise, or its own pool is well again.
        Steering = "steering",
        /// The fleet needs it at the other pool.
        Fleet = "fleet",
    }
}

/// Why a miner is turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// The pools are not configured yet.
    NotSetUp,
    /// It did not authorize within `listen.authorize_seconds`.
    NotAuthorized,
    /// No pool had work for it for `scheduler.no_work_seconds`, so that it can use its own fallback.
    NoWork,
    /// Its extranonce does not fit a pool any more and it cannot be told another.
    ExtranonceChanged,
    /// It uses another size of extranonce2 than it was told, and gets that when it subscribes again.
    ExtranonceSize,
    /// It sent too many lines that were no messages.
    TooMuchRubbish,
    /// It spoke another protocol.
    OtherProtocol(String),
    /// It came to the port for TLS, and the handshake failed.
    TlsFailed(TlsFault),
    /// The proxy stops.
    Stopping,
}

impl Eviction {
    /// In words.
    pub fn text(&self) -> String {
        match self {
            Self::NotSetUp => "the pools are not set up yet".into(),
            Self::NotAuthorized => "no authorization within listen.authorize_seconds".into(),
            Self::NoWork => "no pool had work for scheduler.no_work_seconds".into(),
            Self::ExtranonceChanged => {
                "a pool's extranonce2 became too small; the miner has to subscribe again".into()
            }
            Self::ExtranonceSize => {
                "it sends a different extranonce2_size than DPMP offered; it gets that size when it reconnects".into()
            }
            Self::TooMuchRubbish => "too many lines that are not messages".into(),
            Self::OtherProtocol(what) => format!("it sent {what}"),
            Self::TlsFailed(fault) => format!("TLS handshake: {}", fault.text),
            Self::Stopping => "the proxy stops".into(),
        }
    }

    /// A short name for metric labels.
    pub fn label(&self) -> &'static str {
        match self {
            Self::NotSetUp => "not_set_up",
            Self::NotAuthorized => "not_authorized",
            Self::NoWork => "no_work",
            Self::ExtranonceChanged => "extranonce_changed",
            Self::ExtranonceSize => "extranonce_size",
            Self::TooMuchRubbish => "rubbish",
            Self::OtherProtocol(_) => "other_protocol",
            Self::TlsFailed(_) => "tls_failed",
            Self::Stopping => "stopping",
        }
    }
}

/// Why a TLS handshake with a miner failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFault {
    /// A short name. Faults of different kinds do not hide each other in the log.
    pub kind: &'static str,
    /// In words for the owner.
    pub text: String,
}

/// Why another address is used.
#[derive(Clone, Debug, PartialEq)]
pub enum Failover {
    /// The one before could not be used; its last trouble.
    Unusable(Outage),
    /// It rejected so many of so many shares.
    Rejects {
        /// Shares that it rejected.
        rejected: u32,
        /// Shares that it answered.
        answered: u32,
    },
    /// The first address has answered for a while.
    Recovered,
}

impl Failover {
    /// In words.
    pub fn text(&self) -> String {
        match self {
            Self::Unusable(trouble) => trouble.to_string(),
            Self::Rejects { rejected, answered } => {
                format!("it rejected {rejected} of {answered} shares, or did not answer them")
            }
            Self::Recovered => "the first address works again".into(),
        }
    }
}

named! {
    /// A limit of the configuration.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Limit {
        /// `listen.max_miners`.
        Miners = "max_miners",
        /// `listen.max_miners_per_address`.
        MinersPerAddress = "max_miners_per_address",
        /// `listen.submits_per_second`.
        SubmitsPerSecond = "submits_per_second",
        /// The queue of messages to a miner that does not read.
        OutboxFull = "outbox",
        /// `listen.max_line_kib`.
        LineLength = "line_length",
    }
}
