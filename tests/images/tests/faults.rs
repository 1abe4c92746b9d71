//! A registry that breaks connections, lies, and sends people elsewhere.
#![allow(clippy::unwrap_used, missing_docs)]

use masu_image::{Algorithm, Digest};
use masu_image_tests::{Fake, Image, Masu, Reply, Request};
use std::sync::Arc;

fn pull(masu: &Masu, fake: &Fake) -> masu_image_tests::Outcome {
    masu.call(&["pull", "--insecure", &fake.name()])
}

/// Nothing of the image is known, and nothing that is wrong was kept.
fn is_clean(masu: &Masu, layer: &Digest) {
    assert_eq!(masu.store().images().unwrap(), []);
    assert!(!masu.store().blob_path(layer).exists());
    assert!(masu.call(&["verify"]).ok);
}

#[test]
fn a_connection_that_breaks_is_gone_on_with() {
    let image = Image::new(&[1000]);
    let fake = Fake::of_image(&image, |request, layer| {
        let reply = Reply::part(request, layer);
        if request.before < 3 { reply.cut_after(100_000) } else { reply }
    });
    let masu = Masu::new();
    let pulled = pull(&masu, &fake);
    assert!(pulled.stderr.contains("; trying again in "), "{}", pulled.stderr);
    assert_eq!(pulled.good(), format!("{} {}\n", fake.name(), image.digest()));
    let asked = fake.requests();
    let layer = format!("/v2/test/image/blobs/{}", image.layer(0));
    let ranges = asked.iter().filter(|request| request.path == layer).map(|request| request.header("range"));
    assert_eq!(
        ranges.collect::<Vec<_>>(),
        [None, Some("bytes=100000-"), Some("bytes=200000-"), Some("bytes=300000-")]
    );
    assert!(masu.call(&["verify"]).ok);
}

#[test]
fn a_server_without_ranges_is_asked_again_and_what_is_there_is_passed_over() {
    let image = Image::new(&[1000]);
    let fake = Fake::of_image(&image, |request, layer| {
        let reply = Reply::new(200, layer);
        if request.before == 0 { reply.cut_after(100_000) } else { reply }
    });
    let masu = Masu::new();
    pull(&masu, &fake).good();
    assert!(masu.call(&["verify"]).ok);
}

#[test]
fn a_connection_that_never_gets_on_is_given_up() {
    let image = Image::new(&[10]);
    let fake = Fake::of_image(&image, |_, layer| Reply::new(200, layer).cut_after(0));
    let (masu, digest) = (Masu::new(), image.layer(0));
    let message = pull(&masu, &fake).bad();
    let start = format!(
        "pull {}: layer {digest}: GET http://{}/v2/test/image/blobs/{digest}: ",
        fake.name(),
        fake.host
    );
    assert!(message.starts_with(&start), "{message}");
    assert_eq!(fake.count(&digest.to_string()), 5);
    is_clean(&masu, &digest);
}

/// What a registry does wrong with a layer, and what is said of it.
#[test]
fn what_is_wrong_with_a_blob_is_told_and_nothing_of_it_is_kept() {
    type Answer = fn(&Request, &[u8]) -> Reply;
    let image = Image::new(&[10]);
    let digest = image.layer(0);
    let mut wrong = image.layers[0].clone();
    wrong[600] = 1;
    let cases: [(Answer, String); 4] = [
        (
            |_, layer| {
                let mut wrong = layer.to_vec();
                wrong[600] = 1;
                Reply::new(200, wrong)
            },
            format!("blob {digest}: what arrived has the digest {}", Digest::of(&wrong)),
        ),
        (
            |_, layer| Reply::new(200, [layer, b"more"].concat()),
            format!("blob {digest}: the server has 6660 bytes of it, not 6656"),
        ),
        (
            |_, layer| Reply::new(200, &layer[..100]),
            format!("blob {digest}: the server has 100 bytes of it, not 6656"),
        ),
        (
            |_, layer| Reply::new(206, layer).with("Content-Range", "bytes 7-6655/6656"),
            format!("blob {digest}: asked for the bytes from 0, got \"bytes 7-6655/6656\""),
        ),
    ];
    for (answer, problem) in cases {
        let (fake, masu) = (Fake::of_image(&image, answer), Masu::new());
        assert_eq!(pull(&masu, &fake).bad(), format!("pull {}: layer {digest}: {problem}", fake.name()));
        is_clean(&masu, &digest);
    }
}

