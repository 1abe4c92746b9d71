//! `linux.devices`.
use alloc::format;
use alloc::vec::Vec;

use super::ids::check_id;
use super::process::mode_bits;
use crate::config::{Device, DeviceKind};
use crate::error::ConfigError;
use crate::path::Path;
use crate::schema;

/// A device number has 12 bits of major and 20 bits of minor, see makedev(3) and the kernel's `MINORBITS`.
const MAX_MAJOR: u32 = (1 << 12) - 1;
const MAX_MINOR: u32 = (1 << 20) - 1;

/// `S_IFMT`: docker and podman write the type of the node into `fileMode` too.
const TYPE_BITS: u32 = 0o170_000;

pub(super) fn devices<'a>(
    raw: Vec<schema::Device<'a>>,
    at: &Path<'_>,
) -> Result<Vec<Device<'a>>, ConfigError> {
    raw.into_iter().enumerate().map(|(index, raw)| device(raw, &at.index(index))).collect()
}

fn device<'a>(raw: schema::Device<'a>, at: &Path<'_>) -> Result<Device<'a>, ConfigError> {
    let (at_path, at_type) = (at.field("path"), at.field("type"));
    let path = at_path.absolute(at_path.require(raw.path)?)?;
    let kind = match at_type.require(raw.kind)?.as_str() {
        "c" | "u" => DeviceKind::Char,
        "b" => DeviceKind::Block,
        "p" => DeviceKind::Fifo,
        other => {
            let hint = "the types are c and u (character), b (block) and p (fifo)";
            return Err(at_type.illegal_hint(format!("unknown type {other:?}"), hint));
        }
    };
    let (major, minor) = match kind {
        DeviceKind::Fifo => (0, 0),
        DeviceKind::Char | DeviceKind::Block => (
            device_number(raw.major, MAX_MAJOR, &at.field("major"))?,
            device_number(raw.minor, MAX_MINOR, &at.field("minor"))?,
        ),
    };
    let mode = raw.file_mode.map_or(0o666, |mode| mode & !TYPE_BITS);
    Ok(Device {
        path,
        kind,
        major,
        minor,
        mode: mode_bits(mode, 0o7777, &at.field("fileMode"))?,
        uid: check_id(raw.uid.unwrap_or_default(), &at.field("uid"))?,
        gid: check_id(raw.gid.unwrap_or_default(), &at.field("gid"))?,
    })
}

fn device_number(number: Option<i64>, max: u32, at: &Path<'_>) -> Result<u32, ConfigError> {
    let number = at.require(number)?;
    match u32::try_from(number) {
        Ok(number) if number <= max => Ok(number),
        _ => Err(at.illegal(format!("{number} is not within 0 to {max}"))),
    }
}
