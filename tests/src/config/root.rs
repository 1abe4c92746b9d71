//! root, hostname, domainname, annotations, sysctl, masked and read-only paths.

use serde_json::json;

use crate::harness::mountinfo::mount_at;
use crate::harness::{Need, Suite, ensure, ensure_eq, host};

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    root(suite);
    propagation(suite);
    names(suite);
    sysctl(suite);
    masks(suite);
    protections(suite);
}

fn root(suite: &mut Suite) {
    suite.case("a read-only root refuses writing", |bench| {
        let output = bench.script("touch /file", |_| {})?.exits_with(1)?;
        ensure!(output.stderr.contains("Read-only file system"), "{output}");
        Ok(())
    });
    suite.case("a writable root takes files, and they are in the bundle", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.writable().shell("echo content > /file");
        let file = bundle.inside("file");
        bench.container(bundle)?.run()?.exits_with(0)?;
        ensure_eq!(std::fs::read_to_string(file)?, "content\n");
        Ok(())
    });
    suite.case("a missing root.readonly means writable", |bench| {
        bench.inside("touch /file", |config| {
            config.remove("/root", "readonly");
        })?;
        Ok(())
    });
    suite.case("an absolute root.path is taken as it is", |bench| {
        let bundle = bench.bundle()?;
        let root = bundle.inside("").to_string_lossy().into_owned();
        ensure_eq!(
            bench.inside("ls -d /bin", |config| {
                config.set("/root/path", root);
            })?,
            "/bin"
        );
        Ok(())
    });
    suite.case("the old root is not to be seen among the mounts", |bench| {
        let text = bench.inside("cat /proc/self/mountinfo", |_| {})?;
        ensure!(!text.contains(" /old"), "{text}");
        ensure_eq!(text.lines().filter(|line| line.split(' ').nth(4) == Some("/")).count(), 1, "{text}");
        Ok(())
    });
}

fn propagation(suite: &mut Suite) {
    for (name, wanted) in [
        ("private", ""),
        ("rprivate", ""),
        ("slave", "master"),
        ("rslave", "master"),
        ("shared", "shared"),
        ("rshared", "shared"),
        ("unbindable", "unbindable"),
        ("runbindable", "unbindable"),
    ] {
        suite.case(format!("linux.rootfsPropagation {name} is the root's"), move |bench| {
            let text = bench.inside("cat /proc/self/mountinfo", |config| {
                config.set("/linux/rootfsPropagation", name);
            })?;
            let tags = mount_at(&text, "/")?.propagation.join(" ");
            // A slave of a private mount has no master to name.
            ensure!(
                tags.contains(wanted) || (name.ends_with("slave") && tags.is_empty()),
                "{tags:?} for {name}"
            );
            ensure!(!wanted.is_empty() || tags.is_empty(), "{tags:?} for {name}");
            Ok(())
        });
    }
    // systemd makes all mounts of a host shared; pivot_root(2) refuses a root that still is.
    suite
        .case("linux.rootfsPropagation shared works where the host's mounts are shared", |bench| {
            for hooks in [json!({}), json!({"createRuntime": [{"path": "/bin/true"}]})] {
                let mut bundle = bench.bundle()?;
                bundle
                    .config
                    .set("/linux/rootfsPropagation", "shared")
                    .set("/hooks", hooks)
                    .args(&["echo", "in"]);
                bundle.write()?;
                let script = format!(
                    "exec {} --root {} run --bundle {} {}",
                    bench.runtime().path.display(),
                    bench.root.display(),
                    bundle.dir.display(),
                    bundle.name
                );
                let call =
                    bench.program("unshare").args(["-m", "--propagation", "shared", "sh", "-c", &script]);
                ensure_eq!(call.output()?.exits_with(0)?.text(), "in");
            }
            Ok(())
        })
        .needs(&[Need::Root]);
}

fn names(suite: &mut Suite) {
    suite.case("hostname is the container's own", |bench| {
        let before = host::read_trimmed("/proc/sys/kernel/hostname")?;
        ensure_eq!(
            bench.inside("hostname", |config| {
                config.set("/hostname", "box-1.example");
            })?,
            "box-1.example"
        );
        ensure_eq!(host::read_trimmed("/proc/sys/kernel/hostname")?, before);
        Ok(())
    });
    suite.case("domainname is the container's own", |bench| {
        let text = bench.inside("cat /proc/sys/kernel/domainname", |config| {
            config.set("/domainname", "example.org");
        })?;
        ensure_eq!(text, "example.org");
        Ok(())
    });
    suite.case("without hostname the new uts namespace keeps the name of the host", |bench| {
        let text = bench.inside("hostname", |config| {
            config.remove("", "hostname");
        })?;
        ensure_eq!(text, host::read_trimmed("/proc/sys/kernel/hostname")?);
        Ok(())
    });
    suite.case("annotations may hold any text", |bench| {
        let container = bench.sleeper(|config| {
            config.set("/annotations", json!({"a.b/c": "", "k": "line\nfeed"}));
        })?;
        ensure_eq!(container.state()?["annotations"], json!({"a.b/c": "", "k": "line\nfeed"}));
        Ok(())
    });
}

