//! Tests a pool: the whole way to its first job, step by step, without mining.
//!
//! It uses the same [`Connection`] that serves miners, so its results are what a miner will see. The caller gets each
//! step as it is done: `dpmp check` prints it, the web page shows it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::coin::address;
use crate::coin::remark::wallet_problem;
use crate::coin::{Chain, Coin};
use crate::config::{DifficultyLimits, PoolConfig};
use crate::core::action::Action;
use crate::core::event::CloseReason;
use crate::core::insight::payee::{Obstacle, Payee, Percent};
use crate::core::miner::session::OWN_USER_AGENT;
use crate::core::outage::Loss;
use crate::core::pool::connection::names::SecondName;
use crate::core::pool::connection::received::PoolNews;
use crate::core::pool::connection::{Connection, Identity, Talk};
use crate::core::pool::facts::PoolFacts;
use crate::core::pool::groups::most_of;
use crate::core::pool::target;
use crate::core::work::extranonce::{Firmware, Room, SMALLEST_E2, sizes};
use crate::shell::dial::{connect, resolve, secure};
use crate::shell::names::Names;
use crate::shell::socket::{ReadHalf, Socket};
use crate::shell::tls::pool::Tls;
use crate::stratum::codec::{Encode, decode_pool};
use crate::stratum::coinbase::Coinbase;
use crate::stratum::job::{Notify, PoolJob, network_difficulty};
use crate::stratum::line::{LineError, LineReader};
use crate::stratum::message::{FromPool, Outcome, PoolCall, ToPool};
use crate::system::clock::clock;
use crate::system::net::Deadline;
use crate::units::{Difficulty, LineId, PoolConn, PoolSlot};

/// How often a pool may hang up on `mining.configure` before the visit ends.
const MOST_ATTEMPTS: usize = 6;

/// The longest line that a pool may send, in bytes.
const LONGEST_LINE: usize = 1024 * 1024;

/// How many useless lines or texts for people are reported.
const MOST_NOTES: u32 = 20;

/// Miners that accept only a small coinbase transaction, and its largest size in bytes (compat Q31, Q32).
const SMALL_MINERS: [(&str, usize); 4] = [
    ("NerdMiner", 512),
    ("Antminer with stock firmware", 750),
    ("Antminer S21", 2250),
    ("Whatsminer", 6500),
];

/// The visitor's worker name at the pools.
const WORKER: &str = "check";

/// What is asked for when everything else is known.
const SECOND_NAME: &str = "second name";

/// What a visit reports along the way.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// A step is done.
    Step(Step),
    /// A note between the steps.
    Note(String),
}

/// A step on the way to the first job.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// `resolve`, `connect`, `encrypt` (if it is), `configure`, `subscribe`, `authorize` or `first job`.
    pub name: &'static str,
    /// Whether it succeeded.
    pub ok: bool,
    /// How long it took.
    pub took: Duration,
    /// Its result.
    pub text: String,
}

/// Why a visit did not get to a job.
#[derive(Debug)]
pub struct Failure {
    /// The step during which it failed.
    pub during: &'static str,
    /// What happened.
    pub error: anyhow::Error,
}

/// Visits a pool, for no longer than `patience`.
///
/// # Errors
/// What the pool did wrong, or an error of `tell`.
pub fn visit(
    slot: PoolSlot,
    pool: &PoolConfig,
    limits: &DifficultyLimits,
    tls: &Tls,
    patience: Duration,
    mut tell: impl FnMut(Finding) -> anyhow::Result<()>,
) -> Result<(), Failure> {
    let mut visit = Visit::new(slot, pool, tls, patience, &mut tell);
    visit.limits = *limits;
    visit.run().map_err(|error| Failure {
        during: visit.during,
        error,
    })
}

/// One pool, visited until it has given a job.
struct Visit<'a> {
    pool: &'a PoolConfig,
    /// The limits on the difficulty that miners are given.
    limits: DifficultyLimits,
    tls: &'a Tls,
    slot: PoolSlot,
    /// How many connections were made.
    connections: u64,
    facts: PoolFacts,
    latest: Option<Arc<Notify>>,
    identity: Identity,
    began: Instant,
    patience: Duration,
    /// The step that is under way.
    during: &'static str,
    /// What was requested and when, by id.
    asked: BTreeMap<u64, (&'static str, Instant)>,
    progress: Progress,
    /// Whether it has given a job.
    has_job: bool,
    /// The name that it is asked for then, if miners share connections and may have names of their own.
    second_name: Option<Arc<str>>,
    tell: &'a mut dyn FnMut(Finding) -> anyhow::Result<()>,
    notes: u32,
}

