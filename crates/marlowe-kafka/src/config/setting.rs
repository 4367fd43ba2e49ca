use std::fmt;
use std::str::FromStr;

use super::KafkaConfigError;

/// One of librdkafka's settings, as it is written on a command line or in a file: `NAME=VALUE`, with or without the prefix
/// `kafka.` before the name. Shown without its value where that is a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaSetting {
    name: String,
    value: String,
}

impl KafkaSetting {
    /// The setting `name`, set to `value`.
    ///
    /// # Errors
    /// When the name is empty, or stands for something that is said elsewhere ([`KafkaConfigError::Reserved`]).
    pub fn new(name: &str, value: &str) -> Result<Self, KafkaConfigError> {
        let name = name.trim();
        let name = name.strip_prefix("kafka.").unwrap_or(name);
        if name.is_empty() {
            return Err(KafkaConfigError::NoName);
        }
        refuse_reserved(name)?;
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }

    /// Its name, without a prefix.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value.
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl FromStr for KafkaSetting {
    type Err = KafkaConfigError;

    fn from_str(text: &str) -> Result<Self, KafkaConfigError> {
        // What stands there may be a secret that somebody put in the wrong place: it is not repeated.
        let (name, value) = text.split_once('=').ok_or(KafkaConfigError::NoValue)?;
        Self::new(name, value.trim_start())
    }
}

impl fmt::Debug for KafkaSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, shown(&self.name, &self.value))
    }
}

/// The value, or what is shown in its place.
pub(super) fn shown<'a>(name: &str, value: &'a str) -> &'a str {
    if is_secret(name) { "…" } else { value }
}

/// Whether the value of a setting is not to be shown.
pub(super) fn is_secret(name: &str) -> bool {
    const SECRETS: [&str; 7] = ["password", "secret", "key.pem", "oauthbearer.config", "jaas", "token", "assertion"];
    let name = name.to_ascii_lowercase();
    SECRETS.iter().any(|secret| name.contains(secret))
}

/// Refuses settings that are Marlowe's to make.
pub(super) fn refuse_reserved(name: &str) -> Result<(), KafkaConfigError> {
    let mend = match name {
        "bootstrap.servers" | "metadata.broker.list" => "the brokers are those of kafka://HOST:PORT,HOST:PORT",
        "session.timeout.ms" => "it is the workers' --session-timeout",
        "group.id" => "the group is the app",
        "transactional.id" => "each lane of each worker has one of its own",
        "partition.assignment.strategy" => {
            "it is cooperative-sticky; `group.protocol=consumer` leaves it to the brokers"
        }
        "enable.auto.commit" | "enable.auto.offset.store" | "auto.offset.reset" | "isolation.level" => {
            "positions are committed with the state that goes with them"
        }
        _ => return Ok(()),
    };
    Err(KafkaConfigError::Reserved { name: name.to_owned(), mend })
}
