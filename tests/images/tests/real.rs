//! Pulls from Debian's registry.
#![allow(clippy::unwrap_used, missing_docs)]

use masu_image_tests::{Fake, Image, Masu, Real, Reply, Security, run};
use std::time::Duration;

#[test]
fn an_image_is_pulled_and_listed_under_the_digest_that_skopeo_tells() {
    let (masu, registry) = (Masu::new(), Real::start(Security::Plain));
    let inspected =
        run("skopeo", &["inspect", "--tls-verify=false", &format!("docker://{}", registry.name())]);
    let inspected: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    let digest = inspected.get("Digest").unwrap().as_str().unwrap();

    let pulled = masu.call(&["pull", "--insecure", &registry.name()]);
    assert!(pulled.stderr.starts_with("layer 1 of 1, "), "{}", pulled.stderr);
    assert_eq!(pulled.good(), format!("{} {digest}\n", registry.name()));

    let listed: serde_json::Value =
        serde_json::from_str(&masu.call(&["ls", "--format", "json"]).good()).unwrap();
    let row = listed.get(0).unwrap();
    assert_eq!(
        (row.get("name").unwrap(), row.get("digest").unwrap()),
        (&registry.name().into(), &digest.into())
    );
    assert_eq!(masu.call(&["ls", "--quiet"]).good(), format!("{digest}\n"));
    assert!(masu.call(&["inspect", &registry.name()]).good().contains("command        [\"/bin/sh\"]\n"));
    assert!(masu.call(&["history", &digest[7..15]]).good().contains("umoci repack"));
    // It is unpacked: the lowest layer's chain id is its diff id.
    let (store, images) = (masu.store(), masu.store().images().unwrap());
    let manifest = store.read_manifest(&images[0].descriptor).unwrap();
    let layer = &store.read_config(&manifest).unwrap().rootfs.diff_ids[0];
    let unpacked = store.snapshot_path(layer).join("bin/busybox");
    assert_eq!(std::fs::read(unpacked).unwrap(), std::fs::read("/bin/busybox").unwrap());
    // Others can read it.
    let layout = format!("oci:{}:{}", masu.scratch.path("store").display(), registry.name());
    assert!(run("skopeo", &["inspect", &layout]).contains("amd64"));
}

#[test]
fn names_are_given_and_taken_and_what_has_none_is_pruned() {
    let (masu, registry) = (Masu::new(), Real::start(Security::Plain));
    masu.call(&["pull", "--insecure", "--quiet", &registry.name()]).good();
    assert_eq!(masu.call(&["tag", &registry.name(), "box:new"]).good(), "docker.io/library/box:new\n");
    masu.call(&["rm", &registry.name()]).good();
    assert!(masu.call(&["prune"]).good().starts_with("removed 0 blobs"));
    assert_eq!(masu.call(&["pull", "--pull", "missing", "box:new"]).good().matches("sha256:").count(), 1);
    masu.call(&["rm", "box:new"]).good();
    assert!(masu.call(&["prune"]).good().starts_with("removed 3 blobs"));
    assert_eq!(masu.call(&["ls"]).good(), "NAME  DIGEST  PLATFORM  CREATED  SIZE\n");
    let missing = format!("no image docker.io/library/box:new in {}", masu.scratch.path("store").display());
    let hint = "hint: masu image pull box:new, or masu image ls";
    assert_eq!(masu.call(&["pull", "--pull", "never", "box:new"]).bad(), format!("{missing}\n{hint}"));
}

#[test]
fn an_image_in_dockers_format_is_pulled_and_shares_its_layer() {
    let (masu, registry) = (Masu::new(), Real::start(Security::Plain));
    masu.call(&["pull", "--insecure", &registry.name()]).good();
    let docker = format!("{}/test/busybox:docker", registry.host);
    masu.call(&["pull", "--insecure", &docker]).good();
    let blobs = std::fs::read_dir(masu.scratch.path("store/blobs/sha256")).unwrap().count();
    // One layer, two manifests, and one configuration or two.
    assert!((4..=5).contains(&blobs), "{blobs}");
    assert!(masu.call(&["verify"]).good().contains("blobs and 1 unpacked layers are right"));
}

#[test]
fn a_certificate_is_verified_unless_nobody_cares() {
    let (masu, registry) = (Masu::new(), Real::start(Security::Tls));
    let url = format!("https://{}/v2/test/busybox/manifests/1", registry.host);
    assert_eq!(
        masu.call(&["pull", &registry.name()]).bad(),
        format!(
            "pull {}: GET {url}: invalid peer certificate: UnknownIssuer\nhint: --cert-dir DIR with the certificate of \
             its authority, a file *.crt; --insecure trusts anybody",
            registry.name()
        )
    );
    let certificates = registry.certificates().display().to_string();
    masu.call(&["pull", "--cert-dir", &certificates, &registry.name()]).good();
    masu.call(&["pull", "--insecure", &registry.name()]).good();
}

#[test]
fn who_the_user_is_comes_from_an_option_or_from_login() {
    let (masu, registry) = (Masu::new(), Real::start(Security::Password));
    let (host, name, certificates) =
        (registry.host.as_str(), registry.name(), registry.certificates().display().to_string());
    let pull = |more: &[&str]| masu.call(&[&["pull", "--cert-dir", &certificates], more, &[&name]].concat());
    let refused = pull(&[]).bad();
    let url = format!("https://{host}/v2/test/busybox/manifests/1");
    assert_eq!(
        refused,
        format!(
            "pull {name}: GET {url}: the answer is 401: credentials are needed\nhint: masu image login {host}"
        )
    );
    assert!(pull(&["--creds", "user:wrong"]).bad().contains("the answer is 401"));
    pull(&["--creds", "user:secret"]).good();

    let login = |creds: &str| masu.call(&["login", "--cert-dir", &certificates, "--creds", creds, host]);
    assert!(login("user:wrong").bad().contains("the answer is 401"));
    assert!(login("user:secret").good().starts_with(&format!("{host} knows you; kept in ")));
    pull(&[]).good();
    assert_eq!(masu.call(&["logout", host]).good(), format!("forgot who you are to {host}\n"));
    assert!(pull(&[]).bad().contains("the answer is 401"));
}

#[test]
fn a_terminal_shows_a_bar_with_rate_and_time_left_for_each_layer() {
    let image = Image::new(&[400, 200]);
    let fake = Fake::of_image(&image, |request, layer| {
        let mut reply = Reply::part(request, layer);
        reply.pause = Duration::from_millis(700);
        reply
    });
    let masu = Masu::new();
    let shown = masu.call_on_a_terminal(&["pull", "--insecure", &fake.name()]);
    // From the name of each layer on; half of a layer has arrived, and the other half takes its time.
    for (number, half, total) in [(0, "100.75 KiB", "201.50 KiB"), (1, "50.75 KiB", "101.50 KiB")] {
        let layer = image.layer(number);
        let mut bars = shown.split(layer.short()).map(|rest| rest.chars().take(86).collect::<String>());
        let bar = bars.find(|bar| bar.contains(&format!("{half:>10} of {total:>10} "))).unwrap();
        assert!(bar.starts_with(" downloading ━━━━━━━━━━━━╸ "), "{bar:?}");
        assert!(bar.contains("iB/s   ") && bar.trim_end().ends_with('s'), "{bar:?}");
    }
    let quiet = Masu::new().call_on_a_terminal(&["pull", "--insecure", "--quiet", &fake.name()]);
    assert_eq!(quiet, format!("{}\r\n", image.digest()));
}
