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

/// The longest wait for a broker.
const LONGEST_PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// Variables of the environment that begin so are settings.
const VARIABLES: &str = "MARLOWE_KAFKA_";

/// The one that is none: it names a file of settings.
const FILE_VARIABLE: &str = "MARLOWE_KAFKA_CONFIG";

/// Where a Kafka cluster is, and how its client is set up.
///
/// Any setting of [librdkafka](https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md) can be given by
/// its name; it goes to every client that is opened. What is set later wins over what was set before:
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
/// `group.instance.id` is taken for the process's instance, where none was given.
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

    /// The cluster at `kafka://HOST:PORT,HOST:PORT`, with the defaults.
    ///
    /// # Errors
    /// [`KafkaConfigError::Url`].
    pub fn from_url(url: &str) -> Result<Self, KafkaConfigError> {
        brokers::brokers(url).map(Self::new)
    }

    /// The same with one of librdkafka's settings. Its name and value are checked when the cluster is connected to, or
    /// by [`check`](Self::check).
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.insert(name.into(), value.into());
        self
    }

    /// The same with such settings.
    pub fn with(mut self, settings: impl IntoIterator<Item = KafkaSetting>) -> Self {
        let settings = settings.into_iter().map(|setting| (setting.name().to_owned(), setting.value().to_owned()));
        self.settings.extend(settings);
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

    /// The same with the settings of a file: a line `name=value` for each, with or without the prefix `kafka.`; empty lines
    /// and lines that begin with `#` are passed over.
    ///
    /// # Errors
    /// When it cannot be read, or a line is no setting; the error names the line.
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

    /// The same with the settings in the environment: `MARLOWE_KAFKA_SASL_PASSWORD` is `sasl.password`.
    ///
    /// # Errors
    /// When a variable is no setting.
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

    /// That librdkafka takes the settings. [`KafkaBroker::connect`](crate::KafkaBroker::connect) begins with it.
    ///
    /// # Errors
    /// Which it does not take, and why.
    pub fn check(&self) -> Result<(), KafkaConfigError> {
        if self.patience > LONGEST_PATIENCE {
            let reason = format!("{:?} is beyond any use: use at most a day", self.patience);
            return Err(KafkaConfigError::OutOfBounds { what: "patience", reason });
        }
        if let Some(replicas) = self.replicas
            && (replicas == 0 || replicas > i16::MAX as u16)
        {
            let reason = format!("{replicas} copies cannot be: use at least 1, and no more than there are brokers");
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

    /// A text with the secrets among the settings blotted out.
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
