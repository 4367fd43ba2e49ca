//! The changelog of the bare loop's table: creating it, and restoring the rows from it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::PeerResult;
use crate::arguments::{Arguments, Job};
use crate::client;
use crate::source::{Incoming, Source};
use crate::table::Table;

/// Creates the changelog, unless it exists or the job has none.
pub(crate) fn create(arguments: &Arguments, partitions: i32) -> PeerResult<()> {
    if arguments.job == Job::Pass {
        return Ok(());
    }
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &arguments.brokers).create()?;
    let name = arguments.output();
    let topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(-1)).set("cleanup.policy", "compact");
    match block_on(admin.create_topics([&topic], &AdminOptions::new()))?.into_iter().next() {
        Some(Err((_, error))) if error != RDKafkaErrorCode::TopicAlreadyExists => {
            Err(format!("cannot create the topic `{name}`: {error}").into())
        }
        _ => Ok(()),
    }
}

/// Reads the rows of the partitions in `tables` from the changelog.
pub(crate) fn restore(arguments: &Arguments, tables: &mut BTreeMap<i32, Table>) -> PeerResult<()> {
    let name = arguments.output();
    // A fetch that returns no records shows the end of a partition. The broker should answer it
    // soon.
    let mut config = client::consumer(arguments);
    let consumer: BaseConsumer = config.set("enable.partition.eof", "true").set("fetch.wait.max.ms", "10").create()?;
    let mut partitions = TopicPartitionList::new();
    for partition in tables.keys() {
        partitions.add_partition_offset(&name, *partition, Offset::Beginning)?;
    }
    let mut source = Source::open(Arc::new(consumer), &[&name], &partitions)?;
    let mut left: BTreeSet<i32> = tables.keys().copied().collect();
    while !left.is_empty() {
        source.take(|incoming| {
            match incoming {
                Incoming::End(partition) => drop(left.remove(&partition)),
                Incoming::Message(message) => {
                    let count = serde_json::from_slice(message.value)?;
                    let key = String::from_utf8(message.key.to_vec())?;
                    if let Some(table) = tables.get_mut(&message.partition) {
                        table.restore(key, count);
                    }
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}
