//! Where hooks write: crun's annotations `run.oci.hooks.stdout` and `run.oci.hooks.stderr`.

use std::fs;

use serde_json::json;

use super::{KINDS, hook, shell, text, written};
use crate::harness::{Suite, ensure_eq};

/// Adds the cases.
pub(super) fn add(suite: &mut Suite) {
    suite.case("what hooks of every kind say is appended to the files of the annotations", |bench| {
        let mut bundle = bench.bundle()?;
        let (out, err) = (bench.path("out"), bench.path("err"));
        fs::write(&out, "before\n")?;
        for kind in KINDS {
            hook(&mut bundle, kind, shell(&format!("echo {kind}; echo {kind} failed >&2")));
        }
        let annotations = json!({"run.oci.hooks.stdout": text(&out), "run.oci.hooks.stderr": text(&err)});
        bundle.config.args(&["true"]).set("/annotations", annotations);
        let container = bench.container(bundle)?;
        container.create()?;
        container.start()?;
        container.until_status("stopped")?;
        container.delete()?;
        ensure_eq!(written(&out)?, format!("before\n{}", KINDS.join("\n")));
        ensure_eq!(written(&err)?, KINDS.map(|kind| format!("{kind} failed")).join("\n"));
        Ok(())
    });
    suite.case("what a hook says elsewhere is still told when it fails", |bench| {
        let mut bundle = bench.bundle()?;
        let out = bench.path("out");
        hook(&mut bundle, "createRuntime", shell("echo out; echo no luck >&2; exit 3"));
        bundle.config.set("/annotations", json!({"run.oci.hooks.stdout": text(&out)}));
        let output = bench.container(bundle)?.run()?.exits_with(1)?;
        ensure_eq!(written(&out)?, "out");
        if bench.runtime().is_masu() {
            let message = "masu: hooks.createRuntime[0]: error running createRuntime hook #0: /bin/sh: exited with status 3: no luck";
            ensure_eq!(output.stderr.trim_end(), message);
        }
        Ok(())
    });
    for (kind, place) in [("createRuntime", ""), ("createContainer", "annotations: ")] {
        suite.masu_only(
            format!("a file for a {kind} hook that cannot be opened ends the start"),
            move |bench| {
                let mut bundle = bench.bundle()?;
                hook(&mut bundle, kind, shell("true"));
                bundle.config.set("/annotations", json!({"run.oci.hooks.stderr": "/no/such/file"}));
                let output = bench.container(bundle)?.run()?.exits_with(1)?;
                let place = if place.is_empty() { "annotations[\"run.oci.hooks.stderr\"]: " } else { place };
                let message =
                    format!("masu: {place}open \"/no/such/file\": no such file or directory (ENOENT)");
                ensure_eq!(output.stderr.trim_end(), message);
                ensure_eq!(fs::read_dir(&bench.root)?.count(), 0, "state was left");
                Ok(())
            },
        );
    }
}
