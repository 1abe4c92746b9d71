//! The machine's disk: a Debian with systemd, an agent in it, and the kernel and initrd that start it.

use crate::{project, setup};
use anyhow::{Context, Result, bail};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

const SUITE: &str = "trixie";
/// What the suites use in the machine, and the engines and what they call: each package here is paid for by everybody who runs the tests for the first
/// time.
const PACKAGES: [&str; 32] = [
    "aardvark-dns",
    "apparmor",
    "buildah",
    "busybox-static",
    "catatonit",
    "conmon",
    "containerd",
    "containernetworking-plugins",
    "crun",
    "dbus",
    "dbus-user-session",
    "docker-cli",
    "docker.io",
    "etcd-server",
    "iproute2",
    "iptables",
    "kmod",
    "libpam-systemd",
    "linux-image-cloud-amd64",
    "netavark",
    "nftables",
    "openssl",
    "podman",
    "procps",
    "python3",
    "rootlesskit",
    "runc",
    "secilc",
    "slirp4netns",
    "systemd-sysv",
    "udev",
    "uidmap",
];
/// The ordinary user.
pub(super) const USER: &str = "tester";

/// What runs the host's command.
pub(super) const AGENT: &str = "usr/local/sbin/masu-agent";
/// Path, mode and content of the files that make a machine of the root.
const FILES: [(&str, u32, &str); 7] = [
    ("etc/hostname", 0o644, "vm\n"),
    ("etc/hosts", 0o644, "127.0.0.1 localhost vm\n"),
    // Without one, systemd takes every start for the first and presets all units.
    ("etc/machine-id", 0o444, "6d617375206d617375206d6173750000\n"),
    ("etc/systemd/system/masu-agent.service", 0o644, include_str!("guest/agent.service")),
    ("etc/systemd/system/user@.service.d/delegate.conf", 0o644, include_str!("guest/delegate.conf")),
    (AGENT, 0o755, include_str!("guest/agent.sh")),
    ("usr/local/sbin/masu-bare", 0o644, include_str!("guest/bare.sh")),
];
const INITRD: &str = include_str!("guest/initrd.sh");
const SELINUX_POLICY: &str = include_str!("guest/selinux.cil");

/// Units that cost time at each start, or run at moments of their own, and that nobody needs in there.
const MASKED: [&str; 24] = [
    // It compiles a hundred profiles, of programs that are not there.
    "apparmor.service",
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    // Engines are started by their tests.
    "containerd.service",
    "docker.service",
    "docker.socket",
    "etcd.service",
    "dpkg-db-backup.timer",
    "fstrim.timer",
    "getty.target",
    "ldconfig.service",
    "modprobe@drm.service",
    "modprobe@efi_pstore.service",
    "netavark-dhcp-proxy.service",
    "netavark-dhcp-proxy.socket",
    "podman-auto-update.timer",
    "podman-clean-transient.service",
    "podman-restart.service",
    "systemd-binfmt.service",
    "systemd-hwdb-update.service",
    "systemd-machine-id-commit.service",
    "systemd-pstore.service",
    "systemd-random-seed.service",
    "systemd-tmpfiles-clean.timer",
];

/// Everything that decides what the disk is made of. The recipe itself is part of it.
pub(super) const INPUTS: [&str; 7] = [
    include_str!("image.rs"),
    INITRD,
    include_str!("guest/agent.service"),
    include_str!("guest/agent.sh"),
    include_str!("guest/delegate.conf"),
    include_str!("guest/bare.sh"),
    SELINUX_POLICY,
];

/// The names of the parts in the image's folder.
pub(super) const ROOT_DISK: &str = "root.img";
pub(super) const KERNEL_FILE: &str = "kernel";
pub(super) const INITRD_FILE: &str = "initrd";
/// Room for what the tests write, beside what the packages take.
const FREE_SPACE_MB: u64 = 1024;

/// Builds disk, kernel and initrd into `folder`.
///
/// # Errors
///
/// When somebody else than root asks, or a package cannot be had.
pub(super) fn build(folder: &Path) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!(
            "only root can make the machine's disk\nhint: sudo cargo xtask vm -- true, once; afterwards anybody can run it"
        );
    }
    let root = folder.join("root");
    debootstrap(&root)?;
    configure(&root)?;
    let kernel = find_kernel(&root)?;
    let copy = folder.join(KERNEL_FILE);
    std::fs::copy(&kernel, &copy).with_context(|| format!("copy {}", kernel.display()))?;
    make_initrd(&root, folder)?;
    make_disk(&root, folder)?;
    std::fs::remove_dir_all(&root).with_context(|| format!("remove {}", root.display()))
}

fn debootstrap(root: &Path) -> Result<()> {
    let mut mmdebstrap = Command::new("mmdebstrap");
    mmdebstrap.args(["--quiet", "--variant=minbase", "--mode=root", "--aptopt=Acquire::Languages \"none\""]);
    mmdebstrap.arg(format!("--include={}", PACKAGES.join(",")));
    for unread in ["doc", "man", "locale"] {
        mmdebstrap.arg(format!("--dpkgopt=path-exclude=/usr/share/{unread}/*"));
    }
    // The kernel's package would make an initrd of its own.
    mmdebstrap.env("INITRD", "No").arg(SUITE).arg(root).arg(setup::debian_mirror()?);
    project::output(&mut mmdebstrap).context("make the machine's root")?;
    Ok(())
}

