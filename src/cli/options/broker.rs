//! The options that choose the broker and set it up.

use clap::Args;

use crate::cli::error::CliError;
use crate::config::BrokerChoice;

/// The options that choose the broker and set it up.
#[derive(Clone, Debug, Args)]
pub(crate) struct BrokerOptions {
    /// The broker: `embedded`, which needs no server, or a Kafka cluster as
    /// kafka://HOST:PORT,HOST:PORT
    #[arg(
        long = "broker",
        global = true,
        env = "MARLOWE_BROKER",
        hide_env_values = true,
        value_name = "URL",
        default_value = "embedded"
    )]
    url: String,
    #[cfg(feature = "kafka")]
    #[command(flatten)]
    kafka: super::kafka::KafkaOptions,
}

impl BrokerOptions {
    /// Returns the broker that these options choose. `from_code` are settings of the Kafka client
    /// that the program sets itself.
    pub(crate) fn choice(&self, from_code: &[(String, String)]) -> Result<BrokerChoice, CliError> {
        let wrong = |reason: String| Err(CliError::Usage(format!("--broker: {reason}")));
        match self.url.as_str() {
            "embedded" => {
                #[cfg(feature = "kafka")]
                self.kafka.must_be_unused()?;
                Ok(BrokerChoice::Embedded)
            }
            #[cfg(feature = "kafka")]
            url if url.starts_with("kafka://") => self.kafka.choice(url, from_code),
            #[cfg(not(feature = "kafka"))]
            url if url.starts_with("kafka://") => {
                let _ = from_code;
                wrong("this program was built without Kafka: build it with Marlowe's feature `kafka`".into())
            }
            // The error does not repeat a URL that may contain a password.
            url if url.contains('@') => wrong("this is not a broker: use `embedded` or kafka://HOST:PORT".into()),
            url => wrong(format!("`{url}` is not a broker: use `embedded` or kafka://HOST:PORT")),
        }
    }
}
