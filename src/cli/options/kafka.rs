//! The options of the Kafka client.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::{TypedValueParser, ValueParserFactory};
use marlowe_kafka::{KafkaConfig, KafkaSetting};

use crate::cli::error::CliError;
use crate::config::BrokerChoice;

/// The options of the Kafka client.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct KafkaOptions {
    /// A setting of the Kafka client librdkafka, such as compression.type=lz4; may be given more
    /// than once. It overrides the environment (MARLOWE_KAFKA_COMPRESSION_TYPE), which overrides
    /// --kafka-config
    #[arg(long = "kafka", global = true, value_name = "NAME=VALUE")]
    settings: Vec<WrittenSetting>,
    /// A file with settings of librdkafka, one name=value per line
    #[arg(long = "kafka-config", global = true, env = "MARLOWE_KAFKA_CONFIG", value_name = "FILE")]
    file: Option<PathBuf>,
    /// The number of copies that a Kafka cluster keeps of the topics that are created [default: 3,
    /// or the number of brokers if there are fewer]
    #[arg(long, global = true, env = "MARLOWE_REPLICAS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    replicas: Option<u16>,
    /// How long to wait for a Kafka broker that cannot be reached, in seconds [default: 60]
    #[arg(long, global = true, env = "MARLOWE_BROKER_PATIENCE", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    broker_patience: Option<u64>,
}

/// A setting as it was written. It may be a secret, so neither errors nor logs show it.
#[derive(Clone)]
struct WrittenSetting(String);

impl fmt::Debug for WrittenSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl ValueParserFactory for WrittenSetting {
    type Parser = clap::builder::MapValueParser<clap::builder::StringValueParser, fn(String) -> WrittenSetting>;

    fn value_parser() -> Self::Parser {
        // Any text is accepted here. `KafkaOptions::choice` reports errors in it, without showing
        // the value.
        clap::builder::StringValueParser::new().map(WrittenSetting)
    }
}

impl KafkaOptions {
    /// Returns the cluster at `url`, with the settings of the program, the file, the environment
    /// and the command line. Later ones override earlier ones.
    pub(crate) fn choice(&self, url: &str, from_code: &[(String, String)]) -> Result<BrokerChoice, CliError> {
        let usage = |error: marlowe_kafka::KafkaConfigError| CliError::Usage(error.to_string());
        let mut config = KafkaConfig::from_url(url).map_err(|error| CliError::Usage(format!("--broker: {error}")))?;
        for (name, value) in from_code {
            config = config.set(name, value);
        }
        if let Some(file) = &self.file {
            config = config.read_file(file).map_err(usage)?;
        }
        config = config.read_environment().map_err(usage)?;
        for WrittenSetting(text) in &self.settings {
            let setting: KafkaSetting = text.parse().map_err(|error| CliError::Usage(format!("--kafka: {error}")))?;
            config = config.with([setting]);
        }
        config.check().map_err(usage)?;
        if let Some(replicas) = self.replicas {
            config = config.replicas(replicas);
        }
        if let Some(seconds) = self.broker_patience {
            config = config.patience(Duration::from_secs(seconds));
        }
        Ok(BrokerChoice::Kafka(config))
    }

    /// Checks that no setting was written for a broker that has none.
    pub(crate) fn must_be_unused(&self) -> Result<(), CliError> {
        if self.settings.is_empty() {
            return Ok(());
        }
        Err(CliError::Usage(
            "--kafka is a setting of the Kafka client, and the broker is `embedded`: give --broker kafka://HOST:PORT"
                .into(),
        ))
    }
}
