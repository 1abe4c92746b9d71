//! `peak PROGRAM [ARG…]`: runs a program and writes `/proc/PID/status` of every process of it to standard
//! output, read while the process exits: `VmHWM` is wanted. A last line `Calls:` has the number of their system calls.
//! The program's own standard output is joined to standard error.
//!
//! Why not `ru_maxrss`: it survives exec, so a small program would be charged with the memory of whoever started
//! it; and since Linux 6.2 it is summed up in batches per CPU, which is more than the whole of a small process.
//! `VmHWM` is exact for a process that stands still, as one does in ptrace(2)'s stop before its exit.
//!
//! What it does not see is the memory that a process had before it executed another program: the container's
//! process, too, was the runtime's once. The runtime's main process, the larger one, is seen.
#![no_std]
#![no_main]

use core::arch::{asm, global_asm};
use core::mem::MaybeUninit;

#[cfg(not(target_arch = "x86_64"))]
compile_error!("the benchmark's own programs know x86_64 only");

global_asm!(
    ".globl _start",
    "_start:",
    "movq %rsp, %rdi",
    "andq $-16, %rsp",
    "call {start}",
    "ud2",
    start = sym start,
    options(att_syntax)
);

const READ: usize = 0;
const WRITE: usize = 1;
const OPEN: usize = 2;
const CLOSE: usize = 3;
const DUP2: usize = 33;
const GETPID: usize = 39;
const FORK: usize = 57;
const EXECVE: usize = 59;
const WAIT4: usize = 61;
const KILL: usize = 62;
const PTRACE: usize = 101;
const EXIT_GROUP: usize = 231;

const TRACEME: usize = 0;
const SYSCALL: usize = 24;
const SETOPTIONS: usize = 0x4200;
/// `PTRACE_O_TRACE{FORK,VFORK,CLONE,EXEC,EXIT}`: follow everybody, and stop before an exit. `PTRACE_O_TRACESYSGOOD`: a stop
/// at a system call is [`AT_CALL`], and no SIGTRAP.
const FOLLOW: usize = 0x01 | 0x02 | 0x04 | 0x08 | 0x10 | 0x40;
const AT_CALL: u32 = 0x80 | SIGTRAP;
/// `PTRACE_GET_SYSCALL_INFO` (Linux 5.3); the first byte of its answer is this at the entry of a call.
const GET_SYSCALL_INFO: usize = 0x420e;
const AT_ENTRY: u8 = 1;
const EVENT_EXIT: u32 = 6;
/// More than any `status` file; where it is not, the line is in the first half anyway.
const ROOM: usize = 4096;
const WALL: usize = 0x4000_0000;
const SIGTRAP: u32 = 5;
const SIGSTOP: u32 = 19;

/// # Safety
///
/// As the system call `number` demands of its arguments.
unsafe fn syscall(number: usize, a: usize, b: usize, c: usize, d: usize) -> isize {
    let result;
    // SAFETY: the kernel clobbers rcx and r11 and keeps the rest; what it does with memory is the caller's promise.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result, in("rdi") a, in("rsi") b, in("rdx") c,
            in("r10") d, out("rcx") _, out("r11") _, options(nostack));
    }
    result
}

/// The stack of a new process (System V ABI): argc, argv, 0, envp, 0.
extern "C" fn start(stack: *const usize) -> ! {
    // SAFETY: the kernel put argc where the stack pointer was at the entry.
    let argc = unsafe { stack.read() };
    if argc < 2 {
        exit(2);
    }
    let (argv, envp) = (stack.wrapping_add(2), stack.wrapping_add(argc + 2));
    // SAFETY: fork takes no argument, and this process has one thread and no locks.
    match unsafe { syscall(FORK, 0, 0, 0, 0) } {
        0 => become_tracee(argv, envp),
        child if child > 0 => exit(follow(child)),
        _ => exit(126),
    }
}

fn become_tracee(argv: *const usize, envp: *const usize) -> ! {
    // SAFETY: dup2 takes two numbers of descriptors.
    unsafe { syscall(DUP2, 2, 1, 0, 0) };
    // SAFETY: PTRACE_TRACEME takes no argument.
    unsafe { syscall(PTRACE, TRACEME, 0, 0, 0) };
    // SAFETY: getpid takes no argument.
    let pid = unsafe { syscall(GETPID, 0, 0, 0, 0) };
    // SAFETY: a pid and a signal. It stops us until the tracer has set its options.
    unsafe { syscall(KILL, pid.cast_unsigned(), SIGSTOP as usize, 0, 0) };
    // SAFETY: argc > 1, so argv[0] here, a C string, is there.
    let program = unsafe { argv.read() };
    // SAFETY: a C string and two zero-terminated arrays of them, all the kernel's own.
    unsafe { syscall(EXECVE, program, argv as usize, envp as usize, 0) };
    exit(127)
}

