//! The store, on a real file system.

use super::*;
use crate::manifest::ImageConfig;
use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;

/// A store in a directory that goes with it.
struct Scratch(Store);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("masu-store-{name}-{}", std::process::id()));
        // It is there only when an earlier run was killed.
        std::fs::remove_dir_all(&path).ok();
        Self(Store::open(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove_tree(self.0.path()).unwrap();
    }
}

fn descriptor(bytes: &[u8]) -> Descriptor {
    let size = u64::try_from(bytes.len()).unwrap();
    Descriptor::new(MediaType::OCI_LAYER, Digest::of(bytes), size)
}

fn entries(store: &Store, directory: &str) -> usize {
    list(&store.path().join(directory)).unwrap().len()
}

/// An image with one layer of these bytes.
fn add_image(writer: &Writer, name: &str, layer: &[u8]) -> Descriptor {
    let mut blob = writer.blob(&descriptor(layer)).unwrap().unwrap();
    blob.append(layer).unwrap();
    blob.commit().unwrap();
    let mut config = ImageConfig::default();
    config.rootfs.diff_ids.push(Digest::of(layer));
    let (digest, size) = writer.add_blob(&serde_json::to_vec(&config).unwrap()).unwrap();
    let config = Descriptor::new(MediaType::OCI_CONFIG, digest, size);
    let manifest = serde_json::to_vec(&Manifest::new(config, vec![descriptor(layer)])).unwrap();
    let (digest, size) = writer.add_blob(&manifest).unwrap();
    let manifest = Descriptor::new(MediaType::OCI_MANIFEST, digest, size);
    writer.tag(name, &manifest).unwrap();
    writer.snapshot(&Digest::of(layer)).unwrap().unwrap().commit().unwrap();
    manifest
}

#[test]
fn a_store_that_is_not_there_has_no_images_and_is_not_made_by_looking() {
    let scratch = Scratch::new("absent");
    assert_eq!(scratch.0.images().unwrap(), []);
    assert_eq!(scratch.0.prune().unwrap(), Pruned::default());
    assert!(!scratch.0.path().exists());
}

#[test]
fn nobody_else_may_enter_a_new_store() {
    let scratch = Scratch::new("mode");
    scratch.0.writer().unwrap();
    assert_eq!(scratch.0.path().metadata().unwrap().permissions().mode() & 0o7777, 0o700);
    assert_eq!(std::fs::read(scratch.0.path().join("oci-layout")).unwrap(), LAYOUT);
}

#[test]
fn a_blob_has_its_name_once_it_is_complete() {
    let scratch = Scratch::new("blob");
    let writer = scratch.0.writer().unwrap();
    let expected = descriptor(b"hello");
    let mut blob = writer.blob(&expected).unwrap().unwrap();
    blob.append(b"hel").unwrap();
    assert!(!writer.has_blob(&expected));
    blob.append(b"lo").unwrap();
    assert_eq!(blob.commit().unwrap(), (expected.digest.clone(), 5));
    assert!(writer.has_blob(&expected));
    assert!(writer.blob(&expected).unwrap().is_none());
    assert_eq!(entries(&writer, "partial"), 0);
}

#[test]
fn a_blob_that_was_left_half_way_is_gone_on_with() {
    let scratch = Scratch::new("resume");
    let writer = scratch.0.writer().unwrap();
    let expected = descriptor(b"hello");
    let mut blob = writer.blob(&expected).unwrap().unwrap();
    blob.append(b"hel").unwrap();
    let text = format!("blob {}: ends after 3 of 5 bytes", expected.digest);
    assert_eq!(blob.commit().unwrap_err().to_string(), text);
    let mut blob = writer.blob(&expected).unwrap().unwrap();
    assert_eq!(blob.written(), 3);
    blob.append(b"lo").unwrap();
    blob.commit().unwrap();
    assert_eq!(writer.read_document(&expected.digest).unwrap(), b"hello");
}

#[test]
fn a_blob_that_is_not_what_it_is_called_is_thrown_away() {
    let scratch = Scratch::new("wrong");
    let writer = scratch.0.writer().unwrap();
    let expected = descriptor(b"hello");
    let mut blob = writer.blob(&expected).unwrap().unwrap();
    blob.append(b"jelly").unwrap();
    let text = format!("blob {}: what arrived has the digest {}", expected.digest, Digest::of(b"jelly"));
    assert_eq!(blob.commit().unwrap_err().to_string(), text);
    assert_eq!(entries(&writer, "partial"), 0);
    let mut blob = writer.blob(&expected).unwrap().unwrap();
    let text = format!("blob {}: more than the 5 bytes that it should have", expected.digest);
    assert_eq!(blob.append(b"hello!").unwrap_err().to_string(), text);
}

#[test]
fn who_wants_the_same_blob_waits_and_finds_it_done() {
    let scratch = Scratch::new("wait");
    let writer = scratch.0.writer().unwrap();
    let expected = descriptor(b"hello");
    let mut blob = writer.blob(&expected).unwrap().unwrap();
    std::thread::scope(|scope| {
        let second = scope.spawn(|| writer.blob(&expected).unwrap().is_none());
        blob.append(b"hello").unwrap();
        blob.commit().unwrap();
        assert!(second.join().unwrap());
    });
    assert_eq!(entries(&writer, "partial"), 0);
}

