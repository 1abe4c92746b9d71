//! The end of a program that is wrong: a line on the standard error and exit status 1, without unwinding.
//!
//! The panic's message is not formatted: core's formatting code would be linked into masu-init for it alone.

use core::panic::PanicInfo;

/// What the C library would have for unwinding. The precompiled core refers to both in the dev profile; with
/// `panic = "abort"` nothing calls them.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// See [`rust_eh_personality`].
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    masu_sys::process::exit_group(1)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let mut digits = [0; 10];
    let (file, line) = match info.location() {
        Some(location) => (location.file(), decimal(location.line(), &mut digits)),
        None => ("unknown place", &digits[..0]),
    };
    let parts: [&[u8]; 5] = match is_out_of_memory(file) {
        true => [b"masu: out of memory\n", b"", b"", b"", b""],
        false => [b"masu: internal error: ", file.as_bytes(), b":", line, b"\n"],
    };
    for part in parts.into_iter().filter(|part| !part.is_empty()) {
        // Ignored: a closed standard error leaves nobody to tell, and the exit status says the rest.
        let _ignored = rustix::io::write(masu_sys::fd::stderr(), part);
    }
    masu_sys::process::exit_group(1)
}

/// Whether the panic is alloc's own, for a block that the allocator could not give.
fn is_out_of_memory(file: &str) -> bool {
    file.ends_with("library/alloc/src/alloc.rs")
}

/// The decimal digits of a number, at the end of the buffer.
fn decimal(mut number: u32, digits: &mut [u8; 10]) -> &[u8] {
    let mut first = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        first -= 1;
        if number == 0 {
            break;
        }
    }
    digits.get(first..).unwrap_or(&[])
}
