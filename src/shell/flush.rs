//! The thread `flush`: it writes what waits in outboxes as soon as the sockets accept more.
//!
//! It serves all connections without a writer thread, and never waits for one of them. A peer that accepts nothing for
//! a while is disconnected.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::OwnedFd;

use crate::core::event::CloseReason;
use crate::shell::socket::Socket;
use crate::system::clock::clock;
use crate::system::thread::{WRITER_STACK, spawn};
use crate::units::later;

/// How long the thread rests when the system has no memory to poll with.
const AFTER_FAILURE: Duration = Duration::from_millis(50);

/// The scheduler's end of the thread, which ends when this is dropped.
#[derive(Debug)]
pub struct Flush(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    orders: Mutex<Orders>,
    /// Wakes the thread.
    wake: OwnedFd,
}

#[derive(Debug, Default)]
struct Orders {
    new: Vec<Arc<Socket>>,
    end: bool,
}

/// A connection whose outbox is not empty.
struct Backlog {
    socket: Arc<Socket>,
    /// When it is disconnected, unless it accepts something before.
    until: Instant,
}

impl Flush {
    /// Starts the thread. A peer that accepts nothing for this long is gone.
    ///
    /// # Errors
    /// If the system has no room for it.
    pub fn start(patience: Duration) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            orders: Mutex::default(),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        });
        let for_thread = Arc::clone(&shared);
        spawn("flush", WRITER_STACK, move || run(&for_thread, patience))?;
        Ok(Self(shared))
    }

    /// Writes a connection's outbox, which was empty until now.
    pub fn add(&self, socket: Arc<Socket>) {
        self.0.order(|orders| orders.new.push(socket));
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        self.0.order(|orders| orders.end = true);
    }
}

impl Shared {
    fn order(&self, order: impl FnOnce(&mut Orders)) {
        order(&mut self.orders.lock());
        // This only fails if the thread was woken 2⁶⁴ times without a reaction.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

fn run(shared: &Shared, patience: Duration) {
    let (mut backlogs, mut piece) = (Vec::<Backlog>::new(), Vec::new());
    loop {
        let ready = wait(&shared.wake, &backlogs);
        let now = clock();
        let until = later(now, patience);
        let mut ready = ready.into_iter();
        backlogs.retain_mut(|backlog| {
            let socket = &backlog.socket;
            if !ready.next().unwrap_or(false) {
                if backlog.until <= now {
                    socket.end(CloseReason::NotReading);
                }
                return now < backlog.until;
            }
            backlog.until = until;
            match socket.write_rest(&mut piece) {
                Ok(all) => !all,
                Err(error) => {
                    socket.end(CloseReason::Failed(error.to_string()));
                    false
                }
            }
        });
        let mut orders = shared.orders.lock();
        if orders.end {
            return;
        }
        let new = std::mem::take(&mut orders.new);
        drop(orders);
        backlogs.extend(new.into_iter().map(|socket| Backlog { socket, until }));
    }
}

/// Waits until connections accept more or a peer's time is over. Returns the ones that accept more.
fn wait(wake: &OwnedFd, backlogs: &[Backlog]) -> Vec<bool> {
    let mut sockets = vec![PollFd::new(wake, PollFlags::IN)];
    sockets.extend(
        backlogs
            .iter()
            .map(|it| PollFd::new(&it.socket.stream, PollFlags::OUT)),
    );
    let first = backlogs.iter().map(|backlog| backlog.until).min();
    let rest = first.map(|until| until.saturating_duration_since(clock()));
    let rest = rest.and_then(|rest| Timespec::try_from(rest).ok());
    if poll(&mut sockets, rest.as_ref()).is_err() {
        std::thread::sleep(AFTER_FAILURE);
        return Vec::new();
    }
    let _ = rustix::io::read(wake, &mut [0; 8]);
    let connections = sockets.iter().skip(1);
    connections
        .map(|socket| !socket.revents().is_empty())
        .collect()
}
