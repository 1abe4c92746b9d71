//! The directory of an id whose files are damaged: `list` shows it, `delete --force` removes it.

use std::fs;
use std::path::Path;

use crate::harness::{Bench, Check, Container, Suite, ensure, ensure_eq, host};

/// What is done to every file of the directory.
type Damage = fn(&Path) -> std::io::Result<()>;

const DAMAGES: &[(&str, Damage)] = &[
    ("an empty state file", |path| fs::write(path, "")),
    ("a damaged state file", |path| fs::write(path, "{\"id\": \"half")),
    ("a state file of another kind", |path| fs::write(path, "[1, 2, 3]")),
    ("no state file", |path| fs::remove_file(path)),
];

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    for (what, damage) in DAMAGES {
        suite.case(format!("with {what} `list` still shows the other containers"), move |bench| {
            let (broken, sound) = (damaged(bench, *damage)?, bench.sleeper(|_| {})?);
            let output = bench.call(&["list"]).output()?;
            ensure!(output.stdout.contains(&sound.id), "{output}");
            bench.call(&["list", "--format", "json"]).output()?;
            remove(bench, &broken)
        });
        suite.case(format!("with {what} `list` shows the id"), move |bench| {
            let broken = damaged(bench, *damage)?;
            let output = bench.call(&["list"]).succeeds()?;
            ensure!(output.stdout.contains(&broken.id) || output.stderr.contains(&broken.id), "{output}");
            remove(bench, &broken)
        });
        suite.case(format!("with {what} `state` fails and names the file or the container"), move |bench| {
            let broken = damaged(bench, *damage)?;
            let output = broken.call("state").output()?.exits_with(1)?;
            ensure!(!output.stderr.trim().is_empty(), "{output}");
            remove(bench, &broken)
        });
        suite.case(format!("with {what} `delete --force` removes the directory"), move |bench| {
            let broken = damaged(bench, *damage)?;
            bench.call(&["delete", "--force", &broken.id]).succeeds()?;
            let left = bench.root.join(&broken.id).exists();
            remove(bench, &broken)?;
            ensure_eq!(left, false, "the directory is still there");
            Ok(())
        });
    }
}

/// A container that has ended, with its cgroups gone, and whose state then came to harm.
fn damaged<'b>(bench: &'b Bench<'_>, damage: Damage) -> Check<Container<'b>> {
    let container = bench.sleeper(|_| {})?;
    container.stop()?;
    for cgroup in host::cgroups_of(&container.id)? {
        // A process that ends leaves its cgroup a moment later.
        host::until("the cgroup is empty", || Ok(fs::remove_dir(&cgroup).is_ok()))?;
    }
    for entry in fs::read_dir(bench.root.join(&container.id))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            damage(&entry.path())?;
        }
    }
    Ok(container)
}

/// Whatever the runtime thinks of it, the case leaves nothing.
fn remove(bench: &Bench<'_>, container: &Container<'_>) -> Check {
    let dir = bench.root.join(&container.id);
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    Ok(())
}
