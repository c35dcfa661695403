//! The messages of miners and pools, as types. [`codec`](super::codec) converts them from and to lines.

use std::fmt;
use std::sync::Arc;

use crate::stratum::job::{Notify, PoolJob};
use crate::stratum::reject::Reject;
use crate::units::{Difficulty, Extranonce1, Extranonce2, JobId, MinerExtranonce, VersionMask};

/// A request's id exactly as the peer wrote it: a number, a string or null (compat Q15, Q61).
#[derive(Clone, PartialEq, Eq)]
pub struct RequestId(pub(super) Box<str>);

impl RequestId {
    /// The id of an answer to a message without an id.
    pub fn null() -> Self {
        Self("null".into())
    }

    /// The raw JSON.
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// The id as one of our own counters, even if the number is in a string.
    pub fn as_counter(&self) -> Option<u64> {
        self.0.trim_matches('"').parse().ok()
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A line from a miner.
#[derive(Clone, Debug, PartialEq)]
pub enum FromMiner {
    /// A message that needs exactly one answer.
    Request {
        /// Repeated in the answer.
        id: RequestId,
        /// The request itself.
        call: MinerCall,
    },
    /// A message that needs no answer: an answer to us, or AxeOS's method `pong` (compat Q27).
    NoAnswer,
}

/// The requests of a miner.
#[derive(Clone, Debug, PartialEq)]
pub enum MinerCall {
    /// `mining.configure` (BIP 310).
    Configure(Configure),
    /// `mining.subscribe`.
    Subscribe {
        /// The miner's software, if it gives one.
        user_agent: Option<String>,
    },
    /// `mining.authorize`.
    Authorize {
        /// The whole user name.
        user: String,
        /// The password, empty if there is none.
        password: String,
    },
    /// `mining.extranonce.subscribe`.
    SubscribeExtranonce,
    /// `mining.suggest_difficulty`, or `mining.suggest_target` as a difficulty.
    SuggestDifficulty(Difficulty),
    /// `mining.submit`.
    Submit(Submit),
    /// `mining.submit` with unreadable parameters; it is still a share that needs an answer.
    UnreadableSubmit {
        /// What was wrong.
        problem: String,
    },
    /// `mining.ping`.
    Ping,
    /// A known method with unreadable parameters.
    Invalid {
        /// The method's name.
        method: &'static str,
        /// What was wrong.
        problem: String,
    },
    /// A method that DPMP does not know.
    Unknown {
        /// The method's name, shortened.
        method: String,
    },
}

/// The extensions that a miner requests in `mining.configure`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configure {
    /// `version-rolling`, with the mask of bits that the miner can roll.
    pub version_rolling: Option<VersionMask>,
    /// `subscribe-extranonce`.
    pub subscribe_extranonce: bool,
    /// Every other extension; each is answered with `false` (compat Q10).
    pub unsupported: Vec<String>,
}

/// A share as the miner sends it. The user name is left out, because the pool gets our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submit {
    /// The job, if the text is an id that DPMP could have given out.
    pub job: Option<JobId>,
    /// The miner's part of the extranonce2.
    pub e2: Extranonce2,
    /// The header's time.
    pub ntime: u32,
    /// The header's nonce.
    pub nonce: u32,
    /// The rolled version bits, if there was a sixth parameter.
    pub version_bits: Option<u32>,
}

/// A message to a miner. Each is written with one `write`.
#[derive(Clone, Debug, PartialEq)]
pub enum ToMiner {
    /// The one answer to a request.
    Reply {
        /// The request's id, untouched.
        id: RequestId,
        /// The answer.
        reply: Reply,
    },
    /// A job with everything that must come before it.
    Work(Box<Work>),
}

/// The answer to a miner's request.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// `"result": true`.
    True,
    /// `"result": "pong"`.
    Pong,
    /// The answer to `mining.subscribe`.
    Subscribed(MinerExtranonce),
    /// The answer to `mining.configure`.
    Configured {
        /// What the miner requested.
        asked: Configure,
        /// The bits that it may roll; none: version rolling is refused.
        mask: VersionMask,
    },
    /// `"result": null` with the error.
    Rejected(Reject),
    /// `"result": false` with the error: a refused `mining.authorize`.
    Refused(Reject),
}

