//! An HTTP/1.1 server that can be stopped and that no client can block for long. Requests and answers use `rouille`'s
//! types, and `httparse` reads heads. `rouille`'s own server is not used because it cannot set limits.
//!
//! Reading order: this file has the port, the seats and the stop; `connection` serves one client, `head` reads a
//! request's head, `answer` writes answers.
//!
//! - **Every client is limited**, by `Limits`: the number of connections, the time for each step, and the size of
//!   requests. If all seats are taken, the client that has been without a complete request the longest loses its seat.
//!   Only an answer of unknown length may continue forever, as long as the client accepts each piece in time.
//! - **No thread polls**: the acceptor waits in `accept`, a connection in `read` or `write`.
//! - **A panic in a handler is a bug in DPMP.** The client gets a 500 and its connection is closed. Where the proxy's
//!   panic hook is set (`proxy.rs`), the proxy stops, as after a panic in any other thread.
//!
//! To stream, a handler answers with a body of unknown length (`ResponseBody::from_reader`). Each piece that its reader
//! returns is sent immediately. A reader that waits for data should return something now and then, because only a write
//! shows that the client has gone. It must not wait forever, because nothing can wake it when DPMP stops.
//!
//! Not supported: TLS, compression, request bodies in chunks (411) and upgrades (`Response::upgrade` is ignored). The
//! handlers decide which requests are allowed.

mod answer;
mod connection;
mod head;
#[cfg(test)]
pub(crate) mod tests;

use std::fmt;
use std::io::Read;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use parking_lot::{Condvar, Mutex};
use rouille::{Request, Response};

use crate::system::clock::clock;
use crate::system::net::{AFTER_FAILURE, Port};
use crate::system::thread::{SERVICE_STACK, spawn};

/// How often failures to accept connections are reported at most.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// How long a connection may take to release its place.
const GIVE_UP: Duration = Duration::from_millis(200);

/// How clients are answered.
struct Answers {
    /// Makes the answer to a request.
    handler: Box<dyn Fn(&Request) -> Response + Send + Sync>,
    /// Makes the answer with this status if the handler is not called or fails.
    refusal: fn(u16) -> Response,
}

/// The limits for clients.
#[derive(Clone, Debug)]
struct Limits {
    /// Simultaneous connections.
    connections: usize,
    /// Simultaneous connections from one address, so that one client cannot take all of them.
    per_address: usize,
    /// For the head of a request, from its first byte or from the beginning of the connection.
    head: Duration,
    /// For the body of a request.
    body: Duration,
    /// For writing an answer of known length.
    answer: Duration,
    /// For writing one piece of any answer.
    write: Duration,
    /// For the next request to begin.
    idle: Duration,
    /// For the client to close after us, so that it can read our last bytes.
    linger: Duration,
    /// For a client without a complete request, if another one waits for its place.
    spare: Duration,
    /// For answers that are being sent when the server is stopped.
    finish: Duration,
    /// For threads to end after that.
    end: Duration,
    head_bytes: usize,
    headers: usize,
    body_bytes: usize,
}

/// How many clients a port serves simultaneously.
#[derive(Clone, Copy, Debug)]
pub struct Seats {
    /// Connections in all.
    pub connections: usize,
    /// Connections from one address, so that one client cannot take all of them.
    pub per_address: usize,
}

