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

/// Something that happened and is worth reporting.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// A miner connected.
    MinerConnected {
        /// The miner's id.
        miner: MinerId,
        /// The miner's address and port.
        peer: SocketAddr,
    },
    /// A pool authorized a miner for the first time, so it can start working.
    MinerAuthorized {
        /// The miner's id.
        miner: MinerId,
        /// The miner's address and port.
        peer: SocketAddr,
        /// The worker's name.
        worker: String,
        /// The miner's software.
        user_agent: Option<String>,
        /// Its place in the coinbase.
        extranonce: Option<MinerExtranonce>,
        /// The version bits that the miner wants to roll.
        version_rolling: Option<VersionMask>,
    },
    /// Every reachable pool refused the miner's worker.
    MinerRefused {
        /// The miner's id.
        miner: MinerId,
        /// The worker's name.
        worker: String,
        /// The last pool's error.
        reject: Reject,
    },
    /// DPMP turned a miner away or disconnected it.
    MinerTurnedAway {
        /// The miner's id.
        miner: MinerId,
        /// The miner's address and port.
        peer: SocketAddr,
        /// Why.
        reason: Eviction,
    },
    /// The owner paused a worker.
    WorkerPaused {
        /// Its name.
        worker: String,
        /// The setting that pauses it.
        source: AimSource,
    },
    /// A paused worker may mine again.
    WorkerResumed {
        /// Its name.
        worker: String,
    },
    /// The owner wants a temporary change.
    OverrideSet {
        /// The change.
        change: Override,
    },
    /// A temporary change is over.
    OverrideEnded {
        /// The change.
        change: Override,
        /// Whether it ended at its time. Otherwise the owner ended or replaced it.
        in_time: bool,
    },
    /// Another timetable entry applies now, or none.
    TimetableChanged {
        /// The entry's index, from 0, and its work.
        entry: Option<(usize, Work)>,
    },
    /// Balance shifted the split, or stopped shifting it.
    BalanceMoved {
        /// The move and its reason.
        moved: Move,
    },
    /// A miner's connection ended.
    MinerDisconnected {
        /// The miner's id.
        miner: MinerId,
        /// The miner's address and port.
        peer: SocketAddr,
        /// The worker's name, if the miner sent one.
        worker: Option<String>,
        /// How it ended.
        reason: CloseReason,
        /// How long the connection lasted.
        connected: Duration,
        /// Shares that the pools accepted.
        accepted: u64,
        /// Shares that DPMP blocked or a pool rejected.
        rejected: u64,
        /// Shares that were still waiting for a pool's answer.
        unanswered: usize,
    },
    /// A miner sent an unusable message.
    MinerMessageBad {
        /// The miner's id.
        miner: MinerId,
        /// What was wrong.
        problem: String,
    },
    /// A configured limit stopped a miner.
    LimitReached {
        /// The miner, or none if it could not connect.
        miner: Option<MinerId>,
        /// The miner's address and port.
        peer: SocketAddr,
        /// Which limit.
        limit: Limit,
    },
    /// A miner's place in the coinbase no longer fits a pool and was changed.
    ExtranonceChanged {
        /// The miner's id.
        miner: MinerId,
        /// The pool that made it necessary.
        slot: PoolSlot,
        /// The new place, or none if the miner must subscribe again.
        extranonce: Option<MinerExtranonce>,
    },
    /// A miner keeps working on the previous pool's job long after a switch. From now on it gets clean jobs.
    MinerLags {
        /// The miner's id.
        miner: MinerId,
    },
    /// A miner sent three shares in a row with a different extranonce2 size than it was given. DPMP remembers the size
    /// for this worker and software.
    ExtranonceSizeLearnt {
        /// The miner's id.
        miner: MinerId,
        /// The worker's name.
        worker: String,
        /// The miner's software.
        user_agent: Option<String>,
        /// The size that DPMP gave, in bytes.
        told: u8,
        /// The size in the miner's shares, in bytes.
        sent: u8,
        /// The miner's new place in the coinbase, or none if it must subscribe again.
        extranonce: Option<MinerExtranonce>,
    },
    /// What a test of a pool, or its first connection, revealed.
    PoolLearnt {
        /// The pool.
        slot: PoolSlot,
        /// The size of its extranonce2, in bytes.
        e2_size: u8,
        /// The version bits that miners may roll.
        mask: VersionMask,
    },
    /// DPMP is connecting to a pool.
    PoolDialing {
        /// Its name.
        conn: PoolConn,
        /// Its miner, unless the connection is shared.
        miner: Option<MinerId>,
    },
    /// A pool authorized a miner.
    PoolReady {
        /// The connection.
        conn: PoolConn,
        /// Its miner, unless the connection is shared.
        miner: Option<MinerId>,
        /// The user name.
        user: String,
        /// The extranonce1 from the pool.
        e1: Extranonce1,
        /// The size of the pool's extranonce2, in bytes.
        e2_size: u8,
        /// The time from opening the socket to the authorization.
        took: Duration,
    },
    /// A connection to a pool broke or failed.
    PoolLost {
        /// The connection.
        conn: PoolConn,
        /// Its miner, unless the connection is shared.
        miner: Option<MinerId>,
        /// Why.
        reason: Loss,
        /// Shares that were waiting for an answer.
        unanswered: usize,
    },
    /// A pool has an authorized connection again, or for the first time.
    PoolUp {
        /// The pool.
        slot: PoolSlot,
    },
    /// A needed pool no longer has an authorized connection.
    PoolDown {
        /// The pool.
        slot: PoolSlot,
        /// Why.
        reason: Outage,
    },
    /// A pool has authorized miners but sent them no job.
    PoolNoJob {
        /// The pool.
        slot: PoolSlot,
        /// For this many seconds.
        seconds: u64,
    },
    /// DPMP now uses another address of a pool.
    PoolFailover {
        /// The pool.
        slot: PoolSlot,
        /// The new address; 0: the first one, n: the n-th backup.
        backup: usize,
        /// Host and port.
        address: String,
        /// Why.
        why: Failover,
    },
    /// A pool sent an unusable message.
    PoolMessageBad {
        /// The connection.
        conn: PoolConn,
        /// Its miner, unless the connection is shared.
        miner: Option<MinerId>,
        /// What was wrong.
        problem: String,
    },
    /// A pool sent a text for people to read.
    PoolMessage {
        /// The connection.
        conn: PoolConn,
        /// Its miner, unless the connection is shared.
        miner: Option<MinerId>,
        /// The text.
        text: String,
    },
    /// A pool asked for a reconnect. DPMP reconnects to the configured address.
    PoolReconnect {
        /// The connection.
        conn: PoolConn,
        /// Its miner, unless the connection is shared.
        miner: Option<MinerId>,
        /// How long DPMP waits first.
        wait: Duration,
    },
    /// A pool asked for a reconnect to another host. DPMP refused, because this is a way to steal hashrate.
    PoolRedirectRefused {
        /// The connection.
        conn: PoolConn,
        /// Its miner, unless the connection is shared.
        miner: Option<MinerId>,
        /// The other host.
        host: String,
    },
    /// DPMP learned the form in which a pool expects version bits, if the job's version already sets some.
    VersionForm {
        /// The pool.
        slot: PoolSlot,
        /// The form; `None` if the pool rejects both.
        form: Option<VersionForm>,
    },
    /// A pool sent a job.
    JobReceived {
        /// The connection.
        conn: PoolConn,
        /// Its miner, unless the connection is shared.
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
        /// How many of them got the job, because they work for this pool now.
        sent: usize,
    },
    /// A miner was sent a job.
    JobForwarded {
        /// The miner's id.
        miner: MinerId,
        /// The job's pool.
        slot: PoolSlot,
        /// The miner's name for it.
        job: JobId,
        /// The pool's name for it.
        pool_job: String,
        /// The share difficulty for the miner.
        difficulty: Difficulty,
        /// Whether the miner must drop its current work.
        clean: bool,
        /// The time since the pool's notify, if the job is sent for the first time.
        delay: Option<Duration>,
    },
    /// A miner switched to another pool.
    PoolSwitched {
        /// The miner's id.
        miner: MinerId,
        /// The pool before.
        from: Option<PoolSlot>,
        /// The pool now.
        to: PoolSlot,
        /// Why it switched.
        cause: SwitchCause,
        /// The miner's cumulative error, in seconds; above zero, A is ahead.
        error: f64,
        /// Whether it is one of many, which `MembersSwitched` counts.
        together: bool,
    },
    /// Several members of a shared connection switched pools together.
    MembersSwitched {
        /// The connection's pool.
        slot: PoolSlot,
        /// How many miners share the connection.
        members: usize,
        /// How many of them switched to each pool.
        to: PerPool<usize>,
        /// How many have no pool with work.
        idle: usize,
    },
    /// A shared connection was lost, and with it several shares.
    SharesLost {
        /// The connection's pool.
        slot: PoolSlot,
        /// How many miners share the connection.
        members: usize,
        /// How many of them lost shares.
        miners: usize,
        /// How many shares there were.
        shares: usize,
    },
    /// A miner has no pool with work.
    MinerIdle {
        /// The miner's id.
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
        /// The difficulty that the hash reached.
        difficulty: f64,
        /// Whether there was a connection to the pool, so that the share was sent.
        forwarded: bool,
    },
    /// A pool answered a block candidate that was sent again when the pool came back.
    KeptBlock {
        /// The pool.
        slot: PoolSlot,
        /// The worker that found it.
        worker: String,
        /// The block's hash.
        hash: BlockHash,
        /// The result of its share.
        outcome: ShareOutcome,
    },
    /// The owner changed the configuration, and the changes are in force.
    ConfigApplied {
        /// The changes.
        changes: Vec<Change>,
        /// The source of the change.
        source: Source,
    },
    /// The configuration file was changed to something unusable; the old one stays in force.
    ConfigRefused {
        /// What is wrong with it.
        problem: String,
    },
    /// The configuration file can be used again, without changes.
    ConfigUsable,
    /// A warning about the configuration.
    ConfigWarning {
        /// The warning.
        text: String,
    },
    /// Someone logged in to the pages.
    LoggedIn {
        /// The client's address.
        from: IpAddr,
    },
    /// Someone entered a wrong password, or could not try one.
    LoginRefused {
        /// The client's address.
        from: IpAddr,
    },
    /// The owner created a token for a program.
    TokenMade {
        /// The program's name.
        name: String,
        /// What it may do.
        may: May,
        /// The client's address.
        from: IpAddr,
    },
    /// The owner has revoked a program's token.
    TokenRevoked {
        /// The program's name.
        name: String,
        /// The client's address.
        from: IpAddr,
    },
    /// A program sent an unknown token.
    TokenRefused {
        /// The client's address.
        from: IpAddr,
    },
    /// DPMP started.
    Started {
        /// Its version.
        version: &'static str,
        /// Where miners connect.
        listen: String,
        /// Where miners connect with TLS, if the port is open.
        listen_tls: Option<String>,
        /// Where metrics are served, if at all.
        metrics: Option<String>,
        /// Where the pages are served, if at all.
        gui: Option<String>,
        /// The configuration file.
        config: String,
    },
    /// A trouble began that the owner should know about.
    TroubleBegan {
        /// The trouble's name, with its pool, worker or time.
        id: String,
        /// The notice's title.
        title: String,
        /// Whether money is being lost, or may be.
        grave: bool,
    },
    /// A trouble is over.
    TroubleOver {
        /// The trouble's name, with its pool, worker or time.
        id: String,
        /// The notice's title when it was last shown.
        title: String,
        /// How long it lasted.
        lasted: Duration,
    },
    /// A message was sent to one of the owner's targets.
    MessageSent {
        /// The target's name.
        target: String,
        /// The service.
        kind: &'static str,
    },
    /// A message could not be sent.
    MessageFailed {
        /// The target's name.
        target: String,
        /// The service.
        kind: &'static str,
        /// Why.
        problem: String,
        /// Whether DPMP has given up.
        given_up: bool,
    },
    /// DPMP was asked to stop.
    Stopping,
    /// DPMP exits.
    Stopped {
        /// How long it ran.
        uptime: Duration,
    },
    /// The state file could not be read and was renamed, or could not be written.
    StateProblem {
        /// What happened.
        problem: String,
    },
    /// Miners cannot be accepted at the moment.
    AcceptFailed {
        /// The system's error message.
        error: String,
    },
    /// The scheduler took unusually long for one event.
    SlowTurn {
        /// The event.
        event: &'static str,
        /// How long it took.
        took: Duration,
    },
    /// A thread panicked, which ends the program.
    Panicked {
        /// Its name.
        thread: String,
        /// The message, and where in the code it occurred.
        problem: String,
    },
    /// Log lines were dropped, because the disk or terminal was too slow.
    LogDropped {
        /// How many.
        lines: u64,
    },
}

