//! Capabilities by number, so that those which a newer kernel adds can be dropped as well.
//!
//! rustix takes one-bit sets; the shift that makes them of a number is checked here.

use rustix::io::{Errno, Result};
use rustix::thread::CapabilitySet;

/// The one-bit set of a capability.
fn single(capability: u32) -> Result<CapabilitySet> {
    1_u64.checked_shl(capability).map(CapabilitySet::from_bits_retain).ok_or(Errno::INVAL)
}

/// `prctl(PR_CAPBSET_READ, capability)`—Whether the bounding set has it. The way to find the kernel's
/// last capability without procfs: the first number that is refused is past it.
///
/// # Errors
///
/// `EINVAL` for a number that the kernel does not know.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/PR_CAPBSET_READ.2const.html)
pub fn bounding_contains(capability: u32) -> Result<bool> {
    rustix::thread::capability_is_in_bounding_set(single(capability)?)
}

/// `prctl(PR_CAPBSET_DROP, capability)`
///
/// # Errors
///
/// `EPERM` without CAP_SETPCAP, `EINVAL` for a number that the kernel does not know.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/PR_CAPBSET_DROP.2const.html)
pub fn bounding_drop(capability: u32) -> Result<()> {
    rustix::thread::remove_capability_from_bounding_set(single(capability)?)
}

/// `prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)`
///
/// # Errors
///
/// `EPERM` unless it is both permitted and inheritable, or where securebits forbid it; `EINVAL` for a
/// number that the kernel does not know.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/PR_CAP_AMBIENT.2const.html)
pub fn ambient_raise(capability: u32) -> Result<()> {
    rustix::thread::configure_capability_in_ambient_set(single(capability)?, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value of a line of `/proc/thread-self/status`.
    fn status(field: &str) -> u64 {
        let text = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = text.lines().find(|line| line.starts_with(field)).unwrap();
        u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
    }

    #[test]
    fn the_bounding_set_is_what_procfs_says() {
        let bounding = (0..64).filter(|&n| bounding_contains(n) == Ok(true)).fold(0, |set, n| set | 1 << n);
        assert_eq!(bounding, status("CapBnd:"));
    }

    #[test]
    fn rustix_capabilities_are_what_procfs_says() {
        let sets = rustix::thread::capabilities(None).unwrap();
        let got = [sets.permitted.bits(), sets.effective.bits(), sets.inheritable.bits()];
        assert_eq!(got, [status("CapPrm:"), status("CapEff:"), status("CapInh:")]);
    }

    #[test]
    fn numbers_beyond_the_kernel_and_beyond_a_set_are_einval() {
        for capability in [63, 64, u32::MAX] {
            assert_eq!(bounding_contains(capability), Err(Errno::INVAL), "{capability}");
            assert_eq!(bounding_drop(capability), Err(Errno::INVAL), "{capability}");
            assert_eq!(ambient_raise(capability), Err(Errno::INVAL), "{capability}");
        }
    }

    #[test]
    fn drops_from_the_calling_thread_alone() {
        const CAP_WAKE_ALARM: u32 = 35;
        let before = bounding_contains(CAP_WAKE_ALARM);
        let inside = std::thread::spawn(|| {
            let dropped = bounding_drop(CAP_WAKE_ALARM);
            (dropped, bounding_contains(CAP_WAKE_ALARM))
        })
        .join()
        .unwrap();
        assert_eq!(inside, (Ok(()), Ok(false)), "this test needs CAP_SETPCAP");
        assert_eq!(bounding_contains(CAP_WAKE_ALARM), before);
    }
}
