use std::sync::Arc;

use marlowe_broker::{Partition, Partitioner};

use super::declaration::Keyspace;
use super::{TableDeclaration, TableIdentity};
use crate::codec::{CodecError, Key};

/// A table without its types: what restore, the web and the command line need of it.
pub(crate) trait AnyTable: Send + Sync {
    fn identity(&self) -> &TableIdentity;

    /// How many partitions it was declared to have, if that was said.
    fn declared_partitions(&self) -> Option<u32>;

    fn keyspace(&self) -> Keyspace;

    fn partitioner(&self) -> Partitioner;

    /// Whether a store's keys are the topics' keys.
    fn same_key_bytes(&self) -> bool;

    /// The store's form of a topic's key.
    fn ordered_key(&self, topic_key: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// The topic's form of a store's key.
    fn topic_key(&self, ordered: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// A store's key, for people.
    fn key_json(&self, ordered: &[u8]) -> Result<serde_json::Value, CodecError>;

    /// A value, for people.
    fn value_json(&self, bytes: &[u8]) -> Result<serde_json::Value, CodecError>;

    /// The bytes of a value from people.
    fn value_from_json(&self, json: serde_json::Value) -> Result<Vec<u8>, CodecError>;

    /// The home of a topic's key.
    fn home(&self, topic_key: &[u8], partitions: u32) -> Partition {
        self.partitioner().partition(topic_key, partitions)
    }

    fn name(&self) -> &Arc<str> {
        &self.identity().name
    }
}

impl<K: Key, V: 'static> AnyTable for TableDeclaration<K, V> {
    fn identity(&self) -> &TableIdentity {
        &self.identity
    }

    fn declared_partitions(&self) -> Option<u32> {
        self.settings.read().partitions
    }

    fn keyspace(&self) -> Keyspace {
        self.settings.read().keyspace
    }

    fn partitioner(&self) -> Partitioner {
        self.settings.read().partitioner
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

    fn value_json(&self, bytes: &[u8]) -> Result<serde_json::Value, CodecError> {
        self.settings().codec.to_json(bytes)
    }

    fn value_from_json(&self, json: serde_json::Value) -> Result<Vec<u8>, CodecError> {
        let mut bytes = Vec::new();
        self.settings().codec.encode_json(json, &mut bytes)?;
        Ok(bytes)
    }
}
