//! One of librdkafka's settings: how it is written, whether it is secret, and whether a program may
//! set it.

use std::fmt;
use std::str::FromStr;

use super::KafkaConfigError;

/// One of librdkafka's settings, as it is written on a command line or in a file: `NAME=VALUE`. The
/// name may have the prefix `kafka.`. `Debug` shows `…` in place of a secret value.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaSetting {
    name: String,
    value: String,
}

impl KafkaSetting {
    /// Creates the setting `name` with the value `value`. A prefix `kafka.` of the name is removed.
    ///
    /// # Errors
    /// [`KafkaConfigError::NoName`] when the name is empty, and [`KafkaConfigError::Reserved`] when
    /// something else decides what the setting is.
    pub fn new(name: &str, value: &str) -> Result<Self, KafkaConfigError> {
        let name = name.trim();
        let name = name.strip_prefix("kafka.").unwrap_or(name);
        if name.is_empty() {
            return Err(KafkaConfigError::NoName);
        }
        refuse_reserved(name)?;
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }

    /// Returns the setting's name, without the prefix `kafka.`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the setting's value.
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl FromStr for KafkaSetting {
    type Err = KafkaConfigError;

    fn from_str(text: &str) -> Result<Self, KafkaConfigError> {
        // The error does not repeat the text, because it may be a secret in the wrong place.
        let (name, value) = text.split_once('=').ok_or(KafkaConfigError::NoValue)?;
        Self::new(name, value.trim_start())
    }
}

impl fmt::Debug for KafkaSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, shown(&self.name, &self.value))
    }
}

/// Returns the value as it may be shown: `…` for a secret.
pub(super) fn shown<'a>(name: &str, value: &'a str) -> &'a str {
    if is_secret(name) { "…" } else { value }
}

/// Returns whether the value of a setting must not be shown.
pub(super) fn is_secret(name: &str) -> bool {
    const SECRETS: [&str; 7] = ["password", "secret", "key.pem", "oauthbearer.config", "jaas", "token", "assertion"];
    let name = name.to_ascii_lowercase();
    SECRETS.iter().any(|secret| name.contains(secret))
}

/// Refuses settings that are reserved for Marlowe.
pub(super) fn refuse_reserved(name: &str) -> Result<(), KafkaConfigError> {
    let fix = match name {
        "bootstrap.servers" | "metadata.broker.list" => "the brokers are those of the URL kafka://HOST:PORT,HOST:PORT",
        "session.timeout.ms" => "it is set by --session-timeout",
        "group.id" => "the group has the app's name",
        "transactional.id" => "each lane of each worker has its own id",
        "partition.assignment.strategy" => {
            "it is cooperative-sticky; with `group.protocol=consumer` the brokers choose it"
        }
        "enable.auto.commit" | "enable.auto.offset.store" | "auto.offset.reset" | "isolation.level" => {
            "positions are committed together with the state"
        }
        _ => return Ok(()),
    };
    Err(KafkaConfigError::Reserved { name: name.to_owned(), fix })
}
