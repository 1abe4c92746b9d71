//! Device rules of a version 2 cgroup: a small eBPF program, which the kernel asks about each use of a device.
//!
//! A rule decides about the kinds of access it names; where several rules name one, the last one decides, and where
//! none does, the default: to deny, unless a rule for all devices says otherwise. So the program goes through the
//! rules from the last to the first, with the access that is not decided yet in a register:
//!
//! ```text
//!   a deny that names any of it   -> 0
//!   an allow                      -> takes away what it names; nothing left -> 1
//!   after the first rule          -> the default
//! ```
//! The version 1 controller can say less (`devices.rs`): it refuses what this one can do, never the other way.

use alloc::string::ToString;
use alloc::vec::Vec;

use masu_spec::{DeviceAccess, DeviceRule, DeviceRuleKind, Resources};
use masu_sys::bpf::{self, Instruction};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;

use crate::devices::DEFAULT_DEVICES;
use crate::error::{Error, Refused, Result};
use crate::member::Member;

/// include/uapi/linux/bpf.h: `struct bpf_cgroup_dev_ctx` and its constants.
const ACCESS_TYPE: i16 = 0;
const MAJOR: i16 = 4;
const MINOR: i16 = 8;
const BLOCK: u32 = 1;
const CHAR: u32 = 2;

/// Operation codes: class, operation, source.
const LOAD_WORD: u8 = 0x61;
const MOVE: u8 = 0xb4;
const MOVE_REGISTER: u8 = 0xbc;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const JUMP_IF_EQUAL: u8 = 0x16;
const JUMP_UNLESS_EQUAL: u8 = 0x56;
const EXIT: u8 = 0x95;

const RESULT: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ASKED: u8 = 3;
const DEVICE_MAJOR: u8 = 4;
const DEVICE_MINOR: u8 = 5;
const SCRATCH: u8 = 6;

/// The kernel runs 64 programs of one cgroup at most (BPF_CGROUP_MAX_PROGS).
const MOST_PROGRAMS: usize = 64;

/// How often a load that a signal interrupted is tried: the verifier gives up at each (Linux 4.20).
const LOAD_ATTEMPTS: usize = 30;

/// The rules of the config, and the default ones that none of its devices replaces.
pub(crate) fn all_rules(resources: &Resources<'_>, device_paths: &[&str]) -> Vec<DeviceRule> {
    let defaults = DEFAULT_DEVICES.iter().filter(|device| {
        // As on version 1: a device of the config takes the place of the default one.
        device.path.is_none_or(|path| !device_paths.contains(&path))
    });
    resources.devices.iter().copied().chain(defaults.map(|device| device.rule)).collect()
}

/// The program for these rules.
pub(crate) fn compile(rules: &[DeviceRule]) -> Vec<Instruction> {
    // A rule for all devices makes those before it void.
    let last = rules.iter().rposition(|rule| rule.kind == DeviceRuleKind::All);
    let allow_by_default = last.and_then(|index| rules.get(index)).is_some_and(|rule| rule.allow);
    let rules = rules.get(last.map_or(0, |index| index + 1)..).unwrap_or_default();
    let mut program = Vec::with_capacity(8 + 7 * rules.len());
    program.extend([
        load(ASKED, ACCESS_TYPE),
        load(DEVICE_MAJOR, MAJOR),
        load(DEVICE_MINOR, MINOR),
        instruction(MOVE_REGISTER, KIND | ASKED << 4, 0, 0),
        with_number(AND, KIND, 0xffff),
        with_number(SHIFT_RIGHT, ASKED, 16),
    ]);
    for rule in rules.iter().rev() {
        append(&mut program, rule);
    }
    decide(&mut program, allow_by_default);
    program
}

