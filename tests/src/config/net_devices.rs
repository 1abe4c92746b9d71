//! linux.netDevices: devices of the host's network namespace, moved into the container's.
//!
//! The runtime runs in a network namespace that each case makes for itself, and that is gone with it.

use serde_json::json;

use crate::harness::command::Output;
use crate::harness::config::Config;
use crate::harness::{Bench, Check, Container, Need, Suite, ensure, ensure_eq};

/// Two pairs of connected devices, and the addresses of the first: of global scope, and one that is not.
const DEVICES: &str = "set -e; ip link set lo up; ip link add v0 type veth peer name p0; \
    ip link add v1 type veth peer name p1; ip link set p0 up; ip link set p1 up; \
    ip link set v0 mtu 1400 address 02:00:00:00:00:01 up; \
    ip addr add 10.77.0.2/24 brd 10.77.0.255 dev v0; ip addr add 10.77.0.3/24 dev v0; \
    ip addr add 10.78.0.2 peer 10.78.0.1/32 dev v0; ip addr add 169.254.9.9/16 scope link dev v0; \
    ip addr add fd77::2/64 dev v0 nodad; ip addr add 10.77.0.9/24 valid_lft 900 preferred_lft 900 dev v0; ";

/// What `ip` shows of the devices inside, a line each: busybox's has no other form.
const SHOW: &str = "ip addr show";

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    moves(suite);
    afterwards(suite);
    refusals(suite);
    returns(suite);
}

/// A container with a network namespace of its own, run in one with [`DEVICES`]; `after` is what the host then shows.
fn run(
    bench: &Bench<'_>,
    script: &str,
    devices: serde_json::Value,
    after: &str,
    edit: impl FnOnce(&mut Config),
) -> Check<Output> {
    let mut bundle = bench.bundle()?;
    bundle.config.namespace("network").shell(script).set("/linux/netDevices", devices);
    edit(&mut bundle.config);
    let container = bench.container(bundle)?;
    in_namespace(bench, &container, after)
}

fn in_namespace(bench: &Bench<'_>, container: &Container<'_>, after: &str) -> Check<Output> {
    let run =
        format!("{} run --bundle {} {}", bench.command_line(), container.bundle.dir.display(), container.id);
    let script = format!("{DEVICES} set +e; {run}; code=$?; {after}; exit $code");
    bench.program("unshare").args(["--net", "sh", "-c", &script]).output()
}

