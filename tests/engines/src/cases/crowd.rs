//! Many containers at once.

use masu_harness::command::Running;
use masu_harness::{Check, ensure_eq};

use crate::bench::Bench;
use crate::suite::{Suite, WITH_CGROUPS};

/// At a time: podman has its own locks, and this machine its processors.
const AT_ONCE: usize = 10;

pub(super) fn add(suite: &mut Suite) {
    suite.case(
        WITH_CGROUPS,
        "a hundred at once",
        "a hundred containers run at the same time, and go",
        hundred,
    );
}

fn hundred(bench: &Bench<'_>) -> Check {
    let names: Vec<_> = (0..100).map(|_| bench.name()).collect();
    let run = ["run", "--detach", "--network", "none", "--name"];
    each(&names, |name| {
        bench.call(&[&run, &[name, crate::world::IMAGE, "sleep", "1000"][..]].concat()).spawn()
    })?;
    let prefix = format!("name=^{}-", bench.tag());
    let count = || {
        Ok::<_, masu_harness::Failure>(
            bench.succeeds(&["ps", "--quiet", "--filter", &prefix])?.lines().count(),
        )
    };
    ensure_eq!(count()?, 100);
    each(&names, |name| bench.call(&["kill", name]).spawn())?;
    masu_harness::host::until("all have ended", || Ok(count()? == 0))
}

/// A command for each, a few at a time; all succeed.
fn each(names: &[String], command: impl Fn(&str) -> Check<Running>) -> Check {
    for chunk in names.chunks(AT_ONCE) {
        let running: Vec<_> = chunk.iter().map(|name| command(name)).collect::<Check<_>>()?;
        for command in running {
            command.wait()?.exits_with(0)?;
        }
    }
    Ok(())
}
