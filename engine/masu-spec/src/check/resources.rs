//! `linux.resources`.
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use super::net_devices::is_interface_name;
use crate::error::ConfigError;
use crate::path::Path;
use crate::resources::{
    BlockIo, Cpu, DeviceAccess, DeviceRule, DeviceRuleKind, HugepageLimit, InterfacePriority, Memory,
    Network, Rdma, Resources, ThrottleDevice, WeightDevice,
};
use crate::schema;
use crate::text::Str;

pub(super) fn resources<'a>(raw: schema::Resources<'a>, at: &Path<'_>) -> Result<Resources<'a>, ConfigError> {
    Ok(Resources {
        devices: device_rules(&raw.devices.unwrap_or_default(), &at.field("devices"))?,
        memory: memory(&raw.memory.unwrap_or_default(), &at.field("memory"))?,
        cpu: cpu(raw.cpu.unwrap_or_default(), &at.field("cpu"))?,
        pids_limit: raw.pids.and_then(|pids| pids.limit),
        block_io: block_io(&raw.block_io.unwrap_or_default(), &at.field("blockIO"))?,
        hugepage_limits: hugepage_limits(
            raw.hugepage_limits.unwrap_or_default(),
            &at.field("hugepageLimits"),
        )?,
        rdma: rdma(raw.rdma.unwrap_or_default(), &at.field("rdma"))?,
        network: network(raw.network.unwrap_or_default(), &at.field("network"))?,
        unified: unified(raw.unified.unwrap_or_default(), &at.field("unified"))?,
    })
}

