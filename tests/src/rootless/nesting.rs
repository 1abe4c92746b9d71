//! The runtime inside of its own containers, and in other places where much of the host is missing.

use std::fs;

use serde_json::json;

use super::ids::refused;
use crate::harness::{Bench, Bundle, Check, Suite, ensure, ensure_eq};

/// Adds the cases. A runtime that is linked with shared libraries is not to be had in a busybox root.
pub(super) fn add(suite: &mut Suite) {
    suite.masu_only("root nests containers three deep in cgroups of their own", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.namespace("cgroup");
        let mounts = bundle.config.0["mounts"].as_array().cloned().unwrap_or_default();
        if let Some(index) = mounts.iter().position(|mount| mount["type"] == "cgroup") {
            bundle.config.set(&format!("/mounts/{index}/options"), json!(["nosuid", "noexec", "nodev"]));
        }
        three_deep(bench, bundle, "")
    });
    suite.masu_only("root nests containers three deep without cgroups when told to", |bench| {
        three_deep(bench, bench.bundle()?, "--rootless true")
    });
    suite.masu_only("where cgroups are read-only, root is told to do without", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.writable().capabilities(&NESTING).set("/process/noNewPrivileges", false);
        install(bench, &mut bundle, "masu --root /run/masu run --bundle /nest inner")?;
        let output = bench.container(bundle)?.run()?.exits_with(1)?;
        let (message, hint) = output.stderr.split_once('\n').unwrap_or_default();
        ensure!(message.ends_with("read-only file system (EROFS)"), "{output}");
        let expected = "hint: the cgroups are read-only here, as in a container without cgroups of its own: --rootless \
                        true does without them";
        ensure_eq!(hint.trim_end(), expected);
        Ok(())
    });
    suite.masu_only("an ordinary user nests containers three deep", |bench| {
        bench.become_user()?;
        let bundle = bench.bundle()?;
        three_deep(bench, bundle, "")
    });
    suite.masu_only("an ordinary user with granted ids nests containers three deep", |bench| {
        bench.become_user()?;
        let mut bundle = bench.bundle()?;
        super::ids::ranges(&mut bundle.config, crate::harness::user::GRANTED);
        three_deep(bench, bundle, "")
    });
    refusals(suite);
    odd_places(suite);
    odd_callers(suite);
}

fn refusals(suite: &mut Suite) {
    suite.masu_only("in a container without CAP_SYS_ADMIN a user namespace is asked for", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.writable();
        install(bench, &mut bundle, "masu --root /run/masu run --bundle /nest inner")?;
        let output = bench.container(bundle)?.run()?;
        refused(
            bench,
            output,
            "linux.namespaces: this container needs root, or a user namespace in linux.namespaces\nhint: run masu as \
             root, or add a namespace of type user with its id mappings",
        )
    });
    suite.masu_only("in a container whose /proc is masked and that cannot change it, no new one is mounted", |bench| {
        bench.become_user()?;
        let mut bundle = bench.bundle()?;
        bundle.config.writable().capabilities(&["CAP_SETFCAP"]);
        install(bench, &mut bundle, "masu --root /run/masu run --bundle /nest inner")?;
        let mut output = bench.container(bundle)?.run()?;
        // Newer kernels say in their log of the mount what it is.
        output.stderr = output.stderr.replace(": VFS: Mount too revealing", "");
        refused(
            bench,
            output,
            "mounts[0]: mount proc on \"/proc\": fsmount: operation not permitted (EPERM)\nhint: the container around \
             this one masks parts of /proc, and so the kernel allows no new one: run it with --security-opt unmask=ALL \
             (podman, masu box), --security-opt systempaths=unconfined (docker) or procMount: Unmasked (Kubernetes); or \
             without a pid namespace for this one (masu box --ns ipc,uts,cgroup)",
        )
    });
    suite.masu_only("in a container without masks and without CAP_SYS_ADMIN containers run", |bench| {
        bench.become_user()?;
        let mut bundle = bench.bundle()?;
        bundle.config.writable().capabilities(&["CAP_SETFCAP"]);
        bundle.config.set("/linux/maskedPaths", json!([])).set("/linux/readonlyPaths", json!([]));
        let script = "[ $$ = 1 ] && [ -e /nested ] && echo inside || { touch /nested; masu --root /run/masu run \
                      --bundle /nest inner; }";
        install(bench, &mut bundle, script)?;
        let output = bench.container(bundle)?.run()?.exits_with(0)?;
        ensure_eq!(output.text(), "inside");
        Ok(())
    });
    suite.masu_only("root without CAP_SETFCAP cannot be mapped once more, and is told so", |bench| {
        bench.become_user()?;
        let mut bundle = bench.bundle()?;
        bundle.config.writable();
        install(bench, &mut bundle, "masu --root /run/masu run --bundle /nest inner")?;
        let output = bench.container(bundle)?.run()?;
        refused(
            bench,
            output,
            "linux.uidMappings: write \"0 0 1\" to uid_map: operation not permitted (EPERM)\nhint: mapping the user 0 \
             that masu runs as takes CAP_SETFCAP: give it to the container that masu is in",
        )
    });
    suite.masu_only("where user namespaces are switched off, the sysctl is named", switched_off);
}

