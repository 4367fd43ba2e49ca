//! Records that retention removed before the program read them.

use marlowe_broker::Unread;

use crate::error::RunError;
use crate::metrics::Metrics;
use crate::shard::Expired;
use crate::topology::{TopicRole, Topology};

impl Expired {
    /// Checks whether the program goes on without the records.
    ///
    /// # Errors
    /// When the program does not go on without them. This is the default.
    pub(crate) fn check(&self, topology: &Topology) -> Result<(), RunError> {
        let Self { source, from, to } = self;
        let topic = topology.graph.topics.iter().find(|topic| topic.name == source.topic);
        let fix = match topic.map(|topic| (topic.role, topic.unread)) {
            Some((TopicRole::Declared, Unread::Expire)) => return Ok(()),
            Some((TopicRole::Declared, Unread::Keep)) => {
                "raise the topic's retention, so that it is longer than the app can be behind; to go on without these \
                 records, declare the topic `.skip_expired()`, or run `reset` to start again with the records that \
                 are left"
            }
            _ => {
                "Marlowe keeps this topic, and deletes only records that were read: let nothing else delete its \
                 records (on Kafka, set its retention.ms and retention.bytes to -1), and run `reset`, because the \
                 tables lack the changes of these records"
            }
        };
        Err(RunError::Expired { partition: source.clone(), from: *from, to: *to, fix })
    }

    /// Logs and counts the records that the program goes on without.
    pub(crate) fn pass_over(&self, metrics: &Metrics) {
        let Self { source, from, to } = self;
        let count = from.distance_to(*to);
        tracing::warn!(
            "{source}: {count} records, from offset {from} on, were removed before they were read, and are skipped; \
             the app continues at offset {to}"
        );
        metrics.expired(&source.topic).increment(count);
    }
}

/// Creates a counter of expired records for each topic that the program reads.
pub(crate) fn count_expired(topology: &Topology, metrics: &Metrics) {
    for reads in topology.reads() {
        metrics.expired(&reads.topic).increment(0);
    }
}
