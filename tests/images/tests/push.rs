//! Pushes to Debian's registry, and to one that misbehaves.
#![allow(clippy::unwrap_used, missing_docs)]

use masu_image_tests::{Fake, Image, Masu, Real, Reply, Request, Security, run};

/// A store with an image in it, which is called `test/image:1` on a registry.
fn with_image(image: &Image) -> (Masu, String) {
    let (masu, fake) = (Masu::new(), Fake::of_image(image, Reply::part));
    masu.call(&["pull", "--insecure", "--quiet", &fake.name()]).good();
    let name = fake.name();
    (masu, name)
}

fn digest_in(name: &str) -> String {
    let inspected =
        run("skopeo", &["inspect", "--no-tags", "--tls-verify=false", &format!("docker://{name}")]);
    let inspected: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    inspected.get("Digest").unwrap().as_str().unwrap().to_owned()
}

#[test]
fn an_image_is_sent_and_fetched_by_others_and_what_is_there_is_not_sent_again() {
    let image = Image::new(&[10, 5000]);
    let ((masu, name), registry) = (with_image(&image), Real::start(Security::Plain));
    let target = format!("{}/a/image:2", registry.host);
    let push = |words: &[&str]| masu.call(&[&["push", "--insecure"], words].concat());
    let sent = push(&[&name, &target]);
    assert_eq!(sent.stderr.matches(": pushed\n").count(), 2, "{}", sent.stderr);
    assert_eq!(sent.good(), format!("{target} {}\n", image.digest()));
    assert_eq!(digest_in(&target), image.digest().to_string());
    let other = Masu::new();
    other.call(&["pull", "--insecure", &target]).good();
    assert!(other.call(&["verify"]).ok);

    let again = push(&["--format", "json", &name, &target]);
    assert_eq!(again.stderr.matches(": there\n").count(), 2, "{}", again.stderr);
    let told: serde_json::Value = serde_json::from_str(&again.good()).unwrap();
    assert_eq!(told.get("name").unwrap(), &target.as_str());

    // What the store knows to be elsewhere in the registry is taken over from there. Its own name says where to.
    masu.call(&["tag", &name, &target]).good();
    let second = format!("{}/b/image:1", registry.host);
    masu.call(&["tag", &name, &second]).good();
    let mounted = push(&[&second]);
    assert_eq!(mounted.stderr.matches(": mounted\n").count(), 2, "{}", mounted.stderr);
    assert_eq!(digest_in(&second), image.digest().to_string());
    let quiet = push(&["--quiet", &second]);
    assert_eq!(
        (quiet.stderr.as_str(), quiet.stdout.as_str()),
        ("", format!("{}\n", image.digest()).as_str())
    );

    let by_digest = format!("{}/c/image@{}", registry.host, image.digest());
    push(&[&name, &by_digest]).good();
    assert_eq!(digest_in(&by_digest), image.digest().to_string());
    let wrong = format!("{}/c/image@{}", registry.host, image.layer(0));
    let refused = push(&[&name, &wrong]).bad();
    assert_eq!(refused, format!("push {wrong}: image {name}: it has the digest {}", image.digest()));
}

#[test]
fn an_image_in_dockers_format_stays_what_it_is() {
    let (masu, registry) = (Masu::new(), Real::start(Security::Plain));
    let docker = format!("{}/test/busybox:docker", registry.host);
    masu.call(&["pull", "--insecure", &docker]).good();
    let target = format!("{}/other/busybox:1", registry.host);
    masu.call(&["push", "--insecure", &docker, &target]).good();
    assert_eq!(digest_in(&target), digest_in(&docker));
}

#[test]
fn a_registry_that_asks_who_is_there_takes_an_image_from_its_users_alone() {
    let ((masu, name), registry) = (with_image(&Image::new(&[10])), Real::start(Security::Password));
    let target = format!("{}/a/image:1", registry.host);
    let certificates = registry.certificates().display().to_string();
    let push = |more: &[&str]| {
        masu.call(&[&["push", "--cert-dir", &certificates], more, &[&name, &target]].concat())
    };
    let refused = push(&[]).bad();
    let expected =
        format!("the answer is 401: credentials are needed\nhint: masu image login {}", registry.host);
    assert!(
        refused.starts_with(&format!("push {target}: layer ")) && refused.ends_with(&expected),
        "{refused}"
    );
    assert!(push(&["--creds", "user:wrong"]).bad().contains("the answer is 401"));
    push(&["--creds", "user:secret"]).good();
}

/// A registry that takes what is pushed, but for what `upload` answers.
fn taking(upload: impl Fn(&str, &Request) -> Option<Reply> + Send + Sync + 'static) -> Fake {
    Fake::start(move |host, request| {
        upload(host, request).unwrap_or_else(|| match request.method.as_str() {
            "HEAD" => Reply::new(404, ""),
            "GET" => Reply::new(404, ""),
            "PUT" => Reply::new(201, ""),
            _ => Reply::new(202, "").with("Location", "/v2/test/image/blobs/uploads/1?state=x"),
        })
    })
}

