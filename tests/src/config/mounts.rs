//! mounts: each type and each option, seen in /proc/self/mountinfo inside.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use crate::harness::mountinfo::{Mount, mount_at};
use crate::harness::{Bench, Check, Failure, Need, Suite, ensure, ensure_eq};

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    types(suite);
    options(suite);
    binds(suite);
    propagation(suite);
    recursive(suite);
}

/// The mount at `point` in a container with one more mount there.
fn mounted(bench: &Bench<'_>, point: &str, kind: &str, source: &str, options: &[&str]) -> Check<Mount> {
    let text = bench.inside("cat /proc/self/mountinfo", |config| {
        config.mount(point, kind, source, options);
    })?;
    mount_at(&text, point)
}

#[expect(clippy::too_many_lines, reason = "a flat list of cases")]
fn types(suite: &mut Suite) {
    for (point, kind) in [
        ("/proc", "proc"),
        ("/dev", "tmpfs"),
        ("/dev/pts", "devpts"),
        ("/dev/shm", "tmpfs"),
        ("/dev/mqueue", "mqueue"),
        ("/sys", "sysfs"),
    ] {
        suite.case(format!("{point} is a {kind} with the options of the default config"), move |bench| {
            let mounts = bench.world.default_config["mounts"].as_array().cloned().unwrap_or_default();
            let wanted = mounts.iter().find(|mount| mount["destination"] == point);
            let wanted = wanted.and_then(|mount| mount["options"].as_array()).cloned().unwrap_or_default();
            let mount = mount_at(&bench.inside("cat /proc/self/mountinfo", |_| {})?, point)?;
            ensure_eq!(mount.kind, kind);
            for option in wanted.iter().filter_map(|option| option.as_str()) {
                if ["ro", "nosuid", "noexec", "nodev"].contains(&option) {
                    ensure!(mount.has(option), "no {option} in {mount:?}");
                }
            }
            Ok(())
        });
    }
    suite.case("a tmpfs has its size and mode", |bench| {
        let text = bench.inside("grep ' /var ' /proc/mounts; stat -c %a /var", |config| {
            config.mount("/var", "tmpfs", "mine", &["size=64k", "mode=1700"]);
        })?;
        ensure!(text.starts_with("mine /var tmpfs rw,relatime,size=64k,mode=1700"), "{text}");
        ensure!(text.ends_with("\n1700"), "{text}");
        Ok(())
    });
    suite.case("a tmpfs over a directory hides it unless it has tmpcopyup", |bench| {
        let listed = |bench: &Bench<'_>, options: &[&str]| {
            bench.inside("ls /etc", |config| {
                config.mount("/etc", "tmpfs", "tmpfs", options);
            })
        };
        ensure_eq!(listed(bench, &[])?, "");
        ensure_eq!(listed(bench, &["tmpcopyup"])?, "group\npasswd");
        Ok(())
    });
    suite.case("a tmpfs without a mode has that of the directory that it covers", |bench| {
        let mode = |bench: &Bench<'_>, place: &str, options: &[&str]| {
            let mut bundle = bench.bundle()?;
            fs::create_dir(bundle.inside("own"))?;
            fs::set_permissions(bundle.inside("own"), Permissions::from_mode(0o3710))?;
            let command = format!("stat -c '%a %u' {place}; touch {place}/x 2>/dev/null || echo read-only");
            bundle.config.mount(place, "tmpfs", "tmpfs", options).shell(&command);
            Ok::<_, Failure>(bench.container(bundle)?.run()?.exits_with(0)?.text().to_owned())
        };
        ensure_eq!(mode(bench, "/own", &[])?, "3710 0");
        ensure_eq!(mode(bench, "/own", &["ro", "size=1m"])?, "3710 0\nread-only");
        ensure_eq!(mode(bench, "/own", &["mode=0741"])?, "741 0");
        ensure_eq!(mode(bench, "/new", &[])?, "1777 0");
        Ok(())
    });
    suite.case("a mount point that is missing is made", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.mount("/new/point", "tmpfs", "tmpfs", &[]).shell("stat -f -c %T /new/point");
        ensure_eq!(bench.container(bundle)?.run()?.exits_with(0)?.text(), "tmpfs");
        Ok(())
    });
    suite.case("a mount on a link that leads to nothing is made where it would lead", |bench| {
        // As on images whose resolv.conf is systemd's: the link is there, and what it names comes at run time.
        let mut bundle = bench.bundle()?;
        bundle.symlink("etc/resolv.conf", "../run/systemd/resolve/stub.conf")?;
        bundle.symlink("opt/data", "/../var/lib/data")?;
        let file = bundle.dir.join("resolver");
        fs::write(&file, "nameserver 192.0.2.1\n")?;
        let config = &mut bundle.config;
        config.set("/root/readonly", false);
        config.mount("/etc/resolv.conf", "bind", &file.to_string_lossy(), &["bind"]);
        config.mount("/opt/data/below", "tmpfs", "data", &[]);
        config.shell("cat /etc/resolv.conf; readlink /etc/resolv.conf; stat -f -c %T /var/lib/data/below");
        ensure_eq!(
            bench.container(bundle)?.run()?.exits_with(0)?.text(),
            "nameserver 192.0.2.1\n../run/systemd/resolve/stub.conf\ntmpfs"
        );
        Ok(())
    });
    suite.case("a relative destination of a mount starts at the root", |bench| {
        let text = bench.inside("cat /proc/self/mountinfo", |config| {
            config.set("/process/cwd", "/usr").mount("mnt", "tmpfs", "tmpfs", &[]);
        })?;
        ensure_eq!(mount_at(&text, "/mnt")?.kind, "tmpfs");
        Ok(())
    });
    suite.case("mounts are made in their order", |bench| {
        let text = bench.inside("ls /mnt", |config| {
            config.mount("/mnt", "tmpfs", "tmpfs", &[]).mount("/mnt/below", "tmpfs", "tmpfs", &[]);
        })?;
        ensure_eq!(text, "below");
        Ok(())
    });
    suite.case("an unknown file system is refused with the place of the mount", |bench| {
        let output = bench.script("true", |config| {
            config.mount("/mnt", "no-such-fs", "none", &[]);
        })?;
        output.fails_with(1, &["/mnt"])?;
        Ok(())
    });
}

