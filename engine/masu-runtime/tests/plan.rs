//! The plan of whole configurations, step by step, compared with committed text files.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test -p masu-runtime` writes them anew: read the difference before you commit it.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

mod common;

use std::fmt::Write as _;

use masu_cgroup::ContainerMounts;
use masu_program::{Namespaces, Steps};
use masu_runtime::{ExecInput, Host, Plan, plan_create, plan_exec};
use masu_spec::{default_config, parse_config, rootless_config};

use common::{ALL_CAPABILITIES, compare_text, host, input};

fn show(plan: &Plan) -> String {
    let mut text = format!("clone3 {:?}\n", plan.clone);
    for (step, origin) in Steps::new(&plan.program).zip(&plan.origins) {
        writeln!(text, "{origin}: {:?}", step.expect("decodes")).expect("writes");
    }
    for (number, (origin, want)) in plan.wants.iter().enumerate() {
        writeln!(text, "Fd({number}) = {origin}: {want:?}").expect("writes");
    }
    writeln!(text, "id maps {:?}\nwarnings {:?}", plan.id_maps, plan.warnings).expect("writes");
    text
}

fn compare(name: &str, plan: &Plan) {
    compare_text(name, &show(plan));
}

fn create(json: &str, host: &Host) -> Plan {
    let config = parse_config(json.as_bytes()).expect("parses");
    let hierarchies = ["memory".to_owned(), "pids".to_owned()];
    let mounts = ContainerMounts::default();
    plan_create(&input(&config, host, &hierarchies, &mounts)).expect("plans")
}

/// The default configuration with some of its text replaced.
fn changed(replacements: &[(&str, &str)]) -> String {
    replacements.iter().fold(default_config(false), |json, (from, to)| {
        assert!(json.contains(from), "{from}");
        json.replacen(from, to, 1)
    })
}

#[test]
fn the_default_container_is_one_clone_and_a_list_of_steps() {
    compare("default.txt", &create(&default_config(false), &host(ALL_CAPABILITIES, 0)));
}

#[test]
fn a_user_namespace_is_entered_by_a_fork_after_the_engines_own_steps() {
    let json = changed(&[(
        "\"namespaces\": [",
        "\"uidMappings\": [{\"containerID\": 0, \"hostID\": 100000, \"size\": 65536}],
         \"gidMappings\": [{\"containerID\": 0, \"hostID\": 100000, \"size\": 65536}],
         \"namespaces\": [{\"type\": \"user\"},",
    )]);
    compare("user-namespace.txt", &create(&json, &host(ALL_CAPABILITIES, 0)));
}

#[test]
fn hooks_find_the_root_at_its_own_path_before_anything_of_it_is_closed() {
    let hook = |name| format!("{{\"path\": \"/hooks/{name}\", \"env\": [\"A=1\"], \"timeout\": 5}}");
    let lists = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
    let lists = lists.map(|kind| format!("\"{kind}\": [{}]", hook(kind))).join(",");
    let json = changed(&[("\"process\": {", &format!("\"hooks\": {{{lists}}}, \"process\": {{"))]);
    compare("hooks.txt", &create(&json, &host(ALL_CAPABILITIES, 0)));
}

#[test]
fn the_engine_maps_the_owners_of_a_tree_and_moves_devices_at_the_barrier() {
    let map = "[{\"containerID\": 0, \"hostID\": 1000, \"size\": 10}]";
    let own = format!("\"uidMappings\": {map}, \"gidMappings\": {map}");
    let mount = format!("{{\"destination\": \"/v\", \"source\": \"/srv\", \"options\": [\"bind\"], {own}}}");
    let json = changed(&[
        ("\"mounts\": [", &format!("\"mounts\": [{mount},")),
        ("\"namespaces\": [", "\"netDevices\": {\"eth1\": {\"name\": \"eth0\"}}, \"namespaces\": ["),
    ]);
    let plan = show(&create(&json, &host(ALL_CAPABILITIES, 0)));
    let lines =
        |start: &str| plan.lines().filter(|line| line.starts_with(start)).collect::<Vec<_>>().join("\n");
    assert_eq!(
        lines("Fd(4)"),
        "Fd(4) = mounts[0]: Tree { path: \"/srv\", recursive: false, propagation: Slave, only_procfs: false, id_map: \
         Some(TreeIdMap { ids: Own { uid: \"0 1000 10\\n\", gid: \"0 1000 10\\n\" }, recursive: false }) }"
    );
    assert_eq!(lines("linux.netDevices"), "linux.netDevices: Barrier(Assembled)");
}

