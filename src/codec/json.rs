//! The JSON codec, which is the default for values.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{Codec, CodecError, short_type_name, strict};

/// JSON through serde: the default codec.
///
/// A value is read as it was written: floats bit by bit, and integers of all sizes. A value without
/// such a form in JSON is refused when it is written:
///
/// - a float that is NaN or infinite
/// - a `Some(None)`, because its JSON is the one of `None`
/// - a value that is nested deeper than 127 levels, because it could not be read
///
/// `None` is written as `null`, so the record has the value `null`. A record without a value (a
/// tombstone) is also read as `None`. [`send_tombstone`](crate::topic::TopicSender::send_tombstone)
/// sends one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl<T: Serialize + DeserializeOwned> Codec<T> for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
        strict::append(value, out).map_err(expected::<T>)
    }

    fn decode(&self, bytes: &[u8]) -> Result<T, CodecError> {
        // If all bytes are valid UTF-8, the texts inside need no check of their own.
        let decoded = match std::str::from_utf8(bytes) {
            Ok(text) => {
                // This is `serde_json::from_str`, which the compiler does not always inline.
                let mut input = serde_json::Deserializer::from_str(text);
                T::deserialize(&mut input).and_then(|value| input.end().map(|()| value))
            }
            Err(_) => serde_json::from_slice(bytes),
        };
        decoded.map_err(|error| expected::<T>(error).with_input(bytes))
    }

    fn decode_missing(&self) -> Result<T, CodecError> {
        // A type that reads `null` is an option or has no content. For such a type no value means
        // the same.
        serde_json::from_value(serde_json::Value::Null).map_err(|_| CodecError::no_value::<T>())
    }

    fn to_json(&self, bytes: &[u8]) -> Result<serde_json::Value, CodecError> {
        serde_json::from_slice(bytes).map_err(|error| expected::<T>(error).with_input(bytes))
    }

    fn encode_json(&self, json: serde_json::Value, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let value: T = serde_json::from_value(json).map_err(expected::<T>)?;
        self.encode(&value, out)
    }

    fn to_json_text(&self, bytes: &[u8]) -> Result<Box<RawValue>, CodecError> {
        serde_json::from_slice(bytes).map_err(|error| expected::<T>(error).with_input(bytes))
    }

    fn encode_json_text(&self, json: &str, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let value: T = serde_json::from_slice(json.as_bytes()).map_err(expected::<T>)?;
        self.encode(&value, out)
    }
}

