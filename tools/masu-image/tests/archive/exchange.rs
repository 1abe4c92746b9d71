//! What others write is read, and what is written others read.

use super::tar::{Header, Tar};
use super::tree;
use super::world::World;
use masu_image::Digest;
use std::os::unix::fs::{PermissionsExt, symlink};

/// A root with everything that a file system has.
fn make_root(world: &World) -> std::path::PathBuf {
    let root = world.path("root");
    std::fs::create_dir_all(root.join("dir/sub")).unwrap();
    std::fs::write(root.join("dir/file"), "content").unwrap();
    std::fs::set_permissions(root.join("dir/file"), std::fs::Permissions::from_mode(0o4750)).unwrap();
    std::os::unix::fs::chown(root.join("dir"), Some(3_000_000), Some(44)).unwrap();
    std::fs::hard_link(root.join("dir/file"), root.join("second")).unwrap();
    symlink("t".repeat(150), root.join("link")).unwrap();
    let long = format!("{}/{}", "d".repeat(90), "n".repeat(90));
    std::fs::create_dir(root.join("d".repeat(90))).unwrap();
    std::fs::write(root.join(long), "long").unwrap();
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(root.join("dir"), "user.note", b"\0\n=", flags).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o640);
    let device = rustix::fs::makedev(1, 3);
    let kind = rustix::fs::FileType::CharacterDevice;
    rustix::fs::mknodat(rustix::fs::CWD, root.join("null"), kind, mode, device).unwrap();
    root
}

#[test]
fn a_directory_becomes_an_image_of_one_layer_and_is_the_same_again() {
    let world = World::new();
    let root = make_root(&world);
    let imported = world.import("rootfs:", "root").unwrap();
    assert_eq!(imported.names, Vec::<String>::new());
    let again = world.import("rootfs:", "root").unwrap();
    assert_eq!(again, imported, "the same directory is the same image");
    assert_eq!(tree::read(&world.unpack(&imported, "unpacked"), true), tree::read(&root, true));
    let manifest = world.store.read_manifest(&imported.descriptor).unwrap();
    let config = world.store.read_config(&manifest).unwrap();
    assert_eq!(config.rootfs.diff_ids, [manifest.layers[0].digest.clone()]);
    assert_eq!((config.os.as_str(), config.config), ("linux", None));
}

#[test]
fn an_archive_of_a_root_is_the_layer_itself() {
    let world = World::new();
    let tar = Tar::default().dir("etc").file("etc/hostname", "x").end();
    world.write("export.tar", &tar);
    let imported = world.import("rootfs:", "export.tar").unwrap();
    let manifest = world.store.read_manifest(&imported.descriptor).unwrap();
    assert_eq!(manifest.layers[0].digest, Digest::of(&tar));
}

#[test]
fn skopeo_reads_what_is_written_and_writes_what_is_read() {
    let world = World::new();
    make_root(&world);
    let original = world.import("rootfs:", "root").unwrap();
    let config = world.store.read_manifest(&original.descriptor).unwrap().config.digest;
    let name = "localhost/test:1";
    let ways = [
        ("oci:", "layout", ":1"),
        ("oci-archive:", "oci.tar", ":1"),
        ("docker-archive:", "docker.tar", ""),
        ("dir:", "directory", ""),
    ];
    for (transport, file, tag) in ways {
        world.export(&original, name, transport, file);
        let there = format!("{transport}{file}{tag}");
        // Each of skopeo's own formats, from ours.
        for (back, to, to_tag) in [
            ("oci:", "layout", ":1"),
            ("oci-archive:", "oci.tar", ":1"),
            ("docker-archive:", "docker.tar", ":localhost/test:1"),
            ("dir:", "directory", ""),
        ] {
            let file = format!("skopeo-{}-{to}", transport.trim_end_matches(':'));
            world.skopeo(&["copy", "--quiet", &there, &format!("{back}{file}{to_tag}")]);
            let imported = world.import(back, &file).unwrap();
            let tree = world.unpack(&imported, &format!("unpacked-{file}"));
            assert_eq!(tree::read(&tree, true), tree::read(&world.path("root"), true), "{there} to {back}");
            let names: &[&str] = match back {
                "dir:" => &[],
                "docker-archive:" => &[name],
                _ => &["1"],
            };
            assert_eq!(imported.names, names, "{there} to {back}");
        }
        let imported = world.import(transport, file).unwrap();
        let manifest = world.store.read_manifest(&imported.descriptor).unwrap();
        assert_eq!(manifest.config.digest, config, "{transport}");
    }
}

