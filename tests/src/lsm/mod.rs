//! Labels of the kernel's security modules: AppArmor's profile and SELinux's labels where they are in force, and refusals
//! where they are not. A kernel has one of the two.

use std::fs;

use serde_json::json;

use crate::harness::{Bench, Check, Need, Suite, ensure, ensure_eq};

mod selinux;

/// The suite.
pub(crate) fn suite() -> Suite {
    let mut suite = Suite::new("lsm");
    refusals(&mut suite);
    suite.needs(&[Need::AppArmor]);
    profiles(&mut suite);
    starts(&mut suite);
    exec(&mut suite);
    attacks(&mut suite);
    selinux::add(&mut suite);
    suite
}

const NO_APPARMOR: &str = "masu: process.apparmorProfile: AppArmor is disabled or not supported by this host's kernel\n\
     hint: remove the field (exec: --apparmor), or boot with lsm=...,apparmor on the kernel's command line\n";

const NO_SELINUX: &str = "selinux label is specified in config, but selinux is disabled or not supported";
const SELINUX_HINT: &str = "hint: remove the field (exec: --process-label), or boot with lsm=...,selinux on the kernel's command line and a policy\n";

fn refusals(suite: &mut Suite) {
    suite
        .masu_only("a profile is refused where AppArmor is not in force, and nothing is left", |bench| {
            let output = bench.script("true", |config| {
                config.set("/process/apparmorProfile", "unconfined");
            })?;
            ensure_eq!(output.fails_with(1, &[])?.stderr, NO_APPARMOR);
            let container = bench.sleeper(|_| {})?;
            let output = container.exec_with(&["--apparmor", "p"], &["true"]).output()?;
            ensure_eq!(output.fails_with(255, &[])?.stderr, NO_APPARMOR);
            Ok(())
        })
        .needs(&[Need::NoAppArmor]);
    suite
        .case("a process label is refused where SELinux is not in force, and nothing is left", |bench| {
            let output = bench.script("true", |config| {
                config.set("/process/selinuxLabel", "system_u:system_r:container_t:s0");
            })?;
            let output = output.fails_with(1, &[NO_SELINUX])?;
            if bench.runtime().is_masu() {
                let expected = format!("masu: process.selinuxLabel: {NO_SELINUX}\n{SELINUX_HINT}");
                ensure_eq!(output.stderr, expected);
            }
            Ok(())
        })
        .needs(&[Need::NoSelinux]);
    suite
        .masu_only("labels of exec and of mounts are refused where SELinux is not in force", |bench| {
            let output = bench.script("true", |config| {
                config.set("/linux/mountLabel", "system_u:object_r:container_file_t:s0");
            })?;
            let expected = |field| format!("masu: {field}: {NO_SELINUX}\n{SELINUX_HINT}");
            ensure_eq!(output.fails_with(1, &[])?.stderr, expected("linux.mountLabel"));
            let container = bench.sleeper(|_| {})?;
            let output = container.exec_with(&["--process-label", "l"], &["true"]).output()?;
            ensure_eq!(output.fails_with(255, &[])?.stderr, expected("process.selinuxLabel"));
            Ok(())
        })
        .needs(&[Need::NoSelinux]);
    suite.case("empty labels are none", |bench| {
        let output = bench.script("echo ran", |config| {
            config.set("/process/apparmorProfile", "").set("/process/selinuxLabel", "");
            config.set("/linux/mountLabel", "");
        })?;
        ensure_eq!(output.exits_with(0)?.text(), "ran");
        Ok(())
    });
}

/// Prints the profile of the process that reads it; busybox runs both in one.
const OWN: &str = "read profile < /proc/self/attr/apparmor/current; echo $profile";

fn profiles(suite: &mut Suite) {
    suite.case("process.apparmorProfile unconfined is taken", |bench| {
        let output = bench.script(OWN, |config| {
            config.set("/process/apparmorProfile", "unconfined");
        })?;
        ensure_eq!(output.exits_with(0)?.text(), "unconfined");
        Ok(())
    });
    for no_new_privileges in [true, false] {
        let beside = if no_new_privileges { "with noNewPrivileges" } else { "without noNewPrivileges" };
        suite.case(format!("the program is confined by its profile, {beside}"), move |bench| {
            let profile = Profile::load(bench, "deny /forbidden w,")?;
            let script = format!("{OWN}; echo > /allowed && echo wrote; echo > /forbidden");
            let output = bench.script(&script, |config| {
                config.writable().set("/process/noNewPrivileges", no_new_privileges);
                config.set("/process/apparmorProfile", profile.name.as_str());
            })?;
            let output = output.exits_with(1)?;
            ensure_eq!(output.text(), format!("{} (enforce)\nwrote", profile.name));
            ensure!(output.stderr.contains("Permission denied"), "{}", output.stderr);
            Ok(())
        });
    }
    suite.case("a profile confines in a user namespace, as another user and below a filter", |bench| {
        let profile = Profile::load(bench, "userns,")?;
        let output = bench.script(OWN, |config| {
            config.user_namespace().set("/process/user", json!({"uid": 7, "gid": 7}));
            config.set("/process/apparmorProfile", profile.name.as_str());
            config.set(
                "/linux/seccomp",
                json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls":
                [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]}),
            );
        })?;
        ensure_eq!(output.exits_with(0)?.text(), format!("{} (enforce)", profile.name));
        Ok(())
    });
}

