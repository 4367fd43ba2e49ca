//! The errors of commands, and how they are reported.

use std::error::Error;

use super::client::ClientError;
use super::named::Unknown;
use crate::error::RunError;
use crate::plain::plain_lines;
use crate::topic::NotTaken;
use crate::topology::TopologyError;

/// A reason why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The command line asks for something impossible.
    #[error("{0}")]
    Usage(String),
    /// The program has nothing of that name.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// The program cannot run, or has stopped.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The topic does not take this key or value.
    #[error(transparent)]
    NotTaken(#[from] NotTaken),
    /// The running worker could not be asked, or refused.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// `send` has neither a folder nor a worker to send to.
    #[error("cannot send: {source}; or give the program's --data-dir, then `send` needs no worker")]
    Nowhere {
        /// The failure of asking a worker.
        source: ClientError,
    },
    /// Another process has the folder, and it is not a worker that could be asked instead.
    #[error("{in_use}; asked that process to send instead, but {source}")]
    InUse {
        /// The failure of opening the folder.
        in_use: Box<RunError>,
        /// The failure of asking the other process.
        source: ClientError,
    },
    /// The operating system refused.
    #[error("cannot {doing}: {source}")]
    System {
        /// The action that was refused.
        doing: String,
        /// The error of the system.
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

    /// Returns 2 if the command line was wrong, as clap does, and 1 if the command failed.
    pub(crate) fn exit_code(&self) -> i32 {
        match self {
            CliError::Usage(_) | CliError::Unknown(_) | CliError::NotTaken(_) => 2,
            _ => 1,
        }
    }

    /// Returns the error and its causes. A cause is left out if the text before already contains
    /// it.
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
        // The report may contain text from elsewhere, such as brokers and handlers.
        plain_lines(&report).into_owned()
    }
}