/// The steps of a container with these members of `process`, of `linux` and at the top that are about a label.
fn labelled(process: &str, linux: &str, top: &str) -> Vec<String> {
    let json = changed(&[
        ("\"process\": {", &format!("{top}\"process\": {{{process}")),
        ("\"linux\": {", &format!("\"linux\": {{{linux}")),
    ]);
    let text = show(&create(&json, &host(ALL_CAPABILITIES, 0)));
    text.lines().filter(|line| line.contains("abel") || line.contains("context")).map(Into::into).collect()
}

#[test]
fn a_profile_is_written_to_the_file_that_was_opened_for_it() {
    let lines = [
        r#"process.apparmorProfile: HoldExecLabel { path: "self/attr/apparmor/exec" }"#,
        r#"process.apparmorProfile: SetExecLabel { label: "exec p" }"#,
    ];
    assert_eq!(labelled("\"apparmorProfile\": \"p\",", "", ""), lines);
}

#[test]
fn a_process_label_is_that_of_the_keyring_too() {
    let lines = [
        r#"process.selinuxLabel: WriteSysctl { path: "self/attr/keycreate", value: "l:s0:c1,c2" }"#,
        r#"process.selinuxLabel: HoldExecLabel { path: "self/attr/exec" }"#,
        r#"process.selinuxLabel: SetExecLabel { label: "l:s0:c1,c2" }"#,
    ];
    assert_eq!(labelled("\"selinuxLabel\": \"l:s0:c1,c2\",", "", ""), lines);
}

#[test]
fn new_file_systems_get_the_mount_label_and_those_of_the_kernel_do_not() {
    for (top, kind) in [
        ("", "context"),
        ("\"annotations\": {\"run.oci.mount_context_type\": \"rootcontext\"},", "rootcontext"),
    ] {
        let lines = labelled("", "\"mountLabel\": \"l:s0:c1,c2\",", top);
        let labelled = |line: &&String| line.contains(&format!("\"{kind}\", \"l:s0:c1,c2\"]"));
        let origins: Vec<_> = lines
            .iter()
            .filter(labelled)
            .filter_map(|line| line.split_once(": "))
            .map(|(field, _)| field)
            .collect();
        let masks = (0..12).map(|index| format!("linux.maskedPaths[{index}]"));
        let mounts = [1, 2, 3, 6].map(|index| format!("mounts[{index}]"));
        assert_eq!(origins, mounts.into_iter().chain(masks).collect::<Vec<_>>());
        let file = r#"linux.mountLabel: SetFileLabel { path: "/dev/mqueue", label: "l:s0:c1,c2" }"#;
        let others: Vec<_> = lines.iter().filter(|line| !labelled(line)).collect();
        assert_eq!(others, [file]);
    }
}

#[test]
fn an_unknown_type_of_context_is_refused_by_its_annotation() {
    let json = changed(&[
        ("\"process\": {", "\"annotations\": {\"run.oci.mount_context_type\": \"odd\"}, \"process\": {"),
        ("\"linux\": {", "\"linux\": {\"mountLabel\": \"l\","),
    ]);
    let config = parse_config(json.as_bytes()).expect("parses");
    let (host, mounts) = (host(ALL_CAPABILITIES, 0), ContainerMounts::default());
    let error = plan_create(&input(&config, &host, &[], &mounts)).expect_err("refuses");
    let text = "annotations[\"run.oci.mount_context_type\"]: unknown type of context \"odd\"";
    assert_eq!(error.to_string(), text);
}

