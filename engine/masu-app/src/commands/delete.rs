//! `delete`.

use masu_cli::{FORCE, Parsed};
use masu_runtime::DeleteMode;

use super::id;
use crate::{failure::Result, session::Session};

/// Removes a container.
pub(super) fn delete(session: &Session<'_>, parsed: &Parsed<'_>) -> Result<i32> {
    let mode = if parsed.options.flag(&FORCE) { DeleteMode::Force } else { DeleteMode::Stopped };
    for warning in masu_runtime::delete(&session.store, id(parsed), mode, session.env.0)? {
        session.log.warning(&warning);
    }
    Ok(0)
}
