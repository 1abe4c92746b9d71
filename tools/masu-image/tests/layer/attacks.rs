//! Layers that mean harm: refused, or kept within the root, and nothing outside changes.

use super::scratch::{Scratch, apply};
use super::tar::{Header, Tar, pax_record};
use super::tree;
use masu_image::layer::{self, Dirlinks, Error, IdMap, Limits, Marks, Options, Target};
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};
use rustix::time::{ClockId, clock_gettime};
use std::ffi::CStr;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

/// What an attack ends with, in a snapshot and merged: the error's text, or the tree.
type Outcome = Result<Vec<String>, String>;

/// Applies the layers in both ways, with files outside that links may lead to, and proves that those stay as they are.
fn attack(layers: impl Fn(&str) -> Vec<Tar>) -> Outcome {
    let scratch = Scratch::new();
    let outside = scratch.dir("outside");
    std::fs::write(outside.join("victim"), "unharmed").unwrap();
    std::fs::create_dir(outside.join("dir")).unwrap();
    let before = tree::read(&outside, true);
    let layers: Vec<Vec<u8>> = layers(outside.to_str().unwrap()).into_iter().map(Tar::end).collect();
    let merged = scratch.merged(&layers).map(|root| tree::read(&root, false));
    let seen = scratch.snapshots(&layers).map(|snapshots| scratch.see(&snapshots, false));
    assert_eq!(tree::read(&outside, true), before);
    let outcome = |result: Result<std::collections::BTreeMap<String, String>, Error>| match result {
        Ok(tree) => Ok(tree.iter().skip(1).map(|(path, line)| format!("{path} {line}")).collect()),
        Err(error) => Err(error.to_string()),
    };
    let (merged, seen) = (outcome(merged), outcome(seen));
    assert_eq!(merged, seen);
    seen
}

/// One layer whose refusal has this text.
fn refused(tar: Tar, text: &str) {
    assert_eq!(attack(|_| vec![tar.clone()]), Err(text.to_owned()));
}

#[test]
fn paths_that_lead_up_are_refused() {
    for path in ["../victim", "a/../../victim", "/../victim", "..", "a/.."] {
        let text = format!("layer: {path}: \"..\" in a path");
        refused(Tar::default().file(path, "x"), &text);
        refused(Tar::default().dir(path), &text);
        refused(Tar::default().symlink(path, "x"), &text);
        refused(Tar::default().pax(&[("path", path.as_bytes())]).file("innocent", "x"), &text);
        refused(Tar::default().link("a", path), &text);
    }
    refused(Tar::default().file("../.wh.victim", ""), "layer: ../.wh.victim: \"..\" in a path");
}

#[test]
fn absolute_paths_are_below_the_root() {
    let inside = Ok(vec!["etc dir 755".to_owned(), "etc/passwd file \"x\" 644".to_owned()]);
    assert_eq!(attack(|_| vec![Tar::default().file("/etc/passwd", "x")]), inside);
    assert_eq!(attack(|_| vec![Tar::default().file("//etc/./passwd", "x")]), inside);
}

#[test]
fn nothing_is_written_through_a_symbolic_link_that_leads_out() {
    let up = "../".repeat(12);
    for prefix in ["", up.as_str()] {
        let link = |outside: &str| Tar::default().symlink("l", &format!("{prefix}{outside}"));
        // In the same layer, and in the one above.
        let members =
            || Tar::default().file("l/new", "x").file("l/victim", "x").dir("l/dir").file("l/dir/x", "x");
        let same = attack(|outside| {
            vec![Tar::default().bytes(&[link(outside).open_end(), members().open_end()].concat())]
        });
        let above = attack(|outside| vec![link(outside), members()]);
        for outcome in [same, above] {
            let lines = outcome.unwrap();
            assert!(lines.iter().any(|line| line.ends_with("outside/victim file \"x\" 644")), "{lines:?}");
        }
    }
}

