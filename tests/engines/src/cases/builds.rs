//! Images that are built.

use masu_harness::{Check, ensure_eq};

use crate::bench::Bench;
use crate::engines::podman;
use crate::suite::{DOCKER_LIKE, PODMANS, Suite};
use crate::world::IMAGE;

pub(super) fn add(suite: &mut Suite) {
    suite.case(DOCKER_LIKE, "build", "an image is built by commands in containers", build);
    suite.case(
        PODMANS,
        "buildah",
        "buildah runs commands in a container of its own, and builds by a file",
        buildah,
    );
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

fn buildah(bench: &Bench<'_>) -> Check {
    let call = |words: &[&str]| {
        let output = podman::buildah(bench.world, bench.engine).args(words).succeeds()?;
        Ok::<_, masu_harness::Failure>(output.text().to_owned())
    };
    let (container, image) = (bench.name(), format!("localhost/{}", bench.name()));
    call(&["from", "--pull-never", "--name", &container, IMAGE])?;
    let run = ["run", "--isolation", "oci", "--network", "none", &container, "--", "sh", "-c"];
    ensure_eq!(call(&[&run[..], &["echo $$; echo made >/file"]].concat())?, "1");
    let failed = podman::buildah(bench.world, bench.engine).args(run).arg("exit 7").output()?;
    ensure_eq!(failed.code, Some(7), "{failed}");
    call(&["config", "--cmd", "cat /file", &container])?;
    call(&["commit", "--quiet", "--rm", &container, &image])?;
    ensure_eq!(bench.succeeds(&["run", "--rm", "--network", "none", &image])?, "made");
    let directory = bench.directory()?;
    std::fs::write(directory.join("Containerfile"), format!("FROM {image}\nRUN echo more >>/file\n"))?;
    let second = format!("{image}-second");
    let build = ["build", "--isolation", "oci", "--network", "none", "--tag", &second];
    call(&[&build[..], &[&directory.to_string_lossy()]].concat())?;
    ensure_eq!(bench.succeeds(&["run", "--rm", "--network", "none", &second])?, "made\nmore");
    call(&["rmi", &second, &image])?;
    Ok(())
}
