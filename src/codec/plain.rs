//! Codecs without a frame: text and bytes as they are.

use super::{Codec, CodecError};

/// Text as its UTF-8 bytes, without the quotes of JSON.
///
/// It is a codec of `String` and of `Option<String>`. `None` is a record without a value: a
/// tombstone. In a table `None` is refused as a row: remove the row instead.
#[derive(Clone, Copy, Debug, Default)]
pub struct Text;

/// Bytes as they are. On the web they are a JSON array of numbers.
///
/// It is a codec of `Vec<u8>` and of `Option<Vec<u8>>`. `None` is a record without a value: a
/// tombstone. In a table `None` is refused as a row: remove the row instead.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bytes;

impl Codec<String> for Text {
    fn name(&self) -> &'static str {
        "text"
    }

    fn encode(&self, value: &String, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(value.as_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<String, CodecError> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(CodecError::new("UTF-8 text", error).with_input(bytes)),
        }
    }

    fn to_json(&self, bytes: &[u8]) -> Result<serde_json::Value, CodecError> {
        self.decode(bytes).map(|text: String| serde_json::Value::String(text))
    }

    fn encode_json(&self, json: serde_json::Value, out: &mut Vec<u8>) -> Result<(), CodecError> {
        match json {
            serde_json::Value::String(text) => self.encode(&text, out),
            other => Err(CodecError::new("text", format!("got {other}"))),
        }
    }
}

impl Codec<Vec<u8>> for Bytes {
    fn name(&self) -> &'static str {
        "bytes"
    }

    fn encode(&self, value: &Vec<u8>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(value);
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
        Ok(bytes.to_vec())
    }

    fn to_json(&self, bytes: &[u8]) -> Result<serde_json::Value, CodecError> {
        Ok(serde_json::Value::from(bytes.to_vec()))
    }

    fn encode_json(&self, json: serde_json::Value, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let bytes: Vec<u8> =
            serde_json::from_value(json).map_err(|error| CodecError::new("an array of bytes", error))?;
        out.extend_from_slice(&bytes);
        Ok(())
    }
}

/// Codecs of options. The plain codec writes no frame, so there are no bytes left for `None`: it is
/// a record without a value.
macro_rules! optional {
    ($($codec:ident $plain:ty;)*) => {$(
        impl Codec<Option<$plain>> for $codec {
            fn name(&self) -> &'static str {
                <Self as Codec<$plain>>::name(self)
            }

            fn encode(&self, value: &Option<$plain>, out: &mut Vec<u8>) -> Result<(), CodecError> {
                match value {
                    Some(value) => self.encode(value, out),
                    None => Err(CodecError::new(
                        concat!("a value of type ", stringify!($plain)),
                        "None cannot be a value, because it is a record without a value; to remove a row, call \
                         `remove`",
                    )),
                }
            }

            fn is_missing(&self, value: &Option<$plain>) -> bool {
                value.is_none()
            }

            fn decode(&self, bytes: &[u8]) -> Result<Option<$plain>, CodecError> {
                <Self as Codec<$plain>>::decode(self, bytes).map(Some)
            }

            fn decode_missing(&self) -> Result<Option<$plain>, CodecError> {
                Ok(None)
            }

            fn to_json(&self, bytes: &[u8]) -> Result<serde_json::Value, CodecError> {
                <Self as Codec<$plain>>::to_json(self, bytes)
            }

            fn encode_json(&self, json: serde_json::Value, out: &mut Vec<u8>) -> Result<(), CodecError> {
                <Self as Codec<$plain>>::encode_json(self, json, out)
            }
        }
    )*};
}

optional! {
    Text String;
    Bytes Vec<u8>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n1_6_none_is_no_value_and_null_is_text() {
        let missing = <Text as Codec<String>>::decode_missing(&Text).unwrap_err().to_string();
        assert!(missing.contains("no value") && missing.contains("Option<String>"), "{missing}");
        assert!(<Bytes as Codec<Vec<u8>>>::decode_missing(&Bytes).is_err());
        let read: (Option<String>, Option<Vec<u8>>) = (Text.decode_missing().unwrap(), Bytes.decode_missing().unwrap());
        assert_eq!(read, (None, None));
        let read: Option<String> = Text.decode(b"null").unwrap();
        assert_eq!(read.as_deref(), Some("null"));
        let read: Option<String> = Text.decode(b"").unwrap();
        assert_eq!(read.as_deref(), Some(""), "an empty text is a value");
        assert!(Text.is_missing(&None::<String>) && !Text.is_missing(&Some(String::new())));
        assert!(Bytes.is_missing(&None::<Vec<u8>>) && !Text.is_missing(&String::new()));
        let mut out = Vec::new();
        Text.encode(&Some("a".to_owned()), &mut out).unwrap();
        assert_eq!(out, b"a");
        assert!(Text.encode(&None::<String>, &mut out).is_err());
    }
}
