//! One invocation of a program: every one has a deadline, and its output goes to files, because a
//! detached container keeps its standard output open after the runtime has gone.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::{Check, ensure, ensure_eq, fail};

/// How long a command may take before the case fails. Nothing is measured with it: it only keeps a
/// hanging runtime from stopping the run.
const DEADLINE: Duration = Duration::from_secs(30);

/// What every time limit is multiplied with: 1, unless `--patience` says otherwise.
static PATIENCE: AtomicU32 = AtomicU32::new(1);

/// Multiplies every time limit from now on: a machine whose processor is emulated is slower by a factor, in everything.
pub fn be_patient(factor: u32) {
    PATIENCE.store(factor, Ordering::Relaxed);
}

/// How long a command may take on this machine.
pub fn deadline() -> Duration {
    DEADLINE * PATIENCE.load(Ordering::Relaxed)
}

/// A command to be run.
#[derive(Debug)]
pub struct Invocation {
    command: Command,
    words: Vec<OsString>,
    output: PathBuf,
    stdin: Option<Vec<u8>>,
    stdin_pipe: bool,
    terminal: Option<OwnedFd>,
}

impl Invocation {
    /// `program`, whose output goes to two files that start with `output`.
    pub fn new(program: &OsStr, output: PathBuf) -> Self {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        Self {
            command,
            words: vec![program.to_owned()],
            output,
            stdin: None,
            stdin_pipe: false,
            terminal: None,
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg.as_ref());
        self.words.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        for arg in args {
            self = self.arg(arg);
        }
        self
    }

    /// The command line, for another program that is to run it.
    pub fn words(&self) -> Vec<OsString> {
        self.words.clone()
    }

    /// Sets a variable of the environment.
    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// Sets the working directory.
    pub fn current_dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Gives these bytes as standard input, and then its end.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Keeps standard input open as a pipe, which [`Running::stdin`] then holds.
    pub fn stdin_pipe(mut self) -> Self {
        self.stdin_pipe = true;
        self
    }

    /// Runs the command behind a shell that stops itself first, so that somebody can get hold of it.
    pub fn stopped(self) -> Self {
        self.behind_shell("kill -STOP $$; exec \"$0\" \"$@\"")
    }

    /// Runs this script, for which the command is `"$0" "$@"`.
    #[must_use]
    pub fn behind_shell(self, script: &str) -> Self {
        self.behind("/bin/sh", &["-c", script])
    }

    /// Runs another program, whose last arguments are the command.
    #[must_use]
    pub fn behind(self, program: &str, args: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(args).arg(self.command.get_program());
        command.args(self.command.get_args()).stdin(Stdio::null());
        for (key, value) in self.command.get_envs() {
            match value {
                Some(value) => command.env(key, value),
                None => command.env_remove(key),
            };
        }
        if let Some(dir) = self.command.get_current_dir() {
            command.current_dir(dir);
        }
        Self { command, ..self }
    }

    /// Runs it on a terminal: all three streams. Its output is shown there, not kept.
    pub fn on_terminal(mut self, slave: &OwnedFd) -> Check<Self> {
        self.terminal = Some(slave.try_clone()?);
        Ok(self)
    }

    /// Starts the command and waits for its end.
    pub fn output(self) -> Check<Output> {
        self.spawn()?.wait()
    }

    /// Starts the command, expects success and returns its output.
    pub fn succeeds(self) -> Check<Output> {
        let output = self.output()?;
        ensure!(output.code == Some(0), "expected success: {output}");
        Ok(output)
    }

    /// Starts the command.
    pub fn spawn(mut self) -> Check<Running> {
        let stdout = self.output.with_extension("stdout");
        let stderr = self.output.with_extension("stderr");
        if let Some(bytes) = &self.stdin {
            let path = self.output.with_extension("stdin");
            fs::write(&path, bytes)?;
            self.command.stdin(File::open(&path)?);
        }
        if self.stdin_pipe {
            self.command.stdin(Stdio::piped());
        }
        self.command.stdout(File::options().create(true).append(true).open(&stdout)?);
        self.command.stderr(File::options().create(true).append(true).open(&stderr)?);
        if let Some(slave) = self.terminal.take() {
            self.command.stdin(slave.try_clone()?);
            self.command.stdout(slave.try_clone()?);
            self.command.stderr(slave);
        }
        let words: Vec<_> = self.words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let mut child =
            self.command.spawn().map_err(|error| fail(format!("cannot start {words:?}: {error}")))?;
        let stdin = child.stdin.take();
        Ok(Running { child, stdin, words, stdout, stderr, ended: false })
    }
}

