//! `NOTIFY_SOCKET`: a container tells the service manager that it is ready, and nothing else.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use rustix::io::IoSliceMut;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::Signal;

use crate::harness::command::{Invocation, deadline};
use crate::harness::{Bench, Bundle, Check, Need, Suite, ensure, ensure_eq, fail, host};

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    suite
        .case("in the foreground READY=1 is passed on with the runtime's pid, and a barrier", |bench| {
            let manager = Manager::listen(bench)?;
            let container = bench.container(speaker(bench, &["READY=1"], "sleep 1 while 1;")?)?;
            let running = manager.call(container.launch("run", &[])).spawn()?;
            ensure_eq!(manager.receive()?.0, "READY=1\n");
            ensure_eq!(manager.receive()?.0, format!("MAINPID={}\n", running.pid()));
            let (text, pipe) = manager.receive()?;
            ensure_eq!(text, "BARRIER=1");
            ensure_eq!(pipe.len(), 1, "descriptors beside BARRIER=1");
            drop(pipe);
            running.signal(Signal::TERM)?;
            running.wait()?.exits_with(7)?;
            manager.is_silent()
        })
        .needs(&[Need::Debian]);
    suite
        .case("`run --detach` returns once the manager has heard of the container's pid", |bench| {
            let manager = Manager::listen(bench)?;
            let container = bench.container(speaker(bench, &["READY=1"], "sleep 1000;")?)?;
            let running = manager.call(container.launch("run", &["--detach"])).spawn()?;
            ensure_eq!(manager.receive()?.0, "READY=1\n");
            let main = manager.receive()?.0;
            let (_, pipe) = manager.receive()?;
            drop(pipe);
            running.wait()?.exits_with(0)?;
            ensure_eq!(main, format!("MAINPID={}\n", container.pid()?));
            Ok(())
        })
        .needs(&[Need::Debian]);
    suite
        .case("`start` passes on what a created container says", |bench| {
            let manager = Manager::listen(bench)?;
            let container = bench.container(speaker(bench, &["READY=1"], "sleep 1000;")?)?;
            manager.call(container.launch("create", &[])).succeeds()?;
            let running = manager.call(container.call("start")).spawn()?;
            ensure_eq!(manager.receive()?.0, "READY=1\n");
            ensure_eq!(manager.receive()?.0, format!("MAINPID={}\n", container.pid()?));
            drop(manager.receive()?);
            running.wait()?.exits_with(0)?;
            container.stop()?;
            container.delete()
        })
        .needs(&[Need::Debian]);
    suite
        .case("a container that ends without a word ends `start` too", |bench| {
            let manager = Manager::listen(bench)?;
            let container = bench.container(speaker(bench, &[], "exit 0;")?)?;
            manager.call(container.launch("create", &[])).succeeds()?;
            manager.call(container.call("start")).succeeds()?;
            manager.is_silent()
        })
        .needs(&[Need::Debian]);
    silence(suite);
    restrictions(suite);
}

fn silence(suite: &mut Suite) {
    suite
        .masu_only("a container that ends without a word ends `run` too", |bench| {
            let manager = Manager::listen(bench)?;
            let container = bench.container(speaker(bench, &["STATUS=busy", "STOPPING=1"], "exit 3;")?)?;
            manager.call(container.launch("run", &[])).output()?.exits_with(3)?;
            manager.is_silent()
        })
        .needs(&[Need::Debian]);
    suite
        .masu_only(
            "of several lines the one that says READY is passed on, of several messages the first",
            |bench| {
                let manager = Manager::listen(bench)?;
                let words = ["STATUS=up", "STATUS=x\\nREADY=1\\nMAINPID=1", "READY=1", "STOPPING=1"];
                let container = bench.container(speaker(bench, &words, "exit 0;")?)?;
                let running = manager.call(container.launch("run", &[])).spawn()?;
                ensure_eq!(manager.receive()?.0, "READY=1\n");
                ensure!(manager.receive()?.0.starts_with("MAINPID="), "MAINPID");
                drop(manager.receive()?);
                running.wait()?.exits_with(0)?;
                manager.is_silent()
            },
        )
        .needs(&[Need::Debian]);
}

