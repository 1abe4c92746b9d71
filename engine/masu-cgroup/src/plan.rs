//! From `linux.resources` and what is mounted to the list of writes. Pure: whatever the host cannot do is known
//! before a directory is made.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use masu_spec::{BlockIo, Cpu, Memory, Resources, ThrottleDevice};

use crate::error::{Error, Result};
use crate::layout::Layout;

mod v2;

pub(crate) use v2::ignored;

/// Which controller is where.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    v1: Vec<String>,
    v2: Vec<String>,
    denied: Vec<String>,
    /// Where the host has version 2 alone: the cgroup that `v2` was read from.
    alone: Option<String>,
}

/// Where one controller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    V1,
    V2,
}

/// What the cgroup has now, as far as the writes hang on it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Now {
    /// memory.limit_in_bytes or memory.max; None: unlimited, as a new cgroup is.
    pub(crate) memory_limit: Option<u64>,
    /// memory.current, where `checkBeforeUpdate` asks for it.
    pub(crate) memory_usage: Option<u64>,
    /// Quota and period of cpu.max, where one of them is to stay as it is.
    pub(crate) cpu_max: Option<(String, String)>,
}

/// One write to one control file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Write {
    pub(crate) controller: &'static str,
    pub(crate) file: Cow<'static, str>,
    pub(crate) value: String,
    /// The field of config.json that asks for it.
    pub(crate) field: Cow<'static, str>,
    pub(crate) on_refusal: OnRefusal,
}

/// What a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnRefusal {
    /// Always an error.
    Fail,
    /// ENOENT is right: this kernel does not have the file, nor what it would limit.
    Missing,
    /// ENOENT means that the file has this name here.
    OtherName(&'static str),
    /// EINVAL: it depends on a value that is written after it, so try again after the others.
    Later,
    /// Both [`OnRefusal::Missing`] and [`OnRefusal::Later`].
    MissingOrLater,
    /// The kernel takes every value and silently clamps it: read it back and compare.
    Clamped,
    /// ENOENT means that the weight goes to this file, as this number.
    OtherScale(&'static str, u64),
}

impl Write {
    /// The names that the file may have here, the likely one first. `noprefix` is a cpuset hierarchy that was mounted
    /// without its prefix, cpuset(7).
    pub(crate) fn files(&self, noprefix: bool) -> impl Iterator<Item = &str> {
        let bare = self.file.strip_prefix("cpuset.").filter(|_| noprefix);
        let other = match self.on_refusal {
            OnRefusal::OtherName(other) | OnRefusal::OtherScale(other, _) => Some(other),
            _ => None,
        };
        [bare.unwrap_or(&self.file)].into_iter().chain(other)
    }

    /// The controller of version 2 that has the file.
    pub(crate) fn v2_controller(&self) -> &str {
        match self.controller {
            "" => self.file.split('.').next().unwrap_or_default(),
            controller => controller,
        }
    }
}

impl Places {
    pub(crate) fn of(layout: &Layout) -> Self {
        let v1 = layout.v1().iter().flat_map(|hierarchy| hierarchy.controllers.clone()).collect();
        let v2 = layout.unified().map(|hierarchy| hierarchy.controllers.clone()).unwrap_or_default();
        let alone = matches!(layout, Layout::Unified { .. }).then(|| "/".into());
        Self { v1, v2, denied: Vec::new(), alone }
    }

    pub(crate) fn from_members<'a>(
        members: impl Iterator<Item = (bool, &'a [String])>,
        denied: &[String],
        alone: Option<String>,
    ) -> Self {
        let mut places = Self { denied: denied.to_vec(), alone, ..Self::default() };
        for (version_2, controllers) in members {
            let list = if version_2 { &mut places.v2 } else { &mut places.v1 };
            list.extend_from_slice(controllers);
        }
        places
    }

    /// # Errors
    ///
    /// [`Error::NotDelegated`], [`Error::NotEnabled`] and [`Error::NoController`], naming the field that asked.
    fn find(&self, controller: &str, field: &str) -> Result<Place> {
        let is_in = |list: &[String]| list.iter().any(|name| name == controller);
        match () {
            () if is_in(&self.denied) => Err(Error::NotDelegated(field.into(), controller.into())),
            () if is_in(&self.v1) => Ok(Place::V1),
            () if is_in(&self.v2) => Ok(Place::V2),
            () => match self.alone.clone() {
                Some(cgroup) => {
                    let (field, controller) = (field.into(), controller.into());
                    Err(Error::NotEnabled { field, controller, cgroup, why: String::new() })
                }
                None => Err(Error::NoController(field.into(), controller.into())),
            },
        }
    }

    /// Is the controller in the unified hierarchy, or would it be if the host had it?
    fn is_v2(&self, controller: &str) -> bool {
        let is_in = |list: &[String]| list.iter().any(|name| name == controller);
        self.alone.is_some() || (!is_in(&self.v1) && is_in(&self.v2))
    }

    /// For controllers whose version 2 files are another matter.
    fn require_v1(&self, controller: &str, field: &str) -> Result<()> {
        match self.find(controller, field)? {
            Place::V1 => Ok(()),
            Place::V2 => Err(Error::NoController(field.into(), format!("version 1 {controller}"))),
        }
    }
}

/// The controllers of the unified hierarchy that these limits need enabled.
pub(crate) fn v2_controllers(resources: &Resources<'_>, places: &Places) -> Vec<String> {
    // Without a place there is an error elsewhere, and nothing to enable here.
    let writes = plan_writes(resources, places, &Now::default()).unwrap_or_default();
    let mut wanted: Vec<&str> = writes.iter().map(Write::v2_controller).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let in_v2 = |name: &&str| {
        places.v2.iter().any(|known| known == name) && !places.v1.iter().any(|known| known == name)
    };
    wanted.into_iter().filter(in_v2).map(String::from).collect()
}

/// A limit as it is written to a file of a cgroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The file's name.
    pub file: String,
    /// What is written.
    pub value: String,
    /// The field of config.json that asks for it.
    pub field: String,
}