#[test]
fn a_layer_that_is_not_what_the_configuration_says_is_not_unpacked() {
    let (layers, other) = (Image::new(&[10]).layers, Digest::of(b"other"));
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [other] },
    });
    let image = Image::of(layers, config.to_string().into_bytes());
    let (fake, masu, digest) = (Fake::of_image(&image, Reply::part), Masu::new(), image.layer(0));
    assert_eq!(
        pull(&masu, &fake).bad(),
        format!(
            "pull {}: layer {digest}: archive: unpacked it has the digest {digest}, not {other}",
            fake.name()
        )
    );
    assert_eq!(masu.store().images().unwrap(), []);
    assert!(!masu.store().has_snapshot(&other));
}

#[test]
fn a_server_in_trouble_is_asked_again_and_one_that_says_no_is_not() {
    let image = Image::new(&[10]);
    let fake = Fake::of_image(&image, |request, layer| match request.before {
        0 => Reply::new(500, ""),
        1 => Reply::new(429, "").with("Retry-After", "1"),
        2 => Reply::new(503, ""),
        _ => Reply::part(request, layer),
    });
    let start = std::time::Instant::now();
    pull(&Masu::new(), &fake).good();
    assert!(start.elapsed().as_millis() >= 1000);

    let refused = r#"{"errors":[{"code":"DENIED","message":"not for you"}]}"#;
    let (fake, masu) = (Fake::of_image(&image, move |_, _| Reply::new(403, refused)), Masu::new());
    let digest = image.layer(0);
    assert_eq!(
        pull(&masu, &fake).bad(),
        format!(
            "pull {name}: layer {digest}: GET http://{host}/v2/test/image/blobs/{digest}: the answer is 403: not for \
             you (DENIED)\nhint: masu image login {host}",
            name = fake.name(),
            host = fake.host
        )
    );
    assert_eq!(fake.count(&digest.to_string()), 1);
    is_clean(&masu, &digest);
}

#[test]
fn a_manifest_is_of_the_kind_that_it_was_announced_as() {
    let cases = [
        (
            r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#,
            "application/vnd.oci.image.manifest.v1+json",
            "it is an index and a manifest at once (CVE-2021-41190)",
        ),
        (
            r#"{"schemaVersion":2,"manifests":[]}"#,
            "application/vnd.oci.image.manifest.v1+json",
            "announced as application/vnd.oci.image.manifest.v1+json, but its fields are those of an index",
        ),
        ("<html>", "text/html", "expected value at line 1 column 1"),
    ];
    for (manifest, media_type, problem) in cases {
        let fake = Fake::start(move |_, _| Reply::new(200, manifest).with("Content-Type", media_type));
        assert_eq!(pull(&Masu::new(), &fake).bad(), format!("pull {}: manifest 1: {problem}", fake.name()));
    }
}

#[test]
fn a_manifest_that_was_asked_for_by_digest_has_that_digest() {
    let image = Image::new(&[10]);
    let fake = Fake::of_image(&image, Reply::part);
    let other = Digest::of(b"other");
    let name = format!("{}/test/image@{other}", fake.host);
    assert_eq!(
        Masu::new().call(&["pull", "--insecure", &name]).bad(),
        format!("pull {name}: manifest {other}: what arrived has the digest {}", image.digest())
    );
}

