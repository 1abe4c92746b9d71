//! The options of `masu box` in config.json, over what the image says.

#![expect(
    clippy::indexing_slicing,
    reason = "of objects that the bundle's configuration has, or that this file makes"
)]

use std::collections::BTreeSet;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use masu_app::{Failure, Result};
use masu_image::bundle::config::CAPABILITIES;
use masu_image::bundle::image_path;
use masu_image::bundle::profile::Profile;
use rustix::fs::{major, minor};
use serde_json::{Value, json};

use super::names;
use super::network::{self, Choice};
use super::options::{all, one};
use super::values::{self, Mount};

/// Where the init of `--init` is in the container.
const INIT: &str = "/run/masu-init";
/// Programs that reap and pass signals on, statically linked: nothing else runs in an image without a C library.
const INITS: [&str; 5] = [
    "/usr/libexec/podman/catatonit",
    "/usr/bin/catatonit",
    "/usr/libexec/catatonit",
    "/usr/bin/tini-static",
    "/usr/bin/docker-init",
];

/// Proves that they can be put into a configuration, before anything is fetched.
///
/// # Errors
///
/// For a value that is none, and a path that is not there.
pub(super) fn check(matches: &ArgMatches, network: &Choice) -> Result<()> {
    let mut config = serde_json::from_str(&masu_spec::default_config(true))
        .map_err(|error| Failure::new(format!("the default configuration: {error}")))?;
    set_process(&mut config, matches, "", network)?;
    add_mounts(&mut config, matches, None, false)
}

/// Puts all of them into the configuration.
pub(super) fn apply(
    config: &mut Value,
    matches: &ArgMatches,
    name: &str,
    bundle: &Path,
    in_namespace: bool,
    network: &Choice,
) -> Result<()> {
    set_process(config, matches, name, network)?;
    // Before the volumes, which may be mounted over them.
    names::add(config, bundle, network)?;
    if let Choice::Attached(kind, ports) = network {
        network::add(config, bundle, kind, ports)?;
    }
    add_mounts(config, matches, Some(bundle), in_namespace)
}

fn set_process(config: &mut Value, matches: &ArgMatches, name: &str, network: &Choice) -> Result<()> {
    config["process"]["terminal"] = matches.get_flag("tty").into();
    if matches.get_flag("read-only") {
        config["root"]["readonly"] = true.into();
    }
    set_namespaces(config, matches, name, network)?;
    set_capabilities(config, matches)?;
    set_security(config, matches)?;
    set_limits(config, matches)?;
    for text in all(matches, "sysctl") {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| Failure::new(format!("--sysctl {text}: it is not NAME=VALUE")))?;
        config["linux"]["sysctl"][key] = value.into();
    }
    Ok(())
}

/// Without a bundle there are no images to be mounted yet.
fn add_mounts(
    config: &mut Value,
    matches: &ArgMatches,
    bundle: Option<&Path>,
    in_namespace: bool,
) -> Result<()> {
    let mut targets = Targets(BTreeSet::new());
    for text in all(matches, "volume") {
        let mount = values::volume(text)?;
        targets.take("volume", &mount.target)?;
        add_mount(config, &mount)?;
    }
    let mut images = 0..;
    for mount in mounts(matches)? {
        targets.take("mount", &mount.target)?;
        match (mount.kind.as_str(), bundle) {
            (IMAGE, None) => {}
            (IMAGE, Some(bundle)) => {
                let source = images.next().map(|number| image_path(bundle, number)).unwrap_or_default();
                let source = source.to_string_lossy().into_owned();
                add_mount(config, &Mount { kind: "bind".into(), source, ..mount })?;
            }
            _ => add_mount(config, &mount)?,
        }
    }
    for text in all(matches, "device") {
        add_device(config, text, in_namespace)?;
    }
    if matches.get_flag("init") {
        add_init(config)?;
    }
    Ok(())
}

