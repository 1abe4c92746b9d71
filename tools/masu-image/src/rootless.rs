//! The user namespace that an ordinary user keeps images in: with ids of its own for what the layers' files belong to,
//! where the administrator has granted some (subuid(5)), and with the caller's id alone otherwise.
//!
//! | caller | ids |
//! |---|---|
//! | root that [`administers_mounts`] | no namespace is needed |
//! | root of an unprivileged container | all that the container has: it may map them |
//! | anybody else | the own one as root, and those of subuid(5) by newuidmap(1) |

use crate::layer::{IdMap, Marks};
use crate::namespace::{enter_alone, is_initial_user_namespace, maps_one_id, owns_mounts, read_map};
use crate::{Error, Result};
use masu_sys::process::{CloneArgs, CloneFlags, Forked, exit_group, fork, unshare};
use rustix::fs::{StatVfsMountFlags, getxattr, statvfs};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, WaitId, WaitIdOptions, geteuid, waitid};
use rustix::thread::{CapabilitySet, capabilities, capability_is_in_bounding_set, no_new_privs};
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

/// Whether the caller administers the mounts that it sees: root, with CAP_SYS_ADMIN in the user namespace that they belong
/// to. Anybody else is an ordinary user, whose mounts are in namespaces of their own: so is root of an unprivileged
/// container, and of a user namespace alone (`unshare -r`).
#[must_use]
pub fn administers_mounts() -> bool {
    geteuid().is_root() && has(CapabilitySet::SYS_ADMIN) && owns_mounts()
}

/// Whether the caller may use all of these capabilities.
fn has(wanted: CapabilitySet) -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(wanted))
}

/// Stays as it is for who [`administers_mounts`]; anybody else enters a user namespace, as root of it. It has to be done
/// before the first thread, and is inherited by what is executed.
///
/// # Errors
///
/// [`Error::Namespace`] when the kernel refuses; [`Error::File`] for files of /proc; [`Error::Missing`] for a root that may
/// not be itself in a user namespace.
pub fn enter() -> Result<Standing> {
    if administers_mounts() {
        let marks = if is_initial_user_namespace()? { Marks::Trusted } else { Marks::User };
        // In a user namespace with one id there is nobody else whose a file could be.
        let ids = if maps_one_id()? { IdMap::Single } else { IdMap::Identity };
        return Ok(Standing { ids, marks, single: None });
    }
    // Since Linux 5.12: a file's capabilities are those of whoever is root in the file's own namespace.
    if geteuid().is_root() && !has(CapabilitySet::SETFCAP) {
        return Err(Error::Missing {
            what: "CAP_SETFCAP, without which root cannot map itself into a user namespace".into(),
            hint: "give it to the container that masu is in (--cap-add SETFCAP), or run masu as another user there",
        });
    }
    let (ids, single) = match Grant::read()? {
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

/// The ids that the caller may have in a user namespace of its own.
enum Grant {
    /// Those of the user namespace around, as they are: the maps of users and of groups.
    All([String; 2]),
    /// The own ones, and what subuid(5) and subgid(5) say of the caller: first id and count, of users and of groups.
    Ranges([(u32, u32); 2]),
}

impl Grant {
    /// What is granted, or why there is but one id.
    fn read() -> Result<std::result::Result<Self, String>> {
        if geteuid().is_root() { Self::of_root() } else { Self::of_a_user() }
    }

    fn of_root() -> Result<std::result::Result<Self, String>> {
        if maps_one_id()? {
            return Ok(Err("the user namespace around has one id".into()));
        }
        if !has(CapabilitySet::SETUID | CapabilitySet::SETGID) {
            return Ok(Err("CAP_SETUID and CAP_SETGID are missing".into()));
        }
        Ok(Ok(Self::All([parse_as_itself(&read_map("uid_map")?), parse_as_itself(&read_map("gid_map")?)])))
    }

    fn of_a_user() -> Result<std::result::Result<Self, String>> {
        let uid = rustix::process::getuid().as_raw();
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let name = parse_name(&passwd, uid);
        let maps = [(SUBUID, read_map("uid_map")?), (SUBGID, read_map("gid_map")?)];
        let find = |(file, map): &(&str, String)| {
            let granted =
                find_grant(file, name, uid).ok_or_else(|| format!("{file} grants user {uid} nothing"))?;
            // Images bring files along that were written for other machines.
            let is_there = maps_all(map, granted);
            is_there.then_some(granted).ok_or_else(|| format!("what {file} grants is not in this container"))
        };
        let [users, groups] = maps.each_ref().map(find);
        Ok(users.and_then(|users| Ok([users, groups?])).and_then(|ranges| {
            check_programs()?;
            Ok(Self::Ranges(ranges))
        }))
    }

    /// Maps the ids into the user namespace that the process has entered; from outside of it. Whether that went well.
    fn map(&self, process: Pid, own: [u32; 2]) -> bool {
        match self {
            Self::All(maps) => ["uid_map", "gid_map"].iter().zip(maps).all(|(name, map)| {
                std::fs::write(format!("/proc/{}/{name}", process.as_raw_nonzero()), map).is_ok()
            }),
            Self::Ranges(ranges) => {
                let maps = PROGRAMS.iter().zip(own).zip(*ranges);
                let mut maps =
                    maps.map(|((program, own), granted)| map_command(program, process, own, granted));
                maps.all(|mut map| map.status().is_ok_and(|status| status.success()))
            }
        }
    }
}

/// Whether [`PROGRAMS`] can be used, and why not.
fn check_programs() -> std::result::Result<(), String> {
    if matches!(no_new_privs(), Ok(true)) {
        return Err("no_new_privs is set, and so newuidmap has no privilege".into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories: Vec<_> = std::env::split_paths(&path).collect();
    for program in PROGRAMS {
        let file = directories.iter().map(|directory| directory.join(program)).find(|file| file.is_file());
        let file = file.ok_or_else(|| format!("{program} is not in PATH"))?;
        if statvfs(&file).is_ok_and(|status| status.f_flag.contains(StatVfsMountFlags::NOSUID)) {
            return Err(format!("{} has no privilege on a mount with nosuid", file.display()));
        }
        // A set-user-ID program works as root, who is not the owner of our namespace; one with capabilities of its file as
        // the caller.
        let is_set_user_id = getxattr(&file, "security.capability", &mut [0u8; 64][..]).is_err();
        if is_set_user_id && matches!(capability_is_in_bounding_set(CapabilitySet::SYS_ADMIN), Ok(false)) {
            return Err(format!(
                "{program} takes CAP_SYS_ADMIN, for want of setcap cap_setuid,cap_setgid+ep"
            ));
        }
    }
    Ok(())
}

/// A map in which each id is itself. Not of all ids that there are: that would look as the first user namespace does, to
/// ourselves and to others who look.
fn parse_as_itself(map: &str) -> String {
    let lines = map.lines().filter_map(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        let (first, _, count) = (numbers.next()?.ok()?, numbers.next()?, numbers.next()?.ok()?);
        Some(format!("{first} {first} {}\n", count.min(u32::MAX - 1)))
    });
    lines.collect()
}

/// Whether a map has all of these ids.
fn maps_all(map: &str, (first, count): (u32, u32)) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u64>);
        let (Some(Ok(inside)), Some(Ok(_)), Some(Ok(size))) =
            (numbers.next(), numbers.next(), numbers.next())
        else {
            return false;
        };
        u64::from(first) >= inside && u64::from(first) + u64::from(count) <= inside + size
    })
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

