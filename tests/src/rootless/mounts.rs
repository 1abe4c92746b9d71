//! Mounts and devices of an ordinary user's container: what the kernel refuses in a user namespace, what a container gets
//! instead, and what cannot be had.

use serde_json::json;

use super::ids::refused;
use crate::harness::config::Config;
use crate::harness::mountinfo::mount_at;
use crate::harness::{Bench, Check, Suite, ensure, ensure_eq};

/// Adds the cases.
pub(super) fn add(suite: &mut Suite) {
    kernel_filesystems(suite);
    locked(suite);
    devices(suite);
    refusals(suite);
}

/// Puts a read-only sysfs in the place of the host's `/sys` that `spec --rootless` binds.
fn sysfs<'a>(config: &'a mut Config, options: &[&str]) -> &'a mut Config {
    let mounts = config.0["mounts"].as_array().cloned().unwrap_or_default();
    if let Some(index) = mounts.iter().position(|mount| mount["destination"] == "/sys") {
        let mount = json!({"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": options});
        config.set(&format!("/mounts/{index}"), mount);
    }
    config
}

fn kernel_filesystems(suite: &mut Suite) {
    suite.case("with a network namespace of its own a container gets a sysfs of its own", |bench| {
        bench.become_user()?;
        let text = bench.inside("ls /sys/class/net", |config| {
            sysfs(config, &["nosuid", "noexec", "nodev", "ro"]).namespace("network");
        })?;
        ensure_eq!(text, "lo");
        Ok(())
    });
    suite.case("with the host's network a read-only sysfs is the host's", |bench| {
        bench.become_user()?;
        let text = bench.inside("ls /sys/class/net", |config| {
            sysfs(config, &["nosuid", "noexec", "nodev", "ro"]);
        })?;
        let host = bench.program("ls").arg("/sys/class/net").succeeds()?;
        ensure_eq!(text, host.text());
        Ok(())
    });
    // CVE-2023-25809.
    suite.case("no cgroup of the host's sysfs can be written", |bench| {
        bench.become_user()?;
        let output = bench.script("cat /proc/self/mountinfo", |config| {
            sysfs(config, &["nosuid", "noexec", "nodev", "ro"]).without_mount("/sys/fs/cgroup");
        })?;
        let output = output.exits_with(0)?;
        let below: Vec<_> = output
            .stdout
            .lines()
            .filter(|line| line.contains(" /sys"))
            .filter(|line| !line.contains(" ro,"))
            .collect();
        ensure!(below.is_empty(), "writable: {below:?}");
        Ok(())
    });
    // CVE-2023-25809.
    suite.case("without a cgroup namespace an ordinary user's container makes no cgroup", |bench| {
        bench.become_user()?;
        let script = "for file in $(find /sys/fs/cgroup -name cgroup.procs); do mkdir ${file%/*}/mine && echo made; done; true";
        let text = bench.inside(script, |config| {
            config.without_namespace("cgroup").capabilities(&["CAP_DAC_OVERRIDE"]);
        })?;
        ensure_eq!(text, "");
        Ok(())
    });
    suite.case("a container without a cgroup sees its caller's, read-only", |bench| {
        bench.become_user()?;
        let script = "for file in $(find /sys/fs/cgroup -name cgroup.procs); do grep -q . $file && echo seen; done; true";
        let text = bench.inside(script, |_| {})?;
        ensure!(text.lines().next() == Some("seen"), "{text}");
        Ok(())
    });
    suite.case("with the host's processes a proc is the host's", |bench| {
        bench.become_user()?;
        let text = bench.inside("readlink /proc/self/ns/pid; [ -d /proc/$$ ] && echo listed", |config| {
            config.without_namespace("pid");
        })?;
        let host = std::fs::read_link("/proc/self/ns/pid")?;
        ensure_eq!(text, format!("{}\nlisted", host.display()));
        Ok(())
    });
}

/// A file system that root has mounted for the user: in a user namespace its options are locked.
fn with_locked_mount(bench: &mut Bench<'_>, options: &str) -> Check<String> {
    let dir = bench.directory("locked")?;
    let script = format!("mount -t tmpfs -o {options} locked {0} && mkdir {0}/below", dir.display());
    let script = if options.contains("ro") { script.replace(" && mkdir", " ; true # mkdir") } else { script };
    bench.become_user()?.prepare(&script)?;
    Ok(dir.to_string_lossy().into_owned())
}

