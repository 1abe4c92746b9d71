//! `masu box --net`: real packets from and to boxes, on a network that is made for it (`World`).
//!
//! Tests run at the same time, and the machine has one cgroup of a name: each names its boxes in its own way.
#![allow(clippy::unwrap_used, missing_docs)]

use masu_image_tests::{Box, World};
use std::process::Child;

/// What a box asks the server outside, which answers with the address that it sees.
const ASK: &str = "wget -q -O - http://192.0.2.1:8080/cgi-bin/who";

/// No box, no address, no rule of the firewall and no interface.
fn nothing_is_left(boxed: &Box) {
    boxed.nothing_is_left();
    let addresses = std::fs::read_dir(boxed.masu.scratch.path("leases/web")).unwrap();
    let names = addresses.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.starts_with("10.")).count(), 0);
    let rules = boxed.masu.world().inside("iptables -t nat -S");
    assert!(!rules.contains("10.77.0."), "{rules}");
    let links = boxed.masu.world().inside("ip -o link show master masu0");
    assert_eq!(links, "");
}

#[test]
fn a_box_in_a_network_of_cni_reaches_the_outside_and_gives_its_address_back() {
    let boxed = Box::with_cni();
    for _ in 0..2 {
        let script = format!("{ASK}; hostname -i; cat /etc/resolv.conf; ls /sys/class/net");
        let told = boxed.says(&["--net", "web", "--name", "of-cni"], &script);
        // The other's address is the machine's: it is masqueraded.
        let address = told.lines().nth(1).unwrap();
        assert!(address.starts_with("10.77.0."), "{told}");
        assert_eq!(told, format!("192.0.2.2\n{address}\nnameserver 192.0.2.53\neth0\nlo\n"));
        nothing_is_left(&boxed);
    }
    let name = boxed.leave(&["--net", "web"], "while :; do sleep 0.05; done");
    let second = boxed.says(&["--net", "web"], "hostname -i");
    assert_ne!(boxed.masu.engine(&["exec", &name, "hostname", "-i"]).good(), second);
    boxed.masu.engine(&["kill", &name, "KILL"]).good();
    boxed.nothing_is_left_of(&name);
    nothing_is_left(&boxed);
}

#[test]
fn a_network_that_is_not_there_or_cannot_be_made_is_told_before_anything_is() {
    let boxed = Box::with_cni();
    let unknown = boxed.run(&["--net", "nosuch"], &["true"]);
    assert_eq!(unknown.code, Some(125));
    let directory = boxed.masu.scratch.path("net.d").display().to_string();
    let hint =
        format!("hint: none, host, pasta, slirp4netns, web, other; those of CNI are files of {directory}");
    assert_eq!(unknown.bad(), format!("--net nosuch: there is no such network\n{hint}"));
    let plugin = boxed.run(&["--net", "other"], &["true"]).bad();
    let hint = "hint: install the package containernetworking-plugins, or set CNI_PATH";
    let path = "/usr/lib/cni:/opt/cni/bin:/usr/libexec/cni";
    let expected = format!("network other: the plugin \"no-such-plugin\" is in none of {path}\n{hint}");
    assert_eq!(plugin, expected);
    boxed.nothing_is_left();
    // The only address is the machine's own.
    let list = std::fs::read_to_string(format!("{directory}/10-web.conflist")).unwrap();
    let list = list
        .replace("10.77.0.0/24", "10.77.0.0/30")
        .replace("\"web\"", "\"small\"")
        .replace("masu0", "masu1");
    std::fs::write(format!("{directory}/30-small.conflist"), list).unwrap();
    let name = boxed.leave(&["--net", "small"], "while :; do sleep 0.05; done");
    for options in [&["--net", "small"][..], &["-d", "--net", "small"]] {
        let full = boxed.run(options, &["true"]);
        assert_eq!(full.code, Some(125));
        let text = full.bad();
        // In the foreground they are the engine's words, who names the hook first.
        let text = text.split_once(": exited with status 1: ").map_or(text.as_str(), |(_, words)| words);
        assert!(text.starts_with("network small: bridge: failed to allocate for range 0"), "{text}");
    }
    boxed.masu.engine(&["kill", &name, "KILL"]).good();
    boxed.nothing_is_left_of(&name);
}

