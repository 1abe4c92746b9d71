//! A bundle that is wrong.

use std::fs;

use serde_json::{Value, json};

use super::refused;
use crate::harness::config::Config;
use crate::harness::{Bench, Check, Suite, ensure_eq, host};

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    files(suite);
    for Wrong(sentence, edit, phrases) in WRONG {
        suite.case(*sentence, |bench| {
            let mut bundle = bench.bundle()?;
            bundle.config.args(&["true"]);
            edit(&mut bundle.config);
            let container = bench.container(bundle)?;
            refused(bench, sentence, container.launch("run", &[]), 1, phrases)?;
            ensure_eq!(fs::read_dir(&bench.root)?.count(), 0, "state was left");
            Ok(())
        });
    }
    suite.case("a cgroup that cannot be written to", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.args(&["true"]).set("/linux/resources/pids", json!({"limit": 5}));
        bundle.write()?;
        // The same mount, read-only, for the runtime alone.
        let script = format!(
            "for one in {cgroups} {cgroups}/*; do mountpoint -q $one && mount -o remount,bind,ro $one; done; \
             exec {} run --bundle {} {}",
            bench.command_line(),
            bundle.dir.display(),
            bundle.name,
            cgroups = host::CGROUPS,
        );
        let call = bench.program("unshare").args(["--mount", "sh", "-c", &script]);
        refused(bench, "a cgroup that cannot be written to", call, 1, &["read-only file system"])?;
        ensure_eq!(fs::read_dir(&bench.root)?.count(), 0, "state was left");
        Ok(())
    });
    programs(suite);
}

/// A config.json as text, and the phrases of its refusal.
const TEXTS: &[(&str, &str, &[&str])] = &[
    ("an empty config.json", "", &[]),
    ("a config.json that ends too early", "{\n  \"ociVersion\": \"1.0.2\",\n  \"process\": {\n", &[]),
    (
        "a config.json with a comma too many",
        "{\n  \"ociVersion\": \"1.0.2\",\n  \"root\": {\"path\": \"rootfs\",}\n}\n",
        &[],
    ),
    ("a config.json that is no object", "[]", &[]),
    ("a config.json with something behind its end", "{\"ociVersion\": \"1.0.2\"} extra", &[]),
];

fn files(suite: &mut Suite) {
    suite.case("a bundle without config.json", |bench| {
        let dir = bench.directory("empty")?;
        let call = bench.call(&["run", "--bundle"]).arg(&dir).arg(&bench.tag);
        refused(bench, "a bundle without config.json", call, 1, &["config.json"])
    });
    suite.case("a bundle that is not there", |bench| {
        let call = bench.call(&["run", "--bundle", "/no/such/bundle", &bench.tag]);
        refused(
            bench,
            "a bundle that is not there",
            call,
            1,
            &["/no/such/bundle", "no such file or directory"],
        )
    });
    suite.case("a config.json that is a directory", |bench| {
        let dir = bench.directory("bundle")?;
        fs::create_dir(dir.join("config.json"))?;
        let call = bench.call(&["run", "--bundle"]).arg(&dir).arg(&bench.tag);
        refused(bench, "a config.json that is a directory", call, 1, &["is a directory"])
    });
    for &(sentence, text, phrases) in TEXTS {
        suite.case(sentence, move |bench| {
            let container = bench.container(bench.bundle()?)?;
            fs::write(container.bundle.dir.join("config.json"), text)?;
            refused(bench, sentence, container.launch("run", &[]), 1, phrases)
        });
    }
    suite.case("unknown fields of a config.json are ignored", |bench| {
        let text = bench.inside("echo runs", |config| {
            config
                .set("/field", json!({"of": ["the", "future"]}))
                .set("/process/alsoNew", 7)
                .set("/linux/newer", Value::Null);
        })?;
        ensure_eq!(text, "runs");
        Ok(())
    });
}

