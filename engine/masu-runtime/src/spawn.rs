//! From a plan to a process: clone3, masu-init, and the engine's half of every barrier.
//!
//! ```text
//!   begin: clone3, init's first steps
//!     │
//!   start: the rest of the program ──▶ meanwhile: what init need not wait for
//!     │
//!   attend: [Forked ──▶] [Mapped: write id maps] ──▶ [Assembled: hooks] ──▶ Ready: the caller's work
//!     │                                                                        │
//!     │ a frame says what failed, an end of file that init died                ├─ Fifo: returns
//!     ▼                                                                        └─ Open: waits for the
//!   the process is killed and reaped, and the error returned                      exec (end of file)
//! ```

use alloc::{collections::VecDeque, ffi::CString, format, string::String, vec, vec::Vec};
use core::mem::MaybeUninit;

use masu_program::{Barrier, FRAME_SIZE, Frame, Part, Step, Steps};
use masu_sys::{
    exec::{PointerBlock, execveat},
    process::{CloneArgs, CloneFlags, Forked, exit_group, fork},
    socket::DESCRIPTORS_AT_ONCE,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec},
    fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    fs::{AtFlags, MemfdFlags, Mode, OFlags, SealFlags},
    io::{Errno, FdFlags, IoSlice, IoSliceMut},
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    },
    process::{Pid, PidfdFlags, WaitId, WaitIdOptions, WaitIdStatus},
};

use crate::{
    console::Receiver,
    error::{Doing, Error, Result},
    files,
    id_programs::IdPrograms,
    init_mount,
    interrupt::Interrupt,
    message,
    plan::{IdMaps, MapWriter, Plan, StartGate, map_hint},
    restrictions::Restrictions,
    trace::{Trace, Work},
};

/// A process of ours in a container. Dropped before `keep`, it is killed and reaped: an error
/// leaves no half-made container.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    pidfd: OwnedFd,
    kept: bool,
}

impl Child {
    /// Its pid, as the engine sees it.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Lets it live when this value is dropped.
    pub(crate) fn keep(&mut self) {
        self.kept = true;
    }

    pub(crate) fn new(pid: Pid, pidfd: OwnedFd) -> Self {
        Self { pid, pidfd, kept: false }
    }

    fn reap(&self) -> rustix::io::Result<Option<WaitIdStatus>> {
        loop {
            match rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED) {
                Err(Errno::INTR) => {}
                outcome => return outcome,
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.kept {
            // ignored: ESRCH, when it ended by itself.
            let _ = masu_sys::process::pidfd_send_signal(self.pidfd.as_fd(), 9);
            // ignored: ECHILD, when it was reaped already.
            let _ = self.reap();
        }
    }
}

/// masu-init, which has begun: it does the first steps of its plan, and waits for the rest. Dropped, it is killed and
/// reaped.
#[derive(Debug)]
pub(crate) struct Begun {
    child: Child,
    channel: OwnedFd,
}

/// Makes the process of a plan, and lets it begin. `cgroup` is where it is born, if the plan says so.
pub(crate) fn begin(
    plan: &Plan,
    cgroup: Option<&OwnedFd>,
    init_image: &[u8],
    trace: &Trace,
) -> Result<Begun> {
    let (program, init) = trace.measure(Work::Seal, || {
        let (beginning, _) = plan.parts();
        Ok::<_, Error>((sealed_program(beginning)?, executable(init_image)?))
    })?;
    let flags = SocketFlags::CLOEXEC;
    let (ours, theirs) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
        .doing(|| "socketpair".into())?;
    if let Some(cpus) = &plan.affinity {
        masu_sys::scheduling::sched_setaffinity(cpus.as_bytes()).map_err(|errno| Error::System {
            action: "process.execCPUAffinity.initial: sched_setaffinity".into(),
            errno,
            hint: (errno == Errno::INVAL)
                .then(|| "none of the CPUs is online and in the cgroup of masu's caller".into()),
        })?;
    }
    let record = trace.share()?;
    let inherited = [&program, &theirs].into_iter().chain(&record);
    let child = trace.measure(Work::Clone, || clone(plan, cgroup, &init, inherited, &theirs))?;
    // Now only the child holds the other end: its end is seen as an end of file.
    Ok(Begun { child, channel: ours })
}

/// What the engine holds while it carries a plan out.
pub(crate) struct Spawn<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) descriptors: Vec<OwnedFd>,
    pub(crate) proc: &'a OwnedFd,
    pub(crate) id_programs: &'a IdPrograms,
    pub(crate) gate: StartGate,
    /// The engine's work at `Assembled`, for the process of this pid.
    pub(crate) assembled: &'a dyn Fn(i32) -> Result<()>,
    /// Who gets the terminal that the plan makes.
    pub(crate) terminal: Option<&'a mut Receiver>,
    /// The engine's work with the listener of a filter, for the process of this pid.
    pub(crate) listener: &'a dyn Fn(OwnedFd, i32) -> Result<()>,
    /// Where it is kept what takes how long.
    pub(crate) trace: &'a Trace,
}

