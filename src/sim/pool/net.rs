//! The sockets and threads of a simulated pool.
#![expect(
    clippy::disallowed_methods,
    reason = "here the simulated pool meets real time"
)]

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use parking_lot::Mutex;

use crate::sim::peer::PoolPeer;
use crate::sim::pool::ledger::{JobRecord, PoolLedger};
use crate::sim::pool::model::PoolModel;
use crate::sim::pool::options::PoolOptions;
use crate::sim::pool::output::PoolOutput;
use crate::sim::take_line;
use crate::system::net::Port;
use crate::system::thread::{PARSER_STACK, WRITER_STACK, spawn};

/// How many lines can wait for one client; if there are more, it is disconnected.
const QUEUE: usize = 4096;

/// How long one write may take before the client counts as stuck.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// The longest line that is read, in bytes.
const LONGEST_LINE: usize = 1 << 20;

/// The threads of a pool, stopped and joined when this is dropped.
#[derive(Debug)]
pub(super) struct Net {
    shared: Arc<Shared>,
    address: SocketAddr,
    acceptor: Mutex<Option<(Port, JoinHandle<()>)>>,
    ticker: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Wakes the ticker, whose next deadline may have changed; full if it will wake anyway.
    wake: Sender<()>,
}

#[derive(Debug)]
struct State {
    model: PoolModel,
    links: BTreeMap<u64, Link>,
    /// Connection threads that were started and not joined yet.
    readers: Vec<JoinHandle<()>>,
    stopping: bool,
}

/// The writing end of a connection.
#[derive(Debug)]
struct Link {
    queue: Sender<QueuedLine>,
    stream: TcpStream,
}

impl State {
    /// Forgets a connection, which ends its writer.
    fn end(&mut self, connection: u64) {
        self.links.remove(&connection);
        self.model.closed(connection, Instant::now());
    }
}

#[derive(Debug)]
struct QueuedLine {
    line: String,
    due: Instant,
    job: Option<JobRecord>,
}

impl Net {
    pub(super) fn start(options: PoolOptions) -> io::Result<Self> {
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
        let port = Port::open(wanted)?;
        let unix = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |t| t.as_secs());
        let unix = u32::try_from(unix).unwrap_or(0);
        let (wake, woken) = bounded(1);
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                model: PoolModel::new(options, Instant::now(), unix),
                links: BTreeMap::new(),
                readers: Vec::new(),
                stopping: false,
            }),
            wake,
        });
        let ticking = Arc::clone(&shared);
        let ticker = spawn("simpool-tick", PARSER_STACK, move || tick(&ticking, &woken))?;
        let net = Self {
            shared,
            address: port.address(),
            acceptor: Mutex::new(None),
            ticker: Some(ticker),
        };
        net.accept_on(port)?;
        Ok(net)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Runs an action of the model and carries out its output.
    pub(super) fn drive<T>(
        &self,
        act: impl FnOnce(&mut PoolModel, Instant, &mut Vec<PoolOutput>) -> T,
    ) -> T {
        let result = drive(&mut self.shared.state.lock(), act);
        let _ = self.shared.wake.try_send(());
        result
    }

    pub(super) fn kill_connections(&self) {
        for link in self.shared.state.lock().links.values() {
            let _ = link.stream.shutdown(Shutdown::Both);
        }
    }

    pub(super) fn stop_listening(&self) {
        if let Some((port, acceptor)) = self.acceptor.lock().take() {
            port.stop();
            let _ = acceptor.join();
        }
    }

    pub(super) fn listen(&self) -> io::Result<()> {
        self.accept_on(Port::open(self.address)?)
    }

    fn accept_on(&self, port: Port) -> io::Result<()> {
        let (shared, accepting) = (Arc::clone(&self.shared), port.clone());
        let acceptor = spawn("simpool-accept", WRITER_STACK, move || {
            while let Some(accepted) = accepting.accept() {
                // If no descriptor or thread is left, the client is disconnected.
                let _ = accepted.and_then(|(stream, _)| begin(&shared, stream));
            }
        })?;
        *self.acceptor.lock() = Some((port, acceptor));
        Ok(())
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        self.stop_listening();
        self.kill_connections();
        let readers = {
            let mut state = self.shared.state.lock();
            state.stopping = true;
            std::mem::take(&mut state.readers)
        };
        let _ = self.shared.wake.try_send(());
        for thread in readers.into_iter().chain(self.ticker.take()) {
            let _ = thread.join();
        }
    }
}