#[test]
fn attributes_and_times_are_not_set_through_a_symbolic_link() {
    // GHSA-c72p-9xmj-rx3w: a directory's mode and time, set at the end, when it has become a link.
    let swapped = |outside: &str| {
        vec![
            Tar::default()
                .add(Header::new(b'5', "d").mode(0o777).owner(5, 5).time(1))
                .symlink("d", &format!("{outside}/dir"))
                .add(
                    Header::new(b'2', "v")
                        .mode(0o777)
                        .owner(5, 5)
                        .time(1)
                        .target(&format!("{outside}/victim")),
                ),
        ]
    };
    let lines = attack(swapped).unwrap();
    assert!(lines[0].starts_with("d symlink "), "{lines:?}");
    let again = |outside: &str| {
        vec![
            Tar::default().symlink("d", &format!("{outside}/dir")),
            Tar::default().add(Header::new(b'5', "d/").mode(0o777).owner(5, 5).time(1)),
        ]
    };
    assert_eq!(attack(again), Ok(vec!["d dir 777 5:5".to_owned()]));
}

#[test]
fn a_root_that_is_no_directory_is_refused() {
    // CVE-2021-29136.
    let text = "layer: /: the layer's root is not a directory";
    for path in [".", "./", "/", "./."] {
        refused(Tar::default().symlink(path, "/etc"), text);
        refused(Tar::default().file(path, "x"), text);
        refused(Tar::default().link(path, "a"), text);
    }
}

#[test]
fn a_hard_link_to_a_symbolic_link_is_one_and_does_not_follow() {
    let layers = |outside: &str| {
        vec![
            Tar::default()
                .symlink("s", &format!("{outside}/victim"))
                .link("h", "s")
                .add(Header::new(b'1', "h2").mode(0o777).owner(9, 9).target("s"))
                .file("h", "x"),
        ]
    };
    let lines = attack(layers).unwrap();
    assert_eq!(lines[0], "h file \"x\" 644");
    assert!(lines[1].starts_with("h2 symlink ") && lines[1].ends_with("victim"), "{lines:?}");
    let through = |outside: &str| vec![Tar::default().symlink("s", outside).link("h", "s/victim")];
    assert_eq!(attack(through), Err("layer: h: hard link to s/victim, which is not there".to_owned()));
    refused(
        Tar::default().link("h", "/etc/shadow"),
        "layer: h: hard link to /etc/shadow, which is not there",
    );
    refused(Tar::default().dir("d").link("h", "d"), "layer: h: hard link to d, which is a directory");
    refused(Tar::default().link("h", "/"), "layer: h: hard link to /, which is a directory");
    refused(Tar::default().link("h", "h"), "layer: h: hard link to h, which is not there");
}

#[test]
fn links_that_never_end_are_refused() {
    let loops = Tar::default().symlink("a", "b").symlink("b", "a").file("a/x", "");
    refused(loops, "layer: a: more than 40 symbolic links in the path");
    let own = Tar::default().symlink("a", "a/a").file("a/x", "");
    refused(own, "layer: a: more than 40 symbolic links in the path");
}

#[test]
fn a_file_is_no_directory() {
    refused(Tar::default().file("f", "").file("f/x", ""), "layer: f: a part of the path is not a directory");
    let layers = |_: &str| vec![Tar::default().file("f", ""), Tar::default().dir("f/x")];
    assert_eq!(attack(layers), Err("layer: f: a part of the path is not a directory".to_owned()));
}

#[test]
fn whiteouts_of_nothing_and_by_device_are_refused() {
    refused(Tar::default().file("d/.wh.", ""), "layer: d/.wh.: a whiteout of nothing");
    refused(Tar::default().file(".wh...", ""), "layer: .wh...: a whiteout of nothing");
    let device = Tar::default().add(Header::new(b'3', "gone").device(0, 0));
    refused(device, "layer: gone: a character device 0:0 is a whiteout to overlayfs");
}

