//! Device rules: what the config asks for, as the set of exceptions that the version 1 controller keeps, and
//! the way from what the cgroup has now to that set.
//!
//! The controller has a default (allow all, or deny all) and exceptions to it. A rule for all devices sets the
//! default and forgets the exceptions; any other adds or takes away exceptions. It silently ignores a rule that would
//! cut a hole into a wider exception (Documentation/admin-guide/cgroup-v1/devices.rst, "Hierarchy"), so such
//! a config is refused here: the container would have devices that its config denies.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use masu_spec::{DeviceAccess, DeviceRule, DeviceRuleKind, Resources};

use crate::error::{Error, Result};

/// A default rule, and the node whose definition in `linux.devices` replaces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultDevice {
    /// The node in the container's /dev; None for rules without one.
    pub path: Option<&'static str>,
    /// The rule.
    pub rule: DeviceRule,
}

const ALL: DeviceAccess = DeviceAccess::all();

const fn allow(
    path: Option<&'static str>,
    kind: DeviceRuleKind,
    major: Option<u32>,
    minor: Option<u32>,
    access: DeviceAccess,
) -> DefaultDevice {
    DefaultDevice { path, rule: DeviceRule { allow: true, kind, major, minor, access } }
}

const fn allow_char(path: Option<&'static str>, major: u32, minor: Option<u32>) -> DefaultDevice {
    allow(path, DeviceRuleKind::Char, Some(major), minor, ALL)
}

/// The rules that follow the config's own: every node may be made, the specification's default devices (config-linux.md,
/// "Default Devices") and pseudo-terminals may be used, and so may /dev/net/tun, which runc gave back in 1.2.6
/// because callers rely on it.
pub const DEFAULT_DEVICES: [DefaultDevice; 11] = [
    allow(None, DeviceRuleKind::Char, None, None, DeviceAccess::MKNOD),
    allow(None, DeviceRuleKind::Block, None, None, DeviceAccess::MKNOD),
    allow_char(Some("/dev/null"), 1, Some(3)),
    allow_char(Some("/dev/random"), 1, Some(8)),
    allow_char(Some("/dev/full"), 1, Some(7)),
    allow_char(Some("/dev/tty"), 5, Some(0)),
    allow_char(Some("/dev/zero"), 1, Some(5)),
    allow_char(Some("/dev/urandom"), 1, Some(9)),
    allow_char(None, 136, None),
    allow_char(None, 5, Some(2)),
    allow_char(None, 10, Some(200)),
];

/// What the controller keeps: a default, and exceptions by (major, minor, is block), None being any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct DeviceRules {
    allow_by_default: bool,
    exceptions: BTreeMap<Key, DeviceAccess>,
}

pub(crate) type Key = (Option<u32>, Option<u32>, bool);

/// A write to devices.allow or devices.deny.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Transition {
    pub(crate) allow: bool,
    pub(crate) rule: String,
}

/// The config's rules and the defaults that no device of the config replaces, from deny-all on.
///
/// # Errors
///
/// [`Error::Invalid`] for a rule that the controller would ignore.
pub(crate) fn device_rules(resources: &Resources<'_>, device_paths: &[&str]) -> Result<DeviceRules> {
    let mut rules = DeviceRules::default();
    for (index, rule) in resources.devices.iter().enumerate() {
        rules.apply(rule).map_err(|why| Error::Invalid(format!("linux.resources.devices[{index}]"), why))?;
    }
    for DefaultDevice { path, rule } in &DEFAULT_DEVICES {
        if path.is_none_or(|path| !device_paths.contains(&path)) {
            rules.apply(rule).map_err(|why| Error::Invalid("linux.resources.devices".into(), why))?;
        }
    }
    Ok(rules)
}

impl DeviceRules {
    /// Parses devices.list. With allow-all as the default the kernel does not tell the exceptions.
    pub(crate) fn parse(list: &str) -> Result<Self> {
        let mut rules = Self::default();
        for line in list.lines() {
            let rule =
                parse_line(line).ok_or_else(|| Error::Malformed("devices.list".into(), line.into()))?;
            rules.apply(&rule).map_err(|why| Error::Malformed("devices.list".into(), why))?;
        }
        Ok(rules)
    }

    /// Is the result what was asked? Exceptions to allow-all cannot be read back.
    pub(crate) fn is_reached(&self, after: &Self) -> bool {
        if self.allow_by_default { after.allow_by_default } else { self == after }
    }

