//! Volumes and other file systems, and ids that are mapped.

use masu_harness::command::Invocation;
use masu_harness::{Check, ensure, ensure_eq, host};

use crate::bench::Bench;
use crate::suite::{DOCKER_LIKE, Engine, PODMANS, Suite, WITH_CGROUPS};

pub(super) fn add(suite: &mut Suite) {
    suite.case(DOCKER_LIKE, "volumes", "a bound directory is written to, and read-only it is not", bound);
    suite.case(DOCKER_LIKE, "volumes", "a named volume outlives its container", named);
    suite.case(WITH_CGROUPS, "volumes, propagated", "what is mounted on the host later is seen", propagated);
    suite.case(
        WITH_CGROUPS,
        "volumes, propagated",
        "what a container mounts is seen on the host when shared",
        shared,
    );
    suite.case(DOCKER_LIKE, "--read-only", "nothing of a read-only root is written but a tmpfs", read_only);
    suite.case(DOCKER_LIKE, "devices", "a device is there when asked for", device);
    suite.case(PODMANS, "user namespaces", "ids are mapped as asked", mapped);
    suite.case(DOCKER_LIKE, "copy", "files go in and out of a container", copy);
}

fn bound(bench: &Bench<'_>) -> Check {
    let directory = bench.directory()?;
    let path = directory.display();
    bench
        .script(&["--volume", &format!("{path}:/data")], "echo written >/data/file; chmod 644 /data/file")?;
    ensure_eq!(host::read_trimmed(directory.join("file"))?, "written");
    let option = format!("{path}:/data:ro");
    let text = bench.script(
        &["--volume", &option],
        "cat /data/file; echo >/data/other; test -e /data/other || echo refused",
    )?;
    ensure_eq!(text, "written\nrefused");
    Ok(())
}

fn named(bench: &Bench<'_>) -> Check {
    let volume = format!("{}-volume", bench.name());
    let option = format!("{volume}:/data");
    bench.script(&["--volume", &option], "echo kept >/data/file")?;
    ensure_eq!(bench.script(&["--volume", &option], "cat /data/file")?, "kept");
    bench.succeeds(&["volume", "rm", &volume])?;
    Ok(())
}

/// A mount point of its own, which propagates.
fn shared_mount(bench: &Bench<'_>) -> Check<std::path::PathBuf> {
    let directory = bench.directory()?;
    let path = directory.to_string_lossy().into_owned();
    bench.world.succeeds("mount", &["-t", "tmpfs", "tmpfs", &path])?;
    bench.world.succeeds("mount", &["--make-shared", &path])?;
    Ok(directory)
}

fn unmount(bench: &Bench<'_>, directory: &std::path::Path) -> Check {
    let mut umount = Invocation::new("umount".as_ref(), bench.world.output());
    umount = umount.args(["--recursive", "--lazy"]).arg(directory);
    umount.succeeds()?;
    Ok(())
}

fn propagated(bench: &Bench<'_>) -> Check {
    let directory = shared_mount(bench)?;
    std::fs::create_dir(directory.join("below"))?;
    let name = bench.sleeper(&["--volume", &format!("{}:/data:rslave", directory.display())])?;
    bench.world.succeeds("mount", &["-t", "tmpfs", "late", &directory.join("below").to_string_lossy()])?;
    ensure_eq!(bench.exec(&name, "grep -c ' /data/below ' /proc/mounts")?, "1");
    unmount(bench, &directory)
}

fn shared(bench: &Bench<'_>) -> Check {
    let directory = shared_mount(bench)?;
    let volume = format!("{}:/data:rshared", directory.display());
    let options = ["--volume", &volume, "--cap-add", "sys_admin", "--security-opt", "seccomp=unconfined"];
    let script =
        "mkdir /data/inner && mount -t tmpfs inner /data/inner && echo mounted; while :; do sleep 0.1; done";
    let name = bench.detached_script(&[&options[..], bench.without_apparmor()].concat(), script)?;
    bench.until_logged(&name, "mounted")?;
    let inner = directory.join("inner").to_string_lossy().into_owned();
    let mounts = std::fs::read_to_string("/proc/self/mounts")?;
    ensure!(mounts.contains(&format!("inner {inner} ")), "not on the host:\n{mounts}");
    unmount(bench, &directory)
}

fn read_only(bench: &Bench<'_>) -> Check {
    let options = ["--read-only", "--tmpfs", "/scratch:size=1m,mode=1777"];
    let text = bench.script(&options, "echo >/file; echo >/scratch/file; ls -d /file /scratch/file 2>/dev/null; df -k /scratch | awk 'END {print $2}'; exit 0")?;
    ensure_eq!(text, "/scratch/file\n1024");
    Ok(())
}

fn device(bench: &Bench<'_>) -> Check {
    ensure_eq!(
        bench.script(
            &["--device", "/dev/fuse"],
            "test -c /dev/fuse && echo there; test -e /dev/net/tun || echo none"
        )?,
        "there\nnone"
    );
    Ok(())
}

fn mapped(bench: &Bench<'_>) -> Check {
    let (uids, gids): (&str, &str) = match bench.engine {
        Engine::Podman => ("0:700000:1000", "0:800000:1000"),
        // In an ordinary user's own namespace, where 0 is the user and 1 the first granted id.
        _ => ("0:1:1000", "0:1:1000"),
    };
    let name = bench.sleeper(&["--uidmap", uids, "--gidmap", gids])?;
    let pid: i32 = bench.inspect(&name, "{{.State.Pid}}")?.parse()?;
    let outside = (host::status_field(pid, "Uid")?, host::status_field(pid, "Gid")?);
    let id = |id: u32| [id.to_string(), id.to_string(), id.to_string(), id.to_string()].join("\t");
    ensure_eq!(outside, (id(700_000), id(800_000)));
    ensure_eq!(bench.exec(&name, "id -u; touch /tmp/x && stat -c %u /tmp/x")?, "0\n0");
    Ok(())
}

fn copy(bench: &Bench<'_>) -> Check {
    let name = bench.sleeper(&[])?;
    let directory = bench.directory()?;
    let (there, back) = (directory.join("there"), directory.join("back"));
    std::fs::write(&there, "content")?;
    let (there, target) = (there.to_string_lossy().into_owned(), format!("{name}:/tmp/file"));
    bench.succeeds(&["cp", &there, &target])?;
    ensure_eq!(bench.exec(&name, "cat /tmp/file")?, "content");
    bench.succeeds(&["cp", &target, &back.to_string_lossy()])?;
    ensure_eq!(host::read_trimmed(&back)?, "content");
    Ok(())
}