#[expect(clippy::too_many_lines, reason = "a flat list of cases")]
fn moves(suite: &mut Suite) {
    suite
        .case("a network device moves into the container, with its addresses, and is up", |bench| {
            let output = run(bench, SHOW, json!({"v0": {}}), "ip link show v0", |_| {})?;
            let text = output.stdout.clone();
            for kept in [
                "v0@",
                "mtu 1400",
                "link/ether 02:00:00:00:00:01",
                "UP",
                "inet 10.77.0.2/24 ",
                "inet 10.77.0.3/24 ",
                "inet 10.78.0.2 peer 10.78.0.1/32 ",
                "inet6 fd77::2/64 scope global",
            ] {
                ensure!(text.contains(kept), "no {kept}: {output}");
            }
            for left in ["10.77.0.9", "169.254.9.9"] {
                ensure!(!text.contains(left), "{left}: {output}");
            }
            let output = output.exits_with(0)?;
            ensure!(output.stderr.contains("\"v0\" does not exist"), "{output}");
            Ok(())
        })
        .needs(&[Need::Root]);
    suite
        .case("network devices get the names that the config has for them", |bench| {
            let devices = json!({"v0": {"name": "eth0"}, "v1": {"name": "v0"}});
            let text = run(bench, "ls /sys/class/net", devices, "true", |_| {})?.exits_with(0)?.stdout;
            ensure_eq!(text, "eth0\nlo\nv0\n");
            Ok(())
        })
        .needs(&[Need::Root]);
    suite
        .case("a name with %d is completed by a number that is free", |bench| {
            let devices = json!({"v0": {"name": "net%d"}, "v1": {"name": "net%d"}});
            let script = "ls /sys/class/net; ip addr show net0 | grep -c 'inet 10.77'; cat /sys/class/net/net*/operstate";
            let text = run(bench, script, devices, "true", |_| {})?.exits_with(0)?.stdout;
            ensure_eq!(text, "lo\nnet0\nnet1\n2\nup\nup\n");
            Ok(())
        })
        .needs(&[Need::Root]);
    suite
        .case("a network device moves into a container with a user namespace", |bench| {
            let text = run(bench, SHOW, json!({"v0": {}}), "true", |config| {
                config.user_namespace();
            })?;
            ensure!(text.exits_with(0)?.stdout.contains("inet 10.77.0.2/24"), "no address");
            Ok(())
        })
        .needs(&[Need::Root]);
    suite
        .case("a network device moves into a network namespace that is joined", |bench| {
            let other = bench.sleeper(|config| {
                config.namespace("network");
            })?;
            let path = format!("/proc/{}/ns/net", other.pid()?);
            let output = run(bench, SHOW, json!({"v1": {"name": "joined"}}), "true", |config| {
                config.join_namespace("network", &path);
            })?;
            ensure!(output.exits_with(0)?.stdout.contains("joined@"), "no device");
            Ok(())
        })
        .needs(&[Need::Root]);
    suite
        .case("a createContainer hook finds the network devices", |bench| {
            let mut bundle = bench.bundle()?;
            let seen = bench.path("seen");
            let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", format!("ls /sys/class/net > {}; ip link show v0 >> {0}", seen.display())],
                "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]}]);
            bundle.config.namespace("network").args(&["true"]);
            bundle.config.set("/linux/netDevices", json!({"v0": {}})).set("/hooks/createContainer", hook);
            let container = bench.container(bundle)?;
            in_namespace(bench, &container, "true")?.exits_with(0)?;
            ensure!(std::fs::read_to_string(&seen)?.contains("v0@"), "the hook did not find it");
            Ok(())
        })
        .needs(&[Need::Root]);
}

/// What the runtime does not do once the device is there.
fn afterwards(suite: &mut Suite) {
    suite
        .case("a network device that has moved is left as the container has made it", |bench| {
            let mut bundle = bench.bundle()?;
            bundle.config.namespace("network").set("/linux/netDevices", json!({"v0": {}}));
            let container = bench.container(bundle)?;
            let (line, id) = (bench.command_line(), &container.id);
            let run = format!("{line} run --detach --bundle {} {id}", container.bundle.dir.display());
            let script = format!(
                "{DEVICES} {run} >/dev/null </dev/null; pid=$({line} state {id} | tr -dc '[:print:]' | \
                 sed 's/.*\"pid\": \\([0-9]*\\).*/\\1/'); inside=\"nsenter --net=/proc/$pid/ns/net\";
                 $inside ip link set v0 down; $inside ip addr flush dev v0; $inside ip link set v0 name mine mtu 1300;
                 $inside ip addr show mine; {line} exec {id} true; {line} pause {id}; {line} resume {id};
                 $inside ip addr show mine; {line} delete --force {id}"
            );
            let output = bench.program("unshare").args(["--net", "sh", "-c", &script]).succeeds()?;
            let lines: Vec<_> = output.stdout.lines().collect();
            let (before, after) = lines.split_at(lines.len() / 2);
            ensure!(before.first().is_some_and(|line| line.contains("mine@")), "{output}");
            ensure_eq!(before, after);
            Ok(())
        })
        .needs(&[Need::Root, Need::Cgroups]);
    suite
        .case("a network device stays in a namespace that outlives the container", |bench| {
            let other = bench.sleeper(|config| {
                config.namespace("network");
            })?;
            let path = format!("/proc/{}/ns/net", other.pid()?);
            let mut bundle = bench.bundle()?;
            bundle.config.join_namespace("network", &path).set("/linux/netDevices", json!({"v0": {}}));
            let container = bench.container(bundle)?;
            let (line, id) = (bench.command_line(), &container.id);
            let run = format!("{line} run --detach --bundle {} {id}", container.bundle.dir.display());
            let script = format!(
                "{DEVICES} {run} >/dev/null </dev/null; {line} kill {id} KILL
                 until {line} state {id} | grep -q stopped; do sleep 0.05; done
                 nsenter --net={path} ip -o link show v0 | grep -c 'v0@'
                 {line} delete {id}; nsenter --net={path} ip -o link show v0 | grep -c 'v0@'"
            );
            let output = bench.program("unshare").args(["--net", "sh", "-c", &script]).succeeds()?;
            ensure_eq!(output.stdout, "1\n1\n");
            Ok(())
        })
        .needs(&[Need::Root]);
}

