//! masu in containers without privilege, as jobs of a CI have them: as root of the container, and as a user in it.
#![allow(clippy::unwrap_used, missing_docs)]

use masu_image_tests::{Box, Podman, Real, Security, World, engine, told};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What is done in the container; `$HOME` is where the store is.
const WORK: &str = r#"
export PATH=/masu:/bin
exec 2> /dev/null
masu box rootfs:/image sh -c 'echo $$; id -u; touch /new; ls /new'
masu image import --quiet rootfs:/image work/image > /dev/null
name=$(masu box -d work/image sh -c 'echo logged; sleep 1; exit 7')
sleep 0.5
masu logs $name
masu wait $name
masu bundle create --quiet work/image $HOME/bundle
sed -i 's/"terminal": true/"terminal": false/; s/"sh"/"id", "-u"/' $HOME/bundle/config.json
masu run --bundle $HOME/bundle inner
masu bundle rm $HOME/bundle
masu box -- sh -c 'echo on the root of the container; echo x > /etc/new'
ls /etc
masu image rm work/image > /dev/null
masu image prune > /dev/null
masu image verify > /dev/null
ls $HOME/.local/share/masu/boxes $HOME/.local/share/masu/leases
"#;
const DONE: &str = "1\n0\n/new\nlogged\n7\n0\non the root of the container\n";

/// What runs masu needs in a container: itself, its C library, and a root for images of its own.
fn options(boxed: &Box) -> Vec<String> {
    let programs = Path::new(&engine()).parent().unwrap().display().to_string();
    let image = boxed.masu.scratch.path("root").display().to_string();
    let mounts = [
        ("/usr", "/usr"),
        ("/usr/lib", "/lib"),
        ("/usr/lib64", "/lib64"),
        (&programs, "/masu"),
        (&image, "/image"),
    ];
    let options =
        mounts.iter().flat_map(|(source, target)| ["-v".to_owned(), format!("{source}:{target}:ro")]);
    options.collect()
}

