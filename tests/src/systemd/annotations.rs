//! Annotations that the driver reads.

use serde_json::json;

use super::limits::resources;
use super::{cgroup_of, container, show, sleeper, unit_of};
use crate::harness::{Suite, ensure, ensure_eq, host};

/// Adds the cases.
pub(super) fn add(suite: &mut Suite) {
    properties(suite);
    refusals(suite);
    subgroup(suite);
}

fn properties(suite: &mut Suite) {
    suite.case("org.systemd.property annotations are properties of the unit", |bench| {
        let container = sleeper(bench, |config, _| {
            config.set(
                "/annotations",
                json!({
                    "org.systemd.property.TimeoutStopUSec": "uint64 123000000",
                    "org.systemd.property.CollectMode": "'inactive-or-failed'",
                    "org.systemd.property.Documentation": "['https://example.org/a', 'https://example.org/b']",
                }),
            );
        })?;
        let unit = unit_of(&container);
        for (property, expected) in [
            ("TimeoutStopUSec", "2min 3s"),
            ("CollectMode", "inactive-or-failed"),
            ("Documentation", "https://example.org/a https://example.org/b"),
        ] {
            ensure_eq!(show(bench, &unit, property)?, expected, "{property}");
        }
        Ok(())
    });
    suite.case("a property in seconds is one in microseconds", |bench| {
        let container = sleeper(bench, |config, _| {
            config.set("/annotations", json!({"org.systemd.property.TimeoutStopSec": "90"}));
        })?;
        ensure_eq!(show(bench, &unit_of(&container), "TimeoutStopUSec")?, "1min 30s");
        Ok(())
    });
}

fn refusals(suite: &mut Suite) {
    for (what, value) in [("a value that is none", "nonsense"), ("a number that is none", "uint32 -1")] {
        suite.case(format!("an annotation with {what} is refused"), move |bench| {
            let container = container(bench, |config, _| {
                config.set("/annotations", json!({"org.systemd.property.TimeoutStopUSec": value}));
            })?;
            container.run()?.fails_with(1, &["org.systemd.property.TimeoutStopUSec"])?;
            ensure!(host::cgroups_of(&container.id)?.is_empty(), "a cgroup is left");
            Ok(())
        });
    }
    suite.case("a property that systemd does not know is an error, and nothing is left", |bench| {
        let container = container(bench, |config, _| {
            config.set("/annotations", json!({"org.systemd.property.NoSuchThing": "true"}));
        })?;
        container.run()?.fails_with(1, &["NoSuchThing"])?;
        ensure_eq!(show(bench, &unit_of(&container), "LoadState")?, "not-found");
        ensure!(host::cgroups_of(&container.id)?.is_empty(), "a cgroup is left");
        Ok(())
    });
}

fn subgroup(suite: &mut Suite) {
    suite.masu_only("run.oci.systemd.subgroup names a cgroup below the unit's", |bench| {
        let container = sleeper(bench, |config, _| {
            config.set("/annotations", json!({"run.oci.systemd.subgroup": "payload"}));
            resources(config);
        })?;
        let cgroup = format!("{}/payload", container.cgroup());
        ensure_eq!(cgroup_of(container.pid()?)?, cgroup);
        for (file, expected) in [("memory.max", "67108864"), ("pids.max", "99")] {
            ensure_eq!(host::read_trimmed(host::cgroup_unified(&cgroup).join(file))?, expected, "{file}");
        }
        ensure_eq!(container.exec("echo inside")?, "inside");
        container.stop()?;
        container.delete()?;
        ensure!(!host::cgroup_unified(container.cgroup()).exists(), "the unit is left");
        Ok(())
    });
}
