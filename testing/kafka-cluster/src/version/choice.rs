//! The choice of a version: from a text, or from the environment.

use std::str::FromStr;

use super::Version;
use crate::error::Error;

impl Version {
    /// Returns the version that the environment names in `MARLOWE_TEST_KAFKA_VERSION`, or the
    /// newest if it names none.
    ///
    /// # Errors
    /// [`Error::NoVersion`] when the variable's value is no version.
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

impl FromStr for Version {
    type Err = Error;

    fn from_str(text: &str) -> Result<Version, Error> {
        match text {
            "oldest" => return Ok(Version(Version::OLDEST.into())),
            "newest" => return Ok(Version::default()),
            _ => {}
        }
        // The text becomes part of a path and of Maven's arguments, so it must consist of numbers.
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
