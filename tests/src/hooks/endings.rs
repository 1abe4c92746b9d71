//! Hooks that could stop a runtime, and runtimes that end while a hook runs.

use rustix::process::Signal;

use super::{KINDS, hook, shared, shell, text, written};
use crate::harness::{Check, Suite, ensure, ensure_eq, host};

/// Adds the cases.
pub(super) fn add(suite: &mut Suite) {
    streams(suite);
    deaths(suite);
}

/// What a hook does with its streams, none of which is a failure.
const HARMLESS: [(&str, &str); 5] = [
    ("does not read the state", "true"),
    ("closes its standard input", "exec < /dev/null; sleep 0.01"),
    ("reads one byte of the state", "head -c 1"),
    ("writes megabytes", "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2; cat > /dev/null"),
    ("closes its output", "exec > /dev/null 2>&1; cat"),
];

fn streams(suite: &mut Suite) {
    for (what, script) in HARMLESS {
        suite.case(format!("a hook that {what} is no failure"), move |bench| {
            bench.inside("true", |config| {
                // More than a pipe takes.
                config.set("/annotations", serde_json::json!({"long": "x".repeat(200_000)}));
                for kind in KINDS {
                    config.push(&format!("/hooks/{kind}"), shell(script));
                }
            })?;
            Ok(())
        });
    }
    suite.case("a daemon that a hook leaves with its output open is not waited for", |bench| {
        let mut bundle = bench.bundle()?;
        let dir = shared(bench, &mut bundle)?;
        let (done, left) = (text(&dir.join("done")), text(&dir.join("left")));
        for kind in ["createRuntime", "createContainer", "poststop"] {
            let script =
                format!("(until [ -e {done} ]; do sleep 0.01; done; echo {kind} >> {left}) & exit 0");
            hook(&mut bundle, kind, shell(&script));
        }
        bundle.config.args(&["true"]);
        bench.container(bundle)?.run()?.exits_with(0)?;
        std::fs::write(dir.join("done"), "")?;
        host::until("the end of the daemons", || {
            // The one in the container's pid namespace has ended with it.
            Ok(dir.join("left").exists() && written(&dir.join("left"))?.lines().count() == 2)
        })
    });
}

fn deaths(suite: &mut Suite) {
    suite.case(
        "a runtime that is killed while a hook runs leaves nothing that delete --force does not find",
        |bench| {
            for kind in ["createRuntime", "createContainer"] {
                let mut bundle = bench.bundle()?;
                let dir = shared(bench, &mut bundle)?;
                let (pid, stopped) = (dir.join("pid"), dir.join("stopped"));
                // The number in the host's pid namespace is what counts.
                let script = format!(
                    "exec 3< /proc/self/stat; read pid rest <&3; echo $pid > {}; exec sleep 1000",
                    text(&pid)
                );
                hook(&mut bundle, kind, shell(&script));
                hook(&mut bundle, "poststop", shell(&format!("echo > {}", text(&stopped))));
                let container = bench.container(bundle)?;
                let create = container.launch("create", &[]).spawn()?;
                host::until("the hook", || Ok(pid.exists() && !written(&pid)?.is_empty()))?;
                create.signal(Signal::KILL)?;
                create.wait()?;
                if kind == "createRuntime" {
                    let hook = written(&pid)?.parse()?;
                    host::until("the end of the hook", || Ok(!host::is_alive(hook)))?;
                }
                container.call("delete").arg("--force").succeeds()?;
                ensure!(stopped.exists(), "{kind}: no poststop hook ran");
                ensure_eq!(std::fs::read_dir(&bench.root)?.count(), 0, "{kind}: state was left");
                host::until("the end of init", || Ok(host::processes_of(&container.id)?.is_empty()))?;
            }
            Ok(()) as Check
        },
    );
    suite.masu_only("a signal that ends the runtime ends the hook that it waits for", |bench| {
        for kind in ["prestart", "poststart"] {
            let mut bundle = bench.bundle()?;
            let (pid, stopped) = (bench.path("pid"), bench.path("stopped"));
            hook(&mut bundle, kind, shell(&format!("echo $$ > {}; exec sleep 1000", text(&pid))));
            hook(&mut bundle, "poststop", shell(&format!("echo > {}", text(&stopped))));
            let container = bench.container(bundle)?;
            let run = container.run_in_background()?;
            host::until("the hook", || Ok(pid.exists() && !written(&pid)?.is_empty()))?;
            run.signal(Signal::TERM)?;
            let output = run.wait()?.exits_with(1)?;
            let exact = format!("masu: hooks.{kind}[0]: error running {kind} hook #0: /bin/sh: was killed, since masu was told to end");
            ensure_eq!(output.stderr.trim_end(), exact);
            ensure!(!host::is_alive(written(&pid)?.parse()?), "the hook is alive");
            ensure!(stopped.exists(), "{kind}: no poststop hook ran");
        }
        Ok(())
    });
}