/// Reads until a fixed moment, however slowly bytes come.
struct Patient<'a> {
    socket: &'a Socket,
    incoming: ReadHalf<'a>,
    /// The end of the visit, or earlier if something is due before.
    until: &'a Cell<Instant>,
    /// How many bytes were received.
    bytes: &'a Cell<u64>,
}

impl Read for Patient<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = Deadline(self.until.get()).left()?;
        self.socket.stream.set_read_timeout(Some(left))?;
        let read = self.incoming.read(buffer)?;
        let more = u64::try_from(read).unwrap_or(u64::MAX);
        self.bytes.set(self.bytes.get().saturating_add(more));
        Ok(read)
    }
}

/// How far a pool got on a connection, for describing one that stops.
#[derive(Debug, Default)]
struct Progress {
    /// Whether the connection is encrypted.
    encrypted: bool,
    /// Complete lines.
    lines: u64,
    /// Complete lines that are Stratum.
    messages: u64,
    /// The last step that the pool has answered.
    answered: Option<&'static str>,
    /// What was wrong with the last unreadable job.
    bad_job: Option<String>,
}

impl Progress {
    /// Describes a pool that has not sent a job; `waiting` is what it still owes, and `bytes` is how many bytes came.
    fn describe(&self, waiting: &str, bytes: u64, patience: Duration) -> String {
        let time = patience.as_secs();
        if bytes == 0 && self.encrypted {
            format!(
                "The pool accepted the encrypted connection, but sent nothing within {time} s. Check that this is its \
                 Stratum port."
            )
        } else if bytes == 0 {
            format!(
                "The pool accepted the connection, but sent nothing within {time} s. Check that this is its Stratum \
                 port. If the port is for TLS, turn on tls."
            )
        } else if self.lines == 0 {
            format!(
                "The pool sent {bytes} bytes within {time} s, but no complete line. Check that this is its Stratum port."
            )
        } else if self.messages == 0 {
            let lines = self.lines;
            format!(
                "None of the {lines} lines that came within {time} s was Stratum. Check that this is the pool's \
                 Stratum port."
            )
        } else if waiting != "first job" {
            let so_far = match self.answered {
                Some(step) => format!("The pool answered {step}, but not {waiting}"),
                None => format!("The pool sent lines, but did not answer {waiting}"),
            };
            format!("{so_far}, within {time} s.")
        } else if let Some(problem) = &self.bad_job {
            format!("The pool accepted the payout address, but sent an unusable job: {problem}.")
        } else {
            format!(
                "The pool accepted the payout address, but sent no job within {time} s. Its node may not be ready."
            )
        }
    }
}

impl<'a> Visit<'a> {
    fn new(
        slot: PoolSlot,
        pool: &'a PoolConfig,
        tls: &'a Tls,
        patience: Duration,
        tell: &'a mut dyn FnMut(Finding) -> anyhow::Result<()>,
    ) -> Self {
        let user = pool.user_name.of(&pool.wallet, WORKER, WORKER);
        let of_all = pool.user_name.of_all(&pool.wallet);
        let is_shared = pool.most_members().is_some();
        let second_name = (is_shared && user != of_all).then(|| Arc::from(user.as_str()));
        Self {
            pool,
            limits: DifficultyLimits::default(),
            tls,
            slot,
            connections: 0,
            facts: PoolFacts::default(),
            latest: None,
            identity: Identity {
                address: Arc::from(pool.address()),
                user_agent: OWN_USER_AGENT.to_owned(),
                user: Arc::from(if is_shared { of_all } else { user }),
                has_worker: true,
                password: pool.password.as_deref().unwrap_or("x").to_owned(),
                version_rolling: true,
                suggested: None,
            },
            began: clock(),
            patience,
            during: "resolve",
            asked: BTreeMap::new(),
            progress: Progress::default(),
            has_job: false,
            second_name,
            tell,
            notes: 0,
        }
    }

