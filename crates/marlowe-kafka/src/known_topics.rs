//! The topics that a cluster is known to have.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

/// The topics that were seen, and the number of partitions of each.
#[derive(Default)]
pub(crate) struct KnownTopics(RwLock<HashMap<Arc<str>, u32>>);

impl KnownTopics {
    pub(crate) fn partitions(&self, topic: &str) -> Option<u32> {
        self.0.read().get(topic).copied()
    }

    pub(crate) fn saw(&self, topic: &str, partitions: u32) {
        self.0.write().insert(topic.into(), partitions);
    }

    pub(crate) fn forget(&self, topic: &str) {
        self.0.write().remove(topic);
    }
}
