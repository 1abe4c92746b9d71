//! Values as `org.systemd.property.*` annotations write them: GVariant's text format (glib, "GVariant Text Format"), as
//! godbus reads it for runc: `true`, `7`, `uint64 7`, `'text'`, `['a', 'b']`, `@au [1, 2]`, `{'a': <1>}`, `('a', 2)`.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::dbus::Value;
use crate::dbus::value::first_type;

/// What is wrong with a text, in words for a message.
type Result<T> = core::result::Result<T, String>;

/// Lists in lists; deeper ones are nobody's.
const DEPTH: usize = 16;

/// Types by their names in front of a value.
const KEYWORDS: [(&str, &str); 12] = [
    ("boolean", "b"),
    ("byte", "y"),
    ("int16", "n"),
    ("uint16", "q"),
    ("int32", "i"),
    ("uint32", "u"),
    ("int64", "x"),
    ("uint64", "t"),
    ("double", "d"),
    ("string", "s"),
    ("objectpath", "o"),
    ("signature", "g"),
];

/// A value whose type may not be known yet.
#[derive(Debug, Clone, PartialEq)]
enum Node {
    Bool(bool),
    Number(String),
    Text(String),
    /// `b'…'`: an array of bytes that ends with a NUL.
    Bytes(Vec<u8>),
    List(Vec<Self>),
    Tuple(Vec<Self>),
    Pairs(Vec<(Self, Self)>),
    Variant(Box<Self>),
    Typed(String, Box<Self>),
}

