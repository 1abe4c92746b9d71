//! An ordinary user who comes from elsewhere than the user's own systemd, as a session of ssh does: from there the kernel
//! lets nobody into a scope below it.

use std::fs;

use crate::harness::command::Invocation;
use crate::harness::config::Config;
use crate::harness::{Need, Suite, Surroundings, ensure, fail, host};

/// Adds the cases.
pub(super) fn add(suite: &mut Suite) {
    suite
        .case(
            "a user from outside of the user's systemd makes a container in a scope, and enters it",
            |bench| {
                let (uid, directory) =
                    Surroundings::systemd_of_user().ok_or_else(|| fail("no user has a systemd"))?;
                let mut bundle = bench.bundle()?;
                let state = bench.directory("state-of-user")?;
                bench.program("chown").args(["-R", &uid]).arg(&bundle.dir).arg(&state).succeeds()?;
                let program = bench.world.public_program()?;
                let call = |words: &[&str]| -> Invocation {
                    // A service of the system's, which is as far away as a session.
                    let outside =
                        bench.program("systemd-run").args(["--quiet", "--pipe", "--wait", "--collect"]);
                    let outside =
                        outside.args(["--uid", &uid, "--setenv"]).arg(format!("XDG_RUNTIME_DIR={directory}"));
                    let outside = outside.arg(&program).args(["--systemd-cgroup", "--root"]).arg(&state);
                    outside.args(words)
                };
                let directory = bundle.dir.to_string_lossy().into_owned();
                fs::remove_file(bundle.dir.join("config.json")).ok(); // ignored: nobody has written it yet
                call(&["spec", "--rootless", "--bundle", &directory]).succeeds()?;
                let config = fs::read(bundle.dir.join("config.json"))?;
                bundle.config = Config(serde_json::from_slice(&config)?);
                bundle
                    .config
                    .set("/process/terminal", false)
                    .args(&["sleep", "1000"])
                    .without_namespace("cgroup");
                bundle.config.set("/linux/cgroupsPath", format!(":masu:{}", bundle.name));
                bundle.write()?;
                let scope = format!("/masu-{}.scope", bundle.name);
                let verdict = (|| {
                    call(&["run", "--detach", "--bundle", &directory, &bundle.name]).succeeds()?;
                    let entered = call(&["exec", &bundle.name, "cat", "/proc/self/cgroup"]).succeeds()?;
                    let cgroup = entered.text().trim_start_matches("0::");
                    ensure!(
                        cgroup.contains(&format!("/user@{uid}.service/")) && cgroup.ends_with(&scope),
                        "{entered}"
                    );
                    Ok(())
                })();
                call(&["delete", "--force", &bundle.name]).succeeds()?;
                verdict?;
                host::until("the engine's own scopes go with it", || {
                    Ok(host::cgroups_of("masu-engine-")?.is_empty())
                })
            },
        )
        .needs(&[Need::Root, Need::Systemd, Need::SystemdOfUser]);
}
