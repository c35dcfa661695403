//! `dpmp healthcheck`: asks the running proxy whether it can serve miners. For containers.
//!
//! Only the answer of the proxy that was started with this configuration counts: its `running.json` says where it is
//! and how its answers are known. Another program may have its ports, or ports that it does not have.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};

use crate::config;
use crate::shell::running::{self, HEADER, Running};
use crate::system::files::{self, backup_path};
use crate::system::net::local;

/// How long each step may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Exit code 0 if the proxy on this machine says that it is well.
///
/// # Errors
/// If it does not answer, or says that it is not; with its own words.
pub fn run(path: &Path) -> anyhow::Result<ExitCode> {
    let place = match running::read(&running::path(path)) {
        Some(running) => Place::from(running),
        None => configured(path)?,
    };
    let words = ask(&place)?;
    writeln!(std::io::stdout(), "{words}").context("failed to write")?;
    Ok(ExitCode::SUCCESS)
}

/// Where the proxy should be, and by what its answers are known.
struct Place {
    listen: SocketAddr,
    /// The pages that can be asked, the best first.
    pages: Vec<SocketAddr>,
    /// `None`: any DPMP will do.
    instance: Option<String>,
}

impl From<Running> for Place {
    fn from(running: Running) -> Self {
        Self {
            listen: running.listen,
            pages: [running.metrics, running.gui]
                .into_iter()
                .flatten()
                .collect(),
            instance: Some(running.instance),
        }
    }
}

/// Where the configuration has it, or the one before, if the present one cannot be used: a proxy that runs has refused
/// it. The usual ports are no guess: there may be anybody.
fn configured(path: &Path) -> anyhow::Result<Place> {
    let read = |path: &Path| {
        let text = files::read_text(path, config::LARGEST_FILE)?;
        anyhow::Ok(config::parse(&text)?.config)
    };
    let config = read(path).or_else(|error| read(&backup_path(path)).map_err(|_| error));
    let config = config.with_context(|| {
        format!(
            "DPMP does not run with {}: there is no running.json beside it, and the file does not say which port to ask",
            path.display()
        )
    })?;
    let (metrics, gui) = (&config.metrics, &config.gui);
    let pages = [
        metrics
            .enabled
            .then(|| SocketAddr::new(metrics.host, metrics.port)),
        gui.enabled.then(|| SocketAddr::new(gui.host, gui.port)),
    ];
    Ok(Place {
        listen: SocketAddr::new(config.listen.host, config.listen.port),
        pages: pages.into_iter().flatten().collect(),
        instance: None,
    })
}

/// What the first page says that answers.
fn ask(place: &Place) -> anyhow::Result<String> {
    if place.pages.is_empty() {
        // At least the port for miners has to be open.
        let address = local(place.listen);
        TcpStream::connect_timeout(&address, PATIENCE)
            .with_context(|| format!("nobody listens for miners on {address}"))?;
        return Ok("ok".into());
    }
    let mut problems = Vec::new();
    for page in &place.pages {
        match answer_of(local(*page), place.instance.as_deref()) {
            Ok(Health::Well(words)) => return Ok(words),
            Ok(Health::Ill(words)) => bail!("not healthy: {words}"),
            Err(problem) => problems.push(format!("{problem:#}")),
        }
    }
    Err(anyhow!(problems.join("; ")))
}

/// What the proxy says of itself.
#[derive(Debug)]
enum Health {
    Well(String),
    Ill(String),
}

/// # Errors
/// If there is no answer of this instance.
fn answer_of(address: SocketAddr, instance: Option<&str>) -> anyhow::Result<Health> {
    let answer = get(address, "/healthz")
        .with_context(|| format!("no answer from http://{address}/healthz"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let said = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case(HEADER).then(|| value.trim())
    });
    let is_ours = match instance {
        Some(instance) => said == Some(instance),
        None => said.is_some(),
    };
    if !is_ours {
        // It may also be the proxy itself, with all seats taken.
        bail!(
            "the answer from http://{address}/healthz is not from the DPMP of this configuration: {}",
            head.lines().next().unwrap_or_default()
        );
    }
    let words = body.trim().to_owned();
    let is_well = head.split(' ').nth(1).is_some_and(|status| status == "200");
    Ok(if is_well {
        Health::Well(words)
    } else {
        Health::Ill(words)
    })
}

fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(64 * 1024).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
