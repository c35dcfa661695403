//! `dpmp check`: is the configuration good, and do both pools work? Nothing is mined.
//!
//! The conversation with a pool is held by the same [`Upstream`] that serves miners, so that what
//! is found here is what a miner will find.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};

use crate::config::{self, PoolConfig};
use crate::core::action::Action;
use crate::core::pool::{SMALLEST_E2, target};
use crate::core::pool_facts::PoolFacts;
use crate::core::session::OWN_USER_AGENT;
use crate::core::upstream::open::Heard;
use crate::core::upstream::{Identity, Talk, Upstream};
use crate::shell::clock::clock;
use crate::shell::dial::connect;
use crate::stratum::codec::{Encode, decode_pool};
use crate::stratum::job::{Notify, network_difficulty};
use crate::stratum::line::LineReader;
use crate::stratum::message::{FromPool, Outcome, PoolCall, ToPool};
use crate::units::{Client, MinerId, PoolConn, PoolSlot};

/// How long a pool may take for everything.
const PATIENCE: Duration = Duration::from_secs(40);

/// How often a pool may hang up on `mining.configure` before it is given up.
const MOST_ATTEMPTS: usize = 6;

/// Under which name the pools see this check.
const WORKER: &str = "check";

/// Checks the file and both pools; exit code 0 only if everything works.
///
/// # Errors
/// If the file cannot be read or is not valid.
pub fn run(path: &Path) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("failed to read {}", path.display()))?;
    let loaded = config::parse(&text)
        .map_err(|errors| anyhow!("{} is not valid:\n{errors}", path.display()))?;
    say(format_args!("{}: valid", path.display()))?;
    for warning in &loaded.warnings {
        say(format_args!("  warning: {warning}"))?;
    }
    let mut good = true;
    for slot in PoolSlot::ALL {
        let share = 100.0 * loaded.config.share(slot);
        match &loaded.config.pools[slot] {
            None if share == 0.0 => {
                say(format_args!(
                    "pool {slot}: not set up, and not needed at weight 0"
                ))?;
            }
            None => {
                say(format_args!(
                    "pool {slot}: not set up (host or wallet is missing or a placeholder)"
                ))?;
                good = false;
            }
            Some(pool) => {
                let name = &pool.name;
                let (address, chain) = (pool.address(), &pool.chain);
                say(format_args!(
                    "pool {slot}: {name}, {chain}, {address}, {share:.1} % of the work"
                ))?;
                if let Err(error) = check_pool(slot, pool) {
                    say(format_args!("  FAILED: {error:#}"))?;
                    good = false;
                }
            }
        }
    }
    say(if good {
        "both pools work"
    } else {
        "not everything works: see above"
    })?;
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn say(line: impl Display) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

fn check_pool(slot: PoolSlot, pool: &PoolConfig) -> anyhow::Result<()> {
    let began = clock();
    let addresses: Vec<_> = (pool.host.as_str(), pool.port)
        .to_socket_addrs()
        .with_context(|| format!("the name {:?} cannot be resolved", pool.host))?
        .map(|address| address.ip().to_string())
        .collect();
    step("resolve", began, addresses.join(", "))?;
    let mut visit = Visit::new(slot, pool, began);
    for _ in 0..MOST_ATTEMPTS {
        if visit.attempt()? {
            return Ok(());
        }
    }
    bail!("it closes the connection whenever it is asked to configure")
}

fn step(name: &str, began: Instant, what: impl Display) -> io::Result<()> {
    let took = began.elapsed().as_secs_f64() * 1000.0;
    say(format_args!("  {name:<10} {took:>8.1} ms  {what}"))
}

/// One pool, visited until it has given a job.
struct Visit<'a> {
    pool: &'a PoolConfig,
    upstream: Upstream,
    facts: PoolFacts,
    latest: Option<Arc<Notify>>,
    identity: Identity,
    deadline: Instant,
    /// What was asked and when, by id.
    asked: BTreeMap<u64, (&'static str, Instant)>,
}

impl<'a> Visit<'a> {
    fn new(slot: PoolSlot, pool: &'a PoolConfig, began: Instant) -> Self {
        Self {
            pool,
            upstream: Upstream::new(Client::Miner(MinerId(0)), slot),
            facts: PoolFacts::default(),
            latest: None,
            identity: Identity {
                user_agent: OWN_USER_AGENT.to_owned(),
                user: Arc::from(pool.user_name.of(&pool.wallet, WORKER, WORKER)),
                password: pool.password.clone().unwrap_or_else(|| "x".to_owned()),
                version_rolling: true,
                suggested: None,
            },
            deadline: began + PATIENCE,
            asked: BTreeMap::new(),
        }
    }

