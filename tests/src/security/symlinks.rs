//! Symbolic links in the root never lead outside.
//! CVE-2019-16884, -19921, -18837, 2023-27561, -28642, 2025-31133, -54867, 2026-41579, -47766, -88264.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::process::{getegid, geteuid};
use serde_json::json;

use crate::harness::config::Config;
use crate::harness::{Bench, Check, Need, Suite, ensure, ensure_eq};

/// A place in the root that becomes a link to a directory of the host, and what the config then asks for there.
struct Place(&'static str, &'static str, fn(&mut Config));

const DIRECTORIES: &[Place] = &[
    Place("proc", "/proc", |_| {}),
    Place("sys", "/sys", |_| {}),
    Place("dev", "/dev", |_| {}),
    Place("dev", "/dev that no file system covers", no_dev),
    Place("mnt", "the target of a tmpfs", |config| {
        config.mount("/mnt", "tmpfs", "tmpfs", &[]);
    }),
    Place("mnt", "a part of a target that is missing", |config| {
        config.mount("/mnt/a/b", "tmpfs", "tmpfs", &[]);
    }),
    Place("mnt", "the target of a bind mount", |config| {
        config.mount("/mnt", "bind", "/proc", &["rbind"]);
    }),
    Place("mnt", "the parent of a bind-mounted file", |config| {
        config.mount("/mnt/file", "bind", "/etc/passwd", &["bind"]);
    }),
    Place("mnt", "a masked path", |config| {
        config.set("/linux/maskedPaths", json!(["/mnt", "/mnt/secret"]));
    }),
    Place("mnt", "a read-only path", |config| {
        config.set("/linux/readonlyPaths", json!(["/mnt"]));
    }),
    Place("mnt", "the parent of a device", |config| {
        config.set("/linux/devices", json!([{"path": "/mnt/node", "type": "c", "major": 1, "minor": 3}]));
    }),
    Place("mnt", "the working directory's parent", |config| {
        config.writable().set("/process/cwd", "/mnt/new");
    }),
];

fn no_dev(config: &mut Config) {
    config
        .writable()
        .without_mount("/dev")
        .without_mount("/dev/pts")
        .without_mount("/dev/shm")
        .without_mount("/dev/mqueue");
}

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    for Place(link, what, edit) in DIRECTORIES {
        for relative in [false, true] {
            let kind = if relative { "relative" } else { "absolute" };
            suite.case(format!("{what} as an {kind} link leaves the host's directory alone"), move |bench| {
                directory(bench, link, relative, *edit)
            });
        }
    }
    for (name, sentence) in
        [("null", "/dev/null"), ("console", "/dev/console"), ("zero", "/dev/zero"), ("ptmx", "/dev/ptmx")]
    {
        suite.case(format!("{sentence} as a link leaves the host's file alone"), move |bench| {
            device(bench, name)
        });
    }
    // An ordinary user has the host's sysfs as a bind mount, which may go wherever the link leads within the root.
    suite
        .case("/proc as a link is refused", |bench| {
            for place in ["proc", "sys"] {
                let bundle = bench.bundle()?;
                fs::create_dir(bundle.inside("other"))?;
                bundle.symlink(place, "/other")?;
                bench.container(bundle)?.run()?.exits_with(1)?;
            }
            Ok(())
        })
        .needs(&[Need::Root]);
    suite.case("a bind mount over /proc is refused", |bench| {
        let source = bench.directory("source")?;
        let output = bench.script("true", |config| {
            config.mount("/proc", "bind", &source.to_string_lossy(), &["rbind"]);
        })?;
        output.fails_with(1, &["/proc"])?;
        Ok(())
    });
    suite.case("a mount below /proc that hides the kernel's files is refused", |bench| {
        for place in ["/proc/sys", "/proc/self/attr", "/proc/1", "/proc/self"] {
            let source = bench.directory("source")?;
            let output = bench.script("true", |config| {
                config.mount(place, "bind", &source.to_string_lossy(), &["rbind"]);
            })?;
            output.exits_with(1)?;
        }
        Ok(())
    });
    suite.case("a /dev/null of the image that is something else is not what masks a path", wrong_null);
    suite.case(
        "a root.path that is a link outside of the bundle is followed only as the bundle's owner wrote it",
        |bench| {
            let bundle = bench.bundle()?;
            let elsewhere = bench.path("elsewhere");
            fs::rename(bundle.inside(""), &elsewhere)?;
            std::os::unix::fs::symlink(&elsewhere, bundle.dir.join("rootfs"))?;
            let mut bundle = bundle;
            bundle.config.shell("ls -d /bin");
            // runc refuses such a root.path since 1.0; a runtime that follows it must be inside of it.
            let output = bench.container(bundle)?.run()?;
            ensure!(output.code == Some(1) || output.text() == "/bin", "{output}");
            Ok(())
        },
    );
}

