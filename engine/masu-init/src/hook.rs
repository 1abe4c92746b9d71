//! Hooks of the container's namespaces.

use masu_hook::{Ending, Hook, Tail};
use masu_program::Part;
use rustix::io::Errno;

use crate::failure::{At, Result, fail};

/// Runs a hook to its end, with our own pid in the middle of its input: the container's process as its pid namespace
/// has it.
pub(crate) fn run(hook: &Hook<'_>, said: &mut Tail) -> Result<()> {
    let mut digits = [0; 10];
    let pid = decimal(rustix::process::getpid().as_raw_nonzero().get().unsigned_abs(), &mut digits);
    let [state, _, end] = hook.input;
    *said = Tail::default();
    let (part, number) =
        match masu_hook::run(&Hook { input: [state, pid, end], ..*hook }, said).at(Part::Fork)? {
            Ending::Exited(0) => {
                *said = Tail::default();
                return Ok(());
            }
            Ending::Exited(status) => (Part::HookExited, status),
            Ending::Killed(signal) => (Part::HookKilled, signal),
            Ending::TimedOut | Ending::Interrupted => (Part::HookTimedOut, Errno::TIMEDOUT.raw_os_error()),
            Ending::NotExecuted(errno) => (Part::Execute, errno.raw_os_error()),
        };
    Err(fail(part, Errno::from_raw_os_error(number)))
}

/// The number without leading zeros.
fn decimal(number: u32, digits: &mut [u8; 10]) -> &[u8] {
    let mut rest = number;
    let mut used = 0;
    for (digit, place) in digits.iter_mut().rev().zip(1..) {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if *digit != b'0' {
            used = place;
        }
    }
    digits.get(digits.len() - used.max(1)..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn numbers_are_written_without_leading_zeros() {
        for number in [0, 1, 9, 10, 101, 4_194_304, u32::MAX] {
            assert_eq!(decimal(number, &mut [0; 10]), number.to_string().as_bytes());
        }
    }
}
