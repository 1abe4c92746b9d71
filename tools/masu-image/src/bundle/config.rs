//! config.json for an image: the image specification's conversion.md, on masu's default configuration.

#![expect(
    clippy::indexing_slicing,
    reason = "of objects that the default configuration, or this file, has just made"
)]

use super::profile::Profile;
use super::user::Identity;
use crate::layer::{IdRange, outside_of};
use crate::manifest::ImageConfig;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::path::Path;

/// What Docker gives a search path to where the image has none.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What an image's root may do: what installing and running programs takes, and nothing that reaches the host. podman's
/// list.
pub const CAPABILITIES: [&str; 11] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// The labels of an image that become annotations. No others: annotations tell a runtime what to do (CVE-2026-94603).
const ANNOTATIONS: &str = "org.opencontainers.image.";

/// The ids of a container with a user namespace.
#[derive(Debug, Clone, Copy)]
pub struct Ids<'a> {
    /// Inside and outside.
    pub maps: &'a IdMaps,
    /// Whether it is an ordinary user's, who can give it less than root can.
    pub is_users: bool,
    /// Whether a file belongs to the id inside that its layer says. Otherwise it belongs to the one outside.
    pub shifts: bool,
}

/// What ids inside are outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMaps {
    /// Users.
    pub uids: Vec<IdRange>,
    /// Groups.
    pub gids: Vec<IdRange>,
}

impl IdMaps {
    /// Those of the user namespace that this process is in.
    ///
    /// # Errors
    ///
    /// [`Error::File`] when procfs does not tell.
    pub fn of_this_process() -> Result<Self> {
        let read = |file: &str| -> Result<Vec<IdRange>> {
            let path = Path::new(file);
            let text = std::fs::read_to_string(path).map_err(Error::file("read", path))?;
            Ok(parse_map(&text))
        };
        Ok(Self { uids: read("/proc/self/uid_map")?, gids: read("/proc/self/gid_map")? })
    }

    /// Those of a configuration, if it has some.
    ///
    /// # Errors
    ///
    /// [`Error::File`] for what is no map.
    pub fn read(config: &Value) -> Result<Option<Self>> {
        let linux = &config["linux"];
        match (linux.get("uidMappings"), linux.get("gidMappings")) {
            (Some(uids), Some(gids)) => Ok(Some(Self { uids: from_json(uids)?, gids: from_json(gids)? })),
            _ => Ok(None),
        }
    }

    /// What they are where `outer` is the map of the namespace that they lead to.
    #[must_use]
    pub fn through(&self, outer: &Self) -> Self {
        Self { uids: through(&self.uids, &outer.uids), gids: through(&self.gids, &outer.gids) }
    }

    /// Who outside has these ids inside.
    #[must_use]
    pub fn outside(&self, uid: u32, gid: u32) -> Option<(u32, u32)> {
        Some((outside_of(&self.uids, uid)?, outside_of(&self.gids, gid)?))
    }

    /// Makes them those of a configuration.
    pub fn write(&self, config: &mut Value) {
        config["linux"]["uidMappings"] = Self::to_json(&self.uids);
        config["linux"]["gidMappings"] = Self::to_json(&self.gids);
    }

    fn has(&self, identity: &Identity) -> bool {
        self.outside(identity.uid, identity.gid).is_some()
    }

    fn to_json(ranges: &[IdRange]) -> Value {
        let map = |range: &IdRange| json!({ "containerID": range.inside, "hostID": range.outside, "size": range.count });
        ranges.iter().map(map).collect()
    }
}

fn from_json(ranges: &Value) -> Result<Vec<IdRange>> {
    #[derive(Deserialize)]
    struct Range {
        #[serde(rename = "containerID")]
        inside: u32,
        #[serde(rename = "hostID")]
        outside: u32,
        size: u32,
    }
    let ranges: Vec<Range> = serde_json::from_value(ranges.clone()).map_err(|error| Error::Content {
        object: "the maps of config.json".into(),
        problem: error.to_string(),
    })?;
    let range = |range: Range| IdRange { inside: range.inside, outside: range.outside, count: range.size };
    Ok(ranges.into_iter().map(range).collect())
}