fn refusals(suite: &mut Suite) {
    suite
        .case("network devices without a network namespace are refused", |bench| {
            let output = run(bench, "true", json!({"v0": {}}), "ip link show v0", |config| {
                config.without_namespace("network").without_mount("/sys");
            })?;
            ensure!(output.stdout.contains("v0@"), "the device has gone: {output}");
            output.fails_with(1, &["namespace"])?;
            Ok(())
        })
        .needs(&[Need::Root]);
    suite
        .case("a network device that does not exist is refused by its name", |bench| {
            let devices = json!({"none0": {}, "v0": {}});
            let output = run(bench, "true", devices, "ip link show v0", |_| {})?;
            ensure!(output.stdout.contains("v0@"), "the device has gone: {output}");
            output.fails_with(1, &["none0"])?;
            Ok(())
        })
        .needs(&[Need::Root]);
    suite
        .case("a name that the container's namespace has already is refused, and nothing moves", |bench| {
            let devices = json!({"v0": {}, "v1": {"name": "lo"}});
            let output = run(bench, "true", devices, "ip link show v0; ip link show v1", |_| {})?;
            output.fails_with(1, &["v1"])?;
            Ok(())
        })
        .needs(&[Need::Root]);
    suite
        .masu_only("an ordinary user cannot move network devices", |bench| {
            bench.become_user()?;
            let output = bench.script("true", |config| {
                config.namespace("network").set("/linux/netDevices", json!({"lo": {"name": "x"}}));
            })?;
            output.fails_with(1, &["linux.netDevices: moving a network device takes root's privileges"])?;
            Ok(())
        })
        .needs(&[Need::Root]);
}

/// What fails leaves the devices where they were.
fn returns(suite: &mut Suite) {
    suite
        .masu_only("of several network devices all are moved or none, with their addresses and their state", |bench| {
            // Loopback stays where it is, which only the move itself tells: the device before it comes back.
            let devices = json!({"a0": {"name": "b0"}, "lo": {"name": "x"}});
            let script = "ip link set v0 name a0; ip link set a0 up";
            let mut bundle = bench.bundle()?;
            bundle.config.namespace("network").args(&["true"]).set("/linux/netDevices", devices);
            let container = bench.container(bundle)?;
            let run = format!("{} run --bundle {} {}", bench.command_line(), container.bundle.dir.display(), container.id);
            let script = format!("{DEVICES} ip link set v0 down; {script}; set +e; {run}; ip addr show a0");
            let output = bench.program("unshare").args(["--net", "sh", "-c", &script]).output()?;
            ensure_eq!(
                output.stderr,
                "masu: linux.netDevices[\"lo\"]: move it to the container: invalid argument (EINVAL)\nhint: a device of this \
                 kind stays in the network namespace that it was made in\n"
            );
            for kept in ["a0@", ",UP", "inet 10.77.0.2/24 brd 10.77.0.255", "inet 10.78.0.2 peer 10.78.0.1/32"] {
                ensure!(output.stdout.contains(kept), "no {kept}: {output}");
            }
            Ok(())
        })
        .needs(&[Need::Root]);
    suite
        .masu_only("a network device of a container that is not going to be is back as it was", |bench| {
            let mut bundle = bench.bundle()?;
            bundle.config.namespace("network").args(&["/no/such/program"]);
            bundle.config.set("/linux/netDevices", json!({"v0": {"name": "eth0"}, "v1": {}}));
            let container = bench.container(bundle)?;
            let output = in_namespace(bench, &container, "ip addr show v0; ip link show v1")?;
            for kept in ["v0@", ",UP", "inet 10.77.0.2/24 brd 10.77.0.255", "inet6 fd77::2/64", "v1@"] {
                ensure!(output.stdout.contains(kept), "no {kept}: {output}");
            }
            output.fails_with(1, &["/no/such/program"])?;
            Ok(())
        })
        .needs(&[Need::Root]);
}
