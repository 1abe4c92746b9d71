//! `_start`: from the kernel's jump to `main`.
//!
//! The programs are static-PIE for address space randomisation. Nothing but ourselves applies the relocations: the
//! assembly below does it before any compiled code runs, since compiled code may already read a relocated
//! pointer, such as one in the global offset table or in a vtable. Only `R_*_RELATIVE` occurs in such a
//! program (a word that needs the load address added); anything else traps at once rather than corrupts.

use core::ffi::{CStr, c_char};

// At entry the stack holds argc, argv, NULL, envp, NULL, auxv (System V ABI, "Initial Process Stack").
// `_DYNAMIC` and `__ehdr_start` come from the linker; a static-PIE is linked at address 0, so that the second is
// the load address. DT_RELA is 7, DT_RELASZ is 8; an Elf64_Rela is offset, info, addend.
#[cfg(all(not(test), target_arch = "x86_64"))]
core::arch::global_asm!(
    ".globl _start",
    ".type _start, @function",
    ".hidden _DYNAMIC",
    ".hidden __ehdr_start",
    "_start:",
    ".cfi_startproc",
    ".cfi_undefined rip",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "lea rsi, [rip + _DYNAMIC]",
    "lea rdx, [rip + __ehdr_start]",
    "xor ecx, ecx",
    "xor r8d, r8d",
    "2:", // each entry of the dynamic section
    "mov rax, [rsi]",
    "test rax, rax",
    "jz 3f",
    "cmp rax, 7",
    "cmove rcx, [rsi + 8]",
    "cmp rax, 8",
    "cmove r8, [rsi + 8]",
    "add rsi, 16",
    "jmp 2b",
    "3:",
    "add rcx, rdx",
    "add r8, rcx",
    "4:", // each relocation
    "cmp rcx, r8",
    "jae 5f",
    "cmp qword ptr [rcx + 8], 8", // R_X86_64_RELATIVE, no symbol
    "jne 6f",
    "mov rax, [rcx]",
    "mov r9, [rcx + 16]",
    "add r9, rdx",
    "mov [rdx + rax], r9",
    "add rcx, 24",
    "jmp 4b",
    "5:",
    "and rsp, -16",
    "call {start}",
    "6:",
    "ud2",
    ".cfi_endproc",
    ".size _start, . - _start",
    start = sym start,
);

#[cfg(all(not(test), target_arch = "aarch64"))]
core::arch::global_asm!(
    ".globl _start",
    ".type _start, %function",
    ".hidden _DYNAMIC",
    ".hidden __ehdr_start",
    "_start:",
    ".cfi_startproc",
    ".cfi_undefined x30",
    "mov x29, xzr",
    "mov x30, xzr",
    "mov x0, sp",
    "adrp x1, _DYNAMIC",
    "add x1, x1, :lo12:_DYNAMIC",
    "adrp x2, __ehdr_start",
    "add x2, x2, :lo12:__ehdr_start",
    "mov x3, xzr",
    "mov x4, xzr",
    "2:", // each entry of the dynamic section
    "ldp x5, x6, [x1], #16",
    "cbz x5, 3f",
    "cmp x5, #7",
    "csel x3, x6, x3, eq",
    "cmp x5, #8",
    "csel x4, x6, x4, eq",
    "b 2b",
    "3:",
    "add x3, x3, x2",
    "add x4, x4, x3",
    "4:", // each relocation
    "cmp x3, x4",
    "b.hs 5f",
    "ldp x5, x6, [x3]",
    "ldr x7, [x3, #16]",
    "cmp x6, #1027", // R_AARCH64_RELATIVE, no symbol
    "b.ne 6f",
    "add x7, x7, x2",
    "str x7, [x2, x5]",
    "add x3, x3, #24",
    "b 4b",
    "5:",
    "bl {start}",
    "6:",
    "brk #1",
    ".cfi_endproc",
    ".size _start, . - _start",
    start = sym start,
);

#[cfg(all(not(test), target_arch = "riscv64"))]
core::arch::global_asm!(
    ".globl _start",
    ".type _start, @function",
    ".hidden _DYNAMIC",
    ".hidden __ehdr_start",
    "_start:",
    ".cfi_startproc",
    ".cfi_undefined ra",
    ".option push",
    ".option norelax",
    "lla gp, __global_pointer$",
    ".option pop",
    "mv a0, sp",
    "lla a1, _DYNAMIC",
    "lla a2, __ehdr_start",
    "li a3, 0",
    "li a4, 0",
    "li t2, 7",
    "li t3, 8",
    "li t4, 3",
    "2:", // each entry of the dynamic section
    "ld t0, 0(a1)",
    "ld t1, 8(a1)",
    "addi a1, a1, 16",
    "beqz t0, 4f",
    "bne t0, t2, 3f",
    "mv a3, t1",
    "3:",
    "bne t0, t3, 2b",
    "mv a4, t1",
    "j 2b",
    "4:",
    "add a3, a3, a2",
    "add a4, a4, a3",
    "5:", // each relocation
    "bgeu a3, a4, 6f",
    "ld t0, 0(a3)",
    "ld t1, 8(a3)",
    "ld t5, 16(a3)",
    "bne t1, t4, 7f", // R_RISCV_RELATIVE, no symbol
    "add t5, t5, a2",
    "add t0, t0, a2",
    "sd t5, 0(t0)",
    "addi a3, a3, 24",
    "j 5b",
    "6:",
    "andi sp, sp, -16",
    "call {start}",
    "7:",
    "unimp",
    ".cfi_endproc",
    ".size _start, . - _start",
    start = sym start,
);

