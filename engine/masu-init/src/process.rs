//! What the process is: its namespaces, identity, limits, directory, and what it becomes.

use core::ffi::CStr;

use masu_program::{Access, Identity, Namespaces, Part, Texts};
use masu_sys::{
    process::{CloneFlags, exit_group},
    signal::{self, SignalSet},
};
use rustix::{
    event::{PollFd, PollFlags},
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags},
    io::Errno,
    process::{DumpableBehavior, Resource, Rlimit},
    thread::{CapabilitySet, CapabilitySets},
};

use crate::failure::{At, Result, fail};

/// The highest number that a capability could have; the kernel says which it knows.
const CAPABILITY_MAX: u32 = 63;

/// Signals that end a process which does not handle them, signal(7): those that people and engines send.
const TERMINATING: [i32; 8] = [1, 2, 3, 10, 12, 13, 14, 15];

/// Joins namespaces; a pidfd stands for all of a process (Linux 5.8).
pub(crate) fn join(fd: &OwnedFd, namespaces: Namespaces) -> Result<()> {
    masu_sys::process::setns(fd.as_fd(), CloneFlags::from_bits_truncate(namespaces.bits())).at(Part::Join)
}

/// Begins a session of its own, setsid(2), so that the caller's terminal is not the container's controlling one: with
/// it, TIOCSTI types into the caller's shell (ioctl_tty(2), CVE-2017-5226), and Ctrl-C reaches the container twice.
pub(crate) fn leave_session() -> Result<()> {
    rustix::process::setsid().at(Part::LeaveSession).map(drop)
}

/// Forbids tracing and the reading of `/proc/PID` by others, until the execve(2).
pub(crate) fn hide_from_tracers() -> Result<()> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).at(Part::SetDumpable)
}

/// Opens a file below the host's procfs for writing: within it, and through no symbolic link but `self`.
pub(crate) fn open_below_proc(proc: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(proc, path, flags, Mode::empty(), resolve).at(Part::Open)
}

/// Writes all of `value` by one write(2), as the kernel's own files want it.
pub(crate) fn write(file: &OwnedFd, value: &[u8]) -> Result<()> {
    let written = rustix::io::write(file, value).at(Part::Write)?;
    if written == value.len() { Ok(()) } else { Err(fail(Part::Write, Errno::INVAL)) }
}

/// Joins the session keyring of this name, or makes it; `added` are permissions that it gets.
pub(crate) fn join_keyring(name: &CStr, added: u32) -> Result<()> {
    let serial = match masu_sys::keyring::join_session(name) {
        // KERNEL(5.14): keyrings can be left out of a kernel; then there is nothing to keep apart.
        Err(Errno::NOSYS) => return Ok(()),
        outcome => outcome.at(Part::JoinKeyring)?,
    };
    if added == 0 {
        return Ok(());
    }
    let permissions = masu_sys::keyring::permissions(serial).at(Part::JoinKeyring)?;
    masu_sys::keyring::set_permissions(serial, permissions | added).at(Part::JoinKeyring)
}

/// Sets a limit of resources, by its number.
pub(crate) fn set_resource_limit(resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limit = |value| (value != u64::MAX).then_some(value);
    let limits = Rlimit { current: limit(soft), maximum: limit(hard) };
    rustix::process::setrlimit(find_resource(resource)?, limits).at(Part::SetLimit)
}

/// Sets a limit of resources to at least these values.
pub(crate) fn raise_resource_limit(resource: u32, soft: u64, hard: u64) -> Result<()> {
    let now = rustix::process::getrlimit(find_resource(resource)?);
    let raised = |now: Option<u64>, wanted: u64| now.map_or(u64::MAX, |now| now.max(wanted));
    set_resource_limit(resource, raised(now.current, soft), raised(now.maximum, hard))
}

fn find_resource(number: u32) -> Result<Resource> {
    const RESOURCES: [Resource; 16] = [
        Resource::Cpu,
        Resource::Fsize,
        Resource::Data,
        Resource::Stack,
        Resource::Core,
        Resource::Rss,
        Resource::Nproc,
        Resource::Nofile,
        Resource::Memlock,
        Resource::As,
        Resource::Locks,
        Resource::Sigpending,
        Resource::Msgqueue,
        Resource::Nice,
        Resource::Rtprio,
        Resource::Rttime,
    ];
    let known = RESOURCES.into_iter().find(|known| *known as u32 == number);
    known.ok_or(fail(Part::SetLimit, Errno::INVAL))
}

/// Becomes another user. Permitted capabilities stay: they are set afterwards, by their own step.
pub(crate) fn change_identity(identity: &Identity<'_>) -> Result<()> {
    rustix::thread::set_keep_capabilities(true).at(Part::KeepCapabilities)?;
    if let Some(bytes) = identity.groups {
        let mut groups = [0; Identity::GROUPS_MAX];
        let mut count = 0;
        for (slot, group) in groups.iter_mut().zip(bytes.as_chunks().0) {
            *slot = u32::from_ne_bytes(*group);
            count += 1;
        }
        masu_sys::process::setgroups(groups.get(..count).unwrap_or_default()).at(Part::SetGroups)?;
    }
    masu_sys::process::setresgid(identity.gid, identity.gid, identity.gid).at(Part::SetGid)?;
    masu_sys::process::setresuid(identity.uid, identity.uid, identity.uid).at(Part::SetUid)?;
    rustix::thread::set_keep_capabilities(false).at(Part::KeepCapabilities)
}

