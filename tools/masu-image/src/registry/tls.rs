//! Connections: certificates, proxies, time limits.

use super::{Client, proxy};
use crate::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

/// Where podman and Docker look for the certificates of a registry, each in a folder `HOST[:PORT]`.
const CERTS_D: [&str; 2] = ["/etc/containers/certs.d", "/etc/docker/certs.d"];
const CONNECT: Duration = Duration::from_secs(15);
/// How long a server may say nothing: a registry may have to fetch a blob itself first.
const SILENCE: Duration = Duration::from_secs(60);

/// The certificates of one registry.
#[derive(Debug, Default)]
struct Certificates {
    /// `*.crt`: who is trusted beside those that the machine trusts.
    authorities: Vec<Certificate<'static>>,
    /// `*.cert` and `*.key`: who masu is.
    client: Option<ClientCert>,
}

impl Client {
    /// The connections to one host.
    pub(super) fn agent(&self, scheme: &str, host: &str, insecure: bool) -> Result<ureq::Agent> {
        let key = format!("{scheme}://{host} {insecure}");
        let mut agents = self.agents.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(agent) = agents.get(&key) {
            return Ok(agent.clone());
        }
        let tls = if scheme == "https" { Some(self.tls(host, insecure)?) } else { None };
        let address = proxy::choose(|name| std::env::var(name).ok(), scheme, host);
        let proxy = match &address {
            Some(address) => Some(ureq::Proxy::new(address).map_err(|error| Error::Syntax {
                what: "proxy",
                given: address.clone(),
                problem: error.to_string(),
            })?),
            None => None,
        };
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // Redirects are followed by exchange.rs, which knows what must not go along.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(proxy)
            .user_agent(concat!("masu/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(CONNECT))
            .timeout_per_read(Some(SILENCE))
            .timeout_per_write(Some(SILENCE));
        let config = match tls {
            Some(tls) => config.tls_config(tls).build(),
            None => config.build(),
        };
        let agent = config.new_agent();
        agents.insert(key, agent.clone());
        Ok(agent)
    }

    fn tls(&self, host: &str, insecure: bool) -> Result<TlsConfig> {
        let directories = match &self.options.cert_dir {
            Some(directory) => vec![directory.clone()],
            None => CERTS_D.iter().map(|folder| Path::new(folder).join(host)).collect(),
        };
        let mut certificates = Certificates::default();
        for directory in directories {
            certificates.read(&directory, self.options.cert_dir.is_some())?;
        }
        let mut roots = self.system_roots();
        roots.extend(certificates.authorities);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Ok(TlsConfig::builder()
            .unversioned_rustls_crypto_provider(provider)
            .root_certs(RootCerts::new_with_certs(&roots))
            .client_cert(certificates.client)
            .disable_verification(insecure)
            .build())
    }

    /// What this machine trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` change that. A machine without certificates trusts
    /// nobody, and the connection says so.
    fn system_roots(&self) -> Vec<Certificate<'static>> {
        let mut roots = self.roots.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let read = || {
            let found = rustls_native_certs::load_native_certs().certs;
            found.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect::<Vec<_>>()
        };
        roots.get_or_insert_with(read).clone()
    }
}

impl Certificates {
    /// Reads a folder as containers-certs.d(5) has it. It need not be there, unless the user named it.
    fn read(&mut self, directory: &Path, required: bool) -> Result<()> {
        let entries = match directory.read_dir() {
            Ok(entries) => entries,
            Err(error) if !required && error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::file("read", directory)(error)),
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in &paths {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => self.authorities.extend(read_certificates(path)?),
                Some("cert") => {
                    let key = path.with_extension("key");
                    let pem = std::fs::read(&key).map_err(Error::file("read", &key))?;
                    let key = PrivateKey::from_pem(&pem).map_err(|error| in_file(&key, &error))?;
                    self.client = Some(ClientCert::new_with_certs(&read_certificates(path)?, key));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn read_certificates(path: &Path) -> Result<Vec<Certificate<'static>>> {
    let pem = std::fs::read(path).map_err(Error::file("read", path))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| in_file(path, &error))? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        let problem = "no certificate in PEM form".to_owned();
        return Err(Error::Content { object: path.display().to_string(), problem });
    }
    Ok(certificates)
}

fn in_file(path: &Path, error: &ureq::Error) -> Error {
    Error::Content { object: path.display().to_string(), problem: error.to_string() }
}
