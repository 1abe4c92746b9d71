//! The settings whose version 2 files are others than those of version 1 (cgroups(7); Documentation/admin-guide/
//! cgroup-v2.rst), in runc's order.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use masu_spec::{BlockIo, Cpu, Memory, Resources, ThrottleDevice};

use super::{Now, OnRefusal, Writes};
use crate::error::{Error, Result};
use crate::weight::{IO_WEIGHTS, cpu_weight, io_weight};

/// The kernel's default period.
const DEFAULT_PERIOD: &str = "100000";

impl Writes<'_> {
    /// `kernel`, `kernelTCP`, `swappiness` and `disableOOMKiller` have no file: [`ignored`] tells of them.
    pub(super) fn memory_v2(&mut self, memory: &Memory, now: &Now) -> Result<()> {
        let limit_field = "linux.resources.memory.limit";
        let asked = [
            (limit_field, memory.limit),
            ("linux.resources.memory.swap", memory.swap),
            ("linux.resources.memory.reservation", memory.reservation),
        ];
        for (field, _) in asked.iter().filter(|(_, value)| value.is_some()) {
            self.places.find("memory", field)?;
        }
        if memory.check_before_update {
            check_usage(memory, now)?;
        }
        if let Some((value, field)) = swap(memory, now)? {
            // A kernel that counts no swap limits none.
            let on_refusal = match value.as_str() {
                "max" | "0" => OnRefusal::Missing,
                _ => OnRefusal::Fail,
            };
            self.push("memory", "memory.swap.max", value, field, on_refusal);
        }
        let writes = [("memory.max", asked[0]), ("memory.low", asked[2])];
        for (file, (field, value)) in writes {
            if let Some(value) = value {
                self.push("memory", file, max_or(value), field, OnRefusal::Fail);
            }
        }
        Ok(())
    }

    pub(super) fn cpu_v2(&mut self, cpu: &Cpu<'_>, now: &Now) -> Result<()> {
        let realtime = [
            ("linux.resources.cpu.realtimeRuntime", cpu.realtime_runtime.is_some()),
            ("linux.resources.cpu.realtimePeriod", cpu.realtime_period.is_some()),
        ];
        if let Some((field, _)) = realtime.iter().find(|(_, asked)| *asked) {
            let why = "version 2 of control groups has no real-time runtime to give out";
            return Err(Error::Invalid((*field).into(), why.into()));
        }
        let quota = cpu.quota.map(|quota| if quota < 0 { "max".to_string() } else { quota.to_string() });
        let period = cpu.period.map(|period| period.to_string());
        let bandwidth_field = match quota {
            Some(_) => "linux.resources.cpu.quota",
            None => "linux.resources.cpu.period",
        };
        let bandwidth = (quota.is_some() || period.is_some()).then(|| {
            let old = now.cpu_max.as_ref();
            let quota = quota.clone().or_else(|| old.map(|(quota, _)| quota.clone()));
            let period = period.or_else(|| old.map(|(_, period)| period.clone()));
            format!("{} {}", quota.as_deref().unwrap_or("max"), period.as_deref().unwrap_or(DEFAULT_PERIOD))
        });
        let burst = if quota.is_some() { OnRefusal::MissingOrLater } else { OnRefusal::Missing };
        let writes = [
            ("cpu.idle", cpu.idle.map(|idle| idle.to_string()), "linux.resources.cpu.idle", OnRefusal::Fail),
            (
                "cpu.weight",
                cpu.shares.map(|shares| cpu_weight(shares).to_string()),
                "linux.resources.cpu.shares",
                OnRefusal::Fail,
            ),
            ("cpu.max.burst", cpu.burst.map(|burst| burst.to_string()), "linux.resources.cpu.burst", burst),
            ("cpu.max", bandwidth, bandwidth_field, OnRefusal::Fail),
        ];
        for (file, value, field, on_refusal) in writes {
            if let Some(value) = value {
                self.places.find("cpu", field)?;
                self.push("cpu", file, value, field, on_refusal);
            }
        }
        Ok(())
    }

    /// `leafWeight` has no file: [`ignored`] tells.
    pub(super) fn io_v2(&mut self, io: &BlockIo) -> Result<()> {
        let devices = io.weight_device.iter().enumerate().map(|(index, device)| {
            let field = format!("linux.resources.blockIO.weightDevice[{index}].weight");
            (field, format!("{}:{} ", device.major, device.minor), device.weight)
        });
        let all = ("linux.resources.blockIO.weight".to_string(), String::new(), io.weight);
        for (field, device, weight) in [all].into_iter().chain(devices) {
            let Some(weight) = weight else { continue };
            self.places.find("io", &field)?;
            if !IO_WEIGHTS.contains(&weight) {
                let (least, most) = (IO_WEIGHTS.start(), IO_WEIGHTS.end());
                return Err(Error::Invalid(field, format!("{weight} is not within {least} to {most}")));
            }
            // bfq has its own file, with version 1's numbers.
            let other = OnRefusal::OtherScale("io.weight", io_weight(weight));
            self.push("io", "io.bfq.weight", format!("{device}{weight}"), field, other);
        }
        self.throttle_v2(&io.throttle_read_bps_device, "rbps", "throttleReadBpsDevice")?;
        self.throttle_v2(&io.throttle_write_bps_device, "wbps", "throttleWriteBpsDevice")?;
        self.throttle_v2(&io.throttle_read_iops_device, "riops", "throttleReadIOPSDevice")?;
        self.throttle_v2(&io.throttle_write_iops_device, "wiops", "throttleWriteIOPSDevice")
    }

    fn throttle_v2(&mut self, devices: &[ThrottleDevice], key: &str, name: &str) -> Result<()> {
        for (index, device) in devices.iter().enumerate() {
            let field = format!("linux.resources.blockIO.{name}[{index}]");
            self.places.find("io", &field)?;
            // Version 1 takes 0 for "no limit", which io.max refuses.
            let rate = if device.rate == 0 { "max".to_string() } else { device.rate.to_string() };
            let value = format!("{}:{} {key}={rate}", device.major, device.minor);
            self.push("io", "io.max", value, field, OnRefusal::Fail);
        }
        Ok(())
    }
}

