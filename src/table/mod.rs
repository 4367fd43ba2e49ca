//! Tables: what is declared, and what it opens to in a shard, on a worker, and in a view.

mod as_key;
mod committed_slice;
mod declaration;
mod erased;
mod foreign_key;
mod global_copy;
mod handles;
mod inbox;
mod inbox_client;
mod key_range;
mod open_slices;
mod read;
mod routes;
mod search;
mod slice;
mod stale_reads;
mod standby_slice;
mod view;
mod view_error;

pub use as_key::AsKey;
pub(crate) use committed_slice::{CommittedSlice, Reached};
pub use declaration::TableKind;
pub(crate) use declaration::{InboxFailures, Keyspace, Merge, TableDeclaration, TableIdentity};
pub(crate) use erased::AnyTable;
pub use foreign_key::ForeignKey;
pub(crate) use global_copy::GlobalStore;
pub use global_copy::{GlobalClient, GlobalCopy, GlobalReader};
pub use handles::{GlobalTable, Inbox, Table, View};
pub use inbox::InboxSender;
pub(crate) use inbox_client::Effect;
pub use inbox_client::InboxClient;
pub(crate) use open_slices::{OpenSlices, Owner, Published};
pub use read::{Position, Read};
pub(crate) use routes::{PeerRefusal, Place, RouteError, Routes};
pub(crate) use search::{Absence, Elsewhere, Found};
pub use slice::{SliceIter, TableSlice};
pub(crate) use standby_slice::{Freshness, StandbySlice};
pub use view::TableView;
pub use view_error::ViewError;

/// The key of the record that begins an epoch (see [`Stamp`](crate::turn::Stamp)): no row.
pub(crate) const EPOCH_KEY: &[u8] = b"\0marlowe-epoch";

/// The header of a change that replaces the row, also where changes merge.
pub(crate) const REPLACE_HEADER: &str = "marlowe-replace";

/// The header in which a global table's changelog records say how far its inbox is applied, for those who follow it.
pub(crate) const INBOX_HEADER: &str = "marlowe-inbox";

/// The key of a record that says so where no row changed: a tombstone of no row.
pub(crate) const INBOX_KEY: &[u8] = b"\0marlowe-inbox";

/// The key of the record that a changelog begins with when the table was taken over from a Faust app: no row, but the mark
/// that it is done. Compaction keeps it.
pub(crate) const TAKEN_OVER_KEY: &[u8] = b"\0marlowe-taken-over";
