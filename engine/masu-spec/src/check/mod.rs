//! From the file's shape to the checked types.
mod devices;
mod hooks;
mod ids;
mod intel_rdt;
mod linux;
mod mounts;
mod namespaces;
mod net_devices;
mod process;
mod resource_keys;
mod resources;
mod scheduling;
mod seccomp;
mod sysctl;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

pub use resource_keys::unknown_resources;

use crate::config::{Config, Linux, Mount, Process, Root, Warning};
use crate::error::ConfigError;
use crate::json;
use crate::namespaces::NamespaceKind;
use crate::path::Path;
use crate::resources::Resources;
use crate::schema;
use crate::text::Str;

/// Reads and checks a `config.json`.
///
/// # Errors
/// The first thing that is wrong, with its path.
pub fn parse_config(json: &[u8]) -> Result<Config<'_>, ConfigError> {
    config(json::parse(json)?)
}

/// Reads and checks the file of `exec --process`: what `process` is in a `config.json`.
///
/// # Errors
/// As [`parse_config`]; paths begin at the process.
pub fn parse_process(json: &[u8]) -> Result<Process<'_>, ConfigError> {
    let mut warnings = Vec::new();
    let mut process = process::process(json::parse(json)?, &Path::Root, &mut warnings)?;
    process.warnings = warnings;
    Ok(process)
}

/// Reads and checks the file of `mounts`: what `mounts` is in a `config.json`. Beside the mounts stands what was
/// accepted with a doubt.
///
/// # Errors
/// As [`parse_config`].
pub fn parse_mounts(json: &[u8]) -> Result<(Vec<Mount<'_>>, Vec<Warning>), ConfigError> {
    let mut warnings = Vec::new();
    let mounts = mounts::mounts(json::parse(json)?, &Path::Root.field("mounts"), &mut warnings)?;
    Ok((mounts, warnings))
}

/// Reads and checks the file of `update --resources`: what `linux.resources` is in a `config.json`.
///
/// # Errors
/// As [`parse_config`]; paths begin at the resources.
pub fn parse_resources(json: &[u8]) -> Result<Resources<'_>, ConfigError> {
    resources::resources(json::parse(json)?, &Path::Root)
}

/// `__NEW_UTS_LEN`: the longest name that sethostname(2) takes.
const MAX_UTS_NAME: usize = 64;

fn config(raw: schema::Config<'_>) -> Result<Config<'_>, ConfigError> {
    let root = Path::Root;
    let mut warnings = Vec::new();
    let oci_version = oci_version(raw.oci_version.clone(), &root.field("ociVersion"))?;
    let process =
        process::process(root.field("process").require(raw.process)?, &root.field("process"), &mut warnings)?;
    let config = Config {
        oci_version,
        process,
        root: root_section(root.field("root").require(raw.root)?, &root.field("root"))?,
        hostname: uts_name(raw.hostname, &root.field("hostname"))?,
        domainname: uts_name(raw.domainname, &root.field("domainname"))?,
        hooks: hooks::hooks(raw.hooks.unwrap_or_default(), &root.field("hooks"))?,
        annotations: annotations(raw.annotations.unwrap_or_default(), &root.field("annotations"))?,
        mounts: mounts::mounts(raw.mounts.unwrap_or_default(), &root.field("mounts"), &mut warnings)?,
        linux: linux::linux(raw.linux.unwrap_or_default(), &root.field("linux"), &mut warnings)?,
        warnings,
    };
    check_across(&config)?;
    Ok(config)
}

/// `ociVersion`: a semantic version of the major version 1. A later minor version is accepted: its additions are
/// unknown fields, which the specification tells a runtime to ignore.
fn oci_version<'a>(version: Option<Str<'a>>, at: &Path<'_>) -> Result<Str<'a>, ConfigError> {
    let version = at.require(version)?;
    let mut parts = version.splitn(3, '.');
    let is_number = |part: Option<&str>| {
        part.is_some_and(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
    };
    let (major, minor) = (parts.next(), parts.next());
    // What follows the patch number: a pre-release ("-dev") or a build ("+dev").
    let patch = parts.next().and_then(|rest| rest.split(['-', '+']).next());
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+');
    if ![major, minor, patch].into_iter().all(is_number) || !version.bytes().all(legal) {
        return Err(
            at.illegal_hint(format!("{:?} is not a version", version.as_str()), "a version is such as 1.3.0")
        );
    }
    if major != Some("1") {
        let reason = format!("version {version} of the specification is not known");
        return Err(at.illegal_hint(
            reason,
            "this version of masu reads versions 1.0.0 to 1.3.0, and later ones of 1.x",
        ));
    }
    Ok(version)
}

/// The specification's "Annotations": any texts, but no key without a name.
fn annotations<'a>(
    annotations: BTreeMap<Str<'a>, Str<'a>>,
    at: &Path<'_>,
) -> Result<BTreeMap<Str<'a>, Str<'a>>, ConfigError> {
    if annotations.contains_key("") {
        return Err(at.key("").illegal("the key is empty"));
    }
    Ok(annotations)
}

fn root_section<'a>(raw: schema::Root<'a>, at: &Path<'_>) -> Result<Root<'a>, ConfigError> {
    let path = at.field("path");
    let text = path.c_string(path.require(raw.path)?)?;
    if text.is_empty() {
        return Err(path.illegal("is empty"));
    }
    Ok(Root { path: text, readonly: raw.readonly.unwrap_or_default() })
}

fn uts_name<'a>(name: Option<Str<'a>>, at: &Path<'_>) -> Result<Option<Str<'a>>, ConfigError> {
    let name = at.non_empty(name)?;
    match name.as_ref().map(|name| name.len()) {
        Some(length) if length > MAX_UTS_NAME => {
            Err(at.illegal(format!("is {length} bytes long, more than the kernel's {MAX_UTS_NAME}")))
        }
        _ => Ok(name),
    }
}

/// What two sections must agree on.
fn check_across(config: &Config<'_>) -> Result<(), ConfigError> {
    let root = Path::Root;
    let linux_at = root.field("linux");
    let linux = &config.linux;
    let needs = |present: bool, kind: NamespaceKind, at: Path<'_>| {
        if present && !linux.namespaces.contains(kind) { Err(needs_namespace(kind, &at)) } else { Ok(()) }
    };
    // Without a namespace of the container's own these would change the host.
    needs(config.hostname.is_some(), NamespaceKind::Uts, root.field("hostname"))?;
    needs(config.domainname.is_some(), NamespaceKind::Uts, root.field("domainname"))?;
    needs(!linux.masked_paths.is_empty(), NamespaceKind::Mount, linux_at.field("maskedPaths"))?;
    needs(!linux.readonly_paths.is_empty(), NamespaceKind::Mount, linux_at.field("readonlyPaths"))?;
    check_user(config)
}

