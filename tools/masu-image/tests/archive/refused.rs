//! Files that are none, or mean harm.

use super::tar::{Header, Tar};
use super::world::World;
use masu_image::Digest;

#[test]
fn what_is_no_archive_is_told_by_the_name_of_the_file() {
    let world = World::new();
    world.write("text", &b"not an archive. ".repeat(100));
    world.write("empty.tar", &Tar::default().end());
    let wrong = "wrong checksum of a header: damaged, or not a tar archive";
    assert_eq!(world.import_error("docker-archive:", "text"), format!("text: {wrong}"));
    assert_eq!(world.import_error("oci-archive:", "text"), format!("text: {wrong}"));
    assert_eq!(world.import_error("docker-archive:", "empty.tar"), "empty.tar: it has no manifest.json");
    assert_eq!(world.import_error("oci-archive:", "empty.tar"), "empty.tar: it has no index.json");
    assert_eq!(world.import_error("docker-archive:", "none.tar"), "open none.tar: ENOENT");
    assert_eq!(world.import_error("oci:", "none"), "open none/index.json: ENOENT");
    assert_eq!(world.import_error("dir:", "none"), "open none/manifest.json: ENOENT");
    assert_eq!(world.import_error("rootfs:", "none"), "open none: ENOENT");
}

#[test]
fn content_that_is_not_what_it_is_called_is_refused() {
    let world = World::new();
    let layer = Tar::default().file("a", "1").end();
    let other = Digest::of(b"other");
    let config = format!(
        "{{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{{\"type\":\"layers\",\"diff_ids\":[\"{other}\"]}}}}"
    );
    let archive = |saved: &str| {
        Tar::default()
            .file("manifest.json", saved)
            .file("c.json", &config)
            .raw(Header::new(b'0', "l.tar").size(layer.len() as u64), &layer)
            .end()
    };
    let (good, own) = ("[{\"Config\":\"c.json\",\"Layers\":[\"l.tar\"]}]", Digest::of(&layer));
    world.write("a.tar", &archive(good));
    assert_eq!(
        world.import_error("docker-archive:", "a.tar"),
        format!("a.tar: l.tar has the digest {own}, not {other}")
    );
    for (saved, text) in [
        ("[{\"Config\":\"c.json\",\"Layers\":[]}]", "0 layers; its configuration has 1"),
        ("[{\"Config\":\"c.json\",\"Layers\":[\"../l.tar/x\"]}]", "it has no ../l.tar/x"),
        ("[{\"Config\":\"/etc/passwd\",\"Layers\":[\"l.tar\"]}]", "it has no /etc/passwd"),
    ] {
        world.write("b.tar", &archive(saved));
        assert_eq!(world.import_error("docker-archive:", "b.tar"), format!("b.tar: {text}"));
    }
    // Links that lead to each other, and out of the archive.
    let links = Tar::default().symlink("manifest.json", "b").symlink("b", "manifest.json").end();
    world.write("c.tar", &links);
    assert_eq!(world.import_error("docker-archive:", "c.tar"), "c.tar: it has no manifest.json");
    let out = Tar::default().symlink("manifest.json", "/etc/passwd").end();
    world.write("d.tar", &out);
    assert_eq!(world.import_error("docker-archive:", "d.tar"), "d.tar: it has no manifest.json");
}

#[test]
fn a_layout_with_wrong_blobs_is_refused() {
    let world = World::new();
    world.write("root.tar", &Tar::default().file("a", "1").end());
    let imported = world.import("rootfs:", "root.tar").unwrap();
    world.export(&imported, "localhost/x:1", "oci:", "layout");
    let manifest = world.store.read_manifest(&imported.descriptor).unwrap();
    let layer = &manifest.layers[0];
    let fresh = World::new();
    let blob = world.path("layout/blobs/sha256").join(layer.digest.hex());
    let content = std::fs::read(&blob).unwrap();
    std::fs::write(&blob, vec![0; content.len()]).unwrap();
    let copy = |name: &str| {
        std::fs::create_dir_all(fresh.path(name)).unwrap();
        let status = std::process::Command::new("cp")
            .arg("-r")
            .args([world.path("layout/."), fresh.path(name)])
            .status()
            .unwrap();
        assert!(status.success());
    };
    copy("changed");
    let zeros = Digest::of(&vec![0; content.len()]);
    let text = format!("blob {}: what arrived has the digest {zeros}", layer.digest);
    assert_eq!(fresh.import_error("oci:", "changed"), text);
    std::fs::write(&blob, &content[..100]).unwrap();
    copy("short");
    let text = format!("blob {}: ends after 100 of {} bytes", layer.digest, layer.size);
    assert_eq!(fresh.import_error("oci:", "short"), text);
    std::fs::remove_file(fresh.path("short/blobs/sha256").join(layer.digest.hex())).unwrap();
    let missing = format!("open short/blobs/sha256/{}: ENOENT", layer.digest.hex());
    assert_eq!(fresh.import_error("oci:", "short"), missing);
    // What the store has from before is not asked for again.
    assert_eq!(world.import("oci:", "layout:1").unwrap().descriptor, imported.descriptor);
}