/// The targets of `--volume` and `--mount`, each of which is mounted on once.
struct Targets(BTreeSet<PathBuf>);

impl Targets {
    fn take(&mut self, option: &str, target: &str) -> Result<()> {
        // By its components: a slash at the end is none.
        match self.0.insert(Path::new(target).components().collect()) {
            true => Ok(()),
            false => Err(Failure::new(format!("--{option}: {target} is the target of two mounts"))),
        }
    }
}

/// What a mount of an image is called.
const IMAGE: &str = "image";

/// All of `--mount`.
fn mounts(matches: &ArgMatches) -> Result<Vec<Mount>> {
    all(matches, "mount").map(values::mount).collect()
}

/// The images that are to be mounted, in the order in which the bundle has them.
///
/// # Errors
///
/// For what is no mount.
pub(super) fn images(matches: &ArgMatches) -> Result<Vec<String>> {
    let mounts = mounts(matches)?.into_iter();
    Ok(mounts.filter(|mount| mount.kind == IMAGE).map(|mount| mount.source).collect())
}

fn push(list: &mut Value, element: Value) {
    match list.as_array_mut() {
        Some(elements) => elements.push(element),
        None => *list = json!([element]),
    }
}

fn set_namespaces(config: &mut Value, matches: &ArgMatches, name: &str, network: &Choice) -> Result<()> {
    let mut kinds: Vec<String> = ["pid", "ipc", "uts", "cgroup"].map(ToOwned::to_owned).to_vec();
    if let Some(list) = one(matches, "ns") {
        let asked: Vec<String> =
            list.split(',').filter(|word| *word != "mount").map(ToOwned::to_owned).collect();
        if let Some(unknown) = asked.iter().find(|kind| !kinds.contains(kind)) {
            let message = format!("--ns {list}: {unknown} is none of pid, ipc, uts, cgroup and mount");
            return Err(Failure::with_hint(message, "--net decides about the network"));
        }
        kinds = asked;
    }
    let has_name = kinds.iter().any(|kind| kind == "uts");
    match (one(matches, "hostname"), has_name) {
        (Some(_), false) => {
            return Err(Failure::with_hint("--hostname would rename this machine", "--ns with uts in it"));
        }
        (given, true) => {
            config["hostname"] = given.unwrap_or(name).chars().take(64).collect::<String>().into()
        }
        (None, false) => {
            if let Some(config) = config.as_object_mut() {
                config.remove("hostname");
            }
        }
    }
    kinds.push("mount".into());
    if !matches!(network, Choice::Host) {
        kinds.push("network".into());
    }
    if config["linux"].get("uidMappings").is_some() {
        kinds.push("user".into());
        if matches!(network, Choice::Host) {
            bind_sys(config);
        }
    }
    config["linux"]["namespaces"] = kinds.iter().map(|kind| json!({ "type": kind })).collect();
    Ok(())
}

/// This machine's own /sys: nobody mounts one in a user namespace that the network does not belong to.
fn bind_sys(config: &mut Value) {
    for mount in
        config["mounts"].as_array_mut().into_iter().flatten().filter(|mount| mount["type"] == "sysfs")
    {
        mount["type"] = "none".into();
        mount["source"] = "/sys".into();
        push(&mut mount["options"], "rbind".into());
    }
}

