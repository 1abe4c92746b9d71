//! What later issues bring is refused by the name of its field until then, never ignored.

use serde_json::{Value, json};

use super::refused;
use crate::harness::Suite;

/// A field, its pointer, and a value that asks for something.
struct Later(&'static str, &'static str, fn() -> Value);

const LATER: &[Later] = &[
    Later("linux.seccomp", "/linux/seccomp", || json!({"defaultAction": "SCMP_ACT_ALLOW"})),
    Later("process.terminal", "/process/terminal", || json!(true)),
    Later("hooks", "/hooks", || json!({"prestart": [{"path": "/bin/true"}]})),
    Later("process.apparmorProfile", "/process/apparmorProfile", || json!("unconfined")),
    Later("process.selinuxLabel", "/process/selinuxLabel", || json!("system_u:system_r:container_t:s0")),
    Later("linux.mountLabel", "/linux/mountLabel", || json!("system_u:object_r:container_file_t:s0")),
    Later("process.scheduler", "/process/scheduler", || json!({"policy": "SCHED_BATCH"})),
    Later(
        "process.ioPriority",
        "/process/ioPriority",
        || json!({"class": "IOPRIO_CLASS_IDLE", "priority": 0}),
    ),
    Later("process.execCPUAffinity", "/process/execCPUAffinity", || json!({"initial": "0"})),
    Later("linux.personality", "/linux/personality", || json!({"domain": "LINUX32"})),
    Later("linux.intelRdt", "/linux/intelRdt", || json!({"closID": "x"})),
    Later("linux.memoryPolicy", "/linux/memoryPolicy", || json!({"mode": "MPOL_INTERLEAVE", "nodes": "0"})),
    Later("linux.netDevices", "/linux/netDevices", || json!({"eth0": {}})),
    Later("linux.resources.rdma", "/linux/resources/rdma", || json!({"mlx5_1": {"hcaHandles": 3}})),
    Later("linux.resources.network", "/linux/resources/network", || json!({"classID": 1_048_577})),
];

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    for Later(field, pointer, value) in LATER {
        let sentence = format!("{field} is refused until it works");
        suite.masu_only(sentence.clone(), move |bench| {
            let mut bundle = bench.bundle()?;
            bundle.config.set(pointer, value());
            let container = bench.container(bundle)?;
            refused(bench, &sentence, container.launch("run", &[]), 1, &[field])
        });
    }
}
