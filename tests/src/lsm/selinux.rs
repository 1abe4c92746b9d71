//! SELinux where it is in force, with the types that distributions have for containers. A machine with a policy of these
//! and no more is `cargo xtask vm --bare`.

use std::fs;
use std::path::Path;

use rustix::fs::lgetxattr;
use serde_json::json;

use crate::harness::config::Config;
use crate::harness::mountinfo::mount_at;
use crate::harness::{Bench, Check, Need, Suite, ensure, ensure_eq, host};

/// What a container's process may be, and what its files are.
const PROCESS: &str = "system_u:system_r:container_t:s0:c1,c2";
const FILE: &str = "system_u:object_r:container_file_t:s0:c1,c2";
/// What another process may be.
const OTHER: &str = "system_u:system_r:spc_t:s0";
/// What no policy knows.
const UNKNOWN: &str = "system_u:system_r:nobody_knows_t:s0";
/// What the policy does not let the runtime become.
const FORBIDDEN: &str = "system_u:system_r:init_t:s0";
/// A file that a container may not read.
const SECRET: &str = "system_u:object_r:shadow_t:s0";

/// Prints the label of the process that reads it; busybox runs both in one.
const OWN: &str = "read label < /proc/self/attr/current; echo $label";

const UNKNOWN_HINT: &str = "hint: the loaded SELinux policy does not know this label\n";

/// Adds the cases.
pub(super) fn add(suite: &mut Suite) {
    suite.needs(&[Need::Selinux]);
    processes(suite);
    mounts(suite);
    exec(suite);
    unknown(suite);
}

fn labelled(config: &mut Config) {
    config.set("/process/selinuxLabel", PROCESS).set("/linux/mountLabel", FILE);
}

fn processes(suite: &mut Suite) {
    for no_new_privileges in [true, false] {
        let beside = if no_new_privileges { "with noNewPrivileges" } else { "without noNewPrivileges" };
        suite.case(format!("process.selinuxLabel is the program's, {beside}"), move |bench| {
            let text = bench.inside(OWN, |config| {
                labelled(config);
                config.set("/process/noNewPrivileges", no_new_privileges);
            })?;
            ensure_eq!(text, PROCESS);
            Ok(())
        });
    }
    suite.case("a label counts in a user namespace, as another user and below a filter", |bench| {
        let text = bench.inside(OWN, |config| {
            labelled(config);
            config.user_namespace().set("/process/user", json!({"uid": 7, "gid": 7}));
            let rule = json!([{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]);
            config.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rule}));
        })?;
        ensure_eq!(text, PROCESS);
        Ok(())
    });
    suite.case("without process.selinuxLabel the label is the caller's", |bench| {
        let own = fs::read_to_string("/proc/self/attr/current")?;
        ensure_eq!(bench.inside(OWN, |_| {})?, own.trim_end_matches('\0'));
        Ok(())
    });
    suite.case("a file that the label may not read is refused, and one that it may is read", |bench| {
        let mut bundle = bench.bundle()?;
        for (name, label) in [("secret", SECRET), ("open", FILE)] {
            bundle.file(name, &format!("{name}\n"), 0o644)?;
            let path = bundle.inside(name);
            rustix::fs::setxattr(
                &path,
                "security.selinux",
                label.as_bytes(),
                rustix::fs::XattrFlags::empty(),
            )?;
        }
        bundle.config.shell("cat /open; cat /secret");
        labelled(&mut bundle.config);
        let output = bench.container(bundle)?.run()?.exits_with(1)?;
        ensure_eq!(output.text(), "open");
        ensure!(output.stderr.contains("can't open '/secret': Permission denied"), "{output}");
        Ok(())
    });
}

fn mounts(suite: &mut Suite) {
    suite.case("linux.mountLabel is the label of every file system that is made", |bench| {
        let container = bench.sleeper(|config| {
            labelled(config);
            config.mount("/tmp", "tmpfs", "tmpfs", &["mode=1777"]);
        })?;
        let pid = container.pid()?;
        for directory in ["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/tmp"] {
            ensure_eq!(label_of(pid, directory)?, FILE, "{directory}");
        }
        let text = fs::read_to_string(format!("/proc/{pid}/mountinfo"))?;
        for directory in ["/dev", "/dev/pts", "/dev/shm", "/tmp"] {
            let mount = mount_at(&text, directory)?;
            // A comma of the label stands in the kernel's list between quotes.
            ensure!(text.contains(&format!("context=\"{FILE}\"")), "{mount:?}");
        }
        container.exec("echo > /tmp/file")?;
        ensure_eq!(label_of(pid, "/tmp/file")?, FILE);
        Ok(())
    });
    suite.masu_only("run.oci.mount_context_type is the kind of label that a mount gets", |bench| {
        let container = bench.sleeper(|config| {
            labelled(config);
            config.set("/annotations", json!({"run.oci.mount_context_type": "rootcontext"}));
        })?;
        let pid = container.pid()?;
        let text = fs::read_to_string(format!("/proc/{pid}/mountinfo"))?;
        ensure!(text.contains(&format!("rootcontext=\"{FILE}\"")), "{text}");
        ensure_eq!(label_of(pid, "/dev/shm")?, FILE);
        Ok(())
    });
}

