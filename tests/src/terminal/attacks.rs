//! What an image can put in the place of a terminal's files: CVE-2025-52565, 2026-88264.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use crate::harness::config::Config;
use crate::harness::terminal::ConsoleSocket;
use crate::harness::{Bench, Check, Need, Suite, ensure, ensure_eq};

/// Leaves `/dev` to the image.
pub(super) fn without_dev(config: &mut Config) {
    config
        .writable()
        .without_mount("/dev")
        .without_mount("/dev/pts")
        .without_mount("/dev/shm")
        .without_mount("/dev/mqueue");
}

/// Whether the container has a devpts over what the image brings.
#[derive(Clone, Copy, PartialEq)]
enum Devpts {
    Mounted,
    Missing,
}

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    let table = [
        ("dev/console", Devpts::Mounted),
        ("dev/console", Devpts::Missing),
        ("dev/ptmx", Devpts::Mounted),
        ("dev/pts/ptmx", Devpts::Missing),
        ("dev/pts/0", Devpts::Missing),
        ("dev/pts", Devpts::Missing),
    ];
    for (path, devpts) in table {
        let kind = if devpts == Devpts::Mounted { "with" } else { "without" };
        suite.case(format!("/{path} as a link {kind} a devpts leaves the host's file alone"), move |bench| {
            link(bench, path, devpts)
        });
    }
    suite.case("/dev/pts as a link to the host's is not where a terminal is made", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.set("/process/terminal", true).shell("exec sleep 1000");
        without_dev(&mut bundle.config);
        bundle.symlink("dev/pts", "/../../../../../../../../dev/pts")?;
        let container = bench.container(bundle)?;
        let socket = ConsoleSocket::listen(bench)?;
        let output =
            container.launch("run", &["--detach", "--console-socket", &socket.argument()]).output()?;
        output.exits_with(1)?;
        Ok(())
    });
    suite
        .case("a file of the image that is called ptmx is not opened", |bench| {
            // Character device 1:5 is /dev/zero: opening it would do no harm here, and tells of one that would.
            for (kind, numbers) in [("c", ["1", "5"]), ("c", ["5", "2"])] {
                let mut bundle = bench.bundle()?;
                bundle.config.set("/process/terminal", true).shell("exec sleep 1000");
                without_dev(&mut bundle.config);
                let directory = bundle.inside("dev/pts");
                fs::create_dir(&directory)?;
                let node = directory.join("ptmx");
                bench.program("mknod").arg(&node).arg(kind).args(numbers).succeeds()?;
                let container = bench.container(bundle)?;
                let socket = ConsoleSocket::listen(bench)?;
                let options = ["--detach", "--console-socket", &socket.argument()];
                container.launch("run", &options).output()?.exits_with(1)?;
            }
            Ok(())
        })
        .needs(&[Need::Root]);
}

/// The file of the host that the link leads to, both as an absolute path and by more `..` than there are.
fn link(bench: &Bench<'_>, path: &str, devpts: Devpts) -> Check {
    let victim = bench.path("victim");
    fs::write(&victim, "untouched")?;
    let before = fs::metadata(&victim)?;
    let relative = format!("{}{}", "../".repeat(20), victim.to_string_lossy().trim_start_matches('/'));
    for target in [victim.to_string_lossy().into_owned(), relative] {
        let mut bundle = bench.bundle()?;
        bundle
            .config
            .set("/process/terminal", true)
            .shell("echo overwritten > /dev/console; exec sleep 1000");
        without_dev(&mut bundle.config);
        if devpts == Devpts::Mounted {
            bundle.config.mount("/dev/pts", "devpts", "devpts", &["newinstance", "ptmxmode=0666"]);
        } else if path.starts_with("dev/pts/") {
            fs::create_dir(bundle.inside("dev/pts"))?;
        }
        bundle.symlink(path, &target)?;
        let container = bench.container(bundle)?;
        let socket = ConsoleSocket::listen(bench)?;
        // Whether it is refused or runs in spite of it: the host's file is as it was.
        let output =
            container.launch("run", &["--detach", "--console-socket", &socket.argument()]).output()?;
        ensure!(matches!(output.code, Some(0 | 1)), "{output}");
        let refused = path == "dev/console" || devpts == Devpts::Missing;
        ensure_eq!(output.code == Some(1), refused, "{output}");
        container.call("delete").arg("--force").output()?;
        let after = fs::metadata(&victim)?;
        ensure_eq!((after.mode(), after.uid(), after.ino()), (before.mode(), before.uid(), before.ino()));
        ensure_eq!(fs::read_to_string(&victim)?, "untouched", "{target}");
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        ensure!(!mounts.contains(&*victim.to_string_lossy()), "a mount on {}", victim.display());
    }
    Ok(())
}
