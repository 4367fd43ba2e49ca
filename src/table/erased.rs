use std::sync::Arc;

use marlowe_broker::{Partition, Partitioner};
use marlowe_state::MAX_KEY_BYTES;
use serde_json::value::RawValue;

use super::declaration::{Keyspace, TableDeclaration, TableIdentity};
use crate::codec::{CodecError, Key, KeyTooLong, short_type_name};

/// A table without its types: what restore, the web and the command line need of it.
pub(crate) trait AnyTable: Send + Sync {
    fn identity(&self) -> &TableIdentity;

    /// How many partitions it was declared to have, if that was said.
    fn declared_partitions(&self) -> Option<u32>;

    /// How many rows of a slice are kept decoded.
    fn cache_rows(&self) -> usize;

    fn keyspace(&self) -> Keyspace;

    fn partitioner(&self) -> Partitioner;

    /// The type of its keys, which decides their form in stores.
    fn key_type(&self) -> String;

    /// Whether a store's keys are the topics' keys.
    fn same_key_bytes(&self) -> bool;

    /// The store's form of a topic's key.
    fn ordered_key(&self, topic_key: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// The topic's form of a store's key.
    fn topic_key(&self, ordered: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// A store's key, for people.
    fn key_json(&self, ordered: &[u8]) -> Result<serde_json::Value, CodecError>;

    /// Whether a value decodes.
    ///
    /// # Errors
    /// When it does not: why.
    fn check_value(&self, bytes: &[u8]) -> Result<(), CodecError>;

    /// A value, for people. Some can be shown that are not of the table's type.
    fn value_json(&self, bytes: &[u8]) -> Result<Box<RawValue>, CodecError>;

    /// The bytes of a value from people.
    fn value_from_json(&self, json: &str) -> Result<Vec<u8>, CodecError>;

    /// The Faust app from whose table of the same name this one begins, if it does.
    fn takes_over(&self) -> Option<Arc<str>>;

    /// The topic's form of a key that came as JSON.
    fn key_from_json(&self, json: &serde_json::Value) -> Result<Vec<u8>, CodecError>;

    /// The home of a topic's key.
    fn home(&self, topic_key: &[u8], partitions: u32) -> Partition {
        self.partitioner().partition(topic_key, partitions)
    }

    fn name(&self) -> &Arc<str> {
        &self.identity().name
    }

    /// Refuses a key that is too long for a row.
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

/// A key is as JSON writes it, text without its quotes. Text is taken for a number and a number for text, for Python's
/// tables have either under keys that are the same to their producers; nothing else is taken for what it is not.
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