/// A job for a miner and the changes that come with it, in the order in which they are written.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// `mining.set_extranonce`, only after a renegotiation and only for a miner that subscribed to it.
    pub set_extranonce: bool,
    /// `mining.set_difficulty`, if it differs from the last one sent to the miner.
    pub difficulty: Option<Difficulty>,
    /// `mining.set_version_mask`, if it differs from the last one sent to the miner.
    pub mask: Option<VersionMask>,
    /// The id for `mining.notify`.
    pub job: JobId,
    /// The pool's job behind it.
    pub pool_job: Arc<PoolJob>,
    /// The miner's place in the coinbase.
    pub extranonce: MinerExtranonce,
    /// The time for the header.
    pub ntime: u32,
    /// Whether the miner must drop its current work.
    pub clean: bool,
}

/// A line from a pool.
#[derive(Clone, Debug, PartialEq)]
pub enum FromPool {
    /// The answer to the request with this id.
    Response {
        /// One of our own counters.
        id: u64,
        /// The answer.
        outcome: Outcome,
    },
    /// `mining.set_difficulty`, for the next job.
    SetDifficulty(Difficulty),
    /// `mining.notify`.
    Notify(Arc<Notify>),
    /// `mining.set_extranonce`, for later jobs.
    SetExtranonce(Extranonces),
    /// `mining.set_version_mask`.
    SetVersionMask(VersionMask),
    /// `client.reconnect`.
    Reconnect {
        /// Where to, if the pool says.
        host: Option<String>,
        /// At which port, if the pool says.
        port: Option<u16>,
        /// How long to wait before reconnecting, in seconds.
        wait_seconds: u32,
    },
    /// `client.show_message`.
    ShowMessage(String),
    /// `client.get_version`, which needs an answer.
    GetVersion(RequestId),
    /// `mining.ping`, which needs an answer.
    Ping(RequestId),
    /// A known method with unreadable parameters.
    Invalid {
        /// The method's name.
        method: &'static str,
        /// What was wrong.
        problem: String,
    },
    /// A method or answer that DPMP does not know.
    Unknown {
        /// The method's name, shortened; empty for an answer without a usable id.
        method: String,
    },
}

/// A pool's answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// `"result": true`.
    True,
    /// An error in any of its forms (compat Q21), or `"result": false`.
    Rejected(Reject),
    /// The result of `mining.subscribe`.
    Subscribed(Extranonces),
    /// The result of `mining.configure`: the mask, if version rolling was granted.
    Configured(Option<VersionMask>),
    /// Anything else, such as ckpool's `"Initialising"` (compat Q8), shortened for the log.
    Other(String),
}

/// The extranonces that a pool gives to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extranonces {
    /// The pool's part.
    pub e1: Extranonce1,
    /// The size of the client's part, in bytes (0 to [`MAX_EXTRANONCE`](crate::units::MAX_EXTRANONCE)).
    pub e2_size: u8,
}

/// A message to a pool. Ids are counters of the connection, never null (compat Q53).
#[derive(Clone, Debug, PartialEq)]
pub enum ToPool {
    /// A request that gets an answer.
    Request {
        /// Counted up from 1 on the connection.
        id: u64,
        /// The request itself.
        call: PoolCall,
    },
    /// The answer to `client.get_version`.
    Version {
        /// The pool's id, untouched.
        id: RequestId,
        /// The miner's software, or ours.
        user_agent: String,
    },
    /// The answer to `mining.ping`.
    Pong {
        /// The pool's id, untouched.
        id: RequestId,
    },
}

/// The requests to a pool.
#[derive(Clone, Debug, PartialEq)]
pub enum PoolCall {
    /// `mining.configure` with version rolling, for this mask.
    Configure(VersionMask),
    /// `mining.subscribe` with the miner's software.
    Subscribe {
        /// The miner's software, or ours.
        user_agent: String,
    },
    /// `mining.authorize`.
    Authorize {
        /// The configured wallet and the miner's worker name.
        user: String,
        /// The configured password, or the miner's.
        password: String,
    },
    /// `mining.suggest_difficulty`, a bare number (compat Q58).
    SuggestDifficulty(Difficulty),
    /// `mining.submit`.
    Submit(Box<PoolSubmit>),
}

/// A share as it is sent to the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSubmit {
    /// The name that was authorized on the connection.
    pub user: Arc<str>,
    /// The pool's job id, untouched.
    pub job_id: String,
    /// The complete extranonce2 that the pool expects.
    pub e2: Extranonce2,
    /// The header's time.
    pub ntime: u32,
    /// The header's nonce.
    pub nonce: u32,
    /// The version bits; present whenever version rolling was negotiated on the connection.
    pub version_bits: Option<u32>,
}
