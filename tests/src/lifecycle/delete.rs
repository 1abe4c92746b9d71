//! `delete`.

use crate::harness::{Need, Suite, ensure, ensure_eq, host};

/// Adds the cases.
#[expect(clippy::too_many_lines, reason = "a flat list of cases")]
pub(crate) fn add(suite: &mut Suite) {
    suite.case("`delete` of a stopped container removes its state and its cgroup", |bench| {
        let container = bench.sleeper(|_| {})?;
        container.stop()?;
        container.delete()?;
        ensure!(host::cgroups_of(&container.id)?.is_empty(), "{:?}", host::cgroups_of(&container.id)?);
        bench.call(&["state", &container.id]).output()?.fails_with(1, &["container does not exist"])?;
        Ok(())
    });
    suite.case("`delete` of a created container ends its process", |bench| {
        let container = bench.container(bench.bundle()?)?;
        container.create()?;
        let pid = container.pid()?;
        container.delete()?;
        ensure!(!host::is_alive(pid), "process {pid} is still there");
        Ok(())
    });
    suite.case("`delete` of a running container is refused", |bench| {
        let container = bench.sleeper(|_| {})?;
        let phrase = format!("cannot delete container {} that is not stopped: running", container.id);
        container.call("delete").output()?.fails_with(1, &[&phrase])?;
        ensure_eq!(container.status()?, "running");
        Ok(())
    });
    suite
        .case("`delete` of a paused container is refused", |bench| {
            let container = bench.sleeper(|_| {})?;
            container.call("pause").succeeds()?;
            let phrase = format!("cannot delete container {} that is not stopped: paused", container.id);
            container.call("delete").output()?.fails_with(1, &[&phrase])?;
            Ok(())
        })
        .needs(&[Need::Cgroups]);
    for flag in ["--force", "-f"] {
        suite.case(format!("`delete {flag}` ends and removes a running container"), move |bench| {
            let container = bench.sleeper(|_| {})?;
            let pid = container.pid()?;
            let output = bench.call(&["delete", flag, &container.id]).succeeds()?;
            ensure_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
            ensure!(!host::is_alive(pid), "process {pid} is still there");
            ensure!(!bench.root.join(&container.id).exists(), "the state directory is still there");
            Ok(())
        });
    }
    suite
        .case("`delete --force` ends and removes a paused container", |bench| {
            let container = bench.sleeper(|_| {})?;
            container.call("pause").succeeds()?;
            bench.call(&["delete", "--force", &container.id]).succeeds()?;
            ensure!(host::cgroups_of(&container.id)?.is_empty(), "the cgroup is still there");
            Ok(())
        })
        .needs(&[Need::Cgroups]);
    suite.case("`delete --force` of an unknown id is no error", |bench| {
        bench.call(&["delete", "--force", "nobody"]).succeeds()?;
        Ok(())
    });
    suite.case("`delete` of an unknown id fails", |bench| {
        bench.call(&["delete", "nobody"]).output()?.fails_with(1, &["container does not exist"])?;
        Ok(())
    });
    suite
        .case("`delete` removes cgroups that the container has made below its own", |bench| {
            let container = bench.sleeper(|_| {})?;
            std::fs::create_dir(host::cgroup_v1("memory", &container.id).join("below"))?;
            container.stop()?;
            container.delete()?;
            ensure!(host::cgroups_of(&container.id)?.is_empty(), "{:?}", host::cgroups_of(&container.id)?);
            Ok(())
        })
        .needs(&[Need::CgroupV1]);
    suite.case("`delete` after the bundle was removed still works", |bench| {
        let container = bench.sleeper(|_| {})?;
        container.stop()?;
        std::fs::remove_dir_all(&container.bundle.dir)?;
        container.delete()
    });
}