/// An option and what mountinfo then shows, or must not show with a leading `!`.
const OPTIONS: &[(&[&str], &str)] = &[
    (&["ro"], "ro"),
    (&["ro", "rw"], "rw"),
    (&["nosuid"], "nosuid"),
    (&["nosuid", "suid"], "!nosuid"),
    (&["nodev"], "nodev"),
    (&["nodev", "dev"], "!nodev"),
    (&["noexec"], "noexec"),
    (&["noexec", "exec"], "!noexec"),
    (&["noatime"], "noatime"),
    (&["noatime", "atime"], "!noatime"),
    (&["relatime"], "relatime"),
    (&["strictatime"], "!relatime"),
    (&["nodiratime"], "nodiratime"),
    (&["nodiratime", "diratime"], "!nodiratime"),
    (&["nosymfollow"], "nosymfollow"),
    (&["nosymfollow", "symfollow"], "!nosymfollow"),
];

/// The same for options of the super block.
const SUPER_OPTIONS: &[(&[&str], &str)] = &[
    (&["sync"], "sync"),
    (&["sync", "async"], "!sync"),
    (&["dirsync"], "dirsync"),
    (&["lazytime"], "lazytime"),
    (&["lazytime", "nolazytime"], "!lazytime"),
];

/// Words that take another one back, and what a new file system then shows.
const TAKEN_BACK: &[(&[&str], &str)] = &[
    (&["defaults"], "rw"),
    (&["strictatime", "nostrictatime"], "relatime"),
    (&["strictatime", "relatime"], "relatime"),
    (&["noatime", "norelatime"], "noatime"),
];

fn shows(list: &[String], wanted: &str) -> bool {
    match wanted.strip_prefix('!') {
        Some(unwanted) => !list.iter().any(|one| one == unwanted),
        None => list.iter().any(|one| one == wanted),
    }
}

