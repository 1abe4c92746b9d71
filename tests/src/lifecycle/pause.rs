//! `pause` and `resume`.

use crate::harness::{Need, Suite, ensure_eq, host};

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    suite
        .case("`pause` freezes the cgroup and `resume` thaws it", |bench| {
            let container = bench.sleeper(|_| {})?;
            let [file, frozen, thawed] = match host::is_unified() {
                true => ["cgroup.freeze", "1", "0"],
                false => ["freezer.state", "FROZEN", "THAWED"],
            };
            let state = host::cgroup("freezer", container.cgroup()).join(file);
            let output = container.call("pause").succeeds()?;
            ensure_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
            ensure_eq!(container.status()?, "paused");
            ensure_eq!(host::read_trimmed(&state)?, frozen);
            container.call("resume").succeeds()?;
            ensure_eq!(container.status()?, "running");
            ensure_eq!(host::read_trimmed(&state)?, thawed);
            Ok(())
        })
        .needs(&[Need::Cgroups]);
    suite
        .case("a paused process does nothing until `resume`", |bench| {
            let mut bundle = bench.bundle()?;
            bundle.config.writable().shell("i=0; while :; do i=$((i+1)); echo $i > /run/count; done");
            let count = bundle.inside("run/count");
            let container = bench.container(bundle)?;
            container.run_detached()?;
            host::until("it counts", || Ok(count.exists()))?;
            container.call("pause").succeeds()?;
            let before = host::read_trimmed(&count)?;
            container.call("ps").succeeds()?;
            ensure_eq!(host::read_trimmed(&count)?, before);
            container.call("resume").succeeds()?;
            host::until("it counts on", || Ok(host::read_trimmed(&count)? != before))
        })
        .needs(&[Need::Cgroups]);
    suite.case("a stopped container cannot be paused", |bench| {
        let container = bench.sleeper(|_| {})?;
        container.stop()?;
        container.call("pause").output()?.fails_with(1, &["not running"])?;
        Ok(())
    });
    suite.case("a container that is not paused cannot be resumed", |bench| {
        let container = bench.sleeper(|_| {})?;
        container.call("resume").output()?.fails_with(1, &["not paused"])?;
        Ok(())
    });
    for command in ["pause", "resume"] {
        suite.case(format!("`{command}` of an unknown id fails"), move |bench| {
            bench.call(&[command, "nobody"]).output()?.fails_with(1, &["container does not exist"])?;
            Ok(())
        });
    }
}
