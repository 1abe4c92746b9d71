//! Global flags, `--version`, `--help`, `features`, the log.

use std::fs;

use serde_json::Value;

use crate::harness::{Bench, Check, Suite, ensure, ensure_eq, fail};

/// Adds the cases.
#[expect(clippy::too_many_lines, reason = "a flat list of cases")]
pub(crate) fn add(suite: &mut Suite) {
    suite.case("`--version` names the runtime, its commit and the specification, in this order", version);
    suite.case("`-v` is `--version`", |bench| {
        let long = bench.bare(&["--version"]).succeeds()?;
        ensure_eq!(bench.bare(&["-v"]).succeeds()?.stdout, long.stdout);
        Ok(())
    });
    suite.case("`--help` and `-h` name every command of this issue", help);
    suite.case("the `--help` of each command names its options", command_help);
    suite.case("an unknown command ends with exit code 3", |bench| {
        bench.call(&["no-such-command"]).output()?.exits_with(3)?;
        Ok(())
    });
    suite.masu_only("an unknown command close to a known one brings a suggestion", |bench| {
        bench.call(&["strat"]).output()?.fails_with(3, &["start"])?;
        Ok(())
    });
    suite.case("a command without an id ends with exit code 1", |bench| {
        for command in
            ["create", "start", "run", "state", "kill", "delete", "pause", "resume", "update", "ps"]
        {
            bench.call(&[command]).output()?.exits_with(1)?;
        }
        Ok(())
    });
    suite.case("an unknown flag ends with exit code 1", |bench| {
        bench.call(&["state", "--no-such-flag", "x"]).output()?.exits_with(1)?;
        Ok(())
    });
    suite.case("long flags with a single dash are accepted", single_dash);
    suite.case("`--log` with `--log-format json` has one object a line with level, msg and time", log_json);
    suite.case("`--log` appends to the file", log_appends);
    suite.case("an error goes to standard error too", |bench| {
        let log = bench.path("log");
        bench
            .call(&["--log"])
            .arg(&log)
            .args(["state", "nobody"])
            .output()?
            .fails_with(1, &["container does not exist"])?;
        Ok(())
    });
    suite.case("`--debug` does not change standard output", |bench| {
        let container = bench.sleeper(|_| {})?;
        let plain = container.call("state").succeeds()?;
        let debug = bench.call(&["--debug", "state", &container.id]).succeeds()?;
        ensure_eq!(debug.stdout, plain.stdout);
        Ok(())
    });
    suite.case("`--root /` is refused", |bench| {
        bench.bare(&["--root", "/", "list"]).output()?.exits_with(1)?;
        Ok(())
    });
    suite.case("`--root=DIR` is the same as `--root DIR`", |bench| {
        let container = bench.sleeper(|_| {})?;
        let root = format!("--root={}", bench.root.display());
        bench.bare(&[&root, "state", &container.id]).succeeds()?;
        Ok(())
    });
    suite.case("`--rootless` takes true, false and auto", |bench| {
        for value in ["false", "auto"] {
            bench.call(&["--rootless", value, "list"]).succeeds()?;
        }
        Ok(())
    });
    suite.case("`features` tells the versions, namespaces, capabilities and mount options", features);
    suite.case("`features` has the properties of the specification and no other", features_known);
    suite.case("each version that `features` ends at is taken as ociVersion", |bench| {
        let features: Value = serde_json::from_str(&bench.bare(&["features"]).succeeds()?.stdout)?;
        for end in ["ociVersionMin", "ociVersionMax"] {
            bench.inside("true", |config| {
                config.set("/ociVersion", features[end].clone());
            })?;
        }
        Ok(())
    });
    suite.masu_only("`features` names nothing that this issue does not bring", features_of_masu);
}

