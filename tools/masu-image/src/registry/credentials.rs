//! Who the user is to a registry: `--creds`, files, credential helpers.
//!
//! The files are those of podman (containers-auth.json(5)) and of Docker (`config.json`), whose form is the same.

use super::Options;
use crate::{Error, Result};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The name under which Docker has always kept the credentials for docker.io.
const DOCKER_LEGACY: &str = "https://index.docker.io/v1/";
/// The user of a helper whose secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// What proves who somebody is. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user and a password.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// A refresh token, which a token server takes instead.
    IdentityToken(String),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Password { user, .. } => write!(f, "Password {{ user: {user:?}, .. }}"),
            Self::IdentityToken(_) => f.write_str("IdentityToken(..)"),
        }
    }
}

impl std::str::FromStr for Credentials {
    type Err = Error;

    /// `USER:PASSWORD`.
    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some((user, password)) if !user.is_empty() => {
                Ok(Self::Password { user: user.to_owned(), password: password.to_owned() })
            }
            // What was given may be a password: it is not repeated.
            _ => Err(Error::Syntax {
                what: "credentials",
                given: "…".to_owned(),
                problem: "they are USER:PASSWORD".to_owned(),
            }),
        }
    }
}

impl Credentials {
    /// The value of `Authorization` for a password.
    pub(super) fn basic(&self) -> Option<String> {
        match self {
            Self::Password { user, password } => {
                Some(format!("Basic {}", BASE64.encode(format!("{user}:{password}"))))
            }
            Self::IdentityToken(_) => None,
        }
    }

