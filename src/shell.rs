//! Everything that touches the outside world: sockets and their threads, files, signals. It carries out what the
//! [core](crate::core) decides and decides nothing itself.

pub mod accept;
pub mod blocks;
pub mod connection;
pub mod dial;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub mod flush;
pub mod inbox;
pub mod jobs;
pub mod link;
pub mod names;
pub mod pace;
pub mod panics;
pub mod proxy_header;
pub mod scheduler;
pub mod seats;
pub mod socket;
pub mod standstill;
pub mod tls;

pub mod running;
pub mod settings;
pub mod store;
pub mod timetable;
pub mod watch;

/// On other systems, every connection has its own writer.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub mod flush {
    use std::io;
    use std::sync::Arc;
    use std::time::Duration;

    use crate::shell::socket::Socket;

    /// Does nothing.
    #[derive(Debug)]
    pub struct Flush;

    impl Flush {
        /// Starts nothing.
        ///
        /// # Errors
        /// Never.
        pub fn start(_patience: Duration) -> io::Result<Self> {
            Ok(Self)
        }

        /// Nothing is ever added.
        pub fn add(&self, _socket: Arc<Socket>) {}
    }
}
