//! The planned writes, carried out.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use masu_spec::Resources;
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::cgroup::{Cgroup, Member};
use crate::devices::DeviceRules;
use crate::dir::{Dir, retry};
use crate::error::{Error, Refused, Result};
use crate::plan::{Now, OnRefusal, Write};

/// Reads what the order of writes hangs on, if these resources need it.
pub(crate) fn read_now(cgroup: &Cgroup, resources: &Resources<'_>) -> Result<Now> {
    if resources.memory.limit.is_none() || resources.memory.swap.is_none() {
        return Ok(Now::default());
    }
    let Some(member) = cgroup.member("memory").filter(|member| !member.version_2) else {
        return Ok(Now::default());
    };
    let text = member.read("memory.limit_in_bytes")?;
    Ok(Now { memory_limit: text.trim().parse().ok() })
}

/// Carries the writes out in order. Those that had to wait for a later value come again at the end.
pub(crate) fn apply_writes(cgroup: &Cgroup, writes: &[Write]) -> Result<()> {
    let mut postponed = Vec::new();
    for write in writes {
        let member = member_of(cgroup, write)?;
        match (write_once(member, write), write.on_refusal) {
            (Ok(()), OnRefusal::Clamped) => check_clamped(member, write)?,
            (Ok(()), _) | (Err(Errno::NOENT), OnRefusal::Missing | OnRefusal::MissingOrLater) => (),
            (Err(Errno::INVAL), OnRefusal::Later | OnRefusal::MissingOrLater) => {
                postponed.push((member, write))
            }
            (Err(errno), _) => return Err(refused(member, write, errno)),
        }
    }
    for (member, write) in postponed {
        write_once(member, write).map_err(|errno| refused(member, write, errno))?;
    }
    Ok(())
}

/// Device rules by the shortest way from what is set now, with each file opened once; then proof that it is reached:
/// the controller drops some rules without a word, and a container with more devices than its config
/// says must not start.
pub(crate) fn apply_devices(member: &Member, target: &DeviceRules) -> Result<()> {
    let field = "linux.resources.devices";
    let transitions = DeviceRules::parse(&member.read("devices.list")?)?.transition(target);
    let open = |file: &'static str| {
        member.dir()?.open_file(file, OFlags::WRONLY).map_err(|errno| member.failed("openat2", file, errno))
    };
    let mut files = [None, None];
    for transition in &transitions {
        let name = if transition.allow { "devices.allow" } else { "devices.deny" };
        let [deny, allow] = &mut files;
        let slot = if transition.allow { allow } else { deny };
        let file = match slot {
            Some(file) => file,
            None => slot.insert(open(name)?),
        };
        retry(|| rustix::io::write(&*file, transition.rule.as_bytes())).map_err(|errno| {
            let hint = (errno == Errno::PERM).then(|| {
                "the cgroup above allows less: the container's cgroup can only have a part of its devices"
                    .to_string()
            });
            Error::Refused(
                Refused {
                    field: field.into(),
                    value: transition.rule.clone(),
                    file: name.into(),
                    cgroup: member.path.clone(),
                    errno,
                    hint,
                }
                .into(),
            )
        })?;
    }
    if target.is_reached(&DeviceRules::parse(&member.read("devices.list")?)?) {
        return Ok(());
    }
    Err(Error::Invalid(field.into(), "resulting devices cgroup doesn't precisely match target".into()))
}

/// Enables version 2 controllers for the cgroup, from the mount's root down to its parent. Only what a
/// limit needs: on a hybrid host the unified hierarchy is otherwise left as it is.
pub(crate) fn enable_controllers(member: &Member, controllers: &[String]) -> Result<()> {
    if controllers.is_empty() {
        return Ok(());
    }
    let mut dir = Dir::open_mount(&member.mount_point, true)?;
    let mut cgroup = String::new();
    for name in member.path.split('/').filter(|name| !name.is_empty()) {
        let enabled = dir
            .read("cgroup.subtree_control")
            .map_err(|errno| member.failed("read", "cgroup.subtree_control", errno))?;
        for controller in controllers {
            if enabled.split_whitespace().any(|known| known == controller) {
                continue;
            }
            let value = format!("+{controller}");
            dir.write("cgroup.subtree_control", &value).map_err(|errno| {
                let hint = (errno == Errno::BUSY).then(|| {
                    "a cgroup that holds processes cannot have controllers enabled for its children (cgroups(7))"
                        .to_string()
                });
                let file = "cgroup.subtree_control".into();
                let cgroup = if cgroup.is_empty() { "/".into() } else { cgroup.clone() };
                Error::Refused(
                    Refused { field: "linux.resources".into(), value, file, cgroup, errno, hint }.into(),
                )
            })?;
        }
        dir = dir.open(name).map_err(|errno| member.failed("openat2", "", errno))?;
        cgroup.push('/');
        cgroup.push_str(name);
    }
    Ok(())
}