fn needs_namespace(kind: NamespaceKind, at: &Path<'_>) -> ConfigError {
    let hint = match kind {
        NamespaceKind::User => r#"add {"type": "user"} to linux.namespaces"#,
        NamespaceKind::Mount => r#"add {"type": "mount"} to linux.namespaces"#,
        NamespaceKind::Network => r#"add {"type": "network"} to linux.namespaces"#,
        NamespaceKind::Ipc => r#"add {"type": "ipc"} to linux.namespaces"#,
        NamespaceKind::Uts => r#"add {"type": "uts"} to linux.namespaces"#,
        NamespaceKind::Time => r#"add {"type": "time"} to linux.namespaces"#,
        NamespaceKind::Pid | NamespaceKind::Cgroup => "add it to linux.namespaces",
    };
    at.illegal_hint(
        format!("needs the {} namespace, which linux.namespaces does not list", kind.name()),
        hint,
    )
}

/// In a new user namespace an ID without mapping does not exist: setresuid(2) would fail with EINVAL.
fn check_user(config: &Config<'_>) -> Result<(), ConfigError> {
    let Linux { namespaces, uid_mappings, gid_mappings, .. } = &config.linux;
    if !namespaces.is_new(NamespaceKind::User) {
        return Ok(());
    }
    let root = Path::Root;
    let at = root.field("process.user");
    let user = &config.process.user;
    ids::check_mapped(user.uid, uid_mappings, "linux.uidMappings", &at.field("uid"))?;
    ids::check_mapped(user.gid, gid_mappings, "linux.gidMappings", &at.field("gid"))?;
    let gids_at = at.field("additionalGids");
    for (index, gid) in user.additional_gids.iter().enumerate() {
        ids::check_mapped(*gid, gid_mappings, "linux.gidMappings", &gids_at.index(index))?;
    }
    check_mount_owners(config)
}

/// The options `uid=` and `gid=` of file systems, such as devpts, name IDs of the new user namespace too: the kernel
/// answers one that is not mapped with EINVAL.
fn check_mount_owners(config: &Config<'_>) -> Result<(), ConfigError> {
    let Linux { uid_mappings, gid_mappings, .. } = &config.linux;
    let mounts_at = Path::Root.field("mounts");
    for (index, mount) in config.mounts.iter().enumerate() {
        for option in &mount.options.data {
            let (id, mappings, field) = match option.split_once('=') {
                Some(("uid", id)) => (id, uid_mappings, "linux.uidMappings"),
                Some(("gid", id)) => (id, gid_mappings, "linux.gidMappings"),
                _ => continue,
            };
            let Ok(id) = id.parse() else { continue };
            if mappings.iter().all(|mapping| mapping.to_host(id).is_none()) {
                let reason = format!("{} is not mapped by {field}", option.as_str());
                let at = mounts_at.index(index);
                return Err(at.field("options").illegal_hint(reason, "leave it out, or map it"));
            }
        }
    }
    Ok(())
}

/// The value that a table has for a name; `problem` says what a name is that it does not have.
fn find<T: Copy>(table: &[(&str, T)], name: &str, problem: &str, at: &Path<'_>) -> Result<T, ConfigError> {
    table.iter().find(|(known, _)| *known == name).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<_> = table.iter().map(|(name, _)| *name).collect();
        ConfigError::Illegal {
            path: format!("{at}"),
            reason: format!("{problem} {name:?}; there are {}", names.join(", ")),
            hint: None,
        }
    })
}