/// Gives the cgroup the program, and takes away those that it had: a cgroup that somebody made beforehand.
///
/// # Errors
///
/// [`Error::Refused`]: without its rules a container could use every device whose node it can make.
pub(crate) fn attach(member: &Member, program: &[Instruction]) -> Result<()> {
    let refused = |call: &str, errno| {
        let hint = (errno == Errno::PERM)
            .then(|| "device rules need CAP_BPF or CAP_SYS_ADMIN in the first user namespace".to_string());
        Error::Refused(
            Refused {
                field: "linux.resources.devices".into(),
                value: call.into(),
                file: "bpf".into(),
                cgroup: member.path.clone(),
                errno,
                hint,
            }
            .into(),
        )
    };
    let cgroup = member.dir()?.as_fd();
    // A new cgroup has no programs of its own.
    let old = match member.made {
        0 => attached(cgroup).map_err(|errno| refused("BPF_PROG_QUERY", errno))?,
        _ => Vec::new(),
    };
    let new = load_program(program).map_err(|errno| refused("BPF_PROG_LOAD", errno))?;
    bpf::prog_attach_cgroup_device(cgroup, new.as_fd()).map_err(|errno| refused("BPF_PROG_ATTACH", errno))?;
    for program in old {
        match bpf::prog_detach_cgroup_device(cgroup, program.as_fd()) {
            Ok(()) | Err(Errno::NOENT) => (),
            Err(errno) => return Err(refused("BPF_PROG_DETACH", errno)),
        }
    }
    Ok(())
}

fn attached(cgroup: BorrowedFd<'_>) -> core::result::Result<Vec<OwnedFd>, Errno> {
    let mut ids = [0; MOST_PROGRAMS];
    let count = bpf::prog_query_cgroup_device(cgroup, &mut ids)?;
    let mut programs = Vec::with_capacity(count);
    for id in ids.into_iter().take(count) {
        match bpf::prog_get_fd_by_id(id) {
            Ok(program) => programs.push(program),
            // Gone in between, or kept from us by an LSM (runc passes over these too): what stays can deny more, and
            // cannot allow what the new program denies.
            Err(Errno::NOENT | Errno::ACCESS | Errno::PERM) => (),
            Err(errno) => return Err(errno),
        }
    }
    Ok(programs)
}

fn load_program(program: &[Instruction]) -> core::result::Result<OwnedFd, Errno> {
    let mut loaded = Err(Errno::AGAIN);
    for _ in 0..LOAD_ATTEMPTS {
        loaded = bpf::prog_load_cgroup_device(program);
        if !matches!(loaded, Err(Errno::AGAIN)) {
            break;
        }
    }
    loaded
}

fn append(program: &mut Vec<Instruction>, rule: &DeviceRule) {
    let start = program.len();
    let kind = if rule.kind == DeviceRuleKind::Block { BLOCK } else { CHAR };
    let matches = [(KIND, Some(kind)), (DEVICE_MAJOR, rule.major), (DEVICE_MINOR, rule.minor)];
    for (register, number) in matches {
        if let Some(number) = number {
            program.push(with_number(JUMP_UNLESS_EQUAL, register, number));
        }
    }
    let access = u32::from(rule.access.bits());
    if !rule.allow {
        program.push(instruction(MOVE_REGISTER, SCRATCH | ASKED << 4, 0, 0));
        program.push(with_number(AND, SCRATCH, access));
        program.push(with_number(JUMP_IF_EQUAL, SCRATCH, 0));
    } else if rule.access != DeviceAccess::all() {
        program.push(with_number(AND, ASKED, u32::from(DeviceAccess::all().bits()) & !access));
        program.push(with_number(JUMP_UNLESS_EQUAL, ASKED, 0));
    }
    decide(program, rule.allow);
    // Every jump of a rule leads to the next one.
    let next = program.len();
    for (index, instruction) in program.iter_mut().enumerate().skip(start) {
        if matches!(instruction.code, JUMP_IF_EQUAL | JUMP_UNLESS_EQUAL) {
            instruction.offset = i16::try_from(next - index - 1).unwrap_or(i16::MAX);
        }
    }
}

fn decide(program: &mut Vec<Instruction>, allow: bool) {
    program.push(with_number(MOVE, RESULT, u32::from(allow)));
    program.push(instruction(EXIT, 0, 0, 0));
}

fn load(register: u8, offset: i16) -> Instruction {
    instruction(LOAD_WORD, register | CONTEXT << 4, offset, 0)
}

fn with_number(code: u8, register: u8, number: u32) -> Instruction {
    instruction(code, register, 0, number.cast_signed())
}

fn instruction(code: u8, registers: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers, offset, immediate }
}

#[cfg(test)]
#[path = "device_program_tests.rs"]
mod tests;
