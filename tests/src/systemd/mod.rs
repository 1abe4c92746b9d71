//! The systemd driver: units as systemd itself tells of them, of the system for root and of the user's own systemd for
//! others. The cgroup, event and lifecycle suites run with this driver too, where `--systemd-cgroup` asks for it.

use std::fs;

use crate::harness::command::Invocation;
use crate::harness::config::Config;
use crate::harness::{Bench, Check, Container, Driver, Need, Suite, ensure, ensure_eq, host};

mod annotations;
mod killed;
mod limits;
mod outside;

/// The suite.
pub(crate) fn suite() -> Suite {
    let mut suite = Suite::new("systemd");
    suite.needs(&[Need::Systemd]);
    units(&mut suite);
    slices(&mut suite);
    limits::add(&mut suite);
    annotations::add(&mut suite);
    ends(&mut suite);
    killed::add(&mut suite);
    refusals(&mut suite);
    outside::add(&mut suite);
    suite
}

/// A container that is to be made with the systemd driver, whatever that of this run is.
fn container<'b>(bench: &'b Bench<'b>, edit: impl FnOnce(&mut Config, &str)) -> Check<Container<'b>> {
    let mut bundle = bench.bundle()?;
    bundle.config.set("/linux/cgroupsPath", format!(":masu:{}", bundle.name));
    let name = bundle.name.clone();
    edit(&mut bundle.config, &name);
    Container::with_driver(bench, bundle, Driver::Systemd)
}

fn sleeper<'b>(bench: &'b Bench<'b>, edit: impl FnOnce(&mut Config, &str)) -> Check<Container<'b>> {
    let container = container(bench, edit)?;
    container.run_detached()?;
    Ok(container)
}

fn systemctl(bench: &Bench<'_>, args: &[&str]) -> Invocation {
    let whose = if bench.world.surroundings.is_root() { "--system" } else { "--user" };
    bench.program("systemctl").arg(whose).args(args)
}

/// The value of a unit's property, as systemctl prints it.
fn show(bench: &Bench<'_>, unit: &str, property: &str) -> Check<String> {
    let output = systemctl(bench, &["show", "--value", "--property", property, unit]).succeeds()?;
    Ok(output.text().to_owned())
}

fn unit_of(container: &Container<'_>) -> String {
    format!("masu-{}.scope", container.id)
}

/// The unified cgroup of a process.
fn cgroup_of(pid: i32) -> Check<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    Ok(text.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default().to_owned())
}

fn units(suite: &mut Suite) {
    suite.case("SLICE:PREFIX:NAME is a scope in the slice, and the process is born in it", |bench| {
        let container = sleeper(bench, |_, _| {})?;
        let unit = unit_of(&container);
        ensure_eq!(cgroup_of(container.pid()?)?, container.cgroup());
        let slice = if bench.world.surroundings.is_root() { "system.slice" } else { "user.slice" };
        for (property, expected) in [
            ("Slice", slice),
            ("ActiveState", "active"),
            ("Transient", "yes"),
            ("Delegate", "yes"),
            ("DefaultDependencies", "no"),
            ("MemoryAccounting", "yes"),
            ("TasksAccounting", "yes"),
        ] {
            ensure_eq!(show(bench, &unit, property)?, expected, "{property}");
        }
        ensure_eq!(show(bench, &unit, "ControlGroup")?, container.cgroup());
        ensure_eq!(
            host::read_trimmed(host::cgroup_unified(container.cgroup()).join("cgroup.procs"))?,
            container.pid()?.to_string()
        );
        Ok(())
    });
    suite.masu_only("without cgroupsPath the scope is called by the id", |bench| {
        let container = sleeper(bench, |config, _| {
            config.remove("/linux", "cgroupsPath");
        })?;
        let name = cgroup_of(container.pid()?)?;
        ensure!(name.ends_with(&format!(".slice/masu-{}.scope", container.id)), "{name}");
        Ok(())
    });
    suite.case("a command of exec is in the unit's cgroup", |bench| {
        let container = sleeper(bench, |config, _| {
            config.without_namespace("cgroup");
        })?;
        ensure_eq!(container.exec("cat /proc/self/cgroup")?, format!("0::{}", container.cgroup()));
        Ok(())
    });
    suite.case("a container that waits for start is in its scope", |bench| {
        let container = container(bench, |_, _| {})?;
        container.create()?;
        ensure_eq!(cgroup_of(container.pid()?)?, container.cgroup());
        container.start()?;
        ensure_eq!(container.status()?, "running");
        container.call("pause").succeeds()?;
        ensure_eq!(container.status()?, "paused");
        container.call("resume").succeeds()?;
        Ok(())
    });
}

