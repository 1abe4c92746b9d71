//! The engine that belongs to this program, called as our caller has called it.

use std::path::Path;
use std::process::Command;

use masu_app::{Failure, Result};
use masu_cli::{CGROUP_MANAGER, DEBUG, ROOTLESS, SYSTEMD_CGROUP};

use crate::Session;

/// The engine that engines call.
pub(crate) const ENGINE: &str = "masu";
/// The one that writes down what it does, docs/decisions/0027.
pub(crate) const TRACING_ENGINE: &str = "masu-trace";

/// A call of `program`, one of the two above, with the root of our own call. It stands beside us, or where
/// `../libexec/masu/` leads back to. Never PATH's, which is another version perhaps.
///
/// # Errors
/// When it is in neither place.
pub(crate) fn command(session: &Session<'_>, program: &str) -> Result<Command> {
    let own = std::env::current_exe().map_err(|error| Failure::new(format!("/proc/self/exe: {error}")))?;
    let directory = own.parent().unwrap_or(Path::new("/"));
    let places = [directory.join(program), directory.join("../../bin").join(program)];
    let path = places.into_iter().find(|path| path.is_file()).ok_or_else(|| {
        let message = format!("the engine is missing: {}", directory.join(program).display());
        Failure::with_hint(message, format!("install {program} and masu-tools side by side"))
    })?;
    let mut engine = Command::new(path);
    engine.arg("--root").arg(&session.root.path);
    Ok(engine)
}

/// Adds the global options of our own call but for those of the log.
pub(crate) fn add_global_options(session: &Session<'_>, engine: &mut Command) {
    engine.args(session.global.flag(&DEBUG).then_some("--debug"));
    engine.args(session.global.flag(&SYSTEMD_CGROUP).then_some("--systemd-cgroup"));
    for (option, value) in [
        ("--cgroup-manager", session.global.value(&CGROUP_MANAGER)),
        ("--rootless", session.global.value(&ROOTLESS)),
    ] {
        if let Some(value) = value {
            engine.args([option, value]);
        }
    }
}

/// That the engine could not be started.
pub(crate) fn cannot_run(error: std::io::Error) -> Failure {
    Failure::new(format!("run the engine: {error}"))
}
