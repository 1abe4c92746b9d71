//! One run of QEMU: the machine's shape, the files it is connected to, and its end.
//!
//! The shape must be the same when the machine is saved and when it is continued, so there is one for both.

use super::{image, snapshot};
use crate::project;
use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

pub(super) const QEMU: &str = "qemu-system-x86_64";
/// What decides whether a saved machine can be continued.
pub(super) const INPUTS: [&str; 1] = [include_str!("machine.rs")];

const MEMORY_MB: &str = "2048";
/// As many as the tests' own threads keep busy.
const CPUS: &str = "2";
/// The kernel patches its own code when a cgroup with cpusets is the first one, and in QEMU's emulation another processor
/// may run into an instruction that is half written. systemd has made one before the other machines are saved.
const CPUS_OF_BARE: &str = "1";
/// Of the disks that carry files in and out; sparse.
const DISK_SIZE: u64 = 1 << 30;
/// How much of the kernel's console explains a failure.
const TAIL_LINES: usize = 30;

/// The folder of one run: the disks that carry files in and out, and what the machine writes on its consoles. It goes
/// with its owner.
#[derive(Debug)]
pub(super) struct Run {
    folder: PathBuf,
}

impl Run {
    /// Makes the folder, and removes those of callers that were killed.
    pub(super) fn create() -> Result<Self> {
        let runs = project::cache().join("vm-runs");
        std::fs::create_dir_all(&runs).with_context(|| format!("create {}", runs.display()))?;
        for stale in runs.read_dir().with_context(|| format!("read {}", runs.display()))?.flatten() {
            if !Path::new("/proc").join(stale.file_name()).exists() {
                std::fs::remove_dir_all(stale.path()).ok(); // ignored: another call may remove it too
            }
        }
        let this = Self { folder: runs.join(std::process::id().to_string()) };
        std::fs::create_dir(&this.folder).with_context(|| format!("create {}", this.folder.display()))?;
        for disk in ["input", "output"] {
            let file = this.path(disk);
            File::create(&file)
                .and_then(|disk| disk.set_len(DISK_SIZE))
                .with_context(|| format!("create {}", file.display()))?;
        }
        Ok(this)
    }

    /// A file of the run.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// QEMU, connected to this run, with the machine of `image` in its working directory.
    pub(super) fn qemu(&self, image: &Path, purpose: Purpose) -> Command {
        let file = |name: &str| option_value(&self.path(name));
        // A caller that is killed takes its machine along.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", QEMU]).current_dir(image);
        // QEMU keeps what is written to a snapshot=on disk in a nameless file there.
        command.env("TMPDIR", &self.folder);
        command.args(["-machine", "q35", "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max"]);
        let cpus = if purpose == Purpose::Bare { CPUS_OF_BARE } else { CPUS };
        command.args(["-m", MEMORY_MB, "-smp", cpus, "-display", "none", "-nodefaults", "-no-reboot"]);
        command.arg("-serial").arg(format!("file:{}", self.path("console").display()));
        command.args(["-device", "virtio-serial-pci", "-device", "virtio-rng-pci"]);
        let (terminal, snapshot) = match purpose {
            Purpose::Save => ("null,id=terminal", "off"),
            Purpose::Continue | Purpose::Bare => ("stdio,id=terminal,signal=off", "on"),
        };
        command.args(["-chardev", terminal, "-device", "virtconsole,chardev=terminal"]);
        command.arg("-chardev").arg(format!("file,id=status,path={}", file("status")));
        command.args(["-device", "virtconsole,chardev=status"]);
        let disks = [
            ("root", format!("{},snapshot={snapshot}", image::ROOT_DISK)),
            ("input", format!("{},cache=unsafe", file("input"))),
            ("output", format!("{},cache=unsafe", file("output"))),
        ];
        for (serial, path) in disks {
            command.arg("-drive").arg(format!("if=none,id={serial},format=raw,file={path}"));
            command.arg("-device").arg(format!("virtio-blk-pci,drive={serial},serial={serial}"));
        }
        command.args(["-kernel", image::KERNEL_FILE, "-initrd", image::INITRD_FILE, "-append"]);
        let mut line =
            "console=ttyS0 panic=-1 quiet loglevel=4 systemd.show_status=0 mitigations=off".to_owned();
        if purpose == Purpose::Bare {
            // In place of AppArmor: a kernel has one of the two in force.
            line += &format!(" security=selinux enforcing=1 first=/{}", image::AGENT);
        }
        command.arg(line);
        match purpose {
            Purpose::Save => command.args(["-qmp", "stdio"]),
            Purpose::Continue => command.arg("-incoming").arg(format!("exec:cat {}", snapshot::MEMORY)),
            Purpose::Bare => &mut command,
        };
        command
    }

    /// The last word that the agent has written after `key`: `READY`, or `STATUS n`.
    pub(super) fn status(&self, key: &str) -> Option<String> {
        let text = std::fs::read(self.path("status")).ok()?;
        let text = String::from_utf8_lossy(&text).into_owned();
        text.lines().rev().find_map(|line| line.trim().strip_prefix(key)).map(|word| word.trim().to_owned())
    }

    /// The end of what kernel and systemd have written on the machine's serial line.
    pub(super) fn console_tail(&self) -> String {
        let text = std::fs::read(self.path("console")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<_> = text.lines().collect();
        if lines.is_empty() {
            return "\n  (nothing)".to_owned();
        }
        lines
            .iter()
            .skip(lines.len().saturating_sub(TAIL_LINES))
            .fold(String::new(), |tail, line| tail + "\n  " + line.trim_end())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            eprintln!("remove {}: {error}", self.folder.display());
        }
    }
}

/// What a machine is started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To be saved: it writes to its root disk, and standard input and output are QEMU's monitor.
    Save,
    /// To be continued: what it writes to its root is gone with the run, and standard input and output are its
    /// console.
    Continue,
    /// The same from its first instruction on, without systemd and with another security module: `guest/bare.sh`.
    Bare,
}

/// A path as a value in QEMU's lists of options, in which a comma is doubled.
fn option_value(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

/// A running QEMU, killed when it is dropped.
#[derive(Debug)]
pub(super) struct Qemu {
    pub(super) child: Child,
    pidfd: OwnedFd,
}

impl Qemu {
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        let child = command.spawn().with_context(|| format!("start {}", project::words(command)))?;
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).context("pidfd_open")?;
        Ok(Self { child, pidfd })
    }

    /// Waits for its end; nothing at the deadline.
    pub(super) fn wait_until(&mut self, deadline: Instant) -> Result<Option<ExitStatus>> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left.min(Duration::from_secs(60))).context("convert a time")?;
            match poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], Some(&timeout)) {
                Ok(0) if left.is_zero() => return Ok(None),
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(Some(self.child.wait().context("wait for QEMU")?)),
                Err(error) => return Err(error).context("poll QEMU"),
            }
        }
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        self.child.kill().ok(); // ignored: it has ended by itself
        self.child.wait().ok(); // ignored: nobody asks for the status any more
    }
}

#[cfg(test)]
mod tests {
    use super::option_value;
    use std::path::Path;

    #[test]
    fn a_comma_in_a_path_does_not_begin_another_option() {
        assert_eq!(option_value(Path::new("/a,b/c")), "/a,,b/c");
    }
}
