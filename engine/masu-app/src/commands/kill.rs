//! `kill`.

use alloc::{borrow::ToOwned, format, string::ToString};

use masu_cli::{ALL, Parsed};
use masu_runtime::{Container, Error};
use masu_spec::{STOP_SIGNAL, parse_signal};

use super::id;
use crate::{failure::Result, session::Session};

/// runc's phrase: containerd takes it for "has ended already".
pub(super) const NOT_RUNNING: &str = "container not running";

/// Sends a signal.
pub(super) fn kill(session: &Session<'_>, parsed: &Parsed<'_>) -> Result<i32> {
    let container = session.store.load(id(parsed))?;
    let signal = match parsed.positional(1) {
        Some(text) => parse_signal(text)?,
        None => stop_signal(&container)?,
    };
    match container.kill(i32::from(signal)) {
        // All that is left of --all: containerd uses it on containers that may have ended.
        Err(Error::State { message, .. }) if parsed.options.flag(&ALL) && message == NOT_RUNNING => Ok(0),
        outcome => {
            outcome?;
            Ok(0)
        }
    }
}

/// The signal for a caller who names none: its image's, if it has one (runtime specification, "Annotations").
fn stop_signal(container: &Container) -> core::result::Result<u8, Error> {
    let annotated = container.annotations.get(STOP_SIGNAL).filter(|text| !text.is_empty());
    parse_signal(annotated.map_or("SIGTERM", |text| text)).map_err(|error| Error::Unsupported {
        field: format!("annotations[{STOP_SIGNAL:?}]"),
        reason: error.to_string(),
        hint: Some("name a signal behind the id".to_owned()),
    })
}
