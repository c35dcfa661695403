//! The work itself: a pool's jobs, which work was handed out, and the judgment of shares.

pub mod block;
pub mod extranonce;
pub mod handed_out;
pub mod jobs;
pub mod judge;