fn device_rules(raw: &[schema::DeviceRule<'_>], at: &Path<'_>) -> Result<Vec<DeviceRule>, ConfigError> {
    raw.iter().enumerate().map(|(index, raw)| device_rule(raw, &at.index(index))).collect()
}

fn device_rule(raw: &schema::DeviceRule<'_>, at: &Path<'_>) -> Result<DeviceRule, ConfigError> {
    let kind = match raw.kind.as_deref() {
        None | Some("" | "a") => DeviceRuleKind::All,
        Some("b") => DeviceRuleKind::Block,
        Some("c") => DeviceRuleKind::Char,
        Some(other) => {
            let hint = "the types are a (all), b (block) and c (character)";
            return Err(at.field("type").illegal_hint(format!("unknown type {other:?}"), hint));
        }
    };
    Ok(DeviceRule {
        allow: at.field("allow").require(raw.allow)?,
        kind,
        major: device_number_or_any(raw.major, &at.field("major"))?,
        minor: device_number_or_any(raw.minor, &at.field("minor"))?,
        access: access(raw.access.as_deref(), &at.field("access"))?,
    })
}

fn device_number_or_any(number: Option<i64>, at: &Path<'_>) -> Result<Option<u32>, ConfigError> {
    match number {
        None | Some(-1) => Ok(None),
        Some(number) => device_number(Some(number), at).map(Some),
    }
}

fn device_number(number: Option<i64>, at: &Path<'_>) -> Result<u32, ConfigError> {
    let number = at.require(number)?;
    u32::try_from(number).map_err(|_| at.illegal(format!("{number} is not a device number")))
}

fn access(letters: Option<&str>, at: &Path<'_>) -> Result<DeviceAccess, ConfigError> {
    let mut access = DeviceAccess::empty();
    for letter in letters.unwrap_or_default().chars() {
        access |= match letter {
            'r' => DeviceAccess::READ,
            'w' => DeviceAccess::WRITE,
            'm' => DeviceAccess::MKNOD,
            other => {
                let hint = "access is made of r (read), w (write) and m (mknod)";
                return Err(at.illegal_hint(format!("unknown access {other:?}"), hint));
            }
        };
    }
    // An empty rule would say nothing; runc refuses it too.
    if access.is_empty() { Err(ConfigError::Missing { path: format!("{at}") }) } else { Ok(access) }
}

fn memory(raw: &schema::Memory, at: &Path<'_>) -> Result<Memory, ConfigError> {
    let bytes = |value: Option<i64>, field: &str| match value {
        Some(bytes @ ..=-2) => {
            Err(at.field(field).illegal_hint(format!("{bytes} is not a number of bytes"), "-1 is unlimited"))
        }
        other => Ok(other),
    };
    let swappiness = |value: u64| match u8::try_from(value) {
        Ok(value @ 0..=100) => Ok(value),
        _ => Err(at.field("swappiness").illegal(format!("{value} is not within 0 to 100"))),
    };
    Ok(Memory {
        limit: non_zero(bytes(raw.limit, "limit")?),
        reservation: non_zero(bytes(raw.reservation, "reservation")?),
        swap: non_zero(bytes(raw.swap, "swap")?),
        kernel: bytes(raw.kernel, "kernel")?,
        kernel_tcp: bytes(raw.kernel_tcp, "kernelTCP")?,
        swappiness: raw.swappiness.map(swappiness).transpose()?,
        disable_oom_killer: raw.disable_oom_killer.unwrap_or_default(),
        use_hierarchy: raw.use_hierarchy.unwrap_or_default(),
        check_before_update: raw.check_before_update.unwrap_or_default(),
    })
}

/// The value, or nothing for the zero that Go's encoders write for "not set".
fn non_zero<T: PartialEq + Default>(value: Option<T>) -> Option<T> {
    value.filter(|value| *value != T::default())
}

fn cpu<'a>(raw: schema::Cpu<'a>, at: &Path<'_>) -> Result<Cpu<'a>, ConfigError> {
    Ok(Cpu {
        shares: non_zero(raw.shares),
        quota: non_zero(raw.quota),
        burst: raw.burst,
        period: non_zero(raw.period),
        realtime_runtime: non_zero(raw.realtime_runtime),
        realtime_period: non_zero(raw.realtime_period),
        cpus: at.field("cpus").non_empty(raw.cpus)?,
        mems: at.field("mems").non_empty(raw.mems)?,
        idle: raw.idle,
    })
}

fn block_io(raw: &schema::BlockIo, at: &Path<'_>) -> Result<BlockIo, ConfigError> {
    let throttle = |raw: &Option<Vec<schema::ThrottleDevice>>, field: &str| {
        throttle_devices(raw.as_deref().unwrap_or_default(), &at.field(field))
    };
    Ok(BlockIo {
        weight: non_zero(raw.weight),
        leaf_weight: non_zero(raw.leaf_weight),
        weight_device: weight_devices(
            raw.weight_device.as_deref().unwrap_or_default(),
            &at.field("weightDevice"),
        )?,
        throttle_read_bps_device: throttle(&raw.throttle_read_bps_device, "throttleReadBpsDevice")?,
        throttle_write_bps_device: throttle(&raw.throttle_write_bps_device, "throttleWriteBpsDevice")?,
        throttle_read_iops_device: throttle(&raw.throttle_read_iops_device, "throttleReadIOPSDevice")?,
        throttle_write_iops_device: throttle(&raw.throttle_write_iops_device, "throttleWriteIOPSDevice")?,
    })
}

fn weight_devices(raw: &[schema::WeightDevice], at: &Path<'_>) -> Result<Vec<WeightDevice>, ConfigError> {
    let device = |(index, raw): (usize, &schema::WeightDevice)| {
        let at = at.index(index);
        let (major, minor) = (at.field("major"), at.field("minor"));
        let (major, minor) = (device_number(raw.major, &major)?, device_number(raw.minor, &minor)?);
        // A zero counts as given: Go's encoders write it for "not set".
        if raw.weight.or(raw.leaf_weight).is_none() {
            return Err(at.illegal_hint("weighs nothing", "give weight or leafWeight, or both"));
        }
        Ok(WeightDevice {
            major,
            minor,
            weight: non_zero(raw.weight),
            leaf_weight: non_zero(raw.leaf_weight),
        })
    };
    raw.iter().enumerate().map(device).collect()
}

fn throttle_devices(
    raw: &[schema::ThrottleDevice],
    at: &Path<'_>,
) -> Result<Vec<ThrottleDevice>, ConfigError> {
    let device = |(index, raw): (usize, &schema::ThrottleDevice)| {
        let at = at.index(index);
        Ok(ThrottleDevice {
            major: device_number(raw.major, &at.field("major"))?,
            minor: device_number(raw.minor, &at.field("minor"))?,
            rate: at.field("rate").require(raw.rate)?,
        })
    };
    raw.iter().enumerate().map(device).collect()
}

fn hugepage_limits<'a>(
    raw: Vec<schema::HugepageLimit<'a>>,
    at: &Path<'_>,
) -> Result<Vec<HugepageLimit<'a>>, ConfigError> {
    let limit = |(index, raw): (usize, schema::HugepageLimit<'a>)| {
        let at = at.index(index);
        let size_at = at.field("pageSize");
        let page_size = size_at.require(raw.page_size)?;
        if !is_page_size(&page_size) {
            let reason = format!("{:?} is not a page size", page_size.as_str());
            return Err(size_at.illegal_hint(reason, "a page size is such as 64KB, 2MB or 1GB"));
        }
        Ok(HugepageLimit { page_size, limit: at.field("limit").require(raw.limit)? })
    };
    raw.into_iter().enumerate().map(limit).collect()
}

