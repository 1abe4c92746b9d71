//! Values and their wire format (D-Bus specification, "Type System" and "Marshaling").

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// A value that a message carries.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Byte(u8),
    Bool(bool),
    Int16(i16),
    Uint16(u16),
    Int32(i32),
    Uint32(u32),
    Int64(i64),
    Uint64(u64),
    Double(f64),
    String(String),
    ObjectPath(String),
    Signature(String),
    /// The signature of each element, and the elements.
    Array(String, Vec<Self>),
    Struct(Vec<Self>),
    /// Stands in an array only.
    DictEntry(Box<(Self, Self)>),
    Variant(Box<Self>),
}

/// Bytes that are no message, or a value that no message can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// What decoding and encoding give.
pub(crate) type Result<T> = core::result::Result<T, Malformed>;

/// Containers in containers: the specification allows 64 in all.
const DEPTH: usize = 64;
/// The specification's limit of an array, in bytes.
const LONGEST_ARRAY: usize = 1 << 26;

impl Value {
    /// Its type, in the letters of the specification.
    pub(crate) fn signature(&self) -> String {
        match self {
            Self::Byte(_) => "y".into(),
            Self::Bool(_) => "b".into(),
            Self::Int16(_) => "n".into(),
            Self::Uint16(_) => "q".into(),
            Self::Int32(_) => "i".into(),
            Self::Uint32(_) => "u".into(),
            Self::Int64(_) => "x".into(),
            Self::Uint64(_) => "t".into(),
            Self::Double(_) => "d".into(),
            Self::String(_) => "s".into(),
            Self::ObjectPath(_) => "o".into(),
            Self::Signature(_) => "g".into(),
            Self::Variant(_) => "v".into(),
            Self::Array(element, _) => ["a", element].concat(),
            Self::Struct(fields) => {
                let fields: String = fields.iter().map(Self::signature).collect();
                ["(", &fields, ")"].concat()
            }
            Self::DictEntry(entry) => ["{", &entry.0.signature(), &entry.1.signature(), "}"].concat(),
        }
    }
}

/// Splits the first complete type off a signature.
pub(crate) fn first_type(signature: &str) -> Result<(&str, &str)> {
    let length = type_length(signature.as_bytes(), 0)?;
    signature.split_at_checked(length).ok_or(Malformed("signature"))
}

fn type_length(signature: &[u8], depth: usize) -> Result<usize> {
    const WRONG: Malformed = Malformed("signature");
    if depth > DEPTH {
        return Err(WRONG);
    }
    let rest = |from: usize| signature.get(from..).unwrap_or_default();
    match signature.first().ok_or(WRONG)? {
        b'y' | b'b' | b'n' | b'q' | b'i' | b'u' | b'x' | b't' | b'd' | b's' | b'o' | b'g' | b'v' => Ok(1),
        b'a' if signature.get(1) == Some(&b'{') => {
            let key = type_length(rest(2), depth + 1)?;
            let is_basic = key == 1 && rest(2).first() != Some(&b'v');
            let value = type_length(rest(2 + key), depth + 1)?;
            let end = 2 + key + value;
            if is_basic && signature.get(end) == Some(&b'}') { Ok(end + 1) } else { Err(WRONG) }
        }
        b'a' => type_length(rest(1), depth + 1).map(|length| length + 1),
        b'(' => {
            let mut end = 1;
            while signature.get(end) != Some(&b')') {
                end += type_length(rest(end), depth + 1)?;
            }
            if end == 1 { Err(WRONG) } else { Ok(end + 1) }
        }
        _ => Err(WRONG),
    }
}

fn alignment(signature: &str) -> usize {
    match signature.as_bytes().first() {
        Some(b'n' | b'q') => 2,
        Some(b'b' | b'i' | b'u' | b's' | b'o' | b'a') => 4,
        Some(b'x' | b't' | b'd' | b'(' | b'{') => 8,
        _ => 1,
    }
}

/// Writes values in little endian order.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    pub(crate) bytes: Vec<u8>,
}

impl Encoder {
    pub(crate) fn align(&mut self, to: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
    }

