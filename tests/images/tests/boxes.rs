//! `masu box`: what each option does, seen from inside. Beside podman's they are in podman.rs.
#![allow(clippy::unwrap_used, missing_docs)]

use masu_image_tests::{Box, World, run};
use std::path::Path;
use std::time::Duration;

#[test]
fn a_box_says_what_its_program_says_and_leaves_nothing() {
    let boxed = Box::new();
    assert_eq!(boxed.says(&[], "echo $$ && echo x > /file && cat /file"), "1\nx\n");
    boxed.nothing_is_left();
}

#[test]
fn the_exit_code_is_the_programs_and_those_of_failures_are_podmans() {
    let boxed = Box::new();
    // podman run --rm IMAGE …: 7, 127, 126, 125 and 125 too.
    let code = |options: &[&str], words: &[&str]| boxed.run(options, words).code;
    assert_eq!(code(&[], &["sh", "-c", "exit 7"]), Some(7));
    assert_eq!(code(&[], &["sh", "-c", "sh -c 'kill -9 $$'; exit $?"]), Some(137));
    assert_eq!(code(&[], &["nosuch"]), Some(127));
    assert_eq!(code(&[], &["/etc"]), Some(126));
    assert_eq!(code(&["--no-such-option"], &["true"]), Some(125));
    assert_eq!(code(&["--user", "nobody-there"], &["true"]), Some(125));
    boxed.nothing_is_left();
}

/// Also a `--`, which is the program's as well; before the image it says that there is none.
#[test]
fn what_stands_behind_the_image_is_the_programs() {
    let boxed = Box::new();
    let script = "echo \"$0 $*\"";
    let told = boxed.run(&[], &["sh", "-c", script, "--", "--", "-it", "--name", "x", "--"]).good();
    assert_eq!(told, "-- -- -it --name x --\n");
    assert_eq!(boxed.masu.boxed(&["--", "echo", "host", "--", "-x"]).good(), "host -- -x\n");
    boxed.nothing_is_left();
}