    fn run(&mut self) -> anyhow::Result<()> {
        let until = self.began + self.patience;
        let addresses = resolve(&target(self.pool), &Names::default(), until)?;
        let texts: Vec<_> = addresses.iter().map(|it| it.ip().to_string()).collect();
        self.step("resolve", true, self.began, texts.join(", "))?;
        for _ in 0..MOST_ATTEMPTS {
            if self.attempt(&addresses)? {
                return Ok(());
            }
        }
        bail!("it closes the connection whenever it gets mining.configure")
    }

    fn step(
        &mut self,
        name: &'static str,
        ok: bool,
        began: Instant,
        text: impl Display,
    ) -> anyhow::Result<()> {
        (self.tell)(Finding::Step(Step {
            name,
            ok,
            took: began.elapsed(),
            text: text.to_string(),
        }))
    }

    fn note(&mut self, text: impl Display) -> anyhow::Result<()> {
        self.notes += 1;
        if self.notes > MOST_NOTES {
            bail!("it sends too many unusable lines; is this a Stratum port?");
        }
        (self.tell)(Finding::Note(text.to_string()))
    }

    /// Makes one connection; returns whether a job came, or whether the pool hung up on `mining.configure` and must be
    /// asked in another way.
    fn attempt(&mut self, addresses: &[SocketAddr]) -> anyhow::Result<bool> {
        let began = clock();
        self.during = "connect";
        let until = self.began + self.patience;
        let target = target(self.pool);
        let stream = connect(addresses, until).context("could not connect")?;
        let peer = stream
            .peer_addr()
            .map(|peer| peer.to_string())
            .unwrap_or_default();
        self.step("connect", true, began, peer)?;
        let shaking = clock();
        if target.tls.is_some() {
            self.during = "encrypt";
        }
        let socket = secure(stream, &target, self.tls, until)?;
        if let Some(how) = socket.encryption() {
            self.step("encrypt", true, shaking, how)?;
        }
        self.connections += 1;
        let (slot, number) = (self.slot, self.connections);
        let identity = self.identity.clone();
        let connection = &mut self.talk(&socket, |talk| {
            Connection::begin(PoolConn { slot, number }, LineId(0), identity, talk)
        })?;
        let (wake, bytes) = (Cell::new(until), Cell::new(0));
        let mut lines = LineReader::new(
            Patient {
                socket: &socket,
                incoming: socket.reader(),
                until: &wake,
                bytes: &bytes,
            },
            LONGEST_LINE,
        );
        self.progress = Progress {
            encrypted: target.tls.is_some(),
            ..Progress::default()
        };
        loop {
            self.during = self.waiting_for();
            let now = clock();
            if now >= until && self.has_job {
                return self.tell_names(false);
            }
            if now >= until {
                bail!(
                    "{}",
                    self.progress
                        .describe(self.during, bytes.get(), self.patience)
                );
            }
            let due = connection.next_deadline(self.pool, now);
            wake.set(due.map_or(until, |due| due.min(until)));
            let line = lines.next_line(|line| (!line.is_empty()).then(|| decode_pool(line)));
            let heard = bytes.get() > 0;
            let ended = |reason: CloseReason| reason.of_pool(heard, target.tls.is_some());
            match line {
                // A blank line, to keep the connection alive.
                Ok(Some(None)) => (),
                Ok(Some(Some(Ok(message)))) => {
                    self.progress.lines += 1;
                    if self.on_message(connection, message, &socket)? {
                        return Ok(true);
                    }
                }
                Ok(Some(Some(Err(error)))) => {
                    self.progress.lines += 1;
                    self.note(format_args!("an unusable line: {error}"))?;
                }
                Ok(None) if connection.hung_up_on_configure(0, &mut self.facts, clock()) => {
                    self.step(
                        "configure",
                        true,
                        began,
                        "the pool closed the connection; asking in another order",
                    )?;
                    return Ok(false);
                }
                Ok(None) if self.has_job => return self.tell_names(false),
                Ok(None) if !heard => bail!("{}", ended(CloseReason::ByPeer)),
                Ok(None) => bail!(
                    "the pool closed the connection before {}",
                    match self.during {
                        "first job" => "the first job came".to_owned(),
                        step => format!("it answered {step}"),
                    }
                ),
                // The socket's time limit has passed; each system reports that in its own way.
                Err(LineError::Io(_)) if clock() >= wake.get() => {
                    if self.something_is_due(connection, &socket, bytes.get())? {
                        return Ok(true);
                    }
                }
                Err(LineError::Io(_)) if self.has_job => return self.tell_names(false),
                Err(LineError::Io(error)) => {
                    bail!("{}", ended(CloseReason::Failed(error.to_string())))
                }
                Err(error) => bail!("while waiting for {}: {error}", self.during),
            }
        }
    }