fn options(suite: &mut Suite) {
    for (options, wanted) in OPTIONS {
        let needs = needs(options);
        suite.case(format!("a tmpfs with {} shows {wanted}", options.join(",")), |bench| {
            let mount = mounted(bench, "/mnt", "tmpfs", "tmpfs", options)?;
            ensure!(shows(&mount.options, wanted), "{mount:?}");
            Ok(())
        });
        suite
            .case(format!("a bind mount with {} shows {wanted}", options.join(",")), |bench| {
                let source = bench.directory("source")?;
                let mut all = vec!["rbind"];
                all.extend_from_slice(options);
                let mount = mounted(bench, "/mnt", "bind", &source.to_string_lossy(), &all)?;
                ensure!(shows(&mount.options, wanted), "{mount:?}");
                Ok(())
            })
            .needs(needs);
    }
    for (options, wanted) in TAKEN_BACK {
        suite.case(format!("a tmpfs with {} shows {wanted}", options.join(",")), |bench| {
            let mount = mounted(bench, "/mnt", "tmpfs", "tmpfs", options)?;
            ensure!(shows(&mount.options, wanted), "{mount:?}");
            Ok(())
        });
    }
    // The kernel shows none of them, and a tmpfs refuses a word that reaches it.
    for options in [&["silent"][..], &["loud"], &["silent", "loud"], &["iversion"], &["noiversion"]] {
        suite.case(format!("{} is no word for the file system", options.join(",")), |bench| {
            ensure_eq!(mounted(bench, "/mnt", "tmpfs", "tmpfs", options)?.kind, "tmpfs");
            Ok(())
        });
    }
    suite.case("a word that is no option of a mount is the file system's to refuse", |bench| {
        let output = bench.script("true", |config| {
            config.mount("/mnt", "tmpfs", "tmpfs", &["ro", "no-such-option"]);
        })?;
        output.fails_with(1, &["/mnt"])?;
        Ok(())
    });
    for (options, wanted) in SUPER_OPTIONS {
        suite.case(
            format!("a tmpfs with {} shows {wanted} in its super block", options.join(",")),
            |bench| {
                let mount = mounted(bench, "/mnt", "tmpfs", "tmpfs", options)?;
                ensure!(shows(&mount.super_options, wanted), "{mount:?}");
                Ok(())
            },
        );
    }
}

