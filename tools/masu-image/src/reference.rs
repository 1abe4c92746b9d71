//! What people call an image.
//!
//! | form | image |
//! |---|---|
//! | `[HOST[:PORT]/]REPO[:TAG][@DIGEST]` | in a registry; `docker.io` without a host, `library/` without a folder there |
//! | `oci:DIR[:TAG]` | in an OCI image layout |
//! | `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:TAG]` | in an archive |
//! | `dir:DIR` | in a directory of its own, as skopeo writes it |
//! | `rootfs:DIR\|TAR` | a root file system without a configuration |
//! | `host` | this machine's own root |

use crate::{Digest, Error, Result};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The registry of names without a host.
pub const DEFAULT_HOST: &str = "docker.io";
/// The tag of names without one.
const DEFAULT_TAG: &str = "latest";
/// Longer names have no registry to be in: the limit of the reference implementation.
const MAX_REPOSITORY: usize = 255;
const MAX_TAG: usize = 128;

/// Where an image is, as the user wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In a registry, or in the store under the name that it has there.
    Registry(Reference),
    /// In an OCI image layout.
    OciLayout(Place),
    /// In a tar archive of an OCI image layout.
    OciArchive(Place),
    /// In an archive as `docker save` writes it.
    DockerArchive(Place),
    /// Alone in a directory: its manifest, and what that names by digest.
    Directory(PathBuf),
    /// A directory, or a tar archive of one, that is the root file system itself.
    RootFs(PathBuf),
    /// This machine's own root.
    Host,
}

/// A directory or file with images, and which one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The directory or file.
    pub path: PathBuf,
    /// The name of the image there; without it the only one is meant.
    pub tag: Option<String>,
}

/// The name of an image in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    host: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// The registry, with its port if that was given.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The repository, `library/` included.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag; `None` when only a digest was given.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, which wins over the tag.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// What the registry is asked for: the digest, otherwise the tag.
    #[must_use]
    pub fn version(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => DEFAULT_TAG.to_owned(),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Source {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |problem: &str| syntax(text, problem);
        if text == "host" {
            return Ok(Self::Host);
        }
        let Some((transport, rest)) = text.split_once(':') else {
            return text.parse().map(Self::Registry);
        };
        let place = || match rest.split_once(':') {
            _ if rest.is_empty() || rest.starts_with(':') => Err(refuse("the path is missing")),
            Some((_, "")) => Err(refuse("the tag is missing")),
            Some((path, tag)) => Ok(Place { path: path.into(), tag: Some(tag.to_owned()) }),
            None => Ok(Place { path: rest.into(), tag: None }),
        };
        match transport {
            "oci" => place().map(Self::OciLayout),
            "oci-archive" => place().map(Self::OciArchive),
            "docker-archive" => place().map(Self::DockerArchive),
            "dir" | "rootfs" if rest.is_empty() => Err(refuse("the path is missing")),
            "dir" => Ok(Self::Directory(rest.into())),
            "rootfs" => Ok(Self::RootFs(rest.into())),
            _ => text.parse().map(Self::Registry),
        }
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |problem: &str| syntax(text, problem);
        if text.contains("://") {
            let (_, name) = text.split_once("://").unwrap_or_default();
            return Err(refuse(&format!("a name has no transport or scheme in front: {name}")));
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => {
                (name, Some(digest.parse::<Digest>().map_err(|problem| refuse(&problem.to_string()))?))
            }
            None => (text, None),
        };
        // A colon before the last slash is that of a port.
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (name, None),
        };
        if let Some(tag) = tag
            && !is_tag(tag)
        {
            return Err(refuse("a tag has up to 128 letters, digits and _ . -, and begins with none of . -"));
        }
        let (host, path) = match name.split_once('/') {
            Some((host, path)) if is_host(host) => (host, path),
            _ => (DEFAULT_HOST, name),
        };
        if !is_valid_host(host) {
            return Err(refuse("a registry is HOST or HOST:PORT"));
        }
        let host = if host == "index.docker.io" { DEFAULT_HOST } else { host };
        let folder = if host == DEFAULT_HOST && !path.contains('/') { "library/" } else { "" };
        let repository = format!("{folder}{path}");
        if !is_repository(&repository) {
            return Err(refuse(match path.bytes().any(|byte| byte.is_ascii_uppercase()) {
                true => "a repository has no capital letters",
                false => {
                    "a repository has lower-case letters and digits, single . _ or __ or dashes between them, and /"
                }
            }));
        }
        if path.len() == 64 && path.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(refuse("64 hexadecimal digits are a digest without its algorithm"));
        }
        let tag = match (tag, &digest) {
            (None, None) => Some(DEFAULT_TAG.to_owned()),
            (tag, _) => tag.map(ToOwned::to_owned),
        };
        Ok(Self { host: host.to_owned(), repository, tag, digest })
    }
}

fn syntax(given: &str, problem: &str) -> Error {
    Error::Syntax { what: "image", given: given.to_owned(), problem: problem.to_owned() }
}

/// Whether the first part of a name is a host: what could be no folder of a repository, and `localhost`.
fn is_host(part: &str) -> bool {
    part == "localhost"
        || part.contains(['.', ':', '['])
        || part.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// `HOST`, `HOST:PORT`, `[IPV6]`, `[IPV6]:PORT`.
fn is_valid_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            ("ipv6", port)
        }
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let is_label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(inner)
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    name.split('.').all(is_label) && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= MAX_TAG
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