/// The engine's side of a start, once init has its whole program. Dropped, the process is killed and reaped.
pub(crate) struct Engine<'a> {
    plan: &'a Plan,
    proc: &'a OwnedFd,
    id_programs: &'a IdPrograms,
    gate: StartGate,
    assembled: &'a dyn Fn(i32) -> Result<()>,
    terminal: Option<&'a mut Receiver>,
    listener: &'a dyn Fn(OwnedFd, i32) -> Result<()>,
    interrupt: Option<&'a Interrupt>,
    trace: &'a Trace,
    channel: OwnedFd,
    child: Child,
    /// Whether another process will take the place of this one.
    forks: bool,
    /// What the child said before its parent had told of it, and has not been heard yet.
    early: VecDeque<Said>,
    /// What is to be handed over: the program, and what its steps want.
    handed: VecDeque<OwnedFd>,
}

/// A frame, and the descriptor that came with it.
type Said = (Frame, Option<OwnedFd>);

impl<'a> Engine<'a> {
    /// Hands the rest of the program over. `interrupt` ends a start that may hang.
    pub(crate) fn start(begun: Begun, spawn: Spawn<'a>, interrupt: Option<&'a Interrupt>) -> Result<Self> {
        let Spawn { plan, descriptors, proc, id_programs, gate, assembled, terminal, listener, trace } =
            spawn;
        trace.remember(plan);
        let Begun { child, channel } = begun;
        let forks = Steps::new(&plan.program).flatten().any(|step| matches!(step, Step::Fork { .. }));
        let (early, handed) = (VecDeque::new(), descriptors.into());
        let mut engine = Self {
            plan,
            proc,
            id_programs,
            gate,
            assembled,
            terminal,
            listener,
            interrupt,
            trace,
            channel,
            child,
            forks,
            early,
            handed,
        };
        let handed_over = trace.measure(Work::SealProgram, || {
            let (_, rest) = plan.parts();
            engine.handed.push_front(sealed_program(rest)?);
            engine.hand_over().map_err(|error| engine.reason(error))
        });
        engine.or_interrupt(handed_over)?;
        Ok(engine)
    }

    /// Does what init need not wait for, and what needs no more of the process than its pid. `None` while that is not yet
    /// the container's.
    pub(crate) fn meanwhile<T>(&self, work: impl FnOnce(&Child) -> Result<T>) -> Result<Option<T>> {
        if self.forks {
            return Ok(None);
        }
        let done = self.trace.measure(Work::Record, || work(&self.child));
        self.or_interrupt(done.map_err(|error| self.reason(error))).map(Some)
    }

    /// Does the engine's half of the program. `ready` is its work once nothing is left to do in the container but to
    /// execute: it gets the process, and an error of its own ends the process.
    pub(crate) fn attend(mut self, ready: impl FnOnce(&Child) -> Result<()>) -> Result<Child> {
        let trace = self.trace;
        let attended = trace.measure(Work::Attend, || self.meet(ready));
        self.or_interrupt(attended)?;
        Ok(self.child)
    }

    /// Ends a process that hangs, where the start has failed.
    fn or_interrupt<T>(&self, outcome: Result<T>) -> Result<T> {
        if let (Err(_), Some(interrupt)) = (&outcome, self.interrupt) {
            interrupt.kill(&self.child);
        }
        outcome
    }