/// Each range, in as many pieces as the outer ones make of it.
fn through(ranges: &[IdRange], outer: &[IdRange]) -> Vec<IdRange> {
    let piece = |range: &IdRange, outer: &IdRange| {
        let start = range.outside.max(outer.inside);
        let end = (u64::from(range.outside) + u64::from(range.count))
            .min(u64::from(outer.inside) + u64::from(outer.count));
        let count = u32::try_from(end.checked_sub(start.into())?).ok().filter(|count| *count > 0)?;
        let inside = range.inside + (start - range.outside);
        Some(IdRange { inside, outside: outer.outside + (start - outer.inside), count })
    };
    ranges.iter().flat_map(|range| outer.iter().filter_map(move |outer| piece(range, outer))).collect()
}

/// The lines of user_namespaces(7).
fn parse_map(text: &str) -> Vec<IdRange> {
    let ranges = text.lines().filter_map(|line| {
        let mut numbers = line.split_whitespace().map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some(IdRange { inside: next()?, outside: next()?, count: next()? })
    });
    ranges.collect()
}

/// What a configuration is made from.
#[derive(Debug)]
pub struct Input<'a> {
    /// The image.
    pub image: &'a ImageConfig,
    /// Where in the bundle its root is.
    pub rootfs: &'a str,
    /// Who its user is.
    pub identity: &'a Identity,
    /// The ids of the container, where they are not those of this machine.
    pub ids: Option<Ids<'a>>,
    /// The profile for system calls.
    pub profile: &'a Profile,
}

/// The configuration.
///
/// # Errors
///
/// [`Error::Content`] for a user whose id the container does not have.
pub fn config(input: &Input<'_>) -> Result<Value> {
    // With a cgroup namespace, whichever version the host has.
    let text = match input.ids {
        Some(Ids { is_users: true, .. }) => masu_spec::rootless_config(true, 0, 0),
        _ => masu_spec::default_config(true),
    };
    let mut config: Value = serde_json::from_str(&text).map_err(|error| Error::Content {
        object: "the default configuration".into(),
        problem: error.to_string(),
    })?;
    if let Some(Ids { maps, is_users, .. }) = input.ids {
        check_identity(input.identity, maps, is_users)?;
        maps.write(&mut config);
    }
    set_process(&mut config, input);
    config["root"] = json!({ "path": input.rootfs, "readonly": false });
    config["linux"]["seccomp"] = input.profile.for_capabilities(&CAPABILITIES);
    if let (Some(mounts), Some(volumes)) =
        (config["mounts"].as_array_mut(), input.image.config.as_ref().and_then(|run| run.volumes.as_ref()))
    {
        mounts.extend(volumes.keys().map(|path| volume(path)));
    }
    let annotations = annotations(input.image);
    if !annotations.is_empty() {
        config["annotations"] = annotations.into();
    }
    Ok(config)
}

fn check_identity(identity: &Identity, maps: &IdMaps, is_users: bool) -> Result<()> {
    if maps.has(identity) {
        return Ok(());
    }
    let (uid, gid) = (identity.uid, identity.gid);
    let problem = match is_users {
        true => format!(
            "its user is {uid}:{gid}, and the caller is granted no such ids in /etc/subuid and /etc/subgid"
        ),
        false => format!("its user is {uid}:{gid}, and the container has no such ids"),
    };
    Err(Error::Content { object: "configuration of the image".into(), problem })
}

fn set_process(config: &mut Value, input: &Input<'_>) {
    let default = crate::manifest::RunConfig::default();
    let run = input.image.config.as_ref().unwrap_or(&default);
    let list = |words: &Option<Vec<String>>| words.clone().unwrap_or_default();
    let mut args = list(&run.entrypoint);
    args.extend(list(&run.cmd));
    if args.is_empty() {
        args.push("sh".into());
    }
    let mut env = list(&run.env);
    if !env.iter().any(|variable| variable.starts_with("PATH=")) {
        env.insert(0, PATH.into());
    }
    if !env.iter().any(|variable| variable.starts_with("TERM=")) {
        env.push("TERM=xterm".into());
    }
    let process = &mut config["process"];
    process["args"] = args.into();
    process["env"] = env.into();
    process["cwd"] = run.working_dir.as_deref().filter(|path| !path.is_empty()).unwrap_or("/").into();
    process["user"] = json!({ "uid": input.identity.uid, "gid": input.identity.gid });
    // Without the set-user-ID programs that map ranges, setgroups(2) is denied. The first group is among them: a
    // set-group-ID program would be rid of it, and of what it may not do, otherwise (CVE-2022-2989 of podman).
    let may_set_groups = input.ids.is_none_or(|ids| !ids.is_users || ids.maps.gids.len() > 1);
    if may_set_groups {
        let groups: Vec<u32> =
            [input.identity.gid].into_iter().chain(input.identity.groups.iter().copied()).collect();
        process["user"]["additionalGids"] = groups.into();
    }
    let root = if input.identity.uid == 0 { &CAPABILITIES[..] } else { &[] };
    // The bounding set stays for all: it is what a set-user-ID program would get at most.
    process["capabilities"] = json!({ "bounding": CAPABILITIES, "effective": root, "permitted": root });
    // The caller's limits: an image's server may need more descriptors than the 1,024 of the default.
    if let Some(process) = process.as_object_mut() {
        process.remove("rlimits");
    }
}

