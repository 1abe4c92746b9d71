//! bpf(2), as far as the device rules of a version 2 cgroup need it: one function for each command.
//!
//! Each hands the kernel a `union bpf_attr` that is larger than any it knows, and zero behind the command's own
//! fields: a larger one is accepted while the rest is zero (bpf(2)), and a shorter one is written past its end by
//! Linux 6.17 to 7.1, whose `BPF_PROG_QUERY` fills in a field that the caller may not have.

use crate::arch::{nr, number, result, syscall3};
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::{Errno, Result};

const BPF_PROG_LOAD: usize = 5;
const BPF_PROG_ATTACH: usize = 8;
const BPF_PROG_DETACH: usize = 9;
const BPF_PROG_GET_FD_BY_ID: usize = 13;
const BPF_PROG_QUERY: usize = 16;

const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 1 << 1;

/// Words of eight bytes in every attr below: about twice what Linux 7 has.
const ATTR_WORDS: usize = 40;

/// `struct bpf_insn`: one instruction.
#[repr(C)]
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// `code`
    pub code: u8,
    /// `dst_reg` in the low four bits, `src_reg` in the high ones.
    pub registers: u8,
    /// `off`
    pub offset: i16,
    /// `imm`
    pub immediate: i32,
}

#[repr(C)]
struct LoadAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    rest: [u64; ATTR_WORDS - 3],
}

#[repr(C)]
struct AttachAttr {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
    rest: [u64; ATTR_WORDS - 2],
}

#[repr(C)]
struct QueryAttr {
    target_fd: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    prog_cnt: u32,
    padding: u32,
    rest: [u64; ATTR_WORDS - 4],
}

#[repr(C)]
struct IdAttr {
    prog_id: u32,
    padding: u32,
    rest: [u64; ATTR_WORDS - 1],
}

