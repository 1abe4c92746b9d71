//! Documents that nobody would write.
#[cfg(test)]
mod common;

use common::minimal;
use masu_spec::{
    ConfigError, check_container_id, default_config, parse_config, parse_process, parse_resources,
    parse_signal, parse_size,
};
use proptest::prelude::*;
use serde_json::Value;

const COMPLETE: &str = include_str!("data/complete.json");

/// Any JSON value, of at most three levels.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        "[/a-z.=-]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z.\"]{0,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// The places of a value, all levels.
fn places(value: &Value, at: String, into: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Array(list) => {
            list.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect()
        }
        Value::Object(map) => {
            map.iter().map(|(key, value)| (key.replace('~', "~0").replace('/', "~1"), value)).collect()
        }
        _ => Vec::new(),
    };
    for (name, child) in children {
        let at = format!("{at}/{name}");
        places(child, at.clone(), into);
        into.push(at);
    }
}

/// An error has one line, and the path in front of it.
fn well_formed(error: &ConfigError) -> Result<(), TestCaseError> {
    let text = error.to_string();
    prop_assert!(!text.is_empty() && !text.contains('\n') && !text.ends_with('.'), "{text:?}");
    prop_assert!(text.starts_with(error.path()), "{text:?}");
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        for error in [parse_config(&bytes).err(), parse_process(&bytes).err(), parse_resources(&bytes).err()].iter().flatten() {
            well_formed(error)?;
        }
    }

    #[test]
    fn a_cut_or_changed_byte_is_read_or_refused(at in 0..COMPLETE.len(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut json = COMPLETE.as_bytes().to_vec();
        if cut { json.truncate(at) } else { json[at] = byte }
        if let Err(error) = parse_config(&json) {
            well_formed(&error)?;
        }
    }

    #[test]
    fn any_value_anywhere_is_accepted_or_refused_near_its_place(place in any::<prop::sample::Index>(), value in any_json()) {
        let mut config: Value = serde_json::from_str(COMPLETE).unwrap();
        let mut all = Vec::new();
        places(&config, String::new(), &mut all);
        let place = place.get(&all).clone();
        *config.pointer_mut(&place).unwrap() = value;
        if let Err(error) = parse_config(config.to_string().as_bytes()) {
            well_formed(&error)?;
            let top = place.split('/').nth(1).unwrap();
            // Mappings, namespaces and the process's user depend on each other.
            let across = error.path().starts_with("linux") || error.path().starts_with("process.user");
            prop_assert!(error.path().starts_with(top) || across || error.path().starts_with("hostname")
                || error.path().starts_with("domainname"), "{place}: {error}");
        }
    }

    #[test]
    fn any_text_survives_the_way_through_json(text in "\\PC{0,16}", key in ".{1,8}") {
        let config = common::with(minimal(), "/process/args", serde_json::json!(["sh", text]));
        let mut config = common::with(config, "/annotations", serde_json::json!({}));
        config["annotations"][key.as_str()] = text.as_str().into();
        let json = config.to_string();
        let config = parse_config(json.as_bytes()).unwrap();
        prop_assert_eq!(config.process.args[1].as_str(), text.as_str());
        prop_assert_eq!(config.annotations[key.as_str()].as_str(), text.as_str());
    }

    #[test]
    fn any_argument_is_read_or_refused(text in ".{0,12}") {
        prop_assert!(parse_signal(&text).is_ok_and(|signal| signal <= 64) || parse_signal(&text).is_err());
        prop_assert!(parse_size(&text).is_ok_and(|size| size >= -1) || parse_size(&text).is_err());
        let legal = check_container_id(&text).is_ok();
        prop_assert!(!legal || !(text.is_empty() || text.contains('/') || text == "." || text == ".."));
    }

    #[test]
    fn whole_numbers_with_units_are_exact(number in 0..(1i64 << 23), unit in 0usize..6) {
        let name = ["", "k", "mb", "GiB", "t", "PB"][unit];
        let expected = number.checked_mul(1i64 << (10 * unit));
        prop_assert_eq!(parse_size(&format!("{number}{name}")).ok(), expected);
    }
}

#[test]
fn deep_nesting_is_refused_and_does_not_overflow_the_stack() {
    let deep = format!("{{\"hooks\": {}", "[".repeat(1_000_000));
    assert_eq!(
        parse_config(deep.as_bytes()).unwrap_err().to_string(),
        "hooks: expected an object, found an array"
    );
    let deep = format!("{{\"annotations\": {{\"a\": {}", "{\"a\":".repeat(1_000_000));
    let message = "annotations[\"a\"]: expected a string, found an object";
    assert_eq!(parse_config(deep.as_bytes()).unwrap_err().to_string(), message);
    let unknown = format!("{{\"later\": {}", "[".repeat(1_000_000));
    let message = "line 1, column 1000010: EOF while parsing a list";
    assert_eq!(parse_config(unknown.as_bytes()).unwrap_err().to_string(), message);
}

#[test]
fn the_default_config_survives_a_change_of_layout() {
    let text = default_config(true);
    let value: Value = serde_json::from_str(&text).unwrap();
    let compact = value.to_string();
    assert_eq!(parse_config(compact.as_bytes()).unwrap(), parse_config(text.as_bytes()).unwrap());
}
