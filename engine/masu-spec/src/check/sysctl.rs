//! `linux.sysctl`: only what belongs to a namespace of the container, see sysctl(8) and namespaces(7).
//!
//! Everything else below `/proc/sys` is the host's: a container that could set it would set it for all.
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::needs_namespace;
use crate::config::Sysctl;
use crate::error::ConfigError;
use crate::namespaces::{NamespaceKind, Namespaces};
use crate::path::Path;
use crate::text::Str;

/// The files of System V IPC, see ipc_namespaces(7).
const IPC: [&str; 8] = [
    "kernel/msgmax",
    "kernel/msgmnb",
    "kernel/msgmni",
    "kernel/sem",
    "kernel/shmall",
    "kernel/shmmax",
    "kernel/shmmni",
    "kernel/shm_rmid_forced",
];

pub(super) fn sysctl<'a>(
    raw: BTreeMap<Str<'a>, Str<'a>>,
    namespaces: &Namespaces<'_>,
    at: &Path<'_>,
) -> Result<Vec<Sysctl<'a>>, ConfigError> {
    let mut sysctl = Vec::with_capacity(raw.len());
    for (key, value) in raw {
        let file = {
            let element = at.key(&key);
            let file = file(&key);
            check_file(&file, &element)?;
            check_namespace(&file, namespaces, &element)?;
            file
        };
        let value = at.key(&key).c_string(value)?;
        sysctl.push(Sysctl { key, file, value });
    }
    Ok(sysctl)
}

/// The file below `/proc/sys`. Whichever of `.` and `/` comes first in the key separates; the other one then stands for
/// the first within a component: `net/ipv4/conf/eth0.1/forwarding` and `net.ipv4.conf.eth0/1.forwarding` are the same.
fn file(key: &str) -> String {
    let is_path = key.chars().find(|c| matches!(c, '.' | '/')) == Some('/');
    let component = |c| match c {
        '.' if !is_path => '/',
        '/' if !is_path => '.',
        other => other,
    };
    key.chars().map(component).collect()
}

fn check_file(file: &str, at: &Path<'_>) -> Result<(), ConfigError> {
    if file.split('/').any(|component| matches!(component, "" | "." | "..")) || file.contains('\0') {
        return Err(at.illegal("is not the name of a sysctl"));
    }
    Ok(())
}

fn check_namespace(file: &str, namespaces: &Namespaces<'_>, at: &Path<'_>) -> Result<(), ConfigError> {
    let kind = match file {
        // The hostname has a field of its own, and the two could differ.
        "kernel/hostname" => {
            return Err(at.illegal_hint("conflicts with the field hostname", "set hostname instead"));
        }
        "kernel/domainname" => NamespaceKind::Uts,
        _ if IPC.contains(&file) || file.starts_with("fs/mqueue/") => NamespaceKind::Ipc,
        _ if file.starts_with("net/") => NamespaceKind::Network,
        // Limits of the user namespace; outside of one they would be the host's.
        _ if file.starts_with("user/") => NamespaceKind::User,
        _ => {
            let hint = "what a container may set are net.*, fs.mqueue.*, user.*, kernel.domainname, kernel.msg*, \
                        kernel.sem and kernel.shm*";
            return Err(at.illegal_hint("is not in a namespace of the container", hint));
        }
    };
    if namespaces.contains(kind) { Ok(()) } else { Err(needs_namespace(kind, at)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_with_either_separator_gives_the_same_file() {
        let table = [
            ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
            ("net/ipv4/ip_forward", "net/ipv4/ip_forward"),
            ("net.ipv4.conf.eth0/1.forwarding", "net/ipv4/conf/eth0.1/forwarding"),
            ("net/ipv4/conf/eth0.1/forwarding", "net/ipv4/conf/eth0.1/forwarding"),
            ("net.//.kernel", "net/../kernel"),
            ("plain", "plain"),
        ];
        for (key, expected) in table {
            assert_eq!(file(key), expected, "{key}");
        }
    }
}
