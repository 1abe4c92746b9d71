//! What the engine has to say to a box, and what it comes to.

use std::path::Path;
use std::process::Command;

use masu_app::{Failure, Result};
use serde::Deserialize;

use super::OWN_FAILURE;
use crate::Session;
use crate::bundle::container_of;
use crate::engine::{self, ENGINE, cannot_run};

/// Exit codes that podman and docker have for a program that does not start.
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// The engine with the global options of this call, and its messages in a file for [`relay`].
///
/// # Errors
///
/// When there is none.
pub(super) fn engine_with_log(session: &Session<'_>, log: &Path) -> Result<Command> {
    let mut engine = engine::command(session, ENGINE)?;
    engine.arg("--log").arg(log).args(["--log-format", "json"]);
    engine::add_global_options(session, &mut engine);
    Ok(engine)
}

/// Removes the container of a bundle whose engine was killed, and kills what still runs in it.
///
/// # Errors
///
/// When it cannot be removed.
pub(super) fn clear(session: &Session<'_>, directory: &Path) -> Result<()> {
    // Where the state cannot be read the engine has made nothing either.
    let Ok(Some(id)) = container_of(session, directory) else { return Ok(()) };
    let status =
        engine::command(session, ENGINE)?.args(["delete", "--force", &id]).status().map_err(cannot_run)?;
    match status.success() {
        true => Ok(()),
        false => Err(Failure::new(format!("container {id} is left: masu delete --force {id}"))),
    }
}

/// A line of the engine's log.
#[derive(Deserialize)]
struct Line {
    level: String,
    msg: String,
    hint: Option<String>,
}

/// Passes on what the engine had to say but for its errors. The last of them, if there is one: it means that the engine's
/// exit code is its own, and not the program's.
pub(super) fn relay(session: &Session<'_>, log: &Path) -> Option<Failure> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let mut last = None;
    for line in text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok()) {
        match line.level.as_str() {
            "warning" => session.log.warning(&line.msg),
            "debug" => session.log.debug(&line.msg),
            "error" => last = Some(Failure { message: line.msg, hint: line.hint }),
            _ => {}
        }
    }
    last
}

/// The exit code for an error of the engine.
pub(super) fn failure_code(error: &Failure) -> u8 {
    match error.message.as_str() {
        message if !message.starts_with("exec: ") => OWN_FAILURE,
        message if message.contains("not found") || message.contains("no such file") => NOT_FOUND,
        _ => NOT_EXECUTABLE,
    }
}

#[cfg(test)]
mod tests {
    use masu_app::Failure;

    use super::failure_code;

    #[test]
    fn a_program_that_does_not_start_has_a_code_of_its_own() {
        let code = |message| failure_code(&Failure::new(message));
        assert_eq!(code("exec: \"x\": executable file not found in $PATH"), 127);
        assert_eq!(code("exec: \"/x\": no such file or directory (ENOENT)"), 127);
        assert_eq!(code("exec: \"/\": is a directory: permission denied"), 126);
        assert_eq!(code("mounts[7]: no such file or directory (ENOENT)"), 125);
    }
}
