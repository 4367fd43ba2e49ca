//! The configuration of Kafka clients: the brokers, and librdkafka's settings from code, files and
//! the environment.
//!
//! Values that are set later replace values that were set before. `connect` then calls `check`,
//! which refuses reserved settings, settings that this build cannot honour, and settings that
//! librdkafka refuses, in this order. Start reading at [`KafkaConfig`]. `brokers` reads URLs, and
//! `setting` knows which settings are secret or reserved.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;

mod brokers;
mod error;
mod features;
mod setting;

pub use error::KafkaConfigError;
use features::missing_feature;
pub use setting::KafkaSetting;
use setting::{is_secret, refuse_reserved, shown};

/// The longest patience that a configuration may have.
const LONGEST_PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// The prefix of the environment variables that are settings.
const VARIABLES: &str = "MARLOWE_KAFKA_";

/// The one variable with that prefix that is no setting. It names a file of settings.
const FILE_VARIABLE: &str = "MARLOWE_KAFKA_CONFIG";

/// The address of a Kafka cluster, and the settings of its clients.
///
/// Any setting of
/// [librdkafka](https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md) can be set
/// by its name. It applies to every client that is opened. A value that is set later replaces one
/// that was set before:
///
/// ```
/// use marlowe_kafka::KafkaConfig;
///
/// # fn main() -> Result<(), marlowe_kafka::KafkaConfigError> {
/// let config = KafkaConfig::from_url("kafka://127.0.0.1:9092")?
///     .set("compression.type", "lz4")
///     .read_environment()? // MARLOWE_KAFKA_SASL_PASSWORD is sasl.password
///     .set("sasl.password", "sesame");
/// assert!(!format!("{config:?}").contains("sesame"), "secrets are not shown");
/// # Ok(())
/// # }
/// ```
///
/// `group.instance.id` is used as the instance of the process, if the process was given no other.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KafkaConfig {
    /// The brokers to contact first: `host:port`, separated by commas (`bootstrap.servers`).
    pub brokers: String,
    /// librdkafka's settings, by their names.
    pub settings: BTreeMap<String, String>,
    /// The longest time to wait for brokers that cannot be reached, and for a commit whose outcome
    /// is not known. Default: 60 s. At most a day. A commit waits at least 60 s.
    pub patience: Duration,
    /// The number of replicas of topics that are created without a number of their own. Default: 3,
    /// or the number of brokers if that is less.
    pub replicas: Option<u16>,
}

impl KafkaConfig {
    /// Creates the configuration of the cluster at `brokers`, with the defaults.
    pub fn new(brokers: impl Into<String>) -> Self {
        Self { brokers: brokers.into(), settings: BTreeMap::new(), patience: Duration::from_secs(60), replicas: None }
    }

    /// Creates the configuration of the cluster at `kafka://HOST:PORT,HOST:PORT`, with the
    /// defaults.
    ///
    /// # Errors
    /// [`KafkaConfigError::Url`] when `url` does not have that form.
    pub fn from_url(url: &str) -> Result<Self, KafkaConfigError> {
        brokers::brokers(url).map(Self::new)
    }

