//! Each fault in a configuration, with the exact message that it gives.
#![expect(clippy::too_many_lines, reason = "a table of cases is one list, however long")]

#[cfg(test)]
mod common;

use common::{minimal, refusal, with, without};
use masu_spec::{ConfigError, parse_config, parse_process, parse_resources};
use serde_json::{Value, json};

fn check(table: &[(&str, Value, &str)]) {
    for (pointer, value, message) in table {
        assert_eq!(refusal(&with(minimal(), pointer, value.clone())), *message, "{pointer} = {value}");
    }
}

#[test]
fn the_minimal_config_is_accepted() {
    parse_config(minimal().to_string().as_bytes()).unwrap();
}

#[test]
fn broken_json_is_reported_with_line_and_column() {
    let table: [(&[u8], &str); 9] = [
        (b"", "line 1, column 0: EOF while parsing a value"),
        (b"{\n  \"ociVersion\": \"1.3.0\",\n}", "line 3, column 1: trailing comma"),
        (b"{\n\"a\" 1}", "line 2, column 5: expected `:`"),
        (b"{\"a\":1\n\"b\":2}", "line 2, column 1: expected `,` or `}`"),
        (b"{\"a\":[1,2", "line 1, column 9: EOF while parsing a list"),
        (b"{\"hostname\":\"\\x\"}", "line 1, column 15: invalid escape"),
        (b"{\"hostname\":\"\xff\"}", "line 1, column 14: invalid unicode code point"),
        (b"{} x", "line 1, column 4: trailing characters"),
        (
            b"{\"hostname\":\"a\nb\"}",
            "line 2, column 0: control character (\\u0000-\\u001F) found while parsing a string",
        ),
    ];
    for (json, message) in table {
        let error = parse_config(json).unwrap_err();
        assert!(matches!(error, ConfigError::Syntax { .. }), "{error}");
        assert_eq!(error.to_string(), message);
        assert_eq!((error.path(), error.hint()), ("", None));
    }
}

#[test]
fn a_value_of_the_wrong_type_is_reported_with_its_path() {
    check(&[
        ("/process/args", json!(["sh", 3]), "process.args[1]: expected a string, found number 3"),
        ("/process/args", json!("sh"), "process.args: expected an array, found string \"sh\""),
        ("/process", json!([]), "process: expected an object, found an array"),
        ("/process/cwd", json!({"a": 1}), "process.cwd: expected a string, found an object"),
        (
            "/process/noNewPrivileges",
            json!("yes"),
            "process.noNewPrivileges: expected true or false, found string \"yes\"",
        ),
        (
            "/process/user/uid",
            json!(-1),
            "process.user.uid: expected an integer from 0 to 4294967295, found number -1",
        ),
        (
            "/process/user/uid",
            json!(1.5),
            "process.user.uid: expected an integer from 0 to 4294967295, found number 1.5",
        ),
        (
            "/process/user/uid",
            json!(true),
            "process.user.uid: expected an integer from 0 to 4294967295, found true",
        ),
        (
            "/process/user/additionalGids",
            json!([1, null]),
            "process.user.additionalGids[1]: expected an integer from 0 to 4294967295, found null",
        ),
        (
            "/process/rlimits",
            json!([{"type": "RLIMIT_CPU", "soft": -1, "hard": 1}]),
            "process.rlimits[0].soft: expected an integer from 0 to 18446744073709551615, found number -1",
        ),
        ("/root", json!(["rootfs", true]), "root: expected an object, found an array"),
        ("/mounts", json!([{"destination": "/a"}, "x"]), "mounts[1]: expected an object, found string \"x\""),
        ("/annotations", json!({"org.x": 1}), "annotations[\"org.x\"]: expected a string, found number 1"),
        (
            "/linux/resources/memory/limit",
            json!("1g"),
            "linux.resources.memory.limit: expected an integer of 64 bits, found string \"1g\"",
        ),
        (
            "/linux/resources/blockIO/weight",
            json!(65536),
            "linux.resources.blockIO.weight: expected an integer from 0 to 65535, found number 65536",
        ),
        (
            "/linux/resources/pids",
            json!({"limit": 9_223_372_036_854_775_808_u64}),
            "linux.resources.pids.limit: expected an integer of 64 bits, found number 9223372036854775808",
        ),
        ("/linux/sysctl", json!([]), "linux.sysctl: expected an object, found an array"),
        ("/linux/namespaces", json!({}), "linux.namespaces: expected an array, found an object"),
    ]);
    for (json, message) in
        [("null", "expected an object, found null"), ("[1]", "expected an object, found an array")]
    {
        assert_eq!(parse_config(json.as_bytes()).unwrap_err().to_string(), message);
    }
}

#[test]
fn the_path_is_found_in_any_layout() {
    let json = "{\r\n\t\"annotations\": {\"a,]}\\\"\": \"{[\"},\n  \"process\" :\n{ \"args\":\n [\n\"x\" , [ ] ] } }";
    assert_eq!(
        parse_config(json.as_bytes()).unwrap_err().to_string(),
        "process.args[1]: expected a string, found an array"
    );
}

#[test]
fn a_field_given_twice_is_refused() {
    let json = r#"{"ociVersion": "1.3.0", "root": {"path": "a", "path": "b"}}"#;
    assert_eq!(parse_config(json.as_bytes()).unwrap_err().to_string(), "root.path: given twice");
}

