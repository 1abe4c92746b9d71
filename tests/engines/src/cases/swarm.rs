//! Docker Swarm: services whose tasks come and go, on one node and on two.

use std::path::{Path, PathBuf};

use masu_harness::command::Invocation;
use masu_harness::{Check, ensure_eq, host};

use crate::bench::Bench;
use crate::engines::{Daemon, containerd, docker};
use crate::suite::{Engine, Suite};
use crate::world::{IMAGE, World};

pub(super) fn add(suite: &mut Suite) {
    let docker = &[Engine::Docker];
    suite.case(
        docker,
        "Swarm",
        "a service has as many tasks as asked for, and a dead one is replaced",
        one_node,
    );
    suite.case(
        docker,
        "Swarm",
        "two nodes share a service, and one takes over what the other had",
        two_nodes,
    );
}

/// What a task serves: who it is, at port 80.
const SERVE: &str = "mkdir /www; hostname >/www/name; exec httpd -f -p 80 -h /www";
/// Asks all of them. The kernel need not have IP_VS, so the service's name stands for the addresses of its tasks.
const ASK: &str = "for address in $(nslookup tasks.web 127.0.0.11 | sed -n '/^Name/,$ s/^Address[^:]*: *//p'); do \
                   printf 'GET /name HTTP/1.0\\r\\n\\r\\n' | nc -w 5 $address 80 | tail -n 1; done";
/// Where the wires of the nodes meet: in a network namespace without a firewall, for another dockerd has one in ours.
const SWITCH: &str =
    "ip netns add switch; ip -n switch link add bridge type bridge; ip -n switch link set bridge up;
ip -n switch addr add 10.90.0.254/24 dev bridge";
/// A node's network namespace, and its wire.
const NODE: &str = r#"
ip netns add "$1"
ip -n switch link add "$1" type veth peer name eth0 netns "$1"
ip -n switch link set "$1" master bridge up
ip -n "$1" link set lo up
ip -n "$1" addr add "$2/24" dev eth0
ip -n "$1" link set eth0 up
ip -n "$1" route add default via 10.90.0.254
"#;

/// A dockerd that is a node.
struct Node<'w> {
    world: &'w World,
    directory: PathBuf,
    /// Its network namespace, where it has one of its own.
    network: Option<String>,
    containerd: Daemon,
    daemon: Daemon,
}

impl<'w> Node<'w> {
    /// Starts it, and loads the image: no registry has it.
    fn start(bench: &Bench<'w>, network: Option<&str>) -> Check<Self> {
        let directory = bench.directory()?;
        std::fs::write(directory.join("daemon.json"), "{}")?;
        let containerd =
            containerd::start_beside(bench.world, &directory, |containerd| within(network, containerd))?;
        let daemon = Self::daemon(bench.world, &directory, network)?;
        let network = network.map(str::to_owned);
        let node = Self { world: bench.world, directory, network, containerd, daemon };
        node.call(&["load", "--input"]).arg(bench.world.image_archive()).succeeds()?;
        Ok(node)
    }

    fn daemon(world: &World, directory: &Path, network: Option<&str>) -> Check<Daemon> {
        let dockerd = within(network, docker::beside(world, directory));
        Daemon::start(dockerd, || client(world, directory, &["version"]))
    }

    /// Ends it in the midst of whatever it does, and has something happen before it is there again.
    fn killed(self, meanwhile: impl FnOnce() -> Check) -> Check<Self> {
        self.daemon.kill()?;
        meanwhile()?;
        let daemon = Self::daemon(self.world, &self.directory, self.network.as_deref())?;
        Ok(Self { daemon, ..self })
    }

    fn call(&self, words: &[&str]) -> Invocation {
        client(self.world, &self.directory, words)
    }

    fn says(&self, words: &[&str]) -> Check<String> {
        Ok(self.call(words).succeeds()?.text().to_owned())
    }

    /// The containers that run on it.
    fn containers(&self) -> Check<Vec<String>> {
        Ok(self.says(&["ps", "--quiet"])?.lines().map(str::to_owned).collect())
    }

    fn until_containers(&self, count: usize) -> Check {
        host::until(&format!("{count} tasks run"), || Ok(self.containers()?.len() == count))
    }

    /// A service whose tasks are in a network of the swarm.
    fn serve(&self, replicas: &str) -> Check {
        self.says(&["network", "create", "--driver", "overlay", "wide"])?;
        let service =
            ["service", "create", "--detach", "--no-resolve-image", "--name", "web", "--network", "wide"];
        let tasks = [
            "--endpoint-mode",
            "dnsrr",
            "--replicas",
            replicas,
            "--limit-memory",
            "64m",
            "--stop-signal",
            "KILL",
        ];
        let command = [IMAGE, "sh", "-c", SERVE];
        self.says(&[&service[..], &tasks, &command].concat()).map(drop)
    }

