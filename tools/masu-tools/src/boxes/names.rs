//! The files by which a box knows itself and others by name, hosts(5), hostname(5) and resolv.conf(5): of the bundle, over
//! those of the image, as podman and docker do it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use masu_app::{Failure, Result};
use serde_json::Value;

use super::configure::add_mount;
use super::values::Mount;

const HOSTS: &str = "/etc/hosts";
const HOSTNAME: &str = "/etc/hostname";
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The names of this machine for itself.
const LOCALHOST: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";

/// Writes them into the bundle and mounts them. With a network of its own a box asks no server for names; on this
/// machine's it knows what this machine knows.
///
/// # Errors
///
/// For a file that cannot be read or written.
pub(super) fn add(config: &mut Value, bundle: &Path, on_host_network: bool) -> Result<()> {
    let mut hosts = if on_host_network { read(HOSTS)?.unwrap_or_default() } else { LOCALHOST.into() };
    let hostname = config.get("hostname").and_then(Value::as_str).map(ToOwned::to_owned);
    if let Some(name) = &hostname {
        if !hosts.is_empty() && !hosts.ends_with('\n') {
            hosts.push('\n');
        }
        hosts.push_str(&format!("127.0.0.1\t{name}\n"));
        add_file(config, bundle, HOSTNAME, &format!("{name}\n"))?;
    }
    add_file(config, bundle, HOSTS, &hosts)?;
    let servers = if on_host_network { read(RESOLV_CONF)? } else { None };
    servers.map_or(Ok(()), |servers| add_file(config, bundle, RESOLV_CONF, &servers))
}

fn add_file(config: &mut Value, bundle: &Path, target: &str, text: &str) -> Result<()> {
    let name = Path::new(target).file_name().unwrap_or_default();
    let source: PathBuf = bundle.join(name);
    fs::write(&source, text).map_err(|error| Failure::new(format!("write {}: {error}", source.display())))?;
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
