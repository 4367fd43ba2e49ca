//! The trimming of inbox and repartition topics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{BrokerError, Offset, SharedBroker, TopicPartition};

use super::status::WorkerStatus;
use crate::topology::{TopicRole, Topology};
use crate::watch;

/// The task that deletes what was read from a worker's inbox and repartition topics, so that they
/// do not grow forever.
///
/// A record in these topics is read only by agents of the program, once by each. When all of them
/// have committed it, nothing asks for it any more. Positions only grow. So it does no harm if the
/// worker has lost the shard meanwhile, or trims twice.
pub(crate) struct Trimmer {
    pub(crate) topology: Arc<Topology>,
    pub(crate) broker: SharedBroker,
    pub(crate) status: watch::Receiver<WorkerStatus>,
    pub(crate) interval: Duration,
}

impl Trimmer {
    /// Trims the topics of the worker's shards every `interval`, forever.
    pub(crate) async fn run(self) {
        let mut trimmed = BTreeMap::new();
        loop {
            tokio::time::sleep(self.interval).await;
            if let Err(error) = self.trim(&mut trimmed).await {
                tracing::warn!(
                    "inbox and repartition topics are not trimmed; trying again in {:?}: {error}",
                    self.interval
                );
            }
        }
    }

    /// Trims once. `trimmed` notes where the partitions begin since the last time.
    async fn trim(&self, trimmed: &mut BTreeMap<TopicPartition, Offset>) -> Result<(), BrokerError> {
        let places = self.places();
        if places.is_empty() {
            return Ok(());
        }
        // The group's position is the place of the agent that is furthest behind.
        let committed = self.broker.committed(&self.topology.graph.app, &places).await?;
        let moved = places.into_iter().zip(committed).filter_map(|(place, committed)| {
            let offset = committed?.offset;
            (offset > trimmed.get(&place).copied().unwrap_or_default()).then_some((place, offset))
        });
        let before: Vec<(TopicPartition, Offset)> = moved.collect();
        if !before.is_empty() {
            self.broker.delete_records(&before).await?;
            trimmed.extend(before);
        }
        Ok(())
    }

    /// Returns the partitions of inbox and repartition topics that the worker's open shards read.
    fn places(&self) -> Vec<TopicPartition> {
        let shards = self.status.borrow().shards.clone();
        let graph = &self.topology.graph;
        let is_trimmed = |name: &Arc<str>| {
            let role = graph.topics.iter().find(|topic| topic.name == *name).map(|topic| topic.role);
            matches!(role, Some(TopicRole::Inbox | TopicRole::Repartition))
        };
        let mut places = Vec::new();
        for shard in shards {
            let topics = self.topology.groups[shard.group].topics.iter().filter(|topic| is_trimmed(topic));
            places.extend(topics.map(|topic| TopicPartition { topic: topic.clone(), partition: shard.partition }));
        }
        places
    }
}
