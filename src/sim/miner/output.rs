//! What a miner does, for the code that runs it.

/// An action of a miner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MinerOutput {
    /// Write these lines in one go.
    Write(String),
    /// Close the connection.
    HangUp,
    /// Close the sending half.
    CloseSending,
    /// Stop reading.
    StopReading,
}