#[test]
fn credentials_do_not_follow_a_redirect_to_another_host() {
    let image = Arc::new(Image::new(&[10]));
    let content = Arc::clone(&image);
    let elsewhere = Fake::start(move |_, request| Reply::part(request, &content.layers[0]));
    let (other, own) = (elsewhere.host.clone(), Arc::clone(&image));
    let fake = Fake::start(move |_, request| {
        if request.header("authorization") != Some("Basic dXNlcjpzZWNyZXQ=") {
            return Reply::new(401, "").with("WWW-Authenticate", "Basic realm=\"test\"");
        }
        own.answer(request, &|_: &Request, _: &[u8]| {
            Reply::new(307, "").with("Location", format!("http://{other}/blob?signature=x"))
        })
    });
    let masu = Masu::new();
    masu.call(&["pull", "--insecure", "--creds", "user:secret", &fake.name()]).good();
    let seen = elsewhere.requests();
    let blob = seen.iter().find(|request| request.path == "/blob?signature=x").unwrap();
    assert_eq!(blob.header("authorization"), None);
    assert!(seen.iter().all(|request| request.header("authorization").is_none()));
}

#[test]
fn the_addresses_of_a_foreign_layer_are_not_followed() {
    let elsewhere = Fake::of_image(&Image::new(&[10]), Reply::part);
    let mut image = Image::new(&[10]);
    let mut manifest: serde_json::Value = serde_json::from_slice(&image.manifest).unwrap();
    let layer = manifest.pointer_mut("/layers/0").unwrap();
    *layer.get_mut("mediaType").unwrap() = "application/vnd.oci.image.layer.nondistributable.v1.tar".into();
    let urls = serde_json::json!([format!("http://{}/v2/blob", elsewhere.host)]);
    layer.as_object_mut().unwrap().insert("urls".to_owned(), urls);
    image.manifest = manifest.to_string().into_bytes();
    let unknown = r#"{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown"}]}"#;
    let fake = Fake::of_image(&image, move |_, _| Reply::new(404, unknown));
    let message = pull(&Masu::new(), &fake).bad();
    assert!(message.ends_with(": the answer is 404: blob unknown (BLOB_UNKNOWN)"), "{message}");
    assert_eq!(elsewhere.requests().len(), 0);
}

#[test]
fn a_layer_that_is_called_by_its_sha512_is_compared_with_that() {
    let layer = Image::new(&[10]).layers.remove(0);
    let digest = Algorithm::Sha512.digest(&layer);
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [digest] },
    });
    let mut image = Image::of(vec![layer.clone()], config.to_string().into_bytes());
    let manifest = String::from_utf8(image.manifest).unwrap();
    image.manifest = manifest.replace(&Digest::of(&layer).to_string(), &digest.to_string()).into_bytes();
    let served = |content: Vec<u8>| {
        let (image, name) = (image.clone(), digest.to_string());
        Fake::start(move |_, request| match request.path.ends_with(&name) {
            true => Reply::part(request, &content),
            false => image.answer(request, &Reply::part),
        })
    };
    let masu = Masu::new();
    pull(&masu, &served(layer.clone())).good();
    assert!(masu.store().blob_path(&digest).ends_with(format!("blobs/sha512/{}", digest.hex())));
    assert!(masu.call(&["verify"]).good().starts_with("3 blobs and 1 unpacked layers are right"));
    let mut wrong = layer;
    *wrong.last_mut().unwrap() = 1;
    let actual = Algorithm::Sha512.digest(&wrong);
    let message = pull(&Masu::new(), &served(wrong)).bad();
    assert!(message.ends_with(&format!("blob {digest}: what arrived has the digest {actual}")), "{message}");
}