#[test]
fn a_layout_and_an_archive_may_have_several_images() {
    let world = World::new();
    world.write("one.tar", &Tar::default().file("one", "1").end());
    world.write("two.tar", &Tar::default().file("two", "2").end());
    for name in ["one", "two"] {
        let imported = world.import("rootfs:", &format!("{name}.tar")).unwrap();
        world.export(&imported, &format!("localhost/x:{name}"), "oci:", "layout");
    }
    let two = world.import("oci:", "layout:two").unwrap();
    let names: Vec<_> =
        world.unpack(&two, "two").read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["two"]);
    let several =
        "no single image in layout: it has one, two\nhint: name one of them behind the path, after a colon";
    assert_eq!(world.import_error("oci:", "layout"), several);
    let other =
        "no image three in layout: it has one, two\nhint: name one of them behind the path, after a colon";
    assert_eq!(world.import_error("oci:", "layout:three"), other);
}

#[test]
fn an_old_archive_of_docker_has_layers_that_are_links_to_others() {
    let world = World::new();
    let layer = Tar::default().file("a", "1").end();
    let id = Digest::of(&layer);
    let config = format!(
        "{{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{{\"type\":\"layers\",\"diff_ids\":[\"{id}\",\"{id}\"]}}}}"
    );
    let saved = "[{\"Config\":\"c.json\",\"RepoTags\":[\"old:1\",\"old:2\"],\"Layers\":[\"x/layer.tar\",\"y/layer.tar\"]}]";
    let archive = Tar::default()
        .dir("x")
        .symlink("y/layer.tar", "../x/layer.tar")
        .file("manifest.json", saved)
        .file("c.json", &config)
        .raw(Header::new(b'0', "x/layer.tar").size(layer.len() as u64), &layer)
        .end();
    world.write("old.tar", &archive);
    let imported = world.import("docker-archive:", "old.tar").unwrap();
    assert_eq!(imported.names, ["old:1", "old:2"]);
    let manifest = world.store.read_manifest(&imported.descriptor).unwrap();
    assert_eq!(manifest.layers.len(), 2);
    assert_eq!(world.import("docker-archive:", "old.tar:2").unwrap(), imported);
    assert!(world.root().is_dir());
}

#[test]
fn a_directory_of_skopeos_has_one_image_and_gets_another() {
    let world = World::new();
    world.write("one.tar", &Tar::default().file("one", "1").end());
    world.write("two.tar", &Tar::default().file("two", "2").end());
    for name in ["one", "two"] {
        let imported = world.import("rootfs:", &format!("{name}.tar")).unwrap();
        world.export(&imported, "localhost/x:1", "dir:", "directory");
        assert_eq!(world.import("dir:", "directory").unwrap(), imported);
        // version, the manifest, and what that names: the configuration and a layer.
        assert_eq!(world.path("directory").read_dir().unwrap().count(), 4);
    }
    assert_eq!(world.skopeo(&["inspect", "--format", "{{.Os}}", "dir:directory"]), "linux\n");
    let imported = world.import("dir:", "directory").unwrap();
    world.write("documents/letter", b"mine");
    let refused = world.export_error(&imported, "dir:", "documents");
    assert_eq!(refused, "documents: it has files, and they are no image's");
    assert_eq!(world.path("documents").read_dir().unwrap().count(), 1);
}

#[test]
fn of_an_index_in_a_directory_this_machines_image_is_taken() {
    let world = World::new();
    world.write("one.tar", &Tar::default().file("one", "1").end());
    let imported = world.import("rootfs:", "one.tar").unwrap();
    world.export(&imported, "localhost/x:1", "dir:", "directory");
    let directory = world.path("directory");
    let manifest = std::fs::read(directory.join("manifest.json")).unwrap();
    let digest = Digest::of(&manifest);
    let index = format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[\
         {{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"{digest}\",\"size\":{},\
         \"platform\":{{\"os\":\"linux\",\"architecture\":\"amd64\"}}}}]}}",
        manifest.len()
    );
    std::fs::rename(
        directory.join("manifest.json"),
        directory.join(format!("{}.manifest.json", digest.hex())),
    )
    .unwrap();
    world.write("directory/manifest.json", index.as_bytes());
    let platform: masu_image::manifest::Platform = "linux/amd64".parse().unwrap();
    let found = world.import_for("dir:", "directory", &platform).unwrap();
    assert_eq!((found.descriptor.digest, found.names), (digest, Vec::new()));
    let other: masu_image::manifest::Platform = "linux/s390x".parse().unwrap();
    let error = world.import_for("dir:", "directory", &other).unwrap_err().to_string();
    assert_eq!(error, "no image for linux/s390x; available: linux/amd64");
}
