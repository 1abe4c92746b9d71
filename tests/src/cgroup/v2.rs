//! Version 2 alone.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::json;

use super::root_disk;
use crate::harness::config::Config;
use crate::harness::mountinfo::mount_at;
use crate::harness::setting::check_io_weight;
use crate::harness::{Bench, Check, Container, Need, Suite, ensure, ensure_eq, host};

/// Adds the cases.
pub(super) fn add(suite: &mut Suite) {
    suite.needs(&[Need::CgroupV2]);
    places(suite);
    suite.needs(&[Need::CgroupV2]);
    resources(suite);
    refusals(suite);
    suite.needs(&[Need::CgroupV2]);
    nested(suite);
    delegated(suite);
    suite.needs(&[Need::CgroupV2, Need::Root]);
    inside(suite);
    owners(suite);
}

fn places(suite: &mut Suite) {
    suite.case("on a host with version 2 alone cgroupsPath is the container's cgroup", |bench| {
        let container = bench.sleeper(|_| {})?;
        let procs = host::read_trimmed(host::cgroup_unified(container.cgroup()).join("cgroup.procs"))?;
        ensure_eq!(procs, container.pid()?.to_string());
        Ok(())
    });
    suite.needs(&[Need::CgroupV2, Need::Cgroupfs]);
    suite.case("without cgroupsPath the cgroup is beside the caller's, called by the id", |bench| {
        let container = bench.sleeper(|config| {
            config.remove("/linux", "cgroupsPath");
        })?;
        let own = own_cgroup("self")?;
        let parent = own.rsplit_once('/').map_or("", |(parent, _)| parent);
        ensure_eq!(own_cgroup(&container.pid()?.to_string())?, format!("{parent}/{}", container.id));
        Ok(())
    });
    suite.case("the container's cgroup has every controller that the caller may give it", |bench| {
        let cgroup = bench.cgroup_path("parent/deep");
        let container = bench.sleeper(|config| {
            config.set("/linux/cgroupsPath", cgroup.as_str());
        })?;
        let root = bench.world.surroundings.cgroup_parent.as_deref().unwrap_or_default();
        let root = host::read_trimmed(host::cgroup_unified(root).join("cgroup.controllers"))?;
        let leaf = host::read_trimmed(host::cgroup_unified(&cgroup).join("cgroup.controllers"))?;
        ensure_eq!(leaf, root);
        container.stop()?;
        container.delete()?;
        ensure!(!host::cgroup_unified(&cgroup).exists(), "{cgroup} is left");
        for left in host::cgroups_of(&bench.tag)? {
            fs::remove_dir(left)?;
        }
        Ok(())
    });
}

