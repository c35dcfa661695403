//! Everything that touches the outside world: sockets, the threads that serve them, the files that change, signals.
//! It carries out what the [core](crate::core) decides and decides nothing itself.

pub mod accept;
pub mod blocks;
pub mod connection;
pub mod dial;
pub mod inbox;
pub mod link;
pub mod names;
pub mod panics;
pub mod proxy_header;
pub mod scheduler;
pub mod seats;
pub mod standstill;
pub mod tls;

pub mod running;
pub mod settings;
pub mod store;
pub mod watch;
