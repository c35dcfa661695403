//! The options of a simulated miner. Every habit here was seen in real firmware (docs/compatibility.md).

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::sim::habits;

habits! {
    /// The habits of a [`SimMiner`](super::SimMiner).
    pub struct MinerOptions {
        /// Where it mines.
        pub address: SocketAddr = (Ipv4Addr::LOCALHOST, 3351).into(),
        /// Its user name.
        pub user: String = "wallet.worker".into(),
        /// Its password.
        pub password: String = "x".into(),
        /// Its software.
        pub user_agent: String = "simminer/1.0".into(),

        /// How it begins a conversation.
        pub handshake: Handshake = Handshake::Cgminer,
        /// Whether it sends `mining.extranonce.subscribe`.
        pub extranonce_subscribe: bool = false,
        /// The difficulty that it suggests, if any.
        pub suggest: Option<f64> = None,
        /// The version bits that it can roll, if any.
        pub rolling: Option<u32> = Some(0x1fff_e000),
        /// How it rolls them.
        pub rolling_style: RollingStyle = RollingStyle::Replace,
        /// What its requests' ids look like.
        pub ids: Ids = Ids::Counted,

        /// How fast it works.
        pub pace: Pace = Pace::Shares(10.0),
        /// The size of the extranonce2 that it sends.
        pub e2_size: Extranonce2Use = Extranonce2Use::AsTold,
        /// What it does not accept in the answer to its subscription; it then closes the connection.
        pub refuses: Refusals = Refusals::default(),
        /// Where its extranonce2 starts with a new job.
        pub counter: Counter = Counter::Restarts,
        /// Whether it advances a job's time by the seconds that it has worked on it.
        pub rolls_ntime: bool = false,
        /// How long it continues with the previous job if a new one does not require clean work.
        pub late: Duration = Duration::from_millis(200),
        /// If set, a job that is not clean waits until the current one has yielded a share, or for this long (compat
        /// Q76).
        pub scan: Option<Duration> = None,
        /// To which work a new difficulty applies.
        pub difficulty_use: DifficultyUse = DifficultyUse::NextJob,
        /// Whether it closes the connection on `mining.set_extranonce`.
        pub hangs_up_on_set_extranonce: bool = false,
        /// Whether `mining.set_version_mask` has no effect.
        pub ignores_set_version_mask: bool = false,
        /// Whether a job whose id it has seen is ignored (AxeOS, compat Q37).
        pub ignores_seen_jobs: bool = false,

        /// How long after the end of a connection it reconnects, if it does.
        pub reconnect: Option<Duration> = Some(Duration::from_millis(200)),
        /// Whether it stops reading after its first job but keeps submitting.
        pub stops_reading: bool = false,
        /// After this many accepted shares, it closes its sending half and only listens.
        pub half_close_after: Option<u64> = None,
    }
}

/// How a miner begins a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// subscribe, authorize, each after the answer to the previous one; no configure (cpuminer).
    Cpuminer,
    /// configure, subscribe, authorize, each after the answer to the previous one (cgminer).
    Cgminer,
    /// configure, subscribe, authorize, suggest_difficulty in one write (AxeOS, compat Q3).
    Axeos,
    /// subscribe, configure, suggest_difficulty, authorize one by one (older AxeOS, compat Q4).
    SubscribeFirst,
    /// subscribe and authorize in one write, configure after that.
    ConfigureLast,
}

/// How a miner rolls version bits and which ones it sends (compat Q57). It makes a difference if the job's version has
/// bits of the mask set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RollingStyle {
    /// The masked bits are replaced and sent, according to BIP 310.
    #[default]
    Replace,
    /// They are added to the job's; the bits in which the header differs from the job are sent (AxeOS, NerdQAxe).
    Delta,
    /// They are added to the job's; the added bits are sent (cgminer).
    Add,
    /// The job's own version is hashed and no bits are sent, although rolling was negotiated.
    Never,
}

/// What a miner's request ids look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids {
    /// 1, 2, 3 …
    Counted,
    /// Counted too, but 4 for every submit (cpuminer, compat Q61).
    SubmitsAreFour,
    /// Counted, in strings.
    Text,
}

/// How fast a miner works.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// This many hashes per second; those that meet the difficulty are shares.
    Hashes(f64),
    /// This many shares per second, as long as the difficulty is tiny enough to find them immediately.
    Shares(f64),
    /// Shares at random times, this much difficulty per second, as long as that is tiny enough, too.
    Work(f64),
    /// Nothing: it only listens.
    Idle,
}

/// The size of the extranonce2 that a miner sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extranonce2Use {
    /// The announced size.
    AsTold,
    /// Always this many bytes.
    Always(usize),
    /// The announced size if that is 2, 4 or 8, otherwise 4 (NerdMiner, compat Q70).
    TwoFourEight,
}

impl Extranonce2Use {
    /// The size that is sent, in bytes.
    pub fn size(self, told: usize) -> usize {
        match self {
            Self::AsTold => told,
            Self::Always(size) => size,
            Self::TwoFourEight if [2, 4, 8].contains(&told) => told,
            Self::TwoFourEight => 4,
        }
    }
}

/// Extranonces that a miner does not accept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// An extranonce1 of no bytes (NerdMiner, compat Q70).
    pub empty_e1: bool,
    /// An extranonce2 of fewer bytes than this (hired hashrate, compat Q73).
    pub e2_below: usize,
}

/// Where a miner's extranonce2 starts with a new job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// At zero, as with most miners: the same work sent twice yields the same shares twice.
    Restarts,
    /// Where it stopped.
    Continues,
}

/// To which work a new difficulty applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DifficultyUse {
    /// To the jobs that come after it (compat Q40).
    NextJob,
    /// To everything.
    AtOnce,
}