fn set_capabilities(config: &mut Value, matches: &ArgMatches) -> Result<()> {
    let known = || masu_spec::CAPABILITY_NAMES.iter().map(|name| (*name).to_owned());
    let mut bounding: Vec<String> = CAPABILITIES.map(ToOwned::to_owned).to_vec();
    let mut added = Vec::new();
    // As podman: ALL first, in whichever order they were given.
    if all(matches, "cap-drop").any(|word| word.eq_ignore_ascii_case("all")) {
        bounding.clear();
    }
    if all(matches, "cap-add").any(|word| word.eq_ignore_ascii_case("all")) {
        bounding = known().collect();
    }
    let mut dropped = Vec::new();
    for word in all(matches, "cap-drop").filter(|word| !word.eq_ignore_ascii_case("all")) {
        let capability = values::capability("cap-drop", word)?;
        bounding.retain(|one| *one != capability);
        dropped.push(capability);
    }
    for word in all(matches, "cap-add").filter(|word| !word.eq_ignore_ascii_case("all")) {
        let capability = values::capability("cap-add", word)?;
        if dropped.contains(&capability) {
            return Err(Failure::new(format!("--cap-add {word}: it is dropped too")));
        }
        added.push(capability.clone());
        if !bounding.contains(&capability) {
            bounding.push(capability);
        }
    }
    let process = &mut config["process"];
    // A user other than root begins with what was asked for by name, and keeps it over execve(2).
    process["capabilities"] = if process["user"]["uid"] == 0 {
        json!({ "bounding": bounding, "effective": bounding, "permitted": bounding })
    } else {
        json!({ "bounding": bounding, "effective": added, "permitted": added, "inheritable": added, "ambient": added })
    };
    Ok(())
}

fn set_security(config: &mut Value, matches: &ArgMatches) -> Result<()> {
    let bounding: Vec<String> =
        serde_json::from_value(config["process"]["capabilities"]["bounding"].clone()).unwrap_or_default();
    let bounding: Vec<&str> = bounding.iter().map(String::as_str).collect();
    let default = Profile::default_one().map_err(|error| Failure::new(error.to_string()))?;
    let mut seccomp = Some(default.for_capabilities(&bounding));
    for word in all(matches, "security-opt") {
        match word.split_once('=').or_else(|| word.split_once(':')).unwrap_or((word, "")) {
            ("seccomp", "unconfined") => seccomp = None,
            ("seccomp", file) => {
                let told =
                    |error: &dyn std::fmt::Display| Failure::new(format!("--security-opt {word}: {error}"));
                let text = std::fs::read_to_string(file).map_err(|error| told(&error))?;
                let profile = Profile::parse(&text).map_err(|error| told(&error))?;
                seccomp = Some(profile.for_capabilities(&bounding));
            }
            ("no-new-privileges", "" | "true") => config["process"]["noNewPrivileges"] = true.into(),
            ("no-new-privileges", "false") => config["process"]["noNewPrivileges"] = false.into(),
            ("unmask", paths) if !paths.is_empty() => unmask(config, paths),
            _ => {
                let message = format!("--security-opt {word}: it is not known");
                return Err(Failure::with_hint(
                    message,
                    "seccomp=FILE, seccomp=unconfined, no-new-privileges=false, unmask=ALL, unmask=PATH:PATH",
                ));
            }
        }
    }
    match (seccomp, config["linux"].as_object_mut()) {
        (Some(seccomp), Some(linux)) => drop(linux.insert("seccomp".into(), seccomp)),
        (None, Some(linux)) => drop(linux.remove("seccomp")),
        (_, None) => {}
    }
    Ok(())
}

/// Takes masks and write protection of these paths of /proc and /sys away, or of all: in a container with masks the kernel
/// mounts no /proc for containers of its own.
fn unmask(config: &mut Value, paths: &str) {
    let is_meant = |path: &Value| {
        paths.eq_ignore_ascii_case("all") || paths.split(':').any(|meant| path.as_str() == Some(meant))
    };
    for list in ["maskedPaths", "readonlyPaths"] {
        if let Some(list) = config["linux"][list].as_array_mut() {
            list.retain(|path| !is_meant(path));
        }
    }
}

