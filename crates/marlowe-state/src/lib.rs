//! The state of Marlowe's tables: the rows that a shard keeps of each table, and how events change
//! them.
//!
//! A shard has a [`Slice`] of every table that it uses. A slice has three layers:
//!
//! | layer | holds | changed by |
//! |---|---|---|
//! | overlay, one per [`TxnSlot`] | the changes of one running event | the event |
//! | cache | the rows that finished events have left, and rows that were read before | [`SliceState::apply`] |
//! | [`Store`] | the committed rows | [`Store::apply`], after the broker's transaction |
//!
//! So an event that fails leaves no changes. A crash leaves the store as of the last commit. A
//! reader of the store sees committed state only.
//!
//! The store is a [`MemoryStore`], or an [`LmdbStore`] on disk. It stores its [`SlicePosition`]s in
//! the same batch as the rows. So a restart knows which part of the changelog is missing.
//!
//! # The order of things
//!
//! 1. A handler reads and writes rows through [`Slice`], under the slot of its event.
//! 2. If the event succeeds, the shard calls [`SliceState::apply`], and the changes go into the
//!    cache. Otherwise it calls [`SliceState::discard`], and they are dropped.
//! 3. A commit calls [`SliceState::flush`], which hands out each changed row once, for the
//!    changelog. Events go on meanwhile.
//! 4. When the broker's transaction is committed, the rows and positions go into the store with
//!    [`Store::apply`], and [`SliceState::flushed`] ends the commit.
//!
//! # Where to start reading
//!
//! `slice.rs` is what handlers use, and `slice_state.rs` what the shard's loop uses. Below them are
//! `layers.rs` (overlays over the cache), `cache.rs` and `overlay.rs`. `store.rs` has the trait
//! that `memory.rs` and `lmdb.rs` implement.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//!
//! use marlowe_broker::Offset;
//! use marlowe_state::{
//!     FormatError, MemoryStore, PositionSlot, RowFormat, Rows, Slice, SliceConfig,
//!     SliceIsolation, SlicePosition, SliceState, Store, StoreLayout, TableIndex, TxnSlot,
//! };
//!
//! /// The form of keys and values in bytes.
//! struct Counts;
//!
//! impl RowFormat<String, u64> for Counts {
//!     fn encode_key(&self, key: &String, out: &mut Vec<u8>) {
//!         out.extend_from_slice(key.as_bytes());
//!     }
//!     fn decode_key(&self, bytes: &[u8]) -> Result<String, FormatError> {
//!         String::from_utf8(bytes.to_vec()).map_err(|error| FormatError(error.to_string()))
//!     }
//!     fn encode_topic_key(&self, key: &String, out: &mut Vec<u8>) {
//!         self.encode_key(key, out);
//!     }
//!     fn same_key_bytes(&self) -> bool {
//!         true
//!     }
//!     fn encode_value(&self, value: &u64, out: &mut Vec<u8>) -> Result<(), FormatError> {
//!         out.extend_from_slice(&value.to_be_bytes());
//!         Ok(())
//!     }
//!     fn decode_value(&self, bytes: &[u8]) -> Result<u64, FormatError> {
//!         let count = bytes.try_into().map(u64::from_be_bytes);
//!         count.map_err(|_| FormatError("not a count".to_owned()))
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let layout = StoreLayout { tables: vec!["views".to_owned()], slots: 1 };
//! let store: Arc<dyn Store> = Arc::new(MemoryStore::new(layout));
//! let (table, slot) = (TableIndex(0), PositionSlot(0));
//! let config = SliceConfig {
//!     store: Arc::clone(&store),
//!     table,
//!     slot,
//!     cache_rows: SliceConfig::DEFAULT_CACHE_ROWS,
//!     isolation: SliceIsolation::Serial,
//! };
//! let views = Slice::new(config, Box::new(Counts), None);
//!
//! // Two events. The second fails.
//! let txn = TxnSlot::SERIAL;
//! views.update(txn, "/home".to_owned(), |count| *count += 1)?;
//! views.apply(txn);
//! views.update(txn, "/home".to_owned(), |count| *count += 100)?;
//! views.discard(txn);
//! assert_eq!(views.get(txn, &"/home".to_owned())?, Some(1));
//! assert_eq!(store.count(table)?, 0);
//!
//! // A commit. Each changed row goes to the changelog once. When the broker has it, it goes to the
//! // store.
//! let mut rows = Rows::new();
//! views.flush(&mut |row| rows.push(row.store_key, row.value))?;
//! let position = SlicePosition { changelog: Offset::new(1), ..SlicePosition::default() };
//! store.apply(&mut [(table, rows)], &[(slot, position)])?;
//! views.flushed();
//! assert_eq!(store.count(table)?, 1);
//! # Ok(())
//! # }
//! ```

#![deny(unsafe_code)]

mod cache;
mod compact;
mod config;
mod error;
mod format;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod layers;
mod lmdb;
mod local_rows;
mod memory;
mod memory_table;
mod overlay;
mod position;
mod prefetch;
mod range;
mod row_size;
mod rows;
mod scan;
mod slice;
mod slice_check;
mod slice_state;
mod source;
mod store;
mod unflushed;

pub use config::{Guard, SliceConfig, SliceIsolation, TxnSlot};
pub use error::{MAX_KEY_BYTES, SliceError, StoreError};
pub use format::{FormatError, RowFormat};
pub use lmdb::{DiskSpace, LmdbOptions, LmdbStore, SyncPolicy, SystemDiskSpace};
pub use memory::MemoryStore;
pub use position::{PositionSlot, SlicePosition, TableIndex};
pub use range::KeyRange;
pub use rows::Rows;
pub use scan::SliceScan;
pub use slice::Slice;
pub use slice_check::CheckedRow;
pub use slice_state::{CacheStats, FlushedRow, SliceState};
pub use store::{Scan, Store, StoreLayout};
