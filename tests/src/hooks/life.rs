//! When hooks run, and what they are told.

use std::fs;

use serde_json::{Value, json};

use super::{KINDS, hook, observe, shared, shell, text, written};
use crate::harness::{Check, Suite, ensure, ensure_eq, host};

/// The kinds with the status that they are told, and whose pid.
const TOLD: [(&str, &str, Pid); 6] = [
    ("prestart", "creating", Pid::Host),
    ("createRuntime", "creating", Pid::Host),
    ("createContainer", "creating", Pid::Container),
    ("startContainer", "created", Pid::Container),
    ("poststart", "running", Pid::Host),
    ("poststop", "stopped", Pid::None),
];

#[derive(Clone, Copy)]
enum Pid {
    Host,
    Container,
    None,
}

/// Adds the cases.
pub(super) fn add(suite: &mut Suite) {
    states(suite);
    order(suite);
    suite.case("the program runs when a poststart hook does", |bench| {
        let script = r#"pid=$(sed 's/.*"pid":\([0-9]*\).*/\1/')
            for i in $(seq 1000); do
                line=$(tr '\0' ' ' < /proc/$pid/cmdline); [ "$line" = 'sleep 1000 ' ] && break; sleep 0.01
            done
            echo "$line" > OUT"#;
        let mut bundle = bench.bundle()?;
        let dir = shared(bench, &mut bundle)?;
        hook(&mut bundle, "poststart", shell(&script.replace("OUT", &text(&dir.join("out")))));
        let container = bench.container(bundle)?;
        container.create()?;
        ensure!(!dir.join("out").exists(), "the hook ran at create");
        container.start()?;
        ensure_eq!(written(&dir.join("out"))?, "sleep 1000");
        Ok(())
    });
    suite.case("poststop hooks are those of create, whatever became of the bundle", |bench| {
        let mut bundle = bench.bundle()?;
        let out = bench.path("out");
        hook(&mut bundle, "poststop", shell(&format!("pwd > {}; cat > {0}.state", text(&out))));
        let dir = bundle.dir.clone();
        let container = bench.container(bundle)?;
        container.create()?;
        container.start()?;
        container.stop()?;
        fs::remove_dir_all(&dir)?;
        container.delete()?;
        ensure!(out.exists(), "the hook did not run");
        let state: Value = serde_json::from_str(&written(&out.with_extension("state"))?)?;
        ensure_eq!(state["bundle"], text(&dir));
        Ok(())
    });
    for (sentence, running) in [("created", false), ("running", true)] {
        suite.case(
            format!("delete --force of a {sentence} container runs its poststop hooks"),
            move |bench| {
                let mut bundle = bench.bundle()?;
                let out = bench.path("out");
                hook(&mut bundle, "poststop", shell(&format!("cat > {}", text(&out))));
                let container = bench.container(bundle)?;
                container.create()?;
                if running {
                    container.start()?;
                }
                container.call("delete").arg("--force").succeeds()?;
                let state: Value = serde_json::from_str(&written(&out)?)?;
                ensure_eq!(state["status"], "stopped");
                ensure_eq!(state["id"], container.id);
                Ok(())
            },
        );
    }
}

fn states(suite: &mut Suite) {
    for (kind, status, pid) in TOLD {
        suite.case(format!("a {kind} hook is told that the container is {status}"), move |bench| {
            let mut bundle = bench.bundle()?;
            let dir = shared(bench, &mut bundle)?;
            let out = dir.join("out");
            hook(&mut bundle, kind, shell(&format!("cat > {}", text(&out))));
            bundle.config.set("/annotations", json!({"org.example.\"quoted\"": "two\nlines & <more>"}));
            let container = bench.container(bundle)?;
            container.create()?;
            let host_pid = container.pid()?;
            container.start()?;
            container.stop()?;
            container.delete()?;
            let state: Value = serde_json::from_str(&written(&out)?)?;
            ensure!(state["ociVersion"].as_str().is_some_and(|text| text.starts_with("1.")), "{state}");
            ensure_eq!(state["id"], container.id);
            ensure_eq!(state["status"], status);
            ensure_eq!(state["bundle"], text(&container.bundle.dir));
            ensure_eq!(state["annotations"]["org.example.\"quoted\""], "two\nlines & <more>");
            match pid {
                Pid::Host => ensure_eq!(state["pid"], host_pid),
                Pid::Container => ensure_eq!(state["pid"], 1),
                Pid::None => ensure_eq!(state["pid"].as_i64().unwrap_or_default(), 0),
            }
            Ok(())
        });
    }
    suite.case("hooks in the host's pid namespace are told the host's pid", |bench| {
        for kind in ["createContainer", "startContainer"] {
            let state = observe(bench, kind, "echo $PPID > OUT; cat >> OUT", |bundle| {
                bundle.config.without_namespace("pid");
            })?;
            let (parent, state) = state.split_once('\n').unwrap_or_default();
            let state: Value = serde_json::from_str(state)?;
            ensure_eq!(state["pid"], parent.parse::<i64>()?, "{kind}");
        }
        Ok(())
    });
    suite.case("annotations of a hundred kilobytes reach every hook", |bench| {
        let long = "x".repeat(100_000);
        for kind in KINDS {
            let state = observe(bench, kind, "cat > OUT", |bundle| {
                bundle.config.set("/annotations", json!({"long": long}));
            })?;
            let state: Value = serde_json::from_str(&state)?;
            ensure_eq!(state["annotations"]["long"].as_str().map(str::len), Some(100_000), "{kind}");
        }
        Ok(())
    });
}

fn order(suite: &mut Suite) {
    suite.case("the kinds run in the order of a life, and each list in its own", |bench| {
        let mut bundle = bench.bundle()?;
        let log = shared(bench, &mut bundle)?.join("log");
        for kind in KINDS {
            for number in 0..2 {
                hook(&mut bundle, kind, shell(&format!("echo {kind} {number} >> {}", text(&log))));
            }
        }
        bundle.config.args(&["true"]);
        bench.container(bundle)?.run()?.exits_with(0)?;
        let expected: Vec<String> =
            KINDS.iter().flat_map(|kind| (0..2).map(move |number| format!("{kind} {number}"))).collect();
        ensure_eq!(written(&log)?, expected.join("\n"));
        Ok(())
    });
    suite.case("create, start and delete each run their own", |bench| {
        let mut bundle = bench.bundle()?;
        let log = shared(bench, &mut bundle)?.join("log");
        for kind in KINDS {
            hook(&mut bundle, kind, shell(&format!("echo {kind} >> {}", text(&log))));
        }
        let container = bench.container(bundle)?;
        container.create()?;
        ensure_eq!(written(&log)?, "prestart\ncreateRuntime\ncreateContainer", "after create");
        container.start()?;
        host::until("the hooks of start", || Ok(written(&log)?.contains("poststart")))?;
        ensure!(written(&log)?.ends_with("startContainer\npoststart"), "{}", written(&log)?);
        container.stop()?;
        container.delete()?;
        ensure!(written(&log)?.ends_with("poststart\npoststop"), "{}", written(&log)?);
        Ok(()) as Check
    });
}
