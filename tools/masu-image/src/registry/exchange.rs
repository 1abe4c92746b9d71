//! One request: where it goes, what goes along, what an answer means.

use super::credentials::Credentials;
use super::endpoint::Endpoint;
use super::{Client, auth, retry};
use crate::reference::Reference;
use crate::{Error, Result};
use serde::Deserialize;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use ureq::SendBody;
use ureq::http::{HeaderMap, Request, Uri, header};

pub(super) type Response = ureq::http::Response<ureq::Body>;

const REDIRECTS: usize = 5;
/// How much of an error's text is read, in bytes.
const ERROR_TEXT: u64 = 16 << 10;

/// What is asked for.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) method: &'static str,
    /// Below the repository, or a whole URL.
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Body<'a>,
}

/// What is sent along.
#[derive(Debug)]
pub(super) enum Body<'a> {
    Nothing,
    Bytes(Vec<u8>),
    Part(Part<'a>),
}

/// Some of a file, read anew whenever it is sent again.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) content: &'a File,
    /// From this byte on.
    pub(super) start: u64,
    /// Up to this one, which is not sent.
    pub(super) end: u64,
    /// Is told how far it is read.
    pub(super) on_bytes: &'a dyn Fn(u64),
}

impl std::fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Part({}..{})", self.start, self.end)
    }
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = usize::try_from(self.end - self.start).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.content.read_at(buffer.get_mut(..length).unwrap_or_default(), self.start)?;
        self.start += read as u64;
        (self.on_bytes)(self.start);
        Ok(read)
    }
}

