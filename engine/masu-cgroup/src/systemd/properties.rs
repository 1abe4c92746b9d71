//! Limits as properties of a unit: systemd.resource-control(5) and org.freedesktop.systemd1(5). systemd writes to a
//! unit's cgroup what it was told, and the defaults of what it was not, at every `daemon-reload`: so it is told of all
//! limits that it knows. masu writes them, and all others, to the cgroup too.
//!
//! They are made from the planned writes, so that the two say the same, whatever field or `unified` key asks for it.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use masu_spec::{DeviceAccess, Str};

use super::gvariant;
use crate::dbus::Value;
use crate::devices::DeviceRules;
use crate::error::{Error, Result};
use crate::plan::{OnRefusal, Write};

/// A property and its value.
pub(crate) type Property = (String, Value);

/// What systemd takes for "no limit", and for a time without an end.
const INFINITY: u64 = u64::MAX;
/// The kernel's default period in microseconds.
const DEFAULT_PERIOD: u64 = 100_000;
const PREFIX: &str = "org.systemd.property.";

/// Of the writes those that systemd has a property for; of two that set the same one the last.
///
/// # Errors
///
/// [`Error::Invalid`] for a CPU list that is none: systemd takes it as a mask.
pub(crate) fn limits(writes: &[Write]) -> Result<Vec<Property>> {
    let mut properties = BTreeMap::new();
    let (mut quota, mut period) = (None, None);
    for write in writes {
        let file = write.file.as_ref();
        match file {
            "cpu.max" => {
                let (first, second) = write.value.split_once(' ').unwrap_or((&write.value, ""));
                (quota, period) = (Some(limit(first)), second.trim().parse().ok().or(period));
            }
            "cpu.cfs_quota_us" => quota = Some(limit(&write.value)),
            "cpu.cfs_period_us" => period = write.value.parse().ok(),
            "cpu.idle" if write.value == "1" => {
                properties.insert("CPUWeight".to_owned(), Value::Uint64(0));
            }
            "cpuset.cpus" | "cpuset.mems" => {
                let name = if file == "cpuset.cpus" { "AllowedCPUs" } else { "AllowedMemoryNodes" };
                properties.insert(name.to_owned(), mask(&write.value, &write.field)?);
            }
            _ => {
                if let Some((name, value)) = number(write) {
                    properties.insert(name.to_owned(), Value::Uint64(value));
                }
            }
        }
    }
    if let Some(quota) = quota {
        let per_second = per_second(quota, period.unwrap_or(DEFAULT_PERIOD));
        properties.insert("CPUQuotaPerSecUSec".to_owned(), Value::Uint64(per_second));
    }
    properties.extend(period.map(|period| ("CPUQuotaPeriodUSec".to_owned(), Value::Uint64(period))));
    Ok(properties.into_iter().collect())
}

/// The files whose values are numbers for systemd too.
fn number(write: &Write) -> Option<(&'static str, u64)> {
    let name = match write.file.as_ref() {
        "memory.max" => "MemoryMax",
        "memory.low" => "MemoryLow",
        "memory.min" => "MemoryMin",
        "memory.high" => "MemoryHigh",
        "memory.swap.max" => "MemorySwapMax",
        "memory.limit_in_bytes" => "MemoryLimit",
        "cpu.weight" => "CPUWeight",
        "cpu.shares" => "CPUShares",
        "pids.max" => "TasksMax",
        "io.weight" => "IOWeight",
        "blkio.weight" => "BlockIOWeight",
        "io.bfq.weight" => match write.on_refusal {
            OnRefusal::OtherScale(_, weight) if !write.value.contains(' ') => {
                return Some(("IOWeight", weight));
            }
            _ => return None,
        },
        _ => return None,
    };
    let text = write.value.trim();
    // `io.weight` may name a device first, which is another property's matter.
    let text = text.strip_prefix("default ").unwrap_or(text);
    match text {
        "max" | "-1" => Some((name, INFINITY)),
        text => text.parse().ok().map(|number| (name, number)),
    }
}

fn limit(text: &str) -> u64 {
    text.trim().parse().unwrap_or(INFINITY)
}

/// systemd counts in whole hundredths of a processor. It is told the next one above: what masu writes is what holds,
/// and must not be more than what systemd would have.
fn per_second(quota: u64, period: u64) -> u64 {
    let per_second = quota.checked_mul(1_000_000).and_then(|product| product.checked_div(period));
    per_second.and_then(|share| share.checked_next_multiple_of(10_000)).unwrap_or(INFINITY)
}

