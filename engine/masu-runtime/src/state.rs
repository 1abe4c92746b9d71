//! A container as the state directory remembers it, and what it is doing now.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use core::cell::OnceCell;

use masu_cgroup::{Cgroup, CgroupRecord, OpenMounts, Stats};
use masu_program::Namespaces;
use masu_spec::{IntelRdt, OCI_VERSION, Resources, State};
use masu_sys::process::pidfd_send_signal;
use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{Mode, OFlags},
    io::Errno,
    process::{Pid, PidfdFlags},
};
use serde::{Deserialize, Serialize};

pub use masu_spec::Status;

use crate::{
    error::{Doing, Error, Result},
    files,
    host::open_proc,
    intel_rdt::{self, RdtRecord},
    kill, network,
    store::{self, Directory},
};

/// What state.json holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    pub(crate) version: u32,
    pub(crate) id: String,
    pub(crate) bundle: String,
    pub(crate) rootfs: String,
    pub(crate) created: String,
    pub(crate) owner: u32,
    pub(crate) annotations: BTreeMap<String, String>,
    /// 0 until the process is ready.
    pub(crate) pid: i32,
    /// When the process began, in clock ticks since boot: a pid alone may be somebody else's by now.
    pub(crate) start_time: u64,
    /// The kinds of namespaces that are not the host's, as clone(2) bits.
    pub(crate) namespaces: u64,
    /// Whether all of the container's processes end with the first one.
    pub(crate) own_pid_namespace: bool,
    /// Whether it has a session keyring of its own.
    pub(crate) keyring: bool,
    /// User and group that stand for root.
    pub(crate) root: (u32, u32),
    /// Whether setgroups(2) is forbidden.
    pub(crate) groups_forbidden: bool,
    /// Whether `start` has to do with hooks.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub(crate) hooks_at_start: bool,
    /// Whether `delete` has to do with hooks.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub(crate) hooks_at_end: bool,
    pub(crate) cgroup: CgroupRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) intel_rdt: Option<RdtRecord>,
    /// Whether it was read from a claim: then nothing tells that the cgroup is the container's.
    #[serde(skip)]
    pub(crate) is_claim: bool,
}

/// The version of the record's form.
pub(crate) const RECORD_VERSION: u32 = 1;

/// What is opened once to look at any number of containers.
#[derive(Debug, Default)]
pub struct View {
    proc: OnceCell<OwnedFd>,
    mounts: OpenMounts,
}

impl View {
    /// The host's procfs.
    fn proc(&self) -> Result<&OwnedFd> {
        if let Some(proc) = self.proc.get() {
            return Ok(proc);
        }
        let proc = open_proc()?;
        Ok(self.proc.get_or_init(|| proc))
    }
}

/// A container, from its state directory.
#[derive(Debug)]
pub struct Container {
    /// Its name.
    pub id: String,
    /// The absolute path of its bundle.
    pub bundle: String,
    /// The absolute path of its root file system.
    pub rootfs: String,
    /// When it was created, RFC 3339.
    pub created: String,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// The user who created it.
    pub owner: u32,
    pub(crate) record: Record,
    pub(crate) directory: Directory,
    /// Whether a create has it in hand.
    being_made: bool,
}

impl Container {
    pub(crate) fn new(record: Record, directory: Directory, being_made: bool) -> Self {
        Self {
            id: record.id.clone(),
            bundle: record.bundle.clone(),
            rootfs: record.rootfs.clone(),
            created: record.created.clone(),
            annotations: record.annotations.clone(),
            owner: record.owner,
            record,
            directory,
            being_made,
        }
    }

    /// What it is doing now.
    ///
    /// # Errors
    /// When its process or its cgroup cannot be looked at.
    pub fn status(&self) -> Result<Status> {
        self.status_from(&View::default())
    }

    fn status_from(&self, view: &View) -> Result<Status> {
        if self.being_made {
            return Ok(Status::Creating);
        }
        if !self.is_alive(view)? {
            return Ok(Status::Stopped);
        }
        // A cgroup that is gone, or has no freezer, is not frozen.
        if self.cgroup().is_frozen_from(&view.mounts).unwrap_or(false) {
            return Ok(Status::Paused);
        }
        Ok(if self.open_fifo()?.is_some() { Status::Created } else { Status::Running })
    }

    /// The pid of its first process as the engine sees it; 0 when that has ended.
    #[must_use]
    pub fn pid(&self) -> i32 {
        let alive = self.is_alive(&View::default()).unwrap_or(false);
        if alive { self.record.pid } else { 0 }
    }

