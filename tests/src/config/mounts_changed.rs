//! `tmpcopyup`, which fills a new mount, and `remount`, which changes one that is there.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

use crate::harness::mountinfo::mount_at;
use crate::harness::{Bundle, Check, Need, Suite, ensure, ensure_eq};

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    copies(suite);
    roots_of_copies(suite);
    bounds(suite);
    changes(suite);
    wrong(suite);
}

/// A directory of every kind of file, at /opt.
fn fill(bundle: &Bundle) -> Check {
    let opt = bundle.inside("opt");
    fs::create_dir_all(opt.join("deep/deeper"))?;
    fs::write(opt.join("deep/deeper/file"), "x".repeat(100_000))?;
    fs::write(opt.join("empty"), "")?;
    fs::write(opt.join("program"), "#!/bin/sh\necho runs\n")?;
    symlink("/etc/passwd", opt.join("absolute"))?;
    symlink("../no/such", opt.join("dangling"))?;
    chown(opt.join("deep"), Some(1000), Some(1001))?;
    chown(opt.join("program"), Some(7), Some(8))?;
    for (path, mode) in [("deep", 0o1777), ("deep/deeper", 0o700), ("empty", 0o000), ("program", 0o4755)] {
        fs::set_permissions(opt.join(path), fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

const LIST: &str =
    "cd /opt && find . ! -name . | sort | xargs stat -c '%n %F %a %u:%g %N'; md5sum deep/deeper/file";

fn copies(suite: &mut Suite) {
    suite
        .case("tmpcopyup copies types, contents, owners and permissions", |bench| {
            let mut lists = Vec::new();
            for copied in [false, true] {
                let mut bundle = bench.bundle()?;
                fill(&bundle)?;
                if copied {
                    bundle.config.mount("/opt", "tmpfs", "tmpfs", &["tmpcopyup"]);
                }
                bundle.config.shell(LIST);
                lists.push(bench.container(bundle)?.run()?.exits_with(0)?.stdout);
            }
            ensure_eq!(lists[1], lists[0]);
            ensure!(lists[0].contains("./program regular file 4755 7:8"), "{}", lists[0]);
            Ok(())
        })
        .needs(&[Need::Root]);
    suite.case("what is written into a copy stays there", |bench| {
        let mut bundle = bench.bundle()?;
        fs::write(bundle.inside("opt/file"), "old")?;
        bundle.config.mount("/opt", "tmpfs", "tmpfs", &["tmpcopyup"]);
        bundle.config.shell("cat /opt/file; echo new > /opt/file; rm /opt/file; echo > /opt/other");
        let container = bench.container(bundle)?;
        ensure_eq!(container.run()?.exits_with(0)?.text(), "old");
        ensure_eq!(fs::read_to_string(container.bundle.inside("opt/file"))?, "old");
        ensure!(!container.bundle.inside("opt/other").exists(), "the image was written to");
        Ok(())
    });
}

fn roots_of_copies(suite: &mut Suite) {
    suite.case("a copy has the permissions of its directory", |bench| {
        let mut bundle = bench.bundle()?;
        fs::set_permissions(bundle.inside("opt"), fs::Permissions::from_mode(0o750))?;
        bundle.config.mount("/opt", "tmpfs", "tmpfs", &["tmpcopyup"]).shell("stat -c %a /opt");
        ensure_eq!(bench.container(bundle)?.run()?.exits_with(0)?.text(), "750");
        Ok(())
    });
    suite.case("the mode of the options is that of the copy", |bench| {
        let mut bundle = bench.bundle()?;
        fs::write(bundle.inside("opt/file"), "x")?;
        let options = ["tmpcopyup", "mode=711"];
        bundle.config.mount("/opt", "tmpfs", "tmpfs", &options).shell("stat -c %a /opt; ls /opt");
        ensure_eq!(bench.container(bundle)?.run()?.exits_with(0)?.text(), "711\nfile");
        Ok(())
    });
    suite.case("a read-only copy is filled and closed", |bench| {
        let mut bundle = bench.bundle()?;
        fs::write(bundle.inside("opt/file"), "x")?;
        bundle.config.mount("/opt", "tmpfs", "tmpfs", &["tmpcopyup", "ro", "nosuid"]);
        bundle.config.shell("cat /opt/file; cat /proc/self/mountinfo; echo > /opt/y");
        let output = bench.container(bundle)?.run()?.exits_with(1)?;
        ensure!(output.stderr.contains("Read-only file system"), "{output}");
        let mount = mount_at(output.stdout.trim_start_matches('x'), "/opt")?;
        ensure!(mount.has("ro") && mount.has("nosuid"), "{mount:?}");
        Ok(())
    });
    suite.case("tmpcopyup of a directory that is missing makes an empty one", |bench| {
        ensure_eq!(
            bench.inside("ls /new/place; stat -f -c %T /new/place", |config| {
                config.mount("/new/place", "tmpfs", "tmpfs", &["tmpcopyup"]);
            })?,
            "tmpfs"
        );
        Ok(())
    });
    suite
        .case("tmpcopyup works in a user namespace", |bench| {
            let mut bundle = bench.bundle()?;
            fs::write(bundle.inside("opt/file"), "x")?;
            for path in ["opt", "opt/file"] {
                chown(bundle.inside(path), Some(100_000), Some(101_000))?;
            }
            bundle.config.user_namespace().mount("/opt", "tmpfs", "tmpfs", &["tmpcopyup"]);
            bundle.config.shell("stat -c '%n %u:%g' /opt/file");
            ensure_eq!(bench.container(bundle)?.run()?.exits_with(0)?.text(), "/opt/file 0:1000");
            Ok(())
        })
        .needs(&[Need::Root]);
}

fn bounds(suite: &mut Suite) {
    suite.case("tmpcopyup follows no link out of the root", |bench| {
        let mut bundle = bench.bundle()?;
        let secret = bench.path("secret");
        fs::write(&secret, "of the host")?;
        symlink(&secret, bundle.inside("opt/link"))?;
        bundle
            .config
            .mount("/opt", "tmpfs", "tmpfs", &["tmpcopyup"])
            .shell("readlink /opt/link; cat /opt/link");
        let output = bench.container(bundle)?.run()?.exits_with(1)?;
        ensure_eq!(output.text(), secret.to_string_lossy());
        Ok(())
    });
    suite.masu_only("a copy that the tmpfs has no room for is refused", |bench| {
        let mut bundle = bench.bundle()?;
        fs::write(bundle.inside("opt/large"), vec![b'x'; 200_000])?;
        bundle.config.mount("/opt", "tmpfs", "tmpfs", &["tmpcopyup", "size=64k"]).args(&["true"]);
        let output = bench.container(bundle)?.run()?.exits_with(1)?;
        let exact = "masu: mounts[7]: mount a copy on \"/opt\": write: no space left on device (ENOSPC)\n\
                     hint: the tmpfs is too small for the copy that tmpcopyup makes; its option is size=";
        ensure_eq!(output.stderr.trim_end(), exact);
        Ok(())
    });
    suite.masu_only("a directory that is nested too deep for a copy is refused", |bench| {
        let mut bundle = bench.bundle()?;
        let mut path = bundle.inside("opt");
        for _ in 0..201 {
            path.push("d");
        }
        fs::create_dir_all(&path)?;
        bundle.config.mount("/opt", "tmpfs", "tmpfs", &["tmpcopyup"]).args(&["true"]);
        let output = bench.container(bundle)?.run()?.exits_with(1)?;
        let exact = "masu: mounts[7]: mount a copy on \"/opt\": read: file name too long (ENAMETOOLONG)";
        ensure_eq!(output.stderr.trim_end(), exact);
        Ok(())
    });
}

fn changes(suite: &mut Suite) {
    suite.case("a bind with remount makes a mount that is there read-only", |bench| {
        let text = bench.inside("cat /proc/self/mountinfo", |config| {
            config.mount("/mnt", "tmpfs", "mine", &["nodev"]);
            config.mount("/mnt", "none", "/tmp", &["bind", "remount", "ro", "nodev"]);
        })?;
        let mount = mount_at(&text, "/mnt")?;
        ensure!(mount.has("ro") && mount.has("nodev"), "{mount:?}");
        ensure_eq!(mount.kind, "tmpfs");
        ensure_eq!(text.lines().filter(|line| line.contains(" /mnt ")).count(), 1, "{text}");
        Ok(())
    });
    suite.case("remount changes the parameters of a file system", |bench| {
        let text = bench.inside("grep ' /mnt ' /proc/mounts", |config| {
            config.mount("/mnt", "tmpfs", "mine", &["size=64k"]);
            config.mount("/mnt", "tmpfs", "mine", &["remount", "size=128k"]);
        })?;
        ensure!(text.contains("size=128k") && text.lines().count() == 1, "{text}");
        Ok(())
    });
    suite.masu_only("remount keeps the attributes that it does not name", |bench| {
        let text = bench.inside("cat /proc/self/mountinfo", |config| {
            config.mount("/mnt", "tmpfs", "mine", &["nosuid", "noexec"]);
            config.mount("/mnt", "none", "/tmp", &["bind", "remount", "exec"]);
        })?;
        let mount = mount_at(&text, "/mnt")?;
        ensure!(mount.has("nosuid") && !mount.has("noexec"), "{mount:?}");
        Ok(())
    });
    suite.case("remount of what is no mount is refused", |bench| {
        for options in [&["remount", "bind", "ro"][..], &["remount", "ro", "size=1m"]] {
            let output = bench.script("true", |config| {
                config.mount("/mnt", "tmpfs", "/tmp", options);
            })?;
            output.fails_with(1, &["/mnt"])?;
        }
        Ok(())
    });
}

fn wrong(suite: &mut Suite) {
    suite.masu_only("tmpcopyup and remount are refused where they mean nothing", |bench| {
        let table: [(&str, &str, &[&str], &str); 4] = [
            (
                "/mnt",
                "proc",
                &["tmpcopyup"],
                "masu: mounts[7]: the option tmpcopyup is for a mount of type tmpfs alone",
            ),
            (
                "/mnt",
                "none",
                &["bind", "tmpcopyup"],
                "masu: mounts[7]: the option tmpcopyup is for a mount of type tmpfs alone",
            ),
            (
                "/mnt",
                "tmpfs",
                &["remount", "tmpcopyup"],
                "masu: mounts[7]: the options tmpcopyup and remount exclude each other",
            ),
            (
                "/mnt",
                "tmpfs",
                &["remount", "ro"],
                "masu: mounts[7]: change the mount at \"/mnt\": mount_setattr: invalid argument (EINVAL)\n\
                 hint: remount changes what is mounted at the destination already; nothing is mounted there",
            ),
        ];
        for (point, kind, options, exact) in table {
            let output = bench.script("true", |config| {
                config.mount(point, kind, "/tmp", options);
            })?;
            ensure_eq!(output.exits_with(1)?.stderr.trim_end(), exact);
        }
        Ok(())
    });
}
