//! A command under ptrace(2): its system calls are counted, for the engine and for every process that it makes,
//! and at one of them something happens: the call fails, or somebody dies.
//!
//! ```text
//!  a shell stops itself ─▶ seized ─▶ goes on ─▶ exec of the runtime: process 0, its calls are counted from here
//!                                                 └─ clone ─▶ process 1, seized from its first instruction
//!                                                      └─ clone ─▶ process 2, …
//! ```
//! A process is let go when it executes anything but masu-init, and when it waits for `start`: what comes
//! then is the container's own life. All others are followed to their end.
//!
//! ptrace(2) belongs to a thread, so every run has one of its own; with the thread end all that it still holds.

use std::collections::BTreeMap;
use std::fs;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::command::{Invocation, Output, Running, deadline};
use super::{Check, ensure, fail};

/// A system call of a traced command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Point {
    /// Whose: 0 is the engine, the others are numbered as they begin.
    pub(crate) process: usize,
    /// Which of its calls, from 0.
    pub(crate) call: usize,
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.process {
            0 => write!(f, "call {} of the engine", self.call),
            process => write!(f, "call {} of init process {process}", self.call),
        }
    }
}

/// What happens at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The call is not made, and returns this errno.
    Fails(Errno),
    /// The engine gets SIGKILL before the call.
    KillsEngine,
    /// Every process of the container that is not yet its program gets SIGKILL.
    KillsInit,
    /// Both.
    KillsBoth,
}

/// What became of a traced command.
#[derive(Debug)]
pub(crate) struct Traced {
    /// What the engine left behind.
    pub(crate) output: Output,
    /// The number of the system call at the point; `None` when it was not reached.
    pub(crate) reached: Option<u64>,
    /// The step that init said has failed, and its errno.
    pub(crate) failed: Option<(u32, i32)>,
    /// The program of steps, encoded; empty when no init has begun.
    pub(crate) program: Vec<u8>,
    /// The processes, the engine first.
    pub(crate) pids: Vec<i32>,
    /// The system calls of each process, by their numbers; of a process behind the point's, those up to it alone. One that
    /// has to be made again ([`is_made_again`]) is not among them.
    pub(crate) calls: Vec<Vec<u64>>,
}

/// Runs a command, with `fault` at `point`. `bystanders` are processes of the container that began before: they die with
/// its init.
pub(crate) fn trace(
    invocation: Invocation,
    fault: Option<(Point, Fault)>,
    bystanders: &[i32],
) -> Check<Traced> {
    let pids = Arc::new(Mutex::new(Vec::new()));
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        let known = Arc::clone(&pids);
        scope.spawn(move || {
            let outcome = Tracer::start(invocation, fault, bystanders, known).and_then(Tracer::follow);
            sender.send(outcome).ok(); // ignored: the receiver waits for it
        });
        match receiver.recv_timeout(deadline()) {
            Ok(outcome) => outcome,
            Err(RecvTimeoutError::Disconnected) => Err(fail("the tracer panicked")),
            Err(RecvTimeoutError::Timeout) => {
                for pid in lock(&pids).iter() {
                    kill(Pid::from_raw(*pid), Signal::SIGKILL).ok(); // ignored: it may have ended
                }
                let ended = receiver.recv();
                Err(fail(format!("did not end within {:?}: {fault:?}: {ended:?}", deadline())))
            }
        }
    })
}

fn lock(pids: &Mutex<Vec<i32>>) -> std::sync::MutexGuard<'_, Vec<i32>> {
    pids.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// One traced process.
#[derive(Debug, Default)]
struct Process {
    number: usize,
    calls: Vec<u64>,
    /// Whether its calls count: not before it executes the runtime.
    counted: bool,
    in_call: bool,
    /// What the call that is under way will return.
    result: Option<Errno>,
    /// Whether it has ended, or was let go.
    gone: bool,
}

struct Tracer<'a> {
    engine: Pid,
    running: Running,
    fault: Option<(Point, Fault)>,
    bystanders: &'a [i32],
    processes: BTreeMap<i32, Process>,
    known: Arc<Mutex<Vec<i32>>>,
    reached: Option<u64>,
    failed: Option<(u32, i32)>,
    program: Vec<u8>,
    /// Whether it is all of it.
    has_rest: bool,
    ended: Option<WaitStatus>,
}

/// x86_64 numbers of the system calls that the tracer itself knows.
const POLL: u64 = 7;
const SENDTO: u64 = 44;
const PPOLL: u64 = 271;
/// recvmsg(2) on x86_64, by which init gets the rest of its program.
const RECVMSG: u64 = 47;
const OPENAT2: u64 = 437;
/// The kind of a frame that tells of a failure, masu-program.
const KIND_FAILED: u8 = 2;

