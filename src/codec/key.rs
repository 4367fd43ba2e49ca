//! The types that can be keys of tables, and the two forms of each key.

use std::fmt::Debug;
use std::hash::{Hash, Hasher};

use serde_json::Value as JsonValue;

use super::{CodecError, short_type_name};

/// A type that can be the key of a table, and of the records that belong to it.
///
/// A key has two forms:
///
/// - The *topic form* is in records, in the partitioner's hash, and in URLs that people write. Text
///   is its UTF-8 bytes, a number its decimal digits, a tuple a JSON array.
/// - The *ordered form* is in stores. Its bytes sort as the keys do: text in byte order, integers
///   in numeric order.
///
/// The forms of `String`, and of `CompactString` (feature `compact_str`), are those of Kafka's
/// `StringSerializer` and of Faust's raw keys. So a key's home partition is the one that any
/// producer with Kafka's partitioner chooses.
pub trait Key: Clone + Eq + Hash + Debug + Send + Sync + 'static {
    /// True if the two forms are always the same bytes.
    const ORDERED_AS_TOPIC: bool;

    /// Appends the topic form.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads the topic form.
    ///
    /// # Errors
    /// If the bytes are not such a key.
    fn decode(bytes: &[u8]) -> Result<Self, CodecError>;

    /// Appends the ordered form.
    fn encode_ordered(&self, out: &mut Vec<u8>);

    /// Reads the ordered form.
    ///
    /// # Errors
    /// If the bytes are not such a key.
    fn decode_ordered(bytes: &[u8]) -> Result<Self, CodecError>;

    /// Returns the key as JSON.
    fn to_json(&self) -> JsonValue;

    /// Reads the JSON that [`to_json`](Self::to_json) returns. The default reads a JSON text, or
    /// the text of any other JSON, as the topic form.
    ///
    /// # Errors
    /// If the JSON is not such a key.
    fn from_json(json: &JsonValue) -> Result<Self, CodecError> {
        let text = json.as_str().map_or_else(|| json.to_string(), str::to_owned);
        let key = Self::decode(text.as_bytes())?;
        if key.to_json() == *json {
            return Ok(key);
        }
        let expected = format!("a key of type {} in JSON", short_type_name::<Self>());
        Err(CodecError::new(expected, "it is of another type").with_input(text.as_bytes()))
    }

    /// Hashes the key that has this topic form, as the key's own [`Hash`] does, and returns `true`.
    /// With the hash a table fetches rows before it decodes the events that need them. Returns
    /// `false` if the key would have to be decoded first (the default); rows are then not fetched
    /// early.
    fn hash_topic_form<H: Hasher>(_bytes: &[u8], _state: &mut H) -> bool {
        false
    }
}

macro_rules! text_keys {
    ($($(#[$attribute:meta])* $text:ty;)*) => {$(
        $(#[$attribute])*
        impl Key for $text {
            const ORDERED_AS_TOPIC: bool = true;

            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(self.as_bytes());
            }

            fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
                match std::str::from_utf8(bytes) {
                    Ok(text) => Ok(text.into()),
                    Err(error) => Err(CodecError::new("a key of UTF-8 text", error).with_input(bytes)),
                }
            }

            fn encode_ordered(&self, out: &mut Vec<u8>) {
                self.encode(out);
            }

            fn decode_ordered(bytes: &[u8]) -> Result<Self, CodecError> {
                Self::decode(bytes)
            }

            fn to_json(&self) -> JsonValue {
                JsonValue::from(self.as_str())
            }

            // The same as the hash of `str`: the bytes, then a byte that no text has. It does not
            // matter whether the bytes are text, because the hash of an invalid key finds no row.
            fn hash_topic_form<H: Hasher>(bytes: &[u8], state: &mut H) -> bool {
                state.write(bytes);
                state.write_u8(0xff);
                true
            }
        }
    )*};
}

text_keys! {
    String;
    /// The forms are those of `String`. A key of up to 24 bytes is stored within the row. So an
    /// event with such a key needs no allocation for it, and finding a row needs one access to
    /// memory.
    #[cfg(feature = "compact_str")]
    compact_str::CompactString;
}

impl Key for Vec<u8> {
    const ORDERED_AS_TOPIC: bool = true;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        Ok(bytes.to_vec())
    }

    fn encode_ordered(&self, out: &mut Vec<u8>) {
        self.encode(out);
    }

    fn decode_ordered(bytes: &[u8]) -> Result<Self, CodecError> {
        Self::decode(bytes)
    }

    fn to_json(&self) -> JsonValue {
        match std::str::from_utf8(self) {
            Ok(text) => JsonValue::from(text),
            Err(_) => JsonValue::from(self.clone()),
        }
    }

    fn from_json(json: &JsonValue) -> Result<Self, CodecError> {
        match json {
            JsonValue::String(text) => Ok(text.clone().into_bytes()),
            json => serde_json::from_value(json.clone())
                .map_err(|error| CodecError::new("a key of bytes in JSON, text or numbers", error)),
        }
    }

    fn hash_topic_form<H: Hasher>(bytes: &[u8], state: &mut H) -> bool {
        bytes.hash(state);
        true
    }
}

impl Key for bool {
    const ORDERED_AS_TOPIC: bool = true;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }

    fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        match bytes {
            b"true" => Ok(true),
            b"false" => Ok(false),
            other => Err(CodecError::new("a key that is true or false", "it is neither").with_input(other)),
        }
    }

    fn encode_ordered(&self, out: &mut Vec<u8>) {
        self.encode(out);
    }

    fn decode_ordered(bytes: &[u8]) -> Result<Self, CodecError> {
        Self::decode(bytes)
    }

    fn to_json(&self) -> JsonValue {
        JsonValue::from(*self)
    }
}

