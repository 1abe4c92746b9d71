//! Lists of hooks that are wrong: refused before anything is made.

use std::fs;

use serde_json::{Value, json};

use super::{KINDS, hook, says};
use crate::harness::{Bench, Check, Suite, ensure, ensure_eq};

/// Adds the cases.
pub(super) fn add(suite: &mut Suite) {
    suite.case("a list of hooks with a wrong type is refused", |bench| {
        let table = [
            (json!({"path": "/bin/true", "args": "true"}), "args: expected an array, found string \"true\""),
            (json!({"path": "/bin/true", "env": {}}), "env: expected an array, found an object"),
            (json!({"path": "/bin/true", "env": ["A", 1]}), "env[1]: expected a string, found number 1"),
            (json!({"path": 5}), "path: expected a string, found number 5"),
            (
                json!({"path": "/bin/true", "timeout": "5s"}),
                "timeout: expected an integer of 64 bits, found string \"5s\"",
            ),
        ];
        table.into_iter().try_for_each(|(wrong, exact)| refused(bench, &wrong, exact))
    });
    suite.masu_only("a hook that the specification does not allow is refused", |bench| {
        let seconds = "is not within 1 to 4294967295\nhint: a timeout is a number of seconds; without one the hook may \
                       take as long as it likes";
        let table = [
            (json!({}), "path: required, but missing".to_owned()),
            (json!({"path": "bin/true"}), "path: \"bin/true\" is not an absolute path".to_owned()),
            (json!({"path": "/bin/\0true"}), "path: holds a NUL byte".to_owned()),
            (json!({"path": "/bin/true", "args": ["a\0b"]}), "args[0]: holds a NUL byte".to_owned()),
            (json!({"path": "/bin/true", "env": ["A=\0"]}), "env[0]: holds a NUL byte".to_owned()),
            (json!({"path": "/bin/true", "timeout": 0}), format!("timeout: 0 {seconds}")),
            (json!({"path": "/bin/true", "timeout": -3}), format!("timeout: -3 {seconds}")),
        ];
        table.into_iter().try_for_each(|(wrong, exact)| refused(bench, &wrong, &exact))
    });
}

fn refused(bench: &Bench<'_>, wrong: &Value, exact: &str) -> Check {
    for kind in KINDS {
        let mut bundle = bench.bundle()?;
        hook(&mut bundle, kind, json!({"path": "/bin/true"}));
        hook(&mut bundle, kind, wrong.clone());
        let output = bench.container(bundle)?.launch("create", &[]).output()?;
        ensure!(output.code == Some(1), "{output}");
        says(bench, &output, "", &format!("masu: hooks.{kind}[1].{exact}"))?;
        ensure_eq!(fs::read_dir(&bench.root)?.count(), 0, "state was left");
    }
    Ok(())
}
