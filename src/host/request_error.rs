//! The failures of requests to other workers.

use std::error::Error;

/// A failure of a request to another worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RequestError {
    /// The request was not sent.
    Unsent(String),
    /// The request was sent, but it is not known whether it took effect.
    Unanswered(String),
}

impl RequestError {
    pub(crate) fn reason(self) -> String {
        match self {
            Self::Unsent(reason) | Self::Unanswered(reason) => reason,
        }
    }
}

/// Returns the messages of an error and of all its sources. The HTTP client's own message says only
/// that the request failed.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
