//! Intel RDT: shares of the cache and of the memory bandwidth, in a resctrl file system
//! (Documentation/filesystems/resctrl.rst; runtime specification, "Intel RDT").
//!
//! A class of service is a directory of it, whose `schemata` has the shares and whose `tasks` the threads. A monitoring
//! group is a directory in the `mon_groups` of a class. The kernel fills both as they are made.
//!
//! ```text
//! Resctrl::find ─▶ begin: find or make the class ─▶ Begun::finish: write its shares, or compare them
//!               ─▶ Group::join, of the class and of its monitoring group, when the process is there
//!               ─▶ remove, when the container is gone
//! ```
//! A class that is begun and not finished is removed again.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod error;
mod group;
mod schemata;
mod stats;
#[cfg(test)]
mod tests;

use alloc::{format, string::String, vec::Vec};

use masu_spec::IntelRdt;
use rustix::{
    fd::OwnedFd,
    fs::{AtFlags, CWD, Mode, OFlags},
    io::Errno,
};

pub use error::{Error, Result};
pub use group::Group;
pub use stats::{CmtStats, L3CacheInfo, MbmStats, MemBwInfo, Stats};

/// `RDTGROUP_SUPER_MAGIC` of linux/magic.h.
const RESCTRL_MAGIC: i64 = 0x0765_5821;

/// The class that everything is in which is in no other: the root of the file system.
const DEFAULT_CLASS: &str = "/";

/// A mounted resctrl file system.
#[derive(Debug)]
pub struct Resctrl(Group);

/// A class that was found or made, and has not got its shares yet.
#[derive(Debug)]
pub struct Begun<'a> {
    root: &'a Resctrl,
    class: Group,
    name: &'a str,
    /// Whether it is new, and what is then written to it; else what has to be in force already.
    new: bool,
    writes: Vec<String>,
}

impl Resctrl {
    /// Opens the file system, where `mountinfo`, proc_pid_mountinfo(5), has one.
    ///
    /// # Errors
    /// [`Error::NotMounted`] without one, or when something else is mounted there by now.
    pub fn find(mountinfo: &str) -> Result<Self> {
        let mount_point = mountinfo.lines().find_map(|line| {
            let (mount, kind) = line.split_once(" - ")?;
            mount.split(' ').nth(4).filter(|_| kind.starts_with("resctrl "))
        });
        let mount_point = mount_point.ok_or(Error::NotMounted)?;
        let root = Self::at(mount_point)?;
        let status = rustix::fs::fstatfs(root.0.directory());
        let status = status.map_err(|errno| Error::io("fstatfs", mount_point, errno))?;
        if status.f_type == RESCTRL_MAGIC { Ok(root) } else { Err(Error::NotMounted) }
    }

    /// The tree at a path, whatever file system it is in.
    fn at(path: &str) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, path, flags, Mode::empty());
        let root: OwnedFd = root.map_err(|errno| Error::io("open", path, errno))?;
        Ok(Self(Group::new(root, path.into())))
    }

    /// Finds the class that a container asks for, or makes it.
    ///
    /// # Errors
    /// [`Error::NoClass`] for a `closID` alone that is not there; [`Error::Io`] for what cannot be made or opened, the
    /// directory of a container without `closID` among them when something else has its name.
    pub fn begin<'a>(&'a self, rdt: &'a IntelRdt<'_>, id: &'a str) -> Result<Begun<'a>> {
        let writes = schemata::writes(rdt);
        let name = class_name(rdt, id);
        let begun = |class, new| Begun { root: self, class, name, new, writes: writes.clone() };
        if rdt.clos_id.is_some() {
            match self.0.open(name) {
                Err(Error::Io { errno: Errno::NOENT, .. }) if writes.is_empty() => {
                    return Err(Error::NoClass { name: name.into() });
                }
                Err(Error::Io { errno: Errno::NOENT, .. }) => {}
                outcome => return Ok(begun(outcome?, false)),
            }
        }
        self.0.make(name)?;
        let class = self.0.open(name).inspect_err(|_| {
            // ignored: the error of the open is the one to report.
            let _ = self.remove(name);
        })?;
        Ok(begun(class, true))
    }

    /// Opens the class that a container has.
    ///
    /// # Errors
    /// [`Error::Io`] when it is gone.
    pub fn open(&self, rdt: &IntelRdt<'_>, id: &str) -> Result<Group> {
        self.0.open(class_name(rdt, id))
    }

    /// Gives a class other shares, all or none of them, and returns the text of those that it had.
    ///
    /// # Errors
    /// [`Error::Io`] for what the kernel does not take, with its own words.
    pub fn change(&self, class: &Group, shares: &IntelRdt<'_>) -> Result<String> {
        let before = class.read("schemata")?;
        match class.write_schemata(&schemata::writes(shares)) {
            Ok(()) => Ok(before),
            Err(error) => {
                let error = error.with_status(self.0.last_status());
                // ignored: the error of the first write is the one to report.
                let _ = class.write_schemata(&[before]);
                Err(error)
            }
        }
    }

    /// Removes what is a container's alone: its monitoring group, and the class without a `closID`.
    ///
    /// # Errors
    /// [`Error::Io`]; what is gone already is no error.
    pub fn remove_of(&self, rdt: &IntelRdt<'_>, id: &str) -> Result<()> {
        if rdt.clos_id.is_none() {
            // With the monitoring group in it.
            return self.remove(id);
        }
        if !rdt.enable_monitoring {
            return Ok(());
        }
        match class_name(rdt, id) {
            DEFAULT_CLASS => self.remove(&format!("mon_groups/{id}")),
            class => self.remove(&format!("{class}/mon_groups/{id}")),
        }
    }

    fn remove(&self, path: &str) -> Result<()> {
        match rustix::fs::unlinkat(self.0.directory(), path, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(Error::io("rmdir", &self.0.path_of(path), errno)),
        }
    }
}

fn class_name<'a>(rdt: &'a IntelRdt<'_>, id: &'a str) -> &'a str {
    rdt.clos_id.as_deref().unwrap_or(id)
}

impl Begun<'_> {
    /// Gives a new class its shares, and compares them with those of one that was there.
    ///
    /// # Errors
    /// [`Error::Differs`] for other shares; [`Error::Io`] for what the kernel does not take, with its own words. A new
    /// class is then removed.
    pub fn finish(self) -> Result<Group> {
        let Self { root, class, name, new, writes } = self;
        if !new {
            class.compare(&writes)?;
            return Ok(class);
        }
        match class.write_schemata(&writes) {
            Ok(()) => Ok(class),
            Err(error) => {
                let error = error.with_status(root.0.last_status());
                // ignored: the error of the write is the one to report.
                let _ = root.remove(name);
                Err(error)
            }
        }
    }
}
