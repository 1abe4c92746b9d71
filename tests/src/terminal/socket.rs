//! `--console-socket`, as engines use it.

use std::fs;

use serde_json::json;

use crate::harness::config::Config;
use crate::harness::terminal::{ConsoleSocket, Terminal};
use crate::harness::{Bench, Check, Container, Need, Suite, ensure, ensure_eq, host, mountinfo};

/// A container with a terminal that somebody else holds.
pub(super) struct Held<'b> {
    pub(super) container: Container<'b>,
    pub(super) terminal: Terminal,
}

/// `run --detach --console-socket` of a script.
pub(super) fn run<'b>(bench: &'b Bench<'_>, script: &str, edit: impl FnOnce(&mut Config)) -> Check<Held<'b>> {
    let mut bundle = bench.bundle()?;
    bundle.config.set("/process/terminal", true).shell(script);
    edit(&mut bundle.config);
    let container = bench.container(bundle)?;
    let socket = ConsoleSocket::listen(bench)?;
    container.launch("run", &["--detach", "--console-socket", &socket.argument()]).succeeds()?;
    let terminal = socket.receive()?;
    Ok(Held { container, terminal })
}

/// What a script shows on the terminal of a new container.
fn shown(bench: &Bench<'_>, script: &str, edit: impl FnOnce(&mut Config)) -> Check<String> {
    let mut held = run(bench, &format!("{script}; echo the end; exec sleep 1000"), edit)?;
    let text = held.terminal.expect("the end\n")?;
    Ok(text.trim_end_matches("the end\n").trim_end().to_owned())
}

/// Starts a command in a running container on a terminal of its own.
fn exec(bench: &Bench<'_>, container: &Container<'_>, script: &str) -> Check<Terminal> {
    let socket = ConsoleSocket::listen(bench)?;
    let options = ["--tty", "--detach", "--console-socket", &socket.argument()];
    container.exec_with(&options, &["sh", "-c", script]).succeeds()?;
    socket.receive()
}

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    receivers(suite);
    what_it_is(suite);
    sizes(suite);
    surroundings(suite);
    console(suite);
    execs(suite);
    exec_files(suite);
}

#[expect(clippy::too_many_lines, reason = "a flat list of cases")]
fn receivers(suite: &mut Suite) {
    suite.case("a shell talks over the terminal that `create` sends", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.set("/process/terminal", true).args(&["sh"]);
        let container = bench.container(bundle)?;
        let socket = ConsoleSocket::listen(bench)?;
        container.launch("create", &["--console-socket", &socket.argument()]).succeeds()?;
        let mut terminal = socket.receive()?;
        container.start()?;
        terminal.write("echo $((6 * 7))\n")?;
        terminal.expect("\n42\n")?;
        terminal.write("exit 3\n")?;
        terminal.expect_end()?;
        container.until_status("stopped")
    });
    suite.case("a shell talks over the terminal that `run --detach` sends", |bench| {
        let mut held = run(bench, "exec sh", |_| {})?;
        held.terminal.write("echo $((6 * 7))\n")?;
        held.terminal.expect("\n42\n")?;
        held.container.stop()
    });
    suite.case("Ctrl-C typed at the terminal interrupts the foreground job", |bench| {
        let mut held = run(bench, "exec sh", |_| {})?;
        held.terminal.write("sh -c 'echo on; exec sleep 1000'\n")?;
        held.terminal.expect("on\n")?;
        held.terminal.write("\x03")?;
        held.terminal.write("echo after\n")?;
        held.terminal.expect("\nafter\n")?;
        held.container.stop()
    });
    suite
        .case("a container that is created holds none of the caller's streams", |bench| {
            let mut bundle = bench.bundle()?;
            bundle.config.set("/process/terminal", true);
            let container = bench.container(bundle)?;
            let socket = ConsoleSocket::listen(bench)?;
            container.launch("create", &["--console-socket", &socket.argument()]).succeeds()?;
            let _terminal = socket.receive()?;
            let pid = container.pid()?;
            for number in 0..3 {
                let target = fs::read_link(format!("/proc/{pid}/fd/{number}"))?;
                ensure_eq!(target.to_string_lossy(), "/dev/pts/0", "descriptor {number}");
            }
            Ok(())
        })
        .needs(&[Need::Root]);
    suite.case("the slave is hung up when the container ends", |bench| {
        let mut held = run(bench, "echo bye", |_| {})?;
        ensure_eq!(held.terminal.expect_end()?, "bye\n");
        held.container.until_status("stopped")
    });
    suite.case("a relative path of the socket is taken from the working directory", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.set("/process/terminal", true).shell("echo it works; exec sleep 1000");
        let container = bench.container(bundle)?;
        let directory = bench.directory("here")?;
        let socket = ConsoleSocket::at(directory.join("s"))?;
        let call = container.launch("run", &["--detach", "--console-socket", "s"]);
        call.current_dir(&directory).succeeds()?;
        socket.receive()?.expect("it works\n")?;
        Ok(())
    });
}