/// What these limits ask for in vain on a host with version 2 alone, in sentences for the log.
pub(crate) fn ignored(resources: &Resources<'_>) -> Vec<String> {
    let Resources { memory, block_io, network, .. } = resources;
    let leaf_weights = block_io.weight_device.iter().any(|device| device.leaf_weight.is_some());
    let fields = [
        ("memory.kernelTCP", memory.kernel_tcp.is_some()),
        ("memory.swappiness", memory.swappiness.is_some()),
        ("memory.disableOOMKiller", memory.disable_oom_killer),
        ("blockIO.leafWeight", block_io.leaf_weight.is_some() || leaf_weights),
        ("network.classID", network.class_id.is_some()),
        ("network.priorities", !network.priorities.is_empty()),
    ];
    let text = |(field, _): (&str, bool)| {
        format!("linux.resources.{field}: ignored: version 2 of control groups has no such setting")
    };
    fields.into_iter().filter(|(_, asked)| *asked).map(text).collect()
}

/// Version 1 limits memory and swap together, version 2 swap alone: the value of memory.swap.max, and who asks.
fn swap(memory: &Memory, now: &Now) -> Result<Option<(String, &'static str)>> {
    let field = "linux.resources.memory.swap";
    let invalid = |why: &str| Err(Error::Invalid(field.into(), why.into()));
    let present = now.memory_limit.and_then(|limit| i64::try_from(limit).ok());
    match (memory.limit.or(present), memory.swap) {
        // As with version 1, memory without limit means swap without limit.
        (_, None) if memory.limit == Some(-1) => Ok(Some(("max".into(), "linux.resources.memory.limit"))),
        (_, None) => Ok(None),
        (_, Some(-1)) => Ok(Some(("max".into(), field))),
        (Some(-1), Some(swap)) => Ok(Some((swap.to_string(), field))),
        (None, Some(_)) => invalid("unable to set swap limit without memory limit"),
        (Some(limit), Some(swap)) if swap < limit => invalid("memory+swap limit should be >= memory limit"),
        (Some(limit), Some(swap)) => Ok(Some(((swap - limit).to_string(), field))),
    }
}

/// `checkBeforeUpdate`: the kernel would set the limit, and then reclaim or kill until it holds.
fn check_usage(memory: &Memory, now: &Now) -> Result<()> {
    let usage = now.memory_usage.unwrap_or(0);
    let limits = [("memory+swap", "swap", memory.swap), ("memory", "limit", memory.limit)];
    for (what, field, limit) in limits {
        let limit = limit.and_then(|limit| u64::try_from(limit).ok()).filter(|limit| *limit > 0);
        if let Some(limit) = limit.filter(|limit| *limit <= usage) {
            let why = format!("rejecting {what} limit {limit} <= usage {usage}");
            return Err(Error::Invalid(format!("linux.resources.memory.{field}"), why));
        }
    }
    Ok(())
}

fn max_or(value: i64) -> String {
    if value < 0 { "max".into() } else { value.to_string() }
}
