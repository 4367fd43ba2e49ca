use marlowe_broker::{BrokerError, SharedBroker};

use crate::KafkaConfig;

/// A Kafka cluster.
#[derive(Debug)]
pub struct KafkaBroker {
    config: KafkaConfig,
}

impl KafkaBroker {
    /// Reaches the cluster; waits for it up to the settings' [patience](KafkaConfig::patience).
    ///
    /// # Errors
    /// When it cannot be reached, or refuses the settings.
    pub async fn connect(config: KafkaConfig) -> Result<SharedBroker, BrokerError> {
        let broker = Self { config };
        Err(BrokerError::Unavailable { location: broker.config.brokers, reason: "not built yet".into() })
    }
}