#[test]
fn a_missing_required_field_is_named() {
    for field in ["ociVersion", "process", "root"] {
        assert_eq!(
            refusal(&without(minimal(), &format!("/{field}"))),
            format!("{field}: required, but missing")
        );
    }
    let table = [
        ("/process/args", json!(null), "process.args"),
        ("/process/cwd", json!(null), "process.cwd"),
        ("/root", json!({}), "root.path"),
        ("/mounts/0", json!({"type": "tmpfs"}), "mounts[0].destination"),
        ("/mounts/0", json!({"destination": "/a"}), "mounts[0].type"),
        ("/mounts/0", json!({"destination": "/a", "type": ""}), "mounts[0].type"),
        ("/mounts/0", json!({"destination": "/a", "options": ["rbind"]}), "mounts[0].source"),
        ("/process/rlimits/0", json!({"soft": 1, "hard": 1}), "process.rlimits[0].type"),
        ("/process/rlimits/0", json!({"type": "RLIMIT_CPU", "hard": 1}), "process.rlimits[0].soft"),
        ("/process/rlimits/0", json!({"type": "RLIMIT_CPU", "soft": 1}), "process.rlimits[0].hard"),
        ("/linux/namespaces/-", json!({"path": "/a"}), "linux.namespaces[5].type"),
        ("/linux/uidMappings/0", json!({"hostID": 0, "size": 1}), "linux.uidMappings[0].containerID"),
        ("/linux/uidMappings/0", json!({"containerID": 0, "size": 1}), "linux.uidMappings[0].hostID"),
        ("/linux/gidMappings/0", json!({"containerID": 0, "hostID": 1}), "linux.gidMappings[0].size"),
        ("/linux/devices/0", json!({"type": "c"}), "linux.devices[0].path"),
        ("/linux/devices/0", json!({"path": "/dev/a"}), "linux.devices[0].type"),
        ("/linux/devices/0", json!({"path": "/dev/a", "type": "c", "minor": 1}), "linux.devices[0].major"),
        ("/linux/devices/0", json!({"path": "/dev/a", "type": "b", "major": 1}), "linux.devices[0].minor"),
        ("/linux/resources/devices/0", json!({"access": "r"}), "linux.resources.devices[0].allow"),
        ("/linux/resources/devices/0", json!({"allow": true}), "linux.resources.devices[0].access"),
        (
            "/linux/resources/devices/0",
            json!({"allow": true, "access": ""}),
            "linux.resources.devices[0].access",
        ),
        (
            "/linux/resources/hugepageLimits/0",
            json!({"limit": 1}),
            "linux.resources.hugepageLimits[0].pageSize",
        ),
        (
            "/linux/resources/hugepageLimits/0",
            json!({"pageSize": "2MB"}),
            "linux.resources.hugepageLimits[0].limit",
        ),
        (
            "/linux/resources/network/priorities/0",
            json!({"priority": 1}),
            "linux.resources.network.priorities[0].name",
        ),
        (
            "/linux/resources/network/priorities/0",
            json!({"name": "a"}),
            "linux.resources.network.priorities[0].priority",
        ),
        (
            "/linux/resources/blockIO/weightDevice/0",
            json!({"minor": 1}),
            "linux.resources.blockIO.weightDevice[0].major",
        ),
        (
            "/linux/resources/blockIO/throttleReadBpsDevice/0",
            json!({"major": 1, "rate": 1}),
            "linux.resources.blockIO.throttleReadBpsDevice[0].minor",
        ),
        (
            "/linux/resources/blockIO/throttleWriteIOPSDevice/0",
            json!({"major": 1, "minor": 1}),
            "linux.resources.blockIO.throttleWriteIOPSDevice[0].rate",
        ),
    ];
    for (pointer, value, path) in table {
        let config = with(minimal(), pointer, value);
        assert_eq!(refusal(&config), format!("{path}: required, but missing"), "{config}");
    }
}

#[test]
fn an_illegal_value_of_the_upper_sections_is_refused() {
    let long = "x".repeat(65);
    check(&[
        ("/ociVersion", json!("2.0.0"), "ociVersion: version 2.0.0 of the specification is not known"),
        ("/ociVersion", json!("0.9.1"), "ociVersion: version 0.9.1 of the specification is not known"),
        ("/ociVersion", json!("1.3"), "ociVersion: \"1.3\" is not a version"),
        ("/ociVersion", json!("1.x.0"), "ociVersion: \"1.x.0\" is not a version"),
        ("/ociVersion", json!("1.0.0-a\n"), "ociVersion: \"1.0.0-a\\n\" is not a version"),
        ("/ociVersion", json!("latest"), "ociVersion: \"latest\" is not a version"),
        ("/ociVersion", json!(""), "ociVersion: \"\" is not a version"),
        ("/root/path", json!(""), "root.path: is empty"),
        ("/root/path", json!("a\0b"), "root.path: holds a NUL byte"),
        ("/hostname", json!(long), "hostname: is 65 bytes long, more than the kernel's 64"),
        ("/domainname", json!(long), "domainname: is 65 bytes long, more than the kernel's 64"),
        ("/hostname", json!("a\0"), "hostname: holds a NUL byte"),
        ("/annotations", json!({"a": "", "": "x"}), "annotations[\"\"]: the key is empty"),
    ]);
}

