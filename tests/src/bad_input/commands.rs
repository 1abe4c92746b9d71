//! A command line that is wrong, or that comes at the wrong time.

use std::fs;

use super::refused;
use crate::harness::{Bench, Check, Suite, ensure_eq};

const ILLEGAL_IDS: [&str; 9] = ["", ".", "..", "a/b", "/etc", "a b", "a\tb", "caf\u{e9}", "a:b"];

const UNKNOWN: &[(&str, &[&str], i32)] = &[
    ("start", &["start", "nobody"], 1),
    ("state", &["state", "nobody"], 1),
    ("kill", &["kill", "nobody"], 1),
    ("delete", &["delete", "nobody"], 1),
    ("exec", &["exec", "nobody", "true"], 255),
    ("pause", &["pause", "nobody"], 1),
    ("resume", &["resume", "nobody"], 1),
    ("ps", &["ps", "nobody"], 1),
    ("events", &["events", "nobody"], 1),
    ("update", &["update", "--pids-limit", "5", "nobody"], 1),
];

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    ids(suite);
    signals(suite);
    wrong_time(suite);
    state_directory(suite);
    other(suite);
}

fn ids(suite: &mut Suite) {
    for id in ILLEGAL_IDS {
        let sentence = format!("the illegal id {id:?}");
        suite.case(sentence.clone(), move |bench| {
            let bundle = bench.bundle()?;
            bundle.write()?;
            let call = bench.call(&["create", "--bundle"]).arg(&bundle.dir).arg(id);
            refused(bench, &sentence, call, 1, &[])?;
            ensure_eq!(fs::read_dir(&bench.root)?.count(), 0, "something was made in the state directory");
            Ok(())
        });
    }
    for (command, args, code) in UNKNOWN {
        let sentence = format!("an unknown id of `{command}`");
        suite.case(sentence.clone(), move |bench| {
            refused(bench, &sentence, bench.call(args), *code, &["container does not exist"])
        });
    }
    suite.case("an id that exists", |bench| {
        let container = bench.sleeper(|_| {})?;
        let call = container.launch("create", &[]);
        refused(bench, "an id that exists", call, 1, &["container with given ID already exists"])?;
        ensure_eq!(container.status()?, "running");
        Ok(())
    });
    suite.case("an id that exists as a stopped container", |bench| {
        let container = bench.sleeper(|_| {})?;
        container.stop()?;
        let call = container.launch("run", &[]);
        refused(
            bench,
            "an id that exists as a stopped container",
            call,
            1,
            &["container with given ID already exists"],
        )?;
        ensure_eq!(container.status()?, "stopped");
        Ok(())
    });
}

fn signals(suite: &mut Suite) {
    for signal in ["FOO", "SIGFOO", "0x9", "9x", "", "-1", "99999"] {
        let sentence = format!("the unknown signal {signal:?}");
        suite.case(sentence.clone(), move |bench| {
            let container = bench.sleeper(|_| {})?;
            let call = bench.call(&["kill", "--", &container.id, signal]);
            refused(bench, &sentence, call, 1, &[])?;
            ensure_eq!(container.status()?, "running");
            Ok(())
        });
    }
}

fn wrong_time(suite: &mut Suite) {
    suite.case("`start` of a running container", |bench| {
        let container = bench.sleeper(|_| {})?;
        let phrase = "cannot start an already running container";
        refused(bench, "`start` of a running container", container.call("start"), 1, &[phrase])
    });
    suite.case("`start` of a stopped container", |bench| {
        let container = bench.sleeper(|_| {})?;
        container.stop()?;
        let phrase = "cannot start a container that has stopped";
        refused(bench, "`start` of a stopped container", container.call("start"), 1, &[phrase])
    });
    suite.case("`exec` in a stopped container", |bench| {
        let container = bench.sleeper(|_| {})?;
        container.stop()?;
        let call = container.exec_with(&[], &["true"]);
        refused(bench, "`exec` in a stopped container", call, 255, &["cannot exec in a stopped container"])
    });
    suite.case("`exec` in a paused container", |bench| {
        let container = bench.sleeper(|_| {})?;
        container.call("pause").succeeds()?;
        let call = container.exec_with(&[], &["true"]);
        let phrase = "cannot exec in a paused container (use --ignore-paused to override)";
        refused(bench, "`exec` in a paused container", call, 255, &[phrase])
    });
    suite.case("`delete` of a container that runs", |bench| {
        let container = bench.sleeper(|_| {})?;
        let phrase = format!("cannot delete container {} that is not stopped: running", container.id);
        refused(bench, "`delete` of a container that runs", container.call("delete"), 1, &[&phrase])
    });
    suite.case("`kill` of a stopped container", |bench| {
        let container = bench.sleeper(|_| {})?;
        container.stop()?;
        refused(bench, "`kill` of a stopped container", container.call("kill"), 1, &["container not running"])
    });
    suite.case("`exec` of a program that is not on PATH", |bench| {
        let container = bench.sleeper(|_| {})?;
        let call = container.exec_with(&[], &["no-such"]);
        refused(
            bench,
            "`exec` of a program that is not on PATH",
            call,
            255,
            &["executable file not found in"],
        )
    });
    suite.case("`exec` of a program that is not there", |bench| {
        let container = bench.sleeper(|_| {})?;
        let call = container.exec_with(&[], &["/no/such"]);
        refused(bench, "`exec` of a program that is not there", call, 255, &["no such file or directory"])
    });
    suite.case("`exec` of a file that is not executable", |bench| {
        let container = bench.sleeper(|_| {})?;
        let call = container.exec_with(&[], &["/etc/passwd"]);
        refused(bench, "`exec` of a file that is not executable", call, 255, &["permission denied"])
    });
}

