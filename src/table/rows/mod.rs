//! The rows of a slice, as a shard reads and writes them.
//!
//! [`TableSlice`] is the handle that a handler gets for an event: reads and writes go to the slot
//! of the event, over the cache, over the store. `changelog_key` is the form of a row's key in the
//! changelog, and names the partition of a partition-local row. `undecodable` holds rows and keys
//! that do not decode: they are listed, replaced and removed, and stop nothing. `key_range` turns
//! ranges of keys into ranges of stored bytes.

mod changelog_key;
mod key_range;
mod slice;
mod undecodable;

pub(crate) use changelog_key::{ChangelogKey, Mark};
pub(crate) use key_range::ordered_range;
pub(crate) use slice::OpenTable;
pub use slice::{SliceIter, TableSlice, UndecodableRows};
pub use undecodable::UndecodableRow;
pub(crate) use undecodable::{decode_row, escaped, pass_over};
