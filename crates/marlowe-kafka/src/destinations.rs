//! The partitions that a producer sends to, and their numbers.

use std::collections::HashMap;

use marlowe_broker::{BrokerError, Destination, TopicPartition};

use crate::cluster::Cluster;

/// The partitions that a producer sends to. Each has a small number, its [`Destination`].
#[derive(Clone, Default)]
pub(crate) struct Destinations {
    partitions: Vec<TopicPartition>,
    names: HashMap<TopicPartition, Destination>,
}

impl Destinations {
    pub(crate) fn of(&mut self, cluster: &Cluster, partition: &TopicPartition) -> Result<Destination, BrokerError> {
        if let Some(known) = self.names.get(partition) {
            return Ok(*known);
        }
        cluster.check_partition(partition)?;
        let destination = Destination(self.partitions.len() as u32);
        self.partitions.push(partition.clone());
        self.names.insert(partition.clone(), destination);
        Ok(destination)
    }

    pub(crate) fn partition(&self, destination: usize) -> &TopicPartition {
        &self.partitions[destination]
    }

    pub(crate) fn all(&self) -> &[TopicPartition] {
        &self.partitions
    }
}