/// Reads the text of one value.
///
/// # Errors
///
/// With the words that tell what is wrong.
pub(crate) fn parse(text: &str) -> Result<Value> {
    let mut parser = Parser { text, at: 0 };
    let node = parser.node(0)?;
    parser.skip_spaces();
    match parser.rest() {
        "" => {
            let signature = infer(&node)?;
            first_type(&signature).map_err(|_| alloc::format!("{signature:?} is no type"))?;
            resolve(&node, &signature)
        }
        rest => Err(alloc::format!("{rest:?} follows the value")),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_spaces(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn peek(&mut self) -> Option<char> {
        self.skip_spaces();
        self.rest().chars().next()
    }

    fn next_char(&mut self) -> Option<char> {
        let next = self.rest().chars().next()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn take(&mut self, expected: char) -> bool {
        let found = self.peek() == Some(expected);
        if found {
            self.at += expected.len_utf8();
        }
        found
    }

    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let ends = |letter: char| !(letter.is_ascii_alphanumeric() || "+-._".contains(letter));
        let word = rest.get(..rest.find(ends).unwrap_or(rest.len())).unwrap_or_default();
        self.at += word.len();
        word
    }

    fn node(&mut self, depth: usize) -> Result<Node> {
        if depth > DEPTH {
            return Err("it is nested too deeply".into());
        }
        match self.peek() {
            None => Err("a value is missing".into()),
            Some(quote @ ('\'' | '"')) => self.quoted(quote).map(Node::Text),
            Some('[') => self.list('[', ']', depth).map(Node::List),
            Some('(') => self.list('(', ')', depth).map(Node::Tuple),
            Some('{') => self.pairs(depth).map(Node::Pairs),
            Some('<') => {
                self.take('<');
                let inner = self.node(depth + 1)?;
                if self.take('>') { Ok(Node::Variant(inner.into())) } else { Err("a > is missing".into()) }
            }
            Some('@') => {
                self.take('@');
                let (signature, _) =
                    first_type(self.rest()).map_err(|_| alloc::format!("{:?} is no type", self.rest()))?;
                self.at += signature.len();
                Ok(Node::Typed(signature.into(), self.node(depth + 1)?.into()))
            }
            Some(_) => self.scalar(depth),
        }
    }

    fn scalar(&mut self, depth: usize) -> Result<Node> {
        let word = self.word();
        if word == "b" && self.rest().starts_with(['\'', '"']) {
            let quote = self.peek().unwrap_or('\'');
            let mut bytes = self.quoted(quote)?.into_bytes();
            bytes.push(0);
            return Ok(Node::Bytes(bytes));
        }
        if let Some((_, signature)) = KEYWORDS.iter().find(|(name, _)| *name == word) {
            return Ok(Node::Typed((*signature).into(), self.node(depth + 1)?.into()));
        }
        match word {
            "true" => Ok(Node::Bool(true)),
            "false" => Ok(Node::Bool(false)),
            word if word.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)) => {
                Ok(Node::Number(word.into()))
            }
            "" => Err(alloc::format!("{:?} begins no value", self.rest())),
            word => Err(alloc::format!("{word:?} is no value: a text needs quotes, as in '{word}'")),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String> {
        const UNFINISHED: &str = "a quote is not closed";
        self.take(quote);
        let mut text = String::new();
        loop {
            match self.next_char().ok_or(UNFINISHED)? {
                end if end == quote => return Ok(text),
                '\\' => {
                    let letter = self.next_char().ok_or(UNFINISHED)?;
                    let escaped = match letter {
                        'a' => '\u{7}',
                        'b' => '\u{8}',
                        'f' => '\u{c}',
                        'n' => '\n',
                        'r' => '\r',
                        't' => '\t',
                        'v' => '\u{b}',
                        'u' => self.code_point(4)?,
                        'U' => self.code_point(8)?,
                        letter => letter,
                    };
                    text.push(escaped);
                }
                letter => text.push(letter),
            }
        }
    }

    fn code_point(&mut self, digits: usize) -> Result<char> {
        let text = self.rest().get(..digits).unwrap_or_default();
        self.at += text.len();
        let is_hex = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = is_hex.then(|| u32::from_str_radix(text, 16).ok()).flatten();
        number.and_then(char::from_u32).ok_or_else(|| alloc::format!("{text:?} is no code point"))
    }

    fn list(&mut self, open: char, close: char, depth: usize) -> Result<Vec<Node>> {
        self.take(open);
        let mut nodes = Vec::new();
        loop {
            if self.take(close) {
                return Ok(nodes);
            }
            nodes.push(self.node(depth + 1)?);
            if !self.take(',') && self.peek() != Some(close) {
                return Err(alloc::format!("a {close} is missing"));
            }
        }
    }

    fn pairs(&mut self, depth: usize) -> Result<Vec<(Node, Node)>> {
        self.take('{');
        let mut pairs = Vec::new();
        loop {
            if self.take('}') {
                return Ok(pairs);
            }
            let key = self.node(depth + 1)?;
            if !self.take(':') {
                return Err("a : is missing".into());
            }
            pairs.push((key, self.node(depth + 1)?));
            if !self.take(',') && self.peek() != Some('}') {
                return Err("a } is missing".into());
            }
        }
    }
}

/// The type that a value has by itself.
fn infer(node: &Node) -> Result<String> {
    Ok(match node {
        Node::Bool(_) => "b".into(),
        Node::Number(text) if is_fraction(text) => "d".into(),
        Node::Number(_) => "i".into(),
        Node::Text(_) => "s".into(),
        Node::Bytes(_) => "ay".into(),
        Node::Variant(_) => "v".into(),
        Node::Typed(signature, _) => signature.clone(),
        Node::List(nodes) => ["a", &common(nodes.iter())?].concat(),
        Node::Tuple(nodes) => {
            let fields = nodes.iter().map(infer).collect::<Result<String>>()?;
            ["(", &fields, ")"].concat()
        }
        Node::Pairs(pairs) => {
            let key = common(pairs.iter().map(|(key, _)| key))?;
            let value = common(pairs.iter().map(|(_, value)| value))?;
            ["a{", &key, &value, "}"].concat()
        }
    })
}

/// The type of all elements: what one of them names, or else that of the first; one fraction makes all fractions.
fn common<'a>(nodes: impl Iterator<Item = &'a Node> + Clone) -> Result<String> {
    let is_typed = |node: &&Node| match node {
        Node::Typed(..) => true,
        Node::Number(text) => is_fraction(text),
        _ => false,
    };
    let decisive = nodes.clone().find(is_typed).or_else(|| nodes.clone().next());
    infer(decisive.ok_or("an empty list needs its type in front, as in @as []")?)
}

fn is_fraction(number: &str) -> bool {
    number.contains('.') || (!number.contains("0x") && number.contains(['e', 'E']))
}

/// The value, as one of this type.
fn resolve(node: &Node, signature: &str) -> Result<Value> {
    let wrong = || alloc::format!("it is not of type {signature:?}");
    match (node, signature.as_bytes()) {
        (Node::Typed(own, inner), _) if own == signature => resolve(inner, signature),
        (Node::Bool(truth), b"b") => Ok(Value::Bool(*truth)),
        (Node::Number(text), _) => number(text, signature),
        (Node::Text(text), b"s") => Ok(Value::String(text.clone())),
        (Node::Text(text), b"o") => Ok(Value::ObjectPath(text.clone())),
        (Node::Text(text), b"g") => Ok(Value::Signature(text.clone())),
        (Node::Bytes(bytes), b"ay") => {
            Ok(Value::Array("y".into(), bytes.iter().copied().map(Value::Byte).collect()))
        }
        (Node::Variant(inner), b"v") => Ok(Value::Variant(resolve(inner, &infer(inner)?)?.into())),
        (Node::List(nodes), [b'a', ..]) => {
            let element = signature.get(1..).unwrap_or_default();
            let values = nodes.iter().map(|node| resolve(node, element)).collect::<Result<_>>()?;
            Ok(Value::Array(element.to_string(), values))
        }
        (Node::Tuple(nodes), [b'(', inner @ .., b')']) => {
            let mut fields = core::str::from_utf8(inner).unwrap_or_default();
            let mut values = Vec::new();
            for node in nodes {
                let (first, rest) = first_type(fields).map_err(|_| wrong())?;
                values.push(resolve(node, first)?);
                fields = rest;
            }
            if fields.is_empty() { Ok(Value::Struct(values)) } else { Err(wrong()) }
        }
        (Node::Pairs(pairs), [b'a', b'{', inner @ .., b'}']) => {
            let inner = core::str::from_utf8(inner).unwrap_or_default();
            let (key, value) = first_type(inner).map_err(|_| wrong())?;
            let entry = |(left, right): &(Node, Node)| {
                Ok(Value::DictEntry((resolve(left, key)?, resolve(right, value)?).into()))
            };
            let entries = pairs.iter().map(entry).collect::<Result<_>>()?;
            Ok(Value::Array(["{", inner, "}"].concat(), entries))
        }
        _ => Err(wrong()),
    }
}

fn number(text: &str, signature: &str) -> Result<Value> {
    let wrong = || alloc::format!("{text:?} is no number of type {signature:?}");
    if signature == "d" {
        return text.parse().map(Value::Double).map_err(|_| wrong());
    }
    let whole = whole(text).ok_or_else(wrong)?;
    let value = match signature {
        "y" => whole.try_into().ok().map(Value::Byte),
        "n" => whole.try_into().ok().map(Value::Int16),
        "q" => whole.try_into().ok().map(Value::Uint16),
        "i" => whole.try_into().ok().map(Value::Int32),
        "u" => whole.try_into().ok().map(Value::Uint32),
        "x" => whole.try_into().ok().map(Value::Int64),
        "t" => whole.try_into().ok().map(Value::Uint64),
        _ => None,
    };
    value.ok_or_else(wrong)
}

/// Decimal, `0x` hexadecimal or, with a leading zero, octal.
fn whole(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, radix) = match (digits.strip_prefix("0x"), digits.strip_prefix('0')) {
        (Some(digits), _) => (digits, 16),
        (None, Some(digits)) if !digits.is_empty() => (digits, 8),
        _ => (digits, 10),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let number = i128::from_str_radix(digits, radix).ok()?;
    Some(if negative { -number } else { number })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> Value {
        Value::String(text.into())
    }

    #[test]
    fn values_are_read_with_their_types() {
        let pair = |key: &str, value| Value::DictEntry(Box::new((text(key), value)));
        let table = [
            ("true", Value::Bool(true)),
            (" false ", Value::Bool(false)),
            ("7", Value::Int32(7)),
            ("-7", Value::Int32(-7)),
            ("0x1F", Value::Int32(31)),
            ("017", Value::Int32(15)),
            ("1.5", Value::Double(1.5)),
            ("2e3", Value::Double(2000.0)),
            ("double 3", Value::Double(3.0)),
            ("byte 255", Value::Byte(255)),
            ("int16 -1", Value::Int16(-1)),
            ("uint16 1", Value::Uint16(1)),
            ("uint32 5", Value::Uint32(5)),
            ("int64 -5", Value::Int64(-5)),
            ("uint64 10000000", Value::Uint64(10_000_000)),
            ("@t 5", Value::Uint64(5)),
            ("'inactive-or-failed'", text("inactive-or-failed")),
            ("\"it's\"", text("it's")),
            (r"'a\'b\n\u00e9'", text("a'b\né")),
            ("objectpath '/a'", Value::ObjectPath("/a".into())),
            ("signature 'as'", Value::Signature("as".into())),
            ("b'ab'", Value::Array("y".into(), [97, 98, 0].map(Value::Byte).to_vec())),
            ("['a', 'b']", Value::Array("s".into(), vec![text("a"), text("b")])),
            ("@as []", Value::Array("s".into(), vec![])),
            ("@au [1, 2]", Value::Array("u".into(), vec![Value::Uint32(1), Value::Uint32(2)])),
            ("[uint32 1, 2]", Value::Array("u".into(), vec![Value::Uint32(1), Value::Uint32(2)])),
            ("[1, 2.5]", Value::Array("d".into(), vec![Value::Double(1.0), Value::Double(2.5)])),
            ("<uint32 1>", Value::Variant(Value::Uint32(1).into())),
            ("('a', uint64 5)", Value::Struct(vec![text("a"), Value::Uint64(5)])),
            (
                "[('/dev/sda', uint64 1)]",
                Value::Array("(st)".into(), vec![Value::Struct(vec![text("/dev/sda"), Value::Uint64(1)])]),
            ),
            (
                "{'a': <1>, 'b': <'c'>}",
                Value::Array(
                    "{sv}".into(),
                    vec![
                        pair("a", Value::Variant(Value::Int32(1).into())),
                        pair("b", Value::Variant(text("c").into())),
                    ],
                ),
            ),
        ];
        for (input, expected) in table {
            let signature = expected.signature();
            assert_eq!(parse(input), Ok(expected), "{input}");
            assert!(first_type(&signature).is_ok(), "{signature}");
        }
    }

    #[test]
    fn what_is_no_value_is_refused_with_the_reason() {
        let table = [
            ("", "a value is missing"),
            ("no", "\"no\" is no value: a text needs quotes, as in 'no'"),
            ("true true", "\"true\" follows the value"),
            ("uint32 -1", "\"-1\" is no number of type \"u\""),
            ("byte 256", "\"256\" is no number of type \"y\""),
            ("2147483648", "\"2147483648\" is no number of type \"i\""),
            ("uint32 1.5", "\"1.5\" is no number of type \"u\""),
            ("uint32 'a'", "it is not of type \"u\""),
            ("--1", "\"--1\" is no number of type \"i\""),
            ("08", "\"08\" is no number of type \"i\""),
            ("'a", "a quote is not closed"),
            (r"'\u00g0'", "\"00g0\" is no code point"),
            ("[]", "an empty list needs its type in front, as in @as []"),
            ("[1", "a ] is missing"),
            ("[1, 'a']", "it is not of type \"i\""),
            ("{'a' 1}", "a : is missing"),
            ("<1", "a > is missing"),
            ("@ 1", "\" 1\" is no type"),
            ("@w 1", "\"w 1\" is no type"),
            ("?", "\"?\" begins no value"),
            ("()", "\"()\" is no type"),
            ("{<1>: 2}", "\"a{vi}\" is no type"),
        ];
        for (input, why) in table {
            assert_eq!(parse(input), Err(why.into()), "{input}");
        }
        assert_eq!(parse(&"[".repeat(99)), Err("it is nested too deeply".into()));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn arbitrary_text_never_panics(input in "[@a-z0-9é\\\\'\"<>{}(),:. \\[\\]-]{0,24}") {
            if let Ok(value) = parse(&input) {
                prop_assert!(first_type(&value.signature()).is_ok());
            }
        }
    }
}
