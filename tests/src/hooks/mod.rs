//! Hooks: programs that run at points of a container's life.

mod endings;
mod failures;
mod inputs;
mod life;
mod outputs;
mod surroundings;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::command::Output;
use crate::harness::{Bench, Bundle, Check, Suite, ensure, ensure_eq, fail};

/// All kinds, in the order of a container's life.
const KINDS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// The suite.
pub(crate) fn suite() -> Suite {
    let mut suite = Suite::new("hooks");
    life::add(&mut suite);
    surroundings::add(&mut suite);
    failures::add(&mut suite);
    endings::add(&mut suite);
    inputs::add(&mut suite);
    outputs::add(&mut suite);
    suite
}

/// A hook that runs a script; `PATH` is all that its environment has.
fn shell(script: &str) -> Value {
    json!({
        "path": "/bin/sh",
        "args": ["sh", "-c", script],
        "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    })
}

/// Appends a hook to the list of `kind`.
fn hook(bundle: &mut Bundle, kind: &str, hook: Value) {
    bundle.config.push(&format!("/hooks/{kind}"), hook);
}

/// A directory of the host that the container finds under the same path, so that every hook may write there.
fn shared(bench: &Bench<'_>, bundle: &mut Bundle) -> Check<PathBuf> {
    let dir = bench.directory("shared")?;
    let path = text(&dir);
    bundle.config.mount(&path, "bind", &path, &["rbind", "rw"]);
    Ok(dir)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// What a hook wrote into a file.
fn written(path: &Path) -> Check<String> {
    let text = fs::read_to_string(path).map_err(|error| fail(format!("{}: {error}", path.display())))?;
    Ok(text.trim_end().to_owned())
}

/// Takes a container with one hook of `kind` through its whole life, and returns what the script wrote into the file
/// `out` of its working place.
fn observe(bench: &Bench<'_>, kind: &str, script: &str, edit: impl FnOnce(&mut Bundle)) -> Check<String> {
    let mut bundle = bench.bundle()?;
    let dir = shared(bench, &mut bundle)?;
    let out = dir.join("out");
    let script = script.replace("OUT", &text(&out));
    hook(&mut bundle, kind, shell(&script));
    bundle.config.args(&["true"]);
    edit(&mut bundle);
    bench.container(bundle)?.run()?.exits_with(0)?;
    written(&out)
}

/// masu's exact words; of other runtimes only `phrase` is asked.
fn says(bench: &Bench<'_>, output: &Output, phrase: &str, exact: &str) -> Check {
    ensure!(output.stderr.contains(phrase), "no {phrase:?} in {output}");
    if bench.runtime().is_masu() {
        ensure_eq!(output.stderr.trim_end(), exact);
    }
    Ok(())
}