    /// Does what is due without input from the pool, as for a miner: continues without an answer to configure, assumes
    /// a difficulty of 1 for a first job. Returns whether everything is known now.
    fn something_is_due(
        &mut self,
        connection: &mut Connection,
        socket: &Socket,
        bytes: u64,
    ) -> anyhow::Result<bool> {
        let pool = self.pool;
        let waiting = self.during;
        let loss = self.talk(socket, |talk| connection.overdue(pool, talk))?;
        match loss {
            Some(Loss::NoAnswerTo(_) | Loss::Stalled) => {
                let asked = self.asked.values().next();
                let waited = asked.map_or(pool.stall, |(_, asked)| asked.elapsed());
                bail!("{}", self.progress.describe(waiting, bytes, waited))
            }
            Some(loss) => bail!("{loss}"),
            None if waiting == "configure" && self.asked.len() > 1 => {
                // The next step was begun without it.
                self.asked.retain(|_, (name, _)| *name != "configure");
                self.step(
                    "configure",
                    true,
                    self.began,
                    "no answer; continuing without version rolling",
                )?;
            }
            None => (),
        }
        self.is_all_known(connection, socket)
    }

    /// Runs an action of the connection and sends its output.
    fn talk<T>(
        &mut self,
        socket: &Socket,
        act: impl FnOnce(&mut Talk<'_>) -> T,
    ) -> anyhow::Result<T> {
        let mut out = Vec::new();
        let mut talk = Talk {
            facts: &mut self.facts,
            latest: &mut self.latest,
            now: clock(),
            out: &mut out,
        };
        let done = act(&mut talk);
        self.send(socket, out)?;
        Ok(done)
    }

    /// Handles a line; returns whether everything is known now.
    fn on_message(
        &mut self,
        connection: &mut Connection,
        message: FromPool,
        socket: &Socket,
    ) -> anyhow::Result<bool> {
        if !matches!(message, FromPool::Unknown { .. }) {
            self.progress.messages += 1;
        }
        if let FromPool::Invalid {
            method: "mining.notify",
            problem,
        } = &message
        {
            self.progress.bad_job = Some(problem.clone());
        }
        let mut answer = String::new();
        if let FromPool::Response { id, outcome } = &message {
            let asked = self.asked.remove(id);
            if let Some((name, began)) = asked.filter(|(name, _)| *name != SECOND_NAME) {
                self.progress.answered = Some(name);
                answer = describe(outcome);
                self.step(name, goes_on(name, outcome), began, &answer)?;
            }
        }
        let heard = self.talk(socket, |talk| connection.on_message(message, talk))?;
        match heard {
            PoolNews::Lost(Loss::BadSubscription(_)) => {
                self.during = "subscribe";
                bail!("the pool's answer to mining.subscribe names no extranonce: {answer}")
            }
            PoolNews::Lost(loss) => bail!("{loss}"),
            PoolNews::Subscribed(extranonces) if extranonces.e2_size < SMALLEST_E2 => {
                self.during = "subscribe";
                bail!(
                    "the pool's extranonce2 is too small: its size is {}, at least {SMALLEST_E2} bytes are needed",
                    extranonces.e2_size
                )
            }
            PoolNews::Subscribed(extranonces) => self.tell_sharing(extranonces.e2_size)?,
            PoolNews::Reconnect {
                host: Some(host), ..
            } => {
                self.note(format_args!(
                    "the pool asks to reconnect to {host}: DPMP never follows such a request"
                ))?;
            }
            PoolNews::Message(text) => self.note(format_args!("the pool says: {text}"))?,
            PoolNews::Useless(problem) => {
                self.note(format_args!("an unusable line: {problem}"))?;
            }
            PoolNews::Nothing
            | PoolNews::Ready
            | PoolNews::Job
            | PoolNews::JobChanged
            | PoolNews::Answered(..)
            | PoolNews::AnsweredLate(..)
            | PoolNews::Reconnect { host: None, .. } => (),
        }
        self.is_all_known(connection, socket)
    }

    /// Reports what a shared connection would offer, if connections are to be shared.
    fn tell_sharing(&mut self, smallest: u8) -> anyhow::Result<()> {
        let Some(most) = self.pool.most_members() else {
            return Ok(());
        };
        let room = Room {
            smallest,
            e1_differs: false,
        };
        match most_of(sizes(room, Firmware::Unknown, None), Some(most)) {
            Some(most) => self.note(format_args!("up to {most} miners can share a connection")),
            None => self
                .note("miners cannot share connections, because that needs 3 bytes of extranonce2"),
        }
    }

    /// Whether there is a job, and it is known whether the pool takes a second name, where that matters.
    fn is_all_known(
        &mut self,
        connection: &mut Connection,
        socket: &Socket,
    ) -> anyhow::Result<bool> {
        let now = clock();
        if !self.has_job {
            self.has_job = self.job_is_there(connection, now)?;
        }
        let name = self.second_name.clone().filter(|_| self.has_job);
        let Some(name) = name else {
            return Ok(self.has_job);
        };
        match connection.second_name(now) {
            SecondName::Unasked => {
                self.talk(socket, |talk| connection.introduce(&name, talk))?;
                Ok(false)
            }
            SecondName::Open(_) if !connection.knows(&name) => Ok(false),
            SecondName::Open(_) | SecondName::Taken => self.tell_names(true),
            SecondName::Refused | SecondName::Silent => self.tell_names(false),
        }
    }

    /// The end: whether the pool takes several names.
    fn tell_names(&mut self, several: bool) -> anyhow::Result<bool> {
        self.note(if several {
            "takes several user names on one connection, so it can list each miner"
        } else {
            "takes one user name on each connection, so it lists one worker for all miners"
        })?;
        Ok(true)
    }

    /// Returns whether there is a job that could be sent to a miner, and reports it.
    fn job_is_there(&mut self, connection: &Connection, now: Instant) -> anyhow::Result<bool> {
        let job = connection.jobs.latest();
        let Some(job) = job.filter(|_| connection.has_work(now)) else {
            return Ok(false);
        };
        let difficulty = connection
            .difficulty()
            .map_or("1 (not named)".into(), |it| it.to_string());
        let text = format!(
            "difficulty {difficulty}, network difficulty {:.4e}, {} merkle branches",
            network_difficulty(job.notify.nbits),
            job.notify.branches.len()
        );
        let about = about_block(job, self.pool);
        let took = connection.age(now);
        (self.tell)(Finding::Step(Step {
            name: "first job",
            ok: true,
            took,
            text,
        }))?;
        for line in about {
            (self.tell)(Finding::Note(line))?;
        }
        let asked = connection.difficulty().unwrap_or(Difficulty::ONE);
        let unpaid: f64 = self.limits.unpaid(asked);
        if unpaid > 0.0 {
            let told = self.limits.hold(asked).for_miner();
            (self.tell)(Finding::Note(format!(
                "WARNING: the pool asks for difficulty {asked}, but downstream_diff gives miners at least {told}. {:.0}% of \
                 the work would not be paid; clear the minimum",
                (100.0 * unpaid).clamp(1.0, 99.0)
            )))?;
        }
        Ok(true)
    }

    fn send(&mut self, socket: &Socket, out: Vec<Action>) -> anyhow::Result<()> {
        let mut buffer = Vec::new();
        for action in out {
            if let Action::SendPool { message, .. } = action {
                if let ToPool::Request { id, call } = &message {
                    let name = if self.has_job {
                        SECOND_NAME
                    } else {
                        name_of(call)
                    };
                    self.asked.insert(*id, (name, clock()));
                }
                message.encode(&mut buffer);
            }
        }
        socket.write(&buffer).context("failed to send")
    }

    fn waiting_for(&self) -> &'static str {
        self.asked
            .values()
            .next()
            .map_or("first job", |(name, _)| name)
    }
}

