//! The controllers of a version 2 cgroup: each has to be enabled in the `cgroup.subtree_control` of every cgroup above,
//! from the mount's root down (cgroups(7), "Cgroups v2 controllers").
//!
//! What stands in the way is no error by itself: a cgroup that holds processes, or belongs to somebody else, gives
//! no controllers, and a container without limits needs none. It becomes one when a limit needs the controller.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use masu_sys::errno::Described;
use rustix::io::Errno;

use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::member::Member;
use crate::plan::Write;

/// The controllers that a threaded cgroup can have (cgroups(7), "Thread mode").
const THREADED: [&str; 4] = ["cpu", "cpuset", "perf_event", "pids"];

/// A controller that a cgroup above did not give.
#[derive(Debug)]
pub(crate) struct Obstacle {
    controller: String,
    /// The cgroup that did not, below the mount point.
    cgroup: String,
    errno: Errno,
}

/// Enables these controllers for the cgroup. Those of `threaded` are worth that a cgroup on the way that holds
/// processes becomes the root of a threaded tree.
///
/// # Errors
///
/// [`Error::Io`] when a cgroup on the way cannot be read. A refused controller is in the answer.
pub(crate) fn enable(member: &Member, wanted: &[String], threaded: &[String]) -> Result<Vec<Obstacle>> {
    let mut obstacles = Vec::new();
    if wanted.is_empty() {
        return Ok(obstacles);
    }
    let mut dir = Dir::open_mount(&member.mount_point, true)?;
    let mut cgroup = String::new();
    for name in member.path.split('/').filter(|name| !name.is_empty()) {
        let here = if cgroup.is_empty() { "/" } else { &cgroup };
        enable_in(&dir, here, (wanted, threaded), &mut obstacles)
            .map_err(|errno| member.failed("read", "cgroup.subtree_control", errno))?;
        dir = dir.open(name).map_err(|errno| member.failed("openat2", "", errno))?;
        cgroup.push('/');
        cgroup.push_str(name);
    }
    Ok(obstacles)
}

/// Enables all controllers that the mount's root has, and notes which of them the cgroup then has. As a rule the
/// cgroups above have them enabled already: then this is one read.
///
/// `needed` tells those without which a limit cannot be set.
///
/// # Errors
///
/// As [`enable`]; [`Error::Invalid`] for a cgroup in a threaded tree, when a limit needs what such a one cannot have.
pub(crate) fn enable_all(member: &mut Member, needed: impl FnOnce() -> Vec<String>) -> Result<Vec<Obstacle>> {
    let mut present = controllers_of(member)?;
    let is_missing = |name: &&String| !present.contains(name);
    let mut obstacles = Vec::new();
    if member.controllers.iter().any(|name| is_missing(&name)) {
        let needed = needed();
        let only_threaded = needed.iter().all(|name| THREADED.contains(&name.as_str()));
        let threaded = if only_threaded { needed.as_slice() } else { &[] };
        obstacles = enable(member, &member.controllers, threaded)?;
        leave_invalid(member, &needed)?;
        present = controllers_of(member)?;
    }
    member.controllers = present;
    Ok(obstacles)
}

/// Enables what the cgroup has for the one at `path` below it, as far as that can be done.
///
/// # Errors
///
/// [`Error::Io`] when a cgroup on the way cannot be read.
pub(crate) fn enable_below(member: &Member, path: &str) -> Result<()> {
    let present = controllers_of(member)?;
    let mut dir = member.dir()?.open("").map_err(|errno| member.failed("openat2", "", errno))?;
    for name in path.split('/') {
        enable_in(&dir, "", (&present, &[]), &mut Vec::new())
            .map_err(|errno| member.failed("read", "cgroup.subtree_control", errno))?;
        dir = dir.open(name).map_err(|errno| member.failed("openat2", path, errno))?;
    }
    Ok(())
}