fn switched_off(bench: &mut Bench<'_>) -> Check {
    bench.become_user()?;
    let bundle = bench.bundle()?;
    bundle.write()?;
    let config = fs::read_to_string(bundle.dir.join("config.json"))?;
    let ids = format!("\"hostID\": {}", crate::harness::user::UID);
    let gids = format!("\"hostID\": {}", crate::harness::user::GID);
    let config = config.replace(&ids, "\"hostID\": 0").replace(&gids, "\"hostID\": 0");
    fs::write(bundle.dir.join("config.json"), config)?;
    // Below a user namespace of one's own its root sets the limit.
    let script = "echo 0 > /proc/sys/user/max_user_namespaces; exec \"$@\"";
    let program = bench.world.public_program()?;
    let output = bench
        .as_user("unshare")
        .args(["--user", "--map-root-user", "sh", "-c", script, "sh"])
        .arg(program)
        .arg("--root")
        .arg(&bench.root)
        .args(["run", "--bundle"])
        .arg(&bundle.dir)
        .arg(&bundle.name)
        .output()?;
    refused(
        bench,
        output,
        "linux.namespaces: make the namespaces user, pid, mount, uts: clone3: no space left on device (ENOSPC)\n\
             hint: user namespaces are switched off here: as root, sysctl user.max_user_namespaces=10000",
    )
}

/// What a nested engine needs: mounts, namespaces, device nodes, other users.
const NESTING: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_ADMIN",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_ADMIN",
    "CAP_SYS_CHROOT",
    "CAP_AUDIT_WRITE",
];

/// Puts the runtime and a bundle into a bundle's root: `/nest`, whose root is the container's own. The container runs
/// `script`, and so does every one within.
fn install(bench: &Bench<'_>, bundle: &mut Bundle, script: &str) -> Check {
    fs::copy(bench.world.public_program()?, bundle.inside("/bin/masu"))?;
    bundle.config.shell(script);
    let mut inner = bundle.config.clone();
    inner.set("/root/path", "/").remove("/linux", "cgroupsPath");
    for map in ["uidMappings", "gidMappings"] {
        for (index, entry) in inner.0["linux"][map].as_array().cloned().unwrap_or_default().iter().enumerate()
        {
            // What was mapped to the first id outside is that id now.
            inner.set(&format!("/linux/{map}/{index}/hostID"), entry["containerID"].clone());
        }
    }
    fs::create_dir(bundle.inside("/nest"))?;
    fs::write(bundle.inside("/nest/config.json"), serde_json::to_vec(&inner.0)?)?;
    bench.give(&bundle.dir)
}