fn configure(root: &Path) -> Result<()> {
    for (path, mode, content) in FILES {
        let file = root.join(path);
        create_parent(&file)?;
        // Debian's own may be a link out of the root.
        if file.is_symlink() {
            std::fs::remove_file(&file).with_context(|| format!("remove {}", file.display()))?;
        }
        write(&file, mode, content)?;
    }
    for unit in MASKED {
        link("/dev/null", &root.join("etc/systemd/system").join(unit))?;
    }
    link(
        "../masu-agent.service",
        &root.join("etc/systemd/system/multi-user.target.wants/masu-agent.service"),
    )?;
    // useradd gives the ranges of subordinate ids too.
    let mut useradd = Command::new("chroot");
    useradd.arg(root).args(["useradd", "--create-home", "--shell", "/bin/bash", "--uid", "1000", USER]);
    project::output(&mut useradd)?;
    // With lingering the user's own systemd starts at boot.
    let linger = root.join("var/lib/systemd/linger").join(USER);
    create_parent(&linger)?;
    write(&linger, 0o644, "")?;
    compile_selinux_policy(root)
}

/// Debian's own policies are two megabytes, and would have every file of the disk labelled.
fn compile_selinux_policy(root: &Path) -> Result<()> {
    write(&root.join("etc/masu.cil"), 0o644, SELINUX_POLICY)?;
    let mut secilc = Command::new("chroot");
    // The oldest kernel that may run it is Debian's; where a file has which label is nobody's question.
    secilc.arg(root).args(["secilc", "--policyvers", "33", "--filecontext", "/dev/null"]);
    project::output(secilc.args(["--output", "/etc/masu.policy", "/etc/masu.cil"])).map(drop)
}

fn find_kernel(root: &Path) -> Result<PathBuf> {
    let boot = root.join("boot");
    let mut entries = boot.read_dir().with_context(|| format!("read {}", boot.display()))?.flatten();
    let kernel = entries.find(|entry| entry.file_name().to_string_lossy().starts_with("vmlinuz-"));
    Ok(kernel.context("the kernel's package has no kernel")?.path())
}

/// An initrd of busybox, the one module that reaches the disk, and a script.
fn make_initrd(root: &Path, folder: &Path) -> Result<()> {
    let tree = folder.join("tree");
    for directory in ["bin", "dev", "root", "sys"] {
        let directory = tree.join(directory);
        std::fs::create_dir_all(&directory).with_context(|| format!("create {}", directory.display()))?;
    }
    let busybox = root.join("usr/bin/busybox");
    std::fs::copy(&busybox, tree.join("bin/busybox"))
        .with_context(|| format!("copy {}", busybox.display()))?;
    write(&tree.join("init"), 0o755, INITRD)?;
    let pack = r#"
        set -eu
        module=$(find "$1/usr/lib/modules" -name virtio_blk.ko.xz)
        busybox unxz -c "$module" > virtio_blk.ko
        find . | busybox cpio -o -H newc > "$2"
    "#;
    let mut sh = Command::new("sh");
    sh.args(["-c", pack, "initrd"]).arg(root).arg(folder.join(INITRD_FILE)).current_dir(&tree);
    project::output(&mut sh).context("make the initrd")?;
    std::fs::remove_dir_all(&tree).with_context(|| format!("remove {}", tree.display()))
}

fn make_disk(root: &Path, folder: &Path) -> Result<()> {
    let used = project::output(Command::new("du").args(["--summarize", "--block-size=1M"]).arg(root))?;
    let used = used.split_whitespace().next().and_then(|word| word.parse::<u64>().ok());
    let size = used.context("read the output of du")? * 5 / 4 + FREE_SPACE_MB;
    let disk = folder.join(ROOT_DISK);
    let mut mke2fs = Command::new("mke2fs");
    mke2fs.args(["-q", "-t", "ext4", "-O", "^has_journal", "-E", "lazy_itable_init=1", "-d"]);
    mke2fs.arg(root).arg(&disk).arg(format!("{size}M"));
    project::output(&mut mke2fs).context("make the machine's disk").map(drop)
}

fn create_parent(file: &Path) -> Result<()> {
    let parent = file.parent().unwrap_or(file);
    std::fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))
}

fn write(file: &Path, mode: u32, content: &str) -> Result<()> {
    std::fs::write(file, content).with_context(|| format!("write {}", file.display()))?;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode))
        .with_context(|| format!("chmod {}", file.display()))
}

/// A link in place of whatever has the name.
fn link(target: &str, link: &Path) -> Result<()> {
    create_parent(link)?;
    if link.symlink_metadata().is_ok() {
        std::fs::remove_file(link).with_context(|| format!("remove {}", link.display()))?;
    }
    symlink(target, link).with_context(|| format!("link {}", link.display()))
}
