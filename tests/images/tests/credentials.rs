//! Where credentials come from, beside `--creds` and a password in a file.
#![allow(clippy::unwrap_used, missing_docs)]

use masu_image_tests::{Fake, Image, Masu, Reply};
use std::os::unix::fs::PermissionsExt;

#[test]
fn an_identity_token_is_exchanged_by_the_token_server() {
    let image = Image::new(&[10]);
    let digest = image.digest();
    let fake = Fake::start(move |host, request| {
        if request.path == "/token" {
            let form = String::from_utf8_lossy(&request.body).into_owned();
            let known = request.method == "POST" && form.ends_with("&refresh_token=refresh%2Fme");
            return if known { Reply::new(200, r#"{"access_token":"t"}"#) } else { Reply::new(401, "") };
        }
        if request.header("authorization") == Some("Bearer t") {
            return image.answer(request, &Reply::part);
        }
        let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"s\"");
        Reply::new(401, "").with("WWW-Authenticate", challenge)
    });
    let masu = Masu::new();
    let auth = format!(r#"{{"auths":{{"{}":{{"identitytoken":"refresh/me"}}}}}}"#, fake.host);
    std::fs::write(masu.scratch.path("auth.json"), auth).unwrap();
    let pulled = masu.call(&["pull", "--insecure", "--quiet", &fake.name()]).good();
    assert_eq!(pulled, format!("{digest}\n"));
}

#[test]
fn a_credential_helper_is_asked_for_its_registry_or_for_all() {
    let image = Image::new(&[10]);
    let digest = image.digest();
    // user:secret
    let fake = Fake::start(move |_, request| match request.header("authorization") {
        Some("Basic dXNlcjpzZWNyZXQ=") => image.answer(request, &Reply::part),
        _ => Reply::new(401, "").with("WWW-Authenticate", "Basic realm=\"x\""),
    });
    let masu = Masu::new();
    let helper = masu.scratch.path("docker-credential-test");
    let script = format!(
        "#!/bin/sh\nread -r host\n[ \"$1 $host\" = 'get {}' ] && \
         echo '{{\"ServerURL\":\"x\",\"Username\":\"user\",\"Secret\":\"secret\"}}'\n",
        fake.host
    );
    std::fs::write(&helper, script).unwrap();
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", helper.parent().unwrap().display());
    let one = format!(r#"{{"credHelpers":{{"{}":"test"}}}}"#, fake.host);
    for auth in [one.as_str(), r#"{"credsStore":"test"}"#] {
        std::fs::write(masu.scratch.path("auth.json"), auth).unwrap();
        let mut pull = masu.command(&["pull", "--insecure", "--quiet", &fake.name()]);
        let output = pull.env("PATH", &path).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{digest}\n"), "{auth}: {output:?}");
    }
}

#[test]
fn the_first_file_that_knows_the_registry_is_taken() {
    let image = Image::new(&[10]);
    let fake = Fake::start(move |_, request| match request.header("authorization") {
        Some(_) => image.answer(request, &Reply::part),
        None => Reply::new(401, "").with("WWW-Authenticate", "Basic realm=\"x\""),
    });
    let masu = Masu::new();
    // a:x to d:x, in the order in which they are looked for.
    let files = [
        ("given.json", "YTp4"),
        ("run/containers/auth.json", "Yjp4"),
        ("home/.config/containers/auth.json", "Yzp4"),
        ("home/.docker/config.json", "ZDp4"),
    ];
    for (file, auth) in files {
        let path = masu.scratch.path(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text =
            format!(r#"{{"auths":{{"{}":{{"auth":"{auth}"}},"other.io":{{"auth":"eDp5"}}}}}}"#, fake.host);
        std::fs::write(path, text).unwrap();
    }
    let pull = |given: Option<&str>| {
        let mut pull = masu.command(&["pull", "--insecure", "--quiet", &fake.name()]);
        pull.env_remove("REGISTRY_AUTH_FILE").env_remove("XDG_CONFIG_HOME").env_remove("DOCKER_CONFIG");
        pull.env("XDG_RUNTIME_DIR", masu.scratch.path("run")).env("HOME", masu.scratch.path("home"));
        pull.envs(given.map(|file| ("REGISTRY_AUTH_FILE", masu.scratch.path(file))));
        let output = pull.output().unwrap();
        let sent =
            fake.requests().iter().rev().find_map(|one| one.header("authorization").map(str::to_owned));
        (output.status.success(), sent.unwrap_or_default())
    };
    for (index, (file, auth)) in files.into_iter().enumerate() {
        let given = (index == 0).then_some(file);
        assert_eq!(pull(given), (true, format!("Basic {auth}")), "{file}");
        std::fs::remove_file(masu.scratch.path(file)).unwrap();
    }
    // Nobody knows it any more.
    assert!(!pull(None).0);
}
