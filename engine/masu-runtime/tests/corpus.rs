//! The plans of configurations that engines wrote (`tests/corpus` at the top of the work tree), in words, compared with
//! committed text files. `UPDATE_SNAPSHOTS=1 cargo test -p masu-runtime` writes them anew: read the difference.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

mod common;

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use common::{ALL_CAPABILITIES, compare_text, host};
use masu_cgroup::Layout;
use masu_program::Namespaces;
use masu_runtime::{ExecInput, ExplainOptions, Explanation, Host, explain_config, explain_plan, plan_exec};
use masu_spec::{parse_config, parse_process};
use serde_json::json;

fn corpus() -> Vec<(String, PathBuf)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus");
    let files = fs::read_dir(dir).expect("reads the corpus").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<(String, PathBuf)> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| (path.file_stem().expect("a name").to_string_lossy().into_owned(), path))
        .collect();
    files.sort();
    files
}

/// The files of `create`, and those of `exec --process`.
fn configs() -> impl Iterator<Item = (String, PathBuf)> {
    corpus().into_iter().filter(|(name, _)| !name.ends_with(".process"))
}

fn processes() -> impl Iterator<Item = (String, PathBuf)> {
    corpus().into_iter().filter(|(name, _)| name.ends_with(".process"))
}

/// The plan of a file in words; an error of the parser is one of the test.
fn explain(name: &str, json: &[u8]) -> Result<Explanation, String> {
    let config = parse_config(json).expect(name);
    let (host, rootfs) = (machine(name), config.root.path.as_str());
    explain_config(&config, &host, rootfs, "/run/masu/container", &OPTIONS).map_err(|error| error.to_string())
}

/// A machine with two version 1 hierarchies and the unified one, for podman and Docker, and one with the unified
/// hierarchy alone for the others. Most machines have more hierarchies, with one controller each.
fn machine(name: &str) -> Host {
    let (mountinfo, own) = match name.starts_with("podman") || name.starts_with("docker") {
        true => (
            "30 25 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
             31 25 0:27 / /sys/fs/cgroup/rest rw - cgroup cgroup rw,cpuset,cpu,cpuacct,blkio,devices,freezer,pids\n\
             32 25 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
            "2:memory:/\n1:cpuset,cpu,cpuacct,blkio,devices,freezer,pids:/\n0::/\n",
        ),
        false => ("30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/\n"),
    };
    let mut layout = Layout::parse(mountinfo, own).expect("a layout");
    if let Layout::Unified { unified } = &mut layout {
        unified.controllers = ["cpuset", "cpu", "io", "memory", "pids"].map(Into::into).to_vec();
    }
    Host { cgroups: layout.into(), ..host(ALL_CAPABILITIES, 0) }
}

/// Options that change nothing.
const OPTIONS: ExplainOptions<'static> = ExplainOptions {
    id: "container",
    bundle: "/bundle",
    no_pivot: false,
    no_new_keyring: false,
    preserve_fds: 0,
    cgroup_driver: masu_runtime::CgroupDriver::Cgroupfs,
    rootless: None,
};

fn show(explanation: &Explanation) -> String {
    let mut text = String::new();
    for warning in &explanation.warnings {
        writeln!(text, "warning: {warning}").expect("writes");
    }
    for step in &explanation.steps {
        writeln!(text, "{:?} {}: {}", step.phase, step.origin, step.sentence).expect("writes");
    }
    text
}

#[test]
fn each_configuration_of_the_corpus_has_its_plan() {
    let mut names = BTreeSet::new();
    for (name, path) in configs() {
        let json = fs::read(&path).expect("reads");
        let explanation = explain(&name, &json).unwrap_or_else(|error| panic!("{name}: {error}"));
        compare_text(&format!("corpus/{name}.txt"), &show(&explanation));
        names.insert(format!("{name}.txt"));
    }
    for (name, path) in processes() {
        let json = fs::read(&path).expect("reads");
        let process = parse_process(&json).unwrap_or_else(|error| panic!("{name}: {error}"));
        let plan = plan_exec(&ExecInput {
            process: &process,
            host: &host(ALL_CAPABILITIES, 0),
            namespaces: Namespaces::PID | Namespaces::MOUNT | Namespaces::IPC | Namespaces::NETWORK,
            root: (0, 0),
            groups_forbidden: false,
            seccomp: None,
            only_known_calls: false,
            keep_groups: false,
            personality: None,
            memory_policy: None,
            rootfs: "/rootfs",
            hierarchies: &["memory".to_owned(), "pids".to_owned()],
            unified: true,
            keyring: Some("mydebian"),
            preserve_fds: 0,
        });
        let plan = plan.unwrap_or_else(|error| panic!("{name}: {error}"));
        let explanation = explain_plan(&plan, None).expect("explains");
        compare_text(&format!("corpus/{name}.txt"), &show(&explanation));
        names.insert(format!("{name}.txt"));
    }
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans/corpus");
    let found: BTreeSet<String> = fs::read_dir(dir)
        .expect("reads the plans")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(found, names, "plans without a configuration, or the other way round");
}

#[test]
fn a_cgroup_that_cannot_be_made_has_none_below_it() {
    let config = json!({"ociVersion": "1.0.2", "root": {"path": "/r"},
        "annotations": {"run.oci.delegate-cgroup": "own"}, "process": {"cwd": "/", "args": ["sh"]}})
    .to_string();
    let told = |mount_point: &str| {
        let mountinfo = format!("30 25 0:26 / {mount_point} rw - cgroup2 cgroup2 rw\n");
        let cgroups = Layout::parse(&mountinfo, "0::/\n").expect("a layout");
        let host = Host { cgroups: cgroups.into(), ..host(ALL_CAPABILITIES, 0) };
        let config = parse_config(config.as_bytes()).expect("a configuration");
        let options = ExplainOptions { rootless: Some(true), ..OPTIONS };
        let explanation = explain_config(&config, &host, "/r", "/run/masu/container", &options);
        let steps = explanation.expect("explains").steps;
        steps.iter().filter(|step| step.sentence.contains("cgroup \"")).count()
    };
    let here = std::env::temp_dir();
    assert_eq!(told(here.to_str().expect("UTF-8")), 3, "the cgroup, the one below, and the move there");
    assert_eq!(told("/dev/null/cgroup"), 0, "nobody makes directories below a device");
}

#[test]
fn texts_may_be_escaped_as_go_does_it() {
    // Go escapes what could end a script in a page.
    let escaped =
        json!("<a&b>").to_string().replace('<', "\\u003c").replace('&', "\\u0026").replace('>', "\\u003e");
    let config = format!(
        "{{\"ociVersion\":\"1.0.2\",\"root\":{{\"path\":\"/r\"}},\"annotations\":{{\"a\":{escaped}}},\
         \"process\":{{\"cwd\":\"/\",\"args\":[\"sh\"]}}}}"
    );
    let config = parse_config(config.as_bytes()).expect("parses");
    let values: Vec<&str> = config.annotations.values().map(|value| value.as_str()).collect();
    assert_eq!(values, ["<a&b>"]);
}
