//! Connects to a pool and then reads it, on one thread of the connection's own.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::core::action::DialTarget;
use crate::observe::metrics::Side;
use crate::shell::connection::{Reading, prepare, read_lines, start_writer};
use crate::shell::inbox::{Context, Input};
use crate::shell::link::Socket;
use crate::shell::tls::pool::Tls;
use crate::stratum::codec::decode_pool;
use crate::system::clock::clock;
use crate::system::thread::{PARSER_STACK, spawn};
use crate::units::PoolConn;

/// How long one address may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many of a name's addresses are tried.
const MOST_ADDRESSES: usize = 6;

/// How long all of them together may take.
const PATIENCE_FOR_ALL: Duration = Duration::from_secs(30);

/// Far above what a pool sends on one connection; beyond it the reader pauses. A miner's queue holds
/// two seconds of it, so that no burst of a pool costs a miner that reads its connection.
const LINES_PER_SECOND: u32 = 500;

/// Starts the thread that dials and then reads. It reports `PoolOpened` or `PoolDialFailed`, once.
///
/// # Errors
/// If there is no room for the thread; then nothing is reported.
pub fn dial(conn: PoolConn, target: Arc<DialTarget>, context: &Context) -> io::Result<()> {
    let inside = context.clone();
    spawn(format!("{conn}-rx"), PARSER_STACK, move || {
        run(conn, &target, &inside)
    })?;
    Ok(())
}

/// Connects to the first of a name's addresses that answers, before `until`.
///
/// # Errors
/// If the name has no address or none of them answers in time; the last one's error.
pub fn connect(target: &DialTarget, until: Instant) -> io::Result<TcpStream> {
    let addresses: Vec<_> = (target.host.as_str(), target.port)
        .to_socket_addrs()?
        .collect();
    let mut last = if addresses.is_empty() {
        io::Error::new(io::ErrorKind::NotFound, "the name has no address")
    } else {
        io::Error::new(io::ErrorKind::TimedOut, "no time was left to connect")
    };
    for address in in_turn(&addresses) {
        let patience = PATIENCE.min(until.saturating_duration_since(clock()));
        if patience.is_zero() {
            break;
        }
        let connected = TcpStream::connect_timeout(&address, patience).and_then(|stream| {
            prepare(&stream)?;
            Ok(stream)
        });
        match connected {
            Ok(stream) => return Ok(stream),
            Err(error) => last = io::Error::new(error.kind(), format!("{address}: {error}")),
        }
    }
    Err(last)
}

/// Makes a new connection what the target asks for: encrypted, before `until`, or left as it is.
///
/// # Errors
/// If the handshake fails, with the reason in words for the owner.
pub fn secure(
    stream: TcpStream,
    target: &DialTarget,
    tls: &Tls,
    until: Instant,
) -> io::Result<Arc<Socket>> {
    let Some(trust) = target.tls else {
        return Ok(Socket::new(stream));
    };
    let session = tls.begin(&stream, &target.host, trust, until)?;
    Ok(Socket::encrypted(stream, session))
}

/// The addresses of both families in turn, so that a family without a route costs one attempt
/// and not all (QUIRKS Q50).
fn in_turn(addresses: &[SocketAddr]) -> impl Iterator<Item = SocketAddr> + use<> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut first, mut second): (Vec<_>, Vec<_>) = addresses
        .iter()
        .copied()
        .partition(|address| address.is_ipv6() == first_is_v6);
    first.reverse();
    second.reverse();
    let mut turn = false;
    std::iter::from_fn(move || {
        turn = !turn;
        if turn {
            first.pop().or_else(|| second.pop())
        } else {
            second.pop().or_else(|| first.pop())
        }
    })
    .take(MOST_ADDRESSES)
}

fn run(conn: PoolConn, target: &DialTarget, context: &Context) {
    let failed = |error: String| {
        let _ = context.inbox.send(Input::PoolDialFailed { conn, error });
    };
    let until = clock() + PATIENCE_FOR_ALL;
    let connected =
        connect(target, until).and_then(|stream| secure(stream, target, &context.tls, until));
    let socket = match connected {
        Ok(socket) => socket,
        Err(error) => return failed(error.to_string()),
    };
    let metrics = &context.observer.metrics;
    let name = format!("{conn}-tx");
    let (link, guard) = match start_writer(
        name,
        Arc::clone(&socket),
        Arc::clone(metrics),
        Side::Upstream,
    ) {
        Ok(writer) => writer,
        Err(error) => return failed(format!("no thread for the connection: {error}")),
    };
    if context
        .inbox
        .send(Input::PoolOpened { conn, link })
        .is_err()
    {
        return;
    }
    let reading = Reading {
        socket: &socket,
        longest_line: context.live.get().listen.pool_max_line_bytes,
        lines_per_second: LINES_PER_SECOND,
        metrics,
        side: Side::Upstream,
    };
    let mut heard = false;
    let reason = read_lines(&reading, |line| {
        heard = true;
        let line = decode_pool(line);
        context
            .inbox
            .send(Input::PoolLine {
                conn,
                line,
                received: clock(),
            })
            .is_ok()
    });
    drop(guard);
    let reason = reason.of_pool(heard, target.tls.is_some());
    let _ = context.inbox.send(Input::PoolClosed { conn, reason });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_are_tried_in_turn() {
        let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
        let four = ["1.1.1.1:1", "1.1.1.2:1", "1.1.1.3:1"].map(parse);
        let six = ["[::1]:1", "[::2]:1"].map(parse);
        let mixed: Vec<_> = six.iter().chain(&four).copied().collect();
        let order: Vec<_> = in_turn(&mixed).collect();
        assert_eq!(order, [six[0], four[0], six[1], four[1], four[2]]);
        assert_eq!(in_turn(&[]).count(), 0);
    }
}