fn what_it_is(suite: &mut Suite) {
    suite.case("the three streams are the container's first terminal", |bench| {
        let text = shown(bench, "for fd in 0 1 2; do readlink /proc/self/fd/$fd; done; tty", |_| {})?;
        ensure_eq!(text, "/dev/pts/0\n".repeat(4).trim_end());
        Ok(())
    });
    suite.case("it is the controlling terminal", |bench| {
        ensure_eq!(shown(bench, "echo over dev tty > /dev/tty", |_| {})?, "over dev tty");
        Ok(())
    });
    suite
        .case("the slave belongs to process.user, and its group is the file system's", |bench| {
            let owner = |bench: &Bench<'_>, uid: u32| {
                shown(bench, "stat -c %u:%g:%a /dev/pts/0", |config| {
                    config.set("/process/user", json!({"uid": uid, "gid": uid}));
                })
            };
            ensure_eq!(owner(bench, 0)?, "0:5:620");
            ensure_eq!(owner(bench, 1000)?, "1000:5:620");
            Ok(())
        })
        .needs(&[Need::Root]);
    suite
        .case("a user that is not root opens its terminal by name", |bench| {
            let text = shown(bench, "echo by name > /dev/pts/0; echo by tty > /dev/tty", |config| {
                config.set("/process/user", json!({"uid": 1000, "gid": 1000}));
            })?;
            ensure_eq!(text, "by name\nby tty");
            Ok(())
        })
        .needs(&[Need::Ids]);
}

fn sizes(suite: &mut Suite) {
    for (size, expected) in [
        (json!({"height": 33, "width": 111}), (33, 111)),
        (json!({"height": 65535, "width": 1}), (65535, 1)),
        (json!({"height": 0, "width": 0}), (0, 0)),
        (json!({"height": 0, "width": 80}), (0, 0)),
    ] {
        suite.case(format!("consoleSize {size} is the size {expected:?}"), move |bench| {
            let held = run(bench, "exec sleep 1000", |config| {
                config.set("/process/consoleSize", size.clone());
            })?;
            ensure_eq!(held.terminal.size()?, expected);
            Ok(())
        });
    }
    suite.case("consoleSize is what the program finds", |bench| {
        let text = shown(bench, "stty size", |config| {
            config.set("/process/consoleSize", json!({"height": 33, "width": 111}));
        })?;
        ensure_eq!(text, "33 111");
        Ok(())
    });
    suite.case("consoleSize without a terminal is ignored", |bench| {
        let text = bench.inside("echo runs", |config| {
            config.set("/process/consoleSize", json!({"height": 33, "width": 111}));
        })?;
        ensure_eq!(text, "runs");
        Ok(())
    });
    suite.case("the size that the receiver sets is seen inside", |bench| {
        let mut held = run(bench, "read x; stty size; exec sleep 1000", |_| {})?;
        held.terminal.resize(50, 132)?;
        held.terminal.write("\n")?;
        held.terminal.expect("50 132\n")?;
        Ok(())
    });
}

fn surroundings(suite: &mut Suite) {
    suite
        .case("a terminal works in a user namespace", |bench| {
            let text = shown(bench, "tty; stat -c %u /dev/pts/0; echo x > /dev/console", |config| {
                config.user_namespace().set("/process/user", json!({"uid": 5, "gid": 5}));
            })?;
            ensure_eq!(text, "/dev/pts/0\n5\nx");
            Ok(())
        })
        .needs(&[Need::Ids]);
    suite.case("a terminal works with `--no-pivot`", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.set("/process/terminal", true).shell("tty; exec sleep 1000");
        let container = bench.container(bundle)?;
        let socket = ConsoleSocket::listen(bench)?;
        let options = ["--detach", "--no-pivot", "--console-socket", &socket.argument()];
        container.launch("run", &options).succeeds()?;
        socket.receive()?.expect("/dev/pts/0\n")?;
        Ok(())
    });
    suite.case("a terminal works where /dev is read-only", |bench| {
        let text = shown(bench, "tty; touch /dev/x 2> /dev/null || echo read-only", |config| {
            config.without_mount("/dev");
            let dev = json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["ro", "mode=755"]});
            let mut mounts = config.0["mounts"].as_array().cloned().unwrap_or_default();
            mounts.insert(1, dev);
            config.set("/mounts", mounts);
        })?;
        ensure_eq!(text, "/dev/pts/0\nread-only");
        Ok(())
    });
}

