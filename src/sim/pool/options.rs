//! The options of a simulated pool. Every habit here was seen in a real one (docs/compatibility.md).

use std::time::Duration;

use serde_json::Value;

use crate::sim::chain::judge::{Rules, Verdict};
use crate::sim::chain::{Blocks, JobIds};
use crate::sim::habits;

habits! {
    /// The habits of a [`SimPool`](super::SimPool). All but `port` and `seed` can be changed while it runs; changes to
    /// the handshake apply to later connections.
    pub struct PoolOptions {
        /// The port on 127.0.0.1; 0 takes a free one.
        pub port: u16 = 0,
        /// The seed for its jobs and extranonces.
        pub seed: u64 = 1,
        /// The tag in every coinbase, so that [`tag_of`](crate::sim::chain::tag_of) shows which pool made a job.
        pub tag: String = "pool".into(),
        /// The outputs of its blocks, as satoshis and scripts; empty: everything goes to its own address.
        pub pays: Vec<(u64, Vec<u8>)> = Vec::new(),
        /// The coinbase's outputs on a connection with this first user instead (solo.ckpool).
        pub pays_user: Option<fn(&str) -> Vec<(u64, Vec<u8>)>> = None,
        /// Whether the coinbase is not a valid transaction.
        pub odd_coinbase: bool = false,

        /// The size of extranonce1, in bytes (0 to 16).
        pub e1_size: usize = 4,
        /// Whether successive connections get the same extranonce1.
        pub e1_reuse: ExtranonceReuse = ExtranonceReuse::Never,
        /// The size of extranonce2, in bytes.
        pub e2_size: usize = 8,

        /// The difficulty of a connection's next job.
        pub difficulty: f64 = 1e-9,
        /// How difficulties are written.
        pub difficulty_form: DifficultyForm = DifficultyForm::Plain,
        /// The range in which each connection's difficulty changes randomly with its jobs, if it does.
        pub wander: Option<(f64, f64)> = None,
        /// How each connection's difficulty follows its shares, if it does.
        pub vardiff: Option<Vardiff> = None,
        /// Whether a change of difficulty is followed immediately by a job with `clean_jobs` (public-pool).
        pub clean_after_difficulty: bool = false,
        /// Whether every share must meet the newest difficulty, whatever its job's was (public-pool, compat Q84).
        pub judges_by_newest: bool = false,
        /// Whether `mining.suggest_difficulty` is followed.
        pub honours_suggestion: bool = false,

        /// The version bits that may be rolled; `None`: version rolling is not granted.
        pub mask: Option<u32> = Some(0x1fff_e000),
        /// What happens to `mining.configure`.
        pub configure: ConfigureHabit = ConfigureHabit::Answer,
        /// When `mining.configure` may come.
        pub configure_order: ConfigureOrder = ConfigureOrder::Any,
        /// Whether `mining.set_version_mask` is sent unprompted after `mining.configure` (Braiins).
        pub pushes_mask: bool = false,

        /// How many subscriptions are answered with the text "Initialising" before one is accepted (ckpool).
        pub initialising: u32 = 0,
        /// How a subscription is answered.
        pub subscription: SubscriptionForm = SubscriptionForm::Usual,
        /// Who may work.
        pub authorize: AuthorizeRule = AuthorizeRule::Everyone,
        /// When a connection gets its first job.
        pub first_job: FirstJob = FirstJob::AfterAuthorize,
        /// Whether submits under a name other than the first authorized one are rejected and a second
        /// `mining.authorize` is not answered (ckpool).
        pub one_worker: bool = false,
        /// What a further `mining.authorize` does, if it is answered.
        pub second_name: SecondName = SecondName::Taken,

        /// How jobs are named.
        pub job_ids: JobIds = JobIds::Counter,
        /// How often there is a new job; `None`: on demand.
        pub job_interval: Option<Duration> = Some(Duration::from_secs(30)),
        /// How often there is a new block; `None`: on demand.
        pub block_interval: Option<Duration> = None,
        /// The compact network target.
        pub nbits: u32 = 0x1702_3a04,
        /// Where its blocks come from.
        pub blocks: Blocks = Blocks::Own,
        /// Whether its coinbases commit to witnesses, as those of Bitcoin do.
        pub witness: bool = true,
        /// By how many seconds its clock is ahead.
        pub clock_off: i32 = 0,
        /// The header's version.
        pub version: u32 = 0x2000_0000,
        /// Fields in `mining.notify` before the last one (compat Q25).
        pub extra_fields: Vec<Value> = Vec::new(),
        /// Whether messages carry `"jsonrpc":"2.0"` (Miningcore).
        pub jsonrpc: bool = false,

        /// How shares are judged.
        pub rules: Rules = Rules::default(),
        /// How rejected shares are answered.
        pub reject_form: RejectForm = RejectForm::Array,
        /// Rejects every share with this verdict, whatever its quality.
        pub refuse_all: Option<Verdict> = None,
        /// Rejects only those of users whose name ends with this text.
        pub refuse_only: Option<String> = None,
        /// Rejects those whose extranonce2 begins with these bytes.
        pub refuse_e2: Option<Vec<u8>> = None,
        /// How it refuses a share.
        pub refusal: Refusal = Refusal::Answer,
        /// Whether shares are answered at all.
        pub answers_shares: bool = true,
        /// Which part of the shares, picked at random, is answered, if shares are answered at all.
        pub answered_part: f64 = 1.0,
        /// How long answers take; jobs are sent immediately.
        pub answer_latency: Duration = Duration::ZERO,
        /// Whether nothing at all is sent although sockets stay open.
        pub silent: bool = false,
        /// Methods on which it hangs up.
        pub hangs_up_on: &'static [&'static str] = &[],
        /// How long an authorized worker may go without a share before it is dropped, if there is a limit.
        pub idle: Option<Duration> = None,
        /// The longest line that is accepted, in bytes; a client that sends a longer one is disconnected (ckpool:
        /// 1024).
        pub longest_line: usize = 65_536,
    }
}