/// The specification's `^[1-9][0-9]*[KMG]B$`. The size becomes part of a file's name, so nothing else may pass.
fn is_page_size(text: &str) -> bool {
    let digits = ["KB", "MB", "GB"].iter().find_map(|unit| text.strip_suffix(unit));
    digits.is_some_and(|digits| {
        !digits.is_empty() && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn rdma<'a>(
    raw: BTreeMap<Str<'a>, schema::Rdma>,
    at: &Path<'_>,
) -> Result<BTreeMap<Str<'a>, Rdma>, ConfigError> {
    let limits = |(name, raw): (Str<'a>, schema::Rdma)| {
        let limits = Rdma { hca_handles: raw.hca_handles, hca_objects: raw.hca_objects };
        let at = at.key(&name);
        // The name is the first of several words that are written in one line.
        if name.is_empty() || name.bytes().any(|byte| byte.is_ascii_whitespace() || byte == 0) {
            return Err(at.illegal("is not the name of a device"));
        }
        if limits == Rdma::default() {
            return Err(at.illegal_hint("limits nothing", "give hcaHandles or hcaObjects, or both"));
        }
        Ok((name, limits))
    };
    raw.into_iter().map(limits).collect()
}

fn network<'a>(raw: schema::Network<'a>, at: &Path<'_>) -> Result<Network<'a>, ConfigError> {
    let at = at.field("priorities");
    let priority = |(index, raw): (usize, schema::InterfacePriority<'a>)| {
        let at = at.index(index);
        let name_at = at.field("name");
        let name = name_at.require(raw.name)?;
        // It is written beside others into one file: a newline would forge a line.
        if !is_interface_name(&name) {
            return Err(
                name_at.illegal(format!("{:?} is not the name of a network interface", name.as_str()))
            );
        }
        Ok(InterfacePriority { name, priority: at.field("priority").require(raw.priority)? })
    };
    Ok(Network {
        class_id: non_zero(raw.class_id),
        priorities: raw
            .priorities
            .into_iter()
            .flatten()
            .enumerate()
            .map(priority)
            .collect::<Result<_, _>>()?,
    })
}

fn unified<'a>(
    raw: BTreeMap<Str<'a>, Str<'a>>,
    at: &Path<'_>,
) -> Result<BTreeMap<Str<'a>, Str<'a>>, ConfigError> {
    for (name, value) in &raw {
        let at = at.key(name);
        if matches!(name.as_str(), "" | "." | "..") || name.contains(['/', '\0']) {
            return Err(at.illegal("is not the name of a file"));
        }
        at.check_nul(value)?;
    }
    Ok(raw)
}
