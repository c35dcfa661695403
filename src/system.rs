//! The interface to the operating system: time, threads, sockets, files, and its limits.

pub mod clock;
pub mod files;
pub mod net;
pub mod port_owner;
pub mod room;
pub mod thread;