/// Checks that the cgroup has the controller of this setting.
///
/// # Errors
///
/// [`Error::NotEnabled`], with what stood in the way.
pub(crate) fn check(member: &Member, write: &Write, obstacles: &[Obstacle]) -> Result<()> {
    let controller = write.v2_controller();
    let obstacle = obstacles.iter().find(|obstacle| obstacle.controller == controller);
    let has = !member.alone || member.controllers.iter().any(|name| name == controller);
    if controller == "cgroup" || (has && obstacle.is_none()) {
        return Ok(());
    }
    let why = obstacle.map_or_else(String::new, |Obstacle { controller, cgroup, errno }| {
        let text = format!(
            ": write \"+{controller}\" to cgroup.subtree_control of cgroup {cgroup:?}: {}",
            Described(*errno)
        );
        match hint(*errno) {
            Some(hint) => format!("{text}\nhint: {hint}"),
            None => text,
        }
    });
    Err(Error::NotEnabled {
        field: write.field.to_string(),
        controller: controller.into(),
        cgroup: member.path.clone(),
        why,
    })
}

/// All at once, and one by one where one of them is refused.
///
/// A cgroup that holds processes refuses them all (EBUSY), but would take the threaded ones by themselves, and then be
/// the root of a threaded tree, in which nobody below can have any other controller. So that is left alone, unless it
/// is what the limits need.
fn enable_in(
    dir: &Dir,
    cgroup: &str,
    (wanted, threaded): (&[String], &[String]),
    obstacles: &mut Vec<Obstacle>,
) -> core::result::Result<(), Errno> {
    let enabled = dir.read("cgroup.subtree_control")?;
    let is_known = |name: &&String| !enabled.split_whitespace().any(|known| known == name.as_str());
    // What a cgroup above did not give cannot be enabled here.
    let is_open = |name: &&String| !obstacles.iter().any(|obstacle| obstacle.controller == **name);
    let missing: Vec<&String> = wanted.iter().filter(is_known).filter(is_open).collect();
    let words: Vec<String> = missing.iter().map(|name| format!("+{name}")).collect();
    if words.is_empty() {
        return Ok(());
    }
    let Err(refusal) = dir.write("cgroup.subtree_control", &words.join(" ")) else { return Ok(()) };
    for (controller, word) in missing.into_iter().zip(words) {
        let enabled = match refusal {
            Errno::BUSY if !threaded.contains(controller) => Err(refusal),
            _ => dir.write("cgroup.subtree_control", &word),
        };
        if let Err(errno) = enabled {
            let (controller, cgroup) = (controller.clone(), cgroup.to_string());
            obstacles.push(Obstacle { controller, cgroup, errno });
        }
    }
    Ok(())
}

/// A cgroup below one that holds processes, or below a threaded one, is invalid: nobody can enter it before it is
/// threaded itself, and then it has the threaded controllers alone.
fn leave_invalid(member: &Member, needed: &[String]) -> Result<()> {
    let kind = member.read_optional("cgroup.type")?.unwrap_or_default();
    let kind = kind.trim();
    if !matches!(kind, "domain invalid" | "threaded") {
        return Ok(());
    }
    if let Some(controller) = needed.iter().find(|name| !THREADED.contains(&name.as_str())) {
        let why = format!(
            "cannot enter cgroup {:?} with limits of the {controller} controller: its type is {kind:?}\nhint: it \
             lies below a threaded cgroup; choose another place",
            member.path
        );
        return Err(Error::Invalid("linux.cgroupsPath".into(), why));
    }
    if kind == "threaded" {
        return Ok(());
    }
    let made = member.dir()?.write("cgroup.type", "threaded");
    made.map_err(|errno| member.failed("write", "cgroup.type", errno))
}

fn controllers_of(member: &Member) -> Result<Vec<String>> {
    let text = member.read("cgroup.controllers")?;
    Ok(text.split_whitespace().map(String::from).collect())
}

fn hint(errno: Errno) -> Option<&'static str> {
    match errno {
        Errno::BUSY => Some(
            "a cgroup that holds processes gives no controllers to those below it: move them into one of their own",
        ),
        Errno::ACCESS | Errno::PERM | Errno::ROFS => {
            Some("the controller has to be delegated from above, as systemd's Delegate= does")
        }
        Errno::NOENT => Some("a cgroup above does not have the controller"),
        _ => None,
    }
}
