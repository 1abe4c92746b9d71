//! `exec`.

mod fds;
mod identity;

pub(crate) use fds::descriptors;
pub(crate) use identity::sets;

use std::fs;

use serde_json::json;

use rustix::process::Signal;

use crate::harness::{Bench, Check, Need, Suite, ensure, ensure_eq, host};

/// The suite.
pub(crate) fn suite() -> Suite {
    let mut suite = Suite::new("exec");
    basics(&mut suite);
    failures(&mut suite);
    places(&mut suite);
    identity::add(&mut suite);
    fds::add(&mut suite);
    suite
}

#[expect(clippy::too_many_lines, reason = "a flat list of cases")]
fn basics(suite: &mut Suite) {
    suite.masu_only("a command beside --process is ignored with a warning", |bench| {
        let container = bench.sleeper(|_| {})?;
        let file = bench.path("process.json");
        fs::write(&file, r#"{"args": ["echo", "from the file"], "cwd": "/", "env": ["PATH=/bin"]}"#)?;
        let call = container.exec_with(&["-p", &file.to_string_lossy()], &["echo", "from the line"]);
        let output = call.succeeds()?;
        ensure_eq!(output.text(), "from the file");
        ensure!(output.stderr.contains("--process: the command \"echo\" is ignored"), "{output}");
        Ok(())
    });
    suite.case("a command runs in the container and its output comes back", |bench| {
        let container = bench.sleeper(|config| {
            config.set("/hostname", "inside");
        })?;
        ensure_eq!(container.exec("hostname; cat /proc/1/comm")?, "inside\nsleep");
        Ok(())
    });
    suite.case("the exit status of the command is passed on", |bench| {
        let container = bench.sleeper(|_| {})?;
        for code in [0, 1, 7, 255] {
            container.exec_with(&[], &["sh", "-c", &format!("exit {code}")]).output()?.exits_with(code)?;
        }
        Ok(())
    });
    suite.case("a command that a signal ended gives 128 plus its number", |bench| {
        let container = bench.sleeper(|_| {})?;
        container.exec_with(&[], &["sh", "-c", "kill -KILL $$"]).output()?.exits_with(137)?;
        container.exec_with(&[], &["sh", "-c", "kill -TERM $$"]).output()?.exits_with(143)?;
        Ok(())
    });
    suite.case("standard input reaches the command", |bench| {
        let container = bench.sleeper(|_| {})?;
        let output = container.exec_with(&[], &["tr", "a-z", "A-Z"]).stdin("hello").succeeds()?;
        ensure_eq!(output.stdout, "HELLO");
        Ok(())
    });
    suite.case("flags after the id belong to the command", |bench| {
        let container = bench.sleeper(|_| {})?;
        let output = container.exec_with(&[], &["echo", "--cwd", "-d", "-u"]).succeeds()?;
        ensure_eq!(output.text(), "--cwd -d -u");
        Ok(())
    });
    suite.case("all namespaces are those of the container", |bench| {
        let container = bench.sleeper(|config| {
            config.namespace("cgroup");
        })?;
        let pid = container.pid()?;
        for kind in ["cgroup", "ipc", "mnt", "net", "pid", "uts", "user"] {
            let inside = container.exec(&format!("readlink /proc/self/ns/{kind}"))?;
            ensure_eq!(inside, host::namespace_of(pid, kind)?, "{kind}");
        }
        Ok(())
    });
    suite.case("environment and working directory come from the container's process", |bench| {
        let container = bench.sleeper(|config| {
            config.push("/process/env", json!("GREETING=hi there")).set("/process/cwd", "/tmp");
        })?;
        ensure_eq!(container.exec("echo $GREETING; pwd")?, "hi there\n/tmp");
        Ok(())
    });
    suite.case("`--env` adds to and replaces the environment", |bench| {
        let container = bench.sleeper(|config| {
            config.push("/process/env", json!("A=old"));
        })?;
        let options = ["-e", "A=new,1", "-e", "B=2"];
        let output = container.exec_with(&options, &["sh", "-c", "echo $A $B"]).succeeds()?;
        ensure_eq!(output.text(), "new,1 2");
        Ok(())
    });
    suite
        .case("HOME comes from the passwd file of the container", |bench| {
            let container = bench.sleeper(|_| {})?;
            let output = container.exec_with(&["-u", "1000:1000"], &["sh", "-c", "echo $HOME"]).succeeds()?;
            ensure_eq!(output.text(), "/home/user");
            Ok(())
        })
        .needs(&[Need::Ids]);
    suite.case("`--cwd` changes the working directory", |bench| {
        let container = bench.sleeper(|_| {})?;
        ensure_eq!(container.exec_with(&["--cwd", "/usr/bin"], &["pwd"]).succeeds()?.text(), "/usr/bin");
        Ok(())
    });
    suite.case("`--process` reads the process from a file", process_file).needs(&[Need::Ids]);
    suite.case("`--process` sets the umask", |bench| {
        let container = bench.sleeper(|_| {})?;
        let file = bench.path("process.json");
        let process = json!({"cwd": "/", "args": ["sh", "-c", "umask"], "env": ["PATH=/bin"],
            "user": {"uid": 0, "gid": 0, "umask": 0o27}});
        fs::write(&file, process.to_string())?;
        ensure_eq!(container.exec_with(&["-p", &file.to_string_lossy()], &[]).succeeds()?.text(), "0027");
        Ok(())
    });
    suite.case("both forms of a flag may be given at once", |bench| {
        let container = bench.sleeper(|_| {})?;
        let options = ["--env", "A=1", "-e", "B=2"];
        ensure_eq!(container.exec_with(&options, &["sh", "-c", "echo $A $B"]).succeeds()?.text(), "1 2");
        Ok(())
    });
    suite.case("`--detach` returns while the command runs and writes the pid file", detached);
}

fn process_file(bench: &mut Bench<'_>) -> Check {
    let container = bench.sleeper(|_| {})?;
    let process = json!({
        "terminal": false, "cwd": "/tmp", "args": ["sh", "-c", "echo $X; pwd; id -u; id -g; grep NoNewPrivs /proc/self/status"],
        "env": ["PATH=/bin", "X=\u{e9}\u{2028}\"\\"], "user": {"uid": 5, "gid": 6}, "noNewPrivileges": true
    });
    for flag in ["--process", "-p"] {
        let file = bench.path("process.json");
        fs::write(&file, process.to_string())?;
        let output = container.exec_with(&[flag, &file.to_string_lossy()], &[]).succeeds()?;
        ensure_eq!(output.text(), "\u{e9}\u{2028}\"\\\n/tmp\n5\n6\nNoNewPrivs:\t1");
    }
    Ok(())
}

fn detached(bench: &mut Bench<'_>) -> Check {
    let container = bench.sleeper(|_| {})?;
    let file = bench.path("pid");
    let options = ["--detach", "--pid-file", &file.to_string_lossy()];
    let output = container.exec_with(&options, &["sleep", "777"]).succeeds()?;
    ensure_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
    let pid: i32 = fs::read_to_string(&file)?.parse()?;
    host::until_program(pid, "sleep\x00777\0")?;
    ensure_eq!(host::namespace_of(pid, "pid")?, host::namespace_of(container.pid()?, "pid")?);
    container.stop()?;
    host::until("it ends with the container", || Ok(!host::is_alive(pid)))
}

#[expect(clippy::too_many_lines, reason = "a flat list of cases")]
fn failures(suite: &mut Suite) {
    suite.case("a program that is not on PATH is `executable file not found in` and 255", |bench| {
        let container = bench.sleeper(|_| {})?;
        container
            .exec_with(&[], &["no-such"])
            .output()?
            .fails_with(255, &["executable file not found in"])?;
        Ok(())
    });
    suite.case("a path that is not there is `no such file or directory` and 255", |bench| {
        let container = bench.sleeper(|_| {})?;
        container.exec_with(&[], &["/no/such"]).output()?.fails_with(255, &["no such file or directory"])?;
        Ok(())
    });
    suite.case("a file that is not executable is `permission denied` and 255", |bench| {
        let container = bench.sleeper(|_| {})?;
        container.exec_with(&[], &["/etc/passwd"]).output()?.fails_with(255, &["permission denied"])?;
        Ok(())
    });
    suite.case("a directory is `permission denied` and 255", |bench| {
        let container = bench.sleeper(|_| {})?;
        let output = container.exec_with(&[], &["/etc"]).output()?.exits_with(255)?;
        let text = &output.stderr;
        ensure!(text.contains("permission denied") || text.contains("is a directory"), "{output}");
        Ok(())
    });
    suite.case("an unknown id is 255", |bench| {
        bench.call(&["exec", "nobody", "true"]).output()?.fails_with(255, &["container does not exist"])?;
        Ok(())
    });
    suite.case("a stopped container is `container not running` or `cannot exec` and 255", |bench| {
        let container = bench.sleeper(|_| {})?;
        container.stop()?;
        let output = container.exec_with(&[], &["true"]).output()?;
        output.fails_with(255, &["cannot exec in a stopped container"])?;
        Ok(())
    });
    suite
        .case("a paused container is refused with the hint of `--ignore-paused`", |bench| {
            let container = bench.sleeper(|_| {})?;
            container.call("pause").succeeds()?;
            let output = container.exec_with(&[], &["true"]).output()?;
            output
                .fails_with(255, &["cannot exec in a paused container (use --ignore-paused to override)"])?;
            Ok(())
        })
        .needs(&[Need::Cgroups]);
    suite
        .case("`--ignore-paused` starts the command, which runs after `resume`", |bench| {
            let container = bench.sleeper(|_| {})?;
            container.call("pause").succeeds()?;
            let running = container.exec_with(&["--ignore-paused"], &["echo", "thawed"]).spawn()?;
            container.call("resume").succeeds()?;
            ensure_eq!(running.wait()?.exits_with(0)?.text(), "thawed");
            Ok(())
        })
        .needs(&[Need::Cgroups]);
    for (name, signal, code) in
        [("TERM", Signal::TERM, 143), ("INT", Signal::INT, 130), ("HUP", Signal::HUP, 129)]
    {
        suite
            .case(format!("SIG{name} ends an `exec` that waits for a paused container"), move |bench| {
                interrupted(bench, signal, code)
            })
            .needs(&[Need::Cgroups]);
    }
    suite.case("no command at all is an error", |bench| {
        let container = bench.sleeper(|_| {})?;
        let output = container.exec_with(&[], &[]).output()?;
        ensure!(output.code.is_some_and(|code| code != 0), "{output}");
        Ok(())
    });
    suite.case("a working directory that is not there is 255", |bench| {
        let container = bench.sleeper(|_| {})?;
        container
            .exec_with(&["--cwd", "/no/such"], &["pwd"])
            .output()?
            .fails_with(255, &["no such file or directory"])?;
        Ok(())
    });
    suite.case("a created container accepts `exec`", |bench| {
        let container = bench.container(bench.bundle()?)?;
        container.create()?;
        ensure_eq!(container.exec("echo early")?, "early");
        Ok(())
    });
}

/// The command is gone with the engine, although it is frozen, and the container none the wiser.
fn interrupted(bench: &Bench<'_>, signal: Signal, code: i32) -> Check {
    let container = bench.sleeper(|_| {})?;
    container.call("pause").succeeds()?;
    let before = host::processes_of(&container.id)?;
    let running = container.exec_with(&["--ignore-paused"], &["echo", "never"]).spawn()?;
    host::until("the command waits in the container's cgroup", || {
        Ok(host::processes_of(&container.id)?.len() > before.len())
    })?;
    running.signal(signal)?;
    let output = running.wait()?.exits_with(code)?;
    ensure_eq!(output.stdout, "");
    host::until("the command is gone", || Ok(host::processes_of(&container.id)? == before))?;
    ensure_eq!(container.status()?, "paused");
    container.call("resume").succeeds()?;
    ensure_eq!(container.exec("echo fine")?, "fine");
    Ok(())
}

fn places(suite: &mut Suite) {
    suite.case("a command is in the cgroups of the container", |bench| {
        let container = bench.sleeper(|config| {
            // In one of its own a container cannot tell its path.
            config.without_namespace("cgroup");
        })?;
        let inside = container.exec("cat /proc/self/cgroup")?;
        let outside = fs::read_to_string(format!("/proc/{}/cgroup", container.pid()?))?;
        ensure_eq!(inside, outside.trim_end());
        Ok(())
    });
    suite
        .case("`--cgroup PATH` puts it below the container's cgroup in every hierarchy", |bench| {
            let container = bench.sleeper(|_| {})?;
            for controller in
                ["memory", "pids", "cpu", "cpuacct", "cpuset", "freezer", "devices", "blkio", "systemd"]
            {
                let below = host::cgroup_v1(controller, &container.id).join("below");
                fs::create_dir_all(&below)?;
                if controller == "cpuset" {
                    fs::write(below.join("cpuset.cpus"), "0")?;
                    fs::write(below.join("cpuset.mems"), "0")?;
                }
            }
            fs::create_dir_all(host::cgroup_unified(&container.id).join("below"))?;
            let output =
                container.exec_with(&["--cgroup", "below"], &["cat", "/proc/self/cgroup"]).succeeds()?;
            let wanted = format!(":memory:/{}/below", container.id);
            ensure!(output.stdout.contains(&wanted), "{output}");
            ensure!(output.stdout.contains(&format!(":pids:/{}/below", container.id)), "{output}");
            Ok(())
        })
        .needs(&[Need::CgroupV1]);
    suite
        .case("`--cgroup CONTROLLER:PATH` puts it below in that hierarchy alone", |bench| {
            let container = bench.sleeper(|_| {})?;
            fs::create_dir_all(host::cgroup_v1("memory", &container.id).join("below"))?;
            let output = container
                .exec_with(&["--cgroup", "memory:below"], &["cat", "/proc/self/cgroup"])
                .succeeds()?;
            ensure!(output.stdout.contains(&format!(":memory:/{}/below\n", container.id)), "{output}");
            ensure!(output.stdout.contains(&format!(":pids:/{}\n", container.id)), "{output}");
            Ok(())
        })
        .needs(&[Need::CgroupV1]);
    suite
        .case("`--cgroup` of a cgroup that is not there is 255", |bench| {
            let container = bench.sleeper(|_| {})?;
            container.exec_with(&["--cgroup", "nowhere"], &["true"]).output()?.exits_with(255)?;
            Ok(())
        })
        .needs(&[Need::Cgroups]);
    suite.case("`--cgroup` does not leave the container's cgroup", |bench| {
        let container = bench.sleeper(|_| {})?;
        for path in ["../", "memory:..", "/../.."] {
            let output = container.exec_with(&["--cgroup", path], &["cat", "/proc/self/cgroup"]).output()?;
            let escaped =
                output.code == Some(0) && !output.stdout.contains(&format!(":memory:/{}", container.id));
            ensure!(!escaped, "{output}");
        }
        Ok(())
    });
}