#[test]
fn an_illegal_process_is_refused() {
    check(&[
        ("/process/args", json!([]), "process.args: is empty"),
        ("/process/args", json!(["sh", "a\0b"]), "process.args[1]: holds a NUL byte"),
        ("/process/env", json!(["A=1", "B"]), "process.env[1]: \"B\" is not NAME=VALUE"),
        ("/process/env", json!(["=x"]), "process.env[0]: \"=x\" has no name"),
        ("/process/env", json!(["A=\0"]), "process.env[0]: holds a NUL byte"),
        ("/process/cwd", json!("home"), "process.cwd: \"home\" is not an absolute path"),
        ("/process/cwd", json!(""), "process.cwd: \"\" is not an absolute path"),
        ("/process/cwd", json!("/a\0"), "process.cwd: holds a NUL byte"),
        ("/process/user/uid", json!(4_294_967_295_u32), "process.user.uid: 4294967295 is not an ID"),
        ("/process/user/gid", json!(4_294_967_295_u32), "process.user.gid: 4294967295 is not an ID"),
        (
            "/process/user/additionalGids",
            json!([5, 4_294_967_295_u32]),
            "process.user.additionalGids[1]: 4294967295 is not an ID",
        ),
        ("/process/user/umask", json!(512), "process.user.umask: 512 is 0o1000 in octal, more than 0o777"),
        (
            "/process/user/umask",
            json!(70000),
            "process.user.umask: 70000 is 0o210560 in octal, more than 0o777",
        ),
        (
            "/process/rlimits/0",
            json!({"type": "NOFILE", "soft": 1, "hard": 1}),
            "process.rlimits[0].type: unknown resource limit \"NOFILE\"",
        ),
        (
            "/process/rlimits/0",
            json!({"type": "RLIMIT_CPU", "soft": 2, "hard": 1}),
            "process.rlimits[0].soft: 2 is above the hard limit 1",
        ),
        (
            "/process/rlimits",
            json!([{"type": "RLIMIT_CPU", "soft": 1, "hard": 1}, {"type": "RLIMIT_CPU", "soft": 1, "hard": 1}]),
            "process.rlimits[1].type: RLIMIT_CPU is given already at process.rlimits[0]",
        ),
        ("/process/oomScoreAdj", json!(1001), "process.oomScoreAdj: 1001 is not within -1000 to 1000"),
        ("/process/oomScoreAdj", json!(-1001), "process.oomScoreAdj: -1001 is not within -1000 to 1000"),
        (
            "/process/oomScoreAdj",
            json!(i64::MAX),
            "process.oomScoreAdj: 9223372036854775807 is not within -1000 to 1000",
        ),
    ]);
}

#[test]
fn an_illegal_mount_is_refused() {
    let mount = |field: &str, value: Value| {
        with(json!({"destination": "/a", "type": "tmpfs", "source": "s"}), &format!("/{field}"), value)
    };
    check(&[
        ("/mounts/0", mount("destination", json!("")), "mounts[0].destination: is empty"),
        ("/mounts/0", mount("destination", json!("/\0")), "mounts[0].destination: holds a NUL byte"),
        ("/mounts/0", mount("source", json!("\0")), "mounts[0].source: holds a NUL byte"),
        ("/mounts/0", mount("type", json!("t\0")), "mounts[0].type: holds a NUL byte"),
        ("/mounts/0", mount("type", json!("bind")), "mounts[0].type: \"bind\" is not a file system"),
        ("/mounts/0", mount("type", json!("none")), "mounts[0].type: \"none\" is not a file system"),
        ("/mounts/0", mount("options", json!(["ro", "size=\0"])), "mounts[0].options[1]: holds a NUL byte"),
        (
            "/mounts/0",
            mount("options", json!(["bind", "ro", "size=1"])),
            "mounts[0].options[2]: \"size=1\" is an option of a file system, and this is a bind mount",
        ),
        (
            "/mounts/0",
            mount("options", json!(["size=1", "rbind"])),
            "mounts[0].options[0]: \"size=1\" is an option of a file system, and this is a bind mount",
        ),
        (
            "/mounts/0",
            mount("options", json!(["ro", "ridmap"])),
            "mounts[0].options[1]: only a bind mount can have an id map",
        ),
    ]);
}

#[test]
fn an_illegal_id_map_of_a_mount_is_refused() {
    let map = |size: u32| json!([{"containerID": 0, "hostID": 100_000, "size": size}]);
    let bound = |uids: Value, gids: Value| json!({"destination": "/a", "source": "/s", "options": ["bind", "idmap"], "uidMappings": uids, "gidMappings": gids});
    check(&[
        ("/mounts/0", bound(map(1), json!([])), "mounts[0].gidMappings: has to be given beside uidMappings"),
        ("/mounts/0", bound(json!([]), map(1)), "mounts[0].uidMappings: has to be given beside gidMappings"),
        ("/mounts/0", bound(map(0), map(1)), "mounts[0].uidMappings[0].size: is 0"),
        (
            "/mounts/0",
            bound(
                map(1),
                json!([{"containerID": 0, "hostID": 1, "size": 2}, {"containerID": 1, "hostID": 9, "size": 1}]),
            ),
            "mounts[0].gidMappings[1]: overlaps mounts[0].gidMappings[0]",
        ),
        (
            "/mounts/0",
            bound(json!([{"containerID": 0, "hostID": u32::MAX, "size": 1}]), map(1)),
            "mounts[0].uidMappings[0].hostID: 4294967295 and a size of 1 pass the last ID",
        ),
        (
            "/mounts/0",
            bound(json!([{"containerID": 0, "size": 1}]), map(1)),
            "mounts[0].uidMappings[0].hostID: required, but missing",
        ),
        (
            "/mounts/0",
            json!({"destination": "/a", "type": "tmpfs", "uidMappings": map(1), "gidMappings": map(1)}),
            "mounts[0].uidMappings: only a bind mount can have an id map",
        ),
    ]);
}