    /// Its state, as the specification and runc have it.
    ///
    /// # Errors
    /// As for [`status`](Self::status).
    pub fn state(&self) -> Result<State<'_>> {
        self.state_from(&View::default())
    }

    /// The same for one of many.
    ///
    /// # Errors
    /// As for [`status`](Self::status).
    pub fn state_from(&self, view: &View) -> Result<State<'_>> {
        let status = self.status_from(view)?;
        let pid = if matches!(status, Status::Stopped | Status::Creating) { 0 } else { self.record.pid };
        Ok(State {
            oci_version: OCI_VERSION.into(),
            id: self.id.as_str().into(),
            pid: u32::try_from(pid).unwrap_or(0),
            status,
            bundle: self.bundle.as_str().into(),
            rootfs: self.rootfs.as_str().into(),
            created: self.created.as_str().into(),
            annotations: self
                .annotations
                .iter()
                .map(|(key, value)| (key.as_str().into(), value.as_str().into()))
                .collect(),
            owner: String::new().into(),
        })
    }

    /// Its control group.
    #[must_use]
    pub fn cgroup(&self) -> Cgroup {
        let mut cgroup = Cgroup::open(&self.record.cgroup);
        if self.record.pid == 0 {
            // Nobody is known to be in it, nor whether it was made.
            cgroup.forget_foreign();
        }
        if self.record.is_claim {
            cgroup.forget_inhabited();
        }
        cgroup
    }

    /// The configuration that it was created from.
    ///
    /// # Errors
    /// When the copy in the state directory cannot be read; "container not running" when a delete is removing it.
    pub fn read_config(&self) -> Result<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.directory.fd, store::CONFIG, flags, Mode::empty());
        match file.and_then(|file| files::read_all(&file)) {
            Err(Errno::NOENT) if self.open_process()?.is_none() => Err(not_running()),
            outcome => outcome.doing(|| format!("read {} of container {:?}", store::CONFIG, self.id)),
        }
    }

    /// Freezes all of its processes.
    ///
    /// # Errors
    /// When it is not running, or has no cgroup with a freezer.
    pub fn pause(&self) -> Result<()> {
        match self.status()? {
            Status::Running | Status::Created => self.freeze(),
            Status::Stopped | Status::Creating => Err(not_running()),
            Status::Paused => Err(Error::State { message: "container is already paused".into(), hint: None }),
        }
    }

    /// A frozen task of a version 1 cgroup does not die of a SIGKILL that came in between. Whoever sends one looks
    /// afterwards whether to thaw; we look, when all is frozen, whether one was sent: in any order one of us thaws.
    fn freeze(&self) -> Result<()> {
        let cgroup = self.cgroup();
        let frozen = cgroup.freeze();
        if frozen.is_ok() && is_to_be_killed(self.record.pid)? {
            cgroup.thaw()?;
        }
        match frozen {
            Ok(()) => self.status_now().map(drop),
            Err(error) => self.status_now().and(Err(error.into())),
        }
    }

    /// The status, unless it has ended since it was looked at: then that is the error, and nothing else.
    fn status_now(&self) -> Result<Status> {
        match self.status()? {
            Status::Stopped => Err(not_running()),
            status => Ok(status),
        }
    }

    /// Lets its processes go on.
    ///
    /// # Errors
    /// When it is not paused.
    pub fn resume(&self) -> Result<()> {
        match self.status()? {
            Status::Paused => match self.cgroup().thaw() {
                Ok(()) => Ok(()),
                Err(error) => self.status_now().and(Err(error.into())),
            },
            Status::Stopped | Status::Creating => Err(not_running()),
            Status::Running | Status::Created => {
                Err(Error::State { message: "container not paused".into(), hint: None })
            }
        }
    }

    /// Changes its limits, and the shares of its class of Intel RDT that are given: all or none of them.
    ///
    /// # Errors
    /// When it has ended, or has no such class, or the kernel refuses a limit.
    pub fn update(&self, resources: &Resources<'_>, shares: &IntelRdt<'_>) -> Result<()> {
        self.status_now()?;
        let changed = intel_rdt::change(self, shares)?;
        match self.cgroup().update(resources) {
            Ok(()) => Ok(()),
            Err(error) => {
                changed.take_back();
                self.status_now().and(Err(error.into()))
            }
        }
    }

    /// What it has used.
    ///
    /// # Errors
    /// When its cgroup, its class of Intel RDT or its network namespace cannot be read.
    pub fn stats(&self) -> Result<Stats> {
        let pid = self.record.pid;
        let network = network::stats(&open_proc()?, pid, self.record.start_time)
            .doing(|| format!("read the network interfaces of process {pid}"))?;
        Ok(Stats {
            intel_rdt: intel_rdt::stats(self)?,
            network_interfaces: network,
            ..self.cgroup().stats()?
        })
    }

    /// The pids of its processes, as the engine sees them.
    ///
    /// # Errors
    /// When its cgroup cannot be read.
    pub fn processes(&self) -> Result<Vec<i32>> {
        let cgroup = self.cgroup();
        if cgroup.is_none() {
            return Ok(alloc::vec![self.pid()].into_iter().filter(|pid| *pid != 0).collect());
        }
        Ok(cgroup.processes()?.into_iter().map(|pid| pid.as_raw_nonzero().get()).collect())
    }

    /// Sends a signal to its first process; SIGKILL to all where they do not end with the first.
    ///
    /// # Errors
    /// "container not running" when there is none.
    pub fn kill(&self, signal: i32) -> Result<()> {
        kill::kill(self, signal)
    }

    pub(crate) fn namespaces(&self) -> Namespaces {
        Namespaces::from_bits_truncate(self.record.namespaces)
    }

    /// Whether its first process is the one that the record means, and has not ended.
    fn is_alive(&self, view: &View) -> Result<bool> {
        let pid = self.record.pid;
        if pid <= 0 {
            return Ok(false);
        }
        let began = read_start_time(view.proc()?, pid).doing(|| format!("read /proc/{pid}/stat"))?;
        Ok(began == Some(self.record.start_time))
    }

    /// The first process, proven to be the one that the record means.
    pub(crate) fn open_process(&self) -> Result<Option<OwnedFd>> {
        let Some(pid) = Pid::from_raw(self.record.pid) else { return Ok(None) };
        let pidfd = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Err(Errno::SRCH | Errno::INVAL) => return Ok(None),
            outcome => outcome.doing(|| "pidfd_open".into())?,
        };
        // After the open: what is alive now, with that start time, is what the descriptor means.
        Ok(self.is_alive(&View::default())?.then_some(pidfd))
    }

    /// The start fifo, while somebody waits at its other end.
    pub(crate) fn open_fifo(&self) -> Result<Option<OwnedFd>> {
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.directory.fd, store::FIFO, flags, Mode::empty()) {
            Ok(fifo) => Ok(Some(fifo)),
            Err(Errno::NXIO | Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno).doing(|| format!("open the start fifo of container {:?}", self.id)),
        }
    }
}