/// Enters a user namespace with these ids. Who maps them has to be outside of it: a fork waits there until it exists.
fn enter_with(grant: &Grant) -> Result<()> {
    let call = |call| move |errno| Error::Namespace { call, errno };
    let pipe = Error::file("use", Path::new("a pipe"));
    let own = [geteuid().as_raw(), rustix::process::getegid().as_raw()];
    let process = rustix::process::getpid();
    let (waiting, entered) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(call("pipe2"))?;
    match fork(&CloneArgs::default()).map_err(call("clone3"))? {
        Forked::Child => {
            drop(entered);
            let is_there = rustix::io::read(&waiting, &mut [0]) == Ok(1);
            exit_group(i32::from(!(is_there && grant.map(process, own))))
        }
        Forked::Parent { pidfd, .. } => {
            unshare(CloneFlags::NEWUSER).map_err(call("unshare(CLONE_NEWUSER)"))?;
            File::from(entered).write_all(&[0]).map_err(pipe)?;
            let status =
                waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).map_err(call("waitid"))?;
            match status.and_then(|status| status.exit_status()) {
                Some(0) => Ok(()),
                // newuidmap and newgidmap have said why on standard error.
                _ => Err(Error::Namespace { call: "map the ids of a user namespace", errno: Errno::PERM }),
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
    fn ids_are_mapped_to_themselves_and_never_all_of_them() {
        let nested = "         0       1000          1\n         1     100000      65536\n";
        assert_eq!(parse_as_itself(nested), "0 0 1\n1 1 65536\n");
        assert_eq!(parse_as_itself("         0          0 4294967295\n"), "0 0 4294967294\n");
        assert!(maps_all("0 0 4294967295", (100_000, 65_536)));
        assert!(maps_all(nested, (1, 65_536)));
        assert!(!maps_all(nested, (100_000, 65_536)) && !maps_all(nested, (0, 2)));
    }

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
