//! From a byte of a document back to the JSON path there: only after an error.
//!
//! serde_json says at which byte a value was of the wrong type, not which field it was. Following the path while
//! parsing (as the crate serde_path_to_error does) would compile every parser a second time.
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::text::Str;

/// An array or object that is open.
enum Open {
    Array { index: usize },
    Object { key: Option<String> },
}

/// The path of the value that begins at the byte `offset`, or ends there. Up to `offset`, `json` is known to be valid.
pub(crate) fn locate(json: &[u8], offset: usize) -> String {
    let mut stack: Vec<Open> = Vec::new();
    let mut at = 0;
    while let Some(byte) = json.get(at) {
        let start = at;
        match byte {
            b'{' | b'[' if start >= offset => break,
            b'{' => stack.push(Open::Object { key: None }),
            b'[' => stack.push(Open::Array { index: 0 }),
            b'}' | b']' => drop(stack.pop()),
            b',' => next(&mut stack),
            b'"' => at = end_of_string(json, at) - 1,
            b':' | b' ' | b'\t' | b'\n' | b'\r' => {
                at += 1;
                continue;
            }
            _ => at = end_of_word(json, at) - 1,
        }
        at += 1;
        if let (b'"', Some(Open::Object { key: key @ None })) = (byte, stack.last_mut()) {
            *key = json
                .get(start..at)
                .and_then(|raw| serde_json::from_slice::<Str>(raw).ok())
                .map(|key| key.to_string());
        }
        // An opening bracket and a comma end no value.
        if at >= offset && !matches!(byte, b'{' | b'[' | b',') {
            break;
        }
    }
    render(&stack)
}

/// After a comma: the next element, or the next key.
fn next(stack: &mut [Open]) {
    match stack.last_mut() {
        Some(Open::Array { index }) => *index += 1,
        Some(Open::Object { key }) => *key = None,
        None => {}
    }
}

/// The byte after the string that starts at `at`.
fn end_of_string(json: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    loop {
        match json.get(end) {
            Some(b'\\') => end += 2,
            Some(b'"') => return end + 1,
            Some(_) => end += 1,
            None => return json.len(),
        }
    }
}

/// The byte after the number or literal that starts at `at`.
fn end_of_word(json: &[u8], at: usize) -> usize {
    let rest = json.get(at..).unwrap_or_default();
    let length = rest
        .iter()
        .position(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'+' | b'-' | b'.'));
    at + length.unwrap_or(rest.len()).max(1)
}

/// The fields whose keys the author chose: [`Path::Key`](crate::path::Path::Key) writes those in brackets too.
const MAPS: [&str; 6] = ["annotations", "netDevices", "rdma", "sysctl", "timeOffsets", "unified"];

fn render(stack: &[Open]) -> String {
    let mut path = String::new();
    let mut in_map = false;
    for open in stack {
        let key = match open {
            Open::Array { index } => {
                path.push_str(&format!("[{index}]"));
                in_map = false;
                continue;
            }
            Open::Object { key: None } => continue,
            Open::Object { key: Some(key) } => key,
        };
        if in_map || !is_plain(key) {
            path.push_str(&format!("[{key:?}]"));
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(key);
        }
        // A key of the author's that is spelled like one of these begins no map.
        in_map = !in_map && MAPS.contains(&key.as_str());
    }
    path
}

/// A key that needs no quotes in a path: those of the specification do not.
fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_byte_at_the_mark_gives_the_path() {
        // The mark `^` stands where serde_json reports the error: behind a scalar, before a bracket, behind a key.
        let table = [
            (r#"^[]"#, ""),
            (r#"3^"#, ""),
            (r#"{"a":3^}"#, "a"),
            (r#"{"a": ^{"b":1}}"#, "a"),
            (r#"{"a":{"b":1,"c":[10,20,"x"^]}}"#, "a.c[2]"),
            (r#"{"a":[[],{"b":null}], "c":true^}"#, "c"),
            (r#"{"a":{"org.x/y":7^}}"#, r#"a["org.x/y"]"#),
            (r#"{"sysctl":{"a":7^}}"#, r#"sysctl["a"]"#),
            (r#"{"linux":{"netDevices":{"unified":{"name":7^}}}}"#, r#"linux.netDevices["unified"].name"#),
            (r#"{"unified":[{"a":7^}]}"#, "unified[0].a"),
            (r#"{"a\"]}":{"\u0062":-1.5e3^}}"#, r#"["a\"]}"].b"#),
            (r#"{"a":1,"a"^:2}"#, "a"),
            (r#"{"a":[{"b":1},^[2]]}"#, "a[1]"),
            (r#"{"a":[{},{"b":[{}^]}]}"#, "a[1].b[0]"),
        ];
        for (marked, path) in table {
            let offset = marked.find('^').unwrap();
            assert_eq!(locate(marked.replace('^', "").as_bytes(), offset), path, "{marked}");
        }
    }

    #[test]
    fn any_bytes_end_the_search() {
        for json in ["", "\"", "\"\\", "]]]", "{\"", "\u{0}\u{0}", ",,,:", "{\"a\":[1,"] {
            for offset in 0..12 {
                locate(json.as_bytes(), offset);
            }
        }
    }
}