fn console(suite: &mut Suite) {
    suite.case("/dev/console is the terminal, mounted from its own file", |bench| {
        let held = run(bench, "exec sleep 1000", |_| {})?;
        let pid = held.container.pid()?;
        let text = fs::read_to_string(format!("/proc/{pid}/mountinfo"))?;
        let mounts = mountinfo::parse_mountinfo(&text);
        let console = mounts.iter().find(|mount| mount.point == "/dev/console");
        let console = console.map(|mount| (mount.kind.as_str(), mount.root.as_str()));
        ensure_eq!(console, Some(("devpts", "/0")));
        ensure_eq!(held.container.exec("stat -c %t:%T /dev/console")?, "88:0");
        Ok(())
    });
    suite.case("what is written to /dev/console is shown on the terminal", |bench| {
        ensure_eq!(shown(bench, "echo to the console > /dev/console", |_| {})?, "to the console");
        Ok(())
    });
    suite.case("without a terminal there is no /dev/console", |bench| {
        ensure_eq!(bench.inside("test -e /dev/console || echo none", |_| {})?, "none");
        Ok(())
    });
    suite.case("a /dev/console of the image is covered, not changed", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.set("/process/terminal", true).shell("echo x > /dev/console; exec sleep 1000");
        super::attacks::without_dev(&mut bundle.config);
        bundle.config.mount("/dev/pts", "devpts", "devpts", &["newinstance", "ptmxmode=0666"]);
        bundle.file("dev/console", "the image's", 0o640)?;
        let file = bundle.inside("dev/console");
        let container = bench.container(bundle)?;
        let socket = ConsoleSocket::listen(bench)?;
        container.launch("run", &["--detach", "--console-socket", &socket.argument()]).succeeds()?;
        socket.receive()?.expect("x\n")?;
        ensure_eq!(fs::read_to_string(file)?, "the image's");
        Ok(())
    });
}

fn execs(suite: &mut Suite) {
    suite.case("`exec --tty` gets the next terminal of the container", |bench| {
        let held = run(bench, "exec sleep 1000", |_| {})?;
        let mut terminal = exec(bench, &held.container, "tty; echo over tty > /dev/tty")?;
        ensure_eq!(terminal.expect("over tty\n")?, "/dev/pts/1\nover tty\n");
        Ok(())
    });
    suite.case("`exec --tty` leaves /dev/console as it is", |bench| {
        let held = run(bench, "exec sleep 1000", |_| {})?;
        let mut terminal = exec(bench, &held.container, "stat -c %t:%T /dev/console; echo end")?;
        ensure_eq!(terminal.expect("end\n")?, "88:0\nend\n");
        Ok(())
    });
    suite.case("`exec --tty` works in a container without a terminal", |bench| {
        let container = bench.sleeper(|_| {})?;
        let mut terminal = exec(bench, &container, "tty; ls /dev/console 2> /dev/null; echo end")?;
        ensure_eq!(terminal.expect("end\n")?, "/dev/pts/0\nend\n");
        Ok(())
    });
    suite
        .case("`exec --tty` works in a user namespace", |bench| {
            let container = bench.sleeper(|config| {
                config.user_namespace();
            })?;
            let socket = ConsoleSocket::listen(bench)?;
            let options = ["-t", "-d", "-u", "7", "--console-socket", &socket.argument()];
            container.exec_with(&options, &["sh", "-c", "stat -c %u $(tty); echo end"]).succeeds()?;
            ensure_eq!(socket.receive()?.expect("end\n")?, "7\nend\n");
            Ok(())
        })
        .needs(&[Need::Ids]);
}

fn exec_files(suite: &mut Suite) {
    suite.case("`exec --process` with a terminal has its consoleSize", |bench| {
        let container = bench.sleeper(|_| {})?;
        let socket = ConsoleSocket::listen(bench)?;
        let file = bench.path("process.json");
        let process = json!({"terminal": true, "consoleSize": {"height": 10, "width": 110}, "cwd": "/",
            "args": ["/bin/sh", "-c", "/bin/stty size; echo end"]});
        fs::write(&file, process.to_string())?;
        let options =
            ["--detach", "--process", &file.to_string_lossy(), "--console-socket", &socket.argument()];
        container.exec_with(&options, &[]).succeeds()?;
        ensure_eq!(socket.receive()?.expect("end\n")?, "10 110\nend\n");
        Ok(())
    });
    suite.case("`exec --tty` beside `--process` changes nothing: the file decides", |bench| {
        let container = bench.sleeper(|_| {})?;
        let file = bench.path("process.json");
        let process = json!({"cwd": "/", "args": ["/bin/sh", "-c", "tty; exit 4"]});
        fs::write(&file, process.to_string())?;
        let output = container.exec_with(&["--tty", "--process", &file.to_string_lossy()], &[]).output()?;
        ensure_eq!(output.exits_with(4)?.text(), "not a tty");
        Ok(())
    });
    suite.case("a detached `exec --tty` writes its pid file and ends by itself", |bench| {
        let container = bench.sleeper(|_| {})?;
        let socket = ConsoleSocket::listen(bench)?;
        let file = bench.path("pid");
        let options = [
            "--tty",
            "--detach",
            "--pid-file",
            &file.to_string_lossy(),
            "--console-socket",
            &socket.argument(),
        ];
        container.exec_with(&options, &["sh", "-c", "read x"]).succeeds()?;
        let pid = host::read_trimmed(&file)?.parse()?;
        let mut terminal = socket.receive()?;
        ensure!(host::is_alive(pid), "{pid} is not there");
        terminal.write("\n")?;
        terminal.expect_end()?;
        host::until("the process ends", || Ok(!host::is_alive(pid)))
    });
}
