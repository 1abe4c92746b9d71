//! Configurations of our own, good and bad, and how a place in one is written.
//!
//! `examples/good` has a whole `config.json` for each section of the specification; between them they have every field that
//! the specification defines for Linux. `examples/bad` has for each section what must be refused: a value, and the good
//! configuration and the place in it that it is put into.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A file of JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its name, without the folder and `.json`.
    pub name: String,
    /// What is in it.
    pub value: Value,
}

/// The files of a folder of this project, from its root, in the order of their names.
///
/// # Errors
///
/// For what cannot be read, and what is no JSON.
pub fn documents(folder: &str) -> io::Result<Vec<Document>> {
    let folder = project().join(folder);
    let mut paths = fs::read_dir(&folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .filter(|path| path.as_ref().is_ok_and(|path| path.extension().is_some_and(|part| part == "json")))
        .collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    paths.iter().map(|path| document(path)).collect()
}

fn document(path: &Path) -> io::Result<Document> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Document { name, value: serde_json::from_slice(&fs::read(path)?)? })
}

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The objects whose keys are the author's.
pub const MAPS: [&str; 5] =
    ["annotations", "linux.netDevices", "linux.resources.rdma", "linux.resources.unified", "linux.sysctl"];

/// A value within a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// As RFC 6901 writes it: `/linux/sysctl/net.x`.
    pub pointer: String,
    /// As masu does: `linux.sysctl["net.x"]`.
    pub path: String,
    /// What stands for all places like it: `linux.sysctl[*]`.
    pub pattern: String,
    /// What is there.
    pub value: Value,
}

/// Every value of a document but the document itself.
#[must_use]
pub fn places(document: &Value) -> Vec<Place> {
    let root = Place {
        pointer: String::new(),
        path: String::new(),
        pattern: String::new(),
        value: document.clone(),
    };
    let mut places = vec![root];
    let mut next = 0;
    while let Some(place) = places.get(next) {
        let below = below(place);
        places.extend(below);
        next += 1;
    }
    places.remove(0);
    places
}

fn below(place: &Place) -> Vec<Place> {
    let Place { pointer, path, pattern, value } = place;
    let is_map = MAPS.contains(&pattern.as_str());
    // Its keys are those of the specification, and a map in masu all the same.
    let in_brackets = is_map || pattern == "linux.timeOffsets";
    match value {
        Value::Array(list) => list
            .iter()
            .enumerate()
            .map(|(index, value)| Place {
                pointer: format!("{pointer}/{index}"),
                path: format!("{path}[{index}]"),
                pattern: format!("{pattern}[*]"),
                value: value.clone(),
            })
            .collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| Place {
                pointer: format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")),
                path: if in_brackets { format!("{path}[{key:?}]") } else { field(path, key) },
                pattern: if is_map { format!("{pattern}[*]") } else { field(pattern, key) },
                value: value.clone(),
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// The place of a field within an object.
#[must_use]
pub fn field(object: &str, name: &str) -> String {
    if object.is_empty() { name.to_owned() } else { format!("{object}.{name}") }
}

/// The document with another value at a pointer whose parent is there; `-` appends to a list.
///
/// # Errors
///
/// The pointer, when there is no such place.
pub fn with(document: &Value, pointer: &str, value: &Value) -> Result<Value, String> {
    let mut changed = document.clone();
    let (parent, key) = pointer.rsplit_once('/').ok_or("a pointer begins with /")?;
    match changed.pointer_mut(parent) {
        Some(Value::Object(fields)) => {
            fields.insert(key.replace("~1", "/").replace("~0", "~"), value.clone());
        }
        Some(Value::Array(list)) if key == "-" => list.push(value.clone()),
        Some(Value::Array(list)) => {
            let entry = key.parse().ok().and_then(|index: usize| list.get_mut(index));
            *entry.ok_or_else(|| pointer.to_owned())? = value.clone();
        }
        _ => return Err(pointer.to_owned()),
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::{places, with};
    use serde_json::json;

    #[test]
    fn places_are_named_as_json_and_masu_and_the_table_name_them() {
        let document = json!({"linux": {"sysctl": {"a/b": "1", "c": ""}, "devices": [{"path": "/dev/x"}]}});
        let names: Vec<_> =
            places(&document).into_iter().map(|place| (place.pointer, place.path, place.pattern)).collect();
        let expected = [
            ("/linux", "linux", "linux"),
            ("/linux/sysctl", "linux.sysctl", "linux.sysctl"),
            ("/linux/devices", "linux.devices", "linux.devices"),
            ("/linux/sysctl/a~1b", "linux.sysctl[\"a/b\"]", "linux.sysctl[*]"),
            ("/linux/sysctl/c", "linux.sysctl[\"c\"]", "linux.sysctl[*]"),
            ("/linux/devices/0", "linux.devices[0]", "linux.devices[*]"),
            ("/linux/devices/0/path", "linux.devices[0].path", "linux.devices[*].path"),
        ];
        let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(names, expected);
    }

    #[test]
    fn a_value_is_put_where_the_pointer_says() {
        let document = json!({"a": {"b/c": 1}, "list": [1]});
        let put = |pointer| with(&document, pointer, &json!(2));
        assert_eq!(put("/a/b~1c"), Ok(json!({"a": {"b/c": 2}, "list": [1]})));
        assert_eq!(put("/list/0"), Ok(json!({"a": {"b/c": 1}, "list": [2]})));
        assert_eq!(put("/list/-"), Ok(json!({"a": {"b/c": 1}, "list": [1, 2]})));
        for nowhere in ["/list/1", "/a/b~1c/d", "/none/x"] {
            assert_eq!(put(nowhere), Err(nowhere.to_owned()));
        }
    }
}
