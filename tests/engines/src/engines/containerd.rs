//! containerd, called by ctr.

use std::fs;
use std::path::Path;

use masu_harness::command::Invocation;
use masu_harness::{Check, ensure};

use crate::bench::Bench;
use crate::engines::{Daemon, cri};
use crate::world::{IMAGE, World, has_systemd};

const DEPLOYED: &str = include_str!("../../../../deploy/containerd/config.toml");

/// Starts containerd at its usual place, and imports the image.
pub(crate) fn start(world: &World) -> Check<Daemon> {
    fs::create_dir_all("/etc/containerd")?;
    let mut deployed = world.deployed(DEPLOYED);
    if has_systemd() {
        deployed = deployed.replace("SystemdCgroup = false", "SystemdCgroup = true");
    }
    fs::write("/etc/containerd/config.toml", cri::configure(world, &deployed)?)?;
    let daemon = start_daemon(world)?;
    for namespace in ["default", "k8s.io"] {
        let import = ["--namespace", namespace, "images", "import"];
        command(world).args(import).arg(world.image_archive()).succeeds()?;
    }
    Ok(daemon)
}

/// containerd alone, at its usual place: also once more, after its end.
pub(crate) fn start_daemon(world: &World) -> Check<Daemon> {
    let containerd = Invocation::new("containerd".as_ref(), world.output());
    Daemon::start(containerd, || command(world).arg("version"))
}

/// Starts another containerd beside the first, with all of its own in `directory`, as what `place` makes of it.
pub(crate) fn start_beside(
    world: &World,
    directory: &Path,
    place: impl FnOnce(Invocation) -> Invocation,
) -> Check<Daemon> {
    let path = |name: &str| directory.join(name).to_string_lossy().into_owned();
    fs::write(path("config.toml"), "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n")?;
    let containerd = Invocation::new("containerd".as_ref(), directory.join("containerd.log"))
        .args(["--config", &path("config.toml"), "--root", &path("root"), "--state", &path("state")])
        .args(["--address", &path("containerd.sock")]);
    Daemon::start(place(containerd), || command_beside(world, directory).arg("version"))
}

/// ctr.
pub(crate) fn command(world: &World) -> Invocation {
    Invocation::new("ctr".as_ref(), world.output()).current_dir(Path::new("/"))
}

/// ctr, for the containerd beside the first.
pub(crate) fn command_beside(world: &World, directory: &Path) -> Invocation {
    command(world).arg("--address").arg(directory.join("containerd.sock"))
}

/// `ctr run OPTIONS IMAGE NAME`, with the runtime under test.
pub(crate) fn run(bench: &Bench<'_>, options: &[&str], name: &str) -> Invocation {
    run_by(bench, &bench.world.runtime.path, options, name)
}

/// The same with another program as the runtime.
pub(crate) fn run_by(bench: &Bench<'_>, runtime: &Path, options: &[&str], name: &str) -> Invocation {
    let run = bench.call(&["run", "--runc-binary"]).arg(runtime);
    // Without words of its own ctr asks for a cgroup by path.
    let driver = if has_systemd() {
        vec!["--runc-systemd-cgroup".to_owned(), "--cgroup".to_owned(), format!("system.slice:ctr:{name}")]
    } else {
        Vec::new()
    };
    run.args(driver).args(options).args([IMAGE, name])
}

/// The cgroup of a container, of all controllers or of version 2.
pub(crate) fn cgroup(name: &str) -> String {
    if has_systemd() { format!("/system.slice/ctr-{name}.scope") } else { format!("/default/{name}") }
}

/// Ends and removes the containers of a case.
pub(crate) fn remove_all(bench: &Bench<'_>, names: &[String]) -> Check {
    for name in names {
        let killed = bench.call(&["tasks", "delete", "--force", name]).output()?;
        let deleted = bench.call(&["containers", "delete", name]).output()?;
        for output in [killed, deleted] {
            ensure!(
                output.code == Some(0) || output.stderr.contains("not found"),
                "a container stays: {output}"
            );
        }
    }
    Ok(())
}