/// Kills what a box has started at a point in time that is another in each round, and cleans up with the two commands that
/// a person has.
fn kill_all_and_clean(boxed: &Box, begin: impl Fn(&Box) -> Child) {
    for milliseconds in (0..300).step_by(30) {
        let mut child = begin(boxed);
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        child.kill().unwrap();
        child.wait().unwrap();
        boxed.kill_and_clean();
    }
}

#[test]
fn whatever_is_killed_of_a_box_in_a_network_of_cni_its_address_comes_back() {
    let boxed = Box::with_cni();
    boxed.run(&["--net", "web"], &["true"]).good();
    kill_all_and_clean(&boxed, |boxed| {
        boxed.masu.start_box(&["--net", "web", "--name", "of-cni-killed", &boxed.image, "sleep", "1000"])
    });
    nothing_is_left(&boxed);
    kill_all_and_clean(&boxed, |boxed| {
        boxed.masu.start_box(&[
            "-d",
            "--net",
            "web",
            "--name",
            "of-cni-killed",
            &boxed.image,
            "sleep",
            "1000",
        ])
    });
    nothing_is_left(&boxed);
    let options =
        [&["--net", "web", "--name", "of-cni-killed"][..], &PUBLISH, &[&boxed.image, "sleep", "1000"]];
    let options = options.concat();
    kill_all_and_clean(&boxed, |boxed| boxed.masu.start_box(&options));
    kill_all_and_clean(&boxed, |boxed| boxed.masu.start_box(&[&["-d"], &options[..]].concat()));
    ports_are_unpublished(&boxed);
    publishes(&boxed, "web");
}

/// No rule of the firewall has to do with them.
fn ports_are_unpublished(boxed: &Box) {
    nothing_is_left(boxed);
    let rules = boxed.masu.world().inside("iptables -t nat -S; ip6tables -t nat -S");
    assert!(!rules.contains("8081") && !rules.contains("9053"), "{rules}");
}

#[test]
fn of_boxes_that_begin_at_once_one_has_the_port() {
    let boxed = Box::with_cni();
    boxed.masu.call(&["import", "--quiet", &boxed.image, "one"]).good();
    for _ in 0..3 {
        let begin =
            |_| boxed.masu.start_box(&["-d", "--net", "web", "-p", "8081:80", "one", "sleep", "1000"]);
        let children: Vec<Child> = (0..8).map(begin).collect();
        let ended: Vec<_> = children.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
        let (well, badly): (Vec<_>, Vec<_>) = ended.into_iter().partition(|output| output.status.success());
        let name = String::from_utf8(well.iter().flat_map(|output| output.stdout.clone()).collect()).unwrap();
        assert_eq!((well.len(), badly.len()), (1, 7));
        for output in badly {
            let text = String::from_utf8(output.stderr).unwrap();
            // Whose it is is not known before that one has said it.
            let holder = format!("port 8081/tcp is taken by the box {}\n", name.trim_end());
            assert!(text.contains(&holder) || text.contains("port 8081/tcp is taken\n"), "{text}");
        }
        boxed.masu.engine(&["kill", name.trim_end(), "KILL"]).good();
        boxed.nothing_is_left_of(name.trim_end());
        ports_are_unpublished(&boxed);
    }
}

/// The same machine and image, and another store.
fn with_another_store(boxed: &Box, options: &[&str]) -> Vec<String> {
    let store = boxed.masu.scratch.path("other-store").display().to_string();
    let words = ["--store", &store].into_iter().chain(options.iter().copied());
    words.chain([boxed.image.as_str(), "sleep", "1000"]).map(ToOwned::to_owned).collect()
}

/// No box, no lease.
fn other_store_is_empty(boxed: &Box) {
    for name in ["boxes", "leases"] {
        let entries = std::fs::read_dir(boxed.masu.scratch.path("other-store").join(name));
        assert_eq!(entries.map_or(0, Iterator::count), 0, "{name}");
    }
}

