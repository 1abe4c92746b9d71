//! Debian's package manager: on this machine, and a private one beside it for what must not be installed here.

use crate::project;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Those of `packages` that are not installed.
///
/// # Errors
///
/// When this is no Debian: the names of all of them.
pub(super) fn missing<'a>(packages: &[&'a str]) -> Result<Vec<&'a str>> {
    if project::find_program("dpkg-query").is_none() {
        bail!("this machine has no apt; the tests need what Debian calls: {}", packages.join(" "));
    }
    let mut query = Command::new("dpkg-query");
    // It exits with 1 when one package is unknown, and still lists the others.
    let output = query
        .args(["--show", "--showformat", "${Package} ${db:Status-Status}\\n"])
        .args(packages)
        .output()
        .context("start dpkg-query")?;
    let listed = String::from_utf8_lossy(&output.stdout).into_owned();
    let is_installed =
        |name: &str| listed.lines().any(|line| line.split_once(' ') == Some((name, "installed")));
    Ok(packages.iter().copied().filter(|name| !is_installed(name)).collect())
}

/// `apt-get install`, after an update: a fresh machine has no package lists. Of each pair the second, where it is
/// installed, gets the version of the first, even if that is older: qemu-utils from backports breaks the QEMU of the
/// release.
pub(super) fn install(packages: &[&str], same_version: &[(&str, &str)]) -> Result<()> {
    // Another apt may be at work, such as a fresh machine's own daily one.
    let wait = "DPkg::Lock::Timeout=300";
    let apt_get = |verb: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .args(["-q", "-o", wait, "-o", "Dpkg::Use-Pty=0"])
            .args(verb)
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    project::run(&mut apt_get(&["update"]))?;
    let mut arguments: Vec<_> = packages.iter().map(|&package| package.to_owned()).collect();
    for (package, companion) in same_version {
        if missing(&[companion])?.is_empty() {
            let policy = project::output(Command::new("apt-cache").args(["policy", package]))?;
            arguments.push(format!("{companion}={}", parse_candidate(&policy, package)?));
            arguments.push("--allow-downgrades".to_owned());
        }
    }
    project::run(apt_get(&["install", "-y", "--no-install-recommends"]).args(arguments))
}

/// The version that would be installed, from what `apt-cache policy` prints.
fn parse_candidate(policy: &str, package: &str) -> Result<String> {
    let candidate = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "));
    match candidate {
        Some(version) if version != "(none)" => Ok(version.to_owned()),
        _ => bail!("Debian has no package {package}"),
    }
}

/// An apt with sources, lists and cache of its own in one folder. It never looks at what is installed.
#[derive(Debug)]
pub(super) struct PrivateApt {
    folder: PathBuf,
}

impl PrivateApt {
    /// Makes one for other suites of the Debian that this machine is installed from. Where a suite is only used
    /// for packages asked for by name, as experimental is, `preferred` lists those that may come from it.
    pub(super) fn create(folder: &Path, suites: &[&str], preferred: &[&str]) -> Result<Self> {
        let mirror = debian_mirror()?;
        let sources: String = suites.iter().map(|suite| format!("deb {mirror} {suite} main\n")).collect();
        // Priority 500 makes experimental (1) an equal, so that the highest version wins.
        let pin = format!("Package: {}\nPin: release *\nPin-Priority: 500\n", preferred.join(" "));
        Self::with(folder, &sources, &pin)
    }

    /// Makes one for the sources of a suite.
    pub(super) fn create_of_sources(folder: &Path, suite: &str) -> Result<Self> {
        Self::with(folder, &format!("deb-src {} {suite} main\n", debian_mirror()?), "")
    }

