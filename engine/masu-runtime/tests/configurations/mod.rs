//! Random configurations that are valid, on random machines that can carry them out.

use masu_program::Namespaces;
use masu_runtime::{Gate, Host};
use proptest::{prelude::*, sample::subsequence};
use serde_json::{Value, json};

use crate::common::{ALL_CAPABILITIES, host};

/// A configuration, a machine, and what the command line says.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) config: Value,
    pub(crate) host: Host,
    pub(crate) new: Namespaces,
    pub(crate) joined: Namespaces,
    pub(crate) hierarchies: Vec<String>,
    pub(crate) unified: bool,
    pub(crate) gate: Gate,
    pub(crate) no_pivot: bool,
    pub(crate) no_new_keyring: bool,
    pub(crate) no_new_privileges: bool,
    pub(crate) filtered: bool,
    pub(crate) notified: bool,
}

impl Case {
    /// Whether the process has this field.
    pub(crate) fn has(&self, field: &str) -> bool {
        self.config.pointer(&format!("/process/{field}")).is_some()
    }

    /// Whether the engine has to write the id maps of a process that it can only reach as its tracer could.
    pub(crate) fn maps_without_privilege(&self) -> bool {
        self.new.contains(Namespaces::USER) && !self.host.is_privileged()
    }
}

/// The kinds, by the specification's names.
const KINDS: [(&str, Namespaces); 8] = [
    ("mount", Namespaces::MOUNT),
    ("user", Namespaces::USER),
    ("pid", Namespaces::PID),
    ("network", Namespaces::NETWORK),
    ("ipc", Namespaces::IPC),
    ("uts", Namespaces::UTS),
    ("cgroup", Namespaces::CGROUP),
    ("time", Namespaces::TIME),
];

/// What becomes of a kind of namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    Shared,
    New,
    Joined,
}

fn choice() -> impl Strategy<Value = Choice> {
    prop_oneof![1 => Just(Choice::Shared), 3 => Just(Choice::New), 1 => Just(Choice::Joined)]
}

/// Any of these, in any order.
fn some(all: Vec<Value>) -> impl Strategy<Value = Vec<Value>> {
    let count = all.len();
    subsequence(all, 0..=count).prop_shuffle()
}

fn mount(destination: &str, kind: &str, options: &[&str]) -> Value {
    json!({"destination": destination, "type": kind, "source": kind, "options": options})
}

fn bind(destination: &str, options: &[&str]) -> Value {
    json!({"destination": destination, "type": "bind", "source": "/srv/data", "options": options})
}

fn mounts() -> impl Strategy<Value = Vec<Value>> {
    some(vec![
        mount("/proc", "proc", &[]),
        mount("/dev", "tmpfs", &["nosuid", "mode=755", "ro"]),
        mount("/dev/pts", "devpts", &["newinstance", "ptmxmode=0666"]),
        mount("/dev/mqueue", "mqueue", &["nosuid"]),
        mount("/tmp", "tmpfs", &["size=1m", "rprivate"]),
        mount("/sys", "sysfs", &["ro"]),
        mount("/sys/fs/cgroup", "cgroup", &["ro"]),
        bind("/data", &["rbind", "rro"]),
        bind("/etc/hosts", &["bind", "rslave"]),
        bind("/proc/cpuinfo", &["bind"]),
        json!({"destination": "/relative", "source": "relative", "options": ["bind", "noexec"]}),
    ])
}

fn paths() -> impl Strategy<Value = Vec<Value>> {
    some(["/proc/kcore", "/proc/sys", "/sys/firmware", "/etc/shadow"].map(Value::from).to_vec())
}