#[test]
fn a_whiteout_of_a_link_removes_the_link() {
    let layers = |outside: &str| {
        vec![
            Tar::default().symlink("l", &format!("{outside}/dir")).symlink("m", outside),
            Tar::default().file(".wh.l", "").file("m/.wh.victim", "").file("m/.wh..wh..opq", ""),
        ]
    };
    let lines = attack(layers).unwrap();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("m symlink"), "{lines:?}");
}

#[test]
fn sizes_that_two_readers_would_take_differently_are_refused() {
    // CVE-2025-62518: the header says nothing, pax says how much; what is skipped by one reader is read by another.
    let hidden = Tar::default().file("hidden", "x").open_end();
    let text = |member| {
        format!("layer: member {member}: ambiguous: a size in the header and another one in a pax record")
    };
    for (size, stated) in [(0, hidden.len()), (hidden.len() as u64, 0), (512, hidden.len())] {
        let layer = Tar::default()
            .pax(&[("size", stated.to_string().as_bytes())])
            .raw(Header::new(b'0', "shown").size(size), &hidden);
        refused(layer, &text(1));
    }
    let same = Tar::default().pax(&[("size", b"1")]).raw(Header::new(b'0', "f").size(1), b"x");
    assert_eq!(attack(|_| vec![same.clone()]), Ok(vec!["f file \"x\" 644".to_owned()]));
    // A pax size is the member's, not that of the extended header before it.
    let long = Tar::default()
        .pax(&[("size", b"1")])
        .raw(Header::new(b'L', "././@LongLink").size(6), b"named\0")
        .raw(Header::new(b'0', "f").size(1), b"x");
    assert_eq!(attack(|_| vec![long.clone()]), Ok(vec!["named file \"x\" 644".to_owned()]));
    let content = "layer: member 1: ambiguous: content behind a member that cannot have any";
    for kind in *b"123456" {
        refused(Tar::default().raw(Header::new(kind, "a").size(512).target("b"), &hidden), content);
    }
}

#[test]
fn headers_that_two_readers_would_take_differently_are_refused() {
    let ambiguous = |what: &str| format!("layer: member 1: ambiguous: {what}");
    let long = |kind| Header::new(kind, "././@LongLink").size(2);
    let twice = Tar::default().pax(&[("path", b"a")]).pax(&[("path", b"b")]).file("c", "");
    refused(twice, &ambiguous("two pax headers for one member"));
    let twice = Tar::default().raw(long(b'L'), b"a\0").raw(long(b'L'), b"b\0").file("c", "");
    refused(twice, &ambiguous("two long names for one member"));
    let twice = Tar::default().raw(long(b'K'), b"a\0").raw(long(b'K'), b"b\0").symlink("c", "d");
    refused(twice, &ambiguous("two long link names for one member"));
    let both = Tar::default().raw(long(b'L'), b"a\0").pax(&[("path", b"b")]).file("c", "");
    refused(both, &ambiguous("a long name and a pax path"));
    let both = Tar::default().raw(long(b'K'), b"a\0").pax(&[("linkpath", b"b")]).symlink("c", "d");
    refused(both, &ambiguous("a long link name and a pax linkpath"));
    let global = pax_record("path", b"evil");
    let global = Tar::default().raw(Header::new(b'g', "g").size(global.len() as u64), &global).file("c", "");
    refused(global, &ambiguous("a global pax header that changes members"));
    let behind = Tar::default().file("a", "").bytes(&[0; 512]).file("b", "");
    assert_eq!(
        attack(|_| vec![behind.clone()]),
        Err("layer: member 2: ambiguous: members behind a block of zeros".to_owned())
    );
    let comment = pax_record("comment", b"a commit");
    let harmless =
        Tar::default().raw(Header::new(b'g', "g").size(comment.len() as u64), &comment).file("c", "");
    assert_eq!(attack(|_| vec![harmless.clone()]), Ok(vec!["c file \"\" 644".to_owned()]));
}