fn member_of<'c>(cgroup: &'c Cgroup, write: &Write) -> Result<&'c Member> {
    let controller = write.controller;
    cgroup.member(controller).ok_or_else(|| {
        let field = write.field.to_string();
        if cgroup.denied.iter().any(|name| name == controller) {
            Error::NotDelegated(field, controller.into())
        } else {
            Error::NoController(field, controller.into())
        }
    })
}

fn write_once(member: &Member, write: &Write) -> core::result::Result<(), Errno> {
    let dir = member.dir().map_err(|error| match error {
        Error::Io { errno, .. } => errno,
        _ => Errno::NODEV,
    })?;
    let file = match write.file.strip_prefix("cpuset.") {
        Some(bare) if member.noprefix => bare,
        _ => &write.file,
    };
    match (dir.write(file, &write.value), write.on_refusal) {
        (Err(Errno::NOENT), OnRefusal::OtherName(other)) => dir.write(other, &write.value),
        (result, _) => result,
    }
}

/// `cpu.shares` is clamped to 2..=262144 in silence.
fn check_clamped(member: &Member, write: &Write) -> Result<()> {
    let text = member.read(&write.file)?;
    let (Ok(asked), Ok(set)) = (write.value.parse::<u64>(), text.trim().parse::<u64>()) else {
        return Err(Error::Malformed(write.file.to_string(), text));
    };
    let which = match asked.cmp(&set) {
        core::cmp::Ordering::Equal => return Ok(()),
        core::cmp::Ordering::Greater => "maximum",
        core::cmp::Ordering::Less => "minimum",
    };
    Err(Error::Invalid(write.field.to_string(), format!("the {which} allowed cpu-shares is {set}")))
}

fn refused(member: &Member, write: &Write, errno: Errno) -> Error {
    let file = write.file.to_string();
    Error::Refused(
        Refused {
            field: write.field.to_string(),
            value: write.value.clone(),
            cgroup: member.path.clone(),
            errno,
            hint: hint(member, &file, errno),
            file,
        }
        .into(),
    )
}

/// What the kernel's errno means for this file, where experience tells.
fn hint(member: &Member, file: &str, errno: Errno) -> Option<String> {
    match (file, errno) {
        ("memory.limit_in_bytes" | "memory.memsw.limit_in_bytes", Errno::BUSY) => {
            let read = |name| member.read(name).ok().map(|text| text.trim().to_string());
            let usage = read("memory.usage_in_bytes")?;
            let peak = read("memory.max_usage_in_bytes")?;
            Some(format!("the cgroup uses more than that (current usage: {usage}, peak usage: {peak})"))
        }
        ("memory.limit_in_bytes" | "memory.memsw.limit_in_bytes", Errno::INVAL) => {
            Some("the memory limit must not be above the limit of memory and swap together".into())
        }
        ("memory.memsw.limit_in_bytes", Errno::NOENT) => {
            Some("the kernel does not count swap: boot with swapaccount=1".into())
        }
        ("cpu.cfs_quota_us" | "cpu.cfs_period_us" | "cpu.cfs_burst_us", Errno::INVAL) => Some(
            "the period is 1000 to 1000000, quota at least 1000, and both within the parent cgroup's".into(),
        ),
        ("cpu.rt_runtime_us" | "cpu.rt_period_us", Errno::INVAL) => {
            Some("the parent cgroup has no real-time runtime to give".into())
        }
        ("cpuset.cpus" | "cpuset.mems", Errno::INVAL | Errno::RANGE | Errno::ACCESS) => {
            Some("only CPUs and memory nodes that are online and that the parent cgroup has".into())
        }
        (file, Errno::NODEV | Errno::NXIO) if file.starts_with("blkio.") => {
            Some("no such block device, or only its whole disk can be limited".into())
        }
        (file, Errno::NOENT) if file.starts_with("hugetlb.") => {
            Some("the page sizes of this host are in /sys/kernel/mm/hugepages".into())
        }
        (_, Errno::NOENT) => {
            Some("this kernel does not have the file: its configuration lacks the feature".into())
        }
        _ => None,
    }
}
