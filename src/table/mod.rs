//! Tables: what is declared, and what it opens to in a shard, on a worker, and in a view.

mod as_key;
mod changelog_key;
mod declaration;
mod erased;
mod foreign_key;
mod global_copy;
mod handles;
mod inbox;
mod inbox_client;
mod key_range;
mod read;
mod slice;
mod undecodable;
mod view;
mod view_error;

pub use as_key::AsKey;
pub(crate) use changelog_key::{ChangelogKey, Mark};
pub(crate) use declaration::{InboxFailures, Keyspace, Merge, TableDeclaration};
pub(crate) use erased::AnyTable;
pub use foreign_key::ForeignKey;
pub use global_copy::{GlobalClient, GlobalCopy, GlobalReader};
pub use handles::{GlobalTable, Inbox, Table, View};
pub use inbox::InboxSender;
pub(crate) use inbox_client::Effect;
pub use inbox_client::InboxClient;
pub use read::{Position, Read};
pub use slice::{SliceIter, TableSlice, UndecodableRows};
pub use undecodable::UndecodableRow;
pub(crate) use undecodable::escaped;
pub use view::TableView;
pub use view_error::ViewError;

/// The header of a change that replaces the row, also where changes merge.
pub(crate) const REPLACE_HEADER: &str = "marlowe-replace";

/// The header in which a global table's changelog records say how far its inbox is applied, for those who follow it.
pub(crate) const INBOX_HEADER: &str = "marlowe-inbox";

/// Returns a key for an error: as much of it as helps to find the row.
pub(crate) fn shown<K: crate::codec::Key>(key: &K) -> String {
    const SHOWN: usize = 120;
    let text = format!("{key:?}");
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
