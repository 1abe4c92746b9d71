//! `masu box -d`: the supervisor is started, and waited for until the program runs.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};

use clap::ArgMatches;
use masu_app::{Failure, Result};
use masu_cli::{LOG, LOG_FORMAT};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, kill_process};

use super::foreground::{Signals, failed};
use super::network::Reserved;
use super::supervisor::{Order, Output, VERB};
use super::{OWN_FAILURE, Place, options};
use crate::{Session, engine, output};

/// Starts it, and prints the name of the box. Where that fails nothing is left of the box, and the exit code says why.
pub(super) fn run(
    session: &Session<'_>,
    matches: &ArgMatches,
    place: &Place<'_>,
    ports: &Reserved,
    signals: &Signals,
) -> Result<ExitCode> {
    let outcome = start(session, matches, place, ports, signals);
    let told = match outcome {
        Ok(None) => return output::print(&format!("{}\n", place.name)).map(|()| ExitCode::SUCCESS),
        // It has cleaned up after itself, and said why.
        Ok(Some(status)) if status.code().is_some() => {
            return Ok(ExitCode::from(
                status.code().and_then(|code| code.try_into().ok()).unwrap_or(OWN_FAILURE),
            ));
        }
        Ok(Some(status)) => Failure::new(format!("the supervisor of the box ended: {status}")),
        Err(failure) => failure,
    };
    place.leave(session, false)?;
    Err(told)
}

/// How the supervisor ended before the program ran, if it did.
fn start(
    session: &Session<'_>,
    matches: &ArgMatches,
    place: &Place<'_>,
    ports: &Reserved,
    signals: &Signals,
) -> Result<Option<ExitStatus>> {
    let output = match (matches.get_flag("tty"), matches.get_flag("interactive")) {
        (true, _) => Output::Terminal,
        (false, true) => Output::PipesWithInput,
        (false, false) => Output::Pipes,
    };
    let order = Order {
        store: place.store.path().to_owned(),
        name: place.name.to_owned(),
        keep: matches.get_flag("keep"),
        output,
        log_size: options::log_size(matches)?,
    };
    let order = serde_json::to_string(&order).map_err(|error| Failure::new(error.to_string()))?;
    // What the caller has left open is not the box's: a lock, say, or a pipe whose end somebody waits for.
    masu_sys::fd::set_cloexec_range(3, u32::MAX).map_err(|errno| failed("close_range", errno))?;
    // Ports are the box's, as long as it is there: the supervisor has them without knowing.
    ports.leave().map_err(|errno| failed("fcntl", errno))?;
    let (ready, theirs) = pipe_with(PipeFlags::CLOEXEC).map_err(|errno| failed("pipe2", errno))?;
    let mut child = supervisor(session)?;
    child.args([VERB, &order]).stdin(Stdio::null()).stdout(theirs);
    let told = |error| Failure::new(format!("run the supervisor of the box: {error}"));
    let mut running = child.spawn().map_err(told)?;
    // With it goes the end of the pipe that is not the supervisor's.
    drop(child);
    if wait_until_ready(ready, &running, signals)? {
        return Ok(None);
    }
    running.wait().map(Some).map_err(told)
}

fn supervisor(session: &Session<'_>) -> Result<Command> {
    let own = std::env::current_exe().map_err(|error| Failure::new(format!("/proc/self/exe: {error}")))?;
    let mut supervisor = Command::new(own);
    supervisor.arg("--root").arg(&session.root.path);
    for (option, name) in [(&LOG, "--log"), (&LOG_FORMAT, "--log-format")] {
        if let Some(value) = session.global.value(option) {
            supervisor.args([name, value]);
        }
    }
    engine::add_global_options(session, &mut supervisor);
    Ok(supervisor)
}

/// Whether the program runs. Signals are the supervisor's meanwhile: it knows what there is to be taken away.
fn wait_until_ready(ready: OwnedFd, child: &Child, signals: &Signals) -> Result<bool> {
    let mut ready = File::from(ready);
    loop {
        let descriptor = signals.descriptor();
        let mut fds = [PollFd::new(&ready, PollFlags::IN), PollFd::new(&descriptor, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(failed("poll", errno)),
        }
        let [is_told, _] = fds.map(|fd| !fd.revents().is_empty());
        if is_told {
            // An end of file is a "no".
            return Ok(matches!(ready.read(&mut [0]), Ok(1)));
        }
        while let Some(info) = signals.next()? {
            let signal = Signal::from_named_raw(info.signal);
            if let Some(signal) = signal.filter(|signal| ![Signal::CHILD, Signal::WINCH].contains(signal)) {
                // ignored: the supervisor has ended, which the next round sees. It is our child, and not reaped yet.
                kill_process(Pid::from_child(child), signal).ok();
            }
        }
    }
}
