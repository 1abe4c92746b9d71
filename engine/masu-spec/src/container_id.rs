//! Container IDs.
use alloc::string::ToString;

use crate::error::ArgumentError;

/// Checks a container's ID: `^[\w+.-]+$`, and neither `.` nor `..`, since it names a directory. The characters are
/// runc's, ASCII only.
///
/// # Errors
/// [`ArgumentError::EmptyId`] and [`ArgumentError::IllegalId`].
pub fn check_container_id(id: &str) -> Result<(), ArgumentError> {
    if id.is_empty() {
        return Err(ArgumentError::EmptyId);
    }
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+' | b'-' | b'.');
    if matches!(id, "." | "..") || !id.bytes().all(legal) {
        return Err(ArgumentError::IllegalId(id.to_string()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_runc_are_legal() {
        for id in ["a", "Z9", "_", "+", "-", "a.b", "...", "..a", "with_underscore+plus-minus.dot"] {
            assert_eq!(check_container_id(id), Ok(()), "{id}");
        }
    }

    #[test]
    fn other_ids_are_refused() {
        for id in [".", "..", "a/b", "/", "a b", "ü", "a\0", "a:b", "a\n", "*"] {
            let error = check_container_id(id).unwrap_err();
            assert_eq!(error.to_string(), alloc::format!("invalid container ID format: {id:?}"));
        }
        assert_eq!(check_container_id("").unwrap_err().to_string(), "container id cannot be empty");
    }
}
