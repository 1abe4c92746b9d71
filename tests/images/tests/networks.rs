//! `masu box --net`: real packets from and to boxes, on a network that is made for it (`World`).
#![allow(clippy::unwrap_used, missing_docs)]

use masu_image_tests::{Box, World};
use std::process::Child;

/// What a box asks the server outside, which answers with the address that it sees.
const ASK: &str = "wget -q -O - http://192.0.2.1:8080/cgi-bin/who";

/// A box on a machine with the network of CNI `web`.
fn with_cni() -> Box {
    let boxed = Box::within(World::new());
    let directory = boxed.masu.scratch.path("net.d");
    std::fs::create_dir(&directory).unwrap();
    let leases = leases(&boxed);
    let list = format!(
        r#"{{ "cniVersion": "1.0.0", "name": "web", "plugins": [
            {{ "type": "bridge", "bridge": "masu0", "isGateway": true, "ipMasq": true,
               "ipam": {{ "type": "host-local", "subnet": "10.77.0.0/24", "dataDir": "{leases}",
                          "routes": [{{ "dst": "0.0.0.0/0" }}] }},
               "dns": {{ "nameservers": ["192.0.2.53"] }} }},
            {{ "type": "portmap", "capabilities": {{ "portMappings": true }} }} ] }}"#
    );
    std::fs::write(directory.join("10-web.conflist"), list).unwrap();
    std::fs::write(directory.join("20-other.conf"), r#"{ "name": "other", "type": "no-such-plugin" }"#)
        .unwrap();
    boxed
}

fn leases(boxed: &Box) -> String {
    boxed.masu.scratch.path("leases").display().to_string()
}

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
    let boxed = with_cni();
    for _ in 0..2 {
        let script = format!("{ASK}; hostname -i; cat /etc/resolv.conf; ls /sys/class/net");
        let told = boxed.says(&["--net", "web", "--name", "x"], &script);
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
    let boxed = with_cni();
    let unknown = boxed.run(&["--net", "nosuch"], &["true"]);
    assert_eq!(unknown.code, Some(125));
    let directory = boxed.masu.scratch.path("net.d").display().to_string();
    let hint = format!("hint: none, host, web, other; those of CNI are files of {directory}");
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
        assert!(text.contains("network small: bridge: failed to allocate for range 0"), "{text}");
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
    let boxed = with_cni();
    boxed.run(&["--net", "web"], &["true"]).good();
    kill_all_and_clean(&boxed, |boxed| {
        boxed.masu.start_box(&["--net", "web", "--name", "x", &boxed.image, "sleep", "1000"])
    });
    nothing_is_left(&boxed);
    kill_all_and_clean(&boxed, |boxed| {
        boxed.masu.start_box(&["-d", "--net", "web", "--name", "x", &boxed.image, "sleep", "1000"])
    });
    nothing_is_left(&boxed);
}