    fn with(folder: &Path, sources: &str, preferences: &str) -> Result<Self> {
        let this = Self { folder: folder.to_owned() };
        for part in ["lists/partial", "cache/archives/partial"] {
            let part = folder.join(part);
            std::fs::create_dir_all(&part).with_context(|| format!("create {}", part.display()))?;
        }
        for (name, text) in [("sources.list", sources), ("preferences", preferences)] {
            let file = folder.join(name);
            std::fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
        }
        project::output(this.command("apt-get").arg("update")).context("fetch Debian's package lists")?;
        Ok(this)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let options = [
            ("Dir::Etc::sourcelist", self.folder.join("sources.list")),
            ("Dir::Etc::sourceparts", "/dev/null".into()),
            ("Dir::Etc::preferences", self.folder.join("preferences")),
            ("Dir::Etc::preferencesparts", "/dev/null".into()),
            ("Dir::State::lists", self.folder.join("lists")),
            ("Dir::State::status", "/dev/null".into()),
            ("Dir::Cache", self.folder.join("cache")),
            // The folder may be closed to apt's own user.
            ("APT::Sandbox::User", "root".into()),
            ("Acquire::Languages", "none".into()),
        ];
        for (key, value) in options {
            command.arg("-o").arg(format!("{key}={}", value.display()));
        }
        command.current_dir(&self.folder);
        command
    }

    /// The version of `package` that would be taken.
    pub(super) fn candidate(&self, package: &str) -> Result<String> {
        let policy = project::output(self.command("apt-cache").args(["policy", package]))?;
        parse_candidate(&policy, package)
    }

    /// Downloads the source of a package, and gives its author's archive.
    pub(super) fn source(&self, package: &str) -> Result<PathBuf> {
        project::output(self.command("apt-get").args(["source", "--download-only", package]))
            .context("download the source")?;
        let entries = self.folder.read_dir().with_context(|| format!("read {}", self.folder.display()))?;
        let archive = entries.flatten().map(|entry| entry.path()).find(|file| {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.contains(".orig.tar")
        });
        archive.with_context(|| format!("the source of {package} has no archive"))
    }

    /// Downloads `packages` with everything they depend on, and unpacks it all into `root`.
    pub(super) fn unpack(&self, packages: &[&str], root: &Path) -> Result<()> {
        let mut depends = self.command("apt-cache");
        depends
            .args(["depends", "--recurse", "--important", "--no-suggests", "--no-recommends"])
            .args(packages);
        let closure = parse_closure(&project::output(&mut depends)?);
        project::output(self.command("apt-get").arg("download").args(&closure))
            .context("download packages")?;
        for entry in self.folder.read_dir().with_context(|| format!("read {}", self.folder.display()))? {
            let file = entry.with_context(|| format!("read {}", self.folder.display()))?.path();
            if file.extension().is_some_and(|extension| extension == "deb") {
                project::output(Command::new("dpkg-deb").arg("--extract").args([&file, root]))?;
            }
        }
        Ok(())
    }
}

/// The package names of `apt-cache depends --recurse`: the lines that are not indented, but for virtual packages.
fn parse_closure(listing: &str) -> Vec<String> {
    let names = listing.lines().filter(|line| !line.starts_with([' ', '|', '<']));
    names.map(str::to_owned).collect()
}

/// The address that this machine gets Debian itself from: apt knows, in whatever form its sources are written,
/// once it has their lists.
///
/// # Errors
///
/// When apt has no source of Debian, or cannot reach it.
pub(crate) fn debian_mirror() -> Result<String> {
    if let Some(site) = listed_mirror()? {
        return Ok(site);
    }
    project::output(Command::new("apt-get").arg("update"))?;
    listed_mirror()?.context("apt has no source of Debian's main component")
}

fn listed_mirror() -> Result<Option<String>> {
    let mut indexes = Command::new("apt-get");
    indexes.args(["indextargets", "--format", "$(LABEL)|$(COMPONENT)|$(SITE)", "Created-By: Packages"]);
    let indexes = project::output(&mut indexes)?;
    Ok(indexes.lines().find_map(|line| line.strip_prefix("Debian|main|")).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::parse_closure;

    #[test]
    fn the_closure_is_the_lines_that_are_not_indented() {
        let listing =
            "runc\n  Depends: libc6\n |Depends: <dbus>\nlibc6\n  Depends: libgcc-s1\n<dbus>\nlibgcc-s1";
        assert_eq!(parse_closure(listing), ["runc", "libc6", "libgcc-s1"]);
    }
}
