//! A table without its type parameters, and the reading of keys that come as JSON.

use std::sync::Arc;

use marlowe_broker::{Partition, Partitioner};
use marlowe_state::MAX_KEY_BYTES;
use serde_json::value::RawValue;

use super::declaration::{Keyspace, TableDeclaration, TableIdentity};
use crate::codec::{CodecError, Key, KeyTooLong, short_type_name};

/// A table without its type parameters, as restore, the web server and the command line need it.
pub(crate) trait AnyTable: Send + Sync {
    fn identity(&self) -> &TableIdentity;

    /// Returns the declared number of partitions, if one was declared.
    fn declared_partitions(&self) -> Option<u32>;

    /// Returns the number of rows of a slice that are kept decoded in memory.
    fn cache_rows(&self) -> usize;

    fn keyspace(&self) -> Keyspace;

    fn partitioner(&self) -> Partitioner;

    /// Returns the name of the key's type. The type decides the form of keys in stores.
    fn key_type(&self) -> String;

    /// Returns `true` if keys have the same bytes in stores and in topics.
    fn same_key_bytes(&self) -> bool;

    /// Appends to `out` the ordered form, which stores use, of a key in topic form.
    fn ordered_key(&self, topic_key: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Appends to `out` the topic form of a key in ordered form.
    fn topic_key(&self, ordered: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Returns a key in ordered form as JSON, to show it to people.
    fn key_json(&self, ordered: &[u8]) -> Result<serde_json::Value, CodecError>;

    /// Checks that a value decodes.
    ///
    /// # Errors
    /// If it does not decode. The error says why.
    fn check_value(&self, bytes: &[u8]) -> Result<(), CodecError>;

    /// Returns a value as JSON, to show it to people. Some values that are not of the table's type
    /// can be shown as well.
    fn value_json(&self, bytes: &[u8]) -> Result<Box<RawValue>, CodecError>;

    /// Returns the bytes of a value that people wrote as JSON.
    fn value_from_json(&self, json: &str) -> Result<Vec<u8>, CodecError>;

    /// Returns the Faust app whose table of the same name supplies this table's first rows, if
    /// there is one.
    fn takes_over(&self) -> Option<Arc<str>>;

    /// Returns the topic form of a key that people wrote as JSON.
    fn key_from_json(&self, json: &serde_json::Value) -> Result<Vec<u8>, CodecError>;

    /// Returns the home partition of a key in topic form.
    fn home(&self, topic_key: &[u8], partitions: u32) -> Partition {
        self.partitioner().partition(topic_key, partitions)
    }

    fn name(&self) -> &Arc<str> {
        &self.identity().name
    }

    /// Checks that a key in ordered form is not too long for a row.
    fn check_length(&self, ordered: &[u8]) -> Result<(), KeyTooLong> {
        if ordered.len() <= MAX_KEY_BYTES {
            return Ok(());
        }
        let key = self.key_json(ordered).unwrap_or_default();
        Err(KeyTooLong::of(self.name(), &key, ordered.len(), MAX_KEY_BYTES))
    }
}

impl<K: Key, V: 'static> AnyTable for TableDeclaration<K, V> {
    fn identity(&self) -> &TableIdentity {
        &self.identity
    }

    fn declared_partitions(&self) -> Option<u32> {
        self.settings.read().partitions
    }

    fn cache_rows(&self) -> usize {
        self.settings.read().cache_rows
    }

    fn keyspace(&self) -> Keyspace {
        self.settings.read().keyspace
    }

    fn partitioner(&self) -> Partitioner {
        self.settings.read().partitioner
    }

    fn key_type(&self) -> String {
        short_type_name::<K>()
    }

    fn same_key_bytes(&self) -> bool {
        K::ORDERED_AS_TOPIC
    }

    fn ordered_key(&self, topic_key: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        K::decode(topic_key)?.encode_ordered(out);
        Ok(())
    }

    fn topic_key(&self, ordered: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        K::decode_ordered(ordered)?.encode(out);
        Ok(())
    }

    fn key_json(&self, ordered: &[u8]) -> Result<serde_json::Value, CodecError> {
        Ok(K::decode_ordered(ordered)?.to_json())
    }

    fn check_value(&self, bytes: &[u8]) -> Result<(), CodecError> {
        self.settings().codec.decode(bytes).map(drop)
    }

    fn value_json(&self, bytes: &[u8]) -> Result<Box<RawValue>, CodecError> {
        self.settings().codec.to_json_text(bytes)
    }

    fn value_from_json(&self, json: &str) -> Result<Vec<u8>, CodecError> {
        let mut bytes = Vec::new();
        self.settings().codec.encode_json_text(json, &mut bytes)?;
        Ok(bytes)
    }

    fn takes_over(&self) -> Option<Arc<str>> {
        self.settings.read().takes_over.clone()
    }

    fn key_from_json(&self, json: &serde_json::Value) -> Result<Vec<u8>, CodecError> {
        key_from_json::<K>(json)
    }
}

/// Returns the topic form of a key in JSON. The key is written as JSON writes it, but text has no
/// quotes. Text is accepted as a number and a number as text, because Python's tables have either
/// under keys that are the same to their producers. No other type is accepted for another.
fn key_from_json<K: Key>(json: &serde_json::Value) -> Result<Vec<u8>, CodecError> {
    use serde_json::Value;

    let plain = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    let text = plain(json).unwrap_or_else(|| json.to_string());
    let key = K::decode(text.as_bytes())?.to_json();
    if key == *json || plain(&key).is_some_and(|key| plain(json) == Some(key)) {
        return Ok(text.into_bytes());
    }
    let expected = format!("a key of type {} in JSON", short_type_name::<K>());
    Err(CodecError::new(expected, "it is of another type").with_input(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_in_json_is_the_topics_form_of_it_or_refused() {
        let text = |json| key_from_json::<String>(&json).ok().map(|key| String::from_utf8(key).unwrap());
        assert_eq!(text(json!("user1")).as_deref(), Some("user1"));
        assert_eq!(text(json!("Zürich \"x\"")).as_deref(), Some("Zürich \"x\""));
        assert_eq!(text(json!(12)).as_deref(), Some("12"));
        assert_eq!(text(json!(["user1", [0.0, 9.9]])), None);
        assert_eq!(text(json!(null)), None);
        let number = |json| key_from_json::<i64>(&json).ok();
        assert_eq!((number(json!(-12)), number(json!("12"))), (Some(b"-12".to_vec()), Some(b"12".to_vec())));
        assert_eq!((number(json!("x")), number(json!(1.5)), number(json!(true))), (None, None, None));
        let pair = |json| key_from_json::<(String, u32)>(&json).ok();
        assert_eq!(pair(json!(["a", 1])), Some(br#"["a",1]"#.to_vec()));
        assert_eq!((pair(json!(["a"])), pair(json!("a"))), (None, None));
    }
}