fn locked(suite: &mut Suite) {
    suite.case("a bind mount keeps the locked options of its source when others are added", |bench| {
        let source = with_locked_mount(bench, "nosuid,nodev,noexec")?;
        let text = bench.inside("cat /proc/self/mountinfo", |config| {
            config.mount("/mnt", "none", &source, &["rbind", "ro"]);
        })?;
        let mount = mount_at(&text, "/mnt")?;
        for option in ["ro", "nosuid", "nodev", "noexec"] {
            ensure!(mount.has(option), "no {option}: {mount:?}");
        }
        Ok(())
    });
    suite.case("a locked option cannot be taken away", |bench| {
        let source = with_locked_mount(bench, "nosuid,nodev,noexec")?;
        let output = bench.script("true", |config| {
            config.mount("/mnt", "none", &source, &["rbind", "exec"]);
        })?;
        refused(
            bench,
            output,
            &format!(
                "mounts[7]: mount {source:?} on \"/mnt\": mount_setattr: operation not permitted (EPERM)\nhint: in a user \
                 namespace the options of the host's mount are locked: options can be added, and none be taken away"
            ),
        )
    });
    suite.case("a locked read-only mount cannot be made writable", |bench| {
        let source = with_locked_mount(bench, "ro")?;
        let output = bench.script("true", |config| {
            config.mount("/mnt", "none", &source, &["bind", "rw"]);
        })?;
        refused(
            bench,
            output,
            &format!(
                "mounts[7]: mount {source:?} on \"/mnt\": mount_setattr: operation not permitted (EPERM)\nhint: in a user \
                 namespace the options of the host's mount are locked: options can be added, and none be taken away"
            ),
        )
    });
    suite.case("a root with locked options is made read-only", |bench| {
        bench.become_user()?;
        let bundle = bench.bundle()?;
        let root = bundle.inside("").to_string_lossy().into_owned();
        bench
            .become_user()?
            .prepare(&format!("mount --bind {root} {root} && mount -o remount,bind,nosuid,nodev {root}"))?;
        let mut bundle = bundle;
        bundle.config.shell("cat /proc/self/mountinfo");
        let text = bench.container(bundle)?.run()?.exits_with(0)?.stdout;
        let mount = mount_at(&text, "/")?;
        for option in ["ro", "nosuid", "nodev"] {
            ensure!(mount.has(option), "no {option}: {mount:?}");
        }
        Ok(())
    });
}

fn devices(suite: &mut Suite) {
    suite.case("the default devices are the host's and work", |bench| {
        bench.become_user()?;
        let script = "for name in null zero full random urandom; do [ -c /dev/$name ] || echo no $name; done
            echo x > /dev/null && dd if=/dev/zero bs=3 count=1 2>/dev/null | wc -c; echo x > /dev/full || echo full";
        let text = bench.inside(script, |_| {})?;
        ensure_eq!(text, "3\nfull");
        Ok(())
    });
    suite.case("a device of the configuration is the host's", |bench| {
        bench.become_user()?;
        let text = bench.inside("stat -c '%t:%T' /dev/kmsg", |config| {
            config
                .set("/linux/devices", json!([{"path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11}]));
        })?;
        ensure_eq!(text, "1:b");
        Ok(())
    });
    suite.case("a fifo of the configuration is made", |bench| {
        bench.become_user()?;
        let text = bench.inside("[ -p /dev/pipe ] && stat -c %a /dev/pipe", |config| {
            config.set("/linux/devices", json!([{"path": "/dev/pipe", "type": "p", "fileMode": 0o640}]));
        })?;
        ensure_eq!(text, "640");
        Ok(())
    });
    suite.case("a device that the host does not have is refused by its path", |bench| {
        bench.become_user()?;
        let output = bench.script("true", |config| {
            config.set("/linux/devices", json!([{"path": "/dev/none", "type": "c", "major": 10, "minor": 229}]));
        })?;
        refused(
            bench,
            output,
            "linux.devices[0]: make device 10:229 at \"/dev/none\": open: no such file or directory (ENOENT)\nhint: \
             device nodes cannot be made in a user namespace; the host's \"/dev/none\" would be bound, and it is not \
             that device",
        )
    });
    suite.case("another device of the host in the place of the one that is asked for is refused", |bench| {
        bench.become_user()?;
        let output = bench.script("true", |config| {
            config.set("/linux/devices", json!([{"path": "/dev/kmsg", "type": "c", "major": 10, "minor": 229}]));
        })?;
        refused(
            bench,
            output,
            "linux.devices[0]: make device 10:229 at \"/dev/kmsg\": compare the device number: file exists (EEXIST)\n\
             hint: device nodes cannot be made in a user namespace; the host's \"/dev/kmsg\" would be bound, and it is \
             not that device",
        )
    });
}

fn refusals(suite: &mut Suite) {
    suite.case("a writable sysfs with the host's network is refused", |bench| {
        bench.become_user()?;
        let output = bench.script("true", |config| {
            sysfs(config, &[]);
        })?;
        refused(
            bench,
            output,
            "mounts[5]: mount sysfs on \"/sys\": fsopen: operation not permitted (EPERM)\nhint: a new sysfs needs a \
             network namespace of the container's own user namespace; the host's will do: \"type\": \"none\", \
             \"source\": \"/sys\", \"options\": [\"rbind\", \"ro\"]",
        )
    });
    suite.case("a disk's file system is refused", |bench| {
        bench.become_user()?;
        let output = bench.script("true", |config| {
            config.mount("/mnt", "ext4", "/dev/none", &[]);
        })?;
        refused(
            bench,
            output,
            "mounts[7]: mount ext4 on \"/mnt\": fsconfig create: operation not permitted (EPERM)\nhint: this file \
             system cannot be mounted in a user namespace; the host could mount it, and the mount be bound",
        )
    });
    suite.case("a group of a mount that is not mapped is refused", |bench| {
        bench.become_user()?;
        let output = bench.script("true", |config| {
            config.push("/mounts/2/options", json!("gid=5"));
        })?;
        refused(
            bench,
            output,
            "mounts[2].options: gid=5 is not mapped by linux.gidMappings\nhint: leave it out, or map it",
        )
    });
    suite.case("without a user namespace an ordinary user is refused", |bench| {
        bench.become_user()?;
        let output = bench.script("true", |config| {
            config.without_namespace("user").remove("/linux", "uidMappings").remove("/linux", "gidMappings");
        })?;
        refused(
            bench,
            output,
            "linux.namespaces: this container needs root, or a user namespace in linux.namespaces\nhint: run masu as \
             root, or add a namespace of type user with its id mappings",
        )
    });
}
