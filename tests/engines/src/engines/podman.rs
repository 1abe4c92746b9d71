//! podman: no daemon; root's, and an ordinary user's.

use std::fs;
use std::path::Path;

use masu_harness::Check;
use masu_harness::command::Invocation;

use crate::suite::Engine;
use crate::world::{World, has_systemd};

const DEPLOYED: &str = include_str!("../../../../deploy/podman/masu.conf");
/// No journal is needed, which would be asked for events and logs where there is one. A conmon whose runtime could not
/// give it a terminal leaves its socket in TMPDIR; /dev/shm is everybody's, and goes with the world.
const FILES: &str = r#"[engine]
events_logger = "file"
conmon_env_vars = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR=/dev/shm"]
[containers]
log_driver = "k8s-file"
"#;
/// podman raises limits by default, which takes CAP_SYS_RESOURCE: root does not have it everywhere.
const LIMITS: &str = "default_ulimits = [\"nofile=1024:20000\", \"nproc=32768:32768\"]\n";

/// Configures it, and loads the image.
pub(crate) fn prepare(world: &World, engine: Engine) -> Check {
    let directory = Path::new("/etc/containers/containers.conf.d");
    fs::create_dir_all(directory)?;
    fs::write(directory.join("masu.conf"), world.deployed(DEPLOYED))?;
    let limits = if has_systemd() { "" } else { LIMITS };
    fs::write("/etc/containers/containers.conf", format!("{FILES}{limits}"))?;
    command(world, engine).args(["load", "--quiet", "--input"]).arg(world.image_archive()).succeeds()?;
    Ok(())
}

/// podman, called by root or by the ordinary user.
pub(crate) fn command(world: &World, engine: Engine) -> Invocation {
    called(world, engine, "podman")
}

/// buildah, which has podman's configuration and images.
pub(crate) fn buildah(world: &World, engine: Engine) -> Invocation {
    called(world, engine, "buildah")
}

fn called(world: &World, engine: Engine, program: &str) -> Invocation {
    if engine == Engine::Podman {
        // podman's conmon notes an OOM kill in the working directory.
        return Invocation::new(program.as_ref(), world.output()).current_dir(&world.dir);
    }
    world.as_user(program)
}