fn starts(suite: &mut Suite) {
    suite.case("a profile that is not loaded is an error of create, and nothing is left", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.set("/process/apparmorProfile", "masu-no-such-profile");
        let container = bench.container(bundle)?;
        let output =
            container.launch("create", &[]).output()?.fails_with(1, &["no such file or directory"])?;
        if bench.runtime().is_masu() {
            ensure_eq!(output.stderr, unknown("masu-no-such-profile"));
        }
        ensure!(!bench.root.join(&container.id).exists(), "the state directory is left");
        Ok(())
    });
    suite.masu_only("a hook of startContainer is confined, and one of createContainer is not", |bench| {
        let profile = Profile::load(bench, "")?;
        let mut bundle = bench.bundle()?;
        let host = bench.path("host");
        let write = |path: &str| {
            json!([{"path": "/bin/sh", "args": ["sh", "-c", format!("cat /proc/self/attr/apparmor/current > {path}")]}])
        };
        bundle.config.writable().shell("cat /hook").set("/process/apparmorProfile", profile.name.as_str());
        bundle.config.set("/hooks/startContainer", write("/hook"));
        bundle.config.set("/hooks/createContainer", write(&host.to_string_lossy()));
        let container = bench.container(bundle)?;
        ensure_eq!(container.run()?.exits_with(0)?.text(), format!("{} (enforce)", profile.name));
        ensure_eq!(fs::read_to_string(host)?, "unconfined\n");
        Ok(())
    });
}

fn exec(suite: &mut Suite) {
    suite.case("a process of exec has the container's profile, and --apparmor gives it another", |bench| {
        let (own, other) = (Profile::load(bench, "")?, Profile::load(bench, "")?);
        let container = bench.sleeper(|config| {
            config.set("/process/apparmorProfile", own.name.as_str());
        })?;
        ensure_eq!(container.exec(OWN)?, format!("{} (enforce)", own.name));
        let output = container.exec_with(&["--apparmor", &other.name], &["sh", "-c", OWN]).succeeds()?;
        ensure_eq!(output.text(), format!("{} (enforce)", other.name));
        Ok(())
    });
    suite.case("--apparmor with a profile that is not loaded is an error", |bench| {
        let container = bench.sleeper(|_| {})?;
        let output = container.exec_with(&["--apparmor", "masu-no-such-profile"], &["true"]).output()?;
        let output = output.fails_with(255, &["no such file or directory"])?;
        if bench.runtime().is_masu() {
            ensure_eq!(output.stderr, unknown("masu-no-such-profile"));
        }
        Ok(())
    });
}

/// CVE-2019-16884, CVE-2019-19921, CVE-2023-28642, CVE-2025-52881: what the image, or a mount, has at `/proc` is not where
/// the label is written.
fn attacks(suite: &mut Suite) {
    suite.masu_only(
        "a container without a procfs, or with another file system there, is confined all the same",
        |bench| {
            let profile = Profile::load(bench, "")?;
            for other in [false, true] {
                let container = bench.sleeper(|config| {
                    config.without_mount("/proc").set("/process/apparmorProfile", profile.name.as_str());
                    config.set("/linux/maskedPaths", json!([])).set("/linux/readonlyPaths", json!([]));
                    if other {
                        config.mount("/proc", "tmpfs", "tmpfs", &[]);
                    }
                })?;
                let label = fs::read_to_string(format!(
                    "/proc/{}/attr/apparmor/current",
                    container.pid_of_program()?
                ))?;
                ensure_eq!(label, format!("{} (enforce)\n", profile.name));
            }
            Ok(())
        },
    );
}

fn unknown(profile: &str) -> String {
    format!(
        "masu: process.apparmorProfile: apply profile {profile:?}: write: no such file or directory (ENOENT)\n\
         hint: no AppArmor profile of this name is loaded: aa-status lists those that are, apparmor_parser FILE loads one\n"
    )
}

/// A profile that is loaded as long as this lives.
struct Profile<'b> {
    name: String,
    file: std::path::PathBuf,
    bench: &'b Bench<'b>,
}

impl<'b> Profile<'b> {
    /// One that allows what a container does, but for `rules`.
    fn load(bench: &'b Bench<'b>, rules: &str) -> Check<Self> {
        let file = bench.path("profile");
        let name = format!("{}-{}", bench.tag, bench.number());
        let text = format!(
            "profile {name} flags=(attach_disconnected,mediate_deleted) {{\n\
             file,\n capability,\n network,\n signal,\n ptrace,\n unix,\n {rules}\n}}\n"
        );
        fs::write(&file, text)?;
        bench.program("apparmor_parser").args(["--add", "--skip-cache"]).arg(&file).succeeds()?;
        Ok(Self { name, file, bench })
    }
}

impl Drop for Profile<'_> {
    fn drop(&mut self) {
        let removed = self.bench.program("apparmor_parser").arg("--remove").arg(&self.file).succeeds();
        // The case has its verdict; what stays is a name that nobody uses again.
        drop(removed);
    }
}
