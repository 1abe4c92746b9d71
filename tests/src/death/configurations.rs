//! The containers that fail and die: between them their plans have every step.

use std::os::unix::net::UnixListener;

use serde_json::json;

use crate::harness::config::Config;
use crate::harness::{Bench, Check, Container};

/// A container for the matrix.
pub(crate) struct Configuration {
    /// What it is, for the name of the case.
    pub(crate) name: &'static str,
    edit: fn(&mut Config, &Bench<'_>, i32) -> Check,
    /// Whether it joins the namespaces of another container.
    joins: bool,
}

/// All of them.
pub(crate) const ALL: [Configuration; 6] = [
    Configuration { name: "a plain container", edit: |_, _, _| Ok(()), joins: false },
    Configuration { name: "a container in a user namespace", edit: in_user_namespace, joins: false },
    Configuration { name: "a container in another's namespaces", edit: in_joined_namespaces, joins: true },
    Configuration { name: "a container of many mounts", edit: with_many_mounts, joins: false },
    Configuration { name: "a container with limits", edit: with_limits, joins: false },
    Configuration { name: "a container of its own time and calls", edit: with_scheduling, joins: false },
];

/// A container of a configuration, and the one whose namespaces it joins.
pub(crate) struct Candidate<'b> {
    /// The container itself, whose program is `true`.
    pub(crate) container: Container<'b>,
    _joined: Option<Container<'b>>,
    /// Somebody who listens, and never hears, for those that have an agent.
    _agent: Option<UnixListener>,
}

impl Configuration {
    /// Makes its bundle; creates nothing yet.
    pub(crate) fn prepare<'b>(&self, bench: &'b Bench<'_>, args: &[&str]) -> Check<Candidate<'b>> {
        let joined = if self.joins { Some(bench.sleeper(in_a_new_user_namespace)?) } else { None };
        let pid = joined.as_ref().map_or(Ok(0), Container::pid_of_program)?;
        let mut bundle = bench.bundle()?;
        bundle.config.args(args);
        (self.edit)(&mut bundle.config, bench, pid)?;
        let mut agent = None;
        if bundle.config.0.pointer("/linux/seccomp").is_some() {
            let path = bench.path(&format!("{}.sock", bundle.name));
            let listener = UnixListener::bind(&path)?;
            // One connection for each try, and nobody who takes them.
            rustix::net::listen(&listener, 4096)?;
            bundle.config.set("/linux/seccomp/listenerPath", &*path.to_string_lossy());
            agent = Some(listener);
        }
        Ok(Candidate { container: bench.container(bundle)?, _joined: joined, _agent: agent })
    }
}

fn in_a_new_user_namespace(config: &mut Config) {
    config.user_namespace();
}

fn in_user_namespace(config: &mut Config, _: &Bench<'_>, _: i32) -> Check {
    config
        .user_namespace()
        .set("/process/rlimits", json!([{"type": "RLIMIT_NOFILE", "soft": 512, "hard": 1024}]));
    Ok(())
}

fn in_joined_namespaces(config: &mut Config, _: &Bench<'_>, pid: i32) -> Check {
    for (kind, file) in [("user", "user"), ("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("pid", "pid")]
    {
        config.join_namespace(kind, &format!("/proc/{pid}/ns/{file}"));
    }
    // The names are the other container's, and it has its own sysfs.
    config.remove("", "hostname").without_mount("/sys").without_mount("/sys/fs/cgroup");
    config.namespace("time").set("/linux/timeOffsets", json!({"monotonic": {"secs": 60}}));
    Ok(())
}

fn with_many_mounts(config: &mut Config, bench: &Bench<'_>, _: i32) -> Check {
    let source = bench.directory("source")?;
    let file = source.join("file");
    std::fs::write(&file, "")?;
    let (source, file) = (source.to_string_lossy().into_owned(), file.to_string_lossy().into_owned());
    config.writable();
    config.mount("/opt/bound", "bind", &source, &["rbind", "ro", "nosuid", "rprivate"]);
    config.mount("/opt/deep/below", "bind", &source, &["bind", "rslave"]);
    config.mount("/opt/file", "bind", &file, &["bind", "ro"]);
    config.mount("/mnt", "tmpfs", "tmpfs", &["size=64k", "mode=700", "noexec"]);
    config.mount("/mnt", "tmpfs", "tmpfs", &["remount", "size=128k", "nodev"]);
    config.mount("/etc", "tmpfs", "tmpfs", &["tmpcopyup", "ro"]);
    config.set("/linux/maskedPaths", json!(["/proc/kcore", "/proc/keys", "/home/user", "/opt", "/nowhere"]));
    config.set("/linux/readonlyPaths", json!(["/proc/sys", "/usr", "/nowhere"]));
    config.set("/linux/rootfsPropagation", "rprivate").set("/domainname", "example.org");
    config.set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1", "kernel.msgmax": "4096"}));
    config.push("/linux/devices", json!({"path": "/dev/dm", "type": "b", "major": 7, "minor": 0, "uid": 5}));
    config.set("/process/cwd", "/var/work").set("/process/oomScoreAdj", 100).set("/process/user/umask", 0o27);
    config.set("/process/user/additionalGids", json!([5, 6])).set("/root/readonly", true);
    config.set("/process/env", json!(["PATH=/usr/bin:/bin"]));
    Ok(())
}

fn with_scheduling(config: &mut Config, _: &Bench<'_>, _: i32) -> Check {
    config.set("/process/scheduler", json!({"policy": "SCHED_BATCH", "nice": 1}));
    config.set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 5}));
    config.set("/linux/memoryPolicy", json!({"mode": "MPOL_LOCAL"}));
    config.set("/linux/personality", json!({"domain": "LINUX"}));
    let rules = json!([{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]);
    config.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}));
    Ok(())
}

fn with_limits(config: &mut Config, _: &Bench<'_>, _: i32) -> Check {
    config.set("/linux/resources/memory", json!({"limit": 64 << 20}));
    config.set("/linux/resources/pids", json!({"limit": 16}));
    config.set("/linux/resources/cpu", json!({"shares": 256, "quota": 50_000, "cpus": "0"}));
    config.capabilities(&["CAP_KILL"]).set("/process/capabilities/inheritable", json!(["CAP_KILL"]));
    config.set("/process/capabilities/ambient", json!(["CAP_KILL"]));
    config.namespace("cgroup");
    Ok(())
}