    /// What all tasks say to one of them, in order.
    fn asked_by(&self, container: &str, tasks: usize) -> Check<Vec<String>> {
        let mut names = Vec::new();
        host::until("all tasks answer", || {
            let output = self.call(&["exec", container, "sh", "-c", ASK]).output()?;
            names = output.stdout.lines().map(str::to_owned).collect();
            Ok(output.code == Some(0) && names.len() == tasks)
        })?;
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Removes the service, waits until its containers have gone, and leaves the swarm.
    fn leave(self) -> Check {
        self.call(&["service", "rm", "web"]).output()?;
        host::until("no container is left", || Ok(self.says(&["ps", "--all", "--quiet"])?.is_empty()))?;
        self.says(&["swarm", "leave", "--force"])?;
        self.stop()
    }

    fn stop(self) -> Check {
        self.daemon.stop()?;
        self.containerd.stop()
    }
}

/// A daemon in a node's network namespace, if it has one. Nodes are known by their hostnames.
fn within(network: Option<&str>, daemon: Invocation) -> Invocation {
    let Some(name) = network else { return daemon };
    daemon
        .behind("unshare", &["--uts", "sh", "-c", r#"hostname "$0"; exec "$@""#, name])
        .behind("nsenter", &[&format!("--net=/run/netns/{name}")])
}

fn client(world: &World, directory: &Path, words: &[&str]) -> Invocation {
    let socket = format!("unix://{}/docker.sock", directory.display());
    docker::command(world).args(["--host", &socket]).args(words)
}

fn one_node(bench: &Bench<'_>) -> Check {
    let node = Node::start(bench, None)?;
    node.says(&["swarm", "init", "--advertise-addr", "127.0.0.1"])?;
    node.serve("3")?;
    node.until_containers(3)?;
    let first = node.containers()?.swap_remove(0);
    ensure_eq!(node.asked_by(&first, 3)?.len(), 3);
    let limit = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null";
    ensure_eq!(
        node.says(&["exec", &first, "sh", "-c", &format!("{limit} || true")])?,
        (64 << 20).to_string()
    );
    node.says(&["service", "scale", "--detach", "web=5"])?;
    node.until_containers(5)?;
    node.says(&["kill", &first])?;
    host::until("another takes its place", || {
        let now = node.containers()?;
        Ok(now.len() == 5 && !now.contains(&first))
    })?;
    let before = node.containers()?;
    node.says(&["service", "update", "--detach", "--update-parallelism", "5", "--env-add", "NEW=1", "web"])?;
    host::until("all are new", || {
        let now = node.containers()?;
        Ok(now.len() == 5 && now.iter().all(|one| !before.contains(one)))
    })?;
    let any = node.containers()?.swap_remove(0);
    ensure_eq!(node.says(&["exec", &any, "sh", "-c", "echo $NEW"])?, "1");
    node.leave()
}

fn two_nodes(bench: &Bench<'_>) -> Check {
    let world = bench.world;
    world.succeeds("sh", &["-ec", SWITCH])?;
    for (name, address) in [("node1", "10.90.0.1"), ("node2", "10.90.0.2")] {
        world.succeeds("sh", &["-ec", NODE, "node", name, address])?;
    }
    let first = Node::start(bench, Some("node1"))?;
    let second = Node::start(bench, Some("node2"))?;
    first.says(&["swarm", "init", "--advertise-addr", "10.90.0.1", "--dispatcher-heartbeat", "1s"])?;
    let token = first.says(&["swarm", "join-token", "--quiet", "worker"])?;
    second.says(&["swarm", "join", "--token", &token, "10.90.0.1:2377"])?;
    first.serve("4")?;
    first.until_containers(2)?;
    second.until_containers(2)?;
    let one = first.containers()?.swap_remove(0);
    ensure_eq!(first.asked_by(&one, 4)?.len(), 4);
    let second = second.killed(|| first.until_containers(4))?;
    // What it had is no task of the service any more.
    second.until_containers(0)?;
    ensure_eq!(first.asked_by(&one, 4)?.len(), 4);
    second.says(&["swarm", "leave"])?;
    first.leave()?;
    host::until("no container is left", || Ok(second.says(&["ps", "--all", "--quiet"])?.is_empty()))?;
    second.stop()?;
    world.succeeds("sh", &["-ec", "ip netns del node1; ip netns del node2; ip netns del switch"])?;
    Ok(())
}