#[test]
fn an_illegal_network_device_is_refused() {
    let config = minimal();
    let table = [
        (json!({"": {}}), "linux.netDevices[\"\"]: is not the name of a network interface"),
        (json!({"eth0:1": {}}), "linux.netDevices[\"eth0:1\"]: is not the name of a network interface"),
        (
            json!({"a-name-of-16-byte": {}}),
            "linux.netDevices[\"a-name-of-16-byte\"]: is not the name of a network interface",
        ),
        (
            json!({"eth0": {"name": "a/b"}}),
            "linux.netDevices[\"eth0\"].name: \"a/b\" is not the name of a network interface",
        ),
        (
            json!({"eth0": {"name": "net%s"}}),
            "linux.netDevices[\"eth0\"].name: \"net%s\" is not the name of a network interface",
        ),
        (
            json!({"eth0": {"name": "%d%d"}}),
            "linux.netDevices[\"eth0\"].name: \"%d%d\" is not the name of a network interface",
        ),
        (
            json!({"a": {"name": "net"}, "b": {"name": "net"}}),
            "linux.netDevices[\"b\"].name: \"net\" is the name of linux.netDevices[\"a\"] already",
        ),
        (
            json!({"a": {"name": "b"}, "b": {}}),
            "linux.netDevices[\"b\"].name: \"b\" is the name of linux.netDevices[\"a\"] already",
        ),
        (json!({"eth0": {"name": 1}}), "linux.netDevices[\"eth0\"].name: expected a string, found number 1"),
    ];
    for (devices, message) in table {
        assert_eq!(refusal(&with(config.clone(), "/linux/netDevices", devices)), message);
    }
    let without = with(minimal(), "/linux/namespaces", json!([{"type": "mount"}]));
    let without = with(without, "/linux/netDevices", json!({"eth0": {}}));
    let message = "linux.netDevices: needs the network namespace, which linux.namespaces does not list";
    assert_eq!(refusal(&without), message);
    let templates = json!({"a": {"name": "eth%d"}, "b": {"name": "eth%d"}, "c": {"name": ""}});
    let config = with(config, "/linux/netDevices", templates).to_string();
    let devices = parse_config(config.as_bytes()).unwrap().linux.net_devices;
    assert_eq!(devices.iter().map(masu_spec::NetDevice::inside).collect::<Vec<_>>(), ["eth%d", "eth%d", "c"]);
}

#[test]
fn illegal_namespaces_are_refused() {
    check(&[
        (
            "/linux/namespaces/-",
            json!({"type": "foo"}),
            "linux.namespaces[5].type: unknown namespace \"foo\"",
        ),
        (
            "/linux/namespaces/-",
            json!({"type": "pid"}),
            "linux.namespaces[5].type: pid is given already at linux.namespaces[0]",
        ),
        (
            "/linux/namespaces/-",
            json!({"type": "user", "path": "proc/1/ns/user"}),
            "linux.namespaces[5].path: \"proc/1/ns/user\" is not an absolute path",
        ),
        (
            "/linux/namespaces/-",
            json!({"type": "user", "path": "/a\0"}),
            "linux.namespaces[5].path: holds a NUL byte",
        ),
        (
            "/linux/namespaces/-",
            json!({"type": "user"}),
            "linux.uidMappings: a new user namespace needs mappings",
        ),
        (
            "/linux/timeOffsets/boottime",
            json!({"secs": 1}),
            "linux.timeOffsets: needs the time namespace, which linux.namespaces does not list",
        ),
        ("/linux/timeOffsets/realtime", json!({"secs": 1}), "linux.timeOffsets[\"realtime\"]: unknown clock"),
        (
            "/linux/timeOffsets/monotonic",
            json!({"nanosecs": 1_000_000_000}),
            "linux.timeOffsets[\"monotonic\"].nanosecs: 1000000000 is a second or more",
        ),
        (
            "/linux/uidMappings/0",
            json!({"containerID": 0, "hostID": 1, "size": 1}),
            "linux.uidMappings: needs the user namespace, which linux.namespaces does not list",
        ),
    ]);
    let hint = |pointer: &str, value: Value| {
        parse_config(with(minimal(), pointer, value).to_string().as_bytes()).unwrap_err().hint().unwrap()
    };
    assert_eq!(
        hint("/linux/namespaces/-", json!({"type": "foo"})),
        "the namespaces are cgroup, ipc, mount, network, pid, time, user and uts"
    );
    let joined = with(minimal(), "/linux/namespaces/-", json!({"type": "time", "path": "/proc/1/ns/time"}));
    assert_eq!(
        refusal(&with(joined, "/linux/timeOffsets/boottime", json!({"secs": 1}))),
        "linux.timeOffsets: the time namespace is joined, and its offsets are fixed"
    );
}

