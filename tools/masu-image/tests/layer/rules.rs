//! The rules of layers: image-spec's layer.md, and what unpackers have agreed on beside it.

use super::scratch::{Scratch, apply};
use super::tar::{Header, Tar};
use super::{tree, umoci};
use masu_image::layer::Target;
use std::collections::BTreeMap;

/// Applies the layers both ways and with umoci, and expects the same tree of each: `PATH DESCRIPTION`, without the root and
/// the times.
fn expect(layers: Vec<Tar>, expected: &[&str]) {
    let scratch = Scratch::new();
    let merged = expect_in(&scratch, &layers, expected);
    let layers: Vec<Vec<u8>> = layers.into_iter().map(Tar::end).collect();
    umoci::compare(&merged, &umoci::unpack(&scratch, &layers));
}

/// As [`expect`], for what umoci does in another way.
fn expect_unlike_umoci(layers: &[Tar], expected: &[&str]) {
    drop(expect_in(&Scratch::new(), layers, expected));
}

fn expect_in(scratch: &Scratch, layers: &[Tar], expected: &[&str]) -> BTreeMap<String, String> {
    let layers: Vec<Vec<u8>> = layers.iter().cloned().map(Tar::end).collect();
    let merged = tree::read(&scratch.merged(&layers).unwrap(), true);
    let snapshots = scratch.snapshots(&layers).unwrap();
    let seen = scratch.see(&snapshots, true);
    assert_eq!(tree::difference(&seen, &merged), "", "the overlay (-) and the merged directory (+)");
    let plain = tree::read(&scratch.path().join("merged"), false);
    let lines: Vec<String> =
        plain.iter().skip(1).map(|(path, description)| format!("{path} {description}")).collect();
    assert_eq!(lines, expected);
    merged
}

#[test]
fn a_layer_has_everything_that_a_file_system_has() {
    let capability = b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let layer = Tar::default()
        .add(Header::new(b'5', "./").mode(0o750).owner(7, 8))
        .add(Header::new(b'5', "dir/").mode(0o1777).time(1_500_000_000))
        .raw(Header::new(b'0', "dir/suid").mode(0o4755).owner(1000, 1001).size(2), b"hi")
        .pax(&[("SCHILY.xattr.security.capability", capability), ("SCHILY.xattr.user.note", b"kept\n")])
        .raw(Header::new(b'0', "ping").mode(0o755).owner(0, 5).size(4), b"ping")
        .symlink("link", "/nowhere")
        .link("dir/second", "dir/suid")
        .link("link2", "./link")
        .add(Header::new(b'3', "null").mode(0o666).device(1, 3))
        .add(Header::new(b'4', "disk").mode(0o660).owner(0, 6).device(8, 300))
        .add(Header::new(b'6', "pipe").mode(0o600))
        .raw(Header::new(0, "old/"), b"");
    expect(
        vec![layer],
        &[
            "dir dir 1777",
            "dir/second file \"hi\" 4755 1000:1001",
            "dir/suid file \"hi\" 4755 1000:1001 = dir/second",
            "disk device b 8:300 660 0:6",
            "link symlink /nowhere",
            "link2 symlink /nowhere = link",
            "null device c 1:3 666",
            "old dir 644",
            "ping file \"ping\" 755 0:5 \
             security.capability=\\x01\\x00\\x00\\x02\\x00\\x04\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\
             \\x00\\x00\\x00\\x00 user.note=kept\\n",
            "pipe fifo 600",
        ],
    );
}

#[test]
fn a_contiguous_file_is_a_file() {
    // umoci does not know the type.
    let layer = Tar::default().raw(Header::new(b'7', "contiguous").size(1), b"c");
    expect_unlike_umoci(&[layer], &["contiguous file \"c\" 644"]);
}