/// A directory of the host that nobody may touch, and what it looks like.
fn victim(bench: &Bench<'_>) -> Check<PathBuf> {
    let victim = bench.directory("victim")?;
    fs::write(victim.join("secret"), "untouched")?;
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o751))?;
    Ok(victim)
}

fn untouched(victim: &Path) -> Check {
    let names: Vec<_> = fs::read_dir(victim)?.flatten().map(|entry| entry.file_name()).collect();
    ensure_eq!(names, ["secret"]);
    ensure_eq!(fs::read_to_string(victim.join("secret"))?, "untouched");
    let meta = fs::metadata(victim)?;
    let own = (geteuid().as_raw(), getegid().as_raw());
    ensure_eq!((meta.mode() & 0o7777, meta.uid(), meta.gid()), (0o751, own.0, own.1));
    Ok(())
}

fn target(victim: &Path, relative: bool) -> PathBuf {
    let ups = "../".repeat(20);
    if relative {
        PathBuf::from(format!("{ups}{}", victim.display().to_string().trim_start_matches('/')))
    } else {
        victim.to_owned()
    }
}

fn directory(bench: &Bench<'_>, link: &str, relative: bool, edit: fn(&mut Config)) -> Check {
    let victim = victim(bench)?;
    let mut bundle = bench.bundle()?;
    bundle.symlink(link, target(&victim, relative))?;
    bundle.config.shell("echo x > /dev/overwritten; echo x > /mnt/overwritten; cat /mnt/secret; true");
    edit(&mut bundle.config);
    let output = bench.container(bundle)?.run()?;
    ensure!(!output.stdout.contains("untouched"), "the host's secret is seen: {output}");
    untouched(&victim)
}

fn device(bench: &Bench<'_>, name: &str) -> Check {
    let victim = victim(bench)?;
    let mut bundle = bench.bundle()?;
    no_dev(&mut bundle.config);
    bundle.symlink(&format!("dev/{name}"), victim.join("secret"))?;
    bundle.config.shell(&format!("echo overwritten > /dev/{name}; head -c 100 /dev/{name}"));
    let file = fs::metadata(victim.join("secret"))?;
    let output = bench.container(bundle)?.run()?;
    ensure!(!output.stdout.contains("untouched"), "the host's secret is seen: {output}");
    let after = fs::metadata(victim.join("secret"))?;
    ensure_eq!((after.mode(), after.uid(), after.ino()), (file.mode(), file.uid(), file.ino()));
    untouched(&victim)
}

fn wrong_null(bench: &mut Bench<'_>) -> Check {
    for link in ["/etc/decoy", "/proc/sys/kernel/core_pattern"] {
        let mut bundle = bench.bundle()?;
        no_dev(&mut bundle.config);
        bundle.file("etc/decoy", "decoy", 0o666)?;
        bundle.file("etc/secret", "secret", 0o644)?;
        bundle.symlink("dev/null", link)?;
        bundle
            .config
            .set("/linux/maskedPaths", json!(["/etc/secret"]))
            .set("/linux/readonlyPaths", json!([]));
        bundle.config.shell("cat /etc/secret");
        let output = bench.container(bundle)?.run()?;
        ensure_eq!(output.stdout, "", "{link}: {output}");
    }
    Ok(())
}
