//! `pause` and `resume`.

use masu_cli::Parsed;

use super::id;
use crate::{failure::Result, session::Session};

/// Freezes a container.
pub(super) fn pause(session: &Session<'_>, parsed: &Parsed<'_>) -> Result<i32> {
    session.store.load(id(parsed))?.pause()?;
    Ok(0)
}

/// Lets a frozen container go on.
pub(super) fn resume(session: &Session<'_>, parsed: &Parsed<'_>) -> Result<i32> {
    session.store.load(id(parsed))?.resume()?;
    Ok(0)
}
