//! Docker: dockerd, which starts a containerd of its own.

use std::fs;
use std::path::Path;

use masu_harness::Check;
use masu_harness::command::Invocation;
use serde_json::{Value, json};

use crate::engines::Daemon;
use crate::world::{World, has_systemd};

const DEPLOYED: &str = include_str!("../../../../deploy/docker/daemon.json");

/// Debian's way to start it in an ordinary user's namespaces.
const ROOTLESS: &str = "/usr/share/docker.io/contrib/dockerd-rootless.sh";

/// Starts dockerd at its usual place, and loads the image.
pub(crate) fn start(world: &World) -> Check<Daemon> {
    fs::create_dir_all("/etc/docker")?;
    let mut config: Value = serde_json::from_str(&world.deployed(DEPLOYED))?;
    for (name, path) in &world.beside {
        if let Some(runtimes) = config.pointer_mut("/runtimes").and_then(Value::as_object_mut) {
            runtimes.insert(name.clone(), json!({"path": path}));
        }
    }
    fs::write("/etc/docker/daemon.json", config.to_string())?;
    let dockerd = Invocation::new("dockerd".as_ref(), world.dir.join("dockerd"));
    let daemon = Daemon::start(dockerd, || command(world).arg("version"))?;
    command(world).args(["load", "--input"]).arg(world.image_archive()).succeeds()?;
    Ok(daemon)
}

/// Starts the ordinary user's, and loads the image.
pub(crate) fn start_of_user(world: &World) -> Check<Daemon> {
    let config = world.home().join(".config/docker");
    // By herself: podman 5 wants her configuration to be her own.
    world.as_user("mkdir").arg("--parents").arg(&config).succeeds()?;
    fs::write(config.join("daemon.json"), world.deployed(DEPLOYED))?;
    let client = || of_user(world, "docker");
    let daemon = Daemon::start(dockerd_of_user(world), || client().arg("version"))?;
    client().args(["load", "--input"]).arg(world.image_archive()).succeeds()?;
    Ok(daemon)
}

/// The ordinary user's dockerd: a service of her systemd, where there is one to give it cgroups.
fn dockerd_of_user(world: &World) -> Invocation {
    if !has_systemd() {
        return of_user(world, ROOTLESS);
    }
    let path = std::env::var("PATH").unwrap_or_default();
    of_user(world, "systemd-run")
        .args(["--user", "--quiet", "--wait", "--pipe", "--collect", "--property=Delegate=yes"])
        .args([&format!("--setenv=PATH={path}"), ROOTLESS])
}

/// A program of the ordinary user's, who has a dockerd.
pub(crate) fn of_user(world: &World, program: &str) -> Invocation {
    world.as_user(program).env("DOCKER_HOST", format!("unix://{}/docker.sock", world.user_run().display()))
}

/// Another dockerd beside the first, with all of its own in `directory`, as has the containerd that is beside the first and has
/// to run already: one that dockerd starts for itself has 15 seconds to answer, and an emulated processor may need longer.
pub(crate) fn beside(world: &World, directory: &Path) -> Invocation {
    let path = |name: &str| directory.join(name).to_string_lossy().into_owned();
    let runtime = format!("{}={}", world.configured_name(), world.runtime.path.display());
    Invocation::new("dockerd".as_ref(), directory.join("dockerd.log"))
        .args(["--data-root", &path("data"), "--exec-root", &path("exec"), "--pidfile", &path("pid")])
        .args(["--containerd", &path("containerd.sock")])
        .args(["--host", &format!("unix://{}", path("docker.sock")), "--config-file", &path("daemon.json")])
        .args(["--bridge", "none", "--iptables=false", "--ip6tables=false"])
        .args(["--add-runtime", &runtime, "--default-runtime", world.configured_name()])
}

/// Debian's docker.
pub(crate) fn command(world: &World) -> Invocation {
    Invocation::new("docker".as_ref(), world.output()).current_dir(Path::new("/"))
}
