//! A Stratum v1 miner that hashes for real.
//!
//! [`model`] makes all decisions. This file only has its threads: one that dials, works and writes, and one that reads.

pub mod fallback;
pub mod ledger;
pub mod model;
pub mod options;
pub mod output;
pub mod work;

mod answer;
mod handshake;
mod net;

use std::io;
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::Sender;

use crate::sim::miner::ledger::MinerLedger;
use crate::sim::miner::model::MinerModel;
use crate::sim::miner::net::Input;
use crate::sim::miner::options::MinerOptions;

/// A miner that works until it is stopped or dropped.
#[derive(Debug)]
pub struct SimMiner {
    ledger: MinerLedger,
    inbox: Sender<Input>,
    worker: Option<JoinHandle<()>>,
}

impl SimMiner {
    /// Starts connecting.
    ///
    /// # Errors
    /// If the system has no room for a thread.
    #[expect(
        clippy::disallowed_methods,
        reason = "here the simulated miner meets real time"
    )]
    pub fn start(options: MinerOptions) -> io::Result<Self> {
        let model = MinerModel::new(options, Instant::now());
        let ledger = model.ledger().clone();
        let (inbox, worker) = net::start(model)?;
        let worker = Some(worker);
        Ok(Self {
            ledger,
            inbox,
            worker,
        })
    }

    /// Its records.
    pub fn ledger(&self) -> MinerLedger {
        self.ledger.clone()
    }

    /// Sends a line unchanged; its answer goes to the [replies](MinerLedger::replies).
    pub fn inject(&self, line: &str) {
        let _ = self.inbox.send(Input::Inject(line.to_owned()));
    }

    /// Stops or resumes work; a paused miner still listens.
    pub fn pause(&self, paused: bool) {
        let _ = self.inbox.send(Input::Pause(paused));
    }

    /// Closes the connection; `MinerOptions::reconnect` decides what follows.
    pub fn hang_up(&self) {
        let _ = self.inbox.send(Input::HangUp);
    }

    /// Stops and waits for all threads. Dropping does the same.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for SimMiner {
    fn drop(&mut self) {
        let _ = self.inbox.send(Input::Stop);
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}
