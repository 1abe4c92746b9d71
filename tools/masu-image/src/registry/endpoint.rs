//! Where a repository is served: `registries.conf`, which podman, buildah and skopeo read too
//! (containers-registries.conf(5)).

use crate::reference::{DEFAULT_HOST, Reference};
use crate::{Error, Result};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The host that serves what is called docker.io.
const DOCKER_API: &str = "registry-1.docker.io";

/// A server, and the name that a repository has there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The host, with its port.
    pub host: String,
    /// The repository; empty for the registry itself.
    pub repository: String,
    /// Whether plain HTTP and any certificate will do.
    pub insecure: bool,
    /// Whether this is a mirror: then the credentials are those for its own host.
    pub is_mirror: bool,
}

impl Endpoint {
    /// A registry itself.
    pub(super) fn of_host(host: &str, insecure: bool) -> Self {
        Self { host: api_host(host), repository: String::new(), insecure, is_mirror: false }
    }
}

fn api_host(host: &str) -> String {
    if host == DEFAULT_HOST { DOCKER_API.to_owned() } else { host.to_owned() }
}

/// What `registries.conf` says. The lists of hosts for short names are not used: a short name is docker.io's.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Mirrors {
    #[serde(default)]
    registry: Vec<Registry>,
}

#[derive(Debug, Deserialize)]
struct Registry {
    prefix: Option<String>,
    location: Option<String>,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror: Vec<Mirror>,
}

#[derive(Debug, Deserialize)]
struct Mirror {
    location: String,
    #[serde(default)]
    insecure: bool,
}

impl Mirrors {
    /// Reads the file that is in force, and the folder beside it: `given`, `$CONTAINERS_REGISTRIES_CONF`, the user's,
    /// the machine's.
    pub(super) fn read(given: Option<&Path>) -> Result<Self> {
        let variable = std::env::var_os("CONTAINERS_REGISTRIES_CONF").map(PathBuf::from);
        if let Some(path) = given.map(Path::to_owned).or(variable) {
            return Self::read_file(&path).and_then(|found| {
                let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
                found.ok_or_else(|| Error::file("read", &path)(missing))
            });
        }
        let own =
            std::env::var_os("HOME").map(|home| Path::new(&home).join(".config/containers/registries.conf"));
        let system = PathBuf::from("/etc/containers/registries.conf");
        for path in own.into_iter().chain([system]) {
            if let Some(mut mirrors) = Self::read_file(&path)? {
                mirrors.add_folder(&path.with_extension("conf.d"))?;
                return Ok(mirrors);
            }
        }
        Ok(Self::default())
    }

    fn read_file(path: &Path) -> Result<Option<Self>> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text)
                .map(Some)
                .map_err(|problem| Error::Content { object: path.display().to_string(), problem }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file("read", path)(error)),
        }
    }

    fn parse(text: &str) -> std::result::Result<Self, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    fn add_folder(&mut self, folder: &Path) -> Result<()> {
        let mut paths: Vec<_> = match folder.read_dir() {
            Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
            Err(_) => return Ok(()), // Nobody has to have one.
        };
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
        paths.sort();
        for path in paths {
            if let Some(more) = Self::read_file(&path)? {
                self.registry.extend(more.registry);
            }
        }
        Ok(())
    }

    /// Where to look, in this order; nowhere when it is blocked.
    pub(super) fn endpoints(&self, reference: &Reference, insecure: bool) -> Vec<Endpoint> {
        let name = format!("{}/{}", reference.host(), reference.repository());
        let mut best: Option<(&Registry, &str)> = None;
        for registry in &self.registry {
            let prefix = registry.prefix.as_deref().or(registry.location.as_deref()).unwrap_or_default();
            if covers(prefix, &name) && best.is_none_or(|(_, other)| other.len() < prefix.len()) {
                best = Some((registry, prefix));
            }
        }
        let itself = |location: &str, insecure| endpoint(location, insecure, false);
        let Some((registry, prefix)) = best else { return vec![itself(&name, insecure)] };
        if registry.blocked {
            return Vec::new();
        }
        let rest = name.get(prefix.len()..).filter(|_| !prefix.starts_with("*.")).unwrap_or_default();
        let mut endpoints: Vec<_> = registry
            .mirror
            .iter()
            .map(|mirror| endpoint(&format!("{}{rest}", mirror.location), mirror.insecure || insecure, true))
            .collect();
        let location = match &registry.location {
            Some(location) if !prefix.starts_with("*.") => format!("{location}{rest}"),
            _ => name,
        };
        endpoints.push(itself(&location, registry.insecure || insecure));
        endpoints
    }
}

fn endpoint(location: &str, insecure: bool, is_mirror: bool) -> Endpoint {
    let (host, repository) = location.split_once('/').unwrap_or((location, ""));
    Endpoint { host: api_host(host), repository: repository.to_owned(), insecure, is_mirror }
}

/// Whether a prefix stands for this name: up to a whole part of it, or by `*.DOMAIN`.
fn covers(prefix: &str, name: &str) -> bool {
    if let Some(domain) = prefix.strip_prefix('*') {
        return name.split_once('/').is_some_and(|(host, _)| host.ends_with(domain));
    }
    let ends = |rest: &str| rest.is_empty() || rest.starts_with('/');
    !prefix.is_empty() && name.strip_prefix(prefix).is_some_and(ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONF: &str = r#"
        unqualified-search-registries = ["quay.io"]
        [[registry]]
        location = "docker.io"
        [[registry.mirror]]
        location = "127.0.0.1:5000"
        insecure = true
        [[registry]]
        prefix = "quay.io/team"
        location = "mirror.local/quay"
        [[registry]]
        prefix = "bad.io"
        blocked = true
        [[registry]]
        prefix = "*.corp.local"
        insecure = true
    "#;

    fn told(name: &str) -> Vec<String> {
        let endpoints = Mirrors::parse(CONF).unwrap().endpoints(&name.parse().unwrap(), false);
        let tell = |e: Endpoint| {
            let marks = [(e.insecure, " insecure"), (e.is_mirror, " mirror")];
            let marks: String = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect();
            format!("{}/{}{marks}", e.host, e.repository)
        };
        endpoints.into_iter().map(tell).collect()
    }

    #[test]
    fn mirrors_come_before_the_registry_itself() {
        let cases: [(&str, &[&str]); 6] = [
            (
                "busybox",
                &["127.0.0.1:5000/library/busybox insecure mirror", "registry-1.docker.io/library/busybox"],
            ),
            ("quay.io/other/a", &["quay.io/other/a"]),
            ("quay.io/team/a", &["mirror.local/quay/a"]),
            ("quay.io/teams/a", &["quay.io/teams/a"]),
            ("bad.io/a", &[]),
            ("x.corp.local/a", &["x.corp.local/a insecure"]),
        ];
        for (name, endpoints) in cases {
            assert_eq!(told(name), endpoints, "{name}");
        }
    }

    #[test]
    fn a_file_that_is_none_is_told_what_is_wrong() {
        let error = Mirrors::parse("[[registry]]\nlocation = 5").unwrap_err();
        assert_eq!(error, "invalid type: integer `5`, expected a string");
    }
}
