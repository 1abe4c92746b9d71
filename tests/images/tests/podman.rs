//! Every option of `masu box` beside podman's of the same name: the same words, the same script, the same output.
#![allow(clippy::unwrap_used, missing_docs)]

use masu_image_tests::{Box, Podman, World, on_a_terminal, told};
use std::collections::BTreeSet;
use std::process::Command;

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
    (&["--pids-limit", "0"], None, "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max"),
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
    (
        &["--security-opt", "unmask=ALL"],
        None,
        "grep -c ' /proc/' /proc/mounts; touch /proc/sys/kernel/hostname",
    ),
    (
        &["--security-opt", "unmask=/proc/keys:/proc/sys"],
        None,
        "grep -c -e ' /proc/keys ' -e ' /proc/sys ' /proc/mounts",
    ),
    (&["--security-opt", "no-new-privileges"], None, "grep NoNewPrivs /proc/self/status"),
    (&["--sysctl", "net.ipv4.ip_forward=1"], None, "cat /proc/sys/net/ipv4/ip_forward"),
];

/// Options that podman has not, or that mean something else there, and why.
const OTHERS: &[(&str, &str)] = &[
    ("detach", "it prints the name of the box, podman an id of its own: compared below"),
    ("tty", "podman goes on without a terminal, masu refuses: compared on one below"),
    ("keep", "podman keeps a container unless --rm is given, masu the other way round"),
    ("log-opt", "podman's driver of logs has other sizes; tests/background.rs"),
    ("publish", "it is seen from outside: compared below"),
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

/// Both with the same image of this name, where the network `web` is.
const IMAGE: &str = "localhost/both:1";

fn import(boxed: &Box) {
    boxed.masu.call(&["import", &boxed.image, IMAGE]).good();
}

#[test]
fn a_terminal_is_podmans() {
    let boxed = Box::within(World::new());
    import(&boxed);
    let podman = Podman::new(&boxed, IMAGE);
    let terminal =
        "tty; test -t 0 && test -t 1 && test -t 2 && echo three; stat -c %t:%T,%a /dev/console /dev/tty";
    // podman's terminal begins with no size, and gets one in a moment.
    let size = "while [ \"$(stty size)\" = '0 0' ]; do sleep 0.01; done; stty size";
    let cases: [(&[&str], String); 5] = [
        (&["-t"], format!("{terminal}; {size}; echo error >&2; exit 7")),
        (&["-it"], format!("{size}; read line; echo got $line")),
        (
            &["--tty", "--interactive", "--user", "web"],
            format!("id -u; {terminal}; read line; echo got $line"),
        ),
        (&["-t"], "echo $TERM; stty -a | grep -o -e ' -\\?echo ' -e ' -\\?onlcr ' | tr -d '\\n'".into()),
        (&["-t", "-e", "TERM=dumb"], "echo $TERM".into()),
    ];
    let mut differences = String::new();
    for (options, script) in &cases {
        let words = [IMAGE, "sh", "-c", script];
        let theirs = on_a_terminal(&podman.run_command(options, &words));
        let ours = on_a_terminal(&boxed.masu.box_command(&[options, &words[..]].concat()));
        if ours != theirs {
            differences += &format!("{options:?} {script}\n  masu: {ours:?}\n  podman: {theirs:?}\n");
        }
    }
    assert_eq!(differences, "");
    boxed.nothing_is_left();
}

/// What a container in the background says and comes to.
fn followed(run: Command, other: impl Fn(&str, &str) -> Command) -> [(String, Option<i32>); 2] {
    let (printed, code) = told(run);
    let name = printed.trim_end();
    let is_one = code == Some(0) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    assert!(is_one && printed.lines().count() == 1, "{printed}");
    let wait = other("wait", name);
    let waiting = std::thread::spawn(|| told(wait));
    std::thread::sleep(std::time::Duration::from_millis(300));
    [told(other("logs", name)), waiting.join().unwrap()]
}

#[test]
fn a_container_in_the_background_is_podmans() {
    let boxed = Box::within(World::new());
    import(&boxed);
    let podman = Podman::new(&boxed, IMAGE);
    let masu = |verb: &str, name: &str| boxed.masu.other_command(verb, &[name]);
    let script = "echo out; echo error >&2; trap 'exit 9' TERM; (read line; echo got $line); sleep 1.5; echo late; exit 7";
    for options in [&["-d"][..], &["--detach", "--name", "in-both-backgrounds"], &["-d", "--user", "web"]] {
        let words = [IMAGE, "sh", "-c", script];
        let theirs =
            followed(podman.run_command(options, &words), |verb, name| podman.command(&[verb, name]));
        let ours = followed(boxed.masu.box_command(&[options, &words[..]].concat()), masu);
        assert_eq!(ours, theirs, "{options:?}");
    }
    for words in [&["nosuch"][..], &["/etc"]] {
        let words = [&[IMAGE], words].concat();
        let theirs = podman.run(&["-d"], &words).1;
        let ours = told(boxed.masu.box_command(&[&["-d"], &words[..]].concat())).1;
        assert_eq!(ours, theirs, "{words:?}");
    }
    podman.settle();
    boxed.nothing_is_left();
}

/// From outside, once the server is there; and what is seen of the addresses that it is not at.
const SEEN: &str = "for i in $(seq 200); do busybox wget -q -O - http://192.0.2.2:8081/ 2>/dev/null && exit; sleep 0.05; \
    done; echo nothing";

#[test]
fn a_published_port_is_podmans() {
    let boxed = Box::with_cni();
    import(&boxed);
    let podman = Podman::new(&boxed, IMAGE);
    let world = boxed.masu.world();
    let serve = "echo page > /index.html; httpd -f -p 80 -h /";
    let words = [IMAGE, "sh", "-c", serve];
    for port in ["8081:80", "192.0.2.2:8081:80", "0.0.0.0:8081:80/tcp"] {
        let options = ["-d", "--net", "web", "--name", "publishes", "-p", port];
        let mut seen = Vec::new();
        for is_ours in [false, true] {
            let command = |words: &[&str]| match is_ours {
                true => boxed.masu.box_command(words),
                false => podman.run_command(&words[..words.len() - 4], &words[words.len() - 4..]),
            };
            assert_eq!(told(command(&[&options[..], &words].concat())).1, Some(0), "{port}");
            let page = world.outside(SEEN);
            let sockets = world.inside("ss -Hltn | awk '{ print $4 }'");
            // One that is taken: both fail before anything runs.
            let again = ["--net", "web", "-p", "8081:81"];
            let (text, code) = told(command(&[&again[..], &[IMAGE, "echo", "it", "ran"]].concat()));
            assert!(code != Some(0) && !text.contains("it ran"), "{text}");
            seen.push((page, sockets));
            match is_ours {
                true => drop(boxed.masu.engine(&["kill", "publishes", "KILL"]).good()),
                false => assert_eq!(told(podman.command(&["rm", "-f", "-t", "0", "publishes"])).1, Some(0)),
            }
        }
        podman.settle();
        boxed.nothing_is_left_of("publishes");
        assert_eq!(seen[1], seen[0], "{port}");
        assert_eq!(seen[1].0, "page\n");
    }
    for wrong in ["x:80", "8081:99999", "8081:80/foo", "0:80", "1.2.3:8081:80"] {
        let words = ["--net", "web", "-p", wrong, IMAGE, "true"];
        let theirs = podman.run(&words[..4], &words[4..]).1;
        assert_eq!((wrong, told(boxed.masu.box_command(&words)).1), (wrong, theirs));
    }
    podman.settle();
    boxed.nothing_is_left();
}