/// Integers. The topic form is decimal digits. The ordered form is big-endian, with the sign bit
/// inverted so that negative numbers come first.
macro_rules! integer_keys {
    ($($integer:ty: $unsigned:ty, $flip:expr;)*) => {$(
        impl Key for $integer {
            const ORDERED_AS_TOPIC: bool = false;

            fn encode(&self, out: &mut Vec<u8>) {
                use std::io::Write;
                let written = write!(out, "{self}");
                debug_assert!(written.is_ok(), "writing to memory does not fail");
            }

            fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
                std::str::from_utf8(bytes)
                    .map_err(|error| error.to_string())
                    .and_then(|text| text.parse().map_err(|error: std::num::ParseIntError| error.to_string()))
                    .map_err(|reason| {
                        CodecError::new(concat!("a key of type ", stringify!($integer)), reason).with_input(bytes)
                    })
            }

            fn hash_topic_form<H: Hasher>(bytes: &[u8], state: &mut H) -> bool {
                Self::decode(bytes).is_ok_and(|key| {
                    key.hash(state);
                    true
                })
            }

            fn encode_ordered(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&((*self as $unsigned) ^ $flip).to_be_bytes());
            }

            fn decode_ordered(bytes: &[u8]) -> Result<Self, CodecError> {
                match bytes.try_into() {
                    Ok(bytes) => Ok((<$unsigned>::from_be_bytes(bytes) ^ $flip) as $integer),
                    Err(_) => Err(CodecError::new(
                        concat!("a stored key of type ", stringify!($integer)),
                        format!("it has {} bytes", bytes.len()),
                    )),
                }
            }

            fn to_json(&self) -> JsonValue {
                JsonValue::from(*self)
            }
        }
    )*};
}

integer_keys! {
    u8: u8, 0;
    u16: u16, 0;
    u32: u32, 0;
    u64: u64, 0;
    i8: u8, 1 << 7;
    i16: u16, 1 << 15;
    i32: u32, 1 << 31;
    i64: u64, 1 << 63;
}

/// Tuples. The topic form is a JSON array. The ordered form has the parts one after the other, each
/// with an end mark, so that a shorter part comes first.
macro_rules! tuple_keys {
    ($($name:ident $index:tt),+; $count:literal) => {
        impl<$($name: Key + serde::Serialize + serde::de::DeserializeOwned),+> Key for ($($name,)+) {
            const ORDERED_AS_TOPIC: bool = false;

            fn encode(&self, out: &mut Vec<u8>) {
                let text = self.to_json().to_string();
                out.extend_from_slice(text.as_bytes());
            }

            fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
                serde_json::from_slice(bytes).or_else(|error| {
                    // Parts of bytes that are text are JSON texts, which serde does not accept as
                    // bytes.
                    let key = serde_json::from_slice(bytes).ok().and_then(|json| Self::from_json(&json).ok());
                    key.ok_or_else(|| {
                        CodecError::new(format!("a key {} in JSON", short_type_name::<Self>()), error).with_input(bytes)
                    })
                })
            }

            fn from_json(json: &JsonValue) -> Result<Self, CodecError> {
                match json.as_array() {
                    Some(parts) if parts.len() == $count => Ok(($($name::from_json(&parts[$index])?,)+)),
                    _ => Err(CodecError::new(
                        format!("a key {} in JSON", short_type_name::<Self>()),
                        concat!("it is not an array of ", $count),
                    )
                    .with_input(json.to_string().as_bytes())),
                }
            }

            fn encode_ordered(&self, out: &mut Vec<u8>) {
                $(encode_part(&self.$index, out);)+
            }

            fn decode_ordered(bytes: &[u8]) -> Result<Self, CodecError> {
                let mut rest = bytes;
                let key = ($(decode_part::<$name>(&mut rest)?,)+);
                if rest.is_empty() {
                    Ok(key)
                } else {
                    Err(CodecError::new(
                        format!("a stored key {}", short_type_name::<Self>()),
                        format!("{} bytes follow it", rest.len()),
                    ))
                }
            }

            fn to_json(&self) -> JsonValue {
                JsonValue::Array(vec![$(self.$index.to_json()),+])
            }
        }
    };
}

tuple_keys!(A 0, B 1; 2);
tuple_keys!(A 0, B 1, C 2; 3);
tuple_keys!(A 0, B 1, C 2, D 3; 4);

/// Appends one part of a tuple: its ordered form, in which each 0 is written as 0 255, and then the
/// end mark 0 0. So no part is the start of another one, and the whole sorts as its parts do.
fn encode_part<K: Key>(key: &K, out: &mut Vec<u8>) {
    let start = out.len();
    key.encode_ordered(out);
    let mut from = out.len();
    let zeros = out[start..].iter().filter(|byte| **byte == 0).count();
    out.resize(from + zeros, 0);
    // Copy from the back, so that no byte is overwritten before it is moved.
    let mut to = out.len();
    while from < to {
        from -= 1;
        if out[from] == 0 {
            to -= 1;
            out[to] = 255;
        }
        to -= 1;
        out[to] = out[from];
    }
    out.extend_from_slice(&[0, 0]);
}

fn decode_part<K: Key>(rest: &mut &[u8]) -> Result<K, CodecError> {
    let mut part = Vec::new();
    let mut index = 0;
    while let Some(byte) = rest.get(index) {
        index += 1;
        if *byte != 0 {
            part.push(*byte);
            continue;
        }
        let mark = rest.get(index).copied();
        index += 1;
        match mark {
            Some(255) => part.push(0),
            Some(0) => {
                *rest = &rest[index..];
                return K::decode_ordered(&part);
            }
            _ => break,
        }
    }
    Err(CodecError::new("a stored key of several parts", "a part has no end"))
}

#[cfg(test)]
mod tests;
