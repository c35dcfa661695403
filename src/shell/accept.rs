//! Lets miners in: counts them against the limits and hands each to its own reader.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use parking_lot::Mutex;
use socket2::{Domain, Protocol, Socket as RawSocket, Type};

use crate::config::Config;
use crate::core::event::CloseReason;
use crate::core::fact::{Fact, Limit};
use crate::observe::metrics::Side;
use crate::shell::clock::clock;
use crate::shell::connection::{Reading, prepare, read_lines, start_writer};
use crate::shell::inbox::{Context as Shared, Input};
use crate::shell::link::Socket;
use crate::shell::thread::{PARSER_STACK, SERVICE_STACK, spawn};
use crate::stratum::codec::decode_miner;
use crate::units::MinerId;

/// How many connections the system may hold for us: a farm comes back all at once after a restart.
const BACKLOG: i32 = 1024;

/// How long to wait after a failed accept; it is usually a lack of descriptors.
const AFTER_FAILURE: Duration = Duration::from_millis(200);

/// How long our own connection, which wakes the acceptor up to its end, may take.
const WAKE_UP: Duration = Duration::from_millis(100);

/// The same refusal is reported at most this often.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// The open door. Dropping it does not close it: call [`stop`](Self::stop).
#[derive(Debug)]
pub struct Door {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
}

/// Opens the port for miners.
///
/// # Errors
/// If the port is taken or not allowed.
pub fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let open = || -> io::Result<TcpListener> {
        let socket = RawSocket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        if let SocketAddr::V6(v6) = address {
            // "::" serves IPv4 as well.
            socket.set_only_v6(!v6.ip().is_unspecified())?;
        }
        // So that a restart need not wait for old connections to be forgotten.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    open().with_context(|| {
        format!("failed to listen for miners on {address} (listen.host, listen.port)")
    })
}

impl Door {
    /// Starts to accept.
    ///
    /// # Errors
    /// If there is no room for the thread.
    pub fn open(listener: TcpListener, shared: Shared) -> anyhow::Result<Self> {
        let address = listener
            .local_addr()
            .context("failed to read the listening address")?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        spawn("accept", SERVICE_STACK, move || {
            accept(&listener, &stopped, &shared)
        })
        .context("failed to start the accept thread")?;
        Ok(Self { address, stop })
    }

    /// Where miners connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the port. It does not wait for the thread, which may itself wait for the scheduler.
    pub fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        // The thread waits in accept: a connection of our own wakes it up.
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
        };
        let _ = TcpStream::connect_timeout(&SocketAddr::new(ip, self.address.port()), WAKE_UP);
    }
}

fn accept(listener: &TcpListener, stop: &AtomicBool, shared: &Shared) {
    let seats = Seats::default();
    let mut next = 0;
    let mut reported: Option<Instant> = None;
    let mut report = |fact: Fact| {
        let now = clock();
        if reported.is_none_or(|last| now.duration_since(last) >= REPORT_EVERY) {
            reported = Some(now);
            let _ = shared.inbox.send(Input::Report(fact));
        }
    };
    loop {
        let accepted = listener.accept();
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                report(Fact::AcceptFailed {
                    error: error.to_string(),
                });
                std::thread::sleep(AFTER_FAILURE);
                continue;
            }
        };
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let config = shared.live.get();
        let seat = match seats.take(peer.ip(), &config) {
            Ok(seat) => seat,
            Err(limit) => {
                report(Fact::LimitReached {
                    miner: None,
                    peer,
                    limit,
                });
                continue;
            }
        };
        next += 1;
        let miner = MinerId(next);
        let shared = shared.clone();
        let started = spawn(format!("{miner}-rx"), PARSER_STACK, move || {
            serve(miner, peer, stream, &config, &shared);
            drop(seat);
        });
        if let Err(error) = started {
            report(Fact::AcceptFailed {
                error: error.to_string(),
            });
            std::thread::sleep(AFTER_FAILURE);
        }
    }
}

/// A miner's reader, from the announcement of the connection to its end.
fn serve(miner: MinerId, peer: SocketAddr, stream: TcpStream, config: &Config, shared: &Shared) {
    if prepare(&stream).is_err() {
        // It is gone before it has begun.
        return;
    }
    let socket = Socket::new(stream);
    let name = format!("{miner}-tx");
    let metrics = &shared.observer.metrics;
    let (link, guard) = match start_writer(
        name,
        Arc::clone(&socket),
        Arc::clone(metrics),
        Side::Downstream,
    ) {
        Ok(writer) => writer,
        Err(error) => {
            let _ = shared.inbox.send(Input::Report(Fact::AcceptFailed {
                error: error.to_string(),
            }));
            return;
        }
    };
    if shared
        .inbox
        .send(Input::MinerOpened { miner, peer, link })
        .is_err()
    {
        return;
    }
    let reading = Reading {
        socket: &socket,
        longest_line: config.listen.max_line_bytes,
        // Far above what a good miner sends; each line within it gets its answer.
        lines_per_second: config.listen.submits_per_second.saturating_mul(4),
        metrics,
        side: Side::Downstream,
    };
    let reason = read_lines(&reading, |line| {
        let line = decode_miner(line);
        shared
            .inbox
            .send(Input::MinerLine {
                miner,
                line,
                received: clock(),
            })
            .is_ok()
    });
    if let CloseReason::Misbehaved(_) = reason {
        let limit = Limit::LineLength;
        let _ = shared.inbox.send(Input::Report(Fact::LimitReached {
            miner: Some(miner),
            peer,
            limit,
        }));
    }
    drop(guard);
    let _ = shared.inbox.send(Input::MinerClosed { miner, reason });
}

/// Who is in, so that neither one address nor all together take too much.
#[derive(Clone, Debug, Default)]
struct Seats(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    total: u32,
    by_address: HashMap<IpAddr, u32>,
}

/// A place among the connected miners; given back when dropped.
#[derive(Debug)]
struct Seat {
    seats: Seats,
    address: IpAddr,
}

impl Seats {
    fn take(&self, address: IpAddr, config: &Config) -> Result<Seat, Limit> {
        let (most, most_of_one) = (
            config.listen.max_miners,
            config.listen.max_miners_per_address,
        );
        let mut taken = self.0.lock();
        if most != 0 && taken.total >= most {
            return Err(Limit::Miners);
        }
        let of_this = taken.by_address.get(&address).copied().unwrap_or(0);
        if most_of_one != 0 && of_this >= most_of_one {
            return Err(Limit::MinersPerAddress);
        }
        taken.total += 1;
        taken.by_address.insert(address, of_this + 1);
        drop(taken);
        Ok(Seat {
            seats: self.clone(),
            address,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.0.lock();
        taken.total = taken.total.saturating_sub(1);
        if let Some(count) = taken.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_limited_in_all_and_by_address_and_given_back() {
        let mut config = Config::default();
        (
            config.listen.max_miners,
            config.listen.max_miners_per_address,
        ) = (3, 2);
        let seats = Seats::default();
        let address = |last| IpAddr::from([10, 0, 0, last]);
        let first = seats.take(address(1), &config).unwrap();
        let _second = seats.take(address(1), &config).unwrap();
        assert_eq!(
            seats.take(address(1), &config).unwrap_err(),
            Limit::MinersPerAddress
        );
        let _third = seats.take(address(2), &config).unwrap();
        assert_eq!(seats.take(address(3), &config).unwrap_err(), Limit::Miners);
        drop(first);
        assert!(seats.take(address(1), &config).is_ok());
        assert_eq!(seats.0.lock().by_address.len(), 2);
    }
}