#[test]
fn damaged_archives_are_refused_with_the_number_of_the_member() {
    let scratch = Scratch::new();
    let good = Tar::default().file("a", "content").file("b", "content").end();
    let result = |bytes: &[u8]| {
        apply(bytes, &scratch.dir(&bytes.len().to_string()), Target::Merged).unwrap_err().to_string()
    };
    assert_eq!(result(&good[..700]), "layer: member 2: the archive ends within the content of a member");
    assert_eq!(result(&good[..1030]), "layer: member 2: the archive ends within a header");
    assert_eq!(result(&good[..515]), "layer: member 1: the archive ends within the content of a member");
    let mut flipped = good;
    flipped[1024] ^= 1;
    assert_eq!(
        result(&flipped),
        "layer: member 2: wrong checksum of a header: damaged, or not a tar archive"
    );
    assert_eq!(
        result(b"\x1f\x8b\x08 a compressed layer, say").replace("member 1", ""),
        "layer: : the archive ends within a header"
    );
    let cases = [
        (Tar::default().add(Header::new(b'M', "a")), "unsupported type of member: 'M'"),
        (Tar::default().add(Header::new(b'\n', "a")), "unsupported type of member: '\\n'"),
        (Tar::default().pax(&[("path", b"a")]), "the archive ends within the headers of a member"),
        (Tar::default().pax(&[("path", b"a\0b")]).file("a", ""), "path: contains a NUL"),
        (Tar::default().pax(&[("uid", b"4294967295")]).file("a", ""), "uid: not a valid id"),
        (Tar::default().pax(&[("gid", b"4294967296")]).file("a", ""), "gid: not a valid id"),
        (
            Tar::default().raw(Header::new(b'x', "x").size(2 << 20), &[0; 2 << 20]).file("a", ""),
            "a pax header beyond 1048576 bytes",
        ),
        (
            Tar::default().raw(Header::new(b'x', "x").size(9), b"99 a=b\n\n\n").file("a", ""),
            "malformed pax record",
        ),
    ];
    for (tar, text) in cases {
        refused(tar, &format!("layer: member 1: {text}"));
    }
}

#[test]
fn maps_of_sparse_files_do_not_lead_beyond_them() {
    let sparse = |size: &[u8], map: &[u8]| {
        let records = [("GNU.sparse.size", size), ("GNU.sparse.map", map), ("GNU.sparse.name", b"a")];
        Tar::default().pax(&records).raw(Header::new(b'0', "b").size(3), b"abc")
    };
    let text = |text| format!("layer: member 1: sparse map: {text}");
    refused(sparse(b"10", b"5,2,4,1"), &text("parts overlap or lie beyond the end"));
    refused(sparse(b"10", b"9,3"), &text("parts overlap or lie beyond the end"));
    refused(sparse(b"10", b"0,2"), &text("not the length of what is stored"));
    refused(sparse(b"10", b"0,4"), &text("not the length of what is stored"));
    refused(sparse(b"10", b"0"), &text("an offset without a length"));
    let huge = sparse(b"9223372036854775807", b"9223372036854775800,3");
    assert_eq!(attack(|_| vec![huge.clone()]), Err("layer: a: lseek: EINVAL".to_owned()));
}

#[test]
fn names_reach_a_terminal_without_control_characters() {
    let evil = "\x1b[2J../\r\nok";
    refused(
        Tar::default().file(&format!("{evil}/../x"), ""),
        "layer: \\u{1b}[2J../\\r\\nok/../x: \"..\" in a path",
    );
}

#[test]
fn trees_deeper_than_any_are_refused() {
    let deep = "d/".repeat(600);
    let layer = Tar::default().pax(&[("path", deep.as_bytes())]).dir("d");
    refused(layer, &format!("layer: {deep}: more than 512 directories within each other").replace("/:", ":"));
    // By way of links too: each leads 300 directories down.
    let down = "d/".repeat(300);
    let layer = Tar::default()
        .pax(&[("path", down.as_bytes())])
        .dir("d")
        .pax(&[("path", format!("{down}l").as_bytes()), ("linkpath", b"..")])
        .symlink("l", "x")
        .pax(&[("linkpath", format!("/{down}").as_bytes())])
        .symlink("top", "x")
        .pax(&[("path", format!("top/{down}").as_bytes())])
        .dir("d");
    let Err(text) = attack(|_| vec![layer.clone()]) else { panic!("it fits") };
    assert!(text.ends_with("more than 512 directories within each other"), "{text}");
}

