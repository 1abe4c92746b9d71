//! A container as the state directory remembers it, and what it is doing now.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use masu_cgroup::{Cgroup, CgroupRecord};
use masu_program::Namespaces;
use masu_spec::{OCI_VERSION, Resources, State};
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
    kill,
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
    /// User and group that stand for root.
    pub(crate) root: (u32, u32),
    /// Whether setgroups(2) is forbidden.
    pub(crate) groups_forbidden: bool,
    pub(crate) cgroup: CgroupRecord,
}

/// The version of the record's form.
pub(crate) const RECORD_VERSION: u32 = 1;

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
}

impl Container {
    pub(crate) fn new(record: Record, directory: Directory) -> Self {
        Self {
            id: record.id.clone(),
            bundle: record.bundle.clone(),
            rootfs: record.rootfs.clone(),
            created: record.created.clone(),
            annotations: record.annotations.clone(),
            owner: record.owner,
            record,
            directory,
        }
    }

    /// What it is doing now.
    ///
    /// # Errors
    /// When its process or its cgroup cannot be looked at.
    pub fn status(&self) -> Result<Status> {
        if !is_alive(self.record.pid, self.record.start_time)? {
            return Ok(Status::Stopped);
        }
        if self.is_frozen() {
            return Ok(Status::Paused);
        }
        Ok(if self.open_fifo()?.is_some() { Status::Created } else { Status::Running })
    }

    /// The pid of its first process as the engine sees it; 0 when that has ended.
    #[must_use]
    pub fn pid(&self) -> i32 {
        let alive = is_alive(self.record.pid, self.record.start_time).unwrap_or(false);
        if alive { self.record.pid } else { 0 }
    }

    /// Its state, as the specification and runc have it.
    ///
    /// # Errors
    /// As for [`status`](Self::status).
    pub fn state(&self) -> Result<State<'_>> {
        let status = self.status()?;
        let pid = if status == Status::Stopped { 0 } else { self.record.pid };
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
        Cgroup::open(&self.record.cgroup)
    }

    /// The configuration that it was created from.
    ///
    /// # Errors
    /// When the copy in the state directory cannot be read.
    pub fn read_config(&self) -> Result<Vec<u8>> {
        let file = rustix::fs::openat(
            &self.directory.fd,
            store::CONFIG,
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        );
        file.and_then(|file| files::read_all(&file))
            .doing(|| format!("read {} of container {:?}", store::CONFIG, self.id))
    }

    /// Freezes all of its processes.
    ///
    /// # Errors
    /// When it is not running, or has no cgroup with a freezer.
    pub fn pause(&self) -> Result<()> {
        match self.status()? {
            Status::Running | Status::Created => Ok(self.cgroup().freeze()?),
            Status::Stopped | Status::Creating => Err(not_running()),
            Status::Paused => Err(Error::State { message: "container is already paused".into(), hint: None }),
        }
    }

    /// Lets its processes go on.
    ///
    /// # Errors
    /// When it is not paused.
    pub fn resume(&self) -> Result<()> {
        match self.status()? {
            Status::Paused => Ok(self.cgroup().thaw()?),
            Status::Stopped | Status::Creating => Err(not_running()),
            Status::Running | Status::Created => {
                Err(Error::State { message: "container not paused".into(), hint: None })
            }
        }
    }

    /// Changes its limits.
    ///
    /// # Errors
    /// When it has ended, or the kernel refuses a limit.
    pub fn update(&self, resources: &Resources<'_>) -> Result<()> {
        if self.status()? == Status::Stopped {
            return Err(not_running());
        }
        Ok(self.cgroup().update(resources)?)
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

    pub(crate) fn is_frozen(&self) -> bool {
        // A cgroup that is gone, or has no freezer, is not frozen.
        self.cgroup().is_frozen().unwrap_or(false)
    }

    /// The first process, proven to be the one that the record means.
    pub(crate) fn open_process(&self) -> Result<Option<OwnedFd>> {
        let Some(pid) = Pid::from_raw(self.record.pid) else { return Ok(None) };
        let pidfd = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Err(Errno::SRCH | Errno::INVAL) => return Ok(None),
            outcome => outcome.doing(|| "pidfd_open".into())?,
        };
        // After the open: what is alive now, with that start time, is what the descriptor means.
        Ok(is_alive(self.record.pid, self.record.start_time)?.then_some(pidfd))
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
    let proc = open_proc()?;
    let path = alloc::ffi::CString::new(format!("{pid}/stat")).unwrap_or_default();
    match files::read_below(proc.as_fd(), &path) {
        Ok(stat) => Ok(parse_stat(&stat)),
        Err(Errno::NOENT | Errno::SRCH) => Ok(None),
        Err(errno) => Err(errno).doing(|| format!("read /proc/{pid}/stat")),
    }
}

/// A process that ends, `<linux/sched.h>`. The first process of a pid namespace stays in this state until
/// all others are reaped, which may be up to somebody else, and looks like a sleeper meanwhile.
const PF_EXITING: u32 = 0x4;

fn is_alive(pid: i32, began: u64) -> Result<bool> {
    Ok(pid > 0 && start_time(pid)? == Some(began))
}

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