/// The limits of a new cgroup as they are written, in their order; nothing is written. `denied` are the controllers
/// whose hierarchy this user has to do without.
///
/// # Errors
///
/// [`Error::NoController`], [`Error::NotDelegated`], [`Error::Invalid`].
pub fn plan_settings(layout: &Layout, denied: &[String], resources: &Resources<'_>) -> Result<Vec<Setting>> {
    let places = Places { denied: denied.to_vec(), ..Places::of(layout) };
    let writes = plan_writes(resources, &places, &Now::default())?.into_iter();
    let setting =
        |Write { file, value, field, .. }| Setting { file: file.into(), value, field: field.into() };
    Ok(writes.map(setting).collect())
}

/// All limits but the device rules, in the order in which runc's cgroupfs driver sets them.
///
/// # Errors
///
/// [`Error::NoController`], [`Error::NotDelegated`], [`Error::Invalid`].
pub(crate) fn plan_writes(resources: &Resources<'_>, places: &Places, now: &Now) -> Result<Vec<Write>> {
    let mut writes = Writes { places, list: Vec::new() };
    writes.cpuset(&resources.cpu)?;
    writes.memory(&resources.memory, now)?;
    writes.cpu(&resources.cpu, now)?;
    writes.pids(resources.pids_limit)?;
    writes.block_io(&resources.block_io)?;
    writes.hugetlb(resources)?;
    writes.rdma(resources)?;
    writes.network(resources)?;
    writes.unified(resources)?;
    Ok(writes.list)
}

struct Writes<'p> {
    places: &'p Places,
    list: Vec<Write>,
}

