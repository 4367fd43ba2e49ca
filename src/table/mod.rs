//! Tables: partitioned, keyed state that survives failures.
//!
//! A program declares a table with [`App::table`](crate::App::table) and gets a small handle. A
//! table has one *slice* per partition, and each slice has one owner, the shard of that partition.
//! Only the owner changes its slice. A handle opens to something different for each kind of access:
//!
//! ```text
//!  in the owner's shard         TableSlice ---- reads and writes ---->  slice
//!  in any other shard           InboxSender --- changes -> inbox ---->  (its owner applies them)
//!  outside shards               InboxClient --- changes -> inbox ---->  (its owner applies them)
//!  anywhere                     TableView <---- committed reads ------  slice or standby
//!  global tables, anywhere      GlobalReader <- local reads ----------  the worker's copy
//! ```
//!
//! A write goes this way:
//!
//! 1. A handler changes a row through its [`TableSlice`]. Only this event sees the change.
//! 2. When the handler returns `Ok`, the change moves into the slice's cache, where later events of
//!    the shard see it.
//! 3. The lane's commit writes each changed row to the changelog `{app}-{table}-changelog`, in one
//!    transaction with the input positions.
//! 4. After the commit the rows go into the shard's local store. Views and copies read only
//!    committed rows.
//!
//! A change for a row of another partition goes to the *inbox* `{app}-{table}-inbox` instead. The
//! row's owner applies it once, in its own transaction: it *merges* the change into the row, or
//! replaces the row.
//!
//! The words, and their names elsewhere:
//!
//! | here | Kafka Streams | Faust |
//! |---|---|---|
//! | slice | the state store of one task | one partition of a table |
//! | inbox | – (a repartition topic and an aggregation) | – |
//! | merge | reducer | – |
//! | view | interactive query | table route |
//! | global table | `GlobalKTable` | `GlobalTable` |
//! | changelog | changelog topic | changelog topic |

// Start reading in `handles` (what a program declares), then `slice` (reads and writes in a
// shard). The layers below a slice are in the crate `marlowe-state`. How a view finds a slice is
// in `query`.

mod as_key;
mod declaration;
mod erased;
mod foreign_key;
mod global_copy;
mod handles;
mod inbox;
mod inbox_client;
mod read;
mod rows;
mod view;
mod view_error;

pub use as_key::AsKey;
pub(crate) use declaration::{InboxFailures, Keyspace, Merge, TableDeclaration};
pub(crate) use erased::AnyTable;
pub use foreign_key::ForeignKey;
pub use global_copy::{GlobalClient, GlobalCopy, GlobalReader};
pub use handles::{GlobalTable, Inbox, Table, View};
pub use inbox::InboxSender;
pub(crate) use inbox_client::Effect;
pub use inbox_client::InboxClient;
pub use read::{Position, Read};
pub(crate) use rows::{ChangelogKey, Mark, escaped};
pub use rows::{SliceIter, TableSlice, UndecodableRow, UndecodableRows};
pub use view::TableView;
pub use view_error::ViewError;

/// The header of a change that replaces the row, even if the table has a merge.
pub(crate) const REPLACE_HEADER: &str = "marlowe-replace";

/// The header in which the changelog records of a global table say how far the inbox is applied.
/// The copies on other workers read it.
pub(crate) const INBOX_HEADER: &str = "marlowe-inbox";

/// Returns a key for an error message, shortened to its first 120 characters.
pub(crate) fn shown<K: crate::codec::Key>(key: &K) -> String {
    const SHOWN: usize = 120;
    let text = format!("{key:?}");
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
