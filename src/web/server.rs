//! An HTTP server on a thread of its own that can be stopped.
//!
//! `rouille::Server` does the work, with a small pool of threads for answers. `start_server` is not used, as it panics
//! if the port is taken, nor `stoppable` and `poll_timeout`, which do not return while requests keep coming.
//!
//! What is left, since `tiny_http` 0.12 beneath it offers no way to set a limit. These ports are therefore for the home
//! network and not for the Internet; miners are served by other threads and are not held up by any of it, as long as
//! there are file descriptors.
//!
//! - It has a thread for each connection and no time limit: whoever opens connections and says nothing holds a thread
//!   and a file descriptor for each until he closes them. Lines of a request's head have no limit either.
//! - Whoever sends many requests and reads no answer holds the threads for answers, and with them the port, until the
//!   system gives his connection up. A single answer fits into the socket's buffer and does not.
//! - A client that resets its connection at once can make its thread panic (`peer_addr` is unwrapped). Its threads and
//!   those for answers have no name, unlike all of ours: **a panic hook must not end the process for a thread without a
//!   name**.
//! - It stops accepting for good when accepting fails once, for example without file descriptors. That is seen in the
//!   log as a `library_message`.

use std::net::SocketAddr;
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

/// A server that runs. Dropping it stops it.
#[derive(Debug)]
pub struct ServerHandle {
    addr: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ServerHandle {
    /// Where it listens; the port is the real one if 0 was asked for.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Stops it and waits until its thread has ended. Answers that are being written are left to their threads, since
    /// nobody knows whether they are read.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::time::Instant;

    use super::*;

    /// Sends a request and returns the whole answer.
    pub(crate) fn ask(addr: SocketAddr, request_line: &str) -> String {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        write!(
            stream,
            "{request_line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    pub(crate) fn any_port() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the stop is timed")]
    fn it_answers_and_stops_while_requests_keep_coming() {
        let server = serve("metrics", any_port(), |request| {
            Response::text(format!("you asked for {}", request.url()))
        })
        .unwrap();
        let addr = server.addr();
        assert!(ask(addr, "GET /here").ends_with("you asked for /here"));
        // A connection that says nothing and one that says half a request.
        let silent = TcpStream::connect(addr).unwrap();
        let mut half = TcpStream::connect(addr).unwrap();
        half.write_all(b"GET / HTTP/1.1\r\nHo").unwrap();
        assert!(ask(addr, "GET /still").ends_with("you asked for /still"));
        let begin = Instant::now();
        server.stop();
        assert!(begin.elapsed() < Duration::from_secs(5));
        drop((silent, half));
    }

    #[test]
    fn a_port_that_is_taken_is_a_clear_error() {
        let other = std::net::TcpListener::bind(any_port()).unwrap();
        let addr = other.local_addr().unwrap();
        let error = serve("metrics", addr, |_| Response::text("")).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains(&addr.to_string()), "{text}");
        assert!(text.contains("metrics.port"), "{text}");
    }
}
