//! `create` and `run`.

use alloc::{format, vec::Vec};

use masu_cli::{
    BUNDLE, CONSOLE_SOCKET, DETACH, KEEP, Matches, NO_NEW_KEYRING, NO_PIVOT, NO_SUBREAPER, PID_FILE,
    PIDFD_SOCKET, PRESERVE_FDS, Parsed, ROOTLESS, parse_bool,
};
use masu_runtime::{
    Attachment, Console, CreateOptions, DeleteMode, Error, Gate, Notify, Reaping, Services, Started, Work,
};
use rustix::{fs::CWD, io::Errno};

use super::id;
use crate::{
    activation::listen_fds,
    failure::{Failure, Result},
    session::{Session, cgroup_driver},
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
        let started = launch(session, parsed, Gate::Open)?;
        if let Some(notify) = started.notify {
            // The container is on its own: whoever waits for us may end us now.
            masu_runtime::unblock_signals()?;
            forward(session, notify, id(parsed));
        }
        return Ok(0);
    }
    let reaping = if parsed.options.flag(&NO_SUBREAPER) { Reaping::Child } else { Reaping::Subreaper };
    if reaping == Reaping::Subreaper {
        masu_runtime::become_subreaper()?;
    }
    let mut started = launch(session, parsed, Gate::Open)?;
    let warn = |warning: &str| session.log.warning(warning);
    let outcome = session.measure(Work::Wait, || masu_runtime::wait(&mut started, reaping, &warn));
    if outcome.is_err() || !parsed.options.flag(&KEEP) {
        let deleted = session.measure(Work::Delete, || {
            masu_runtime::delete(&session.store, id(parsed), DeleteMode::Force, session.env.0)
        });
        match deleted {
            Ok(warnings) => warnings.iter().for_each(|warning| session.log.warning(warning)),
            // The status of the process is the answer; that something is left is told beside it.
            Err(error) => session.log.error(&error.into()),
        }
    }
    Ok(outcome?)
}

/// Tells the service manager when the container is ready. It runs, whatever goes wrong here.
pub(super) fn forward(session: &Session<'_>, notify: Notify, id: &str) {
    let warn = |warning: &str| session.log.warning(warning);
    match notify.forward(&session.store, id, &warn) {
        // It has ended, which was all that there was to wait for.
        Ok(()) | Err(Error::State { .. } | Error::NotFound { .. }) => {}
        Err(error) => warn(&format!("{error}")),
    }
}

fn launch(session: &Session<'_>, parsed: &Parsed<'_>, gate: Gate) -> Result<Started> {
    let options = &parsed.options;
    session.root.prepare()?;
    masu_runtime::block_signals()?;
    let listen_fds = listen_fds(session.env);
    let create_options = CreateOptions {
        id: id(parsed),
        bundle: bundle(options),
        gate,
        console: console(options, gate == Gate::Fifo || options.flag(&DETACH)),
        pid_file: options.value(&PID_FILE),
        no_pivot: options.flag(&NO_PIVOT),
        no_new_keyring: options.flag(&NO_NEW_KEYRING),
        preserve_fds: preserve_fds(options)?.saturating_add(listen_fds),
        services: Services {
            pidfd_socket: options.value(&PIDFD_SOCKET),
            notify_socket: notify_socket(session),
            listen_fds,
        },
        environment: session.env.0,
        cgroup_driver: cgroup_driver(&session.global, session.env),
        rootless: session.global.value(&ROOTLESS).and_then(parse_bool),
        search_path: session.env.variable("PATH").unwrap_or_default(),
        trace: &session.trace,
    };
    let mut warnings = Vec::new();
    let made = masu_runtime::create(&session.store, &create_options, session.init_image, &mut warnings);
    let started = made.as_ref().map(|started| started.warnings.as_slice());
    for warning in warnings.iter().chain(started.unwrap_or_default()) {
        session.log.warning(warning);
    }
    Ok(made?)
}

/// What becomes of a terminal; `exec` has the same options.
pub(super) fn console<'a>(options: &Matches<'a>, detached: bool) -> Console<'a> {
    let attachment = if detached { Attachment::Detached } else { Attachment::Foreground };
    Console { attachment, socket: options.value(&CONSOLE_SOCKET) }
}

/// The service manager that wants to be told, sd_notify(3).
pub(super) fn notify_socket(session: &Session<'_>) -> Option<&'static str> {
    session.env.variable("NOTIFY_SOCKET").filter(|socket| !socket.is_empty())
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
