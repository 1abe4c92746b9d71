//! A small correct configuration, and ways to spoil it.
#![allow(dead_code, reason = "each test program uses its own part")]

use serde_json::{Value, json};

/// The smallest configuration, with all namespaces that need nothing else.
pub(crate) fn minimal() -> Value {
    json!({
        "ociVersion": "1.3.0",
        "process": {"args": ["sh"], "cwd": "/", "user": {"uid": 0, "gid": 0}},
        "root": {"path": "rootfs"},
        "linux": {"namespaces": [
            {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}
        ]}
    })
}

/// The configuration with the value at `pointer` (as in RFC 6901; `-` appends) replaced or added.
pub(crate) fn with(mut config: Value, pointer: &str, value: Value) -> Value {
    let mut at = &mut config;
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        if at.is_null() {
            *at = if matches!(part.as_str(), "-" | "0") { json!([]) } else { json!({}) };
        }
        at = match at {
            Value::Array(list) => {
                let index = part.parse().unwrap_or(list.len());
                if index == list.len() {
                    list.push(Value::Null);
                }
                list.get_mut(index).expect("an element")
            }
            Value::Object(map) => map.entry(part).or_insert(Value::Null),
            other => panic!("{other} has no {part}"),
        };
    }
    *at = value;
    config
}

/// The configuration without the field at `pointer`.
pub(crate) fn without(mut config: Value, pointer: &str) -> Value {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    config
        .pointer_mut(parent)
        .expect("a parent")
        .as_object_mut()
        .expect("an object")
        .remove(name)
        .expect("the field");
    config
}

/// The message that the configuration is refused with.
pub(crate) fn refusal(config: &Value) -> String {
    masu_spec::parse_config(config.to_string().as_bytes()).expect_err(&config.to_string()).to_string()
}

/// The same document with every character of every string, keys too, spelled as an escape.
pub(crate) fn escaped(json: &str) -> String {
    let mut out = String::new();
    let mut chars = json.chars();
    let mut inside = false;
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                inside = !inside;
                out.push(c);
            }
            // An escape that is there already, of two characters or of six, stays.
            '\\' => {
                let kind = chars.next().unwrap();
                out.extend([c, kind]);
                out.extend(chars.by_ref().take(if kind == 'u' { 4 } else { 0 }));
            }
            c if inside => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}
