//! The files by which a box knows itself and others by name, hosts(5), hostname(5) and resolv.conf(5): of the bundle, over
//! those of the image, as podman and docker do it.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::net::IpAddr;
use std::os::unix::fs::chown;
use std::path::Path;

use masu_app::{Failure, Result};
use serde_json::Value;

use super::configure::add_mount;
use super::network::Choice;
use super::values::Mount;

const HOSTS: &str = "/etc/hosts";
const HOSTNAME: &str = "/etc/hostname";
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The names of this machine for itself.
const LOCALHOST: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";

/// Writes them into the bundle and mounts them. With a network of its own that leads nowhere a box asks no server for names;
/// on this machine's it knows what this machine knows; on another it asks the servers that can be reached from there, and
/// its own address comes later ([`add_addresses`]).
///
/// # Errors
///
/// For a file that cannot be read or written.
pub(super) fn add(config: &mut Value, bundle: &Path, network: &Choice) -> Result<()> {
    let mut hosts = match network {
        Choice::Host => read(HOSTS)?.unwrap_or_default(),
        Choice::None | Choice::Attached(..) => LOCALHOST.into(),
    };
    let hostname = config.get("hostname").and_then(Value::as_str).map(ToOwned::to_owned);
    if let Some(name) = &hostname {
        if !hosts.is_empty() && !hosts.ends_with('\n') {
            hosts.push('\n');
        }
        if !matches!(network, Choice::Attached(..)) {
            hosts.push_str(&format!("127.0.0.1\t{name}\n"));
        }
        add_file(config, bundle, HOSTNAME, &format!("{name}\n"))?;
    }
    add_file(config, bundle, HOSTS, &hosts)?;
    match network {
        Choice::None => Ok(()),
        Choice::Host => {
            read(RESOLV_CONF)?.map_or(Ok(()), |text| add_file(config, bundle, RESOLV_CONF, &text))
        }
        Choice::Attached(..) => {
            let servers = read(RESOLV_CONF)?.unwrap_or_default();
            add_file(config, bundle, RESOLV_CONF, &without_loopback(&servers))
        }
    }
}

/// Has somebody own the files, who is root in the box.
///
/// # Errors
///
/// For a file that cannot be given away.
pub(super) fn give(bundle: &Path, uid: u32, gid: u32) -> Result<()> {
    for file in [HOSTS, HOSTNAME, RESOLV_CONF].map(|target| in_bundle(bundle, target)) {
        match chown(&file, Some(uid), Some(gid)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Failure::new(format!("chown {}: {error}", file.display())));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Adds the addresses of a box to its /etc/hosts, when its network is there.
///
/// # Errors
///
/// For a file that cannot be written.
pub(super) fn add_addresses(bundle: &Path, hostname: Option<&str>, addresses: &[IpAddr]) -> Result<()> {
    let Some(hostname) = hostname else { return Ok(()) };
    let path = in_bundle(bundle, HOSTS);
    let told = |error| Failure::new(format!("write {}: {error}", path.display()));
    let mut file = OpenOptions::new().append(true).open(&path).map_err(told)?;
    addresses.iter().try_for_each(|address| writeln!(file, "{address}\t{hostname}")).map_err(told)
}

/// Has a box ask other servers than this machine's.
///
/// # Errors
///
/// For a file that cannot be written.
pub(super) fn set_servers(bundle: &Path, lines: &str) -> Result<()> {
    // In its place: it is mounted by now.
    write(&in_bundle(bundle, RESOLV_CONF), lines)
}

/// The lines of a resolv.conf without servers that only this machine reaches.
fn without_loopback(text: &str) -> String {
    let is_loopback = |line: &str| {
        let server = line.strip_prefix("nameserver").map(str::trim);
        let server = server.and_then(|server| server.parse::<IpAddr>().ok());
        server.is_some_and(|server| server.is_loopback())
    };
    text.lines().filter(|line| !is_loopback(line)).map(|line| format!("{line}\n")).collect()
}

fn in_bundle(bundle: &Path, target: &str) -> std::path::PathBuf {
    bundle.join(Path::new(target).file_name().unwrap_or_default())
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|error| Failure::new(format!("write {}: {error}", path.display())))
}

fn add_file(config: &mut Value, bundle: &Path, target: &str, text: &str) -> Result<()> {
    let source = in_bundle(bundle, target);
    write(&source, text)?;
    let is_read_only = config.pointer("/root/readonly").and_then(Value::as_bool) == Some(true);
    let mut options = ["bind", "rprivate", "nosuid", "nodev", "noexec"].map(ToOwned::to_owned).to_vec();
    options.extend(is_read_only.then(|| "ro".to_owned()));
    let source = source.to_string_lossy().into_owned();
    add_mount(config, &Mount { kind: "bind".into(), source, target: target.into(), options })
}

/// A file of this machine; none where it has none.
fn read(path: &str) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::new(format!("read {path}: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::without_loopback;

    #[test]
    fn servers_of_this_machine_alone_are_left_out() {
        let text = "search a\nnameserver 127.0.0.53\nnameserver ::1\nnameserver 192.0.2.1\noptions edns0\n";
        assert_eq!(without_loopback(text), "search a\nnameserver 192.0.2.1\noptions edns0\n");
    }
}
