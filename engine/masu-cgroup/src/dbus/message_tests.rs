use alloc::string::ToString;
use proptest::prelude::*;

use super::*;

const CALL: Call<'_> = Call {
    destination: "org.freedesktop.systemd1",
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
    member: "StopUnit",
};

fn text(text: &str) -> Value {
    Value::String(text.into())
}

/// A message of another type, as a server writes it.
fn message(kind: u8, fields: Vec<(u8, Value)>, body: &[Value]) -> Vec<u8> {
    let mut encoded = Encoder::default();
    body.iter().for_each(|value| encoded.value(value).unwrap());
    let signature: String = body.iter().map(Value::signature).collect();
    let field =
        |(code, value): (u8, Value)| Value::Struct(vec![Value::Byte(code), Value::Variant(value.into())]);
    let signature = (SIGNATURE, Value::Signature(signature));
    let fields = fields.into_iter().chain([signature]).map(field).collect();
    let mut message = Encoder::default();
    for byte in [b'l', kind, 0, VERSION] {
        message.value(&Value::Byte(byte)).unwrap();
    }
    message.value(&Value::Uint32(encoded.bytes.len().try_into().unwrap())).unwrap();
    message.value(&Value::Uint32(9)).unwrap();
    message.value(&Value::Array("(yv)".to_string(), fields)).unwrap();
    message.align(8);
    message.bytes.extend(encoded.bytes);
    message.bytes
}

#[test]
fn a_call_is_written_as_libsystemd_writes_it() {
    let bytes = CALL.encode(3, &[text("a.scope"), text("replace")]).unwrap();
    let mut expected = b"l\x01\x00\x01\x18\0\0\0\x03\0\0\0\xa0\0\0\0".to_vec();
    expected.extend(b"\x01\x01o\0\x19\0\0\0/org/freedesktop/systemd1\0\0\0\0\0\0\0");
    expected.extend(b"\x02\x01s\0\x20\0\0\0org.freedesktop.systemd1.Manager\0\0\0\0\0\0\0\0");
    expected.extend(b"\x03\x01s\0\x08\0\0\0StopUnit\0\0\0\0\0\0\0\0");
    expected.extend(b"\x06\x01s\0\x18\0\0\0org.freedesktop.systemd1\0\0\0\0\0\0\0\0");
    expected.extend(b"\x08\x01g\0\x02ss\0");
    expected.extend(b"\x07\0\0\0a.scope\0\x07\0\0\0replace\0");
    // Padded to eight bytes before the body.
    assert_eq!(bytes.len() % 4, 0);
    assert_eq!(bytes, expected);
    let prefix: [u8; PREFIX] = bytes[..PREFIX].try_into().unwrap();
    assert_eq!(length(&prefix), Ok(bytes.len()));
}

#[test]
fn answers_and_signals_are_told_apart() {
    let serial = || (REPLY_SERIAL, Value::Uint32(7));
    let removed = [Value::Uint32(1), Value::ObjectPath("/j".into()), text("a.scope"), text("done")];
    let table = [
        (
            message(METHOD_RETURN, vec![serial()], &[Value::ObjectPath("/j".into())]),
            Message::Return { reply_to: 7, body: vec![Value::ObjectPath("/j".into())] },
        ),
        (message(METHOD_RETURN, vec![serial()], &[]), Message::Return { reply_to: 7, body: vec![] }),
        (
            message(ERROR, vec![serial(), (ERROR_NAME, text("org.e"))], &[text("no")]),
            Message::Error { reply_to: 7, name: "org.e".into(), text: "no".into() },
        ),
        (
            message(ERROR, vec![serial(), (ERROR_NAME, text("org.e"))], &[]),
            Message::Error { reply_to: 7, name: "org.e".into(), text: String::new() },
        ),
        (
            message(SIGNAL, vec![(MEMBER, text("JobRemoved"))], &removed),
            Message::Signal { member: "JobRemoved".into(), body: removed.to_vec() },
        ),
        (message(METHOD_CALL, vec![(MEMBER, text("Ping"))], &[]), Message::Other),
        (message(9, vec![], &[]), Message::Other),
    ];
    for (bytes, expected) in table {
        assert_eq!(decode(&bytes), Ok(expected));
    }
}

#[test]
fn what_is_no_message_is_refused() {
    let good = message(METHOD_RETURN, vec![(REPLY_SERIAL, Value::Uint32(7))], &[Value::Byte(1)]);
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let mut longer = good.clone();
    longer.push(0);
    let table = [
        (with(0, b'x'), "it does not begin as a message does"),
        (with(3, 2), "it does not begin as a message does"),
        (message(0, vec![(REPLY_SERIAL, Value::Uint32(7))], &[]), "its type is invalid"),
        (longer, "it is longer than its signature says"),
        (message(METHOD_RETURN, vec![], &[]), "an answer does not say to what"),
        (message(ERROR, vec![(REPLY_SERIAL, Value::Uint32(7))], &[]), "an error has no name"),
        (message(SIGNAL, vec![], &[]), "a signal has no name"),
    ];
    for (bytes, why) in table {
        assert_eq!(decode(&bytes), Err(Malformed(why)));
    }
    let mut long = [0_u8; PREFIX];
    long[..4].copy_from_slice(b"l\x02\0\x01");
    long[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(length(&long), Err(Malformed("a message is too long")));
    long[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(length(&long), Err(Malformed("a message is too long")));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_message_with_any_byte_changed_never_panics(at in 0..160_usize, byte in any::<u8>(), cut in 0..160_usize) {
        let mut bytes = message(SIGNAL, vec![(MEMBER, text("JobRemoved"))], &[Value::Uint32(1), text("a")]);
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        if let Ok(prefix) = <[u8; PREFIX]>::try_from(&bytes[..PREFIX]) {
            let _ = length(&prefix); // ignored: any answer will do
        }
        let _ = decode(&bytes); // ignored: likewise
        let _ = decode(bytes.get(..cut).unwrap_or(&bytes)); // ignored: likewise
    }

    #[test]
    fn arbitrary_bytes_never_panic(tail in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut bytes = b"l\x04\0\x01".to_vec();
        bytes.extend(tail);
        let _ = decode(&bytes); // ignored: any answer will do
    }
}
