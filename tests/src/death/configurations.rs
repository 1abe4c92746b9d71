//! The containers that fail and die: between them their plans have every step.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixListener;

use rustix::thread::LinkNameSpaceType;
use serde_json::json;

use crate::harness::config::Config;
use crate::harness::{Bench, Check, Container, ensure};

/// A container for the matrix.
pub(crate) struct Configuration {
    /// What it is, for the name of the case.
    pub(crate) name: &'static str,
    edit: fn(&mut Config, &Bench<'_>, i32) -> Check,
    /// Whether it joins the namespaces of another container.
    joins: bool,
    /// Whether the engine itself has much to do for it: its runtime has another network, with [`DEVICES`].
    pub(super) network: bool,
}

/// All of them.
pub(crate) const ALL: [Configuration; 7] = [
    Configuration { name: "a plain container", edit: |_, _, _| Ok(()), joins: false, network: false },
    Configuration {
        name: "a container in a user namespace",
        edit: in_user_namespace,
        joins: false,
        network: false,
    },
    Configuration {
        name: "a container in another's namespaces",
        edit: in_joined_namespaces,
        joins: true,
        network: false,
    },
    Configuration {
        name: "a container of many mounts",
        edit: with_many_mounts,
        joins: false,
        network: false,
    },
    Configuration { name: "a container with limits", edit: with_limits, joins: false, network: false },
    Configuration {
        name: "a container of its own time and calls",
        edit: with_scheduling,
        joins: false,
        network: false,
    },
    Configuration {
        name: "a container of mapped mounts and network devices",
        edit: with_maps_and_devices,
        joins: true,
        network: true,
    },
];

/// Those of a kernel with SELinux, and of one with AppArmor.
pub(crate) const LABELLED: Configuration = Configuration {
    name: "a container with labels",
    edit: |config, _, _| {
        config.set("/process/selinuxLabel", "system_u:system_r:container_t:s0:c1,c2");
        config.set("/linux/mountLabel", "system_u:object_r:container_file_t:s0:c1,c2");
        Ok(())
    },
    joins: false,
    network: false,
};
pub(crate) const CONFINED: Configuration = Configuration {
    name: "a container with a profile",
    edit: |config, _, _| {
        config.set("/process/apparmorProfile", "unconfined");
        Ok(())
    },
    joins: false,
    network: false,
};

/// A container of a configuration, and the one whose namespaces it joins.
pub(crate) struct Candidate<'b> {
    /// The container itself, whose program is `true`.
    pub(crate) container: Container<'b>,
    network: Option<OtherNetwork>,
    _joined: Option<Container<'b>>,
    /// Somebody who listens, and never hears, for those that have an agent.
    _agent: Option<UnixListener>,
}

impl Candidate<'_> {
    /// Makes again what the container takes from the host and its end destroys; to be called before each try.
    pub(crate) fn renew(&self, bench: &Bench<'_>) -> Check {
        match &self.network {
            Some(_) => bench.program("sh").args(["-c", DEVICES]).succeeds().map(drop),
            None => Ok(()),
        }
    }

    /// What the container took from the host is there again, as it was; to be called when none was made.
    pub(crate) fn is_undone(&self, bench: &Bench<'_>) -> Check {
        ensure!(self.network.is_none() || self.is_whole(bench)?, "the device is gone");
        Ok(())
    }

    /// Whether it is there. What is there is as it was, whoever was killed: the kernel may have destroyed it with the
    /// container's namespace, and never is it left halfway.
    pub(crate) fn is_whole(&self, bench: &Bench<'_>) -> Check<bool> {
        if self.network.is_none() {
            return Ok(true);
        }
        let shown = bench.program("ip").args(["-o", "-4", "address", "show", "dev", "v0"]).output()?;
        ensure!(shown.code != Some(0) || shown.stdout.contains("inet 10.77.0.2/24"), "{shown}");
        Ok(shown.code == Some(0))
    }
}

/// A pair of devices that are connected. The kernel removes both when the namespace of one ends, some time after it.
const DEVICES: &str = "ip link show v0 2>/dev/null >&2 || { ip link del p0 2>/dev/null; \
    ip link add v0 type veth peer name p0 && ip addr add 10.77.0.2/24 dev v0; }";

/// While it is there this thread, and what it starts, is in another network namespace.
struct OtherNetwork {
    before: File,
}

impl OtherNetwork {
    /// Enters the network of a process.
    fn enter(pid: i32) -> Check<Self> {
        let before = File::open("/proc/thread-self/ns/net")?;
        join(&File::open(format!("/proc/{pid}/ns/net"))?)?;
        Ok(Self { before })
    }
}

impl Drop for OtherNetwork {
    fn drop(&mut self) {
        join(&self.before).ok(); // ignored: root may go back to where it was
    }
}

fn join(namespace: &File) -> rustix::io::Result<()> {
    rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
}

impl Configuration {
    /// Makes its bundle; creates nothing yet.
    pub(crate) fn prepare<'b>(&self, bench: &'b Bench<'_>, args: &[&str]) -> Check<Candidate<'b>> {
        let joined = if self.joins { Some(bench.sleeper(in_a_new_user_namespace)?) } else { None };
        let pid = joined.as_ref().map_or(Ok(0), Container::pid_of_program)?;
        let network = if self.network { Some(OtherNetwork::enter(pid)?) } else { None };
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
        Ok(Candidate { container: bench.container(bundle)?, network, _joined: joined, _agent: agent })
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

/// The user namespace, whose map the mount has, is another container's; so is the network that the devices are taken from.
fn with_maps_and_devices(config: &mut Config, bench: &Bench<'_>, pid: i32) -> Check {
    let source = bench.directory("source")?.to_string_lossy().into_owned();
    config.join_namespace("user", &format!("/proc/{pid}/ns/user"));
    config.mount("/mnt", "bind", &source, &["bind", "idmap", "nosuid"]);
    config.set("/linux/netDevices", json!({"v0": {"name": "outer0"}}));
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
    let map = json!([{"containerID": 0, "hostID": 1000, "size": 10}]);
    config.push(
        "/mounts",
        json!({"destination": "/opt/mapped", "source": source, "options": ["bind", "idmap"],
        "uidMappings": map, "gidMappings": map}),
    );
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