fn set_limits(config: &mut Value, matches: &ArgMatches) -> Result<()> {
    let resources = &mut config["linux"]["resources"];
    if let Some(text) = one(matches, "memory") {
        let bytes =
            masu_spec::parse_size(text).map_err(|error| Failure::new(format!("--memory {text}: {error}")))?;
        resources["memory"]["limit"] = bytes.into();
    }
    if let Some(text) = one(matches, "cpus") {
        resources["cpu"]["quota"] = values::cpu_quota(text)?.into();
        resources["cpu"]["period"] = 100_000.into();
    }
    if let Some(list) = one(matches, "cpuset-cpus") {
        resources["cpu"]["cpus"] = list.into();
    }
    if let Some(number) = matches.get_one::<i64>("pids-limit") {
        // As podman's: no process at all would be no container.
        resources["pids"]["limit"] = if *number == 0 { -1 } else { *number }.into();
    }
    if resources.is_null() {
        *resources = json!({});
    }
    for text in all(matches, "ulimit") {
        let (kind, soft, hard) = values::ulimit(text)?;
        push(&mut config["process"]["rlimits"], json!({ "type": kind, "soft": soft, "hard": hard }));
    }
    Ok(())
}

/// Takes the limits of the cgroup away again; whether there were any.
pub(super) fn drop_limits(config: &mut Value) -> bool {
    let Some(resources) = config["linux"]["resources"].as_object_mut() else { return false };
    let before = resources.len();
    resources.retain(|name, _| !["memory", "cpu", "pids"].contains(&name.as_str()));
    resources.len() < before
}

pub(super) fn add_mount(config: &mut Value, mount: &Mount) -> Result<()> {
    let source = match mount.kind.as_str() {
        "bind" => std::fs::canonicalize(&mount.source)
            .map_err(|error| Failure::new(format!("mount {} on {}: {error}", mount.source, mount.target)))?,
        kind => kind.into(),
    };
    let mount = json!({
        "destination": mount.target, "type": mount.kind, "source": source.to_string_lossy(), "options": mount.options,
    });
    push(&mut config["mounts"], mount);
    Ok(())
}

/// A device node and the right to use it; in a user namespace, where nobody may make nodes, the host's own.
fn add_device(config: &mut Value, text: &str, in_namespace: bool) -> Result<()> {
    let (source, target, access) = values::device(text)?;
    let wrong = |problem: &dyn std::fmt::Display| Failure::new(format!("--device {text}: {problem}"));
    let found = std::fs::metadata(source).map_err(|error| wrong(&error))?;
    let kind = match found.file_type() {
        kind if kind.is_char_device() => "c",
        kind if kind.is_block_device() => "b",
        _ => return Err(wrong(&format!("{source} is no device"))),
    };
    if in_namespace {
        let options = ["bind", "rprivate", "nosuid", "noexec"].map(ToOwned::to_owned).to_vec();
        return add_mount(
            config,
            &Mount { kind: "bind".into(), source: source.into(), target: target.into(), options },
        );
    }
    let (major, minor) = (major(found.rdev()), minor(found.rdev()));
    push(
        &mut config["linux"]["devices"],
        json!({
            "path": target, "type": kind, "major": major, "minor": minor,
            "fileMode": found.mode() & 0o777, "uid": found.uid(), "gid": found.gid(),
        }),
    );
    push(
        &mut config["linux"]["resources"]["devices"],
        json!({ "allow": true, "type": kind, "major": major, "minor": minor, "access": access }),
    );
    Ok(())
}

fn add_init(config: &mut Value) -> Result<()> {
    let Some(program) = INITS.iter().find(|path| Path::new(path).is_file()) else {
        return Err(Failure::with_hint("--init: no init is installed", "install the package catatonit"));
    };
    let options = ["bind", "rprivate", "ro"].map(ToOwned::to_owned).to_vec();
    let source = (*program).to_owned();
    add_mount(config, &Mount { kind: "bind".into(), source, target: INIT.into(), options })?;
    if let Some(args) = config["process"]["args"].as_array_mut() {
        args.splice(0..0, [INIT.into(), "--".into()]);
    }
    Ok(())
}
