//! What a pool does, for the code that runs it.

use std::time::Instant;

use crate::sim::pool::ledger::JobRecord;

/// What a pool does.
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
        /// The job that is in the line, to be [recorded](super::ledger::PoolLedger::job_written) once it is
        /// written; its time of writing is filled in then.
        job: Option<JobRecord>,
    },
    /// Close a connection.
    Close {
        /// Which one.
        connection: u64,
    },
}
