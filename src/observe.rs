//! Everything that is seen from outside: log lines and figures, both made of the same [`Fact`]s.
//!
//! [`event`] gives every fact its name, level and fields, [`log`] writes them. What is *not* here: deciding anything, or serving HTTP.

pub mod event;
pub mod log;

mod time;
mod wallet;

#[cfg(test)]
pub(crate) mod samples;