/// `0-2,7` as the bytes of a mask, the lowest bits first.
fn mask(list: &str, field: &str) -> Result<Value> {
    let invalid = || Error::Invalid(field.into(), format!("{list:?} is no list such as 0-3,8"));
    let mut bytes: Vec<u8> = Vec::new();
    for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse::<usize>().ok().filter(|number| *number < 8192);
        let (first, last) = (number(first).ok_or_else(invalid)?, number(last).ok_or_else(invalid)?);
        if first > last {
            return Err(invalid());
        }
        bytes.resize(bytes.len().max(last / 8 + 1), 0);
        for bit in first..=last {
            if let Some(byte) = bytes.get_mut(bit / 8) {
                *byte |= 1 << (bit % 8);
            }
        }
    }
    if bytes.is_empty() {
        return Err(invalid());
    }
    Ok(Value::Array("y".into(), bytes.into_iter().map(Value::Byte).collect()))
}

/// Device rules. systemd knows a list of what is allowed, by type and numbers of which the minor one may be any. Where
/// the rules say more than that (`None`), it is told to leave devices alone on version 2, where nothing but masu's
/// program decides then; on version 1 it would open all of them at its next reload, and is told to allow none.
pub(crate) fn devices(rules: Option<&DeviceRules>, version_2: bool) -> Vec<Property> {
    let list = rules.and_then(allowed);
    let policy = match (&list, rules, version_2) {
        (Some(_), ..) => "strict",
        (None, Some(rules), _) if rules.is_allow_all() => "auto",
        (None, _, true) => "auto",
        (None, _, false) => "strict",
    };
    let entry = |(device, access): (String, &str)| {
        Value::Struct([Value::String(device), Value::String(access.into())].into())
    };
    let list = list.unwrap_or_default().into_iter().map(entry).collect();
    Vec::from([
        ("DevicePolicy".into(), Value::String(policy.into())),
        ("DeviceAllow".into(), Value::Array("(ss)".into(), list)),
    ])
}

fn allowed(rules: &DeviceRules) -> Option<Vec<(String, &'static str)>> {
    let mut list = Vec::new();
    for ((major, minor, is_block), access) in rules.allowed()? {
        let kind = if is_block { "block" } else { "char" };
        let device = match (major, minor) {
            (Some(major), Some(minor)) => format!("/dev/{kind}/{major}:{minor}"),
            (Some(major), None) => format!("{kind}-{major}"),
            (None, None) => format!("{kind}-*"),
            (None, Some(_)) => return None,
        };
        list.push((device, letters(access)));
    }
    Some(list)
}

fn letters(access: DeviceAccess) -> &'static str {
    let has = |flag| access.contains(flag);
    match (has(DeviceAccess::READ), has(DeviceAccess::WRITE), has(DeviceAccess::MKNOD)) {
        (true, true, true) => "rwm",
        (true, true, false) => "rw",
        (true, false, true) => "rm",
        (true, false, false) => "r",
        (false, true, true) => "wm",
        (false, true, false) => "w",
        (false, false, true) => "m",
        (false, false, false) => "",
    }
}

/// What `org.systemd.property.NAME` annotations ask for. As with runc, a name that ends in `Sec` is a number of seconds
/// for the property whose name ends in `USec`.
///
/// # Errors
///
/// [`Error::Invalid`] with the annotation.
pub(crate) fn annotated(annotations: &BTreeMap<Str<'_>, Str<'_>>) -> Result<Vec<Property>> {
    let mut properties = Vec::new();
    for (key, text) in annotations {
        let Some(name) = key.strip_prefix(PREFIX) else { continue };
        let invalid = |why: &str| Error::Invalid(format!("annotations[{:?}]", &**key), why.into());
        if name.len() < 3 || !name.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Err(invalid(&format!(
                "{name:?} is no name of a property: at least three letters of ASCII"
            )));
        }
        let value =
            gvariant::parse(text).map_err(|why| invalid(&format!("{:?} cannot be read: {why}", &**text)))?;
        let seconds =
            name.strip_suffix("Sec").filter(|stem| stem.ends_with(|last: char| last.is_ascii_lowercase()));
        properties.push(match seconds {
            Some(stem) => {
                let microseconds = microseconds(&value)
                    .ok_or_else(|| invalid(&format!("{:?} is no number of seconds", &**text)))?;
                (format!("{stem}USec"), Value::Uint64(microseconds))
            }
            None => (name.to_string(), value),
        });
    }
    Ok(properties)
}

fn microseconds(seconds: &Value) -> Option<u64> {
    const SECOND: u64 = 1_000_000;
    let whole: u64 = match *seconds {
        Value::Byte(number) => number.into(),
        Value::Int16(number) => number.try_into().ok()?,
        Value::Uint16(number) => number.into(),
        Value::Int32(number) => number.try_into().ok()?,
        Value::Uint32(number) => number.into(),
        Value::Int64(number) => number.try_into().ok()?,
        Value::Uint64(number) => number,
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "`as` saturates, and what is below 0 or no number is refused before"
        )]
        Value::Double(number) => return (number >= 0.0).then_some((number * 1e6) as u64),
        _ => return None,
    };
    whole.checked_mul(SECOND)
}

#[cfg(test)]
#[path = "properties_tests.rs"]
mod tests;
