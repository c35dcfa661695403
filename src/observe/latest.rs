//! The newest snapshot of the state, for all readers.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::core::snapshot::Snapshot;

/// Holds the newest [`Snapshot`]. The scheduler sets it; web pages and metrics read it.
#[derive(Debug, Default)]
pub struct LatestSnapshot(Mutex<Arc<Snapshot>>);

impl LatestSnapshot {
    /// Replaces the snapshot. Readers of the old one keep it.
    pub fn set(&self, snapshot: Snapshot) {
        let new = Arc::new(snapshot);
        // The lock is held only for the exchange; the old snapshot is freed afterwards.
        let _old = std::mem::replace(&mut *self.0.lock(), new);
    }

    /// The newest snapshot.
    pub fn get(&self) -> Arc<Snapshot> {
        Arc::clone(&self.0.lock())
    }
}
