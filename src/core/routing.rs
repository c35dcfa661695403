//! What happens on pool connections and what follows for the miners that work on them: methods of
//! [`Core`](crate::core::Core).

mod aims;
mod balance;
mod connections;
mod fleet;
mod insight;
mod looks;
mod roster;
mod verdicts;