fn state_directory(suite: &mut Suite) {
    suite.case("a read-only `--root`", |bench| {
        let bundle = bench.bundle()?;
        bundle.write()?;
        let dir = bench.directory("read-only")?;
        let script = format!(
            "mount -t tmpfs -o ro none {0} && exec {1} --root {0} run --bundle {2} {3}",
            dir.display(),
            bench.runtime().path.display(),
            bundle.dir.display(),
            bundle.name
        );
        let call = bench.program("unshare").args(["-m", "--propagation", "private", "sh", "-c", &script]);
        refused(bench, "a read-only `--root`", call, 1, &["read-only file system"])
    });
    suite.case("a `--root` that is a file", |bench| {
        let bundle = bench.bundle()?;
        bundle.write()?;
        let file = bench.path("file");
        fs::write(&file, "")?;
        let call =
            bench.bare(&["--root"]).arg(&file).args(["run", "--bundle"]).arg(&bundle.dir).arg(&bundle.name);
        refused(bench, "a `--root` that is a file", call, 1, &["not a directory"])
    });
    suite.masu_only("a kernel older than the floor", |bench| {
        // personality(2) UNAME26 makes uname(2) say 2.6.40 and more.
        let bundle = bench.bundle()?;
        bundle.write()?;
        let call = bench.program("setarch").args(["--uname-2.6", "--"]).arg(&bench.runtime().path);
        let call =
            call.arg("--root").arg(&bench.root).args(["run", "--bundle"]).arg(&bundle.dir).arg(&bundle.name);
        refused(bench, "a kernel older than the floor", call, 1, &["5.14"])
    });
}

fn other(suite: &mut Suite) {
    suite.case("a pid file in a directory that is not there", |bench| {
        let container = bench.container(bench.bundle()?)?;
        let call = container.launch("run", &["-d", "--pid-file", "/no/such/dir/pid"]);
        refused(
            bench,
            "a pid file in a directory that is not there",
            call,
            1,
            &["no such file or directory"],
        )?;
        nothing_left(bench)
    });
    suite.case("a size that `update` does not understand", |bench| {
        let container = bench.sleeper(|_| {})?;
        let call = bench.call(&["update", "--memory", "much", &container.id]);
        refused(bench, "a size that `update` does not understand", call, 1, &["much"])
    });
    suite.case("a negative `--preserve-fds`", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.args(&["true"]);
        let container = bench.container(bundle)?;
        let call = container.launch("run", &["--preserve-fds", "-1"]);
        call.output()?.exits_with(1)?;
        nothing_left(bench)
    });
    suite.case("more `--preserve-fds` than there are", |bench| {
        let container = bench.container(bench.bundle()?)?;
        let call = container.launch("run", &["--preserve-fds", "40"]);
        refused(bench, "more `--preserve-fds` than there are", call, 1, &[])?;
        nothing_left(bench)
    });
    suite.case("two ids for `create`", |bench| {
        let container = bench.container(bench.bundle()?)?;
        let call = container.launch("create", &[]).arg("second");
        refused(bench, "two ids for `create`", call, 1, &[])?;
        nothing_left(bench)
    });
    suite.case("a process file of `exec` that is not there", |bench| {
        let container = bench.sleeper(|_| {})?;
        let call = container.exec_with(&["--process", "/no/such/file"], &[]);
        refused(
            bench,
            "a process file of `exec` that is not there",
            call,
            255,
            &["no such file or directory"],
        )
    });
    suite.case("an unknown log format", |bench| {
        let call = bench.call(&["--log-format", "xml", "list"]);
        refused(bench, "an unknown log format", call, 1, &["log-format"])
    });
}

fn nothing_left(bench: &Bench<'_>) -> Check {
    ensure_eq!(fs::read_dir(&bench.root)?.count(), 0, "something is left in the state directory");
    Ok(())
}
