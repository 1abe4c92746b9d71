use super::*;

/// A microVM with separate version 1 mounts, hugetlb left to the unified hierarchy, and a nested memory cgroup.
const MICROVM_MOUNTS: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
36 31 0:33 / /sys/fs/cgroup/devices rw,relatime - cgroup cgroup rw,devices
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";
const MICROVM_OWN: &str = "\
9:name=systemd:/
5:devices:/
4:memory:/agent/2187eb32
2:cpuacct:/
1:cpu:/
0::/
";

/// systemd on version 1 (CentOS 7): co-mounted controllers, a link `cpu` beside them, named hierarchy with options.
const SYSTEMD_MOUNTS: &str = "\
24 17 0:20 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:8 - tmpfs tmpfs ro,seclabel,mode=755
25 24 0:21 / /sys/fs/cgroup/systemd rw,nosuid,nodev,noexec,relatime shared:9 - cgroup cgroup rw,seclabel,xattr,release_agent=/usr/lib/systemd/systemd-cgroups-agent,name=systemd
28 24 0:24 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid,nodev,noexec,relatime shared:11 - cgroup cgroup rw,seclabel,cpuacct,cpu
29 24 0:25 / /sys/fs/cgroup/net_cls,net_prio rw,nosuid,nodev,noexec,relatime shared:12 - cgroup cgroup rw,seclabel,net_prio,net_cls
30 24 0:26 / /sys/fs/cgroup/devices rw,nosuid,nodev,noexec,relatime shared:13 - cgroup cgroup rw,seclabel,devices
";
const SYSTEMD_OWN: &str = "\
11:hugetlb:/
10:net_prio,net_cls:/
4:devices:/user.slice
3:cpuacct,cpu:/user.slice
1:name=systemd:/user.slice/user-0.slice/session-1.scope
";

/// systemd's hybrid layout (Ubuntu 20.04): the unified hierarchy is there for systemd alone.
const HYBRID_MOUNTS: &str = "\
33 24 0:28 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:9 - tmpfs tmpfs ro,mode=755
34 33 0:29 / /sys/fs/cgroup/unified rw,nosuid,nodev,noexec,relatime shared:10 - cgroup2 cgroup2 rw,nsdelegate
35 33 0:30 / /sys/fs/cgroup/systemd rw,nosuid,nodev,noexec,relatime shared:11 - cgroup cgroup rw,xattr,name=systemd
39 33 0:34 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid,nodev,noexec,relatime shared:16 - cgroup cgroup rw,cpu,cpuacct
40 33 0:35 / /sys/fs/cgroup/devices rw,nosuid,nodev,noexec,relatime shared:17 - cgroup cgroup rw,devices
";
const HYBRID_OWN: &str = "\
9:devices:/user.slice
4:cpu,cpuacct:/user.slice
1:name=systemd:/user.slice/user-1000.slice/session-3.scope
0::/user.slice/user-1000.slice/session-3.scope
";

const V2_MOUNTS: &str = "\
26 23 0:23 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
";

/// Docker's container on version 1 without a cgroup namespace: binds of its own cgroup.
const CONTAINER_MOUNTS: &str = "\
600 599 0:60 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,mode=755
601 600 0:33 /docker/4f /sys/fs/cgroup/devices ro,nosuid,nodev,noexec,relatime master:17 - cgroup cgroup rw,devices
602 600 0:32 /docker/4f /sys/fs/cgroup/memory ro,nosuid,nodev,noexec,relatime master:20 - cgroup cgroup rw,memory
";
const CONTAINER_OWN: &str = "5:devices:/docker/4f\n4:memory:/docker/4f/nested\n3:pids:/docker/4f\n";

fn summary(layout: &Layout) -> Vec<(String, String, Option<&str>)> {
    let all = layout.v1().iter().chain(layout.unified());
    all.map(|h| (h.controllers.join(","), h.name().to_string(), h.own_below_mount())).collect()
}

fn row<'a>(controllers: &str, name: &str, own: &'a str) -> (String, String, Option<&'a str>) {
    (controllers.to_string(), name.to_string(), Some(own))
}

#[test]
fn a_microvm_with_separate_mounts_is_hybrid() {
    let layout = Layout::parse(MICROVM_MOUNTS, MICROVM_OWN).expect("parse");
    assert!(matches!(layout, Layout::Hybrid { .. }));
    assert_eq!(
        summary(&layout),
        [
            row("name=systemd", "systemd", "/"),
            row("devices", "devices", "/"),
            row("memory", "memory", "/agent/2187eb32"),
            row("cpuacct", "cpuacct", "/"),
            row("cpu", "cpu", "/"),
            row("", "unified", "/"),
        ]
    );
}

#[test]
fn co_mounted_controllers_are_one_hierarchy_whatever_their_order() {
    let layout = Layout::parse(SYSTEMD_MOUNTS, SYSTEMD_OWN).expect("parse");
    assert!(matches!(layout, Layout::V1 { .. }));
    assert_eq!(
        summary(&layout),
        [
            row("net_prio,net_cls", "net_cls,net_prio", "/"),
            row("devices", "devices", "/user.slice"),
            row("cpuacct,cpu", "cpu,cpuacct", "/user.slice"),
            row("name=systemd", "systemd", "/user.slice/user-0.slice/session-1.scope"),
        ],
        "hugetlb is known and not mounted"
    );
}

