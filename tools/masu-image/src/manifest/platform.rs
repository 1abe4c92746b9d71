//! The machines that an image is for.

use super::{Descriptor, ImageConfig, Index};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// An operating system and a processor, by Go's names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`, `arm64`, ….
    pub architecture: String,
    /// `v7` of `arm`, ….
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// The one of this machine.
    #[must_use]
    pub fn host() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" => "ppc64le",
            other => other,
        };
        Self { os: "linux".into(), architecture: architecture.into(), variant: None }
    }

    /// The one that an image says it is for.
    #[must_use]
    pub fn of(config: &ImageConfig) -> Self {
        let (os, architecture) = (config.os.clone(), config.architecture.clone());
        Self { os, architecture, variant: config.variant.clone() }
    }

    /// Whether what is for `other` runs here.
    #[must_use]
    pub fn runs(&self, other: &Self) -> bool {
        self.os == other.os
            && self.architecture == other.architecture
            && self.runnable_variants().contains(&other.variant.as_deref())
    }

    /// The variants that run here, the best first. Every 32-bit ARM runs what older ones do; a variant that is not
    /// named is the usual one.
    fn runnable_variants(&self) -> Vec<Option<&str>> {
        match (self.architecture.as_str(), self.variant.as_deref()) {
            ("arm", variant) => {
                let versions = ["v8", "v7", "v6", "v5"];
                let own = variant.unwrap_or("v7");
                let from = versions.iter().position(|version| *version == own);
                match from {
                    Some(from) => versions.iter().skip(from).copied().map(Some).chain([None]).collect(),
                    None => vec![Some(own)],
                }
            }
            ("arm64", None | Some("v8")) => vec![Some("v8"), None],
            ("amd64", None | Some("v1")) => vec![None, Some("v1")],
            (_, variant) => vec![variant],
        }
    }

    /// The manifest of an index for this platform.
    ///
    /// # Errors
    ///
    /// [`Error::Platform`] with those that there are.
    pub fn choose<'a>(&self, index: &'a Index) -> Result<&'a Descriptor> {
        let fits = |descriptor: &&Descriptor, variant: Option<&str>| {
            descriptor.platform.as_ref().is_some_and(|platform| {
                platform.os == self.os
                    && platform.architecture == self.architecture
                    && platform.variant.as_deref() == variant
            })
        };
        let mut variants = self.runnable_variants().into_iter();
        let found = variants.find_map(|variant| index.manifests.iter().find(|d| fits(d, variant)));
        if let Some(descriptor) = found {
            return Ok(descriptor);
        }
        // Tools that make images for one machine leave the platform out.
        if let [only] = index.manifests.as_slice()
            && only.platform.is_none()
        {
            return Ok(only);
        }
        let platforms = index.manifests.iter().filter_map(|descriptor| descriptor.platform.as_ref());
        // Build tools add attestations, whose platform is unknown/unknown.
        let available = platforms.filter(|platform| platform.os != "unknown").map(Self::to_string).collect();
        Err(Error::Platform { wanted: self.to_string(), available })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Platform {
    type Err = &'static str;

    /// `OS/ARCHITECTURE[/VARIANT]`, with the names that `uname` has for the usual processors.
    fn from_str(text: &str) -> std::result::Result<Self, &'static str> {
        let is_word = |part: &&str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        let parts: Vec<&str> = text.split('/').collect();
        if !parts.iter().all(is_word) {
            return Err("a platform is OS/ARCHITECTURE[/VARIANT], such as linux/arm64");
        }
        let (os, architecture, variant) = match *parts.as_slice() {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant)),
            _ => return Err("a platform is OS/ARCHITECTURE[/VARIANT], such as linux/arm64"),
        };
        let architecture = match architecture {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Ok(Self { os: os.into(), architecture: architecture.into(), variant: variant.map(Into::into) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digest;
    use crate::manifest::MediaType;

    fn index(platforms: &[&str]) -> Index {
        let manifests = platforms.iter().map(|text| {
            let digest = Digest::of(text.as_bytes());
            Descriptor { platform: text.parse().ok(), ..Descriptor::new(MediaType::OCI_MANIFEST, digest, 1) }
        });
        Index { schema_version: 2, media_type: None, manifests: manifests.collect(), annotations: None }
    }

    fn chosen(wanted: &str, platforms: &[&str]) -> String {
        let wanted: Platform = wanted.parse().unwrap();
        match wanted.choose(&index(platforms)) {
            Ok(descriptor) => descriptor.platform.as_ref().map_or_else(String::new, Platform::to_string),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_best_variant_that_runs_is_chosen() {
        let arm = ["linux/arm/v5", "linux/arm/v7", "linux/arm/v6"];
        let cases: [(&str, &[&str], &str); 9] = [
            ("linux/amd64", &["linux/arm64", "linux/amd64"], "linux/amd64"),
            ("linux/x86_64", &["linux/amd64"], "linux/amd64"),
            ("linux/arm", &arm, "linux/arm/v7"),
            ("linux/arm/v6", &arm, "linux/arm/v6"),
            ("linux/arm/v8", &arm, "linux/arm/v7"),
            ("linux/arm64", &["linux/arm64/v8"], "linux/arm64/v8"),
            ("linux/arm64/v8", &["linux/arm64"], "linux/arm64"),
            ("linux/amd64", &["-"], ""),
            (
                "linux/riscv64",
                &["linux/amd64", "unknown/unknown", "linux/arm/v7"],
                "no image for linux/riscv64; available: linux/amd64, linux/arm/v7",
            ),
        ];
        for (wanted, platforms, outcome) in cases {
            assert_eq!(chosen(wanted, platforms), outcome, "{wanted} of {platforms:?}");
        }
    }

    #[test]
    fn a_platform_is_two_or_three_words() {
        for text in ["", "linux", "linux/", "linux/amd64/v1/x", "Linux/amd64", "linux/../x"] {
            assert_eq!(
                text.parse::<Platform>(),
                Err("a platform is OS/ARCHITECTURE[/VARIANT], such as linux/arm64"),
                "{text}"
            );
        }
    }
}