    /// One connection: whether a job came, or the pool hung up on `mining.configure` and wants to be
    /// asked in another way.
    fn attempt(&mut self) -> anyhow::Result<bool> {
        let began = clock();
        let stream = connect(&target(self.pool)).context("could not connect")?;
        let peer = stream
            .peer_addr()
            .map(|peer| peer.to_string())
            .unwrap_or_default();
        step("connect", began, peer)?;
        let conn = self.upstream.want();
        self.upstream.start_dial(conn);
        let mut out = Vec::new();
        let mut talk = Talk {
            facts: &mut self.facts,
            latest: &mut self.latest,
            now: clock(),
            out: &mut out,
        };
        self.upstream.opened(conn, self.identity.clone(), &mut talk);
        self.send(&stream, out)?;
        let mut lines = LineReader::new(&stream, 1024 * 1024);
        loop {
            let rest = self.deadline.saturating_duration_since(clock());
            if rest.is_zero() {
                bail!("no job within {} s", PATIENCE.as_secs());
            }
            stream
                .set_read_timeout(Some(rest))
                .context("failed to set a time limit")?;
            match lines.next_line(decode_pool) {
                Ok(Some(Ok(message))) => {
                    if self.on_message(conn, message, &stream)? {
                        return Ok(true);
                    }
                }
                Ok(Some(Err(error))) => say(format_args!("  a line that cannot be used: {error}"))?,
                Ok(None)
                    if self
                        .upstream
                        .open()
                        .is_some_and(|open| open.is_configuring()) =>
                {
                    step(
                        "configure",
                        began,
                        "the pool hung up; asking in another order",
                    )?;
                    self.facts.hung_up_on_configure();
                    self.upstream.drop_connection();
                    return Ok(false);
                }
                Ok(None) => bail!("the pool closed the connection"),
                Err(error) => bail!("while waiting for {}: {error}", self.waiting_for()),
            }
        }
    }

    /// Takes in a line; whether everything is known now.
    fn on_message(
        &mut self,
        conn: PoolConn,
        message: FromPool,
        stream: &TcpStream,
    ) -> anyhow::Result<bool> {
        if let FromPool::Response { id, outcome } = &message {
            if let Some((name, began)) = self.asked.remove(id) {
                step(name, began, describe(outcome))?;
            }
        }
        let mut out = Vec::new();
        let mut talk = Talk {
            facts: &mut self.facts,
            latest: &mut self.latest,
            now: clock(),
            out: &mut out,
        };
        let heard = self.upstream.heard(conn, message, &mut talk);
        self.send(stream, out)?;
        match heard {
            Heard::Lost(loss) => bail!("{loss}"),
            Heard::Subscribed(extranonces) if extranonces.e2_size < SMALLEST_E2 => bail!(
                "the pool leaves {} bytes of extranonce2, at least {SMALLEST_E2} are needed",
                extranonces.e2_size
            ),
            Heard::Reconnect {
                host: Some(host), ..
            } => {
                say(format_args!(
                    "  the pool wants to send miners to {host}: DPMP will not go there"
                ))?;
            }
            Heard::Message(text) => say(format_args!("  the pool says: {text}"))?,
            Heard::Useless(problem) => {
                say(format_args!("  a line that cannot be used: {problem}"))?
            }
            Heard::Nothing
            | Heard::Ready
            | Heard::Job
            | Heard::JobChanged
            | Heard::Answered(..)
            | Heard::Subscribed(_)
            | Heard::Reconnect { host: None, .. } => (),
        }
        self.job_is_there(clock())
    }

    /// Whether there is a job that a miner could be sent; it is shown.
    fn job_is_there(&self, now: Instant) -> anyhow::Result<bool> {
        let Some(open) = self.upstream.open().filter(|open| open.has_work(now)) else {
            return Ok(false);
        };
        let Some(job) = open.jobs.latest() else {
            return Ok(false);
        };
        let difficulty = open
            .difficulty()
            .map_or("1 (not named)".into(), |it| it.to_string());
        let took = open.age(now).as_secs_f64() * 1000.0;
        say(format_args!(
            "  {:<10} {took:>8.1} ms  difficulty {difficulty}, network difficulty {:.4e}, {} merkle branches",
            "first job",
            network_difficulty(job.notify.nbits),
            job.notify.branches.len()
        ))?;
        Ok(true)
    }

    fn send(&mut self, mut stream: &TcpStream, out: Vec<Action>) -> anyhow::Result<()> {
        let mut buffer = Vec::new();
        for action in out {
            if let Action::SendPool { message, .. } = action {
                if let ToPool::Request { id, call } = &message {
                    self.asked.insert(*id, (name_of(call), clock()));
                }
                message.encode(&mut buffer);
            }
        }
        stream.write_all(&buffer).context("failed to send")
    }

    fn waiting_for(&self) -> &'static str {
        self.asked
            .values()
            .next()
            .map_or("the first job", |(name, _)| name)
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
        Outcome::Other(text) => format!("an odd answer: {text}"),
    }
}