#[test]
fn times_are_kept_to_the_nanosecond_and_directories_get_theirs_last() {
    let scratch = Scratch::new();
    let layer = Tar::default()
        .pax(&[("mtime", b"1234567890.123456789")])
        .dir("dir")
        .pax(&[("mtime", b"-1.5"), ("atime", b"1000.25")])
        .file("dir/file", "")
        .pax(&[("mtime", b"77.000000001")])
        .symlink("dir/link", "file")
        .add(Header::new(b'5', "./").time(99));
    let seen = scratch.see(&scratch.snapshots(&[layer.end()]).unwrap(), true);
    let times: Vec<_> =
        seen.iter().map(|(path, line)| (path.as_str(), line.split_once('@').unwrap().1)).collect();
    let expected = [
        ("", "99.000000000"),
        ("dir", "1234567890.123456789"),
        ("dir/file", "-2.500000000"),
        ("dir/link", "77.000000001"),
    ];
    assert_eq!(times, expected);
}

#[test]
fn a_whiteout_hides_lower_layers_alone_whatever_its_place_in_the_layer() {
    let base =
        || Tar::default().dir("d").file("d/a", "old").file("d/b", "old").dir("gone").file("gone/x", "old");
    let before = Tar::default()
        .file("d/.wh.a", "")
        .file("d/a", "new")
        .file(".wh.gone", "")
        .dir("gone")
        .file("gone/y", "new");
    let after = Tar::default()
        .file("d/a", "new")
        .file("d/.wh.a", "")
        .dir("gone")
        .file("gone/y", "new")
        .file(".wh.gone", "");
    for upper in [before, after] {
        let expected = [
            "d dir 755",
            "d/a file \"new\" 644",
            "d/b file \"old\" 644",
            "gone dir 755",
            "gone/y file \"new\" 644",
        ];
        expect(vec![base(), upper], &expected);
    }
    let hidden =
        Tar::default().file("d/.wh.a", "").file(".wh.gone", "").file(".wh.never", "").file("no/.wh.x", "");
    expect(vec![base(), hidden.clone()], &["d dir 755", "d/b file \"old\" 644"]);
    expect(vec![hidden], &[]);
}

#[test]
fn an_opaque_directory_hides_lower_layers_alone_whatever_its_place_in_the_layer() {
    let base =
        || Tar::default().dir("d").file("d/a", "old").dir("d/sub").file("d/sub/b", "old").file("e", "old");
    let first = Tar::default()
        .file("d/.wh..wh..opq", "")
        .file("d/new", "new")
        .dir("d/sub")
        .file("d/sub/c", "new")
        .file("d/.wh.a", "");
    let last = Tar::default()
        .file("d/.wh.a", "")
        .file("d/new", "new")
        .dir("d/sub")
        .file("d/sub/c", "new")
        .file("d/.wh..wh..opq", "");
    for upper in [first, last] {
        let expected = [
            "d dir 755",
            "d/new file \"new\" 644",
            "d/sub dir 755",
            "d/sub/c file \"new\" 644",
            "e file \"old\" 644",
        ];
        expect(vec![base(), upper], &expected);
    }
}

#[test]
fn an_opaque_root_hides_everything_below() {
    let base = Tar::default().dir("d").file("d/a", "old").file("f", "old");
    let second = Tar::default().file("g", "old").file(".wh.f", "");
    let upper = Tar::default().dir("d").file("d/b", "new").file(".wh..wh..opq", "").file("g", "new");
    let expected = ["d dir 755", "d/b file \"new\" 644", "g file \"new\" 644"];
    expect(vec![base, second, upper], &expected);
}

#[test]
fn names_that_begin_as_whiteouts_never_appear() {
    let layer = Tar::default()
        .dir(".wh..wh.plnk")
        .file(".wh..wh.plnk/1.2", "")
        .file(".wh..wh.aufs", "")
        .dir("d/.wh.e")
        .file("d/.wh.e/f", "")
        .file("d/.wh..wh.orph", "");
    // umoci makes what is below them.
    expect_unlike_umoci(&[layer], &[]);
}

#[test]
fn a_directory_over_a_directory_changes_its_attributes_alone() {
    let base = Tar::default()
        .pax(&[("SCHILY.xattr.user.old", b"1"), ("SCHILY.xattr.user.both", b"1")])
        .add(Header::new(b'5', "d").mode(0o700))
        .file("d/a", "old");
    let upper = Tar::default()
        .pax(&[("SCHILY.xattr.user.both", b"2")])
        .add(Header::new(b'5', "d").mode(0o711).owner(3, 4));
    expect(vec![base, upper], &["d dir 711 3:4 user.both=2", "d/a file \"old\" 644"]);
}

