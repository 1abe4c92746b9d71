//! masu-spec and the specification's own JSON schema say the same of a configuration; where they do not, a reason is listed.

mod reference;

use std::collections::BTreeSet;

use masu_schema_tests::{Document, MAPS, documents, places, with};
use masu_spec::{ConfigError, parse_config};
use reference::Schema;
use serde_json::{Value, json};

type Test = Result<(), Box<dyn std::error::Error + Send + Sync>>;

const CONFIG: &str = "config-schema.json";
const GOOD: &str = "tests/schema/examples/good";
const BAD: &str = "tests/schema/examples/bad";

fn masu(config: &Value) -> Result<(), ConfigError> {
    parse_config(config.to_string().as_bytes()).map(drop)
}

/// Collects what is wrong, so that one run shows all of it.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn check(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.0.push(what());
        }
    }

    fn verdict(self) -> Test {
        if self.0.is_empty() { Ok(()) } else { Err(self.0.join("\n").into()) }
    }
}

#[test]
fn each_good_example_is_accepted_by_both() -> Test {
    let schema = Schema::open(CONFIG)?;
    let mut faults = Faults::default();
    for Document { name, value } in documents(GOOD)? {
        faults.check(masu(&value).is_ok(), || format!("{name}: masu: {:?}", masu(&value)));
        faults.check(schema.faults(&value).is_empty(), || format!("{name}: {:?}", schema.faults(&value)));
    }
    faults.verdict()
}

#[test]
fn the_good_examples_have_every_field_of_the_schema_and_no_other() -> Test {
    let fields = Schema::open(CONFIG)?.fields()?;
    let mut used = BTreeSet::new();
    for document in documents(GOOD)? {
        used.extend(places(&document.value).into_iter().map(|place| place.pattern));
    }
    used.retain(|place| !place.ends_with("[*]"));
    let missing: Vec<_> = fields.difference(&used).collect();
    let unknown: Vec<_> = used.difference(&fields).collect();
    assert_eq!((missing, unknown), (vec![], vec![]));
    Ok(())
}

/// Its fields are names of clocks: the shift of one that masu does not know would be lost in silence.
const CLOCKS: &str = "linux.timeOffsets";

#[test]
fn an_unknown_field_is_accepted_by_both_in_every_object() -> Test {
    let schema = Schema::open(CONFIG)?;
    let mut faults = Faults::default();
    let mut objects = BTreeSet::new();
    for Document { name, value } in documents(GOOD)? {
        let inner = places(&value).into_iter().filter(|place| place.value.is_object());
        let inner = inner.filter(|place| !MAPS.contains(&place.pattern.as_str()) && place.pattern != CLOCKS);
        let inner = inner.map(|place| (place.pointer, place.pattern));
        for (pointer, pattern) in inner.chain([(String::new(), String::new())]) {
            let new = with(&value, &format!("{pointer}/ofTheFuture"), &json!({"any": [1, null, "x"]}))?;
            faults.check(masu(&new).is_ok(), || format!("{name}{pointer}: masu: {:?}", masu(&new)));
            faults.check(schema.faults(&new).is_empty(), || {
                format!("{name}{pointer}: {:?}", schema.faults(&new))
            });
            objects.insert(pattern);
        }
    }
    // An example that is lost must not take its objects with it in silence.
    assert_eq!(objects.len(), 49, "{objects:?}");
    faults.verdict()
}

/// What is no value of the type of `value`.
fn wrong_types(value: &Value) -> Vec<Value> {
    let all = [json!("5"), json!(5), json!(1.5), json!(true), json!(["a", 1, {}]), json!({"a": [1]})];
    let same = |other: &Value| match value {
        // Every number here is an integer.
        Value::Number(_) => other.is_u64(),
        _ => std::mem::discriminant(other) == std::mem::discriminant(value),
    };
    all.into_iter().filter(|other| !same(other)).collect()
}

/// Where a wrong type has another verdict: the place, and why.
const TYPES: [(&str, &str); 2] = [
    (
        "linux.namespaces[*].path",
        "the schema has an alternative there, and tells of the namespace as a whole",
    ),
    ("linux.namespaces[*].type", "as for path"),
];

#[test]
fn a_wrong_type_is_refused_by_both_at_the_same_place() -> Test {
    let schema = Schema::open(CONFIG)?;
    let mut faults = Faults::default();
    let mut seen = BTreeSet::new();
    for Document { name, value } in documents(GOOD)? {
        for place in places(&value) {
            for wrong in wrong_types(&place.value) {
                let config = with(&value, &place.pointer, &wrong)?;
                let error = masu(&config);
                let is_refused =
                    matches!(&error, Err(ConfigError::WrongType { path, .. }) if *path == place.path);
                faults.check(is_refused, || format!("{name}: {} = {wrong}: masu: {error:?}", place.path));
                let told = schema.faults(&config);
                let agrees = told.iter().any(|(pointer, _)| *pointer == place.pointer);
                let excused = TYPES.iter().any(|(pattern, _)| *pattern == place.pattern);
                if !agrees && excused {
                    seen.insert(place.pattern.clone());
                }
                faults.check(agrees || excused && !told.is_empty(), || {
                    format!("{name}: {} = {wrong}: schema: {told:?}", place.pattern)
                });
            }
        }
    }
    faults.verdict()?;
    let listed: BTreeSet<_> = TYPES.iter().map(|(pattern, _)| (*pattern).to_owned()).collect();
    assert_eq!(seen, listed, "a reason that is none any more");
    Ok(())
}

