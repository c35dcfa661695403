//! Accepts miners: checks them against the limits and gives each its own reader thread.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;

use crate::config::{Config, PoolConfig};
use crate::core::event::CloseReason;
use crate::core::fact::{Eviction, Fact, Limit};
use crate::observe::metrics::Side;
use crate::shell::connection::{LineSource, open_link, prepare, read_lines};
use crate::shell::inbox::{Context as Shared, Input};
use crate::shell::proxy_header::{self, NoHeader};
use crate::shell::seats::{Seat, Seats};
use crate::shell::socket::Socket;
use crate::shell::tls::Session;
use crate::shell::tls::miner::Certificate;
use crate::stratum::codec::decode_miner;
use crate::system::clock::{clock, now};
use crate::system::net::{AFTER_FAILURE, Port};
use crate::system::room::{Load, Room, Usage};
use crate::system::thread::{PARSER_STACK, SERVICE_STACK, spawn};
use crate::units::MinerId;

/// An open port for miners. Dropping it does not close it: call [`stop`](Self::stop).
#[derive(Debug)]
pub struct Door(Port);

/// Opens a port for miners; `key` is its setting.
///
/// # Errors
/// If the port is taken or not allowed.
pub fn listen(address: SocketAddr, key: &str) -> anyhow::Result<Port> {
    Port::open(address)
        .with_context(|| format!("failed to listen for miners on {address} (listen.host, {key})"))
}

impl Door {
    /// Starts accepting; with a `certificate`, encrypted connections.
    ///
    /// # Errors
    /// If there is no room for the thread.
    pub fn open(
        port: Port,
        certificate: Option<Arc<Certificate>>,
        reception: Reception,
    ) -> anyhow::Result<Self> {
        let door = Self(port.clone());
        spawn("accept", SERVICE_STACK, move || {
            accept(&port, certificate.as_ref(), &reception)
        })
        .context("failed to start the accept thread")?;
        Ok(door)
    }

    /// Where miners connect.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Closes the port. It does not wait for the thread, which may itself wait for the scheduler.
    pub fn stop(self) {
        self.0.stop();
    }
}

/// The rules for accepting miners, on all ports.
#[derive(Clone)]
pub struct Reception {
    room: Room,
    seats: Seats,
    next: Arc<AtomicU64>,
    shared: Shared,
}

impl Reception {
    /// The rules for all ports; `room`: how many miners the system can serve.
    pub fn new(room: Room, shared: Shared) -> Self {
        Self {
            room,
            seats: Seats::default(),
            next: Arc::new(AtomicU64::new(1)),
            shared,
        }
    }

    /// Accepts a connection, or reports why not.
    fn admit(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        from_balancer: bool,
        config: &Config,
    ) -> Option<Newcomer> {
        let load = load(config);
        if self.seats.taken() >= self.room.miners(load) {
            self.tell(&Fact::AcceptFailed {
                error: self.room.explain(load),
            });
            return None;
        }
        let usage = usage(
            config,
            u64::from(self.seats.taken()) + 1,
            self.room.pools().into(),
        );
        if let Err(error) = self.room.check(usage, FREE_FOR_MINERS) {
            self.tell(&Fact::AcceptFailed { error });
            return None;
        }
        let seat = self.seats.take(config).and_then(|mut seat| {
            // The address behind a load balancer is not known yet.
            if !from_balancer {
                seat.belongs_to(peer.ip(), config)?;
            }
            Ok(seat)
        });
        match seat {
            Ok(seat) => Some(Newcomer {
                miner: MinerId(self.next.fetch_add(1, Ordering::Relaxed)),
                peer,
                stream,
                seat,
            }),
            Err(limit) => {
                self.limit(peer, limit);
                None
            }
        }
    }

    fn limit(&self, peer: SocketAddr, limit: Limit) {
        self.tell(&Fact::LimitReached {
            miner: None,
            peer,
            limit,
        });
    }

    /// Refused connections can come at any rate, so the scheduler does not see them.
    fn tell(&self, fact: &Fact) {
        self.shared.observer.observe(fact, now());
    }
}

/// One part in so many stays free when a miner is accepted.
const FREE_FOR_MINERS: u64 = 20;

/// And when a miner gets its own connection to a pool although there are too many for that. So those that work on
/// shared connections can always come back.
const FREE_FOR_OWN: u64 = 10;

/// Whether one more miner may have its own connection to a pool.
///
/// # Errors
/// If there are more miners than could have their own, and no room. The reason is text for the owner.
pub fn check_own(room: &Room, config: &Config, miners: u64, pools: u64) -> Result<(), String> {
    let Usage { writers, .. } = usage(config, 1, 2);
    let all_own = Load {
        connections: 3,
        writers,
    };
    if miners <= u64::from(room.miners(all_own)) {
        return Ok(());
    }
    room.check(usage(config, miners, pools + 1), FREE_FOR_OWN)
}