/// How a connection's difficulty follows its shares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vardiff {
    /// How often it may change.
    pub every: Duration,
    /// How many shares are wanted in that time. Half or twice as many count as coincidence; the difficulty at most
    /// quarters or quadruples.
    pub shares: f64,
}

/// Which extranonce1 a new connection gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtranonceReuse {
    /// One that no connection has had before.
    Never,
    /// That of the lowest free slot, so that a returning client gets its old one (DATUM, compat Q54).
    Slots,
    /// The same for all.
    Always,
}

/// How a difficulty is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DifficultyForm {
    /// As short as possible: `512`, `0.5`.
    Plain,
    /// Always with a fraction: `512.0` (public-pool, compat Q22).
    Float,
    /// With more digits than a float has: `0.50000000000000001000` (ckpool).
    Long,
    /// In a string.
    Text,
}

/// How a pool refuses a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Answers with an error.
    Answer,
    /// Answers with an error and closes the connection.
    AnswerAndHangUp,
    /// Closes the connection.
    HangUp,
    /// Does not answer.
    Silence,
}

/// What a pool does with `mining.configure`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigureHabit {
    /// Grants the mask, or `false` without one.
    Answer,
    /// Answers with an error: unknown method.
    Error,
    /// Does not answer.
    Ignore,
    /// Closes the connection.
    HangUp,
}

/// When `mining.configure` may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigureOrder {
    /// At any time.
    Any,
    /// Before `mining.subscribe`, otherwise error 21 (Braiins, compat Q1).
    BeforeSubscribe,
    /// Between subscribe and authorize: earlier, it closes the connection; later, there is no answer (ckpool, compat
    /// Q52, Q55).
    AfterSubscribe,
}

/// How a subscription is answered (compat Q9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionForm {
    /// `[[["mining.set_difficulty",s],["mining.notify",s]],e1,size]`.
    Usual,
    /// `[[["mining.notify",s]],e1,size]`.
    NotifyOnly,
    /// `[["mining.notify",s],e1,size]`: one list too few.
    Flat,
    /// `[null,e1,size]`.
    Null,
    /// `[e1,size]`.
    Bare,
    /// The size is a float.
    FloatSize,
}

/// Who may work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthorizeRule {
    /// Everyone.
    Everyone,
    /// Those whose name begins with this text.
    Prefix(String),
    /// No one.
    NoOne,
    /// Nobody gets an answer.
    NoAnswer,
}

/// What a further `mining.authorize` does on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondName {
    /// The connection has one more name.
    Taken,
    /// It is refused.
    Refused,
    /// The connection has this name instead of the one before.
    Replaces,
    /// The connection is closed.
    HangUp,
}

/// When a connection gets its first job (compat Q6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstJob {
    /// After it authorized.
    AfterAuthorize,
    /// Right after the answer to its subscription.
    AfterSubscribe,
    /// Even before that answer.
    BeforeSubscribeAnswer,
    /// Not at all: its node has no work.
    Never,
}

/// How a rejected share is answered (compat Q21, Q56).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectForm {
    /// `"result":null,"error":[code,text,null]`.
    Array,
    /// `"result":null,"error":{"code":code,"message":text}`.
    Object,
    /// `"result":false,"error":text`.
    Text,
    /// `"reject-reason":text,"result":false,"error":null`.
    RejectReason,
    /// `"result":false,"error":null`.
    Bare,
}
