//! What content is called: the hash of it.

use ring::digest;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The hash functions of the image specification that every implementation must have or may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// `sha256`, which everybody uses.
    Sha256,
    /// `sha512`.
    Sha512,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// Its name, as digests begin and as the directory is called that has their blobs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// The digest of these bytes.
    #[must_use]
    pub fn digest(self, bytes: &[u8]) -> Digest {
        let mut hasher = Hasher::new(self);
        hasher.update(bytes);
        hasher.finish()
    }

    fn implementation(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        }
    }

    fn hex_digits(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

/// `ALGORITHM:HEX`. There is no value of this type but a valid one: it may become a part of a path or of a URL
/// (CVE-2024-3727 was a digest that had never been looked at).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest {
    algorithm: Algorithm,
    hex: Box<str>,
}

impl Digest {
    /// The SHA-256 digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Algorithm::Sha256.digest(bytes)
    }

    /// The hash function.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hash, in lower-case hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.hex
    }

    /// The first twelve digits, which is how people tell images apart.
    #[must_use]
    pub fn short(&self) -> &str {
        self.hex.get(..12).unwrap_or(&self.hex)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

/// Why a text is no digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidDigest {
    /// No colon.
    Form,
    /// A hash function that is not one of [`Algorithm::ALL`].
    Algorithm,
    /// Too many or too few digits, or others than 0-9 and a-f.
    Digits,
}

impl fmt::Display for InvalidDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "a digest is ALGORITHM:HEX",
            Self::Algorithm => "the algorithm of a digest is sha256 or sha512",
            Self::Digits => "a digest has 64 (sha256) or 128 (sha512) digits of 0-9 and a-f",
        })
    }
}

impl std::error::Error for InvalidDigest {}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let (name, hex) = text.split_once(':').ok_or(InvalidDigest::Form)?;
        let algorithm = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name);
        let algorithm = algorithm.ok_or(InvalidDigest::Algorithm)?;
        let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if hex.len() != algorithm.hex_digits() || !hex.bytes().all(is_digit) {
            return Err(InvalidDigest::Digits);
        }
        Ok(Self { algorithm, hex: hex.into() })
    }
}

impl TryFrom<String> for Digest {
    type Error = InvalidDigest;

    fn try_from(text: String) -> Result<Self, InvalidDigest> {
        text.parse()
    }
}

/// Makes a digest of what it is fed with.
#[derive(Clone)]
pub struct Hasher {
    algorithm: Algorithm,
    state: digest::Context,
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl Hasher {
    /// One that has been fed with nothing.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, state: digest::Context::new(algorithm.implementation()) }
    }

    /// Feeds it.
    pub fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
    }

    /// The digest of all that was fed.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest { algorithm: self.algorithm, hex: hex(self.state.finish().as_ref()) }
    }
}

fn hex(bytes: &[u8]) -> Box<str> {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_digest_is_in_lower_case() {
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
        let mut hasher = Hasher::new(Algorithm::Sha512);
        hasher.update(b"ab");
        hasher.update(b"c");
        let digest = hasher.finish();
        assert_eq!(digest.short(), "ddaf35a19361");
        assert_eq!(digest.to_string().parse(), Ok(digest));
    }

    #[test]
    fn what_could_become_another_path_is_no_digest() {
        let upper = EMPTY.replace('e', "E");
        let cases = [
            ("", InvalidDigest::Form),
            ("e3b0c44298fc", InvalidDigest::Form),
            ("md5:d41d8cd98f00b204e9800998ecf8427e", InvalidDigest::Algorithm),
            ("../..:e3b0", InvalidDigest::Algorithm),
            ("SHA256:e3b0", InvalidDigest::Algorithm),
            ("sha256:", InvalidDigest::Digits),
            (
                "sha256:../../../../../../../../../../../../../../../../../../../../etc/sh",
                InvalidDigest::Digits,
            ),
            (upper.as_str(), InvalidDigest::Digits),
            (&EMPTY[..70], InvalidDigest::Digits),
            (
                "sha512:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                InvalidDigest::Digits,
            ),
        ];
        for (text, problem) in cases {
            assert_eq!(text.parse::<Digest>(), Err(problem), "{text}");
        }
        assert_eq!(EMPTY.parse::<Digest>().unwrap().to_string(), EMPTY);
    }
}
