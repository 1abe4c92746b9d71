//! `mounts add` and `mounts remove`: mounts of a container that is there. crun's commands; no other runtime has them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::command::Invocation;
use crate::harness::{Bench, Check, Container, Need, Suite, ensure, ensure_eq, mountinfo};

/// The suite.
pub(crate) fn suite() -> Suite {
    let mut suite = Suite::new("mounts_command");
    suite.needs(&[Need::Root]);
    come_and_go(&mut suite);
    states(&mut suite);
    attacks(&mut suite);
    wrong(&mut suite);
    suite
}

fn come_and_go(suite: &mut Suite) {
    suite.case("a tmpfs and a bound directory come and go, and the host sees nothing of them", |bench| {
        let container = bench.sleeper(writable)?;
        let source = bench.directory("source")?;
        fs::write(source.join("file"), "from the host")?;
        let before = host_mounts()?;
        let list = json!([
            {"destination": "/new/tmpfs", "type": "tmpfs", "source": "tmpfs", "options": ["size=64k", "nosuid"]},
            {"destination": "/bound", "type": "none", "source": source, "options": ["bind", "ro"]},
        ]);
        change(bench, &container, "add", &list)?.succeeds()?;
        ensure_eq!(container.exec("cat /bound/file; touch /bound/x 2>/dev/null || echo ' read-only'")?, "from the host read-only");
        let line = container.exec("grep ' /new/tmpfs ' /proc/mounts")?;
        ensure!(line.starts_with("tmpfs /new/tmpfs tmpfs") && line.contains("nosuid"), "{line}");
        ensure_eq!(host_mounts()?, before);
        change(bench, &container, "remove", &list)?.succeeds()?;
        ensure_eq!(container.exec("ls /bound; grep -c -e /new -e /bound /proc/mounts; true")?, "0");
        Ok(())
    });
    suite.masu_only("a file, a procfs of the container's own, and mounts in a user namespace", |bench| {
        let container = bench.sleeper(|config| {
            writable(config);
            config.user_namespace();
        })?;
        let file = bench.path("file");
        fs::write(&file, "a file")?;
        // What the root of the container makes must be its own to make.
        let root = container.bundle.inside("/");
        std::os::unix::fs::chown(&root, Some(100_000), Some(100_000))?;
        let list = json!([
            {"destination": "/one", "type": "none", "source": file, "options": ["bind"]},
            {"destination": "/own", "type": "proc", "source": "proc"},
            {"destination": "/tmpfs", "type": "tmpfs", "source": "tmpfs"},
        ]);
        change(bench, &container, "add", &list)?.succeeds()?;
        ensure_eq!(container.exec("cat /one; cat /own/1/comm; stat -c %u /tmpfs")?, "a filesleep\n0");
        change(bench, &container, "remove", &list)?.succeeds()?;
        ensure_eq!(container.exec("grep -c -e /one -e /own -e ' /tmpfs ' /proc/mounts; true")?, "0");
        Ok(())
    });
}

fn states(suite: &mut Suite) {
    suite.masu_only("a created and a paused container take mounts, a stopped one does not", |bench| {
        let mut bundle = bench.bundle()?;
        writable(&mut bundle.config);
        let container = bench.container(bundle)?;
        container.create()?;
        let list = json!([{"destination": "/a", "type": "tmpfs", "source": "tmpfs"}]);
        change(bench, &container, "add", &list)?.succeeds()?;
        container.start()?;
        ensure_eq!(container.exec("grep -c ' /a ' /proc/mounts")?, "1");
        container.call("pause").succeeds()?;
        change(bench, &container, "remove", &list)?.succeeds()?;
        container.call("resume").succeeds()?;
        ensure_eq!(container.exec("grep -c ' /a ' /proc/mounts; true")?, "0");
        container.stop()?;
        for action in ["add", "remove"] {
            change(bench, &container, action, &list)?.output()?.fails_with(1, &["container not running"])?;
        }
        Ok(())
    });
    suite.masu_only("of a list that cannot be mounted nothing stays mounted", |bench| {
        let container = bench.sleeper(writable)?;
        let list = json!([
            {"destination": "/a", "type": "tmpfs", "source": "tmpfs"},
            {"destination": "/b", "type": "tmpfs", "source": "tmpfs", "options": ["size=lots"]},
        ]);
        let output = change(bench, &container, "add", &list)?.output()?;
        output.fails_with(1, &["mounts[1]: mount tmpfs on \"/b\": fsconfig: invalid argument (EINVAL)"])?;
        ensure_eq!(container.exec("grep -c -e ' /a ' -e ' /b ' /proc/mounts; true")?, "0");
        Ok(())
    });
}