fn devices() -> impl Strategy<Value = Vec<Value>> {
    some(vec![
        json!({"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o660}),
        json!({"path": "/dev/null", "type": "c", "major": 1, "minor": 3, "uid": 5, "gid": 6}),
        json!({"path": "/opt/pipe", "type": "p"}),
    ])
}

fn process() -> impl Strategy<Value = Value> {
    let capabilities =
        some(["CAP_KILL", "CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_NET_RAW"].map(Value::from).to_vec());
    let limits = some(vec![
        json!({"type": "RLIMIT_NOFILE", "soft": 64, "hard": 128}),
        json!({"type": "RLIMIT_CORE", "soft": 0, "hard": 0}),
    ]);
    let environment =
        some(["PATH=/bin:/usr/bin", "HOME=/home", "A=b", "A=c", "HOME="].map(Value::from).to_vec());
    let directory = prop_oneof![Just("/"), Just("/work/here"), Just("/proc/1")];
    let program = prop_oneof![Just("sh"), Just("/bin/sh")];
    let user = (any::<u16>(), any::<u16>(), prop::option::of(0..=0o777_u32), any::<bool>());
    let score = prop::option::of(-1000..=1000_i32);
    (capabilities, limits, environment, directory, program, user, score, any::<[bool; 3]>()).prop_map(
        |(capabilities, limits, environment, directory, program, user, score, [terminal, no_new_privileges, labelled])| {
            let (uid, gid, umask, groups) = user;
            let mut process = json!({
                "args": [program, "-c", "true"],
                "cwd": directory,
                "env": environment,
                "user": {"uid": uid, "gid": gid},
                "rlimits": limits,
                "capabilities": {"bounding": capabilities, "permitted": capabilities, "effective": capabilities},
                "noNewPrivileges": no_new_privileges,
                "terminal": terminal,
            });
            if let Some(umask) = umask {
                set(&mut process, "/user/umask", umask.into());
            }
            if groups {
                set(&mut process, "/user/additionalGids", json!([7, 8]));
            }
            if labelled {
                let field = if groups { "/apparmorProfile" } else { "/selinuxLabel" };
                set(&mut process, field, "label".into());
            }
            if let Some(score) = score {
                set(&mut process, "/oomScoreAdj", score.into());
            }
            process
        },
    )
}

fn scheduling() -> impl Strategy<Value = Value> {
    some(vec![
        json!({"/process/scheduler": {"policy": "SCHED_BATCH", "nice": 5}}),
        json!({"/process/scheduler": {"policy": "SCHED_RR", "priority": 3, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}}),
        json!({"/process/scheduler": {"policy": "SCHED_DEADLINE", "runtime": 10, "deadline": 20, "period": 30}}),
        json!({"/process/ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 3}}),
        json!({"/process/execCPUAffinity": {"initial": "0-1", "final": "1"}}),
        json!({"/linux/personality": {"domain": "LINUX32"}}),
        json!({"/linux/memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}}),
    ])
    .prop_map(|fields| {
        let members = fields.into_iter().filter_map(|field| field.as_object().cloned()).flatten();
        Value::Object(members.collect())
    })
}

fn hooks() -> impl Strategy<Value = Value> {
    let kinds = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
    subsequence(kinds.to_vec(), 0..=kinds.len()).prop_map(|kinds| {
        let hooks =
            kinds.into_iter().map(|kind| (kind.to_owned(), json!([{"path": "/bin/hook", "timeout": 3}])));
        Value::Object(hooks.collect())
    })
}

/// Sets a member of an object; `pointer` is that of RFC 6901.
fn set(value: &mut Value, pointer: &str, member: Value) {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    let parent = value.pointer_mut(parent).and_then(Value::as_object_mut);
    parent.expect("an object").insert(name.to_owned(), member);
}

/// A case.
pub(crate) fn case() -> impl Strategy<Value = Case> {
    let tree = (mounts(), paths(), paths(), devices(), any::<bool>(), hooks());
    let propagation =
        prop::option::of(prop_oneof![Just("shared"), Just("rslave"), Just("private"), Just("unbindable")]);
    let machine = (any::<bool>(), any::<bool>(), any::<bool>(), 0..3_usize);
    let choices = prop::array::uniform8(choice());
    (choices, process(), scheduling(), tree, propagation, machine, any::<[bool; 7]>()).prop_map(
        |(choices, process, scheduling, tree, propagation, machine, [unified, fifo, no_pivot, no_new_keyring, named, filtered, notified])| {
            let (privileged, inside, denied, hierarchies) = machine;
            let no_new_privileges = process.get("noNewPrivileges") == Some(&Value::Bool(true));
            let mut host = host(if privileged { ALL_CAPABILITIES } else { 0 }, if privileged { 0 } else { 1000 });
            (host.in_user_namespace, host.setgroups_denied) = (inside, inside && denied);
            let mut case = Case {
                config: json!({"ociVersion": "1.3.0", "process": process, "root": {"path": "rootfs"}, "linux": {}}),
                host,
                new: Namespaces::empty(),
                joined: Namespaces::empty(),
                hierarchies: ["memory", "pids"].into_iter().take(hierarchies).map(Into::into).collect(),
                unified,
                gate: if fifo { Gate::Fifo } else { Gate::Open },
                no_pivot,
                no_new_keyring,
                no_new_privileges,
                filtered,
                notified: filtered && notified,
            };
            for (pointer, member) in scheduling.as_object().into_iter().flatten() {
                set(&mut case.config, pointer, member.clone());
            }
            choose_namespaces(&mut case, choices);
            fill_tree(&mut case, tree, propagation);
            if filtered {
                let action = if notified { "SCMP_ACT_NOTIFY" } else { "SCMP_ACT_ERRNO" };
                let rules = json!([{"names": ["mkdir"], "action": action}]);
                set(
                    &mut case.config,
                    "/linux/seccomp",
                    json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}),
                );
            }
            if named {
                name(&mut case);
            }
            case
        },
    )
}

fn choose_namespaces(case: &mut Case, choices: [Choice; 8]) {
    let mut list = Vec::new();
    for ((kind, bit), choice) in KINDS.into_iter().zip(choices) {
        // Without privilege nothing can be done outside of a user namespace.
        let needed = bit == Namespaces::USER && !case.host.is_privileged();
        match if needed && choice == Choice::Shared { Choice::New } else { choice } {
            Choice::Shared => {}
            Choice::New => {
                case.new |= bit;
                list.push(json!({"type": kind}));
            }
            Choice::Joined => {
                case.joined |= bit;
                list.push(json!({"type": kind, "path": format!("/proc/1000/ns/{kind}")}));
            }
        }
    }
    set(&mut case.config, "/linux/namespaces", list.into());
    let (mut maps, unprivileged) =
        (json!([{"containerID": 0, "hostID": 1000, "size": 1}]), !case.host.is_privileged());
    if !unprivileged {
        maps = json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}]);
    }
    if case.new.contains(Namespaces::USER) {
        set(&mut case.config, "/linux/uidMappings", maps.clone());
        set(&mut case.config, "/linux/gidMappings", maps);
    }
    // With one id, or where setgroups(2) is forbidden, there is no other user or group to become.
    if unprivileged || case.host.setgroups_denied {
        set(&mut case.config, "/process/user", json!({"uid": 0, "gid": 0}));
    }
}

/// What needs a mount namespace.
fn fill_tree(
    case: &mut Case,
    (mounts, masked, protected, devices, readonly, hooks): (
        Vec<Value>,
        Vec<Value>,
        Vec<Value>,
        Vec<Value>,
        bool,
        Value,
    ),
    propagation: Option<&str>,
) {
    set(&mut case.config, "/hooks", hooks);
    if !(case.new | case.joined).contains(Namespaces::MOUNT) {
        return;
    }
    set(&mut case.config, "/mounts", mounts.into());
    let user_namespace = (case.new | case.joined).contains(Namespaces::USER);
    if case.host.may_clone_mounts() && user_namespace && readonly {
        let mounts = case.config.pointer_mut("/mounts").and_then(Value::as_array_mut);
        mounts.expect("a list").push(bind("/mapped", &["rbind", "ridmap"]));
    }
    set(&mut case.config, "/linux/maskedPaths", masked.into());
    set(&mut case.config, "/linux/readonlyPaths", protected.into());
    set(&mut case.config, "/linux/devices", devices.into());
    set(&mut case.config, "/root/readonly", readonly.into());
    if let Some(propagation) = propagation {
        set(&mut case.config, "/linux/rootfsPropagation", propagation.into());
    }
}

/// What needs other namespaces.
fn name(case: &mut Case) {
    let own = case.new | case.joined;
    if own.contains(Namespaces::UTS) {
        set(&mut case.config, "/hostname", "masu".into());
        set(&mut case.config, "/domainname", "example".into());
    }
    if own.contains(Namespaces::NETWORK) {
        set(&mut case.config, "/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}));
        if case.host.is_privileged() {
            set(&mut case.config, "/linux/netDevices", json!({"eth1": {"name": "net%d"}}));
        }
    }
    if case.new.contains(Namespaces::TIME) {
        set(&mut case.config, "/linux/timeOffsets", json!({"monotonic": {"secs": 5, "nanosecs": 0}}));
    }
}