fn version(bench: &mut Bench<'_>) -> Check {
    let output = bench.bare(&["--version"]).succeeds()?;
    let mut lines = output.stdout.lines();
    let first = lines.next().unwrap_or_default();
    ensure!(first.starts_with(&format!("{} version ", bench.runtime().name)), "{output}");
    let rest: Vec<_> = lines.filter_map(|line| line.split_once(": ")).map(|(key, _)| key).collect();
    ensure_eq!(rest.first(), Some(&"commit"), "{output}");
    ensure_eq!(rest.get(1), Some(&"spec"), "{output}");
    Ok(())
}

const COMMANDS: [&str; 15] = [
    "create", "delete", "exec", "features", "kill", "list", "pause", "ps", "resume", "run", "spec", "start",
    "state", "update", "--root",
];

fn help(bench: &mut Bench<'_>) -> Check {
    for flag in ["--help", "-h"] {
        let output = bench.bare(&[flag]).succeeds()?;
        for word in COMMANDS {
            ensure!(output.stdout.contains(word), "no {word} in {output}");
        }
    }
    Ok(())
}

fn command_help(bench: &mut Bench<'_>) -> Check {
    let table: [(&str, &[&str]); 14] = [
        ("create", &["--bundle", "--pid-file", "--preserve-fds"]),
        ("delete", &["--force"]),
        (
            "exec",
            &["--cwd", "--env", "--user", "--process", "--detach", "--cap", "--ignore-paused", "--cgroup"],
        ),
        ("features", &[]),
        ("kill", &[]),
        ("list", &["--format", "--quiet"]),
        ("pause", &[]),
        ("ps", &["--format"]),
        ("resume", &[]),
        ("run", &["--bundle", "--detach", "--pid-file", "--keep", "--no-subreaper"]),
        ("spec", &["--bundle"]),
        ("start", &[]),
        ("state", &[]),
        ("update", &["--resources", "--memory", "--cpu-quota", "--pids-limit", "--cpuset-cpus"]),
    ];
    for (command, options) in table {
        let output = bench.bare(&[command, "--help"]).succeeds()?;
        ensure!(output.stdout.contains(command), "no {command} in {output}");
        for option in options {
            ensure!(output.stdout.contains(option), "no {option} in {output}");
        }
    }
    Ok(())
}

fn single_dash(bench: &mut Bench<'_>) -> Check {
    let mut bundle = bench.bundle()?;
    bundle.config.args(&["true"]);
    let container = bench.container(bundle)?;
    container.launch("run", &["-no-subreaper"]).succeeds()?;
    bench.bare(&["-root"]).arg(&bench.root).args(["list", "-format", "json"]).succeeds()?;
    Ok(())
}

fn log_json(bench: &mut Bench<'_>) -> Check {
    let log = bench.path("log");
    let call = bench.call(&["--log"]).arg(&log).args(["--log-format", "json", "state", "nobody"]);
    call.output()?.exits_with(1)?;
    let text = fs::read_to_string(&log)?;
    let mut errors = Vec::new();
    for line in text.lines() {
        let entry: Value = serde_json::from_str(line)?;
        for key in ["level", "msg", "time"] {
            ensure!(entry[key].is_string(), "no {key} in {line}");
        }
        if entry["level"] == "error" {
            errors.push(entry["msg"].clone());
        }
    }
    let last = errors.last().and_then(Value::as_str).ok_or_else(|| fail(format!("no error in {text}")))?;
    ensure!(last.contains("container does not exist"), "{last}");
    Ok(())
}

fn log_appends(bench: &mut Bench<'_>) -> Check {
    let log = bench.path("log");
    fs::write(&log, "kept\n")?;
    bench.call(&["--log"]).arg(&log).args(["state", "nobody"]).output()?.exits_with(1)?;
    let text = fs::read_to_string(&log)?;
    ensure!(text.starts_with("kept\n"), "{text}");
    ensure!(text.contains("container does not exist"), "{text}");
    Ok(())
}

