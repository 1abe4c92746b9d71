//! The kernel's security modules that a process or a mount gets its label from.
//!
//! Only a configuration that has a label is looked at any further: an engine's default has none on a machine without.

use masu_spec::{Process, Str};

use crate::{
    error::{Error, Result},
    files,
};

/// `SELINUX_MAGIC` of linux/magic.h.
const SELINUX_MAGIC: i64 = 0xf97c_ff8c;

/// Refuses labels of a security module that is not in force: the container would be less confined than it is told to be.
///
/// # Errors
/// [`Error::Unsupported`] with the field.
pub(crate) fn check(process: &Process<'_>, mount_label: Option<&Str<'_>>) -> Result<()> {
    if process.apparmor_profile.is_some() && !probe_apparmor() {
        let reason = "AppArmor is disabled or not supported by this host's kernel";
        let hint =
            "remove the field (exec: --apparmor), or boot with lsm=...,apparmor on the kernel's command line";
        return Err(refused("process.apparmorProfile", reason, hint));
    }
    let labels =
        [("process.selinuxLabel", &process.selinux_label.as_ref()), ("linux.mountLabel", &mount_label)];
    match labels.into_iter().find(|(_, label)| label.is_some()) {
        Some((field, _)) if !probe_selinux() => {
            let reason = "selinux label is specified in config, but selinux is disabled or not supported";
            let hint = "remove the field (exec: --process-label), or boot with lsm=...,selinux on the kernel's command line and a policy";
            Err(refused(field, reason, hint))
        }
        _ => Ok(()),
    }
}

fn refused(field: &str, reason: &str, hint: &str) -> Error {
    Error::Unsupported { field: field.into(), reason: reason.into(), hint: Some(hint.into()) }
}

/// Whether AppArmor is in force. The module's parameter is there without securityfs.
fn probe_apparmor() -> bool {
    files::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with(b"Y"))
}

/// Whether SELinux is: its file system can be mounted nowhere else, and only then.
fn probe_selinux() -> bool {
    let magic = rustix::fs::statfs(c"/sys/fs/selinux").map(|status| status.f_type);
    magic.is_ok_and(|magic| magic == SELINUX_MAGIC)
}