/// What so many miners and connections to pools take.
fn usage(config: &Config, miners: u64, pools: u64) -> Usage {
    let mut encrypted = config.pools.iter().filter_map(|(_, pool)| pool.as_ref());
    let encrypted = encrypted.any(encrypts);
    let if_so = |count, so| {
        if so || Socket::ALWAYS_WRITER {
            count
        } else {
            0
        }
    };
    Usage {
        miners,
        connections: miners + pools,
        writers: if_so(miners, config.listen.has_certificate()) + if_so(pools, encrypted),
    }
}

fn encrypts(pool: &PoolConfig) -> bool {
    pool.tls.enabled || pool.backups.iter().any(|it| it.tls)
}

/// The most resources that a miner takes.
pub fn load(config: &Config) -> Load {
    let pools = config.pools.iter().filter_map(|(_, pool)| pool.as_ref());
    let is_shared = |pool: &&PoolConfig| pool.most_members().is_some();
    let (shared, own): (Vec<_>, Vec<_>) = pools.partition(is_shared);
    let connections = shared.iter().fold(3, |sum, _| sum - 1);
    let writers = if Socket::ALWAYS_WRITER {
        connections
    } else {
        let miners = u64::from(config.listen.has_certificate());
        let pools = own.into_iter();
        pools.fold(miners, |sum, pool| sum + u64::from(encrypts(pool)))
    };
    Load {
        connections,
        writers,
    }
}

fn accept(port: &Port, certificate: Option<&Arc<Certificate>>, reception: &Reception) {
    let failed = |error: io::Error| {
        reception.tell(&Fact::AcceptFailed {
            error: error.to_string(),
        });
        std::thread::sleep(AFTER_FAILURE);
    };
    while let Some(accepted) = port.accept() {
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                failed(error);
                continue;
            }
        };
        let config = reception.shared.live.get();
        let balancers = &config.listen.proxy_protocol_from;
        let from_balancer = balancers.iter().any(|own| own.contains(&peer.ip()));
        let Some(newcomer) = reception.admit(stream, peer, from_balancer, &config) else {
            continue;
        };
        let (certificate, reception) = (certificate.cloned(), reception.clone());
        let name = newcomer.miner.to_string();
        let started = spawn(name, PARSER_STACK, move || {
            newcomer.come_in(from_balancer, certificate.as_deref(), &config, &reception);
        });
        if let Err(error) = started {
            failed(error);
        }
    }
}

/// An accepted connection, owned by its reader.
struct Newcomer {
    miner: MinerId,
    peer: SocketAddr,
    stream: TcpStream,
    /// Released when the connection ends.
    seat: Seat,
}

impl Newcomer {
    /// Does everything before the first line of Stratum, then serves the miner.
    fn come_in(
        mut self,
        from_balancer: bool,
        certificate: Option<&Certificate>,
        config: &Config,
        reception: &Reception,
    ) {
        if from_balancer {
            match proxy_header::read(&self.stream) {
                Ok(behind) => self.peer = behind.unwrap_or(self.peer),
                Err(NoHeader::Empty) => return,
                Err(NoHeader::Bad(what)) => {
                    return self.turn_away(reception, Eviction::OtherProtocol(what));
                }
            }
            if let Err(limit) = self.seat.belongs_to(self.peer.ip(), config) {
                return reception.limit(self.peer, limit);
            }
        }
        if prepare(&self.stream).is_err() {
            // The connection ended before it began.
            return;
        }
        let session = certificate.map(|certificate| {
            certificate.accept(&self.stream, |text| {
                reception.tell(&Fact::ConfigWarning { text });
            })
        });
        match session.transpose() {
            Ok(session) => self.serve(session, config, reception),
            Err(why) => self.turn_away(reception, Eviction::TlsFailed(why)),
        }
    }

    fn turn_away(&self, reception: &Reception, reason: Eviction) {
        reception.tell(&Fact::MinerTurnedAway {
            miner: self.miner,
            peer: self.peer,
            reason,
        });
    }

    /// Announces the miner, reads its lines and announces its end.
    fn serve(self, session: Option<Box<Session>>, config: &Config, reception: &Reception) {
        let (miner, peer, shared) = (self.miner, self.peer, &reception.shared);
        let socket = match session {
            Some(session) => Socket::encrypted(self.stream, session),
            None => Socket::new(self.stream),
        };
        let link = match open_link(&miner.to_string(), &socket) {
            Ok(link) => link,
            Err(error) => {
                let error = error.to_string();
                return reception.tell(&Fact::AcceptFailed { error });
            }
        };
        if shared
            .inbox
            .send(Input::MinerOpened { miner, peer, link })
            .is_err()
        {
            return;
        }
        let reading = LineSource {
            socket: &socket,
            longest_line: config.listen.max_line_bytes,
            // Far more than a good miner sends; each line within the limit gets an answer.
            lines_per_second: config.listen.submits_per_second.saturating_mul(4),
            metrics: &shared.observer.metrics,
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
        let _ = shared.inbox.send(Input::MinerClosed { miner, reason });
        drop(self.seat);
    }
}

#[cfg(test)]
mod tests;