/// A root with directories that everybody may write to; pasta locks itself up in /tmp.
fn prepare(boxed: &Box) {
    for name in ["home", "srv", "tmp"] {
        let path = boxed.masu.scratch.path("root").join(name);
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
}

/// Somebody who is not root in the container, and for whom nobody has made a directory at a log-in.
const USER: [&str; 4] = ["-u", "1000:1000", "-e", "XDG_RUNTIME_DIR=/srv"];
/// Those of masu, for containers within.
const OPEN: [&str; 4] = ["--security-opt", "seccomp=unconfined", "--security-opt", "unmask=ALL"];
/// A file system that takes overlays, where the container's own root takes none.
const VOLUME: [&str; 2] = ["--mount", "type=tmpfs,dst=/home,tmpfs-mode=1777"];

/// Standard output and standard error of a script in a container of masu's.
fn in_masu(boxed: &Box, options: &[&[&str]], script: &str) -> String {
    let own = self::options(boxed);
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let words = [&options.concat()[..], &own, &[&boxed.image, "sh", "-c", script]].concat();
    let (text, code) = told(boxed.masu.box_command(&words));
    assert_eq!(code, Some(0), "{text}");
    text
}

#[test]
fn boxes_and_bundles_work_in_a_container_of_masus() {
    let boxed = Box::new();
    prepare(&boxed);
    let etc = "hostname\nhosts\npasswd\n";
    let empty = |home: &str| format!("{home}/.local/share/masu/boxes:\n\n{home}/.local/share/masu/leases:\n");
    for user in [&[][..], &USER] {
        for home in ["/home", "/srv"] {
            let variable = format!("HOME={home}");
            let given = [&OPEN[..], &VOLUME, user, &["-e", &variable]];
            assert_eq!(
                in_masu(&boxed, &given, WORK),
                format!("{DONE}{etc}{}", empty(home)),
                "{user:?} {home}"
            );
        }
    }
    boxed.nothing_is_left();
}

#[test]
fn an_image_is_pulled_in_a_container_of_masus() {
    let (boxed, registry) = (Box::new(), Real::start(Security::Plain));
    prepare(&boxed);
    let image = registry.name();
    let script = format!(
        "export PATH=/masu:/bin; masu image pull --quiet --insecure {image} > /dev/null 2>&1; masu image ls --quiet; masu \
         box --quiet {image} /bin/busybox echo pulled 2> /dev/null; masu image verify 2> /dev/null"
    );
    for user in [&[][..], &USER] {
        for (home, verified) in [("/home", " and 1 unpacked layers"), ("/srv", " and 0 unpacked layers")] {
            let variable = format!("HOME={home}");
            let given = [&OPEN[..], &VOLUME, user, &["-e", &variable, "--net", "host"]];
            let text = in_masu(&boxed, &given, &script);
            assert!(text.contains("\npulled\n") && text.contains(verified), "{text}");
        }
    }
    boxed.nothing_is_left();
}

#[test]
fn root_has_all_ids_of_its_container_and_a_user_those_that_are_granted_there() {
    let boxed = Box::new();
    prepare(&boxed);
    let ids =
        "export PATH=/masu:/bin; masu box rootfs:/image sh -c \"tr -s ' ' < /proc/self/uid_map; id -u\"";
    let given = [&OPEN[..], &VOLUME, &["-e", "HOME=/home"]].concat();
    assert_eq!(in_masu(&boxed, &[&given], ids), " 0 0 4294967294\n0\n");
    // Whose files an image has is seen.
    let owner = "export PATH=/masu:/bin; mkdir /home/root; cp -a /image/bin /home/root; touch /home/root/file; chown \
                 1000:50 /home/root/file; masu box rootfs:/home/root stat -c %u:%g /file";
    assert_eq!(in_masu(&boxed, &[&given], owner), "1000:50\n");
    let lost = in_masu(&boxed, &[&given, &["--cap-drop", "setuid"]], ids);
    let one =
        "masu: warning: all files of images will belong to you: CAP_SETUID and CAP_SETGID are missing\n";
    assert_eq!(lost, format!(" 0 0 1\n0\n{one}"));
    let kept = "export PATH=/masu:/bin; masu box --userns keep-id rootfs:/image id -u";
    assert_eq!(in_masu(&boxed, &[&given], kept), "0\n");
    // What the user's file grants is not there, or newuidmap has no privilege.
    let passwd = "root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/home:/bin/sh\n";
    let root = boxed.masu.scratch.path("root");
    std::fs::write(root.join("etc/passwd"), passwd).unwrap();
    for name in ["subuid", "subgid"] {
        std::fs::write(root.join("etc").join(name), "user:100000:65536\n").unwrap();
    }
    let user = [&given[..], &USER].concat();
    let lost = in_masu(&boxed, &[&user], &ids.replace("/masu:/bin", "/masu:/bin:/usr/bin"));
    let one = "masu: warning: all files of images will belong to you: no_new_privs is set, and so newuidmap has no privilege";
    assert_eq!(lost, format!(" 0 0 1\n0\n{one}\n"));
    let privileged = ["--security-opt", "no-new-privileges=false"];
    let nosuid = ["-v", "/usr/bin:/nosuid:ro,nosuid"];
    let lost =
        in_masu(&boxed, &[&user, &privileged, &nosuid], &ids.replace("/masu:/bin", "/masu:/bin:/nosuid"));
    let one = "masu: warning: all files of images will belong to you: /nosuid/newuidmap has no privilege on a mount with nosuid";
    assert_eq!(lost, format!(" 0 0 1\n0\n{one}\n"));
    // capabilities(7): version 2 and effective, with CAP_SETUID or CAP_SETGID permitted.
    for (name, permitted) in [("newuidmap", 1u8 << 7), ("newgidmap", 1 << 6)] {
        let copy = root.join("bin").join(name);
        std::fs::copy(Path::new("/usr/bin").join(name), &copy).unwrap();
        std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o4755)).unwrap();
        let lost = in_masu(&boxed, &[&user, &privileged], ids);
        assert!(lost.contains(&format!("{name} takes CAP_SYS_ADMIN, for want of setcap")), "{lost}");
        let mut capability = [0; 20];
        (capability[0], capability[3], capability[4]) = (1, 2, permitted);
        let flags = rustix::fs::XattrFlags::empty();
        // Root's identity would come without root's rights to the files of /proc.
        std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).unwrap();
        rustix::fs::setxattr(&copy, "security.capability", &capability, flags).unwrap();
    }
    let granted = in_masu(&boxed, &[&user, &privileged], ids);
    assert_eq!(granted, " 0 0 1\n 1 1 65536\n0\n");
    boxed.nothing_is_left();
}

