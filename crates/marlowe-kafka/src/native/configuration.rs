//! The settings that a client is created with.

use marlowe_broker::BrokerError;
use rdkafka::ClientConfig;
use rdkafka::config::NativeClientConfig;

use crate::KafkaConfig;

/// The settings of a client, in three layers. The user's settings replace Marlowe's defaults for
/// the client's kind. The settings that Marlowe's guarantees depend on replace both.
#[derive(Clone)]
pub(crate) struct Configuration {
    client: ClientConfig,
    config: KafkaConfig,
}

/// The settings that concern groups, and so only members.
const OF_MEMBERS: [&str; 6] = [
    "group.instance.id",
    "group.protocol",
    "group.remote.assignor",
    "heartbeat.interval.ms",
    "partition.assignment.strategy",
    "session.timeout.ms",
];

// Reconnects: a connection that broke is tried again soon, and not too often, because whole
// clusters restart in seconds.
//
// Metadata is refreshed often. Otherwise librdkafka may not learn that a partition that had lost
// its leader has one again (https://github.com/confluentinc/librdkafka/issues/5430).
//
// Idle connections are closed soon. A request that waits for a coordinator that is gone is looked
// at again only when a connection opens or closes
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
    /// Creates the configuration of a client that is no member of a group. `defaults` apply where
    /// the user sets nothing.
    pub(crate) fn new(config: &KafkaConfig, defaults: &[(&str, &str)]) -> Self {
        OF_MEMBERS.iter().fold(Self::of_member(config, defaults), |configuration, name| configuration.without(name))
    }

    /// Creates the configuration of a member of a group. `defaults` apply where the user sets
    /// nothing.
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

    /// Returns the value of a setting, if it is set.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.client.get(name)
    }

    /// Returns the configuration for clients of the crate `rdkafka`.
    pub(crate) fn client_config(&self) -> &ClientConfig {
        &self.client
    }

    pub(super) fn build(&self) -> Result<NativeClientConfig, BrokerError> {
        self.client.create_native_config().map_err(|error| self.refused(&error.to_string()))
    }

    pub(super) fn refused(&self, reason: &str) -> BrokerError {
        let reason = self.config.redacted(reason);
        BrokerError::InvalidState(format!("the Kafka client refuses its settings: {reason}"))
    }
}
