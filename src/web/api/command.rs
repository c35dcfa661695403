//! Commands from the API to the scheduler.

use std::time::Duration;

use crossbeam_channel::{Sender, bounded};

use crate::shell::inbox::Input;
use crate::web::error::{ApiError, Code};
use crate::web::pages::Pages;

/// How long the scheduler may take. Usually it takes a millisecond.
const PATIENCE: Duration = Duration::from_secs(5);

/// Gives the scheduler a command, and waits until the result is published.
pub(super) fn command(
    pages: &Pages,
    input: impl FnOnce(Sender<()>) -> Input,
) -> Result<(), ApiError> {
    let (done, answer) = bounded(1);
    let sent = pages.context.inbox.send(input(done)).is_ok();
    if sent && answer.recv_timeout(PATIENCE).is_ok() {
        return Ok(());
    }
    Err(ApiError::new(
        Code::Unavailable,
        "DPMP could not do this yet: it is stopping, or very busy.",
    ))
}
