//! Kills, crowds, full disks.
#![allow(clippy::unwrap_used, missing_docs)]

use masu_image_tests::{Fake, Image, Masu, Reply, run};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

/// Waits for something that a process does.
fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_pull_that_the_user_interrupts_is_gone_on_with_by_the_next_one() {
    // The lower layer is unpacked by then, half of the upper one is there.
    let image = Image::new(&[10, 4000]);
    let upper = image.layer(1).to_string();
    let fake = Fake::of_image(&image, move |request, layer| {
        let mut reply = Reply::part(request, layer);
        if request.before == 0 && request.path.ends_with(&upper) {
            reply.pause = Duration::from_secs(10);
        }
        reply
    });
    let masu = Masu::new();
    let child = masu.start(&["pull", "--insecure", &fake.name()]);
    let partial = masu.scratch.path("store/partial").join(format!("sha256-{}", image.layer(1).hex()));
    let half = u64::try_from(image.layers[1].len() / 2).unwrap();
    wait("half of the layer", || partial.metadata().is_ok_and(|metadata| metadata.len() >= half));
    wait("the lower layer", || masu.store().has_snapshot(&image.layer(0)));
    run("sh", &["-c", &format!("kill -INT {}", child.id())]);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));

    assert!(masu.call(&["verify"]).ok);
    let pulled = masu.call(&["pull", "--insecure", &fake.name()]);
    assert!(pulled.ok, "{}", pulled.stderr);
    let asked = fake.requests();
    let of_layer = |number| {
        let digest = image.layer(number).to_string();
        asked.iter().filter(move |request| request.path.ends_with(&digest))
    };
    assert_eq!(of_layer(0).count(), 1);
    let ranges: Vec<_> = of_layer(1).map(|request| request.header("range")).collect();
    assert_eq!(ranges, [None, Some(format!("bytes={half}-").as_str())]);
    assert!(
        masu.call(&["prune"]).good().starts_with("removed 0 blobs, 0 unpacked layers and 0 unfinished ones")
    );
}

#[test]
fn a_pull_that_is_killed_is_gone_on_with_by_the_next_one() {
    let image = Image::new(&[4000]);
    let fake = Fake::of_image(&image, |request, layer| {
        let mut reply = Reply::part(request, layer);
        if request.before == 0 {
            reply.pause = Duration::from_secs(10);
        }
        reply
    });
    let masu = Masu::new();
    let mut child = masu.start(&["pull", "--insecure", &fake.name()]);
    let partial = masu.scratch.path("store/partial").join(format!("sha256-{}", image.layer(0).hex()));
    let half = u64::try_from(image.layers[0].len() / 2).unwrap();
    wait("half of the layer", || partial.metadata().is_ok_and(|metadata| metadata.len() >= half));
    let busy = masu.call(&["prune"]).bad();
    assert!(
        busy.ends_with("in use\nhint: an image is being pulled or imported; try again when that is done"),
        "{busy}"
    );
    child.kill().unwrap();
    child.wait().unwrap();

    assert_eq!(masu.store().images().unwrap(), []);
    masu.call(&["pull", "--insecure", &fake.name()]).good();
    let range = format!("bytes={half}-");
    assert_eq!(fake.requests().last().unwrap().header("range"), Some(range.as_str()));
    assert!(!partial.exists());
    assert!(masu.call(&["verify"]).ok);
    assert!(masu.call(&["prune"]).good().starts_with("removed 0 blobs"));
}

#[test]
fn a_kill_at_any_point_leaves_a_store_that_the_next_pull_completes() {
    let image = Image::new(&[300, 300, 300, 300]);
    let fake = Fake::of_image(&image, Reply::part);
    let masu = Masu::new();
    // From before the first file to after the last; the last of them may have come through.
    for delay in [0, 2, 5, 8, 12, 16, 20, 25, 30, 40] {
        let mut child = masu.start(&["pull", "--insecure", &fake.name()]);
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        child.wait().unwrap();
        for known in masu.store().images().unwrap() {
            assert_eq!(known.descriptor.digest, image.digest());
        }
        if masu.scratch.path("store").exists() {
            assert!(masu.call(&["verify"]).ok);
        }
    }
    masu.call(&["pull", "--insecure", &fake.name()]).good();
    assert!(masu.call(&["verify"]).good().starts_with("6 blobs and 4 unpacked layers are right"));
    assert!(masu.call(&["prune"]).good().starts_with("removed 0 blobs"));
}

