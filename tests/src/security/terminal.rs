//! The caller's terminal is not the container's: what a container could type into it, the caller's shell would run.
//! CVE-2017-5226 (bubblewrap), ioctl_tty(2) under TIOCSTI.

use rustix::process::{Pid, getsid};

use crate::harness::config::Config;
use crate::harness::{Bench, Check, Need, Suite, ensure, ensure_eq, host};

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    suite.case("a container leads a session of its own", |bench| leads_its_session(bench, |_| {}));
    suite
        .case("a container with a user namespace leads a session of its own", |bench| {
            leads_its_session(bench, |config| {
                config.user_namespace();
            })
        })
        .needs(&[Need::Ids]);
    suite.case("a process of `exec` leads a session of its own", |bench| {
        let container = bench.sleeper(|_| {})?;
        let file = bench.path("pid");
        let option = ["--detach", "--pid-file", &file.to_string_lossy()];
        container.exec_with(&option, &["sleep", "1001"]).succeeds()?;
        let pid = host::read_trimmed(&file)?.parse()?;
        ensure_eq!(session_of(pid)?, pid);
        Ok(())
    });
    suite.case("a container run on a terminal cannot open it as /dev/tty", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.shell("test -c /dev/tty && echo it is there; : < /dev/tty");
        let container = bench.container(bundle)?;
        let run = format!(
            "{} run --bundle {} {}",
            bench.command_line(),
            container.bundle.dir.display(),
            container.id
        );
        // script(1) gives the runtime a controlling terminal, as a person's shell does.
        let output = bench.program("script").args(["-qec", &run, "/dev/null"]).output()?;
        ensure!(output.stdout.contains("it is there"), "{output}");
        ensure!(output.stdout.contains("can't open /dev/tty: No such device or address"), "{output}");
        Ok(())
    });
}

fn leads_its_session(bench: &Bench<'_>, edit: impl FnOnce(&mut Config)) -> Check {
    let mut bundle = bench.bundle()?;
    edit(&mut bundle.config);
    let container = bench.container(bundle)?;
    container.create()?;
    let pid = container.pid()?;
    ensure_eq!(session_of(pid)?, pid);
    container.start()?;
    ensure_eq!(session_of(container.pid_of_program()?)?, pid);
    Ok(())
}

fn session_of(pid: i32) -> Check<i32> {
    let session = getsid(Pid::from_raw(pid))?;
    Ok(session.as_raw_nonzero().get())
}
