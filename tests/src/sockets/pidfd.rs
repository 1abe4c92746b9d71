//! `--pidfd-socket`: one message, with a descriptor of the process.

use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use rustix::process::{Signal, pidfd_send_signal};

use crate::harness::receiver::Receiver;
use crate::harness::{Check, Suite, ensure, ensure_eq, fail};

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    for (verb, options, status) in [("create", &[][..], "created"), ("run", &["--detach"], "running")] {
        suite.case(format!("`{verb} --pidfd-socket` sends a pidfd of the first process"), move |bench| {
            let receiver = Receiver::listen(&bench.path("pidfd.sock"))?;
            let container = bench.container(bench.bundle()?)?;
            let socket = receiver.path.to_string_lossy().into_owned();
            container.launch(verb, &[options, &["--pidfd-socket", &socket]].concat()).succeeds()?;
            ensure_eq!(container.status()?, status);
            let (word, pidfd) = receiver.receive()?;
            ensure_eq!(word, "standard");
            ensure_eq!(pid_of(&pidfd)?, container.pid()?);
            pidfd_send_signal(&pidfd, Signal::KILL)?;
            container.until_status("stopped")
        });
    }
    suite.case("`exec --pidfd-socket` sends a pidfd of the command", |bench| {
        let receiver = Receiver::listen(&bench.path("pidfd.sock"))?;
        let container = bench.sleeper(|_| {})?;
        let (socket, file) = (receiver.path.to_string_lossy().into_owned(), bench.path("pid"));
        let options = ["-d", "--pidfd-socket", &socket, "--pid-file", &file.to_string_lossy()];
        container.exec_with(&options, &["sleep", "777"]).succeeds()?;
        let (word, pidfd) = receiver.receive()?;
        ensure_eq!(word, "setns");
        ensure_eq!(pid_of(&pidfd)?.to_string(), fs::read_to_string(&file)?);
        pidfd_send_signal(&pidfd, Signal::KILL)?;
        ensure_eq!(container.status()?, "running");
        Ok(())
    });
    suite.case("run.oci.pidfd_receiver gets a pidfd of the first process", |bench| {
        let receiver = Receiver::listen(&bench.path("pidfd.sock"))?;
        let mut bundle = bench.bundle()?;
        let path = receiver.path.to_string_lossy().into_owned();
        bundle.config.set("/annotations", serde_json::json!({"run.oci.pidfd_receiver": path}));
        let container = bench.container(bundle)?;
        container.create()?;
        ensure_eq!(pid_of(&receiver.receive()?.1)?, container.pid()?);
        container.exec_with(&[], &["true"]).output()?;
        Ok(())
    });
    for (what, make) in [
        ("is missing", (|_| Ok(())) as fn(&PathBuf) -> Check),
        ("is a file", |path| Ok(fs::write(path, "")?)),
        ("nobody listens on", |path| Ok(UnixListener::bind(path).map(drop)?)),
    ] {
        suite.case(
            format!("a --pidfd-socket that {what} keeps the container from being made"),
            move |bench| {
                let path = bench.path("pidfd.sock");
                make(&path)?;
                let container = bench.container(bench.bundle()?)?;
                let call = container.launch("create", &["--pidfd-socket", &path.to_string_lossy()]);
                let output = call.output()?.exits_with(1)?;
                ensure!(output.stderr.contains("pidfd.sock"), "{output}");
                ensure_eq!(bench.root.join(&container.id).exists(), false, "its state directory");
                let running = bench.sleeper(|_| {})?;
                let exec = running.exec_with(&["--pidfd-socket", &path.to_string_lossy()], &["true"]);
                exec.output()?.exits_with(255)?;
                Ok(())
            },
        );
    }
}

fn pid_of(pidfd: &OwnedFd) -> Check<i32> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    let line = info.lines().find_map(|line| line.strip_prefix("Pid:"));
    Ok(line.ok_or_else(|| fail(format!("no pidfd: {info}")))?.trim().parse()?)
}
