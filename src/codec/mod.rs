//! Codecs: how keys and values become bytes, and back.
//!
//! A record has a key and a value. They are encoded by different traits:
//!
//! | trait | for | chosen by |
//! |---|---|---|
//! | [`Codec`] | values of topics and tables: [`Json`] (the default), [`Text`], [`Bytes`], or your own | `.codec(…)` on the topic or table |
//! | [`Key`] | keys of tables, in two forms: for topics, and sortable for stores | the type of the key |
//! | [`TopicKey`] | keys of topics: a [`Key`], an `Option` of one, or `()` for none | the type of the key |
//!
//! A record without a value is a *tombstone*. It is not the same as a record whose value is empty
//! or `null`. [`is_missing`](Codec::is_missing) and [`decode_missing`](Codec::decode_missing)
//! define its meaning for a codec.

// Start reading with `Codec`, then `Key`. The private module `strict` keeps `Json` from
// writing values that it could not read back.

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod json;
mod key;
mod key_too_long;
pub(crate) mod percent;
mod plain;
mod strict;
mod topic_key;

pub use json::Json;
pub use key::Key;
pub use key_too_long::KeyTooLong;
pub use marlowe_state::MAX_KEY_BYTES;
pub(crate) use percent::encode;
pub use plain::{Bytes, Text};
pub use topic_key::TopicKey;

use serde_json::value::RawValue;

/// A codec: turns values of one type into the bytes of a record's value, and back.
///
/// [`Json`] is the default of every topic and table, as in Faust.
pub trait Codec<T>: Send + Sync + 'static {
    /// Returns the codec's name, which `topology` and errors show.
    fn name(&self) -> &'static str;

    /// Appends the bytes of `value` to `out`.
    ///
    /// # Errors
    /// If the value has no such form, for example a map with keys that are not text in JSON.
    fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Returns `true` if `value` stands for a record without a value (a tombstone), which has no
    /// bytes. By default no value does. Codecs of options, such as [`Text`] and [`Bytes`], return
    /// `true` for `None`.
    fn is_missing(&self, _value: &T) -> bool {
        false
    }

    /// Returns the value that `bytes` stand for.
    ///
    /// # Errors
    /// If they stand for no value.
    fn decode(&self, bytes: &[u8]) -> Result<T, CodecError>;

    /// Returns the value that a record without a value (a tombstone) stands for.
    ///
    /// # Errors
    /// If there is none, which is the default: the type has nothing for "no value", as an `Option`
    /// has.
    fn decode_missing(&self) -> Result<T, CodecError> {
        Err(CodecError::no_value::<T>())
    }

    /// Returns `bytes` as JSON, for people and the web.
    ///
    /// # Errors
    /// If the bytes do not decode.
    fn to_json(&self, bytes: &[u8]) -> Result<serde_json::Value, CodecError>;

    /// Appends the bytes of a value that came as JSON, from the web or the command line.
    ///
    /// # Errors
    /// If the JSON does not fit the type.
    fn encode_json(&self, json: serde_json::Value, out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Returns `bytes` as JSON text, like [`to_json`](Self::to_json). Text can have integers beyond
    /// 64 bits, which [`serde_json::Value`] cannot.
    ///
    /// # Errors
    /// If the bytes do not decode.
    fn to_json_text(&self, bytes: &[u8]) -> Result<Box<RawValue>, CodecError> {
        serde_json::value::to_raw_value(&self.to_json(bytes)?).map_err(|error| CodecError::new("JSON", error))
    }

    /// Appends the bytes of a value that came as JSON text, like
    /// [`encode_json`](Self::encode_json).
    ///
    /// # Errors
    /// If the text is not JSON, or does not fit the type.
    fn encode_json_text(&self, json: &str, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let json =
            serde_json::from_str(json).map_err(|error| CodecError::new("JSON", error).with_input(json.as_bytes()))?;
        self.encode_json(json, out)
    }
}

/// Encodes the value of a record into `buffer`, which is emptied first. Returns `None` for a record
/// without a value.
pub(crate) fn encode_value<'b, V: 'static>(
    codec: &dyn Codec<V>,
    value: &V,
    buffer: &'b mut Vec<u8>,
) -> Result<Option<&'b [u8]>, CodecError> {
    buffer.clear();
    if codec.is_missing(value) {
        return Ok(None);
    }
    codec.encode(value, buffer)?;
    Ok(Some(buffer))
}

