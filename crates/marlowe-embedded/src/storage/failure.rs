//! Errors of the file system and of LMDB as broker errors, which say how to fix them.

use std::io::{self, ErrorKind};
use std::path::Path;

use heed::MdbError;
use marlowe_broker::BrokerError;

const DISK_FULL: &str = "the disk is full, and nothing of this write was kept: free some space and try again";

/// Returns the error for what the system refused, and how to fix it where that is known.
pub(crate) fn io_failure(action: &'static str, path: &Path, error: &io::Error) -> BrokerError {
    let reason = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => DISK_FULL.to_owned(),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            format!("{error}: the broker must be able to write there; change its permissions or choose another folder")
        }
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            format!("{error}: it is not a folder; give the path of a folder (a missing one is created)")
        }
        _ => error.to_string(),
    };
    BrokerError::Storage { action, path: path.display().to_string(), reason }
}

/// Returns the error for what LMDB refused, and how to fix it where that is known.
pub(crate) fn failure(action: &'static str, path: &Path, error: heed::Error) -> BrokerError {
    let reason = match error {
        // LMDB reports a short write, which a full disk causes, as an I/O error.
        heed::Error::Io(error) if action == "write to" && error.raw_os_error() == Some(5) => {
            format!(
                "{error}: the disk is full or failing, and nothing of this write was kept: free some space or check \
                 the disk, and try again"
            )
        }
        heed::Error::Io(error) => return io_failure(action, path, &error),
        heed::Error::Mdb(MdbError::MapFull) => {
            "the folder has grown to its limit, and nothing of this write was kept: delete topics; or, in a program \
             that opens the broker itself, raise `EmbeddedConfig::max_folder_bytes` (no command-line option sets it)"
                .to_owned()
        }
        heed::Error::Mdb(MdbError::Invalid | MdbError::VersionMismatch) => {
            "its data.mdb was not written by Marlowe: choose another folder".to_owned()
        }
        other => other.to_string(),
    };
    BrokerError::Storage { action, path: path.display().to_string(), reason }
}

/// Returns the error for stored data that makes no sense.
pub(crate) fn damaged(path: &Path, what: &str) -> BrokerError {
    BrokerError::Storage {
        action: "read",
        path: path.display().to_string(),
        reason: format!("{what} in it is damaged: restore the folder from a copy, or start with a new one"),
    }
}
