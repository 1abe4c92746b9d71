//! What stays with a box in the background: a process of its own, started by `masu box -d` in the namespaces of the box.
//!
//! ```text
//! create ─▶ start ─▶ say that it runs ─▶ copy output ─▶ wait ─▶ write the exit code ─▶ remove the box
//!    └─────────┴── an error: remove the box, and exit with the code that says why
//! ```
//!
//! It is the subreaper that the container's process falls to when the engine has ended, so that nothing of the engine
//! stays. Killed by SIGKILL it leaves a container that runs on, without anybody who reads its output: `masu delete --force`
//! and `masu bundle rm` take both away. Other signals are the program's.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use masu_app::{Failure, Result};
use masu_image::Store;
use masu_sys::process::pidfd_send_signal;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, pidfd_open, wait};
use serde::{Deserialize, Serialize};

use super::foreground::{Signals, code_of_signal, failed};
use super::log::{Stream, Writer};
use super::messages::{engine_with_log, failure_code, relay};
use super::status::Held;
use super::terminal::Console;
use super::{OWN_FAILURE, Place, directory_of};
use crate::Session;
use crate::engine::cannot_run;

/// What this program is called with to become one. It is no verb of people's.
pub(crate) const VERB: &str = "box-supervisor";

/// What the engine has to say, in the box.
const ENGINE_LOG: &str = "log";

/// What is read at one time: half of what a pipe holds.
const PIECE: usize = 32 << 10;

/// What the supervisor is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) store: PathBuf,
    pub(super) name: String,
    /// Whether the box stays when the program has ended.
    pub(super) keep: bool,
    pub(super) output: Output,
    /// What the file of the output may have.
    pub(super) log_size: u64,
}

/// What the program's standard streams are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Output {
    Pipes,
    /// With a standard input that nobody writes to, and that does not end.
    PipesWithInput,
    Terminal,
}

/// Does what the order says, until the box is gone.
///
/// # Errors
///
/// When the box cannot be started or taken away.
pub(crate) fn run(session: &Session<'_>, order: &[u8]) -> Result<ExitCode> {
    // The ports of the box, if it has some: nobody else is to have them, and neither is the engine.
    masu_sys::fd::set_cloexec_range(3, u32::MAX).map_err(|errno| failed("close_range", errno))?;
    let order: Order = serde_json::from_slice(order)
        .map_err(|_| Failure::with_hint(format!("{VERB} is called by masu box -d"), "masu box --help"))?;
    let store = Store::open(&order.store);
    let directory = directory_of(&store, &order.name)?;
    let place = Place { store: &store, name: &order.name, directory: &directory };
    let signals = Signals::hold()?;
    let mut status = None;
    let outcome = supervise(session, &order, &directory, &signals, &mut status);
    let is_kept = order.keep && matches!(outcome, Ok(Ended::Program(_)));
    if let (Some(status), Ok(Ended::Program(code))) = (&mut status, &outcome) {
        // ignored: without it who waits hears that the supervisor was killed, which is no worse than a box that stays.
        status.write(*code).ok();
    }
    let left = place.leave(session, is_kept);
    let code = match outcome? {
        Ended::Program(code) | Ended::Start(code) => code,
    };
    left?;
    Ok(ExitCode::from(code))
}

/// What a box came to.
enum Ended {
    /// The exit code of the program.
    Program(u8),
    /// It did not start, which has been said; the exit code that says why.
    Start(u8),
}

