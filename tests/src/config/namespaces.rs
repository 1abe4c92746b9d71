//! linux.namespaces, created and joined, and the id maps.

use std::os::unix::fs::MetadataExt as _;

use serde_json::json;

use crate::harness::{Bench, Check, Need, Suite, ensure, ensure_eq, host};

/// The name in the config and the file below /proc/PID/ns.
const KINDS: [(&str, &str); 8] = [
    ("cgroup", "cgroup"),
    ("ipc", "ipc"),
    ("mount", "mnt"),
    ("network", "net"),
    ("pid", "pid"),
    ("time", "time"),
    ("user", "user"),
    ("uts", "uts"),
];

/// Adds the cases.
#[expect(clippy::too_many_lines, reason = "a flat list of cases")]
pub(crate) fn add(suite: &mut Suite) {
    for (kind, file) in KINDS {
        let needs: &[Need] = match kind {
            "user" => &[Need::Ids],
            // The kernel has no time namespaces for the root of a user namespace that is made along with them.
            "time" => &[Need::Root],
            _ => &[],
        };
        suite
            .case(format!("a new {kind} namespace is the container's own"), move |bench| {
                let container = bench.sleeper(|config| {
                    if kind == "user" {
                        config.user_namespace();
                    } else {
                        config.namespace(kind);
                    }
                })?;
                let (inside, outside) =
                    (host::namespace_of(container.pid()?, file)?, host::namespace_of(own_pid(), file)?);
                ensure!(inside != outside, "both are {inside}");
                Ok(())
            })
            .needs(needs);
    }
    for (kind, file) in
        [("cgroup", "cgroup"), ("ipc", "ipc"), ("network", "net"), ("pid", "pid"), ("uts", "uts")]
    {
        // Its file systems belong to the namespace's owner, who would have to be the container's root.
        let without: &[Need] = if ["ipc", "pid"].contains(&kind) { &[Need::Root] } else { &[] };
        suite
            .case(format!("without a {kind} namespace the container has the host's"), move |bench| {
                let container = bench.sleeper(|config| {
                    config.without_namespace(kind);
                    if kind == "uts" {
                        config.remove("", "hostname");
                    }
                    if kind == "network" {
                        // A sysfs belongs to the network namespace it was mounted in.
                        config.without_mount("/sys/fs/cgroup").without_mount("/sys");
                    }
                })?;
                ensure_eq!(host::namespace_of(container.pid()?, file)?, host::namespace_of(own_pid(), file)?);
                Ok(())
            })
            .needs(without);
    }
    // What the default config does not ask for.
    for kind in ["time", "user"] {
        suite
            .case(format!("without a {kind} namespace the container has the host's"), move |bench| {
                let container = bench.sleeper(|_| {})?;
                ensure_eq!(host::namespace_of(container.pid()?, kind)?, host::namespace_of(own_pid(), kind)?);
                Ok(())
            })
            .needs(&[Need::Root]);
    }
    suite
        .case("without a mount namespace the container has the host's", |bench| {
            let container = bench.sleeper(|config| {
                config.without_namespace("mount").writable().set("/mounts", json!([]));
                config.remove("/linux", "maskedPaths").remove("/linux", "readonlyPaths");
            })?;
            ensure_eq!(host::namespace_of(container.pid()?, "mnt")?, host::namespace_of(own_pid(), "mnt")?);
            Ok(())
        })
        .needs(&[Need::Root]);
    for (kind, file) in KINDS.into_iter().filter(|(kind, _)| !["user", "time", "mount"].contains(kind)) {
        suite
            .case(format!("the {kind} namespace of another container is joined by its path"), move |bench| {
                joins(bench, kind, file)
            })
            .needs(&[Need::Root]);
    }
    suite
        .case("the time namespace of another container is joined by its path", |bench| {
            joins(bench, "time", "time")
        })
        .needs(&[Need::Root]);
    suite
        .case("a mount namespace that was made for it is joined by its path", joins_a_mount_namespace)
        .needs(&[Need::Root]);
    suite
        .case("the user namespace of another container is joined by its path", |bench| {
            let first = bench.sleeper(|config| {
                config.user_namespace();
            })?;
            let path = format!("/proc/{}/ns/user", first.pid()?);
            let second = bench.sleeper(|config| {
                config.join_namespace("user", &path);
            })?;
            ensure_eq!(host::namespace_of(second.pid()?, "user")?, host::namespace_of(first.pid()?, "user")?);
            ensure_eq!(second.exec("id -u")?, "0");
            ensure_eq!(host::status_field(second.pid()?, "Uid")?, "100000\t100000\t100000\t100000");
            Ok(())
        })
        .needs(&[Need::Ids]);
    suite
        .case(
            "user, network, ipc, uts and pid namespaces of another container are joined at once",
            joins_a_pod,
        )
        .needs(&[Need::Ids]);
    suite
        .case("network, ipc and uts namespaces of a pod are joined, as Kubernetes does", |bench| {
            let first = bench.sleeper(|config| {
                config.set("/hostname", "pod");
            })?;
            let pid = first.pid()?;
            let second = bench.sleeper(|config| {
                for (kind, file) in [("network", "net"), ("ipc", "ipc"), ("uts", "uts")] {
                    config.join_namespace(kind, &format!("/proc/{pid}/ns/{file}"));
                }
                config.remove("", "hostname");
            })?;
            for file in ["net", "ipc", "uts"] {
                ensure_eq!(host::namespace_of(second.pid()?, file)?, host::namespace_of(pid, file)?);
            }
            ensure!(
                host::namespace_of(second.pid()?, "pid")? != host::namespace_of(pid, "pid")?,
                "pid is shared"
            );
            ensure_eq!(second.exec("hostname")?, "pod");
            Ok(())
        })
        .needs(&[Need::Root]);
    suite.case("a path that is no namespace of that type is refused", |bench| {
        let path = format!("/proc/{}/ns/uts", own_pid());
        let output = bench.script("true", |config| {
            config.join_namespace("network", &path);
        })?;
        output.exits_with(1)?;
        let output = bench.script("true", |config| {
            config.join_namespace("network", "/no/such/ns");
        })?;
        output.fails_with(1, &["/no/such/ns"])?;
        Ok(())
    });
    maps(suite);
    suite
        .case("linux.timeOffsets shift the clocks of a new time namespace", |bench| {
            let text = bench.inside("cat /proc/self/timens_offsets", |config| {
                config
                    .namespace("time")
                    .set("/linux/timeOffsets", json!({"boottime": {"secs": 1000, "nanosecs": 5}}));
            })?;
            let words: Vec<_> = text
                .lines()
                .filter(|line| line.starts_with("boottime"))
                .flat_map(str::split_whitespace)
                .collect();
            ensure_eq!(words, ["boottime", "1000", "5"]);
            Ok(())
        })
        .needs(&[Need::Root]);
    suite.case("a new network namespace has the loopback interface up", |bench| {
        let text = bench.inside("ip -o link; ip -o addr show lo", |_| {})?;
        ensure_eq!(text.lines().filter(|line| line.contains(": lo:")).count(), 1, "{text}");
        ensure!(text.contains("LOOPBACK,UP") && text.contains("127.0.0.1/8"), "{text}");
        Ok(())
    });
}

fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

fn joins(bench: &Bench<'_>, kind: &str, file: &str) -> Check {
    let first = bench.sleeper(|config| {
        config.namespace(kind).set("/hostname", "first");
    })?;
    let pid = first.pid()?;
    let path = format!("/proc/{pid}/ns/{file}");
    let second = bench.sleeper(|config| {
        config.join_namespace(kind, &path);
        if kind == "uts" {
            config.remove("", "hostname");
        }
    })?;
    ensure_eq!(host::namespace_of(second.pid()?, file)?, host::namespace_of(pid, file)?);
    // The first container is the owner: when it goes, the namespace of a joined pid goes too.
    second.call("delete").arg("--force").succeeds()?;
    ensure_eq!(first.status()?, "running");
    Ok(())
}

/// A mount namespace as `unshare -m` makes it: the bundle is still to be seen there.
fn joins_a_mount_namespace(bench: &mut Bench<'_>) -> Check {
    let maker = bench.program("unshare").args(["-m", "--propagation", "private", "sleep", "1000"]).spawn()?;
    let own = host::namespace_of(own_pid(), "mnt")?;
    host::until("unshare has unshared", || Ok(host::namespace_of(maker.pid(), "mnt")? != own))?;
    let path = format!("/proc/{}/ns/mnt", maker.pid());
    let container = bench.sleeper(|config| {
        config.join_namespace("mount", &path);
    })?;
    ensure_eq!(host::namespace_of(container.pid()?, "mnt")?, host::namespace_of(maker.pid(), "mnt")?);
    ensure_eq!(container.exec("ls -d /home/user")?, "/home/user");
    Ok(())
}