    /// Meets init at every barrier.
    fn meet(&mut self, ready: impl FnOnce(&Child) -> Result<()>) -> Result<()> {
        let mut ready = Some(ready);
        let mut forked = !self.forks;
        loop {
            let (frame, descriptor) = self.hear()?;
            let barrier = match frame {
                None if ready.is_none() => return Ok(()),
                None => return Err(self.died()),
                Some(Frame::Forked { pid }) => {
                    self.follow(pid)?;
                    forked = true;
                    continue;
                }
                Some(Frame::Terminal) => match (&mut self.terminal, descriptor) {
                    (Some(receiver), Some(master)) => {
                        receiver.take(master)?;
                        continue;
                    }
                    _ => return Err(no_message()),
                },
                Some(Frame::Failed { step, part, errno, detail }) => {
                    return Err(message::failed_step(self.plan, step, part, errno, &detail));
                }
                Some(Frame::Exhausted) => {
                    self.hand_over().map_err(|error| self.reason(error))?;
                    continue;
                }
                Some(Frame::Listener) => None,
                Some(Frame::Reached(barrier)) => Some(barrier),
            };
            if !forked {
                self.follow_late()?;
                forked = true;
            }
            let Some(barrier) = barrier else {
                let handed = descriptor.ok_or_else(no_message);
                handed.and_then(|listener| (self.listener)(listener, self.child.pid()))?;
                continue;
            };
            self.pass(barrier, &mut ready).map_err(|error| self.reason(error))?;
            if barrier == Barrier::Ready && self.gate == StartGate::Fifo {
                return Ok(());
            }
        }
    }

