//! A network for tests of networks: a machine and an outside, on a wire. This machine's own network has no part in it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::{Scratch, run};

/// Makes both, has servers outside, and ends when standard input does. All that is mounted is mounted in a namespace of
/// its own: /run for locks and /var/lib for what plugins keep, and a /dev/net/tun that ordinary users may open.
const SCRIPT: &str = r#"
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/www/cgi-bin
printf '#!/bin/sh\nprintf "\\n$REMOTE_ADDR\\n"\n' > /run/www/cgi-bin/who
chmod +x /run/www/cgi-bin/who
mount -t tmpfs tmpfs /dev/net
mknod -m 666 /dev/net/tun c 10 200
ip link set lo up
exec 3<&0
unshare --net cat <&3 >/dev/null &
outside=$!
while [ "$(readlink /proc/$outside/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
ip link add out type veth peer name wire netns $outside
ip addr add 192.0.2.2/24 dev out
ip addr add 2001:db8::2/64 dev out nodad
ip link set out up
ip route add default via 192.0.2.1
ip route add default via 2001:db8::1
nsenter --target $outside --net sh -ec '
ip link set lo up
ip addr add 192.0.2.1/24 dev wire
ip addr add 2001:db8::1/64 dev wire nodad
ip link set wire up'
nsenter --target $outside --net busybox httpd -f -p 192.0.2.1:8080 -h /run/www </dev/null >/dev/null &
server=$!
until busybox wget -q -O /dev/null http://192.0.2.1:8080/cgi-bin/who 2>/dev/null; do sleep 0.01; done
echo $outside $server
exec cat
"#;

/// The machine and the outside; they go with this.
#[derive(Debug)]
pub struct World {
    machine: Child,
    outside: u32,
    server: u32,
}

impl World {
    /// New ones. It takes root.
    #[must_use]
    pub fn new() -> Self {
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "sh", "-ec", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut machine = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(machine.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut pids = line.split_whitespace().map(|pid| pid.parse().unwrap());
        Self { machine, outside: pids.next().unwrap(), server: pids.next().unwrap() }
    }

    /// Grants ids to somebody, users and groups: lines of subuid(5) that only the machine has.
    pub fn grant(&self, scratch: &Scratch, lines: &str) {
        let file = scratch.path("subuid");
        std::fs::write(&file, lines).unwrap();
        for target in ["/etc/subuid", "/etc/subgid"] {
            assert_eq!(self.inside(&format!("mount --bind {} {target}", file.display())), "");
        }
    }

    /// What runs a program on the machine.
    pub(crate) fn enter(&self) -> Vec<String> {
        let target = self.pid().to_string();
        ["nsenter", "--target", &target, "--net", "--mount"].map(ToOwned::to_owned).to_vec()
    }

    /// A process of the machine.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.machine.id()
    }

    /// What a shell's script says on the machine.
    #[must_use]
    pub fn inside(&self, script: &str) -> String {
        let words = self.enter();
        let words: Vec<&str> = words.iter().map(String::as_str).chain(["sh", "-ec", script]).collect();
        let (program, words) = words.split_first().unwrap();
        run(program, words)
    }

    /// What a shell's script says outside.
    #[must_use]
    pub fn outside(&self, script: &str) -> String {
        run("nsenter", &["--target", &self.outside.to_string(), "--net", "sh", "-ec", script])
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        run("kill", &[&self.server.to_string()]);
        drop(self.machine.stdin.take());
        self.machine.wait().unwrap();
    }
}