#[test]
fn an_ordinary_users_engine_leaves_to_init_what_it_may_not_do() {
    compare("ordinary-user.txt", &create(&rootless_config(false, 1000, 1000), &host(0, 1000)));
}

#[test]
fn an_ordinary_users_ranges_are_left_to_newuidmap_and_newgidmap() {
    let json = rootless_config(false, 1000, 1000);
    let json = json.replace("\"hostID\": 1000,", "\"hostID\": 100000,");
    // Root of another user namespace needs no help.
    for (capabilities, uid, writer) in [(0, 1000, "Program"), (ALL_CAPABILITIES, 0, "Engine")] {
        let text = show(&create(&json, &host(capabilities, uid)));
        let map = format!("IdMap {{ lines: \"0 100000 1\\n\", writer: {writer} }}");
        let expected = format!("id maps Some(IdMaps {{ uid: {map}, gid: {map}, deny_setgroups: false }})");
        assert_eq!(text.lines().find(|line| line.starts_with("id maps")), Some(expected.as_str()));
    }
}

#[test]
fn below_a_namespace_that_forbids_setgroups_the_groups_stay_as_they_are() {
    let host = host(ALL_CAPABILITIES, 0);
    for (setgroups_denied, step) in [
        (false, "process.user: ChangeIdentity(Identity { uid: 0, gid: 0, groups: Some([]) })"),
        (true, "process.user: ChangeIdentity(Identity { uid: 0, gid: 0, groups: None })"),
    ] {
        let host = Host { in_user_namespace: true, setgroups_denied, ..host.clone() };
        let plan = show(&create(&default_config(false), &host));
        let identities: Vec<_> = plan.lines().filter(|line| line.contains("ChangeIdentity")).collect();
        assert_eq!(identities, [step], "setgroups denied: {setgroups_denied}");
    }
}

#[test]
fn what_cannot_be_granted_is_left_out_with_a_warning() {
    let plan = create(
        &changed(&[("\"CAP_KILL\",", "\"CAP_KILL\", \"CAP_SYS_RESOURCE\",")]),
        &host(ALL_CAPABILITIES & !(1 << 24), 0),
    );
    assert_eq!(
        plan.warnings,
        ["process.capabilities: cannot be granted here and are left out: CAP_SYS_RESOURCE"]
    );
}

#[test]
fn without_privilege_a_user_namespace_is_needed() {
    let config = default_config(false);
    let config = parse_config(config.as_bytes()).expect("parses");
    let host = host(0, 1000);
    let error = plan_create(&input(&config, &host, &[], &ContainerMounts::default())).expect_err("refused");
    assert_eq!(
        error.to_string(),
        "linux.namespaces: this container needs root, or a user namespace in linux.namespaces"
    );
}

#[test]
fn a_process_joins_the_pid_namespace_first_and_the_others_after_the_fork() {
    let json = default_config(false);
    let config = parse_config(json.as_bytes()).expect("parses");
    let plan = plan_exec(&ExecInput {
        process: &config.process,
        host: &host(ALL_CAPABILITIES, 0),
        namespaces: Namespaces::PID | Namespaces::MOUNT | Namespaces::UTS | Namespaces::USER,
        root: (0, 0),
        groups_forbidden: false,
        seccomp: None,
        only_known_calls: false,
        keep_groups: false,
        personality: None,
        memory_policy: None,
        rootfs: "/bundle/rootfs",
        hierarchies: &["memory".to_owned()],
        unified: false,
        keyring: Some("mydebian"),
        preserve_fds: 2,
    });
    compare("exec.txt", &plan.expect("plans"));
}
