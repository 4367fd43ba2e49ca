//! The errors of this crate: damage that was found in a file.

use std::io;

/// Damage of a file, and the place of the damage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Damage(pub(crate) String);

impl Damage {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// Returns whether `error` comes from damage that was found when a value was read.
    pub fn is_in(error: &heed::Error) -> bool {
        matches!(error, heed::Error::Decoding(source) if source.is::<Self>())
    }
}

/// The reason why a file did not pass its check.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The file is damaged.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}