fn attacks(suite: &mut Suite) {
    suite.case("a destination that is a symbolic link to the host's path stays in the container", |bench| {
        let victim = bench.directory("victim")?;
        fs::write(victim.join("file"), "untouched")?;
        let mut bundle = bench.bundle()?;
        writable(&mut bundle.config);
        symlink(&victim, bundle.inside("/link"))?;
        symlink("../../../../../../../..", bundle.inside("/up"))?;
        let container = bench.container(bundle)?;
        container.run_detached()?;
        let before = host_mounts()?;
        for destination in ["/link", "/link/below", "/up/tmp/x", "/../../../../tmp/y"] {
            let list = json!([{"destination": destination, "type": "tmpfs", "source": "tmpfs"}]);
            // Refused, or made inside: nothing of the host is covered either way.
            change(bench, &container, "add", &list)?.output()?;
            ensure_eq!(fs::read_to_string(victim.join("file"))?, "untouched", "{destination}");
            ensure!(!victim.join("below").exists(), "a directory was made on the host for {destination}");
        }
        ensure_eq!(host_mounts()?, before);
        Ok(())
    });
    suite.masu_only("remove follows no symbolic link, which could take a mask away", |bench| {
        let mut bundle = bench.bundle()?;
        writable(&mut bundle.config);
        symlink("/proc", bundle.inside("/below"))?;
        symlink("/proc/keys", bundle.inside("/itself"))?;
        let container = bench.container(bundle)?;
        container.run_detached()?;
        for (destination, phrase) in [
            (
                "/below/keys",
                "unmount \"/below/keys\": open the mount point: too many levels of symbolic links (ELOOP)",
            ),
            ("/itself", "unmount \"/itself\": umount: invalid argument (EINVAL)"),
        ] {
            let list = json!([{"destination": destination, "type": "tmpfs"}]);
            change(bench, &container, "remove", &list)?.output()?.fails_with(1, &[phrase])?;
        }
        ensure_eq!(container.exec("grep -c ' /proc/keys ' /proc/mounts")?, "1");
        Ok(())
    });
}

fn wrong(suite: &mut Suite) {
    let table: &[(&str, &str, &str, &str)] = &[
        ("what is no list", "add", "{}", "expected an array"),
        ("broken JSON", "add", "[{", "EOF"),
        ("an empty file", "add", "", "EOF"),
        ("a mount without destination", "add", "[{\"type\": \"tmpfs\"}]", "mounts[0].destination"),
        (
            "a mount on /",
            "add",
            "[{\"destination\": \"/\", \"type\": \"tmpfs\"}]",
            "hide the root file system",
        ),
        (
            "a mount inside /proc",
            "add",
            "[{\"destination\": \"/proc/x\", \"type\": \"none\", \"source\": \"/tmp\", \"options\": [\"bind\"]}]",
            "inside /proc",
        ),
        (
            "a missing source",
            "add",
            "[{\"destination\": \"/x\", \"type\": \"none\", \"source\": \"/no/such\", \"options\": [\"bind\"]}]",
            "mounts[0]: open_tree \"/no/such\": no such file or directory (ENOENT)",
        ),
        (
            "the root as what goes",
            "remove",
            "[{\"destination\": \"/\", \"type\": \"tmpfs\"}]",
            "is the root file system",
        ),
        (
            "what is not mounted",
            "remove",
            "[{\"destination\": \"/bin\", \"type\": \"tmpfs\"}]",
            "hint: nothing is mounted there",
        ),
        ("what is not there", "remove", "[{\"destination\": \"/no/such\", \"type\": \"tmpfs\"}]", "ENOENT"),
        ("an unknown action", "move", "[]", "unknown action \"move\""),
    ];
    for (what, action, text, phrase) in table {
        suite.masu_only(format!("{what} is refused with its name"), move |bench| {
            let container = bench.sleeper(writable)?;
            let file = bench.path("mounts.json");
            fs::write(&file, text)?;
            call(bench, &container, action, &file).output()?.fails_with(1, &[phrase])?;
            Ok(())
        });
    }
    suite.case("a missing file and an unknown container are refused", |bench| {
        let container = bench.sleeper(|_| {})?;
        let missing = bench.path("missing.json");
        call(bench, &container, "add", &missing).output()?.exits_with(1)?;
        fs::write(&missing, "[]")?;
        let unknown = bench.call(&["mounts", "add", "nobody"]).arg(&missing).output()?.exits_with(1)?;
        ensure!(unknown.stderr.contains("nobody") || unknown.stderr.contains("not exist"), "{unknown}");
        Ok(())
    });
}

fn writable(config: &mut crate::harness::config::Config) {
    config.writable();
}

fn change(bench: &Bench<'_>, container: &Container<'_>, action: &str, list: &Value) -> Check<Invocation> {
    let file = bench.path("mounts.json");
    fs::write(&file, list.to_string())?;
    Ok(call(bench, container, action, &file))
}

fn call(bench: &Bench<'_>, container: &Container<'_>, action: &str, file: &Path) -> Invocation {
    bench.call(&["mounts", action, &container.id]).arg(file)
}

fn host_mounts() -> Check<usize> {
    Ok(mountinfo::host_mounts()?.iter().filter(|mount| mount.point.contains("masu-test")).count())
}
