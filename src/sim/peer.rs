//! A simulated pool or miner without a socket, whether it mines for real or follows a test's script: lines in, lines
//! out, with time as an argument. The code that runs it carries out its outputs in order.

use std::time::{Duration, Instant};

use crate::sim::miner::ledger::Ending;
use crate::sim::miner::output::MinerOutput;
use crate::sim::pool::ledger::JobRecord;
use crate::sim::pool::output::PoolOutput;
use crate::units::PoolConn;

/// A pool without sockets.
pub trait PoolPeer {
    /// A client connected; returns the connection's number.
    fn open(&mut self, now: Instant) -> u64;
    /// The proxy's name for the connection, for tests that need it.
    fn named(&mut self, _number: u64, _conn: PoolConn) {}
    /// A client sent a line. Lines that were read from the socket together have the same `batch` number, which shows
    /// whether requests were pipelined.
    fn line(
        &mut self,
        connection: u64,
        line: &[u8],
        batch: u64,
        now: Instant,
        out: &mut Vec<PoolOutput>,
    );
    /// A connection ended.
    fn closed(&mut self, connection: u64, now: Instant);
    /// Does what is due.
    fn tick(&mut self, _now: Instant, _out: &mut Vec<PoolOutput>) {}
    /// When [`tick`](Self::tick) has something to do.
    fn next_tick(&self) -> Option<Instant> {
        None
    }
    /// A line with a job is on its way.
    fn job_written(&mut self, _job: JobRecord) {}
    /// A client's first violation.
    fn violation(&self) -> Option<String> {
        None
    }
    /// The hash of the header that it rebuilt from the last share, if the miner must have hashed exactly that one.
    fn rebuilt(&self) -> Option<[u8; 32]> {
        None
    }
}

/// A miner without a socket.
pub trait MinerPeer {
    /// A connection was made.
    fn connected(&mut self, now: Instant, out: &mut Vec<MinerOutput>);
    /// The server sent a line.
    fn line(&mut self, line: &[u8], now: Instant, out: &mut Vec<MinerOutput>);
    /// The connection ended.
    fn closed(&mut self, now: Instant, ending: Ending);
    /// How long after the end of a connection it reconnects, if it does.
    fn redials_after(&mut self, _now: Instant, ending: Ending) -> Option<Duration> {
        Some(match ending {
            Ending::ByServer => Duration::from_millis(500),
            Ending::ByMiner => Duration::from_secs(1),
        })
    }
    /// Does the work for the time since the last call.
    fn turn(&mut self, _now: Instant, _out: &mut Vec<MinerOutput>) {}
    /// The server's first violation.
    fn violation(&self) -> Option<String> {
        None
    }
    /// The hashes of the last shares that it sent, up to a limit.
    fn mined(&self, _most: usize) -> Vec<[u8; 32]> {
        Vec::new()
    }
}
