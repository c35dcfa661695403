//! Connects to a pool and then reads from it, on one thread per connection.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;

use crate::core::action::DialTarget;
use crate::core::event::DialError;
use crate::observe::metrics::Side;
use crate::shell::connection::{LineSource, open_link, prepare, read_lines};
use crate::shell::inbox::{Context, Input};
use crate::shell::names::Names;
use crate::shell::socket::Socket;
use crate::shell::tls::pool::Tls;
use crate::system::clock::clock;
use crate::system::net::Deadline;
use crate::system::thread::{PARSER_STACK, WRITER_STACK, spawn};
use crate::units::PoolConn;

/// How long looking up the pool's name may take.
const LOOK_UP: Duration = Duration::from_secs(4);

/// How long a pool may take to accept a connection, over all its addresses. A lost packet is sent again after 1 and 3
/// s.
const PATIENCE: Duration = Duration::from_secs(4);

/// How long the next address waits for the previous one, which continues in the meantime (as RFC 8305 recommends).
const HEAD_START: Duration = Duration::from_millis(250);

/// How many addresses of a name are tried.
const MOST_ADDRESSES: usize = 6;

/// How long a TLS handshake may take.
const SHAKE_HANDS: Duration = Duration::from_secs(10);

/// Far more than a pool sends on one connection; beyond that, the reader pauses.
const LINES_PER_SECOND: u32 = 500;

/// Starts the thread that dials and then reads. It reports `PoolOpened` or `PoolDialFailed`, once.
///
/// # Errors
/// If there is no room for the thread; then nothing is reported.
pub fn dial(conn: PoolConn, target: Arc<DialTarget>, context: &Context) -> io::Result<()> {
    let inside = context.clone();
    spawn(conn.to_string(), PARSER_STACK, move || {
        run(conn, &target, &inside)
    })?;
    Ok(())
}

/// The addresses at which a pool may be, found before `until`.
///
/// # Errors
/// If there is none, as text for the owner.
pub fn resolve(target: &DialTarget, names: &Names, until: Instant) -> io::Result<Vec<SocketAddr>> {
    let until = until.min(clock() + LOOK_UP);
    names.look_up(&target.host, target.port, until)
}

/// Connects to the first of a name's addresses that answers, before `until`. Each gets a head start, so an address that
/// does not answer costs only a moment (compat Q50).
///
/// # Errors
/// If none of them answers in time; the last one's error.
pub fn connect(addresses: &[SocketAddr], until: Instant) -> io::Result<TcpStream> {
    let until = until.min(clock() + PATIENCE);
    let mut waiting = in_turn(addresses);
    if let [address] = addresses {
        return connect_to(*address, until);
    }
    let (results, arrived) = bounded(MOST_ADDRESSES);
    let mut under_way = 0;
    let mut last = io::Error::new(io::ErrorKind::TimedOut, "no time was left to connect");
    loop {
        let next = waiting.next();
        if let Some(address) = next {
            let results = results.clone();
            spawn("dial", WRITER_STACK, move || {
                // The second answer is not needed.
                let _ = results.send(connect_to(address, until));
            })?;
            under_way += 1;
        } else if under_way == 0 {
            return Err(last);
        }
        let head_start = match next {
            Some(_) => clock() + HEAD_START,
            // The threads keep the time limit themselves.
            None => until + HEAD_START,
        };
        match arrived.recv_deadline(head_start) {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => {
                last = error;
                under_way -= 1;
            }
            Err(_) if next.is_none() => return Err(last),
            Err(_) => (),
        }
    }
}

fn connect_to(address: SocketAddr, until: Instant) -> io::Result<TcpStream> {
    let connected = Deadline(until)
        .left()
        .and_then(|left| TcpStream::connect_timeout(&address, left));
    connected
        .and_then(|stream| prepare(&stream).map(|()| stream))
        .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))
}

/// Encrypts a new connection before `until`, if the target requires it.
///
/// # Errors
/// If the handshake fails, with the reason, as text for the owner.
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

/// The addresses of both families alternately, so that a family without a route costs only one attempt (compat Q50).
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

fn reach(target: &DialTarget, context: &Context) -> Result<Arc<Socket>, DialError> {
    let until = clock() + LOOK_UP + PATIENCE;
    let stream = resolve(target, &context.names, until)
        .and_then(|addresses| connect(&addresses, until))
        .map_err(|error| DialError::Unreachable(error.to_string()))?;
    let until = clock() + SHAKE_HANDS;
    secure(stream, target, &context.tls, until).map_err(|error| {
        let text = error.to_string();
        // Only this error has a separate kind: see tls::pool.
        if error.kind() == io::ErrorKind::PermissionDenied {
            DialError::Certificate(text)
        } else {
            DialError::Unencrypted(text)
        }
    })
}

fn run(conn: PoolConn, target: &DialTarget, context: &Context) {
    let failed = |error| {
        let _ = context.inbox.send(Input::PoolDialFailed { conn, error });
    };
    let socket = match reach(target, context) {
        Ok(socket) => socket,
        Err(error) => return failed(error),
    };
    let link = match open_link(&conn.to_string(), &socket) {
        Ok(link) => link,
        Err(error) => {
            let text = format!("no thread for the connection: {error}");
            return failed(DialError::Unreachable(text));
        }
    };
    if context
        .inbox
        .send(Input::PoolOpened { conn, link })
        .is_err()
    {
        return;
    }
    let reading = LineSource {
        socket: &socket,
        longest_line: context.live.get().listen.pool_max_line_bytes,
        lines_per_second: LINES_PER_SECOND,
        metrics: &context.observer.metrics,
        side: Side::Upstream,
    };
    let mut heard = false;
    let reason = read_lines(&reading, |line| {
        heard = true;
        let line = context.jobs.read(conn.slot, line);
        context
            .inbox
            .send(Input::PoolLine {
                conn,
                line,
                received: clock(),
            })
            .is_ok()
    });
    let reason = reason.of_pool(heard, target.tls.is_some());
    let _ = context.inbox.send(Input::PoolClosed { conn, reason });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An address that neither accepts nor refuses connections, as behind a firewall: its queue is full.
    #[cfg(target_os = "linux")]
    fn swallower() -> (socket2::Socket, Vec<TcpStream>, SocketAddr) {
        use socket2::{Domain, Socket, Type};
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&any.into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let patience = Duration::from_millis(300);
        let filled = std::iter::from_fn(|| TcpStream::connect_timeout(&address, patience).ok());
        (socket, filled.take(16).collect(), address)
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn addresses_that_never_answer_cost_only_a_moment_each() {
        let swallowers = [swallower(), swallower(), swallower()];
        let good = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut addresses: Vec<_> = swallowers.iter().map(|(_, _, address)| *address).collect();
        addresses.push(good.local_addr().unwrap());
        let began = clock();
        let stream = connect(&addresses, began + PATIENCE).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good.local_addr().unwrap());
        assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
        // Without other addresses, it ends in time.
        addresses.pop();
        let until = clock() + Duration::from_secs(1);
        let error = connect(&addresses, until).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        // An address that refuses does not prevent trying others.
        let refusing = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let good = good.local_addr().unwrap();
        let stream = connect(&[refusing, good], clock() + PATIENCE).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
    }

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
