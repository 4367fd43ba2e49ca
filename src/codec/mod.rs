//! How keys and values become bytes, and back.

mod json;
mod key;
mod plain;

pub use json::Json;
pub use key::{Key, TopicKey};
pub use plain::{Bytes, Text};

/// Turns values of one type into the bytes of a record's value, and back.
///
/// [`Json`] is the default of every topic and table, as in Faust.
pub trait Codec<T>: Send + Sync + 'static {
    /// What it is called, in `topology` and in errors.
    fn name(&self) -> &'static str;

    /// Appends `value`'s bytes to `out`.
    ///
    /// # Errors
    /// When the value has no such form, as a map with non-text keys in JSON.
    fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// The value that `bytes` stand for.
    ///
    /// # Errors
    /// When they stand for none.
    fn decode(&self, bytes: &[u8]) -> Result<T, CodecError>;

    /// `bytes` as JSON, for people and the web.
    ///
    /// # Errors
    /// When they do not decode.
    fn to_json(&self, bytes: &[u8]) -> Result<serde_json::Value, CodecError>;

    /// Appends the bytes of a value that came as JSON, from the web or the command line.
    ///
    /// # Errors
    /// When the JSON does not fit the type.
    fn encode_json(&self, json: serde_json::Value, out: &mut Vec<u8>) -> Result<(), CodecError>;
}

/// Bytes that do not decode, or a value that does not encode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {}: {}{}", .0.expected, .0.reason, sample(&.0.input))]
pub struct CodecError(Box<Problem>);

/// Apart, so that a result that may be an error is no larger than the value alone.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    expected: String,
    reason: String,
    input: Option<String>,
}

impl CodecError {
    /// Something that is not `expected`, for `reason`.
    pub fn new(expected: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self(Box::new(Problem { expected: expected.into(), reason: reason.to_string(), input: None }))
    }

    /// The same, showing the start of the bytes it is about.
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

/// The last part of a type's name, for messages: `Flight`, not `my::crate::Flight`.
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
    fn names_lose_their_paths() {
        assert_eq!(short_type_name::<Option<std::string::String>>(), "Option<String>");
    }
}