/// A command that is running. Dropped before its end, it is killed.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// The writing end of its standard input, if it was asked for.
    pub stdin: Option<ChildStdin>,
    words: Vec<String>,
    stdout: PathBuf,
    stderr: PathBuf,
    ended: bool,
}

impl Running {
    /// The process.
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Check {
        kill_process(Pid::from_child(&self.child), signal)?;
        Ok(())
    }

    /// Writes to its standard input.
    pub fn write(&mut self, bytes: &[u8]) -> Check {
        let stdin = self.stdin.as_mut().ok_or_else(|| fail("standard input is not a pipe"))?;
        stdin.write_all(bytes)?;
        Ok(())
    }

    /// What it has written to standard output up to now.
    pub fn stdout_so_far(&self) -> Check<String> {
        read_lossy(&self.stdout)
    }

    /// What it has written to standard error up to now.
    pub fn stderr_so_far(&self) -> Check<String> {
        read_lossy(&self.stderr)
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> Check<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// What it left behind, for somebody who has reaped it.
    pub fn reaped(mut self, code: Option<i32>, signal: Option<i32>) -> Check<Output> {
        self.ended = true;
        let (stdout, stderr) = (read_lossy(&self.stdout)?, read_lossy(&self.stderr)?);
        Ok(Output { words: std::mem::take(&mut self.words), code, signal, stdout, stderr })
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Check<Output> {
        self.stdin = None;
        let ended = self.has_ended()? || ends_within(&self.child, deadline())?;
        if !ended {
            self.child.kill()?;
        }
        let status = self.child.wait()?;
        self.ended = true;
        let output = Output {
            words: self.words.clone(),
            code: status.code(),
            signal: status.signal(),
            stdout: read_lossy(&self.stdout)?,
            stderr: read_lossy(&self.stderr)?,
        };
        ensure!(ended, "did not end within {:?}: {output}", deadline());
        Ok(output)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            self.child.kill().ok(); // ignored: it may have ended by itself
            self.child.wait().ok(); // ignored: nobody asks for the status any more
        }
    }
}

fn ends_within(child: &Child, deadline: Duration) -> io::Result<bool> {
    let fd = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let timeout = Timespec::try_from(deadline).map_err(io::Error::other)?;
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    loop {
        match poll(&mut fds, Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other? > 0),
        }
    }
}

/// A container gone wild must not fill the memory of the test.
const MOST_OUTPUT: u64 = 4 << 20;

fn read_lossy(path: &Path) -> Check<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_OUTPUT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What a command left behind.
#[derive(Debug, Clone)]
pub struct Output {
    words: Vec<String>,
    /// Its exit status, if it exited.
    pub code: Option<i32>,
    /// The signal that ended it, otherwise.
    pub signal: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Output {
    /// Whether this is one of the words of its command line.
    pub fn words_contain(&self, word: &str) -> bool {
        self.words.iter().any(|one| one == word)
    }

    /// Standard output without the white space around it.
    pub fn text(&self) -> &str {
        self.stdout.trim()
    }

    /// Fails the case unless the exit status is `code`.
    pub fn exits_with(self, code: i32) -> Check<Self> {
        ensure_eq!(self.code, Some(code), "exit status of {self}");
        Ok(self)
    }

    /// Fails the case unless the exit status is `code` and standard error has every one of `phrases`.
    pub fn fails_with(self, code: i32, phrases: &[&str]) -> Check<Self> {
        let output = self.exits_with(code)?;
        for phrase in phrases {
            ensure!(output.stderr.contains(phrase), "expected {phrase:?} in the error of {output}");
        }
        Ok(output)
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}\n  status: ", self.words)?;
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exit {code}")?,
            (None, Some(signal)) => write!(f, "signal {signal}")?,
            (None, None) => write!(f, "unknown")?,
        }
        write!(f, "\n  stdout: {}\n  stderr: {}", self.stdout.trim_end(), self.stderr.trim_end())
    }
}