    fn fixed<const N: usize>(&mut self, bytes: [u8; N]) {
        self.align(N);
        self.bytes.extend_from_slice(&bytes);
    }

    pub(crate) fn value(&mut self, value: &Value) -> Result<()> {
        match value {
            Value::Byte(number) => self.bytes.push(*number),
            Value::Bool(truth) => self.fixed(u32::from(*truth).to_le_bytes()),
            Value::Int16(number) => self.fixed(number.to_le_bytes()),
            Value::Uint16(number) => self.fixed(number.to_le_bytes()),
            Value::Int32(number) => self.fixed(number.to_le_bytes()),
            Value::Uint32(number) => self.fixed(number.to_le_bytes()),
            Value::Int64(number) => self.fixed(number.to_le_bytes()),
            Value::Uint64(number) => self.fixed(number.to_le_bytes()),
            Value::Double(number) => self.fixed(number.to_le_bytes()),
            Value::String(text) | Value::ObjectPath(text) => self.text(text)?,
            Value::Signature(text) => self.signature(text)?,
            Value::Array(element, elements) => self.array(element, elements)?,
            Value::Struct(fields) => {
                self.align(8);
                fields.iter().try_for_each(|field| self.value(field))?;
            }
            Value::DictEntry(entry) => {
                self.align(8);
                self.value(&entry.0)?;
                self.value(&entry.1)?;
            }
            Value::Variant(value) => {
                self.signature(&value.signature())?;
                self.value(value)?;
            }
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<()> {
        if text.contains('\0') {
            return Err(Malformed("a text has a NUL byte"));
        }
        let length = u32::try_from(text.len()).map_err(|_| Malformed("a text is too long"))?;
        self.fixed(length.to_le_bytes());
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
        Ok(())
    }

    fn signature(&mut self, text: &str) -> Result<()> {
        let length = u8::try_from(text.len()).map_err(|_| Malformed("a signature is too long"))?;
        self.bytes.push(length);
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
        Ok(())
    }

    fn array(&mut self, element: &str, elements: &[Value]) -> Result<()> {
        self.fixed(0_u32.to_le_bytes());
        let length_at = self.bytes.len() - 4;
        // Padding before the first element is there without one too, and does not count.
        self.align(alignment(element));
        let start = self.bytes.len();
        for value in elements {
            if value.signature() != element {
                return Err(Malformed("an array's elements differ in type"));
            }
            self.value(value)?;
        }
        let length = self.bytes.len() - start;
        if length > LONGEST_ARRAY {
            return Err(Malformed("an array is too long"));
        }
        let length = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
        if let Some(place) = self.bytes.get_mut(length_at..length_at + 4) {
            place.copy_from_slice(&length);
        }
        Ok(())
    }
}

/// Reads values, whoever sent them.
#[derive(Debug)]
pub(crate) struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
    big_endian: bool,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(bytes: &'a [u8], at: usize, big_endian: bool) -> Self {
        Self { bytes, at, big_endian }
    }

    /// Where it has come to.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// The values of a signature, and nothing else.
    pub(crate) fn values(&mut self, mut signature: &str) -> Result<Vec<Value>> {
        let mut values = Vec::new();
        while !signature.is_empty() {
            let (first, rest) = first_type(signature)?;
            values.push(self.value(first, 0)?);
            signature = rest;
        }
        Ok(values)
    }

    pub(crate) fn align(&mut self, to: usize) -> Result<()> {
        let next = self.at.next_multiple_of(to);
        let padding = self.bytes.get(self.at..next).ok_or(Malformed("it ends too early"))?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(Malformed("padding is not zero"));
        }
        self.at = next;
        Ok(())
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(count).ok_or(Malformed("it ends too early"))?;
        let taken = self.bytes.get(self.at..end).ok_or(Malformed("it ends too early"))?;
        self.at = end;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.align(N)?;
        let mut bytes: [u8; N] = self.take(N)?.try_into().map_err(|_| Malformed("it ends too early"))?;
        if self.big_endian {
            bytes.reverse();
        }
        Ok(bytes)
    }

