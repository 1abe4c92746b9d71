//! What a case returns: nothing, or why it failed, or why it could not be run here.

use std::error::Error;

/// The result of a case.
pub type Check<T = ()> = Result<T, Failure>;

/// Why a case did not pass.
#[derive(Debug)]
pub enum Failure {
    /// The runtime did something else than expected.
    Failed(String),
    /// The machine lacks what the case needs; only cases in `skips.toml` may say so.
    Skipped(String),
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(format!("the test itself failed: {error}"))
    }
}

/// A failure with these words.
pub fn fail(text: impl Into<String>) -> Failure {
    Failure::Failed(text.into())
}

/// Fails the case with a formatted text unless the condition holds.
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err($crate::fail(format!("{}:{}: {}", file!(), line!(), format!($($text)+))));
        }
    };
}

/// Fails the case unless both values are equal, and shows both.
#[macro_export]
macro_rules! ensure_eq {
    ($actual:expr, $expected:expr) => {
        $crate::ensure_eq!($actual, $expected, "{}", stringify!($actual))
    };
    ($actual:expr, $expected:expr, $($text:tt)+) => {
        match (&$actual, &$expected) {
            (actual, expected) => {
                if *actual != *expected {
                    return Err($crate::fail(format!(
                        "{}:{}: {}\n  expected: {:?}\n  actual:   {:?}",
                        file!(), line!(), format!($($text)+), expected, actual
                    )));
                }
            }
        }
    };
}