/// Of two stores one box has the port, and the other one fails before anything is made of it.
fn a_port_is_one_stores(boxed: &Box, network: &str) {
    let holder = format!("holder-of-{network}");
    let name = boxed.leave(&["--net", network, "--name", &holder, "-p", "8081:80"], SERVE_PAGE);
    assert_eq!(boxed.masu.world().outside(&ask("192.0.2.2")), "page\n");
    let clashing = ["--net", network, "--name", "of-another-store", "-p", "8081:80"];
    for detach in [&[][..], &["-d"]] {
        let words = with_another_store(boxed, &[&clashing[..], detach].concat());
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let taken = boxed.masu.boxed(&words);
        assert_eq!(taken.code, Some(125));
        let hint = "hint: another port; ss -tulpn shows who has it, and boxes of other stores are masu-tools";
        assert_eq!(taken.bad(), format!("port 8081/tcp is taken\n{hint}"));
        other_store_is_empty(boxed);
    }
    assert_eq!(boxed.masu.world().outside(&ask("192.0.2.2")), "page\n");
    boxed.masu.engine(&["kill", &name, "KILL"]).good();
    boxed.nothing_is_left_of(&name);
    // It is free for the other store then.
    let words = with_another_store(boxed, &["-d", "--net", network, "--name", &holder, "-p", "8081:80"]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    boxed.masu.boxed(&words).good();
    let taken = boxed.run(&["--net", network, "-p", "8081:80"], &["true"]).bad();
    assert!(taken.starts_with("port 8081/tcp is taken\n"), "{taken}");
    boxed.masu.engine(&["kill", &holder, "KILL"]).good();
    boxed.nothing_is_left_of(&holder);
    other_store_is_empty(boxed);
}

#[test]
fn a_port_of_one_store_is_taken_for_another_store_and_for_other_programs() {
    let boxed = Box::with_cni();
    a_port_is_one_stores(&boxed, "web");
    ports_are_unpublished(&boxed);
    let mut child = boxed.masu.start_box(&["--net", "web", "-p", "8081:80", &boxed.image, "sleep", "1000"]);
    let busy = "for i in $(seq 200); do ss -Hltn sport = :8081 | grep -q . && echo taken && exit; sleep 0.05; done; exit 1";
    assert_eq!(boxed.masu.world().inside(busy), "taken\n");
    masu_image_tests::run("kill", &["-TERM", &child.id().to_string()]);
    child.wait().unwrap();
    ports_are_unpublished(&boxed);
    assert_eq!(boxed.masu.world().inside("ss -Hltun"), "");
}

#[test]
fn an_ordinary_users_port_of_one_store_is_taken_for_another_store() {
    let boxed = Box::of_a_user_within(World::new());
    for (helper, _) in HELPERS {
        a_port_is_one_stores(&boxed, helper);
        ports_are_free(&boxed);
    }
}

#[test]
fn of_boxes_of_two_stores_that_begin_at_once_one_has_the_port() {
    let boxed = Box::with_cni();
    for _ in 0..3 {
        let begin = |number| {
            let options = ["-d", "--net", "web", "-p", "8081:80"];
            let words = match number % 2 {
                0 => with_another_store(&boxed, &options),
                _ => [&options[..], &[&boxed.image, "sleep", "1000"]]
                    .concat()
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
            };
            boxed.masu.start_box(&words.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let children: Vec<Child> = (0..6).map(begin).collect();
        let ended: Vec<_> = children.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
        let (well, badly): (Vec<_>, Vec<_>) = ended.into_iter().partition(|output| output.status.success());
        for output in &badly {
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(text.contains("port 8081/tcp is taken"), "{text}");
        }
        assert_eq!((well.len(), badly.len()), (1, 5));
        let name = String::from_utf8(well.iter().flat_map(|output| output.stdout.clone()).collect()).unwrap();
        boxed.masu.engine(&["kill", name.trim_end(), "KILL"]).good();
        boxed.nothing_is_left_of(name.trim_end());
        other_store_is_empty(&boxed);
        ports_are_unpublished(&boxed);
    }
}

#[test]
fn the_address_comes_back_of_a_box_whose_namespace_is_gone() {
    let boxed = Box::with_cni();
    let name = boxed.leave(&["--net", "web"], "while :; do sleep 0.05; done");
    for pid in boxed.processes() {
        masu_image_tests::run("kill", &["-KILL", &pid.to_string()]);
    }
    // As after a restart of the machine.
    let namespace = boxed.directory(&name).join("netns");
    assert_eq!(boxed.masu.world().inside(&format!("umount -l {}", namespace.display())), "");
    boxed.kill_and_clean();
    let addresses = std::fs::read_dir(boxed.masu.scratch.path("leases/web")).unwrap();
    let names = addresses.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.starts_with("10.")).count(), 0);
}

/// Both programs that ordinary users have, and what the box's address is with them.
const HELPERS: [(&str, &str); 2] = [("pasta", "192.0.2.2"), ("slirp4netns", "10.0.2.100")];

/// What a box serves: a page, and an echo of each datagram. Busybox has nothing for the second.
const SERVE: &str = "perl -MSocket -e 'socket(S, PF_INET, SOCK_DGRAM, 17); bind(S, sockaddr_in(53, INADDR_ANY)); \
    while ($peer = recv(S, $text, 99, 0)) { send(S, $text, 0, $peer) }' & echo page > /index.html; httpd -f -p 80 -h /";
/// Where perl is.
const PERL: [&str; 6] = ["-v", "/usr:/usr:ro", "-v", "/usr/lib:/lib:ro", "-v", "/usr/lib64:/lib64:ro"];

/// What is seen from outside of ports 8081 and 9053.
fn served(boxed: &Box) -> [String; 2] {
    let world = boxed.masu.world();
    // The servers may not be there yet.
    let again = |script: &str| {
        world.outside(&format!("for i in $(seq 200); do {script} && exit; sleep 0.05; done; exit 1"))
    };
    let page = again("busybox wget -q -O - http://192.0.2.2:8081/ 2>/dev/null");
    let echo = again(
        "bash -c 'exec 3<>/dev/udp/192.0.2.2/9053; echo word >&3; timeout 1 head -n 1 <&3 | grep word' 2>/dev/null",
    );
    [page, echo]
}

/// Nobody has a socket at the ports, and none of the programs is left.
fn ports_are_free(boxed: &Box) {
    let sockets = boxed.masu.world().inside("ss -Hltun");
    assert_eq!(sockets, "");
    assert!(boxed.helpers().is_empty());
}

const PUBLISH: [&str; 4] = ["-p", "8081:80", "-p", "192.0.2.2:9053:53/udp"];

fn publishes(boxed: &Box, network: &str) {
    let server = format!("server-of-{network}");
    let options = [&["--net", network, "--name", &server][..], &PUBLISH, &PERL].concat();
    let name = boxed.leave(&options, SERVE);
    assert_eq!(served(boxed), ["page\n", "word\n"]);
    let taken = boxed.run(&["--net", network, "-p", "8081:81"], &["true"]);
    assert_eq!(taken.code, Some(125));
    assert!(taken.bad().starts_with("port 8081/tcp is taken"));
    boxed.masu.engine(&["kill", &name, "KILL"]).good();
    boxed.nothing_is_left_of(&name);
}

#[test]
fn ports_of_a_box_in_a_network_of_cni_are_published() {
    let boxed = Box::with_cni();
    for _ in 0..2 {
        publishes(&boxed, "web");
        ports_are_unpublished(&boxed);
    }
}

/// A script that waits for the page of port 8081 at an address of IPv6; busybox's wget knows none.
fn ask(address: &str) -> String {
    let get = format!(
        r#"exec 3<>/dev/tcp/{address}/8081; printf "GET / HTTP/1.0\r\n\r\n" >&3; tail -n 1 <&3 | grep page"#
    );
    format!("for i in $(seq 100); do timeout 1 bash -c '{get}' 2>/dev/null && exit; sleep 0.05; done; exit 1")
}

const SERVE_PAGE: &str = "echo page > /index.html; httpd -f -p 80 -h /";

#[test]
fn a_port_is_published_at_an_address_of_ipv6() {
    let boxed = Box::of_a_user_within(World::new());
    for address in ["::1", "2001:db8::2"] {
        let port = format!("[{address}]:8081:80");
        let name = boxed.leave(&["--net", "pasta", "-p", &port], SERVE_PAGE);
        assert_eq!(boxed.masu.world().inside(&ask(address)), "page\n");
        let taken = boxed.run(&["--net", "pasta", "-p", &port], &["true"]).bad();
        assert!(taken.starts_with("port 8081/tcp is taken"), "{taken}");
        boxed.masu.engine(&["kill", &name, "KILL"]).good();
        boxed.nothing_is_left_of(&name);
    }
    let refused = boxed.run(&["--net", "slirp4netns", "-p", "[::1]:8081:80"], &["true"]).bad();
    assert_eq!(refused, "--publish: port 8081/tcp: slirp4netns knows IPv4 alone\nhint: --net pasta");
}

#[test]
fn a_network_of_cni_publishes_at_an_address_of_ipv6_where_it_has_one() {
    let boxed = Box::with_cni();
    let lost = boxed.run(&["--net", "web", "-p", "[2001:db8::2]:8081:80"], &["true"]).bad();
    assert!(lost.ends_with("network web: port 8081/tcp: the box has no address of IPv6"), "{lost}");
    let refused = boxed.run(&["--net", "web", "-p", "[::1]:8081:80"], &["true"]).bad();
    let problem = "packets of ::1 do not leave the machine, nor do they reach a bridge";
    let hint = "hint: another address of this machine";
    assert_eq!(refused, format!("--publish: port 8081/tcp: {problem}\n{hint}"));
    let list = boxed.masu.scratch.path("net.d/10-web.conflist");
    let ranges = r#""ranges": [[{ "subnet": "10.77.0.0/24" }], [{ "subnet": "fd00:77::/64" }]]"#;
    let text = std::fs::read_to_string(&list).unwrap().replace(r#""subnet": "10.77.0.0/24""#, ranges);
    let text = text.replace(r#"{ "dst": "0.0.0.0/0" }"#, r#"{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }"#);
    std::fs::write(&list, text).unwrap();
    let name = boxed.leave(&["--net", "web", "-p", "[2001:db8::2]:8081:80"], SERVE_PAGE);
    assert_eq!(boxed.masu.world().outside(&ask("2001:db8::2")), "page\n");
    boxed.masu.engine(&["kill", &name, "KILL"]).good();
    boxed.nothing_is_left_of(&name);
    ports_are_unpublished(&boxed);
}

#[test]
fn an_ordinary_users_box_reaches_the_outside_and_its_ports_are_published() {
    let boxed = Box::of_a_user_within(World::new());
    for (helper, address) in HELPERS {
        let script = format!("{ASK}; grep -c {address} /etc/hosts; grep -c eth0 /proc/net/dev");
        let told = boxed.says(&["--net", helper], &script);
        assert_eq!(told, "192.0.2.2\n1\n1\n");
        boxed.nothing_is_left();
        publishes(&boxed, helper);
        ports_are_free(&boxed);
    }
}

#[test]
fn whatever_is_killed_of_an_ordinary_users_box_its_ports_come_back() {
    let boxed = Box::of_a_user_within(World::new());
    for (helper, _) in HELPERS {
        let options =
            [&["--net", helper, "--name", "of-user-killed"][..], &PUBLISH, &[&boxed.image, "sleep", "1000"]]
                .concat();
        boxed.run(&options[..options.len() - 3], &["true"]).good();
        kill_all_and_clean(&boxed, |boxed| boxed.masu.start_box(&options));
        kill_all_and_clean(&boxed, |boxed| boxed.masu.start_box(&[&["-d"], &options[..]].concat()));
        ports_are_free(&boxed);
    }
}

#[test]
fn what_cannot_be_published_is_told() {
    let boxed = Box::of_a_user_within(World::new());
    let none = boxed.run(&["-p", "8081:80"], &["true"]).bad();
    let hint = "hint: --net pasta, or as root the name of a network of CNI";
    assert_eq!(none, format!("--publish: the box has no network of its own to publish ports of\n{hint}"));
    let low = boxed.run(&["--net", "pasta", "-p", "80:80"], &["true"]).bad();
    let hint = "hint: a port of 1024 or above, or a lower sysctl net.ipv4.ip_unprivileged_port_start";
    assert_eq!(low, format!("port 80/tcp is for root alone\n{hint}"));
    assert_eq!(boxed.masu.world().inside("rm /dev/net/tun"), "");
    let hint = "modprobe tun and chmod 666 /dev/net/tun as root, or --device /dev/net/tun for a container around masu; \
                --net host is the network that masu is in";
    for (helper, _) in HELPERS {
        let message = format!("--net {helper}: open /dev/net/tun: No such file or directory (os error 2)");
        let alone = boxed
            .run(&["--net", helper], &["sh", "-c", "grep -c : /proc/net/dev; grep -c lo: /proc/net/dev"]);
        let warning = format!("masu: warning: {message}: the box has lo alone\nhint: {hint}\n");
        assert!(alone.stderr.contains(&warning), "{}", alone.stderr);
        assert_eq!(alone.good(), "1\n1\n");
        let publishing = boxed.run(&["--net", helper, "-p", "8081:80"], &["true"]);
        assert_eq!((publishing.code, publishing.bad()), (Some(125), format!("{message}\nhint: {hint}")));
    }
    boxed.nothing_is_left();
    let root = Box::with_cni();
    let pasta = root.run(&["--net", "pasta"], &["true"]).bad();
    let hint = "hint: a network of CNI, a file of /etc/cni/net.d, or --net host";
    assert_eq!(pasta, format!("--net pasta: it is for ordinary users\n{hint}"));
}