#[expect(clippy::too_many_lines, reason = "a flat list of cases")]
fn binds(suite: &mut Suite) {
    suite.case("a bind mount of a directory shows and takes files", |bench| {
        let source = bench.directory("source")?;
        fs::write(source.join("here"), "host\n")?;
        let text = bench.inside("cat /mnt/here; echo inside > /mnt/new", |config| {
            config.mount("/mnt", "bind", &source.to_string_lossy(), &["bind"]);
        })?;
        ensure_eq!(text, "host");
        ensure_eq!(fs::read_to_string(source.join("new"))?, "inside\n");
        Ok(())
    });
    suite.case("a read-only bind mount refuses writing and leaves the source writable", |bench| {
        let source = bench.directory("source")?;
        let output = bench.script("touch /mnt/x", |config| {
            config.mount("/mnt", "bind", &source.to_string_lossy(), &["rbind", "ro"]);
        })?;
        output.fails_with(1, &["Read-only file system"])?;
        fs::write(source.join("y"), "")?;
        Ok(())
    });
    suite
        .case("a bind mount that names an attribute has none of its source's but these", |bench| {
        let source = bench.directory("source")?;
        let path = source.display();
        let shown = |options: &str| -> Check<Mount> {
            let mut bundle = bench.bundle()?;
            let options: Vec<_> = options.split(',').collect();
            bundle.config.mount("/mnt", "bind", &path.to_string(), &options);
            bundle.config.shell("cat /proc/self/mountinfo");
            let container = bench.container(bundle)?;
            let script = format!(
                "mount -t tmpfs none {path} && mount -o remount,bind,nosuid,nodev,noexec,noatime {path} && exec {} run \
                 --bundle {} {}",
                bench.command_line(),
                container.bundle.dir.display(),
                container.id
            );
            let run = bench.program("unshare").args(["-m", "--propagation", "private", "sh", "-c", &script]);
            mount_at(run.succeeds()?.text(), "/mnt")
        };
        for (options, wanted) in [
            ("bind", "nosuid nodev noexec noatime !ro"),
            ("rbind,rprivate", "nosuid nodev noexec noatime !ro"),
            ("bind,ro", "ro !nosuid !nodev !noexec noatime"),
            ("bind,rw", "!ro !nosuid !nodev !noexec noatime"),
            ("bind,nodev", "!ro !nosuid nodev !noexec noatime"),
        ] {
            let mount = shown(options)?;
            for option in wanted.split(' ') {
                let is_right = match option.strip_prefix('!') {
                    Some(option) => !mount.has(option),
                    None => mount.has(option),
                };
                ensure!(is_right, "{options}: no {option} in {mount:?}");
            }
        }
        Ok(())
    })
    .needs(&[Need::Root]);
    suite.case("a bind mount of a file makes a missing target file", |bench| {
        let source = bench.path("file");
        fs::write(&source, "content\n")?;
        let text = bench.inside("cat /opt/target", |config| {
            config.mount("/opt/target", "bind", &source.to_string_lossy(), &["bind", "ro"]);
        })?;
        ensure_eq!(text, "content");
        Ok(())
    });
    // masu-init gets 253 descriptors at a time.
    suite.case("six hundred bind mounts are each in their place", |bench| {
        let source = bench.directory("source")?;
        for number in 0..600 {
            fs::write(source.join(format!("{number}")), format!("{number}\n"))?;
        }
        let text = bench.inside(
            "cd /mnt && for file in *; do read line < $file; test $file = $line && echo $line; done | wc -l",
            |config| {
                config.mount("/mnt", "tmpfs", "tmpfs", &[]);
                for number in 0..600 {
                    let source = source.join(format!("{number}"));
                    config.mount(&format!("/mnt/{number}"), "bind", &source.to_string_lossy(), &["bind"]);
                }
            },
        )?;
        ensure_eq!(text, "600");
        Ok(())
    });
    suite.case("a type is not needed when the options say bind", |bench| {
        let source = bench.directory("source")?;
        fs::write(source.join("here"), "")?;
        let text = bench.inside("ls /mnt", |config| {
            config.mount("/mnt", "", &source.to_string_lossy(), &["rbind"]);
        })?;
        ensure_eq!(text, "here");
        Ok(())
    });
    suite.case("a relative bind source is taken from the bundle", |bench| {
        let mut bundle = bench.bundle()?;
        fs::create_dir(bundle.dir.join("data"))?;
        fs::write(bundle.dir.join("data/here"), "")?;
        bundle.config.mount("/mnt", "bind", "data", &["rbind"]).shell("ls /mnt");
        ensure_eq!(bench.container(bundle)?.run()?.exits_with(0)?.text(), "here");
        Ok(())
    });
    suite.case("a bind source that is missing is refused with its path", |bench| {
        let output = bench.script("true", |config| {
            config.mount("/mnt", "bind", "/no/such/source", &["rbind"]);
        })?;
        output.fails_with(1, &["/no/such/source", "no such file or directory"])?;
        Ok(())
    });
    suite.case("a device of the host can be bound and works", |bench| {
        let text = bench.inside("head -c 4 /mnt-zero | od -A n -t x1", |config| {
            config.writable().mount("/mnt-zero", "bind", "/dev/zero", &["bind"]);
        })?;
        ensure_eq!(text, "00 00 00 00");
        Ok(())
    });
    suite
        .case("in a user namespace a bind source that root inside may not reach works", |bench| {
            let hidden = bench.directory("hidden")?;
            fs::create_dir(hidden.join("source"))?;
            fs::write(hidden.join("source/here"), "")?;
            fs::set_permissions(&hidden, Permissions::from_mode(0o700))?;
            let source = hidden.join("source");
            let text = bench.inside("ls /mnt", |config| {
                config.user_namespace().mount("/mnt", "bind", &source.to_string_lossy(), &["rbind"]);
            })?;
            ensure_eq!(text, "here");
            Ok(())
        })
        .needs(&[Need::Ids]);
}

fn propagation(suite: &mut Suite) {
    for (option, wanted) in [
        ("private", ""),
        ("rprivate", ""),
        ("shared", "shared:"),
        ("rshared", "shared:"),
        ("unbindable", "unbindable"),
        ("runbindable", "unbindable"),
    ] {
        suite.case(format!("a mount with {option} has that propagation"), move |bench| {
            let mount = mounted(bench, "/mnt", "tmpfs", "tmpfs", &[option])?;
            let tags = mount.propagation.join(" ");
            ensure!(if wanted.is_empty() { tags.is_empty() } else { tags.starts_with(wanted) }, "{mount:?}");
            Ok(())
        });
    }
    for option in ["slave", "rslave"] {
        suite
            .case(format!("a bind mount with {option} hears of its source"), move |bench| {
                hears(bench, option)
            })
            .needs(&[Need::Root]);
    }
    suite.case("without a propagation a bind mount does not propagate back", |bench| {
        let source = bench.directory("source")?;
        let mount = mounted(bench, "/mnt", "bind", &source.to_string_lossy(), &["rbind"])?;
        ensure!(!mount.propagation.iter().any(|tag| tag.starts_with("shared")), "{mount:?}");
        Ok(())
    });
    suite.case("a mount made inside is not seen by the host even below a bind mount", |bench| {
        let source = bench.directory("source")?;
        fs::create_dir(source.join("below"))?;
        bench.inside("mount -t tmpfs inner /mnt/below", |config| {
            config
                .mount("/mnt", "bind", &source.to_string_lossy(), &["rbind"])
                .capabilities(&["CAP_SYS_ADMIN"]);
        })?;
        let leaks = bench.leaks()?;
        ensure!(!leaks.iter().any(|leak| leak.starts_with("mount")), "{leaks:?}");
        Ok(())
    });
}