    fn length(&mut self) -> Result<usize> {
        usize::try_from(u32::from_le_bytes(self.fixed()?)).map_err(|_| Malformed("a length is too large"))
    }

    /// A value of one complete type.
    fn value(&mut self, signature: &str, depth: usize) -> Result<Value> {
        if depth > DEPTH {
            return Err(Malformed("containers are nested too deeply"));
        }
        Ok(match signature.as_bytes().first() {
            Some(b'y') => Value::Byte(u8::from_le_bytes(self.fixed()?)),
            Some(b'b') => match u32::from_le_bytes(self.fixed()?) {
                0 => Value::Bool(false),
                1 => Value::Bool(true),
                _ => return Err(Malformed("a boolean is neither 0 nor 1")),
            },
            Some(b'n') => Value::Int16(i16::from_le_bytes(self.fixed()?)),
            Some(b'q') => Value::Uint16(u16::from_le_bytes(self.fixed()?)),
            Some(b'i') => Value::Int32(i32::from_le_bytes(self.fixed()?)),
            Some(b'u') => Value::Uint32(u32::from_le_bytes(self.fixed()?)),
            Some(b'x') => Value::Int64(i64::from_le_bytes(self.fixed()?)),
            Some(b't') => Value::Uint64(u64::from_le_bytes(self.fixed()?)),
            Some(b'd') => Value::Double(f64::from_le_bytes(self.fixed()?)),
            Some(b's') => Value::String(self.text()?.to_string()),
            Some(b'o') => Value::ObjectPath(self.text()?.to_string()),
            Some(b'g') => Value::Signature(self.signature()?.to_string()),
            Some(b'v') => {
                let inner = self.signature()?;
                match first_type(inner)? {
                    (inner, "") => Value::Variant(Box::new(self.value(inner, depth + 1)?)),
                    _ => return Err(Malformed("a variant has more than one value")),
                }
            }
            Some(b'a') => self.array(signature.get(1..).unwrap_or_default(), depth)?,
            Some(b'(') => {
                self.align(8)?;
                let mut fields = Vec::new();
                let mut inner = inside(signature)?;
                while !inner.is_empty() {
                    let (first, rest) = first_type(inner)?;
                    fields.push(self.value(first, depth + 1)?);
                    inner = rest;
                }
                Value::Struct(fields)
            }
            Some(b'{') => {
                self.align(8)?;
                let (key, value) = first_type(inside(signature)?)?;
                Value::DictEntry(Box::new((self.value(key, depth + 1)?, self.value(value, depth + 1)?)))
            }
            _ => return Err(Malformed("signature")),
        })
    }

    fn array(&mut self, element: &str, depth: usize) -> Result<Value> {
        let length = self.length()?;
        if length > LONGEST_ARRAY {
            return Err(Malformed("an array is too long"));
        }
        self.align(alignment(element))?;
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(Malformed("it ends too early"))?;
        let mut elements = Vec::new();
        while self.at < end {
            // Every type takes at least one byte: the loop ends.
            elements.push(self.value(element, depth + 1)?);
        }
        if self.at > end {
            return Err(Malformed("an array's last element is cut off"));
        }
        Ok(Value::Array(element.into(), elements))
    }

    fn text(&mut self) -> Result<&'a str> {
        let length = self.length()?;
        let bytes = self.take(length)?;
        self.terminated(bytes)
    }

    fn signature(&mut self) -> Result<&'a str> {
        let length = usize::from(u8::from_le_bytes(self.fixed()?));
        let bytes = self.take(length)?;
        self.terminated(bytes)
    }

    fn terminated(&mut self, bytes: &'a [u8]) -> Result<&'a str> {
        if self.take(1)? != [0] || bytes.contains(&0) {
            return Err(Malformed("a text does not end where it says"));
        }
        core::str::from_utf8(bytes).map_err(|_| Malformed("a text is not UTF-8"))
    }
}

/// Without the brackets.
fn inside(signature: &str) -> Result<&str> {
    signature.get(1..signature.len().saturating_sub(1)).ok_or(Malformed("signature"))
}

#[cfg(test)]
#[path = "value_tests.rs"]
mod tests;