#[expect(clippy::too_many_lines, reason = "a flat list of cases")]
fn resources(suite: &mut Suite) {
    for (field, key) in [
        ("throttleReadBpsDevice", "rbps"),
        ("throttleWriteBpsDevice", "wbps"),
        ("throttleReadIOPSDevice", "riops"),
        ("throttleWriteIOPSDevice", "wiops"),
    ] {
        suite.case(format!("blockIO {field} is {key} of io.max"), move |bench| {
            let (major, minor) = root_disk()?;
            let container = bench.sleeper(|config| {
                let value = json!([{"major": major, "minor": minor, "rate": 1_048_576}]);
                config.set("/linux/resources/blockIO", json!({field: value}));
            })?;
            let text = host::read_trimmed(host::cgroup_unified(container.cgroup()).join("io.max"))?;
            ensure!(text.starts_with(&format!("{major}:{minor} ")), "{text}");
            ensure!(text.split(' ').any(|word| word == format!("{key}=1048576")), "{text}");
            Ok(())
        });
    }
    suite.case("`update -r -` changes the limits of a device", |bench| {
        let (major, minor) = root_disk()?;
        let container = bench.sleeper(|_| {})?;
        let rate = |rate: u64| json!([{"major": major, "minor": minor, "rate": rate}]);
        let resources = json!({"blockIO": {"throttleReadBpsDevice": rate(65536)}});
        bench.call(&["update", "-r", "-", &container.id]).stdin(resources.to_string()).succeeds()?;
        let text = host::read_trimmed(host::cgroup_unified(container.cgroup()).join("io.max"))?;
        ensure_eq!(text, format!("{major}:{minor} rbps=65536 wbps=max riops=max wiops=max"));
        Ok(())
    });
    huge_pages(suite);
    suite.case("unified is written as it stands, after all other limits", |bench| {
        let container = bench.sleeper(|config| {
            config.set("/linux/resources/pids", json!({"limit": 10}));
            let files = json!({"memory.high": "33554432", "pids.max": "20", "cgroup.max.depth": "3"});
            config.set("/linux/resources/unified", files);
        })?;
        for (file, text) in [("memory.high", "33554432"), ("pids.max", "20"), ("cgroup.max.depth", "3")] {
            ensure_eq!(
                host::read_trimmed(host::cgroup_unified(container.cgroup()).join(file))?,
                text,
                "{file}"
            );
        }
        bench
            .call(&["update", "-r", "-", &container.id])
            .stdin(r#"{"unified": {"memory.high": "max"}}"#)
            .succeeds()?;
        ensure_eq!(host::read_trimmed(host::cgroup_unified(container.cgroup()).join("memory.high"))?, "max");
        Ok(())
    });
    suite.case("what version 2 has no setting for does not keep a container from running", |bench| {
        let text = bench.inside("echo runs", |config| {
            config.set("/linux/resources/memory", json!({"swappiness": 10, "disableOOMKiller": true}));
            config.set("/linux/resources/network", json!({"classID": 1_048_577}));
        })?;
        ensure_eq!(text, "runs");
        Ok(())
    });
    suite.masu_only("what version 2 has no setting for is told", |bench| {
        let output = bench.script("true", |config| {
            config.set("/linux/resources/memory", json!({"swappiness": 10}));
        })?;
        let text =
            "linux.resources.memory.swappiness: ignored: version 2 of control groups has no such setting";
        ensure!(output.exits_with(0)?.stderr.contains(text), "no word of it");
        Ok(())
    });
    suite.case("figures have pressure stall information", |bench| {
        let container = bench.sleeper(|_| {})?;
        let output = container.call("events").arg("--stats").succeeds()?;
        let event: serde_json::Value = serde_json::from_str(&output.stdout)?;
        let told = host::cgroup_unified(container.cgroup()).join("cpu.pressure").exists();
        ensure_eq!(event["data"]["cpu"]["psi"].is_object(), told, "{event}");
        Ok(())
    });
}

/// Their controller is one that systemd delegates to no ordinary user.
fn huge_pages(suite: &mut Suite) {
    let limit = || json!([{"pageSize": "2MB", "limit": 4_194_304}]);
    let are_limited = |container: &Container<'_>| {
        for file in ["hugetlb.2MB.max", "hugetlb.2MB.rsvd.max"] {
            let file = host::cgroup_unified(container.cgroup()).join(file);
            ensure_eq!(host::read_trimmed(&file)?, "4194304", "{}", file.display());
        }
        Ok(())
    };
    suite
        .masu_only("`update -r -` changes huge pages and weights", move |bench| {
            let container = bench.sleeper(|_| {})?;
            let resources = json!({"hugepageLimits": limit(), "blockIO": {"weight": 500}});
            bench.call(&["update", "-r", "-", &container.id]).stdin(resources.to_string()).succeeds()?;
            are_limited(&container)?;
            check_io_weight(container.cgroup())
        })
        .needs(&[Need::Root]);
    suite
        .case("hugepageLimits are written with their reservations", move |bench| {
            let container = bench.sleeper(|config| {
                config.set("/linux/resources/hugepageLimits", limit());
            })?;
            are_limited(&container)
        })
        .needs(&[Need::Root]);
}

