//! Everything that touches the outside world: sockets, threads, clocks, files, signals.

pub mod files;
pub mod thread;
