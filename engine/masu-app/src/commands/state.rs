//! `state`.

use masu_cli::Parsed;

use super::id;
use crate::{failure::Result, output, session::Session};

/// Prints the state of a container.
pub(super) fn state(session: &Session<'_>, parsed: &Parsed<'_>) -> Result<i32> {
    let container = session.store.load(id(parsed))?;
    output::print(&output::json(container.state()?.to_json())?)?;
    Ok(0)
}
