//! What the tests share: waiting, the proxy as a process, its config, its metrics, a raw client.

use std::time::{Duration, Instant};

/// How long a test waits for what should happen at once.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Waits until a condition holds, and fails with what was waited for if it does not within `patience`.
#[track_caller]
pub(crate) fn wait_until(patience: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
