//! Failures of requests to other workers.

use std::error::Error;

/// A failure of a request to another worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RequestError {
    /// It was not sent.
    Unsent(String),
    /// It was sent, and nobody knows whether it was obeyed.
    Unanswered(String),
}

impl RequestError {
    pub(crate) fn reason(self) -> String {
        match self {
            Self::Unsent(reason) | Self::Unanswered(reason) => reason,
        }
    }
}

/// Returns the messages of an error and of all its sources: the client's own message is only that it failed.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
