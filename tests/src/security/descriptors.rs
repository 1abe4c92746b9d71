//! No descriptor of the host reaches the container, and no working directory outside of it: CVE-2024-21626.

use crate::exec::descriptors;
use crate::harness::{Bench, Check, Need, Suite, ensure, ensure_eq};

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    suite.case("the descriptors of the caller do not reach a container of `run`", |bench| {
        let container = bench.container(bench.bundle()?)?;
        let script = format!(
            "exec 3</ 4</etc/passwd 5</proc 7</sys/fs/cgroup 9</dev; exec {} run -d --bundle {} {}",
            bench.command_line(),
            container.bundle.dir.display(),
            container.id
        );
        bench.program("sh").args(["-c", &script]).succeeds()?;
        ensure_eq!(descriptors(container.pid_of_program()?)?, [0, 1, 2]);
        Ok(())
    });
    suite
        .case("a created container holds no file or directory of the host but the one it waits on", |bench| {
            let container = bench.container(bench.bundle()?)?;
            container.create()?;
            let pid = container.pid()?;
            for number in descriptors(pid)?.into_iter().filter(|number| *number > 2) {
                let target = std::fs::read_link(format!("/proc/{pid}/fd/{number}"))?;
                let is_the_gate = target.starts_with(&bench.root);
                ensure!(!target.is_absolute() || is_the_gate, "{number} is {}", target.display());
            }
            Ok(())
        })
        .needs(&[Need::Root]);
    suite.case("inside, `ls -l /proc/self/fd` shows 0, 1, 2 and the listing itself", |bench| {
        let text = bench.inside("ls /proc/self/fd; true", |_| {})?;
        ensure_eq!(text.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3"]);
        Ok(())
    });
    suite.case("`run --preserve-fds N` hands on N descriptors from 3 and no more", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.shell("head -c 5 <&3 > /dev/null && head -c 5 <&4 > /dev/null && ls /proc/$$/fd; true");
        let container = bench.container(bundle)?;
        let script = format!(
            "exec 3</etc/passwd 4</etc/group 5</etc/hostname; exec {} run --preserve-fds 2 --bundle {} {}",
            bench.command_line(),
            container.bundle.dir.display(),
            container.id
        );
        let output = bench.program("sh").args(["-c", &script]).succeeds()?;
        ensure_eq!(output.stdout.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3", "4"]);
        Ok(())
    });
    suite.case("a process.cwd of /proc/self/fd/N is refused for every N", |bench| {
        cwd_of_run(bench, "/proc/self/fd")
    });
    suite.case("a process.cwd that leads to /proc/self/fd/N is refused for every N", |bench| {
        cwd_of_run(bench, "/fd")
    });
    suite.case("`exec --cwd /proc/self/fd/N` is refused for every N", |bench| {
        cwd_of_exec(bench, "/proc/self/fd")
    });
    suite.case("`exec --cwd` of a link to /proc/self/fd/N is refused for every N", |bench| {
        cwd_of_exec(bench, "/fd")
    });
}

/// The numbers that were ever seen to leak, and more.
const NUMBERS: std::ops::RangeInclusive<u32> = 3..=30;

fn cwd_of_run(bench: &Bench<'_>, prefix: &str) -> Check {
    for number in NUMBERS {
        let mut bundle = bench.bundle()?;
        for link in NUMBERS {
            bundle.symlink(&format!("fd{link}"), format!("/proc/self/fd/{link}"))?;
        }
        let separator = if prefix == "/fd" { "" } else { "/" };
        bundle.config.set("/process/cwd", format!("{prefix}{separator}{number}"));
        bundle.config.args(&["sh", "-c", "pwd; ls -ld . ./../.."]);
        let output = bench.container(bundle)?.run()?;
        ensure!(output.code == Some(1) && output.stdout.is_empty(), "{number}: {output}");
    }
    Ok(())
}

fn cwd_of_exec(bench: &Bench<'_>, prefix: &str) -> Check {
    let bundle = bench.bundle()?;
    for link in NUMBERS {
        bundle.symlink(&format!("fd{link}"), format!("/proc/self/fd/{link}"))?;
    }
    let container = bench.container(bundle)?;
    container.run_detached()?;
    for number in NUMBERS {
        let separator = if prefix == "/fd" { "" } else { "/" };
        let cwd = format!("{prefix}{separator}{number}");
        let output =
            container.exec_with(&["--cwd", &cwd], &["sh", "-c", "pwd; ls -ld . ./../.."]).output()?;
        ensure!(output.code == Some(255) && output.stdout.is_empty(), "{number}: {output}");
    }
    Ok(())
}
