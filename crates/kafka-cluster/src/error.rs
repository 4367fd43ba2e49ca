use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::version::Version;

/// Why a cluster could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program that is needed cannot be started.
    #[error("cannot start `{program}` ({source}): install {what} (Debian: `apt-get install {package}`)")]
    Program {
        /// Its name.
        program: &'static str,
        /// What it is part of.
        what: &'static str,
        /// Debian's package of it.
        package: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Maven did not bring Kafka.
    #[error("Maven could not resolve Kafka {version} ({status}); it said:\n{output}")]
    Resolve {
        /// Kafka's version.
        version: Version,
        /// How Maven ended.
        status: std::process::ExitStatus,
        /// What it said.
        output: String,
    },
    /// A text that names no version.
    #[error("`{text}` is no version of Kafka: name one as in `{}`", Version::NEWEST)]
    NoVersion {
        /// The text.
        text: String,
    },
    /// Kafka's own tool did not format the storage.
    #[error("Kafka's storage tool could not format {path} ({status}); it said:\n{output}")]
    Format {
        /// The folder.
        path: PathBuf,
        /// How the tool ended.
        status: std::process::ExitStatus,
        /// What it said at last.
        output: String,
    },
    /// A file or folder cannot be used.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No free ports were found.
    #[error("found no {wanted} free ports on 127.0.0.1 in {tries} tries")]
    Ports {
        /// How many were wanted.
        wanted: usize,
        /// How often it was tried.
        tries: u32,
    },
    /// A broker ended by itself.
    #[error("broker {broker} ended ({status}); the last lines of {log}:\n{tail}")]
    Ended {
        /// The broker.
        broker: i32,
        /// How it ended.
        status: String,
        /// Its log.
        log: PathBuf,
        /// The last lines of that.
        tail: String,
    },
    /// A broker did not answer in time.
    #[error("broker {broker} is not ready after {waited:?}: {reason}; the last lines of {log}:\n{tail}")]
    NotReady {
        /// The broker.
        broker: i32,
        /// How long was waited for it.
        waited: Duration,
        /// What was missing.
        reason: String,
        /// Its log.
        log: PathBuf,
        /// The last lines of that.
        tail: String,
    },
    /// A broker that does not run was told to do something.
    #[error("cannot {action} broker {broker}: it does not run")]
    NotRunning {
        /// What was wanted.
        action: &'static str,
        /// The broker.
        broker: i32,
    },
    /// A broker's process cannot be reached.
    #[error("cannot {action} broker {broker}: {source}")]
    Process {
        /// What was tried.
        action: &'static str,
        /// The broker.
        broker: i32,
        /// What the system said.
        source: io::Error,
    },
    /// A broker did not stop when it was asked to, and was killed.
    #[error("broker {broker} did not stop within {waited:?} and was killed; the last lines of {log}:\n{tail}")]
    NotStopped {
        /// The broker.
        broker: i32,
        /// How long was waited for it.
        waited: Duration,
        /// Its log.
        log: PathBuf,
        /// The last lines of that.
        tail: String,
    },
}

impl Error {
    /// For `map_err`: what was tried, with which file.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::File { action, path, source }
    }
}
