//! Who is in the cgroup, and how to end them all.

use alloc::vec::Vec;

use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::backoff::Backoff;
use crate::cgroup::Cgroup;
use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::events::{Event, Events};
use crate::member::Member;

/// In which hierarchy to look for the container's processes. runc looks at devices alone.
const PREFERRED: [&str; 4] = ["devices", "pids", "freezer", "memory"];

impl Cgroup {
    /// The processes of the cgroup and of those below it, in no order. A cgroup that is gone has none.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn processes(&self) -> Result<Vec<Pid>> {
        match self.census() {
            Some(member) => Ok(member.processes()?.into_iter().filter_map(Pid::from_raw).collect()),
            None => Ok(Vec::new()),
        }
    }

    /// Sends a signal to every process. SIGKILL also thaws, because a frozen task of version 1 does not die, and
    /// returns when all have left: by `cgroup.kill` (Linux 5.14) where there is a unified hierarchy, and
    /// round by round for whoever is left or was forked in the meantime.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; [`Error::Busy`] when processes are left after about 2 s.
    pub fn kill_all(&self, signal: Signal) -> Result<()> {
        if signal != Signal::KILL {
            return self.signal_once(signal);
        }
        if let Some(unified) = self.member("") {
            match unified.dir().and_then(|dir| {
                dir.write("cgroup.kill", "1").map_err(|errno| unified.failed("write", "cgroup.kill", errno))
            }) {
                // A threaded cgroup has no such file: then it takes the signals below.
                Ok(()) | Err(Error::Io { errno: Errno::NOENT | Errno::NODEV | Errno::OPNOTSUPP, .. }) => (),
                Err(error) => return Err(error),
            }
        }
        let mut backoff = Backoff::for_removal();
        if let Some(killed) = self.members.iter().find(|member| member.alone)
            && killed.is_emptied(&mut backoff)?
        {
            return Ok(());
        }
        loop {
            self.signal_once(Signal::KILL)?;
            match self.thaw() {
                Ok(()) | Err(Error::NoFreezer | Error::Io { errno: Errno::NOENT | Errno::NODEV, .. }) => (),
                Err(error) => return Err(error),
            }
            let Some(member) = self.census() else { return Ok(()) };
            let pids = member.processes()?;
            if pids.is_empty() {
                return Ok(());
            }
            if !backoff.wait() {
                return Err(Error::Busy { path: member.path_for_message_only(), pids });
            }
        }
    }

    /// How many processes of the container the kernel has killed for want of memory.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; without a memory cgroup, or with one that is gone, the count is 0.
    pub fn oom_kill_count(&self) -> Result<u64> {
        let Some(member) = self.member("memory") else { return Ok(0) };
        let file = if member.version_2 { "memory.events" } else { "memory.oom_control" };
        let text = match member.read(file) {
            Err(Error::Io { errno: Errno::NOENT | Errno::NODEV, .. }) => return Ok(0),
            result => result?,
        };
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill ")).unwrap_or("0");
        count.parse().map_err(|_| Error::Malformed(file.into(), text.clone()))
    }

    fn census(&self) -> Option<&Member> {
        let preferred = PREFERRED.iter().find_map(|name| self.member(name));
        preferred.or_else(|| self.members.iter().find(|member| !member.version_2)).or(self.members.first())
    }

    /// One round. A pid may be another process's by the time it is opened; so the cgroup is read again afterwards,
    /// and only who is in it still gets the signal.
    fn signal_once(&self, signal: Signal) -> Result<()> {
        let Some(member) = self.census() else { return Ok(()) };
        let mut opened: Vec<(i32, OwnedFd)> = Vec::new();
        for pid in member.processes()? {
            let Some(raw) = Pid::from_raw(pid) else { continue };
            match pidfd_open(raw, PidfdFlags::empty()) {
                Ok(pidfd) => opened.push((pid, pidfd)),
                Err(Errno::SRCH) => (),
                Err(errno) => return Err(member.failed("pidfd_open", "cgroup.procs", errno)),
            }
        }
        if opened.is_empty() {
            return Ok(());
        }
        let mut present = member.processes()?;
        present.sort_unstable();
        for (pid, pidfd) in opened {
            if present.binary_search(&pid).is_err() {
                continue;
            }
            match pidfd_send_signal(&pidfd, signal) {
                Ok(()) | Err(Errno::SRCH) => (),
                Err(errno) => return Err(member.failed("pidfd_send_signal", "cgroup.procs", errno)),
            }
        }
        Ok(())
    }
}

impl Member {
    /// Waits until nobody is left whom `cgroup.kill` has killed.
    fn is_emptied(&self, backoff: &mut Backoff) -> Result<bool> {
        let dir = match self.dir() {
            Err(Error::Io { errno: Errno::NOENT | Errno::NODEV, .. }) => return Ok(true),
            dir => dir?,
        };
        match Events::open(dir).and_then(|events| events.wait_for(Event::Empty, backoff)) {
            // Whoever waited for the container removes its cgroup as soon as it is empty.
            Err(Errno::NOENT | Errno::NODEV) => Ok(true),
            emptied => emptied.map_err(|errno| self.failed("read", "cgroup.events", errno)),
        }
    }

    /// The pids, as this pid namespace sees them: 0 is a process outside of it.
    pub(crate) fn processes(&self) -> Result<Vec<i32>> {
        let mut pids = Vec::new();
        match self.dir() {
            Ok(dir) => {
                collect(dir, &mut pids).map_err(|errno| self.failed("read", "cgroup.procs", errno))?;
                Ok(pids)
            }
            Err(Error::Io { errno: Errno::NOENT | Errno::NODEV, .. }) => Ok(pids),
            Err(error) => Err(error),
        }
    }
}

fn collect(dir: &Dir, pids: &mut Vec<i32>) -> core::result::Result<(), Errno> {
    let text = match dir.read("cgroup.procs") {
        // A threaded cgroup of version 2 lists threads alone (cgroups(7), "Thread mode").
        Err(Errno::OPNOTSUPP) => dir.read("cgroup.threads"),
        result => result,
    };
    let text = match text {
        Err(Errno::NODEV | Errno::NOENT) => return Ok(()), // removed under our eyes
        result => result?,
    };
    pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
    for name in dir.children()? {
        match dir.open(&name) {
            Ok(child) => collect(&child, pids)?,
            Err(Errno::NODEV | Errno::NOENT) => (),
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
