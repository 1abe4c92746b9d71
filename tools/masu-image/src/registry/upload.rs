//! Blobs and manifests on their way to a registry (distribution-spec, "Push").
//!
//! ```text
//! HEAD blob ─▶ there        POST mount ─▶ taken over from another repository
//!          └─▶ not there ─▶ POST ─▶ PATCH with the whole blob ─▶ PUT with its digest
//! ```
//!
//! One PATCH with everything is what Docker sends, so every registry takes it. Where the connection breaks, the registry
//! is asked how far it got, and gets the rest as a chunk of its own.

use super::Repository;
use super::exchange::{Body, Call, Failed, Part, Response};
use crate::{Descriptor, Digest, Error, Result};
use std::fs::File;
use ureq::http::header;

/// How a blob came to be in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It was there before.
    Present,
    /// The registry had it in another repository.
    Mounted,
    /// It was sent.
    Sent,
}

/// An upload that has begun.
struct Session {
    /// Where the registry wants the next piece.
    url: String,
    /// What it has, in bytes.
    sent: u64,
}

impl Repository {
    /// Brings a blob into the repository: `content` has it, and `from` is another repository of the same registry that may
    /// have it too. `on_bytes` is told how much is sent after each piece.
    ///
    /// # Errors
    ///
    /// [`Error::Registry`] and [`Error::Network`] when the registry does not take it.
    pub fn push_blob(
        &self,
        descriptor: &Descriptor,
        content: &File,
        from: Option<&str>,
        on_bytes: &dyn Fn(u64),
    ) -> Result<Pushed> {
        if self.has_blob(&descriptor.digest)? {
            return Ok(Pushed::Present);
        }
        let Some(mut session) = self.begin_or_mount(&descriptor.digest, from)? else {
            return Ok(Pushed::Mounted);
        };
        let mut next = 1;
        while let Err(failed) = self.send_rest(&mut session, descriptor, content, on_bytes) {
            self.exchange.wait(failed, next)?;
            next += 1;
            session = match self.ask(&session) {
                Some(known) if known.sent <= descriptor.size => known,
                _ => self.begin()?,
            };
        }
        Ok(Pushed::Sent)
    }

    /// Gives a manifest its name in the repository, a tag or its digest. All that it points to is there before.
    ///
    /// # Errors
    ///
    /// [`Error::Registry`] and [`Error::Network`] when the registry does not take it, [`Error::Content`] when it says that
    /// it has got another one.
    pub fn push_manifest(&self, version: &str, descriptor: &Descriptor, bytes: &[u8]) -> Result<()> {
        let body = Body::Bytes(bytes.to_vec());
        let call = Call { method: "PUT", body, ..Call::get(&format!("manifests/{version}")) };
        let response = self.exchange.send(&call.header("content-type", descriptor.media_type.to_string()))?;
        let digest = response.headers().get("docker-content-digest").and_then(|value| value.to_str().ok());
        match digest.and_then(|text| text.parse::<Digest>().ok()) {
            Some(kept) if kept.algorithm() == descriptor.digest.algorithm() && kept != descriptor.digest => {
                Err(Error::Content {
                    object: format!("manifest {}", descriptor.digest),
                    problem: format!("the registry has kept it as {kept}"),
                })
            }
            _ => Ok(()),
        }
    }

    fn has_blob(&self, digest: &Digest) -> Result<bool> {
        let call = Call { method: "HEAD", ..Call::get(&format!("blobs/{digest}")) };
        match self.exchange.send(&call) {
            Ok(_) => Ok(true),
            Err(Error::Registry { status: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// An upload; `None` when the registry could take the blob from the other repository. Where it does not want to, the
    /// blob is sent as any other.
    fn begin_or_mount(&self, digest: &Digest, from: Option<&str>) -> Result<Option<Session>> {
        let Some(from) = from else { return self.begin().map(Some) };
        let call = post(&format!("blobs/uploads/?mount={digest}&from={from}"));
        match self.exchange.send(&call) {
            Ok(response) if response.status() == 201 => Ok(None),
            Ok(response) => self.session(&call, &response).map(Some),
            Err(Error::Registry { .. }) => self.begin().map(Some),
            Err(error) => Err(error),
        }
    }

    fn begin(&self) -> Result<Session> {
        let call = post("blobs/uploads/");
        let response = self.exchange.send(&call)?;
        self.session(&call, &response)
    }

    fn session(&self, call: &Call<'_>, response: &Response) -> Result<Session> {
        Ok(Session { url: self.exchange.location(call, response)?, sent: 0 })
    }

    fn send_rest(
        &self,
        session: &mut Session,
        descriptor: &Descriptor,
        content: &File,
        on_bytes: &dyn Fn(u64),
    ) -> std::result::Result<(), Failed> {
        let (start, size) = (session.sent, descriptor.size);
        if start < size {
            let body = Body::Part(Part { content, start, end: size, on_bytes });
            let mut call = Call { method: "PATCH", body, ..Call::get(&session.url) }
                .header("content-type", "application/octet-stream".to_owned())
                .header("content-length", (size - start).to_string());
            if start > 0 {
                call = call.header("content-range", format!("{start}-{}", size - 1));
            }
            let response = self.exchange.attempt(&call)?;
            *session = Session { url: self.exchange.location(&call, &response)?, sent: size };
        }
        let separator = if session.url.contains('?') { '&' } else { '?' };
        let url = format!("{}{separator}digest={}", session.url, descriptor.digest);
        self.exchange.attempt(&Call { method: "PUT", ..post(&url) }).map(drop)
    }

    /// How far an upload got, if the registry knows.
    fn ask(&self, session: &Session) -> Option<Session> {
        let call = Call::get(&session.url);
        let response = self.exchange.attempt(&call).ok()?;
        let range = response.headers().get(header::RANGE)?.to_str().ok()?;
        // Nothing and one byte are both `0-0`: it is begun anew.
        let last = parse_last(range).filter(|last| *last > 0)?;
        let url = self.exchange.location(&call, &response).unwrap_or_else(|_| session.url.clone());
        Some(Session { url, sent: last + 1 })
    }
}

fn post<'a>(path: &str) -> Call<'a> {
    Call { method: "POST", body: Body::Bytes(Vec::new()), ..Call::get(path) }
}

/// The last byte of `0-LAST`, which some write as `bytes=0-LAST`.
fn parse_last(range: &str) -> Option<u64> {
    range.strip_prefix("bytes=").unwrap_or(range).strip_prefix("0-")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_registry_has_is_a_range_from_the_start() {
        let cases = [("0-41", Some(41)), ("bytes=0-7", Some(7)), ("5-7", None), ("", None), ("0--1", None)];
        for (range, last) in cases {
            assert_eq!(parse_last(range), last, "{range}");
        }
    }
}
