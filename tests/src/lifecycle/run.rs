//! `run`.

use std::fs;

use crate::harness::{Bench, Check, Need, Suite, ensure, ensure_eq};

/// Adds the cases.
#[expect(clippy::too_many_lines, reason = "a flat list of cases")]
pub(crate) fn add(suite: &mut Suite) {
    for code in [0, 1, 42, 255] {
        suite.case(format!("`run` returns the exit status {code} of the container"), move |bench| {
            bench.script(&format!("exit {code}"), |_| {})?.exits_with(code)?;
            Ok(())
        });
    }
    for (signal, code) in [("TERM", 143), ("KILL", 137), ("SEGV", 139)] {
        suite
            .case(format!("`run` returns {code} for a process that SIG{signal} ended"), move |bench| {
                // PID 1 is immune to signals without a handler from its own namespace: it is sent from the host.
                let container = bench.container({
                    let mut bundle = bench.bundle()?;
                    bundle.config.without_namespace("pid").shell(&format!("kill -{signal} $$"));
                    bundle
                })?;
                container.run()?.exits_with(code)?;
                Ok(())
            })
            .needs(&[Need::Root]);
    }
    suite.case("`run` passes standard output and standard error through, apart", |bench| {
        let output = bench.script("echo out; echo err >&2", |_| {})?.exits_with(0)?;
        ensure_eq!((output.stdout.as_str(), output.stderr.as_str()), ("out\n", "err\n"));
        Ok(())
    });
    suite.case("`run` in the foreground deletes the container at its end", |bench| {
        let output = bench.script("true", |_| {})?.exits_with(0)?;
        ensure_eq!(output.stderr, "");
        ensure_eq!(fs::read_dir(&bench.root)?.count(), 0);
        Ok(())
    });
    suite.case("`run --keep` leaves a stopped container", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.shell("exit 3");
        let container = bench.container(bundle)?;
        container.launch("run", &["--keep"]).output()?.exits_with(3)?;
        ensure_eq!(container.status()?, "stopped");
        ensure_eq!(container.state()?["pid"], 0);
        container.delete()
    });
    suite.case("`run -d` returns while the container runs", |bench| {
        let container = bench.container(bench.bundle()?)?;
        let output = container.launch("run", &["-d"]).succeeds()?;
        ensure_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
        ensure_eq!(container.status()?, "running");
        Ok(())
    });
    suite.case("`run -d` writes the pid file", |bench| {
        let container = bench.container(bench.bundle()?)?;
        let file = bench.path("pid");
        let file = file.to_string_lossy();
        container.launch("run", &["-d", "--pid-file", &file]).succeeds()?;
        ensure_eq!(fs::read_to_string(&*file)?, container.pid()?.to_string());
        Ok(())
    });
    suite.case("a detached container that ends by itself is stopped, not deleted", |bench| {
        let container = bench.sleeper(|config| {
            config.args(&["true"]);
        })?;
        container.until_status("stopped")?;
        container.delete()
    });
    suite.case("`run -d` of a program that is not there fails and leaves nothing", failed_run_leaves_nothing);
}

fn failed_run_leaves_nothing(bench: &mut Bench<'_>) -> Check {
    let mut bundle = bench.bundle()?;
    bundle.config.args(&["no-such-program"]);
    let container = bench.container(bundle)?;
    container.launch("run", &["-d"]).output()?.exits_with(1)?;
    ensure_eq!(fs::read_dir(&bench.root)?.count(), 0);
    let leaks = bench.leaks()?;
    ensure!(leaks.is_empty(), "{leaks:?}");
    Ok(())
}
