//! What cannot be had: the engine's error has the runtime's words, and nothing of the container is left.

use std::fs;

use masu_harness::command::Output;
use masu_harness::{Check, ensure, ensure_eq, host};

use crate::bench::Bench;
use crate::suite::{DOCKER_LIKE, Engine, Suite, WITH_CGROUPS};
use crate::world::IMAGE;

pub(super) fn add(suite: &mut Suite) {
    suite.case(DOCKER_LIKE, "refusals", "a seccomp profile that cannot be had is refused by name", seccomp);
    suite.case(DOCKER_LIKE, "refusals", "a device that is not there is refused by name", device);
    suite.case(DOCKER_LIKE, "refusals", "a sysctl that is not there is refused by name", sysctl);
    suite.case(DOCKER_LIKE, "refusals", "a file is not mounted on a directory", file_on_directory);
    suite.case(WITH_CGROUPS, "refusals", "a cgroup parent that cannot be is refused by name", cgroup_parent);
    suite.case(
        &[Engine::Podman],
        "refusals",
        "a full disk for the state is told, and can be emptied",
        full_disk,
    );
}

/// Runs `true` with these options: the engine must fail with one of its codes for that, and with all of the words; and
/// must have nothing left to remove.
fn refused(bench: &Bench<'_>, options: &[&str], words: &[&str]) -> Check<Output> {
    let output = bench.run(&[&["--rm"], options].concat(), &["true"]).output()?;
    ensure!(output.code.is_some_and(|code| (125..=127).contains(&code)), "not refused: {output}");
    for word in words {
        ensure!(output.stderr.contains(word), "expected {word:?} in the error of {output}");
    }
    let name = bench.last_name();
    host::until("the container has gone", || {
        let filter = format!("name={name}");
        Ok(bench.succeeds(&["ps", "--all", "--quiet", "--filter", &filter])?.is_empty())
    })?;
    Ok(output)
}

fn seccomp(bench: &Bench<'_>) -> Check {
    let profile = bench.directory()?.join("seccomp.json");
    let option = format!("seccomp={}", profile.display());
    fs::write(&profile, r#"{"defaultAction": "SCMP_ACT_NO_SUCH"}"#)?;
    refused(bench, &["--security-opt", &option], &["SCMP_ACT_NO_SUCH"])?;
    // Docker 20.10 knows no flags, and drops them.
    if bench.is_podman() && bench.world.runtime.is_masu() {
        fs::write(
            &profile,
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_NO_SUCH"]}"#,
        )?;
        refused(
            bench,
            &["--security-opt", &option],
            &["linux.seccomp.flags[0]", "SECCOMP_FILTER_FLAG_NO_SUCH"],
        )?;
    }
    Ok(())
}

fn device(bench: &Bench<'_>) -> Check {
    refused(bench, &["--device", "/dev/no-such"], &["/dev/no-such"])?;
    Ok(())
}

fn sysctl(bench: &Bench<'_>) -> Check {
    refused(bench, &["--sysctl", "net.no_such=1"], &["/proc/sys/net/no_such", "no such file or directory"])?;
    Ok(())
}

fn file_on_directory(bench: &Bench<'_>) -> Check {
    refused(bench, &["--volume", "/etc/passwd:/etc"], &["/etc"])?;
    Ok(())
}

fn cgroup_parent(bench: &Bench<'_>) -> Check {
    refused(bench, &["--cgroup-parent", "/cpuset.cpus"], &["/cpuset.cpus"])?;
    Ok(())
}

/// podman gives `--root` of its own to the runtime when asked: other cases have theirs.
fn full_disk(bench: &Bench<'_>) -> Check {
    let state = bench.directory()?;
    let path = state.to_string_lossy().into_owned();
    bench.world.succeeds("mount", &["-t", "tmpfs", "-o", "size=4k", "full", &path])?;
    fs::write(state.join("filler"), [0; 4096])?;
    let name = bench.name();
    let options = ["--runtime-flag", &format!("root={path}"), "run", "--name", &name, "--network", "none"];
    let output = bench.call(&options).args([IMAGE, "true"]).output()?;
    ensure_eq!(output.code, Some(126), "{output}");
    ensure!(output.stderr.contains("no space left on device"), "{output}");
    let mut left: Vec<_> = fs::read_dir(&state)?.flatten().map(|entry| entry.file_name()).collect();
    left.retain(|name| name != "filler");
    ensure!(left.is_empty(), "left in the state directory: {left:?}");
    bench.succeeds(&["--runtime-flag", &format!("root={path}"), "rm", "--force", &name])?;
    bench.world.succeeds("umount", &[&path])?;
    Ok(())
}
