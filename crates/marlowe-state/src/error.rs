//! The errors of stores and slices, and the longest key.

use std::path::{Path, PathBuf};

use crate::{FormatError, PositionSlot, TableIndex};

/// The longest key that a store takes, in bytes of its ordered form. It is the same in memory and
/// on disk.
///
/// With `longer-keys` and pages of 4 KiB, the smallest pages there are, LMDB takes keys of 1,984
/// bytes. A key of zero bytes only is stored with one more zero byte.
pub const MAX_KEY_BYTES: usize = 1_980;

/// An error of a store: what the store refused or failed at, and what to do about it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A key is longer than the limit.
    #[error(
        "a key of {len} bytes is over the store's limit of {limit}: use a shorter key, for instance a hash of the long \
         part, and keep the long part in the value"
    )]
    KeyTooLong {
        /// The key's length, in bytes.
        len: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The layout has no such table.
    #[error("the store has no table {}: its layout has {tables}; add the table to the layout it is opened with", index.0)]
    UnknownTable {
        /// The table that was asked for.
        index: TableIndex,
        /// The number of tables.
        tables: usize,
    },
    /// The layout has no such position.
    #[error("the store keeps no position {}: its layout has {slots}; raise `slots` in the layout it is opened with", slot.0)]
    UnknownSlot {
        /// The slot that was asked for.
        slot: PositionSlot,
        /// The number of slots.
        slots: u32,
    },
    /// The folder is open already, in this process or another.
    #[error(
        "the store in {} is open already, in this process or another: stop the other worker, or give this one a data \
         folder of its own", path.display()
    )]
    InUse {
        /// The store's folder.
        path: PathBuf,
    },
    /// The folder holds the store of another owner.
    #[error(
        "the store in {} belongs to {found}, but {wanted} opens it: it was moved or copied; put it back where it was, \
         or remove it, and its rows are restored from the changelog", path.display()
    )]
    NotTheOwner {
        /// The store's folder.
        path: PathBuf,
        /// The owner that the store names.
        found: String,
        /// The owner that was expected.
        wanted: String,
    },
    /// The disk, or the database on it, failed.
    #[error("cannot {action} in {}: {reason}", path.display())]
    Storage {
        /// The action that failed.
        action: &'static str,
        /// The store's folder.
        path: PathBuf,
        /// The reason of the failure, and what to do.
        reason: String,
    },
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind as Kind;
        let advice = match error.kind() {
            Kind::StorageFull | Kind::QuotaExceeded => {
                ": free some space on that disk, or move the data folder to another disk"
            }
            Kind::PermissionDenied => ": let this user write there, or choose another data folder",
            Kind::ReadOnlyFilesystem => ": the disk is read-only; choose a data folder on another disk",
            Kind::NotADirectory | Kind::AlreadyExists => {
                ": a file has the name of the folder; remove the file, or choose another data folder"
            }
            _ => "",
        };
        Self::Storage { action, path: path.to_owned(), reason: format!("{error}{advice}") }
    }
}

/// An error of an operation on a slice.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SliceError {
    /// The committed store failed.
    #[error("table `{table}`: {source}")]
    Store {
        /// The table.
        table: String,
        /// The error of the store.
        source: StoreError,
    },
    /// A key or value could not be encoded or decoded.
    #[error("table `{table}`: {source}")]
    Format {
        /// The table.
        table: String,
        /// The reason.
        source: FormatError,
    },
    /// A row of the store does not decode. It can be overwritten and removed.
    #[error("table `{table}`: a row does not decode: {source}")]
    Undecodable {
        /// The table.
        table: String,
        /// The row's key, as the store has it.
        store_key: Box<[u8]>,
        /// The reason why its key or its value does not decode.
        source: FormatError,
    },
    /// The guard refused the key: its home is elsewhere.
    #[error(transparent)]
    Refused(Box<dyn std::error::Error + Send + Sync>),
    /// The key is longer than the store's limit.
    #[error(
        "table `{table}`: a key of {len} bytes is over the limit of {limit}: use a shorter key, for instance a hash of \
         the long part, and keep the long part in the value"
    )]
    KeyTooLong {
        /// The table.
        table: String,
        /// The key's length in bytes.
        len: usize,
        /// The limit, in bytes.
        limit: usize,
    },
}