#[test]
fn a_prune_that_is_killed_leaves_no_half_of_a_layer() {
    let masu = Masu::new();
    let (root, bundle) = (masu.scratch.path("root"), masu.scratch.path("bundle").display().to_string());
    std::fs::create_dir(&root).unwrap();
    (0..5000).for_each(|number| std::fs::write(root.join(number.to_string()), "").unwrap());
    masu.call(&["import", &format!("rootfs:{}", root.display()), "many:1"]).good();
    masu.bundle(&["create", "many:1", &bundle, "--pull", "never"]).good();
    let layers = masu.scratch.path("store/snapshots/sha256");
    let path = std::fs::read_dir(layers).unwrap().next().unwrap().unwrap().path();
    masu.bundle(&["rm", &bundle]).good();
    masu.call(&["rm", "many:1"]).good();
    let mut child = masu.start(&["prune"]);
    let entries = || std::fs::read_dir(&path).map_or(0, Iterator::count);
    while entries() == 5000 {}
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(entries(), 0);
}

#[test]
fn pulls_at_once_fetch_a_layer_once() {
    let image = Image::new(&[2000, 1000]);
    let fake = Fake::of_image(&image, |request, layer| {
        let mut reply = Reply::part(request, layer);
        reply.pause = Duration::from_millis(300);
        reply
    });
    let masu = Masu::new();
    let children: Vec<_> = (0..4).map(|_| masu.start(&["pull", "--insecure", &fake.name()])).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    for layer in 0..2 {
        assert_eq!(fake.count(&image.layer(layer).to_string()), 1);
    }
    assert!(masu.call(&["verify"]).ok);
}

#[test]
fn another_image_costs_only_the_layers_that_it_does_not_share() {
    let image = Image::new(&[10, 20]);
    let fake = Fake::of_image(&image, Reply::part);
    let masu = Masu::new();
    for repository in ["one", "two"] {
        masu.call(&["pull", "--insecure", &format!("{}/{repository}:1", fake.host)]).good();
    }
    assert_eq!(masu.store().images().unwrap().len(), 2);
    assert_eq!(fake.count(&image.layer(0).to_string()), 1);
}

#[test]
fn a_full_disk_is_told_with_image_and_layer() {
    let image = Image::new(&[8000]);
    let fake = Fake::of_image(&image, Reply::part);
    let masu = Masu::new();
    std::fs::create_dir(masu.scratch.path("store")).unwrap();
    let mount = "mount -t tmpfs -o size=1m none \"$STORE\"";
    let message = masu.call_after(mount, &["pull", "--insecure", &fake.name()]).bad();
    let (layer, store) = (image.layer(0), masu.scratch.path("store"));
    assert_eq!(
        message,
        format!(
            "pull {}: layer {layer}: write {}/partial/sha256-{}: ENOSPC",
            fake.name(),
            store.display(),
            layer.hex()
        )
    );
}

#[test]
fn a_store_that_cannot_be_written_can_be_read() {
    let image = Image::new(&[10]);
    let fake = Fake::of_image(&image, Reply::part);
    let masu = Masu::new();
    masu.call(&["pull", "--insecure", &fake.name()]).good();
    let mount = "mount --bind \"$STORE\" \"$STORE\"; mount -o remount,bind,ro \"$STORE\"";
    assert_eq!(masu.call_after(mount, &["ls", "--quiet"]).good(), format!("{}\n", image.digest()));
    let message = masu.call_after(mount, &["pull", "--insecure", &fake.name()]).bad();
    assert!(message.ends_with(": EROFS"), "{message}");
}

#[test]
fn a_store_of_another_user_is_refused_by_name() {
    let masu = Masu::new();
    let own = std::fs::metadata("/proc/self").unwrap().uid();
    // Only root can give a store away; to all others this is root's.
    let (store, owner) = if own == 0 { (masu.scratch.path("store"), 12345) } else { ("/".into(), 0) };
    if own == 0 {
        std::fs::create_dir(&store).unwrap();
        std::os::unix::fs::chown(&store, Some(owner), None).unwrap();
    }
    let store = store.display().to_string();
    let expected = format!(
        "the store {store} belongs to uid {owner}, and you are uid {own}\nhint: each user has a store of their own; \
         --store or $MASU_STORE names it"
    );
    for words in [["ls", "--store", &store], ["prune", "--store", &store]] {
        assert_eq!(masu.call(&words).bad(), expected);
    }
}
