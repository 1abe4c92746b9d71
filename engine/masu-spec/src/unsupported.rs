//! Fields of the specification that this version does not implement. They are refused, never ignored; an issue that
//! brings one deletes its line here.
use crate::error::ConfigError;
use crate::path::Path;
use crate::schema::{Config, Hooks, Linux, Mount, Process, Resources};

/// A field's name and whether a structure asks for it.
type Field<T> = (&'static str, fn(&T) -> bool);

fn refuse<T>(fields: &[Field<T>], structure: &T, at: &Path<'_>) -> Result<(), ConfigError> {
    match fields.iter().find(|(_, asked)| asked(structure)) {
        Some((name, _)) => Err(at.field(name).unsupported()),
        None => Ok(()),
    }
}

/// True when a list, map or string is there and not empty: engines write empty ones.
macro_rules! filled {
    ($field:expr) => {
        $field.as_ref().is_some_and(|value| !value.is_empty())
    };
}

pub(crate) fn refuse_in_config(config: &Config<'_>, at: &Path<'_>) -> Result<(), ConfigError> {
    refuse::<Hooks>(
        &[
            ("hooks.prestart", |hooks| filled!(hooks.prestart)),
            ("hooks.createRuntime", |hooks| filled!(hooks.create_runtime)),
            ("hooks.createContainer", |hooks| filled!(hooks.create_container)),
            ("hooks.startContainer", |hooks| filled!(hooks.start_container)),
            ("hooks.poststart", |hooks| filled!(hooks.poststart)),
            ("hooks.poststop", |hooks| filled!(hooks.poststop)),
        ],
        config.hooks.as_ref().unwrap_or(&Hooks::default()),
        at,
    )
}

pub(crate) fn refuse_in_process(process: &Process<'_>, at: &Path<'_>) -> Result<(), ConfigError> {
    refuse::<Process<'_>>(
        &[
            ("terminal", |process| process.terminal == Some(true)),
            ("apparmorProfile", |process| filled!(process.apparmor_profile)),
            ("selinuxLabel", |process| filled!(process.selinux_label)),
            ("scheduler", |process| process.scheduler.is_some()),
            ("ioPriority", |process| process.io_priority.is_some()),
            ("execCPUAffinity", |process| process.exec_cpu_affinity.is_some()),
        ],
        process,
        at,
    )
}

pub(crate) fn refuse_in_mount(mount: &Mount<'_>, at: &Path<'_>) -> Result<(), ConfigError> {
    refuse::<Mount<'_>>(
        &[
            ("uidMappings", |mount| filled!(mount.uid_mappings)),
            ("gidMappings", |mount| filled!(mount.gid_mappings)),
        ],
        mount,
        at,
    )
}

/// Options of a mount likewise.
pub(crate) const MOUNT_OPTIONS: [&str; 2] = ["idmap", "ridmap"];

pub(crate) fn refuse_in_linux(linux: &Linux<'_>, at: &Path<'_>) -> Result<(), ConfigError> {
    refuse::<Linux<'_>>(
        &[
            ("netDevices", |linux| filled!(linux.net_devices)),
            ("intelRdt", |linux| linux.intel_rdt.is_some()),
            ("memoryPolicy", |linux| linux.memory_policy.is_some()),
            // A filter without default action and rules is none: runc takes it so.
            ("seccomp", |linux| {
                linux
                    .seccomp
                    .as_ref()
                    .is_some_and(|seccomp| filled!(seccomp.default_action) || filled!(seccomp.syscalls))
            }),
            ("mountLabel", |linux| filled!(linux.mount_label)),
            ("personality", |linux| linux.personality.is_some()),
        ],
        linux,
        at,
    )
}

pub(crate) fn refuse_in_resources(resources: &Resources<'_>, at: &Path<'_>) -> Result<(), ConfigError> {
    refuse::<Resources<'_>>(&[("rdma", |resources| filled!(resources.rdma))], resources, at)
}
