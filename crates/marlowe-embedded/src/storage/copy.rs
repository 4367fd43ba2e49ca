//! Copying a broker's folder, also while it is in use.

use std::path::Path;

use marlowe_broker::BrokerError;
use marlowe_lmdb::CheckError;

use super::failure::{damaged, io_failure};

/// Copies the broker in the folder `from` to the new folder `to`, as it was after one of its
/// changes.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), BrokerError> {
    let failed = |error| io_failure("copy", from, &error);
    std::fs::create_dir_all(to).map_err(failed)?;
    match marlowe_lmdb::copy(from, &to.join("data.mdb")) {
        Ok(_) => std::fs::File::open(to).and_then(|folder| folder.sync_all()).map_err(failed),
        Err(CheckError::Io(error)) => Err(failed(error)),
        Err(CheckError::Damaged(damage)) => Err(damaged(from, &damage.to_string())),
    }
}