#[test]
fn the_process_is_what_the_options_say() {
    let boxed = Box::new();
    let file = boxed.masu.scratch.path("env");
    std::fs::write(&file, "# none\nA=file\nB=file\n").unwrap();
    let file = file.display().to_string();
    let options = ["--env-file", &file, "-e", "A=option", "-u", "web", "-w", "/etc", "--hostname", "inside"];
    let told = boxed.says(&options, "echo $A $B; id -u; id -g; pwd; hostname");
    assert_eq!(told, "option file\n33\n34\n/etc\ninside\n");
    assert_eq!(boxed.says(&["--name", "named"], "hostname"), "named\n");
    let entry = boxed.run(&["--entrypoint", r#"["echo","one"]"#], &["two"]);
    assert_eq!(entry.good(), "one two\n");
    assert_eq!(boxed.says(&["--init"], "cat /proc/1/comm"), "masu-init\n");
    assert_eq!(boxed.says(&["--ulimit", "nofile=33:44"], "ulimit -n; ulimit -Hn"), "33\n44\n");
    // podman: 0000000000002000, the one capability, in all sets but inheritable and ambient.
    let sets = "grep -E 'Cap(Prm|Eff|Bnd|Amb)' /proc/self/status | tr -d '\\n\\t'";
    let one = boxed.says(&["--cap-drop", "all", "--cap-add", "net_raw"], sets);
    let (some, none) = ("0000000000002000", "0000000000000000");
    assert_eq!(one, format!("CapPrm:{some}CapEff:{some}CapBnd:{some}CapAmb:{none}"));
    boxed.nothing_is_left();
}

#[test]
fn mounts_are_what_the_options_say() {
    let boxed = Box::new();
    let given = boxed.masu.scratch.path("given");
    std::fs::create_dir(&given).unwrap();
    std::fs::write(given.join("file"), "given\n").unwrap();
    let given = given.display().to_string();
    let (write, read) = (format!("{given}:/w"), format!("type=bind,src={given},dst=/r,ro"));
    let options =
        ["-v", &write, "--mount", &read, "--mount", "type=tmpfs,dst=/t,tmpfs-size=1m", "--read-only"];
    let script = "cat /r/file; echo new > /w/new; touch /r/x /x 2>/dev/null || echo refused; \
                  grep -o 'tmpfs /t .*size=1024k' /proc/mounts | cut -d' ' -f2";
    assert_eq!(boxed.says(&options, script), "given\nrefused\n/t\n");
    assert_eq!(std::fs::read_to_string(Path::new(&given).join("new")).unwrap(), "new\n");
    let missing = boxed.run(&["-v", "/no/such/path:/x"], &["true"]).bad();
    assert!(missing.starts_with("mount /no/such/path on /x: No such file or directory"), "{missing}");
    let named = boxed.run(&["-v", "data:/x"], &["true"]).bad();
    let hint = "hint: ./data for a directory here";
    assert_eq!(named, format!("--volume data:/x: there are no volumes with names\n{hint}"));
    let device = boxed.says(&["--device", "/dev/zero:/dev/nil"], "head -c 2 /dev/nil | wc -c");
    assert_eq!(device, "2\n");
    boxed.nothing_is_left();
}

/// As podman: what another image has is seen, and nothing can be written there.
fn mounts_an_image(boxed: &Box) {
    let other = boxed.masu.scratch.path("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("file"), "other\n").unwrap();
    boxed.masu.call(&["import", &format!("rootfs:{}", other.display()), "test/other:1"]).good();
    let options =
        ["--mount", "type=image,src=test/other:1,dst=/a", "--mount", "type=image,src=test/other:1,dst=/b"];
    let script =
        "cat /a/file /b/file; touch /a/x 2>/dev/null || echo refused; grep -c ' /[ab] .*ro,' /proc/mounts";
    assert_eq!(boxed.says(&options, script), "other\nother\nrefused\n2\n");
    boxed.nothing_is_left();
    let name = boxed.leave(&options, "while :; do sleep 0.05; done");
    boxed.masu.call(&["rm", "test/other:1"]).good();
    assert!(boxed.masu.call(&["prune"]).good().starts_with("removed 0 blobs, 0 unpacked layers"));
    assert_eq!(boxed.masu.engine(&["exec", &name, "cat", "/b/file"]).good(), "other\n");
    boxed.masu.engine(&["kill", &name, "KILL"]).good();
    boxed.nothing_is_left_of(&name);
    let missing = boxed.run(&["--pull", "never", options[0], options[1]], &["true"]);
    assert!(missing.bad().starts_with("no image docker.io/test/other:1 in "));
    boxed.nothing_is_left();
}

#[test]
fn an_image_is_mounted_and_kept_while_it_is() {
    mounts_an_image(&Box::new());
}

#[test]
fn an_image_is_mounted_for_an_ordinary_user_too() {
    mounts_an_image(&Box::of_a_user());
}

/// Nothing of the machine is changed, and nothing of other people's is seen.
fn runs_on_this_machine(boxed: &Box, words: &[&str]) {
    let name = boxed.masu.scratch.name();
    let script = format!(
        "cat /etc/os-release; echo x > /etc/{name} && cat /etc/{name}; cat /etc/shadow; find /root /home -mindepth 1"
    );
    let told = boxed.masu.boxed(&[words, &["sh", "-c", &script]].concat()).good();
    assert_eq!(told, format!("{}x\n", std::fs::read_to_string("/etc/os-release").unwrap()).as_str());
    assert!(!Path::new("/etc").join(&name).exists());
    boxed.nothing_is_left();
}

fn goes_with_this_machine(boxed: &Box) {
    runs_on_this_machine(boxed, &["--"]);
    runs_on_this_machine(boxed, &["host"]);
    let name = format!("on-{}", boxed.masu.scratch.name());
    let words = |option| [option, "--name", &name, "--", "sleep", "1000"];
    for milliseconds in (0..200).step_by(20) {
        for option in ["--detach", "--interactive"] {
            let mut child = boxed.masu.start_box(&words(option));
            std::thread::sleep(Duration::from_millis(milliseconds));
            child.kill().unwrap();
            child.wait().unwrap();
            boxed.kill_and_clean();
        }
    }
    let kept = boxed.masu.boxed(&["--keep", "--", "true"]).bad();
    assert!(kept.starts_with("--keep: what is written on this machine's own root is in memory"), "{kept}");
}

#[test]
fn a_box_on_this_machine_changes_nothing_of_it() {
    goes_with_this_machine(&Box::new());
}

#[test]
fn an_ordinary_users_box_on_this_machine_changes_nothing_of_it() {
    goes_with_this_machine(&Box::of_a_user());
}

#[test]
fn a_box_of_root_has_ids_that_no_other_has() {
    let boxed = Box::within(World::new());
    let missing = boxed.run(&["--userns", "auto"], &["true"]);
    assert_eq!(missing.code, Some(125));
    let hint = "hint: a line containers:2147483647:2147483648 in both, as for podman";
    let message = "--userns auto: /etc/subuid and /etc/subgid grant nothing to containers";
    assert_eq!(missing.bad(), format!("{message}\n{hint}"));
    boxed.masu.world().grant(&boxed.masu.scratch, "containers:2000000:2500\n");
    let image = format!("type=image,src={},dst=/i", boxed.image);
    let options = ["--userns", "auto:size=1000", "--mount", &image];
    let owner = "stat -c %u:%g /bin/sh /i/bin/sh /etc/hosts";
    let script = format!(
        "tr -s ' ' < /proc/self/uid_map; {owner}; touch /bin/x && stat -c %u /bin/x; echo >> /etc/hosts"
    );
    assert_eq!(boxed.says(&options, &script), " 0 2000000 1000\n0:0\n0:0\n0:0\n0\n");
    boxed.nothing_is_left();
    let wait = "while :; do sleep 0.05; done";
    let names = [boxed.leave(&options, wait), boxed.leave(&options, wait)];
    let ids = names
        .each_ref()
        .map(|name| boxed.masu.engine(&["exec", name, "cut", "-c", "12-22", "/proc/self/uid_map"]).good());
    assert_eq!(ids, ["   2000000 \n", "   2001000 \n"]);
    let full = boxed.run(&options, &["true"]).bad();
    assert!(full.starts_with("--userns auto: no 1000 ids are free in /etc/subuid and /etc/subgid"), "{full}");
    for name in names {
        boxed.masu.engine(&["kill", &name, "KILL"]).good();
        boxed.masu.other("wait", &[&name]).good();
    }
    boxed.nothing_is_left();
    // Whatever is killed meanwhile.
    for milliseconds in (0..60).step_by(3) {
        let mut child = boxed.masu.start_box(&[&options[..], &[&boxed.image, "sleep", "1000"]].concat());
        std::thread::sleep(Duration::from_millis(milliseconds));
        child.kill().unwrap();
        child.wait().unwrap();
        boxed.kill_and_clean();
    }
}

#[test]
fn an_ordinary_user_keeps_the_own_id() {
    let boxed = Box::of_a_user_within(World::new());
    let alone = boxed.run(&["--userns", "keep-id"], &["true"]).bad();
    assert!(alone.starts_with("--userns keep-id: the container would have no root"), "{alone}");
    boxed.masu.world().grant(&boxed.masu.scratch, "nobody:100000:65536\n");
    // What is the user's becomes root's in an image.
    run("chown", &["-R", "65534:65534", boxed.masu.scratch.path("root").to_str().unwrap()]);
    let own = boxed.masu.scratch.path("own");
    std::fs::create_dir(&own).unwrap();
    std::os::unix::fs::chown(&own, Some(65534), Some(65534)).unwrap();
    let volume = format!("{}:/own", own.display());
    let options = ["--userns", "keep-id", "-v", &volume];
    // podman run --userns keep-id: the same.
    let script =
        "id -u; id -g; stat -c %u:%g /bin/sh /own; touch /own/x; touch /x 2>/dev/null || echo refused";
    assert_eq!(boxed.says(&options, script), "65534\n65534\n0:0\n65534:65534\nrefused\n");
    assert_eq!(boxed.says(&[&options[..], &["-u", "0"]].concat(), "id -u; touch /x"), "0\n");
    assert_eq!(boxed.says(&["--userns", "host"], "id -u; stat -c %u:%g /bin/sh"), "0\n0:0\n");
    boxed.nothing_is_left();
    let kept = boxed.run(&["--userns", "keep-id", "--keep", "--name", "kept-with-own-id"], &["id", "-u"]);
    assert_eq!(kept.good(), "65534\n");
    boxed.masu.engine(&["delete", "kept-with-own-id"]).good();
    boxed.masu.bundle(&["rm", &boxed.directory("kept-with-own-id").display().to_string()]).good();
    boxed.nothing_is_left();
}

#[test]
fn user_namespaces_that_are_not_for_the_caller_are_refused() {
    let refused = |boxed: &Box, mode: &str| boxed.run(&["--userns", mode], &["true"]).bad();
    let (root, user) = (Box::new(), Box::of_a_user());
    assert_eq!(refused(&root, "keep-id"), "--userns keep-id: it is for ordinary users\nhint: --userns auto");
    let hint = "hint: an ordinary user's box has a user namespace without it";
    assert_eq!(refused(&user, "auto"), format!("--userns auto: it is for root\n{hint}"));
    let hint = "hint: host, auto, auto:size=NUMBER for root, keep-id for users";
    assert_eq!(refused(&root, "private"), format!("--userns private: it is not known\n{hint}"));
    let hint = "hint: --userns auto:size=65536";
    assert_eq!(
        refused(&root, "auto:size=x"),
        format!("--userns auto:size=x: it is no number of ids\n{hint}")
    );
}

#[test]
fn limits_are_those_of_the_cgroup() {
    let boxed = Box::new();
    let options = ["--memory", "64m", "--pids-limit", "20", "--cpus", "0.5", "--cpuset-cpus", "0"];
    let script = "grep Cpus_allowed_list /proc/self/status | cut -f2; cd /sys/fs/cgroup; \
                  cat memory/memory.limit_in_bytes memory.max pids/pids.max pids.max 2>/dev/null; \
                  cat cpu/cpu.cfs_quota_us 2>/dev/null || cut -d' ' -f1 cpu.max";
    assert_eq!(boxed.says(&options, script), "0\n67108864\n20\n50000\n");
    boxed.nothing_is_left();
}

#[test]
fn isolation_is_what_the_options_say() {
    let boxed = Box::new();
    assert_eq!(boxed.says(&[], "ls /sys/class/net"), "lo\n");
    let host = run("readlink", &["/proc/self/ns/net"]);
    assert_eq!(boxed.says(&["--net", "host"], "readlink /proc/self/ns/net"), host);
    let (uts, ipc) = (run("readlink", &["/proc/self/ns/uts"]), run("readlink", &["/proc/self/ns/ipc"]));
    let told = boxed.says(&["--ns", "pid,ipc"], "readlink /proc/self/ns/uts; readlink /proc/self/ns/ipc");
    assert!(told.starts_with(&uts) && !told.ends_with(&ipc), "{told}");
    assert_eq!(
        boxed.says(&["--sysctl", "net.ipv4.ip_forward=1"], "cat /proc/sys/net/ipv4/ip_forward"),
        "1\n"
    );
    let status = "grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status | cut -f2 | tr -d '\\n'";
    assert_eq!(boxed.says(&[], status), "12");
    let open = ["--security-opt", "seccomp=unconfined", "--security-opt", "no-new-privileges=false"];
    assert_eq!(boxed.says(&open, status), "00");
    let profile = boxed.masu.scratch.path("profile.json");
    let text = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}"#;
    std::fs::write(&profile, text).unwrap();
    let own = format!("seccomp={}", profile.display());
    let mkdir = "mkdir /x 2>/dev/null || echo refused";
    assert_eq!(boxed.says(&["--security-opt", &own], mkdir), "refused\n");
    boxed.nothing_is_left();
}

#[test]
fn what_is_wrong_with_an_option_is_told_before_anything_is_fetched() {
    let boxed = Box::new();
    let cases: [(&[&str], &str); 22] = [
        (&["--sysctl", "x"], "--sysctl x: it is not NAME=VALUE"),
        (&["--memory", "x"], "--memory x: invalid size: \"x\""),
        (&["--cpus", "x"], "--cpus x: it is no number of at least 0.01"),
        (&["--ulimit", "nofile"], "--ulimit nofile: it is not NAME=SOFT[:HARD]"),
        (&["-v", "/x"], "--volume /x: it is not SOURCE:TARGET[:OPTIONS]"),
        (&["-v", "/no/such:/x"], "mount /no/such on /x: No such file or directory (os error 2)"),
        (&["--mount", "type=bind"], "--mount type=bind: it has no source="),
        (&["-v", "/etc:/x", "-v", "/usr:/x/"], "--volume: /x/ is the target of two mounts"),
        (&["-v", "/etc:/x", "--mount", "type=tmpfs,dst=/x"], "--mount: /x is the target of two mounts"),
        (&["--cap-add", "net_raw", "--cap-drop", "NET_RAW"], "--cap-add net_raw: it is dropped too"),
        (&["--device", "zero"], "--device zero: it is not SOURCE[:TARGET][:rwm]"),
        (&["--device", "/etc:/x"], "--device /etc:/x: /etc is no device"),
        (&["--cap-add", "x"], "--cap-add x: the capability is not known"),
        (&["--security-opt", "x"], "--security-opt x: it is not known"),
        (&["--security-opt", "unmask="], "--security-opt unmask=: it is not known"),
        (&["--ns", "x"], "--ns x: x is none of pid, ipc, uts, cgroup and mount"),
        (&["--ns", "pid", "--hostname", "x"], "--hostname would rename this machine"),
        (&["--env-file", "/no/such"], "--env-file /no/such: No such file or directory (os error 2)"),
        (&["--workdir", "x"], "--workdir x: it has to begin with a slash"),
        (&["-p", "80"], "--publish 80: it is not [HOSTIP:]HOSTPORT:PORT[/tcp|/udp]"),
        (&["--userns", "x"], "--userns x: it is not known"),
        (&["--name", "a/b"], "box a/b: "),
    ];
    for (options, message) in cases {
        // Nobody answers there.
        let told = boxed.masu.boxed(&[options, &["--insecure", "127.0.0.1:1/none", "true"]].concat());
        assert_eq!(told.code, Some(125), "{options:?}");
        let told = told.bad();
        assert!(told.starts_with(message), "{options:?}: {told}");
    }
    assert!(!boxed.masu.scratch.path("store").exists());
}

#[test]
fn a_kept_box_has_its_name_until_it_is_removed() {
    let boxed = Box::new();
    boxed.run(&["--name", "one", "--keep"], &["touch", "/kept"]).good();
    let directory = boxed.masu.scratch.path("store/boxes/one").display().to_string();
    assert!(Path::new(&directory).join("rootfs/kept").exists());
    let taken = boxed.run(&["--name", "one"], &["true"]);
    assert_eq!(taken.code, Some(125));
    assert_eq!(
        taken.bad(),
        format!(
            "the name one is taken by the box {directory}\nhint: another --name, or masu bundle rm when it has ended"
        )
    );
    run(
        &masu_image_tests::engine(),
        &["--root", &boxed.masu.scratch.path("state").display().to_string(), "delete", "one"],
    );
    boxed.masu.bundle(&["rm", &directory]).good();
    boxed.nothing_is_left();
}

#[test]
fn a_box_that_is_not_kept_waits_for_no_disk() {
    let boxed = Box::new();
    let script = "grep -c ' / overlay .*volatile' /proc/mounts";
    assert_eq!(boxed.says(&[], script), "1\n");
    let kept = boxed.run(&["--keep", "--name", "kept-on-a-disk"], &["sh", "-c", script]);
    assert_eq!((kept.code, kept.stdout.as_str()), (Some(1), "0\n"));
    boxed.masu.engine(&["delete", "kept-on-a-disk"]).good();
    boxed.masu.bundle(&["rm", &boxed.directory("kept-on-a-disk").display().to_string()]).good();
    boxed.nothing_is_left();
}

#[test]
fn a_box_knows_names() {
    let boxed = Box::new();
    let script = "cat /etc/hostname /etc/hosts; ls /etc";
    let told = boxed.says(&["--hostname", "inside"], script);
    let hosts = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.0.1\tinside\n";
    assert_eq!(told, format!("inside\n{hosts}hostname\nhosts\npasswd\n"));
    // podman run --net host: the host's hosts, and its name servers.
    let told = boxed.says(&["--net", "host", "--name", "box-with-names"], "cat /etc/resolv.conf /etc/hosts");
    let host = ["/etc/resolv.conf", "/etc/hosts"].map(|path| std::fs::read_to_string(path).unwrap()).concat();
    assert_eq!(told, format!("{host}127.0.0.1\tbox-with-names\n"));
    let own = boxed.masu.scratch.path("hosts");
    std::fs::write(&own, "192.0.2.7\town\n").unwrap();
    let own = format!("{}:/etc/hosts", own.display());
    assert_eq!(boxed.says(&["-v", &own], "cat /etc/hosts"), "192.0.2.7\town\n");
    let script = "(echo x > /etc/hosts) 2>/dev/null || echo refused; echo x > /etc/hostname || echo refused";
    assert_eq!(boxed.says(&["--read-only"], &format!("{{ {script}; }} 2>/dev/null")), "refused\nrefused\n");
    assert_eq!(boxed.says(&[], &format!("{script}; cat /etc/hosts")), "x\n");
    boxed.nothing_is_left();
}

#[test]
fn a_signal_reaches_the_program() {
    let boxed = Box::new();
    let mut child = boxed.start("trap 'exit 9' TERM; echo; while :; do sleep 0.05; done");
    run("kill", &["-TERM", &child.id().to_string()]);
    assert_eq!(child.wait().unwrap().code(), Some(9));
    boxed.nothing_is_left();
}

#[test]
fn a_box_that_is_told_to_end_while_it_begins_leaves_nothing() {
    let boxed = Box::new();
    boxed.masu.call(&["import", &boxed.image, "test/box:1"]).good();
    for milliseconds in (0..40).step_by(4) {
        let mut child = boxed.masu.start_box(&["test/box:1", "sleep", "0.5"]);
        std::thread::sleep(Duration::from_millis(milliseconds));
        run("kill", &["-TERM", &child.id().to_string()]);
        child.wait().unwrap();
        boxed.nothing_is_left();
    }
}

#[test]
fn a_box_whose_engine_is_killed_goes_with_its_container() {
    let boxed = Box::new();
    let mut child = boxed.start("echo; exec sleep 1000");
    let id = child.id();
    let engine = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    run("kill", &["-KILL", engine.trim()]);
    assert_eq!(child.wait().unwrap().code(), Some(137));
    boxed.nothing_is_left();
}

#[test]
fn a_box_whose_state_cannot_be_kept_leaves_nothing() {
    let boxed = Box::new();
    std::fs::write(boxed.masu.scratch.path("state"), "no directory").unwrap();
    let failed = boxed.run(&[], &["true"]);
    assert_eq!(failed.code, Some(125));
    assert!(failed.bad().starts_with("make "));
    std::fs::remove_file(boxed.masu.scratch.path("state")).unwrap();
    boxed.nothing_is_left();
}

#[test]
fn a_terminal_is_refused_where_there_is_none() {
    let boxed = Box::new();
    let refused = boxed.run(&["-it"], &["sh"]);
    assert_eq!(refused.code, Some(125));
    assert_eq!(refused.bad(), "--tty: standard input and output are no terminal\nhint: masu box without -t");
}

#[test]
fn the_words_of_an_image_weaken_nothing() {
    let boxed = Box::new();
    let layout = boxed.masu.scratch.path("layout").display().to_string();
    let image = format!("{layout}:hostile");
    boxed.masu.call(&["import", &boxed.image, "test/box:1"]).good();
    boxed.masu.call(&["export", "test/box:1", &format!("oci:{image}")]).good();
    let labels =
        ["run.oci.handler=krun", "run.oci.seccomp.receiver=/x", "org.systemd.property.X='y'", "bundle=/"];
    let words: Vec<&str> = labels.iter().flat_map(|label| ["--config.label", label]).collect();
    run("umoci", &[&["config", "--image", &image], words.as_slice()].concat());
    let status = "grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status | cut -f2 | tr -d '\\n'";
    let told = boxed.masu.boxed(&[&format!("oci:{image}"), "sh", "-c", status]).good();
    assert_eq!(told, "12");
    boxed.nothing_is_left();
}

#[test]
fn fifty_boxes_of_one_image_begin_and_end_at_once_and_leave_nothing() {
    let boxed = Box::new();
    let masu = &boxed.masu;
    masu.call(&["import", "--quiet", &boxed.image, "one"]).good();
    let begin = |number| masu.start_box(&["one", "echo", &format!("{number}")]);
    let children: Vec<_> = (0..50).map(begin).collect();
    for (number, child) in children.into_iter().enumerate() {
        let told = child.wait_with_output().unwrap();
        let [stdout, stderr] = [told.stdout, told.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!((told.status.code(), stdout, stderr), (Some(0), format!("{number}\n"), String::new()));
    }
    boxed.nothing_is_left();
}
