//! A real image: Debian, made by mmdebstrap the first time, and kept.

use super::scratch::Scratch;
use super::{tree, umoci};
use std::path::PathBuf;
use std::process::Command;

/// Debian's archive as mmdebstrap writes it.
fn archive() -> Vec<u8> {
    // Where cargo xtask says; otherwise beside target/debug/deps/PROGRAM.
    let program = std::env::current_exe().unwrap();
    let beside = || program.ancestors().nth(3).unwrap().join("masu-tests");
    let cache = std::env::var_os("MASU_TESTS_CACHE").map_or_else(beside, PathBuf::from);
    let kept = cache.join("debian-bookworm.tar");
    if !kept.exists() {
        std::fs::create_dir_all(&cache).unwrap();
        let unfinished: PathBuf = cache.join(format!("unfinished-{}.tar", std::process::id()));
        let output = Command::new("mmdebstrap")
            .args(["--variant=minbase", "--mode=root", "bookworm"])
            .arg(&unfinished)
            .output()
            .expect("mmdebstrap");
        assert!(output.status.success(), "mmdebstrap: {}", String::from_utf8_lossy(&output.stderr));
        std::fs::rename(&unfinished, &kept).unwrap();
    }
    std::fs::read(kept).unwrap()
}

#[test]
fn debian_is_unpacked_as_umoci_does_it() {
    let scratch = Scratch::new();
    let layers = [archive(), upper()];
    let merged = tree::read(&scratch.merged(&layers).unwrap(), true);
    assert!(merged.len() > 5000, "{} files", merged.len());
    let seen = scratch.see(&scratch.snapshots(&layers).unwrap(), true);
    assert_eq!(tree::difference(&seen, &merged), "", "the overlay (-) and the merged directory (+)");
    umoci::compare(&merged, &umoci::unpack(&scratch, &layers));
}

/// A layer as a build step leaves it: a package removed, a directory replaced, files changed.
fn upper() -> Vec<u8> {
    use super::tar::{Header, Tar};
    Tar::default()
        .dir("etc")
        .file("etc/hostname", "changed")
        .file("etc/.wh.fstab", "")
        .dir("var")
        .dir("var/lib")
        .dir("var/lib/dpkg")
        .file("var/lib/dpkg/.wh..wh..opq", "")
        .file("var/lib/dpkg/status", "")
        .file("usr/share/.wh.doc", "")
        .add(Header::new(b'5', "tmp").mode(0o1777))
        .link("usr/bin/bash-too", "usr/bin/bash")
        .file("bin/through-the-link", "x")
        .end()
}
