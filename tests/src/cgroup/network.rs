//! `linux.resources.network`, where the hierarchies of its two controllers are mounted: version 2 has neither. `cargo xtask
//! vm --bare` starts such a machine.

use serde_json::json;

use crate::harness::{Container, Need, Suite, ensure, ensure_eq, host};

/// Adds the cases.
pub(super) fn add(suite: &mut Suite) {
    suite.needs(&[Need::Root, Need::NetworkCgroups]);
    suite.case("the network's class and priorities are in force", |bench| {
        let container = bench.sleeper(|config| {
            let priorities = json!([{"name": "lo", "priority": 7}]);
            config.set("/linux/resources/network", json!({"classID": 1_048_577, "priorities": priorities}));
        })?;
        ensure_eq!(host::read_trimmed(file(&container, "net_cls.classid"))?, "1048577");
        let map = host::read_trimmed(file(&container, "net_prio.ifpriomap"))?;
        ensure!(map.lines().any(|line| line == "lo 7"), "{map}");
        ensure_eq!(host::read_trimmed(file(&container, "cgroup.procs"))?, container.pid()?.to_string());
        container.stop()?;
        container.delete()?;
        ensure!(host::cgroups_of(&bench.tag)?.is_empty(), "a cgroup is left");
        Ok(())
    });
    suite.case("the network's class is that of the container's sockets", |bench| {
        let container = bench.sleeper(|config| {
            config.set("/linux/resources/network", json!({"classID": 1_048_577}));
            config.args(&["nc", "-l", "-p", "7000"]);
        })?;
        let namespace = format!("--net=/proc/{}/ns/net", container.pid_of_program()?);
        host::until("the socket has the class", || {
            let sockets = ["ss", "--tcp", "--listening", "--numeric", "--tos"];
            let output = bench.program("nsenter").arg(&namespace).args(sockets).succeeds()?;
            Ok(output.stdout.contains(":7000") && output.stdout.contains("class_id:0x100001"))
        })
    });
    suite.case("the network's class is changed by `update -r -`", |bench| {
        let container = bench.sleeper(|config| {
            config.set("/linux/resources/network", json!({"classID": 1_048_577}));
        })?;
        let update = bench.call(&["update", "-r", "-", &container.id]);
        update.stdin(r#"{"network": {"classID": 2097154}}"#).succeeds()?;
        ensure_eq!(host::read_trimmed(file(&container, "net_cls.classid"))?, "2097154");
        Ok(())
    });
    suite.case(
        "the network's priority on an interface that is not there is refused, and nothing is left",
        |bench| {
            let output = bench.script("true", |config| {
                let priorities = json!([{"name": "nothing0", "priority": 7}]);
                config.set("/linux/resources/network", json!({"priorities": priorities}));
            })?;
            let output = output.fails_with(1, &["net_prio.ifpriomap", "no such device"])?;
            if bench.runtime().is_masu() {
                let message = format!(
                "masu: linux.resources.network.priorities[0]: write \"nothing0 7\" to net_prio.ifpriomap of cgroup \
                 \"/{}-1c\": no such device (ENODEV)\n",
                bench.tag
            );
            ensure_eq!(output.stderr, message);
            }
            ensure!(host::cgroups_of(&bench.tag)?.is_empty(), "a cgroup is left");
            Ok(())
        },
    );
}

/// A file of the container's cgroup in the hierarchy of both controllers.
fn file(container: &Container<'_>, name: &str) -> std::path::PathBuf {
    host::cgroup_v1("net_cls,net_prio", container.cgroup()).join(name)
}
