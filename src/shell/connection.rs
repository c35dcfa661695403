//! One connection, one thread: a reader, which parses and announces. An encrypted connection also has a writer.
//!
//! Only the reader puts the connection's events into the scheduler's inbox. On every path, the first one announces the
//! connection and the last one its end, so they stay in order.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::core::event::CloseReason;
use crate::observe::metrics::{Metrics, Side};
use crate::shell::link::Link;
use crate::shell::socket::Socket;
use crate::stratum::line::{LineError, LineReader};
use crate::system::clock::clock;
use crate::system::net;
use crate::system::thread::{WRITER_STACK, spawn};

/// If a write makes no progress for this long, the peer is gone.
pub const WRITE_PATIENCE: Duration = Duration::from_secs(30);

/// The time over which a reader's lines are counted.
const PACE_WINDOW: Duration = Duration::from_secs(1);

/// How long a pausing reader sleeps before it checks whether its connection has ended.
const PACE_NAP: Duration = Duration::from_millis(50);

/// What a reader needs.
pub struct LineSource<'a> {
    /// The connection.
    pub socket: &'a Arc<Socket>,
    /// The longest line, in bytes.
    pub longest_line: usize,
    /// The maximum number of lines per second. Beyond that, the reader pauses, and so does the peer when its socket is
    /// full. 0: no limit.
    pub lines_per_second: u32,
    /// For counting.
    pub metrics: &'a Metrics,
    /// The peer's side.
    pub side: Side,
}

/// Sets up a connected socket as needed for both sides.
///
/// # Errors
/// If the connection is already gone.
pub fn prepare(stream: &TcpStream) -> io::Result<()> {
    net::prepare(stream)?;
    stream.set_write_timeout(Some(WRITE_PATIENCE))
}

/// Creates the scheduler's end of a connection, and starts a writer if needed, with `-tx` after its name.
///
/// # Errors
/// If there is no room for another thread.
pub fn open_link(name: &str, socket: &Arc<Socket>) -> io::Result<Link> {
    if socket.needs_writer() {
        let socket = Arc::clone(socket);
        spawn(format!("{name}-tx"), WRITER_STACK, move || {
            if let Err(error) = socket.write_all() {
                socket.end(CloseReason::Failed(error.to_string()));
            }
        })?;
    }
    Ok(Link::new(Arc::clone(socket)))
}

/// How many lines are still processed from a miner that was disconnected because it did not read.
const MOST_LATE: u32 = 1000;

/// Reads a connection to its end. `take` gets each line and returns whether to continue. Returns why the connection
/// ended.
pub fn read_lines(reading: &LineSource<'_>, mut take: impl FnMut(&[u8]) -> bool) -> CloseReason {
    let socket = reading.socket;
    let mut lines = LineReader::new(socket.reader(), reading.longest_line);
    let mut pace = Pace::new(reading.lines_per_second);
    let mut left = MOST_LATE;
    loop {
        if reading.side == Side::Downstream {
            // If a miner does not read, DPMP stops reading from it, so answers cannot pile up.
            socket.wait_for_room();
        }
        // After DPMP has ended the connection, it keeps reading and ignores the input. Otherwise the system would
        // discard what was written last. Only shares from a miner that did not read still count, because they came
        // before.
        let late = reading.side == Side::Downstream && socket.is_unread() && left > 0;
        left -= u32::from(late);
        let ended = socket.has_ended() && !late;
        // An empty line only keeps the connection alive.
        match lines.next_line(|line| ended || line.is_empty() || take(line)) {
            Ok(Some(true)) if ended => (),
            Ok(Some(true)) => {
                reading.metrics.line_read(reading.side);
                pace.step(socket);
            }
            // Without the scheduler, the process is ending.
            Ok(Some(false)) => return CloseReason::ByUs,
            Ok(None) => return socket.reason(CloseReason::ByPeer),
            Err(LineError::Io(error)) => {
                return socket.reason(CloseReason::Failed(error.to_string()));
            }
            Err(error @ LineError::TooLong(_)) => {
                return socket.cut_off(CloseReason::Misbehaved(error.to_string()));
            }
            Err(error @ (LineError::Tls | LineError::TlsAlert)) => {
                return socket.cut_off(CloseReason::OtherProtocol(error.to_string()));
            }
        }
    }
}

/// Keeps a flood from filling the scheduler's inbox.
struct Pace {
    limit: u32,
    count: u32,
    since: Instant,
}

impl Pace {
    fn new(limit: u32) -> Self {
        Self {
            limit,
            count: 0,
            since: clock(),
        }
    }

    /// Counts a line and pauses for the rest of the second if there were too many in it.
    fn step(&mut self, socket: &Socket) {
        self.count += 1;
        if self.limit == 0 || self.count < self.limit {
            return;
        }
        while let (Some(rest), false) = (
            PACE_WINDOW.checked_sub(self.since.elapsed()),
            socket.has_ended(),
        ) {
            std::thread::sleep(rest.min(PACE_NAP));
        }
        self.count = 0;
        self.since = clock();
    }
}