fn supervise(
    session: &Session<'_>,
    order: &Order,
    directory: &Path,
    signals: &Signals,
    status: &mut Option<Held>,
) -> Result<Ended> {
    // Out of reach of what is typed at the terminal of who has started it. Who leads a group already has no group to leave.
    rustix::process::setsid().ok();
    // The address of a socket is short, and a store's path is not: the box's files are called by their names from here on.
    std::env::set_current_dir(directory)
        .map_err(|error| Failure::new(format!("{}: {error}", directory.display())))?;
    let own = rustix::process::getpid();
    rustix::process::set_child_subreaper(Some(own)).map_err(|errno| failed("become a subreaper", errno))?;
    *status = Some(Held::create(directory)?);
    let log = Writer::create(directory, order.log_size)
        .map_err(|error| Failure::new(format!("the log of the box: {error}")))?;
    if let Some(signal) = signals.end()? {
        return Ok(Ended::Start(code_of_signal(signal)));
    }
    let mut streams = match create(session, order, directory)? {
        Ok(streams) => streams,
        Err(code) => return Ok(Ended::Start(code)),
    };
    let pid = read_pid(directory)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(|errno| failed("pidfd_open", errno))?;
    let mut start = engine_with_log(session, Path::new(ENGINE_LOG))?;
    start.args(["start", &order.name]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some(code) = call(session, start)? {
        return Ok(Ended::Start(code));
    }
    say_that_it_runs()?;
    let code = attend(&mut streams, log, pid, &pidfd, signals)?;
    Ok(Ended::Program(code))
}

/// Calls the engine; the exit code for its error, which is passed on, if there is one.
fn call(session: &Session<'_>, mut engine: Command) -> Result<Option<u8>> {
    let status = engine.status().map_err(cannot_run)?;
    let error = relay(session, Path::new(ENGINE_LOG));
    // ignored: the next call would pass it on once more, and that is all.
    std::fs::remove_file(ENGINE_LOG).ok();
    if status.success() {
        return Ok(None);
    }
    let error = error.unwrap_or_else(|| Failure::new(format!("the engine ended: {status}")));
    session.log.error(&error);
    Ok(Some(failure_code(&error)))
}

/// The program's standard streams, seen from here.
struct Streams {
    outputs: Vec<(File, Stream)>,
    /// Nobody writes to it, and it does not end.
    _input: Option<OwnedFd>,
}

/// Has the engine create the container; or the exit code of its error.
fn create(
    session: &Session<'_>,
    order: &Order,
    directory: &Path,
) -> Result<std::result::Result<Streams, u8>> {
    let mut engine = engine_with_log(session, Path::new(ENGINE_LOG))?;
    engine.args(["create", "--pid-file", "pid", "--bundle"]).arg(directory);
    if order.output == Output::Terminal {
        let console = Console::listen()?;
        engine.args(["--console-socket", Console::NAME]).arg(&order.name);
        engine.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(code) = call(session, engine)? {
            return Ok(Err(code));
        }
        let master = File::from(console.accept()?);
        return Ok(Ok(Streams { outputs: vec![(master, Stream::Out)], _input: None }));
    }
    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(|errno| failed("pipe2", errno));
    let ((out, out_theirs), (err, err_theirs)) = (pipe()?, pipe()?);
    let mut input = None;
    engine.stdin(Stdio::null()).stdout(out_theirs).stderr(err_theirs).arg(&order.name);
    if order.output == Output::PipesWithInput {
        let (theirs, ours) = pipe()?;
        engine.stdin(theirs);
        input = Some(ours);
    }
    if let Some(code) = call(session, engine)? {
        return Ok(Err(code));
    }
    let outputs = vec![(out.into(), Stream::Out), (err.into(), Stream::Err)];
    Ok(Ok(Streams { outputs, _input: input }))
}

fn read_pid(directory: &Path) -> Result<Pid> {
    let path = directory.join("pid");
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let pid = text.trim_end().parse().ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| Failure::new(format!("{}: {text:?} is no process id", path.display())))
}

/// Tells who has started it, and lets go of their terminal.
fn say_that_it_runs() -> Result<()> {
    // ignored: nobody waits any more, and the box runs.
    std::io::stdout().write_all(b"1").and_then(|()| std::io::stdout().flush()).ok();
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    let null = null.map_err(|errno| failed("open /dev/null", errno))?;
    rustix::stdio::dup2_stdout(&null).map_err(|errno| failed("dup2", errno))?;
    rustix::stdio::dup2_stderr(&null).map_err(|errno| failed("dup2", errno))
}

/// Copies what the program says until it has ended, and says what it came to.
fn attend(
    streams: &mut Streams,
    mut log: Writer,
    pid: Pid,
    pidfd: &OwnedFd,
    signals: &Signals,
) -> Result<u8> {
    for (output, _) in &streams.outputs {
        rustix::io::ioctl_fionbio(output, true).map_err(|errno| failed("FIONBIO", errno))?;
    }
    loop {
        let ended = reap(pid)?;
        streams.outputs.retain_mut(|(output, stream)| is_open_after_copy(output, *stream, &mut log));
        if let Some(status) = ended {
            return Ok(code_of(status));
        }
        let descriptor = signals.descriptor();
        let mut fds = vec![PollFd::new(&descriptor, PollFlags::IN)];
        fds.extend(streams.outputs.iter().map(|(output, _)| PollFd::new(output, PollFlags::IN)));
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(failed("poll", errno)),
        }
        while let Some(info) = signals.next()? {
            if ![Signal::CHILD, Signal::WINCH].iter().any(|signal| signal.as_raw() == info.signal) {
                // ignored: the process has just ended, which the next round sees.
                pidfd_send_signal(pidfd.as_fd(), info.signal).ok();
            }
        }
    }
}

/// Reaps whoever has ended; what the container's process came to, if it is among them.
fn reap(pid: Pid) -> Result<Option<WaitStatus>> {
    let mut found = None;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((ended, status))) if ended == pid => found = Some(status),
            Ok(Some(_)) => {}
            // With the last child went the container's process, now or before.
            Ok(None) | Err(Errno::CHILD) => return Ok(found),
            Err(errno) => return Err(failed("wait for the container", errno)),
        }
    }
}

fn code_of(status: WaitStatus) -> u8 {
    let code = status.exit_status().and_then(|code| u8::try_from(code).ok());
    code.or_else(|| status.terminating_signal().map(code_of_signal)).unwrap_or(OWN_FAILURE)
}

/// Copies what is there; whether more may come.
fn is_open_after_copy(output: &mut File, stream: Stream, log: &mut Writer) -> bool {
    let mut piece = [0; PIECE];
    loop {
        match output.read(&mut piece) {
            Ok(0) => return false,
            Ok(length) => {
                let bytes = piece.get(..length).unwrap_or_default();
                // ignored: a full disk is no reason to stop a program, nor one to let it wait.
                log.write(stream, &masu_runtime::now(), bytes).ok();
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return true,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            // EIO: a terminal that nobody has open any more.
            Err(_) => return false,
        }
    }
}