    /// Sets one of librdkafka's settings. Its name and value are checked by [`check`](Self::check),
    /// and when the cluster is connected to.
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.insert(name.into(), value.into());
        self
    }

    /// Sets several of librdkafka's settings.
    pub fn with(mut self, settings: impl IntoIterator<Item = KafkaSetting>) -> Self {
        let settings = settings.into_iter().map(|setting| (setting.name().to_owned(), setting.value().to_owned()));
        self.settings.extend(settings);
        self
    }

    /// Sets the longest time to wait for brokers. Default: 60 s. At most a day.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sets the number of replicas of topics that are created without a number of their own.
    /// Default: 3, or the number of brokers if that is less.
    pub fn replicas(mut self, replicas: u16) -> Self {
        self.replicas = Some(replicas);
        self
    }

    /// Reads settings from a file. Each line is `name=value`, and the name may have the prefix
    /// `kafka.`. Empty lines and lines that begin with `#` are skipped.
    ///
    /// # Errors
    /// [`KafkaConfigError::Read`] when the file cannot be read, and [`KafkaConfigError::Line`] when
    /// a line is no setting or repeats one. The error names the line.
    pub fn read_file(self, path: &Path) -> Result<Self, KafkaConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| KafkaConfigError::Read { path: path.to_owned(), source })?;
        let mut lines: HashMap<String, usize> = HashMap::new();
        let mut settings = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let setting =
                text.parse().and_then(|setting: KafkaSetting| match lines.insert(setting.name().to_owned(), line) {
                    Some(first) => Err(KafkaConfigError::Twice { name: setting.name().to_owned(), first }),
                    None => Ok(setting),
                });
            settings.push(setting.map_err(|source| KafkaConfigError::Line {
                path: path.to_owned(),
                line,
                source: Box::new(source),
            })?);
        }
        Ok(self.with(settings))
    }

    /// Reads settings from the environment: `MARLOWE_KAFKA_SASL_PASSWORD` is `sasl.password`. The
    /// variable `MARLOWE_KAFKA_CONFIG` is no setting.
    ///
    /// # Errors
    /// [`KafkaConfigError::Variable`] when a variable is no setting. The error names the variable.
    pub fn read_environment(self) -> Result<Self, KafkaConfigError> {
        self.read_variables(std::env::vars_os())
    }

    fn read_variables(
        self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, KafkaConfigError> {
        let mut settings = Vec::new();
        for (variable, value) in variables {
            let Some(variable) = variable.to_str().filter(|variable| *variable != FILE_VARIABLE) else { continue };
            let Some(name) = variable.strip_prefix(VARIABLES) else { continue };
            let name = name.to_ascii_lowercase().replace('_', ".");
            let setting = match value.to_str() {
                Some(value) => KafkaSetting::new(&name, value),
                None => Err(KafkaConfigError::NoText),
            };
            settings.push(setting.map_err(|source| KafkaConfigError::Variable {
                variable: variable.to_owned(),
                source: Box::new(source),
            })?);
        }
        Ok(self.with(settings))
    }

    /// Checks that librdkafka accepts the settings.
    /// [`KafkaBroker::connect`](crate::KafkaBroker::connect) calls this first.
    ///
    /// # Errors
    /// The first setting that is not accepted, and why. Also [`KafkaConfigError::OutOfBounds`] when
    /// the patience is more than a day, or when the number of replicas is 0 or more than 32767.
    pub fn check(&self) -> Result<(), KafkaConfigError> {
        if self.patience > LONGEST_PATIENCE {
            let reason = format!("{:?} is too long: use at most a day", self.patience);
            return Err(KafkaConfigError::OutOfBounds { what: "patience", reason });
        }
        if let Some(replicas) = self.replicas
            && (replicas == 0 || replicas > i16::MAX as u16)
        {
            let reason =
                format!("{replicas} copies are not possible: use at least 1, and at most the number of brokers");
            return Err(KafkaConfigError::OutOfBounds { what: "replicas", reason });
        }
        for (name, value) in &self.settings {
            refuse_reserved(name)?;
            let refused = |reason: String| KafkaConfigError::Setting {
                name: name.clone(),
                value: shown(name, value).to_owned(),
                reason: self.redacted(&reason),
            };
            if let Some(feature) = missing_feature(&self.settings, name) {
                return Err(refused(format!("this build has no {feature}")));
            }
            match ClientConfig::new().set(name, value).create_native_config() {
                Ok(_) => {}
                Err(KafkaError::ClientConfig(_, reason, ..)) => return Err(refused(reason)),
                Err(error) => return Err(refused(error.to_string())),
            }
        }
        Ok(())
    }

    /// Returns `text` with `…` in place of the values of secret settings.
    pub fn redacted(&self, text: &str) -> String {
        let secrets = self.settings.iter().filter(|(name, value)| is_secret(name) && !value.is_empty());
        secrets.fold(text.to_owned(), |text, (_, secret)| text.replace(secret.as_str(), "…"))
    }
}

impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings: BTreeMap<&str, &str> =
            self.settings.iter().map(|(name, value)| (name.as_str(), shown(name, value))).collect();
        f.debug_struct("KafkaConfig")
            .field("brokers", &self.brokers)
            .field("settings", &settings)
            .field("patience", &self.patience)
            .field("replicas", &self.replicas)
            .finish()
    }
}

#[cfg(test)]
mod tests;
