//! Whole documents, as engines write them.
#[cfg(test)]
mod common;

use common::{minimal, with};
use masu_spec::{
    Atime, Bind, BlockIo, Capabilities, Config, ConsoleSize, Cpu, Device, DeviceAccess, DeviceKind,
    DeviceRule, DeviceRuleKind, HugepageLimit, IdMapping, IntelRdt, InterfacePriority, IoClass, IoPriority,
    Memory, MountAttr, MountFlags, Namespace, NamespaceKind, Network, Policy, Process, Propagation,
    PropagationMode, Rdma, Resources, Rlimit, Scheduler, SchedulerFlags, Str, Terminal, ThrottleDevice,
    TimeOffset, TimeOffsets, User, WeightDevice, parse_config, parse_process, parse_resources,
};
use serde_json::{Value, json};

const COMPLETE: &str = include_str!("data/complete.json");
const CONTAINERD: &str = include_str!("data/containerd.json");
const DOCKER: &str = include_str!("data/docker.json");
const PODMAN: &str = include_str!("data/podman.json");
const RUNC: &str = include_str!("data/runc.json");

fn warnings(config: &Config<'_>) -> Vec<String> {
    config.warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn the_config_of_runc_is_read() {
    let config = parse_config(RUNC.as_bytes()).unwrap();
    assert_eq!(warnings(&config), Vec::<String>::new());
    assert_eq!(config.oci_version, "1.3.0+dev");
    let pts = &config.mounts[2];
    assert_eq!(pts.options.data, ["newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]);
    assert_eq!(pts.options.attr.set, MountAttr::NOSUID | MountAttr::NOEXEC);
    assert_eq!(config.mounts[1].options.attr.atime, Some(Atime::Strictatime));
    assert_eq!(config.mounts[5].options.flags, MountFlags::RDONLY);
    assert_eq!(config.linux.namespaces.new_flags(), 0x6e02_0000);
    let deny_all = DeviceRule {
        allow: false,
        kind: DeviceRuleKind::All,
        major: None,
        minor: None,
        access: DeviceAccess::all(),
    };
    assert_eq!(config.linux.resources, Resources { devices: vec![deny_all], ..Resources::default() });
}

#[test]
fn the_config_of_docker_is_read() {
    let config = parse_config(DOCKER.as_bytes()).unwrap();
    assert_eq!(warnings(&config), Vec::<String>::new());
    assert_eq!(config.process.args[2], "echo hi && sleep 1 > /dev/null");
    assert_eq!(
        config.linux.namespaces.join_path(NamespaceKind::Network),
        Some("/var/run/docker/netns/9a8b7c6d5e4f")
    );
    assert_eq!(config.mounts[7].options.bind, Bind::Rbind);
    assert_eq!(config.mounts[7].fs_type, None);
    // Docker writes zeros for what is not limited.
    assert_eq!((config.linux.resources.cpu.shares, config.linux.resources.block_io.weight), (None, None));
    assert_eq!(config.linux.resources.devices.len(), 8);
}

#[test]
fn the_config_of_podman_is_read() {
    let config = parse_config(PODMAN.as_bytes()).unwrap();
    assert_eq!(warnings(&config), Vec::<String>::new());
    assert_eq!(config.process.args[2], "exec >/tmp/log 2>&1; id");
    assert_eq!(config.process.user.umask, Some(0o022));
    let nproc = config.process.rlimits[1];
    assert_eq!((nproc.name(), nproc.soft, nproc.hard), ("RLIMIT_NPROC", u64::MAX, u64::MAX));
    assert!(config.mounts[9].options.tmpcopyup);
    assert_eq!(config.mounts[9].options.data, ["size=64m", "mode=1777"]);
    assert_eq!((config.linux.devices[0].kind, config.linux.devices[0].mode), (DeviceKind::Char, 0o666));
    assert_eq!(config.linux.uid_mappings, [IdMapping { container_id: 0, host_id: 100_000, size: 65536 }]);
    assert_eq!(config.annotations["org.systemd.property.TimeoutStopUSec"], "uint64 10000000");
    assert_eq!(
        config.linux.rootfs_propagation,
        Some(Propagation { mode: PropagationMode::Slave, recursive: false })
    );
}

#[test]
fn the_config_of_containerd_is_read_with_mappings_beside_a_joined_user_namespace() {
    let config = parse_config(CONTAINERD.as_bytes()).unwrap();
    assert_eq!(warnings(&config), Vec::<String>::new());
    assert_eq!(config.linux.namespaces.join_path(NamespaceKind::User), Some("/proc/4242/ns/user"));
    assert_eq!(config.linux.uid_mappings[0].host_id, 65536);
    assert_eq!(config.mounts[3].options.recursive.set, MountAttr::RDONLY);
    assert_eq!(config.process.oom_score_adj, Some(-998));
    assert_eq!(config.linux.resources.memory, Memory::default());
    assert_eq!(config.linux.resources.cpu, Cpu { shares: Some(2), ..Cpu::default() });
}

#[test]
fn every_field_of_the_process_arrives() {
    let process = parse_config(COMPLETE.as_bytes()).unwrap().process;
    let expected = Process {
        terminal: None,
        args: vec!["a".into(), "b".into()],
        env: vec!["A=".into(), "B=c=d".into()],
        cwd: "/w".into(),
        user: User { uid: 1, gid: 2, umask: Some(0o077), additional_gids: vec![3, 4] },
        rlimits: vec![
            Rlimit { resource: 4, soft: 0, hard: u64::MAX },
            Rlimit { resource: 15, soft: 7, hard: 7 },
        ],
        capabilities: Some(Capabilities {
            bounding: 1 | 1 << 39,
            effective: 1 << 5,
            inheritable: 1 << 7,
            permitted: 1 << 21,
            ambient: 1 << 40,
        }),
        no_new_privileges: true,
        apparmor_profile: Some("p".into()),
        selinux_label: Some("a:b:c:s0:c1,c2".into()),
        oom_score_adj: Some(-1000),
        scheduler: Some(Scheduler {
            policy: Policy::RoundRobin,
            nice: 0,
            priority: 7,
            flags: SchedulerFlags::RESET_ON_FORK,
            runtime: 0,
            deadline: 0,
            period: 0,
        }),
        io_priority: Some(IoPriority { class: IoClass::Idle, priority: 3 }),
        exec_cpu_affinity: process.exec_cpu_affinity.clone(),
        warnings: vec![],
    };
    assert_eq!(process.io_priority.map(IoPriority::value), Some(3 << 13 | 3));
    let affinity = process.exec_cpu_affinity.clone().expect("is given");
    let bytes = [affinity.initial, affinity.last].map(|set| set.map(|set| set.as_bytes().to_vec()));
    assert_eq!(bytes, [3, 2].map(|first| Some(vec![first, 0, 0, 0, 0, 0, 0, 0])));
    assert_eq!(process, expected);
}

#[test]
fn every_field_of_intel_rdt_arrives() {
    let all = json!({"closID": "c", "l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=9", "schemata": ["L2:0=1", ""],
        "enableMonitoring": true});
    let expected = IntelRdt {
        clos_id: Some("c".into()),
        l3_cache_schema: Some("L3:0=f".into()),
        mem_bw_schema: Some("MB:0=9".into()),
        schemata: vec!["L2:0=1".into()],
        enable_monitoring: true,
    };
    let default = IntelRdt { clos_id: Some("/".into()), ..IntelRdt::default() };
    for (value, expected) in [
        (all, Some(expected)),
        (json!({}), Some(IntelRdt::default())),
        (json!({"closID": "/"}), Some(default)),
        (Value::Null, None),
    ] {
        let config = json!({"ociVersion": "1.3.0", "process": {"args": ["a"], "cwd": "/"}, "root": {"path": "r"},
            "linux": {"intelRdt": value}});
        assert_eq!(parse_config(config.to_string().as_bytes()).unwrap().linux.intel_rdt, expected);
    }
}

#[test]
fn a_doubtful_value_is_accepted_with_a_warning() {
    let config = parse_config(COMPLETE.as_bytes()).unwrap();
    let expected = [
        "process.capabilities.effective[1]: unknown capability \"CAP_NEW\" is left out",
        "process.capabilities.permitted[1]: unknown capability \"kill\" is left out",
        "mounts[0].destination: \"rel/../x\" is not absolute and is taken below /",
    ];
    assert_eq!(warnings(&config), expected);
    let process = parse_process(br#"{"args":["a"],"cwd":"/","capabilities":{"ambient":["X"]}}"#).unwrap();
    assert_eq!(
        process.warnings[0].to_string(),
        "capabilities.ambient[0]: unknown capability \"X\" is left out"
    );
    assert_eq!(process.user, User::default());
}

#[test]
fn every_field_of_the_upper_sections_arrives() {
    let config = parse_config(COMPLETE.as_bytes()).unwrap();
    assert_eq!((config.root.path.as_str(), config.root.readonly), ("/r", true));
    assert_eq!((config.hostname, config.domainname), (Some("h".into()), Some("d".into())));
    assert_eq!(config.annotations, [("empty".into(), "".into()), ("k".into(), "v".into())].into());
    let [tmpfs, bind, proc] = config.mounts.as_slice() else { panic!("three mounts") };
    assert_eq!((tmpfs.destination.as_str(), tmpfs.fs_type.as_deref()), ("/rel/../x", Some("tmpfs")));
    assert_eq!((tmpfs.options.attr.attr_set(), tmpfs.options.flags), (0x11, MountFlags::RDONLY));
    assert_eq!(tmpfs.options.data, ["size=1m"]);
    assert_eq!(tmpfs.options.propagation, [Propagation { mode: PropagationMode::Slave, recursive: true }]);
    assert_eq!(
        (bind.options.bind, bind.source.as_deref(), bind.fs_type.as_deref()),
        (Bind::Rbind, Some("src"), None)
    );
    assert_eq!((bind.options.recursive.attr_set(), bind.options.recursive.attr_clr()), (0x1, 0x70));
    assert_eq!((proc.source.as_deref(), proc.fs_type.as_deref()), (None, Some("proc")));
}

#[test]
fn every_field_of_the_linux_section_arrives() {
    let linux = parse_config(COMPLETE.as_bytes()).unwrap().linux;
    let join = |path: &'static str| Namespace::Join(path.into());
    let expected = [
        ("user", Namespace::New, 2),
        ("pid", join("/ns/p"), 7),
        ("mount", Namespace::New, 6),
        ("network", Namespace::New, 5),
        ("ipc", Namespace::New, 4),
        ("uts", Namespace::New, 3),
        ("cgroup", join("/ns/c"), 1),
        ("time", Namespace::New, 0),
    ];
    let entries =
        linux.namespaces.iter().map(|(kind, entry)| (kind.name(), entry.namespace.clone(), entry.index));
    assert_eq!(entries.collect::<Vec<_>>(), expected);
    let monotonic = TimeOffset { secs: -5, nanosecs: 999_999_999 };
    let boottime = TimeOffset { secs: 0, nanosecs: 0 };
    assert_eq!(linux.time_offsets, TimeOffsets { monotonic: Some(monotonic), boottime: Some(boottime) });
    assert_eq!(linux.gid_mappings, [IdMapping { container_id: 0, host_id: 2000, size: 5 }]);
    let device = |path: &'static str, kind, major, minor, mode, uid, gid| Device {
        path: path.into(),
        kind,
        major,
        minor,
        mode,
        uid,
        gid,
    };
    let devices = [
        device("/dev/f", DeviceKind::Fifo, 0, 0, 0o666, 0, 0),
        device("/dev/c", DeviceKind::Char, 4095, 1_048_575, 0o600, 7, 8),
        device("/dev/b", DeviceKind::Block, 0, 0, 0o666, 0, 0),
    ];
    assert_eq!(linux.devices, devices);
    assert_eq!(linux.cgroups_path, Some("../x".into()));
    let sysctl: Vec<_> =
        linux.sysctl.iter().map(|s| (s.key.as_str(), s.file.as_str(), s.value.as_str())).collect();
    let expected = [
        ("fs.mqueue.msg_max", "fs/mqueue/msg_max", "5"),
        ("kernel.domainname", "kernel/domainname", "d"),
        ("kernel.sem", "kernel/sem", "1 2 3 4"),
        ("net/ipv4/conf/eth0.1/forwarding", "net/ipv4/conf/eth0.1/forwarding", "1"),
        ("user.max_net_namespaces", "user/max_net_namespaces", "9"),
    ];
    assert_eq!(sysctl, expected);
    assert_eq!(
        linux.rootfs_propagation,
        Some(Propagation { mode: PropagationMode::Shared, recursive: true })
    );
    assert_eq!((linux.masked_paths, linux.readonly_paths), (vec!["/m".into()], vec!["/o".into()]));
}

/// The resources in `complete.json`.
fn complete_resources() -> Resources<'static> {
    let rule = |allow, kind, major, minor, access| DeviceRule { allow, kind, major, minor, access };
    let throttle = |minor, rate| vec![ThrottleDevice { major: 8, minor, rate }];
    Resources {
        devices: vec![
            rule(false, DeviceRuleKind::All, None, None, DeviceAccess::all()),
            rule(true, DeviceRuleKind::Block, Some(8), None, DeviceAccess::READ),
            rule(true, DeviceRuleKind::Char, None, Some(3), DeviceAccess::MKNOD | DeviceAccess::WRITE),
        ],
        memory: Memory {
            limit: Some(-1),
            reservation: Some(1),
            swap: Some(-1),
            kernel: Some(0),
            kernel_tcp: Some(5),
            swappiness: Some(100),
            disable_oom_killer: true,
            use_hierarchy: true,
            check_before_update: true,
        },
        cpu: Cpu {
            shares: Some(1024),
            quota: Some(-1),
            burst: Some(0),
            period: Some(100_000),
            realtime_runtime: Some(950_000),
            realtime_period: Some(1_000_000),
            cpus: Some("0-3,7".into()),
            mems: Some("0".into()),
            idle: Some(1),
        },
        pids_limit: Some(-1),
        block_io: BlockIo {
            weight: Some(10),
            leaf_weight: Some(1000),
            weight_device: vec![WeightDevice { major: 8, minor: 0, weight: Some(500), leaf_weight: None }],
            throttle_read_bps_device: throttle(1, 1),
            throttle_write_bps_device: throttle(2, 2),
            throttle_read_iops_device: throttle(3, 3),
            throttle_write_iops_device: throttle(4, u64::MAX),
        },
        hugepage_limits: vec![HugepageLimit { page_size: "64KB".into(), limit: u64::MAX }],
        rdma: std::collections::BTreeMap::from([
            ("mlx5_1".into(), Rdma { hca_handles: Some(3), hca_objects: Some(10_000) }),
            ("rxe3".into(), Rdma { hca_handles: None, hca_objects: Some(0) }),
        ]),
        network: Network {
            class_id: Some(0x0010_0001),
            priorities: vec![InterfacePriority { name: "eth0".into(), priority: 500 }],
        },
        unified: [("cpu.weight".into(), "100".into())].into(),
    }
}

#[test]
fn every_field_of_the_resources_arrives() {
    assert_eq!(parse_config(COMPLETE.as_bytes()).unwrap().linux.resources, complete_resources());
}

#[test]
fn a_resources_file_is_read_as_the_section() {
    let value: Value = serde_json::from_str(COMPLETE).unwrap();
    let file = value["linux"]["resources"].to_string();
    assert_eq!(parse_resources(file.as_bytes()).unwrap(), complete_resources());
    assert_eq!(parse_resources(b"{}").unwrap(), Resources::default());
}

#[test]
fn a_console_size_counts_only_beside_a_terminal() {
    let process = |fields: &str| {
        let json = format!(r#"{{"args": ["sh"], "cwd": "/", {fields}}}"#);
        parse_process(json.as_bytes()).unwrap().terminal
    };
    let size = |height, width| Some(Terminal { size: Some(ConsoleSize { height, width }) });
    let none = Some(Terminal { size: None });
    for (fields, terminal) in [
        (r#""terminal": true"#, none),
        (r#""terminal": true, "consoleSize": {"height": 24, "width": 80}"#, size(24, 80)),
        (r#""terminal": true, "consoleSize": {"height": 65535, "width": 1}"#, size(65535, 1)),
        (r#""terminal": true, "consoleSize": {"height": 0, "width": 0}"#, none),
        (r#""terminal": true, "consoleSize": {"height": 24, "width": 0}"#, none),
        (r#""terminal": false, "consoleSize": {"height": 24, "width": 80}"#, None),
        (r#""consoleSize": {"height": 99999}"#, None),
    ] {
        assert_eq!(process(fields), terminal, "{fields}");
    }
}

#[test]
fn null_is_the_same_as_absent() {
    let mut value: Value = serde_json::from_str(COMPLETE).unwrap();
    value["process"] = serde_json::json!({"args": ["a"], "cwd": "/"});
    let absent = value.to_string();
    for field in ["env", "user", "rlimits", "capabilities", "noNewPrivileges", "oomScoreAdj", "terminal"] {
        value["process"][field] = Value::Null;
    }
    assert_eq!(parse_config(value.to_string().as_bytes()), parse_config(absent.as_bytes()));
}

#[test]
fn escapes_in_every_string_and_key_change_nothing() {
    for json in [COMPLETE, CONTAINERD, DOCKER, PODMAN, RUNC] {
        let other = common::escaped(json);
        assert!(other.contains(r#""\u006f\u0063\u0069"#), "{other}");
        assert_eq!(parse_config(other.as_bytes()).unwrap(), parse_config(json.as_bytes()).unwrap());
    }
}

#[test]
fn an_owned_string_outlives_the_document() {
    let json = String::from(r#"{"args":["sh"],"cwd":"/x"}"#);
    let cwd: Str<'static> = parse_process(json.as_bytes()).unwrap().cwd.into_owned();
    drop(json);
    assert_eq!(cwd, "/x");
}

#[test]
fn every_name_that_features_announces_is_read() {
    let features = masu_spec::features();
    let accepts = |pointer: &str, value: Value| {
        let config = with(minimal(), pointer, value).to_string();
        let config = parse_config(config.as_bytes()).unwrap_or_else(|error| panic!("{error}: {config}"));
        assert_eq!(warnings(&config), Vec::<String>::new());
    };
    for version in [features.oci_version_min, features.oci_version_max] {
        accepts("/ociVersion", json!(version));
    }
    for option in &features.mount_options {
        let map = json!([{"containerID": 0, "hostID": 1, "size": 1}]);
        // A bind mount refuses what is not an option of mounts.
        let mount = match *option {
            "tmpcopyup" => json!({"destination": "/a", "type": "tmpfs", "options": [option]}),
            "idmap" | "ridmap" => json!({"destination": "/a", "source": "/b", "options": ["bind", option],
                "uidMappings": map, "gidMappings": map}),
            _ => json!({"destination": "/a", "source": "/b", "options": ["bind", option]}),
        };
        accepts("/mounts/0", mount);
    }
    for kind in &features.hooks {
        accepts(&format!("/hooks/{kind}"), json!([{"path": "/bin/true"}]));
    }
    accepts("/process/capabilities/bounding", json!(features.linux.capabilities));
    for kind in &features.linux.namespaces {
        accepts("/linux/namespaces", json!([{"type": kind, "path": "/proc/1/ns/x"}]));
    }
    let seccomp = &features.linux.seccomp;
    let rule = |action: &str, operator: &str| {
        let arg = json!({"index": 0, "value": 1, "op": operator});
        let rule = json!({"names": ["mkdir"], "action": action, "args": [arg]});
        let listener = (action == "SCMP_ACT_NOTIFY").then_some("/run/socket");
        json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": listener, "syscalls": [rule]})
    };
    seccomp.actions.iter().for_each(|action| accepts("/linux/seccomp", rule(action, "SCMP_CMP_EQ")));
    seccomp.operators.iter().for_each(|operator| accepts("/linux/seccomp", rule("SCMP_ACT_ERRNO", operator)));
    assert!(seccomp.supported_flags.iter().all(|flag| seccomp.known_flags.contains(flag)));
    accepts(
        "/linux/seccomp",
        json!({"defaultAction": "SCMP_ACT_LOG", "architectures": seccomp.archs, "flags": seccomp.known_flags}),
    );
    for mode in &features.linux.memory_policy.modes {
        let nodes = if ["MPOL_DEFAULT", "MPOL_LOCAL"].contains(mode) { "" } else { "0" };
        accepts("/linux/memoryPolicy", json!({"mode": mode, "nodes": nodes}));
    }
    for flag in &features.linux.memory_policy.flags {
        accepts("/linux/memoryPolicy", json!({"mode": "MPOL_BIND", "nodes": "0", "flags": [flag]}));
    }
}