#[test]
fn another_host_that_asks_who_the_user_is_gets_no_answer() {
    let image = Image::new(&[10]);
    let elsewhere = Fake::start(|_, _| Reply::new(401, "").with("WWW-Authenticate", "Basic realm=\"mine\""));
    let other = elsewhere.host.clone();
    let fake = Fake::of_image(&image, move |_, _| {
        Reply::new(307, "").with("Location", format!("http://{other}/blob"))
    });
    let masu = Masu::new();
    let message = masu.call(&["pull", "--insecure", "--creds", "user:secret", &fake.name()]).bad();
    assert!(message.contains("the answer is 401"), "{message}");
    assert!(elsewhere.requests().iter().all(|request| request.header("authorization").is_none()));
}

#[test]
fn docker_io_is_reached_through_a_mirror_with_a_token_server() {
    let image = Image::new(&[10, 20]);
    let served = image.clone();
    let fake = Fake::start(move |host, request| {
        if request.path.starts_with("/token") {
            return Reply::new(200, r#"{"access_token":"good"}"#);
        }
        if request.header("authorization") != Some("Bearer good") {
            let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"registry.docker.io\"");
            return Reply::new(401, "").with("WWW-Authenticate", challenge);
        }
        served.answer(request, &Reply::part)
    });
    let masu = Masu::new();
    let conf = format!(
        "[[registry]]\nlocation = \"docker.io\"\n[[registry.mirror]]\nlocation = \"{}\"\ninsecure = true\n",
        fake.host
    );
    std::fs::write(masu.scratch.path("registries.conf"), conf).unwrap();
    let pulled = masu.call(&["pull", "busybox"]).good();
    assert_eq!(pulled, format!("docker.io/library/busybox:latest {}\n", image.digest()));
    let scope = "/token?service=registry.docker.io&scope=repository%3Alibrary%2Fbusybox%3Apull";
    assert_eq!((fake.count(scope), fake.count("/v2/library/busybox/manifests/latest")), (1, 2));
}

#[test]
fn a_token_that_is_no_longer_good_is_exchanged_for_another() {
    let image = Image::new(&[10]);
    let valid = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let fake = Fake::start(move |host, request| {
        use std::sync::atomic::Ordering::Relaxed;
        if request.path.starts_with("/token") {
            return match request.header("authorization") {
                Some("Basic dXNlcjpzZWNyZXQ=") => {
                    Reply::new(200, format!(r#"{{"token":"t{}"}}"#, valid.load(Relaxed)))
                }
                _ => Reply::new(401, ""),
            };
        }
        if request.header("authorization") != Some(&format!("Bearer t{}", valid.load(Relaxed))) {
            let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"masu tests\"");
            return Reply::new(401, "").with("WWW-Authenticate", challenge);
        }
        // Good for one request.
        valid.fetch_add(1, Relaxed);
        image.answer(request, &Reply::part)
    });
    let masu = Masu::new();
    masu.call(&["pull", "--insecure", "--creds", "user:secret", &fake.name()]).good();
    // The manifest, the configuration, the layer.
    assert_eq!(fake.count("/token"), 3);
}

#[test]
fn an_index_has_a_manifest_for_this_machine_or_says_for_which() {
    let image = Image::new(&[10]);
    let served = image.clone();
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": image.digest(), "size": image.manifest.len(),
        "platform": { "os": "linux", "architecture": "amd64" },
    }]});
    let (oci, docker) = ("oci.image.index.v1+json", "docker.distribution.manifest.list.v2+json");
    for media_type in [oci, docker].map(|name| format!("application/vnd.{name}")) {
        let (served, index) = (served.clone(), index.to_string());
        let fake = Fake::start(move |_, request| match request.path.ends_with("/manifests/1") {
            true => Reply::new(200, index.clone()).with("Content-Type", &media_type),
            false => served.answer(request, &Reply::part),
        });
        let masu = Masu::new();
        let get = |platform| masu.call(&["pull", "--insecure", "--platform", platform, &fake.name()]);
        assert_eq!(get("linux/amd64").good(), format!("{} {}\n", fake.name(), image.digest()));
        assert_eq!(
            get("linux/riscv64").bad(),
            format!("pull {}: no image for linux/riscv64; available: linux/amd64", fake.name())
        );
    }
}