/// Registers a connection, so that it is included when all are closed, and starts its threads.
fn begin(shared: &Arc<Shared>, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
    let for_writing = stream.try_clone()?;
    let for_closing = stream.try_clone()?;
    let (queue, queued) = bounded(QUEUE);
    let mut state = shared.state.lock();
    state.readers.retain(|reader| !reader.is_finished());
    let ledger = state.model.ledger().clone();
    let connection = state.model.open(Instant::now());
    let link = Link {
        queue,
        stream: for_closing,
    };
    state.links.insert(connection, link);
    let started = spawn("simpool-tx", WRITER_STACK, move || {
        write_lines(for_writing, &queued, &ledger);
    })
    .and_then(|writer| {
        let shared = Arc::clone(shared);
        spawn("simpool-rx", PARSER_STACK, move || {
            read_lines(&shared, connection, &stream);
            shared.state.lock().end(connection);
            let _ = stream.shutdown(Shutdown::Both);
            let _ = writer.join();
        })
    });
    match started {
        Ok(reader) => {
            state.readers.push(reader);
            Ok(())
        }
        Err(error) => {
            state.end(connection);
            Err(error)
        }
    }
}

fn tick(shared: &Shared, woken: &Receiver<()>) {
    loop {
        let next = {
            let mut state = shared.state.lock();
            if state.stopping {
                return;
            }
            drive(&mut state, PoolModel::tick);
            state.model.next_tick()
        };
        let wait = next.map_or(Duration::from_secs(60), |next| {
            next.saturating_duration_since(Instant::now())
        });
        let _ = woken.recv_timeout(wait);
    }
}

/// Passes lines to the model. All lines of one packet belong to one batch.
fn read_lines(shared: &Shared, connection: u64, mut stream: &TcpStream) {
    let mut buffer = vec![0; 16_384];
    let mut pending: Vec<u8> = Vec::new();
    for batch in 0.. {
        let read = match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        pending.extend(&buffer[..read]);
        while let Some(line) = take_line(&mut pending) {
            drive(&mut shared.state.lock(), |model, now, out| {
                model.line(connection, &line, batch, now, out);
            });
        }
        if pending.len() > LONGEST_LINE {
            return;
        }
    }
}

/// Writes lines when they are due, in the order in which they fall due.
fn write_lines(mut stream: TcpStream, queued: &Receiver<QueuedLine>, ledger: &PoolLedger) {
    let mut waiting: BTreeMap<(Instant, u64), QueuedLine> = BTreeMap::new();
    for number in 0.. {
        while let Some(entry) = waiting.first_entry() {
            let now = Instant::now();
            if entry.key().0 > now {
                break;
            }
            let line = entry.remove();
            if stream.write_all(line.line.as_bytes()).is_err() {
                let _ = stream.shutdown(Shutdown::Both);
                return;
            }
            if let Some(job) = line.job {
                ledger.job_written(JobRecord {
                    written: now,
                    ..job
                });
            }
        }
        let received = match waiting.keys().next() {
            Some((due, _)) => queued.recv_deadline(*due),
            None => queued.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match received {
            Ok(line) => {
                waiting.insert((line.due, number), line);
            }
            Err(RecvTimeoutError::Timeout) => (),
            // Lines that are not due yet are lost with the connection, as on a real network.
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn drive<T>(
    state: &mut State,
    act: impl FnOnce(&mut PoolModel, Instant, &mut Vec<PoolOutput>) -> T,
) -> T {
    let mut out = Vec::new();
    let result = act(&mut state.model, Instant::now(), &mut out);
    for output in out {
        match output {
            PoolOutput::Write {
                connection,
                line,
                due,
                job,
            } => {
                let Some(link) = state.links.get(&connection) else {
                    continue;
                };
                match link.queue.try_send(QueuedLine { line, due, job }) {
                    Ok(()) => (),
                    Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                        let _ = link.stream.shutdown(Shutdown::Both);
                    }
                }
            }
            PoolOutput::Close { connection } => {
                if let Some(link) = state.links.get(&connection) {
                    let _ = link.stream.shutdown(Shutdown::Both);
                }
            }
        }
    }
    result
}
