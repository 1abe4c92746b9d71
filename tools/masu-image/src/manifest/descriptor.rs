//! A pointer to content.

use super::{MediaType, Platform};
use crate::Digest;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use std::collections::BTreeMap;

/// What content is and how it is called: all that is needed to fetch it and to know that it is right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    pub media_type: MediaType,
    /// How it is called.
    pub digest: Digest,
    /// How long it is, in bytes.
    #[serde(deserialize_with = "parse_size")]
    pub size: u64,
    /// Where else it may be had. Never followed: they lead to servers that nobody asked for (CVE-2020-15157).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub urls: Option<Vec<String>>,
    /// Remarks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// For which machines it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

impl Descriptor {
    /// One with nothing but what is required.
    #[must_use]
    pub fn new(media_type: impl Into<MediaType>, digest: Digest, size: u64) -> Self {
        let media_type = media_type.into();
        Self { media_type, digest, size, urls: None, annotations: None, platform: None }
    }

    /// The remark of this name.
    #[must_use]
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(name).map(String::as_str)
    }
}

/// The specification's sizes are signed, and umoci before 0.5.1 believed the negative ones.
fn parse_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let size = i64::deserialize(deserializer)?;
    u64::try_from(size).map_err(|_| D::Error::custom(format!("a size is negative: {size}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(size: &str) -> Result<Descriptor, String> {
        let digest = Digest::of(b"");
        let text = format!(r#"{{"mediaType":"text/plain","digest":"{digest}","size":{size}}}"#);
        serde_json::from_str(&text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_size_is_a_number_of_bytes() {
        assert_eq!(parse("7"), Ok(Descriptor::new("text/plain", Digest::of(b""), 7)));
        let cases = [
            ("-1", "a size is negative: -1"),
            ("9223372036854775808", "invalid value: integer `9223372036854775808`, expected i64"),
            ("1.5", "invalid type: floating point `1.5`, expected i64"),
            ("\"7\"", "invalid type: string \"7\", expected i64"),
        ];
        for (size, problem) in cases {
            let error = parse(size).unwrap_err();
            assert!(error.starts_with(problem), "{size}: {error}");
        }
    }
}