fn limited(tar: &[u8], limits: Limits) -> Result<layer::Applied, String> {
    let scratch = Scratch::new();
    let root = scratch.dir("root");
    let target = Target::Snapshot { marks: Marks::Trusted, lower: &[] };
    let options = Options { target, ids: IdMap::Identity, dirlinks: Dirlinks::Replace, limits };
    layer::apply(tar, File::open(&root).unwrap().as_fd(), &options).map_err(|error| error.to_string())
}

#[test]
fn bombs_meet_a_limit() {
    let limits = Limits { entries: 3, bytes: 10 };
    let big = Tar::default().file("a", "12345").file("b", "123456").end();
    assert_eq!(limited(&big, limits.clone()), Err("layer: more than 10 bytes of files".to_owned()));
    let many = Tar::default().dir("a").dir("b").dir("c").dir("d").end();
    assert_eq!(limited(&many, limits.clone()), Err("layer: more than 3 members".to_owned()));
    let implied = Tar::default().dir("a/b/c/d").end();
    assert_eq!(limited(&implied, limits.clone()), Err("layer: more than 3 directories".to_owned()));
    let tail = [Tar::default().end(), vec![0; 11]].concat();
    assert_eq!(
        limited(&tail, limits),
        Err("layer: member 0: what follows the archive's end beyond 10 bytes".to_owned())
    );
    // A size that nobody has sent yet.
    let claimed = Tar::default().add(Header::new(b'0', "a").size(0o77_777_777_776)).end();
    let limits = Limits { bytes: 1 << 20, ..Limits::default() };
    assert_eq!(limited(&claimed, limits), Err("layer: more than 1048576 bytes of files".to_owned()));
}

#[test]
fn a_hundred_thousand_members_take_seconds() {
    let mut tar = Tar::default();
    for number in 0..100_000 {
        tar = match number % 4 {
            0 => tar.dir(&format!("d{number}")),
            1 => tar.file("the same", "x"),
            2 => tar.symlink(&format!("d{}/l", number - 2), "x"),
            _ => tar.file(&format!("d{}/.wh.x", number - 3), ""),
        };
    }
    let scratch = Scratch::new();
    let root = scratch.dir("root");
    let _mount = Mount::tmpfs(&root, c"mode=700");
    // The processor's time: others may have the machine.
    let start = clock_gettime(ClockId::ThreadCPUTime);
    assert_eq!(apply(&tar.end(), &root, Target::Merged).unwrap().entries, 100_000);
    let took = clock_gettime(ClockId::ThreadCPUTime) - start;
    assert!(took.tv_sec < 30, "{took:?}");
}

/// A mount in a namespace of the test's own.
struct Mount<'a>(&'a Path);

impl<'a> Mount<'a> {
    fn tmpfs(target: &'a Path, options: &CStr) -> Self {
        masu_image::namespace::enter_private_mounts().unwrap();
        mount("test", target, "tmpfs", MountFlags::empty(), options).unwrap();
        Self(target)
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        unmount(self.0, UnmountFlags::DETACH).unwrap();
    }
}

#[test]
fn a_full_disk_is_told_with_the_file_that_did_not_fit() {
    let scratch = Scratch::new();
    let root = scratch.dir("root");
    let _mount = Mount::tmpfs(&root, c"size=64k,mode=700");
    let layer = Tar::default().file("fits", "x").file("dir/big", &"x".repeat(100_000)).end();
    let error = apply(&layer, &root, Target::Merged).unwrap_err();
    assert_eq!(error.to_string(), "layer: dir/big: write: ENOSPC");
    mount_remount(&root, MountFlags::RDONLY, c"").unwrap();
    let error = apply(&layer, &root, Target::Merged).unwrap_err();
    assert_eq!(error.to_string(), "layer: fits: remove: EROFS");
}