/// What a job says about its block: its height, the address it pays, and its size.
fn about_block(job: &PoolJob, pool: &PoolConfig) -> Vec<String> {
    let Some(coinbase) = Coinbase::of_job(job) else {
        return vec!["the job's coinbase cannot be read; your miners mine it anyway".to_owned()];
    };
    let mut lines = Vec::new();
    let height = job.notify.height().map(|height| format!("block {height}"));
    let tag = coinbase.tag().map(|tag| format!("tag {tag}"));
    let coin = Chain::of_name(&pool.chain).map(|chain| chain.coin);
    let reward = format!("reward {}", amount(coinbase.reward(), coin));
    let block: Vec<_> = height.into_iter().chain([reward]).chain(tag).collect();
    lines.push(block.join(", "));
    let problem = wallet_problem(&pool.wallet, &pool.chain);
    lines.extend(problem.map(|problem| format!("WARNING: {problem}")));
    lines.push(whom_it_pays(&coinbase, pool));
    let (size, branches) = (coinbase.size(), job.notify.branches.len());
    let mut text = format!("coinbase {size} bytes, {branches} branches");
    let small: Vec<_> = SMALL_MINERS
        .into_iter()
        .filter(|(_, most)| size > *most)
        .map(|(name, most)| format!("{name} ({most} bytes)"))
        .collect();
    if !small.is_empty() {
        text.push_str(&format!(
            "; too large for miners such as {}",
            small.join(", ")
        ));
    }
    lines.push(text);
    lines
}

