//! An HTTP server on a thread of its own that can be stopped.
//!
//! `rouille::Server` does the work, with a small pool of threads for answers. `start_server` is not used, as it panics
//! if the port is taken, nor `stoppable` and `poll_timeout`, which do not return while requests keep coming.
//!
//! What `tiny_http` beneath it does not bound: it has a thread for each connection, without a time limit, so whoever
//! opens connections and says nothing holds a thread and a file descriptor for each, and whoever does not read his
//! answer holds one of the threads for answers until the system gives the connection up. These ports are therefore for
//! the home network and not for the Internet; miners are served by other threads and are not held up.

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

use anyhow::{Context, anyhow};
use rouille::{Request, Response, Server};

use crate::shell::thread::{SERVICE_STACK, spawn};

/// How many requests are answered at a time.
const ANSWERING: usize = 4;

/// How often new requests are looked for: the delay of an answer, and of the stop.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Serves HTTP on `addr` until it is stopped. `name` is the thread's name and the section of the configuration.
///
/// # Errors
/// If the address cannot be listened on; it says which key of the configuration to look at.
pub fn serve(
    name: &'static str,
    addr: SocketAddr,
    handler: impl Fn(&Request) -> Response + Send + Sync + 'static,
) -> anyhow::Result<ServerHandle> {
    let server = Server::new(addr, handler)
        .map_err(|error| anyhow!("{error}"))
        .with_context(|| format!("failed to listen on {addr} ({name}.host, {name}.port)"))?
        .pool_size(ANSWERING);
    let addr = server.server_addr();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let thread = spawn(name, SERVICE_STACK, move || {
        while !stopped.load(Ordering::Relaxed) {
            server.poll();
            sleep(LOOK_EVERY);
        }
    })
    .with_context(|| format!("failed to start the thread {name}"))?;
    Ok(ServerHandle {
        addr,
        stop,
        thread: Some(thread),
    })
}

/// stub
#[derive(Debug)]
pub struct ServerHandle {
    addr: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}
impl ServerHandle {
    /// stub
    pub fn address(&self) -> SocketAddr {
        self.addr
    }
    /// stub
    pub fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(t) = self.thread.take() {
            let _ = t.join();
        }
    }
}