/// The result of one share.
#[derive(Clone, Debug, PartialEq)]
pub struct ShareResult {
    /// The miner that sent it.
    pub miner: MinerId,
    /// Its worker.
    pub worker: String,
    /// The pool whose job it was, if the job was known.
    pub slot: Option<PoolSlot>,
    /// The miner's name for the job, if it named one.
    pub job: Option<JobId>,
    /// How the share ended.
    pub outcome: ShareOutcome,
    /// The difficulty that was required of the miner; 0 if DPMP blocked the share.
    pub asked: f64,
    /// The difficulty that the pool credits, if the share was forwarded.
    pub credit: Option<Difficulty>,
    /// The difficulty that the hash reached, if it could be computed.
    pub true_difficulty: Option<f64>,
    /// The time from the miner's line to its answer, if the share was forwarded.
    pub latency: Option<Duration>,
    /// Whether the hash meets the network's target.
    pub block: bool,
    /// Whether another pool has taken the slot since the share's job came.
    pub former: bool,
    /// Whether it is one of many, which [`Fact::SharesLost`] counts.
    pub together: bool,
}

impl ShareResult {
    /// The work behind it, as a difficulty: the required difficulty if the share met it.
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
    /// The pool accepted it.
    Accepted,
    /// It met the miner's difficulty but not the pool's: answered `true`, not forwarded.
    BelowPool,
    /// The pool rejected it.
    RejectedByPool(Reject),
    /// DPMP blocked it; it was not forwarded.
    RefusedHere(RejectReason),
    /// It was forwarded, but no answer came.
    Lost(RejectReason),
}

