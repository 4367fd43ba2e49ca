use marlowe::compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// What is read: somebody looked at a page.
#[derive(Serialize, Deserialize)]
pub(crate) struct Event {
    /// The key.
    pub(crate) page: CompactString,
    /// Who it was.
    pub(crate) user: CompactString,
    /// When it was sent, in microseconds since 1970.
    at: u64,
    /// What they looked with.
    agent: String,
}
