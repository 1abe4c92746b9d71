//! Every option of `masu box` beside podman's of the same name: the same words, the same script, the same output.
#![allow(clippy::unwrap_used, missing_docs)]

use masu_image_tests::{Box, World, run};
use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

/// podman raises limits by default, which takes CAP_SYS_RESOURCE: root does not have it everywhere. And Debian's gives a
/// container three capabilities that podman itself has not any more, nor has masu.
const CONFIGURATION: &str = "[containers]\ndefault_capabilities = [\"CHOWN\", \"DAC_OVERRIDE\", \"FOWNER\", \"FSETID\", \
    \"KILL\", \"NET_BIND_SERVICE\", \"SETFCAP\", \"SETGID\", \"SETPCAP\", \"SETUID\", \"SYS_CHROOT\"]\ndefault_ulimits = [\"nofile=1024:20000\", \"nproc=32768:32768\"]\n\
    [engine]\nevents_logger = \"file\"\n";

type Words = &'static [&'static str];

/// Options with what is run under them; `DIR` is a directory with files for them. The second list is podman's, where it has
/// other words for the same.
const CASES: &[(Words, Option<Words>, &str)] = &[
    (&["-e", "A=option", "-e", "HERE", "-e", "NOWHERE"], None, "echo $A $HERE; env | grep -c NOWHERE"),
    (&["--env-file", "DIR/env", "-e", "A=option"], None, "echo $A $B"),
    (&["--workdir", "/etc"], None, "pwd"),
    (&["--user", "web"], None, "id; grep Cap /proc/self/status"),
    (&["--user", "33:50"], None, "id"),
    (&["--user", "1000"], None, "id -u; id -g; id -G"),
    (&["--entrypoint", "echo"], None, "word"),
    (&["--entrypoint", r#"["echo","one"]"#], None, "word"),
    (&["--init"], None, "tr '\\0' ' ' < /proc/1/cmdline | cut -d' ' -f2-3"),
    (&["--interactive"], None, "cat"),
    (&[], None, "cat"),
    (&["--hostname", "inside"], None, "hostname; echo $(cat /etc/hostname); grep -c inside /etc/hosts"),
    (&["--name", "compared-with-podman"], None, "echo named"),
    (&["--rm"], None, "exit 7"),
    (
        &["--volume", "DIR/given:/v"],
        None,
        "cat /v/file; touch /v/new && rm /v/new; grep ' /v ' /proc/mounts | cut -d' ' -f4",
    ),
    (&["--volume", "DIR/given:/v:ro"], None, "touch /v/new; grep ' /v ' /proc/mounts | cut -d' ' -f4"),
    (&["--mount", "type=bind,src=DIR/given,dst=/v,ro"], None, "cat /v/file; touch /v/new"),
    (
        &["--mount", "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=0711"],
        None,
        "stat -c %a /t; df -k /t | awk 'END { print $2 }'",
    ),
    (&["--mount", "type=image,src=IMAGE,dst=/i"], None, "cat /i/etc/passwd; touch /i/new"),
    (
        &["--device", "/dev/zero:/dev/nil:r"],
        None,
        "head -c 2 /dev/nil | wc -c; ls -l /dev/nil | cut -c1-10; echo > /dev/nil",
    ),
    (
        &["--read-only"],
        None,
        "touch /new; touch /etc/new; grep ' / ' /proc/mounts | cut -d' ' -f4 | cut -c1-3",
    ),
    (&["--memory", "64m"], None, "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max"),
    (&["--cpus", "0.5"], None, "cd /sys/fs/cgroup; cat cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us cpu.max"),
    (&["--cpuset-cpus", "0"], None, "grep Cpus_allowed_list /proc/self/status"),
    (&["--pids-limit", "20"], None, "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max"),
    (
        &["--ulimit", "nofile=33:44", "--ulimit", "nproc=99:100"],
        None,
        "ulimit -n; ulimit -Hn; ulimit -p; ulimit -Hp",
    ),
    (&["--net", "none"], None, "ls /sys/class/net"),
    (&["--net", "host"], None, "readlink /proc/self/ns/net"),
    (&["--userns", "host"], None, "cat /proc/self/uid_map /proc/self/gid_map"),
    (
        &["--userns", "auto:size=2000"],
        None,
        "cat /proc/self/uid_map /proc/self/gid_map; ls -ln /bin/busybox | cut -c1-40; touch /new && stat -c %u:%g /new",
    ),
    (&["--ns", "pid,ipc,cgroup"], Some(&["--uts", "host"]), "readlink /proc/self/ns/uts"),
    (&["--ns", "uts,ipc,cgroup"], Some(&["--pid", "host"]), "readlink /proc/self/ns/pid"),
    (&[], None, "grep Cap /proc/self/status"),
    (&["--cap-add", "net_raw", "--cap-drop", "CAP_CHOWN"], None, "grep Cap /proc/self/status"),
    (&["--cap-drop", "all", "--cap-add", "kill"], None, "grep Cap /proc/self/status"),
    (&["--user", "web", "--cap-add", "net_raw"], None, "grep Cap /proc/self/status"),
    (&["--security-opt", "seccomp=unconfined"], None, "grep Seccomp: /proc/self/status"),
    (&["--security-opt", "seccomp=DIR/profile.json"], None, "mkdir /x; grep Seccomp: /proc/self/status"),
    (&["--security-opt", "no-new-privileges"], None, "grep NoNewPrivs /proc/self/status"),
    (&["--sysctl", "net.ipv4.ip_forward=1"], None, "cat /proc/sys/net/ipv4/ip_forward"),
];

/// Options that podman has not, or that mean something else there, and why.
const OTHERS: &[(&str, &str)] = &[
    ("detach", "it prints the name of the box, podman an id of its own; tests/background.rs"),
    ("tty", "podman goes on without a terminal, masu refuses; tests/background.rs has one"),
    ("keep", "podman keeps a container unless --rm is given, masu the other way round"),
    ("log-opt", "podman's driver of logs has other sizes; tests/background.rs"),
    ("publish", "podman's networks are netavark's, not CNI's; tests/networks.rs"),
    ("pull", "the store is not podman's; tests/network.rs"),
    ("platform", "of `masu image pull`"),
    ("insecure", "of `masu image pull`"),
    ("creds", "of `masu image pull`"),
    ("authfile", "of `masu image pull`"),
    ("cert-dir", "of `masu image pull`"),
    ("store", "where masu keeps images"),
    ("quiet", "says nothing about what is fetched, in both"),
    ("help", "has no effect on a container"),
];

/// The options that the help text has.
fn options(help: &str) -> BTreeSet<&str> {
    let lines = help.lines().filter(|line| line.trim_start().starts_with('-'));
    let words = lines.filter_map(|line| line.split_whitespace().find_map(|word| word.strip_prefix("--")));
    words.map(|word| word.trim_end_matches(',')).collect()
}

#[test]
fn every_option_is_compared_or_there_is_a_reason() {
    let help = Box::new().masu.boxed(&["--help"]).good();
    let compared = CASES.iter().flat_map(|case| case.0).filter_map(|word| word.strip_prefix("--"));
    let compared = compared.chain(["env", "volume"]).chain(OTHERS.iter().map(|other| other.0));
    assert_eq!(options(&help), compared.collect());
}

/// podman with a store of its own, in the same world as the boxes.
struct Podman<'a>(&'a Box);

impl<'a> Podman<'a> {
    /// With an image of this name in the store.
    fn new(boxed: &'a Box, name: &str) -> Self {
        let scratch = &boxed.masu.scratch;
        boxed.masu.world().grant(scratch, "containers:2000000:100000\n");
        // What it keeps for all of its stores.
        let own = "mkdir -p /var/lib/containers; mount -t tmpfs tmpfs /var/lib/containers; mount -t tmpfs tmpfs /dev/shm";
        assert_eq!(boxed.masu.world().inside(own), "");
        std::fs::write(scratch.path("containers.conf"), CONFIGURATION).unwrap();
        let [archive, root] = ["root.tar", "root"].map(|name| scratch.path(name).display().to_string());
        run("tar", &["-C", &root, "-cf", &archive, "."]);
        let podman = Self(boxed);
        assert_eq!(told(podman.command(&["import", "--quiet", &archive, name])).1, Some(0));
        podman
    }

    /// `podman run` of the image with these options and words.
    fn run(&self, options: &[&str], words: &[&str]) -> (String, Option<i32>) {
        let parent = format!("/{}", self.0.masu.scratch.name());
        let mut all = vec!["run", "--cgroup-parent", &parent];
        all.extend((!options.contains(&"--rm")).then_some("--rm"));
        all.extend((!options.contains(&"--net")).then_some("--net=none"));
        told(self.command(&[all.as_slice(), options, words].concat()))
    }

    fn command(&self, words: &[&str]) -> Command {
        let path = |name: &str| self.0.masu.scratch.path(name).display().to_string();
        let target = self.0.masu.world().pid().to_string();
        let mut command = Command::new("nsenter");
        command.args(["--target", &target, "--net", "--mount", "podman"]);
        command.args(["--root", &path("podman"), "--runroot", &path("run"), "--storage-driver", "overlay"]);
        command.args(["--cgroup-manager", "cgroupfs", "--runtime", "runc"]).args(words);
        command.env("CONTAINERS_CONF", path("containers.conf"));
        command
    }
}

/// The cgroup that all of its containers were in stays otherwise.
impl Drop for Podman<'_> {
    fn drop(&mut self) {
        let own = format!("*/{}*", self.0.masu.scratch.name());
        run("find", &["/sys/fs/cgroup", "-depth", "-type", "d", "-path", &own, "-exec", "rmdir", "{}", "+"]);
    }
}

