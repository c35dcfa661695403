//! What a miner does, for the code that runs it.

/// What a miner does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MinerOutput {
    /// Write these lines at once.
    Write(String),
    /// Close the connection.
    HangUp,
    /// Close the sending half.
    CloseSending,
    /// Do not read any more.
    StopReading,
}
