//! Hooks that fail: what is said, and that nothing of the container is left.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::{hook, says, shared, shell, text, written};
use crate::harness::command::Output;
use crate::harness::{Bench, Check, Suite, ensure, ensure_eq};

/// The kinds whose failure ends the container.
const FATAL: [&str; 5] = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart"];

/// Adds the cases.
pub(super) fn add(suite: &mut Suite) {
    for kind in FATAL {
        suite.case(format!("a {kind} hook that fails ends the container"), move |bench| ends(bench, kind));
    }
    statuses(suite);
    programs(suite);
    timeouts(suite);
    starts(suite);
    poststop(suite);
}

/// Exit status 1; runc's is sometimes that of its init.
fn failed(bench: &Bench<'_>, output: &Output) -> Check {
    let own = if bench.runtime().is_masu() { Some(1) } else { output.code.filter(|code| *code != 0) };
    ensure!(output.code.is_some() && output.code == own, "{output}");
    Ok(())
}

fn ends(bench: &Bench<'_>, kind: &str) -> Check {
    let mut bundle = bench.bundle()?;
    let dir = shared(bench, &mut bundle)?;
    let (log, ran) = (dir.join("log"), dir.join("ran"));
    hook(&mut bundle, kind, shell("true"));
    hook(&mut bundle, kind, shell("echo going; echo down >&2; exit 3"));
    hook(&mut bundle, kind, shell(&format!("echo never >> {}", text(&log))));
    hook(&mut bundle, "poststop", shell(&format!("echo poststop >> {}", text(&log))));
    bundle.config.shell(&format!("echo > {}; exec sleep 1000", text(&ran)));
    let output = bench.container(bundle)?.run()?;
    failed(bench, &output)?;
    let exact = format!(
        "masu: hooks.{kind}[1]: error running {kind} hook #1: /bin/sh: exited with status 3: going; down"
    );
    says(bench, &output, "down", &exact)?;
    ensure_eq!(written(&log)?, "poststop");
    ensure!(kind == "poststart" || !ran.exists(), "the program ran");
    ensure_eq!(fs::read_dir(&bench.root)?.count(), 0, "state was left");
    Ok(())
}

/// Runs a container with this hook, which fails with these words.
fn refused(bench: &Bench<'_>, kind: &str, wrong: Value, phrase: &str, exact: &str) -> Check {
    let mut bundle = bench.bundle()?;
    hook(&mut bundle, kind, wrong);
    bundle.config.args(&["true"]);
    let output = bench.container(bundle)?.run()?;
    failed(bench, &output)?;
    says(bench, &output, phrase, &format!("masu: hooks.{kind}[0]: error running {kind} hook #0: {exact}"))?;
    ensure_eq!(fs::read_dir(&bench.root)?.count(), 0, "state was left");
    Ok(())
}

fn statuses(suite: &mut Suite) {
    suite.case("the signal that ended a hook is named", |bench| {
        for kind in ["createRuntime", "createContainer", "startContainer"] {
            refused(bench, kind, shell("kill -SEGV $$"), "signal", "/bin/sh: was killed by signal 11")?;
        }
        Ok(())
    });
    suite.case("of a hook that says much the end is told", |bench| {
        let script = "head -c 3000000 /dev/zero | tr '\\0' x; echo the end; exit 1";
        for kind in ["createRuntime", "createContainer", "startContainer"] {
            let exact = format!("/bin/sh: exited with status 1: … {}the end", "x".repeat(1016));
            refused(bench, kind, shell(script), "the end", &exact)?;
        }
        Ok(())
    });
    suite.masu_only("what a hook says steers no terminal", |bench| {
        let script = "printf '\\033[2Jone\\r\\n\\nhint: two\\a\\n' >&2; exit 1";
        let exact = "/bin/sh: exited with status 1: \u{fffd}[2Jone; hint: two\u{fffd}";
        refused(bench, "createRuntime", shell(script), "one", exact)
    });
}

const MISSING_HOST: &str =
    "hint: the program is looked up on the host; it, or the interpreter of the script, is missing there";
const MISSING_CONTAINER: &str =
    "hint: the program is looked up in the container; it, or the interpreter of the script, is missing there";
const NOT_EXECUTABLE: &str = "hint: the file, or a directory above it, is not executable for the user that runs it; or it is mounted noexec";

fn programs(suite: &mut Suite) {
    for kind in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart"] {
        suite.case(format!("a {kind} hook whose program is missing"), move |bench| {
            let hint = if kind == "startContainer" { MISSING_CONTAINER } else { MISSING_HOST };
            let exact = format!("/no/such: execve: no such file or directory (ENOENT)\n{hint}");
            refused(bench, kind, json!({"path": "/no/such"}), "no such file or directory", &exact)
        });
        suite.case(format!("a {kind} hook whose program is not executable"), move |bench| {
            let exact = format!("/etc/passwd: execve: permission denied (EACCES)\n{NOT_EXECUTABLE}");
            refused(bench, kind, json!({"path": "/etc/passwd"}), "permission denied", &exact)
        });
    }
    suite.case("a hook that is a directory", |bench| {
        let exact = format!("/etc: execve: permission denied (EACCES)\n{NOT_EXECUTABLE}");
        refused(bench, "createRuntime", json!({"path": "/etc"}), "permission denied", &exact)
    });
    suite.case("a hook that is a script without its interpreter's name", |bench| {
        let script = bench.path("script");
        fs::write(&script, "true\n")?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
        let exact = format!(
            "{}: execve: exec format error (ENOEXEC)\nhint: not a program of this machine's architecture; a script \
             begins with #! and its interpreter",
            text(&script)
        );
        refused(bench, "createContainer", json!({"path": text(&script)}), "exec format error", &exact)
    });
}