fn exec(suite: &mut Suite) {
    suite.case(
        "a process of exec has the container's label, and --process-label gives it another",
        |bench| {
            let container = bench.sleeper(labelled)?;
            ensure_eq!(container.exec(OWN)?, PROCESS);
            let output = container.exec_with(&["--process-label", OTHER], &["sh", "-c", OWN]).succeeds()?;
            ensure_eq!(output.text(), OTHER);
            Ok(())
        },
    );
}

fn unknown(suite: &mut Suite) {
    suite.case("a label that no policy knows is an error of create, and nothing is left", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.set("/process/selinuxLabel", UNKNOWN);
        let container = bench.container(bundle)?;
        let output = container.launch("create", &[]).output()?.fails_with(1, &["invalid argument"])?;
        nothing_is_left(bench, &container.id)?;
        if bench.runtime().is_masu() {
            let action = format!("write {UNKNOWN:?} to /proc/self/attr/keycreate: write");
            let text =
                format!("masu: process.selinuxLabel: {action}: invalid argument (EINVAL)\n{UNKNOWN_HINT}");
            ensure_eq!(output.stderr, text);
        }
        Ok(())
    });
    suite.case("--process-label with a label that no policy knows is an error", |bench| {
        let container = bench.sleeper(labelled)?;
        let output = container.exec_with(&["--process-label", UNKNOWN], &["true"]).output()?;
        let output = output.fails_with(255, &["invalid argument"])?;
        if bench.runtime().is_masu() {
            let action = format!("set label {UNKNOWN:?}: write");
            let text =
                format!("masu: process.selinuxLabel: {action}: invalid argument (EINVAL)\n{UNKNOWN_HINT}");
            ensure_eq!(output.stderr, text);
        }
        Ok(())
    });
    suite.case("a mountLabel that no policy knows is an error of create, and nothing is left", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.set("/linux/mountLabel", UNKNOWN);
        let container = bench.container(bundle)?;
        let output = container.launch("create", &[]).output()?.fails_with(1, &["invalid argument"])?;
        nothing_is_left(bench, &container.id)?;
        if bench.runtime().is_masu() {
            let text = "masu: mounts[1]: mount tmpfs on \"/dev\": fsconfig: invalid argument (EINVAL)\n\
                        hint: an option is wrong, or the loaded SELinux policy does not know linux.mountLabel\n";
            ensure_eq!(output.stderr, text);
        }
        Ok(())
    });
    suite.case("a label that the policy does not let the caller enter ends the start, and nothing is left", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.set("/process/selinuxLabel", FORBIDDEN);
        let container = bench.container(bundle)?;
        let output = container.run()?;
        ensure!(output.code != Some(0), "{output}");
        nothing_is_left(bench, &container.id)?;
        if bench.runtime().is_masu() {
            let text = "masu: process.args: exec \"sleep\": execve: operation not permitted (EPERM)\n\
                        hint: the file has capabilities that process.capabilities.bounding lacks (getcap), or a \
                        security module denies it (dmesg)\n";
            ensure_eq!((output.code, output.stderr.as_str()), (Some(1), text));
        }
        Ok(())
    });
    suite.case("`features` has SELinux", |bench| {
        let output = bench.bare(&["features"]).succeeds()?;
        let features: serde_json::Value = serde_json::from_str(&output.stdout)?;
        ensure_eq!(features["linux"]["selinux"]["enabled"], true);
        Ok(())
    });
}

fn nothing_is_left(bench: &Bench<'_>, id: &str) -> Check {
    ensure!(!bench.root.join(id).exists(), "the state directory is left");
    ensure!(host::cgroups_of(id)?.is_empty(), "a cgroup is left");
    Ok(())
}

/// The label of what a process of the container has at this path.
fn label_of(pid: i32, path: &str) -> Check<String> {
    let mut label = [0; 256];
    let length = lgetxattr(
        Path::new(&format!("/proc/{pid}/root")).join(path.trim_start_matches('/')),
        "security.selinux",
        &mut label,
    )?;
    let text = String::from_utf8_lossy(label.get(..length).unwrap_or_default()).into_owned();
    Ok(text.trim_end_matches('\0').to_owned())
}