fn is_repository(repository: &str) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_component = |component: &str| {
        let bytes = component.as_bytes();
        let ends = bytes.first().is_some_and(is_word) && bytes.last().is_some_and(is_word);
        let separators =
            component.split(|letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit());
        let is_separator =
            |text: &str| matches!(text, "" | "." | "_" | "__") || text.bytes().all(|byte| byte == b'-');
        ends && separators.into_iter().all(is_separator)
    };
    repository.len() <= MAX_REPOSITORY && repository.split('/').all(is_component)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_name_is_completed_with_the_default_host_folder_and_tag() {
        let cases = [
            ("busybox", "docker.io/library/busybox:latest"),
            ("busybox:1.36", "docker.io/library/busybox:1.36"),
            ("docker.io/busybox", "docker.io/library/busybox:latest"),
            ("index.docker.io/busybox", "docker.io/library/busybox:latest"),
            ("bitnami/redis", "docker.io/bitnami/redis:latest"),
            ("quay.io/redis", "quay.io/redis:latest"),
            ("localhost/a", "localhost/a:latest"),
            ("localhost:5000/a/b:c", "localhost:5000/a/b:c"),
            ("127.0.0.1:5000/a", "127.0.0.1:5000/a:latest"),
            ("[::1]:5000/a", "[::1]:5000/a:latest"),
            ("Registry/a", "Registry/a:latest"),
            ("a--b/c__d/e.f_g", "docker.io/a--b/c__d/e.f_g:latest"),
            ("host:1", "docker.io/library/host:1"),
            ("docker.io/library/host", "docker.io/library/host:latest"),
            ("ghcr.io/a/b:V1.0_x-y", "ghcr.io/a/b:V1.0_x-y"),
        ];
        for (text, full) in cases {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), full, "{text}");
        }
        for (text, full) in [
            (format!("a@{DIGEST}"), format!("docker.io/library/a@{DIGEST}")),
            (format!("quay.io/a:1@{DIGEST}"), format!("quay.io/a:1@{DIGEST}")),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!((reference.to_string(), reference.version()), (full, DIGEST.to_owned()));
        }
    }

    #[test]
    fn what_is_no_name_is_told_why() {
        let repository =
            "a repository has lower-case letters and digits, single . _ or __ or dashes between them, and /";
        let tag = "a tag has up to 128 letters, digits and _ . -, and begins with none of . -";
        let long = format!("quay.io/{}", "a/".repeat(128) + "a");
        let hex = DIGEST.trim_start_matches("sha256:");
        let cases = [
            ("", repository),
            ("a/", repository),
            ("quay.io/", repository),
            ("a//b", repository),
            ("a/../b", repository),
            ("a/.b", repository),
            ("a...b", repository),
            ("a___b", repository),
            ("a b", repository),
            ("ä", repository),
            (&long, repository),
            ("Busybox", "a repository has no capital letters"),
            ("a:", tag),
            ("a:-1", tag),
            ("a:b:c", repository),
            ("a@", "a digest is ALGORITHM:HEX"),
            ("a@sha256:../../etc", "a digest has 64 (sha256) or 128 (sha512) digits of 0-9 and a-f"),
            ("a@md5:00", "the algorithm of a digest is sha256 or sha512"),
            ("a.b:port/c", "a registry is HOST or HOST:PORT"),
            ("a.b:70000/c", "a registry is HOST or HOST:PORT"),
            ("-a.b/c", "a registry is HOST or HOST:PORT"),
            ("[::g]/c", "a registry is HOST or HOST:PORT"),
            ("docker://busybox", "a name has no transport or scheme in front: busybox"),
            (hex, "64 hexadecimal digits are a digest without its algorithm"),
        ];
        for (text, problem) in cases {
            assert_eq!(
                text.parse::<Reference>().unwrap_err().to_string(),
                format!("image {text:?}: {problem}")
            );
        }
    }

    #[test]
    fn images_that_are_in_no_registry_are_named_by_their_path() {
        let place = |path: &str, tag: Option<&str>| Place { path: path.into(), tag: tag.map(Into::into) };
        let cases = [
            ("host", Source::Host),
            ("oci:/a/b", Source::OciLayout(place("/a/b", None))),
            ("oci:b:localhost/x:1", Source::OciLayout(place("b", Some("localhost/x:1")))),
            ("oci-archive:x.tar:1", Source::OciArchive(place("x.tar", Some("1")))),
            ("docker-archive:x.tar", Source::DockerArchive(place("x.tar", None))),
            ("dir:/srv/a:b", Source::Directory("/srv/a:b".into())),
            ("rootfs:/srv/a:b", Source::RootFs("/srv/a:b".into())),
        ];
        for (text, source) in cases {
            assert_eq!(text.parse::<Source>().unwrap(), source, "{text}");
        }
        for (text, problem) in [
            ("oci:", "the path is missing"),
            ("oci::x", "the path is missing"),
            ("oci-archive:a:", "the tag is missing"),
            ("dir:", "the path is missing"),
            ("rootfs:", "the path is missing"),
        ] {
            let error = text.parse::<Source>().unwrap_err();
            assert_eq!(error.to_string(), format!("image {text:?}: {problem}"));
        }
    }

    proptest! {
        #[test]
        fn a_full_name_stands_for_itself(text in "([a-zA-Z0-9.:-]{1,9}/)?[a-z0-9._/-]{1,12}(:[a-zA-Z0-9._-]{1,5})?") {
            if let Ok(reference) = text.parse::<Reference>() {
                let full = reference.to_string();
                prop_assert_eq!(full.parse::<Reference>().map_err(|error| error.to_string()), Ok(reference));
                prop_assert!(!full.contains("//"));
            }
        }

        #[test]
        fn no_text_ends_in_a_path_that_leads_elsewhere(text in ".{0,40}") {
            if let Ok(Source::Registry(reference)) = text.parse::<Source>() {
                prop_assert!(reference.repository().split('/').all(|part| !matches!(part, "" | "." | "..")));
            }
        }
    }
}
