//! The tests that every broker must pass, on Kafka clusters of one broker and of three.

use std::time::Duration;

use kafka_cluster::{Size, shared};
use marlowe_broker::conformance::Setting;
use marlowe_kafka::{KafkaBroker, KafkaConfig};

/// The session time-out. It is long enough for a slow machine to keep its sessions, and short
/// enough to wait until they expire.
const SESSION: Duration = Duration::from_secs(4);

async fn setting(size: Size) -> Setting {
    let brokers = shared(size).unwrap_or_else(|error| panic!("{error}"));
    let broker = KafkaBroker::connect(KafkaConfig::new(brokers)).await.unwrap();
    Setting::new(broker).session_timeout(SESSION).patience(Duration::from_secs(90)).over_limit(2_000_000)
}

mod one_broker {
    use super::*;

    marlowe_broker::conformance_tests!(setting(Size::One));
}

mod three_brokers {
    use super::*;

    marlowe_broker::conformance_tests!(setting(Size::Three));
}