impl<'a> Tracer<'a> {
    fn start(
        invocation: Invocation,
        fault: Option<(Point, Fault)>,
        bystanders: &'a [i32],
        known: Arc<Mutex<Vec<i32>>>,
    ) -> Check<Self> {
        let running = invocation.stopped().spawn()?;
        let engine = Pid::from_raw(running.pid());
        let status = waitpid(engine, Some(WaitPidFlag::WUNTRACED))?;
        ensure!(matches!(status, WaitStatus::Stopped(..)), "the shell did not stop: {status:?}");
        let options = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_EXITKILL;
        ptrace::seize(engine, options)?;
        kill(engine, Signal::SIGCONT)?;
        let mut tracer = Self {
            engine,
            running,
            fault,
            bystanders,
            processes: BTreeMap::new(),
            known,
            reached: None,
            failed: None,
            program: Vec::new(),
            has_rest: false,
            ended: None,
        };
        tracer.process(engine);
        Ok(tracer)
    }

    /// Until the engine has ended and every other process has ended or was let go.
    fn follow(mut self) -> Check<Traced> {
        while self.ended.is_none() || self.processes.values().any(|process| !process.gone) {
            match waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD)) {
                Ok(status) => self.attend(status)?,
                Err(Errno::EINTR) => {}
                Err(Errno::ECHILD) => break,
                Err(errno) => return Err(errno.into()),
            }
        }
        let (code, signal) = match self.ended {
            Some(WaitStatus::Exited(_, code)) => (Some(code), None),
            Some(WaitStatus::Signaled(_, signal, _)) => (None, Some(signal as i32)),
            status => return Err(fail(format!("the engine ended as {status:?}"))),
        };
        let mut processes: Vec<_> = self.processes.into_iter().collect();
        processes.sort_unstable_by_key(|(_, process)| process.number);
        Ok(Traced {
            output: self.running.reaped(code, signal)?,
            reached: self.reached,
            failed: self.failed,
            program: self.program,
            pids: processes.iter().map(|(pid, _)| *pid).collect(),
            calls: processes.into_iter().map(|(_, process)| process.calls).collect(),
        })
    }

    /// The process of this pid, which is new when it is not known yet.
    fn process(&mut self, pid: Pid) -> &mut Process {
        let number = self.processes.len();
        let (known, engine) = (&self.known, self.engine);
        self.processes.entry(pid.as_raw()).or_insert_with(|| {
            lock(known).push(pid.as_raw());
            Process { number, counted: pid != engine, ..Process::default() }
        })
    }

    fn attend(&mut self, status: WaitStatus) -> Check {
        match status {
            WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..) => {
                self.process(pid).gone = true;
                if pid == self.engine {
                    self.ended = Some(status);
                }
                Ok(())
            }
            WaitStatus::PtraceSyscall(pid) => {
                let process = self.process(pid);
                process.in_call = !process.in_call;
                if process.in_call { self.enter_call(pid) } else { self.leave_call(pid) }
            }
            WaitStatus::PtraceEvent(pid, _, event) if event == ptrace::Event::PTRACE_EVENT_EXEC as i32 => {
                self.executed(pid)
            }
            WaitStatus::PtraceEvent(pid, _, event) => {
                self.process(pid);
                // Numbers are given in the order of birth, not in that in which the children are first seen to stop.
                let births = [ptrace::Event::PTRACE_EVENT_FORK, ptrace::Event::PTRACE_EVENT_CLONE];
                if births.iter().any(|birth| *birth as i32 == event)
                    && let Some(born) = alive(ptrace::getevent(pid))?
                {
                    self.process(Pid::from_raw(i32::try_from(born)?));
                }
                self.go_on(pid, None)
            }
            WaitStatus::Stopped(pid, signal) => {
                self.process(pid);
                self.go_on(pid, Some(signal))
            }
            WaitStatus::Continued(_) | WaitStatus::StillAlive => Ok(()),
        }
    }

    fn enter_call(&mut self, pid: Pid) -> Check {
        let Some(mut registers) = alive(ptrace::getregs(pid))? else { return Ok(()) };
        let engine = pid == self.engine;
        let (number, nr) = (self.process(pid).number, registers.orig_rax);
        if !engine && nr == SENDTO && registers.rdx == masu_program::FRAME_SIZE as u64 {
            self.read_frame(pid, registers.rsi)?;
        }
        let process = self.process(pid);
        if !process.counted {
            return self.go_on(pid, None);
        }
        let here = Point { process: number, call: process.calls.len() };
        process.calls.push(nr);
        if let Some((_, fault)) = self.fault.filter(|(point, _)| *point == here) {
            self.reached = Some(nr);
            if let Fault::Fails(errno) = fault {
                self.process(pid).result = Some(errno);
                registers.orig_rax = u64::MAX;
                alive(ptrace::setregs(pid, registers))?;
            } else {
                self.kill(fault);
            }
        }
        // From here on it waits for `start`.
        if !engine && matches!(nr, POLL | PPOLL) && self.process(pid).result.is_none() {
            return self.let_go(pid);
        }
        self.go_on(pid, None)
    }

    fn leave_call(&mut self, pid: Pid) -> Check {
        let Some(mut registers) = alive(ptrace::getregs(pid))? else { return Ok(()) };
        let process = self.process(pid);
        let last = process.calls.last().copied();
        if let Some(errno) = process.result.take() {
            registers.rax = i64::from(-(errno as i32)).cast_unsigned();
            alive(ptrace::setregs(pid, registers))?;
        } else if last.is_some_and(|nr| is_made_again(nr, registers.rax)) {
            process.calls.pop();
        }
        if pid != self.engine && last == Some(RECVMSG) {
            self.read_rest(pid);
        }
        self.go_on(pid, None)
    }

    /// The rest of the program, which has just come; the beginning is closed by now.
    fn read_rest(&mut self, pid: Pid) {
        if std::mem::replace(&mut self.has_rest, true) {
            return;
        }
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let mut programs = descriptors.map(|descriptor| descriptor.path()).filter(|descriptor| {
            fs::read_link(descriptor).is_ok_and(|file| file.to_string_lossy().contains("masu-program"))
        });
        let rest = programs.next().and_then(|program| fs::read(program).ok());
        self.program.extend(rest.unwrap_or_default());
    }

    fn executed(&mut self, pid: Pid) -> Check {
        if pid == self.engine {
            self.process(pid).counted = true;
            return self.go_on(pid, None);
        }
        // A process that was killed meanwhile has no file any more.
        let file = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        if !file.to_string_lossy().contains("masu-init") {
            return self.let_go(pid);
        }
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if let Some(descriptor) = line.split('\0').nth(1) {
            self.program = fs::read(format!("/proc/{pid}/fd/{descriptor}")).unwrap_or_default();
        }
        self.go_on(pid, None)
    }

    /// Kind, part, errno and step of a frame, as masu-program writes them.
    fn read_frame(&mut self, pid: Pid, address: u64) -> Check {
        let Some(word) =
            alive(ptrace::read(pid, std::ptr::without_provenance_mut(usize::try_from(address)?)))?
        else {
            return Ok(());
        };
        let [kind, _, low, high, step @ ..] = word.to_le_bytes();
        if kind == KIND_FAILED {
            self.failed = Some((u32::from_le_bytes(step), i32::from(u16::from_le_bytes([low, high]))));
        }
        Ok(())
    }

    fn kill(&self, fault: Fault) {
        let end = |pid: i32| kill(Pid::from_raw(pid), Signal::SIGKILL).ok(); // ignored: it may have ended
        let inits = self.processes.iter().filter(|(_, process)| process.number > 0 && !process.gone);
        let inits = inits.map(|(pid, _)| *pid).chain(self.bystanders.iter().copied());
        if matches!(fault, Fault::KillsEngine | Fault::KillsBoth) {
            end(self.engine.as_raw());
        }
        if matches!(fault, Fault::KillsInit | Fault::KillsBoth) {
            inits.for_each(|pid| {
                end(pid);
            });
        }
    }

    /// The engine's calls are looked at only when one of them is the point, or when all are to be known.
    fn go_on(&mut self, pid: Pid, signal: Option<Signal>) -> Check {
        let unseen = pid == self.engine && self.fault.is_some_and(|(point, _)| point.process != 0);
        let resumed = if unseen { ptrace::cont(pid, signal) } else { ptrace::syscall(pid, signal) };
        alive(resumed).map(drop)
    }

    fn let_go(&mut self, pid: Pid) -> Check {
        self.process(pid).gone = true;
        alive(ptrace::detach(pid, None)).map(drop)
    }
}

/// Whether a call that returned this is made once more. How often depends on what else the machine does, and the calls
/// behind it would have other numbers in each run: openat2(2) gives EAGAIN when something is renamed or mounted meanwhile,
/// and the kernel restarts a write(2) to a sysctl of the network as long as somebody else holds its lock, with an errno
/// that nobody but a tracer sees (ERESTARTSYS to ERESTART_RESTARTBLOCK, include/linux/errno.h).
fn is_made_again(nr: u64, result: u64) -> bool {
    match result.wrapping_neg() {
        512..=516 => true,
        errno => nr == OPENAT2 && errno == Errno::EAGAIN as u64,
    }
}

/// A process that was killed is not there any more, which its end will tell.
fn alive<T>(outcome: nix::Result<T>) -> Check<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(Errno::ESRCH) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}