#[test]
fn a_layer_that_was_left_half_unpacked_is_begun_anew() {
    let scratch = Scratch::new("snapshot");
    let writer = scratch.0.writer().unwrap();
    let id = Digest::of(b"layer");
    let left = writer.path().join("tmp").join(format!("sha256-{}", id.hex()));
    std::fs::create_dir_all(left.join("closed/inner")).unwrap();
    std::fs::set_permissions(left.join("closed"), std::fs::Permissions::from_mode(0o000)).unwrap();
    let snapshot = writer.snapshot(&id).unwrap().unwrap();
    assert_eq!(list(&left).unwrap(), Vec::<PathBuf>::new());
    snapshot.commit().unwrap();
    assert!(writer.has_snapshot(&id) && writer.snapshot(&id).unwrap().is_none());
    drop(writer.snapshot(&Digest::of(b"other")).unwrap().unwrap());
    assert_eq!(entries(&writer, "tmp"), 0);
}

#[test]
fn a_name_stands_for_one_manifest() {
    let scratch = Scratch::new("tag");
    let writer = scratch.0.writer().unwrap();
    let (one, two) = (descriptor(b"1"), descriptor(b"2"));
    writer.tag("localhost/b:1", &one).unwrap();
    writer.tag("localhost/a:1", &one).unwrap();
    writer.tag("localhost/b:1", &two).unwrap();
    let images = writer.images().unwrap();
    let told: Vec<_> = images.iter().map(|image| (image.name.as_str(), &image.descriptor.digest)).collect();
    assert_eq!(told, [("localhost/a:1", &one.digest), ("localhost/b:1", &two.digest)]);
    assert!(writer.untag("localhost/b:1").unwrap());
    assert!(!writer.untag("localhost/b:1").unwrap());
    assert!(writer.image("localhost/b:1").unwrap().is_none());
}

#[test]
fn names_given_at_once_are_all_kept() {
    let scratch = Scratch::new("tags");
    let writer = scratch.0.writer().unwrap();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let writer = &writer;
            scope.spawn(move || writer.tag(&format!("localhost/x:{number}"), &descriptor(b"1")).unwrap());
        }
    });
    assert_eq!(writer.images().unwrap().len(), 8);
}

#[test]
fn prune_removes_what_neither_an_image_nor_a_lease_uses() {
    let scratch = Scratch::new("prune");
    let store = &scratch.0;
    let writer = store.writer().unwrap();
    let kept = add_image(&writer, "localhost/kept:1", b"kept");
    let used = add_image(&writer, "localhost/used:1", b"used");
    add_image(&writer, "localhost/gone:1", b"gone");
    let (used_layer, beside) = (Digest::of(b"used"), Digest::of(b"beside"));
    let lease = Lease {
        holder: "/srv/web".into(),
        blobs: vec![used.digest.clone()],
        snapshots: vec![used_layer.clone()],
        images: vec![vec![beside.clone()]],
        ids: None,
    };
    writer.take_lease(&lease).unwrap();
    writer.snapshot(&beside).unwrap().unwrap().commit().unwrap();
    assert_eq!(store.leases().unwrap(), [lease]);
    for name in ["localhost/used:1", "localhost/gone:1"] {
        writer.untag(name).unwrap();
    }
    writer.blob(&descriptor(b"unfinished")).unwrap().unwrap().append(b"unfin").unwrap();
    let busy = format!(
        "{} is in use\nhint: an image is being pulled or imported; try again when that is done",
        store.path().display()
    );
    assert_eq!(store.prune().unwrap_err().to_string(), busy);
    drop(writer);

    let pruned = store.prune().unwrap();
    assert_eq!((pruned.blobs.len(), pruned.unfinished), (5, 1));
    assert_eq!(pruned.snapshots, [Digest::of(b"gone")]);
    assert!(store.has_snapshot(&Digest::of(b"kept")) && store.has_blob(&kept));
    assert!(store.has_snapshot(&used_layer) && store.has_snapshot(&beside) && store.has_blob(&used));

    store.writer().unwrap().return_lease(Path::new("/srv/web")).unwrap();
    let pruned = store.prune().unwrap();
    assert_eq!(pruned.blobs, [used.digest]);
    assert_eq!(HashSet::from_iter(pruned.snapshots), HashSet::from([used_layer, beside]));
    assert!(store.verify(|_| ()).unwrap().problems.is_empty());
}

#[test]
fn an_image_that_cannot_be_read_keeps_everything() {
    let scratch = Scratch::new("unreadable");
    let store = &scratch.0;
    let manifest = add_image(&store.writer().unwrap(), "localhost/a:1", b"layer");
    std::fs::remove_file(store.blob_path(&manifest.digest)).unwrap();
    let text = format!("image localhost/a:1: open {}: ENOENT", store.blob_path(&manifest.digest).display());
    assert_eq!(store.prune().unwrap_err().to_string(), text);
    assert!(store.has_blob(&descriptor(b"layer")));
}

#[test]
fn verify_tells_what_is_broken_and_what_is_missing() {
    let scratch = Scratch::new("verify");
    let store = &scratch.0;
    let writer = store.writer().unwrap();
    add_image(&writer, "localhost/a:1", b"first");
    add_image(&writer, "localhost/b:1", b"other");
    drop(writer);
    let (first, other) = (Digest::of(b"first"), Digest::of(b"other"));
    std::fs::write(store.blob_path(&first), b"fault").unwrap();
    std::fs::remove_file(store.blob_path(&other)).unwrap();
    let verified = store.verify(|_| ()).unwrap();
    let told: Vec<_> = verified.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            format!("blob {first}: its content has the digest {}", Digest::of(b"fault")),
            format!("image localhost/b:1: blob {other}: it is missing"),
        ]
    );
    assert_eq!(verified.blobs, 4);
    assert_eq!(store.discard(&verified.broken, &[]).unwrap(), []);
    assert!(!store.has_blob(&descriptor(b"first")));
}