fn features(bench: &mut Bench<'_>) -> Check {
    let features: Value = serde_json::from_str(&bench.bare(&["features"]).succeeds()?.stdout)?;
    ensure_eq!(features["ociVersionMin"], "1.0.0");
    ensure!(features["ociVersionMax"].is_string(), "{features}");
    let has = |pointer: &str, wanted: &str| {
        let list = features.pointer(pointer).and_then(Value::as_array);
        list.is_some_and(|list| list.iter().any(|one| one == wanted))
    };
    for kind in ["cgroup", "ipc", "mount", "network", "pid", "user", "uts"] {
        ensure!(has("/linux/namespaces", kind), "no namespace {kind} in {features}");
    }
    for name in ["CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_CHECKPOINT_RESTORE"] {
        ensure!(has("/linux/capabilities", name), "no {name} in {features}");
    }
    for option in ["ro", "rw", "nosuid", "noexec", "rbind", "rprivate", "rro", "strictatime"] {
        ensure!(has("/mountOptions", option), "no option {option} in {features}");
    }
    for kind in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
        ensure!(has("/hooks", kind), "no hook {kind} in {features}");
    }
    ensure_eq!(features["linux"]["cgroup"]["v1"], true);
    Ok(())
}

/// Features, FeaturesLinux of features.md and features-linux.md, version 1.3.0.
fn features_known(bench: &mut Bench<'_>) -> Check {
    let features: Value = serde_json::from_str(&bench.bare(&["features"]).succeeds()?.stdout)?;
    let known = [
        "annotations",
        "hooks",
        "linux",
        "mountOptions",
        "ociVersionMax",
        "ociVersionMin",
        "potentiallyUnsafeConfigAnnotations",
    ];
    let of_linux = [
        "apparmor",
        "capabilities",
        "cgroup",
        "intelRdt",
        "memoryPolicy",
        "mountExtensions",
        "namespaces",
        "netDevices",
        "seccomp",
        "selinux",
    ];
    for (object, known) in [(&features, &known[..]), (&features["linux"], &of_linux)] {
        let object = object.as_object().ok_or_else(|| fail(format!("no object: {object}")))?;
        for (name, value) in object {
            ensure!(known.contains(&name.as_str()) && !value.is_null(), "{name}: {value}");
        }
    }
    Ok(())
}

fn features_of_masu(bench: &mut Bench<'_>) -> Check {
    let features: Value = serde_json::from_str(&bench.bare(&["features"]).succeeds()?.stdout)?;
    ensure_eq!(features["linux"]["cgroup"]["v2"], true);
    ensure_eq!(features["linux"]["cgroup"]["systemd"], true);
    ensure_eq!(features["linux"]["cgroup"]["systemdUser"], true);
    ensure_eq!(features["linux"]["seccomp"]["enabled"], true);
    // What the suites seccomp and config show at work.
    let lists: [(&str, &str); 5] = [
        (
            "/linux/seccomp/actions",
            "SCMP_ACT_ALLOW SCMP_ACT_ERRNO SCMP_ACT_KILL SCMP_ACT_KILL_PROCESS SCMP_ACT_KILL_THREAD SCMP_ACT_LOG \
             SCMP_ACT_NOTIFY SCMP_ACT_TRACE SCMP_ACT_TRAP",
        ),
        (
            "/linux/seccomp/supportedFlags",
            "SECCOMP_FILTER_FLAG_LOG SECCOMP_FILTER_FLAG_SPEC_ALLOW SECCOMP_FILTER_FLAG_TSYNC \
             SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
        ),
        (
            "/linux/memoryPolicy/modes",
            "MPOL_BIND MPOL_DEFAULT MPOL_INTERLEAVE MPOL_LOCAL MPOL_PREFERRED MPOL_PREFERRED_MANY \
             MPOL_WEIGHTED_INTERLEAVE",
        ),
        ("/linux/memoryPolicy/flags", "MPOL_F_NUMA_BALANCING MPOL_F_RELATIVE_NODES MPOL_F_STATIC_NODES"),
        ("/potentiallyUnsafeConfigAnnotations", "run.oci."),
    ];
    for (pointer, names) in lists {
        let told = features.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
        let told: Vec<&str> = told.iter().filter_map(Value::as_str).collect();
        ensure_eq!(told.join(" "), names, "{pointer}");
    }
    Ok(())
}