/// How much of the reward goes to the owner's address, if it is one.
fn whom_it_pays(coinbase: &Coinbase, pool: &PoolConfig) -> String {
    let share = match Payee::of(Some(coinbase), &pool.wallet, &pool.chain) {
        Payee::Known(payment) => payment.share,
        Payee::CannotTell(Obstacle::Wallet) => {
            return "DPMP cannot tell who it pays: the payout address has a mistake".to_owned();
        }
        Payee::CannotTell(Obstacle::Account | Obstacle::Coinbase) => {
            return "DPMP cannot tell who it pays: the payout address is an account name"
                .to_owned();
        }
    };
    if share >= 0.001 {
        return format!("pays your address {}", Percent(share));
    }
    let outputs = coinbase.outputs().iter();
    let highest = outputs.max_by_key(|output| output.value);
    let to = Chain::of_name(&pool.chain)
        .zip(highest.map(|output| coinbase.script_of(output)))
        .and_then(|(chain, script)| address::of_script(script, chain))
        .map_or(String::new(), |to| format!(" {to}"));
    format!("pays{to} and not your address, as usual for pools that share rewards")
}

/// An amount in coins, or in the smallest units if the coin is unknown.
fn amount(units: u64, coin: Option<Coin>) -> String {
    let Some(coin) = coin else {
        return format!("{units} units");
    };
    let places = coin.decimals();
    let one = 10u64.pow(places);
    let width = usize::try_from(places).unwrap_or_default();
    format!("{}.{:0width$} {}", units / one, units % one, coin.name())
}

/// Whether the handshake continues after this answer; a pool does not have to agree to anything in configure.
fn goes_on(step: &str, outcome: &Outcome) -> bool {
    match step {
        "subscribe" => matches!(outcome, Outcome::Subscribed(_)),
        "authorize" => matches!(outcome, Outcome::True),
        _ => true,
    }
}

fn name_of(call: &PoolCall) -> &'static str {
    match call {
        PoolCall::Configure(_) => "configure",
        PoolCall::Subscribe { .. } => "subscribe",
        PoolCall::Authorize { .. } => "authorize",
        PoolCall::SuggestDifficulty(_) => "suggest",
        PoolCall::Submit(_) => "submit",
    }
}

fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::True => "accepted".into(),
        Outcome::Rejected(reject) => format!("refused: {reject}"),
        Outcome::Subscribed(extranonces) => format!(
            "extranonce1 {} ({} bytes), extranonce2 {} bytes",
            extranonces.e1,
            extranonces.e1.len(),
            extranonces.e2_size
        ),
        Outcome::Configured(Some(mask)) => format!("version rolling with mask {mask}"),
        Outcome::Configured(None) => "no version rolling".into(),
        Outcome::Other(text) => format!("an unexpected answer: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coin::address::Wallet;
    use crate::units::{Extranonce1, VersionMask};

    /// Block 840,000 with a tag, paying outputs with these values and scripts.
    fn job(outputs: &[(u64, Vec<u8>)]) -> PoolJob {
        let before = [&[1, 0, 0, 0, 1][..], &[0; 32], &[0xff; 4]].concat();
        let script = b"\x03\x40\xd1\x0c/a pool/";
        let size = u8::try_from(script.len() + 8).unwrap();
        let mut after = [0xff; 4].to_vec();
        after.push(u8::try_from(outputs.len()).unwrap());
        for (value, script) in outputs {
            after.extend(value.to_le_bytes());
            after.push(u8::try_from(script.len()).unwrap());
            after.extend(script);
        }
        after.extend([0; 4]);
        let notify = Notify {
            job_id: "1".into(),
            prevhash: [0; 32],
            coinb1: [&before[..], &[size], script].concat(),
            coinb2: after,
            branches: Vec::new(),
            version: 1,
            nbits: 0x1d00_ffff,
            ntime: 0,
            clean: true,
        };
        let e1 = Extranonce1::new(&[0; 4]).unwrap();
        PoolJob::new(Arc::new(notify), e1, 4, Difficulty::ONE, VersionMask::NONE)
    }

    fn told(wallet: &str, chain: &str, outputs: &[(u64, Vec<u8>)]) -> String {
        let text = format!(
            r#"{{"pools": {{"A": {{"host": "pool.com", "wallet": "{wallet}", "chain": "{chain}"}}}}}}"#
        );
        let pool = crate::config::parse(&text).unwrap().config.pools[PoolSlot::A].take();
        about_block(&job(outputs), &pool.unwrap()).join("\n")
    }

    #[test]
    fn a_job_shows_what_its_block_pays_and_to_whom() {
        let wallet = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
        let Wallet::Address(mine) = Wallet::read(wallet) else {
            panic!("an address");
        };
        let theirs = [&[0x76, 0xa9, 20][..], &[7; 20], &[0x88, 0xac]].concat();
        let outputs = [(306_250_000, mine.script), (6_250_000, theirs)];
        assert_eq!(
            told(wallet, "BTC", &outputs),
            "block 840000, reward 3.12500000 BTC, tag /a pool/\n\
             pays your address 98.0%\n\
             coinbase 136 bytes, 0 branches"
        );
        let other = told("1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggu", "BCH", &outputs[1..]);
        assert!(other.contains("reward 0.06250000 BCH"), "{other}");
        assert!(
            other.contains("pays bitcoincash:q") && other.contains("and not your address"),
            "{other}"
        );
        let Wallet::Address(mine) = Wallet::read(wallet) else {
            panic!("an address");
        };
        let dust = [(1, mine.script), outputs[1].clone()];
        assert!(told(wallet, "BTC", &dust).contains("and not your address"));
        let wrong_coin = told(wallet, "BCH", &outputs);
        assert!(
            wrong_coin.contains("WARNING: This is a Bitcoin address, but the coin is BCH."),
            "{wrong_coin}"
        );
        let account = told("alice", "LTC", &outputs);
        assert!(account.contains("reward 312500000 units"), "{account}");
        assert!(account.contains("cannot tell who it pays"), "{account}");
    }

    #[test]
    fn a_block_too_large_for_some_miners_is_pointed_out() {
        let outputs: Vec<_> = (0..20).map(|at| (at, vec![0x6a; 30])).collect();
        let text = told("alice", "BTC", &outputs);
        assert!(
            text.contains("too large for miners such as NerdMiner (512 bytes), Antminer"),
            "{text}"
        );
        assert!(!text.contains("S21"), "{text}");
    }

    #[test]
    fn an_unreadable_coinbase_is_not_a_failure() {
        let mut job = job(&[(1, vec![])]);
        let mut notify = Notify::clone(&job.notify);
        notify.coinb2.pop();
        job.notify = Arc::new(notify);
        let pool = crate::config::parse(r#"{"pools": {"A": {"host": "a", "wallet": "b"}}}"#);
        let pool = pool.unwrap().config.pools[PoolSlot::A].take().unwrap();
        assert!(about_block(&job, &pool)[0].contains("cannot be read"));
    }
}