impl Call<'_> {
    pub(super) fn get(path: &str) -> Self {
        Self { method: "GET", path: path.to_owned(), headers: Vec::new(), body: Body::Nothing }
    }

    pub(super) fn accept(mut self, types: &[&str]) -> Self {
        self.headers.push(("accept", types.join(", ")));
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// Why an attempt failed.
#[derive(Debug)]
pub(super) enum Failed {
    /// For good.
    Final(Error),
    /// For now, perhaps with what the server said about when to come back.
    Now(Error, Option<Duration>),
}

impl Failed {
    fn into_error(self) -> Error {
        match self {
            Self::Final(error) | Self::Now(error, _) => error,
        }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// A repository, or a registry, that is spoken to.
#[derive(Debug)]
pub(super) struct Exchange {
    client: Arc<Client>,
    endpoint: Endpoint,
    /// The host that credentials are kept for.
    credentials_host: String,
    /// `https`, unless the user leaves it open and the server has none.
    scheme: Mutex<Option<&'static str>>,
    /// The value of `Authorization` that was accepted last.
    authorization: Mutex<Option<String>>,
}

impl Exchange {
    pub(super) fn new(client: Arc<Client>, reference: &Reference, endpoint: Endpoint) -> Self {
        let host = if endpoint.is_mirror { endpoint.host.clone() } else { reference.host().to_owned() };
        Self::for_host(client, &host, endpoint)
    }

    pub(super) fn for_host(client: Arc<Client>, host: &str, endpoint: Endpoint) -> Self {
        let (scheme, authorization) = (Mutex::default(), Mutex::default());
        Self { client, endpoint, credentials_host: host.to_owned(), scheme, authorization }
    }

    /// Sends a request and returns the answer to it, which is a good one.
    pub(super) fn send(&self, call: &Call<'_>) -> Result<Response> {
        self.persist(|| self.attempt(call))
    }

    /// The same, with the reading of the body as a part of what is tried again.
    pub(super) fn send_and<T>(
        &self,
        call: &Call<'_>,
        read: impl Fn(&mut Response) -> std::io::Result<T>,
    ) -> Result<T> {
        self.persist(|| {
            let mut response = self.attempt(call)?;
            read(&mut response).map_err(|error| Failed::Now(self.broken(call, &error), None))
        })
    }

    /// Tries again what failed for now.
    fn persist<T>(&self, mut attempt: impl FnMut() -> std::result::Result<T, Failed>) -> Result<T> {
        let mut next = 1;
        loop {
            match attempt() {
                Ok(done) => return Ok(done),
                Err(failed) => self.wait(failed, next)?,
            }
            next += 1;
        }
    }

    /// Waits before attempt `next`, or gives up.
    pub(super) fn wait(&self, failed: Failed, next: u32) -> Result<()> {
        let (error, wish) = match failed {
            Failed::Final(error) => return Err(error),
            Failed::Now(error, wish) => (error, wish),
        };
        match retry::delay(next, wish) {
            Some(delay) if next < retry::ATTEMPTS => {
                (self.client.on_retry)(&format!("{error}; trying again in {:.1} s", delay.as_secs_f64()));
                std::thread::sleep(delay);
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// One attempt. A 401 is answered once: the token may have expired since the last request.
    pub(super) fn attempt(&self, call: &Call<'_>) -> std::result::Result<Response, Failed> {
        let known = self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (response, at_home) = self.follow(call, known.as_deref())?;
        let response = if response.status() == 401 && at_home {
            let fresh = self.authorize(call, response.headers())?;
            *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(fresh.clone());
            self.follow(call, Some(&fresh))?.0
        } else {
            response
        };
        if response.status().is_success() { Ok(response) } else { Err(self.refused(call, response)) }
    }

    /// Sends a request, and follows where a GET or HEAD is led. Says whether the answer is the registry's own: only that gets to
    /// see who the user is.
    fn follow(
        &self,
        call: &Call<'_>,
        authorization: Option<&str>,
    ) -> std::result::Result<(Response, bool), Failed> {
        let home = format!("{}://{}", self.scheme()?, self.endpoint.host);
        let mut url = self.url(call)?;
        for _ in 0..=REDIRECTS {
            let at_home = url.strip_prefix(&home).is_some_and(|rest| rest.starts_with('/'));
            let response =
                self.client.send(call, &url, authorization.filter(|_| at_home), self.endpoint.insecure)?;
            let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            let (301..=303 | 307 | 308, "GET" | "HEAD", Some(location)) =
                (response.status().as_u16(), call.method, location)
            else {
                return Ok((response, at_home));
            };
            let target =
                join(&url, location).filter(|target| self.endpoint.insecure || is_as_safe(&url, target));
            url = target.ok_or_else(|| {
                self.error(call, response.status().as_u16(), format!("redirect to {location:?}"))
            })?;
        }
        Err(self.error(call, 310, format!("more than {REDIRECTS} redirects")).into())
    }

    /// Where an answer's `Location` leads: where an upload goes on.
    pub(super) fn location(&self, call: &Call<'_>, response: &Response) -> Result<String> {
        let (url, status) = (self.url(call).map_err(Failed::into_error)?, response.status().as_u16());
        let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        let location = location.ok_or_else(|| self.error(call, status, "no Location".to_owned()))?;
        join(&url, location)
            .filter(|target| self.endpoint.insecure || is_as_safe(&url, target))
            .ok_or_else(|| self.error(call, status, format!("Location {location:?}")))
    }

    /// The answer to a challenge.
    fn authorize(&self, call: &Call<'_>, headers: &HeaderMap) -> std::result::Result<String, Failed> {
        let (host, repository) = (&self.credentials_host, &self.endpoint.repository);
        let credentials = Credentials::find(&self.client.options, host, repository)?;
        let write = call.method != "GET";
        auth::answer(&self.client, &self.endpoint, headers, credentials.as_ref(), write)?
            .ok_or_else(|| self.error(call, 401, "credentials are needed".to_owned()).into())
    }

    /// `https`, or `http` when the user leaves that open and nobody speaks TLS.
    fn scheme(&self) -> std::result::Result<&'static str, Failed> {
        let mut scheme = self.scheme.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = *scheme {
            return Ok(known);
        }
        let found = if self.endpoint.insecure {
            let url = format!("https://{}/v2/", self.endpoint.host);
            match self.client.send(&Call::get(""), &url, None, true) {
                Ok(_) => "https",
                Err(_) => "http",
            }
        } else {
            "https"
        };
        *scheme = Some(found);
        Ok(found)
    }

    fn url(&self, call: &Call<'_>) -> std::result::Result<String, Failed> {
        if call.path.contains("://") {
            return Ok(call.path.clone());
        }
        let (scheme, Endpoint { host, repository, .. }) = (self.scheme()?, &self.endpoint);
        Ok(match (repository.as_str(), call.path.as_str()) {
            ("", _) | (_, "") => format!("{scheme}://{host}/v2/"),
            (repository, path) => format!("{scheme}://{host}/v2/{repository}/{path}"),
        })
    }

    /// What was asked for, for messages.
    fn request(&self, call: &Call<'_>) -> String {
        match self.url(call) {
            Ok(url) => describe(call.method, &url),
            Err(_) => format!("{} {}", call.method, call.path),
        }
    }

    fn error(&self, call: &Call<'_>, status: u16, problem: String) -> Error {
        let hint = match status {
            401 | 403 => Some(format!("masu image login {}", self.credentials_host)),
            _ => None,
        };
        Error::Registry { request: self.request(call), status, problem, hint }
    }

    /// A connection that broke while the answer was read.
    pub(super) fn broken(&self, call: &Call<'_>, error: &std::io::Error) -> Error {
        Error::Network { request: self.request(call), problem: error.to_string(), hint: None }
    }

    fn refused(&self, call: &Call<'_>, mut response: Response) -> Failed {
        let status = response.status().as_u16();
        let wish = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let wish = wish.and_then(retry::parse_retry_after);
        let mut text = Vec::new();
        // The status alone is told when the text cannot be read.
        response.body_mut().as_reader().take(ERROR_TEXT).read_to_end(&mut text).ok();
        let error = self.error(call, status, parse_problem(&text));
        if retry::is_temporary(status) { Failed::Now(error, wish) } else { Failed::Final(error) }
    }
}

impl Client {
    /// Sends one request to one place.
    pub(super) fn send(
        &self,
        call: &Call<'_>,
        url: &str,
        authorization: Option<&str>,
        insecure: bool,
    ) -> std::result::Result<Response, Failed> {
        let request = describe(call.method, url);
        let invalid = |problem: String| Error::Network { request: request.clone(), problem, hint: None };
        let uri: Uri = url.parse().map_err(|error| invalid(format!("{error}")))?;
        let host = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
        let agent = self.agent(uri.scheme_str().unwrap_or("https"), host, insecure)?;
        let mut builder = Request::builder().method(call.method).uri(&uri);
        for (name, value) in &call.headers {
            builder = builder.header(*name, value);
        }
        if let Some(authorization) = authorization {
            builder = builder.header(header::AUTHORIZATION, authorization);
        }
        let built = |error: ureq::http::Error| invalid(error.to_string());
        let answer = match &call.body {
            Body::Nothing => agent.run(builder.body(()).map_err(built)?),
            Body::Bytes(bytes) => agent.run(builder.body(bytes.as_slice()).map_err(built)?),
            Body::Part(part) => {
                agent.run(builder.body(SendBody::from_reader(&mut part.clone())).map_err(built)?)
            }
        };
        answer.map_err(|error| network_failure(request, &error))
    }
}

fn network_failure(request: String, error: &ureq::Error) -> Failed {
    use std::io::ErrorKind as Io;
    let problem = match error {
        ureq::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    };
    let temporary = match error {
        ureq::Error::Timeout(_) => true,
        ureq::Error::Io(error) => matches!(
            error.kind(),
            Io::ConnectionReset | Io::ConnectionAborted | Io::UnexpectedEof | Io::BrokenPipe | Io::TimedOut
        ),
        _ => false,
    };
    let hint = if problem.contains("InvalidContentType") || problem.contains("corrupt message") {
        Some("the server does not speak TLS; --insecure allows plain HTTP")
    } else if problem.contains("UnknownIssuer") {
        Some("--cert-dir DIR with the certificate of its authority, a file *.crt; --insecure trusts anybody")
    } else if problem.contains("CaUsedAsEndEntity") {
        Some("the server shows the certificate of an authority as its own; it needs one with CA:FALSE")
    } else {
        None
    };
    let error = Error::Network { request, problem, hint };
    if temporary { Failed::Now(error, None) } else { Failed::Final(error) }
}

/// A request for messages: queries of redirects are signatures, which are for nobody's eyes.
fn describe(method: &str, url: &str) -> String {
    format!("{method} {}", url.split('?').next().unwrap_or(url))
}

/// A redirect may not lead from TLS to plain HTTP.
fn is_as_safe(from: &str, to: &str) -> bool {
    to.starts_with("https://") || !from.starts_with("https://")
}

/// The address that a `Location` leads to from another one.
pub(super) fn join(base: &str, location: &str) -> Option<String> {
    let (scheme, rest) = base.split_once("://")?;
    let host = rest.split('/').next()?;
    if location.starts_with("https://") || location.starts_with("http://") {
        Some(location.to_owned())
    } else if location.starts_with("//") {
        Some(format!("{scheme}:{location}"))
    } else if location.starts_with('/') {
        Some(format!("{scheme}://{host}{location}"))
    } else {
        None
    }
}

/// The words of a registry's error, without control characters: they are a stranger's.
fn parse_problem(text: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<Problem>,
    }
    #[derive(Deserialize)]
    struct Problem {
        code: String,
        #[serde(default)]
        message: String,
    }
    let Ok(Errors { errors }) = serde_json::from_slice(text) else { return String::new() };
    let told = errors.iter().map(|problem| match problem.message.as_str() {
        "" => problem.code.clone(),
        message => format!("{} ({})", message, problem.code),
    });
    told.collect::<Vec<_>>().join("; ").chars().filter(|letter| !letter.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_an_address_of_its_own_or_one_on_the_same_host() {
        let base = "https://a.io:5000/v2/x";
        let cases = [
            ("https://b.io/y", Some("https://b.io/y")),
            ("//b.io/y", Some("https://b.io/y")),
            ("/y?z", Some("https://a.io:5000/y?z")),
            ("y", None),
            ("ftp://b.io", None),
        ];
        for (location, url) in cases {
            assert_eq!(join(base, location).as_deref(), url, "{location}");
        }
    }

    #[test]
    fn the_words_of_a_registry_are_told_without_control_characters() {
        let cases = [
            (r#"{"errors":[{"code":"DENIED","message":"no\u001b[31m"},{"code":"X"}]}"#, "no[31m (DENIED); X"),
            ("<html>", ""),
            ("", ""),
        ];
        for (text, problem) in cases {
            assert_eq!(parse_problem(text.as_bytes()), problem);
        }
    }
}
