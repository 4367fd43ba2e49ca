//! Why a request did not get through.

use std::error::Error;

/// Why a request did not get through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// It was not sent.
    Unsent(String),
    /// It was sent, and nobody knows whether it was obeyed.
    Unanswered(String),
}

impl Lost {
    pub(crate) fn reason(self) -> String {
        match self {
            Self::Unsent(reason) | Self::Unanswered(reason) => reason,
        }
    }
}

/// Tells the whole chain of why: the client's own words are only that it failed.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
