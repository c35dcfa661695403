//! Everything that is seen from outside: log lines and figures, both made of the same [`Fact`]s.
//!
//! [`event`] gives every fact its name, level and fields. What is *not* here: deciding anything, or serving HTTP.

pub mod event;

mod time;
mod wallet;

#[cfg(test)]
pub(crate) mod samples;