#[test]
fn a_field_that_needs_a_namespace_is_refused_without_it() {
    let bare = with(minimal(), "/linux/namespaces", json!([]));
    let table = [
        ("/hostname", json!("a"), "hostname: needs the uts namespace"),
        ("/domainname", json!("a"), "domainname: needs the uts namespace"),
        ("/linux/maskedPaths", json!(["/proc/kcore"]), "linux.maskedPaths: needs the mount namespace"),
        ("/linux/readonlyPaths", json!(["/proc/sys"]), "linux.readonlyPaths: needs the mount namespace"),
        (
            "/linux/sysctl",
            json!({"net.core.somaxconn": "1"}),
            "linux.sysctl[\"net.core.somaxconn\"]: needs the network namespace",
        ),
        (
            "/linux/sysctl",
            json!({"kernel.shmmax": "1"}),
            "linux.sysctl[\"kernel.shmmax\"]: needs the ipc namespace",
        ),
        (
            "/linux/sysctl",
            json!({"fs.mqueue.msg_max": "1"}),
            "linux.sysctl[\"fs.mqueue.msg_max\"]: needs the ipc namespace",
        ),
        (
            "/linux/sysctl",
            json!({"kernel.domainname": "a"}),
            "linux.sysctl[\"kernel.domainname\"]: needs the uts namespace",
        ),
        (
            "/linux/sysctl",
            json!({"user.max_user_namespaces": "1"}),
            "linux.sysctl[\"user.max_user_namespaces\"]: needs the user namespace",
        ),
    ];
    for (pointer, value, message) in table {
        let config = with(bare.clone(), pointer, value);
        assert_eq!(refusal(&config), format!("{message}, which linux.namespaces does not list"), "{config}");
    }
    let error = parse_config(with(bare, "/hostname", json!("a")).to_string().as_bytes()).unwrap_err();
    assert_eq!(error.hint(), Some("add {\"type\": \"uts\"} to linux.namespaces"));
}

