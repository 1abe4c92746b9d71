//! The specification's JSON schema, as `cargo xtask test unit` fetched it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::{Draft, Retrieve, Uri, Validator};
use masu_schema_tests::{MAPS, field};
use serde_json::Value;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The schemas refer to each other by the names of their files; this stands for the folder.
const BASE: &str = "file:///schema/";

/// In 1.3.0 the reference below `ArrayOfUint32`, which nothing uses, leads nowhere; a whole schema is refused for it.
const BROKEN: &str = "\"#definitions/";
const MENDED: &str = "\"#/definitions/";

/// One of the specification's schemas.
pub(crate) struct Schema {
    folder: PathBuf,
    validator: Validator,
}

struct Folder(PathBuf);

impl Retrieve for Folder {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value> {
        read(&self.0, uri.as_str().trim_start_matches(BASE))
    }
}

fn read(folder: &Path, file: &str) -> Result<Value> {
    let path = folder.join(file);
    let text = fs::read_to_string(&path).map_err(|error| {
        format!("read {}: {error}\nhint: cargo xtask test unit fetches it", path.display())
    })?;
    Ok(serde_json::from_str(&text.replace(BROKEN, MENDED))?)
}

impl Schema {
    /// Reads one of its files.
    pub(crate) fn open(file: &str) -> Result<Self> {
        let cache = std::env::var_os("MASU_TESTS_CACHE").unwrap_or_else(|| "/var/cache/masu-xtask".into());
        let folder = Path::new(&cache).join("runtime-spec/schema");
        let validator = jsonschema::options()
            .with_draft(Draft::Draft4)
            .with_base_uri(format!("{BASE}{file}"))
            .with_retriever(Folder(folder.clone()))
            .build(&read(&folder, file)?)?;
        Ok(Self { folder, validator })
    }

    /// What it has against a document: the pointers of the wrong values, and why.
    pub(crate) fn faults(&self, document: &Value) -> Vec<(String, String)> {
        let faults = self.validator.iter_errors(document);
        faults.map(|fault| (fault.instance_path().to_string(), fault.to_string())).collect()
    }

    /// The places that it defines in `config.json`, by their patterns: all but those of other systems.
    pub(crate) fn fields(&self) -> Result<BTreeSet<String>> {
        let mut fields = BTreeSet::new();
        self.collect("config-schema.json", &read(&self.folder, "config-schema.json")?, "", &mut fields)?;
        Ok(fields)
    }

    fn collect(&self, file: &str, node: &Value, at: &str, fields: &mut BTreeSet<String>) -> Result<()> {
        if let Some(reference) = node["$ref"].as_str() {
            let (name, pointer) = reference.split_once('#').ok_or(reference)?;
            let file = if name.is_empty() { file } else { name };
            let document = read(&self.folder, file)?;
            let target = document.pointer(pointer).ok_or(reference)?;
            return self.collect(file, target, at, fields);
        }
        for list in ["allOf", "anyOf"] {
            for part in node[list].as_array().into_iter().flatten() {
                self.collect(file, part, at, fields)?;
            }
        }
        if node["items"].is_object() {
            self.collect(file, &node["items"], &format!("{at}[*]"), fields)?;
        }
        for (key, property) in node["properties"].as_object().into_iter().flatten() {
            let is_key = MAPS.contains(&at);
            let place = if is_key { format!("{at}[*]") } else { field(at, key) };
            if !OF_OTHER_SYSTEMS.contains(&place.as_str()) {
                self.collect(file, property, &place, fields)?;
                fields.insert(place);
            }
        }
        let others = node["patternProperties"].as_object().into_iter().flat_map(|map| map.values());
        for property in others.chain(Some(&node["additionalProperties"])).filter(|other| other.is_object()) {
            self.collect(file, property, &format!("{at}[*]"), fields)?;
        }
        Ok(())
    }
}

/// Sections and fields that config.md keeps for other systems.
const OF_OTHER_SYSTEMS: [&str; 7] =
    ["freebsd", "process.commandLine", "process.user.username", "solaris", "vm", "windows", "zos"];