/// Decodes the value of a record, which may have none.
#[inline]
pub(crate) fn decode_value<V: 'static>(codec: &dyn Codec<V>, value: Option<&[u8]>) -> Result<V, CodecError> {
    match value {
        Some(bytes) => codec.decode(bytes),
        None => codec.decode_missing(),
    }
}

/// The error of bytes that do not decode, or of a value that does not encode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {}: {}{}", .0.expected, .0.reason, sample(&.0.input))]
pub struct CodecError(Box<CodecProblem>);

/// The content of an error. It is boxed so that a `Result` with the error is no larger than the
/// value alone.
#[derive(Clone, Debug, PartialEq, Eq)]
struct CodecProblem {
    expected: String,
    reason: String,
    input: Option<String>,
}

impl CodecError {
    /// Makes the error that something is not `expected`, because of `reason`.
    pub fn new(expected: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self(Box::new(CodecProblem { expected: expected.into(), reason: reason.to_string(), input: None }))
    }

    /// Makes the error of a record without a value where a `T` is wanted.
    pub(crate) fn no_value<T>() -> Self {
        let name = short_type_name::<T>();
        let reason = format!(
            "the record has no value (it is a tombstone); declare the topic's value as Option<{name}> to take it"
        );
        Self::new(format!("a {name}"), reason)
    }

    /// Returns the error without any part of the bytes, for readers who may learn what failed but
    /// not on which value.
    pub(crate) fn without_input(&self) -> String {
        let CodecProblem { expected, reason, .. } = &*self.0;
        // These are the words of serde. Any other text could contain a part of the value.
        let reason = match reason.split_once(": ") {
            Some((what @ ("invalid type" | "invalid value"), rest)) => {
                rest.rsplit_once(", expected ").map(|(_, wanted)| format!(": {what}, expected {wanted}"))
            }
            None if reason.starts_with("missing field ") => Some(format!(": {reason}")),
            _ => None,
        };
        format!("not {expected}{}", reason.unwrap_or_default())
    }

    /// Adds the start of the bytes that the error is about: at most 120 bytes.
    pub fn with_input(mut self, bytes: &[u8]) -> Self {
        const SHOWN: usize = 120;
        let mut text: String = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]).into_owned();
        if bytes.len() > SHOWN {
            text.push('…');
        }
        self.0.input = Some(text);
        self
    }
}

fn sample(input: &Option<String>) -> String {
    input.as_ref().map(|text| format!(" (in `{text}`)")).unwrap_or_default()
}

/// Returns a type's name without its path, for messages: `Flight` instead of `my::crate::Flight`.
pub(crate) fn short_type_name<T: ?Sized>() -> String {
    let full = std::any::type_name::<T>();
    let mut short = String::new();
    let mut word = String::new();
    for character in full.chars() {
        if character.is_alphanumeric() || character == '_' {
            word.push(character);
        } else if character == ':' {
            word.clear();
        } else {
            short.push_str(&word);
            word.clear();
            short.push(character);
        }
    }
    short + &word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_what_it_is_about() {
        let error = CodecError::new("a Flight in JSON", "expected `,`").with_input(b"{\"a\"");
        assert_eq!(error.to_string(), "not a Flight in JSON: expected `,` (in `{\"a\"`)");
    }

    #[test]
    fn an_error_can_be_told_without_the_bytes() {
        let told = |reason: &str| CodecError::new("a Flight in JSON", reason).with_input(b"secret").without_input();
        assert_eq!(told("missing field `size` at line 1"), "not a Flight in JSON: missing field `size` at line 1");
        assert_eq!(
            told("invalid type: string \"a secret, expected\", expected u64 at line 1"),
            "not a Flight in JSON: invalid type, expected u64 at line 1"
        );
        assert_eq!(told("unknown variant `secret`"), "not a Flight in JSON");
        assert_eq!(told("custom: secret"), "not a Flight in JSON");
    }

    #[test]
    fn names_lose_their_paths() {
        assert_eq!(short_type_name::<Option<std::string::String>>(), "Option<String>");
    }
}
