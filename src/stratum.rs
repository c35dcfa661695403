//! Stratum v1 itself: messages, their format, reject codes, jobs and their hashes.
//!
//! Pure functions and data. Nothing here knows that there are two pools, or what time it is.

pub mod message;

pub mod codec;
pub mod coinbase;
pub mod job;
pub mod line;
pub mod reject;
