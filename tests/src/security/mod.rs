//! The rules that keep containers contained, each as an attack.

mod descriptors;
mod engine_file;
mod races;
mod symlinks;
mod terminal;

use serde_json::json;

use crate::exec::sets;
use crate::harness::{Need, Suite, ensure, ensure_eq};

/// The suite.
pub(crate) fn suite() -> Suite {
    let mut suite = Suite::new("security");
    engine_file::add(&mut suite);
    descriptors::add(&mut suite);
    symlinks::add(&mut suite);
    races::add(&mut suite);
    terminal::add(&mut suite);
    defaults(&mut suite);
    suite
}

#[expect(clippy::too_many_lines, reason = "a flat list of cases")]
fn defaults(suite: &mut Suite) {
    // CVE-2022-24769, -29162, -27649 and their kin.
    suite.case("the default config has no inheritable capability", |bench| {
        let set = &bench.world.default_config["process"]["capabilities"]["inheritable"];
        ensure!(set.as_array().is_none_or(Vec::is_empty), "{set}");
        let text = bench.inside("cat /proc/self/status", |_| {})?;
        ensure_eq!(sets(&text).first(), Some(&0));
        Ok(())
    });
    suite
        .case("with `--no-pivot` too a user namespace inside mounts no procfs or sysfs without the masks", |bench| {
            let mut bundle = bench.bundle()?;
            for set in ["bounding", "permitted", "effective"] {
                // To map root, user_namespaces(7).
                bundle.config.push(&format!("/process/capabilities/{set}"), json!("CAP_SETFCAP"));
            }
            bundle.config.shell(
                "unshare -mrpf sh -c 'mount -t tmpfs none /mnt && echo mounts; mount -t proc none /mnt || echo no proc' 2>&1
                 unshare -mrn sh -c 'mount -t sysfs none /mnt || echo no sysfs' 2>&1",
            );
            let output = bench.container(bundle)?.launch("run", &["--no-pivot"]).output()?.exits_with(0)?;
            let lines: Vec<_> = output.text().lines().filter(|line| !line.contains("ermission denied")).collect();
            ensure_eq!(lines, ["mounts", "no proc", "no sysfs"]);
            Ok(())
        })
        .needs(&[Need::Root]);
    suite.case("with the default config nothing can be mounted", |bench| {
        let output = bench.script("mount -t tmpfs none /mnt", |_| {})?.exits_with(1)?;
        ensure!(output.stderr.contains("ermission denied"), "{output}");
        Ok(())
    });
    // CVE-2023-25809, CVE-2022-0492.
    suite.masu_only(
        "a writable cgroup mount without a cgroup namespace is read-only, with a warning",
        |bench| {
            let output = bench.script("true", |config| {
                config.without_namespace("cgroup").without_mount("/sys/fs/cgroup");
                config.mount("/sys/fs/cgroup", "cgroup", "cgroup", &["rw", "nosuid"]);
            })?;
            let output = output.exits_with(0)?;
            ensure!(
                output.stderr.contains("the host's cgroups are read-only without a cgroup namespace"),
                "{output}"
            );
            ensure_eq!(output.stderr.matches("read-only without").count(), 1, "{output}");
            Ok(())
        },
    );
    suite.case("without a cgroup namespace no cgroup can be made or changed", |bench| {
        let script =
            "cd /sys/fs/cgroup; mkdir pids/mine; echo 1 > pids/pids.max; echo x > memory/release_agent; true";
        let output = bench.script(script, |config| {
            config.without_namespace("cgroup").capabilities(&["CAP_DAC_OVERRIDE"]);
        })?;
        ensure_eq!(output.stderr.matches("Read-only file system").count(), 3, "{output}");
        Ok(())
    }).needs(&[Need::CgroupV1]);
    suite.case("procfs of the host cannot be written even by root inside", |bench| {
        let script = "for f in sys/kernel/core_pattern sysrq-trigger sys/kernel/hostname; do
            (echo x > /proc/$f) 2>/dev/null && echo written $f; done; true";
        let text = bench.inside(script, |config| {
            config.capabilities(&["CAP_DAC_OVERRIDE"]);
        })?;
        ensure_eq!(text, "");
        Ok(())
    });
    suite.case("devices of the host cannot be opened through a node made inside", |bench| {
        let number = rustix::fs::stat("/")?.st_dev;
        let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
        let script = format!("mknod /dev/disk b {major} {minor}; head -c 1 /dev/disk");
        let output = bench.script(&script, |config| {
            config.capabilities(&["CAP_MKNOD", "CAP_DAC_OVERRIDE"]);
        })?;
        output.fails_with(1, &["Operation not permitted"])?;
        Ok(())
    });
    // CVE-2021-43784: the lengths of what is handed to the child must not overflow.
    suite.case("a very long mount path is a clean error", |bench| {
        let long = format!("/{}", "x/".repeat(40_000));
        let output = bench.script("true", |config| {
            config.mount(&long, "tmpfs", "tmpfs", &[]);
        })?;
        output.exits_with(1)?;
        Ok(())
    });
    suite.case("very many id maps are a clean error or work", |bench| {
        let maps: Vec<_> =
            (0..5000).map(|id| json!({"containerID": id, "hostID": 100_000 + id, "size": 1})).collect();
        let output = bench.script("echo runs", |config| {
            config.user_namespace().set("/linux/uidMappings", maps.clone()).set("/linux/gidMappings", maps);
        })?;
        ensure!(output.code == Some(1) && output.stdout.is_empty(), "{output}");
        Ok(())
    });
}