/// Limits that cannot be set, and what is said of them; afterwards nothing is left.
#[expect(clippy::too_many_lines, reason = "a flat list of cases")]
fn refusals(suite: &mut Suite) {
    let table = [
        (
            "swap without a limit of memory",
            json!({"memory": {"swap": 67_108_864}}),
            "unable to set swap limit without memory limit",
        ),
        (
            "less memory and swap than memory",
            json!({"memory": {"limit": 67_108_864, "swap": 33_554_432}}),
            "memory+swap limit should be >= memory limit",
        ),
        ("a unified key of no controller", json!({"unified": {"nothing.max": "1"}}), "nothing"),
        ("a unified key that is no file", json!({"unified": {"memory.nothing": "1"}}), "memory.nothing"),
        ("a unified value that is none", json!({"unified": {"memory.high": "much"}}), "memory.high"),
        ("a CPU that is not there", json!({"cpu": {"cpus": "4000"}}), "cpuset.cpus"),
    ];
    for (what, resources, text) in table {
        suite.case(format!("{what} is refused and leaves no cgroup"), move |bench| {
            let output = bench.script("true", |config| {
                config.set("/linux/resources", resources.clone());
            })?;
            output.fails_with(1, &[text])?;
            let left = host::cgroups_of(&bench.tag)?;
            ensure!(left.is_empty(), "{left:?}");
            Ok(())
        });
    }
    suite.masu_only("a weight beyond the scale is refused by its field and leaves no cgroup", |bench| {
        for weight in [9, 1001] {
            let output = bench.script("true", |config| {
                config.set("/linux/resources/blockIO", json!({"weight": weight}));
            })?;
            let text = format!("masu: linux.resources.blockIO.weight: {weight} is not within 10 to 1000\n");
            ensure_eq!(output.exits_with(1)?.stderr, text);
            let left = host::cgroups_of(&bench.tag)?;
            ensure!(left.is_empty(), "{left:?}");
        }
        Ok(())
    });
    suite.case("a limit of an RDMA device that is not there is an error and leaves no cgroup", |bench| {
        let output = bench.script("true", |config| {
            config.set("/linux/resources/rdma", json!({"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}}));
        })?;
        // systemd delegates this controller to no ordinary user.
        let file = if bench.world.surroundings.is_root() { "rdma.max" } else { "rdma" };
        output.fails_with(1, &[file])?;
        ensure!(host::cgroups_of(&bench.tag)?.is_empty(), "a cgroup is left");
        Ok(())
    });
    suite.masu_only("a real-time runtime is refused by its field", |bench| {
        let output = bench.script("true", |config| {
            config.set("/linux/resources/cpu", json!({"realtimeRuntime": 1000}));
        })?;
        output.fails_with(1, &["masu: linux.resources.cpu.realtimeRuntime: "])?;
        Ok(())
    });
    suite.needs(&[Need::CgroupV2, Need::Cgroupfs]);
    suite.masu_only("below a cgroup that holds processes a limit names who is in the way", |bench| {
        let parent = bench.cgroup_path("full");
        let dir = host::cgroup_unified(&parent);
        fs::create_dir(&dir)?;
        let holder = bench.sleeper(|config| {
            config.set("/linux/cgroupsPath", parent.as_str());
        })?;
        let limited = bench.script("true", |config| {
            config.set("/linux/cgroupsPath", format!("{parent}/below"));
            config.set("/linux/resources/memory", json!({"limit": 67_108_864}));
        })?;
        limited.fails_with(
            1,
            &[
                "linux.resources.memory.limit: the memory controller is not available in cgroup",
                "to cgroup.subtree_control of cgroup",
                "(EBUSY)",
                "hint: a cgroup that holds processes gives no controllers",
            ],
        )?;
        ensure_eq!(host::read_trimmed(dir.join("cgroup.type"))?, "domain");
        holder.stop()?;
        holder.delete()?;
        for left in host::cgroups_of(&bench.tag)? {
            fs::remove_dir(left)?;
        }
        Ok(())
    });
    for (what, limit) in [("without limits", json!({})), ("with a limit of pids", json!({"limit": 20}))] {
        suite.case(format!("below a cgroup that holds processes a container {what} runs"), move |bench| {
            let parent = bench.cgroup_path("full");
            fs::create_dir(host::cgroup_unified(&parent))?;
            let holder = bench.sleeper(|config| {
                config.set("/linux/cgroupsPath", parent.as_str());
            })?;
            let inner = bench.sleeper(|config| {
                config.set("/linux/cgroupsPath", format!("{parent}/below"));
                config.set("/linux/resources/pids", limit.clone());
            })?;
            ensure_eq!(own_cgroup(&inner.pid()?.to_string())?, format!("{parent}/below"));
            if limit["limit"] == 20 {
                let below = host::cgroup_unified(&parent).join("below");
                ensure_eq!(host::read_trimmed(below.join("pids.max"))?, "20");
            }
            for container in [&inner, &holder] {
                container.stop()?;
                container.delete()?;
            }
            for left in host::cgroups_of(&bench.tag)? {
                fs::remove_dir(left)?;
            }
            Ok(())
        });
    }
}

fn inside(suite: &mut Suite) {
    for (sentence, namespace) in [("with", true), ("without", false)] {
        suite.case(
            format!("{sentence} a cgroup namespace the limits can be read below /sys/fs/cgroup"),
            move |bench| {
                let script = if namespace {
                    "cat /sys/fs/cgroup/pids.max"
                } else {
                    "cat /sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)/pids.max"
                };
                let text = bench.inside(script, |config| {
                    config.set("/linux/resources/pids", json!({"limit": 77}));
                    config.without_namespace("cgroup");
                    if namespace {
                        config.namespace("cgroup");
                    }
                })?;
                ensure_eq!(text, "77");
                Ok(())
            },
        );
        suite.case(format!("{sentence} a cgroup namespace version 2 is mounted read-only"), move |bench| {
            let text =
                bench.inside("cat /proc/self/mountinfo; mkdir /sys/fs/cgroup/x || true", |config| {
                    config.without_namespace("cgroup");
                    if namespace {
                        config.namespace("cgroup");
                    }
                })?;
            let mount = mount_at(&text, "/sys/fs/cgroup")?;
            ensure_eq!(mount.kind, "cgroup2");
            ensure!(mount.has("ro"), "{mount:?}");
            Ok(())
        });
    }
    suite.case("in a user namespace without a cgroup namespace the host's tree cannot be written", |bench| {
        let output = bench.script("mkdir /sys/fs/cgroup/x", |config| {
            config.user_namespace().without_namespace("cgroup").without_mount("/sys/fs/cgroup");
            config.mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "rw"]);
        })?;
        ensure!(output.code != Some(0), "{output}");
        // runc leaves it writable, to a user who has no right to write there.
        let why = ["Read-only file system", "Permission denied"];
        ensure!(why.iter().any(|why| output.stderr.contains(why)), "{output}");
        Ok(())
    });
    for (sentence, kind) in [("cgroup", "cgroup"), ("cgroup2", "cgroup2")] {
        suite.masu_only(
            format!("a mount of type {sentence} without a cgroup namespace leaves the host's options alone"),
            move |bench| {
                let before = options_of_version_2()?;
                bench.inside("true", |config| {
                    config.without_namespace("cgroup").without_mount("/sys/fs/cgroup");
                    config.mount("/sys/fs/cgroup", kind, "cgroup", &["nosuid", "noexec", "nodev", "ro"]);
                })?;
                ensure_eq!(options_of_version_2()?, before);
                Ok(())
            },
        );
    }
}

/// Containers that have cgroups of their own below theirs.
fn nested(suite: &mut Suite) {
    suite.case("a command enters a container that has moved its processes into a cgroup below", |bench| {
        let script = "mkdir /sys/fs/cgroup/init && echo 1 > /sys/fs/cgroup/init/cgroup.procs &&
            echo '+memory +pids' > /sys/fs/cgroup/cgroup.subtree_control && touch /run/moved && exec sleep 1000";
        let mut bundle = bench.bundle()?;
        bundle.config.writable().shell(script).namespace("cgroup").without_mount("/sys/fs/cgroup");
        bundle.config.mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "rw"]);
        let moved = bundle.inside("run/moved");
        let container = bench.container(bundle)?;
        container.run_detached()?;
        host::until("it moves", || Ok(moved.exists()))?;
        // Its cgroup namespace has its root where it began.
        ensure_eq!(container.exec("cat /proc/self/cgroup")?, "0::/init");
        container.call("pause").succeeds()?;
        ensure_eq!(container.status()?, "paused");
        container.call("resume").succeeds()?;
        container.stop()?;
        container.delete()
    });
}