/// A sentence, an edit of a good config, and the phrases of the refusal.
struct Wrong(&'static str, fn(&mut Config), &'static [&'static str]);

const WRONG: &[Wrong] = &[
    Wrong(
        "a string where process.args is a list",
        |c| {
            c.set("/process/args", "sh");
        },
        &["process.args"],
    ),
    Wrong(
        "a number in process.args",
        |c| {
            c.set("/process/args", json!(["sh", 5]));
        },
        &["process.args"],
    ),
    Wrong(
        "a string where process.user.uid is a number",
        |c| {
            c.set("/process/user/uid", "root");
        },
        &["process.user.uid"],
    ),
    Wrong(
        "a negative process.user.uid",
        |c| {
            c.set("/process/user/uid", -1);
        },
        &["process.user.uid"],
    ),
    Wrong(
        "a number as an option of a mount",
        |c| {
            c.set("/mounts/1/options", json!(["ro", 5]));
        },
        &["mounts"],
    ),
    Wrong(
        "an object where linux.namespaces is a list",
        |c| {
            c.set("/linux/namespaces", json!({}));
        },
        &["linux.namespaces"],
    ),
    Wrong(
        "a number as hostname",
        |c| {
            c.set("/hostname", 5);
        },
        &["hostname"],
    ),
    Wrong(
        "a string where root.readonly is a boolean",
        |c| {
            c.set("/root/readonly", "yes");
        },
        &["root.readonly"],
    ),
    Wrong(
        "a limit beyond 64 bits",
        |c| {
            c.set("/linux/resources/memory", json!({"limit": 1.0e30}));
        },
        &["memory.limit"],
    ),
    Wrong(
        "an unknown namespace type",
        |c| {
            c.namespace("netz");
        },
        &["netz"],
    ),
    Wrong(
        "a namespace type twice",
        |c| {
            c.push("/linux/namespaces", json!({"type": "uts"}));
        },
        &["uts"],
    ),
    Wrong(
        "an annotation without a key",
        |c| {
            c.set("/annotations", json!({"": "x"}));
        },
        &["annotations[\"\"]"],
    ),
    Wrong(
        "an unknown rlimit",
        |c| {
            c.set("/process/rlimits/0/type", "RLIMIT_NOPE");
        },
        &["RLIMIT_NOPE"],
    ),
    Wrong(
        "an rlimit twice",
        |c| {
            c.push("/process/rlimits", json!({"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}));
        },
        &["RLIMIT_NOFILE"],
    ),
    Wrong(
        "a soft rlimit above the hard one",
        |c| {
            c.set("/process/rlimits/0/soft", 2000);
        },
        &[],
    ),
    Wrong(
        "an unknown propagation of the root",
        |c| {
            c.set("/linux/rootfsPropagation", "sideways");
        },
        &["sideways"],
    ),
    Wrong(
        "a root.path that is not there",
        |c| {
            c.set("/root/path", "missing");
        },
        &["missing"],
    ),
    Wrong(
        "a root.path that is a file",
        |c| {
            c.set("/root/path", "config.json");
        },
        &["not a directory"],
    ),
    Wrong(
        "a config without root",
        |c| {
            c.remove("", "root");
        },
        &["root"],
    ),
    Wrong(
        "a config without process",
        |c| {
            c.remove("", "process");
        },
        &["process"],
    ),
    Wrong(
        "empty process.args",
        |c| {
            c.set("/process/args", json!([]));
        },
        &["args"],
    ),
    Wrong(
        "a config without process.args",
        |c| {
            c.remove("/process", "args");
        },
        &["args"],
    ),
    Wrong(
        "a relative process.cwd",
        |c| {
            c.set("/process/cwd", "tmp");
        },
        &["absolute"],
    ),
    Wrong(
        "an empty process.cwd",
        |c| {
            c.set("/process/cwd", "");
        },
        &[],
    ),
    Wrong(
        "hostname without a uts namespace",
        |c| {
            c.without_namespace("uts");
        },
        &["hostname"],
    ),
    Wrong(
        "an unknown type in the device rules",
        |c| {
            c.push("/linux/resources/devices", json!({"allow": true, "type": "z", "access": "rwm"}));
        },
        &["z"],
    ),
    Wrong(
        "an unknown access in the device rules",
        |c| {
            c.push(
                "/linux/resources/devices",
                json!({"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwx"}),
            );
        },
        &[],
    ),
    Wrong(
        "a NUL byte in process.args",
        |c| {
            c.set("/process/args", json!(["sh", "a\0b"]));
        },
        &[],
    ),
    Wrong(
        "a sysctl that is not there",
        |c| {
            c.set("/linux/sysctl", json!({"net.no.such": "1"}));
        },
        &["no"],
    ),
    Wrong(
        "an id map that overlaps itself",
        |c| {
            c.user_namespace();
            c.push("/linux/uidMappings", json!({"containerID": 5, "hostID": 300_000, "size": 10}));
        },
        &[],
    ),
    Wrong(
        "an id map whose ranges overlap outside",
        |c| {
            c.user_namespace();
            c.push("/linux/gidMappings", json!({"containerID": 70_000, "hostID": 100_005, "size": 10}));
        },
        &[],
    ),
    Wrong(
        "an id map of nothing",
        |c| {
            c.user_namespace().set("/linux/uidMappings/0/size", 0);
        },
        &[],
    ),
    Wrong(
        "an id map beyond the last id",
        |c| {
            c.user_namespace().set("/linux/uidMappings/0/size", u32::MAX);
        },
        &[],
    ),
    Wrong(
        "a user whom the id map leaves out",
        |c| {
            c.user_namespace().set("/process/user/uid", 4_000_000);
        },
        &[],
    ),
    Wrong(
        "a blockIO weight above the scale",
        |c| {
            c.set("/linux/resources/blockIO", json!({"weight": 1001}));
        },
        &[],
    ),
    Wrong(
        "a blockIO weight beyond 16 bits",
        |c| {
            c.set("/linux/resources/blockIO", json!({"weight": 70_000}));
        },
        &["weight"],
    ),
    Wrong(
        "cpu shares below zero",
        |c| {
            c.set("/linux/resources/cpu", json!({"shares": -1}));
        },
        &["shares"],
    ),
    Wrong(
        "a cpu period that the kernel has not",
        |c| {
            c.set("/linux/resources/cpu", json!({"quota": 5000, "period": 1}));
        },
        &["invalid argument"],
    ),
    Wrong(
        "a CPU that is not there",
        |c| {
            c.set("/linux/resources/cpu", json!({"cpus": "4095"}));
        },
        &["cpuset.cpus"],
    ),
    Wrong(
        "a memory node that is not there",
        |c| {
            c.set("/linux/resources/cpu", json!({"mems": "63"}));
        },
        &["cpuset.mems"],
    ),
    Wrong(
        "a list of CPUs that is a word",
        |c| {
            c.set("/linux/resources/cpu", json!({"cpus": "many"}));
        },
        &[],
    ),
    Wrong(
        "a throttle of a device that is not there",
        |c| {
            let device = json!([{"major": 4095, "minor": 77, "rate": 1}]);
            c.set("/linux/resources/blockIO", json!({"throttleReadBpsDevice": device}));
        },
        &["no such device"],
    ),
    Wrong(
        "a device without a number",
        |c| {
            c.push("/linux/devices", json!({"path": "/dev/x", "type": "c", "minor": 1}));
        },
        &[],
    ),
    Wrong(
        "a device beyond the kernel's numbers",
        |c| {
            c.push("/linux/devices", json!({"path": "/dev/x", "type": "c", "major": 4096, "minor": 1}));
        },
        &[],
    ),
    Wrong(
        "a bound device that is not there",
        |c| {
            c.mount("/dev/nothing", "bind", "/dev/no-such-device", &["bind"]);
        },
        &["no-such-device", "no such file or directory"],
    ),
    Wrong(
        "an unknown seccomp architecture",
        |c| {
            filter(c).set("/linux/seccomp/architectures", json!(["SCMP_ARCH_NOPE"]));
        },
        &["NOPE"],
    ),
    Wrong(
        "an unknown seccomp action",
        |c| {
            filter(c).set("/linux/seccomp/syscalls/0/action", "SCMP_ACT_NOPE");
        },
        &["SCMP_ACT_NOPE"],
    ),
    Wrong(
        "an unknown seccomp default action",
        |c| {
            filter(c).set("/linux/seccomp/defaultAction", "SCMP_ACT_NOPE");
        },
        &["SCMP_ACT_NOPE"],
    ),
    Wrong(
        "an unknown seccomp flag",
        |c| {
            filter(c).set("/linux/seccomp/flags", json!(["SECCOMP_FILTER_FLAG_NOPE"]));
        },
        &["SECCOMP_FILTER_FLAG_NOPE"],
    ),
    Wrong(
        "an unknown seccomp operator",
        |c| {
            let compared = json!([{"index": 0, "value": 1, "op": "SCMP_CMP_NOPE"}]);
            filter(c).set("/linux/seccomp/syscalls/0/args", compared);
        },
        &["SCMP_CMP_NOPE"],
    ),
    Wrong(
        "a page size that is not there",
        |c| {
            c.set("/linux/resources/hugepageLimits", json!([{"pageSize": "3MB", "limit": 0}]));
        },
        &["hugetlb"],
    ),
    Wrong(
        "a limit without its controller",
        |c| {
            c.set("/linux/resources/rdma", json!({"mlx5_1": {"hcaHandles": 3}}));
        },
        &["rdma"],
    ),
];

/// A filter that is right.
fn filter(config: &mut Config) -> &mut Config {
    let rules = json!([{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]);
    config.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}))
}

fn programs(suite: &mut Suite) {
    for (sentence, program, phrases) in PROGRAMS {
        for verb in ["create", "run"] {
            let name = format!("{sentence} ({verb})");
            suite.case(name.clone(), move |bench| program_fails(bench, &name, verb, program, phrases));
        }
    }
}

/// What podman maps to 126 and 127.
const PROGRAMS: &[(&str, &str, &[&str])] = &[
    ("a program that is not on PATH", "no-such-program", &["executable file not found in"]),
    ("a program that is not there", "/no/such/program", &["no such file or directory"]),
    ("a program that is not executable", "/etc/passwd", &["permission denied"]),
    ("a program that is a directory", "/etc", &[]),
    ("a program whose interpreter is missing", "/opt/no-interpreter", &["no such file or directory"]),
    ("a program of an unknown format", "/opt/garbage", &["exec format error"]),
];

fn program_fails(bench: &Bench<'_>, sentence: &str, verb: &str, program: &str, phrases: &[&str]) -> Check {
    let mut bundle = bench.bundle()?;
    bundle.file("opt/no-interpreter", "#!/no/such/interpreter\n", 0o755)?;
    bundle.file("opt/garbage", "\u{1}\u{2}garbage", 0o755)?;
    bundle.config.args(&[program]);
    let container = bench.container(bundle)?;
    if verb == "create" && program.starts_with("/opt/") {
        // What only execve(2) finds out comes with `start`, or as the end of the container.
        container.create()?;
        container.start()?;
        return container.until_status("stopped");
    }
    refused(bench, sentence, container.launch(verb, &[]), 1, phrases)
}