    /// Hands some of the descriptors over, and closes ours: of the last ones as many as a message takes. Those that are used
    /// after the channel is closed, at `AwaitStart`, then come with those that are used before.
    fn hand_over(&mut self) -> Result<()> {
        let count = match self.handed.len() % DESCRIPTORS_AT_ONCE {
            0 => self.handed.len().min(DESCRIPTORS_AT_ONCE),
            rest => rest,
        };
        let handed: Vec<OwnedFd> = self.handed.drain(..count).collect();
        let borrowed: Vec<_> = handed.iter().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_AT_ONCE))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&borrowed));
        // init compares the number with what came.
        let number = [u8::try_from(count).unwrap_or(u8::MAX)];
        rustix::net::sendmsg(&self.channel, &[IoSlice::new(&number)], &mut control, SendFlags::NOSIGNAL)
            .doing(|| "hand the program over to init".into())
            .map(drop)
    }

    /// The next frame; `None` at the end.
    fn hear(&mut self) -> Result<(Option<Frame>, Option<OwnedFd>)> {
        if let Some((frame, descriptor)) = self.early.pop_front() {
            return Ok((Some(frame), descriptor));
        }
        self.interrupt.map_or(Ok(()), |interrupt| interrupt.wait(&self.channel))?;
        self.receive(RecvFlags::empty())
    }

    /// The engine's half of a barrier.
    fn pass(&self, barrier: Barrier, ready: &mut Option<impl FnOnce(&Child) -> Result<()>>) -> Result<()> {
        match barrier {
            Barrier::Mapped => self.trace.measure(Work::WriteIdMaps, || self.write_id_maps())?,
            Barrier::Assembled => {
                self.trace.measure(Work::Assemble, || (self.assembled)(self.child.pid()))?;
            }
            Barrier::Ready => {
                if let Some(ready) = ready.take() {
                    self.trace.measure(Work::Record, || ready(&self.child))?;
                }
            }
        }
        rustix::net::send(&self.channel, &[1], SendFlags::NOSIGNAL)
            .doing(|| "let init go on".into())
            .map(drop)
    }

    /// Why the engine's half of a barrier failed: init may have ended meanwhile, and then that is the reason.
    fn reason(&self, error: Error) -> Error {
        if !self.is_at_an_end(&error) {
            return error;
        }
        match self.receive(RecvFlags::DONTWAIT) {
            Ok((Some(Frame::Failed { step, part, errno, detail }), _)) => {
                message::failed_step(self.plan, step, part, errno, &detail)
            }
            // It has died, and cannot be reaped twice.
            Err(error) => error,
            Ok(_) => self.died(),
        }
    }

    /// Whether init has ended or is about to: it has closed the channel, or tells why.
    fn is_at_an_end(&self, error: &Error) -> bool {
        // These two say so themselves, and all that may be missing is the last word.
        let says_so = matches!(error, Error::System { errno: Errno::PIPE | Errno::SRCH, .. });
        let patience = Timespec { tv_sec: i64::from(says_so), tv_nsec: 0 };
        let mut channel = [PollFd::new(&self.channel, PollFlags::IN)];
        matches!(rustix::event::poll(&mut channel, Some(&patience)), Ok(ready) if ready > 0)
    }

    /// A frame, if it is not the end, and the descriptor that came with it. With [`RecvFlags::DONTWAIT`] no frame may be
    /// there yet, which looks like the end.
    fn receive(&self, flags: RecvFlags) -> Result<(Option<Frame>, Option<OwnedFd>)> {
        let mut bytes = [0; FRAME_SIZE];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut unheard = false;
        let received = loop {
            let mut parts = [IoSliceMut::new(&mut bytes)];
            let flags = flags | RecvFlags::CMSG_CLOEXEC;
            match rustix::net::recvmsg(&self.channel, &mut parts, &mut control, flags) {
                Err(Errno::INTR) => {}
                // Init ended without having read what we sent; what it said before comes now.
                Err(Errno::CONNRESET) => unheard = true,
                Err(Errno::AGAIN) => return Ok((None, None)),
                outcome => break outcome.doing(|| "hear from init".into())?.bytes,
            }
        };
        let mut descriptors = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut rights) => rights.next(),
            _ => None,
        });
        match (received, Frame::decode(&bytes)) {
            // Not the end of file of an execve(2), before which it hears that it may go on.
            (0, _) if unheard => Err(self.died()),
            (0, _) => Ok((None, None)),
            (FRAME_SIZE, Some(frame)) => Ok((Some(frame), descriptors.next())),
            _ => Err(no_message()),
        }
    }

    /// The container's process is now another one; the first has ended.
    fn follow(&mut self, pid: i32) -> Result<()> {
        let pid = Pid::from_raw(pid).ok_or(Errno::SRCH).doing(|| "follow init".into())?;
        // It is our own child, and nobody but us reaps it: the number cannot be another's.
        let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).doing(|| "pidfd_open".into())?;
        // What is dropped is the first process, which has nothing left to do: it is reaped.
        self.child = Child::new(pid, pidfd);
        Ok(())
    }

    /// The child speaks before its parent has told of it. That is the parent's last act: once it has ended, its frame is
    /// there, or it was killed before, and nobody would ever tell; the child then ends with the channel. Meanwhile the
    /// child may have said more: that it has a listener, and that it is ready.
    fn follow_late(&mut self) -> Result<()> {
        let died = self.died();
        loop {
            match self.receive(RecvFlags::DONTWAIT)? {
                (Some(Frame::Forked { pid }), _) => return self.follow(pid),
                (Some(frame), descriptor) => self.early.push_back((frame, descriptor)),
                (None, _) => return Err(died),
            }
        }
    }

    fn write_id_maps(&self) -> Result<()> {
        let Some(IdMaps { uid, gid, deny_setgroups }) = &self.plan.id_maps else { return Ok(()) };
        let pid = self.child.pid();
        let write = |field, name, text: &str| write_id_map(self.proc, pid, field, name, text);
        match uid.writer {
            MapWriter::Engine => write("linux.uidMappings", "uid_map", &uid.lines)?,
            MapWriter::Program => self.id_programs.map_users(pid, &uid.lines)?,
        }
        if *deny_setgroups {
            write("linux.gidMappings", "setgroups", "deny")?;
        }
        match gid.writer {
            MapWriter::Engine => write("linux.gidMappings", "gid_map", &gid.lines),
            MapWriter::Program => self.id_programs.map_groups(pid, &gid.lines),
        }
    }

    /// Waits for the end of init and tells how it came.
    fn died(&self) -> Error {
        let how = match self.child.reap() {
            Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => format!("it exited with status {code}"),
                (_, Some(signal)) => format!("it was killed by signal {signal}"),
                _ => String::from("nobody knows how"),
            },
            _ => String::from("somebody else reaped it"),
        };
        let killed = how.ends_with("signal 9");
        let hint =
            killed.then(|| "linux.resources.memory.limit may be too small, or somebody killed it".into());
        Error::Died { how, hint }
    }
}

/// Writes a file of the process `pid` that says which ids its user namespace has.
pub(crate) fn write_id_map(proc: &OwnedFd, pid: i32, field: &str, name: &str, text: &str) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(proc, format!("{pid}/{name}"), flags, Mode::empty());
    let written = file.and_then(|file| rustix::io::write(&file, text.as_bytes()));
    written.map(drop).map_err(|errno| Error::System {
        action: format!("{field}: write {:?} to {name}", text.trim_end()),
        errno,
        hint: (errno == Errno::PERM).then(|| map_hint(name, text)),
    })
}

fn no_message() -> Error {
    Error::Died { how: "it sent what is no message".into(), hint: None }
}