fn restrictions(suite: &mut Suite) {
    suite.case("the directory of the socket is read-only, without devices, set-user-ID and programs", |bench| {
        let manager = Manager::listen(bench)?;
        let script = "print qq{$ENV{NOTIFY_SOCKET}\\n}; system(q{grep ' /run/notify ' /proc/mounts | cut -d' ' -f4; ls /run/notify});";
        let container = bench.container(speaker(bench, &["READY=1"], script)?)?;
        let running = manager.call(container.launch("run", &[])).spawn()?;
        for _ in 0..3 {
            manager.receive()?;
        }
        let output = running.wait()?.exits_with(0)?;
        let mut lines = output.stdout.lines();
        ensure_eq!(lines.next(), Some("/run/notify/notify.sock"));
        let options = lines.next().unwrap_or_default();
        for option in ["ro", "nosuid", "nodev", "noexec"] {
            ensure!(options.split(',').any(|word| word == option), "{option} in {options:?}");
        }
        ensure_eq!(lines.next(), Some("notify.sock"));
        Ok(())
    }).needs(&[Need::Debian]);
    suite
        .masu_only("a manager that is gone is a warning, and the container runs", |bench| {
            let container = bench.container(speaker(bench, &["READY=1"], "sleep 1; exit 4;")?)?;
            let gone = bench.path("gone.sock");
            let output = container.launch("run", &[]).env("NOTIFY_SOCKET", &gone).output()?.exits_with(4)?;
            ensure!(output.stderr.contains("NOTIFY_SOCKET"), "{output}");
            ensure!(output.stderr.contains("ENOENT"), "{output}");
            Ok(())
        })
        .needs(&[Need::Debian]);
    suite.masu_only("`start` with a manager that `create` knew nothing of is a warning", |bench| {
        let manager = Manager::listen(bench)?;
        let container = bench.container(bench.bundle()?)?;
        container.create()?;
        let output = manager.call(container.call("start")).succeeds()?;
        ensure!(output.stderr.contains("NOTIFY_SOCKET: open notify"), "{output}");
        ensure_eq!(container.status()?, "running");
        Ok(())
    });
    suite
        .masu_only("a container that floods the socket does not keep signals from it", |bench| {
            let manager = Manager::listen(bench)?;
            let flood =
                "$SIG{TERM} = sub { exit 9 }; $| = 1; print qq{on}; syswrite(S, q{STATUS=x}) while 1;";
            let container = bench.container(speaker(bench, &["STATUS=up"], flood)?)?;
            let running = manager.call(container.launch("run", &[])).spawn()?;
            host::until("the flood", || Ok(running.stdout_so_far()? == "on"))?;
            running.signal(Signal::TERM)?;
            running.wait()?.exits_with(9)?;
            Ok(())
        })
        .needs(&[Need::Debian]);
}

/// Whoever listens as systemd does.
struct Manager {
    path: PathBuf,
    socket: UnixDatagram,
}

impl Manager {
    fn listen(bench: &Bench<'_>) -> Check<Self> {
        let path = bench.path("manager.sock");
        let socket = UnixDatagram::bind(&path)?;
        socket.set_read_timeout(Some(deadline()))?;
        Ok(Self { path, socket })
    }

    fn call(&self, invocation: Invocation) -> Invocation {
        invocation.env("NOTIFY_SOCKET", &self.path)
    }

    /// One message and what came with it.
    fn receive(&self) -> Check<(String, Vec<OwnedFd>)> {
        let mut bytes = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let message =
            recvmsg(&self.socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)
                .map_err(|errno| fail(format!("nothing more to receive: {errno}")))?;
        let mut descriptors = Vec::new();
        for ancillary in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = ancillary {
                descriptors.extend(rights);
            }
        }
        let text = String::from_utf8_lossy(bytes.get(..message.bytes).unwrap_or_default()).into_owned();
        Ok((text, descriptors))
    }

    /// Nothing more has come.
    fn is_silent(&self) -> Check {
        self.socket.set_nonblocking(true)?;
        let mut bytes = [0; 4096];
        match self.socket.recv(&mut bytes) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
            outcome => Err(fail(format!("the manager heard more: {outcome:?}"))),
        }
    }
}

/// Perl that sends a message to the container's socket.
fn say(message: &str) -> String {
    format!(
        "socket(S,AF_UNIX,SOCK_DGRAM,0); connect(S,sockaddr_un($ENV{{NOTIFY_SOCKET}})) or die; syswrite(S,\"{message}\"); "
    )
}

/// A bundle that says something and goes on with more Perl.
fn speaker(bench: &Bench<'_>, messages: &[&str], after: &str) -> Check<Bundle> {
    let said: String = messages.iter().map(|message| say(message)).collect();
    perl(bench, &format!("$SIG{{TERM}} = sub {{ exit 7 }}; {said}{after}"))
}

fn perl(bench: &Bench<'_>, program: &str) -> Check<Bundle> {
    let mut bundle = bench.debian_bundle()?;
    bundle.config.mount("/run", "tmpfs", "tmpfs", &[]).args(&["perl", "-MSocket", "-e", program]);
    Ok(bundle)
}
