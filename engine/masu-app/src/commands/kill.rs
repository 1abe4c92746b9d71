//! `kill`.

use masu_cli::{ALL, Parsed};
use masu_runtime::Error;
use masu_spec::parse_signal;

use super::id;
use crate::{failure::Result, session::Session};

/// runc's phrase: containerd takes it for "has ended already".
pub(super) const NOT_RUNNING: &str = "container not running";

/// Sends a signal.
pub(super) fn kill(session: &Session<'_>, parsed: &Parsed<'_>) -> Result<i32> {
    let container = session.store.load(id(parsed))?;
    let signal = parse_signal(parsed.positional(1).unwrap_or("SIGTERM"))?;
    match container.kill(i32::from(signal)) {
        // All that is left of --all: containerd uses it on containers that may have ended.
        Err(Error::State { message, .. }) if parsed.options.flag(&ALL) && message == NOT_RUNNING => Ok(0),
        outcome => {
            outcome?;
            Ok(0)
        }
    }
}
