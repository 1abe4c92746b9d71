//! What stands between masu and a registry: proxies, certificates.
#![allow(clippy::unwrap_used, missing_docs)]

use masu_image_tests::{Fake, Image, Masu, Proxy, Real, Reply, Security};

#[test]
fn a_registry_that_only_the_proxy_knows_is_pulled_from_through_it() {
    let registry = Real::start(Security::Tls);
    let proxy = Proxy::start(&registry.host);
    let certificates = registry.certificates().display().to_string();
    let words = ["pull", "--quiet", "--cert-dir", &certificates, "registry.test/test/busybox:1"];
    let masu = Masu::new().with("HTTPS_PROXY", &proxy.address);
    assert!(masu.call(&words).good().starts_with("sha256:"));
    let asked = proxy.asked();
    assert!(
        !asked.is_empty() && asked.iter().all(|line| line == "CONNECT registry.test:443 HTTP/1.1"),
        "{asked:?}"
    );

    // Without it the name means nothing.
    let message = Masu::new().call(&words).bad();
    assert!(
        message.starts_with("pull registry.test/test/busybox:1: GET https://registry.test/v2/"),
        "{message}"
    );
}

#[test]
fn each_scheme_has_a_proxy_of_its_own_and_lower_case_wins() {
    let fake = Fake::of_image(&Image::new(&[10]), Reply::part);
    let (plain, secure) = (Proxy::start(&fake.host), Proxy::start("127.0.0.1:1"));
    let masu = Masu::new()
        .with("http_proxy", &plain.address)
        .with("HTTP_PROXY", "http://127.0.0.1:1")
        .with("HTTPS_PROXY", &secure.address);
    masu.call(&["pull", "--insecure", "registry.test:5000/test/image:1"]).good();
    // It asks for TLS first, and gets none.
    assert_eq!(secure.asked(), ["CONNECT registry.test:5000 HTTP/1.1"]);
    assert!(
        plain.asked().iter().all(|line| line == "CONNECT registry.test:5000 HTTP/1.1"),
        "{:?}",
        plain.asked()
    );
    assert!(!plain.asked().is_empty());
}

#[test]
fn what_no_proxy_names_is_reached_directly() {
    let fake = Fake::of_image(&Image::new(&[10]), Reply::part);
    let port = fake.host.rsplit(':').next().unwrap();
    let name = format!("registry.test:{port}/test/image:1");
    let hosts =
        "echo 127.0.0.1 localhost registry.test > \"$STORE.hosts\"; mount --bind \"$STORE.hosts\" /etc/hosts";
    let nowhere =
        || Masu::new().with("HTTP_PROXY", "http://127.0.0.1:1").with("HTTPS_PROXY", "http://127.0.0.1:1");
    let words = ["pull", "--insecure", &name];
    for exception in ["registry.test", "other.test, .test", "*", &format!("registry.test:{port}")] {
        nowhere().with("NO_PROXY", exception).call_after(hosts, &words).good();
    }
    for exception in ["other.test", "registry.test:1"] {
        nowhere().with("NO_PROXY", exception).call_after(hosts, &words).bad();
    }
}

#[test]
fn a_registry_that_asks_for_a_certificate_gets_the_clients() {
    let registry = Real::start(Security::Certificate);
    let pull = |folder: &std::path::Path| {
        Masu::new().call(&["pull", "--quiet", "--cert-dir", &folder.display().to_string(), &registry.name()])
    };
    assert!(pull(&registry.client_certificates()).good().starts_with("sha256:"));
    let message = pull(&registry.certificates()).bad();
    assert!(
        message.starts_with(&format!("pull {}: GET https://{}/v2/", registry.name(), registry.host)),
        "{message}"
    );
    assert!(message.to_lowercase().contains("certificate"), "{message}");
}

#[test]
fn certificates_are_found_where_podman_and_docker_have_them() {
    let registry = Real::start(Security::Certificate);
    // A folder of the mount namespace's own, in place of the machine's.
    let script = format!(
        "mount -t tmpfs none /etc/containers; mkdir -p /etc/containers/certs.d/{0}; \
         cp {1}/* /etc/containers/certs.d/{0}/",
        registry.host,
        registry.client_certificates().display()
    );
    let words = ["pull", "--quiet", &registry.name()];
    assert!(Masu::new().call_after(&script, &words).good().starts_with("sha256:"));
    assert!(!Masu::new().call(&words).ok);
}
