//! `dpmp healthcheck`: asks the running proxy whether it can serve miners. For containers.
//!
//! Only the proxy that was started with this configuration counts: its `running.json` has its ports and a number that
//! identifies its answers. Another program may use these ports.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};

use crate::config;
use crate::shell::running::{self, HEADER, Instance};
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

/// Where the proxy should be, and how its answers are recognized.
struct Place {
    listen: SocketAddr,
    /// Addresses that can be asked, best first.
    pages: Vec<SocketAddr>,
    /// `None`: any DPMP is accepted.
    instance: Option<String>,
}

impl From<Instance> for Place {
    fn from(running: Instance) -> Self {
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

/// The place according to the configuration, or to the previous one if the present one cannot be used, because a
/// running proxy has rejected it. The usual ports are not tried: another program may listen there.
fn configured(path: &Path) -> anyhow::Result<Place> {
    let read = |path: &Path| {
        let text = files::read_text(path, config::LARGEST_FILE)?;
        anyhow::Ok(config::parse_file(&text)?.config)
    };
    let config = read(path).or_else(|error| read(&backup_path(path)).map_err(|_| error));
    let config = config.with_context(|| {
        format!(
            "DPMP is not running with {}: there is no running.json next to it, and the file does not say which port to ask",
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

/// The answer of the first address that answers.
fn ask(place: &Place) -> anyhow::Result<String> {
    if place.pages.is_empty() {
        // At least the port for miners has to be open.
        let address = local(place.listen);
        TcpStream::connect_timeout(&address, PATIENCE)
            .with_context(|| format!("nothing listens for miners on {address}"))?;
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

/// What the proxy reports about itself.
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
        // It may also be the proxy itself, with all connections in use.
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

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::system::thread::{SERVICE_STACK, spawn};

    const OURS: &str = "1";

    /// A page that gives everyone this answer.
    fn page(status: &'static str, instance: &'static str, words: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answer = move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 1024]);
                let answer = format!("HTTP/1.0 {status}\r\n{HEADER}: {instance}\r\n\r\n{words}\n");
                let _ = stream.write_all(answer.as_bytes());
            }
        };
        spawn("page", SERVICE_STACK, answer).unwrap();
        address
    }

    /// A port on which nothing listens.
    fn closed() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
    }

    fn said(listen: SocketAddr, pages: &[SocketAddr]) -> Result<String, String> {
        let place = Place {
            listen,
            pages: pages.to_vec(),
            instance: Some(OURS.to_owned()),
        };
        ask(&place).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn the_first_page_of_the_right_proxy_decides() {
        let well = page("200 OK", OURS, "ok");
        let ill = page("503 Service Unavailable", OURS, "no pool works");
        let other = page("200 OK", "2", "ok");
        assert_eq!(said(closed(), &[well, ill]), Ok("ok".into()));
        let not_healthy = Err("not healthy: no pool works".to_owned());
        assert_eq!(said(closed(), &[ill, well]), not_healthy);
        // One that cannot be reached or belongs to another program does not count.
        assert_eq!(said(closed(), &[closed(), other, well]), Ok("ok".into()));
        let problems = said(closed(), &[closed(), other]).unwrap_err();
        assert!(problems.contains("no answer from http"), "{problems}");
        assert!(problems.contains("not from the DPMP"), "{problems}");
    }

    #[test]
    fn without_pages_the_mining_port_has_to_be_open() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = port.local_addr().unwrap();
        // If it listens on every address, the local one is asked.
        let everywhere = SocketAddr::new([0, 0, 0, 0].into(), address.port());
        for listen in [address, everywhere] {
            assert_eq!(said(listen, &[]), Ok("ok".into()));
        }
        drop(port);
        let problem = said(address, &[]).unwrap_err();
        assert!(problem.contains("nothing listens for miners"), "{problem}");
    }
}