/// clone3, and the exec of the sealed init in the child, with the descriptors that it begins with.
fn clone<'a>(
    plan: &Plan,
    cgroup: Option<&OwnedFd>,
    init: &OwnedFd,
    inherited: impl Iterator<Item = &'a OwnedFd> + Clone,
    channel: &OwnedFd,
) -> Result<Child> {
    let number = |fd: &OwnedFd| CString::new(format!("{}", fd.as_raw_fd())).unwrap_or_default();
    let mut texts = vec![CString::from(c"masu-init")];
    texts.extend(inherited.clone().map(number));
    let arguments = CloneArgs {
        flags: CloneFlags::from_bits_truncate(plan.clone.bits()),
        cgroup: cgroup.map(AsFd::as_fd),
    };
    match fork(&arguments) {
        Ok(Forked::Parent { pid, pidfd }) => Ok(Child::new(pid, pidfd)),
        Ok(Forked::Child) => {
            let errno = execute(init, &texts, inherited);
            let errno = u16::try_from(errno.raw_os_error()).unwrap_or(0);
            let frame = Frame::Failed {
                step: u32::MAX,
                part: Part::Execute,
                errno,
                detail: [0; masu_program::DETAIL_SIZE],
            };
            // ignored: without the frame the engine sees the end of this process.
            let _ = rustix::net::send(channel, &frame.encode(), SendFlags::NOSIGNAL);
            exit_group(1)
        }
        Err(errno) => Err(Error::System {
            action: format!("linux.namespaces: make {}: clone3", message::namespace_names(plan.clone)),
            errno,
            hint: match errno {
                Errno::NOSPC => Some(message::TOO_MANY_NAMESPACES.into()),
                // The first clone3 of all: where a filter knows none, nothing can be started.
                Errno::NOSYS => Restrictions::probe().hint(errno),
                Errno::AGAIN => {
                    Some("a limit of processes is reached: ulimit -u, or pids.max of the cgroup".into())
                }
                errno => cgroup.and_then(|_| message::cgroup_hint(errno)).map(Into::into),
            },
        }),
    }
}

fn execute<'a>(init: &OwnedFd, texts: &[CString], inherited: impl Iterator<Item = &'a OwnedFd>) -> Errno {
    for fd in inherited {
        if let Err(errno) = rustix::io::fcntl_setfd(fd, FdFlags::empty()) {
            return errno;
        }
    }
    let (argv, envp) = match (PointerBlock::with_capacity(texts.len()), PointerBlock::with_capacity(0)) {
        (Ok(argv), Ok(envp)) => (argv, envp),
        (Err(errno), _) | (_, Err(errno)) => return errno,
    };
    let mut argv = argv;
    for text in texts {
        if let Err(errno) = argv.push(text) {
            return errno;
        }
    }
    execveat(init.as_fd(), c"", &argv, &envp, AtFlags::EMPTY_PATH)
}

/// Steps in a memfd that nobody can change any more.
fn sealed_program(steps: &[u8]) -> Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = rustix::fs::memfd_create(c"masu-program", flags).doing(|| "memfd_create".into())?;
    seal(&file, steps).doing(|| "write the program".into())?;
    Ok(file)
}

/// The init image as a file that can be executed and never changed (CVE-2019-5736): what runs in the container
/// is no file of the host.
fn executable(image: &[u8]) -> Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memfd = match rustix::fs::memfd_create(c"masu-init", flags | MemfdFlags::EXEC) {
        // KERNEL(6.3): before, every memfd could be executed, and the flag was unknown.
        Err(Errno::INVAL) => rustix::fs::memfd_create(c"masu-init", flags),
        outcome => outcome,
    };
    let file = match memfd {
        // vm.memfd_noexec=2: executable memfds are refused.
        Err(Errno::ACCESS) => {
            return init_mount::executable(image).map_err(|errno| Error::System {
                action: "make a mount for masu-init".into(),
                errno,
                hint: Some("sysctl vm.memfd_noexec is 2 here; an ordinary user needs 0 or 1".into()),
            });
        }
        outcome => outcome.doing(|| "memfd_create with MFD_EXEC".into())?,
    };
    seal(&file, image).doing(|| "write masu-init".into())?;
    Ok(file)
}

fn seal(file: &OwnedFd, bytes: &[u8]) -> rustix::io::Result<()> {
    files::write_all(file, bytes)?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(file, seals)
}

/// The pidfd of a child.
impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}
