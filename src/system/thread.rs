//! The only place where threads are started: each has a name and an explicit stack size.

use std::io;
use std::thread::{Builder, JoinHandle};

use anyhow::{Context, anyhow};
use crossbeam_channel::{Receiver, Sender, bounded};

/// Stack of a thread that parses what a peer sent, in bytes. A TLS handshake touches 32 KiB of it.
pub const PARSER_STACK: usize = 256 * 1024;

/// Stack of a thread that only formats and writes, in bytes.
pub const WRITER_STACK: usize = 128 * 1024;

/// Stack of a thread that runs for the whole process (scheduler, log, web), in bytes.
pub const SERVICE_STACK: usize = 1024 * 1024;

/// Starts a thread. Linux shows the first 15 bytes of its name.
///
/// # Errors
/// If the system has no room for another thread.
pub fn spawn<T: Send + 'static>(
    name: impl Into<String>,
    stack_bytes: usize,
    run: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    Builder::new()
        .name(name.into())
        .stack_size(stack_bytes)
        .spawn(run)
}

/// Starts a thread that writes what it is sent, of which so many may wait; it ends when the sender is dropped. `report`
/// hears of trouble, once until it is over.
///
/// # Errors
/// If the system has no room for another thread.
pub fn spawn_writer<T: Send + 'static>(
    name: &str,
    waiting: usize,
    write: impl Fn(T) -> anyhow::Result<()> + Send + 'static,
    report: impl Fn(String) + Send + 'static,
) -> io::Result<(Sender<T>, JoinHandle<()>)> {
    let (sender, sent) = bounded(waiting);
    let thread = spawn(name, SERVICE_STACK, move || {
        let mut in_trouble = false;
        for it in sent {
            let trouble = write(it).err();
            let was_in_trouble = std::mem::replace(&mut in_trouble, trouble.is_some());
            if let (Some(error), false) = (trouble, was_in_trouble) {
                report(format!("{error:#}"));
            }
        }
    })?;
    Ok((sender, thread))
}

/// A thread that keeps something on the disk.
#[derive(Debug)]
pub struct Keeper {
    name: &'static str,
    stop: Sender<()>,
    thread: JoinHandle<anyhow::Result<()>>,
}

impl Keeper {
    /// Starts the thread. `run` saves a last time and returns when the channel that it gets is closed.
    ///
    /// # Errors
    /// If the system has no room for another thread.
    pub fn start(
        name: &'static str,
        run: impl FnOnce(&Receiver<()>) -> anyhow::Result<()> + Send + 'static,
    ) -> anyhow::Result<Self> {
        let (stop, stopped) = bounded(0);
        let thread = spawn(name, SERVICE_STACK, move || run(&stopped))
            .with_context(|| format!("failed to start the {name} thread"))?;
        Ok(Self { name, stop, thread })
    }

    /// Stops the thread and waits until it has saved.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn stop(self) -> anyhow::Result<()> {
        drop(self.stop);
        let ended = self.thread.join();
        ended.unwrap_or_else(|_| Err(anyhow!("the {} thread failed", self.name)))
    }
}