/// Standard output and exit code, with something on standard input.
fn told(mut command: Command) -> (String, Option<i32>) {
    let mut child = command
        .env("HERE", "here")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may not be read.
    child.stdin.take().unwrap().write_all(b"typed\n").ok();
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (text.concat(), output.status.code())
}

#[test]
fn the_effect_of_every_option_is_podmans() {
    let boxed = Box::within(World::new());
    let scratch = &boxed.masu.scratch;
    let directory = scratch.path("given-to-both");
    std::fs::create_dir_all(directory.join("given")).unwrap();
    let files = [
        ("given/file", "given\n"),
        ("env", "# none\nA=file\nB=file\n"),
        (
            "profile.json",
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}"#,
        ),
    ];
    files.iter().for_each(|(name, text)| std::fs::write(directory.join(name), text).unwrap());
    let name = "localhost/both:1";
    boxed.masu.call(&["import", &boxed.image, name]).good();
    let podman = Podman::new(&boxed, name);
    let mut differences = String::new();
    for (options, others, script) in CASES {
        let fill = |words: &[&str]| -> Vec<String> {
            let filled = words.iter().map(|word| word.replace("DIR", directory.to_str().unwrap()));
            filled.map(|word| word.replace("IMAGE", name)).collect()
        };
        let (ours, theirs) = (fill(options), fill(others.unwrap_or(options)));
        let [ours, theirs] =
            [&ours, &theirs].map(|words| words.iter().map(String::as_str).collect::<Vec<_>>());
        let shell: &[&str] = if ours.contains(&"--entrypoint") { &[] } else { &["sh", "-c"] };
        let words = [&[name], shell, &[script]].concat();
        let told_theirs = podman.run(&theirs, &words);
        let told_ours = told(boxed.masu.box_command(&[ours, words].concat()));
        if told_ours != told_theirs {
            differences +=
                &format!("{options:?} {script}\n  masu: {told_ours:?}\n  podman: {told_theirs:?}\n");
        }
    }
    assert_eq!(differences, "");
    boxed.nothing_is_left();
}
