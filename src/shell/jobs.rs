//! Each pool's latest job, as a line and parsed. Most pools send the same line to all connections, so it is parsed only
//! once.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::stratum::codec::{DecodeError, decode_pool};
use crate::stratum::job::Notify;
use crate::stratum::message::FromPool;
use crate::units::{PerPool, PoolSlot};

/// The latest job of each pool, shared by the threads that read its connections.
#[derive(Debug, Default)]
pub struct LatestJobs(PerPool<Mutex<Option<ParsedJob>>>);

#[derive(Debug)]
struct ParsedJob {
    line: Vec<u8>,
    job: Arc<Notify>,
}

impl LatestJobs {
    /// Reads a pool's line.
    ///
    /// # Errors
    /// If it is no message.
    pub fn read(&self, slot: PoolSlot, line: &[u8]) -> Result<FromPool, DecodeError> {
        let known = &self.0[slot];
        if let Some(known) = known.lock().as_ref().filter(|known| known.line == line) {
            return Ok(FromPool::Notify(Arc::clone(&known.job)));
        }
        let message = decode_pool(line)?;
        if let FromPool::Notify(job) = &message {
            let (line, job) = (line.to_vec(), Arc::clone(job));
            *known.lock() = Some(ParsedJob { line, job });
        }
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notify(name: &str) -> String {
        let hash = "00".repeat(32);
        format!(
            r#"{{"id":null,"method":"mining.notify","params":["{name}","{hash}","01","02",[],"20000000","1702a1b2","6ab00000",true]}}"#
        )
    }

    #[test]
    fn the_same_line_is_the_same_job_and_a_different_line_is_not() {
        let jobs = LatestJobs::default();
        let read = |slot, line: &str| match jobs.read(slot, line.as_bytes()) {
            Ok(FromPool::Notify(job)) => job,
            other => panic!("{other:?}"),
        };
        let first = read(PoolSlot::A, &notify("1"));
        assert!(Arc::ptr_eq(&first, &read(PoolSlot::A, &notify("1"))));
        assert!(!Arc::ptr_eq(&first, &read(PoolSlot::B, &notify("1"))));
        let second = read(PoolSlot::A, &notify("2"));
        assert_eq!(&*second.job_id, "2");
        assert_eq!(&*read(PoolSlot::A, &notify("1")).job_id, "1");
        let answer = jobs.read(PoolSlot::A, br#"{"id":4,"result":true,"error":null}"#);
        assert!(matches!(answer, Ok(FromPool::Response { id: 4, .. })));
        assert!(jobs.read(PoolSlot::A, b"{").is_err());
    }
}
