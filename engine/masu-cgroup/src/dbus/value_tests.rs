use proptest::prelude::*;

use super::*;

fn encode(value: &Value) -> Result<Vec<u8>> {
    let mut encoder = Encoder::default();
    encoder.value(value)?;
    Ok(encoder.bytes)
}

fn text(text: &str) -> Value {
    Value::String(text.into())
}

/// Bytes that the specification's rules give, by hand.
#[test]
fn values_are_written_as_the_specification_says() {
    let entry = |key: u8, value| Value::DictEntry(Box::new((Value::Byte(key), value)));
    let table: [(Value, &str, &[u8]); 9] = [
        (Value::Bool(true), "b", &[1, 0, 0, 0]),
        (Value::Int16(-2), "n", &[0xfe, 0xff]),
        (Value::Double(1.5), "d", &[0, 0, 0, 0, 0, 0, 0xf8, 0x3f]),
        (text("foo"), "s", &[3, 0, 0, 0, b'f', b'o', b'o', 0]),
        (Value::Signature("as".into()), "g", &[2, b'a', b's', 0]),
        // The padding up to an element of eight bytes is there without an element too.
        (Value::Array("t".into(), vec![]), "at", &[0, 0, 0, 0, 0, 0, 0, 0]),
        (
            Value::Array("t".into(), vec![Value::Uint64(5)]),
            "at",
            &[8, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0],
        ),
        (Value::Variant(Value::Uint32(7).into()), "v", &[1, b'u', 0, 0, 7, 0, 0, 0]),
        (
            Value::Array("{yu}".into(), vec![entry(1, Value::Uint32(2))]),
            "a{yu}",
            &[8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0],
        ),
    ];
    for (value, signature, bytes) in table {
        assert_eq!(value.signature(), signature);
        assert_eq!(encode(&value).as_deref(), Ok(bytes), "{value:?}");
        assert_eq!(Decoder::new(bytes, 0, false).values(signature), Ok(vec![value]));
    }
    let big = [0, 0, 0, 3, b'f', b'o', b'o', 0];
    assert_eq!(Decoder::new(&big, 0, true).values("s"), Ok(vec![text("foo")]));
}

#[test]
fn a_value_that_no_message_can_carry_is_refused() {
    let table = [
        (text("a\0b"), "a text has a NUL byte"),
        (Value::Array("u".into(), vec![Value::Byte(1)]), "an array's elements differ in type"),
        (Value::Signature("y".repeat(256)), "a signature is too long"),
    ];
    for (value, why) in table {
        assert_eq!(encode(&value), Err(Malformed(why)));
    }
}

#[test]
fn wrong_bytes_are_refused_with_what_is_wrong() {
    let table: [(&[u8], &str, &str); 13] = [
        (&[1, 0], "u", "it ends too early"),
        (&[2, 0, 0, 0], "b", "a boolean is neither 0 nor 1"),
        (&[5, 0, 0, 0, b'a', 0], "s", "it ends too early"),
        (&[1, 0, 0, 0, b'a', b'b'], "s", "a text does not end where it says"),
        (&[2, 0, 0, 0, b'a', 0, 0], "s", "a text does not end where it says"),
        (&[1, 0, 0, 0, 0xff, 0], "s", "a text is not UTF-8"),
        (&[1, 1, 0, 0, 1, 0, 0, 0], "yu", "padding is not zero"),
        (&[0xff, 0xff, 0xff, 0xff], "ay", "an array is too long"),
        (&[9, 0, 0, 0, 1], "ay", "it ends too early"),
        (&[5, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0], "au", "an array's last element is cut off"),
        (&[2, b'u', b'u', 0], "v", "a variant has more than one value"),
        (&[0, 0], "v", "signature"),
        (&[], "a{vs}", "signature"),
    ];
    for (bytes, signature, why) in table {
        let decoded = Decoder::new(bytes, 0, false).values(signature);
        assert_eq!(decoded, Err(Malformed(why)), "{signature} {bytes:?}");
    }
    // A variant in a variant, 70 times: the bytes of a bomb.
    let bomb = [1, b'v', 0].repeat(70);
    assert_eq!(Decoder::new(&bomb, 0, false).values("v"), Err(Malformed("containers are nested too deeply")));
}

#[test]
fn signatures_are_split_into_complete_types() {
    for (signature, first, rest) in [
        ("u", "u", ""),
        ("su", "s", "u"),
        ("a(sv)a(sa(sv))", "a(sv)", "a(sa(sv))"),
        ("a{sv}u", "a{sv}", "u"),
        ("aaay", "aaay", ""),
        ("(u(st))s", "(u(st))", "s"),
    ] {
        assert_eq!(first_type(signature), Ok((first, rest)), "{signature}");
    }
    for wrong in ["", "a", "(", "()", "(u", "a{sv", "a{s}", "a{(s)v}", "{sv}", "w", "a{vs}"] {
        assert_eq!(first_type(wrong), Err(Malformed("signature")), "{wrong}");
    }
    assert_eq!(first_type(&"a".repeat(66)), Err(Malformed("signature")));
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<u8>().prop_map(Value::Byte),
        any::<bool>().prop_map(Value::Bool),
        any::<i16>().prop_map(Value::Int16),
        any::<u16>().prop_map(Value::Uint16),
        any::<i32>().prop_map(Value::Int32),
        any::<u32>().prop_map(Value::Uint32),
        any::<i64>().prop_map(Value::Int64),
        any::<u64>().prop_map(Value::Uint64),
        any::<f64>().prop_filter("equal to itself", |number| !number.is_nan()).prop_map(Value::Double),
        "[^\0]{0,9}".prop_map(Value::String),
        "/[a-z]{1,4}".prop_map(Value::ObjectPath),
        Just(Value::Signature("a(sv)".into())),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|value| Value::Variant(Box::new(value))),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Value::Struct),
            (inner.clone(), 0..4_usize)
                .prop_map(|(value, count)| Value::Array(value.signature(), vec![value; count])),
            ("[a-z]{0,3}", inner).prop_map(|(key, value)| {
                let entry = Value::DictEntry(Box::new((Value::String(key), value)));
                Value::Array(entry.signature(), vec![entry])
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(values in prop::collection::vec(any_value(), 0..4)) {
        let mut encoder = Encoder::default();
        for value in &values {
            prop_assert_eq!(encoder.value(value), Ok(()));
        }
        let signature: String = values.iter().map(Value::signature).collect();
        let mut decoder = Decoder::new(&encoder.bytes, 0, false);
        prop_assert_eq!(decoder.values(&signature), Ok(values));
        prop_assert_eq!(decoder.position(), encoder.bytes.len());
    }

    #[test]
    fn arbitrary_bytes_and_signatures_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..64),
        signature in "[ybnqiuxtdsogva(){}]{0,8}",
        big_endian in any::<bool>(),
    ) {
        let _ = Decoder::new(&bytes, 0, big_endian).values(&signature); // ignored: any answer will do
    }
}
