use super::*;

fn hierarchy(root: &str, own: &str) -> Hierarchy {
    Hierarchy {
        mount_point: "/sys/fs/cgroup/cpu".into(),
        root: root.into(),
        own: own.into(),
        ..Hierarchy::default()
    }
}

#[test]
fn absolute_paths_start_at_the_mount_and_others_at_the_own_cgroup() {
    let cases = [
        (Some("/docker/4f"), "/user.slice", "/docker/4f"),
        (Some("docker/4f"), "/user.slice", "/user.slice/docker/4f"),
        (None, "/user.slice", "/user.slice/id"),
        (Some(""), "/", "/id"),
        (Some("/../../etc"), "/a", "/etc"),
        (Some("../../../etc"), "/a/b", "/a/b/etc"),
        (Some("/a/./b//c/"), "/", "/a/b/c"),
        (Some("/a/../../b"), "/", "/b"),
        (Some("/"), "/a", "/"),
    ];
    for (path, own, expected) in cases {
        let parsed = CgroupsPath::parse(path, "id").expect("parse");
        assert_eq!(
            parsed.below_mount(&hierarchy("/", own), HierarchyKind::V1).as_deref(),
            Ok(expected),
            "{path:?} from {own}"
        );
    }
}

#[test]
fn paths_that_no_cgroup_can_have_are_refused() {
    let long = format!("/{}", "x".repeat(256));
    let deep = "/x".repeat(1901);
    let cases = [
        ("/a\0b", "linux.cgroupsPath: \"/a\\0b\" has a NUL or a line break in it".to_string()),
        ("/a\nb", "linux.cgroupsPath: \"/a\\nb\" has a NUL or a line break in it".to_string()),
        (&long, format!("linux.cgroupsPath: {long:?} has a name longer than 255 bytes")),
        (&deep, format!("linux.cgroupsPath: {deep:?} is too long")),
    ];
    for (path, expected) in cases {
        assert_eq!(CgroupsPath::parse(Some(path), "id").expect_err(path).to_string(), expected);
    }
}

#[test]
fn a_relative_path_needs_an_own_cgroup_that_is_in_sight() {
    let parsed = CgroupsPath::parse(None, "id").expect("parse");
    assert_eq!(
        parsed
            .below_mount(&hierarchy("/docker/4f", "/elsewhere"), HierarchyKind::V1)
            .expect_err("out of sight")
            .to_string(),
        "linux.cgroupsPath: a relative path starts at the own cgroup, but \"/elsewhere\" is not below \"/docker/4f\", \
         which is what /sys/fs/cgroup/cpu shows\nhint: use an absolute path"
    );
}

#[test]
fn sub_cgroups_are_one_path_or_paths_with_controllers() {
    let sub = |controllers: &[&str], path: &str| SubCgroup {
        controllers: controllers.iter().map(|name| String::from(*name)).collect(),
        path: path.into(),
    };
    assert_eq!(parse_sub_cgroups([]), Ok(vec![]));
    assert_eq!(parse_sub_cgroups(["a/b"]), Ok(vec![sub(&[], "/a/b")]));
    assert_eq!(parse_sub_cgroups(["/"]), Ok(vec![sub(&[], "/")]));
    assert_eq!(
        parse_sub_cgroups(["cpu,cpuacct:a", "pids:/b/../c"]),
        Ok(vec![sub(&["cpu", "cpuacct"], "/a"), sub(&["pids"], "/c")])
    );
}

#[test]
fn wrong_sub_cgroups_are_told_in_runcs_words() {
    let cases: [(&[&str], &str); 5] = [
        (&[":a"], "invalid --cgroup argument: :a (empty <controller> prefix)"),
        (&["cpu:a", "cpu:b"], "invalid --cgroup argument(s): controller cpu specified multiple times"),
        (&["cpu:a", "b"], "invalid --cgroup argument: b (missing <controller>: prefix)"),
        (&["../a"], "bad sub cgroup path: ../a"),
        (&["cpu:a/../../b"], "bad sub cgroup path: a/../../b"),
    ];
    for (arguments, expected) in cases {
        let error = parse_sub_cgroups(arguments.iter().copied()).expect_err(expected);
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn on_version_2_alone_a_relative_path_starts_beside_the_own_cgroup() {
    let cases = [
        (Some("/docker/4f"), "/user.slice", "/docker/4f"),
        (None, "/system.slice/agent.service", "/system.slice/id"),
        (Some("a/b"), "/system.slice/agent.service", "/system.slice/a/b"),
        (None, "/init.scope", "/id"),
        (None, "/", "/id"),
        (Some("../../x"), "/a/b/c", "/a/b/x"),
    ];
    for (path, own, expected) in cases {
        let parsed = CgroupsPath::parse(path, "id").expect("parse");
        let below = parsed.below_mount(&hierarchy("/", own), HierarchyKind::Alone);
        assert_eq!(below.as_deref(), Ok(expected), "{path:?} from {own}");
    }
}
