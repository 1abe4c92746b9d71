//! Images that are built.

use masu_harness::{Check, ensure_eq};

use crate::bench::Bench;
use crate::suite::{DOCKER_LIKE, Suite};
use crate::world::IMAGE;

pub(super) fn add(suite: &mut Suite) {
    suite.case(DOCKER_LIKE, "build", "an image is built by commands in containers", build);
}

fn build(bench: &Bench<'_>) -> Check {
    let directory = bench.directory()?;
    let image = format!("localhost/{}", bench.name());
    let file = format!(
        "FROM {IMAGE}\nRUN echo built-$(id -u) >/file\nRUN [\"cat\", \"/file\"]\nCMD [\"cat\", \"/file\"]\n"
    );
    std::fs::write(directory.join("Dockerfile"), file)?;
    let path = directory.to_string_lossy().into_owned();
    let how: &[&str] = if bench.is_podman() { &["--isolation", "oci"] } else { &[] };
    let build = ["build", "--network", "none", "--no-cache", "--tag", &image];
    bench.call(&build).args(how).arg(&path).env("DOCKER_BUILDKIT", "0").succeeds()?;
    ensure_eq!(bench.succeeds(&["run", "--rm", "--network", "none", &image])?, "built-0");
    bench.succeeds(&["rmi", &image])?;
    Ok(())
}
