//! JSON out, as Go's `MarshalIndent` lays it out.
use alloc::string::String;

use serde::Serialize;

/// Writes `value` over several lines with `indent` for each level, without a newline at the end.
///
/// serde_json without `std` knows only its own indent of two spaces; other indents are put in afterwards. That is safe
/// since a line break within a string is written as an escape: each line begins with structure.
///
/// # Errors
/// A map whose keys are not strings; the types of this crate have none.
pub fn pretty<T: Serialize>(value: &T, indent: &str) -> Result<String, serde_json::Error> {
    let text = serde_json::to_string_pretty(value)?;
    let mut indented = String::with_capacity(text.len());
    for (index, line) in text.lines().enumerate() {
        if index > 0 {
            indented.push('\n');
        }
        let content = line.trim_start_matches(' ');
        let level = (line.len() - content.len()) / 2;
        (0..level).for_each(|_| indented.push_str(indent));
        indented.push_str(content);
    }
    Ok(indented)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_gets_one_indent() {
        let value = serde_json::json!({"a": ["  x\n  y"], "b": {}});
        assert_eq!(pretty(&value, "\t").unwrap(), "{\n\t\"a\": [\n\t\t\"  x\\n  y\"\n\t],\n\t\"b\": {}\n}");
    }
}