/// Containers whose process is in a cgroup below theirs from the beginning, by crun's annotation.
fn delegated(suite: &mut Suite) {
    suite.masu_only("run.oci.delegate-cgroup names the cgroup below that the process is in", |bench| {
        let container = delegating(bench, "payload", |config| {
            config.set("/linux/resources/pids", json!({"limit": 99}));
        })?;
        let cgroup = host::cgroup_unified(container.cgroup());
        ensure_eq!(
            own_cgroup(&container.pid()?.to_string())?,
            format!("/{}/payload", container.cgroup().trim_start_matches('/'))
        );
        // The limit is the container's; below, the controllers are there to be divided.
        ensure_eq!(host::read_trimmed(cgroup.join("pids.max"))?, "99");
        ensure_eq!(host::read_trimmed(cgroup.join("payload/pids.max"))?, "max");
        let controllers = |directory: &Path| host::read_trimmed(directory.join("cgroup.controllers"));
        ensure_eq!(controllers(&cgroup.join("payload"))?, controllers(&cgroup)?);
        // The namespace has its root above, and a command goes where the process is.
        ensure_eq!(container.exec("cat /proc/self/cgroup; cat /sys/fs/cgroup/pids.max")?, "0::/payload\n99");
        let divide =
            "cd /sys/fs/cgroup/payload && mkdir a && echo 0 > a/cgroup.procs && cat /proc/self/cgroup";
        ensure_eq!(container.exec(divide)?, "0::/payload/a");
        container.call("pause").succeeds()?;
        ensure_eq!(container.status()?, "paused");
        container.call("resume").succeeds()?;
        let ps = bench.call(&["ps", "--format", "json", &container.id]).succeeds()?;
        ensure_eq!(ps.text(), format!("[{}]", container.pid()?));
        container.stop()?;
        container.delete()?;
        ensure!(!cgroup.exists(), "{} is left", cgroup.display());
        Ok(())
    });
    suite
        .masu_only(
            "the container's user owns the cgroup of run.oci.delegate-cgroup, not that above",
            |bench| {
                let container = delegating(bench, "/a/b", |config| {
                    config.user_namespace().set("/process/user", json!({"uid": 7, "gid": 8}));
                })?;
                let cgroup = host::cgroup_unified(container.cgroup());
                for (name, owner) in [("", 0), ("a", 0), ("a/b", 100_007), ("a/b/cgroup.procs", 100_007)] {
                    ensure_eq!(owner_of(&cgroup.join(name))?, (owner, 0), "{name}");
                }
                ensure_eq!(container.exec("cat /proc/self/cgroup")?, "0::/a/b");
                Ok(())
            },
        )
        .needs(&[Need::Root]);
    suite.masu_only("run.oci.delegate-cgroup does not lead out of the container's cgroup", |bench| {
        for path in ["..", "a/../../b", "a//b", "./a"] {
            let output = bench.script("true", |config| {
                config.set("/annotations", json!({"run.oci.delegate-cgroup": path}));
            })?;
            let text = format!("annotations[\"run.oci.delegate-cgroup\"]: {path:?} is not a path of cgroups");
            output.fails_with(1, &[&text])?;
        }
        Ok(())
    });
}

