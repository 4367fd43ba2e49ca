use std::sync::Arc;

use marlowe_broker::{Entropy, Partition, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::AnyTopic;
use crate::client::Outgoing;
use crate::codec::CodecError;

/// A record as people write it, in a shell or to the web.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenRecord {
    /// The key in the form that topics have it: text as it is, numbers in decimal digits, several parts as a JSON array.
    #[serde(default)]
    pub(crate) key: Option<String>,
    pub(crate) value: Value,
}

/// The part of a record that its topic does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotTaken {
    #[error("topic `{topic}`: the key is {source}")]
    Key { topic: Arc<str>, source: CodecError },
    #[error("topic `{topic}`: the value is {source}")]
    Value { topic: Arc<str>, source: CodecError },
}

impl WrittenRecord {
    /// A record whose value is JSON, or where the topic takes that, text without its quotes.
    pub(crate) fn from_words(topic: &dyn AnyTopic, key: Option<&str>, value: &str) -> Result<Self, NotTaken> {
        let text = Value::String(value.to_owned());
        let takes_text = topic.value_from_json(text.clone()).is_ok();
        let value = match serde_json::from_str::<Value>(value) {
            Ok(json) => match topic.value_from_json(json.clone()) {
                // What reads as a number may be text all the same.
                Err(_) if takes_text => text,
                Err(source) => return Err(NotTaken::Value { topic: topic.name().clone(), source }),
                Ok(_) => json,
            },
            Err(_) if takes_text => text,
            Err(error) => {
                let source = CodecError::new("JSON", error).with_input(value.as_bytes());
                return Err(NotTaken::Value { topic: topic.name().clone(), source });
            }
        };
        let record = Self { key: key.map(str::to_owned), value };
        record.key_bytes(topic)?;
        Ok(record)
    }

    fn key_bytes(&self, topic: &dyn AnyTopic) -> Result<Option<Vec<u8>>, NotTaken> {
        let key = topic.key_from_text(self.key.as_deref());
        key.map_err(|source| NotTaken::Key { topic: topic.name().clone(), source })
    }

    /// The record to send to `topic`. One without a key goes anywhere.
    pub(crate) fn encode(
        self,
        topic: &dyn AnyTopic,
        partitions: u32,
        timestamp: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Outgoing, NotTaken> {
        let key = self.key_bytes(topic)?;
        let value = topic.value_from_json(self.value);
        let value = value.map_err(|source| NotTaken::Value { topic: topic.name().clone(), source })?;
        let partition = match &key {
            Some(key) => topic.partitioner().partition(key, partitions),
            None => Partition::new((entropy.next() % u64::from(partitions)) as u32),
        };
        Ok(Outgoing { topic: topic.name().clone(), partition, timestamp, key, value: Some(value), headers: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Json, TopicKey};
    use crate::topic::TopicDeclaration;

    fn value<V: serde::Serialize + serde::de::DeserializeOwned + 'static>(text: &str) -> Result<Value, NotTaken> {
        let topic = TopicDeclaration::<(), V>::new("numbers", Json);
        WrittenRecord::from_words(&topic, None, text).map(|record| record.value)
    }

    fn key<K: TopicKey>(text: Option<&str>) -> Result<Option<Vec<u8>>, CodecError> {
        TopicDeclaration::<K, u8>::new("numbers", Json).key_from_text(text)
    }

    #[test]
    fn text_need_not_be_quoted_where_the_topic_takes_text() {
        assert_eq!(value::<String>("hello"), Ok("hello".into()));
        assert_eq!(value::<String>("\"hello\""), Ok("hello".into()));
        assert_eq!(value::<String>("5"), Ok("5".into()));
        assert_eq!(value::<u64>("5"), Ok(5.into()));
        assert!(value::<u64>("five").unwrap_err().to_string().contains("the value is not JSON"));
        assert!(value::<u64>("-5").unwrap_err().to_string().contains("topic `numbers`"));
    }

    #[test]
    fn keys_are_written_as_their_type_writes_them() {
        assert_eq!(key::<u64>(Some("007")), Ok(Some(b"7".to_vec())));
        assert_eq!(key::<Option<u64>>(None), Ok(None));
        assert!(key::<u64>(Some("x")).is_err() && key::<u64>(None).is_err() && key::<()>(Some("x")).is_err());
    }
}
