//! Layers of an ordinary user. The test program runs itself again as one.

use super::scratch::{Scratch, apply_as};
use super::tar::{Header, Tar};
use super::tree;
use masu_image::layer::{Marks, Target};
use masu_image::{namespace, overlay, rootless};
use masu_sys::process::{CloneArgs, Forked, exit_group, fork};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Where the program that is run again works.
const INSIDE: &str = "MASU_TEST_ROOTLESS";

/// nobody: every Debian has this user.
const USER: u32 = 65534;

fn layers() -> Vec<Vec<u8>> {
    let capability = b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let base = Tar::default()
        .add(Header::new(b'5', "closed").mode(0o500).owner(1000, 1000))
        .raw(Header::new(b'0', "closed/suid").mode(0o4755).owner(33, 44).size(2), b"hi")
        .pax(&[("SCHILY.xattr.security.capability", capability), ("SCHILY.xattr.user.overlay.opaque", b"y")])
        .raw(Header::new(b'0', "ping").mode(0o555).size(4), b"ping")
        .add(Header::new(b'2', "link").owner(7, 7).target("ping"))
        .add(Header::new(b'6', "pipe").owner(1, 2))
        .dir("opaque")
        .file("opaque/old", "old")
        .file("gone", "old");
    let upper = Tar::default()
        .file("closed/new", "new")
        .link("linked", "closed/suid")
        .file(".wh.gone", "")
        .file("opaque/.wh..wh..opq", "");
    vec![base.end(), upper.end()]
}

/// What the user sees of the layers, with or without granted ids.
fn as_user(test: &str, granted: bool) -> BTreeMap<String, String> {
    namespace::enter_private_mounts().unwrap();
    let scratch = Scratch::new();
    std::fs::set_permissions(scratch.path(), Permissions::from_mode(0o755)).unwrap();
    let etc = overlay::Upper::create(&scratch.path().join("etc"), Path::new("/etc")).unwrap();
    overlay::mount(&[Path::new("/etc")], Some(&etc), Marks::Trusted, Path::new("/etc")).unwrap();
    let grants = if granted { "root:1:1\nnobody:400000:65536\n" } else { "root:1:1\n" };
    std::fs::write("/etc/subuid", grants).unwrap();
    std::fs::write("/etc/subgid", grants).unwrap();
    let program = scratch.path().join("test");
    std::fs::copy("/proc/self/exe", &program).unwrap();
    let work = scratch.dir("work");
    std::os::unix::fs::chown(&work, Some(USER), Some(USER)).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&program)
        .args(["--exact", test, "--test-threads=1", "--nocapture"])
        .env(INSIDE, &work)
        .current_dir("/")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let seen = std::fs::read_to_string(work.join("result")).unwrap();
    let (unreadable, seen) = seen.split_once('\n').unwrap();
    assert_eq!(unreadable, if granted { "None" } else { "Some(\"/etc/subuid grants user 65534 nothing\")" });
    seen.lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(path, line)| (path.to_owned(), line.to_owned()))
        .collect()
}

/// The user's part, in a process of one thread, which a user namespace asks for. The only other one waits for this test.
fn inside(work: &str) {
    match fork(&CloneArgs::default()).unwrap() {
        Forked::Child => {
            let result = std::panic::catch_unwind(|| work_in(Path::new(work)));
            exit_group(i32::from(result.is_err()))
        }
        Forked::Parent { pidfd, .. } => {
            let status = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).unwrap();
            assert_eq!(status.unwrap().exit_status(), Some(0));
        }
    }
}

fn work_in(work: &Path) {
    let standing = rootless::enter().unwrap();
    assert_eq!(standing.marks, Marks::User);
    namespace::enter_private_mounts().unwrap();
    let scratch = Scratch::within(work);
    let snapshots = scratch.snapshots_as(&layers(), Marks::User, &standing.ids).unwrap();
    let seen = scratch.see_as(&snapshots, Marks::User, true);
    let merged = scratch.merged_as(&layers(), &standing.ids).unwrap();
    // In the merged directory the attribute is what it is; the overlay has it escaped, and shows it so.
    assert_eq!(tree::read(&merged, true), seen);
    let device = Tar::default().add(Header::new(b'3', "null").device(1, 3)).end();
    let lost = apply_as(&device, &scratch.dir("device"), Target::Merged, &standing.ids).unwrap().lost;
    assert_eq!(lost[0].to_string(), "null: device left out: EPERM");
    let lines: String = seen.iter().map(|(path, line)| format!("{path}\t{line}\n")).collect();
    std::fs::write(work.join("result"), format!("{:?}\n{lines}", standing.single)).unwrap();
}

#[test]
fn with_granted_ids_a_user_sees_what_root_sees() {
    if let Ok(work) = std::env::var(INSIDE) {
        return inside(&work);
    }
    let seen = as_user("rootless::with_granted_ids_a_user_sees_what_root_sees", true);
    let scratch = Scratch::new();
    let as_root = scratch.see(&scratch.snapshots(&layers()).unwrap(), true);
    assert_eq!(seen, as_root);
    assert!(seen["closed/suid"].starts_with("file \"hi\" 4755 33:44"), "{seen:?}");
}

#[test]
fn with_a_single_id_owners_are_written_down() {
    if let Ok(work) = std::env::var(INSIDE) {
        return inside(&work);
    }
    let seen = as_user("rootless::with_a_single_id_owners_are_written_down", false);
    let line = |path: &str| seen[path].split(" @").next().unwrap().to_owned();
    assert_eq!(line("closed/suid"), "file \"hi\" 4755 user.rootlesscontainers=\\x08!\\x10,");
    assert_eq!(line("closed"), "dir 500 user.rootlesscontainers=\\x08\\xe8\\x07\\x10\\xe8\\x07");
    assert_eq!(line("link"), "symlink ping");
    assert_eq!(line("pipe"), "fifo 644");
    assert!(!seen.contains_key("gone") && !seen.contains_key("opaque/old"));
}
