//! A Stratum v1 miner that hashes for real.
//!
//! [`model`] decides everything; here are only the threads around it: one that dials, works and
//! writes, and one that reads.

pub mod ledger;
pub mod model;
pub mod options;
pub mod output;
pub mod work;

mod answer;
mod handshake;
mod net;

use std::io;

use crate::sim::miner::ledger::MinerLedger;
use crate::sim::miner::net::Net;
use crate::sim::miner::options::MinerOptions;

/// A miner that works until it is stopped or dropped.
#[derive(Debug)]
pub struct SimMiner {
    ledger: MinerLedger,
    net: Net,
}

impl SimMiner {
    /// Starts to dial.
    ///
    /// # Errors
    /// If the system has no room for a thread.
    pub fn start(options: MinerOptions) -> io::Result<Self> {
        let (net, ledger) = Net::start(options)?;
        Ok(Self { ledger, net })
    }

    /// What it saw.
    pub fn ledger(&self) -> MinerLedger {
        self.ledger.clone()
    }

    /// Sends a line as it is; its answer goes to the [replies](MinerLedger::replies).
    pub fn inject(&self, line: &str) {
        self.net.inject(line);
    }

    /// Stops or resumes work; a paused miner goes on listening.
    pub fn pause(&self, paused: bool) {
        self.net.pause(paused);
    }

    /// Closes the connection; what comes next is up to `MinerOptions::reconnect`.
    pub fn hang_up(&self) {
        self.net.hang_up();
    }

    /// Stops and waits for all threads. Dropping does the same.
    pub fn stop(self) {
        drop(self);
    }
}
