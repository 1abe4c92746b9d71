//! The planned writes, carried out.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use masu_spec::Resources;
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::cgroup::Cgroup;
use crate::devices::DeviceRules;
use crate::dir::retry;
use crate::error::{Error, Refused, Result};
use crate::member::Member;
use crate::plan::{Now, OnRefusal, Write};
use crate::restore::{read_old, restore};

/// Reads what the writes hang on, if these resources need it.
pub(crate) fn read_now(cgroup: &Cgroup, resources: &Resources<'_>) -> Result<Now> {
    let mut now = Now::default();
    let Resources { memory, cpu, .. } = resources;
    if let Some(member) = cgroup.member("memory") {
        let number = |file| member.read(file).map(|text| text.trim().parse().ok());
        match member.version_2 {
            true if memory.swap.is_some() && memory.limit.is_none() => {
                now.memory_limit = number("memory.max")?;
            }
            false if memory.swap.is_some() && memory.limit.is_some() => {
                now.memory_limit = number("memory.limit_in_bytes")?;
            }
            _ => (),
        }
        if member.version_2 && memory.check_before_update {
            now.memory_usage = number("memory.current")?;
        }
    }
    if cpu.quota.is_some() != cpu.period.is_some()
        && let Some(member) = cgroup.member("cpu").filter(|member| member.version_2)
    {
        let text = member.read("cpu.max")?;
        now.cpu_max = text.trim().split_once(' ').map(|(quota, period)| (quota.into(), period.into()));
    }
    Ok(now)
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

/// The same for limits that are there already: where one is refused, those before it are given back.
pub(crate) fn apply_all_or_none(cgroup: &Cgroup, writes: &[Write]) -> Result<()> {
    let old = read_old(cgroup, writes)?;
    let Err(mut error) = apply_writes(cgroup, writes) else { return Ok(()) };
    let left = restore(&old);
    if let (Error::Refused(refused), false) = (&mut error, left.is_empty()) {
        refused.hint = Some(format!("the old value of {} could not be set again", left.join(", ")));
    }
    Err(error)
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
    let file = write.files(member.noprefix).next().unwrap_or_default();
    match (dir.write(file, &write.value), write.on_refusal) {
        (Err(Errno::NOENT), OnRefusal::OtherName(other)) => dir.write(other, &write.value),
        (Err(Errno::NOENT), OnRefusal::OtherScale(other, weight)) => match write.value.rsplit_once(' ') {
            Some((device, _)) => dir.write(other, &format!("{device} {weight}")),
            None => dir.write(other, &weight.to_string()),
        },
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
            "the period is 1000 to 1000000, quota at least 1000, both within the parent cgroup's, and the burst no \
             larger than the quota"
                .into(),
        ),
        ("cpu.rt_runtime_us" | "cpu.rt_period_us", Errno::INVAL) => {
            Some("the parent cgroup has no real-time runtime to give".into())
        }
        ("cpuset.cpus" | "cpuset.mems", Errno::INVAL | Errno::RANGE | Errno::ACCESS) => {
            Some("only CPUs and memory nodes that are online and that the parent cgroup has".into())
        }
        ("blkio.weight" | "blkio.weight_device" | "io.bfq.weight", Errno::RANGE) => {
            Some("a weight is 10 to 1000 in the specification, and 1 to 1000 for the kernel".into())
        }
        ("io.bfq.weight", Errno::NOENT) => {
            Some("weights need the I/O scheduler bfq, or a kernel with the io.cost controller".into())
        }
        ("io.bfq.weight", Errno::OPNOTSUPP) => {
            Some("the device has no I/O scheduler that knows weights: choose bfq in /sys/block".into())
        }
        ("cpu.weight", Errno::INVAL) => Some("a cgroup with cpu.idle 1 has no weight".into()),
        ("cpu.max" | "cpu.max.burst", Errno::INVAL) => Some(
            "the period is 1000 to 1000000, quota at least 1000, and the burst no larger than the quota"
                .into(),
        ),
        (file, Errno::NODEV | Errno::NXIO) if file.starts_with("blkio.") || file == "io.max" => {
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