    /// May every device be used?
    pub(crate) fn is_allow_all(&self) -> bool {
        self.allow_by_default && self.exceptions.is_empty()
    }

    /// What is allowed, if that is a list: (major, minor, is block) with the access, none of a number being any.
    pub(crate) fn allowed(&self) -> Option<impl Iterator<Item = (Key, DeviceAccess)>> {
        (!self.allow_by_default).then(|| self.exceptions.iter().map(|(key, access)| (*key, *access)))
    }

    /// The fewest writes from `self`, what the cgroup has, to `target`. Access that both have is never taken
    /// away in between, so that a running container does not notice.
    pub(crate) fn transition(&self, target: &Self) -> Vec<Transition> {
        let mut writes = Vec::new();
        let fresh = BTreeMap::new();
        let mut present = &self.exceptions;
        if self.allow_by_default || self.allow_by_default != target.allow_by_default {
            writes.push(Transition { allow: target.allow_by_default, rule: "a *:* rwm".into() });
            present = &fresh;
        }
        let mut differences = |from: &BTreeMap<Key, DeviceAccess>, to: &BTreeMap<Key, _>, allow: bool| {
            for (key, access) in from {
                let rest = access.difference(to.get(key).copied().unwrap_or(DeviceAccess::empty()));
                if !rest.is_empty() {
                    writes.push(Transition { allow, rule: format_rule(*key, rest) });
                }
            }
        };
        differences(present, &target.exceptions, target.allow_by_default);
        differences(&target.exceptions, present, !target.allow_by_default);
        writes
    }

    fn apply(&mut self, rule: &DeviceRule) -> core::result::Result<(), String> {
        let is_block = match rule.kind {
            DeviceRuleKind::All => {
                *self = Self { allow_by_default: rule.allow, exceptions: BTreeMap::new() };
                return Ok(());
            }
            DeviceRuleKind::Block => true,
            DeviceRuleKind::Char => false,
        };
        let key = (rule.major, rule.minor, is_block);
        if rule.allow != self.allow_by_default {
            let access = self.exceptions.entry(key).or_insert(DeviceAccess::empty());
            *access |= rule.access;
            return Ok(());
        }
        for wider in [(None, rule.minor, is_block), (rule.major, None, is_block), (None, None, is_block)] {
            let held = self.exceptions.get(&wider).copied().unwrap_or(DeviceAccess::empty());
            if wider != key && held.intersects(rule.access) {
                return Err(format!(
                    "the version 1 controller cannot take {:?} out of the wider rule {:?}",
                    format_rule(key, rule.access),
                    format_rule(wider, held)
                ));
            }
        }
        if let Some(access) = self.exceptions.get_mut(&key) {
            access.remove(rule.access);
            if access.is_empty() {
                self.exceptions.remove(&key);
            }
        }
        Ok(())
    }
}

fn format_rule((major, minor, is_block): Key, access: DeviceAccess) -> String {
    let number = |number: Option<u32>| number.map_or_else(|| "*".into(), |number| format!("{number}"));
    let mut text = format!("{} {}:{} ", if is_block { 'b' } else { 'c' }, number(major), number(minor));
    for (flag, letter) in [(DeviceAccess::READ, 'r'), (DeviceAccess::WRITE, 'w'), (DeviceAccess::MKNOD, 'm')]
    {
        text.extend(access.contains(flag).then_some(letter));
    }
    text
}

/// A line of devices.list: `c 1:3 rwm`, `a *:* rwm`.
fn parse_line(line: &str) -> Option<DeviceRule> {
    let mut fields = line.split([' ', ':']);
    let (kind, major, minor, access) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let number = |text: &str| if text == "*" { Some(None) } else { text.parse().ok().map(Some) };
    let kind = match kind {
        "a" => DeviceRuleKind::All,
        "b" => DeviceRuleKind::Block,
        "c" => DeviceRuleKind::Char,
        _ => return None,
    };
    let mut flags = DeviceAccess::empty();
    for letter in access.chars() {
        flags |= match letter {
            'r' => DeviceAccess::READ,
            'w' => DeviceAccess::WRITE,
            'm' => DeviceAccess::MKNOD,
            _ => return None,
        };
    }
    Some(DeviceRule { allow: true, kind, major: number(major)?, minor: number(minor)?, access: flags })
}

#[cfg(test)]
#[path = "devices_tests.rs"]
mod tests;
