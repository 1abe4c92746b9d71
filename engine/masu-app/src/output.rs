//! What goes to standard output: part of the interface, so that each command hands over whole texts.

use masu_sys::errno::Described;

use masu_runtime::files;

use crate::failure::{Failure, Result};

/// Writes a text to standard output.
pub(crate) fn print(text: &str) -> Result<()> {
    files::write_all(masu_sys::fd::stdout(), text.as_bytes())
        .map_err(|errno| Failure::new(alloc::format!("write to standard output: {}", Described(errno))))
}

/// Unwraps JSON that a type of our own was made into.
pub(crate) fn json<T>(made: core::result::Result<T, serde_json::Error>) -> Result<T> {
    made.map_err(|error| Failure::new(alloc::format!("write JSON: {error}")))
}
