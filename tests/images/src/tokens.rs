//! A token server, as docker.io and ghcr.io have one (distribution, spec/auth/token.md): it signs what it grants, and Debian's
//! registry believes what it has signed.

use crate::fake::{Fake, Reply, Request};
use crate::run;
use std::path::{Path, PathBuf};

/// Grants `user` with the password `secret` all that is asked for, and `guest` with the same all but `test/busybox`.
#[derive(Debug)]
pub struct Tokens {
    server: Fake,
    folder: PathBuf,
}

/// `user:secret` and `guest:secret`.
const USERS: [(&str, &str); 2] = [("user", "Basic dXNlcjpzZWNyZXQ="), ("guest", "Basic Z3Vlc3Q6c2VjcmV0")];

/// Signs `$1`, the claims, with the key and the certificate in the folder `$0` (RFC 7515).
const SIGN: &str = r#"
text() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
certificate=$(openssl x509 -in "$0/cert.pem" -outform DER | openssl base64 -A)
header=$(printf '{"typ":"JWT","alg":"RS256","x5c":["%s"]}' "$certificate" | text)
signed=$header.$(printf '%s' "$1" | text)
printf '%s.%s' "$signed" "$(printf '%s' "$signed" | openssl dgst -sha256 -sign "$0/key.pem" | text)"
"#;

impl Tokens {
    /// Starts one, with its key in a new folder.
    #[must_use]
    pub fn start(folder: PathBuf) -> Self {
        std::fs::create_dir_all(&folder).unwrap();
        let path = |name: &str| folder.join(name).display().to_string();
        let (key, certificate) = (path("key.pem"), path("cert.pem"));
        let subject = ["req", "-x509", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=tokens", "-days", "2"];
        run("openssl", &[&subject[..], &["-keyout", &key, "-out", &certificate]].concat());
        let own = folder.clone();
        let server = Fake::start(move |_, request| answer(&own, request));
        Self { server, folder }
    }

    /// What a registry has to have in its configuration to believe it.
    pub(crate) fn configuration(&self) -> String {
        format!(
            "auth: {{token: {{realm: \"http://{}/token\", service: test, issuer: masu, rootcertbundle: {}}}}}\n",
            self.server.host,
            self.folder.join("cert.pem").display()
        )
    }

    /// What it was asked for, one line a request.
    #[must_use]
    pub fn scopes(&self) -> Vec<String> {
        self.server.requests().iter().map(|request| scopes(request).join(" ")).collect()
    }
}

/// `TYPE:NAME:ACTIONS` of the query's parameters.
fn scopes(request: &Request) -> Vec<String> {
    let query = request.path.split_once('?').map_or("", |(_, query)| query);
    let values = query.split('&').filter_map(|parameter| parameter.strip_prefix("scope="));
    values.map(|value| value.replace("%3A", ":").replace("%2F", "/").replace("%2C", ",")).collect()
}

fn answer(folder: &Path, request: &Request) -> Reply {
    let given = request.header("authorization");
    let Some((user, _)) = USERS.iter().find(|(_, known)| given == Some(known)) else {
        return Reply::new(401, "");
    };
    let granted = scopes(request).into_iter().filter_map(|scope| {
        let (kind, rest) = scope.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        let actions: Vec<_> = actions.split(',').collect();
        let is_closed = *user == "guest" && name == "test/busybox";
        (!is_closed).then(|| serde_json::json!({ "type": kind, "name": name, "actions": actions }))
    });
    let claims = serde_json::json!({
        "iss": "masu", "sub": user, "aud": "test", "nbf": 0, "exp": u32::MAX, "access": granted.collect::<Vec<_>>(),
    });
    let token = run("sh", &["-ec", SIGN, &folder.display().to_string(), &claims.to_string()]);
    Reply::new(200, serde_json::json!({ "token": token }).to_string())
}
