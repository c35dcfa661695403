//! Limits on how many operations run at the same time, and how often they are done.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// A number of places. Callers without a place are refused and do not wait, because a waiting thread would also take a
/// place.
#[derive(Clone, Debug)]
pub struct Places(Arc<AtomicUsize>);

/// A taken place; released when dropped.
#[derive(Debug)]
pub struct Place(Arc<AtomicUsize>);

impl Places {
    /// This many places.
    pub fn new(number: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(number)))
    }

    /// Takes a place if there is one.
    pub fn take(&self) -> Option<Place> {
        let one_less = |free: usize| free.checked_sub(1);
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less)
            .ok()
            .map(|_| Place(Arc::clone(&self.0)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// When something was last done.
#[derive(Debug, Default)]
pub struct Pace(Mutex<VecDeque<Instant>>);

impl Pace {
    /// Notes that it is done now.
    ///
    /// # Errors
    /// If it was done `most` times within this time already: how long to wait.
    pub fn take(&self, most: usize, within: Duration, now: Instant) -> Result<(), Duration> {
        let mut times = self.0.lock();
        times.retain(|at| now.saturating_duration_since(*at) < within);
        match times.front() {
            Some(first) if times.len() >= most => {
                Err(within.saturating_sub(now.saturating_duration_since(*first)))
            }
            Some(_) | None => {
                times.push_back(now);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::clock::clock;

    #[test]
    fn requests_are_allowed_up_to_the_limit() {
        let (pace, start) = (Pace::default(), clock());
        let minute = Duration::from_secs(60);
        let take = |seconds| pace.take(2, minute, start + Duration::from_secs(seconds));
        assert_eq!((take(0), take(10)), (Ok(()), Ok(())));
        assert_eq!(take(20), Err(Duration::from_secs(40)));
        assert_eq!((take(60), take(61)), (Ok(()), Err(Duration::from_secs(9))));
    }

    #[test]
    fn freed_places_can_be_used_again() {
        let places = Places::new(2);
        let first = places.take().unwrap();
        let _second = places.take().unwrap();
        assert!(places.take().is_none());
        drop(first);
        assert!(places.take().is_some());
    }
}