fn expected<T>(error: serde_json::Error) -> CodecError {
    CodecError::new(format!("a {} in JSON", short_type_name::<T>()), error)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Debug;

    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};
    use serde_json::Value;

    use super::{Codec, Json};

    fn written<T: Serialize + for<'a> Deserialize<'a>>(value: &T) -> Result<Vec<u8>, String> {
        let mut out = b"before".to_vec();
        let written = Json.encode(value, &mut out).map_err(|error| error.to_string());
        let rest = out.split_off(6);
        assert!(out == b"before" && (written.is_ok() || rest.is_empty()), "what is refused leaves nothing");
        written.map(|()| rest)
    }

    /// Checks that a value is the same after each way: as a value, and as JSON that people read and
    /// write.
    fn comes_back<T: Serialize + for<'a> Deserialize<'a> + PartialEq + Debug>(value: &T) {
        let bytes = written(value).unwrap();
        assert_eq!(bytes, serde_json::to_vec(value).unwrap(), "what is taken is written as serde_json writes it");
        assert_eq!(&<Json as Codec<T>>::decode(&Json, &bytes).unwrap(), value);
        let json = <Json as Codec<T>>::to_json_text(&Json, &bytes).unwrap();
        let mut again = Vec::new();
        <Json as Codec<T>>::encode_json_text(&Json, json.get(), &mut again).unwrap();
        assert_eq!(again, bytes);
    }

    fn refused<T: Serialize + for<'a> Deserialize<'a>>(value: &T, why: &str) {
        let error = written(value).unwrap_err();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn a_field_that_is_not_asked_for_may_be_anything() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Named {
            name: String,
        }
        let decode = |bytes: &[u8]| <Json as Codec<Named>>::decode(&Json, bytes);
        assert_eq!(decode(b"{\"name\":\"ada\",\"photo\":\"\xff\"}").unwrap().name, "ada");
        assert!(decode(b"{\"name\":\"\xff\"}").is_err());
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Shape {
        Point,
        Wrapped(Option<f64>),
        Pair(f32, u8),
        Named { x: f64, rest: Vec<Shape> },
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Flat {
        id: u64,
        #[serde(flatten)]
        rest: BTreeMap<String, f64>,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        Reading { value: f64 },
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Float(f64);

    impl Eq for Float {}

    impl PartialOrd for Float {
        fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
            Some(self.cmp(other))
        }
    }

    impl Ord for Float {
        fn cmp(&self, other: &Self) -> std::cmp::Ordering {
            self.0.total_cmp(&other.0)
        }
    }

    proptest! {
        #[test]
        fn n1_3_every_float_comes_back_bit_by_bit(bits in any::<u64>(), short in any::<u32>()) {
            let (long, short) = (f64::from_bits(bits), f32::from_bits(short));
            if long.is_finite() {
                let back: f64 = Json.decode(&written(&long).unwrap()).unwrap();
                prop_assert_eq!(back.to_bits(), bits);
                let back: Value = Json.decode(&written(&long).unwrap()).unwrap();
                prop_assert_eq!(back.as_f64().map(f64::to_bits), Some(bits));
            } else {
                refused(&long, "float");
            }
            if short.is_finite() {
                let back: f32 = Json.decode(&written(&short).unwrap()).unwrap();
                prop_assert_eq!(back.to_bits(), short.to_bits());
            } else {
                refused(&short, "float");
            }
        }
    }

    #[test]
    fn n1_3_what_is_written_comes_back_by_every_way() {
        for float in [1.577_777_777_777_000_1, 0.1 + 0.2, -0.0, 5e-324, f64::MAX, f64::MIN_POSITIVE] {
            comes_back(&float);
            comes_back(&Shape::Named { x: float, rest: vec![Shape::Wrapped(Some(float)), Shape::Wrapped(None)] });
            comes_back(&BTreeMap::from([(Float(float), float)]));
        }
        comes_back(&vec![Shape::Point, Shape::Pair(0.1, 7), Shape::Pair(f32::MIN_POSITIVE, 0)]);
        comes_back(&Flat { id: u64::MAX, rest: BTreeMap::from([("x".to_owned(), 0.1)]) });
        comes_back(&Tagged::Reading { value: 1.577_777_777_777_000_1 });
        comes_back(&(u64::MAX, i64::MIN, (1_u64 << 53) + 1));
        comes_back(&(u128::MAX, i128::MIN));
        comes_back(&BTreeMap::from([(u128::MAX, "a"), (0, "b")].map(|(key, text)| (key, text.to_owned()))));
        comes_back(&serde_json::json!({ "big": u64::MAX, "small": i64::MIN, "null": null, "of": [1.5, {}] }));
        comes_back(&Some("text".to_owned()));
        comes_back(&((), None::<u8>, vec![(), ()]));
        comes_back(&"\0\u{1}\u{2028}\"\\ü\u{10ffff}".to_owned());
        let raw: Box<serde_json::value::RawValue> = Json.decode(b"{\"a\": 1.0}").unwrap();
        assert_eq!(written(&raw).unwrap(), b"{\"a\": 1.0}");
    }

    #[test]
    fn n1_3_floats_that_are_not_numbers_are_refused() {
        for float in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            refused(&float, "which JSON cannot hold");
            refused(&(float as f32), "which JSON cannot hold");
            refused(&Shape::Wrapped(Some(float)), "which JSON cannot hold");
            refused(&Shape::Pair(float as f32, 1), "which JSON cannot hold");
            refused(
                &Shape::Named { x: 0.0, rest: vec![Shape::Named { x: float, rest: vec![] }] },
                "which JSON cannot hold",
            );
            refused(&Flat { id: 1, rest: BTreeMap::from([("x".to_owned(), float)]) }, "which JSON cannot hold");
            refused(&Tagged::Reading { value: float }, "which JSON cannot hold");
            refused(&BTreeMap::from([("a".to_owned(), vec![(1, float)])]), "which JSON cannot hold");
            refused(&BTreeMap::from([(Float(float), 1)]), "float");
        }
        refused(&f64::NAN, "NaN");
    }

    #[test]
    fn n1_3_some_of_nothing_is_refused_where_it_would_read_as_none() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Wrapper(Option<u8>);
        refused(&Some(None::<u8>), "Some(None)");
        refused(&Some(()), "Some(None)");
        refused(&Some(Wrapper(None)), "Some(None)");
        refused(&vec![Some(Some(None::<u8>))], "Some(None)");
        comes_back(&Some(Wrapper(Some(1))));
        comes_back(&Some(vec![None::<u8>]));
        comes_back(&Some((None::<u8>, ())));
        comes_back(&vec![Some(Some(1))]);
    }

    #[test]
    fn n1_3_what_is_nested_too_deep_to_be_read_is_refused() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Chain(Option<Box<Chain>>, u8);
        fn chain(levels: usize) -> Chain {
            (1..levels).fold(Chain(None, 0), |inner, _| Chain(Some(Box::new(inner)), 1))
        }
        fn value(levels: usize) -> Value {
            (1..levels).fold(serde_json::json!({}), |inner, level| match level % 2 {
                0 => serde_json::json!({ "inner": inner }),
                _ => serde_json::json!([1, inner]),
            })
        }
        comes_back(&chain(127));
        comes_back(&value(127));
        for levels in [128, 129, 5_000] {
            refused(&chain(levels), "nested deeper");
        }
        refused(&value(128), "nested deeper");
        // Side by side they are not nested deeply.
        comes_back(&vec![value(126), value(126)]);
    }

    #[test]
    fn n1_6_no_value_is_none_and_of_other_types_an_error() {
        assert_eq!(<Json as Codec<Option<u8>>>::decode_missing(&Json).unwrap(), None);
        assert_eq!(<Json as Codec<Value>>::decode_missing(&Json).unwrap(), Value::Null);
        <Json as Codec<()>>::decode_missing(&Json).unwrap();
        let error = <Json as Codec<Shape>>::decode_missing(&Json).unwrap_err().to_string();
        assert!(error.contains("no value") && error.contains("Option<Shape>"), "{error}");
    }
}
