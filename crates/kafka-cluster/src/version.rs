//! The version of Apache Kafka that a cluster runs, and how it is chosen.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// A version of Apache Kafka, such as `4.4.0`, or one of the words `oldest` and `newest`. The default is the newest one that
/// Marlowe is tested with.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version(String);

impl Version {
    /// The environment variable that chooses the version of clusters whose configuration names none.
    pub const VARIABLE: &str = "MARLOWE_TEST_KAFKA_VERSION";

    /// The newest version that Marlowe is tested with.
    pub const NEWEST: &str = "4.4.0";

    /// The oldest version that Marlowe supports and is tested with.
    pub const OLDEST: &str = "4.0.1";

    /// Returns the version that the environment names (`MARLOWE_TEST_KAFKA_VERSION`), or the newest.
    ///
    /// # Errors
    /// [`Error::NoVersion`] when the environment names something else.
    pub fn chosen() -> Result<Version, Error> {
        Version::named(std::env::var(Version::VARIABLE).ok().as_deref())
    }

    fn named(text: Option<&str>) -> Result<Version, Error> {
        match text {
            None | Some("") => Ok(Version::default()),
            Some(text) => text.parse(),
        }
    }
}

impl Default for Version {
    fn default() -> Version {
        Version(Version::NEWEST.into())
    }
}

impl FromStr for Version {
    type Err = Error;

    fn from_str(text: &str) -> Result<Version, Error> {
        match text {
            "oldest" => return Ok(Version(Version::OLDEST.into())),
            "newest" => return Ok(Version::default()),
            _ => {}
        }
        // It becomes part of a path and of Maven's arguments.
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        match text.split('.').count() == 3 && text.split('.').all(is_number) {
            true => Ok(Version(text.into())),
            false => Err(Error::NoVersion { text: text.into() }),
        }
    }
}

impl TryFrom<String> for Version {
    type Error = Error;

    fn try_from(text: String) -> Result<Version, Error> {
        text.parse()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n5_the_version_is_a_choice_and_the_newest_by_default() {
        let named = |text| Version::named(text).map(String::from).map_err(|error| error.to_string());
        assert_eq!(named(None).as_deref(), Ok(Version::NEWEST));
        assert_eq!(named(Some("")).as_deref(), Ok(Version::NEWEST));
        assert_eq!(named(Some(Version::OLDEST)).as_deref(), Ok(Version::OLDEST));
        assert_eq!(named(Some("oldest")).as_deref(), Ok(Version::OLDEST));
        assert_eq!(named(Some("newest")).as_deref(), Ok(Version::NEWEST));
        for text in ["4.4", "4.4.0.1", "4.4.x", "new", "../4.4", "4..0", " 4.4.0"] {
            let refused = named(Some(text)).expect_err(text);
            assert!(refused.contains(text) && refused.contains(Version::NEWEST), "{refused}");
        }
    }
}
