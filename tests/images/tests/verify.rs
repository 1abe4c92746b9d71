//! `masu image verify` of what is unpacked.
#![allow(clippy::unwrap_used, missing_docs)]

use masu_image_tests::{Fake, Image, Masu, Real, Reply, Security};
use std::fs::{File, FileTimes};
use std::path::PathBuf;
use std::time::Duration;

const REPAIR: &str = "masu image verify --repair removes what is broken, and masu image pull brings it again";

/// The chain ids of an image's layers, and where they are unpacked, the lowest first.
fn unpacked(masu: &Masu) -> Vec<(String, PathBuf)> {
    let (store, images) = (masu.store(), masu.store().images().unwrap());
    let manifest = store.read_manifest(&images.first().unwrap().descriptor).unwrap();
    let diff_ids = store.read_config(&manifest).unwrap().rootfs.diff_ids;
    let chain = masu_image::manifest::chain_ids(&diff_ids);
    chain.into_iter().map(|id| (id.to_string(), store.snapshot_path(&id))).collect()
}

/// Overwrites a file, whose size and times stay.
fn damage(path: &std::path::Path) {
    let modified = path.metadata().unwrap().modified().unwrap();
    let mut content = std::fs::read(path).unwrap();
    let last = content.last_mut().unwrap();
    *last = !*last;
    std::fs::write(path, content).unwrap();
    File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_times(FileTimes::new().set_modified(modified))
        .unwrap();
}

#[test]
fn an_unpacked_layer_that_is_damaged_is_told_and_made_anew() {
    let (masu, registry) = (Masu::new(), Real::start(Security::Plain));
    let pull = || masu.call(&["pull", "--insecure", "--quiet", &registry.name()]).good();
    pull();
    assert!(masu.call(&["verify"]).good().starts_with("3 blobs and 1 unpacked layers are right: "));
    let (id, path) = unpacked(&masu).remove(0);
    damage(&path.join("bin/busybox"));
    let outcome = masu.call(&["verify"]);
    let problem = format!(
        "image {}: unpacked layer {id}: bin/busybox: its content is not the layer's",
        registry.name()
    );
    assert_eq!(outcome.stdout.lines().next().unwrap(), problem);
    assert_eq!(outcome.bad(), format!("1 problem in the store\nhint: {REPAIR}"));
    let json: serde_json::Value =
        serde_json::from_str(&masu.call(&["verify", "--format", "json"]).stdout).unwrap();
    assert_eq!(json.get("problems").unwrap(), &serde_json::json!([problem]));
    assert_eq!(json.get("snapshots").unwrap(), 0);

    let repaired = masu.call(&["verify", "--quiet", "--repair"]).bad();
    assert_eq!(repaired, "1 problem in the store\nhint: masu image pull brings what was removed");
    assert!(!path.exists());
    pull();
    assert!(masu.call(&["verify"]).ok);
    assert!(masu.call(&["prune"]).good().starts_with("removed 0 blobs, 0 unpacked layers and 0 unfinished"));
}

#[test]
fn an_unpacked_layer_that_a_bundle_uses_is_not_removed_and_is_missed() {
    let (masu, registry) = (Masu::new(), Real::start(Security::Plain));
    masu.call(&["pull", "--insecure", "--quiet", &registry.name()]).good();
    let bundle = masu.scratch.path("bundle").display().to_string();
    masu.bundle(&["create", "--pull", "never", &registry.name(), &bundle]).good();
    let (id, path) = unpacked(&masu).remove(0);
    damage(&path.join("bin/busybox"));
    let message = masu.call(&["verify", "--quiet", "--repair"]).bad();
    let hint = format!(
        "the unpacked layer {id} is in use: masu bundle rm {bundle}, then masu image verify --repair"
    );
    assert_eq!(message, format!("1 problem in the store\nhint: {hint}"));
    std::fs::rename(&path, masu.scratch.path("gone")).unwrap();
    let outcome = masu.call(&["verify"]);
    let missing = format!("bundle {bundle}: unpacked layer {id}: it is missing");
    assert_eq!(outcome.stdout.lines().next().unwrap(), missing);
    masu.bundle(&["rm", &bundle]).good();
    // It is unpacked when somebody needs it.
    assert!(masu.call(&["verify"]).ok);
}

#[test]
fn a_layer_that_is_missing_below_another_is_told_and_the_other_is_still_looked_at() {
    let image = Image::new(&[10, 20]);
    let fake = Fake::of_image(&image, Reply::part);
    let masu = Masu::new();
    masu.call(&["pull", "--insecure", "--quiet", &fake.name()]).good();
    let [(below, lower), (_, upper)] = unpacked(&masu).try_into().unwrap();
    std::fs::remove_dir_all(lower).unwrap();
    std::fs::write(upper.join("d1/new"), "").unwrap();
    File::open(upper.join("d1"))
        .unwrap()
        .set_times(FileTimes::new().set_modified(std::time::UNIX_EPOCH + Duration::ZERO))
        .unwrap();
    let outcome = masu.call(&["verify"]);
    let place = format!("image {}: unpacked layer", fake.name());
    let expected = [
        format!("{place} {below}: it is missing, and layers above it are there"),
        format!("{place} {}: d1/new: the layer has no such file", unpacked(&masu)[1].0),
    ];
    assert_eq!(outcome.stdout.lines().take(2).collect::<Vec<_>>(), expected);
    outcome.bad();
}

#[test]
fn a_user_with_granted_ids_or_without_verifies_layers_too() {
    let (masu, registry) = (Masu::of_a_user(), Real::start(Security::Plain));
    masu.call(&["pull", "--insecure", "--quiet", &registry.name()]).good();
    assert!(masu.call(&["verify"]).good().starts_with("3 blobs and 1 unpacked layers are right: "));
    damage(&unpacked(&masu).remove(0).1.join("bin/busybox"));
    assert!(masu.call(&["verify"]).stdout.contains(": bin/busybox: its content is not the layer's\n"));
}
