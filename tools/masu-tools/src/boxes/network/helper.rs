//! Programs that carry an ordinary user's packets: one process for each box, between its namespace and sockets of ours.
//!
//! It is known by a word of its command line, a path in the box that no other process has: a process id in a file may be
//! another's when it is read, and a kill may come before it is written.

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use masu_app::{Failure, Result};
use masu_sys::process::pidfd_send_signal;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};

/// The interface in the container, as with CNI.
pub(super) const INTERFACE: &str = "eth0";
/// What both programs make an interface with.
const TUN: &str = "/dev/net/tun";
/// What they say, in the box.
const LOG: &str = "network.log";

/// Looks for a program.
///
/// # Errors
///
/// For root, who has networks of CNI; when the program is missing.
pub(super) fn find(name: &str, package: &str, other: &str, is_root: bool) -> Result<PathBuf> {
    if is_root {
        let message = format!("--net {name}: it is for ordinary users");
        return Err(Failure::with_hint(message, "a network of CNI, a file of /etc/cni/net.d, or --net host"));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::split_paths(&path).chain(["/usr/bin", "/bin"].map(PathBuf::from));
    let Some(program) = path.map(|directory| directory.join(name)).find(|program| program.is_file()) else {
        let hint = format!("install the package {package}, or --net {other}");
        return Err(Failure::with_hint(format!("--net {name}: {name} is not installed"), hint));
    };
    Ok(program)
}

/// Whether there is what both programs make an interface with.
///
/// # Errors
///
/// When it cannot be opened: containers have none, mostly.
pub(super) fn check_tun(name: &str) -> Result<()> {
    File::options().read(true).write(true).open(TUN).map(drop).map_err(|error| {
        let hint = "modprobe tun and chmod 666 /dev/net/tun as root, or --device /dev/net/tun for a container around \
                    masu; --net host is the network that masu is in";
        Failure::with_hint(format!("--net {name}: open {TUN}: {error}"), hint)
    })
}

/// The program, in a process group of its own: what is typed at the box's terminal is not for it. What it says goes into a
/// file of the box.
///
/// # Errors
///
/// Where the file cannot be made.
pub(super) fn command(program: &Path, directory: &Path) -> Result<Command> {
    use std::os::unix::process::CommandExt;
    let path = directory.join(LOG);
    let log = File::create(&path).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
    let mut command = Command::new(program);
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    Ok(command)
}

/// That it failed, in its own words.
pub(super) fn failed(name: &str, directory: &Path, otherwise: &dyn std::fmt::Display) -> Failure {
    let said = fs::read_to_string(directory.join(LOG)).unwrap_or_default();
    // It logs to syslog too, where there is one.
    let mut lines = said.lines().filter(|line| !line.is_empty() && !line.ends_with("bytes to syslog"));
    match lines.next_back() {
        Some(line) => Failure::new(format!("{name}: {line}")),
        None => Failure::new(format!("{name}: {otherwise}")),
    }
}

/// Kills the program that was called with this word.
///
/// # Errors
///
/// Where it cannot be signalled.
pub(super) fn end(word: &Path) -> Result<()> {
    // Again: a first process may have left a second one.
    while end_once(word)? {}
    Ok(())
}

/// Whether there was one.
fn end_once(word: &Path) -> Result<bool> {
    let mut was_there = false;
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(pid) = number.and_then(Pid::from_raw) else { continue };
        // Before it is looked at: it is the same process that is signalled then.
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        if !has_word(&entry.path(), word) {
            continue;
        }
        was_there = true;
        let told = |errno| Failure::new(format!("kill process {}: {errno}", pid.as_raw_nonzero()));
        match pidfd_send_signal(process.as_fd(), Signal::KILL.as_raw()) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(errno) => return Err(told(errno)),
        }
        poll(&mut [PollFd::new(&process, PollFlags::IN)], None).map_err(told)?;
    }
    Ok(was_there)
}

fn has_word(process: &Path, word: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let line = fs::read(process.join("cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).any(|part| part == word.as_os_str().as_bytes())
}

/// The addresses of a process's network but for lo's.
pub(super) fn addresses(pid: u32) -> Vec<IpAddr> {
    let text = fs::read_to_string(format!("/proc/{pid}/net/fib_trie")).unwrap_or_default();
    parse_addresses(&text)
}

/// Each is in a line above the one that says what it is, and twice in the file.
fn parse_addresses(text: &str) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = Vec::new();
    let mut last = None;
    for line in text.lines().map(str::trim) {
        match line.strip_prefix("|-- ") {
            Some(address) => last = address.parse::<Ipv4Addr>().ok(),
            None if line == "/32 host LOCAL" => {
                let address = last.filter(|address| !address.is_loopback()).map(IpAddr::from);
                found.extend(address.filter(|address| !found.contains(address)));
            }
            None => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::parse_addresses;

    #[test]
    fn addresses_are_those_of_this_machine_but_for_lo() {
        let text = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n\
                    |-- 127.0.0.1\n  /32 host LOCAL\n  |-- 192.0.2.0\n  /24 link UNICAST\n\
                    |-- 192.0.2.2\n  /32 host LOCAL\nLocal:\n  |-- 192.0.2.2\n  /32 host LOCAL\n";
        let told: Vec<String> = parse_addresses(text).iter().map(ToString::to_string).collect();
        assert_eq!(told, ["192.0.2.2"]);
    }
}
