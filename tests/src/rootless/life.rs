//! A container's life in an ordinary user's hands, with the configuration of `spec --rootless`.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::user::{GID, UID};
use crate::harness::{Bench, Check, Suite, ensure, ensure_eq, host};

/// Adds the cases.
pub(super) fn add(suite: &mut Suite) {
    suite.case("an ordinary user runs a container and gets its exit status", |bench| {
        bench.become_user()?;
        let output = bench.script("id -u; exit 7", |_| {})?.exits_with(7)?;
        ensure_eq!(output.text(), "0");
        Ok(())
    });
    suite.case(
        "an ordinary user's container is created, started, entered, listed, killed and deleted",
        whole_life,
    );
    suite.case("the processes of an ordinary user's container are the user's outside", |bench| {
        bench.become_user()?;
        let container = bench.sleeper(|_| {})?;
        let ids = |id| format!("{id}\t{id}\t{id}\t{id}");
        ensure_eq!(host::status_field(container.pid()?, "Uid")?, ids(UID));
        ensure_eq!(host::status_field(container.pid()?, "Gid")?, ids(GID));
        Ok(())
    });
    suite.case("somebody else's cgroup of the same name is none of an ordinary user's container", namesake);
    without_cgroup(suite);
    state_directories(suite);
}

fn state_directories(suite: &mut Suite) {
    suite.case("without $XDG_RUNTIME_DIR an ordinary user is told to set it", |bench| {
        bench.become_user()?;
        let bundle = bench.bundle()?;
        bundle.write()?;
        let call = bench.bare(&["run", "--bundle"]).arg(&bundle.dir).arg(&bundle.name);
        let output = call.env("XDG_RUNTIME_DIR", "").output()?.fails_with(1, &["permission denied"])?;
        if bench.runtime().is_masu() {
            let hint = "hint: XDG_RUNTIME_DIR is not set: set it to a directory of yours, as a log-in does with \
                        /run/user/UID, or name one with --root";
            ensure_eq!(output.stderr.lines().nth(1), Some(hint), "{output}");
        }
        Ok(())
    });
    suite.case("$XDG_RUNTIME_DIR that cannot be used is told by name", |bench| {
        let file = bench.path("file");
        fs::write(&file, "")?;
        bench.become_user()?;
        let bundle = bench.bundle()?;
        bundle.write()?;
        let call = bench.bare(&["run", "--bundle"]).arg(&bundle.dir).arg(&bundle.name);
        let output = call.env("XDG_RUNTIME_DIR", &file).output()?.exits_with(1)?;
        ensure!(output.stderr.contains("XDG_RUNTIME_DIR"), "{output}");
        if bench.runtime().is_masu() {
            let path = file.join("masu");
            let message = format!(
                "masu: mkdir {}: not a directory (ENOTDIR)\nhint: XDG_RUNTIME_DIR has to name a directory that is \
                 there and that you may write to; or name another one with --root",
                path.display()
            );
            ensure_eq!(output.stderr.trim_end(), message);
        }
        Ok(())
    });
    suite.case("`--rootless` does not choose the state directory", rootless_option);
    suite.case(
        "without --root the state is below $XDG_RUNTIME_DIR, for the user alone and sticky",
        state_directory,
    );
}

fn whole_life(bench: &mut Bench<'_>) -> Check {
    bench.become_user()?;
    let container = bench.container(bench.bundle()?)?;
    container.create()?;
    ensure_eq!(container.status()?, "created");
    container.start()?;
    container.pid_of_program()?;
    ensure_eq!(container.exec("id -u; hostname > /dev/null; echo done")?, "0\ndone");
    let output =
        container.exec_with(&["--cwd", "/tmp"], &["sh", "-c", "pwd; exit 3"]).output()?.exits_with(3)?;
    ensure_eq!(output.text(), "/tmp");
    let list: Value = serde_json::from_str(&bench.call(&["list", "--format", "json"]).succeeds()?.stdout)?;
    ensure_eq!(list[0]["id"], Value::from(container.id.clone()));
    ensure_eq!(list[0]["status"], "running");
    container.stop()?;
    container.delete()
}

fn state_directory(bench: &mut Bench<'_>) -> Check {
    let user = bench.become_user()?;
    let name = bench.runtime().name.clone();
    let bundle = bench.bundle()?;
    bundle.write()?;
    let output = bench.bare(&["run", "--detach", "--bundle"]).arg(&bundle.dir).arg(&bundle.name).output()?;
    let root = user.runtime_dir().join(name);
    let metadata = fs::metadata(&root)?;
    let state = root.join(&bundle.name).exists();
    bench.bare(&["delete", "--force", &bundle.name]).succeeds()?;
    output.exits_with(0)?;
    ensure!(state, "no state in {}", root.display());
    ensure_eq!(format!("{:o}", metadata.permissions().mode() & 0o7777), "1700");
    ensure_eq!(metadata.uid(), UID);
    Ok(())
}

fn rootless_option(bench: &mut Bench<'_>) -> Check {
    let user = bench.become_user()?;
    let name = bench.runtime().name.clone();
    let bundle = bench.bundle()?;
    bundle.write()?;
    for value in ["true", "auto"] {
        let options = ["--rootless", value, "run", "--detach", "--bundle"];
        bench.bare(&options).arg(&bundle.dir).arg(&bundle.name).succeeds()?;
        let state = user.runtime_dir().join(&name).join(&bundle.name).exists();
        bench.bare(&["delete", "--force", &bundle.name]).succeeds()?;
        ensure!(state, "no state below $XDG_RUNTIME_DIR with --rootless {value}");
    }
    // Not rootless, its cgroup is refused; the state is where the user's is.
    let options = ["--rootless", "false", "run", "--bundle"];
    let output = bench.bare(&options).arg(&bundle.dir).arg(&bundle.name).output()?.exits_with(1)?;
    ensure!(output.stderr.contains("ermission denied") && output.stderr.contains("cgroup"), "{output}");
    Ok(())
}

