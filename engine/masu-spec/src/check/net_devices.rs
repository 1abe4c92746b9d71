//! `linux.netDevices`.
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use super::needs_namespace;
use crate::config::NetDevice;
use crate::error::ConfigError;
use crate::namespaces::{NamespaceKind, Namespaces};
use crate::path::Path;
use crate::schema;
use crate::text::Str;

pub(super) fn net_devices<'a>(
    raw: BTreeMap<Str<'a>, schema::NetDevice<'a>>,
    namespaces: &Namespaces<'_>,
    at: &Path<'_>,
) -> Result<Vec<NetDevice<'a>>, ConfigError> {
    if !raw.is_empty() && !namespaces.contains(NamespaceKind::Network) {
        return Err(needs_namespace(NamespaceKind::Network, at));
    }
    let mut devices: Vec<NetDevice<'a>> = Vec::with_capacity(raw.len());
    for (host_name, raw) in raw {
        let at_device = at.key(&host_name);
        if !is_interface_name(&host_name) {
            return Err(at_device.illegal("is not the name of a network interface"));
        }
        let name = raw.name.filter(|name| !name.is_empty());
        if let Some(name) = &name
            && !is_new_name(name)
        {
            let reason = format!("{:?} is not the name of a network interface", name.as_str());
            return Err(at_device.field("name").illegal_hint(
                reason,
                "a name has at most 15 bytes without blanks, '/' and ':', and at most one \"%d\" for a number",
            ));
        }
        let device = NetDevice { host_name: host_name.clone(), name };
        let is_template = device.inside().contains('%');
        if let Some(other) = devices.iter().find(|other| !is_template && other.inside() == device.inside()) {
            let reason =
                format!("{:?} is the name of {at}[{:?}] already", device.inside(), &*other.host_name);
            return Err(at_device.field("name").illegal(reason));
        }
        devices.push(device);
    }
    Ok(devices)
}

/// The kernel's `dev_valid_name`.
pub(super) fn is_interface_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.len() < 16
        && !name
            .bytes()
            .any(|byte| matches!(byte, b'/' | b':' | 0) || byte.is_ascii_whitespace() || byte == 0x0b)
}

/// Whether the kernel takes it as a new name: `dev_alloc_name` reads a `%` as the beginning of `%d`, once.
fn is_new_name(name: &str) -> bool {
    let (before, after) = name.split_once("%d").unwrap_or((name, ""));
    is_interface_name(name) && !before.contains('%') && !after.contains('%')
}