    /// Those for a repository of a registry, if there are any.
    pub(super) fn find(options: &Options, host: &str, repository: &str) -> Result<Option<Self>> {
        if let Some(credentials) = &options.credentials {
            return Ok(Some(credentials.clone()));
        }
        for path in &options.auth_files {
            let Some(file) = AuthFile::read(path)? else { continue };
            if let Some(found) = file.find(host, repository)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Keeps them for a registry, and says where.
    ///
    /// # Errors
    ///
    /// [`Error::File`] and [`Error::Content`] for the file, and what a credential helper says.
    pub fn keep(&self, options: &Options, host: &str) -> Result<String> {
        let Self::Password { user, password } = self else { return Ok(String::new()) };
        let mut file = AuthFile::to_write(options)?;
        if let Some(helper) = file.helper(host) {
            let entry = json!({ "ServerURL": server_name(host), "Username": user, "Secret": password });
            run_helper(&helper, "store", &entry.to_string())?;
            return Ok(format!("docker-credential-{helper}"));
        }
        let auth = BASE64.encode(format!("{user}:{password}"));
        file.set(host, json!({ "auth": auth }));
        file.write()?;
        Ok(file.path.display().to_string())
    }

    /// Forgets those for a registry; false when there were none.
    ///
    /// # Errors
    ///
    /// As [`Credentials::keep`].
    pub fn forget(options: &Options, host: &str) -> Result<bool> {
        let mut file = AuthFile::to_write(options)?;
        if let Some(helper) = file.helper(host) {
            let known = run_helper(&helper, "get", server_name(host))?.is_some();
            if known {
                run_helper(&helper, "erase", server_name(host))?;
            }
            return Ok(known);
        }
        let found = file.remove(host);
        if found {
            file.write()?;
        }
        Ok(found)
    }
}

fn server_name(host: &str) -> &str {
    if host == crate::reference::DEFAULT_HOST { DOCKER_LEGACY } else { host }
}

/// The files that are looked into, in their order, unless one is given. To be called before a user namespace is entered,
/// where everybody is root.
#[must_use]
pub fn auth_files(given: Option<PathBuf>) -> Vec<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = given.or_else(|| variable("REGISTRY_AUTH_FILE")) {
        return vec![path];
    }
    let home = variable("HOME");
    let in_home = |path: &str| home.as_ref().map(|home| home.join(path));
    let docker = variable("DOCKER_CONFIG").map(|path| path.join("config.json"));
    [
        Some(runtime_file()),
        variable("XDG_CONFIG_HOME").map(|path| path.join("containers/auth.json")),
        in_home(".config/containers/auth.json"),
        docker.or_else(|| in_home(".docker/config.json")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// podman's: gone with the next boot.
fn runtime_file() -> PathBuf {
    let user = rustix::process::geteuid();
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|value| !value.is_empty()) {
        Some(path) => Path::new(&path).join("containers/auth.json"),
        None => PathBuf::from(format!("/run/containers/{}/auth.json", user.as_raw())),
    }
}

/// A file of credentials. What masu does not know in it stays.
#[derive(Debug)]
struct AuthFile {
    path: PathBuf,
    content: Map<String, Value>,
}

impl AuthFile {
    fn read(path: &Path) -> Result<Option<Self>> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            // Not there, or in the home of somebody else.
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(Error::file("read", path)(error)),
        };
        let content = serde_json::from_slice(&text).map_err(|error| Error::Content {
            object: path.display().to_string(),
            problem: error.to_string(),
        })?;
        Ok(Some(Self { path: path.to_owned(), content }))
    }

    /// The one that `login` writes.
    fn to_write(options: &Options) -> Result<Self> {
        let path = options.auth_files.first().cloned().unwrap_or_else(runtime_file);
        Ok(Self::read(&path)?.unwrap_or_else(|| Self { path, content: Map::new() }))
    }

    fn set(&mut self, host: &str, entry: Value) {
        if !self.content.get("auths").is_some_and(Value::is_object) {
            self.content.insert("auths".to_owned(), json!({}));
        }
        if let Some(auths) = self.content.get_mut("auths").and_then(Value::as_object_mut) {
            auths.insert(host.to_owned(), entry);
        }
    }

    /// False when there was no entry.
    fn remove(&mut self, host: &str) -> bool {
        let auths = self.content.get_mut("auths").and_then(Value::as_object_mut);
        auths.is_some_and(|auths| auths.shift_remove(host).is_some())
    }

    fn write(&self) -> Result<()> {
        let parent = self.path.parent().unwrap_or(Path::new("."));
        let mut directory = std::fs::DirBuilder::new();
        directory.recursive(true).mode(0o700).create(parent).map_err(Error::file("create", parent))?;
        let text = serde_json::to_vec_pretty(&self.content)
            .map_err(|e| Error::file("write", &self.path)(e.into()))?;
        let new = self.path.with_extension(format!("new-{}", std::process::id()));
        let write = || {
            let mut file =
                std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(&text)?;
            file.sync_all()?;
            std::fs::rename(&new, &self.path)
        };
        write().map_err(Error::file("write", &self.path))
    }

    fn find(&self, host: &str, repository: &str) -> Result<Option<Credentials>> {
        if let Some(helper) = self.content.get("credHelpers").and_then(|helpers| helpers.get(host)?.as_str())
        {
            return ask_helper(helper, host);
        }
        if let Some(auths) = self.content.get("auths").and_then(Value::as_object) {
            for key in keys(host, repository) {
                let Some(entry) = auths.get(&key) else { continue };
                if let Some(found) = parse_entry(entry).map_err(|problem| Error::Content {
                    object: format!("{}: auths[{key:?}]", self.path.display()),
                    problem: problem.to_owned(),
                })? {
                    return Ok(Some(found));
                }
            }
        }
        match self.content.get("credsStore").and_then(Value::as_str) {
            Some(helper) => ask_helper(helper, host),
            None => Ok(None),
        }
    }

    fn helper(&self, host: &str) -> Option<String> {
        let own = self.content.get("credHelpers").and_then(|helpers| helpers.get(host));
        own.or_else(|| self.content.get("credsStore")).and_then(Value::as_str).map(ToOwned::to_owned)
    }
}

/// The keys that may have an entry for this repository, the most specific first.
fn keys(host: &str, repository: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut path = format!("{host}/{repository}");
    while let Some((parent, _)) = path.rsplit_once('/') {
        keys.push(path.clone());
        path = parent.to_owned();
    }
    keys.push(host.to_owned());
    if host == crate::reference::DEFAULT_HOST {
        keys.push(DOCKER_LEGACY.to_owned());
    } else {
        keys.extend([format!("https://{host}"), format!("http://{host}")]);
    }
    keys
}

/// An entry of `auths`. With a credential helper Docker leaves an empty one there.
fn parse_entry(entry: &Value) -> std::result::Result<Option<Credentials>, &'static str> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(token) = text("identitytoken") {
        return Ok(Some(Credentials::IdentityToken(token.to_owned())));
    }
    if let Some(auth) = text("auth") {
        let decoded = BASE64.decode(auth.trim()).map_err(|_| "auth is not in base64")?;
        let decoded = String::from_utf8(decoded).map_err(|_| "auth is not UTF-8")?;
        let (user, password) = decoded.split_once(':').ok_or("auth is not USER:PASSWORD")?;
        // Docker has padded passwords with NUL bytes.
        let password = password.trim_end_matches('\0');
        return Ok(Some(Credentials::Password { user: user.to_owned(), password: password.to_owned() }));
    }
    match (text("username"), text("password")) {
        (Some(user), Some(password)) => {
            Ok(Some(Credentials::Password { user: user.to_owned(), password: password.to_owned() }))
        }
        _ => Ok(None),
    }
}

