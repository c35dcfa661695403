//! What a pool does, for the code that runs it.

use std::time::Instant;

use crate::sim::pool::ledger::JobRecord;

/// An action of a pool.
#[derive(Clone, Debug)]
pub enum PoolOutput {
    /// Write a line.
    Write {
        /// To which connection.
        connection: u64,
        /// The line with its end.
        line: String,
        /// Not before this moment.
        due: Instant,
        /// The job in the line, to be [recorded](super::ledger::PoolLedger::job_written) with its time once it is
        /// written.
        job: Option<JobRecord>,
    },
    /// Close a connection.
    Close {
        /// Which one.
        connection: u64,
    },
}
