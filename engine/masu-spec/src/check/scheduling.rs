//! `process.scheduler`, `process.ioPriority`, `process.execCPUAffinity` and `linux.memoryPolicy`.
use alloc::format;
use alloc::vec::Vec;

use super::find;
use crate::error::ConfigError;
use crate::memory_policy::{MEMORY_MODES, MEMORY_POLICY_FLAGS, MemoryMode, MemoryPolicy, MemoryPolicyFlags};
use crate::number_list::NumberSet;
use crate::path::Path;
use crate::scheduling::{
    CpuAffinity, IO_CLASSES, IoPriority, POLICIES, Policy, SCHEDULER_FLAGS, Scheduler, SchedulerFlags,
};
use crate::schema;
use crate::text::Str;

/// The highest CPU of the largest kernel: `CONFIG_NR_CPUS` is at most 8192.
const MAX_CPU: u32 = 8191;

/// The highest memory node of the largest kernel: `CONFIG_NODES_SHIFT` is at most 10.
const MAX_NODE: u32 = 1023;

/// The rules are runc's, and the kernel's behind them.
pub(super) fn scheduler(raw: schema::Scheduler<'_>, at: &Path<'_>) -> Result<Scheduler, ConfigError> {
    let policy_at = at.field("policy");
    let policy = find(POLICIES, &policy_at.require(raw.policy)?, "unknown policy", &policy_at)?;
    let (nice_at, priority_at) = (at.field("nice"), at.field("priority"));
    let nice = match i32::try_from(raw.nice.unwrap_or_default()) {
        Ok(nice @ -20..=19) => nice,
        _ => return Err(nice_at.illegal(format!("{} is not within -20 to 19", raw.nice.unwrap_or_default()))),
    };
    let asked = raw.priority.unwrap_or_default();
    let priority = match u32::try_from(asked) {
        Ok(priority @ 0..=99) => priority,
        _ => return Err(priority_at.illegal(format!("{asked} is not within 0 to 99"))),
    };
    if priority != 0 && !matches!(policy, Policy::Fifo | Policy::RoundRobin) {
        return Err(priority_at.illegal("is for SCHED_FIFO and SCHED_RR alone"));
    }
    let times = [("runtime", raw.runtime), ("deadline", raw.deadline), ("period", raw.period)];
    let [runtime, deadline, period] = times.map(|(_, time)| time.unwrap_or_default());
    if policy != Policy::Deadline
        && let Some((field, _)) = times.iter().find(|(_, time)| time.is_some_and(|time| time != 0))
    {
        return Err(at.field(field).illegal("is for SCHED_DEADLINE alone"));
    }
    let flags_at = at.field("flags");
    let names = raw.flags.unwrap_or_default();
    let flags = names.iter().enumerate();
    let flags: Result<SchedulerFlags, _> = flags
        .map(|(index, name)| find(SCHEDULER_FLAGS, name, "unknown flag", &flags_at.index(index)))
        .collect();
    Ok(Scheduler { policy, nice, priority, flags: flags?, runtime, deadline, period })
}

pub(super) fn io_priority(raw: schema::IoPriority<'_>, at: &Path<'_>) -> Result<IoPriority, ConfigError> {
    let class_at = at.field("class");
    let class = find(IO_CLASSES, &class_at.require(raw.class)?, "unknown class", &class_at)?;
    let asked = raw.priority.unwrap_or_default();
    match u8::try_from(asked) {
        Ok(priority @ 0..=7) => Ok(IoPriority { class, priority }),
        _ => Err(at.field("priority").illegal(format!("{asked} is not within 0 to 7"))),
    }
}

pub(super) fn cpu_affinity(raw: schema::CpuAffinity<'_>, at: &Path<'_>) -> Result<CpuAffinity, ConfigError> {
    let cpus = |list: Option<Str<'_>>, at: &Path<'_>| {
        let set = number_set(list.as_deref().unwrap_or_default(), MAX_CPU, "", at)?;
        Ok((!set.is_empty()).then_some(set))
    };
    Ok(CpuAffinity {
        initial: cpus(raw.initial, &at.field("initial"))?,
        last: cpus(raw.last, &at.field("final"))?,
    })
}

/// The rules are the kernel's; it would answer each with the same EINVAL.
pub(super) fn memory_policy(
    raw: schema::MemoryPolicy<'_>,
    at: &Path<'_>,
) -> Result<MemoryPolicy, ConfigError> {
    let mode_at = at.field("mode");
    let name = raw.mode.unwrap_or_default();
    let mode = find(MEMORY_MODES, &name, "invalid memory policy mode", &mode_at)?;
    let nodes_at = at.field("nodes");
    let text = raw.nodes.as_deref().unwrap_or_default();
    let nodes = number_set(text, MAX_NODE, "invalid memory policy nodes: ", &nodes_at)?;
    match mode {
        MemoryMode::Default | MemoryMode::Local if !nodes.is_empty() => {
            let count = nodes.len();
            return Err(nodes_at.illegal(format!("{} mode requires 0 nodes but got {count}", name.as_str())));
        }
        MemoryMode::Bind
        | MemoryMode::Interleave
        | MemoryMode::PreferredMany
        | MemoryMode::WeightedInterleave
            if nodes.is_empty() =>
        {
            return Err(nodes_at.illegal(format!("{} needs at least one node", name.as_str())));
        }
        _ => {}
    }
    let flags_at = at.field("flags");
    let names: Vec<Str<'_>> = raw.flags.unwrap_or_default();
    let flags: Result<MemoryPolicyFlags, _> = names
        .iter()
        .enumerate()
        .map(|(index, name)| {
            find(MEMORY_POLICY_FLAGS, name, "invalid memory policy flag", &flags_at.index(index))
        })
        .collect();
    let flags = flags?;
    if flags.contains(MemoryPolicyFlags::RELATIVE_NODES | MemoryPolicyFlags::STATIC_NODES) {
        return Err(flags_at.illegal("MPOL_F_RELATIVE_NODES and MPOL_F_STATIC_NODES exclude each other"));
    }
    Ok(MemoryPolicy { mode, nodes, flags })
}

/// Reads a list; `problem` is said before what is wrong with it.
fn number_set(text: &str, max: u32, problem: &str, at: &Path<'_>) -> Result<NumberSet, ConfigError> {
    NumberSet::parse(text, max)
        .map_err(|reason| at.illegal_hint(format!("{problem}{reason}"), "a list is such as 0-3,7"))
}
