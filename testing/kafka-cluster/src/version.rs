//! The version of Apache Kafka that a cluster runs. How it is chosen is in `choice`.

mod choice;

use std::fmt;

use serde::{Deserialize, Serialize};

/// A version of Apache Kafka. It is parsed from a number such as `4.4.0`, or from one of the words
/// `oldest` and `newest`.
///
/// The default is the newest version that Marlowe is tested with.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version(String);

impl Version {
    /// The environment variable with the version of clusters whose configuration names none.
    pub const VARIABLE: &str = "MARLOWE_TEST_KAFKA_VERSION";

    /// The newest version that Marlowe is tested with.
    pub const NEWEST: &str = "4.4.0";

    /// The oldest version that Marlowe supports and is tested with.
    pub const OLDEST: &str = "4.0.1";
}

impl Default for Version {
    fn default() -> Version {
        Version(Version::NEWEST.into())
    }
}

impl From<Version> for String {
    fn from(version: Version) -> String {
        version.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
