//! What is taken of the system beneath: the time, threads, files, and how much there is of it.

pub mod clock;
pub mod files;
pub mod room;
pub mod thread;