/// Drops every capability that is not in `bounding` from the bounding set.
pub(crate) fn limit_capabilities(bounding: u64) -> Result<()> {
    for capability in (0..=CAPABILITY_MAX).filter(|number| bounding >> number & 1 == 0) {
        match masu_sys::capability::bounding_drop(capability) {
            // Above the last capability that this kernel knows.
            Err(Errno::INVAL) => break,
            // Without CAP_SETPCAP nothing can be dropped, which is well where it is not there.
            Err(Errno::PERM)
                if !masu_sys::capability::bounding_contains(capability).at(Part::DropBounding)? => {}
            outcome => outcome.at(Part::DropBounding)?,
        }
    }
    Ok(())
}

/// Sets what the process may do: the effective, permitted and inheritable sets, and the ambient one.
pub(crate) fn set_capabilities(sets: [u64; 3], ambient: u64) -> Result<()> {
    // Before capset: what leaves the permitted set leaves the ambient set too, but nothing else clears it.
    rustix::thread::clear_ambient_capability_set().at(Part::RaiseAmbient)?;
    drop_capabilities(sets)?;
    for capability in (0..=CAPABILITY_MAX).filter(|number| ambient >> number & 1 == 1) {
        masu_sys::capability::ambient_raise(capability).at(Part::RaiseAmbient)?;
    }
    Ok(())
}

/// Sets the effective, permitted and inheritable sets; the ambient set loses with them what they lose.
pub(crate) fn drop_capabilities(sets: [u64; 3]) -> Result<()> {
    let [effective, permitted, inheritable] = sets.map(CapabilitySet::from_bits_retain);
    rustix::thread::set_capabilities(None, CapabilitySets { effective, permitted, inheritable })
        .at(Part::SetCapabilities)
}

/// The working directory: entered as root, or as the user of the container where root may not.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    entered: bool,
}

impl Directory {
    /// Enters `path`, and proves that it is inside the root: an image can bring a path that leads, through a
    /// descriptor of this very process, to the host (CVE-2024-21626).
    pub(crate) fn change(&mut self, path: &CStr, access: Access) -> Result<()> {
        if self.entered {
            return Ok(());
        }
        match rustix::process::chdir(path) {
            Err(Errno::ACCESS) if access == Access::Attempted => return Ok(()),
            outcome => outcome.at(Part::ChangeDirectory)?,
        }
        let mut name = [0; 4096];
        let name = masu_sys::process::getcwd(&mut name).at(Part::Outside)?;
        if !name.to_bytes().starts_with(b"/") {
            return Err(fail(Part::Outside, Errno::PERM));
        }
        self.entered = true;
        Ok(())
    }
}

/// The first of `programs` that exists and that the process may execute.
pub(crate) fn find_program(programs: Texts<'_>) -> Result<&CStr> {
    let mut reason = Errno::NOENT;
    for program in programs {
        match check_executable(program) {
            Ok(()) => return Ok(program),
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(errno) => reason = errno,
        }
    }
    Err(fail(Part::Search, reason))
}

fn check_executable(program: &CStr) -> rustix::io::Result<()> {
    let status = rustix::fs::statat(CWD, program, AtFlags::empty())?;
    if FileType::from_raw_mode(status.st_mode) == FileType::Directory {
        return Err(Errno::ISDIR);
    }
    rustix::fs::accessat(CWD, program, rustix::fs::Access::EXEC_OK, AtFlags::EACCESS)
}

/// Waits for `masu start`, or for a signal that ends the container before it began.
///
/// Signals are blocked up to the execve(2), so one that ends a process is taken from a descriptor: as the
/// first process of a pid namespace init would otherwise not be ended by it, pid_namespaces(7).
pub(crate) fn await_start(fifo: &OwnedFd) -> Result<()> {
    let set = TERMINATING.into_iter().fold(SignalSet::empty(), SignalSet::add);
    let signals = signal::signalfd(set).at(Part::AwaitStart)?;
    loop {
        let mut ready = [PollFd::new(fifo, PollFlags::IN), PollFd::new(&signals, PollFlags::IN)];
        match rustix::event::poll(&mut ready, None) {
            Err(Errno::INTR) => continue,
            outcome => outcome.at(Part::AwaitStart)?,
        };
        if let Some(info) = signal::read_signalfd(signals.as_fd()).at(Part::AwaitStart)? {
            exit_group(128 + info.signal);
        }
        let [start, _] = &ready;
        if start.revents().contains(PollFlags::IN) {
            return Ok(());
        }
    }
}

/// Leaves no descriptor to the program but the standard streams and those to preserve.
pub(crate) fn close_descriptors(preserve: u32) -> Result<()> {
    masu_sys::fd::set_cloexec_range(3_u32.saturating_add(preserve), u32::MAX).at(Part::CloseRange)
}

/// Signals as a new process has them. From here on one that ends a process ends this one.
pub(crate) fn reset_signals() -> Result<()> {
    signal::reset_dispositions().at(Part::SetSignals)?;
    signal::set_mask(SignalSet::empty()).at(Part::SetSignals).map(drop)
}
