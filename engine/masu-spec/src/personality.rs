//! `linux.personality`.

/// An execution domain, see personality(2), with the kernel's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Personality {
    /// `LINUX`
    Linux = 0,
    /// `LINUX32`: uname(2) tells of a 32-bit machine.
    Linux32 = 8,
}

/// The names of domains.
pub(crate) const PERSONALITIES: &[(&str, Personality)] =
    &[("LINUX", Personality::Linux), ("LINUX32", Personality::Linux32)];