/// `bpf(BPF_PROG_LOAD, {BPF_PROG_TYPE_CGROUP_DEVICE, instructions, "Apache"})`—Loads a program that decides about the
/// use of devices; close-on-exec. It calls no helper function, so the licence does not matter.
///
/// # Errors
///
/// `EPERM` outside of the initial user namespace and without CAP_BPF (CAP_SYS_ADMIN), `EAGAIN` when a signal came in
/// between, `EINVAL` or `EACCES` for a program that the kernel's verifier refuses.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/bpf.2.html), Linux 4.15
pub fn prog_load_cgroup_device(instructions: &[Instruction]) -> Result<OwnedFd> {
    let attr = LoadAttr {
        prog_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: u32::try_from(instructions.len()).map_err(|_| Errno::TOOBIG)?,
        insns: instructions.as_ptr() as u64,
        license: c"Apache".as_ptr() as u64,
        rest: [0; ATTR_WORDS - 3],
    };
    // SAFETY: the command reads `insn_cnt` instructions and a C string, which both outlive the call, and an attr of
    // the size given, which `attr` has. It writes to none of them.
    let fd = unsafe { syscall3(nr::BPF, BPF_PROG_LOAD, (&raw const attr) as usize, size_of::<LoadAttr>()) };
    let fd = number(result(fd)?)?;
    // SAFETY: from_raw_fd needs an open descriptor without another owner: the call has just made it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `bpf(BPF_PROG_ATTACH, {cgroup, program, BPF_CGROUP_DEVICE, BPF_F_ALLOW_MULTI})`—Adds the program to those of the
/// cgroup: what it denies is denied, whatever the others say.
///
/// # Errors
///
/// `EPERM` without the privilege or when a program above allows none below it, `E2BIG` beyond 64 programs, `EEXIST`
/// when it is attached already.
///
/// # References
///  - [Linux](https://docs.kernel.org/userspace-api/ebpf/syscall.html), Linux 4.15
pub fn prog_attach_cgroup_device(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<()> {
    attach(BPF_PROG_ATTACH, cgroup, program, BPF_F_ALLOW_MULTI)
}

/// `bpf(BPF_PROG_DETACH, {cgroup, program, BPF_CGROUP_DEVICE})`—Takes a program of the cgroup's own away.
///
/// # Errors
///
/// `ENOENT` when it is not there, `EPERM`.
///
/// # References
///  - [Linux](https://docs.kernel.org/userspace-api/ebpf/syscall.html), Linux 4.15
pub fn prog_detach_cgroup_device(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<()> {
    attach(BPF_PROG_DETACH, cgroup, program, 0)
}

fn attach(command: usize, cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>, attach_flags: u32) -> Result<()> {
    let attr = AttachAttr {
        target_fd: cgroup.as_raw_fd().cast_unsigned(),
        attach_bpf_fd: program.as_raw_fd().cast_unsigned(),
        attach_type: BPF_CGROUP_DEVICE,
        attach_flags,
        rest: [0; ATTR_WORDS - 2],
    };
    // SAFETY: both commands read an attr of the size given, which `attr` has, and write to no memory of ours.
    result(unsafe { syscall3(nr::BPF, command, (&raw const attr) as usize, size_of::<AttachAttr>()) })
        .map(drop)
}

/// `bpf(BPF_PROG_QUERY, {cgroup, BPF_CGROUP_DEVICE, ids})`—The ids of the cgroup's own device programs; says how many
/// of `ids` were filled in.
///
/// # Errors
///
/// `ENOSPC` when there are more than `ids` has room for, `EPERM`.
///
/// # References
///  - [Linux](https://docs.kernel.org/userspace-api/ebpf/syscall.html), Linux 4.15
pub fn prog_query_cgroup_device(cgroup: BorrowedFd<'_>, ids: &mut [u32]) -> Result<usize> {
    let mut attr = QueryAttr {
        target_fd: cgroup.as_raw_fd().cast_unsigned(),
        attach_type: BPF_CGROUP_DEVICE,
        query_flags: 0,
        attach_flags: 0,
        prog_ids: ids.as_mut_ptr() as u64,
        prog_cnt: u32::try_from(ids.len()).map_err(|_| Errno::TOOBIG)?,
        padding: 0,
        rest: [0; ATTR_WORDS - 4],
    };
    // SAFETY: the command writes `prog_cnt` ids at most, for which `ids` has room, and into an attr of the size given,
    // which `attr` has: more than any kernel's, so that none writes behind it.
    result(unsafe { syscall3(nr::BPF, BPF_PROG_QUERY, (&raw mut attr) as usize, size_of::<QueryAttr>()) })?;
    Ok(attr.prog_cnt as usize)
}

/// `bpf(BPF_PROG_GET_FD_BY_ID, id)`—A descriptor of a loaded program; close-on-exec.
///
/// # Errors
///
/// `ENOENT` when it is gone, `EPERM`.
///
/// # References
///  - [Linux](https://docs.kernel.org/userspace-api/ebpf/syscall.html), Linux 4.13
pub fn prog_get_fd_by_id(id: u32) -> Result<OwnedFd> {
    let attr = IdAttr { prog_id: id, padding: 0, rest: [0; ATTR_WORDS - 1] };
    let size = size_of::<IdAttr>();
    // SAFETY: the command reads an attr of the size given, which `attr` has, and writes to no memory of ours.
    let fd = number(result(unsafe {
        syscall3(nr::BPF, BPF_PROG_GET_FD_BY_ID, (&raw const attr) as usize, size)
    })?)?;
    // SAFETY: from_raw_fd needs an open descriptor without another owner: the call has just made it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::AsFd;
    use rustix::fs::{CWD, Mode, OFlags};

    #[test]
    fn every_attr_has_the_one_size_and_an_instruction_eight_bytes() {
        let sizes =
            [size_of::<LoadAttr>(), size_of::<AttachAttr>(), size_of::<QueryAttr>(), size_of::<IdAttr>()];
        assert_eq!(sizes, [ATTR_WORDS * 8; 4]);
        assert_eq!(size_of::<Instruction>(), 8);
    }

    #[test]
    fn a_file_that_is_no_cgroup_has_no_programs() {
        let file = rustix::fs::openat(CWD, c"/dev/null", OFlags::RDONLY, Mode::empty()).expect("open");
        let error = prog_query_cgroup_device(file.as_fd(), &mut [0; 4]).expect_err("no cgroup");
        assert!([Errno::BADF, Errno::PERM, Errno::NOSYS].contains(&error), "{error}");
    }
}