impl Default for Seats {
    /// Enough for programs that send a request now and then.
    fn default() -> Self {
        Self {
            connections: 32,
            per_address: 8,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let seats = Seats::default();
        Self {
            connections: seats.connections,
            per_address: seats.per_address,
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            answer: Duration::from_secs(30),
            write: Duration::from_secs(10),
            idle: Duration::from_secs(15),
            linger: Duration::from_secs(1),
            spare: Duration::from_millis(500),
            finish: Duration::from_millis(300),
            end: Duration::from_millis(500),
            head_bytes: 16 * 1024,
            headers: 100,
            body_bytes: 1024 * 1024,
        }
    }
}

/// Serves HTTP on `addr` until it is stopped. `name` is the thread's name and the section of the configuration; a
/// connection's thread is called `name-seat`. `refusal` words the answer with a status to what never reaches the handler.
///
/// # Errors
/// If the address cannot be listened on; it says which key of the configuration to look at.
pub fn serve(
    name: &'static str,
    addr: SocketAddr,
    seats: Seats,
    refusal: fn(u16) -> Response,
    handler: impl Fn(&Request) -> Response + Send + Sync + 'static,
) -> anyhow::Result<ServerHandle> {
    let limits = Limits {
        connections: seats.connections,
        per_address: seats.per_address,
        ..Limits::default()
    };
    let answers = Answers {
        handler: Box::new(handler),
        refusal,
    };
    serve_within(limits, name, addr, answers)
}

fn serve_within(
    limits: Limits,
    name: &'static str,
    addr: SocketAddr,
    answers: Answers,
) -> anyhow::Result<ServerHandle> {
    let port = Port::open(addr)
        .with_context(|| format!("failed to listen on {addr} ({name}.host, {name}.port)"))?;
    let hall = Arc::new(Hall::new(limits));
    let thread = {
        let (port, hall) = (port.clone(), Arc::clone(&hall));
        spawn(name, SERVICE_STACK, move || {
            accept(name, &port, &hall, &Arc::new(answers));
            hall.close_door();
        })
        .with_context(|| format!("failed to start the thread {name}"))?
    };
    Ok(ServerHandle {
        port,
        hall,
        thread: Some(thread),
    })
}

/// A running server. Dropping it stops it.
pub struct ServerHandle {
    port: Port,
    hall: Arc<Hall>,
    thread: Option<JoinHandle<()>>,
}

impl ServerHandle {
    /// The address it listens on, with the real port if 0 was requested.
    pub fn addr(&self) -> SocketAddr {
        self.port.address()
    }

