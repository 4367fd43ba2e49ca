use std::error::Error;

use super::named::Unknown;
use crate::topology::TopologyError;
use crate::worker::RunError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// What was asked for cannot be, as it was written.
    #[error("{0}")]
    Usage(String),
    /// The program has nothing of that name.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// The program cannot run, or stopped.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A key or value does not fit.
    #[error("{what}: {source}")]
    Value {
        /// The key or value, and of what.
        what: String,
        /// Why.
        source: crate::codec::CodecError,
    },
    /// The system refused.
    #[error("cannot {doing}: {source}")]
    System {
        /// What was being done.
        doing: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl From<TopologyError> for CliError {
    fn from(error: TopologyError) -> Self {
        Self::Run(error.into())
    }
}

impl CliError {
    pub(crate) fn system(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> CliError {
        let doing = doing.into();
        move |source| CliError::System { doing, source }
    }

    /// 2 when the command line was wrong, as clap has it; 1 when what it asked for failed.
    pub(crate) fn exit_code(&self) -> i32 {
        match self {
            CliError::Usage(_) | CliError::Unknown(_) | CliError::Value { .. } => 2,
            CliError::Run(_) | CliError::System { .. } => 1,
        }
    }

    /// The error and its causes. A cause that the error's own words include already is not told twice.
    pub(crate) fn report(&self) -> String {
        let mut told = self.to_string();
        let mut report = format!("error: {told}");
        let mut cause = self.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !told.contains(&text) {
                report.push_str("\n  caused by: ");
                report.push_str(&text);
                told.push_str(&text);
            }
            cause = error.source();
        }
        report
    }
}
