//! What every broker must do, on Apache Kafka.

use std::time::Duration;

use marlowe_broker::conformance::Setting;
use marlowe_kafka::{KafkaBroker, KafkaConfig};

/// Long enough for a slow machine to keep its sessions, and short enough to wait for their end.
const SESSION: Duration = Duration::from_secs(3);

mod one_broker {
    use super::*;

    async fn setting() -> Setting {
        let broker =
            KafkaBroker::connect(KafkaConfig::new(std::env::var("MARLOWE_TEST_KAFKA_1").unwrap())).await.unwrap();
        Setting::new(broker).session_timeout(SESSION).over_limit(2_000_000)
    }

    marlowe_broker::conformance_tests!(setting());
}
