//! The settings of the bare loop's consumers, and the number of partitions of its input.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::PeerResult;
use crate::arguments::Arguments;

/// The longest time to wait for an answer from Kafka.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Returns the settings of a consumer whose partitions are assigned by hand, and which commits by
/// hand.
pub(crate) fn consumer(arguments: &Arguments) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &arguments.brokers)
        .set("group.id", &arguments.group)
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        // The time until it fetches again after its queue was full.
        .set("fetch.queue.backoff.ms", "2");
    config
}

/// Returns the number of partitions of the input.
pub(crate) fn partitions(arguments: &Arguments) -> PeerResult<i32> {
    let consumer: BaseConsumer = consumer(arguments).create()?;
    let metadata = consumer.fetch_metadata(Some(&arguments.events), PATIENCE)?;
    match metadata.topics().first().map(|topic| topic.partitions().len()) {
        Some(partitions) if partitions > 0 => Ok(partitions as i32),
        _ => Err(format!("there is no topic `{}`: create it first", arguments.events).into()),
    }
}
