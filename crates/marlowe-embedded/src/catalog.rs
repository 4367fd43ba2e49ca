//! The topics of the broker, by name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{BrokerError, TopicConfig, TopicPartition};
use parking_lot::RwLock;

use crate::partition::Partition;
use crate::topic::Topic;

/// All topics of the broker.
pub(crate) struct Catalog {
    inner: RwLock<CatalogState>,
}

struct CatalogState {
    topics: BTreeMap<Arc<str>, Arc<Topic>>,
    next_partition: u32,
}

impl Catalog {
    pub(crate) fn new(topics: Vec<Arc<Topic>>, next_partition: u32) -> Self {
        let topics = topics.into_iter().map(|topic| (topic.description.name.clone(), topic)).collect();
        Self { inner: RwLock::new(CatalogState { topics, next_partition }) }
    }

    /// Creates a topic from `config`, with partition ids that no other topic has or had. It is not
    /// in the catalog yet.
    pub(crate) fn draft(&self, config: &TopicConfig, default_retention: Duration) -> Result<Arc<Topic>, BrokerError> {
        let mut inner = self.inner.write();
        if inner.topics.contains_key(&config.name) {
            return Err(BrokerError::TopicExists { topic: config.name.clone() });
        }
        let first = inner.next_partition;
        inner.next_partition = first.checked_add(config.partitions).ok_or_else(|| BrokerError::InvalidTopic {
            topic: config.name.clone(),
            reason: "the broker has no partition ids left: start with a new folder".to_owned(),
        })?;
        Ok(Arc::new(Topic::new(config, default_retention, first, &[])))
    }

    pub(crate) fn insert(&self, topic: Arc<Topic>) {
        self.inner.write().topics.insert(topic.description.name.clone(), topic);
    }

    pub(crate) fn remove(&self, topic: &str) {
        self.inner.write().topics.remove(topic);
    }

    pub(crate) fn find(&self, topic: &str) -> Option<Arc<Topic>> {
        self.inner.read().topics.get(topic).cloned()
    }

    pub(crate) fn topic(&self, topic: &str) -> Result<Arc<Topic>, BrokerError> {
        self.find(topic).ok_or_else(|| BrokerError::UnknownTopic { topic: topic.into() })
    }

    pub(crate) fn partition(&self, place: &TopicPartition) -> Result<Arc<Partition>, BrokerError> {
        self.topic(&place.topic)?.partition(place.partition).cloned()
    }

    /// Returns all topics, sorted by name.
    pub(crate) fn all(&self) -> Vec<Arc<Topic>> {
        self.inner.read().topics.values().cloned().collect()
    }

    /// Returns the first partition id that was never used.
    pub(crate) fn next_partition(&self) -> u32 {
        self.inner.read().next_partition
    }
}