fn sysctl(suite: &mut Suite) {
    for (name, value, path) in [
        ("net.ipv4.ip_forward", "1", "/proc/sys/net/ipv4/ip_forward"),
        ("net.ipv4.ping_group_range", "0 5", "/proc/sys/net/ipv4/ping_group_range"),
        ("kernel.shmmax", "1048576", "/proc/sys/kernel/shmmax"),
        ("fs.mqueue.msg_max", "20", "/proc/sys/fs/mqueue/msg_max"),
    ] {
        suite
            .case(format!("linux.sysctl {name} is set inside"), move |bench| {
                let before = host::read_trimmed(path)?;
                let text = bench.inside(&format!("cat {path}"), |config| {
                    config.set("/linux/sysctl", json!({})).set("/linux/sysctl", json!({name: value}));
                })?;
                ensure_eq!(text.split_whitespace().collect::<Vec<_>>().join(" "), value);
                ensure_eq!(host::read_trimmed(path)?, before);
                Ok(())
            })
            .needs(&[Need::Root]);
    }
    suite.case("linux.sysctl of something that is not namespaced is refused", |bench| {
        let before = host::read_trimmed("/proc/sys/vm/swappiness")?;
        let output = bench.script("true", |config| {
            config.set("/linux/sysctl", json!({"vm.swappiness": "1"}));
        })?;
        output.fails_with(1, &["vm.swappiness"])?;
        ensure_eq!(host::read_trimmed("/proc/sys/vm/swappiness")?, before);
        Ok(())
    });
    suite.case("linux.sysctl of the network without a network namespace is refused", |bench| {
        let output = bench.script("true", |config| {
            config.without_namespace("network").set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}));
        })?;
        output.fails_with(1, &["net.ipv4.ip_forward"])?;
        Ok(())
    });
}

fn masks(suite: &mut Suite) {
    suite.case("a masked file is empty and a masked directory too", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.file("etc/secret", "secret", 0o644)?;
        std::fs::create_dir(bundle.inside("secrets"))?;
        bundle.file("secrets/one", "secret", 0o644)?;
        bundle.config.set("/linux/maskedPaths", json!(["/etc/secret", "/secrets"]));
        bundle.config.shell("cat /etc/secret; ls -A /secrets; touch /secrets/x 2>/dev/null || echo refused");
        ensure_eq!(bench.container(bundle)?.run()?.exits_with(0)?.text(), "refused");
        Ok(())
    });
    suite.case("what is to be masked twice is masked once", |bench| {
        let mut bundle = bench.bundle()?;
        std::fs::create_dir(bundle.inside("secrets"))?;
        bundle
            .config
            .set("/linux/maskedPaths", json!(["/secrets", "/etc/passwd", "/secrets", "/etc/passwd"]));
        bundle.config.shell("grep -cE ' /(secrets|etc/passwd) ' /proc/self/mountinfo");
        ensure_eq!(bench.container(bundle)?.run()?.exits_with(0)?.text(), "2");
        Ok(())
    });
    suite.case("masked directories are one file system, and it is read-only", |bench| {
        let mut bundle = bench.bundle()?;
        for name in ["one", "two", "three"] {
            std::fs::create_dir(bundle.inside(name))?;
        }
        bundle.config.set("/linux/maskedPaths", json!(["/one", "/two", "/three"]));
        bundle
            .config
            .shell("stat -c %d /one /two /three; grep -cE ' /(one|two|three) ro' /proc/self/mountinfo");
        let text = bench.container(bundle)?.run()?.exits_with(0)?.text().to_owned();
        let lines: Vec<_> = text.lines().collect();
        ensure!(matches!(lines[..], [one, two, three, "3"] if one == two && two == three), "{text}");
        Ok(())
    });
}

fn protections(suite: &mut Suite) {
    suite.case("a read-only path refuses writing in a writable root", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.writable().set("/linux/readonlyPaths", json!(["/var", "/etc/passwd"]));
        bundle.config.shell("touch /var/x 2>/dev/null || echo dir; echo x 2>/dev/null >> /etc/passwd || echo file; touch /run/x");
        ensure_eq!(bench.container(bundle)?.run()?.exits_with(0)?.text(), "dir\nfile");
        Ok(())
    });
    suite.case("a read-only path keeps nosuid, nodev and noexec of what it covers", |bench| {
        let text = bench.inside("cat /proc/self/mountinfo", |config| {
            config.mount("/var", "tmpfs", "tmpfs", &["nosuid", "nodev", "noexec"]);
            config.set("/linux/readonlyPaths", json!(["/var"]));
        })?;
        let mount = mount_at(&text, "/var")?;
        for option in ["ro", "nosuid", "nodev", "noexec"] {
            ensure!(mount.has(option), "no {option} in {mount:?}");
        }
        Ok(())
    });
    suite.case("masked and read-only paths that are not there are skipped", |bench| {
        let text = bench.inside("echo runs; ls /missing /also 2>/dev/null || true", |config| {
            config.set("/linux/maskedPaths", json!(["/missing", "/proc/missing"]));
            config.set("/linux/readonlyPaths", json!(["/also", "/proc/also"]));
        })?;
        ensure_eq!(text, "runs");
        Ok(())
    });
    suite.case("the default paths of procfs are masked or read-only", |bench| {
        let text = bench.inside("cat /proc/keys /proc/timer_list 2>/dev/null; echo x 2>/dev/null > /proc/sys/kernel/hostname || echo ro", |_| {})?;
        ensure_eq!(text, "ro");
        Ok(())
    });
}