#[test]
fn an_upload_that_breaks_is_gone_on_with_where_the_registry_says() {
    let image = Image::new(&[1000]);
    let fake = taking(|_, request| match (request.method.as_str(), request.header("content-range")) {
        // The configuration is small.
        ("PATCH", None) if request.body.len() > 100_000 => Some(Reply::new(0, "")),
        ("GET", _) => Some(Reply::new(204, "").with("Range", "0-99999")),
        _ => None,
    });
    let (masu, name) = with_image(&image);
    let pushed = masu.call(&["push", "--insecure", &name, &fake.name()]);
    assert!(pushed.stderr.contains("; trying again in "), "{}", pushed.stderr);
    pushed.good();
    let layer = &image.layers[0];
    let rest = fake.requests().into_iter().find(|request| request.header("content-range").is_some()).unwrap();
    assert_eq!(rest.header("content-range").unwrap(), format!("100000-{}", layer.len() - 1));
    assert_eq!(rest.body, layer[100_000..]);
    let end = format!("/v2/test/image/blobs/uploads/1?state=x&digest={}", image.layer(0));
    assert!(fake.requests().iter().any(|request| request.method == "PUT" && request.path == end));
    let last = fake.requests().pop().unwrap();
    assert_eq!((last.path.as_str(), &last.body), ("/v2/test/image/manifests/1", &image.manifest));
}

#[test]
fn credentials_do_not_follow_an_upload_to_another_host() {
    let elsewhere = taking(|_, _| None);
    let other = format!("http://{}/upload", elsewhere.host);
    let fake = taking(move |_, request| match request.header("authorization") {
        None => Some(Reply::new(401, "").with("WWW-Authenticate", "Basic realm=\"x\"")),
        Some(_) if request.method == "POST" => Some(Reply::new(202, "").with("Location", other.clone())),
        Some(_) => None,
    });
    let (masu, name) = with_image(&Image::new(&[10]));
    masu.call(&["push", "--insecure", "--creds", "user:secret", &name, &fake.name()]).good();
    let seen = elsewhere.requests();
    assert!(seen.iter().any(|request| request.method == "PATCH"), "{seen:?}");
    assert!(seen.iter().all(|request| request.header("authorization").is_none()), "{seen:?}");
}

#[test]
fn a_token_is_asked_for_to_push_with() {
    let fake = taking(|host, request| {
        if request.path.starts_with("/token") {
            return Some(Reply::new(200, r#"{"token":"t"}"#));
        }
        let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"s\"");
        let known = request.header("authorization") == Some("Bearer t");
        (!known).then(|| Reply::new(401, "").with("WWW-Authenticate", challenge))
    });
    let (masu, name) = with_image(&Image::new(&[10]));
    masu.call(&["push", "--insecure", &name, &fake.name()]).good();
    assert!(fake.count("scope=repository%3Atest%2Fimage%3Apull%2Cpush") > 0, "{:?}", fake.requests());
}

#[test]
fn a_layer_is_taken_over_from_another_repository_where_a_token_is_good_for_both() {
    let (masu, registry) = (Masu::new(), Real::start(Security::Token));
    let call = |words: &[&str], who: &str| masu.call(&[words, &["--insecure", "--creds", who]].concat());
    call(&["pull", &registry.name()], "user:secret").good();
    let own = format!("{}/own/busybox:1", registry.host);
    let mounted = call(&["push", &registry.name(), &own], "user:secret");
    assert_eq!(mounted.stderr.matches(": mounted\n").count(), 1, "{}", mounted.stderr);
    mounted.good();
    // The registry names repositories and actions in an order of its own, another one each time.
    let asked = registry.scopes();
    let both = |scopes: &String| {
        let has = |own: &str| scopes.split(' ').any(|scope| scope == own);
        (has("repository:own/busybox:pull,push") || has("repository:own/busybox:push,pull"))
            && has("repository:test/busybox:pull")
    };
    assert!(asked.iter().any(both), "{asked:?}");

    // Who may not read the other repository sends what is in the store.
    let theirs = format!("{}/guest/busybox:1", registry.host);
    let sent = call(&["push", &registry.name(), &theirs], "guest:secret");
    assert_eq!(sent.stderr.matches(": pushed\n").count(), 1, "{}", sent.stderr);
    sent.good();
    let other = Masu::new();
    other.call(&["pull", "--insecure", "--creds", "guest:secret", "--quiet", &theirs]).good();
    let refused = other.call(&["pull", "--insecure", "--creds", "guest:secret", &registry.name()]).bad();
    assert!(refused.contains("the answer is 401"), "{refused}");
}

#[test]
fn an_ordinary_user_pulls_and_pushes() {
    let (masu, registry) = (Masu::of_a_user(), Real::start(Security::Plain));
    let target = format!("{}/a/busybox:2", registry.host);
    masu.call(&["pull", "--insecure", "--quiet", &registry.name()]).good();
    masu.call(&["push", "--insecure", "--quiet", &registry.name(), &target]).good();
    assert_eq!(digest_in(&target), digest_in(&registry.name()));
}

#[test]
fn a_refusal_names_image_layer_and_cause() {
    let problem = r#"{"errors":[{"code":"DENIED","message":"read only"}]}"#;
    let fake = taking(move |_, request| (request.method == "POST").then(|| Reply::new(403, problem)));
    let image = Image::new(&[10]);
    let (masu, name) = with_image(&image);
    let url = format!("http://{}/v2/test/image/blobs/uploads/", fake.host);
    let expected = format!(
        "push {}: layer {}: POST {url}: the answer is 403: read only (DENIED)\nhint: masu image login {}",
        fake.name(),
        image.layer(0),
        fake.host
    );
    assert_eq!(masu.call(&["push", "--insecure", &name, &fake.name()]).bad(), expected);
}
