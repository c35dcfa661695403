//! Everything that touches the outside world: sockets, threads, clocks, files, signals.
//! It carries out what the [core](crate::core) decides and decides nothing itself.

pub mod clock;
pub mod thread;

pub mod accept;
pub mod connection;
pub mod dial;
pub mod inbox;
pub mod link;
pub mod panics;
pub mod proxy_header;
pub mod room;
pub mod scheduler;
pub mod seats;
pub mod tls;

pub mod files;
pub mod settings;
pub mod store;
pub mod watch;
