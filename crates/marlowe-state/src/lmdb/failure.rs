//! Errors of LMDB: which of them mean damage, and what they are for users.

use heed::MdbError;
use marlowe_lmdb::Damage;

use super::folder::Folder;
use crate::StoreError;

/// Returns whether `error` means that the file is not such a database, or is a broken one.
pub(super) fn is_damage(error: &heed::Error) -> bool {
    use MdbError::{Corrupted, Invalid, PageNotFound, VersionMismatch};
    matches!(error, heed::Error::Mdb(Corrupted | Invalid | PageNotFound | VersionMismatch)) || Damage::is_in(error)
}

/// Returns the error for the user, with advice.
pub(super) fn failed(action: &'static str, folder: &Folder, error: heed::Error) -> StoreError {
    let advice = match error {
        heed::Error::Io(error) => return StoreError::io(action, folder.path(), &error),
        heed::Error::EnvAlreadyOpened => return StoreError::InUse { path: folder.path().to_owned() },
        heed::Error::Mdb(MdbError::ReadersFull) => {
            "too many threads read the store at a time; read it from fewer threads"
        }
        _ if is_damage(&error) => {
            "stop the worker, remove the folder, and start the worker again: the state is rebuilt"
        }
        _ => "if it happens again, remove the folder while the worker is stopped: the state is rebuilt",
    };
    StoreError::Storage { action, path: folder.path().to_owned(), reason: format!("{error}: {advice}") }
}