impl Writes<'_> {
    fn push(
        &mut self,
        controller: &'static str,
        file: impl Into<Cow<'static, str>>,
        value: impl ToString,
        field: impl Into<Cow<'static, str>>,
        on_refusal: OnRefusal,
    ) {
        let (file, field) = (file.into(), field.into());
        self.list.push(Write { controller, file, value: value.to_string(), field, on_refusal });
    }

    /// A version 1 setting that is set at most once.
    fn v1<T: ToString>(
        &mut self,
        controller: &'static str,
        file: &'static str,
        value: Option<T>,
        field: &'static str,
        on_refusal: OnRefusal,
    ) -> Result<()> {
        if let Some(value) = value {
            self.places.require_v1(controller, field)?;
            self.push(controller, file, value, field, on_refusal);
        }
        Ok(())
    }

    /// At creation `cpuset::fill` has written them already, since an empty one cannot be joined; then the same
    /// write again changes nothing.
    fn cpuset(&mut self, cpu: &Cpu<'_>) -> Result<()> {
        let fields = [
            ("cpuset.cpus", &cpu.cpus, "linux.resources.cpu.cpus"),
            ("cpuset.mems", &cpu.mems, "linux.resources.cpu.mems"),
        ];
        for (file, value, field) in fields {
            if let Some(value) = value {
                self.places.find("cpuset", field)?;
                self.push("cpuset", file, value, field, OnRefusal::Fail);
            }
        }
        Ok(())
    }

    /// `kernel` and `useHierarchy` are obsolete and ignored, as by runc: the kernel has no such limit since 5.16, and
    /// counts hierarchically always.
    fn memory(&mut self, memory: &Memory, now: &Now) -> Result<()> {
        if self.places.is_v2("memory") {
            return self.memory_v2(memory, now);
        }
        let limit = "linux.resources.memory.limit";
        let swap = "linux.resources.memory.swap";
        let limit_write = (memory.limit, "memory.limit_in_bytes", limit, OnRefusal::Fail);
        let mut swap_write = (memory.swap, "memory.memsw.limit_in_bytes", swap, OnRefusal::Fail);
        if memory.limit == Some(-1) && memory.swap.is_none() {
            // Unlimited memory means unlimited swap too, where the kernel counts swap at all.
            swap_write = (Some(-1), swap_write.1, limit, OnRefusal::Missing);
        }
        // The kernel holds limit <= memsw at every moment: when memsw ends above the present limit it goes first.
        // KERNEL(5.14): mm/memcontrol-v1.c, mem_cgroup_resize_max.
        let swap_first = match (memory.limit, swap_write.0) {
            (None, _) | (_, None) => false,
            (Some(_), Some(swap)) => match (u64::try_from(swap), now.memory_limit) {
                (Err(_), _) => true,
                (Ok(swap), Some(present)) => present < swap,
                (Ok(_), None) => false,
            },
        };
        let writes = if swap_first { [swap_write, limit_write] } else { [limit_write, swap_write] };
        for (value, file, field, on_refusal) in writes {
            self.v1("memory", file, value, field, on_refusal)?;
        }
        let reservation = "linux.resources.memory.reservation";
        self.v1("memory", "memory.soft_limit_in_bytes", memory.reservation, reservation, OnRefusal::Fail)?;
        let tcp = "linux.resources.memory.kernelTCP";
        self.v1("memory", "memory.kmem.tcp.limit_in_bytes", memory.kernel_tcp, tcp, OnRefusal::Fail)?;
        let oom = memory.disable_oom_killer.then_some("1");
        let oom_field = "linux.resources.memory.disableOOMKiller";
        self.v1("memory", "memory.oom_control", oom, oom_field, OnRefusal::Fail)?;
        let swappiness = "linux.resources.memory.swappiness";
        self.v1("memory", "memory.swappiness", memory.swappiness, swappiness, OnRefusal::Fail)
    }

    /// Period and burst may be refused while the old quota stands (EINVAL); so they are tried again after it.
    fn cpu(&mut self, cpu: &Cpu<'_>, now: &Now) -> Result<()> {
        if self.places.is_v2("cpu") {
            return self.cpu_v2(cpu, now);
        }
        use OnRefusal::{Clamped, Fail, Later, Missing, MissingOrLater};
        let later = if cpu.quota.is_some() { Later } else { Fail };
        let burst = if cpu.quota.is_some() { MissingOrLater } else { Missing };
        let rt_later = if cpu.realtime_runtime.is_some() { Later } else { Fail };
        self.v1("cpu", "cpu.shares", cpu.shares, "linux.resources.cpu.shares", Clamped)?;
        self.v1("cpu", "cpu.cfs_period_us", cpu.period, "linux.resources.cpu.period", later)?;
        self.v1("cpu", "cpu.cfs_burst_us", cpu.burst, "linux.resources.cpu.burst", burst)?;
        self.v1("cpu", "cpu.cfs_quota_us", cpu.quota, "linux.resources.cpu.quota", Fail)?;
        self.v1("cpu", "cpu.idle", cpu.idle, "linux.resources.cpu.idle", Fail)?;
        let field = "linux.resources.cpu.realtimePeriod";
        self.v1("cpu", "cpu.rt_period_us", cpu.realtime_period, field, rt_later)?;
        let field = "linux.resources.cpu.realtimeRuntime";
        self.v1("cpu", "cpu.rt_runtime_us", cpu.realtime_runtime, field, Fail)
    }

    /// The file is the same in both versions. Zero is a limit (runc 1.4), written as 1 because systemd knows no 0.
    fn pids(&mut self, limit: Option<i64>) -> Result<()> {
        let Some(limit) = limit else { return Ok(()) };
        let field = "linux.resources.pids.limit";
        self.places.find("pids", field)?;
        let value = if limit < 0 { "max".to_string() } else { limit.max(1).to_string() };
        self.push("pids", "pids.max", value, field, OnRefusal::Fail);
        Ok(())
    }

    fn block_io(&mut self, io: &BlockIo) -> Result<()> {
        if self.places.is_v2("io") {
            return self.io_v2(io);
        }
        use OnRefusal::{Fail, OtherName};
        let bfq = OtherName("blkio.bfq.weight");
        self.v1("blkio", "blkio.weight", io.weight, "linux.resources.blockIO.weight", bfq)?;
        let field = "linux.resources.blockIO.leafWeight";
        self.v1("blkio", "blkio.leaf_weight", io.leaf_weight, field, Fail)?;
        for (index, device) in io.weight_device.iter().enumerate() {
            let weights = [
                (device.weight, "blkio.weight_device", OtherName("blkio.bfq.weight_device"), "weight"),
                (device.leaf_weight, "blkio.leaf_weight_device", Fail, "leafWeight"),
            ];
            for (weight, file, on_refusal, name) in weights {
                let Some(weight) = weight else { continue };
                let field = format!("linux.resources.blockIO.weightDevice[{index}].{name}");
                self.places.require_v1("blkio", &field)?;
                let value = format!("{}:{} {weight}", device.major, device.minor);
                self.push("blkio", file, value, field, on_refusal);
            }
        }
        self.throttle(
            &io.throttle_read_bps_device,
            "blkio.throttle.read_bps_device",
            "throttleReadBpsDevice",
        )?;
        self.throttle(
            &io.throttle_write_bps_device,
            "blkio.throttle.write_bps_device",
            "throttleWriteBpsDevice",
        )?;
        self.throttle(
            &io.throttle_read_iops_device,
            "blkio.throttle.read_iops_device",
            "throttleReadIOPSDevice",
        )?;
        self.throttle(
            &io.throttle_write_iops_device,
            "blkio.throttle.write_iops_device",
            "throttleWriteIOPSDevice",
        )
    }

    fn throttle(&mut self, devices: &[ThrottleDevice], file: &'static str, name: &str) -> Result<()> {
        for (index, device) in devices.iter().enumerate() {
            let field = format!("linux.resources.blockIO.{name}[{index}]");
            self.places.require_v1("blkio", &field)?;
            let value = format!("{}:{} {}", device.major, device.minor, device.rate);
            self.push("blkio", file, value, field, OnRefusal::Fail);
        }
        Ok(())
    }

    /// Both what is faulted in and what is reserved; the second came with Linux 5.7.
    fn hugetlb(&mut self, resources: &Resources<'_>) -> Result<()> {
        for (index, limit) in resources.hugepage_limits.iter().enumerate() {
            let field = format!("linux.resources.hugepageLimits[{index}]");
            let suffix = match self.places.find("hugetlb", &field)? {
                Place::V1 => "limit_in_bytes",
                Place::V2 => "max",
            };
            let (size, value) = (&limit.page_size, limit.limit);
            self.push("hugetlb", format!("hugetlb.{size}.{suffix}"), value, field.clone(), OnRefusal::Fail);
            self.push("hugetlb", format!("hugetlb.{size}.rsvd.{suffix}"), value, field, OnRefusal::Missing);
        }
        Ok(())
    }

    /// The file is the same in both versions.
    fn rdma(&mut self, resources: &Resources<'_>) -> Result<()> {
        for (device, limits) in &resources.rdma {
            let field = format!("linux.resources.rdma[{:?}]", &**device);
            self.places.find("rdma", &field)?;
            let mut value = device.to_string();
            let limits = [("hca_handle", limits.hca_handles), ("hca_object", limits.hca_objects)];
            for (key, limit) in limits {
                value.extend(limit.map(|limit| format!(" {key}={limit}")));
            }
            self.push("rdma", "rdma.max", value, field, OnRefusal::Fail);
        }
        Ok(())
    }

    fn network(&mut self, resources: &Resources<'_>) -> Result<()> {
        if self.places.alone.is_some() {
            return Ok(()); // version 2 has no such controller: `ignored` tells
        }
        let network = &resources.network;
        let field = "linux.resources.network.classID";
        self.v1("net_cls", "net_cls.classid", network.class_id, field, OnRefusal::Fail)?;
        for (index, entry) in network.priorities.iter().enumerate() {
            let field = format!("linux.resources.network.priorities[{index}]");
            self.places.require_v1("net_prio", &field)?;
            let value = format!("{} {}", entry.name, entry.priority);
            self.push("net_prio", "net_prio.ifpriomap", value, field, OnRefusal::Fail);
        }
        Ok(())
    }

    /// runc refuses `unified` on every host with version 1 hierarchies. On a hybrid host masu writes what the
    /// unified hierarchy has a controller for, and refuses the rest with runc's words.
    fn unified(&mut self, resources: &Resources<'_>) -> Result<()> {
        for (file, value) in &resources.unified {
            let field = format!("linux.resources.unified[{:?}]", &**file);
            let controller = file.split('.').next().unwrap_or_default();
            if self.places.alone.is_some() {
                if controller != "cgroup" {
                    self.places.find(controller, &field)?;
                }
            } else if !self.places.v2.iter().any(|known| known == controller) {
                let why = "invalid configuration: cannot use unified on cgroup v1";
                return Err(Error::Invalid(field, why.into()));
            }
            // A file such as io.max takes one line a write.
            let lines = if value.is_empty() { 1 } else { usize::MAX };
            for line in value.split('\n').take(lines).filter(|line| lines == 1 || !line.is_empty()) {
                self.push("", file.to_string(), line, field.clone(), OnRefusal::Fail);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