fn joins_a_pod(bench: &mut Bench<'_>) -> Check {
    let first = bench.sleeper(|config| {
        config.user_namespace();
    })?;
    let pid = first.pid()?;
    let kinds = [("user", "user"), ("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("pid", "pid")];
    let second = bench.sleeper(|config| {
        for (kind, file) in kinds {
            config.join_namespace(kind, &format!("/proc/{pid}/ns/{file}"));
        }
        config.remove("", "hostname");
    })?;
    for (_, file) in kinds {
        ensure_eq!(host::namespace_of(second.pid()?, file)?, host::namespace_of(pid, file)?, "{file}");
    }
    ensure_eq!(second.exec("id -u")?, "0");
    Ok(())
}

fn maps(suite: &mut Suite) {
    suite.case("uid and gid maps of several lines are written as they are", |bench| {
        let text = bench.inside("cat /proc/self/uid_map; cat /proc/self/gid_map", |config| {
            config.user_namespace();
            config.set("/linux/uidMappings", json!([
                {"containerID": 0, "hostID": 100_000, "size": 1000}, {"containerID": 1000, "hostID": 300_000, "size": 10}
            ]));
            config.set("/linux/gidMappings", json!([{"containerID": 0, "hostID": 200_000, "size": 65536}]));
        })?;
        let words: Vec<_> = text.split_whitespace().collect();
        ensure_eq!(words, ["0", "100000", "1000", "1000", "300000", "10", "0", "200000", "65536"]);
        Ok(())
    }).needs(&[Need::Ids]);
    suite
        .case("in a user namespace root has its capabilities inside and none over the host", |bench| {
            let output = bench.script(
                "id -u; mount -t tmpfs none /mnt && echo mounted; cat /etc/shadow-of-host",
                |config| {
                    config.user_namespace().capabilities(&["CAP_SYS_ADMIN"]);
                },
            )?;
            ensure!(output.stdout.starts_with("0\nmounted\n"), "{output}");
            Ok(())
        })
        .needs(&[Need::Ids]);
    suite
        .case("in a user namespace the queues of a new ipc namespace are root's", |bench| {
            let text = bench.inside("stat -c %u:%g /dev/mqueue", |config| {
                config.user_namespace();
            })?;
            ensure_eq!(text, "0:0");
            Ok(())
        })
        .needs(&[Need::Ids]);
    suite
        .case("a user namespace leaves the owners of the root's files as they are", |bench| {
            let mut bundle = bench.bundle()?;
            std::os::unix::fs::chown(bundle.inside("opt"), Some(100_007), Some(100_008))?;
            bundle.config.user_namespace().shell("stat -c %u:%g /opt");
            let container = bench.container(bundle)?;
            ensure_eq!(container.run()?.exits_with(0)?.text(), "7:8");
            let status = std::fs::metadata(container.bundle.inside("opt"))?;
            ensure_eq!((status.uid(), status.gid()), (100_007, 100_008));
            Ok(())
        })
        .needs(&[Need::Root]);
    suite
        .case("a user namespace without maps is refused", |bench| {
            let output = bench.script("true", |config| {
                config.namespace("user");
            })?;
            output.exits_with(1)?;
            Ok(())
        })
        .needs(&[Need::Root]);
}
