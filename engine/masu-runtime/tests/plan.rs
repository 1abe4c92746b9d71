//! The plan of whole configurations, step by step, compared with committed text files.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test -p masu-runtime` writes them anew: read the difference before you commit it.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

use std::{fmt::Write as _, fs, path::Path};

use masu_cgroup::{ContainerMounts, Layout};
use masu_program::{Namespaces, Steps};
use masu_runtime::{CreateInput, ExecInput, Gate, Host, Plan, plan_create, plan_exec};
use masu_spec::{Config, default_config, parse_config};

const ALL_CAPABILITIES: u64 = (1 << 41) - 1;

fn host(capabilities: u64, uid: u32) -> Host {
    let (in_user_namespace, setgroups_denied) = (false, false);
    Host { capabilities, uid, gid: uid, in_user_namespace, setgroups_denied, cgroups: Layout::None }
}

fn input<'a>(
    config: &'a Config<'a>,
    host: &'a Host,
    hierarchies: &'a [String],
    mounts: &'a ContainerMounts,
) -> CreateInput<'a> {
    CreateInput {
        config,
        host,
        id: "mydebian",
        bundle: "/bundle",
        rootfs: "/bundle/rootfs",
        hierarchies,
        unified: true,
        cgroup_mounts: mounts,
        gate: Gate::Fifo,
        no_pivot: false,
        no_new_keyring: false,
        preserve_fds: 0,
    }
}

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
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans").join(name);
    let text = show(plan);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, &text).expect("writes the snapshot");
    }
    assert_eq!(text, fs::read_to_string(&path).expect("reads the snapshot"), "{}", path.display());
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
fn an_ordinary_users_engine_leaves_to_init_what_it_may_not_do() {
    let json = changed(&[(
        "\"namespaces\": [",
        "\"uidMappings\": [{\"containerID\": 0, \"hostID\": 1000, \"size\": 1}],
         \"gidMappings\": [{\"containerID\": 0, \"hostID\": 1000, \"size\": 1}],
         \"namespaces\": [{\"type\": \"user\"},",
    )]);
    compare("ordinary-user.txt", &create(&json, &host(0, 1000)));
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
        rootfs: "/bundle/rootfs",
        hierarchies: &["memory".to_owned()],
        unified: false,
        preserve_fds: 2,
    });
    compare("exec.txt", &plan.expect("plans"));
}
