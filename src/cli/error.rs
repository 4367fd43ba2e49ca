use std::error::Error;

use super::client::ClientError;
use super::named::Unknown;
use crate::error::RunError;
use crate::plain::plain_lines;
use crate::topic::NotTaken;
use crate::topology::TopologyError;

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
    /// A key or value that its topic does not take.
    #[error(transparent)]
    NotTaken(#[from] NotTaken),
    /// The running worker could not be asked, or refused.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// There is neither a folder nor a worker to send to.
    #[error("nowhere to send to: {source}; or give --data-dir, and `send` needs no worker")]
    Nowhere {
        /// What was tried.
        source: ClientError,
    },
    /// Another process has the folder, and is no worker that could be asked.
    #[error("{in_use}; asked that process instead, but {source}")]
    InUse {
        /// Who has the folder.
        in_use: Box<RunError>,
        /// What became of asking.
        source: ClientError,
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
            CliError::Usage(_) | CliError::Unknown(_) | CliError::NotTaken(_) => 2,
            _ => 1,
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
        // What others say is in it, as brokers and handlers.
        plain_lines(&report).into_owned()
    }
}
