//! The newest snapshot of the state, for all readers.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::core::snapshot::Snapshot;

/// A place for the newest [`Snapshot`]. The scheduler puts it there; web pages and metrics take it.
#[derive(Debug, Default)]
pub struct LatestSnapshot(Mutex<Arc<Snapshot>>);

impl LatestSnapshot {
    /// Replaces the picture. Whoever looks at the old one keeps it.
    pub fn set(&self, snapshot: Snapshot) {
        let new = Arc::new(snapshot);
        // The lock is held for the exchange only; the old picture is freed after it.
        let _old = std::mem::replace(&mut *self.0.lock(), new);
    }

    /// The newest picture.
    pub fn get(&self) -> Arc<Snapshot> {
        Arc::clone(&self.0.lock())
    }
}
