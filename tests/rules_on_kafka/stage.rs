//! A room on a Kafka cluster that all tests share.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kafka_cluster::{Size, shared};
use marlowe::{Config, KafkaBroker, KafkaConfig};
use marlowe_broker::SharedBroker;

use crate::room::Room;

/// How long anything may take. Nothing needs a tenth of it; it is there so that nothing hangs.
pub(crate) const LONGEST: Duration = Duration::from_secs(120);

/// How long a member may be silent in tests that crash one.
pub(crate) const SESSION: Duration = Duration::from_millis(1500);

/// The same in tests in which nobody is to be taken for dead. Members say that they live ten times in it, and hear then that
/// others came.
pub(crate) const CALM: Duration = Duration::from_secs(6);

/// A time in which a worker that starts, after others that crashed, gets to work, or not.
pub(crate) const MOMENT: Duration = Duration::from_secs(4);

/// How many workers crash, one after the other, where chance says when.
pub(crate) const CRASHES: u64 = 8;

/// How many of the workers that start together may lead, one after the other, before they have shared out what there is.
pub(crate) const LEADERS: RangeInclusive<u32> = 1..=3;

/// A broker and nothing on it.
pub(crate) async fn broker() -> SharedBroker {
    let brokers = shared(Size::One).unwrap_or_else(|error| panic!("{error}"));
    // What a crashed worker left open holds up those who read on.
    let config = KafkaConfig::new(brokers).set("transaction.timeout.ms", "4000");
    let cluster = KafkaBroker::connect(config).await.unwrap_or_else(|error| panic!("{error}"));
    Arc::new(Room::new(cluster))
}

/// Settings under which what a worker keeps between restarts is in a folder.
pub(crate) fn in_folder(config: Config, folder: &Path) -> Config {
    config.data_dir(folder)
}
