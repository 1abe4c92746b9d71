//! Terminals that cannot be.

use std::os::unix::net::UnixDatagram;

use serde_json::json;

use crate::harness::config::Config;
use crate::harness::terminal::{ConsoleSocket, too_long};
use crate::harness::{Bench, Check, Suite, ensure, ensure_eq};

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    rules(suite);
    sockets(suite);
    sizes(suite);
    devices(suite);
}

/// A failed start says these words, and leaves nothing of the container.
fn refused(
    bench: &Bench<'_>,
    verb: &str,
    options: &[&str],
    phrases: &[&str],
    edit: impl FnOnce(&mut Config),
) -> Check {
    let mut bundle = bench.bundle()?;
    bundle.config.set("/process/terminal", true);
    edit(&mut bundle.config);
    let container = bench.container(bundle)?;
    let output = container.launch(verb, options).output()?.fails_with(1, &[])?;
    let masu = bench.runtime().is_masu();
    for phrase in phrases.iter().filter(|phrase| masu || !phrase.starts_with("hint: ")) {
        ensure!(output.stderr.contains(phrase), "expected {phrase:?} in the error of {output}");
    }
    ensure_eq!(bench.root.join(&container.id).exists(), false);
    Ok(())
}

fn rules(suite: &mut Suite) {
    const NO_SOCKET: &[&str] = &["cannot allocate tty if ", " will detach without setting console socket"];
    const NO_USE: &[&str] = &["cannot use console socket if ", " will not detach or allocate tty"];
    suite.case("`create` with a terminal and no console socket is refused", |bench| {
        refused(bench, "create", &[], NO_SOCKET, |_| {})
    });
    suite.case("`create` with an empty path of a console socket is refused", |bench| {
        refused(bench, "create", &["--console-socket", ""], NO_SOCKET, |_| {})
    });
    suite.case("`run --detach` with a terminal and no console socket is refused", |bench| {
        refused(bench, "run", &["--detach"], NO_SOCKET, |_| {})
    });
    suite.case("a console socket in the foreground is refused", |bench| {
        let socket = ConsoleSocket::listen(bench)?;
        refused(bench, "run", &["--console-socket", &socket.argument()], NO_USE, |_| {})
    });
    suite.case("a console socket without a terminal is refused", |bench| {
        let socket = ConsoleSocket::listen(bench)?;
        let no_terminal = |config: &mut Config| {
            config.set("/process/terminal", false);
        };
        refused(bench, "create", &["--console-socket", &socket.argument()], NO_USE, no_terminal)?;
        refused(bench, "run", &["-d", "--console-socket", &socket.argument()], NO_USE, no_terminal)
    });
    suite.case("`exec` has the same rules, and 255", |bench| {
        let container = bench.sleeper(|_| {})?;
        let socket = ConsoleSocket::listen(bench)?;
        let path = socket.argument();
        let table: [(&[&str], &[&str]); 4] = [
            (&["-t", "-d"], NO_SOCKET),
            (&["-d", "--console-socket", &path], NO_USE),
            (&["-t", "--console-socket", &path], NO_USE),
            (&["--console-socket", &path], NO_USE),
        ];
        for (options, phrases) in table {
            container.exec_with(options, &["true"]).output()?.fails_with(255, phrases)?;
        }
        Ok(())
    });
}