#[test]
fn what_a_container_lacks_is_told() {
    let boxed = Box::new();
    prepare(&boxed);
    let says = |options: &[&str], script: &str| {
        let script = format!("export PATH=/masu:/bin HOME=/srv; {script} || true");
        in_masu(&boxed, &[options], &script)
    };
    let filter = "a seccomp filter is in force, and the usual ones forbid new namespaces: run the container that masu is \
                  in with --security-opt seccomp=unconfined";
    let import = "masu image import rootfs:/image a";
    assert_eq!(
        says(&["-u", "1000:1000"], import).lines().collect::<Vec<_>>(),
        ["masu: unshare(CLONE_NEWUSER): EPERM", &format!("hint: {filter}")]
    );
    assert_eq!(says(&[], import).lines().nth(1).unwrap(), format!("hint: {filter}"));
    let dropped = says(&[&OPEN[..], &["--cap-drop", "setfcap"]].concat(), import);
    let hint = "hint: give it to the container that masu is in (--cap-add SETFCAP), or run masu as another user there";
    let problem = "masu: no CAP_SETFCAP, without which root cannot map itself into a user namespace";
    assert_eq!(dropped, format!("{problem}\n{hint}\n"));
    let nowhere = says(&[&OPEN[..], &["-u", "1000:1000"]].concat(), "masu box rootfs:/image true");
    let hint = "hint: XDG_RUNTIME_DIR is not set: set it to a directory of yours, as a log-in does with /run/user/UID, or name \
                one with --root";
    let problem = "masu: write to /run/masu: no such file or directory (ENOENT)";
    assert_eq!(nowhere, format!("{problem}\n{hint}\n"));
    let masked = says(&OPEN[..2], "masu box rootfs:/image true");
    let hint = "hint: the container around this one masks parts of /proc, and so the kernel allows no new one: run it with \
                --security-opt unmask=ALL (podman, masu box), ";
    assert!(masked.lines().nth(3).unwrap().starts_with(hint), "{masked}");
    let copied = "masu: warning: the image is copied: /srv/.local/share/masu is on overlay, which takes no overlay\n\
                  hint: a volume of another file system for the store, which --store or $MASU_STORE names\n";
    assert!(masked.starts_with(copied), "{masked}");
    let shared =
        says(&OPEN[..2], "masu box --ns ipc,uts,cgroup rootfs:/image sh -c 'ls /proc/1/comm; hostname'");
    assert!(shared.starts_with("/proc/1/comm\n"), "{shared}");
    let network = says(&OPEN, "masu box --net pasta rootfs:/image ls /sys/class/net");
    assert!(network.starts_with("lo\nmasu: warning: --net pasta: "), "{network}");
    boxed.nothing_is_left();
}

#[test]
fn boxes_and_bundles_work_in_a_container_of_podmans() {
    let boxed = Box::within(World::new());
    prepare(&boxed);
    let name = "localhost/ci:1";
    let podman = Podman::new(&boxed, name);
    let own = options(&boxed);
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let says = |options: &[&[&str]], script: &str| {
        let words = [name, "sh", "-c", script];
        podman.run(&[&options.concat()[..], &own, &["-e", "HOME=/srv"]].concat(), &words)
    };
    let empty = "/srv/.local/share/masu/boxes:\n\n/srv/.local/share/masu/leases:\n";
    for user in [&[][..], &USER] {
        let etc = says(&[user], "ls /etc").0;
        let done = says(&[&OPEN, user], WORK);
        assert_eq!(done, (format!("{DONE}{etc}{empty}"), Some(0)), "{user:?}");
        // As podman makes containers by default: its filter lets nobody name a machine, and /proc has masks.
        let named = says(&[user], "export PATH=/masu:/bin; masu box rootfs:/image true").0;
        let hint = "; or without a uts namespace for this one (masu box --ns pid,ipc,cgroup)\n";
        assert!(
            named.contains("sethostname: operation not permitted (EPERM)\nhint: a seccomp filter"),
            "{named}"
        );
        assert!(named.ends_with(hint), "{named}");
        let masked = "export PATH=/masu:/bin; masu box --ns pid,ipc,cgroup rootfs:/image true";
        let masked = says(&[user], masked).0;
        assert!(masked.contains("hint: the container around this one masks parts of /proc"), "{masked}");
        let shared = "export PATH=/masu:/bin; masu box --ns ipc,cgroup rootfs:/image id -u 2> /dev/null";
        assert_eq!(says(&[user], shared), ("0\n".to_owned(), Some(0)), "{user:?}");
    }
    for helper in ["pasta", "slirp4netns"] {
        let script = format!(
            "export PATH=/masu:/bin:/usr/bin; masu box --net {helper} rootfs:/image wget -q -O - \
             http://192.0.2.1:8080/cgi-bin/who 2> /dev/null"
        );
        let device = ["--net", "host", "--device", "/dev/net/tun"];
        assert_eq!(says(&[&OPEN, &device], &script), ("192.0.2.2\n".to_owned(), Some(0)), "{helper}");
    }
    boxed.nothing_is_left();
}

#[test]
fn root_of_a_user_namespace_alone_is_an_ordinary_user() {
    let boxed = Box::new();
    let script = "exec \"$@\" 2> /dev/null";
    let inner = boxed.masu.box_command(&[&boxed.image, "id", "-u"]);
    let mut words = vec!["--map-root-user", "sh", "-c", script, "sh"];
    words.extend(inner.get_program().to_str());
    words.extend(inner.get_args().filter_map(|word| word.to_str()));
    let mut command = std::process::Command::new("unshare");
    command.args(words).env_clear();
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    assert_eq!(told(command), ("0\n".to_owned(), Some(0)));
    boxed.nothing_is_left();
    // Its layers are not read by who would not see what they hide.
    let refused = boxed.masu.call(&["import", &boxed.image, "a"]).bad();
    let store = boxed.masu.scratch.path("store").display().to_string();
    assert!(
        refused.starts_with(&format!("no layers with trusted marks in {store}, but user ones\nhint: ")),
        "{refused}"
    );
}
