//! What the interfaces of the container's network namespace have carried, for `events`.

use alloc::{ffi::CString, format, string::ToString, vec::Vec};
use core::ffi::CStr;

use masu_cgroup::NetworkInterface;
use rustix::{
    fd::{AsFd, OwnedFd},
    fs::AtFlags,
    io::{Errno, Result},
};

use crate::{files, state::read_start_time};

/// The interfaces of the network namespace that the process is in, but for the loopback. None where there are no others,
/// where the namespace is the engine's own or not to be seen, and where the process that began at `began` is gone.
///
/// # Errors
/// Those of stat(2), open(2) and read(2) on what is below /proc/PID.
pub(crate) fn stats(proc: &OwnedFd, pid: i32, began: u64) -> Result<Option<Vec<NetworkInterface>>> {
    let interfaces = match read(proc, pid) {
        // EACCES: the namespaces of a process that may not be traced, as init until `start`, are root's alone to see.
        Err(Errno::NOENT | Errno::SRCH | Errno::ACCESS) => return Ok(None),
        outcome => outcome?,
    };
    // Looked at afterwards: a pid that still is the container's was so while it was read.
    let is_the_containers = read_start_time(proc, pid)? == Some(began);
    Ok(interfaces.filter(|_| is_the_containers))
}

fn read(proc: &OwnedFd, pid: i32) -> Result<Option<Vec<NetworkInterface>>> {
    if namespace(proc, c"self/ns/net")? == namespace(proc, &below(pid, "ns/net"))? {
        return Ok(None);
    }
    let interfaces = parse(&files::read_below(proc.as_fd(), &below(pid, "net/dev"))?);
    Ok((!interfaces.is_empty()).then_some(interfaces))
}

fn below(pid: i32, file: &str) -> CString {
    CString::new(format!("{pid}/{file}")).unwrap_or_default()
}

fn namespace(proc: &OwnedFd, path: &CStr) -> Result<(u64, u64)> {
    rustix::fs::statat(proc, path, AtFlags::empty()).map(|status| (status.st_dev, status.st_ino))
}

/// `/proc/net/dev`: two lines of headings, then a name, eight counters of what came in and eight of what went out, of which
/// the first four are bytes, packets, errors and drops.
fn parse(text: &str) -> Vec<NetworkInterface> {
    let interface = |line: &str| {
        let (name, counters) = line.trim_start().split_once(':')?;
        let counters: Vec<u64> = counters.split_whitespace().map_while(|word| word.parse().ok()).collect();
        let (rx, tx) = counters.split_at_checked(8)?;
        let &[rx_bytes, rx_packets, rx_errors, rx_dropped, ..] = rx else { return None };
        let &[tx_bytes, tx_packets, tx_errors, tx_dropped, ..] = tx else { return None };
        let name = name.to_string();
        Some(NetworkInterface {
            name,
            rx_bytes,
            rx_packets,
            rx_errors,
            rx_dropped,
            tx_bytes,
            tx_packets,
            tx_errors,
            tx_dropped,
        })
    };
    text.lines().skip(2).filter_map(interface).filter(|interface| interface.name != "lo").collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::fs::{CWD, Mode, OFlags};

    use super::*;

    /// A folder that is laid out like procfs, in which process 7 began at 4242 and has a network namespace of its own.
    struct Procfs {
        path: std::path::PathBuf,
        open: OwnedFd,
    }

    impl Procfs {
        fn make(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("masu-network-{}-{name}", std::process::id()));
            for process in ["self", "7"] {
                fs::create_dir_all(path.join(process).join("ns")).unwrap();
                fs::write(path.join(process).join("ns/net"), "").unwrap();
            }
            fs::create_dir(path.join("7/net")).unwrap();
            let counters = ["1"; 16].join(" ");
            fs::write(path.join("7/net/dev"), format!("Inter-|\n face |\n  eth0: {counters}\n")).unwrap();
            let rest = "1 1 1 0 -1 4194560 100 0 0 0 0 0 0 0 20 0 1 0 4242 1000 10 184";
            fs::write(path.join("7/stat"), format!("7 (sh) S {rest}")).unwrap();
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let open = rustix::fs::openat(CWD, path.to_str().unwrap(), flags, Mode::empty()).unwrap();
            Self { path, open }
        }

        fn names(&self, pid: i32, began: u64) -> Option<Vec<String>> {
            let interfaces = stats(&self.open, pid, began).unwrap();
            interfaces.map(|all| all.into_iter().map(|interface| interface.name).collect())
        }
    }

    impl Drop for Procfs {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.path).unwrap();
        }
    }

    #[test]
    fn the_interfaces_are_those_of_the_containers_process_alone() {
        let procfs = Procfs::make("own");
        assert_eq!(procfs.names(7, 4242), Some(vec!["eth0".into()]));
        // The pid is somebody else's by now, or nobody's.
        assert_eq!(procfs.names(7, 4241), None);
        assert_eq!(procfs.names(8, 4242), None);
        fs::remove_file(procfs.path.join("7/stat")).unwrap();
        assert_eq!(procfs.names(7, 4242), None);
    }

    #[test]
    fn the_engines_own_namespace_is_not_the_containers() {
        let procfs = Procfs::make("shared");
        fs::remove_file(procfs.path.join("7/ns/net")).unwrap();
        fs::hard_link(procfs.path.join("self/ns/net"), procfs.path.join("7/ns/net")).unwrap();
        assert_eq!(procfs.names(7, 4242), None);
    }

    #[test]
    fn the_counters_of_an_interface_are_the_first_four_of_each_direction() {
        let text = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
  eth0:       1       2    3    4    5     6          7         8        9      10   11   12   13    14      15         16
";
        let expected = NetworkInterface {
            name: "eth0".into(),
            rx_bytes: 1,
            rx_packets: 2,
            rx_errors: 3,
            rx_dropped: 4,
            tx_bytes: 9,
            tx_packets: 10,
            tx_errors: 11,
            tx_dropped: 12,
        };
        assert_eq!(parse(text), [expected]);
        assert_eq!(parse("Inter-|\n face |\n  eth0: 1 2 3\n"), []);
    }
}
