//! What the tests of the plan share: a faked machine, and texts that are compared with committed files.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::{fs, path::Path};

use masu_cgroup::{ContainerMounts, Layout};
use masu_runtime::{CreateInput, Gate, Host};
use masu_spec::Config;

/// What root has.
pub(crate) const ALL_CAPABILITIES: u64 = (1 << 41) - 1;

/// A machine that nobody has.
pub(crate) fn host(capabilities: u64, uid: u32) -> Host {
    let (in_user_namespace, setgroups_denied, foreign_mounts) = (false, false, false);
    let cgroups = Layout::None.into();
    Host { capabilities, uid, gid: uid, in_user_namespace, setgroups_denied, foreign_mounts, cgroups }
}

/// The plan of a container that is created.
pub(crate) fn input<'a>(
    config: &'a Config<'a>,
    host: &'a Host,
    hierarchies: &'a [String],
    mounts: &'a ContainerMounts,
) -> CreateInput<'a> {
    CreateInput {
        config,
        host,
        id: "mydebian",
        bundle: "/bundle",
        rootfs: "/bundle/rootfs",
        hierarchies,
        unified: true,
        cgroup_mounts: mounts,
        gate: Gate::Fifo,
        no_pivot: false,
        host_views: &[],
        no_new_keyring: false,
        preserve_fds: 0,
    }
}

/// Compares `text` with the committed file, or writes that with `UPDATE_SNAPSHOTS=1`.
pub(crate) fn compare_text(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans").join(name);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, text).expect("writes the snapshot");
    }
    assert_eq!(text, fs::read_to_string(&path).expect("reads the snapshot"), "{}", path.display());
}