#[test]
fn illegal_id_mappings_are_refused() {
    let user = with(minimal(), "/linux/namespaces/-", json!({"type": "user"}));
    let map = |container: u32, host: u32, size: u32| json!({"containerID": container, "hostID": host, "size": size});
    let many: Vec<Value> = (0..341).map(|id| map(id, id, 1)).collect();
    let table = [
        (json!([map(0, 0, 0)]), "linux.uidMappings[0].size: is 0"),
        (
            json!([map(1, 0, u32::MAX)]),
            "linux.uidMappings[0].containerID: 1 and a size of 4294967295 pass the last ID",
        ),
        (
            json!([map(0, 5, u32::MAX)]),
            "linux.uidMappings[0].hostID: 5 and a size of 4294967295 pass the last ID",
        ),
        (json!([map(0, 1000, 10), map(9, 5000, 1)]), "linux.uidMappings[1]: overlaps linux.uidMappings[0]"),
        (json!([map(0, 1000, 10), map(10, 1009, 1)]), "linux.uidMappings[1]: overlaps linux.uidMappings[0]"),
        (json!(many), "linux.uidMappings: 341 mappings are more than the kernel's 340"),
        (json!([map(1, 1000, 10)]), "linux.uidMappings: 0 is not mapped by any element"),
        (json!([]), "linux.uidMappings: a new user namespace needs mappings"),
    ];
    for (mappings, message) in table {
        let config = with(user.clone(), "/linux/uidMappings", mappings);
        assert_eq!(refusal(&with(config, "/linux/gidMappings/0", map(0, 1000, 1))), message);
    }
    let user = with(user, "/linux/uidMappings/0", map(0, 1000, 10));
    assert_eq!(refusal(&user), "linux.gidMappings: a new user namespace needs mappings");
    let user = with(user, "/linux/gidMappings/0", map(0, 1000, 10));
    let table = [
        ("/process/user/uid", json!(10), "process.user.uid: 10 is not mapped by linux.uidMappings"),
        ("/process/user/gid", json!(10), "process.user.gid: 10 is not mapped by linux.gidMappings"),
        (
            "/process/user/additionalGids",
            json!([3, 11]),
            "process.user.additionalGids[1]: 11 is not mapped by linux.gidMappings",
        ),
        (
            "/mounts",
            json!([{"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["gid=9", "gid=10"]}]),
            "mounts[0].options: gid=10 is not mapped by linux.gidMappings",
        ),
        (
            "/mounts",
            json!([{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["uid=10"]}]),
            "mounts[0].options: uid=10 is not mapped by linux.uidMappings",
        ),
    ];
    for (pointer, value, message) in table {
        assert_eq!(refusal(&with(user.clone(), pointer, value)), message);
    }
}

#[test]
fn an_illegal_linux_section_is_refused() {
    let device = |field: &str, value: Value| {
        with(json!({"path": "/dev/a", "type": "c", "major": 1, "minor": 3}), &format!("/{field}"), value)
    };
    check(&[
        (
            "/linux/devices/0",
            device("path", json!("dev/a")),
            "linux.devices[0].path: \"dev/a\" is not an absolute path",
        ),
        ("/linux/devices/0", device("type", json!("x")), "linux.devices[0].type: unknown type \"x\""),
        (
            "/linux/devices/0",
            device("major", json!(-1)),
            "linux.devices[0].major: -1 is not within 0 to 4095",
        ),
        (
            "/linux/devices/0",
            device("major", json!(4096)),
            "linux.devices[0].major: 4096 is not within 0 to 4095",
        ),
        (
            "/linux/devices/0",
            device("minor", json!(1_048_576)),
            "linux.devices[0].minor: 1048576 is not within 0 to 1048575",
        ),
        (
            "/linux/devices/0",
            device("fileMode", json!(0o200_000)),
            "linux.devices[0].fileMode: 65536 is 0o200000 in octal, more than 0o7777",
        ),
        ("/linux/devices/0", device("uid", json!(u32::MAX)), "linux.devices[0].uid: 4294967295 is not an ID"),
        ("/linux/devices/0", device("gid", json!(u32::MAX)), "linux.devices[0].gid: 4294967295 is not an ID"),
        ("/linux/cgroupsPath", json!("/a\0"), "linux.cgroupsPath: holds a NUL byte"),
        (
            "/linux/rootfsPropagation",
            json!("public"),
            "linux.rootfsPropagation: unknown propagation \"public\"",
        ),
        ("/linux/maskedPaths", json!(["/a", "b"]), "linux.maskedPaths[1]: \"b\" is not an absolute path"),
        ("/linux/readonlyPaths", json!(["a"]), "linux.readonlyPaths[0]: \"a\" is not an absolute path"),
        (
            "/linux/sysctl",
            json!({"vm.swappiness": "1"}),
            "linux.sysctl[\"vm.swappiness\"]: is not in a namespace of the container",
        ),
        (
            "/linux/sysctl",
            json!({"kernel.core_pattern": "|x"}),
            "linux.sysctl[\"kernel.core_pattern\"]: is not in a namespace of the container",
        ),
        (
            "/linux/sysctl",
            json!({"network.x": "1"}),
            "linux.sysctl[\"network.x\"]: is not in a namespace of the container",
        ),
        (
            "/linux/sysctl",
            json!({"kernel.hostname": "a"}),
            "linux.sysctl[\"kernel.hostname\"]: conflicts with the field hostname",
        ),
        (
            "/linux/sysctl",
            json!({"kernel/hostname": "a"}),
            "linux.sysctl[\"kernel/hostname\"]: conflicts with the field hostname",
        ),
        (
            "/linux/sysctl",
            json!({"net.//.kernel.core_pattern": "a"}),
            "linux.sysctl[\"net.//.kernel.core_pattern\"]: is not the name of a sysctl",
        ),
        (
            "/linux/sysctl",
            json!({"net/../kernel/core_pattern": "a"}),
            "linux.sysctl[\"net/../kernel/core_pattern\"]: is not the name of a sysctl",
        ),
        (
            "/linux/sysctl",
            json!({"net..core": "a"}),
            "linux.sysctl[\"net..core\"]: is not the name of a sysctl",
        ),
        (
            "/linux/sysctl",
            json!({"/net/core": "a"}),
            "linux.sysctl[\"/net/core\"]: is not the name of a sysctl",
        ),
        ("/linux/sysctl", json!({"": "a"}), "linux.sysctl[\"\"]: is not the name of a sysctl"),
        ("/linux/sysctl", json!({"net.a\0": "a"}), "linux.sysctl[\"net.a\\0\"]: is not the name of a sysctl"),
        ("/linux/sysctl", json!({"net.a": "a\0"}), "linux.sysctl[\"net.a\"]: holds a NUL byte"),
    ]);
}

#[test]
fn illegal_resources_are_refused() {
    let rule =
        |field: &str, value: Value| with(json!({"allow": true, "access": "r"}), &format!("/{field}"), value);
    let table = [
        ("/devices/0", rule("type", json!("p")), "devices[0].type: unknown type \"p\""),
        ("/devices/0", rule("major", json!(-2)), "devices[0].major: -2 is not a device number"),
        (
            "/devices/0",
            rule("minor", json!(4_294_967_296_i64)),
            "devices[0].minor: 4294967296 is not a device number",
        ),
        ("/devices/0", rule("access", json!("rx")), "devices[0].access: unknown access 'x'"),
        ("/memory/limit", json!(-2), "memory.limit: -2 is not a number of bytes"),
        ("/memory/reservation", json!(-5), "memory.reservation: -5 is not a number of bytes"),
        ("/memory/swap", json!(i64::MIN), "memory.swap: -9223372036854775808 is not a number of bytes"),
        ("/memory/kernel", json!(-2), "memory.kernel: -2 is not a number of bytes"),
        ("/memory/kernelTCP", json!(-2), "memory.kernelTCP: -2 is not a number of bytes"),
        ("/memory/swappiness", json!(101), "memory.swappiness: 101 is not within 0 to 100"),
        ("/memory/swappiness", json!(256), "memory.swappiness: 256 is not within 0 to 100"),
        ("/cpu/cpus", json!("0\0"), "cpu.cpus: holds a NUL byte"),
        ("/cpu/mems", json!("0\0"), "cpu.mems: holds a NUL byte"),
        (
            "/blockIO/weightDevice/0",
            json!({"major": -1, "minor": 0}),
            "blockIO.weightDevice[0].major: -1 is not a device number",
        ),
        (
            "/blockIO/weightDevice/0",
            json!({"major": 8, "minor": 0}),
            "blockIO.weightDevice[0]: weighs nothing",
        ),
        (
            "/blockIO/throttleReadIOPSDevice/0",
            json!({"major": 1, "minor": -1, "rate": 1}),
            "blockIO.throttleReadIOPSDevice[0].minor: -1 is not a device number",
        ),
        (
            "/hugepageLimits/0",
            json!({"pageSize": "2M", "limit": 1}),
            "hugepageLimits[0].pageSize: \"2M\" is not a page size",
        ),
        (
            "/hugepageLimits/0",
            json!({"pageSize": "02MB", "limit": 1}),
            "hugepageLimits[0].pageSize: \"02MB\" is not a page size",
        ),
        (
            "/hugepageLimits/0",
            json!({"pageSize": "../2MB", "limit": 1}),
            "hugepageLimits[0].pageSize: \"../2MB\" is not a page size",
        ),
        (
            "/hugepageLimits/0",
            json!({"pageSize": "MB", "limit": 1}),
            "hugepageLimits[0].pageSize: \"MB\" is not a page size",
        ),
        (
            "/network/priorities/0",
            json!({"name": "a b", "priority": 1}),
            "network.priorities[0].name: \"a b\" is not the name of a network interface",
        ),
        (
            "/network/priorities/0",
            json!({"name": "a\nb", "priority": 1}),
            "network.priorities[0].name: \"a\\nb\" is not the name of a network interface",
        ),
        (
            "/network/priorities/0",
            json!({"name": "sixteen-letters-", "priority": 1}),
            "network.priorities[0].name: \"sixteen-letters-\" is not the name of a network interface",
        ),
        ("/unified", json!({"../memory.max": "1"}), "unified[\"../memory.max\"]: is not the name of a file"),
        ("/unified", json!({"..": "1"}), "unified[\"..\"]: is not the name of a file"),
        ("/unified", json!({"": "1"}), "unified[\"\"]: is not the name of a file"),
        ("/unified", json!({"memory.max": "\0"}), "unified[\"memory.max\"]: holds a NUL byte"),
        ("/rdma", json!({"mlx5": {}}), "rdma[\"mlx5\"]: limits nothing"),
        ("/rdma", json!({"a b": {"hcaHandles": 1}}), "rdma[\"a b\"]: is not the name of a device"),
        ("/rdma", json!({"": {"hcaHandles": 1}}), "rdma[\"\"]: is not the name of a device"),
    ];
    for (pointer, value, message) in table {
        let resources = with(json!({}), pointer, value.clone());
        assert_eq!(parse_resources(resources.to_string().as_bytes()).unwrap_err().to_string(), message);
        let config = with(minimal(), &format!("/linux/resources{pointer}"), value);
        assert_eq!(refusal(&config), format!("linux.resources.{message}"));
    }
}

#[test]
fn an_illegal_class_or_share_of_intel_rdt_is_refused_by_its_field() {
    let table = [
        ("closID", json!("a/b"), "closID: \"a/b\" is not the name of a class"),
        ("closID", json!(".."), "closID: \"..\" is not the name of a class"),
        ("closID", json!("mon_groups"), "closID: \"mon_groups\" is not the name of a class"),
        ("closID", json!("a\nb"), "closID: \"a\\nb\" is not the name of a class"),
        ("l3CacheSchema", json!("L3:0=f\nMB:0=10"), "l3CacheSchema: holds a line feed"),
        ("memBwSchema", json!("L3:0=f"), "memBwSchema: \"L3:0=f\" does not begin with \"MB:\""),
        ("memBwSchema", json!("MB:0=10\n"), "memBwSchema: holds a line feed"),
        ("schemata", json!(["L3:0=f", "MB:0=10\n"]), "schemata[1]: holds a line feed"),
        ("schemata", json!(["L3:0=f\0"]), "schemata[0]: holds a NUL byte"),
        ("enableMonitoring", json!(1), "enableMonitoring: expected true or false, found number 1"),
    ];
    for (field, value, message) in table {
        let config = with(minimal(), "/linux/intelRdt", json!({field: value}));
        assert_eq!(refusal(&config), format!("linux.intelRdt.{message}"));
    }
}

#[test]
fn a_hook_is_a_program_with_texts_and_a_time() {
    let table = [
        (json!({}), "path: required, but missing"),
        (json!({"path": "bin/x"}), "path: \"bin/x\" is not an absolute path"),
        (json!({"path": ""}), "path: \"\" is not an absolute path"),
        (json!({"path": "/a\0b"}), "path: holds a NUL byte"),
        (json!({"path": 1}), "path: expected a string, found number 1"),
        (json!({"path": "/x", "args": "y"}), "args: expected an array, found string \"y\""),
        (json!({"path": "/x", "args": ["x", "a\0"]}), "args[1]: holds a NUL byte"),
        (json!({"path": "/x", "env": ["A=\0"]}), "env[0]: holds a NUL byte"),
        (json!({"path": "/x", "timeout": 0}), "timeout: 0 is not within 1 to 4294967295"),
        (json!({"path": "/x", "timeout": -1}), "timeout: -1 is not within 1 to 4294967295"),
        (
            json!({"path": "/x", "timeout": 4_294_967_296_u64}),
            "timeout: 4294967296 is not within 1 to 4294967295",
        ),
        (json!({"path": "/x", "timeout": 1.5}), "timeout: expected an integer of 64 bits, found number 1.5"),
    ];
    for name in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
        for (hook, message) in &table {
            let hooks = json!([{"path": "/bin/true"}, hook]);
            let config = with(minimal(), &format!("/hooks/{name}"), hooks);
            assert_eq!(refusal(&config), format!("hooks.{name}[1].{message}"));
        }
    }
}

#[test]
fn a_process_file_has_paths_from_the_process() {
    let table = [
        ("{}", "args: required, but missing"),
        (r#"{"args": ["sh"], "cwd": "a"}"#, "cwd: \"a\" is not an absolute path"),
        (r#"{"args": ["sh", 1]}"#, "args[1]: expected a string, found number 1"),
        (r#"{"terminal": 1}"#, "terminal: expected true or false, found number 1"),
        (
            r#"{"terminal": true, "consoleSize": {"height": 65536, "width": 80}}"#,
            "consoleSize.height: 65536 is above 65535",
        ),
        (r#"{"terminal": true, "consoleSize": {"height": 24}}"#, "consoleSize.width: required, but missing"),
    ];
    for (json, message) in table {
        assert_eq!(parse_process(json.as_bytes()).unwrap_err().to_string(), message);
    }
}

#[test]
fn scheduling_that_no_kernel_takes_is_refused_by_its_field() {
    let table = [
        ("/process/scheduler", json!({}), "scheduler.policy: required, but missing"),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_NOPE"}),
            "scheduler.policy: unknown policy \"SCHED_NOPE\"; there are SCHED_BATCH, SCHED_DEADLINE, SCHED_FIFO, \
             SCHED_IDLE, SCHED_ISO, SCHED_OTHER, SCHED_RR",
        ),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_OTHER", "nice": 20}),
            "scheduler.nice: 20 is not within -20 to 19",
        ),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_RR", "priority": 100}),
            "scheduler.priority: 100 is not within 0 to 99",
        ),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_BATCH", "priority": 1}),
            "scheduler.priority: is for SCHED_FIFO and SCHED_RR alone",
        ),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_OTHER", "deadline": 1}),
            "scheduler.deadline: is for SCHED_DEADLINE alone",
        ),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_RECLAIM", "RECLAIM"]}),
            "scheduler.flags[1]: unknown flag \"RECLAIM\"; there are SCHED_FLAG_DL_OVERRUN, SCHED_FLAG_KEEP_PARAMS, \
             SCHED_FLAG_KEEP_POLICY, SCHED_FLAG_RECLAIM, SCHED_FLAG_RESET_ON_FORK, SCHED_FLAG_UTIL_CLAMP_MAX, \
             SCHED_FLAG_UTIL_CLAMP_MIN",
        ),
        ("/process/ioPriority", json!({"priority": 1}), "ioPriority.class: required, but missing"),
        (
            "/process/ioPriority",
            json!({"class": "BE"}),
            "ioPriority.class: unknown class \"BE\"; there are IOPRIO_CLASS_BE, IOPRIO_CLASS_IDLE, IOPRIO_CLASS_RT",
        ),
        (
            "/process/ioPriority",
            json!({"class": "IOPRIO_CLASS_BE", "priority": 8}),
            "ioPriority.priority: 8 is not within 0 to 7",
        ),
        (
            "/process/execCPUAffinity",
            json!({"initial": "0,x"}),
            "execCPUAffinity.initial: \"x\" is no number and no range",
        ),
        ("/process/execCPUAffinity", json!({"final": "8192"}), "execCPUAffinity.final: 8192 is above 8191"),
    ];
    for (pointer, value, message) in table {
        assert_eq!(refusal(&with(minimal(), pointer, value)), format!("process.{message}"));
    }
}

