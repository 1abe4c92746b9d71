//! The runtime's own file cannot be overwritten from inside: CVE-2019-5736.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;

use crate::harness::{Bench, Check, Need, Suite, ensure, ensure_eq};

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    suite.masu_only("where no memfd may be executed, the process comes from a read-only mount", |bench| {
        let mut bundle = bench.bundle()?;
        // On a kernel before 6.3 there is no such rule, and this a plain run.
        bundle.config.shell("echo ran");
        let container = bench.container(bundle)?;
        let (line, id, dir) = (bench.command_line(), &container.id, container.bundle.dir.display().to_string());
        let script = format!(
            "f=/proc/sys/vm/memfd_noexec; [ ! -e $f ] || echo 2 > $f; {line} create -b {dir} {id} >/dev/null && \
             p=$({line} state {id} | sed -n 's/.*\"pid\": \\([0-9]*\\).*/\\1/p') && \
             {{ (echo x > /proc/$p/exe) 2>/dev/null && echo written; {line} delete {id}; }}; {line} run -b {dir} {id}"
        );
        let program = bench.program("unshare").args(["-pf", "--mount-proc", "sh", "-c", &script]);
        ensure_eq!(program.succeeds()?.stdout, "ran\n");
        Ok(())
    })
    .needs(&[Need::Root]);
    suite.case("an entry point `#!/proc/self/exe` does not reach the runtime's file", entry_point);
    suite.case(
        "an entry point that is a link to /proc/self/exe does not reach the runtime's file",
        |bench| {
            let (copy, before) = copy_runtime(bench)?;
            let mut bundle = bench.bundle()?;
            bundle.symlink("opt/entry", "/proc/self/exe")?;
            bundle.config.args(&["/opt/entry"]);
            bench.container(bundle)?.run()?;
            unchanged(&copy, &before)
        },
    );
    suite.case(
        "a container that opens every /proc/PID/exe during `exec` does not reach the runtime's file",
        during_exec,
    );
    suite
        .case("the process of a created container is not the runtime's file", |bench| {
            let container = bench.container(bench.bundle()?)?;
            container.create()?;
            let program = fs::metadata(format!("/proc/{}/exe", container.pid()?))?;
            let runtime = fs::metadata(&bench.runtime().path)?;
            ensure!(
                (program.dev(), program.ino()) != (runtime.dev(), runtime.ino()),
                "it is the runtime's own file"
            );
            Ok(())
        })
        .needs(&[Need::Root]);
}

/// A copy that may come to harm, used as the runtime from now on.
fn copy_runtime(bench: &mut Bench<'_>) -> Check<(PathBuf, Vec<u8>)> {
    let copy = bench.directory("program")?.join(&bench.runtime().name);
    fs::copy(&bench.runtime().path, &copy)?;
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755))?;
    bench.use_program(&copy);
    let bytes = fs::read(&copy)?;
    Ok((copy, bytes))
}

fn unchanged(copy: &PathBuf, before: &[u8]) -> Check {
    ensure!(fs::read(copy)? == before, "{} was overwritten", copy.display());
    Ok(())
}

/// Holds on to the program of every process it sees, and writes to it once that process may have gone.
const GRAB: &str = "while :; do for p in /proc/[0-9]*; do
    case $p in /proc/1|/proc/$$) continue;; esac
    ( exec 3< $p/exe || exit; echo $p >> /run/seen; i=0
      while [ $i -lt 40 ]; do echo overwritten >> /proc/self/fd/3; echo overwritten >> $p/exe; i=$((i+1)); done ) 2> /dev/null
    done; done";

fn entry_point(bench: &mut Bench<'_>) -> Check {
    let (copy, before) = copy_runtime(bench)?;
    let mut bundle = bench.bundle()?;
    bundle.file("opt/entry", "#!/proc/self/exe\n", 0o755)?;
    bundle.config.args(&["/opt/entry"]);
    let container = bench.container(bundle)?;
    container.run()?;
    unchanged(&copy, &before)
}

fn during_exec(bench: &mut Bench<'_>) -> Check {
    let (copy, before) = copy_runtime(bench)?;
    let mut bundle = bench.bundle()?;
    bundle.file("opt/entry", "#!/proc/self/exe\n", 0o755)?;
    bundle.config.mount("/run", "tmpfs", "tmpfs", &[]).capabilities(&["CAP_DAC_OVERRIDE", "CAP_SYS_PTRACE"]);
    bundle.config.shell(GRAB);
    let container = bench.container(bundle)?;
    container.run_detached()?;
    for _ in 0..15 {
        for program in ["/bin/true", "/proc/self/exe", "/opt/entry"] {
            container.exec_with(&[], &[program]).output()?;
        }
    }
    unchanged(&copy, &before)?;
    ensure_eq!(container.status()?, "running", "the attacker has stopped");
    Ok(())
}
