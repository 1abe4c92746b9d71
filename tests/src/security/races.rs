//! A mount target that is exchanged for a link while the container is made: CVE-2021-30465, -2024-45310.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::harness::mountinfo::parse_mountinfo;
use crate::harness::{Bench, Check, Suite, ensure, ensure_eq};

/// How long a race is run.
const BOUND: Duration = Duration::from_secs(5);

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    suite.case("a mount target exchanged for a link all the time never leads outside", |bench| {
        race(bench, "/vol/a", "tmpfs", "race")
    });
    suite.case("a missing mount target below an exchanged link is never made outside", |bench| {
        race(bench, "/vol/a/new/deep", "tmpfs", "race")
    });
    suite.case("a bind-mounted file below an exchanged link never makes a file outside", |bench| {
        let file = bench.path("file");
        fs::write(&file, "")?;
        race(bench, "/vol/a/new-file", "bind", &file.to_string_lossy())
    });
}

fn race(bench: &Bench<'_>, destination: &str, kind: &str, source: &str) -> Check {
    let volume = bench.directory("volume")?;
    let victim = bench.directory("victim")?;
    fs::create_dir(volume.join("a"))?;
    std::os::unix::fs::symlink(&victim, volume.join("b"))?;
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| exchange(&volume, &over));
        let result = starts(bench, &volume, destination, kind, source);
        over.store(true, Ordering::Relaxed);
        result
    })?;
    ensure_eq!(fs::read_dir(&victim)?.count(), 0, "something was made outside");
    Ok(())
}

fn exchange(volume: &Path, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        renameat_with(CWD, volume.join("a"), CWD, volume.join("b"), RenameFlags::EXCHANGE).ok(); // ignored: next round
    }
}

fn starts(bench: &Bench<'_>, volume: &Path, destination: &str, kind: &str, source: &str) -> Check {
    let start = Instant::now();
    let mut bundle = bench.bundle()?;
    let options: &[&str] = if kind == "bind" { &["bind"] } else { &[] };
    bundle.config.mount("/vol", "bind", &volume.to_string_lossy(), &["rbind"]);
    bundle.config.mount(destination, kind, source, options).args(&["cat", "/proc/self/mountinfo"]);
    let container = bench.container(bundle)?;
    while start.elapsed() < BOUND {
        let output = container.run()?;
        ensure!(matches!(output.code, Some(0 | 1)), "{output}");
        for mount in parse_mountinfo(&output.stdout) {
            let inside =
                mount.source != "race" || mount.point.starts_with("/vol/") || mount.point.contains("victim");
            ensure!(inside, "the mount went to {}: {output}", mount.point);
        }
    }
    Ok(())
}