#[test]
fn each_bad_example_is_refused_by_masus_message_and_by_the_schema_or_for_a_reason() -> Test {
    let schema = Schema::open(CONFIG)?;
    let good = documents(GOOD)?;
    let mut faults = Faults::default();
    for Document { name, value } in documents(BAD)? {
        for example in value.as_array().ok_or("a list of examples")? {
            let text = |key| example[key].as_str().ok_or(format!("{name}: {key} is missing in {example}"));
            let base = text("in")?;
            let base = good.iter().find(|document| document.name == base).ok_or(base)?;
            let config = with(&base.value, text("at")?, &example["put"])?;
            let said = masu(&config).map_or_else(|error| error.to_string(), |()| "accepted".to_owned());
            faults.check(said == text("message")?, || format!("{name}: masu says {said:?} of {example}"));
            let told = schema.faults(&config);
            let reason = example["the schema accepts it"].as_str();
            faults.check(reason.is_some() == told.is_empty(), || format!("{name}: {told:?} of {example}"));
        }
    }
    faults.verdict()
}

/// What masu accepts and the schema does not: the good example, the place in it, the value, and why masu takes it.
const MORE: [(&str, &str, &str, &str); 11] = [
    ("paths", "/linux/rootfsPropagation", r#""rslave""#, "runc and its engines write the words of mount(8)"),
    ("seccomp", "/linux/seccomp", "{}", "runc takes an empty filter for none"),
    ("cgroup", "/linux/resources/pids", "{}", "no limit is asked for; runc takes it for none"),
    ("devices", "/linux/devices/0/fileMode", "2541", "the kernel's modes go to 0o7777, and runc sets them"),
    ("minimal", "/hostname", "null", "null is no value, as for Go's decoder"),
    ("minimal", "/process/env", "null", "as for hostname: engines in Go write an empty list so"),
    ("minimal", "/mounts", "null", "as for process.env"),
    ("minimal", "/solaris", "7", "sections of other systems are not read"),
    ("minimal", "/windows", r#""x""#, "as for solaris"),
    ("process", "/process/user/username", "7", "Windows alone has it"),
    ("process", "/process/commandLine", "7", "Windows alone has it"),
];

#[test]
fn what_masu_accepts_beyond_the_schema_is_listed() -> Test {
    let schema = Schema::open(CONFIG)?;
    let good = documents(GOOD)?;
    let mut faults = Faults::default();
    for (name, at, value, _) in MORE {
        let base = good.iter().find(|document| document.name == name).ok_or(name)?;
        let config = with(&base.value, at, &serde_json::from_str(value)?)?;
        faults.check(masu(&config).is_ok(), || format!("{at} = {value}: masu: {:?}", masu(&config)));
        faults.check(!schema.faults(&config).is_empty(), || format!("{at} = {value}: the schema accepts it"));
    }
    faults.verdict()
}

#[test]
fn configurations_that_engines_wrote_are_accepted_by_both() -> Test {
    let schema = Schema::open(CONFIG)?;
    let mut faults = Faults::default();
    let mut documents = documents("tests/corpus")?;
    documents.retain(|document| !document.name.ends_with(".process"));
    assert!(documents.len() > 40, "{} configurations", documents.len());
    for Document { name, value } in documents {
        faults.check(masu(&value).is_ok(), || format!("{name}: masu: {:?}", masu(&value)));
        let mut told = schema.faults(&value);
        told.retain(|(pointer, _)| !OF_ENGINES.iter().any(|end| pointer.ends_with(end)));
        faults.check(told.is_empty(), || format!("{name}: {told:?}"));
    }
    faults.verdict()
}

/// Where engines go beyond the schema, as [`MORE`] says.
const OF_ENGINES: [&str; 2] = ["/fileMode", "/rootfsPropagation"];

#[test]
fn what_masu_writes_follows_its_schema() -> Test {
    let state = masu_spec::State {
        oci_version: masu_spec::OCI_VERSION.into(),
        id: "box".into(),
        pid: 7,
        status: masu_spec::Status::Running,
        bundle: "/srv/box".into(),
        rootfs: "/srv/box/rootfs".into(),
        created: "2026-01-01T00:00:00Z".into(),
        annotations: [("key".into(), "value".into())].into(),
        owner: "".into(),
    };
    for (file, text) in [
        (CONFIG, masu_spec::default_config(true)),
        (CONFIG, masu_spec::default_config(false)),
        (CONFIG, masu_spec::rootless_config(true, 1000, 1000)),
        ("features-schema.json", masu_spec::features().to_json()?),
        ("state-schema.json", state.to_json()?),
    ] {
        let faults = Schema::open(file)?.faults(&serde_json::from_str(&text)?);
        assert_eq!(faults, [], "{text}");
    }
    Ok(())
}