impl From<Outcome> for ShareOutcome {
    /// The result that a pool's answer to a share means.
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
    /// The answer to the miner.
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

    /// Why it was not accepted, as a label with few values.
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

    /// Whether it met the difficulty that was required of the miner.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Accepted | Self::BelowPool)
    }

    /// The pool's error, if it rejected the share.
    pub fn reject(&self) -> Option<&Reject> {
        match self {
            Self::RejectedByPool(reject) => Some(reject),
            Self::Accepted | Self::BelowPool | Self::RefusedHere(_) | Self::Lost(_) => None,
        }
    }
}

named! {
    /// Why a miner switched to another pool.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum SwitchCause {
        /// It starts working.
        Start = "start",
        /// Its turn was over.
        Schedule = "schedule",
        /// Its previous pool has no more work for it.
        Failover = "failover",
        /// The owner set its previous pool's weight to zero, or removed the pool.
        Config = "config",
        /// The worker's work changed in another way, or its own pool is back.
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
    /// No pool had work for it for `scheduler.no_work_seconds`. It can now use its fallback pool.
    NoWork,
    /// Its extranonce no longer fits a pool, and it cannot get a new one on this connection.
    ExtranonceChanged,
    /// It uses a different extranonce2 size than it was given, and gets that size when it subscribes again.
    ExtranonceSize,
    /// It sent too many lines that were not messages.
    TooMuchRubbish,
    /// It used another protocol.
    OtherProtocol(String),
    /// It connected to the TLS port, but the handshake failed.
    TlsFailed(TlsFault),
    /// DPMP is stopping.
    Stopping,
}

impl Eviction {
    /// As text for people.
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
    /// A short name, so that different kinds of faults do not hide each other in the log.
    pub kind: &'static str,
    /// As text for the owner.
    pub text: String,
}

/// Why DPMP uses another address.
#[derive(Clone, Debug, PartialEq)]
pub enum Failover {
    /// The previous address could not be used, for this reason.
    Unusable(Outage),
    /// The previous address rejected too many shares.
    Rejects {
        /// The number of shares that it rejected.
        rejected: u32,
        /// The number of shares that it answered.
        answered: u32,
    },
    /// The first address has worked for a while.
    Recovered,
}

impl Failover {
    /// As text for people.
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