/// Without cgroupsPath a container's cgroups have its name, and root may have a container of that name too.
fn namesake(bench: &mut Bench<'_>) -> Check {
    bench.become_user()?;
    let bundle = bench.bundle()?;
    let theirs = bench.program("sleep").arg("1000").spawn()?;
    let paths = [host::cgroup("pids", &bundle.name), host::cgroup_unified(&bundle.name)];
    for path in &paths {
        fs::create_dir_all(path)?;
        fs::write(path.join("cgroup.procs"), theirs.pid().to_string())?;
    }
    let container = bench.container(bundle)?;
    container.run_detached()?;
    ensure_eq!(container.exec("echo entered")?, "entered");
    container.stop()?;
    container.delete()?;
    if bench.runtime().is_masu() {
        // What an engine leaves that is killed before it has made the cgroups.
        container.create()?;
        container.stop()?;
        let file = bench.root.join(&container.id).join("state.json");
        let mut state: Value = serde_json::from_slice(&fs::read(&file)?)?;
        let member = |mount_point: &str, version_2| {
            let path = format!("/{}", container.id);
            json!({"mount_point": mount_point, "path": path, "version_2": version_2, "alone": host::is_unified()})
        };
        let members = match host::is_unified() {
            true => vec![member("/sys/fs/cgroup", true)],
            false => vec![member("/sys/fs/cgroup/pids", false), member("/sys/fs/cgroup/unified", true)],
        };
        state["pid"] = json!(0);
        state["cgroup"] = json!({"driver": "cgroupfs", "lenient": true, "members": members});
        fs::write(&file, state.to_string())?;
        bench.call(&["delete", "--force", &container.id]).succeeds()?;
    }
    theirs.signal(Signal::KILL)?;
    theirs.wait()?;
    for path in paths.iter().filter(|path| path.exists()) {
        fs::remove_dir(path)?;
    }
    Ok(())
}

/// No cgroup is delegated to the case's user.
fn without_cgroup(suite: &mut Suite) {
    suite.case("without a cgroup a limit is refused, and nothing is left", |bench| {
        bench.become_user()?;
        let output = bench.script("true", |config| {
            config.set("/linux/resources", json!({"memory": {"limit": 100_000_000}}));
        })?;
        let phrase = "cannot set memory limit: container could not join or create cgroup";
        let output = output.fails_with(1, &[phrase])?;
        if bench.runtime().is_masu() {
            let hint = "hint: delegate a cgroup to this user, or remove the limit";
            ensure_eq!(output.stderr.lines().nth(1), Some(hint));
        }
        Ok(())
    });
    suite.case("without a cgroup a container cannot be paused, and says so", |bench| {
        bench.become_user()?;
        let container = bench.sleeper(|_| {})?;
        let phrase = "cannot toggle freezer: cgroups not configured for container";
        container.call("pause").output()?.fails_with(1, &[phrase])?;
        ensure_eq!(container.status()?, "running");
        container.call("resume").output()?.fails_with(1, &["container not paused"])?;
        Ok(())
    });
    suite.case("without a cgroup limits cannot be changed, and are told by their field", |bench| {
        bench.become_user()?;
        let container = bench.sleeper(|_| {})?;
        let phrase = "cannot set pids limit: container could not join or create cgroup";
        let call = bench.call(&["update", "--pids-limit", "5", &container.id]);
        call.output()?.fails_with(1, &[phrase])?;
        Ok(())
    });
    suite.case("without a cgroup `ps` lists the container's processes", |bench| {
        bench.become_user()?;
        let container = bench.sleeper(|_| {})?;
        let pid = container.pid()?;
        let output = bench.call(&["ps", "--format", "json", &container.id]).succeeds()?;
        ensure_eq!(output.text(), format!("[{pid}]"));
        Ok(())
    });
    suite.case("without a cgroup `kill --all` and `delete --force` end every process", |bench| {
        bench.become_user()?;
        let container = bench.sleeper(|config| {
            config.shell("sleep 1000 & sleep 1000");
        })?;
        bench.call(&["kill", "--all", &container.id, "KILL"]).succeeds()?;
        container.until_status("stopped")?;
        container.delete()
    });
    suite.case("a container with neither cgroup nor pid namespace gets a warning", warned);
}

fn warned(bench: &mut Bench<'_>) -> Check {
    bench.become_user()?;
    let output = bench.script("true", |config| {
        let options = ["rbind", "nosuid", "noexec", "nodev"];
        config.without_namespace("pid").without_mount("/proc").mount("/proc", "none", "/proc", &options);
        config.set("/linux/maskedPaths", json!([])).set("/linux/readonlyPaths", json!([]));
    })?;
    let output = output.exits_with(0)?;
    if bench.runtime().is_masu() {
        let warning = "masu: warning: linux.namespaces: the container has neither a cgroup nor a pid namespace: of its \
                           processes only the first can be found, killed and deleted";
        ensure_eq!(output.stderr.trim_end(), warning);
    }
    Ok(())
}