#[test]
fn systemds_hybrid_layout_has_a_unified_hierarchy_of_its_own() {
    let layout = Layout::parse(HYBRID_MOUNTS, HYBRID_OWN).expect("parse");
    assert_eq!(layout.v1().len(), 3);
    let unified = layout.unified().expect("unified");
    assert_eq!(unified.mount_point, "/sys/fs/cgroup/unified");
    assert_eq!(unified.own_below_mount(), Some("/user.slice/user-1000.slice/session-3.scope"));
}

#[test]
fn cgroup2_alone_or_on_the_usual_place_is_unified() {
    let alone = Layout::parse(V2_MOUNTS, "0::/init.scope\n").expect("parse");
    assert!(matches!(&alone, Layout::Unified { unified } if unified.own == "/init.scope"));
    let elogind = format!("{V2_MOUNTS}50 1 0:40 / /run/elogind rw - cgroup cgroup rw,name=elogind\n");
    let layout = Layout::parse(&elogind, "1:name=elogind:/1\n0::/\n").expect("parse");
    assert!(matches!(layout, Layout::Unified { .. }));
}

#[test]
fn a_container_with_binds_is_at_their_root() {
    let layout = Layout::parse(CONTAINER_MOUNTS, CONTAINER_OWN).expect("parse");
    assert_eq!(summary(&layout), [row("devices", "devices", "/"), row("memory", "memory", "/nested")]);
}

#[test]
fn an_own_cgroup_that_the_mount_does_not_show_is_unknown() {
    let cases = [
        ("/", "/a", Some("/a")),
        ("/a", "/a", Some("/")),
        ("/a", "/ab", None),
        ("/a", "/b", None),
        ("/", "/../b", None),
        ("/..", "/", None),
    ];
    for (root, own, expected) in cases {
        let hierarchy = Hierarchy { root: root.into(), own: own.into(), ..Hierarchy::default() };
        assert_eq!(hierarchy.own_below_mount(), expected, "root {root}, own {own}");
    }
}

#[test]
fn no_mount_is_no_layout() {
    let layout = Layout::parse("22 27 0:21 / /proc rw - proc proc rw\n", MICROVM_OWN).expect("parse");
    assert_eq!(layout, Layout::None);
}

#[test]
fn a_mount_below_sys_fs_cgroup_wins_and_a_later_one_hides_an_earlier() {
    let mounts = "\
31 1 0:33 / /var/agent/devices rw - cgroup cgroup rw,devices
32 1 0:33 /old /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices
33 1 0:33 /new /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices
34 1 0:34 / /mnt/with\\040space rw - cgroup cgroup rw,memory
";
    let layout = Layout::parse(mounts, "2:devices:/new\n1:memory:/\n").expect("parse");
    let places: Vec<_> = layout.v1().iter().map(|h| (h.mount_point.as_str(), h.root.as_str())).collect();
    assert_eq!(places, [("/sys/fs/cgroup/devices", "/new"), ("/mnt/with space", "/")]);
}

#[test]
fn a_mount_under_another_one_is_not_there() {
    // A tmpfs moved over /sys/fs/cgroup, with the cpu hierarchy bound into it and the unified one left out.
    let mountinfo = "\
27 1 254:0 / / rw - ext4 /dev/vda rw
31 27 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw
32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
50 31 0:40 / /sys/fs/cgroup rw - tmpfs cgroup_root rw
51 50 0:29 /x /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
";
    let layout = Layout::parse(mountinfo, "1:cpu:/\n0::/\n").expect("parses");
    let roots: Vec<_> = layout.v1().iter().map(|hierarchy| hierarchy.root.as_str()).collect();
    assert_eq!((roots, layout.unified().is_none()), (vec!["/x"], true));
}

#[test]
fn a_path_may_have_colons_and_a_line_without_them_is_malformed() {
    let layout = Layout::parse(CONTAINER_MOUNTS, "5:devices:/docker/4f/a:b\n").expect("parse");
    assert_eq!(summary(&layout), [row("devices", "devices", "/a:b")]);
    let error = Layout::parse("", "nonsense").expect_err("malformed");
    assert_eq!(error.to_string(), "/proc/self/cgroup: unexpected text \"nonsense\"");
    let error = Layout::parse("1 2 3 - cgroup", "").expect_err("malformed");
    assert_eq!(error.to_string(), "/proc/self/mountinfo: unexpected text \"1 2 3 - cgroup\"");
}

#[test]
fn the_kernel_tells_of_the_same_mounts_by_statmount_as_in_mountinfo() {
    let mut expected = parse_mountinfo(&std::fs::read_to_string("/proc/self/mountinfo").unwrap()).unwrap();
    for mount in &mut expected {
        mount.options.retain(|option| option != "rw" && option != "ro");
    }
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    let version = (numbers.next().unwrap(), numbers.next().unwrap());
    let below = usual_mount();
    assert!(below.is_some() || version < (6, 8), "Linux {release} has STATX_MNT_ID_UNIQUE");
    for top in [None, below] {
        if top.is_some() {
            // What is mounted elsewhere is not below.
            expected.retain(|mount| mount.mount_point.starts_with(USUAL));
        }
        match ask_mounts(top) {
            Some(mut mounts) => {
                for mount in &mut mounts {
                    mount.options.retain(|option| !option.is_empty());
                }
                assert_eq!(mounts, expected, "below {top:?}");
            }
            None => assert!(version < (6, 13), "Linux {release} has statmount"),
        }
    }
}