#[test]
fn any_other_change_of_type_replaces_what_was_there() {
    let base = || {
        Tar::default()
            .dir("dir-file")
            .file("dir-file/x", "old")
            .file("file-dir", "old")
            .symlink("link-dir", "file-dir")
            .symlink("link-file", "keep")
            .file("keep", "old")
            .file("first", "old")
            .link("second", "first")
            .dir("dir-link")
            .file("dir-link/x", "old")
    };
    let upper = || {
        Tar::default()
            .file("dir-file", "new")
            .dir("file-dir")
            .file("file-dir/y", "new")
            .dir("link-dir")
            .file("link-file", "new")
            .file("first", "new")
            .symlink("dir-link", "keep")
    };
    let expected = [
        "dir-file file \"new\" 644",
        "dir-link symlink keep",
        "file-dir dir 755",
        "file-dir/y file \"new\" 644",
        "first file \"new\" 644",
        "keep file \"old\" 644",
        "link-dir dir 755",
        "link-file file \"new\" 644",
        "second file \"old\" 644",
    ];
    expect(vec![base(), upper()], &expected);
    // Within one layer too, where a later member replaces an earlier one.
    let both = [base().open_end(), upper().open_end()].concat();
    expect(vec![Tar::default().bytes(&both)], &expected);
}

#[test]
fn what_replaces_a_lower_directory_keeps_it_hidden() {
    let base = Tar::default().dir("d").file("d/old", "old").dir("e").file("e/old", "old");
    // The directory goes, and comes back empty, in one layer; and in two.
    let upper = Tar::default().file("d", "file").dir("d").file("e", "file");
    let top = Tar::default().dir("e").file("e/new", "new");
    expect(vec![base, upper, top], &["d dir 755", "e dir 755", "e/new file \"new\" 644"]);
}

#[test]
fn hard_links_reach_into_the_layers_below() {
    let base = Tar::default()
        .add(Header::new(b'5', "d").mode(0o711).owner(1, 1).time(1000))
        .pax(&[("SCHILY.xattr.user.note", b"n")])
        .raw(Header::new(b'0', "d/file").mode(0o4711).owner(5, 6).size(3).time(2000), b"old")
        .symlink("d/link", "file")
        .add(Header::new(b'6', "d/pipe"));
    let upper = Tar::default().link("f", "d/file").link("l", "d/link").link("p", "/d/pipe");
    let expected = [
        "d dir 711 1:1",
        "d/file file \"old\" 4711 5:6 user.note=n",
        "d/link symlink file",
        "d/pipe fifo 644",
        "f file \"old\" 4711 5:6 user.note=n = d/file",
        "l symlink file = d/link",
        "p fifo 644 = d/pipe",
    ];
    let scratch = Scratch::new();
    let layers = [base.end(), upper.end()];
    let seen = scratch.see(&scratch.snapshots(&layers).unwrap(), false);
    let lines: Vec<String> = seen.iter().skip(1).map(|(path, line)| format!("{path} {line}")).collect();
    assert_eq!(lines, expected);
    let merged = tree::read(&scratch.merged(&layers).unwrap(), false);
    assert_eq!(merged, seen);
}

#[test]
fn what_is_only_copied_from_below_goes_when_that_is_hidden() {
    let base = || Tar::default().dir("d").dir("d/e").file("d/e/a", "old").file("f", "old");
    // The link keeps the content, its origin's name goes.
    let linked =
        Tar::default().link("g", "f").link("h", "d/e/a").file(".wh.f", "").file("d/.wh..wh..opq", "");
    let expected = ["d dir 755", "g file \"old\" 644", "h file \"old\" 644"];
    expect_unlike_umoci(&[base(), linked], &expected);
    // A directory on the way to a whiteout is not the layer's own.
    let whiteouts = Tar::default().file("d/e/.wh.a", "").file(".wh.d", "");
    expect(vec![base(), whiteouts.clone()], &["f file \"old\" 644"]);
    let own = whiteouts.file("d/e/b", "new");
    expect(vec![base(), own], &["d dir 755", "d/e dir 755", "d/e/b file \"new\" 644", "f file \"old\" 644"]);
    let own = Tar::default().file("d/e/.wh.a", "").file("d/e/b", "new").file(".wh.d", "");
    expect(vec![base(), own], &["d dir 755", "d/e dir 755", "d/e/b file \"new\" 644", "f file \"old\" 644"]);
}

