//! Simulated pools and miners that hash for real, for `dpmp demo`, the tests and the benchmarks.
//!
//! ```text
//! chain         jobs from a seed, and a judge of shares         pure
//! pool::model   a pool's protocol: lines in, lines out          pure, time is an argument
//! pool          the same behind a listening socket              threads
//! miner::model  a miner's protocol and its hashing              pure, time is an argument
//! miner         the same over a socket                          threads
//! world         the proxy's core among such peers               pure, time is its own
//! ```
//!
//! The simulators judge the proxy, so they share no protocol code with it: JSON is taken apart with
//! `serde_json::Value` and hashes are computed in [`chain::hash`]. From [`crate::stratum`] they take
//! only plain data. They print nothing, never panic and stop when they are dropped.

pub mod chain;

pub mod miner;
pub mod peer;
pub mod pool;
pub mod world;

/// Makes a struct of habits, each with its default.
macro_rules! habits {
    ($(#[$about:meta])* pub struct $name:ident {
        $($(#[$doc:meta])* pub $habit:ident: $type:ty = $default:expr,)*
    }) => {
        $(#[$about])*
        #[derive(Clone, Debug)]
        pub struct $name {
            $($(#[$doc])* pub $habit: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($habit: $default,)* }
            }
        }
    };
}
use habits;

/// Makes a peer's ledger: its records, of which clones share one copy, and a function that reads each.
macro_rules! ledger {
    ($(#[$about:meta])* $ledger:ident
        lists { $($(#[$list_doc:meta])* $list:ident: $record:ty,)* }
        values { $($(#[$value_doc:meta])* $value:ident: $type:ty,)* }
        more { $($(#[$more_doc:meta])* $more:ident: $more_type:ty,)* }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default)]
        pub struct $ledger {
            records: Arc<Mutex<Records>>,
        }

        #[derive(Debug, Default)]
        struct Records {
            $($list: VecDeque<$record>,)*
            $($value: $type,)*
            $($(#[$more_doc])* $more: $more_type,)*
        }

        impl $ledger {
            $($(#[$list_doc])*
            pub fn $list(&self) -> Vec<$record> {
                self.records.lock().$list.iter().cloned().collect()
            })*

            $($(#[$value_doc])*
            pub fn $value(&self) -> $type {
                self.records.lock().$value
            })*
        }
    };
}
use ledger;

/// Appends a record; returns whether the oldest one was dropped because there were `most`.
fn keep<T>(most: usize, records: &mut std::collections::VecDeque<T>, record: T) -> bool {
    let full = records.len() == most;
    if full {
        records.pop_front();
    }
    records.push_back(record);
    full
}

/// Takes a complete line out of the bytes read, without its line end.
fn take_line(pending: &mut Vec<u8>) -> Option<Vec<u8>> {
    let end = pending.iter().position(|byte| *byte == b'\n')?;
    let rest = pending.split_off(end + 1);
    let mut line = std::mem::replace(pending, rest);
    line.truncate(line.trim_ascii_end().len());
    Some(line)
}

#[cfg(test)]
mod tests;
