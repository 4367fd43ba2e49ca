//! The outcome of a run: figures, or the reason why there are none.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::figures::Figures;

/// The outcome of a run.
pub(crate) type Outcome = Result<Figures, Setback>;

/// The reason why a run has no figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Setback {
    /// The system cannot do the job, for this reason.
    NotPossible(String),
    /// The job was done, but the answer is wrong.
    Wrong(String),
    /// The run was given up.
    TookTooLong(String),
    /// A process ended, or something else failed.
    Failed(String),
}

impl Setback {
    /// Returns the setback of a run that was given up after `patience`; `what` says how far it was.
    pub(crate) fn late(patience: Duration, what: &str) -> Self {
        Self::TookTooLong(format!("given up after {} s, {what}", patience.as_secs()))
    }
}

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> From<E> for Setback {
    fn from(error: E) -> Self {
        Self::Failed(error.into().to_string())
    }
}

impl fmt::Display for Setback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPossible(reason) => write!(f, "not possible: {reason}"),
            Self::Wrong(what) => write!(f, "WRONG: {what}"),
            Self::TookTooLong(what) => write!(f, "took too long: {what}"),
            Self::Failed(what) => write!(f, "failed: {what}"),
        }
    }
}
