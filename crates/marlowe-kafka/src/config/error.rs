//! The errors of a configuration. Each message says what is wrong and what to write instead.

use std::path::PathBuf;

/// An error in the configuration of Kafka clients.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KafkaConfigError {
    /// The URL of the cluster cannot be read.
    #[error("{reason}: write kafka://HOST:PORT, with commas between several brokers")]
    Url {
        /// The problem with the URL.
        reason: String,
    },
    /// A setting has no `=`.
    #[error("a setting has the form NAME=VALUE, for example compression.type=lz4")]
    NoValue,
    /// A setting has no name.
    #[error("a setting needs a name: write NAME=VALUE, for example compression.type=lz4")]
    NoName,
    /// A setting is reserved for Marlowe.
    #[error("`{name}` is decided by Marlowe ({fix}): remove this setting")]
    Reserved {
        /// The setting's name.
        name: String,
        /// A text that names what decides instead of the setting.
        fix: &'static str,
    },
    /// librdkafka refuses a setting. The value of a secret setting is not shown.
    #[error("setting `{name}` cannot be `{value}`: {reason}")]
    Setting {
        /// The setting's name.
        name: String,
        /// The setting's value, or `…` for a secret.
        value: String,
        /// librdkafka's reason, and how to fix the setting if that is known.
        reason: String,
    },
    /// A number or a time is out of bounds.
    #[error("{what}: {reason}")]
    OutOfBounds {
        /// The name of the number or time: `patience` or `replicas`.
        what: &'static str,
        /// The problem with it, and what to use instead.
        reason: String,
    },
    /// A file of settings cannot be read.
    #[error("cannot read the Kafka settings in {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A line of a file of settings is no setting.
    #[error("{}, line {line}: {source}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// The problem with the line.
        source: Box<KafkaConfigError>,
    },
    /// A file sets the same setting twice.
    #[error("`{name}` was set on line {first} already: keep one of the two")]
    Twice {
        /// The setting's name.
        name: String,
        /// The number of the line that sets it first, from 1.
        first: usize,
    },
    /// An environment variable is no setting.
    #[error("variable {variable}: {source}")]
    Variable {
        /// The variable's name.
        variable: String,
        /// The problem with the variable.
        source: Box<KafkaConfigError>,
    },
    /// The value of an environment variable is not UTF-8.
    #[error("its value is not UTF-8 text")]
    NoText,
}
