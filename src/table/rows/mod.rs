//! The rows of a slice: how they are read and written in a shard, and what their changelog records hold.

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
