//! `start`.

use masu_cli::Parsed;

use super::id;
use crate::{failure::Result, session::Session};

/// Lets the program of a created container run.
pub(super) fn start(session: &Session<'_>, parsed: &Parsed<'_>) -> Result<i32> {
    masu_runtime::start(&session.store, id(parsed))?;
    Ok(0)
}