#[test]
fn a_memory_policy_or_a_personality_that_is_none_is_refused_by_its_field() {
    let table = [
        (
            "/linux/memoryPolicy",
            json!({}),
            "memoryPolicy.mode: invalid memory policy mode \"\"; there are MPOL_BIND, MPOL_DEFAULT, MPOL_INTERLEAVE, \
             MPOL_LOCAL, MPOL_PREFERRED, MPOL_PREFERRED_MANY, MPOL_WEIGHTED_INTERLEAVE",
        ),
        (
            "/linux/memoryPolicy",
            json!({"mode": "BIND"}),
            "memoryPolicy.mode: invalid memory policy mode \"BIND\"; there are MPOL_BIND, MPOL_DEFAULT, MPOL_INTERLEAVE, MPOL_LOCAL, \
             MPOL_PREFERRED, MPOL_PREFERRED_MANY, MPOL_WEIGHTED_INTERLEAVE",
        ),
        (
            "/linux/memoryPolicy",
            json!({"mode": "MPOL_BIND", "nodes": ""}),
            "memoryPolicy.nodes: MPOL_BIND needs at least one node",
        ),
        (
            "/linux/memoryPolicy",
            json!({"mode": "MPOL_LOCAL", "nodes": "0"}),
            "memoryPolicy.nodes: MPOL_LOCAL mode requires 0 nodes but got 1",
        ),
        (
            "/linux/memoryPolicy",
            json!({"mode": "MPOL_BIND", "nodes": "1-0"}),
            "memoryPolicy.nodes: invalid memory policy nodes: the range \"1-0\" ends before it begins",
        ),
        (
            "/linux/memoryPolicy",
            json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_NOPE"]}),
            "memoryPolicy.flags[0]: invalid memory policy flag \"MPOL_F_NOPE\"; there are MPOL_F_NUMA_BALANCING, \
             MPOL_F_RELATIVE_NODES, MPOL_F_STATIC_NODES",
        ),
        (
            "/linux/memoryPolicy",
            json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"]}),
            "memoryPolicy.flags: MPOL_F_RELATIVE_NODES and MPOL_F_STATIC_NODES exclude each other",
        ),
        ("/linux/personality", json!({}), "personality.domain: required, but missing"),
        (
            "/linux/personality",
            json!({"domain": "BSD"}),
            "personality.domain: unknown domain \"BSD\"; there are LINUX, LINUX32",
        ),
    ];
    for (pointer, value, message) in table {
        assert_eq!(refusal(&with(minimal(), pointer, value)), format!("linux.{message}"));
    }
}

#[test]
fn a_flag_of_a_personality_is_a_warning() {
    let value = json!({"domain": "LINUX32", "flags": ["ADDR_NO_RANDOMIZE"]});
    let config = with(minimal(), "/linux/personality", value).to_string();
    let config = parse_config(config.as_bytes()).unwrap();
    let warnings: Vec<_> = config.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, ["linux.personality.flags: ignored: the specification knows no flag"]);
}
