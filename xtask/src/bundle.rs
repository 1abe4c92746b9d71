//! The config.json that demo and bench use: what `masu spec` writes by default, and `runc spec` too.

use serde_json::{Value, json};

/// The default configuration with a process of its own. Everything else is left as an engine would have it, so
/// that the benchmark measures what people run.
pub(crate) fn default_config(root: &str, arguments: &[String]) -> Value {
    let capabilities = json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    json!({
        "ociVersion": "1.2.0",
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "args": arguments,
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": { "bounding": capabilities, "effective": capabilities, "permitted": capabilities },
            "rlimits": [{ "type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024 }],
            "noNewPrivileges": true
        },
        "root": { "path": root, "readonly": true },
        "hostname": "masu",
        "mounts": default_mounts(),
        "linux": {
            "resources": { "devices": [{ "allow": false, "access": "rwm" }] },
            "namespaces": [
                { "type": "pid" }, { "type": "network" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" },
                { "type": "cgroup" }
            ],
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
                "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"
            ],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
        }
    })
}

fn default_mounts() -> Value {
    json!([
        { "destination": "/proc", "type": "proc", "source": "proc" },
        { "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
          "options": ["nosuid", "strictatime", "mode=755", "size=65536k"] },
        { "destination": "/dev/pts", "type": "devpts", "source": "devpts",
          "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"] },
        { "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
          "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"] },
        { "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"] },
        { "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"] },
        { "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
          "options": ["nosuid", "noexec", "nodev", "relatime", "ro"] }
    ])
}

/// Changes the configuration for an engine that is root in a user namespace of one id: gid 5 (tty) does not
/// exist there, and the host's cgroups belong to somebody else.
pub(crate) fn without_host_privileges(config: &mut Value) {
    if let Some(mounts) = config.pointer_mut("/mounts").and_then(Value::as_array_mut) {
        mounts.retain(|mount| mount.pointer("/type") != Some(&json!("cgroup")));
        for options in mounts.iter_mut().filter_map(|mount| mount.pointer_mut("/options")) {
            if let Some(options) = options.as_array_mut() {
                options.retain(|option| option != "gid=5");
            }
        }
    }
    if let Some(linux) = config.pointer_mut("/linux").and_then(Value::as_object_mut) {
        linux.remove("resources");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_privileges_there_is_no_cgroup_mount_no_gid_5_and_no_limit() {
        let mut config = default_config("/", &["true".to_owned()]);
        without_host_privileges(&mut config);
        let text = config.to_string();
        for absent in ["\"cgroup\",\"source\"", "gid=5", "resources"] {
            assert!(!text.contains(absent), "{absent} in {text}");
        }
        assert_eq!(config.pointer("/mounts").and_then(Value::as_array).map(Vec::len), Some(6));
    }
}
