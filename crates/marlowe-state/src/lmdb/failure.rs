use heed::MdbError;
use marlowe_lmdb::Damage;

use super::folder::Folder;
use crate::StoreError;

/// Whether the file is no database of this kind, or a broken one.
pub(super) fn is_damage(error: &heed::Error) -> bool {
    use MdbError::{Corrupted, Invalid, PageNotFound, VersionMismatch};
    matches!(error, heed::Error::Mdb(Corrupted | Invalid | PageNotFound | VersionMismatch)) || Damage::is_in(error)
}

/// The error for the user.
pub(super) fn failed(action: &'static str, folder: &Folder, error: heed::Error) -> StoreError {
    let advice = match error {
        heed::Error::Io(error) => return StoreError::io(action, folder.path(), &error),
        heed::Error::EnvAlreadyOpened => return StoreError::InUse { path: folder.path().to_owned() },
        heed::Error::Mdb(MdbError::ReadersFull) => "too many reads at a time; raise `max_readers`",
        _ if is_damage(&error) => "stop the worker, remove the folder, and start it: the state is rebuilt",
        _ => "if it happens again, remove the folder while the worker is stopped: the state is rebuilt",
    };
    StoreError::Storage { action, path: folder.path().to_owned(), reason: format!("{error}: {advice}") }
}
