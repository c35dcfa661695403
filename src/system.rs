//! What is taken of the system beneath: the time, threads, sockets, files, and how much there is of it.

pub mod clock;
pub mod files;
pub mod net;
pub mod port_owner;
pub mod room;
pub mod thread;
