use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::figures::Figures;

/// What came of one run.
pub(crate) type Outcome = Result<Figures, Setback>;

/// Why there are no figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Setback {
    /// The system cannot do that, and says why.
    NotPossible(String),
    /// It was done, and the answer is not right.
    Wrong(String),
    /// It was given up.
    TookTooLong(String),
    /// A process ended, or something else went wrong.
    Failed(String),
}

impl Setback {
    /// It was given up after so long, while it did that.
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
