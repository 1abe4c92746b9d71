//! `start`.

use masu_cli::Parsed;

use masu_runtime::Notify;

use super::{
    create::{forward, notify_socket},
    id,
};
use crate::{failure::Result, session::Session};

/// Lets the program of a created container run.
pub(super) fn start(session: &Session<'_>, parsed: &Parsed<'_>) -> Result<i32> {
    let notify = listen(session, id(parsed))?;
    masu_runtime::start(&session.store, id(parsed), session.env.0)?;
    if let Some(notify) = notify {
        forward(session, notify, id(parsed));
    }
    Ok(0)
}

/// The socket on which the container says that it is ready. A container that was made without `NOTIFY_SOCKET` cannot say
/// it, and starts all the same.
fn listen(session: &Session<'_>, id: &str) -> Result<Option<Notify>> {
    let Some(manager) = notify_socket(session) else { return Ok(None) };
    match Notify::listen_for(&session.store, id, manager) {
        Err(error @ masu_runtime::Error::System { .. }) => {
            session.log.warning(&alloc::format!("{error}"));
            Ok(None)
        }
        outcome => Ok(outcome?),
    }
}
