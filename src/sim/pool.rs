//! A Stratum v1 pool on a real socket.
//!
//! [`model`] makes all decisions. This file only has its threads: one that accepts, one for what is due without a
//! request, and two for each connection. They share one lock, which is held while the model works and its outputs are
//! queued, never during a read or a write.

pub mod ledger;
pub mod model;
pub mod options;
pub mod output;

mod net;
mod session;
mod shared;
mod wire;

use std::io;
use std::net::SocketAddr;

use crate::sim::pool::ledger::PoolLedger;
use crate::sim::pool::net::Net;
use crate::sim::pool::options::PoolOptions;

/// A pool that serves until it is stopped or dropped.
#[derive(Debug)]
pub struct SimPool {
    net: Net,
}

impl SimPool {
    /// Listens on 127.0.0.1.
    ///
    /// # Errors
    /// If the port is taken, or the system has no room for a thread.
    pub fn start(options: PoolOptions) -> io::Result<Self> {
        Net::start(options).map(|net| Self { net })
    }

    /// The address it listens on; it stays the same even while the pool does not listen.
    pub fn address(&self) -> SocketAddr {
        self.net.address()
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.net.address().port()
    }

    /// Its records.
    pub fn ledger(&self) -> PoolLedger {
        self.net.drive(|model, _, _| model.ledger().clone())
    }

    /// Its current habits.
    pub fn options(&self) -> PoolOptions {
        self.net.drive(|model, _, _| model.options().clone())
    }

    /// Changes habits. A new difficulty or mask is announced immediately and applies from the next job on.
    pub fn change(&self, change: impl FnOnce(&mut PoolOptions)) {
        self.net
            .drive(|model, now, out| model.change(change, now, out));
    }

    /// Gives all clients a new job.
    pub fn new_job(&self) {
        self.net.drive(|model, now, out| model.new_job(now, out));
    }

    /// Gives all clients a job with `clean_jobs` on a new block.
    pub fn new_block(&self) {
        self.net.drive(|model, now, out| model.new_block(now, out));
    }

    /// Gives all clients a new extranonce1 for later jobs, by `mining.set_extranonce`.
    pub fn set_extranonce(&self, e1_size: usize, e2_size: usize) {
        self.net
            .drive(|model, now, out| model.set_extranonce(e1_size, e2_size, now, out));
    }

    /// Sends `client.reconnect` with these parameters, a JSON list, to all clients.
    pub fn reconnect(&self, params: &str) {
        self.net
            .drive(|model, now, out| model.reconnect(params, now, out));
    }

    /// Sends any text to all clients; a line must include its line end.
    pub fn say(&self, text: &str) {
        self.net.drive(|model, now, out| model.say(text, now, out));
    }

    /// Closes all connections, but still accepts new ones.
    pub fn kill_connections(&self) {
        self.net.kill_connections();
    }

    /// Closes all connections and accepts no more, so that new ones are refused.
    pub fn go_down(&self) {
        self.net.stop_listening();
        self.net.kill_connections();
    }

    /// Accepts no more connections; existing ones continue.
    pub fn stop_listening(&self) {
        self.net.stop_listening();
    }

    /// Listens again on the port it had.
    ///
    /// # Errors
    /// If somebody else has taken the port meanwhile.
    pub fn come_back(&self) -> io::Result<()> {
        self.net.listen()
    }

    /// Stops and waits for all threads. Dropping does the same.
    pub fn stop(self) {
        drop(self);
    }
}
