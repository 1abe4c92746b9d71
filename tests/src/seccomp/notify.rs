//! `SCMP_ACT_NOTIFY`: a program of the host, the agent, gets the filter's listener and decides about calls.

use std::fs;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::{allow_but, set};
use crate::harness::config::Config;
use crate::harness::receiver::Receiver;
use crate::harness::{Bench, Check, Need, Suite, ensure, ensure_eq};

/// Adds the cases.
pub(super) fn add(suite: &mut Suite) {
    decisions(suite);
    states(suite);
    receivers(suite);
    refusals(suite);
}

/// A filter that asks about mkdir(2).
fn asking(listener: Option<&Receiver>) -> Value {
    let mut seccomp = allow_but(json!([{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]));
    if let Some(listener) = listener {
        seccomp["listenerPath"] = listener.path.to_string_lossy().into();
        seccomp["listenerMetadata"] = "told \"so\"".into();
    }
    seccomp
}

fn listen(bench: &Bench<'_>) -> Check<Receiver> {
    Receiver::listen(&bench.path("agent.sock"))
}

/// Answers one call with ENOSPC, seccomp_unotify(2), and ends; Perl has ioctl(2).
const AGENT: &str = r#"
    my $call = "\0" x 80;
    ioctl(STDIN, 0xc0502100, $call) // die "SECCOMP_IOCTL_NOTIF_RECV: $!";
    my $answer = pack("Q q l L", unpack("Q", $call), 0, -28, 0);
    ioctl(STDIN, 0xc0182101, $answer) // die "SECCOMP_IOCTL_NOTIF_SEND: $!";
"#;

/// The agent at work. It ends with its answer, or with this value.
struct Agent(Child);

impl Agent {
    fn answer(listener: OwnedFd) -> Check<Self> {
        let mut command = Command::new("perl");
        command.args(["-e", AGENT]).stdin(Stdio::from(listener)).stdout(Stdio::null());
        Ok(Self(command.spawn()?))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.0.kill().ok(); // ignored: it may have ended by itself
        self.0.wait().ok(); // ignored: nobody asks for its status
    }
}

fn decisions(suite: &mut Suite) {
    for forbidden in [true, false] {
        let sentence = format!("the agent decides about a call, with noNewPrivileges {forbidden}");
        suite.case(sentence, move |bench| {
            let receiver = listen(bench)?;
            let mut bundle = bench.bundle()?;
            bundle.config.shell("mkdir /dev/shm/x; grep CapEff /proc/self/status");
            set(&mut bundle.config, asking(Some(&receiver)));
            bundle.config.set("/process/noNewPrivileges", forbidden).capabilities(&["CAP_KILL"]);
            let container = bench.container(bundle)?;
            let running = container.run_in_background()?;
            let _agent = Agent::answer(receiver.receive()?.1)?;
            let output = running.wait()?.exits_with(0)?;
            ensure!(output.stderr.ends_with("No space left on device\n"), "{output}");
            ensure_eq!(output.text(), "CapEff:\t0000000000000020");
            Ok(())
        });
    }
    suite
        .case("the agent decides about a call of a container in a user namespace", |bench| {
            let receiver = listen(bench)?;
            let mut bundle = bench.bundle()?;
            bundle.config.shell("mkdir /dev/shm/x").user_namespace();
            set(&mut bundle.config, asking(Some(&receiver)));
            let container = bench.container(bundle)?;
            let running = container.run_in_background()?;
            let _agent = Agent::answer(receiver.receive()?.1)?;
            let output = running.wait()?.exits_with(1)?;
            ensure!(output.stderr.ends_with("No space left on device\n"), "{output}");
            Ok(())
        })
        .needs(&[Need::Root]);
    suite.case("a call that waits for the agent can wait for a fatal signal alone", |bench| {
        let receiver = listen(bench)?;
        let mut bundle = bench.bundle()?;
        bundle.config.shell("mkdir /dev/shm/x");
        let mut seccomp = asking(Some(&receiver));
        seccomp["flags"] = json!(["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", "SECCOMP_FILTER_FLAG_TSYNC"]);
        set(&mut bundle.config, seccomp);
        let container = bench.container(bundle)?;
        let running = container.run_in_background()?;
        let _agent = Agent::answer(receiver.receive()?.1)?;
        running.wait()?.exits_with(1)?;
        Ok(())
    });
    suite.case("a flag for listeners says nothing where there is none", |bench| {
        let mut seccomp = allow_but(json!([{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]));
        seccomp["flags"] = json!(["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]);
        // Whoever is not asked need not be there.
        seccomp["listenerPath"] = "/no/such/agent".into();
        let output = bench.script("echo in; mkdir /dev/shm/x", |config| set(config, seccomp))?;
        ensure_eq!(output.exits_with(1)?.text(), "in");
        Ok(())
    });
}

fn states(suite: &mut Suite) {
    suite.case("create tells the agent of the container's process", |bench| {
        let receiver = listen(bench)?;
        let mut bundle = bench.bundle()?;
        bundle.config.shell("mkdir /dev/shm/x").set("/annotations", json!({"who": "we"}));
        set(&mut bundle.config, asking(Some(&receiver)));
        let container = bench.container(bundle)?;
        container.create()?;
        let (text, listener) = receiver.receive()?;
        let mut told: Value = serde_json::from_str(&text)?;
        let pid = container.pid()?;
        for version in ["/ociVersion", "/state/ociVersion"] {
            ensure!(told.pointer_mut(version).is_some_and(|value| value.take().is_string()), "{text}");
        }
        let expected = json!({
            "ociVersion": null,
            "fds": ["seccompFd"],
            "pid": pid,
            "metadata": "told \"so\"",
            "state": {
                "ociVersion": null, "id": container.id, "status": "creating", "pid": pid,
                "bundle": container.bundle.dir, "annotations": {"who": "we"},
            },
        });
        ensure_eq!(told, expected);
        let _agent = Agent::answer(listener)?;
        container.start()?;
        container.until_status("stopped")
    });
    suite.case("exec tells the agent of the command and of its container", |bench| {
        let receiver = listen(bench)?;
        let container = bench.sleeper(|config| set(config, asking(Some(&receiver))))?;
        receiver.receive()?;
        let file = bench.path("pid");
        let options = ["--pid-file", &file.to_string_lossy()];
        let mut running = container.exec_with(&options, &["mkdir", "/dev/shm/x"]).spawn()?;
        let (text, listener) = receiver.receive_of(&mut running)?;
        let told: Value = serde_json::from_str(&text)?;
        ensure_eq!(told["state"]["status"], "running");
        ensure_eq!(told["state"]["pid"], container.pid()?);
        let _agent = Agent::answer(listener)?;
        let output = running.wait()?.exits_with(1)?;
        ensure!(output.stderr.ends_with("No space left on device\n"), "{output}");
        ensure_eq!(told["pid"].to_string(), fs::read_to_string(&file)?);
        Ok(())
    });
}

fn receivers(suite: &mut Suite) {
    let asks = |bench: &mut Bench<'_>, edit: fn(&mut Config, &str), variable: bool| -> Check {
        let receiver = listen(bench)?;
        let path = receiver.path.to_string_lossy().into_owned();
        let mut bundle = bench.bundle()?;
        bundle.config.shell("mkdir /dev/shm/x");
        set(&mut bundle.config, asking(None));
        edit(&mut bundle.config, &path);
        let container = bench.container(bundle)?;
        let mut call = container.launch("run", &[]);
        if variable {
            call = call.env("RUN_OCI_SECCOMP_RECEIVER", &path);
        }
        let mut running = call.spawn()?;
        let (text, listener) = receiver.receive_of(&mut running)?;
        ensure_eq!(serde_json::from_str::<Value>(&text)?.get("metadata"), None);
        let _agent = Agent::answer(listener)?;
        let output = running.wait()?.exits_with(1)?;
        ensure!(output.stderr.ends_with("No space left on device\n"), "{output}");
        Ok(())
    };
    suite.masu_only("run.oci.seccomp.receiver names the agent", move |bench| {
        asks(
            bench,
            |config, path| {
                config.set("/annotations", json!({"run.oci.seccomp.receiver": path}));
            },
            false,
        )
    });
    suite.masu_only("RUN_OCI_SECCOMP_RECEIVER names the agent", move |bench| asks(bench, |_, _| {}, true));
}

fn refusals(suite: &mut Suite) {
    let refused = |bench: &mut Bench<'_>, seccomp: Value, phrase: &str| -> Check {
        let output = bench.script("true", |config| set(config, seccomp))?.fails_with(1, &[phrase])?;
        ensure_eq!(output.text(), "");
        ensure_eq!(fs::read_dir(&bench.root)?.count(), 0, "state was left");
        Ok(())
    };
    suite.case("an agent that nobody plays keeps the container from being made", move |bench| {
        let mut seccomp = asking(None);
        seccomp["listenerPath"] = bench.path("nobody.sock").to_string_lossy().into();
        refused(bench, seccomp, "nobody.sock")
    });
    suite.case("SCMP_ACT_NOTIFY needs somebody to notify", move |bench| {
        refused(bench, asking(None), "listenerPath")
    });
    suite.case("SCMP_ACT_NOTIFY cannot be the default action", move |bench| {
        let mut seccomp = asking(None);
        seccomp["defaultAction"] = "SCMP_ACT_NOTIFY".into();
        seccomp["listenerPath"] = "/no/such/agent".into();
        refused(bench, seccomp, "SCMP_ACT_NOTIFY cannot be used as default action")
    });
    suite.case("SCMP_ACT_NOTIFY cannot be for what hands the listener on", move |bench| {
        let mut seccomp = asking(None);
        seccomp["syscalls"] = json!([{"names": ["write"], "action": "SCMP_ACT_NOTIFY"}]);
        seccomp["listenerPath"] = "/no/such/agent".into();
        refused(bench, seccomp, "SCMP_ACT_NOTIFY cannot be used for the write syscall")
    });
    suite.masu_only("a filter with a listener has to allow what init does behind it", move |bench| {
        let mut seccomp = asking(None);
        seccomp["syscalls"] = json!([
            {"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"},
            {"names": ["ppoll", "close_range"], "action": "SCMP_ACT_ERRNO"},
        ]);
        seccomp["listenerPath"] = "/no/such/agent".into();
        let phrase = "linux.seccomp: beside SCMP_ACT_NOTIFY the filter has to allow ppoll, close_range\n";
        refused(bench, seccomp, phrase)
    });
}