/// Binds a mount of the host that is shared, in a mount namespace of its own.
fn hears(bench: &Bench<'_>, option: &str) -> Check {
    let source = bench.directory("source")?;
    let mut bundle = bench.bundle()?;
    bundle.config.mount("/mnt", "bind", &source.to_string_lossy(), &["rbind", option]);
    bundle.config.args(&["cat", "/proc/self/mountinfo"]);
    bundle.write()?;
    let script = format!(
        "mount -t tmpfs source {source} && mount --make-shared {source} && exec {} --root {} run --bundle {} {}",
        bench.runtime().path.display(),
        bench.root.display(),
        bundle.dir.display(),
        bundle.name,
        source = source.display()
    );
    let text = bench.program("unshare").args(["-m", "sh", "-c", &script]).output()?.exits_with(0)?.stdout;
    let tags = mount_at(&text, "/mnt")?.propagation.join(" ");
    ensure!(tags.starts_with("master:"), "{tags:?}");
    Ok(())
}

/// A recursive option, and what the mount below then shows.
const RECURSIVE: &[(&str, &str)] = &[
    ("rro", "ro"),
    ("rnosuid", "nosuid"),
    ("rnodev", "nodev"),
    ("rnoexec", "noexec"),
    ("rnoatime", "noatime"),
    ("rnodiratime", "nodiratime"),
    ("rnosymfollow", "nosymfollow"),
];

/// Recursive options of which the last one counts, and what the mount below then shows.
const RECURSIVELY_TAKEN_BACK: &[(&[&str], &str)] = &[
    (&["rnoatime", "ratime"], "!noatime"),
    (&["rnodiratime", "rdiratime"], "!nodiratime"),
    (&["rnosymfollow", "rsymfollow"], "!nosymfollow"),
    (&["rnoatime", "rstrictatime"], "!relatime"),
    (&["rstrictatime", "rnostrictatime"], "relatime"),
    (&["rstrictatime", "rrelatime"], "relatime"),
    (&["rrelatime", "rnorelatime"], "relatime"),
];

/// In a user namespace the access times of what comes from outside are locked: mount_namespaces(7).
fn needs(options: &[&str]) -> &'static [Need] {
    let last = options.last().map_or("", |option| option.trim_start_matches('r'));
    if ["noatime", "strictatime", "nodiratime"].contains(&last) { &[Need::Root] } else { &[] }
}

fn recursive(suite: &mut Suite) {
    for (option, wanted) in RECURSIVE {
        let needs = needs(&[option]);
        suite
            .case(format!("{option} reaches the mounts below"), |bench| {
                let below = below_of(bench, &["rbind", option])?;
                ensure!(below.has(wanted), "{below:?}");
                Ok(())
            })
            .needs(needs);
    }
    for (options, wanted) in RECURSIVELY_TAKEN_BACK {
        suite
            .case(format!("below a bind mount with {} there is {wanted}", options.join(",")), |bench| {
                let mut all = vec!["rbind"];
                all.extend_from_slice(options);
                let below = below_of(bench, &all)?;
                ensure!(shows(&below.options, wanted), "{below:?}");
                Ok(())
            })
            .needs(&[Need::Root]);
    }
    suite.case("ro without r leaves the mounts below writable", |bench| {
        let below = below_of(bench, &["rbind", "ro"])?;
        ensure!(below.has("rw"), "{below:?}");
        Ok(())
    });
    suite.case("rrw, rsuid, rdev, rexec clear the flags of the mounts below", |bench| {
        let below = below_of(bench, &["rbind", "rrw", "rsuid", "rdev", "rexec"])?;
        for flag in ["ro", "nosuid", "nodev", "noexec"] {
            ensure!(!below.has(flag), "{below:?}");
        }
        Ok(())
    });
}

/// Binds /dev of the host, below which other file systems are mounted, and returns the mount at pts.
fn below_of(bench: &Bench<'_>, options: &[&str]) -> Check<Mount> {
    let text = bench.inside("cat /proc/self/mountinfo", |config| {
        config.mount("/mnt", "bind", "/dev", options);
    })?;
    mount_at(&text, "/mnt/pts")
}
