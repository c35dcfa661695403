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

/// A write that makes no progress for this long means that the peer is gone.
pub const WRITE_PATIENCE: Duration = Duration::from_secs(30);

/// The time in which a reader's lines are counted.
const PACE_WINDOW: Duration = Duration::from_secs(1);

/// How long a pausing reader sleeps before it looks whether its connection is over.
const PACE_NAP: Duration = Duration::from_millis(50);

/// What a reader is to do.
pub struct LineSource<'a> {
    /// The connection.
    pub socket: &'a Arc<Socket>,
    /// The longest line, in bytes.
    pub longest_line: usize,
    /// The most lines in a second; the reader pauses beyond it, and so does the peer when its
    /// socket is full. 0: no limit.
    pub lines_per_second: u32,
    /// For counting.
    pub metrics: &'a Metrics,
    /// Which side the peer is on.
    pub side: Side,
}

/// Sets up a connected socket as both sides need it.
///
/// # Errors
/// If the connection is already gone.
pub fn prepare(stream: &TcpStream) -> io::Result<()> {
    net::prepare(stream)?;
    stream.set_write_timeout(Some(WRITE_PATIENCE))
}

/// The scheduler's end of a connection. If the connection needs a writer, that is started, with `-tx` behind its name.
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

/// How many lines of a miner that was disconnected because it did not read are heard at the most.
const MOST_LATE: u32 = 1000;

/// Reads a connection to its end; `take` gets each line and says whether to go on. Returns why it ended.
pub fn read_lines(reading: &LineSource<'_>, mut take: impl FnMut(&[u8]) -> bool) -> CloseReason {
    let socket = reading.socket;
    let mut lines = LineReader::new(socket.reader(), reading.longest_line);
    let mut pace = Pace::new(reading.lines_per_second);
    let mut left = MOST_LATE;
    loop {
        if reading.side == Side::Downstream {
            // A miner that does not read is not heard for ever either: so it cannot pile up answers.
            socket.wait_for_room();
        }
        // What comes after we have ended the connection is read on, though nobody wants to hear it:
        // left unread it would make the system throw away what was written last. Only shares of a miner that did not
        // read count all the same: they came before.
        let late = reading.side == Side::Downstream && socket.is_unread() && left > 0;
        left -= u32::from(late);
        let ended = socket.has_ended() && !late;
        // An empty line keeps the connection alive, and says nothing.
        match lines.next_line(|line| ended || line.is_empty() || take(line)) {
            Ok(Some(true)) if ended => (),
            Ok(Some(true)) => {
                reading.metrics.line_read(reading.side);
                pace.step(socket);
            }
            // The scheduler is gone: so is the process.
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

/// Keeps a flood from crowding everybody else out of the scheduler's inbox.
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
