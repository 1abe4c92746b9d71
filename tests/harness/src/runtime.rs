//! The runtime under test.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Check, ensure, fail};

/// A runtime: what its `--version` says of it.
#[derive(Debug, Clone)]
pub struct Runtime {
    /// Its file.
    pub path: PathBuf,
    /// The first word of its first line: `masu`, `runc`, `crun`.
    pub name: String,
    /// Major, minor, patch.
    pub version: [u32; 3],
}

impl Runtime {
    /// Asks the program at `path` who it is.
    pub fn probe(path: &Path) -> Check<Self> {
        let path = path
            .canonicalize()
            .map_err(|error| fail(format!("no runtime at {}: {error}", path.display())))?;
        let output = Command::new(&path).arg("--version").output()?;
        ensure!(output.status.success(), "{} --version failed", path.display());
        let version_text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut words = version_text.split_whitespace();
        let (name, version) = match (words.next(), words.next(), words.next()) {
            (Some(name), Some("version"), Some(version)) => (name.to_owned(), parse_version(version)),
            _ => return Err(fail(format!("unexpected --version: {version_text}"))),
        };
        Ok(Self { path, name, version })
    }

    /// Whether it is masu itself.
    pub fn is_masu(&self) -> bool {
        self.name == "masu"
    }
}

/// `1.1.5+ds1` as numbers; what is missing is 0.
pub fn parse_version(text: &str) -> [u32; 3] {
    let mut version = [0; 3];
    let numbers = text.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    for (place, number) in version.iter_mut().zip(numbers) {
        *place = number;
    }
    version
}