/// Declares the program's main function: `fn(Arguments, Environment) -> i32`, whose value is the exit status.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        #[unsafe(no_mangle)]
        fn masu_start_main(arguments: $crate::Arguments, environment: $crate::Environment) -> i32 {
            $main(arguments, environment)
        }
    };
}

#[cfg(not(test))]
unsafe extern "Rust" {
    /// Defined by [`entry!`]; a program without it does not link.
    safe fn masu_start_main(arguments: Arguments, environment: Environment) -> i32;
}

/// What `_start` calls, with the address of argc.
///
/// # Safety
/// `stack` must be the stack pointer at entry, as the kernel has set it up.
#[cfg(not(test))]
unsafe extern "C" fn start(stack: *const usize) -> ! {
    // SAFETY: the caller's promise is the callee's requirement.
    let (arguments, environment) = unsafe { vectors(stack) };
    let status = match masu_sys::fd::open_standard_streams() {
        Ok(()) => masu_start_main(arguments, environment),
        // Nobody can be told: a stream is missing, and so is /dev/null.
        Err(_) => 1,
    };
    masu_sys::process::exit_group(status)
}

/// The two vectors of strings of an initial stack.
///
/// # Safety
/// `stack` must point to argc, followed by `argc` C strings, NULL, C strings, NULL, all alive and unchanged for
/// the rest of the process.
unsafe fn vectors(stack: *const usize) -> (Arguments, Environment) {
    // SAFETY: read needs an aligned, initialised word, which argc is.
    let argc = unsafe { stack.read() };
    // SAFETY: add needs to stay inside the initial stack: argv begins one word after argc.
    let argv = unsafe { stack.add(1) };
    // SAFETY: as above: envp begins after argc pointers and a NULL.
    let envp = unsafe { argv.add(argc + 1) };
    (Arguments(Strings { next: argv.cast() }), Environment(Strings { next: envp.cast() }))
}

/// The program's arguments, its name first.
#[derive(Clone, Debug)]
pub struct Arguments(Strings);

/// The environment's `NAME=value` strings.
#[derive(Clone, Debug)]
pub struct Environment(Strings);

impl Iterator for Arguments {
    type Item = &'static CStr;

    fn next(&mut self) -> Option<&'static CStr> {
        self.0.next()
    }
}

impl Iterator for Environment {
    type Item = &'static CStr;

    fn next(&mut self) -> Option<&'static CStr> {
        self.0.next()
    }
}

/// What remains of a vector of C strings that ends with NULL. Only [`vectors`] makes one, so that its promises hold.
#[derive(Clone, Debug)]
struct Strings {
    next: *const *const c_char,
}

impl Strings {
    fn next(&mut self) -> Option<&'static CStr> {
        // SAFETY: read needs an aligned, initialised pointer: `next` is an element of the vector, or its NULL,
        // and never advances past that.
        let string = unsafe { self.next.read() };
        if string.is_null() {
            return None;
        }
        // SAFETY: add needs to stay inside the vector: this element was not the NULL, so another follows.
        self.next = unsafe { self.next.add(1) };
        // SAFETY: from_ptr needs a C string that lives and stays as it is: the kernel made it, at the far end of
        // the stack, and nothing writes there.
        Some(unsafe { CStr::from_ptr(string) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_arguments_and_environment_of_an_initial_stack() {
        let strings = [c"masu", c"state", c"", c"A=1", c"B="].map(|s| s.as_ptr() as usize);
        let [name, state, empty, a, b] = strings;
        let stack = [3, name, state, empty, 0, a, b, 0, 99];
        // SAFETY: vectors needs argc and two vectors that end with NULL, alive: this array, of literals.
        let (arguments, environment) = unsafe { vectors(stack.as_ptr()) };
        assert_eq!(arguments.collect::<Vec<_>>(), [c"masu", c"state", c""]);
        assert_eq!(environment.collect::<Vec<_>>(), [c"A=1", c"B="]);
    }

    #[test]
    fn an_empty_argument_vector_yields_nothing() {
        let stack = [0_usize, 0, 0];
        // SAFETY: vectors needs argc and two vectors that end with NULL, alive: this array.
        let (arguments, environment) = unsafe { vectors(stack.as_ptr()) };
        assert_eq!((arguments.count(), environment.count()), (0, 0));
    }
}