    /// Stops it within a second. Clients have a moment to read answers that are being sent, then their connections are
    /// cut. Threads still busy in a handler or its reader after that are abandoned.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        let finish = clock() + self.hall.limits.finish;
        self.hall.begin_to_stop();
        self.port.stop();
        self.hall.wait_until_empty(finish);
        self.hall.shut_down(Shutdown::Both);
        let empty = self.hall.wait_until_empty(clock() + self.hall.limits.end);
        if let (true, Some(thread)) = (empty, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle")
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// The acceptor: gives each connection a place and a thread.
fn accept(name: &'static str, port: &Port, hall: &Arc<Hall>, answers: &Arc<Answers>) {
    let mut reported: Option<Instant> = None;
    while let Some(accepted) = port.accept() {
        let started = accepted.and_then(|(stream, peer)| start(name, stream, peer, hall, answers));
        if let Err(error) = started {
            let now = clock();
            if reported.is_none_or(|last| now.duration_since(last) >= REPORT_EVERY) {
                reported = Some(now);
                log::warn!(target: "http", "failed to accept a connection ({name}): {error}");
            }
            hall.wait_for_change(AFTER_FAILURE);
        }
    }
}

/// Starts a connection's thread, or turns it away.
fn start(
    name: &'static str,
    stream: TcpStream,
    peer: SocketAddr,
    hall: &Arc<Hall>,
    answers: &Arc<Answers>,
) -> std::io::Result<()> {
    let stream = Arc::new(stream);
    let seat = hall.take(peer.ip(), &stream).or_else(|| {
        // A client with half a request, or none, must not keep others out.
        hall.free_a_seat(peer.ip(), clock()).then_some(())?;
        hall.take(peer.ip(), &stream)
    });
    let Some(seat) = seat else {
        turn_away(&stream, &hall.limits, answers);
        return Ok(());
    };
    let answers = Arc::clone(answers);
    spawn(format!("{name}-{}", seat.index), SERVICE_STACK, move || {
        connection::attend(&stream, peer, &seat, &answers);
        // The connection ends before its place is free again.
        let _ = stream.shutdown(Shutdown::Both);
        drop(seat);
    })
    .map(drop)
}

/// Tells a client that there is no free place. It never blocks, because the answer fits into the buffer of a new
/// socket.
fn turn_away(mut stream: &TcpStream, limits: &Limits, answers: &Answers) {
    let _ = answer::refuse(stream, limits, (answers.refusal)(503));
    let _ = stream.shutdown(Shutdown::Write);
    // Closing with unread input would reset the connection, and the answer could be lost.
    if stream.set_nonblocking(true).is_ok() {
        let _ = stream.read(&mut [0; 4096]);
    }
}

/// The open connections, and whether more are allowed.
struct Hall {
    limits: Limits,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    seats: Vec<Option<Guest>>,
    /// The acceptor is still running.
    door_open: bool,
    stopping: bool,
}

struct Guest {
    address: IpAddr,
    /// To cut the connection when the server stops.
    stream: Arc<TcpStream>,
    /// Since when it has had no complete request; `None` while it is answered.
    waiting: Option<Instant>,
}

/// A place among the open connections; released when dropped.
struct Seat {
    index: usize,
    hall: Arc<Hall>,
}

impl Hall {
    fn new(limits: Limits) -> Self {
        let mut seats = Vec::new();
        seats.resize_with(limits.connections, || None);
        Self {
            limits,
            state: Mutex::new(State {
                seats,
                door_open: true,
                stopping: false,
            }),
            changed: Condvar::new(),
        }
    }

    fn take(self: &Arc<Self>, address: IpAddr, stream: &Arc<TcpStream>) -> Option<Seat> {
        let mut state = self.state.lock();
        let of_this = state.guests().filter(|guest| guest.address == address);
        if state.stopping || of_this.count() >= self.limits.per_address {
            return None;
        }
        let index = state.seats.iter().position(Option::is_none)?;
        state.seats[index] = Some(Guest {
            address,
            stream: Arc::clone(stream),
            waiting: Some(clock()),
        });
        Some(Seat {
            index,
            hall: Arc::clone(self),
        })
    }

    /// Cuts the connection that has been without a complete request longest, and waits until it has ended. If this
    /// address has reached its limit, it must be one of its own connections. Returns whether there may be a free place
    /// now.
    fn free_a_seat(&self, address: IpAddr, now: Instant) -> bool {
        let mut state = self.state.lock();
        let of_this = state.guests().filter(|guest| guest.address == address);
        let only_own = of_this.count() >= self.limits.per_address;
        let longest = state
            .guests()
            .filter(|guest| !only_own || guest.address == address)
            .filter_map(|guest| Some((guest.waiting?, guest)))
            .min_by_key(|(since, _)| *since);
        match longest {
            Some((since, guest)) if now.saturating_duration_since(since) >= self.limits.spare => {
                let _ = guest.stream.shutdown(Shutdown::Both);
            }
            Some(_) | None => return false,
        }
        let before = state.guests().count();
        let is_full = |state: &mut State| !state.stopping && state.guests().count() >= before;
        let until = now + GIVE_UP;
        !self
            .changed
            .wait_while_until(&mut state, is_full, until)
            .timed_out()
    }

    /// No more connections are accepted and none is read any further; those waiting for a request end.
    fn begin_to_stop(&self) {
        self.state.lock().stopping = true;
        self.changed.notify_all();
        self.shut_down(Shutdown::Read);
    }

    fn shut_down(&self, how: Shutdown) {
        for guest in self.state.lock().guests() {
            let _ = guest.stream.shutdown(how);
        }
    }

    /// Waits until the server is to stop, a connection has ended or the time is up.
    fn wait_for_change(&self, patience: Duration) {
        let mut state = self.state.lock();
        if !state.stopping {
            self.changed.wait_for(&mut state, patience);
        }
    }

    fn close_door(&self) {
        self.state.lock().door_open = false;
        self.changed.notify_all();
    }

    /// Waits until the acceptor and all connections have ended; returns whether they have.
    fn wait_until_empty(&self, until: Instant) -> bool {
        let mut state = self.state.lock();
        let occupied = |state: &mut State| state.door_open || state.guests().next().is_some();
        !self
            .changed
            .wait_while_until(&mut state, occupied, until)
            .timed_out()
    }
}

impl State {
    fn guests(&self) -> impl Iterator<Item = &Guest> {
        self.seats.iter().flatten()
    }
}

impl Seat {
    fn limits(&self) -> &Limits {
        &self.hall.limits
    }

    /// Records whether the client is waiting for an answer or has yet to send its request.
    fn set_answering(&self, answering: bool) {
        let waiting = (!answering).then(clock);
        if let Some(guest) = &mut self.hall.state.lock().seats[self.index] {
            guest.waiting = waiting;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.hall.state.lock().seats[self.index] = None;
        self.hall.changed.notify_all();
    }
}