/// A sleeper that may write to its cgroups, and has this one below its own.
fn delegating<'b>(bench: &'b Bench<'b>, path: &str, edit: impl FnOnce(&mut Config)) -> Check<Container<'b>> {
    bench.sleeper(|config| {
        config.namespace("cgroup").set("/annotations", json!({"run.oci.delegate-cgroup": path}));
        writable_cgroup(config);
        edit(config);
    })
}

/// Whom the container's cgroup belongs to.
fn owners(suite: &mut Suite) {
    suite.case("a cgroup that the container may write to is its user's, but for the limits", |bench| {
        let container = bench.sleeper(|config| {
            config.user_namespace().namespace("cgroup").set("/process/user", json!({"uid": 7, "gid": 8}));
            writable_cgroup(config);
        })?;
        let list = fs::read_to_string("/sys/kernel/cgroup/delegate")?;
        ensure!(list.lines().any(|file| file == "cgroup.procs"), "the kernel delegates {list:?}");
        let cgroup = host::cgroup_unified(&own_cgroup(&container.pid()?.to_string())?[1..]);
        ensure_eq!(owner_of(&cgroup)?, (100_007, 0));
        for entry in fs::read_dir(&cgroup)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let owner = if list.lines().any(|file| file == name) { 100_007 } else { 0 };
            ensure_eq!(owner_of(&entry.path())?, (owner, 0), "{name}");
        }
        let script = "mkdir /sys/fs/cgroup/below && echo 0 > /sys/fs/cgroup/below/cgroup.procs &&
            if echo 5 > /sys/fs/cgroup/pids.max; then echo its own limit; fi; cut -d: -f3 /proc/self/cgroup";
        ensure_eq!(container.exec(script)?, "/below");
        Ok(())
    });
    suite.case(
        "where the kernel has no list, the user gets the three files that move processes",
        without_list,
    );
    suite.case("without a user namespace a cgroup that is written to is the user's", |bench| {
        let container = bench.sleeper(|config| {
            config.namespace("cgroup").set("/process/user", json!({"uid": 7, "gid": 8}));
            writable_cgroup(config);
        })?;
        let cgroup = host::cgroup_unified(&own_cgroup(&container.pid()?.to_string())?[1..]);
        ensure_eq!(owner_of(&cgroup)?, (7, 0));
        Ok(())
    });
    suite.case("a cgroup that the container may not write to stays root's", |bench| {
        let container = bench.sleeper(|config| {
            config.user_namespace().namespace("cgroup").set("/process/user", json!({"uid": 7, "gid": 8}));
        })?;
        let cgroup = host::cgroup_unified(&own_cgroup(&container.pid()?.to_string())?[1..]);
        ensure_eq!(owner_of(&cgroup)?, (0, 0));
        ensure_eq!(owner_of(&cgroup.join("cgroup.procs"))?, (0, 0));
        Ok(())
    });
    suite.case("without a cgroup namespace of its own a container's cgroup stays root's", |bench| {
        let container = bench.sleeper(|config| {
            config.user_namespace().without_namespace("cgroup");
            writable_cgroup(config);
        })?;
        let cgroup = host::cgroup_unified(&own_cgroup(&container.pid()?.to_string())?[1..]);
        ensure_eq!(owner_of(&cgroup)?, (0, 0));
        Ok(())
    });
    suite.needs(&[Need::CgroupV2, Need::Root, Need::Cgroupfs]);
    suite.case("of a cgroup without the memory controller the user gets what is there", gets_what_is_there);
}

