//! The least process there is: it exits with 0 at once, so that what is measured is the runtime. With an argument it waits
//! for a signal instead, as the container that `state`, `exec` and `kill` are measured on; with two it starts 999 that do
//! so first.
#![no_std]
#![no_main]

#[cfg(not(target_arch = "x86_64"))]
compile_error!("the benchmark's own programs know x86_64 only");

// argc is at the top of the stack. pause is 34, fork 57 and exit_group 231 in the kernel's table for x86_64.
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "cmpq $2, (%rsp)",
    "jb 4f",
    "je 3f",
    "movl $999, %ebx",
    "2: movl $57, %eax",
    "syscall",
    "testq %rax, %rax",
    "jle 3f", // the child, or a failure
    "decl %ebx",
    "jnz 2b",
    "3: movl $34, %eax",
    "syscall",
    "jmp 3b",
    "4: xorl %edi, %edi",
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
