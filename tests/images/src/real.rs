//! Debian's registry, filled by skopeo with an image that umoci made of busybox.

use crate::tokens::Tokens;
use crate::{Scratch, run};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Who may talk to it, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Everybody, by plain HTTP.
    Plain,
    /// Everybody, by TLS.
    Tls,
    /// `user` with the password `secret`, by TLS.
    Password,
    /// Who has a certificate of the same authority, by TLS.
    Certificate,
    /// Whom its token server gives a token to ([`Tokens`]), by plain HTTP.
    Token,
}

/// A registry of its own, with the image `test/busybox:1`. It ends with this.
#[derive(Debug)]
pub struct Real {
    /// `127.0.0.1:PORT`.
    pub host: String,
    scratch: Scratch,
    server: Child,
    tokens: Option<Tokens>,
}

impl Real {
    /// Starts one.
    #[must_use]
    pub fn start(security: Security) -> Self {
        let scratch = Scratch::new();
        let host = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let path = |name: &str| scratch.path(name).display().to_string();
        let mut configuration = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n",
            path("data")
        );
        if security == Security::Password {
            let line = run("htpasswd", &["-Bbn", "user", "secret"]);
            std::fs::write(scratch.path("htpasswd"), line).unwrap();
            configuration += &format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", path("htpasswd"));
        }
        let tokens = (security == Security::Token).then(|| Tokens::start(scratch.path("tokens")));
        configuration.extend(tokens.iter().map(Tokens::configuration));
        configuration += &format!("http:\n  addr: {host}\n");
        if !matches!(security, Security::Plain | Security::Token) {
            make_certificates(&scratch);
            let clients = format!(", clientcas: [{}]", path("certs/ca.crt"));
            configuration += &format!(
                "  tls: {{certificate: {}, key: {}{}}}\n",
                path("server.pem"),
                path("server.key"),
                if security == Security::Certificate { clients.as_str() } else { "" }
            );
        }
        std::fs::write(scratch.path("registry.yml"), configuration).unwrap();
        let mut server = Command::new("docker-registry");
        server.arg("serve").arg(scratch.path("registry.yml")).stdin(Stdio::null()).stdout(Stdio::null());
        let server = server.stderr(Stdio::null()).spawn().unwrap();
        let this = Self { host, scratch, server, tokens };
        this.wait();
        this.fill(security);
        this
    }

    fn wait(&self) {
        let start = Instant::now();
        while TcpStream::connect(&self.host).is_err() {
            assert!(start.elapsed() < Duration::from_secs(60), "docker-registry does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn fill(&self, security: Security) {
        let layout = make_image(&self.scratch);
        let mut words = vec!["copy", "--quiet", "--dest-tls-verify=false"];
        if matches!(security, Security::Password | Security::Token) {
            words.extend(["--dest-creds", "user:secret"]);
        }
        let certificates = self.client_certificates().display().to_string();
        if security == Security::Certificate {
            words.extend(["--dest-cert-dir", &certificates]);
        }
        let source = format!("oci:{}:busybox", layout.display());
        for (format, tag) in [("oci", "1"), ("v2s2", "docker")] {
            let target = format!("docker://{}/test/busybox:{tag}", self.host);
            run("skopeo", &[words.as_slice(), &["--format", format, &source, &target]].concat());
        }
    }

    /// The name of its image.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/test/busybox:1", self.host)
    }

    /// The scopes that its token server was asked for, one line a request.
    #[must_use]
    pub fn scopes(&self) -> Vec<String> {
        self.tokens.as_ref().map_or_else(Vec::new, Tokens::scopes)
    }

    /// The folder with the certificate of who vouches for it.
    #[must_use]
    pub fn certificates(&self) -> PathBuf {
        self.scratch.path("certs")
    }

    /// The same, with the certificate of a client and its key.
    #[must_use]
    pub fn client_certificates(&self) -> PathBuf {
        self.scratch.path("client")
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }
}

/// busybox and its link, a layer of its own.
fn make_image(scratch: &Scratch) -> PathBuf {
    let (layout, bundle) = (scratch.path("layout"), scratch.path("bundle"));
    let image = format!("{}:busybox", layout.display());
    let text = |path: &Path| path.display().to_string();
    run("umoci", &["init", "--layout", &text(&layout)]);
    run("umoci", &["new", "--image", &image]);
    run("umoci", &["unpack", "--rootless", "--image", &image, &text(&bundle)]);
    let bin = bundle.join("rootfs/bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::copy("/bin/busybox", bin.join("busybox")).unwrap();
    std::os::unix::fs::symlink("busybox", bin.join("sh")).unwrap();
    run("umoci", &["repack", "--image", &image, &text(&bundle)]);
    run("umoci", &["config", "--image", &image, "--config.cmd", "/bin/sh"]);
    layout
}

/// An authority, in `certs/ca.crt`, and a server and a client that it vouches for.
fn make_certificates(scratch: &Scratch) {
    let path = |name: &str| scratch.path(name).display().to_string();
    for folder in ["certs", "client"] {
        std::fs::create_dir_all(scratch.path(folder)).unwrap();
    }
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    let authority = ["req", "-x509", "-subj", "/CN=masu tests", "-keyout"];
    run("openssl", &[&authority[..], &[&path("ca.key"), "-out", &path("certs/ca.crt")], &key].concat());
    std::fs::copy(scratch.path("certs/ca.crt"), scratch.path("client/ca.crt")).unwrap();
    let by = ["-CA", &path("certs/ca.crt"), "-CAkey", &path("ca.key")];
    let certify = |subject: &str, names: &str, key_file: &str, file: &str| {
        let subject = ["req", "-x509", "-subj", subject, "-addext", names];
        let signed = ["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"];
        let out = [path(key_file), "-out".to_owned(), path(file)];
        let out: Vec<&str> = out.iter().map(String::as_str).collect();
        run("openssl", &[&subject[..], &signed, &out, &by, &key].concat());
    };
    let server = "subjectAltName=IP:127.0.0.1,DNS:registry.test";
    certify("/CN=127.0.0.1", server, "server.key", "server.pem");
    certify("/CN=a client", "extendedKeyUsage=clientAuth", "client/client.key", "client/client.cert");
}