fn timeouts(suite: &mut Suite) {
    for kind in ["prestart", "createContainer", "startContainer", "poststart"] {
        suite.case(format!("a {kind} hook is killed at its timeout"), move |bench| {
            let mut slow = shell("trap '' TERM; echo waiting; sleep 1000 & wait; sleep 1000");
            // A process of its own goes on, as after any kill; here it has nothing to do with the container.
            slow["args"][2] =
                "trap '' TERM INT; echo waiting; while :; do read line; done < /dev/zero".into();
            slow["timeout"] = 1.into();
            let exact = "/bin/sh: ran past its timeout of 1 s and was killed: waiting\n\
                         hint: timeout is in seconds, and may be left out";
            refused(bench, kind, slow, "timeout", exact)
        });
    }
    suite.case("a hook that is faster than its timeout is no failure", |bench| {
        let mut quick = shell("sleep 0.05");
        quick["timeout"] = 1000.into();
        bench.inside("true", |config| {
            for kind in super::KINDS.into_iter().filter(|kind| *kind != "startContainer") {
                config.push(&format!("/hooks/{kind}"), quick.clone());
            }
        })?;
        Ok(())
    });
}

fn starts(suite: &mut Suite) {
    for (kind, script) in [("startContainer", "echo broken; exit 4"), ("poststart", "echo broken; exit 4")] {
        suite.case(
            format!("`start` fails when a {kind} hook does, and the container has stopped"),
            move |bench| {
                let mut bundle = bench.bundle()?;
                let out = bench.path("out");
                hook(&mut bundle, kind, shell(script));
                hook(&mut bundle, "poststop", shell(&format!("echo gone > {}", text(&out))));
                let container = bench.container(bundle)?;
                container.create()?;
                let output = container.call("start").output()?;
                ensure_eq!(output.code, Some(1), "{output}");
                let exact = format!("masu: hooks.{kind}[0]: error running {kind} hook #0: /bin/sh: exited with status 4: broken");
                says(bench, &output, "broken", &exact)?;
                container.until_status("stopped")?;
                container.delete()?;
                ensure_eq!(written(&out)?, "gone");
                Ok(())
            },
        );
    }
    suite.masu_only("`start` tells why the program of a container with hooks could not be executed", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.file("script", "#!/no/such\n", 0o755)?;
        hook(&mut bundle, "startContainer", shell("true"));
        bundle.config.args(&["/script"]);
        let container = bench.container(bundle)?;
        container.create()?;
        let output = container.call("start").output()?.exits_with(1)?;
        let exact = "masu: process.args: exec \"/script\": execve: no such file or directory (ENOENT)\n\
                     hint: the interpreter of the script, or the program's dynamic loader, is missing in the container";
        ensure_eq!(output.stderr.trim_end(), exact);
        Ok(())
    });
    suite.masu_only("`start` tells that the container was killed while its hooks ran", |bench| {
        let mut bundle = bench.bundle()?;
        let dir = shared(bench, &mut bundle)?;
        hook(
            &mut bundle,
            "startContainer",
            shell(&format!("echo > {}; sleep 1000", text(&dir.join("runs")))),
        );
        let container = bench.container(bundle)?;
        container.create()?;
        let start = container.call("start").spawn()?;
        crate::harness::host::until("the hook", || Ok(dir.join("runs").exists()))?;
        container.kill("KILL")?;
        let output = start.wait()?.exits_with(1)?;
        let exact =
            "masu: the container's init ended before it was ready: it was killed before its program began";
        ensure_eq!(output.stderr.trim_end(), exact);
        Ok(())
    });
}

fn poststop(suite: &mut Suite) {
    suite.case("a poststop hook that fails is a warning, and the others run", |bench| {
        let mut bundle = bench.bundle()?;
        let out = bench.path("out");
        hook(&mut bundle, "poststop", shell("echo broken >&2; exit 5"));
        hook(&mut bundle, "poststop", json!({"path": "/no/such"}));
        hook(&mut bundle, "poststop", shell(&format!("echo last > {}", text(&out))));
        let container = bench.container(bundle)?;
        container.create()?;
        let output = container.call("delete").arg("--force").output()?.exits_with(0)?;
        ensure!(
            output.stderr.contains(
                "hooks.poststop[0]: error running poststop hook #0: /bin/sh: exited with status 5: broken"
            ),
            "{output}"
        );
        ensure!(
            output.stderr.contains(
                "hooks.poststop[1]: error running poststop hook #1: /no/such: execve: no such file"
            ),
            "{output}"
        );
        ensure_eq!(written(&out)?, "last");
        ensure_eq!(fs::read_dir(&bench.root)?.count(), 0, "state was left");
        Ok(())
    });
}
