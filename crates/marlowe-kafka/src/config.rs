use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Where a Kafka cluster is, and how its client is set up.
///
/// Any setting of [librdkafka](https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md) can be given by
/// its name; it goes to every client that is opened.
///
/// ```
/// use marlowe_kafka::KafkaConfig;
///
/// let config = KafkaConfig::new("127.0.0.1:9092").set("compression.type", "lz4").set("sasl.password", "sesame");
/// assert!(!format!("{config:?}").contains("sesame"), "secrets are not shown");
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KafkaConfig {
    /// The brokers to ask first: `host:port`, more than one with commas between (`bootstrap.servers`).
    pub brokers: String,
    /// librdkafka's settings, by name.
    pub settings: BTreeMap<String, String>,
    /// How long to wait for a broker that cannot be reached at the start, and for a commit whose outcome is not known,
    /// before giving up (default: 60 s).
    pub patience: Duration,
    /// How many copies of a topic the cluster keeps, of topics that are created without saying so (default: 3, or the
    /// number of brokers where it is less).
    pub replicas: Option<u16>,
}

impl KafkaConfig {
    /// The cluster at `brokers`, with the defaults.
    pub fn new(brokers: impl Into<String>) -> Self {
        Self { brokers: brokers.into(), settings: BTreeMap::new(), patience: Duration::from_secs(60), replicas: None }
    }

    /// The same with one of librdkafka's settings.
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.insert(name.into(), value.into());
        self
    }

    /// The same with another patience.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The same with so many copies of each topic that is created.
    pub fn replicas(mut self, replicas: u16) -> Self {
        self.replicas = Some(replicas);
        self
    }
}

/// Whether the value of a setting is not to be shown.
fn is_secret(name: &str) -> bool {
    const SECRETS: [&str; 6] = ["password", "secret", "key.pem", "sasl.oauthbearer.config", "token", "assertion"];
    SECRETS.iter().any(|secret| name.contains(secret))
}

impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut settings: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, value) in &self.settings {
            settings.insert(name, if is_secret(name) { "…" } else { value });
        }
        f.debug_struct("KafkaConfig")
            .field("brokers", &self.brokers)
            .field("settings", &settings)
            .field("patience", &self.patience)
            .field("replicas", &self.replicas)
            .finish()
    }
}