pub(crate) fn not_running() -> Error {
    Error::State { message: "container not running".into(), hint: None }
}

/// Sends a signal to a process that was opened.
pub(crate) fn signal(process: &OwnedFd, signal: i32) -> Result<()> {
    match pidfd_send_signal(process.as_fd(), signal) {
        Err(Errno::SRCH) => Err(not_running()),
        outcome => outcome.doing(|| format!("send signal {signal}")),
    }
}

/// When the process began, in clock ticks since boot; `None` when it is gone, or a zombie.
pub(crate) fn start_time(pid: i32) -> Result<Option<u64>> {
    read_start_time(&open_proc()?, pid).doing(|| format!("read /proc/{pid}/stat"))
}

/// The same, in this procfs.
pub(crate) fn read_start_time(proc: &OwnedFd, pid: i32) -> rustix::io::Result<Option<u64>> {
    let path = alloc::ffi::CString::new(format!("{pid}/stat")).unwrap_or_default();
    match files::read_below(proc.as_fd(), &path) {
        Err(Errno::NOENT | Errno::SRCH) => Ok(None),
        outcome => outcome.map(|stat| parse_stat(&stat)),
    }
}

/// Whether a process has a SIGKILL that it has not acted upon, proc_pid_status(5).
fn is_to_be_killed(pid: i32) -> Result<bool> {
    const SIGKILL: u64 = 1 << 8;
    let proc = open_proc()?;
    let path = alloc::ffi::CString::new(format!("{pid}/status")).unwrap_or_default();
    let status = match files::read_below(proc.as_fd(), &path) {
        Err(Errno::NOENT | Errno::SRCH) => return Ok(false),
        outcome => outcome.doing(|| format!("read /proc/{pid}/status"))?,
    };
    let is_pending = |line: &str| {
        let set = line.strip_prefix("SigPnd:").or_else(|| line.strip_prefix("ShdPnd:"));
        set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).is_some_and(|set| set & SIGKILL != 0)
    };
    Ok(status.lines().any(is_pending))
}

/// A process that ends, `<linux/sched.h>`. The first process of a pid namespace stays in this state until
/// all others are reaped, which may be up to somebody else, and looks like a sleeper meanwhile.
const PF_EXITING: u32 = 0x4;

/// The 22nd field of proc_pid_stat(5), for a process that is not dead. The second one, the command, may hold
/// spaces and parentheses; the last parenthesis ends it.
fn parse_stat(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    let flags: u32 = fields.nth(5)?.parse().ok()?;
    if matches!(state, "Z" | "X") || flags & PF_EXITING != 0 {
        return None;
    }
    fields.nth(12)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::parse_stat;

    #[test]
    fn the_start_time_is_read_behind_any_command() {
        let rest = "1 1 1 0 -1 4194560 100 0 0 0 0 0 0 0 20 0 1 0 4242 1000 10 184";
        assert_eq!(parse_stat(&format!("7 (a b) c) S {rest}")), Some(4242));
        assert_eq!(parse_stat(&format!("7 (sh) Z {rest}")), None);
        assert_eq!(parse_stat(&format!("7 (sh) S {}", rest.replace("4194560", "4194564"))), None);
        assert_eq!(parse_stat("7 (sh"), None);
        assert_eq!(parse_stat("7 (sh) S 1"), None);
    }
}
