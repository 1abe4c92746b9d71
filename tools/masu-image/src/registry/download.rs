//! Blobs: fetched in one go, or from where the connection broke.

use super::Repository;
use super::exchange::{Call, Failed, Response};
use crate::store::BlobWriter;
use crate::{Descriptor, Error, Result};
use std::io::Read;
use ureq::http::{StatusCode, header};

/// How much is read at once, in bytes.
const CHUNK: usize = 256 << 10;

impl Repository {
    /// Fetches what a blob still lacks, however often the connection breaks, as long as it gets on. `on_bytes` is told how
    /// much there is after each piece, and says whether to go on; what is there is not verified before the blob is
    /// committed.
    ///
    /// # Errors
    ///
    /// [`Error::Registry`] and [`Error::Network`] when it cannot be had, [`Error::Content`] when it is longer or shorter
    /// than it should be, [`Error::File`] when it cannot be written.
    pub fn fetch_blob(
        &self,
        descriptor: &Descriptor,
        blob: &mut BlobWriter,
        mut on_bytes: impl FnMut(u64) -> bool,
    ) -> Result<()> {
        let mut next = 1;
        while blob.written() < descriptor.size {
            let before = blob.written();
            if !on_bytes(before) {
                return Err(abandoned(descriptor));
            }
            if let Err(failed) = self.fetch_rest(descriptor, blob, &mut on_bytes) {
                // What gets on is not counted: only what fails again and again at the same place is given up.
                next = if blob.written() > before { 1 } else { next };
                self.exchange.wait(failed, next)?;
                next += 1;
            }
        }
        Ok(())
    }

    fn fetch_rest(
        &self,
        descriptor: &Descriptor,
        blob: &mut BlobWriter,
        on_bytes: &mut impl FnMut(u64) -> bool,
    ) -> std::result::Result<(), Failed> {
        let start = blob.written();
        let mut call = Call::get(&format!("blobs/{}", descriptor.digest));
        if start > 0 {
            call = call.header("range", format!("bytes={start}-"));
        }
        let mut response = self.exchange.attempt(&call)?;
        // A server that does not know ranges sends all of it again: what is there already is passed over.
        let mut to_skip = match response.status() {
            StatusCode::PARTIAL_CONTENT => check_range(&response, descriptor, start).map(|()| 0)?,
            _ => check_length(&response, descriptor).map(|()| start)?,
        };
        let mut reader = response.body_mut().as_reader();
        let mut buffer = vec![0; CHUNK];
        loop {
            let length = match reader.read(&mut buffer) {
                Ok(0) if blob.written() < descriptor.size => {
                    let early =
                        format!("the connection ended after {} of {} bytes", blob.written(), descriptor.size);
                    return Err(Failed::Now(
                        self.exchange.broken(&call, &std::io::Error::other(early)),
                        None,
                    ));
                }
                Ok(0) => return Ok(()),
                Ok(length) => length,
                Err(error) => return Err(Failed::Now(self.exchange.broken(&call, &error), None)),
            };
            let skipped = usize::try_from(to_skip).unwrap_or(usize::MAX).min(length);
            to_skip -= u64::try_from(skipped).unwrap_or(0);
            blob.append(buffer.get(skipped..length).unwrap_or_default())?;
            if !on_bytes(blob.written()) {
                return Err(abandoned(descriptor).into());
            }
        }
    }
}

fn header_of<'a>(response: &'a Response, name: &header::HeaderName) -> Option<&'a str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}

/// Nobody gets to see this: there is another error, for which the download was given up.
fn abandoned(descriptor: &Descriptor) -> Error {
    refuse(descriptor, "nobody wants it any more".to_owned())
}

fn refuse(descriptor: &Descriptor, problem: String) -> Error {
    Error::Content { object: format!("blob {}", descriptor.digest), problem }
}

/// A part has to be the one that was asked for.
fn check_range(response: &Response, descriptor: &Descriptor, start: u64) -> Result<()> {
    let range = header_of(response, &header::CONTENT_RANGE).unwrap_or_default();
    let wanted = format!("bytes {start}-{}/{}", descriptor.size - 1, descriptor.size);
    let open = format!("bytes {start}-{}/*", descriptor.size - 1);
    if range == wanted || range == open {
        return Ok(());
    }
    Err(refuse(descriptor, format!("asked for the bytes from {start}, got {range:?}")))
}

/// A length that is wrong from the start need not be read to its end.
fn check_length(response: &Response, descriptor: &Descriptor) -> Result<()> {
    match header_of(response, &header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok()) {
        Some(length) if length != descriptor.size => {
            Err(refuse(descriptor, format!("the server has {length} bytes of it, not {}", descriptor.size)))
        }
        _ => Ok(()),
    }
}
