//! JSON in: one pass over the file, and the words for what is wrong with it.
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use core::marker::PhantomData;

use serde::de::{Deserialize, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;

use crate::error::ConfigError;
use crate::locate::locate;
use crate::text::Str;

/// Reads a whole document.
///
/// # Errors
/// [`ConfigError::Syntax`], or for a value of the wrong type [`ConfigError::WrongType`]. A field that is given twice is
/// an error too: readers that disagree on which one counts have been a way around checks.
pub(crate) fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, ConfigError> {
    serde_json::from_slice(json).map_err(|error| explain(json, &error))
}

fn explain(json: &[u8], error: &serde_json::Error) -> ConfigError {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let reason = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text);
    if error.classify() != Category::Data {
        return ConfigError::Syntax { line, column, reason: reason.to_string() };
    }
    let path = locate(json, offset(json, line, column));
    // "invalid type: integer `3`, expected a string"; "invalid value" when a number does not fit.
    let mismatch = reason.strip_prefix("invalid type: ").or_else(|| reason.strip_prefix("invalid value: "));
    match mismatch.and_then(|mismatch| mismatch.rsplit_once(", expected ")) {
        Some((found, expected)) => {
            ConfigError::WrongType { path, expected: expected_word(expected), found: found_word(found) }
        }
        None => ConfigError::Illegal { path, reason: reason.to_string(), hint: None },
    }
}

/// The byte at a position as serde_json counts: lines from 1, columns as bytes since the line began.
fn offset(json: &[u8], line: usize, column: usize) -> usize {
    let lines = json.split_inclusive(|byte| *byte == b'\n').take(line.saturating_sub(1));
    lines.map(<[u8]>::len).sum::<usize>() + column
}

/// JSON's word for the Rust type that a parser wanted.
fn expected_word(expected: &str) -> String {
    let word = match expected {
        "a map" => "an object",
        "a sequence" => "an array",
        "a boolean" => "true or false",
        "u16" => "an integer from 0 to 65535",
        "u32" => "an integer from 0 to 4294967295",
        "u64" => "an integer from 0 to 18446744073709551615",
        "i64" => "an integer of 64 bits",
        other => other,
    };
    word.to_string()
}

/// JSON's word for what the parser met.
fn found_word(found: &str) -> String {
    match found {
        "map" => return "an object".to_string(),
        "sequence" => return "an array".to_string(),
        _ => {}
    }
    let quoted = |prefix| found.strip_prefix(prefix).and_then(|rest: &str| rest.strip_suffix('`'));
    if let Some(number) = quoted("integer `").or_else(|| quoted("floating point `")) {
        return format!("number {number}");
    }
    quoted("boolean `").unwrap_or(found).to_string()
}

/// A type that is read from a JSON object, key by key.
///
/// serde's derived parsers accept an array in place of an object (`"root": ["/", true]`), which no other runtime does,
/// and are several times larger.
pub(crate) trait Object<'de>: Default {
    /// Reads the value of `key` into its field, or skips it.
    fn read<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error>;
}

/// The visitor of every [`Object`].
pub(crate) struct ObjectVisitor<T>(pub(crate) PhantomData<T>);

impl<'de, T: Object<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut object = T::default();
        while let Some(key) = map.next_key::<Str<'de>>()? {
            object.read(&key, &mut map)?;
        }
        Ok(object)
    }
}

/// Reads one value; `null` is the same as no value, as for Go's decoder.
pub(crate) fn read_field<'de, A: MapAccess<'de>, T: Deserialize<'de>>(
    map: &mut A,
    field: &mut Option<T>,
) -> Result<(), A::Error> {
    if field.is_some() {
        return Err(A::Error::custom("given twice"));
    }
    *field = map.next_value()?;
    Ok(())
}

/// Skips the value of a key that the specification does not define, as its section "Extensibility" asks.
pub(crate) fn skip_field<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(|_| ())
}

/// Declares a structure of optional fields and its [`Object`] parser.
macro_rules! object {
    ($(#[$meta:meta])* $name:ident $(<$a:lifetime>)? { $($field:ident: $type:ty = $key:literal,)* }) => {
        $(#[$meta])*
        #[derive(Default)]
        pub(crate) struct $name $(<$a>)? {
            $(pub(crate) $field: Option<$type>,)*
        }

        impl<'de $(: $a, $a)?> $crate::json::Object<'de> for $name $(<$a>)? {
            fn read<A: serde::de::MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
                match key {
                    $($key => $crate::json::read_field(map, &mut self.$field),)*
                    _ => $crate::json::skip_field(map),
                }
            }
        }

        impl<'de $(: $a, $a)?> serde::de::Deserialize<'de> for $name $(<$a>)? {
            fn deserialize<D: serde::de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_map($crate::json::ObjectVisitor(core::marker::PhantomData))
            }
        }
    };
}
pub(crate) use object;
