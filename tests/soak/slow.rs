//! A pool behind a line that carries a few bytes per second.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use dpmp::sim::pool::SimPool;

use super::proxy::local;

/// How often bytes are forwarded.
const BEAT: Duration = Duration::from_millis(100);

/// The slow line, until it is dropped.
pub(crate) struct Slow {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Both ends of a connection, and the data waiting in each direction.
struct Pair {
    ends: [TcpStream; 2],
    waiting: [Vec<u8>; 2],
}

impl Slow {
    /// Listens on `port` once it is free, and forwards `bytes` per beat to `pool` in each direction.
    pub(crate) fn start(port: u16, pool: &SimPool, bytes: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, to) = (Arc::clone(&stop), pool.port());
        let thread = std::thread::spawn(move || run(port, to, bytes, &stopped));
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(port: u16, to: u16, bytes: usize, stop: &AtomicBool) {
    let mut listener = None;
    let mut pairs: Vec<Pair> = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        std::thread::sleep(BEAT);
        let open = || {
            let listener = TcpListener::bind(local(port)).ok()?;
            listener.set_nonblocking(true).ok()?;
            Some(listener)
        };
        listener = listener.or_else(open);
        while let Some((client, _)) = listener.as_ref().and_then(|door| door.accept().ok()) {
            pairs.extend(pair(client, to));
        }
        pairs.retain_mut(|pair| pair.beat(bytes));
    }
}

fn pair(client: TcpStream, to: u16) -> Option<Pair> {
    let pool = TcpStream::connect(local(to)).ok()?;
    client.set_nonblocking(true).ok()?;
    pool.set_nonblocking(true).ok()?;
    Some(Pair {
        ends: [client, pool],
        waiting: Default::default(),
    })
}

impl Pair {
    /// Forwards bytes in both directions; `false` at the end.
    fn beat(&mut self, bytes: usize) -> bool {
        for (from, to) in [(0, 1), (1, 0)] {
            let waiting = &mut self.waiting[from];
            if waiting.is_empty() {
                let mut buffer = vec![0; bytes];
                match self.ends[from].read(&mut buffer) {
                    Ok(0) => return false,
                    Ok(read) => waiting.extend(&buffer[..read]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                    Err(_) => return false,
                }
            }
            match self.ends[to].write(waiting) {
                Ok(written) => drop(waiting.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => (),
                Err(_) => return false,
            }
        }
        true
    }
}
