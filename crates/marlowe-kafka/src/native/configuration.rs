use marlowe_broker::BrokerError;
use rdkafka::ClientConfig;
use rdkafka::config::NativeClientConfig;

use crate::KafkaConfig;

/// What a client is made with: Marlowe's settings for its kind, the user's over them, and over those what its guarantees
/// rest on.
#[derive(Clone)]
pub(crate) struct Configuration {
    client: ClientConfig,
    config: KafkaConfig,
}

/// What concerns groups, and so members alone.
const OF_MEMBERS: [&str; 6] = [
    "group.instance.id",
    "group.protocol",
    "group.remote.assignor",
    "heartbeat.interval.ms",
    "partition.assignment.strategy",
    "session.timeout.ms",
];

// A connection that broke is tried again soon, and not too often: whole clusters restart in seconds. What is known of topics
// is asked for anew often: librdkafka may not learn otherwise that a partition whose leader was gone has one again
// (https://github.com/confluentinc/librdkafka/issues/5430). Idle connections are closed soon: a request that waits for a
// coordinator which is gone is looked at again when a connection comes or goes, and only then
// (https://github.com/confluentinc/librdkafka/issues/5511).
const COMMON: [(&str, &str); 7] = [
    ("client.id", "marlowe"),
    ("reconnect.backoff.ms", "50"),
    ("reconnect.backoff.max.ms", "1000"),
    ("retry.backoff.ms", "50"),
    ("socket.connection.setup.timeout.ms", "5000"),
    ("topic.metadata.refresh.interval.ms", "3000"),
    ("connections.max.idle.ms", "5000"),
];

impl Configuration {
    /// Of a client that has `defaults` where the user says nothing.
    pub(crate) fn new(config: &KafkaConfig, defaults: &[(&str, &str)]) -> Self {
        OF_MEMBERS.iter().fold(Self::of_member(config, defaults), |configuration, name| configuration.without(name))
    }

    /// The same of a member of a group.
    pub(crate) fn of_member(config: &KafkaConfig, defaults: &[(&str, &str)]) -> Self {
        let mut client = ClientConfig::new();
        for (name, value) in COMMON.iter().chain(defaults) {
            client.set(*name, *value);
        }
        for (name, value) in &config.settings {
            client.set(name, value);
        }
        client.set("bootstrap.servers", &config.brokers);
        Self { client, config: config.clone() }
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.client.remove(name);
        self
    }

    pub(crate) fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self.client.set(name, value);
        self
    }

    /// What a setting is, if it is set.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.client.get(name)
    }

    /// The same for clients of the crate.
    pub(crate) fn client_config(&self) -> &ClientConfig {
        &self.client
    }

    pub(super) fn build(&self) -> Result<NativeClientConfig, BrokerError> {
        self.client.create_native_config().map_err(|error| self.refused(&error.to_string()))
    }

    pub(super) fn refused(&self, reason: &str) -> BrokerError {
        let reason = self.config.redacted(reason);
        BrokerError::InvalidState(format!("Kafka's client does not take its settings: {reason}"))
    }
}