fn sockets(suite: &mut Suite) {
    let create = |bench: &Bench<'_>, path: &str, phrases: &[&str]| {
        refused(bench, "create", &["--console-socket", path], phrases, |_| {})
    };
    suite.case("a console socket that is not there is refused", move |bench| {
        let path = bench.path("missing.sock");
        create(
            bench,
            &path.to_string_lossy(),
            &[
                "no such file or directory",
                "hint: who receives the terminal makes the socket before it calls masu",
            ],
        )
    });
    suite.case("a console socket that nobody listens on is refused", move |bench| {
        let socket = ConsoleSocket::listen(bench)?;
        let path = socket.argument();
        drop(socket);
        create(bench, &path, &["connection refused", "hint: it is no socket, or nobody listens on it"])
    });
    suite.case("a file for a console socket is refused", move |bench| {
        let path = bench.path("file");
        std::fs::write(&path, "")?;
        create(bench, &path.to_string_lossy(), &["connection refused"])
    });
    suite.case("a directory for a console socket is refused", move |bench| {
        let path = bench.directory("directory")?;
        create(bench, &path.to_string_lossy(), &["connection refused"])
    });
    suite.case("a datagram socket for a console socket is refused", move |bench| {
        let path = bench.path("datagram.sock");
        let _socket = UnixDatagram::bind(&path)?;
        create(
            bench,
            &path.to_string_lossy(),
            &["wrong type for socket", "hint: it has to be a stream socket"],
        )
    });
    suite.case("a console socket whose path is too long is refused", move |bench| {
        let path = too_long(&bench.dir);
        create(
            bench,
            &path.to_string_lossy(),
            &["connect", "hint: the path of a socket has at most 108 bytes"],
        )
    });
    suite.case("a console socket that `exec` cannot reach is 255", |bench| {
        let container = bench.sleeper(|_| {})?;
        let path = bench.path("missing.sock");
        let options = ["-t", "-d", "--console-socket", &path.to_string_lossy()];
        let output = container.exec_with(&options, &["true"]).output()?;
        output.fails_with(255, &["no such file or directory"])?;
        Ok(())
    });
}

fn sizes(suite: &mut Suite) {
    let table = [
        (json!({"height": 65536, "width": 80}), "process.consoleSize.height: 65536 is above 65535"),
        (json!({"height": 24, "width": 70_000}), "process.consoleSize.width: 70000 is above 65535"),
        (json!({"height": -1, "width": 80}), "process.consoleSize.height: expected an integer from 0"),
        (json!({"width": 80}), "process.consoleSize.height: required, but missing"),
        (json!({"height": "24", "width": 80}), "process.consoleSize.height: expected an integer"),
        (json!([24, 80]), "process.consoleSize: expected an object"),
    ];
    for (size, message) in table {
        suite.masu_only(format!("consoleSize {size} is refused"), move |bench| {
            let socket = ConsoleSocket::listen(bench)?;
            refused(bench, "create", &["--console-socket", &socket.argument()], &[message], |config| {
                config.set("/process/consoleSize", size.clone());
            })
        });
    }
}

fn devices(suite: &mut Suite) {
    let create = |bench: &Bench<'_>, phrases: &[&str], edit: fn(&mut Config)| {
        let socket = ConsoleSocket::listen(bench)?;
        refused(bench, "create", &["--console-socket", &socket.argument()], phrases, edit)
    };
    suite.case("a terminal without a devpts is refused", move |bench| {
        let hint = "hint: a terminal needs a mount of type devpts on /dev/pts, as masu spec writes it; or set process.terminal to false";
        create(bench, &["no such file or directory", hint], |config| {
            config.without_mount("/dev/pts");
        })
    });
    suite.case("a terminal where no more can be is refused", |bench| {
        let held = super::socket::run(bench, "exec sleep 1000", |config| {
            let options = ["newinstance", "ptmxmode=0666", "max=1"];
            config.without_mount("/dev/pts").mount("/dev/pts", "devpts", "devpts", &options);
        })?;
        let socket = ConsoleSocket::listen(bench)?;
        let options = ["-t", "-d", "--console-socket", &socket.argument()];
        let output = held.container.exec_with(&options, &["true"]).output()?;
        let output = output.fails_with(255, &["no space left on device"])?;
        let hint = "hint: no terminal is left: raise sysctl kernel.pty.max, or the option max of the devpts in mounts";
        ensure!(!bench.runtime().is_masu() || output.stderr.contains(hint), "{output}");
        Ok(())
    });
    suite.case("`exec --tty` in a container without a devpts is 255 and leaves nothing", |bench| {
        let container = bench.sleeper(|config| {
            config.without_mount("/dev/pts");
        })?;
        let socket = ConsoleSocket::listen(bench)?;
        let options = ["-t", "-d", "--console-socket", &socket.argument()];
        let output = container.exec_with(&options, &["true"]).output()?;
        output.fails_with(255, &["no such file or directory"])?;
        ensure_eq!(container.exec("echo still fine")?, "still fine");
        Ok(())
    });
}