fn ask_helper(helper: &str, host: &str) -> Result<Option<Credentials>> {
    let Some(answer) = run_helper(helper, "get", server_name(host))? else { return Ok(None) };
    let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (user, password) = (text("Username"), text("Secret"));
    Ok(Some(match user.as_str() {
        TOKEN_USER => Credentials::IdentityToken(password),
        _ => Credentials::Password { user, password },
    }))
}

/// Runs `docker-credential-HELPER VERB` with a text; `None` when it does not know the server.
fn run_helper(helper: &str, verb: &str, input: &str) -> Result<Option<Value>> {
    let program = format!("docker-credential-{helper}");
    let refuse = |problem: String| Error::Content { object: format!("{program} {verb}"), problem };
    if helper.contains('/') {
        return Err(refuse("the name of a helper has no slash".to_owned()));
    }
    let mut command = Command::new(&program);
    command.arg(verb).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| refuse(error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).map_err(|error| refuse(error.to_string()))?;
    }
    let output = child.wait_with_output().map_err(|error| refuse(error.to_string()))?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() {
        // The words of the protocol, docker-credential-helpers.
        let unknown = said.contains("credentials not found");
        let said =
            if said.is_empty() { String::from_utf8_lossy(&output.stderr).trim().to_owned() } else { said };
        return if unknown { Ok(None) } else { Err(refuse(format!("{}: {said}", output.status))) };
    }
    if verb == "get" {
        serde_json::from_str(&said).map(Some).map_err(|error| refuse(error.to_string()))
    } else {
        Ok(Some(Value::Null))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str, host: &str, repository: &str) -> String {
        let content = serde_json::from_str(text).unwrap();
        match (AuthFile { path: "auth.json".into(), content }).find(host, repository) {
            Ok(Some(Credentials::Password { user, password })) => format!("{user} {password}"),
            Ok(Some(Credentials::IdentityToken(token))) => format!("token {token}"),
            Ok(None) => "none".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_most_specific_entry_is_taken() {
        // a:b, c:d, e:f
        let text = r#"{"auths":{"quay.io":{"auth":"YTpi"},"quay.io/team/app":{"auth":"Yzpk"},
            "https://index.docker.io/v1/":{"auth":"ZTpm"},"token.io":{"identitytoken":"t","auth":"YTpi"},
            "plain.io":{"username":"u","password":"p"},"empty.io":{},"bad.io":{"auth":"?"},"half.io":{"auth":"YQ=="}}}"#;
        let cases = [
            ("quay.io", "a", "a b"),
            ("quay.io", "team/app", "c d"),
            ("quay.io", "team/other", "a b"),
            ("docker.io", "library/busybox", "e f"),
            ("token.io", "a", "token t"),
            ("plain.io", "a", "u p"),
            ("empty.io", "a", "none"),
            ("other.io", "a", "none"),
            ("bad.io", "a", "auth.json: auths[\"bad.io\"]: auth is not in base64"),
            ("half.io", "a", "auth.json: auths[\"half.io\"]: auth is not USER:PASSWORD"),
        ];
        for (host, repository, found) in cases {
            assert_eq!(find(text, host, repository), found, "{host}/{repository}");
        }
    }

    #[test]
    fn a_helper_is_a_program_of_path_and_nothing_else() {
        let text = r#"{"credHelpers":{"quay.io":"../../tmp/evil"}}"#;
        let error = "docker-credential-../../tmp/evil get: the name of a helper has no slash";
        assert_eq!(find(text, "quay.io", "a"), error);
    }

    #[test]
    fn a_password_is_never_printed() {
        let credentials: Credentials = "u:secret".parse().unwrap();
        assert_eq!(format!("{credentials:?}"), r#"Password { user: "u", .. }"#);
        let error = "onlyapassword".parse::<Credentials>().unwrap_err().to_string();
        assert_eq!(error, "credentials \"…\": they are USER:PASSWORD");
    }
}
