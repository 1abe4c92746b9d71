//! `create` and `run`.

use alloc::format;

use masu_cli::{
    BUNDLE, CGROUP_MANAGER, DETACH, KEEP, Matches, NO_NEW_KEYRING, NO_PIVOT, NO_SUBREAPER, PID_FILE,
    PRESERVE_FDS, Parsed,
};
use masu_runtime::{CreateOptions, DeleteMode, Gate, Reaping, Started};
use rustix::{fs::CWD, io::Errno};

use super::id;
use crate::{
    failure::{Failure, Result},
    session::Session,
};

/// `create`: the process waits for `start`.
pub(super) fn create(session: &Session<'_>, parsed: &Parsed<'_>) -> Result<i32> {
    launch(session, parsed, Gate::Fifo)?;
    Ok(0)
}

/// `run`: create, start and, in the foreground, wait and delete.
pub(super) fn run(session: &Session<'_>, parsed: &Parsed<'_>) -> Result<i32> {
    refuse_image(parsed)?;
    if parsed.options.flag(&DETACH) {
        launch(session, parsed, Gate::Open)?;
        return Ok(0);
    }
    let reaping = if parsed.options.flag(&NO_SUBREAPER) { Reaping::Child } else { Reaping::Subreaper };
    if reaping == Reaping::Subreaper {
        masu_runtime::become_subreaper()?;
    }
    let started = launch(session, parsed, Gate::Open)?;
    let outcome = masu_runtime::wait(&started.child, reaping);
    if outcome.is_err() || !parsed.options.flag(&KEEP) {
        let deleted = masu_runtime::delete(&session.store, id(parsed), DeleteMode::Force);
        if let Err(error) = deleted {
            // The status of the process is the answer; that something is left is told beside it.
            session.log.error(&error.into());
        }
    }
    Ok(outcome?)
}

fn launch(session: &Session<'_>, parsed: &Parsed<'_>, gate: Gate) -> Result<Started> {
    let options = &parsed.options;
    session.root.prepare()?;
    masu_runtime::block_signals()?;
    let create_options = CreateOptions {
        id: id(parsed),
        bundle: bundle(options),
        gate,
        pid_file: options.value(&PID_FILE),
        no_pivot: options.flag(&NO_PIVOT),
        no_new_keyring: options.flag(&NO_NEW_KEYRING),
        preserve_fds: preserve_fds(options)?,
        no_cgroup: session.global.value(&CGROUP_MANAGER) == Some("disabled"),
    };
    let started = masu_runtime::create(&session.store, &create_options, session.init_image)?;
    for warning in &started.warnings {
        session.log.warning(warning);
    }
    Ok(started)
}

fn bundle<'a>(options: &Matches<'a>) -> &'a str {
    options.value(&BUNDLE).unwrap_or(".")
}

/// How many descriptors from 3 on are handed to the process.
pub(super) fn preserve_fds(options: &Matches<'_>) -> Result<u32> {
    let number = options.number(&PRESERVE_FDS).unwrap_or(0);
    u32::try_from(number).map_err(|_| Failure::new(format!("--preserve-fds {number} is too large")))
}

/// `masu run IMAGE`, by people who know docker: an ID that cannot be one, and no bundle.
fn refuse_image(parsed: &Parsed<'_>) -> Result<()> {
    let id = id(parsed);
    if !looks_like_image(id) {
        return Ok(());
    }
    let config = format!("{}/config.json", bundle(&parsed.options));
    match rustix::fs::statat(CWD, config.as_str(), rustix::fs::AtFlags::empty()) {
        Err(Errno::NOENT) => Err(Failure::with_hint(
            format!("invalid container ID format: {id:?}: masu run takes a bundle, not an image"),
            format!("masu box {id}"),
        )),
        // Whatever else is wrong, create tells it better.
        _ => Ok(()),
    }
}

/// Characters that references to images have and IDs cannot have.
fn looks_like_image(id: &str) -> bool {
    id.contains([':', '/'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_to_images_are_told_from_ids() {
        for (id, image) in [
            ("alpine:3.20", true),
            ("library/alpine", true),
            ("ghcr.io/a/b@sha256:0", true),
            ("alpine", false),
            ("a.b_c+d-e", false),
        ] {
            assert_eq!(looks_like_image(id), image, "{id}");
        }
    }
}
