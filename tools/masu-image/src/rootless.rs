//! The user namespace that an ordinary user keeps images in: with ids of its own for what the layers' files belong to,
//! where the administrator has granted some (subuid(5)), and with the caller's id alone otherwise.

use crate::layer::{IdMap, Marks};
use crate::namespace::{enter_alone, is_initial_user_namespace, maps_one_id};
use crate::{Error, Result};
use masu_sys::process::{CloneArgs, CloneFlags, Forked, exit_group, fork, unshare};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;

/// What the caller can do with the layers of images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Whose the files are.
    pub ids: IdMap,
    /// How overlays are mounted.
    pub marks: Marks,
    /// Why an ordinary user has one id only.
    pub single: Option<String>,
}

/// Stays as it is for root; an ordinary user enters a user namespace, as root of it. It has to be done before the first
/// thread, and is inherited by what is executed.
///
/// # Errors
///
/// [`Error::Namespace`] when the kernel refuses; [`Error::File`] for files of /proc.
pub fn enter() -> Result<Standing> {
    let marks = if is_initial_user_namespace()? { Marks::Trusted } else { Marks::User };
    if rustix::process::geteuid().is_root() {
        // In a user namespace with one id there is nobody else whose a file could be.
        let ids = if maps_one_id()? { IdMap::Single } else { IdMap::Identity };
        return Ok(Standing { ids, marks, single: None });
    }
    let (ids, single) = match Grant::read() {
        Ok(grant) => {
            enter_with(&grant)?;
            (IdMap::Identity, None)
        }
        Err(reason) => {
            enter_alone("unshare(CLONE_NEWUSER)", CloneFlags::NEWUSER)?;
            (IdMap::Single, Some(reason))
        }
    };
    Ok(Standing { ids, marks: Marks::User, single })
}

/// The files of subuid(5) and subgid(5).
const SUBUID: &str = "/etc/subuid";
const SUBGID: &str = "/etc/subgid";

/// Ids for containers of root that get a user namespace: first and count of users and of groups, if somebody has granted
/// them to the name `containers`, as for podman.
#[must_use]
pub fn ids_for_containers() -> Option<[(u32, u32); 2]> {
    // No user has the id that means "no change" to the kernel.
    let find = |file| find_grant(file, Some("containers"), u32::MAX);
    Some([find(SUBUID)?, find(SUBGID)?])
}

fn find_grant(file: &str, name: Option<&str>, uid: u32) -> Option<(u32, u32)> {
    parse_grant(&std::fs::read_to_string(file).unwrap_or_default(), name, uid)
}

/// The set-user-id programs that map what is granted, of the package uidmap (shadow-utils elsewhere).
const PROGRAMS: [&str; 2] = ["newuidmap", "newgidmap"];

/// What subuid(5) and subgid(5) say of the caller: first id and count, of users and of groups.
struct Grant([(u32, u32); 2]);

impl Grant {
    /// What is granted, or why nothing can be used.
    fn read() -> std::result::Result<Self, String> {
        let uid = rustix::process::getuid().as_raw();
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let name = parse_name(&passwd, uid);
        let find =
            |file| find_grant(file, name, uid).ok_or_else(|| format!("{file} grants user {uid} nothing"));
        let grant = Self([find(SUBUID)?, find(SUBGID)?]);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let directories: Vec<_> = std::env::split_paths(&path).collect();
        match PROGRAMS.iter().find(|program| !directories.iter().any(|dir| dir.join(program).is_file())) {
            Some(missing) => Err(format!("{missing} is not in PATH")),
            None => Ok(grant),
        }
    }
}

fn parse_name(passwd: &str, uid: u32) -> Option<&str> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    })
}

/// The first line for the user, by name or number. More of them are not used: the first has what an image needs.
fn parse_grant(text: &str, name: Option<&str>, uid: u32) -> Option<(u32, u32)> {
    text.lines().find_map(|line| {
        let (owner, range) = line.split_once(':')?;
        let (first, count) = range.split_once(':')?;
        let is_own = Some(owner) == name || owner.parse() == Ok(uid);
        is_own.then_some((first.parse().ok()?, count.trim().parse().ok()?))
    })
}

/// Maps 0 to the caller, and what is granted from 1 on. The programs that may do that have to be outside of the new
/// namespace: a fork waits there until it exists.
fn enter_with(grant: &Grant) -> Result<()> {
    let call = |call| move |errno| Error::Namespace { call, errno };
    let pipe = Error::file("use", Path::new("a pipe"));
    let own = [rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()];
    let process = rustix::process::getpid();
    let (waiting, entered) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(call("pipe2"))?;
    match fork(&CloneArgs::default()).map_err(call("clone3"))? {
        Forked::Child => {
            drop(entered);
            let is_there = rustix::io::read(&waiting, &mut [0]) == Ok(1);
            let maps = PROGRAMS.iter().zip(own).zip(grant.0);
            let mut maps = maps.map(|((program, own), granted)| map_command(program, process, own, granted));
            let done = is_there && maps.all(|mut map| map.status().is_ok_and(|status| status.success()));
            exit_group(i32::from(!done))
        }
        Forked::Parent { pidfd, .. } => {
            unshare(CloneFlags::NEWUSER).map_err(call("unshare(CLONE_NEWUSER)"))?;
            File::from(entered).write_all(&[0]).map_err(pipe)?;
            let status =
                waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).map_err(call("waitid"))?;
            match status.and_then(|status| status.exit_status()) {
                Some(0) => Ok(()),
                // They have said why on standard error.
                _ => Err(Error::Namespace { call: "newuidmap and newgidmap", errno: Errno::PERM }),
            }
        }
    }
}

fn map_command(program: &str, process: Pid, own: u32, (first, count): (u32, u32)) -> Command {
    let mut command = Command::new(program);
    command.args([process.as_raw_nonzero().get(), 0].map(|number| number.to_string()));
    command.args([own, 1, 1, first, count].map(|number| number.to_string()));
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_found_by_name_or_number() {
        let passwd = "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n";
        assert_eq!(parse_name(passwd, 1000), Some("alice"));
        assert_eq!(parse_name(passwd, 1001), None);
        let text = "bob:1:2\nalice:100000:65536\nalice:300000:1\n1001:200000:65536\nalice2:x:y\n";
        assert_eq!(parse_grant(text, Some("alice"), 1000), Some((100_000, 65_536)));
        assert_eq!(parse_grant(text, None, 1001), Some((200_000, 65_536)));
        assert_eq!(parse_grant(text, Some("carol"), 1002), None);
        assert_eq!(parse_grant(text, Some("alice2"), 1003), None);
    }
}
