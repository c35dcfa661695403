//! The only place where threads begin: each has a name and an explicit stack.

use std::io;
use std::thread::{Builder, JoinHandle};

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
