//! The stage on Kafka: a room on a cluster that all tests share.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kafka_cluster::{Size, shared};
use marlowe::Config;
use marlowe::kafka::{KafkaBroker, KafkaConfig};
use marlowe_broker::SharedBroker;

use crate::room::Room;

/// The session timeout in tests that crash a member.
pub(crate) const SESSION: Duration = Duration::from_millis(1500);

/// The session timeout in tests in which no member may be expelled. A member sends ten heartbeats
/// in this time, and learns from their answers that others have joined.
pub(crate) const CALM: Duration = Duration::from_secs(6);

/// A time in which a worker that starts after crashes may or may not get to work.
pub(crate) const MOMENT: Duration = Duration::from_secs(4);

/// The number of workers that crash one after another, at random times.
pub(crate) const CRASHES: u64 = 8;

/// The number of workers that may lead, one after another, until workers that start together have
/// shared out the shards.
pub(crate) const LEADERS: RangeInclusive<u32> = 1..=3;

/// Returns an empty broker.
pub(crate) async fn broker() -> SharedBroker {
    let brokers = shared(Size::One).unwrap_or_else(|error| panic!("{error}"));
    // A transaction that a crashed worker left open holds up readers until it times out.
    let config = KafkaConfig::new(brokers).set("transaction.timeout.ms", "4000");
    let cluster = KafkaBroker::connect(config).await.unwrap_or_else(|error| panic!("{error}"));
    Arc::new(Room::new(cluster))
}

/// Returns settings that keep a worker's state between restarts in `folder`.
pub(crate) fn in_folder(config: Config, folder: &Path) -> Config {
    config.data_dir(folder)
}
