//! Messages (D-Bus specification, "Message Format").

use alloc::string::String;
use alloc::vec::Vec;

use super::value::{Decoder, Encoder, Malformed, Result, Value};

/// What stands in front of the header fields, and their length.
pub(crate) const PREFIX: usize = 16;
/// Longer ones are refused, where the specification allows 128 MiB: the answers of systemd take some hundred bytes.
const LONGEST: usize = 1 << 20;

const VERSION: u8 = 1;
const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;
const SIGNAL: u8 = 4;

/// Codes of header fields.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// A method, to be called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    /// Whose it is; without a bus between there is nobody else.
    pub(crate) destination: &'a str,
    pub(crate) path: &'a str,
    pub(crate) interface: &'a str,
    pub(crate) member: &'a str,
}

/// What came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Message {
    /// The answer to a call.
    Return { reply_to: u32, body: Vec<Value> },
    /// The refusal of one: the error's name, and its text if there is one.
    Error { reply_to: u32, name: String, text: String },
    /// A signal.
    Signal { member: String, body: Vec<Value> },
    /// What a client need not answer.
    Other,
}

impl Call<'_> {
    /// The message. `serial` is not 0.
    ///
    /// # Errors
    ///
    /// For values that no message can carry.
    pub(crate) fn encode(&self, serial: u32, body: &[Value]) -> Result<Vec<u8>> {
        let mut encoded = Encoder::default();
        body.iter().try_for_each(|value| encoded.value(value))?;
        let signature: String = body.iter().map(Value::signature).collect();
        let field = |code, value| Value::Struct([Value::Byte(code), Value::Variant(value)].into());
        let text = |code, text: &str| field(code, Value::String(text.into()).into());
        let mut fields = Vec::from([
            field(PATH, Value::ObjectPath(self.path.into()).into()),
            text(INTERFACE, self.interface),
            text(MEMBER, self.member),
            text(DESTINATION, self.destination),
        ]);
        if !signature.is_empty() {
            fields.push(field(SIGNATURE, Value::Signature(signature).into()));
        }
        let too_long = |_| Malformed("a message is too long");
        let length = u32::try_from(encoded.bytes.len()).map_err(too_long)?;
        let mut message = Encoder::default();
        for byte in [b'l', METHOD_CALL, 0, VERSION] {
            message.value(&Value::Byte(byte))?;
        }
        message.value(&Value::Uint32(length))?;
        message.value(&Value::Uint32(serial))?;
        message.value(&Value::Array("(yv)".into(), fields))?;
        message.align(8);
        message.bytes.append(&mut encoded.bytes);
        Ok(message.bytes)
    }
}

/// How long the message is that begins with these bytes.
///
/// # Errors
///
/// When it is no message, or longer than one for us can be.
pub(crate) fn length(prefix: &[u8; PREFIX]) -> Result<usize> {
    let (big_endian, _) = kind(prefix)?;
    let number = |at: usize| {
        let bytes =
            prefix.get(at..at + 4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok()).unwrap_or_default();
        let number = if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
        usize::try_from(number).unwrap_or(usize::MAX)
    };
    let (body, fields) = (number(4), number(12));
    let total = fields.checked_add(PREFIX).and_then(|end| end.checked_next_multiple_of(8));
    let total = total.and_then(|start| start.checked_add(body)).filter(|total| *total <= LONGEST);
    total.ok_or(Malformed("a message is too long"))
}

fn kind(bytes: &[u8]) -> Result<(bool, u8)> {
    match bytes {
        [b'l', kind, _, VERSION, ..] => Ok((false, *kind)),
        [b'B', kind, _, VERSION, ..] => Ok((true, *kind)),
        _ => Err(Malformed("it does not begin as a message does")),
    }
}

/// Reads a message, which is all of `bytes`.
///
/// # Errors
///
/// When it is none.
pub(crate) fn decode(bytes: &[u8]) -> Result<Message> {
    let (big_endian, kind) = kind(bytes)?;
    let mut decoder = Decoder::new(bytes, PREFIX - 4, big_endian);
    let fields = decoder.values("a(yv)")?;
    decoder.align(8)?;
    let fields = Fields::of(&fields);
    let body = decoder.values(fields.signature)?;
    if decoder.position() != bytes.len() {
        return Err(Malformed("it is longer than its signature says"));
    }
    let reply_to = fields.reply_serial.ok_or(Malformed("an answer does not say to what"));
    Ok(match kind {
        METHOD_RETURN => Message::Return { reply_to: reply_to?, body },
        ERROR => Message::Error {
            reply_to: reply_to?,
            name: fields.error_name.ok_or(Malformed("an error has no name"))?.into(),
            text: match body.into_iter().next() {
                Some(Value::String(text)) => text,
                _ => String::new(),
            },
        },
        SIGNAL => {
            Message::Signal { member: fields.member.ok_or(Malformed("a signal has no name"))?.into(), body }
        }
        0 => return Err(Malformed("its type is invalid")),
        // Calls of ourselves, and types that are yet to be invented.
        _ => Message::Other,
    })
}

/// The header fields that matter.
#[derive(Debug, Default)]
struct Fields<'a> {
    member: Option<&'a str>,
    error_name: Option<&'a str>,
    reply_serial: Option<u32>,
    signature: &'a str,
}

impl<'a> Fields<'a> {
    fn of(fields: &'a [Value]) -> Self {
        let mut found = Self::default();
        let all = fields.iter().flat_map(|array| match array {
            Value::Array(_, fields) => fields.as_slice(),
            _ => &[],
        });
        for field in all {
            let Value::Struct(pair) = field else { continue };
            let [Value::Byte(code), Value::Variant(value)] = pair.as_slice() else { continue };
            match (*code, &**value) {
                (MEMBER, Value::String(name)) => found.member = Some(name),
                (ERROR_NAME, Value::String(name)) => found.error_name = Some(name),
                (REPLY_SERIAL, Value::Uint32(serial)) => found.reply_serial = Some(*serial),
                (SIGNATURE, Value::Signature(signature)) => found.signature = signature,
                _ => {}
            }
        }
        found
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
