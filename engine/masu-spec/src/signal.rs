//! Signals by name and number, see signal(7).
use alloc::string::ToString;

use crate::error::ArgumentError;

/// The names without `SIG`; the index is the number on every architecture that masu runs on.
const NAMES: [&str; 32] = [
    "", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// Second names.
const ALIASES: [(&str, u8); 3] = [("IOT", 6), ("CLD", 17), ("POLL", 29)];

/// The first real-time signal as libc counts them: it keeps 32 and 33 to itself.
const RTMIN: u8 = 34;
/// The last one: the kernel's `_NSIG`.
const RTMAX: u8 = 64;

/// Reads what `kill` takes: a name with or without `SIG`, in any case, `RTMIN+N`, `RTMAX-N`, or a number from 0 to 64.
/// 0 only asks whether the process is there.
///
/// # Errors
/// [`ArgumentError::UnknownSignal`] for anything else.
pub fn parse_signal(text: &str) -> Result<u8, ArgumentError> {
    let unknown = || ArgumentError::UnknownSignal(text.to_string());
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return text.parse().ok().filter(|number| *number <= RTMAX).ok_or_else(unknown);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    named(name).or_else(|| real_time(name)).ok_or_else(unknown)
}

fn named(name: &str) -> Option<u8> {
    let known = NAMES.iter().copied().zip(0..).skip(1);
    known.chain(ALIASES).find(|(known, _)| *known == name).map(|(_, number)| number)
}

fn real_time(name: &str) -> Option<u8> {
    let number = match name {
        "RTMIN" => RTMIN,
        "RTMAX" => RTMAX,
        _ => match (name.strip_prefix("RTMIN+"), name.strip_prefix("RTMAX-")) {
            (Some(digits), _) => RTMIN.checked_add(decimal(digits)?)?,
            (_, Some(digits)) => RTMAX.checked_sub(decimal(digits)?)?,
            _ => return None,
        },
    };
    (RTMIN..=RTMAX).contains(&number).then_some(number)
}

/// Digits only: `parse` alone would take a sign too.
fn decimal(digits: &str) -> Option<u8> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// The name of a signal below the real-time ones, `SIGTERM` without `SIG`.
pub fn signal_name(number: u8) -> Option<&'static str> {
    NAMES.get(usize::from(number)).copied().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_read() {
        let table = [
            ("KILL", 9),
            ("SIGKILL", 9),
            ("sigterm", 15),
            ("Term", 15),
            ("9", 9),
            ("0", 0),
            ("64", 64),
            ("015", 15),
            ("IOT", 6),
            ("SIGCLD", 17),
            ("POLL", 29),
            ("WINCH", 28),
            ("SYS", 31),
            ("RTMIN", 34),
            ("SIGRTMIN+1", 35),
            ("rtmin+30", 64),
            ("RTMAX", 64),
            ("RTMAX-30", 34),
        ];
        for (text, number) in table {
            assert_eq!(parse_signal(text), Ok(number), "{text}");
        }
    }

    #[test]
    fn anything_else_is_unknown() {
        for text in [
            "", "SIG", "FOO", "-9", "+9", "65", "256", "9x", "RTMIN+31", "RTMAX-31", "RTMIN-1", "RTMIN++1",
            "RTMIN+",
        ] {
            let error = parse_signal(text).unwrap_err();
            assert_eq!(error.to_string(), alloc::format!("unknown signal {text:?}"));
        }
    }

    #[test]
    fn numbers_have_names() {
        assert_eq!((signal_name(9), signal_name(31)), (Some("KILL"), Some("SYS")));
        assert_eq!((signal_name(0), signal_name(32)), (None, None));
    }
}
