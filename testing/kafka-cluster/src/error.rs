//! The error of this crate. Each message says what happened, where, and what to do if that is
//! known.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::version::Version;

/// An error of installing Kafka, or of starting or controlling a cluster.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program that is needed cannot be started.
    #[error("cannot start `{program}` ({source}): install {what} (Debian: `apt-get install {package}`)")]
    Program {
        /// The program's name.
        program: &'static str,
        /// The product that contains the program.
        what: &'static str,
        /// Debian's package of that product.
        package: &'static str,
        /// The error of the operating system.
        source: io::Error,
    },
    /// Maven could not resolve Kafka and its dependencies.
    #[error("Maven could not resolve Kafka {version} ({status}); it said:\n{output}")]
    Resolve {
        /// Kafka's version.
        version: Version,
        /// Maven's exit status.
        status: std::process::ExitStatus,
        /// Maven's output.
        output: String,
    },
    /// A text does not name a version of Kafka.
    #[error("`{text}` is no version of Kafka: name one as in `{}`", Version::NEWEST)]
    NoVersion {
        /// The text.
        text: String,
    },
    /// Kafka's storage tool could not format the storage.
    #[error("Kafka's storage tool could not format {path} ({status}); it said:\n{output}")]
    Format {
        /// The folder of the storage.
        path: PathBuf,
        /// The tool's exit status.
        status: std::process::ExitStatus,
        /// The last lines of the tool's output.
        output: String,
    },
    /// A file or folder cannot be used.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// The action that failed, such as `create`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// Not enough free ports were found.
    #[error("found no {wanted} free ports on 127.0.0.1 in {tries} tries")]
    Ports {
        /// The number of ports that were wanted.
        wanted: usize,
        /// The number of ports that were tried.
        tries: u32,
    },
    /// A broker ended by itself.
    #[error("broker {broker} ended ({status}); the last lines of {log}:\n{tail}")]
    Ended {
        /// The broker's id.
        broker: i32,
        /// The exit status of its process.
        status: String,
        /// The path of its log.
        log: PathBuf,
        /// The last lines of its log.
        tail: String,
    },
    /// A broker was not ready in time.
    #[error("broker {broker} is not ready after {waited:?}: {reason}; the last lines of {log}:\n{tail}")]
    NotReady {
        /// The broker's id.
        broker: i32,
        /// The time that was waited.
        waited: Duration,
        /// The condition that was not met.
        reason: String,
        /// The path of its log.
        log: PathBuf,
        /// The last lines of its log.
        tail: String,
    },
    /// An action needs a running broker, and the broker does not run.
    #[error("cannot {action} broker {broker}: it does not run")]
    NotRunning {
        /// The action, such as `stop`.
        action: &'static str,
        /// The broker's id.
        broker: i32,
    },
    /// A broker's process cannot be started, signalled or waited for.
    #[error("cannot {action} broker {broker}: {source}")]
    Process {
        /// The action that failed, such as `start`.
        action: &'static str,
        /// The broker's id.
        broker: i32,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A broker did not stop in time after it was asked to, and was killed.
    #[error("broker {broker} did not stop within {waited:?} and was killed; the last lines of {log}:\n{tail}")]
    NotStopped {
        /// The broker's id.
        broker: i32,
        /// The time that was waited.
        waited: Duration,
        /// The path of its log.
        log: PathBuf,
        /// The last lines of its log.
        tail: String,
    },
}

impl Error {
    /// Returns a function for `map_err` that adds the action and the file to an I/O error.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::File { action, path, source }
    }
}
