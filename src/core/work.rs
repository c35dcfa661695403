//! The work itself: a pool's jobs, what was handed out of them, and the judgement of shares.

pub mod block;
pub mod extranonce;
pub mod handed_out;
pub mod jobs;
pub mod judge;
