//! A topic with its partitions, and the rules for creating one.

use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{BrokerError, Partition as Number, TopicConfig, TopicDescription, TopicPartition};

use crate::partition::{Extent, Partition};

/// A topic and its partitions.
pub(crate) struct Topic {
    pub(crate) description: TopicDescription,
    /// The topic's own setting for how long it keeps tombstones. With `None`, the broker's setting
    /// applies.
    pub(crate) own_tombstone_retention: Option<Duration>,
    pub(crate) partitions: Vec<Arc<Partition>>,
}

impl Topic {
    /// Creates a topic whose partitions have the ids from `first` on. A partition without an entry
    /// in `extents` is empty.
    pub(crate) fn new(config: &TopicConfig, default_retention: Duration, first: u32, extents: &[Extent]) -> Self {
        let description = TopicDescription {
            name: config.name.clone(),
            partitions: config.partitions,
            cleanup: config.cleanup,
            tombstone_retention: config.tombstone_retention.unwrap_or(default_retention),
        };
        let partitions = Number::all(description.partitions)
            .map(|number| {
                let place = TopicPartition::new(description.name.clone(), number);
                let extent = extents.get(number.index()).copied().unwrap_or_default();
                let TopicDescription { cleanup, tombstone_retention, .. } = description;
                Arc::new(Partition::new(first + number.get(), place, cleanup, tombstone_retention, extent))
            })
            .collect();
        Self { description, own_tombstone_retention: config.tombstone_retention, partitions }
    }

    pub(crate) fn partition(&self, number: Number) -> Result<&Arc<Partition>, BrokerError> {
        self.partitions
            .get(number.index())
            .ok_or_else(|| BrokerError::UnknownPartition { topic: self.description.name.clone(), partition: number })
    }
}

/// Refuses a topic that Kafka would refuse.
pub(crate) fn validate(config: &TopicConfig) -> Result<(), BrokerError> {
    const LONGEST: usize = 249;
    const MOST_PARTITIONS: u32 = 100_000;
    let name = &*config.name;
    let reason = if name.is_empty() {
        "its name is empty".to_owned()
    } else if name == "." || name == ".." {
        "`.` and `..` cannot be names: choose another name".to_owned()
    } else if name.len() > LONGEST {
        format!("its name has {} characters: use at most {LONGEST}", name.len())
    } else if let Some(wrong) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))) {
        format!("its name has {wrong:?} in it: use letters, digits, `.`, `_` and `-`")
    } else if config.partitions == 0 {
        "it has no partitions: give it at least 1".to_owned()
    } else if config.partitions > MOST_PARTITIONS {
        format!("it has {} partitions: give it at most {MOST_PARTITIONS}", config.partitions)
    } else {
        return Ok(());
    };
    Err(BrokerError::InvalidTopic { topic: config.name.clone(), reason })
}