#[test]
fn directories_that_a_layer_implies_look_as_in_the_layer_below() {
    let base = Tar::default()
        .pax(&[("SCHILY.xattr.user.note", b"n"), ("mtime", b"5.5")])
        .add(Header::new(b'5', "a").mode(0o1770).owner(10, 20))
        .add(Header::new(b'5', "a/b").mode(0o700).time(4000));
    let upper = Tar::default().file("a/b/c", "new").file("x/y/z", "new");
    expect(
        vec![base, upper],
        &[
            "a dir 1770 10:20 user.note=n",
            "a/b dir 700",
            "a/b/c file \"new\" 644",
            "x dir 755",
            "x/y dir 755",
            "x/y/z file \"new\" 644",
        ],
    );
}

#[test]
fn a_path_through_a_symbolic_link_leads_within_the_root() {
    let base =
        Tar::default().dir("usr").dir("usr/bin").symlink("bin", "usr/bin").symlink("abs", "/usr/../usr");
    let upper =
        Tar::default().file("bin/a", "1").file("abs/b", "2").link("bin/c", "abs/bin/a").file("bin/.wh.x", "");
    let expected = [
        "abs symlink /usr/../usr",
        "bin symlink usr/bin",
        "usr dir 755",
        "usr/b file \"2\" 644",
        "usr/bin dir 755",
        "usr/bin/a file \"1\" 644",
        "usr/bin/c file \"1\" 644 = usr/bin/a",
    ];
    expect(vec![base, upper], &expected);
}

#[test]
fn a_file_replaces_a_name_and_not_what_a_link_at_it_leads_to() {
    let base = Tar::default().file("target", "old").symlink("name", "target");
    let upper = Tar::default().file("name", "new");
    expect(vec![base, upper], &["name file \"new\" 644", "target file \"old\" 644"]);
}

#[test]
fn the_marks_of_overlayfs_in_a_layer_are_attributes_like_others() {
    let scratch = Scratch::new();
    let base = Tar::default().dir("d").file("d/a", "old");
    let upper = Tar::default()
        .pax(&[
            ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
            ("SCHILY.xattr.trusted.overlay.redirect", b"/e"),
        ])
        .dir("d")
        .file("d/b", "new");
    let snapshots = scratch.snapshots(&[base.end(), upper.end()]).unwrap();
    assert_eq!(
        tree::read(&snapshots[0], false)["d"],
        "dir 755 trusted.overlay.overlay.opaque=y trusted.overlay.overlay.redirect=/e"
    );
    let seen = scratch.see(&snapshots, false);
    assert_eq!(seen["d/a"], "file \"old\" 644", "the directory is not opaque");
}