fn slices(suite: &mut Suite) {
    suite.case("a slice with dashes is in the slices of its parts", |bench| {
        let container = sleeper(bench, |config, name| {
            config.set("/linux/cgroupsPath", format!("masutest-a-b.slice:x:{name}"));
        })?;
        let cgroup = cgroup_of(container.pid()?)?;
        let expected =
            format!("/masutest.slice/masutest-a.slice/masutest-a-b.slice/x-{}.scope", container.id);
        ensure!(cgroup.ends_with(&expected), "{cgroup}");
        container.stop()?;
        container.delete()
    });
    suite.case("a name that ends in .slice is a slice", |bench| {
        let slice = format!("masutest-{}.slice", bench.tag.replace('-', "_"));
        let container = sleeper(bench, |config, _| {
            config.set("/linux/cgroupsPath", format!("masutest.slice:x:{slice}"));
        })?;
        let cgroup = cgroup_of(container.pid()?)?;
        ensure!(cgroup.ends_with(&format!("/masutest.slice/{slice}")), "{cgroup}");
        container.stop()?;
        container.delete()?;
        ensure!(!host::cgroup_unified(&cgroup).exists(), "{cgroup} is left");
        Ok(())
    });
}

fn ends(suite: &mut Suite) {
    suite.case("delete takes the unit along", |bench| {
        let container = sleeper(bench, |_, _| {})?;
        container.stop()?;
        container.delete()?;
        ensure_eq!(show(bench, &unit_of(&container), "LoadState")?, "not-found");
        ensure!(!host::cgroup_unified(container.cgroup()).exists(), "the cgroup is left");
        Ok(())
    });
    suite.case("no unit is left after `run` in the foreground, whatever its status", |bench| {
        for (script, status) in [("true", 0), ("exit 7", 7)] {
            let container = container(bench, |config, _| {
                config.shell(script);
            })?;
            container.run()?.exits_with(status)?;
            ensure_eq!(show(bench, &unit_of(&container), "LoadState")?, "not-found");
        }
        Ok(())
    });
    suite.case("a create that fails late leaves no unit", |bench| {
        let container = container(bench, |config, _| {
            config.args(&["/no/such/program"]);
        })?;
        ensure_eq!(container.run()?.code, Some(1));
        ensure_eq!(show(bench, &unit_of(&container), "LoadState")?, "not-found");
        ensure!(host::cgroups_of(&container.id)?.is_empty(), "a cgroup is left");
        Ok(())
    });
    suite.case("the name is free again at once", |bench| {
        for _ in 0..5 {
            let container = sleeper(bench, |config, _| {
                config.set("/linux/cgroupsPath", format!(":masu:{}-again", bench.tag));
            })?;
            container.call("delete").arg("--force").succeeds()?;
        }
        Ok(())
    });
    suite.case("a second container of the same unit is refused, and the first one runs on", |bench| {
        let first = sleeper(bench, |_, _| {})?;
        let second = container(bench, |config, _| {
            config.set("/linux/cgroupsPath", format!(":masu:{}", first.id));
        })?;
        second.run()?.fails_with(1, &[&unit_of(&first)])?;
        ensure_eq!(first.status()?, "running");
        Ok(())
    });
}

fn refusals(suite: &mut Suite) {
    suite.case("a cgroupsPath of another form is refused", |bench| {
        for path in ["/a/b", "system.slice:only", "a.slice:b:c:d"] {
            let container = container(bench, |config, _| {
                config.set("/linux/cgroupsPath", path);
            })?;
            let message = format!(
                "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got {path:?} instead"
            );
            let output = container.run()?.exits_with(1)?;
            // runc escapes the quotes of its own log.
            ensure!(output.stderr.replace('\\', "").contains(&message), "no {message:?}: {output}");
        }
        Ok(())
    });
    suite.case("a slice that systemd could not have is refused", |bench| {
        for slice in ["nothing", "a--b.slice", "-a.slice"] {
            let container = container(bench, |config, name| {
                config.set("/linux/cgroupsPath", format!("{slice}:masu:{name}"));
            })?;
            container.run()?.fails_with(1, &[&format!("invalid slice name: {slice}")])?;
        }
        Ok(())
    });
    suite.masu_only("without a systemd to ask the error says where it was looked for", |bench| {
        let container = container(bench, |_, _| {})?;
        let run = container.launch("run", &[]);
        let (run, place) = if bench.world.surroundings.is_root() {
            let hide =
                "mount -t tmpfs none /run/systemd && mount -t tmpfs none /run/dbus && exec \"$0\" \"$@\"";
            (run.behind_shell(hide).behind("unshare", &["--mount"]), "/run/systemd/private")
        } else {
            let run = run.env("XDG_RUNTIME_DIR", "/nowhere").env("DBUS_SESSION_BUS_ADDRESS", "");
            (run, "/nowhere/systemd/private")
        };
        let parts =
            ["masu: systemd cannot be reached: ", place, "(ENOENT)", "hint: the systemd driver needs"];
        run.output()?.fails_with(1, &parts)?;
        ensure!(host::cgroups_of(&container.id)?.is_empty(), "a cgroup is left");
        Ok(())
    });
}
