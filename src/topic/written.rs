//! Records as people write them, on the command line or over the web.

use std::collections::BTreeMap;
use std::sync::Arc;

use marlowe_broker::{Entropy, Partition, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::declaration::AnyTopic;
use super::sender::check_place;
use crate::codec::CodecError;
use crate::outbound::Outgoing;
use crate::topology::Topology;

/// A record as people write it, on the command line or over the web.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(try_from = "WireRecord", into = "WireRecord")]
pub(crate) struct WrittenRecord {
    /// The key in topic form: text as it is, a number in decimal digits, several parts as a JSON
    /// array.
    pub(crate) key: Option<String>,
    pub(crate) value: WrittenValue,
    pub(crate) place: WrittenPlace,
}

/// The value of a record, or the mark that it has none.
#[derive(Clone, Debug)]
pub(crate) enum WrittenValue {
    Json(Box<RawValue>),
    Tombstone,
}

/// The parts of a record that people may leave out.
#[derive(Clone, Debug, Default)]
pub(crate) struct WrittenPlace {
    /// In milliseconds since 1970. `None` is the present time.
    pub(crate) timestamp: Option<i64>,
    /// `None` is the partition of the record's key.
    pub(crate) partition: Option<u32>,
    /// Headers by name. The value is text, or `None` for a header without a value.
    pub(crate) headers: BTreeMap<String, Option<String>>,
}

/// The JSON form in which a record travels.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WireRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    value: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    tombstone: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timestamp: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partition: Option<u32>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, Option<String>>,
}

/// Reads a value that is present. `null` counts as a value.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(from).map(Some)
}

impl TryFrom<WireRecord> for WrittenRecord {
    type Error = &'static str;

    fn try_from(wire: WireRecord) -> Result<Self, Self::Error> {
        let WireRecord { key, value, tombstone, timestamp, partition, headers } = wire;
        let value = match (value, tombstone) {
            (Some(json), false) => WrittenValue::Json(json),
            (None, true) => WrittenValue::Tombstone,
            (None, false) => {
                return Err("missing field `value`; for a record without a value, write \"tombstone\": true");
            }
            (Some(_), true) => return Err("it has both `value` and `tombstone`; leave one of the two out"),
        };
        Ok(Self { key, value, place: WrittenPlace { timestamp, partition, headers } })
    }
}

impl From<WrittenRecord> for WireRecord {
    fn from(record: WrittenRecord) -> Self {
        let WrittenRecord { key, value, place: WrittenPlace { timestamp, partition, headers } } = record;
        let (value, tombstone) = match value {
            WrittenValue::Json(json) => (Some(json), false),
            WrittenValue::Tombstone => (None, true),
        };
        Self { key, value, tombstone, timestamp, partition, headers }
    }
}

/// The error of a record that its topic cannot take. It names the part at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotTaken {
    #[error("topic `{topic}`: the key is {source}")]
    Key { topic: Arc<str>, source: CodecError },
    #[error("topic `{topic}`: the value is {source}")]
    Value { topic: Arc<str>, source: CodecError },
    #[error("{0}")]
    Place(String),
}

impl WrittenRecord {
    /// Makes a record from words on a command line. The value is JSON, or text without quotes if
    /// the topic accepts it as text; `None` makes a tombstone.
    pub(crate) fn from_words(
        topic: &dyn AnyTopic,
        key: Option<&str>,
        value: Option<&str>,
        place: WrittenPlace,
    ) -> Result<Self, NotTaken> {
        let value = match value {
            Some(value) => WrittenValue::Json(json_of(topic, value)?),
            None => WrittenValue::Tombstone,
        };
        let record = Self { key: key.map(str::to_owned), value, place };
        record.key_bytes(topic)?;
        Ok(record)
    }

    fn key_bytes(&self, topic: &dyn AnyTopic) -> Result<Option<Vec<u8>>, NotTaken> {
        let key = topic.key_from_text(self.key.as_deref());
        key.map_err(|source| NotTaken::Key { topic: topic.name().clone(), source })
    }

