use std::io;

/// A damage of a file, and its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Damage(pub(crate) String);

impl Damage {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// Returns whether LMDB's error comes from damage that was found in a value.
    pub fn is_in(error: &heed::Error) -> bool {
        matches!(error, heed::Error::Decoding(source) if source.is::<Self>())
    }
}

/// Why a file did not pass its check.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It is damaged.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}
