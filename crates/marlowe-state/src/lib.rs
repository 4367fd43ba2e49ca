//! The state of Marlowe's tables.

#![deny(unsafe_code)]

mod cache;
mod compact;
mod config;
mod error;
mod format;
mod layers;
mod lmdb;
mod local_rows;
mod memory;
mod memory_table;
mod overlay;
mod position;
mod range;
mod row_size;
mod rows;
mod scan;
mod slice;
mod slice_state;
mod store;
mod unflushed;

pub use config::{Guard, Hand, SliceConfig, SliceIsolation};
pub use error::{MAX_KEY_BYTES, SliceError, StoreError};
pub use format::{FormatError, RowFormat};
pub use lmdb::{DiskSpace, LmdbOptions, LmdbStore, SyncPolicy, SystemDiskSpace};
pub use memory::MemoryStore;
pub use position::{PositionSlot, SlicePosition, TableIndex};
pub use range::KeyRange;
pub use rows::Rows;
pub use scan::SliceScan;
pub use slice::Slice;
pub use slice_state::{CacheStats, FlushedRow, SliceState};
pub use store::{Scan, Store, StoreLayout};
