//! Registries: manifests and blobs by the distribution specification's HTTP API.
//!
//! ```text
//! Client ── one for each command: options, credentials, connections
//!   └─ Repository ── one for each name: where it is served, and the token for it
//!        └─ exchange ── one request: redirects, 401 and a token, retries
//! ```
//!
//! **Trust.** A registry is trusted with the credentials for it, and with nothing else: what it sends is believed when
//! its digest is right. Credentials never follow a redirect to another host (CVE-2020-15157), URLs of foreign layers are
//! not followed at all, and certificates are verified unless `--insecure` says otherwise.

mod auth;
mod challenge;
mod credentials;
mod download;
mod endpoint;
mod exchange;
mod proxy;
mod retry;
mod tls;
mod upload;

pub use credentials::{Credentials, auth_files};
pub use endpoint::Endpoint;
pub use upload::Pushed;

use crate::manifest::{Document, MAX_DOCUMENT, MediaType};
use crate::reference::Reference;
use crate::{Descriptor, Digest, Error, Result};
use endpoint::Mirrors;
use exchange::{Call, Exchange};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use ureq::tls::Certificate;

/// What is asked for beside the name of an image.
#[derive(Debug, Default, Clone)]
pub struct Options {
    /// Whether plain HTTP and certificates that nobody vouches for will do.
    pub insecure: bool,
    /// The credentials, instead of those in files.
    pub credentials: Option<Credentials>,
    /// The files with credentials, see [`auth_files`]. `login` writes the first.
    pub auth_files: Vec<PathBuf>,
    /// The directory with certificates, instead of the usual ones.
    pub cert_dir: Option<PathBuf>,
    /// `registries.conf`, instead of the usual ones.
    pub registries_conf: Option<PathBuf>,
}

/// Speaks to registries.
pub struct Client {
    options: Options,
    mirrors: Mirrors,
    /// Connections are kept and shared; the settings of a host are its certificates.
    agents: Mutex<BTreeMap<String, ureq::Agent>>,
    /// The certificates that this machine trusts, read once.
    roots: Mutex<Option<Vec<Certificate<'static>>>>,
    on_retry: OnRetry,
}

/// Is told about what is tried again, for people.
pub type OnRetry = Arc<dyn Fn(&str) + Send + Sync>;

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("options", &self.options).finish_non_exhaustive()
    }
}

/// A manifest or an index, as a registry sent it.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// What it is, and how it is called.
    pub descriptor: Descriptor,
    /// The very bytes.
    pub bytes: Vec<u8>,
    /// What they say.
    pub document: Document,
}

impl Client {
    /// A client with these options. `on_retry` is told why something is tried again.
    ///
    /// # Errors
    ///
    /// Those of `registries.conf`, when that cannot be read.
    pub fn new(options: Options, on_retry: OnRetry) -> Result<Self> {
        let mirrors = Mirrors::read(options.registries_conf.as_deref())?;
        Ok(Self { options, mirrors, agents: Mutex::default(), roots: Mutex::default(), on_retry })
    }

    /// Where a repository may be served: its mirrors first, itself last.
    #[must_use]
    pub fn endpoints(&self, reference: &Reference) -> Vec<Endpoint> {
        self.mirrors.endpoints(reference, self.options.insecure)
    }

    /// A repository where it is served.
    #[must_use]
    pub fn repository(self: &Arc<Self>, reference: &Reference, endpoint: Endpoint) -> Repository {
        let exchange = Exchange::new(Arc::clone(self), reference, endpoint);
        Repository { exchange }
    }

    /// Fetches what a name leads to, from the first place that has it.
    ///
    /// # Errors
    ///
    /// Those of the last place, which is the registry that was named.
    pub fn resolve(self: &Arc<Self>, reference: &Reference) -> Result<(Repository, Fetched)> {
        let mut last = None;
        for endpoint in self.endpoints(reference) {
            let repository = self.repository(reference, endpoint);
            match repository.manifest(&reference.version(), reference.digest()) {
                Ok(fetched) => return Ok((repository, fetched)),
                Err(error) => {
                    if let Some(previous) = last.replace(error) {
                        (self.on_retry)(&format!("mirror: {previous}"));
                    }
                }
            }
        }
        Err(last.unwrap_or_else(|| Error::Missing {
            what: format!("place to fetch {reference} from"),
            hint: "registries.conf blocks it",
        }))
    }

    /// Proves that a registry takes these credentials.
    ///
    /// # Errors
    ///
    /// [`Error::Registry`] when it refuses them.
    pub fn log_in(self: &Arc<Self>, host: &str) -> Result<()> {
        let endpoint = Endpoint::of_host(host, self.options.insecure);
        Exchange::for_host(Arc::clone(self), host, endpoint).send(&Call::get("")).map(|_| ())
    }
}

/// A repository of a registry.
#[derive(Debug)]
pub struct Repository {
    exchange: Exchange,
}

impl Repository {
    /// Fetches a manifest or an index.
    ///
    /// # Errors
    ///
    /// [`Error::Registry`] and [`Error::Network`] when it cannot be had, [`Error::Content`] when it is not what its
    /// digest or its type says.
    pub fn manifest(&self, version: &str, digest: Option<&Digest>) -> Result<Fetched> {
        let call = Call::get(&format!("manifests/{version}")).accept(&[
            MediaType::OCI_MANIFEST,
            MediaType::OCI_INDEX,
            MediaType::DOCKER_MANIFEST,
            MediaType::DOCKER_LIST,
        ]);
        let object = format!("manifest {version}");
        let (announced, bytes) = self.exchange.send_and(&call, |response| {
            let announced = response.headers().get("content-type").and_then(|value| value.to_str().ok());
            let announced = announced.map(MediaType::parse);
            let mut bytes = Vec::new();
            let read = response.body_mut().as_reader().take(MAX_DOCUMENT + 1).read_to_end(&mut bytes);
            read.map(|_| (announced, bytes))
        })?;
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if size > MAX_DOCUMENT {
            let problem = format!("more than {MAX_DOCUMENT} bytes");
            return Err(Error::Content { object, problem });
        }
        let actual = digest.map_or_else(|| Digest::of(&bytes), |digest| digest.algorithm().digest(&bytes));
        if let Some(digest) = digest
            && *digest != actual
        {
            return Err(Error::Content { object, problem: format!("what arrived has the digest {actual}") });
        }
        // Servers that know no better send JSON as such.
        let generic =
            |media_type: &MediaType| matches!(media_type.as_str(), "application/json" | "text/plain");
        let announced = announced.filter(|media_type| !generic(media_type));
        let document = Document::parse(&bytes, announced.as_ref(), &object)?;
        let media_type = announced.unwrap_or_else(|| document.media_type());
        Ok(Fetched { descriptor: Descriptor::new(media_type, actual, size), bytes, document })
    }
}
