//! Marlowe on Apache Kafka, through librdkafka.

mod broker;
mod config;

pub use broker::KafkaBroker;
pub use config::{KafkaConfig, KafkaConfigError, KafkaSetting};
