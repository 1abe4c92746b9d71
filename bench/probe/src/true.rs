//! The least process there is: it exits with 0 at once, so that what is measured is the runtime. With any
//! argument it waits for a signal instead, as the container that `state`, `exec` and `kill` are measured on.
#![no_std]
#![no_main]

#[cfg(not(target_arch = "x86_64"))]
compile_error!("the benchmark's own programs know x86_64 only");

// argc is at the top of the stack. pause is 34 and exit_group 231 in the kernel's table for x86_64.
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "cmpq $1, (%rsp)",
    "je 2f",
    "1: movl $34, %eax",
    "syscall",
    "jmp 1b",
    "2: xorl %edi, %edi",
    "movl $231, %eax",
    "syscall",
    options(att_syntax)
);

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