    /// Encodes the record for `topic`. A record without a key and partition goes to a random
    /// partition.
    pub(crate) fn encode(
        self,
        topic: &dyn AnyTopic,
        topology: &Topology,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Outgoing, NotTaken> {
        let name = topic.name();
        let partitions = topology.partitions.get(name).copied().unwrap_or(topology.graph.default_partitions);
        let key = self.key_bytes(topic)?;
        let value = match &self.value {
            WrittenValue::Json(json) => Some(topic.value_from_json(json.get())),
            WrittenValue::Tombstone => None,
        };
        let value = value.transpose().map_err(|source| NotTaken::Value { topic: name.clone(), source })?;
        let WrittenPlace { timestamp, partition, headers } = self.place;
        let partition = match (partition, &key) {
            (Some(partition), _) => Partition::new(partition),
            (None, Some(key)) => topic.partitioner().partition(key, partitions),
            (None, None) => Partition::new((entropy.next() % u64::from(partitions)) as u32),
        };
        check_place(name, partitions, topology.is_compacted(name), partition, key.as_deref())
            .map_err(|error| NotTaken::Place(error.to_string()))?;
        Ok(Outgoing {
            topic: name.clone(),
            partition,
            timestamp: timestamp.map_or(now, Timestamp::from_millis),
            key,
            value,
            headers: headers.into_iter().map(|(name, value)| (name, value.map(String::into_bytes))).collect(),
        })
    }
}

/// Returns the JSON that a word on a command line means to `topic`.
fn json_of(topic: &dyn AnyTopic, word: &str) -> Result<Box<RawValue>, NotTaken> {
    let refused = |source| NotTaken::Value { topic: topic.name().clone(), source };
    let not_json = |error: serde_json::Error| refused(CodecError::new("JSON", error).with_input(word.as_bytes()));
    let text = serde_json::value::to_raw_value(word).map_err(not_json)?;
    let takes_text = topic.value_from_json(text.get()).is_ok();
    match serde_json::from_str::<Box<RawValue>>(word) {
        Ok(json) => match topic.value_from_json(json.get()) {
            Ok(_) => Ok(json),
            // A word that is valid JSON, such as a number, may still be meant as text.
            Err(_) if takes_text => Ok(text),
            Err(source) => Err(refused(source)),
        },
        Err(_) if takes_text => Ok(text),
        Err(error) => Err(not_json(error)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::codec::{Json, TopicKey};
    use crate::topic::declaration::TopicDeclaration;

    fn value<V: Serialize + serde::de::DeserializeOwned + 'static>(text: &str) -> Result<Value, NotTaken> {
        let topic = TopicDeclaration::<(), V>::new("numbers", Json);
        match WrittenRecord::from_words(&topic, None, Some(text), WrittenPlace::default())?.value {
            WrittenValue::Json(json) => Ok(serde_json::from_str(json.get()).unwrap()),
            WrittenValue::Tombstone => panic!("no value"),
        }
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

    #[test]
    fn n1_6_a_record_has_a_value_or_is_a_tombstone() {
        let read = |json: &str| serde_json::from_str::<WrittenRecord>(json).map_err(|error| error.to_string());
        assert!(
            matches!(read(r#"{"key":"k","value":null}"#).unwrap().value, WrittenValue::Json(json) if json.get() == "null")
        );
        let gone =
            read(r#"{"key":"k","tombstone":true,"timestamp":5,"partition":1,"headers":{"a":"b","c":null}}"#).unwrap();
        assert!(matches!(gone.value, WrittenValue::Tombstone));
        let again = read(&serde_json::to_string(&gone).unwrap()).unwrap();
        assert_eq!((again.place.timestamp, again.place.partition), (Some(5), Some(1)));
        assert_eq!(again.place.headers["c"], None);
        assert!(read(r#"{"key":"k"}"#).unwrap_err().contains("tombstone"));
        assert!(read(r#"{"key":"k","value":1,"tombstone":true}"#).is_err() && read(r#"{"value":1,"vale":1}"#).is_err());
    }

    #[test]
    fn n1_3_large_integers_and_short_floats_are_sent_as_written() {
        fn sent<V: Serialize + serde::de::DeserializeOwned + 'static>(text: &str) -> String {
            let topic = TopicDeclaration::<(), V>::new("numbers", Json);
            let record = WrittenRecord::from_words(&topic, None, Some(text), WrittenPlace::default()).unwrap();
            // The record as a worker receives it over the web.
            let record: WrittenRecord = serde_json::from_str(&serde_json::to_string(&record).unwrap()).unwrap();
            let WrittenValue::Json(json) = record.value else { panic!("no value") };
            String::from_utf8(topic.value_from_json(json.get()).unwrap()).unwrap()
        }
        assert_eq!(sent::<u128>("340282366920938463463374607431768211455"), u128::MAX.to_string());
        assert_eq!(sent::<i128>("-170141183460469231731687303715884105728"), i128::MIN.to_string());
        assert_eq!(sent::<u64>("9007199254740993"), "9007199254740993");
        assert_eq!(sent::<f32>("0.1"), "0.1");
        assert_eq!(sent::<Vec<f64>>("[1.5777777777770001]"), "[1.5777777777770001]");
    }
}