#[test]
fn sparse_files_have_their_holes() {
    let content = |at: usize, text: &str, length: usize| {
        let mut content = vec![0; length];
        content[at..at + text.len()].copy_from_slice(text.as_bytes());
        content
    };
    let mut gnu = Header::new(b'S', "gnu").size(6);
    gnu.put(257, b"ustar  \0").put(345, &[0; 155]).put(483, b"00004000000\0");
    for (slot, (offset, length)) in [(8192, 3), (0o2_000_000, 3), (0o4_000_000, 0)].into_iter().enumerate() {
        gnu.put(386 + slot * 24, format!("{offset:011o}\0{length:011o}\0").as_bytes());
    }
    let map = b"2\n4096\n2\n8192\n1\n";
    let old: [(&str, &[u8]); 9] = [
        ("GNU.sparse.size", b"10000"),
        ("GNU.sparse.numblocks", b"2"),
        ("GNU.sparse.offset", b"4096"),
        ("GNU.sparse.numbytes", b"2"),
        ("GNU.sparse.offset", b"9999"),
        ("GNU.sparse.numbytes", b"1"),
        ("GNU.sparse.name", b"pax-0.0"),
        ("path", b"pax-0.0"),
        ("mtime", b"5"),
    ];
    let layer = Tar::default()
        .raw(gnu, b"onetwo")
        .pax(&old)
        .raw(Header::new(b'0', "made/up").size(3), b"abc")
        .pax(&[
            ("GNU.sparse.size", b"10000"),
            ("GNU.sparse.map", b"4096,2,9999,1"),
            ("GNU.sparse.name", b"pax-0.1"),
        ])
        .raw(Header::new(b'0', "made/up").size(3), b"abc")
        .pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.realsize", b"1000000"),
            ("GNU.sparse.name", b"pax-1.0"),
        ])
        .raw(Header::new(b'0', "made/up").size(515), &[&map[..], &[0; 512 - 16], b"abc"].concat())
        .file("behind", "read at the right place");
    let scratch = Scratch::new();
    let root = scratch.merged(&[layer.end()]).unwrap();
    let read = |name: &str| std::fs::read(root.join(name)).unwrap();
    let mut expected = content(8192, "one", 0o4_000_000);
    expected[0o2_000_000..][..3].copy_from_slice(b"two");
    assert_eq!(read("gnu"), expected);
    let mut expected = content(4096, "ab", 10000);
    expected[9999] = b'c';
    assert_eq!((read("pax-0.0"), read("pax-0.1")), (expected.clone(), expected));
    let mut expected = content(4096, "ab", 1_000_000);
    expected[8192] = b'c';
    assert_eq!(read("pax-1.0"), expected);
    assert_eq!(read("behind"), b"read at the right place");
    use std::os::unix::fs::MetadataExt;
    assert!(root.join("pax-1.0").metadata().unwrap().blocks() < 100, "there is a hole");
}

#[test]
fn long_names_of_both_kinds_are_read() {
    let (long, target) = (format!("{}/{}", "d".repeat(200), "n".repeat(200)), "t".repeat(300));
    let terminated = |text: &str| format!("{text}\0").into_bytes();
    let extension = |kind, text: &str| Header::new(kind, "././@LongLink").size(text.len() as u64 + 1);
    let mut prefixed = Header::new(b'0', "name");
    prefixed.put(345, b"pre/fix");
    let layer = Tar::default()
        .raw(extension(b'L', &long), &terminated(&long))
        .file("cut", "gnu")
        .raw(extension(b'K', &target), &terminated(&target))
        .symlink("gnu-link", "cut")
        .pax(&[("path", b"\xc3\xbcml\xff"), ("linkpath", target.as_bytes())])
        .symlink("cut", "cut")
        .raw(prefixed, b"");
    let scratch = Scratch::new();
    let tree = tree::read(&scratch.merged(&[layer.end()]).unwrap(), false);
    assert_eq!(tree[&long], "file \"gnu\" 644");
    assert_eq!(tree["gnu-link"], format!("symlink {target}"));
    assert_eq!(tree["\u{fc}ml\u{fffd}"], format!("symlink {target}"));
    assert_eq!(tree["pre/fix/name"], "file \"\" 644");
}

#[test]
fn an_archive_may_end_where_the_content_of_its_last_member_does() {
    // As `umoci insert` leaves it, and Go reads it.
    let mut layer = Tar::default().file("a", "1").file("b", "22").open_end();
    layer.truncate(layer.len() - 510);
    let scratch = Scratch::new();
    let merged = tree::read(&scratch.merged(std::slice::from_ref(&layer)).unwrap(), true);
    umoci::compare(&merged, &umoci::unpack(&scratch, std::slice::from_ref(&layer)));
    let lines: Vec<&str> = merged.values().map(|line| line.split(" @").next().unwrap()).skip(1).collect();
    assert_eq!(lines, ["file \"1\" 644", "file \"22\" 644"]);
    // Anything between that and the whole block is damage.
    for missing in [1, 509] {
        let mut damaged = Tar::default().file("a", "1").file("b", "22").open_end();
        damaged.truncate(damaged.len() - missing);
        let error = apply(&damaged, &scratch.dir(&missing.to_string()), Target::Merged).unwrap_err();
        assert_eq!(error.to_string(), "layer: member 3: the archive ends within the content of a member");
    }
}

