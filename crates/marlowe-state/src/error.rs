use std::path::{Path, PathBuf};

use crate::{FormatError, PositionSlot, TableIndex};

/// The longest key a store takes, in bytes of its ordered form: the same in memory and on disk.
///
/// LMDB, built with `longer-keys`, takes keys of 1,984 bytes with pages of 4 KiB, the smallest pages there are. A key of zeros
/// only is stored with one zero more.
pub const MAX_KEY_BYTES: usize = 1_980;

/// What a store refuses or fails at, and what to do about it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A key over the limit.
    #[error(
        "a key of {len} bytes is over the store's limit of {limit}: use a shorter key, for instance a hash of the long \
         part, and keep the long part in the value"
    )]
    KeyTooLong {
        /// Its length.
        len: usize,
        /// The longest allowed.
        limit: usize,
    },
    /// The layout has no such table.
    #[error("the store has no table {}: its layout has {tables}; add the table to the layout it is opened with", index.0)]
    UnknownTable {
        /// What was asked for.
        index: TableIndex,
        /// How many there are.
        tables: usize,
    },
    /// The layout has no such position.
    #[error("the store keeps no position {}: its layout has {slots}; raise `slots` in the layout it is opened with", slot.0)]
    UnknownSlot {
        /// What was asked for.
        slot: PositionSlot,
        /// How many there are.
        slots: u32,
    },
    /// Somebody has the folder open.
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
        "the store in {} is of {found}, and {wanted} is opened there: it was moved or copied; put it back where it was, or \
         remove it, and its rows are restored from the changelog", path.display()
    )]
    NotTheOwner {
        /// The store's folder.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        wanted: String,
    },
    /// The disk, or the database on it, failed.
    #[error("cannot {action} in {}: {reason}", path.display())]
    Storage {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why it failed, and what to do.
        reason: String,
    },
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind as Kind;
        let advice = match error.kind() {
            Kind::StorageFull | Kind::QuotaExceeded => {
                ": free some space on that disk, or move the data folder to another"
            }
            Kind::PermissionDenied => ": let this user write there, or choose another data folder",
            Kind::ReadOnlyFilesystem => ": the disk is read-only; choose a data folder on another",
            Kind::NotADirectory | Kind::AlreadyExists => {
                ": a file stands in the way; remove it, or choose another data folder"
            }
            _ => "",
        };
        Self::Storage { action, path: path.to_owned(), reason: format!("{error}{advice}") }
    }
}

/// What an operation on a slice fails at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SliceError {
    /// The committed store failed.
    #[error("table `{table}`: {source}")]
    Store {
        /// The table.
        table: String,
        /// What failed.
        source: StoreError,
    },
    /// A key or value could not be encoded or decoded.
    #[error("table `{table}`: {source}")]
    Format {
        /// The table.
        table: String,
        /// What is wrong with it.
        source: FormatError,
    },
    /// A row of the store does not decode. It can be overwritten and removed.
    #[error("table `{table}`: a row does not decode: {source}")]
    Undecodable {
        /// The table.
        table: String,
        /// The row's key, as the store has it.
        store_key: Box<[u8]>,
        /// What is wrong with its key or its value.
        source: FormatError,
    },
    /// The guard refused the key: its home is elsewhere.
    #[error(transparent)]
    Refused(Box<dyn std::error::Error + Send + Sync>),
    /// The key's bytes are over the store's limit.
    #[error(
        "table `{table}`: a key of {len} bytes is over the limit of {limit}: use a shorter key, for instance a hash of \
         the long part, and keep the long part in the value"
    )]
    KeyTooLong {
        /// The table.
        table: String,
        /// The key's length.
        len: usize,
        /// The longest allowed.
        limit: usize,
    },
}
