//! What events on pool connections mean for the miners that use them, as methods of [`Core`](crate::core::Core).

mod aims;
mod balance;
mod connections;
mod fleet;
mod insight;
mod looks;
mod names;
mod roster;
mod verdicts;