/// A volume without a name: in memory, with what the image has there, and gone with the container.
fn volume(path: &str) -> Value {
    json!({
        "destination": path,
        "type": "tmpfs",
        "source": "tmpfs",
        "options": ["tmpcopyup", "nosuid", "nodev"],
    })
}

/// What conversion.md derives, and over it the labels of the same kind.
fn annotations(image: &ImageConfig) -> Map<String, Value> {
    let run = image.config.as_ref();
    let ports: Vec<&str> = run
        .and_then(|run| run.exposed_ports.as_ref())
        .map(|ports| ports.keys().map(String::as_str).collect())
        .unwrap_or_default();
    let derived = [
        ("os", Some(image.os.clone())),
        ("architecture", Some(image.architecture.clone())),
        ("variant", image.variant.clone()),
        ("author", image.author.clone()),
        ("created", image.created.clone()),
        ("stopSignal", run.and_then(|run| run.stop_signal.clone())),
        ("exposedPorts", Some(ports.join(","))),
    ];
    let mut annotations = Map::new();
    for (name, value) in derived {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            annotations.insert(format!("{ANNOTATIONS}{name}"), value.into());
        }
    }
    for (name, value) in run.and_then(|run| run.labels.as_ref()).into_iter().flatten() {
        if name.starts_with(ANNOTATIONS) {
            annotations.insert(name.clone(), value.clone().into());
        }
    }
    annotations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(run: &str) -> ImageConfig {
        let text = format!(
            r#"{{"architecture":"amd64","os":"linux","created":"2026-01-02T03:04:05Z","config":{run},
            "rootfs":{{"type":"layers","diff_ids":[]}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn made(run: &str, identity: &Identity, maps: Option<&IdMaps>) -> Result<Value> {
        let profile = Profile::default_one().unwrap();
        let ids = maps.map(|maps| Ids { maps, is_users: true, shifts: false });
        config(&Input { image: &image(run), rootfs: "rootfs", identity, ids, profile: &profile })
    }

    #[test]
    fn the_program_is_the_entrypoint_with_the_command_behind_it() {
        let cases = [
            (r#"{"Entrypoint":["/init"],"Cmd":["a","b"]}"#, json!(["/init", "a", "b"])),
            (r#"{"Cmd":["bash"]}"#, json!(["bash"])),
            (r#"{"Entrypoint":["/init"],"Cmd":null}"#, json!(["/init"])),
            ("{}", json!(["sh"])),
        ];
        for (run, args) in cases {
            assert_eq!(made(run, &Identity::default(), None).unwrap()["process"]["args"], args, "{run}");
        }
    }

    #[test]
    fn what_the_image_leaves_open_has_a_default() {
        let process = &made("{}", &Identity::default(), None).unwrap()["process"];
        assert_eq!(process["cwd"], "/");
        assert_eq!(process["env"], json!([PATH, "TERM=xterm"]));
        let run = r#"{"Env":["PATH=/x","TERM=dumb","A=B"],"WorkingDir":"/srv"}"#;
        let process = &made(run, &Identity::default(), None).unwrap()["process"];
        assert_eq!(process["cwd"], "/srv");
        assert_eq!(process["env"], json!(["PATH=/x", "TERM=dumb", "A=B"]));
    }

    #[test]
    fn a_user_other_than_root_begins_without_capabilities() {
        let web = Identity { uid: 33, gid: 34, groups: vec![50] };
        let process = &made("{}", &web, None).unwrap()["process"];
        assert_eq!(process["user"], json!({"uid": 33, "gid": 34, "additionalGids": [34, 50]}));
        let capabilities = &process["capabilities"];
        assert_eq!(capabilities["effective"], json!([]));
        assert_eq!(capabilities["permitted"], json!([]));
        assert_eq!(capabilities["bounding"], json!(CAPABILITIES));
        assert_eq!(capabilities.get("inheritable").or(capabilities.get("ambient")), None);
    }

    #[test]
    fn of_the_labels_only_those_of_the_image_specification_become_annotations() {
        let run = r#"{"StopSignal":"SIGQUIT","ExposedPorts":{"80/tcp":{},"443/tcp":{}},"Labels":{
            "org.opencontainers.image.title":"t","org.opencontainers.image.created":"then","run.oci.handler":"krun",
            "run.oci.hooks.stdout":"/etc/x","org.systemd.property.ExecStart":"'/x'","org.criu.config":"/x",
            "bundle":"/","io.container.manager":"x","module.wasm.image/variant":"compat"}}"#;
        let config = made(run, &Identity::default(), None).unwrap();
        assert_eq!(
            config["annotations"],
            json!({
                "org.opencontainers.image.os": "linux",
                "org.opencontainers.image.architecture": "amd64",
                "org.opencontainers.image.created": "then",
                "org.opencontainers.image.stopSignal": "SIGQUIT",
                "org.opencontainers.image.exposedPorts": "443/tcp,80/tcp",
                "org.opencontainers.image.title": "t",
            })
        );
    }

    #[test]
    fn the_engine_accepts_what_is_written_without_a_warning() {
        let run = r#"{"Volumes":{"/data":{}},"Cmd":["x"]}"#;
        let (one, many) = (one(), many());
        for maps in [None, Some(&one), Some(&many)] {
            let text = made(run, &Identity::default(), maps).unwrap().to_string();
            let config = masu_spec::parse_config(text.as_bytes()).unwrap();
            assert_eq!(config.warnings, []);
            assert!(config.process.no_new_privileges && !config.root.readonly);
            assert!(config.linux.seccomp.is_some());
            assert!(config.linux.namespaces.contains(masu_spec::NamespaceKind::Cgroup));
            assert_eq!(config.mounts.last().unwrap().destination, "/data");
        }
    }

    #[test]
    fn the_ids_of_a_container_are_those_of_the_namespace_that_its_root_was_written_in() {
        let text = "         0       1000          1\n         1     100000      65536\n";
        assert_eq!(parse_map(text), many().uids);
    }

    #[test]
    fn maps_lead_through_another_namespace() {
        let range = |inside, outside, count| IdRange { inside, outside, count };
        let own = IdMaps {
            uids: vec![range(0, 1, 1000), range(1000, 0, 1), range(1001, 1001, 64_536)],
            gids: vec![range(0, 0, 1)],
        };
        let seen = own.through(&many());
        let uids = [range(0, 100_000, 1000), range(1000, 1000, 1), range(1001, 101_000, 64_536)];
        assert_eq!((seen.uids.as_slice(), seen.gids), (&uids[..], vec![range(0, 1001, 1)]));
        let all = vec![range(0, 0, u32::MAX)];
        assert_eq!(own.through(&IdMaps { uids: all.clone(), gids: all }), own);
        let mut config = json!({ "linux": {} });
        assert_eq!(IdMaps::read(&config).unwrap(), None);
        own.write(&mut config);
        assert_eq!(IdMaps::read(&config).unwrap(), Some(own));
    }

    fn one() -> IdMaps {
        let range = |outside| vec![IdRange { inside: 0, outside, count: 1 }];
        IdMaps { uids: range(1000), gids: range(1001) }
    }

    fn many() -> IdMaps {
        let mut maps = one();
        for ranges in [&mut maps.uids, &mut maps.gids] {
            ranges.push(IdRange { inside: 1, outside: 100_000, count: 65_536 });
        }
        maps
    }

    #[test]
    fn an_ordinary_users_container_has_the_users_that_are_mapped() {
        let web = Identity { uid: 33, gid: 34, groups: vec![50] };
        let error = made("{}", &web, Some(&one())).unwrap_err();
        assert!(error.to_string().contains("33:34"), "{error}");
        let config = made("{}", &web, Some(&many())).unwrap();
        assert_eq!(config["process"]["user"], json!({"uid": 33, "gid": 34, "additionalGids": [34, 50]}));
        assert_eq!(
            config["linux"]["gidMappings"][1],
            json!({"containerID": 1, "hostID": 100_000, "size": 65_536})
        );
        let root = Identity { uid: 0, gid: 0, groups: vec![5] };
        let config = made("{}", &root, Some(&one())).unwrap();
        assert_eq!(config["process"]["user"], json!({"uid": 0, "gid": 0}));
        assert_eq!(config["linux"]["uidMappings"], json!([{"containerID": 0, "hostID": 1000, "size": 1}]));
    }
}
