//! A limit to how much of something goes on at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many places. Who finds none is sent away and does not wait: a thread that waits is a place, too.
#[derive(Clone, Debug)]
pub struct Places(Arc<AtomicUsize>);

/// A place that was taken; given back when dropped.
#[derive(Debug)]
pub struct Place(Arc<AtomicUsize>);

impl Places {
    /// So many.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_back() {
        let places = Places::new(2);
        let first = places.take().unwrap();
        let _second = places.take().unwrap();
        assert!(places.take().is_none());
        drop(first);
        assert!(places.take().is_some());
    }
}