/// Waits for `child` and whatever it starts, and gives its exit status as a shell does. Those that outlive it are
/// let go when we exit.
fn follow(child: isize) -> usize {
    let mut options_are_set = false;
    let mut calls = 0;
    loop {
        let mut status = 0u32;
        // SAFETY: wait4 writes an int, which has room here; no rusage is asked for.
        let pid = unsafe { syscall(WAIT4, usize::MAX, (&raw mut status) as usize, WALL, 0) };
        if pid < 0 {
            return 125;
        }
        if status & 0xff != 0x7f {
            match (pid == child, status & 0x7f) {
                (false, _) => continue,
                (true, ended) => {
                    report_calls(calls);
                    return if ended == 0 { (status >> 8 & 0xff) as usize } else { 128 + ended as usize };
                }
            }
        }
        if !options_are_set {
            // SAFETY: PTRACE_SETOPTIONS takes a stopped tracee and flags.
            unsafe { syscall(PTRACE, SETOPTIONS, pid.cast_unsigned(), 0, FOLLOW) };
            options_are_set = true;
        }
        let (signal, event) = (status >> 8 & 0xff, status >> 16);
        if event == EVENT_EXIT {
            report(pid.cast_unsigned());
        }
        calls += usize::from(signal == AT_CALL && is_at_entry(pid.cast_unsigned()));
        // The stops of ptrace itself: events, and the SIGSTOP that every new tracee begins with.
        let own = event != 0 || matches!(signal, SIGTRAP | SIGSTOP | AT_CALL);
        let passed_on = if own { 0 } else { signal as usize };
        // SAFETY: PTRACE_SYSCALL takes a stopped tracee and a signal or 0.
        unsafe { syscall(PTRACE, SYSCALL, pid.cast_unsigned(), 0, passed_on) };
    }
}

/// Whether the stopped process is about to make its call, and not back from it.
fn is_at_entry(pid: usize) -> bool {
    let mut info = 0u8;
    // SAFETY: the call writes as many bytes as it is told there is room for, which is one.
    let known = unsafe { syscall(PTRACE, GET_SYSCALL_INFO, pid, 1, (&raw mut info) as usize) };
    known > 0 && info == AT_ENTRY
}

/// The last line. The container's process and what a runtime leaves behind end before, or are no longer counted.
fn report_calls(calls: usize) {
    let mut line = *b"Calls:               \n";
    let mut rest = calls;
    for digit in line.iter_mut().take(20).skip(8).rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    // SAFETY: write reads the bytes of the line.
    unsafe { syscall(WRITE, 1, line.as_ptr() as usize, line.len(), 0) };
}

/// Copies `/proc/PID/status`; its reader looks for the line.
fn report(pid: usize) {
    let path = status_path(pid);
    // SAFETY: a C string, and flags for reading only.
    let file = unsafe { syscall(OPEN, path.as_ptr() as usize, 0, 0, 0) };
    if file < 0 {
        return;
    }
    let file = file.cast_unsigned();
    let mut text = MaybeUninit::<[u8; ROOM]>::uninit();
    let text = text.as_mut_ptr() as usize;
    // SAFETY: read writes at most ROOM bytes to `text`, which has that size.
    let length = unsafe { syscall(READ, file, text, ROOM, 0) };
    if length > 0 {
        // SAFETY: write reads the bytes that read has written.
        unsafe { syscall(WRITE, 1, text, length.cast_unsigned(), 0) };
    }
    // SAFETY: close takes a descriptor, which is ours.
    unsafe { syscall(CLOSE, file, 0, 0, 0) };
}

/// `/proc/PID/status` and its zero. Slashes fill up what a short PID leaves, for procfs takes no leading zeros.
fn status_path(mut pid: usize) -> [u8; 23] {
    let mut path = *b"/proc///////////status\0";
    for digit in path.iter_mut().take(15).skip(6).rev() {
        *digit = b'0' + (pid % 10) as u8;
        pid /= 10;
        if pid == 0 {
            break;
        }
    }
    path
}

fn exit(status: usize) -> ! {
    loop {
        // SAFETY: exit_group takes a number and does not return.
        unsafe { syscall(EXIT_GROUP, status, 0, 0, 0) };
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(101)
}