#[test]
fn an_archive_may_end_without_its_mark_and_go_on_behind_it() {
    let layer = Tar::default().file("a", "1");
    let scratch = Scratch::new();
    let root = scratch.dir("root");
    assert_eq!(apply(&layer.clone().open_end(), &root, Target::Merged).unwrap().entries, 1);
    assert_eq!(apply(b"", &root, Target::Merged).unwrap().entries, 0);
    let mut long = layer.end();
    long.extend_from_slice(&[7; 5000]);
    let mut rest = long.as_slice();
    let options = masu_image::layer::Options {
        target: Target::Merged,
        ids: masu_image::layer::IdMap::Identity,
        dirlinks: masu_image::layer::Dirlinks::Replace,
        limits: masu_image::layer::Limits::default(),
    };
    let root = std::fs::File::open(&root).unwrap();
    masu_image::layer::apply(&mut rest, std::os::fd::AsFd::as_fd(&root), &options).unwrap();
    assert!(rest.is_empty(), "whoever hashes the archive sees all of it");
}

/// Links of every kind, directories in their places, and whiteouts through a link.
fn links_below_directories() -> [Tar; 3] {
    let below = Tar::default()
        .dir("usr")
        .dir("usr/lib")
        .file("usr/lib/a", "old")
        .symlink("lib", "usr/lib")
        .symlink("absolute", "/usr/lib")
        .symlink("chain", "lib")
        .symlink("above", "../../usr")
        .symlink("dangling", "nowhere")
        .symlink("file", "usr/lib/a")
        .symlink("loop", "loop")
        .symlink("outside", "/etc");
    let above = Tar::default()
        // umoci would give the link the directory's time and owner: these are the same.
        .add(Header::new(b'5', "lib").mode(0o700))
        .file("lib/b", "new")
        .dir("absolute")
        .file("absolute/c", "new")
        .dir("chain")
        .dir("above")
        .file("above/d", "new")
        .dir("dangling")
        .dir("file")
        .dir("loop")
        .dir("outside")
        .file("outside/e", "new");
    let top = Tar::default().file("lib/.wh.a", "").file(".wh.absolute", "");
    [below, above, top]
}

#[test]
fn links_to_directories_are_kept_as_umoci_keeps_them() {
    let scratch = Scratch::new();
    let layers = links_below_directories().map(Tar::end);
    let merged = scratch.merged_with(&layers, masu_image::layer::Dirlinks::Keep).unwrap();
    let lines: Vec<String> = tree::read(&merged, false)
        .iter()
        .skip(1)
        .map(|(path, description)| format!("{path} {description}"))
        .collect();
    let expected = [
        "above symlink ../../usr",
        "chain symlink lib",
        "dangling dir 755",
        "file dir 755",
        "lib symlink usr/lib",
        "loop dir 755",
        "outside dir 755",
        "outside/e file \"new\" 644",
        "usr dir 755",
        "usr/d file \"new\" 644",
        "usr/lib dir 755",
        "usr/lib/b file \"new\" 644",
        "usr/lib/c file \"new\" 644",
    ];
    assert_eq!(lines, expected);
    umoci::compare(&tree::read(&merged, true), &umoci::unpack_with(&scratch, &layers, &["--keep-dirlinks"]));
}

#[test]
fn without_that_a_directory_takes_the_place_of_a_link() {
    let scratch = Scratch::new();
    let layers = links_below_directories().map(Tar::end);
    let seen = tree::read(&scratch.merged(&layers).unwrap(), false);
    for name in ["above", "chain", "dangling", "file", "lib", "loop", "outside"] {
        assert!(seen[name].starts_with("dir"), "{name} {}", seen[name]);
    }
    assert_eq!(seen["usr/lib/a"], "file \"old\" 644");
}
