//! `dpmp healthcheck`: asks the running proxy whether it can serve miners. For containers.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::config::{self, Config};
use crate::system::files;

/// How long each step may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Exit code 0 if the proxy on this machine says that it is well.
///
/// # Errors
/// If it does not answer, or says that it is not; with its own words.
pub fn run(path: &Path) -> anyhow::Result<ExitCode> {
    let config = config_in_force(path);
    let page = match (config.metrics.enabled, config.gui.enabled) {
        (true, _) => Some((config.metrics.host, config.metrics.port)),
        (false, true) => Some((config.gui.host, config.gui.port)),
        (false, false) => None,
    };
    let Some((host, port)) = page else {
        // There is no page to ask; at least the port for miners has to be open.
        let address = local(config.listen.host, config.listen.port);
        TcpStream::connect_timeout(&address, PATIENCE)
            .with_context(|| format!("nobody listens for miners on {address}"))?;
        return Ok(ExitCode::SUCCESS);
    };
    let address = local(host, port);
    let answer = get(address, "/healthz")
        .with_context(|| format!("no answer from http://{address}/healthz"))?;
    let body = answer
        .split_once("\r\n\r\n")
        .map_or("", |(_, body)| body)
        .trim();
    if !answer.starts_with("HTTP/1.1 200") && !answer.starts_with("HTTP/1.0 200") {
        bail!("not healthy: {body}");
    }
    writeln!(std::io::stdout(), "{body}").context("failed to write")?;
    Ok(ExitCode::SUCCESS)
}

/// What the running proxy most probably goes by. A file that cannot be used now was refused by it, and is no reason
/// to call it ill: the one before is beside it, or its ports are the usual ones.
fn config_in_force(path: &Path) -> Config {
    let read = |path: &Path| {
        let text = files::read_text(path, config::LARGEST_FILE).ok()?;
        Some(config::parse(&text).ok()?.config)
    };
    read(path)
        .or_else(|| read(&path.with_extension("json.bak")))
        .unwrap_or_default()
}

/// How to reach a service of this machine that listens on `host`.
fn local(host: IpAddr, port: u16) -> SocketAddr {
    let host = match host {
        IpAddr::V4(host) if host.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(host) if host.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        host @ (IpAddr::V4(_) | IpAddr::V6(_)) => host,
    };
    SocketAddr::new(host, port)
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
