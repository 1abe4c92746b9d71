//! `LISTEN_FDS` and `--preserve-fds`: descriptors that the caller hands on.

use crate::harness::{Bench, Check, Suite, ensure, ensure_eq};

/// Prints the descriptors and the variables.
const SHOW: &str = "ls /proc/$$/fd; env | grep ^LISTEN_ | sort; true";

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    suite.case("the sockets of a service manager are handed on, with LISTEN_PID=1", |bench| {
        let text = called(
            bench,
            "exec 3</etc/passwd 4</etc/group 5</etc/hostname",
            "LISTEN_PID=$$ LISTEN_FDS=2",
            "",
        )?;
        ensure_eq!(text, "0 1 2 3 4 LISTEN_FDS=2 LISTEN_PID=1");
        Ok(())
    });
    suite.case("--preserve-fds counts from behind those of LISTEN_FDS", |bench| {
        let open = "exec 3</etc/passwd 4</etc/group 5</etc/hostname 6</etc/shells";
        let text = called(bench, open, "LISTEN_PID=$$ LISTEN_FDS=1", "--preserve-fds 2")?;
        ensure_eq!(text, "0 1 2 3 4 5 LISTEN_FDS=1 LISTEN_PID=1");
        Ok(())
    });
    for variables in [
        "LISTEN_FDS=2",
        "LISTEN_FDS=2 LISTEN_PID=1",
        "LISTEN_PID=$$ LISTEN_FDS=0",
        "LISTEN_PID=$$ LISTEN_FDS=x",
    ] {
        suite.case(
            format!("sockets that are not meant for the runtime are not handed on: {variables}"),
            move |bench| {
                let text = called(bench, "exec 3</etc/passwd 4</etc/group", variables, "")?;
                ensure_eq!(text, "0 1 2");
                Ok(())
            },
        );
    }
    not_open(suite);
    suite.case("exec hands on what --preserve-fds says and no LISTEN_FDS", |bench| {
        let container = bench.sleeper(|_| {})?;
        let script = format!(
            "exec 3</etc/passwd 4</etc/group; LISTEN_PID=$$ LISTEN_FDS=2 exec {} exec --preserve-fds 1 {} sh -c \"$0\"",
            bench.command_line(),
            container.id
        );
        let output = bench.program("sh").args(["-c", &script, SHOW]).succeeds()?;
        ensure_eq!(words(&output.stdout), "0 1 2 3");
        Ok(())
    });
}

fn not_open(suite: &mut Suite) {
    suite.case("a descriptor to preserve that is not open is told by its place", |bench| {
        let bundle = bench.bundle()?;
        let container = bench.container(bundle)?;
        let script = format!(
            "exec 3</etc/passwd; exec {} run --preserve-fds 3 -b {} {}",
            bench.command_line(),
            container.bundle.dir.display(),
            container.id
        );
        let output = bench.program("sh").args(["-c", &script]).output()?.exits_with(1)?;
        ensure!(output.stderr.contains("unable to stat preserved-fd 1 (of 3)"), "{output}");
        ensure_eq!(bench.root.join(&container.id).exists(), false, "its state directory");
        Ok(())
    });
    suite.masu_only("a socket of LISTEN_FDS that is not open is told by its number", |bench| {
        let container = bench.container(bench.bundle()?)?;
        let script = format!(
            "exec 3</etc/passwd; LISTEN_PID=$$ LISTEN_FDS=2 exec {} run -b {} {}",
            bench.command_line(),
            container.bundle.dir.display(),
            container.id
        );
        let output = bench.program("sh").args(["-c", &script]).output()?.exits_with(1)?;
        ensure_eq!(output.stderr, "masu: LISTEN_FDS=2: descriptor 4 is not open\n");
        Ok(())
    });
}

/// Runs a container by a shell that opens descriptors first; what the container shows.
fn called(bench: &Bench<'_>, open: &str, variables: &str, options: &str) -> Check<String> {
    let mut bundle = bench.bundle()?;
    bundle.config.shell(SHOW);
    let container = bench.container(bundle)?;
    let script = format!(
        "{open}; {variables} exec {} run {options} -b {} {}",
        bench.command_line(),
        container.bundle.dir.display(),
        container.id
    );
    Ok(words(&bench.program("sh").args(["-c", &script]).succeeds()?.stdout))
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
