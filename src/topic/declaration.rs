//! A topic as declared, and a topic without its type parameters.

use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{Cleanup, Partitioner, Unread};
use parking_lot::RwLock;

use crate::codec::{Codec, CodecError, TopicKey};

/// A topic as declared. It lives as long as the process, because the program that declares it does.
pub(crate) struct TopicDeclaration<K, V> {
    pub(crate) name: Arc<str>,
    pub(crate) settings: RwLock<DeclaredTopicSettings<V>>,
    key: std::marker::PhantomData<fn() -> K>,
}

pub(crate) struct DeclaredTopicSettings<V> {
    pub(crate) codec: Arc<dyn Codec<V>>,
    pub(crate) partitioner: Partitioner,
    pub(crate) partitions: Option<u32>,
    pub(crate) cleanup: Cleanup,
    /// The treatment of records that retention would remove before this program has read them.
    pub(crate) unread: Unread,
    /// True if records are sent in the commit's transaction under each guarantee.
    pub(crate) transactional: bool,
}

impl<V> Clone for DeclaredTopicSettings<V> {
    fn clone(&self) -> Self {
        Self {
            codec: self.codec.clone(),
            partitioner: self.partitioner,
            partitions: self.partitions,
            cleanup: self.cleanup,
            unread: self.unread,
            transactional: self.transactional,
        }
    }
}

/// A topic without its type parameters, as the start of a worker and the command line need it.
pub(crate) trait AnyTopic: Send + Sync {
    fn name(&self) -> &Arc<str>;
    fn partitions(&self) -> Option<u32>;
    fn cleanup(&self) -> Cleanup;
    /// Returns the treatment of records that retention would remove before this program has read
    /// them.
    fn unread(&self) -> Unread;
    /// Returns true if records are sent in the commit's transaction under each guarantee.
    fn transactional(&self) -> bool;
    fn partitioner(&self) -> Partitioner;
    /// Returns the bytes of a key that people wrote, in the form that the topic's key type has.
    fn key_from_text(&self, key: Option<&str>) -> Result<Option<Vec<u8>>, CodecError>;
    /// Returns the bytes of a value that people wrote as JSON.
    fn value_from_json(&self, json: &str) -> Result<Vec<u8>, CodecError>;
    fn codec(&self) -> &'static str;
}

impl<K, V> TopicDeclaration<K, V> {
    pub(crate) fn new(name: &str, codec: impl Codec<V>) -> Self {
        Self {
            name: name.into(),
            settings: RwLock::new(DeclaredTopicSettings {
                codec: Arc::new(codec),
                partitioner: Partitioner::default(),
                partitions: None,
                cleanup: Cleanup::Delete { retention: None },
                unread: Unread::Keep,
                transactional: false,
            }),
            key: std::marker::PhantomData,
        }
    }

    pub(crate) fn settings(&self) -> DeclaredTopicSettings<V> {
        self.settings.read().clone()
    }

    pub(crate) fn retain(&self, retention: Duration) {
        let mut settings = self.settings.write();
        settings.cleanup = match settings.cleanup {
            Cleanup::Delete { .. } => Cleanup::Delete { retention: Some(retention) },
            Cleanup::Compact | Cleanup::CompactDelete { .. } => Cleanup::CompactDelete { retention },
        };
    }

    pub(crate) fn compact(&self) {
        let mut settings = self.settings.write();
        settings.cleanup = match settings.cleanup {
            Cleanup::Delete { retention: Some(retention) } | Cleanup::CompactDelete { retention } => {
                Cleanup::CompactDelete { retention }
            }
            Cleanup::Delete { retention: None } | Cleanup::Compact => Cleanup::Compact,
        };
    }
}

impl<K: TopicKey, V: 'static> AnyTopic for TopicDeclaration<K, V> {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn partitions(&self) -> Option<u32> {
        self.settings.read().partitions
    }

    fn cleanup(&self) -> Cleanup {
        self.settings.read().cleanup
    }

    fn unread(&self) -> Unread {
        self.settings.read().unread
    }

    fn transactional(&self) -> bool {
        self.settings.read().transactional
    }

    fn partitioner(&self) -> Partitioner {
        self.settings.read().partitioner
    }

    fn key_from_text(&self, key: Option<&str>) -> Result<Option<Vec<u8>>, CodecError> {
        let mut bytes = Vec::new();
        let has_key = K::decode_key(key.map(str::as_bytes))?.encode_key(&mut bytes);
        match key {
            Some(key) if !has_key => {
                Err(CodecError::new("a record of this topic", "its records have no keys").with_input(key.as_bytes()))
            }
            _ => Ok(has_key.then_some(bytes)),
        }
    }

    fn value_from_json(&self, json: &str) -> Result<Vec<u8>, CodecError> {
        let mut bytes = Vec::new();
        self.settings().codec.encode_json_text(json, &mut bytes)?;
        Ok(bytes)
    }

    fn codec(&self) -> &'static str {
        self.settings.read().codec.name()
    }
}