fn three_deep(bench: &Bench<'_>, mut bundle: Bundle, options: &str) -> Check {
    bundle.config.writable().capabilities(&NESTING).set("/process/noNewPrivileges", false);
    bundle.config.push("/process/env", json!("DEPTH=1"));
    let script = format!(
        "echo $DEPTH $(id -un); [ $DEPTH = 3 ] && exit 5; next=$((DEPTH + 1)); mkdir -p /nest/$next
        sed \"s/DEPTH=$DEPTH\\\"/DEPTH=$next\\\"/\" /nest/config.json > /nest/$next/config.json
        cp /nest/$next/config.json /nest/config.json
        masu {options} --root /run/masu$next run --bundle /nest/$next inner$next 2> /nest/error$next
        code=$?; [ $code = 5 ] || cat /nest/error$next >&2; ls /run/masu$next; exit $code"
    );
    install(bench, &mut bundle, &script)?;
    let output = bench.container(bundle)?.run()?.exits_with(5)?;
    ensure_eq!(output.text(), "1 root\n2 root\n3 root", "{output}");
    Ok(())
}

/// The runtime in a root of its own, entered as root by a script that prepares it.
fn inside_root(bench: &Bench<'_>, prepare: &str, enter: &str) -> Check<crate::harness::command::Output> {
    let mut bundle = bench.bundle()?;
    install(bench, &mut bundle, "echo inside")?;
    let root = bundle.inside("").to_string_lossy().trim_end_matches('/').to_owned();
    let run = format!("/bin/masu --root /run/masu run --bundle /nest {}", bundle.name);
    let script = format!("cd {root}; {prepare}\nexec {enter} {root} {run}");
    bench.program("unshare").args(["--mount", "--propagation", "private", "sh", "-c", &script]).output()
}

fn odd_places(suite: &mut Suite) {
    suite.masu_only("in a chroot that is a mount a container runs", |bench| {
        let prepare = "mount --rbind . .; cd $PWD; mount -t proc proc proc; mount --rbind /dev dev; mount --rbind /sys sys";
        let output = inside_root(bench, prepare, "chroot")?.exits_with(0)?;
        ensure_eq!(output.text(), "inside");
        Ok(())
    });
    suite.masu_only("in a chroot that is no mount root is told to make it one", |bench| {
        let prepare = "mount -t proc proc proc; mount --rbind /dev dev; mount --rbind /sys sys";
        let output = inside_root(bench, prepare, "chroot")?;
        refused(
            bench,
            output,
            "linux.rootfsPropagation: change the propagation of mounts: change the propagation: invalid argument (EINVAL)\n\
             hint: / is no mount here, as in a chroot: mount --bind DIR DIR before chroot DIR makes it one",
        )
    });
    suite.masu_only("without /proc root is told to mount it", |bench| {
        let output = inside_root(bench, "mount --rbind . .; cd $PWD", "chroot")?;
        refused(bench, output, "/proc: is not a procfs\nhint: mount -t proc proc /proc")
    });
    suite.masu_only("without cgroups root is told to mount them, or to do without", |bench| {
        let prepare = "mount --rbind . .; cd $PWD; mount -t proc proc proc; mount --rbind /dev dev";
        let output = inside_root(bench, prepare, "chroot")?;
        refused(
            bench,
            output,
            "cgroup: no cgroup file system is mounted\nhint: mount cgroup2 on /sys/fs/cgroup, or do without: --rootless \
             true",
        )
    });
}

fn odd_callers(suite: &mut Suite) {
    suite.case("as process 1 of a pid namespace a container runs", |bench| {
        let bundle = bench.bundle()?;
        let mut bundle = bundle;
        bundle.config.shell("echo inside");
        bundle.write()?;
        let output = bench
            .program("unshare")
            .args(["--pid", "--fork", "--mount-proc"])
            .arg(&bench.runtime().path)
            .arg("--root")
            .arg(&bench.root)
            .args(["run", "--bundle"])
            .arg(&bundle.dir)
            .arg(&bundle.name)
            .succeeds()?;
        ensure_eq!(output.text(), "inside");
        Ok(())
    });
    suite.case("without any environment a container runs", |bench| {
        let user = bench.become_user()?;
        user.etc("passwd", "")?;
        let mut bundle = bench.bundle()?;
        bundle.config.shell("echo inside");
        bundle.write()?;
        let program = bench.world.public_program()?;
        let call =
            bench.as_user("env").arg("--ignore-environment").arg(program).arg("--root").arg(&bench.root);
        let output = call.args(["run", "--bundle"]).arg(&bundle.dir).arg(&bundle.name).succeeds()?;
        ensure_eq!(output.text(), "inside");
        Ok(())
    });
}
