use std::path::PathBuf;

/// Settings that cannot be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KafkaConfigError {
    /// The place of the brokers cannot be read.
    #[error("{reason}: write kafka://HOST:PORT, more than one with commas between")]
    Url {
        /// What is wrong with it.
        reason: String,
    },
    /// A setting without `=`.
    #[error("a setting is written NAME=VALUE, as compression.type=lz4")]
    NoValue,
    /// A setting without a name.
    #[error("a setting needs a name: write NAME=VALUE, as compression.type=lz4")]
    NoName,
    /// A setting that is Marlowe's to make.
    #[error("`{name}` is not for a program to set, {mend}: remove it")]
    Reserved {
        /// The setting.
        name: String,
        /// What decides instead.
        mend: &'static str,
    },
    /// librdkafka refuses the setting. Its value is not shown where it is a secret.
    #[error("setting `{name}` cannot be `{value}`: {reason}")]
    Setting {
        /// The setting.
        name: String,
        /// What it was set to, or `…`.
        value: String,
        /// What librdkafka says, and the mend where one is known.
        reason: String,
    },
    /// A number or a time that cannot be meant.
    #[error("{what}: {reason}")]
    OutOfBounds {
        /// Of what: `patience`, `replicas`.
        what: &'static str,
        /// What is wrong with it, and what to use.
        reason: String,
    },
    /// A file of settings that cannot be read.
    #[error("cannot read the Kafka settings in {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line of a file of settings that is none.
    #[error("{}, line {line}: {source}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        source: Box<KafkaConfigError>,
    },
    /// A setting that a file has twice.
    #[error("`{name}` was set on line {first} already: keep one of the two")]
    Twice {
        /// The setting.
        name: String,
        /// The line of the first, from 1.
        first: usize,
    },
    /// A variable of the environment that is no setting.
    #[error("variable {variable}: {source}")]
    Variable {
        /// The variable.
        variable: String,
        /// What is wrong with it.
        source: Box<KafkaConfigError>,
    },
    /// A variable of the environment that is no text.
    #[error("its value is no text (UTF-8)")]
    NoText,
}
