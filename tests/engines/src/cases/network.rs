//! Networks, ports, and containers that share namespaces.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use masu_harness::{Check, ensure, ensure_eq, host};

use crate::bench::Bench;
use crate::suite::{DOCKER_LIKE, Engine, PODMANS, Suite, WITH_CGROUPS};

pub(super) fn add(suite: &mut Suite) {
    suite.case(DOCKER_LIKE, "--network none", "without a network there is a loopback alone", none);
    suite.case(WITH_CGROUPS, "--network host", "the host's network is the container's", host_network);
    suite.case(
        &[Engine::RootlessPodman],
        "--network host",
        "the host's network is the container's",
        host_network,
    );
    let with_bridge = &[Engine::Podman, Engine::Docker, Engine::RootlessDocker];
    suite.case(with_bridge, "--network bridge", "containers of a bridge reach each other", bridge);
    suite.case(DOCKER_LIKE, "published ports", "a published port answers", published);
    suite.case(DOCKER_LIKE, "shared namespaces", "a container joins another's namespaces", joined);
    suite.case(PODMANS, "pods", "containers of a pod share its namespaces", pod);
}

fn none(bench: &Bench<'_>) -> Check {
    ensure_eq!(
        bench.script(
            &["--network", "none"],
            "ls /sys/class/net | tr '\\n' ' '; cat /proc/net/dev | grep -c :"
        )?,
        "lo 1"
    );
    Ok(())
}

fn host_network(bench: &Bench<'_>) -> Check {
    let text = bench.script(&["--network", "host"], "readlink /proc/self/ns/net")?;
    ensure_eq!(text, host::namespace_of(1, "net")?);
    Ok(())
}

fn bridge(bench: &Bench<'_>) -> Check {
    let serve = "mkdir /www; echo from-afar >/www/index.html; exec httpd -f -p 80 -h /www";
    let network = if bench.is_podman() { "podman" } else { "bridge" };
    let server = bench.detached_script(&["--network", network], serve)?;
    let address = bench.inspect(&server, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")?;
    let fetch = format!("for i in $(seq 50); do wget -qO- http://{address}/ && break; sleep 0.1; done");
    ensure_eq!(bench.script(&["--network", network], &fetch)?, "from-afar");
    Ok(())
}

fn published(bench: &Bench<'_>) -> Check {
    let port = 20_000 + bench.world.number() % 10_000;
    let publish = format!("127.0.0.1:{port}:80");
    let network = match bench.engine {
        Engine::RootlessPodman => "slirp4netns",
        Engine::Podman => "podman",
        _ => "bridge",
    };
    let serve = "mkdir /www; echo published >/www/index.html; exec httpd -f -p 80 -h /www";
    bench.detached_script(&["--network", network, "--publish", &publish], serve)?;
    host::until("the port answers", || Ok(fetch(port).is_ok_and(|text| text.contains("published"))))
}

pub(super) fn fetch(port: usize) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}"))?;
    stream.set_read_timeout(Some(std::time::Duration::from_secs(2)))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

fn joined(bench: &Bench<'_>) -> Check {
    let ipc: &[&str] = if bench.is_podman() { &[] } else { &["--ipc", "shareable"] };
    let first = bench.sleeper(ipc)?;
    let of_first = format!("container:{first}");
    let options = ["--network", &of_first, "--pid", &of_first, "--ipc", &of_first];
    let kinds = "for kind in net pid ipc; do readlink /proc/self/ns/$kind; done";
    ensure_eq!(bench.script(&options, kinds)?, bench.exec(&first, kinds)?);
    Ok(())
}

fn pod(bench: &Bench<'_>) -> Check {
    let pod = bench.name();
    bench.succeeds(&[
        "pod",
        "create",
        "--name",
        &pod,
        "--network",
        "none",
        "--infra-command",
        "/bin/sleep 100000",
        "--infra-image",
        crate::world::IMAGE,
        "--share",
        "net,ipc,uts",
    ])?;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let name = bench.name();
        let run = ["run", "--detach", "--pod", &pod, "--name", &name, crate::world::IMAGE, "sleep", "1000"];
        bench.succeeds(&run)?;
        seen.push(bench.exec(&name, "for kind in net ipc uts; do readlink /proc/self/ns/$kind; done")?);
    }
    ensure!(seen.first() == seen.last(), "two containers of a pod: {seen:?}");
    ensure_eq!(
        bench.succeeds(&["pod", "inspect", "--format", "{{.NumContainers}} {{.State}}", &pod])?,
        "3 Running"
    );
    bench.succeeds(&["pod", "rm", "--force", "--time", "0", &pod])?;
    Ok(())
}