fn without_list(bench: &mut Bench<'_>) -> Check {
    let mut bundle = bench.bundle()?;
    bundle.config.namespace("cgroup").set("/process/user", json!({"uid": 7, "gid": 8}));
    writable_cgroup(&mut bundle.config);
    let container = bench.container(bundle)?;
    let hide = "mount -t tmpfs none /sys/kernel/cgroup && exec \"$0\" \"$@\"";
    let run = container.launch("run", &["--detach"]).behind_shell(hide);
    run.behind("unshare", &["--mount"]).succeeds()?;
    let cgroup = host::cgroup_unified(&own_cgroup(&container.pid()?.to_string())?[1..]);
    let given = ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"];
    ensure_eq!(owner_of(&cgroup)?, (7, 0));
    for entry in fs::read_dir(&cgroup)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = if given.contains(&name.as_str()) { 7 } else { 0 };
        ensure_eq!(owner_of(&entry.path())?, (owner, 0), "{name}");
    }
    Ok(())
}

fn gets_what_is_there(bench: &mut Bench<'_>) -> Check {
    let parent = bench.cgroup_path("full");
    fs::create_dir(host::cgroup_unified(&parent))?;
    let holder = bench.sleeper(|config| {
        config.set("/linux/cgroupsPath", parent.as_str());
    })?;
    let container = bench.sleeper(|config| {
        config.namespace("cgroup").set("/process/user", json!({"uid": 7, "gid": 8}));
        config.set("/linux/cgroupsPath", format!("{parent}/below"));
        writable_cgroup(config);
    })?;
    let cgroup = host::cgroup_unified(&parent).join("below");
    ensure!(!cgroup.join("memory.oom.group").exists(), "there is nothing missing");
    for name in ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] {
        ensure_eq!(owner_of(&cgroup.join(name))?, (7, 0), "{name}");
    }
    for container in [&container, &holder] {
        container.stop()?;
        container.delete()?;
    }
    for left in host::cgroups_of(&bench.tag)? {
        fs::remove_dir(left)?;
    }
    Ok(())
}

fn writable_cgroup(config: &mut Config) {
    config.without_mount("/sys/fs/cgroup");
    config.mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "rw"]);
}

fn owner_of(path: &Path) -> Check<(u32, u32)> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.uid(), metadata.gid()))
}

/// The path of a process in version 2.
fn own_cgroup(pid: &str) -> Check<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    Ok(text.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default().to_owned())
}

/// The options of the file system, which are the same for every mount of it.
fn options_of_version_2() -> Check<String> {
    let text = fs::read_to_string("/proc/self/mountinfo")?;
    let line = text.lines().find(|line| line.contains(" - cgroup2 ")).unwrap_or_default();
    Ok(line.rsplit(' ').next().unwrap_or_default().to_owned())
}
